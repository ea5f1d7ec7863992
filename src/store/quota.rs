//! Room: the limits of the store, and the quotas of its roots. The root that takes too much gets the error;
//! no other root does.
//!
//! Sets, streams, error contexts and threads that a guest makes are charged to its root; a subtask to the
//! caller's; the end of a stream or future, and a handle, to the root that holds it; a lend to the root that
//! lends. A task with its implicit thread is charged to the root of the guest that called, and so are
//! arguments that wait: else a guest would fill its neighbour's quota with calls. The host's own instances
//! are not counted.

use super::{Current, Store, instance_in};
use crate::error::{Error, LimitReached, Resource};
use crate::id::{InstanceId, ThreadId};
use crate::message::Misuse;
use crate::raise::Raises;
use crate::state::{InstanceKind, Kind, Quota, Thread, Usage, Waitable};
use crate::storage::{Limits, Profile, Slots as _};

/// So many more of a kind.
pub(crate) type Need = (Resource, u32);

impl<P: Profile> Store<P> {
    /// The root component whose code runs now; `None` if none does, or the host's. O(1).
    pub fn running_root(&self) -> Option<InstanceId> {
        let instance = match self.current {
            Current::Thread(thread) => self.threads.get(thread)?.instance(),
            Current::Leaf(instance) => instance,
            Current::None | Current::Host(_) => return None,
        };
        self.guest_root(instance)
    }

    /// The root component that pays for a thread: its caller's, of a task's implicit thread that a guest's call began; else
    /// its own. `None` for the host, and for a thread that has exited. O(1).
    pub fn payer_of(&self, thread: ThreadId) -> Option<InstanceId> {
        let entry = self.threads.get(thread)?;
        let task = self.tasks.get(entry.task()).filter(|_| entry.is_implicit());
        self.guest_root(task.map_or(entry.instance(), |task| task.payer()))
    }

    fn guest_root(&self, instance: InstanceId) -> Option<InstanceId> {
        let entry = self.get_instance(instance)?;
        (entry.kind() == InstanceKind::Guest).then(|| entry.root())
    }

    /// Sets the quotas of each root instance that has none of its own: the most of the store's tasks,
    /// threads, waitables, sets, streams, error contexts, queued calls and lends that it may hold, and the
    /// most handles in all its instances together. Other fields are ignored. What a root holds already stays,
    /// and counts. Without a heap, no quota is above 65535. O(instances).
    ///
    /// Before this is called, a root may hold half of what the store may, rounded up, and so it does where it
    /// is the only one. On the heap tier no limit of the store counts all handles, so there it is half of
    /// [`Limits::handles`]; on a bounded tier, half of what the tables of all instances hold.
    pub fn set_root_limits(&mut self, limits: Limits) {
        self.root_quota = Some(quota_of(&limits));
        self.renew_root_quotas();
    }

    /// Sets the quotas of one root instance: see [`Store::set_root_limits`]. O(1).
    ///
    /// # Errors
    /// `Misuse` where the instance is unknown, is inside another, or is the host's.
    pub fn set_limits_of(&mut self, root: InstanceId, limits: Limits) -> Result<(), Error> {
        let entry = self.instance(root)?;
        if entry.root() != root || entry.kind() == InstanceKind::Host {
            return Err(Misuse::NotRoot.into());
        }
        if let Some(usage) = self.usage_mut(root) {
            usage.set_own(quota_of(&limits));
        }
        Ok(())
    }

    /// How many of a kind the root of an instance holds, and its quota; `None` for an instance of the host,
    /// an unknown one, and a kind without quotas. O(1).
    pub fn root_usage(&self, instance: InstanceId, what: Resource) -> Option<(u32, u32)> {
        Quota::RESOURCES.contains(&what).then_some(self.usage(instance)?.of(what))
    }

    /// The bytes that the tables of the store have allocated: of each the room that it has, times what an
    /// element takes. 0 where all storage lies in place. O(1).
    pub fn heap_bytes(&self) -> usize {
        self.types.heap.used()
    }

    /// Sets the most bytes that the tables of the store may allocate. A table doubles when it grows, or where
    /// that is too much grows by what is needed; where that is too much as well, what it was to grow for
    /// fails with [`Resource::HeapBytes`], and nothing is changed. While a table grows, the old and the new
    /// one are both there. Has no effect where all storage lies in place.
    pub fn set_heap_limit(&mut self, bytes: usize) {
        self.types.heap.set_limit(bytes);
    }

    /// The quota of roots that have none of their own.
    pub(super) fn common_quota(&self) -> Quota {
        match self.root_quota {
            Some(quota) => quota,
            None => self.default_quota(),
        }
    }

    /// Half of what the store may hold, rounded up.
    fn default_quota(&self) -> Quota {
        let limits = self.limits();
        let least = |limit: u32, capacity: usize| limit.min(u32::try_from(capacity).unwrap_or(u32::MAX));
        let mut handles = least(limits.handles, P::Handles::CAPACITY);
        if (P::Handles::CAPACITY as u64) < u64::from(u32::MAX) {
            handles = handles.saturating_mul(least(limits.instances, P::Instances::CAPACITY));
        }
        let of_store = [
            least(limits.tasks, P::Tasks::CAPACITY),
            least(limits.threads, P::Threads::CAPACITY),
            least(limits.waitables, P::Waitables::CAPACITY),
            least(limits.sets, P::Sets::CAPACITY),
            least(limits.streams, P::Streams::CAPACITY),
            least(limits.error_contexts, P::ErrorContexts::CAPACITY),
            handles,
            least(limits.queued, P::Queued::CAPACITY),
            least(limits.lends, P::Lends::CAPACITY),
        ];
        Quota::new(of_store.map(|most| most.div_ceil(2)))
    }

    /// Roots without a quota of their own have the common one, which changed.
    pub(super) fn renew_root_quotas(&mut self) {
        let quota = self.common_quota();
        for instance in self.instances.as_mut_slice() {
            instance.usage.set_common(quota);
        }
    }

    /// What the root of an instance holds; `None` for an instance of the host.
    fn usage(&self, of: InstanceId) -> Option<&Usage> {
        let root = self.get_instance(of).filter(|entry| entry.kind() == InstanceKind::Guest)?.root();
        Some(&self.get_instance(root)?.usage)
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    fn usage_mut(&mut self, of: InstanceId) -> Option<&mut Usage> {
        let entry = self.get_instance(of).filter(|entry| entry.kind() == InstanceKind::Guest)?;
        let root = entry.root();
        Some(&mut instance_in::<P>(&mut self.instances, root)?.usage)
    }

    /// Whether the root of an instance may hold this much more.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn check_quota(&mut self, of: InstanceId, (what, count): Need) -> Raises {
        match self.usage_mut(of).map_or(Ok(()), |usage| usage.check(what, count)) {
            Ok(()) => Ok(()),
            Err(reached) => self.raiser.raise(reached),
        }
    }

    /// Checks the quota of an instance's root for what it needs, and makes room in the tables. Where it fails
    /// nothing is changed; else adding as much can't fail. Amortised O(1); allocates on the heap tier.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn check_room(&mut self, of: InstanceId, needs: &[Need]) -> Raises {
        for need in needs {
            // First the quota: a root that reached it makes no table grow.
            self.check_quota(of, *need)?;
            self.reserve(of, *need)?;
        }
        Ok(())
    }

    /// [`Store::check_room`], and the root is charged with it.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn charge(&mut self, of: InstanceId, needs: &[Need]) -> Raises {
        self.check_room(of, needs)?;
        if let Some(usage) = self.usage_mut(of) {
            needs.iter().for_each(|(what, count)| usage.charge(*what, *count));
        }
        Ok(())
    }

    /// Refunds one of a kind to the root of an instance.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn refund(&mut self, of: InstanceId, what: Resource) {
        if let Some(usage) = self.usage_mut(of) {
            usage.refund(what);
        }
    }

    /// Moves a charge from one root to another, whose quota [`Store::check_quota`] checked.
    pub(crate) fn move_charge(&mut self, from: InstanceId, to: InstanceId, what: Resource) {
        self.refund(from, what);
        if let Some(usage) = self.usage_mut(to) {
            usage.charge(what, 1);
        }
    }

    /// Makes room in a table of the store, or of an instance.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn reserve(&mut self, of: InstanceId, (what, count): Need) -> Raises {
        let (count, heap) = (count as usize, &mut self.types.heap);
        let room = match what {
            Resource::Tasks => self.tasks.reserve(count, heap),
            Resource::Threads => self.threads.reserve(count, heap),
            Resource::Waitables => self.waitables.reserve(count, heap),
            Resource::WaitableSets => self.sets.reserve(count, heap),
            Resource::Streams => self.streams.reserve(count, heap),
            Resource::ErrorContexts => self.error_contexts.reserve(count, heap),
            Resource::QueuedCalls => self.queued.reserve(count, heap),
            Resource::Lends => self.lends.reserve(count, heap),
            Resource::Handles | Resource::ThreadIndices => match instance_in::<P>(&mut self.instances, of) {
                Some(instance) if what == Resource::Handles => instance.handles.reserve(count, heap),
                Some(instance) => instance.threads.reserve(count, heap),
                None => return self.raiser.raise(Misuse::UnknownInstance),
            },
            _ => Ok(()),
        };
        match room {
            Ok(()) => Ok(()),
            Err(why) => self.raiser.raise(LimitReached::full(what, why, &self.types.heap)),
        }
    }
}

/// What [`Store::check`] recounts.
impl<P: Profile> Store<P> {
    /// Every root is charged with what it holds, and the tables have allocated what was counted. O(roots
    /// times what the store holds).
    pub(super) fn check_usage(&self) -> Result<(), &'static str> {
        for (instance, index) in self.instances.as_slice().iter().zip(0..u32::MAX) {
            let root = InstanceId::from_index(index);
            let counted = instance.kind() == InstanceKind::Guest && instance.root() == root;
            let right = |what: Resource| {
                let held = if counted { self.count_held(root, what) } else { 0 };
                usize::try_from(instance.usage.of(what).0) == Ok(held)
            };
            if !Quota::RESOURCES.into_iter().all(right) {
                return Err("a root is charged with other than it holds");
            }
        }
        if self.heap_bytes() == self.allocated() {
            Ok(())
        } else {
            Err("the bytes that tables have allocated are miscounted")
        }
    }

    fn count_held(&self, root: InstanceId, what: Resource) -> usize {
        let own = |of: InstanceId| self.get_instance(of).is_some_and(|entry| entry.root() == root);
        let queued = |waitable: &Waitable| match waitable.kind() {
            Kind::Subtask(subtask) => subtask.args.is_some(),
            Kind::End(_) => false,
        };
        let pays = |thread: &Thread| match self.tasks.get(thread.task()) {
            Some(task) if thread.is_implicit() => task.payer(),
            _ => thread.instance(),
        };
        match what {
            Resource::Tasks => self.tasks.iter().filter(|(_, task)| own(task.payer())).count(),
            Resource::Threads => self.threads.iter().filter(|(_, thread)| own(pays(thread))).count(),
            Resource::Waitables => self.waitables.iter().filter(|(_, w)| own(w.instance())).count(),
            Resource::WaitableSets => self.sets.iter().filter(|(_, set)| own(set.instance())).count(),
            Resource::Streams => self.streams.iter().filter(|(_, shared)| own(shared.maker())).count(),
            Resource::ErrorContexts => {
                self.error_contexts.iter().filter(|(_, context)| own(context.maker())).count()
            }
            Resource::Handles => {
                let all = self.instances.as_slice().iter().filter(|entry| entry.root() == root);
                all.map(|entry| entry.handles.len()).sum()
            }
            Resource::QueuedCalls => {
                self.waitables.iter().filter(|(_, w)| own(w.instance()) && queued(w)).count()
            }
            Resource::Lends => self.lends.iter().filter(|(_, lend)| own(lend.instance)).count(),
            _ => 0,
        }
    }

    fn allocated(&self) -> usize {
        let of_instances = self.instances.as_slice().iter();
        let of_instances: usize = of_instances
            .map(|entry| entry.handles.allocated().saturating_add(entry.threads.allocated()))
            .sum();
        let tables = [
            self.instances.allocated(),
            self.tasks.allocated(),
            self.threads.allocated(),
            self.waitables.allocated(),
            self.sets.allocated(),
            self.streams.allocated(),
            self.error_contexts.allocated(),
            self.queued.allocated(),
            self.lends.allocated(),
            self.types.allocated(),
            self.options.allocated(),
            self.lifts.allocated(),
            self.lowers.allocated(),
        ];
        tables.iter().sum::<usize>().saturating_add(of_instances)
    }
}

/// The fields that there are quotas of.
fn quota_of(limits: &Limits) -> Quota {
    Quota::new([
        limits.tasks,
        limits.threads,
        limits.waitables,
        limits.sets,
        limits.streams,
        limits.error_contexts,
        limits.handles,
        limits.queued,
        limits.lends,
    ])
}
