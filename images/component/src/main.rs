//! Two components on a Cortex-M4: examples/pipeline.wat and guests/blinker, as plans in flash. Checks what they answer and that they stay within their
//! heap, prints what they took, and exits QEMU with 0, or with 1 and what was wrong.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;
// For its critical sections.
use cortex_m as _;

use alloc::format;
use alloc::string::String;
use core::sync::atomic::{AtomicU32, Ordering};

use canon_async_hal::{Hal, HalLimits, async_input, digital};
use canon_async_wasmi::{Component, Engine, Error, Linker, Plan, Store, Val};
use device::HEAP;
use device::pins::{Button, Finger, Led};
use meter::{Meter, Usage};
use plans::{BLINKER, PIPELINE, Planned};
use semihosting::{println, process};

#[global_allocator]
static METER: Meter<{ HEAP + device::LINEAR }> = Meter::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    let run = pipeline().and_then(|()| blinker());
    let (stack, of) = meter::stack();
    println!("component: stack: {stack} of {of} bytes");
    match run {
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

/// Runs a component, phase by phase, and prints what each takes.
fn measured(
    name: &str,
    Planned { plan, memories }: Planned,
    link: impl FnOnce(&mut Linker<()>, &mut Store<()>) -> Result<(), Error>,
    args: &[Val],
    expected: impl FnOnce(Option<Val>) -> Result<(), String>,
) -> Result<(), String> {
    let before = METER.usage();
    METER.begin(memories);
    let mut most = Usage::default();
    let mut phase = |what: &str| {
        let now = METER.next();
        most.peak = most.peak.max(now.peak);
        println!(
            "{name}: {what}: {} bytes in use, {} at most, {} allocations",
            now.used, now.peak, now.allocations
        );
    };
    let fails = |what: &str, error: &dyn core::fmt::Display| format!("{name}: {what}: {error}");

    let plan = Plan::from_static(plan).map_err(|error| fails("plan", &error))?;
    phase("plan");
    let engine = Engine::new(&device::config());
    phase("engine");
    let component = Component::from_plan(&engine, plan).map_err(|error| fails("compile", &error))?;
    phase("compile");
    let mut store = Store::new(&engine, ());
    store.set_fuel(device::FUEL).map_err(|error| fails("fuel", &error))?;
    let mut linker = Linker::new(&engine);
    link(&mut linker, &mut store).map_err(|error| fails("link", &error))?;
    let instance =
        linker.instantiate(&mut store, &component).map_err(|error| fails("instantiate", &error))?;
    drop(linker);
    phase("instantiate");
    let run = instance.func(&store, "run").ok_or_else(|| format!("{name}: there is no run"))?;
    let call = device::call(&mut store, &run, args);
    let result = embassy_futures::block_on(call).map_err(|error| fails("run", &error))?;
    phase("run");
    expected(result)?;
    let linear = METER.usage().linear_peak;
    println!("{name}: heap at most {} bytes beside {linear} of linear memory", most.peak);
    if linear != memories.iter().sum() {
        return Err(format!("{name}: expected linear memories of {memories:?} bytes"));
    }
    if most.peak > HEAP {
        return Err(format!("{name}: expected at most {HEAP} bytes of heap"));
    }
    drop((run, instance, store, component, engine));
    let left = METER.usage();
    if (left.used, left.linear) != (before.used, before.linear) {
        return Err(format!("{name}: {} bytes were not given back", left.used.saturating_sub(before.used)));
    }
    Ok(())
}

fn pipeline() -> Result<(), String> {
    const TEXT: &str = "Streams carry values while both ends are still running; nobody has to hold them all.";
    measured(
        "pipeline",
        PIPELINE,
        |_, _| Ok(()),
        &[],
        |report| match &report {
            Some(Val::Record(fields)) if fields.iter().any(|(_, val)| *val == Val::String(TEXT.into())) => {
                Ok(())
            }
            other => Err(format!("pipeline: expected its text, found {other:?}")),
        },
    )
}

fn blinker() -> Result<(), String> {
    const PRESSES: u32 = 10;
    static FINGER: Finger = Finger::new();
    static TOGGLES: AtomicU32 = AtomicU32::new(0);
    // Whoever presses waits for the LED.
    let seen = || {
        TOGGLES.fetch_add(1, Ordering::Relaxed);
        FINGER.signal(());
    };
    FINGER.signal(());
    let link = move |linker: &mut Linker<()>, store: &mut Store<()>| {
        Hal::new(HalLimits::DEFAULT)
            .input("button", async_input!(Button(&FINGER)))
            .output("led", digital::Output::stateful(Led::new(seen)))
            .add_to(linker, store)
    };
    measured("blinker", BLINKER, link, &[Val::U32(PRESSES)], |pressed| {
        let expected = Val::Result(Ok(Some(Val::U32(PRESSES).into())));
        match pressed {
            Some(pressed) if pressed == expected => Ok(()),
            other => Err(format!("blinker: expected {expected:?}, found {other:?}")),
        }
    })?;
    match TOGGLES.load(Ordering::Relaxed) {
        PRESSES => Ok(()),
        toggles => Err(format!("blinker: expected {PRESSES} toggles of the LED, found {toggles}")),
    }
}
