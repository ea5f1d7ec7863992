//! 📝 Spec: `ErrorContext`.

use crate::abi::raising::utf8;
use crate::abi::types::push;
use crate::id::InstanceId;
use crate::storage::{HeapBudget, Limit, Slots};

/// The spec's `ErrorContext`: a message that does not change, shared by all the handles to it.
///
/// `M` is the storage of the message's bytes: what does not fit is cut off.
// Aligned as flat values are, so that what clears those clears a new one too.
#[derive(Debug)]
#[repr(align(8))]
pub struct ErrorContext<M> {
    message: M,
    handles: u32,
    /// The instance that made it, whose root it is charged to.
    maker: InstanceId,
}

impl<M: Slots<u8>> ErrorContext<M> {
    /// With an empty message and no handle.
    pub(crate) const fn new(maker: InstanceId) -> Self {
        Self { message: M::EMPTY, handles: 0, maker }
    }

    /// `debug_message`, in UTF-8.
    pub fn message(&self) -> &[u8] {
        self.message.as_slice()
    }

    /// The instance that made it.
    pub(crate) fn maker(&self) -> InstanceId {
        self.maker
    }

    /// How many handles there are to it, in all instances.
    pub fn handles(&self) -> u32 {
        self.handles
    }

    /// Adds a character to the message; `false` where it does not fit into `limit` bytes.
    pub(crate) fn push(&mut self, c: char, limit: u32) -> bool {
        let (word, count) = utf8(c);
        let len = self.message.as_slice().len().saturating_add(count);
        let fits = Limit::new(limit).allows(len, self.message.capacity());
        let mut bytes = word.to_le_bytes().into_iter().take(count);
        // It lies in place: nothing is allocated.
        let mut none = HeapBudget::EMPTY;
        fits && bytes.all(|byte| push(&mut self.message, byte, Limit::NONE, &mut none).is_ok())
    }

    pub(crate) fn add_handle(&mut self) {
        self.handles = self.handles.saturating_add(1);
    }

    /// A handle is gone; whether it was the last.
    pub(crate) fn drop_handle(&mut self) -> bool {
        // A count that is full stays so: rather never freed than too early.
        if self.handles != u32::MAX {
            self.handles = self.handles.saturating_sub(1);
        }
        self.handles == 0
    }
}
