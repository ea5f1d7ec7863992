//! What the host knows of error contexts beside their messages.

use super::types::*;
use crate::ambient::table::{PairList, Pairs, Pool};
use crate::ambient::{ComponentValue, Core, Limits, Room, Text, capacity};
use crate::error::{Error, Resource};
use crate::id::{self, HostErrorId};
use crate::storage::{Blank, Slots};

const GONE: Error = Error::Misuse("there is no error context of this id");

/// An error context of the host.
#[derive(Debug)]
pub(super) struct Detail {
    /// The host's handle, and what is behind it: that has the message, which never changes.
    pub handle: u32,
    core: id::ErrorContextId,
    /// The same message, for when the store is in use.
    pub message: Text,
    pub severity: ErrorSeverity,
    pub code: Option<i32>,
    pub cause: Option<HostErrorId>,
    /// How often the host was given it, and has not dropped it.
    owners: u32,
    /// How many others it is the cause of.
    outer: u32,
    frames: PairList,
    next_frame: u32,
    metadata: PairList,
}

/// Which of the host's error contexts is behind a core's.
#[derive(Debug)]
struct Known(Option<(id::ErrorContextId, HostErrorId)>);

impl Blank for Known {
    const BLANK: Self = Self(None);
}

#[derive(Debug)]
pub(crate) struct State {
    details: Pool<HostErrorId, Detail, { capacity::ERROR_CONTEXTS }>,
    /// By the index of the core's error context.
    known: Room<Known, { capacity::ERROR_CONTEXTS }>,
    /// Frames by their number in their error context.
    frames: Pairs<u32, StackFrame, { capacity::STACK_FRAMES }>,
    metadata: Pairs<Text, ComponentValue, { capacity::ERROR_VALUES }>,
    epoch: u32,
}

impl State {
    pub(crate) const fn new() -> Self {
        Self {
            details: Pool::new(),
            known: Room::EMPTY,
            frames: Pairs::new(),
            metadata: Pairs::new(),
            epoch: 0,
        }
    }

    /// Forgets everything: what is older names nothing.
    pub(crate) fn reset(&mut self) {
        let Self { details, known, frames, metadata, epoch } = self;
        details.reset();
        known.clear();
        frames.reset();
        metadata.reset();
        *epoch = epoch.wrapping_add(1);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.details.len() == 0
    }

    fn id(&self, ErrorContextId { id, epoch }: ErrorContextId) -> Result<HostErrorId, Error> {
        if epoch == self.epoch { Ok(id) } else { Err(GONE) }
    }

    pub(super) fn name(&self, id: HostErrorId) -> ErrorContextId {
        ErrorContextId { id, epoch: self.epoch }
    }

    pub(super) fn get(&self, id: ErrorContextId) -> Result<&Detail, Error> {
        self.details.get(self.id(id)?).ok_or(GONE)
    }

    pub(super) fn get_mut(&mut self, id: ErrorContextId) -> Result<&mut Detail, Error> {
        let id = self.id(id)?;
        self.details.get_mut(id).ok_or(GONE)
    }

    /// Whether one more fits.
    pub(super) fn check_room(&self, limits: &Limits) -> Result<(), Error> {
        let room = self.details.has_room(1, limits.core.error_contexts);
        let full = Error::limit_reached(Resource::ErrorContexts, limits.core.error_contexts as usize);
        if room { Ok(()) } else { Err(full) }
    }

    /// The error context behind a handle that the host was given. If it was known already, it is the same one, and the handle goes.
    pub(super) fn adopt(
        &mut self,
        core: &mut Core,
        handle: u32,
        severity: ErrorSeverity,
        limits: &Limits,
    ) -> Result<ErrorContextId, Error> {
        let message = crate::ambient::text::text(core.store.host_error_message(handle)?, limits.text_bytes)?;
        let behind = core.store.error_context_handle(core.host()?.instance, handle)?;
        while self.known.as_slice().len() <= behind.index() {
            if !self.known.grow() {
                return Err(Error::capacity(Resource::ErrorContexts));
            }
        }
        if let Some(Known(Some((of, id)))) = self.known.as_slice().get(behind.index())
            && *of == behind
            && let id = *id
            && let Some(detail) = self.details.get_mut(id)
        {
            if detail.handle != handle {
                core.store.drop_host_error_context(handle)?;
            } else if detail.owners > 0 {
                return Err(Error::Misuse("the host has this error context already"));
            }
            detail.owners = detail.owners.saturating_add(1);
            return Ok(self.name(id));
        }
        let detail = Detail {
            handle,
            core: behind,
            message,
            severity,
            code: None,
            cause: None,
            owners: 1,
            outer: 0,
            frames: PairList::EMPTY,
            next_frame: 0,
            metadata: PairList::EMPTY,
        };
        let id = self.details.insert(detail, limits.core.error_contexts, Resource::ErrorContexts)?;
        if let Some(known) = self.known.as_mut_slice().get_mut(behind.index()) {
            *known = Known(Some((behind, id)));
        }
        Ok(self.name(id))
    }

    /// The host drops an error context that it was given, and what was only its cause.
    pub(super) fn drop(&mut self, core: &mut Core, id: ErrorContextId) -> Result<(), Error> {
        let detail = self.get_mut(id)?;
        detail.owners = detail.owners.checked_sub(1).ok_or(GONE)?;
        self.free(core, Some(id.id))
    }

    fn free(&mut self, core: &mut Core, id: Option<HostErrorId>) -> Result<(), Error> {
        let host = core.host()?.instance;
        let mut next = id;
        while let Some(id) = next {
            let held = self.details.get(id).is_none_or(|detail| detail.owners > 0 || detail.outer > 0);
            if held {
                return Ok(());
            }
            let Some(mut detail) = self.details.remove(id) else { return Ok(()) };
            while self.frames.pop(&mut detail.frames).is_some() {}
            while self.metadata.pop(&mut detail.metadata).is_some() {}
            if let Some(known) = self.known.as_mut_slice().get_mut(detail.core.index())
                && known.0 == Some((detail.core, id))
            {
                *known = Known(None);
            }
            // The handle may have been dropped as one, and be another's since.
            if core.store.error_context_handle(host, detail.handle) == Ok(detail.core) {
                core.store.drop_host_error_context(detail.handle)?;
            }
            next = detail.cause;
            self.change_outer(next, |outer| outer.saturating_sub(1));
        }
        Ok(())
    }

    fn change_outer(&mut self, id: Option<HostErrorId>, f: impl FnOnce(u32) -> u32) {
        if let Some(detail) = id.and_then(|id| self.details.get_mut(id)) {
            detail.outer = f(detail.outer);
        }
    }

    /// Sets the cause; the one that it had is freed, where it is held no more.
    pub(super) fn set_cause(
        &mut self,
        core: &mut Core,
        id: ErrorContextId,
        cause: Option<ErrorContextId>,
    ) -> Result<(), Error> {
        self.get(id)?;
        let cause = cause.map(|cause| self.get(cause).map(|_| cause.id)).transpose()?;
        let chain = core::iter::successors(cause, |id| self.details.get(*id)?.cause);
        if chain.into_iter().any(|of| of == id.id) {
            return Err(Error::Misuse("an error context can't be its own cause"));
        }
        let old = core::mem::replace(&mut self.get_mut(id)?.cause, cause);
        self.change_outer(cause, |outer| outer.saturating_add(1));
        self.change_outer(old, |outer| outer.saturating_sub(1));
        self.free(core, old)
    }

    pub(super) fn add_frame(
        &mut self,
        id: ErrorContextId,
        frame: StackFrame,
        limits: &Limits,
    ) -> Result<(), Error> {
        let id = self.id(id)?;
        let detail = self.details.get_mut(id).ok_or(GONE)?;
        let most = (limits.stack_frames, Resource::StackFrames);
        self.frames.set(&mut detail.frames, detail.next_frame, frame, most)?;
        detail.next_frame = detail.next_frame.saturating_add(1);
        Ok(())
    }

    pub(super) fn frame(&self, id: ErrorContextId, number: u32) -> Result<Option<StackFrame>, Error> {
        Ok(self.frames.get(&self.get(id)?.frames, &number).cloned())
    }

    pub(super) fn set_value(
        &mut self,
        id: ErrorContextId,
        key: Text,
        value: ComponentValue,
        limits: &Limits,
    ) -> Result<Option<ComponentValue>, Error> {
        let id = self.id(id)?;
        let detail = self.details.get_mut(id).ok_or(GONE)?;
        let most = (limits.error_values, Resource::ErrorValues);
        self.metadata.set(&mut detail.metadata, key, value, most)
    }

    pub(super) fn value(&self, id: ErrorContextId, key: &str) -> Result<Option<ComponentValue>, Error> {
        Ok(self.metadata.get(&self.get(id)?.metadata, key).cloned())
    }

    pub(super) fn remove_value(
        &mut self,
        id: ErrorContextId,
        key: &str,
    ) -> Result<Option<ComponentValue>, Error> {
        let id = self.id(id)?;
        let detail = self.details.get_mut(id).ok_or(GONE)?;
        Ok(self.metadata.remove(&mut detail.metadata, key))
    }

    /// A key and its value, by their place in the order in which keys were first set.
    pub(super) fn value_at(
        &self,
        id: ErrorContextId,
        place: usize,
    ) -> Result<Option<(Text, ComponentValue)>, Error> {
        let pair = self.metadata.iter(&self.get(id)?.metadata).nth(place);
        Ok(pair.map(|(key, value)| (key.clone(), value.clone())))
    }

    /// The cause.
    pub(super) fn cause(&self, id: ErrorContextId) -> Result<Option<ErrorContextId>, Error> {
        Ok(self.get(id)?.cause.map(|cause| self.name(cause)))
    }
}
