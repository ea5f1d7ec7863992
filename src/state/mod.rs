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

// What this repository's tests look at, beside what a profile names: see the module `profile`.
#[doc(hidden)]
pub use copy_end::{Buffer, CopyEnd, CopyState, Direction};
#[doc(hidden)]
pub use error_context::ErrorContext;
pub use instance::InstanceKind;
#[doc(hidden)]
pub use instance::{Handle, Instance};
#[doc(hidden)]
pub use options::QueuedArgs;
pub(crate) use options::ptr_type;
pub use options::{Lift, Lower, Options, StringEncoding};
#[doc(hidden)]
pub use resource::{Lend, Scope};
pub use resource::{Rep, ResourceHandle};
#[doc(hidden)]
pub use stream::Shared;
#[doc(hidden)]
pub use subtask::Subtask;
#[doc(hidden)]
pub use task::{Caller, Task, TaskState};
pub use thread::Priority;
#[doc(hidden)]
pub use thread::{Point, Queue, Status, Thread};
pub(crate) use usage::{Quota, Usage};
#[doc(hidden)]
pub use waitable::{Event, Kind, Waitable, WaitableSet};

/// The lists that run through threads and waitables, by the link they use.
#[doc(hidden)]
pub mod links {
    /// [`Thread`](super::Thread): the [`Queue`](super::Queue) that it stands in.
    pub const QUEUE: usize = 0;
    /// [`Waitable`](super::Waitable): the members of a set.
    pub const MEMBER: usize = 0;
}
