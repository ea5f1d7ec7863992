//! What the host knows beside the store: which future or stream an end is, and which sets are in which.

use super::types::*;
use crate::ambient::table::{PairList, Pairs};
use crate::ambient::{Core, Limits, Room, capacity};
use crate::error::{Error, Resource};
use crate::id::{self, SetId};
use crate::storage::{Blank, Key, Slots};
use crate::store::HostEnd;

/// Futures and streams are found by their drawn ids, in one of so many lists.
const BUCKETS: usize = 32;

/// A future or a stream of which the host holds an end.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    /// The end that is waited for, in the host's table.
    pub end: u32,
    /// The same.
    id: id::WaitableId,
    /// The buffer of the copy under way, in the host's memory.
    pub block: u32,
    /// What of a future of which the host holds both ends.
    pub own: Option<Own>,
    /// Why its last copy failed.
    pub failed: Option<Error>,
}

/// A future that is the host's alone: the core has the future, which carries nothing, and the value is here.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// The other end; 0 once the future has its value or is cancelled.
    pub writable: u32,
    pub outcome: FutureState,
    /// The set to which it was added first.
    pub first: SetId,
}

/// Which future or stream an end is.
#[derive(Debug)]
struct End(Option<(id::WaitableId, u32)>);

impl Blank for End {
    const BLANK: Self = Self(None);
}

/// A set's place among nested sets.
#[derive(Clone, Copy, Debug)]
struct Nest {
    handle: u32,
    parent: Option<SetId>,
    first: Option<SetId>,
    /// The next one with the same parent.
    next: Option<SetId>,
}

impl Blank for Nest {
    const BLANK: Self = Self { handle: 0, parent: None, first: None, next: None };
}

#[derive(Debug)]
pub(crate) struct State {
    registered: Pairs<u32, Registered, { capacity::HOST_WAITABLES }>,
    buckets: [PairList; BUCKETS],
    /// By the index of the waitable.
    ends: Room<End, { capacity::WAITABLES }>,
    /// By the index of the set.
    nests: Room<Nest, { capacity::SETS }>,
    /// The set in which the ends wait that nobody else waits for, until what they wrote was read; while there are some.
    pub(super) reaped: Option<(u32, SetId)>,
    epoch: u32,
}

const NO_SET: Error = Error::Misuse("there is no waitable set of this id");
const NOT_REGISTERED: Error =
    Error::Misuse("the future or stream is not registered: it is in no set yet, or over");

impl State {
    pub(crate) const fn new() -> Self {
        Self {
            registered: Pairs::new(),
            buckets: [const { PairList::EMPTY }; BUCKETS],
            ends: Room::EMPTY,
            nests: Room::EMPTY,
            reaped: None,
            epoch: 0,
        }
    }

    /// Forgets everything: what is older names nothing.
    pub(crate) fn reset(&mut self) {
        let Self { registered, buckets, ends, nests, reaped, epoch } = self;
        registered.reset();
        ends.clear();
        nests.clear();
        buckets.fill_with(|| PairList::EMPTY);
        (*reaped, *epoch) = (None, epoch.wrapping_add(1));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.registered.len() == 0
    }

    fn bucket(&self, key: u32) -> Option<&PairList> {
        self.buckets.get(key as usize % BUCKETS)
    }

    pub(super) fn find(&self, key: u32) -> Result<&Registered, Error> {
        self.bucket(key).and_then(|list| self.registered.get(list, &key)).ok_or(NOT_REGISTERED)
    }

    pub(super) fn find_mut(&mut self, key: u32) -> Result<&mut Registered, Error> {
        let list = self.buckets.get(key as usize % BUCKETS).ok_or(NOT_REGISTERED)?;
        self.registered.get_mut(list, &key).ok_or(NOT_REGISTERED)
    }

    /// The end of a future or stream, which may have been given away or dropped by its handle.
    pub(super) fn end_of(&self, core: &Core, key: u32) -> Result<HostEnd, Error> {
        let registered = self.find(key)?;
        let end = core.store.host_end(registered.end)?;
        if end.id == registered.id {
            Ok(end)
        } else {
            Err(Error::Misuse("the future or stream was given away"))
        }
    }

    /// Whether one more can be registered.
    pub(super) fn check_room(&self, limits: &Limits) -> Result<(), Error> {
        let room = self.registered.has_room(1, limits.host_waitables);
        let full = Error::limit_reached(Resource::HostWaitables, limits.host_waitables as usize);
        if room { Ok(()) } else { Err(full) }
    }

    pub(super) fn register(
        &mut self,
        core: &Core,
        key: u32,
        end: u32,
        own: Option<Own>,
        limits: &Limits,
    ) -> Result<(), Error> {
        let (id, _) = core.store.host_waitable(end).ok_or(NOT_REGISTERED)?;
        if self.find(key).is_ok() {
            return Err(Error::Misuse("an older future or stream with the same id is still registered"));
        }
        let place = grown(&mut self.ends, id.index(), Resource::Waitables)?;
        let list = self.buckets.get_mut(key as usize % BUCKETS).ok_or(NOT_REGISTERED)?;
        let registered = Registered { end, id, block: 0, own, failed: None };
        self.registered.set(list, key, registered, (limits.host_waitables, Resource::HostWaitables))?;
        *place = End(Some((id, key)));
        Ok(())
    }

    pub(super) fn unregister(&mut self, key: u32) -> Option<Registered> {
        self.registered.remove(self.buckets.get_mut(key as usize % BUCKETS)?, &key)
    }

    /// Which future or stream an end is.
    pub(super) fn key_of(&self, id: id::WaitableId) -> Result<u32, Error> {
        match self.ends.as_slice().get(id.index()) {
            Some(End(Some((of, key)))) if *of == id && self.find(*key).is_ok() => Ok(*key),
            _ => Err(Error::Misuse("an end that is not registered was put into a set of the host's")),
        }
    }

    /// The name of a waitable that the host holds.
    pub(super) fn name(&self, id: id::WaitableId, handle: u32) -> WaitableId {
        WaitableId { held: self.held(handle, id), nested: false }
    }

    fn held(&self, handle: u32, id: impl Key) -> Held {
        Held { handle, slot: Key::index(id), generation: id.generation().get(), epoch: self.epoch }
    }

    /// The set of an id.
    pub(super) fn set(&self, core: &Core, WaitableSetId(held): WaitableSetId) -> Result<SetId, Error> {
        let id = core.store.host_set(held.handle).ok_or(NO_SET)?;
        if self.held(held.handle, id) == held { Ok(id) } else { Err(NO_SET) }
    }

    /// The waitable of an id.
    pub(super) fn waitable(&self, core: &Core, id: WaitableId) -> Option<id::WaitableId> {
        let (waitable, _) = core.store.host_waitable(id.held.handle).filter(|_| !id.nested)?;
        (self.held(id.held.handle, waitable) == id.held).then_some(waitable)
    }

    /// A new set's id.
    pub(super) fn add_set(&mut self, handle: u32, id: SetId) -> Result<WaitableSetId, Error> {
        *grown(&mut self.nests, id.index(), Resource::WaitableSets)? = Nest { handle, ..Nest::BLANK };
        Ok(WaitableSetId(self.held(handle, id)))
    }
}

/// Nested sets: a forest, of which the host walks what is below the set that it asks.
impl State {
    fn nest_of(&self, id: SetId) -> Nest {
        self.nests.as_slice().get(id.index()).copied().unwrap_or(Nest::BLANK)
    }

    fn change(&mut self, id: SetId, f: impl FnOnce(&mut Nest)) {
        if let Some(nest) = self.nests.as_mut_slice().get_mut(id.index()) {
            f(nest);
        }
    }

    /// The sets that are directly in a set, in the order in which they were added.
    pub(super) fn nested(&self, id: SetId) -> impl Iterator<Item = SetId> {
        core::iter::successors(self.nest_of(id).first, |id| self.nest_of(*id).next)
    }

    /// The first of [`State::nested`].
    pub(super) fn first_nested(&self, id: SetId) -> Option<SetId> {
        self.nest_of(id).first
    }

    /// The set that was added after this one to the one in which both are.
    pub(super) fn after_nested(&self, id: SetId) -> Option<SetId> {
        self.nest_of(id).next
    }

    pub(super) fn parent(&self, id: SetId) -> Option<SetId> {
        self.nest_of(id).parent
    }

    /// The name of a set as a member.
    pub(super) fn name_set(&self, id: SetId) -> (WaitableSetId, WaitableId) {
        let held = self.held(self.nest_of(id).handle, id);
        (WaitableSetId(held), WaitableId { held, nested: true })
    }

    /// Puts a set into another, at the end.
    pub(super) fn add_nested(&mut self, inner: SetId, into: SetId) -> Result<(), Error> {
        if core::iter::successors(Some(into), |id| self.parent(*id)).any(|id| id == inner) {
            return Err(Error::Misuse("a waitable set can't be in itself"));
        }
        self.take_out(inner);
        match self.nested(into).last() {
            Some(last) => self.change(last, |nest| nest.next = Some(inner)),
            None => self.change(into, |nest| nest.first = Some(inner)),
        }
        self.change(inner, |nest| nest.parent = Some(into));
        Ok(())
    }

    /// Takes a set out of the one that it is in, if any.
    pub(super) fn take_out(&mut self, id: SetId) {
        let Nest { parent: Some(parent), next, .. } = self.nest_of(id) else { return };
        let before = self.nested(parent).find(|of| self.nest_of(*of).next == Some(id));
        match before {
            Some(before) => self.change(before, |nest| nest.next = next),
            None => self.change(parent, |nest| nest.first = next),
        }
        self.change(id, |nest| (nest.parent, nest.next) = (None, None));
    }

    /// Whether something in a set is ready, or in the sets that are in it. O(these sets).
    pub(super) fn is_ready(&self, core: &mut Core, root: SetId) -> Result<bool, Error> {
        let mut at = root;
        loop {
            if core.store.front_event(at)?.is_some() {
                return Ok(true);
            }
            let mut next = self.nest_of(at).first;
            while next.is_none() {
                if at == root {
                    return Ok(false);
                }
                let nest = self.nest_of(at);
                next = nest.next;
                at = nest.parent.unwrap_or(root);
            }
            at = next.unwrap_or(root);
        }
    }
}

/// The place at an index of a table that grows with the store's.
fn grown<T: Blank, S: Slots<T>>(slots: &mut S, index: usize, what: Resource) -> Result<&mut T, Error> {
    while slots.as_slice().len() <= index {
        if !slots.grow() {
            return Err(Error::capacity(what));
        }
    }
    slots.as_mut_slice().get_mut(index).ok_or(Error::capacity(what))
}
