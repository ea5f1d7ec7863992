;; covers: lower, Trap::Engine, Trap::CannotEnter

;; A trap is the end of all that it unwinds through, and of what belongs together with that; others go on.

(component definition $T
  (component $C
    (core module $Libc (memory (export "mem") 1))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "mem" (core memory $mem))
    (core module $M
      (import "" "mem" (memory 1))

      (func (export "fine") (result i32) (i32.const 42))
      (func (export "trap") unreachable)
      (func (export "divide") (param i32) (result i32) (i32.div_u (i32.const 84) (local.get 0)))
      (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $mem))))))
    (func (export "fine") (result u32) (canon lift (core func $m "fine")))
    (func (export "trap") (canon lift (core func $m "trap")))
    (func (export "divide") (param "x" u32) (result u32) (canon lift (core func $m "divide")))
    (func (export "load") (param "x" u32) (result u32) (canon lift (core func $m "load"))))
  (component $D
    (import "trap" (func $trap'))
    (canon lower (func $trap') (core func $trap))
    (core module $M
      (import "" "trap" (func $trap))

      (func (export "outer-fine") (result i32) (i32.const 43))
      (func (export "outer-trap") (call $trap)))
    (core instance $m (instantiate $M (with "" (instance
      (export "trap" (func $trap))))))
    (func (export "outer-fine") (result u32) (canon lift (core func $m "outer-fine")))
    (func (export "outer-trap") (canon lift (core func $m "outer-trap"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D
    (with "trap" (func $c "trap"))))
  (func (export "outer-fine") (alias export $d "outer-fine"))
  (func (export "outer-trap") (alias export $d "outer-trap"))
  (func (export "fine") (alias export $c "fine"))
  (func (export "trap") (alias export $c "trap"))
  (func (export "divide") (alias export $c "divide"))
  (func (export "load") (alias export $c "load")))

;; The inner one, called itself: the outer one goes with it.
(component instance $a $T)
(component instance $b $T)
(assert_return (invoke $a "fine") (u32.const 42))
(assert_return (invoke $a "outer-fine") (u32.const 43))
(assert_return (invoke $a "divide" (u32.const 2)) (u32.const 42))
(assert_trap (invoke $a "trap") "wasm `unreachable` instruction executed")
(assert_trap (invoke $a "fine") "cannot enter component instance")
(assert_trap (invoke $a "trap") "cannot enter component instance")
(assert_trap (invoke $a "outer-fine") "cannot enter component instance")
(assert_trap (invoke $a "outer-trap") "cannot enter component instance")
;; Another instance of the same definition
(assert_return (invoke $b "fine") (u32.const 42))

;; Through the outer one
(assert_trap (invoke $b "outer-trap") "wasm `unreachable` instruction executed")
(assert_trap (invoke $b "fine") "cannot enter component instance")
(assert_trap (invoke $b "outer-fine") "cannot enter component instance")

;; The engine's other traps
(component instance $c $T)
(assert_trap (invoke $c "divide" (u32.const 0)) "integer divide by zero")
(assert_trap (invoke $c "fine") "cannot enter component instance")
(component instance $d $T)
(assert_return (invoke $d "load" (u32.const 0xfffc)) (u32.const 0))
(assert_trap (invoke $d "load" (u32.const 0xfffd)) "out of bounds memory access")
(assert_trap (invoke $d "fine") "cannot enter component instance")

;; A component that imports what another root exports: the trap goes through both.

(component $inner
  (core module $M
    (func (export "trap") unreachable))
  (core instance $m (instantiate $M))
  (func (export "trap") (canon lift (core func $m "trap"))))

(component $outer
  (import "inner" (instance $inner (export "trap" (func))))
  (alias export $inner "trap" (func $trap'))
  (canon lower (func $trap') (core func $trap))
  (core module $M
    (import "" "trap" (func $trap))

    (func (export "fine") (result i32) (i32.const 1))
    (func (export "call") (call $trap)))
  (core instance $m (instantiate $M (with "" (instance
    (export "trap" (func $trap))))))
  (func (export "fine") (result u32) (canon lift (core func $m "fine")))
  (func (export "call") (canon lift (core func $m "call"))))

(assert_return (invoke $outer "fine") (u32.const 1))
(assert_trap (invoke $outer "call") "wasm `unreachable` instruction executed")
(assert_trap (invoke $outer "fine") "cannot enter component instance")
(assert_trap (invoke $inner "trap") "cannot enter component instance")

;; A trap in a start function: there is no instance.
(assert_trap
  (component
    (core module $M (func $start unreachable) (start $start))
    (core instance (instantiate $M)))
  "wasm `unreachable` instruction executed")
