//! Tasks of the host: something that is under way and ends once, with a value, by cancellation, or by failing.
//!
//! A host task is a task of the ambient store's core, like those of guests. There are two kinds:
//! * [`task_start`](TaskBuiltins::task_start): one of the host's own, in the host's instance. The host's code says how it ends.
//! * [`task_call`](TaskBuiltins::task_call): a call of a guest's function, which ends as the function does.
//!
//! ```text
//! Pending --starts--> Running --returns--> Completed
//!    |                   |----is cancelled--> Cancelled
//!    +--removed--+       +----traps, fails--> Failed
//!                v
//!            Cancelled
//! ```
//!
//! **Waiting** ([`task_wait`](TaskBuiltins::task_wait)) drives the store: guests run, in the place of whoever waits. Where nothing is ready,
//! no host function will answer, and the task has not finished, that is a deadlock, and an error that says so.
//!
//! **Cancellation** is the spec's `subtask.cancel`: a guest's task that waits in its callback loop is told, one that has not started is
//! removed, and any other is asked: it ends when it resolves, with a value where it insists. A task of the host's own is cancelled at once, since
//! no code of it runs that could be told; who works for it asks its [`CancellationToken`].
//!
//! **While the store is driven**, which is what host functions that guests call find, tasks of the host's own can be ended, all can be
//! cancelled, and read; what the core has to know of it, it is told before it next runs somebody.
//!
//! **Freeing**: the core's task is gone as soon as it has resolved. How it ended can be read again and again, until there is no room for a
//! new task: then those are freed that finished first, of those whose end somebody knows (who waited, polled or cancelled). An end
//! that nobody knows is not lost in silence: it takes room until somebody asks. While its code is on the stack no task is freed. Ids are never used again,
//! after [`ambient::reset`] neither.
//!
//! **Contexts**: a task begins with a snapshot of the context that it was started in. Its guest's code runs with that as the current one
//! wherever this module drives ([`task_wait`](TaskBuiltins::task_wait), [`tick`](TaskBuiltins::tick)); the host's code with
//! [`task_run`](TaskBuiltins::task_run).
//!
//! ```ignore-none
//! use canon_async::prelude::*;
//! # fn main() -> Result<(), Error> {
//! let task = TaskBuiltins::task_start()?;
//! TaskBuiltins::set_task_metadata(task, "priority", ComponentValue::I32(5))?;
//! TaskBuiltins::task_return(task, TaskReturn::from_component_value(ComponentValue::Bool(true)))?;
//! let outcome = TaskBuiltins::task_wait(task)?;
//! assert_eq!(outcome.value(), Some(&ComponentValue::Bool(true)));
//! # Ok(())
//! # }
//! ```

mod drive;
mod flat;
mod state;
mod threads;

pub(crate) use drive::{host_args, host_lost, host_result, spawn, stack_bytes, turn, types};
pub(crate) use flat::Flat;
pub(crate) use state::State;
pub(crate) use threads::{Begin, Destructor, Local};

use crate::ambient::text::text;
use crate::ambient::{self, AsText, ComponentValue, Waited};
use crate::error::{Error, Trap};
pub use crate::id::HostTaskId;
use crate::id::LiftId;
use core::fmt;
use core::time::Duration;
use drive::Inside;

/// What a task returns: a value, or none.
#[derive(Clone, PartialEq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TaskReturn(Option<ComponentValue>);

impl TaskReturn {
    /// No value.
    pub const fn void() -> Self {
        Self(None)
    }

    /// A value.
    pub const fn from_component_value(value: ComponentValue) -> Self {
        Self(Some(value))
    }

    /// The value, if there is one.
    pub const fn as_component_value(&self) -> Option<&ComponentValue> {
        self.0.as_ref()
    }

    /// The value, if there is one.
    pub fn into_component_value(self) -> Option<ComponentValue> {
        self.0
    }
}

impl<T: Into<ComponentValue>> From<T> for TaskReturn {
    fn from(value: T) -> Self {
        Self::from_component_value(value.into())
    }
}

/// Where a task is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TaskState {
    /// It is a call that has not started: its instance lets nobody in.
    Pending,
    /// It has started.
    Running,
    /// It has returned.
    Completed,
    /// It was cancelled, before or after it started.
    Cancelled,
    /// It trapped, or the host said that it failed.
    Failed,
}

impl TaskState {
    /// Whether it will stay so.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        })
    }
}

/// How a task has ended.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TaskOutcome {
    /// It returned this.
    Completed(TaskReturn),
    /// It was cancelled.
    Cancelled,
    /// It failed.
    Failed(TaskFailure),
}

impl TaskOutcome {
    /// The value that it returned, if it returned one.
    pub const fn value(&self) -> Option<&ComponentValue> {
        match self {
            Self::Completed(value) => value.as_component_value(),
            _ => None,
        }
    }
}

/// Why a task has failed.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TaskFailure {
    /// The guest's function trapped, or another call in its instance did; or the core has no room.
    Error(Error),
    /// The host said so, with this: a text, a number, an error context.
    Host(ComponentValue),
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Host(value) => value.fmt(f),
        }
    }
}

/// Asks for the cancellation of a task, or whether it was asked for. Whoever works for a task can be given one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CancellationToken(HostTaskId);

impl CancellationToken {
    /// The task.
    pub fn task(self) -> HostTaskId {
        self.0
    }

    /// [`TaskBuiltins::task_cancel`].
    ///
    /// # Errors
    /// As there.
    pub fn cancel(self) -> Result<(), Error> {
        TaskBuiltins::task_cancel(self.0)
    }

    /// Whether cancellation was asked for before the task finished. O(1).
    ///
    /// # Errors
    /// `Misuse` where the task has finished and was freed.
    pub fn is_cancelled(self) -> Result<bool, Error> {
        ambient::host(|host| host.task.is_cancelled(self.0))?
    }
}

/// The tasks of the host.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TaskBuiltins;

impl TaskBuiltins {
    /// Sets the ambient store up, which the first use does too. What is there stays.
    ///
    /// # Errors
    /// As [`ambient::core`].
    pub fn initialize() -> Result<(), Error> {
        ambient::core(|_| ())
    }

    /// Starts a task of the host's own, in a snapshot of the current context. O(1).
    ///
    /// # Errors
    /// `Capacity(HostTasks | Tasks)`; `Misuse` while the store is driven.
    pub fn task_start() -> Result<HostTaskId, Error> {
        drive::start()
    }

    /// Starts a task that calls a guest's function, in a snapshot of the current context. The function runs until it blocks or
    /// returns; where its instance lets nobody in, the task is pending. A trap is how the task ends.
    ///
    /// The arguments and the result are numbers, bools, chars and handles; functions of other types are called through the engine. What a handle stands for goes to
    /// the guest when the function starts, and not before: of a call that is removed it stays with the host. An `own`, the readable end of a stream or future, and an error context
    /// that is returned are the host's from then on.
    ///
    /// # Errors
    /// `Misuse` for arguments that are not of the parameters' types, a function of other types, without an engine, or while the store is driven;
    /// `Capacity`; `Trap(CannotEnter)` where the instance has trapped: the task is not there then.
    pub fn task_call(function: LiftId, args: &[ComponentValue]) -> Result<HostTaskId, Error> {
        drive::call(function, args)
    }

    /// `task.return` of a task of the host's own. O(1).
    ///
    /// # Errors
    /// `Trap(TaskResolved)` where it has finished; `Misuse` where it calls a function, which returns itself; `Capacity(TextBytes | ListItems)`.
    pub fn task_return(task: HostTaskId, value: TaskReturn) -> Result<(), Error> {
        end(task, TaskOutcome::Completed(value))
    }

    /// A task of the host's own has failed. O(1).
    ///
    /// # Errors
    /// As [`TaskBuiltins::task_return`].
    pub fn task_fail(task: HostTaskId, why: impl Into<ComponentValue>) -> Result<(), Error> {
        end(task, TaskOutcome::Failed(TaskFailure::Host(why.into())))
    }

    /// Asks for the cancellation of a task; what has finished stays as it is, and that is fine.
    ///
    /// # Errors
    /// The trap of a guest that was told and is not the task's own: what that traps with is how the task ends.
    pub fn task_cancel(task: HostTaskId) -> Result<(), Error> {
        ambient::host(|host| {
            let context = host.task.cancel(task);
            host.context.release(context);
        })?;
        drive::settle_now()
    }

    /// Drives the store until a task has finished; how.
    ///
    /// # Errors
    /// `Trap(Deadlock)` where nothing can end it; the trap of a call that is no task of the host's; `Misuse` where it was freed, or, if it has not
    /// finished, while the store is driven.
    pub fn task_wait(task: HostTaskId) -> Result<TaskOutcome, Error> {
        match ambient::wait(None, || Self::task_poll(task))? {
            Waited::Done(outcome) => Ok(outcome),
            Waited::Timeout | Waited::Deadlock => Err(Trap::Deadlock.into()),
        }
    }

    /// [`TaskBuiltins::task_wait`] until a time of [`ambient::now`]: `None` where the task has not finished by then. The deadline ends the wait also where
    /// nothing else can; one that is past leaves one turn of what is ready.
    ///
    /// # Errors
    /// As [`TaskBuiltins::task_wait`], but for the deadlock; `Misuse` where there is no clock.
    pub fn task_wait_until(task: HostTaskId, deadline: Duration) -> Result<Option<TaskOutcome>, Error> {
        match ambient::wait(Some(deadline), || Self::task_poll(task))? {
            Waited::Done(outcome) => Ok(Some(outcome)),
            Waited::Timeout | Waited::Deadlock => Ok(None),
        }
    }

    /// [`TaskBuiltins::task_wait`] as a future: [`ambient::until`]. That nothing can end the task is not told.
    ///
    /// # Errors
    /// As [`ambient::until`]; `Misuse` where the task was freed.
    pub async fn task_wait_async(task: HostTaskId) -> Result<TaskOutcome, Error> {
        ambient::until(|| Self::task_poll(task)).await
    }

    /// How a task has finished, if it has. O(1).
    ///
    /// # Errors
    /// `Misuse` where it was freed.
    pub fn task_poll(task: HostTaskId) -> Result<Option<TaskOutcome>, Error> {
        ambient::host(|host| host.task.poll(task))?
    }

    /// Where a task is. O(1).
    ///
    /// # Errors
    /// `Misuse` where it was freed.
    pub fn task_state(task: HostTaskId) -> Result<TaskState, Error> {
        ambient::host(|host| host.task.state(task))?
    }

    /// Runs one thread that is ready, of whatever task; `false` where none is.
    ///
    /// # Errors
    /// The trap of a call that is no task of the host's; `Misuse` while the store is driven.
    pub fn tick() -> Result<bool, Error> {
        ambient::tick()
    }

    /// The task whose code runs: of a guest that it called, as host functions find it, or in [`TaskBuiltins::task_run`]. O(1).
    ///
    /// # Errors
    /// `Misuse` where the host's state is in use.
    pub fn current_task() -> Result<Option<HostTaskId>, Error> {
        ambient::host(|host| host.task.running)
    }

    /// What cancels a task. O(1).
    ///
    /// # Errors
    /// `Misuse` where it was freed.
    pub fn cancellation_token(task: HostTaskId) -> Result<CancellationToken, Error> {
        Self::task_state(task).map(|_| CancellationToken(task))
    }

    /// Runs code of a task: with the task's context as the current one, which keeps what is set in it. After the task has
    /// finished there is nothing to keep it for, and the context is empty.
    ///
    /// A task has one context: where its code runs inside of itself, be it across other tasks, it goes on with what is set so far, and what it sets
    /// the code around it finds. Of the others each finds its own as it left it. Scopes that `f` leaves open end with it.
    ///
    /// # Errors
    /// `Misuse` where the task was freed.
    pub fn task_run<R>(task: HostTaskId, f: impl FnOnce() -> R) -> Result<R, Error> {
        let _inside = Inside::enter(task)?;
        Ok(f())
    }

    /// Sets a value of a task's metadata; the one that the key had. It is freed with the task. O(metadata of the task).
    ///
    /// # Errors
    /// `Capacity(TextBytes | ListItems | TaskMetadata)`; `Misuse` where the task was freed.
    pub fn set_task_metadata(
        task: HostTaskId,
        key: impl AsText,
        value: ComponentValue,
    ) -> Result<Option<ComponentValue>, Error> {
        ambient::host(|host| {
            let limits = host.limits();
            value.check(&limits)?;
            host.task.set_metadata(task, text(&key, limits.text_bytes)?, value, &limits)
        })?
    }

    /// A value of a task's metadata. O(metadata of the task).
    ///
    /// # Errors
    /// `Capacity(TextBytes)` of the key; `Misuse` where the task was freed.
    pub fn get_task_metadata(task: HostTaskId, key: impl AsText) -> Result<Option<ComponentValue>, Error> {
        ambient::host(|host| host.task.metadata(task, key.as_text()?))?
    }

    /// Removes a value of a task's metadata. O(metadata of the task).
    ///
    /// # Errors
    /// As [`TaskBuiltins::get_task_metadata`].
    pub fn remove_task_metadata(task: HostTaskId, key: impl AsText) -> Result<Option<ComponentValue>, Error> {
        ambient::host(|host| host.task.remove_metadata(task, key.as_text()?))?
    }

    /// Frees the tasks that have finished and whose end somebody knows, which is otherwise done when there is no room; how many.
    ///
    /// # Errors
    /// `Misuse` where the host's state is in use.
    pub fn cleanup_finished_tasks() -> Result<u32, Error> {
        ambient::host(|host| host.task.free_known())
    }
}

fn end(task: HostTaskId, outcome: TaskOutcome) -> Result<(), Error> {
    ambient::host(|host| {
        if let TaskOutcome::Completed(TaskReturn(Some(value)))
        | TaskOutcome::Failed(TaskFailure::Host(value)) = &outcome
        {
            value.check(&host.limits())?;
        }
        let context = host.task.end(task, outcome)?;
        host.context.release(context);
        Ok::<_, Error>(())
    })??;
    drive::settle_now()
}
