//! Components as link plans, for `Plan::from_static`: the build script makes them, as `canon compile` does.
#![no_std]
#![forbid(unsafe_code)]

/// A component.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// Its plan.
    pub plan: &'static [u8],
    /// Bytes of each of its linear memories.
    pub memories: &'static [usize],
}

macro_rules! planned {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub static $name: Planned = Planned {
            plan: include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".canon")),
            memories: include!(concat!(env!("OUT_DIR"), "/", $file, ".rs")),
        };
    };
}

planned! {
    /// examples/pipeline.wat, with small memories.
    PIPELINE, "pipeline"
}
planned! {
    /// guests/blinker, of wit-bindgen.
    BLINKER, "blinker"
}
planned! {
    /// hostile.wat, of this folder.
    HOSTILE, "hostile"
}
planned! {
    /// A memory of a page of 64 KiB.
    LARGE_MEMORY, "large_memory"
}
planned! {
    /// A table of 10,000 elements.
    LARGE_TABLE, "large_table"
}
