//! Spec: Loading and Storing (`load_int`, `store_int`), Lifting and Lowering Context (`reallocate`).

use super::Context;
use crate::embedding::Embedding;
use crate::error::{Error, Trap};
use crate::id::MemoryRef;
use crate::store::Current;

/// The memory of one side.
pub(super) fn memory_of(context: &Context) -> Result<MemoryRef, Error> {
    context.options.memory.ok_or(Error::Misuse("a value in memory needs the option `memory`"))
}

/// Checks that a pointer is aligned and that what it points to lies in memory, also where `size` is 0. O(1).
///
/// `pointer` is what [`PtrType::word`](crate::spec::PtrType::word) makes of a guest's; `align` is a power of two.
///
/// # Errors
/// `Trap(Unaligned)` first, then `Trap(OutOfBounds)`; `Misuse` where the side has no memory.
pub fn check_range<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    pointer: usize,
    align: u32,
    size: usize,
) -> Result<(), Error> {
    check(e, context, (pointer, align, size), What::Value)
}

/// What a pointer points to, for the trap where it must not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Value,
    List,
    String,
    Realloc,
}

/// [`check_range`] with other traps.
pub(super) fn check<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    (pointer, align, size): (usize, u32, usize),
    what: What,
) -> Result<(), Error> {
    let length = e.memory(memory_of(context)?)?.len();
    if pointer as u32 & align.wrapping_sub(1) != 0 {
        return Err(if what == What::Realloc { Trap::ReallocUnaligned } else { Trap::Unaligned }.into());
    }
    if pointer.checked_add(size).is_none_or(|end| end > length) {
        let trap = match what {
            What::Value => Trap::OutOfBounds,
            What::List => Trap::ListOutOfBounds,
            What::String => Trap::StringOutOfBounds,
            What::Realloc => Trap::ReallocOutOfBounds,
        };
        return Err(trap.into());
    }
    Ok(())
}

const INT_SIZE: Error = Error::Misuse("an integer has 1, 2, 4 or 8 bytes");

/// `load_int`: a little-endian integer of 1, 2, 4 or 8 bytes, zero-extended. Alignment is not checked. O(1).
///
/// # Errors
/// `Trap(OutOfBounds)`; `Misuse` where the side has no memory, or for another number of bytes.
pub fn load_int<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    pointer: usize,
    bytes: u32,
) -> Result<u64, Error> {
    let memory = e.memory(memory_of(context)?)?;
    let from = memory.get(pointer..).unwrap_or(&[]);
    let value = match bytes {
        1 => from.first().map(|b| u64::from(*b)),
        2 => from.first_chunk().map(|b| u64::from(u16::from_le_bytes(*b))),
        4 => from.first_chunk().map(|b| u64::from(u32::from_le_bytes(*b))),
        8 => from.first_chunk().map(|b| u64::from_le_bytes(*b)),
        _ => return Err(INT_SIZE),
    };
    Ok(value.ok_or(Trap::OutOfBounds)?)
}

/// `store_int`: the low 1, 2, 4 or 8 bytes of an integer, little-endian. Alignment is not checked. O(1).
///
/// # Errors
/// `Trap(OutOfBounds)`, and nothing is written; `Misuse` where the side has no memory, or for another number of
/// bytes.
pub fn store_int<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    pointer: usize,
    bytes: u32,
    value: u64,
) -> Result<(), Error> {
    let memory = e.memory(memory_of(context)?)?;
    let to = memory.get_mut(pointer..).unwrap_or(&mut []);
    let done = match bytes {
        1 => to.first_mut().map(|b| *b = value as u8),
        2 => to.first_chunk_mut().map(|b| *b = (value as u16).to_le_bytes()),
        4 => to.first_chunk_mut().map(|b| *b = (value as u32).to_le_bytes()),
        8 => to.first_chunk_mut().map(|b| *b = value.to_le_bytes()),
        _ => return Err(INT_SIZE),
    };
    Ok(done.ok_or(Trap::OutOfBounds)?)
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
pub fn reallocate<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    old: usize,
    old_size: u32,
    align: u32,
    new_size: u32,
) -> Result<usize, Error> {
    let instance = context.options.instance;
    let realloc = context
        .options
        .realloc
        .ok_or(Error::Misuse("a value that goes to memory needs the option `realloc`"))?;
    let store = e.store();
    store.instance_mut(instance)?.set_may_leave(false);
    // The spec runs it on a fresh thread, whose context slots are 0.
    let caller = core::mem::replace(&mut store.current, Current::Leaf(instance, [0; 2]));
    let result = e.call_leaf(realloc, &[old as u64, old_size.into(), align.into(), new_size.into()]);
    let store = e.store();
    store.current = caller;
    store.instance_mut(instance)?.set_may_leave(true);
    let checked = match result {
        Ok(pointer) => {
            let pointer = context.options.ptr_type().word(pointer);
            check(e, context, (pointer, align, new_size as usize), What::Realloc).map(|()| pointer)
        }
        Err(error) => Err(error),
    };
    if checked.is_err() {
        // Whoever's turn it was: this instance's code is at fault.
        e.store().blame(instance);
    }
    checked
}
