//! Spec: `Thread.ready`, `Store.tick`: which threads may run, and in which order.
//!
//! Readiness is not monotone: another waiter takes the event, a join moves it, somebody takes the lock. So
//! the queues are *hints*. A thread enters one when it may have become ready ([`Store::make_ready`]); when it
//! is taken out, [`Store::is_ready`] is asked again, and one that is not ready goes back to where it waits
//! ([`Store::relink`]). It stands in one [`Queue`] at a time, and knows in which, and since which turn: those
//! that are ready run first come, first served, whichever of the two queues of their instance they stand in.
//! Whoever leaves a wait without consuming what it was told of tells the next.

use super::{Store, Threads, instance_in};
use crate::event::event;
use crate::id::{InstanceId, SetId, TaskId, ThreadId};
use crate::message::Bug;
use crate::raise::Raises;
use crate::state::links::QUEUE;
use crate::state::{Kind, Point, Queue, Status};
use crate::storage::{List, Profile};

/// Whether one turn came after another, of turns that wrap.
pub(super) fn is_after(turn: u32, other: u32) -> bool {
    turn.wrapping_sub(other) < 1 << 31
}

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
                self.instance_mut(instance)?.start_waiting_to_enter();
                event!(debug, task, "queued", task, instance);
                self.wait_to_enter(id, task, false)?;
                self.signal_entry(instance)?;
            }
            Point::Spawned | Point::Start(_) | Point::Switch | Point::Host | Point::CallbackYield => {
                self.make_ready(id)?
            }
            Point::Wait(set, ..) | Point::CallbackWait(set) => {
                self.set_mut(set)?.start_waiting();
                self.wait_for_set(id, false)?;
                // A thread that is not ready found no event in its set: none is left for another waiter.
                if self.is_ready(id) || self.task_mut(task)?.cancel_is_pending() {
                    self.make_ready(id)?;
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

    /// Puts a thread in the queue of its instance's that it waits to enter in; `again` where it had its turn and may not.
    fn wait_to_enter(&mut self, id: ThreadId, task: TaskId, again: bool) -> Raises {
        let exclusive = self.task_mut(task)?.needs_exclusive();
        self.enqueue(id, if exclusive { Queue::EnterExclusive } else { Queue::EnterShared }, again)
    }

    /// Puts a thread in the queue of its set that it belongs to; `again` where it had its turn and found nothing.
    fn wait_for_set(&mut self, id: ThreadId, again: bool) -> Raises {
        let thread = self.thread_mut(id)?;
        match thread.point {
            Point::CallbackWait(_) => self.enqueue(id, Queue::Callbacks, again),
            // The holder of the exclusive lock, which `signal_set` finds by its instance.
            _ if thread.is_gated() => Ok(()),
            _ => self.enqueue(id, Queue::Waiters, again),
        }
    }

    /// What a queue is for a thread, and what it runs through. O(1).
    fn list_of(
        &mut self,
        id: ThreadId,
        queue: Queue,
    ) -> Option<(&mut List<ThreadId, QUEUE>, &mut Threads<P>)> {
        let thread = self.threads.get(id)?;
        let list = match queue {
            Queue::Spawned => self.spawned.get_mut(usize::from(thread.priority()?.get()))?,
            Queue::Waiters | Queue::Callbacks => self.sets.get_mut(thread.point.set()?)?.queue_mut(queue),
            _ => instance_in::<P>(&mut self.instances, thread.instance())?.queue_mut(queue)?,
        };
        Some((list, &mut self.threads))
    }

    /// Puts a thread in a queue, out of the one that it stands in. O(1).
    fn enqueue(&mut self, id: ThreadId, queue: Queue, front: bool) -> Raises {
        self.dequeue(id);
        let Some((list, threads)) = self.list_of(id, queue) else {
            return self.raiser.raise(Bug::NoQueue);
        };
        if front {
            list.push_front(threads, id);
        } else {
            list.push_back(threads, id);
            self.turns = self.turns.wrapping_add(1);
        }
        let turn = self.turns;
        let thread = self.thread_mut(id)?;
        thread.queue = queue;
        if !front {
            thread.turn = turn;
        }
        Ok(())
    }

    /// Takes a thread out of whatever queue it stands in. O(1).
    pub(crate) fn dequeue(&mut self, id: ThreadId) {
        let Some(thread) = self.threads.get_mut(id) else { return };
        let queue = core::mem::replace(&mut thread.queue, Queue::None);
        if let Some((list, threads)) = self.list_of(id, queue) {
            list.remove(threads, id);
        }
    }

    /// Puts a thread that waits in the queue of the ready of its instance, and the instance in that of the
    /// store. Does nothing where it stands in such a queue.
    pub(crate) fn make_ready(&mut self, id: ThreadId) -> Raises {
        let thread = self.thread_mut(id)?;
        if thread.queue.is_ready() {
            return Ok(());
        }
        event!(trace, thread, "ready", thread = id);
        let (instance, queue) = (thread.instance(), thread.ready_queue());
        self.enqueue(id, queue, false)?;
        if queue == Queue::Spawned { Ok(()) } else { self.enqueue_instance(instance) }
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
        for spawned in [self.spawned_last, !self.spawned_last] {
            let next = if spawned { self.next_spawned()? } else { self.next_of_instances()? };
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    /// Whether a thread may be ready. O(1).
    pub(crate) fn has_ready(&self) -> bool {
        self.ready_head != 0 || self.spawned.iter().any(|list| !list.is_empty())
    }

    /// The most urgent of the threads that the host spawned and that are ready; those of one priority take turns. O(1).
    fn next_spawned(&mut self) -> Raises<Option<ThreadId>> {
        while let Some(id) = self.spawned.iter().rev().find_map(|list| list.front(&self.threads)) {
            if self.take_ready(id)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Takes a thread out of its queue: whether it is ready. One that is not goes back to where it waits.
    fn take_ready(&mut self, id: ThreadId) -> Raises<bool> {
        self.dequeue(id);
        let ready = self.is_ready(id);
        if !ready {
            self.relink(id)?;
        }
        Ok(ready)
    }

    /// The next ready thread of any instance. Instances take turns; in each, the threads come first that were
    /// ready first.
    fn next_of_instances(&mut self) -> Raises<Option<ThreadId>> {
        while let Some(instance) = self.dequeue_instance()? {
            if self.draws() {
                self.enqueue_instance(instance)?;
                continue;
            }
            let found = self.next_ready_of(instance, true)?;
            let entry = self.instance_mut(instance)?;
            if !entry.is_empty(Queue::Ready) || !entry.is_empty(Queue::ReadyGated) {
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
            let Some(id) = self.first_ready_of(instance, gated) else { return Ok(None) };
            if draws {
                let queue = self.thread_mut(id)?.queue;
                self.enqueue(id, queue, false)?;
            } else if self.take_ready(id)? {
                return Ok(Some(id));
            }
        }
    }

    /// The thread that came first of those in the queues of the ready of an instance; without `gated`, of one
    /// of them.
    fn first_ready_of(&self, instance: InstanceId, gated: bool) -> Option<ThreadId> {
        let free = self.front(instance, Queue::Ready);
        let other = if gated { self.front(instance, Queue::ReadyGated) } else { None };
        let turn = |id| self.threads.get(id).map_or(0, |thread| thread.turn);
        match (free, other) {
            (Some(free), Some(other)) if is_after(turn(free), turn(other)) => Some(other),
            _ => free.or(other),
        }
    }

    /// The first in a queue of an instance.
    fn front(&self, instance: InstanceId, queue: Queue) -> Option<ThreadId> {
        self.get_instance(instance)?.queue(queue)?.front(&self.threads)
    }

    /// Whether a synchronous call of this instance finds a thread that it may run in between.
    pub(crate) fn has_ready_of(&mut self, instance: InstanceId) -> Raises<bool> {
        let Some(id) = self.next_ready_of(instance, false)? else { return Ok(false) };
        self.enqueue(id, Queue::Ready, true)?;
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
            Point::Enter => self.wait_to_enter(id, task, true),
            Point::Wait(..) => self.wait_for_set(id, true),
            Point::CallbackYield => self.enqueue(id, Queue::WantExclusive, false),
            Point::CallbackWait(set) => {
                if self.set_mut(set)?.has_pending_event() || self.task_mut(task)?.cancel_is_pending() {
                    self.enqueue(id, Queue::WantExclusive, false)
                } else {
                    self.wait_for_set(id, true)?;
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

    /// A set may have an event. One waiter of each kind that was not told yet looks: not each kind can run at any time, a
    /// synchronous call runs only the first. Of each kind as many have been told as there are events, or all.
    pub(crate) fn signal_set(&mut self, set: SetId) -> Raises {
        let Some(entry) = self.sets.get(set) else { return Ok(()) };
        if !entry.has_pending_event() {
            return Ok(());
        }
        let waiter = entry.waiters.front(&self.threads);
        let callback = entry.callbacks.front(&self.threads);
        let instance = entry.instance();
        let holder = self.instance_mut(instance)?.exclusive_thread().filter(|holder| {
            let point = self.threads.get(*holder).filter(|t| t.is_waiting()).map(|t| t.point);
            matches!(point, Some(Point::Wait(of, ..)) if of == set)
        });
        self.tell(waiter)?;
        self.tell(holder)?;
        self.tell(callback)
    }

    /// Somebody looks, if there is anybody.
    pub(crate) fn tell(&mut self, id: Option<ThreadId>) -> Raises {
        id.map_or(Ok(()), |id| self.make_ready(id))
    }

    /// The exclusive lock is free: the first thread that wants it looks, and the first that waits to enter.
    pub(crate) fn signal_exclusive(&mut self, instance: InstanceId) -> Raises {
        if self.instance_mut(instance)?.exclusive_thread().is_some() {
            return Ok(());
        }
        self.tell(self.front(instance, Queue::WantExclusive))?;
        self.signal_entry(instance)
    }

    /// Backpressure may be over: the first thread of each kind that waits to enter looks.
    pub(crate) fn signal_entry(&mut self, instance: InstanceId) -> Raises {
        for (queue, exclusive) in [(Queue::EnterExclusive, true), (Queue::EnterShared, false)] {
            let entry = self.instance_mut(instance)?;
            if !entry.has_backpressure(exclusive) && entry.threads.has_room(1) {
                self.tell(self.front(instance, queue))?;
            }
        }
        Ok(())
    }

    /// Takes a thread out of its queue: it is about to run. Reference: `stop_waiting_internal`.
    ///
    /// Tells nobody: whose thread may leave an event behind calls [`Store::signal_set`].
    pub(crate) fn stop_waiting(&mut self, id: ThreadId) -> Raises {
        self.dequeue(id);
        let thread = self.thread_mut(id)?;
        let (status, point, instance) = (thread.status, thread.point, thread.instance());
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
}
