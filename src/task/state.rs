//! What the host keeps about its tasks, beside what the core does.

use super::flat::Flat;
use super::threads::{ENDING, Local, Part};
use super::{TaskFailure, TaskOutcome, TaskReturn, TaskState};
use crate::ambient::table::{PairList, Pairs, Pool};
use crate::ambient::{ComponentValue, FlatType, Limits, Text, capacity};
use crate::error::{Error, Resource, Trap};
use crate::id::{ContextId, HostTaskId, TaskId};
use crate::storage::{Key, Link, List, Node};

/// A task that is not there: ids are never used again.
const FREED: Error = Error::Misuse("no such task: it has finished and was freed");

/// What resolves a task.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The host, which said that it started.
    Own,
    /// A guest's function, whose result is of this type.
    Call(Option<FlatType>),
}

#[derive(Debug)]
enum Progress {
    /// A call that has not started, with its arguments.
    Pending(Flat),
    Running,
    Finished(TaskOutcome),
}

/// The list that a task is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Listed {
    None,
    /// [`State::known`].
    Known,
    /// [`State::deferred`].
    Deferred,
    /// [`State::lost`].
    Lost,
}

#[derive(Debug)]
pub(super) struct Record {
    kind: Kind,
    progress: Progress,
    /// The core's task, while it is there.
    core: Option<TaskId>,
    /// The context that is current while it runs; not here then, but while another's code runs in the midst of its own.
    context: Option<ContextId>,
    /// How often its code is on the stack.
    inside: u32,
    metadata: PairList,
    /// Its cancellation was asked for.
    cancelled: bool,
    /// It has finished, and somebody was told how.
    known: bool,
    listed: Listed,
    link: Link,
    /// What it is as a thread.
    pub(super) thread: Part,
}

impl Record {
    /// Whether it has finished, and has nothing more to run.
    fn is_over(&self) -> bool {
        matches!(self.progress, Progress::Finished(_)) && !self.thread.is_ending()
    }
}

impl Node<0> for Record {
    fn link(&self) -> &Link {
        &self.link
    }

    fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

/// What the core has to be told of a task.
pub(super) enum Job {
    /// The host's own task has returned.
    Return(TaskId),
    /// The host's own task was cancelled.
    Cancel(TaskId),
    /// The cancellation of a call is asked for.
    Request(HostTaskId, TaskId),
}

/// The tasks of the host.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) tasks: Pool<HostTaskId, Record, { capacity::HOST_TASKS }>,
    metadata: Pairs<Text, ComponentValue, { capacity::TASK_METADATA }>,
    /// Those that have finished and somebody was told how: freed where there is no room, oldest first.
    known: List<HostTaskId, 0>,
    /// Those that the core has to be told of, since it was in use.
    deferred: List<HostTaskId, 0>,
    /// Those that a trap ended which nobody has named yet.
    lost: List<HostTaskId, 0>,
    /// Values that are local to threads.
    pub(super) locals: Pairs<u32, Local, { capacity::THREAD_LOCALS }>,
    /// Threads that have finished and whose values have not been destroyed.
    pub(super) ending: List<HostTaskId, ENDING>,
    /// Destructors that a trap ended which nobody has named yet.
    lost_destructors: u32,
    /// The task whose code runs.
    pub(crate) running: Option<HostTaskId>,
}

impl State {
    pub(crate) const fn new() -> Self {
        Self {
            tasks: Pool::new(),
            metadata: Pairs::new(),
            known: List::EMPTY,
            deferred: List::EMPTY,
            lost: List::EMPTY,
            locals: Pairs::new(),
            ending: List::EMPTY,
            lost_destructors: 0,
            running: None,
        }
    }

    /// Forgets the tasks, whose ids name none of those that come.
    pub(crate) fn reset(&mut self) {
        let Self { tasks, metadata, known, deferred, lost, locals, ending, lost_destructors, running } = self;
        tasks.reset();
        metadata.reset();
        locals.reset();
        (*known, *deferred, *lost, *ending) = (List::EMPTY, List::EMPTY, List::EMPTY, List::EMPTY);
        (*lost_destructors, *running) = (0, None);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.len() == 0
    }

    /// The task of a call, by the index that names it.
    pub(super) fn key_at(&self, index: u32) -> Option<HostTaskId> {
        self.tasks.key_at(index)
    }

    /// The task that has to be freed for a new one, if one has: the first that finished of those that are known to have, but not `kept`.
    pub(super) fn oldest_known(
        &self,
        limits: &Limits,
        kept: Option<HostTaskId>,
    ) -> Result<Option<HostTaskId>, Error> {
        if self.tasks.has_room(1, limits.host_tasks) {
            return Ok(None);
        }
        let slab = self.tasks.slab();
        let oldest = match self.known.front(slab) {
            Some(id) if Some(id) == kept => self.known.after(slab, id),
            oldest => oldest,
        };
        oldest.map(Some).ok_or(Error::limit_reached(Resource::HostTasks, limits.host_tasks as usize))
    }

    /// Adds a task, for which there is room; it keeps the context.
    pub(super) fn insert(
        &mut self,
        kind: Kind,
        args: Option<Flat>,
        context: Option<ContextId>,
    ) -> Result<HostTaskId, Error> {
        let progress = args.map_or(Progress::Running, Progress::Pending);
        let record = Record {
            kind,
            progress,
            core: None,
            context,
            inside: 0,
            metadata: PairList::EMPTY,
            cancelled: false,
            known: false,
            listed: Listed::None,
            link: Link::NONE,
            thread: Part::NONE,
        };
        self.tasks.insert(record, u32::MAX, Resource::HostTasks)
    }

    /// Frees every task that has finished and is known to have; how many.
    pub(super) fn free_known(&mut self) -> u32 {
        let mut freed = 0u32;
        while let Some(id) = self.known.front(self.tasks.slab()) {
            self.free(id);
            freed = freed.saturating_add(1);
        }
        freed
    }

    /// Takes a task away; the context that it kept.
    pub(super) fn free(&mut self, id: HostTaskId) -> Option<ContextId> {
        self.list(id, Listed::None);
        self.forget_thread(id);
        let mut record = self.tasks.remove(id)?;
        while self.metadata.pop(&mut record.metadata).is_some() {}
        record.context
    }

    pub(super) fn get(&self, id: HostTaskId) -> Result<&Record, Error> {
        self.tasks.get(id).ok_or(FREED)
    }

    pub(super) fn get_mut(&mut self, id: HostTaskId) -> Result<&mut Record, Error> {
        self.tasks.get_mut(id).ok_or(FREED)
    }

    /// Puts a task on a list, and takes it off the one that it is on.
    fn list(&mut self, id: HostTaskId, to: Listed) {
        let Some(record) = self.tasks.get_mut(id) else { return };
        match core::mem::replace(&mut record.listed, to) {
            Listed::None => {}
            Listed::Known => self.known.remove(self.tasks.slab_mut(), id),
            Listed::Deferred => self.deferred.remove(self.tasks.slab_mut(), id),
            Listed::Lost => self.lost.remove(self.tasks.slab_mut(), id),
        }
        match to {
            Listed::None => {}
            Listed::Known => self.known.push_back(self.tasks.slab_mut(), id),
            Listed::Deferred => self.deferred.push_back(self.tasks.slab_mut(), id),
            Listed::Lost => self.lost.push_back(self.tasks.slab_mut(), id),
        }
    }

    /// Checks that a task has not finished.
    pub(super) fn check_live(&self, id: HostTaskId) -> Result<(), Error> {
        if self.is_live(id) { Ok(()) } else { Err(Trap::TaskResolved.into()) }
    }

    /// The core's task of a new one.
    pub(super) fn set_core(&mut self, id: HostTaskId, core: TaskId) {
        if let Some(record) = self.tasks.get_mut(id)
            && !matches!(record.progress, Progress::Finished(_))
        {
            record.core = Some(core);
        }
    }

    pub(super) fn state(&self, id: HostTaskId) -> Result<TaskState, Error> {
        let record = self.get(id)?;
        Ok(match &record.progress {
            Progress::Finished(_) if !record.is_over() => TaskState::Running,
            Progress::Pending(_) => TaskState::Pending,
            Progress::Running => TaskState::Running,
            Progress::Finished(TaskOutcome::Completed(_)) => TaskState::Completed,
            Progress::Finished(TaskOutcome::Cancelled) => TaskState::Cancelled,
            Progress::Finished(TaskOutcome::Failed(_)) => TaskState::Failed,
        })
    }

    /// How a task has finished, if it has; somebody knows then.
    pub(super) fn poll(&mut self, id: HostTaskId) -> Result<Option<TaskOutcome>, Error> {
        let record = self.get_mut(id)?;
        let Progress::Finished(outcome) = &record.progress else { return Ok(None) };
        if !record.is_over() {
            return Ok(None);
        }
        let outcome = outcome.clone();
        self.know(id);
        Ok(Some(outcome))
    }

    /// Somebody knows how a task has finished. What the core has still to be told comes first, and while its code is on the stack it
    /// is not freed.
    fn know(&mut self, id: HostTaskId) {
        let Some(record) = self.tasks.get_mut(id) else { return };
        record.known = true;
        if record.is_over() && record.inside == 0 && matches!(record.listed, Listed::None | Listed::Lost) {
            self.list(id, Listed::Known);
        }
    }

    /// Whether somebody may still resolve the task.
    pub(crate) fn is_live(&self, id: HostTaskId) -> bool {
        self.tasks.get(id).is_some_and(|record| !matches!(record.progress, Progress::Finished(_)))
    }

    /// A task has finished; the context that it kept, where it needs none any more.
    fn finish(&mut self, id: HostTaskId, outcome: TaskOutcome) -> Option<ContextId> {
        let record = self.tasks.get_mut(id)?;
        let by_host = record.cancelled && outcome == TaskOutcome::Cancelled;
        record.progress = Progress::Finished(outcome);
        record.known = by_host;
        match record.kind {
            Kind::Own => self.list(id, Listed::Deferred),
            // A cancellation that was to be asked for is not any more.
            Kind::Call(_) => {
                record.core = None;
                self.list(id, Listed::None);
            }
        }
        if self.start_ending(id) { None } else { self.end_over(id) }
    }

    /// A task has finished and has nothing more to run; the context that it kept.
    pub(super) fn end_over(&mut self, id: HostTaskId) -> Option<ContextId> {
        let record = self.tasks.get_mut(id)?;
        let known = record.known;
        // What its code goes on with that is on the stack goes with that.
        let context = if record.inside == 0 { record.context.take() } else { None };
        if known {
            self.know(id);
        }
        context
    }

    /// The host's own task has ended; the context that it kept.
    pub(super) fn end(&mut self, id: HostTaskId, outcome: TaskOutcome) -> Result<Option<ContextId>, Error> {
        // One that was freed has finished, too.
        if !self.is_live(id) {
            return Err(Trap::TaskResolved.into());
        }
        match self.get(id)?.kind {
            Kind::Own => Ok(self.finish(id, outcome)),
            Kind::Call(_) => Err(Error::Misuse("the task ends with the function that it calls")),
        }
    }

    /// Asks for the cancellation of a task; nothing where it has finished. The context that it kept.
    pub(super) fn cancel(&mut self, id: HostTaskId) -> Option<ContextId> {
        if !self.is_live(id) {
            return None;
        }
        let record = self.tasks.get_mut(id)?;
        if core::mem::replace(&mut record.cancelled, true) {
            return None;
        }
        match record.kind {
            Kind::Own => self.finish(id, TaskOutcome::Cancelled),
            Kind::Call(_) => {
                self.list(id, Listed::Deferred);
                None
            }
        }
    }

    /// Whether cancellation was asked for.
    pub(super) fn is_cancelled(&self, id: HostTaskId) -> Result<bool, Error> {
        Ok(self.get(id)?.cancelled)
    }

    /// What the core has to be told next.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        loop {
            let id = self.deferred.front(self.tasks.slab())?;
            self.list(id, Listed::None);
            let record = self.tasks.get_mut(id)?;
            let (finished, core) = (matches!(record.progress, Progress::Finished(_)), record.core);
            let cancelled = record.cancelled;
            if finished {
                record.core = None;
                if record.known {
                    self.know(id);
                }
            }
            match core {
                Some(core) if !finished => return Some(Job::Request(id, core)),
                Some(core) if cancelled => return Some(Job::Cancel(core)),
                Some(core) => return Some(Job::Return(core)),
                None => {}
            }
        }
    }

    /// A call starts: its arguments.
    pub(super) fn start(&mut self, id: HostTaskId, args: &mut [u64]) -> Result<(), Error> {
        let record = self.get_mut(id)?;
        if record.thread.start_destructor(args) {
            return Ok(());
        }
        let Progress::Pending(flat) = &record.progress else {
            return Err(Error::Bug("a call of the host started twice"));
        };
        flat.write(args);
        record.progress = Progress::Running;
        Ok(())
    }

    /// A call has resolved; the context that it kept.
    pub(super) fn resolve(
        &mut self,
        id: HostTaskId,
        results: Option<&[u64]>,
    ) -> Result<Option<ContextId>, Error> {
        if self.end_destructor(id, results.is_some()) {
            return Ok(None);
        }
        let record = self.get(id)?;
        let outcome = match (results, record.kind) {
            (_, Kind::Call(_)) if matches!(record.progress, Progress::Finished(_)) => {
                return Err(Error::Bug("a call of the host resolved twice"));
            }
            (_, Kind::Own) => return Err(Error::Bug("the host's own task is no call")),
            (None, _) => TaskOutcome::Cancelled,
            (Some(results), Kind::Call(Some(ty))) => {
                let bits = results.first().copied().ok_or(Error::Bug("a result without a value"))?;
                TaskOutcome::Completed(TaskReturn::from_component_value(ty.lift(bits)?))
            }
            (Some(_), Kind::Call(None)) => TaskOutcome::Completed(TaskReturn::void()),
        };
        Ok(self.finish(id, outcome))
    }

    /// A call will never resolve: its instance trapped. Which trap, [`State::explain`] says. The context that it kept.
    pub(super) fn lose(&mut self, id: HostTaskId) -> Option<ContextId> {
        if self.end_destructor(id, false) {
            self.lost_destructors = self.lost_destructors.saturating_add(1);
            return None;
        }
        if !self.is_live(id) {
            return None;
        }
        let context = self.finish(id, TaskOutcome::Failed(TaskFailure::Error(Trap::CannotEnter.into())));
        self.list(id, Listed::Lost);
        context
    }

    /// Nobody will say any more which error ended those that were lost until now: whoever drove the store then kept it.
    pub(super) fn forget_lost(&mut self) {
        self.lost_destructors = 0;
        while let Some(id) = self.lost.front(self.tasks.slab()) {
            self.list(id, Listed::None);
        }
    }

    /// The error that ended the calls which are lost; how many there were, destructors among them.
    pub(super) fn explain(&mut self, error: Error) -> u32 {
        let mut count = core::mem::take(&mut self.lost_destructors);
        while let Some(id) = self.lost.front(self.tasks.slab()) {
            self.list(id, Listed::None);
            if let Some(record) = self.tasks.get_mut(id) {
                record.progress = Progress::Finished(TaskOutcome::Failed(TaskFailure::Error(error)));
            }
            count = count.saturating_add(1);
        }
        count
    }

    /// Calling a function failed: an error of the call where it had not started, else of the task. The context that the
    /// task kept, where it is gone or has finished.
    pub(super) fn call_failed(
        &mut self,
        id: HostTaskId,
        error: Error,
    ) -> (Result<(), Error>, Option<ContextId>) {
        let Some(record) = self.tasks.get(id) else { return (Ok(()), None) };
        match record.progress {
            Progress::Pending(_) => (Err(error), self.free(id)),
            Progress::Running => (Ok(()), self.finish(id, TaskOutcome::Failed(TaskFailure::Error(error)))),
            Progress::Finished(_) => (Ok(()), None),
        }
    }

    /// Code of a task runs: its context, which is the current one then.
    pub(super) fn enter(&mut self, id: HostTaskId) -> Result<Option<ContextId>, Error> {
        let record = self.get_mut(id)?;
        record.inside = record.inside.saturating_add(1);
        Ok(record.context.take())
    }

    /// Another's code runs in the midst of a task's own: the context that it goes on with then, which is here until then. The one that was.
    pub(super) fn set_aside(&mut self, id: HostTaskId, context: Option<ContextId>) -> Option<ContextId> {
        let Some(record) = self.tasks.get_mut(id) else { return context };
        core::mem::replace(&mut record.context, context)
    }

    /// Code of a task runs no longer. Whether the task needs a context still: it has not finished, or other code of it is on the stack.
    pub(super) fn leave(&mut self, id: HostTaskId) -> bool {
        let Some(record) = self.tasks.get_mut(id) else { return false };
        record.inside = record.inside.saturating_sub(1);
        let needed = record.inside > 0 || !record.is_over();
        if !needed && record.known {
            self.know(id);
        }
        needed
    }

    pub(super) fn set_metadata(
        &mut self,
        id: HostTaskId,
        key: Text,
        value: ComponentValue,
        limits: &Limits,
    ) -> Result<Option<ComponentValue>, Error> {
        let record = self.tasks.get_mut(id).ok_or(FREED)?;
        let most = (limits.task_metadata, Resource::TaskMetadata);
        self.metadata.set(&mut record.metadata, key, value, most)
    }

    pub(super) fn metadata(&self, id: HostTaskId, key: &str) -> Result<Option<ComponentValue>, Error> {
        Ok(self.metadata.get(&self.get(id)?.metadata, key).cloned())
    }

    pub(super) fn remove_metadata(
        &mut self,
        id: HostTaskId,
        key: &str,
    ) -> Result<Option<ComponentValue>, Error> {
        let record = self.tasks.get_mut(id).ok_or(FREED)?;
        Ok(self.metadata.remove(&mut record.metadata, key))
    }
}

/// What names a task among the calls of the ambient store.
pub(super) fn index(id: HostTaskId) -> u32 {
    Key::index(id)
}
