//! Spec: Waitable State.

use super::links::{MEMBER, QUEUE};
use super::{CopyEnd, Queue, Subtask};
use crate::error::HandleKind;
use crate::id::{InstanceId, SetId, ThreadId, WaitableId};
use crate::spec::CopyResult;
use crate::storage::{Link, List, Node};

/// A pending event, as data: what the guest is told is worked out when it is delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// A subtask made progress.
    Subtask,
    /// A copy ended.
    Copy {
        /// How.
        result: CopyResult,
        /// `reclaim_buffer`: the buffer is still pending, and grows until the event is delivered.
        reclaim: bool,
    },
}

/// What a waitable is.
#[derive(Debug)]
pub enum Kind {
    /// A subtask.
    Subtask(Subtask),
    /// The end of a stream or future.
    End(CopyEnd),
}

/// What a guest can wait for: the spec's `Waitable`.
#[derive(Debug)]
pub struct Waitable {
    instance: InstanceId,
    /// Its index in the instance's handle table; 0 while it has none.
    handle: u32,
    pub(crate) event: Option<Event>,
    pub(crate) set: Option<SetId>,
    /// The thread that waits for it synchronously: `has_sync_waiter`.
    pub(crate) sync_waiter: Option<ThreadId>,
    member: Link,
    pub(crate) kind: Kind,
}

impl Waitable {
    pub(crate) fn new(instance: InstanceId, kind: Kind) -> Self {
        Self { instance, handle: 0, event: None, set: None, sync_waiter: None, member: Link::NONE, kind }
    }

    /// The instance whose handle it is.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Its index in the instance's handle table; 0 while it has none.
    pub fn handle(&self) -> u32 {
        self.handle
    }

    pub(crate) fn set_handle(&mut self, handle: u32) {
        self.handle = handle;
    }

    /// The waitable goes over to another instance.
    pub(crate) fn moved_to(&mut self, instance: InstanceId, handle: u32) {
        self.instance = instance;
        self.handle = handle;
    }

    /// `has_pending_event`.
    pub fn has_pending_event(&self) -> bool {
        self.event.is_some()
    }

    /// `in_waitable_set`.
    pub fn in_waitable_set(&self) -> bool {
        self.set.is_some()
    }

    /// `has_sync_waiter`.
    pub fn has_sync_waiter(&self) -> bool {
        self.sync_waiter.is_some()
    }

    /// Subtask or end.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What a message calls it.
    pub fn handle_kind(&self) -> HandleKind {
        match &self.kind {
            Kind::Subtask(_) => HandleKind::Subtask,
            Kind::End(end) => end.handle_kind(),
        }
    }
}

impl Node<MEMBER> for Waitable {
    fn link(&self) -> &Link {
        &self.member
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.member
    }
}

/// A set of waitables: the spec's `WaitableSet`.
///
/// Its members stand in one of two lists, those with a pending event and the others, so that finding an event
/// does not depend on how many members there are.
// Aligned as flat values are, so that what clears those clears a new one too; where words have 32 bits it takes no more room.
#[derive(Debug)]
#[repr(align(8))]
pub struct WaitableSet {
    instance: InstanceId,
    pub(crate) pending: List<WaitableId, MEMBER>,
    pub(crate) idle: List<WaitableId, MEMBER>,
    /// [`Queue::Waiters`].
    pub(crate) waiters: List<ThreadId, QUEUE>,
    /// [`Queue::Callbacks`].
    pub(crate) callbacks: List<ThreadId, QUEUE>,
    num_waiting: u32,
}

impl WaitableSet {
    pub(crate) fn new(instance: InstanceId) -> Self {
        Self {
            instance,
            pending: List::EMPTY,
            idle: List::EMPTY,
            waiters: List::EMPTY,
            callbacks: List::EMPTY,
            num_waiting: 0,
        }
    }

    /// The instance whose set it is.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// `has_pending_event`.
    pub fn has_pending_event(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.idle.is_empty()
    }

    /// [`Queue::Callbacks`], else [`Queue::Waiters`].
    pub(crate) fn queue_mut(&mut self, queue: Queue) -> &mut List<ThreadId, QUEUE> {
        if queue == Queue::Callbacks { &mut self.callbacks } else { &mut self.waiters }
    }

    /// `num_waiting`.
    pub fn num_waiting(&self) -> u32 {
        self.num_waiting
    }

    pub(crate) fn start_waiting(&mut self) {
        self.num_waiting = self.num_waiting.wrapping_add(1);
    }

    pub(crate) fn stop_waiting(&mut self) {
        self.num_waiting = self.num_waiting.wrapping_sub(1);
    }
}
