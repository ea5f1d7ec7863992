;; spec: #705
;; covers: lower, Trap::CannotEnter

;; What ../reentrance.wast shows to run, and the pinned suite and Wasmtime refuse: a call between a parent and its child.

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
(assert_trap (invoke "run" (u32.const 0)) "cannot enter component instance")
(assert_trap (invoke "run" (u32.const 0)) "cannot enter component instance")
