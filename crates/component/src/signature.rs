//! The core signatures of built-ins; those of what has to do with memory are as wide as its addresses.
//!
//! Spec: Explainer, "Canonical Built-ins" (`memory.addrtype`); Canonical ABI, "Canonical Definitions".

use canon_async::spec::PtrType;

use crate::layout::{Context, Layouts, TypeError, pointer};
use crate::plan::{BuiltinKind, CoreFuncType, CoreType, Options, Plan};
use crate::types::{Field, FuncType, Origin, ValType};

const I32: CoreType = CoreType::I32;

/// `realloc`.
pub fn realloc(pointers: PtrType) -> CoreFuncType {
    let ptr = pointer(pointers);
    CoreFuncType::new(&[ptr; 4], &[ptr])
}

/// Of a built-in that is always of one type, but for its pointers, which are as wide as `pointers` says (`context.get` and
/// `context.set` take or give one); `None` for the others.
pub fn builtin(kind: &BuiltinKind, pointers: PtrType) -> Option<CoreFuncType> {
    let ptr = pointer(pointers);
    let (params, results): (&[CoreType], &[CoreType]) = match kind {
        BuiltinKind::BackpressureInc | BuiltinKind::BackpressureDec | BuiltinKind::TaskCancel => (&[], &[]),
        BuiltinKind::WaitableSetNew
        | BuiltinKind::ThreadIndex
        | BuiltinKind::ThreadSuspend
        | BuiltinKind::ThreadYield => (&[], &[I32]),
        BuiltinKind::StreamNew { .. } | BuiltinKind::FutureNew { .. } => (&[], &[CoreType::I64]),
        BuiltinKind::ContextGet { .. } => (&[], &[ptr]),
        BuiltinKind::ContextSet { .. } => (&[ptr], &[]),
        BuiltinKind::ResourceDrop { .. }
        | BuiltinKind::WaitableSetDrop
        | BuiltinKind::SubtaskDrop
        | BuiltinKind::StreamDropReadable { .. }
        | BuiltinKind::StreamDropWritable { .. }
        | BuiltinKind::FutureDropReadable { .. }
        | BuiltinKind::FutureDropWritable { .. }
        | BuiltinKind::ThreadResumeLater
        | BuiltinKind::ErrorContextDrop => (&[I32], &[]),
        BuiltinKind::SubtaskCancel { .. }
        | BuiltinKind::StreamCancelRead { .. }
        | BuiltinKind::StreamCancelWrite { .. }
        | BuiltinKind::FutureCancelRead { .. }
        | BuiltinKind::FutureCancelWrite { .. }
        | BuiltinKind::ThreadSuspendThenResume
        | BuiltinKind::ThreadYieldThenResume
        | BuiltinKind::ThreadSuspendThenPromote
        | BuiltinKind::ThreadYieldThenPromote => (&[I32], &[I32]),
        BuiltinKind::WaitableJoin | BuiltinKind::StreamForward { .. } | BuiltinKind::FutureForward { .. } => {
            (&[I32, I32], &[])
        }
        BuiltinKind::WaitableSetWait { .. } | BuiltinKind::WaitableSetPoll { .. } => (&[I32, ptr], &[I32]),
        BuiltinKind::StreamRead { .. } | BuiltinKind::StreamWrite { .. } => (&[I32, ptr, ptr], &[ptr]),
        BuiltinKind::FutureRead { .. } | BuiltinKind::FutureWrite { .. } => (&[I32, ptr], &[I32]),
        BuiltinKind::ErrorContextNew { .. } => (&[ptr, ptr], &[I32]),
        BuiltinKind::ErrorContextDebugMessage { .. } => (&[I32, ptr], &[]),
        BuiltinKind::ThreadNewIndirect { start, .. } => (&[ptr, pointer(*start)], &[I32]),
        BuiltinKind::Lower { .. }
        | BuiltinKind::TaskReturn { .. }
        | BuiltinKind::ResourceNew { .. }
        | BuiltinKind::ResourceRep { .. } => return None,
    };
    Some(CoreFuncType::new(params, results))
}

/// `resource.new`, for representations of this type.
pub fn resource_new(rep: PtrType) -> CoreFuncType {
    CoreFuncType::new(&[pointer(rep)], &[I32])
}

/// `resource.rep`, for representations of this type.
pub fn resource_rep(rep: PtrType) -> CoreFuncType {
    CoreFuncType::new(&[I32], &[pointer(rep)])
}

/// Of any built-in of a plan; `None` where the plan does not have what it names.
///
/// # Errors
/// `Unknown`, for a type that the plan does not have.
pub fn of(
    plan: &Plan,
    layouts: &Layouts,
    kind: &BuiltinKind,
    pointers: PtrType,
) -> Result<Option<CoreFuncType>, TypeError> {
    let rep = |resource: &u32| match plan.types.resource(*resource).map(|resource| &resource.origin) {
        Some(Origin::Defined { rep, .. }) => Some(*rep),
        _ => None,
    };
    match kind {
        BuiltinKind::Lower { func, options } => {
            let is_async = |options: &Options| options.is_async;
            match (plan.func_type(*func), plan.options.get(*options as usize).map(is_async)) {
                (Some(ty), Some(is_async)) => layouts.func(ty, is_async, Context::Lower, pointers).map(Some),
                _ => Ok(None),
            }
        }
        BuiltinKind::TaskReturn { result, .. } => task_return(layouts, *result, pointers).map(Some),
        BuiltinKind::ResourceNew { resource } => Ok(rep(resource).map(resource_new)),
        BuiltinKind::ResourceRep { resource } => Ok(rep(resource).map(resource_rep)),
        _ => Ok(builtin(kind, pointers)),
    }
}

/// `task.return`: a lowered function that takes the result.
///
/// # Errors
/// `Unknown`.
pub fn task_return(
    layouts: &Layouts,
    result: Option<ValType>,
    pointers: PtrType,
) -> Result<CoreFuncType, TypeError> {
    let params = result.map(|ty| Field { name: "".into(), ty }).into_iter().collect();
    let takes = FuncType { params, result: None, is_async: false };
    layouts.func(&takes, false, Context::Lower, pointers)
}

/// The options that a built-in names.
pub fn options_of(kind: &BuiltinKind) -> Option<u32> {
    match kind {
        BuiltinKind::Lower { options, .. }
        | BuiltinKind::TaskReturn { options, .. }
        | BuiltinKind::StreamRead { options, .. }
        | BuiltinKind::StreamWrite { options, .. }
        | BuiltinKind::FutureRead { options, .. }
        | BuiltinKind::FutureWrite { options, .. }
        | BuiltinKind::ErrorContextNew { options }
        | BuiltinKind::ErrorContextDebugMessage { options } => Some(*options),
        _ => None,
    }
}
