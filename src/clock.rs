//! Time, as a trait, so that deadlines work on every tier.
//!
//! A clock is registered with [`ambient::set_clock`](crate::ambient::set_clock). With `std` there is one from the start
//! (`StdClock`); elsewhere a deadline without a clock is `Misuse`. A test takes a [`ManualClock`] and moves time by hand.

use core::time::Duration;
use spin::mutex::SpinMutex;

/// Where the host's deadlines come from.
///
/// Its methods may use the ambient store, where they are not called while that is driven.
pub trait Clock: Sync {
    /// The time since some fixed moment. Never goes back.
    fn now(&self) -> Duration;

    /// Waits until `deadline` (as [`Clock::now`] counts), or for a shorter time, but not for none: whoever waits asks again.
    fn wait_until(&self, deadline: Duration);
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
        let left = deadline.saturating_sub(self.now());
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
        let slice = deadline.saturating_sub(*now).min(Self::SLICE);
        // At most a million.
        delay.delay_ns(slice.subsec_nanos());
        *now = now.saturating_add(slice);
    }
}

/// A clock that stands still until it is moved: by [`ManualClock::advance`], or by a wait, which takes it to its deadline at
/// once. Not for interrupts.
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
        *now = now.saturating_add(by);
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
        let mut now = self.now.lock();
        *now = deadline.max(*now);
    }
}
