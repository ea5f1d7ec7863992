//! One budget for the memory that guests cause to be allocated.
//!
//! | what | how it counts |
//! |---|---|
//! | linear memories | their bytes: wasmi zeroes them by hand, so they are committed when they grow |
//! | tables | 8 bytes an element |
//! | stacks of guests that run or are suspended | [`Config::max_stack_bytes`](crate::Config::max_stack_bytes) each, since wasmi does not say how much of one is in use |
//! | values on their way to the host and from it | the bytes of the host's memory |
//! | what the Component Model keeps | [`Store::heap_bytes`](canon_async::Store::heap_bytes) |
//!
//! Where that count is over the budget, a meter decides ([`Config::memory_meter`](crate::Config::memory_meter)), which on an operating system is
//! the process's resident memory: ten thousand suspended guests that each take a kilobyte are let in. A reading is good for
//! as many guests as could then take all that is left, so it is taken once for many.

use canon_async::{Error, Resource};
use wasmi::ResourceLimiter;
use wasmi::errors::{MemoryError, TableError};

use crate::state::State;

/// How many bytes of memory the program has in use.
pub type MemoryMeter = fn() -> usize;

/// The memory of this process that is resident; as much as there could be where the system does not say.
#[cfg(feature = "std")]
pub(crate) fn resident() -> usize {
    memory_stats::memory_stats().map_or(usize::MAX, |stats| stats.physical_mem)
}

/// What a table's element takes in wasmi.
const ELEMENT_BYTES: usize = 8;

/// What a store may take; see [`Config`](crate::Config).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of everything.
    pub total: usize,
    /// Bytes of all linear memories.
    pub memory: usize,
    /// Bytes of all stacks.
    pub stacks: usize,
    /// Bytes of one stack.
    pub stack: usize,
    pub table_elements: usize,
    pub meter: Option<MemoryMeter>,
}

/// What was taken for a growth that may still fail.
#[derive(Clone, Copy, Debug)]
enum Growth {
    None,
    Memory(usize),
    Table(usize),
}

/// What guests have taken.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    /// What the meter said when the store was made.
    base: usize,
    /// How many guests may run or be suspended before the meter is read again.
    credit: usize,
    memory_bytes: usize,
    table_elements: usize,
    /// Stacks of guests that run or are suspended.
    stacks: usize,
    growth: Growth,
    /// Which limit refused the growth that was asked for last.
    refusal: Resource,
    /// A `table.grow` found too little fuel: wasmi can't resume it.
    pub(crate) table_grow_starved: bool,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        let base = limits.meter.map_or(0, |meter| meter());
        Self {
            limits,
            base,
            credit: 0,
            memory_bytes: 0,
            table_elements: 0,
            stacks: 0,
            growth: Growth::None,
            refusal: Resource::GuestBytes,
            table_grow_starved: false,
        }
    }

    /// What is counted here. The rest is what the core and the host's memory have allocated.
    fn counted(&self) -> usize {
        let tables = self.table_elements.saturating_mul(ELEMENT_BYTES);
        self.memory_bytes.saturating_add(tables).saturating_add(self.stack_bytes(self.stacks))
    }

    fn stack_bytes(&self, stacks: usize) -> usize {
        stacks.saturating_mul(self.limits.stack)
    }

    /// What is left for the core and the host's memory. With a meter, that is what is not for stacks: those wait for it.
    pub(crate) fn left(&self) -> usize {
        let stacks = if self.limits.meter.is_some() { self.stack_bytes(self.stacks) } else { 0 };
        self.limits.total.saturating_sub(self.counted().saturating_sub(stacks))
    }

    fn metered_left(&self) -> usize {
        let Some(meter) = self.limits.meter else { return 0 };
        self.limits.total.saturating_sub(meter().saturating_sub(self.base))
    }

    /// Whether so many bytes more fit, where the core and the host's memory have `others`.
    fn fits(&self, others: usize, more: usize) -> bool {
        self.counted().saturating_add(others).saturating_add(more) <= self.limits.total
    }

    /// Whether one more guest may take all of a stack, by the meter.
    fn draw_credit(&mut self) -> bool {
        if self.credit == 0 {
            self.credit = self.metered_left().checked_div(self.limits.stack.max(1)).unwrap_or(0);
        }
        let drawn = self.credit > 0;
        self.credit = self.credit.saturating_sub(1);
        drawn
    }

    /// A guest gets a stack.
    ///
    /// # Errors
    /// `Capacity`; nothing was taken.
    pub(crate) fn take_stack(&mut self, others: usize) -> Result<(), Error> {
        self.admit(others, self.stacks.saturating_add(1))?;
        self.stacks = self.stacks.saturating_add(1);
        Ok(())
    }

    /// A guest is to be suspended: its stack may have grown since it began, which only the meter sees.
    ///
    /// # Errors
    /// `Capacity`.
    pub(crate) fn check_stack(&mut self, others: usize) -> Result<(), Error> {
        self.admit(others, self.stacks)
    }

    fn admit(&mut self, others: usize, stacks: usize) -> Result<(), Error> {
        let within = self.stack_bytes(stacks) <= self.limits.stacks;
        let more = self.stack_bytes(stacks.saturating_sub(self.stacks));
        // A total for stacks alone is by count.
        let admitted = within && (self.fits(others, more) || self.draw_credit());
        if admitted { Ok(()) } else { Err(Error::capacity(Resource::GuestStacks)) }
    }

    /// A guest's stack is free again.
    pub(crate) fn free_stack(&mut self) {
        self.stacks = self.stacks.saturating_sub(1);
    }

    /// Which limit refused the memory or table that was asked for last.
    pub(crate) fn refusal(&self) -> Resource {
        self.refusal
    }

    fn grows(&mut self, others: usize, more: usize) -> bool {
        if self.fits(others, more) {
            return true;
        }
        // What grows is not there for stacks.
        self.credit = 0;
        self.metered_left() >= more && self.fits_without_stacks(others, more)
    }

    fn fits_without_stacks(&self, others: usize, more: usize) -> bool {
        let counted = self.counted().saturating_sub(self.stack_bytes(self.stacks));
        counted.saturating_add(others).saturating_add(more) <= self.limits.total
    }

    fn grow_memory(&mut self, others: usize, more: usize) -> bool {
        let bytes = self.memory_bytes.saturating_add(more);
        let within = bytes <= self.limits.memory;
        self.refusal = if within { Resource::GuestBytes } else { Resource::LinearMemory };
        let fits = within && self.grows(others, more);
        self.growth = Growth::None;
        if fits {
            self.memory_bytes = bytes;
            self.growth = Growth::Memory(more);
        }
        fits
    }

    fn grow_table(&mut self, others: usize, more: usize) -> bool {
        let elements = self.table_elements.saturating_add(more);
        let within = elements <= self.limits.table_elements;
        self.refusal = if within { Resource::GuestBytes } else { Resource::TableElements };
        let fits = within && self.grows(others, more.saturating_mul(ELEMENT_BYTES));
        self.growth = Growth::None;
        if fits {
            self.table_elements = elements;
            self.growth = Growth::Table(more);
        }
        fits
    }

    /// The growth that was allowed last did not happen: what it took is free again.
    fn growth_failed(&mut self) {
        match core::mem::replace(&mut self.growth, Growth::None) {
            Growth::None => {}
            Growth::Memory(bytes) => self.memory_bytes = self.memory_bytes.saturating_sub(bytes),
            Growth::Table(elements) => self.table_elements = self.table_elements.saturating_sub(elements),
        }
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
        let grows = !above(desired, maximum) && self.budget.grow_memory(others, more);
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
        let grows = !above(desired, maximum) && self.budget.grow_table(others, more);
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

    const LIMITS: Limits =
        Limits { total: 1000, memory: 950, stacks: 600, stack: 100, table_elements: 50, meter: None };

    #[test]
    fn a_growth_that_fails_gives_back_what_it_took() {
        let mut budget = Budget::new(LIMITS);
        assert!(budget.grow_memory(0, 900));
        assert!(!budget.grow_memory(0, 51));
        // What was refused took nothing.
        budget.growth_failed();
        assert_eq!(budget.memory_bytes, 900);
        assert!(budget.grow_memory(0, 50));
        budget.growth_failed();
        assert_eq!(budget.memory_bytes, 900);
        assert!(budget.grow_table(0, 12));
        budget.growth_failed();
        budget.growth_failed();
        assert_eq!((budget.memory_bytes, budget.table_elements), (900, 0));
    }

    #[test]
    fn everything_counts_to_one_total_which_says_what_it_refused() {
        let mut budget = Budget::new(LIMITS);
        assert!(budget.grow_table(0, 50), "400 bytes");
        assert!(!budget.grow_table(0, 1));
        assert_eq!(budget.refusal(), Resource::TableElements);
        assert!(!budget.grow_memory(0, 951));
        assert_eq!(budget.refusal(), Resource::LinearMemory);
        budget.take_stack(100).unwrap();
        budget.take_stack(100).unwrap();
        assert!(!budget.grow_memory(100, 301));
        assert_eq!(budget.refusal(), Resource::GuestBytes);
        assert!(budget.grow_memory(100, 300));
        assert_eq!(budget.take_stack(100), Err(Error::capacity(Resource::GuestStacks)));
        assert_eq!(budget.left(), 100);
        budget.free_stack();
        budget.take_stack(100).unwrap();
    }

    #[test]
    fn stacks_have_a_total_of_their_own() {
        let mut budget = Budget::new(LIMITS);
        for _ in 0..6 {
            budget.take_stack(0).unwrap();
        }
        assert_eq!(budget.take_stack(0), Err(Error::capacity(Resource::GuestStacks)));
        assert_eq!(budget.stacks, 6);
    }

    #[test]
    fn a_meter_decides_where_the_count_is_over_the_budget() {
        let limits = Limits { meter: Some(|| 500), stacks: usize::MAX, ..LIMITS };
        let mut budget = Budget::new(limits);
        for _ in 0..100 {
            budget.take_stack(0).unwrap();
        }
        // As if 950 bytes had been allocated since.
        budget.base = 0;
        budget.limits.meter = Some(|| 950);
        assert!(!budget.grow_memory(0, 51));
        assert!(budget.grow_memory(0, 50));
        assert_eq!(
            budget.check_stack(0),
            Err(Error::capacity(Resource::GuestStacks)),
            "less than a stack is left"
        );
        budget.limits.meter = Some(|| 700);
        // A reading is good for three.
        budget.check_stack(0).unwrap();
        budget.limits.meter = Some(|| 1000);
        budget.check_stack(0).unwrap();
        budget.take_stack(0).unwrap();
        assert_eq!(budget.take_stack(0), Err(Error::capacity(Resource::GuestStacks)));
    }
}
