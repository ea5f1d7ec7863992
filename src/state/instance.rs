//! Spec: Component Instances.

#[cfg(doc)]
use super::Thread;
use super::{Queue, ResourceHandle, Usage, links::QUEUE};
use crate::error::Trap;
use crate::id::{ErrorContextId, InstanceId, SetId, ThreadId, WaitableId};
use crate::spec::BACKPRESSURE_LIMIT;
use crate::storage::{Blank, Entry, List, Slots, Table};

/// What a guest's handle stands for. None is zeros, which is what a free place of a table is then: see [`Entry`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Handle {
    /// A resource.
    Resource(ResourceHandle) = 1,
    /// A subtask, or the end of a stream or future.
    Waitable(WaitableId),
    /// A waitable set.
    Set(SetId),
    /// 📝 An error context, which other handles may be to as well.
    ErrorContext(ErrorContextId),
}

/// Whether an instance's code is a guest's or the embedder's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InstanceKind {
    /// A component instance.
    Guest,
    /// The host, as an instance: nothing poisons it.
    Host,
}

/// A component instance: the spec's `ComponentInstance`.
///
/// `H` and `X` are the storage of its handle table and of its thread table.
// In this order: the tables are large, and what comes before them is reached by short instructions.
#[derive(Debug)]
#[repr(C)]
pub struct Instance<H, X> {
    kind: InstanceKind,
    parent: Option<InstanceId>,
    root: InstanceId,
    /// How many instances are around it.
    level: u32,
    may_leave: bool,
    /// A trap unwound through it or through another instance of its root: nothing of it runs again.
    poisoned: bool,
    /// What it holds has not been freed since.
    to_purge: bool,
    /// Whether it stands in the queue of instances with ready threads.
    pub(crate) queued: bool,
    backpressure: u32,
    /// `num_waiting_to_enter`.
    waiting_to_enter: u32,
    exclusive: Option<ThreadId>,
    queues: [List<ThreadId, QUEUE>; Queue::OF_INSTANCE],
    /// Its place in that queue: the next, by index + 1.
    pub(crate) next_ready: u32,
    /// Of a root: what it and all instances in it hold.
    pub(crate) usage: Usage,
    /// `handles`.
    pub handles: Table<H>,
    /// `threads`.
    pub threads: Table<X>,
}

impl<H: Slots<Entry<Handle>>, X: Slots<Entry<ThreadId>>> Blank for Instance<H, X> {
    const BLANK: Self = Self {
        kind: InstanceKind::Guest,
        parent: None,
        root: InstanceId::from_index(0),
        level: 0,
        handles: Table::new(H::EMPTY),
        threads: Table::new(X::EMPTY),
        may_leave: false,
        poisoned: false,
        to_purge: false,
        backpressure: 0,
        waiting_to_enter: 0,
        exclusive: None,
        queues: [const { List::EMPTY }; Queue::OF_INSTANCE],
        next_ready: 0,
        queued: false,
        usage: Usage::EMPTY,
    };
}

impl<H: Slots<Entry<Handle>>, X: Slots<Entry<ThreadId>>> Instance<H, X> {
    pub(crate) fn new(kind: InstanceKind, root: InstanceId) -> Self {
        Self { kind, root, may_leave: true, ..Self::BLANK }
    }

    /// Inside another instance.
    pub(crate) fn inside(self, parent: InstanceId, level: u32) -> Self {
        Self { parent: Some(parent), level, ..self }
    }

    /// Guest or host.
    pub fn kind(&self) -> InstanceKind {
        self.kind
    }

    /// `parent`.
    pub fn parent(&self) -> Option<InstanceId> {
        self.parent
    }

    /// How many instances are around it.
    pub(crate) fn level(&self) -> u32 {
        self.level
    }

    /// The outermost of `self_and_ancestors`.
    pub fn root(&self) -> InstanceId {
        self.root
    }

    /// `may_leave`: false while realloc or post-return runs.
    pub fn may_leave(&self) -> bool {
        self.may_leave
    }

    pub(crate) fn set_may_leave(&mut self, may: bool) {
        self.may_leave = may && !self.poisoned;
    }

    /// Whether a trap made it unusable.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Neither entered nor left any more. What it holds is freed by the purge, when none of it is on the native stack.
    pub(crate) fn poison(&mut self) {
        self.poisoned = true;
        self.to_purge = true;
        self.may_leave = false;
        self.exclusive = None;
    }

    /// Whether it was poisoned and not purged since; it counts as purged from now on.
    pub(crate) fn take_purge(&mut self) -> bool {
        core::mem::replace(&mut self.to_purge, false)
    }

    /// One of its queues; `None` for those that are not an instance's.
    pub(crate) fn queue(&self, queue: Queue) -> Option<&List<ThreadId, QUEUE>> {
        self.queues.get(queue as usize)
    }

    /// The same, to change.
    pub(crate) fn queue_mut(&mut self, queue: Queue) -> Option<&mut List<ThreadId, QUEUE>> {
        self.queues.get_mut(queue as usize)
    }

    /// Whether nobody stands in this queue of it.
    pub(crate) fn is_empty(&self, queue: Queue) -> bool {
        self.queue(queue).is_none_or(|list| list.is_empty())
    }

    /// `exclusive_thread`.
    pub fn exclusive_thread(&self) -> Option<ThreadId> {
        self.exclusive
    }

    pub(crate) fn set_exclusive_thread(&mut self, thread: Option<ThreadId>) {
        self.exclusive = thread;
    }

    /// `backpressure`.
    pub fn backpressure(&self) -> u32 {
        self.backpressure
    }

    /// `backpressure.inc`.
    pub(crate) fn backpressure_inc(&mut self) -> Result<(), Trap> {
        self.backpressure = self.backpressure.saturating_add(1);
        if self.backpressure >= BACKPRESSURE_LIMIT {
            return Err(Trap::BackpressureOverflow);
        }
        Ok(())
    }

    /// `backpressure.dec`; whether it reached zero.
    pub(crate) fn backpressure_dec(&mut self) -> Result<bool, Trap> {
        self.backpressure = self.backpressure.checked_sub(1).ok_or(Trap::BackpressureUnderflow)?;
        Ok(self.backpressure == 0)
    }

    /// `has_backpressure` of `Task.enter_implicit_thread`.
    pub fn has_backpressure(&self, needs_exclusive: bool) -> bool {
        self.backpressure > 0 || (needs_exclusive && self.exclusive.is_some())
    }

    /// `num_waiting_to_enter`.
    pub fn waiting_to_enter(&self) -> u32 {
        self.waiting_to_enter
    }

    pub(crate) fn start_waiting_to_enter(&mut self) {
        self.waiting_to_enter = self.waiting_to_enter.wrapping_add(1);
    }

    pub(crate) fn stop_waiting_to_enter(&mut self) {
        self.waiting_to_enter = self.waiting_to_enter.wrapping_sub(1);
    }
}
