//! Fuzz targets: each is a function of bytes that panics where the library broke a promise. See README.md.
//!
//! | module | what the bytes are |
//! |---|---|
//! | [`guests`] | components, made from the bytes, and what the host does with them |
//! | [`builtins`] | a sequence of built-ins on the core alone |
//! | [`translate`] | a component |
//! | [`plan`] | a plan |
//!
//! The rest serves these: [`tape`] reads choices from bytes, [`values`] makes component values, [`host`] has
//! the host functions, [`setup`] says how an input is run, [`call`] links and calls what was translated.
#![forbid(unsafe_code)]

pub mod builtins;
pub mod call;
pub mod guests;
pub mod host;
pub mod outcomes;
pub mod plan;
pub mod setup;
pub mod tape;
pub mod translate;
pub mod values;

/// A target: its name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 4] = [
    ("guests", guests::run),
    ("builtins", builtins::run),
    ("translate", translate::run),
    ("plan", plan::run),
];
