;; Each directive, and what it does to names.

;; The last instance is the one that is meant where none is named.
(component $one (core module $M (func (export "f") (result i32) (i32.const 1)))
  (core instance $m (instantiate $M))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))
(component $two (core module $M (func (export "f") (result i32) (i32.const 2)))
  (core instance $m (instantiate $M))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))
(assert_return (invoke "f") (u32.const 2))
(assert_return (invoke $one "f") (u32.const 1))
(invoke $two "f")

;; A definition is no instance; it can become many, each with a state of its own.
(component definition $Counter
  (core module $M
    (global $n (mut i32) (i32.const 0))
    (func (export "next") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (global.get $n)))
  (core instance $m (instantiate $M))
  (func (export "next") (result u32) (canon lift (core func $m "next"))))
(assert_return (invoke "f") (u32.const 2))
(component instance $a $Counter)
(component instance $b $Counter)
(assert_return (invoke $a "next") (u32.const 1))
(assert_return (invoke $a "next") (u32.const 2))
(assert_return (invoke $b "next") (u32.const 1))
(assert_return (invoke "next") (u32.const 2))

;; Without a name the last definition is meant.
(component instance $c)
(assert_return (invoke "next") (u32.const 1))

;; An instance can be imported by its name, and by what it is registered as.
(component
  (import "a" (instance $a (export "next" (func (result u32)))))
  (export "next" (func $a "next")))
(assert_return (invoke "next") (u32.const 3))
(register "counter" $b)
(component
  (import "counter" (instance $counter (export "next" (func (result u32)))))
  (export "next" (func $counter "next")))
(assert_return (invoke "next") (u32.const 3))

;; What is not there, or of another type.
(assert_unlinkable
  (component (import "nobody" (func)))
  "import \"nobody\" is missing")
(assert_unlinkable
  (component (import "a" (instance (export "previous" (func (result u32))))))
  "a#previous")
(assert_unlinkable
  (component (import "a" (instance (export "next" (func (result string))))))
  "import \"a#next\": result: expected string, found u32")

;; Traps: of a call, and of a start function.
(component definition $Trap
  (core module $M
    (func (export "f") unreachable)
    (func (export "g") (result i32) (i32.const 0xd800)))
  (core instance $m (instantiate $M))
  (func (export "f") (canon lift (core func $m "f")))
  (func (export "g") (result char) (canon lift (core func $m "g"))))
(component instance $t $Trap)
(assert_trap (invoke "f") "unreachable")
(assert_trap (invoke "f") "wasm trap: cannot enter component instance")
(component instance $t $Trap)
(assert_trap (invoke "g") "invalid `char` bit pattern")
(assert_trap
  (component
    (core module $M (func $start unreachable) (start $start))
    (core instance (instantiate $M)))
  "unreachable")

;; Nobody will ever write.
(component
  (core module $Memory (memory (export "mem") 1))
  (core instance $memory (instantiate $Memory))
  (type $f (future))
  (canon future.new $f (core func $new))
  (canon future.read $f async (core func $read))
  (canon waitable-set.new (core func $set))
  (canon waitable-set.wait (memory (core memory $memory "mem")) (core func $wait))
  (canon waitable.join (core func $join))
  (core module $M
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32) (result i32)))
    (import "" "set" (func $set (result i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (func (export "wait")
      (local $end i32) (local $set i32)
      (local.set $end (i32.wrap_i64 (call $new)))
      (local.set $set (call $set))
      (drop (call $read (local.get $end) (i32.const 0)))
      (call $join (local.get $end) (local.get $set))
      (drop (call $wait (local.get $set) (i32.const 0)))))
  (core instance $m (instantiate $M (with "" (instance
    (export "new" (func $new)) (export "read" (func $read)) (export "set" (func $set))
    (export "wait" (func $wait)) (export "join" (func $join))))))
  (func (export "wait") async (canon lift (core func $m "wait"))))
(assert_trap (invoke "wait") "deadlock detected: event loop cannot make further progress")

;; What is no component.
(assert_invalid
  (component (core module $M) (core instance (instantiate $M (with "" (instance))) ) (alias core export 0 "f" (core func)))
  "")
(assert_invalid
  (component quote "(export \"f\" (func $nothing))")
  "unknown func")
(assert_malformed
  (component binary "\00asm" "\0d\00\01\00" "\01\05\00")
  "unexpected end")
