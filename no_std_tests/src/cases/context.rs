//! `context.get`, `context.set`, `backpressure.inc`, `backpressure.dec`.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::{FuncRef, TableRef};
use canon_async::state::StringEncoding;
use canon_async::storage::Profile;

cases! {
    context_get_fresh_thread_reads_zero,
    context_set_two_slots_kept_over_a_wait,
    context_get_explicit_thread_has_its_own,
    context_get_in_realloc_reads_zero,
    context_set_in_realloc_unseen_by_the_next_of_the_call,
    backpressure_inc_at_limit_traps,
    backpressure_dec_without_inc_traps,
    backpressure_inc_call_waits_until_dec,
    backpressure_inc_nested_counts,
    backpressure_inc_sync_typed_call_enters,
    backpressure_dec_waiters_enter_in_order,
    backpressure_dec_first_waiter_blocks_next_enters,
    backpressure_dec_first_waiter_fails_to_start_next_enters,
    backpressure_dec_then_inc_waiter_stays,
    backpressure_inc_arguments_lifted_at_start,
    backpressure_inc_queue_is_full_capacity,
}

// canon_context_get: `storage` is [0, 0] in a new `Thread`.
fn context_get_fresh_thread_reads_zero<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const S: Script = &[
        call(ContextGet(0), &[], 0),
        Op::Eq(R0, k(0)),
        call(ContextGet(1), &[], 0),
        Op::Eq(R0, k(0)),
        run(task_return(A), &[]),
    ];
    let f = w.lift(Func::Async, async_opts(A), S)?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

fn context_set_two_slots_kept_over_a_wait<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const S: Script = &[
        run(ContextSet(0), &[k(7)]),
        run(ContextSet(1), &[k(u64::MAX)]),
        run(ThreadYield, &[]),
        call(ContextGet(0), &[], 0),
        Op::Eq(R0, k(7)),
        call(ContextGet(1), &[], 0),
        Op::Eq(R0, k(u64::MAX)),
        run(task_return(A), &[]),
    ];
    let f = w.lift(Func::Async, async_opts(A), S)?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::No);
    w.ticks()?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

fn context_get_explicit_thread_has_its_own<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const T: Script = &[
        call(ContextGet(0), &[], 1),
        Op::Eq(R1, k(0)),
        run(ContextSet(0), &[k(9)]),
        run(ThreadResumeLater, &[R0]),
    ];
    const S: Script = &[
        run(ContextSet(0), &[k(7)]),
        call(ThreadIndex, &[], 1),
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), R1], 0),
        run(ThreadSuspendThenResume, &[R0]),
        call(ContextGet(0), &[], 0),
        Op::Eq(R0, k(7)),
        run(task_return(A), &[]),
    ];
    w.set_table(0, A, T);
    let f = w.lift(Func::Async, async_opts(A), S)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.done()
}

// LiftLowerContext.reallocate: `canon_lift` of realloc makes a new Thread.
fn context_get_in_realloc_reads_zero<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const REALLOC: Script = &[
        call(ContextGet(0), &[], 0),
        Op::Eq(R0, k(0)),
        run(ContextSet(0), &[k(5)]),
        call(ContextGet(0), &[], 0),
        Op::Eq(R0, k(5)),
        Op::Mark(1),
        Op::Ret(k(64)),
    ];
    const S: Script = &[
        Op::Eq(R0, k(64)),
        Op::Eq(R1, k(3)),
        call(ContextGet(0), &[], 0),
        Op::Eq(R0, k(0)),
        run(task_return(A), &[]),
    ];
    let realloc: FuncRef = w.func(A, REALLOC);
    let options = w.options(async_opts(A), |o| o.realloc = Some(realloc))?;
    let f = w.lift(Func::AsyncString, options, S)?;
    w.bytes(HOST)[8..11].copy_from_slice(b"abc");
    w.set_args(&[8, 3]);
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1]);
    assert_eq!(&w.bytes(A)[64..67], b"abc");
    w.done()
}

// canon_backpressure_inc: traps where the counter becomes 2^16.
// LiftLowerContext.reallocate: each runs on a thread of its own, also within one call.
fn context_set_in_realloc_unseen_by_the_next_of_the_call<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const REALLOC: Script = &[
        call(ContextGet(0), &[], 4),
        Op::Eq(R4, k(0)),
        call(ContextGet(1), &[], 4),
        Op::Eq(R4, k(0)),
        run(ContextSet(0), &[k(7)]),
        run(ContextSet(1), &[k(8)]),
        call(ContextGet(0), &[], 4),
        Op::Eq(R4, k(7)),
        Op::Mark(1),
        Op::Ret(k(256)),
    ];
    let realloc: FuncRef = w.func(A, REALLOC);
    // Three bytes of UTF-8 are two units of UTF-16: allocated for three, then made to fit.
    let options = w.options(sync_opts(A), |o| {
        o.realloc = Some(realloc);
        o.encoding = StringEncoding::Utf16;
    })?;
    let f = w.lift(Func::AsyncString, options, script![Op::Eq(R1, k(2))])?;
    w.bytes(HOST)[..3].copy_from_slice("a\u{e9}".as_bytes());
    w.set_args(&[0, 3]);
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    assert_eq!(w.marks(), [1, 1]);
    w.done()
}

fn backpressure_inc_at_limit_traps<P: Profile>() -> Result<(), Error> {
    const S: Script = &[
        Op::Set(0, k(0xffff)),
        run(BackpressureInc, &[]),
        Op::Loop(0, 1),
        Op::Mark(1),
        run(BackpressureInc, &[]),
        Op::Mark(2),
    ];
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), S)?;
    assert_eq!(w.call(f, 0), Err(Trap::BackpressureOverflow.into()));
    assert_eq!(w.marks(), [1]);
    w.done()
}

fn backpressure_dec_without_inc_traps<P: Profile>() -> Result<(), Error> {
    super::one_traps::<P>(
        script![run(BackpressureInc, &[]), run(BackpressureDec, &[]), run(BackpressureDec, &[])],
        Trap::BackpressureUnderflow,
    )
}

/// Functions of guest A: one that turns backpressure on, and one that marks and returns.
const INC: Script = &[run(BackpressureInc, &[]), run(task_return(A), &[])];
const MARK: Script = &[Op::Mark(1), run(task_return(A), &[])];
/// As [`DEC`], of a sync-typed function, which enters in spite of backpressure.
const DEC_SYNC: Script = &[run(BackpressureDec, &[])];

// Task.enter_implicit_thread: has_backpressure.
fn backpressure_inc_call_waits_until_dec<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let inc = w.lift(Func::Async, async_opts(A), INC)?;
    let dec = w.lift(Func::Sync, sync_opts(A), DEC_SYNC)?;
    let f = w.lift(Func::Async, async_opts(A), MARK)?;
    w.call(inc, 0)?;
    let task = w.call(f, 1)?;
    assert_eq!(w.ticks()?, 0);
    assert_eq!(w.run_until(task), Err(Trap::Deadlock.into()));
    w.call(dec, 2)?;
    assert!(w.marks().is_empty());
    w.run_until(task)?;
    assert_eq!(w.ended(1), Ended::Returned(0));
    w.done()
}

fn backpressure_inc_nested_counts<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const TWICE: Script = &[run(BackpressureInc, &[]), run(BackpressureInc, &[]), run(task_return(A), &[])];
    let inc = w.lift(Func::Async, async_opts(A), TWICE)?;
    let dec = w.lift(Func::Sync, sync_opts(A), DEC_SYNC)?;
    let f = w.lift(Func::Async, async_opts(A), MARK)?;
    w.call(inc, 0)?;
    w.call(f, 1)?;
    w.call(dec, 2)?;
    assert_eq!(w.ticks()?, 0);
    w.call(dec, 3)?;
    assert_eq!(w.ticks()?, 1);
    assert_eq!(w.ended(1), Ended::Returned(0));
    w.done()
}

// Task.enter_implicit_thread: only where `ft.async_`.
fn backpressure_inc_sync_typed_call_enters<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let inc = w.lift(Func::Async, async_opts(A), INC)?;
    let f = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(3)])?;
    w.call(inc, 0)?;
    w.call(f, 1)?;
    assert_eq!(w.marks(), [3]);
    assert_eq!(w.ended(1), Ended::Returned(0));
    w.done()
}

fn backpressure_dec_waiters_enter_in_order<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let inc = w.lift(Func::Async, async_opts(A), INC)?;
    let dec = w.lift(Func::Sync, sync_opts(A), DEC_SYNC)?;
    let f = w.lift(Func::Async, async_opts(A), MARK)?;
    let g = w.lift(Func::Async, async_opts(A), script![Op::Mark(2), run(task_return(A), &[])])?;
    w.call(inc, 0)?;
    w.call(f, 1)?;
    w.call(g, 2)?;
    w.call(dec, 3)?;
    // The counter is 0, but others wait to enter: num_waiting_to_enter.
    let task = w.call(f, 4)?;
    w.run_until(task)?;
    assert_eq!(w.marks(), [1, 2, 1]);
    w.done()
}

/// One waiter is told at a time, and tells the next: not when it exits, but when it is in.
fn backpressure_dec_first_waiter_blocks_next_enters<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        run(BackpressureInc, &[]),
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 0),
        run(ThreadResumeLater, &[R0]),
        run(task_return(A), &[]),
    ];
    // It stays: who exits tells somebody too.
    w.set_table(0, A, script![run(BackpressureDec, &[]), run(ThreadSuspend, &[])]);
    let main = w.lift(Func::Async, async_opts(A), MAIN)?;
    let blocks = script![Op::Mark(1), run(task_return(A), &[]), run(ThreadSuspend, &[])];
    let blocks = w.lift(Func::Async, async_opts(A), blocks)?;
    let next = w.lift(Func::Async, async_opts(A), script![Op::Mark(2), run(task_return(A), &[])])?;
    let end = w.lift(Func::Sync, sync_opts(A), script![Op::Trap(1)])?;
    w.call(main, 0)?;
    w.call(blocks, 1)?;
    w.call(next, 2)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2]);
    assert!(w.call(end, 3).is_err());
    w.done()
}

/// The arguments of the first that is told can't be lowered, and it had the last index of a thread: the next has it then.
fn backpressure_dec_first_waiter_fails_to_start_next_enters<P: Profile>() -> Result<(), Error> {
    const NEW: Builtin = ThreadNewIndirect(TableRef::from_index(0));
    // Leaves two threads, one of which opens the instance in its turn.
    const MAIN: Script = &[
        run(BackpressureInc, &[]),
        run(NEW, &[k(0), k(0)]),
        call(NEW, &[k(0), k(0)], 0),
        run(ThreadResumeLater, &[R0]),
        run(task_return(B), &[]),
    ];
    let mut w = World::<P>::new(&[None, None])?;
    w.set_table(0, B, script![run(BackpressureDec, &[]), run(ThreadSuspend, &[])]);
    let main = w.lift(Func::Async, async_opts(B), MAIN)?;
    let first = w.lift(Func::Async5, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    let next = w.lift(Func::Async, async_opts(B), script![Op::Mark(2), run(task_return(B), &[])])?;
    let end = w.lift(Func::Sync, sync_opts(B), script![Op::Trap(1)])?;
    w.lower(first, async_opts(A))?;
    let caller =
        w.lift(Func::Async, async_opts(A), script![run(low(0), &[k(1 << 20)]), run(task_return(A), &[])])?;
    w.call(main, 0)?;
    w.call(caller, 1)?;
    w.call(next, 2)?;
    assert!(w.tick()?);
    assert_eq!(w.tick(), Err(Trap::OutOfBounds.into()));
    w.ticks()?;
    assert_eq!(w.marks(), [2]);
    assert_eq!(w.ended(2), Ended::Returned(0));
    assert!(w.call(end, 3).is_err());
    w.done()
}

fn backpressure_dec_then_inc_waiter_stays<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const DEC_INC: Script = &[run(BackpressureDec, &[]), run(BackpressureInc, &[])];
    let inc = w.lift(Func::Async, async_opts(A), INC)?;
    let dec_inc = w.lift(Func::Sync, sync_opts(A), DEC_INC)?;
    let dec = w.lift(Func::Sync, sync_opts(A), DEC_SYNC)?;
    let f = w.lift(Func::Async, async_opts(A), MARK)?;
    w.call(inc, 0)?;
    w.call(f, 1)?;
    w.call(dec_inc, 2)?;
    assert_eq!(w.ticks()?, 0);
    w.call(dec, 3)?;
    assert_eq!(w.ticks()?, 1);
    w.done()
}

// canon_lower: `on_start` lifts the arguments, when the callee starts.
fn backpressure_inc_arguments_lifted_at_start<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLER: Script = &[
        Op::Store32(k(0), k(1)),
        call(low(0), &[k(0)], 0),
        Op::And(0, 0xf),
        Op::Eq(R0, k(0)), // STARTING
        Op::Store32(k(0), k(2)),
        call(WaitableSetNew, &[], 1),
        run(low(1), &[]),
        run(WaitableJoin, &[k(1), R1]),
        call(WaitableSetWait(memory(A)), &[R1, k(64)], 0),
        Op::Eq(R0, k(1)),
        Op::Load32(0, k(64)),
        Op::Eq(R0, k(1)),
        Op::Load32(0, k(68)),
        Op::Eq(R0, k(2)),
        run(SubtaskDrop, &[k(1)]),
        run(WaitableSetDrop, &[R1]),
        run(task_return(A), &[]),
    ];
    const CALLEE: Script = &[Op::Eq(R0, k(2)), Op::Eq(R4, k(0)), run(task_return(B), &[])];
    let inc =
        w.lift(Func::Async, async_opts(B), script![run(BackpressureInc, &[]), run(task_return(B), &[])])?;
    let five = w.lift(Func::Async5, async_opts(B), CALLEE)?;
    let dec = w.lift(Func::Sync, sync_opts(B), DEC_SYNC)?;
    w.lower(five, async_opts(A))?;
    w.lower(dec, sync_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), CALLER)?;
    w.call(inc, 0)?;
    let task = w.call(f, 1)?;
    w.run_until(task)?;
    w.done()
}

/// A queue that is full: to the caller a trap that names the limit; the callee and its queue go on.
fn backpressure_inc_queue_is_full_capacity<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLER: Script = &[Op::Set(1, k(99)), run(low(0), &[]), Op::Loop(1, 1)];
    let inc =
        w.lift(Func::Async, async_opts(B), script![run(BackpressureInc, &[]), run(task_return(B), &[])])?;
    let dec = w.lift(Func::Sync, sync_opts(B), DEC_SYNC)?;
    let callee = w.lift(Func::Async, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), CALLER)?;
    w.call(inc, 0)?;
    match w.call(f, 1) {
        Err(Error::Capacity(_)) => {
            assert!(w.marks().is_empty());
            // The dead caller's calls are gone, and the callee is not to blame.
            w.call(dec, 2)?;
            assert_eq!(w.ticks()?, 0);
            w.call(callee, 3)?;
            assert_eq!(w.marks(), [1]);
            w.done()
        }
        // A heap has room for these, and the caller exits without having returned.
        other => {
            assert_eq!(other, Err(Trap::NoReturn.into()));
            w.call(dec, 2)?;
            w.ticks()?;
            w.done()
        }
    }
}
