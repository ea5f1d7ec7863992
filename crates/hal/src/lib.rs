//! embedded-hal devices for WebAssembly components.
//!
//! A firmware gives its pins, buses and delays to a [`Linker`](canon_async_wasmi::Linker), and its guests import `canon:hal@0.1.0` (the WIT
//! is in this crate's folder `wit`), open them by name and use them. What waits, waits as a future: for a pin's edge, for the end of a transfer,
//! for time. No pin is polled, and the interrupt that the HAL's future is woken by is what ends the guest's wait.
//!
//! ```
//! # #[cfg(feature = "async")]
//! # {
//! use canon_async_hal::{Hal, HalLimits, async_delay, async_input, digital, i2c, spi};
//! use canon_async_wasmi::{Config, Engine, Linker, Store};
//!
//! # use std::convert::Infallible;
//! # #[derive(Clone)]
//! # struct Any;
//! # impl embedded_hal::digital::ErrorType for Any { type Error = Infallible; }
//! # impl embedded_hal::i2c::ErrorType for Any { type Error = embedded_hal::i2c::ErrorKind; }
//! # impl embedded_hal::spi::ErrorType for Any { type Error = embedded_hal::spi::ErrorKind; }
//! # impl embedded_hal::digital::InputPin for Any {
//! #     fn is_high(&mut self) -> Result<bool, Infallible> { Ok(true) }
//! #     fn is_low(&mut self) -> Result<bool, Infallible> { Ok(false) }
//! # }
//! # impl embedded_hal::digital::OutputPin for Any {
//! #     fn set_high(&mut self) -> Result<(), Infallible> { Ok(()) }
//! #     fn set_low(&mut self) -> Result<(), Infallible> { Ok(()) }
//! # }
//! # impl embedded_hal_async::digital::Wait for Any {
//! #     async fn wait_for_high(&mut self) -> Result<(), Infallible> { Ok(()) }
//! #     async fn wait_for_low(&mut self) -> Result<(), Infallible> { Ok(()) }
//! #     async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> { Ok(()) }
//! #     async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> { Ok(()) }
//! #     async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> { Ok(()) }
//! # }
//! # impl embedded_hal_async::delay::DelayNs for Any { async fn delay_ns(&mut self, _: u32) {} }
//! # impl embedded_hal::i2c::I2c for Any {
//! #     fn transaction(&mut self, _: u8, _: &mut [embedded_hal::i2c::Operation<'_>]) -> Result<(), Self::Error> { Ok(()) }
//! # }
//! # impl embedded_hal::spi::SpiDevice for Any {
//! #     fn transaction(&mut self, _: &mut [embedded_hal::spi::Operation<'_, u8>]) -> Result<(), Self::Error> { Ok(()) }
//! # }
//! # fn main() -> Result<(), canon_async_wasmi::Error> {
//! # let (button, led, twi, flash, delay) = (Any, Any, Any, Any, Any);
//! let engine = Engine::new(&Config::new());
//! let mut store = Store::new(&engine, ());
//! let mut linker = Linker::new(&engine);
//! Hal::new(HalLimits::DEFAULT)
//!     .input("button", async_input!(button))
//!     .output("led", digital::Output::new(led))
//!     .i2c("sensors", i2c::Bus::new(twi).only(&[0x48, 0x76]))
//!     .spi("flash", spi::Device::new(flash))
//!     .delay(async_delay!(delay))
//!     .add_to(&mut linker, &mut store)?;
//! // linker.instantiate(&mut store, &component)?
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! and a guest, of wit-bindgen:
//!
//! ```text
//! let button = digital_in::Pin::open("button").expect("the firmware has one");
//! let sensors = i2c::Bus::open("sensors").expect("the firmware has one");
//! loop {
//!     button.wait_for_rising_edge().await?;
//!     let celsius = sensors.write_read(0x48, vec![0], 2).await?;
//!     ...
//! }
//! ```
//!
//! | device | blocking: what embedded-hal has | waiting: what embedded-hal-async has, with the feature `async` |
//! |---|---|---|
//! | input pin | [`digital::Input::new`]: to read, not to wait | `async_input!` |
//! | output pin | [`digital::Output::new`], [`digital::Output::stateful`] | |
//! | I2C bus | [`i2c::Bus::new`] | `async_i2c!` |
//! | SPI device | [`spi::Device::new`] | `async_spi!` |
//! | delay | [`delay::Delay::new`] | `async_delay!` |
//!
//! # Who has a device
//!
//! A device is moved into the host functions, so it has to be `Send + 'static`, and so have its futures. The data of the store would not do: a
//! host function has the store while it is called, and not while its future waits. While a call uses a device it is moved out of where it
//! is kept, and no lock is held; a critical section moves a pointer. The final binary gives the implementation of `critical-section`, as embedded
//! ones do.
//!
//! On stable Rust no bound says that the futures of a trait are `Send`, so what waits is given by macros: they are expanded where the device's type
//! is known, and it is an error there where a HAL's future isn't.
//!
//! # Several calls at once
//!
//! - A pin on which a call waits is `busy` for every other, to read it too: a second wait would begin after the edge that ended the first.
//! - Calls to a bus take their turns in the order in which they were made; above [`HalLimits::waiting`] of them it is `busy`. While a device blocks, no guest runs, so
//!   there are never two.
//! - A delay that waits is cloned for each call.
//!
//! # Cancellation
//!
//! A guest that cancels a call, or dies, drops the HAL's future in the middle, or gives its place in the queue up. The device then goes to the next; what a transfer that
//! was dropped leaves on the wires is up to the HAL. A pin can't be dropped by the guest that waits on it: the handle is lent to the call, and
//! dropping it traps, as the spec has it.
//!
//! # What a guest may take
//!
//! [`HalLimits`] says how many bytes a call may move, how many operations it may have, how many may wait, and how long a blocking delay may take:
//! what is above answers `too-long` and is neither allocated nor done. [`i2c::Bus::only`] says which addresses of a bus are for guests. If all
//! devices of an interface block, its functions answer at once, also where the guest may not wait.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod budget;
pub mod delay;
pub mod digital;
mod hal;
pub mod i2c;
mod interface;
mod refused;
mod serve;
mod slot;
pub mod spi;

pub use budget::HalLimits;
pub use hal::Hal;

/// What the macros expand to.
#[cfg(feature = "async")]
#[doc(hidden)]
pub mod by_macro {
    use alloc::boxed::Box;
    use core::future::Future;

    pub use embedded_hal_async::delay::DelayNs;
    pub use embedded_hal_async::digital::Wait;
    pub use embedded_hal_async::i2c::I2c;
    pub use embedded_hal_async::spi::SpiDevice;

    pub use crate::digital::error as digital_error;
    pub use crate::i2c::error as i2c_error;
    pub use crate::refused::Refused;
    pub use crate::serve::BoxFuture;
    pub use crate::spi::error as spi_error;

    pub fn boxed<'a, R>(future: impl Future<Output = R> + Send + 'a) -> BoxFuture<'a, R> {
        Box::pin(future)
    }
}
