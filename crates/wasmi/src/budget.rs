//! One budget for the memory that guests cause to be allocated.
//!
//! | what | how it counts |
//! |---|---|
//! | linear memories | their bytes: wasmi zeroes them by hand, so they are committed when they grow |
//! | tables | 8 bytes an element |
//! | stacks of guests that run or are suspended | the most that each may get, since wasmi does not say how much is in use |
//! | values on their way to the host and from it | the bytes of the host's memory |
//! | what the Component Model keeps | [`Store::heap_bytes`](canon_async::Store::heap_bytes) |
//!
//! Memories, tables and stacks also count to their root component, which gets a part of the whole: a component that takes
//! all that it can leaves its neighbours theirs.
//!
//! If stacks are over the budget by that count, a meter decides ([`Config::memory_meter`](crate::Config::memory_meter)), which on an
//! operating system is the process's resident memory: ten thousand suspended guests that each take a kilobyte are let in.
//! A reading is good for as many guests as could then take all that is left, so it is taken once for many. A root that is
//! within its part by count is let in as long as the whole has room; one that is not, as long as its part would have.

use alloc::vec::Vec;

use canon_async::id::InstanceId;
use canon_async::{Error, Resource};
use wasmi::ResourceLimiter;
use wasmi::errors::{MemoryError, TableError};

use crate::state::State;

/// How many bytes of memory the program has in use; `None` if the system does not say.
pub type MemoryMeter = fn() -> Option<usize>;

/// The memory of this process that is resident.
#[cfg(feature = "std")]
pub(crate) fn resident() -> Option<usize> {
    memory_stats::memory_stats().map(|stats| stats.physical_mem)
}

/// What a table's element takes in wasmi.
const ELEMENT_BYTES: usize = 8;

/// What a store may take; see [`Config`](crate::Config).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of everything.
    pub total: usize,
    /// Bytes of one root component.
    pub root: usize,
    /// Bytes of all linear memories.
    pub memory: usize,
    /// Bytes of all stacks.
    pub stacks: usize,
    /// Bytes of one stack.
    pub stack: usize,
    /// Stacks that are not in use and kept by the engine, at most.
    pub cached: usize,
    pub table_elements: usize,
    pub meter: Option<MemoryMeter>,
}

/// What was taken for a growth that may still fail.
#[derive(Clone, Copy, Debug)]
enum Growth {
    None,
    Memory(Payer, usize),
    Table(Payer, usize),
}

/// The root component that something counts to; `None` for the host.
pub(crate) type Payer = Option<InstanceId>;

/// What one root has taken.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// Of memories and tables.
    bytes: usize,
    stacks: usize,
}

/// What guests have taken.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    /// What the meter said when the store was made.
    base: Option<usize>,
    /// How many stacks roots that are over their part may still get before the meter is read again.
    credit: usize,
    /// What was left when the meter was read last.
    seen_left: usize,
    memory_bytes: usize,
    table_elements: usize,
    /// Stacks of guests that run or are suspended.
    stacks: usize,
    /// The most that there ever were at once: of those the engine keeps some.
    most_stacks: usize,
    /// Of core instances.
    instance_bytes: usize,
    /// By the root's index.
    shares: Vec<Share>,
    growth: Growth,
    /// Which limit refused the growth that was asked for last.
    refusal: Resource,
    /// A `table.grow` found too little fuel: wasmi can't resume it.
    pub(crate) table_grow_starved: bool,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        let base = limits.meter.and_then(|meter| meter());
        Self {
            limits,
            base,
            credit: 0,
            seen_left: usize::MAX,
            memory_bytes: 0,
            table_elements: 0,
            stacks: 0,
            most_stacks: 0,
            instance_bytes: 0,
            shares: Vec::new(),
            growth: Growth::None,
            refusal: Resource::GuestBytes,
            table_grow_starved: false,
        }
    }

    /// What is counted here. The rest is what the core and the host's memory have allocated.
    fn counted(&self) -> usize {
        let kept = self.most_stacks.min(self.limits.cached);
        self.counted_without_stacks().saturating_add(self.stack_bytes(self.stacks.max(kept)))
    }

    fn counted_without_stacks(&self) -> usize {
        let tables = self.table_elements.saturating_mul(ELEMENT_BYTES);
        self.memory_bytes.saturating_add(tables).saturating_add(self.instance_bytes)
    }

    fn stack_bytes(&self, stacks: usize) -> usize {
        stacks.saturating_mul(self.limits.stack)
    }

    fn share(&self, payer: Payer) -> Share {
        payer.and_then(|root| self.shares.get(root.index())).copied().unwrap_or_default()
    }

    fn change(&mut self, payer: Payer, change: impl FnOnce(&mut Share)) {
        let Some(root) = payer else { return };
        match self.shares.get_mut(root.index()) {
            Some(share) => change(share),
            None => {
                let mut share = Share::default();
                change(&mut share);
                self.shares.resize(root.index(), Share::default());
                self.shares.push(share);
            }
        }
    }

    /// What is left for the core and the host's memory.
    pub(crate) fn left(&self) -> usize {
        let counted =
            if self.limits.meter.is_some() { self.counted_without_stacks() } else { self.counted() };
        self.limits.total.saturating_sub(counted).min(self.seen_left)
    }

    /// Whether stacks take from what [`Budget::left`] says.
    pub(crate) fn counts_stacks(&self) -> bool {
        self.limits.meter.is_none() || self.seen_left != usize::MAX
    }

    /// How many of `most` bytes are left by the meter; none without one.
    fn metered_left(&mut self, most: usize) -> usize {
        let now = self.limits.meter.and_then(|meter| meter());
        let (Some(now), Some(base)) = (now, self.base) else { return 0 };
        let used = now.saturating_sub(base);
        self.seen_left = self.limits.total.saturating_sub(used);
        most.saturating_sub(used)
    }

    /// Whether so many bytes more fit, where the core and the host's memory have `others`.
    fn fits(&mut self, others: usize, more: usize) -> bool {
        let fits = self.counted().saturating_add(others).saturating_add(more) <= self.limits.total;
        if fits {
            self.seen_left = usize::MAX;
        }
        fits
    }

    /// A guest gets a stack, which counts to `payer`.
    ///
    /// # Errors
    /// `Capacity`; nothing was taken.
    pub(crate) fn take_stack(&mut self, payer: Payer, others: usize) -> Result<(), Error> {
        self.admit(payer, others, 1)?;
        self.stacks = self.stacks.saturating_add(1);
        self.most_stacks = self.most_stacks.max(self.stacks);
        self.change(payer, |share| share.stacks = share.stacks.saturating_add(1));
        Ok(())
    }

    /// A core instance takes so many bytes for as long as there is the store.
    ///
    /// # Errors
    /// `Capacity`; nothing was taken.
    pub(crate) fn take_bytes(&mut self, payer: Payer, others: usize, bytes: usize) -> Result<(), Error> {
        if !self.grows(payer, others, bytes) {
            return Err(Error::capacity(Resource::GuestBytes));
        }
        self.instance_bytes = self.instance_bytes.saturating_add(bytes);
        self.change(payer, |share| share.bytes = share.bytes.saturating_add(bytes));
        Ok(())
    }

    /// Whether `new` stacks more may be there. With 0, of a guest that is to be suspended: its stack may have grown since
    /// it began, which only the meter sees.
    ///
    /// # Errors
    /// `Capacity`.
    pub(crate) fn admit(&mut self, payer: Payer, others: usize, new: usize) -> Result<(), Error> {
        const REFUSED: Error = Error::capacity(Resource::GuestStacks);
        // A total for stacks alone is by count.
        if self.stack_bytes(self.stacks.saturating_add(new)) > self.limits.stacks {
            return Err(REFUSED);
        }
        let share = self.share(payer);
        let own = share.bytes.saturating_add(self.stack_bytes(share.stacks.saturating_add(new)));
        let within = payer.is_none() || own <= self.limits.root;
        let kept = self.most_stacks.min(self.limits.cached);
        let more = self.stack_bytes(self.stacks.saturating_add(new).saturating_sub(self.stacks.max(kept)));
        if within && self.fits(others, more) {
            return Ok(());
        }
        let stack = self.limits.stack.max(1);
        if within {
            let left = self.metered_left(self.limits.total);
            return if left >= stack { Ok(()) } else { Err(REFUSED) };
        }
        if self.credit == 0 {
            self.credit = self.metered_left(self.limits.root).checked_div(stack).unwrap_or(0);
        }
        self.credit = self.credit.checked_sub(1).ok_or(REFUSED)?;
        Ok(())
    }

    /// A guest's stack is free again.
    pub(crate) fn free_stack(&mut self, payer: Payer) {
        self.stacks = self.stacks.saturating_sub(1);
        self.change(payer, |share| share.stacks = share.stacks.saturating_sub(1));
    }

    /// Which limit refused the memory or table that was asked for last.
    pub(crate) fn refusal(&self) -> Resource {
        self.refusal
    }

    /// Whether memories and tables may grow by so many bytes.
    fn grows(&mut self, payer: Payer, others: usize, more: usize) -> bool {
        let share = self.share(payer);
        let stacks = if self.limits.meter.is_none() { self.stack_bytes(share.stacks) } else { 0 };
        let own = share.bytes.saturating_add(stacks).saturating_add(more);
        if payer.is_some() && own > self.limits.root {
            return false;
        }
        // What grows is not there for stacks.
        self.credit = 0;
        if self.fits(others, more) {
            return true;
        }
        let counted = self.counted_without_stacks().saturating_add(others).saturating_add(more);
        counted <= self.limits.total && self.metered_left(self.limits.total) >= more
    }

    fn grow_memory(&mut self, payer: Payer, others: usize, more: usize) -> bool {
        let bytes = self.memory_bytes.saturating_add(more);
        let within = bytes <= self.limits.memory;
        self.refusal = if within { Resource::GuestBytes } else { Resource::LinearMemory };
        let grows = within && self.grows(payer, others, more);
        self.growth = Growth::None;
        if grows {
            self.memory_bytes = bytes;
            self.change(payer, |share| share.bytes = share.bytes.saturating_add(more));
            self.growth = Growth::Memory(payer, more);
        }
        grows
    }

    fn grow_table(&mut self, payer: Payer, others: usize, more: usize) -> bool {
        let elements = self.table_elements.saturating_add(more);
        let bytes = more.saturating_mul(ELEMENT_BYTES);
        let within = elements <= self.limits.table_elements;
        self.refusal = if within { Resource::GuestBytes } else { Resource::TableElements };
        let grows = within && self.grows(payer, others, bytes);
        self.growth = Growth::None;
        if grows {
            self.table_elements = elements;
            self.change(payer, |share| share.bytes = share.bytes.saturating_add(bytes));
            self.growth = Growth::Table(payer, more);
        }
        grows
    }

    /// The growth that was allowed last did not happen: what it took is free again.
    fn growth_failed(&mut self) {
        let (payer, bytes) = match core::mem::replace(&mut self.growth, Growth::None) {
            Growth::None => return,
            Growth::Memory(payer, bytes) => {
                self.memory_bytes = self.memory_bytes.saturating_sub(bytes);
                (payer, bytes)
            }
            Growth::Table(payer, elements) => {
                self.table_elements = self.table_elements.saturating_sub(elements);
                (payer, elements.saturating_mul(ELEMENT_BYTES))
            }
        };
        self.change(payer, |share| share.bytes = share.bytes.saturating_sub(bytes));
    }
}

type LimiterResult<T> = Result<T, wasmi_core::LimiterError>;

fn above(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_some_and(|maximum| desired > maximum)
}

impl<T> ResourceLimiter for State<T> {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> LimiterResult<bool> {
        let others = self.other_bytes();
        let more = desired.saturating_sub(current);
        let grows = !above(desired, maximum) && self.budget.grow_memory(self.grower(), others, more);
        self.settle();
        Ok(grows)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> LimiterResult<bool> {
        let others = self.other_bytes();
        let more = desired.saturating_sub(current);
        let grows = !above(desired, maximum) && self.budget.grow_table(self.grower(), others, more);
        self.settle();
        Ok(grows)
    }

    fn memory_grow_failed(&mut self, _: &MemoryError) -> LimiterResult<()> {
        self.budget.growth_failed();
        self.settle();
        Ok(())
    }

    fn table_grow_failed(&mut self, error: &TableError) -> LimiterResult<()> {
        self.budget.table_grow_starved |= matches!(error, TableError::OutOfFuel { .. });
        self.budget.growth_failed();
        self.settle();
        Ok(())
    }

    fn instances(&self) -> usize {
        usize::MAX
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        total: 1000,
        root: 800,
        memory: 950,
        stacks: usize::MAX,
        stack: 100,
        cached: 0,
        table_elements: 50,
        meter: None,
    };
    const REFUSED: Result<(), Error> = Err(Error::capacity(Resource::GuestStacks));
    const A: Payer = Some(InstanceId::from_index(1));
    const B: Payer = Some(InstanceId::from_index(2));

    #[test]
    fn a_growth_that_fails_releases_what_it_took() {
        let mut budget = Budget::new(Limits { root: 1000, ..LIMITS });
        assert!(budget.grow_memory(A, 0, 900));
        assert!(!budget.grow_memory(A, 0, 51));
        // What was refused took nothing.
        budget.growth_failed();
        assert_eq!(budget.memory_bytes, 900);
        assert!(budget.grow_memory(A, 0, 50));
        budget.growth_failed();
        assert!(budget.grow_table(A, 0, 12));
        budget.growth_failed();
        budget.growth_failed();
        assert_eq!((budget.memory_bytes, budget.table_elements, budget.share(A).bytes), (900, 0, 900));
    }

    #[test]
    fn everything_counts_to_one_total_which_says_what_it_refused() {
        let mut budget = Budget::new(LIMITS);
        assert!(budget.grow_table(A, 0, 50), "400 bytes");
        assert!(!budget.grow_table(B, 0, 1));
        assert_eq!(budget.refusal(), Resource::TableElements);
        assert!(!budget.grow_memory(B, 0, 951));
        assert_eq!(budget.refusal(), Resource::LinearMemory);
        budget.take_stack(A, 100).unwrap();
        budget.take_stack(B, 100).unwrap();
        assert!(!budget.grow_memory(B, 100, 301));
        assert_eq!(budget.refusal(), Resource::GuestBytes);
        assert!(budget.grow_memory(B, 100, 300));
        assert_eq!(budget.take_stack(B, 100), REFUSED);
        assert_eq!(budget.left(), 100);
        budget.free_stack(A);
        budget.take_stack(B, 100).unwrap();
    }

    #[test]
    fn a_root_that_takes_its_part_leaves_the_others_theirs() {
        let mut budget = Budget::new(LIMITS);
        assert!(budget.grow_memory(A, 0, 500));
        assert!(!budget.grow_memory(A, 0, 301));
        for _ in 0..3 {
            budget.take_stack(A, 0).unwrap();
        }
        assert_eq!(budget.take_stack(A, 0), REFUSED);
        budget.take_stack(B, 0).unwrap();
        budget.take_stack(B, 0).unwrap();
        assert_eq!(budget.take_stack(B, 0), REFUSED, "the total");
    }

    #[test]
    fn stacks_that_the_engine_keeps_count_on() {
        let mut budget = Budget::new(Limits { cached: 2, root: 1000, ..LIMITS });
        for _ in 0..5 {
            budget.take_stack(A, 0).unwrap();
        }
        (0..5).for_each(|_| budget.free_stack(A));
        assert!(!budget.grow_memory(A, 0, 801));
        assert!(budget.grow_memory(A, 0, 800));
        // They are what the next ones get.
        budget.take_stack(A, 0).unwrap();
        budget.take_stack(A, 0).unwrap();
        assert_eq!(budget.take_stack(A, 0), REFUSED);
    }

    #[test]
    fn stacks_have_a_total_of_their_own() {
        let mut budget = Budget::new(Limits { stacks: 600, ..LIMITS });
        for _ in 0..6 {
            budget.take_stack(None, 0).unwrap();
        }
        assert_eq!(budget.take_stack(None, 0), REFUSED);
        assert_eq!(budget.stacks, 6);
    }

    #[test]
    fn a_meter_decides_where_the_count_is_over_the_budget() {
        let mut budget = Budget::new(Limits { meter: Some(|| Some(500)), ..LIMITS });
        for _ in 0..100 {
            budget.take_stack(A, 0).unwrap();
        }
        // As if 950 bytes had been allocated since.
        budget.base = Some(0);
        budget.limits.meter = Some(|| Some(950));
        budget.credit = 0;
        assert_eq!(budget.take_stack(A, 0), REFUSED, "its part has no more");
        assert_eq!(budget.take_stack(B, 0), REFUSED, "there is less than a stack");
        assert!(!budget.grow_memory(B, 0, 51));
        assert!(budget.grow_memory(B, 0, 50));
        budget.limits.meter = Some(|| Some(850));
        assert_eq!(budget.take_stack(A, 0), REFUSED);
        budget.take_stack(B, 0).unwrap();
        assert_eq!(budget.left(), 150);
        // A reading is good for three.
        budget.limits.meter = Some(|| Some(500));
        budget.take_stack(A, 0).unwrap();
        budget.limits.meter = Some(|| Some(1000));
        budget.admit(A, 0, 0).unwrap();
        budget.take_stack(A, 0).unwrap();
        assert_eq!(budget.take_stack(A, 0), REFUSED);
    }

    #[test]
    fn a_meter_that_does_not_know_lets_nothing_in() {
        let mut budget = Budget::new(Limits { meter: Some(|| None), ..LIMITS });
        for _ in 0..8 {
            budget.take_stack(A, 0).unwrap();
        }
        assert_eq!(budget.take_stack(A, 0), REFUSED);
    }
}
