(component)
(component
  (core module (func (result i33))))
