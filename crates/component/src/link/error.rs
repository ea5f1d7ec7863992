//! Why a plan could not be instantiated.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use canon_async::Error;

use super::missing::MissingImport;
use crate::engine::EngineError;
use crate::layout::TypeError;
use crate::val::ValError;

/// Why a plan could not be instantiated.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LinkError {
    /// The linker has nothing for these imports: all that are missing, at least one.
    Missing(Vec<MissingImport>),
    /// The linker has something else at this path.
    Mismatch {
        /// The import: `name`, or `instance#name`.
        path: String,
        /// Where in its type the difference is, step by step: `parameter 2 "p"`, `field "q"`. Empty where it is all of it.
        at: Vec<String>,
        /// What the component wants there, as text.
        expected: String,
        /// What the linker has, as text.
        found: String,
    },
    /// The engine refused a module, an instance or a function.
    Engine {
        /// Which: `core instance 3`.
        what: String,
        /// The engine's own text.
        message: String,
    },
    /// The store's error: `Capacity` with the limit's name, or a trap of a start function.
    Store(Error),
    /// A function of core wasm is not of the type that the canonical ABI demands.
    CoreType {
        /// Which: `realloc`.
        what: String,
        /// The type that it has to have.
        expected: String,
        /// The type that it has.
        found: String,
    },
    /// 🪙 A value that is imported is not of its type, or the result of a start function could not be taken.
    Value(ValError),
    /// The plan's types are no types.
    Types(TypeError),
    /// The plan contradicts itself: it does not come from a translation, or it was damaged.
    Plan {
        /// What was expected.
        expected: String,
    },
}

impl LinkError {
    pub(super) fn plan(expected: impl ToString) -> Self {
        Self::Plan { expected: expected.to_string() }
    }

    pub(super) fn engine(what: impl ToString, error: EngineError) -> Self {
        match error {
            EngineError::Run(error) => Self::Store(error),
            EngineError::Text(message) => Self::Engine { what: what.to_string(), message },
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(imports) => {
                for (at, import) in imports.iter().enumerate() {
                    f.write_str(if at > 0 { "\n" } else { "" })?;
                    import.fmt(f)?;
                }
                Ok(())
            }
            Self::Mismatch { path, at, expected, found } => {
                write!(f, "import \"{path}\": ")?;
                at.iter().try_for_each(|step| write!(f, "{step}: "))?;
                write!(f, "expected {expected}, found {found}")
            }
            Self::Engine { what, message } => write!(f, "{what}: {message}"),
            Self::Store(error) => error.fmt(f),
            Self::CoreType { what, expected, found } => {
                write!(f, "{what} must be a core function of type {expected}, found {found}")
            }
            Self::Value(error) => error.fmt(f),
            Self::Types(error) => error.fmt(f),
            Self::Plan { expected } => write!(f, "damaged plan: expected {expected}"),
        }
    }
}

impl core::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Value(error) => Some(error),
            Self::Types(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ValError> for LinkError {
    fn from(error: ValError) -> Self {
        match error {
            ValError::Core(error) => Self::Store(error),
            error => Self::Value(error),
        }
    }
}

impl From<Error> for LinkError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
