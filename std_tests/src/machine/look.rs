//! What a step can mean, and what a trace says, depends on what there is.

use super::*;
use canon_async::id::{SetId, WaitableId};
use canon_async::state::Kind as WaitableKind;
use canon_async::state::{
    Caller, CopyEnd, CopyState, Direction, Handle, Point, ResourceHandle, Status, Subtask,
};

impl<P: Profile> Machine<P> {
    pub(super) fn handles(&self, instance: u32) -> Vec<(u32, Handle)> {
        let table = &self.instance(instance).handles;
        (1..=table.high_water()).filter_map(|i| Some((i, *table.get(i)?))).collect()
    }

    pub(super) fn sets(&self, instance: u32) -> Vec<u32> {
        let sets = self.handles(instance).into_iter();
        sets.filter(|(_, h)| matches!(h, Handle::Set(_))).map(|(i, _)| i).collect()
    }

    pub(super) fn error_contexts(&self, instance: u32) -> Vec<u32> {
        let all = self.handles(instance).into_iter();
        all.filter(|(_, h)| matches!(h, Handle::ErrorContext(_))).map(|(i, _)| i).collect()
    }

    pub(super) fn resources(&self, instance: u32) -> Vec<(u32, ResourceHandle)> {
        let all = self.handles(instance).into_iter();
        all.filter_map(|(i, h)| if let Handle::Resource(r) = h { Some((i, r)) } else { None }).collect()
    }

    pub(super) fn waitables(&self, instance: u32) -> Vec<(u32, WaitableId)> {
        let all = self.handles(instance).into_iter();
        all.filter_map(|(i, h)| if let Handle::Waitable(w) = h { Some((i, w)) } else { None }).collect()
    }

    pub(super) fn end(&self, id: WaitableId) -> Option<&CopyEnd> {
        match self.store.waitable(id)?.kind() {
            WaitableKind::End(end) => Some(end),
            WaitableKind::Subtask(_) => None,
        }
    }

    pub(super) fn subtask(&self, id: WaitableId) -> Option<&Subtask> {
        match self.store.waitable(id)?.kind() {
            WaitableKind::Subtask(subtask) => Some(subtask),
            WaitableKind::End(_) => None,
        }
    }

    pub(super) fn end_at(&self, instance: u32, index: u32) -> Option<(WaitableId, &CopyEnd)> {
        let (_, id) = self.waitables(instance).into_iter().find(|(i, _)| *i == index)?;
        Some((id, self.end(id)?))
    }

    pub(super) fn type_of(&self, end: &CopyEnd) -> TypeId {
        self.types[&end.shared()]
    }

    pub(super) fn waitable_where(&self, instance: u32, legal: impl Fn(WaitableId) -> bool) -> Vec<u32> {
        self.waitables(instance).into_iter().filter(|(_, id)| legal(*id)).map(|(i, _)| i).collect()
    }

    pub(super) fn in_set(&self, id: WaitableId) -> bool {
        self.store.waitable(id).is_some_and(|w| w.in_waitable_set())
    }

    pub(super) fn has_waiter(&self, id: WaitableId) -> bool {
        self.store.waitable(id).is_some_and(|w| w.has_sync_waiter())
    }

    pub(super) fn threads(&self, instance: u32, suspended: bool) -> Vec<u32> {
        let table = &self.instance(instance).threads;
        let fits = |id: ThreadId| self.store.thread(id).is_some_and(|t| !suspended || t.is_suspended());
        (1..=table.high_water()).filter(|i| table.get(*i).is_some_and(|id: &ThreadId| fits(*id))).collect()
    }

    /// The threads that this one may promote: all but itself.
    pub(super) fn promotable(&self, here: super::guest::Here, wild: bool) -> Vec<u32> {
        let own = self.store.thread(here.thread).map_or(0, |thread| thread.index());
        let all = self.threads(here.instance, false).into_iter();
        all.filter(|index| wild || *index != own).collect()
    }

    /// A thread's name in a trace: its instance, and its index there.
    pub(super) fn who(&self, thread: ThreadId) -> String {
        let t = self.store.thread(thread).expect("the current thread");
        format!("{}.{}", t.instance().as_u32(), t.index())
    }

    /// Whose call a thread is that enters now: the host's, by its number; a guest's, by the subtask's handle or, where that has
    /// none, by the thread that waits for it; `now` where the caller has not waited at all.
    pub(super) fn whose(&self, thread: ThreadId) -> String {
        let task =
            self.store.thread(thread).and_then(|t| self.store.task(t.task())).expect("the current task");
        let Caller::Guest(subtask) = task.caller() else {
            let Caller::Host(call) = task.caller() else { return "now".into() };
            return format!("host {}", call.index());
        };
        let waitable = self.store.waitable(subtask).expect("nobody is dead");
        if waitable.handle() != 0 {
            return format!("handle {}.{}", waitable.instance().as_u32(), waitable.handle());
        }
        let waits = |id: &ThreadId| {
            self.store.thread(*id).is_some_and(|t| t.is_waiting() && t.point() == Point::Lower(subtask))
        };
        let table = &self.instance(waitable.instance().as_u32()).threads;
        match (1..=table.high_water()).filter_map(|t| table.get(t)).find(|id| waits(id)) {
            Some(id) => format!("thread {}", self.who(*id)),
            None => "now".into(),
        }
    }

    /// All that guests could find out between two steps of the host, and what their threads wait for.
    pub(super) fn state(&self) -> String {
        let instances: Vec<String> = (1..=INSTANCES).map(|i| self.state_of(i)).collect();
        format!("state {}", instances.join(" | "))
    }

    fn state_of(&self, i: u32) -> String {
        let instance = self.instance(i);
        let holder = instance.exclusive_thread().map_or("-".into(), |id| self.who(id));
        let mut words = vec![format!("{}/{}/{holder}", instance.backpressure(), instance.waiting_to_enter())];
        for (index, handle) in self.handles(i) {
            words.push(format!("h{index}={}", self.state_of_handle(i, handle)));
        }
        for index in self.threads(i, false) {
            let id = *instance.threads.get(index).expect("a thread");
            let thread = self.store.thread(id).expect("a thread");
            let status = match thread.status() {
                Status::Running => "running",
                Status::Suspended => "suspended",
                Status::Waiting if self.store.is_ready(id) => "ready",
                Status::Waiting => "waiting",
            };
            words.push(format!("t{index}={status}"));
        }
        words.join(" ")
    }

    fn state_of_handle(&self, i: u32, handle: Handle) -> String {
        match handle {
            Handle::Resource(resource) => {
                let kind = if resource.is_owned() { "own" } else { "borrow" };
                format!("{kind}:{}:{}", resource.rep.bits(), resource.num_lends)
            }
            Handle::ErrorContext(_) => "error".into(),
            Handle::Set(id) => format!("set:{}", self.waiting_for(i, id)),
            Handle::Waitable(id) => self.state_of_waitable(id),
        }
    }

    fn state_of_waitable(&self, id: WaitableId) -> String {
        let waitable = self.store.waitable(id).expect("a waitable");
        let event = if waitable.has_pending_event() { "!" } else { "" };
        let member = if waitable.in_waitable_set() { "@" } else { "" };
        let kind = match waitable.kind() {
            WaitableKind::Subtask(subtask) => {
                let delivered = if subtask.resolve_delivered() { "d" } else { "" };
                let cancelled = if subtask.cancellation_requested() { "c" } else { "" };
                format!("subtask:{}{cancelled}{delivered}", subtask.state() as u32)
            }
            WaitableKind::End(end) => {
                let state = match end.state() {
                    CopyState::Idle => "idle",
                    CopyState::Copying => "copying",
                    CopyState::Cancelling => "cancelling",
                    CopyState::Done => "done",
                };
                let direction = if end.direction() == Direction::Read { "r" } else { "w" };
                format!("{}{direction}:{state}", if end.is_future() { "f" } else { "s" })
            }
        };
        format!("{kind}{event}{member}")
    }

    /// How many threads wait for a set.
    pub(super) fn waiting_for(&self, instance: u32, set: SetId) -> usize {
        let table = &self.instance(instance).threads;
        let waits = |id: &ThreadId| {
            self.store.thread(*id).is_some_and(|t| {
                t.is_waiting() && matches!(t.point(), Point::Wait(s, ..) | Point::CallbackWait(s) if s == set)
            })
        };
        (1..=table.high_water()).filter(|t| table.get(*t).is_some_and(waits)).count()
    }

    pub(super) fn instance(&self, index: u32) -> &canon_async::state::Instance<P::Handles, P::ThreadIndices> {
        self.store.instance(InstanceId::from_index(index)).expect("an instance")
    }
}
