//! What the tests of waitable sets share.

use canon_async::ambient;
use canon_async::prelude::*;
use canon_async::store::Counts;

pub fn is_misuse<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Misuse(_)))
}

pub fn counts() -> Counts {
    ambient::core(|core| {
        core.store.check().expect("the invariants hold");
        core.store.counts()
    })
    .expect("not in use")
}

/// Blocks of the host's memory that are in use.
pub fn blocks() -> u32 {
    ambient::core(|core| core.memory.blocks()).expect("not in use")
}

/// A future in a set: its handle, and its id there.
pub fn add(set: WaitableSetId) -> Result<(FutureHandle, WaitableId), Error> {
    let handle = FutureHandle::new();
    Ok((handle, WaitableSetBuiltins::waitable_set_add(set, Waitable::Future(handle.into()))?))
}
