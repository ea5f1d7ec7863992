//! How much the ambient store holds: the same figures on every tier.

use crate::error::Error;
use crate::setters::setters;
#[cfg(feature = "alloc")]
use crate::storage::Growable;
#[cfg(feature = "alloc")]
use crate::storage::{Blank, Slots};

/// Capacities of the ambient store, which the environment of the build can set: `CANON_ASYNC_TASKS=4 cargo build`, for each
/// constant the variable of its name. Without a heap they are what its statics hold; with one, the limits that it starts with,
/// which [`configure`](super::configure) changes at run time. A build in which one is no number, or too large, fails and says so; so does one
/// without a heap in which there are more than 4095 tasks, threads, waitables, sets, streams, error contexts, queued calls or lends
/// ([`id`](crate::id) says why).
pub mod capacity {
    /// The value of a variable, or the default.
    const fn capacity(value: Option<&str>, default: usize, at_most: usize, message: &str) -> usize {
        let Some(text) = value else { return default };
        let (digits, mut number, mut at) = (text.as_bytes(), 0usize, 0);
        while at < digits.len() {
            assert!(digits[at].is_ascii_digit() && number <= at_most, "{}", message);
            number = number * 10 + (digits[at] - b'0') as usize;
            at += 1;
        }
        assert!(at > 0 && number <= at_most, "{}", message);
        number
    }

    macro_rules! capacities {
        ($($(#[$doc:meta])* $name:ident = $default:literal in 0..=$most:literal;)*) => {$(
            $(#[$doc])*
            #[doc = concat!("\n\nSet by `CANON_ASYNC_", stringify!($name), "`; ", stringify!($default), " by default.")]
            pub const $name: usize = capacity(
                option_env!(concat!("CANON_ASYNC_", stringify!($name))),
                $default,
                $most,
                concat!(
                    "CANON_ASYNC_",
                    stringify!($name),
                    " must be a whole number of at most ",
                    stringify!($most),
                ),
            );
        )*};
    }

    capacities! {
        /// [`Limits::instances`](crate::Limits::instances). The host is one.
        INSTANCES = 4 in 0..=65536;
        /// [`Limits::handles`](crate::Limits::handles).
        HANDLES = 32 in 0..=1048576;
        /// [`Limits::thread_indices`](crate::Limits::thread_indices).
        THREAD_INDICES = 8 in 0..=1048576;
        /// [`Limits::tasks`](crate::Limits::tasks).
        TASKS = 16 in 0..=1048576;
        /// [`Limits::threads`](crate::Limits::threads).
        THREADS = 16 in 0..=1048576;
        /// [`Limits::waitables`](crate::Limits::waitables).
        WAITABLES = 16 in 0..=1048576;
        /// [`Limits::sets`](crate::Limits::sets).
        SETS = 8 in 0..=1048576;
        /// [`Limits::streams`](crate::Limits::streams).
        STREAMS = 8 in 0..=1048576;
        /// [`Limits::error_contexts`](crate::Limits::error_contexts).
        ERROR_CONTEXTS = 8 in 0..=1048576;
        /// [`Limits::message_bytes`](crate::Limits::message_bytes).
        MESSAGE_BYTES = 64 in 0..=256;
        /// [`Limits::queued`](crate::Limits::queued).
        QUEUED = 4 in 0..=1048576;
        /// [`Limits::lends`](crate::Limits::lends).
        LENDS = 4 in 0..=1048576;
        /// [`Limits::types`](crate::Limits::types).
        TYPES = 16 in 0..=1048576;
        /// [`Limits::type_items`](crate::Limits::type_items).
        TYPE_ITEMS = 32 in 0..=1048576;
        /// [`Limits::resources`](crate::Limits::resources).
        RESOURCES = 2 in 0..=1048576;
        /// [`Limits::functions`](crate::Limits::functions).
        FUNCTIONS = 16 in 0..=1048576;
        /// [`Limits::depth`](crate::Limits::depth).
        DEPTH = 16 in 0..=10000;

        /// Bytes of one text of the host: a key, a name, a string among values.
        TEXT_BYTES = 64 in 0..=65536;
        /// Elements of one list of the host.
        LIST_ITEMS = 16 in 0..=65536;
        /// Types of one registry of fixed-length lists.
        LIST_TYPES = 16 in 0..=65536;
        /// Bytes of the host's memory, in which values wait that guests read and write.
        HOST_BYTES = 1024 in 0..=1073741824;
        /// Contexts that somebody holds.
        CONTEXTS = 8 in 0..=65536;
        /// Values of all contexts together.
        CONTEXT_VALUES = 16 in 0..=65536;
        /// How deep scopes of contexts nest.
        CONTEXT_SCOPES = 8 in 0..=65536;
        /// Futures and streams that the host has registered.
        HOST_WAITABLES = 8 in 0..=65536;
        /// Stack frames of all error contexts together.
        STACK_FRAMES = 16 in 0..=65536;
        /// Metadata of all error contexts together.
        ERROR_VALUES = 16 in 0..=65536;
        /// Tasks of the host that are not freed, its threads among them.
        HOST_TASKS = 16 in 0..=65536;
        /// Metadata of all tasks of the host together.
        TASK_METADATA = 16 in 0..=65536;
        /// Values that are local to threads of the host, of all of them together.
        THREAD_LOCALS = 16 in 0..=65536;
        /// Signals that are armed. A static that interrupts reach has room for so many, so that with a heap, too, the limit is not raised above it.
        SIGNALS = 8 in 0..=1024;
        /// Tasks of executors that wait for the ambient store at once ([`until`](crate::ambient::until)). In the same static, and so no limit that a store sets.
        WAITERS = 4 in 0..=64;
    }
}

use capacity as c;

/// The profile of the ambient store: [`Heap`](crate::Heap) with the feature `alloc`, and without it a profile of the capacities of
/// [`capacity`].
#[cfg(feature = "alloc")]
pub type Tier = crate::storage::Heap;
/// The profile of the ambient store: `Heap` with the feature `alloc`, and without it a profile of the capacities of [`capacity`].
#[cfg(not(feature = "alloc"))]
pub type Tier = Bounded;
#[cfg(not(feature = "alloc"))]
pub use bounded::Bounded;

#[cfg(not(feature = "alloc"))]
mod bounded {
    use super::capacity::*;
    crate::bounded! {
        /// The profile of the ambient store without a heap.
        pub Bounded {
            instances: INSTANCES, handles: HANDLES, thread_indices: THREAD_INDICES, tasks: TASKS, threads: THREADS,
            waitables: WAITABLES, sets: SETS, streams: STREAMS, error_contexts: ERROR_CONTEXTS,
            message_bytes: MESSAGE_BYTES, queued: QUEUED, lends: LENDS, types: TYPES, type_items: TYPE_ITEMS,
            resources: RESOURCES, functions: FUNCTIONS, depth: DEPTH as u32,
        }
    }
}

/// What the ambient store may hold: what is the core's, and what is the host's alone. 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Limits {
    /// The core's. Of some each root component may hold half: [`Store::set_root_limits`](crate::Store::set_root_limits) on
    /// [`core`](super::core)'s store changes that.
    pub core: crate::Limits,
    /// Bytes of one text.
    pub text_bytes: u32,
    /// Elements of one list.
    pub list_items: u32,
    /// Bytes of the host's memory.
    pub host_bytes: u32,
    /// Contexts that somebody holds.
    pub contexts: u32,
    /// Values of all contexts together.
    pub context_values: u32,
    /// How deep scopes of contexts nest.
    pub context_scopes: u32,
    /// Futures and streams that the host has registered.
    pub host_waitables: u32,
    /// Stack frames of all error contexts together.
    pub stack_frames: u32,
    /// Metadata of all error contexts together.
    pub error_values: u32,
    /// Tasks of the host that are not freed, its threads among them.
    pub host_tasks: u32,
    /// Metadata of all tasks of the host together.
    pub task_metadata: u32,
    /// Values that are local to threads of the host, of all of them together.
    pub thread_locals: u32,
    /// Signals that are armed: on every tier at most [`capacity::SIGNALS`].
    pub signals: u32,
}

setters!(Limits:
    with_core: core: crate::Limits, with_text_bytes: text_bytes: u32, with_list_items: list_items: u32,
    with_host_bytes: host_bytes: u32, with_contexts: contexts: u32, with_context_values: context_values: u32,
    with_context_scopes: context_scopes: u32, with_host_waitables: host_waitables: u32,
    with_stack_frames: stack_frames: u32, with_error_values: error_values: u32, with_host_tasks: host_tasks: u32,
    with_task_metadata: task_metadata: u32, with_thread_locals: thread_locals: u32, with_signals: signals: u32,
);

impl Limits {
    /// The figures of [`capacity`].
    pub const DEFAULT: Self = Self {
        core: crate::Limits {
            instances: c::INSTANCES as u32,
            handles: c::HANDLES as u32,
            thread_indices: c::THREAD_INDICES as u32,
            tasks: c::TASKS as u32,
            threads: c::THREADS as u32,
            waitables: c::WAITABLES as u32,
            sets: c::SETS as u32,
            streams: c::STREAMS as u32,
            error_contexts: c::ERROR_CONTEXTS as u32,
            message_bytes: c::MESSAGE_BYTES as u32,
            queued: c::QUEUED as u32,
            lends: c::LENDS as u32,
            types: c::TYPES as u32,
            type_items: c::TYPE_ITEMS as u32,
            resources: c::RESOURCES as u32,
            functions: c::FUNCTIONS as u32,
            depth: c::DEPTH as u32,
        },
        text_bytes: c::TEXT_BYTES as u32,
        list_items: c::LIST_ITEMS as u32,
        host_bytes: c::HOST_BYTES as u32,
        contexts: c::CONTEXTS as u32,
        context_values: c::CONTEXT_VALUES as u32,
        context_scopes: c::CONTEXT_SCOPES as u32,
        host_waitables: c::HOST_WAITABLES as u32,
        stack_frames: c::STACK_FRAMES as u32,
        error_values: c::ERROR_VALUES as u32,
        host_tasks: c::HOST_TASKS as u32,
        task_metadata: c::TASK_METADATA as u32,
        thread_locals: c::THREAD_LOCALS as u32,
        signals: c::SIGNALS as u32,
    };

    /// Whether the tier's storage can hold as much: without a heap, limits only lower what was compiled in.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.signals > Self::DEFAULT.signals {
            return Err(Error::Misuse(
                "the limit of signals can't be above the capacity that was compiled in",
            ));
        }
        let host = self.host().into_iter().zip(Self::DEFAULT.host()).all(|(limit, most)| limit <= most);
        if cfg!(feature = "alloc") || (host && self.core.is_within(&Self::DEFAULT.core)) {
            return Ok(());
        }
        Err(Error::Misuse("without a heap, limits can't be above the capacities that were compiled in"))
    }

    fn host(&self) -> [u32; 12] {
        [
            self.text_bytes,
            self.list_items,
            self.host_bytes,
            self.contexts,
            self.context_values,
            self.context_scopes,
            self.host_waitables,
            self.stack_frames,
            self.error_values,
            self.host_tasks,
            self.task_metadata,
            self.thread_locals,
        ]
    }
}

/// Storage of the host's tables: without a heap an array of `N`; with one it grows, up to the [`Limits`].
#[cfg(not(feature = "alloc"))]
pub(crate) type Room<T, const N: usize> = crate::storage::Fixed<T, N>;

/// Storage of the host's tables: without a heap an array of `N`; with one it grows, up to the [`Limits`].
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub(crate) struct Room<T, const N: usize>(Growable<T>);

#[cfg(feature = "alloc")]
impl<T: Blank, const N: usize> Slots<T> for Room<T, N> {
    const EMPTY: Self = Self(Growable::EMPTY);
    const CAPACITY: usize = <Growable<T> as Slots<T>>::CAPACITY;

    fn as_slice(&self) -> &[T] {
        self.0.as_slice()
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        self.0.as_mut_slice()
    }

    fn grow(&mut self) -> bool {
        self.0.grow()
    }

    fn clear_with(&mut self, forget: impl FnMut(&mut T)) {
        self.0.clear_with(forget);
    }
}
