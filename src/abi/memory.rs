//! Spec: Loading and Storing (`load_int`, `store_int`), Lifting and Lowering Context (`reallocate`).

use crate::embedding::Embedding;
use crate::error::Trap;
use crate::id::{MemoryRef, OptsId};
use crate::message::Misuse;
use crate::raise::{OrRaise as _, Raises, Raising as _};
use crate::state::ptr_type;
use crate::store::Current;

/// The memory of one side, which must have one.
pub(super) fn some_memory<E: Embedding + ?Sized>(e: &mut E, memory: Option<MemoryRef>) -> Raises<MemoryRef> {
    memory.or_raise(&mut e.store().raiser, Misuse::NoMemory)
}

/// [`check_range`](super::check_range).
pub(crate) fn check_range<E: Embedding + ?Sized>(
    e: &mut E,
    memory: Option<MemoryRef>,
    pointer: usize,
    align: u32,
    size: usize,
) -> Raises {
    check(e, memory, (pointer, align, size), What::Value)
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
    memory: Option<MemoryRef>,
    (pointer, align, size): (usize, u32, usize),
    what: What,
) -> Raises {
    let length = with_memory(e, memory, |memory| memory.len())?;
    if pointer as u32 & align.wrapping_sub(1) != 0 {
        let trap = if what == What::Realloc { Trap::ReallocUnaligned } else { Trap::Unaligned };
        return e.store().raiser.raise(trap);
    }
    if pointer.checked_add(size).is_none_or(|end| end > length) {
        let trap = match what {
            What::Value => Trap::OutOfBounds,
            What::List => Trap::ListOutOfBounds,
            What::String => Trap::StringOutOfBounds,
            What::Realloc => Trap::ReallocOutOfBounds,
        };
        return e.store().raiser.raise(trap);
    }
    Ok(())
}

/// What `f` makes of a memory.
#[inline(always)]
fn with_memory<E: Embedding + ?Sized, T>(
    e: &mut E,
    memory: Option<MemoryRef>,
    f: impl FnOnce(&mut [u8]) -> T,
) -> Raises<T> {
    let memory = some_memory(e, memory)?;
    e.memory(memory).map(f).raising(&mut e.store().raiser)
}

/// [`load_int`](super::load_int).
pub(crate) fn load_int<E: Embedding + ?Sized>(
    e: &mut E,
    memory: Option<MemoryRef>,
    pointer: usize,
    bytes: u32,
) -> Raises<u64> {
    let value = with_memory(e, memory, |memory| {
        let from = memory.get(pointer..).unwrap_or(&[]);
        match bytes {
            1 => from.first().map(|b| u64::from(*b)),
            2 => from.first_chunk().map(|b| u64::from(u16::from_le_bytes(*b))),
            4 => from.first_chunk().map(|b| u64::from(u32::from_le_bytes(*b))),
            _ => from.first_chunk().map(|b| u64::from_le_bytes(*b)),
        }
    })?;
    value.or_raise(&mut e.store().raiser, Trap::OutOfBounds)
}

/// [`store_int`](super::store_int).
pub(crate) fn store_int<E: Embedding + ?Sized>(
    e: &mut E,
    memory: Option<MemoryRef>,
    pointer: usize,
    bytes: u32,
    value: u64,
) -> Raises {
    let done = with_memory(e, memory, |memory| {
        let to = memory.get_mut(pointer..).unwrap_or(&mut []);
        match bytes {
            1 => to.first_mut().map(|b| *b = value as u8),
            2 => to.first_chunk_mut().map(|b| *b = (value as u16).to_le_bytes()),
            4 => to.first_chunk_mut().map(|b| *b = (value as u32).to_le_bytes()),
            _ => to.first_chunk_mut().map(|b| *b = value.to_le_bytes()),
        }
    })?;
    done.or_raise(&mut e.store().raiser, Trap::OutOfBounds)
}

/// [`reallocate`](super::reallocate).
pub(crate) fn reallocate<E: Embedding + ?Sized>(
    e: &mut E,
    options: OptsId,
    old: usize,
    old_size: u32,
    align: u32,
    new_size: u32,
) -> Raises<usize> {
    let store = e.store();
    let options = store.options_of(options)?;
    let (instance, memory) = (options.instance, options.memory);
    let realloc = options.realloc.or_raise(&mut store.raiser, Misuse::NoRealloc)?;
    store.check_enter(instance)?;
    store.instance_mut(instance)?.set_may_leave(false);
    // The spec runs it on a fresh thread, whose context slots are 0.
    store.leaf_storage = [0; 2];
    let caller = core::mem::replace(&mut store.current, Current::Leaf(instance));
    let result = e.call_leaf(realloc, &[old as u64, old_size.into(), align.into(), new_size.into()]);
    let store = e.store();
    store.current = caller;
    store.instance_mut(instance)?.set_may_leave(true);
    let checked = match result.raising(&mut store.raiser) {
        Ok(pointer) => {
            let pointer = ptr_type(memory).word(pointer);
            check(e, memory, (pointer, align, new_size as usize), What::Realloc).map(|()| pointer)
        }
        Err(raised) => Err(raised),
    };
    if let Err(raised) = checked {
        let store = e.store();
        // This instance's code is at fault, whichever thread runs, unless the engine had no room to run it.
        if !store.raiser.is_capacity(raised) {
            store.blame(instance);
        }
    }
    checked
}
