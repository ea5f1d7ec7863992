//! guests/blinker on a Raspberry Pi Pico 2: each press of a button between GP15 and ground toggles its LED. The pin's interrupt wakes the HAL's future, and
//! that the guest's call; in between, embassy's executor has the core asleep.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use panic_rtt_target as _;

use canon_async_hal::{Hal, HalLimits, async_input, digital};
use embassy_executor::Spawner;
use embassy_rp::gpio::{Input, Level, Output, Pull};
use meter::Meter;
use rtt_target::{rprintln, rtt_init_print};

#[global_allocator]
static HEAP: Meter<{ device::HEAP + device::LINEAR + device::RESERVE }> = Meter::new();

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    rtt_init_print!();
    let board = embassy_rp::init(Default::default());
    let button = Input::new(board.PIN_15, Pull::Up);
    let led = Output::new(board.PIN_25, Level::Low);
    let hal = Hal::new(HalLimits::DEFAULT)
        .input("button", async_input!(button))
        .output("led", digital::Output::stateful(led));
    // Other tasks of the executor go on, whatever becomes of the guest.
    let Err(error) = device::blink(hal).await;
    rprintln!("the blinker is gone: {}", error);
}
