//! What the images share.
#![no_std]
#![forbid(unsafe_code)]

pub mod pins;

use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;

use canon_async_hal::Hal;
use canon_async_wasmi::{Component, Config, Engine, Error, Func, Limits, Linker, Plan, Store, Val};
use plans::BLINKER;

/// Bytes of heap beside the linear memories.
pub const HEAP: usize = 96 * 1024;
/// Bytes of all linear memories of a store.
pub const LINEAR: usize = 6 * 1024;
/// What there is besides where it matters: nearly what [`config`] lets a guest take on top of what its plan takes.
pub const RESERVE: usize = 32 * 1024;
/// Bytes of a guest's stack: 4 KiB of values, and three words for each of 64 calls.
const STACK: usize = 4 * 1024 + 64 * 12;
/// Fuel for linking, and for each time that a call is polled: about one for an instruction.
pub const FUEL: u64 = 1_000_000;

/// What a guest may take of everything that the Component Model keeps.
const LIMITS: Limits = Limits::STORAGE
    .with_instances(16)
    .with_handles(32)
    .with_thread_indices(8)
    .with_tasks(6)
    .with_threads(6)
    .with_waitables(24)
    .with_sets(8)
    .with_streams(12)
    .with_error_contexts(4)
    .with_message_bytes(64)
    .with_queued(4)
    .with_lends(8)
    .with_types(256)
    .with_type_items(1024)
    .with_resources(16)
    .with_functions(128)
    // Each level takes some KiB of native stack.
    .with_depth(8);

/// For a device: what a guest may take is counted, and fuel ends what never ends. Stacks begin small, are not kept, and stay small.
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .limits(LIMITS)
        // There is one guest, which may take all of that.
        .root_limits(Limits::STORAGE)
        .fuel(true)
        .host_bytes(4 * 1024)
        .memory_bytes(LINEAR)
        .guest_bytes(LINEAR + RESERVE)
        // There is one guest.
        .root_bytes(LINEAR + RESERVE)
        .table_elements(256)
        .min_stack_bytes(0)
        .max_stack_bytes(STACK)
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
    store.set_fuel(FUEL)?;
    let mut linker = Linker::new(&engine);
    hal.add_to(&mut linker, &mut store)?;
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.func(&store, "run").ok_or_else(|| Error::host("the blinker exports no run"))?;
    Ok((store, run))
}

/// Runs the blinker with these devices for as long as it runs: why it ended.
///
/// # Errors
/// What the linker says; a trap; what the guest says.
pub async fn blink(hal: Hal) -> Result<Infallible, Error> {
    let (mut store, run) = blinker(hal)?;
    loop {
        match call(&mut store, &run, &[Val::U32(u32::MAX)]).await? {
            Some(Val::Result(Ok(_))) => {}
            answer => return Err(Error::host(format_args!("it answered {answer:?}"))),
        }
    }
}

/// Calls a guest's function, with [`FUEL`] each time that it is polled: a guest that never lets go traps, and one that waits, however often, goes on.
///
/// # Errors
/// The call's, such as a trap of the guest.
pub async fn call(store: &mut Store<()>, func: &Func, args: &[Val]) -> Result<Option<Val>, Error> {
    store.set_fuel(FUEL)?;
    let mut call = func.call_async(store, args)?;
    poll_fn(|context| match call.store().set_fuel(FUEL) {
        Ok(()) => Pin::new(&mut call).poll(context),
        Err(error) => Poll::Ready(Err(error)),
    })
    .await
}
