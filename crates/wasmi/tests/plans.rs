//! Components of plans that were bytes.

use canon_async_component::plan::{CoreItem, CoreItemType, CoreKind, Module, Step};
use canon_async_wasmi::{Component, Config, Engine, Error, Linker, Plan, PlanError, Store, Val};

/// Two core modules, a destructor's resource, an imported function, and a stream's built-in.
const TEXT: &str = r#"(component
    (import "twice" (func $twice (param "n" u32) (result u32)))
    (core func $twice' (canon lower (func $twice)))
    (type $s (stream u8))
    (core func $new (canon stream.new $s))
    (core module $Libc (memory (export "mem") 1) (func (export "dtor") (param i32)))
    (core instance $libc (instantiate $Libc))
    (type $r (resource (rep i32) (dtor (core func $libc "dtor"))))
    (core module $M (import "" "twice" (func $twice (param i32) (result i32))) (import "" "new" (func (result i64)))
        (import "libc" "mem" (memory 1))
        (func (export "run") (param i32) (result i32) (call $twice (local.get 0))))
    (core instance $m (instantiate $M
        (with "" (instance (export "twice" (func $twice')) (export "new" (func $new)))) (with "libc" (instance $libc))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run"))))"#;

fn bytes() -> Vec<u8> {
    let wasm = wat::parse_str(TEXT).expect("the test's text is a component");
    Component::new(&Engine::default(), &wasm).expect("valid").plan().to_bytes().expect("it was translated")
}

/// Calls `run(21)` of a plan's component.
fn run(plan: Plan) -> Result<Option<Val>, Error> {
    let engine = Engine::new(Config::new().fuel(true).memory_bytes(1 << 20));
    let component = Component::from_plan(&engine, plan)?;
    let mut store = Store::new(&engine, ());
    store.set_fuel(100_000)?;
    let mut linker = Linker::new(&engine);
    linker.func("twice", |_, args| match args {
        [Val::U32(n)] => Ok(Some(Val::U32(n.wrapping_mul(2)))),
        _ => Ok(None),
    });
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.func(&store, "run").ok_or_else(|| Error::host("no export"))?;
    run.call(&mut store, &[Val::U32(21)])
}

#[test]
fn a_component_of_a_plans_bytes_runs() {
    let bytes = bytes();
    assert_eq!(run(Plan::from_bytes(&bytes).unwrap()).unwrap(), Some(Val::U32(42)));
    assert_eq!(run(Plan::from_static(bytes.leak()).unwrap()).unwrap(), Some(Val::U32(42)));
}

#[test]
fn a_core_module_that_is_none_is_refused_by_wasmi() {
    let mut plan = Plan::from_bytes(&bytes()).unwrap();
    plan.modules[1] = Module { bytes: (&b"\0asm nonsense"[..]).into() };
    let plan = Plan::from_bytes(&plan.to_bytes().unwrap()).expect("a plan does not look into its modules");
    assert!(matches!(run(plan), Err(Error::Module(_))));
    // An instruction after the end of its function, with fuel that it would use.
    let mut plan = Plan::from_bytes(&bytes()).unwrap();
    let after = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\x0b\x01";
    plan.modules[0] = Module { bytes: (&after[..]).into() };
    match run(plan) {
        Err(Error::Module(text)) => {
            assert!(text.contains("operators remaining after end of function"), "{text}")
        }
        other => panic!("{other:?}"),
    }
    // A valid one, of which the plan expects another.
    let mut plan = Plan::from_bytes(&bytes()).unwrap();
    plan.modules.swap(0, 1);
    assert!(matches!(run(plan), Err(Error::Link(_))));
}

#[test]
fn a_plan_that_is_damaged_is_an_error_of_its_own() {
    let mut bytes = bytes();
    *bytes.last_mut().unwrap() ^= 1;
    let error = Error::from(Plan::from_bytes(&bytes).unwrap_err());
    assert!(matches!(error, Error::Plan(PlanError::Checksum { .. })), "{error}");
    assert!(error.to_string().starts_with("damaged plan: "), "{error}");
}

/// A component that names a core function for each purpose that there is.
const NAMES: &str = r#"(component
    (import "f" (func $f (param "s" string) (result string)))
    (core module $Libc (memory (export "mem") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "many") (param i32 i32 i32) (result i32 i64 i64 i64) unreachable))
    (core instance $libc (instantiate $Libc))
    (core func $f' (canon lower (func $f) (memory (core memory $libc "mem"))
        (realloc (core func $libc "realloc"))))
    (core module $M (import "" "f" (func (param i32 i32 i32)))
        (func (export "start") (result i32) unreachable)
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
        (func (export "get") (result i32) unreachable)
        (func (export "post") (param i32))
        (func (export "many") (param i32 i32 i32) (result i32 i64 i64 i64) unreachable))
    (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
    (func (export "start") async
        (canon lift (core func $m "start") async (callback (core func $m "callback"))))
    (func (export "get") (result string) (canon lift (core func $m "get") (memory (core memory $libc "mem"))
        (post-return (core func $m "post")))))"#;

/// Links the component of a plan.
fn link(plan: Plan) -> Result<(), Error> {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    linker.func("f", |_, _| Ok(None));
    let component = Component::from_plan(&engine, plan)?;
    linker.instantiate(&mut Store::new(&engine, ()), &component).map(drop)
}

/// The validator has seen no plan, and may be wrong about a component: whatever is called is called with its own type.
#[test]
fn a_function_of_another_core_type_than_its_purpose_has_is_refused() {
    let wasm = wat::parse_str(NAMES).expect("the test's text is a component");
    let good = Component::new(&Engine::default(), &wasm).expect("valid").plan().clone();
    link(good.clone()).unwrap();
    for name in ["many", "none"] {
        let rename = |item: &mut CoreItem| match item {
            CoreItem::Export { name: old, .. } => *old = name.into(),
            other => panic!("no function of a module: {other:?}"),
        };
        let put = |item: &mut Option<CoreItem>| item.as_mut().map(rename).is_some();
        let refused = |what: &str, change: &dyn Fn(&mut Plan) -> bool| {
            let mut plan = good.clone();
            assert!(change(&mut plan), "{what}");
            let error = link(plan).expect_err(what).to_string();
            assert!(error.contains(if name == "many" { what } else { "none" }), "{name} as {what}: {error}");
        };
        refused("a callback", &|plan| plan.options.iter_mut().any(|options| put(&mut options.callback)));
        refused("realloc", &|plan| plan.options.iter_mut().any(|options| put(&mut options.realloc)));
        refused("post-return", &|plan| plan.options.iter_mut().any(|options| put(&mut options.post_return)));
        refused("a lifted function", &|plan| {
            plan.lifts.iter_mut().map(|lift| rename(&mut lift.func)).count() == 2
        });
    }
}

/// A component that takes a core module and lifts a function of it.
const TAKES_MODULE: &str = r#"(component
    (import "m" (core module $m (import "env" "mem" (memory 1)) (export "f" (func (param i32) (result i32)))))
    (core module $env (memory (export "mem") 1) (func (export "f") (param i32) (result i32) (local.get 0)))
    (core instance $env (instantiate $env))
    (core instance $i (instantiate $m (with "env" (instance $env))))
    (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))"#;

/// Links a plan, from its bytes, with a core module of the host's.
fn with_module(plan: &Plan, module: &str) -> Result<(), Error> {
    let engine = Engine::default();
    let plan = Plan::from_bytes(&plan.to_bytes()?)?;
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.module("m", &wat::parse_str(format!("(module {module})")).unwrap())?;
    let component = Component::from_plan(&engine, plan)?;
    linker.instantiate(&mut Store::new(&engine, ()), &component).map(drop)
}

const GOOD: &str =
    r#"(import "env" "mem" (memory 1)) (func (export "f") (param i32) (result i32) (local.get 0))"#;

#[test]
fn a_plan_that_was_bytes_holds_core_modules_to_their_types() {
    let wasm = wat::parse_str(TAKES_MODULE).expect("the test's text is a component");
    let plan = Component::new(&Engine::default(), &wasm).expect("valid").plan().clone();
    with_module(&plan, GOOD).unwrap();
    for (module, message) in [
        (
            r#"(import "env" "mem" (memory 2)) (func (export "f") (param i32) (result i32) (local.get 0))"#,
            r#"import "m": import "env" "mem": expected (memory 1), found (memory 2)"#,
        ),
        (
            r#"(func (export "f") (param externref) (result externref) (local.get 0))"#,
            "import \"m\": export \"f\": expected (func (param i32) (result i32)), found (func (param externref) (result \
             externref))",
        ),
    ] {
        assert_eq!(with_module(&plan, module).unwrap_err().to_string(), message);
    }
}

/// A plan that says what its component does not need finds out where the module is used: by both types, in
/// words.
#[test]
fn a_plan_that_lies_about_a_core_module_is_an_error() {
    let wasm = wat::parse_str(TAKES_MODULE).expect("the test's text is a component");
    let good = Component::new(&Engine::default(), &wasm).expect("valid").plan().clone();
    let mut plan = good.clone();
    plan.import_modules[0].ty.exports.clear();
    let references = r#"(func (export "f") (param externref) (result externref) (local.get 0))"#;
    assert_eq!(
        with_module(&plan, references).unwrap_err().to_string(),
        "a lifted function must be a core function of type (func (param i32) (result i32)), found (func (param externref) \
         (result externref))"
    );
    let mut plan = good.clone();
    for (_, _, item) in &mut plan.import_modules[0].ty.imports {
        let CoreItemType::Memory(memory) = item else { panic!("{item:?}") };
        memory.limits.min = 3;
    }
    let needs = GOOD.replace("(memory 1)", "(memory 3)");
    assert_eq!(
        with_module(&plan, &needs).unwrap_err().to_string(),
        r#"core instance 1: import "env" "mem": expected (memory 3), found (memory 1)"#
    );
    let mut plan = good.clone();
    let made = plan.steps.iter_mut().filter_map(|step| match step {
        Step::InstantiateCore { imports, .. } => imports.first_mut(),
        _ => None,
    });
    let import = made.last().expect("one of the two has an import");
    import.kind = CoreKind::Func;
    import.item = CoreItem::Export { instance: 0, name: "f".into() };
    assert!(matches!(with_module(&plan, GOOD), Err(Error::Link(_))));
}

/// What nobody checked: tables of which any byte may be another.
#[test]
fn the_linker_ends_on_any_plan() {
    let good = Plan::from_bytes(&bytes()).unwrap();
    let tables = postcard::to_allocvec(&good).unwrap();
    let mut linked = 0;
    for at in 0..tables.len() {
        for byte in [0, tables[at].wrapping_add(1), tables[at].wrapping_sub(1), 0x7f] {
            let mut tables = tables.clone();
            tables[at] = byte;
            let Ok(mut plan) = postcard::from_bytes::<Plan>(&tables) else { continue };
            plan.modules = good.modules.clone();
            linked += usize::from(run(plan).is_ok());
        }
    }
    assert!(linked > 0, "names of parameters may be any");
}
