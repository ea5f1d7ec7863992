//! Threads of the host. The same tests on every tier.

use crate::common::script;
use crate::common::script::is_idle;
use crate::common::tasks::{TRAP, completed, failed, get, is_misuse, set, take_log};
use crate::common::threads::*;
use crate::common::{fresh, whole_store};
use alloc::vec::Vec;
use canon_async::ambient::{self, Limits};
use canon_async::id::HostThreadId;
use canon_async::prelude::*;
use canon_async::{Resource, Trap};

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

fn thread_stack_and_priority_are_checked() -> Result<(), Error> {
    let _one = guests();
    let spawn = |stack_size, priority| {
        Threads::thread_spawn_ref(worker_ref(), ThreadSpawnConfig { stack_size, priority }, None)
    };
    let most = ambient::max_stack_bytes()?;
    assert_eq!(spawn(Some(most + 1), None), Err(Error::capacity(Resource::StackBytes)));
    assert!(is_misuse(spawn(None, Some(8))));
    assert!(is_idle()?);
    Threads::thread_cancel(spawn(Some(most), Some(7))?)?;
    Threads::thread_cancel(spawn(Some(0), Some(0))?)?;
    assert!(is_idle()?);
    Ok(())
}

fn thread_stack_that_was_asked_for_reaches_the_engine() -> Result<(), Error> {
    let _one = guests();
    let spawn = |stack_size| {
        Threads::thread_spawn_ref(worker_ref(), ThreadSpawnConfig { stack_size, priority: None }, None)
    };
    let threads = [spawn(Some(4096))?, spawn(None)?, spawn(Some(0))?, spawn(Some(70_000))?];
    Threads::thread_local_set(threads[3], 1, 1.into(), Some(DESTRUCTOR))?;
    // Nothing has begun.
    assert_eq!(script::stacks()?, []);
    Threads::thread_cancel(threads[2])?;
    for thread in threads {
        Threads::thread_join(thread)?;
    }
    // The last is the destructor, on a stack as its thread's.
    assert_eq!(script::stacks()?, [Some(4096), None, Some(70_000), Some(70_000)]);
    // A call is no thread of the host.
    TaskBuiltins::task_call(script::function(YIELDS)?, &[])?;
    assert_eq!(script::stacks()?, [None]);
    Ok(())
}

fn thread_ids_of_before_a_reset_name_no_thread() -> Result<(), Error> {
    let _one = guests();
    let old = spawn(WORKER, None)?;
    ambient::reset()?;
    script::register(&FUNCTIONS)?;
    let new = spawn(WORKER, None)?;
    assert_ne!(old.as_u64(), new.as_u64());
    assert!(is_misuse(Threads::thread_state(old)));
    assert!(is_misuse(Threads::thread_local_set(old, 1, 1.into(), None)));
    assert!(is_misuse(spawn(WORKER, Some(old))));
    Threads::thread_cancel(old)?;
    assert_eq!(Threads::thread_join(new)?, completed(1));
    Ok(())
}

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

fn threads_run_whatever_backpressure_and_lock_their_instance_has() -> Result<(), Error> {
    let _one = guests();
    let task = TaskBuiltins::task_call(script::function(CLOSES)?, &[])?;
    assert_eq!(Threads::thread_join(spawn(YIELDS, None)?)?, completed(10));
    assert_eq!(TaskBuiltins::task_wait(task), Err(Trap::Deadlock.into()));
    Ok(())
}

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

fn thread_begins_with_a_snapshot_of_the_context() -> Result<(), Error> {
    let _one = guests();
    set(4);
    let thread = spawn(YIELDS, None)?;
    set(5);
    Threads::thread_join(thread)?;
    assert_eq!((take_log(), get()), ([4, 14, 24].to_vec(), Some(5)));
    Ok(())
}

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

fn threads_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    for (what, resource) in
        [(0, Resource::HostTasks), (1, Resource::Tasks), (2, Resource::Threads), (3, Resource::ThreadIndices)]
    {
        for limit in [0, 1, 2] {
            ambient::reset()?;
            let mut limits = Limits::DEFAULT;
            *match what {
                0 => &mut limits.host_tasks,
                1 => &mut limits.core.tasks,
                2 => &mut limits.core.threads,
                _ => &mut limits.core.thread_indices,
            } = limit;
            ambient::configure(limits)?;
            whole_store()?;
            script::register(&FUNCTIONS)?;
            let threads = (0..limit).map(|_| spawn(WORKER, None)).collect::<Result<Vec<_>, _>>()?;
            let counts = ambient::core(|core| core.store.counts())?;
            for _ in 0..2 {
                assert_eq!(spawn(WORKER, threads.first().copied()), Err(Error::capacity(resource)));
                assert_eq!(ambient::core(|core| core.store.counts())?, counts);
                if let Some(thread) = threads.first() {
                    assert_eq!(Threads::child(*thread, None)?, None);
                }
            }
            for thread in threads {
                assert_eq!(Threads::thread_join(thread)?, completed(1));
            }
            if limit > 0 {
                assert_eq!(Threads::thread_join(spawn(WORKER, None)?)?, completed(1));
            }
            assert!(is_idle()?);
        }
    }
    Ok(())
}

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

fn cancel_child_threads_counts_those_whose_function_goes_on() -> Result<(), Error> {
    let _one = guests();
    let parent = spawn(YIELDS, None)?;
    let (over, ending, unstarted) =
        (spawn(WORKER, Some(parent))?, spawn(WORKER, Some(parent))?, spawn(YIELDS, Some(parent))?);
    Threads::thread_local_set_with(ending, 1, 10.into(), host_destructor)?;
    // The parent begins, and the two workers return.
    for _ in 0..3 {
        assert_eq!(TaskBuiltins::tick(), Ok(true));
    }
    use TaskState::{Completed, Pending, Running};
    let states = [over, ending, unstarted].map(Threads::thread_state);
    assert_eq!(states, [Ok(Completed), Ok(Running), Ok(Pending)]);
    // The value of one is not destroyed yet, but there is nothing of it to cancel.
    assert_eq!(Threads::cancel_child_threads(parent)?, 1);
    assert_eq!(Threads::thread_join(unstarted)?, TaskOutcome::Cancelled);
    assert_eq!(Threads::thread_join(ending)?, completed(1));
    let token = TaskBuiltins::cancellation_token(ending.task())?;
    assert_eq!(token.is_cancelled(), Ok(false));
    Ok(())
}

tests! {
    thread_spawn_runs_nothing_until_the_store_is_driven,
    thread_arguments_are_given_or_zero,
    thread_spawn_of_what_is_not_there_says_so,
    thread_stack_and_priority_are_checked,
    thread_stack_that_was_asked_for_reaches_the_engine,
    thread_ids_of_before_a_reset_name_no_thread,
    thread_priority_orders_those_that_are_ready,
    threads_of_high_priority_take_turns_with_other_tasks,
    threads_run_whatever_backpressure_and_lock_their_instance_has,
    thread_that_traps_is_joined_with_the_trap,
    thread_begins_with_a_snapshot_of_the_context,
    current_thread_is_the_one_that_runs,
    threads_capacity_at_every_edge,
    cancel_child_threads_removes_the_unstarted_and_asks_the_others,
    cancel_child_threads_counts_those_whose_function_goes_on,
}
