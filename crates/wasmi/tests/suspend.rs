//! What wasmi does not set aside by itself, and what must survive being set aside.

mod common;

use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::{Call, Config, Engine, Error, Val};
use common::{assert_idle, call, call_u32, engine, instantiate, try_instantiate, try_instantiate_in};

/// `f(x)` yields, and answers 10 x; `$M` is the caller's module.
fn caller_of_blocking(module: &str, exports: &str) -> String {
    format!(
        r#"(component
  (component $Callee
    (core func $yield (canon thread.yield))
    (core module $M
      (import "" "yield" (func $yield (result i32)))
      (func (export "f") (param i32) (result i32)
        (drop (call $yield))
        (i32.mul (local.get 0) (i32.const 10))))
    (core instance $m (instantiate $M (with "" (instance (export "yield" (func $yield))))))
    (func (export "f") async (param "x" u32) (result u32) (canon lift (core func $m "f"))))
  (component $Caller
    (import "f" (func $f async (param "x" u32) (result u32)))
    (core func $f' (canon lower (func $f)))
    (core module $M
      (import "" "f" (func $f (param i32) (result i32)))
      {module})
    (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
    {exports})
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "caller" (instance $caller)))"#
    )
}

fn lift(names: &[&str]) -> String {
    let one = |name: &&str| {
        format!(
            r#"(func (export "{name}") async (param "x" u32) (result u32) (canon lift (core func $m "{name}")))"#
        )
    };
    names.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_tail_call_of_a_blocking_built_in_is_an_ordinary_call() {
    let module = r#"
      (type $t (func (param i32) (result i32)))
      (table 1 funcref) (elem (i32.const 0) $f)
      (func (export "root") (param i32) (result i32) (return_call $f (local.get 0)))
      (func $tail (param i32) (result i32) (return_call $f (local.get 0)))
      (func $tail-indirect (param i32) (result i32) (return_call_indirect (type $t) (local.get 0) (i32.const 0)))
      (func (export "inner") (param i32) (result i32) (local i32 i32 i32)
        (local.set 1 (i32.const 1000)) (local.set 2 (i32.const 2000))
        (local.set 3 (call $tail (local.get 0)))
        (i32.add (local.get 0) (i32.add (local.get 1) (i32.add (local.get 2) (local.get 3)))))
      (func (export "indirect") (param i32) (result i32) (local i32 i32 i32)
        (local.set 1 (i32.const 1000)) (local.set 2 (i32.const 2000))
        (local.set 3 (call $tail-indirect (local.get 0)))
        (i32.add (local.get 0) (i32.add (local.get 1) (i32.add (local.get 2) (local.get 3)))))"#;
    let engine = Engine::new(Config::new().tail_calls(true));
    let wat = caller_of_blocking(module, &lift(&["root", "inner", "indirect"]));
    let (mut store, instance) = try_instantiate_in(&engine, &wat);
    let instance = instance.unwrap();
    assert_eq!(call_u32(&mut store, &instance, "caller#root", &[4]).unwrap(), 40);
    assert_eq!(call_u32(&mut store, &instance, "caller#inner", &[4]).unwrap(), 3044);
    assert_eq!(call_u32(&mut store, &instance, "caller#indirect", &[4]).unwrap(), 3044);
    assert_idle(&store);
}

#[test]
fn a_blocking_built_in_that_is_exported_again_or_lifted_can_suspend() {
    let module = r#"(export "again" (func $f))"#;
    let exports = format!(
        r#"{} (func (export "itself") async (param "x" u32) (result u32) (canon lift (core func $f')))"#,
        lift(&["again"])
    );
    let (mut store, instance) = instantiate(&caller_of_blocking(module, &exports));
    assert_eq!(call_u32(&mut store, &instance, "caller#again", &[4]).unwrap(), 40);
    assert_eq!(call_u32(&mut store, &instance, "caller#itself", &[5]).unwrap(), 50);
    assert_idle(&store);
}

#[test]
fn a_start_function_cannot_block() {
    let module = r#"(func $start (drop (call $f (i32.const 1)))) (start $start)"#;
    let (mut store, made) = try_instantiate(&caller_of_blocking(module, ""));
    let error = made.unwrap_err();
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::CannotBlockSync)), "{error}");
    while store.tick().unwrap() {}
    assert_idle(&store);
}

#[test]
fn a_start_function_traps_with_its_text() {
    for (module, text) in [
        ("(func $start unreachable) (start $start)", "wasm trap: wasm `unreachable` instruction executed"),
        ("(memory 1) (data (i32.const 65536) \"x\")", "wasm trap: out of bounds memory access"),
        (
            "(table 1 funcref) (elem (i32.const 1) $f)",
            "wasm trap: undefined element: out of bounds table access",
        ),
    ] {
        let (_, made) = try_instantiate(&caller_of_blocking(module, ""));
        assert_eq!(made.unwrap_err().to_string(), text);
    }
}

#[test]
fn a_trap_in_a_nested_callee_keeps_its_code_and_its_text() {
    let wat = |yields: &str, body: &str| {
        format!(
            r#"(component
  (component $Callee
    (core func $yield (canon thread.yield))
    (core module $M
      (import "" "yield" (func $yield (result i32)))
      (func (export "f") (param i32) (result i32) {yields} {body}))
    (core instance $m (instantiate $M (with "" (instance (export "yield" (func $yield))))))
    (func (export "f") async (param "x" u32) (result u32) (canon lift (core func $m "f"))))
  (component $Caller
    (import "f" (func $f async (param "x" u32) (result u32)))
    (core func $f' (canon lower (func $f)))
    (core module $M
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "run") (param i32) (result i32) (call $f (local.get 0))))
    (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
    (func (export "run") async (param "x" u32) (result u32) (canon lift (core func $m "run"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "run" (func $caller "run")))"#
        )
    };
    for yields in ["", "(drop (call $yield))"] {
        for (body, code, text) in [
            ("unreachable", 1, "wasm trap: wasm `unreachable` instruction executed"),
            ("(i32.div_u (i32.const 1) (i32.const 0))", 5, "wasm trap: integer divide by zero"),
        ] {
            let (mut store, instance) = instantiate(&wat(yields, body));
            let error = call_u32(&mut store, &instance, "run", &[1]).unwrap_err();
            assert_eq!(error.core(), Some(CoreError::Trap(Trap::Engine(code))));
            assert_eq!(error.to_string(), text);
            let again = call_u32(&mut store, &instance, "run", &[1]).unwrap_err();
            assert_eq!(again.to_string(), "wasm trap: cannot enter component instance");
            assert_idle(&store);
        }
    }
}

#[test]
fn a_memory_grows_while_its_guest_is_suspended() {
    let (mut store, instance) = instantiate(
        r#"(component
  (core func $yield (canon thread.yield))
  (core func $return (canon task.return (result u32)))
  (core module $M
    (import "" "yield" (func $yield (result i32)))
    (import "" "return" (func $return (param i32)))
    (memory 1)
    (func (export "run")
      (i32.store (i32.const 100) (i32.const 7))
      (drop (call $yield))
      (i32.store (i32.const 200000) (i32.const 35))
      (call $return (i32.add (i32.load (i32.const 100)) (i32.load (i32.const 200000)))))
    (func (export "grow") (result i32) (memory.grow (i32.const 3))))
  (core instance $m (instantiate $M (with "" (instance
    (export "yield" (func $yield)) (export "return" (func $return))))))
  (func (export "run") async (result u32) (canon lift (core func $m "run") async))
  (func (export "grow") (result u32) (canon lift (core func $m "grow"))))"#,
    );
    let run = instance.func(&store, "run").unwrap().start(&mut store, &[]).unwrap();
    assert_eq!(store.suspended(), 1);
    assert_eq!(call_u32(&mut store, &instance, "grow", &[]).unwrap(), 1);
    assert_eq!(run.result(&mut store).unwrap(), Some(Val::U32(42)));
    assert_idle(&store);
}

const SLEEPERS: &str = r#"(component
  (core func $suspend (canon thread.suspend))
  (core func $index (canon thread.index))
  (core func $wake (canon thread.resume-later))
  (core func $return (canon task.return (result u32)))
  (core module $M
    (import "" "suspend" (func $suspend (result i32)))
    (import "" "index" (func $index (result i32)))
    (import "" "wake" (func $wake (param i32)))
    (import "" "return" (func $return (param i32)))
    (memory 2)
    (func $deep (param $n i32) (param $x i32) (result i32)
      (if (i32.eqz (local.get $n)) (then (drop (call $suspend)) (return (local.get $x))))
      (i32.add (i32.const 1) (call $deep (i32.sub (local.get $n) (i32.const 1)) (local.get $x))))
    (func (export "sleep") (param $x i32)
      (i32.store (i32.mul (local.get $x) (i32.const 4)) (call $index))
      (call $return (call $deep (i32.const 7) (local.get $x))))
    (func (export "wake") (param $x i32)
      (call $wake (i32.load (i32.mul (local.get $x) (i32.const 4))))))
  (core instance $m (instantiate $M (with "" (instance
    (export "suspend" (func $suspend)) (export "index" (func $index))
    (export "wake" (func $wake)) (export "return" (func $return))))))
  (func (export "sleep") async (param "x" u32) (result u32) (canon lift (core func $m "sleep") async))
  (func (export "wake") (param "x" u32) (canon lift (core func $m "wake"))))"#;

#[test]
fn ten_thousand_guests_are_resumed_in_any_order() {
    let (mut store, instance) = instantiate(SLEEPERS);
    let sleep = instance.func(&store, "sleep").unwrap();
    let mut calls: Vec<(u32, Call)> = Vec::new();
    for n in 0..10_000 {
        calls.push((n, sleep.start(&mut store, &[Val::U32(n)]).unwrap()));
    }
    assert_eq!(store.suspended(), 10_000);
    let mut random = 12345u64;
    while !calls.is_empty() {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let (n, sleeper) = calls.swap_remove((random >> 33) as usize % calls.len());
        assert_eq!(call(&mut store, &instance, "wake", &[Val::U32(n)]).unwrap(), None);
        assert_eq!(sleeper.result(&mut store).unwrap(), Some(Val::U32(n + 7)));
    }
    assert_idle(&store);
}

#[test]
fn things_of_another_store_or_engine_are_refused() {
    let (mut a, instance) = instantiate(SLEEPERS);
    let (mut b, _) = instantiate(SLEEPERS);
    let misuse = |error: Error| assert!(matches!(error.core(), Some(CoreError::Misuse(_))), "{error}");
    assert!(instance.func(&b, "sleep").is_none());
    let sleep = instance.func(&a, "sleep").unwrap();
    misuse(sleep.start(&mut b, &[Val::U32(1)]).unwrap_err());
    let mut sleeper = sleep.start(&mut a, &[Val::U32(1)]).unwrap();
    misuse(sleeper.poll(&mut b).unwrap_err());
    misuse(sleeper.cancel(&mut b).unwrap_err());
    misuse(sleeper.result(&mut b).unwrap_err());
    let engine = engine();
    let component = common::component(&engine, SLEEPERS);
    misuse(canon_async_wasmi::Linker::new(&engine).instantiate(&mut a, &component).unwrap_err());
    let mut linker = canon_async_wasmi::Linker::new(a.engine());
    linker.instance(&a, "x", &instance).unwrap();
    misuse(linker.instance(&b, "y", &instance).unwrap_err());
}

#[test]
fn a_deadlock_is_an_error_and_poisons_nothing() {
    let (mut store, instance) = instantiate(SLEEPERS);
    let error = call_u32(&mut store, &instance, "sleep", &[1]).unwrap_err();
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::Deadlock)));
    assert!(call(&mut store, &instance, "wake", &[Val::U32(1)]).is_ok());
    while store.tick().unwrap() {}
    assert_idle(&store);
}
