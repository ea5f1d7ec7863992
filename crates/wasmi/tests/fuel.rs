//! Fuel: a guest that never ends does.

mod common;

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::{Config, Engine, Linker, Store, Val};
use common::{assert_idle, call, component};

const GUEST: &str = r#"(component
  (core func $yield (canon thread.yield))
  (core module $M
    (import "" "yield" (func $yield (result i32)))
    (func (export "endless") (loop (br 0)))
    (func (export "yields") (loop (drop (call $yield)) (br 0)))
    (func (export "turns") (param i32)
      (loop (drop (call $yield)) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "ends") (result i32) (i32.const 42)))
  (core instance $m (instantiate $M (with "" (instance (export "yield" (func $yield))))))
  (func (export "endless") (canon lift (core func $m "endless")))
  (func (export "yields") async (canon lift (core func $m "yields")))
  (func (export "turns") async (param "turns" u32) (canon lift (core func $m "turns")))
  (func (export "ends") (result u32) (canon lift (core func $m "ends"))))"#;

#[test]
fn a_guest_without_fuel_traps_and_others_go_on() {
    let engine = Engine::new(Config::new().fuel(true));
    let component = component(&engine, GUEST);
    let mut store = Store::new(&engine, ());
    store.set_fuel(100_000).unwrap();
    let linker = Linker::new(&engine);
    let [endless, yields, ends] = [0; 3].map(|_| linker.instantiate(&mut store, &component).unwrap());
    for (guest, name) in [(&endless, "endless"), (&yields, "yields")] {
        store.set_fuel(100_000).unwrap();
        let error = call(&mut store, guest, name, &[]).unwrap_err();
        assert_eq!(error.to_string(), "wasm trap: all fuel consumed");
        assert!(store.fuel().unwrap() < 100);
        let error = call(&mut store, guest, "ends", &[]).unwrap_err();
        assert_eq!(error.core(), Some(CoreError::Trap(Trap::CannotEnter)));
    }
    assert!(call(&mut store, &ends, "ends", &[]).is_err());
    store.set_fuel(1000).unwrap();
    let other = linker.instantiate(&mut store, &component).unwrap();
    assert_eq!(call(&mut store, &other, "ends", &[]).unwrap(), Some(Val::U32(42)));
    assert!(store.fuel().unwrap() < 1000);
    assert_idle(&store);
}

#[test]
fn fuel_without_a_config_that_uses_it_is_refused() {
    let mut store = Store::new(&Engine::default(), ());
    assert!(store.set_fuel(1).unwrap_err().to_string().contains("fuel"));
    assert!(store.fuel().is_err());
}

#[test]
fn whoever_polls_a_call_gives_it_fuel_each_time() {
    let engine = Engine::new(Config::new().fuel(true));
    let component = component(&engine, GUEST);
    for (each_time, ends) in [(false, false), (true, true)] {
        let mut store = Store::new(&engine, ());
        store.set_fuel(20_000).unwrap();
        let guest = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        let turns = guest.func(&store, "turns").unwrap();
        let mut call = turns.call_async(&mut store, &[Val::U32(10_000)]).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let result = loop {
            if let Poll::Ready(result) = Pin::new(&mut call).poll(&mut context) {
                break result;
            }
            if each_time {
                call.store().set_fuel(20_000).unwrap();
            }
        };
        assert_eq!(result.is_ok(), ends, "{result:?}");
    }
}

/// `work` counts down from its argument; `pass` calls that of another component.
const WORKER: &str = r#"(component
  (core module $M (func (export "work") (param i32) (result i32)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 1)))
  (core instance $m (instantiate $M))
  (func (export "work") (param "n" u32) (result u32) (canon lift (core func $m "work"))))"#;

const PASSER: &str = r#"(component
  (import "work" (func $work (param "n" u32) (result u32)))
  (core func $work' (canon lower (func $work)))
  (core module $M
    (import "" "work" (func $work (param i32) (result i32)))
    (func $start (nop))
    (start $start)
    (func (export "pass") (param i32) (result i32) (call $work (local.get 0))))
  (core instance $m (instantiate $M (with "" (instance (export "work" (func $work'))))))
  (func (export "pass") (param "n" u32) (result u32) (canon lift (core func $m "pass"))))"#;

#[test]
fn fuel_that_was_used_is_that_of_the_component_whose_code_ran() {
    for interruptible in [false, true] {
        let engine = Engine::new(Config::new().fuel(true).interruptible(interruptible).slice_fuel(500));
        let (worker, passer) = (component(&engine, WORKER), component(&engine, PASSER));
        let mut store = Store::new(&engine, ());
        store.set_fuel(1_000_000).unwrap();
        let worker = Linker::new(&engine).instantiate(&mut store, &worker).unwrap();
        let mut linker = Linker::new(&engine);
        linker.export(&store, "work", &worker, "work").unwrap();
        let passer = linker.instantiate(&mut store, &passer).unwrap();
        let started = store.fuel_used(&passer);
        assert!(started > 0 && started < 100 && store.fuel_used(&worker) == 0, "{started}");
        let before = store.fuel().unwrap();
        call(&mut store, &passer, "pass", &[Val::U32(10_000)]).unwrap();
        let (worked, passed) = (store.fuel_used(&worker), store.fuel_used(&passer));
        assert!(worked > 10_000 && passed > started && passed < 100, "{worked} {passed}");
        assert_eq!(before - store.fuel().unwrap(), worked + passed - started);
        // More fuel is none that was used.
        store.set_fuel(50).unwrap();
        assert_eq!(store.fuel_used(&worker), worked);
        call(&mut store, &passer, "pass", &[Val::U32(10_000)]).unwrap_err();
        assert_eq!(
            store.fuel_used(&worker) + store.fuel_used(&passer),
            worked + passed + 50 - store.fuel().unwrap()
        );
    }
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let worker = component(&engine, WORKER);
    let worker = Linker::new(&engine).instantiate(&mut store, &worker).unwrap();
    call(&mut store, &worker, "work", &[Val::U32(10)]).unwrap();
    assert_eq!(store.fuel_used(&worker), 0);
}
