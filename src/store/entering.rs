//! Spec: Component Instances: which instance is around which, who may be entered, and what a trap leaves
//! behind.

use super::{Current, Store, instance_in};
use crate::error::{LimitReached, Resource, Trap};
use crate::event::event;
use crate::id::{HostCall, InstanceId, ThreadId, WaitableId};
use crate::raise::Raises;
use crate::spec::SubtaskState;
use crate::state::{Caller, Handle, InstanceKind, Kind, Scope};
use crate::storage::{Profile, Slots};

impl<P: Profile> Store<P> {
    /// The instance around this one, or itself, that has at most so many around it.
    fn climb(&self, from: InstanceId, level: u32) -> Option<InstanceId> {
        let mut here = from;
        loop {
            let entry = self.get_instance(here)?;
            if entry.level() <= level {
                return Some(here);
            }
            here = entry.parent()?;
        }
    }

    /// Whether `outer` is in `inner.self_and_ancestors()`. O(depth of the instances).
    pub(crate) fn is_around(&self, outer: InstanceId, inner: InstanceId) -> bool {
        self.get_instance(outer).is_some_and(|entry| self.climb(inner, entry.level()) == Some(outer))
    }

    /// Room for one more [`run`](crate::run::run) on the native stack, before anything is changed.
    pub(crate) fn check_depth(&mut self) -> Raises {
        let depth = self.limits().depth;
        if self.depth >= depth {
            return self.raiser.raise(LimitReached::new(Resource::Depth).with_value(depth as usize));
        }
        Ok(())
    }

    /// Whether code of an instance is on the native stack. O(threads).
    pub(crate) fn is_on_stack(&self, instance: InstanceId) -> bool {
        self.threads.iter().any(|(_, thread)| {
            thread.instance() == instance && !thread.is_waiting() && !thread.is_suspended()
        })
    }

    /// Whether somebody's code is on the native stack, or was when a panic unwound through it.
    pub(crate) fn is_running(&self) -> bool {
        self.depth != 0 || !matches!(self.current, Current::None)
    }

    /// `trap_if` a trap made the instance unusable. Since the spec's #705 that is all that is asked of who
    /// enters: an instance may be entered again while its code is on the stack.
    pub(crate) fn check_enter(&mut self, instance: InstanceId) -> Raises {
        if self.is_dead(instance) {
            return self.raiser.raise(Trap::CannotEnter);
        }
        Ok(())
    }

    /// A trap unwound through `instance`: its root and everything in it is dead. Marks the instances; what
    /// they hold is freed by [`Store::purge_thread`] and [`Store::purge_instance`].
    pub(crate) fn poison(&mut self, instance: InstanceId) {
        let Some(entry) = self.get_instance(instance) else { return };
        if entry.kind() == InstanceKind::Host || entry.is_poisoned() {
            return;
        }
        let root = entry.root();
        event!(warn, instance, "poisoned", instance, root);
        self.to_purge = true;
        for entry in self.instances.as_mut_slice() {
            if entry.root() == root && entry.kind() == InstanceKind::Guest {
                entry.poison();
            }
        }
    }

    /// A thread of a poisoned instance, to be purged: `None` when there is none left from `from` on.
    /// Answers where to go on.
    pub(crate) fn next_dead_thread(&self, from: u32) -> Option<(ThreadId, u32)> {
        let mut index = from;
        while index < self.threads.slots_in_use() {
            let next = index.wrapping_add(1);
            if let Some((id, thread)) = self.threads.at(index)
                && self.is_dead(thread.instance())
            {
                return Some((id, next));
            }
            index = next;
        }
        None
    }

    /// Frees a thread of a poisoned instance, and its task with the last one: the host's call that will now never
    /// resolve. The engine's frames are the caller's to discard.
    pub(crate) fn purge_thread(&mut self, id: ThreadId) -> Option<HostCall> {
        self.answered(id);
        // Fails only where the thread or what it waits for is gone already.
        let _ = self.stop_waiting(id);
        let thread = self.threads.get(id)?;
        let (task, instance, index) = (thread.task(), thread.instance(), thread.index());
        self.free_thread(id, instance, index);
        event!(trace, thread, "dropped", thread = id);
        if matches!(self.current, Current::Thread(current) if current == id) {
            self.current = Current::None;
        }
        let entry = self.tasks.get_mut(task)?;
        // A thread that never entered is its task's only one, and is not counted.
        if index != 0 && !entry.unregister_thread() {
            return None;
        }
        let lost = match entry.caller() {
            Caller::Host(call) if !entry.is_resolved() => Some(call),
            _ => None,
        };
        self.remove_task(task);
        lost
    }

    /// Frees what poisoned instances hold: their peers see their stream and future ends dropped, their calls
    /// are told nothing any more. O(what the store holds); a trap is rare.
    pub(crate) fn purge_handles(&mut self) -> Raises {
        let mut at = 0;
        let mut any = false;
        while let Some(instance) = self.next_to_purge(&mut at) {
            any = true;
            let mut index = 1;
            while index <= self.instance_mut(instance)?.handles.high_water() {
                if let Some(handle) = self.instance_mut(instance)?.handles.get(index) {
                    let handle = *handle;
                    self.remove_handle(instance, index);
                    self.purge_handle(handle)?;
                }
                index = index.wrapping_add(1);
            }
            event!(debug, instance, "purged", instance);
        }
        if !any {
            return Ok(());
        }
        // What has no handle: synchronous calls of the dead.
        let mut from = 0;
        while let Some((id, next)) = self.next_dead_waitable(from) {
            self.purge_handle(Handle::Waitable(id))?;
            from = next;
        }
        Ok(())
    }

    /// A waitable of a poisoned instance, from `from` on; and where to go on.
    pub(crate) fn next_dead_waitable(&self, from: u32) -> Option<(WaitableId, u32)> {
        let mut index = from;
        while index < self.waitables.slots_in_use() {
            let next = index.wrapping_add(1);
            if let Some((id, waitable)) = self.waitables.at(index)
                && self.is_dead(waitable.instance())
            {
                return Some((id, next));
            }
            index = next;
        }
        None
    }

    /// Whether a trap made an instance unusable.
    pub(crate) fn is_dead(&self, instance: InstanceId) -> bool {
        self.get_instance(instance).is_some_and(|instance| instance.is_poisoned())
    }

    fn next_to_purge(&mut self, at: &mut u32) -> Option<InstanceId> {
        loop {
            let id = InstanceId::from_index(*at);
            let entry = instance_in::<P>(&mut self.instances, id)?;
            *at = at.wrapping_add(1);
            if entry.take_purge() {
                return Some(id);
            }
        }
    }

    pub(crate) fn purge_handle(&mut self, handle: Handle) -> Raises {
        match handle {
            Handle::Resource(resource) => {
                if let Some(task) = resource.borrow_scope.and_then(|t| self.tasks.get_mut(t)) {
                    task.drop_borrow();
                }
            }
            Handle::Set(set) => {
                self.empty_set(set);
                self.free_set(set);
            }
            Handle::ErrorContext(id) => self.release_error_context(id),
            Handle::Waitable(id) => match self.waitables.get(id).map(|w| w.kind()) {
                Some(Kind::End(_)) => self.drop_end(id)?,
                Some(Kind::Subtask(subtask)) => {
                    let queued = subtask.callee.filter(|_| subtask.state() == SubtaskState::Starting);
                    if let Some(thread) = queued.and_then(|t| self.tasks.get(t)?.implicit_thread()) {
                        self.unqueue(thread)?;
                    }
                    self.give_back_lends(Scope::Subtask(id));
                    self.free_subtask(id);
                }
                None => {}
            },
        }
        Ok(())
    }

    /// A call that the dead made and that has not started is never lifted.
    fn unqueue(&mut self, thread: ThreadId) -> Raises {
        let instance = self.thread_mut(thread)?.instance();
        self.stop_waiting(thread)?;
        self.forget_unentered(thread);
        if self.is_dead(instance) { Ok(()) } else { self.signal_entry(instance) }
    }
}
