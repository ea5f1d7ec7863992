//! Profiles: which storage each role has, and how much of it.

use super::{Entry, Hashed, Slot, Slots};
use crate::abi::types::{FuncType, ResourceType, TypeInfo, TypeItem};
use crate::id::ThreadId;
use crate::setters::setters;
use crate::state::{
    ErrorContext, Handle, Instance, Lend, Lift, Lower, Options, QueuedArgs, Shared, Task, Thread, Waitable,
    WaitableSet,
};

/// The storage of a [`Store`](crate::Store), a type for each role.
///
/// Made by [`bounded!`](crate::bounded), or [`Heap`](crate::Heap); nobody needs to write one.
#[allow(missing_docs, reason = "each is what it is called; `Limits` says what they hold")]
pub trait Profile: Sized + 'static {
    type Instances: Slots<Instance<Self::Handles, Self::ThreadIndices>>;
    type Handles: Slots<Entry<Handle>>;
    type ThreadIndices: Slots<Entry<ThreadId>>;
    type Tasks: Slots<Slot<Task>>;
    type Threads: Slots<Slot<Thread>>;
    type Waitables: Slots<Slot<Waitable>>;
    type Sets: Slots<Slot<WaitableSet>>;
    type Streams: Slots<Slot<Shared>>;
    type ErrorContexts: Slots<Slot<ErrorContext<Self::Message>>>;
    type Message: Slots<u8>;
    type Queued: Slots<Slot<QueuedArgs>>;
    type Lends: Slots<Slot<Lend>>;
    type Types: Slots<Hashed<TypeInfo>>;
    type TypeItems: Slots<TypeItem>;
    type FuncTypes: Slots<Hashed<FuncType>>;
    type Resources: Slots<ResourceType>;
    type Options: Slots<Options>;
    type Lifts: Slots<Lift>;
    type Lowers: Slots<Lower>;
    /// The runtime limits that a new store starts with.
    const LIMITS: Limits;
}

/// How much of each role a store may hold. On the heap tier these are what bounds it; on a bounded tier they
/// can lower the capacities of the profile, not raise them. 0 is none at all, `u32::MAX` as many as the storage has room for.
///
/// ```ignore-none
/// use canon_async::Limits;
///
/// let limits = Limits::STORAGE.with_tasks(100).with_depth(20);
/// assert_eq!((limits.tasks, limits.depth), (100, 20));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Limits {
    /// Component instances.
    pub instances: u32,
    /// Handles of one instance.
    pub handles: u32,
    /// Threads of one instance that have an index.
    pub thread_indices: u32,
    /// Tasks that have not exited.
    pub tasks: u32,
    /// Threads that have not exited.
    pub threads: u32,
    /// Subtasks and the ends of streams and futures.
    pub waitables: u32,
    /// Waitable sets.
    pub sets: u32,
    /// Streams and futures.
    pub streams: u32,
    /// 📝 Error contexts.
    pub error_contexts: u32,
    /// 📝 Bytes of an error context's message, which lie in place, so that no guest chooses how much is allocated; the rest of a
    /// longer one is cut off. On the heap tier the capacity is 256.
    pub message_bytes: u32,
    /// Calls whose arguments wait for the callee to start.
    pub queued: u32,
    /// Lent handles.
    pub lends: u32,
    /// Value types, and as many function types.
    pub types: u32,
    /// Fields and cases of all types.
    pub type_items: u32,
    /// Resource types.
    pub resources: u32,
    /// Lifted functions, and as many lowered ones and options.
    pub functions: u32,
    /// How deep calls between components nest on the native stack. Choose it for the stack that the store is driven on:
    /// a level takes several times as much in an unoptimised build.
    pub depth: u32,
}

impl Limits {
    /// No limit beyond the storage's capacities, and a nesting depth of 100.
    pub const STORAGE: Self = Self {
        instances: u32::MAX,
        handles: u32::MAX,
        thread_indices: u32::MAX,
        tasks: u32::MAX,
        threads: u32::MAX,
        waitables: u32::MAX,
        sets: u32::MAX,
        streams: u32::MAX,
        error_contexts: u32::MAX,
        message_bytes: u32::MAX,
        queued: u32::MAX,
        lends: u32::MAX,
        types: u32::MAX,
        type_items: u32::MAX,
        resources: u32::MAX,
        functions: u32::MAX,
        depth: 100,
    };

    /// Whether none is above another's.
    pub(crate) fn is_within(&self, most: &Self) -> bool {
        self.figures().into_iter().zip(most.figures()).all(|(limit, most)| limit <= most)
    }

    fn figures(&self) -> [u32; 17] {
        [
            self.instances,
            self.handles,
            self.thread_indices,
            self.tasks,
            self.threads,
            self.waitables,
            self.sets,
            self.streams,
            self.error_contexts,
            self.message_bytes,
            self.queued,
            self.lends,
            self.types,
            self.type_items,
            self.resources,
            self.functions,
            self.depth,
        ]
    }

    /// The limits of the heap tier: a hundred thousand tasks and more, a few hundred megabytes at the very most; a
    /// nesting depth that fits a thread of 2 MiB even unoptimised.
    pub const HEAP: Self = Self {
        instances: 10_000,
        handles: 1_000_000,
        thread_indices: 200_000,
        tasks: 200_000,
        threads: 200_000,
        waitables: 1_000_000,
        sets: 200_000,
        streams: 500_000,
        error_contexts: 200_000,
        message_bytes: 256,
        queued: 200_000,
        lends: 200_000,
        types: 1_000_000,
        type_items: 4_000_000,
        resources: 100_000,
        functions: 1_000_000,
        depth: 40,
    };
}

setters!(Limits:
    with_instances: instances: u32, with_handles: handles: u32, with_thread_indices: thread_indices: u32,
    with_tasks: tasks: u32, with_threads: threads: u32, with_waitables: waitables: u32, with_sets: sets: u32,
    with_streams: streams: u32, with_error_contexts: error_contexts: u32, with_message_bytes: message_bytes: u32,
    with_queued: queued: u32, with_lends: lends: u32, with_types: types: u32, with_type_items: type_items: u32,
    with_resources: resources: u32, with_functions: functions: u32, with_depth: depth: u32,
);

/// Implements [`Profile`] with one generic storage for every role.
#[cfg(feature = "alloc")]
macro_rules! profile_impl {
    ($name:ident, $storage:ident) => {
        impl super::Profile for $name {
            type Instances = $storage<crate::state::Instance<Self::Handles, Self::ThreadIndices>>;
            type Handles = $storage<super::Entry<crate::state::Handle>>;
            type ThreadIndices = $storage<super::Entry<crate::id::ThreadId>>;
            type Tasks = $storage<super::Slot<crate::state::Task>>;
            type Threads = $storage<super::Slot<crate::state::Thread>>;
            type Waitables = $storage<super::Slot<crate::state::Waitable>>;
            type Sets = $storage<super::Slot<crate::state::WaitableSet>>;
            type Streams = $storage<super::Slot<crate::state::Shared>>;
            type ErrorContexts = $storage<super::Slot<crate::state::ErrorContext<Self::Message>>>;
            type Message = super::Fixed<u8, { super::Limits::HEAP.message_bytes as usize }>;
            type Queued = $storage<super::Slot<crate::state::QueuedArgs>>;
            type Lends = $storage<super::Slot<crate::state::Lend>>;
            type Types = $storage<super::Hashed<crate::abi::types::TypeInfo>>;
            type TypeItems = $storage<crate::abi::types::TypeItem>;
            type FuncTypes = $storage<super::Hashed<crate::abi::types::FuncType>>;
            type Resources = $storage<crate::abi::types::ResourceType>;
            type Options = $storage<crate::state::Options>;
            type Lifts = $storage<crate::state::Lift>;
            type Lowers = $storage<crate::state::Lower>;
            const LIMITS: super::Limits = super::Limits::HEAP;
        }
    };
}
#[cfg(feature = "alloc")]
pub(crate) use profile_impl;

/// How many of each role a store of a [`bounded!`](crate::bounded) profile has room for. [`Limits`] says what
/// each role holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs, reason = "each is that of `Limits`")]
pub struct Capacities {
    pub instances: usize,
    pub handles: usize,
    pub thread_indices: usize,
    pub tasks: usize,
    pub threads: usize,
    pub waitables: usize,
    pub sets: usize,
    pub streams: usize,
    pub error_contexts: usize,
    pub message_bytes: usize,
    pub queued: usize,
    pub lends: usize,
    pub types: usize,
    pub type_items: usize,
    pub resources: usize,
    pub functions: usize,
    pub depth: u32,
}

/// Defines a profile with fixed capacities, for stores that live in a `static` and need no allocator.
///
/// Every capacity is named, in any order; see [`Limits`](crate::Limits) for what each holds. One that is
/// missing is a compile error with its name. A store of the profile has a size that the compiler knows, so a
/// RAM budget can be a compile-time check; its `CAPACITIES` are a constant, too:
///
/// ```ignore-none
/// use canon_async::{Store, bounded};
///
/// bounded! {
///     /// Two small components.
///     pub Firmware {
///         instances: 4, handles: 16, thread_indices: 4, tasks: 4, threads: 6, waitables: 8, sets: 4,
///         streams: 4, error_contexts: 2, message_bytes: 64, queued: 2, lends: 2, types: 32, type_items: 32,
///         resources: 2, functions: 16, depth: 8,
///     }
/// }
///
/// const _: () = assert!(size_of::<Store<Firmware>>() <= 12 * 1024);
/// let store: Store<Firmware> = Store::new();
/// # assert!(store.is_idle());
/// assert_eq!(Firmware::CAPACITIES.tasks, 4);
/// ```
///
/// A capacity that is left out:
///
/// ```compile_fail,E0063
/// canon_async::bounded! {
///     // error[E0063]: missing field `sets` in initializer of `Capacities`
///     Small {
///         instances: 2, handles: 8, thread_indices: 4, tasks: 2, threads: 2, waitables: 4, streams: 2,
///         error_contexts: 1, message_bytes: 32, queued: 1, lends: 1, types: 8, type_items: 8, resources: 1,
///         functions: 4, depth: 4,
///     }
/// }
/// ```
// A literal of a struct, so that it is the compiler that says what is missing, unknown or there twice.
#[macro_export]
macro_rules! bounded {
    ($(#[$meta:meta])* $vis:vis $name:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug)]
        $vis struct $name;

        impl $name {
            /// How much a store of this profile has room for.
            $vis const CAPACITIES: $crate::profile::Capacities =
                $crate::profile::Capacities { $($field: $value),* };
        }

        impl $crate::profile::Profile for $name {
            type Instances = $crate::profile::Fixed<
                $crate::profile::Instance<Self::Handles, Self::ThreadIndices>,
                { $name::CAPACITIES.instances },
            >;
            type Handles = $crate::profile::Fixed<
                $crate::profile::Entry<$crate::profile::Handle>,
                { $name::CAPACITIES.handles },
            >;
            type ThreadIndices = $crate::profile::Fixed<
                $crate::profile::Entry<$crate::profile::ThreadId>,
                { $name::CAPACITIES.thread_indices },
            >;
            type Tasks = $crate::profile::Fixed<
                $crate::profile::Slot<$crate::profile::Task>,
                { $name::CAPACITIES.tasks },
            >;
            type Threads = $crate::profile::Fixed<
                $crate::profile::Slot<$crate::profile::Thread>,
                { $name::CAPACITIES.threads },
            >;
            type Waitables = $crate::profile::Fixed<
                $crate::profile::Slot<$crate::profile::Waitable>,
                { $name::CAPACITIES.waitables },
            >;
            type Sets = $crate::profile::Fixed<
                $crate::profile::Slot<$crate::profile::WaitableSet>,
                { $name::CAPACITIES.sets },
            >;
            type Streams = $crate::profile::Fixed<
                $crate::profile::Slot<$crate::profile::Shared>,
                { $name::CAPACITIES.streams },
            >;
            type ErrorContexts = $crate::profile::Fixed<
                $crate::profile::Slot<$crate::profile::ErrorContext<Self::Message>>,
                { $name::CAPACITIES.error_contexts },
            >;
            type Message = $crate::profile::Fixed<u8, { $name::CAPACITIES.message_bytes }>;
            type Queued = $crate::profile::Fixed<
                $crate::profile::Slot<$crate::profile::QueuedArgs>,
                { $name::CAPACITIES.queued },
            >;
            type Lends = $crate::profile::Fixed<
                $crate::profile::Slot<$crate::profile::Lend>,
                { $name::CAPACITIES.lends },
            >;
            type Types = $crate::profile::Fixed<
                $crate::profile::Hashed<$crate::profile::TypeInfo>,
                { $name::CAPACITIES.types },
            >;
            type TypeItems =
                $crate::profile::Fixed<$crate::profile::TypeItem, { $name::CAPACITIES.type_items }>;
            type FuncTypes = $crate::profile::Fixed<
                $crate::profile::Hashed<$crate::profile::FuncType>,
                { $name::CAPACITIES.types },
            >;
            type Resources =
                $crate::profile::Fixed<$crate::profile::ResourceType, { $name::CAPACITIES.resources }>;
            type Options = $crate::profile::Fixed<$crate::profile::Options, { $name::CAPACITIES.functions }>;
            type Lifts = $crate::profile::Fixed<$crate::profile::Lift, { $name::CAPACITIES.functions }>;
            type Lowers = $crate::profile::Fixed<$crate::profile::Lower, { $name::CAPACITIES.functions }>;
            const LIMITS: $crate::Limits = $crate::Limits::STORAGE.with_depth($name::CAPACITIES.depth);
        }
    };
}
