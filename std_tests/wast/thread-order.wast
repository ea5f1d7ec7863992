;; covers: thread.yield, thread.resume-later

;; Ready threads of an instance run first come, first served, whatever their kind: the main thread, which holds the exclusive
;; lock, was made ready before the child yields, which needs none. The spec leaves the order free; Wasmtime has this one.
(component definition $C
  (core module $libc (table (export "t") 1 funcref))
  (core module $m
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "str" (func $suspend-then-resume (param i32) (result i32)))
    (import "" "later" (func $resume-later (param i32)))
    (import "" "yield" (func $yield (result i32)))
    (import "" "index" (func $index (result i32)))
    (import "libc" "t" (table 1 funcref))
    (global $main (mut i32) (i32.const 0))
    (global $trace (mut i32) (i32.const 0))
    (func $log (param i32) (global.set $trace (i32.add (i32.mul (global.get $trace) (i32.const 10)) (local.get 0))))
    (func $child (param i32)
      (call $resume-later (global.get $main)) ;; main is ready
      (call $log (i32.const 1))
      (drop (call $yield))                    ;; now the child is, too, and behind it
      (call $log (i32.const 2)))
    (elem (i32.const 0) func $child)
    (func (export "run") (result i32)
      (global.set $main (call $index))
      (drop (call $suspend-then-resume (call $new (i32.const 0) (i32.const 0))))
      (call $log (i32.const 3))
      (drop (call $yield))
      (global.get $trace)))
  (core instance $libc (instantiate $libc))
  (core type $start (func (param i32)))
  (core func $new (canon thread.new-indirect $start (core table $libc "t")))
  (core func $str (canon thread.suspend-then-resume))
  (core func $later (canon thread.resume-later))
  (core func $yield (canon thread.yield))
  (core func $index (canon thread.index))
  (core instance $i (instantiate $m
    (with "" (instance (export "new" (func $new)) (export "str" (func $str)) (export "later" (func $later))
      (export "yield" (func $yield)) (export "index" (func $index))))
    (with "libc" (instance $libc))))
  (func (export "run") async (result u32) (canon lift (core func $i "run"))))
(component instance $c $C)
(assert_return (invoke "run") (u32.const 132))
