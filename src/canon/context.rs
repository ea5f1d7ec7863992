//! Spec: `canon context.get`, `canon context.set`, `canon backpressure.inc`, `canon backpressure.dec`.

use crate::embedding::{Embedding, Then};
use crate::error::Error;
use crate::store::Current;

const SLOT: Error = Error::Misuse("a context slot past the last");

/// `canon context.get`: the current thread's storage at `slot` (0 or 1), of which an `i32` is the low half. Cost: O(1). Never
/// traps.
///
/// # Errors
/// `Misuse` where no guest runs.
pub fn context_get<E: Embedding + ?Sized>(e: &mut E, slot: u32) -> Result<Then, Error> {
    let store = e.store();
    let value = match store.current {
        Current::Leaf(_, storage) => storage.get(slot as usize).copied().ok_or(SLOT)?,
        _ => {
            let thread = store.current_thread()?;
            store.thread_mut(thread)?.storage(slot).ok_or(SLOT)?
        }
    };
    Ok(Then::Value(value))
}

/// `canon context.set`: sets the current thread's storage at `slot` (0 or 1). Cost: O(1). Never traps.
///
/// # Errors
/// `Misuse` where no guest runs.
pub fn context_set<E: Embedding + ?Sized>(e: &mut E, slot: u32, value: u64) -> Result<Then, Error> {
    let store = e.store();
    match &mut store.current {
        Current::Leaf(_, storage) => *storage.get_mut(slot as usize).ok_or(SLOT)? = value,
        _ => {
            let thread = store.current_thread()?;
            *store.thread_mut(thread)?.storage_mut(slot).ok_or(SLOT)? = value;
        }
    }
    Ok(Then::Value(0))
}

/// `canon backpressure.inc`: new calls of async functions wait. Cost: O(1).
///
/// # Errors
/// `Trap(BackpressureOverflow)` at 2^16.
pub fn backpressure_inc<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    let store = e.store();
    let instance = store.current_instance()?;
    store.instance_mut(instance)?.backpressure_inc()?;
    Ok(Then::Value(0))
}

/// `canon backpressure.dec`: takes one `inc` back; at zero, calls that wait may start. Cost: O(1).
///
/// # Errors
/// `Trap(BackpressureUnderflow)` without an `inc`.
pub fn backpressure_dec<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    let store = e.store();
    let instance = store.current_instance()?;
    if store.instance_mut(instance)?.backpressure_dec()? {
        store.signal_entry(instance)?;
    }
    Ok(Then::Value(0))
}
