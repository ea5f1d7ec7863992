//! Values on their way from one instance to another: loading, storing, flat lifting and lowering, strings in
//! every pair of encodings, and what `realloc` is asked on the way.

#![cfg(feature = "alloc")]

mod aggregates;
mod charges;
mod lists;
mod memory;
mod scalars;
mod strings;
mod text;

use canon_async::{Error, Trap};

fn trap<T>(trap: Trap) -> Result<T, Error> {
    Err(Error::Trap(trap))
}
