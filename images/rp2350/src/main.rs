//! guests/blinker on a Raspberry Pi Pico 2: each press of a button between GP15 and ground toggles its LED. The pin's interrupt wakes the HAL's future, and
//! that the guest's call; in between, embassy's executor has the core asleep.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use panic_halt as _;

use canon_async_hal::{Hal, HalLimits, async_input, digital};
use canon_async_wasmi::Val;
use embassy_executor::Spawner;
use embassy_rp::gpio::{Input, Level, Output, Pull};
use meter::Meter;

#[global_allocator]
static HEAP: Meter<{ 96 * 1024 + device::LINEAR }> = Meter::new();

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let board = embassy_rp::init(Default::default());
    let button = Input::new(board.PIN_15, Pull::Up);
    let led = Output::new(board.PIN_25, Level::Low);
    let hal = Hal::new(HalLimits::DEFAULT)
        .input("button", async_input!(button))
        .output("led", digital::Output::stateful(led));
    let (mut store, run) = device::blinker(hal).expect("the blinker is linked");
    loop {
        let call = run.call_async(&mut store, &[Val::U32(u32::MAX)]).expect("it takes a number");
        call.await.expect("the blinker runs");
    }
}
