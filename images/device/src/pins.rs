//! Pins that are not there, for machines without any.

use core::convert::Infallible;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin, StatefulOutputPin};
use embedded_hal_async::digital::Wait;

/// What presses a button: an interrupt may.
pub type Finger = Signal<CriticalSectionRawMutex, ()>;

/// A button: each signal is a press, and over at once.
pub struct Button(pub &'static Finger);

impl ErrorType for Button {
    type Error = Infallible;
}

impl InputPin for Button {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(false)
    }
}

impl Wait for Button {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.0.wait().await;
        Ok(())
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_low().await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_low().await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_low().await
    }
}

/// An LED: whoever looks at it is told when it changes.
pub struct Led {
    high: bool,
    changed: fn(),
}

impl Led {
    /// One that is off.
    pub const fn new(changed: fn()) -> Self {
        Self { high: false, changed }
    }

    fn set(&mut self, high: bool) -> Result<(), Infallible> {
        if core::mem::replace(&mut self.high, high) != high {
            (self.changed)();
        }
        Ok(())
    }
}

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(true)
    }

    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(false)
    }
}

impl StatefulOutputPin for Led {
    fn is_set_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.high)
    }

    fn is_set_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.high)
    }
}
