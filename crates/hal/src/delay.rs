//! `delay`: [`Delay`].

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::fmt;

use canon_async_wasmi::{Linker, Val};
use embedded_hal::delay::DelayNs;

use crate::budget::{Budget, HalLimits};
use crate::interface::{define_served, path};
use crate::refused::{Refused, number};
use crate::serve::{Copied, InTurn, Later, Run, Serve, Served};
use crate::slot::Slot;

/// How long a guest waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is a function of DelayNs")]
pub enum Time {
    Ns(u32),
    Us(u32),
    Ms(u32),
}

impl Time {
    fn ns(self) -> u64 {
        let (count, factor) = match self {
            Self::Ns(count) => (count, 1),
            Self::Us(count) => (count, 1_000),
            Self::Ms(count) => (count, 1_000_000),
        };
        u64::from(count).saturating_mul(factor)
    }
}

/// A delay for [`Hal::delay`](crate::Hal::delay).
pub struct Delay(Box<dyn Serve<Time>>);

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delay").field("is_async", &self.0.is_async()).finish()
    }
}

impl Delay {
    /// A delay that blocks: nothing else runs meanwhile, so [`HalLimits::held_ns`] limits it. One that doesn't is
    /// `async_delay!`.
    pub fn new<D: DelayNs + Send + 'static>(delay: D) -> Self {
        let run = Run::Now(|delay: &mut D, time| {
            match *time {
                Time::Ns(count) => delay.delay_ns(count),
                Time::Us(count) => delay.delay_us(count),
                Time::Ms(count) => delay.delay_ms(count),
            }
            Ok(())
        });
        Self(Box::new(InTurn { slot: Slot::new(delay, 0), run }))
    }

    /// `async_delay!`.
    #[doc(hidden)]
    pub fn waiting<D: Clone + Send + Sync + 'static>(device: D, run: Later<D, Time>) -> Self {
        Self(Box::new(Copied { device, run: Run::Later(run) }))
    }

    fn call(&self, limits: HalLimits, time: Time) -> Result<Served<Time>, Refused> {
        self.0.serve(&mut || {
            if !self.0.is_async() {
                Budget::new(limits).hold(time.ns())?;
            }
            Ok(time)
        })
    }
}

/// A delay that waits: of an `embedded_hal_async::delay::DelayNs` that can be cloned, since each call has one of its own. Nothing
/// limits how long. A macro for the reason of `async_input!`.
#[cfg(feature = "async")]
#[macro_export]
macro_rules! async_delay {
    ($delay:expr) => {
        $crate::delay::Delay::waiting($delay, |delay, time| {
            $crate::by_macro::boxed(async move {
                use $crate::by_macro::DelayNs;
                use $crate::delay::Time;
                match *time {
                    Time::Ns(count) => DelayNs::delay_ns(delay, count).await,
                    Time::Us(count) => DelayNs::delay_us(delay, count).await,
                    Time::Ms(count) => DelayNs::delay_ms(delay, count).await,
                }
                Ok(())
            })
        })
    };
}

pub(crate) fn define<T>(linker: &mut Linker<T>, delay: Delay, limits: HalLimits) {
    let delay = Arc::new(delay);
    type Unit = fn(u32) -> Time;
    let units: [(&str, Unit); 3] = [("delay-ns", Time::Ns), ("delay-us", Time::Us), ("delay-ms", Time::Ms)];
    for (name, time) in units {
        let (is_async, delay) = (delay.0.is_async(), delay.clone());
        let call = move |args: &[Val]| {
            let [count] = args else { return Err(Refused::Type) };
            delay.call(limits, time(number(count)?))
        };
        define_served(linker, &format!("{}#{name}", path("delay")), is_async, call, |_| None);
    }
}
