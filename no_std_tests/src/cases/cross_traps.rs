//! Traps that take two guests.

use super::cases;
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin::*;
use canon_async::error::{EndAction, Error};
use canon_async::id::TableRef;
use canon_async::storage::Profile;

cases! {
    subtask_drop_unresolved_traps,
    subtask_drop_undelivered_traps,
    subtask_cancel_delivered_traps,
    subtask_cancel_twice_traps,
    subtask_cancel_sync_in_set_traps,
    waitable_join_sync_waited_traps,
    stream_cancel_sync_waited_traps,
    stream_pass_on_busy_traps,
    stream_pass_on_done_traps,
    stream_pass_on_in_set_traps,
    stream_pass_on_writable_traps,
    future_pass_on_read_traps,
    task_return_in_sync_function_traps,
    builtin_in_realloc_cannot_leave,
    lower_from_realloc_cannot_leave,
    realloc_out_of_bounds_traps,
    realloc_of_string_unaligned_fine,
    thread_new_indirect_other_type_traps,
    thread_resume_later_waiting_traps,
}

/// A's script with B's functions as lowers: 0 yields twice and returns, 1 takes a stream, 2 takes a future. The trap.
fn pair<P: Profile>(script: Script, trap: Trap) -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let yields = script![run(ThreadYield, &[]), run(ThreadYield, &[]), run(task_return(B), &[])];
    let yields = w.lift(Func::Async, async_opts(B), yields)?;
    let stream = w.lift(Func::AsyncStream, async_opts(B), script![run(task_return(B), &[])])?;
    let future = w.lift(Func::AsyncFuture, async_opts(B), script![run(task_return(B), &[])])?;
    for callee in [yields, stream, future] {
        w.lower(callee, async_opts(A))?;
    }
    w.set_table(0, A, script![call(StreamRead(STREAM, sync_opts(A)), &[k(1), k(0), k(1)], 1)]);
    let f = w.lift(Func::Async, async_opts(A), script)?;
    let mut error = w.call(f, 0).err();
    for _ in 0..10 {
        error = error.or(w.tick().err());
    }
    if let Some(Error::Capacity(what)) = error {
        return Err(Error::Capacity(what));
    }
    assert_eq!(error, Some(trap.into()));
    assert_eq!(w.call(f, 1).err(), Some(Trap::CannotEnter.into()));
    Ok(())
}

const CALL: Op = run(low(0), &[]);
const SET: Op = run(WaitableSetNew, &[]);
const NEW: Op = run(StreamNew(STREAM), &[]);
const YIELD_4: [Op; 4] = [run(ThreadYield, &[]); 4];
const CANCEL: Op = run(SubtaskCancel { is_async: true }, &[k(1)]);

// Subtask.drop
fn subtask_drop_unresolved_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(script![CALL, run(SubtaskDrop, &[k(1)])], Trap::SubtaskNotResolved)
}

fn subtask_drop_undelivered_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        script![CALL, YIELD_4[0], YIELD_4[1], YIELD_4[2], YIELD_4[3], run(SubtaskDrop, &[k(1)])],
        Trap::SubtaskNotResolved,
    )
}

// canon_subtask_cancel
fn subtask_cancel_delivered_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        script![
            CALL,
            SET,
            run(WaitableJoin, &[k(1), k(2)]),
            run(WaitableSetWait(memory(A)), &[k(2), k(0)]),
            CANCEL,
        ],
        Trap::SubtaskResolved,
    )
}

fn subtask_cancel_twice_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(script![CALL, CANCEL, CANCEL], Trap::SubtaskCancelledTwice)
}

fn subtask_cancel_sync_in_set_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        script![CALL, SET, run(WaitableJoin, &[k(1), k(2)]), run(SubtaskCancel { is_async: false }, &[k(1)])],
        Trap::SyncInSet,
    )
}

/// A thread reads the stream synchronously.
const READER: [Op; 3] = [
    NEW,
    call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 0),
    run(ThreadYieldThenResume, &[R0]),
];

// canon_waitable_join: has_sync_waiter
fn waitable_join_sync_waited_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        script![READER[0], READER[1], READER[2], SET, run(WaitableJoin, &[k(1), k(3)])],
        Trap::SyncInSet,
    )?;
    pair::<P>(script![READER[0], READER[1], READER[2], run(WaitableJoin, &[k(1), k(0)])], Trap::SyncInSet)
}

// cancel_copy: has_sync_waiter
fn stream_cancel_sync_waited_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        script![READER[0], READER[1], READER[2], run(StreamCancelRead(STREAM, true), &[k(1)])],
        Trap::NothingToCancel,
    )
}

// lift_async_value
fn stream_pass_on_busy_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        script![NEW, run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(1)]), run(low(1), &[k(1)])],
        Trap::BusyEnd { action: EndAction::Lift, future: false },
    )
}

fn stream_pass_on_done_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        script![
            NEW,
            run(StreamDropWritable(STREAM), &[k(2)]),
            run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(1)]),
            run(low(1), &[k(1)]),
        ],
        Trap::DoneEnd { action: EndAction::Lift, future: false },
    )
}

fn stream_pass_on_in_set_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        script![NEW, SET, run(WaitableJoin, &[k(1), k(3)]), run(low(1), &[k(1)])],
        Trap::LiftInSet { future: false },
    )
}

fn stream_pass_on_writable_traps<P: Profile>() -> Result<(), Error> {
    use canon_async::error::HandleKind::{StreamRead, StreamWrite};
    pair::<P>(
        script![NEW, run(low(1), &[k(2)])],
        Trap::HandleKind { index: 2, expected: StreamRead, found: StreamWrite },
    )
}

fn future_pass_on_read_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        script![
            run(FutureNew(FUTURE), &[]),
            run(FutureRead(FUTURE, async_opts(A)), &[k(1), k(0)]),
            run(FutureWrite(FUTURE, async_opts(A)), &[k(2), k(0)]),
            run(FutureCancelRead(FUTURE, true), &[k(1)]),
            run(low(2), &[k(1)]),
        ],
        Trap::DoneEnd { action: EndAction::Lift, future: true },
    )
}

// canon_task_return: `trap_if(not task.opts.async_)`
fn task_return_in_sync_function_traps<P: Profile>() -> Result<(), Error> {
    for builtin in [script![run(task_return(A), &[])], script![run(TaskCancel, &[])]] {
        let mut w = World::<P>::new(&[None])?;
        let f = w.lift(Func::Async, sync_opts(A), builtin)?;
        assert_eq!(w.call(f, 0), Err(Trap::NotAsyncLifted.into()));
        w.done()?;
    }
    Ok(())
}

/// The host calls A's function with a string; this is its realloc. The error.
fn realloc<P: Profile>(script: Script) -> Result<(World<P>, Option<Error>), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let callee = w.lift(Func::Async, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    w.lower(callee, async_opts(A))?;
    let realloc = w.func(A, script);
    let options = w.options(async_opts(A), |o| o.realloc = Some(realloc))?;
    let f = w.lift(Func::AsyncString, options, script![run(task_return(A), &[])])?;
    w.set_args(&[0, 3]);
    let error = w.call(f, 0).err();
    Ok((w, error))
}

// LiftLowerContext.reallocate: `may_leave = False`
fn builtin_in_realloc_cannot_leave<P: Profile>() -> Result<(), Error> {
    for script in [
        script![run(WaitableSetNew, &[])],
        script![run(StreamNew(STREAM), &[])],
        script![run(ThreadYield, &[])],
        script![run(ThreadIndex, &[])],
        script![run(task_return(A), &[])],
        script![run(SubtaskDrop, &[k(1)])],
        script![run(ResourceNew(RESOURCE), &[k(1)])],
    ] {
        let (w, error) = realloc::<P>(script)?;
        assert_eq!(error, Some(Trap::CannotLeave.into()));
        w.done()?;
    }
    // These two have no such check.
    let (w, error) =
        realloc::<P>(script![run(BackpressureInc, &[]), run(BackpressureDec, &[]), Op::Ret(k(64))])?;
    assert_eq!(error, None);
    w.done()
}

fn lower_from_realloc_cannot_leave<P: Profile>() -> Result<(), Error> {
    let (w, error) = realloc::<P>(script![run(low(0), &[])])?;
    assert_eq!(error, Some(Trap::CannotLeave.into()));
    assert!(w.marks().is_empty());
    w.done()
}

fn realloc_out_of_bounds_traps<P: Profile>() -> Result<(), Error> {
    let (w, error) = realloc::<P>(script![Op::Ret(k(510))])?;
    assert_eq!(error, Some(Trap::ReallocOutOfBounds.into()));
    w.done()
}

fn realloc_of_string_unaligned_fine<P: Profile>() -> Result<(), Error> {
    // UTF-8 is aligned to 1, so that any address will do.
    let (w, error) = realloc::<P>(script![Op::Ret(k(63))])?;
    assert_eq!(error, None);
    w.done()
}

// canon_thread_new_indirect: `trap_if(f.t != ft)`
fn thread_new_indirect_other_type_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.set_table(1, A, &[]);
    let f = w.lift(
        Func::Async,
        async_opts(A),
        script![run(ThreadNewIndirect(TableRef::from_index(0)), &[k(1), k(0)])],
    )?;
    assert_eq!(w.call(f, 0), Err(Trap::ThreadFuncType(1).into()));
    w.done()
}

fn thread_resume_later_waiting_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(
        script![READER[0], READER[1], READER[2], run(ThreadResumeLater, &[R0])],
        Trap::ThreadNotSuspended(2),
    )
}
