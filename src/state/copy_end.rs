//! Spec: Buffer State, and `CopyEnd` of Stream State and Future State.

use crate::error::HandleKind;
use crate::id::{OptsId, SharedId};

/// Which end of a stream or future.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Direction {
    /// The readable end.
    Read,
    /// The writable end.
    Write,
}

impl Direction {
    /// What a message calls such an end.
    pub(crate) fn handle_kind(self, future: bool) -> HandleKind {
        match (self, future) {
            (Direction::Read, false) => HandleKind::StreamRead,
            (Direction::Write, false) => HandleKind::StreamWrite,
            (Direction::Read, true) => HandleKind::FutureRead,
            (Direction::Write, true) => HandleKind::FutureWrite,
        }
    }
}

/// `CopyState`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CopyState {
    /// `IDLE`.
    Idle,
    /// `COPYING`.
    Copying,
    /// `CANCELLING_COPY`.
    Cancelling,
    /// `DONE`.
    Done,
}

/// `BufferGuestImpl`: the guest's memory that a copy reads or writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Buffer {
    /// The options of the built-in that gave it: its memory, its instance.
    pub options: OptsId,
    /// The address of the next element.
    pub pointer: usize,
    /// How many elements have been copied.
    pub progress: u32,
    /// How many there are in all.
    pub length: u32,
}

impl Buffer {
    /// `remain`.
    pub fn remain(&self) -> u32 {
        // No more are copied than there are.
        self.length.wrapping_sub(self.progress)
    }

    /// `is_zero_length`.
    pub fn is_zero_length(&self) -> bool {
        self.length == 0
    }

    /// `n` elements were copied, up to this address.
    pub(crate) fn advance(&mut self, n: u32, pointer: usize) {
        self.pointer = pointer;
        self.progress = self.progress.wrapping_add(n);
    }
}

/// The end of a stream or future: the spec's `CopyEnd`.
#[derive(Debug)]
pub struct CopyEnd {
    shared: SharedId,
    direction: Direction,
    future: bool,
    pub(crate) state: CopyState,
    /// The buffer of the copy under way, or of the one that just ended.
    pub(crate) buffer: Option<Buffer>,
}

impl CopyEnd {
    pub(crate) fn new(shared: SharedId, direction: Direction, future: bool) -> Self {
        Self { shared, direction, future, state: CopyState::Idle, buffer: None }
    }

    /// `shared`.
    pub fn shared(&self) -> SharedId {
        self.shared
    }

    /// Its peer is another from now on: that of another stream or future.
    pub(crate) fn join(&mut self, shared: SharedId) {
        self.shared = shared;
    }

    /// Readable or writable.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether it is a future's.
    pub fn is_future(&self) -> bool {
        self.future
    }

    /// `state`.
    pub fn state(&self) -> CopyState {
        self.state
    }

    /// `copying`.
    pub fn copying(&self) -> bool {
        matches!(self.state, CopyState::Copying | CopyState::Cancelling)
    }

    /// The buffer of the copy under way.
    pub fn buffer(&self) -> Option<Buffer> {
        self.buffer
    }

    /// What a message calls it.
    pub fn handle_kind(&self) -> HandleKind {
        self.direction.handle_kind(self.future)
    }
}
