//! Spec: Runtime State. What there is in a store, and how each part changes.
//!
//! Nothing here knows an engine, a built-in or the store: a transition is a method of the thing that changes.
//! What touches several things at once is a method of [`Store`](crate::Store).

mod copy_end;
mod error_context;
mod instance;
mod options;
mod resource;
mod stream;
mod subtask;
mod task;
mod thread;
mod usage;
mod waitable;

pub use copy_end::{Buffer, CopyEnd, CopyState, Direction};
pub use error_context::ErrorContext;
pub use instance::{Handle, Instance, InstanceKind};
pub(crate) use options::ptr_type;
pub use options::{Lift, Lower, Options, QueuedArgs, StringEncoding};
pub use resource::{Lend, Rep, ResourceHandle, Scope};
pub use stream::Shared;
pub use subtask::Subtask;
pub use task::{Caller, Task, TaskState};
pub use thread::{Point, Priority, Queue, Status, Thread};
pub(crate) use usage::{Quota, Usage};
pub use waitable::{Event, Kind, Waitable, WaitableSet};

/// The lists that run through threads and waitables, by the link they use.
pub mod links {
    /// [`Thread`](super::Thread): the [`Queue`](super::Queue) that it stands in.
    pub const QUEUE: usize = 0;
    /// [`Waitable`](super::Waitable): the members of a set.
    pub const MEMBER: usize = 0;
}
