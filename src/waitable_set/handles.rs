//! What the host does with its futures and streams.

use super::deliver::check_element;
use super::state::Registered;
use super::types::*;
use super::{start, with};
use crate::ambient::{ComponentValue, ValueType, signal};
use crate::error::Error;
use crate::spec::CopyResult;
use crate::state::{CopyState, Direction};

impl FutureHandle {
    /// A new future that a guest reads: its handle, and its readable end for an argument or a result of the guest's. `carries` is the
    /// type of the value.
    ///
    /// In a set it is ready once the guest has the value; it need not be in one.
    ///
    /// # Errors
    /// `Capacity(HostWaitables | Handles | Waitables | Streams)`; `Misuse` where the host has no values of the type.
    pub fn for_guest(carries: Option<ValueType>) -> Result<(Self, ComponentValue), Error> {
        let handle = Self::new();
        Ok((handle, ComponentValue::Future(for_guest(handle.0, carries, true)?)))
    }

    /// The future whose readable end the host got from a guest. Added to a set, it is read.
    ///
    /// # Errors
    /// `Capacity(HostWaitables)`; `Misuse` where the host holds no such end, or has no values of what it carries.
    pub fn from_guest(readable: &ComponentValue) -> Result<Self, Error> {
        let ComponentValue::Future(readable) = *readable else {
            return Err(Error::Misuse("the value is no future"));
        };
        let handle = Self::new();
        from_guest(handle.0, readable, true)?;
        Ok(handle)
    }

    /// Completes the future: whoever waits for it gets the value. O(1), and the value's.
    ///
    /// # Errors
    /// `Misuse` where the store is in use; where the future is in no set yet, or over, or comes from a guest; where the value is not of the type that a guest's future
    /// carries. `Capacity(HostBytes | TextBytes | ListItems)`, and of the first future that a guest does not wait for yet
    /// `Capacity(Handles | WaitableSets)`: nothing is changed. The trap of a guest that could not take it.
    pub fn complete(self, value: impl Into<Option<ComponentValue>>) -> Result<(), Error> {
        let value = value.into();
        if is_own(self.0)? {
            settle(self.0, FutureState::Ready(value))
        } else {
            write(self.0, value.as_ref())
        }
    }

    /// Cancels the future: whoever waits for it is told.
    ///
    /// # Errors
    /// `Misuse` as [`FutureHandle::complete`], and for one that a guest reads: the spec has no way to tell a guest.
    pub fn cancel(self) -> Result<(), Error> {
        if is_own(self.0)? {
            return settle(self.0, FutureState::Cancelled);
        }
        Err(Error::Misuse(
            "only a future that is the host's alone can be cancelled; one from a guest is closed",
        ))
    }

    /// Whether it is registered: in a set, or from or for a guest, and not over.
    ///
    /// # Errors
    /// `Misuse` where the store is in use.
    pub fn is_registered(self) -> Result<bool, Error> {
        with(|_, state, _| Ok(state.find(self.0).is_ok()))
    }

    /// Whether the host can still complete it.
    pub(crate) fn is_open(self) -> Result<bool, Error> {
        with(|core, state, _| match state.find(self.0) {
            Ok(Registered { own: Some(own), .. }) => Ok(own.writable != 0),
            Ok(_) => Ok(state
                .end_of(core, self.0)
                .is_ok_and(|end| end.direction == Direction::Write && end.state == CopyState::Idle)),
            Err(_) => Ok(false),
        })
    }

    /// Lets go of a future that nobody will wait for. A set that it is in loses it.
    ///
    /// # Errors
    /// `Misuse` where it is not registered; `Trap(FutureNotWritten | BusyEnd)` for one that a guest reads, which needs its value.
    pub fn close(self) -> Result<(), Error> {
        close(self.0)
    }
}

impl StreamHandle {
    /// A new stream that a guest reads: its handle, and its readable end for an argument or a result of the guest's. `carries` is the
    /// type of its elements.
    ///
    /// # Errors
    /// As [`FutureHandle::for_guest`].
    pub fn for_guest(carries: Option<ValueType>) -> Result<(Self, ComponentValue), Error> {
        let handle = Self::draw();
        Ok((handle, ComponentValue::Stream(for_guest(handle.0, carries, false)?)))
    }

    /// The stream whose readable end the host got from a guest. Added to a set, it is read, again after each time that it was ready.
    ///
    /// # Errors
    /// As [`FutureHandle::from_guest`].
    pub fn from_guest(readable: &ComponentValue) -> Result<Self, Error> {
        let ComponentValue::Stream(readable) = *readable else {
            return Err(Error::Misuse("the value is no stream"));
        };
        let handle = Self::draw();
        from_guest(handle.0, readable, false)?;
        Ok(handle)
    }

    /// Writes to a stream that a guest reads: of scalars a [`ComponentValue::List`] of elements, of others one element, of a stream that
    /// carries nothing `None`. In a set it is ready when the guest has read, which may be fewer: [`StreamState::Written`].
    ///
    /// # Errors
    /// As [`FutureHandle::complete`]; `Misuse` while another write is under way.
    pub fn write(self, elements: impl Into<Option<ComponentValue>>) -> Result<(), Error> {
        write(self.0, elements.into().as_ref())
    }

    /// Whether it is registered: not over.
    ///
    /// # Errors
    /// `Misuse` where the store is in use.
    pub fn is_registered(self) -> Result<bool, Error> {
        with(|_, state, _| Ok(state.find(self.0).is_ok()))
    }

    /// Closes the stream: a read or write under way ends, and the other end is told. A set that it is in loses it.
    ///
    /// # Errors
    /// `Misuse` where it is not registered.
    pub fn close(self) -> Result<(), Error> {
        close(self.0)
    }
}

fn is_own(key: u32) -> Result<bool, Error> {
    with(|core, state, limits| {
        state.reap(core, limits)?;
        Ok(state.find(key)?.own.is_some())
    })
}

/// Ends a future that is the host's alone.
fn settle(key: u32, outcome: FutureState) -> Result<(), Error> {
    with(|core, state, limits| state.settle(core, key, outcome, limits))?;
    // No guest is ready by it, but who waits in the host.
    signal::changed();
    Ok(())
}

/// Writes what a guest reads.
fn write(key: u32, value: Option<&ComponentValue>) -> Result<(), Error> {
    let (copy, alone) = with(|core, state, limits| {
        state.reap(core, limits)?;
        let copy = state.write(core, key, value, limits)?;
        let alone = state.leave_to_reap(core, copy.end.id);
        if alone.is_err() {
            state.free_block(core, key, copy.end.element, true)?;
        }
        Ok((copy, alone?))
    })?;
    let started = start(copy);
    with(|core, state, limits| {
        if started.is_err() {
            // As if it had not begun.
            core.store.end_host_copy(copy.end.id, CopyResult::Cancelled)?;
            core.store.host_get_pending_event(copy.end.id)?;
            state.free_block(core, key, copy.end.element, true)?;
            if alone {
                core.store.host_join(copy.end.id, None)?;
            }
        }
        state.reap(core, limits)
    })?;
    started
}

fn for_guest(key: u32, carries: Option<ValueType>, future: bool) -> Result<u32, Error> {
    with(|core, state, limits| {
        state.reap(core, limits)?;
        check_element(carries, core.store.types())?;
        state.check_room(limits)?;
        let host = core.host()?.instance;
        let (readable, writable) = core.store.host_new_stream(host, carries, future)?;
        let registered = state.register(core, key, writable, None, limits);
        if let Err(error) = registered {
            core.store.drop_host_future(readable, writable)?;
            return Err(error);
        }
        Ok(readable)
    })
}

fn from_guest(key: u32, readable: u32, future: bool) -> Result<(), Error> {
    with(|core, state, limits| {
        state.reap(core, limits)?;
        let end = core.store.host_end(readable)?;
        if end.direction != Direction::Read || end.future != future {
            return Err(Error::Misuse("the host's handle is of another kind"));
        }
        if state.key_of(end.id).is_ok() {
            return Err(Error::Misuse("the future or stream is registered already"));
        }
        check_element(end.element, core.store.types())?;
        state.check_room(limits)?;
        state.register(core, key, readable, None, limits)
    })
}

fn close(key: u32) -> Result<(), Error> {
    with(|core, state, limits| {
        state.reap(core, limits)?;
        let own = state.find(key)?.own.is_some();
        let Ok(end) = state.end_of(core, key) else {
            state.free_block(core, key, None, false)?;
            return state.end(core, key);
        };
        if own {
            core.store.cancel_host_copy(end.id)?;
            return state.end(core, key);
        }
        let writes = end.direction == Direction::Write;
        if writes && end.future {
            core.store.host_check_drop_end(end.id)?;
        }
        // What was read and not told of is lost; a write takes back what was not read.
        let read = core.store.cancel_host_copy(end.id)?;
        state.free_block(core, key, end.element, writes || read)?;
        state.end(core, key)
    })
}
