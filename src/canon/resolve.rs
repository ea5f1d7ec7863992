//! Spec: Tasks: `Task.return_`, `Task.cancel`, `Task.request_cancellation`, and how the caller is told.

use super::lift::{host_context, lift_source, lower_values};
use crate::abi::{Context, Scope};
use crate::embedding::Embedding;
use crate::error::Error;
use crate::id::{InstanceId, TaskId, ThreadId, WaitableId};
use crate::run::{Entry, run};
use crate::spec::MAX_FLAT_PARAMS;
use crate::state::{Caller, Event, Point, TaskState};

/// `Task.return_`, with the lifting of the result from flat values of the callee.
pub(crate) fn return_<E: Embedding + ?Sized>(
    e: &mut E,
    task_id: TaskId,
    results: &[u64],
    max_flat: usize,
) -> Result<(), Error> {
    let store = e.store();
    let task = store.task_mut(task_id)?;
    task.check_return()?;
    let caller = task.caller();
    let lift = task.lift().ok_or(Error::Bug("a start function returned a value"))?;
    let lift = store.lift(lift)?;
    let options = store.options(lift.options)?;
    let ty = store.types().func(lift.ty).ok_or(Error::Misuse("unknown function type"))?;
    let from = Context { options, scope: Scope::None };
    match caller {
        Caller::Guest(subtask) => {
            super::lower::on_resolve(e, subtask, Some((&from, results, max_flat)), ty.result)?
        }
        Caller::Host(call) => {
            let mut flat = [0u64; MAX_FLAT_PARAMS];
            let mut count = 0;
            if let Some(result) = ty.result {
                let source = lift_source(e, &from, result, max_flat, results)?;
                let to = host_context(e, &options, Scope::None)?
                    .ok_or(Error::Misuse("the host called a host function"))?;
                count = lower_values(e, &from, source, &to, result, &mut flat)?;
            }
            e.host_result(call, Some(flat.get(..count).unwrap_or(&[])))?;
        }
        Caller::Drop(_) | Caller::Start => {}
    }
    e.store().resolve_task(task_id)
}

/// `Task.cancel`.
pub(crate) fn cancel<E: Embedding + ?Sized>(e: &mut E, task_id: TaskId) -> Result<(), Error> {
    let task = e.store().task_mut(task_id)?;
    task.check_cancel()?;
    match task.caller() {
        Caller::Guest(subtask) => super::lower::on_resolve(e, subtask, None, None)?,
        Caller::Host(call) => e.host_result(call, None)?,
        Caller::Drop(_) | Caller::Start => {}
    }
    e.store().resolve_task(task_id)
}

/// `Task.request_cancellation`, as the spec has it since its #723 and #726: at most one thread is resumed, the implicit
/// one, where it waits to enter or in its callback loop, its instance can be entered and the lock is free.
pub(crate) fn request_cancellation<E: Embedding + ?Sized>(
    e: &mut E,
    task_id: TaskId,
    from: Option<InstanceId>,
) -> Result<(), Error> {
    let store = e.store();
    store.check_depth()?;
    let task = store.task_mut(task_id)?;
    let (state, instance) = (task.state(), task.instance());
    let implicit = task.implicit_thread();
    if state == TaskState::Initial {
        task.deliver_cancel();
        let thread = implicit.ok_or(Error::Bug("a task without its implicit thread"))?;
        return run(e, thread, Entry { cancelled: true, args: &[] });
    }
    if state != TaskState::Started {
        return Ok(());
    }
    if let Some(thread) = implicit.filter(|thread| store.is_unanswered(*thread)) {
        if e.host_cancel(thread) {
            return cancel_host_call(e, thread);
        }
        return e.store().task_mut(task_id).map(|task| task.cancel_later());
    }
    // The implicit thread may have exited while others of the task go on.
    let waiting = implicit.and_then(|id| {
        let thread = store.thread(id)?;
        let in_loop = matches!(thread.point(), Point::CallbackYield | Point::CallbackWait(_));
        (thread.is_waiting() && in_loop).then_some((id, thread.point()))
    });
    let free = store.instance(instance)?.exclusive_thread().is_none() && store.may_enter_from(instance, from);
    if let Some((thread, _)) = waiting
        && free
    {
        store.task_mut(task_id)?.deliver_cancel();
        store.enter_from(instance, from)?;
        let result = run(e, thread, Entry { cancelled: true, args: &[] });
        e.store().leave_to(instance, from);
        return result;
    }
    store.task_mut(task_id)?.cancel_later();
    // It is ready as soon as its instance is free: its next event need not come (#707).
    if let Some((thread, Point::CallbackWait(set))) = waiting {
        store.signal_thread(thread, set)?;
    }
    Ok(())
}

/// A host function that was to answer later has let go: its task is cancelled, and is gone.
pub(crate) fn cancel_host_call<E: Embedding + ?Sized>(e: &mut E, thread: ThreadId) -> Result<(), Error> {
    let store = e.store();
    let task_id = store.thread_mut(thread)?.task();
    store.answered(thread);
    store.end_borrows(task_id)?;
    store.task_mut(task_id)?.deliver_cancel();
    cancel(e, task_id)?;
    e.store().exit_thread(thread)
}

/// The caller of a subtask is told: an event where it holds a handle, else its thread is woken.
pub(crate) fn on_progress<E: Embedding + ?Sized>(e: &mut E, subtask: WaitableId) -> Result<(), Error> {
    let store = e.store();
    let waitable = store.waitable_mut(subtask)?;
    if waitable.handle() != 0 {
        return store.set_pending_event(subtask, Event::Subtask);
    }
    let waiter = waitable.sync_waiter;
    match waiter {
        Some(waiter) if store.subtask(subtask)?.resolved() => store.make_ready(waiter),
        _ => Ok(()),
    }
}

/// A call whose callee died is given up: it resolves as cancelled, which the caller can take and drop.
pub(crate) fn abandon_subtask<E: Embedding + ?Sized>(e: &mut E, subtask: WaitableId) -> Result<(), Error> {
    super::lower::on_resolve(e, subtask, None, None)
}
