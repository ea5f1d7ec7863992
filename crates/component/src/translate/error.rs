//! Why a component could not be translated.

use alloc::string::{String, ToString};
use core::fmt;

use crate::layout::TypeError;

/// Why a component could not be translated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TranslateError {
    /// The bytes don't begin as WebAssembly does.
    NotWasm,
    /// The bytes are a core module.
    CoreModule,
    /// The component is malformed or invalid.
    Invalid {
        /// What is wrong, in `wasmparser`'s words.
        message: String,
        /// Where, in bytes.
        offset: u64,
    },
    /// The component uses a feature of the spec that is switched off: see
    /// [`Features`](canon_async::spec::Features).
    Gated {
        /// The gate, with its sign in the spec: `🧵 threads`.
        gate: &'static str,
        /// What it was that needs the gate, in `wasmparser`'s words.
        message: String,
        /// Where, in bytes.
        offset: u64,
    },
    /// The component uses a feature that is not implemented.
    Unsupported {
        /// Which, with its sign in the spec: `📝 error-context.new`.
        what: String,
        /// Where, in bytes.
        offset: u64,
    },
    /// The component, or the work that it takes to translate it, is above a limit.
    TooLarge {
        /// Of what there are too many.
        what: &'static str,
        /// How many there are, or at least.
        found: u64,
        /// The limit.
        limit: u32,
        /// The field of [`PlanLimits`](crate::PlanLimits) that raises it, as `PlanLimits::items`; `fixed` if
        /// none does.
        field: &'static str,
        /// Where the limit was passed, in bytes, if it was at one definition.
        offset: Option<u64>,
    },
    /// A valid component broke an expectation of the translation. Please report it.
    Internal {
        /// What was expected.
        expected: String,
        /// Where, in bytes.
        offset: u64,
    },
}

impl TranslateError {
    /// Where in the component, if it is about one place.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Invalid { offset, .. }
            | Self::Gated { offset, .. }
            | Self::Unsupported { offset, .. }
            | Self::Internal { offset, .. } => Some(*offset),
            Self::TooLarge { offset, .. } => *offset,
            Self::NotWasm | Self::CoreModule => None,
        }
    }

    pub(super) fn unsupported(what: impl ToString, offset: u64) -> Self {
        Self::Unsupported { what: what.to_string(), offset }
    }

    /// The error with the offset of the definition that caused it, if it has none yet.
    pub(super) fn or_at(mut self, at: u64) -> Self {
        if let Self::TooLarge { offset, .. } = &mut self {
            offset.get_or_insert(at);
        }
        self
    }

    /// A type that the validator let pass and the layout did not.
    pub(super) fn of_type(error: TypeError, offset: u64) -> Self {
        Self::Invalid { message: error.to_string(), offset }
    }
}

impl fmt::Display for TranslateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWasm => f.write_str("not a WebAssembly file: it does not begin with \"\\0asm\""),
            Self::CoreModule => f.write_str("this is a core wasm module, not a component"),
            Self::Invalid { message, offset } => write!(f, "{message} (at offset 0x{offset:x})"),
            Self::Gated { gate, message, offset } => {
                write!(f, "the feature \"{gate}\" is switched off: {message} (at offset 0x{offset:x})")
            }
            Self::Unsupported { what, offset } => {
                write!(f, "{what} is not supported (at offset 0x{offset:x})")
            }
            Self::TooLarge { what, found, limit, field, offset } => {
                write!(f, "component too large: {found} {what}, at most {limit} ({field})")?;
                match offset {
                    Some(offset) => write!(f, ", at offset 0x{offset:x}"),
                    None => Ok(()),
                }
            }
            Self::Internal { expected, offset } => {
                write!(f, "translation expected {expected} (at offset 0x{offset:x})")
            }
        }
    }
}

impl core::error::Error for TranslateError {}

impl From<wasmparser::Error> for TranslateError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid { message: error.message().to_string(), offset: error.offset() }
    }
}
