//! `canon lower` as its caller sees it.

use super::memory64::lift_as;
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::abi::types::ValType;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::{TableRef, TypeId};
use canon_async::storage::Profile;

cases! {
    lower_async_returns_at_once_no_subtask,
    lower_async_started_then_returned,
    lower_async_starting_then_started_then_returned,
    lower_async_unread_event_shows_latest_state,
    lower_async_result_in_memory,
    lower_async_result_pointer_out_of_bounds_traps,
    lower_sync_blocks_then_result,
    lower_sync_two_threads_wait_each_its_own needs Threads,
    lower_missing_arguments_count_as_zero,
    lower_many_parameters_are_allocated_anew needs TypeItems,
    lower_sync_by_the_host_is_misuse,
    lower_async_in_a_sync_task_strict_goes_on,
    copies_of_another_kind_of_type_are_misuse,
    lift_of_the_host_called_by_the_host_gets_its_arguments,
}

const POLL: Builtin = WaitableSetPoll(memory(A));
const WAIT: Builtin = WaitableSetWait(memory(A));
const RETURN: Op = run(task_return(A), &[]);

/// A calls B's function (lower 0), of this type and with this code.
fn pair<P: Profile>(ty: Func, callee: Script, caller: Script) -> Result<World<P>, Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let callee = w.lift(ty, async_opts(B), callee)?;
    w.lower(callee, async_opts(A))?;
    w.lower(callee, sync_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), caller)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.ticks()?;
    Ok(w)
}

// canon_lower: resolved at once, `[Subtask.State.RETURNED]`.
fn lower_async_returns_at_once_no_subtask<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        Func::Async,
        script![run(task_return(B), &[]), run(ThreadYield, &[]), Op::Mark(1)],
        script![call(low(0), &[], 0), Op::Eq(R0, k(2)), RETURN],
    )?
    .done()
}

fn lower_async_started_then_returned<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        Func::Async,
        script![run(ThreadYield, &[]), run(task_return(B), &[])],
        script![
            call(low(0), &[], 0),
            Op::Eq(R0, k(1 | 1 << 4)),
            call(WaitableSetNew, &[], 1),
            run(WaitableJoin, &[k(1), R1]),
            call(WAIT, &[R1, k(64)], 2),
            Op::Eq(R2, k(1)),
            Op::Load32(2, k(64)),
            Op::Eq(R2, k(1)),
            Op::Load32(2, k(68)),
            Op::Eq(R2, k(2)),
            run(SubtaskDrop, &[k(1)]),
            run(WaitableSetDrop, &[R1]),
            RETURN,
        ],
    )?
    .done()
}

const INC: Script = &[run(BackpressureInc, &[]), run(task_return(B), &[])];

fn queued<P: Profile>(caller: Script) -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let inc = w.lift(Func::Async, async_opts(B), INC)?;
    let callee = script![run(ThreadYield, &[]), run(ThreadYield, &[]), run(task_return(B), &[])];
    let callee = w.lift(Func::Async, async_opts(B), callee)?;
    let dec = w.lift(Func::Sync, sync_opts(B), script![run(BackpressureDec, &[])])?;
    w.lower(callee, async_opts(A))?;
    w.lower(dec, sync_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), caller)?;
    w.call(inc, 0)?;
    let task = w.call(f, 1)?;
    w.run_until(task)?;
    w.done()
}

fn lower_async_starting_then_started_then_returned<P: Profile>() -> Result<(), Error> {
    queued::<P>(script![
        call(low(0), &[], 0),
        Op::Eq(R0, k(1 << 4)),
        call(WaitableSetNew, &[], 1),
        run(WaitableJoin, &[k(1), R1]),
        run(low(1), &[]),
        run(WAIT, &[R1, k(64)]),
        Op::Load32(2, k(68)),
        Op::Eq(R2, k(1)),
        run(WAIT, &[R1, k(64)]),
        Op::Load32(2, k(68)),
        Op::Eq(R2, k(2)),
        run(SubtaskDrop, &[k(1)]),
        run(WaitableSetDrop, &[R1]),
        RETURN,
    ])
}

fn lower_async_unread_event_shows_latest_state<P: Profile>() -> Result<(), Error> {
    queued::<P>(script![
        call(low(0), &[], 0),
        call(WaitableSetNew, &[], 1),
        run(WaitableJoin, &[k(1), R1]),
        run(low(1), &[]),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        run(WAIT, &[R1, k(64)]),
        Op::Load32(2, k(68)),
        Op::Eq(R2, k(2)),
        call(POLL, &[R1, k(64)], 2),
        Op::Eq(R2, k(0)),
        run(SubtaskDrop, &[k(1)]),
        run(WaitableSetDrop, &[R1]),
        RETURN,
    ])
}

fn lower_async_result_in_memory<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        Func::AsyncU32,
        script![Op::Eq(R0, k(5)), run(task_return_u32(B), &[k(42)])],
        script![
            call(low(0), &[k(5), k(64)], 0),
            Op::Eq(R0, k(2)),
            Op::Load32(0, k(64)),
            Op::Eq(R0, k(42)),
            RETURN,
        ],
    )?
    .done()
}

fn lower_async_result_pointer_out_of_bounds_traps<P: Profile>() -> Result<(), Error> {
    let callee = script![run(task_return_u32(B), &[k(42)])];
    let caller = script![run(low(0), &[k(5), k(1 << 20)])];
    assert_eq!(pair::<P>(Func::AsyncU32, callee, caller).err(), Some(Trap::OutOfBounds.into()));
    let caller = script![run(low(0), &[k(5), k(2)])];
    assert_eq!(pair::<P>(Func::AsyncU32, callee, caller).err(), Some(Trap::Unaligned.into()));
    Ok(())
}

fn lower_sync_blocks_then_result<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        Func::AsyncU32,
        script![run(ThreadYield, &[]), run(task_return_u32(B), &[k(42)])],
        script![call(low(1), &[k(5)], 0), Op::Eq(R0, k(42)), RETURN],
    )?
    .done()
}

fn lower_sync_two_threads_wait_each_its_own<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLEE: Script =
        &[Op::Set(1, R0), run(ThreadYield, &[]), Op::Loop(1, 1), run(task_return_u32(B), &[R0])];
    const THREAD: Script = &[call(low(0), &[R0], 1), Op::Eq(R1, R0), Op::Mark(2)];
    const MAIN: Script = &[
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(2)], 0),
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(3)], 1),
        run(ThreadResumeLater, &[R0]),
        run(ThreadResumeLater, &[R1]),
        call(low(0), &[k(9)], 2),
        Op::Eq(R2, k(9)),
        RETURN,
    ];
    w.set_table(0, A, THREAD);
    let callee = w.lift(Func::AsyncU32, async_opts(B), CALLEE)?;
    w.lower(callee, sync_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    assert_eq!(w.marks(), [2, 2]);
    w.done()
}

// canon::call: an engine that gives fewer arguments than the function has gives zeros.
fn lower_missing_arguments_count_as_zero<P: Profile>() -> Result<(), Error> {
    // Five values are too many for flat arguments: they lie at 0.
    pair::<P>(
        Func::Async5,
        script![Op::Eq(R0, k(7)), Op::Eq(R4, k(8)), run(task_return(B), &[])],
        script![
            Op::Store32(k(0), k(7)),
            Op::Store32(k(16), k(8)),
            call(low(0), &[], 0),
            Op::Eq(R0, k(2)),
            RETURN
        ],
    )?
    .done()?;
    // The pointer for the result is 0, too.
    let caller = script![call(low(0), &[k(5)], 0), Op::Load32(1, k(0)), Op::Eq(R1, k(5)), RETURN];
    pair::<P>(Func::AsyncU32, script![run(task_return_u32(B), &[R0])], caller)?.done()
}

// lower_flat_values: more than MAX_FLAT_PARAMS go to memory, `realloc(0, 0, align, size)`.
fn lower_many_parameters_are_allocated_anew<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const REALLOC: Script = &[
        Op::Eq(R0, k(0)),
        Op::Eq(R1, k(0)),
        Op::Eq(R2, k(4)),
        Op::Eq(R3, k(80)),
        Op::Mark(1),
        Op::Ret(k(320)),
    ];
    let realloc = w.func(B, REALLOC);
    let options = w.options(sync_opts(B), |o| o.realloc = Some(realloc))?;
    // Four records of five `u32`.
    let params = [ValType::Defined(TypeId::from_index(14)); 4];
    let callee = script![Op::Eq(R0, k(320)), Op::Load32(1, k(320)), Op::Load32(2, k(396)), Op::SetG(0, R1), Op::SetG(1, R2)];
    let callee = lift_as(&mut w, (&params, None, false), options, callee)?;
    w.lower(callee, sync_opts(A))?;
    const CALLS: Script = &[Op::Store32(k(64), k(7)), Op::Store32(k(140), k(8)), run(low(0), &[k(64)])];
    let f = w.lift(Func::Sync, sync_opts(A), CALLS)?;
    w.call(f, 0)?;
    assert_eq!((w.marks(), w.global(0), w.global(1)), (&[1][..], 7, 8));
    w.done()
}

/// The host has no thread that could wait, whether or not the call would.
fn lower_sync_by_the_host_is_misuse<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(1)])?;
    w.lower(f, sync_opts(HOST))?;
    w.lower(f, async_opts(HOST))?;
    assert!(matches!(w.host(low(0), &[]), Err(Error::Misuse(_))));
    assert!(w.marks().is_empty());
    assert_eq!(w.host(low(1), &[])?, 2);
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// Nothing has to be moved: the arguments are the host's on both sides.
fn lift_of_the_host_called_by_the_host_gets_its_arguments<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const TAKES: Script =
        &[Op::Eq(R0, k(1)), Op::Eq(R1, k(2)), Op::Eq(R4, k(5)), Op::Eq(R5, k(0)), Op::Mark(1)];
    let f = w.lift(Func::Async5, sync_opts(HOST), TAKES)?;
    w.set_args(&[1, 2, 3, 4, 5, 6]);
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1]);
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

/// Strict: what does not wait is no reason to trap.
fn lower_async_in_a_sync_task_strict_goes_on<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    w.store.set_strict(true);
    let callee = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    let sync = w.lift(Func::Sync, sync_opts(B), script![Op::Mark(1)])?;
    w.lower(callee, async_opts(A))?;
    w.lower(sync, sync_opts(A))?;
    let f = w.lift(Func::Sync, sync_opts(A), script![run(low(0), &[]), run(low(1), &[]), Op::Mark(2)])?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

fn copies_of_another_kind_of_type_are_misuse<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    for builtin in [StreamNew(FUTURE), FutureNew(STREAM), StreamNew(TypeId::from_index(0))] {
        assert!(matches!(w.host(builtin, &[]), Err(Error::Misuse(_))), "{builtin:?}");
    }
    w.done()
}
