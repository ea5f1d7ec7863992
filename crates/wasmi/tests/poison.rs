//! What a trap takes with it, between components that were linked one by one.

mod common;

use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::{Component, Engine, Error, Instance, Linker, Store};
use common::{assert_idle, call_u32, component, engine};

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
fn a_suspended_call_into_an_instance_that_traps_is_lost() {
    let engine = engine();
    let part = component(&engine, &LINK.replace("(core func $m \"f\")", "(core func $m \"f\")"));
    let mut store = Store::new(&engine, ());
    let end = Linker::new(&engine).instantiate(&mut store, &component(&engine, END)).unwrap();
    let c = link(&mut store, &engine, &part, &end);
    let b = link(&mut store, &engine, &part, &c);
    // b waits for c, which yields; then c traps under another caller.
    let mut waiting = b.func(&store, "f").unwrap().start(&mut store, &[201.into_val()]).unwrap();
    let mut queued = b.func(&store, "f").unwrap().start(&mut store, &[202.into_val()]).unwrap();
    assert_eq!(store.suspended(), 1, "the second waits for the first to leave");
    while store.tick().unwrap() {}
    assert!(matches!(waiting.poll(&mut store), Ok(core::task::Poll::Ready(_))));
    assert!(matches!(queued.poll(&mut store), Ok(core::task::Poll::Ready(_))));

    let mut waiting = b.func(&store, "f").unwrap().start(&mut store, &[200.into_val()]).unwrap();
    let doomed = b.func(&store, "f").unwrap().start(&mut store, &[1.into_val()]).unwrap();
    while store.tick().unwrap_or(true) {}
    assert!(matches!(waiting.poll(&mut store), Ok(core::task::Poll::Ready(_))));
    let error = doomed.result(&mut store).unwrap_err();
    assert!(matches!(error, Error::Trap { .. }), "{error}");
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
