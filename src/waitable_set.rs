//! Waitable sets of the host: futures, streams, calls and other sets, waited for together.
//!
//! A set is a waitable set of the core, in the host's table; what is in it are the core's waitables, so what guests do makes
//! them ready. A future of the host ([`FutureHandle::new`]) is one of the core of which the host holds both ends; others come from guests, or go
//! to them. What is over leaves its set by itself: a future or a call with its one event, a stream when it is closed.
//!
//! [`waitable_set_wait`](WaitableSetBuiltins::waitable_set_wait) drives the ambient store. Its deadlines go by the registered clock
//! ([`ambient::now`]); while it waits for one, nothing is in use, so whatever the clock runs may complete futures.
//!
//! ```ignore-none
//! # use canon_async::prelude::*;
//! # fn main() -> Result<(), Error> {
//! let set = WaitableSetBuiltins::waitable_set_new()?;
//! let future = Future::new();
//! let handle = future.handle;
//! WaitableSetBuiltins::waitable_set_add(set, Waitable::Future(future))?;
//! assert_eq!(WaitableSetBuiltins::waitable_set_wait(set)?, WaitResult::Deadlock);
//! handle.complete(ComponentValue::U32(7))?;
//! let Some(entry) = WaitableSetBuiltins::waitable_set_wait(set)?.ready() else { panic!() };
//! let Waitable::Future(future) = entry.waitable else { panic!() };
//! assert_eq!(future.value(), Some(&ComponentValue::U32(7)));
//! # Ok(())
//! # }
//! ```

mod deliver;
mod handles;
pub mod helpers;
mod state;
mod types;

pub(crate) use state::State;
pub use types::{
    Future, FutureHandle, FutureState, Stream, StreamHandle, StreamState, Subtask, WaitResult, Waitable,
    WaitableEntry, WaitableId, WaitableSetId,
};

use crate::ambient::{self, Core, Limits, Seq, Waited};
use crate::canon::Builtin;
use crate::error::{Error, Trap};
use crate::run;
use core::time::Duration;
use deliver::{Copy, Delivered};

/// Waitable sets of the host.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WaitableSetBuiltins;

impl WaitableSetBuiltins {
    /// Sets the ambient store up, where it was not used yet. What is there stays; every other function does it too.
    ///
    /// # Errors
    /// `Misuse` where the store is in use; `Capacity` where the host does not fit.
    pub fn initialize() -> Result<(), Error> {
        ambient::core(|_| ())
    }

    /// `waitable-set.new`: an empty set. O(1).
    ///
    /// # Errors
    /// `Capacity(Handles | WaitableSets)`; `Misuse` where the store is in use.
    pub fn waitable_set_new() -> Result<WaitableSetId, Error> {
        with(|core, state, _| {
            let (handle, id) = core.store.new_host_set()?;
            let added = state.add_set(handle, id);
            if added.is_err() {
                core.store.drop_host_set(handle, id)?;
            }
            added
        })
    }

    /// `waitable.join`: adds what shall be waited for; what is in another set goes over. A future whose handle is not registered is
    /// from now on: in the state that it has. O(1); of a set O(the sets around and beside it).
    ///
    /// # Errors
    /// `Capacity(HostWaitables | Handles | Waitables | Streams | HostBytes | TextBytes | ListItems)`, and nothing is changed; `Misuse` for
    /// an unknown set, a future with a state that is registered already, a stream that is not, a subtask that has been told of, a set
    /// that this one is in; `Trap(UnknownHandle | HandleKind)` of a subtask.
    pub fn waitable_set_add(set: WaitableSetId, waitable: Waitable) -> Result<WaitableId, Error> {
        let added = match waitable {
            Waitable::Future(Future { handle: FutureHandle(key), state }) => add_future(set, key, state),
            Waitable::Stream(Stream { handle: StreamHandle(key), .. }) => add_registered(set, key),
            Waitable::Subtask(subtask) => with(|core, state, _| {
                let (to, host) = (state.set(core, set)?, core.host()?.instance);
                let id = core.store.subtask_handle(host, subtask.handle)?;
                if core.store.subtask(id)?.resolve_delivered() {
                    return Err(Error::Misuse("it was told already that the call has resolved"));
                }
                core.store.host_join(id, Some(to))?;
                Ok(state.name(id, subtask.handle))
            }),
            Waitable::WaitableSet(inner) => with(|core, state, _| {
                let (to, inner) = (state.set(core, set)?, state.set(core, inner)?);
                state.add_nested(inner, to)?;
                Ok(state.name_set(inner).1)
            }),
        };
        // It may be ready already.
        ambient::signal::changed();
        added
    }

    /// `waitable.join` with no set: takes out what is in a set. It stays registered, a read of it goes on, and it may be added again. O(1);
    /// of a set O(the sets beside it).
    ///
    /// # Errors
    /// `Misuse` where it is not in this set.
    pub fn waitable_set_remove(set: WaitableSetId, id: WaitableId) -> Result<(), Error> {
        with(|core, state, _| {
            let from = state.set(core, set)?;
            if id.nested {
                let inner = state.set(core, WaitableSetId(id.held))?;
                if state.parent(inner) != Some(from) {
                    return Err(NO_MEMBER);
                }
                state.take_out(inner);
                return Ok(());
            }
            let waitable = state.waitable(core, id).ok_or(NO_MEMBER)?;
            if core.store.waitable(waitable).and_then(|waitable| waitable.set) != Some(from) {
                return Err(NO_MEMBER);
            }
            core.store.host_join(waitable, None)
        })
    }

    /// How many members a set has. O(these).
    ///
    /// # Errors
    /// `Misuse` for an unknown set.
    pub fn waitable_set_len(set: WaitableSetId) -> Result<usize, Error> {
        with(|core, state, _| {
            let id = state.set(core, set)?;
            Ok(state.nested(id).fold(core.store.count_members(id).0, |count, _| count.saturating_add(1)))
        })
    }

    /// Waits until something in the set is ready, and takes it: runs tasks of the ambient store, and waits for host functions that
    /// answer later ([`Embedding::idle`](crate::Embedding::idle)). Members become ready in the order of their events; sets in this one come
    /// after its own members. O(1) beside what runs and the sets that are in it.
    ///
    /// # Errors
    /// The trap of a task that ran, with which everything in the set stays as it was. `Misuse` for an unknown set; where the store
    /// is in use, as in a host function that a guest called; where host functions will answer and the engine can't wait.
    pub fn waitable_set_wait(set: WaitableSetId) -> Result<WaitResult, Error> {
        wait(set, None)
    }

    /// [`waitable_set_wait`](Self::waitable_set_wait) until a time of [`ambient::now`]; then `Timeout`, also where nothing but the deadline can end the
    /// wait: while the clock waits nothing is in use, and what it runs, or an interrupt, may bring what nobody here knows of. Guests that are
    /// always ready don't hold the deadline up. One that is past leaves one turn of what is ready, and never waits. Where host functions
    /// will answer, the engine waits ([`Embedding::idle_for`](crate::Embedding::idle_for)), and where it can't, the clock.
    ///
    /// # Errors
    /// As [`waitable_set_wait`](Self::waitable_set_wait), but that where the engine can't wait the clock does; `Misuse` where there is no clock.
    pub fn waitable_set_wait_until(set: WaitableSetId, deadline: Duration) -> Result<WaitResult, Error> {
        wait(set, Some(deadline))
    }

    /// [`waitable_set_wait_until`](Self::waitable_set_wait_until) so long from now. [`Duration::ZERO`] is one turn of what is ready, and no waiting.
    ///
    /// # Errors
    /// As [`waitable_set_wait_until`](Self::waitable_set_wait_until).
    pub fn waitable_set_wait_for(set: WaitableSetId, time: Duration) -> Result<WaitResult, Error> {
        wait(set, Some(crate::clock::after(ambient::now()?, time)))
    }

    /// [`waitable_set_wait`](Self::waitable_set_wait) as a future: [`ambient::until`]. That nothing can end the wait is not told.
    ///
    /// # Errors
    /// As [`ambient::until`]; `Misuse` for an unknown set.
    pub async fn waitable_set_wait_async(set: WaitableSetId) -> Result<WaitableEntry, Error> {
        ambient::until(|| take(set)).await
    }

    /// `waitable-set.poll`: takes what is ready, else answers `Timeout`. Runs no task.
    ///
    /// # Errors
    /// `Misuse` for an unknown set, or where the store is in use.
    pub fn waitable_set_poll(set: WaitableSetId) -> Result<WaitResult, Error> {
        Ok(take(set)?.map_or(WaitResult::Timeout, WaitResult::Ready))
    }

    /// Takes all that is ready, each once; O(members): members in the order in which they became ready, and then the sets in this one. As many as a
    /// [`Seq`] may have ([`Limits::list_items`]); the others stay ready. Runs no task.
    ///
    /// # Errors
    /// As [`waitable_set_poll`](Self::waitable_set_poll).
    pub fn waitable_set_poll_all(set: WaitableSetId) -> Result<Seq<WaitableEntry>, Error> {
        let (events, most) = with(|core, state, limits| {
            let id = state.set(core, set)?;
            Ok((core.store.count_members(id).1, limits.list_items))
        })?;
        let mut ready = Seq::new();
        // Not until there are none: a stream that is read has its next event at once.
        for _ in 0..events.min(most as usize) {
            let Some(entry) = take_own(set)? else { break };
            ambient::text::push(&mut ready, entry, most)?;
        }
        with(|core, state, limits| {
            let id = state.set(core, set)?;
            let mut next = state.first_nested(id);
            while let Some(inner) = next {
                if ready.len() < limits.list_items as usize && state.is_ready(core, inner)? {
                    ambient::text::push(&mut ready, nested_entry(state, inner), limits.list_items)?;
                }
                next = state.after_nested(inner);
            }
            Ok(())
        })?;
        Ok(ready)
    }

    /// `waitable-set.drop`. A set that it is in loses it. O(1), and O(the sets beside it).
    ///
    /// # Errors
    /// `Trap(SetNotEmpty)` where it has members; `Misuse` for an unknown set.
    pub fn waitable_set_drop(set: WaitableSetId) -> Result<(), Error> {
        let id = with(|core, state, _| {
            let id = state.set(core, set)?;
            if state.first_nested(id).is_some() { Err(Trap::SetNotEmpty.into()) } else { Ok(id) }
        })?;
        ambient::drive(|e| run::builtin(e, Builtin::WaitableSetDrop, &[u64::from(set.handle())]))??;
        with(|_, state, _| {
            state.take_out(id);
            Ok(())
        })
    }
}

const NO_MEMBER: Error = Error::Misuse("it is not in this waitable set");

/// Runs `f` with the store and with what is known beside it.
fn with<R>(f: impl FnOnce(&mut Core, &mut State, &Limits) -> Result<R, Error>) -> Result<R, Error> {
    ambient::core(|core| {
        ambient::host(|host| {
            let limits = host.limits();
            f(core, &mut host.waitable_set, &limits)
        })
    })??
}

/// Begins a copy. Where that fails the copy's event says why.
fn begin(copy: Option<Copy>) -> Result<(), Error> {
    let Some(copy) = copy else { return Ok(()) };
    let Err(error) = start(copy) else { return Ok(()) };
    with(|core, state, _| {
        state.find_mut(copy.key)?.failed = Some(error);
        core.store.end_host_copy(copy.end.id, crate::spec::CopyResult::Cancelled)
    })
}

fn start(copy: Copy) -> Result<(), Error> {
    ambient::drive(|e| run::begin_copy(e, copy.end, copy.options, copy.ptr, copy.n))?
}

/// Adds a future or stream that is registered.
fn add_registered(set: WaitableSetId, key: u32) -> Result<WaitableId, Error> {
    let read = with(|core, state, limits| {
        state.set(core, set)?;
        state.read(core, key, limits)
    })?;
    begin(read)?;
    with(|core, state, _| {
        let (to, end) = (state.set(core, set)?, state.end_of(core, key)?);
        core.store.host_join(end.id, Some(to))?;
        Ok(state.name(end.id, end.handle))
    })
}

fn add_future(set: WaitableSetId, key: u32, outcome: FutureState) -> Result<WaitableId, Error> {
    let new = with(|core, state, limits| {
        let to = state.set(core, set)?;
        if state.find(key).is_ok() {
            let pending = outcome == FutureState::Pending;
            return if pending { Ok(None) } else { Err(Error::Misuse("the future is registered already")) };
        }
        state.add_own(core, key, to, outcome, limits).map(Some)
    })?;
    new.map_or_else(|| add_registered(set, key), Ok)
}

/// Takes the next event of a set itself.
fn take_own(set: WaitableSetId) -> Result<Option<WaitableEntry>, Error> {
    let taken = with(|core, state, limits| {
        state.reap(core, limits)?;
        let id = state.set(core, set)?;
        state.take(core, id, limits)
    })?;
    let Some(Delivered { entry, again }) = taken else { return Ok(None) };
    begin(again)?;
    Ok(Some(entry))
}

/// Takes what is ready in a set, or says which set in it is.
fn take(set: WaitableSetId) -> Result<Option<WaitableEntry>, Error> {
    if let Some(entry) = take_own(set)? {
        return Ok(Some(entry));
    }
    with(|core, state, _| {
        let id = state.set(core, set)?;
        let mut next = state.first_nested(id);
        while let Some(inner) = next {
            if state.is_ready(core, inner)? {
                return Ok(Some(nested_entry(state, inner)));
            }
            next = state.after_nested(inner);
        }
        Ok(None)
    })
}

fn nested_entry(state: &State, inner: crate::id::SetId) -> WaitableEntry {
    let (set, id) = state.name_set(inner);
    WaitableEntry { id, waitable: Waitable::WaitableSet(set) }
}

fn wait(set: WaitableSetId, deadline: Option<Duration>) -> Result<WaitResult, Error> {
    Ok(match ambient::wait(deadline, || take(set))? {
        Waited::Done(entry) => WaitResult::Ready(entry),
        Waited::Timeout => WaitResult::Timeout,
        Waited::Deadlock => WaitResult::Deadlock,
    })
}
