//! Tests that need an operating system; without one there is nothing here.
#![cfg_attr(target_os = "none", no_std)]

/// The pages of `docs/`, whose examples are tests.
#[cfg(all(doctest, feature = "std"))]
mod pages {
    #[doc = include_str!("../../docs/embed.md")]
    struct Embed;
    #[doc = include_str!("../../docs/firmware.md")]
    struct Firmware;
}

#[cfg(feature = "machine")]
pub mod machine;
#[cfg(feature = "alloc")]
pub mod memories;
#[cfg(feature = "std")]
pub mod source;
