//! `canon lift` in its three forms, the exclusive lock, post-return, resources.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Embedding;
use canon_async::Trap;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::canon::lift::{start_enter, start_leave};
use canon_async::error::{Error, Resource};
use canon_async::id::{FuncRef, InstanceId};
use canon_async::storage::Profile;

cases! {
    lift_sync_result_and_post_return,
    lift_sync_post_return_cannot_leave,
    lift_callback_exits_at_once,
    lift_callback_yields_then_none_event,
    lift_callback_waits_then_event,
    lift_callback_wait_event_there_called_at_once,
    lift_callback_wait_on_no_set_traps,
    lift_callback_code_three_traps,
    lift_callback_exit_without_return_traps,
    lift_exclusive_second_callback_call_queues,
    lift_exclusive_stackful_not_queued,
    lift_exclusive_holder_not_run_below_a_sync_call,
    lift_exclusive_released_while_waiting,
    lift_exclusive_sync_lifted_holds_while_blocked,
    lift_sync_of_async_type_blocks_fine,
    lift_stackful_returns_and_goes_on,
    resource_new_rep_drop_own,
    resource_drop_runs_destructor_of_its_instance,
    resource_own_moves_to_callee,
    resource_borrow_lent_until_delivered,
    resource_borrow_lent_twice_until_both_delivered needs Lends,
    resource_borrow_of_own_type_is_its_rep,
    resource_borrow_not_dropped_traps,
    resource_borrow_dropped_by_another_task,
    start_function_blocks_traps,
    start_function_runs,
    start_function_without_room_changes_nothing,
    start_function_reads_bad_element_kills_the_writer,
}

// canon_lift: `opts.post_return`
fn lift_sync_result_and_post_return<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let post: FuncRef = w.func(A, script![Op::Eq(R0, k(42)), Op::Mark(2)]);
    let options = w.options(sync_opts(A), |o| o.post_return = Some(post))?;
    let f = w.lift(Func::SyncU32, options, script![Op::Eq(R0, k(5)), Op::Mark(1), Op::Ret(k(42))])?;
    let leaves = w.lift(Func::Sync, sync_opts(A), script![call(WaitableSetNew, &[], 0), run(WaitableSetDrop, &[R0])])?;
    w.set_args(&[5]);
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(42));
    assert_eq!(w.marks(), [1, 2]);
    // The instance may be left again.
    w.call(leaves, 1)?;
    w.done()
}

fn lift_sync_post_return_cannot_leave<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let post: FuncRef = w.func(A, script![run(WaitableSetNew, &[])]);
    let options = w.options(sync_opts(A), |o| o.post_return = Some(post))?;
    let f = w.lift(Func::SyncU32, options, script![])?;
    assert_eq!(w.call(f, 0), Err(Trap::CannotLeave.into()));
    w.done()
}

fn lift_callback_exits_at_once<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift_callback(Func::Async, A, script![run(task_return(A), &[])], script![Op::Trap(1)])?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

fn lift_callback_yields_then_none_event<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const CALLBACK: Script = &[
        Op::Eq(R0, k(0)),
        Op::Eq(R1, k(0)),
        Op::Eq(R2, k(0)),
        Op::Mark(1),
        run(task_return(A), &[]),
        Op::Ret(k(EXIT)),
    ];
    let f = w.lift_callback(Func::Async, A, script![Op::Ret(k(YIELD))], CALLBACK)?;
    w.call(f, 0)?;
    assert!(w.marks().is_empty());
    assert_eq!(w.ticks()?, 1);
    w.done()
}

const SET_UP: Script = &[
    run(StreamNew(STREAM), &[]),
    run(WaitableSetNew, &[]),
    run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)]),
    run(WaitableJoin, &[k(1), k(3)]),
    Op::Ret(k(wait(3))),
];
const ON_READ: Script = &[
    Op::Eq(R0, k(2)),
    Op::Eq(R1, k(1)),
    Op::Eq(R2, k(1 << 4)),
    run(StreamDropReadable(STREAM), &[k(1)]),
    run(StreamDropWritable(STREAM), &[k(2)]),
    run(WaitableSetDrop, &[k(3)]),
    run(task_return(A), &[]),
    Op::Mark(1),
    Op::Ret(k(EXIT)),
];
const WRITE: Op = run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(1)]);

fn lift_callback_waits_then_event<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift_callback(Func::Async, A, SET_UP, ON_READ)?;
    let write = w.lift(Func::Sync, sync_opts(A), script![WRITE])?;
    w.call(f, 0)?;
    assert_eq!(w.ticks()?, 0);
    w.call(write, 1)?;
    assert_eq!(w.ticks()?, 1);
    w.done()
}

fn lift_callback_wait_event_there_called_at_once<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[SET_UP[0], SET_UP[1], SET_UP[2], SET_UP[3], WRITE, Op::Ret(k(wait(3)))];
    let f = w.lift_callback(Func::Async, A, MAIN, ON_READ)?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

/// An async function with a callback answers this code; the trap.
fn answers<P: Profile>(main: Script, trap: Trap) -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift_callback(Func::Async, A, main, script![])?;
    assert_eq!(w.call(f, 0), Err(trap.into()));
    w.done()
}

fn lift_callback_wait_on_no_set_traps<P: Profile>() -> Result<(), Error> {
    answers::<P>(script![Op::Ret(k(wait(5)))], Trap::UnknownHandle(5))?;
    answers::<P>(script![Op::Ret(k(wait(0)))], Trap::UnknownHandle(0))
}

// unpack_callback_result
fn lift_callback_code_three_traps<P: Profile>() -> Result<(), Error> {
    answers::<P>(script![Op::Ret(k(3))], Trap::CallbackCode(3))?;
    answers::<P>(script![Op::Ret(k(15))], Trap::CallbackCode(15))
}

fn lift_callback_exit_without_return_traps<P: Profile>() -> Result<(), Error> {
    answers::<P>(script![], Trap::NoReturn)
}

// Task.enter_implicit_thread: exclusive_thread
fn lift_exclusive_second_callback_call_queues<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const BLOCKS: Script = &[Op::Mark(1), run(ThreadSuspend, &[]), Op::Mark(2), run(task_return(A), &[])];
    let f = w.lift_callback(Func::Async, A, BLOCKS, script![])?;
    let resume = w.lift(Func::Sync, sync_opts(A), script![run(ThreadResumeLater, &[k(1)])])?;
    w.call(f, 0)?;
    w.call(f, 1)?;
    assert_eq!(w.ticks()?, 0);
    assert_eq!(w.marks(), [1]);
    w.call(resume, 2)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 1]);
    w.call(resume, 3)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1, 2, 1, 2]);
    w.done()
}

fn lift_exclusive_stackful_not_queued<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const BLOCKS: Script = &[Op::Mark(1), run(ThreadYield, &[]), Op::Mark(2), run(task_return(A), &[])];
    let f = w.lift_callback(Func::Async, A, BLOCKS, script![])?;
    let g = w.lift(Func::Async, async_opts(A), script![Op::Mark(3), run(task_return(A), &[])])?;
    w.call(f, 0)?;
    w.call(g, 1)?;
    assert_eq!(w.marks(), [1, 3]);
    w.ticks()?;
    w.done()
}

/// While a sync-typed function of an instance runs, the holder of its lock must not, whatever is called: they would share
/// one shadow stack (the note on Component Invariant 3 in `canon lift`).
fn lift_exclusive_holder_not_run_below_a_sync_call<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let holds =
        w.lift(Func::Async, sync_opts(A), script![Op::Mark(1), run(ThreadYield, &[]), Op::Mark(2)])?;
    let own = w.lift_callback(Func::Async, A, script![run(task_return(A), &[])], script![])?;
    w.lower(own, async_opts(A))?;
    // A calls a function of its own.
    let f = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(3), run(low(0), &[]), Op::Mark(4)])?;
    let end = w.lift(Func::Sync, sync_opts(A), script![Op::Trap(1)])?;
    w.call(holds, 0)?;
    w.call(f, 1)?;
    assert_eq!(w.marks(), [1, 3, 4]);
    assert!(w.call(end, 2).is_err());
    w.done()
}

fn lift_exclusive_released_while_waiting<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let callback = script![Op::Mark(2), run(task_return(A), &[]), Op::Ret(k(EXIT))];
    let f = w.lift_callback(Func::Async, A, script![Op::Mark(1), Op::Ret(k(YIELD))], callback)?;
    w.call(f, 0)?;
    w.call(f, 1)?;
    assert_eq!(w.marks(), [1, 1]);
    w.ticks()?;
    assert_eq!(w.marks(), [1, 1, 2, 2]);
    w.done()
}

fn lift_exclusive_sync_lifted_holds_while_blocked<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let callback = script![Op::Mark(2), run(task_return(A), &[]), Op::Ret(k(EXIT))];
    let f = w.lift_callback(Func::Async, A, script![Op::Mark(1), Op::Ret(k(YIELD))], callback)?;
    let g = w.lift(
        Func::Async,
        sync_opts(A),
        script![Op::Mark(3), run(ThreadYield, &[]), run(ThreadYield, &[]), Op::Mark(4)],
    )?;
    w.call(f, 0)?;
    w.call(g, 1)?;
    assert_eq!(w.marks(), [1, 3]);
    w.ticks()?;
    assert_eq!(w.marks(), [1, 3, 4, 2]);
    w.done()
}

fn lift_sync_of_async_type_blocks_fine<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::AsyncU32, sync_opts(A), script![run(ThreadYield, &[]), Op::Ret(k(8))])?;
    let task = w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::No);
    w.run_until(task)?;
    assert_eq!(w.ended(0), Ended::Returned(8));
    w.done()
}

fn lift_stackful_returns_and_goes_on<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(
        Func::Async,
        async_opts(A),
        script![run(task_return(A), &[]), run(ThreadYield, &[]), Op::Mark(1)],
    )?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    assert!(w.marks().is_empty());
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

const RNEW: Builtin = ResourceNew(RESOURCE);
const RDROP: Builtin = ResourceDrop(RESOURCE);

fn resource_new_rep_drop_own<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const S: Script = &[
        call(RNEW, &[k(77)], 0),
        Op::Eq(R0, k(1)),
        call(ResourceRep(RESOURCE), &[R0], 1),
        Op::Eq(R1, k(77)),
        run(RDROP, &[R0]),
    ];
    let f = w.lift(Func::Sync, sync_opts(B), S)?;
    w.call(f, 0)?;
    w.done()
}

// canon_resource_drop
fn resource_drop_runs_destructor_of_its_instance<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let dtor = w.lift(Func::SyncU32, sync_opts(B), script![Op::Eq(R0, k(77)), Op::Mark(1)])?;
    w.store().types_mut().set_dtor(RESOURCE, Some(dtor));
    let f =
        w.lift(Func::Sync, sync_opts(A), script![call(RNEW, &[k(77)], 0), run(RDROP, &[R0]), Op::Mark(2)])?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

/// A makes a resource and gives it to C, who is not where the type is implemented.
fn given<P: Profile>(ty: Func, callee: Script, caller: Script) -> Result<World<P>, Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    let callee = w.lift(ty, async_opts(C), callee)?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), caller)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.ticks()?;
    Ok(w)
}

// lift_own, lower_own
fn resource_own_moves_to_callee<P: Profile>() -> Result<(), Error> {
    given::<P>(
        Func::AsyncOwn,
        script![
            call(ResourceRep(RESOURCE), &[R0], 1),
            Op::Eq(R1, k(77)),
            run(RDROP, &[R0]),
            run(task_return(C), &[]),
        ],
        script![
            call(RNEW, &[k(77)], 0),
            run(low(0), &[R0]),
            call(RNEW, &[k(78)], 1),
            Op::Eq(R1, R0),
            run(RDROP, &[R1]),
            run(task_return(A), &[]),
        ],
    )?
    .done()
}

// Subtask.deliver_resolve: lenders
fn resource_borrow_lent_until_delivered<P: Profile>() -> Result<(), Error> {
    const CALLEE: Script = &[run(RDROP, &[R0]), run(ThreadYield, &[]), run(task_return(C), &[])];
    const CALLER: Script = &[
        call(RNEW, &[k(77)], 0),
        run(low(0), &[R0]),
        run(ThreadYield, &[]),
        run(ThreadYield, &[]),
        call(WaitableSetNew, &[], 1),
        run(WaitableJoin, &[k(2), R1]),
        run(WaitableSetWait(memory(A)), &[R1, k(0)]),
        run(SubtaskDrop, &[k(2)]),
        run(WaitableSetDrop, &[R1]),
        run(RDROP, &[R0]),
        run(task_return(A), &[]),
    ];
    given::<P>(Func::AsyncBorrow, CALLEE, CALLER)?.done()?;
    // The event was not taken: still lent, though the callee has returned.
    const EARLY: Script = &[CALLER[0], CALLER[1], CALLER[2], CALLER[3], run(RDROP, &[R0])];
    assert_eq!(given::<P>(Func::AsyncBorrow, CALLEE, EARLY).err(), Some(Trap::ResourceLent.into()));
    Ok(())
}

// ResourceHandle.num_lends counts across subtasks.
fn resource_borrow_lent_twice_until_both_delivered<P: Profile>() -> Result<(), Error> {
    const CALLEE: Script = &[run(RDROP, &[R0]), run(ThreadYield, &[]), run(task_return(C), &[])];
    const WAIT: Op = run(WaitableSetWait(memory(A)), &[R1, k(0)]);
    const CALLER: Script = &[
        call(RNEW, &[k(77)], 0),
        run(low(0), &[R0]),
        run(low(0), &[R0]),
        call(WaitableSetNew, &[], 1),
        run(WaitableJoin, &[k(2), R1]),
        run(WaitableJoin, &[k(3), R1]),
        WAIT,
        WAIT,
        run(SubtaskDrop, &[k(2)]),
        run(SubtaskDrop, &[k(3)]),
        run(WaitableSetDrop, &[R1]),
        run(RDROP, &[R0]),
        run(task_return(A), &[]),
    ];
    given::<P>(Func::AsyncBorrow, CALLEE, CALLER)?.done()?;
    // One of the two has delivered.
    const EARLY: Script =
        &[CALLER[0], CALLER[1], CALLER[2], CALLER[3], CALLER[4], CALLER[5], WAIT, run(RDROP, &[R0])];
    assert_eq!(given::<P>(Func::AsyncBorrow, CALLEE, EARLY).err(), Some(Trap::ResourceLent.into()));
    Ok(())
}

// lower_borrow: `cx.inst is t.rt.impl`
fn resource_borrow_of_own_type_is_its_rep<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let callee = w.lift(Func::SyncBorrow, sync_opts(B), script![Op::Eq(R0, k(77))])?;
    w.lower(callee, sync_opts(A))?;
    let caller = script![call(RNEW, &[k(77)], 0), run(low(0), &[R0]), run(RDROP, &[R0])];
    let f = w.lift(Func::Sync, sync_opts(A), caller)?;
    w.call(f, 0)?;
    w.done()
}

// Task.return_: num_borrows
fn resource_borrow_not_dropped_traps<P: Profile>() -> Result<(), Error> {
    let caller = script![call(RNEW, &[k(77)], 0), run(low(0), &[R0])];
    let error = given::<P>(Func::AsyncBorrow, script![run(task_return(C), &[])], caller).err();
    assert_eq!(error, Some(Trap::BorrowsRemain.into()));
    Ok(())
}

fn resource_borrow_dropped_by_another_task<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    const CALLEE: Script = &[Op::SetG(0, R0), run(ThreadYield, &[]), run(task_return(C), &[])];
    let callee = w.lift(Func::AsyncBorrow, async_opts(C), CALLEE)?;
    let drops = w.lift(Func::Sync, sync_opts(C), script![run(RDROP, &[G0])])?;
    w.lower(callee, sync_opts(A))?;
    let caller =
        script![call(RNEW, &[k(77)], 0), run(low(0), &[R0]), run(RDROP, &[R0]), run(task_return(A), &[])];
    let f = w.lift(Func::Async, async_opts(A), caller)?;
    w.call(f, 0)?;
    w.call(drops, 1)?;
    w.ticks()?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

/// A start function runs as a task that can't be suspended.
fn start_function_blocks_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let instance = canon_async::id::InstanceId::from_index(A);
    let start = start_enter(&mut w, instance)?;
    let result = canon_async::canon::call(&mut w, ThreadYield, &[]).map(|_| ());
    assert_eq!(result, Err(Trap::CannotBlockSync.into()));
    assert_eq!(start_leave(&mut w, start, result), Err(Trap::CannotBlockSync.into()));
    let f = w.lift(Func::Sync, sync_opts(A), script![])?;
    assert_eq!(w.call(f, 0), Err(Trap::CannotEnter.into()));
    w.done()
}

fn start_function_runs<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let instance = canon_async::id::InstanceId::from_index(A);
    let start = start_enter(&mut w, instance)?;
    canon_async::canon::call(&mut w, ContextSet(0), &[5]).map(|_| ())?;
    let result = canon_async::canon::call(&mut w, task_return(A), &[]).map(|_| ());
    assert_eq!(result, Err(Trap::NotAsyncLifted.into()));
    let f = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(1)])?;
    // #705: the instance may be entered while its start function runs, and after it.
    w.call(f, 0)?;
    start_leave(&mut w, start, Ok(()))?;
    w.call(f, 0)?;
    assert_eq!(w.marks(), [1, 1]);
    w.done()
}

fn start_function_without_room_changes_nothing<P: Profile>() -> Result<(), Error> {
    const INSTANCE: InstanceId = InstanceId::from_index(A);
    let mut w = World::<P>::with_limits(&[None], |limits| limits.tasks = 0)?;
    assert_eq!(start_enter(&mut w, INSTANCE).err(), Some(Error::capacity(Resource::Tasks)));
    let mut limits = w.store.limits();
    (limits.tasks, limits.threads) = (P::LIMITS.tasks, 0);
    w.store.set_limits(limits);
    assert_eq!(start_enter(&mut w, INSTANCE).err(), Some(Error::capacity(Resource::Threads)));
    w.store.set_limits(P::LIMITS);
    let start = start_enter(&mut w, INSTANCE)?;
    start_leave(&mut w, start, Ok(()))?;
    w.done()?;
    let mut w = World::<P>::with_limits(&[None], |limits| limits.thread_indices = 0)?;
    assert_eq!(start_enter(&mut w, INSTANCE).err(), Some(Error::capacity(Resource::ThreadIndices)));
    w.done()
}

/// The error that a start function ends with is another instance's fault: both are poisoned.
fn start_function_reads_bad_element_kills_the_writer<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let writes = super::room::lift_writes_bad(&mut w)?;
    w.lower(writes, sync_opts(B))?;
    let takes = script![call(low(0), &[], 0), Op::SetG(0, R0)];
    let takes = w.lift(Func::Async, sync_opts(B), takes)?;
    w.call(takes, 0)?;
    let end = w.global(0);
    let start = start_enter(&mut w, InstanceId::from_index(B))?;
    let read = StreamRead(STREAM_ERROR, async_opts(B));
    let result = canon_async::canon::call(&mut w, read, &[end, 0, 1]).map(|_| ());
    assert_eq!(result, Err(Trap::UnknownHandle(9).into()));
    assert_eq!(start_leave(&mut w, start, result), Err(Trap::UnknownHandle(9).into()));
    for dead in [writes, takes] {
        assert_eq!(w.call(dead, 1), Err(Trap::CannotEnter.into()));
    }
    w.done()
}
