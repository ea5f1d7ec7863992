//! Components that use devices.

mod common;
mod delay;
mod i2c;
mod pins;
mod spi;
mod waiting;
mod wit;
