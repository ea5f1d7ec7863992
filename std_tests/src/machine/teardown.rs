//! The end of a sequence: everything is closed, first by the guests' janitors, then by a trap of what is left.

use super::guest::{cancel_copy, copy, drop_end};
use super::*;
use canon_async::canon::Builtin;
use canon_async::state::{CopyState, Direction, Handle, Point};

impl<P: Profile> Machine<P> {
    /// Closes everything; nothing may be left in the store or in the engine.
    ///
    /// # Panics
    /// Where something is.
    pub fn teardown(&mut self) {
        self.mode = Mode::Finish;
        let all_alive = (1..=INSTANCES).all(|i| self.alive(i));
        for _ in 0..12 {
            self.settle();
            for instance in 1..=INSTANCES {
                if self.alive(instance) {
                    self.host_call(instance, Kind::Janitor);
                }
            }
        }
        self.settle();
        let still_alive = (1..=INSTANCES).all(|i| self.alive(i));
        if all_alive && still_alive && self.capacity_at.is_none() && !self.stuck() {
            let counts = self.store.counts();
            assert!(self.store.is_idle(), "the janitors could not close all: {counts:?}\n{}", self.tail());
        }
        self.mode = Mode::Kill;
        for instance in 1..=INSTANCES {
            if self.alive(instance) {
                self.host_call(instance, Kind::Janitor);
            }
        }
        if (1..=INSTANCES).any(|i| self.alive(i)) {
            // So full of stuck guests that not even a call that traps has room.
            assert!(self.capacity_at.is_some(), "a guest survived its trap\n{}", self.tail());
            return;
        }
        let counts = self.store.counts();
        assert!(self.store.is_idle(), "left when all are dead: {counts:?}\n{}", self.tail());
        assert!(!self.holds_frames(), "the engine holds frames of the dead\n{}", self.tail());
    }

    /// Whether a thread waits synchronously for a call. Guests can deadlock so for good: one that holds its
    /// instance's lock waits for a call that, somewhere below, wants the lock.
    fn stuck(&self) -> bool {
        let waits = |id: &ThreadId| {
            self.store.thread(*id).is_some_and(|t| match t.point() {
                Point::Lower(_) => true,
                Point::Event(id) => self.subtask(id).is_some(),
                _ => false,
            })
        };
        (1..=INSTANCES).any(|i| {
            let table = &self.instance(i).threads;
            (1..=table.high_water()).any(|t| table.get(t).is_some_and(waits))
        })
    }

    fn alive(&self, instance: u32) -> bool {
        self.store.instance(InstanceId::from_index(instance)).is_ok_and(|i| !i.is_poisoned())
    }

    pub(super) fn settle(&mut self) {
        for _ in 0..500 {
            if self.tick() == Some(false) {
                return;
            }
        }
        panic!("the store does not come to rest\n{}", self.tail());
    }

    /// Closes what can be closed of the instance of this thread.
    pub(super) fn janitor(&mut self, thread: ThreadId) -> Result<(), Error> {
        if self.mode == Mode::Kill {
            return Err(Trap::Engine(2).into());
        }
        let i = self.here(thread).instance;
        while self.store.instance(InstanceId::from_index(i))?.backpressure() > 0 {
            self.builtin(thread, Builtin::BackpressureDec, &[])?;
        }
        for index in self.threads(i, true) {
            self.builtin(thread, Builtin::ThreadResumeLater, &[index.into()])?;
        }
        for (index, handle) in self.resources(i) {
            if handle.num_lends == 0 {
                self.builtin(thread, Builtin::ResourceDrop(RESOURCE), &[index.into()])?;
            }
        }
        for index in self.error_contexts(i) {
            self.builtin(thread, Builtin::ErrorContextDrop, &[index.into()])?;
        }
        for (index, id) in self.waitables(i) {
            let waitable = self.store.waitable(id).expect("a waitable");
            if !waitable.has_sync_waiter() {
                self.builtin(thread, Builtin::WaitableJoin, &[index.into(), 0])?;
                if self.subtask(id).is_some() {
                    self.close_subtask(thread, index, id)?;
                } else {
                    self.close_end(thread, index, id)?;
                }
            }
        }
        self.close_sets(thread, i)
    }

    fn close_subtask(
        &mut self,
        thread: ThreadId,
        index: u32,
        id: canon_async::id::WaitableId,
    ) -> Result<(), Error> {
        let i = self.here(thread).instance;
        let subtask = self.subtask(id).expect("a subtask");
        if !subtask.resolved() && !subtask.cancellation_requested() {
            self.builtin(thread, Builtin::WaitableJoin, &[index.into(), 0])?;
            self.builtin(thread, Builtin::SubtaskCancel { is_async: true }, &[index.into()])?;
        }
        if self.store.waitable(id).is_some_and(|w| w.has_pending_event()) {
            let set = self.builtin(thread, Builtin::WaitableSetNew, &[])?.expect("a set");
            self.builtin(thread, Builtin::WaitableJoin, &[index.into(), set])?;
            self.builtin(thread, Builtin::WaitableSetPoll(MemoryRef::from_index(i)), &[set, 0])?;
            self.builtin(thread, Builtin::WaitableJoin, &[index.into(), 0])?;
            self.builtin(thread, Builtin::WaitableSetDrop, &[set])?;
        }
        if self.subtask(id).is_some_and(|s| s.resolve_delivered()) {
            self.builtin(thread, Builtin::SubtaskDrop, &[index.into()])?;
        }
        Ok(())
    }

    fn close_end(
        &mut self,
        thread: ThreadId,
        index: u32,
        id: canon_async::id::WaitableId,
    ) -> Result<(), Error> {
        let i = self.here(thread).instance;
        let end = self.end(id).expect("an end");
        let (ty, future, read) = (self.type_of(end), end.is_future(), end.direction() == Direction::Read);
        if end.state() == CopyState::Copying {
            self.builtin(thread, cancel_copy(ty, true, future, read), &[index.into()])?;
        }
        let state = self.end(id).expect("an end").state();
        if future && !read && state == CopyState::Idle {
            // May end with DROPPED, where the reader is gone.
            let value = self.builtin(thread, copy(ty, async_opts(i), future, read), &[index.into(), 0])?;
            if value == Some(0xffff_ffff) {
                self.builtin(thread, cancel_copy(ty, true, future, read), &[index.into()])?;
            }
        }
        let end = self.end(id).expect("an end");
        if !end.copying() && (!future || read || end.state() == CopyState::Done) {
            self.builtin(thread, drop_end(ty, future, read), &[index.into()])?;
        }
        Ok(())
    }

    /// Drops the sets that nobody waits for, and gives the waiters of the others an event.
    fn close_sets(&mut self, thread: ThreadId, i: u32) -> Result<(), Error> {
        for index in self.sets(i) {
            let table = &self.store.instance(InstanceId::from_index(i))?.handles;
            let Some(Handle::Set(_)) = table.get(index) else { continue };
            let waits = self.waited(i, index);
            if waits == 0 && self.members(i) == 0 {
                self.builtin(thread, Builtin::WaitableSetDrop, &[index.into()])?;
            }
            if waits > 0 {
                let both = self.builtin(thread, Builtin::StreamNew(STREAM_UNIT), &[])?.expect("a stream");
                let (r, w) = (both & 0xffff_ffff, both >> 32);
                self.builtin(thread, Builtin::StreamRead(STREAM_UNIT, async_opts(i)), &[r, 0, 1])?;
                self.builtin(thread, Builtin::WaitableJoin, &[r, index.into()])?;
                self.builtin(thread, Builtin::StreamDropWritable(STREAM_UNIT), &[w])?;
            }
        }
        Ok(())
    }

    fn set_at(&self, i: u32, index: u32) -> Option<canon_async::id::SetId> {
        let table = &self.store.instance(InstanceId::from_index(i)).ok()?.handles;
        match table.get(index) {
            Some(Handle::Set(id)) => Some(*id),
            _ => None,
        }
    }

    fn waited(&self, i: u32, index: u32) -> usize {
        self.set_at(i, index).map_or(0, |set| self.waiting_for(i, set))
    }

    fn members(&self, i: u32) -> usize {
        let ids = self.waitables(i);
        ids.iter().filter(|(_, id)| self.store.waitable(*id).is_some_and(|w| w.in_waitable_set())).count()
    }
}
