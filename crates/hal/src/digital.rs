//! `digital-in` and `digital-out`: [`Input`] and [`Output`].

use alloc::sync::Arc;
use core::fmt;

use canon_async_wasmi::Val;
use embedded_hal::digital::{InputPin, OutputPin, StatefulOutputPin};

use crate::interface::Interface;
use crate::refused::{OTHER, Refused, UNSUPPORTED};
use crate::serve::{InTurn, Later, Run, Serve};
use crate::slot::Slot;

/// The case of `error-kind`: embedded-hal knows one kind.
#[doc(hidden)]
pub fn error(_: impl embedded_hal::digital::Error) -> Refused {
    OTHER
}

/// What a guest waits for on a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is a function of embedded_hal_async::digital::Wait")]
pub enum WaitFor {
    High,
    Low,
    RisingEdge,
    FallingEdge,
    AnyEdge,
}

/// An input pin for [`Hal::input`](crate::Hal::input).
pub struct Input<P> {
    pin: P,
    wait: Run<P, WaitFor>,
}

impl<P: fmt::Debug> fmt::Debug for Input<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Input").field(&self.pin).finish()
    }
}

impl<P: InputPin + Send + 'static> Input<P> {
    /// A pin that can be read. Who waits on it gets `unsupported`: nothing is polled.
    /// One to wait on is `async_input!`.
    pub fn new(pin: P) -> Self {
        Self { pin, wait: Run::Now(|_, _| Err(UNSUPPORTED)) }
    }

    /// `async_input!`.
    #[doc(hidden)]
    pub fn waiting(pin: P, wait: Later<P, WaitFor>) -> Self {
        Self { pin, wait: Run::Later(wait) }
    }

    pub(crate) fn erase(self) -> Arc<dyn AnyInput> {
        // Who waited longer than another on a pin would miss the edge that ended the other's wait.
        Arc::new(InTurn { slot: Slot::new(self.pin, 0), run: self.wait })
    }
}

/// An input pin, whatever its type.
pub(crate) trait AnyInput: Serve<WaitFor> {
    fn is_high(&self) -> Result<bool, Refused>;
}

impl<P: InputPin + Send + 'static> AnyInput for InTurn<P, WaitFor> {
    fn is_high(&self) -> Result<bool, Refused> {
        self.slot.take()?.device()?.is_high().map_err(error)
    }
}

/// An input pin to wait on: of an [`InputPin`] that is an `embedded_hal_async::digital::Wait`, too.
///
/// A macro, since the pin's futures have to be `Send`, and a trait's bound can't say so: the type of the pin is to be known where it
/// is written.
#[cfg(feature = "async")]
#[macro_export]
macro_rules! async_input {
    ($pin:expr) => {
        $crate::digital::Input::waiting($pin, |pin, wait| {
            $crate::by_macro::boxed(async move {
                use $crate::by_macro::{Wait, digital_error};
                use $crate::digital::WaitFor;
                let waited = match wait {
                    WaitFor::High => Wait::wait_for_high(pin).await,
                    WaitFor::Low => Wait::wait_for_low(pin).await,
                    WaitFor::RisingEdge => Wait::wait_for_rising_edge(pin).await,
                    WaitFor::FallingEdge => Wait::wait_for_falling_edge(pin).await,
                    WaitFor::AnyEdge => Wait::wait_for_any_edge(pin).await,
                };
                waited.map_err(digital_error)
            })
        })
    };
}

pub(crate) fn define_inputs<T>(interface: &mut Interface<'_, T, dyn AnyInput>) {
    interface.now("is-high", |pin, _| Ok(Some(Val::Bool(pin.is_high()?))));
    interface.now("is-low", |pin, _| Ok(Some(Val::Bool(!pin.is_high()?))));
    let waits = [
        ("wait-for-high", WaitFor::High),
        ("wait-for-low", WaitFor::Low),
        ("wait-for-rising-edge", WaitFor::RisingEdge),
        ("wait-for-falling-edge", WaitFor::FallingEdge),
        ("wait-for-any-edge", WaitFor::AnyEdge),
    ];
    for (method, wait) in waits {
        interface.serve(
            method,
            <dyn AnyInput>::is_async,
            move |pin, _| pin.serve(&mut || Ok(wait)),
            |_| None,
        );
    }
}

/// What a guest does with an output pin.
#[derive(Clone, Copy)]
pub(crate) enum Set {
    High,
    Low,
    Toggle,
    /// Whether it is set high.
    Ask,
}

/// An output pin for [`Hal::output`](crate::Hal::output).
pub struct Output<P> {
    pin: P,
    /// The answer counts for `Set::Ask` alone.
    set: fn(&mut P, Set) -> Result<bool, Refused>,
}

impl<P: fmt::Debug> fmt::Debug for Output<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.pin).finish()
    }
}

fn set<P: OutputPin>(pin: &mut P, to: Set) -> Result<bool, Refused> {
    match to {
        Set::High => pin.set_high().map_err(error)?,
        Set::Low => pin.set_low().map_err(error)?,
        Set::Toggle | Set::Ask => return Err(UNSUPPORTED),
    }
    Ok(false)
}

fn set_stateful<P: StatefulOutputPin>(pin: &mut P, to: Set) -> Result<bool, Refused> {
    match to {
        Set::Ask => return pin.is_set_high().map_err(error),
        Set::Toggle => pin.toggle().map_err(error)?,
        to => return set(pin, to),
    }
    Ok(false)
}

impl<P: OutputPin + Send + 'static> Output<P> {
    /// A pin that can be set. Who asks how it is set, or toggles it, gets `unsupported`.
    pub fn new(pin: P) -> Self {
        Self { pin, set }
    }

    /// A pin that knows how it is set.
    pub fn stateful(pin: P) -> Self
    where
        P: StatefulOutputPin,
    {
        Self { pin, set: set_stateful }
    }

    pub(crate) fn erase(self) -> Arc<dyn AnyOutput> {
        Arc::new(Shared { slot: Slot::new(self.pin, 0), set: self.set })
    }
}

/// An output pin, whatever its type.
pub(crate) trait AnyOutput: Send + Sync {
    fn set(&self, to: Set) -> Result<bool, Refused>;
}

struct Shared<P> {
    slot: Arc<Slot<P>>,
    set: fn(&mut P, Set) -> Result<bool, Refused>,
}

impl<P: Send + 'static> AnyOutput for Shared<P> {
    fn set(&self, to: Set) -> Result<bool, Refused> {
        (self.set)(self.slot.take()?.device()?, to)
    }
}

pub(crate) fn define_outputs<T>(interface: &mut Interface<'_, T, dyn AnyOutput>) {
    for (method, to) in [("set-high", Set::High), ("set-low", Set::Low), ("toggle", Set::Toggle)] {
        interface.now(method, move |pin, _| pin.set(to).map(|_| None));
    }
    interface.now("is-set-high", |pin, _| Ok(Some(Val::Bool(pin.set(Set::Ask)?))));
    interface.now("is-set-low", |pin, _| Ok(Some(Val::Bool(!pin.set(Set::Ask)?))));
}
