;; One call between two guests that copies N*N*... bytes: a list of lists whose elements are all the same list, into a
;; callee whose realloc answers always the same pointer. How long may it take, and does fuel bound it?
(component
  (component $callee
    (core module $m
      (memory (export "m") 40)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "f") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "f") (param "x" (list (list (list (list u8)))))
      (canon lift (core func $i "f") (memory (core memory $i "m")) (realloc (core func $i "realloc")))))
  (component $caller
    (import "f" (func $f (param "x" (list (list (list (list u8)))))))
    (core module $libc (memory (export "m") 40))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory (core memory $libc "m"))))
    (core module $m
      (import "" "m" (memory 40))
      (import "" "f" (func $f (param i32 i32)))
      (func $fill (param $at i32) (param $n i32) (param $to i32) (param $len i32)
        (local $i i32)
        (loop $l
          (i32.store (i32.add (local.get $at) (i32.shl (local.get $i) (i32.const 3))) (local.get $to))
          (i32.store offset=4 (i32.add (local.get $at) (i32.shl (local.get $i) (i32.const 3))) (local.get $len))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
      (func (export "run") (param $n i32)
        (call $fill (i32.const 0)      (local.get $n) (i32.const 0) (i32.const 2000000))
        (call $fill (i32.const 100000) (local.get $n) (i32.const 0) (local.get $n))
        (call $fill (i32.const 200000) (local.get $n) (i32.const 100000) (local.get $n))
        (call $f (i32.const 200000) (local.get $n))))
    (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m")) (export "f" (func $f))))))
    (func (export "run") (param "n" u32) (canon lift (core func $i "run"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "f" (func $callee "f"))))
  (export "run" (func $caller "run")))
