//! Spec: Tasks.

use super::Rep;
use crate::error::Trap;
use crate::id::{HostCall, InstanceId, LendId, LiftId, ThreadId, WaitableId};
use crate::message::Bug;
use crate::storage::Key as _;

/// `Task.State`.
///
/// ```text
/// Initial --start--> Started --request_cancellation--> PendingCancel --deliver--> CancelDelivered
///    |                  |                                                              |
///    | cancelled        +--------------------- return_ / cancel -----------------------+
///    v                                           v
/// CancelDelivered --cancel--> Resolved        Resolved
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TaskState {
    /// The arguments have not been lifted.
    Initial,
    /// Running.
    Started,
    /// The caller asked for cancellation, and the task does not know yet.
    PendingCancel,
    /// The task was told of its cancellation.
    CancelDelivered,
    /// The task returned a value or was cancelled.
    Resolved,
}

/// Who a task's arguments come from and its result goes to: the reference's `on_start` and `on_resolve`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Caller {
    /// A guest, through its subtask; `WaitableId::NONE` once that is gone: the result then goes nowhere.
    Guest(WaitableId),
    /// The embedder.
    Host(HostCall),
    /// Linking, which runs a start function: no arguments, no result.
    Start,
    /// `resource.drop`, with the representation as the only argument.
    Drop(Rep),
}

/// A call into an instance: the spec's `Task`.
#[derive(Debug)]
pub struct Task {
    lift: Option<LiftId>,
    instance: InstanceId,
    caller: Caller,
    state: TaskState,
    needs_exclusive: bool,
    /// Whose root it is charged to, with its implicit thread.
    payer: InstanceId,
    num_borrows: u32,
    implicit_thread: Option<ThreadId>,
    /// How many threads are registered.
    threads: u32,
    /// What the host lent it: the first of a chain.
    pub(crate) lenders: Option<LendId>,
}

impl Task {
    pub(crate) fn new(
        lift: Option<LiftId>,
        instance: InstanceId,
        caller: Caller,
        needs_exclusive: bool,
        payer: InstanceId,
    ) -> Self {
        Self {
            lift,
            instance,
            caller,
            state: TaskState::Initial,
            needs_exclusive,
            payer,
            num_borrows: 0,
            implicit_thread: None,
            threads: 0,
            lenders: None,
        }
    }

    /// The function that was called: `ft` and `opts`. A start function has none.
    pub fn lift(&self) -> Option<LiftId> {
        self.lift
    }

    /// `inst`.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Who called.
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// `state`.
    pub fn state(&self) -> TaskState {
        self.state
    }

    /// Whether the task returned or was cancelled.
    pub fn is_resolved(&self) -> bool {
        self.state == TaskState::Resolved
    }

    /// `needs_exclusive`, and false for a function type without `async`.
    pub fn needs_exclusive(&self) -> bool {
        self.needs_exclusive
    }

    /// The instance whose root it is charged to, with its implicit thread.
    pub(crate) fn payer(&self) -> InstanceId {
        self.payer
    }

    /// `implicit_thread`.
    pub fn implicit_thread(&self) -> Option<ThreadId> {
        self.implicit_thread
    }

    pub(crate) fn set_implicit_thread(&mut self, thread: Option<ThreadId>) {
        self.implicit_thread = thread;
    }

    /// The guest's subtask is gone.
    pub(crate) fn lose_caller(&mut self) {
        self.caller = Caller::Guest(WaitableId::NONE);
    }

    /// How many threads are registered.
    pub fn threads(&self) -> u32 {
        self.threads
    }

    /// `register_thread`, the task's part.
    pub(crate) fn register_thread(&mut self) {
        self.threads = self.threads.wrapping_add(1);
    }

    /// `unregister_thread`, the task's part: whether it was the last.
    pub(crate) fn unregister_thread(&mut self) -> bool {
        self.threads = self.threads.saturating_sub(1);
        self.threads == 0
    }

    /// `start`.
    pub(crate) fn start(&mut self) -> Result<(), Bug> {
        if self.state != TaskState::Initial {
            return Err(Bug::TaskStarted);
        }
        self.state = TaskState::Started;
        Ok(())
    }

    /// What `return_` and `cancel` check first.
    pub(crate) fn check_return(&self) -> Result<(), Trap> {
        if self.state == TaskState::Resolved {
            return Err(Trap::TaskResolved);
        }
        if self.num_borrows > 0 {
            return Err(Trap::BorrowsRemain);
        }
        Ok(())
    }

    /// What `cancel` checks first.
    pub(crate) fn check_cancel(&self) -> Result<(), Trap> {
        if self.state != TaskState::CancelDelivered {
            return Err(if self.is_resolved() { Trap::TaskResolved } else { Trap::NotCancelled });
        }
        if self.num_borrows > 0 {
            return Err(Trap::BorrowsRemain);
        }
        Ok(())
    }

    /// The last step of `return_` and `cancel`.
    pub(crate) fn resolve(&mut self) {
        self.state = TaskState::Resolved;
    }

    /// `request_cancellation` where the task can't be told now.
    pub(crate) fn cancel_later(&mut self) {
        if self.state == TaskState::Started {
            self.state = TaskState::PendingCancel;
        }
    }

    /// `request_cancellation` where the task is told now, and `deliver_pending_cancel`.
    pub(crate) fn deliver_cancel(&mut self) {
        self.state = TaskState::CancelDelivered;
    }

    /// Whether a cancellation waits to be delivered.
    pub fn cancel_is_pending(&self) -> bool {
        self.state == TaskState::PendingCancel
    }

    /// A borrow was lowered for this task.
    pub(crate) fn add_borrow(&mut self) {
        self.num_borrows = self.num_borrows.saturating_add(1);
    }

    /// A borrow of this task was dropped.
    pub(crate) fn drop_borrow(&mut self) {
        self.num_borrows = self.num_borrows.saturating_sub(1);
    }

    /// The borrows of this task were dropped for it.
    pub(crate) fn forget_borrows(&mut self) {
        self.num_borrows = 0;
    }

    /// `num_borrows`.
    pub fn num_borrows(&self) -> u32 {
        self.num_borrows
    }
}
