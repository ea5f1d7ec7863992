//! Ctrl-C: ends the guest, so that the run ends with a report; a second one ends the process.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use canon_async_wasmi::InterruptHandle;

use crate::console::Class;

static HANDLE: Mutex<Option<InterruptHandle>> = Mutex::new(None);
static PRESSED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C ends what this store's guests do.
pub fn set(handle: InterruptHandle) {
    *HANDLE.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    static ONCE: OnceLock<()> = OnceLock::new();
    // If the system refuses, Ctrl-C ends the process, as it does without a handler.
    ONCE.get_or_init(|| drop(ctrlc::set_handler(pressed)));
}

/// On a thread of its own.
fn pressed() {
    let handle = HANDLE.lock().unwrap_or_else(PoisonError::into_inner);
    match handle.as_ref() {
        Some(handle) if !PRESSED.swap(true, Ordering::AcqRel) => handle.interrupt(),
        _ => process::exit(Class::Interrupted.exit_code().into()),
    }
}
