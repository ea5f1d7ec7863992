//! WebAssembly components with async, on the [wasmi] interpreter.
//!
//! ```
//! use canon_async_wasmi::{Component, Config, Engine, Linker, Store, Val};
//!
//! # fn main() -> Result<(), canon_async_wasmi::Error> {
//! # let wasm = wat::parse_str(r#"(component
//! #   (import "twice" (func $twice (param "n" u32) (result u32)))
//! #   (core func $twice' (canon lower (func $twice)))
//! #   (core module $M (import "" "twice" (func $twice (param i32) (result i32)))
//! #     (func (export "run") (param i32) (result i32) (call $twice (local.get 0))))
//! #   (core instance $m (instantiate $M (with "" (instance (export "twice" (func $twice'))))))
//! #   (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run"))))"#).unwrap();
//! let engine = Engine::new(&Config::new());
//! let component = Component::new(&engine, &wasm)?;
//! let mut store = Store::new(&engine, 0u32);
//!
//! let mut linker = Linker::<u32>::new(&engine);
//! linker.func("twice", |mut caller, args| {
//!     *caller.data_mut() += 1;
//!     match args {
//!         [Val::U32(n)] => Ok(Some(Val::U32(n * 2))),
//!         _ => Ok(None),
//!     }
//! });
//! let instance = linker.instantiate(&mut store, &component)?;
//! let run = instance.func(&store, "run").expect("an export");
//! assert_eq!(run.call(&mut store, &[Val::U32(21)])?, Some(Val::U32(42)));
//! assert_eq!(*store.data(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`config`] | [`Config`], [`Engine`] |
//! | [`component`] | [`Component`] |
//! | [`store`] | [`Store`], [`Caller`], [`AsContextMut`] |
//! | [`linker`] | [`Linker`] |
//! | [`instance`] | [`Instance`], [`Func`], [`Call`] |
//! | [`error`] | [`Error`] |
//! | [`backtrace`] | [`Backtrace`]: where a guest trapped |
//! | [`fuel`] | [`InterruptHandle`], [`Stopped`]: what ends a guest |
//! | [`ambient`] | [`AmbientEngine`]: guests in the ambient store, beside the host's tasks, futures and threads |
//! | [`embedding`] | [`Wx`]: what the core sees of wasmi |
//!
//! The other modules are how it works: a guest that blocks is set aside as a wasmi continuation
//! (`continuation`), which needs a frame of wasm between every guest and every built-in that blocks (`shim`).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod ambient;
pub mod backtrace;
mod budget;
pub mod component;
pub mod config;
mod continuation;
mod core_types;
pub mod embedding;
mod engine;
pub mod error;
pub mod fuel;
pub mod instance;
mod later;
pub mod linker;
mod names;
mod places;
mod shim;
mod start;
mod state;
pub mod store;
mod trace;
#[cfg(feature = "std")]
mod typed;

pub use ambient::AmbientEngine;
pub use backtrace::Backtrace;
pub use budget::MemoryMeter;
pub use canon_async::store::Choose;
pub use canon_async::{Limits, spec::Features};
#[cfg(feature = "translate")]
pub use canon_async_component::{CoreFeatures, PlanLimits, TranslateError};
pub use canon_async_component::{
    ImportKind, LinkError, MissingImport, Plan, PlanError, Val, ValError, types,
};
pub use component::Component;
pub use config::{Config, Engine};
pub use embedding::Wx;
pub use error::Error;
pub use fuel::{InterruptHandle, Stopped};
pub use instance::{Call, CallFuture, Extern, Func, Instance};
pub use linker::{HostFunc, Linker};
pub use store::{AsContext, AsContextMut, Caller, Store};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
