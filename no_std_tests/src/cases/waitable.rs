//! `waitable-set.*`, `waitable.join`, and the order of handles.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::TableRef;
use canon_async::storage::Profile;

cases! {
    waitable_set_poll_empty_none,
    waitable_set_poll_takes_one_event_a_call,
    waitable_set_wait_event_there_returns_at_once,
    waitable_set_wait_blocks_until_event,
    waitable_set_wait_two_waiters_two_events,
    waitable_set_wait_two_waiters_one_event_one_stays,
    waitable_set_wait_event_taken_by_poll_waits_on,
    waitable_set_wait_join_with_event_wakes,
    waitable_set_wait_empty_set_deadlock,
    waitable_set_wait_event_order_is_fifo,
    waitable_set_drop_waiter_traps,
    waitable_set_drop_callback_waiter_traps,
    waitable_join_moves_between_sets,
    waitable_join_same_set_stays,
    waitable_join_zero_takes_out,
    waitable_join_with_event_order_is_fifo,
    handles_freed_indices_reused_last_first,
}

/// A stream with its readable end (index 1) in a set (index 3) and a read of 4 bytes under way; writable end 2.
const SET_UP: [Op; 5] = [
    run(StreamNew(STREAM), &[]),
    run(WaitableSetNew, &[]),
    call(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)], 0),
    Op::Eq(R0, k(0xffff_ffff)),
    run(WaitableJoin, &[k(1), k(3)]),
];
const WRITE: Op = call(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(1)], 7);
const CLOSE: [Op; 3] = [
    run(StreamDropReadable(STREAM), &[k(1)]),
    run(StreamDropWritable(STREAM), &[k(2)]),
    run(WaitableSetDrop, &[k(3)]),
];
const POLL: Builtin = WaitableSetPoll(memory(A));
const WAIT: Builtin = WaitableSetWait(memory(A));
const RETURN: Op = run(task_return(A), &[]);

/// Runs one async function of A to its end.
fn one<P: Profile>(script: Script) -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), script)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.ticks()?;
    w.done()
}

// WaitableSet.poll
fn waitable_set_poll_empty_none<P: Profile>() -> Result<(), Error> {
    one::<P>(script![
        call(WaitableSetNew, &[], 0),
        Op::Store32(k(64), k(9)),
        Op::Store32(k(68), k(9)),
        call(POLL, &[R0, k(64)], 1),
        Op::Eq(R1, k(0)),
        Op::Load32(1, k(64)),
        Op::Eq(R1, k(0)),
        Op::Load32(1, k(68)),
        Op::Eq(R1, k(0)),
        run(WaitableSetDrop, &[R0]),
        RETURN,
    ])
}

fn waitable_set_poll_takes_one_event_a_call<P: Profile>() -> Result<(), Error> {
    const S: Script = &[
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        SET_UP[4],
        WRITE,
        Op::Eq(Val::R(7), k(1 << 4)),
        call(POLL, &[k(3), k(64)], 1),
        Op::Eq(R1, k(2)),
        Op::Load32(1, k(64)),
        Op::Eq(R1, k(1)),
        Op::Load32(1, k(68)),
        Op::Eq(R1, k(1 << 4)),
        call(POLL, &[k(3), k(64)], 1),
        Op::Eq(R1, k(0)),
        CLOSE[0],
        CLOSE[1],
        CLOSE[2],
        RETURN,
    ];
    one::<P>(S)
}

fn waitable_set_wait_event_there_returns_at_once<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.can_suspend = false;
    const S: Script = &[
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        SET_UP[4],
        WRITE,
        call(WAIT, &[k(3), k(64)], 1),
        Op::Eq(R1, k(2)),
        CLOSE[0],
        CLOSE[1],
        CLOSE[2],
        RETURN,
    ];
    let f = w.lift(Func::Async, async_opts(A), S)?;
    w.call(f, 0)?;
    w.done()
}

/// A: a task that sets up and waits (0), and a sync-typed function that writes a byte (1).
fn waiting<P: Profile>(main: Script) -> Result<World<P>, Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), main)?;
    w.call(f, 0)?;
    Ok(w)
}

fn host_runs<P: Profile>(w: &mut World<P>, number: u32, script: Script) -> Result<(), Error> {
    let f = w.lift(Func::Sync, sync_opts(A), script)?;
    w.call(f, number)?;
    Ok(())
}

fn waitable_set_wait_blocks_until_event<P: Profile>() -> Result<(), Error> {
    let mut w = waiting::<P>(script![
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        SET_UP[4],
        call(WAIT, &[k(3), k(64)], 1),
        Op::Eq(R1, k(2)),
        Op::Load32(1, k(68)),
        Op::Eq(R1, k(2 << 4)),
        CLOSE[0],
        CLOSE[1],
        CLOSE[2],
        RETURN,
    ])?;
    assert_eq!(w.ticks()?, 0);
    // The event goes on growing until it is delivered.
    host_runs(&mut w, 1, script![WRITE, WRITE])?;
    w.ticks()?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

/// A thread that waits on set 3 and marks what it got.
const WAITER: Script = &[call(WAIT, &[k(3), R0], 1), Op::Mark(1), Op::Eq(R1, k(2))];
const TWO_WAITERS: [Op; 4] = [
    call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(64)], 0),
    run(ThreadResumeLater, &[R0]),
    call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(72)], 0),
    run(ThreadYieldThenResume, &[R0]),
];

fn waitable_set_wait_two_waiters_two_events<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        SET_UP[4],
        // A second stream, of nothing: 4 and 5.
        run(StreamNew(STREAM_UNIT), &[]),
        run(StreamRead(STREAM_UNIT, async_opts(A)), &[k(4), k(0), k(4)]),
        run(WaitableJoin, &[k(4), k(3)]),
        TWO_WAITERS[0],
        TWO_WAITERS[1],
        TWO_WAITERS[2],
        TWO_WAITERS[3],
        WRITE,
        run(StreamWrite(STREAM_UNIT, async_opts(A)), &[k(5), k(0), k(1)]),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        run(StreamDropReadable(STREAM_UNIT), &[k(4)]),
        run(StreamDropWritable(STREAM_UNIT), &[k(5)]),
        CLOSE[0],
        CLOSE[1],
        CLOSE[2],
        RETURN,
    ];
    w.set_table(0, A, WAITER);
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    assert_eq!(w.marks(), [1, 1]);
    w.done()
}

fn waitable_set_wait_two_waiters_one_event_one_stays<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        SET_UP[4],
        TWO_WAITERS[0],
        TWO_WAITERS[1],
        TWO_WAITERS[2],
        TWO_WAITERS[3],
        WRITE,
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        Op::Mark(8),
        run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)]),
        WRITE,
        run(ThreadYield, &[]),
        Op::Mark(9),
        CLOSE[0],
        CLOSE[1],
        CLOSE[2],
        RETURN,
    ];
    w.set_table(0, A, WAITER);
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    assert_eq!(w.marks(), [1, 8, 1, 9]);
    w.done()
}

fn waitable_set_wait_event_taken_by_poll_waits_on<P: Profile>() -> Result<(), Error> {
    let mut w = waiting::<P>(script![
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        SET_UP[4],
        call(WAIT, &[k(3), k(64)], 1),
        Op::Eq(R1, k(2)),
        Op::Mark(1),
        CLOSE[0],
        CLOSE[1],
        CLOSE[2],
        RETURN,
    ])?;
    host_runs(&mut w, 1, script![WRITE, call(POLL, &[k(3), k(64)], 1), Op::Eq(R1, k(2))])?;
    assert_eq!(w.ticks()?, 0);
    assert!(w.marks().is_empty());
    host_runs(&mut w, 2, script![run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)]), WRITE])?;
    assert_eq!(w.ticks()?, 1);
    w.done()
}

fn waitable_set_wait_join_with_event_wakes<P: Profile>() -> Result<(), Error> {
    let mut w = waiting::<P>(script![
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        call(WAIT, &[k(3), k(64)], 1),
        Op::Eq(R1, k(2)),
        CLOSE[0],
        CLOSE[1],
        CLOSE[2],
        RETURN,
    ])?;
    host_runs(&mut w, 1, script![WRITE])?;
    assert_eq!(w.ticks()?, 0);
    host_runs(&mut w, 2, script![run(WaitableJoin, &[k(1), k(3)])])?;
    assert_eq!(w.ticks()?, 1);
    w.done()
}

fn waitable_set_wait_empty_set_deadlock<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const S: Script = &[call(WaitableSetNew, &[], 0), run(WAIT, &[R0, k(0)])];
    let f = w.lift(Func::Async, async_opts(A), S)?;
    let task = w.call(f, 0)?;
    assert_eq!(w.run_until(task), Err(Trap::Deadlock.into()));
    // A deadlock poisons nothing: something may still come.
    host_runs(&mut w, 1, script![])?;
    let end = w.lift(Func::Sync, sync_opts(A), script![Op::Trap(1)])?;
    assert!(w.call(end, 2).is_err());
    w.done()
}

fn waitable_set_wait_event_order_is_fifo<P: Profile>() -> Result<(), Error> {
    one::<P>(script![
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        SET_UP[4],
        run(StreamNew(STREAM_UNIT), &[]),
        run(StreamRead(STREAM_UNIT, async_opts(A)), &[k(4), k(0), k(4)]),
        run(WaitableJoin, &[k(4), k(3)]),
        run(StreamWrite(STREAM_UNIT, async_opts(A)), &[k(5), k(0), k(1)]),
        WRITE,
        run(WAIT, &[k(3), k(64)]),
        Op::Load32(1, k(64)),
        Op::Eq(R1, k(4)),
        run(WAIT, &[k(3), k(64)]),
        Op::Load32(1, k(64)),
        Op::Eq(R1, k(1)),
        run(StreamDropReadable(STREAM_UNIT), &[k(4)]),
        run(StreamDropWritable(STREAM_UNIT), &[k(5)]),
        CLOSE[0],
        CLOSE[1],
        CLOSE[2],
        RETURN,
    ])
}

// WaitableSet.drop: num_waiting
fn waitable_set_drop_waiter_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const S: Script = &[call(WaitableSetNew, &[], 0), run(WAIT, &[R0, k(0)])];
    let f = w.lift(Func::Async, async_opts(A), S)?;
    w.call(f, 0)?;
    let drop = w.lift(Func::Sync, sync_opts(A), script![run(WaitableSetDrop, &[k(1)])])?;
    assert_eq!(w.call(drop, 1), Err(Trap::SetHasWaiters.into()));
    w.done()
}

fn waitable_set_drop_callback_waiter_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const S: Script = &[call(WaitableSetNew, &[], 0), Op::Ret(k(wait(1)))];
    let f = w.lift_callback(Func::Async, A, S, script![Op::Trap(9)])?;
    w.call(f, 0)?;
    let drop = w.lift(Func::Sync, sync_opts(A), script![run(WaitableSetDrop, &[k(1)])])?;
    assert_eq!(w.call(drop, 1), Err(Trap::SetHasWaiters.into()));
    w.done()
}

// Waitable.join
fn waitable_join_moves_between_sets<P: Profile>() -> Result<(), Error> {
    one::<P>(script![
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        SET_UP[4],
        call(WaitableSetNew, &[], 0),
        WRITE,
        run(WaitableJoin, &[k(1), R0]),
        call(POLL, &[k(3), k(64)], 1),
        Op::Eq(R1, k(0)),
        run(WaitableSetDrop, &[k(3)]),
        call(POLL, &[R0, k(64)], 1),
        Op::Eq(R1, k(2)),
        CLOSE[0],
        CLOSE[1],
        run(WaitableSetDrop, &[R0]),
        RETURN,
    ])
}

fn waitable_join_same_set_stays<P: Profile>() -> Result<(), Error> {
    one::<P>(script![
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        SET_UP[4],
        run(WaitableJoin, &[k(1), k(3)]),
        WRITE,
        run(WaitableJoin, &[k(1), k(3)]),
        call(POLL, &[k(3), k(64)], 1),
        Op::Eq(R1, k(2)),
        call(POLL, &[k(3), k(64)], 1),
        Op::Eq(R1, k(0)),
        CLOSE[0],
        CLOSE[1],
        CLOSE[2],
        RETURN,
    ])
}

fn waitable_join_zero_takes_out<P: Profile>() -> Result<(), Error> {
    one::<P>(script![
        SET_UP[0],
        SET_UP[1],
        SET_UP[2],
        SET_UP[3],
        SET_UP[4],
        WRITE,
        run(WaitableJoin, &[k(1), k(0)]),
        run(WaitableJoin, &[k(1), k(0)]),
        call(POLL, &[k(3), k(64)], 1),
        Op::Eq(R1, k(0)),
        run(WaitableSetDrop, &[k(3)]),
        // The event is still the end's: a cancel takes it.
        call(StreamCancelRead(STREAM, false), &[k(1)], 1),
        Op::Eq(R1, k(1 << 4 | 2)),
        CLOSE[0],
        CLOSE[1],
        RETURN,
    ])
}

// Table.add and Table.remove
fn handles_freed_indices_reused_last_first<P: Profile>() -> Result<(), Error> {
    one::<P>(script![
        call(StreamNew(STREAM), &[], 0),
        Op::Eq(R0, k(1 | 2 << 32)),
        run(StreamDropReadable(STREAM), &[k(1)]),
        run(StreamDropWritable(STREAM), &[k(2)]),
        call(StreamNew(STREAM), &[], 0),
        Op::Eq(R0, k(2 | 1 << 32)),
        run(StreamDropReadable(STREAM), &[k(2)]),
        run(StreamDropWritable(STREAM), &[k(1)]),
        RETURN,
    ])
}

/// Two ends have their events before they join: the set delivers them in the order in which they joined.
fn waitable_join_with_event_order_is_fifo<P: Profile>() -> Result<(), Error> {
    const READ: Builtin = StreamRead(STREAM, async_opts(A));
    const WRITE: Builtin = StreamWrite(STREAM, async_opts(A));
    one::<P>(script![
        run(StreamNew(STREAM), &[]),
        run(StreamNew(STREAM), &[]),
        run(WaitableSetNew, &[]),
        run(READ, &[k(1), k(0), k(4)]),
        run(READ, &[k(3), k(0), k(4)]),
        run(WRITE, &[k(2), k(8), k(1)]),
        run(WRITE, &[k(4), k(8), k(1)]),
        run(WaitableJoin, &[k(3), k(5)]),
        run(WaitableJoin, &[k(1), k(5)]),
        run(POLL, &[k(5), k(64)]),
        Op::Load32(0, k(64)),
        Op::Eq(R0, k(3)),
        run(POLL, &[k(5), k(64)]),
        Op::Load32(0, k(64)),
        Op::Eq(R0, k(1)),
        run(StreamDropReadable(STREAM), &[k(1)]),
        run(StreamDropWritable(STREAM), &[k(2)]),
        run(StreamDropReadable(STREAM), &[k(3)]),
        run(StreamDropWritable(STREAM), &[k(4)]),
        run(WaitableSetDrop, &[k(5)]),
        RETURN,
    ])
}
