//! [`Error`].

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;

#[cfg(feature = "translate")]
use canon_async_component::TranslateError;
use canon_async_component::{LinkError, PlanError, ValError};

use crate::backtrace::Backtrace;
use crate::fuel::Stopped;

/// Why something failed. Its text is all that there is to say: that of its
/// [`source`](core::error::Error::source) is in it, or, of a [`Trap`](Error::Trap), less exact; but of a trap
/// of guests the source is their [`Backtrace`], which says where they were.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no component that can run here.
    #[cfg(feature = "translate")]
    Component(TranslateError),
    /// The bytes are no plan, or a damaged one.
    Plan(PlanError),
    /// wasmi refused a core module; its own text.
    Module(String),
    /// A component could not be instantiated.
    Link(LinkError),
    /// The core's error: a guest trapped, a limit was reached, or this crate was misused.
    Trap {
        /// Which.
        error: canon_async::Error,
        /// In words: wasmi's, the host function's, or those of `error`.
        text: String,
        /// Where guests were, if it came up in one.
        at: Option<Box<Backtrace>>,
    },
    /// A value of the host could not cross the boundary.
    Value(ValError),
    /// The call was cancelled before it returned.
    Cancelled,
    /// What a host function says: to its guest it is a trap with this text.
    Host(String),
}

impl Error {
    /// A host function's own error: the guest that called it traps with this text.
    pub fn host(text: impl fmt::Display) -> Self {
        Self::Host(text.to_string())
    }

    /// The core's error, where it is one.
    pub fn core(&self) -> Option<canon_async::Error> {
        match self {
            Self::Trap { error, .. } | Self::Link(LinkError::Store(error)) => Some(*error),
            Self::Value(ValError::Core(error)) => Some(*error),
            _ => None,
        }
    }

    /// What ended the guest, or the wait, if it was ended from outside: fuel, an interrupt, a deadline.
    pub fn stopped(&self) -> Option<Stopped> {
        self.core().and_then(Stopped::of)
    }

    /// The component that trapped and its chain of callers. `None` if the error came up outside of guests.
    pub fn backtrace(&self) -> Option<&Backtrace> {
        match self {
            Self::Trap { at, .. } => at.as_deref(),
            _ => None,
        }
    }

    /// The same error, with where guests were.
    pub(crate) fn at(self, at: Option<Box<Backtrace>>) -> Self {
        match self {
            Self::Trap { error, text, .. } => Self::Trap { error, text, at },
            other => other,
        }
    }

    /// The core's error in its own words.
    pub(crate) fn plain(error: canon_async::Error) -> Self {
        let text = match error {
            canon_async::Error::Trap(trap) => trap.to_string(),
            other => other.to_string(),
        };
        Self::Trap { error, text, at: None }
    }

    pub(crate) fn misuse(text: &'static str) -> Self {
        Self::plain(canon_async::Error::Misuse(text))
    }
}

impl Error {
    /// Without where guests were.
    fn message(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "translate")]
            Self::Component(error) => write!(f, "{error}"),
            Self::Plan(error) => write!(f, "{error}"),
            Self::Module(text) => write!(f, "core module: {text}"),
            Self::Link(error) => write!(f, "{error}"),
            Self::Trap { text, .. }
                if matches!(self.stopped(), Some(Stopped::Interrupt | Stopped::Deadline)) =>
            {
                f.write_str(text)
            }
            Self::Trap { error: canon_async::Error::Trap(_), text, .. } => write!(f, "wasm trap: {text}"),
            Self::Trap { text, .. } => f.write_str(text),
            Self::Value(error) => write!(f, "{error}"),
            Self::Cancelled => f.write_str("the call was cancelled"),
            Self::Host(text) => f.write_str(text),
        }
    }
}

/// What happened, on one line; with `{:#}` also where guests were: a line for each call between components.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message(f)?;
        match self.backtrace() {
            Some(backtrace) if f.alternate() => write!(f, "\n{backtrace:#}"),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            #[cfg(feature = "translate")]
            Self::Component(error) => Some(error),
            Self::Plan(error) => Some(error),
            Self::Link(error) => Some(error),
            Self::Trap { at: Some(backtrace), .. } => Some(&**backtrace),
            Self::Trap { error, .. } => Some(error),
            Self::Value(error) => Some(error),
            _ => None,
        }
    }
}

impl From<canon_async::Error> for Error {
    fn from(error: canon_async::Error) -> Self {
        Self::plain(error)
    }
}

#[cfg(feature = "translate")]
impl From<TranslateError> for Error {
    fn from(error: TranslateError) -> Self {
        Self::Component(error)
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<ValError> for Error {
    fn from(error: ValError) -> Self {
        Self::Value(error)
    }
}
