//! An embedding whose guests all read their next step from one tape.

use crate::step::Step;
use canon_async::abi::types::{FuncType, NewType, ResourceType, ValType};
use canon_async::error::{Error, Resource, Trap};
use canon_async::id::{
    FuncRef, FuncTypeId, HostCall, InstanceId, LiftId, MemoryRef, OptsId, ResourceId, SharedId, TableRef,
    TaskId, ThreadId, TypeId,
};
use canon_async::state::{Lift, Lower, Options};
use canon_async::storage::{Limits, Profile};
use canon_async::{Embedding, Outcome, Store, run};
use std::collections::HashMap;

pub const INSTANCES: u32 = 3;
/// Lifted functions of an instance, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
pub const KINDS: [Kind; 10] = [
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

pub const STREAM: TypeId = TypeId::from_index(0);
pub const STREAM_UNIT: TypeId = TypeId::from_index(1);
pub const FUTURE: TypeId = TypeId::from_index(2);
pub const FUTURE_UNIT: TypeId = TypeId::from_index(3);
pub const RESOURCE: ResourceId = ResourceId::from_index(0);
pub const TABLE: TableRef = TableRef::from_index(0);

/// What the guests do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// As the tape says.
    Tape,
    /// Resolve and return.
    Finish,
    /// The janitor traps.
    Kill,
}

pub struct Machine<P: Profile> {
    pub store: Store<P>,
    memories: [[u8; 128]; INSTANCES as usize + 1],
    tape: Vec<Step>,
    at: usize,
    pub mode: Mode,
    /// What a set-aside thread's built-in was, for the trace.
    parked: HashMap<ThreadId, &'static str>,
    /// Functions fetched for threads that have not started.
    starts: HashMap<ThreadId, ()>,
    pub types: HashMap<SharedId, TypeId>,
    pub calls: Vec<TaskId>,
    pub trace: Vec<String>,
    /// Where the trace ends being comparable: the first capacity error.
    pub capacity_at: Option<usize>,
    /// How often guest code was entered.
    entered: u64,
}

pub const fn sync_opts(instance: u32) -> OptsId {
    OptsId::from_index(instance * 3)
}
pub const fn async_opts(instance: u32) -> OptsId {
    OptsId::from_index(instance * 3 + 1)
}
const fn callback_opts(instance: u32) -> OptsId {
    OptsId::from_index(instance * 3 + 2)
}
pub const fn lift_id(instance: u32, kind: Kind) -> LiftId {
    LiftId::from_index((instance - 1) * LIFTS + kind as u32)
}
/// The index of the lower by which `caller` calls a function.
pub const fn lower_index(caller: u32, callee: LiftId, is_async: bool) -> u32 {
    ((caller - 1) * INSTANCES * LIFTS + callee.as_u32()) * 2 + is_async as u32
}

/// Core functions, by number: an instance's code, its callback, its realloc.
fn func(instance: u32, which: u32) -> FuncRef {
    FuncRef::from_index(instance * 16 + which)
}
const CALLBACK: u32 = 14;
const REALLOC: u32 = 15;

impl<P: Profile> Machine<P> {
    pub fn new(tape: Vec<Step>) -> Result<Self, Error> {
        let limits = Limits { depth: 6, ..P::LIMITS };
        let mut m = Self {
            store: Store::with_limits(limits),
            memories: [[0; 128]; INSTANCES as usize + 1],
            tape,
            at: 0,
            mode: Mode::Tape,
            parked: HashMap::new(),
            starts: HashMap::new(),
            types: HashMap::new(),
            calls: Vec::new(),
            trace: Vec::new(),
            capacity_at: None,
            entered: 0,
        };
        m.link()?;
        Ok(m)
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

    pub fn next_step(&mut self) -> Option<Step> {
        let step = self.tape.get(self.at).copied();
        self.at += 1;
        step
    }

    pub fn log(&mut self, what: String) {
        self.trace.push(what);
    }

    /// The invariants, between any two steps.
    pub fn check(&mut self) {
        if let Err(what) = self.store.check() {
            panic!("{what}\n{}", self.tail());
        }
    }

    pub fn tail(&self) -> String {
        self.trace.join("\n")
    }

    /// Every error passes by here.
    pub fn noted(&mut self, what: &str, error: Error) -> Error {
        match error {
            Error::Bug(bug) => panic!("{bug} ({what})\n{}", self.tail()),
            Error::Misuse(misuse) => panic!("the tests misuse: {misuse} ({what})\n{}", self.tail()),
            Error::Capacity(_) => {
                self.capacity_at.get_or_insert(self.trace.len());
            }
            Error::Trap(_) => {}
        }
        self.log(format!("  {what}: {error:?}"));
        error
    }

    /// One thing that the host does; after a capacity error before any guest code, nothing has changed. Only the
    /// transfer of the arguments of a queued call may run out half-way, and is a trap then.
    pub fn host<T>(&mut self, what: String, act: impl FnOnce(&mut Self) -> Result<T, Error>) -> Option<T> {
        self.log(format!("host: {what}"));
        let (before, entered) = (self.store.counts(), self.entered);
        let result = act(self);
        let outcome = match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.noted("host", error);
                let transfer = matches!(error, Error::Capacity(Resource::Lends | Resource::Handles));
                if matches!(error, Error::Capacity(_)) && !transfer && self.entered == entered {
                    assert_eq!(self.store.counts(), before, "capacity changed something\n{}", self.tail());
                }
                None
            }
        };
        self.check();
        outcome
    }

    pub fn host_step(&mut self, step: Step) {
        match step {
            Step::Call(f, _) => {
                let kinds =
                    [Kind::Callback, Kind::Stackful, Kind::SyncLifted, Kind::SyncTyped, Kind::StackfulU32];
                let kind = kinds[usize::from(f) % kinds.len()];
                let instance = 1 + u32::from(f / 5) % INSTANCES;
                self.host_call(instance, kind);
            }
            Step::Cancel(i, _) if !self.calls.is_empty() => {
                let task = self.calls[usize::from(i) % self.calls.len()];
                self.host(format!("cancel {task:?}"), |m| run::cancel(m, task));
            }
            _ => {
                self.host("tick".into(), run::tick);
            }
        }
    }

    pub fn host_call(&mut self, instance: u32, kind: Kind) {
        let number = HostCall::from_index(self.calls.len() as u32);
        let task =
            self.host(format!("call {instance} {kind:?}"), |m| run::call(m, lift_id(instance, kind), number));
        self.calls.extend(task);
    }

    pub fn park(&mut self, thread: ThreadId, what: &'static str) {
        assert!(self.parked.insert(thread, what).is_none(), "two frames of one thread\n{}", self.tail());
    }

    /// Whether something is set aside in the engine.
    pub fn holds_frames(&self) -> bool {
        !self.parked.is_empty() || !self.starts.is_empty()
    }

    fn enter_guest(&mut self, thread: ThreadId, what: String) -> Result<Outcome, Error> {
        self.entered += 1;
        self.log(format!(" {thread:?} {what}"));
        let result = self.guest(thread);
        self.log(format!(" {thread:?} ends: {result:?}"));
        result
    }
}

impl<P: Profile> Embedding for Machine<P> {
    type Profile = P;

    fn store(&mut self) -> &mut Store<P> {
        &mut self.store
    }

    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        Ok(&mut self.memories[memory.index()])
    }

    fn call(&mut self, thread: ThreadId, func: FuncRef, args: &[u64]) -> Result<Outcome, Error> {
        let which = func.as_u32() % 16;
        if which == Kind::Janitor as u32 {
            self.entered += 1;
            self.janitor(thread)?;
            return Ok(Outcome::Returned(0));
        }
        self.enter_guest(thread, format!("called {}.{which} {args:?}", func.as_u32() / 16))
    }

    fn resume(&mut self, thread: ThreadId, value: u64) -> Result<Outcome, Error> {
        let what = self.parked.remove(&thread);
        let what = what.unwrap_or_else(|| panic!("no frames to resume\n{}", self.tail()));
        self.enter_guest(thread, format!("resumed from {what} with {value:#x}"))
    }

    fn call_leaf(&mut self, _: FuncRef, args: &[u64]) -> Result<u64, Error> {
        assert_eq!(args.len(), 4);
        Ok(64)
    }

    fn discard(&mut self, thread: ThreadId) {
        self.parked.remove(&thread);
        self.starts.remove(&thread);
    }

    fn thread_func(&mut self, thread: ThreadId, _: TableRef, index: u32) -> Result<(), Error> {
        if index > 0 {
            return Err(Trap::UnknownTableElement(index).into());
        }
        self.starts.insert(thread, ());
        Ok(())
    }

    fn start_thread(&mut self, thread: ThreadId, arg: u64) -> Result<Outcome, Error> {
        self.starts.remove(&thread).expect("a function to start");
        self.enter_guest(thread, format!("started with {arg}"))
    }

    fn host_args(&mut self, _: HostCall, args: &mut [u64]) -> Result<(), Error> {
        args[0] = 5;
        Ok(())
    }

    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
        self.log(format!("  {call:?} resolves: {results:?}"));
        Ok(())
    }
}
