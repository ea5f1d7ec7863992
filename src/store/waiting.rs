//! Spec: Waitable State, Stream State: pending events, and the sets and threads that wait for them.

use super::Store;
use crate::error::{EndAction, Resource, Trap};
use crate::event::event;
use crate::id::{SetId, SharedId, WaitableId};
use crate::message::Bug;
use crate::raise::{OrRaise as _, Raises};
use crate::spec::{CopyResult, EventCode};
use crate::state::{Buffer, CopyState, Direction, Event, Kind, Scope};
use crate::storage::Profile;

/// `EventTuple`.
pub(crate) type EventTuple = (EventCode, u32, u32);

impl<P: Profile> Store<P> {
    /// `set_pending_event`. Replaces one that is pending.
    pub(crate) fn set_pending_event(&mut self, id: WaitableId, event: Event) -> Raises {
        let waitable = self.waitable_mut(id)?;
        let (set, waiter) = (waitable.set, waitable.sync_waiter);
        let had = waitable.event.replace(event).is_some();
        event!(debug, waitable_set, "pending", waitable = id, event);
        if let Some(set) = set
            && !had
        {
            self.move_member(id, set, true)?;
            self.signal_set(set)?;
        }
        self.tell(waiter)
    }

    /// Moves a member between the set's lists: to those with a pending event, or from them.
    fn move_member(&mut self, id: WaitableId, set: SetId, pending: bool) -> Raises {
        let set = self.sets.get_mut(set).or_raise(&mut self.raiser, Bug::StaleSet)?;
        let (from, to) =
            if pending { (&mut set.idle, &mut set.pending) } else { (&mut set.pending, &mut set.idle) };
        from.remove(&mut self.waitables, id);
        to.push_back(&mut self.waitables, id);
        Ok(())
    }

    /// `get_pending_event`: takes the event, and does what its delivery does.
    pub(crate) fn get_pending_event(&mut self, id: WaitableId) -> Raises<EventTuple> {
        let waitable = self.waitable_mut(id)?;
        let (event, set, index) = (waitable.event.take(), waitable.set, waitable.handle());
        let event = event.or_raise(&mut self.raiser, Bug::NoEvent)?;
        event!(debug, waitable_set, "delivered", waitable = id, event);
        if let Some(set) = set {
            self.move_member(id, set, false)?;
        }
        match event {
            Event::Subtask => {
                let subtask = self.subtask_mut(id)?;
                let (state, resolved) = (subtask.state(), subtask.resolved());
                if resolved {
                    self.deliver_resolve(id)?;
                }
                Ok((EventCode::Subtask, index, state as u32))
            }
            Event::Copy { result, reclaim } => self.deliver_copy(id, index, result, reclaim),
        }
    }

    /// `stream_event`, `future_event`.
    fn deliver_copy(
        &mut self,
        id: WaitableId,
        index: u32,
        result: CopyResult,
        reclaim: bool,
    ) -> Raises<EventTuple> {
        let end = self.end_mut(id)?;
        let (shared, future, direction) = (end.shared(), end.is_future(), end.direction());
        let progress = end.buffer.map_or(0, |b| b.progress);
        let done = result == CopyResult::Dropped || (future && result == CopyResult::Completed);
        end.state = if done { CopyState::Done } else { CopyState::Idle };
        end.buffer = None;
        event!(debug, stream, "copy ended", shared, end = id, result, count = progress);
        if reclaim {
            self.shared_mut(shared)?.pending = None;
        }
        let code = match (direction, future) {
            (Direction::Read, false) => EventCode::StreamRead,
            (Direction::Write, false) => EventCode::StreamWrite,
            (Direction::Read, true) => EventCode::FutureRead,
            (Direction::Write, true) => EventCode::FutureWrite,
        };
        let count = if future { 0 } else { progress };
        let payload = result as u32 | count.wrapping_shl(4);
        Ok((code, index, payload))
    }

    /// `Subtask.deliver_resolve`.
    pub(crate) fn deliver_resolve(&mut self, id: WaitableId) -> Raises {
        self.give_back_lends(Scope::Subtask(id));
        self.subtask_mut(id)?.deliver_resolve();
        event!(debug, subtask, "delivered", subtask = id);
        Ok(())
    }

    /// `WaitableSet.get_pending_event`, if there is one.
    pub(crate) fn set_get_pending_event(&mut self, set: SetId) -> Raises<Option<EventTuple>> {
        while self.draws() {
            let entry = self.sets.get_mut(set).or_raise(&mut self.raiser, Bug::StaleSet)?;
            if let Some(first) = entry.pending.pop_front(&mut self.waitables) {
                entry.pending.push_back(&mut self.waitables, first);
            }
        }
        let entry = self.sets.get(set).or_raise(&mut self.raiser, Bug::StaleSet)?;
        match entry.pending.front(&self.waitables) {
            Some(waitable) => self.get_pending_event(waitable).map(Some),
            None => Ok(None),
        }
    }

    /// `Waitable.join`.
    pub(crate) fn join(&mut self, id: WaitableId, set: Option<SetId>) -> Raises {
        let waitable = self.waitable_mut(id)?;
        let old = core::mem::replace(&mut waitable.set, set);
        let pending = waitable.has_pending_event();
        if let Some(old) = old {
            let entry = self.sets.get_mut(old).or_raise(&mut self.raiser, Bug::StaleSet)?;
            let list = if pending { &mut entry.pending } else { &mut entry.idle };
            list.remove(&mut self.waitables, id);
            event!(debug, waitable_set, "left", waitable = id, set = old);
        }
        if let Some(new) = set {
            let entry = self.sets.get_mut(new).or_raise(&mut self.raiser, Bug::StaleSet)?;
            let list = if pending { &mut entry.pending } else { &mut entry.idle };
            list.push_back(&mut self.waitables, id);
            event!(debug, waitable_set, "joined", waitable = id, set = new);
            if pending {
                self.signal_set(new)?;
            }
        }
        Ok(())
    }

    /// Takes all members out of a set that is going. Ends whatever the members say of themselves.
    pub(crate) fn empty_set(&mut self, id: SetId) {
        while let Some(set) = self.sets.get_mut(id) {
            let pending = set.pending.pop_front(&mut self.waitables);
            let Some(member) = pending.or_else(|| set.idle.pop_front(&mut self.waitables)) else { return };
            if let Some(waitable) = self.waitables.get_mut(member) {
                waitable.set = None;
            }
        }
    }

    /// `set_pending`: the buffer waits for the other end. Answers what both ends share.
    pub(crate) fn start_copy(&mut self, id: WaitableId, buffer: Buffer) -> Raises<SharedId> {
        let end = self.end_mut(id)?;
        end.state = CopyState::Copying;
        end.buffer = Some(buffer);
        let shared = end.shared();
        event!(debug, stream, "copy started", shared, end = id, length = buffer.length);
        Ok(shared)
    }

    /// `reset_and_notify_pending`.
    pub(crate) fn reset_and_notify_pending(&mut self, id: WaitableId, result: CopyResult) -> Raises {
        let shared = self.end_mut(id)?.shared();
        let pending = self.shared_mut(shared)?.pending.take();
        match pending {
            Some(end) => self.set_pending_event(end, Event::Copy { result, reclaim: false }),
            None => Ok(()),
        }
    }

    /// What `CopyEnd.drop` and `WritableFutureEnd.drop` check.
    pub(crate) fn check_drop_end(&mut self, id: WaitableId) -> Raises {
        let end = self.end_mut(id)?;
        let future = end.is_future();
        if end.copying() {
            let action = match end.direction() {
                Direction::Read => EndAction::DropReadable,
                Direction::Write => EndAction::DropWritable,
            };
            return self.raiser.raise(Trap::BusyEnd { action, future });
        }
        if future && end.direction() == Direction::Write && end.state() != CopyState::Done {
            return self.raiser.raise(Trap::FutureNotWritten);
        }
        Ok(())
    }

    /// `SharedBase.drop` and the end itself: the peer's pending copy ends with DROPPED.
    pub(crate) fn drop_end(&mut self, id: WaitableId) -> Raises {
        let end = self.end_mut(id)?;
        let (shared, direction) = (end.shared(), end.direction());
        let entry = self.shared_mut(shared)?;
        let (pending, peer, maker) = (entry.pending.take(), entry.drop_end(direction), entry.maker());
        if let Some(peer) = peer {
            // A stream's copy that has ended says DROPPED too, if its holder was not told yet (#719). A
            // future's is over.
            let entry = self.end_mut(peer)?;
            if entry.buffer().is_some() && (pending.is_some() || !entry.is_future()) {
                self.set_pending_event(peer, Event::Copy { result: CopyResult::Dropped, reclaim: false })?;
            }
        }
        event!(debug, stream, "end dropped", shared, end = id);
        if peer.is_none() {
            self.streams.free(shared);
            self.refund(maker, Resource::Streams);
            event!(debug, stream, "dropped", shared);
        }
        self.free_waitable(id);
        Ok(())
    }

    /// What `subtask.drop` checks.
    pub(crate) fn check_drop_subtask(&mut self, id: WaitableId) -> Raises {
        match self.waitables.get(id).map(|w| w.kind()) {
            Some(Kind::Subtask(subtask)) if !subtask.resolve_delivered() => {
                self.raiser.raise(Trap::SubtaskNotResolved)
            }
            _ => Ok(()),
        }
    }
}
