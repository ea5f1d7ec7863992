//! Host functions that answer later, each a completer: what can still make a thread ready when none is.
//!
//! Spec: an `async` function of the host, which is a component function like any other.

use super::{Current, Store};
use crate::error::Error;
use crate::event::event;
use crate::id::{TaskId, ThreadId};
use crate::message::{Bug, Misuse};
use crate::raise::Raises;
use crate::state::{InstanceKind, Point, Status};
use crate::storage::Profile;

impl<P: Profile> Store<P> {
    /// The host function that runs now answers later: [`Embedding::call`](crate::Embedding::call) says so here, keeps what
    /// it needs under the thread's id, and answers [`Outcome::Blocked`](crate::Outcome::Blocked). Cost: O(1).
    ///
    /// # Errors
    /// `Misuse` where no host function runs on this thread, or its type is not `async`.
    pub fn answer_later(&mut self, thread: ThreadId) -> Result<(), Error> {
        let runs = matches!(self.current, Current::Thread(current) if current == thread);
        if !runs || !self.may_answer_later(thread).unwrap_or(false) {
            return Err(Misuse::MayNotAnswerLater.into());
        }
        if self.is_unanswered(thread) {
            return Err(Misuse::AnswersLaterTwice.into());
        }
        let entry = self.threads.get_mut(thread).ok_or(Bug::StaleThread)?;
        entry.status = Status::Suspended;
        entry.point = Point::Host;
        event!(trace, thread, "suspended", thread);
        self.unanswered = self.unanswered.saturating_add(1);
        Ok(())
    }

    /// Whether the thread is a host function's, of an `async` type.
    fn may_answer_later(&self, thread: ThreadId) -> Option<bool> {
        let task = self.tasks.get(self.threads.get(thread)?.task())?;
        let lift = self.lift(task.lift()?).ok()?;
        let host = self.get_instance(task.instance())?.kind() == InstanceKind::Host;
        Some(host && self.types().func(lift.ty)?.is_async)
    }

    /// The answer of a host function is there: a [`tick`](crate::run::tick) fetches it with
    /// [`Embedding::resume`](crate::Embedding::resume). `false` where nobody waits for it any more. Cost: O(1).
    ///
    /// # Errors
    /// `Bug` alone.
    pub fn answer(&mut self, thread: ThreadId) -> Result<bool, Error> {
        if !self.answered(thread) {
            return Ok(false);
        }
        self.caught(|store| store.start_waiting(thread, Point::Host))?;
        Ok(true)
    }

    /// How many host functions will still answer. While there is one, nothing being ready is no deadlock. O(1).
    pub fn unanswered(&self) -> u32 {
        self.unanswered
    }

    /// Whether the thread is in a host function that has not answered.
    pub(crate) fn is_unanswered(&self, thread: ThreadId) -> bool {
        self.threads.get(thread).is_some_and(|t| t.point == Point::Host && t.status == Status::Suspended)
    }

    /// One fewer will answer, if the thread was to; it goes on, or is freed. Whether it was.
    pub(crate) fn answered(&mut self, thread: ThreadId) -> bool {
        let was_to = self.is_unanswered(thread);
        if was_to {
            self.unanswered = self.unanswered.saturating_sub(1);
        }
        was_to
    }

    /// What a host function borrowed goes back, where it ends without having returned. O(handles of the host).
    pub(crate) fn end_borrows(&mut self, task: TaskId) -> Raises {
        let task_ref = self.task_mut(task)?;
        let instance = task_ref.instance();
        if task_ref.num_borrows() > 0 {
            task_ref.forget_borrows();
            self.drop_borrows_of(instance, task)?;
        }
        Ok(())
    }

    /// A call of the dead that a host function has not answered, from `from` on; and where to go on.
    pub(crate) fn next_orphan(&self, from: u32) -> Option<(ThreadId, u32)> {
        let mut from = from;
        while let Some((id, next)) = self.next_dead_waitable(from) {
            if let Some(subtask) = self.get_subtask(id)
                && let Some(thread) = subtask.callee.and_then(|task| self.tasks.get(task)?.implicit_thread())
                && self.is_unanswered(thread)
            {
                return Some((thread, next));
            }
            from = next;
        }
        None
    }
}
