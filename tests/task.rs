//! Tasks of the host. The same tests on every tier.
#![no_std]
extern crate std;

mod common;
#[path = "common/script.rs"]
mod script;

use canon_async::ambient::{self, Limits};
use canon_async::canon::Builtin;
use canon_async::id::LowerId;
use canon_async::prelude::*;
use canon_async::state::Lower;
use canon_async::{Embedding, Outcome, Resource, Trap};
use common::fresh;
use script::{Abi, Function, Guest, Here, function, is_idle};
use std::cell::RefCell;
use std::format;
use std::vec::Vec;

fn is_misuse<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Misuse(_)))
}

fn state(task: HostTaskId) -> TaskState {
    TaskBuiltins::task_state(task).expect("it is not freed")
}

fn completed(value: i32) -> TaskOutcome {
    TaskOutcome::Completed(value.into())
}

fn failed(error: impl Into<Error>) -> TaskOutcome {
    TaskOutcome::Failed(TaskFailure::Error(error.into()))
}

fn set(value: i32) {
    AsyncContextManager::set_context_value(ContextKey::new("a"), value.into()).expect("room");
}

fn get() -> Option<i32> {
    let value = AsyncContextManager::get_context_value(&ContextKey::new("a")).expect("not in use");
    value.map(|value| value.get().expect("an s32"))
}

/// The seed's example of tasks, as it stands there.
#[test]
fn seed_task_example() -> Result<(), Error> {
    let _one = fresh();
    // Initialize task system
    TaskBuiltins::initialize()?;

    // Start a task
    let task_id = TaskBuiltins::task_start()?;

    // Set task metadata
    TaskBuiltins::set_task_metadata(task_id, "priority", ComponentValue::I32(5))?;

    // Return from task
    TaskBuiltins::task_return(task_id, TaskReturn::from_component_value(ComponentValue::Bool(true)))?;

    // Wait for completion
    let result = TaskBuiltins::task_wait(task_id)?;

    // Cancel a task
    TaskBuiltins::task_cancel(task_id)?;

    assert_eq!(result.value(), Some(&ComponentValue::Bool(true)));
    assert_eq!(TaskBuiltins::get_task_metadata(task_id, "priority")?, Some(ComponentValue::I32(5)));
    assert_eq!(state(task_id), TaskState::Completed);
    Ok(())
}

/// The seed's example of contexts with tasks, as it stands there.
#[test]
fn seed_context_with_tasks_example() -> Result<(), Error> {
    let _one = fresh();
    // Execute task within async context
    let _scope = AsyncContextScope::enter_empty()?;
    AsyncContextManager::set_context_value(
        ContextKey::new("operation_id".to_string()),
        ContextValue::from_component_value(ComponentValue::String("op_123".to_string())),
    )?;

    let task_id = TaskBuiltins::task_start()?;
    // Task has access to context values
    let op_id = AsyncContextManager::get_context_value(&ContextKey::new("operation_id"))?;

    let inside = TaskBuiltins::task_run(task_id, || {
        AsyncContextManager::get_context_value(&ContextKey::new("operation_id"))
    })??;
    assert_eq!(op_id, Some(ContextValue::from("op_123")));
    assert_eq!(inside, op_id);
    Ok(())
}

#[test]
fn task_states_are_those_of_the_spec() -> Result<(), Error> {
    let _one = fresh();
    let [returns, fails, cancelled] =
        [TaskBuiltins::task_start()?, TaskBuiltins::task_start()?, TaskBuiltins::task_start()?];
    for task in [returns, fails, cancelled] {
        assert_eq!((state(task), TaskBuiltins::task_poll(task)?), (TaskState::Running, None));
    }
    assert_eq!(ambient::core(|core| core.store.counts().tasks)?, 3);
    TaskBuiltins::task_return(returns, TaskReturn::void())?;
    TaskBuiltins::task_fail(fails, "no link")?;
    let token = TaskBuiltins::cancellation_token(cancelled)?;
    assert_eq!(token.is_cancelled(), Ok(false));
    token.cancel()?;
    assert_eq!(token.is_cancelled(), Ok(true));

    let states = [returns, fails, cancelled].map(state);
    assert_eq!(states, [TaskState::Completed, TaskState::Failed, TaskState::Cancelled]);
    assert_eq!(states.map(|state| format!("{state}")), ["completed", "failed", "cancelled"]);
    assert_eq!(TaskBuiltins::task_wait(returns)?, TaskOutcome::Completed(TaskReturn::void()));
    assert_eq!(TaskBuiltins::task_wait(fails)?, TaskOutcome::Failed(TaskFailure::Host("no link".into())));
    assert_eq!(TaskBuiltins::task_wait(cancelled)?, TaskOutcome::Cancelled);
    // The core's tasks are gone.
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn task_wait_for_what_nobody_ends_is_a_deadlock_by_name() -> Result<(), Error> {
    let _one = fresh();
    let task = TaskBuiltins::task_start()?;
    let error = TaskBuiltins::task_wait(task).expect_err("nobody ends it");
    assert_eq!(error, Error::Trap(Trap::Deadlock));
    assert!(format!("{error}").contains("deadlock"));
    // It is as it was.
    assert_eq!(state(task), TaskState::Running);
    TaskBuiltins::task_return(task, 3.into())?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(3));
    Ok(())
}

#[test]
fn task_return_twice_is_a_trap_and_cancelling_what_has_finished_is_fine() -> Result<(), Error> {
    let _one = fresh();
    let task = TaskBuiltins::task_start()?;
    TaskBuiltins::task_return(task, 3.into())?;
    let resolved = Err(Error::Trap(Trap::TaskResolved));
    assert_eq!(TaskBuiltins::task_return(task, 4.into()), resolved);
    assert_eq!(TaskBuiltins::task_fail(task, 4), resolved);
    TaskBuiltins::task_cancel(task)?;
    for _ in 0..2 {
        assert_eq!(TaskBuiltins::task_wait(task)?, completed(3));
    }
    assert_eq!(TaskBuiltins::cleanup_finished_tasks()?, 1);
    // Freed: it has finished all the same.
    assert_eq!(TaskBuiltins::task_return(task, 4.into()), resolved);
    TaskBuiltins::task_cancel(task)?;
    assert!(is_misuse(TaskBuiltins::task_wait(task)));
    assert!(is_misuse(TaskBuiltins::task_state(task)));
    assert!(is_misuse(TaskBuiltins::cancellation_token(task)));
    assert!(is_misuse(TaskBuiltins::task_run(task, || ())));

    let cancelled = TaskBuiltins::task_start()?;
    TaskBuiltins::task_cancel(cancelled)?;
    assert_eq!(TaskBuiltins::task_return(cancelled, 4.into()), resolved);
    assert_eq!(TaskBuiltins::task_wait(cancelled)?, TaskOutcome::Cancelled);
    Ok(())
}

#[test]
fn task_ids_are_never_used_again() -> Result<(), Error> {
    let _one = fresh();
    let mut ids = Vec::new();
    for _ in 0..100 {
        let task = TaskBuiltins::task_start()?;
        assert!(!ids.contains(&task.as_u64()));
        ids.push(task.as_u64());
        TaskBuiltins::task_cancel(task)?;
    }
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn task_initialize_wipes_nothing() -> Result<(), Error> {
    let _one = fresh();
    let task = TaskBuiltins::task_start()?;
    TaskBuiltins::set_task_metadata(task, "a", 1.into())?;
    TaskBuiltins::initialize()?;
    assert_eq!(TaskBuiltins::get_task_metadata(task, "a")?, Some(1.into()));
    assert_eq!(state(task), TaskState::Running);
    Ok(())
}

#[test]
fn task_metadata_is_the_tasks_own_and_freed_with_it() -> Result<(), Error> {
    let _one = fresh();
    ambient::configure(Limits { task_metadata: 2, ..Limits::DEFAULT })?;
    let (one, two) = (TaskBuiltins::task_start()?, TaskBuiltins::task_start()?);
    assert_eq!(TaskBuiltins::set_task_metadata(one, "a", 1.into())?, None);
    assert_eq!(TaskBuiltins::set_task_metadata(one, "a", 2.into())?, Some(1.into()));
    assert_eq!(TaskBuiltins::get_task_metadata(two, "a")?, None);
    TaskBuiltins::set_task_metadata(two, "a".to_string(), true.into())?;
    let full = Err(Error::Capacity(Resource::TaskMetadata));
    assert_eq!(TaskBuiltins::set_task_metadata(two, "b", 3.into()), full);
    assert_eq!(TaskBuiltins::get_task_metadata(two, "b")?, None);
    assert_eq!(TaskBuiltins::remove_task_metadata(one, "a")?, Some(2.into()));
    assert_eq!(TaskBuiltins::remove_task_metadata(one, "a")?, None);
    TaskBuiltins::set_task_metadata(two, "b", 3.into())?;
    TaskBuiltins::task_cancel(two)?;
    // It can be read until the task is freed.
    assert_eq!(TaskBuiltins::get_task_metadata(two, "b")?, Some(3.into()));
    assert_eq!(TaskBuiltins::set_task_metadata(one, "a", 1.into()), full);
    assert_eq!(TaskBuiltins::cleanup_finished_tasks()?, 1);
    assert!(is_misuse(TaskBuiltins::get_task_metadata(two, "b")));
    TaskBuiltins::set_task_metadata(one, "a", 1.into())?;
    TaskBuiltins::set_task_metadata(one, "b", 1.into())?;
    let long = "x".repeat(Limits::DEFAULT.text_bytes as usize + 1);
    assert_eq!(
        TaskBuiltins::set_task_metadata(one, &long, 1.into()),
        Err(Error::Capacity(Resource::TextBytes))
    );
    Ok(())
}

#[test]
fn tasks_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    for limit in [0, 1, 2, Limits::DEFAULT.host_tasks] {
        let limit = Limits::DEFAULT.host_tasks.min(limit).min(Limits::DEFAULT.core.tasks);
        ambient::reset()?;
        ambient::configure(Limits { host_tasks: limit, ..Limits::DEFAULT })?;
        let tasks = (0..limit).map(|_| TaskBuiltins::task_start()).collect::<Result<Vec<_>, _>>()?;
        let full = Err(Error::Capacity(Resource::HostTasks));
        assert_eq!(TaskBuiltins::task_start(), full);
        assert_eq!(ambient::core(|core| core.store.counts().tasks)?, limit as usize);
        for task in &tasks {
            assert_eq!(state(*task), TaskState::Running);
            TaskBuiltins::task_return(*task, 1.into())?;
        }
        // Nobody knows yet how they ended.
        assert_eq!(TaskBuiltins::task_start(), full);
        if let [.., last] = *tasks {
            assert_eq!(TaskBuiltins::task_wait(last)?, completed(1));
            let new = TaskBuiltins::task_start()?;
            assert!(is_misuse(TaskBuiltins::task_poll(last)));
            assert_eq!(state(new), TaskState::Running);
            assert_eq!(TaskBuiltins::task_start(), full);
        }
    }
    Ok(())
}

#[test]
fn tasks_of_the_core_are_one_budget() -> Result<(), Error> {
    let _one = fresh();
    let mut limits = Limits::DEFAULT;
    limits.core.tasks = 1;
    ambient::configure(limits)?;
    let task = TaskBuiltins::task_start()?;
    for _ in 0..2 * Limits::DEFAULT.host_tasks {
        assert_eq!(TaskBuiltins::task_start(), Err(Error::Capacity(Resource::Tasks)));
    }
    TaskBuiltins::task_return(task, 1.into())?;
    TaskBuiltins::task_start()?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(1));
    Ok(())
}

#[test]
fn task_value_beyond_the_limits_leaves_the_task_running() -> Result<(), Error> {
    let _one = fresh();
    let task = TaskBuiltins::task_start()?;
    let long = "x".repeat(Limits::DEFAULT.text_bytes as usize + 1);
    let full = Err(Error::Capacity(Resource::TextBytes));
    assert_eq!(TaskBuiltins::task_return(task, long.as_str().into()), full);
    assert_eq!(TaskBuiltins::task_fail(task, long.as_str()), full);
    assert_eq!(state(task), TaskState::Running);
    TaskBuiltins::task_return(task, "fits".into())
}

#[test]
fn task_context_is_a_snapshot_that_the_task_goes_on_with() -> Result<(), Error> {
    let _one = fresh();
    set(1);
    let task = TaskBuiltins::task_start()?;
    set(2);
    TaskBuiltins::task_run(task, || {
        assert_eq!(get(), Some(1));
        set(5);
        // It runs already.
        TaskBuiltins::task_run(task, || assert_eq!(get(), Some(5))).expect("it is there");
    })?;
    assert_eq!(get(), Some(2));
    let caught = std::panic::catch_unwind(|| {
        TaskBuiltins::task_run(task, || {
            assert_eq!(get(), Some(5));
            panic!("a test's");
        })
    });
    assert!(caught.is_err());
    assert_eq!(get(), Some(2));
    // It ends inside of itself.
    TaskBuiltins::task_run(task, || TaskBuiltins::task_cancel(task))??;
    assert_eq!(get(), Some(2));
    TaskBuiltins::task_run(task, || assert_eq!(get(), None))?;
    // Nobody holds its context any more: what it took is there again.
    AsyncContextManager::context_set(AsyncContext::new())?;
    let most = Limits::DEFAULT.context_values as i32;
    for index in 0..most {
        AsyncContextManager::set_context_value(ContextKey::new(format!("k{index}")), index.into())?;
    }
    Ok(())
}

// Calls of guests.

std::thread_local! {
    /// What guests wrote down.
    static LOG: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

fn log(value: i32) {
    LOG.with(|log| log.borrow_mut().push(value));
}

fn take_log() -> Vec<i32> {
    LOG.with(|log| log.take())
}

const TRAP: Error = Error::Trap(Trap::Engine(7));

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

fn closes(guest: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    guest.value(Builtin::BackpressureInc, &[])?;
    Ok(Outcome::Returned(0))
}

fn opens(guest: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    guest.value(Builtin::BackpressureDec, &[])?;
    Ok(Outcome::Returned(0))
}

fn yields_then_traps(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 { guest.block(Builtin::ThreadYield, &[]) } else { Err(TRAP) }
}

/// As the host function would that it calls: ends the first task, cancels the second, which is this call.
fn ends_others(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let (own, this) = TASKS.with(|tasks| *tasks.borrow()).expect("the test says which");
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

std::thread_local! {
    static TASKS: RefCell<Option<(HostTaskId, HostTaskId)>> = const { RefCell::new(None) };
}

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

std::thread_local! {
    static LOWER: RefCell<Option<LowerId>> = const { RefCell::new(None) };
}

/// Answers what a host function answers, which does so later.
fn calls_host(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let lower = LOWER.with(|lower| *lower.borrow()).expect("the test made it");
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
];

fn guests() -> std::sync::MutexGuard<'static, ()> {
    let one = fresh();
    take_log();
    script::register(FUNCTIONS).expect("there is room");
    one
}

fn call(index: u32, args: &[i32]) -> Result<HostTaskId, Error> {
    let args: Vec<ComponentValue> = args.iter().map(|arg| (*arg).into()).collect();
    TaskBuiltins::task_call(function(index)?, &args)
}

#[test]
fn task_call_that_returns_at_once_has_finished() -> Result<(), Error> {
    let _one = guests();
    let task = call(ADD, &[30, 12])?;
    assert_eq!(state(task), TaskState::Completed);
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(42));
    assert!(is_misuse(TaskBuiltins::task_return(call(YIELDS, &[])?, 1.into())));
    Ok(())
}

#[test]
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

#[test]
fn task_wait_drives_the_guest_in_the_context_of_its_task() -> Result<(), Error> {
    let _one = guests();
    set(100);
    let task = call(YIELDS, &[])?;
    set(200);
    assert_eq!(state(task), TaskState::Running);
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(10));
    // Its own context from step to step, and not the host's.
    assert_eq!((take_log(), get()), (std::vec![100, 0, 1, 2], Some(200)));
    assert!(is_idle()?);
    Ok(())
}

#[test]
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

#[test]
fn task_cancel_tells_a_guest_that_waits_in_its_callback_loop() -> Result<(), Error> {
    let _one = guests();
    let task = call(WAITS, &[0])?;
    assert_eq!(TaskBuiltins::task_wait(task), Err(Trap::Deadlock.into()));
    TaskBuiltins::cancellation_token(task)?.cancel()?;
    assert_eq!((state(task), take_log()), (TaskState::Cancelled, std::vec![6]));
    assert_eq!(TaskBuiltins::task_wait(task)?, TaskOutcome::Cancelled);
    ambient::core(|core| assert_eq!((core.store.counts().tasks, core.store.check()), (0, Ok(()))))?;
    // It insists.
    set(2);
    let task = call(WAITS, &[0])?;
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(20));
    Ok(())
}

#[test]
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

#[test]
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

#[test]
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

#[test]
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

#[test]
fn task_cancel_whose_guest_traps_is_how_the_task_ends() -> Result<(), Error> {
    let _one = guests();
    set(1);
    let task = call(WAITS, &[0])?;
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(TaskBuiltins::task_wait(task)?, failed(TRAP));
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn tasks_are_ended_and_cancelled_while_the_store_is_driven() -> Result<(), Error> {
    let _one = guests();
    let own = TaskBuiltins::task_start()?;
    // The thread that guards the tasks that it ends.
    TASKS.with(|tasks| *tasks.borrow_mut() = Some((own, own)));
    let this = call(ENDS_OTHERS, &[])?;
    TASKS.with(|tasks| *tasks.borrow_mut() = Some((own, this)));
    assert_eq!(TaskBuiltins::task_wait(this)?, TaskOutcome::Cancelled);
    assert_eq!(take_log(), [6]);
    assert_eq!(TaskBuiltins::get_task_metadata(own, "by")?, Some("a guest".into()));
    assert_eq!(TaskBuiltins::task_wait(own)?, completed(30));
    ambient::core(|core| assert_eq!(core.store.counts().tasks, 0))?;
    assert_eq!(TaskBuiltins::cleanup_finished_tasks()?, 2);
    Ok(())
}

#[test]
fn task_wait_waits_for_a_host_function_that_answers_later() -> Result<(), Error> {
    let _one = guests();
    let (caller, callee) = (function(CALLS_HOST)?, function(HOST)?);
    let lower = ambient::core(|core| {
        let options = core.store.lift(caller)?.options;
        core.store.add_lower(Lower { callee, options })
    })??;
    LOWER.with(|place| *place.borrow_mut() = Some(lower));
    let task = TaskBuiltins::task_call(caller, &[])?;
    // A tick does not wait.
    assert_eq!((TaskBuiltins::tick(), state(task)), (Ok(false), TaskState::Running));
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(77));
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn task_that_goes_on_after_it_returned_is_not_the_next_one() -> Result<(), Error> {
    let _one = guests();
    ambient::reset()?;
    ambient::configure(Limits { host_tasks: 1, ..Limits::DEFAULT })?;
    script::register(FUNCTIONS)?;
    set(1);
    let task = call(RETURNS_AND_GOES_ON, &[])?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(5));
    // It goes on in the core, where the next has its place here.
    set(2);
    let next = TaskBuiltins::task_start()?;
    set(3);
    assert_eq!(TaskBuiltins::tick(), Ok(true));
    assert_eq!((take_log(), state(next)), (std::vec![3], TaskState::Running));
    assert_eq!(TaskBuiltins::task_run(next, get)?, Some(2));
    Ok(())
}

#[test]
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

#[test]
fn task_call_without_an_engine_is_misuse() -> Result<(), Error> {
    let _one = fresh();
    assert!(is_misuse(call(ADD, &[1, 2])));
    Ok(())
}
