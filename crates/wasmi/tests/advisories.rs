//! What took other hosts down and takes the host's side to show (docs/rules.md, "Advisories").

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use canon_async::{Error as CoreError, LimitOwner, Resource, Trap};
use canon_async_wasmi::{Config, Engine, Func, Limits, Linker, Store, Val};
use common::{assert_idle, call, call_u32, component, engine, instantiate};

/// `run` awaits the host with the exclusive lock; `counted` is how often it was entered.
const LOCKED: &str = r#"(component
  (import "wait" (func $wait async))
  (core func $wait' (canon lower (func $wait)))
  (core module $M (import "" "wait" (func $wait))
    (global $count (mut i32) (i32.const 0))
    (func (export "run")
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (call $wait))
    (func (export "counted") (result i32) (global.get $count)))
  (core instance $m (instantiate $M (with "" (instance (export "wait" (func $wait'))))))
  (func (export "run") async (canon lift (core func $m "run")))
  (func (export "counted") (result u32) (canon lift (core func $m "counted"))))"#;

/// GHSA-3r89-v5mq-j5xf: a call is cancelled whose start is queued, since the call before it has the lock.
#[test]
fn a_call_that_is_queued_behind_the_locks_holder_is_dropped_before_it_starts() {
    let engine = engine();
    let host = Arc::new(Mutex::new((false, None::<Waker>)));
    let mut linker = Linker::new(&engine);
    let waits = host.clone();
    linker.func_async("wait", move |_, _| {
        let waits = waits.clone();
        std::future::poll_fn(move |context| {
            let mut waits = waits.lock().unwrap();
            waits.1 = Some(context.waker().clone());
            if waits.0 { Poll::Ready(Ok(None)) } else { Poll::Pending }
        })
    });
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component(&engine, LOCKED)).unwrap();
    let run = instance.func(&store, "run").unwrap();
    let first = run.start(&mut store, &[]).unwrap();
    for polls in 0..3 {
        let mut queued = pin!(run.call_async(&mut store, &[]).unwrap());
        for _ in 0..polls {
            assert!(queued.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    }
    let waker = {
        let mut waits = host.lock().unwrap();
        waits.0 = true;
        waits.1.take()
    };
    waker.expect("the host was asked").wake();
    assert_eq!(first.result(&mut store).unwrap(), None);
    assert_eq!(call(&mut store, &instance, "counted", &[]).unwrap(), Some(Val::U32(1)), "the first alone");
    assert_idle(&store);
}

/// `a` returns, and traps in its callback, which is ready; `b` returns in its callback.
const TRAPS_LATER: &str = r#"(component
  (core func $return (canon task.return))
  (core module $M (import "" "return" (func $return))
    (func (export "a") (result i32) (call $return) (i32.const 1))
    (func (export "a-cb") (param i32 i32 i32) (result i32) unreachable)
    (func (export "b") (result i32) (i32.const 1))
    (func (export "b-cb") (param i32 i32 i32) (result i32) (call $return) (i32.const 0)))
  (core instance $m (instantiate $M (with "" (instance (export "return" (func $return))))))
  (func (export "a") async (canon lift (core func $m "a") async (callback (core func $m "a-cb"))))
  (func (export "b") async (canon lift (core func $m "b") async (callback (core func $m "b-cb")))))"#;

/// GHSA-3r89-v5mq-j5xf, GHSA-hmwq-g22x-qjw5: calls are under way, or dropped, when a ready callback traps.
#[test]
fn calls_beside_a_callback_that_traps_are_lost_and_leave_nothing() {
    for polls in 0..4 {
        let (mut store, instance) = instantiate(TRAPS_LATER);
        let [a, b] = ["a", "b"].map(|name| instance.func(&store, name).unwrap());
        let mut first = a.start(&mut store, &[]).unwrap();
        let mut other = b.start(&mut store, &[]).unwrap();
        {
            let mut dropped = pin!(b.call_async(&mut store, &[]).unwrap());
            for _ in 0..polls {
                let _ = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
        }
        // The trap comes out of a tick, or came out of the polls.
        let ticks: Vec<_> = (0..8).map(|_| store.tick().is_err()).collect();
        assert!(ticks.iter().filter(|trapped| **trapped).count() <= 1, "{ticks:?}");
        assert!(matches!(first.poll(&mut store), Ok(Poll::Ready(None))), "it had returned");
        assert!(!matches!(other.poll(&mut store), Ok(Poll::Pending)), "{polls}");
        let error = call(&mut store, &instance, "b", &[]).unwrap_err();
        assert_eq!(error.core(), Some(CoreError::Trap(Trap::CannotEnter)), "{polls}");
        assert_idle(&store);
    }
}

const HOSTED: &str = r#"(component
  (import "host" (func $host))
  (core func $host' (canon lower (func $host)))
  (core module $M (import "" "host" (func $host)) (func (export "run") (call $host)))
  (core instance $m (instantiate $M (with "" (instance (export "host" (func $host'))))))
  (func (export "run") (canon lift (core func $m "run"))))"#;

const YIELDS: &str = r#"(component
  (core func $return (canon task.return (result u32)))
  (core module $M (import "" "return" (func $return (param i32)))
    (func (export "slow") (result i32) (i32.const 1))
    (func (export "slow-cb") (param i32 i32 i32) (result i32) (call $return (i32.const 5)) (i32.const 0)))
  (core instance $m (instantiate $M (with "" (instance (export "return" (func $return))))))
  (func (export "slow") async (result u32)
    (canon lift (core func $m "slow") async (callback (core func $m "slow-cb")))))"#;

/// GHSA-3r89-v5mq-j5xf: a host function starts a call, which can't end inside of it, and drops it.
#[test]
fn a_call_that_a_host_function_starts_and_drops_harms_nobody() {
    let engine = engine();
    let mut linker = Linker::<Option<Func>>::new(&engine);
    linker.func("host", |mut caller, _| {
        let slow = caller.data().clone().expect("it is there");
        let mut dropped = slow.start(&mut caller, &[])?;
        assert!(matches!(dropped.poll(&mut caller), Ok(Poll::Pending)));
        drop(dropped);
        slow.start(&mut caller, &[])?.forget(&mut caller);
        Ok(None)
    });
    let mut store = Store::new(&engine, None);
    let slow = linker.instantiate(&mut store, &component(&engine, YIELDS)).unwrap();
    *store.data_mut() = slow.func(&store, "slow");
    let instance = linker.instantiate(&mut store, &component(&engine, HOSTED)).unwrap();
    for _ in 0..3 {
        assert_eq!(call(&mut store, &instance, "run", &[]).unwrap(), None);
        assert_eq!(call(&mut store, &slow, "slow", &[]).unwrap(), Some(Val::U32(5)));
    }
    while store.tick().unwrap() {}
    assert_idle(&store);
}

/// Two instances of one component in a root: `keep` makes n handles of a resource, `drop` makes and drops n.
const HANDLES: &str = r#"(component
  (component $C
    (type $r (resource (rep i32)))
    (core func $new (canon resource.new $r))
    (core func $drop (canon resource.drop $r))
    (core module $M
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "keep") (param $n i32) (result i32)
        (loop $next
          (drop (call $new (i32.const 1)))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (i32.const 1))
      (func (export "drop") (param $n i32) (result i32)
        (loop $next
          (call $drop (call $new (i32.const 1)))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (i32.const 2)))
    (core instance $m (instantiate $M (with "" (instance
      (export "new" (func $new)) (export "drop" (func $drop))))))
    (func (export "keep") (param "n" u32) (result u32) (canon lift (core func $m "keep")))
    (func (export "drop") (param "n" u32) (result u32) (canon lift (core func $m "drop"))))
  (instance $a (instantiate $C))
  (instance $b (instantiate $C))
  (export "a" (instance $a))
  (export "b" (instance $b)))"#;

/// GHSA-q554-3cjc-rx7p: a guest spreads its handles over many instances, each within its own limit.
#[test]
fn handles_of_all_instances_of_a_root_share_its_limit() {
    let engine = Engine::new(Config::new().root_limits(Limits::STORAGE.with_handles(20)));
    let linker = Linker::new(&engine);
    let mut store = Store::new(&engine, ());
    let component = component(&engine, HANDLES);
    let first = linker.instantiate(&mut store, &component).unwrap();
    let second = linker.instantiate(&mut store, &component).unwrap();
    assert_eq!(call_u32(&mut store, &first, "b#drop", &[1000]).unwrap(), 2, "what is dropped is room again");
    assert_eq!(call_u32(&mut store, &first, "a#keep", &[12]).unwrap(), 1);
    match call_u32(&mut store, &first, "b#keep", &[12]).unwrap_err().core() {
        Some(CoreError::Capacity(reached)) => {
            assert_eq!((reached.resource(), reached.owner()), (Resource::Handles, LimitOwner::Root));
        }
        other => panic!("{other:?}"),
    }
    // Another root has its own.
    assert_eq!(call_u32(&mut store, &second, "a#keep", &[20]).unwrap(), 1);
    assert_idle(&store);
}
