;; covers: lower, Trap::ListOutOfBounds, Trap::ListTooLong, Trap::Unaligned, Trap::OutOfBounds, Trap::ReallocOutOfBounds
;; covers: Trap::ReallocUnaligned, Trap::StringReallocOutOfBounds

(component definition $T
  (component $C
    (core module $Libc
      (memory (export "mem") 1)
      (global $top (mut i32) (i32.const 0x8000))
      ;; Gives out what comes next, aligned, and takes nothing back.
      (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
        (global.set $top (i32.and
          (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
        (memory.copy (global.get $top) (local.get $old) (local.get $old-size))
        (global.get $top)
        (global.set $top (i32.add (global.get $top) (local.get $size)))))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "mem" (core memory $mem))
    (alias core export $libc "realloc" (core func $realloc))
    (core module $M
      (import "" "mem" (memory 1))

      (func (export "pair") (param i32 i32) (result i32)
        (i32.store (i32.const 0) (local.get 0))
        (i32.store (i32.const 4) (local.get 1))
        (i32.const 0))
      (func (export "three") (param i32 i32 i32) (result i32)
        (i32.store (i32.const 0) (local.get 0))
        (i32.store (i32.const 4) (local.get 1))
        (i32.store (i32.const 8) (local.get 2))
        (i32.const 0))
      (func $at (param i32 i32) (result i32) (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)) (i32.const 0))
      (func (export "out-of-bounds") (result i32) (call $at (i32.const 0xfffc) (i32.const 2)))
      (func (export "out-of-bounds-empty") (result i32) (call $at (i32.const 0x10004) (i32.const 0)))
      (func (export "too-long") (result i32) (call $at (i32.const 0) (i32.const 0x04000000)))
      (func (export "unaligned") (result i32) (call $at (i32.const 2) (i32.const 1)))
      (func (export "result-unaligned") (result i32) (i32.const 2))
      (func (export "result-out-of-bounds") (result i32) (i32.const 0xfffc)))
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $mem))))))
    (func (export "words") (param "x" (list u32)) (result (list u32))
      (canon lift (core func $m "pair") (memory $mem) (realloc $realloc)))
    (func (export "lists") (param "x" (list (list u8))) (result (list (list u8)))
      (canon lift (core func $m "pair") (memory $mem) (realloc $realloc)))
    (func (export "tuples") (param "x" (list (tuple u8 string u64))) (result (list (tuple u8 string u64)))
      (canon lift (core func $m "pair") (memory $mem) (realloc $realloc)))
    (func (export "units") (param "x" (list (tuple bool))) (result (list (tuple bool)))
      (canon lift (core func $m "pair") (memory $mem) (realloc $realloc)))
    (func (export "fixed") (param "x" (list u32 3)) (result (list u32 3))
      (canon lift (core func $m "three") (memory $mem)))
    (func (export "out-of-bounds") (result (list u32)) (canon lift (core func $m "out-of-bounds") (memory $mem)))
    (func (export "out-of-bounds-empty") (result (list u32)) (canon lift (core func $m "out-of-bounds-empty") (memory $mem)))
    (func (export "too-long") (result (list u32)) (canon lift (core func $m "too-long") (memory $mem)))
    (func (export "unaligned") (result (list u32)) (canon lift (core func $m "unaligned") (memory $mem)))
    (func (export "result-unaligned") (result (list u32)) (canon lift (core func $m "result-unaligned") (memory $mem)))
    (func (export "result-out-of-bounds") (result (list u32)) (canon lift (core func $m "result-out-of-bounds") (memory $mem))))
  (component $D
    (import "words" (func $words' (param "x" (list u32)) (result (list u32))))
    (core module $Libc
      (memory (export "mem") 1)
      (global $top (mut i32) (i32.const 0x8000))
      ;; Gives out what comes next, aligned, and takes nothing back.
      (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
        (global.set $top (i32.and
          (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
        (memory.copy (global.get $top) (local.get $old) (local.get $old-size))
        (global.get $top)
        (global.set $top (i32.add (global.get $top) (local.get $size)))))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "mem" (core memory $mem))
    (alias core export $libc "realloc" (core func $realloc))
    (canon lower (func $words') (memory $mem) (realloc $realloc) (core func $words))
    (core module $M
      (import "" "mem" (memory 1))
      (import "" "words" (func $words (param i32 i32 i32)))

      ;; From here to the other instance and back.
      (func (export "words") (param i32 i32) (result i32)
        (call $words (local.get 0) (local.get 1) (i32.const 0x10))
        (i32.const 0x10)))
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $mem))
      (export "words" (func $words))))))
    (func (export "words") (param "x" (list u32)) (result (list u32))
      (canon lift (core func $m "words") (memory $mem) (realloc $realloc))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "words" (func $c "words"))))
  (func (export "through-two") (alias export $d "words"))
  (func (export "words") (alias export $c "words"))
  (func (export "lists") (alias export $c "lists"))
  (func (export "tuples") (alias export $c "tuples"))
  (func (export "units") (alias export $c "units"))
  (func (export "fixed") (alias export $c "fixed"))
  (func (export "out-of-bounds") (alias export $c "out-of-bounds"))
  (func (export "out-of-bounds-empty") (alias export $c "out-of-bounds-empty"))
  (func (export "too-long") (alias export $c "too-long"))
  (func (export "unaligned") (alias export $c "unaligned"))
  (func (export "result-unaligned") (alias export $c "result-unaligned"))
  (func (export "result-out-of-bounds") (alias export $c "result-out-of-bounds")))

(component instance $i $T)
(assert_return (invoke "words" (list.const)) (list.const))
(assert_return (invoke "words" (list.const (u32.const 1) (u32.const 2) (u32.const 3))) (list.const (u32.const 1) (u32.const 2) (u32.const 3)))
(assert_return (invoke "through-two" (list.const (u32.const 1) (u32.const 2) (u32.const 3))) (list.const (u32.const 1) (u32.const 2) (u32.const 3)))
(assert_return (invoke "through-two" (list.const)) (list.const))
(assert_return
  (invoke "lists" (list.const (list.const) (list.const (u8.const 1)) (list.const (u8.const 2) (u8.const 3))))
  (list.const (list.const) (list.const (u8.const 1)) (list.const (u8.const 2) (u8.const 3))))
(assert_return
  (invoke "tuples" (list.const (tuple.const (u8.const 1) (str.const "a") (u64.const 2)) (tuple.const (u8.const 3) (str.const "") (u64.const 4))))
  (list.const (tuple.const (u8.const 1) (str.const "a") (u64.const 2)) (tuple.const (u8.const 3) (str.const "") (u64.const 4))))
(assert_return (invoke "units" (list.const (tuple.const (bool.const true)))) (list.const (tuple.const (bool.const true))))
(assert_return (invoke "fixed" (list.const (u32.const 1) (u32.const 2) (u32.const 3))) (list.const (u32.const 1) (u32.const 2) (u32.const 3)))

(component instance $i $T)
(assert_trap (invoke "out-of-bounds") "list content out-of-bounds")
(component instance $i $T)
(assert_trap (invoke "out-of-bounds-empty") "list content out-of-bounds")
(component instance $i $T)
(assert_trap (invoke "too-long") "list too long")
(component instance $i $T)
(assert_trap (invoke "unaligned") "unaligned pointer")
(component instance $i $T)
(assert_trap (invoke "result-unaligned") "unaligned pointer")
(component instance $i $T)
(assert_trap (invoke "result-out-of-bounds") "pointer out of bounds of memory")

;; What `realloc` answers is checked, also where nothing is to be stored.

(component definition $R
  (core module $Libc
      (memory (export "mem") 1)
      (func (export "past") (param i32 i32 i32 i32) (result i32) (i32.const 0xfffc))
      (func (export "odd") (param i32 i32 i32 i32) (result i32) (i32.const 0x1001))
      (func (export "trap") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $libc (instantiate $Libc))
  (alias core export $libc "mem" (core memory $mem))
  (core module $M
    (import "" "mem" (memory 1))

    (global $answer (mut i32) (i32.const 0))
    (func (export "take") (param i32 i32)))
  (core instance $m (instantiate $M (with "" (instance
    (export "mem" (memory $mem))))))
  (func (export "out-of-bounds") (param "x" (list u32)) (canon lift (core func $m "take") (memory $mem) (realloc (core func $libc "past"))))
  (func (export "unaligned") (param "x" (list u32)) (canon lift (core func $m "take") (memory $mem) (realloc (core func $libc "odd"))))
  (func (export "unaligned-bytes") (param "x" string) (canon lift (core func $m "take") (memory $mem) (realloc (core func $libc "odd"))))
  (func (export "out-of-bounds-string") (param "x" string) (canon lift (core func $m "take") (memory $mem) (realloc (core func $libc "past"))))
  (func (export "traps") (param "x" string) (canon lift (core func $m "take") (memory $mem) (realloc (core func $libc "trap")))))

(component instance $i $R)
(assert_return (invoke "unaligned-bytes" (str.const "text")))
(assert_return (invoke "out-of-bounds-string" (str.const "four")))
(assert_trap (invoke "out-of-bounds-string" (str.const "more than four")) "string content out-of-bounds: realloc return: beyond end of memory")
(component instance $i $R)
(assert_trap (invoke "out-of-bounds" (list.const (u32.const 1) (u32.const 2))) "list content out-of-bounds: realloc return: beyond end of memory")
(component instance $i $R)
(assert_trap (invoke "unaligned" (list.const (u32.const 1))) "unaligned pointer: realloc return: result not aligned")
(component instance $i $R)
(assert_trap (invoke "unaligned" (list.const)) "unaligned pointer: realloc return: result not aligned")
(component instance $i $R)
(assert_trap (invoke "traps" (str.const "")) "wasm `unreachable` instruction executed")
