//! The invariants of the store, for tests and fuzzers.

use super::Store;
use super::ready::is_after;
use crate::id::{SetId, TaskId, ThreadId, WaitableId};
use crate::state::{Caller, Direction, Handle, Kind, Point, Queue, Status, Thread};
use crate::storage::{Key as _, Profile, Slots};

/// How much there is of what comes and goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs, reason = "each is what it is called")]
pub struct Counts {
    pub tasks: usize,
    pub threads: usize,
    pub waitables: usize,
    pub sets: usize,
    pub streams: usize,
    pub error_contexts: usize,
    pub queued: usize,
    pub lends: usize,
    pub handles: usize,
}

impl<P: Profile> Store<P> {
    /// How much there is now. O(instances).
    pub fn counts(&self) -> Counts {
        Counts {
            tasks: self.tasks.len(),
            threads: self.threads.len(),
            waitables: self.waitables.len(),
            sets: self.sets.len(),
            streams: self.streams.len(),
            error_contexts: self.error_contexts.len(),
            queued: self.queued.len(),
            lends: self.lends.len(),
            handles: self.instances.as_slice().iter().fold(0, |sum, i| i.handles.len().saturating_add(sum)),
        }
    }

    /// Checks the invariants between guest calls: what is wrong, or `Ok`. O(what the store holds).
    ///
    /// Each thread that waits stands in exactly one queue, which it knows; where a thread could run, it or
    /// somebody before it in its queue is on a ready list; the ready of an instance stand in the order in
    /// which they came; a set's members are in the list that their event says; what handles reach is there,
    /// and nothing else is; each root is charged with what it holds.
    ///
    /// # Errors
    /// A sentence on the first invariant that does not hold.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.depth == 0 && (self.switch_to.is_some() || self.blamed().is_some()) {
            return Err("something was left for a thread that is to run next");
        }
        let later = self.threads.iter().filter(|(id, _)| self.is_unanswered(*id)).count();
        if usize::try_from(self.unanswered()) != Ok(later) {
            return Err("the host functions that answer later are miscounted");
        }
        for (id, thread) in self.threads.iter() {
            self.check_thread(id, thread.status(), thread.queue())?;
        }
        self.check_turns()?;
        self.check_handles()?;
        self.check_usage()?;
        self.check_calls()?;
        for (id, waitable) in self.waitables.iter() {
            if let Some(set) = waitable.set {
                let set = self.sets.get(set).ok_or("a waitable is in a set that is gone")?;
                let list = if waitable.has_pending_event() { &set.pending } else { &set.idle };
                let mut next = list.front(&self.waitables);
                while next.is_some_and(|n| n != id) {
                    next = next.and_then(|n| list.after(&self.waitables, n));
                }
                next.ok_or("a waitable is not in the list of its set that its event says")?;
            }
            if let Kind::End(end) = waitable.kind() {
                let shared = self.streams.get(end.shared()).ok_or("an end of a stream that is gone")?;
                if shared.end(end.direction()) != Some(id) {
                    return Err("a stream does not know its end");
                }
                if end.copying() == end.buffer().is_none() {
                    return Err("an end has a buffer exactly while it copies");
                }
            }
        }
        for (id, shared) in self.streams.iter() {
            for direction in [Direction::Read, Direction::Write] {
                let Some(end) = shared.end(direction) else { continue };
                if self.get_end(end).is_none_or(|end| end.shared() != id || end.direction() != direction) {
                    return Err("an end does not know its stream");
                }
            }
            if let Some(pending) = shared.pending() {
                let end = self.get_end(pending).ok_or("the pending end of a stream is gone")?;
                if !end.copying() || end.shared() != id {
                    return Err("the pending end of a stream is not its own, or is not copying");
                }
            }
        }
        Ok(())
    }

    fn check_thread(&self, id: ThreadId, status: Status, queue: Queue) -> Result<(), &'static str> {
        let thread = self.threads.get(id).ok_or("unreachable")?;
        self.tasks.get(thread.task()).ok_or("a thread of a task that is gone")?;
        let instance = self.instance(thread.instance()).map_err(|_| "a thread of no instance")?;
        if thread.index() != 0 && instance.threads.get(thread.index()) != Some(&id) {
            return Err("a thread's index does not lead to it");
        }
        if !self.stands_in(id, thread, queue) {
            return Err("a thread is not in the queue that it says, or does not belong there");
        }
        match status {
            Status::Waiting => {
                let told = match thread.point() {
                    Point::Event(_) | Point::Lower(_) => true,
                    Point::Wait(..) => thread.is_gated() && instance.exclusive_thread() == Some(id),
                    _ => false,
                };
                if queue == Queue::None && !told {
                    return Err("a thread waits where nobody will find it");
                }
                if self.is_ready(id) && !queue.is_ready() && !self.somebody_looks(id, thread) {
                    return Err("a ready thread is on no ready list, and nobody before it is");
                }
            }
            _ if queue != Queue::None => return Err("a thread that does not wait stands on a list"),
            _ => {}
        }
        Ok(())
    }

    /// In each queue of the ready who came first is first.
    fn check_turns(&self) -> Result<(), &'static str> {
        for instance in self.instances.as_slice() {
            for list in
                [Queue::Ready, Queue::ReadyGated].into_iter().filter_map(|queue| instance.queue(queue))
            {
                let mut last = None;
                let mut next = list.front(&self.threads);
                while let Some(thread) = next.and_then(|id| self.threads.get(id)) {
                    if last.is_some_and(|last| !is_after(thread.turn, last)) {
                        return Err("a ready thread stands behind one that came later");
                    }
                    last = Some(thread.turn);
                    next = next.and_then(|id| list.after(&self.threads, id));
                }
            }
        }
        Ok(())
    }

    /// Whether a thread is in this queue, and belongs there.
    fn stands_in(&self, id: ThreadId, thread: &Thread, queue: Queue) -> bool {
        let (point, gated) = (thread.point(), thread.is_gated());
        let exclusive = self.tasks.get(thread.task()).is_some_and(|task| task.needs_exclusive());
        let set = point.set().and_then(|set| self.sets.get(set));
        let (list, belongs) = match queue {
            Queue::None => return true,
            Queue::EnterExclusive => (None, point == Point::Enter && exclusive),
            Queue::EnterShared => (None, point == Point::Enter && !exclusive),
            Queue::WantExclusive => (None, matches!(point, Point::CallbackYield | Point::CallbackWait(_))),
            Queue::Ready => (None, !gated && thread.priority().is_none()),
            Queue::ReadyGated => (None, gated),
            Queue::Spawned => {
                let priority = thread.priority().map(|priority| usize::from(priority.get()));
                (priority.and_then(|priority| self.spawned.get(priority)), true)
            }
            Queue::Waiters => (set.map(|set| &set.waiters), matches!(point, Point::Wait(..)) && !gated),
            Queue::Callbacks => (set.map(|set| &set.callbacks), matches!(point, Point::CallbackWait(_))),
        };
        let of_instance = || self.get_instance(thread.instance())?.queue(queue);
        let Some(list) = list.or_else(of_instance) else { return false };
        let mut next = list.front(&self.threads);
        while next.is_some_and(|here| here != id) {
            next = next.and_then(|here| list.after(&self.threads, here));
        }
        belongs && next.is_some()
    }

    /// Whether enough others of its kind stand on a ready list before it: as many as there are events in its set, or whoever
    /// takes the exclusive lock or the room first.
    fn somebody_looks(&self, but: ThreadId, thread: &Thread) -> bool {
        let others = || self.threads.iter().filter(|(id, other)| *id != but && other.is_waiting());
        let ready = |other: &Thread| other.queue().is_ready();
        let enters = others()
            .any(|(_, other)| other.instance() == thread.instance() && other.is_gated() && ready(other));
        let told = |set: SetId, callback: bool| {
            others()
                .filter(|(_, other)| match other.point() {
                    Point::Wait(of, ..) => !callback && !other.is_gated() && of == set && ready(other),
                    Point::CallbackWait(of) => callback && of == set && other.queue() != Queue::Callbacks,
                    _ => false,
                })
                .count()
        };
        let events = |set: SetId| {
            let Some(set) = self.sets.get(set) else { return 0 };
            let mut next = set.pending.front(&self.waitables);
            let mut count = 0usize;
            while let Some(here) = next {
                count = count.saturating_add(1);
                next = set.pending.after(&self.waitables, here);
            }
            count
        };
        match (thread.point(), thread.queue()) {
            (Point::Wait(set, ..), _) => !thread.is_gated() && told(set, false) >= events(set),
            (Point::CallbackWait(set), Queue::Callbacks) => told(set, true) >= events(set),
            _ => enters,
        }
    }

    /// Both sides of a call know each other, for as long as they are there: no id is kept of what is gone, since it may come again.
    fn check_calls(&self) -> Result<(), &'static str> {
        for (id, task) in self.tasks.iter() {
            if let Caller::Guest(subtask) = task.caller()
                && subtask != WaitableId::NONE
                && self.get_subtask(subtask).and_then(|subtask| subtask.callee) != Some(id)
            {
                return Err("a task's caller does not know it");
            }
            if task.implicit_thread().is_some_and(|thread| self.threads.get(thread).is_none()) {
                return Err("a task of an implicit thread that is gone");
            }
        }
        for (id, waitable) in self.waitables.iter() {
            if let Kind::Subtask(subtask) = waitable.kind()
                && let Some(callee) = subtask.callee
                && !self.tasks.get(callee).is_some_and(|task| task.caller() == Caller::Guest(id))
            {
                return Err("a subtask's callee does not know it");
            }
        }
        Ok(())
    }

    fn check_handles(&self) -> Result<(), &'static str> {
        let (mut waitables, mut sets, mut contexts) = (0usize, 0usize, 0usize);
        for instance in self.instances.as_slice() {
            let mut index = 1;
            while index <= instance.handles.high_water() {
                match instance.handles.get(index) {
                    Some(Handle::Waitable(id)) => {
                        let waitable =
                            self.waitables.get(*id).ok_or("a handle of a waitable that is gone")?;
                        if waitable.handle() != index {
                            return Err("a waitable does not know its handle");
                        }
                        waitables = waitables.saturating_add(1);
                    }
                    Some(Handle::Set(id)) => {
                        self.sets.get(*id).ok_or("a handle of a set that is gone")?;
                        sets = sets.saturating_add(1);
                    }
                    Some(Handle::ErrorContext(id)) => {
                        self.error_contexts.get(*id).ok_or("a handle of an error context that is gone")?;
                        contexts = contexts.saturating_add(1);
                    }
                    Some(Handle::Resource(handle)) => {
                        let scope = handle.borrow_scope.unwrap_or(TaskId::NONE);
                        if scope != TaskId::NONE && self.tasks.get(scope).is_none() {
                            return Err("a borrowed handle of a task that is gone");
                        }
                    }
                    None => {}
                }
                index = index.wrapping_add(1);
            }
        }
        if sets != self.sets.len() {
            return Err("there is a set that no handle reaches");
        }
        for (_, context) in self.error_contexts.iter() {
            if context.handles() == 0 {
                return Err("there is an error context that no handle reaches");
            }
            contexts = contexts.wrapping_sub(context.handles() as usize);
        }
        if contexts != 0 {
            return Err("the handles of error contexts are miscounted");
        }
        let unheld = self.waitables.iter().filter(|(_, w)| w.handle() == 0).count();
        if waitables.saturating_add(unheld) != self.waitables.len() {
            return Err("there is a waitable that no handle reaches");
        }
        Ok(())
    }
}
