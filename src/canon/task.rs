//! Spec: `canon task.return`, `canon task.cancel`.

use super::resolve;
use crate::abi::types::ValType;
use crate::embedding::{Embedding, Then};
use crate::error::{Error, Trap};
use crate::id::{LiftId, OptsId, TaskId};
use crate::raise::{OrRaise as _, Raises, caught};
use crate::spec::MAX_FLAT_PARAMS;
use crate::storage::Profile;
use crate::store::Store;

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
    caught(e, |e| {
        let store = e.store();
        store.leave_check()?;
        let (task, lift) = current_task(store)?;
        let (_, lifted, ty) = store.lifted(lift)?;
        let (lifted, ty) = (*lifted, ty.result);
        if result != ty || !store.options_of(options)?.lift_equal(&lifted) {
            return store.raiser.raise(Trap::TaskReturnMismatch);
        }
        resolve::return_(e, task, args, MAX_FLAT_PARAMS)?;
        Ok(Then::Value(0))
    })
}

/// `canon task.cancel`: the current task, told of its cancellation, ends without a value. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | NotAsyncLifted | NotCancelled | TaskResolved | BorrowsRemain)`.
pub fn task_cancel<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        store.leave_check()?;
        let (task, ..) = current_task(store)?;
        resolve::cancel(e, task)?;
        Ok(Then::Value(0))
    })
}

/// The current task, which must have been lifted with `async`, and what was lifted.
fn current_task<P: Profile>(store: &mut Store<P>) -> Raises<(TaskId, LiftId)> {
    let thread = store.current_thread()?;
    let id = store.thread_mut(thread)?.task();
    // A start function's task was not lifted at all.
    let lift = store.task_mut(id)?.lift().or_raise(&mut store.raiser, Trap::NotAsyncLifted)?;
    let (_, options, _) = store.lifted(lift)?;
    if !options.is_async {
        return store.raiser.raise(Trap::NotAsyncLifted);
    }
    Ok((id, lift))
}
