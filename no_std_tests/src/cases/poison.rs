//! What a trap leaves behind, and what a call that finds no room leaves alone.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::{Error, Resource};
use canon_async::id::TableRef;
use canon_async::storage::Profile;

cases! {
    trap_at_depth_three_poisons_all_below,
    trap_queued_call_of_the_dead_never_lifted,
    trap_callee_of_the_dead_resolves_into_nothing,
    trap_stream_end_of_the_dead_peer_sees_dropped,
    trap_future_end_of_the_dead_reader_sees_dropped,
    trap_sync_writer_of_the_dead_purged,
    trap_frames_of_the_dead_discarded needs ThreadIndices,
    trap_resource_of_the_dead_drop_traps,
    trap_in_host_function_leaves_no_task,
    trap_callee_of_other_root_poisons_caller,
    trap_bad_arguments_of_a_queued_call_blame_the_caller,
    trap_in_a_switch_its_target_never_resumed,
    call_without_room_for_its_thread_changes_nothing,
    call_without_room_for_its_task_changes_nothing,
    tick_without_room_for_a_queued_calls_thread_keeps_it,
}

// A calls B, B calls C, C traps: all three are dead, whatever their roots.
fn trap_at_depth_three_poisons_all_below<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    let c = w.lift(Func::Async, async_opts(C), script![Op::Trap(3)])?;
    w.lower(c, sync_opts(B))?;
    let b = w.lift(Func::Async, async_opts(B), script![run(low(0), &[])])?;
    w.lower(b, async_opts(A))?;
    let a = w.lift(Func::Async, async_opts(A), script![run(low(1), &[])])?;
    assert_eq!(w.call(a, 0), Err(Trap::Engine(3).into()));
    for (func, number) in [(a, 1), (b, 2), (c, 3)] {
        assert_eq!(w.call(func, number), Err(Trap::CannotEnter.into()));
    }
    w.done()
}

const INC: Script = &[run(BackpressureInc, &[]), run(task_return(B), &[])];

// The queued call of a dead caller: unlinked.
fn trap_queued_call_of_the_dead_never_lifted<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let inc = w.lift(Func::Async, async_opts(B), INC)?;
    let callee = w.lift(Func::Async, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    let dec = w.lift(Func::Sync, sync_opts(B), script![run(BackpressureDec, &[])])?;
    w.lower(callee, async_opts(A))?;
    let a = w.lift(Func::Async, async_opts(A), script![run(low(0), &[]), Op::Trap(1)])?;
    w.call(inc, 0)?;
    assert_eq!(w.call(a, 1), Err(Trap::Engine(1).into()));
    w.call(dec, 2)?;
    assert_eq!(w.ticks()?, 0);
    assert!(w.marks().is_empty());
    w.call(callee, 3)?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

fn trap_callee_of_the_dead_resolves_into_nothing<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const CALLEE: Script = &[run(ThreadYield, &[]), run(task_return_u32(B), &[R0]), Op::Mark(1)];
    let callee = w.lift(Func::AsyncU32, async_opts(B), CALLEE)?;
    w.lower(callee, async_opts(A))?;
    let a = w.lift(Func::Async, async_opts(A), script![run(low(0), &[k(5), k(64)]), Op::Trap(1)])?;
    assert_eq!(w.call(a, 1), Err(Trap::Engine(1).into()));
    assert_eq!(w.ticks()?, 1);
    assert_eq!(w.marks(), [1]);
    assert_eq!(w.bytes(A)[64], 0);
    w.done()
}

/// A makes a stream, hands its readable end to B (lower 0), and traps.
const GIVES_STREAM: Script =
    &[call(StreamNew(STREAM), &[], 0), run(low(0), &[k(1)]), run(ThreadYield, &[]), Op::Trap(1)];

fn trap_stream_end_of_the_dead_peer_sees_dropped<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const READS: Script = &[
        run(task_return(B), &[]),
        call(StreamRead(STREAM, sync_opts(B)), &[R0, k(0), k(4)], 1),
        Op::Eq(R1, k(1)),
        run(StreamDropReadable(STREAM), &[R0]),
        Op::Mark(1),
    ];
    let callee = w.lift(Func::AsyncStream, async_opts(B), READS)?;
    w.lower(callee, async_opts(A))?;
    let a = w.lift(Func::Async, async_opts(A), GIVES_STREAM)?;
    w.call(a, 0)?;
    assert_eq!(w.tick(), Err(Trap::Engine(1).into()));
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

fn trap_future_end_of_the_dead_reader_sees_dropped<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const READS: Script = &[
        run(task_return(B), &[]),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        call(FutureRead(FUTURE, sync_opts(B)), &[R0, k(0)], 1),
        Op::Eq(R1, k(1)),
        run(FutureDropReadable(FUTURE), &[R0]),
        Op::Mark(1),
    ];
    const GIVES: Script =
        &[call(FutureNew(FUTURE), &[], 0), run(low(0), &[k(1)]), run(ThreadYield, &[]), Op::Trap(1)];
    let callee = w.lift(Func::AsyncFuture, async_opts(B), READS)?;
    w.lower(callee, async_opts(A))?;
    let a = w.lift(Func::Async, async_opts(A), GIVES)?;
    w.call(a, 0)?;
    let mut error = None;
    for _ in 0..8 {
        error = error.or(w.tick().err());
    }
    assert_eq!(error, Some(Trap::Engine(1).into()));
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// Both ends belong to the dead, and the writer waits synchronously.
fn trap_sync_writer_of_the_dead_purged<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const WRITES: Script =
        &[call(StreamNew(STREAM), &[], 0), run(StreamWrite(STREAM, sync_opts(A)), &[k(2), k(0), k(4)])];
    let writes = w.lift(Func::Async, async_opts(A), WRITES)?;
    let traps = w.lift(Func::Async, async_opts(A), script![Op::Trap(1)])?;
    w.call(writes, 0)?;
    assert_eq!(w.call(traps, 1), Err(Trap::Engine(1).into()));
    w.done()
}

/// Threads of every kind are there when their guest dies.
fn trap_frames_of_the_dead_discarded<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAKES: Script = &[
        run(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)]),
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 0),
        run(ThreadYieldThenResume, &[R0]),
        run(ThreadSuspend, &[]),
    ];
    w.set_table(0, A, script![run(ThreadSuspend, &[])]);
    let makes = w.lift(Func::Async, async_opts(A), MAKES)?;
    let waits = w.lift_callback(
        Func::Async,
        A,
        script![call(WaitableSetNew, &[], 0), Op::Ret(k(wait(1)))],
        script![Op::Trap(9)],
    )?;
    let inc = w.lift(Func::Sync, sync_opts(A), script![run(BackpressureInc, &[])])?;
    let traps = w.lift(Func::Sync, sync_opts(A), script![Op::Trap(1)])?;
    w.call(makes, 0)?;
    w.call(waits, 1)?;
    w.call(inc, 2)?;
    w.call(makes, 3)?;
    w.tick()?;
    assert_eq!(w.call(traps, 4), Err(Trap::Engine(1).into()));
    w.done()
}

// canon_resource_drop: lifts the destructor, or a function that does nothing, in `rt.impl`.
fn trap_resource_of_the_dead_drop_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    // RESOURCE is B's.
    let traps = w.lift(Func::Sync, sync_opts(B), script![Op::Trap(1)])?;
    let f = w.lift(
        Func::Async,
        async_opts(A),
        script![call(ResourceNew(RESOURCE), &[k(7)], 0), run(ResourceDrop(RESOURCE), &[R0]), Op::Mark(1)],
    )?;
    assert_eq!(w.call(traps, 0), Err(Trap::Engine(1).into()));
    assert_eq!(w.call(f, 1), Err(Trap::CannotEnter.into()));
    assert!(w.marks().is_empty());
    w.done()
}

/// A host function answers with a trap: its task is gone with its caller.
fn trap_in_host_function_leaves_no_task<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let host = w.lift(Func::Async, async_opts(HOST), script![Op::Trap(4)])?;
    w.lower(host, sync_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), script![run(low(0), &[])])?;
    assert_eq!(w.call(f, 0), Err(Trap::Engine(4).into()));
    w.done()
}

fn trap_callee_of_other_root_poisons_caller<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let b = w.lift(Func::Sync, sync_opts(B), script![Op::Trap(3)])?;
    w.lower(b, sync_opts(A))?;
    let a = w.lift(Func::Sync, sync_opts(A), script![run(low(0), &[])])?;
    assert_eq!(w.call(a, 0), Err(Trap::Engine(3).into()));
    assert_eq!(w.call(a, 1), Err(Trap::CannotEnter.into()));
    w.done()
}

/// The arguments of a queued call point nowhere. It is the caller's fault; the callee ran no code of its own.
fn trap_bad_arguments_of_a_queued_call_blame_the_caller<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let inc = w.lift(Func::Async, async_opts(B), INC)?;
    let callee = w.lift(Func::Async5, async_opts(B), script![Op::Mark(1), run(task_return(B), &[])])?;
    let dec = w.lift(Func::Sync, sync_opts(B), script![run(BackpressureDec, &[])])?;
    w.lower(callee, async_opts(A))?;
    let a = w.lift(
        Func::Async,
        async_opts(A),
        script![run(low(0), &[k(1 << 20)]), run(task_return(A), &[]), run(ThreadSuspend, &[])],
    )?;
    w.call(inc, 0)?;
    w.call(a, 1)?;
    w.call(dec, 2)?;
    assert_eq!(w.tick(), Err(Trap::OutOfBounds.into()));
    assert!(w.marks().is_empty());
    // The caller is dead; the callee, which ran nothing, serves the next.
    assert_eq!(w.call(a, 3), Err(Trap::CannotEnter.into()));
    w.call(inc, 4)?;
    assert_eq!(w.ended(4), Ended::Returned(0));
    w.call(dec, 5)?;
    w.done()
}

/// The engine fails while it suspends a thread that switches to another. That one is never resumed, also not when
/// a thread of another guest blocks.
fn trap_in_a_switch_its_target_never_resumed<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    w.set_table(0, A, script![Op::Mark(1)]);
    const SWITCHES: Script = &[
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 0),
        run(ThreadSuspendThenResume, &[R0]),
    ];
    let switches = w.lift(Func::Async, async_opts(A), SWITCHES)?;
    let blocks = script![run(ThreadYield, &[]), Op::Mark(2), run(task_return(B), &[])];
    let blocks = w.lift(Func::Async, async_opts(B), blocks)?;
    w.suspend_fails = Some(Trap::Engine(8).into());
    assert_eq!(w.call(switches, 0), Err(Trap::Engine(8).into()));
    w.call(blocks, 1)?;
    w.ticks()?;
    assert_eq!(w.ended(1), Ended::Returned(0));
    assert_eq!(w.marks(), [2]);
    w.done()
}

/// The instance's thread table is full when the host calls: `Capacity`, and nothing has changed.
fn call_without_room_for_its_thread_changes_nothing<P: Profile>() -> Result<(), Error> {
    const NEW: Op = run(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)]);
    // Leaves two threads and one task.
    const MAKES: Script = &[NEW, NEW, run(task_return(A), &[])];
    // Leaves one of each until the next tick.
    const YIELDS: Script = &[run(task_return(A), &[]), run(ThreadYield, &[])];
    // How many tasks of the first kind it takes depends on the profile; a heap is not filled.
    for makes in 1..8 {
        let mut w = World::<P>::new(&[None])?;
        w.set_table(0, A, script![Op::Mark(1)]);
        let f = w.lift(Func::Async, async_opts(A), MAKES)?;
        let g = w.lift(Func::Async, async_opts(A), YIELDS)?;
        for number in 0..makes {
            if w.call(f, number).is_err() {
                return Ok(());
            }
        }
        let error = (10..20).find_map(|number| w.call(g, number).err());
        w.ticks()?;
        if error == Some(Error::capacity(Resource::ThreadIndices)) {
            w.call(g, 20)?;
            assert_eq!(w.ended(20), Ended::Returned(0));
            return Ok(());
        }
    }
    Ok(())
}

fn call_without_room_for_its_task_changes_nothing<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), script![run(ThreadYield, &[]), run(task_return(A), &[])])?;
    let error = (0..20).find_map(|number| w.call(f, number).err());
    assert!(matches!(error, None | Some(Error::Capacity(_))), "{error:?}");
    w.ticks()?;
    // As before: it can be called again.
    w.call(f, 40)?;
    w.ticks()?;
    assert_eq!(w.ended(40), Ended::Returned(0));
    w.done()
}

/// A queued call becomes ready while the instance's thread table is full: it enters when there is room again, and its
/// instance is none the worse for it.
fn tick_without_room_for_a_queued_calls_thread_keeps_it<P: Profile>() -> Result<(), Error> {
    const NEW: Builtin = ThreadNewIndirect(TableRef::from_index(0));
    const MAKES: Script = &[call(NEW, &[k(0), k(0)], 0), Op::SetG(0, R0), run(task_return(A), &[])];
    // Makes as many threads as global 1 says, all of them ready, and waits.
    const FILLS: Script = &[
        run(BackpressureDec, &[]),
        Op::Set(0, G1),
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(1), k(0)], 1),
        run(ThreadResumeLater, &[R1]),
        Op::Loop(0, 2),
        run(ThreadYield, &[]),
    ];
    // A heap is not filled.
    for extra in 1..12 {
        let mut w = World::<P>::new(&[None])?;
        w.set_global(1, extra);
        w.set_table(0, A, FILLS);
        w.set_table(1, A, script![Op::Mark(1)]);
        let makes = w.lift(Func::Async, async_opts(A), MAKES)?;
        let inc = w.lift(
            Func::Sync,
            sync_opts(A),
            script![run(BackpressureInc, &[]), run(ThreadResumeLater, &[G0])],
        )?;
        let queued = w.lift(Func::Async, async_opts(A), script![Op::Mark(2), run(task_return(A), &[])])?;
        w.call(makes, 0)?;
        w.call(inc, 1)?;
        w.call(queued, 2)?;
        if w.tick().is_err() {
            // The guest itself ran out.
            return Ok(());
        }
        for _ in 0..20 {
            let ticked = w.tick();
            assert!(matches!(ticked, Ok(_) | Err(Error::Capacity(_))), "{ticked:?}");
        }
        assert_eq!(w.ended(2), Ended::Returned(0));
        w.done()?;
    }
    Ok(())
}
