;; A race between two subtasks; whoever loses is cancelled.
;;
;;     $Hare      runs well, and then lies down and sleeps for ever
;;     $Tortoise  takes one step at a time
;;     $Race      starts both, waits for the first to arrive, cancels the other
;;
;; Run it:                   cargo canon run examples/cancel.wat
;; With another distance:    cargo canon run examples/cancel.wat --invoke 'race(1000)'
;;
;; pipeline.wat explains what a waitable set, an event and a callback are; this example shows
;;
;;   - *subtasks*: a call with the option `async` does not wait for the answer. It returns at once with the callee's
;;     state in bits 0..3 and, where it is not done, a handle in bits 4..31. The handle is a waitable like the end of a
;;     stream, so one can wait for several calls at once;
;;   - *cancellation*: `subtask.cancel` asks the callee to stop. It is a request: the callee gets it as an event, puts
;;     things in order, and answers with `task.cancel`, or with its result after all.
;;
;; The states of a subtask:
;;     0 STARTING    1 STARTED    2 RETURNED    3 CANCELLED before it started    4 CANCELLED before it returned
(component $cancel

  ;; ------------------------------------------------------------------------------------------------------
  ;; $Hare: `run: async func(distance: u32) -> u32`
  ;; ------------------------------------------------------------------------------------------------------
  (component $Hare
    (canon task.return (result u32) (core func $task.return))
    (canon task.cancel (core func $task.cancel))
    (canon waitable-set.new (core func $waitable-set.new))
    (canon waitable-set.drop (core func $waitable-set.drop))

    (core module $Main
      (import "canon" "task.return" (func $task.return (param i32)))
      (import "canon" "task.cancel" (func $task.cancel))
      (import "canon" "waitable-set.new" (func $waitable-set.new (result i32)))
      (import "canon" "waitable-set.drop" (func $waitable-set.drop (param i32)))

      (global $set (mut i32) (i32.const 0))

      (func (export "run") (param $distance i32) (result i32)
        ;; A short race is over before the hare gets tired.
        (if (i32.le_u (local.get $distance) (i32.const 3))
          (then
            (call $task.return (local.get $distance))
            (return (i32.const 0 (; EXIT ;)))))
        ;; A set that nothing is in has no event, ever. To wait for it is to sleep until somebody cancels us.
        (global.set $set (call $waitable-set.new))
        (i32.or (i32.const 2 (; WAIT ;)) (i32.shl (global.get $set) (i32.const 4))))

      (func (export "run-callback") (param $event i32) (param $waitable i32) (param $payload i32) (result i32)
        (if (i32.ne (local.get $event) (i32.const 6 (; TASK_CANCELLED ;))) (then unreachable))
        ;; Put things in order, then say that there will be no result.
        (call $waitable-set.drop (global.get $set))
        (call $task.cancel)
        (i32.const 0 (; EXIT ;))))

    (core instance $main (instantiate $Main (with "canon" (instance
      (export "task.return" (func $task.return))
      (export "task.cancel" (func $task.cancel))
      (export "waitable-set.new" (func $waitable-set.new))
      (export "waitable-set.drop" (func $waitable-set.drop))))))

    (func (export "run") async (param "distance" u32) (result u32)
      (canon lift (core func $main "run") async (callback (core func $main "run-callback")))))

  ;; ------------------------------------------------------------------------------------------------------
  ;; $Tortoise: the same type
  ;; ------------------------------------------------------------------------------------------------------
  (component $Tortoise
    (canon task.return (result u32) (core func $task.return))
    (canon task.cancel (core func $task.cancel))

    (core module $Main
      (import "canon" "task.return" (func $task.return (param i32)))
      (import "canon" "task.cancel" (func $task.cancel))

      (global $distance (mut i32) (i32.const 0))
      (global $steps (mut i32) (i32.const 0))

      (func (export "run") (param $distance i32) (result i32)
        (global.set $distance (local.get $distance))
        (global.set $steps (i32.const 0))
        (i32.const 1 (; YIELD: let the others run, then call me back ;)))

      (func (export "run-callback") (param $event i32) (param $waitable i32) (param $payload i32) (result i32)
        (if (i32.eq (local.get $event) (i32.const 6 (; TASK_CANCELLED ;)))
          (then
            (call $task.cancel)
            (return (i32.const 0 (; EXIT ;)))))
        ;; After a YIELD the event is 0, NONE. One more step.
        (global.set $steps (i32.add (global.get $steps) (i32.const 1)))
        (if (i32.lt_u (global.get $steps) (global.get $distance))
          (then (return (i32.const 1 (; YIELD ;)))))
        (call $task.return (global.get $steps))
        (i32.const 0 (; EXIT ;))))

    (core instance $main (instantiate $Main (with "canon" (instance
      (export "task.return" (func $task.return))
      (export "task.cancel" (func $task.cancel))))))

    (func (export "run") async (param "distance" u32) (result u32)
      (canon lift (core func $main "run") async (callback (core func $main "run-callback")))))

  ;; ------------------------------------------------------------------------------------------------------
  ;; $Race: `race: async func(distance: u32) -> report`, and `run`, a race of 10
  ;; ------------------------------------------------------------------------------------------------------
  (component $Race
    (import "hare" (func $hare async (param "distance" u32) (result u32)))
    (import "tortoise" (func $tortoise async (param "distance" u32) (result u32)))

    (type $report' (record
      (field "winner" string)
      (field "steps" u32)                            ;; the winner's result
      (field "other" string)))                       ;; what became of the other one
    (export $report "report" (type $report'))

    (core module $Memory
      (memory (export "mem") 1)
      (data (i32.const 0x40) "the hare")
      (data (i32.const 0x48) "the tortoise")
      (data (i32.const 0x54) "arrived")
      (data (i32.const 0x5b) "cancelled"))
    (core instance $memory (instantiate $Memory))

    ;; With `async` the core function takes one parameter more: where the result will be written.
    (canon lower (func $hare) async (memory (core memory $memory "mem")) (core func $hare'))
    (canon lower (func $tortoise) async (memory (core memory $memory "mem")) (core func $tortoise'))
    ;; Without `async`, subtask.cancel waits until the callee has answered.
    (canon subtask.cancel (core func $subtask.cancel))
    (canon subtask.drop (core func $subtask.drop))
    (canon waitable-set.new (core func $waitable-set.new))
    (canon waitable-set.wait (memory (core memory $memory "mem")) (core func $waitable-set.wait))
    (canon waitable-set.drop (core func $waitable-set.drop))
    (canon waitable.join (core func $waitable.join))

    (core module $Main
      (import "libc" "mem" (memory 1))
      (import "canon" "hare" (func $hare (param $distance i32) (param $result i32) (result i32)))
      (import "canon" "tortoise" (func $tortoise (param $distance i32) (param $result i32) (result i32)))
      (import "canon" "subtask.cancel" (func $subtask.cancel (param i32) (result i32)))
      (import "canon" "subtask.drop" (func $subtask.drop (param i32)))
      (import "canon" "waitable-set.new" (func $waitable-set.new (result i32)))
      (import "canon" "waitable-set.wait" (func $waitable-set.wait (param $set i32) (param $event i32) (result i32)))
      (import "canon" "waitable-set.drop" (func $waitable-set.drop (param i32)))
      (import "canon" "waitable.join" (func $waitable.join (param $waitable i32) (param $set i32)))

      ;; Memory:  0x00  the event: the waitable, the payload     0x10  the report: winner, steps, other
      ;;          0x08  the hare's result                        0x40  the names
      ;;          0x0c  the tortoise's result

      (func (export "run") (result i32) (call $race (i32.const 10)))

      (func $race (export "race") (param $distance i32) (result i32)
        (local $hare i32) (local $tortoise i32)
        (local.set $hare (call $hare (local.get $distance) (i32.const 0x08)))
        (local.set $tortoise (call $tortoise (local.get $distance) (i32.const 0x0c)))

        ;; Either may have arrived before its call came back; then there is no handle, and nothing to wait for.
        (if (i32.eq (local.get $hare) (i32.const 2 (; RETURNED ;)))
          (then
            (call $hare-wins)
            (call $finish (local.get $tortoise))
            (return (i32.const 0x10))))
        (if (i32.eq (local.get $tortoise) (i32.const 2 (; RETURNED ;)))
          (then
            (call $tortoise-wins)
            (call $finish (local.get $hare))
            (return (i32.const 0x10))))

        ;; Both are on their way.
        (if (i32.eq (call $first (local.get $hare) (local.get $tortoise)) (i32.shr_u (local.get $hare) (i32.const 4)))
          (then (call $hare-wins) (call $drop (local.get $hare)) (call $finish (local.get $tortoise)))
          (else (call $tortoise-wins) (call $drop (local.get $tortoise)) (call $finish (local.get $hare))))
        (i32.const 0x10))

      ;; Waits for both at once; answers with the handle of the one that arrives first.
      (func $first (param $a i32) (param $b i32) (result i32)
        (local $set i32)
        (local.set $a (i32.shr_u (local.get $a) (i32.const 4)))
        (local.set $b (i32.shr_u (local.get $b) (i32.const 4)))
        (local.set $set (call $waitable-set.new))
        (call $waitable.join (local.get $a) (local.get $set))
        (call $waitable.join (local.get $b) (local.get $set))
        (loop $wait
          (if (i32.ne (call $waitable-set.wait (local.get $set) (i32.const 0x00)) (i32.const 1 (; SUBTASK ;)))
            (then unreachable))
          ;; A subtask that has to queue for its callee tells us too when it starts. We wait on.
          (br_if $wait (i32.ne (i32.load (i32.const 0x04)) (i32.const 2 (; RETURNED ;)))))
        ;; Out of the set, which can then be dropped. (subtask.cancel without `async` demands it as well: one
        ;; cannot wait for the same thing in two places.)
        (call $waitable.join (local.get $a) (i32.const 0))
        (call $waitable.join (local.get $b) (i32.const 0))
        (call $waitable-set.drop (local.get $set))
        (i32.load (i32.const 0x00)))

      ;; Cancels the other one, if it is still under way, and notes what became of it.
      (func $finish (param $status i32)
        (if (i32.eq (local.get $status) (i32.const 2 (; RETURNED ;)))
          (then (return)))
        (if (i32.ge_u
              (call $subtask.cancel (i32.shr_u (local.get $status) (i32.const 4)))
              (i32.const 3 (; CANCELLED, one way or the other ;)))
          (then
            (i32.store (i32.const 0x1c) (i32.const 0x5b))
            (i32.store (i32.const 0x20) (i32.const 9))))
        (call $drop (local.get $status)))

      (func $drop (param $status i32)
        (call $subtask.drop (i32.shr_u (local.get $status) (i32.const 4))))

      (func $hare-wins
        (call $report (i32.const 0x40) (i32.const 8) (i32.load (i32.const 0x08))))

      (func $tortoise-wins
        (call $report (i32.const 0x48) (i32.const 12) (i32.load (i32.const 0x0c))))

      (func $report (param $name i32) (param $length i32) (param $steps i32)
        (i32.store (i32.const 0x10) (local.get $name))
        (i32.store (i32.const 0x14) (local.get $length))
        (i32.store (i32.const 0x18) (local.get $steps))
        (i32.store (i32.const 0x1c) (i32.const 0x54))
        (i32.store (i32.const 0x20) (i32.const 7))))

    (core instance $main (instantiate $Main
      (with "libc" (instance $memory))
      (with "canon" (instance
        (export "hare" (func $hare'))
        (export "tortoise" (func $tortoise'))
        (export "subtask.cancel" (func $subtask.cancel))
        (export "subtask.drop" (func $subtask.drop))
        (export "waitable-set.new" (func $waitable-set.new))
        (export "waitable-set.wait" (func $waitable-set.wait))
        (export "waitable-set.drop" (func $waitable-set.drop))
        (export "waitable.join" (func $waitable.join))))))

    (func (export "race") async (param "distance" u32) (result $report)
      (canon lift (core func $main "race") (memory (core memory $memory "mem"))))
    (func (export "run") async (result $report)
      (canon lift (core func $main "run") (memory (core memory $memory "mem")))))

  (instance $hare (instantiate $Hare))
  (instance $tortoise (instantiate $Tortoise))
  (instance $race (instantiate $Race
    (with "hare" (func $hare "run"))
    (with "tortoise" (func $tortoise "run"))))

  (export $report "report" (type $race "report"))
  (export "race" (func $race "race") (func async (param "distance" u32) (result $report)))
  (export "run" (func $race "run") (func async (result $report)))
)
