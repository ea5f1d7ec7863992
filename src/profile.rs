//! What a [`Store`](crate::Store) is made of: the one door to its storage, for authors of profiles.
//!
//! Nearly everyone takes a profile that is there: [`Heap`] with the feature `alloc`, or one of
//! [`bounded!`](crate::bounded), whose tables lie in place. Both implement [`Profile`], which has a type for
//! each table: a [`Slots`] of what the table holds. A profile of one's own puts some tables on the heap and
//! others in place. What the tables hold is made, changed and freed by the store alone; here are the names,
//! which a profile has to spell, and no way in.
//!
//! ```ignore-none
//! # #[cfg(feature = "alloc")] {
//! use canon_async::profile::*;
//! use canon_async::{Limits, Store};
//!
//! /// At most eight tasks, in place; all else on the heap.
//! struct EightTasks;
//!
//! impl Profile for EightTasks {
//!     type Instances = Growable<Instance<Self::Handles, Self::ThreadIndices>>;
//!     type Handles = Growable<Entry<Handle>>;
//!     type ThreadIndices = Growable<Entry<ThreadId>>;
//!     type Tasks = Fixed<Slot<Task>, 8>;
//!     type Threads = Growable<Slot<Thread>>;
//!     type Waitables = Growable<Slot<Waitable>>;
//!     type Sets = Growable<Slot<WaitableSet>>;
//!     type Streams = Growable<Slot<Shared>>;
//!     type ErrorContexts = Growable<Slot<ErrorContext<Self::Message>>>;
//!     type Message = Fixed<u8, 64>;
//!     type Queued = Growable<Slot<QueuedArgs>>;
//!     type Lends = Growable<Slot<Lend>>;
//!     type Types = Growable<Hashed<TypeInfo>>;
//!     type TypeItems = Growable<TypeItem>;
//!     type FuncTypes = Growable<Hashed<FuncType>>;
//!     type Resources = Growable<ResourceType>;
//!     type Options = Growable<Options>;
//!     type Lifts = Growable<Lift>;
//!     type Lowers = Growable<Lower>;
//!     const LIMITS: Limits = Limits::HEAP;
//! }
//!
//! let store = Store::<EightTasks>::new();
//! assert!(store.is_idle());
//! # }
//! ```
//!
//! A storage of one's own is a [`Slots`]: a sequence that grows by one [`Blank`] element at its end until it
//! is full. It may be of any element, so nothing of what the tables hold has to be known.
//!
//! The modules `storage`, `state` and `abi` have more that is public for the tests of this repository, and
//! hidden in these pages: it may change in any version.

pub use crate::abi::types::{FuncType, ResourceType, TypeInfo, TypeItem};
pub use crate::id::ThreadId;
pub use crate::state::{
    ErrorContext, Handle, Instance, Lend, Lift, Lower, Options, QueuedArgs, Shared, Task, Thread, Waitable,
    WaitableSet,
};
pub use crate::storage::{Blank, Capacities, Entry, Fixed, Hashed, HeapBudget, Limits, Profile, Slot, Slots};
#[cfg(feature = "alloc")]
pub use crate::storage::{Growable, Heap};
