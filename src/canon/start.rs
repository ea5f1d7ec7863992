//! Spec: core instantiation inside `canon` definitions: the start function as an implicit synchronous task.

use crate::embedding::Embedding;
use crate::error::Error;
use crate::event::event;
use crate::id::{InstanceId, TaskId, ThreadId};
use crate::raise::{Raises, Raising as _, caught};
use crate::run;
use crate::state::{Caller, Status};
use crate::storage::Profile;
use crate::store::{Current, Store};

/// A start function on its way: see [`start_enter`].
#[derive(Debug)]
#[must_use = "a start function that was entered must be left"]
pub struct Start {
    instance: InstanceId,
    task: TaskId,
    thread: ThreadId,
    outer: Current,
}

/// Opens a core instantiation: its start function runs as a synchronous task of the component instance. The engine
/// instantiates the module next, and [`start_leave`] closes it.
///
/// # Errors
/// `Capacity(Tasks | Threads | ThreadIndices)`; `Trap(CannotEnter)` where the instance is poisoned.
pub fn start_enter<E: Embedding + ?Sized>(e: &mut E, instance: InstanceId) -> Result<Start, Error> {
    e.store().caught(|store| {
        store.check_enter(instance)?;
        start(store, instance)
    })
}

fn start<P: Profile>(store: &mut Store<P>, instance: InstanceId) -> Raises<Start> {
    let (task, thread) = store.new_task(None, instance, Caller::Start, false, false, None)?;
    if let Err(raised) = store.register_thread(thread) {
        store.forget_unentered(thread);
        return Err(raised);
    }
    let started = store.task_mut(task)?.start();
    started.raising(&mut store.raiser)?;
    event!(debug, task, "started", task);
    let entry = store.thread_mut(thread)?;
    entry.entered(false);
    entry.status = Status::Running;
    let outer = core::mem::replace(&mut store.current, Current::Thread(thread));
    Ok(Start { instance, task, thread, outer })
}

/// Closes a core instantiation with how it ended; an error poisons the instance.
///
/// # Errors
/// The one that it was given.
pub fn start_leave<E: Embedding + ?Sized>(
    e: &mut E,
    start: Start,
    result: Result<(), Error>,
) -> Result<(), Error> {
    let store = e.store();
    store.current = start.outer;
    let result = result.raising(&mut store.raiser).and_then(|()| {
        store.task_mut(start.task)?.resolve();
        event!(debug, task, "returned", task = start.task);
        store.exit_thread(start.thread)
    });
    let result = match result {
        Ok(()) => Ok(()),
        Err(raised) => {
            event!(warn, thread, "trapped", thread = start.thread, error = store.raiser.error(raised));
            if let Some(guilty) = store.take_blamed() {
                store.poison(guilty);
            }
            store.poison(start.instance);
            Err(raised)
        }
    };
    caught(e, |e| run::at_host(e, result))
}
