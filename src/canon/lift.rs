//! Spec: `canon lift`, with `Store.lift`, `Task.enter_implicit_thread` and `Task.start`.

pub use super::start::{Start, start_enter, start_leave};

use super::resolve;
use crate::abi::raising::Walk;
use crate::abi::types::ValType;
use crate::abi::{Context, Scope};
use crate::embedding::{Embedding, Outcome};
use crate::error::{Resource, Trap};
use crate::event::event;
use crate::id::{InstanceId, LiftId, OptsId, TaskId, ThreadId};
use crate::message::{Bug, Misuse};
use crate::raise::{OrRaise as _, Raised, Raises, Raising as _};
use crate::run::{Entry, check_depth, run};
use crate::spec::{
    CallbackCode, EventCode, MAX_CORE_PARAMS, MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
};
use crate::state::{Caller, InstanceKind, Point, QueuedArgs};
use crate::storage::Profile;
use crate::store::Store;

/// `canon_lift` inside `Store.lift`: makes a task, and runs it until it blocks, exits or, where the
/// function's type is not `async`, resolves.
pub(crate) fn call<E: Embedding + ?Sized>(
    e: &mut E,
    func: LiftId,
    caller: Caller,
    from: Option<InstanceId>,
    args: &[u64],
) -> Raises<TaskId> {
    let store = e.store();
    let (_, options, ty) = store.lifted(func)?;
    let (instance, is_async) = (options.instance, ty.is_async);
    // The host is no component: its functions run side by side.
    let exclusive = is_async && (!options.is_async || options.callback.is_some());
    check_depth(e)?;
    let store = e.store();
    store.check_enter(instance)?;
    let needs_exclusive = exclusive && store.instance_mut(instance)?.kind() == InstanceKind::Guest;
    if needs_exclusive {
        let_holder_go(e, instance)?;
    }
    let store = e.store();
    reserve(store, (instance, from), caller, is_async, needs_exclusive)?;
    let (task, thread) = store.new_task(Some(func), instance, caller, needs_exclusive, true, from)?;
    if let Caller::Guest(subtask) = caller {
        store.subtask_mut(subtask)?.callee = Some(task);
    }
    run(e, thread, &Entry { cancelled: false, args })?;
    if !is_async {
        finish_sync(e, task, instance)?;
    }
    // A host function may have called the caller's instance, and made nothing of a trap there.
    if let Some(from) = from {
        e.store().check_enter(from)?;
    }
    Ok(task)
}

/// Room for what the call takes where it starts or queues now: an error must find the callee as it was.
fn reserve<P: Profile>(
    store: &mut Store<P>,
    (instance, from): (InstanceId, Option<InstanceId>),
    caller: Caller,
    is_async: bool,
    exclusive: bool,
) -> Raises {
    let inst = store.instance_mut(instance)?;
    let queues = is_async && (inst.has_backpressure(exclusive) || inst.waiting_to_enter() > 0);
    match (caller, from) {
        _ if !queues => store.reserve(instance, (Resource::ThreadIndices, 1)),
        (Caller::Guest(_), Some(from)) => store.check_room(from, &[(Resource::QueuedCalls, 1)]),
        _ => Ok(()),
    }
}

/// Under `Choose::Barging`, a call that would only wait for the exclusive lock lets its holder run first,
/// where that is ready: most often it exits, and the call starts at once. A reference test expects that
/// (`sync-streams.wast`). Not while other code of the instance is on the stack, whose shadow stack the holder
/// would use.
fn let_holder_go<E: Embedding + ?Sized>(e: &mut E, instance: InstanceId) -> Raises {
    let store = e.store();
    let inst = store.instance_mut(instance)?;
    let alone = inst.backpressure() == 0 && inst.waiting_to_enter() == 0;
    match inst.exclusive_thread() {
        Some(holder)
            if alone && store.is_ready(holder) && store.lets_holder_go() && !store.is_on_stack(instance) =>
        {
            run(e, holder, &Entry::PLAIN)
        }
        _ => Ok(()),
    }
}

/// The end of `canon_lift` for a function type without `async`: other threads of the instance may run until the
/// task has returned; when none can, it has blocked, and it may not.
fn finish_sync<E: Embedding + ?Sized>(e: &mut E, task: TaskId, instance: InstanceId) -> Raises {
    while !e.store().is_resolved(task) {
        let Some(thread) = e.store().next_ready_of(instance, false)? else {
            e.blocked(task);
            let store = e.store();
            store.poison(instance);
            return store.raiser.raise(Trap::CannotBlockSync);
        };
        run(e, thread, &Entry::PLAIN)?;
    }
    Ok(())
}

/// `thread_func` of `canon_lift` up to the end of the core call: how that ended, or `None` where the thread waits to
/// enter or is gone.
pub(crate) fn enter<E: Embedding + ?Sized>(
    e: &mut E,
    thread: ThreadId,
    waited: bool,
    entry: &Entry<'_>,
) -> Raises<Option<Outcome>> {
    let store = e.store();
    let task_id = store.thread_mut(thread)?.task();
    let task = store.task_mut(task_id)?;
    let (instance, exclusive, caller) = (task.instance(), task.needs_exclusive(), task.caller());
    let lift = task.lift().or_raise(&mut store.raiser, Bug::StartEntered)?;
    let is_async = store.lifted(lift)?.2.is_async;

    // Task.enter_implicit_thread
    if waited && entry.cancelled {
        cancel_unentered(e, thread, task_id, instance)?;
        return Ok(None);
    }
    let inst = store.instance_mut(instance)?;
    if is_async && !waited && (inst.has_backpressure(exclusive) || inst.waiting_to_enter() > 0) {
        queue_args(e, caller, entry.args)?;
        e.store().start_waiting(thread, Point::Enter)?;
        return Ok(None);
    }
    if exclusive {
        store.take_exclusive(instance, thread)?;
    }
    // Whether there is room was asked before; but not whether the table may grow, where the call waited.
    if let Err(raised) = store.register_thread(thread) {
        return Err(blame_caller(e, thread, caller, raised));
    }
    store.thread_mut(thread)?.entered(exclusive);
    if waited {
        store.signal_entry(instance)?;
    }

    start_and_call(e, thread, task_id, lift, entry.args, Some(caller))
}

/// `args = task.start()`, `flat_args = lower_flat_values(..)`, `call_and_trap_on_throw`. Where the arguments can't be passed it is the
/// fault of `giver`, if anybody gave them.
fn start_and_call<E: Embedding + ?Sized>(
    e: &mut E,
    thread: ThreadId,
    task_id: TaskId,
    lift: LiftId,
    args: &[u64],
    giver: Option<Caller>,
) -> Raises<Option<Outcome>> {
    let mut flat = [0u64; MAX_FLAT_PARAMS];
    let count = match (start(e, task_id, lift, args, &mut flat), giver) {
        (Ok(count), _) => count,
        (Err(raised), Some(caller)) => return Err(blame_caller(e, thread, caller, raised)),
        (Err(raised), None) => return Err(raised),
    };
    let func = e.store().lifted(lift)?.0.func;
    let flat = flat.get(..count).unwrap_or(&[]);
    e.call(thread, func, flat).map(Some).raising(&mut e.store().raiser)
}

/// A thread that the host spawned starts, as [`enter`] has it without the wait for room; or it is cancelled before, and is gone.
pub(crate) fn start_spawned<E: Embedding + ?Sized>(
    e: &mut E,
    thread: ThreadId,
    entry: &Entry<'_>,
) -> Raises<Option<Outcome>> {
    let store = e.store();
    let task_id = store.thread_mut(thread)?.task();
    if entry.cancelled {
        resolve::cancel(e, task_id)?;
        return e.store().exit_thread(thread).map(|()| None);
    }
    let lift = store.task_mut(task_id)?.lift().or_raise(&mut store.raiser, Bug::SpawnedNothing)?;
    start_and_call(e, thread, task_id, lift, entry.args, None)
}

/// A call could not start: mostly its arguments could not be passed. Unless the callee was named as being at fault (its `realloc`, its full
/// table) it has done nothing wrong: its task goes, and it is the caller that dies.
fn blame_caller<E: Embedding + ?Sized>(
    e: &mut E,
    thread: ThreadId,
    caller: Caller,
    raised: Raised,
) -> Raised {
    let store = e.store();
    let Some(callee) = store.thread(thread).map(|t| t.instance()) else { return raised };
    if store.blamed() == Some(callee) || store.raiser.is_bug(raised) {
        return raised;
    }
    let guilty = match caller {
        Caller::Guest(subtask) => store.waitable(subtask).map(|w| w.instance()),
        _ => store.host_instance().ok(),
    };
    if let Some(guilty) = guilty {
        store.blame(guilty);
    }
    // Where that goes wrong too, it is a bug, which takes the error's place.
    store.abandon_thread(thread).err().unwrap_or(raised)
}

/// A task that waits to enter is cancelled: it resolves without ever having started.
fn cancel_unentered<E: Embedding + ?Sized>(
    e: &mut E,
    thread: ThreadId,
    task: TaskId,
    instance: InstanceId,
) -> Raises {
    resolve::cancel(e, task)?;
    let store = e.store();
    store.forget_unentered(thread);
    store.signal_entry(instance)
}

/// Keeps the arguments of a guest's call until the callee starts.
fn queue_args<E: Embedding + ?Sized>(e: &mut E, caller: Caller, args: &[u64]) -> Raises {
    if let Caller::Guest(subtask) = caller {
        let store = e.store();
        let from = store.waitable_mut(subtask)?.instance();
        store.charge(from, &[(Resource::QueuedCalls, 1)])?;
        let id = store.queued.insert(QueuedArgs::EMPTY).or_raise(&mut store.raiser, Resource::QueuedCalls)?;
        if let Some(queued) = store.queued.get_mut(id) {
            queued.keep(args);
        }
        store.subtask_mut(subtask)?.args = Some(id);
    }
    Ok(())
}

/// `Task.start` and the lowering of its arguments: how many flat arguments the callee gets.
fn start<E: Embedding + ?Sized>(
    e: &mut E,
    task_id: TaskId,
    lift: LiftId,
    args: &[u64],
    flat: &mut [u64; MAX_FLAT_PARAMS],
) -> Raises<usize> {
    let store = e.store();
    let task = store.task_mut(task_id)?;
    let (started, caller) = (task.start(), task.caller());
    started.raising(&mut store.raiser)?;
    event!(debug, task, "started", task = task_id);
    let (lift, _, ty) = store.lifted(lift)?;
    let params = ValType::Defined(ty.params);
    let to = Context { options: lift.options, scope: Scope::Task(task_id) };
    // Arguments that are not the engine's.
    let mut kept = [0u64; MAX_CORE_PARAMS];
    let (from, args, max) = match caller {
        Caller::Guest(subtask) => {
            let queued = super::lower::on_start(e, subtask, &mut kept)?;
            let from = super::lower::context(e, subtask)?;
            let is_async = e.store().options_of(from.options)?.is_async;
            let max = if is_async { MAX_FLAT_ASYNC_PARAMS } else { MAX_FLAT_PARAMS };
            (from, queued.and_then(|len| kept.get(..len)).unwrap_or(args), max)
        }
        Caller::Host(call) => {
            // There are more core parameters than flat ones, by one.
            let Some(args) = kept.first_chunk_mut() else { return Ok(0) };
            e.host_args(call, args).raising(&mut e.store().raiser)?;
            let Some(options) = host_options(e, to.options)? else {
                *flat = *args;
                return Ok(usize::from(e.store().layout_of(params)?.flat).min(MAX_FLAT_PARAMS));
            };
            (Context { options, scope: to.scope }, &args[..], MAX_FLAT_PARAMS)
        }
        Caller::Drop(rep) => {
            if let Some(first) = flat.first_mut() {
                *first = rep.bits();
            }
            return Ok(1);
        }
        Caller::Start => return Ok(0),
    };
    Walk::new(from, args, to, flat).flat_values(e, params, max, None)
}

/// The options of the host's side of a call into a guest, as [`Store::set_host`](crate::Store::set_host) says; `None` where the
/// callee, whose options these are, is the host itself.
pub(super) fn host_options<E: Embedding + ?Sized>(e: &mut E, callee: OptsId) -> Raises<Option<OptsId>> {
    let store = e.store();
    let host = store.host().or_raise(&mut store.raiser, Misuse::NoHost)?;
    let instance = store.options_of(host)?.instance;
    Ok((store.options_of(callee)?.instance != instance).then_some(host))
}

/// The core function of a thread returned: `canon_lift` after `call_and_trap_on_throw`.
pub(crate) fn returned<E: Embedding + ?Sized>(e: &mut E, thread: ThreadId, value: u64) -> Raises {
    let store = e.store();
    let thread_ref = store.thread_mut(thread)?;
    let (implicit, task_id) = (thread_ref.is_implicit(), thread_ref.task());
    if !implicit {
        return store.exit_thread(thread);
    }
    let lift = store.task_mut(task_id)?.lift().or_raise(&mut store.raiser, Bug::StartReturned)?;
    let (_, options, ty) = store.lifted(lift)?;
    let (is_async, instance) = (options.is_async, options.instance);
    let (post_return, callback) = (options.post_return, options.callback);
    let count = usize::from(ty.result.is_some());
    if !is_async {
        let results = [value];
        resolve::return_(e, task_id, results.get(..count).unwrap_or(&[]), MAX_FLAT_RESULTS)?;
        if let Some(post_return) = post_return {
            e.store().instance_mut(instance)?.set_may_leave(false);
            let results = results.get(..count).unwrap_or(&[]);
            e.call_leaf(post_return, results).raising(&mut e.store().raiser)?;
            e.store().instance_mut(instance)?.set_may_leave(true);
        }
        return e.store().exit_thread(thread);
    }
    match callback {
        None => e.store().exit_thread(thread),
        Some(_) => event_loop(e, thread, instance, value as u32),
    }
}

/// How often in a row a callback is called at once, whose events are there, before others have their turn.
const CALLED_AT_ONCE: u32 = 64;

/// The callback loop of `canon_lift`, from the code that the core function answered to where the thread waits or exits.
fn event_loop<E: Embedding + ?Sized>(
    e: &mut E,
    thread: ThreadId,
    instance: InstanceId,
    packed: u32,
) -> Raises {
    let mut packed = packed;
    let mut at_once_left = CALLED_AT_ONCE;
    loop {
        let store = e.store();
        let point = match CallbackCode::unpack(packed)
            .or_raise(&mut store.raiser, Trap::CallbackCode(packed as u8 & 0xf))?
        {
            CallbackCode::Exit => return store.exit_thread(thread),
            CallbackCode::Yield => Point::CallbackYield,
            CallbackCode::Wait(index) => Point::CallbackWait(store.set_handle(instance, index)?),
        };
        let task = store.thread_mut(thread)?.task();
        let cancelled = store.task_mut(task)?.cancel_is_pending();
        let at_once = match point {
            Point::CallbackWait(set) => {
                at_once_left > 0 && store.set_mut(set)?.has_pending_event() && !store.chooses_to_wait()
            }
            _ => false,
        };
        at_once_left = at_once_left.saturating_sub(1);
        store.release_exclusive(instance, thread)?;
        if !cancelled && !at_once {
            return store.start_waiting(thread, point);
        }
        match callback(e, thread, point, cancelled)? {
            Outcome::Returned(value) => packed = value as u32,
            Outcome::Blocked => return Ok(()),
        }
    }
}

/// One turn of the callback loop: takes the lock and the event, and calls the callback.
pub(crate) fn callback<E: Embedding + ?Sized>(
    e: &mut E,
    thread: ThreadId,
    point: Point,
    cancelled: bool,
) -> Raises<Outcome> {
    let store = e.store();
    let task_id = store.thread_mut(thread)?.task();
    let task = store.task_mut(task_id)?;
    let pending = task.cancel_is_pending();
    if pending {
        task.deliver_cancel();
        event!(debug, task, "cancel delivered", task = task_id);
    }
    let lift = task.lift().or_raise(&mut store.raiser, Bug::NoFunction)?;
    let (_, options, _) = store.lifted(lift)?;
    let (callback, instance) = (options.callback, options.instance);
    let callback = callback.or_raise(&mut store.raiser, Bug::NoCallback)?;
    store.take_exclusive(instance, thread)?;
    let (code, p1, p2) = match point {
        Point::CallbackWait(set) if cancelled || pending => {
            // It may have been told of an event that it now leaves to the next waiter.
            store.signal_set(set)?;
            (EventCode::TaskCancelled, 0, 0)
        }
        _ if cancelled || pending => (EventCode::TaskCancelled, 0, 0),
        Point::CallbackWait(set) => {
            store.set_get_pending_event(set)?.or_raise(&mut store.raiser, Bug::NoCallbackEvent)?
        }
        _ => (EventCode::None, 0, 0),
    };
    let args = [code as u64, u64::from(p1), u64::from(p2)];
    e.call(thread, callback, &args).raising(&mut e.store().raiser)
}
