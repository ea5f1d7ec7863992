//! Steps with an aim: what leads to events, and to somebody who waits for them, is rare among steps that are drawn one by one.

use super::guest::{Here, copy};
use super::*;
use canon_async::canon::Builtin;
use canon_async::id::WaitableId;
use canon_async::state::{CopyState, Direction};

/// What a guest is after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aim {
    /// A copy that meets one under way at the other end; else one that another can meet; else a new stream or future.
    Copy,
    /// A waitable that will have an event stands in a set; else there is a set.
    Join,
    /// The thread waits for a set that has members; a callback's task by its code. Else as `Join`.
    Wait,
    /// An event is polled; else as `Wait`.
    Take,
    /// What is done with is dropped: a subtask that has resolved, an end whose peer is gone.
    Tidy,
    /// A call or a copy under way is cancelled.
    Cancel,
    /// A thread that is suspended goes on.
    Wake,
}

/// What to do next.
pub(super) enum Act {
    Call(Builtin, Vec<u64>),
    /// The function returns this.
    Return(u64),
}

impl<P: Profile> Machine<P> {
    /// What a thread does with an aim; `None` where there is nothing to do about it.
    pub(super) fn aim(&self, here: Here, aim: Aim, sel: u8) -> Option<Act> {
        let i = here.instance;
        let one = |builtin, index: u32| Act::Call(builtin, vec![u64::from(index)]);
        let pick = |from: Vec<u32>| from.get(usize::from(sel) % from.len().max(1)).copied();
        match aim {
            Aim::Copy => self.aim_at_copy(here, sel),
            Aim::Join => {
                let busy = |id| !self.in_set(id) && !self.has_waiter(id) && self.is_under_way(id);
                let waitable = pick(self.waitable_where(i, busy));
                match (waitable, pick(self.sets(i))) {
                    (Some(waitable), Some(set)) => {
                        Some(Act::Call(Builtin::WaitableJoin, vec![waitable.into(), set.into()]))
                    }
                    (Some(_), None) => Some(Act::Call(Builtin::WaitableSetNew, vec![])),
                    (None, _) => None,
                }
            }
            Aim::Wait => match pick(self.sets_with(i, |_| true)) {
                Some(set) if here.callback => Some(Act::Return(2 | u64::from(set) << 4)),
                Some(set) if self.may_block(here) => {
                    let wait = Builtin::WaitableSetWait(MemoryRef::from_index(i));
                    Some(Act::Call(wait, vec![set.into(), 0]))
                }
                Some(_) => None,
                None => self.aim(here, Aim::Join, sel),
            },
            Aim::Take => {
                let has_event = |id| self.store.waitable(id).is_some_and(|w| w.has_pending_event());
                match pick(self.sets_with(i, has_event)) {
                    Some(set) => {
                        let poll = Builtin::WaitableSetPoll(MemoryRef::from_index(i));
                        Some(Act::Call(poll, vec![set.into(), 8]))
                    }
                    None => self.aim(here, Aim::Wait, sel),
                }
            }
            Aim::Tidy => {
                let done = |id| self.subtask(id).is_some_and(|s| s.resolve_delivered());
                let subtask = pick(self.waitable_where(i, done));
                subtask.map(|index| one(Builtin::SubtaskDrop, index)).or_else(|| {
                    let done = |id| self.end(id).is_some_and(|e| e.state() == CopyState::Done);
                    self.drop_of(here, pick(self.waitable_where(i, done))?)
                })
            }
            Aim::Cancel => {
                let legal = |id| {
                    self.subtask(id).is_some_and(|s| !s.resolve_delivered() && !s.cancellation_requested())
                        && !self.in_set(id)
                };
                let subtask = pick(self.waitable_where(i, legal));
                subtask.map(|index| one(Builtin::SubtaskCancel { is_async: true }, index))
            }
            Aim::Wake => pick(self.threads(i, true)).map(|index| one(Builtin::ThreadResumeLater, index)),
        }
    }

    fn aim_at_copy(&self, here: Here, sel: u8) -> Option<Act> {
        let i = here.instance;
        let idle = |id| self.end(id).is_some_and(|end| end.state() == CopyState::Idle);
        let peer_is = |id, state| {
            self.peer(id).is_some_and(|peer| self.end(peer).is_some_and(|end| end.state() == state))
        };
        let meets = self.waitable_where(i, |id| idle(id) && peer_is(id, CopyState::Copying));
        let begins = self.waitable_where(i, |id| idle(id) && peer_is(id, CopyState::Idle));
        let candidates = if meets.is_empty() { begins } else { meets };
        let Some(index) = candidates.get(usize::from(sel) % candidates.len().max(1)) else {
            let ty = [STREAM, FUTURE, STREAM_UNIT, STREAM, FUTURE_UNIT][usize::from(sel) % 5];
            let builtin = match ty {
                STREAM | STREAM_UNIT => Builtin::StreamNew(ty),
                _ => Builtin::FutureNew(ty),
            };
            return (self.waitables(i).len() < 10).then(|| Act::Call(builtin, vec![]));
        };
        let (_, end) = self.end_at(i, *index)?;
        let read = end.direction() == Direction::Read;
        let builtin = copy(self.type_of(end), async_opts(i), end.is_future(), read);
        let at = if read { 16 } else { 64 } + u64::from(sel);
        Some(Act::Call(builtin, vec![u64::from(*index), at, u64::from(sel % 4)]))
    }

    fn drop_of(&self, here: Here, index: u32) -> Option<Act> {
        let (_, end) = self.end_at(here.instance, index)?;
        let read = end.direction() == Direction::Read;
        let builtin = super::guest::drop_end(self.type_of(end), end.is_future(), read);
        Some(Act::Call(builtin, vec![u64::from(index)]))
    }

    /// Whether an event may come.
    fn is_under_way(&self, id: WaitableId) -> bool {
        self.end(id).is_some_and(|end| end.copying())
            || self.subtask(id).is_some_and(|subtask| !subtask.resolve_delivered())
    }

    /// The other end of a stream or future, whoever holds it.
    fn peer(&self, id: WaitableId) -> Option<WaitableId> {
        let shared = self.end(id)?.shared();
        let all = (1..=INSTANCES).flat_map(|i| self.waitables(i));
        all.map(|(_, other)| other)
            .find(|other| *other != id && self.end(*other).is_some_and(|end| end.shared() == shared))
    }

    /// The sets of an instance with a member like this.
    fn sets_with(&self, instance: u32, like: impl Fn(WaitableId) -> bool) -> Vec<u32> {
        let members = self.waitables(instance).into_iter().filter(|(_, id)| self.in_set(*id) && like(*id));
        let mut sets: Vec<u32> =
            members.filter_map(|(index, _)| self.members.get(&(instance, index)).copied()).collect();
        sets.sort_unstable();
        sets.dedup();
        sets
    }

    /// Whether a thread that blocks is no trap: its task is not of a synchronous type, or somebody else of its instance is ready.
    pub(super) fn may_block(&self, here: Here) -> bool {
        let table = &self.instance(here.instance).threads;
        here.async_type
            || (1..=table.high_water())
                .filter_map(|t| table.get(t))
                .any(|id| self.store.is_ready(*id) && self.store.thread(*id).is_some_and(|t| !t.is_gated()))
    }
}
