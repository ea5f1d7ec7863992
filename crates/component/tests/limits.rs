//! Limits act before work does: a component that costs much is refused by a scan of its bytes.

#[path = "common/attacks.rs"]
mod attacks;

use std::time::{Duration, Instant};

use canon_async_component::{TranslateError, TranslateOptions, translate};

/// Far more than the scan takes (200 ms is the promise for a release build), and far less than the work it prevents.
const AT_MOST: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });

#[test]
fn components_that_cost_more_than_their_bytes_are_refused_at_once() {
    for attack in attacks::all() {
        let start = Instant::now();
        let error = translate(&attack.bytes, &TranslateOptions::default()).expect_err(attack.name);
        let took = start.elapsed();
        println!("{}: {} bytes, {took:?}: {error}", attack.name, attack.bytes.len());
        let TranslateError::TooLarge { field, found, limit, .. } = &error else {
            panic!("{}: {error}", attack.name)
        };
        assert_eq!(*field, format!("PlanLimits::{}", attack.field), "{}", attack.name);
        assert!(*found > u64::from(*limit), "{}: {error}", attack.name);
        assert!(took < AT_MOST, "{}: {took:?}", attack.name);
    }
}
