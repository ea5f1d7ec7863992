//! What the tests of the host-facing modules share: they run on all three tiers, and without `std` on one store.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// An ambient store with nothing in it, for one test at a time.
pub fn fresh() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    // A test that failed leaves nothing that the reset does not forget.
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    canon_async::ambient::reset().expect("nothing is in use between tests");
    guard
}
