//! Spec: Resource State.

use crate::id::{InstanceId, LendId, ResourceId, TaskId, WaitableId};

/// The representation of a resource: an `i32`, or 🐘 an `i64`. In halves, so that a handle takes no padding where words have
/// 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rep {
    low: u32,
    high: u32,
}

impl Rep {
    /// From its bits, an `i32`'s zero-extended.
    pub const fn from_bits(bits: u64) -> Self {
        Self { low: bits as u32, high: bits.wrapping_shr(32) as u32 }
    }

    /// Its bits.
    pub const fn bits(self) -> u64 {
        self.low as u64 | (self.high as u64).wrapping_shl(32)
    }
}

/// The spec's `ResourceHandle`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResourceHandle {
    /// `rt`.
    pub ty: ResourceId,
    /// `rep`.
    pub rep: Rep,
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

/// One entry of the `lenders` of a subtask, or of a task that the host called.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lend {
    /// The instance that lends.
    pub instance: InstanceId,
    /// The handle that is lent.
    pub handle: u32,
    /// The next one.
    pub next: Option<LendId>,
}

/// `borrow_scope`: who answers for a borrowed handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Scope {
    /// Nobody: the types have no borrows in them.
    None,
    /// Lifting from a guest: the subtask that the handle is lent to.
    Subtask(WaitableId),
    /// Lowering: the task that must drop the handle. Lifting from the host: the task that it is lent to.
    Task(TaskId),
}
