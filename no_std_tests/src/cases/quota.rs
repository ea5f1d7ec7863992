//! What a root may hold: each kind is exact, every way out refunds it, and only the root that takes too much
//! is harmed.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::canon::Builtin::*;
use canon_async::error::{Error, Resource};
use canon_async::id::{InstanceId, TableRef};
use canon_async::storage::{Profile, Slots};
use canon_async::{LimitOwner, LimitReached, Limits, Store, Trap};

cases! {
    quota_by_default_is_half_rounded_up,
    quota_of_one_root_stays_when_that_of_all_changes,
    quota_of_no_root_is_misuse,
    quota_of_sets_exact,
    quota_of_error_contexts_exact,
    quota_of_streams_exact,
    quota_of_ends_exact,
    quota_of_handles_exact,
    quota_of_handles_counts_all_instances_of_a_root,
    quota_of_tasks_exact,
    quota_of_threads_exact,
    quota_of_queued_calls_is_the_callers,
    quota_of_lends_is_the_lenders,
    quota_of_a_call_is_the_callers,
    quota_of_a_subtask_full_callee_is_not_run,
    quota_cancel_of_a_queued_call_gives_back,
    quota_end_passed_on_moves_the_charge,
    quota_end_passed_on_to_a_full_taker_caller_fails,
    quota_trap_gives_back_all_that_the_dead_held,
    quota_callee_flooded_with_handles_caller_fails,
    quota_queued_call_with_a_handle_too_many_kills_the_caller,
    quota_moved_within_a_root_at_the_limit_fits,
    quota_result_for_a_full_caller_kills_the_caller,
    quota_host_is_exempt,
}

const fn id(instance: u32) -> InstanceId {
    InstanceId::from_index(instance)
}

/// No quota but this.
fn only(what: Resource, most: u32) -> Limits {
    let mut limits = Limits::STORAGE;
    *match what {
        Resource::Tasks => &mut limits.tasks,
        Resource::Threads => &mut limits.threads,
        Resource::Waitables => &mut limits.waitables,
        Resource::WaitableSets => &mut limits.sets,
        Resource::Streams => &mut limits.streams,
        Resource::ErrorContexts => &mut limits.error_contexts,
        Resource::Handles => &mut limits.handles,
        Resource::QueuedCalls => &mut limits.queued,
        Resource::Lends => &mut limits.lends,
        other => panic!("no quota of {other}"),
    } = most;
    limits
}

/// How much of a kind the root of an instance holds.
fn held<P: Profile>(w: &World<P>, instance: u32, what: Resource) -> u32 {
    w.store.root_usage(id(instance), what).expect("a guest's instance").0
}

/// The error says that the quota of a root was reached, which is this.
fn assert_over<T: core::fmt::Debug>(result: Result<T, Error>, what: Resource, most: usize) {
    let Err(Error::Capacity(reached)) = result else { panic!("{result:?}") };
    assert_eq!((reached.resource(), reached.owner()), (what, LimitOwner::Root), "{reached}");
    assert_eq!(reached.value(), Some(most));
}

/// A makes a thing twice, of which it may hold one: `each` of a kind. In between it undoes that. B is as free
/// as before.
fn exact<P: Profile>(what: Resource, each: u32, make: [Script; 2], undo: Script) -> Result<(), Error> {
    let [make, make_b] = make;
    let mut w = World::<P>::new(&[None, None])?;
    w.store.set_root_limits(only(what, each));
    let a = w.lift(Func::Sync, sync_opts(A), make)?;
    let undone = w.lift(Func::Sync, sync_opts(A), undo)?;
    let b = w.lift(Func::Sync, sync_opts(B), make_b)?;
    for _ in 0..3 {
        w.call(a, 0)?;
        assert_eq!(w.store.root_usage(id(A), what), Some((each, each)));
        w.call(undone, 0)?;
        assert_eq!(w.store.root_usage(id(A), what), Some((0, each)));
    }
    w.call(a, 0)?;
    assert_over(w.call(a, 1), what, each as usize);
    assert_eq!(w.call(undone, 1), Err(Trap::CannotEnter.into()));
    assert_eq!((held(&w, A, what), held(&w, B, what)), (0, 0));
    w.call(b, 2)?;
    assert_eq!(held(&w, B, what), each);
    Ok(())
}

const NEW_SET: Script = &[call(WaitableSetNew, &[], 0), Op::SetG(0, R0)];
const DROP_SET: Script = &[run(WaitableSetDrop, &[G0])];
const NEW_STREAM: Script = &[
    call(StreamNew(STREAM), &[], 0),
    Op::Set(1, R0),
    Op::And(0, 0xffff_ffff),
    Op::Shr(1, 32),
    Op::SetG(0, R0),
    Op::SetG(1, R1),
];
const DROP_STREAM: Script = &[run(StreamDropReadable(STREAM), &[G0]), run(StreamDropWritable(STREAM), &[G1])];

fn quota_of_sets_exact<P: Profile>() -> Result<(), Error> {
    exact::<P>(Resource::WaitableSets, 1, [NEW_SET; 2], DROP_SET)
}

fn quota_of_error_contexts_exact<P: Profile>() -> Result<(), Error> {
    const A_MAKES: Script = &[call(ErrorContextNew(sync_opts(A)), &[k(0), k(0)], 0), Op::SetG(0, R0)];
    const B_MAKES: Script = &[run(ErrorContextNew(sync_opts(B)), &[k(0), k(0)])];
    let undo = script![run(ErrorContextDrop, &[G0])];
    exact::<P>(Resource::ErrorContexts, 1, [A_MAKES, B_MAKES], undo)
}

fn quota_of_streams_exact<P: Profile>() -> Result<(), Error> {
    exact::<P>(Resource::Streams, 1, [NEW_STREAM; 2], DROP_STREAM)
}

fn quota_of_ends_exact<P: Profile>() -> Result<(), Error> {
    exact::<P>(Resource::Waitables, 2, [NEW_STREAM; 2], DROP_STREAM)
}

fn quota_of_handles_exact<P: Profile>() -> Result<(), Error> {
    exact::<P>(Resource::Handles, 1, [NEW_SET; 2], DROP_SET)?;
    const OWN: Script = &[call(ResourceNew(RESOURCE), &[k(7)], 0), Op::SetG(0, R0)];
    exact::<P>(Resource::Handles, 1, [OWN; 2], script![run(ResourceDrop(RESOURCE), &[G0])])
}

fn quota_of_handles_counts_all_instances_of_a_root<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A), None])?;
    w.store.set_root_limits(only(Resource::Handles, 3));
    let own = script![run(ResourceNew(RESOURCE), &[k(7)])];
    let a = w.lift(Func::Sync, sync_opts(A), own)?;
    let child = w.lift(Func::Sync, sync_opts(B), own)?;
    let c = w.lift(Func::Sync, sync_opts(C), own)?;
    w.call(a, 0)?;
    w.call(child, 0)?;
    w.call(child, 0)?;
    assert_eq!((held(&w, A, Resource::Handles), held(&w, B, Resource::Handles)), (3, 3));
    w.call(c, 1)?;
    assert_over(w.call(a, 2), Resource::Handles, 3);
    w.call(c, 3)?;
    w.done_with(|left| left.handles = 2)
}

fn quota_by_default_is_half_rounded_up<P: Profile>() -> Result<(), Error> {
    let mut store = Store::<P>::default();
    store.set_limits(store.limits().with_sets(1).with_tasks(2).with_lends(0));
    let root = store.add_instance(None)?;
    let inside = store.add_instance(Some(root))?;
    let host = store.add_host_instance()?;
    for (what, most) in [(Resource::WaitableSets, 1), (Resource::Tasks, 1), (Resource::Lends, 0)] {
        assert_eq!(store.root_usage(root, what), Some((0, most)));
        assert_eq!(store.root_usage(inside, what), Some((0, most)));
        assert_eq!(store.root_usage(host, what), None);
    }
    // Each instance has handles of its own, which share the storage on a heap alone.
    let instances = P::Instances::CAPACITY as u32;
    let handles = P::LIMITS.handles.min((P::Handles::CAPACITY as u32).saturating_mul(instances));
    assert_eq!(store.root_usage(root, Resource::Handles), Some((0, handles.div_ceil(2))));
    // Roots follow the store's limits.
    store.set_limits(store.limits().with_sets(2).with_tasks(3));
    assert_eq!(store.root_usage(root, Resource::WaitableSets), Some((0, 1)));
    assert_eq!(store.root_usage(root, Resource::Tasks), Some((0, 2)));
    assert_eq!(store.root_usage(root, Resource::Types), None);
    store.check().map_err(Error::Misuse)
}

fn quota_of_one_root_stays_when_that_of_all_changes<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let most = |w: &World<P>, of| w.store.root_usage(id(of), Resource::WaitableSets).map(|(_, most)| most);
    w.store.set_limits_of(id(A), only(Resource::WaitableSets, 1))?;
    w.store.set_root_limits(only(Resource::WaitableSets, 2));
    assert_eq!((most(&w, A), most(&w, B)), (Some(1), Some(2)));
    // What it holds already counts.
    let a = w.lift(Func::Sync, sync_opts(A), NEW_SET)?;
    w.call(a, 0)?;
    w.store.set_limits_of(id(A), only(Resource::WaitableSets, 0))?;
    assert_eq!(w.store.root_usage(id(A), Resource::WaitableSets), Some((1, 0)));
    assert_over(w.call(a, 1), Resource::WaitableSets, 0);
    w.done()
}

fn quota_of_no_root_is_misuse<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A)])?;
    for instance in [HOST, B, 9] {
        let set = w.store.set_limits_of(id(instance), Limits::STORAGE);
        assert!(matches!(set, Err(Error::Misuse(_))), "{set:?}");
    }
    Ok(())
}

/// Waits until the host goes on, and returns.
const YIELDS: Script = &[run(ThreadYield, &[]), run(task_return(A), &[])];

fn quota_of_tasks_exact<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    w.store.set_root_limits(only(Resource::Tasks, 1));
    let a = w.lift(Func::Async, async_opts(A), YIELDS)?;
    let b = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    w.call(a, 0)?;
    assert_eq!(held(&w, A, Resource::Tasks), 1);
    // The host's call, of which nothing was run: no root is harmed.
    assert_over(w.call(a, 1), Resource::Tasks, 1);
    w.call(b, 2)?;
    assert_eq!(w.ended(2), Ended::Returned(0));
    w.ticks()?;
    assert_eq!((w.ended(0), held(&w, A, Resource::Tasks)), (Ended::Returned(0), 0));
    w.call(a, 3)?;
    w.ticks()?;
    w.done()
}

fn quota_of_threads_exact<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    w.store.set_root_limits(only(Resource::Threads, 2));
    w.set_table(1, A, script![Op::Ret(k(0))]);
    const NEW: Op = call(ThreadNewIndirect(TableRef::from_index(0)), &[k(1), k(0)], 0);
    const ONE: Script = &[NEW, run(ThreadResumeLater, &[R0]), run(task_return(A), &[])];
    let one = w.lift(Func::Async, async_opts(A), ONE)?;
    let two = w.lift(Func::Async, async_opts(A), script![NEW, NEW, run(task_return(A), &[])])?;
    let b = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    w.call(one, 0)?;
    assert_eq!(held(&w, A, Resource::Threads), 1);
    w.ticks()?;
    assert_eq!(held(&w, A, Resource::Threads), 0);
    assert_over(w.call(two, 1), Resource::Threads, 2);
    assert_eq!(held(&w, A, Resource::Threads), 0);
    w.call(b, 2)?;
    assert_eq!(w.ended(2), Ended::Returned(0));
    w.done()
}

const INC: Script = &[run(BackpressureInc, &[])];
const DEC: Script = &[run(BackpressureDec, &[])];

/// A calls B asynchronously, and keeps the subtask in a global.
const CALLS: Script = &[call(low(0), &[], 0), Op::Shr(0, 4), Op::SetG(0, R0), run(task_return(A), &[])];

fn quota_of_queued_calls_is_the_callers<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    let b = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    let (inc, dec) = (w.lift(Func::Sync, sync_opts(B), INC)?, w.lift(Func::Sync, sync_opts(B), DEC)?);
    w.lower(b, async_opts(A))?;
    w.lower(b, async_opts(C))?;
    let a = w.lift(Func::Async, async_opts(A), CALLS)?;
    let c = w.lift(Func::Async, async_opts(C), script![run(low(1), &[]), run(task_return(C), &[])])?;
    w.store.set_limits_of(id(A), only(Resource::QueuedCalls, 0))?;
    w.store.set_limits_of(id(B), only(Resource::QueuedCalls, 0))?;
    w.call(inc, 0)?;
    assert_over(w.call(a, 1), Resource::QueuedCalls, 0);
    w.call(c, 2)?;
    assert_eq!((held(&w, C, Resource::QueuedCalls), held(&w, B, Resource::QueuedCalls)), (1, 0));
    w.call(dec, 3)?;
    w.ticks()?;
    assert_eq!(held(&w, C, Resource::QueuedCalls), 0);
    assert_eq!((held(&w, A, Resource::Waitables), held(&w, C, Resource::Waitables)), (0, 1));
    Ok(())
}

fn quota_of_lends_is_the_lenders<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    const BORROWS: Script = &[run(ResourceDrop(RESOURCE), &[R0]), run(task_return(C), &[])];
    let callee = w.lift(Func::AsyncBorrow, async_opts(C), BORROWS)?;
    w.lower(callee, async_opts(A))?;
    w.lower(callee, async_opts(B))?;
    const NEW: Op = call(ResourceNew(RESOURCE), &[k(7)], 0);
    const DROP: Op = run(ResourceDrop(RESOURCE), &[R0]);
    const A_LENDS: Script = &[NEW, run(low(0), &[R0]), DROP];
    const B_LENDS: Script = &[NEW, run(low(1), &[R0]), DROP];
    w.store.set_limits_of(id(A), only(Resource::Lends, 0))?;
    w.store.set_limits_of(id(C), only(Resource::Lends, 0))?;
    let a = w.lift(Func::Sync, sync_opts(A), A_LENDS)?;
    let b = w.lift(Func::Sync, sync_opts(B), B_LENDS)?;
    w.call(b, 0)?;
    assert_over(w.call(a, 1), Resource::Lends, 0);
    // Its callee ran nothing, and is not harmed.
    w.call(b, 2)?;
    assert_eq!(held(&w, B, Resource::Lends), 0);
    w.done()
}

// Else a guest would fill its neighbour's quota with calls.
fn quota_of_a_call_is_the_callers<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let b = w.lift(Func::Async, async_opts(B), script![run(ThreadYield, &[]), run(task_return(B), &[])])?;
    w.lower(b, async_opts(A))?;
    w.store.set_limits_of(id(A), only(Resource::Tasks, 2))?;
    w.store.set_limits_of(id(B), only(Resource::Tasks, 1))?;
    let a = w.lift(Func::Async, async_opts(A), CALLS)?;
    w.call(a, 0)?;
    for what in [Resource::Tasks, Resource::Threads] {
        assert_eq!((held(&w, A, what), held(&w, B, what)), (1, 0), "{what}");
    }
    // With its own task a second call is one too many for A; B has room for the host's.
    assert_over(w.call(a, 2), Resource::Tasks, 2);
    w.call(b, 1)?;
    w.ticks()?;
    assert_eq!(w.ended(1), Ended::Returned(0));
    assert_eq!((held(&w, A, Resource::Tasks), held(&w, B, Resource::Tasks)), (0, 0));
    w.done()
}

fn quota_of_a_subtask_full_callee_is_not_run<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let b = w.lift(Func::Async, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    w.lower(b, async_opts(A))?;
    w.store.set_limits_of(id(A), only(Resource::Waitables, 0))?;
    let a = w.lift(Func::Async, async_opts(A), CALLS)?;
    assert_over(w.call(a, 0), Resource::Waitables, 0);
    assert_eq!(w.marks(), []);
    w.call(b, 1)?;
    w.done()
}

fn quota_cancel_of_a_queued_call_gives_back<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let b = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    let inc = w.lift(Func::Sync, sync_opts(B), INC)?;
    w.lower(b, async_opts(A))?;
    let a = w.lift(Func::Async, async_opts(A), CALLS)?;
    const CANCEL: Script = &[
        call(SubtaskCancel { is_async: false }, &[G0], 1),
        run(SubtaskDrop, &[G0]),
        run(task_return(A), &[]),
    ];
    let cancel = w.lift(Func::Async, async_opts(A), CANCEL)?;
    w.call(inc, 0)?;
    const HELD: [Resource; 5] =
        [Resource::Tasks, Resource::Threads, Resource::QueuedCalls, Resource::Waitables, Resource::Handles];
    for _ in 0..2 {
        w.call(a, 1)?;
        assert_eq!(HELD.map(|what| held(&w, A, what)), [1; 5]);
        w.call(cancel, 2)?;
        assert_eq!(HELD.map(|what| held(&w, A, what)), [0; 5]);
    }
    w.done()
}

/// A makes a stream and passes its readable end to B.
const PASSES: Script = &[
    call(StreamNew(STREAM), &[], 0),
    Op::Set(1, R0),
    Op::And(0, 0xffff_ffff),
    Op::Shr(1, 32),
    run(low(0), &[R0]),
    run(StreamDropWritable(STREAM), &[R1]),
];

fn quota_end_passed_on_moves_the_charge<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let b = w.lift(Func::AsyncStream, async_opts(B), script![Op::SetG(0, R0), run(task_return(B), &[])])?;
    w.lower(b, async_opts(A))?;
    let a = w.lift(Func::Sync, sync_opts(A), PASSES)?;
    let drops = w.lift(Func::Sync, sync_opts(B), script![run(StreamDropReadable(STREAM), &[G0])])?;
    w.call(a, 0)?;
    let of = |w: &World<P>, what| (held(w, A, what), held(w, B, what));
    assert_eq!(of(&w, Resource::Waitables), (0, 1));
    assert_eq!(of(&w, Resource::Handles), (0, 1));
    // It is A's stream, as long as there is an end of it.
    assert_eq!(of(&w, Resource::Streams), (1, 0));
    w.call(drops, 1)?;
    for what in [Resource::Waitables, Resource::Handles, Resource::Streams] {
        assert_eq!(of(&w, what), (0, 0));
    }
    w.done()
}

fn quota_end_passed_on_to_a_full_taker_caller_fails<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    w.store.set_limits_of(id(B), only(Resource::Waitables, 0))?;
    let b = w.lift(Func::AsyncStream, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    let alive = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(2)])?;
    w.lower(b, async_opts(A))?;
    let a = w.lift(Func::Sync, sync_opts(A), PASSES)?;
    assert_over(w.call(a, 0), Resource::Waitables, 0);
    assert_eq!(w.call(a, 1), Err(Trap::CannotEnter.into()));
    w.call(alive, 2)?;
    assert_eq!(w.marks(), [2]);
    w.done()
}

fn quota_trap_gives_back_all_that_the_dead_held<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const HOLDS: Script = &[
        run(WaitableSetNew, &[]),
        run(StreamNew(STREAM), &[]),
        run(ErrorContextNew(sync_opts(A)), &[k(0), k(0)]),
        run(low(0), &[]),
        run(task_return(A), &[]),
    ];
    let b = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    let (inc, dec) = (w.lift(Func::Sync, sync_opts(B), INC)?, w.lift(Func::Sync, sync_opts(B), DEC)?);
    w.lower(b, async_opts(A))?;
    let a = w.lift(Func::Async, async_opts(A), HOLDS)?;
    let dies = w.lift(Func::Sync, sync_opts(A), script![Op::Trap(4)])?;
    w.call(inc, 0)?;
    w.call(a, 1)?;
    let kinds = [
        Resource::Tasks,
        Resource::Threads,
        Resource::Waitables,
        Resource::WaitableSets,
        Resource::Streams,
        Resource::ErrorContexts,
        Resource::Handles,
        Resource::QueuedCalls,
    ];
    assert_eq!(kinds.map(|what| held(&w, A, what)), [1, 1, 3, 1, 1, 1, 5, 1]);
    assert_eq!(w.call(dies, 2), Err(Trap::Engine(4).into()));
    assert_eq!(kinds.map(|what| held(&w, A, what)), [0; 8]);
    w.call(dec, 3)?;
    w.done()
}

// A can't kill B with handles that it has no room for.
fn quota_callee_flooded_with_handles_caller_fails<P: Profile>() -> Result<(), Error> {
    for quota in [None, Some(2)] {
        let mut w = World::<P>::new(&[None, None, None])?;
        if let Some(most) = quota {
            w.store.set_limits_of(id(C), only(Resource::Handles, most))?;
        }
        let takes = w.lift(Func::AsyncOwn, async_opts(C), script![run(task_return(C), &[])])?;
        let drops = script![run(ResourceDrop(RESOURCE), &[k(1)])];
        let drops = w.lift(Func::Sync, sync_opts(C), drops)?;
        w.lower(takes, async_opts(A))?;
        w.lower(takes, sync_opts(B))?;
        const GIVES: Script = &[
            Op::Set(1, k(100)),
            call(ResourceNew(RESOURCE), &[k(7)], 0),
            run(low(0), &[R0]),
            Op::Loop(1, 1),
            run(task_return(A), &[]),
        ];
        const GIVES_ONE: Script =
            &[call(ResourceNew(RESOURCE), &[k(7)], 0), run(low(1), &[R0]), run(task_return(B), &[])];
        let a = w.lift(Func::Async, async_opts(A), GIVES)?;
        let b = w.lift(Func::Async, async_opts(B), GIVES_ONE)?;
        // The store's own table is full after 100 on no tier, but of those of bounded profiles.
        let full = w.call(a, 0);
        match quota {
            Some(most) => assert_over(full, Resource::Handles, most as usize),
            None if full.is_ok() => continue,
            None => assert_eq!(full.err(), Some(LimitReached::new(Resource::Handles).into())),
        }
        assert_eq!(w.call(a, 1), Err(Trap::CannotEnter.into()));
        // C lives: it drops one, and has room for it again.
        w.call(drops, 2)?;
        w.call(b, 3)?;
        assert_eq!(w.ended(3), Ended::Returned(0));
        w.call(drops, 4)?;
    }
    Ok(())
}

// The call waits, and its callee has no room when it starts: it runs nothing, and lives.
fn quota_queued_call_with_a_handle_too_many_kills_the_caller<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    w.store.set_limits_of(id(B), only(Resource::Handles, 0))?;
    let b = w.lift(Func::AsyncOwn, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    let (inc, dec) = (w.lift(Func::Sync, sync_opts(B), INC)?, w.lift(Func::Sync, sync_opts(B), DEC)?);
    w.lower(b, async_opts(A))?;
    const GIVES: Script =
        &[call(ResourceNew(RESOURCE), &[k(7)], 0), run(low(0), &[R0]), run(task_return(A), &[])];
    let a = w.lift(Func::Async, async_opts(A), GIVES)?;
    w.call(inc, 0)?;
    w.call(a, 1)?;
    assert_eq!(w.ended(1), Ended::Returned(0));
    w.call(dec, 2)?;
    assert_over(w.ticks(), Resource::Handles, 0);
    assert_eq!(w.call(a, 3), Err(Trap::CannotEnter.into()));
    w.call(inc, 4)?;
    assert_eq!(w.marks(), []);
    w.done()
}

// A and the child in it hold as much together before and after.
fn quota_moved_within_a_root_at_the_limit_fits<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A)])?;
    w.store.set_root_limits(Limits::STORAGE.with_handles(2).with_waitables(2).with_streams(1));
    let keeps = script![Op::SetG(0, R0), run(task_return(B), &[])];
    let child = w.lift(Func::AsyncStream, async_opts(B), keeps)?;
    w.lower(child, sync_opts(A))?;
    let kept = w.lift(Func::Sync, sync_opts(B), script![run(StreamDropReadable(STREAM), &[G0])])?;
    const PASSES_ON: Script = &[
        call(StreamNew(STREAM), &[], 0),
        Op::Set(1, R0),
        Op::And(0, 0xffff_ffff),
        Op::Shr(1, 32),
        run(StreamDropWritable(STREAM), &[R1]),
        // Two handles; and with the call's subtask two waitables.
        call(WaitableSetNew, &[], 1),
        run(low(0), &[R0]),
        run(WaitableSetDrop, &[R1]),
        run(task_return(A), &[]),
    ];
    let a = w.lift(Func::Async, async_opts(A), PASSES_ON)?;
    w.call(a, 0)?;
    assert_eq!((held(&w, A, Resource::Waitables), held(&w, B, Resource::Handles)), (1, 1));
    w.call(kept, 1)?;
    w.done()
}

// It asked for the result.
fn quota_result_for_a_full_caller_kills_the_caller<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let returns = script![
        call(ErrorContextNew(sync_opts(B)), &[k(0), k(0)], 0),
        run(ThreadYield, &[]),
        run(task_return_error(B), &[R0]),
    ];
    let b = w.lift(Func::AsyncToError, async_opts(B), returns)?;
    w.lower(b, async_opts(A))?;
    const A_CALLS: Script = &[run(low(0), &[k(16)]), run(task_return(A), &[])];
    let a = w.lift(Func::Async, async_opts(A), A_CALLS)?;
    // The subtask takes the one handle that it may have.
    w.store.set_limits_of(id(A), only(Resource::Handles, 1))?;
    w.call(a, 0)?;
    assert_over(w.ticks(), Resource::Handles, 1);
    assert_eq!(w.call(a, 1), Err(Trap::CannotEnter.into()));
    w.done()
}

fn quota_host_is_exempt<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.store.set_root_limits(Limits::STORAGE.with_handles(0).with_error_contexts(0).with_tasks(0));
    let handle = w.store.host_error_context("x")?;
    w.store.drop_host_error_context(handle)?;
    let task = w.store.start_host_task(canon_async::id::HostCall::from_index(0))?;
    w.store.return_host_task(task)?;
    w.done()
}
