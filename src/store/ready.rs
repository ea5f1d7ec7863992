//! Spec: `Thread.ready`, `Store.tick`: which threads may run, and in which order.
//!
//! Readiness is not monotone: another waiter takes the event, a join moves it, somebody takes the lock. So the
//! queues are *hints*. A thread enters one when it may have become ready ([`Store::make_ready`]); when it is
//! taken out, [`Store::is_ready`] is asked again, and one that is not ready goes back to where it waits
//! ([`Store::relink`]). Whoever leaves a wait without consuming what it was told of tells the next.

use super::Store;
use crate::event::event;
use crate::id::{InstanceId, SetId, ThreadId};
use crate::message::Bug;
use crate::raise::{OrRaise as _, Raises};
use crate::state::{Kind, Point, Priority, Queue, Status};
use crate::storage::{Profile, Slots};

impl<P: Profile> Store<P> {
    /// `Thread.ready`. O(1).
    pub fn is_ready(&self, id: ThreadId) -> bool {
        let Some(thread) = self.threads.get(id) else { return false };
        let Some(instance) = self.get_instance(thread.instance()) else { return false };
        if thread.status != Status::Waiting {
            return false;
        }
        let task = self.tasks.get(thread.task());
        let has_event = |set: SetId| self.sets.get(set).is_some_and(|s| s.has_pending_event());
        match thread.point {
            Point::Enter => {
                instance.threads.has_room(1)
                    && task.is_some_and(|t| !instance.has_backpressure(t.needs_exclusive()))
            }
            Point::Spawned | Point::Start(_) | Point::Switch | Point::Host => true,
            Point::Wait(set, ..) => has_event(set),
            Point::Event(waitable) => self.waitables.get(waitable).is_none_or(|w| w.has_pending_event()),
            Point::Lower(subtask) => match self.waitables.get(subtask).map(|w| w.kind()) {
                Some(Kind::Subtask(subtask)) => subtask.resolved(),
                _ => true,
            },
            Point::CallbackYield => instance.exclusive_thread().is_none(),
            Point::CallbackWait(set) => {
                instance.exclusive_thread().is_none()
                    && (has_event(set) || task.is_some_and(|t| t.cancel_is_pending()))
            }
        }
    }

    /// Parks the current thread until its ready predicate holds. Reference: `start_waiting_internal`.
    pub(crate) fn start_waiting(&mut self, id: ThreadId, point: Point) -> Raises {
        let thread = self.thread_mut(id)?;
        thread.status = Status::Waiting;
        thread.point = point;
        event!(trace, thread, "waiting", thread = id, point);
        let (instance, task) = (thread.instance(), thread.task());
        match point {
            Point::Enter => {
                let exclusive = self.task_mut(task)?.needs_exclusive();
                self.instance_mut(instance)?.start_waiting_to_enter();
                event!(debug, task, "queued", task, instance);
                self.push_entry(id, instance, exclusive, false)?;
                self.signal_entry(instance)?;
            }
            Point::Spawned | Point::Start(_) | Point::Switch | Point::Host | Point::CallbackYield => {
                self.make_ready(id)?
            }
            Point::Wait(set, ..) | Point::CallbackWait(set) => {
                self.set_mut(set)?.start_waiting();
                self.wait_for_set(id, set, false)?;
                if self.is_ready(id) || self.task_mut(task)?.cancel_is_pending() {
                    self.signal_thread(id, set)?;
                } else {
                    self.signal_set(set)?;
                }
            }
            Point::Event(waitable) | Point::Lower(waitable) => {
                self.waitable_mut(waitable)?.sync_waiter = Some(id);
                if self.is_ready(id) {
                    self.make_ready(id)?;
                }
            }
        }
        Ok(())
    }

    /// Puts a thread on the list of its set's waiters that it belongs to; `again` where it had its turn and found nothing.
    fn wait_for_set(&mut self, id: ThreadId, set: SetId, again: bool) -> Raises {
        let thread = self.threads.get(id).or_raise(&mut self.raiser, Bug::StaleThread)?;
        let entry = self.sets.get_mut(set).or_raise(&mut self.raiser, Bug::StaleSet)?;
        let list = match thread.point {
            Point::CallbackWait(_) => &mut entry.callbacks,
            // The holder of the exclusive lock, which `signal_set` finds by its instance.
            _ if thread.is_gated() => return Ok(()),
            _ => &mut entry.waiters,
        };
        if again {
            list.push_front(&mut self.threads, id);
        } else {
            list.push_back(&mut self.threads, id);
        }
        Ok(())
    }

    fn push_entry(&mut self, id: ThreadId, instance: InstanceId, exclusive: bool, front: bool) -> Raises {
        let entry = self
            .instances
            .as_mut_slice()
            .get_mut(instance.index())
            .or_raise(&mut self.raiser, Bug::UnknownInstance)?;
        let list = if exclusive { &mut entry.entry_exclusive } else { &mut entry.entry_shared };
        if front {
            list.push_front(&mut self.threads, id);
        } else {
            list.push_back(&mut self.threads, id);
        }
        Ok(())
    }

    /// Puts a thread that waits in the queue of the ready of its instance, and the instance in that of the
    /// store. Does nothing where it stands in a queue.
    pub(crate) fn make_ready(&mut self, id: ThreadId) -> Raises {
        let thread = self.thread_mut(id)?;
        if thread.queue == Queue::Ready {
            return Ok(());
        }
        event!(trace, thread, "ready", thread = id);
        if let Some(priority) = thread.priority() {
            thread.queue = Queue::Ready;
            self.push_spawned(id, priority);
            return Ok(());
        }
        let (instance, gated, queue) = (thread.instance(), thread.is_gated(), thread.queue);
        let entry = self
            .instances
            .as_mut_slice()
            .get_mut(instance.index())
            .or_raise(&mut self.raiser, Bug::UnknownInstance)?;
        if queue == Queue::Exclusive {
            entry.want_exclusive.remove(&mut self.threads, id);
        }
        let list = if gated { &mut entry.ready_gated } else { &mut entry.ready };
        list.push_back(&mut self.threads, id);
        self.thread_mut(id)?.queue = Queue::Ready;
        self.enqueue_instance(instance)
    }

    fn enqueue_instance(&mut self, id: InstanceId) -> Raises {
        let own = id.as_u32().wrapping_add(1);
        let entry = self.instance_mut(id)?;
        if entry.queued {
            return Ok(());
        }
        entry.queued = true;
        entry.next_ready = 0;
        match self.ready_tail.checked_sub(1) {
            Some(tail) => self.instance_mut(InstanceId::from_index(tail))?.next_ready = own,
            None => self.ready_head = own,
        }
        self.ready_tail = own;
        Ok(())
    }

    fn dequeue_instance(&mut self) -> Raises<Option<InstanceId>> {
        let Some(index) = self.ready_head.checked_sub(1) else { return Ok(None) };
        let id = InstanceId::from_index(index);
        let entry = self.instance_mut(id)?;
        entry.queued = false;
        let next = entry.next_ready;
        self.ready_head = next;
        if next == 0 {
            self.ready_tail = 0;
        }
        Ok(Some(id))
    }

    /// The next ready thread, for [`tick`](crate::run::tick). Those that the host spawned and all others take turns.
    pub(crate) fn next_ready(&mut self) -> Raises<Option<ThreadId>> {
        self.spawned_last = !self.spawned_last;
        if self.spawned_last {
            let spawned = self.next_spawned()?;
            return if spawned.is_some() { Ok(spawned) } else { self.next_of_instances() };
        }
        let other = self.next_of_instances()?;
        if other.is_some() { Ok(other) } else { self.next_spawned() }
    }

    /// Whether a thread may be ready. O(1).
    pub(crate) fn has_ready(&self) -> bool {
        self.ready_head != 0 || self.spawned_mask != 0
    }

    /// The most urgent of the threads that the host spawned and that are ready; those of one priority take turns. O(1).
    fn next_spawned(&mut self) -> Raises<Option<ThreadId>> {
        while let Some(priority) = self.spawned_mask.checked_ilog2() {
            let list =
                self.spawned.get_mut(priority as usize).or_raise(&mut self.raiser, Bug::NinthPriority)?;
            let id = list.pop_front(&mut self.threads);
            if list.is_empty() {
                self.spawned_mask &= !1u8.wrapping_shl(priority);
            }
            let Some(id) = id else { continue };
            self.thread_mut(id)?.queue = Queue::None;
            if self.is_ready(id) {
                return Ok(Some(id));
            }
            self.relink(id)?;
        }
        Ok(None)
    }

    fn push_spawned(&mut self, id: ThreadId, priority: Priority) {
        if let Some(list) = self.spawned.get_mut(usize::from(priority.get())) {
            list.push_back(&mut self.threads, id);
            self.spawned_mask |= 1u8.wrapping_shl(priority.get().into());
        }
    }

    fn remove_spawned(&mut self, id: ThreadId, priority: Priority) {
        if let Some(list) = self.spawned.get_mut(usize::from(priority.get())) {
            list.remove(&mut self.threads, id);
            if list.is_empty() {
                self.spawned_mask &= !1u8.wrapping_shl(priority.get().into());
            }
        }
    }

    /// The next ready thread of any instance. Instances take turns; in each, the gated and the other threads take turns.
    fn next_of_instances(&mut self) -> Raises<Option<ThreadId>> {
        while let Some(instance) = self.dequeue_instance()? {
            if self.draws() {
                self.enqueue_instance(instance)?;
                continue;
            }
            let found = self.next_ready_of(instance, true)?;
            let entry = self.instance_mut(instance)?;
            if !entry.ready.is_empty() || !entry.ready_gated.is_empty() {
                self.enqueue_instance(instance)?;
            }
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The next ready thread of one instance; without `gated`, one that a synchronous call may run in between.
    pub(crate) fn next_ready_of(&mut self, instance: InstanceId, gated: bool) -> Raises<Option<ThreadId>> {
        loop {
            let draws = self.draws();
            let entry = self
                .instances
                .as_mut_slice()
                .get_mut(instance.index())
                .or_raise(&mut self.raiser, Bug::UnknownInstance)?;
            let from_gated =
                gated && !entry.ready_gated.is_empty() && (entry.gated_next || entry.ready.is_empty());
            entry.gated_next = !from_gated;
            let list = if from_gated { &mut entry.ready_gated } else { &mut entry.ready };
            let Some(id) = list.pop_front(&mut self.threads) else { return Ok(None) };
            if draws {
                list.push_back(&mut self.threads, id);
                continue;
            }
            self.thread_mut(id)?.queue = Queue::None;
            if self.is_ready(id) {
                return Ok(Some(id));
            }
            self.relink(id)?;
        }
    }

    /// Whether a synchronous call of this instance finds a thread that it may run in between.
    pub(crate) fn has_ready_of(&mut self, instance: InstanceId) -> Raises<bool> {
        let Some(id) = self.next_ready_of(instance, false)? else { return Ok(false) };
        let entry = self
            .instances
            .as_mut_slice()
            .get_mut(instance.index())
            .or_raise(&mut self.raiser, Bug::UnknownInstance)?;
        entry.ready.push_front(&mut self.threads, id);
        self.thread_mut(id)?.queue = Queue::Ready;
        Ok(true)
    }

    /// A thread was taken for ready and is not: back to where it waits, and whoever else may be ready is told.
    fn relink(&mut self, id: ThreadId) -> Raises {
        let thread = self.thread_mut(id)?;
        if thread.status != Status::Waiting {
            return Ok(());
        }
        let (instance, task, point) = (thread.instance(), thread.task(), thread.point);
        match point {
            Point::Enter => {
                let exclusive = self.task_mut(task)?.needs_exclusive();
                self.push_entry(id, instance, exclusive, true)
            }
            Point::Wait(set, ..) => self.wait_for_set(id, set, true),
            Point::CallbackYield => self.want_exclusive(id, instance),
            Point::CallbackWait(set) => {
                if self.set_mut(set)?.has_pending_event() || self.task_mut(task)?.cancel_is_pending() {
                    self.want_exclusive(id, instance)
                } else {
                    self.wait_for_set(id, set, true)?;
                    self.signal_exclusive(instance)
                }
            }
            // These are told when what they wait for happens, and it does not go away again.
            Point::Spawned
            | Point::Start(_)
            | Point::Switch
            | Point::Host
            | Point::Event(_)
            | Point::Lower(_) => Ok(()),
        }
    }

    fn want_exclusive(&mut self, id: ThreadId, instance: InstanceId) -> Raises {
        let entry = self
            .instances
            .as_mut_slice()
            .get_mut(instance.index())
            .or_raise(&mut self.raiser, Bug::UnknownInstance)?;
        entry.want_exclusive.push_back(&mut self.threads, id);
        self.thread_mut(id)?.queue = Queue::Exclusive;
        Ok(())
    }

    /// A set may have an event. One waiter of each kind that was not told yet looks: not each kind can run at any time, a
    /// synchronous call runs only the first. Of each kind as many have been told as there are events, or all.
    pub(crate) fn signal_set(&mut self, set: SetId) -> Raises {
        let Some(entry) = self.sets.get_mut(set) else { return Ok(()) };
        if !entry.has_pending_event() {
            return Ok(());
        }
        let waiter = entry.waiters.pop_front(&mut self.threads);
        let callback = entry.callbacks.pop_front(&mut self.threads);
        let instance = entry.instance();
        let holder = self.instance_mut(instance)?.exclusive_thread().filter(|holder| {
            let point = self.threads.get(*holder).filter(|t| t.is_waiting()).map(|t| t.point);
            matches!(point, Some(Point::Wait(of, ..)) if of == set)
        });
        for told in [waiter, holder, callback].into_iter().flatten() {
            self.make_ready(told)?;
        }
        Ok(())
    }

    /// This waiter of a set looks.
    pub(crate) fn signal_thread(&mut self, id: ThreadId, set: SetId) -> Raises {
        if let Some(entry) = self.sets.get_mut(set)
            && let Some(thread) = self.threads.get(id)
            && thread.queue == Queue::None
        {
            match thread.point {
                Point::CallbackWait(_) => entry.callbacks.remove(&mut self.threads, id),
                _ if thread.is_gated() => {}
                _ => entry.waiters.remove(&mut self.threads, id),
            }
        }
        self.make_ready(id)
    }

    /// The exclusive lock is free: the first thread that wants it looks, and the first that waits to enter.
    pub(crate) fn signal_exclusive(&mut self, instance: InstanceId) -> Raises {
        let entry = self
            .instances
            .as_mut_slice()
            .get_mut(instance.index())
            .or_raise(&mut self.raiser, Bug::UnknownInstance)?;
        if entry.exclusive_thread().is_some() {
            return Ok(());
        }
        let waiter = entry.want_exclusive.front(&self.threads);
        if let Some(waiter) = waiter {
            self.make_ready(waiter)?;
        }
        self.signal_entry(instance)
    }

    /// Backpressure may be over: the first thread of each kind that waits to enter looks.
    pub(crate) fn signal_entry(&mut self, instance: InstanceId) -> Raises {
        for exclusive in [true, false] {
            let entry = self
                .instances
                .as_mut_slice()
                .get_mut(instance.index())
                .or_raise(&mut self.raiser, Bug::UnknownInstance)?;
            if entry.has_backpressure(exclusive) || !entry.threads.has_room(1) {
                continue;
            }
            let list = if exclusive { &mut entry.entry_exclusive } else { &mut entry.entry_shared };
            if let Some(waiter) = list.pop_front(&mut self.threads) {
                self.make_ready(waiter)?;
            }
        }
        Ok(())
    }

    /// Takes a thread off every list: it is about to run. Reference: `stop_waiting_internal`.
    ///
    /// Tells nobody: whose thread may leave an event behind calls [`Store::signal_set`].
    pub(crate) fn stop_waiting(&mut self, id: ThreadId) -> Raises {
        let thread = self.thread_mut(id)?;
        let (status, point, instance) = (thread.status, thread.point, thread.instance());
        self.unlink_everywhere(id);
        if status == Status::Waiting {
            match point {
                Point::Enter => self.instance_mut(instance)?.stop_waiting_to_enter(),
                Point::Wait(set, ..) | Point::CallbackWait(set) => self.set_mut(set)?.stop_waiting(),
                Point::Event(waitable) | Point::Lower(waitable) => {
                    if let Some(waitable) = self.waitables.get_mut(waitable) {
                        waitable.sync_waiter = None;
                    }
                }
                Point::Spawned | Point::Start(_) | Point::Switch | Point::Host | Point::CallbackYield => {}
            }
        }
        self.thread_mut(id)?.status = Status::Running;
        Ok(())
    }

    /// Takes a thread off whatever list it is on. O(1).
    pub(crate) fn unlink_everywhere(&mut self, id: ThreadId) {
        let Some(thread) = self.threads.get(id) else { return };
        let (instance, queue, point, gated) =
            (thread.instance(), thread.queue, thread.point, thread.is_gated());
        let priority = thread.priority().filter(|_| queue == Queue::Ready);
        let exclusive = self.tasks.get(thread.task()).is_some_and(|t| t.needs_exclusive());
        if let Some(priority) = priority {
            self.remove_spawned(id, priority);
            if let Some(thread) = self.threads.get_mut(id) {
                thread.queue = Queue::None;
            }
            return;
        }
        let Some(entry) = self.instances.as_mut_slice().get_mut(instance.index()) else { return };
        match queue {
            Queue::Ready if gated => entry.ready_gated.remove(&mut self.threads, id),
            Queue::Ready => entry.ready.remove(&mut self.threads, id),
            Queue::Exclusive => entry.want_exclusive.remove(&mut self.threads, id),
            Queue::None => match point {
                Point::Enter if exclusive => entry.entry_exclusive.remove(&mut self.threads, id),
                Point::Enter => entry.entry_shared.remove(&mut self.threads, id),
                Point::Wait(set, ..) if !gated => {
                    if let Some(set) = self.sets.get_mut(set) {
                        set.waiters.remove(&mut self.threads, id);
                    }
                }
                Point::CallbackWait(set) => {
                    if let Some(set) = self.sets.get_mut(set) {
                        set.callbacks.remove(&mut self.threads, id);
                    }
                }
                _ => {}
            },
        }
        if let Some(thread) = self.threads.get_mut(id) {
            thread.queue = Queue::None;
        }
    }
}
