//! guests/blinker on an nRF52840 DK: each press of button 1 toggles LED 1. The pin's interrupt wakes the HAL's future, and that the guest's call; in
//! between, embassy's executor has the core asleep.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

// For its critical sections.
use cortex_m as _;
use panic_rtt_target as _;

use canon_async_hal::{Hal, HalLimits, async_input, digital};
use embassy_executor::Spawner;
use embassy_nrf::gpio::{Input, Level, Output, OutputDrive, Pull};
use meter::Meter;
use rtt_target::{rprintln, rtt_init_print};

#[global_allocator]
static HEAP: Meter<{ device::HEAP + device::LINEAR + device::RESERVE }> = Meter::new();

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    rtt_init_print!();
    let board = embassy_nrf::init(Default::default());
    // Both are active low.
    let button = Input::new(board.P0_11, Pull::Up);
    let led = Output::new(board.P0_13, Level::High, OutputDrive::Standard);
    let hal = Hal::new(HalLimits::DEFAULT)
        .input("button", async_input!(button))
        .output("led", digital::Output::stateful(led));
    // Other tasks of the executor go on, whatever becomes of the guest.
    let Err(error) = device::blink(hal).await;
    rprintln!("the blinker is gone: {}", error);
}
