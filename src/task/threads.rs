//! What a task is beside that where it is a thread: a parent, children, and values that are destroyed when it ends.

use super::state::{Record, State};
use crate::ambient::table::PairList;
use crate::ambient::{ComponentValue, FunctionAt, Limits};
use crate::error::Error;
use crate::id::{ContextId, HostTaskId, LiftId};
use crate::state::Priority;
use crate::storage::{Link, List, Node};

/// The links of siblings.
const SIBLING: usize = 1;
/// The links of threads whose values are to be destroyed.
pub(super) const ENDING: usize = 2;

/// What destroys a thread-local value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Destructor {
    /// Nothing more than dropping it.
    None,
    /// A function of the thread's guest: with the key and the value.
    Guest(LiftId),
    /// The host's.
    Host(fn(u32, ComponentValue)),
}

/// A thread-local value.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) value: ComponentValue,
    pub(crate) destructor: Destructor,
}

/// Where the end of a thread is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Not there, or over.
    None,
    /// [`State::ending`].
    Listed,
    /// A guest's destructor is called, with these arguments.
    Called([u64; 2]),
}

/// What a task is as a thread.
#[derive(Debug)]
pub(crate) struct Part {
    /// Where its function was found, and how urgent it is; `None` for what is no thread.
    at: Option<(FunctionAt, Priority)>,
    parent: Option<HostTaskId>,
    children: List<HostTaskId, SIBLING>,
    sibling: Link,
    locals: PairList,
    stage: Stage,
    ending: Link,
    /// Destructors of its guest that could not run to their end, since the instance trapped.
    lost: u32,
}

impl Part {
    pub(super) const NONE: Self = Self {
        at: None,
        parent: None,
        children: List::EMPTY,
        sibling: Link::NONE,
        locals: PairList::EMPTY,
        stage: Stage::None,
        ending: Link::NONE,
        lost: 0,
    };

    pub(super) fn is_ending(&self) -> bool {
        self.stage != Stage::None
    }

    /// Where a destructor is called: it starts now.
    pub(super) fn start_destructor(&self, to: &mut [u64]) -> bool {
        let Stage::Called(args) = self.stage else { return false };
        for (to, arg) in to.iter_mut().zip(args) {
            *to = arg;
        }
        true
    }
}

impl Node<SIBLING> for Record {
    fn link(&self) -> &Link {
        &self.thread.sibling
    }

    fn link_mut(&mut self) -> &mut Link {
        &mut self.thread.sibling
    }
}

impl Node<ENDING> for Record {
    fn link(&self) -> &Link {
        &self.thread.ending
    }

    fn link_mut(&mut self) -> &mut Link {
        &mut self.thread.ending
    }
}

/// What is next to be done of the ends of threads.
pub(super) enum Next {
    Nothing,
    /// One has no more values; the context that it kept.
    Over(Option<ContextId>),
    /// A value is to be destroyed.
    Destroy(HostTaskId, u32, Local),
}

impl State {
    /// The task is a thread from now on.
    pub(crate) fn make_thread(
        &mut self,
        id: HostTaskId,
        at: FunctionAt,
        priority: Priority,
        parent: Option<HostTaskId>,
    ) -> Result<(), Error> {
        let part = &mut self.get_mut(id)?.thread;
        (part.at, part.parent) = (Some((at, priority)), parent);
        let Some(parent) = parent else { return Ok(()) };
        self.with_children(parent, |children, state| children.push_back(state.tasks.slab_mut(), id))
    }

    fn with_children<R>(
        &mut self,
        parent: HostTaskId,
        f: impl FnOnce(&mut List<HostTaskId, SIBLING>, &mut Self) -> R,
    ) -> Result<R, Error> {
        let mut children = core::mem::replace(&mut self.get_mut(parent)?.thread.children, List::EMPTY);
        let result = f(&mut children, self);
        self.get_mut(parent)?.thread.children = children;
        Ok(result)
    }

    /// A task is freed: its children have no parent then, and its parent one child fewer. O(children).
    pub(super) fn forget_thread(&mut self, id: HostTaskId) {
        let _ = self.with_children(id, |children, state| {
            while let Some(child) = children.pop_front(state.tasks.slab_mut()) {
                if let Ok(child) = state.get_mut(child) {
                    child.thread.parent = None;
                }
            }
        });
        if let Some(parent) = self.get(id).ok().and_then(|record| record.thread.parent) {
            let _ = self.with_children(parent, |children, state| children.remove(state.tasks.slab_mut(), id));
        }
        self.ending.remove(self.tasks.slab_mut(), id);
        if let Some(record) = self.tasks.get_mut(id) {
            while self.locals.pop(&mut record.thread.locals).is_some() {}
        }
    }

    pub(crate) fn parent(&self, id: HostTaskId) -> Result<Option<HostTaskId>, Error> {
        Ok(self.get(id)?.thread.parent)
    }

    /// The first child, or the one after another.
    pub(crate) fn child(
        &self,
        id: HostTaskId,
        after: Option<HostTaskId>,
    ) -> Result<Option<HostTaskId>, Error> {
        let children = &self.get(id)?.thread.children;
        Ok(match after {
            None => children.front(self.tasks.slab()),
            Some(child) => children.after(self.tasks.slab(), child),
        })
    }

    /// Where a thread's function was found.
    pub(crate) fn thread_at(&self, id: HostTaskId) -> Result<FunctionAt, Error> {
        self.part(id).map(|(at, _)| at)
    }

    fn part(&self, id: HostTaskId) -> Result<(FunctionAt, Priority), Error> {
        self.get(id)?.thread.at.ok_or(Error::Misuse("the task is no thread"))
    }

    /// How many destructors of the guest were lost.
    pub(crate) fn lost_destructors(&self, id: HostTaskId) -> Result<u32, Error> {
        Ok(self.get(id)?.thread.lost)
    }

    pub(crate) fn set_local(
        &mut self,
        id: HostTaskId,
        key: u32,
        local: Local,
        limits: &Limits,
    ) -> Result<Option<ComponentValue>, Error> {
        self.thread_at(id)?;
        self.check_live(id)?;
        let record = self.tasks.get_mut(id).ok_or(Error::Bug("a live task is gone"))?;
        let old = self.locals.set_first(&mut record.thread.locals, key, local, limits.thread_locals)?;
        Ok(old.map(|local| local.value))
    }

    pub(crate) fn local(&self, id: HostTaskId, key: u32) -> Result<Option<ComponentValue>, Error> {
        let locals = &self.get(id)?.thread.locals;
        Ok(self.locals.get(locals, &key).map(|local| local.value.clone()))
    }

    pub(crate) fn remove_local(&mut self, id: HostTaskId, key: u32) -> Result<Option<ComponentValue>, Error> {
        self.get(id)?;
        let Some(record) = self.tasks.get_mut(id) else { return Ok(None) };
        Ok(self.locals.remove(&mut record.thread.locals, &key).map(|local| local.value))
    }

    /// A task has finished. Whether it has values to destroy.
    pub(super) fn start_ending(&mut self, id: HostTaskId) -> bool {
        let Some(record) = self.tasks.get_mut(id) else { return false };
        if record.thread.locals.is_empty() {
            return false;
        }
        record.thread.stage = Stage::Listed;
        self.ending.push_back(self.tasks.slab_mut(), id);
        true
    }

    /// What is next to be done. The values of a thread are destroyed one after another, the one that was set last first.
    pub(super) fn next_destructor(&mut self) -> Next {
        let Some(id) = self.ending.front(self.tasks.slab()) else { return Next::Nothing };
        let Some(record) = self.tasks.get_mut(id) else { return Next::Nothing };
        if let Some((key, local)) = self.locals.pop(&mut record.thread.locals) {
            return Next::Destroy(id, key, local);
        }
        record.thread.stage = Stage::None;
        self.ending.remove(self.tasks.slab_mut(), id);
        Next::Over(self.end_over(id))
    }

    /// A guest's destructor is about to be called: how urgent it is.
    pub(super) fn call_destructor(&mut self, id: HostTaskId, args: [u64; 2]) -> Result<Priority, Error> {
        let (_, priority) = self.part(id)?;
        self.get_mut(id)?.thread.stage = Stage::Called(args);
        self.ending.remove(self.tasks.slab_mut(), id);
        Ok(priority)
    }

    /// A guest's destructor has ended, if one was called: run to its end, or lost.
    pub(super) fn end_destructor(&mut self, id: HostTaskId, done: bool) -> bool {
        let Some(record) = self.tasks.get_mut(id) else { return false };
        if !matches!(record.thread.stage, Stage::Called(_)) {
            return false;
        }
        if !done {
            record.thread.lost = record.thread.lost.saturating_add(1);
        }
        record.thread.stage = Stage::Listed;
        // It goes on where it was.
        self.ending.push_front(self.tasks.slab_mut(), id);
        true
    }

    /// A guest's destructor could not be called, for want of room: the value stays, for another time.
    pub(super) fn keep_local(&mut self, id: HostTaskId, key: u32, local: Local) -> Result<(), Error> {
        let record = self.get_mut(id)?;
        record.thread.stage = Stage::Listed;
        self.ending.push_back(self.tasks.slab_mut(), id);
        let record = self.tasks.get_mut(id).ok_or(Error::Bug("a thread is gone that ends"))?;
        // There is the room that it had.
        self.locals.set_first(&mut record.thread.locals, key, local, u32::MAX).map(drop)
    }
}
