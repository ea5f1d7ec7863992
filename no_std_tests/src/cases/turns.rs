//! Readiness is not monotone: who was told may find, when its turn comes, that somebody else was faster.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::TableRef;
use canon_async::storage::Profile;
use canon_async::store::Choose;

cases! {
    waitable_set_wait_told_then_event_joins_another_set_waits_on,
    waitable_set_wait_told_then_event_cancelled_waits_on,
    waitable_set_wait_told_then_event_dropped_from_set_waits_on,
    lift_callback_told_then_lock_taken_runs_when_free,
    lift_callback_yield_then_lock_taken_runs_when_free,
    lift_callback_told_of_the_lock_finds_no_event_tells_the_next needs ThreadIndices,
    lift_entry_with_lock_enters_when_its_holder_waits,
    lift_entry_without_lock_not_behind_one_that_needs_it,
    lift_entry_told_then_backpressure_again_stays,
    lift_entry_told_then_backpressure_again_stays_the_first,
    thread_sync_typed_loop_skips_entry_waiters,
    thread_sync_typed_loop_skips_the_holder_of_the_lock,
    waitable_set_wait_event_there_deterministic_profile_lets_others_run,
    thread_yield_deterministic_profile_goes_to_the_end_of_the_queue,
    lift_exclusive_barging_lets_the_holder_run_first,
    lift_exclusive_barging_behind_backpressure_queues,
    lift_without_lock_barging_does_not_run_the_holder,
    call_behind_one_that_waits_queues_without_room,
    run_until_asks_for_answers_while_a_guest_yields,
    tick_seeded_every_order_comes_up,
    tick_ready_of_any_kind_first_come_first_served,
    tick_ready_of_any_kind_seeded_every_order_comes_up,
    tick_ready_callback_behind_a_thread_that_came_first,
}

const WAIT: Builtin = WaitableSetWait(memory(A));
const READ: Op = run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)]);
const WRITE: Op = run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(1)]);
const RETURN: Op = run(task_return(A), &[]);
const CLOSE: [Op; 3] = [
    run(StreamDropReadable(STREAM), &[k(1)]),
    run(StreamDropWritable(STREAM), &[k(2)]),
    run(WaitableSetDrop, &[k(3)]),
];
/// Waits on set 3 with the readable end of a stream in it, and closes everything when it has an event.
const WAITS: Script = &[
    run(StreamNew(STREAM), &[]),
    run(WaitableSetNew, &[]),
    READ,
    run(WaitableJoin, &[k(1), k(3)]),
    call(WAIT, &[k(3), k(64)], 0),
    Op::Eq(R0, k(2)),
    Op::Mark(1),
    CLOSE[0],
    CLOSE[1],
    CLOSE[2],
    RETURN,
];

fn sync<P: Profile>(w: &mut World<P>, number: u32, script: Script) -> Result<(), Error> {
    let f = w.lift(Func::Sync, sync_opts(A), script)?;
    w.call(f, number)?;
    Ok(())
}

// Waitable.join: the event goes with its waitable, to whoever waits there.
fn waitable_set_wait_told_then_event_joins_another_set_waits_on<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let first = w.lift(Func::Async, async_opts(A), WAITS)?;
    const SECOND: Script = &[
        call(WaitableSetNew, &[], 0),
        call(WAIT, &[R0, k(72)], 1),
        Op::Eq(R1, k(2)),
        Op::Mark(2),
        run(WaitableJoin, &[k(1), k(3)]),
        run(WaitableSetDrop, &[R0]),
        READ,
        RETURN,
    ];
    let second = w.lift(Func::Async, async_opts(A), SECOND)?;
    w.call(first, 0)?;
    w.call(second, 1)?;
    sync(&mut w, 2, script![WRITE, run(WaitableJoin, &[k(1), k(4)])])?;
    w.ticks()?;
    assert_eq!(w.marks(), [2]);
    sync(&mut w, 3, script![WRITE])?;
    w.ticks()?;
    assert_eq!(w.marks(), [2, 1]);
    w.done()
}

// cancel_copy takes the event that the waiter was told of.
fn waitable_set_wait_told_then_event_cancelled_waits_on<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), WAITS)?;
    w.call(f, 0)?;
    const CANCEL: Script =
        &[WRITE, call(StreamCancelRead(STREAM, true), &[k(1)], 0), Op::Eq(R0, k(1 << 4 | 2))];
    sync(&mut w, 1, CANCEL)?;
    assert_eq!(w.ticks()?, 0);
    assert!(w.marks().is_empty());
    sync(&mut w, 2, script![READ, WRITE])?;
    assert_eq!(w.ticks()?, 1);
    assert_eq!(w.marks(), [1]);
    w.done()
}

fn waitable_set_wait_told_then_event_dropped_from_set_waits_on<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), WAITS)?;
    w.call(f, 0)?;
    sync(&mut w, 1, script![WRITE, run(WaitableJoin, &[k(1), k(0)])])?;
    assert_eq!(w.ticks()?, 0);
    assert!(w.marks().is_empty());
    sync(&mut w, 2, script![run(WaitableJoin, &[k(1), k(3)])])?;
    assert_eq!(w.ticks()?, 1);
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// Lifted without `async`, of an async type: holds the exclusive lock while it blocks.
const HOLDS: Script =
    &[Op::Mark(1), run(ThreadYield, &[]), run(ThreadYield, &[]), run(ThreadYield, &[]), Op::Mark(2)];

// canon_lift: `wait_for_event_and(lambda: not inst.exclusive_thread)`
fn lift_callback_told_then_lock_taken_runs_when_free<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const SET_UP: Script = &[WAITS[0], WAITS[1], WAITS[2], WAITS[3], Op::Ret(k(wait(3)))];
    const CALLBACK: Script = &[Op::Eq(R0, k(2)), Op::Mark(3), CLOSE[0], CLOSE[1], CLOSE[2], RETURN];
    let waits = w.lift_callback(Func::Async, A, SET_UP, CALLBACK)?;
    let holds = w.lift(Func::Async, sync_opts(A), HOLDS)?;
    w.call(waits, 0)?;
    sync(&mut w, 1, script![WRITE])?;
    // The callback's task has been told; the lock is taken before its turn.
    w.call(holds, 2)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.done()
}

// canon_lift: `wait_until(lambda: not inst.exclusive_thread)`
fn lift_callback_yield_then_lock_taken_runs_when_free<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let yields = w.lift_callback(Func::Async, A, script![Op::Ret(k(YIELD))], script![Op::Mark(3), RETURN])?;
    let holds = w.lift(Func::Async, sync_opts(A), HOLDS)?;
    w.call(yields, 0)?;
    w.call(holds, 1)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.done()
}

// Two tasks want the lock, one for an event. It is told first that the lock is free, and does not take it, as its event is
// gone by then: the other one must be told.
fn lift_callback_told_of_the_lock_finds_no_event_tells_the_next<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const SET_UP: Script = &[WAITS[0], WAITS[1], WAITS[2], WAITS[3], Op::Ret(k(wait(3)))];
    const CALLBACK: Script = &[Op::Eq(R0, k(2)), Op::Mark(4), CLOSE[0], CLOSE[1], CLOSE[2], RETURN];
    let waits = w.lift_callback(Func::Async, A, SET_UP, CALLBACK)?;
    let yields = w.lift_callback(Func::Async, A, script![Op::Ret(k(YIELD))], script![Op::Mark(3), RETURN])?;
    let holds = w.lift(Func::Async, sync_opts(A), script![run(ThreadSuspend, &[]), Op::Mark(1)])?;
    w.call(waits, 0)?;
    sync(&mut w, 1, script![WRITE])?;
    w.call(yields, 2)?;
    w.call(holds, 3)?;
    // Both had their turn, and found that somebody holds the lock.
    assert_eq!(w.ticks()?, 0);
    sync(&mut w, 4, script![run(ThreadResumeLater, &[k(3)])])?;
    assert!(w.tick()?);
    assert_eq!(w.marks(), [1]);
    sync(
        &mut w,
        5,
        script![call(WaitableSetPoll(memory(A)), &[k(3), k(64)], 0), Op::Eq(R0, k(2)), Op::Mark(2)],
    )?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    sync(&mut w, 6, script![READ, WRITE])?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3, 4]);
    w.done()
}

// Task.enter_implicit_thread: each waits for its own condition. In one queue the second would wait for a lock that it does
// not take, and here for ever, since it is who lets the holder go on.
fn lift_entry_without_lock_not_behind_one_that_needs_it<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let holds =
        w.lift(Func::Async, sync_opts(A), script![Op::Mark(1), run(ThreadSuspend, &[]), Op::Mark(3)])?;
    let needs = w.lift_callback(Func::Async, A, script![Op::Mark(4), RETURN], script![])?;
    let other =
        w.lift(Func::Async, async_opts(A), script![Op::Mark(2), run(ThreadResumeLater, &[k(1)]), RETURN])?;
    w.call(holds, 0)?;
    w.call(needs, 1)?;
    w.call(other, 2)?;
    assert_eq!(w.marks(), [1]);
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3, 4]);
    w.done()
}

// The holder of the lock goes to wait in its callback loop, and nobody exits.
fn lift_entry_with_lock_enters_when_its_holder_waits<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const HOLDER: Script = &[
        call(ThreadIndex, &[], 0),
        Op::SetG(0, R0),
        Op::Mark(1),
        run(ThreadSuspend, &[]),
        run(WaitableSetNew, &[]),
        Op::Ret(k(wait(1))),
    ];
    let holder = w.lift_callback(Func::Async, A, HOLDER, script![])?;
    let next = w.lift_callback(Func::Async, A, script![Op::Mark(2), RETURN], script![])?;
    w.call(holder, 0)?;
    w.call(next, 1)?;
    sync(&mut w, 2, script![run(ThreadResumeLater, &[G0])])?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2]);
    let end = w.lift(Func::Sync, sync_opts(A), script![Op::Trap(1)])?;
    assert!(w.call(end, 3).is_err());
    w.done()
}

// A call that waits is told when backpressure ends, and asked again when its turn comes.
fn lift_entry_told_then_backpressure_again_stays<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let yields = w.lift(
        Func::Async,
        async_opts(A),
        script![
            run(ThreadYield, &[]),
            run(BackpressureInc, &[]),
            run(ThreadYield, &[]),
            Op::Mark(1),
            run(BackpressureDec, &[]),
            RETURN
        ],
    )?;
    let waits = w.lift(Func::Async, async_opts(A), script![Op::Mark(2), RETURN])?;
    w.call(yields, 0)?;
    sync(&mut w, 1, script![run(BackpressureInc, &[])])?;
    w.call(waits, 2)?;
    sync(&mut w, 3, script![run(BackpressureDec, &[])])?;
    w.ticks()?;
    assert!(w.marks() == [1, 2] || w.marks() == [2, 1], "{:?}", w.marks());
    w.done()
}

// canon_lift: `candidates` are among `inst.threads`, where those who wait to enter are not.
fn thread_sync_typed_loop_skips_entry_waiters<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let waits = w.lift(Func::Async, async_opts(A), script![Op::Mark(3), RETURN])?;
    sync(&mut w, 0, script![run(BackpressureInc, &[])])?;
    w.call(waits, 1)?;
    sync(&mut w, 2, script![run(BackpressureDec, &[]), Op::Mark(1), run(ThreadYield, &[]), Op::Mark(2)])?;
    assert_eq!(w.marks(), [1, 2]);
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.done()
}

// canon_lift: `t is not inst.exclusive_thread`
fn thread_sync_typed_loop_skips_the_holder_of_the_lock<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let holds = w.lift(Func::Async, sync_opts(A), HOLDS)?;
    w.call(holds, 0)?;
    sync(&mut w, 1, script![run(ThreadYield, &[]), run(ThreadYield, &[]), Op::Mark(5)])?;
    assert_eq!(w.marks(), [1, 5]);
    w.ticks()?;
    assert_eq!(w.marks(), [1, 5, 2]);
    w.done()
}

// DETERMINISTIC_PROFILE: `wait_until` does not return at once, though its condition holds.
fn waitable_set_wait_event_there_deterministic_profile_lets_others_run<P: Profile>() -> Result<(), Error> {
    const MAIN: Script = &[
        WAITS[0],
        WAITS[1],
        WAITS[2],
        WAITS[3],
        WRITE,
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 1),
        run(ThreadResumeLater, &[R1]),
        WAITS[4],
        WAITS[5],
        WAITS[6],
        CLOSE[0],
        CLOSE[1],
        CLOSE[2],
        RETURN,
    ];
    for (choose, marks) in [(Choose::Eager, [1, 2]), (Choose::Spec, [2, 1])] {
        let mut w = World::<P>::new(&[None])?;
        w.store.set_choose(choose);
        w.set_table(0, A, script![Op::Mark(2)]);
        let f = w.lift(Func::Async, async_opts(A), MAIN)?;
        w.call(f, 0)?;
        w.ticks()?;
        assert_eq!(w.marks(), marks);
        w.done()?;
    }
    Ok(())
}

fn thread_yield_deterministic_profile_goes_to_the_end_of_the_queue<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.store.set_choose(Choose::Spec);
    w.set_table(0, A, script![Op::Mark(1), run(ThreadYield, &[]), Op::Mark(3)]);
    const MAIN: Script = &[
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 1),
        run(ThreadResumeLater, &[R1]),
        run(ThreadYield, &[]),
        Op::Mark(2),
        run(ThreadYield, &[]),
        Op::Mark(4),
        RETURN,
    ];
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    w.call(f, 0)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3, 4]);
    w.done()
}

/// Under `Choose::Barging`: a call that would wait for nothing but the lock lets the holder, which is ready, run first.
fn lift_exclusive_barging_lets_the_holder_run_first<P: Profile>() -> Result<(), Error> {
    const HOLDS: Script = &[Op::Mark(1), run(ThreadYield, &[]), Op::Mark(2)];
    for (choose, marks) in [(Choose::Barging, &[1, 2, 1][..]), (Choose::Eager, &[1][..])] {
        let mut w = World::<P>::new(&[None])?;
        w.store.set_choose(choose);
        let holds = w.lift(Func::Async, sync_opts(A), HOLDS)?;
        w.call(holds, 0)?;
        w.call(holds, 1)?;
        assert_eq!(w.marks(), marks);
        w.ticks()?;
        assert_eq!(w.marks(), [1, 2, 1, 2]);
        w.done()?;
    }
    Ok(())
}

fn lift_exclusive_barging_behind_backpressure_queues<P: Profile>() -> Result<(), Error> {
    const HOLDS: Script = &[Op::Mark(1), run(BackpressureInc, &[]), run(ThreadYield, &[]), Op::Mark(2)];
    let mut w = World::<P>::new(&[None])?;
    w.store.set_choose(Choose::Barging);
    let holds = w.lift(Func::Async, sync_opts(A), HOLDS)?;
    w.call(holds, 0)?;
    w.call(holds, 1)?;
    // The call waits for the end of backpressure, whatever the holder does.
    assert_eq!(w.marks(), [1]);
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2]);
    sync(&mut w, 2, script![run(BackpressureDec, &[])])?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 1, 2]);
    w.done()
}

/// A guest that yields until its host call returns leaves the store never idle: answers are asked for all the same.
fn run_until_asks_for_answers_while_a_guest_yields<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.answer_on_poll = true;
    let host = w.lift(Func::Async, sync_opts(HOST), script![Op::Later, Op::SetG(0, k(1))])?;
    w.lower(host, async_opts(A))?;
    // Each loop is far more turns than there are between two questions.
    const YIELDS: Script = &[
        run(low(0), &[]),
        Op::Set(0, k(500)),
        run(ThreadYield, &[]),
        Op::Loop(0, 2),
        Op::Eq(G0, k(1)),
        run(WaitableSetNew, &[]),
        run(WaitableJoin, &[k(1), k(2)]),
        run(WAIT, &[k(2), k(64)]),
        run(SubtaskDrop, &[k(1)]),
        run(WaitableSetDrop, &[k(2)]),
        // There is no question while nothing is to be answered: `World::poll_answers` would panic.
        Op::Set(0, k(500)),
        run(ThreadYield, &[]),
        Op::Loop(0, 11),
        RETURN,
    ];
    let f = w.lift(Func::Async, async_opts(A), YIELDS)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

/// What these seeds do; each of them twice the same.
fn outcomes<P: Profile>(
    run: impl Fn(&mut World<P>) -> Result<u64, Error>,
) -> Result<[bool; 2], Error> {
    let mut seen = [false; 2];
    for seed in 0..32 {
        let mut last = None;
        for _ in 0..2 {
            let mut w = World::<P>::new(&[None, None])?;
            w.store.set_choose(Choose::Seeded(seed));
            let outcome = run(&mut w)?;
            assert_eq!(*last.get_or_insert(outcome), outcome, "seed {seed}");
            seen[outcome as usize] = true;
            w.done()?;
        }
    }
    Ok(seen)
}

/// Under seeds, which thread of an instance runs first, which instance, and which event of a set comes first, is drawn.
fn tick_seeded_every_order_comes_up<P: Profile>() -> Result<(), Error> {
    const YIELDS: Script = &[run(ThreadYield, &[]), Op::Mark(0), RETURN];
    const THEN: Script = &[run(ThreadYield, &[]), Op::Mark(1), RETURN];
    const OTHER: Script = &[run(ThreadYield, &[]), Op::Mark(1), run(task_return(B), &[])];
    let first = |w: &mut World<P>, instance, then| {
        let one = w.lift(Func::Async, async_opts(A), YIELDS)?;
        let other = w.lift(Func::Async, async_opts(instance), then)?;
        w.call(one, 0)?;
        w.call(other, 1)?;
        w.ticks()?;
        Ok(w.marks()[0].into())
    };
    assert_eq!(outcomes(|w| first(w, A, THEN))?, [true; 2]);
    assert_eq!(outcomes(|w| first(w, B, OTHER))?, [true; 2]);
    // Two reads of streams have an event: which one is delivered first. Readable ends are 1 and 3.
    const EVENTS: Script = &[
        run(StreamNew(STREAM), &[]),
        run(StreamNew(STREAM), &[]),
        run(WaitableSetNew, &[]),
        READ,
        run(StreamRead(STREAM, async_opts(A)), &[k(3), k(0), k(4)]),
        WRITE,
        run(StreamWrite(STREAM, async_opts(A)), &[k(4), k(8), k(1)]),
        run(WaitableJoin, &[k(1), k(5)]),
        run(WaitableJoin, &[k(3), k(5)]),
        run(WaitableSetPoll(memory(A)), &[k(5), k(64)]),
        Op::Load32(0, k(64)),
        Op::Shr(0, 1),
        Op::SetG(0, R0),
        run(WaitableSetPoll(memory(A)), &[k(5), k(64)]),
        run(StreamDropReadable(STREAM), &[k(1)]),
        run(StreamDropWritable(STREAM), &[k(2)]),
        run(StreamDropReadable(STREAM), &[k(3)]),
        run(StreamDropWritable(STREAM), &[k(4)]),
        run(WaitableSetDrop, &[k(5)]),
        RETURN,
    ];
    let told = |w: &mut World<P>| {
        let f = w.lift(Func::Async, async_opts(A), EVENTS)?;
        w.call(f, 0)?;
        Ok(w.global(0))
    };
    assert_eq!(outcomes(told)?, [true; 2]);
    Ok(())
}

fn lift_without_lock_barging_does_not_run_the_holder<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.store.set_choose(Choose::Barging);
    let holds = script![Op::Mark(1), run(ThreadYield, &[]), Op::Mark(2)];
    let holds = w.lift(Func::Async, sync_opts(A), holds)?;
    let free = w.lift(Func::Async, async_opts(A), script![Op::Mark(3), RETURN])?;
    w.call(holds, 0)?;
    w.call(free, 1)?;
    assert_eq!(w.marks(), [1, 3]);
    w.ticks()?;
    w.done()
}

/// Backpressure is over, and the first call that waited for it waits for room now: the next one waits behind it.
fn call_behind_one_that_waits_queues_without_room<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::with_limits(&[None], |limits| limits.thread_indices = 1)?;
    const FIRST: Script = &[
        run(BackpressureInc, &[]),
        run(ThreadYield, &[]),
        run(BackpressureDec, &[]),
        run(ThreadYield, &[]),
        Op::Mark(1),
        RETURN,
    ];
    let first = w.lift(Func::Async, async_opts(A), FIRST)?;
    let second = w.lift(Func::Async, async_opts(A), script![Op::Mark(2), RETURN])?;
    let third = w.lift(Func::Async, async_opts(A), script![Op::Mark(3), RETURN])?;
    w.call(first, 0)?;
    w.call(second, 1)?;
    assert!(w.tick()?);
    w.call(third, 2)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.done()
}

fn lift_entry_told_then_backpressure_again_stays_the_first<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const HOLDS: Script = &[
        run(BackpressureInc, &[]),
        run(ThreadYield, &[]),
        run(BackpressureDec, &[]),
        run(BackpressureInc, &[]),
        run(ThreadYield, &[]),
        Op::Mark(1),
        run(BackpressureDec, &[]),
        RETURN,
    ];
    let holds = w.lift(Func::Async, async_opts(A), HOLDS)?;
    let second = w.lift(Func::Async, async_opts(A), script![Op::Mark(2), RETURN])?;
    let third = w.lift(Func::Async, async_opts(A), script![Op::Mark(3), RETURN])?;
    w.call(holds, 0)?;
    w.call(second, 1)?;
    w.call(third, 2)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.done()
}

/// The main thread holds its instance's lock, and was ready before the other thread, which does not, yielded.
fn two_kinds<P: Profile>(w: &mut World<P>) -> Result<(), Error> {
    const MAIN: Script = &[
        call(ThreadIndex, &[], 0),
        Op::SetG(0, R0),
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 1),
        run(ThreadSuspendThenResume, &[R1]),
        Op::Mark(2),
        run(ThreadYield, &[]),
        Op::Mark(4),
    ];
    w.set_table(0, A, script![run(ThreadResumeLater, &[G0]), Op::Mark(1), run(ThreadYield, &[]), Op::Mark(3)]);
    let f = w.lift(Func::Async, sync_opts(A), MAIN)?;
    w.call(f, 0)?;
    w.ticks().map(drop)
}

/// As Wasmtime has it; the spec leaves the order free.
fn tick_ready_of_any_kind_first_come_first_served<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    two_kinds(&mut w)?;
    assert_eq!(w.marks(), [1, 2, 3, 4]);
    w.done()
}

fn tick_ready_of_any_kind_seeded_every_order_comes_up<P: Profile>() -> Result<(), Error> {
    let second = |w: &mut World<P>| {
        two_kinds(w)?;
        Ok(u64::from(w.marks().get(1) == Some(&2)))
    };
    assert_eq!(outcomes(second)?, [true; 2]);
    Ok(())
}

/// A callback task that yields comes after threads that were ready before, and before those that come later.
fn tick_ready_callback_behind_a_thread_that_came_first<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const FREE: Script = &[run(ThreadYield, &[]), Op::Mark(1), run(ThreadYield, &[]), Op::Mark(3), RETURN];
    let free = w.lift(Func::Async, async_opts(A), FREE)?;
    let yields = w.lift_callback(
        Func::Async,
        A,
        script![Op::Ret(k(YIELD))],
        script![Op::Mark(2), RETURN, Op::Ret(k(EXIT))],
    )?;
    w.call(free, 0)?;
    w.call(yields, 1)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.done()
}
