//! The contexts that there are, and which is the current one.

use super::{AsyncContext, ContextKey, ContextValue};
use crate::ambient::table::{PairList, Pairs, Pool};
use crate::ambient::text::check_text;
use crate::ambient::{Limits, Room, Text, capacity};
use crate::error::{Error, Resource};
use crate::id::ContextId;
use crate::storage::{Blank, Slots};
use core::marker::PhantomData;

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
    /// So many of them stand around the code of the task that runs: these end after it.
    around: u32,
    /// The number of the scope that was last entered.
    serial: u32,
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
    /// Its number while it is open; 0 once it is closed.
    serial: u32,
}

impl Blank for Scope {
    const BLANK: Self = Self { found: None, serial: 0 };
}

/// What an [`AsyncContextScope`](super::AsyncContextScope) knows its scope by: its place, which others may have had or have since.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScopeId {
    index: u32,
    serial: u32,
    epoch: u32,
}

impl State {
    pub(crate) const fn new() -> Self {
        Self {
            contexts: Pool::new(),
            values: Pairs::new(),
            current: None,
            scopes: Room::EMPTY,
            depth: 0,
            around: 0,
            serial: 0,
            epoch: 0,
        }
    }

    /// Forgets everything: what is older holds nothing.
    pub(crate) fn reset(&mut self) {
        let next = self.next_epoch();
        let Self { contexts, values, current, scopes, depth, around, serial, epoch } = self;
        contexts.reset();
        values.reset();
        scopes.clear();
        (*current, *depth, *around, *serial, *epoch) = (None, 0, 0, 0, next);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.contexts.len() == 0 && self.values.len() == 0 && self.depth == 0
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The current context.
    pub(super) fn current(&self) -> Option<ContextId> {
        self.current
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

    pub(super) fn hold(&mut self, id: Option<ContextId>) {
        if let Some(context) = id.and_then(|id| self.contexts.get_mut(id)) {
            context.holders = context.holders.saturating_add(1);
        }
    }

    /// The id that an [`AsyncContext`] has, if it is of this state.
    pub(super) fn id_of(&self, context: &AsyncContext) -> Option<ContextId> {
        context.id.filter(|_| context.epoch == self.epoch)
    }

    /// An [`AsyncContext`] that holds what the caller held.
    pub(super) fn give(&self, id: Option<ContextId>) -> AsyncContext {
        AsyncContext { id, epoch: self.epoch, here: PhantomData }
    }

    /// What an [`AsyncContext`] held, for the caller to hold.
    pub(super) fn take(&self, context: &mut AsyncContext) -> Option<ContextId> {
        let id = self.id_of(context);
        context.id = None;
        id
    }

    fn list(&self, id: Option<ContextId>) -> Option<&PairList> {
        Some(&self.contexts.get(id?)?.values)
    }

    pub(super) fn len(&self, id: Option<ContextId>) -> usize {
        self.list(id).map_or(0, |list| self.values.count(list))
    }

    pub(super) fn get(
        &self,
        id: Option<ContextId>,
        key: &ContextKey,
        limits: &Limits,
    ) -> Result<Option<ContextValue>, Error> {
        check_text(&key.0, limits.text_bytes)?;
        Ok(self.list(id).and_then(|list| self.values.get(list, key.as_str())).cloned())
    }

    /// Sets a value of a context that the caller holds, which may hold another then; the value that the key had.
    pub(super) fn set(
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
        self.values.set(&mut context.values, key, value, most(limits))
    }

    /// Removes a value of a context that the caller holds, which may hold another then; the value.
    pub(super) fn remove(
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
            return Err(Error::limit_reached(Resource::ContextValues, limits.context_values as usize));
        }
        if let Some(id) = alone {
            return Ok(id);
        }
        let new = Context { holders: 1, values: PairList::EMPTY };
        let new = self.contexts.insert(new, limits.contexts, Resource::Contexts)?;
        if let Some(shared) = id.and_then(|id| self.contexts.get(id)) {
            let values = self.values.copy(&shared.values, most(limits));
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

    pub(super) fn check_scopes(&self, limits: &Limits) -> Result<(), Error> {
        let room = self.depth < limits.context_scopes && (self.depth as usize) < self.scopes.capacity();
        let full = Error::limit_reached(Resource::ContextScopes, limits.context_scopes as usize);
        if room { Ok(()) } else { Err(full) }
    }

    /// Opens a scope with a context that the caller held. There is room.
    pub(super) fn enter(&mut self, id: Option<ContextId>) -> Result<ScopeId, Error> {
        let index = self.depth;
        let serial = self.serial.wrapping_add(1).max(1);
        let grown = (index as usize) < self.scopes.as_slice().len() || self.scopes.grow();
        match self.scopes.as_mut_slice().get_mut(index as usize) {
            Some(scope) if grown => {
                *scope = Scope { found: core::mem::replace(&mut self.current, id), serial };
            }
            _ => {
                self.release(id);
                return Err(Error::capacity(Resource::ContextScopes));
            }
        }
        (self.depth, self.serial) = (index.saturating_add(1), serial);
        Ok(ScopeId { index, serial, epoch: self.epoch })
    }

    /// Closes a scope, if it is still there.
    pub(super) fn close(&mut self, ScopeId { index, serial, epoch }: ScopeId) {
        if epoch == self.epoch
            && let Some(scope) = self.scopes.as_mut_slice().get_mut(index as usize)
            && scope.serial == serial
        {
            scope.serial = 0;
            self.end_closed();
        }
    }

    /// Ends the scopes that are closed and have no open one in them.
    fn end_closed(&mut self) {
        while let Some(top) = self.depth.checked_sub(1)
            && top >= self.around
            && let Some(scope) = self.scopes.as_mut_slice().get_mut(top as usize)
            && scope.serial == 0
        {
            let found = scope.found.take();
            self.depth = top;
            let ended = self.switch(found);
            self.release(ended);
        }
    }

    /// Code of a task is about to run: the scopes that are there stay until it is over. How many stood around what ran before.
    pub(crate) fn task_begins(&mut self) -> u32 {
        core::mem::replace(&mut self.around, self.depth)
    }

    /// Code of a task is over: the scopes end that it left open.
    pub(crate) fn end_scopes(&mut self) {
        for scope in self.scopes.as_mut_slice().iter_mut().skip(self.around as usize) {
            scope.serial = 0;
        }
        self.end_closed();
    }

    /// The context is the current one again that was so before [`State::task_begins`], which gave this number.
    pub(crate) fn task_is_over(&mut self, around: u32) {
        self.around = around;
        self.end_closed();
    }
}

fn most(limits: &Limits) -> (u32, Resource) {
    (limits.context_values, Resource::ContextValues)
}
