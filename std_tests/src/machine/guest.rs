//! What guests do with the steps of the tape.

use super::aim::Act;
use super::*;
use canon_async::Then;
use canon_async::canon::{self, Builtin};
use canon_async::id::{LowerId, WaitableId};
use canon_async::state::{CopyState, Direction, TaskState};

/// What a thread is and does, looked up once a step.
#[derive(Clone, Copy)]
pub(super) struct Here {
    pub thread: ThreadId,
    pub task: TaskId,
    pub instance: u32,
    pub callback: bool,
    pub is_async: bool,
    /// Of a function whose type is `async`.
    pub async_type: bool,
    pub result: bool,
}

impl<P: Profile> Machine<P> {
    pub(super) fn here(&self, thread: ThreadId) -> Here {
        let t = self.store.thread(thread).expect("the current thread");
        let task = self.store.task(t.task()).expect("its task");
        let lift = self.store.lift(task.lift().expect("a lift")).expect("the lift");
        let options = self.store.options(lift.options).expect("its options");
        let ty = self.store.types().func(lift.ty).expect("its type");
        Here {
            thread,
            task: t.task(),
            instance: t.instance().as_u32(),
            callback: options.callback.is_some() && t.is_implicit(),
            is_async: options.is_async,
            async_type: ty.is_async,
            result: ty.result.is_some(),
        }
    }

    /// Runs a guest frame until it returns or suspends.
    pub(super) fn guest(&mut self, thread: ThreadId) -> Result<Outcome, Error> {
        let mut wild = false;
        loop {
            let here = self.here(thread);
            let step = if self.mode == Mode::Tape { self.next_step() } else { None };
            let Some(step) = step else { return self.finish(here) };
            match step {
                Step::Wild => {
                    wild = true;
                    continue;
                }
                Step::Trap => {
                    let who = self.who(thread);
                    self.log(format!("trap {who}"));
                    return Err(Trap::Engine(1).into());
                }
                Step::Return(code, sel) => return self.ret(here, code, sel, wild),
                _ => {}
            }
            let act = match step {
                Step::Aim(aim, sel) => self.aim(here, aim, sel),
                step => self.choose(here, step, wild).map(|(builtin, args)| Act::Call(builtin, args)),
            };
            if let Some(Act::Return(code)) = act {
                return Ok(Outcome::Returned(code));
            }
            if let Some(Act::Call(builtin, args)) = act {
                wild = false;
                if self.builtin(thread, builtin, &args)?.is_none() {
                    return Ok(Outcome::Blocked);
                }
            }
        }
    }

    /// Calls a built-in; `None` where it suspends.
    pub(super) fn builtin(
        &mut self,
        thread: ThreadId,
        builtin: Builtin,
        args: &[u64],
    ) -> Result<Option<u64>, Error> {
        let who = self.who(thread);
        let what = trace::words(builtin, args);
        self.log(format!("op {who} {what}"));
        let event = match builtin {
            Builtin::WaitableSetWait(_) | Builtin::WaitableSetPoll(_) => args.get(1).copied(),
            _ => None,
        };
        let before = self.limited.then(|| (self.snapshot(), self.entered));
        match canon::call(self, builtin, args) {
            Ok(Then::Value(value)) => {
                if let Builtin::StreamNew(ty) | Builtin::FutureNew(ty) = builtin {
                    let instance = self.here(thread).instance;
                    let end = self.end_at(instance, value as u32).expect("the new end").1.shared();
                    self.types.insert(end, ty);
                }
                if let (Builtin::WaitableJoin, [waitable, set]) = (builtin, args) {
                    self.members.insert((self.here(thread).instance, *waitable as u32), *set as u32);
                }
                let event = self.event_at(self.here(thread).instance, event);
                let memories = self.checksum();
                self.log(format!("value {who} {value} {memories:x}{event}"));
                self.check();
                Ok(Some(value))
            }
            Ok(Then::Suspend) => {
                assert!(builtin.may_suspend(), "{what} suspended");
                self.park(thread, event);
                self.log(format!("park {who}"));
                self.check();
                Ok(None)
            }
            Err(error) => {
                self.noted(error);
                // A call may have gone on to its callee, and left things to the purge of its caller.
                let call = matches!(builtin, Builtin::Lower(_));
                if let (Error::Capacity(_), Some((before, entered)), false) = (error, before, call)
                    && self.entered == entered
                {
                    assert_eq!(self.snapshot(), before, "capacity changed something\n{}", self.tail());
                }
                Err(error)
            }
        }
    }

    /// Resolves the task where it must, and returns.
    fn finish(&mut self, here: Here) -> Result<Outcome, Error> {
        self.drop_borrows(here)?;
        while self.mode == Mode::Finish && self.instance(here.instance).backpressure() > 0 {
            self.builtin(here.thread, Builtin::BackpressureDec, &[])?;
        }
        let task = self.store.task(here.task).expect("the task");
        if here.is_async && !task.is_resolved() && task.num_borrows() == 0 {
            let (builtin, args) = task_return(here);
            self.builtin(here.thread, builtin, &args)?;
        }
        Ok(Outcome::Returned(0))
    }

    fn drop_borrows(&mut self, here: Here) -> Result<(), Error> {
        for (index, handle) in self.resources(here.instance) {
            if !handle.is_owned() && handle.num_lends == 0 {
                self.builtin(here.thread, Builtin::ResourceDrop(RESOURCE), &[index.into()])?;
            }
        }
        Ok(())
    }

    fn ret(&mut self, here: Here, code: u8, sel: u8, wild: bool) -> Result<Outcome, Error> {
        if wild {
            return Ok(Outcome::Returned(u64::from(code) | u64::from(sel) << 4));
        }
        let sets = self.sets(here.instance);
        match code {
            1 | 2 if here.callback => Ok(Outcome::Returned(1)),
            3.. if here.callback && !sets.is_empty() => {
                let set = sets[usize::from(sel) % sets.len()];
                Ok(Outcome::Returned(2 | u64::from(set) << 4))
            }
            _ => self.finish(here),
        }
    }

    /// The built-in that a step means here; `None` where there is nothing that it could legally do.
    fn choose(&self, here: Here, step: Step, wild: bool) -> Option<(Builtin, Vec<u64>)> {
        let i = here.instance;
        let memory = MemoryRef::from_index(i);
        let pick = |legal: Vec<u32>, sel: u8| {
            if wild {
                return Some(u64::from(sel));
            }
            legal.get(usize::from(sel) % legal.len().max(1)).map(|i| u64::from(*i))
        };
        let one = |builtin: Builtin, index: Option<u64>| index.map(|index| (builtin, vec![index]));
        let plain = |builtin: Builtin| Some((builtin, vec![]));
        let task = self.store.task(here.task)?;
        let counter = self.store.instance(InstanceId::from_index(i)).ok()?.backpressure();
        match step {
            Step::Call(_, false) if !wild && !self.may_block(here) => None,
            Step::Call(f, is_async) => self.choose_call(here, f, is_async),
            Step::Tick => plain(Builtin::ThreadYield),
            Step::Cancel(sel, is_async) => {
                let legal = |id| {
                    self.subtask(id).is_some_and(|s| !s.resolve_delivered() && !s.cancellation_requested())
                        && (wild || !self.in_set(id))
                };
                one(Builtin::SubtaskCancel { is_async }, pick(self.waitable_where(i, legal), sel))
            }
            Step::Context(n) if n > 2 => plain(Builtin::ContextGet(u32::from(n) % 2)),
            Step::Context(n) => {
                Some((Builtin::ContextSet(u32::from(n) % 2), vec![here.thread.index() as u64]))
            }
            Step::BackpressureInc if counter < 1 => plain(Builtin::BackpressureInc),
            Step::BackpressureDec if counter > 0 || wild => plain(Builtin::BackpressureDec),
            Step::TaskReturn if wild || (here.is_async && !task.is_resolved() && task.num_borrows() == 0) => {
                Some(task_return(here))
            }
            Step::TaskCancel
                if wild
                    || (here.is_async
                        && task.state() == TaskState::CancelDelivered
                        && task.num_borrows() == 0) =>
            {
                plain(Builtin::TaskCancel)
            }
            Step::SetNew if self.sets(i).len() < 3 => plain(Builtin::WaitableSetNew),
            Step::Suspend | Step::SuspendThenResume(_) | Step::SuspendThenPromote(_)
                if !wild && !here.async_type =>
            {
                None
            }
            Step::SetWait(_) if !wild && !self.may_block(here) => None,
            Step::SetWait(sel) => Some((Builtin::WaitableSetWait(memory), vec![pick(self.sets(i), sel)?, 0])),
            Step::SetPoll(sel) => Some((Builtin::WaitableSetPoll(memory), vec![pick(self.sets(i), sel)?, 8])),
            Step::SetDrop(sel) if wild => one(Builtin::WaitableSetDrop, pick(vec![], sel)),
            Step::Join(w, s) => {
                let w = pick(self.waitable_where(i, |id| !self.has_waiter(id)), w)?;
                let sets = self.sets(i);
                let s = if usize::from(s) >= sets.len() { 0 } else { pick(sets, s)? };
                Some((Builtin::WaitableJoin, vec![w, s]))
            }
            Step::SubtaskDrop(sel) => {
                let legal = |id| self.subtask(id).is_some_and(|s| s.resolve_delivered());
                one(Builtin::SubtaskDrop, pick(self.waitable_where(i, legal), sel))
            }
            Step::New(..) if self.waitables(i).len() >= 10 => None,
            Step::New(false, unit) => plain(Builtin::StreamNew(if unit { STREAM_UNIT } else { STREAM })),
            Step::New(true, unit) => plain(Builtin::FutureNew(if unit { FUTURE_UNIT } else { FUTURE })),
            Step::Copy(.., false) if !wild && !self.may_block(here) => None,
            Step::Copy(..) | Step::CancelCopy(..) | Step::DropEnd(_) => self.choose_copy(here, step, wild),
            Step::Forward(readable, writable) => self.choose_forward(here, readable, writable, wild),
            Step::ThreadNew if self.threads(i, false).len() < 6 => {
                Some((Builtin::ThreadNewIndirect(TABLE), vec![u64::from(wild), 7]))
            }
            Step::ResumeLater(sel) => one(Builtin::ThreadResumeLater, pick(self.threads(i, true), sel)),
            Step::Suspend => plain(Builtin::ThreadSuspend),
            Step::SuspendThenResume(sel) => {
                one(Builtin::ThreadSuspendThenResume, pick(self.threads(i, true), sel))
            }
            Step::YieldThenResume(sel) => {
                one(Builtin::ThreadYieldThenResume, pick(self.threads(i, true), sel))
            }
            Step::SuspendThenPromote(sel) => {
                one(Builtin::ThreadSuspendThenPromote, pick(self.promotable(here, wild), sel))
            }
            Step::YieldThenPromote(sel) => {
                one(Builtin::ThreadYieldThenPromote, pick(self.promotable(here, wild), sel))
            }
            Step::ResourceNew if self.resources(i).len() < 3 => {
                Some((Builtin::ResourceNew(RESOURCE), vec![77]))
            }
            Step::ResourceDrop(sel) => {
                let legal = self.resources(i).into_iter().filter(|(_, r)| r.num_lends == 0);
                one(Builtin::ResourceDrop(RESOURCE), pick(legal.map(|(i, _)| i).collect(), sel))
            }
            // As long as a bounded profile keeps.
            Step::ErrorContextNew if self.error_contexts(i).len() < 3 => {
                Some((Builtin::ErrorContextNew(sync_opts(i)), vec![16, 16]))
            }
            Step::ErrorContextMessage(sel) => {
                let index = pick(self.error_contexts(i), sel)?;
                Some((Builtin::ErrorContextDebugMessage(sync_opts(i)), vec![index, 40]))
            }
            Step::ErrorContextDrop(sel) => one(Builtin::ErrorContextDrop, pick(self.error_contexts(i), sel)),
            _ => None,
        }
    }

    fn choose_call(&self, here: Here, f: u8, is_async: bool) -> Option<(Builtin, Vec<u64>)> {
        let kind = KINDS[usize::from(f) % 9];
        let callee = 1 + u32::from(f / 9) % INSTANCES;
        let caller = here.instance;
        let mut args = match kind {
            Kind::CallbackStream => {
                let idle = |id| {
                    self.end(id).is_some_and(|e| {
                        e.direction() == Direction::Read
                            && !e.is_future()
                            && e.state() == CopyState::Idle
                            && self.type_of(e) == STREAM
                    }) && !self.in_set(id)
                };
                vec![u64::from(*self.waitable_where(caller, idle).first()?)]
            }
            Kind::CallbackBorrow => vec![u64::from(self.resources(caller).first()?.0)],
            Kind::StackfulOwn => {
                let mut all = self.resources(caller).into_iter();
                vec![u64::from(all.find(|(_, r)| r.is_owned() && r.num_lends == 0)?.0)]
            }
            Kind::StackfulU32 => vec![11],
            Kind::StackfulError => vec![u64::from(*self.error_contexts(caller).first()?)],
            _ => vec![],
        };
        args.push(32);
        let lower = lower_index(caller, lift_id(callee, kind), is_async);
        Some((Builtin::Lower(LowerId::from_index(lower)), args))
    }

    fn choose_copy(&self, here: Here, step: Step, wild: bool) -> Option<(Builtin, Vec<u64>)> {
        let (sel, is_async) = match step {
            Step::Copy(sel, _, is_async) | Step::CancelCopy(sel, is_async) => (sel, is_async),
            Step::DropEnd(sel) => (sel, true),
            _ => return None,
        };
        let legal = |id: WaitableId| {
            let Some(end) = self.end(id) else { return false };
            let sync_fits = is_async || !self.in_set(id);
            wild || match step {
                Step::Copy(..) => end.state() == CopyState::Idle && sync_fits,
                Step::CancelCopy(..) => {
                    end.state() == CopyState::Copying && !self.has_waiter(id) && sync_fits
                }
                _ => {
                    let unwritten = end.is_future() && end.direction() == Direction::Write;
                    !end.copying() && (!unwritten || end.state() == CopyState::Done)
                }
            }
        };
        let legal = self.waitable_where(here.instance, legal);
        let index = *legal.get(usize::from(sel) % legal.len().max(1))?;
        let (_, end) = self.end_at(here.instance, index)?;
        let (ty, future) = (self.type_of(end), end.is_future());
        let read = end.direction() == Direction::Read;
        let options = if is_async { async_opts(here.instance) } else { sync_opts(here.instance) };
        let index = u64::from(index);
        Some(match step {
            Step::Copy(_, count, _) => {
                let at = 16 + u64::from(count) + 4 * u64::from(sel) + if read { 0 } else { 48 };
                (copy(ty, options, future, read), vec![index, at, u64::from(count)])
            }
            Step::CancelCopy(..) => (cancel_copy(ty, is_async, future, read), vec![index]),
            _ => (drop_end(ty, future, read), vec![index]),
        })
    }
}

impl<P: Profile> Machine<P> {
    fn choose_forward(
        &self,
        here: Here,
        readable: u8,
        writable: u8,
        wild: bool,
    ) -> Option<(Builtin, Vec<u64>)> {
        let legal = |id: WaitableId, direction| {
            let end = self.end(id)?;
            let idle = end.state() == CopyState::Idle && !self.in_set(id);
            (end.direction() == direction && (wild || idle)).then(|| self.type_of(end))
        };
        let pick = |legal: Vec<u32>, sel: u8| legal.get(usize::from(sel) % legal.len().max(1)).copied();
        let ends = self.waitable_where(here.instance, |id| legal(id, Direction::Read).is_some());
        let readable = pick(ends, readable)?;
        let (_, end) = self.end_at(here.instance, readable)?;
        let ty = self.type_of(end);
        let ends = self.waitable_where(here.instance, |id| {
            legal(id, Direction::Write).is_some_and(|of| wild || of == ty)
        });
        let writable = pick(ends, writable)?;
        let builtin = if end.is_future() { Builtin::FutureForward(ty) } else { Builtin::StreamForward(ty) };
        Some((builtin, vec![readable.into(), writable.into()]))
    }
}

fn task_return(here: Here) -> (Builtin, Vec<u64>) {
    let result = here.result.then_some(ValType::U32);
    (Builtin::TaskReturn { result, options: sync_opts(here.instance) }, vec![42])
}

pub(super) fn copy(ty: TypeId, options: OptsId, future: bool, read: bool) -> Builtin {
    match (future, read) {
        (false, true) => Builtin::StreamRead(ty, options),
        (false, false) => Builtin::StreamWrite(ty, options),
        (true, true) => Builtin::FutureRead(ty, options),
        (true, false) => Builtin::FutureWrite(ty, options),
    }
}

pub(super) fn cancel_copy(ty: TypeId, is_async: bool, future: bool, read: bool) -> Builtin {
    match (future, read) {
        (false, true) => Builtin::StreamCancelRead(ty, is_async),
        (false, false) => Builtin::StreamCancelWrite(ty, is_async),
        (true, true) => Builtin::FutureCancelRead(ty, is_async),
        (true, false) => Builtin::FutureCancelWrite(ty, is_async),
    }
}

pub(super) fn drop_end(ty: TypeId, future: bool, read: bool) -> Builtin {
    match (future, read) {
        (false, true) => Builtin::StreamDropReadable(ty),
        (false, false) => Builtin::StreamDropWritable(ty),
        (true, true) => Builtin::FutureDropReadable(ty),
        (true, false) => Builtin::FutureDropWritable(ty),
    }
}
