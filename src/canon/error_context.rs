//! 📝 Spec: `canon error-context.new`, `canon error-context.debug-message`, `canon error-context.drop`.

use crate::abi::{Context, Scope, raising as abi};
use crate::embedding::{Embedding, Then};
use crate::error::Error;
use crate::id::OptsId;
use crate::raise::caught;
use crate::state::ptr_type;

/// `canon error-context.new`: a handle to a new error context. Its message is the string, cut off after as many whole
/// characters as the profile has room for; under [`Choose::Spec`](crate::store::Choose::Spec) it is empty and the string is
/// not looked at. Cost: the string's length.
///
/// # Errors
/// `Trap(CannotLeave)`, those of lifting the string, and `Capacity(ErrorContexts | Handles)`.
pub fn error_context_new<E: Embedding + ?Sized>(
    e: &mut E,
    options: OptsId,
    ptr: u64,
    tagged_code_units: u64,
) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        let ptr_type = store.options_of(options)?.ptr_type();
        if store.is_deterministic() {
            let (index, _) = store.add_error_context(instance)?;
            return Ok(Then::Value(u64::from(index)));
        }
        let message = abi::lift_message(e, options, (ptr_type.word(ptr), tagged_code_units))?;
        let (index, id) = e.store().add_error_context(instance)?;
        abi::fill_message(e, message, id)?;
        Ok(Then::Value(u64::from(index)))
    })
}

/// `canon error-context.debug-message`: stores the message of handle `i` at `ptr`, as a string. The same message each time.
/// Cost: the message's length, and `realloc`'s.
///
/// # Errors
/// `Trap(CannotLeave | UnknownHandle | HandleKind)`; `Trap(Unaligned | OutOfBounds)` for `ptr`, before `realloc` runs (the
/// reference does not say when); those of lowering the string.
pub fn error_context_debug_message<E: Embedding + ?Sized>(
    e: &mut E,
    options: OptsId,
    i: u32,
    ptr: u64,
) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        let id = store.error_context_at(instance, i)?;
        let memory = store.options_of(options)?.memory;
        let ptr_type = ptr_type(memory);
        let (ptr, size) = (ptr_type.word(ptr), ptr_type.size());
        abi::check_range(e, memory, ptr, size, 2 * size as usize)?;
        let stored = abi::lower_message(e, id, options)?;
        abi::store_string_range(e, Context { options, scope: Scope::None }, ptr, stored)?;
        Ok(Then::Value(0))
    })
}

/// `canon error-context.drop`: drops handle `i`; the error context is gone with the last handle. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownHandle | HandleKind)`.
pub fn error_context_drop<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        let instance = store.leave_check()?;
        store.drop_error_context(instance, i)?;
        Ok(Then::Value(0))
    })
}
