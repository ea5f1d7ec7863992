;; covers: lower, task.return

;; 64-bit memories: guests that have one, guests that have none, and the host, which never knows.

;; Pointers in every place, from width to width and back.

(component
  ;; Gives back what it is given, with 32-bit pointers: $v is flat for the parameter and in memory for the result.
  (component $EchoNarrow
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
    (type $halves (list u16))
    (type $strings (list string))
    (type $halves-or-none (option $halves))
    (type $v (tuple u8 string $halves-or-none $strings))
    (core module $M
      (import "" "mem" (memory 1))
      (func (export "echo") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
        (i32.store8 (i32.const 0x100) (local.get 0))
        (i32.store (i32.const 0x104) (local.get 1))
        (i32.store (i32.const 0x108) (local.get 2))
        (i32.store8 (i32.const 0x10c) (local.get 3))
        (i32.store (i32.const 0x110) (local.get 4))
        (i32.store (i32.const 0x114) (local.get 5))
        (i32.store (i32.const 0x118) (local.get 6))
        (i32.store (i32.const 0x11c) (local.get 7))
        (i32.const 0x100)))
    (core instance $m (instantiate $M (with "" (instance (export "mem" (memory $mem))))))
    (func (export "echo") async (param "v" $v) (result $v)
      (canon lift (core func $m "echo") (memory $mem) (realloc $realloc))))

  ;; Gives back what it is given, with 64-bit pointers: $v is flat for the parameter and in memory for the result.
  (component $EchoWide
    (core module $Libc
      (memory (export "mem") i64 1)
      (global $top (mut i64) (i64.const 0x8000))
      ;; Gives out what comes next, aligned, and takes nothing back.
      (func (export "realloc") (param $old i64) (param $old-size i64) (param $align i64) (param $size i64) (result i64)
        (global.set $top (i64.and
          (i64.add (global.get $top) (i64.sub (local.get $align) (i64.const 1)))
          (i64.sub (i64.const 0) (local.get $align))))
        (memory.copy (global.get $top) (local.get $old) (local.get $old-size))
        (global.get $top)
        (global.set $top (i64.add (global.get $top) (local.get $size)))))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "mem" (core memory $mem))
    (alias core export $libc "realloc" (core func $realloc))
    (type $halves (list u16))
    (type $strings (list string))
    (type $halves-or-none (option $halves))
    (type $v (tuple u8 string $halves-or-none $strings))
    (core module $M
      (import "" "mem" (memory i64 1))
      (func (export "echo") (param i32 i64 i64 i32 i64 i64 i64 i64) (result i64)
        (i32.store8 (i64.const 0x100) (local.get 0))
        (i64.store (i64.const 0x108) (local.get 1))
        (i64.store (i64.const 0x110) (local.get 2))
        (i32.store8 (i64.const 0x118) (local.get 3))
        (i64.store (i64.const 0x120) (local.get 4))
        (i64.store (i64.const 0x128) (local.get 5))
        (i64.store (i64.const 0x130) (local.get 6))
        (i64.store (i64.const 0x138) (local.get 7))
        (i64.const 0x100)))
    (core instance $m (instantiate $M (with "" (instance (export "mem" (memory $mem))))))
    (func (export "echo") async (param "v" $v) (result $v)
      (canon lift (core func $m "echo") (memory $mem) (realloc $realloc))))

  ;; Passes it on with `async`, so that the parameter is in memory too, and answers with `task.return`.
  (component $PassNarrow
    (type $halves (list u16))
    (type $strings (list string))
    (type $halves-or-none (option $halves))
    (type $v (tuple u8 string $halves-or-none $strings))
    (import "echo" (func $echo' async (param "v" $v) (result $v)))
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
    (canon lower (func $echo') async (memory $mem) (realloc $realloc) (core func $echo))
    (canon task.return (result $v) (memory $mem) (core func $task.return))
    (core module $M
      (import "" "mem" (memory 1))
      (import "" "echo" (func $echo (param i32 i32) (result i32)))
      (import "" "task.return" (func $task.return (param i32 i32 i32 i32 i32 i32 i32 i32)))
      (func (export "pass") (param i32 i32 i32 i32 i32 i32 i32 i32)
        (i32.store8 (i32.const 0x100) (local.get 0))
        (i32.store (i32.const 0x104) (local.get 1))
        (i32.store (i32.const 0x108) (local.get 2))
        (i32.store8 (i32.const 0x10c) (local.get 3))
        (i32.store (i32.const 0x110) (local.get 4))
        (i32.store (i32.const 0x114) (local.get 5))
        (i32.store (i32.const 0x118) (local.get 6))
        (i32.store (i32.const 0x11c) (local.get 7))
        (if (i32.ne (call $echo (i32.const 0x100) (i32.const 0x200)) (i32.const 2 (; RETURNED ;))) (then unreachable))
        (call $task.return
          (i32.load8_u (i32.const 0x200))
          (i32.load (i32.const 0x204)) (i32.load (i32.const 0x208))
          (i32.load8_u (i32.const 0x20c))
          (i32.load (i32.const 0x210)) (i32.load (i32.const 0x214))
          (i32.load (i32.const 0x218)) (i32.load (i32.const 0x21c)))))
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $mem))
      (export "echo" (func $echo))
      (export "task.return" (func $task.return))))))
    (func (export "pass") async (param "v" $v) (result $v)
      (canon lift (core func $m "pass") async (memory $mem) (realloc $realloc))))

  ;; Passes it on with `async`, so that the parameter is in memory too, and answers with `task.return`.
  (component $PassWide
    (type $halves (list u16))
    (type $strings (list string))
    (type $halves-or-none (option $halves))
    (type $v (tuple u8 string $halves-or-none $strings))
    (import "echo" (func $echo' async (param "v" $v) (result $v)))
    (core module $Libc
      (memory (export "mem") i64 1)
      (global $top (mut i64) (i64.const 0x8000))
      ;; Gives out what comes next, aligned, and takes nothing back.
      (func (export "realloc") (param $old i64) (param $old-size i64) (param $align i64) (param $size i64) (result i64)
        (global.set $top (i64.and
          (i64.add (global.get $top) (i64.sub (local.get $align) (i64.const 1)))
          (i64.sub (i64.const 0) (local.get $align))))
        (memory.copy (global.get $top) (local.get $old) (local.get $old-size))
        (global.get $top)
        (global.set $top (i64.add (global.get $top) (local.get $size)))))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "mem" (core memory $mem))
    (alias core export $libc "realloc" (core func $realloc))
    (canon lower (func $echo') async (memory $mem) (realloc $realloc) (core func $echo))
    (canon task.return (result $v) (memory $mem) (core func $task.return))
    (core module $M
      (import "" "mem" (memory i64 1))
      (import "" "echo" (func $echo (param i64 i64) (result i32)))
      (import "" "task.return" (func $task.return (param i32 i64 i64 i32 i64 i64 i64 i64)))
      (func (export "pass") (param i32 i64 i64 i32 i64 i64 i64 i64)
        (i32.store8 (i64.const 0x100) (local.get 0))
        (i64.store (i64.const 0x108) (local.get 1))
        (i64.store (i64.const 0x110) (local.get 2))
        (i32.store8 (i64.const 0x118) (local.get 3))
        (i64.store (i64.const 0x120) (local.get 4))
        (i64.store (i64.const 0x128) (local.get 5))
        (i64.store (i64.const 0x130) (local.get 6))
        (i64.store (i64.const 0x138) (local.get 7))
        (if (i32.ne (call $echo (i64.const 0x100) (i64.const 0x200)) (i32.const 2 (; RETURNED ;))) (then unreachable))
        (call $task.return
          (i32.load8_u (i64.const 0x200))
          (i64.load (i64.const 0x208)) (i64.load (i64.const 0x210))
          (i32.load8_u (i64.const 0x218))
          (i64.load (i64.const 0x220)) (i64.load (i64.const 0x228))
          (i64.load (i64.const 0x230)) (i64.load (i64.const 0x238)))))
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $mem))
      (export "echo" (func $echo))
      (export "task.return" (func $task.return))))))
    (func (export "pass") async (param "v" $v) (result $v)
      (canon lift (core func $m "pass") async (memory $mem) (realloc $realloc))))

  (instance $echo-narrow-to-narrow (instantiate $EchoNarrow))
  (instance $pass-narrow-to-narrow (instantiate $PassNarrow (with "echo" (func $echo-narrow-to-narrow "echo"))))
  (func (export "narrow-to-narrow") (alias export $pass-narrow-to-narrow "pass"))
  (instance $echo-narrow-to-wide (instantiate $EchoWide))
  (instance $pass-narrow-to-wide (instantiate $PassNarrow (with "echo" (func $echo-narrow-to-wide "echo"))))
  (func (export "narrow-to-wide") (alias export $pass-narrow-to-wide "pass"))
  (instance $echo-wide-to-narrow (instantiate $EchoNarrow))
  (instance $pass-wide-to-narrow (instantiate $PassWide (with "echo" (func $echo-wide-to-narrow "echo"))))
  (func (export "wide-to-narrow") (alias export $pass-wide-to-narrow "pass"))
  (instance $echo-wide-to-wide (instantiate $EchoWide))
  (instance $pass-wide-to-wide (instantiate $PassWide (with "echo" (func $echo-wide-to-wide "echo"))))
  (func (export "wide-to-wide") (alias export $pass-wide-to-wide "pass"))
  (func (export "echo-wide") (alias export $echo-wide-to-wide "echo")))

(assert_return (invoke "narrow-to-narrow" (tuple.const
  (u8.const 7) (str.const "höher →🦀") (option.some (list.const (u16.const 1) (u16.const 0xfffe)))
  (list.const (str.const "one") (str.const "") (str.const "three"))))
  (tuple.const
  (u8.const 7) (str.const "höher →🦀") (option.some (list.const (u16.const 1) (u16.const 0xfffe)))
  (list.const (str.const "one") (str.const "") (str.const "three"))))
(assert_return (invoke "narrow-to-narrow" (tuple.const (u8.const 0) (str.const "") (option.none) (list.const)))
  (tuple.const (u8.const 0) (str.const "") (option.none) (list.const)))
(assert_return (invoke "narrow-to-wide" (tuple.const
  (u8.const 7) (str.const "höher →🦀") (option.some (list.const (u16.const 1) (u16.const 0xfffe)))
  (list.const (str.const "one") (str.const "") (str.const "three"))))
  (tuple.const
  (u8.const 7) (str.const "höher →🦀") (option.some (list.const (u16.const 1) (u16.const 0xfffe)))
  (list.const (str.const "one") (str.const "") (str.const "three"))))
(assert_return (invoke "narrow-to-wide" (tuple.const (u8.const 0) (str.const "") (option.none) (list.const)))
  (tuple.const (u8.const 0) (str.const "") (option.none) (list.const)))
(assert_return (invoke "wide-to-narrow" (tuple.const
  (u8.const 7) (str.const "höher →🦀") (option.some (list.const (u16.const 1) (u16.const 0xfffe)))
  (list.const (str.const "one") (str.const "") (str.const "three"))))
  (tuple.const
  (u8.const 7) (str.const "höher →🦀") (option.some (list.const (u16.const 1) (u16.const 0xfffe)))
  (list.const (str.const "one") (str.const "") (str.const "three"))))
(assert_return (invoke "wide-to-narrow" (tuple.const (u8.const 0) (str.const "") (option.none) (list.const)))
  (tuple.const (u8.const 0) (str.const "") (option.none) (list.const)))
(assert_return (invoke "wide-to-wide" (tuple.const
  (u8.const 7) (str.const "höher →🦀") (option.some (list.const (u16.const 1) (u16.const 0xfffe)))
  (list.const (str.const "one") (str.const "") (str.const "three"))))
  (tuple.const
  (u8.const 7) (str.const "höher →🦀") (option.some (list.const (u16.const 1) (u16.const 0xfffe)))
  (list.const (str.const "one") (str.const "") (str.const "three"))))
(assert_return (invoke "wide-to-wide" (tuple.const (u8.const 0) (str.const "") (option.none) (list.const)))
  (tuple.const (u8.const 0) (str.const "") (option.none) (list.const)))
(assert_return (invoke "echo-wide" (tuple.const
  (u8.const 7) (str.const "höher →🦀") (option.some (list.const (u16.const 1) (u16.const 0xfffe)))
  (list.const (str.const "one") (str.const "") (str.const "three"))))
  (tuple.const
  (u8.const 7) (str.const "höher →🦀") (option.some (list.const (u16.const 1) (u16.const 0xfffe)))
  (list.const (str.const "one") (str.const "") (str.const "three"))))
(assert_return (invoke "echo-wide" (tuple.const (u8.const 0) (str.const "") (option.none) (list.const)))
  (tuple.const (u8.const 0) (str.const "") (option.none) (list.const)))
