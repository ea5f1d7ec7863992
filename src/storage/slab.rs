//! The slab: elements with generational ids and a free list. Every operation is O(1).

use super::count::Stamps;
use super::{Blank, Full, HeapBudget, Key, Limit, Slots};
use core::marker::PhantomData;
use core::num::NonZeroU32;

/// A place in a slab.
#[derive(Debug)]
pub struct Slot<T>(Place<T>);

/// What is in a slot. Its layout is said, not left to the compiler: a slot that was never used is zeros, whatever `T` is, and one in
/// use takes no more than the element, its stamp and a word.
#[derive(Debug)]
#[repr(u32)]
enum Place<T> {
    Free {
        /// The stamp of what was in it last; 0 where nothing was.
        stamp: u32,
        /// The next free slot, by index + 1.
        next: u32,
    } = 0,
    Used {
        stamp: NonZeroU32,
        value: T,
    } = 1,
}

impl<T> Blank for Slot<T> {
    const BLANK: Self = Self(Place::Free { stamp: 0, next: 0 });
}

impl<T> Slot<T> {
    /// The stamp of what is in it, or was last; 0 where nothing was.
    fn stamp(&self) -> u32 {
        match self.0 {
            Place::Free { stamp, .. } => stamp,
            Place::Used { stamp, .. } => stamp.get(),
        }
    }

    /// The element and the stamp that it has.
    fn used(&self) -> Option<(NonZeroU32, &T)> {
        match &self.0 {
            Place::Used { stamp, value } => Some((*stamp, value)),
            Place::Free { .. } => None,
        }
    }
}

/// Elements of type `T`, called by ids of type `K`.
#[derive(Debug)]
#[repr(C)]
pub struct Slab<K, T, S> {
    stamps: Stamps,
    slots: S,
    marker: PhantomData<(K, T)>,
}

impl<K: Key, T, S: Slots<Slot<T>>> Default for Slab<K, T, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Key, T, S: Slots<Slot<T>>> Slab<K, T, S> {
    /// An empty slab, limited by its storage's capacity alone.
    pub const fn new() -> Self {
        const {
            assert!(
                S::CAPACITY <= K::SLOTS,
                "the capacity of a table is above 4095, which ids tell apart only with the feature `alloc`"
            );
        }
        Self { slots: S::EMPTY, stamps: Stamps::EMPTY, marker: PhantomData }
    }

    /// Forgets the elements and the limit: none of their ids is one of an element that comes, before its slot was filled as often
    /// as [`Key`] counts. O(slots).
    pub(crate) fn reset(&mut self) {
        // What lies in place counts on by itself; what is given back begins where the newest was.
        let mut born = self.stamps.born;
        for slot in self.slots.as_slice() {
            born = born
                .max(NonZeroU32::new(slot.stamp()).map_or(0, |stamp| K::new(0, stamp).generation().get()));
        }
        self.slots.clear_with(|slot| *slot = Slot(Place::Free { stamp: slot.stamp(), next: 0 }));
        self.stamps = Stamps { born, ..Stamps::EMPTY };
    }

    /// Sets the most elements that there may be, where the storage has room for as many.
    pub fn set_limit(&mut self, limit: u32) {
        self.stamps.count.limit = Limit::new(limit);
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.stamps.count.live() as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `n` more elements fit. (The allocator may still refuse on the heap tier.)
    pub fn has_room(&self, n: usize) -> bool {
        self.stamps.count.has_room(n, S::CAPACITY)
    }

    /// The bytes that it has allocated.
    pub(crate) fn allocated(&self) -> usize {
        self.slots.allocated()
    }

    /// Makes room for `n` more elements, so that adding them can't fail. Changes nothing where there is none.
    pub(crate) fn reserve(&mut self, n: usize, budget: &mut HeapBudget) -> Result<(), Full> {
        self.stamps.count.check_room(n, S::CAPACITY)?;
        let new = n.saturating_sub(self.slots.len().saturating_sub(self.len()));
        if self.slots.reserve(new, budget) { Ok(()) } else { Err(Full::Heap) }
    }

    /// Adds an element; `None` where there is no room.
    pub fn insert(&mut self, value: T) -> Option<K> {
        let index = self.stamps.count.vacant(self.slots.len(), S::CAPACITY)?.get().wrapping_sub(1);
        let Slot(place) = self.slots.reach(index as usize)?;
        let Place::Free { stamp, next } = *place else { return None };
        let stamp = self.stamps.fill::<K::Made>(index, stamp, next);
        *place = Place::Used { stamp, value };
        Some(K::new(index, stamp))
    }

    /// Takes an element out; `None` where the id is stale.
    pub fn remove(&mut self, key: K) -> Option<T> {
        self.get(key)?;
        let Slot(place) = self.slots.place_mut(key.index() as usize)?;
        let free = Place::Free {
            stamp: key.stamp().get(),
            next: self.stamps.count.release(key.index().wrapping_add(1)),
        };
        let Place::Used { value, .. } = core::mem::replace(place, free) else { return None };
        Some(value)
    }

    /// Drops an element where it lies; whether there was one.
    pub fn free(&mut self, key: K) -> bool {
        let Some(Slot(place)) = self.slots.place_mut(key.index() as usize) else { return false };
        if !matches!(place, Place::Used { stamp, .. } if *stamp == key.stamp()) {
            return false;
        }
        *place = Place::Free {
            stamp: key.stamp().get(),
            next: self.stamps.count.release(key.index().wrapping_add(1)),
        };
        true
    }

    /// The element; `None` where the id is stale.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub fn get(&self, key: K) -> Option<&T> {
        match &self.slots.place(key.index() as usize)?.0 {
            Place::Used { stamp, value } if *stamp == key.stamp() => Some(value),
            _ => None,
        }
    }

    /// The element, to change; `None` where the id is stale.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        match &mut self.slots.place_mut(key.index() as usize)?.0 {
            Place::Used { stamp, value } if *stamp == key.stamp() => Some(value),
            _ => None,
        }
    }

    /// The id of what is in a slot now; `None` where the slot is free. For links.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub fn key_at(&self, index: u32) -> Option<K> {
        let (stamp, _) = self.slots.place(index as usize)?.used()?;
        Some(K::new(index, stamp))
    }

    /// What is in a slot now; `None` where the slot is free. For walks.
    pub fn at(&self, index: u32) -> Option<(K, &T)> {
        let (stamp, value) = self.slots.place(index as usize)?.used()?;
        Some((K::new(index, stamp), value))
    }

    /// How many slots were ever in use: the bound for a walk with [`Slab::at`].
    pub fn slots_in_use(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Every element with its id, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.slots.as_slice().iter().zip(0..u32::MAX).filter_map(|(slot, index)| {
            let (stamp, value) = slot.used()?;
            Some((K::new(index, stamp), value))
        })
    }
}
