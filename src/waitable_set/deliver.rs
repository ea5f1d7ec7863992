//! Copies of the host's: how one begins, and what its event becomes.

use super::state::{Own, Registered, State};
use super::types::*;
use crate::abi::types::{TypeDef, Types};
use crate::ambient::{ComponentValue, Core, FlatType, Limits, NoEngine, Scalars, Tier, ValueType};
use crate::error::Error;
use crate::id::{self, OptsId, SetId};
use crate::run;
use crate::spec::{CopyResult, EventCode, PtrType, SubtaskState};
use crate::state::{CopyState, Direction};
use crate::store::HostEnd;

/// A copy that can begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    pub key: u32,
    pub end: HostEnd,
    pub options: OptsId,
    pub ptr: u32,
    pub n: u32,
}

/// An event as it is told, and the read that follows it.
pub(super) struct Delivered {
    pub entry: WaitableEntry,
    pub again: Option<Copy>,
}

/// Whether the host has values of what a stream or future carries.
pub(super) fn check_element(element: Option<ValueType>, types: &Types<Tier>) -> Result<(), Error> {
    let Some(ValueType::Defined(id)) = element else { return Ok(()) };
    match types.def(id) {
        Some(TypeDef::Own(_) | TypeDef::Borrow(_) | TypeDef::Stream(_) | TypeDef::Future(_)) => Ok(()),
        Some(TypeDef::List(element)) if element.is_scalar() => Ok(()),
        _ => Err(Error::Misuse("the host has no value of the type that the stream or future carries")),
    }
}

/// Whether a value is of a type.
fn is_of(value: &ComponentValue, ty: ValueType, types: &Types<Tier>) -> bool {
    if let Some(flat) = FlatType::of(ty, types) {
        return flat.lower(value).is_some();
    }
    match (ty, value) {
        (ValueType::String, ComponentValue::String(_)) => true,
        (ValueType::Defined(id), ComponentValue::List(list)) => {
            matches!(types.def(id), Some(TypeDef::List(element)) if element == list.element())
        }
        _ => false,
    }
}

fn size(types: &Types<Tier>, element: Option<ValueType>) -> Result<u32, Error> {
    let Some(element) = element else { return Ok(0) };
    Ok(types.layout(element).ok_or(Error::Misuse("unknown type"))?.size(PtrType::I32))
}

/// The elements that a block has.
fn load(
    core: &Core,
    element: ValueType,
    block: u32,
    n: u32,
    limits: &Limits,
) -> Result<ComponentValue, Error> {
    let types = core.store.types();
    if !element.is_scalar() {
        return ComponentValue::load_within(element, types, &core.memory, block, limits);
    }
    let mut list = Scalars::new(element)?;
    for index in 0..n {
        let at = block.saturating_add(index.saturating_mul(size(types, Some(element))?));
        list.push(&ComponentValue::load_within(element, types, &core.memory, at, limits)?)?;
    }
    Ok(ComponentValue::List(list))
}

impl State {
    /// The read of a future or stream, if it can begin. Its buffer is made on the first.
    pub(super) fn read(&mut self, core: &mut Core, key: u32, limits: &Limits) -> Result<Option<Copy>, Error> {
        let (end, options) = (self.end_of(core, key)?, core.host()?.async_options);
        if end.direction == Direction::Write || end.state != CopyState::Idle {
            return Ok(None);
        }
        let n = match end.element {
            // So many elements at once as fit into a list.
            None => u32::MAX >> 4,
            Some(element) if element.is_scalar() => limits.list_items.max(1),
            Some(_) => 1,
        };
        let n = if end.future { 1 } else { n };
        let bytes = size(core.store.types(), end.element)?.saturating_mul(n);
        let registered = self.find_mut(key)?;
        if registered.block == 0 && bytes != 0 {
            registered.block = core.memory.alloc(bytes)?;
        }
        Ok(Some(Copy { key, end, options, ptr: registered.block, n }))
    }

    /// The write of a future or stream.
    ///
    /// # Errors
    /// `Misuse` where the value is not what it carries, or another write is under way; `Capacity(HostBytes)`.
    pub(super) fn write(
        &mut self,
        core: &mut Core,
        key: u32,
        value: Option<&ComponentValue>,
        limits: &Limits,
    ) -> Result<Copy, Error> {
        let (end, options) = (self.end_of(core, key)?, core.host()?.async_options);
        if end.direction == Direction::Read || end.state != CopyState::Idle {
            return Err(Error::Misuse(
                "not the host's to write, or a write of it is under way or told of next",
            ));
        }
        let types = core.store.types();
        let batch = match (value, end.element) {
            (Some(ComponentValue::List(list)), Some(element)) if element.is_scalar() && !end.future => {
                if list.element() != element {
                    return Err(OTHER_TYPE);
                }
                Some(list)
            }
            (Some(value), Some(element)) if is_of(value, element, types) => None,
            (None, None) => None,
            _ => return Err(OTHER_TYPE),
        };
        if let Some(value) = value {
            value.check(limits)?;
        }
        let n = batch.map_or(1, |list| list.len() as u32);
        let size = size(types, end.element)?;
        let block = if size == 0 || n == 0 { 0 } else { core.memory.alloc(size.saturating_mul(n))? };
        let stored = match batch {
            Some(list) => (0..u32::MAX).zip(list.iter()).try_for_each(|(index, item)| {
                item.store_in(&mut core.memory, block.saturating_add(index.saturating_mul(size)))
            }),
            None => value.map_or(Ok(()), |value| value.store_in(&mut core.memory, block)),
        };
        if let Err(error) = stored {
            core.memory.free(block)?;
            return Err(error);
        }
        self.find_mut(key)?.block = block;
        Ok(Copy { key, end, options, ptr: block, n })
    }

    /// Frees the buffer of a copy, with what the values in it have beside themselves.
    pub(super) fn free_block(
        &mut self,
        core: &mut Core,
        key: u32,
        element: Option<ValueType>,
        full: bool,
    ) -> Result<(), Error> {
        let block = core::mem::take(&mut self.find_mut(key)?.block);
        if full
            && block != 0
            && let Some(element) = element
        {
            let Core { store, memory, .. } = core;
            ComponentValue::free_defined(element, store.types(), memory, block)?;
        }
        core.memory.free(block)
    }

    /// Takes the next event of a set, not of those that are in it.
    pub(super) fn take(
        &mut self,
        core: &mut Core,
        set: SetId,
        limits: &Limits,
    ) -> Result<Option<Delivered>, Error> {
        let Some(id) = core.store.front_event(set)? else { return Ok(None) };
        let (code, handle, payload) = core.store.host_get_pending_event(id)?;
        let name = self.name(id, handle);
        if code == EventCode::Subtask {
            let state: SubtaskState = core.store.drop_host_subtask(id)?;
            let waitable = Waitable::Subtask(Subtask { handle, state });
            return Ok(Some(Delivered { entry: WaitableEntry { id: name, waitable }, again: None }));
        }
        let key = self.key_of(id)?;
        let end = core.store.host_end(handle)?;
        let waitable = if end.future {
            let state = self.future_event(core, key, end, payload, limits)?;
            Waitable::Future(Future { handle: FutureHandle(key), state })
        } else {
            let state = self.stream_event(core, key, end, payload, limits)?;
            Waitable::Stream(Stream { handle: StreamHandle(key), state })
        };
        let again = if self.find(key).is_ok() { self.read(core, key, limits)? } else { None };
        Ok(Some(Delivered { entry: WaitableEntry { id: name, waitable }, again }))
    }

    /// A future's one event: it is over.
    fn future_event(
        &mut self,
        core: &mut Core,
        key: u32,
        end: HostEnd,
        payload: u32,
        limits: &Limits,
    ) -> Result<FutureState, Error> {
        let completed = payload == CopyResult::Completed as u32;
        let registered = self.find_mut(key)?;
        let (block, failed) = (registered.block, registered.failed);
        let own =
            registered.own.as_mut().map(|own| core::mem::replace(&mut own.outcome, FutureState::Pending));
        let state = match (own, failed, end.direction, end.element) {
            (Some(outcome), ..) => outcome,
            (_, Some(error), ..) => FutureState::Failed(error),
            _ if !completed => FutureState::Cancelled,
            (_, _, Direction::Write, _) | (_, _, _, None) => FutureState::Ready(None),
            (_, _, _, Some(element)) => {
                match ComponentValue::load_within(element, core.store.types(), &core.memory, block, limits) {
                    Ok(value) => FutureState::Ready(Some(value)),
                    Err(error) => FutureState::Failed(error),
                }
            }
        };
        self.free_block(core, key, end.element, completed || end.direction == Direction::Write)?;
        self.end(core, key)?;
        Ok(state)
    }

    fn stream_event(
        &mut self,
        core: &mut Core,
        key: u32,
        end: HostEnd,
        payload: u32,
        limits: &Limits,
    ) -> Result<StreamState, Error> {
        let (dropped, n) = (payload & 0xf == CopyResult::Dropped as u32, payload >> 4);
        let registered = self.find(key)?;
        let (block, failed) = (registered.block, registered.failed);
        if end.direction == Direction::Write {
            self.free_block(core, key, end.element, true)?;
            if dropped {
                self.end(core, key)?;
                return Ok(StreamState::Closed(None));
            }
            return Ok(StreamState::Written(n));
        }
        let loaded = match (failed, end.element) {
            (Some(error), _) => Err(error),
            (None, _) if n == 0 => Ok(None),
            (None, None) => Ok(Some(ComponentValue::U32(n))),
            (None, Some(element)) => load(core, element, block, n, limits).map(Some),
        };
        match loaded {
            Ok(Some(values)) if !dropped => {
                if let Some(element) = end.element {
                    let Core { store, memory, .. } = core;
                    ComponentValue::free_defined(element, store.types(), memory, block)?;
                }
                Ok(StreamState::Ready(values))
            }
            other => {
                self.free_block(core, key, end.element, n > 0)?;
                self.end(core, key)?;
                Ok(other.map_or_else(StreamState::Failed, StreamState::Closed))
            }
        }
    }

    /// A future or stream is over: its end goes, and what the host knows of it.
    pub(super) fn end(&mut self, core: &mut Core, key: u32) -> Result<(), Error> {
        let registered = self.find(key)?;
        match registered.own {
            Some(Own { writable, .. }) if writable != 0 => {
                core.store.drop_host_future(registered.end, writable)?;
            }
            // Nothing is to be dropped of what was given away.
            _ => self.end_of(core, key).map_or(Ok(()), |end| core.store.drop_host_end(end.handle))?,
        }
        self.unregister(key);
        Ok(())
    }

    /// A new future that is the host's alone, in a set. Where there is no room nothing of it is left.
    pub(super) fn add_own(
        &mut self,
        core: &mut Core,
        key: u32,
        set: SetId,
        outcome: FutureState,
        limits: &Limits,
    ) -> Result<WaitableId, Error> {
        outcome.check(limits)?;
        self.check_room(limits)?;
        let host = core.host()?.instance;
        let (readable, writable) = core.store.host_new_stream(host, None, true)?;
        let added = self.begin_own(core, key, (readable, writable), set, outcome, limits);
        if added.is_err() {
            self.unregister(key);
            core.store.drop_host_future(readable, writable)?;
        }
        added
    }

    fn begin_own(
        &mut self,
        core: &mut Core,
        key: u32,
        (readable, writable): (u32, u32),
        set: SetId,
        outcome: FutureState,
        limits: &Limits,
    ) -> Result<WaitableId, Error> {
        let own = Own { writable, outcome: FutureState::Pending, first: set };
        self.register(core, key, readable, Some(own), limits)?;
        let end = core.store.host_end(readable)?;
        copy_nothing(core, end)?;
        core.store.host_join(end.id, Some(set))?;
        if outcome != FutureState::Pending {
            self.settle(core, key, outcome, limits)?;
        }
        Ok(self.name(end.id, end.handle))
    }

    /// Takes all out of a set that are in it; futures that were registered for it are not any more.
    pub(super) fn undo(&mut self, core: &mut Core, set: SetId) -> Result<(), Error> {
        while let Some(member) = core.store.first_member(set) {
            let registered = self.key_of(member).and_then(|key| Ok((key, self.find(key)?)));
            match registered {
                Ok((key, Registered { own: Some(own), .. })) if own.first == set => {
                    core.store.cancel_host_copy(member)?;
                    self.end(core, key)?;
                }
                _ => core.store.host_join(member, None)?,
            }
        }
        Ok(())
    }

    /// Ends a future that is the host's alone.
    ///
    /// # Errors
    /// `Misuse` where it has ended; `Capacity` of its value. Nothing is changed.
    pub(super) fn settle(
        &mut self,
        core: &mut Core,
        key: u32,
        outcome: FutureState,
        limits: &Limits,
    ) -> Result<(), Error> {
        outcome.check(limits)?;
        let own = self.find_mut(key)?.own.as_mut().filter(|own| own.writable != 0).ok_or(OVER)?;
        let end = core.store.host_end(own.writable)?;
        copy_nothing(core, end)?;
        core.store.host_get_pending_event(end.id)?;
        core.store.drop_host_end(end.handle)?;
        (own.writable, own.outcome) = (0, outcome);
        Ok(())
    }

    /// What nobody waits for and was read is over.
    pub(super) fn reap(&mut self, core: &mut Core, limits: &Limits) -> Result<(), Error> {
        let Some((handle, set)) = self.reaped else { return Ok(()) };
        while self.take(core, set, limits)?.is_some() {}
        if core.store.first_member(set).is_none() {
            self.reaped = None;
            core.store.drop_host_set(handle, set)?;
        }
        Ok(())
    }

    /// A write waits for its reader, and where nobody waits for the write, which is the answer, its event is seen to by [`State::reap`].
    pub(super) fn leave_to_reap(&mut self, core: &mut Core, id: id::WaitableId) -> Result<bool, Error> {
        if core.store.waitable(id).is_none_or(|waitable| waitable.in_waitable_set()) {
            return Ok(false);
        }
        let (_, set) = match self.reaped {
            Some(reaped) => reaped,
            None => *self.reaped.insert(core.store.new_host_set()?),
        };
        core.store.host_join(id, Some(set))?;
        Ok(true)
    }
}

/// Begins the copy of an end of a future that is the host's alone and so carries nothing: no engine has a part in it.
fn copy_nothing(core: &mut Core, end: HostEnd) -> Result<(), Error> {
    let options = core.host()?.async_options;
    run::begin_copy(&mut NoEngine(core), end, options, 0, 1)
}

const OVER: Error = Error::Misuse("the future has its value or is cancelled already");
const OTHER_TYPE: Error = Error::Misuse("the value is not of the type that the stream or future carries");
