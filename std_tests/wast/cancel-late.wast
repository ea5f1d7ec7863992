;; spec: #707, #716
;; covers: subtask.cancel, task.cancel, waitable-set.wait

;; A callback task waits for a set that nothing ever comes to, and is asked for its cancellation while another task holds the lock
;; of its instance. It is told as soon as that one has ended, and not with its next event.

(component definition $T
  (component $C
    (canon waitable-set.new (core func $waitable-set.new))
    (canon task.cancel (core func $task.cancel))
    (canon task.return (core func $task.return))
    (canon thread.yield (core func $thread.yield))
    (core module $M
      (import "" "waitable-set.new" (func $waitable-set.new (result i32)))
      (import "" "task.cancel" (func $task.cancel))
      (import "" "task.return" (func $task.return))
      (import "" "thread.yield" (func $thread.yield (result i32)))
      (func (export "waits") (result i32)
        (i32.or (i32.const 2 (; WAIT ;)) (i32.shl (call $waitable-set.new) (i32.const 4))))
      ;; It keeps the lock while it yields.
      (func (export "holds") (result i32)
        (drop (call $thread.yield))
        (call $task.return)
        (i32.const 0 (; EXIT ;)))
      (func (export "cb") (param $event i32) (param i32 i32) (result i32)
        (if (i32.ne (local.get $event) (i32.const 6 (; TASK_CANCELLED ;))) (then unreachable))
        (call $task.cancel)
        (i32.const 0 (; EXIT ;))))
    (core instance $m (instantiate $M (with "" (instance
      (export "waitable-set.new" (func $waitable-set.new))
      (export "task.cancel" (func $task.cancel))
      (export "task.return" (func $task.return))
      (export "thread.yield" (func $thread.yield))))))
    (func (export "waits") async (canon lift (core func $m "waits") async (callback (core func $m "cb"))))
    (func (export "holds") async (canon lift (core func $m "holds") async (callback (core func $m "cb")))))
  (component $D
    (import "waits" (func $waits' async))
    (import "holds" (func $holds' async))
    (core module $Libc (memory (export "mem") 1))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "mem" (core memory $mem))
    (canon lower (func $waits') async (core func $waits))
    (canon lower (func $holds') async (core func $holds))
    (canon subtask.cancel async (core func $cancel))
    (canon waitable-set.new (core func $waitable-set.new))
    (canon waitable-set.wait (memory $mem) (core func $wait))
    (canon waitable.join (core func $join))
    (core module $M
      (import "" "mem" (memory 1))
      (import "" "waits" (func $waits (result i32)))
      (import "" "holds" (func $holds (result i32)))
      (import "" "cancel" (func $cancel (param i32) (result i32)))
      (import "" "waitable-set.new" (func $waitable-set.new (result i32)))
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (func $is (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then unreachable)))
      (func $handle (param $packed i32) (result i32)
        (call $is (i32.and (local.get $packed) (i32.const 0xf)) (i32.const 1 (; STARTED ;)))
        (i32.shr_u (local.get $packed) (i32.const 4)))
      (func $next (param $set i32) (param $of i32) (result i32)
        (call $is (call $wait (local.get $set) (i32.const 0)) (i32.const 1 (; SUBTASK ;)))
        (call $is (i32.load (i32.const 0)) (local.get $of))
        (i32.load (i32.const 4)))
      (func (export "run") (result i32)
        (local $waits i32) (local $holds i32) (local $set i32)
        (local.set $waits (call $handle (call $waits)))
        (local.set $holds (call $handle (call $holds)))
        (call $is (call $cancel (local.get $waits)) (i32.const -1 (; BLOCKED ;)))
        (local.set $set (call $waitable-set.new))
        (call $join (local.get $waits) (local.get $set))
        (call $join (local.get $holds) (local.get $set))
        ;; The states that the two end in: RETURNED and CANCELLED_BEFORE_RETURNED.
        (i32.add
          (i32.mul (call $next (local.get $set) (local.get $holds)) (i32.const 10))
          (call $next (local.get $set) (local.get $waits)))))
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $mem))
      (export "waits" (func $waits))
      (export "holds" (func $holds))
      (export "cancel" (func $cancel))
      (export "waitable-set.new" (func $waitable-set.new))
      (export "wait" (func $wait))
      (export "join" (func $join))))))
    (func (export "run") async (result u32) (canon lift (core func $m "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "waits" (func $c "waits")) (with "holds" (func $c "holds"))))
  (func (export "run") (alias export $d "run")))

(component instance $i $T)
(assert_return (invoke "run") (u32.const 24))

;; No built-in is cancellable any more: not in text, and in the binary the immediate of `thread.yield` has to be 0.

(assert_malformed
  (component quote "(canon thread.yield cancellable (core func $f))")
  "the `cancellable` option is no longer supported")
(component binary "\00asm" "\0d\00\01\00" "\08\03" "\01" "\0c\00")
(assert_malformed
  (component binary "\00asm" "\0d\00\01\00" "\08\03" "\01" "\0c\01")
  "invalid leading byte (0x1) for zero byte")
