//! An engine without wasm: its guests' functions are Rust ones, which go on step by step where they block.

use crate::common::sync::{AtomicBool, Mutex, MutexGuard, SeqCst};
use alloc::boxed::Box;
use alloc::vec::Vec;
use canon_async::abi::types::{FuncType, NewType};
use canon_async::ambient::{self, Core, Engine, FunctionAt, Tier, ValueType, own};
use canon_async::canon::{self, Builtin};
use canon_async::id::{FuncRef, HostCall, InstanceId, LiftId, MemoryRef, TableRef, ThreadId};
use canon_async::state::{Lift, Options};
use canon_async::{Embedding, Error, Outcome, Store, Then};
use core::task::{Context, Waker};
use core::time::Duration;

/// A function of a guest.
#[derive(Clone, Copy)]
pub struct Function {
    pub code: Code,
    pub params: &'static [ValueType],
    pub result: Option<ValueType>,
    pub abi: Abi,
}

/// How a function is lifted.
#[derive(Clone, Copy, PartialEq)]
pub enum Abi {
    /// Of a type without `async`.
    Sync,
    /// Of an `async` type, without the option `async`: it may block, and returns its result.
    Blocking,
    /// With `async` and the callback at this index.
    Callback(u32),
    /// A core function that is never lifted.
    Core,
    /// A host function of an `async` type.
    Host,
}

/// What runs: at `step` 0 with its arguments, later with what the built-in that blocked answers.
pub type Code = fn(&mut Guest<'_>, Here<'_>) -> Result<Outcome, Error>;

#[derive(Clone, Copy)]
pub struct Here<'a> {
    pub thread: ThreadId,
    pub step: u32,
    pub args: &'a [u64],
}

/// The engine. What it has is not its own, so that one can be registered a thousand times and leave nothing.
pub struct Script;

static STATE: Mutex<State> = Mutex::new(State::new(&[]));

struct State {
    functions: &'static [Function],
    instances: Vec<InstanceId>,
    lifts: Vec<(u32, u32, LiftId)>,
    frames: Vec<(ThreadId, u32, u32)>,
    /// What the host asked for, of each function that began.
    stacks: Vec<Option<u32>>,
}

impl State {
    const fn new(functions: &'static [Function]) -> Self {
        Self { functions, instances: Vec::new(), lifts: Vec::new(), frames: Vec::new(), stacks: Vec::new() }
    }
}

static RUNS: AtomicBool = AtomicBool::new(true);

/// Whether the engine runs what it is given, from now on: one that does not is broken.
pub fn set_runs(runs: bool) {
    RUNS.store(runs, SeqCst);
}

/// The stacks that the host asked for, one for each function that has begun.
pub fn stacks() -> Result<Vec<Option<u32>>, Error> {
    ambient::with_engine(|_: &mut Script, _| core::mem::take(&mut STATE.lock().stacks))
}

/// Registers an engine with these functions; in each module there are the same. Element `n` of each table is function `n`.
pub fn register(functions: &'static [Function]) -> Result<(), Error> {
    *STATE.lock() = State::new(functions);
    set_runs(true);
    *host() = Host { answers: false, asked: answers_when_idle, log: Vec::new(), waker: None };
    ambient::register(Box::leak(Box::new(Script)))
}

/// A function of module 0.
pub fn function(function: u32) -> Result<LiftId, Error> {
    ambient::function(FunctionAt::Index { module: 0, function })
}

/// How many threads the engine keeps frames of.
pub fn frames() -> Result<usize, Error> {
    ambient::with_engine(|_: &mut Script, _| STATE.lock().frames.len())
}

/// Nothing is under way in the store, and its invariants hold.
pub fn is_idle() -> Result<bool, Error> {
    ambient::core(|core| {
        core.store.check().expect("the invariants hold");
        core.store.is_idle()
    })
}

impl Engine for Script {
    fn with(&mut self, core: &mut Core, f: &mut dyn FnMut(&mut dyn Embedding<Profile = Tier>)) {
        if RUNS.load(SeqCst) {
            let State { functions, frames, stacks, .. } = &mut *STATE.lock();
            f(&mut Guest { core, functions, frames, stacks });
        }
    }

    fn function(&mut self, store: &mut Store<Tier>, at: FunctionAt) -> Result<LiftId, Error> {
        let state = &mut *STATE.lock();
        let (module, index) = match at {
            FunctionAt::Index { module, function } => (module, function),
            FunctionAt::Table { table, index } => (table, index),
        };
        if let Some((.., lift)) = state.lifts.iter().find(|(m, f, _)| (*m, *f) == (module, index)) {
            return Ok(*lift);
        }
        let function = state.functions.get(index as usize).filter(|function| function.abi != Abi::Core);
        let function = *function.ok_or(Error::Misuse("the module has no such function"))?;
        while state.instances.len() <= module as usize {
            state.instances.push(store.add_instance(None)?);
        }
        let host = store.options(store.host().expect("the ambient store has one"))?.instance;
        let of_host = function.abi == Abi::Host;
        let mut options = Options::new(if of_host { host } else { state.instances[module as usize] });
        if let Abi::Callback(callback) = function.abi {
            (options.is_async, options.callback) = (true, Some(FuncRef::from_index(callback)));
        }
        let params: Vec<_> = function.params.iter().copied().map(Some).collect();
        let params = store.types_mut().intern(NewType::Record(&params), 0)?;
        let ty = FuncType { params, result: function.result, is_async: function.abi != Abi::Sync };
        let ty = store.types_mut().intern_func(ty)?;
        let options = store.add_options(options)?;
        let lift = store.add_lift(Lift { func: FuncRef::from_index(index), ty, options })?;
        state.lifts.push((module, index, lift));
        Ok(lift)
    }
}

/// The engine as it runs guests.
pub struct Guest<'a> {
    core: &'a mut Core,
    functions: &'static [Function],
    frames: &'a mut Vec<(ThreadId, u32, u32)>,
    stacks: &'a mut Vec<Option<u32>>,
}

impl Guest<'_> {
    /// A built-in that answers at once.
    pub fn value(&mut self, builtin: Builtin, args: &[u64]) -> Result<u64, Error> {
        match canon::call(self, builtin, args)? {
            Then::Value(value) => Ok(value),
            Then::Suspend => panic!("{builtin:?} blocks"),
        }
    }

    /// A built-in that blocks: the next step gets its answer.
    pub fn block(&mut self, builtin: Builtin, args: &[u64]) -> Result<Outcome, Error> {
        match canon::call(self, builtin, args)? {
            Then::Suspend => Ok(Outcome::Blocked),
            Then::Value(value) => panic!("{builtin:?} answers {value} at once"),
        }
    }

    /// `task.return` with the type and the options of the function.
    pub fn task_return(&mut self, here: Here<'_>, value: u64) -> Result<(), Error> {
        let store = self.store();
        let task = store.thread(here.thread).and_then(|thread| store.task(thread.task())).expect("it runs");
        let lift = store.lift(task.lift().expect("it was called"))?;
        let result = store.types().func(lift.ty).expect("its type").result;
        self.value(Builtin::TaskReturn { result, options: lift.options }, &[value]).map(drop)
    }

    /// Waits in the callback loop for an event of a new set, which never has one.
    pub fn wait_for_nothing(&mut self) -> Result<Outcome, Error> {
        Ok(Outcome::Returned(self.value(Builtin::WaitableSetNew, &[])? << 4 | 2))
    }

    fn run(&mut self, thread: ThreadId, function: u32, step: u32, args: &[u64]) -> Result<Outcome, Error> {
        let code = self.functions.get(function as usize).expect("a function of the engine").code;
        let outcome = code(self, Here { thread, step, args });
        if outcome == Ok(Outcome::Blocked) {
            self.frames.push((thread, function, step + 1));
        }
        outcome
    }
}

impl Embedding for Guest<'_> {
    type Profile = Tier;

    fn store(&mut self) -> &mut Store<Tier> {
        &mut self.core.store
    }
    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        own::memory(&mut self.core.memory, memory).ok_or(Error::Misuse("no such memory"))
    }
    fn call(&mut self, thread: ThreadId, func: FuncRef, args: &[u64]) -> Result<Outcome, Error> {
        self.stacks.push(own::stack_bytes(&self.core.store, thread));
        self.run(thread, func.as_u32(), 0, args)
    }
    fn resume(&mut self, thread: ThreadId, value: u64) -> Result<Outcome, Error> {
        let at = self.frames.iter().position(|(of, ..)| *of == thread).expect("it has blocked");
        let (_, function, step) = self.frames.remove(at);
        self.run(thread, function, step, &[value])
    }
    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error> {
        own::call_leaf(&mut self.core.memory, func, args).expect("realloc alone")
    }
    fn discard(&mut self, thread: ThreadId) {
        self.frames.retain(|(of, ..)| *of != thread);
    }
    fn thread_func(&mut self, _: ThreadId, _: TableRef, _: u64) -> Result<(), Error> {
        unreachable!("guests make no threads")
    }
    fn start_thread(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        unreachable!("guests make no threads")
    }
    fn host_args(&mut self, call: HostCall, args: &mut [u64]) -> Result<(), Error> {
        own::host_args(call, args).unwrap_or(Ok(()))
    }
    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
        own::host_result(call, results).unwrap_or(Ok(()))
    }
    fn host_lost(&mut self, call: HostCall) {
        own::host_lost(call);
    }
    fn poll_answers(&mut self) -> Result<(), Error> {
        self.ask(Asked::Poll).map(drop)
    }
    fn poll_answers_with(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        host().waker = Some(context.waker().clone());
        self.ask(Asked::PollWith)
    }
    fn idle(&mut self) -> Result<bool, Error> {
        self.ask(Asked::Idle)
    }
    fn idle_for(&mut self, most: Duration) -> Result<bool, Error> {
        self.ask(Asked::IdleFor(most))
    }
}

/// What the engine was asked about its host functions that answer later.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Asked {
    Poll,
    PollWith,
    Idle,
    IdleFor(Duration),
}

/// What the engine's host functions that answer later do.
pub struct Host {
    /// The first that is asked for can answer.
    pub answers: bool,
    /// What happens when the engine is asked; whether it can do that.
    pub asked: fn(Asked) -> bool,
    pub log: Vec<Asked>,
    pub waker: Option<Waker>,
}

/// Those of the engine that is registered.
pub fn host() -> MutexGuard<'static, Host> {
    static HOST: Mutex<Host> =
        Mutex::new(Host { answers: false, asked: answers_when_idle, log: Vec::new(), waker: None });
    HOST.lock()
}

fn answers_when_idle(asked: Asked) -> bool {
    host().answers |= asked == Asked::Idle;
    asked == Asked::Idle
}

impl Guest<'_> {
    fn ask(&mut self, asked: Asked) -> Result<bool, Error> {
        host().log.push(asked);
        let does = host().asked;
        let can = does(asked);
        if core::mem::take(&mut host().answers) {
            for (thread, ..) in &*self.frames {
                if self.core.store.answer(*thread)? {
                    break;
                }
            }
        }
        Ok(can)
    }
}
