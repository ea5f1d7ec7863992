//! WebAssembly components for [`canon_async`], on any interpreter.
//!
//! Two halves. The first, with the feature `translate`, turns a component's bytes into a [`Plan`]: flat data
//! in which everything nested is inlined. The second takes a plan, a [`Linker`] and an [`Engine`] and makes an
//! [`Instance`]; it is small, needs no validator, and is what a device has that runs plans made elsewhere.
//!
//! | module | what |
//! |---|---|
//! | [`plan`], [`types`] | the plan |
//! | [`layout`] | sizes, alignments and core signatures |
//! | [`translate`](mod@translate) | component bytes to plan |
//! | [`engine`] | what an interpreter gives |
//! | [`link`], [`instance`] | plan to instance |
//! | [`val`], [`host`], [`charge`] | values of the host, and what the work on them costs |
//! | [`core_binary`] | sections and numbers of core modules |
//! | [`inspect`](mod@inspect) | a plan in words |
//!
//! ```
//! # #[cfg(feature = "translate")] {
//! use canon_async_component::{TranslateOptions, inspect::inspect, translate};
//!
//! let bytes = wat::parse_str(r#"(component (import "log" (func (param "text" string))))"#).unwrap();
//! let plan = translate(&bytes, &TranslateOptions::default()).unwrap();
//! assert_eq!(inspect(&plan).imports, [("log".into(), "func(text: string)".into())]);
//! # }
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod charge;
pub mod core_binary;
pub mod engine;
pub mod host;
pub mod inspect;
pub mod instance;
mod intern;
pub mod layout;
pub mod link;
pub mod plan;
mod print;
pub mod shared;
mod signature;
#[cfg(feature = "translate")]
pub mod translate;
pub mod types;
pub mod val;

pub use charge::Charge;
pub use engine::{CoreExtern, Engine, EngineError, ImportArg, Made};
pub use host::{HostCalls, HostMemory, HostSig};
pub use instance::{Extern, Func, Instance};
pub use link::{
    Compiled, ImportKind, LinkError, Linker, MissingImport, compile, define_host_resource, instantiate,
    instantiate_compiled,
};
pub use plan::{Plan, PlanError};
#[cfg(feature = "translate")]
pub use translate::{CoreFeatures, PlanLimits, TranslateError, TranslateOptions, check_size, translate};
pub use val::{Val, ValError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
