//! The heap tier: vectors under the runtime [`Limits`](super::Limits).

use super::{Blank, HeapBudget, Slots};
use alloc::vec::Vec;

/// A `Vec` that reports failure to allocate instead of aborting.
#[derive(Debug)]
pub struct Growable<T>(Vec<T>);

/// The elements that the first allocation of a table has room for.
const FIRST: usize = 4;

impl<T> Growable<T> {
    /// Allocates room for `to` elements in all, where the budget allows it.
    fn grow_to(&mut self, to: usize, budget: &mut HeapBudget) -> bool {
        let (old, len) = (self.0.capacity(), self.0.len());
        let bytes = |elements: usize| elements.saturating_sub(old).saturating_mul(size_of::<T>());
        let grown = budget.allows(bytes(to)) && self.0.try_reserve_exact(to.saturating_sub(len)).is_ok();
        if grown {
            budget.add(bytes(self.0.capacity()));
        }
        grown
    }
}

impl<T: Blank> Slots<T> for Growable<T> {
    const EMPTY: Self = Self(Vec::new());
    const CAPACITY: usize = u32::MAX as usize;

    fn as_slice(&self) -> &[T] {
        &self.0
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.0
    }

    fn grow(&mut self) -> bool {
        if self.0.try_reserve(1).is_err() {
            return false;
        }
        self.0.push(T::BLANK);
        true
    }

    /// Doubles the room; where the budget does not allow that, takes what is needed and no more.
    fn reserve(&mut self, more: usize, budget: &mut HeapBudget) -> bool {
        let needed = self.0.len().saturating_add(more);
        if needed <= self.0.capacity() {
            return true;
        }
        let doubled = self.0.capacity().saturating_mul(2).max(needed).max(FIRST);
        self.grow_to(doubled, budget) || self.grow_to(needed, budget)
    }

    fn allocated(&self) -> usize {
        self.0.capacity().saturating_mul(size_of::<T>())
    }

    fn clear_with(&mut self, _: impl FnMut(&mut T)) {
        *self = Self::EMPTY;
    }
}

/// The profile of the heap tier: everything grows, up to the store's [`Limits`](super::Limits).
#[derive(Debug)]
pub struct Heap;

super::profile::profile_impl!(Heap, Growable);
