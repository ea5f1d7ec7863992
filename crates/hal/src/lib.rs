//! embedded-hal devices for WebAssembly components.
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
