;; It yields for ever.
(component
  (core module $M
    (func (export "run") (result i32) (i32.const 1))
    (func (export "run-callback") (param i32 i32 i32) (result i32) (i32.const 1)))
  (core instance $m (instantiate $M))
  (func (export "run") async (canon lift (core func $m "run") async (callback (core func $m "run-callback")))))
(invoke "run")
