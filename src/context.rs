//! Contexts: values that whoever runs can find by key, without being passed them.
//!
//! There is one *current* context. A scope ([`AsyncContextScope`]) makes another the current one until it is dropped, and then
//! restores exactly what it found, also when a panic unwinds. What is set goes to the current context alone: every
//! [`AsyncContext`] is a value of its own, and two share what they hold only until one is changed (copy on write). Tasks and threads
//! begin with a snapshot of the context that they were started in.
//!
//! With `std` the current context is the thread's; elsewhere there is one. An [`AsyncContext`] or a scope that is dropped while the
//! host's state is in use, which takes an interrupt handler or a second thread, is kept for good: [`AsyncContextScope::leave`] says so.
//!
//! These are the host's own. The spec's `context.get` and `context.set`, the guests' slots, are [`canon`](crate::canon)'s.
//!
//! ```
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

use crate::ambient::table::{PairList, Pairs, Pool};
use crate::ambient::text::{check_text, keep};
use crate::ambient::{self, AsText, ComponentValue, Limits, Room, Text, capacity};
use crate::error::{Error, Resource};
use crate::id::ContextId;
use crate::storage::{Blank, Slots};
use core::marker::PhantomData;

/// What a value of a context is found by.
#[derive(Clone, PartialEq, Eq, Debug)]
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
            (self.id, self.epoch) = (id, state.epoch);
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
            (self.id, self.epoch) = (id, state.epoch);
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
    pub fn context_set(context: AsyncContext) -> Result<AsyncContext, Error> {
        with(|state, _| {
            let id = state.take(context);
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
            let mut id = state.current;
            let old = state.set(&mut id, key, value, limits);
            state.current = id;
            old
        })?
    }

    /// The value of a key in the current context.
    ///
    /// # Errors
    /// As [`AsyncContext::get`].
    pub fn get_context_value(key: &ContextKey) -> Result<Option<ContextValue>, Error> {
        with(|state, limits| state.get(state.current, key, limits))?
    }

    /// Removes a value of the current context.
    ///
    /// # Errors
    /// As [`AsyncContext::remove`].
    pub fn remove_context_value(key: &ContextKey) -> Result<Option<ContextValue>, Error> {
        with(|state, limits| {
            let mut id = state.current;
            let old = state.remove(&mut id, key, limits);
            state.current = id;
            old
        })?
    }
}

/// While it lives, another context is the current one. Dropping it restores the one that it found; where scopes that were
/// entered after it are still there, when the last of these goes.
#[derive(Debug)]
#[must_use = "the context is current until the scope is dropped"]
pub struct AsyncContextScope {
    index: u32,
    epoch: u32,
    here: PhantomData<*const ()>,
}

impl AsyncContextScope {
    /// Makes a context the current one.
    ///
    /// # Errors
    /// `Capacity(ContextScopes)`; `Misuse` where the host's state is in use.
    pub fn enter(context: AsyncContext) -> Result<Self, Error> {
        with(|state, limits| {
            state.check_scopes(limits)?;
            let id = state.take(context);
            state.enter(id)
        })?
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
        with(|state, limits| {
            state.check_scopes(limits)?;
            let id = state.inherit();
            state.enter(id)
        })?
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
        with(|state, _| {
            if state.epoch == self.epoch {
                state.close(self.index);
            }
        })
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

const GONE: Error = Error::Bug("a context is gone that somebody holds");

/// The contexts, and which is the current one. `None` stands for the empty context everywhere.
#[derive(Debug)]
pub(crate) struct State {
    contexts: Pool<ContextId, Context, { capacity::CONTEXTS }>,
    values: Pairs<Text, ContextValue, { capacity::CONTEXT_VALUES }>,
    current: Option<ContextId>,
    /// The scopes that are open, innermost last, are the first `depth`.
    scopes: Room<Scope, { capacity::CONTEXT_SCOPES }>,
    depth: u32,
    /// Counts the resets of the ambient store: what is older holds nothing.
    epoch: u32,
}

#[derive(Debug)]
struct Context {
    /// Who has its id: [`AsyncContext`]s, scopes, tasks, threads, and being the current one.
    holders: u32,
    values: PairList,
}

#[derive(Debug)]
struct Scope {
    found: Option<ContextId>,
    open: bool,
}

impl Blank for Scope {
    const BLANK: Self = Self { found: None, open: false };
}

impl State {
    pub(crate) const fn new(epoch: u32) -> Self {
        Self {
            contexts: Pool::new(),
            values: Pairs::new(Resource::ContextValues),
            current: None,
            scopes: Room::EMPTY,
            depth: 0,
            epoch,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.contexts.len() == 0 && self.values.len() == 0 && self.depth == 0
    }

    /// The number for the state after a reset.
    pub(crate) fn next_epoch(&self) -> u32 {
        self.epoch.wrapping_add(1)
    }

    /// The current context, for a task or a thread that is started in it and keeps it until [`State::release`].
    pub(crate) fn inherit(&mut self) -> Option<ContextId> {
        self.hold(self.current);
        self.current
    }

    /// Makes the context that a task or a thread keeps the current one while it runs; the one before is given back the same way, and
    /// what is answered then is what the task or thread keeps from then on.
    pub(crate) fn switch(&mut self, to: Option<ContextId>) -> Option<ContextId> {
        core::mem::replace(&mut self.current, to)
    }

    /// Somebody keeps a context no longer.
    pub(crate) fn release(&mut self, id: Option<ContextId>) {
        let Some((id, context)) = id.and_then(|id| Some((id, self.contexts.get_mut(id)?))) else { return };
        // A count that is full stays so: rather never freed than too early.
        if context.holders != u32::MAX {
            context.holders = context.holders.saturating_sub(1);
        }
        if context.holders == 0
            && let Some(mut context) = self.contexts.remove(id)
        {
            while self.values.pop(&mut context.values).is_some() {}
        }
    }

    fn hold(&mut self, id: Option<ContextId>) {
        if let Some(context) = id.and_then(|id| self.contexts.get_mut(id)) {
            context.holders = context.holders.saturating_add(1);
        }
    }

    /// The id that an [`AsyncContext`] has, if it is of this state.
    fn id_of(&self, context: &AsyncContext) -> Option<ContextId> {
        context.id.filter(|_| context.epoch == self.epoch)
    }

    /// An [`AsyncContext`] that holds what the caller held.
    fn give(&self, id: Option<ContextId>) -> AsyncContext {
        AsyncContext { id, epoch: self.epoch, here: PhantomData }
    }

    /// What an [`AsyncContext`] held, for the caller to hold.
    fn take(&self, mut context: AsyncContext) -> Option<ContextId> {
        let id = self.id_of(&context);
        context.id = None;
        id
    }

    fn list(&self, id: Option<ContextId>) -> Option<&PairList> {
        Some(&self.contexts.get(id?)?.values)
    }

    fn len(&self, id: Option<ContextId>) -> usize {
        self.list(id).map_or(0, |list| self.values.iter(list).count())
    }

    fn get(
        &self,
        id: Option<ContextId>,
        key: &ContextKey,
        limits: &Limits,
    ) -> Result<Option<ContextValue>, Error> {
        check_text(&key.0, limits.text_bytes)?;
        Ok(self.list(id).and_then(|list| self.values.get(list, key.as_str())).cloned())
    }

    /// Sets a value of a context that the caller holds, which may hold another then; the value that the key had.
    fn set(
        &mut self,
        id: &mut Option<ContextId>,
        ContextKey(key): ContextKey,
        value: ContextValue,
        limits: &Limits,
    ) -> Result<Option<ContextValue>, Error> {
        check_text(&key, limits.text_bytes)?;
        value.0.check(limits)?;
        let known = self.list(*id).is_some_and(|list| self.values.get(list, &*key).is_some());
        let own = self.writable(id, usize::from(!known), limits)?;
        let context = self.contexts.get_mut(own).ok_or(GONE)?;
        self.values.set(&mut context.values, key, value, limits.context_values)
    }

    /// Removes a value of a context that the caller holds, which may hold another then; the value.
    fn remove(
        &mut self,
        id: &mut Option<ContextId>,
        key: &ContextKey,
        limits: &Limits,
    ) -> Result<Option<ContextValue>, Error> {
        if self.get(*id, key, limits)?.is_none() {
            return Ok(None);
        }
        let own = self.writable(id, 0, limits)?;
        let context = self.contexts.get_mut(own).ok_or(GONE)?;
        let old = self.values.remove(&mut context.values, key.as_str());
        if context.values.is_empty() {
            self.release(id.take());
        }
        Ok(old)
    }

    /// Puts a context that the caller alone holds in the place of the one that it holds, with the same values and with room for so
    /// many more.
    fn writable(
        &mut self,
        id: &mut Option<ContextId>,
        more: usize,
        limits: &Limits,
    ) -> Result<ContextId, Error> {
        let alone = id.filter(|id| self.contexts.get(*id).is_some_and(|context| context.holders == 1));
        let copied = if alone.is_some() { 0 } else { self.len(*id) };
        if !self.values.has_room(copied.saturating_add(more), limits.context_values) {
            return Err(Error::Capacity(Resource::ContextValues));
        }
        if let Some(id) = alone {
            return Ok(id);
        }
        let new = Context { holders: 1, values: PairList::EMPTY };
        let new = self.contexts.insert(new, limits.contexts, Resource::Contexts)?;
        if let Some(shared) = id.and_then(|id| self.contexts.get(id)) {
            let values = self.values.copy(&shared.values, limits.context_values);
            match (values, self.contexts.get_mut(new)) {
                (Ok(values), Some(context)) => context.values = values,
                (Err(error), _) => {
                    self.contexts.remove(new);
                    return Err(error);
                }
                (Ok(_), None) => return Err(GONE),
            }
        }
        self.release(id.replace(new));
        Ok(new)
    }

    fn check_scopes(&self, limits: &Limits) -> Result<(), Error> {
        let room = self.depth < limits.context_scopes && (self.depth as usize) < self.scopes.capacity();
        if room { Ok(()) } else { Err(Error::Capacity(Resource::ContextScopes)) }
    }

    /// Opens a scope with a context that the caller held. There is room.
    fn enter(&mut self, id: Option<ContextId>) -> Result<AsyncContextScope, Error> {
        let index = self.depth;
        let grown = (index as usize) < self.scopes.as_slice().len() || self.scopes.grow();
        match self.scopes.as_mut_slice().get_mut(index as usize) {
            Some(scope) if grown => {
                *scope = Scope { found: core::mem::replace(&mut self.current, id), open: true };
            }
            _ => {
                self.release(id);
                return Err(Error::Capacity(Resource::ContextScopes));
            }
        }
        self.depth = index.saturating_add(1);
        Ok(AsyncContextScope { index, epoch: self.epoch, here: PhantomData })
    }

    /// Closes a scope, and ends those that are closed and have no open one in them.
    fn close(&mut self, index: u32) {
        if let Some(scope) = self.scopes.as_mut_slice().get_mut(index as usize) {
            scope.open = false;
        }
        while let Some(top) = self.depth.checked_sub(1)
            && let Some(scope) = self.scopes.as_mut_slice().get_mut(top as usize)
            && !scope.open
        {
            let found = scope.found.take();
            self.depth = top;
            let ended = self.switch(found);
            self.release(ended);
        }
    }
}
