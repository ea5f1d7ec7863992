//! Spec: Tasks (`register_thread`, `exit_implicit_thread`, `unregister_thread`) and Subtask State.

use super::{Current, Store};
use crate::error::{Error, Resource, Trap};
use crate::id::{InstanceId, LiftId, TaskId, ThreadId, WaitableId};
use crate::state::{Caller, Handle, Kind, ResourceHandle, Scope, Status, Subtask, Task, Thread};
use crate::storage::Profile;

impl<P: Profile> Store<P> {
    /// A task with its implicit thread, which has not entered yet.
    pub(crate) fn new_task(
        &mut self,
        lift: Option<LiftId>,
        instance: InstanceId,
        caller: Caller,
        needs_exclusive: bool,
        can_suspend: bool,
    ) -> Result<(TaskId, ThreadId), Error> {
        if !self.threads.has_room(1) {
            return Err(Error::Capacity(Resource::Threads));
        }
        let task = Task::new(lift, instance, caller, needs_exclusive);
        let task = self.tasks.insert(task).map_err(|_| Error::Capacity(Resource::Tasks))?;
        let thread = Thread::implicit(task, instance, can_suspend);
        let Ok(thread) = self.threads.insert(thread) else {
            self.tasks.remove(task);
            return Err(Error::Capacity(Resource::Threads));
        };
        self.task_mut(task)?.set_implicit_thread(thread);
        Ok((task, thread))
    }

    /// `register_thread`.
    pub(crate) fn register_thread(&mut self, id: ThreadId) -> Result<u32, Error> {
        let thread = self.thread_mut(id)?;
        let (task, instance) = (thread.task(), thread.instance());
        let index =
            self.instance_mut(instance)?.threads.add(id).ok_or(Error::Capacity(Resource::ThreadIndices))?;
        self.thread_mut(id)?.set_index(index);
        self.task_mut(task)?.register_thread();
        Ok(index)
    }

    /// `Task.exit_implicit_thread` for an implicit thread, `unregister_thread` for another: the thread is gone,
    /// and its task with the last one.
    pub(crate) fn exit_thread(&mut self, id: ThreadId) -> Result<(), Error> {
        self.answered(id);
        let thread = self.thread_mut(id)?;
        let (task, instance, index) = (thread.task(), thread.instance(), thread.index());
        let implicit = thread.is_implicit();
        let exclusive = implicit && self.task_mut(task)?.needs_exclusive();
        let last = self.task_mut(task)?.unregister_thread()?;
        self.instance_mut(instance)?.threads.remove(index);
        self.threads.remove(id);
        if last {
            self.tasks.remove(task);
        }
        if exclusive {
            self.release_exclusive(instance, id)?;
        }
        self.signal_room(instance)
    }

    /// A task whose arguments could not be lowered is gone: it has one thread, which has entered and run nothing.
    pub(crate) fn abandon_thread(&mut self, id: ThreadId) -> Result<(), Error> {
        let thread = self.thread_mut(id)?;
        let (task, instance, index) = (thread.task(), thread.instance(), thread.index());
        self.instance_mut(instance)?.threads.remove(index);
        self.threads.remove(id);
        let abandoned = self.remove_task(task);
        if abandoned.as_ref().is_some_and(|t| t.num_borrows() > 0) {
            self.drop_borrows_of(instance, task)?;
        }
        if abandoned.is_some_and(|t| t.needs_exclusive()) {
            self.release_exclusive(instance, id)?;
        }
        self.signal_room(instance)
    }

    /// Takes back the borrows of a task that ends without having dropped them. One that it lent on stays, since the lend will be
    /// given back to it; who holds it drops it then. O(handles).
    pub(crate) fn drop_borrows_of(&mut self, instance: InstanceId, task: TaskId) -> Result<(), Error> {
        let handles = &mut self.instance_mut(instance)?.handles;
        let mut index = 1;
        while index <= handles.high_water() {
            let ends = |handle: &ResourceHandle| handle.borrow_scope == Some(task) && handle.num_lends == 0;
            if matches!(handles.get(index), Some(Handle::Resource(handle)) if ends(handle)) {
                handles.remove(index);
            }
            index = index.wrapping_add(1);
        }
        Ok(())
    }

    /// A thread index is free again: who waits to enter may have waited for that.
    fn signal_room(&mut self, instance: InstanceId) -> Result<(), Error> {
        if self.instance(instance)?.waiting_to_enter() > 0 {
            self.signal_entry(instance)?;
        }
        Ok(())
    }

    /// An implicit thread that never entered is gone, and its task with it.
    pub(crate) fn forget_unentered(&mut self, id: ThreadId) {
        if let Some(thread) = self.threads.remove(id) {
            self.remove_task(thread.task());
        }
    }

    /// The last step of `Task.return_` and `Task.cancel`.
    pub(crate) fn resolve_task(&mut self, id: TaskId) -> Result<(), Error> {
        self.give_back_lends(Scope::Task(id));
        self.task_mut(id)?.resolve();
        Ok(())
    }

    /// A task is gone, and what the host lent it is given back.
    pub(crate) fn remove_task(&mut self, id: TaskId) -> Option<Task> {
        self.give_back_lends(Scope::Task(id));
        self.tasks.remove(id)
    }

    /// `inst.exclusive_thread = None`, and whoever waits for that is told.
    pub(crate) fn release_exclusive(&mut self, instance: InstanceId, holder: ThreadId) -> Result<(), Error> {
        let entry = self.instance_mut(instance)?;
        if entry.exclusive_thread() != Some(holder) {
            return Err(Error::Bug("the exclusive lock is not held by the thread that releases it"));
        }
        entry.set_exclusive_thread(None);
        self.signal_exclusive(instance)
    }

    /// `inst.exclusive_thread = thread`.
    pub(crate) fn take_exclusive(&mut self, instance: InstanceId, thread: ThreadId) -> Result<(), Error> {
        let entry = self.instance_mut(instance)?;
        if entry.exclusive_thread().is_some() {
            return Err(Error::Bug("the exclusive lock is taken twice"));
        }
        entry.set_exclusive_thread(Some(thread));
        Ok(())
    }

    /// `current_thread()`.
    pub(crate) fn current_thread(&self) -> Result<ThreadId, Error> {
        match self.current {
            Current::Thread(thread) => Ok(thread),
            Current::Leaf(..) => Err(Trap::CannotLeave.into()),
            Current::Host(_) => Err(Error::Misuse("the host has no thread: it can't wait, return or switch")),
            Current::None => Err(Error::Misuse("a built-in was called while no guest runs")),
        }
    }

    /// `current_instance()`.
    pub(crate) fn current_instance(&self) -> Result<InstanceId, Error> {
        match self.current {
            Current::Thread(thread) => {
                Ok(self.threads.get(thread).ok_or(Error::Bug("the current thread is gone"))?.instance())
            }
            Current::Host(instance) | Current::Leaf(instance, _) => Ok(instance),
            Current::None => Err(Error::Misuse("a built-in was called while no guest runs")),
        }
    }

    /// `trap_if(not inst.may_leave)`, which nearly every built-in starts with: the current instance.
    pub(crate) fn leave_check(&self) -> Result<InstanceId, Error> {
        let instance = self.current_instance()?;
        if !self.instance(instance)?.may_leave() {
            return Err(Trap::CannotLeave.into());
        }
        Ok(instance)
    }

    /// Whether the current thread's frames can be set aside; a trap where they can't.
    pub(crate) fn check_can_block(&self, engine_can: bool) -> Result<ThreadId, Error> {
        let id = self.current_thread()?;
        let thread = self.threads.get(id).ok_or(Error::Bug("the current thread is gone"))?;
        if !thread.can_suspend() {
            return Err(Trap::CannotBlockSync.into());
        }
        if !engine_can {
            return Err(Trap::CannotSuspend.into());
        }
        Ok(id)
    }

    /// The current thread suspends until another one resumes it.
    pub(crate) fn suspend(&mut self, id: ThreadId) -> Result<(), Error> {
        let thread = self.thread_mut(id)?;
        thread.status = Status::Suspended;
        thread.point = crate::state::Point::Switch;
        Ok(())
    }

    /// The subtask that a waitable is.
    pub(crate) fn subtask(&self, id: WaitableId) -> Result<&Subtask, Error> {
        match self.waitables.get(id).map(|w| w.kind()) {
            Some(Kind::Subtask(subtask)) => Ok(subtask),
            _ => Err(Error::Bug("not a subtask")),
        }
    }

    pub(crate) fn subtask_mut(&mut self, id: WaitableId) -> Result<&mut Subtask, Error> {
        match self.waitables.get_mut(id).map(|w| &mut w.kind) {
            Some(Kind::Subtask(subtask)) => Ok(subtask),
            _ => Err(Error::Bug("not a subtask")),
        }
    }

    /// Frees a subtask and the arguments that were never lifted.
    pub(crate) fn free_subtask(&mut self, id: WaitableId) {
        if let Some(waitable) = self.waitables.remove(id)
            && let Kind::Subtask(subtask) = waitable.kind
            && let Some(args) = subtask.args
        {
            self.queued.remove(args);
        }
    }

    /// Whether a task has returned or been cancelled; one that exited has.
    pub fn is_resolved(&self, task: TaskId) -> bool {
        self.tasks.get(task).is_none_or(Task::is_resolved)
    }
}
