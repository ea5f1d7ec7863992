//! Behaviour tests of `canon-async` that need neither an engine for wasm nor an allocator.
//!
//! [`world`] and [`engine`] are an embedding whose guest code is scripts ([`op`]) with program counters of their own: it sets a
//! script aside where a built-in suspends, as a real engine does with frames. [`cases`] are the tests, each a
//! function over the store's profile; [`profiles`] are the bounded ones that they run on.
#![no_std]

pub mod cases;
pub mod engine;
pub mod op;
pub mod profiles;
pub mod suite;
pub mod world;
