//! A timer's interrupt completes what a guest waits for, and the core sleeps in between: guests/blinker, whose button the timer presses, driven by
//! embassy-executor. Counts how often it slept and polled, and exits QEMU with 0, or with 1 where somebody polled for nothing.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use canon_async_hal::{Hal, HalLimits, async_input, digital};
use canon_async_wasmi::{Func, Store, Val};
use cortex_m::peripheral::syst::SystClkSource;
use device::pins::{Button, Finger, Led};
use embassy_executor::Spawner;
use meter::Meter;
use semihosting::{println, process};

/// How often the button is pressed.
const PRESSES: u32 = 10;
/// The timer's interval, in cycles of the machine's 25 MHz: half a second. Longer than what the guest does first, when its functions are translated.
const INTERVAL: u32 = 12_500_000;

#[global_allocator]
static METER: Meter<{ device::HEAP + device::LINEAR }> = Meter::new();

static FINGER: Finger = Finger::new();
/// The timer interrupted, and the executor had no turn since.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);
/// How often the core fell asleep and woke.
static SLEEPS: AtomicU32 = AtomicU32::new(0);
/// How often the executor polled the guest's call.
static POLLS: AtomicU32 = AtomicU32::new(0);
static TOGGLES: AtomicU32 = AtomicU32::new(0);

fn count(what: &AtomicU32) {
    what.fetch_add(1, Ordering::Relaxed);
}

/// All that the interrupt does: it presses the button, which wakes the guest's call.
#[cortex_m_rt::exception]
fn SysTick() {
    count(&INTERRUPTS);
    INTERRUPTED.store(true, Ordering::Relaxed);
    FINGER.signal(());
}

/// The executor sleeps by WFE, which the emulator takes for no sleep at all, so this task sleeps in its place, by WFI: where nobody was polled since it was polled
/// last, nobody is ready, but for whom an interrupt woke. One that is pending ends the sleep also in the critical section, and is served after it.
#[embassy_executor::task]
async fn idle() {
    let mut before = u32::MAX;
    loop {
        let polls = POLLS.load(Ordering::Relaxed);
        critical_section::with(|_| {
            if !INTERRUPTED.swap(false, Ordering::Relaxed) && polls == before {
                cortex_m::asm::wfi();
                count(&SLEEPS);
            }
        });
        before = polls;
        embassy_futures::yield_now().await;
    }
}

#[embassy_executor::task]
async fn guest(store: Store<()>, run: Func) {
    exit(blink(store, run).await.and_then(|()| check()))
}

async fn blink(mut store: Store<()>, run: Func) -> Result<(), String> {
    let mut call = pin!(device::call(&mut store, &run, &[Val::U32(PRESSES)]));
    let counted = poll_fn(|context| {
        count(&POLLS);
        call.as_mut().poll(context)
    });
    let pressed = counted.await.map_err(text)?;
    let expected = Val::Result(Ok(Some(Val::U32(PRESSES).into())));
    match pressed {
        Some(pressed) if pressed == expected => Ok(()),
        other => Err(format!("expected {expected:?}, found {other:?}")),
    }
}

/// Nobody polled for nothing, and the core slept until each press.
fn check() -> Result<(), String> {
    let [interrupts, sleeps, polls, toggles] =
        [&INTERRUPTS, &SLEEPS, &POLLS, &TOGGLES].map(|count| count.load(Ordering::Relaxed));
    println!(
        "asleep: {interrupts} interrupts, {sleeps} sleeps, {polls} polls of the guest's call, {toggles} toggles of the LED"
    );
    if toggles != PRESSES {
        return Err(format!("expected {PRESSES} toggles"));
    }
    if sleeps < PRESSES || sleeps > interrupts || interrupts > PRESSES + 1 {
        return Err(format!("expected a sleep before each of {PRESSES} presses, ended by an interrupt"));
    }
    // Once at the beginning; after each press, and once more since the guest then waits anew.
    if polls > 1 + 2 * PRESSES {
        return Err(format!("expected at most two polls for each of {PRESSES} presses"));
    }
    Ok(())
}

fn exit(result: Result<(), String>) -> ! {
    if let Err(problem) = &result {
        println!("FAILED: {problem}");
    }
    process::exit(i32::from(result.is_err()))
}

fn text(error: impl fmt::Display) -> String {
    format!("{error}")
}

fn start(spawner: Spawner) -> Result<(), String> {
    let hal = Hal::new(HalLimits::DEFAULT)
        .input("button", async_input!(Button(&FINGER)))
        .output("led", digital::Output::stateful(Led::new(|| count(&TOGGLES))));
    let (store, run) = device::blinker(hal).map_err(text)?;
    let mut timer = cortex_m::Peripherals::take().ok_or("the peripherals are taken")?.SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(INTERVAL - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
    spawner.spawn(guest(store, run).map_err(text)?);
    spawner.spawn(idle().map_err(text)?);
    Ok(())
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    if let Err(problem) = start(spawner) {
        exit(Err(problem));
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("{info}");
    process::exit(1)
}
