;; covers: lower, resource.new, resource.rep

;; What instances give each other, by name and by type.

(component $numbers
  (core module $M
    (global $n (mut i32) (i32.const 40))
    (func (export "next") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (global.get $n)))
  (core instance $m (instantiate $M))
  (func (export "next") (result u32) (canon lift (core func $m "next"))))

;; An import of an instance may ask for less than there is; what it asks for has to fit.
(component
  (import "numbers" (instance $numbers (export "next" (func (result u32)))))
  (export "next" (func $numbers "next")))
(assert_return (invoke "next") (u32.const 41))
(component (import "numbers" (instance)))

;; One instance, however many import it.
(assert_return (invoke $numbers "next") (u32.const 42))
(register "counter" $numbers)
(component
  (import "counter" (instance $counter (export "next" (func (result u32)))))
  (core module $M (import "" "next" (func $next (result i32))) (func (export "twice") (result i32)
    (drop (call $next))
    (call $next)))
  (canon lower (func $counter "next") (core func $next))
  (core instance $m (instantiate $M (with "" (instance (export "next" (func $next))))))
  (func (export "twice") (result u32) (canon lift (core func $m "twice"))))
(assert_return (invoke "twice") (u32.const 44))

;; A nested component that is instantiated twice, and one that is handed in.
(component
  (component $Inner
    (import "c" (component $C (export "f" (func (result u32)))))
    (instance $one (instantiate $C))
    (export "f" (func $one "f")))
  (component $C
    (core module $M (global $n (mut i32) (i32.const 0)) (func (export "f") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (global.get $n)))
    (core instance $m (instantiate $M))
    (func (export "f") (result u32) (canon lift (core func $m "f"))))
  (instance $a (instantiate $Inner (with "c" (component $C))))
  (instance $b (instantiate $Inner (with "c" (component $C))))
  (export "a" (func $a "f"))
  (export "b" (func $b "f")))
(assert_return (invoke "a") (u32.const 1))
(assert_return (invoke "a") (u32.const 2))
(assert_return (invoke "b") (u32.const 1))

;; A core module is imported too, and its imports are given by name.
(component
  (component $Inner
    (import "m" (core module $M (import "env" "n" (global i32)) (export "f" (func (result i32)))))
    (core module $Env (global (export "n") i32 (i32.const 7)))
    (core instance $env (instantiate $Env))
    (core instance $m (instantiate $M (with "env" (instance $env))))
    (func (export "f") (result u32) (canon lift (core func $m "f"))))
  (core module $M (import "env" "n" (global $n i32)) (func (export "f") (result i32) (global.get $n)))
  (instance $i (instantiate $Inner (with "m" (core module $M))))
  (export "f" (func $i "f")))
(assert_return (invoke "f") (u32.const 7))

;; A resource type is made anew by each instance of the component that defines it.
(component
  (component $Def
    (type $R' (resource (rep i32)))
    (export $R "r" (type $R'))
    (canon resource.new $R' (core func $new))
    (canon resource.rep $R' (core func $rep))
    (core module $M
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (func (export "new") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "rep") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $M (with "" (instance (export "new" (func $new)) (export "rep" (func $rep))))))
    (func (export "new") (param "x" u32) (result (own $R)) (canon lift (core func $m "new")))
    (func (export "rep") (param "x" (borrow $R)) (result u32) (canon lift (core func $m "rep"))))
  (component $Use
    (import "r" (type $R (sub resource)))
    (import "new" (func $new' (param "x" u32) (result (own $R))))
    (import "rep" (func $rep' (param "x" (borrow $R)) (result u32)))
    (canon lower (func $new') (core func $new))
    (canon lower (func $rep') (core func $rep))
    (core module $M
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (func (export "f") (param i32) (result i32) (call $rep (call $new (local.get 0)))))
    (core instance $m (instantiate $M (with "" (instance (export "new" (func $new)) (export "rep" (func $rep))))))
    (func (export "f") (param "x" u32) (result u32) (canon lift (core func $m "f"))))
  (instance $def (instantiate $Def))
  (instance $use (instantiate $Use
    (with "r" (type $def "r")) (with "new" (func $def "new")) (with "rep" (func $def "rep"))))
  (export "f" (func $use "f")))
(assert_return (invoke "f" (u32.const 42)) (u32.const 42))
(assert_invalid
  (component
    (component $Def (type $R' (resource (rep i32))) (export "r" (type $R')))
    (component $Use
      (import "r1" (type $R1 (sub resource)))
      (import "r2" (type (eq $R1))))
    (instance $a (instantiate $Def))
    (instance $b (instantiate $Def))
    (instance (instantiate $Use (with "r1" (type $a "r")) (with "r2" (type $b "r")))))
  "type mismatch")

;; What is not there, and what does not fit: by its path, with both types.
(assert_unlinkable (component (import "nobody" (func))) "import \"nobody\" is missing")
(assert_unlinkable
  (component (import "numbers" (instance (export "previous" (func (result u32))))))
  "numbers#previous")
(assert_unlinkable
  (component (import "numbers" (instance (export "next" (func (result u64))))))
  "import \"numbers#next\": result: expected u64, found u32")
(assert_unlinkable
  (component (import "numbers" (instance (export "next" (func async (result u32))))))
  "expected async func() -> u32, found func() -> u32")
(assert_unlinkable
  (component (import "numbers" (instance (export "next" (func (param "n" u32) (result u32))))))
  "found func() -> u32")
(assert_unlinkable (component (import "numbers" (func))) "numbers")

;; A component's own wiring is checked before anything runs.
(assert_invalid
  (component
    (component $C (import "f" (func)))
    (instance (instantiate $C)))
  "missing import named `f`")
(assert_invalid
  (component
    (component $C (import "f" (func (result u32))))
    (component $D (core module $M (func (export "f"))) (core instance $m (instantiate $M))
      (func (export "f") (canon lift (core func $m "f"))))
    (instance $d (instantiate $D))
    (instance (instantiate $C (with "f" (func $d "f")))))
  "type mismatch")
(assert_invalid
  (component
    (core module $M (import "" "f" (func)))
    (core instance (instantiate $M)))
  "missing module instantiation argument named ``")
