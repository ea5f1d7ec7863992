//! The host's memory: where values wait that guests read and write.

use super::profile::{Room, capacity};
use crate::error::{Error, Resource};
use crate::storage::Slots;

/// Sizes of blocks: 2^4 to 2^30 bytes.
const CLASSES: usize = 27;
const SMALLEST: u32 = 4;
/// Before each block: its class, with this mark while it is in use, and while it is free the next free block.
const HEADER: u32 = 8;
const USED: u32 = 0x05ed_0000;

/// A memory of the host, in blocks that stay until they are freed: a stream's or a future's buffer lies here for as long as
/// the copy takes, whatever else goes on.
///
/// A block has 2^k bytes, and a free one is used again for as many. O(1); where all are free, it is one piece again.
#[derive(Debug)]
pub struct HostMemory {
    bytes: Room<u8, { capacity::HOST_BYTES }>,
    /// The first free block of each class, 0 for none.
    free: [u32; CLASSES],
    top: u32,
    /// Blocks in use.
    live: u32,
    /// The most bytes that there may be; `None`: the capacity that was compiled in.
    limit: Option<u32>,
}

const FULL: Error = Error::capacity(Resource::HostBytes);
const NO_BLOCK: Error = Error::Bug("no block of the host's memory");

impl HostMemory {
    /// An empty memory with the capacity that was compiled in.
    pub const fn new() -> Self {
        Self { bytes: Room::EMPTY, free: [0; CLASSES], top: 0, live: 0, limit: None }
    }

    /// Frees every block, and forgets the limit.
    pub(crate) fn reset(&mut self) {
        let Self { bytes, free, top, live, limit } = self;
        bytes.clear();
        (*free, *top, *live, *limit) = ([0; CLASSES], 0, 0, None);
    }

    /// Sets the most bytes that it may have.
    pub(crate) fn set_limit(&mut self, limit: u32) {
        self.limit = Some(limit);
    }

    /// All bytes, for [`Embedding::memory`](crate::Embedding::memory) of [`MEMORY`](super::MEMORY).
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut_slice()
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// How many blocks are in use.
    pub fn blocks(&self) -> u32 {
        self.live
    }

    /// A new block of at least `size` bytes, aligned to 8; its bytes are 0.
    ///
    /// # Errors
    /// `Capacity(HostBytes)`.
    pub fn alloc(&mut self, size: u32) -> Result<u32, Error> {
        let class = class_of(size).ok_or(FULL)?;
        let bytes = 1u32.wrapping_shl(class.wrapping_add(SMALLEST));
        let head = self.free.get(class as usize).copied().ok_or(FULL)?;
        let block = match head {
            0 => self.grow(bytes)?,
            free => {
                let next = self.word(free, 4)?;
                *self.free.get_mut(class as usize).ok_or(FULL)? = next;
                free
            }
        };
        self.set_word(block, 8, USED | class)?;
        self.range(block, bytes)?.fill(0);
        self.live = self.live.saturating_add(1);
        Ok(block)
    }

    /// Frees a block; one that is 0 is none.
    ///
    /// # Errors
    /// `Bug` where there is no such block.
    pub fn free(&mut self, block: u32) -> Result<(), Error> {
        if block == 0 {
            return Ok(());
        }
        let class = self.class(block)?;
        let head = self.free.get_mut(class as usize).ok_or(NO_BLOCK)?;
        let next = core::mem::replace(head, block);
        self.set_word(block, 8, class)?;
        self.set_word(block, 4, next)?;
        self.live = self.live.saturating_sub(1);
        if self.live == 0 {
            (self.free, self.top) = ([0; CLASSES], 0);
        }
        Ok(())
    }

    /// `realloc`, for [`Embedding::call_leaf`](crate::Embedding::call_leaf) of [`REALLOC`](super::REALLOC): a block with what the old one
    /// holds, which is freed; the same one where it is large enough.
    ///
    /// # Errors
    /// `Capacity(HostBytes)`; `Bug` where there is no such block.
    pub fn realloc(&mut self, old: u32, old_size: u32, size: u32) -> Result<u32, Error> {
        if old == 0 {
            return self.alloc(size);
        }
        if class_of(size).ok_or(FULL)? <= self.class(old)? {
            return Ok(old);
        }
        let kept = old_size.min(size);
        // Before there is a block that nobody has.
        self.range(old, kept)?;
        let new = self.alloc(size)?;
        for byte in 0..kept {
            let from = self.range(old.saturating_add(byte), 1)?.first().copied().unwrap_or(0);
            self.range(new.saturating_add(byte), 1)?.fill(from);
        }
        self.free(old)?;
        Ok(new)
    }

    /// Bytes of a block.
    ///
    /// # Errors
    /// `Bug` past the end of the memory.
    pub fn range(&mut self, at: u32, size: u32) -> Result<&mut [u8], Error> {
        let (start, end) = (at as usize, (at as usize).saturating_add(size as usize));
        self.bytes_mut().get_mut(start..end).ok_or(Error::Bug("past the end of the host's memory"))
    }

    /// A new block at the end.
    fn grow(&mut self, bytes: u32) -> Result<u32, Error> {
        let block = self.top.checked_add(HEADER).ok_or(FULL)?;
        let end = block.checked_add(bytes).ok_or(FULL)?;
        let limit = self.limit.unwrap_or(capacity::HOST_BYTES as u32);
        if end > limit || end as usize > self.bytes.capacity() {
            return Err(FULL);
        }
        while self.bytes.as_slice().len() < end as usize {
            if !self.bytes.grow() {
                return Err(FULL);
            }
        }
        self.top = end;
        Ok(block)
    }

    /// The class of a block that is in use.
    fn class(&mut self, block: u32) -> Result<u32, Error> {
        let class = self.word(block, 8)? ^ USED;
        if (class as usize) < CLASSES { Ok(class) } else { Err(NO_BLOCK) }
    }

    /// A word of a block's header, so many bytes before it.
    fn word(&mut self, block: u32, before: u32) -> Result<u32, Error> {
        let at = block.checked_sub(before).ok_or(NO_BLOCK)?;
        let bytes = self.range(at, 4)?.first_chunk().ok_or(NO_BLOCK)?;
        Ok(u32::from_le_bytes(*bytes))
    }

    fn set_word(&mut self, block: u32, before: u32, value: u32) -> Result<(), Error> {
        let at = block.checked_sub(before).ok_or(NO_BLOCK)?;
        *self.range(at, 4)?.first_chunk_mut().ok_or(NO_BLOCK)? = value.to_le_bytes();
        Ok(())
    }
}

impl Default for HostMemory {
    fn default() -> Self {
        Self::new()
    }
}

/// The class of the smallest block of at least so many bytes.
fn class_of(size: u32) -> Option<u32> {
    let class = size.checked_next_power_of_two()?.ilog2().saturating_sub(SMALLEST);
    ((class as usize) < CLASSES).then_some(class)
}
