//! Entries that are all different, found by a hash: what interning is made of.

use super::{Blank, HeapBudget, Limit, Slots};
use core::marker::PhantomData;

/// An entry with its place in the hash table, so that the table needs no storage of its own: the entry at `i` also holds
/// the head of bucket `i`.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hashed<T> {
    value: T,
    hash: u32,
    /// The first entry of the bucket that has this entry's index, by index + 1.
    head: u32,
    /// The next entry of this entry's bucket, by index + 1.
    next: u32,
}

impl<T: Blank> Blank for Hashed<T> {
    const BLANK: Self = Self { value: T::BLANK, hash: 0, head: 0, next: 0 };
}

/// A table that only grows, and finds an entry by its hash in expected O(1): there are at least half as many buckets as
/// entries. Whoever chooses the entries can make hashes collide; that is then O(entries), at link time only.
#[derive(Debug)]
pub struct Unique<T, S> {
    slots: S,
    of: PhantomData<T>,
}

impl<T: Blank, S: Slots<Hashed<T>>> Unique<T, S> {
    /// An empty table.
    pub const EMPTY: Self = Self { slots: S::EMPTY, of: PhantomData };

    /// Forgets the entries. O(entries).
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slots.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most entries that there can be.
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// The entry at an index.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.slots.as_slice().get(index).map(|slot| &slot.value)
    }

    /// The index of the entry that has this hash and is the one. Expected O(1).
    pub fn find(&self, hash: u32, mut is_it: impl FnMut(&T) -> bool) -> Option<u32> {
        self.bucket(hash).find(|(_, slot)| slot.hash == hash && is_it(&slot.value)).map(|(index, _)| index)
    }

    /// The bytes that it has allocated.
    pub(crate) fn allocated(&self) -> usize {
        self.slots.allocated()
    }

    /// Makes room for one more entry.
    pub(crate) fn reserve(&mut self, budget: &mut HeapBudget) -> bool {
        self.slots.reserve(1, budget)
    }

    /// Adds an entry that [`Unique::find`] does not find; its index, or `None` where there is no room. Amortised O(1); allocates on the
    /// heap tier.
    pub fn add(&mut self, hash: u32, value: T, limit: Limit) -> Option<u32> {
        let index = self.len();
        if !limit.allows(index.saturating_add(1), self.capacity()) || !self.slots.grow() {
            return None;
        }
        *self.slots.as_mut_slice().get_mut(index)? = Hashed { value, hash, head: 0, next: 0 };
        if self.len().is_power_of_two() {
            // Twice as many buckets from now on.
            self.slots.as_mut_slice().iter_mut().for_each(|slot| slot.head = 0);
            (0..self.len()).for_each(|at| self.link(at));
        } else {
            self.link(index);
        }
        u32::try_from(index).ok()
    }

    /// How many entries a search for this hash looks at, at most: for tests and statistics. O(that many).
    pub fn steps(&self, hash: u32) -> usize {
        self.bucket(hash).count()
    }

    /// The hash of each entry, in their order: for tests and statistics.
    pub fn hashes(&self) -> impl Iterator<Item = u32> {
        self.slots.as_slice().iter().map(|slot| slot.hash)
    }

    /// All entries of a hash's bucket, with their indices.
    fn bucket(&self, hash: u32) -> impl Iterator<Item = (u32, &Hashed<T>)> {
        let slots = self.slots.as_slice();
        let mut next = slots.get(bucket(hash, slots.len())).map_or(0, |slot| slot.head);
        core::iter::from_fn(move || {
            let index = next.checked_sub(1)?;
            let slot = slots.get(index as usize)?;
            next = slot.next;
            Some((index, slot))
        })
    }

    /// Makes an entry the first of its bucket.
    fn link(&mut self, index: usize) {
        let slots = self.slots.as_mut_slice();
        let Some(hash) = slots.get(index).map(|slot| slot.hash) else { return };
        let Some(head) = slots.get_mut(bucket(hash, slots.len())) else { return };
        let next = core::mem::replace(&mut head.head, (index as u32).wrapping_add(1));
        if let Some(slot) = slots.get_mut(index) {
            slot.next = next;
        }
    }
}

/// The bucket of a hash in a table of so many entries: the largest power of two of them are buckets.
fn bucket(hash: u32, len: usize) -> usize {
    let buckets = 1usize.checked_shl(len.checked_ilog2().unwrap_or(0)).unwrap_or(1);
    // MurmurHash3's last step, since the low bits of a sum of products know little of the high bits.
    let mut mixed = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    (mixed ^ (mixed >> 16)) as usize & buckets.wrapping_sub(1)
}
