//! Spec: `canon task.return`, `canon task.cancel`.

use super::resolve;
use crate::abi::types::ValType;
use crate::embedding::{Embedding, Then};
use crate::error::{Error, Trap};
use crate::id::{OptsId, TaskId};
use crate::spec::MAX_FLAT_PARAMS;
use crate::state::Options;

/// `canon task.return`: the current task returns a value to its caller, and goes on. Cost: the value's.
///
/// `result` and `options` are the definition's, `args` the flat result (or its address).
///
/// # Errors
/// `Trap(CannotLeave | NotAsyncLifted | TaskReturnMismatch | TaskResolved | BorrowsRemain)` and those of lifting and
/// lowering.
pub fn task_return<E: Embedding + ?Sized>(
    e: &mut E,
    result: Option<ValType>,
    options: OptsId,
    args: &[u64],
) -> Result<Then, Error> {
    let store = e.store();
    store.leave_check()?;
    let (task, task_options) = current_task(e)?;
    let store = e.store();
    if !task_options.is_async {
        return Err(Trap::NotAsyncLifted.into());
    }
    let lift = store.task_mut(task)?.lift().ok_or(Trap::NotAsyncLifted)?;
    let lift = store.lift(lift)?;
    let ty = store.types().func(lift.ty).ok_or(Error::Misuse("unknown function type"))?;
    if result != ty.result || !store.options(options)?.lift_equal(&task_options) {
        return Err(Trap::TaskReturnMismatch.into());
    }
    resolve::return_(e, task, args, MAX_FLAT_PARAMS)?;
    Ok(Then::Value(0))
}

/// `canon task.cancel`: the current task, told of its cancellation, ends without a value. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | NotAsyncLifted | NotCancelled | TaskResolved | BorrowsRemain)`.
pub fn task_cancel<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    e.store().leave_check()?;
    let (task, options) = current_task(e)?;
    if !options.is_async {
        return Err(Trap::NotAsyncLifted.into());
    }
    resolve::cancel(e, task)?;
    Ok(Then::Value(0))
}

/// The current task and the options that it was lifted with.
fn current_task<E: Embedding + ?Sized>(e: &mut E) -> Result<(TaskId, Options), Error> {
    let store = e.store();
    let thread = store.current_thread()?;
    let id = store.thread_mut(thread)?.task();
    // A start function's task was not lifted at all.
    let lift = store.task_mut(id)?.lift().ok_or(Trap::NotAsyncLifted)?;
    let options = store.options(store.lift(lift)?.options)?;
    Ok((id, options))
}
