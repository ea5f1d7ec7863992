//! Who may enter whom: since the spec's #705 whoever calls, unless a trap was there; nesting, the host in
//! between.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin::*;
use canon_async::error::{Error, Resource};
use canon_async::id::LiftId;
use canon_async::storage::Profile;

cases! {
    enter_parent_after_its_child_returned_runs,
    enter_running_instance_runs,
    enter_running_callback_task_queues_until_it_completes needs Tasks,
    enter_running_instance_to_destroy_runs_the_destructor,
    enter_parent_from_child_is_a_donut,
    enter_child_from_parent_runs,
    enter_sibling_runs,
    enter_from_host_inside_a_call_other_root_runs,
    enter_from_host_inside_a_call_same_root_runs,
    enter_from_host_inside_a_call_and_trap_there_kills_the_caller,
    enter_from_host_below_a_callee_and_trap_there_kills_the_caller_alone needs Tasks,
    enter_from_host_to_cancel_and_trap_there_kills_the_canceller needs Tasks,
    nesting_too_deep_traps_and_leaves_others,
    tick_inside_a_call_is_misuse,
    enter_sibling_back_runs,
    enter_child_of_a_running_parent_from_outside_runs,
    enter_ancestor_twice_is_a_donut,
    enter_back_into_a_running_descendant_runs,
}

// Store.lift, without the `may_enter` that #705 removed: A calls B calls A.
fn enter_running_instance_runs<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let inner = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(2)])?;
    w.lower(inner, sync_opts(B))?;
    let b = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(1), run(low(0), &[]), Op::Mark(3)])?;
    w.lower(b, sync_opts(A))?;
    let a = w.lift(Func::Sync, sync_opts(A), script![run(low(1), &[]), Op::Mark(4)])?;
    w.call(a, 0)?;
    assert_eq!(w.marks(), [1, 2, 3, 4]);
    w.done()
}

// Run to completion: what needs the exclusive lock waits for the callback task on the stack, and nothing else
// does.
fn enter_running_callback_task_queues_until_it_completes<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let locks =
        w.lift_callback(Func::Async, A, script![Op::Mark(4), run(task_return(A), &[])], script![])?;
    let free = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(1)])?;
    w.lower(locks, async_opts(B))?;
    w.lower(free, sync_opts(B))?;
    const CALLS: Script = &[
        call(low(0), &[], 0),
        Op::SetG(0, R0),
        // STARTING
        Op::And(0, 0xf),
        Op::Eq(R0, k(0)),
        run(low(1), &[]),
        Op::Mark(2),
    ];
    let calls = w.lift(Func::Sync, sync_opts(B), CALLS)?;
    w.lower(calls, sync_opts(A))?;
    let completes = script![run(low(2), &[]), Op::Mark(3), run(task_return(A), &[])];
    let completes = w.lift_callback(Func::Async, A, completes, script![])?;
    let tidies = w.lift(Func::Sync, sync_opts(B), script![Op::Set(0, G0), Op::Shr(0, 4), run(SubtaskDrop, &[R0])])?;
    w.call(completes, 0)?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3, 4]);
    // The subtask's event is taken by the cancellation, which comes too late.
    let tells = script![Op::Set(0, G0), Op::Shr(0, 4), run(SubtaskCancel { is_async: true }, &[R0])];
    let tells = w.lift(Func::Sync, sync_opts(B), tells)?;
    w.call(tells, 1)?;
    w.call(tidies, 2)?;
    w.done()
}

// canon_resource_drop: the destructor of B runs while B waits for A, which drops.
fn enter_running_instance_to_destroy_runs_the_destructor<P: Profile>() -> Result<(), Error> {
    for with_dtor in [true, false] {
        let mut w = World::<P>::new(&[None, None])?;
        let dtor = w.lift(Func::SyncU32, sync_opts(B), script![Op::Eq(R0, k(77)), Op::Mark(1)])?;
        w.store.types_mut().set_dtor(RESOURCE, with_dtor.then_some(dtor));
        let drops = script![run(ResourceDrop(RESOURCE), &[R0]), run(task_return(A), &[])];
        let drops = w.lift(Func::AsyncOwn, async_opts(A), drops)?;
        w.lower(drops, sync_opts(B))?;
        let makes = script![call(ResourceNew(RESOURCE), &[k(77)], 0), run(low(0), &[R0]), Op::Mark(2)];
        let makes = w.lift(Func::Sync, sync_opts(B), makes)?;
        w.call(makes, 0)?;
        assert_eq!(w.marks(), if with_dtor { &[1, 2][..] } else { &[2] });
        w.done()?;
    }
    Ok(())
}

// The parent is around its child, and the child calls it while it runs.
fn enter_parent_from_child_is_a_donut<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A)])?;
    let inner = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(2)])?;
    w.lower(inner, sync_opts(B))?;
    let b = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(1), run(low(0), &[]), Op::Mark(3)])?;
    w.lower(b, sync_opts(A))?;
    let a = w.lift(Func::Sync, sync_opts(A), script![run(low(1), &[]), Op::Mark(4)])?;
    w.call(a, 0)?;
    w.call(b, 1)?;
    assert_eq!(w.marks(), [1, 2, 3, 4, 1, 2, 3]);
    w.done()
}

fn enter_child_from_parent_runs<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A)])?;
    let b = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(1)])?;
    w.lower(b, sync_opts(A))?;
    let a = w.lift(Func::Sync, sync_opts(A), script![run(low(0), &[]), run(low(0), &[])])?;
    w.call(a, 0)?;
    assert_eq!(w.marks(), [1, 1]);
    w.done()
}

fn enter_sibling_runs<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A), Some(A)])?;
    let c = w.lift(Func::Sync, sync_opts(C), script![Op::Mark(1)])?;
    w.lower(c, sync_opts(B))?;
    let b = w.lift(Func::Sync, sync_opts(B), script![run(low(0), &[])])?;
    w.call(b, 0)?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// A calls the host, whose code calls function 0.
fn host_in_between<P: Profile>(w: &mut World<P>, error: Option<Error>) -> Result<LiftId, Error> {
    const FINE: Script = &[Op::Invoke(LiftId::from_index(0), 5, None)];
    const NOT: Script = &[Op::Invoke(LiftId::from_index(0), 5, Some(Error::Trap(Trap::Engine(1))))];
    let host = w.lift(Func::Sync, sync_opts(HOST), if error.is_none() { FINE } else { NOT })?;
    w.lower(host, sync_opts(A))?;
    w.lift(Func::Sync, sync_opts(A), script![run(low(0), &[]), Op::Mark(2)])
}

fn enter_from_host_inside_a_call_other_root_runs<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    w.lift(Func::Sync, sync_opts(B), script![Op::Mark(1)])?;
    let a = host_in_between(&mut w, None)?;
    w.call(a, 0)?;
    assert_eq!(w.marks(), [1, 2]);
    assert_eq!(w.ended(5), Ended::Returned(0));
    w.done()
}

fn enter_from_host_inside_a_call_same_root_runs<P: Profile>() -> Result<(), Error> {
    for callee in [A, B] {
        let mut w = World::<P>::new(&[None, Some(A)])?;
        w.lift(Func::Sync, sync_opts(callee), script![Op::Mark(1)])?;
        let a = host_in_between(&mut w, None)?;
        w.call(a, 0)?;
        assert_eq!(w.marks(), [1, 2]);
        assert_eq!(w.ended(5), Ended::Returned(0));
        w.done()?;
    }
    Ok(())
}

/// The host makes nothing of the trap, but the guest below it is of the same root, and dead: it does not go
/// on.
fn enter_from_host_inside_a_call_and_trap_there_kills_the_caller<P: Profile>() -> Result<(), Error> {
    for callee in [A, B] {
        let mut w = World::<P>::new(&[None, Some(A)])?;
        w.lift(Func::Sync, sync_opts(callee), script![Op::Trap(1)])?;
        let a = host_in_between(&mut w, Some(Trap::Engine(1).into()))?;
        assert_eq!(w.call(a, 0), Err(Trap::CannotEnter.into()));
        assert!(w.marks().is_empty());
        assert_eq!(w.call(a, 1), Err(Trap::CannotEnter.into()));
        w.done()?;
    }
    Ok(())
}

/// A call that dies of what happened to its instance meanwhile.
fn dies<P: Profile>(w: &mut World<P>, f: LiftId) -> Result<(), Error> {
    match w.call(f, 0) {
        Err(Error::Capacity(what)) => Err(Error::Capacity(what)),
        ended => {
            assert_eq!(ended, Err(Trap::CannotEnter.into()));
            Ok(())
        }
    }
}

/// C calls A of another root, A the host, and that C, which traps: A returns a value to nobody, and C does
/// not go on.
fn enter_from_host_below_a_callee_and_trap_there_kills_the_caller_alone<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    w.lift(Func::Sync, sync_opts(C), script![Op::Trap(1)])?;
    let a = host_in_between(&mut w, Some(Trap::Engine(1).into()))?;
    w.lower(a, sync_opts(C))?;
    let c = w.lift(Func::Sync, sync_opts(C), script![run(low(1), &[]), Op::Mark(9)])?;
    dies(&mut w, c)?;
    assert_eq!(w.marks(), [2]);
    // A has done nothing wrong.
    let fine = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(3)])?;
    w.call(fine, 1)?;
    assert_eq!(w.call(c, 2), Err(Trap::CannotEnter.into()));
    w.done()
}

/// The callee's callback is told of its cancellation, calls the host, and that the canceller, which traps.
fn enter_from_host_to_cancel_and_trap_there_kills_the_canceller<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    w.lift(Func::Sync, sync_opts(A), script![Op::Trap(1)])?;
    const SWALLOWS: Script = &[Op::Invoke(LiftId::from_index(0), 5, Some(Error::Trap(Trap::Engine(1))))];
    let host = w.lift(Func::Sync, sync_opts(HOST), SWALLOWS)?;
    w.lower(host, sync_opts(B))?;
    let told = script![run(low(0), &[]), Op::Mark(1), run(TaskCancel, &[]), Op::Ret(k(EXIT))];
    let waits = w.lift_callback(Func::Async, B, script![Op::Ret(k(YIELD))], told)?;
    w.lower(waits, async_opts(A))?;
    let cancels = script![
        call(low(1), &[], 0),
        Op::Shr(0, 4),
        run(SubtaskCancel { is_async: true }, &[R0]),
        Op::Mark(9),
    ];
    let cancels = w.lift(Func::Sync, sync_opts(A), cancels)?;
    dies(&mut w, cancels)?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// A function that calls itself through a donut until the limit: the caller traps, and another root is as before.
fn nesting_too_deep_traps_and_leaves_others<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    // A's function calls itself 4 levels deep less than the limit, then B.
    const SELF: Script = &[
        Op::Jump(R0, 3),
        run(low(1), &[]),
        Op::Ret(k(0)),
        Op::Add(0, k(u64::MAX)),
        run(low(0), &[R0]),
        Op::Ret(k(0)),
    ];
    let a = w.lift(Func::SyncU32, sync_opts(A), SELF)?;
    let b = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    w.lower(a, sync_opts(A))?;
    w.lower(b, async_opts(A))?;
    let limit = u64::from(P::LIMITS.depth);
    w.set_args(&[limit - 1]);
    let error = w.call(a, 0).err();
    if let Some(Error::Capacity(what)) = error {
        // The tasks or their threads ran out before the depth.
        let expected = [Resource::Tasks, Resource::ThreadIndices, Resource::Depth];
        assert!(expected.contains(&what.resource()), "{what}");
    } else {
        assert_eq!(error, Some(Error::capacity(Resource::Depth)));
    }
    assert_eq!(w.call(a, 1), Err(Trap::CannotEnter.into()));
    w.call(b, 2)?;
    assert_eq!(w.ended(2), Ended::Returned(0));
    w.done()
}

fn tick_inside_a_call_is_misuse<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let host = w.lift(Func::Sync, sync_opts(HOST), script![Op::Tick, Op::Mark(1)])?;
    w.lower(host, sync_opts(A))?;
    let f = w.lift(Func::Sync, sync_opts(A), script![run(low(0), &[])])?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

fn enter_sibling_back_runs<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A), Some(A)])?;
    let back = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(2)])?;
    w.lower(back, sync_opts(C))?;
    let c = w.lift(Func::Sync, sync_opts(C), script![Op::Mark(1), run(low(0), &[])])?;
    w.lower(c, sync_opts(B))?;
    let b = w.lift(Func::Sync, sync_opts(B), script![run(low(1), &[])])?;
    w.call(b, 0)?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

// C of another root calls B, whose parent A is on the stack.
fn enter_child_of_a_running_parent_from_outside_runs<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A), None])?;
    let b = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(2)])?;
    w.lower(b, sync_opts(C))?;
    let c = w.lift(Func::Sync, sync_opts(C), script![Op::Mark(1), run(low(0), &[])])?;
    w.lower(c, sync_opts(A))?;
    let a = w.lift(Func::Sync, sync_opts(A), script![run(low(1), &[])])?;
    w.call(a, 0)?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

// C is in B is in A: from inside, both are open, however often.
fn enter_ancestor_twice_is_a_donut<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A), Some(B)])?;
    let a = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(1)])?;
    let b = w.lift(Func::Sync, sync_opts(B), script![run(low(0), &[]), Op::Mark(2)])?;
    w.lower(a, sync_opts(B))?;
    w.lower(b, sync_opts(C))?;
    w.lower(a, sync_opts(C))?;
    let c = w.lift(Func::Sync, sync_opts(C), script![run(low(1), &[]), run(low(2), &[]), Op::Mark(3)])?;
    w.call(c, 0)?;
    assert_eq!(w.marks(), [1, 2, 1, 3]);
    w.done()
}

// C calls A around it, and A calls into C, which is on the stack.
fn enter_back_into_a_running_descendant_runs<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A), Some(B)])?;
    let back = w.lift(Func::Sync, sync_opts(C), script![Op::Mark(2)])?;
    w.lower(back, sync_opts(A))?;
    let a = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(1), run(low(0), &[])])?;
    w.lower(a, sync_opts(C))?;
    let c = w.lift(Func::Sync, sync_opts(C), script![run(low(1), &[])])?;
    w.call(c, 0)?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

/// The return of a child's call changes nothing for the parent, which still runs and is called by the host.
fn enter_parent_after_its_child_returned_runs<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A)])?;
    const TARGET: LiftId = LiftId::from_index(0);
    assert_eq!(w.lift(Func::Sync, sync_opts(A), script![Op::Mark(9)])?, TARGET);
    let child = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(1)])?;
    let host = w.lift(Func::Sync, sync_opts(HOST), script![Op::Invoke(TARGET, 5, None), Op::Mark(2)])?;
    w.lower(child, sync_opts(A))?;
    w.lower(host, sync_opts(A))?;
    let main = w.lift(Func::Sync, sync_opts(A), script![run(low(0), &[]), run(low(1), &[])])?;
    w.call(main, 0)?;
    assert_eq!(w.marks(), [1, 9, 2]);
    w.done()
}
