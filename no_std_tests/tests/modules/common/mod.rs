//! What the tests of the host-facing modules share: they run on all three tiers, and without `std` on one store.

pub mod calls;
pub mod copies;
pub mod executor;
pub mod moves;
pub mod script;
pub mod sync;
pub mod tasks;
pub mod threads;
#[allow(dead_code, reason = "both test binaries use a part")]
pub mod trace;
pub mod waits;

use sync::{Mutex, MutexGuard};

/// The tests' heap, where the system has none; the crate under test allocates nothing.
#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: emballoc::Allocator<{ 64 * 1024 }> = emballoc::Allocator::new();

/// A root may hold all that the store may: by default it is half.
pub fn whole_store() -> Result<(), canon_async::Error> {
    canon_async::ambient::core(|core| core.store.set_root_limits(canon_async::Limits::STORAGE))
}

/// An ambient store with nothing in it, for one test at a time.
pub fn fresh() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    // A test that failed leaves nothing that is not forgotten here.
    let guard = ONE.lock();
    canon_async::ambient::reset().expect("nothing is in use between tests");
    tasks::take_log();
    guard
}
