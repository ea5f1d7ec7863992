;; covers: stream.read, stream.cancel-read, stream.cancel-write, future.cancel-read, thread.yield
;; covers: Trap::CannotLeave, Trap::HandleKind

;; What took other hosts down (docs/rules.md, "Advisories"): each is a guest's error here, or nothing at all.

;; GHSA-7v24-42x9-pxf7: `realloc` of a stream's elements cancels the read that it serves.
(component definition $Leaves
  (component $Reader
    (type $s (stream string))
    (core module $Libc
      (import "" "cancel" (func $cancel (param i32) (result i32)))
      (memory (export "mem") 1)
      (global $end (export "end") (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (if (global.get $end) (then (drop (call $cancel (global.get $end)))))
        (i32.const 128)))
    (core func $cancel (canon stream.cancel-read $s async))
    (core instance $libc (instantiate $Libc (with "" (instance (export "cancel" (func $cancel))))))
    (core func $read (canon stream.read $s async (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (core func $return (canon task.return))
    (core func $yield (canon thread.yield))
    (core module $M
      (import "" "read" (func $read (param i32 i32 i32) (result i32)))
      (import "" "return" (func $return))
      (import "" "yield" (func $yield (result i32)))
      (import "libc" "end" (global $end (mut i32)))
      (func (export "take") (param i32)
        (global.set $end (local.get 0))
        ;; BLOCKED: the writer comes while this yields.
        (if (i32.ne (call $read (local.get 0) (i32.const 0) (i32.const 4)) (i32.const -1)) (then unreachable))
        (call $return)
        (drop (call $yield))))
    (core instance $m (instantiate $M (with "libc" (instance $libc)) (with "" (instance
      (export "read" (func $read)) (export "return" (func $return)) (export "yield" (func $yield))))))
    (func (export "take") async (param "s" $s) (canon lift (core func $m "take") async)))
  (instance $reader (instantiate $Reader))
  (component $Writer
    (type $s (stream string))
    (import "take" (func $take async (param "s" $s)))
    (core module $Libc (memory (export "mem") 1))
    (core instance $libc (instantiate $Libc))
    (core func $take' (canon lower (func $take)))
    (core func $new (canon stream.new $s))
    (core func $write (canon stream.write $s async (memory (core memory $libc "mem"))))
    (core module $M
      (import "libc" "mem" (memory 1))
      (import "" "take" (func $take (param i32)))
      (import "" "new" (func $new (result i64)))
      (import "" "write" (func $write (param i32 i32 i32) (result i32)))
      (func (export "run") (result i32) (local $ends i64)
        (local.set $ends (call $new))
        (call $take (i32.wrap_i64 (local.get $ends)))
        (i32.store (i32.const 0) (i32.const 64))
        (i32.store (i32.const 4) (i32.const 3))
        (call $write (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))) (i32.const 0) (i32.const 1))))
    (core instance $m (instantiate $M (with "libc" (instance $libc)) (with "" (instance
      (export "take" (func $take')) (export "new" (func $new)) (export "write" (func $write))))))
    (func (export "run") async (result u32) (canon lift (core func $m "run"))))
  (instance $writer (instantiate $Writer (with "take" (func $reader "take"))))
  (export "run" (func $writer "run")))
(component instance $leaves $Leaves)
(assert_trap (invoke "run") "cannot leave component instance")

;; GHSA-xrvr-8678-5wp8: a copy is cancelled on the wrong end, while that end's own copy is under way.
(component definition $WrongEnd
  (type $s (stream u8))
  (type $f (future u8))
  (core module $Libc (memory (export "mem") 1))
  (core instance $libc (instantiate $Libc))
  (core func $new (canon stream.new $s))
  (core func $read (canon stream.read $s async (memory (core memory $libc "mem"))))
  (core func $write (canon stream.write $s async (memory (core memory $libc "mem"))))
  (core func $cancel-read (canon stream.cancel-read $s async))
  (core func $cancel-write (canon stream.cancel-write $s async))
  (core func $future-cancel-read (canon future.cancel-read $f async))
  (core module $M
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "cancel-read" (func $cancel-read (param i32) (result i32)))
    (import "" "cancel-write" (func $cancel-write (param i32) (result i32)))
    (import "" "future-cancel-read" (func $future-cancel-read (param i32) (result i32)))
    (func $reads (result i32) (local $end i32)
      (local.set $end (i32.wrap_i64 (call $new)))
      (drop (call $read (local.get $end) (i32.const 0) (i32.const 4)))
      (local.get $end))
    (func $writes (result i32) (local $end i32)
      (local.set $end (i32.wrap_i64 (i64.shr_u (call $new) (i64.const 32))))
      (drop (call $write (local.get $end) (i32.const 0) (i32.const 4)))
      (local.get $end))
    (func (export "write-of-reader") (result i32) (call $cancel-write (call $reads)))
    (func (export "read-of-writer") (result i32) (call $cancel-read (call $writes)))
    (func (export "future-of-stream") (result i32) (call $future-cancel-read (call $reads))))
  (core instance $m (instantiate $M (with "" (instance
    (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
    (export "cancel-read" (func $cancel-read)) (export "cancel-write" (func $cancel-write))
    (export "future-cancel-read" (func $future-cancel-read))))))
  (func (export "write-of-reader") (result u32) (canon lift (core func $m "write-of-reader")))
  (func (export "read-of-writer") (result u32) (canon lift (core func $m "read-of-writer")))
  (func (export "future-of-stream") (result u32) (canon lift (core func $m "future-of-stream"))))
(component instance $wrong $WrongEnd)
(assert_trap (invoke "write-of-reader")
  "handle index 1 used with the wrong type, expected the writable end of a stream but found the readable end of a stream")
(component instance $wrong $WrongEnd)
(assert_trap (invoke "read-of-writer")
  "handle index 2 used with the wrong type, expected the readable end of a stream but found the writable end of a stream")
(component instance $wrong $WrongEnd)
(assert_trap (invoke "future-of-stream")
  "handle index 1 used with the wrong type, expected the readable end of a future but found the readable end of a stream")

;; GHSA-54p9-vhhq-8f7q: an instance calls itself, so that a string is transcoded over itself. Text arrives all the same: 0
;; says that no surrogate is alone.
(component definition $Overlap
  (core module $Libc (memory (export "mem") 1)
    (data (i32.const 16) "\f0\9f\8d\b0\f0\9f\8d\b0\f0\9f\8d\b0\f0\9f\8d\b0")
    (global $to (export "to") (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (global.get $to))
    (func (export "take") (param $at i32) (param $units i32) (result i32) (local $unit i32) (local $high i32)
      (if (i32.eqz (local.get $units)) (then unreachable))
      (loop $next (result i32)
        (local.set $unit (i32.and (i32.load16_u (local.get $at)) (i32.const 0xfc00)))
        (if (i32.ne (local.get $high) (i32.eq (local.get $unit) (i32.const 0xdc00))) (then (return (i32.const 1))))
        (local.set $high (i32.eq (local.get $unit) (i32.const 0xd800)))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (br_if $next (local.tee $units (i32.sub (local.get $units) (i32.const 1))))
        (local.get $high))))
  (core instance $libc (instantiate $Libc))
  (func $take (param "s" string) (result u32) (canon lift (core func $libc "take") string-encoding=utf16
    (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
  (core func $take' (canon lower (func $take) (memory (core memory $libc "mem"))))
  (core module $M
    (import "" "take" (func $take (param i32 i32) (result i32)))
    (import "libc" "to" (global $to (mut i32)))
    (func (export "run") (param i32) (result i32)
      (global.set $to (local.get 0))
      (call $take (i32.const 16) (i32.const 16))))
  (core instance $m (instantiate $M (with "libc" (instance $libc)) (with "" (instance (export "take" (func $take'))))))
  (func (export "run") (param "to" u32) (result u32) (canon lift (core func $m "run"))))
(component instance $overlap $Overlap)
(assert_return (invoke "run" (u32.const 18)) (u32.const 0))
(component instance $overlap $Overlap)
(assert_return (invoke "run" (u32.const 16)) (u32.const 0))
(component instance $overlap $Overlap)
(assert_return (invoke "run" (u32.const 12)) (u32.const 0))

;; GHSA-m758-wjhj-p3jq: flags have bits set that have no label, on their way to the host and between guests.
(component $Flags
  (component $Inner
    (type $three' (flags "a" "b" "c"))
    (export $three "three" (type $three'))
    (core module $M
      (func (export "all") (result i32) (i32.const -1))
      (func (export "same") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $M))
    (func (export "all") (result $three) (canon lift (core func $m "all")))
    (func (export "same") (param "f" $three) (result u32) (canon lift (core func $m "same"))))
  (instance $inner (instantiate $Inner))
  (alias export $inner "same" (func $same))
  (core func $same' (canon lower (func $same)))
  (core module $M (import "" "same" (func $same (param i32) (result i32)))
    (func (export "passed") (result i32) (call $same (i32.const -1))))
  (core instance $m (instantiate $M (with "" (instance (export "same" (func $same'))))))
  (export $three "three" (type $inner "three"))
  (export "all" (func $inner "all") (func (result $three)))
  (func (export "passed") (result u32) (canon lift (core func $m "passed"))))
(assert_return (invoke "all") (flags.const "a" "b" "c"))
(assert_return (invoke "passed") (u32.const 7))

;; GHSA-5hhx-4wrr-3j9g: a start function calls a function with `async`, and yields. It can't block.
(assert_trap (component
  (component $Callee
    (core module $M (func (export "f") (result i32) (i32.const 1)) ;; YIELD
      (func (export "cb") (param i32 i32 i32) (result i32) (i32.const 1)))
    (core instance $m (instantiate $M))
    (func (export "f") async (canon lift (core func $m "f") async (callback (core func $m "cb")))))
  (instance $callee (instantiate $Callee))
  (core func $f (canon lower (func $callee "f") async))
  (core func $yield (canon thread.yield))
  (core module $M
    (import "" "f" (func $f (result i32)))
    (import "" "yield" (func $yield (result i32)))
    (func $start (drop (call $f)) (drop (call $yield)) unreachable)
    (start $start))
  (core instance $m (instantiate $M (with "" (instance (export "f" (func $f)) (export "yield" (func $yield)))))))
  "deadlock detected: event loop cannot make further progress (cannot block a synchronous task before returning)")

;; GHSA-6fr9-xmw9-5352: one handle is lent to its own instance many times in a call. The lends are counted, against the
;; store's limit, until the call ends; then there is room for as many.
(component $Lends
  (component $Owner
    (type $R' (resource (rep i32)))
    (core func $new (canon resource.new $R'))
    (core module $M (import "" "new" (func $new (param i32) (result i32)))
      (memory (export "mem") 16)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
      (func (export "make") (result i32) (call $new (i32.const 42)))
      (func (export "take") (param i32 i32) (result i32) (local.get 1)))
    (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
    (export $R "r" (type $R'))
    (func (export "make") (result (own $R)) (canon lift (core func $m "make")))
    (func (export "take") (param "rs" (list (borrow $R))) (result u32)
      (canon lift (core func $m "take") (memory (core memory $m "mem")) (realloc (core func $m "realloc")))))
  (instance $owner (instantiate $Owner))
  (component $User
    (import "r" (type $R (sub resource)))
    (import "make" (func $make (result (own $R))))
    (import "take" (func $take (param "rs" (list (borrow $R))) (result u32)))
    (core module $Libc (memory (export "mem") 16))
    (core instance $libc (instantiate $Libc))
    (core func $make' (canon lower (func $make)))
    (core func $take' (canon lower (func $take) (memory (core memory $libc "mem"))))
    (core func $drop (canon resource.drop $R))
    (core module $M
      (import "libc" "mem" (memory 16))
      (import "" "make" (func $make (result i32)))
      (import "" "take" (func $take (param i32 i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "run") (param $n i32) (param $calls i32) (result i32) (local $r i32) (local $at i32)
        (local.set $r (call $make))
        (loop $next
          (i32.store (i32.shl (local.get $at) (i32.const 2)) (local.get $r))
          (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $n))))
        (loop $next
          (if (i32.ne (call $take (i32.const 0) (local.get $n)) (local.get $n)) (then unreachable))
          (br_if $next (local.tee $calls (i32.sub (local.get $calls) (i32.const 1)))))
        ;; Nothing is lent any more.
        (call $drop (local.get $r))
        (local.get $n)))
    (core instance $m (instantiate $M (with "libc" (instance $libc)) (with "" (instance
      (export "make" (func $make')) (export "take" (func $take')) (export "drop" (func $drop))))))
    (func (export "run") (param "n" u32) (param "calls" u32) (result u32) (canon lift (core func $m "run"))))
  (instance $user (instantiate $User (with "r" (type $owner "r"))
    (with "make" (func $owner "make")) (with "take" (func $owner "take"))))
  (export "run" (func $user "run")))
(assert_return (invoke "run" (u32.const 50000) (u32.const 10)) (u32.const 50000))

;; GHSA-4h67-722j-5pmc: the host calls a built-in that is lifted, and it fails.
(component $Lifted
  (core func $drop (canon waitable-set.drop))
  (func (export "drop") (param "set" u32) (canon lift (core func $drop))))
(assert_trap (invoke "drop" (u32.const 7)) "unknown handle index 7")
