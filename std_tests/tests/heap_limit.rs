//! What the tables of a store allocate is counted, and has a limit; and what errors say of limits.

use canon_async::abi::types::NewType;
use canon_async::canon::Builtin::{BackpressureDec, BackpressureInc, ThreadSuspend, WaitableSetNew};
use canon_async::id::InstanceId;
use canon_async::{Embedding as _, Error, Heap, Limits, Resource, Store, bounded};
use no_std_tests::op::{Op, Script, k, run};
use no_std_tests::profiles::Roomy;
use no_std_tests::script;
use no_std_tests::world::{A, B, Func, World, async_opts, low, sync_opts, task_return};

bounded! {
    Small {
        instances: 2, handles: 2, thread_indices: 2, tasks: 2, threads: 2, waitables: 2, sets: 2, streams: 2,
        error_contexts: 2, message_bytes: 8, queued: 2, lends: 2, types: 2, type_items: 2, resources: 2,
        functions: 2, depth: 2,
    }
}

const NEW_SET: Script = script![run(WaitableSetNew, &[])];

/// A world of two guests that make sets, after one of each made one: the tables have their first room.
fn two() -> (World<Heap>, [canon_async::id::LiftId; 2]) {
    let mut w = World::<Heap>::new(&[None, None]).unwrap();
    let makes = [A, B].map(|of| w.lift(Func::Sync, sync_opts(of), NEW_SET).unwrap());
    for make in makes {
        w.call(make, 0).unwrap();
    }
    (w, makes)
}

#[test]
fn heap_limit_growth_past_it_is_refused_and_changes_nothing() {
    let (mut w, [a, b]) = two();
    let bytes = w.store().heap_bytes();
    assert!(bytes > 0);
    w.store().set_heap_limit(bytes);
    let mut made = 0;
    let error = loop {
        match w.call(a, 1) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
        assert_eq!(w.store().heap_bytes(), bytes);
        assert!(made < 100, "the tables grew");
    };
    // The first room of a table was enough until then.
    assert!(made > 0);
    assert_eq!(error, Error::capacity(Resource::HeapBytes));
    let text = format!("limit reached: bytes of the store's tables, {bytes} (Store::set_heap_limit)");
    assert_eq!(error.to_string(), text);
    assert_eq!(w.store().heap_bytes(), bytes);
    w.store().check().unwrap();
    // What the dead held is free, and so is what the tables had room for.
    w.call(b, 2).unwrap();
    w.store().set_heap_limit(usize::MAX);
    for _ in 0..100 {
        w.call(b, 3).unwrap();
    }
    assert!(w.store().heap_bytes() > bytes);
    w.store().check().unwrap();
}

#[test]
fn heap_limit_queued_call_finds_no_index_its_caller_dies() {
    let mut w = World::<Heap>::new(&[None, None]).unwrap();
    let b = w.lift(Func::Async, async_opts(B), script![run(ThreadSuspend, &[])]).unwrap();
    let inc = w.lift(Func::Sync, sync_opts(B), script![run(BackpressureInc, &[])]).unwrap();
    let dec = w.lift(Func::Sync, sync_opts(B), script![run(BackpressureDec, &[])]).unwrap();
    w.lower(b, async_opts(A)).unwrap();
    const FIVE: Script = &[Op::Set(1, k(5)), run(low(0), &[]), Op::Loop(1, 1), run(task_return(A), &[])];
    let a = w.lift(Func::Async, async_opts(A), FIVE).unwrap();
    w.call(inc, 0).unwrap();
    w.call(a, 1).unwrap();
    w.call(dec, 2).unwrap();
    // B's table of threads has its first room, which is enough for four.
    let bytes = w.store().heap_bytes();
    w.store().set_heap_limit(bytes);
    assert_eq!(w.ticks(), Err(Error::capacity(Resource::HeapBytes)));
    assert_eq!(w.call(a, 3), Err(canon_async::Trap::CannotEnter.into()));
    w.store().set_heap_limit(usize::MAX);
    w.call(inc, 4).unwrap();
    w.store().check().unwrap();
}

#[test]
fn heap_limit_a_table_takes_what_is_needed_where_doubling_is_too_much() {
    let mut store = Store::<Heap>::default();
    let flags = |store: &mut Store<Heap>, n: u8| store.types_mut().intern(NewType::Flags(n), 0);
    for n in 1..=4 {
        flags(&mut store, n).unwrap();
    }
    // Four types lie in the first room; one more would double it.
    let four = store.heap_bytes();
    let one = four / 4;
    store.set_heap_limit(four + one);
    flags(&mut store, 5).unwrap();
    assert_eq!(store.heap_bytes(), four + one);
    assert_eq!(flags(&mut store, 6), Err(Error::capacity(Resource::HeapBytes)));
    assert_eq!(store.heap_bytes(), four + one);
    // An interned type takes no room.
    flags(&mut store, 5).unwrap();
    store.check().unwrap();
    store.reset();
    assert_eq!(store.heap_bytes(), 0);
    store.check().unwrap();
}

#[test]
fn heap_limit_counts_what_is_linked() {
    let mut store = Store::<Heap>::default();
    store.set_heap_limit(0);
    let full = Error::capacity(Resource::HeapBytes);
    assert_eq!(store.add_instance(None), Err(full));
    assert_eq!(store.types_mut().intern(NewType::Flags(1), 0), Err(full));
    store.set_heap_limit(64 * 1024);
    let instance = store.add_instance(None).unwrap();
    let bytes = store.heap_bytes();
    store.add_options(canon_async::state::Options::new(instance)).unwrap();
    assert!(store.heap_bytes() > bytes);
    store.check().unwrap();
}

#[test]
fn heap_limit_has_no_effect_on_a_bounded_store() {
    let mut store = Store::<Roomy>::default();
    store.set_heap_limit(0);
    store.add_instance(None).unwrap();
    assert_eq!(store.heap_bytes(), 0);
    store.check().unwrap();
}

#[test]
fn limits_say_their_name_their_value_and_what_raises_them() {
    let text = |error: Error| error.to_string();
    let mut store = Store::<Small>::default();
    for _ in 0..2 {
        store.add_instance(None).unwrap();
    }
    let error = store.add_instance(None).unwrap_err();
    assert_eq!(text(error), "limit reached: component instances, 2 (Limits::instances)");
    store.set_limits(store.limits().with_instances(1));
    let error = store.add_instance(None).unwrap_err();
    assert_eq!(text(error), "limit reached: component instances, 1 (Limits::instances)");
    // A value that is not known is left out.
    assert_eq!(text(Error::capacity(Resource::Tasks)), "limit reached: tasks (Limits::tasks)");
    assert_eq!(Resource::Depth.field(), "Limits::depth");

    let (mut w, [a, _]) = two();
    let limits = Limits::STORAGE.with_sets(1);
    w.store().set_limits_of(InstanceId::from_index(A), limits).unwrap();
    let expected = "waitable sets of one root component, 1 (Limits::sets of Store::set_root_limits)";
    assert_eq!(text(w.call(a, 1).unwrap_err()), format!("limit reached: {expected}"));
    assert_eq!(size_of::<Error>(), 3 * size_of::<usize>());
}
