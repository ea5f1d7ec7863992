//! The WebAssembly Component Model's async canonical built-ins as a state machine that any engine can embed.
//!
//! | module | what it is |
//! |---|---|
//! | [`embedding`] | [`Embedding`]: everything that an engine gives, as one trait |
//! | [`canon`] | the built-ins, one function each, in the spec's order; `canon lift` and `canon lower` |
//! | [`run`] | the only code that resumes a thread; [`run::call`] and [`run::tick`] for the host |
//! | [`store`] | [`Store`]: owns everything, and what touches several things at once |
//! | [`state`] | what is linked: lifts, lowers, options |
//! | [`abi`] | the types of values |
//! | [`profile`] | what a store is made of: [`bounded!`], [`Heap`], and what a profile of one's own takes |
//! | [`spec`] | the pinned commit, codes, limits, [`spec::Features`] |
//! | [`ambient`] | the ambient store of the host-facing modules, its limits, its values |
//! | [`context`] | values that follow what the host does, scope by scope |
//! | [`threading`] | guests' functions as threads that the host spawns |
//! | [`task`] | the host's tasks: its own, and its calls of guests |
//! | [`fixed_list`] | 🔧 lists of fixed length, typed and of run time |
//! | [`error_context`] | 📝 errors of the host: severity, stack frames, metadata, causes |
//! | [`waitable_set`] | futures, streams, calls and sets, waited for by the host |
//! | [`clock`] | time, as a trait |
//! | [`error`] | [`Error`], by blame |
//! | [`event`] | what is told to `log` and `tracing` |
//! | [`id`] | typed ids |
//!
//! The README shows a whole embedding in 40 lines.
//!
//! # Protocol
//!
//! Link first: instances, types, options, lifts and lowers, with the methods of [`Store`]; core instances are made
//! between [`canon::lift::start_enter`] and [`canon::lift::start_leave`]. Then [`run::call`] starts a component function,
//! and [`run::tick`] is called until nothing is ready, or until the task resolves ([`run::run_until`]). While guest
//! code runs, the engine gives its calls of built-ins to [`canon::call`] or the built-in's own function. Everything
//! answers `Result<_, `[`Error`]`>`; an error on its way out of a guest is given back to the core as it is.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod abi;
pub mod ambient;
pub mod canon;
pub mod clock;
pub mod context;
pub mod embedding;
pub mod error;
pub mod error_context;
pub mod event;
pub mod fixed_list;
pub mod id;
mod message;
pub mod profile;
mod raise;
pub mod run;
mod setters;
pub mod spec;
pub mod state;
#[doc(hidden)]
pub mod storage;
pub mod store;
pub mod task;
pub mod threading;
pub mod waitable_set;

pub use embedding::{Embedding, Outcome, Then};
pub use error::{Error, LimitOwner, LimitReached, Resource, Trap};
#[cfg(feature = "alloc")]
pub use storage::Heap;
pub use storage::Limits;
pub use store::Store;

/// What the host-facing modules name: `use canon_async::prelude::*;`. Without a heap it gives `to_string()` for what is a `str`, and
/// `[x].into()` makes a [`Seq`](prelude::Seq) on every tier.
pub mod prelude {
    #[cfg(feature = "alloc")]
    pub use alloc::string::ToString;

    #[cfg(not(feature = "alloc"))]
    pub use crate::ambient::ToString;
    pub use crate::ambient::{AsText, ComponentValue, Scalars, Seq, Text, ValueType};
    pub use crate::clock::Clock;
    pub use crate::context::{
        AsyncContext, AsyncContextManager, AsyncContextScope, ContextKey, ContextValue,
    };
    pub use crate::error::Error;
    pub use crate::error_context::{
        ErrorContextBuiltins, ErrorContextId, ErrorSeverity, StackFrame, StackTrace,
    };
    pub use crate::fixed_list::{
        FixedLengthList, FixedLengthListType, FixedLengthListTypeRegistry, FixedList, fixed_list_utils,
    };
    pub use crate::task::{
        CancellationToken, HostTaskId, TaskBuiltins, TaskFailure, TaskOutcome, TaskReturn, TaskState,
    };
    pub use crate::threading::{
        AdvancedThreadingBuiltins, FunctionReference, FunctionSignature, HostThreadId, ThreadSpawnConfig,
        ThreadValueType,
    };
    pub use crate::waitable_set::{
        Future, FutureHandle, FutureState, Stream, StreamHandle, StreamState, Subtask, WaitResult, Waitable,
        WaitableEntry, WaitableId, WaitableSetBuiltins, WaitableSetId,
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
