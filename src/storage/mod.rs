//! Storage: the only place that knows what the store's tables are made of.
//!
//! Everything above is written over [`Slab`], [`List`] and [`Table`], which are written over one trait,
//! [`Slots`]: a sequence that grows by one blank element until it is full. On the heap tier that is a `Vec`,
//! on the bounded tier an array ([`Fixed`]).

pub(crate) mod cell;
mod count;
mod fixed;
#[cfg(feature = "alloc")]
mod heap;
mod heap_budget;
mod key;
mod list;
mod profile;
mod slab;
mod table;
mod unique;

pub use fixed::Fixed;
#[cfg(feature = "alloc")]
pub use heap::{Growable, Heap};
pub(crate) use heap_budget::Full;
pub use heap_budget::HeapBudget;
pub use key::{Key, Narrow, Wide};
pub use list::{Link, List, Node};
pub use profile::{Capacities, Limits, Profile};
pub use slab::{Slab, Slot};
pub use table::{Entry, Table};
pub use unique::{Hashed, Unique};

/// A value that stands for "nothing here yet", so that arrays of it can be made in a `const`.
pub trait Blank {
    /// The blank.
    const BLANK: Self;
}

impl Blank for u8 {
    const BLANK: Self = 0;
}

impl Blank for u32 {
    const BLANK: Self = 0;
}

/// The most elements that a table may have at run time, whatever its storage has room for; kept as its complement, so that a table
/// without a limit is zeros.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limit(u32);

impl Limit {
    /// None beyond the storage's capacity.
    pub const NONE: Self = Self::new(u32::MAX);

    /// At most so many; 0 is none at all.
    pub const fn new(most: u32) -> Self {
        Self(!most)
    }

    /// Whether `more` fit beside those in use, in storage of this capacity. Never inlined: it is asked everywhere.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) const fn has_room(self, used: u32, more: usize, capacity: usize) -> bool {
        self.allows((used as usize).saturating_add(more), capacity)
    }

    /// The most that there may be, in storage of this capacity.
    pub(crate) const fn most(self, capacity: usize) -> usize {
        let most = !self.0 as usize;
        if most < capacity { most } else { capacity }
    }

    /// Whether there may be so many, in storage of this capacity.
    pub(crate) const fn allows(self, count: usize, capacity: usize) -> bool {
        count <= capacity && count <= !self.0 as usize
    }
}

/// A sequence of elements that grows at its end, up to a capacity.
pub trait Slots<T: Blank> {
    /// No elements.
    const EMPTY: Self;
    /// The most elements it can ever hold.
    const CAPACITY: usize;
    /// The elements there are.
    fn as_slice(&self) -> &[T];
    /// The same, to change.
    fn as_mut_slice(&mut self) -> &mut [T];
    /// The place at an index, which may be blank where [`Slots::grow`] has not come that far: for elements that say themselves
    /// whether there is anything.
    fn place(&self, index: usize) -> Option<&T> {
        self.as_slice().get(index)
    }
    /// The same, to change.
    fn place_mut(&mut self, index: usize) -> Option<&mut T> {
        self.as_mut_slice().get_mut(index)
    }
    /// How many elements there are.
    fn len(&self) -> usize {
        self.as_slice().len()
    }
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The place at an index, to change, which is added where it is the next; `None` where there is no room.
    fn reach(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.len() && !self.grow() {
            return None;
        }
        self.place_mut(index)
    }
    /// Adds one blank element; `false` where there is no room. Amortised O(1); allocates on the heap tier.
    #[must_use]
    fn grow(&mut self) -> bool;
    /// Allocates what `more` elements take, so that [`Slots::grow`] does not; `false`, and nothing is changed, where that is
    /// more than the budget allows or the allocator has. Amortised O(1). Storage in place has its room already.
    #[must_use]
    fn reserve(&mut self, more: usize, budget: &mut HeapBudget) -> bool {
        let _ = (more, budget);
        true
    }
    /// The most elements it can ever hold.
    fn capacity(&self) -> usize {
        Self::CAPACITY
    }
    /// The bytes that it has allocated, elements or not.
    fn allocated(&self) -> usize {
        0
    }
    /// Forgets the elements where they lie, one by one: nothing as large as the storage is ever on the stack. What lies in place
    /// becomes what `forget` makes of it, and is that again where the storage grows; the rest is given back. O(elements).
    fn clear_with(&mut self, forget: impl FnMut(&mut T));
    /// The same; what lies in place becomes blank.
    fn clear(&mut self) {
        self.clear_with(|element| *element = T::BLANK);
    }
}
