//! What others see of an instance that died: its queue, its results, its buffers, its calls of the host.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::abi::types::ValType;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::storage::Profile;

cases! {
    trap_calls_queued_for_the_dead_purged,
    trap_queued_call_of_the_dead_was_told_tells_the_next needs QueuedCalls,
    trap_call_started_by_the_host_in_the_dead_lost,
    trap_callee_of_the_dead_keeps_its_handles,
    trap_pending_read_of_the_dead_buffer_untouched,
    trap_pending_write_of_the_dead_buffer_unread,
    trap_host_call_of_the_dead_resolves_into_nothing,
    trap_waiter_of_the_dead_subtask_can_be_cancelled,
}

const DIES: Script = &[Op::Trap(4)];
const INC: Script = &[run(BackpressureInc, &[])];

// Calls wait to enter B, one of the host's and one of A's. B dies: none of them ever starts.
fn trap_calls_queued_for_the_dead_purged<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let queued = w.lift(Func::Async, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    let inc = w.lift(Func::Sync, sync_opts(B), INC)?;
    let dies = w.lift(Func::Sync, sync_opts(B), DIES)?;
    w.lower(queued, async_opts(A))?;
    let caller = script![call(low(0), &[], 0), Op::Shr(0, 4), Op::SetG(0, R0), run(task_return(A), &[])];
    let caller = w.lift(Func::Async, async_opts(A), caller)?;
    const TIDIES: Script = &[
        call(SubtaskCancel { is_async: false }, &[G0], 0),
        Op::Eq(R0, k(3)),
        run(SubtaskDrop, &[G0]),
        run(task_return(A), &[]),
    ];
    let tidies = w.lift(Func::Async, async_opts(A), TIDIES)?;
    w.call(inc, 0)?;
    w.call(queued, 1)?;
    w.call(caller, 2)?;
    assert_eq!(w.call(dies, 3), Err(Trap::Engine(4).into()));
    assert_eq!(w.ended(1), Ended::Lost);
    let counts = w.store.counts();
    assert_eq!((counts.tasks, counts.threads), (0, 0));
    assert_eq!(w.ticks()?, 0);
    w.call(tidies, 4)?;
    assert_eq!(w.ended(4), Ended::Returned(0));
    assert!(w.marks().is_empty());
    w.done()
}

// Two calls of A's wait to enter B, and one of the host's behind them. Backpressure ends, A's are told (by that, and by the exit of
// who ended it), and A dies before their turn.
fn trap_queued_call_of_the_dead_was_told_tells_the_next<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let queued = w.lift(Func::Async, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    let inc = w.lift(Func::Sync, sync_opts(B), INC)?;
    let dec = w.lift(Func::Sync, sync_opts(B), script![run(BackpressureDec, &[])])?;
    w.lower(queued, async_opts(A))?;
    let caller = w.lift(
        Func::Async,
        async_opts(A),
        script![run(low(0), &[]), run(low(0), &[]), run(task_return(A), &[])],
    )?;
    let dies = w.lift(Func::Sync, sync_opts(A), DIES)?;
    w.call(inc, 0)?;
    w.call(caller, 1)?;
    w.call(queued, 2)?;
    w.call(dec, 3)?;
    assert_eq!(w.call(dies, 4), Err(Trap::Engine(4).into()));
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    assert_eq!(w.ended(2), Ended::Returned(0));
    w.done()
}

fn trap_call_started_by_the_host_in_the_dead_lost<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let waits = w.lift(Func::Async, async_opts(A), script![run(ThreadSuspend, &[]), Op::Mark(1)])?;
    let returned =
        w.lift(Func::Async, async_opts(A), script![run(task_return(A), &[]), run(ThreadSuspend, &[])])?;
    let dies = w.lift(Func::Sync, sync_opts(A), DIES)?;
    w.call(waits, 0)?;
    w.call(returned, 1)?;
    assert_eq!(w.call(dies, 2), Err(Trap::Engine(4).into()));
    assert_eq!((w.ended(0), w.ended(1)), (Ended::Lost, Ended::Returned(0)));
    assert_eq!(w.ticks()?, 0);
    w.done()
}

/// `task.return` of a `stream<u8>`.
const RETURN_STREAM: Builtin = TaskReturn { result: Some(ValType::Defined(STREAM)), options: sync_opts(B) };

// The caller is dead when its callee returns a stream: it stays where it was.
fn trap_callee_of_the_dead_keeps_its_handles<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const RETURNS: Script = &[
        run(StreamNew(STREAM), &[]),
        run(ThreadYield, &[]),
        run(RETURN_STREAM, &[k(1)]),
        run(StreamDropReadable(STREAM), &[k(1)]),
        run(StreamDropWritable(STREAM), &[k(2)]),
        Op::Mark(1),
    ];
    let callee = w.lift(Func::AsyncToStream, async_opts(B), RETURNS)?;
    w.lower(callee, async_opts(A))?;
    let caller = w.lift(Func::Async, async_opts(A), script![run(low(0), &[k(64)]), Op::Trap(4)])?;
    assert_eq!(w.call(caller, 0), Err(Trap::Engine(4).into()));
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// B makes a stream and returns its readable end to A, keeping the writable one (global 0).
const MAKES: Script = &[
    call(StreamNew(STREAM), &[], 0),
    Op::Set(1, R0),
    Op::Shr(1, 32),
    Op::SetG(0, R1),
    Op::And(0, 0xffff_ffff),
    run(RETURN_STREAM, &[R0]),
];

// A reads into its memory, and dies before B writes.
fn trap_pending_read_of_the_dead_buffer_untouched<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let makes = w.lift(Func::AsyncToStream, async_opts(B), MAKES)?;
    w.lower(makes, async_opts(A))?;
    const READS: Script = &[
        run(low(0), &[k(32)]),
        Op::Load32(0, k(32)),
        call(StreamRead(STREAM, async_opts(A)), &[R0, k(64), k(4)], 1),
        Op::Eq(R1, k(0xffff_ffff)),
        Op::Trap(4),
    ];
    let reads = w.lift(Func::Async, async_opts(A), READS)?;
    const WRITES: Script = &[
        call(StreamWrite(STREAM, async_opts(B)), &[G0, k(0), k(4)], 0),
        Op::Eq(R0, k(1)),
        run(StreamDropWritable(STREAM), &[G0]),
        Op::Mark(1),
    ];
    let writes = w.lift(Func::Sync, sync_opts(B), WRITES)?;
    w.bytes(B)[..4].copy_from_slice(b"abcd");
    assert_eq!(w.call(reads, 0), Err(Trap::Engine(4).into()));
    w.call(writes, 1)?;
    assert_eq!(w.marks(), [1]);
    assert_eq!(w.bytes(A)[64..68], [0; 4]);
    w.done()
}

// A writes from its memory, and dies before B reads.
fn trap_pending_write_of_the_dead_buffer_unread<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let takes =
        w.lift(Func::AsyncStream, async_opts(B), script![Op::SetG(0, R0), run(task_return(B), &[])])?;
    w.lower(takes, async_opts(A))?;
    const WRITES: Script = &[
        run(StreamNew(STREAM), &[]),
        call(StreamWrite(STREAM, async_opts(A)), &[k(2), k(0), k(4)], 0),
        Op::Eq(R0, k(0xffff_ffff)),
        run(low(0), &[k(1)]),
        Op::Trap(4),
    ];
    let writes = w.lift(Func::Async, async_opts(A), WRITES)?;
    const READS: Script = &[
        call(StreamRead(STREAM, async_opts(B)), &[G0, k(64), k(4)], 0),
        Op::Eq(R0, k(1)),
        run(StreamDropReadable(STREAM), &[G0]),
        Op::Mark(1),
    ];
    let reads = w.lift(Func::Sync, sync_opts(B), READS)?;
    w.bytes(A)[..4].copy_from_slice(b"abcd");
    assert_eq!(w.call(writes, 0), Err(Trap::Engine(4).into()));
    w.call(reads, 1)?;
    assert_eq!(w.marks(), [1]);
    assert_eq!(w.bytes(B)[64..68], [0; 4]);
    w.done()
}

// The host's function goes on without a caller, and its result goes nowhere.
fn trap_host_call_of_the_dead_resolves_into_nothing<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const HOST_FUNCTION: Script = &[run(ThreadYield, &[]), run(task_return_u32(HOST), &[k(7)]), Op::Mark(1)];
    let host = w.lift(Func::AsyncU32, async_opts(HOST), HOST_FUNCTION)?;
    w.lower(host, async_opts(A))?;
    let caller = w.lift(Func::Async, async_opts(A), script![run(low(0), &[k(5), k(64)]), Op::Trap(4)])?;
    assert_eq!(w.call(caller, 0), Err(Trap::Engine(4).into()));
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    assert_eq!(w.bytes(A)[64..68], [0; 4]);
    w.done()
}

// A waits for a call that started in B. B dies: no event comes, but a cancel gives the subtask back.
fn trap_waiter_of_the_dead_subtask_can_be_cancelled<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let callee = w.lift(Func::Async, async_opts(B), script![run(ThreadSuspend, &[]), Op::Mark(1)])?;
    let dies = w.lift(Func::Sync, sync_opts(B), DIES)?;
    w.lower(callee, async_opts(A))?;
    const CALLER: Script = &[
        call(low(0), &[], 0),
        Op::Shr(0, 4),
        Op::SetG(0, R0),
        call(WaitableSetNew, &[], 1),
        run(WaitableJoin, &[R0, R1]),
        run(WaitableSetWait(memory(A)), &[R1, k(64)]),
        Op::Load32(2, k(68)),
        Op::Eq(R2, k(4)),
        run(SubtaskDrop, &[R0]),
        run(WaitableSetDrop, &[R1]),
        run(task_return(A), &[]),
    ];
    let caller = w.lift(Func::Async, async_opts(A), CALLER)?;
    let task = w.call(caller, 0)?;
    assert_eq!(w.call(dies, 1), Err(Trap::Engine(4).into()));
    assert_eq!(w.run_until(task), Err(Trap::Deadlock.into()));
    // CANCELLED_BEFORE_RETURNED
    const CANCELS: Script =
        &[run(WaitableJoin, &[G0, k(0)]), call(SubtaskCancel { is_async: true }, &[G0], 0), Op::Eq(R0, k(4))];
    let cancels = w.lift(Func::Sync, sync_opts(A), CANCELS)?;
    w.call(cancels, 2)?;
    // Its event was taken by the cancel, so the waiter waits on; the subtask can be dropped.
    assert_eq!(w.ticks()?, 0);
    let tidies = w.lift(Func::Sync, sync_opts(A), script![run(SubtaskDrop, &[G0]), Op::Trap(5)])?;
    assert_eq!(w.call(tidies, 3), Err(Trap::Engine(5).into()));
    assert_eq!(w.ended(0), Ended::Lost);
    assert!(w.marks().is_empty());
    w.done()
}
