//! 📝 Spec: `ErrorContext`.

use crate::abi::types::push;
use crate::storage::{Limit, Slots};

/// The spec's `ErrorContext`: a message that does not change, shared by all the handles to it.
///
/// `M` is the storage of the message's bytes: what does not fit is cut off.
#[derive(Debug)]
pub struct ErrorContext<M> {
    message: M,
    handles: u32,
}

impl<M: Slots<u8>> ErrorContext<M> {
    /// With an empty message and no handle.
    pub(crate) const fn new() -> Self {
        Self { message: M::EMPTY, handles: 0 }
    }

    /// `debug_message`, in UTF-8.
    pub fn message(&self) -> &[u8] {
        self.message.as_slice()
    }

    /// How many handles there are to it, in all instances.
    pub fn handles(&self) -> u32 {
        self.handles
    }

    /// Adds a character to the message; `false` where it does not fit into `limit` bytes.
    pub(crate) fn push(&mut self, c: char, limit: u32) -> bool {
        let len = self.message.as_slice().len().saturating_add(c.len_utf8());
        let fits = Limit::new(limit).allows(len, self.message.capacity());
        let limit = Limit::NONE;
        fits && c.encode_utf8(&mut [0; 4]).bytes().all(|byte| push(&mut self.message, byte, limit).is_some())
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
