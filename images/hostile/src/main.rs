//! What guests try against the device that they run on, and how far they get: each export of plans/hostile.wat in a store of its own, and components that ask for
//! too much at once. After each, another guest runs and nothing is left in the heap. Exits QEMU with 0, or with 1 and what was wrong.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;
// For its critical sections.
use cortex_m as _;

use alloc::format;
use alloc::string::{String, ToString};

use canon_async_wasmi::{Component, Engine, Error, Linker, Plan, Store, Val};
use embassy_futures::select::{Either, select};
use embassy_futures::{block_on, yield_now};
use meter::Meter;
use plans::{HOSTILE, LARGE_MEMORY, LARGE_TABLE, PIPELINE, Planned};
use semihosting::{println, process};

#[global_allocator]
static METER: Meter<{ device::HEAP + device::LINEAR }> = Meter::new();

/// What comes of an attack.
enum Expected {
    /// An error whose text has this in it.
    Fails(&'static str),
    /// So much, or less, but for the first.
    Between(u32, u32),
    /// -1.
    Refused,
    /// It goes on, and others have their turns.
    TakesTurns,
}

use Expected::{Between, Fails, Refused, TakesTurns};

const ATTACKS: [(&str, Expected); 24] = [
    ("trap", Fails("unreachable")),
    ("endless", Fails("all fuel consumed")),
    ("yields", TakesTurns),
    ("recurse", Fails("call stack exhausted")),
    ("beyond", Fails("out of bounds memory access")),
    ("grow", Between(64, device::LINEAR as u32)),
    ("grow-at-once", Refused),
    ("grow-table", Between(1, 256)),
    ("streams", Fails("limit reached: subtasks and stream")),
    ("sets", Fails("limit reached: waitable sets")),
    ("crowd", Fails("limit reached: stacks of guests")),
    ("everything", Fails("limit reached: stacks of guests")),
    ("grow-loop", Fails("all fuel consumed")),
    ("table-grow-loop", Fails("all fuel consumed")),
    ("table-loop", Fails("all fuel consumed")),
    ("table-copy-loop", Fails("all fuel consumed")),
    ("table-fill-loop", Fails("all fuel consumed")),
    ("table-init-loop", Fails("all fuel consumed")),
    ("copy-loop", Fails("all fuel consumed")),
    ("init-loop", Fails("all fuel consumed")),
    ("call-loop", Fails("all fuel consumed")),
    ("join-loop", Fails("all fuel consumed")),
    ("whisper", Fails("limit reached: bytes of host values")),
    ("talk", Fails("limit reached: bytes of host values")),
];

#[cortex_m_rt::entry]
fn main() -> ! {
    let attacks = || {
        for (name, expected) in &ATTACKS {
            observed(name, HOSTILE, |engine, component| attack(engine, component, name, expected))?;
        }
        for (name, planned) in [("a large memory", LARGE_MEMORY), ("a large table", LARGE_TABLE)] {
            observed(name, planned, |engine, component| match instantiate(engine, component) {
                Err(error) => Ok(error.to_string()),
                Ok(_) => Err(String::from("expected that it is refused")),
            })?;
        }
        Ok(())
    };
    let result: Result<(), String> = attacks();
    let (stack, of) = meter::stack();
    println!("hostile: stack: {stack} of {of} bytes");
    match result {
        Ok(()) => process::exit(0),
        Err(problem) => {
            println!("FAILED: {problem}");
            process::exit(1)
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("{info}");
    process::exit(1)
}

/// Has an attack, prints what came of it, and looks whether the device is as it was.
fn observed(
    name: &str,
    planned: Planned,
    attack: impl FnOnce(&Engine, &Component) -> Result<String, String>,
) -> Result<(), String> {
    let before = METER.usage().used;
    METER.begin(&[]);
    // One of the guests makes tail calls.
    let engine = Engine::new(device::config().tail_calls(true));
    let component = compile(&engine, planned).map_err(|error| format!("{name}: {error}"))?;
    let outcome = attack(&engine, &component).map_err(|error| format!("{name}: {error}"))?;
    println!("hostile: {name}: {outcome} (heap at most {} bytes)", METER.usage().peak);
    drop((component, outcome));
    well(&engine).map_err(|error| format!("{name}: then another guest did not run: {error}"))?;
    drop(engine);
    match METER.usage().used {
        after if after == before => Ok(()),
        after => Err(format!("{name}: {} bytes were not given back", after.saturating_sub(before))),
    }
}

fn compile(engine: &Engine, Planned { plan, .. }: Planned) -> Result<Component, Error> {
    Component::from_plan(engine, Plan::from_static(plan)?)
}

fn instantiate(
    engine: &Engine,
    component: &Component,
) -> Result<(Store<()>, canon_async_wasmi::Instance), Error> {
    let mut store = Store::new(engine, ());
    store.set_fuel(device::FUEL)?;
    let instance = Linker::new(engine).instantiate(&mut store, component)?;
    Ok((store, instance))
}

/// Calls the export, and answers in words.
fn attack(engine: &Engine, component: &Component, name: &str, expected: &Expected) -> Result<String, String> {
    let (mut store, instance) = instantiate(engine, component).map_err(|error| error.to_string())?;
    let func = instance.func(&store, name).ok_or("there is no such export")?;
    let turns = async {
        for _ in 0..5 {
            yield_now().await;
        }
    };
    let result = match block_on(select(device::call(&mut store, &func, &[]), turns)) {
        Either::First(result) => result,
        Either::Second(()) if matches!(expected, TakesTurns) => {
            return Ok(String::from("goes on, and others have their turns"));
        }
        Either::Second(()) => return Err(String::from("it goes on")),
    };
    match (result, expected) {
        (Err(error), Fails(text)) if error.to_string().contains(text) => Ok(error.to_string()),
        (Ok(Some(Val::U32(got))), Between(first, most)) if *first < got && got <= *most => {
            Ok(format!("got {got}"))
        }
        (Ok(Some(Val::S32(-1))), Refused) => Ok(String::from("refused")),
        (other, _) => Err(format!("found {other:?}")),
    }
}

/// Another guest runs.
fn well(engine: &Engine) -> Result<(), Error> {
    let (mut store, instance) = instantiate(engine, &compile(engine, PIPELINE)?)?;
    let run = instance.func(&store, "run").ok_or_else(|| Error::host("there is no run"))?;
    block_on(device::call(&mut store, &run, &[])).map(drop)
}
