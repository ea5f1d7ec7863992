;; covers: waitable-set.new, waitable-set.drop
;;
;; One root makes waitable sets until it may not make more. It is the one that traps, at half of what the store may hold, and its
;; neighbour goes on.
(component definition $Hog
  (core func $f (canon waitable-set.new))
  (core module $m (import "" "f" (func $f (result i32)))
    (func (export "hog") (local $n i32)
      (loop $l
        (drop (call $f))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 200000))))))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "hog") (canon lift (core func $i "hog"))))
(component definition $Victim
  (core func $f (canon waitable-set.new))
  (core func $d (canon waitable-set.drop))
  (core module $m (import "" "f" (func $f (result i32))) (import "" "d" (func $d (param i32)))
    (func (export "work") (call $d (call $f)))
    (func (export "ping") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $f)) (export "d" (func $d))))))
  (func (export "work") (canon lift (core func $i "work")))
  (func (export "ping") (result u32) (canon lift (core func $i "ping"))))
(component instance $hog $Hog)
(component instance $victim $Victim)
(invoke $victim "work")
(assert_trap (invoke $hog "hog")
  "limit reached: waitable sets of one root component, 100000 (Limits::sets of Store::set_root_limits)")
(assert_return (invoke $victim "work"))
(assert_return (invoke $victim "ping") (u32.const 1))
(assert_trap (invoke $hog "hog") "cannot enter component instance")
