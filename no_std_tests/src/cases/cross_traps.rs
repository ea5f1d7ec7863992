//! Traps that take two guests.

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
    stream_pass_on_other_element_traps,
    future_pass_on_read_traps,
    task_return_in_sync_function_traps,
    builtin_in_realloc_cannot_leave,
    builtin_in_post_return_cannot_leave,
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
        Trap::EndInSet { action: EndAction::Lift, future: false },
    )
}

fn stream_pass_on_writable_traps<P: Profile>() -> Result<(), Error> {
    use canon_async::error::HandleKind::{StreamRead, StreamWrite};
    pair::<P>(
        script![NEW, run(low(1), &[k(2)])],
        Trap::HandleKind { index: 2, expected: StreamRead, found: StreamWrite },
    )
}

// lift_async_value: `trap_if(e.shared.t != t)`
fn stream_pass_on_other_element_traps<P: Profile>() -> Result<(), Error> {
    pair::<P>(script![run(StreamNew(STREAM_UNIT), &[]), run(low(1), &[k(1)])], Trap::ElementType(1))?;
    pair::<P>(script![run(FutureNew(FUTURE_UNIT), &[]), run(low(2), &[k(1)])], Trap::ElementType(1))
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

/// Every built-in that is not allowed where its instance may not be left.
const CANNOT_LEAVE: &[Op] = &[
    run(low(0), &[]),
    run(ResourceNew(RESOURCE), &[k(1)]),
    run(ResourceDrop(RESOURCE), &[k(1)]),
    run(task_return(A), &[]),
    run(TaskCancel, &[]),
    run(WaitableSetNew, &[]),
    run(WaitableSetWait(memory(A)), &[k(1), k(0)]),
    run(WaitableSetPoll(memory(A)), &[k(1), k(0)]),
    run(WaitableSetDrop, &[k(1)]),
    run(WaitableJoin, &[k(1), k(0)]),
    run(SubtaskCancel { is_async: true }, &[k(1)]),
    run(SubtaskCancel { is_async: false }, &[k(1)]),
    run(SubtaskDrop, &[k(1)]),
    run(StreamNew(STREAM), &[]),
    run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(0)]),
    run(StreamWrite(STREAM, sync_opts(A)), &[k(1), k(0), k(0)]),
    run(StreamCancelRead(STREAM, true), &[k(1)]),
    run(StreamCancelWrite(STREAM, false), &[k(1)]),
    run(StreamDropReadable(STREAM), &[k(1)]),
    run(StreamDropWritable(STREAM), &[k(1)]),
    run(FutureNew(FUTURE), &[]),
    run(FutureRead(FUTURE, async_opts(A)), &[k(1), k(0)]),
    run(FutureWrite(FUTURE, sync_opts(A)), &[k(1), k(0)]),
    run(FutureCancelRead(FUTURE, true), &[k(1)]),
    run(FutureCancelWrite(FUTURE, false), &[k(1)]),
    run(FutureDropReadable(FUTURE), &[k(1)]),
    run(FutureDropWritable(FUTURE), &[k(1)]),
    run(StreamForward(STREAM), &[k(1), k(1)]),
    run(FutureForward(FUTURE), &[k(1), k(1)]),
    run(ThreadIndex, &[]),
    run(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)]),
    run(ThreadResumeLater, &[k(1)]),
    run(ThreadSuspend, &[]),
    run(ThreadYield, &[]),
    run(ThreadSuspendThenResume, &[k(1)]),
    run(ThreadYieldThenResume, &[k(1)]),
    run(ThreadSuspendThenPromote, &[k(1)]),
    run(ThreadYieldThenPromote, &[k(1)]),
    run(ErrorContextNew(sync_opts(A)), &[k(0), k(0)]),
    run(ErrorContextDebugMessage(sync_opts(A)), &[k(1), k(0)]),
    run(ErrorContextDrop, &[k(1)]),
];

// LiftLowerContext.reallocate: `may_leave = False`
fn builtin_in_realloc_cannot_leave<P: Profile>() -> Result<(), Error> {
    for op in CANNOT_LEAVE.chunks(1) {
        let (w, error) = realloc::<P>(op)?;
        assert_eq!(error, Some(Trap::CannotLeave.into()), "{op:?}");
        w.done()?;
    }
    // These have no such check.
    let (w, error) = realloc::<P>(script![
        run(BackpressureInc, &[]),
        run(BackpressureDec, &[]),
        run(ContextSet(0), &[k(1)]),
        run(ContextGet(0), &[]),
        Op::Ret(k(64))
    ])?;
    assert_eq!(error, None);
    w.done()
}

// canon_lift: `inst.may_leave = False` around `opts.post_return`
fn builtin_in_post_return_cannot_leave<P: Profile>() -> Result<(), Error> {
    for op in CANNOT_LEAVE.chunks(1) {
        let mut w = World::<P>::new(&[None, None])?;
        let callee = w.lift(Func::Async, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
        w.lower(callee, async_opts(A))?;
        let post = w.func(A, op);
        let options = w.options(sync_opts(A), |o| o.post_return = Some(post))?;
        let f = w.lift(Func::SyncU32, options, script![Op::Ret(k(7))])?;
        assert_eq!(w.call(f, 0), Err(Trap::CannotLeave.into()), "{op:?}");
        // The result was there before; the instance is dead all the same.
        assert_eq!(w.ended(0), Ended::Returned(7));
        assert_eq!(w.call(f, 1), Err(Trap::CannotEnter.into()));
        assert!(w.marks().is_empty());
        w.done()?;
    }
    Ok(())
}

fn lower_from_realloc_cannot_leave<P: Profile>() -> Result<(), Error> {
    let (w, error) = realloc::<P>(script![run(low(0), &[])])?;
    assert_eq!(error, Some(Trap::CannotLeave.into()));
    assert!(w.marks().is_empty());
    w.done()
}

fn realloc_out_of_bounds_traps<P: Profile>() -> Result<(), Error> {
    let (w, error) = realloc::<P>(script![Op::Ret(k(510))])?;
    assert_eq!(error, Some(Trap::StringReallocOutOfBounds.into()));
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
