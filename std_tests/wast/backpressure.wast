;; covers: backpressure.inc, backpressure.dec, Trap::BackpressureOverflow, Trap::BackpressureUnderflow

(component definition $T
  (canon backpressure.inc (core func $backpressure.inc))
  (canon backpressure.dec (core func $backpressure.dec))
  (core module $M
    (import "" "backpressure.inc" (func $backpressure.inc))
    (import "" "backpressure.dec" (func $backpressure.dec))

    (func (export "underflow") (call $backpressure.dec))
    (func (export "underflow-after-one")
      (call $backpressure.inc)
      (call $backpressure.dec)
      (call $backpressure.dec))
    (func $incs (param $n i32)
      (loop $again
        (call $backpressure.inc)
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $again (local.get $n))))
    (func (export "many") (result i32)
      (call $incs (i32.const 0xffff))
      (i32.const 1))
    (func (export "overflow")
      (call $incs (i32.const 0x10000))))
  (core instance $m (instantiate $M (with "" (instance
    (export "backpressure.inc" (func $backpressure.inc))
    (export "backpressure.dec" (func $backpressure.dec))))))
  (func (export "underflow") async (canon lift (core func $m "underflow")))
  (func (export "underflow-after-one") async (canon lift (core func $m "underflow-after-one")))
  (func (export "overflow") async (canon lift (core func $m "overflow")))
  (func (export "many") async (result u32) (canon lift (core func $m "many"))))

(component instance $i $T)
(assert_return (invoke "many") (u32.const 1))

(component instance $i $T)
(assert_trap (invoke "underflow") "backpressure counter underflow")
(component instance $i $T)
(assert_trap (invoke "underflow-after-one") "backpressure counter underflow")
(component instance $i $T)
(assert_trap (invoke "overflow") "backpressure counter overflow")

;; A call of an async function waits while the counter is not 0; one of a function without `async` does not.

(component
  (component $C
    (canon backpressure.inc (core func $backpressure.inc))
    (canon backpressure.dec (core func $backpressure.dec))
    (core module $M
      (import "" "backpressure.inc" (func $backpressure.inc))
      (import "" "backpressure.dec" (func $backpressure.dec))

      (global $calls (mut i32) (i32.const 0))
      (func (export "on") (call $backpressure.inc))
      (func (export "off") (call $backpressure.dec))
      (func (export "f") (global.set $calls (i32.add (global.get $calls) (i32.const 1))))
      (func (export "calls") (result i32) (global.get $calls)))
    (core instance $m (instantiate $M (with "" (instance
      (export "backpressure.inc" (func $backpressure.inc))
      (export "backpressure.dec" (func $backpressure.dec))))))
    (func (export "on") (canon lift (core func $m "on")))
    (func (export "off") (canon lift (core func $m "off")))
    (func (export "f") async (canon lift (core func $m "f")))
    (func (export "calls") (result u32) (canon lift (core func $m "calls"))))
  (component $D
    (import "on" (func $on'))
    (import "off" (func $off'))
    (import "f" (func $f' async))
    (import "calls" (func $calls' (result u32)))
    (core module $Libc (memory (export "mem") 1))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "mem" (core memory $mem))
    (canon lower (func $on') (core func $on))
    (canon lower (func $off') (core func $off))
    (canon lower (func $f') async (core func $f))
    (canon lower (func $calls') (core func $calls))
    (canon waitable-set.new (core func $waitable-set.new))
    (canon waitable-set.wait (memory $mem) (core func $waitable-set.wait))
    (canon waitable-set.poll (memory $mem) (core func $waitable-set.poll))
    (canon waitable-set.drop (core func $waitable-set.drop))
    (canon waitable.join (core func $waitable.join))
    (canon subtask.drop (core func $subtask.drop))
    (core module $M
      (import "" "mem" (memory 1))
      (import "" "on" (func $on))
      (import "" "off" (func $off))
      (import "" "f" (func $f (result i32)))
      (import "" "calls" (func $calls (result i32)))
      (import "" "waitable-set.new" (func $waitable-set.new (result i32)))
      (import "" "waitable-set.wait" (func $waitable-set.wait (param i32 i32) (result i32)))
      (import "" "waitable-set.poll" (func $waitable-set.poll (param i32 i32) (result i32)))
      (import "" "waitable-set.drop" (func $waitable-set.drop (param i32)))
      (import "" "waitable.join" (func $waitable.join (param i32 i32)))
      (import "" "subtask.drop" (func $subtask.drop (param i32)))

      (func (export "run") (result i32)
        (local $set i32) (local $sub i32)
        (call $on)
        (call $on)
        ;; STARTING, with a handle
        (local.set $sub (call $f))
        (if (i32.ne (i32.and (local.get $sub) (i32.const 0xf)) (i32.const 0)) (then unreachable))
        (local.set $sub (i32.shr_u (local.get $sub) (i32.const 4)))
        (if (i32.ne (call $calls) (i32.const 0)) (then unreachable))
        (call $off)
        (local.set $set (call $waitable-set.new))
        (call $waitable.join (local.get $sub) (local.get $set))
        ;; One `inc` is left: no event yet.
        (if (i32.ne (call $waitable-set.poll (local.get $set) (i32.const 0)) (i32.const 0)) (then unreachable))
        (call $off)
        ;; SUBTASK, the handle, RETURNED
        (if (i32.ne (call $waitable-set.wait (local.get $set) (i32.const 0)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 0)) (local.get $sub)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 4)) (i32.const 2)) (then unreachable))
        (call $subtask.drop (local.get $sub))
        (call $waitable-set.drop (local.get $set))
        ;; RETURNED at once, without a handle
        (if (i32.ne (call $f) (i32.const 2)) (then unreachable))
        (call $calls)))
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $mem))
      (export "on" (func $on))
      (export "off" (func $off))
      (export "f" (func $f))
      (export "calls" (func $calls))
      (export "waitable-set.new" (func $waitable-set.new))
      (export "waitable-set.wait" (func $waitable-set.wait))
      (export "waitable-set.poll" (func $waitable-set.poll))
      (export "waitable-set.drop" (func $waitable-set.drop))
      (export "waitable.join" (func $waitable.join))
      (export "subtask.drop" (func $subtask.drop))))))
    (func (export "run") async (result u32) (canon lift (core func $m "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D
    (with "on" (func $c "on")) (with "off" (func $c "off")) (with "f" (func $c "f")) (with "calls" (func $c "calls"))))
  (func (export "run") (alias export $d "run")))

(assert_return (invoke "run") (u32.const 2))
