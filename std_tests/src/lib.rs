//! Tests that need an operating system.

#[cfg(feature = "std")]
pub mod source;
