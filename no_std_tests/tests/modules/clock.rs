//! Time, as clocks count it.

use canon_async::clock::{self, Clock, ManualClock};
use core::time::Duration;

tests! {
    left_and_after_of_all_moments_are_those_of_core,
    manual_clock_never_goes_back,
}

/// Around every carry and every end.
fn moments() -> impl Iterator<Item = Duration> + Clone {
    let seconds = [0, 1, 2, 1 << 32, u64::MAX - 1, u64::MAX];
    let nanos = [0, 1, 2, 499_999_999, 500_000_000, 999_999_998, 999_999_999];
    seconds.into_iter().flat_map(move |seconds| nanos.map(|nanos| Duration::new(seconds, nanos)))
}

fn left_and_after_of_all_moments_are_those_of_core() {
    for a in moments() {
        for b in moments() {
            assert_eq!(clock::left(a, b), a.saturating_sub(b), "{a:?} - {b:?}");
            assert_eq!(clock::after(a, b), a.saturating_add(b), "{a:?} + {b:?}");
        }
    }
}

fn manual_clock_never_goes_back() {
    let clock = ManualClock::new();
    clock.advance(Duration::from_millis(1500));
    clock.wait_until(Duration::from_secs(1));
    assert_eq!(clock.now(), Duration::from_millis(1500));
    clock.wait_until(Duration::from_secs(2));
    assert_eq!(clock.now(), Duration::from_secs(2));
    // No deadline.
    clock.wait_until(Duration::MAX);
    assert_eq!(clock.now(), Duration::from_secs(2));
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Duration::MAX);
}
