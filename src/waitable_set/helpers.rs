//! Common patterns, made of [`WaitableSetBuiltins`].

use super::{Future, Stream, WaitResult, Waitable, WaitableEntry, WaitableSetBuiltins, WaitableSetId};
use crate::error::Error;
use core::time::Duration;

/// A new set with these members.
///
/// # Errors
/// As [`waitable_set_add`](WaitableSetBuiltins::waitable_set_add), and then there is no set, and no future that was registered for it. What was in
/// another set is in none.
pub fn create_set_with(waitables: impl IntoIterator<Item = Waitable>) -> Result<WaitableSetId, Error> {
    let set = WaitableSetBuiltins::waitable_set_new()?;
    for waitable in waitables {
        if let Err(error) = WaitableSetBuiltins::waitable_set_add(set, waitable) {
            super::with(|core, state, _| {
                let id = state.set(core, set)?;
                state.undo(core, id)
            })?;
            dissolve(set)?;
            return Err(error);
        }
    }
    Ok(set)
}

/// Waits for the first of these, in a set for the time. The others stay registered, in no set.
///
/// # Errors
/// As [`waitable_set_add`](WaitableSetBuiltins::waitable_set_add) and [`waitable_set_wait`](WaitableSetBuiltins::waitable_set_wait).
pub fn wait_for_any(
    waitables: impl IntoIterator<Item = Waitable>,
    time: Option<Duration>,
) -> Result<WaitResult, Error> {
    let set = create_set_with(waitables)?;
    let result = match time {
        None => WaitableSetBuiltins::waitable_set_wait(set),
        Some(time) => WaitableSetBuiltins::waitable_set_wait_for(set, time),
    };
    dissolve(set)?;
    result
}

/// [`wait_for_any`] of futures.
///
/// # Errors
/// As [`wait_for_any`].
pub fn wait_for_any_future(futures: impl IntoIterator<Item = Future>) -> Result<WaitResult, Error> {
    wait_for_any(futures.into_iter().map(Waitable::Future), None)
}

/// [`wait_for_any`] of streams.
///
/// # Errors
/// As [`wait_for_any`].
pub fn wait_for_any_stream(streams: impl IntoIterator<Item = Stream>) -> Result<WaitResult, Error> {
    wait_for_any(streams.into_iter().map(Waitable::Stream), None)
}

/// Waits until nothing is left in a set, and gives each entry to `f` as it is ready. `None` when the set is empty; else how the wait
/// ended that found nothing. A set in this one is left, and told of for as long as something in it is ready: `f` takes it from there.
///
/// # Errors
/// As [`waitable_set_wait`](WaitableSetBuiltins::waitable_set_wait), and those of `f`.
pub fn wait_for_all(
    set: WaitableSetId,
    mut f: impl FnMut(WaitableEntry) -> Result<(), Error>,
) -> Result<Option<WaitResult>, Error> {
    while WaitableSetBuiltins::waitable_set_len(set)? > 0 {
        match WaitableSetBuiltins::waitable_set_wait(set)? {
            WaitResult::Ready(entry) => f(entry)?,
            other => return Ok(Some(other)),
        }
    }
    Ok(None)
}

/// Takes everything out of a set, and drops it.
///
/// # Errors
/// `Misuse` for an unknown set.
pub fn dissolve(set: WaitableSetId) -> Result<(), Error> {
    super::with(|core, state, _| {
        let id = state.set(core, set)?;
        core.store.empty_set(id);
        while let Some(inner) = state.first_nested(id) {
            state.take_out(inner);
        }
        Ok(())
    })?;
    WaitableSetBuiltins::waitable_set_drop(set)
}
