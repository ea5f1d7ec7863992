//! The spec's gates, one by one: what each lets in is refused by the gate's name and its place where the gate is shut, and where it
//! is open it works, or is refused by its own name and place.

mod common;

use canon_async::spec::Features;
use canon_async_component::host::CallState;
use canon_async_component::inspect::inspect;
use canon_async_component::{Extern, Linker, TranslateError, TranslateOptions, Val, instantiate};
use common::engine::{Closure, FakeEngine};
use common::{everything, plan, try_plan};

/// All gates shut.
const SHUT: Features = Features::NONE
    .with_more_async_builtins(false)
    .with_async_stackful(false)
    .with_threading(false)
    .with_shared_threading(false)
    .with_fixed_length_lists(false)
    .with_error_context(false)
    .with_memory64(false)
    .with_map(false)
    .with_implements(false)
    .with_nested_names(false)
    .with_canonical_names(false)
    .with_values(false)
    .with_forward(false);

/// One gate open.
type Open = fn(&mut Features);

/// What becomes of a component where the gate is open.
#[derive(Clone, Copy)]
enum Then {
    /// It is translated, and uses this built-in, if it is one.
    Builtin(&'static str),
    /// It is translated, and imports something with this type.
    Import(&'static str, &'static str),
    /// It is translated.
    Ok,
    /// It is refused with this name.
    Unsupported(&'static str),
    /// The spec has it refused.
    Invalid(&'static str),
}

struct Row {
    gate: &'static str,
    open: Open,
    text: &'static str,
    then: Then,
}

fn options(open: Option<Open>) -> TranslateOptions {
    let mut features = SHUT;
    if let Some(open) = open {
        open(&mut features);
    }
    everything().with_features(features)
}

const ASYNC: (&str, Open) = ("🚝 more async built-ins", |f| f.more_async_builtins = true);
const STACKFUL: (&str, Open) = ("🚟 stackful async lifts", |f| f.async_stackful = true);
const THREADS: (&str, Open) = ("🧵 threads", |f| f.threading = true);
const SHARED: (&str, Open) = ("🧵② shared threads", |f| f.shared_threading = true);
const FIXED: (&str, Open) = ("🔧 fixed-length lists", |f| f.fixed_length_lists = true);
const ERRORS: (&str, Open) = ("📝 error contexts", |f| f.error_context = true);
const MEMORY64: (&str, Open) = ("🐘 64-bit memories", |f| f.memory64 = true);
const MAP: (&str, Open) = ("🗺️ maps", |f| f.map = true);
const IMPLEMENTS: (&str, Open) = ("🏷️ implements and external-id", |f| f.implements = true);
const NESTED: (&str, Open) = ("🪺 nested names", |f| f.nested_names = true);
const CANONICAL: (&str, Open) = ("🔗 canonical names", |f| f.canonical_names = true);
const VALUES: (&str, Open) = ("🪙 values", |f| f.values = true);
const FORWARD: (&str, Open) = ("➡️ forwarding", |f| f.forward = true);

const fn row((gate, open): (&'static str, Open), text: &'static str, then: Then) -> Row {
    Row { gate, open, text, then }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row(ASYNC, "(component (core func (canon subtask.cancel async)))", Then::Builtin("subtask.cancel")),
    row(ASYNC, "(component (type $s (stream u8)) (core func (canon stream.cancel-read $s async)))", Then::Builtin("stream.cancel-read")),
    row(ASYNC, "(component (type $s (stream u8)) (core func (canon stream.cancel-write $s async)))", Then::Builtin("stream.cancel-write")),
    row(ASYNC, "(component (type $f (future u8)) (core func (canon future.cancel-read $f async)))", Then::Builtin("future.cancel-read")),
    row(ASYNC, "(component (type $f (future u8)) (core func (canon future.cancel-write $f async)))", Then::Builtin("future.cancel-write")),
    row(ASYNC, "(component (type $s (stream)) (core func (canon stream.read $s)))", Then::Builtin("stream.read")),
    row(ASYNC, "(component (type $s (stream)) (core func (canon stream.write $s)))", Then::Builtin("stream.write")),
    row(ASYNC, "(component (type $f (future)) (core func (canon future.read $f)))", Then::Builtin("future.read")),
    row(ASYNC, "(component (type $f (future)) (core func (canon future.write $f)))", Then::Builtin("future.write")),
    row(STACKFUL, r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func (export "f") async (canon lift (core func $i "f") async)))"#, Then::Ok),
    row(THREADS, "(component (core func (canon thread.index)))", Then::Builtin("thread.index")),
    row(THREADS, r#"(component (core type $t (func (param i32))) (core module $m (table (export "t") 1 funcref)) (core instance $i (instantiate $m))
        (core func (canon thread.new-indirect $t (core table $i "t"))))"#, Then::Builtin("thread.new-indirect")),
    row(THREADS, "(component (core func (canon thread.resume-later)))", Then::Builtin("thread.resume-later")),
    row(THREADS, "(component (core func (canon thread.suspend)))", Then::Builtin("thread.suspend")),
    row(THREADS, "(component (core func (canon thread.suspend-then-resume)))", Then::Builtin("thread.suspend-then-resume")),
    row(THREADS, "(component (core func (canon thread.yield-then-resume)))", Then::Builtin("thread.yield-then-resume")),
    row(THREADS, "(component (core func (canon thread.suspend-then-promote)))", Then::Builtin("thread.suspend-then-promote")),
    row(THREADS, "(component (core func (canon thread.yield-then-promote)))", Then::Builtin("thread.yield-then-promote")),
    row(THREADS, "(component (core func (canon context.get i32 1)))", Then::Builtin("context.get")),
    row(THREADS, "(component (core func (canon context.set i32 1)))", Then::Builtin("context.set")),
    row(SHARED, "(component (core func (canon thread.available_parallelism)))",
        Then::Unsupported("🧵② thread.available-parallelism, which needs shared functions,")),
    row(SHARED, "(component (core type $t (shared (func (param i32)))) (core func (canon thread.spawn-ref $t)))",
        Then::Unsupported("🧵② thread.spawn-ref, which needs shared functions,")),
    row(SHARED, r#"(component (core type $t (shared (func (param i32))))
        (core module $m (table (export "t") shared 1 (ref null (shared func)))) (core instance $i (instantiate $m))
        (core func (canon thread.spawn-indirect $t (core table $i "t"))))"#,
        Then::Unsupported("🧵② thread.spawn-indirect, which needs shared functions,")),
    row(FIXED, r#"(component (import "f" (func (param "x" (list u8 4)))))"#, Then::Import("f", "func(x: list<u8, 4>)")),
    row(ERRORS, r#"(component (import "f" (func (param "x" error-context))))"#, Then::Import("f", "func(x: error-context)")),
    row(ERRORS, "(component (type (list error-context)))", Then::Ok),
    row(ERRORS, r#"(component (core module $m (memory (export "m") 1)) (core instance $i (instantiate $m))
        (core func (canon error-context.new (memory (core memory $i "m")))))"#, Then::Builtin("error-context.new")),
    row(ERRORS, r#"(component (core module $m (memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m))
        (core func (canon error-context.debug-message (memory (core memory $i "m")) (realloc (core func $i "r")))))"#,
        Then::Builtin("error-context.debug-message")),
    row(ERRORS, "(component (core func (canon error-context.drop)))", Then::Builtin("error-context.drop")),
    row(MEMORY64, r#"(component (core module $m (memory (export "m") i64 1)) (core instance $i (instantiate $m))
        (core func (canon waitable-set.wait (memory (core memory $i "m")))))"#, Then::Builtin("waitable-set.wait")),
    row(MEMORY64, "(component (core func (canon context.get i64 0)))", Then::Builtin("context.get")),
    row(MEMORY64, "(component (core func (canon context.set i64 0)))", Then::Builtin("context.set")),
    row(MAP, r#"(component (import "f" (func (param "x" (map string u32)))))"#, Then::Import("f", "func(x: map<string, u32>)")),
    row(MAP, "(component (type (map f32 u32)))", Then::Invalid("invalid map key type")),
    row(IMPLEMENTS, r#"(component (import "x" (implements "a:b/c") (instance (export "f" (func)))))"#, Then::Import("x#f", "func()")),
    row(IMPLEMENTS, r#"(component (import "x" (external-id "any text, at all") (func)))"#, Then::Import("x", "func()")),
    row(IMPLEMENTS, r#"(component (type (component (import "x" (implements "a:b/c") (instance)))))"#, Then::Ok),
    row(IMPLEMENTS, r#"(component (type (instance (export "x" (implements "a:b/c") (instance)))))"#, Then::Ok),
    row(IMPLEMENTS, r#"(component (instance $i) (instance (export "x" (implements "a:b/c") (instance $i))))"#, Then::Ok),
    row(IMPLEMENTS, r#"(component (instance $i) (export "x" (external-id "y") (instance $i)))"#, Then::Ok),
    row(IMPLEMENTS, r#"(component (import "x" (implements "a:b/c") (func)))"#, Then::Invalid("only instances can have an `implements`")),
    row(IMPLEMENTS, r#"(component (import "a:b/d" (implements "a:b/c") (instance)))"#, Then::Invalid("is not valid with `implements`")),
    row(NESTED, r#"(component (import "a:b:c/d" (func)))"#, Then::Import("a:b:c/d", "func()")),
    row(NESTED, r#"(component (import "a:b/c/d" (func)))"#, Then::Import("a:b/c/d", "func()")),
    row(NESTED, r#"(component (import "a:b:c/d/e@1.0.0" (func)))"#, Then::Import("a:b:c/d/e@1.0.0", "func()")),
    row(NESTED, r#"(component (type (instance (export "a:b:c/d" (func)))))"#, Then::Ok),
    row(NESTED, r#"(component (instance $i) (instance (export "a:b:c/d" (instance $i))))"#, Then::Ok),
    row(CANONICAL, r#"(component (import "a:b/c@0.2" (version-suffix ".6") (instance (export "f" (func)))))"#, Then::Import("a:b/c@0.2#f", "func()")),
    row(CANONICAL, r#"(component (type (instance (export "a:b/c@1" (version-suffix ".2.3") (instance)))))"#, Then::Ok),
    row(CANONICAL, r#"(component (instance $i) (export "a:b/c@0.0.1" (version-suffix "+build") (instance $i)))"#, Then::Ok),
    row(CANONICAL, r#"(component (import "a:b/c@1.2" (version-suffix ".3") (instance)))"#, Then::Invalid("is not the canonical version")),
    row(VALUES, r#"(component (import "v" (value $v string)) (export "w" (value $v)))"#, Then::Import("v", "value string")),
    row(VALUES, r#"(component (import "i" (instance $i (export "v" (value u8)))) (alias export $i "v" (value $v)) (export "w" (value $v)))"#,
        Then::Import("i#v", "value u8")),
    row(VALUES, r#"(component (type (component (import "v" (value string)))))"#, Then::Ok),
    row(VALUES, r#"(component (import "f" (func $f)) (start $f))"#, Then::Ok),
    row(VALUES, r#"(component (import "v" (value string)))"#, Then::Invalid("value index 0 was not used")),
    row(FORWARD, "(component (type $s (stream u8)) (core func (canon stream.forward $s)))", Then::Builtin("stream.forward")),
    row(FORWARD, "(component (type $f (future u8)) (core func (canon future.forward $f)))", Then::Builtin("future.forward")),
];

#[test]
fn a_gate_that_is_shut_is_named_with_the_place() {
    for Row { gate, text, then, .. } in ROWS {
        match try_plan(text, &options(None)) {
            Err(TranslateError::Gated { gate: found, offset, message }) => {
                // What is invalid whatever is open may have got as far with another gate.
                assert!(found == *gate || matches!(then, Then::Invalid(_)), "{found}: {text}: {message}");
                assert!(offset > 8, "{text}: {offset}");
            }
            other => panic!("{gate}: {text}: {other:?}"),
        }
    }
}

#[test]
fn a_gate_that_is_open_lets_in_what_is_implemented_and_names_the_rest() {
    for Row { gate, open, text, then } in ROWS {
        let result = try_plan(text, &options(Some(*open)));
        match (*then, result) {
            (Then::Ok, Ok(_)) => {}
            (Then::Builtin(name), Ok(plan)) => {
                assert!(inspect(&plan).builtins.contains_key(name), "{gate}: {text}");
            }
            (Then::Import(path, ty), Ok(plan)) => {
                let found = inspect(&plan).imports;
                assert!(found.contains(&(path.to_string(), ty.to_string())), "{gate}: {text}: {found:?}");
            }
            (Then::Unsupported(what), Err(TranslateError::Unsupported { what: found, offset })) => {
                assert_eq!(found, what, "{text}");
                assert!(offset > 8, "{text}: {offset}");
            }
            (Then::Invalid(what), Err(TranslateError::Invalid { message, offset })) => {
                assert!(message.contains(what), "{text}: {message}");
                assert!(offset > 8, "{text}: {offset}");
            }
            (_, result) => panic!("{gate}: {text}: {result:?}"),
        }
    }
}

/// `wasmparser` has no value definitions, whatever the gate says.
#[test]
fn a_value_definition_is_named_with_its_place() {
    let value = b"\0asm\x0d\0\x01\0\x0c\x04\x01\x7f\x01\x01";
    for open in [None, Some(VALUES.1)] {
        let error = canon_async_component::translate(value, &options(open)).unwrap_err();
        assert_eq!(error.to_string(), "🪙 a value definition is not supported (at offset 0xa)");
    }
}

#[test]
fn the_message_of_a_gate_says_what_and_where() {
    let error = try_plan("(component (core func (canon thread.index)))", &options(None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the feature \"🧵 threads\" is switched off: `thread.index` requires the component model threading feature (at offset 0xb)"
    );
    // What is wrong whatever is open has no gate.
    let error = try_plan("(component (import \"1\" (func)))", &options(None)).unwrap_err();
    assert!(matches!(error, TranslateError::Invalid { .. }), "{error}");
}

// What runs.

/// The spec has it a list of pairs; what duplicates mean is up to who reads it.
#[test]
fn a_map_keeps_duplicates_and_their_order() {
    let text = r#"(component
        (core module $m (memory (export "mem") 1)
            (func (export "pair") (param i32 i32) (result i32) unreachable)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m))
        (func (export "f") (param "x" (map string u8)) (result (map string u8)) (canon lift (core func $i "pair")
            (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))"#;
    let mut e = FakeEngine::new();
    let instance = instantiate(&mut e, &plan(text), &Linker::new()).unwrap();
    let f = instance.func("f").unwrap().clone();
    let entry = |key: &str, value| (Val::String(key.into()), Val::U8(value));
    let map = Val::Map(vec![entry("b", 1), entry("a", 2), entry("b", 3)]);
    assert_eq!(e.run_func(&f, vec![map.clone()]), Ok(CallState::Returned(Some(map))));
}

const VALUE: &str = r#"(component $root
    (component $inner
        (import "x" (value $x u32)) (import "add" (func $add (param "x" u32) (param "y" u32) (result u32)))
        (import "y" (value $y u32))
        (core func $add' (canon lower (func $add)))
        (core module $m (import "" "add" (func (param i32 i32) (result i32)))
            (func (export "call0") (param i32 i32) (result i32) unreachable))
        (core instance $m (instantiate $m (with "" (instance (export "add" (func $add'))))))
        (func $start (param "x" u32) (param "y" u32) (result u32) (canon lift (core func $m "call0")))
        (start $start (value $x) (value $y) (result (value $sum)))
        (export "sum" (value $sum)))
    (import "config" (instance $config (export "x" (value u32))))
    (import "y" (value $y u32))
    (import "add" (func $add (param "x" u32) (param "y" u32) (result u32)))
    (import "name" (value $name string))
    (alias export $config "x" (value $x))
    (instance $i (instantiate $inner (with "x" (value $x)) (with "y" (value $y)) (with "add" (func $add))))
    (export "i" (instance $i))
    (export "name" (value $name)))"#;

fn value_linker() -> Linker<Closure, usize> {
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.func("add", |args| match args {
        [Val::U32(x), Val::U32(y)] => Some(Val::U32(x + y)),
        _ => None,
    });
    linker.value("config#x", Val::U32(40)).value("y", Val::U32(2)).value("name", Val::String("n".into()));
    linker
}

#[test]
fn a_value_goes_through_a_start_function_and_out() {
    let mut e = FakeEngine::new();
    let plan = plan(VALUE);
    let instance = instantiate(&mut e, &plan, &value_linker()).unwrap();
    assert!(
        matches!(instance.get("i#sum"), Some(Extern::Value(Val::U32(42)))),
        "{:?}",
        instance.get("i#sum")
    );
    assert!(matches!(instance.get("name"), Some(Extern::Value(Val::String(name))) if name == "n"));
    let exports = inspect(&plan).exports;
    assert_eq!(exports, [("i#sum".into(), "value u32".into()), ("name".into(), "value string".into())]);
    // And on to another component.
    let text = r#"(component (import "i" (instance $i (export "sum" (value u32)))) (alias export $i "sum" (value $s)) (export "s" (value $s)))"#;
    let mut linker: Linker<Closure, usize> = Linker::new();
    assert!(linker.export("i", &instance, "i"));
    let other = instantiate(&mut e, &common::plan(text), &linker).unwrap();
    assert!(matches!(other.get("s"), Some(Extern::Value(Val::U32(42)))));
}

#[test]
fn a_value_that_is_missing_or_of_another_type_is_named() {
    let mut e = FakeEngine::new();
    let mut error = |change: fn(&mut Linker<Closure, usize>)| {
        let mut linker = value_linker();
        change(&mut linker);
        instantiate(&mut e, &plan(VALUE), &linker).unwrap_err().to_string()
    };
    assert_eq!(
        error(|linker| _ = linker.value("config#x", Val::String("1".into()))),
        "import \"config#x\": expected u32, found string"
    );
    assert_eq!(
        error(|linker| _ = linker.value("add", Val::U8(1))),
        "import \"add\": expected func(x: u32, y: u32) -> u32, found value"
    );
    assert_eq!(
        error(|linker| _ = linker.func("name", |_| None)),
        "import \"name\": expected value string, found func"
    );
    assert_eq!(
        error(|linker| {
            let mut other: Linker<Closure, usize> = Linker::new();
            other.func("add", |_| None);
            *linker = other;
        }),
        "import \"config#x\" is missing: expected value u32\n\
         import \"y\" is missing: expected value u32\n\
         import \"name\" is missing: expected value string"
    );
}

#[test]
fn a_start_function_that_fails_fails_the_link() {
    let mut e = FakeEngine::new();
    let mut linker = value_linker();
    linker.func("add", |_| Some(Val::String("no number".into())));
    assert!(instantiate(&mut e, &plan(VALUE), &linker).is_err());
    assert_eq!(e.log.last().unwrap(), "result of \"add\": expected u32, found string");
    let passes_on = plan(r#"(component (import "y" (value $y u32)) (export "z" (value $y)))"#);
    assert!(instantiate(&mut e, &passes_on, &value_linker()).is_ok(), "the store goes on");
}

/// A host function has no instance to run in.
#[test]
fn a_start_function_that_is_the_hosts_is_refused() {
    let text = r#"(component (import "f" (func $f)) (start $f))"#;
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.func("f", |_| None);
    let error = instantiate(&mut FakeEngine::new(), &plan(text), &linker).unwrap_err();
    assert_eq!(
        error.to_string(),
        "import \"f\": start function: expected a function of a component, found a host function"
    );
}
