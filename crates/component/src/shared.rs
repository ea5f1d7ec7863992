//! A counted pointer to what never changes: atomic where the target can.

#[cfg(not(target_has_atomic = "ptr"))]
pub use alloc::rc::Rc as Shared;
#[cfg(target_has_atomic = "ptr")]
pub use alloc::sync::Arc as Shared;

use alloc::vec::Vec;

use canon_async::id::ResourceId;

use crate::layout::{Layouts, TypeError};
use crate::types::TypeTable;

/// The types of a linked plan, shared by its functions and by the host functions that it imports.
#[derive(Clone, Debug, Default)]
pub struct LinkedTypes {
    /// The types.
    pub table: TypeTable,
    /// Their layouts.
    pub layouts: Layouts,
    /// The table's resources, as the store numbers them; none where the types are of no linked plan.
    pub resources: Vec<ResourceId>,
}

impl LinkedTypes {
    /// Works out the layouts.
    ///
    /// # Errors
    /// A type that is none.
    pub fn new(table: TypeTable) -> Result<Self, TypeError> {
        Ok(Self { layouts: Layouts::new(&table)?, table, resources: Vec::new() })
    }
}
