//! A guest-visible table: the spec's `Table`. Index 0 is reserved, freed indices are used again last in, first out.

use super::count::Count;
use super::{Blank, Full, HeapBudget, Limit, Slots};
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
    count: Count,
    /// The element at `i` is the table's index `i + 1`.
    slots: S,
}

impl<S> Table<S> {
    /// How many indices are in use.
    pub const fn len(&self) -> usize {
        self.count.live() as usize
    }

    /// Whether no index is in use.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An empty table over this storage, limited by its capacity alone.
    pub const fn new(slots: S) -> Self {
        Self { slots, count: Count::EMPTY }
    }

    /// Sets the most elements that there may be, where the storage has room for as many.
    pub const fn set_limit(&mut self, limit: u32) {
        self.count.limit = Limit::new(limit);
    }

    /// Whether `n` more elements fit.
    pub fn has_room<T>(&self, n: usize) -> bool
    where
        S: Slots<Entry<T>>,
    {
        self.count.has_room(n, capacity::<T, S>())
    }

    /// The bytes that it has allocated.
    pub(crate) fn allocated<T>(&self) -> usize
    where
        S: Slots<Entry<T>>,
    {
        self.slots.allocated()
    }

    /// Makes room for `n` more elements, so that adding them can't fail. Changes nothing where there is none.
    pub(crate) fn reserve<T>(&mut self, n: usize, budget: &mut HeapBudget) -> Result<(), Full>
    where
        S: Slots<Entry<T>>,
    {
        self.count.check_room(n, capacity::<T, S>())?;
        let new = n.saturating_sub(self.slots.len().saturating_sub(self.len()));
        if self.slots.reserve(new, budget) { Ok(()) } else { Err(Full::Heap) }
    }

    /// `Table.add`: the element's index; `None` where there is no room.
    pub fn add<T>(&mut self, value: T) -> Option<u32>
    where
        S: Slots<Entry<T>>,
    {
        let index = self.count.vacant(self.slots.len(), capacity::<T, S>())?.get();
        let entry = self.slots.reach(index.wrapping_sub(1) as usize)?;
        let Entry::Free(next) = *entry else { return None };
        *entry = Entry::Used(value);
        self.count.fill(next);
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

    /// `Table.remove`; whether there was anything at the index.
    pub fn remove<T>(&mut self, index: u32) -> bool
    where
        S: Slots<Entry<T>>,
    {
        let place = index.checked_sub(1).and_then(|place| self.slots.place_mut(place as usize));
        let Some(entry @ Entry::Used(_)) = place else { return false };
        *entry = Entry::Free(self.count.release(index));
        true
    }

    /// How many places there are, in use or free: the highest index that ever was.
    pub fn high_water<T>(&self) -> u32
    where
        S: Slots<Entry<T>>,
    {
        self.slots.len() as u32
    }

    fn entry_mut<T>(&mut self, index: u32) -> Option<&mut Entry<T>>
    where
        S: Slots<Entry<T>>,
    {
        self.slots.place_mut(index.checked_sub(1)? as usize)
    }
}

fn capacity<T, S: Slots<Entry<T>>>() -> usize {
    S::CAPACITY.min(TABLE_MAX_LENGTH as usize)
}
