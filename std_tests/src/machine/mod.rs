//! Random sequences of built-ins: an embedding of three instances (two roots, one with a child) whose guests all read their
//! next step from one tape, and keep a trace of what came of it.

mod aim;
mod engine;
mod guest;
mod look;
mod step;
mod teardown;
mod trace;

pub use aim::Aim;
pub use step::Step;
#[cfg(feature = "std")]
pub use step::tape;

use canon_async::abi::types::{FuncType, NewType, ResourceType, ValType};
use canon_async::error::{Error, Resource, Trap};
use canon_async::id::{
    FuncRef, FuncTypeId, HostCall, InstanceId, LiftId, MemoryRef, OptsId, ResourceId, SharedId, TableRef,
    TaskId, ThreadId, TypeId,
};
use canon_async::state::{Lift, Lower, Options};
use canon_async::storage::{Limits, Profile};
use canon_async::store::{Choose, Counts};
use canon_async::{Outcome, Store, run};
use std::collections::{HashMap, HashSet};

/// How many guests there are.
pub const INSTANCES: u32 = 3;
/// Lifted functions of an instance, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is how it is lifted, and what it takes")]
pub enum Kind {
    Callback,
    Stackful,
    SyncLifted,
    SyncTyped,
    CallbackStream,
    StackfulU32,
    CallbackBorrow,
    StackfulOwn,
    StackfulError,
    /// Tidies its instance up, or traps: see [`Machine::teardown`].
    Janitor,
}
const KINDS: [Kind; 10] = [
    Kind::Callback,
    Kind::Stackful,
    Kind::SyncLifted,
    Kind::SyncTyped,
    Kind::CallbackStream,
    Kind::StackfulU32,
    Kind::CallbackBorrow,
    Kind::StackfulOwn,
    Kind::StackfulError,
    Kind::Janitor,
];
const LIFTS: u32 = KINDS.len() as u32;

const STREAM: TypeId = TypeId::from_index(0);
const STREAM_UNIT: TypeId = TypeId::from_index(1);
const FUTURE: TypeId = TypeId::from_index(2);
const FUTURE_UNIT: TypeId = TypeId::from_index(3);
const RESOURCE: ResourceId = ResourceId::from_index(0);
const TABLE: TableRef = TableRef::from_index(0);

/// What the guests do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// As the tape says.
    Tape,
    /// Resolve and return.
    Finish,
    /// The janitor traps.
    Kill,
}

/// How a machine is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How the scheduler chooses.
    pub choose: Choose,
    /// How deep calls may nest.
    pub depth: u32,
    /// What the store is limited to, where that is less than its profile's.
    pub limits: Limits,
    /// The quotas of roots.
    pub root_limits: Limits,
    /// Whether guests are held to what the pinned reference tests expect.
    pub strict: bool,
}

/// The store, its engine, and what they did.
#[derive(Debug)]
pub struct Machine<P: Profile> {
    store: Store<P>,
    memories: [[u8; MEMORY]; INSTANCES as usize + 1],
    tape: Vec<Step>,
    at: usize,
    mode: Mode,
    /// The threads that are set aside, and where the event comes that they wait for.
    parked: HashMap<ThreadId, Option<u64>>,
    /// Those whose functions were fetched, and that have not started.
    starts: HashSet<ThreadId>,
    types: HashMap<SharedId, TypeId>,
    /// The set of a waitable that is in one, both by instance and index.
    members: HashMap<(u32, u32), u32>,
    calls: Vec<TaskId>,
    trace: Vec<String>,
    /// Where the trace ends being comparable: the first capacity error.
    capacity_at: Option<usize>,
    /// Where the first error is of whatever kind.
    error_at: Option<usize>,
    /// How often guest code was entered.
    entered: u64,
    /// Whether the store is limited below its profile, so that what a failed built-in leaves is looked at.
    limited: bool,
}

const MEMORY: usize = 128;
/// Sets of options an instance: without `async`, with it, with it and a callback.
const OPTIONS: u32 = 3;

const fn sync_opts(instance: u32) -> OptsId {
    OptsId::from_index(instance * OPTIONS)
}
const fn async_opts(instance: u32) -> OptsId {
    OptsId::from_index(instance * OPTIONS + 1)
}
const fn callback_opts(instance: u32) -> OptsId {
    OptsId::from_index(instance * OPTIONS + 2)
}
const fn lift_id(instance: u32, kind: Kind) -> LiftId {
    LiftId::from_index((instance - 1) * LIFTS + kind as u32)
}
/// The index of the lower by which `caller` calls a function.
const fn lower_index(caller: u32, callee: LiftId, is_async: bool) -> u32 {
    ((caller - 1) * INSTANCES * LIFTS + callee.as_u32()) * 2 + is_async as u32
}

/// Core functions, by number: an instance's code, its callback, its realloc.
fn func(instance: u32, which: u32) -> FuncRef {
    FuncRef::from_index(instance * 16 + which)
}
const CALLBACK: u32 = 14;
const REALLOC: u32 = 15;

impl<P: Profile> Machine<P> {
    /// Links the instances; nothing runs yet.
    ///
    /// # Errors
    /// `Capacity`, where the limits have no room for what is linked.
    pub fn new(tape: Vec<Step>, setup: Setup) -> Result<Self, Error> {
        let limits = setup.limits.with_depth(setup.depth);
        let mut m = Self {
            store: Store::with_limits(limits),
            memories: [[0; MEMORY]; INSTANCES as usize + 1],
            tape,
            at: 0,
            mode: Mode::Tape,
            parked: HashMap::new(),
            starts: HashSet::new(),
            types: HashMap::new(),
            members: HashMap::new(),
            calls: Vec::new(),
            trace: Vec::new(),
            capacity_at: None,
            error_at: None,
            entered: 0,
            limited: setup.limits.with_depth(P::LIMITS.depth) != P::LIMITS,
        };
        m.store.set_root_limits(setup.root_limits);
        m.store.set_choose(setup.choose);
        m.store.set_strict(setup.strict);
        for (memory, i) in m.memories.iter_mut().zip(0u8..) {
            // ASCII, so that every part of it is text too.
            memory
                .iter_mut()
                .zip(0u8..)
                .for_each(|(byte, at)| *byte = (at.wrapping_mul(7) ^ (i << 4)) & 0x7f);
        }
        m.link()?;
        Ok(m)
    }

    /// What was done and what came of it, a line each: see `trace.rs`.
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// The line at which something ran out of room first.
    pub fn capacity_at(&self) -> Option<usize> {
        self.capacity_at
    }

    /// The line of the first error.
    pub fn error_at(&self) -> Option<usize> {
        self.error_at
    }

    /// Plays the tape to its end.
    pub fn play(&mut self) {
        while let Some(step) = self.next_step() {
            self.host_step(step);
        }
    }

    /// Plays the tape to its end or to the first error; then, if there was none, everybody resolves and returns as soon as it
    /// can, until nothing is ready.
    pub fn play_to_error(&mut self) {
        while self.error_at.is_none() {
            let Some(step) = self.next_step() else { break };
            self.host_step(step);
        }
        self.mode = Mode::Finish;
        while self.error_at.is_none() && self.tick() == Some(true) {}
        for instance in 1..=INSTANCES {
            if self.error_at.is_none() {
                self.host_call(instance, Kind::SyncTyped);
            }
        }
        while self.error_at.is_none() && self.tick() == Some(true) {}
    }

    fn link(&mut self) -> Result<(), Error> {
        let store = &mut self.store;
        let resource = ResourceType { instance: InstanceId::from_index(2), dtor: None };
        assert_eq!(store.types_mut().define_resource(resource)?, RESOURCE);
        let byte = Some(ValType::U8);
        let new = [
            NewType::Stream(byte),
            NewType::Stream(None),
            NewType::Future(byte),
            NewType::Future(None),
            NewType::Own(RESOURCE),
            NewType::Borrow(RESOURCE),
        ];
        for (new, index) in new.into_iter().zip(0..) {
            assert_eq!(store.types_mut().intern(new, 0)?, TypeId::from_index(index));
        }
        let mut record = |items: &[Option<ValType>]| store.types_mut().intern(NewType::Record(items), 0);
        let defined = |index| Some(ValType::Defined(TypeId::from_index(index)));
        let (none, number) = (record(&[])?, record(&[Some(ValType::U32)])?);
        let (stream, own, borrow) = (record(&[defined(0)])?, record(&[defined(4)])?, record(&[defined(5)])?);
        let error = record(&[Some(ValType::ErrorContext)])?;
        let host = store.add_host_instance()?;
        self.add_options(host)?;
        for parent in [None, None, Some(1)] {
            let instance = self.store.add_instance(parent.map(InstanceId::from_index))?;
            self.add_options(instance)?;
        }
        self.store.set_host(sync_opts(0))?;
        for instance in 1..=INSTANCES {
            for (kind, index) in KINDS.into_iter().zip(0..) {
                let (params, result) = match kind {
                    Kind::CallbackStream => (stream, None),
                    Kind::StackfulU32 => (number, Some(ValType::U32)),
                    Kind::CallbackBorrow => (borrow, None),
                    Kind::StackfulOwn => (own, None),
                    Kind::StackfulError => (error, None),
                    _ => (none, None),
                };
                let is_async = !matches!(kind, Kind::SyncTyped | Kind::Janitor);
                let ty = self.store.types_mut().intern_func(FuncType { params, result, is_async })?;
                let options = match kind {
                    Kind::Callback | Kind::CallbackStream | Kind::CallbackBorrow => callback_opts(instance),
                    Kind::Stackful | Kind::StackfulU32 | Kind::StackfulOwn | Kind::StackfulError => {
                        async_opts(instance)
                    }
                    Kind::SyncLifted | Kind::SyncTyped | Kind::Janitor => sync_opts(instance),
                };
                self.add_lift(ty, options, func(instance, index), lift_id(instance, kind))?;
            }
        }
        for caller in 1..=INSTANCES {
            for callee in 0..INSTANCES * LIFTS {
                for options in [sync_opts(caller), async_opts(caller)] {
                    self.store.add_lower(Lower { callee: LiftId::from_index(callee), options })?;
                }
            }
        }
        Ok(())
    }

    fn add_options(&mut self, instance: InstanceId) -> Result<(), Error> {
        let index = instance.as_u32();
        let options = Options {
            memory: Some(MemoryRef::from_index(index)),
            realloc: Some(func(index, REALLOC)),
            ..Options::new(instance)
        };
        self.store.add_options(options)?;
        self.store.add_options(Options { is_async: true, ..options })?;
        self.store.add_options(Options {
            is_async: true,
            callback: Some(func(index, CALLBACK)),
            ..options
        })?;
        Ok(())
    }

    fn add_lift(&mut self, ty: FuncTypeId, options: OptsId, func: FuncRef, id: LiftId) -> Result<(), Error> {
        assert_eq!(self.store.add_lift(Lift { func, ty, options })?, id);
        Ok(())
    }

    fn next_step(&mut self) -> Option<Step> {
        let step = self.tape.get(self.at).copied();
        self.at += 1;
        step
    }

    fn log(&mut self, what: String) {
        self.trace.push(what);
    }

    /// The invariants, between any two steps.
    fn check(&mut self) {
        if let Err(what) = self.store.check() {
            panic!("{what}\n{}", self.tail());
        }
    }

    /// Everything that a failed operation must leave as it was.
    fn snapshot(&self) -> (Counts, String) {
        (self.store.counts(), self.state())
    }

    fn tail(&self) -> String {
        self.trace.join("\n")
    }

    /// Every error passes by here.
    fn noted(&mut self, error: Error) -> Error {
        match error {
            Error::Bug(bug) => panic!("{bug}\n{}", self.tail()),
            Error::Misuse(misuse) => panic!("the tests misuse: {misuse}\n{}", self.tail()),
            // The depth is the same on every profile.
            Error::Capacity(reached) if reached.resource() != Resource::Depth => {
                self.capacity_at.get_or_insert(self.trace.len());
            }
            _ => {}
        }
        self.error_at.get_or_insert(self.trace.len());
        self.log(format!("error {error:?}"));
        error
    }

    /// One thing that the host does; after a capacity error before any guest code, nothing has changed. Only the
    /// transfer of the arguments of a queued call may run out half-way, and is a trap then.
    fn host<T: Into<u64>>(
        &mut self,
        what: String,
        act: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Option<u64> {
        self.log(format!("host {what}"));
        let (before, entered) = (self.snapshot(), self.entered);
        let result = act(self);
        let outcome = match result {
            Ok(value) => {
                let value = value.into();
                self.log(format!("done {value}"));
                Some(value)
            }
            Err(error) => {
                self.noted(error);
                let (what, moved) =
                    (limit_of(error), [Resource::Lends, Resource::Handles, Resource::Waitables]);
                let transfer = what.is_some_and(|what| moved.contains(&what));
                if what.is_some() && !transfer && self.entered == entered {
                    assert_eq!(self.snapshot(), before, "capacity changed something\n{}", self.tail());
                }
                None
            }
        };
        self.check();
        if self.error_at.is_none() {
            let state = self.state();
            self.log(state);
        }
        outcome
    }

    fn host_step(&mut self, step: Step) {
        match step {
            Step::Call(f, _) => {
                let kinds = [
                    Kind::Callback,
                    Kind::Stackful,
                    Kind::SyncLifted,
                    Kind::SyncTyped,
                    Kind::StackfulU32,
                    Kind::Callback,
                    Kind::Callback,
                ];
                let instance = 1 + u32::from(f / 7) % INSTANCES;
                let mut kind = kinds[usize::from(f) % kinds.len()];
                if f % 2 == 0 && self.instance(instance).backpressure() > 0 {
                    // All that gets in, and may open it.
                    kind = Kind::SyncTyped;
                }
                self.host_call(instance, kind);
            }
            Step::Cancel(i, _) if !self.calls.is_empty() => {
                let number = usize::from(i) % self.calls.len();
                let task = self.calls[number];
                self.host(format!("cancel {number}"), |m| run::cancel(m, task).map(|()| false));
            }
            _ => {
                self.tick();
            }
        }
    }

    /// Ticks: whether something was ready; `None` where it trapped.
    fn tick(&mut self) -> Option<bool> {
        self.host("tick".into(), run::tick).map(|ticked| ticked != 0)
    }

    fn host_call(&mut self, instance: u32, kind: Kind) {
        let number = self.calls.len();
        let call = HostCall::from_index(number as u32);
        let mut task = None;
        self.host(format!("call {number} {instance} {kind:?}"), |m| {
            task = Some(run::call(m, lift_id(instance, kind), call)?);
            Ok(false)
        });
        self.calls.extend(task);
    }

    /// CRC-32 of the guests' memories.
    fn checksum(&self) -> u32 {
        let mut crc = u32::MAX;
        for byte in self.memories.iter().skip(1).flatten() {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ if crc & 1 == 0 { 0 } else { 0xedb8_8320 };
            }
        }
        !crc
    }
}

/// What an error says there is no more of.
fn limit_of(error: Error) -> Option<Resource> {
    match error {
        Error::Capacity(reached) => Some(reached.resource()),
        _ => None,
    }
}
