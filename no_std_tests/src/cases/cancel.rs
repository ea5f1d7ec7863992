//! `subtask.cancel`, `task.cancel`, cancellation by the host, and what settled after the pinned commit.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::TableRef;
use canon_async::storage::Profile;

cases! {
    subtask_cancel_starting_cancelled_before_started,
    subtask_cancel_starting_frees_its_queue_place needs Waitables,
    subtask_cancel_callback_waiting_told_at_once,
    subtask_cancel_callback_insists_returns_value,
    subtask_cancel_callback_yields_first_waits,
    subtask_cancel_async_callback_waits_blocked,
    subtask_cancel_stackful_never_told_waits_for_return,
    subtask_cancel_returned_event_pending_returned,
    subtask_cancel_started_event_pending_waits_for_resolution,
    subtask_cancel_lock_held_told_when_free,
    subtask_cancel_instance_on_the_stack_told_at_once,
    subtask_cancel_explicit_threads_never_told,
    subtask_cancel_switches_threads_inside,
    task_cancel_requested_but_not_delivered_traps,
    task_cancel_borrows_outstanding_traps,
}

pub(super) const INC: Script = &[run(BackpressureInc, &[]), run(task_return(B), &[])];
/// A callback task that waits on an empty set (of index 1, when it is the first handle).
pub(super) const WAITS: Script = &[call(WaitableSetNew, &[], 0), Op::SetG(0, R0), Op::Ret(k(wait(1)))];
/// The callback of one that gives in when it is cancelled.
const GIVES_IN: Script = &[
    Op::Eq(R0, k(6)),
    Op::Eq(R1, k(0)),
    Op::Eq(R2, k(0)),
    run(WaitableSetDrop, &[G0]),
    run(TaskCancel, &[]),
    Op::Mark(6),
    Op::Ret(k(EXIT)),
];

/// A calls B's async function (lower 0), which blocks, and cancels with these options; expects this state.
macro_rules! caller {
    ($is_async:expr, $first:expr, $state:expr) => {
        script![
            call(low(0), &[], 0),
            Op::Set(1, R0),
            Op::And(1, 0xf),
            Op::Eq(R1, k($first)),
            Op::Shr(0, 4),
            call(SubtaskCancel { is_async: $is_async }, &[R0], 1),
            Op::Eq(R1, k($state)),
            run(SubtaskDrop, &[R0]),
            run(task_return(A), &[]),
        ]
    };
}

// Task.request_cancellation: state INITIAL.
fn subtask_cancel_starting_cancelled_before_started<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let inc = w.lift(Func::Async, async_opts(B), INC)?;
    let callee = w.lift(Func::Async, async_opts(B), script![Op::Trap(1)])?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), caller!(false, 0, 3))?;
    w.call(inc, 0)?;
    w.call(f, 1)?;
    assert_eq!(w.ended(1), Ended::Returned(0));
    w.done()
}

/// The arguments of a call that will never start take no room until its subtask is dropped.
fn subtask_cancel_starting_frees_its_queue_place<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLER: Script = &[
        Op::Set(1, k(9)),
        call(low(0), &[], 0),
        Op::Shr(0, 4),
        call(SubtaskCancel { is_async: false }, &[R0], 2),
        Op::Eq(R2, k(3)),
        Op::Loop(1, 1),
        Op::Set(1, k(1)),
        run(SubtaskDrop, &[R1]),
        Op::Add(1, k(1)),
        Op::Set(2, R1),
        Op::Add(2, k(u64::MAX - 9)),
        Op::Jump(R2, 7),
        run(task_return(A), &[]),
    ];
    let inc = w.lift(Func::Async, async_opts(B), INC)?;
    let callee = w.lift(Func::Async, async_opts(B), script![Op::Trap(1)])?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), CALLER)?;
    w.call(inc, 0)?;
    w.call(f, 1)?;
    w.done()
}

// Task.request_cancellation: the implicit thread is a candidate, and is resumed.
fn subtask_cancel_callback_waiting_told_at_once<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let callee = w.lift_callback(Func::Async, B, WAITS, GIVES_IN)?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), caller!(false, 1, 4))?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [6]);
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

fn subtask_cancel_callback_insists_returns_value<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const INSISTS: Script =
        &[Op::Eq(R0, k(6)), run(WaitableSetDrop, &[G0]), run(task_return(B), &[]), Op::Ret(k(EXIT))];
    let callee = w.lift_callback(Func::Async, B, WAITS, INSISTS)?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), caller!(false, 1, 2))?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

/// A callback that yields when it is told, and gives in on its next turn.
const YIELDS: Script = &[
    Op::Jump(R0, 4),
    run(WaitableSetDrop, &[G0]),
    run(TaskCancel, &[]),
    Op::Ret(k(EXIT)),
    Op::Eq(R0, k(6)),
    Op::Ret(k(YIELD)),
];

// canon_subtask_cancel: wait_for_pending_event.
fn subtask_cancel_callback_yields_first_waits<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let callee = w.lift_callback(Func::Async, B, WAITS, YIELDS)?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), caller!(false, 1, 4))?;
    let task = w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::No);
    w.run_until(task)?;
    w.done()
}

fn subtask_cancel_async_callback_waits_blocked<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLER: Script = &[
        call(low(0), &[], 0),
        Op::Shr(0, 4),
        call(SubtaskCancel { is_async: true }, &[R0], 2),
        Op::Eq(R2, k(0xffff_ffff)),
        call(WaitableSetNew, &[], 1),
        run(WaitableJoin, &[R0, R1]),
        call(WaitableSetWait(memory(A)), &[R1, k(0)], 2),
        Op::Eq(R2, k(1)),
        Op::Load32(2, k(4)),
        Op::Eq(R2, k(4)),
        run(SubtaskDrop, &[R0]),
        run(WaitableSetDrop, &[R1]),
        run(task_return(A), &[]),
    ];
    let callee = w.lift_callback(Func::Async, B, WAITS, YIELDS)?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), CALLER)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.done()
}

/// #716: no built-in of a stackful task is cancellable, so it is never told.
fn subtask_cancel_stackful_never_told_waits_for_return<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLEE: Script = &[
        call(ThreadYield, &[], 0),
        Op::Eq(R0, k(0)),
        call(ThreadYield, &[], 0),
        Op::Eq(R0, k(0)),
        run(task_return(B), &[]),
    ];
    let callee = w.lift(Func::Async, async_opts(B), CALLEE)?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), caller!(false, 1, 2))?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.done()
}

fn subtask_cancel_returned_event_pending_returned<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLER: Script = &[
        call(low(0), &[], 0),
        Op::Shr(0, 4),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        call(SubtaskCancel { is_async: false }, &[R0], 2),
        Op::Eq(R2, k(2)),
        run(SubtaskDrop, &[R0]),
        run(task_return(A), &[]),
    ];
    let callee =
        w.lift(Func::Async, async_opts(B), script![run(ThreadYield, &[]), run(task_return(B), &[])])?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), CALLER)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.done()
}

/// The event "started" was never taken when the subtask is cancelled: `subtask.cancel` still answers the final state
/// (`assert(subtask.resolve_delivered())` in canon_subtask_cancel).
fn subtask_cancel_started_event_pending_waits_for_resolution<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLER: Script = &[
        call(low(0), &[], 0),
        Op::Set(1, R0),
        Op::And(1, 0xf),
        Op::Eq(R1, k(0)),
        Op::Shr(0, 4),
        run(low(1), &[]),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        call(SubtaskCancel { is_async: false }, &[R0], 2),
        Op::Eq(R2, k(2)),
        run(SubtaskDrop, &[R0]),
        run(task_return(A), &[]),
    ];
    const CALLEE: Script = &[
        Op::Mark(1),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        run(task_return(B), &[]),
    ];
    let inc = w.lift(Func::Async, async_opts(B), INC)?;
    let callee = w.lift(Func::Async, async_opts(B), CALLEE)?;
    let dec = w.lift(Func::Sync, sync_opts(B), script![run(BackpressureDec, &[])])?;
    w.lower(callee, async_opts(A))?;
    w.lower(dec, sync_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), CALLER)?;
    w.call(inc, 0)?;
    let task = w.call(f, 1)?;
    w.run_until(task)?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// #707: the request comes while another task holds the lock; the task is told when the lock is free, without an event.
fn subtask_cancel_lock_held_told_when_free<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLER: Script = &[
        call(low(0), &[], 0),
        Op::Shr(0, 4),
        call(low(1), &[], 1),
        Op::Shr(1, 4),
        call(SubtaskCancel { is_async: true }, &[R0], 2),
        Op::Eq(R2, k(0xffff_ffff)),
        call(WaitableSetNew, &[], 2),
        run(WaitableJoin, &[R0, R2]),
        run(WaitableJoin, &[R1, R2]),
        Op::Mark(1),
        run(WaitableSetWait(memory(A)), &[R2, k(0)]),
        run(WaitableSetWait(memory(A)), &[R2, k(8)]),
        Op::Load32(3, k(12)),
        Op::Eq(R3, k(4)),
        run(SubtaskDrop, &[R0]),
        run(SubtaskDrop, &[R1]),
        run(WaitableSetDrop, &[R2]),
        run(task_return(A), &[]),
    ];
    // Lifted without `async`, of an async type: holds the lock while it blocks.
    const HOLDS: Script = &[run(ThreadYield, &[]), run(ThreadYield, &[]), Op::Mark(2)];
    let callee = w.lift_callback(Func::Async, B, WAITS, GIVES_IN)?;
    let holds = w.lift(Func::Async, sync_opts(B), HOLDS)?;
    w.lower(callee, async_opts(A))?;
    w.lower(holds, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), CALLER)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    assert_eq!(w.marks(), [1, 2, 6]);
    w.done()
}

/// #705: the request comes while the task's instance is on the stack, and its lock is free: the task is told at once.
fn subtask_cancel_instance_on_the_stack_told_at_once<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let waits = w.lift_callback(Func::Async, B, WAITS, GIVES_IN)?;
    const CANCELS: Script = &[
        call(SubtaskCancel { is_async: true }, &[G1], 0),
        Op::Eq(R0, k(4)),
        Op::Mark(1),
        run(SubtaskDrop, &[G1]),
    ];
    let cancels = w.lift(Func::Sync, sync_opts(A), CANCELS)?;
    w.lower(waits, async_opts(A))?;
    w.lower(cancels, sync_opts(B))?;
    let starts = script![call(low(0), &[], 0), Op::Shr(0, 4), Op::SetG(1, R0), run(task_return(A), &[])];
    let starts = w.lift(Func::Async, async_opts(A), starts)?;
    let through = w.lift(Func::Sync, sync_opts(B), script![run(low(1), &[]), Op::Mark(2)])?;
    w.call(starts, 0)?;
    w.call(through, 1)?;
    assert_eq!(w.marks(), [6, 1, 2]);
    w.done()
}

/// #716, #723: of a task's threads only the implicit one is told, and only in its callback loop.
fn subtask_cancel_explicit_threads_never_told<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const MAIN: Script = &[
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 0),
        run(ThreadResumeLater, &[R0]),
        Op::Mark(1),
    ];
    const THREAD: Script = &[
        call(ThreadYield, &[], 0),
        Op::Eq(R0, k(0)),
        call(ThreadYield, &[], 0),
        Op::Eq(R0, k(0)),
        Op::Mark(2),
        run(task_return(B), &[]),
    ];
    w.set_table(0, B, THREAD);
    let callee = w.lift(Func::Async, async_opts(B), MAIN)?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), caller!(false, 1, 2))?;
    let task = w.call(f, 0)?;
    assert_eq!(w.marks(), [1]);
    w.run_until(task)?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

/// The callback that is told inside `subtask.cancel` switches to another thread of its task,
/// which resolves it; control comes back to the canceller (#723, #726).
fn subtask_cancel_switches_threads_inside<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLBACK: Script = &[
        Op::Eq(R0, k(6)),
        call(ThreadIndex, &[], 0),
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), R0], 1),
        Op::Mark(1),
        run(ThreadSuspendThenResume, &[R1]),
        Op::Mark(4),
        run(WaitableSetDrop, &[G0]),
        Op::Ret(k(EXIT)),
    ];
    const THREAD: Script = &[Op::Mark(2), run(TaskCancel, &[]), run(ThreadResumeLater, &[R0])];
    const CALLER: Script = &[
        call(low(0), &[], 0),
        Op::Shr(0, 4),
        call(SubtaskCancel { is_async: false }, &[R0], 1),
        Op::Eq(R1, k(4)),
        Op::Mark(3),
        run(SubtaskDrop, &[R0]),
        run(task_return(A), &[]),
    ];
    w.set_table(0, B, THREAD);
    let callee = w.lift_callback(Func::Async, B, WAITS, CALLBACK)?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), CALLER)?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3, 4]);
    w.done()
}

/// #725: the request is pending and was not delivered.
fn task_cancel_requested_but_not_delivered_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), script![run(ThreadYield, &[]), run(TaskCancel, &[])])?;
    let task = w.call(f, 0)?;
    w.cancel(task)?;
    assert_eq!(w.tick(), Err(Trap::NotCancelled.into()));
    w.done()
}

// Task.cancel: `trap_if(self.num_borrows > 0)`
fn task_cancel_borrows_outstanding_traps<P: Profile>() -> Result<(), Error> {
    const CANCELS: Script = &[Op::Eq(R0, k(6)), run(TaskCancel, &[]), Op::Ret(k(EXIT))];
    const DROPS: Script = &[run(ResourceDrop(RESOURCE), &[k(1)]), CANCELS[0], CANCELS[1], CANCELS[2]];
    const CALLER: Script = &[
        call(ResourceNew(RESOURCE), &[k(77)], 0),
        call(low(0), &[R0], 1),
        Op::Shr(1, 4),
        call(SubtaskCancel { is_async: true }, &[R1], 2),
        Op::Eq(R2, k(4)),
        run(SubtaskDrop, &[R1]),
        run(ResourceDrop(RESOURCE), &[R0]),
        run(task_return(A), &[]),
    ];
    for (callback, error) in [(CANCELS, Some(Trap::BorrowsRemain.into())), (DROPS, None)] {
        // B implements the resource, so that C has a handle of the borrow.
        let mut w = World::<P>::new(&[None, None, None])?;
        let callee = w.lift_callback(Func::AsyncBorrow, C, script![Op::Ret(k(YIELD))], callback)?;
        w.lower(callee, async_opts(A))?;
        let f = w.lift(Func::Async, async_opts(A), CALLER)?;
        assert_eq!(w.call(f, 0).err(), error);
        w.done()?;
    }
    Ok(())
}
