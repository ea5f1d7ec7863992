//! The WebAssembly Component Model's async canonical built-ins as a state machine that any engine can embed.
//!
//! | module | what it is |
//! |---|---|
//! | [`embedding`] | [`Embedding`]: everything that an engine gives, as one trait |
//! | [`canon`] | the built-ins, one function each, in the spec's order; `canon lift` and `canon lower` |
//! | [`run`] | the only code that resumes a thread; [`run::call`] and [`run::tick`] for the host |
//! | [`store`] | [`Store`]: owns everything, and what touches several things at once |
//! | [`state`] | instances, tasks, threads, waitables, streams: each thing and its transitions |
//! | [`abi`] | values: types, layout, and moving them from guest to guest |
//! | [`storage`] | slabs, intrusive lists, tables; the heap and the bounded tier; [`bounded!`] |
//! | [`spec`] | the pinned commit, codes, limits, [`spec::Features`] |
//! | [`error`] | [`Error`], by blame |
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
pub mod canon;
pub mod embedding;
pub mod error;
pub mod id;
pub mod run;
pub mod spec;
pub mod state;
pub mod storage;
pub mod store;

pub use embedding::{Embedding, Outcome, Then};
pub use error::{Error, Resource, Trap};
#[cfg(feature = "alloc")]
pub use storage::Heap;
pub use storage::Limits;
pub use store::Store;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
