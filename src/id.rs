//! Typed ids: what the parts of the store call each other by.
//!
//! Two kinds. A *generational* id ([`ThreadId`], [`TaskId`], ..) names something that is freed and
//! whose slot is used again; a stale one is told from a live one by its generation. A *link-time*
//! index ([`TypeId`], [`OptsId`], ..) names something made when a component is linked, which
//! lives as long as the store. Guests see neither: they hold handles (`u32` indices into their
//! instance's table), as the spec has it.

use core::num::NonZeroU32;

macro_rules! generational {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name { index: u32, generation: NonZeroU32 }

        impl crate::storage::Key for $name {
            fn new(index: u32, generation: NonZeroU32) -> Self { Self { index, generation } }
            fn index(self) -> u32 { self.index }
            fn generation(self) -> NonZeroU32 { self.generation }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({}.{})", stringify!($name), self.index, self.generation)
            }
        }

        impl $name {
            /// The slot's index: dense and small, so an engine can keep what belongs to it in an array.
            /// Used again after the thing is freed; compare whole ids to tell generations apart.
            pub fn index(self) -> usize { self.index as usize }
        }
    )*};
}

macro_rules! link_time {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(u32);

        impl $name {
            /// The id with this index. Ids are handed out by the store; an embedder makes one itself only
            /// for the tables that it owns ([`FuncRef`], [`MemoryRef`], [`TableRef`]).
            pub const fn from_index(index: u32) -> Self { Self(index) }
            /// The index, dense from 0.
            pub const fn index(self) -> usize { self.0 as usize }
            /// The index as it is stored.
            pub const fn as_u32(self) -> u32 { self.0 }
        }
    )*};
}

generational! {
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
    /// A linear memory, in a table that the engine keeps.
    MemoryRef;
    /// A core table, in a table that the engine keeps.
    TableRef;
    /// A call that the host made, as the host numbers it.
    HostCall;
}
