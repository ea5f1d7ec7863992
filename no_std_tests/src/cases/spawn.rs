//! 🧵② `thread.spawn-ref`, `thread.spawn-indirect`, `thread.available-parallelism`.
//!
//! The engines at hand have no shared functions, so this is where the first two run.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::{FuncRef, LiftId, TableRef};
use canon_async::storage::Profile;
use canon_async::store::Choose;

cases! {
    thread_spawn_ref_runs_later_with_its_argument,
    thread_spawn_indirect_runs_later_with_its_argument,
    thread_spawn_ref_is_ready_and_not_suspended,
    thread_spawn_ref_may_be_promoted,
    thread_spawn_ref_resolves_its_task,
    thread_spawn_ref_null_traps,
    thread_spawn_indirect_past_the_end_traps,
    thread_spawn_indirect_other_type_traps,
    thread_spawn_in_post_return_cannot_leave,
    thread_spawn_more_than_there_is_room_for_leaves_nothing needs ThreadIndices,
    thread_spawn_deterministic_answers_zero,
    thread_available_parallelism_is_one,
}

const INDIRECT: Builtin = ThreadSpawnIndirect(TableRef::from_index(0));
/// A reference to the first function that a case adds.
const F: Val = k(3);

/// A world of one guest, with a function to spawn.
fn world<P: Profile>(thread: Script) -> Result<World<P>, Error> {
    let mut w = World::<P>::new(&[None])?;
    assert_eq!(w.func(A, thread), FuncRef::from_index(2));
    w.set_table(1, A, thread);
    Ok(w)
}

fn main<P: Profile>(w: &mut World<P>, script: Script) -> Result<LiftId, Error> {
    w.lift(Func::Async, async_opts(A), script)
}

/// Marks 1, and its argument must be 7.
const THREAD: Script = &[Op::Eq(R0, k(7)), Op::Mark(1)];

fn runs_later<P: Profile>(script: Script) -> Result<(), Error> {
    let mut w = world::<P>(THREAD)?;
    let f = main(&mut w, script)?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [9]);
    assert_eq!(w.ticks()?, 1);
    assert_eq!(w.marks(), [9, 1]);
    w.done()
}

fn thread_spawn_ref_runs_later_with_its_argument<P: Profile>() -> Result<(), Error> {
    runs_later::<P>(script![
        call(ThreadSpawnRef, &[F, k(7)], 0),
        Op::Eq(R0, k(2)),
        run(task_return(A), &[]),
        Op::Mark(9),
    ])
}

fn thread_spawn_indirect_runs_later_with_its_argument<P: Profile>() -> Result<(), Error> {
    runs_later::<P>(script![
        call(INDIRECT, &[k(1), k(7)], 0),
        Op::Eq(R0, k(2)),
        run(task_return(A), &[]),
        Op::Mark(9),
    ])
}

/// It is `resume-later` already, so nobody can do that again.
fn thread_spawn_ref_is_ready_and_not_suspended<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(THREAD)?;
    let f = main(
        &mut w,
        script![call(ThreadSpawnRef, &[F, k(7)], 0), run(ThreadResumeLater, &[R0]), Op::Mark(9)],
    )?;
    assert_eq!(w.call(f, 0), Err(Trap::ThreadNotSuspended(2).into()));
    assert!(w.marks().is_empty());
    w.done()
}

fn thread_spawn_ref_may_be_promoted<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(THREAD)?;
    let f = main(
        &mut w,
        script![
            call(ThreadSpawnRef, &[F, k(7)], 0),
            run(ThreadYieldThenPromote, &[R0]),
            run(task_return(A), &[]),
            Op::Mark(2),
        ],
    )?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1]);
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

fn thread_spawn_ref_resolves_its_task<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(script![run(task_return(A), &[])])?;
    let f = main(&mut w, script![run(ThreadSpawnRef, &[F, k(0)])])?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::No);
    w.ticks()?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

fn thread_spawn_ref_null_traps<P: Profile>() -> Result<(), Error> {
    super::one_traps::<P>(script![run(ThreadSpawnRef, &[k(0), k(7)])], Trap::NullThreadFunc)
}

fn thread_spawn_indirect_past_the_end_traps<P: Profile>() -> Result<(), Error> {
    super::one_traps::<P>(script![run(INDIRECT, &[k(9), k(7)])], Trap::UnknownTableElement(9))
}

// An empty script stands for a function of another type.
fn thread_spawn_indirect_other_type_traps<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(script![])?;
    let f = main(&mut w, script![run(INDIRECT, &[k(1), k(7)])])?;
    assert_eq!(w.call(f, 0), Err(Trap::ThreadFuncType(1).into()));
    w.done()
}

/// `trap_if(not may_leave)` comes before everything, the deterministic answer and the null reference too.
fn thread_spawn_in_post_return_cannot_leave<P: Profile>() -> Result<(), Error> {
    for choose in [Choose::Eager, Choose::Spec] {
        for script in [script![run(ThreadSpawnRef, &[k(0), k(7)])], script![run(INDIRECT, &[k(9), k(7)])]] {
            let mut w = world::<P>(THREAD)?;
            w.store.set_choose(choose);
            let post = w.func(A, script);
            let options = w.options(sync_opts(A), |o| o.post_return = Some(post))?;
            let f = w.lift(Func::SyncU32, options, script![])?;
            assert_eq!(w.call(f, 0), Err(Trap::CannotLeave.into()));
            w.done()?;
        }
    }
    Ok(())
}

/// A spawn that there is no room for ends its task as any capacity error does, and leaves neither threads nor their functions.
fn thread_spawn_more_than_there_is_room_for_leaves_nothing<P: Profile>() -> Result<(), Error> {
    let mut ended = Ok(());
    for script in [
        script![Op::Set(2, k(3)), run(ThreadSpawnRef, &[F, k(7)]), Op::Loop(2, 1), run(task_return(A), &[]),],
        script![Op::Set(2, k(3)), run(INDIRECT, &[k(1), k(7)]), Op::Loop(2, 1), run(task_return(A), &[])],
    ] {
        let mut w = world::<P>(THREAD)?;
        let f = main(&mut w, script)?;
        ended = w.call(f, 0).map(|_| ());
        let spawned = if ended.is_ok() { 3 } else { 0 };
        w.ticks()?;
        assert_eq!(w.marks().len(), spawned);
        w.done()?;
    }
    ended
}

fn thread_spawn_deterministic_answers_zero<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(THREAD)?;
    w.store.set_choose(Choose::Spec);
    let f = main(
        &mut w,
        script![
            call(ThreadSpawnRef, &[F, k(7)], 0),
            Op::Eq(R0, k(0)),
            call(INDIRECT, &[k(9), k(7)], 0),
            Op::Eq(R0, k(0)),
            run(task_return(A), &[]),
        ],
    )?;
    w.call(f, 0)?;
    assert_eq!(w.ticks()?, 0);
    assert!(w.marks().is_empty());
    w.done()
}

/// Also where the instance may not be left: it has no such check.
fn thread_available_parallelism_is_one<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(script![])?;
    const ASK: Script = &[call(ThreadAvailableParallelism, &[], 0), Op::Eq(R0, k(1)), Op::Mark(1)];
    let post = w.func(A, ASK);
    let options = w.options(sync_opts(A), |o| o.post_return = Some(post))?;
    let f = w.lift(Func::SyncU32, options, ASK)?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1, 1]);
    w.done()
}
