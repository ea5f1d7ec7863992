//! A store with instances, their code and what the host does with them.

use crate::op::Script;
use canon_async::abi::types::{FuncType, NewType, ResourceType, ValType};
use canon_async::canon::Builtin;
use canon_async::error::Error;
use canon_async::id::{
    FuncRef, FuncTypeId, HostCall, InstanceId, LiftId, LowerId, MemoryRef, OptsId, ResourceId, TaskId,
    ThreadId, TypeId,
};
use canon_async::run as core_run;
use canon_async::spec::PtrType;
use canon_async::state::{Lift, Lower, Options};
use canon_async::storage::Profile;
use canon_async::{Limits, Store, Trap};

/// How many frames can be set aside.
const FRAMES: usize = 24;
const FUNCS: usize = 32;
const INSTANCES: usize = 6;
const MEMORY: usize = 512;
/// Where `realloc` starts.
pub const HEAP: u32 = 256;
/// The code of [`Trap::Engine`] where a script's expectation fails.
pub(crate) const FAILED: u32 = 0xdead;

// Link-time ids are dense, so the world's are constants.

/// The host, as an instance.
pub const HOST: u32 = 0;
/// The first guest.
pub const A: u32 = 1;
/// The second guest.
pub const B: u32 = 2;
/// The third guest.
pub const C: u32 = 3;

/// The instance's own memory.
pub const fn memory(instance: u32) -> MemoryRef {
    MemoryRef::from_index(instance)
}
/// The instance's options without `async`.
pub const fn sync_opts(instance: u32) -> OptsId {
    OptsId::from_index(instance * 2)
}
/// The instance's options with `async`.
pub const fn async_opts(instance: u32) -> OptsId {
    OptsId::from_index(instance * 2 + 1)
}
const fn ty(index: u32) -> TypeId {
    TypeId::from_index(index)
}
/// `stream<u8>`.
pub const STREAM: TypeId = ty(2);
/// `future<u8>`.
pub const FUTURE: TypeId = ty(3);
/// `stream`.
pub const STREAM_UNIT: TypeId = ty(4);
/// `future`.
pub const FUTURE_UNIT: TypeId = ty(5);
/// `stream<bool>`, which is not of numbers.
pub const STREAM_BOOL: TypeId = ty(6);
/// `stream<u32>`.
pub const STREAM_U32: TypeId = ty(7);
/// `own<r>`.
pub const OWN: TypeId = ty(8);
/// `future<bool>`.
pub const FUTURE_BOOL: TypeId = ty(16);
/// `future<error-context>`.
pub const FUTURE_ERROR: TypeId = ty(17);
/// `stream<record { a: u8, b: error-context }>`.
pub const STREAM_ERROR: TypeId = ty(19);
/// The resource type of [`World::new`].
pub const RESOURCE: ResourceId = ResourceId::from_index(0);
const RECORD_NONE: u32 = 0;
const RECORD_U32: u32 = 1;
const RECORD_STREAM: u32 = 10;
const RECORD_FUTURE: u32 = 11;
const RECORD_OWN: u32 = 12;
const RECORD_BORROW: u32 = 13;
const RECORD_5: u32 = 14;
const RECORD_STRING: u32 = 15;
const RECORD_ERROR: u32 = 21;
const RECORD_ERRORS: u32 = 22;
const RECORD_FUTURE_ERROR: u32 = 23;
const RECORD_STREAM_ERROR: u32 = 24;

/// The built-in of the `canon lower` that was added as number `index`.
pub const fn low(index: u32) -> Builtin {
    Builtin::Lower(LowerId::from_index(index))
}
/// `task.return` without a value.
pub const fn task_return(instance: u32) -> Builtin {
    Builtin::TaskReturn { result: None, options: sync_opts(instance) }
}
/// `task.return` of an `error-context`.
pub const fn task_return_error(instance: u32) -> Builtin {
    Builtin::TaskReturn { result: Some(ValType::ErrorContext), options: sync_opts(instance) }
}
/// `task.return` of a `u32`.
pub const fn task_return_u32(instance: u32) -> Builtin {
    Builtin::TaskReturn { result: Some(ValType::U32), options: sync_opts(instance) }
}

/// The function types of a world, in the order of their ids.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
#[allow(missing_docs, reason = "the name is the type")]
pub enum Func {
    Async,
    Sync,
    AsyncU32,
    SyncU32,
    AsyncStream,
    AsyncFuture,
    AsyncOwn,
    AsyncBorrow,
    SyncBorrow,
    Async5,
    AsyncString,
    AsyncToStream,
    AsyncError,
    AsyncErrors,
    AsyncFutureError,
    AsyncStreamError,
    AsyncToError,
}

/// The types of functions: parameters, result, `async`.
const FUNC_TYPES: [(u32, Option<ValType>, bool); 17] = [
    (RECORD_NONE, None, true),
    (RECORD_NONE, None, false),
    (RECORD_U32, Some(ValType::U32), true),
    (RECORD_U32, Some(ValType::U32), false),
    (RECORD_STREAM, None, true),
    (RECORD_FUTURE, None, true),
    (RECORD_OWN, None, true),
    (RECORD_BORROW, None, true),
    (RECORD_BORROW, None, false),
    (RECORD_5, None, true),
    (RECORD_STRING, None, true),
    (RECORD_NONE, Some(ValType::Defined(STREAM)), true),
    (RECORD_ERROR, None, true),
    (RECORD_ERRORS, None, true),
    (RECORD_FUTURE_ERROR, None, true),
    (RECORD_STREAM_ERROR, None, true),
    (RECORD_NONE, Some(ValType::ErrorContext), true),
];

/// Core code.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    Script(u32, Script),
    Realloc(u32),
}

/// One call of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) thread: Option<ThreadId>,
    pub(crate) instance: u32,
    pub(crate) script: Script,
    pub(crate) pc: usize,
    pub(crate) registers: [u64; 8],
    /// Where the result of the built-in that suspended goes.
    pub(crate) to: u8,
}

/// How a host call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It has not.
    No,
    /// With its first flat result.
    Returned(u64),
    /// Without one.
    Cancelled,
    /// It never will: its instance is dead.
    Lost,
}

/// What a script found that it did not expect: script, operation and the two values.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "read by Debug")]
pub struct Failed {
    pub(crate) op: usize,
    pub(crate) found: u64,
    pub(crate) expected: u64,
    pub(crate) error: Option<Error>,
}

/// A store with its instances and their code.
#[derive(Debug)]
pub struct World<P: Profile> {
    pub(crate) store: Store<P>,
    pub(crate) frames: [Option<Frame>; FRAMES],
    pub(crate) starts: [Option<(ThreadId, u32, Script)>; FRAMES],
    pub(crate) funcs: [Option<Core>; FUNCS],
    /// The functions that threads can be made of, for every table.
    pub(crate) table: [Option<(u32, Script)>; 4],
    pub(crate) memories: [[u8; MEMORY]; INSTANCES],
    pub(crate) heaps: [u32; INSTANCES],
    instances: u32,
    pub(crate) globals: [u64; 8],
    pub(crate) marks: [u32; 64],
    pub(crate) marked: usize,
    pub(crate) args: [u64; 8],
    pub(crate) ended: [Ended; 64],
    pub(crate) failed: Option<Failed>,
    pub(crate) depth: u32,
    /// How deep calls of scripts nested at most.
    pub max_depth: u32,
    /// Whether frames can be set aside.
    pub can_suspend: bool,
    /// Host functions that answer later, in the order in which they said so.
    pub(crate) later: [Option<ThreadId>; 8],
    /// Host functions that answer later do not let go when they are cancelled.
    pub host_insists: bool,
    /// The host waits when nothing is ready, by having the first of them answer.
    pub answer_on_idle: bool,
    /// Work of guests is refused, with this.
    pub refuses_work: Option<Trap>,
    /// The first of them answers when the host is asked whether any can.
    pub answer_on_poll: bool,
    /// The engine fails with this where a script suspends next.
    pub suspend_fails: Option<Error>,
}

impl<P: Profile> World<P> {
    /// A world of the host and one guest for each parent (an instance; `None` for a root).
    pub fn new(parents: &[Option<u32>]) -> Result<Self, Error> {
        Self::with_addresses(parents, |_| PtrType::I32)
    }

    /// The same, where the memory of each instance has addresses of its own type.
    pub fn with_addresses(parents: &[Option<u32>], addresses: fn(u32) -> PtrType) -> Result<Self, Error> {
        Self::linked(Store::with_limits(P::LIMITS), parents, addresses)
    }

    /// The same, with other limits.
    pub fn with_limits(parents: &[Option<u32>], change: impl FnOnce(&mut Limits)) -> Result<Self, Error> {
        let mut limits = P::LIMITS;
        change(&mut limits);
        Self::linked(Store::with_limits(limits), parents, |_| PtrType::I32)
    }

    /// The same again, in the same store, which is reset.
    pub fn again(mut self, parents: &[Option<u32>]) -> Result<Self, Error> {
        self.store.reset();
        Self::linked(self.store, parents, |_| PtrType::I32)
    }

    fn linked(
        store: Store<P>,
        parents: &[Option<u32>],
        addresses: fn(u32) -> PtrType,
    ) -> Result<Self, Error> {
        let mut w = Self {
            store,
            frames: [None; FRAMES],
            starts: [None; FRAMES],
            funcs: [None; FUNCS],
            table: [None; 4],
            memories: [[0; MEMORY]; INSTANCES],
            heaps: [HEAP; INSTANCES],
            instances: 0,
            globals: [0; 8],
            marks: [0; 64],
            marked: 0,
            args: [0; 8],
            ended: [Ended::No; 64],
            failed: None,
            depth: 0,
            max_depth: 0,
            can_suspend: true,
            later: [None; 8],
            host_insists: false,
            answer_on_idle: false,
            refuses_work: None,
            answer_on_poll: false,
            suspend_fails: None,
        };
        // The tests fill the store: its roots have no less, unless a test of quotas says otherwise.
        w.store.set_root_limits(Limits::STORAGE);
        w.define_types()?;
        let host = w.store.add_host_instance()?;
        let options = w.add_instance(host, addresses)?;
        w.store.set_host(options)?;
        for parent in parents {
            let instance = w.store.add_instance(parent.map(InstanceId::from_index))?;
            w.add_instance(instance, addresses)?;
        }
        Ok(w)
    }

    fn define_types(&mut self) -> Result<(), Error> {
        let types = self.store.types_mut();
        let resource = ResourceType { instance: InstanceId::from_index(B), dtor: None };
        assert_eq!(types.define_resource(resource)?, RESOURCE);
        let (u8_, u32_) = (Some(ValType::U8), Some(ValType::U32));
        let one = |index: u32| [Some(ValType::Defined(ty(index)))];
        let new = [
            NewType::Record(&[]),
            NewType::Record(&[u32_]),
            NewType::Stream(u8_),
            NewType::Future(u8_),
            NewType::Stream(None),
            NewType::Future(None),
            NewType::Stream(Some(ValType::Bool)),
            NewType::Stream(u32_),
            NewType::Own(RESOURCE),
            NewType::Borrow(RESOURCE),
            NewType::Record(&one(2)),
            NewType::Record(&one(3)),
            NewType::Record(&one(8)),
            NewType::Record(&one(9)),
            NewType::Record(&[u32_; 5]),
            NewType::Record(&[Some(ValType::String)]),
            NewType::Future(Some(ValType::Bool)),
            NewType::Future(Some(ValType::ErrorContext)),
            NewType::Record(&[u8_, Some(ValType::ErrorContext)]),
            NewType::Stream(Some(ValType::Defined(ty(18)))),
            NewType::List(ValType::ErrorContext),
            NewType::Record(&[Some(ValType::ErrorContext)]),
            NewType::Record(&one(20)),
            NewType::Record(&one(17)),
            NewType::Record(&one(19)),
        ];
        for (new, index) in new.into_iter().zip(0..) {
            assert_eq!(types.intern(new, 0)?, ty(index));
        }
        for (params, result, is_async) in FUNC_TYPES {
            types.intern_func(FuncType { params: ty(params), result, is_async })?;
        }
        Ok(())
    }

    fn add_instance(&mut self, instance: InstanceId, addresses: fn(u32) -> PtrType) -> Result<OptsId, Error> {
        let index = instance.as_u32();
        self.instances = index + 1;
        let realloc = self.add_core(Core::Realloc(index));
        let memory = memory(index).with_addresses(addresses(index));
        let options = Options { memory: Some(memory), realloc: Some(realloc), ..Options::new(instance) };
        let sync = self.store.add_options(options)?;
        self.store.add_options(Options { is_async: true, ..options })?;
        Ok(sync)
    }

    fn add_core(&mut self, core: Core) -> FuncRef {
        let index = self.funcs.iter().position(Option::is_none).expect("room for a core function");
        self.funcs[index] = Some(core);
        FuncRef::from_index(index as u32)
    }

    /// A core function of an instance.
    pub fn func(&mut self, instance: u32, script: Script) -> FuncRef {
        self.add_core(Core::Script(instance, script))
    }

    /// Further options of an instance, made of those that it has.
    pub fn options(&mut self, of: OptsId, change: impl FnOnce(&mut Options)) -> Result<OptsId, Error> {
        let mut options = self.store.options(of)?;
        change(&mut options);
        self.store.add_options(options)
    }

    /// `canon lift`.
    pub fn lift(&mut self, ty: Func, options: OptsId, script: Script) -> Result<LiftId, Error> {
        let instance = self.store.options(options)?.instance.as_u32();
        let func = self.func(instance, script);
        self.store.add_lift(Lift { func, ty: FuncTypeId::from_index(ty as u32), options })
    }

    /// `canon lift` with a callback.
    pub fn lift_callback(
        &mut self,
        ty: Func,
        instance: u32,
        script: Script,
        callback: Script,
    ) -> Result<LiftId, Error> {
        let callback = self.func(instance, callback);
        let options = self.options(async_opts(instance), |o| o.callback = Some(callback))?;
        self.lift(ty, options, script)
    }

    /// `canon lower`.
    pub fn lower(&mut self, callee: LiftId, options: OptsId) -> Result<LowerId, Error> {
        self.store.add_lower(Lower { callee, options })
    }

    /// Sets a place of the thread table.
    pub fn set_table(&mut self, index: usize, instance: u32, script: Script) {
        self.table[index] = Some((instance, script));
    }

    /// The host calls a function, as its call `number`.
    pub fn call(&mut self, func: LiftId, number: u32) -> Result<TaskId, Error> {
        self.ended[number as usize] = Ended::No;
        let result = core_run::call(self, func, HostCall::from_index(number));
        self.checked();
        result
    }

    /// The host calls a built-in, as its instance would.
    pub fn host(&mut self, builtin: Builtin, args: &[u64]) -> Result<u64, Error> {
        let result = core_run::builtin(self, builtin, args);
        self.checked();
        result
    }

    /// The first host function that answers later answers; whether somebody waited for it.
    pub fn answer(&mut self) -> Result<bool, Error> {
        let first = self.later.iter_mut().find_map(Option::take).expect("a host function that answers later");
        let waited = self.store.answer(first)?;
        if !waited {
            canon_async::Embedding::discard(self, first);
        }
        Ok(waited)
    }

    /// Ticks once.
    pub fn tick(&mut self) -> Result<bool, Error> {
        let result = core_run::tick(self);
        self.checked();
        result
    }

    /// Ticks until nothing is ready; how often something was.
    pub fn ticks(&mut self) -> Result<u32, Error> {
        let mut count = 0;
        while self.tick()? {
            count += 1;
            assert!(count < 10_000, "the store does not come to rest");
        }
        Ok(count)
    }

    /// Ticks until the task is resolved.
    pub fn run_until(&mut self, task: TaskId) -> Result<(), Error> {
        let result = core_run::run_until(self, task);
        self.checked();
        result
    }

    /// The host cancels a call.
    pub fn cancel(&mut self, task: TaskId) -> Result<(), Error> {
        let result = core_run::cancel(self, task);
        self.checked();
        result
    }

    /// What the host gives as the arguments of its calls.
    pub fn set_args(&mut self, args: &[u64]) {
        self.args[..args.len()].copy_from_slice(args);
    }

    /// How a host call ended.
    pub fn ended(&self, number: u32) -> Ended {
        self.ended[number as usize]
    }

    /// A global.
    pub fn global(&self, index: usize) -> u64 {
        self.globals[index]
    }

    /// Sets a global.
    pub fn set_global(&mut self, index: usize, value: u64) {
        self.globals[index] = value;
    }

    /// What the scripts marked so far.
    pub fn marks(&self) -> &[u32] {
        &self.marks[..self.marked]
    }

    /// A guest's memory.
    pub fn bytes(&mut self, instance: u32) -> &mut [u8; MEMORY] {
        &mut self.memories[instance as usize]
    }

    fn checked(&self) {
        assert!(self.failed.is_none(), "a script failed: {:?}", self.failed);
        if let Err(what) = self.store.check() {
            panic!("an invariant is broken: {what}");
        }
    }

    /// The case is over: nothing may be left, in the store or set aside.
    pub fn done(self) -> Result<(), Error> {
        self.checked();
        assert!(self.store.is_idle(), "left in the store: {:?}", self.store.counts());
        assert!(self.frames.iter().all(Option::is_none), "a frame is left");
        assert!(self.starts.iter().all(Option::is_none), "a thread's function is left");
        assert_eq!(self.depth, 0);
        Ok(())
    }

    /// The case is over, and these things may be left.
    pub fn done_with(self, left: impl FnOnce(&mut canon_async::store::Counts)) -> Result<(), Error> {
        self.checked();
        let mut counts = canon_async::store::Counts::default();
        left(&mut counts);
        assert_eq!(self.store.counts(), counts);
        Ok(())
    }
}
