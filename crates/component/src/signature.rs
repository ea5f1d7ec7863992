//! The core signatures of what has to do with memory, which are as wide as its addresses.
//!
//! Spec: Explainer, "Canonical Built-ins" (`memory.addrtype`); Canonical ABI, "Canonical Definitions".

use canon_async::spec::PtrType;

use crate::layout::{Context, Layouts, TypeError, pointer};
use crate::plan::{BuiltinKind, CoreFuncType, CoreType, Options, Plan};
use crate::types::{Field, FuncType, ValType};

const I32: CoreType = CoreType::I32;

/// `realloc`.
pub fn realloc(pointers: PtrType) -> CoreFuncType {
    let ptr = pointer(pointers);
    CoreFuncType::new(&[ptr; 4], &[ptr])
}

/// Of a built-in that takes pointers and is always of one type; `None` for the others.
pub fn builtin(kind: &BuiltinKind, pointers: PtrType) -> Option<CoreFuncType> {
    let ptr = pointer(pointers);
    Some(match kind {
        BuiltinKind::WaitableSetWait { .. } | BuiltinKind::WaitableSetPoll { .. } => {
            CoreFuncType::new(&[I32, ptr], &[I32])
        }
        BuiltinKind::StreamRead { .. } | BuiltinKind::StreamWrite { .. } => {
            CoreFuncType::new(&[I32, ptr, ptr], &[ptr])
        }
        BuiltinKind::FutureRead { .. } | BuiltinKind::FutureWrite { .. } => {
            CoreFuncType::new(&[I32, ptr], &[I32])
        }
        BuiltinKind::ErrorContextNew { .. } => CoreFuncType::new(&[ptr, ptr], &[I32]),
        BuiltinKind::ErrorContextDebugMessage { .. } => CoreFuncType::new(&[I32, ptr], &[]),
        _ => return None,
    })
}

/// Of `canon lower` and `task.return`, too; `None` for those without pointers, or where the plan does not have what they name.
///
/// # Errors
/// `Unknown`, for a type that the plan does not have.
pub fn of(
    plan: &Plan,
    layouts: &Layouts,
    kind: &BuiltinKind,
    pointers: PtrType,
) -> Result<Option<CoreFuncType>, TypeError> {
    match kind {
        BuiltinKind::Lower { func, options } => {
            let is_async = |options: &Options| options.is_async;
            match (plan.func_type(*func), plan.options.get(*options as usize).map(is_async)) {
                (Some(ty), Some(is_async)) => layouts.func(ty, is_async, Context::Lower, pointers).map(Some),
                _ => Ok(None),
            }
        }
        BuiltinKind::TaskReturn { result, .. } => task_return(layouts, *result, pointers).map(Some),
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
