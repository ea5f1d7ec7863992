//! Who dies of an error: whoever is at fault, and whatever it unwinds through. And what a callee can do to a caller
//! that waits for it.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::storage::Profile;

cases! {
    lower_queued_callee_realloc_traps_caller_lives,
    call_queued_callee_realloc_traps_call_is_lost,
    task_return_bad_return_pointer_kills_the_caller,
    subtask_cancel_callee_takes_the_event_traps,
    subtask_cancel_callee_drops_the_subtask_traps,
    subtask_cancel_callee_joins_the_subtask_traps,
    subtask_cancel_callee_joins_the_subtask_and_resolves_goes_on,
    subtask_cancel_callee_dead_resolves_cancelled,
    stream_read_refused_work_kills_the_reader,
    lower_refused_work_kills_the_caller,
}

const INC: Script = &[run(BackpressureInc, &[]), run(task_return(B), &[])];
const DEC: Script = &[run(BackpressureDec, &[])];

// The callee's own code is at fault, not the caller whose arguments it was to take.
fn lower_queued_callee_realloc_traps_caller_lives<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let bad = w.func(B, script![Op::Trap(9)]);
    let options = w.options(async_opts(B), |o| o.realloc = Some(bad))?;
    let f = w.lift(Func::AsyncString, options, script![run(task_return(B), &[])])?;
    let inc = w.lift(Func::Async, async_opts(B), INC)?;
    let dec = w.lift(Func::Sync, sync_opts(B), DEC)?;
    w.lower(f, async_opts(A))?;
    const A_CALLS: Script = &[run(low(0), &[k(0), k(4)]), run(task_return(A), &[])];
    let a = w.lift(Func::Async, async_opts(A), A_CALLS)?;
    let again = w.lift(Func::Async, async_opts(A), script![run(task_return(A), &[])])?;
    w.call(inc, 0)?;
    w.call(a, 1)?;
    w.call(dec, 2)?;
    assert_eq!(w.tick(), Err(Trap::Engine(9).into()));
    w.call(again, 3)?;
    assert_eq!(w.ended(3), Ended::Returned(0));
    assert_eq!(w.call(inc, 4), Err(Trap::CannotEnter.into()));
    Ok(())
}

// The pointer is the caller's; its callee only returned.
fn task_return_bad_return_pointer_kills_the_caller<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const F: Script = &[run(ThreadYield, &[]), run(task_return_u32(B), &[R0])];
    let f = w.lift(Func::AsyncU32, async_opts(B), F)?;
    w.lower(f, async_opts(A))?;
    const A_CALLS: Script = &[run(low(0), &[k(5), k(0xffff_fff0)]), run(task_return(A), &[])];
    let a = w.lift(Func::Async, async_opts(A), A_CALLS)?;
    w.call(a, 1)?;
    assert_eq!(w.tick(), Err(Trap::OutOfBounds.into()));
    assert_eq!(w.call(a, 2), Err(Trap::CannotEnter.into()));
    Ok(())
}

/// P asynchronously cancels its child's call; the child, told, calls back into P, which does this.
fn cancelled_child_calls_back<P: Profile>(back: Script) -> Result<Option<Error>, Error> {
    let mut w = World::<P>::new(&[None, Some(A)])?;
    let back = w.lift(Func::Sync, sync_opts(A), back)?;
    w.lower(back, sync_opts(B))?;
    let child = w.lift_callback(
        Func::Async,
        B,
        script![Op::Ret(k(YIELD))],
        script![run(TaskCancel, &[]), run(low(0), &[]), Op::Ret(k(EXIT))],
    )?;
    w.lower(child, async_opts(A))?;
    const MAIN: Script = &[
        call(WaitableSetNew, &[], 1),
        Op::SetG(1, R1),
        call(low(1), &[], 0),
        Op::Shr(0, 4),
        Op::SetG(0, R0),
        run(SubtaskCancel { is_async: true }, &[R0]),
        run(task_return(A), &[]),
    ];
    let main = w.lift(Func::Async, async_opts(A), MAIN)?;
    Ok(w.call(main, 0).err())
}

fn subtask_cancel_callee_takes_the_event_traps<P: Profile>() -> Result<(), Error> {
    const BACK: Script = &[run(WaitableJoin, &[G0, G1]), run(WaitableSetPoll(memory(A)), &[G1, k(0)])];
    assert_eq!(cancelled_child_calls_back::<P>(BACK)?, Some(Trap::SubtaskResolved.into()));
    Ok(())
}

fn subtask_cancel_callee_drops_the_subtask_traps<P: Profile>() -> Result<(), Error> {
    const BACK: Script = &[
        run(WaitableJoin, &[G0, G1]),
        run(WaitableSetPoll(memory(A)), &[G1, k(0)]),
        run(SubtaskDrop, &[G0]),
    ];
    assert_eq!(cancelled_child_calls_back::<P>(BACK)?, Some(Trap::SubtaskResolved.into()));
    Ok(())
}

// A synchronous cancel, and the callee puts the subtask into a set of its caller's: it must not be waited for both ways.
fn subtask_cancel_callee_joins_the_subtask_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A)])?;
    let back = w.lift(Func::Sync, sync_opts(A), script![run(WaitableJoin, &[G0, G1])])?;
    w.lower(back, sync_opts(B))?;
    let child = w.lift_callback(
        Func::Async,
        B,
        script![Op::Ret(k(YIELD))],
        script![Op::Jump(R0, 2), Op::Ret(k(YIELD)), run(low(0), &[]), Op::Ret(k(YIELD))],
    )?;
    let inc = w.lift(Func::Sync, sync_opts(B), script![run(BackpressureInc, &[])])?;
    let dec = w.lift(Func::Sync, sync_opts(B), DEC)?;
    w.lower(child, async_opts(A))?;
    const MAIN: Script = &[
        call(WaitableSetNew, &[], 1),
        Op::SetG(1, R1),
        run(task_return(A), &[]),
        call(low(1), &[], 0),
        Op::Shr(0, 4),
        Op::SetG(0, R0),
    ];
    let main = w.lift(Func::Async, async_opts(A), MAIN)?;
    const CANCEL: Script = &[run(task_return(A), &[]), run(SubtaskCancel { is_async: false }, &[G0])];
    let cancel = w.lift(Func::Async, async_opts(A), CANCEL)?;
    w.call(inc, 0)?;
    w.call(main, 1)?;
    w.call(dec, 2)?;
    w.tick()?;
    assert_eq!(w.call(cancel, 3), Err(Trap::SyncInSet.into()));
    w.done()
}

// As before, but the callee resolves at once: nobody waits, and the subtask may be in a set.
fn subtask_cancel_callee_joins_the_subtask_and_resolves_goes_on<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, Some(A)])?;
    let back = w.lift(Func::Sync, sync_opts(A), script![run(WaitableJoin, &[G0, G1])])?;
    w.lower(back, sync_opts(B))?;
    let told = script![Op::Eq(R0, k(6)), run(low(0), &[]), run(TaskCancel, &[])];
    let child = w.lift_callback(Func::Async, B, script![Op::Ret(k(YIELD))], told)?;
    w.lower(child, async_opts(A))?;
    const MAIN: Script = &[
        call(WaitableSetNew, &[], 1),
        Op::SetG(1, R1),
        call(low(1), &[], 0),
        Op::Shr(0, 4),
        Op::SetG(0, R0),
        call(SubtaskCancel { is_async: false }, &[R0], 2),
        Op::Eq(R2, k(4)),
        // The cancel took its event.
        call(WaitableSetPoll(memory(A)), &[R1, k(0)], 2),
        Op::Eq(R2, k(0)),
        run(SubtaskDrop, &[R0]),
        run(WaitableSetDrop, &[R1]),
        run(task_return(A), &[]),
    ];
    let main = w.lift(Func::Async, async_opts(A), MAIN)?;
    w.call(main, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

// The callee's root died with the call in its queue: the caller can take it back.
fn subtask_cancel_callee_dead_resolves_cancelled<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let f = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    let die = w.lift(Func::Sync, sync_opts(B), script![Op::Trap(4)])?;
    let inc = w.lift(Func::Async, async_opts(B), INC)?;
    w.lower(f, async_opts(A))?;
    const A_CALLS: Script = &[call(low(0), &[], 0), Op::Shr(0, 4), Op::SetG(0, R0), run(task_return(A), &[])];
    let a = w.lift(Func::Async, async_opts(A), A_CALLS)?;
    const CANCEL: Script = &[
        call(SubtaskCancel { is_async: true }, &[G0], 1),
        Op::SetG(1, R1),
        run(SubtaskDrop, &[G0]),
        run(task_return(A), &[]),
    ];
    let cancel = w.lift(Func::Async, async_opts(A), CANCEL)?;
    w.call(inc, 0)?;
    w.call(a, 1)?;
    assert_eq!(w.call(die, 2), Err(Trap::Engine(4).into()));
    w.call(cancel, 3)?;
    // CANCELLED_BEFORE_STARTED
    assert_eq!(w.global(1), 3);
    assert_eq!(w.store.counts().queued, 0);
    w.done()
}

// Who reads when the copy can't be paid for is at fault, not who wrote.
fn stream_read_refused_work_kills_the_reader<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const READS: Script = &[
        run(task_return(B), &[]),
        run(ThreadYield, &[]),
        run(StreamRead(STREAM, async_opts(B)), &[R0, k(0), k(4)]),
    ];
    const WRITES: Script = &[
        run(StreamNew(STREAM), &[]),
        run(low(0), &[k(1)]),
        run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(0), k(4)]),
        run(task_return(A), &[]),
    ];
    let reads = w.lift(Func::AsyncStream, async_opts(B), READS)?;
    w.lower(reads, async_opts(A))?;
    let writes = w.lift(Func::Async, async_opts(A), WRITES)?;
    let again = w.lift(Func::Async, async_opts(A), script![run(task_return(A), &[])])?;
    let dead = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    w.call(writes, 0)?;
    w.refuses_work = Some(Trap::Engine(5));
    assert_eq!(w.tick(), Err(Trap::Engine(5).into()));
    w.call(again, 1)?;
    assert_eq!(w.ended(1), Ended::Returned(0));
    assert_eq!(w.call(dead, 2), Err(Trap::CannotEnter.into()));
    Ok(())
}

// Who passes what it can't pay for is at fault, not the callee that ran nothing.
fn lower_refused_work_kills_the_caller<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let f = w.lift(Func::AsyncString, async_opts(B), script![run(task_return(B), &[])])?;
    w.lower(f, async_opts(A))?;
    const A_CALLS: Script = &[run(low(0), &[k(0), k(4)]), run(task_return(A), &[])];
    let a = w.lift(Func::Async, async_opts(A), A_CALLS)?;
    let lives = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    w.refuses_work = Some(Trap::Engine(5));
    assert_eq!(w.call(a, 0), Err(Trap::Engine(5).into()));
    w.call(lives, 1)?;
    assert_eq!(w.ended(1), Ended::Returned(0));
    assert_eq!(w.call(a, 2), Err(Trap::CannotEnter.into()));
    Ok(())
}

/// The same for a call by the host: the call is lost, and `host_lost` is called.
fn call_queued_callee_realloc_traps_call_is_lost<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let bad = w.func(B, script![Op::Trap(9)]);
    let options = w.options(async_opts(B), |o| o.realloc = Some(bad))?;
    let f = w.lift(Func::AsyncString, options, script![run(task_return(B), &[])])?;
    let inc = w.lift(Func::Async, async_opts(B), INC)?;
    let dec = w.lift(Func::Sync, sync_opts(B), DEC)?;
    w.call(inc, 0)?;
    w.set_args(&[0, 4]);
    w.call(f, 1)?;
    w.call(dec, 2)?;
    assert_eq!(w.tick(), Err(Trap::Engine(9).into()));
    assert_eq!(w.ended(1), Ended::Lost);
    assert_eq!(w.call(inc, 3), Err(Trap::CannotEnter.into()));
    w.done()
}
