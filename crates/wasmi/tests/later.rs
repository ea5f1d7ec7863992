//! Host functions that answer later, and calls as futures.

mod common;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::{Engine, Error, Instance, Linker, Store, Val};
use common::{assert_idle, call, component, engine};

/// `one(n)` awaits `later(n)` synchronously, and so does `many(n)`, without the exclusive lock; `both(a, b)` starts two calls and waits for both, in its callback.
const GUEST: &str = r#"(component
  (import "later" (func $later async (param "n" u32) (result u32)))
  (core module $Memory (memory (export "memory") 1))
  (core instance $memory (instantiate $Memory))
  (core func $sync (canon lower (func $later)))
  (core func $async (canon lower (func $later) async (memory (core memory $memory "memory"))))
  (core func $set (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $drop (canon subtask.drop))
  (core func $drop-set (canon waitable-set.drop))
  (core func $return (canon task.return (result u32)))
  (core func $cancelled (canon task.cancel))
  (core func $cancel (canon subtask.cancel))
  (core module $M
    (import "" "memory" (memory 1))
    (import "" "sync" (func $sync (param i32) (result i32)))
    (import "" "async" (func $async (param i32 i32) (result i32)))
    (import "" "set" (func $set (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "drop-set" (func $drop-set (param i32)))
    (import "" "return" (func $return (param i32)))
    (import "" "cancelled" (func $cancelled))
    (import "" "cancel" (func $cancel (param i32) (result i32)))
    (global $waiting (mut i32) (i32.const 0))
    (global $in (mut i32) (i32.const 0))
    (func (export "one") (param i32) (result i32) (call $sync (local.get 0)))
    (func (export "many") (param i32) (call $return (call $sync (local.get 0))))
    (func $start (param $n i32) (param $at i32)
      (local $r i32)
      (local.set $r (call $async (local.get $n) (local.get $at)))
      (if (i32.eq (i32.and (local.get $r) (i32.const 0xf)) (i32.const 2)) (then (return)))
      (i32.store (i32.add (local.get $at) (i32.const 8)) (i32.shr_u (local.get $r) (i32.const 4)))
      (call $join (i32.shr_u (local.get $r) (i32.const 4)) (global.get $in))
      (global.set $waiting (i32.add (global.get $waiting) (i32.const 1))))
    (func $next (result i32)
      (if (result i32) (global.get $waiting)
        (then (i32.or (i32.const 2) (i32.shl (global.get $in) (i32.const 4))))
        (else
          (call $drop-set (global.get $in))
          (call $return (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 16))))
          (i32.const 0))))
    (func (export "both") (param i32 i32) (result i32)
      (global.set $in (call $set))
      (global.set $waiting (i32.const 0))
      (call $start (local.get 0) (i32.const 0))
      (call $start (local.get 1) (i32.const 16))
      (call $next))
    (func (export "both-cb") (param $event i32) (param $handle i32) (param $state i32) (result i32)
      (if (i32.eq (local.get $event) (i32.const 6)) (then
        ;; Cancelled: so are the calls.
        (call $join (i32.load (i32.const 8)) (i32.const 0))
        (call $join (i32.load (i32.const 24)) (i32.const 0))
        (drop (call $cancel (i32.load (i32.const 8))))
        (drop (call $cancel (i32.load (i32.const 24))))
        (call $drop (i32.load (i32.const 8)))
        (call $drop (i32.load (i32.const 24)))
        (call $drop-set (global.get $in))
        (call $cancelled)
        (return (i32.const 0))))
      (call $join (local.get $handle) (i32.const 0))
      (call $drop (local.get $handle))
      (global.set $waiting (i32.sub (global.get $waiting) (i32.const 1)))
      (call $next)))
  (core instance $m (instantiate $M (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "sync" (func $sync)) (export "async" (func $async)) (export "set" (func $set))
    (export "join" (func $join)) (export "drop" (func $drop)) (export "drop-set" (func $drop-set))
    (export "return" (func $return)) (export "cancelled" (func $cancelled)) (export "cancel" (func $cancel))))))
  (func (export "one") async (param "n" u32) (result u32) (canon lift (core func $m "one")))
  (func (export "many") async (param "n" u32) (result u32) (canon lift (core func $m "many") async))
  (func (export "both") async (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $m "both") async (callback (core func $m "both-cb")))))"#;

/// Something that happens when a test says so.
#[derive(Clone, Default)]
struct Event(Arc<Mutex<(Option<u32>, Option<Waker>)>>);

impl Event {
    fn happen(&self, value: u32) {
        let mut inner = self.0.lock().unwrap();
        inner.0 = Some(value);
        if let Some(waker) = inner.1.take() {
            waker.wake();
        }
    }
}

impl Future for Event {
    type Output = u32;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u32> {
        let mut inner = self.0.lock().unwrap();
        match inner.0 {
            Some(value) => Poll::Ready(value),
            None => {
                inner.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Counts the futures that are alive.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Host {
    events: [Event; 4],
    alive: Arc<AtomicUsize>,
}

/// `later(n)` answers what event `n` brings.
fn setup(engine: &Engine) -> (Store<()>, Instance, Host) {
    let host = Host { events: Default::default(), alive: Arc::default() };
    let mut linker = Linker::new(engine);
    let (events, alive) = (host.events.clone(), host.alive.clone());
    linker.func_async("later", move |_, args| {
        let [Val::U32(n)] = args else { panic!("{args:?}") };
        alive.fetch_add(1, Ordering::Relaxed);
        let (event, alive) = (events[*n as usize].clone(), Alive(alive.clone()));
        async move {
            let value = event.await;
            drop(alive);
            if value == 13 { Err(Error::host("bad luck")) } else { Ok(Some(Val::U32(value))) }
        }
    });
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, &component(engine, GUEST)).unwrap();
    (store, instance, host)
}

struct Count(AtomicUsize);
impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_blocking_call_parks_until_another_thread_answers() {
    let (mut store, instance, host) = setup(&engine());
    let event = host.events[0].clone();
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        event.happen(7);
    });
    assert_eq!(call(&mut store, &instance, "one", &[Val::U32(0)]).unwrap(), Some(Val::U32(7)));
    other.join().unwrap();
    // An answer that is there when it is asked for.
    assert_eq!(call(&mut store, &instance, "one", &[Val::U32(0)]).unwrap(), Some(Val::U32(7)));
    assert_idle(&store);
}

#[test]
fn a_call_as_a_future_is_woken_once_for_each_answer() {
    let (mut store, instance, host) = setup(&engine());
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    let both = instance.func(&store, "both").unwrap();
    {
        let mut running = pin!(both.call_async(&mut store, &[Val::U32(1), Val::U32(2)]).unwrap());
        assert!(running.as_mut().poll(&mut context).is_pending());
        assert_eq!(host.alive.load(Ordering::Relaxed), 2);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        // The second first.
        host.events[2].happen(40);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(running.as_mut().poll(&mut context).is_pending());
        host.events[1].happen(2);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        match running.as_mut().poll(&mut context) {
            Poll::Ready(result) => assert_eq!(result.unwrap(), Some(Val::U32(42))),
            Poll::Pending => panic!("it has all that it waits for"),
        }
    }
    assert_idle(&store);
}

#[test]
fn a_call_future_that_is_dropped_cancels_its_guest_and_the_host_functions_it_waits_for() {
    let (mut store, instance, host) = setup(&engine());
    let mut context = Context::from_waker(Waker::noop());
    let both = instance.func(&store, "both").unwrap();
    {
        let mut running = pin!(both.call_async(&mut store, &[Val::U32(1), Val::U32(2)]).unwrap());
        assert!(running.as_mut().poll(&mut context).is_pending());
        assert_eq!(host.alive.load(Ordering::Relaxed), 2);
    }
    assert_eq!(host.alive.load(Ordering::Relaxed), 0);
    assert_idle(&store);
    // Nobody is harmed, and what happens too late wakes nobody.
    host.events[1].happen(1);
    host.events[2].happen(2);
    assert_eq!(call(&mut store, &instance, "both", &[Val::U32(1), Val::U32(2)]).unwrap(), Some(Val::U32(3)));
    assert_idle(&store);
}

#[test]
fn a_cancelled_host_call_leaves_others_that_answer_later_counted() {
    let (mut store, instance, host) = setup(&engine());
    let mut context = Context::from_waker(Waker::noop());
    let many = instance.func(&store, "many").unwrap().start(&mut store, &[Val::U32(0)]).unwrap();
    let both = instance.func(&store, "both").unwrap();
    {
        let mut running = pin!(both.call_async(&mut store, &[Val::U32(1), Val::U32(2)]).unwrap());
        assert!(running.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(host.alive.load(Ordering::Relaxed), 1);
    assert_eq!(store.core().unanswered(), 1);
    store.core().check().unwrap();
    // It is no deadlock that nothing is ready.
    host.events[0].happen(42);
    assert_eq!(many.result(&mut store).unwrap(), Some(Val::U32(42)));
    assert_idle(&store);
}

#[test]
fn a_host_function_that_fails_later_is_its_callers_trap() {
    let engine = engine();
    let (mut store, instance, host) = setup(&engine);
    let mut context = Context::from_waker(Waker::noop());
    let one = instance.func(&store, "one").unwrap();
    {
        let mut running = pin!(one.call_async(&mut store, &[Val::U32(3)]).unwrap());
        assert!(running.as_mut().poll(&mut context).is_pending());
        host.events[3].happen(13);
        match running.as_mut().poll(&mut context) {
            Poll::Ready(Err(error)) => assert_eq!(error.to_string(), "wasm trap: bad luck"),
            other => panic!("{other:?}"),
        }
    }
    let error = call(&mut store, &instance, "one", &[Val::U32(0)]).unwrap_err();
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::CannotEnter)));
    assert_idle(&store);
}

#[test]
fn a_store_that_is_dropped_drops_what_its_host_functions_wait_for() {
    let (mut store, instance, host) = setup(&engine());
    let both = instance.func(&store, "both").unwrap();
    let running = both.start(&mut store, &[Val::U32(1), Val::U32(2)]).unwrap();
    assert_eq!(host.alive.load(Ordering::Relaxed), 2);
    drop((store, running));
    assert_eq!(host.alive.load(Ordering::Relaxed), 0);
    host.events[1].happen(1);
}

#[test]
fn a_function_without_async_in_its_type_can_not_answer_later() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_async("later", |_, _| async { Ok(None) });
    let text = r#"(component
      (import "later" (func $later))
      (core func $f (canon lower (func $later)))
      (core module $M (import "" "f" (func $f)) (func (export "run") (call $f)))
      (core instance $m (instantiate $M (with "" (instance (export "f" (func $f))))))
      (func (export "run") (canon lift (core func $m "run"))))"#;
    let instance = linker.instantiate(&mut store, &component(&engine, text)).unwrap();
    let error = call(&mut store, &instance, "run", &[]).unwrap_err();
    assert!(error.to_string().contains("async"), "{error}");
}

#[test]
fn thousands_of_host_functions_under_way_are_polled_only_when_woken() {
    const CALLS: usize = 5_000;
    let engine = engine();
    let polls = Arc::new(AtomicUsize::new(0));
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let mut linker = Linker::new(&engine);
    {
        let (polls, events) = (polls.clone(), events.clone());
        linker.func_async("later", move |_, _| {
            let event = Event::default();
            events.lock().unwrap().push(event.clone());
            let polls = polls.clone();
            async move {
                let mut event = event;
                let value = std::future::poll_fn(|context| {
                    polls.fetch_add(1, Ordering::Relaxed);
                    Pin::new(&mut event).poll(context)
                })
                .await;
                Ok(Some(Val::U32(value)))
            }
        });
    }
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component(&engine, GUEST)).unwrap();
    let many = instance.func(&store, "many").unwrap();
    let mut running: Vec<_> = (0..CALLS).map(|_| many.start(&mut store, &[Val::U32(0)]).unwrap()).collect();
    assert_eq!(store.core().unanswered(), CALLS as u32);
    let last = running.pop().unwrap();
    for (event, number) in events.lock().unwrap().iter().zip(0..CALLS as u32).rev().skip(1) {
        event.happen(number);
    }
    events.lock().unwrap()[CALLS - 1].happen(77);
    assert_eq!(last.result(&mut store).unwrap(), Some(Val::U32(77)));
    for (mut call, number) in running.into_iter().zip(0..) {
        assert_eq!(call.poll(&mut store).unwrap(), Poll::Ready(Some(Val::U32(number))));
    }
    // When it was made, and when its event came.
    assert!(polls.load(Ordering::Relaxed) <= 2 * CALLS, "{} polls", polls.load(Ordering::Relaxed));
    assert_idle(&store);
}

/// A callback task that yields until its call has answered: the store is never idle.
const POLLS: &str = r#"(component
  (import "later" (func $later async (param "n" u32) (result u32)))
  (core module $Memory (memory (export "memory") 1))
  (core instance $memory (instantiate $Memory))
  (core func $async (canon lower (func $later) async (memory (core memory $memory "memory"))))
  (core func $set (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $poll (canon waitable-set.poll (memory (core memory $memory "memory"))))
  (core func $drop (canon subtask.drop))
  (core func $drop-set (canon waitable-set.drop))
  (core func $return (canon task.return (result u32)))
  (core module $M
    (import "" "memory" (memory 1))
    (import "" "async" (func $async (param i32 i32) (result i32)))
    (import "" "set" (func $set (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "poll" (func $poll (param i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "drop-set" (func $drop-set (param i32)))
    (import "" "return" (func $return (param i32)))
    (global $in (mut i32) (i32.const 0))
    (func (export "run") (param i32) (result i32)
      (global.set $in (call $set))
      (call $join (i32.shr_u (call $async (local.get 0) (i32.const 0)) (i32.const 4)) (global.get $in))
      (i32.const 1))
    (func (export "again") (param i32 i32 i32) (result i32)
      (if (result i32) (i32.eqz (call $poll (global.get $in) (i32.const 16)))
        (then (i32.const 1))
        (else
          (call $drop (i32.load (i32.const 16)))
          (call $drop-set (global.get $in))
          (call $return (i32.load (i32.const 0)))
          (i32.const 0)))))
  (core instance $m (instantiate $M (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "async" (func $async)) (export "set" (func $set)) (export "join" (func $join))
    (export "poll" (func $poll)) (export "drop" (func $drop)) (export "drop-set" (func $drop-set))
    (export "return" (func $return))))))
  (func (export "run") async (param "n" u32) (result u32)
    (canon lift (core func $m "run") async (callback (core func $m "again")))))"#;

#[test]
fn a_guest_that_never_leaves_the_store_idle_gets_its_answer() {
    let engine = engine();
    let (mut store, instance, event) = with_event(&engine, POLLS);
    let other = event.clone();
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        other.happen(7);
    });
    assert_eq!(call(&mut store, &instance, "run", &[Val::U32(0)]).unwrap(), Some(Val::U32(7)));
    thread.join().unwrap();
    assert_idle(&store);
    let (mut store, instance, event) = with_event(&engine, POLLS);
    let run = instance.func(&store, "run").unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut running = pin!(run.call_async(&mut store, &[Val::U32(0)]).unwrap());
    assert!(running.as_mut().poll(&mut context).is_pending());
    event.happen(8);
    match running.as_mut().poll(&mut context) {
        Poll::Ready(result) => assert_eq!(result.unwrap(), Some(Val::U32(8))),
        Poll::Pending => panic!("its answer is there"),
    }
}

#[test]
fn a_host_function_that_panics_later_is_its_callers_trap() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    linker.func_async("later", |_, _| async { panic!("a test's") });
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component(&engine, GUEST)).unwrap();
    let error = call(&mut store, &instance, "one", &[Val::U32(0)]).unwrap_err();
    assert_eq!(error.to_string(), "wasm trap: the host function panicked: a test's");
    assert_eq!(store.core().unanswered(), 0);
    assert_idle(&store);
}

#[test]
fn a_waker_that_outlives_its_call_wakes_nobody() {
    let (mut store, instance, host) = setup(&engine());
    let both = instance.func(&store, "both").unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut kept = Vec::new();
    for _ in 0..10 {
        let mut running = pin!(both.call_async(&mut store, &[Val::U32(1), Val::U32(2)]).unwrap());
        assert!(running.as_mut().poll(&mut context).is_pending());
        kept.push(host.events[1].0.lock().unwrap().1.clone().unwrap());
    }
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    let mut running = pin!(both.call_async(&mut store, &[Val::U32(1), Val::U32(2)]).unwrap());
    assert!(running.as_mut().poll(&mut context).is_pending());
    kept.iter().for_each(Waker::wake_by_ref);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
}

/// A store in which `later` waits for one event.
fn with_event(engine: &Engine, text: &str) -> (Store<()>, Instance, Event) {
    let event = Event::default();
    let mut linker = Linker::new(engine);
    let waits = event.clone();
    linker.func_async("later", move |_, _| {
        let event = waits.clone();
        async move { Ok(Some(Val::U32(event.await))) }
    });
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, &component(engine, text)).unwrap();
    (store, instance, event)
}
