//! Spec: the Canonical ABI of values: types, loading, storing, flattening, lifting and lowering.
//!
//! A value moves from guest to guest by its type, straight from memory (or flat values) to memory (or flat
//! values): `transfer`. There is no value in between, so nothing that a guest can size is allocated.

pub mod types;

mod copy;
mod hash;
mod layout;
mod memory;
mod strings;
mod transfer;

pub use copy::copy_in_chunks;
#[doc(hidden)]
pub use transfer::{Dest, Source};

/// What the core itself calls: an error stays in the store.
pub(crate) mod raising {
    pub(crate) use super::memory::{check_range, load_int, reallocate, store_int};
    pub(crate) use super::strings::{fill_message, lift_message, lower_message, utf8};
    pub(crate) use super::transfer::{Moved, Walk, store_string_range, transfer, transfer_elements};
}

use crate::embedding::Embedding;
use crate::error::Error;
use crate::id::{MemoryRef, OptsId};
use crate::message::Misuse;
use crate::raise::{Raises, caught};
#[doc(hidden)]
pub use crate::state::Scope;
use types::ValType;

/// `LiftLowerContext`: one side of a transfer.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[doc(hidden)]
pub struct Context {
    /// `opts`, with `inst`.
    pub options: OptsId,
    /// `borrow_scope`.
    pub scope: Scope,
}

/// Lifts a value and lowers it: `load` or `lift_flat`, and `store` or `lower_flat`, in one walk.
///
/// Flat values are raw bits, those of 32 bits zero-extended; the upper half of a source's is ignored. Lowering
/// a variant sets the slots that its case does not use to 0. A value in memory has been checked as a whole by
/// [`check_range`].
///
/// Runs the destination's `realloc` for lists and strings. O(size of the value); recurses once for each level
/// of the type, at most [`MAX_TYPE_DEPTH`](crate::spec::MAX_TYPE_DEPTH) times; allocates nothing itself.
///
/// # Errors
/// The traps of lifting and lowering; `Capacity` where the destination can't hold a handle, which is then still
/// the source's; `Misuse` where a type is unknown, there are too few flat values, or an option or the borrow
/// scope that the type needs is missing. After an error a part of the value may have been moved.
#[doc(hidden)]
pub fn transfer<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    source: Source<'_>,
    to: &Context,
    dest: Dest<'_>,
    ty: ValType,
) -> Result<(), Error> {
    caught(e, |e| raising::transfer(e, from, source, to, dest, ty))
}

/// Transfers elements that lie one after the other on both sides: `load_list_from_valid_range` and
/// `store_list_into_valid_range`. The ranges have been checked by [`check_range`].
///
/// O(size of the elements). Where every bit pattern is a value and there is no padding it is one
/// [`Embedding::copy`].
///
/// # Errors
/// As for [`transfer`].
#[doc(hidden)]
pub fn transfer_elements<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    from_pointer: usize,
    to: &Context,
    to_pointer: usize,
    element: ValType,
    count: u32,
) -> Result<(), Error> {
    let mut moved = raising::Moved { count: 0, lost: false, ends: (from_pointer, to_pointer) };
    let sides = (from.options, to.options);
    caught(e, |e| raising::transfer_elements(e, sides, element, count, &mut moved))
}

/// Checks that a pointer is aligned and that what it points to lies in memory, also where `size` is 0. O(1).
///
/// `pointer` is what [`PtrType::word`](crate::spec::PtrType::word) makes of a guest's; `align` is a power of two.
///
/// # Errors
/// `Trap(Unaligned)` first, then `Trap(OutOfBounds)`; `Misuse` where the side has no memory.
#[doc(hidden)]
pub fn check_range<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    pointer: usize,
    align: u32,
    size: usize,
) -> Result<(), Error> {
    caught(e, |e| {
        let memory = memory_of(e, context)?;
        raising::check_range(e, memory, pointer, align, size)
    })
}

/// `load_int`: a little-endian integer of 1, 2, 4 or 8 bytes, zero-extended. Alignment is not checked. O(1).
///
/// # Errors
/// `Trap(OutOfBounds)`; `Misuse` where the side has no memory, or for another number of bytes.
#[doc(hidden)]
pub fn load_int<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    pointer: usize,
    bytes: u32,
) -> Result<u64, Error> {
    check_int(bytes)?;
    caught(e, |e| {
        let memory = memory_of(e, context)?;
        raising::load_int(e, memory, pointer, bytes)
    })
}

/// `store_int`: the low 1, 2, 4 or 8 bytes of an integer, little-endian. Alignment is not checked. O(1).
///
/// # Errors
/// `Trap(OutOfBounds)`, and nothing is written; `Misuse` where the side has no memory, or for another number of
/// bytes.
#[doc(hidden)]
pub fn store_int<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    pointer: usize,
    bytes: u32,
    value: u64,
) -> Result<(), Error> {
    check_int(bytes)?;
    caught(e, |e| {
        let memory = memory_of(e, context)?;
        raising::store_int(e, memory, pointer, bytes, value)
    })
}

/// The memory of one side, if it has one.
fn memory_of<E: Embedding + ?Sized>(e: &mut E, context: &Context) -> Raises<Option<MemoryRef>> {
    Ok(e.store().options_of(context.options)?.memory)
}

fn check_int(bytes: u32) -> Result<(), Misuse> {
    if matches!(bytes, 1 | 2 | 4 | 8) { Ok(()) } else { Err(Misuse::IntegerSize) }
}

/// `reallocate` (and `allocate`, with 0 for `old` and `old_size`): calls the instance's `realloc` with
/// `may_leave` false and checks what it answers, also where `new_size` is 0. Pointers and sizes are as wide as the
/// memory's addresses.
///
/// Runs guest code: memory has to be fetched again afterwards.
///
/// # Errors
/// `Trap(ReallocUnaligned)` first, then `Trap(ReallocOutOfBounds)`; what the guest trapped with; `Misuse` where
/// the options have no memory or no `realloc`.
#[doc(hidden)]
pub fn reallocate<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    old: usize,
    old_size: u32,
    align: u32,
    new_size: u32,
) -> Result<usize, Error> {
    caught(e, |e| raising::reallocate(e, context.options, old, old_size, align, new_size))
}
