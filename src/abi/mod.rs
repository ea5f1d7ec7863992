//! Spec: the Canonical ABI of values: types, loading, storing, flattening, lifting and lowering.
//!
//! A value moves from guest to guest by its type, straight from memory (or flat values) to memory (or flat
//! values): [`transfer`]. There is no value in between, so nothing that a guest can size is allocated.

pub mod types;

mod copy;
mod hash;
mod layout;
mod memory;
mod strings;
mod transfer;

pub use copy::copy_in_chunks;
pub use memory::{check_range, load_int, reallocate, store_int};
pub(crate) use strings::{lift_message, lower_message};
pub use transfer::{Dest, Source, transfer, transfer_elements};

use crate::state::Options;
pub use crate::state::Scope;

/// `LiftLowerContext`: one side of a transfer.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// `opts`, with `inst`.
    pub options: Options,
    /// `borrow_scope`.
    pub scope: Scope,
}
