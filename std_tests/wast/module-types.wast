;; covers: lower

;; A core module that is imported has to be what its type says: it may import less and export more, and what it imports and
;; exports is compared as core wasm compares imports: limits, mutability, references and all.
;; Spec: Explainer, "Type Checking".

(component $given
  (core module $Table (export "table") (table (export "x") 1 funcref))
  (core module (export "table-max") (table (export "x") 1 2 funcref))
  (core module (export "wide-table") (table (export "x") i64 1 funcref))
  (core module (export "memory") (memory (export "x") 1))
  (core module (export "max")    (memory (export "x") 1))
  (core module (export "memory-max") (memory (export "x") 2 3))
  (core module (export "wide-memory") (memory (export "x") i64 1))
  (core module (export "small-pages") (memory (export "x") 1 (pagesize 1)))
  (core module (export "global") (global (export "x") i32 (i32.const 0)))
  (core module (export "mut-global") (global (export "x") (mut i32) (i32.const 0)))
  (core module (export "ref-global") (global (export "x") funcref (ref.null func)))
  (core module (export "needs-memory") (memory (import "" "x") 2))
  (core module (export "needs-less") (memory (import "" "x") 1 4) (table (import "" "t") 1 externref)
    (global (import "" "g") (mut i64)) (func (import "" "f") (param funcref) (result externref i32)))
  (core module (export "ref") (func (export "x") (param externref)))
  (core module (export "two") (func (export "x") (result i32 i64) (i32.const 1) (i64.const 2)))
  (instance (export "in") (export "m" (core module $Table)))
  (core module $M (func (export "next") (result i32) (i32.const 7)))
  (core instance $m (instantiate $M))
  (func (export "next") (result u32) (canon lift (core func $m "next"))))

;; the type of elements
(assert_unlinkable (component (import "given" (instance
  (export "table" (core module (export "x" (table 1 externref)))))))
  "import \"given#table\": export \"x\": expected (table 1 externref), found (table 1 funcref)")
;; too few elements
(assert_unlinkable (component (import "given" (instance
  (export "table" (core module (export "x" (table 2 funcref)))))))
  "import \"given#table\": export \"x\": expected (table 2 funcref), found (table 1 funcref)")
;; no maximum where there is to be one
(assert_unlinkable (component (import "given" (instance
  (export "table" (core module (export "x" (table 1 2 funcref)))))))
  "import \"given#table\": export \"x\": expected (table 1 2 funcref), found (table 1 funcref)")
;; a maximum that is larger
(assert_unlinkable (component (import "given" (instance
  (export "table-max" (core module (export "x" (table 1 1 funcref)))))))
  "import \"given#table-max\": export \"x\": expected (table 1 1 funcref), found (table 1 2 funcref)")
;; 64-bit tables
(assert_unlinkable (component (import "given" (instance
  (export "table" (core module (export "x" (table i64 1 funcref)))))))
  "import \"given#table\": export \"x\": expected (table i64 1 funcref), found (table 1 funcref)")
;; and the other way round
(assert_unlinkable (component (import "given" (instance
  (export "wide-table" (core module (export "x" (table 1 funcref)))))))
  "import \"given#wide-table\": export \"x\": expected (table 1 funcref), found (table i64 1 funcref)")
;; too few pages
(assert_unlinkable (component (import "given" (instance
  (export "memory" (core module (export "x" (memory 2)))))))
  "import \"given#memory\": export \"x\": expected (memory 2), found (memory 1)")
;; no maximum
(assert_unlinkable (component (import "given" (instance
  (export "max" (core module (export "x" (memory 1 1)))))))
  "import \"given#max\": export \"x\": expected (memory 1 1), found (memory 1)")
;; a maximum that is larger
(assert_unlinkable (component (import "given" (instance
  (export "memory-max" (core module (export "x" (memory 2 2)))))))
  "import \"given#memory-max\": export \"x\": expected (memory 2 2), found (memory 2 3)")
;; 64-bit memories
(assert_unlinkable (component (import "given" (instance
  (export "memory" (core module (export "x" (memory i64 1)))))))
  "import \"given#memory\": export \"x\": expected (memory i64 1), found (memory 1)")
;; and the other way round
(assert_unlinkable (component (import "given" (instance
  (export "wide-memory" (core module (export "x" (memory 1)))))))
  "import \"given#wide-memory\": export \"x\": expected (memory 1), found (memory i64 1)")
;; the size of pages
(assert_unlinkable (component (import "given" (instance
  (export "memory" (core module (export "x" (memory 1 (pagesize 1))))))))
  "import \"given#memory\": export \"x\": expected (memory 1 (pagesize 1)), found (memory 1)")
;; and the other way round
(assert_unlinkable (component (import "given" (instance
  (export "small-pages" (core module (export "x" (memory 1)))))))
  "import \"given#small-pages\": export \"x\": expected (memory 1), found (memory 1 (pagesize 1))")
;; what a global holds
(assert_unlinkable (component (import "given" (instance
  (export "global" (core module (export "x" (global f32)))))))
  "import \"given#global\": export \"x\": expected (global f32), found (global i32)")
;; whether it changes
(assert_unlinkable (component (import "given" (instance
  (export "global" (core module (export "x" (global (mut i32))))))))
  "import \"given#global\": export \"x\": expected (global (mut i32)), found (global i32)")
;; and the other way round
(assert_unlinkable (component (import "given" (instance
  (export "mut-global" (core module (export "x" (global i32)))))))
  "import \"given#mut-global\": export \"x\": expected (global i32), found (global (mut i32))")
;; a reference
(assert_unlinkable (component (import "given" (instance
  (export "ref-global" (core module (export "x" (global externref)))))))
  "import \"given#ref-global\": export \"x\": expected (global externref), found (global funcref)")
;; a function with a reference in its type
(assert_unlinkable (component (import "given" (instance
  (export "ref" (core module (export "x" (func (param i32))))))))
  "import \"given#ref\": export \"x\": expected (func (param i32)), found (func (param externref))")
;; another reference
(assert_unlinkable (component (import "given" (instance
  (export "ref" (core module (export "x" (func (param funcref))))))))
  "import \"given#ref\": export \"x\": expected (func (param funcref)), found (func (param externref))")
;; results in another order
(assert_unlinkable (component (import "given" (instance
  (export "two" (core module (export "x" (func (result i64 i32))))))))
  "import \"given#two\": export \"x\": expected (func (result i64 i32)), found (func (result i32 i64))")
;; another kind
(assert_unlinkable (component (import "given" (instance
  (export "memory" (core module (export "x" (table 1 funcref)))))))
  "import \"given#memory\": export \"x\": expected (table 1 funcref), found (memory 1)")
;; an export that is not there
(assert_unlinkable (component (import "given" (instance
  (export "memory" (core module (export "y" (memory 1)))))))
  "import \"given#memory\": export \"y\": expected (memory 1), found none")
;; Contravariant: the module needs 2 pages, its type says it takes 1.
(assert_unlinkable (component (import "given" (instance
  (export "needs-memory" (core module (import "" "x" (memory 1)))))))
  "import \"given#needs-memory\": import \"\" \"x\": expected (memory 1), found (memory 2)")
;; It imports what its type does not.
(assert_unlinkable (component (import "given" (instance
  (export "needs-memory" (core module (import "" "y" (memory 2)))))))
  "import \"given#needs-memory\": import \"\" \"x\": expected none, found (memory 2)")
;; A maximum that is larger than the module takes.
(assert_unlinkable (component (import "given" (instance
  (export "needs-less" (core module 
    (import "" "x" (memory 1 5)) (import "" "t" (table 1 externref))
    (import "" "g" (global (mut i64))) (import "" "f" (func (param funcref) (result externref i32))))))))
  "import \"given#needs-less\": import \"\" \"x\": expected (memory 1 5), found (memory 1 4)")
;; None.
(assert_unlinkable (component (import "given" (instance
  (export "needs-less" (core module 
    (import "" "x" (memory 1)) (import "" "t" (table 1 externref))
    (import "" "g" (global (mut i64))) (import "" "f" (func (param funcref) (result externref i32))))))))
  "import \"given#needs-less\": import \"\" \"x\": expected (memory 1), found (memory 1 4)")
;; Another table.
(assert_unlinkable (component (import "given" (instance
  (export "needs-less" (core module 
    (import "" "x" (memory 1 4)) (import "" "t" (table 1 funcref))
    (import "" "g" (global (mut i64))) (import "" "f" (func (param funcref) (result externref i32))))))))
  "import \"given#needs-less\": import \"\" \"t\": expected (table 1 funcref), found (table 1 externref)")
;; A global that does not change.
(assert_unlinkable (component (import "given" (instance
  (export "needs-less" (core module 
    (import "" "x" (memory 1 4)) (import "" "t" (table 1 externref))
    (import "" "g" (global i64)) (import "" "f" (func (param funcref) (result externref i32))))))))
  "import \"given#needs-less\": import \"\" \"g\": expected (global i64), found (global (mut i64))")
;; A function of other references.
(assert_unlinkable (component (import "given" (instance
  (export "needs-less" (core module 
    (import "" "x" (memory 1 4)) (import "" "t" (table 1 externref))
    (import "" "g" (global (mut i64))) (import "" "f" (func (param externref) (result externref i32))))))))
  "import \"given#needs-less\": import \"\" \"f\": expected (func (param externref) (result externref i32)), found (func (param funcref) (result externref i32))")
;; The same in an instance of an instance.
(assert_unlinkable (component (import "given" (instance (export "in" (instance
  (export "m" (core module (export "x" (table 1 externref)))))))))
  "import \"given#in#m\": export \"x\": expected (table 1 externref), found (table 1 funcref)")

;; Less is enough, and more does no harm.
(component (import "given" (instance
  (export "table-max" (core module (export "x" (table 0 3 funcref))))
  (export "memory-max" (core module (export "x" (memory 1))))
  (export "wide-table" (core module (export "x" (table i64 0 funcref))))
  (export "wide-memory" (core module (export "x" (memory i64 1))))
  (export "small-pages" (core module (export "x" (memory 0 (pagesize 1)))))
  (export "mut-global" (core module (export "x" (global (mut i32)))))
  (export "ref-global" (core module (export "x" (global funcref))))
  (export "needs-memory" (core module (import "" "x" (memory 3 5)) (import "" "y" (func))))
  (export "needs-less" (core module
    (import "" "x" (memory 2 3)) (import "" "t" (table 2 2 externref))
    (import "" "g" (global (mut i64))) (import "" "f" (func (param funcref) (result externref i32)))))
  (export "ref" (core module (export "x" (func (param externref)))))
  (export "two" (core module (export "x" (func (result i32 i64)))))
  (export "in" (instance (export "m" (core module)))))))

;; A module that was linked runs with what it imports: here a function of a component.
(component $with-module
  (core module (export "m") (import "env" "next" (func $next (result i32)))
    (func (export "twice") (result i32) (i32.mul (call $next) (i32.const 2)))))
(component
  (import "with-module" (instance $with (export "m" (core module
    (import "env" "next" (func (result i32))) (import "env" "unused" (global i64))
    (export "twice" (func (result i32)))))))
  (import "given" (instance $given (export "next" (func (result u32)))))
  (alias export $with "m" (core module $M))
  (canon lower (func $given "next") (core func $next))
  (core module $E (global (export "unused") i64 (i64.const 0)))
  (core instance $e (instantiate $E))
  (core instance $m (instantiate $M (with "env" (instance
    (export "next" (func $next)) (export "unused" (global $e "unused"))))))
  (func (export "twice") (result u32) (canon lift (core func $m "twice"))))
(assert_return (invoke "twice") (u32.const 14))

;; A core function whose type has a reference is no function of an i32: it is refused where it is linked, not where it is called.
(component $references
  (core module (export "m") (func (export "x") (param externref) (result externref) (local.get 0)))
)
(assert_unlinkable
  (component
    (import "references" (instance $references (export "m" (core module (export "x" (func (param i32) (result i32)))))))
    (alias export $references "m" (core module $M))
    (core instance $i (instantiate $M))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "x"))))
  "import \"references#m\": export \"x\": expected (func (param i32) (result i32)), found (func (param externref) (result externref))")
