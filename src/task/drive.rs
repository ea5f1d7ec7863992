//! How tasks of the host run: in the core, with their context as the current one.

use super::flat::Flat;
use super::state::{self, Job, Kind};
use super::threads::{Begin, Destructor, GuestDestructor, Next};
use crate::abi::types::{Items, TypeDef};
use crate::ambient::{self, ComponentValue, FlatType, Tier, ValueType, signal};
use crate::embedding::Embedding;
use crate::error::Error;
use crate::id::{ContextId, HostCall, HostTaskId, LiftId, TaskId, ThreadId};
use crate::run;
use crate::state::Caller;
use crate::store::{Entrance, Store};

type Driven<'a> = &'a mut dyn Embedding<Profile = Tier>;

/// While it lives, code of a task runs: the task's context is the current one. Each task has one, wherever its code is on the stack: where
/// it runs inside of itself, across others or not, it goes on with that, and what it sets it has set.
pub(super) struct Inside {
    task: HostTaskId,
    /// The task whose code ran before, which keeps its context itself.
    outer: Option<HostTaskId>,
    /// The context before, where no task's code ran.
    found: Option<ContextId>,
    /// For [`State::task_is_over`](crate::context::State::task_is_over).
    scopes: u32,
    /// Tells a reset.
    epoch: u32,
}

impl Inside {
    pub(super) fn enter(task: HostTaskId) -> Result<Self, Error> {
        ambient::host(|host| {
            let context = host.task.enter(task)?;
            let outer = host.task.running.replace(task);
            let (scopes, epoch) = (host.context.task_begins(), host.context.next_epoch());
            let mut found = None;
            if outer != Some(task) {
                found = host.context.switch(context);
                if let Some(outer) = outer {
                    found = host.task.set_aside(outer, found);
                }
            }
            Ok(Self { task, outer, found, scopes, epoch })
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
            host.context.end_scopes();
            host.task.running = self.outer;
            let needed = host.task.leave(self.task);
            if self.outer != Some(self.task) {
                let found = match self.outer {
                    Some(outer) => host.task.set_aside(outer, None),
                    None => self.found.take(),
                };
                let mut kept = host.context.switch(found);
                if needed {
                    kept = host.task.set_aside(self.task, kept);
                }
                host.context.release(kept);
            }
            host.context.task_is_over(self.scopes);
        });
    }
}

/// The host's own task, as the core has it.
pub(super) fn start() -> Result<HostTaskId, Error> {
    ambient::drive(|e| {
        settle(e)?;
        let id = begin(e, None, Kind::Own, None, None)?;
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
    how: Begin,
    parent: Option<HostTaskId>,
    flatten: impl FnOnce(&Store<Tier>, LiftId) -> Result<(Flat, Option<ValueType>), Error>,
) -> Result<HostTaskId, Error> {
    if let Some(parent) = parent {
        ambient::host(|host| host.task.thread_at(parent))??;
    }
    let function = ambient::function(how.at)?;
    ambient::drive(|e| {
        settle(e)?;
        let (flat, result) = flatten(e.store(), function)?;
        let entrance = Some((function, Entrance::Spawn));
        let id = begin(e, entrance, Kind::Call(result.map(FlatType::Plain)), Some(flat), parent)?;
        let made = ambient::host(|host| host.task.make_thread(id, how, parent))?;
        let call = ambient::own_call(state::index(id));
        let core = made.and_then(|()| e.store().spawn(function, call, how.priority));
        began(id, core)
    })?
}

/// A task that is a call of a guest's function.
pub(super) fn call(function: LiftId, args: &[ComponentValue]) -> Result<HostTaskId, Error> {
    ambient::drive(|e| {
        settle(e)?;
        let (flat, result) = flatten(e.store(), function, args)?;
        let id = begin(e, Some((function, Entrance::Call)), Kind::Call(result), Some(flat), None)?;
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

/// Adds a task which the core would take. Nothing is freed for one that it would not.
fn begin(
    e: Driven<'_>,
    entrance: Option<(LiftId, Entrance)>,
    kind: Kind,
    args: Option<Flat>,
    kept: Option<HostTaskId>,
) -> Result<HostTaskId, Error> {
    ambient::host(|host| {
        let oldest = host.task.oldest_known(&host.limits(), kept)?;
        e.store().check_start(entrance)?;
        if let Some(oldest) = oldest {
            host.task.free(oldest);
        }
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
) -> Result<(Flat, Option<FlatType>), Error> {
    const RESULT: Error =
        Error::Misuse("the host calls functions whose result is a number, a bool, a char or a handle");
    const ARGUMENT: Error =
        Error::Misuse("an argument is not of its parameter's type, or no number, bool, char or handle");
    let (params, result) = types(store, function)?;
    let result = result.map(|ty| FlatType::of(ty, store.types()).ok_or(RESULT)).transpose()?;
    if params.len() as usize != args.len() {
        return Err(Error::Misuse("the function takes another number of arguments"));
    }
    let mut flat = Flat::new();
    for (index, arg) in (0..params.len()).zip(args) {
        let param = store.types().item(params, index).flatten();
        let param = param.and_then(|ty| FlatType::of(ty, store.types()));
        flat.push(param.and_then(|ty| ty.lower(arg)).ok_or(ARGUMENT)?)?;
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

/// Before anything is run: tells the core what was done while it was in use, and takes what was lost until now for lost.
fn settle(e: Driven<'_>) -> Result<bool, Error> {
    ambient::host(|host| host.task.forget_lost())?;
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

/// Does what signals are armed with that were given, and runs one ready thread of whatever task. `false` where nothing happened.
pub(crate) fn turn() -> Result<bool, Error> {
    let result = turn_quietly();
    if result != Ok(false) {
        signal::changed();
    }
    result
}

fn turn_quietly() -> Result<bool, Error> {
    // Nothing is taken out to be destroyed while the store is driven.
    ambient::core(|_| ())?;
    let reacted = signal::react()?;
    // What has no room now is tried again when somebody has run.
    let no_room = match destroy_next() {
        Ok(true) => return Ok(true),
        Ok(false) => None,
        Err(error @ Error::Capacity(_)) => Some(error),
        Err(error) => return Err(error),
    };
    ambient::drive_quietly(|e| {
        let told = settle(e)?;
        match run::tick_inside(e, enter) {
            Ok(false) if told || reacted => Ok(true),
            Ok(false) => no_room.map_or(Ok(false), Err),
            Ok(true) => Ok(true),
            Err(error) => explain(error).map(|()| true),
        }
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
    match next {
        Next::Nothing => return Ok(false),
        Next::Over(_) => {}
        Next::Host(id) => {
            let _inside = Inside::enter(id)?;
            if let Some((key, local)) = ambient::host(|host| host.task.take_local(id))?
                && let Destructor::Host(destroy) = local.destructor
            {
                destroy(key, local.value);
            }
        }
        Next::Guest(id, call) => ambient::drive(|e| destroy(e, id, call))??,
    }
    Ok(true)
}

/// Spawns a thread for a guest's destructor, as its own was. The value stays until there is one.
fn destroy(e: Driven<'_>, id: HostTaskId, call: GuestDestructor) -> Result<(), Error> {
    let spawned = e.store().spawn(call.function, ambient::own_call(state::index(id)), call.priority);
    ambient::host(|host| match spawned {
        Ok(_) => {
            host.task.destructor_called(id, call.args);
            Ok(())
        }
        Err(error @ Error::Capacity(_)) => {
            host.task.let_others_end(id);
            Err(error)
        }
        Err(error) => {
            host.task.destructor_failed(id);
            // How the thread ended, it has ended; that its instance is dead is counted.
            if matches!(error, Error::Trap(_)) { Ok(()) } else { Err(error) }
        }
    })?
}

/// The context of the task that a thread is of, where that is one of the host's.
fn enter(store: &Store<Tier>, thread: ThreadId) -> Option<Inside> {
    Inside::enter(task_behind(store, thread)?).ok()
}

/// The bytes of stack that were asked for, where a thread is one of the host's.
pub(crate) fn stack_bytes(store: &Store<Tier>, thread: ThreadId) -> Option<u32> {
    let id = task_behind(store, thread)?;
    ambient::host(|host| host.task.stack_bytes(id)).ok()?
}

/// The task of the host that a thread runs for.
fn task_behind(store: &Store<Tier>, thread: ThreadId) -> Option<HostTaskId> {
    // What has resolved may go on, but is nobody's any more: its name may be another's.
    let task = store.task(store.thread(thread)?.task()).filter(|task| !task.is_resolved())?;
    match task.caller() {
        Caller::Host(call) => task_of(call),
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
