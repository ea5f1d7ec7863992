//! Spec: Stream State, Future State: what the two ends share.

use super::Direction;
use crate::abi::types::ValType;
use crate::id::{InstanceId, WaitableId};

/// `SharedStreamImpl`, `SharedFutureImpl`.
#[derive(Debug)]
pub struct Shared {
    /// `t`, checked at every transfer of an end and of an element.
    element: Option<ValType>,
    /// The instance that made it, whose root it is charged to.
    maker: InstanceId,
    dropped: bool,
    /// The end whose buffer waits for the other: `pending_buffer` and what comes with it.
    pub(crate) pending: Option<WaitableId>,
    readable: Option<WaitableId>,
    writable: Option<WaitableId>,
}

impl Shared {
    pub(crate) fn new(element: Option<ValType>, maker: InstanceId) -> Self {
        Self { element, maker, dropped: false, pending: None, readable: None, writable: None }
    }

    /// `t`.
    pub fn element(&self) -> Option<ValType> {
        self.element
    }

    /// The instance that made it.
    pub(crate) fn maker(&self) -> InstanceId {
        self.maker
    }

    /// `dropped`: one of the ends is gone.
    pub fn is_dropped(&self) -> bool {
        self.dropped
    }

    /// The end whose buffer is pending.
    pub fn pending(&self) -> Option<WaitableId> {
        self.pending
    }

    /// The end of this direction; `None` once it was dropped.
    pub fn end(&self, direction: Direction) -> Option<WaitableId> {
        match direction {
            Direction::Read => self.readable,
            Direction::Write => self.writable,
        }
    }

    pub(crate) fn set_end(&mut self, direction: Direction, end: WaitableId) {
        match direction {
            Direction::Read => self.readable = Some(end),
            Direction::Write => self.writable = Some(end),
        }
    }

    /// An end is gone; the other, where it is still there.
    pub(crate) fn drop_end(&mut self, direction: Direction) -> Option<WaitableId> {
        self.dropped = true;
        match direction {
            Direction::Read => self.readable = None,
            Direction::Write => self.writable = None,
        }
        self.readable.or(self.writable)
    }
}
