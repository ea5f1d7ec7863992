//! What the tests of the ambient store share: a guest, and the store with it.
#![allow(dead_code, reason = "each test file takes what it needs")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use canon_async::id::LiftId;
use canon_async::prelude::{ComponentValue, HostTaskId, TaskBuiltins, TaskFailure, TaskOutcome};
use canon_async::{Error as CoreError, ambient};
use canon_async_wasmi::{AmbientEngine, Engine, Error, Instance, Linker, Val};

use crate::common::{component, engine};

/// Waits for futures, streams and host functions; is told of its cancellation; puts backpressure on itself; makes futures and error contexts.
pub const GUEST: &str = r#"(component
  (import "note" (func $note (param "n" u32) (result u32)))
  (import "later" (func $later async (param "n" u32) (result u32)))
  (type $future (future u32))
  (type $stream (stream u8))
  (core module $Memory (memory (export "memory") 1))
  (core instance $memory (instantiate $Memory))
  (core func $note' (canon lower (func $note)))
  (core func $later' (canon lower (func $later)))
  (core func $future-new (canon future.new $future))
  (core func $future-read (canon future.read $future (memory (core memory $memory "memory"))))
  (core func $future-write (canon future.write $future async (memory (core memory $memory "memory"))))
  (core func $future-drop (canon future.drop-readable $future))
  (core func $future-drop-writable (canon future.drop-writable $future))
  (core func $stream-read (canon stream.read $stream (memory (core memory $memory "memory"))))
  (core func $stream-drop (canon stream.drop-readable $stream))
  (core func $error-new (canon error-context.new (memory (core memory $memory "memory"))))
  (core func $error-drop (canon error-context.drop))
  (core func $set (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $drop-set (canon waitable-set.drop))
  (core func $yield (canon thread.yield))
  (core func $cancelled (canon task.cancel))
  (core func $inc (canon backpressure.inc))
  (core func $dec (canon backpressure.dec))
  (core func $return-u32 (canon task.return (result u32)))
  (core func $return-future (canon task.return (result $future)))
  (core module $M
    (import "" "memory" (memory 1))
    (import "" "note" (func $note (param i32) (result i32)))
    (import "" "later" (func $later (param i32) (result i32)))
    (import "" "future-new" (func $future-new (result i64)))
    (import "" "future-read" (func $future-read (param i32 i32) (result i32)))
    (import "" "future-write" (func $future-write (param i32 i32) (result i32)))
    (import "" "future-drop" (func $future-drop (param i32)))
    (import "" "future-drop-writable" (func $future-drop-writable (param i32)))
    (import "" "stream-read" (func $stream-read (param i32 i32 i32) (result i32)))
    (import "" "stream-drop" (func $stream-drop (param i32)))
    (import "" "error-new" (func $error-new (param i32 i32) (result i32)))
    (import "" "error-drop" (func $error-drop (param i32)))
    (import "" "set" (func $set (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "drop-set" (func $drop-set (param i32)))
    (import "" "yield" (func $yield (result i32)))
    (import "" "cancelled" (func $cancelled))
    (import "" "inc" (func $inc))
    (import "" "dec" (func $dec))
    (import "" "return-u32" (func $return-u32 (param i32)))
    (import "" "return-future" (func $return-future (param i32)))
    (data (i32.const 64) "no more cheese")
    (global $waits (mut i32) (i32.const 0))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "read") (param $f i32) (result i32)
      (drop (call $future-read (local.get $f) (i32.const 16)))
      (call $future-drop (local.get $f))
      (i32.load (i32.const 16)))
    ;; All bytes of a stream, until its other end is closed.
    (func (export "sum") (param $s i32) (result i32)
      (local $sum i32) (local $r i32) (local $at i32)
      (block $closed
        (loop $next
          (local.set $r (call $stream-read (local.get $s) (i32.const 32) (i32.const 8)))
          (local.set $at (i32.const 0))
          (block $added
            (loop $byte
              (br_if $added (i32.ge_u (local.get $at) (i32.shr_u (local.get $r) (i32.const 4))))
              (local.set $sum (i32.add (local.get $sum) (i32.load8_u offset=32 (local.get $at))))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (br $byte)))
          (br_if $closed (i32.and (local.get $r) (i32.const 0xf)))
          (br $next)))
      (call $stream-drop (local.get $s))
      (local.get $sum))
    ;; Waits in its callback loop, for nothing; takes its cancellation, and where `insists` is not 0 returns it instead.
    (global $insists (mut i32) (i32.const 0))
    (func (export "waits") (param $insists i32) (result i32)
      (global.set $insists (local.get $insists))
      (global.set $waits (call $set))
      (i32.or (i32.const 2) (i32.shl (global.get $waits) (i32.const 4))))
    (func (export "waits-cb") (param $event i32) (param i32 i32) (result i32)
      (if (i32.ne (local.get $event) (i32.const 6)) (then (unreachable)))
      (drop (call $note (local.get $event)))
      (call $drop-set (global.get $waits))
      (if (global.get $insists)
        (then (call $return-u32 (global.get $insists)))
        (else (call $cancelled)))
      (i32.const 0))
    ;; A future of its own, which it completes with 7 as soon as somebody reads.
    (func (export "make") (result i32)
      (local $both i64) (local $set i32)
      (local.set $both (call $future-new))
      (call $return-future (i32.wrap_i64 (local.get $both)))
      (i32.store (i32.const 24) (i32.const 7))
      (drop (call $future-write (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32))) (i32.const 24)))
      (local.set $set (call $set))
      (call $join (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32))) (local.get $set))
      (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
    (func (export "make-cb") (param $event i32) (param $end i32) (param $result i32) (result i32)
      (call $future-drop-writable (local.get $end))
      (i32.const 0))
    (func (export "fails") (result i32) (call $error-new (i32.const 64) (i32.const 14)))
    (func (export "same") (param i32) (result i32) (local.get 0))
    (func (export "close") (call $inc))
    (func (export "open") (call $dec))
    (func (export "noted") (param i32) (result i32) (call $note (local.get 0)))
    (func (export "yields") (param i32) (result i32)
      (drop (call $note (local.get 0)))
      (drop (call $yield))
      (call $note (i32.add (local.get 0) (i32.const 1))))
    (func (export "later") (param i32) (result i32) (call $later (local.get 0)))
    (func (export "traps") (drop (call $yield)) (unreachable)))
  (core instance $m (instantiate $M (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "note" (func $note')) (export "later" (func $later'))
    (export "future-new" (func $future-new)) (export "future-read" (func $future-read))
    (export "future-write" (func $future-write)) (export "future-drop" (func $future-drop))
    (export "future-drop-writable" (func $future-drop-writable))
    (export "stream-read" (func $stream-read)) (export "stream-drop" (func $stream-drop))
    (export "error-new" (func $error-new)) (export "error-drop" (func $error-drop))
    (export "set" (func $set)) (export "join" (func $join)) (export "drop-set" (func $drop-set))
    (export "yield" (func $yield)) (export "cancelled" (func $cancelled))
    (export "inc" (func $inc)) (export "dec" (func $dec))
    (export "return-u32" (func $return-u32)) (export "return-future" (func $return-future))))))
  (func (export "add") (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $m "add")))
  (func (export "read") async (param "f" $future) (result u32) (canon lift (core func $m "read")))
  (func (export "sum") async (param "s" $stream) (result u32) (canon lift (core func $m "sum")))
  (func (export "waits") async (param "insists" u32) (result u32)
    (canon lift (core func $m "waits") async (callback (core func $m "waits-cb"))))
  (func (export "make") async (result $future)
    (canon lift (core func $m "make") async (callback (core func $m "make-cb"))))
  (func (export "fails") (result error-context) (canon lift (core func $m "fails")))
  (func (export "same") (param "e" error-context) (result error-context) (canon lift (core func $m "same")))
  (func (export "close") (canon lift (core func $m "close")))
  (func (export "open") (canon lift (core func $m "open")))
  (func (export "noted") (param "n" u32) (result u32) (canon lift (core func $m "noted")))
  (func (export "yields") async (param "n" u32) (result u32) (canon lift (core func $m "yields")))
  (func (export "later") async (param "n" u32) (result u32) (canon lift (core func $m "later")))
  (func (export "traps") async (canon lift (core func $m "traps"))))"#;

pub type Guests = AmbientEngine<Vec<u32>>;

/// An ambient store with nothing in it, for one test at a time: without `std` there is but one.
pub fn fresh() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    ambient::reset().expect("nothing is in use between tests");
    guard
}

/// The linker of [`GUEST`], with `note` as said, and `later` for which there is no answer.
pub fn linker(
    engine: &Engine,
    note: impl Fn(u32) -> Result<u32, Error> + Send + Sync + 'static,
) -> Linker<Vec<u32>> {
    let mut linker = Linker::<Vec<u32>>::new(engine);
    linker.func("note", move |mut caller, args| {
        let [Val::U32(n)] = args else { panic!("{args:?}") };
        caller.data_mut().push(*n);
        note(*n).map(|n| Some(Val::U32(n)))
    });
    linker.func_async("later", |_, _| std::future::pending());
    linker
}

/// [`GUEST`] in the ambient store.
pub fn guest(
    note: impl Fn(u32) -> Result<u32, Error> + Send + Sync + 'static,
) -> (MutexGuard<'static, ()>, Instance) {
    let (one, engine) = (fresh(), engine());
    Guests::register(&engine, Vec::new()).expect("the first");
    let instance = Guests::instantiate(&linker(&engine, note), &component(&engine, GUEST));
    (one, instance.unwrap_or_else(|error| panic!("{error}")))
}

/// [`GUEST`], whose notes are written down.
pub fn plain_guest() -> (MutexGuard<'static, ()>, Instance) {
    guest(Ok)
}

/// What guests noted.
pub fn notes() -> Vec<u32> {
    Guests::enter(|caller| caller.data().clone()).expect("not in use")
}

pub fn function(instance: &Instance, name: &str) -> LiftId {
    Guests::function(instance, name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn start(instance: &Instance, name: &str, args: &[ComponentValue]) -> Result<HostTaskId, CoreError> {
    TaskBuiltins::task_call(function(instance, name), args)
}

pub fn completed(value: impl Into<ComponentValue>) -> TaskOutcome {
    TaskOutcome::Completed(value.into().into())
}

pub fn failed(error: impl Into<CoreError>) -> TaskOutcome {
    TaskOutcome::Failed(TaskFailure::Error(error.into()))
}

pub fn is_misuse<T>(result: Result<T, CoreError>) -> bool {
    matches!(result, Err(CoreError::Misuse(_)))
}

/// The invariants hold, and nothing of guests is under way.
pub fn assert_idle() {
    let counts = ambient::core(|core| {
        core.store.check().expect("the invariants hold");
        core.store.counts()
    })
    .expect("not in use");
    assert_eq!((counts.tasks, counts.threads, counts.waitables), (0, 0, 0), "{counts:?}");
}
