//! Host functions that answer later.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::LiftId;
use canon_async::storage::Profile;

cases! {
    host_function_answers_later_call_returns,
    host_function_answers_later_after_its_caller_trapped_is_cancelled,
    host_function_answers_later_sync_lower_waits,
    host_functions_answer_in_any_order needs Tasks,
    host_function_that_has_not_answered_is_no_deadlock,
    host_function_of_a_sync_type_answers_later_misuse,
    host_function_cancelled_lets_go,
    host_function_cancelled_insists_and_answers,
    host_function_cancelled_its_borrows_end,
    host_function_fails_later_its_caller_traps,
    host_function_that_fails_after_it_said_later_is_not_waited_for,
    host_function_of_a_dead_caller_is_told,
    host_function_of_a_dead_caller_insists_and_answers_into_nothing,
}

/// A guest that calls a host function asynchronously and waits for its answer.
const CALLS: Script = &[
    call(low(0), &[k(5), k(64)], 0),
    Op::Eq(R0, k(1 | 1 << 4)),
    run(WaitableSetNew, &[]),
    run(WaitableJoin, &[k(1), k(2)]),
    call(WaitableSetWait(memory(A)), &[k(2), k(32)], 0),
    Op::Eq(R0, k(1)),
    Op::Load32(1, k(36)),
    Op::Eq(R1, k(2)),
    Op::Load32(1, k(64)),
    Op::Eq(R1, k(42)),
    run(SubtaskDrop, &[k(1)]),
    run(WaitableSetDrop, &[k(2)]),
    run(task_return(A), &[]),
];
const LATER: Script = &[Op::Eq(R0, k(5)), Op::Later, Op::Mark(1), Op::Ret(k(42))];

/// A world with a host function, which guest A can call in both ways.
fn world<P: Profile>(host: Script) -> Result<World<P>, Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let host = w.lift(Func::AsyncU32, sync_opts(HOST), host)?;
    w.lower(host, async_opts(A))?;
    w.lower(host, sync_opts(A))?;
    Ok(w)
}

fn host_function_answers_later_call_returns<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(LATER)?;
    let f = w.lift(Func::Async, async_opts(A), CALLS)?;
    w.call(f, 0)?;
    assert_eq!(w.ticks()?, 0);
    assert_eq!(w.store.unanswered(), 1);
    let thread = w.later[0].expect("it answers later");
    assert!(w.answer()?);
    assert_eq!(w.store.unanswered(), 0);
    // An answer that is there already is not waited for.
    assert!(!w.store.answer(thread)?);
    assert!(w.marks().is_empty());
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

/// The host function calls its caller back, makes nothing of the trap there, and would answer later: its call
/// is cancelled with the caller.
fn host_function_answers_later_after_its_caller_trapped_is_cancelled<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    w.lift(Func::Sync, sync_opts(A), script![Op::Trap(1)])?;
    const SWALLOWS: Script =
        &[Op::Invoke(LiftId::from_index(0), 5, Some(Error::Trap(Trap::Engine(1)))), Op::Later, Op::Ret(k(42))];
    let host = w.lift(Func::AsyncU32, sync_opts(HOST), SWALLOWS)?;
    w.lower(host, async_opts(A))?;
    let calls = script![run(low(0), &[k(5), k(64)]), Op::Mark(9), run(task_return(A), &[])];
    let calls = w.lift(Func::Async, async_opts(A), calls)?;
    assert_eq!(w.call(calls, 0), Err(Trap::CannotEnter.into()));
    assert!(w.marks().is_empty());
    assert_eq!(w.store.unanswered(), 0);
    w.done()
}

fn host_function_answers_later_sync_lower_waits<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(LATER)?;
    let f =
        w.lift(Func::Async, sync_opts(A), script![call(low(1), &[k(5)], 0), Op::Eq(R0, k(42)), Op::Mark(2)])?;
    let task = w.call(f, 0)?;
    w.answer_on_idle = true;
    w.run_until(task)?;
    assert_eq!(w.marks(), [1, 2]);
    w.ticks()?;
    w.done()
}

fn host_functions_answer_in_any_order<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(script![Op::Later, Op::Ret(R0)])?;
    let f = w.lift(
        Func::AsyncU32,
        async_opts(A),
        script![call(low(1), &[R0], 0), run(task_return_u32(A), &[R0])],
    )?;
    for number in 0..2 {
        w.set_args(&[10 + u64::from(number)]);
        w.call(f, number)?;
    }
    // The second first.
    w.later.swap(0, 1);
    w.answer()?;
    w.ticks()?;
    assert_eq!((w.ended(0), w.ended(1)), (Ended::No, Ended::Returned(11)));
    w.answer()?;
    w.ticks()?;
    assert_eq!(w.ended(0), Ended::Returned(10));
    w.done()
}

fn host_function_that_has_not_answered_is_no_deadlock<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(LATER)?;
    let f = w.lift(Func::Async, async_opts(A), CALLS)?;
    let task = w.call(f, 0)?;
    // This embedding does not wait.
    assert!(matches!(w.run_until(task), Err(Error::Misuse(_))));
    w.answer()?;
    w.run_until(task)?;
    w.ticks()?;
    w.done()
}

fn host_function_of_a_sync_type_answers_later_misuse<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let host = w.lift(Func::Sync, sync_opts(HOST), script![Op::Later])?;
    w.lower(host, sync_opts(A))?;
    let f = w.lift(Func::Sync, sync_opts(A), script![run(low(0), &[])])?;
    assert!(matches!(w.call(f, 0), Err(Error::Misuse(_))));
    assert_eq!(w.store.unanswered(), 0);
    w.done()
}

const CANCELS: Script = &[
    call(low(0), &[k(5), k(64)], 0),
    Op::Eq(R0, k(1 | 1 << 4)),
    call(SubtaskCancel { is_async: true }, &[k(1)], 0),
    Op::SetG(0, R0),
    Op::Jump(G1, 7),
    run(SubtaskDrop, &[k(1)]),
    Op::Jump(k(1), 12),
    run(WaitableSetNew, &[]),
    run(WaitableJoin, &[k(1), k(2)]),
    run(WaitableSetWait(memory(A)), &[k(2), k(32)]),
    run(SubtaskDrop, &[k(1)]),
    run(WaitableSetDrop, &[k(2)]),
    run(task_return(A), &[]),
];

fn host_function_cancelled_lets_go<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(LATER)?;
    let f = w.lift(Func::Async, async_opts(A), CANCELS)?;
    w.call(f, 0)?;
    // CANCELLED_BEFORE_RETURNED, at once.
    assert_eq!(w.global(0), 4);
    assert!(w.marks().is_empty());
    assert_eq!(w.store.unanswered(), 0);
    w.done()
}

fn host_function_cancelled_insists_and_answers<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(LATER)?;
    w.host_insists = true;
    w.set_global(1, 1);
    let f = w.lift(Func::Async, async_opts(A), CANCELS)?;
    w.call(f, 0)?;
    assert_eq!(w.global(0), 0xffff_ffff);
    w.answer()?;
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

/// A host function does not drop its borrows one by one: they end with the call.
fn host_function_cancelled_its_borrows_end<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let host = w.lift(Func::AsyncBorrow, sync_opts(HOST), script![Op::Later])?;
    w.lower(host, async_opts(A))?;
    const CANCELS: Script = &[
        call(ResourceNew(RESOURCE), &[k(77)], 0),
        call(low(0), &[R0], 1),
        Op::Shr(1, 4),
        call(SubtaskCancel { is_async: true }, &[R1], 2),
        // CANCELLED_BEFORE_RETURNED, at once.
        Op::Eq(R2, k(4)),
        run(SubtaskDrop, &[R1]),
        run(ResourceDrop(RESOURCE), &[R0]),
        run(task_return(A), &[]),
    ];
    let f = w.lift(Func::Async, async_opts(A), CANCELS)?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    w.done()
}

fn host_function_fails_later_its_caller_traps<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(script![Op::Later, Op::Trap(9)])?;
    let f = w.lift(Func::Async, async_opts(A), CALLS)?;
    let other = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    w.call(f, 0)?;
    w.answer()?;
    assert_eq!(w.ticks(), Err(Trap::Engine(9).into()));
    assert_eq!(w.call(f, 1).err(), Some(Trap::CannotEnter.into()));
    w.call(other, 2)?;
    w.done()
}

/// A calls the host, and traps in another call.
fn caller_dies<P: Profile>(insists: bool) -> Result<World<P>, Error> {
    let mut w = world::<P>(LATER)?;
    w.host_insists = insists;
    let f = w.lift(Func::Async, async_opts(A), CALLS)?;
    let dies = w.lift(Func::Sync, sync_opts(A), script![Op::Trap(3)])?;
    w.call(f, 0)?;
    assert_eq!(w.call(dies, 1).err(), Some(Trap::Engine(3).into()));
    Ok(w)
}

fn host_function_of_a_dead_caller_is_told<P: Profile>() -> Result<(), Error> {
    let w = caller_dies::<P>(false)?;
    assert_eq!(w.store.unanswered(), 0);
    w.done()
}

fn host_function_of_a_dead_caller_insists_and_answers_into_nothing<P: Profile>() -> Result<(), Error> {
    let mut w = caller_dies::<P>(true)?;
    assert_eq!(w.store.unanswered(), 1);
    assert!(w.answer()?);
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    w.done()
}

fn host_function_that_fails_after_it_said_later_is_not_waited_for<P: Profile>() -> Result<(), Error> {
    let mut w = world::<P>(script![Op::LaterThen(Trap::Engine(4))])?;
    let f = w.lift(Func::Async, async_opts(A), CALLS)?;
    assert_eq!(w.call(f, 0).err(), Some(Trap::Engine(4).into()));
    assert_eq!(w.store.unanswered(), 0);
    w.done()
}
