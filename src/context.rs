//! Contexts: values that whoever runs can find by key, without being passed them.
//!
//! There is one *current* context. A scope ([`AsyncContextScope`]) makes another the current one until it is dropped, and then
//! restores exactly what it found, also when a panic unwinds. What is set goes to the current context alone: every
//! [`AsyncContext`] is a value of its own, and two share what they hold only until one is changed (copy on write). Tasks and threads
//! begin with a snapshot of the context that they were started in; a scope that was entered while a task's code ran ends with that at the latest,
//! and one that was there before ends after it.
//!
//! With `std` the current context is the thread's; elsewhere there is one. An [`AsyncContext`] or a scope that is dropped while the
//! host's state is in use, which takes an interrupt handler or a second thread, is kept for good: [`AsyncContextScope::leave`] says so.
//!
//! These are the host's own. The spec's `context.get` and `context.set`, the guests' slots, are [`canon`](crate::canon)'s.
//!
//! ```ignore-none
//! use canon_async::context::{AsyncContextManager, AsyncContextScope, ContextKey, ContextValue};
//! # fn main() -> Result<(), canon_async::Error> {
//! let key = ContextKey::new("user");
//! AsyncContextManager::set_context_value(key.clone(), ContextValue::from(7))?;
//! {
//!     let _scope = AsyncContextScope::enter_empty()?;
//!     assert_eq!(AsyncContextManager::get_context_value(&key)?, None);
//! }
//! assert_eq!(AsyncContextManager::get_context_value(&key)?, Some(ContextValue::from(7)));
//! # Ok(())
//! # }
//! ```

mod state;

pub(crate) use state::State;

use crate::ambient::text::keep;
use crate::ambient::{self, AsText, ComponentValue, Limits, Text};
use crate::error::Error;
use crate::id::ContextId;
use core::marker::PhantomData;
use state::ScopeId;

/// What a value of a context is found by.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ContextKey(Text);

impl ContextKey {
    /// The key of this name. One that is longer than the limit is refused where it is used: `Capacity(TextBytes)`.
    pub fn new(name: impl AsText) -> Self {
        Self(keep(&name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value of a context.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ContextValue(ComponentValue);

impl ContextValue {
    /// The value as a context has it.
    pub fn from_component_value(value: ComponentValue) -> Self {
        Self(value)
    }

    /// The value.
    pub fn as_component_value(&self) -> &ComponentValue {
        &self.0
    }

    /// The value.
    pub fn into_component_value(self) -> ComponentValue {
        self.0
    }

    /// The value, where it is of this type.
    ///
    /// # Errors
    /// `Misuse` where it is of another.
    pub fn get<T>(&self) -> Result<T, Error>
    where
        T: for<'a> TryFrom<&'a ComponentValue, Error = Error>,
    {
        T::try_from(&self.0)
    }
}

impl<T: Into<ComponentValue>> From<T> for ContextValue {
    fn from(value: T) -> Self {
        Self(value.into())
    }
}

/// A context: values by key. It belongs to the thread that it was made on.
#[derive(Debug, Default)]
pub struct AsyncContext {
    id: Option<ContextId>,
    epoch: u32,
    /// Its id means nothing to another thread's state.
    here: PhantomData<*const ()>,
}

impl AsyncContext {
    /// An empty context. It takes no room until a value is set.
    pub const fn new() -> Self {
        Self { id: None, epoch: 0, here: PhantomData }
    }

    /// Another context with the same values. O(1): they are copied when one of the two is changed.
    ///
    /// # Errors
    /// `Misuse` where the host's state is in use.
    pub fn snapshot(&self) -> Result<Self, Error> {
        with(|state, _| {
            let id = state.id_of(self);
            state.hold(id);
            state.give(id)
        })
    }

    /// Sets a value; the one that the key had. O(values), since they may have to be copied.
    ///
    /// # Errors
    /// `Capacity(TextBytes | ListItems | Contexts | ContextValues)`, and nothing is changed.
    pub fn set(&mut self, key: ContextKey, value: ContextValue) -> Result<Option<ContextValue>, Error> {
        with(|state, limits| {
            let mut id = state.id_of(self);
            let old = state.set(&mut id, key, value, limits);
            (self.id, self.epoch) = (id, state.epoch());
            old
        })?
    }

    /// The value of a key. O(values).
    ///
    /// # Errors
    /// `Capacity(TextBytes)` of the key.
    pub fn get(&self, key: &ContextKey) -> Result<Option<ContextValue>, Error> {
        with(|state, limits| state.get(state.id_of(self), key, limits))?
    }

    /// Removes a value. O(values).
    ///
    /// # Errors
    /// `Capacity(TextBytes)` of the key; `Capacity(Contexts | ContextValues)` where the others have to be copied.
    pub fn remove(&mut self, key: &ContextKey) -> Result<Option<ContextValue>, Error> {
        with(|state, limits| {
            let mut id = state.id_of(self);
            let old = state.remove(&mut id, key, limits);
            (self.id, self.epoch) = (id, state.epoch());
            old
        })?
    }

    /// How many values it has.
    ///
    /// # Errors
    /// `Misuse` where the host's state is in use.
    pub fn len(&self) -> Result<usize, Error> {
        with(|state, _| state.len(state.id_of(self)))
    }

    /// Whether it has none.
    ///
    /// # Errors
    /// As [`AsyncContext::len`].
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }
}

impl Drop for AsyncContext {
    fn drop(&mut self) {
        if self.id.is_some() {
            let _ = with(|state, _| state.release(state.id_of(self)));
        }
    }
}

/// The current context.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AsyncContextManager;

impl AsyncContextManager {
    /// A snapshot of the current context. O(1).
    ///
    /// # Errors
    /// `Misuse` where the host's state is in use.
    pub fn context_get() -> Result<AsyncContext, Error> {
        with(|state, _| {
            let id = state.inherit();
            state.give(id)
        })
    }

    /// Makes a context the current one; the one before is the answer. Where a scope is open, until it is dropped.
    ///
    /// # Errors
    /// `Misuse` where the host's state is in use.
    pub fn context_set(mut context: AsyncContext) -> Result<AsyncContext, Error> {
        with(|state, _| {
            let id = state.take(&mut context);
            let before = state.switch(id);
            state.give(before)
        })
    }

    /// Sets a value of the current context; the one that the key had.
    ///
    /// # Errors
    /// As [`AsyncContext::set`].
    pub fn set_context_value(key: ContextKey, value: ContextValue) -> Result<Option<ContextValue>, Error> {
        with(|state, limits| {
            let mut id = state.current();
            let old = state.set(&mut id, key, value, limits);
            state.switch(id);
            old
        })?
    }

    /// The value of a key in the current context.
    ///
    /// # Errors
    /// As [`AsyncContext::get`].
    pub fn get_context_value(key: &ContextKey) -> Result<Option<ContextValue>, Error> {
        with(|state, limits| state.get(state.current(), key, limits))?
    }

    /// Removes a value of the current context.
    ///
    /// # Errors
    /// As [`AsyncContext::remove`].
    pub fn remove_context_value(key: &ContextKey) -> Result<Option<ContextValue>, Error> {
        with(|state, limits| {
            let mut id = state.current();
            let old = state.remove(&mut id, key, limits);
            state.switch(id);
            old
        })?
    }
}

/// While it lives, another context is the current one. Dropping it restores the one that it found; where scopes that were
/// entered after it are still there, when the last of these goes.
#[derive(Debug)]
#[must_use = "the context is current until the scope is dropped"]
pub struct AsyncContextScope {
    id: ScopeId,
    /// Its id means nothing to another thread's state.
    here: PhantomData<*const ()>,
}

impl AsyncContextScope {
    /// Makes a context the current one.
    ///
    /// # Errors
    /// `Capacity(ContextScopes)`; `Misuse` where the host's state is in use.
    pub fn enter(mut context: AsyncContext) -> Result<Self, Error> {
        // Where it fails, the context is dropped after that, and not while the state is in use.
        Self::open(|state| state.take(&mut context))
    }

    /// Makes an empty context the current one.
    ///
    /// # Errors
    /// As [`AsyncContextScope::enter`].
    pub fn enter_empty() -> Result<Self, Error> {
        Self::enter(AsyncContext::new())
    }

    /// Makes a snapshot of the current context the current one: what is set inside is gone afterwards.
    ///
    /// # Errors
    /// As [`AsyncContextScope::enter`].
    pub fn enter_inherited() -> Result<Self, Error> {
        Self::open(State::inherit)
    }

    /// Makes the context the current one that `f` answers, for which there is a place then.
    fn open(f: impl FnOnce(&mut State) -> Option<ContextId>) -> Result<Self, Error> {
        let id = with(|state, limits| {
            state.check_scopes(limits)?;
            let context = f(state);
            state.enter(context)
        })??;
        Ok(Self { id, here: PhantomData })
    }

    /// Ends the scope, as dropping it does.
    ///
    /// # Errors
    /// `Misuse` where the host's state is in use, with which the scope stays open.
    pub fn leave(self) -> Result<(), (Self, Error)> {
        match self.close() {
            Ok(()) => {
                core::mem::forget(self);
                Ok(())
            }
            Err(error) => Err((self, error)),
        }
    }

    fn close(&self) -> Result<(), Error> {
        with(|state, _| state.close(self.id))
    }
}

impl Drop for AsyncContextScope {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

fn with<R>(f: impl FnOnce(&mut State, &Limits) -> R) -> Result<R, Error> {
    ambient::host(|host| {
        let limits = host.limits();
        f(&mut host.context, &limits)
    })
}
