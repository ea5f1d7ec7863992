//! Spec: `canon resource.new`, `canon resource.drop`, `canon resource.rep`.

use super::lift;
use crate::embedding::{Embedding, Then};
use crate::error::{Error, Trap};
use crate::id::ResourceId;
use crate::message::Misuse;
use crate::raise::{OrRaise as _, caught};
use crate::state::{Caller, Rep};

/// `canon resource.new`: a handle that owns a new resource of representation `rep`, an `i32`'s zero-extended. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave)`; `Capacity(Handles)`.
pub fn resource_new<E: Embedding + ?Sized>(e: &mut E, rt: ResourceId, rep: u64) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        let index = store.lower_own(instance, Rep::from_bits(rep), rt)?;
        Ok(Then::Value(u64::from(index)))
    })
}

/// `canon resource.drop`: drops handle `i`; an owned one runs the type's destructor, as a synchronous call of the
/// instance that defines the type. Cost: O(1) and the destructor's.
///
/// # Errors
/// `Trap(CannotLeave | UnknownHandle | HandleKind | ResourceType | ResourceLent | CannotEnter)`, and the destructor's.
pub fn resource_drop<E: Embedding + ?Sized>(e: &mut E, rt: ResourceId, i: u32) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        let handle = *store.resource_handle(instance, i, rt)?;
        if handle.num_lends != 0 {
            return store.raiser.raise(Trap::ResourceLent);
        }
        store.remove_handle(instance, i);
        match handle.borrow_scope {
            // The task is gone where its arguments could not all be passed.
            Some(task) => {
                if let Some(task) = store.tasks.get_mut(task) {
                    task.drop_borrow();
                }
            }
            None => {
                let resource =
                    store.types().get_resource(rt).map(|resource| (resource.instance, resource.dtor));
                let (owner, dtor) = resource.or_raise(&mut store.raiser, Misuse::UnknownResource)?;
                store.check_enter(owner)?;
                if let Some(dtor) = dtor {
                    lift::call(e, dtor, Caller::Drop(handle.rep), Some(instance), &[])?;
                }
            }
        }
        Ok(Then::Value(0))
    })
}

/// `canon resource.rep`: the representation behind handle `i`. Cost: O(1).
///
/// # Errors
/// `Trap(UnknownHandle | HandleKind | ResourceType)`.
pub fn resource_rep<E: Embedding + ?Sized>(e: &mut E, rt: ResourceId, i: u32) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.current_instance()?;
        let handle = store.resource_handle(instance, i, rt)?;
        Ok(Then::Value(handle.rep.bits()))
    })
}
