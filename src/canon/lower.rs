//! Spec: `canon lower`.

use super::lift::{self, lift_source};
use super::resolve;
use crate::abi::types::ValType;
use crate::abi::{self, Context, Dest, Scope};
use crate::embedding::{Embedding, Then};
use crate::error::{Error, Resource};
use crate::id::{LowerId, WaitableId};
use crate::spec::{MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, SubtaskState};
use crate::state::{Caller, Handle, Kind, Point, QueuedArgs, Subtask, Waitable};

/// `canon lower`: core code calls a component function.
///
/// # Errors
/// The traps of `canon_lower`, of lifting and lowering, and the callee's; `Capacity(Waitables | Tasks | Threads |
/// Handles | QueuedCalls | Lends)`. O(1) but for the values; no allocation where the callee does not block.
pub fn lower<E: Embedding + ?Sized>(e: &mut E, id: LowerId, args: &[u64]) -> Result<Then, Error> {
    let store = e.store();
    let instance = store.leave_check()?;
    let lower = store.lower(id)?;
    let options = store.options(lower.options)?;
    if options.instance != instance {
        return Err(Error::Misuse("a lowered function was called by another instance"));
    }
    let callee = store.lift(lower.callee)?;
    let ty = store.types().func(callee.ty).ok_or(Error::Misuse("unknown function type"))?;
    store.check_related(store.options(callee.options)?.instance, instance)?;
    if ty.is_async && !options.is_async {
        store.check_may_block()?;
    }
    // A guest would die of it and take the call along; the host would lose it.
    if options.is_async && !store.instance(instance)?.handles.has_room(1) {
        return Err(Error::Capacity(Resource::Handles));
    }
    let return_pointer = return_pointer(e, id, args)?;
    let subtask = Waitable::new(instance, Kind::Subtask(Subtask::new(id, return_pointer)));
    let subtask = e.store().waitables.insert(subtask).map_err(|_| Error::Capacity(Resource::Waitables))?;

    if let Err(error) = lift::call(e, lower.callee, Caller::Guest(subtask), Some(instance), args) {
        let store = e.store();
        store.give_back_lends(Scope::Subtask(subtask));
        store.free_subtask(subtask);
        return Err(error);
    }

    let can_suspend = e.can_suspend();
    let store = e.store();
    let resolved = store.subtask(subtask)?.resolved();
    if !options.is_async {
        if resolved {
            return Ok(Then::Value(finish(e, subtask)?));
        }
        let thread = store.check_can_block(can_suspend)?;
        store.start_waiting(thread, Point::Lower(subtask))?;
        return Ok(Then::Suspend);
    }
    if resolved {
        finish(e, subtask)?;
        return Ok(Then::Value(SubtaskState::Returned as u64));
    }
    let handle = store.add_handle(instance, Handle::Waitable(subtask))?;
    store.waitable_mut(subtask)?.set_handle(handle);
    let state = store.subtask(subtask)?.state() as u32;
    Ok(Then::Value(u64::from(state | handle.wrapping_shl(4))))
}

/// `subtask.deliver_resolve()` of a call without a handle: its flat result.
pub(crate) fn finish<E: Embedding + ?Sized>(e: &mut E, subtask: WaitableId) -> Result<u64, Error> {
    let store = e.store();
    store.deliver_resolve(subtask)?;
    let result = store.subtask(subtask)?.flat_result;
    store.free_subtask(subtask);
    Ok(result)
}

/// Where spilled results go: the core argument after the parameters.
fn return_pointer<E: Embedding + ?Sized>(e: &mut E, id: LowerId, args: &[u64]) -> Result<usize, Error> {
    let store = e.store();
    let lower = store.lower(id)?;
    let options = store.options(lower.options)?;
    let ty = store
        .lift(lower.callee)
        .and_then(|lift| store.types().func(lift.ty).ok_or(Error::Misuse("unknown function type")))?;
    let params = store.types().layout(ValType::Defined(ty.params)).ok_or(Error::Misuse("unknown type"))?;
    let max = if options.is_async { MAX_FLAT_ASYNC_PARAMS } else { MAX_FLAT_PARAMS };
    let count = usize::from(params.flat);
    let at = if count <= max { count } else { 1 };
    Ok(options.ptr_type().word(args.get(at).copied().unwrap_or(0)))
}

/// The caller's side of a subtask.
pub(crate) fn context<E: Embedding + ?Sized>(e: &mut E, subtask: WaitableId) -> Result<Context, Error> {
    let store = e.store();
    let lower = store.lower(store.subtask(subtask)?.lower())?;
    Ok(Context { options: store.options(lower.options)?, scope: Scope::Subtask(subtask) })
}

/// `on_start`: the subtask starts; the arguments that were kept for it, if it was queued.
pub(crate) fn on_start<E: Embedding + ?Sized>(
    e: &mut E,
    subtask: WaitableId,
) -> Result<Option<QueuedArgs>, Error> {
    let store = e.store();
    let entry = store.subtask_mut(subtask)?;
    entry.start()?;
    let args = entry.args.take();
    resolve::on_progress(e, subtask)?;
    Ok(args.and_then(|args| e.store().queued.remove(args)))
}

/// `on_resolve`: the callee's result goes to the caller, or `None` where it was cancelled. A caller that is gone is
/// told nothing.
pub(crate) fn on_resolve<E: Embedding + ?Sized>(
    e: &mut E,
    subtask: WaitableId,
    result: Option<(&Context, &[u64], usize)>,
    ty: Option<ValType>,
) -> Result<(), Error> {
    if e.store().waitable(subtask).is_none() {
        return Ok(());
    }
    let returned = result.is_some();
    if let (Some((from, results, max_flat)), Some(ty)) = (result, ty) {
        let mut to = context(e, subtask)?;
        to.scope = Scope::None;
        let layout = e.store().types().layout(ty).ok_or(Error::Misuse("unknown type"))?;
        let source = lift_source(e, from, ty, max_flat, results)?;
        let max_results = if to.options.is_async { 0 } else { MAX_FLAT_RESULTS };
        if usize::from(layout.flat) <= max_results {
            let mut flat = [0u64; MAX_FLAT_RESULTS];
            let values = flat.get_mut(..usize::from(layout.flat)).unwrap_or(&mut []);
            abi::transfer(e, from, source, &to, Dest::Flat(values), ty)?;
            let [value] = flat;
            e.store().subtask_mut(subtask)?.flat_result = value;
        } else {
            let pointer = e.store().subtask(subtask)?.return_pointer();
            let ptr = to.options.ptr_type();
            if let Err(error) =
                abi::check_range(e, &to, pointer, layout.align(ptr), layout.size(ptr) as usize)
            {
                e.store().blame(to.options.instance);
                return Err(error);
            }
            abi::transfer(e, from, source, &to, Dest::Memory(pointer), ty)?;
        }
    }
    let store = e.store();
    let entry = store.subtask_mut(subtask)?;
    entry.resolve(returned)?;
    // Cancelled before it started: nobody will lift them.
    if let Some(args) = entry.args.take() {
        store.queued.remove(args);
    }
    resolve::on_progress(e, subtask)
}
