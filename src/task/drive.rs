//! How tasks of the host run: in the core, with their context as the current one.

use super::state::{self, Flat, Job, Kind};
use super::threads::{Destructor, Local, Next};
use crate::abi::types::{Items, TypeDef};
use crate::ambient::{self, ComponentValue, FunctionAt, Tier, ValueType};
use crate::embedding::Embedding;
use crate::error::{Error, Trap};
use crate::id::{ContextId, HostCall, HostTaskId, LiftId, TaskId, ThreadId};
use crate::run;
use crate::state::{Caller, Priority};
use crate::store::Store;

type Driven<'a> = &'a mut dyn Embedding<Profile = Tier>;

/// While it lives, a task runs: its context is the current one.
pub(super) struct Inside {
    task: HostTaskId,
    /// The context before; `None` where the task ran already.
    before: Option<Option<ContextId>>,
    /// The task that ran before.
    outer: Option<HostTaskId>,
    /// Tells a reset.
    epoch: u32,
}

impl Inside {
    pub(super) fn enter(task: HostTaskId) -> Result<Self, Error> {
        ambient::host(|host| {
            let context = host.task.enter(task)?;
            let outer = host.task.running.replace(task);
            Ok(Self {
                task,
                before: context.map(|context| host.context.switch(context)),
                outer,
                epoch: host.context.next_epoch(),
            })
        })?
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // In use it can't be: whoever runs inside of a task has given it back.
        let _ = ambient::host(|host| {
            if host.context.next_epoch() != self.epoch {
                return;
            }
            host.task.running = self.outer;
            let Some(before) = self.before.take() else { return };
            let kept = host.context.switch(before);
            let over = host.task.leave(self.task, kept);
            host.context.release(over);
        });
    }
}

/// The host's own task, as the core has it.
pub(super) fn start() -> Result<HostTaskId, Error> {
    ambient::drive(|e| {
        settle(e)?;
        let id = begin(Kind::Own, None)?;
        let core = e.store().start_host_task(ambient::own_call(state::index(id)));
        began(id, core)
    })?
}

/// The core has taken a new task, or has not.
fn began(id: HostTaskId, core: Result<TaskId, Error>) -> Result<HostTaskId, Error> {
    ambient::host(|host| match core {
        Ok(core) => {
            host.task.set_core(id, core);
            Ok(id)
        }
        Err(error) => {
            let context = host.task.free(id);
            host.context.release(context);
            Err(error)
        }
    })?
}

/// A task that is a thread of the host: a guest's function that a later tick calls, with the arguments that `flatten` answers.
pub(crate) fn spawn(
    at: FunctionAt,
    priority: Priority,
    parent: Option<HostTaskId>,
    flatten: impl FnOnce(&Store<Tier>, LiftId) -> Result<(Flat, Option<ValueType>), Error>,
) -> Result<HostTaskId, Error> {
    if let Some(parent) = parent {
        ambient::host(|host| host.task.thread_at(parent))??;
    }
    let function = ambient::function(at)?;
    ambient::drive(|e| {
        settle(e)?;
        let (flat, result) = flatten(e.store(), function)?;
        let id = begin(Kind::Call(result), Some(flat))?;
        // Room for it may have cost the parent, which had finished.
        let made = ambient::host(|host| host.task.make_thread(id, at, priority, parent))?;
        let core =
            made.and_then(|()| e.store().spawn(function, ambient::own_call(state::index(id)), priority));
        began(id, core)
    })?
}

/// A task that is a call of a guest's function.
pub(super) fn call(function: LiftId, args: &[ComponentValue]) -> Result<HostTaskId, Error> {
    ambient::drive(|e| {
        settle(e)?;
        let (flat, result) = flatten(e.store(), function, args)?;
        let id = begin(Kind::Call(result), Some(flat))?;
        let inside = Inside::enter(id)?;
        let called = run::call(e, function, ambient::own_call(state::index(id)));
        drop(inside);
        match called {
            Ok(core) => ambient::host(|host| host.task.set_core(id, core))?,
            Err(error) => ambient::host(|host| {
                host.task.explain(error);
                let (result, context) = host.task.call_failed(id, error);
                host.context.release(context);
                result
            })??,
        }
        Ok(id)
    })?
}

fn begin(kind: Kind, args: Option<Flat>) -> Result<HostTaskId, Error> {
    ambient::host(|host| {
        let limits = host.limits();
        host.task.make_room(&limits)?;
        let context = host.context.inherit();
        let id = host.task.insert(kind, args, context);
        if id.is_err() {
            host.context.release(context);
        }
        id
    })?
}

/// The flat arguments of a call, and the type of its result.
fn flatten(
    store: &Store<Tier>,
    function: LiftId,
    args: &[ComponentValue],
) -> Result<(Flat, Option<ValueType>), Error> {
    let (params, result) = types(store, function)?;
    if result.is_some_and(|result| !result.is_scalar()) {
        return Err(Error::Misuse("the host calls functions whose result is a number, a bool or a char"));
    }
    if params.len() as usize != args.len() {
        return Err(Error::Misuse("the function takes another number of arguments"));
    }
    let mut flat = Flat::new();
    for (index, arg) in (0u32..).zip(args) {
        let param = store.types().item(params, index).flatten();
        let bits =
            arg.to_bits().filter(|_| param.is_some_and(ValueType::is_scalar) && param == arg.value_type());
        flat.push(bits.ok_or(Error::Misuse(
            "an argument is not of its parameter's type, or no number, bool or char",
        ))?)?;
    }
    Ok((flat, result))
}

/// The parameters and the result of a function.
pub(crate) fn types(store: &Store<Tier>, function: LiftId) -> Result<(Items, Option<ValueType>), Error> {
    let ty = store.types().func(store.lift(function)?.ty).ok_or(Error::Misuse("unknown function type"))?;
    match store.types().def(ty.params) {
        Some(TypeDef::Record(params)) => Ok((params, ty.result)),
        _ => Err(Error::Bug("the parameters of a function are no record")),
    }
}

/// Tells the core what was done while it was in use.
fn settle(e: Driven<'_>) -> Result<bool, Error> {
    let mut told = false;
    while let Some(job) = ambient::host(|host| host.task.next_job())? {
        told = true;
        match job {
            Job::Return(core) => e.store().return_host_task(core)?,
            Job::Cancel(core) => e.store().cancel_host_task(core)?,
            Job::Request(id, core) => {
                let inside = Inside::enter(id)?;
                let asked = run::cancel(e, core);
                drop(inside);
                if let Err(error) = asked {
                    explain(error)?;
                }
            }
        }
    }
    Ok(told)
}

/// [`settle`], or later where the store is in use.
pub(super) fn settle_now() -> Result<(), Error> {
    ambient::drive(|e| settle(e)).unwrap_or(Ok(false)).map(drop)
}

/// An error came back from the store. Where tasks failed with it, they say so; else the caller does.
fn explain(error: Error) -> Result<(), Error> {
    match ambient::host(|host| host.task.explain(error))? {
        0 => Err(error),
        _ => Ok(()),
    }
}

/// Runs one ready thread of whatever task; where none is ready and `idle` is set, waits for host functions that will answer. `false`
/// where nothing happened and nothing will.
pub(crate) fn turn(idle: bool) -> Result<bool, Error> {
    // Nothing is taken out to be destroyed while the store is driven.
    ambient::core(|_| ())?;
    // What has no room now is tried again when somebody has run.
    let no_room = match destroy_next() {
        Ok(true) => return Ok(true),
        Ok(false) => None,
        Err(error @ Error::Capacity(_)) => Some(error),
        Err(error) => return Err(error),
    };
    ambient::drive(|e| {
        if settle(e)? {
            return Ok(true);
        }
        match run::tick_inside(e, enter) {
            Ok(true) => {
                // A guest that yields until its answer is there leaves the store never idle.
                if e.store().unanswered() > 0 {
                    e.poll_answers()?;
                }
                return Ok(true);
            }
            Ok(false) => {}
            Err(error) => return explain(error).map(|()| true),
        }
        if let Some(error) = no_room {
            return Err(error);
        }
        if !idle || e.store().unanswered() == 0 {
            return Ok(false);
        }
        if !e.idle()? {
            return Err(Error::Misuse("a host function will answer later, and the engine does not wait"));
        }
        Ok(true)
    })?
}

/// Does what is next to be done for threads that have finished; `false` where that is nothing.
fn destroy_next() -> Result<bool, Error> {
    let next = ambient::host(|host| match host.task.next_destructor() {
        Next::Over(context) => {
            host.context.release(context);
            Next::Over(None)
        }
        next => next,
    })?;
    let (id, key, local) = match next {
        Next::Nothing => return Ok(false),
        Next::Over(_) => return Ok(true),
        Next::Destroy(id, key, local) => (id, key, local),
    };
    match local.destructor {
        Destructor::None => {}
        Destructor::Host(destroy) => {
            let _inside = Inside::enter(id)?;
            destroy(key, local.value);
        }
        Destructor::Guest(function) => ambient::drive(|e| destroy(e, id, key, local, function))??,
    }
    Ok(true)
}

/// Spawns a thread for a guest's destructor, as its own was.
fn destroy(e: Driven<'_>, id: HostTaskId, key: u32, local: Local, function: LiftId) -> Result<(), Error> {
    let args = [u64::from(key), local.value.to_bits().unwrap_or(0)];
    let priority = ambient::host(|host| host.task.call_destructor(id, args))??;
    let Err(error) = e.store().spawn(function, ambient::own_call(state::index(id)), priority) else {
        return Ok(());
    };
    ambient::host(|host| match error {
        Error::Capacity(_) => host.task.keep_local(id, key, local).and(Err(error)),
        _ => {
            host.task.end_destructor(id, false);
            // How the thread ended, it has ended; that its instance is dead is counted.
            if matches!(error, Error::Trap(_)) { Ok(()) } else { Err(error) }
        }
    })?
}

/// The context of the task that a thread is of, where that is one of the host's.
fn enter(store: &Store<Tier>, thread: ThreadId) -> Option<Inside> {
    // What has resolved may go on, but is nobody's any more: its name may be another's.
    let task = store.task(store.thread(thread)?.task()).filter(|task| !task.is_resolved())?;
    match task.caller() {
        Caller::Host(call) => Inside::enter(task_of(call)?).ok(),
        _ => None,
    }
}

fn task_of(call: HostCall) -> Option<HostTaskId> {
    let index = ambient::own_index(call)?;
    ambient::host(|host| host.task.key_at(index)).ok()?
}

const GONE: Error = Error::Bug("a call of the host has no task");

/// For `Embedding::host_args`.
pub(crate) fn host_args(call: HostCall, args: &mut [u64]) -> Result<(), Error> {
    let id = task_of(call).ok_or(GONE)?;
    ambient::host(|host| host.task.start(id, args))?
}

/// For `Embedding::host_result`.
pub(crate) fn host_result(call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
    let id = task_of(call).ok_or(GONE)?;
    ambient::host(|host| {
        let context = host.task.resolve(id, results)?;
        host.context.release(context);
        Ok(())
    })?
}

/// For `Embedding::host_lost`.
pub(crate) fn host_lost(call: HostCall) {
    let Some(id) = task_of(call) else { return };
    let _ = ambient::host(|host| {
        let context = host.task.lose(id);
        host.context.release(context);
    });
}

/// Drives the store until a task has finished.
pub(super) fn wait<T>(mut poll: impl FnMut() -> Result<Option<T>, Error>) -> Result<T, Error> {
    loop {
        if let Some(outcome) = poll()? {
            return Ok(outcome);
        }
        if !turn(true)? {
            return Err(Trap::Deadlock.into());
        }
    }
}
