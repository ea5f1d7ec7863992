//! The slab: elements with generational ids and a free list. Every operation is O(1).

use super::{Blank, Slots};
use core::marker::PhantomData;
use core::num::NonZeroU32;

/// A generational id. Implemented by the ids of [`crate::id`] alone.
pub trait Key: Copy + PartialEq {
    /// Makes the id of a slot.
    fn new(index: u32, generation: NonZeroU32) -> Self;
    /// The slot.
    fn index(self) -> u32;
    /// The slot's generation when the id was made.
    fn generation(self) -> NonZeroU32;
}

/// A place in a slab.
#[derive(Debug)]
pub struct Slot<T> {
    /// How often the slot was filled.
    generation: u32,
    /// The next free slot, by index + 1, where this one is free.
    next_free: u32,
    value: Option<T>,
}

impl<T> Blank for Slot<T> {
    const BLANK: Self = Self { generation: 0, next_free: 0, value: None };
}

/// Elements of type `T`, called by ids of type `K`.
#[derive(Debug)]
pub struct Slab<K, T, S> {
    slots: S,
    /// Head of the free list, by index + 1: an empty slab is zeros.
    free: u32,
    live: u32,
    /// The runtime limit; 0 means the capacity of the storage alone.
    limit: u32,
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
        Self { slots: S::EMPTY, free: 0, live: 0, limit: 0, marker: PhantomData }
    }

    /// Sets the runtime limit; 0 leaves the storage's capacity alone.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.live as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Whether `n` more elements fit. (The allocator may still refuse on the heap tier.)
    pub fn has_room(&self, n: usize) -> bool {
        let capacity = self.slots.capacity();
        let limit = if self.limit == 0 { capacity } else { capacity.min(self.limit as usize) };
        self.len().saturating_add(n) <= limit
    }

    /// Adds an element; gives it back where there is no room.
    pub fn insert(&mut self, value: T) -> Result<K, T> {
        if !self.has_room(1) {
            return Err(value);
        }
        let index = match self.free.checked_sub(1) {
            Some(index) => index,
            None => {
                let index = self.slots.as_slice().len();
                if !self.slots.grow() {
                    return Err(value);
                }
                index as u32
            }
        };
        let Some(slot) = self.slots.as_mut_slice().get_mut(index as usize) else {
            return Err(value);
        };
        self.free = slot.next_free;
        slot.next_free = 0;
        let generation = NonZeroU32::new(slot.generation.wrapping_add(1)).unwrap_or(NonZeroU32::MIN);
        slot.generation = generation.get();
        slot.value = Some(value);
        self.live = self.live.saturating_add(1);
        Ok(K::new(index, generation))
    }

    /// Takes an element out; `None` where the id is stale.
    pub fn remove(&mut self, key: K) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(key)?;
        let value = slot.value.take()?;
        slot.next_free = free;
        self.free = key.index().wrapping_add(1);
        self.live = self.live.saturating_sub(1);
        Some(value)
    }

    /// The element; `None` where the id is stale.
    pub fn get(&self, key: K) -> Option<&T> {
        let slot = self.slots.as_slice().get(key.index() as usize)?;
        if slot.generation != key.generation().get() {
            return None;
        }
        slot.value.as_ref()
    }

    /// The element, to change; `None` where the id is stale.
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        self.slot_mut(key)?.value.as_mut()
    }

    fn slot_mut(&mut self, key: K) -> Option<&mut Slot<T>> {
        let slot = self.slots.as_mut_slice().get_mut(key.index() as usize)?;
        (slot.generation == key.generation().get()).then_some(slot)
    }

    /// The id of what is in a slot now; `None` where the slot is free. For links and walks.
    pub fn key_at(&self, index: u32) -> Option<K> {
        let slot = self.slots.as_slice().get(index as usize)?;
        slot.value.as_ref()?;
        Some(K::new(index, NonZeroU32::new(slot.generation)?))
    }

    /// How many slots were ever in use: the bound for a walk with [`Slab::key_at`].
    pub fn slots_in_use(&self) -> u32 {
        self.slots.as_slice().len() as u32
    }

    /// Every element with its id, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.slots.as_slice().iter().zip(0u32..).filter_map(|(slot, index)| {
            let value = slot.value.as_ref()?;
            Some((K::new(index, NonZeroU32::new(slot.generation)?), value))
        })
    }
}
