//! The spec that this crate implements: its pinned commit, its codes, its limits and its gates.
//! Nothing else in the crate defines any of them.

use crate::setters::setters;

/// The commit of `WebAssembly/component-model` that the code is held against.
pub const PINNED_COMMIT: &str = "6d28164";

/// `Table.MAX_LENGTH`: the largest index of a handle or thread table.
pub const TABLE_MAX_LENGTH: u32 = (1 << 28) - 1;
/// `Buffer.MAX_LENGTH`: the most elements one `stream.read` or `stream.write` may name.
pub const BUFFER_MAX_LENGTH: u32 = (1 << 28) - 1;
/// `MAX_STRING_BYTE_LENGTH`.
pub const MAX_STRING_BYTE_LENGTH: u64 = (1 << 28) - 1;
/// `MAX_LIST_BYTE_LENGTH`.
pub const MAX_LIST_BYTE_LENGTH: u64 = (1 << 28) - 1;
/// The largest `elem_size` of a type.
pub const MAX_ELEM_SIZE: u32 = (1 << 28) - 1;
/// `MAX_FLAT_PARAMS`.
pub const MAX_FLAT_PARAMS: usize = 16;
/// `MAX_FLAT_ASYNC_PARAMS`.
pub const MAX_FLAT_ASYNC_PARAMS: usize = 4;
/// `MAX_FLAT_RESULTS`.
pub const MAX_FLAT_RESULTS: usize = 1;
/// The most core parameters a lowered function has: [`MAX_FLAT_PARAMS`] and a return pointer.
pub const MAX_CORE_PARAMS: usize = MAX_FLAT_PARAMS + 1;
/// How deep a value type may nest; the walk over a value recurses once a level.
pub const MAX_TYPE_DEPTH: u8 = 100;
/// What an `async` built-in answers when it could not finish at once.
pub const BLOCKED: u32 = 0xffff_ffff;
/// `backpressure.inc` traps when the counter reaches this.
pub const BACKPRESSURE_LIMIT: u32 = 1 << 16;

/// `ptr_type`: the core type of pointers into a memory and of lengths of what lies there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PtrType {
    /// Of a memory with 32-bit addresses.
    I32,
    /// 🐘 Of a memory with 64-bit addresses.
    I64,
}

impl PtrType {
    /// `ptr_size`, in bytes.
    pub const fn size(self) -> u32 {
        match self {
            Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// `utf16_tag`: what marks the code units of a `latin1+utf16` string as UTF-16.
    pub const fn utf16_tag(self) -> u64 {
        match self {
            Self::I32 => 1 << 31,
            Self::I64 => 1 << 63,
        }
    }

    /// The code units of a `latin1+utf16` string (the most that there can be stand for all that are more than 32 bits), and whether
    /// they have [`PtrType::utf16_tag`].
    pub(crate) const fn untagged(self, bits: u64) -> (u32, bool) {
        const TAG: u32 = 1 << 31;
        let (low, high) = (bits as u32, bits.wrapping_shr(32) as u32);
        match self {
            Self::I32 => (low & !TAG, low & TAG != 0),
            Self::I64 => (if high & !TAG == 0 { low } else { u32::MAX }, high & TAG != 0),
        }
    }

    /// A pointer or length from the bits of a core value that may be wider, as in the joined payload of a variant.
    pub const fn wrap(self, bits: u64) -> u64 {
        match self {
            Self::I32 => bits as u32 as u64,
            Self::I64 => bits,
        }
    }

    /// A pointer or length as a machine word. One that is larger than any memory of this machine becomes the largest with
    /// the same alignment, which lies in no memory either.
    pub const fn word(self, bits: u64) -> usize {
        let bits = self.wrap(bits);
        let word = bits as usize;
        if word as u64 == bits { word } else { word | !7 }
    }
}

/// `EventCode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
#[non_exhaustive]
pub enum EventCode {
    /// Nothing happened: the answer of a poll, or of a callback's YIELD.
    None = 0,
    /// A subtask made progress.
    Subtask = 1,
    /// A `stream.read` finished.
    StreamRead = 2,
    /// A `stream.write` finished.
    StreamWrite = 3,
    /// A `future.read` finished.
    FutureRead = 4,
    /// A `future.write` finished.
    FutureWrite = 5,
    /// The caller asked for this task's cancellation.
    TaskCancelled = 6,
}

/// `CallbackCode`: what an async function lifted with a callback answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CallbackCode {
    /// The task's implicit thread is done.
    Exit,
    /// Call back when others had their turn.
    Yield,
    /// Call back with the next event of this waitable set.
    Wait(u32),
}

impl CallbackCode {
    /// `CallbackCode.MAX`.
    pub const MAX: u8 = 2;

    /// `unpack_callback_result`: the low four bits are the code, the rest is the set's index.
    /// `None` where the code is above `CallbackCode.MAX`.
    pub const fn unpack(packed: u32) -> Option<Self> {
        match packed & 0xf {
            0 => Some(Self::Exit),
            1 => Some(Self::Yield),
            2 => Some(Self::Wait(packed >> 4)),
            _ => None,
        }
    }
}

/// `CopyResult`: how a read or write ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[non_exhaustive]
pub enum CopyResult {
    /// Some or all elements were copied, and the other end is still there.
    Completed = 0,
    /// The other end was dropped.
    Dropped = 1,
    /// The copy was cancelled.
    Cancelled = 2,
}

/// `Subtask.State`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[non_exhaustive]
pub enum SubtaskState {
    /// The callee has not started (backpressure).
    Starting = 0,
    /// The callee took its arguments.
    Started = 1,
    /// The callee returned a value.
    Returned = 2,
    /// Cancelled before the callee took its arguments.
    CancelledBeforeStarted = 3,
    /// Cancelled before the callee returned a value.
    CancelledBeforeReturned = 4,
}

/// The spec's features that have a gate (an emoji) of their own. 🔀 async is always on.
///
/// A component that uses a feature whose switch is off, or a part of one that is not implemented, is refused with the feature's
/// name and the offset of its first use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Features {
    /// 🚝: the async built-ins whose design may still change (`cancel-read` with `async` and its like).
    pub more_async_builtins: bool,
    /// 🚟: `async` lifts without a callback.
    pub async_stackful: bool,
    /// 🧵: cooperative threads.
    pub threading: bool,
    /// 🧵②: `thread.spawn-*` and `thread.available-parallelism`. Components are refused by name also where it is on: the built-ins are
    /// shared functions, which no engine here has. For one that does they are in [`canon`](crate::canon), cooperative.
    pub shared_threading: bool,
    /// 🔧: fixed-length lists.
    pub fixed_length_lists: bool,
    /// 📝: error contexts.
    pub error_context: bool,
    /// 🐘: 64-bit memories.
    pub memory64: bool,
    /// 🗺️: the `map` type, which is a list of pairs: duplicate keys are passed on.
    pub map: bool,
    /// 🏷️: `implements` and `external-id` on imports and exports.
    pub implements: bool,
    /// 🪺: nested namespaces and packages in names.
    pub nested_names: bool,
    /// 🔗: canonical interface names, with `versionsuffix`.
    pub canonical_names: bool,
    /// 🪙: values that are imported and exported, and the start function. Value definitions, and types that are equal to a value,
    /// are refused.
    pub values: bool,
    /// ➡️: `stream.forward` and `future.forward`.
    pub forward: bool,
}

impl Features {
    /// Everything of which something is implemented.
    pub const ALL: Self = Self {
        more_async_builtins: true,
        async_stackful: true,
        threading: true,
        shared_threading: false,
        fixed_length_lists: true,
        error_context: true,
        memory64: true,
        map: true,
        implements: true,
        nested_names: true,
        canonical_names: true,
        values: true,
        forward: true,
    };

    /// Nothing that has a gate.
    pub const NONE: Self = Self {
        more_async_builtins: false,
        async_stackful: false,
        threading: false,
        shared_threading: false,
        fixed_length_lists: false,
        error_context: false,
        memory64: false,
        map: false,
        implements: false,
        nested_names: false,
        canonical_names: false,
        values: false,
        forward: false,
    };
}

setters!(Features:
    with_more_async_builtins: more_async_builtins: bool, with_async_stackful: async_stackful: bool,
    with_threading: threading: bool, with_shared_threading: shared_threading: bool,
    with_fixed_length_lists: fixed_length_lists: bool, with_error_context: error_context: bool,
    with_memory64: memory64: bool, with_map: map: bool, with_implements: implements: bool,
    with_nested_names: nested_names: bool, with_canonical_names: canonical_names: bool, with_values: values: bool,
    with_forward: forward: bool,
);

impl Default for Features {
    fn default() -> Self {
        Self::ALL
    }
}
