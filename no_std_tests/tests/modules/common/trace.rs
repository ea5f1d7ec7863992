//! What an observer sees of the ambient store, as text that is the same on every tier: ids by the order in which they were made, and no
//! addresses. With the things of the host that an observer has hold of, and guests for them to work with.

use crate::common::script::{self, Abi, Function, Guest, Here};
use crate::common::sync::Mutex;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use canon_async::ambient::{self, FunctionAt, Limits, MEMORY, REALLOC};
use canon_async::canon::{self, Builtin};
use canon_async::clock::ManualClock;
use canon_async::id::{InstanceId, LowerId, OptsId, ThreadId, TypeId};
use canon_async::prelude::*;
use canon_async::state::{Lower, Options};
use canon_async::{Embedding, Outcome, Then, Trap, run};
use core::fmt::Write;

pub type Threads = AdvancedThreadingBuiltins;
pub type Contexts = AsyncContextManager;
pub type Errors = ErrorContextBuiltins;
pub type Tasks = TaskBuiltins;
pub type Sets = WaitableSetBuiltins;

/// Moved by hand, and by waits alone.
pub static CLOCK: ManualClock = ManualClock::new();

/// What guests and destructors wrote down.
static LOG: Mutex<Vec<i32>> = Mutex::new(Vec::new());
/// Where a guest's thread reads to, and what nobody reads to any more.
static BUFFERS: Mutex<Vec<(Option<ThreadId>, u64)>> = Mutex::new(Vec::new());
/// Options of guests with the memory of the ambient store: one for each instance.
static OPTIONS: Mutex<Vec<(InstanceId, OptsId)>> = Mutex::new(Vec::new());

pub fn log(value: i32) {
    LOG.lock().push(value);
}

// The guests.

/// `future<u32>`, the first type of a store.
pub const FUTURE: TypeId = TypeId::from_index(0);
pub const TRAP: Error = Error::Trap(Trap::Engine(7));

fn adds(_: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(1);
    Ok(Outcome::Returned(u64::from((here.args[0] as u32).wrapping_add(1))))
}

/// Yields twice; writes what its context says each time.
fn yields(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(100 * (here.step as i32 + 1) + context().unwrap_or(-1));
    if here.step == 2 { Ok(Outcome::Returned(10)) } else { guest.block(Builtin::ThreadYield, &[]) }
}

fn traps(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 { guest.block(Builtin::ThreadYield, &[]) } else { Err(TRAP) }
}

/// Waits in its callback loop for nothing.
fn waits(guest: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    guest.wait_for_nothing()
}

/// Yields in its callback loop.
fn keeps(_: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Returned(1))
}

/// Is told that it is cancelled: takes it.
fn told(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(2000 + here.args[0] as i32);
    guest.value(Builtin::TaskCancel, &[])?;
    Ok(Outcome::Returned(0))
}

/// Closes its instance to calls.
pub fn closes(guest: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    guest.value(Builtin::BackpressureInc, &[])?;
    Ok(Outcome::Returned(0))
}

/// Opens what was closed; where nothing was, that is a trap.
pub fn opens(guest: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    guest.value(Builtin::BackpressureDec, &[])?;
    Ok(Outcome::Returned(0))
}

/// Reads the future that it is given, and answers its value plus one.
fn reads(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 {
        let options = options(guest, here)?;
        let at = match take_buffer(None) {
            Some(at) => at,
            None => guest.call_leaf(REALLOC, &[0, 0, 4, 4])?,
        };
        BUFFERS.lock().push((Some(here.thread), at));
        if canon::call(guest, Builtin::FutureRead(FUTURE, options), &[here.args[0], at])? == Then::Suspend {
            return Ok(Outcome::Blocked);
        }
    }
    let at = take_buffer(Some(here.thread)).expect("it reads");
    BUFFERS.lock().push((None, at));
    let value = ComponentValue::load(ValueType::U32, &guest.memory(MEMORY)?[at as usize..])?;
    Ok(Outcome::Returned(u64::from(u32::try_from(&value)?.wrapping_add(1))))
}

fn take_buffer(of: Option<ThreadId>) -> Option<u64> {
    let mut buffers = BUFFERS.lock();
    let place = buffers.iter().position(|(thread, _)| *thread == of)?;
    Some(buffers.remove(place).1)
}

fn options(guest: &mut Guest<'_>, here: Here<'_>) -> Result<OptsId, Error> {
    let instance = guest.store().thread(here.thread).expect("it runs").instance();
    if let Some((_, options)) = OPTIONS.lock().iter().find(|(of, _)| *of == instance).copied() {
        return Ok(options);
    }
    let options = Options { memory: Some(MEMORY), realloc: Some(REALLOC), ..Options::new(instance) };
    let options = guest.store().add_options(options)?;
    OPTIONS.lock().push((instance, options));
    Ok(options)
}

fn destroys(_: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(1000 + 100 * here.args[0] as i32 + here.args[1] as i32);
    Ok(Outcome::Returned(0))
}

/// A destructor of the host's.
pub fn destroyed(key: u32, value: ComponentValue) {
    log(-(1000 + 100 * key as i32 + i32::try_from(&value).unwrap_or(99)));
}

pub const ADDS: u32 = 0;
pub const YIELDS: u32 = 1;
pub const TRAPS: u32 = 2;
pub const WAITS: u32 = 3;
pub const CLOSES: u32 = 5;
pub const OPENS: u32 = 6;
pub const READS: u32 = 7;
pub const DESTROYS: u32 = 8;
/// They keep their argument, and never return: a number, and a borrow of the second type.
pub const KEEPS_NUMBER: u32 = 9;
pub const KEEPS_BORROW: u32 = 10;

const S32: ValueType = ValueType::S32;
const BORROWS: &[ValueType] = &[ValueType::Defined(TypeId::from_index(1))];
const FUTURES: &[ValueType] = &[ValueType::Defined(FUTURE)];
pub static FUNCTIONS: &[Function] = &[
    Function { code: adds, params: &[S32], result: Some(S32), abi: Abi::Sync },
    Function { code: yields, params: &[], result: Some(S32), abi: Abi::Blocking },
    Function { code: traps, params: &[], result: None, abi: Abi::Blocking },
    Function { code: waits, params: &[], result: None, abi: Abi::Callback(4) },
    Function { code: told, params: &[], result: None, abi: Abi::Core },
    Function { code: closes, params: &[], result: None, abi: Abi::Sync },
    Function { code: opens, params: &[], result: None, abi: Abi::Sync },
    Function { code: reads, params: FUTURES, result: Some(ValueType::U32), abi: Abi::Blocking },
    Function { code: destroys, params: &[ValueType::U32, S32], result: None, abi: Abi::Sync },
    Function { code: keeps, params: &[S32], result: None, abi: Abi::Callback(4) },
    Function { code: keeps, params: BORROWS, result: None, abi: Abi::Callback(4) },
];

/// What the current context has under `a`.
fn context() -> Option<i32> {
    let value = Contexts::get_context_value(&ContextKey::new("a")).ok()??;
    value.get().ok()
}

// The observer.

/// Things by name: a letter, and how many there were before.
pub struct Named<T> {
    letter: char,
    drawn: usize,
    pub all: Vec<(usize, T)>,
}

impl<T> Named<T> {
    fn new(letter: char) -> Self {
        Self { letter, drawn: 0, all: Vec::new() }
    }

    /// Gets hold of a thing; its name.
    pub fn add(&mut self, thing: T) -> String {
        self.all.push((self.drawn, thing));
        self.drawn += 1;
        format!("{}{}", self.letter, self.drawn - 1)
    }

    pub fn pick(&self, at: usize) -> Option<(String, &T)> {
        let (number, thing) = self.all.get(at.checked_rem(self.all.len())?)?;
        Some((format!("{}{number}", self.letter), thing))
    }

    pub fn take(&mut self, at: usize) -> Option<(String, T)> {
        let (number, thing) = self.all.remove(at.checked_rem(self.all.len())?);
        Some((format!("{}{number}", self.letter), thing))
    }
}

impl<T: PartialEq> Named<T> {
    /// The name of a thing that was added.
    pub fn name(&self, thing: &T) -> String {
        match self.all.iter().rev().find(|(_, other)| other == thing) {
            Some((number, _)) => format!("{}{number}", self.letter),
            None => format!("{}?", self.letter),
        }
    }
}

/// What the observer has hold of, and what it has seen.
pub struct World {
    pub tasks: Named<HostTaskId>,
    pub threads: Named<HostThreadId>,
    pub sets: Named<WaitableSetId>,
    pub futures: Named<FutureHandle>,
    pub members: Named<(WaitableSetId, WaitableId)>,
    pub contexts: Named<AsyncContext>,
    pub scopes: Named<AsyncContextScope>,
    pub errors: Named<ErrorContextId>,
    /// Of a module: a lowered function, and where its result goes.
    pub lowers: Vec<(u32, LowerId, u32)>,
    /// In the host's table, and a resource there that is lent.
    pub handles: Vec<u64>,
    pub lent: u64,
    /// What was seen; on a target, since it was digested.
    pub text: String,
    digested: u64,
}

impl World {
    /// The digest of all that was seen. A target has no memory to keep that.
    pub fn trace(&mut self) -> u64 {
        let digest = digest_on(self.digested, &self.text);
        if cfg!(target_os = "none") {
            self.digested = digest;
            self.text.clear();
        }
        digest
    }

    /// Nothing, in an ambient store with these limits and the guests. Where these do not fit: their error.
    pub fn new(limits: Limits) -> Result<Self, Error> {
        ambient::reset()?;
        LOG.lock().clear();
        BUFFERS.lock().clear();
        OPTIONS.lock().clear();
        ambient::configure(limits)?;
        ambient::set_clock(&CLOCK)?;
        let world = Self {
            tasks: Named::new('t'),
            threads: Named::new('h'),
            sets: Named::new('s'),
            futures: Named::new('f'),
            members: Named::new('m'),
            contexts: Named::new('c'),
            scopes: Named::new('o'),
            errors: Named::new('e'),
            lowers: Vec::new(),
            handles: Vec::new(),
            lent: 0,
            digested: digest(""),
            text: String::new(),
        };
        ambient::core(|core| {
            // What runs out is the store's, and not a root's quota.
            core.store.set_root_limits(canon_async::Limits::STORAGE);
            let future = canon_async::abi::types::NewType::Future(Some(ValueType::U32));
            core.store.types_mut().intern(future, 0).map(|ty| assert_eq!(ty, FUTURE))
        })??;
        script::register(FUNCTIONS)?;
        Ok(world)
    }

    /// Calls `READS` of a module as `canon lower` with `async` makes it, with the one lowered function and the one place for a result that the
    /// module has in this world; `None` where it has returned.
    pub fn call_reads(&mut self, module: u32, readable: &ComponentValue) -> Result<Option<Subtask>, Error> {
        let place = self.lowers.iter().find(|(of, ..)| *of == module).copied();
        let (_, lower, at) = match place {
            Some(place) => place,
            None => {
                let callee = ambient::function(FunctionAt::Index { module, function: READS })?;
                let place = ambient::core(|core| {
                    let options = core.host()?.async_options;
                    let at = core.memory.alloc(4)?;
                    Ok::<_, Error>((module, core.store.add_lower(Lower { callee, options })?, at))
                })??;
                self.lowers.push(place);
                place
            }
        };
        let args = [readable.to_bits().expect("a handle"), u64::from(at)];
        let answer = ambient::drive(|e| run::builtin(e, Builtin::Lower(lower), &args))??;
        Ok(Subtask::from_call(answer))
    }

    /// Writes a line down: what was done, what came of it, and what guests wrote meanwhile.
    pub fn note<T: Show>(&mut self, what: &str, result: &Result<T, Error>) {
        let shown = match result {
            Ok(value) => value.show(self),
            Err(error) => error.show(self),
        };
        let log = core::mem::take(&mut *LOG.lock());
        let log = if log.is_empty() { String::new() } else { format!(" {log:?}") };
        writeln!(self.text, "{what}: {shown}{log}").expect("a String takes all");
    }

    /// The state of everything that the observer has hold of, and how much the store holds. Looking changes nothing.
    pub fn snapshot(&self) -> String {
        let mut out = String::with_capacity(1024);
        let counts = ambient::core(|core| {
            assert_eq!(core.store.check(), Ok(()), "the invariants hold, after:\n{}", self.text);
            format!("{:?} {} blocks", core.store.counts(), core.memory.blocks())
        });
        writeln!(out, "{}", counts.expect("not in use")).expect("a String takes all");
        let mut line = |name: String, seen: Result<String, Error>| {
            writeln!(out, "{name} {}", seen.unwrap_or_else(|error| error.show(self))).expect("a String");
        };
        for (number, task) in &self.tasks.all {
            line(format!("t{number}"), see_task(*task));
        }
        for (number, thread) in &self.threads.all {
            line(format!("h{number}"), self.see_thread(*thread));
        }
        for (number, set) in &self.sets.all {
            line(format!("s{number}"), Sets::waitable_set_len(*set).map(|len| format!("{len}")));
        }
        for (number, future) in &self.futures.all {
            line(format!("f{number}"), future.is_registered().map(|there| format!("{there}")));
        }
        for (number, context) in &self.contexts.all {
            line(format!("c{number}"), see_context(|key| context.get(key)));
        }
        line("current".into(), see_context(Contexts::get_context_value));
        for (number, error) in &self.errors.all {
            line(format!("e{number}"), self.see_error(*error));
        }
        out
    }

    fn see_thread(&self, thread: HostThreadId) -> Result<String, Error> {
        let parent = Threads::thread_parent(thread)?.map(|parent| self.threads.name(&parent));
        let child = Threads::child(thread, None)?.map(|child| self.threads.name(&child));
        let (parent, child) = (parent.unwrap_or_default(), child.unwrap_or_default());
        let mut seen = format!("{} (in {parent} of {child})", see_task(thread.task())?);
        for key in 0..KEYS as u32 {
            if let Some(value) = Threads::thread_local_get(thread, key)? {
                write!(seen, " {key}={value}").expect("a String");
            }
        }
        write!(seen, " lost {}", Threads::lost_destructors(thread)?).expect("a String");
        Ok(seen)
    }

    fn see_error(&self, error: ErrorContextId) -> Result<String, Error> {
        let cause = Errors::error_context_cause(error)?.map(|cause| self.errors.name(&cause));
        let trace = format!("{}", Errors::error_context_stack_trace(error)?);
        Ok(format!("{} from {cause:?} {trace:?}", Errors::error_context_severity(error)?))
    }
}

/// How many keys there are of each kind.
pub const KEYS: usize = 4;
pub const NAMES: [&str; KEYS] = ["a", "b", "c", "d"];

fn see_task(task: HostTaskId) -> Result<String, Error> {
    let asked = Tasks::cancellation_token(task)?.is_cancelled()?;
    let mut seen = format!("{} asked {asked}", Tasks::task_state(task)?);
    for name in NAMES {
        if let Some(value) = Tasks::get_task_metadata(task, name)? {
            write!(seen, " {name}={value}").expect("a String");
        }
    }
    Ok(seen)
}

fn see_context(get: impl Fn(&ContextKey) -> Result<Option<ContextValue>, Error>) -> Result<String, Error> {
    let mut seen = String::new();
    for name in NAMES {
        if let Some(value) = get(&ContextKey::new(name))? {
            write!(seen, " {name}={}", value.as_component_value()).expect("a String");
        }
    }
    Ok(seen)
}

/// A result as an observer sees it.
pub trait Show {
    fn show(&self, world: &World) -> String;
}

macro_rules! shown {
    ($($ty:ty),*) => {$(
        impl Show for $ty {
            fn show(&self, _: &World) -> String {
                format!("{self}")
            }
        }
    )*};
}

shown!(bool, u32, usize, String, TaskState, ComponentValue);

/// By blame. What a misuse was is told in words, for people, or without the feature `messages` by a number.
impl Show for Error {
    fn show(&self, _: &World) -> String {
        match self {
            Error::Misuse(_) => "misuse".into(),
            Error::Bug(_) => panic!("{self:?}"),
            other => format!("{other:?}"),
        }
    }
}

impl Show for () {
    fn show(&self, _: &World) -> String {
        "done".into()
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self, world: &World) -> String {
        self.as_ref().map_or("none".into(), |value| value.show(world))
    }
}

impl Show for ContextValue {
    fn show(&self, world: &World) -> String {
        self.as_component_value().show(world)
    }
}

impl Show for TaskOutcome {
    fn show(&self, world: &World) -> String {
        match self {
            TaskOutcome::Completed(value) => {
                format!("completed {}", value.as_component_value().cloned().show(world))
            }
            TaskOutcome::Cancelled => "cancelled".into(),
            TaskOutcome::Failed(TaskFailure::Error(error)) => format!("failed {}", error.show(world)),
            TaskOutcome::Failed(TaskFailure::Host(why)) => format!("failed {why}"),
            other => format!("{other:?}"),
        }
    }
}

impl Show for WaitResult {
    fn show(&self, world: &World) -> String {
        match self {
            WaitResult::Ready(entry) => entry.show(world),
            WaitResult::Timeout => "timeout".into(),
            WaitResult::Deadlock => "deadlock".into(),
            other => format!("{other:?}"),
        }
    }
}

impl Show for WaitableEntry {
    fn show(&self, world: &World) -> String {
        match &self.waitable {
            Waitable::Future(Future { handle, state }) => {
                let state = match state {
                    FutureState::Ready(value) => format!("is {}", value.show(world)),
                    FutureState::Failed(error) => format!("failed {}", error.show(world)),
                    other => format!("{other:?}"),
                };
                format!("{} {state}", world.futures.name(handle))
            }
            Waitable::Stream(stream) => format!("stream {:?}", stream.state),
            Waitable::Subtask(subtask) => format!("subtask {} {:?}", subtask.handle, subtask.state),
            Waitable::WaitableSet(set) => world.sets.name(set),
            other => format!("{other:?}"),
        }
    }
}

impl Show for Seq<WaitableEntry> {
    fn show(&self, world: &World) -> String {
        let entries: Vec<String> = self.iter().map(|entry| entry.show(world)).collect();
        entries.join(", ")
    }
}

impl Show for FixedLengthList {
    fn show(&self, _: &World) -> String {
        let items: Vec<String> = self.iter().map(|item| format!("{item}")).collect();
        format!("{} {}", self.list_type(), items.join(" "))
    }
}

/// FNV-1a: a number for a text.
pub fn digest(text: &str) -> u64 {
    digest_on(0xcbf2_9ce4_8422_2325, text)
}

/// The digest of what has this one and what follows.
fn digest_on(before: u64, text: &str) -> u64 {
    text.bytes().fold(before, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
