//! Tasks of the host itself: of its instance, like those of its functions, and without code of their own; and threads that it spawns in
//! guests.
//!
//! Spec: Tasks. The host has no thread, so they have none: it says itself when they return or take their cancellation.

use super::Store;
use crate::error::{Error, Resource, Trap};
use crate::event::event;
use crate::id::{HostCall, LiftId, TaskId};
use crate::message::Misuse;
use crate::state::{Caller, InstanceKind, Point, Priority, Task};
use crate::storage::Profile;

/// How the host starts a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Entrance {
    /// [`run::call`](crate::run::call).
    Call,
    /// [`Store::spawn`].
    Spawn,
}

impl<P: Profile> Store<P> {
    /// A task of the host instance has started. It ends with [`Store::return_host_task`] or [`Store::cancel_host_task`]; `call` is
    /// the host's name for it. Cost: O(1).
    ///
    /// # Errors
    /// `Capacity(Tasks)`; `Misuse` before [`Store::set_host`].
    pub fn start_host_task(&mut self, call: HostCall) -> Result<TaskId, Error> {
        let host = self.host_instance()?;
        let mut task = Task::new(None, host, Caller::Host(call), false, host);
        task.start()?;
        self.caught(|store| store.charge(host, &[(Resource::Tasks, 1)]))?;
        let id = self.tasks.insert(task).ok_or(Error::capacity(Resource::Tasks))?;
        event!(debug, task, "created", task = id, instance = host, caller = Caller::Host(call));
        event!(debug, task, "started", task = id);
        Ok(id)
    }

    /// `Task.return_` of a host's task, whose result is the host's alone. The task is gone. Cost: O(1).
    ///
    /// # Errors
    /// `Misuse` where there is no such task; `Trap(BorrowsRemain)`.
    pub fn return_host_task(&mut self, id: TaskId) -> Result<(), Error> {
        self.host_task(id)?.check_return()?;
        event!(debug, task, "returned", task = id);
        self.remove_task(id);
        Ok(())
    }

    /// `Task.request_cancellation` of a host's task, and its `Task.cancel`: nothing of it runs that could insist. The task is
    /// gone. Cost: O(1).
    ///
    /// # Errors
    /// As [`Store::return_host_task`].
    pub fn cancel_host_task(&mut self, id: TaskId) -> Result<(), Error> {
        let task = self.host_task(id)?;
        task.check_return()?;
        task.deliver_cancel();
        task.check_cancel()?;
        event!(debug, task, "cancelled", task = id);
        self.remove_task(id);
        Ok(())
    }

    /// Spawns a thread in a guest's instance, which will call a function of numbers: a task of the instance whose implicit thread starts
    /// in a later [`tick`](crate::run::tick), and then as a thread does that the guest makes itself, whatever its instance's
    /// backpressure and its exclusive lock. The threads that the host spawned and that are ready run by their priority, and take turns with all
    /// others; no synchronous call runs one in between. Cost: O(1).
    ///
    /// # Errors
    /// `Capacity(Tasks | Threads | ThreadIndices)`; `Trap(CannotEnter)` where the instance has trapped; `Misuse` where the function is lifted with
    /// `async`, or is the host's.
    pub fn spawn(&mut self, function: LiftId, call: HostCall, priority: Priority) -> Result<TaskId, Error> {
        self.check_start(Some((function, Entrance::Spawn)))?;
        let instance = self.options(self.lift(function)?.options)?.instance;
        self.caught(|store| {
            let (task, thread) =
                store.new_task(Some(function), instance, Caller::Host(call), false, true, None)?;
            if let Err(raised) = store.register_thread(thread) {
                store.forget_unentered(thread);
                return Err(raised);
            }
            store.thread_mut(thread)?.spawn(priority);
            store.start_waiting(thread, Point::Spawned)?;
            Ok(task)
        })
    }

    /// Whether the host could start a task now: of its own (`None`), or one that calls a function, or spawns it. Fails with what would refuse
    /// it before anything of it runs; for whoever frees one task for another. Cost: O(1).
    ///
    /// # Errors
    /// `Capacity(Tasks | Threads | ThreadIndices)`; `Trap(CannotEnter)`; `Misuse` for an unknown function, and one that can't be spawned.
    pub fn check_start(&mut self, function: Option<(LiftId, Entrance)>) -> Result<(), Error> {
        let Some((function, entrance)) = function else {
            let host = self.host_instance()?;
            return self.caught(|store| store.check_room(host, &[(Resource::Tasks, 1)]));
        };
        let lift = self.lift(function)?;
        let (options, ty) = (self.options(lift.options)?, self.types().func(lift.ty));
        let instance = self.instance(options.instance)?;
        let queues = match entrance {
            Entrance::Spawn if instance.kind() == InstanceKind::Host || options.is_async => {
                return Err(Misuse::SpawnedFunction.into());
            }
            _ if instance.is_poisoned() => return Err(Trap::CannotEnter.into()),
            Entrance::Spawn => false,
            Entrance::Call => {
                let exclusive = !options.is_async || options.callback.is_some();
                ty.is_some_and(|ty| ty.is_async)
                    && (instance.has_backpressure(exclusive) || instance.waiting_to_enter() > 0)
            }
        };
        self.caught(|store| {
            if !queues {
                store.reserve(options.instance, (Resource::ThreadIndices, 1))?;
            }
            store.check_room(options.instance, &[(Resource::Threads, 1), (Resource::Tasks, 1)])
        })
    }

    fn host_task(&mut self, id: TaskId) -> Result<&mut Task, Error> {
        let task = self.tasks.get_mut(id).filter(|task| task.lift().is_none());
        let own = task.filter(|task| matches!(task.caller(), Caller::Host(_)));
        Ok(own.ok_or(Misuse::UnknownHostTask)?)
    }
}
