//! Tests that need an operating system; without one there is nothing here.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(feature = "machine")]
pub mod machine;
#[cfg(feature = "alloc")]
pub mod memories;
#[cfg(feature = "std")]
pub mod source;
