//! What the images have in common.
#![no_std]
#![forbid(unsafe_code)]

pub mod pins;

use canon_async_hal::Hal;
use canon_async_wasmi::{Component, Config, Engine, Error, Func, Linker, Plan, Store};
use plans::BLINKER;

/// Bytes for all linear memories of a program.
pub const LINEAR: usize = 6 * 1024;

/// For a device: stacks that begin small, are not kept, and stay small.
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .host_bytes(4 * 1024)
        .memory_bytes(LINEAR)
        .table_elements(256)
        .min_stack_bytes(0)
        .max_stack_bytes(8 * 1024)
        .max_call_depth(64)
        .max_cached_stacks(1);
    config
}

/// The guest `blinker` with these devices, of which it opens `button` and `led`: its store, and `run: async func(presses: u32) -> result<u32, string>`.
///
/// # Errors
/// What the linker says.
pub fn blinker(hal: Hal) -> Result<(Store<()>, Func), Error> {
    let engine = Engine::new(&config());
    let component = Component::from_plan(&engine, Plan::from_static(BLINKER.plan)?)?;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    hal.add_to(&mut linker, &mut store)?;
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.func(&store, "run").ok_or_else(|| Error::host("the blinker exports no run"))?;
    Ok((store, run))
}
