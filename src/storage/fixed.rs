//! The bounded tier: an array and how much of it is in use.

use super::{Blank, Slots};

/// Up to `N` elements in place.
#[derive(Debug)]
#[repr(C)]
pub struct Fixed<T, const N: usize> {
    len: usize,
    items: [T; N],
}

impl<T: Blank, const N: usize> Slots<T> for Fixed<T, N> {
    const EMPTY: Self = Self { items: [const { T::BLANK }; N], len: 0 };
    const CAPACITY: usize = N;

    fn as_slice(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or(&[])
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        self.items.get_mut(..self.len).unwrap_or(&mut [])
    }

    fn place(&self, index: usize) -> Option<&T> {
        self.items.get(index)
    }

    fn place_mut(&mut self, index: usize) -> Option<&mut T> {
        self.items.get_mut(index)
    }

    fn len(&self) -> usize {
        self.len
    }

    fn reach(&mut self, index: usize) -> Option<&mut T> {
        let place = self.items.get_mut(index)?;
        self.len = self.len.max(index.wrapping_add(1));
        Some(place)
    }

    fn grow(&mut self) -> bool {
        let room = self.len < N;
        if room {
            self.len = self.len.saturating_add(1);
        }
        room
    }

    fn clear_with(&mut self, forget: impl FnMut(&mut T)) {
        self.as_mut_slice().iter_mut().for_each(forget);
        self.len = 0;
    }
}
