//! Thread-local values of the host's threads, and their destructors. The same tests on every tier.

use crate::common::script;
use crate::common::script::is_idle;
use crate::common::tasks::{TRAP, completed, failed, is_misuse, set, take_log};
use crate::common::threads::*;
use crate::common::{fresh, whole_store};
use canon_async::ambient::{self, FunctionAt, Limits};
use canon_async::prelude::*;
use canon_async::{Resource, Trap};

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
        assert_eq!(Threads::thread_join(thread), Err(Error::capacity(Resource::Tasks)));
        assert_eq!(Threads::thread_state(thread)?, TaskState::Running);
    }
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    assert_eq!((take_log(), Threads::lost_destructors(thread)?), ([0, 1220, 1110].to_vec(), 0));
    Ok(())
}

fn destructor_without_room_holds_up_nobody_else() -> Result<(), Error> {
    let _one = fresh();
    take_log();
    let mut limits = Limits::DEFAULT;
    limits.core.tasks = 2;
    ambient::configure(limits)?;
    whole_store()?;
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

fn destructors_run_whatever_backpressure_and_lock_their_instance_has() -> Result<(), Error> {
    let _one = guests();
    TaskBuiltins::task_call(script::function(CLOSES)?, &[])?;
    let thread = spawn(WORKER, None)?;
    Threads::thread_local_set(thread, 1, 10.into(), Some(DESTRUCTOR))?;
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    assert_eq!(take_log(), [0, 1110]);
    Ok(())
}

#[cfg(not(target_os = "none"))]
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

fn destructor_that_is_not_there_or_takes_more_is_misuse() -> Result<(), Error> {
    let _one = guests();
    let thread = spawn(WORKER, None)?;
    for destructor in [41, SUM, CALLBACK, TEXT, WIDE_KEY, CHAR_KEY] {
        assert!(is_misuse(Threads::thread_local_set(thread, 1, 1.into(), Some(destructor))), "{destructor}");
    }
    // The value of another type than the destructor takes.
    assert!(is_misuse(Threads::thread_local_set(thread, 1, 1i64.into(), Some(DESTRUCTOR))));
    assert_eq!(Threads::thread_local_get(thread, 1)?, None);
    // What is no number is 0 to it.
    Threads::thread_local_set(thread, 1, "text".into(), Some(DESTRUCTOR))?;
    Ok(())
}

fn thread_locals_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    for limit in [0, 1, Limits::DEFAULT.thread_locals] {
        let limit = Limits::DEFAULT.thread_locals.min(limit);
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_thread_locals(limit))?;
        script::register(&FUNCTIONS)?;
        let thread = spawn(WORKER, None)?;
        for key in 0..limit {
            Threads::thread_local_set(thread, key, 1.into(), None)?;
        }
        for _ in 0..2 {
            let full = Threads::thread_local_set(thread, limit, 1.into(), None);
            assert_eq!(full, Err(Error::capacity(Resource::ThreadLocals)));
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

fn destructor_that_the_engine_does_not_run_is_run_later_and_once() -> Result<(), Error> {
    let _one = guests();
    let thread = spawn(WORKER, None)?;
    Threads::thread_local_set(thread, 1, 10.into(), Some(DESTRUCTOR))?;
    assert_eq!(TaskBuiltins::tick(), Ok(true));
    script::set_runs(false);
    let ticks = [TaskBuiltins::tick(), TaskBuiltins::tick()];
    script::set_runs(true);
    assert!(ticks.into_iter().all(is_misuse));
    assert_eq!(Threads::thread_local_get(thread, 1)?, Some(10.into()));
    assert_eq!(Threads::thread_join(thread)?, completed(1));
    assert_eq!((take_log(), Threads::lost_destructors(thread)?), ([0, 1110].to_vec(), 0));
    assert!(is_idle()?);
    Ok(())
}

fn thread_local_of_a_thread_that_ends_can_be_read_until_it_is_destroyed() -> Result<(), Error> {
    let _one = guests();
    let thread = spawn(WORKER, None)?;
    Threads::thread_local_set(thread, 1, 10.into(), Some(DESTRUCTOR))?;
    Threads::thread_local_set(thread, 2, 20.into(), Some(YIELDING))?;
    Threads::thread_cancel(thread)?;
    // The second begins, and yields.
    assert_eq!(TaskBuiltins::tick(), Ok(true));
    assert_eq!(Threads::thread_local_get(thread, 2)?, None);
    assert_eq!(Threads::thread_local_get(thread, 1)?, Some(10.into()));
    // Taken back: nothing destroys it.
    assert_eq!(Threads::thread_local_remove(thread, 1)?, Some(10.into()));
    assert_eq!(Threads::thread_join(thread)?, TaskOutcome::Cancelled);
    assert_eq!(take_log(), [2002, 3000]);
    Ok(())
}

tests! {
    thread_locals_are_destroyed_once_on_exit_and_the_last_set_first,
    thread_locals_are_destroyed_once_on_cancel,
    thread_locals_on_a_trap_run_the_hosts_destructors_and_count_the_guests,
    destructor_that_traps_changes_nothing_of_how_the_thread_ended,
    destructor_that_traps_alone_is_no_error_of_who_waits,
    thread_is_not_freed_before_its_values_are_destroyed,
    destructor_of_a_guest_without_room_is_called_later_and_once,
    destructor_without_room_holds_up_nobody_else,
    destructors_run_whatever_backpressure_and_lock_their_instance_has,
    destructor_of_the_host_that_panics_is_not_run_again [unwinding],
    destructor_that_is_not_there_or_takes_more_is_misuse,
    thread_locals_capacity_at_every_edge,
    thread_of_a_table_takes_its_destructors_from_it,
    destructor_that_the_engine_does_not_run_is_run_later_and_once,
    thread_local_of_a_thread_that_ends_can_be_read_until_it_is_destroyed,
}
