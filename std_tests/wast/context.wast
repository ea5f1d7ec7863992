;; covers: context.get, context.set

;; Two slots a thread, 0 at first, kept while the thread waits.

(component
  (canon context.get i32 0 (core func $get0))
  (canon context.get i32 1 (core func $get1))
  (canon context.set i32 0 (core func $set0))
  (canon context.set i32 1 (core func $set1))
  (canon thread.yield (core func $thread.yield))
  (core module $M
    (import "" "get0" (func $get0 (result i32)))
    (import "" "get1" (func $get1 (result i32)))
    (import "" "set0" (func $set0 (param i32)))
    (import "" "set1" (func $set1 (param i32)))
    (import "" "thread.yield" (func $thread.yield (result i32)))

    (func (export "fresh") (result i32) (i32.or (call $get0) (call $get1)))
    (func (export "kept") (result i32)
      (call $set0 (i32.const 40))
      (call $set1 (i32.const 2))
      (drop (call $thread.yield))
      (i32.add (call $get0) (call $get1)))
    (func (export "apart") (result i32)
      (call $set1 (i32.const 7))
      (call $get0))
    (func (export "again") (result i32)
      (call $set0 (i32.const 1))
      (call $set0 (i32.const 0xffffffff))
      (call $get0)))
  (core instance $m (instantiate $M (with "" (instance
    (export "get0" (func $get0))
    (export "get1" (func $get1))
    (export "set0" (func $set0))
    (export "set1" (func $set1))
    (export "thread.yield" (func $thread.yield))))))
  (func (export "fresh") async (result u32) (canon lift (core func $m "fresh")))
  (func (export "kept") async (result u32) (canon lift (core func $m "kept")))
  (func (export "apart") async (result u32) (canon lift (core func $m "apart")))
  (func (export "again") async (result u32) (canon lift (core func $m "again"))))

(assert_return (invoke "fresh") (u32.const 0))
(assert_return (invoke "kept") (u32.const 42))
;; The next call is another thread.
(assert_return (invoke "fresh") (u32.const 0))
(assert_return (invoke "apart") (u32.const 0))
(assert_return (invoke "again") (u32.const 0xffffffff))

;; `realloc` runs on a thread of its own: it sees none of the slots of the thread that it interrupts, and leaves them alone.

(component
  (component $C
    (core module $Libc (memory (export "mem") 1))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "mem" (core memory $mem))
    (core module $M
      (import "" "mem" (memory 1))

      (data (i32.const 16) "text")
      (func (export "text") (result i32)
        (i32.store (i32.const 0) (i32.const 16))
        (i32.store (i32.const 4) (i32.const 4))
        (i32.const 0)))
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $mem))))))
    (func (export "text") (result string) (canon lift (core func $m "text") (memory $mem))))
  (component $D
    (import "text" (func $text (result string)))
    (canon context.get i32 0 (core func $get))
    (canon context.set i32 0 (core func $set))
    (core module $Libc
      (import "" "get" (func $get (result i32)))
      (import "" "set" (func $set (param i32)))
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (i32.store (i32.const 0) (call $get))
        (call $set (i32.const 9))
        (i32.const 64)))
    (core instance $libc (instantiate $Libc (with "" (instance (export "get" (func $get)) (export "set" (func $set))))))
    (canon lower (func $text) (memory (core memory $libc "mem")) (realloc (core func $libc "realloc")) (core func $text'))
    (core module $M
      (import "" "mem" (memory 1))
      (import "" "get" (func $get (result i32)))
      (import "" "set" (func $set (param i32)))
      (import "" "text" (func $text (param i32)))
      (func (export "run") (result i32)
        (i32.store (i32.const 0) (i32.const 5))
        (call $set (i32.const 700))
        (call $text (i32.const 8))
        ;; What `realloc` saw, and what is here.
        (i32.add (i32.load (i32.const 0)) (call $get))))
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $libc "mem"))
      (export "get" (func $get))
      (export "set" (func $set))
      (export "text" (func $text'))))))
    (func (export "run") (result u32) (canon lift (core func $m "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "text" (func $c "text"))))
  (func (export "run") (alias export $d "run")))

(assert_return (invoke "run") (u32.const 700))
