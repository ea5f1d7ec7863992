//! Which limit was reached, what its value is, and where it is set.

use crate::error::Error;
use crate::storage::{Full, HeapBudget};
use core::fmt;
use core::num::NonZeroUsize;

/// A limit that was reached: which one, whose, and its value. Two words.
///
/// Two are equal where they are of the same [`Resource`] and the same [`LimitOwner`], and `Debug` prints
/// these two: the value is configuration, and for people. It is displayed as `waitable sets, 200000
/// (Limits::sets)`.
#[derive(Clone, Copy)]
pub struct LimitReached {
    resource: Resource,
    owner: LimitOwner,
    /// The complement of the value, which is never `usize::MAX`; `None` where the value is not known.
    value: Option<NonZeroUsize>,
}

/// Who a limit holds for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LimitOwner {
    /// The whole store, or what the [`Resource`] says.
    Store,
    /// One root component: [`Store::set_root_limits`](crate::Store::set_root_limits) and
    /// [`Store::set_limits_of`](crate::Store::set_limits_of).
    Root,
}

impl LimitReached {
    /// A limit of the store, whose value is not known.
    pub const fn new(resource: Resource) -> Self {
        Self { resource, owner: LimitOwner::Store, value: None }
    }

    /// The same, with its value.
    pub const fn with_value(self, value: usize) -> Self {
        Self { value: NonZeroUsize::new(!value), ..self }
    }

    /// A limit of one root component.
    pub(crate) const fn of_root(resource: Resource, value: usize) -> Self {
        Self { owner: LimitOwner::Root, ..Self::new(resource).with_value(value) }
    }

    /// A table of `resource` is full.
    pub(crate) const fn full(resource: Resource, full: Full, heap: &HeapBudget) -> Self {
        match full {
            Full::Limit(value) => Self::new(resource).with_value(value),
            // Without a limit, whose complement is 0, it is the allocator that has no more: there is no
            // value.
            Full::Heap => Self::new(Resource::HeapBytes).with_value(heap.limit()),
        }
    }

    /// What there is no more of.
    pub const fn resource(&self) -> Resource {
        self.resource
    }

    /// Who the limit holds for.
    pub const fn owner(&self) -> LimitOwner {
        self.owner
    }

    /// The most that there may be; `None` if it is not known where the error was made.
    pub const fn value(&self) -> Option<usize> {
        match self.value {
            Some(value) => Some(!value.get()),
            None => None,
        }
    }
}

impl core::error::Error for LimitReached {}

impl PartialEq for LimitReached {
    fn eq(&self, other: &Self) -> bool {
        (self.resource, self.owner) == (other.resource, other.owner)
    }
}

impl Eq for LimitReached {}

impl fmt::Debug for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{}", self.resource, if self.owner == LimitOwner::Root { " of a root" } else { "" })
    }
}

// What is displayed, so that firmware logs the value as it is and not as it is kept.
#[cfg(feature = "defmt")]
impl defmt::Format for LimitReached {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (name, field) = self.resource.texts();
        let (of, by) = match self.owner {
            LimitOwner::Store => ("", ""),
            LimitOwner::Root => (" of one root component", " of Store::set_root_limits"),
        };
        match self.value() {
            Some(value) => {
                defmt::write!(f, "{=str}{=str}, {=usize} ({=str}{=str})", name, of, value, field, by);
            }
            None => defmt::write!(f, "{=str}{=str} ({=str}{=str})", name, of, field, by),
        }
    }
}

impl From<LimitReached> for Error {
    fn from(reached: LimitReached) -> Self {
        Error::Capacity(reached)
    }
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, field) = self.resource.texts();
        f.write_str(name)?;
        if self.owner == LimitOwner::Root {
            f.write_str(" of one root component")?;
        }
        if let Some(value) = self.value() {
            write!(f, ", {value}")?;
        }
        match self.owner {
            LimitOwner::Store => write!(f, " ({field})"),
            LimitOwner::Root => write!(f, " ({field} of Store::set_root_limits)"),
        }
    }
}

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident: $text:literal, $field:literal;)*) => {
        /// What a [`Error::Capacity`](crate::Error::Capacity) ran out of. [`Resource::field`] says what
        /// raises it.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Resource {
            $($(#[$doc])* $name,)*
        }

        impl Resource {
            /// Its name, and the field or function that raises its limit.
            const fn texts(self) -> (&'static str, &'static str) {
                match self {
                    $(Resource::$name => ($text, $field),)*
                }
            }
        }
    };
}

resources! {
    // First those that roots have quotas of: `state::usage` counts them by their place here.
    /// Tasks that have not exited.
    Tasks: "tasks", "Limits::tasks";
    /// Threads that have not exited.
    Threads: "threads", "Limits::threads";
    /// Subtasks and the ends of streams and futures.
    Waitables: "subtasks and stream or future ends", "Limits::waitables";
    /// Waitable sets.
    WaitableSets: "waitable sets", "Limits::sets";
    /// Streams and futures.
    Streams: "streams and futures", "Limits::streams";
    /// Error contexts.
    ErrorContexts: "error contexts", "Limits::error_contexts";
    /// Handles of one instance; of a root, those of all its instances together.
    Handles: "handles", "Limits::handles";
    /// Calls whose arguments wait for the callee to start.
    QueuedCalls: "queued calls", "Limits::queued";
    /// Handles that are lent to running calls.
    Lends: "lent handles", "Limits::lends";
    /// Component instances.
    Instances: "component instances", "Limits::instances";
    /// Threads of one instance.
    ThreadIndices: "threads of an instance", "Limits::thread_indices";
    /// Calls that stand on the native stack.
    Depth: "calls between components on the native stack", "Limits::depth";
    /// Value and function types.
    Types: "types", "Limits::types";
    /// Fields and cases of types.
    TypeItems: "fields and cases of types", "Limits::type_items";
    /// Lifted and lowered functions and their options.
    Functions: "lifted and lowered functions", "Limits::functions";
    /// Resource types.
    ResourceTypes: "resource types", "Limits::resources";
    /// Bytes that the tables of a store allocate; or the allocator has no more.
    HeapBytes: "bytes of the store's tables", "Store::set_heap_limit";
    /// Bytes that the host keeps for values on their way.
    HostBytes: "bytes of host values", "host_bytes of ambient::Limits or of the engine's configuration";
    /// Bytes of one text of the host.
    TextBytes: "bytes of a text", "ambient::Limits::text_bytes";
    /// Elements of one list of the host.
    ListItems: "elements of a list", "ambient::Limits::list_items";
    /// Types of a registry of fixed-length lists.
    ListTypes: "registered list types", "ambient::capacity::LIST_TYPES";
    /// Contexts that somebody holds.
    Contexts: "contexts", "ambient::Limits::contexts";
    /// Values of all contexts.
    ContextValues: "values of contexts", "ambient::Limits::context_values";
    /// Scopes of contexts, one in another.
    ContextScopes: "nested context scopes", "ambient::Limits::context_scopes";
    /// Futures and streams that the host has registered.
    HostWaitables: "the host's futures and streams", "ambient::Limits::host_waitables";
    /// Stack frames of all error contexts of the host.
    StackFrames: "stack frames of error contexts", "ambient::Limits::stack_frames";
    /// Metadata of all error contexts of the host.
    ErrorValues: "metadata of error contexts", "ambient::Limits::error_values";
    /// Tasks of the host that are not freed.
    HostTasks: "tasks of the host", "ambient::Limits::host_tasks";
    /// Metadata of all tasks of the host.
    TaskMetadata: "metadata of tasks", "ambient::Limits::task_metadata";
    /// Values that are local to threads of the host.
    ThreadLocals: "thread-local values", "ambient::Limits::thread_locals";
    /// Bytes of stack that a thread asks for.
    StackBytes: "bytes of a thread's stack", "the engine's configuration";
    /// Signals that are armed.
    Signals: "armed signals", "ambient::Limits::signals";
    /// Tasks of executors that wait for the ambient store.
    Waiters: "tasks that wait for the ambient store", "ambient::capacity::WAITERS";
    // What only an engine knows.
    /// Stacks of guests that run or are suspended.
    GuestStacks: "stacks of guests", "the engine's configuration";
    /// Stack of the machine's thread that runs guests.
    NativeStack: "native stack for calls between components", "run it on a thread with a larger stack";
    /// Bytes that guests cause to be allocated, all told.
    GuestBytes: "memory that guests cause to be allocated", "the engine's configuration";
    /// Bytes of linear memories.
    LinearMemory: "linear memories", "the engine's configuration";
    /// Elements of guests' tables.
    TableElements: "elements of tables", "the engine's configuration";
}

impl Resource {
    /// The field or function that raises its limit: `Limits::sets`.
    pub const fn field(self) -> &'static str {
        self.texts().1
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.texts().0)
    }
}
