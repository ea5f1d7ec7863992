;; spec: #705, #650
;; covers: lower, Trap::CannotEnter

;; $Parent calls its child, the child calls its parent, and that the child again, while all of them run.

(component definition $T
  (core module $Table (table (export "tbl") 1 funcref))
  (core instance $table (instantiate $Table))
  (alias core export $table "tbl" (core table $tbl))
  (core module $Parent
    (import "" "tbl" (table $tbl 1 funcref))
    (type $f (func (param i32) (result i32)))
    ;; What the child calls: for 0 it answers, for more it calls the child.
    (func (export "back") (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 42))))
      (call_indirect $tbl (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))
    (func (export "run") (param i32) (result i32)
      (call_indirect $tbl (type $f) (local.get 0) (i32.const 0))))
  (core instance $parent (instantiate $Parent (with "" (instance (export "tbl" (table $tbl))))))
  (func $back (param "n" u32) (result u32) (canon lift (core func $parent "back")))
  (component $Child
    (import "back" (func $back' (param "n" u32) (result u32)))
    (canon lower (func $back') (core func $back))
    (core module $M
      (import "" "back" (func $back (param i32) (result i32)))

      (func (export "child") (param i32) (result i32) (call $back (local.get 0))))
    (core instance $m (instantiate $M (with "" (instance
      (export "back" (func $back))))))
    (func (export "child") (param "n" u32) (result u32) (canon lift (core func $m "child"))))
  (instance $child (instantiate $Child (with "back" (func $back))))
  (canon lower (func $child "child") (core func $child'))
  (core module $Fill
    (import "" "tbl" (table $tbl 1 funcref))
    (import "" "child" (func $child (param i32) (result i32)))
    (elem (table $tbl) (i32.const 0) func $child))
  (core instance (instantiate $Fill (with "" (instance (export "tbl" (table $tbl)) (export "child" (func $child'))))))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $parent "run"))))

(component instance $i $T)
(assert_return (invoke "run" (u32.const 0)) (u32.const 42))

(component instance $i $T)
(assert_return (invoke "run" (u32.const 1)) (u32.const 42))
(assert_return (invoke "run" (u32.const 20)) (u32.const 42))

;; An instance may call itself, as deep as the store allows.

(component definition $Self
  (core module $Table (table (export "tbl") 1 funcref))
  (core instance $table (instantiate $Table))
  (alias core export $table "tbl" (core table $tbl))
  (core module $M
    (import "" "tbl" (table $tbl 1 funcref))
    (type $f (func (param i32) (result i32)))
    ;; 1 + 1 + .., as deep as asked
    (func (export "nest") (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
      (i32.add (i32.const 1) (call_indirect $tbl (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))
  (core instance $m (instantiate $M (with "" (instance (export "tbl" (table $tbl))))))
  (func $nest (export "nest") (param "n" u32) (result u32) (canon lift (core func $m "nest")))
  (canon lower (func $nest) (core func $nest'))
  (core module $Fill
    (import "" "tbl" (table $tbl 1 funcref))
    (import "" "nest" (func $nest (param i32) (result i32)))
    (elem (table $tbl) (i32.const 0) func $nest))
  (core instance (instantiate $Fill (with "" (instance (export "tbl" (table $tbl)) (export "nest" (func $nest')))))))

(component instance $i $Self)
(assert_return (invoke "nest" (u32.const 0)) (u32.const 0))
(assert_return (invoke "nest" (u32.const 20)) (u32.const 20))
(assert_return (invoke "nest" (u32.const 200)) (u32.const 200))
(assert_trap (invoke "nest" (u32.const 1000000))
  "limit reached: calls between components, less than 128 KiB of native stack are left (run it on a thread with a larger stack)")
(assert_trap (invoke "nest" (u32.const 0)) "cannot enter component instance")


;; Run to completion: while a callback task of the parent runs, what needs its lock is queued, and what does not runs.

(component definition $Complete
  (core module $Table (table (export "tbl") 1 funcref))
  (core instance $table (instantiate $Table))
  (alias core export $table "tbl" (core table $tbl))
  (canon task.return (core func $return))
  (canon task.return (result u32) (core func $return-u32))
  (core module $Parent
    (import "" "tbl" (table $tbl 1 funcref))
    (import "" "return" (func $return))
    (import "" "return-u32" (func $return-u32 (param i32)))
    (type $f (func))
    (global $trace (mut i32) (i32.const 0))
    (func $log (param i32) (global.set $trace (i32.add (i32.mul (global.get $trace) (i32.const 10)) (local.get 0))))
    (func (export "locks") (result i32) (call $log (i32.const 4)) (call $return) (i32.const 0 (; EXIT ;)))
    (func (export "free") (call $log (i32.const 2)))
    (func (export "trace") (result i32) (global.get $trace))
    (func (export "run") (result i32)
      (call $log (i32.const 1))
      (call_indirect $tbl (type $f) (i32.const 0))
      (call $log (i32.const 3))
      (call $return-u32 (global.get $trace))
      (i32.const 0 (; EXIT ;)))
    (func (export "cb") (param i32 i32 i32) (result i32) unreachable))
  (core instance $parent (instantiate $Parent (with "" (instance
    (export "tbl" (table $tbl)) (export "return" (func $return)) (export "return-u32" (func $return-u32))))))
  (func $locks async (canon lift (core func $parent "locks") async (callback (core func $parent "cb"))))
  (func $free (canon lift (core func $parent "free")))
  (component $Child
    (import "locks" (func $locks' async))
    (import "free" (func $free'))
    (canon lower (func $locks') async (core func $locks))
    (canon lower (func $free') (core func $free))
    (core module $M
      (import "" "locks" (func $locks (result i32)))
      (import "" "free" (func $free))
      (func (export "child")
        (if (i32.and (call $locks) (i32.const 0xf)) (then unreachable)) ;; STARTING
        (call $free)))
    (core instance $m (instantiate $M (with "" (instance (export "locks" (func $locks)) (export "free" (func $free))))))
    (func (export "child") (canon lift (core func $m "child"))))
  (instance $child (instantiate $Child (with "locks" (func $locks)) (with "free" (func $free))))
  (canon lower (func $child "child") (core func $child'))
  (core module $Fill
    (import "" "tbl" (table $tbl 1 funcref))
    (import "" "child" (func $child))
    (elem (table $tbl) (i32.const 0) func $child))
  (core instance (instantiate $Fill (with "" (instance (export "tbl" (table $tbl)) (export "child" (func $child'))))))
  (func (export "run") async (result u32) (canon lift (core func $parent "run") async (callback (core func $parent "cb"))))
  (func (export "trace") (result u32) (canon lift (core func $parent "trace"))))

(component instance $i $Complete)
(assert_return (invoke "run") (u32.const 123))
(assert_return (invoke "run") (u32.const 1234123))
