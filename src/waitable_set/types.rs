//! What can be waited for, and what a wait answers.

use crate::ambient::{ComponentValue, Limits};
use crate::error::Error;
use crate::spec::SubtaskState;
use crate::storage::Blank;
#[cfg(target_has_atomic = "ptr")]
use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(target_has_atomic = "ptr"))]
use portable_atomic::{AtomicU32, Ordering};

/// A place in the host's table, and which of those that were there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Held {
    pub handle: u32,
    /// Its place among the things of its kind: generations count for each place.
    pub slot: u32,
    pub generation: u32,
    /// Counts the resets of the ambient store.
    pub epoch: u32,
}

/// A waitable set of the host. It is told from others that had its place in the host's table before: without a heap, from the last million of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WaitableSetId(pub(super) Held);

impl WaitableSetId {
    /// Its index in the host's table, as [`run::builtin`](crate::run::builtin) takes it.
    pub const fn handle(self) -> u32 {
        self.0.handle
    }
}

/// What is waited for, as its set names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WaitableId {
    pub(super) held: Held,
    /// It is a set.
    pub(super) nested: bool,
}

impl WaitableId {
    /// Its index in the host's table, as [`run::builtin`](crate::run::builtin) takes it.
    pub const fn handle(self) -> u32 {
        self.held.handle
    }
}

static DRAWN: AtomicU32 = AtomicU32::new(0);

/// An id that nobody else has, until 2^32 others were drawn.
fn draw() -> u32 {
    DRAWN.fetch_add(1, Ordering::Relaxed)
}

/// A future of the host, by an id of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FutureHandle(pub(super) u32);

impl FutureHandle {
    /// Draws an id, and no more: the future is there once it is added to a set.
    #[allow(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        Self(draw())
    }
}

/// A stream of the host, by an id of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StreamHandle(pub(super) u32);

impl StreamHandle {
    pub(super) fn draw() -> Self {
        Self(draw())
    }
}

/// A future, and how far it is.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Future {
    /// Which.
    pub handle: FutureHandle,
    /// How far.
    pub state: FutureState,
}

impl Future {
    /// A new future that is pending.
    pub fn new() -> Self {
        Self::from(FutureHandle::new())
    }

    /// Its value, where it is ready and has one.
    pub fn value(&self) -> Option<&ComponentValue> {
        match &self.state {
            FutureState::Ready(value) => value.as_ref(),
            _ => None,
        }
    }
}

impl Default for Future {
    fn default() -> Self {
        Self::new()
    }
}

impl From<FutureHandle> for Future {
    fn from(handle: FutureHandle) -> Self {
        Self { handle, state: FutureState::Pending }
    }
}

/// How far a future is.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FutureState {
    /// There is no value yet.
    Pending,
    /// There is, where it is of a type that has values. Of a future that a guest reads: the guest has it.
    Ready(Option<ComponentValue>),
    /// There will never be one: it was cancelled, or who should have given or read it is gone.
    Cancelled,
    /// There was one, which the host could not take.
    Failed(Error),
}

impl FutureState {
    /// Whether its value is within the limits.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), Error> {
        match self {
            Self::Ready(Some(value)) => value.check(limits),
            _ => Ok(()),
        }
    }
}

/// A stream, and what came of its last read or write.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stream {
    /// Which.
    pub handle: StreamHandle,
    /// What came.
    pub state: StreamState,
}

impl From<StreamHandle> for Stream {
    fn from(handle: StreamHandle) -> Self {
        Self { handle, state: StreamState::Pending }
    }
}

/// What came of a stream's last read or write.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StreamState {
    /// Nothing yet.
    Pending,
    /// Elements came: of scalars a list of as many as there were, of others the next one; of a stream that carries nothing, how often
    /// it was written, as a `u32`.
    Ready(ComponentValue),
    /// So many elements of the last write were read. It may be written again.
    Written(u32),
    /// It is over, after these last elements.
    Closed(Option<ComponentValue>),
    /// Elements came that the host could not take. It is over.
    Failed(Error),
}

/// A call of the host's, as a waitable: what `canon lower` with `async` answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Subtask {
    /// Its index in the host's table. Once it is told to be ready, it is dropped.
    pub handle: u32,
    /// How far it is.
    pub state: SubtaskState,
}

impl Subtask {
    /// The subtask that [`Builtin::Lower`](crate::canon::Builtin::Lower) answered: `None` where the call returned at once.
    pub const fn from_call(answer: u64) -> Option<Self> {
        let state = match answer & 0xf {
            0 => SubtaskState::Starting,
            1 => SubtaskState::Started,
            _ => return None,
        };
        Some(Self { handle: (answer as u32) >> 4, state })
    }
}

/// What a set can wait for.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Waitable {
    /// A future: ready once, with its value.
    Future(Future),
    /// A stream: ready with each read or write that ended.
    Stream(Stream),
    /// A call: ready once, when it has resolved.
    Subtask(Subtask),
    /// Another set: ready for as long as something in it is, which stays there until that set is asked for it.
    WaitableSet(WaitableSetId),
}

/// What is ready.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WaitableEntry {
    /// The id that [`waitable_set_add`](super::WaitableSetBuiltins::waitable_set_add) answered.
    pub id: WaitableId,
    /// What it is, in its new state.
    pub waitable: Waitable,
}

impl Blank for WaitableEntry {
    const BLANK: Self = Self {
        id: WaitableId { held: Held { handle: 0, slot: 0, generation: 0, epoch: 0 }, nested: false },
        waitable: Waitable::Subtask(Subtask { handle: 0, state: SubtaskState::Starting }),
    };
}

/// How a wait ended.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
#[non_exhaustive]
pub enum WaitResult {
    /// Something is ready.
    Ready(WaitableEntry),
    /// Nothing is ready, and the deadline is past; of a poll, nothing is ready.
    Timeout,
    /// Nothing is ready, and nothing can change that: no task can run, no host function will answer, and there is no deadline.
    Deadlock,
}

impl WaitResult {
    /// What is ready, if something is.
    pub fn ready(self) -> Option<WaitableEntry> {
        match self {
            Self::Ready(entry) => Some(entry),
            Self::Timeout | Self::Deadlock => None,
        }
    }
}
