//! Spec: `Thread.resume`, `Store.invoke`, `Store.tick`.
//!
//! `run` is the only code that resumes a thread. Its callers are exactly: the first entry of a lift, the holder of the
//! exclusive lock that it would wait for, and the loop of one without `async` (all in
//! [`canon::lift`]); `subtask.cancel` of a task that waits to enter or in its callback loop; [`tick`].
//!
//! A blocking built-in resumes nobody: it parks its own thread, names a successor where it switches, and
//! answers [`Then::Suspend`]. The engine unwinds that thread's frames, and the same native
//! frame of `run` resumes the successor, so that a million hand-offs cost constant native depth.

use crate::canon::{self, Builtin, lift, resolve};
use crate::embedding::{Embedding, Outcome, Then};
use crate::error::{Error, Trap};
use crate::event::event;
use crate::id::{HostCall, InstanceId, LiftId, OptsId, TaskId, ThreadId};
use crate::message::{Bug, Misuse};
use crate::raise::{Cause as _, OrRaise as _, Raised, Raises, Raising as _, caught};
use crate::state::{Caller, InstanceKind, Point, Status, Task};
use crate::store::{Current, HostEnd, Store};

/// How a thread is resumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// `cancelled`: the thread waits to enter or in its callback loop, and its task's cancellation is delivered.
    pub cancelled: bool,
    /// The flat arguments of a call that enters now.
    pub args: &'a [u64],
}

impl Entry<'_> {
    pub(crate) const PLAIN: Entry<'static> = Entry { cancelled: false, args: &[] };
}

/// `Thread.resume`: runs a thread, and the ones that it switches to, until one blocks without a successor or exits.
pub(crate) fn run<E: Embedding + ?Sized>(e: &mut E, first: ThreadId, entry: &Entry<'_>) -> Raises {
    let store = e.store();
    store.check_depth()?;
    store.depth = store.depth.saturating_add(1);
    let outer = core::mem::replace(&mut store.current, Current::None);
    let result = run_chain(e, first, entry);
    let store = e.store();
    store.current = outer;
    store.depth = store.depth.saturating_sub(1);
    result
}

/// Room for one more call between components, before anything is changed.
pub(crate) fn check_depth<E: Embedding + ?Sized>(e: &mut E) -> Raises {
    e.check_call().raising(&mut e.store().raiser)?;
    e.store().check_depth()
}

fn run_chain<E: Embedding + ?Sized>(e: &mut E, first: ThreadId, entry: &Entry<'_>) -> Raises {
    let (mut next, mut entry) = (Some(first), entry);
    while let Some(thread) = next {
        let store = e.store();
        let (instance, waited) = {
            let t = store.thread_mut(thread)?;
            (t.instance(), t.status() == Status::Waiting)
        };
        store.stop_waiting(thread)?;
        store.current = Current::Thread(thread);
        event!(trace, thread, "resumed", thread);
        match step(e, thread, waited, entry) {
            // Whoever blocked may have named who goes on.
            Ok(()) => next = e.store().switch_to.take(),
            Err(raised) => {
                // Kept apart: what is done with the dead may fail too.
                let error = e.store().raiser.error(raised);
                event!(warn, thread, "trapped", thread, error);
                e.trapped(thread, error);
                poison(e, thread, instance);
                return e.store().raiser.raise(error);
            }
        }
        entry = &Entry::PLAIN;
    }
    Ok(())
}

/// A thread ended in an error: the instance that it unwound through is dead, and whoever is to blame. A task that was
/// abandoned before it ran anything unwound through nothing.
fn poison<E: Embedding + ?Sized>(e: &mut E, thread: ThreadId, instance: InstanceId) {
    let store = e.store();
    let guilty = store.take_blamed();
    if let Some(guilty) = guilty {
        store.poison(guilty);
    }
    if store.thread(thread).is_some() || guilty.is_none() {
        store.poison(instance);
    }
    // The host is never dead, so nobody would purge a thread of its; an error of its function is a trap of who called.
    if store.get_instance(instance).is_some_and(|i| i.kind() == InstanceKind::Host) {
        if let Some(task) = store.thread(thread).map(|t| t.task()) {
            if let Some(Caller::Guest(subtask)) = store.task(task).map(Task::caller)
                && let Some(caller) = store.waitable(subtask).map(|subtask| subtask.instance())
            {
                store.poison(caller);
            }
            // Fails only where the task is gone.
            let _ = store.end_borrows(task);
        }
        e.discard(thread);
        e.store().purge_thread(thread);
    }
}

/// Runs one thread from its resume point until it blocks or exits.
fn step<E: Embedding + ?Sized>(e: &mut E, thread: ThreadId, waited: bool, entry: &Entry<'_>) -> Raises {
    let point = e.store().thread_mut(thread)?.point;
    let outcome = match point {
        Point::Enter => match lift::enter(e, thread, waited, entry)? {
            Some(outcome) => outcome,
            None => return Ok(()),
        },
        Point::Spawned => match lift::start_spawned(e, thread, entry)? {
            Some(outcome) => outcome,
            None => return Ok(()),
        },
        Point::Start(arg) => {
            e.store().thread_mut(thread)?.point = Point::Switch;
            e.start_thread(thread, arg).raising(&mut e.store().raiser)?
        }
        Point::Switch | Point::Host => resume(e, thread, 0)?,
        Point::Wait(set, memory, pointer) => {
            let store = e.store();
            let event = store.set_get_pending_event(set)?.or_raise(&mut store.raiser, Bug::NoWaitEvent)?;
            let value = crate::canon::unpack_event(e, memory, pointer, event)?;
            resume(e, thread, u64::from(value))?
        }
        Point::Event(waitable) => {
            let (_, _, payload) = e.store().get_pending_event(waitable)?;
            resume(e, thread, u64::from(payload))?
        }
        Point::Lower(subtask) => {
            let value = crate::canon::lower::finish(e, subtask)?;
            resume(e, thread, value)?
        }
        Point::CallbackYield | Point::CallbackWait(_) => lift::callback(e, thread, point, entry.cancelled)?,
    };
    match outcome {
        Outcome::Blocked => Ok(()),
        Outcome::Returned(value) => lift::returned(e, thread, value),
    }
}

fn resume<E: Embedding + ?Sized>(e: &mut E, thread: ThreadId, value: u64) -> Raises<Outcome> {
    e.resume(thread, value).raising(&mut e.store().raiser)
}

/// `Store.invoke`: the host calls a component function. The task may resolve before this returns, or later in a
/// [`tick`]; [`Embedding::host_args`] and [`Embedding::host_result`] move the values.
///
/// A host function may call this; the engine's guest frames below it stay where they are.
///
/// # Errors
/// A trap, which poisons the callee's root instance; `Capacity`, which changed nothing where the call did not
/// start; what `host_args` and `host_result` answer.
pub fn call<E: Embedding + ?Sized>(e: &mut E, func: LiftId, call: HostCall) -> Result<TaskId, Error> {
    caught(e, |e| as_current(e, Current::None, |e| lift::call(e, func, Caller::Host(call), None, &[])))
}

/// The host calls a built-in, as its instance would: on the handles that it holds, with values in the memory of
/// [`Store::set_host`](crate::Store::set_host). A stream that it reads or writes, a call that it makes and a set that it polls
/// are then the same to it as to a guest. Cost: the built-in's.
///
/// # Errors
/// The built-in's, which poison nothing of the host: a trap says what the host did wrong. `Misuse` for what needs a thread:
/// `thread.*`, `task.*`, `context.*`, `waitable-set.wait`, and all without `async`.
pub fn builtin<E: Embedding + ?Sized>(e: &mut E, builtin: Builtin, args: &[u64]) -> Result<u64, Error> {
    let store = e.store();
    let instance = store.host_instance()?;
    let waits = match builtin {
        Builtin::Lower(id) => !store.options(store.lower(id)?.options)?.is_async,
        Builtin::StreamRead(_, options)
        | Builtin::StreamWrite(_, options)
        | Builtin::FutureRead(_, options)
        | Builtin::FutureWrite(_, options) => !store.options(options)?.is_async,
        Builtin::ResourceNew(rt) | Builtin::ResourceRep(rt) => {
            let resource = store.types().resource(rt).ok_or(Misuse::UnknownResource)?;
            if resource.instance != instance {
                return Err(Misuse::ForeignResource.into());
            }
            false
        }
        other => other.may_suspend(),
    };
    if waits {
        return Err(Misuse::HostWaits.into());
    }
    let call = |e: &mut E| canon::call(e, builtin, args).raising(&mut e.store().raiser);
    match caught(e, |e| as_current(e, Current::Host(instance), call))? {
        Then::Value(value) => Ok(value),
        Then::Suspend => Err(Bug::HostSuspended.into()),
    }
}

/// The host begins a copy at an end that it holds, with a buffer at `ptr` in the memory of these options; the end's event stays
/// pending, for a waitable set to tell.
///
/// # Errors
/// Those of `{stream,future}.{read,write}`.
pub(crate) fn begin_copy<E: Embedding + ?Sized>(
    e: &mut E,
    end: HostEnd,
    options: OptsId,
    ptr: u32,
    n: u32,
) -> Result<(), Error> {
    let HostEnd { handle, direction, future, element, .. } = end;
    let instance = e.store().host_instance()?;
    let begin = |e: &mut E| {
        canon::copy::begin(e, direction, future, element, options, handle, u64::from(ptr), u64::from(n))
    };
    caught(e, |e| as_current(e, Current::Host(instance), begin)).map(drop)
}

/// Runs `f` as somebody's code; then control is back at the host.
fn as_current<E: Embedding + ?Sized, T>(
    e: &mut E,
    current: Current,
    f: impl FnOnce(&mut E) -> Raises<T>,
) -> Raises<T> {
    let outer = core::mem::replace(&mut e.store().current, current);
    let result = f(e);
    e.store().current = outer;
    at_host(e, result)
}

/// `Store.tick`: runs one ready thread; `false` where none is ready.
///
/// # Errors
/// The trap of the thread that ran, or of what it called: poisons their root instances; other roots go on.
/// `Misuse` inside a call: a host function must not tick.
pub fn tick<E: Embedding + ?Sized>(e: &mut E) -> Result<bool, Error> {
    tick_inside(e, |_, _| ())
}

/// [`tick`]; what `enter` answers for the thread that runs lives as long as it runs.
pub(crate) fn tick_inside<E: Embedding + ?Sized, G>(
    e: &mut E,
    enter: impl FnOnce(&Store<E::Profile>, ThreadId) -> G,
) -> Result<bool, Error> {
    caught(e, |e| {
        let store = e.store();
        if store.is_running() {
            return store.raiser.raise(Misuse::TickInside);
        }
        let Some(thread) = store.next_ready()? else { return Ok(false) };
        let inside = enter(store, thread);
        let result = run(e, thread, &Entry::PLAIN);
        drop(inside);
        at_host(e, result.map(|()| true))
    })
}

/// How many threads run before host functions are asked whether they can answer.
pub(crate) const TURNS: u32 = 64;

/// Ticks until a task is resolved; where nothing is ready and host functions will answer, [`Embedding::idle`] waits.
///
/// # Errors
/// As [`tick`]; `Trap(Deadlock)` where nothing is ready, nobody will answer, and the task is not resolved. A deadlock poisons
/// nothing. `Misuse` where somebody will answer and the embedding can't wait.
pub fn run_until<E: Embedding + ?Sized>(e: &mut E, task: TaskId) -> Result<(), Error> {
    let mut turns: u32 = 0;
    while !e.store().is_resolved(task) {
        turns = turns.wrapping_add(1);
        // A guest that yields until its answer is there leaves the store never idle.
        if turns.is_multiple_of(TURNS) && e.store().unanswered() > 0 {
            e.poll_answers()?;
        }
        if tick(e)? {
            continue;
        }
        if e.store().unanswered() == 0 {
            return Err(Trap::Deadlock.into());
        }
        if !e.idle()? {
            return Err(Misuse::CannotWait.into());
        }
    }
    Ok(())
}

/// The host asks for the cancellation of a call that it made; nothing where it has resolved. The task resolves
/// without a value now, or later, or with one where the guest insists.
///
/// # Errors
/// As [`tick`].
pub fn cancel<E: Embedding + ?Sized>(e: &mut E, task: TaskId) -> Result<(), Error> {
    if e.store().is_resolved(task) {
        return Ok(());
    }
    caught(e, |e| as_current(e, Current::None, |e| resolve::request_cancellation(e, task)))
}

/// Control is back at the host, with what came of it: what was poisoned is taken away.
pub(crate) fn at_host<E: Embedding + ?Sized, T>(e: &mut E, result: Raises<T>) -> Raises<T> {
    match result {
        Ok(value) => purge(e).map(|()| value),
        Err(raised) => Err(purge_after(e, raised)),
    }
}

/// [`purge`] where an error came up, which what is done with the dead does not replace.
fn purge_after<E: Embedding + ?Sized>(e: &mut E, raised: Raised) -> Raised {
    let store = e.store();
    let error = store.raiser.error(raised);
    store.switch_to = None;
    // What the host itself called ran on no thread: nobody has died of it yet.
    if let Some(guilty) = store.take_blamed() {
        store.poison(guilty);
    }
    let _ = purge(e);
    error.raise(&mut e.store().raiser)
}

/// Takes away what was poisoned, where none of it is on the native stack any more.
fn purge<E: Embedding + ?Sized>(e: &mut E) -> Raises {
    let store = e.store();
    if !store.to_purge || store.is_running() {
        return Ok(());
    }
    store.to_purge = false;
    let mut from = 0;
    while let Some((thread, next)) = e.store().next_dead_thread(from) {
        e.discard(thread);
        if let Some(call) = e.store().purge_thread(thread) {
            e.host_lost(call);
        }
        from = next;
    }
    let mut from = 0;
    let mut purged = Ok(());
    while let Some((thread, next)) = e.store().next_orphan(from) {
        if e.host_cancel(thread) {
            purged = purged.and(resolve::cancel_host_call(e, thread));
        }
        from = next;
    }
    purged.and(e.store().purge_handles())
}
