//! What the tables of a store allocate, counted against a limit.

/// The bytes that a store's tables have allocated, and the most that they may. Zeros are none, and no limit.
///
/// On a bounded tier tables lie in place: nothing is counted, and without the feature `alloc` it takes no
/// room.
#[derive(Debug, Default)]
pub struct HeapBudget {
    #[cfg(feature = "alloc")]
    used: usize,
    /// The limit's complement.
    #[cfg(feature = "alloc")]
    limit: usize,
}

impl HeapBudget {
    /// Nothing allocated, and no limit.
    pub const EMPTY: Self = Self {
        #[cfg(feature = "alloc")]
        used: 0,
        #[cfg(feature = "alloc")]
        limit: 0,
    };

    /// The bytes that are allocated.
    pub const fn used(&self) -> usize {
        #[cfg(feature = "alloc")]
        return self.used;
        #[cfg(not(feature = "alloc"))]
        0
    }

    /// The most bytes that there may be; `usize::MAX` where there is no limit.
    pub const fn limit(&self) -> usize {
        #[cfg(feature = "alloc")]
        return !self.limit;
        #[cfg(not(feature = "alloc"))]
        usize::MAX
    }

    /// Sets the most bytes that there may be. What is allocated already stays, and counts.
    pub const fn set_limit(&mut self, limit: usize) {
        #[cfg(feature = "alloc")]
        {
            self.limit = !limit;
        }
        #[cfg(not(feature = "alloc"))]
        let _ = limit;
    }

    /// Whether so many more bytes may be allocated.
    #[cfg(feature = "alloc")]
    pub(super) fn allows(&self, bytes: usize) -> bool {
        self.used.checked_add(bytes).is_some_and(|sum| sum <= self.limit())
    }

    /// So many bytes more are allocated.
    #[cfg(feature = "alloc")]
    pub(super) fn add(&mut self, bytes: usize) {
        self.used = self.used.saturating_add(bytes);
    }
}

/// Why a table has no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// Its limit, or its capacity, is reached, which is this.
    Limit(usize),
    /// It would have to grow past the store's [`HeapBudget`], or past what the allocator has.
    Heap,
}
