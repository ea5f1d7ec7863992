//! What a host can do to a call under way, and what a guest can't do where it may not leave or block.

mod common;

use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::{Call, Error, Func, Linker, Store, Val};
use common::{assert_idle, call, call_u32, component, engine, instantiate};

/// `callback` waits in its callback loop, `stackful` with frames set aside, `holder` too and with the lock, `queued` to enter, and
/// `waiter` for a call of `stackful` in the other instance. `wake` ends all that waits for one of the two functions.
const WAITERS: &str = r#"(component
  (component $Inner
    (core func $suspend (canon thread.suspend))
    (core func $index (canon thread.index))
    (core func $wake (canon thread.resume-later))
    (core func $inc (canon backpressure.inc))
    (core func $dec (canon backpressure.dec))
    (core func $return (canon task.return (result u32)))
    (core module $M
      (import "" "suspend" (func $suspend (result i32)))
      (import "" "index" (func $index (result i32)))
      (import "" "wake" (func $wake (param i32)))
      (import "" "inc" (func $inc))
      (import "" "dec" (func $dec))
      (import "" "return" (func $return (param i32)))
      (global $thread (mut i32) (i32.const 0))
      (global $go (mut i32) (i32.const 0))
      (func $sleep (global.set $thread (call $index)) (drop (call $suspend)))
      (func (export "stackful") (call $sleep) (call $return (i32.const 1)))
      (func (export "holder") (result i32) (call $sleep) (i32.const 2))
      (func (export "callback") (result i32) (i32.const 1))
      (func (export "cb") (param i32 i32 i32) (result i32)
        (if (i32.eqz (global.get $go)) (then (return (i32.const 1))))
        (call $return (i32.const 3))
        (i32.const 0))
      (func (export "close") (call $inc))
      (func (export "wake")
        (global.set $go (i32.const 1))
        (if (global.get $thread) (then (call $wake (global.get $thread)) (global.set $thread (i32.const 0)))))
      (func (export "open") (call $dec)))
    (core instance $m (instantiate $M (with "" (instance
      (export "suspend" (func $suspend)) (export "index" (func $index)) (export "wake" (func $wake))
      (export "inc" (func $inc)) (export "dec" (func $dec)) (export "return" (func $return))))))
    (func (export "stackful") async (result u32) (canon lift (core func $m "stackful") async))
    (func (export "holder") async (result u32) (canon lift (core func $m "holder")))
    (func (export "callback") async (result u32) (canon lift (core func $m "callback") async (callback (core func $m "cb"))))
    (func (export "close") (canon lift (core func $m "close")))
    (func (export "wake") (canon lift (core func $m "wake")))
    (func (export "open") (canon lift (core func $m "open"))))
  (instance $inner (instantiate $Inner))
  (component $Outer
    (import "f" (func $f async (result u32)))
    (core func $f' (canon lower (func $f)))
    (core module $M
      (import "" "f" (func $f (result i32)))
      (func (export "waiter") (result i32) (i32.add (i32.const 10) (call $f))))
    (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
    (func (export "waiter") async (result u32) (canon lift (core func $m "waiter"))))
  (instance $outer (instantiate $Outer (with "f" (func $inner "stackful"))))
  (export "inner" (instance $inner))
  (export "outer" (instance $outer)))"#;

/// Starts a call that waits in the way that its name says; its result.
fn start(store: &mut Store<()>, instance: &canon_async_wasmi::Instance, kind: &str) -> (Call, u32) {
    let mut go = |name: &str| instance.func(&*store, name).unwrap().start(&mut *store, &[]).unwrap();
    match kind {
        "queued" => {
            go("inner#close").forget(&mut *store);
            let queued = instance.func(&*store, "inner#callback").unwrap().start(&mut *store, &[]).unwrap();
            (queued, 3)
        }
        "stackful" => (go("inner#stackful"), 1),
        "holder" => (go("inner#holder"), 2),
        "callback" => (go("inner#callback"), 3),
        "waiter" => (go("outer#waiter"), 11),
        other => panic!("{other}"),
    }
}

const KINDS: [&str; 5] = ["queued", "stackful", "holder", "callback", "waiter"];

fn wake(store: &mut Store<()>, instance: &canon_async_wasmi::Instance, kind: &str) {
    if kind == "queued" {
        call(store, instance, "inner#open", &[]).unwrap();
    }
    call(store, instance, "inner#wake", &[]).unwrap();
}

/// The callback yields for ever until it is told, so this is not "until nothing is ready".
fn some_ticks(store: &mut Store<()>) {
    for _ in 0..4 {
        store.tick().unwrap();
    }
}

#[test]
fn a_call_that_is_dropped_goes_on_and_leaves_nothing() {
    for kind in KINDS {
        for ticks_before in [false, true] {
            for forget in [false, true] {
                let (mut store, instance) = instantiate(WAITERS);
                let (mut under_way, _) = start(&mut store, &instance, kind);
                if ticks_before {
                    some_ticks(&mut store);
                }
                assert!(under_way.poll(&mut store).unwrap().is_pending(), "{kind}");
                if forget {
                    under_way.forget(&mut store);
                } else {
                    drop(under_way);
                }
                some_ticks(&mut store);
                wake(&mut store, &instance, kind);
                while store.tick().unwrap() {}
                assert_idle(&store);
                // The instance is whole: the same again, to its end.
                let (mut again, expected) = start(&mut store, &instance, kind);
                wake(&mut store, &instance, kind);
                while store.tick().unwrap() {}
                let result = again.poll(&mut store).unwrap();
                assert_eq!(result, std::task::Poll::Ready(Some(Val::U32(expected))), "{kind}");
                assert_idle(&store);
            }
        }
    }
}

#[test]
fn a_store_is_dropped_with_calls_of_every_kind_under_way() {
    for kind in KINDS {
        let (mut store, instance) = instantiate(WAITERS);
        let (before, _) = start(&mut store, &instance, kind);
        let (mut after, _) = start(&mut store, &instance, kind);
        let func: Func = instance.func(&store, "inner#stackful").unwrap();
        drop(before);
        drop(store);
        // What outlives its store is refused by another one.
        let (mut other, _) = instantiate(WAITERS);
        assert!(matches!(after.poll(&mut other).unwrap_err().core(), Some(CoreError::Misuse(_))));
        assert!(matches!(after.cancel(&mut other).unwrap_err().core(), Some(CoreError::Misuse(_))));
        after.forget(&mut other);
        assert!(matches!(func.start(&mut other, &[]).unwrap_err().core(), Some(CoreError::Misuse(_))));
        assert_idle(&other);
    }
}

/// `run` takes a string; its `realloc` calls the import.
const LEAVES: &str = r#"(component
  (import "f" (func $f))
  (core func $f' (canon lower (func $f)))
  (core module $M
    (import "" "f" (func $f))
    (memory (export "mem") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $f) (i32.const 64))
    (func (export "run") (param i32 i32))
    (func (export "answer") (result i32) (i32.const 7))
    (func (export "post") (param i32) (call $f)))
  (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
  (func (export "run") (param "s" string)
    (canon lift (core func $m "run") (memory (core memory $m "mem")) (realloc (core func $m "realloc"))))
  (func (export "answer") (result u32) (canon lift (core func $m "answer") (post-return (core func $m "post")))))"#;

#[test]
fn a_host_function_is_not_reached_from_realloc_or_post_return() {
    for (name, args) in [("run", vec![Val::String("abc".into())]), ("answer", vec![])] {
        let engine = engine();
        let mut store = Store::new(&engine, 0u32);
        let mut linker = Linker::<u32>::new(&engine);
        linker.func("f", |mut caller, _| {
            *caller.data_mut() += 1;
            Ok(None)
        });
        let instance = linker.instantiate(&mut store, &component(&engine, LEAVES)).unwrap();
        let error = call(&mut store, &instance, name, &args).unwrap_err();
        assert_eq!(error.core(), Some(CoreError::Trap(Trap::CannotLeave)), "{name}: {error}");
        assert_eq!(*store.data(), 0);
        assert_idle(&store);
    }
}

/// `run` calls the host, which calls `sleep` of the other instance, the way a synchronous caller does.
#[test]
fn an_async_function_that_blocks_in_a_host_function_is_an_error() {
    const GUEST: &str = r#"(component
      (import "f" (func $f))
      (core func $f' (canon lower (func $f)))
      (core func $yield (canon thread.yield))
      (core module $M
        (import "" "f" (func $f))
        (import "" "yield" (func $yield (result i32)))
        (func (export "run") (call $f))
        (func (export "sleep") (result i32) (drop (call $yield)) (i32.const 5)))
      (core instance $m (instantiate $M (with "" (instance (export "f" (func $f')) (export "yield" (func $yield))))))
      (func (export "run") (canon lift (core func $m "run")))
      (func (export "sleep") async (result u32) (canon lift (core func $m "sleep"))))"#;
    let engine = engine();
    let mut store = Store::new(&engine, None::<Func>);
    let mut linker = Linker::<Option<Func>>::new(&engine);
    linker.func("f", |caller, _| {
        let sleep: Func = caller.data().clone().unwrap();
        let error: Error = sleep.call(caller, &[]).unwrap_err();
        assert!(matches!(error.core(), Some(CoreError::Misuse(_))), "{error}");
        Ok(None)
    });
    let first = linker.instantiate(&mut store, &component(&engine, GUEST)).unwrap();
    let second = linker.instantiate(&mut store, &component(&engine, GUEST)).unwrap();
    *store.data_mut() = second.func(&store, "sleep");
    call(&mut store, &first, "run", &[]).unwrap();
    // Both go on; the call that blocked was forgotten, and ends by itself.
    while store.tick().unwrap() {}
    assert_eq!(call_u32(&mut store, &second, "sleep", &[]).unwrap(), 5);
    assert_idle(&store);
}

/// `run` returns its argument, yields twice and then traps if the argument is odd, or waits for ever if it is
/// 4.
const LINGERS: &str = r#"(component
  (core func $return (canon task.return (result u32)))
  (core func $new (canon waitable-set.new))
  (core module $M
    (import "" "return" (func $return (param i32)))
    (import "" "new" (func $new (result i32)))
    (global $arg (mut i32) (i32.const 0))
    (global $turns (mut i32) (i32.const 0))
    (func (export "run") (param i32) (result i32)
      (global.set $arg (local.get 0)) (global.set $turns (i32.const 0))
      (call $return (local.get 0))
      (i32.const 1))
    (func (export "callback") (param i32 i32 i32) (result i32)
      (global.set $turns (i32.add (global.get $turns) (i32.const 1)))
      (if (i32.lt_u (global.get $turns) (i32.const 2)) (then (return (i32.const 1))))
      (if (i32.and (global.get $arg) (i32.const 1)) (then unreachable))
      (if (i32.eq (global.get $arg) (i32.const 4))
        (then (return (i32.or (i32.const 2) (i32.shl (call $new) (i32.const 4))))))
      (i32.const 0))
    (func (export "turns") (result i32) (global.get $turns)))
  (core instance $m (instantiate $M (with "" (instance
    (export "return" (func $return)) (export "new" (func $new))))))
  (func (export "run") async (param "n" u32) (result u32)
    (canon lift (core func $m "run") async (callback (core func $m "callback"))))
  (func (export "turns") (result u32) (canon lift (core func $m "turns"))))"#;

#[test]
fn what_a_call_leaves_behind_runs_to_its_end_or_its_trap() {
    let (mut store, instance) = instantiate(LINGERS);
    assert_eq!(call_u32(&mut store, &instance, "run", &[2]).unwrap(), 2);
    assert_eq!(call_u32(&mut store, &instance, "turns", &[]).unwrap(), 0, "it has not gone on yet");
    store.run_to_idle().unwrap();
    assert_eq!(call_u32(&mut store, &instance, "turns", &[]).unwrap(), 2);
    assert_idle(&store);
    // What waits for nothing that comes is left where it is.
    assert_eq!(call_u32(&mut store, &instance, "run", &[4]).unwrap(), 4);
    store.run_to_idle().unwrap();
    assert_eq!(store.core().counts().tasks, 1);
    let (mut store, instance) = instantiate(LINGERS);
    assert_eq!(call_u32(&mut store, &instance, "run", &[1]).unwrap(), 1);
    let error = store.run_to_idle().unwrap_err();
    assert!(error.to_string().contains("unreachable"), "{error}");
    store.run_to_idle().unwrap();
    assert_idle(&store);
}
