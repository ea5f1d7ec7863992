//! What a task is beside that where it is a thread: a parent, children, and values that are destroyed when it ends.

use super::state::{Record, State};
use crate::ambient::table::PairList;
use crate::ambient::{ComponentValue, FunctionAt, Limits};
use crate::error::{Error, Resource};
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

/// How a thread begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// Where its function was found.
    pub(crate) at: FunctionAt,
    pub(crate) priority: Priority,
    /// Bytes of stack that were asked for.
    pub(crate) stack: Option<u32>,
}

/// A call of a guest's destructor, which is a thread as the one that ends.
pub(super) struct GuestDestructor {
    pub(super) function: LiftId,
    /// The key, and the value.
    pub(super) args: [u64; 2],
    pub(super) priority: Priority,
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
    /// `None` for what is no thread.
    begin: Option<Begin>,
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
        begin: None,
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
    /// A value is the host's to destroy, if there is anything to do.
    Host(HostTaskId),
    /// A value is a guest's to destroy.
    Guest(HostTaskId, GuestDestructor),
}

impl State {
    /// The task is a thread from now on.
    pub(crate) fn make_thread(
        &mut self,
        id: HostTaskId,
        begin: Begin,
        parent: Option<HostTaskId>,
    ) -> Result<(), Error> {
        let part = &mut self.get_mut(id)?.thread;
        (part.begin, part.parent) = (Some(begin), parent);
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
        self.begin(id).map(|begin| begin.at)
    }

    /// The bytes of stack that were asked for, where the task is a thread.
    pub(super) fn stack_bytes(&self, id: HostTaskId) -> Option<u32> {
        self.begin(id).ok()?.stack
    }

    fn begin(&self, id: HostTaskId) -> Result<Begin, Error> {
        self.get(id)?.thread.begin.ok_or(Error::Misuse("the task is no thread"))
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
        let most = (limits.thread_locals, Resource::ThreadLocals);
        let old = self.locals.set_first(&mut record.thread.locals, key, local, most)?;
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

    /// Takes the value out that is next to be destroyed.
    pub(super) fn take_local(&mut self, id: HostTaskId) -> Option<(u32, Local)> {
        self.locals.pop(&mut self.tasks.get_mut(id)?.thread.locals)
    }

    /// What is next to be done, before which the value is there still. The values of a thread are destroyed one after another, the one that was set last first.
    pub(super) fn next_destructor(&mut self) -> Next {
        let Some(id) = self.ending.front(self.tasks.slab()) else { return Next::Nothing };
        let Some(record) = self.tasks.get_mut(id) else { return Next::Nothing };
        match (self.locals.iter(&record.thread.locals).next(), record.thread.begin) {
            (None, _) => {}
            (Some((key, Local { value, destructor: Destructor::Guest(function) })), Some(begin)) => {
                let args = [u64::from(*key), value.to_bits().unwrap_or(0)];
                return Next::Guest(
                    id,
                    GuestDestructor { function: *function, args, priority: begin.priority },
                );
            }
            (Some(_), _) => return Next::Host(id),
        }
        record.thread.stage = Stage::None;
        self.ending.remove(self.tasks.slab_mut(), id);
        Next::Over(self.end_over(id))
    }

    /// The guest's destructor is called of the value that is next to be destroyed: it is there no longer.
    pub(super) fn destructor_called(&mut self, id: HostTaskId, args: [u64; 2]) {
        self.take_local(id);
        let Some(record) = self.tasks.get_mut(id) else { return };
        record.thread.stage = Stage::Called(args);
        self.ending.remove(self.tasks.slab_mut(), id);
    }

    /// The guest's destructor can't be called of the value that is next to be destroyed, and never will: it is lost.
    pub(super) fn destructor_failed(&mut self, id: HostTaskId) {
        self.take_local(id);
        let Some(record) = self.tasks.get_mut(id) else { return };
        record.thread.lost = record.thread.lost.saturating_add(1);
    }

    /// There is no room to call a guest's destructor: those are next that end after this one.
    pub(super) fn let_others_end(&mut self, id: HostTaskId) {
        self.ending.remove(self.tasks.slab_mut(), id);
        self.ending.push_back(self.tasks.slab_mut(), id);
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
}
