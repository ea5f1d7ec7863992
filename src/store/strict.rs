//! What the pinned reference tests refuse, and the spec allows: see [`Store::set_strict`].

use super::Store;
use crate::error::Trap;
use crate::id::InstanceId;
use crate::message::Bug;
use crate::raise::{OrRaise as _, Raises};
use crate::storage::Profile;

impl<P: Profile> Store<P> {
    /// Whether guests are held to what the pinned reference tests expect "for now" (and Wasmtime does), beyond what
    /// `definitions.py` says. Default: no.
    ///
    /// Strict, a synchronous task traps before a built-in or a call that *may* block, where no other thread of its instance
    /// is ready; the spec traps where it *does* block. And a component may not call itself, a component around it or one inside
    /// it. A program that runs strict runs the same without.
    pub fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    /// Strict, before a synchronous form that may block: `trap_if` the current task may not.
    pub(crate) fn check_may_block(&mut self) -> Raises {
        if !self.strict {
            return Ok(());
        }
        let thread = self.current_thread()?;
        let thread = self.threads.get(thread).or_raise(&mut self.raiser, Bug::CurrentGone)?;
        let (instance, starts) = (thread.instance(), !thread.can_suspend());
        let Some(task) = self.tasks.get(thread.task()) else { return Ok(()) };
        let (lift, resolved) = (task.lift(), task.is_resolved());
        let is_async = match lift {
            Some(lift) => self.lifted(lift)?.2.is_async,
            None => false,
        };
        if is_async || resolved || (!starts && self.has_ready_of(instance)?) {
            return Ok(());
        }
        self.raiser.raise(Trap::CannotBlockSync)
    }

    /// Strict, before a call: `trap_if` the callee is around the caller, or in it.
    pub(crate) fn check_related(&mut self, callee: InstanceId, caller: InstanceId) -> Raises {
        if self.strict && (self.is_around(callee, caller) || self.is_around(caller, callee)) {
            return self.raiser.raise(Trap::CannotEnter);
        }
        Ok(())
    }
}
