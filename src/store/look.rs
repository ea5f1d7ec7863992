//! What there is in a store, to look at: for reports on who waits for what, debuggers and statistics.

use super::Store;
use crate::id::{InstanceId, SetId, SharedId, ThreadId, WaitableId};
use crate::state::{Handle, Shared, Thread, Waitable, WaitableSet};
use crate::storage::Profile;

impl<P: Profile> Store<P> {
    /// The threads that have not exited, in the order of their slots. A step is O(1), or O(slots) over free
    /// ones.
    pub fn threads(&self) -> impl Iterator<Item = (ThreadId, &Thread)> {
        self.threads.iter()
    }

    /// A waitable set; `None` once it was dropped. O(1).
    pub fn waitable_set(&self, id: SetId) -> Option<&WaitableSet> {
        self.sets.get(id)
    }

    /// The members of a waitable set, those with a pending event first; none once it was dropped. A step is
    /// O(1).
    pub fn members(&self, id: SetId) -> impl Iterator<Item = (WaitableId, &Waitable)> {
        let lists = self.sets.get(id).map(|set| [&set.pending, &set.idle]);
        lists.into_iter().flatten().flat_map(|list| {
            let first = list.front(&self.waitables);
            let ids = core::iter::successors(first, |id| list.after(&self.waitables, *id));
            ids.filter_map(|id| Some((id, self.waitables.get(id)?)))
        })
    }

    /// 📝 The messages of the error contexts that an instance holds, in the order of their handles. A step is
    /// O(1), or O(handles) over others.
    pub fn error_messages(&self, instance: InstanceId) -> impl Iterator<Item = &str> {
        let handles = self.get_instance(instance).map(|instance| &instance.handles);
        let last = handles.map_or(0, |handles| handles.high_water());
        (1..=last).filter_map(move |index| match handles?.get(index)? {
            Handle::ErrorContext(id) => core::str::from_utf8(self.error_contexts.get(*id)?.message()).ok(),
            _ => None,
        })
    }

    /// What the two ends of a stream or future share; `None` once both were dropped. O(1).
    pub fn shared(&self, id: SharedId) -> Option<&Shared> {
        self.streams.get(id)
    }
}
