;; A result that is large to print: 1,300,000 elements, whose text must not be kept beside them.
(component
  (core module $M
    (memory (export "memory") 40)
    (func (export "run") (result i32)
      (i32.store (i32.const 4) (i32.const 1300000))
      (i32.const 0)))
  (core instance $m (instantiate $M))
  (func (export "run") (result (list bool))
    (canon lift (core func $m "run") (memory (core memory $m "memory")))))
