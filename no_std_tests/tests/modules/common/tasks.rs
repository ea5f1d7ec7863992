//! What the tests of tasks and threads share.

use crate::common::sync::Mutex;
use alloc::vec::Vec;
use canon_async::Trap;
use canon_async::prelude::*;

pub fn is_misuse<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Misuse(_)))
}

pub fn completed(value: i32) -> TaskOutcome {
    TaskOutcome::Completed(value.into())
}

pub fn failed(error: impl Into<Error>) -> TaskOutcome {
    TaskOutcome::Failed(TaskFailure::Error(error.into()))
}

/// Sets a value of the current context.
pub fn set(value: i32) {
    AsyncContextManager::set_context_value(ContextKey::new("a"), value.into()).expect("room");
}

/// The value that [`set`] set.
pub fn get() -> Option<i32> {
    let value = AsyncContextManager::get_context_value(&ContextKey::new("a")).expect("not in use");
    value.map(|value| value.get().expect("an s32"))
}

/// What guests, threads and destructors wrote down.
static LOG: Mutex<Vec<i32>> = Mutex::new(Vec::new());

pub fn log(value: i32) {
    LOG.lock().push(value);
}

pub fn take_log() -> Vec<i32> {
    core::mem::take(&mut LOG.lock())
}

pub const TRAP: Error = Error::Trap(Trap::Engine(7));
