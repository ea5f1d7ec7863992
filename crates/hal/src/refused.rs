//! Why a call fails, and what its guest gets then.

use alloc::boxed::Box;
use alloc::vec::Vec;

use canon_async_wasmi::{Error, Val};

/// Why a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// This case of the interface's `error-kind`.
    Case(&'static str),
    /// The guest imports the function with a type that is not that of the WIT: a trap.
    Type,
}

pub(crate) const BUSY: Refused = Refused::Case("busy");
pub(crate) const TOO_LONG: Refused = Refused::Case("too-long");
pub(crate) const UNSUPPORTED: Refused = Refused::Case("unsupported");
pub(crate) const OTHER: Refused = Refused::Case("other");

/// What a call gives its guest: `result<_, error-kind>`, with or without a value.
pub(crate) fn result(given: Result<Option<Val>, Refused>) -> Result<Option<Val>, Error> {
    let result = match given {
        Ok(val) => Ok(val.map(Box::new)),
        Err(Refused::Case(label)) => Err(Some(Box::new(Val::Enum(label.into())))),
        Err(Refused::Type) => {
            return Err(Error::host("the function was imported with another type than that of canon:hal"));
        }
    };
    Ok(Some(Val::Result(result)))
}

/// Bytes as a value.
pub(crate) fn bytes(bytes: Vec<u8>) -> Val {
    Val::List(bytes.into_iter().map(Val::U8).collect())
}

pub(crate) fn number(val: &Val) -> Result<u32, Refused> {
    match val {
        Val::U32(number) => Ok(*number),
        _ => Err(Refused::Type),
    }
}
