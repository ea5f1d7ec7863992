//! [`Hal`].

use alloc::sync::Arc;
use core::fmt;

use canon_async_wasmi::{AsContextMut, Error, Linker};
use embedded_hal::digital::{InputPin, OutputPin};

use crate::budget::HalLimits;
use crate::delay::Delay;
use crate::digital::{self, AnyInput, AnyOutput, Input, Output};
use crate::interface::{Devices, Interface};
use crate::{delay, i2c, spi};

/// Devices, under the names by which guests open them: a name given again is the later device's.
///
/// Every component that a linker links may open every device that the linker has, as often as it likes; one that is to see others
/// gets a linker of its own.
pub struct Hal {
    limits: HalLimits,
    inputs: Devices<dyn AnyInput>,
    outputs: Devices<dyn AnyOutput>,
    i2c: Devices<i2c::AnyBus>,
    spi: Devices<spi::AnyDevice>,
    delay: Option<Delay>,
}

impl fmt::Debug for Hal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.inputs.names())
            .entries(self.outputs.names())
            .entries(self.i2c.names())
            .entries(self.spi.names())
            .finish()
    }
}

impl Hal {
    /// No devices.
    pub const fn new(limits: HalLimits) -> Self {
        Self {
            limits,
            inputs: Devices::new(),
            outputs: Devices::new(),
            i2c: Devices::new(),
            spi: Devices::new(),
            delay: None,
        }
    }

    /// An input pin, for `digital-in`.
    #[must_use]
    pub fn input<P: InputPin + Send + 'static>(mut self, name: &str, pin: Input<P>) -> Self {
        self.inputs.add(name, pin.erase());
        self
    }

    /// An output pin, for `digital-out`.
    #[must_use]
    pub fn output<P: OutputPin + Send + 'static>(mut self, name: &str, pin: Output<P>) -> Self {
        self.outputs.add(name, pin.erase());
        self
    }

    /// A bus, for `i2c`.
    #[must_use]
    pub fn i2c<D: Send + 'static>(mut self, name: &str, bus: i2c::Bus<D>) -> Self {
        self.i2c.add(name, Arc::new(bus.erase(self.limits)));
        self
    }

    /// A device, for `spi`.
    #[must_use]
    pub fn spi<D: Send + 'static>(mut self, name: &str, device: spi::Device<D>) -> Self {
        self.spi.add(name, Arc::new(device.erase(self.limits)));
        self
    }

    /// The delay, for `delay`.
    #[must_use]
    pub fn delay(mut self, delay: Delay) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Defines the interfaces of which there are devices, for components in this store. A component that imports another one can't
    /// be instantiated.
    ///
    /// # Errors
    /// Those of [`Linker::resource`].
    pub fn add_to<T>(
        self,
        linker: &mut Linker<T>,
        mut ctx: impl AsContextMut<Data = T>,
    ) -> Result<(), Error> {
        if !self.inputs.is_empty() {
            let pins = ("digital-in", "pin");
            digital::define_inputs(&mut Interface::new(linker, &mut ctx, pins, self.inputs)?);
        }
        if !self.outputs.is_empty() {
            let pins = ("digital-out", "pin");
            digital::define_outputs(&mut Interface::new(linker, &mut ctx, pins, self.outputs)?);
        }
        if !self.i2c.is_empty() {
            i2c::define(&mut Interface::new(linker, &mut ctx, ("i2c", "bus"), self.i2c)?);
        }
        if !self.spi.is_empty() {
            spi::define(&mut Interface::new(linker, &mut ctx, ("spi", "device"), self.spi)?);
        }
        if let Some(delay) = self.delay {
            delay::define(linker, delay, self.limits);
        }
        Ok(())
    }
}
