//! The host cancels its calls.

use super::cancel::{INC, WAITS};
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::TableRef;
use canon_async::storage::Profile;

cases! {
    host_cancel_queued_call_cancelled,
    host_cancel_queued_call_that_was_told_tells_the_next,
    host_cancel_resolved_is_nothing,
    host_cancel_twice_told_once,
    host_cancel_told_waiter_hands_its_event_on,
    host_cancel_yielding_callback_told,
}

fn host_cancel_queued_call_cancelled<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let inc = w.lift(Func::Async, async_opts(B), INC)?;
    let f = w.lift(Func::Async, async_opts(B), script![Op::Trap(1)])?;
    w.call(inc, 0)?;
    let task = w.call(f, 1)?;
    w.cancel(task)?;
    assert_eq!(w.ended(1), Ended::Cancelled);
    w.run_until(task)?;
    w.done()
}

/// Two calls wait to enter; the first is told that it may, and cancelled before its turn.
fn host_cancel_queued_call_that_was_told_tells_the_next<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        run(BackpressureInc, &[]),
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 0),
        run(ThreadResumeLater, &[R0]),
        run(task_return(A), &[]),
    ];
    // It stays, so that only backpressure ends, and no thread.
    w.set_table(0, A, script![run(BackpressureDec, &[]), run(ThreadSuspend, &[])]);
    let main = w.lift(Func::Async, async_opts(A), MAIN)?;
    let first = w.lift(Func::Async, async_opts(A), script![Op::Mark(1), run(task_return(A), &[])])?;
    let next = w.lift(Func::Async, async_opts(A), script![Op::Mark(2), run(task_return(A), &[])])?;
    let end = w.lift(Func::Sync, sync_opts(A), script![Op::Trap(1)])?;
    w.call(main, 0)?;
    let first = w.call(first, 1)?;
    w.call(next, 2)?;
    assert!(w.tick()?);
    w.cancel(first)?;
    assert_eq!(w.ended(1), Ended::Cancelled);
    w.ticks()?;
    assert_eq!(w.marks(), [2]);
    assert!(w.call(end, 3).is_err());
    w.done()
}

fn host_cancel_resolved_is_nothing<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), script![run(task_return(A), &[]), run(ThreadYield, &[])])?;
    let task = w.call(f, 0)?;
    w.cancel(task)?;
    w.cancel(task)?;
    w.ticks()?;
    w.cancel(task)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

/// Task.request_cancellation is called once a task: the guest is told once.
fn host_cancel_twice_told_once<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLBACK: Script = &[Op::Eq(R0, k(6)), Op::Mark(1), Op::Ret(k(wait(1)))];
    let f = w.lift_callback(Func::Async, B, WAITS, CALLBACK)?;
    let end = w.lift(Func::Sync, sync_opts(B), script![Op::Trap(5)])?;
    let task = w.call(f, 0)?;
    w.cancel(task)?;
    w.cancel(task)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    assert_eq!(w.call(end, 1), Err(Trap::Engine(5).into()));
    w.done()
}

/// Two tasks wait on one set. The first is told of an event, and is cancelled before it takes it: the second must
/// get it. (A lost wake-up otherwise.)
fn host_cancel_told_waiter_hands_its_event_on<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const FIRST: Script = &[
        call(StreamNew(STREAM), &[], 0),
        call(WaitableSetNew, &[], 1),
        Op::Eq(R1, k(3)),
        run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)]),
        run(WaitableJoin, &[k(1), R1]),
        Op::Ret(k(wait(3))),
    ];
    const FIRST_CALLBACK: Script = &[Op::Eq(R0, k(6)), run(TaskCancel, &[]), Op::Ret(k(EXIT))];
    const SECOND_CALLBACK: Script = &[
        Op::Eq(R0, k(2)),
        Op::Eq(R1, k(1)),
        Op::Eq(R2, k(1 << 4)),
        run(StreamDropReadable(STREAM), &[k(1)]),
        run(StreamDropWritable(STREAM), &[k(2)]),
        run(WaitableSetDrop, &[k(3)]),
        run(task_return(A), &[]),
        Op::Ret(k(EXIT)),
    ];
    const WRITE: Script = &[run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(1)])];
    let first = w.lift_callback(Func::Async, A, FIRST, FIRST_CALLBACK)?;
    let second = w.lift_callback(Func::Async, A, script![Op::Ret(k(wait(3)))], SECOND_CALLBACK)?;
    let write = w.lift(Func::Sync, sync_opts(A), WRITE)?;
    let task = w.call(first, 0)?;
    let other = w.call(second, 1)?;
    w.call(write, 2)?;
    w.cancel(task)?;
    assert_eq!(w.ended(0), Ended::Cancelled);
    w.run_until(other)?;
    w.done()
}

fn host_cancel_yielding_callback_told<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const CALLBACK: Script =
        &[Op::Eq(R0, k(6)), Op::Eq(R1, k(0)), Op::Eq(R2, k(0)), run(TaskCancel, &[]), Op::Ret(k(EXIT))];
    let f = w.lift_callback(Func::Async, A, script![Op::Ret(k(YIELD))], CALLBACK)?;
    let task = w.call(f, 0)?;
    w.cancel(task)?;
    assert_eq!(w.ended(0), Ended::Cancelled);
    assert_eq!(w.ticks()?, 0);
    w.done()
}
