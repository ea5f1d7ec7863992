//! How an error travels inside the core.
//!
//! An [`Error`] is three words. Answered by value it would be copied by every function on its way, which on a 32-bit part was a
//! fifth of the core's code. So it is kept in the store when it comes up, and what functions answer is only *that* it did:
//! [`Raised`], which takes no room, so that a `Result` with it fits a register. [`caught`] is where it comes out again.
//!
//! [`Misuse`] and [`Bug`] are what the core finds wrong by itself. Their texts are in one table, and without the feature
//! `messages` their numbers take its place.

use crate::embedding::Embedding;
use crate::error::{Error, LimitReached, Resource, Trap};
use crate::message::{Bug, Misuse};

/// An error came up, and is in the store's [`Raiser`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Raised(());

/// A value, or an error that is in the store's [`Raiser`].
pub(crate) type Raises<T = ()> = Result<T, Raised>;

/// Where the error on its way is kept. What is in it means nothing where nobody has a [`Raised`].
#[derive(Debug)]
pub(crate) struct Raiser(Error);

impl Raiser {
    /// Of an empty store: zeros.
    pub(crate) const EMPTY: Self = Self(Error::Trap(Trap::Engine(0)));

    /// An error is on its way from here; one that was kept is forgotten.
    #[inline(always)]
    pub(crate) fn raise<T>(&mut self, cause: impl Cause) -> Raises<T> {
        Err(cause.raise(self))
    }

    /// The error that came up.
    pub(crate) fn error(&self, _: Raised) -> Error {
        self.0
    }

    /// Whether a limit was reached.
    pub(crate) fn is_capacity(&self, _: Raised) -> bool {
        matches!(self.0, Error::Capacity(_))
    }

    /// Whether it is a bug.
    pub(crate) fn is_bug(&self, _: Raised) -> bool {
        matches!(self.0, Error::Bug(_))
    }

    /// Whether it is a trap of the engine: of guest code, or where [`Embedding::charge`] refused.
    pub(crate) fn is_engine_trap(&self, _: Raised) -> bool {
        matches!(self.0, Error::Trap(Trap::Engine(_)))
    }

    #[inline(always)]
    fn keep(&mut self, error: Error) -> Raised {
        self.0 = error;
        Raised(())
    }
}

/// What an error is made of.
pub(crate) trait Cause {
    /// Keeps the error.
    fn raise(self, raiser: &mut Raiser) -> Raised;
}

impl Cause for Error {
    #[inline(always)]
    fn raise(self, raiser: &mut Raiser) -> Raised {
        raiser.keep(self)
    }
}

impl Cause for Trap {
    #[inline(always)]
    fn raise(self, raiser: &mut Raiser) -> Raised {
        raiser.keep(Error::Trap(self))
    }
}

impl Cause for Resource {
    #[cold]
    #[inline(never)]
    fn raise(self, raiser: &mut Raiser) -> Raised {
        raiser.keep(Error::capacity(self))
    }
}

impl Cause for LimitReached {
    #[cold]
    #[inline(never)]
    fn raise(self, raiser: &mut Raiser) -> Raised {
        raiser.keep(Error::Capacity(self))
    }
}

impl Cause for Misuse {
    #[cold]
    #[inline(never)]
    fn raise(self, raiser: &mut Raiser) -> Raised {
        raiser.keep(self.into())
    }
}

impl Cause for Bug {
    #[cold]
    #[inline(never)]
    fn raise(self, raiser: &mut Raiser) -> Raised {
        raiser.keep(self.into())
    }
}

/// `None` and `Err` as an error on its way.
pub(crate) trait OrRaise<T, C> {
    /// The value; or the error that `cause` is.
    fn or_raise(self, raiser: &mut Raiser, cause: C) -> Raises<T>;
}

impl<T, C: Cause> OrRaise<T, C> for Option<T> {
    #[inline(always)]
    fn or_raise(self, raiser: &mut Raiser, cause: C) -> Raises<T> {
        match self {
            Some(value) => Ok(value),
            None => raiser.raise(cause),
        }
    }
}

/// A `Result` whose error is put on its way.
pub(crate) trait Raising<T> {
    /// The value; or its error.
    fn raising(self, raiser: &mut Raiser) -> Raises<T>;
}

impl<T, C: Cause> Raising<T> for Result<T, C> {
    #[inline(always)]
    fn raising(self, raiser: &mut Raiser) -> Raises<T> {
        match self {
            Ok(value) => Ok(value),
            Err(cause) => raiser.raise(cause),
        }
    }
}

/// Runs `f`; an error that comes up in it is answered by value.
#[inline]
pub(crate) fn caught<E: Embedding + ?Sized, T>(
    e: &mut E,
    f: impl FnOnce(&mut E) -> Raises<T>,
) -> Result<T, Error> {
    match f(e) {
        Ok(value) => Ok(value),
        Err(raised) => Err(e.store().raiser.error(raised)),
    }
}
