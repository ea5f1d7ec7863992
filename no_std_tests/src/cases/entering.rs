//! Who may enter whom: `may_enter_from`, `entering_set`, nesting, the host in between.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::error::{Error, Resource};
use canon_async::id::LiftId;
use canon_async::storage::Profile;

cases! {
    enter_parent_after_its_child_returned_traps,
    enter_running_instance_traps,
    enter_parent_from_child_is_a_donut,
    enter_child_from_parent_runs,
    enter_sibling_runs,
    enter_from_host_inside_a_call_other_root_runs,
    enter_from_host_inside_a_call_same_root_traps,
    nesting_too_deep_traps_and_leaves_others,
    tick_inside_a_call_is_misuse,
    enter_sibling_back_traps,
    enter_child_of_a_running_parent_from_outside_traps,
    enter_ancestor_twice_is_a_donut,
    enter_back_into_a_running_descendant_traps,
}

// Store.lift: `trap_if(not inst.may_enter_from(caller))`: A calls B calls A.
fn enter_running_instance_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let inner = w.lift(Func::Async, async_opts(A), script![Op::Mark(1)])?;
    w.lower(inner, sync_opts(B))?;
    let b = w.lift(Func::Async, async_opts(B), script![run(low(0), &[])])?;
    w.lower(b, sync_opts(A))?;
    let a = w.lift(Func::Async, async_opts(A), script![run(low(1), &[])])?;
    assert_eq!(w.call(a, 0), Err(Trap::CannotEnter.into()));
    assert!(w.marks().is_empty());
    w.done()
}

// ComponentInstance.entering_set: the parent is around its child, so the child may call it while it runs.
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
    // And back while it runs: no.
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// A calls the host, whose code calls function 0.
fn host_in_between<P: Profile>(w: &mut World<P>, error: Option<Error>) -> Result<LiftId, Error> {
    const FINE: Script = &[Op::Invoke(LiftId::from_index(0), 5, None)];
    const NOT: Script = &[Op::Invoke(LiftId::from_index(0), 5, Some(Error::Trap(Trap::CannotEnter)))];
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

fn enter_from_host_inside_a_call_same_root_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A)])?;
    w.lift(Func::Sync, sync_opts(B), script![Op::Mark(1)])?;
    let a = host_in_between(&mut w, Some(Trap::CannotEnter.into()))?;
    w.call(a, 0)?;
    // The host dealt with it; the guest goes on.
    assert_eq!(w.marks(), [2]);
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

// entering_set(sibling) is the instance itself: that their parent is around both lets nobody in twice.
fn enter_sibling_back_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A), Some(A)])?;
    let back = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(2)])?;
    w.lower(back, sync_opts(C))?;
    let c = w.lift(Func::Sync, sync_opts(C), script![Op::Mark(1), run(low(0), &[])])?;
    w.lower(c, sync_opts(B))?;
    let b = w.lift(Func::Sync, sync_opts(B), script![run(low(1), &[])])?;
    assert_eq!(w.call(b, 0), Err(Trap::CannotEnter.into()));
    assert_eq!(w.marks(), [1]);
    w.done()
}

// entering_set(C) of B, a child of A, is B and A: and A is on the stack, though B is not.
fn enter_child_of_a_running_parent_from_outside_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A), None])?;
    let b = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(2)])?;
    w.lower(b, sync_opts(C))?;
    let c = w.lift(Func::Sync, sync_opts(C), script![Op::Mark(1), run(low(0), &[])])?;
    w.lower(c, sync_opts(A))?;
    let a = w.lift(Func::Sync, sync_opts(A), script![run(low(1), &[])])?;
    assert_eq!(w.call(a, 0), Err(Trap::CannotEnter.into()));
    assert_eq!(w.marks(), [1]);
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
fn enter_back_into_a_running_descendant_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A), Some(B)])?;
    let back = w.lift(Func::Sync, sync_opts(C), script![Op::Mark(2)])?;
    w.lower(back, sync_opts(A))?;
    let a = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(1), run(low(0), &[])])?;
    w.lower(a, sync_opts(C))?;
    let c = w.lift(Func::Sync, sync_opts(C), script![run(low(1), &[])])?;
    assert_eq!(w.call(c, 0), Err(Trap::CannotEnter.into()));
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// The return of a child's call does not leave the parent, which still runs.
fn enter_parent_after_its_child_returned_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A)])?;
    const TARGET: canon_async::id::LiftId = canon_async::id::LiftId::from_index(0);
    assert_eq!(w.lift(Func::Sync, sync_opts(A), script![Op::Mark(9)])?, TARGET);
    let child = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(1)])?;
    let calls = script![Op::Invoke(TARGET, 5, Some(Error::Trap(Trap::CannotEnter))), Op::Mark(2)];
    let host = w.lift(Func::Sync, sync_opts(HOST), calls)?;
    w.lower(child, sync_opts(A))?;
    w.lower(host, sync_opts(A))?;
    let main = w.lift(Func::Sync, sync_opts(A), script![run(low(0), &[]), run(low(1), &[])])?;
    w.call(main, 0)?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}
