//! 🧵 `thread.*`, and what the design's section 6 promises of `run`.

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
    thread_hand_offs_a_million_constant_depth,
    thread_yield_hand_offs_constant_depth,
    thread_resolves_its_task_for_the_implicit_one,
    thread_switch_inside_sync_typed_loop,
    thread_switch_from_callback_run_at_once,
    thread_switch_from_callback_run_by_tick,
    thread_new_target_that_never_ran_is_freed_by_trap,
    thread_new_target_that_never_ran_keeps_its_task,
    thread_index_is_reused_last_in_first_out,
    thread_resume_later_runs_in_order,
    thread_suspend_then_promote_ready_runs_at_once,
    thread_suspend_then_promote_not_ready_suspends,
    thread_then_promote_itself_traps,
    thread_yield_then_promote_ready_runs_first,
    thread_yield_then_promote_not_ready_yields,
    thread_yield_then_resume_runs_first,
    thread_promote_set_waiter_takes_the_event,
    thread_outlives_implicit_and_returns,
    thread_last_exit_without_return_traps,
    thread_engine_cannot_suspend_traps,
    thread_sync_typed_blocks_alone_traps,
    thread_sync_typed_blocks_others_go_on,
    thread_sync_typed_skips_callback_threads,
    thread_of_a_task_seen_by_the_host,
}

const T: TableRef = TableRef::from_index(0);
const NEW: Builtin = ThreadNewIndirect(T);

// Thread.resume: the loop over `switch_to`.
fn thread_hand_offs_a_million_constant_depth<P: Profile>() -> Result<(), Error> {
    // An emulated microcontroller takes a minute for a million, and has so little stack that as many show it.
    const EACH: u64 = if cfg!(target_os = "none") { 20_000 } else { 500_000 };
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        call(ThreadIndex, &[], 1),
        call(NEW, &[k(0), R1], 0),
        Op::SetG(0, R0),
        Op::Set(2, k(EACH)),
        run(ThreadSuspendThenResume, &[R0]),
        Op::Loop(2, 4),
        run(task_return(A), &[]),
        run(ThreadResumeLater, &[G0]),
    ];
    const OTHER: Script =
        &[Op::Set(2, k(EACH)), run(ThreadSuspendThenResume, &[R0]), Op::Loop(2, 1), Op::Mark(1)];
    w.set_table(0, A, OTHER);
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    assert_eq!(w.max_depth, 1);
    w.done()
}

fn thread_yield_hand_offs_constant_depth<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        call(NEW, &[k(0), k(0)], 0),
        run(ThreadResumeLater, &[R0]),
        Op::Set(2, k(1000)),
        run(ThreadYieldThenPromote, &[R0]),
        Op::Loop(2, 3),
        run(task_return(A), &[]),
    ];
    const OTHER: Script = &[Op::Set(2, k(2000)), run(ThreadYield, &[]), Op::Loop(2, 1)];
    w.set_table(0, A, OTHER);
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    w.call(f, 0)?;
    let mut ticks = 0;
    while w.tick()? {
        ticks += 1;
    }
    assert!(ticks > 1000);
    assert_eq!(w.max_depth, 1);
    w.done()
}

/// A's task is resolved by thread B of it.
fn thread_resolves_its_task_for_the_implicit_one<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        call(ThreadIndex, &[], 1),
        call(NEW, &[k(0), R1], 0),
        run(ThreadSuspendThenResume, &[R0]),
        Op::Mark(2),
    ];
    const OTHER: Script = &[run(task_return_u32(A), &[k(42)]), Op::Mark(1), run(ThreadResumeLater, &[R0])];
    w.set_table(0, A, OTHER);
    let f = w.lift(Func::AsyncU32, async_opts(A), MAIN)?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(42));
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

// canon_lift: the loop for function types without `async`.
fn thread_switch_inside_sync_typed_loop<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const MAIN: Script = &[
        call(ThreadIndex, &[], 1),
        call(NEW, &[k(0), R1], 2),
        Op::Mark(1),
        // The other one makes this ready and yields; the loop then resumes this, which switches to it again.
        run(ThreadSuspendThenResume, &[R2]),
        Op::Mark(3),
        run(ThreadYieldThenPromote, &[R2]),
        Op::Mark(5),
        Op::Ret(k(9)),
    ];
    const OTHER: Script = &[Op::Mark(2), run(ThreadResumeLater, &[R0]), run(ThreadYield, &[]), Op::Mark(4)];
    w.set_table(0, B, OTHER);
    let b = w.lift(Func::SyncU32, sync_opts(B), MAIN)?;
    w.lower(b, sync_opts(A))?;
    let f =
        w.lift(Func::Sync, sync_opts(A), script![call(low(0), &[k(0)], 0), Op::Eq(R0, k(9)), Op::Mark(6)])?;
    w.call(f, 0)?;
    let marks = w.marks();
    assert_eq!((marks.first(), marks.get(1), marks.last()), (Some(&1), Some(&2), Some(&6)));
    assert_eq!(marks.len(), 6);
    w.done()
}

/// A callback that is called at once (its set had an event) switches to another thread, which runs then and there.
fn thread_switch_from_callback_run_at_once<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        call(StreamNew(STREAM), &[], 0),
        call(WaitableSetNew, &[], 0),
        Op::Eq(R0, k(3)),
        run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)]),
        run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(1)]),
        run(WaitableJoin, &[k(1), R0]),
        Op::Ret(k(wait(3))),
    ];
    w.set_table(0, A, OTHER_THREAD);
    let f = w.lift_callback(Func::Async, A, MAIN, SWITCHES)?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1, 2]);
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.done()
}
const SWITCHES: Script = &[
    Op::Eq(R0, k(2)),
    run(StreamDropReadable(STREAM), &[k(1)]),
    run(StreamDropWritable(STREAM), &[k(2)]),
    run(WaitableSetDrop, &[k(3)]),
    call(ThreadIndex, &[], 0),
    call(NEW, &[k(0), R0], 1),
    Op::Mark(1),
    run(ThreadSuspendThenResume, &[R1]),
    Op::Mark(3),
    Op::Ret(k(EXIT)),
];
const OTHER_THREAD: Script = &[Op::Mark(2), run(task_return(A), &[]), run(ThreadResumeLater, &[R0])];

/// The same where the callback waited first.
fn thread_switch_from_callback_run_by_tick<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        call(StreamNew(STREAM), &[], 0),
        call(WaitableSetNew, &[], 0),
        Op::Eq(R0, k(3)),
        run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)]),
        run(WaitableJoin, &[k(1), R0]),
        Op::Ret(k(wait(3))),
    ];
    w.set_table(0, A, OTHER_THREAD);
    let f = w.lift_callback(Func::Async, A, MAIN, SWITCHES)?;
    let write = script![run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(1)])];
    let write = w.lift(Func::Sync, sync_opts(A), write)?;
    w.call(f, 0)?;
    w.call(write, 1)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 3]);
    w.done()
}

fn thread_new_target_that_never_ran_is_freed_by_trap<P: Profile>() -> Result<(), Error> {
    super::one_traps::<P>(script![run(StreamDropReadable(STREAM), &[k(1)])], Trap::UnknownHandle(1))?;
    let mut w = World::<P>::new(&[None])?;
    w.set_table(0, A, script![Op::Mark(1)]);
    let f = w.lift(Func::Async, async_opts(A), script![run(NEW, &[k(0), k(0)]), Op::Trap(1)])?;
    assert_eq!(w.call(f, 0), Err(Trap::Engine(1).into()));
    assert!(w.marks().is_empty());
    w.done()
}

fn thread_new_target_that_never_ran_keeps_its_task<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.set_table(0, A, script![Op::Mark(1)]);
    let f = w.lift(
        Func::Async,
        async_opts(A),
        script![call(NEW, &[k(0), k(0)], 0), Op::SetG(0, R0), run(task_return(A), &[])],
    )?;
    let resume = w.lift(Func::Sync, sync_opts(A), script![run(ThreadResumeLater, &[G0])])?;
    w.call(f, 0)?;
    assert_eq!(w.ticks()?, 0);
    w.call(resume, 1)?;
    assert_eq!(w.ticks()?, 1);
    assert_eq!(w.marks(), [1]);
    w.done()
}

// Table.add: the last freed index comes first.
fn thread_index_is_reused_last_in_first_out<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        call(ThreadIndex, &[], 0),
        Op::Eq(R0, k(1)),
        call(NEW, &[k(0), k(0)], 0),
        Op::Eq(R0, k(2)),
        run(ThreadYieldThenResume, &[R0]),
        call(NEW, &[k(0), k(0)], 0),
        Op::Eq(R0, k(2)),
        run(ThreadYieldThenResume, &[R0]),
        run(task_return(A), &[]),
    ];
    w.set_table(0, A, script![Op::Mark(1)]);
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    w.call(f, 0)?;
    w.ticks()?;
    w.done()
}

fn thread_resume_later_runs_in_order<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        call(NEW, &[k(0), k(0)], 0),
        call(NEW, &[k(1), k(0)], 1),
        run(ThreadResumeLater, &[R1]),
        run(ThreadResumeLater, &[R0]),
        run(task_return(A), &[]),
        Op::Mark(9),
    ];
    w.set_table(0, A, script![Op::Mark(1)]);
    w.set_table(1, A, script![Op::Mark(2)]);
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    w.call(f, 0)?;
    assert_eq!(w.ticks()?, 2);
    assert_eq!(w.marks(), [9, 2, 1]);
    w.done()
}

/// Runs a script with a thread (function 0 of the table) that marks 1; what it marked after the call and at the end.
fn promote<P: Profile>(main: Script, called: &[u32], all: &[u32]) -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.set_table(0, A, script![Op::Mark(1), Op::Jump(R0, 3), Op::Ret(k(0)), run(ThreadResumeLater, &[R0])]);
    let f = w.lift(Func::Async, async_opts(A), main)?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), called);
    w.ticks()?;
    assert_eq!(w.marks(), all);
    w.done()
}

// Thread.suspend_then_promote
fn thread_suspend_then_promote_ready_runs_at_once<P: Profile>() -> Result<(), Error> {
    const MAIN: Script = &[
        call(ThreadIndex, &[], 1),
        call(NEW, &[k(0), R1], 0),
        run(ThreadResumeLater, &[R0]),
        run(task_return(A), &[]),
        run(ThreadSuspendThenPromote, &[R0]),
        Op::Mark(2),
    ];
    promote::<P>(MAIN, &[1], &[1, 2])
}

fn thread_suspend_then_promote_not_ready_suspends<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        call(NEW, &[k(0), k(0)], 0),
        Op::SetG(0, R0),
        call(ThreadIndex, &[], 1),
        Op::SetG(1, R1),
        run(task_return(A), &[]),
        run(ThreadSuspendThenPromote, &[R0]),
        Op::Mark(2),
    ];
    w.set_table(0, A, script![Op::Mark(1)]);
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    let resume = w.lift(
        Func::Sync,
        sync_opts(A),
        script![run(ThreadResumeLater, &[G1]), run(ThreadResumeLater, &[G0])],
    )?;
    w.call(f, 0)?;
    assert_eq!(w.ticks()?, 0);
    w.call(resume, 1)?;
    w.ticks()?;
    assert_eq!(w.marks(), [2, 1]);
    w.done()
}

// #687: mostly a guest's mistake.
fn thread_then_promote_itself_traps<P: Profile>() -> Result<(), Error> {
    for script in [
        script![call(ThreadIndex, &[], 0), run(ThreadSuspendThenPromote, &[R0])],
        script![call(ThreadIndex, &[], 0), run(ThreadYieldThenPromote, &[R0])],
        script![call(ThreadIndex, &[], 0), run(ThreadSuspendThenResume, &[R0])],
        script![call(ThreadIndex, &[], 0), run(ThreadYieldThenResume, &[R0])],
    ] {
        super::one_traps::<P>(script, Trap::ThreadNotSuspended(1))?;
    }
    Ok(())
}

fn thread_yield_then_promote_ready_runs_first<P: Profile>() -> Result<(), Error> {
    const MAIN: Script = &[
        call(NEW, &[k(0), k(0)], 0),
        run(ThreadResumeLater, &[R0]),
        run(task_return(A), &[]),
        run(ThreadYieldThenPromote, &[R0]),
        Op::Mark(2),
    ];
    promote::<P>(MAIN, &[1], &[1, 2])
}

fn thread_yield_then_promote_not_ready_yields<P: Profile>() -> Result<(), Error> {
    const MAIN: Script = &[
        call(NEW, &[k(0), k(0)], 0),
        run(task_return(A), &[]),
        run(ThreadYieldThenPromote, &[R0]),
        Op::Mark(2),
        run(ThreadResumeLater, &[R0]),
    ];
    promote::<P>(MAIN, &[], &[2, 1])
}

fn thread_yield_then_resume_runs_first<P: Profile>() -> Result<(), Error> {
    const MAIN: Script = &[
        call(NEW, &[k(0), k(0)], 0),
        run(task_return(A), &[]),
        run(ThreadYieldThenResume, &[R0]),
        Op::Mark(2),
    ];
    promote::<P>(MAIN, &[1], &[1, 2])
}

/// The thread that is promoted waits for a set that has an event: it takes it there and then.
fn thread_promote_set_waiter_takes_the_event<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        run(StreamNew(STREAM), &[]),
        run(WaitableSetNew, &[]),
        run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)]),
        run(WaitableJoin, &[k(1), k(3)]),
        call(NEW, &[k(0), k(0)], 0),
        run(ThreadYieldThenResume, &[R0]),
        run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(1)]),
        run(ThreadYieldThenPromote, &[R0]),
        Op::Mark(2),
        run(StreamDropReadable(STREAM), &[k(1)]),
        run(StreamDropWritable(STREAM), &[k(2)]),
        run(WaitableSetDrop, &[k(3)]),
        run(task_return(A), &[]),
    ];
    w.set_table(
        0,
        A,
        script![call(WaitableSetWait(memory(A)), &[k(3), k(16)], 1), Op::Eq(R1, k(2)), Op::Mark(1)],
    );
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    w.call(f, 0)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

fn thread_outlives_implicit_and_returns<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[call(NEW, &[k(0), k(0)], 0), run(ThreadResumeLater, &[R0])];
    w.set_table(0, A, script![run(task_return(A), &[])]);
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::No);
    w.ticks()?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

// Task.unregister_thread
fn thread_last_exit_without_return_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[call(NEW, &[k(0), k(0)], 0), run(ThreadResumeLater, &[R0])];
    w.set_table(0, A, script![Op::Mark(1)]);
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    w.call(f, 0)?;
    assert_eq!(w.tick(), Err(Trap::NoReturn.into()));
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// An engine that can't suspend runs callbacks all the same; a blocking built-in traps.
fn thread_engine_cannot_suspend_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.can_suspend = false;
    let callback = script![run(task_return(A), &[]), Op::Ret(k(EXIT))];
    let f = w.lift_callback(Func::Async, A, script![Op::Ret(k(YIELD))], callback)?;
    let g = w.lift(Func::Async, async_opts(A), script![run(ThreadYield, &[])])?;
    w.call(f, 0)?;
    w.ticks()?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    assert_eq!(w.call(g, 1), Err(Trap::CannotSuspend.into()));
    w.done()
}

// canon_lift: `trap_if(not candidates)`.
fn thread_sync_typed_blocks_alone_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Sync, sync_opts(A), script![run(ThreadSuspend, &[])])?;
    assert_eq!(w.call(f, 0), Err(Trap::CannotBlockSync.into()));
    w.done()
}

fn thread_sync_typed_blocks_others_go_on<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    // A task of before leaves a thread, which resumes the one that blocks.
    const LEAVES: Script =
        &[call(NEW, &[k(0), k(0)], 0), run(ThreadResumeLater, &[R0]), run(task_return(A), &[])];
    w.set_table(0, A, script![Op::Mark(1), run(ThreadResumeLater, &[G0])]);
    let leaves = w.lift(Func::Async, async_opts(A), LEAVES)?;
    let f = w.lift(
        Func::Sync,
        sync_opts(A),
        script![call(ThreadIndex, &[], 0), Op::SetG(0, R0), run(ThreadSuspend, &[]), Op::Mark(2)],
    )?;
    w.call(leaves, 0)?;
    w.call(f, 1)?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

// canon_lift: `t is not inst.exclusive_thread`, and the implicit threads of tasks that need the lock.
fn thread_sync_typed_skips_callback_threads<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift_callback(Func::Async, A, script![Op::Ret(k(YIELD))], script![Op::Mark(1)])?;
    let g =
        w.lift(Func::Sync, sync_opts(A), script![run(ThreadYield, &[]), run(ThreadYield, &[]), Op::Mark(2)])?;
    let end = w.lift(Func::Sync, sync_opts(A), script![Op::Trap(1)])?;
    w.call(f, 0)?;
    w.call(g, 1)?;
    assert_eq!(w.marks(), [2]);
    assert!(w.call(end, 2).is_err());
    w.done()
}

/// What an embedder reads of a task and its threads.
fn thread_of_a_task_seen_by_the_host<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.set_table(0, A, script![Op::Mark(1)]);
    const MAIN: Script = &[
        run(ContextSet(1), &[k(8)]),
        call(NEW, &[k(0), k(0)], 0),
        run(ThreadYield, &[]),
        run(ThreadResumeLater, &[R0]),
        run(task_return(A), &[]),
    ];
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    let task = w.call(f, 0)?;
    let seen = w.store.task(task).expect("the task has not exited");
    assert_eq!((seen.threads(), seen.num_borrows()), (2, 0));
    let id = seen.implicit_thread().expect("the thread has not exited");
    let thread = w.store.thread(id).expect("the thread has not exited");
    assert_eq!([thread.storage(0), thread.storage(1), thread.storage(2)], [Some(0), Some(8), None]);
    assert!(w.store.is_ready(id));
    w.ticks()?;
    assert!(w.store.thread(id).is_none() && w.store.task(task).is_none());
    assert!(!w.store.is_ready(id));
    w.done()
}
