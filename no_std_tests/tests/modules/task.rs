//! Tasks of the host. The same tests on every tier.

use crate::common::fresh;
use crate::common::script::is_idle;
use crate::common::tasks::{completed, get, is_misuse, set};
use alloc::format;
use alloc::vec::Vec;
use canon_async::ambient::{self, Limits};
use canon_async::prelude::*;
use canon_async::{Resource, Trap};

fn state(task: HostTaskId) -> TaskState {
    TaskBuiltins::task_state(task).expect("it is not freed")
}

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

fn task_initialize_wipes_nothing() -> Result<(), Error> {
    let _one = fresh();
    let task = TaskBuiltins::task_start()?;
    TaskBuiltins::set_task_metadata(task, "a", 1.into())?;
    TaskBuiltins::initialize()?;
    assert_eq!(TaskBuiltins::get_task_metadata(task, "a")?, Some(1.into()));
    assert_eq!(state(task), TaskState::Running);
    Ok(())
}

fn task_metadata_is_the_tasks_own_and_freed_with_it() -> Result<(), Error> {
    let _one = fresh();
    ambient::configure(Limits::DEFAULT.with_task_metadata(2))?;
    let (one, two) = (TaskBuiltins::task_start()?, TaskBuiltins::task_start()?);
    assert_eq!(TaskBuiltins::set_task_metadata(one, "a", 1.into())?, None);
    assert_eq!(TaskBuiltins::set_task_metadata(one, "a", 2.into())?, Some(1.into()));
    assert_eq!(TaskBuiltins::get_task_metadata(two, "a")?, None);
    TaskBuiltins::set_task_metadata(two, "a".to_string(), true.into())?;
    let full = Err(Error::capacity(Resource::TaskMetadata));
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
        Err(Error::capacity(Resource::TextBytes))
    );
    Ok(())
}

fn tasks_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    for limit in [0, 1, 2, Limits::DEFAULT.host_tasks] {
        let limit = Limits::DEFAULT.host_tasks.min(limit).min(Limits::DEFAULT.core.tasks);
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_host_tasks(limit))?;
        let tasks = (0..limit).map(|_| TaskBuiltins::task_start()).collect::<Result<Vec<_>, _>>()?;
        let full = Err(Error::capacity(Resource::HostTasks));
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

fn tasks_of_the_core_are_one_budget() -> Result<(), Error> {
    let _one = fresh();
    let mut limits = Limits::DEFAULT;
    limits.core.tasks = 1;
    ambient::configure(limits)?;
    let task = TaskBuiltins::task_start()?;
    for _ in 0..2 * Limits::DEFAULT.host_tasks {
        assert_eq!(TaskBuiltins::task_start(), Err(Error::capacity(Resource::Tasks)));
    }
    TaskBuiltins::task_return(task, 1.into())?;
    TaskBuiltins::task_start()?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(1));
    Ok(())
}

fn task_value_beyond_the_limits_leaves_the_task_running() -> Result<(), Error> {
    let _one = fresh();
    let task = TaskBuiltins::task_start()?;
    let long = "x".repeat(Limits::DEFAULT.text_bytes as usize + 1);
    let full = Err(Error::capacity(Resource::TextBytes));
    assert_eq!(TaskBuiltins::task_return(task, long.as_str().into()), full);
    assert_eq!(TaskBuiltins::task_fail(task, long.as_str()), full);
    assert_eq!(state(task), TaskState::Running);
    TaskBuiltins::task_return(task, "fits".into())
}

#[cfg(not(target_os = "none"))]
fn task_run_that_a_panic_unwinds_leaves_both_contexts() -> Result<(), Error> {
    let _one = fresh();
    let task = TaskBuiltins::task_start()?;
    set(2);
    let caught = std::panic::catch_unwind(|| {
        TaskBuiltins::task_run(task, || {
            set(5);
            panic!("a test's");
        })
    });
    assert!(caught.is_err());
    assert_eq!((get(), TaskBuiltins::task_run(task, get)?), (Some(2), Some(5)));
    Ok(())
}

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

fn task_ids_of_before_a_reset_name_no_task() -> Result<(), Error> {
    let _one = fresh();
    let mut old = Vec::new();
    for _ in 0..3 {
        for _ in 0..2 {
            let task = TaskBuiltins::task_start()?;
            assert!(old.iter().all(|old: &HostTaskId| *old != task && old.as_u64() != task.as_u64()));
            old.push(task);
        }
        ambient::reset()?;
        let new = [TaskBuiltins::task_start()?, TaskBuiltins::task_start()?, TaskBuiltins::task_start()?];
        for old in &old {
            assert!(is_misuse(TaskBuiltins::task_state(*old)));
            assert!(is_misuse(TaskBuiltins::set_task_metadata(*old, "a", 1.into())));
            let resolved = Err(Error::Trap(Trap::TaskResolved));
            assert_eq!(TaskBuiltins::task_return(*old, 1.into()), resolved);
            TaskBuiltins::task_cancel(*old)?;
        }
        assert_eq!(new.map(state), [TaskState::Running; 3]);
        old.extend(new);
        ambient::reset()?;
    }
    Ok(())
}

fn task_run_inside_of_another_task_goes_on_with_the_tasks_own_context() -> Result<(), Error> {
    let _one = fresh();
    set(1);
    let (a, b) = (TaskBuiltins::task_start()?, TaskBuiltins::task_start()?);
    set(2);
    TaskBuiltins::task_run(a, || {
        set(10);
        TaskBuiltins::task_run(b, || {
            assert_eq!(get(), Some(1));
            set(20);
            TaskBuiltins::task_run(a, || {
                // Its own, as it left it, and not that of who runs around it.
                assert_eq!((get(), TaskBuiltins::current_task()), (Some(10), Ok(Some(a))));
                set(11);
                TaskBuiltins::task_run(b, || assert_eq!(get(), Some(20))).expect("it is there");
                assert_eq!(get(), Some(11));
            })
            .expect("it is there");
            assert_eq!((get(), TaskBuiltins::current_task()), (Some(20), Ok(Some(b))));
        })
        .expect("it is there");
        // What was set in it inside of the other is set in it.
        assert_eq!((get(), TaskBuiltins::current_task()), (Some(11), Ok(Some(a))));
    })?;
    assert_eq!((get(), TaskBuiltins::current_task()), (Some(2), Ok(None)));
    assert_eq!(TaskBuiltins::task_run(a, get)?, Some(11));
    assert_eq!(TaskBuiltins::task_run(b, get)?, Some(20));
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn task_run_restores_what_it_found_however_tasks_end_in_it() -> Result<(), Error> {
    let _one = fresh();
    ambient::configure(Limits::DEFAULT.with_host_tasks(2))?;
    set(1);
    let (a, b) = (TaskBuiltins::task_start()?, TaskBuiltins::task_start()?);
    set(2);
    TaskBuiltins::task_run(a, || {
        set(10);
        let caught = std::panic::catch_unwind(|| {
            TaskBuiltins::task_run(b, || {
                TaskBuiltins::task_run(a, || {
                    set(11);
                    TaskBuiltins::task_cancel(a).expect("it is there");
                    TaskBuiltins::task_cancel(b).expect("it is there");
                    // Their code runs: neither is freed.
                    assert_eq!(TaskBuiltins::task_start(), Err(Error::capacity(Resource::HostTasks)));
                    assert_eq!(TaskBuiltins::cleanup_finished_tasks(), Ok(0));
                    panic!("a test's");
                })
            })
        });
        assert!(caught.is_err());
        assert_eq!((get(), TaskBuiltins::current_task()), (Some(11), Ok(Some(a))));
        assert_eq!(state(a), TaskState::Cancelled);
    })?;
    assert_eq!((get(), TaskBuiltins::current_task()), (Some(2), Ok(None)));
    TaskBuiltins::task_run(a, || assert_eq!(get(), None))?;
    assert_eq!(TaskBuiltins::cleanup_finished_tasks()?, 2);
    // Nobody holds their contexts any more.
    AsyncContextManager::context_set(AsyncContext::new())?;
    for index in 0..Limits::DEFAULT.context_values as i32 {
        AsyncContextManager::set_context_value(ContextKey::new(format!("k{index}")), index.into())?;
    }
    Ok(())
}

fn scope_that_outlives_its_task_run_ends_with_it() -> Result<(), Error> {
    let _one = fresh();
    set(1);
    let task = TaskBuiltins::task_start()?;
    set(2);
    let outer = AsyncContextScope::enter_inherited()?;
    let inner = TaskBuiltins::task_run(task, || {
        let scope = AsyncContextScope::enter_empty();
        set(3);
        scope
    })??;
    assert_eq!((get(), TaskBuiltins::task_run(task, get)?), (Some(2), Some(1)));
    let other = AsyncContextScope::enter_empty()?;
    drop(inner);
    assert_eq!(get(), None);
    drop(other);
    set(4);
    drop(outer);
    assert_eq!(get(), Some(2));
    Ok(())
}

fn task_start_that_fails_frees_no_other() -> Result<(), Error> {
    let _one = fresh();
    let mut limits = Limits::DEFAULT;
    (limits.core.tasks, limits.host_tasks) = (1, 2);
    ambient::configure(limits)?;
    let finished = TaskBuiltins::task_start()?;
    TaskBuiltins::task_return(finished, 1.into())?;
    TaskBuiltins::task_wait(finished)?;
    TaskBuiltins::task_start()?;
    assert_eq!(TaskBuiltins::task_start(), Err(Error::capacity(Resource::Tasks)));
    assert_eq!(TaskBuiltins::task_state(finished), Ok(TaskState::Completed));
    Ok(())
}

tests! {
    task_states_are_those_of_the_spec,
    task_wait_for_what_nobody_ends_is_a_deadlock_by_name,
    task_return_twice_is_a_trap_and_cancelling_what_has_finished_is_fine,
    task_ids_are_never_used_again,
    task_initialize_wipes_nothing,
    task_metadata_is_the_tasks_own_and_freed_with_it,
    tasks_capacity_at_every_edge,
    tasks_of_the_core_are_one_budget,
    task_value_beyond_the_limits_leaves_the_task_running,
    task_run_that_a_panic_unwinds_leaves_both_contexts [unwinding],
    task_context_is_a_snapshot_that_the_task_goes_on_with,
    task_ids_of_before_a_reset_name_no_task,
    task_run_inside_of_another_task_goes_on_with_the_tasks_own_context,
    task_run_restores_what_it_found_however_tasks_end_in_it [unwinding],
    scope_that_outlives_its_task_run_ends_with_it,
    task_start_that_fails_frees_no_other,
}
