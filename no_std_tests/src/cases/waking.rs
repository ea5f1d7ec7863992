//! Who is told of an event where several wait for it, and strict stores.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::canon::lift::{start_enter, start_leave};
use canon_async::error::Error;
use canon_async::id::InstanceId;
use canon_async::storage::Profile;
use canon_async::store::Choose;
use canon_async::{Embedding, Then, canon};

cases! {
    waitable_set_wait_behind_a_callback_task_runs_below_a_sync_call,
    waitable_set_event_while_the_lock_is_held_goes_to_the_holder,
    lower_sync_in_a_sync_task_strict_traps_before_the_call,
    lower_sync_in_a_sync_task_strict_goes_on_while_another_thread_is_ready,
    lower_sync_in_a_sync_task_strict_leaves_the_order_of_the_ready,
    lower_sync_in_an_async_task_strict_goes_on,
    lower_child_or_parent_strict_traps,
    stream_read_sync_in_a_sync_task_strict_traps_before_the_handle,
    subtask_cancel_sync_in_a_sync_task_strict_traps_before_the_handle,
    start_function_calls_async_strict_traps,
    start_function_waits_for_an_event_that_is_there_goes_on,
    lift_callback_with_endless_events_lets_others_run,
    lift_async_options_without_an_async_type_misuse,
}

const WRITE_ONE: Op = run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(1)]);
const READ_ONE: Op = run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(1)]);
/// A callback task waits for what it reads (end 1, of a stream whose writable end is 2) in a set (3).
const SET_UP: Script = &[
    run(StreamNew(STREAM), &[]),
    run(WaitableSetNew, &[]),
    READ_ONE,
    run(WaitableJoin, &[k(1), k(3)]),
    Op::Ret(k(wait(3))),
];

// canon_lift's loop of a synchronous function: `candidates` are all that are ready, in whatever order they began to wait
fn waitable_set_wait_behind_a_callback_task_runs_below_a_sync_call<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const LAST: Script = &[
        Op::Eq(R0, k(2)),
        Op::Mark(3),
        run(StreamDropReadable(STREAM), &[k(1)]),
        run(StreamDropWritable(STREAM), &[k(2)]),
        run(WaitableSetDrop, &[k(3)]),
        run(task_return(A), &[]),
        Op::Ret(k(EXIT)),
    ];
    let callback = w.lift_callback(Func::Async, A, SET_UP, LAST)?;
    let stackful = w.lift(
        Func::Async,
        async_opts(A),
        script![
            call(WaitableSetWait(memory(A)), &[k(3), k(64)], 0),
            Op::Eq(R0, k(2)),
            Op::Mark(1),
            READ_ONE,
            run(ThreadResumeLater, &[G0]),
            run(task_return(A), &[]),
        ],
    )?;
    let sync = w.lift(
        Func::Sync,
        sync_opts(A),
        script![call(ThreadIndex, &[], 0), Op::SetG(0, R0), WRITE_ONE, run(ThreadSuspend, &[]), Op::Mark(2),],
    )?;
    let last = w.lift(Func::Sync, sync_opts(A), script![WRITE_ONE])?;
    w.call(callback, 0)?;
    w.call(stackful, 1)?;
    w.call(sync, 2)?;
    assert_eq!(w.marks(), [1, 2]);
    w.ticks()?;
    w.call(last, 3)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.done()
}

// The holder of the exclusive lock waits in its own callback, behind others who need the lock to go on.
fn waitable_set_event_while_the_lock_is_held_goes_to_the_holder<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const LAST: Script = &[
        Op::Eq(R0, k(2)),
        Op::Mark(2),
        run(StreamDropReadable(STREAM), &[k(1)]),
        run(StreamDropWritable(STREAM), &[k(2)]),
        run(WaitableSetDrop, &[k(3)]),
        run(task_return(A), &[]),
        Op::Ret(k(EXIT)),
    ];
    let waits = w.lift_callback(Func::Async, A, SET_UP, LAST)?;
    // Lifted without `async`: it holds the lock while it waits.
    let holder = w.lift(
        Func::Async,
        sync_opts(A),
        script![call(WaitableSetWait(memory(A)), &[k(3), k(64)], 0), Op::Eq(R0, k(2)), Op::Mark(1), READ_ONE],
    )?;
    let write = w.lift(Func::Sync, sync_opts(A), script![WRITE_ONE])?;
    w.call(waits, 0)?;
    w.call(holder, 1)?;
    w.call(write, 2)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    w.call(write, 3)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

/// A synchronous function of A that calls an async function of B, which would return at once.
fn calls_async<P: Profile>(before: Script, ty: Func) -> Result<(World<P>, Result<(), Error>), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let callee = w.lift(Func::Async, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    w.lower(callee, sync_opts(A))?;
    w.set_table(0, A, script![Op::Mark(2)]);
    let caller = w.lift(ty, sync_opts(A), before)?;
    w.store.set_strict(true);
    let result = w.call(caller, 0).map(drop);
    Ok((w, result))
}

fn lower_sync_in_a_sync_task_strict_traps_before_the_call<P: Profile>() -> Result<(), Error> {
    let (w, result) = calls_async::<P>(script![run(low(0), &[])], Func::Sync)?;
    assert_eq!(result, Err(Trap::CannotBlockSync.into()));
    assert!(w.marks().is_empty());
    w.done()
}

fn lower_sync_in_a_sync_task_strict_goes_on_while_another_thread_is_ready<P: Profile>() -> Result<(), Error> {
    let before = script![
        call(ThreadNewIndirect(canon_async::id::TableRef::from_index(A)), &[k(0), k(0)], 0),
        run(ThreadResumeLater, &[R0]),
        run(low(0), &[]),
    ];
    let (mut w, result) = calls_async::<P>(before, Func::Sync)?;
    result?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

fn lower_sync_in_a_sync_task_strict_leaves_the_order_of_the_ready<P: Profile>() -> Result<(), Error> {
    const TABLE: canon_async::id::TableRef = canon_async::id::TableRef::from_index(A);
    let mut w = World::<P>::new(&[None, None])?;
    let callee = w.lift(Func::Async, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    w.lower(callee, sync_opts(A))?;
    w.set_table(0, A, script![Op::Mark(2)]);
    w.set_table(1, A, script![Op::Mark(3)]);
    const CALLER: Script = &[
        call(ThreadNewIndirect(TABLE), &[k(0), k(0)], 0),
        run(ThreadResumeLater, &[R0]),
        call(ThreadNewIndirect(TABLE), &[k(1), k(0)], 0),
        run(ThreadResumeLater, &[R0]),
        run(low(0), &[]),
    ];
    let caller = w.lift(Func::Sync, sync_opts(A), CALLER)?;
    w.store.set_strict(true);
    w.call(caller, 0)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.done()
}

fn lower_sync_in_an_async_task_strict_goes_on<P: Profile>() -> Result<(), Error> {
    let (w, result) = calls_async::<P>(script![run(low(0), &[])], Func::Async)?;
    result?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

fn lower_child_or_parent_strict_traps<P: Profile>() -> Result<(), Error> {
    // B is inside A.
    for (caller, callee) in [(A, B), (B, A)] {
        for strict in [false, true] {
            let mut w = World::<P>::new(&[None, Some(A)])?;
            let callee = w.lift(Func::Sync, sync_opts(callee), script![Op::Mark(1)])?;
            w.lower(callee, sync_opts(caller))?;
            let caller = w.lift(Func::Sync, sync_opts(caller), script![run(low(0), &[])])?;
            w.store.set_strict(strict);
            let result = w.call(caller, 0).map(drop);
            assert_eq!(result, if strict { Err(Trap::CannotEnter.into()) } else { Ok(()) });
            assert_eq!(w.marks().len(), usize::from(!strict));
            w.done()?;
        }
    }
    Ok(())
}

/// One built-in, with a handle that is none, in a synchronous function: the trap by the spec, and the strict one.
fn one_of<P: Profile>(script: Script, by_the_spec: Trap) -> Result<(), Error> {
    for (strict, trap) in [(false, by_the_spec), (true, Trap::CannotBlockSync)] {
        let mut w = World::<P>::new(&[None])?;
        let f = w.lift(Func::Sync, sync_opts(A), script)?;
        w.store.set_strict(strict);
        assert_eq!(w.call(f, 0).err(), Some(trap.into()));
        w.done()?;
    }
    Ok(())
}

fn stream_read_sync_in_a_sync_task_strict_traps_before_the_handle<P: Profile>() -> Result<(), Error> {
    let unknown = Trap::UnknownHandle(99);
    one_of::<P>(script![run(StreamRead(STREAM, sync_opts(A)), &[k(99), k(0), k(0)])], unknown)?;
    one_of::<P>(script![run(FutureWrite(FUTURE, sync_opts(A)), &[k(99), k(0)])], unknown)?;
    one_of::<P>(script![run(StreamCancelRead(STREAM, false), &[k(99)])], unknown)
}

fn subtask_cancel_sync_in_a_sync_task_strict_traps_before_the_handle<P: Profile>() -> Result<(), Error> {
    one_of::<P>(script![run(SubtaskCancel { is_async: false }, &[k(99)])], Trap::UnknownHandle(99))
}

fn start_function_calls_async_strict_traps<P: Profile>() -> Result<(), Error> {
    for strict in [false, true] {
        let mut w = World::<P>::new(&[None, None])?;
        let callee = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
        let id = w.lower(callee, sync_opts(A))?;
        w.store.set_strict(strict);
        let start = start_enter(&mut w, InstanceId::from_index(A))?;
        let result = canon::lower(&mut w, id, &[]).map(drop);
        assert_eq!(result, if strict { Err(Trap::CannotBlockSync.into()) } else { Ok(()) });
        assert_eq!(start_leave(&mut w, start, result), result);
        assert_eq!(w.store().instance(InstanceId::from_index(A))?.is_poisoned(), strict);
        w.done()?;
    }
    Ok(())
}

fn start_function_waits_for_an_event_that_is_there_goes_on<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.store.set_choose(Choose::Spec);
    let start = start_enter(&mut w, InstanceId::from_index(A))?;
    let mut values = [0; 5];
    let steps: [(Builtin, &[u64]); 5] = [
        (StreamNew(STREAM), &[]),
        (WaitableSetNew, &[]),
        (StreamRead(STREAM, async_opts(A)), &[1, 0, 1]),
        (WaitableJoin, &[1, 3]),
        (StreamDropWritable(STREAM), &[2]),
    ];
    for (value, (builtin, args)) in values.iter_mut().zip(steps) {
        if let Then::Value(answer) = canon::call(&mut w, builtin, args)? {
            *value = answer;
        }
    }
    assert_eq!(values, [1 | 2 << 32, 3, 0xffff_ffff, 0, 0]);
    // STREAM_READ, of end 1, DROPPED.
    assert_eq!(canon::call(&mut w, WaitableSetWait(memory(A)), &[3, 64])?, Then::Value(2));
    assert_eq!(canon::call(&mut w, StreamDropReadable(STREAM), &[1])?, Then::Value(0));
    assert_eq!(canon::call(&mut w, WaitableSetDrop, &[3])?, Then::Value(0));
    start_leave(&mut w, start, Ok(()))?;
    w.done()
}

fn lift_callback_with_endless_events_lets_others_run<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    // Each turn makes the event of the next: it writes what it reads.
    const AGAIN: Script = &[
        run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(1)]),
        run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(1)]),
        Op::Ret(k(wait(3))),
    ];
    const SET_UP: Script = &[
        run(StreamNew(STREAM), &[]),
        run(WaitableSetNew, &[]),
        run(WaitableJoin, &[k(1), k(3)]),
        run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(1)]),
        run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(1)]),
        Op::Ret(k(wait(3))),
    ];
    const TURN: Script = &[
        Op::Set(0, G0),
        Op::Add(0, k(1)),
        Op::SetG(0, R0),
        Op::Jump(G1, 7),
        AGAIN[0],
        AGAIN[1],
        AGAIN[2],
        run(StreamDropReadable(STREAM), &[k(1)]),
        run(StreamDropWritable(STREAM), &[k(2)]),
        run(WaitableSetDrop, &[k(3)]),
        run(task_return(A), &[]),
        Op::Ret(k(EXIT)),
    ];
    let endless = w.lift_callback(Func::Async, A, SET_UP, TURN)?;
    let stop = w.lift(Func::Sync, sync_opts(A), script![Op::SetG(1, k(1))])?;
    w.call(endless, 0)?;
    let turns = w.global(0);
    assert!((1..=64).contains(&turns), "{turns} turns");
    assert!(w.tick()?);
    assert!(w.global(0) > turns);
    w.call(stop, 1)?;
    w.ticks()?;
    w.done()
}

fn lift_async_options_without_an_async_type_misuse<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let result = w.lift(Func::Sync, async_opts(A), script![]);
    assert!(matches!(result, Err(Error::Misuse(_))), "{result:?}");
    w.done()
}
