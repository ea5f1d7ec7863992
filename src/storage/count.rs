//! What a slab or a table keeps beside its places, whatever is in them: so the code for it is there once.

use super::{Full, Key, Limit};
use core::num::NonZeroU32;

/// Which places are free, and how many are not. Places are told by their position, which is their index + 1: an empty one is zeros.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Count {
    /// Head of the list of free places; 0 for none.
    free: u32,
    live: u32,
    pub(super) limit: Limit,
}

impl Count {
    pub(super) const EMPTY: Self = Self { free: 0, live: 0, limit: Limit::NONE };

    /// How many places are in use.
    pub(super) const fn live(&self) -> u32 {
        self.live
    }

    /// Whether `n` more may be in use.
    pub(super) fn has_room(&self, n: usize, capacity: usize) -> bool {
        self.limit.has_room(self.live, n, capacity)
    }

    /// The same, or else the most that may be.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(super) fn check_room(&self, n: usize, capacity: usize) -> Result<(), Full> {
        if self.has_room(n, capacity) { Ok(()) } else { Err(Full::Limit(self.limit.most(capacity))) }
    }

    /// The position of the place that is filled next, of which there were so many until now: the last that became free, or a new one.
    /// `None` where there is no room.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(super) fn vacant(&self, places: usize, capacity: usize) -> Option<NonZeroU32> {
        if !self.has_room(1, capacity) {
            return None;
        }
        NonZeroU32::new(if self.free == 0 { (places as u32).wrapping_add(1) } else { self.free })
    }

    /// The place that is next was filled; it had said which is free after it.
    pub(super) fn fill(&mut self, next: u32) {
        self.free = next;
        self.live = self.live.wrapping_add(1);
    }

    /// A place is free from now on: the one that is free after it.
    pub(super) fn release(&mut self, position: u32) -> u32 {
        self.live = self.live.wrapping_sub(1);
        core::mem::replace(&mut self.free, position)
    }
}

/// The same of a slab, with what its slots' stamps are made of.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Stamps {
    pub(super) count: Count,
    /// What slots that were never filled count on from: the newest generation before the last reset.
    pub(super) born: u32,
}

impl Stamps {
    pub(super) const EMPTY: Self = Self { count: Count::EMPTY, born: 0 };

    /// A slot is filled that was free, and said this: the stamp of what is in it from now on.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(super) fn fill<K: Key>(&mut self, index: u32, stamp: u32, next: u32) -> NonZeroU32 {
        self.count.fill(next);
        K::after(index, if stamp == 0 { self.born } else { stamp }).stamp()
    }
}
