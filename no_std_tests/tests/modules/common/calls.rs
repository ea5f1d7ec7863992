//! Calls of guests by the host, as `canon lower` with `async` makes them, with handles as arguments and results.

use crate::common::script::function;
use alloc::vec::Vec;
use canon_async::ambient;
use canon_async::canon::Builtin;
use canon_async::prelude::*;
use canon_async::state::Lower;
use canon_async::waitable_set::helpers;
use canon_async::{run, spec};

/// A call under way, or one that has returned.
#[derive(Clone, Copy)]
pub struct Call {
    pub subtask: Option<Subtask>,
    /// Where its result goes, in the host's memory.
    pub at: u32,
    ty: Option<ValueType>,
}

/// Calls a function of module 0 whose result is of this type.
pub fn call(index: u32, args: &[ComponentValue], ty: Option<ValueType>) -> Result<Call, Error> {
    let lift = function(index)?;
    let (lower, at) = ambient::core(|core| {
        let options = core.host()?.async_options;
        let lower = core.store.add_lower(Lower { callee: lift, options })?;
        Ok::<_, Error>((lower, core.memory.alloc(4)?))
    })??;
    let mut flat: Vec<u64> = args.iter().map(|arg| arg.to_bits().expect("a scalar or a handle")).collect();
    flat.extend(ty.map(|_| u64::from(at)));
    let answer = ambient::drive(|e| run::builtin(e, Builtin::Lower(lower), &flat))??;
    Ok(Call { subtask: Subtask::from_call(answer), at, ty })
}

impl Call {
    pub fn has_returned(self) -> bool {
        self.subtask.is_none()
    }

    /// Waits until it has returned, and frees its result's place.
    pub fn result(self) -> Result<ComponentValue, Error> {
        if let Some(subtask) = self.subtask {
            let entry =
                helpers::wait_for_any([Waitable::Subtask(subtask)], None)?.ready().expect("it returns");
            let state = spec::SubtaskState::Returned;
            assert_eq!(entry.waitable, Waitable::Subtask(Subtask { state, ..subtask }));
        }
        ambient::core(|core| {
            let ty = self.ty.expect("it has a result");
            let value = ComponentValue::load_defined(ty, core.store.types(), &core.memory, self.at)?;
            core.memory.free(self.at)?;
            Ok(value)
        })?
    }
}
