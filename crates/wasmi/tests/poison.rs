//! What a trap takes with it, between components that were linked one by one.

mod common;

use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::{Component, Config, Engine, Error, Instance, Limits, Linker, Store};
use common::{assert_idle, call, call_u32, component, engine};

/// `f(x)`: traps for 0, calls the next component with x - 1 for others below 100, and answers x from 100 on.
const LINK: &str = r#"(component
  (import "next" (instance $next (export "f" (func async (param "x" u32) (result u32)))))
  (core func $next' (canon lower (func $next "f")))
  (core func $yield (canon thread.yield))
  (core module $M
    (import "" "next" (func $next (param i32) (result i32)))
    (import "" "yield" (func $yield (result i32)))
    (func (export "f") (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then unreachable))
      (if (i32.ge_u (local.get 0) (i32.const 200)) (then (drop (call $yield))))
      (if (i32.ge_u (local.get 0) (i32.const 100)) (then (return (local.get 0))))
      (call $next (i32.sub (local.get 0) (i32.const 1)))))
  (core instance $m (instantiate $M (with "" (instance
    (export "next" (func $next')) (export "yield" (func $yield))))))
  (func (export "f") async (param "x" u32) (result u32) (canon lift (core func $m "f"))))"#;

const END: &str = r#"(component
  (core module $M (func (export "f") (param i32) (result i32) (local.get 0)))
  (core instance $m (instantiate $M))
  (func (export "f") async (param "x" u32) (result u32) (canon lift (core func $m "f"))))"#;

fn link(store: &mut Store<()>, engine: &Engine, component: &Component, next: &Instance) -> Instance {
    let mut linker = Linker::new(engine);
    linker.instance(&*store, "next", next).unwrap();
    linker.instantiate(store, component).unwrap()
}

#[test]
fn a_trap_three_calls_deep_poisons_what_it_unwinds_through() {
    let engine = engine();
    let part = component(&engine, LINK);
    let mut store = Store::new(&engine, ());
    let end = Linker::new(&engine).instantiate(&mut store, &component(&engine, END)).unwrap();
    let c = link(&mut store, &engine, &part, &end);
    let b = link(&mut store, &engine, &part, &c);
    let a = link(&mut store, &engine, &part, &b);
    let aside = link(&mut store, &engine, &part, &c);
    assert_eq!(call_u32(&mut store, &a, "f", &[3]).unwrap(), 0, "a, b, c, end");

    // A call that waits elsewhere goes on.
    let waiting = aside.func(&store, "f").unwrap().start(&mut store, &[200.into_val()]).unwrap();
    let error = call_u32(&mut store, &a, "f", &[2]).unwrap_err();
    assert_eq!(error.to_string(), "wasm trap: wasm `unreachable` instruction executed");
    for dead in [&a, &b, &c] {
        let error = call_u32(&mut store, dead, "f", &[100]).unwrap_err();
        assert_eq!(error.core(), Some(CoreError::Trap(Trap::CannotEnter)));
    }
    assert_eq!(waiting.result(&mut store).unwrap(), Some(200.into_val()));
    assert_eq!(call_u32(&mut store, &end, "f", &[100]).unwrap(), 100);
    assert_eq!(call_u32(&mut store, &aside, "f", &[100]).unwrap(), 100);
    // It calls the dead, which is its own end.
    let error = call_u32(&mut store, &aside, "f", &[2]).unwrap_err();
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::CannotEnter)));
    let error = call_u32(&mut store, &aside, "f", &[100]).unwrap_err();
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::CannotEnter)));
    assert_idle(&store);
}

#[test]
fn nesting_ends_at_the_limit_of_the_store() {
    let engine = Engine::new(Config::new().limits(Limits::HEAP.with_depth(40)));
    let mut store = Store::new(&engine, ());
    let deep = component(&engine, &LINK.replace("(i32.const 100)", "(i32.const 1000)"));
    let mut last = Linker::new(&engine).instantiate(&mut store, &component(&engine, END)).unwrap();
    for _ in 0..39 {
        last = link(&mut store, &engine, &deep, &last);
    }
    assert_eq!(call_u32(&mut store, &last, "f", &[39]).unwrap(), 0);
    last = link(&mut store, &engine, &deep, &last);
    let error = call_u32(&mut store, &last, "f", &[40]).unwrap_err();
    assert_eq!(error.core(), Some(CoreError::capacity(canon_async::Resource::Depth)));
    assert_idle(&store);
}

#[test]
fn a_suspended_call_of_an_instance_that_traps_is_lost() {
    let (mut store, instance) = common::instantiate(
        r#"(component
  (core func $suspend (canon thread.suspend))
  (core module $M
    (import "" "suspend" (func $suspend (result i32)))
    (func (export "sleep") (drop (call $suspend)))
    (func (export "trap") unreachable))
  (core instance $m (instantiate $M (with "" (instance (export "suspend" (func $suspend))))))
  (func (export "sleep") async (canon lift (core func $m "sleep") async))
  (func (export "trap") (canon lift (core func $m "trap"))))"#,
    );
    let sleep = instance.func(&store, "sleep").unwrap();
    let mut asked = sleep.start(&mut store, &[]).unwrap();
    let forgotten = sleep.start(&mut store, &[]).unwrap();
    let waited = sleep.start(&mut store, &[]).unwrap();
    assert!(asked.poll(&mut store).unwrap().is_pending());
    forgotten.forget(&mut store);
    assert_eq!(store.suspended(), 3);
    assert!(call(&mut store, &instance, "trap", &[]).is_err());
    for lost in [asked.poll(&mut store).unwrap_err(), waited.result(&mut store).unwrap_err()] {
        assert_eq!(lost.core(), Some(CoreError::Trap(Trap::CannotEnter)));
    }
    let twice = asked.poll(&mut store).unwrap_err();
    assert!(matches!(twice.core(), Some(CoreError::Misuse(_))));
    assert_idle(&store);
}

#[test]
fn a_call_is_cancelled() {
    let (mut store, instance) = common::instantiate(
        r#"(component
  (core func $new (canon waitable-set.new))
  (core func $cancel (canon task.cancel))
  (core module $M
    (import "" "new" (func $new (result i32)))
    (import "" "cancel" (func $cancel))
    (func (export "f") (result i32) (i32.or (i32.const 2) (i32.shl (call $new) (i32.const 4))))
    (func (export "cb") (param i32 i32 i32) (result i32)
      (if (i32.ne (local.get 0) (i32.const 6)) (then unreachable))
      (call $cancel)
      (i32.const 0)))
  (core instance $m (instantiate $M (with "" (instance
    (export "new" (func $new)) (export "cancel" (func $cancel))))))
  (func (export "f") async (canon lift (core func $m "f") async (callback (core func $m "cb")))))"#,
    );
    let mut waits = instance.func(&store, "f").unwrap().start(&mut store, &[]).unwrap();
    assert!(waits.poll(&mut store).unwrap().is_pending());
    assert_eq!(store.suspended(), 0, "a callback leaves no frames");
    waits.cancel(&mut store).unwrap();
    assert!(matches!(waits.result(&mut store), Err(Error::Cancelled)));
    assert_idle(&store);
}

trait IntoVal {
    fn into_val(self) -> canon_async_wasmi::Val;
}

impl IntoVal for u32 {
    fn into_val(self) -> canon_async_wasmi::Val {
        canon_async_wasmi::Val::U32(self)
    }
}
