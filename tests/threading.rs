//! Threads of the host. The same tests on every tier.
#![no_std]
extern crate std;

mod common;
#[path = "common/script.rs"]
mod script;

use canon_async::ambient::{self, FunctionAt, Limits};
use canon_async::canon::Builtin;
use canon_async::id::HostThreadId;
use canon_async::prelude::*;
use canon_async::{Outcome, Resource, Trap};
use common::fresh;
use script::{Abi, Function, Guest, Here, is_idle};
use std::cell::RefCell;
#[cfg(feature = "alloc")]
use std::vec;
use std::vec::Vec;

/// Without a heap, what the seed has as `vec![..]` is `[..].into()`.
#[cfg(not(feature = "alloc"))]
macro_rules! vec {
    ($($item:expr),*) => { [$($item),*].into() };
}

type Threads = AdvancedThreadingBuiltins;

fn is_misuse<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Misuse(_)))
}

fn completed(value: i32) -> TaskOutcome {
    TaskOutcome::Completed(value.into())
}

fn failed(error: impl Into<Error>) -> TaskOutcome {
    TaskOutcome::Failed(TaskFailure::Error(error.into()))
}

std::thread_local! {
    /// What threads and destructors wrote down.
    static LOG: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

fn log(value: i32) {
    LOG.with(|log| log.borrow_mut().push(value));
}

fn take_log() -> Vec<i32> {
    LOG.with(|log| log.take())
}

fn set(value: i32) {
    AsyncContextManager::set_context_value(ContextKey::new("a"), value.into()).expect("room");
}

fn get() -> Option<i32> {
    let value = AsyncContextManager::get_context_value(&ContextKey::new("a")).expect("not in use");
    value.map(|value| value.get().expect("an s32"))
}

const TRAP: Error = Error::Trap(Trap::Engine(7));

/// Answers its argument plus one.
fn worker(_: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(here.args[0] as i32);
    Ok(Outcome::Returned(here.args[0] + 1))
}

/// Writes what the context says, yields twice, and answers 10.
fn yields(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(get().unwrap_or(-1) + 10 * here.step as i32);
    if here.step == 2 { Ok(Outcome::Returned(10)) } else { guest.block(Builtin::ThreadYield, &[]) }
}

fn traps(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 { guest.block(Builtin::ThreadYield, &[]) } else { Err(TRAP) }
}

/// Puts backpressure on its instance, and keeps its exclusive lock.
fn closes(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 {
        guest.value(Builtin::BackpressureInc, &[])?;
    }
    guest.block(Builtin::ThreadSuspend, &[])
}

fn sum(_: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let [a, b, c, d] = here.args else { panic!("four") };
    let (c, d) = (f32::from_bits(*c as u32), f64::from_bits(*d));
    Ok(Outcome::Returned((*a as i32 as f64 + *b as i64 as f64 + f64::from(c) + d).to_bits()))
}

/// Whose thread runs, as a host function sees it.
fn who(_: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    let thread = Threads::current_thread()?.expect("a thread runs");
    assert_eq!(TaskBuiltins::current_task()?, Some(thread.task()));
    assert!(is_misuse(Threads::thread_spawn_indirect(0, WHO, ThreadSpawnConfig::default(), None)));
    Threads::thread_local_set_with(thread, 9, 90.into(), host_destructor)?;
    Ok(Outcome::Returned(thread.as_u64()))
}

/// Writes its key and its value.
fn destructor(_: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(1000 + 100 * here.args[0] as i32 + here.args[1] as i32);
    Ok(Outcome::Returned(0))
}

fn destructor_yields(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 {
        log(2000 + here.args[0] as i32);
        return guest.block(Builtin::ThreadYield, &[]);
    }
    log(3000);
    Ok(Outcome::Returned(0))
}

fn destructor_traps(_: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    Err(TRAP)
}

fn host_destructor(key: u32, value: ComponentValue) {
    log(-(100 * key as i32 + i32::try_from(&value).expect("an s32") + get().unwrap_or(0)));
}

const YIELDS: u32 = 0;
const TRAPS: u32 = 1;
const CLOSES: u32 = 2;
const SUM: u32 = 3;
const WHO: u32 = 4;
const YIELDING: u32 = 5;
const TRAPPING: u32 = 6;
const CALLBACK: u32 = 7;
const TEXT: u32 = 8;
const WORKER: u32 = 42;
const DESTRUCTOR: u32 = 100;

const S32: ValueType = ValueType::S32;
const U32: ValueType = ValueType::U32;
const NO_FUNCTION: Function = Function { code: worker, params: &[], result: None, abi: Abi::Core };

static FUNCTIONS: [Function; 101] = {
    let mut functions = [NO_FUNCTION; 101];
    functions[YIELDS as usize] =
        Function { code: yields, params: &[], result: Some(S32), abi: Abi::Blocking };
    functions[TRAPS as usize] = Function { code: traps, params: &[], result: None, abi: Abi::Blocking };
    functions[CLOSES as usize] = Function { code: closes, params: &[], result: None, abi: Abi::Blocking };
    let params: &[ValueType] = &[S32, ValueType::S64, ValueType::F32, ValueType::F64];
    functions[SUM as usize] = Function { code: sum, params, result: Some(ValueType::F64), abi: Abi::Sync };
    functions[WHO as usize] =
        Function { code: who, params: &[], result: Some(ValueType::U64), abi: Abi::Sync };
    functions[YIELDING as usize] =
        Function { code: destructor_yields, params: &[U32], result: None, abi: Abi::Blocking };
    functions[TRAPPING as usize] =
        Function { code: destructor_traps, params: &[], result: None, abi: Abi::Sync };
    functions[CALLBACK as usize] =
        Function { code: worker, params: &[], result: None, abi: Abi::Callback(0) };
    functions[TEXT as usize] =
        Function { code: worker, params: &[ValueType::String], result: None, abi: Abi::Sync };
    functions[WORKER as usize] = Function { code: worker, params: &[S32], result: Some(S32), abi: Abi::Sync };
    functions[DESTRUCTOR as usize] =
        Function { code: destructor, params: &[U32, S32], result: None, abi: Abi::Sync };
    functions
};

fn guests() -> std::sync::MutexGuard<'static, ()> {
    let one = fresh();
    take_log();
    script::register(&FUNCTIONS).expect("there is room");
    one
}

fn spawn(function: u32, parent: Option<HostThreadId>) -> Result<HostThreadId, Error> {
    Threads::thread_spawn_indirect(0, function, ThreadSpawnConfig::default(), parent)
}

fn worker_ref() -> FunctionReference {
    let signature =
        FunctionSignature { params: vec![ThreadValueType::I32], results: vec![ThreadValueType::I32] };
    FunctionReference::new("worker", signature, 0, WORKER)
}

/// The seed's example of threads, as it stands there.
#[test]
fn seed_threading_example() -> Result<(), Error> {
    let _one = guests();
    // Initialize threading system
    AdvancedThreadingBuiltins::initialize()?;

    // Create function reference
    let func_ref = FunctionReference::new(
        "worker_function".to_string(),
        FunctionSignature { params: vec![ThreadValueType::I32], results: vec![ThreadValueType::I32] },
        0,  // module_index
        42, // function_index
    );

    // Configure thread
    let config = ThreadSpawnConfig { stack_size: Some(65536), priority: Some(5) };

    // Spawn with function reference
    let thread_id = AdvancedThreadingBuiltins::thread_spawn_ref(func_ref, config, None)?;

    // Thread-local storage
    AdvancedThreadingBuiltins::thread_local_set(
        thread_id,
        1, // key
        ComponentValue::String("thread_data".to_string()),
        Some(100), // optional destructor function index
    )?;

    // Join thread
    let result = AdvancedThreadingBuiltins::thread_join(thread_id)?;

    assert_eq!(result, completed(1));
    // It ran, and then its destructor, with the key.
    assert_eq!(take_log(), [0, 1100]);
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn thread_spawn_runs_nothing_until_the_store_is_driven() -> Result<(), Error> {
    let _one = guests();
    let thread =
        Threads::thread_spawn_ref_with_args(worker_ref(), ThreadSpawnConfig::default(), None, &[41.into()])?;
    assert_eq!((Threads::thread_state(thread)?, take_log().len()), (TaskState::Pending, 0));
    assert_eq!(ambient::core(|core| core.store.check())?, Ok(()));
    assert_eq!(Threads::thread_join(thread)?, completed(42));
    assert_eq!(Threads::thread_join(thread)?, completed(42));
    assert_eq!(Threads::thread_state(thread)?, TaskState::Completed);
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn thread_arguments_are_given_or_zero() -> Result<(), Error> {
    let _one = guests();
    let all: [ComponentValue; 4] = [(-1).into(), 2i64.into(), 0.5f32.into(), 0.25f64.into()];
    for (args, expected) in [(&all[..0], 0.0), (&all[..1], -1.0), (&all[..3], 1.5), (&all[..], 1.75)] {
        let config = ThreadSpawnConfig::default();
        let thread = Threads::thread_spawn_indirect_with_args(0, SUM, config, None, args)?;
        assert_eq!(Threads::thread_join(thread)?, TaskOutcome::Completed(expected.into()));
    }
    let config = ThreadSpawnConfig::default();
    let spawn =
        |args: &[ComponentValue]| Threads::thread_spawn_indirect_with_args(0, SUM, config, None, args);
    assert!(is_misuse(spawn(&[1i64.into()])));
    assert!(is_misuse(spawn(&["1".into()])));
    assert!(is_misuse(spawn(&[1.into(), 2i64.into(), 0.5f32.into(), 0.5f64.into(), 1.into()])));
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn thread_spawn_of_what_is_not_there_says_so() -> Result<(), Error> {
    let _one = fresh();
    let config = ThreadSpawnConfig::default();
    let no_engine = Err(Error::Misuse("no engine is registered with the ambient store"));
    assert_eq!(Threads::thread_spawn_ref(worker_ref(), config, None), no_engine);
    assert_eq!(Threads::thread_spawn_indirect(0, 0, config, None), no_engine);
    script::register(&FUNCTIONS)?;
    for function in [41, 101, CALLBACK, TEXT] {
        assert!(is_misuse(spawn(function, None)), "{function}");
    }
    use ThreadValueType::{F64, I32, I64};
    let (none, one) = ([], [I32]);
    assert!(is_misuse(spawn_as(none, one)));
    assert!(is_misuse(spawn_as([I64], one)));
    assert!(is_misuse(spawn_as([I32, I32], one)));
    assert!(is_misuse(spawn_as(one, none)));
    assert!(is_misuse(spawn_as(one, [F64])));
    assert!(is_misuse(spawn_as(one, [I32, I32])));
    assert!(is_idle()?);
    spawn_as(one, one).map(drop)
}

/// The worker, as if it had this signature.
fn spawn_as<const P: usize, const R: usize>(
    params: [ThreadValueType; P],
    results: [ThreadValueType; R],
) -> Result<HostThreadId, Error> {
    let signature = FunctionSignature { params: params.into(), results: results.into() };
    let function = FunctionReference::new("worker", signature, 0, WORKER);
    Threads::thread_spawn_ref(function, ThreadSpawnConfig::default(), None)
}

#[test]
fn thread_stack_and_priority_are_checked() -> Result<(), Error> {
    let _one = guests();
    let spawn = |stack_size, priority| {
        Threads::thread_spawn_ref(worker_ref(), ThreadSpawnConfig { stack_size, priority }, None)
    };
    let most = ambient::max_stack_bytes()?;
    assert_eq!(spawn(Some(most + 1), None), Err(Error::Capacity(Resource::StackBytes)));
    assert!(is_misuse(spawn(None, Some(8))));
    assert!(is_idle()?);
    Threads::thread_cancel(spawn(Some(most), Some(7))?)?;
    Threads::thread_cancel(spawn(Some(0), Some(0))?)?;
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn thread_priority_orders_those_that_are_ready() -> Result<(), Error> {
    let _one = guests();
    let mut threads = Vec::new();
    for (index, priority) in [3, 7, 0, 3, 5].into_iter().enumerate() {
        set(index as i32);
        let config = ThreadSpawnConfig { priority: Some(priority), ..ThreadSpawnConfig::default() };
        threads.push(Threads::thread_spawn_indirect(0, YIELDS, config, None)?);
    }
    // Whoever is waited for.
    assert_eq!(Threads::thread_join(threads[2])?, completed(10));
    // The most urgent until it is done, those of one priority by turns.
    assert_eq!(take_log(), [1, 11, 21, 4, 14, 24, 0, 3, 10, 13, 20, 23, 2, 12, 22]);
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn threads_of_high_priority_take_turns_with_other_tasks() -> Result<(), Error> {
    let _one = guests();
    set(5);
    let task = TaskBuiltins::task_call(script::function(YIELDS)?, &[])?;
    let config = ThreadSpawnConfig { priority: Some(7), ..ThreadSpawnConfig::default() };
    set(1);
    let thread = Threads::thread_spawn_indirect(1, YIELDS, config, None)?;
    assert_eq!(Threads::thread_join(thread)?, completed(10));
    assert_eq!(take_log().iter().filter(|entry| **entry % 10 == 5).count(), 3);
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(10));
    Ok(())
}

#[test]
fn threads_run_whatever_backpressure_and_lock_their_instance_has() -> Result<(), Error> {
    let _one = guests();
    let task = TaskBuiltins::task_call(script::function(CLOSES)?, &[])?;
    assert_eq!(Threads::thread_join(spawn(YIELDS, None)?)?, completed(10));
    assert_eq!(TaskBuiltins::task_wait(task), Err(Trap::Deadlock.into()));
    Ok(())
}

#[test]
fn thread_that_traps_is_joined_with_the_trap() -> Result<(), Error> {
    let _one = guests();
    let (traps, waits, never_ran) = (spawn(TRAPS, None)?, spawn(YIELDS, None)?, spawn(YIELDS, None)?);
    let config = ThreadSpawnConfig { priority: Some(0), ..ThreadSpawnConfig::default() };
    let unstarted = Threads::thread_spawn_indirect(0, YIELDS, config, None)?;
    let elsewhere = Threads::thread_spawn_indirect(1, YIELDS, config, None)?;
    for thread in [traps, waits, never_ran, unstarted] {
        assert_eq!(Threads::thread_join(thread)?, failed(TRAP));
        assert_eq!(Threads::thread_state(thread)?, TaskState::Failed);
    }
    assert_eq!(spawn(YIELDS, None), Err(Trap::CannotEnter.into()));
    assert_eq!(Threads::thread_join(elsewhere)?, completed(10));
    assert_eq!(script::frames()?, 0);
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn thread_begins_with_a_snapshot_of_the_context() -> Result<(), Error> {
    let _one = guests();
    set(4);
    let thread = spawn(YIELDS, None)?;
    set(5);
    Threads::thread_join(thread)?;
    assert_eq!((take_log(), get()), ([4, 14, 24].to_vec(), Some(5)));
    Ok(())
}

#[test]
fn current_thread_is_the_one_that_runs() -> Result<(), Error> {
    let _one = guests();
    assert_eq!(Threads::current_thread()?, None);
    let thread = spawn(WHO, None)?;
    assert_eq!(Threads::thread_join(thread)?, TaskOutcome::Completed(thread.as_u64().into()));
    // What it set while it ran is destroyed with the rest.
    assert_eq!(take_log(), [-990]);
    assert_eq!(Threads::current_thread()?, None);
    let own = TaskBuiltins::task_start()?;
    let (task, thread) =
        TaskBuiltins::task_run(own, || (TaskBuiltins::current_task(), Threads::current_thread()))?;
    assert_eq!((task?, thread?), (Some(own), None));
    Ok(())
}

#[test]
fn thread_locals_are_destroyed_once_on_exit_and_the_last_set_first() -> Result<(), Error> {
    let _one = guests();
    set(3);
    let thread = spawn(WORKER, None)?;
    Threads::thread_local_set_with(thread, 1, 10.into(), host_destructor)?;
    Threads::thread_local_set(thread, 2, 20.into(), Some(DESTRUCTOR))?;
    Threads::thread_local_set_with(thread, 3, 30.into(), host_destructor)?;
    Threads::thread_local_set(thread, 4, "no destructor".into(), None)?;
    Threads::thread_local_set(thread, 5, 50.into(), Some(YIELDING))?;
    // Set again: the last now, and the value before is given back and not destroyed.
    let old = Threads::thread_local_set_with(thread, 1, 11.into(), host_destructor)?;
    assert_eq!(old, Some(10.into()));
    Threads::thread_local_set_with(thread, 6, 60.into(), host_destructor)?;
    assert_eq!(Threads::thread_local_remove(thread, 6)?, Some(60.into()));
    assert_eq!(Threads::thread_local_get(thread, 6)?, None);
    assert_eq!(Threads::thread_local_get(thread, 3)?, Some(30.into()));
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    // In the thread's context; the one that blocks holds up those that were set before it.
    assert_eq!(take_log(), [0, -114, 2005, 3000, -333, 1220]);
    assert_eq!(Threads::thread_local_get(thread, 3)?, None);
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    assert_eq!(Threads::thread_local_set(thread, 1, 1.into(), None), Err(Trap::TaskResolved.into()));
    assert_eq!((take_log().len(), Threads::lost_destructors(thread)?), (0, 0));
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn thread_locals_are_destroyed_once_on_cancel() -> Result<(), Error> {
    let _one = guests();
    let thread = spawn(WORKER, None)?;
    Threads::thread_local_set_with(thread, 1, 10.into(), host_destructor)?;
    Threads::thread_local_set(thread, 2, 20.into(), Some(DESTRUCTOR))?;
    Threads::thread_cancel(thread)?;
    assert_eq!(Threads::thread_join(thread)?, TaskOutcome::Cancelled);
    Threads::thread_cancel(thread)?;
    assert_eq!(Threads::thread_join(thread)?, TaskOutcome::Cancelled);
    assert_eq!(take_log(), [1220, -110]);
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn thread_locals_on_a_trap_run_the_hosts_destructors_and_count_the_guests() -> Result<(), Error> {
    let _one = guests();
    let thread = spawn(TRAPS, None)?;
    Threads::thread_local_set_with(thread, 1, 10.into(), host_destructor)?;
    Threads::thread_local_set(thread, 2, 20.into(), Some(DESTRUCTOR))?;
    Threads::thread_local_set(thread, 3, 30.into(), Some(DESTRUCTOR))?;
    Threads::thread_local_set_with(thread, 4, 40.into(), host_destructor)?;
    assert_eq!(Threads::thread_join(thread)?, failed(TRAP));
    assert_eq!((take_log(), Threads::lost_destructors(thread)?), ([-440, -110].to_vec(), 2));
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn destructor_that_traps_changes_nothing_of_how_the_thread_ended() -> Result<(), Error> {
    let _one = guests();
    let (thread, other) = (spawn(WORKER, None)?, spawn(YIELDS, None)?);
    Threads::thread_local_set(thread, 1, 10.into(), Some(DESTRUCTOR))?;
    Threads::thread_local_set_with(thread, 2, 20.into(), host_destructor)?;
    Threads::thread_local_set(thread, 3, 30.into(), Some(TRAPPING))?;
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    // It took its turn after the other thread, which its trap ends.
    assert_eq!((take_log(), Threads::lost_destructors(thread)?), ([0, -1, -220].to_vec(), 2));
    assert_eq!(Threads::thread_join(other)?, failed(TRAP));
    assert!(is_idle()?);
    Ok(())
}

#[test]
fn destructor_that_traps_alone_is_no_error_of_who_waits() -> Result<(), Error> {
    let _one = guests();
    let (thread, elsewhere) = (
        spawn(WORKER, None)?,
        Threads::thread_spawn_indirect(1, YIELDS, ThreadSpawnConfig::default(), None)?,
    );
    Threads::thread_local_set(thread, 1, 10.into(), Some(TRAPPING))?;
    assert_eq!(Threads::thread_join(elsewhere)?, completed(10));
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    assert_eq!(Threads::lost_destructors(thread)?, 1);
    Ok(())
}

#[test]
fn thread_is_not_freed_before_its_values_are_destroyed() -> Result<(), Error> {
    let _one = guests();
    let thread = spawn(WORKER, None)?;
    Threads::thread_local_set_with(thread, 1, 10.into(), host_destructor)?;
    Threads::thread_cancel(thread)?;
    assert_eq!(TaskBuiltins::cleanup_finished_tasks()?, 0);
    assert_eq!(Threads::thread_state(thread)?, TaskState::Running);
    assert_eq!(TaskBuiltins::tick(), Ok(true));
    assert_eq!(TaskBuiltins::tick(), Ok(true));
    assert_eq!((take_log(), Threads::thread_state(thread)?), ([-110].to_vec(), TaskState::Cancelled));
    // Who cancelled it knows.
    assert_eq!(TaskBuiltins::cleanup_finished_tasks()?, 1);
    Ok(())
}

#[test]
fn destructor_of_a_guest_without_room_is_called_later_and_once() -> Result<(), Error> {
    let _one = fresh();
    take_log();
    let mut limits = Limits::DEFAULT;
    limits.core.tasks = 1;
    ambient::configure(limits)?;
    script::register(&FUNCTIONS)?;
    let thread = spawn(WORKER, None)?;
    Threads::thread_local_set(thread, 1, 10.into(), Some(DESTRUCTOR))?;
    Threads::thread_local_set(thread, 2, 20.into(), Some(DESTRUCTOR))?;
    assert_eq!(TaskBuiltins::tick(), Ok(true));
    let task = TaskBuiltins::task_start()?;
    for _ in 0..2 {
        assert_eq!(Threads::thread_join(thread), Err(Error::Capacity(Resource::Tasks)));
        assert_eq!(Threads::thread_state(thread)?, TaskState::Running);
    }
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    assert_eq!((take_log(), Threads::lost_destructors(thread)?), ([0, 1220, 1110].to_vec(), 0));
    Ok(())
}

#[test]
fn destructor_without_room_holds_up_nobody_else() -> Result<(), Error> {
    let _one = fresh();
    take_log();
    let mut limits = Limits::DEFAULT;
    limits.core.tasks = 2;
    ambient::configure(limits)?;
    script::register(&FUNCTIONS)?;
    let (thread, other) = (spawn(WORKER, None)?, spawn(YIELDS, None)?);
    Threads::thread_local_set(thread, 1, 10.into(), Some(DESTRUCTOR))?;
    assert_eq!(TaskBuiltins::tick(), Ok(true));
    let task = TaskBuiltins::task_start()?;
    assert_eq!(Threads::thread_join(other)?, completed(10));
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(take_log().last(), Some(&1110));
    Ok(())
}

#[test]
fn destructors_run_whatever_backpressure_and_lock_their_instance_has() -> Result<(), Error> {
    let _one = guests();
    TaskBuiltins::task_call(script::function(CLOSES)?, &[])?;
    let thread = spawn(WORKER, None)?;
    Threads::thread_local_set(thread, 1, 10.into(), Some(DESTRUCTOR))?;
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    assert_eq!(take_log(), [0, 1110]);
    Ok(())
}

#[test]
fn destructor_of_the_host_that_panics_is_not_run_again() -> Result<(), Error> {
    let _one = guests();
    let thread = spawn(WORKER, None)?;
    Threads::thread_local_set_with(thread, 1, 10.into(), host_destructor)?;
    Threads::thread_local_set_with(thread, 2, 20.into(), |_, _| panic!("a test's"))?;
    let caught = std::panic::catch_unwind(|| Threads::thread_join(thread));
    assert!(caught.is_err());
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    assert_eq!((take_log(), Threads::current_thread()?), ([0, -110].to_vec(), None));
    Ok(())
}

#[test]
fn destructor_that_is_not_there_or_takes_more_is_misuse() -> Result<(), Error> {
    let _one = guests();
    let thread = spawn(WORKER, None)?;
    for destructor in [41, SUM, CALLBACK] {
        assert!(is_misuse(Threads::thread_local_set(thread, 1, 1.into(), Some(destructor))));
    }
    assert_eq!(Threads::thread_local_get(thread, 1)?, None);
    Ok(())
}

#[test]
fn thread_locals_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    for limit in [0, 1, Limits::DEFAULT.thread_locals] {
        let limit = Limits::DEFAULT.thread_locals.min(limit);
        ambient::reset()?;
        ambient::configure(Limits { thread_locals: limit, ..Limits::DEFAULT })?;
        script::register(&FUNCTIONS)?;
        let thread = spawn(WORKER, None)?;
        for key in 0..limit {
            Threads::thread_local_set(thread, key, 1.into(), None)?;
        }
        for _ in 0..2 {
            let full = Threads::thread_local_set(thread, limit, 1.into(), None);
            assert_eq!(full, Err(Error::Capacity(Resource::ThreadLocals)));
            assert_eq!(Threads::thread_local_get(thread, limit)?, None);
        }
        if limit > 0 {
            assert_eq!(Threads::thread_local_set(thread, 0, 2.into(), None)?, Some(1.into()));
            Threads::thread_local_remove(thread, 0)?;
            Threads::thread_local_set(thread, limit, 1.into(), None)?;
        }
        Threads::thread_join(thread)?;
        let next = spawn(WORKER, None)?;
        for key in 0..limit {
            Threads::thread_local_set(next, key, 1.into(), None)?;
        }
    }
    Ok(())
}

#[test]
fn threads_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    for (what, resource) in
        [(0, Resource::HostTasks), (1, Resource::Tasks), (2, Resource::Threads), (3, Resource::ThreadIndices)]
    {
        for limit in [1, 2] {
            ambient::reset()?;
            let mut limits = Limits::DEFAULT;
            *match what {
                0 => &mut limits.host_tasks,
                1 => &mut limits.core.tasks,
                2 => &mut limits.core.threads,
                _ => &mut limits.core.thread_indices,
            } = limit;
            ambient::configure(limits)?;
            script::register(&FUNCTIONS)?;
            let threads = (0..limit).map(|_| spawn(WORKER, None)).collect::<Result<Vec<_>, _>>()?;
            let counts = ambient::core(|core| core.store.counts())?;
            for _ in 0..2 {
                assert_eq!(spawn(WORKER, threads.first().copied()), Err(Error::Capacity(resource)));
                assert_eq!(ambient::core(|core| core.store.counts())?, counts);
                assert_eq!(Threads::child(threads[0], None)?, None);
            }
            for thread in threads {
                assert_eq!(Threads::thread_join(thread)?, completed(1));
            }
            assert_eq!(Threads::thread_join(spawn(WORKER, None)?)?, completed(1));
            assert!(is_idle()?);
        }
    }
    Ok(())
}

#[test]
fn cancel_child_threads_removes_the_unstarted_and_asks_the_others() -> Result<(), Error> {
    let _one = guests();
    let parent = spawn(YIELDS, None)?;
    let started = spawn(YIELDS, Some(parent))?;
    assert_eq!(TaskBuiltins::tick(), Ok(true));
    assert_eq!(TaskBuiltins::tick(), Ok(true));
    let (unstarted, grandchild) = (spawn(YIELDS, Some(parent))?, spawn(YIELDS, Some(started))?);
    let elsewhere = Threads::thread_spawn_indirect(1, YIELDS, ThreadSpawnConfig::default(), None)?;

    assert_eq!(Threads::thread_parent(started)?, Some(parent));
    assert_eq!(Threads::thread_parent(parent)?, None);
    assert_eq!(Threads::child(parent, None)?, Some(started));
    assert_eq!(Threads::child(parent, Some(started))?, Some(unstarted));
    assert_eq!(Threads::child(parent, Some(unstarted))?, None);
    assert!(is_misuse(Threads::child(parent, Some(grandchild))));

    assert_eq!(Threads::cancel_child_threads(parent)?, 2);
    let states = [parent, started, unstarted, grandchild, elsewhere].map(Threads::thread_state);
    use TaskState::{Cancelled, Pending, Running};
    assert_eq!(states, [Ok(Running), Ok(Running), Ok(Cancelled), Ok(Pending), Ok(Pending)]);
    let asked = [parent, started, grandchild].map(|thread| TaskBuiltins::cancellation_token(thread.task()));
    assert_eq!(
        asked.map(|token| token.and_then(CancellationToken::is_cancelled)),
        [Ok(false), Ok(true), Ok(false)]
    );
    for thread in [parent, started, grandchild, elsewhere] {
        assert_eq!(Threads::thread_join(thread)?, completed(10));
    }
    assert_eq!(Threads::cancel_child_threads(parent)?, 0);
    assert!(is_idle()?);

    // What is freed is nobody's parent and nobody's child.
    let last = spawn(YIELDS, Some(parent))?;
    TaskBuiltins::cleanup_finished_tasks()?;
    assert_eq!(Threads::thread_parent(last)?, None);
    assert!(is_misuse(Threads::cancel_child_threads(parent)));
    assert!(is_misuse(spawn(YIELDS, Some(parent))));
    Ok(())
}

#[test]
fn thread_of_a_table_takes_its_destructors_from_it() -> Result<(), Error> {
    let _one = guests();
    // Tables and modules are the same to this engine: the function is that of module 1.
    let thread = Threads::thread_spawn_indirect(1, WORKER, ThreadSpawnConfig::default(), None)?;
    Threads::thread_local_set(thread, 1, 7.into(), Some(DESTRUCTOR))?;
    let before = ambient::function(FunctionAt::Table { table: 1, index: DESTRUCTOR })?;
    assert_eq!(ambient::function(FunctionAt::Index { module: 1, function: DESTRUCTOR })?, before);
    Threads::thread_join(thread)?;
    assert_eq!(take_log(), [0, 1107]);
    Ok(())
}
