//! 🐘 Core signatures are as wide as the addresses of the memory that a definition names.

mod common;

use canon_async::spec::Features;
use canon_async_component::{Plan, TranslateError, TranslateOptions};
use common::{plan, try_plan};

/// The core signatures of a plan's built-ins, by the spec's names.
fn signatures(plan: &Plan) -> Vec<String> {
    let text = |builtin: &canon_async_component::plan::Builtin| {
        format!("{} {}", builtin.name(), plan.core_types[builtin.core_type as usize])
    };
    plan.builtins.iter().map(text).collect()
}

/// A component with a memory of this address type, and every built-in that points into it.
fn everything(address: &str) -> String {
    format!(
        r#"(component
          (import "f" (func $f (param "s" string) (result string)))
          (import "g" (func $g async (param "a" string) (param "b" string) (param "c" u8) (result u8)))
          (core module $Libc
            (memory (export "mem") {address} 1)
            (func (export "realloc") (param {address} {address} {address} {address}) (result {address}) unreachable))
          (core instance $libc (instantiate $Libc))
          (alias core export $libc "mem" (core memory $mem))
          (alias core export $libc "realloc" (core func $realloc))
          (type $s (stream u8))
          (type $t (future string))
          (core func (canon lower (func $f) (memory $mem) (realloc $realloc)))
          (core func (canon lower (func $g) async (memory $mem) (realloc $realloc)))
          (core func (canon task.return (result string) (memory $mem)))
          (core func (canon waitable-set.wait (memory $mem)))
          (core func (canon waitable-set.poll (memory $mem)))
          (core func (canon stream.read $s async (memory $mem)))
          (core func (canon stream.write $s async (memory $mem)))
          (core func (canon future.read $t async (memory $mem) (realloc $realloc)))
          (core func (canon future.write $t async (memory $mem)))
          (core func (canon error-context.new (memory $mem)))
          (core func (canon error-context.debug-message (memory $mem) (realloc $realloc)))
          (core func (canon context.get {address} 0))
          (core func (canon context.set {address} 0))
        )"#
    )
}

#[test]
fn built_ins_of_a_memory_have_pointers_of_its_width() {
    for a in ["i32", "i64"] {
        assert_eq!(
            signatures(&plan(&everything(a))),
            [
                format!("lower (func (param {a} {a} {a}))"),
                format!("lower (func (param {a} {a}) (result i32))"),
                format!("task.return (func (param {a} {a}))"),
                format!("waitable-set.wait (func (param i32 {a}) (result i32))"),
                format!("waitable-set.poll (func (param i32 {a}) (result i32))"),
                format!("stream.read (func (param i32 {a} {a}) (result {a}))"),
                format!("stream.write (func (param i32 {a} {a}) (result {a}))"),
                format!("future.read (func (param i32 {a}) (result i32))"),
                format!("future.write (func (param i32 {a}) (result i32))"),
                format!("error-context.new (func (param {a} {a}) (result i32))"),
                format!("error-context.debug-message (func (param i32 {a}))"),
                format!("context.get (func (result {a}))"),
                format!("context.set (func (param {a}))"),
            ]
        );
    }
}

#[test]
fn threads_take_an_i64_from_a_table_of_64_bit_addresses() {
    let plan = plan(
        r#"(component
          (core module $M (table (export "narrow") 1 funcref) (table (export "wide") i64 1 funcref))
          (core instance $m (instantiate $M))
          (core type $start (func (param i32)))
          (core type $start64 (func (param i64)))
          (alias core export $m "narrow" (core table $narrow))
          (alias core export $m "wide" (core table $wide))
          (core func (canon thread.new-indirect $start (core table $narrow)))
          (core func (canon thread.new-indirect $start64 (core table $narrow)))
          (core func (canon thread.new-indirect $start (core table $wide)))
          (core func (canon thread.new-indirect $start64 (core table $wide))))"#,
    );
    let expected = ["i32 i32", "i32 i64", "i64 i32", "i64 i64"];
    let expected = expected.map(|params| format!("thread.new-indirect (func (param {params}) (result i32))"));
    assert_eq!(signatures(&plan), expected);
}

#[test]
fn a_memory_keeps_its_width_however_it_is_reached() {
    // Through a module that exports what it imports, through a bag, from a module that the host provides.
    let plan = plan(
        r#"(component
          (import "libc" (core module $Imported (export "mem" (memory i64 0)) (export "other" (memory 0))))
          (core module $Libc (memory (export "mem") i64 1))
          (core module $Again (import "" "mem" (memory i64 1)) (memory 1)
            (export "again" (memory 0)) (export "own" (memory 1)))
          (core instance $libc (instantiate $Libc))
          (core instance $again (instantiate $Again (with "" (instance $libc))))
          (core instance $bag (export "bagged" (memory $again "again")))
          (core instance $imported (instantiate $Imported))
          (core func (canon waitable-set.wait (memory (core memory $again "again"))))
          (core func (canon waitable-set.wait (memory (core memory $again "own"))))
          (core func (canon waitable-set.poll (memory (core memory $bag "bagged"))))
          (core func (canon waitable-set.wait (memory (core memory $imported "mem"))))
          (core func (canon waitable-set.wait (memory (core memory $imported "other")))))"#,
    );
    let pointers: Vec<_> = plan
        .builtins
        .iter()
        .map(|builtin| plan.core_types[builtin.core_type as usize].params[1].to_string())
        .collect();
    assert_eq!(pointers, ["i64", "i32", "i64", "i64", "i32"]);
}

#[test]
fn a_64_bit_memory_is_refused_where_the_gate_is_shut() {
    let features = Features::ALL.with_memory64(false);
    let options = TranslateOptions::default().with_features(features);
    for text in [
        r#"(component
             (core module $m (memory (export "mem") i64 1))
             (core instance $i (instantiate $m))
             (core func (canon waitable-set.wait (memory (core memory $i "mem")))))"#,
        "(component (core func (canon context.get i64 0)))",
    ] {
        assert!(try_plan(text, &TranslateOptions::default()).is_ok(), "{text}");
        match try_plan(text, &options) {
            Err(TranslateError::Gated { gate, offset, .. }) => {
                assert!(gate.contains("64-bit"), "{gate}");
                assert!(offset > 8);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn options_of_a_64_bit_memory_need_a_realloc_of_its_width() {
    let text = |realloc: &str| {
        format!(
            r#"(component
              (import "f" (func $f (result string)))
              (core module $Libc (memory (export "mem") i64 1) (func (export "realloc") {realloc} unreachable))
              (core instance $libc (instantiate $Libc))
              (core func (canon lower (func $f) (memory (core memory $libc "mem"))
                (realloc (core func $libc "realloc")))))"#
        )
    };
    plan(&text("(param i64 i64 i64 i64) (result i64)"));
    for other in ["(param i32 i32 i32 i32) (result i32)", "(param i64 i64 i32 i64) (result i64)"] {
        let refused = try_plan(&text(other), &TranslateOptions::default());
        assert!(matches!(refused, Err(TranslateError::Invalid { .. })), "{refused:?}");
    }
}
