//! For devices: each press of a button toggles an LED. Without std, whose code is larger than the rest, and with a heap of fixed size.
#![no_std]

extern crate alloc;

use alloc::string::String;

use crate::canon::hal::digital_in::{self, ErrorKind};
use crate::canon::hal::digital_out;

wit_bindgen::generate!({ path: ["../../crates/hal/wit", "wit"], world: "example:blinker/guest", generate_all });

#[global_allocator]
static HEAP: emballoc::Allocator<2048> = emballoc::Allocator::new();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

struct Blinker;

impl Guest for Blinker {
    async fn run(presses: u32) -> Result<u32, String> {
        let button = digital_in::Pin::open("button").ok_or("there is no button")?;
        let led = digital_out::Pin::open("led").ok_or("there is no LED")?;
        for _ in 0..presses {
            button.wait_for_falling_edge().await.map_err(|error| match error {
                ErrorKind::Busy => "somebody else waits for the button",
                ErrorKind::Unsupported => "the button can't be waited for",
                ErrorKind::Other => "the button is broken",
            })?;
            led.toggle().map_err(|_| "the LED can't be toggled")?;
        }
        Ok(presses)
    }
}

export!(Blinker);
