//! Spec: `canon lower`.

use super::resolve::{self, Returned};
use super::{lift, wait};
use crate::abi::raising::Walk;
use crate::abi::types::ValType;
use crate::abi::{Context, Scope};
use crate::embedding::{Embedding, Then};
use crate::error::{Error, Resource};
use crate::event::event;
use crate::id::{LowerId, TypeId, WaitableId};
use crate::message::Misuse;
use crate::raise::{OrRaise as _, Raises, Raising as _, caught};
use crate::spec::{
    MAX_CORE_PARAMS, MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, PtrType, SubtaskState,
};
use crate::state::{Caller, Handle, Kind, Point, Subtask, Waitable};
use crate::storage::Profile;
use crate::store::Store;

/// `canon lower`: core code calls a component function.
///
/// # Errors
/// The traps of `canon_lower`, of lifting and lowering, and the callee's; `Capacity(Waitables | Tasks | Threads |
/// Handles | QueuedCalls | Lends)`. O(1) but for the values; no allocation where the callee does not block.
pub fn lower<E: Embedding + ?Sized>(e: &mut E, id: LowerId, args: &[u64]) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        let lower = *store.lower_of(id)?;
        let options = store.options_of(lower.options)?;
        let (owner, is_async, ptr) = (options.instance, options.is_async, options.ptr_type());
        if owner != instance {
            return store.raiser.raise(Misuse::ForeignLower);
        }
        let (_, callee, ty) = store.lifted(lower.callee)?;
        let (callee, may_block, params) = (callee.instance, ty.is_async && !is_async, ty.params);
        store.check_related(callee, instance)?;
        if may_block {
            store.check_may_block()?;
        }
        // A guest would die of it and take the call along; the host would lose it.
        if is_async {
            store.check_room(instance, &[(Resource::Handles, 1)])?;
        }
        let return_pointer = return_pointer(store, is_async, ptr, params, args)?;
        store.charge(instance, &[(Resource::Waitables, 1)])?;
        let subtask = Waitable::new(instance, Kind::Subtask(Subtask::new(id, return_pointer)));
        let subtask = store.waitables.insert(subtask).or_raise(&mut store.raiser, Resource::Waitables)?;

        event!(debug, subtask, "created", subtask, lower = id);
        if let Err(error) = lift::call(e, lower.callee, Caller::Guest(subtask), Some(instance), args) {
            let store = e.store();
            // The dead's stays until the purge, which finds by it a host function that has not answered.
            if !store.is_dead(instance) {
                let _ = store.purge_handle(Handle::Waitable(subtask));
            }
            return Err(error);
        }

        let store = e.store();
        let resolved = store.subtask_mut(subtask)?.resolved();
        if !is_async {
            if resolved {
                return Ok(Then::Value(finish(e, subtask)?));
            }
            return wait(e, Point::Lower(subtask));
        }
        if resolved {
            finish(e, subtask)?;
            return Ok(Then::Value(SubtaskState::Returned as u64));
        }
        let handle = store.add_handle(instance, Handle::Waitable(subtask))?;
        store.waitable_mut(subtask)?.set_handle(handle);
        let state = store.subtask_mut(subtask)?.state() as u32;
        Ok(Then::Value(u64::from(state | handle.wrapping_shl(4))))
    })
}

/// `subtask.deliver_resolve()` of a call without a handle: its flat result.
pub(crate) fn finish<E: Embedding + ?Sized>(e: &mut E, subtask: WaitableId) -> Raises<u64> {
    let store = e.store();
    store.deliver_resolve(subtask)?;
    let result = store.subtask_mut(subtask)?.flat_result;
    store.free_subtask(subtask);
    Ok(result)
}

/// Where spilled results go: the core argument after the parameters.
fn return_pointer<P: Profile>(
    store: &mut Store<P>,
    is_async: bool,
    ptr: PtrType,
    params: TypeId,
    args: &[u64],
) -> Raises<usize> {
    let count = usize::from(store.layout_of(ValType::Defined(params))?.flat);
    let max = if is_async { MAX_FLAT_ASYNC_PARAMS } else { MAX_FLAT_PARAMS };
    let at = if count <= max { count } else { 1 };
    Ok(ptr.word(args.get(at).copied().unwrap_or(0)))
}

/// The caller's side of a subtask.
pub(crate) fn context<E: Embedding + ?Sized>(e: &mut E, subtask: WaitableId) -> Raises<Context> {
    let store = e.store();
    let lower = store.subtask_mut(subtask)?.lower();
    Ok(Context { options: store.lower_of(lower)?.options, scope: Scope::Subtask(subtask) })
}

/// `on_start`: the subtask starts; how many arguments were kept for it in `kept`, if it was queued.
pub(crate) fn on_start<E: Embedding + ?Sized>(
    e: &mut E,
    subtask: WaitableId,
    kept: &mut [u64; MAX_CORE_PARAMS],
) -> Raises<Option<usize>> {
    let store = e.store();
    let entry = store.subtask_mut(subtask)?;
    let (started, args) = (entry.start(), entry.args);
    started.raising(&mut store.raiser)?;
    event!(debug, subtask, "started", subtask);
    resolve::on_progress(store, subtask)?;
    let Some(id) = args else { return Ok(None) };
    let count = store.queued.get(id).map(|queued| queued.copy_to(kept));
    store.free_args(subtask);
    Ok(count)
}

/// `on_resolve`: the callee's result goes to the caller, or `None` where it was cancelled. A caller that is
/// gone, or has trapped meanwhile, is told nothing.
pub(crate) fn on_resolve<E: Embedding + ?Sized>(
    e: &mut E,
    subtask: WaitableId,
    result: Option<&Returned<'_>>,
) -> Raises {
    let store = e.store();
    if store.waitable(subtask).is_none_or(|subtask| store.is_dead(subtask.instance())) {
        return Ok(());
    }
    if let Some(returned) = result
        && let Some(ty) = returned.ty
    {
        let to = Context { scope: Scope::None, ..context(e, subtask)? };
        let store = e.store();
        let out_param = store.subtask_mut(subtask)?.return_pointer();
        let max_results = if store.options_of(to.options)?.is_async { 0 } else { MAX_FLAT_RESULTS };
        let mut flat = [0u64; MAX_FLAT_RESULTS];
        let values = flat.get_mut(..max_results).unwrap_or(&mut []);
        let mut walk = Walk::new(returned.from, returned.results, to, values);
        walk.flat_values(e, ty, returned.max_flat, Some(out_param))?;
        let [value] = flat;
        e.store().subtask_mut(subtask)?.flat_result = value;
    }
    let store = e.store();
    let entry = store.subtask_mut(subtask)?;
    let resolved = entry.resolve(result.is_some());
    resolved.raising(&mut store.raiser)?;
    event!(debug, subtask, "resolved", subtask, returned = result.is_some());
    // Cancelled before it started: nobody will lift them.
    store.free_args(subtask);
    resolve::on_progress(store, subtask)
}
