//! Typed ids: what the parts of the store call each other by.
//!
//! Two kinds. A *generational* id ([`ThreadId`], [`TaskId`], ..) names something that is freed and
//! whose slot is used again; a stale one is told from a live one by its generation. A *link-time*
//! index ([`TypeId`], [`OptsId`], ..) names something made when a component is linked, which
//! lives as long as the store. Guests see neither: they hold handles (`u32` indices into their
//! instance's table), as the spec has it.
//!
//! With the feature `alloc` a generational id is two words. Without, those of the core are one: 12 bits of index, so that no table of a
//! bounded profile has more than 4095 places (a compile-time error), and 20 of generation. A place that was filled 1,048,575 times
//! begins again with generation 1, and an id that somebody kept all that time may name what is there then. The core keeps none of what
//! is gone. The host's own, which it keeps as long as it likes ([`HostTaskId`], ..), are two words everywhere.

use core::num::NonZeroU32;

use crate::spec::PtrType;
use crate::storage::{Key, Narrow, Wide};

macro_rules! generational {
    ($made_of:ident: $($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name($made_of);

        impl Key for $name {
            type Made = $made_of;
            const SLOTS: usize = $made_of::SLOTS;
            const NONE: Self = Self($made_of::NONE);
            fn new(index: u32, stamp: NonZeroU32) -> Self { Self($made_of::new(index, stamp)) }
            fn index(self) -> u32 { self.0.index() }
            fn stamp(self) -> NonZeroU32 { self.0.stamp() }
            fn generation(self) -> NonZeroU32 { self.0.generation() }
            fn after(index: u32, generation: u32) -> Self { Self($made_of::after(index, generation)) }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({}.{})", stringify!($name), self.0.index(), self.0.generation())
            }
        }

        impl $name {
            /// The slot's index: dense and small, so an engine can keep what belongs to it in an array.
            /// Used again after the thing is freed; compare whole ids to tell generations apart.
            pub fn index(self) -> usize { self.0.index() as usize }

            /// The whole id as a number: the index below, the generation above.
            pub fn as_u64(self) -> u64 { (self.0.generation().get() as u64) << 32 | self.0.index() as u64 }
        }
    )*};
}

macro_rules! link_time {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name(u32);

        impl $name {
            /// The id with this index. Ids are handed out by the store; an embedder makes one itself only
            /// for the tables that it owns ([`FuncRef`], and likewise [`MemoryRef`] and [`TableRef`]).
            pub const fn from_index(index: u32) -> Self { Self(index) }
            /// The index, dense from 0.
            pub const fn index(self) -> usize { self.0 as usize }
            /// The index as it is stored.
            pub const fn as_u32(self) -> u32 { self.0 }
        }
    )*};
}

generational! {
    Narrow:
    /// A thread: the spec's `Thread`.
    ThreadId;
    /// A task: the spec's `Task`.
    TaskId;
    /// A subtask or the end of a stream or future: the spec's `Waitable`.
    WaitableId;
    /// A waitable set: the spec's `WaitableSet`.
    SetId;
    /// What the two ends of a stream or future share: the spec's `SharedBase`.
    SharedId;
    /// An error context: the spec's `ErrorContext`.
    ErrorContextId;
    /// Flat arguments of a call that could not start yet.
    ArgsId;
    /// One lent handle of a subtask.
    LendId;
}

// The host keeps these as long as it likes, so a number is never another's.
generational! {
    Wide:
    /// A context of the host: [`AsyncContext`](crate::context::AsyncContext).
    ContextId;
    /// A task as the host has it: [`task`](crate::task). Its number is never another task's, after a reset of the ambient store neither;
    /// with `std` it means nothing on another thread of the operating system, which has a store of its own.
    HostTaskId;
    /// What the host knows of an error context: [`ErrorContextId`](crate::error_context::ErrorContextId).
    HostErrorId;
    /// A key of the host with its value, in a table that many owners share.
    PairId;
    /// A signal that is armed: [`Signal`](crate::ambient::Signal).
    SignalId;
}

link_time! {
    /// A component instance: the spec's `ComponentInstance`.
    InstanceId;
    /// A value type, interned: equal types of one store have equal ids.
    TypeId;
    /// A function type, interned.
    FuncTypeId;
    /// A resource type: one for each definition in each instance.
    ResourceId;
    /// A set of canonical options (`CanonicalOptions`) of one instance.
    OptsId;
    /// A component function: the result of a `canon lift`.
    LiftId;
    /// A `canon lower`: a component function made callable for one instance.
    LowerId;
    /// A core function, in a table that the engine keeps.
    FuncRef;
    /// A call that the host made, as the host numbers it.
    HostCall;
}

/// A thread that the host spawned, which is a task of the host: [`threading`](crate::threading).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HostThreadId(pub(crate) HostTaskId);

impl HostThreadId {
    /// The task.
    pub fn task(self) -> HostTaskId {
        self.0
    }

    /// The whole id as a number.
    pub fn as_u64(self) -> u64 {
        self.0.as_u64()
    }
}

macro_rules! typed {
    ($($(#[$doc:meta])* $name:ident, $(#[$with_doc:meta])* $with:ident, $(#[$ty_doc:meta])* $ty:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        // The index + 1, so that `None` takes no word of its own.
        pub struct $name(NonZeroU32);

        impl $name {
            /// The bit that says [`PtrType::I64`].
            const WIDE: u32 = 1 << 31;

            /// The id with this index, and [`PtrType::I32`]. The index is below 2^31 - 1; its top bit is dropped.
            pub const fn from_index(index: u32) -> Self {
                Self::new(index, 0)
            }

            $(#[$with_doc])*
            pub const fn $with(self, ty: PtrType) -> Self {
                match ty {
                    PtrType::I32 => Self::new(self.index() as u32, 0),
                    PtrType::I64 => Self::new(self.index() as u32, Self::WIDE),
                }
            }

            const fn new(index: u32, wide: u32) -> Self {
                match NonZeroU32::new(index.wrapping_add(1) & !Self::WIDE | wide) {
                    Some(id) => Self(id),
                    None => Self(NonZeroU32::MIN),
                }
            }

            /// The index, as the engine gave it.
            pub const fn index(self) -> usize {
                (self.0.get() & !Self::WIDE).wrapping_sub(1) as usize
            }

            $(#[$ty_doc])*
            pub const fn $ty(self) -> PtrType {
                if self.0.get() & Self::WIDE == 0 { PtrType::I32 } else { PtrType::I64 }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({}, {:?})", stringify!($name), self.index(), self.$ty())
            }
        }
    )*};
}

typed! {
    /// A linear memory, in a table that the engine keeps: the spec's `MemInst`. Its `addrtype` is part of the id, so that
    /// whoever names a memory knows how wide its pointers are.
    MemoryRef,
    /// The same with addresses of this type.
    with_addresses,
    /// `MemInst.ptr_type`.
    ptr_type;

    /// A core table, in a table that the engine keeps, as `thread.new-indirect` names it: with what the function takes that
    /// a thread begins with.
    TableRef,
    /// The same for functions that take one of these.
    with_start,
    /// `$ft` of `thread.new-indirect`: `(func (param i32))`, or 🐘 `(func (param i64))`.
    start_type;
}
