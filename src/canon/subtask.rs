//! Spec: `canon subtask.cancel`, `canon subtask.drop`.

use super::{resolve, wait};
use crate::embedding::{Embedding, Then};
use crate::error::{Error, Trap};
use crate::event::event;
use crate::id::{InstanceId, WaitableId};
use crate::raise::{Raises, caught};
use crate::run::check_depth;
use crate::spec::BLOCKED;
use crate::state::Point;

/// `canon subtask.cancel`: asks for the cancellation of the call behind subtask `i`; answers its state once it is
/// resolved. With `async`, BLOCKED where that takes longer. Cost: O(1), and what the callee does when it is told.
///
/// # Errors
/// `Trap(CannotLeave | UnknownHandle | HandleKind | SubtaskResolved | SubtaskCancelledTwice | SyncInSet)`, where it must
/// block `Trap(CannotBlockSync | CannotSuspend)`, and the callee's traps.
pub fn subtask_cancel<E: Embedding + ?Sized>(e: &mut E, is_async: bool, i: u32) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        if !is_async {
            store.check_may_block()?;
        }
        let id = store.subtask_at(instance, i)?;
        let subtask = store.subtask_mut(id)?;
        if subtask.resolve_delivered() {
            return store.raiser.raise(Trap::SubtaskResolved);
        }
        if subtask.cancellation_requested() {
            return store.raiser.raise(Trap::SubtaskCancelledTwice);
        }
        // With `async` too, since the spec's #715.
        if store.waitable_mut(id)?.in_waitable_set() {
            return store.raiser.raise(Trap::SyncInSet);
        }
        if !store.subtask_mut(id)?.resolved() {
            check_depth(e)?;
            let store = e.store();
            let subtask = store.subtask_mut(id)?;
            subtask.request_cancellation();
            event!(debug, subtask, "cancelling", subtask = id);
            match subtask.callee {
                Some(callee) => {
                    resolve::request_cancellation(e, callee)?;
                    check_again(e, instance, id, is_async)?;
                }
                // The callee's instance trapped: nothing else will ever resolve it.
                None => resolve::abandon_subtask(e, id)?,
            }
            let store = e.store();
            if !store.subtask_mut(id)?.resolved() {
                if is_async {
                    return Ok(Then::Value(u64::from(BLOCKED)));
                }
                // What is pending can only be that the callee started: the wait is for how it ended. It is in no set, as
                // was checked again after the callee ran.
                store.waitable_mut(id)?.event = None;
                return wait(e, Point::Event(id));
            }
        }
        let (_, _, state) = e.store().get_pending_event(id)?;
        Ok(Then::Value(u64::from(state)))
    })
}

/// The callee ran, and may have called back into this instance: what was checked before holds no more. A
/// subtask that has resolved is not waited for, and may be in a set.
fn check_again<E: Embedding + ?Sized>(
    e: &mut E,
    instance: InstanceId,
    id: WaitableId,
    is_async: bool,
) -> Raises {
    let store = e.store();
    store.check_enter(instance)?;
    if store.get_subtask(id).is_none_or(|subtask| subtask.resolve_delivered()) {
        return store.raiser.raise(Trap::SubtaskResolved);
    }
    if !store.subtask_mut(id)?.resolved() && store.waitable_mut(id)?.in_waitable_set() && !is_async {
        return store.raiser.raise(Trap::SyncInSet);
    }
    Ok(())
}

/// `canon subtask.drop`. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownHandle | HandleKind | SubtaskNotResolved)`.
pub fn subtask_drop<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        let id = store.subtask_at(instance, i)?;
        store.check_drop_subtask(id)?;
        store.remove_handle(instance, i);
        store.free_subtask(id);
        Ok(Then::Value(0))
    })
}
