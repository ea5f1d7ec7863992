//! Common patterns, made of [`ErrorContextBuiltins`].

use super::{ErrorContextBuiltins, ErrorContextId, ErrorSeverity};
use crate::ambient::AsText;
use crate::error::Error;
use core::fmt::Write;

/// An error context of an [`Error`] of this crate: its text is the message, and how bad it is says whose fault it is. A limit that was
/// reached is a warning, what is a bug is critical.
///
/// # Errors
/// As [`error_context_new`](ErrorContextBuiltins::error_context_new).
pub fn from_error(error: Error) -> Result<ErrorContextId, Error> {
    let severity = match error {
        Error::Capacity(_) => ErrorSeverity::Warning,
        Error::Trap(_) | Error::Misuse(_) => ErrorSeverity::Error,
        Error::Bug(_) => ErrorSeverity::Critical,
    };
    let mut message = Message::default();
    // What does not fit is cut off.
    let _ = write!(message, "{error}");
    let limit = crate::ambient::limits()?.text_bytes as usize;
    ErrorContextBuiltins::error_context_new(message.up_to(limit), severity)
}

/// An error context with another as its cause, which it keeps: the caller's is dropped.
///
/// # Errors
/// As [`error_context_new`](ErrorContextBuiltins::error_context_new), and the cause is still the caller's; `Misuse` for an unknown cause, or one
/// that the caller has dropped.
pub fn wrap(
    cause: ErrorContextId,
    message: impl AsText,
    severity: ErrorSeverity,
) -> Result<ErrorContextId, Error> {
    ErrorContextBuiltins::error_context_severity(cause)?;
    let outer = ErrorContextBuiltins::error_context_new(message, severity)?;
    let wrapped = ErrorContextBuiltins::error_context_set_cause(outer, Some(cause))
        .and_then(|()| ErrorContextBuiltins::error_context_drop(cause));
    if let Err(error) = wrapped {
        // The cause was not the caller's to give.
        ErrorContextBuiltins::error_context_drop(outer)?;
        return Err(error);
    }
    Ok(outer)
}

/// The last cause of a chain, or the error context itself. O(the chain).
///
/// # Errors
/// `Misuse` for an unknown error context.
pub fn root_cause(id: ErrorContextId) -> Result<ErrorContextId, Error> {
    let mut root = id;
    while let Some(cause) = ErrorContextBuiltins::error_context_cause(root)? {
        root = cause;
    }
    Ok(root)
}

/// The worst severity of a chain. O(the chain).
///
/// # Errors
/// `Misuse` for an unknown error context.
pub fn worst_severity(id: ErrorContextId) -> Result<ErrorSeverity, Error> {
    let mut worst = ErrorContextBuiltins::error_context_severity(id)?;
    let mut next = ErrorContextBuiltins::error_context_cause(id)?;
    while let Some(id) = next {
        worst = worst.max(ErrorContextBuiltins::error_context_severity(id)?);
        next = ErrorContextBuiltins::error_context_cause(id)?;
    }
    Ok(worst)
}

/// The text of an error, on its way.
struct Message {
    bytes: [u8; 256],
    len: usize,
}

impl Default for Message {
    fn default() -> Self {
        Self { bytes: [0; 256], len: 0 }
    }
}

impl Message {
    /// As many whole characters as so many bytes have room for.
    fn up_to(&self, limit: usize) -> &str {
        let text =
            self.bytes.get(..self.len).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("");
        text.get(..whole_chars(text, limit)).unwrap_or("")
    }
}

/// How many bytes of a text are whole characters, and at most so many.
fn whole_chars(text: &str, at_most: usize) -> usize {
    (0..=at_most.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0)
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.bytes.len().saturating_sub(self.len);
        let fits = whole_chars(text, room);
        let end = self.len.saturating_add(fits);
        let (Some(to), Some(from)) = (self.bytes.get_mut(self.len..end), text.as_bytes().get(..fits)) else {
            return Err(core::fmt::Error);
        };
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        self.len = end;
        if fits == text.len() { Ok(()) } else { Err(core::fmt::Error) }
    }
}
