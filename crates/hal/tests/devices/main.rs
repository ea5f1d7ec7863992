//! Components that use devices.

mod common;
mod delay;
mod i2c;
mod pins;
mod spi;
mod waiting_buses;
mod waiting_pins;
mod wit;
