//! Spec: `canon lower`.

use super::lift::{self, lift_source};
use super::resolve;
use crate::abi::types::ValType;
use crate::abi::{Context, Dest, Scope, raising as abi};
use crate::embedding::{Embedding, Then};
use crate::error::{Error, Resource};
use crate::event::event;
use crate::id::{LowerId, TypeId, WaitableId};
use crate::message::Misuse;
use crate::raise::{OrRaise as _, Raises, Raising as _, caught};
use crate::spec::{MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, SubtaskState};
use crate::state::{Caller, Handle, Kind, Options, Point, QueuedArgs, Subtask, Waitable};
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
        let options = *store.options_of(lower.options)?;
        if options.instance != instance {
            return store.raiser.raise(Misuse::ForeignLower);
        }
        let (_, callee, ty) = store.lifted(lower.callee)?;
        let (callee, ty) = (callee.instance, *ty);
        store.check_related(callee, instance)?;
        if ty.is_async && !options.is_async {
            store.check_may_block()?;
        }
        // A guest would die of it and take the call along; the host would lose it.
        if options.is_async && !store.instance_mut(instance)?.handles.has_room(1) {
            return store.raiser.raise(Resource::Handles);
        }
        let return_pointer = return_pointer(store, &options, ty.params, args)?;
        let subtask = Waitable::new(instance, Kind::Subtask(Subtask::new(id, return_pointer)));
        let subtask = store.waitables.insert(subtask).or_raise(&mut store.raiser, Resource::Waitables)?;

        event!(debug, subtask, "created", subtask, lower = id);
        if let Err(error) = lift::call(e, lower.callee, Caller::Guest(subtask), Some(instance), args) {
            let store = e.store();
            store.give_back_lends(Scope::Subtask(subtask));
            store.free_subtask(subtask);
            return Err(error);
        }

        let can_suspend = e.can_suspend();
        let store = e.store();
        let resolved = store.subtask_mut(subtask)?.resolved();
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
    options: &Options,
    params: TypeId,
    args: &[u64],
) -> Raises<usize> {
    let count = usize::from(store.layout_of(ValType::Defined(params))?.flat);
    let max = if options.is_async { MAX_FLAT_ASYNC_PARAMS } else { MAX_FLAT_PARAMS };
    let at = if count <= max { count } else { 1 };
    Ok(options.ptr_type().word(args.get(at).copied().unwrap_or(0)))
}

/// The caller's side of a subtask.
pub(crate) fn context<E: Embedding + ?Sized>(e: &mut E, subtask: WaitableId) -> Raises<Context> {
    let store = e.store();
    let lower = store.subtask_mut(subtask)?.lower();
    let options = store.lower_of(lower)?.options;
    Ok(Context { options: *store.options_of(options)?, scope: Scope::Subtask(subtask) })
}

/// `on_start`: the subtask starts; the arguments that were kept for it, if it was queued.
pub(crate) fn on_start<E: Embedding + ?Sized>(e: &mut E, subtask: WaitableId) -> Raises<Option<QueuedArgs>> {
    let store = e.store();
    let entry = store.subtask_mut(subtask)?;
    let (started, args) = (entry.start(), entry.args.take());
    started.raising(&mut store.raiser)?;
    event!(debug, subtask, "started", subtask);
    resolve::on_progress(store, subtask)?;
    let Some(id) = args else { return Ok(None) };
    let args = store.queued.get(id).copied();
    store.queued.free(id);
    Ok(args)
}

/// `on_resolve`: the callee's result goes to the caller, or `None` where it was cancelled. A caller that is gone is
/// told nothing.
pub(crate) fn on_resolve<E: Embedding + ?Sized>(
    e: &mut E,
    subtask: WaitableId,
    result: Option<(&Context, &[u64], usize)>,
    ty: Option<ValType>,
) -> Raises {
    if e.store().waitable(subtask).is_none() {
        return Ok(());
    }
    let returned = result.is_some();
    if let (Some((from, results, max_flat)), Some(ty)) = (result, ty) {
        let mut to = context(e, subtask)?;
        to.scope = Scope::None;
        let layout = e.store().layout_of(ty)?;
        let source = lift_source(e, from, ty, max_flat, results)?;
        let max_results = if to.options.is_async { 0 } else { MAX_FLAT_RESULTS };
        if usize::from(layout.flat) <= max_results {
            let mut flat = [0u64; MAX_FLAT_RESULTS];
            let values = flat.get_mut(..usize::from(layout.flat)).unwrap_or(&mut []);
            abi::transfer(e, from, source, &to, Dest::Flat(values), ty)?;
            let [value] = flat;
            e.store().subtask_mut(subtask)?.flat_result = value;
        } else {
            let pointer = e.store().subtask_mut(subtask)?.return_pointer();
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
    let (resolved, args) = (entry.resolve(returned), entry.args.take());
    resolved.raising(&mut store.raiser)?;
    event!(debug, subtask, "resolved", subtask, returned);
    // Cancelled before it started: nobody will lift them.
    if let Some(args) = args {
        store.queued.free(args);
    }
    resolve::on_progress(store, subtask)
}
