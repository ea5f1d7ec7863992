//! The store: owns the slabs, and holds every transition that touches several things at once.
//!
//! Spec: Embedding API (`Store`). Split by noun: `entering` (what a trap leaves behind), `handles` (what
//! guests hold), `tasks` (tasks and their threads), `waiting` (events and who waits for them), `ready` (the
//! queues of the ready), `completers` (host functions that answer later), `host_tasks` (the host's own),
//! `quota` (limits, and who is charged), `look` (read-only look-ups for reports), `reset`, `strict` (what
//! only the reference tests refuse), `check` (the invariants, for tests).

mod check;
mod completers;
mod entering;
mod handles;
mod host_tasks;
mod host_waits;
mod look;
mod quota;
mod ready;
mod reset;
mod strict;
mod tasks;
mod waiting;

pub use check::Counts;
pub use host_tasks::Entrance;
pub(crate) use host_waits::HostEnd;
pub(crate) use waiting::EventTuple;

use crate::abi::types::{FuncType, Layout, Types, ValType, push};
use crate::error::{Error, LimitReached, Resource};
use crate::event::event;
use crate::id::{
    ArgsId, ErrorContextId, InstanceId, LendId, LiftId, LowerId, OptsId, SetId, SharedId, TaskId, ThreadId,
    WaitableId,
};
use crate::message::{Bug, Misuse};
use crate::raise::{OrRaise as _, Raiser, Raises};
use crate::state::links::QUEUE;
use crate::state::{
    ErrorContext, Instance, InstanceKind, Lend, Lift, Lower, Options, Priority, QueuedArgs, Quota, Shared,
    Task, Thread, Waitable, WaitableSet,
};
use crate::storage::{Blank, HeapBudget, Limit, Limits, List, Profile, Slab, Slots};

/// Whose code runs now: the spec's `current_thread`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Current {
    /// Nobody's.
    None,
    /// A thread's.
    Thread(ThreadId),
    /// The host's, as an instance: it may do what needs no thread.
    Host(InstanceId),
    /// A `realloc`'s, which the spec runs on a fresh thread: it has context slots of its own, and may do nothing else.
    Leaf(InstanceId),
}

/// How much the scheduler takes of the freedom that the spec leaves it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
#[non_exhaustive]
pub enum Choose {
    /// A wait whose event is there returns at once.
    #[default]
    Eager,
    /// As `Eager`, and a call that would wait only for the exclusive lock lets its holder run first, where
    /// that is ready. One of the pinned reference tests needs it (`sync-streams.wast`). `definitions.py`
    /// queues such a call, so it is not the default.
    Barging,
    /// The reference's deterministic profile: every wait goes through the scheduler.
    Spec,
    /// Drawn from this seed: for tests and fuzzers that look for orders nobody thought of.
    Seeded(u64),
}

type Threads<P> = Slab<ThreadId, Thread, <P as Profile>::Threads>;

/// Everything that the Component Model keeps about a set of instances that may call each other.
///
/// A store is driven by one thread of the machine at a time. It knows no engine: built-ins and
/// [`run`](crate::run) reach it through [`Embedding::store`](crate::Embedding::store).
// In this order: what every built-in looks at comes first, where it is reached by short instructions.
#[repr(C)]
pub struct Store<P: Profile> {
    /// The error that is on its way.
    pub(crate) raiser: Raiser,
    /// Instances with ready threads, first and last, by index + 1.
    ready_head: u32,
    ready_tail: u32,
    /// [`Queue::Spawned`](crate::state::Queue::Spawned), by their priority.
    spawned: [List<ThreadId, QUEUE>; Priority::COUNT],
    /// Whether it was their turn last.
    spawned_last: bool,
    /// How many threads have come into a queue: which of two came first. Wraps.
    turns: u32,
    pub(crate) current: Current,
    /// The context slots of [`Current::Leaf`], of which there is never more than one.
    pub(crate) leaf_storage: [u64; 2],
    /// `nesting_depth`: how many [`run`](crate::run::run) stand on the native stack.
    pub(crate) depth: u32,
    /// The thread that the one which just blocked switched to.
    pub(crate) switch_to: Option<ThreadId>,
    /// The instance that is to blame for the error on its way, where it may not be the one whose thread ran.
    blamed: Option<InstanceId>,
    /// Some instance was poisoned and not purged since.
    pub(crate) to_purge: bool,
    /// The host's options: its instance, its memory, its `realloc`.
    host: Option<OptsId>,
    choose: Choose,
    strict: bool,
    /// Threads of host functions that will answer later.
    unanswered: u32,
    /// Runtime limits; all zero until [`Store::with_limits`] sets others than the profile's, so that an empty
    /// bounded store is zeros.
    limits: Option<Limits>,
    /// What [`Store::set_root_limits`] said.
    root_quota: Option<Quota>,
    pub(crate) instances: P::Instances,
    pub(crate) tasks: Slab<TaskId, Task, P::Tasks>,
    pub(crate) threads: Threads<P>,
    pub(crate) waitables: Slab<WaitableId, Waitable, P::Waitables>,
    pub(crate) sets: Slab<SetId, WaitableSet, P::Sets>,
    pub(crate) streams: Slab<SharedId, Shared, P::Streams>,
    pub(crate) error_contexts: Slab<ErrorContextId, ErrorContext<P::Message>, P::ErrorContexts>,
    pub(crate) queued: Slab<ArgsId, QueuedArgs, P::Queued>,
    pub(crate) lends: Slab<LendId, Lend, P::Lends>,
    types: Types<P>,
    options: P::Options,
    lifts: P::Lifts,
    lowers: P::Lowers,
}

impl<P: Profile> core::fmt::Debug for Store<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Store")
            .field("counts", &self.counts())
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

impl<P: Profile> Default for Store<P> {
    fn default() -> Self {
        Self::with_limits(P::LIMITS)
    }
}

impl<P: Profile> Store<P> {
    /// An empty store, for a `static` of a bounded profile: limited by the profile's capacities alone.
    /// On the heap tier use [`Store::default`] or [`Store::with_limits`].
    pub const fn new() -> Self {
        Self {
            raiser: Raiser::EMPTY,
            instances: P::Instances::EMPTY,
            tasks: Slab::new(),
            threads: Slab::new(),
            waitables: Slab::new(),
            sets: Slab::new(),
            streams: Slab::new(),
            error_contexts: Slab::new(),
            queued: Slab::new(),
            lends: Slab::new(),
            types: Types::new(),
            options: P::Options::EMPTY,
            lifts: P::Lifts::EMPTY,
            lowers: P::Lowers::EMPTY,
            ready_head: 0,
            ready_tail: 0,
            spawned: [const { List::EMPTY }; Priority::COUNT],
            spawned_last: false,
            turns: 0,
            current: Current::None,
            leaf_storage: [0; 2],
            depth: 0,
            switch_to: None,
            blamed: None,
            to_purge: false,
            host: None,
            choose: Choose::Eager,
            strict: false,
            unanswered: 0,
            limits: None,
            root_quota: None,
        }
    }

    /// An empty store with these limits. Handle limits hold for instances that are added later.
    pub fn with_limits(limits: Limits) -> Self {
        let mut store = Self::new();
        store.set_limits(limits);
        store
    }

    /// Sets the limits where the store is: [`Store::with_limits`] makes one on the stack, which may be too small for it. What is
    /// there already stays, and counts; handle limits hold for instances that are added later. The quotas of roots, where
    /// [`Store::set_root_limits`] set none, follow. O(instances).
    pub fn set_limits(&mut self, limits: Limits) {
        self.tasks.set_limit(limits.tasks);
        self.threads.set_limit(limits.threads);
        self.waitables.set_limit(limits.waitables);
        self.sets.set_limit(limits.sets);
        self.streams.set_limit(limits.streams);
        self.error_contexts.set_limit(limits.error_contexts);
        self.queued.set_limit(limits.queued);
        self.lends.set_limit(limits.lends);
        self.types.set_limits(&limits);
        self.limits = Some(limits);
        self.renew_root_quotas();
    }

    /// How deep calls between components are nested on the native stack now; [`Limits::depth`] is the most.
    pub fn nesting(&self) -> u32 {
        self.depth
    }

    /// The limits that hold.
    pub fn limits(&self) -> Limits {
        self.limits.unwrap_or(P::LIMITS)
    }

    /// Sets how the scheduler chooses.
    pub fn set_choose(&mut self, choose: Choose) {
        self.choose = choose;
    }

    /// Whether the scheduler keeps to the reference's deterministic profile.
    pub(crate) fn is_deterministic(&self) -> bool {
        self.choose == Choose::Spec
    }

    /// Whether a call lets the holder of the lock that it wants run first.
    pub(crate) fn lets_holder_go(&self) -> bool {
        self.choose == Choose::Barging
    }

    /// Whether a wait whose condition holds goes through the scheduler all the same.
    pub(crate) fn chooses_to_wait(&mut self) -> bool {
        self.choose == Choose::Spec || self.draws()
    }

    /// A coin where the scheduler draws, and false where it does not: who is next goes to the end of the queue instead.
    pub(crate) fn draws(&mut self) -> bool {
        let Choose::Seeded(state) = &mut self.choose else { return false };
        // splitmix64: neighbouring seeds differ from the first coin on.
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = *state;
        x = (x ^ x.wrapping_shr(30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x.wrapping_shr(27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x.wrapping_shr(31)) & 1 != 0
    }

    /// An instance is at fault for the error on its way. The first to be named is.
    pub(crate) fn blame(&mut self, instance: InstanceId) {
        self.blamed.get_or_insert(instance);
    }

    /// Who was named, if anybody; nobody is from now on.
    pub(crate) fn take_blamed(&mut self) -> Option<InstanceId> {
        self.blamed.take()
    }

    /// Who was named, if anybody.
    pub(crate) fn blamed(&self) -> Option<InstanceId> {
        self.blamed
    }

    /// Whether nothing is under way: no task, no thread, nothing that a guest holds.
    pub fn is_idle(&self) -> bool {
        self.counts() == Counts::default()
    }

    // What linking makes. All of it allocates on the heap tier, and lives as long as the store.

    /// Adds a component instance, inside `parent` or as a root.
    ///
    /// # Errors
    /// `Capacity(Instances)`; `Misuse` where the parent is unknown.
    pub fn add_instance(&mut self, parent: Option<InstanceId>) -> Result<InstanceId, Error> {
        let next = self.next_instance();
        let instance = match parent {
            Some(parent) => {
                let around = self.instance(parent)?;
                let level = around.level().saturating_add(1);
                Instance::new(InstanceKind::Guest, around.root()).inside(parent, level)
            }
            None => Instance::new(InstanceKind::Guest, next),
        };
        self.push_instance(instance)
    }

    /// Adds the host as an instance: functions lifted in it are host functions, and values for it go to the
    /// memory and the `realloc` that their options name. Nothing poisons it.
    ///
    /// # Errors
    /// `Capacity(Instances)`.
    pub fn add_host_instance(&mut self) -> Result<InstanceId, Error> {
        self.push_instance(Instance::new(InstanceKind::Host, self.next_instance()))
    }

    fn next_instance(&self) -> InstanceId {
        InstanceId::from_index(self.instances.as_slice().len() as u32)
    }

    fn push_instance(
        &mut self,
        mut instance: Instance<P::Handles, P::ThreadIndices>,
    ) -> Result<InstanceId, Error> {
        let limits = self.limits();
        instance.handles.set_limit(limits.handles);
        instance.threads.set_limit(limits.thread_indices);
        instance.usage.set_common(self.common_quota());
        let heap = &mut self.types.heap;
        let index = add(&mut self.instances, instance, limits.instances, heap, Resource::Instances)?;
        let id = InstanceId::from_index(index);
        event!(debug, instance, "created", instance = id);
        Ok(id)
    }

    /// Says where the values of the host's own calls come from and go to: options of the host instance, whose
    /// memory and `realloc` spilled values, strings and lists use.
    ///
    /// # Errors
    /// `Misuse` where the options are unknown or not the host's.
    pub fn set_host(&mut self, options: OptsId) -> Result<(), Error> {
        let instance = self.options(options)?.instance;
        if self.instance(instance)?.kind() != InstanceKind::Host {
            return Err(Misuse::NotHostOptions.into());
        }
        self.host = Some(options);
        Ok(())
    }

    /// What [`Store::set_host`] said.
    pub fn host(&self) -> Option<OptsId> {
        self.host
    }

    /// Adds a set of canonical options.
    ///
    /// # Errors
    /// `Capacity(Functions)`; `Misuse` where the instance is unknown.
    pub fn add_options(&mut self, options: Options) -> Result<OptsId, Error> {
        self.instance(options.instance)?;
        let limit = self.limits().functions;
        add(&mut self.options, options, limit, &mut self.types.heap, Resource::Functions)
            .map(OptsId::from_index)
    }

    /// `canon lift`: makes a core function a component function.
    ///
    /// # Errors
    /// `Capacity(Functions)`; `Misuse` where its type or its options are unknown, or these are `async` and the type is not.
    pub fn add_lift(&mut self, lift: Lift) -> Result<LiftId, Error> {
        let options = self.options(lift.options)?;
        let ty = self.types.func(lift.ty).ok_or(Misuse::UnknownFuncType)?;
        if options.is_async && !ty.is_async {
            return Err(Misuse::AsyncOptions.into());
        }
        let limit = self.limits().functions;
        add(&mut self.lifts, lift, limit, &mut self.types.heap, Resource::Functions).map(LiftId::from_index)
    }

    /// `canon lower`: makes a component function callable for core code of an instance.
    ///
    /// # Errors
    /// `Capacity(Functions)`; `Misuse` where the function or the options are unknown.
    pub fn add_lower(&mut self, lower: Lower) -> Result<LowerId, Error> {
        self.options(lower.options)?;
        self.lift(lower.callee)?;
        let limit = self.limits().functions;
        add(&mut self.lowers, lower, limit, &mut self.types.heap, Resource::Functions)
            .map(LowerId::from_index)
    }

    /// The types.
    pub fn types(&self) -> &Types<P> {
        &self.types
    }

    /// The types, to add to.
    pub fn types_mut(&mut self) -> &mut Types<P> {
        &mut self.types
    }

    // Look-ups. A stale or unknown id is the embedder's mistake for link-time ids, and ours for the others.

    /// An instance.
    ///
    /// # Errors
    /// `Misuse` where the id is not of this store.
    pub fn instance(&self, id: InstanceId) -> Result<&Instance<P::Handles, P::ThreadIndices>, Error> {
        Ok(self.get_instance(id).ok_or(Misuse::UnknownInstance)?)
    }

    /// A set of canonical options.
    ///
    /// # Errors
    /// `Misuse` where the id is not of this store.
    pub fn options(&self, id: OptsId) -> Result<Options, Error> {
        Ok(self.options.as_slice().get(id.index()).copied().ok_or(Misuse::UnknownOptions)?)
    }

    /// A lifted function.
    ///
    /// # Errors
    /// `Misuse` where the id is not of this store.
    pub fn lift(&self, id: LiftId) -> Result<Lift, Error> {
        Ok(self.lifts.as_slice().get(id.index()).copied().ok_or(Misuse::UnknownLift)?)
    }

    /// A lowered function.
    ///
    /// # Errors
    /// `Misuse` where the id is not of this store.
    pub fn lower(&self, id: LowerId) -> Result<Lower, Error> {
        Ok(self.lowers.as_slice().get(id.index()).copied().ok_or(Misuse::UnknownLower)?)
    }

    /// A task; `None` once it has exited.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(id)
    }

    /// A thread; `None` once it has exited.
    pub fn thread(&self, id: ThreadId) -> Option<&Thread> {
        self.threads.get(id)
    }

    /// A waitable; `None` once it was dropped.
    pub fn waitable(&self, id: WaitableId) -> Option<&Waitable> {
        self.waitables.get(id)
    }

    // The same for the core itself. Never inlined: they are asked for everywhere.

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn get_instance(&self, id: InstanceId) -> Option<&Instance<P::Handles, P::ThreadIndices>> {
        self.instances.as_slice().get(id.index())
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn instance_mut(
        &mut self,
        id: InstanceId,
    ) -> Raises<&mut Instance<P::Handles, P::ThreadIndices>> {
        instance_in::<P>(&mut self.instances, id).or_raise(&mut self.raiser, Misuse::UnknownInstance)
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn options_of(&mut self, id: OptsId) -> Raises<&Options> {
        self.options.as_slice().get(id.index()).or_raise(&mut self.raiser, Misuse::UnknownOptions)
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn lower_of(&mut self, id: LowerId) -> Raises<&Lower> {
        self.lowers.as_slice().get(id.index()).or_raise(&mut self.raiser, Misuse::UnknownLower)
    }

    /// A lifted function with its options and its type.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn lifted(&mut self, id: LiftId) -> Raises<(&Lift, &Options, &FuncType)> {
        let lift = self.lifts.as_slice().get(id.index()).or_raise(&mut self.raiser, Misuse::UnknownLift)?;
        let options = self.options.as_slice().get(lift.options.index());
        let options = options.or_raise(&mut self.raiser, Misuse::UnknownOptions)?;
        let ty = self.types.get_func(lift.ty).or_raise(&mut self.raiser, Misuse::UnknownFuncType)?;
        Ok((lift, options, ty))
    }

    /// A type's layout.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn layout_of(&mut self, ty: ValType) -> Raises<&Layout> {
        self.types.get_layout(ty).or_raise(&mut self.raiser, Misuse::UnknownType)
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn task_mut(&mut self, id: TaskId) -> Raises<&mut Task> {
        self.tasks.get_mut(id).or_raise(&mut self.raiser, Bug::StaleTask)
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn thread_mut(&mut self, id: ThreadId) -> Raises<&mut Thread> {
        self.threads.get_mut(id).or_raise(&mut self.raiser, Bug::StaleThread)
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn waitable_mut(&mut self, id: WaitableId) -> Raises<&mut Waitable> {
        self.waitables.get_mut(id).or_raise(&mut self.raiser, Bug::StaleWaitable)
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn set_mut(&mut self, id: SetId) -> Raises<&mut WaitableSet> {
        self.sets.get_mut(id).or_raise(&mut self.raiser, Bug::StaleSet)
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn shared_mut(&mut self, id: SharedId) -> Raises<&mut Shared> {
        self.streams.get_mut(id).or_raise(&mut self.raiser, Bug::StaleStream)
    }

    /// Runs `f`; an error that comes up in it is answered by value.
    pub(crate) fn caught<T>(&mut self, f: impl FnOnce(&mut Self) -> Raises<T>) -> Result<T, Error> {
        f(self).map_err(|raised| self.raiser.error(raised))
    }
}

/// An instance, which then borrows nothing else of its store.
#[cfg_attr(not(feature = "alloc"), inline(never))]
fn instance_in<P: Profile>(
    instances: &mut P::Instances,
    id: InstanceId,
) -> Option<&mut Instance<P::Handles, P::ThreadIndices>> {
    instances.as_mut_slice().get_mut(id.index())
}

fn add<T: Blank, S: Slots<T>>(
    slots: &mut S,
    value: T,
    limit: u32,
    heap: &mut HeapBudget,
    what: Resource,
) -> Result<u32, Error> {
    push(slots, value, Limit::new(limit), heap).map_err(|why| LimitReached::full(what, why, heap).into())
}
