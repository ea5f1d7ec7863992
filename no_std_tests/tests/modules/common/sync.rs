//! What takes the place of `std::sync` and `core::sync::atomic` on cores without compare-and-swap too.

pub use portable_atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
pub use portable_atomic_util::{Arc, task::Wake};
pub use spin::{Mutex, MutexGuard};
