//! Spec: Resource State.

use crate::id::{InstanceId, LendId, ResourceId, TaskId};

/// The spec's `ResourceHandle`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourceHandle {
    /// `rt`.
    pub ty: ResourceId,
    /// `rep`.
    pub rep: u32,
    /// `borrow_scope`: the task that must drop the handle before it returns; `None` for an owned one.
    pub borrow_scope: Option<TaskId>,
    /// `num_lends`.
    pub num_lends: u32,
}

impl ResourceHandle {
    /// `own`.
    pub fn is_owned(&self) -> bool {
        self.borrow_scope.is_none()
    }
}

/// One entry of a subtask's `lenders`.
#[derive(Clone, Copy, Debug)]
pub struct Lend {
    /// The instance that lends.
    pub instance: InstanceId,
    /// The handle that is lent.
    pub handle: u32,
    /// The subtask's next one.
    pub next: Option<LendId>,
}
