//! Linking, on an engine without an interpreter.

mod common;

use canon_async::{Error, Limits, Resource};
use canon_async_component::host::CallState;
use canon_async_component::plan::Step;
use canon_async_component::types::{Field, FuncType, TypeTable, ValType};
use canon_async_component::{Extern, LinkError, Linker, Plan, Val, define_host_resource, instantiate};
use common::engine::{Closure, FakeEngine};
use common::plan;

type Instance = canon_async_component::Instance<usize>;

fn link(e: &mut FakeEngine, plan: &Plan, linker: &Linker<Closure, usize>) -> Result<Instance, LinkError> {
    instantiate(e, plan, linker)
}

fn nothing(_: &[Val]) -> Option<Val> {
    None
}

/// The error that linking with nothing ends in.
fn alone(text: &str) -> String {
    link(&mut FakeEngine::new(), &plan(text), &Linker::new()).expect_err("refused").to_string()
}

const ECHO: &str = r#"(component
    (core module $m (memory (export "mem") 1)
        (func (export "id") (param i32) (result i32) unreachable)
        (func (export "pair") (param i32 i32) (result i32) unreachable)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m))
    (func (export "num") (param "x" u32) (result u32) (canon lift (core func $i "id")))
    (func (export "text") (param "x" string) (result string) (canon lift (core func $i "pair")
        (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
    (func (export "bytes") (param "xs" (list u8)) (result (list u8)) (canon lift (core func $i "pair")
        (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))"#;

#[test]
fn the_host_calls_an_export() {
    let mut e = FakeEngine::new();
    let instance = link(&mut e, &plan(ECHO), &Linker::new()).unwrap();
    let num = instance.func("num").unwrap().clone();
    assert_eq!(e.run_func(&num, vec![Val::U32(7)]), Ok(CallState::Returned(Some(Val::U32(7)))));
    let text = instance.func("text").unwrap().clone();
    for input in ["", "hello", "grüße 🦀"] {
        let input = Val::String(input.into());
        assert_eq!(e.run_func(&text, vec![input.clone()]), Ok(CallState::Returned(Some(input))));
    }
    let bytes = instance.func("bytes").unwrap().clone();
    let list = Val::List((0..200).map(Val::U8).collect());
    assert_eq!(e.run_func(&bytes, vec![list.clone()]), Ok(CallState::Returned(Some(list))));
    assert!(instance.func("nowhere").is_none() && instance.func("num#x").is_none());
}

#[test]
fn a_value_of_another_type_is_refused_with_its_path() {
    let mut e = FakeEngine::new();
    let instance = link(&mut e, &plan(ECHO), &Linker::new()).unwrap();
    let bytes = instance.func("bytes").unwrap();
    let list = Val::List(vec![Val::U8(1), Val::String("x".into())]);
    let error = e.calls.start(bytes, vec![list]).unwrap_err();
    assert_eq!(error.to_string(), "argument 1 \"xs\"[1]: expected u8, found string");
    let error = e.calls.start(bytes, vec![]).unwrap_err();
    assert_eq!(error.to_string(), "call: expected 1 arguments, found 0");
}

#[test]
fn a_value_above_the_hosts_limit_is_a_capacity_error() {
    let mut e = FakeEngine::new();
    let instance = link(&mut e, &plan(ECHO), &Linker::new()).unwrap();
    e.host_memory = canon_async_component::HostMemory::new(1000);
    let text = instance.func("text").unwrap().clone();
    let call = e.calls.start(&text, vec![Val::String("x".repeat(1001))]).unwrap();
    let error = canon_async::run::call(&mut e, text.lift(), call).unwrap_err();
    assert_eq!(error, Error::capacity(Resource::HostBytes));
}

const IMPORTS: &str = r#"(component
    (import "a:b/c@1.0.0" (instance $c (export "add" (func (param "x" u32) (param "y" u32) (result u32)))))
    (import "greet" (func $greet (param "who" string) (result string)))
    (core module $mem (memory (export "mem") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
    (core instance $mem (instantiate $mem))
    (core func $add (canon lower (func $c "add")))
    (core func $greet (canon lower (func $greet)
        (memory (core memory $mem "mem")) (realloc (core func $mem "realloc"))))
    (core module $m (import "h" "add" (func (param i32 i32) (result i32)))
        (import "h" "greet" (func (param i32 i32 i32)))
        (func (export "call0") (param i32 i32) (result i32) unreachable)
        (func (export "spill1") (param i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "h" (instance
        (export "add" (func $add)) (export "greet" (func $greet))))))
    (func (export "add") (param "x" u32) (param "y" u32) (result u32) (canon lift (core func $i "call0")))
    (func (export "hi") (param "who" string) (result string) (canon lift (core func $i "spill1")
        (memory (core memory $mem "mem")) (realloc (core func $mem "realloc")))))"#;

fn hosts() -> Linker<Closure, usize> {
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.func("a:b/c@1.0.0#add", |args| match args {
        [Val::U32(x), Val::U32(y)] => Some(Val::U32(x.wrapping_add(*y))),
        _ => None,
    });
    linker.func("greet", |args| match args {
        [Val::String(who)] => Some(Val::String(format!("hello {who}"))),
        _ => None,
    });
    linker
}

#[test]
fn a_guest_calls_the_host() {
    let mut e = FakeEngine::new();
    let instance = link(&mut e, &plan(IMPORTS), &hosts()).unwrap();
    assert_eq!(
        e.log.iter().filter(|line| !line.starts_with("compile")).collect::<Vec<_>>(),
        [
            "host a:b/c@1.0.0#add",
            "host greet",
            "instantiate ",
            "builtin (func (param i32 i32) (result i32))",
            "builtin (func (param i32 i32 i32))",
            "instantiate h.add h.greet",
        ]
    );
    let add = instance.func("add").unwrap().clone();
    let sum = e.run_func(&add, vec![Val::U32(40), Val::U32(2)]);
    assert_eq!(sum, Ok(CallState::Returned(Some(Val::U32(42)))));
    let hi = instance.func("hi").unwrap().clone();
    let text = |text: &str| Val::String(text.into());
    assert_eq!(e.run_func(&hi, vec![text("you")]), Ok(CallState::Returned(Some(text("hello you")))));
}

#[test]
fn a_host_function_that_returns_another_type_is_named() {
    let mut e = FakeEngine::new();
    let mut linker = hosts();
    linker.func("greet", |_| Some(Val::Bool(true)));
    let instance = link(&mut e, &plan(IMPORTS), &linker).unwrap();
    let hi = instance.func("hi").unwrap().clone();
    assert!(e.run_func(&hi, vec![Val::String("you".into())]).is_err());
    assert_eq!(e.log.last().unwrap(), "result of \"greet\": expected string, found bool");
}

const RICH: &str = r#"(component
    (core module $m (memory (export "mem") 1)
        (func (export "pair") (param i32 i32) (result i32) unreachable)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m))
    (type $flags' (flags "a" "b" "c" "d" "e" "f" "g" "h" "i"))
    (export $flags "flags" (type $flags'))
    (type $color' (enum "red" "green"))
    (export $color "color" (type $color'))
    (type $rec' (record (field "n" u8) (field "d" f64) (field "s" string) (field "f" $flags)))
    (export $rec "rec" (type $rec'))
    (type $var' (variant (case "x") (case "y" $rec) (case "z" (tuple char $color s16))))
    (export $var "var" (type $var'))
    (type $all (list (tuple $var (option (list u16 3)) (result string (error $color)) (map string s64))))
    (func (export "f") (param "xs" $all) (result $all) (canon lift (core func $i "pair")
        (memory (core memory $i "mem")) (realloc (core func $i "realloc")) string-encoding=ENCODING)))"#;

/// Through the core's transfers to the guest's memory and back: both sides have to agree on every layout.
#[test]
fn values_of_all_types_pass_through_a_guest() {
    let boxed = |val: Val| Some(Box::new(val));
    let flags = Val::Flags(vec!["b".into(), "i".into()]);
    let text = |text: &str| Val::String(text.into());
    let rec = Val::Record(vec![
        ("n".into(), Val::U8(200)),
        ("d".into(), Val::F64(-1.25)),
        ("s".into(), text("grüße, 世界")),
        ("f".into(), flags),
    ]);
    let red = || Val::Enum("red".into());
    let triple = Val::Tuple(vec![Val::Char('é'), Val::Enum("green".into()), Val::S16(-3)]);
    let three = Val::List(vec![Val::U16(1), Val::U16(2), Val::U16(65535)]);
    let map = Val::Map(vec![(text("k"), Val::S64(-1)), (text(""), Val::S64(i64::MIN))]);
    let row = |var, option, result, map| Val::Tuple(vec![var, Val::Option(option), Val::Result(result), map]);
    let rows = Val::List(vec![
        row(Val::Variant("x".into(), None), None, Ok(boxed(text("ok"))), Val::Map(vec![])),
        row(Val::Variant("y".into(), boxed(rec)), boxed(three), Err(boxed(red())), map),
        row(Val::Variant("z".into(), boxed(triple)), None, Ok(boxed(text(""))), Val::Map(vec![])),
    ]);
    for encoding in ["utf8", "utf16", "latin1+utf16"] {
        let mut e = FakeEngine::new();
        let plan = plan(&RICH.replace("ENCODING", encoding));
        let instance = link(&mut e, &plan, &Linker::new()).unwrap();
        let f = instance.func("f").unwrap().clone();
        for rows in [rows.clone(), Val::List(vec![])] {
            assert_eq!(e.run_func(&f, vec![rows.clone()]), Ok(CallState::Returned(Some(rows))), "{encoding}");
        }
    }
}

#[test]
fn what_is_missing_is_named_with_its_type() {
    assert_eq!(
        alone(IMPORTS),
        "import \"a:b/c@1.0.0#add\" is missing: expected func(x: u32, y: u32) -> u32\n\
         import \"greet\" is missing: expected func(who: string) -> string"
    );
    assert_eq!(
        alone(r#"(component (import "m" (core module)))"#),
        "import \"m\" is missing: expected core module"
    );
    assert_eq!(
        alone(r#"(component (import "c" (component)))"#),
        "import \"c\" is missing: expected component"
    );
    assert_eq!(
        alone(r#"(component (import "r" (type (sub resource))))"#),
        "import \"r\" is missing: expected resource"
    );
    let types_only =
        r#"(component (import "i" (instance (type $t (tuple u8)) (export "t" (type (eq $t))))))"#;
    assert!(link(&mut FakeEngine::new(), &plan(types_only), &Linker::new()).is_ok(), "nothing is needed");
}

#[test]
fn what_is_of_another_kind_or_type_is_named_with_both() {
    let mut linker = hosts();
    linker.func("a:b/c@1.0.0", nothing);
    let error = link(&mut FakeEngine::new(), &plan(IMPORTS), &linker).unwrap_err();
    assert_eq!(error.to_string(), "import \"a:b/c@1.0.0\": expected instance, found func");

    let mut linker = hosts();
    let params = vec![Field { name: "who".into(), ty: ValType::U32 }];
    let own =
        TypeTable { funcs: vec![FuncType { params, result: None, is_async: true }], ..TypeTable::default() };
    linker.func_typed("greet", own, 0, nothing).unwrap();
    let error = link(&mut FakeEngine::new(), &plan(IMPORTS), &linker).unwrap_err();
    assert_eq!(
        error.to_string(),
        "import \"greet\": expected func(who: string) -> string, found async func(who: u32)"
    );
}

const COUNTER: &str = r#"(component
    (core module $m (func (export "dtor") (param i32)) (func (export "f") (param i32)))
    (core instance $i (instantiate $m))
    (type $r' (resource (rep i32) (dtor (core func $i "dtor"))))
    (export $r "r" (type $r'))
    (func (export "f") (param "x" (own $r)) (canon lift (core func $i "f"))))"#;

const USES_COUNTER: &str = r#"(component
    (import "counter" (instance $c
        (export "r" (type $r (sub resource)))
        (export "f" (func (param "x" (own $r))))))
    (export "c" (instance $c)))"#;

#[test]
fn one_component_is_linked_to_another() {
    let mut e = FakeEngine::new();
    let counter = plan(COUNTER);
    assert!(counter.steps.iter().any(|step| matches!(step, Step::Destructor { resource: 0, .. })));
    let (first, second) =
        (link(&mut e, &counter, &Linker::new()).unwrap(), link(&mut e, &counter, &Linker::new()).unwrap());
    let resource = |instance: &Instance| match instance.get("r") {
        Some(Extern::Resource(resource)) => *resource,
        other => panic!("{other:?}"),
    };
    assert_ne!(resource(&first), resource(&second), "each instance has its own");

    let mut linker = Linker::new();
    linker.instance("counter", &first);
    let user = link(&mut e, &plan(USES_COUNTER), &linker).unwrap();
    assert_eq!(user.func("c#f").unwrap().lift(), first.func("f").unwrap().lift());
    assert_eq!(user.func("c#f").unwrap().type_id(), first.func("f").unwrap().type_id());

    // The function of one with the resource of the other does not fit.
    linker.resource("counter#r", resource(&second));
    let error = link(&mut e, &plan(USES_COUNTER), &linker).unwrap_err();
    assert!(matches!(error, LinkError::Mismatch { ref path, .. } if path == "counter#f"), "{error}");
}

#[test]
fn a_resource_that_is_equal_to_another_need_not_be_provided() {
    let text = r#"(component
        (import "poll" (instance $p (export "pollable" (type (sub resource)))))
        (alias export $p "pollable" (type $pollable))
        (import "streams" (instance
            (export "pollable" (type $pollable2 (eq $pollable)))
            (export "wait" (func (param "x" (borrow $pollable2)))))))"#;
    let mut e = FakeEngine::new();
    let mut linker: Linker<Closure, usize> = Linker::new();
    let [pollable, other] = [(); 2].map(|()| define_host_resource(&mut e, None).unwrap());
    linker.resource("poll#pollable", pollable).func("streams#wait", nothing);
    assert!(link(&mut e, &plan(text), &linker).is_ok());
    linker.resource("streams#pollable", pollable);
    assert!(link(&mut e, &plan(text), &linker).is_ok());
    linker.resource("streams#pollable", other);
    let error = link(&mut e, &plan(text), &linker).unwrap_err().to_string();
    assert!(error.contains("another resource type"), "{error}");
}

#[test]
fn a_plan_is_compiled_once_and_instantiated_often() {
    let mut e = FakeEngine::new();
    let plan = plan(ECHO);
    let compiled = canon_async_component::compile(&mut e, &plan).unwrap();
    for _ in 0..3 {
        let linker: Linker<Closure, usize> = Linker::new();
        canon_async_component::instantiate_compiled(&mut e, &plan, &compiled, &linker).unwrap();
    }
    assert_eq!(e.log.iter().filter(|line| line.starts_with("compile")).count(), 1);
    assert_eq!(e.log.iter().filter(|line| line.starts_with("instantiate")).count(), 3);
}

#[test]
fn the_host_has_resources_too() {
    let mut e = FakeEngine::new();
    let resource = define_host_resource(&mut e, Some(&(nothing as Closure))).unwrap();
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.resource("counter#r", resource).func("counter#f", nothing);
    let user = link(&mut e, &plan(USES_COUNTER), &linker).unwrap();
    assert!(matches!(user.get("c#r"), Some(Extern::Resource(found)) if *found == resource));
    assert!(matches!(user.get("c"), Some(Extern::Instance(exports)) if exports.len() == 2));
}

#[test]
fn a_start_function_that_traps_fails_the_link_and_poisons() {
    let mut e = FakeEngine::new();
    e.trap_in = Some(1);
    let error = link(&mut e, &plan(IMPORTS), &hosts()).unwrap_err();
    assert_eq!(error, LinkError::Store(Error::Trap(canon_async::Trap::Engine(7))));
    e.trap_in = None;
    assert!(link(&mut e, &plan(IMPORTS), &hosts()).is_ok(), "the store goes on");
}

#[test]
fn a_store_that_is_too_small_says_of_what() {
    let plan = plan(IMPORTS);
    for (limits, what) in [
        (Limits::STORAGE.with_instances(1), Resource::Instances),
        (Limits::STORAGE.with_functions(1), Resource::Functions),
        (Limits::STORAGE.with_types(1), Resource::Types),
    ] {
        let error = link(&mut FakeEngine::with_limits(limits), &plan, &hosts()).unwrap_err();
        assert_eq!(error, LinkError::Store(Error::capacity(what)));
    }
    // What `inspect` says is enough, and one less of anything is not.
    let needs = canon_async_component::inspect::needs(&plan);
    let limits = needs.raise(
        Limits::STORAGE
            .with_instances(1)
            .with_types(1)
            .with_type_items(1)
            .with_functions(1)
            .with_resources(1),
    );
    assert!(link(&mut FakeEngine::with_limits(limits), &plan, &hosts()).is_ok(), "{needs:?}");
    let less = limits.with_type_items(limits.type_items - 1);
    assert!(link(&mut FakeEngine::with_limits(less), &plan, &hosts()).is_err(), "{needs:?}");
}

#[test]
fn a_damaged_plan_is_an_error() {
    let good = plan(IMPORTS);
    let mut damaged = good.clone();
    damaged.builtins.clear();
    assert!(matches!(link(&mut FakeEngine::new(), &damaged, &hosts()), Err(LinkError::Plan { .. })));
    let mut damaged = good.clone();
    damaged.types.funcs.clear();
    assert!(matches!(link(&mut FakeEngine::new(), &damaged, &hosts()), Err(LinkError::Plan { .. })));
    for step in 0..good.steps.len() {
        let mut damaged = good.clone();
        damaged.steps.remove(step);
        let _ = link(&mut FakeEngine::new(), &damaged, &hosts());
        let mut damaged = good.clone();
        damaged.steps.rotate_left(step);
        let _ = link(&mut FakeEngine::new(), &damaged, &hosts());
    }
    let mut damaged = good;
    damaged.instances[0].parent = Some(0);
    assert!(matches!(link(&mut FakeEngine::new(), &damaged, &hosts()), Err(LinkError::Plan { .. })));
}
