//! Time, as a trait, so that deadlines work on every tier.
//!
//! A clock is registered with [`ambient::set_clock`](crate::ambient::set_clock). With `std` there is one from the start
//! (`StdClock`); elsewhere a deadline without a clock is `Misuse`. A test takes a [`ManualClock`] and moves time by hand.
//!
//! On a bare machine a wait is a sleep of the core. Whether something came is asked in the critical section in which it falls asleep: an
//! interrupt that is pending ends the sleep also there, and is served after it, so that none is slept through.
//!
//! ```ignore-none
//! use canon_async::ambient;
//! use canon_async::clock::Clock;
//! use core::sync::atomic::{AtomicU32, Ordering};
//! use core::time::Duration;
//! # mod cortex_m { pub mod asm { pub fn wfi() {} } }
//!
//! static MILLIS: AtomicU32 = AtomicU32::new(0);
//!
//! // The handler of a timer that interrupts each millisecond.
//! fn tick() {
//!     MILLIS.store(MILLIS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
//! }
//!
//! struct Timer;
//!
//! impl Clock for Timer {
//!     fn now(&self) -> Duration {
//!         Duration::from_millis(MILLIS.load(Ordering::Relaxed).into())
//!     }
//!
//!     fn wait_until(&self, deadline: Duration) {
//!         critical_section::with(|_| {
//!             if !ambient::is_signalled() && self.now() < deadline {
//!                 cortex_m::asm::wfi();
//!             }
//!         });
//!     }
//! }
//!
//! ambient::set_clock(&Timer)?;
//! # tick();
//! # assert_eq!(ambient::now()?, Duration::from_millis(1));
//! # Ok::<(), canon_async::Error>(())
//! ```
//!
//! Who drives the store with an executor needs no clock: [`ambient::until`](crate::ambient::until) sleeps as the executor does.

use core::time::Duration;
use spin::mutex::SpinMutex;

/// Where the host's deadlines come from.
///
/// Its methods may use the ambient store, where they are not called while that is driven.
pub trait Clock: Sync {
    /// The time since some fixed moment. Never goes back.
    fn now(&self) -> Duration;

    /// Waits until `deadline` (as [`Clock::now`] counts), or for a shorter time, but not for none: whoever waits asks again. [`Duration::MAX`] is no
    /// deadline: whoever waits is waiting for a [`Signal`](crate::ambient::Signal). One that is given ends the wait: with `std` it unparks
    /// the thread that waits, elsewhere the interrupt that gives it ends the sleep of the core.
    fn wait_until(&self, deadline: Duration);

    /// Whether its time goes on while nobody asks, which is the default. Where only its own waits move it, no engine is asked to
    /// wait in its place ([`Embedding::idle_for`](crate::Embedding::idle_for)).
    fn goes_on(&self) -> bool {
        true
    }
}

/// From `now` until `deadline`; zero where that is past. It is [`Duration::saturating_sub`], in which the compiler leaves a panic that
/// can't happen: for clocks of firmware that is linked without any.
pub fn left(deadline: Duration, now: Duration) -> Duration {
    let seconds = deadline.as_secs().checked_sub(now.as_secs());
    let (seconds, nanos) = match deadline.subsec_nanos().checked_sub(now.subsec_nanos()) {
        Some(nanos) => (seconds, nanos),
        None => {
            let borrowed = deadline.subsec_nanos().saturating_add(SECOND);
            (seconds.and_then(|seconds| seconds.checked_sub(1)), borrowed.saturating_sub(now.subsec_nanos()))
        }
    };
    seconds.map_or(Duration::ZERO, |seconds| duration(seconds, nanos))
}

/// So long after `now`; [`Duration::MAX`] where that is later. It is [`Duration::saturating_add`] without that panic.
pub fn after(now: Duration, time: Duration) -> Duration {
    let nanos = now.subsec_nanos().saturating_add(time.subsec_nanos());
    let (carry, nanos) = if nanos < SECOND { (0, nanos) } else { (1, nanos.saturating_sub(SECOND)) };
    let seconds = now.as_secs().checked_add(time.as_secs()).and_then(|seconds| seconds.checked_add(carry));
    seconds.map_or(Duration::MAX, |seconds| duration(seconds, nanos))
}

/// Nanoseconds.
const SECOND: u32 = 1_000_000_000;

/// Of less than a second of nanoseconds, as [`Duration::new`] sees.
fn duration(seconds: u64, nanos: u32) -> Duration {
    Duration::new(seconds, nanos.min(SECOND.saturating_sub(1)))
}

/// The clock of the operating system. Waits by parking the thread, so whoever unparks it ends the wait.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct StdClock {
    start: std::time::Instant,
}

#[cfg(feature = "std")]
impl StdClock {
    /// A clock that starts at 0 now.
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

#[cfg(feature = "std")]
impl Default for StdClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "std")]
impl Clock for StdClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn wait_until(&self, deadline: Duration) {
        let left = left(deadline, self.now());
        if !left.is_zero() {
            std::thread::park_timeout(left);
        }
    }
}

/// A clock that is driven by delays: it counts the time that it waited, since a delay knows no other. Work between two
/// waits takes no time on it. Not for interrupts.
#[cfg(feature = "embedded-hal")]
#[derive(Debug)]
pub struct DelayClock<D> {
    state: SpinMutex<(D, Duration)>,
}

#[cfg(feature = "embedded-hal")]
impl<D> DelayClock<D> {
    /// The longest delay at once: after it, whoever waits looks whether an interrupt brought something.
    pub const SLICE: Duration = Duration::from_millis(1);

    /// A clock that starts at 0.
    pub const fn new(delay: D) -> Self {
        Self { state: SpinMutex::new((delay, Duration::ZERO)) }
    }
}

#[cfg(feature = "embedded-hal")]
impl<D: embedded_hal::delay::DelayNs + Send> Clock for DelayClock<D> {
    fn now(&self) -> Duration {
        self.state.lock().1
    }

    fn wait_until(&self, deadline: Duration) {
        let (delay, now) = &mut *self.state.lock();
        let slice = left(deadline, *now).min(Self::SLICE);
        // At most a million.
        delay.delay_ns(slice.subsec_nanos());
        *now = after(*now, slice);
    }

    fn goes_on(&self) -> bool {
        false
    }
}

/// A clock that stands still until it is moved: by [`ManualClock::advance`], or by a wait, which takes it to its deadline at
/// once; a wait without one leaves it where it is. Not for interrupts.
#[derive(Debug)]
pub struct ManualClock {
    now: SpinMutex<Duration>,
}

impl ManualClock {
    /// A clock at 0.
    pub const fn new() -> Self {
        Self { now: SpinMutex::new(Duration::ZERO) }
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock();
        *now = after(*now, by);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        *self.now.lock()
    }

    fn wait_until(&self, deadline: Duration) {
        if deadline == Duration::MAX {
            return core::hint::spin_loop();
        }
        let mut now = self.now.lock();
        *now = deadline.max(*now);
    }

    fn goes_on(&self) -> bool {
        false
    }
}
