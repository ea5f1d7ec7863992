(component)
(module)
