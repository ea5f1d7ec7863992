//! Copies of the host's: how one begins, and what its event becomes.

use super::state::{Own, State};
use super::types::*;
use crate::abi::types::{TypeDef, Types};
use crate::ambient::{ComponentValue, Core, Limits, Scalars, Tier, ValueType};
use crate::error::Error;
use crate::id::{OptsId, SetId, WaitableId};
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
    let ValueType::Defined(id) = ty else { return value.value_type() == Some(ty) };
    match (types.def(id), value) {
        (Some(TypeDef::Own(_) | TypeDef::Borrow(_)), ComponentValue::Resource(_))
        | (Some(TypeDef::Stream(_)), ComponentValue::Stream(_))
        | (Some(TypeDef::Future(_)), ComponentValue::Future(_)) => true,
        (Some(TypeDef::List(element)), ComponentValue::List(list)) => list.element() == element,
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
            Some(list) => (0u32..).zip(list.iter()).try_for_each(|(index, item)| {
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
        let (code, handle, payload) = core.store.get_pending_event(id)?;
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
        // Nothing is to be dropped of what was given away.
        let end = self.end_of(core, key);
        let Some(registered) = self.unregister(key) else { return Ok(()) };
        match registered.own {
            Some(Own { writable, .. }) if writable != 0 => {
                core.store.drop_host_future(registered.end, writable)
            }
            _ => end.map_or(Ok(()), |end| core.store.drop_host_end(end.handle)),
        }
    }

    /// What nobody waits for and was read is over.
    pub(super) fn reap(&mut self, core: &mut Core, limits: &Limits) -> Result<(), Error> {
        let Some(set) = self.reaped() else { return Ok(()) };
        while self.take(core, set, limits)?.is_some() {}
        Ok(())
    }

    /// A write waits for its reader, and nobody for the write: its event is seen to by [`State::reap`].
    pub(super) fn leave_to_reap(&mut self, core: &mut Core, id: WaitableId) -> Result<(), Error> {
        if core.store.waitable(id).is_none_or(|waitable| waitable.in_waitable_set()) {
            return Ok(());
        }
        let set = match self.reaped() {
            Some(set) => set,
            None => {
                let (_, set) = core.store.new_host_set()?;
                self.set_reaped(set);
                set
            }
        };
        core.store.join(id, Some(set))
    }
}

const OTHER_TYPE: Error = Error::Misuse("the value is not of the type that the stream or future carries");
