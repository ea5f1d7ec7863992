//! The limits of a translation, and the error that names the one that was met.

use super::TranslateError;
use crate::plan::{MAX_CORE_FUNCTIONS, MAX_CORE_ITEMS, MAX_CORE_LOCALS, MAX_CORE_OPERANDS};

/// Limits of a plan, and of the work that it takes to make one. A component is small where its plan is not:
/// thirty components that each instantiate the one before twice make 2^30 instances. A scan that is linear in
/// the bytes holds a component to these limits before it is validated, since the validator copies the exports
/// of a component for each of its instances, and walks a type once for each place that names it.
///
/// The defaults fit components of tens of megabytes. Bytes alone are no reason to refuse a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanLimits {
    /// How deep components, instances and types may nest.
    pub nesting: u32,
    /// Component instances, and core instances, those of nested components included.
    pub instances: u32,
    /// Core modules.
    pub modules: u32,
    /// Value types, function types and resource types, each.
    pub types: u32,
    /// Steps: lifts, options, built-ins and core instances.
    pub steps: u32,
    /// Items: definitions, imports and exports, and each copy of them that an instance causes. A name of 32
    /// bytes or more counts for more than one. The validator takes about 250 bytes for an item.
    pub items: u32,
    /// The sum of the sizes of types, each counted wherever a definition refers to it. A type's size is the
    /// number of types, fields and names that it expands to: `(tuple u8 u8)` has 3.
    pub type_size: u32,
    /// Functions that all core modules together define. The validator and the engine take about 200 bytes for
    /// each. A plan has [`MAX_CORE_FUNCTIONS`] at most.
    pub core_functions: u32,
    /// Imports, functions, globals, exports and bytes of element segments of core modules, counted for each
    /// instance. An engine takes about 60 bytes for each. A plan has [`MAX_CORE_ITEMS`] at most.
    pub core_items: u32,
    /// Locals that the functions of all core modules together declare. A few bytes of code declare 50,000. A
    /// plan has [`MAX_CORE_LOCALS`] at most.
    pub core_locals: u32,
    /// Parameters and results of calls, blocks, branches and functions of core code beyond four of each, summed
    /// up; each target of a `br_table` is a branch. The engine takes about 40 bytes for each. A plan has
    /// [`MAX_CORE_OPERANDS`] at most, where it is read with the feature `translate`.
    pub core_operands: u32,
}

impl Default for PlanLimits {
    fn default() -> Self {
        Self {
            nesting: 100,
            instances: 10_000,
            modules: 1_000,
            types: 100_000,
            steps: 100_000,
            items: 1_000_000,
            type_size: 20_000_000,
            core_functions: MAX_CORE_FUNCTIONS,
            core_items: MAX_CORE_ITEMS,
            core_locals: MAX_CORE_LOCALS,
            core_operands: MAX_CORE_OPERANDS,
        }
    }
}

/// What [`PlanLimits::core_items`] counts, in messages.
pub(super) const CORE_ITEMS: &str = "imports, functions, globals, exports and elements of core instances";

/// One of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// Its field, as messages name it.
    pub field: &'static str,
    pub value: u32,
}

impl Limit {
    /// A limit that no option raises.
    pub const fn fixed(value: u32) -> Self {
        Self { field: "fixed", value }
    }

    /// Checks a number against the limit.
    pub fn check(self, what: &'static str, found: u64, offset: Option<u64>) -> Result<(), TranslateError> {
        match found > u64::from(self.value) {
            true => {
                let Self { field, value } = self;
                Err(TranslateError::TooLarge { what, found, limit: value, field, offset })
            }
            false => Ok(()),
        }
    }
}

/// Methods that return a field as a [`Limit`].
macro_rules! limits {
    ($($field:ident)*) => {
        impl PlanLimits {
            $(pub(super) const fn $field(&self) -> Limit {
                Limit { field: concat!("PlanLimits::", stringify!($field)), value: self.$field }
            })*
        }
    };
}

limits!(
    nesting instances modules types steps items type_size core_functions core_items core_locals core_operands
);
