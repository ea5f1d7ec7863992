//! What the host waits for: its sets, ends and subtasks, without a thread and without a memory.

use super::{EventTuple, Store};
use crate::abi::types::ValType;
use crate::error::Error;
use crate::event::event;
use crate::id::{ErrorContextId, InstanceId, SetId, WaitableId};
use crate::message::{Bug, Misuse};
use crate::spec::{CopyResult, SubtaskState};
use crate::state::{CopyState, Direction, Event, Handle, Kind, Subtask, Waitable};
use crate::storage::Profile;

/// An end of a stream or future that the host holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostEnd {
    pub id: WaitableId,
    pub handle: u32,
    pub direction: Direction,
    pub future: bool,
    /// What the stream or future carries.
    pub element: Option<ValType>,
    pub state: CopyState,
}

impl<P: Profile> Store<P> {
    /// A new waitable set of the host.
    ///
    /// # Errors
    /// `Capacity(Handles | WaitableSets)`; `Misuse` before [`Store::set_host`].
    pub(crate) fn new_host_set(&mut self) -> Result<(u32, SetId), Error> {
        let host = self.host_instance()?;
        self.caught(|store| {
            let handle = store.new_set(host)?;
            Ok((handle, store.set_handle(host, handle)?))
        })
    }

    // What the core does, with the error as a value.

    /// `Waitable.join`.
    pub(crate) fn host_join(&mut self, id: WaitableId, set: Option<SetId>) -> Result<(), Error> {
        self.caught(|store| store.join(id, set))
    }

    /// `get_pending_event`: takes the event, and does what its delivery does.
    pub(crate) fn host_get_pending_event(&mut self, id: WaitableId) -> Result<EventTuple, Error> {
        self.caught(|store| store.get_pending_event(id))
    }

    /// `{stream,future}.new`: the indices of the readable and of the writable end.
    pub(crate) fn host_new_stream(
        &mut self,
        instance: InstanceId,
        element: Option<ValType>,
        future: bool,
    ) -> Result<(u32, u32), Error> {
        self.caught(|store| store.new_ends(instance, element, future))
    }

    /// What `CopyEnd.drop` and `WritableFutureEnd.drop` check.
    pub(crate) fn host_check_drop_end(&mut self, id: WaitableId) -> Result<(), Error> {
        self.caught(|store| store.check_drop_end(id))
    }

    /// The subtask at an index of a table.
    pub(crate) fn subtask_handle(&mut self, instance: InstanceId, index: u32) -> Result<WaitableId, Error> {
        self.caught(|store| store.subtask_at(instance, index))
    }

    /// The subtask that a waitable is.
    pub(crate) fn subtask(&self, id: WaitableId) -> Result<&Subtask, Error> {
        Ok(self.get_subtask(id).ok_or(Bug::NotSubtask)?)
    }

    /// The error context at an index of a table.
    pub(crate) fn error_context_handle(
        &mut self,
        instance: InstanceId,
        index: u32,
    ) -> Result<ErrorContextId, Error> {
        self.caught(|store| store.error_context_at(instance, index))
    }

    /// `waitable-set.drop` of a set of the host that has no members.
    ///
    /// # Errors
    /// `Misuse` before [`Store::set_host`].
    pub(crate) fn drop_host_set(&mut self, handle: u32, id: SetId) -> Result<(), Error> {
        let host = self.host_instance()?;
        self.caught(|store| {
            store.remove_handle(host, handle);
            store.free_set(id);
            Ok(())
        })
    }

    /// The set that is at an index of the host's table.
    pub(crate) fn host_set(&self, handle: u32) -> Option<SetId> {
        match self.instance(self.host_instance().ok()?).ok()?.handles.get(handle) {
            Some(Handle::Set(id)) => Some(*id),
            _ => None,
        }
    }

    /// The waitable that is at an index of the host's table.
    pub(crate) fn host_waitable(&self, handle: u32) -> Option<(WaitableId, &Waitable)> {
        match self.instance(self.host_instance().ok()?).ok()?.handles.get(handle) {
            Some(Handle::Waitable(id)) => Some((*id, self.waitables.get(*id)?)),
            _ => None,
        }
    }

    /// The end of a stream or future that is at an index of the host's table.
    ///
    /// # Errors
    /// `Misuse` where there is none.
    pub(crate) fn host_end(&self, handle: u32) -> Result<HostEnd, Error> {
        let (id, _) = self.host_waitable(handle).ok_or(Misuse::NoHostEnd)?;
        let end = self.get_end(id).ok_or(Misuse::NoHostEnd)?;
        let shared = self.streams.get(end.shared()).ok_or(Bug::NoStream)?;
        let (direction, future, state) = (end.direction(), end.is_future(), end.state());
        Ok(HostEnd { id, handle, direction, future, element: shared.element(), state })
    }

    /// The first member of a set that has something to tell. That a call started is told to nobody.
    ///
    /// # Errors
    /// `Bug` alone.
    pub(crate) fn front_event(&mut self, set: SetId) -> Result<Option<WaitableId>, Error> {
        while let Some(id) = self.sets.get(set).and_then(|set| set.pending.front(&self.waitables)) {
            if self.has_news(id) {
                return Ok(Some(id));
            }
            self.caught(|store| store.get_pending_event(id))?;
        }
        Ok(None)
    }

    /// Whether a waitable has something to tell.
    fn has_news(&self, id: WaitableId) -> bool {
        self.waitables.get(id).is_some_and(|waitable| match waitable.kind() {
            Kind::Subtask(subtask) => waitable.has_pending_event() && subtask.resolved(),
            Kind::End(_) => waitable.has_pending_event(),
        })
    }

    /// A member of a set, if it has one.
    pub(crate) fn first_member(&self, id: SetId) -> Option<WaitableId> {
        let set = self.sets.get(id)?;
        set.pending.front(&self.waitables).or_else(|| set.idle.front(&self.waitables))
    }

    /// How many members a set has, and how many of them have something to tell. O(these).
    pub(crate) fn count_members(&self, id: SetId) -> (usize, usize) {
        let Some(set) = self.sets.get(id) else { return (0, 0) };
        let mut counts = (0usize, 0usize);
        for list in [&set.pending, &set.idle] {
            let mut next = list.front(&self.waitables);
            while let Some(id) = next {
                next = list.after(&self.waitables, id);
                counts.0 = counts.0.saturating_add(1);
                counts.1 = counts.1.saturating_add(usize::from(self.has_news(id)));
            }
        }
        counts
    }

    /// `{stream,future}.drop-{readable,writable}`, of whatever type it is.
    ///
    /// # Errors
    /// `Trap(BusyEnd | FutureNotWritten)`, `Misuse` where there is no such end.
    pub(crate) fn drop_host_end(&mut self, handle: u32) -> Result<(), Error> {
        let (id, host) = (self.host_end(handle)?.id, self.host_instance()?);
        self.caught(|store| {
            store.check_drop_end(id)?;
            store.remove_handle(host, handle);
            store.drop_end(id)
        })
    }

    /// Ends the copy under way at an end of the host, if there is one: `{stream,future}.cancel-{read,write}`. Whether elements moved.
    ///
    /// # Errors
    /// `Bug` alone.
    pub(crate) fn cancel_host_copy(&mut self, id: WaitableId) -> Result<bool, Error> {
        self.caught(|store| {
            let end = store.end_mut(id)?;
            let (copying, moved) = (end.copying(), end.buffer().is_some_and(|buffer| buffer.progress > 0));
            if copying {
                if !store.waitable_mut(id)?.has_pending_event() {
                    store.end_mut(id)?.state = CopyState::Cancelling;
                    event!(debug, stream, "copy cancelling", end = id);
                    store.reset_and_notify_pending(id, CopyResult::Cancelled)?;
                }
                store.get_pending_event(id)?;
            }
            Ok(copying && moved)
        })
    }

    /// Drops both ends of a future that the host holds, written or not: a write of it would answer DROPPED.
    ///
    /// # Errors
    /// `Bug`; `Misuse` where there are no such ends.
    pub(crate) fn drop_host_future(&mut self, readable: u32, writable: u32) -> Result<(), Error> {
        let reader = self.host_end(readable)?.id;
        self.cancel_host_copy(reader)?;
        self.drop_host_end(readable)?;
        let writer = self.host_end(writable)?.id;
        self.end_host_copy(writer, CopyResult::Dropped)?;
        self.caught(|store| store.get_pending_event(writer))?;
        self.drop_host_end(writable)
    }

    /// A copy at an end of the host ended like this, which is pending then.
    ///
    /// # Errors
    /// `Bug` alone.
    pub(crate) fn end_host_copy(&mut self, id: WaitableId, result: CopyResult) -> Result<(), Error> {
        self.caught(|store| store.set_pending_event(id, Event::Copy { result, reclaim: false }))
    }

    /// `subtask.drop` of one whose resolution was delivered; how it resolved.
    ///
    /// # Errors
    /// `Bug` alone.
    pub(crate) fn drop_host_subtask(&mut self, id: WaitableId) -> Result<SubtaskState, Error> {
        let host = self.host_instance()?;
        self.caught(|store| {
            let (state, handle) = (store.subtask_mut(id)?.state(), store.waitable_mut(id)?.handle());
            store.remove_handle(host, handle);
            store.free_subtask(id);
            Ok(state)
        })
    }
}
