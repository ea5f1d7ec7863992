//! Spec: `canon context.get`, `canon context.set`, `canon backpressure.inc`, `canon backpressure.dec`.

use crate::embedding::{Embedding, Then};
use crate::error::Error;
use crate::event::event;
use crate::message::Misuse;
use crate::raise::{OrRaise as _, Raises, Raising as _, caught};
use crate::storage::Profile;
use crate::store::{Current, Store};

/// `canon context.get`: the current thread's storage at `slot` (0 or 1), of which an `i32` is the low half. Cost: O(1). Never
/// traps.
///
/// # Errors
/// `Misuse` where no guest runs.
pub fn context_get<E: Embedding + ?Sized>(e: &mut E, slot: u32) -> Result<Then, Error> {
    caught(e, |e| Ok(Then::Value(*storage(e.store(), slot)?)))
}

/// `canon context.set`: sets the current thread's storage at `slot` (0 or 1). Cost: O(1). Never traps.
///
/// # Errors
/// `Misuse` where no guest runs.
pub fn context_set<E: Embedding + ?Sized>(e: &mut E, slot: u32, value: u64) -> Result<Then, Error> {
    caught(e, |e| {
        *storage(e.store(), slot)? = value;
        Ok(Then::Value(0))
    })
}

/// The current thread's storage at `slot`.
fn storage<P: Profile>(store: &mut Store<P>, slot: u32) -> Raises<&mut u64> {
    let storage = match &store.current {
        Current::Leaf(_) => store.leaf_storage.get_mut(slot as usize),
        Current::Thread(thread) => store.threads.get_mut(*thread).and_then(|thread| thread.storage_mut(slot)),
        Current::Host(_) => return store.raiser.raise(Misuse::NoHostThread),
        Current::None => return store.raiser.raise(Misuse::NoGuest),
    };
    storage.or_raise(&mut store.raiser, Misuse::ContextSlot)
}

/// `canon backpressure.inc`: new calls of async functions wait. Cost: O(1).
///
/// # Errors
/// `Trap(BackpressureOverflow)` at 2^16.
pub fn backpressure_inc<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.current_instance()?;
        let counted = store.instance_mut(instance)?.backpressure_inc();
        counted.raising(&mut store.raiser)?;
        event!(debug, instance, "backpressure rose", instance);
        Ok(Then::Value(0))
    })
}

/// `canon backpressure.dec`: takes one `inc` back; at zero, calls that wait may start. Cost: O(1).
///
/// # Errors
/// `Trap(BackpressureUnderflow)` without an `inc`.
pub fn backpressure_dec<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.current_instance()?;
        let counted = store.instance_mut(instance)?.backpressure_dec();
        let over = counted.raising(&mut store.raiser)?;
        event!(debug, instance, "backpressure fell", instance, over);
        if over {
            store.signal_entry(instance)?;
        }
        Ok(Then::Value(0))
    })
}
