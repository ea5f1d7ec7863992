//! Spec: `canon waitable-set.new`, `canon waitable-set.wait`, `canon waitable-set.poll`, `canon waitable-set.drop`,
//! `canon waitable.join`.

use super::{unpack_event, wait};
use crate::embedding::{Embedding, Then};
use crate::error::{Error, Trap};
use crate::id::MemoryRef;
use crate::raise::caught;
use crate::spec::EventCode;
use crate::state::Point;

/// `canon waitable-set.new`: an empty set; answers its handle. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave)`; `Capacity(Handles | WaitableSets)`.
pub fn waitable_set_new<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        let index = store.new_set(instance)?;
        Ok(Then::Value(u64::from(index)))
    })
}

/// `canon waitable-set.wait`: waits until a member of set `si` has an event; answers its code, and writes index and payload
/// to `ptr`. Cost: O(1), whatever the number of members.
///
/// # Errors
/// `Trap(CannotLeave | UnknownHandle | HandleKind | Unaligned | OutOfBounds)`; where it must block, `Trap(CannotBlockSync |
/// CannotSuspend)`.
pub fn waitable_set_wait<E: Embedding + ?Sized>(
    e: &mut E,
    memory: MemoryRef,
    si: u32,
    ptr: u64,
) -> Result<Then, Error> {
    caught(e, |e| {
        let can_suspend = e.can_suspend();
        let store = e.store();
        let instance = store.leave_check()?;
        let set = store.set_handle(instance, si)?;
        let can_wait = store.check_can_block(can_suspend).is_ok();
        let at_once = store.set_mut(set)?.has_pending_event() && !(can_wait && store.chooses_to_wait());
        if at_once && let Some(event) = store.set_get_pending_event(set)? {
            let code = unpack_event(e, memory, memory.ptr_type().word(ptr), event)?;
            return Ok(Then::Value(u64::from(code)));
        }
        wait(e, Point::Wait(set, memory, memory.ptr_type().word(ptr)))
    })
}

/// `canon waitable-set.poll`: as wait, but where there is no event it answers NONE at once. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownHandle | HandleKind | Unaligned | OutOfBounds)`.
pub fn waitable_set_poll<E: Embedding + ?Sized>(
    e: &mut E,
    memory: MemoryRef,
    si: u32,
    ptr: u64,
) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        let set = store.set_handle(instance, si)?;
        let event = store.set_get_pending_event(set)?.unwrap_or((EventCode::None, 0, 0));
        let code = unpack_event(e, memory, memory.ptr_type().word(ptr), event)?;
        Ok(Then::Value(u64::from(code)))
    })
}

/// `canon waitable-set.drop`. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownHandle | HandleKind | SetNotEmpty | SetHasWaiters)`.
pub fn waitable_set_drop<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        let id = store.set_handle(instance, i)?;
        let set = store.set_mut(id)?;
        if !set.is_empty() {
            return store.raiser.raise(Trap::SetNotEmpty);
        }
        if set.num_waiting() > 0 {
            return store.raiser.raise(Trap::SetHasWaiters);
        }
        store.remove_handle(instance, i);
        store.free_set(id);
        Ok(Then::Value(0))
    })
}

/// `canon waitable.join`: puts waitable `wi` into set `si`, or takes it out of its set where `si` is 0. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownHandle | HandleKind | SyncInSet)`.
pub fn waitable_join<E: Embedding + ?Sized>(e: &mut E, wi: u32, si: u32) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        let waitable = store.waitable_handle(instance, wi)?;
        if store.waitable_mut(waitable)?.has_sync_waiter() {
            return store.raiser.raise(Trap::SyncInSet);
        }
        let set = match si {
            0 => None,
            _ => Some(store.set_handle(instance, si)?),
        };
        store.join(waitable, set)?;
        Ok(Then::Value(0))
    })
}
