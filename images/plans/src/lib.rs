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

/// examples/pipeline.wat, with memories of 1 KiB.
pub static PIPELINE: Planned = Planned {
    plan: include_bytes!(concat!(env!("OUT_DIR"), "/pipeline.canon")),
    memories: include!(concat!(env!("OUT_DIR"), "/pipeline.rs")),
};

/// guests/blinker, of wit-bindgen.
pub static BLINKER: Planned = Planned {
    plan: include_bytes!(concat!(env!("OUT_DIR"), "/blinker.canon")),
    memories: include!(concat!(env!("OUT_DIR"), "/blinker.rs")),
};
