//! What the host waits for: its sets, ends and subtasks, without a thread and without a memory.

use super::Store;
use crate::abi::types::ValType;
use crate::error::Error;
use crate::id::{SetId, WaitableId};
use crate::spec::{CopyResult, SubtaskState};
use crate::state::{CopyState, Direction, Event, Handle, Kind, Waitable};
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
        let handle = self.new_set(host)?;
        Ok((handle, self.set_handle(host, handle)?))
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
        const NO_END: Error = Error::Misuse("the host holds no end of a stream or future of this handle");
        let (id, _) = self.host_waitable(handle).ok_or(NO_END)?;
        let end = self.end(id).map_err(|_| NO_END)?;
        let shared = self.streams.get(end.shared()).ok_or(Error::Bug("an end without a stream"))?;
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
            self.get_pending_event(id)?;
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
        self.check_drop_end(id)?;
        self.instance_mut(host)?.handles.remove(handle);
        self.drop_end(id)
    }

    /// Ends the copy under way at an end of the host, if there is one: `{stream,future}.cancel-{read,write}`. Whether elements moved.
    ///
    /// # Errors
    /// `Bug` alone.
    pub(crate) fn cancel_host_copy(&mut self, id: WaitableId) -> Result<bool, Error> {
        let end = self.end(id)?;
        let (copying, moved) = (end.copying(), end.buffer().is_some_and(|buffer| buffer.progress > 0));
        if copying {
            if !self.waitable_mut(id)?.has_pending_event() {
                self.end_mut(id)?.state = CopyState::Cancelling;
                self.reset_and_notify_pending(id, CopyResult::Cancelled)?;
            }
            self.get_pending_event(id)?;
        }
        Ok(copying && moved)
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
        self.get_pending_event(writer)?;
        self.drop_host_end(writable)
    }

    /// A copy at an end of the host ended like this, which is pending then.
    ///
    /// # Errors
    /// `Bug` alone.
    pub(crate) fn end_host_copy(&mut self, id: WaitableId, result: CopyResult) -> Result<(), Error> {
        self.set_pending_event(id, Event::Copy { result, reclaim: false })
    }

    /// `subtask.drop` of one whose resolution was delivered; how it resolved.
    ///
    /// # Errors
    /// `Bug` alone.
    pub(crate) fn drop_host_subtask(&mut self, id: WaitableId) -> Result<SubtaskState, Error> {
        let (state, handle, host) =
            (self.subtask(id)?.state(), self.waitable_mut(id)?.handle(), self.host_instance()?);
        self.join(id, None)?;
        self.instance_mut(host)?.handles.remove(handle);
        self.free_subtask(id);
        Ok(state)
    }
}
