//! Spec: Threads.

use super::links::QUEUE;
use crate::id::{InstanceId, MemoryRef, SetId, TaskId, WaitableId};
use crate::storage::{Link, Node};

/// Whether a thread runs, and if not, what may resume it. The spec's `running`, `suspended`, `waiting`.
///
/// ```text
///            park                      suspend
/// Waiting <--------- Running (cont None) --------> Suspended
///    |                  ^   ^                          |
///    +---- resume ------+   +----- resume / switch ----+
///    ^                                                 |
///    +----------------- resume_later ------------------+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Status {
    /// On the native stack, or about to be.
    Running,
    /// Until another thread resumes it.
    Suspended,
    /// Until its ready predicate holds.
    Waiting,
}

/// Where a thread that does not run goes on, which is also what it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
// So that what each has first is at the same place.
#[repr(u32)]
pub enum Point {
    /// An implicit thread before `enter_implicit_thread`: until there is no backpressure.
    Enter,
    /// The implicit thread of a task that the host spawned, and that never ran.
    Spawned,
    /// An explicit thread that never ran, with its argument.
    Start(u64),
    /// In `thread.suspend` or one of its family.
    Switch,
    /// In `waitable-set.wait`: until the set has an event, which goes to the address.
    Wait(SetId, MemoryRef, usize),
    /// In a synchronous copy or cancel: until the waitable has its event.
    Event(WaitableId),
    /// In a synchronous call: until the subtask is resolved.
    Lower(WaitableId),
    /// In a host function that answers later.
    Host,
    /// In the callback loop, after YIELD.
    CallbackYield,
    /// In the callback loop, after WAIT.
    CallbackWait(SetId),
}

impl Point {
    /// The set that it waits for.
    pub(crate) fn set(self) -> Option<SetId> {
        match self {
            Self::Wait(set, ..) | Self::CallbackWait(set) => Some(set),
            _ => None,
        }
    }
}

/// How urgent a thread is among those that the host spawned: 0 to 7, and 7 is the first to run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Priority(u8);

impl Priority {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// `None` above 7.
    pub const fn new(priority: u8) -> Option<Self> {
        if (priority as usize) < Self::COUNT { Some(Self(priority)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The queue that a thread stands in; never two. First those of its instance, by their place there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Queue {
    /// Of threads that wait to enter and need the exclusive lock. Those that don't have a queue of their own: in one for both they
    /// would wait for a lock that they don't take.
    EnterExclusive,
    /// Of the other threads that wait to enter.
    EnterShared,
    /// Of callback threads that would be ready if nobody held the exclusive lock.
    WantExclusive,
    /// Of threads that are ready, as a hint, and that a synchronous call may run: [`Thread::is_gated`] is false.
    Ready,
    /// Of the other ready ones.
    ReadyGated,
    /// Of the ready ones that the host spawned, by their priority. It is the store's.
    Spawned,
    /// Of the threads in `waitable-set.wait` that were not told to look; but not the holder of the exclusive lock, which its
    /// instance knows. It is the set's.
    Waiters,
    /// Of those in their callback loop, who need the exclusive lock too. It is the set's.
    Callbacks,
    /// None.
    None,
}

impl Queue {
    /// How many there are of an instance.
    pub const OF_INSTANCE: usize = 5;

    /// Whether who stands in it was told to look.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::ReadyGated | Self::Spawned)
    }
}

/// What a thread is of its task, and how it may run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Role {
    /// The implicit one, and gated: it waits to enter, or its task needs the exclusive lock.
    Gated,
    /// The implicit one, which has entered and needs no lock.
    Implicit,
    /// The implicit one of a start function, whose frames can't be set aside.
    Start,
    /// The implicit one of a task that the host spawned.
    Spawned(Priority),
    /// One that the guest made.
    Explicit,
}

/// A thread of a task: the spec's `Thread`.
#[derive(Debug)]
pub struct Thread {
    task: TaskId,
    instance: InstanceId,
    /// `index`; 0 while it has none.
    index: u32,
    storage: [u64; 2],
    pub(crate) status: Status,
    pub(crate) point: Point,
    pub(crate) queue: Queue,
    role: Role,
    /// When it came into its queue: the store's number of that, which wraps.
    pub(crate) turn: u32,
    link: Link,
}

impl Thread {
    /// The implicit thread of a task.
    pub(crate) fn implicit(task: TaskId, instance: InstanceId, can_suspend: bool) -> Self {
        Self {
            task,
            instance,
            index: 0,
            storage: [0; 2],
            status: Status::Suspended,
            point: Point::Enter,
            queue: Queue::None,
            role: if can_suspend { Role::Gated } else { Role::Start },
            turn: 0,
            link: Link::NONE,
        }
    }

    /// A thread made by `thread.new-indirect`.
    pub(crate) fn explicit(task: TaskId, instance: InstanceId, arg: u64) -> Self {
        Self { point: Point::Start(arg), role: Role::Explicit, ..Self::implicit(task, instance, true) }
    }

    /// The implicit thread of a task that the host spawns: like an explicit one, it waits for no room to enter and needs no lock.
    pub(crate) fn spawn(&mut self, priority: Priority) {
        self.role = Role::Spawned(priority);
        self.point = Point::Spawned;
    }

    /// How urgent it is among those that the host spawned; `None` for all others.
    pub fn priority(&self) -> Option<Priority> {
        match self.role {
            Role::Spawned(priority) => Some(priority),
            _ => None,
        }
    }

    /// `task`.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// `task.inst`.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// `index`; 0 before the thread entered.
    pub fn index(&self) -> u32 {
        self.index
    }

    pub(crate) fn set_index(&mut self, index: u32) {
        self.index = index;
    }

    /// `storage`: what `context.get` reads.
    pub fn storage(&self, slot: u32) -> Option<u64> {
        self.storage.get(slot as usize).copied()
    }

    pub(crate) fn storage_mut(&mut self, slot: u32) -> Option<&mut u64> {
        self.storage.get_mut(slot as usize)
    }

    /// Whether it is its task's implicit thread.
    pub fn is_implicit(&self) -> bool {
        self.role != Role::Explicit
    }

    /// Whether a synchronous call must not run it in between: it waits to enter, or its task needs the
    /// exclusive lock, so that it may not use the instance's stack while the call does.
    pub fn is_gated(&self) -> bool {
        self.role == Role::Gated
    }

    /// The thread entered its instance.
    pub(crate) fn entered(&mut self, needs_exclusive: bool) {
        if self.is_gated() && !needs_exclusive {
            self.role = Role::Implicit;
        }
    }

    /// The queue for when it may be ready.
    pub(crate) fn ready_queue(&self) -> Queue {
        match self.role {
            Role::Spawned(_) => Queue::Spawned,
            Role::Gated => Queue::ReadyGated,
            _ => Queue::Ready,
        }
    }

    /// Whether its frames can be set aside; false for a start function.
    pub fn can_suspend(&self) -> bool {
        self.role != Role::Start
    }

    /// `suspended()`.
    pub fn is_suspended(&self) -> bool {
        self.status == Status::Suspended
    }

    /// `waiting()`.
    pub fn is_waiting(&self) -> bool {
        self.status == Status::Waiting
    }

    /// Where it goes on.
    pub fn point(&self) -> Point {
        self.point
    }

    /// Whether it runs, is suspended or waits.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Which queue it stands in.
    pub fn queue(&self) -> Queue {
        self.queue
    }
}

impl Node<QUEUE> for Thread {
    fn link(&self) -> &Link {
        &self.link
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}
