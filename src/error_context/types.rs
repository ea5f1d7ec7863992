//! What an error context of the host is made of.

use crate::ambient::text::keep;
use crate::ambient::{AsText, Text};
use crate::id::HostErrorId;
use core::fmt;

/// An error context of the host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ErrorContextId {
    pub(super) id: HostErrorId,
    /// Counts the resets of the ambient store.
    pub(super) epoch: u32,
}

/// How bad an error is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ErrorSeverity {
    /// Worth knowing.
    Info,
    /// Something may go wrong.
    Warning,
    /// Something went wrong.
    Error,
    /// Nothing will go right.
    Critical,
}

impl fmt::Display for ErrorSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

/// A place in a program, as far as it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct StackFrame {
    /// The function's name.
    pub function: Text,
    /// The source file.
    pub file: Option<Text>,
    /// The line in the file, from 1.
    pub line: Option<u32>,
    /// The column in the line, from 1.
    pub column: Option<u32>,
}

impl StackFrame {
    /// A place in a function, of which no more is known. A name that is longer than the limit is refused where the frame is added:
    /// `Capacity(TextBytes)`.
    pub fn new(function: impl AsText) -> Self {
        Self { function: keep(&function), file: None, line: None, column: None }
    }

    /// With the place in a file.
    pub fn at(self, file: impl AsText, line: u32, column: u32) -> Self {
        Self { file: Some(keep(&file)), line: Some(line), column: Some(column), ..self }
    }
}

/// The name, and in a line of its own where that is: `file:line:column`, as far as it is known.
impl fmt::Display for StackFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        if self.file.is_none() && self.line.is_none() {
            return Ok(());
        }
        write!(f, "\n             at {}", self.file.as_deref().unwrap_or("<unknown>"))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        Ok(())
    }
}
