//! A guest-visible table: the spec's `Table`. Index 0 is reserved, freed indices are used again last in, first out.

use super::{Blank, Limit, Slots};
use crate::spec::TABLE_MAX_LENGTH;

/// A place in a table. What it is of has no value that is zeros, so that a place which was never used can be zeros without a word
/// more: `size/host` holds it to that.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Entry<T> {
    /// Free; the next free index, 0 for none.
    Free(u32),
    /// In use.
    Used(T),
}

impl<T> Blank for Entry<T> {
    const BLANK: Self = Entry::Free(0);
}

/// The spec's `Table` over some storage. Every operation is O(1).
#[derive(Debug)]
#[repr(C)]
pub struct Table<S> {
    free: u32,
    live: u32,
    limit: Limit,
    /// The element at `i` is the table's index `i + 1`.
    slots: S,
}

impl<S> Table<S> {
    /// How many indices are in use.
    pub const fn len(&self) -> usize {
        self.live as usize
    }

    /// Whether no index is in use.
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// An empty table over this storage, limited by its capacity alone.
    pub const fn new(slots: S) -> Self {
        Self { slots, free: 0, live: 0, limit: Limit::NONE }
    }

    /// Sets the most elements that there may be, where the storage has room for as many.
    pub const fn set_limit(&mut self, limit: u32) {
        self.limit = Limit::new(limit);
    }

    /// Whether `n` more elements fit.
    pub fn has_room<T>(&self, n: usize) -> bool
    where
        S: Slots<Entry<T>>,
    {
        let capacity = self.slots.capacity().min(TABLE_MAX_LENGTH as usize);
        self.limit.has_room(self.live, n, capacity)
    }

    /// `Table.add`: the element's index; `None` where there is no room.
    pub fn add<T>(&mut self, value: T) -> Option<u32>
    where
        S: Slots<Entry<T>>,
    {
        if !self.has_room(1) {
            return None;
        }
        let index = if self.free == 0 {
            let len = self.slots.as_slice().len();
            if !self.slots.grow() {
                return None;
            }
            (len as u32).wrapping_add(1)
        } else {
            self.free
        };
        let entry = self.entry_mut(index)?;
        let next = match entry {
            Entry::Free(next) => *next,
            Entry::Used(_) => return None,
        };
        *entry = Entry::Used(value);
        self.free = next;
        self.live = self.live.saturating_add(1);
        Some(index)
    }

    /// `Table.get`; `None` where there is nothing at the index.
    pub fn get<T>(&self, index: u32) -> Option<&T>
    where
        S: Slots<Entry<T>>,
    {
        match self.slots.place(index.checked_sub(1)? as usize)? {
            Entry::Used(value) => Some(value),
            Entry::Free(_) => None,
        }
    }

    /// `Table.get`, to change.
    pub fn get_mut<T>(&mut self, index: u32) -> Option<&mut T>
    where
        S: Slots<Entry<T>>,
    {
        match self.entry_mut(index)? {
            Entry::Used(value) => Some(value),
            Entry::Free(_) => None,
        }
    }

    /// `Table.remove`; `None` where there is nothing at the index.
    pub fn remove<T>(&mut self, index: u32) -> Option<T>
    where
        S: Slots<Entry<T>>,
    {
        let free = self.free;
        let entry = self.entry_mut(index)?;
        if matches!(entry, Entry::Free(_)) {
            return None;
        }
        let Entry::Used(value) = core::mem::replace(entry, Entry::Free(free)) else { return None };
        self.free = index;
        self.live = self.live.saturating_sub(1);
        Some(value)
    }

    /// How many places there are, in use or free: the highest index that ever was.
    pub fn high_water<T>(&self) -> u32
    where
        S: Slots<Entry<T>>,
    {
        self.slots.as_slice().len() as u32
    }

    fn entry_mut<T>(&mut self, index: u32) -> Option<&mut Entry<T>>
    where
        S: Slots<Entry<T>>,
    {
        self.slots.place_mut(index.checked_sub(1)? as usize)
    }
}
