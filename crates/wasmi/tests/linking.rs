//! Core modules and values between components and the host.

mod common;

use canon_async_wasmi::instance::Extern;
use canon_async_wasmi::{Component, Config, Engine, Error, Instance, Linker, Store, Val};
use common::{assert_idle, call_u32, component, engine};

fn link(store: &mut Store<()>, engine: &Engine, linker: &Linker<()>, wat: &str) -> Result<Instance, Error> {
    linker.instantiate(store, &component(engine, wat))
}

/// A component that uses a core module which it imports as `m`.
const USES_MODULE: &str = r#"(component
  (import "m" (core module $m
    (import "env" "add" (func (param i32 i32) (result i32)))
    (export "mem" (memory 1))
    (export "twice" (func (param i32) (result i32)))))
  (core module $env (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $env (instantiate $env))
  (core instance $i (instantiate $m (with "env" (instance $env))))
  (func (export "twice") (param "x" u32) (result u32) (canon lift (core func $i "twice"))))"#;

const TWICE: &str = r#"(import "env" "add" (func $add (param i32 i32) (result i32)))
  (memory (export "mem") 1)
  (func (export "twice") (param i32) (result i32) (call $add (local.get 0) (local.get 0)))"#;

#[test]
fn a_core_module_goes_from_one_component_to_another() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let provider = format!(r#"(component (core module $m {TWICE}) (export "m" (core module $m)))"#);
    let linker = Linker::new(&engine);
    let provider = link(&mut store, &engine, &linker, &provider).unwrap();
    assert!(matches!(provider.get("m"), Some(Extern::Module(_))));
    let mut linker = Linker::new(&engine);
    linker.export(&store, "m", &provider, "m").unwrap();
    let user = link(&mut store, &engine, &linker, USES_MODULE).unwrap();
    assert_eq!(call_u32(&mut store, &user, "twice", &[21]).unwrap(), 42);
}

#[test]
fn a_core_module_of_the_host_is_held_to_its_type() {
    let engine = engine();
    let cases = [
        (TWICE, "ok"),
        // It may import less and export more.
        (
            r#"(memory (export "mem") 1) (memory (export "mem2") 1) (func (export "twice") (param i32) (result i32) i32.const 4)"#,
            "ok",
        ),
        (
            r#"(memory (export "mem") 1) (func (export "thrice") (param i32) (result i32) i32.const 4)"#,
            "import \"m\": export \"twice\": expected (func (param i32) (result i32)), found none",
        ),
        (
            r#"(memory (export "mem") 1) (func (export "twice") (param i64) (result i32) i32.const 4)"#,
            "import \"m\": export \"twice\": expected (func (param i32) (result i32)), found (func (param i64) (result i32))",
        ),
        (
            r#"(memory (export "mem") i64 1) (func (export "twice") (param i32) (result i32) i32.const 4)"#,
            "import \"m\": export \"mem\": expected (memory 1), found (memory i64 1)",
        ),
        (
            r#"(import "env" "sub" (func)) (memory (export "mem") 1) (func (export "twice") (param i32) (result i32) i32.const 4)"#,
            "import \"m\": import \"env\" \"sub\": expected none, found (func)",
        ),
    ];
    for (module, message) in cases {
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        linker.module("m", &wat::parse_str(format!("(module {module})")).unwrap()).unwrap();
        let linked = link(&mut store, &engine, &linker, USES_MODULE);
        let text = linked.map_or_else(|error| error.to_string(), |_| "ok".into());
        assert_eq!(text, message, "{module}");
    }
}

/// Links a component whose one import `m` is a core module of this type with this module of the host's.
fn host_module(ty: &str, module: &str) -> String {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.module("m", &wat::parse_str(format!("(module {module})")).unwrap()).unwrap();
    let wat = format!(r#"(component (import "m" (core module {ty})))"#);
    let linked = link(&mut store, &engine, &linker, &wat);
    linked.map_or_else(|error| error.to_string(), |_| "ok".into())
}

/// What is of this type, exported as `x`.
fn defined(item: &str) -> String {
    let text = item.trim_start_matches('(').strip_suffix(')').unwrap();
    let (word, ty) = text.split_once(' ').unwrap_or((text, ""));
    let init = match (word, ty.trim_matches(['(', ')']).trim_start_matches("mut ")) {
        ("func", _) => "unreachable".to_string(),
        ("global", "externref") => "(ref.null extern)".to_string(),
        ("global", "funcref") => "(ref.null func)".to_string(),
        ("global", number) => format!("({number}.const 0)"),
        _ => String::new(),
    };
    format!("({word} (export \"x\") {ty} {init})")
}

/// Each kind of difference that wasmi's types can have; `x` is what is compared.
#[test]
fn a_core_module_of_the_host_is_compared_as_core_wasm_compares_imports() {
    let exports = [
        // A type, one that fits, and one that does not.
        ("(table 1 2 funcref)", "(table 2 2 funcref)", "(table 1 3 funcref)"),
        ("(table 1 funcref)", "(table 1 5 funcref)", "(table 0 funcref)"),
        ("(table 1 funcref)", "(table 1 funcref)", "(table 1 externref)"),
        ("(table i64 1 funcref)", "(table i64 2 funcref)", "(table 1 funcref)"),
        ("(memory 1 2)", "(memory 2 2)", "(memory 1)"),
        ("(memory 2)", "(memory 3)", "(memory 1)"),
        ("(memory 1)", "(memory 1)", "(memory i64 1)"),
        ("(memory 1)", "(memory 1 1)", "(memory 1 1 (pagesize 1))"),
        ("(memory 1 (pagesize 1))", "(memory 2 (pagesize 1))", "(memory 2)"),
        ("(memory i64 1 (pagesize 1))", "(memory i64 1 2 (pagesize 1))", "(memory i64 1 2)"),
        ("(global f64)", "(global f64)", "(global i64)"),
        ("(global (mut f32))", "(global (mut f32))", "(global f32)"),
        ("(global externref)", "(global externref)", "(global funcref)"),
        ("(global f32)", "(global f32)", "(global (mut f32))"),
        ("(func (param i32))", "(func (param i32))", "(func (param externref))"),
        ("(func (result funcref))", "(func (result funcref))", "(func (result externref))"),
        ("(func)", "(func)", "(memory 1)"),
    ];
    for (ty, fits, other) in exports {
        let export = format!(r#"(export "x" {ty})"#);
        assert_eq!(host_module(&export, &defined(fits)), "ok", "{ty} {fits}");
        let message = format!("import \"m\": export \"x\": expected {ty}, found {other}");
        assert_eq!(host_module(&export, &defined(other)), message);
        // What an import gets has to be what it needs, and may be more.
        let needs = |ty: &str| format!(r#"(import "env" "x" {ty})"#);
        assert_eq!(host_module(&needs(fits), &needs(ty)), "ok", "{ty} {fits}");
        let message = format!("import \"m\": import \"env\" \"x\": expected {other}, found {ty}");
        assert_eq!(host_module(&needs(other), &needs(ty)), message);
    }
}

#[test]
fn a_core_module_with_an_import_that_its_type_has_not_is_refused_whatever_follows() {
    let imports: String = (0..1_000).map(|index| format!("(import \"env\" \"f{index}\" (func)) ")).collect();
    let message = r#"import "m": import "env" "f1": expected none, found (func)"#;
    assert_eq!(host_module(r#"(import "env" "f0" (func))"#, &imports), message);
    // The same names may be imported twice, and both have to fit.
    let twice = r#"(import "env" "x" (memory 1)) (import "env" "x" (memory 2))"#;
    assert_eq!(host_module(r#"(import "env" "x" (memory 2))"#, twice), "ok");
    let message = r#"import "m": import "env" "x": expected (memory 1), found (memory 2)"#;
    assert_eq!(host_module(r#"(import "env" "x" (memory 1))"#, twice), message);
}

/// An instruction after the end of its function, with fuel that it would use.
#[test]
fn a_core_module_of_the_host_that_is_invalid_is_refused_with_fuel_too() {
    let after = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\x0b\x01";
    for config in [Config::new().fuel(true), Config::new().interruptible(true), &mut Config::new()] {
        let mut linker: Linker<()> = Linker::new(&Engine::new(config));
        match linker.module("m", after) {
            Err(Error::Module(text)) => {
                assert!(text.contains("operators remaining after end of function"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The spec's example: a string comes in, and another is computed when the component is instantiated.
const GREETS: &str = r#"(component
  (import "name" (value $name string))
  (import "log" (func $log (param "n" u32)))
  (core func $log' (canon lower (func $log)))
  (core func $yield (canon thread.yield))
  (core module $M
    (import "" "log" (func $log (param i32)))
    (import "" "yield" (func $yield (result i32)))
    (memory (export "mem") 1)
    (global $top (mut i32) (i32.const 64))
    (data (i32.const 16) "hi ")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (global.get $top))
      (global.set $top (i32.add (global.get $top) (local.get 3)))
      (local.get $at))
    (func (export "start") (param $at i32) (param $len i32) (result i32)
      (if (i32.eqz (local.get $len)) (then unreachable))
      (call $log (local.get $len))
      (memory.copy (i32.const 19) (local.get $at) (local.get $len))
      (i32.store (i32.const 0) (i32.const 16))
      (i32.store (i32.const 4) (i32.add (local.get $len) (i32.const 3)))
      (i32.const 0))
    (func (export "waits") (result i32) (drop (call $yield)) (drop (call $yield)) (i32.const 7)))
  (core instance $m (instantiate $M (with "" (instance
    (export "log" (func $log')) (export "yield" (func $yield))))))
  (func $start (param "x" string) (result string) (canon lift (core func $m "start")
    (memory (core memory $m "mem")) (realloc (core func $m "realloc"))))
  (func $waits async (result u32) (canon lift (core func $m "waits")))
  (start $start (value $name) (result (value $greeting)))
  (export "greeting" (value $greeting))
  (export "waits" (func $waits)))"#;

#[test]
fn a_start_function_computes_a_value() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.value("name", Val::String("wörld".into())).func("log", |_, args| {
        assert_eq!(args, [Val::U32(6)]);
        Ok(None)
    });
    let instance = link(&mut store, &engine, &linker, GREETS).unwrap();
    let Some(Extern::Value(Val::String(greeting))) = instance.get("greeting") else { panic!("no greeting") };
    assert_eq!(greeting, "hi wörld");
    assert_eq!(call_u32(&mut store, &instance, "waits", &[]).unwrap(), 7);
    assert_idle(&store);
}

#[test]
fn a_start_function_that_traps_fails_the_link_with_its_text() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.value("name", Val::String(String::new())).func("log", |_, _| Ok(None));
    let error = link(&mut store, &engine, &linker, GREETS).unwrap_err();
    assert!(error.to_string().contains("unreachable"), "{error}");
    assert_idle(&store);
    linker.value("name", Val::U8(1));
    let error = link(&mut store, &engine, &linker, GREETS).unwrap_err();
    assert_eq!(error.to_string(), "import \"name\": expected string, found u8");
    linker.value("name", Val::String("x".into()));
    assert!(link(&mut store, &engine, &linker, GREETS).is_ok());
}

/// An async start function may block: it runs until it has returned.
#[test]
fn a_start_function_that_blocks_is_run_to_its_end() {
    let text = r#"(component
      (core func $yield (canon thread.yield))
      (core module $M (import "" "yield" (func $yield (result i32)))
        (func (export "waits") (result i32) (drop (call $yield)) (drop (call $yield)) (i32.const 7)))
      (core instance $m (instantiate $M (with "" (instance (export "yield" (func $yield))))))
      (func $waits async (result u32) (canon lift (core func $m "waits")))
      (start $waits (result (value $v)))
      (export "v" (value $v)))"#;
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let instance = link(&mut store, &engine, &Linker::new(&engine), text).unwrap();
    assert!(matches!(instance.get("v"), Some(Extern::Value(Val::U32(7)))));
    assert_idle(&store);
}

/// Imports of each kind, of which `run` calls none, and `call` calls one.
const NEEDY: &str = r#"(component
  (import "a:b/c@1.0.0" (instance $c
    (export "r" (type $r (sub resource)))
    (export "make" (func (result (own $r))))
    (export "there" (func (result u32)))))
  (import "log" (func $log (param "text" string)))
  (core module $Mem (memory (export "mem") 1))
  (core instance $mem (instantiate $Mem))
  (core func $log' (canon lower (func $log) (memory (core memory $mem "mem"))))
  (core func $there (canon lower (func $c "there")))
  (core module $M
    (import "" "log" (func $log (param i32 i32)))
    (import "" "there" (func $there (result i32)))
    (func (export "run") (result i32) (call $there))
    (func (export "call") (call $log (i32.const 0) (i32.const 0))))
  (core instance $m (instantiate $M (with "" (instance
    (export "log" (func $log')) (export "there" (func $there))))))
  (func (export "run") (result u32) (canon lift (core func $m "run")))
  (func (export "call") (canon lift (core func $m "call"))))"#;

#[test]
fn unknown_imports_trap_when_they_are_called_and_not_before() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    // A compatible version has a part of the instance: it stays in use.
    linker.func("a:b/c@1.3.0#there", |_, _| Ok(Some(Val::U32(5))));
    let component = component(&engine, NEEDY);
    let missing = |linker: &Linker<()>, component: &Component| -> Vec<String> {
        linker.missing(component).into_iter().map(|import| import.path).collect()
    };
    assert_eq!(missing(&linker, &component), ["a:b/c@1.0.0#r", "a:b/c@1.0.0#make", "log"]);
    assert_eq!(linker.unknown_imports_trap(&mut store, &component).unwrap(), []);
    assert!(missing(&linker, &component).is_empty());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    assert_eq!(call_u32(&mut store, &instance, "run", &[]).unwrap(), 5);
    let error = instance.func(&store, "call").unwrap().call(&mut store, &[]).unwrap_err();
    assert_eq!(error.to_string(), "wasm trap: import \"log\" was called, which nothing provides");
}

#[test]
fn unknown_imports_that_are_no_functions_stay_missing() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let component = component(&engine, r#"(component (import "m" (core module)) (import "f" (func)))"#);
    let left = linker.unknown_imports_trap(&mut store, &component).unwrap();
    assert_eq!(left.iter().map(|import| import.path.as_str()).collect::<Vec<_>>(), ["m"]);
    let error = linker.instantiate(&mut store, &component).unwrap_err();
    assert_eq!(error.to_string(), "import \"m\" is missing: expected core module");
}
