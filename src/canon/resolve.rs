//! Spec: Tasks: `Task.return_`, `Task.cancel`, `Task.request_cancellation`, and how the caller is told.

use super::lift::host_options;
use crate::abi::raising::Walk;
use crate::abi::types::ValType;
use crate::abi::{Context, Scope};
use crate::embedding::Embedding;
use crate::event::event;
use crate::id::{TaskId, ThreadId, WaitableId};
use crate::message::{Bug, Misuse};
use crate::raise::{OrRaise as _, Raises, Raising as _};
use crate::run::{Entry, check_depth, run};
use crate::spec::MAX_FLAT_PARAMS;
use crate::state::{Caller, Event, Point, TaskState};
use crate::storage::Profile;
use crate::store::Store;

/// What a task returns: flat values of the callee, or their address where they are more than `max_flat`.
pub(crate) struct Returned<'a> {
    pub from: Context,
    pub ty: Option<ValType>,
    pub results: &'a [u64],
    pub max_flat: usize,
}

/// `Task.return_`, with the lifting of the result from flat values of the callee.
pub(crate) fn return_<E: Embedding + ?Sized>(
    e: &mut E,
    task_id: TaskId,
    results: &[u64],
    max_flat: usize,
) -> Raises {
    let store = e.store();
    let task = store.task_mut(task_id)?;
    let (checked, lift) = (task.check_return(), task.lift());
    checked.raising(&mut store.raiser)?;
    let lift = lift.or_raise(&mut store.raiser, Bug::StartReturnedValue)?;
    let (lift, _, ty) = store.lifted(lift)?;
    let from = Context { options: lift.options, scope: Scope::None };
    let returned = Returned { from, ty: ty.result, results, max_flat };
    on_resolve(e, task_id, Some(&returned))?;
    event!(debug, task, "returned", task = task_id);
    Ok(())
}

/// `Task.cancel`.
pub(crate) fn cancel<E: Embedding + ?Sized>(e: &mut E, task_id: TaskId) -> Raises {
    let store = e.store();
    let checked = store.task_mut(task_id)?.check_cancel();
    checked.raising(&mut store.raiser)?;
    on_resolve(e, task_id, None)?;
    event!(debug, task, "cancelled", task = task_id);
    Ok(())
}

/// `on_resolve`, and the task is resolved.
fn on_resolve<E: Embedding + ?Sized>(e: &mut E, task_id: TaskId, result: Option<&Returned<'_>>) -> Raises {
    match e.store().task_mut(task_id)?.caller() {
        Caller::Guest(subtask) => super::lower::on_resolve(e, subtask, result)?,
        Caller::Host(call) => {
            let mut flat = [0u64; MAX_FLAT_PARAMS];
            let values = match result {
                Some(returned) => Some(host_values(e, returned, &mut flat)?),
                None => None,
            };
            e.host_result(call, values).raising(&mut e.store().raiser)?;
        }
        Caller::Drop(_) | Caller::Start => {}
    }
    e.store().resolve_task(task_id)
}

/// What a task returns, as the host gets it.
fn host_values<'a, E: Embedding + ?Sized>(
    e: &mut E,
    returned: &Returned<'_>,
    flat: &'a mut [u64; MAX_FLAT_PARAMS],
) -> Raises<&'a [u64]> {
    let Some(ty) = returned.ty else { return Ok(&[]) };
    let host = host_options(e, returned.from.options)?;
    let host = host.or_raise(&mut e.store().raiser, Misuse::HostCalledHost)?;
    let to = Context { options: host, scope: Scope::None };
    let mut walk = Walk::new(returned.from, returned.results, to, flat);
    let count = walk.flat_values(e, ty, returned.max_flat, None)?;
    Ok(flat.get(..count).unwrap_or(&[]))
}

/// `Task.request_cancellation`, as the spec has it since its #705, #723 and #726: at most one thread is
/// resumed, the implicit one, where it waits to enter or in its callback loop, and the lock is free.
pub(crate) fn request_cancellation<E: Embedding + ?Sized>(e: &mut E, task_id: TaskId) -> Raises {
    check_depth(e)?;
    let store = e.store();
    let task = store.task_mut(task_id)?;
    let (state, instance) = (task.state(), task.instance());
    let implicit = task.implicit_thread();
    if state == TaskState::Initial {
        task.deliver_cancel();
        event!(debug, task, "cancel delivered", task = task_id);
        let thread = implicit.or_raise(&mut store.raiser, Bug::NoImplicitThread)?;
        return run(e, thread, &Entry { cancelled: true, args: &[] });
    }
    if state != TaskState::Started {
        return Ok(());
    }
    if let Some(thread) = implicit.filter(|thread| store.is_unanswered(*thread)) {
        if e.host_cancel(thread) {
            return cancel_host_call(e, thread);
        }
        event!(debug, task, "cancelling", task = task_id);
        return e.store().task_mut(task_id).map(|task| task.cancel_later());
    }
    let waiting = implicit.and_then(|id| {
        let thread = store.thread(id)?;
        let in_loop = matches!(thread.point(), Point::CallbackYield | Point::CallbackWait(_));
        (thread.is_waiting() && in_loop).then_some((id, thread.point()))
    });
    let callee = store.instance_mut(instance)?;
    let free = callee.exclusive_thread().is_none() && !callee.is_poisoned();
    if let Some((thread, _)) = waiting
        && free
    {
        store.task_mut(task_id)?.deliver_cancel();
        event!(debug, task, "cancel delivered", task = task_id);
        return run(e, thread, &Entry { cancelled: true, args: &[] });
    }
    store.task_mut(task_id)?.cancel_later();
    event!(debug, task, "cancelling", task = task_id);
    // It is ready as soon as its instance is free: its next event need not come (#707).
    if let Some((thread, Point::CallbackWait(_))) = waiting {
        store.make_ready(thread)?;
    }
    Ok(())
}

/// A host function that was to answer later has let go: its task is cancelled, and is gone.
pub(crate) fn cancel_host_call<E: Embedding + ?Sized>(e: &mut E, thread: ThreadId) -> Raises {
    let store = e.store();
    let task_id = store.thread_mut(thread)?.task();
    store.end_borrows(task_id)?;
    store.task_mut(task_id)?.deliver_cancel();
    event!(debug, task, "cancel delivered", task = task_id);
    cancel(e, task_id)?;
    e.store().exit_thread(thread)
}

/// The caller of a subtask is told: an event where it holds a handle, else its thread is woken.
pub(crate) fn on_progress<P: Profile>(store: &mut Store<P>, subtask: WaitableId) -> Raises {
    let waitable = store.waitable_mut(subtask)?;
    if waitable.handle() != 0 {
        return store.set_pending_event(subtask, Event::Subtask);
    }
    let waiter = waitable.sync_waiter;
    match waiter {
        Some(waiter) if store.subtask_mut(subtask)?.resolved() => store.make_ready(waiter),
        _ => Ok(()),
    }
}

/// A call whose callee died is given up: it resolves as cancelled, which the caller can take and drop.
pub(crate) fn abandon_subtask<E: Embedding + ?Sized>(e: &mut E, subtask: WaitableId) -> Raises {
    super::lower::on_resolve(e, subtask, None)
}
