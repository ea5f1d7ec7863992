//! Tests that need an operating system.

#[cfg(feature = "std")]
pub mod machine;
#[cfg(feature = "alloc")]
pub mod memories;
#[cfg(feature = "std")]
pub mod source;
