//! Tasks of the host that call guests. The same tests on every tier.

use crate::common::fresh;
use crate::common::script::{self, Abi, Function, Guest, Here, function, is_idle};
use crate::common::sync::Mutex;
use crate::common::tasks::{TRAP, completed, failed, get, is_misuse, log, set, take_log};
use crate::common::trace::{closes, opens};
use alloc::vec::Vec;
use canon_async::ambient::{self, Limits, own};
use canon_async::canon::Builtin;
use canon_async::id::{HostCall, LowerId};
use canon_async::prelude::*;
use canon_async::state::Lower;
use canon_async::{Embedding, Outcome, Trap, run};

fn state(task: HostTaskId) -> TaskState {
    TaskBuiltins::task_state(task).expect("it is not freed")
}

fn add(_: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Returned(u64::from((here.args[0] as u32).wrapping_add(here.args[1] as u32))))
}

/// Yields as often as its argument says; answers 10.
fn yields(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(get().unwrap_or(-1));
    if here.step == 3 {
        return Ok(Outcome::Returned(10));
    }
    set(here.step as i32);
    guest.block(Builtin::ThreadYield, &[])
}

/// Waits in its callback loop; traps where its argument is 1.
fn waits(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.args[0] == 1 {
        return Err(TRAP);
    }
    guest.wait_for_nothing()
}

/// Its callback: told of its cancellation it takes it, where the context says 1 it traps, where it says 2 it returns 20 all the same.
fn waits_callback(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    assert_eq!(here.args[0], 6, "TASK_CANCELLED");
    log(6);
    match get() {
        Some(1) => return Err(TRAP),
        Some(2) => guest.task_return(here, 20)?,
        _ => drop(guest.value(Builtin::TaskCancel, &[])?),
    }
    Ok(Outcome::Returned(0))
}

fn yields_then_traps(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 { guest.block(Builtin::ThreadYield, &[]) } else { Err(TRAP) }
}

const OTHER_TRAP: Error = Error::Trap(Trap::Engine(8));

fn yields_then_traps_otherwise(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 { guest.block(Builtin::ThreadYield, &[]) } else { Err(OTHER_TRAP) }
}

/// As the host function would that it calls: ends the first task, cancels the second, which is this call.
fn ends_others(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let (own, this) = (*TASKS.lock()).expect("the test says which");
    if here.step == 0 {
        return guest.block(Builtin::ThreadYield, &[]);
    }
    TaskBuiltins::task_return(own, 30.into()).expect("it runs");
    assert_eq!(TaskBuiltins::task_wait(own), Ok(completed(30)));
    TaskBuiltins::set_task_metadata(own, "by", "a guest".into()).expect("room");
    assert!(is_misuse(TaskBuiltins::task_wait(this)));
    assert!(is_misuse(TaskBuiltins::task_start()));
    TaskBuiltins::task_cancel(this).expect("later");
    assert_eq!(state(this), TaskState::Running);
    guest.wait_for_nothing()
}

static TASKS: Mutex<Option<(HostTaskId, HostTaskId)>> = Mutex::new(None);

/// Returns 5, and goes on: writes whose code runs then.
fn returns_and_goes_on(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    guest.task_return(here, 5)?;
    Ok(Outcome::Returned(1))
}

fn goes_on(_: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    assert_eq!(TaskBuiltins::current_task(), Ok(None));
    log(get().unwrap_or(-1));
    Ok(Outcome::Returned(0))
}

static LOWER: Mutex<Option<LowerId>> = Mutex::new(None);

/// Answers what a host function answers, which does so later.
fn calls_host(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let lower = (*LOWER.lock()).expect("the test made it");
    if here.step == 0 { guest.block(Builtin::Lower(lower), &[]) } else { Ok(Outcome::Returned(here.args[0])) }
}

fn host_function(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step > 0 {
        return Ok(Outcome::Returned(77));
    }
    guest.store().answer_later(here.thread)?;
    Ok(Outcome::Blocked)
}

const ADD: u32 = 0;
const YIELDS: u32 = 1;
const WAITS: u32 = 2;
const CLOSES: u32 = 4;
const OPENS: u32 = 5;
const YIELDS_THEN_TRAPS: u32 = 6;
const ENDS_OTHERS: u32 = 7;
const TEXT: u32 = 8;
const RETURNS_AND_GOES_ON: u32 = 9;
const CALLS_HOST: u32 = 11;
const HOST: u32 = 12;
const TRAPS_OTHERWISE: u32 = 13;

const S32: ValueType = ValueType::S32;
static FUNCTIONS: &[Function] = &[
    Function { code: add, params: &[S32, S32], result: Some(S32), abi: Abi::Sync },
    Function { code: yields, params: &[], result: Some(S32), abi: Abi::Blocking },
    Function { code: waits, params: &[S32], result: Some(S32), abi: Abi::Callback(3) },
    Function { code: waits_callback, params: &[], result: None, abi: Abi::Core },
    Function { code: closes, params: &[], result: None, abi: Abi::Sync },
    Function { code: opens, params: &[], result: None, abi: Abi::Sync },
    Function { code: yields_then_traps, params: &[], result: None, abi: Abi::Blocking },
    Function { code: ends_others, params: &[], result: Some(S32), abi: Abi::Callback(3) },
    Function { code: add, params: &[ValueType::String], result: None, abi: Abi::Blocking },
    Function { code: returns_and_goes_on, params: &[], result: Some(S32), abi: Abi::Callback(10) },
    Function { code: goes_on, params: &[], result: None, abi: Abi::Core },
    Function { code: calls_host, params: &[], result: Some(S32), abi: Abi::Blocking },
    Function { code: host_function, params: &[], result: Some(S32), abi: Abi::Host },
    Function { code: yields_then_traps_otherwise, params: &[], result: None, abi: Abi::Blocking },
];

fn guests() -> crate::common::sync::MutexGuard<'static, ()> {
    let one = fresh();
    take_log();
    script::register(FUNCTIONS).expect("there is room");
    one
}

fn call(index: u32, args: &[i32]) -> Result<HostTaskId, Error> {
    let args: Vec<ComponentValue> = args.iter().map(|arg| (*arg).into()).collect();
    TaskBuiltins::task_call(function(index)?, &args)
}

fn task_call_that_returns_at_once_has_finished() -> Result<(), Error> {
    let _one = guests();
    let task = call(ADD, &[30, 12])?;
    assert_eq!(state(task), TaskState::Completed);
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(42));
    assert!(is_misuse(TaskBuiltins::task_return(call(YIELDS, &[])?, 1.into())));
    Ok(())
}

fn task_call_with_other_arguments_is_misuse_and_no_task() -> Result<(), Error> {
    let _one = guests();
    assert!(is_misuse(call(ADD, &[30])));
    assert!(is_misuse(call(ADD, &[30, 12, 1])));
    assert!(is_misuse(TaskBuiltins::task_call(function(ADD)?, &[30.into(), true.into()])));
    assert!(is_misuse(TaskBuiltins::task_call(function(ADD)?, &[30.into(), "12".into()])));
    assert!(is_misuse(TaskBuiltins::task_call(function(TEXT)?, &["12".into()])));
    assert!(is_idle()?);
    for _ in 0..2 * Limits::DEFAULT.host_tasks {
        TaskBuiltins::task_cancel(TaskBuiltins::task_start()?)?;
    }
    Ok(())
}

fn task_wait_drives_the_guest_in_the_context_of_its_task() -> Result<(), Error> {
    let _one = guests();
    set(100);
    let task = call(YIELDS, &[])?;
    set(200);
    assert_eq!(state(task), TaskState::Running);
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(10));
    // Its own context from step to step, and not the host's.
    assert_eq!((take_log(), get()), (alloc::vec![100, 0, 1, 2], Some(200)));
    assert!(is_idle()?);
    Ok(())
}

fn tick_runs_one_ready_thread() -> Result<(), Error> {
    let _one = guests();
    let task = call(YIELDS, &[])?;
    for _ in 0..3 {
        assert_eq!(state(task), TaskState::Running);
        assert_eq!(TaskBuiltins::tick(), Ok(true));
    }
    assert_eq!(TaskBuiltins::task_poll(task)?, Some(completed(10)));
    assert_eq!(TaskBuiltins::tick(), Ok(false));
    Ok(())
}

fn task_cancel_tells_a_guest_that_waits_in_its_callback_loop() -> Result<(), Error> {
    let _one = guests();
    let task = call(WAITS, &[0])?;
    assert_eq!(TaskBuiltins::task_wait(task), Err(Trap::Deadlock.into()));
    TaskBuiltins::cancellation_token(task)?.cancel()?;
    assert_eq!((state(task), take_log()), (TaskState::Cancelled, alloc::vec![6]));
    assert_eq!(TaskBuiltins::task_wait(task)?, TaskOutcome::Cancelled);
    ambient::core(|core| assert_eq!((core.store.counts().tasks, core.store.check()), (0, Ok(()))))?;
    // It insists.
    set(2);
    let task = call(WAITS, &[0])?;
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(20));
    Ok(())
}

fn task_cancel_removes_a_call_that_has_not_started() -> Result<(), Error> {
    let _one = guests();
    call(CLOSES, &[])?;
    let (removed, starts) = (call(YIELDS, &[])?, call(YIELDS, &[])?);
    assert_eq!((state(removed), state(starts)), (TaskState::Pending, TaskState::Pending));
    TaskBuiltins::task_cancel(removed)?;
    assert_eq!((state(removed), state(starts)), (TaskState::Cancelled, TaskState::Pending));
    assert_eq!(TaskBuiltins::task_wait(starts), Err(Trap::Deadlock.into()));
    assert!(take_log().is_empty());
    call(OPENS, &[])?;
    assert_eq!(TaskBuiltins::task_wait(starts)?, completed(10));
    assert_eq!(take_log().len(), 4);
    assert!(is_idle()?);
    Ok(())
}

fn task_cancel_asks_what_runs_and_the_task_ends_when_it_resolves() -> Result<(), Error> {
    let _one = guests();
    let task = call(YIELDS, &[])?;
    TaskBuiltins::task_cancel(task)?;
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(state(task), TaskState::Running);
    assert_eq!(TaskBuiltins::cancellation_token(task)?.is_cancelled(), Ok(true));
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(10));
    assert!(is_idle()?);
    Ok(())
}

fn task_call_that_traps_has_failed_with_the_trap() -> Result<(), Error> {
    let _one = guests();
    let task = call(WAITS, &[1])?;
    assert_eq!(state(task), TaskState::Failed);
    assert_eq!(TaskBuiltins::task_wait(task)?, failed(TRAP));
    // Its instance can't be entered any more, and that is no task.
    assert_eq!(call(ADD, &[1, 2]), Err(Trap::CannotEnter.into()));
    assert!(is_idle()?);
    Ok(())
}

fn trap_of_one_task_fails_all_in_its_instance_and_no_others() -> Result<(), Error> {
    let _one = guests();
    let own = TaskBuiltins::task_start()?;
    let (waits, traps) = (call(WAITS, &[0])?, call(YIELDS_THEN_TRAPS, &[])?);
    let other = ambient::function(ambient::FunctionAt::Index { module: 1, function: YIELDS })?;
    let other = TaskBuiltins::task_call(other, &[])?;
    assert_eq!(TaskBuiltins::task_wait(other)?, completed(10));
    for task in [waits, traps] {
        assert_eq!(TaskBuiltins::task_wait(task)?, failed(TRAP));
    }
    assert_eq!(state(own), TaskState::Running);
    TaskBuiltins::task_cancel(own)?;
    assert_eq!(script::frames()?, 0);
    assert!(is_idle()?);
    Ok(())
}

fn task_lost_where_nobody_told_why_gets_no_other_tasks_trap() -> Result<(), Error> {
    let _one = guests();
    let (waits, traps) = (call(WAITS, &[0])?, call(YIELDS_THEN_TRAPS, &[])?);
    let other = ambient::function(ambient::FunctionAt::Index { module: 1, function: TRAPS_OTHERWISE })?;
    let other = TaskBuiltins::task_call(other, &[])?;
    // Somebody else drives the store, and keeps the trap for himself.
    assert_eq!(ambient::drive(|e| run::tick(e))?, Err(TRAP));
    assert_eq!(TaskBuiltins::task_wait(other)?, failed(OTHER_TRAP));
    for task in [waits, traps] {
        assert_eq!(TaskBuiltins::task_wait(task)?, failed(Trap::CannotEnter));
    }
    assert!(is_idle()?);
    Ok(())
}

fn error_of_who_is_no_task_is_not_taken_for_that_of_one() -> Result<(), Error> {
    let _one = guests();
    let lost = call(YIELDS_THEN_TRAPS, &[])?;
    let other = ambient::function(ambient::FunctionAt::Index { module: 1, function: TRAPS_OTHERWISE })?;
    ambient::drive(|e| run::call(e, other, HostCall::from_index(0)))??;
    assert_eq!(ambient::drive(|e| run::tick(e))?, Err(TRAP));
    // The host called it itself, and is told.
    assert_eq!(TaskBuiltins::tick(), Err(OTHER_TRAP));
    assert_eq!(TaskBuiltins::task_wait(lost)?, failed(Trap::CannotEnter));
    Ok(())
}

fn engine_that_tells_twice_how_a_call_began_or_ended_changes_nothing() -> Result<(), Error> {
    let _one = guests();
    let task = call(ADD, &[30, 12])?;
    // The first task's call.
    let call = HostCall::from_index(1 << 30);
    for _ in 0..2 {
        assert!(matches!(own::host_args(call, &mut [0; 16]), Some(Err(Error::Bug(_)))));
        assert!(matches!(own::host_result(call, Some(&[1])), Some(Err(Error::Bug(_)))));
        assert_eq!(own::host_lost(call), Some(()));
        assert_eq!(TaskBuiltins::task_wait(task)?, completed(42));
    }
    TaskBuiltins::cleanup_finished_tasks()?;
    assert!(matches!(own::host_result(call, None), Some(Err(Error::Bug(_)))));
    assert_eq!(own::host_result(HostCall::from_index(1), None), None);
    Ok(())
}

fn task_cancel_whose_guest_traps_is_how_the_task_ends() -> Result<(), Error> {
    let _one = guests();
    set(1);
    let task = call(WAITS, &[0])?;
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(TaskBuiltins::task_wait(task)?, failed(TRAP));
    assert!(is_idle()?);
    Ok(())
}

fn tasks_are_ended_and_cancelled_while_the_store_is_driven() -> Result<(), Error> {
    let _one = guests();
    let own = TaskBuiltins::task_start()?;
    // The thread that guards the tasks that it ends.
    *TASKS.lock() = Some((own, own));
    let this = call(ENDS_OTHERS, &[])?;
    *TASKS.lock() = Some((own, this));
    assert_eq!(TaskBuiltins::task_wait(this)?, TaskOutcome::Cancelled);
    assert_eq!(take_log(), [6]);
    assert_eq!(TaskBuiltins::get_task_metadata(own, "by")?, Some("a guest".into()));
    assert_eq!(TaskBuiltins::task_wait(own)?, completed(30));
    ambient::core(|core| assert_eq!(core.store.counts().tasks, 0))?;
    assert_eq!(TaskBuiltins::cleanup_finished_tasks()?, 2);
    Ok(())
}

fn task_wait_waits_for_a_host_function_that_answers_later() -> Result<(), Error> {
    let _one = guests();
    let (caller, callee) = (function(CALLS_HOST)?, function(HOST)?);
    let lower = ambient::core(|core| {
        let options = core.store.lift(caller)?.options;
        core.store.add_lower(Lower { callee, options })
    })??;
    *LOWER.lock() = Some(lower);
    let task = TaskBuiltins::task_call(caller, &[])?;
    // A tick does not wait.
    assert_eq!((TaskBuiltins::tick(), state(task)), (Ok(false), TaskState::Running));
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(77));
    assert!(is_idle()?);
    Ok(())
}

fn task_that_goes_on_after_it_returned_is_not_the_next_one() -> Result<(), Error> {
    let _one = guests();
    ambient::reset()?;
    ambient::configure(Limits::DEFAULT.with_host_tasks(1))?;
    script::register(FUNCTIONS)?;
    set(1);
    let task = call(RETURNS_AND_GOES_ON, &[])?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(5));
    // It goes on in the core, where the next has its place here.
    set(2);
    let next = TaskBuiltins::task_start()?;
    set(3);
    assert_eq!(TaskBuiltins::tick(), Ok(true));
    assert_eq!((take_log(), state(next)), (alloc::vec![3], TaskState::Running));
    assert_eq!(TaskBuiltins::task_run(next, get)?, Some(2));
    Ok(())
}

fn reset_inside_of_a_task_forgets_it_all() -> Result<(), Error> {
    let _one = fresh();
    set(1);
    let task = TaskBuiltins::task_start()?;
    TaskBuiltins::task_run(task, || {
        ambient::reset().expect("nothing is in use");
        set(7);
    })?;
    assert_eq!((get(), TaskBuiltins::current_task()?), (Some(7), None));
    Ok(())
}

fn task_call_without_an_engine_is_misuse() -> Result<(), Error> {
    let _one = fresh();
    assert!(is_misuse(call(ADD, &[1, 2])));
    Ok(())
}

tests! {
    task_call_that_returns_at_once_has_finished,
    task_call_with_other_arguments_is_misuse_and_no_task,
    task_wait_drives_the_guest_in_the_context_of_its_task,
    tick_runs_one_ready_thread,
    task_cancel_tells_a_guest_that_waits_in_its_callback_loop,
    task_cancel_removes_a_call_that_has_not_started,
    task_cancel_asks_what_runs_and_the_task_ends_when_it_resolves,
    task_call_that_traps_has_failed_with_the_trap,
    trap_of_one_task_fails_all_in_its_instance_and_no_others,
    task_lost_where_nobody_told_why_gets_no_other_tasks_trap,
    error_of_who_is_no_task_is_not_taken_for_that_of_one,
    engine_that_tells_twice_how_a_call_began_or_ended_changes_nothing,
    task_cancel_whose_guest_traps_is_how_the_task_ends,
    tasks_are_ended_and_cancelled_while_the_store_is_driven,
    task_wait_waits_for_a_host_function_that_answers_later,
    task_that_goes_on_after_it_returned_is_not_the_next_one,
    reset_inside_of_a_task_forgets_it_all,
    task_call_without_an_engine_is_misuse,
}
