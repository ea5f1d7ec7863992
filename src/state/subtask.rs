//! Spec: Subtask State.

use crate::id::{ArgsId, LendId, LowerId, TaskId};
use crate::message::Bug;
use crate::spec::SubtaskState;

/// A call as its caller sees it: the spec's `Subtask`.
#[derive(Debug)]
pub struct Subtask {
    lower: LowerId,
    state: SubtaskState,
    /// The callee's task, until it exited.
    pub(crate) callee: Option<TaskId>,
    cancellation_requested: bool,
    resolve_delivered: bool,
    /// The arguments, while the callee has not started.
    pub(crate) args: Option<ArgsId>,
    /// Where spilled results go.
    return_pointer: usize,
    /// The result of a synchronous call that is not spilled: `flat_results`.
    pub(crate) flat_result: u64,
    /// `lenders`: the first of a chain.
    pub(crate) lenders: Option<LendId>,
}

impl Subtask {
    pub(crate) fn new(lower: LowerId, return_pointer: usize) -> Self {
        Self {
            lower,
            state: SubtaskState::Starting,
            callee: None,
            cancellation_requested: false,
            resolve_delivered: false,
            args: None,
            return_pointer,
            flat_result: 0,
            lenders: None,
        }
    }

    /// The `canon lower` that made it.
    pub fn lower(&self) -> LowerId {
        self.lower
    }

    /// `state`.
    pub fn state(&self) -> SubtaskState {
        self.state
    }

    /// The callee's task, until it exited.
    pub fn callee(&self) -> Option<TaskId> {
        self.callee
    }

    /// Where spilled results go.
    pub fn return_pointer(&self) -> usize {
        self.return_pointer
    }

    /// `resolved`.
    pub fn resolved(&self) -> bool {
        !matches!(self.state, SubtaskState::Starting | SubtaskState::Started)
    }

    /// `on_start`: the callee takes its arguments.
    pub(crate) fn start(&mut self) -> Result<(), Bug> {
        if self.state != SubtaskState::Starting {
            return Err(Bug::SubtaskStarted);
        }
        self.state = SubtaskState::Started;
        Ok(())
    }

    /// `on_resolve`: with a value, or without where the callee was cancelled.
    pub(crate) fn resolve(&mut self, returned: bool) -> Result<(), Bug> {
        self.state = match (self.state, returned) {
            (SubtaskState::Started, true) => SubtaskState::Returned,
            (SubtaskState::Starting, false) => SubtaskState::CancelledBeforeStarted,
            (SubtaskState::Started, false) => SubtaskState::CancelledBeforeReturned,
            _ => return Err(Bug::SubtaskOrder),
        };
        Ok(())
    }

    /// `deliver_resolve`, but for the lenders, which the store gives back.
    pub(crate) fn deliver_resolve(&mut self) {
        self.resolve_delivered = true;
    }

    /// `resolve_delivered`.
    pub fn resolve_delivered(&self) -> bool {
        self.resolve_delivered
    }

    /// `cancellation_requested`.
    pub fn cancellation_requested(&self) -> bool {
        self.cancellation_requested
    }

    pub(crate) fn request_cancellation(&mut self) {
        self.cancellation_requested = true;
    }
}
