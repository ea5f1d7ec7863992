//! Spec: Loading and Storing, where a value is nothing but its bytes.

use crate::embedding::Embedding;
use crate::error::{Error, Trap};
use crate::id::MemoryRef;
use crate::raise::{Raises, Raising as _};

/// The most bytes that are worked on between two calls of [`Embedding::charge`].
pub(super) const PIECE: usize = 64 << 10;

/// How much moves at a time, through the stack.
const CHUNK: usize = if cfg!(feature = "alloc") { 1024 } else { 256 };

/// Bytes on their way. Aligned as flat values are, so that what clears those clears these too.
#[repr(align(8))]
pub(super) struct Chunk<const N: usize>(pub [u8; N]);

/// [`Embedding::charge`].
#[inline(never)]
pub(super) fn charge<E: Embedding + ?Sized>(e: &mut E, bytes: usize, elements: u32) -> Raises {
    e.charge(bytes, elements).raising(&mut e.store().raiser)
}

/// [`Embedding::copy`] of any length: each piece is charged before it is copied.
///
/// Overlapping ranges come out as if the source had been set aside first, unless an error ends it in between.
#[cfg_attr(not(feature = "alloc"), inline(never))]
pub(super) fn copy_charged<E: Embedding + ?Sized>(
    e: &mut E,
    (to, to_at): (MemoryRef, usize),
    (from, from_at): (MemoryRef, usize),
    len: usize,
) -> Raises {
    let backwards = to == from && to_at > from_at;
    let mut done = 0usize;
    while done < len {
        let left = len.wrapping_sub(done);
        let n = left.min(PIECE);
        let at = if backwards { left.wrapping_sub(n) } else { done };
        charge(e, n, 0)?;
        // Both ranges have been checked: no address is past the end of its memory.
        let copied = e.copy((to, to_at.wrapping_add(at)), (from, from_at.wrapping_add(at)), n);
        copied.raising(&mut e.store().raiser)?;
        done = done.wrapping_add(n);
    }
    Ok(())
}

/// Copies bytes between memories, or within one: what [`Embedding::copy`] does where the engine knows nothing
/// better.
///
/// Overlapping ranges come out as if the source had been set aside first. O(len), through a buffer of 256 bytes
/// on the stack, or 1 KiB with the feature `alloc`; two calls of [`Embedding::memory`] for each.
///
/// # Errors
/// `Trap(OutOfBounds)` where a range does not lie in its memory; nothing is written then.
// Never inlined: the buffer has no business in the frames of the recursive walk over a value.
#[inline(never)]
pub fn copy_in_chunks<E: Embedding + ?Sized>(
    e: &mut E,
    (to, to_at): (MemoryRef, usize),
    (from, from_at): (MemoryRef, usize),
    len: usize,
) -> Result<(), Error> {
    for (memory, at) in [(from, from_at), (to, to_at)] {
        let end = at.checked_add(len).ok_or(Trap::OutOfBounds)?;
        if end > e.memory(memory)?.len() {
            return Err(Trap::OutOfBounds.into());
        }
    }
    // Of two overlapping ranges the part that is about to be overwritten goes first.
    let backwards = to == from && to_at > from_at;
    let mut done = 0usize;
    let mut buffer = Chunk([0; CHUNK]);
    while done < len {
        let n = len.saturating_sub(done).min(CHUNK);
        let at = if backwards { len.saturating_sub(done).saturating_sub(n) } else { done };
        read(e.memory(from)?, from_at.saturating_add(at), n, &mut buffer.0).ok_or(Trap::OutOfBounds)?;
        write(e.memory(to)?, to_at.saturating_add(at), n, &buffer.0).ok_or(Trap::OutOfBounds)?;
        done = done.saturating_add(n);
    }
    Ok(())
}

fn read(memory: &[u8], at: usize, n: usize, buffer: &mut [u8; CHUNK]) -> Option<()> {
    copy_slice(buffer.get_mut(..n)?, memory.get(at..)?.get(..n)?)
}

fn write(memory: &mut [u8], at: usize, n: usize, buffer: &[u8; CHUNK]) -> Option<()> {
    copy_slice(memory.get_mut(at..)?.get_mut(..n)?, buffer.get(..n)?)
}

/// Copies bytes; `None` where they are not as many.
pub(super) fn copy_slice(to: &mut [u8], from: &[u8]) -> Option<()> {
    (to.len() == from.len()).then(|| to.copy_from_slice(from))
}
