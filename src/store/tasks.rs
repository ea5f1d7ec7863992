//! Spec: Tasks (`register_thread`, `exit_implicit_thread`, `unregister_thread`) and Subtask State.

use super::{Current, Store, instance_in};
use crate::error::{Resource, Trap};
use crate::event::event;
use crate::id::{InstanceId, LiftId, TaskId, ThreadId, WaitableId};
use crate::message::{Bug, Misuse};
use crate::raise::{OrRaise as _, Raises};
use crate::state::{Caller, Handle, InstanceKind, Kind, Scope, Status, Subtask, Task, Thread, Waitable};
use crate::storage::{Key as _, Profile};

impl<P: Profile> Store<P> {
    /// A task with its implicit thread, which has not entered yet. The root of `from` is charged, or that of the callee where the
    /// host calls.
    pub(crate) fn new_task(
        &mut self,
        lift: Option<LiftId>,
        instance: InstanceId,
        caller: Caller,
        needs_exclusive: bool,
        can_suspend: bool,
        from: Option<InstanceId>,
    ) -> Raises<(TaskId, ThreadId)> {
        let payer = self.payer(instance, from);
        self.charge(payer, &[(Resource::Threads, 1), (Resource::Tasks, 1)])?;
        let task = Task::new(lift, instance, caller, needs_exclusive, payer);
        let task = self.tasks.insert(task).or_raise(&mut self.raiser, Resource::Tasks)?;
        let thread = Thread::implicit(task, instance, can_suspend);
        let thread = self.threads.insert(thread).or_raise(&mut self.raiser, Resource::Threads)?;
        self.task_mut(task)?.set_implicit_thread(Some(thread));
        event!(debug, task, "created", task, instance, caller);
        event!(trace, thread, "created", thread, task);
        Ok((task, thread))
    }

    /// Whose root is charged with a task of `instance` that is called from there.
    pub(crate) fn payer(&self, instance: InstanceId, from: Option<InstanceId>) -> InstanceId {
        let is_guest = |from: &InstanceId| {
            self.get_instance(*from).is_some_and(|entry| entry.kind() == InstanceKind::Guest)
        };
        from.filter(is_guest).unwrap_or(instance)
    }

    /// `register_thread`.
    pub(crate) fn register_thread(&mut self, id: ThreadId) -> Raises<u32> {
        let thread = self.thread_mut(id)?;
        let (task, instance) = (thread.task(), thread.instance());
        self.reserve(instance, (Resource::ThreadIndices, 1))?;
        let index = self
            .instance_mut(instance)?
            .threads
            .add(id)
            .or_raise(&mut self.raiser, Resource::ThreadIndices)?;
        self.thread_mut(id)?.set_index(index);
        self.task_mut(task)?.register_thread();
        event!(trace, thread, "registered", thread = id, index);
        Ok(index)
    }

    /// `Task.exit_implicit_thread` for an implicit thread, `unregister_thread` for another: the thread is gone,
    /// and its task with the last one.
    pub(crate) fn exit_thread(&mut self, id: ThreadId) -> Raises {
        self.answered(id);
        let thread = self.thread_mut(id)?;
        let (task, instance, index) = (thread.task(), thread.instance(), thread.index());
        let implicit = thread.is_implicit();
        let task_ref = self.task_mut(task)?;
        let exclusive = implicit && task_ref.needs_exclusive();
        let last = task_ref.unregister_thread();
        if last && !task_ref.is_resolved() {
            return self.raiser.raise(Trap::NoReturn);
        }
        self.free_thread(id, instance, index);
        event!(trace, thread, "exited", thread = id);
        if last {
            self.remove_task(task);
        }
        if exclusive {
            self.release_exclusive(instance, id)?;
        }
        self.signal_room(instance)
    }

    /// A thread is gone, its index, where it has one, and its task's look at it.
    pub(crate) fn free_thread(&mut self, id: ThreadId, instance: InstanceId, index: u32) {
        if let Some(instance) = instance_in::<P>(&mut self.instances, instance) {
            instance.threads.remove(index);
        }
        let Some(thread) = self.threads.get(id) else { return };
        let (task, implicit) = (thread.task(), thread.is_implicit());
        let mut payer = instance;
        if let Some(task) = self.tasks.get_mut(task).filter(|_| implicit) {
            task.set_implicit_thread(None);
            payer = task.payer();
        }
        self.threads.free(id);
        self.refund(payer, Resource::Threads);
    }

    /// A task whose arguments could not be lowered is gone: it has one thread, which has entered and run nothing.
    pub(crate) fn abandon_thread(&mut self, id: ThreadId) -> Raises {
        let thread = self.thread_mut(id)?;
        let (task, instance, index) = (thread.task(), thread.instance(), thread.index());
        self.free_thread(id, instance, index);
        event!(trace, thread, "dropped", thread = id);
        let (borrows, exclusive) =
            self.tasks.get(task).map_or((false, false), |t| (t.num_borrows() > 0, t.needs_exclusive()));
        self.remove_task(task);
        if borrows {
            self.drop_borrows_of(instance, task)?;
        }
        if exclusive {
            self.release_exclusive(instance, id)?;
        }
        self.signal_room(instance)
    }

    /// Takes back the borrows of a task that ends without having dropped them. One that it lent on stays, since the lend will be
    /// given back to it; who holds it drops it then, and no task is told. O(handles).
    pub(crate) fn drop_borrows_of(&mut self, instance: InstanceId, task: TaskId) -> Raises {
        let mut index = 1;
        loop {
            let handles = &mut self.instance_mut(instance)?.handles;
            if index > handles.high_water() {
                return Ok(());
            }
            if let Some(Handle::Resource(handle)) = handles.get_mut(index)
                && handle.borrow_scope == Some(task)
            {
                handle.borrow_scope = Some(TaskId::NONE);
                if handle.num_lends == 0 {
                    self.remove_handle(instance, index);
                }
            }
            index = index.wrapping_add(1);
        }
    }

    /// A thread index is free again: who waits to enter may have waited for that.
    fn signal_room(&mut self, instance: InstanceId) -> Raises {
        if self.instance_mut(instance)?.waiting_to_enter() > 0 {
            self.signal_entry(instance)?;
        }
        Ok(())
    }

    /// An implicit thread that never entered is gone, and its task with it.
    pub(crate) fn forget_unentered(&mut self, id: ThreadId) {
        if let Some((task, instance)) = self.threads.get(id).map(|thread| (thread.task(), thread.instance()))
        {
            self.free_thread(id, instance, 0);
            event!(trace, thread, "dropped", thread = id);
            self.remove_task(task);
        }
    }

    /// The last step of `Task.return_` and `Task.cancel`.
    pub(crate) fn resolve_task(&mut self, id: TaskId) -> Raises {
        self.give_back_lends(Scope::Task(id));
        self.task_mut(id)?.resolve();
        Ok(())
    }

    /// A task is gone, and what the host lent it is given back. Its caller's subtask stays, but without it.
    pub(crate) fn remove_task(&mut self, id: TaskId) {
        self.give_back_lends(Scope::Task(id));
        let Some(task) = self.tasks.get(id) else { return };
        let (caller, payer) = (task.caller(), task.payer());
        if let Caller::Guest(subtask) = caller
            && let Some(Kind::Subtask(subtask)) = self.waitables.get_mut(subtask).map(|w| &mut w.kind)
        {
            subtask.callee = None;
        }
        self.tasks.free(id);
        self.refund(payer, Resource::Tasks);
        event!(debug, task, "exited", task = id);
    }

    /// `inst.exclusive_thread = None`, and whoever waits for that is told.
    pub(crate) fn release_exclusive(&mut self, instance: InstanceId, holder: ThreadId) -> Raises {
        let entry = self.instance_mut(instance)?;
        if entry.exclusive_thread() != Some(holder) {
            return self.raiser.raise(Bug::LockNotHeld);
        }
        entry.set_exclusive_thread(None);
        event!(trace, instance, "unlocked", instance, thread = holder);
        self.signal_exclusive(instance)
    }

    /// `inst.exclusive_thread = thread`.
    pub(crate) fn take_exclusive(&mut self, instance: InstanceId, thread: ThreadId) -> Raises {
        let entry = self.instance_mut(instance)?;
        if entry.exclusive_thread().is_some() {
            return self.raiser.raise(Bug::LockTaken);
        }
        entry.set_exclusive_thread(Some(thread));
        event!(trace, instance, "locked", instance, thread);
        Ok(())
    }

    /// `current_thread()`.
    pub(crate) fn current_thread(&mut self) -> Raises<ThreadId> {
        match self.current {
            Current::Thread(thread) => Ok(thread),
            Current::Leaf(_) => self.raiser.raise(Trap::CannotLeave),
            Current::Host(_) => self.raiser.raise(Misuse::NoHostThread),
            Current::None => self.raiser.raise(Misuse::NoGuest),
        }
    }

    /// `current_instance()`.
    pub(crate) fn current_instance(&mut self) -> Raises<InstanceId> {
        match self.current {
            Current::Thread(thread) => {
                Ok(self.threads.get(thread).or_raise(&mut self.raiser, Bug::CurrentGone)?.instance())
            }
            Current::Host(instance) | Current::Leaf(instance) => Ok(instance),
            Current::None => self.raiser.raise(Misuse::NoGuest),
        }
    }

    /// `trap_if(not inst.may_leave)`, which nearly every built-in starts with: the current instance.
    pub(crate) fn leave_check(&mut self) -> Raises<InstanceId> {
        let instance = self.current_instance()?;
        if !self.instance_mut(instance)?.may_leave() {
            return self.raiser.raise(Trap::CannotLeave);
        }
        Ok(instance)
    }

    /// Whether the current thread's frames can be set aside; a trap where they can't.
    pub(crate) fn check_can_block(&mut self, engine_can: bool) -> Raises<ThreadId> {
        let id = self.current_thread()?;
        let thread = self.threads.get(id).or_raise(&mut self.raiser, Bug::CurrentGone)?;
        if !thread.can_suspend() {
            return self.raiser.raise(Trap::CannotBlockSync);
        }
        if !engine_can {
            return self.raiser.raise(Trap::CannotSuspend);
        }
        Ok(id)
    }

    /// The current thread suspends until another one resumes it.
    pub(crate) fn suspend(&mut self, id: ThreadId) -> Raises {
        let thread = self.thread_mut(id)?;
        thread.status = Status::Suspended;
        thread.point = crate::state::Point::Switch;
        event!(trace, thread, "suspended", thread = id);
        Ok(())
    }

    /// The subtask that a waitable is.
    pub(crate) fn get_subtask(&self, id: WaitableId) -> Option<&Subtask> {
        match self.waitables.get(id)?.kind() {
            Kind::Subtask(subtask) => Some(subtask),
            Kind::End(_) => None,
        }
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn subtask_mut(&mut self, id: WaitableId) -> Raises<&mut Subtask> {
        match self.waitables.get_mut(id).map(|w| &mut w.kind) {
            Some(Kind::Subtask(subtask)) => Ok(subtask),
            _ => self.raiser.raise(Bug::NotSubtask),
        }
    }

    /// Frees a subtask and the arguments that were never lifted.
    pub(crate) fn free_subtask(&mut self, id: WaitableId) {
        self.free_args(id);
        let callee = self.get_subtask(id).and_then(|subtask| subtask.callee);
        if let Some(task) = callee.and_then(|task| self.tasks.get_mut(task)) {
            task.lose_caller();
        }
        self.free_waitable(id);
        event!(debug, subtask, "dropped", subtask = id);
    }

    /// Frees the arguments of a call that was queued.
    pub(crate) fn free_args(&mut self, id: WaitableId) {
        let Some(waitable) = self.waitables.get_mut(id) else { return };
        let caller = waitable.instance();
        if let Kind::Subtask(subtask) = &mut waitable.kind
            && let Some(args) = subtask.args.take()
        {
            self.queued.free(args);
            self.refund(caller, Resource::QueuedCalls);
        }
    }

    /// Frees a subtask or an end, which leaves its set.
    pub(crate) fn free_waitable(&mut self, id: WaitableId) {
        // Fails only where there is no such waitable.
        let _ = self.join(id, None);
        if let Some(holder) = self.waitables.get(id).map(Waitable::instance) {
            self.waitables.free(id);
            self.refund(holder, Resource::Waitables);
        }
    }

    /// Whether a task has returned or been cancelled; one that exited has.
    pub fn is_resolved(&self, task: TaskId) -> bool {
        self.tasks.get(task).is_none_or(Task::is_resolved)
    }
}
