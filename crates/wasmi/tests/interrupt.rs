//! What ends a guest from outside: an interrupt, a deadline; and fuel in slices.

mod common;

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use canon_async::state::Task;
use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::{Config, Engine, Error, Instance, Linker, Stopped, Store, Val};
use common::{assert_idle, call, component};

/// Guests that don't end: in a loop, by yielding, as a callback, waiting for themselves, in `realloc`,
/// post-return and a start function.
const GUEST: &str = r#"(component
  (import "wait" (func $wait async))
  (import "stop" (func $stop))
  (core func $yield (canon thread.yield))
  (core func $wait' (canon lower (func $wait)))
  (core func $stop' (canon lower (func $stop)))
  (core module $M
    (import "" "yield" (func $yield (result i32)))
    (import "" "wait" (func $wait))
    (import "" "stop" (func $stop))
    (memory (export "m") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (loop (br 0)) (unreachable))
    (func (export "endless") (loop (br 0)))
    (func (export "yields") (loop (drop (call $yield)) (br 0)))
    (func (export "waits") (call $wait))
    (func (export "stops") (loop (call $stop) (br 0)))
    (func (export "takes") (param i32 i32))
    (func (export "one") (result i32) (i32.const 1))
    (func (export "again") (param i32 i32 i32) (result i32) (i32.const 1))
    (func (export "count") (param i32) (result i32) (local i32)
      (loop (local.set 1 (i32.add (local.get 1) (i32.const 3)))
        (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (local.get 1))
    (func (export "wide") (param i64) (result i64) (local i64)
      (loop (local.set 1 (i64.add (local.get 1) (i64.const 3)))
        (br_if 0 (i64.ne (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0))))
      (drop (call $yield))
      (loop (local.set 1 (i64.add (local.get 1) (i64.const 1)))
        (br_if 0 (i64.lt_u (local.tee 0 (i64.add (local.get 0) (i64.const 1))) (i64.const 100))))
      (local.get 1))
    (func (export "grows") (result i32)
      (drop (memory.grow (i32.const 3))) (memory.size)))
  (core instance $m (instantiate $M (with "" (instance
    (export "yield" (func $yield)) (export "wait" (func $wait')) (export "stop" (func $stop'))))))
  (alias core export $m "m" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))
  (func (export "endless") (canon lift (core func $m "endless")))
  (func (export "yields") async (canon lift (core func $m "yields")))
  (func (export "waits") async (canon lift (core func $m "waits")))
  (func (export "stops") (canon lift (core func $m "stops")))
  (func (export "reallocs") (param "text" string)
    (canon lift (core func $m "takes") (memory $mem) (realloc $realloc)))
  (func (export "post-returns") (canon lift (core func $m "takes0") (post-return (core func $m "endless"))))
  (func (export "calls-back") async
    (canon lift (core func $m "one") async (callback (core func $m "again"))))
  (func (export "count") (param "n" u32) (result u32) (canon lift (core func $m "count")))
  (func (export "wide") async (param "n" u64) (result u64) (canon lift (core func $m "wide")))
  (func (export "grows") (result u32) (canon lift (core func $m "grows"))))"#;

fn guest() -> String {
    GUEST.replace("(func (export \"one\")", "(func (export \"takes0\")) (func (export \"one\")")
}

/// A linker whose `wait` never ends, and whose `stop` asks for the end.
fn linker(engine: &Engine) -> Linker<()> {
    let mut linker = Linker::new(engine);
    linker.func_async("wait", |_, _| std::future::pending());
    linker.func("stop", |caller, _| {
        caller.interrupt_handle().interrupt();
        Ok(None)
    });
    linker
}

fn interruptible() -> Engine {
    Engine::new(Config::new().interruptible(true))
}

const ENDLESS: [&str; 7] = ["endless", "yields", "waits", "stops", "reallocs", "post-returns", "calls-back"];

fn args(name: &str) -> Vec<Val> {
    if name == "reallocs" { vec![Val::String("text".into())] } else { Vec::new() }
}

fn is_dead(store: &mut Store<()>, instance: &Instance) -> bool {
    match call(store, instance, "count", &[Val::U32(1)]) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.core(), Some(CoreError::Trap(Trap::CannotEnter)), "{error}");
            true
        }
    }
}

#[test]
fn an_interrupt_ends_whatever_does_not_end_and_others_go_on() {
    let engine = interruptible();
    let component = component(&engine, &guest());
    for name in ENDLESS {
        let mut store = Store::new(&engine, ());
        let linker = linker(&engine);
        let [guest, other] = [0; 2].map(|_| linker.instantiate(&mut store, &component).unwrap());
        let handle = store.interrupt_handle();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            // The one that stops itself needs no other.
            if name != "stops" {
                handle.interrupt();
            }
        });
        let error = call(&mut store, &guest, name, &args(name)).unwrap_err();
        let ended = Instant::now();
        thread.join().unwrap();
        assert_eq!(error.stopped(), Some(Stopped::Interrupt), "{name}: {error}");
        assert_eq!(error.to_string(), "interrupted");
        assert!(ended.elapsed() < Duration::from_secs(5));
        // Who only waits for the host has no code that runs.
        assert_eq!(is_dead(&mut store, &guest), name != "waits", "{name}");
        assert_eq!(call(&mut store, &other, "count", &[Val::U32(5)]).unwrap(), Some(Val::U32(15)));
        store.core().check().unwrap();
    }
}

#[test]
fn the_store_is_shown_as_it_is_before_what_ends_it_frees_anything() {
    let engine = Engine::new(Config::new().interruptible(true).fuel(true));
    let component = component(&engine, &guest());
    for (name, stopped) in [
        ("endless", Stopped::Deadline),
        ("yields", Stopped::Deadline),
        ("waits", Stopped::Deadline),
        ("stops", Stopped::Interrupt),
        ("endless", Stopped::Fuel),
    ] {
        let mut store = Store::new(&engine, ());
        let instance = linker(&engine).instantiate(&mut store, &component).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let saw = seen.clone();
        store.on_stop(move |stopped, core| {
            let threads = core.threads().filter(|(_, thread)| core.task(thread.task()).is_some());
            let lifts = threads.map(|(_, thread)| core.task(thread.task()).and_then(Task::lift));
            saw.lock().unwrap().push((stopped, lifts.collect::<Vec<_>>()));
        });
        let (fuel, millis) = if stopped == Stopped::Fuel { (10_000, 1_000_000) } else { (u64::MAX, 50) };
        store.set_fuel(fuel).unwrap();
        store.set_deadline(Some(Duration::from_millis(millis))).unwrap();
        let func = instance.func(&store, name).unwrap();
        let error = func.call(&mut store, &[]).unwrap_err();
        assert_eq!(error.stopped(), Some(stopped), "{name}: {error}");
        let seen = seen.lock().unwrap();
        assert!(seen[0].0 == Some(stopped) && seen[0].1.contains(&Some(func.lift())), "{name}: {seen:?}");
    }
}

#[test]
fn a_deadline_ends_whatever_does_not_end_and_says_how_long_it_was() {
    let engine = interruptible();
    let component = component(&engine, &guest());
    for name in ENDLESS.into_iter().filter(|name| *name != "stops") {
        let mut store = Store::new(&engine, ());
        let linker = linker(&engine);
        let [guest, other] = [0; 2].map(|_| linker.instantiate(&mut store, &component).unwrap());
        let begin = Instant::now();
        store.set_deadline(Some(Duration::from_millis(50))).unwrap();
        let error = call(&mut store, &guest, name, &args(name)).unwrap_err();
        assert_eq!(error.stopped(), Some(Stopped::Deadline), "{name}: {error}");
        assert_eq!(error.to_string(), "deadline passed: 0.05 s (Store::set_deadline)");
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(50) && took < Duration::from_secs(10), "{name}: {took:?}");
        // Until there is another deadline, each call fails, and poisons no instance.
        let error = call(&mut store, &other, "count", &[Val::U32(1)]).unwrap_err();
        assert_eq!(error.stopped(), Some(Stopped::Deadline), "{name}");
        assert_eq!(store.tick().unwrap_err().stopped(), Some(Stopped::Deadline));
        store.set_deadline(None).unwrap();
        assert!(!is_dead(&mut store, &other), "{name}");
    }
}

#[test]
fn a_start_function_without_end_is_interrupted_as_any_code() {
    let modules = [
        "(func $f (loop (br 0))) (start $f)",
        "(func $f (export \"f\") (loop (br 0))) (memory 1) (start $f) (data (i32.const 0) \"x\")",
    ];
    for module in modules {
        let engine = interruptible();
        let wat = format!("(component (core module $M {module}) (core instance (instantiate $M)))");
        let component = component(&engine, &wat);
        let mut store = Store::new(&engine, ());
        store.set_deadline(Some(Duration::from_millis(30))).unwrap();
        let error = Linker::new(&engine).instantiate(&mut store, &component).unwrap_err();
        assert_eq!(error.stopped(), Some(Stopped::Deadline), "{error}");
    }
}

#[test]
fn a_component_of_thousands_of_core_instances_is_not_linked_past_the_deadline() {
    const INSTANCES: usize = 4_000;
    let engine = interruptible();
    let mut wat = String::from("(component (core module $M (memory 0 1))\n");
    wat.extend((0..INSTANCES).map(|_| "(core instance (instantiate $M))\n"));
    wat.push(')');
    let many = component(&engine, &wat);
    let mut store = Store::new(&engine, ());
    store.set_deadline(Some(Duration::from_millis(1))).unwrap();
    let began = Instant::now();
    let error = linker(&engine).instantiate(&mut store, &many).expect_err("it takes longer");
    assert_eq!(error.stopped(), Some(Stopped::Deadline), "{error}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    store.set_deadline(None).unwrap();
    linker(&engine).instantiate(&mut store, &many).unwrap();
}

#[test]
fn a_start_function_that_ends_has_run_once_where_guests_can_be_interrupted() {
    for engine in [Engine::default(), interruptible()] {
        let component = component(
            &engine,
            r#"(component (core module $M
                (global $g (mut i32) (i32.const 40))
                (func $f (global.set $g (i32.add (global.get $g) (i32.const 1))))
                (func (export "run") (result i32) (global.get $g))
                (start $f))
              (core instance $m (instantiate $M))
              (func (export "run") (result u32) (canon lift (core func $m "run"))))"#,
        );
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        assert_eq!(call(&mut store, &instance, "run", &[]).unwrap(), Some(Val::U32(41)));
        assert_idle(&store);
    }
}

#[test]
fn a_module_that_exports_the_reserved_name_is_refused_where_it_is_reserved() {
    let wat =
        r#"(component (core module $M (func (export "\00canon:start"))) (core instance (instantiate $M)))"#;
    let bytes = wat::parse_str(wat).unwrap();
    assert!(canon_async_wasmi::Component::new(&Engine::default(), &bytes).is_ok());
    let refused = canon_async_wasmi::Component::new(&interruptible(), &bytes).unwrap_err();
    assert!(matches!(&refused, Error::Module(text) if text.contains("reserved")), "{refused}");
}

/// The fuel that is left, and how it went, of all that a guest can do that ends.
fn fuel_of(slice: Option<u32>, fuel: u64) -> Vec<(Result<Option<Val>, String>, u64)> {
    let mut config = Config::new();
    config.fuel(true);
    if let Some(slice) = slice {
        config.interruptible(true).slice_fuel(slice);
    }
    let engine = Engine::new(&config);
    let component = component(&engine, &guest());
    let mut store = Store::new(&engine, ());
    store.set_fuel(u64::MAX).unwrap();
    let linker = linker(&engine);
    let calls = [
        ("count", 1),
        ("count", 1000),
        ("count", 30),
        ("grows", 0),
        ("wide", 200),
        ("endless", 0),
        ("yields", 0),
    ];
    let calls = calls.map(|(name, n)| {
        let instance = linker.instantiate(&mut store, &component).unwrap();
        store.set_fuel(fuel).unwrap();
        let args = match name {
            "count" => vec![Val::U32(n)],
            "wide" => vec![Val::U64(n.into())],
            _ => Vec::new(),
        };
        let result = call(&mut store, &instance, name, &args).map_err(|error| error.to_string());
        (result, store.fuel().unwrap())
    });
    calls.into()
}

#[test]
fn fuel_means_the_same_with_slices_of_any_size() {
    for fuel in [0, 1, 100, 3070, 3075, 7_000, 20_000] {
        let expected = fuel_of(None, fuel);
        assert!(expected.iter().any(|(result, _)| result.is_err()));
        for slice in [1, 7, 100, 4096, 100_000] {
            assert_eq!(fuel_of(Some(slice), fuel), expected, "slices of {slice}, {fuel} in all");
        }
    }
}

#[test]
fn an_interrupt_before_a_call_ends_that_call_and_poisons_nobody() {
    let engine = interruptible();
    let component = component(&engine, &guest());
    let mut store = Store::new(&engine, ());
    let instance = linker(&engine).instantiate(&mut store, &component).unwrap();
    store.interrupt_handle().interrupt();
    let error = call(&mut store, &instance, "count", &[Val::U32(1)]).unwrap_err();
    assert_eq!(error.stopped(), Some(Stopped::Interrupt));
    assert!(!is_dead(&mut store, &instance));
    let handle = store.interrupt_handle();
    handle.interrupt();
    handle.clear();
    assert!(!is_dead(&mut store, &instance));
    assert_idle(&store);
}

#[test]
fn a_call_as_a_future_is_ended_when_it_is_polled() {
    let engine = interruptible();
    let component = component(&engine, &guest());
    let mut store = Store::new(&engine, ());
    let instance = linker(&engine).instantiate(&mut store, &component).unwrap();
    let waits = instance.func(&store, "waits").unwrap();
    let mut future = waits.call_async(&mut store, &[]).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut future).poll(&mut context).is_pending());
    future.store().interrupt_handle().interrupt();
    let Poll::Ready(Err(error)) = Pin::new(&mut future).poll(&mut context) else { panic!("it goes on") };
    assert_eq!(error.stopped(), Some(Stopped::Interrupt));
}

#[test]
fn an_engine_that_is_not_interruptible_takes_no_deadline() {
    let mut store = Store::new(&Engine::default(), ());
    let error = store.set_deadline(Some(Duration::ZERO)).unwrap_err();
    assert!(error.to_string().contains("interruptible"), "{error}");
    store.set_deadline(None).unwrap();
    store.interrupt_handle().interrupt();
    assert!(!store.tick().unwrap());
}

#[test]
fn a_table_that_grows_at_the_end_of_a_slice_is_a_trap_that_names_the_option() {
    let guest = r#"(component (core module $M (table $t 0 funcref)
        (func (export "run") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))))
      (core instance $m (instantiate $M))
      (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run"))))"#;
    for (slice, n, ok) in [(10, 8, true), (10, 1000, false), (100_000, 1000, true)] {
        let engine = Engine::new(Config::new().interruptible(true).slice_fuel(slice));
        let component = component(&engine, guest);
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        let result = call(&mut store, &instance, "run", &[Val::U32(n)]);
        match result {
            Ok(found) => assert!(ok && found == Some(Val::U32(0)), "{slice} {n}"),
            Err(error) => {
                assert!(!ok && error.to_string().contains("Config::slice_fuel"), "{slice} {n}: {error}");
            }
        }
    }
    // Without slices, and with too little fuel, it is the fuel.
    let engine = Engine::new(Config::new().interruptible(true).fuel(true));
    let component = component(&engine, guest);
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    store.set_fuel(50).unwrap();
    let error = call(&mut store, &instance, "run", &[Val::U32(1000)]).unwrap_err();
    assert_eq!(error.stopped(), Some(Stopped::Fuel));
}
