//! The heap tier: vectors under the runtime [`Limits`](super::Limits).

use super::{Blank, Slots};
use alloc::vec::Vec;

/// A `Vec` that reports failure to allocate instead of aborting.
#[derive(Debug)]
pub struct Growable<T>(Vec<T>);

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

    fn clear_with(&mut self, _: impl FnMut(&mut T)) {
        *self = Self::EMPTY;
    }
}

/// The profile of the heap tier: everything grows, up to the store's [`Limits`](super::Limits).
#[derive(Debug)]
pub struct Heap;

super::profile::profile_impl!(Heap, Growable);
