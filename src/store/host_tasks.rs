//! Tasks of the host itself: of its instance, like those of its functions, and without code of their own; and threads that it spawns in
//! guests.
//!
//! Spec: Tasks. The host has no thread, so they have none: it says itself when they return or take their cancellation.

use super::Store;
use crate::error::{Error, Resource, Trap};
use crate::id::{HostCall, LiftId, TaskId};
use crate::message::Misuse;
use crate::state::{Caller, InstanceKind, Point, Priority, Task};
use crate::storage::Profile;

impl<P: Profile> Store<P> {
    /// A task of the host instance has started. It ends with [`Store::return_host_task`] or [`Store::cancel_host_task`]; `call` is
    /// the host's name for it. Cost: O(1).
    ///
    /// # Errors
    /// `Capacity(Tasks)`; `Misuse` before [`Store::set_host`].
    pub fn start_host_task(&mut self, call: HostCall) -> Result<TaskId, Error> {
        let mut task = Task::new(None, self.host_instance()?, Caller::Host(call), false);
        task.start()?;
        self.tasks.insert(task).ok_or(Error::Capacity(Resource::Tasks))
    }

    /// `Task.return_` of a host's task, whose result is the host's alone. The task is gone. Cost: O(1).
    ///
    /// # Errors
    /// `Misuse` where there is no such task; `Trap(BorrowsRemain)`.
    pub fn return_host_task(&mut self, id: TaskId) -> Result<(), Error> {
        self.host_task(id)?.check_return()?;
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
        let options = self.options(self.lift(function)?.options)?;
        let instance = self.instance(options.instance)?;
        if instance.kind() == InstanceKind::Host || options.is_async {
            return Err(Misuse::SpawnedFunction.into());
        }
        if instance.is_poisoned() {
            return Err(Trap::CannotEnter.into());
        }
        let instance = options.instance;
        self.caught(|store| {
            let (task, thread) = store.new_task(Some(function), instance, Caller::Host(call), false, true)?;
            if let Err(raised) = store.register_thread(thread) {
                store.forget_unentered(thread);
                return Err(raised);
            }
            store.thread_mut(thread)?.spawn(priority);
            store.start_waiting(thread, Point::Spawned)?;
            Ok(task)
        })
    }

    fn host_task(&mut self, id: TaskId) -> Result<&mut Task, Error> {
        let task = self.tasks.get_mut(id).filter(|task| task.lift().is_none());
        let own = task.filter(|task| matches!(task.caller(), Caller::Host(_)));
        Ok(own.ok_or(Misuse::UnknownHostTask)?)
    }
}
