//! 📝 Error contexts of the host: beside the spec's message a severity, a code, stack frames, metadata and a cause.
//!
//! An error context is one of the core, in the host's table: its message is the spec's, and all that a guest ever sees of it. The rest is
//! the host's alone, and is found again where a guest gives the error context back. What needs the store (a new one, one for or from a guest,
//! dropping, chaining) is `Misuse` while that is driven; the other functions work also in a host function that a guest called.
//!
//! ```ignore-none
//! # use canon_async::prelude::*;
//! # fn main() -> Result<(), Error> {
//! let id = ErrorContextBuiltins::error_context_new("no answer", ErrorSeverity::Error)?;
//! ErrorContextBuiltins::error_context_add_frame(id, StackFrame::new("connect").at("net.rs", 14, 5))?;
//! ErrorContextBuiltins::error_context_set_metadata(id, "port", ComponentValue::U16(5432))?;
//! # #[cfg(feature = "alloc")]
//! assert_eq!(
//!     ErrorContextBuiltins::error_context_stack_trace(id)?.to_string(),
//!     "error: no answer\n  port: 5432\n   0: connect\n             at net.rs:14:5"
//! );
//! # Ok(())
//! # }
//! ```

pub mod helpers;
mod state;
mod types;

pub(crate) use state::State;
pub use types::{ErrorContextId, ErrorSeverity, StackFrame};

use crate::ambient::text::{check_text, text};
use crate::ambient::{self, AsText, ComponentValue, Core, Limits, Text};
use crate::error::Error;
use core::fmt;

/// Error contexts of the host.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ErrorContextBuiltins;

impl ErrorContextBuiltins {
    /// Sets the ambient store up, where it was not used yet. What is there stays; every other function does it too.
    ///
    /// # Errors
    /// `Misuse` where the store is in use; `Capacity` where the host does not fit.
    pub fn initialize() -> Result<(), Error> {
        ambient::core(|_| ())
    }

    /// `error-context.new`: an error context with a message. Of that the core keeps as many characters as it has room for
    /// ([`Limits::message_bytes`](crate::Limits::message_bytes)), as the spec allows. O(the message).
    ///
    /// # Errors
    /// `Capacity(TextBytes | ErrorContexts | Handles)`, and nothing is changed; `Misuse` where the store is in use.
    pub fn error_context_new(message: impl AsText, severity: ErrorSeverity) -> Result<ErrorContextId, Error> {
        with(|core, state, limits| {
            check_text(&message, limits.text_bytes)?;
            state.check_room(limits)?;
            let handle = core.store.host_error_context(message.as_text()?)?;
            let adopted = state.adopt(core, handle, severity, limits);
            if adopted.is_err() {
                core.store.drop_host_error_context(handle)?;
            }
            adopted
        })
    }

    /// The error context behind a handle that the host got from a guest, and that is the host's id from now on. It is the same as
    /// before, with its details, where it was the host's and is still held; else its severity is `Error`.
    ///
    /// # Errors
    /// `Misuse` where the host has no such handle, or the handle is an error context's already; `Capacity(ErrorContexts | TextBytes)`.
    pub fn error_context_from_guest(value: &ComponentValue) -> Result<ErrorContextId, Error> {
        let ComponentValue::ErrorContext(handle) = *value else {
            return Err(Error::Misuse("the value is no error context"));
        };
        with(|core, state, limits| state.adopt(core, handle, ErrorSeverity::Error, limits))
    }

    /// The error context as a value, to give to guests: they get its message alone, and the host keeps it. O(1).
    ///
    /// # Errors
    /// `Misuse` for an unknown error context, or where the host's state is in use.
    pub fn error_context_value(id: ErrorContextId) -> Result<ComponentValue, Error> {
        look(|state, _| Ok(ComponentValue::ErrorContext(state.get(id)?.handle)))
    }

    /// `error-context.debug-message`: the message. O(the message).
    ///
    /// # Errors
    /// As [`error_context_value`](Self::error_context_value).
    pub fn error_context_debug_message(id: ErrorContextId) -> Result<Text, Error> {
        look(|state, _| Ok(state.get(id)?.message.clone()))
    }

    /// How bad it is.
    ///
    /// # Errors
    /// As [`error_context_value`](Self::error_context_value).
    pub fn error_context_severity(id: ErrorContextId) -> Result<ErrorSeverity, Error> {
        look(|state, _| Ok(state.get(id)?.severity))
    }

    /// Changes how bad it is.
    ///
    /// # Errors
    /// As [`error_context_value`](Self::error_context_value).
    pub fn error_context_set_severity(id: ErrorContextId, severity: ErrorSeverity) -> Result<(), Error> {
        look(|state, _| {
            state.get_mut(id)?.severity = severity;
            Ok(())
        })
    }

    /// Its code, if it has one.
    ///
    /// # Errors
    /// As [`error_context_value`](Self::error_context_value).
    pub fn error_context_code(id: ErrorContextId) -> Result<Option<i32>, Error> {
        look(|state, _| Ok(state.get(id)?.code))
    }

    /// Sets its code, whatever that means to whoever reads it; `None` takes it away.
    ///
    /// # Errors
    /// As [`error_context_value`](Self::error_context_value).
    pub fn error_context_set_code(id: ErrorContextId, code: impl Into<Option<i32>>) -> Result<(), Error> {
        look(|state, _| {
            state.get_mut(id)?.code = code.into();
            Ok(())
        })
    }

    /// Adds a stack frame, further out than those that there are. Where the file is not known, [`error_context_add_frame`]
    /// takes a [`StackFrame`] without. O(the frames of it).
    ///
    /// # Errors
    /// `Capacity(StackFrames | TextBytes)`, and nothing is changed; as [`error_context_value`](Self::error_context_value).
    ///
    /// [`error_context_add_frame`]: Self::error_context_add_frame
    pub fn error_context_add_stack_frame(
        id: ErrorContextId,
        function: impl AsText,
        file: Option<impl AsText>,
        line: Option<u32>,
        column: Option<u32>,
    ) -> Result<(), Error> {
        let limit = ambient::limits()?.text_bytes;
        let file = file.map(|file| text(&file, limit)).transpose()?;
        Self::error_context_add_frame(
            id,
            StackFrame { function: text(&function, limit)?, file, line, column },
        )
    }

    /// Adds a stack frame, further out than those that there are. O(the frames of it).
    ///
    /// # Errors
    /// As [`error_context_add_stack_frame`](Self::error_context_add_stack_frame).
    pub fn error_context_add_frame(id: ErrorContextId, frame: StackFrame) -> Result<(), Error> {
        look(|state, limits| {
            check_text(&frame.function, limits.text_bytes)?;
            if let Some(file) = &frame.file {
                check_text(file, limits.text_bytes)?;
            }
            state.add_frame(id, frame, limits)
        })
    }

    /// The stack frame of this number: 0 was added first. O(the frames of it).
    ///
    /// # Errors
    /// As [`error_context_value`](Self::error_context_value).
    pub fn error_context_frame(id: ErrorContextId, number: u32) -> Result<Option<StackFrame>, Error> {
        look(|state, _| state.frame(id, number))
    }

    /// Sets a value of the metadata; the one that the key had. O(the metadata of it).
    ///
    /// # Errors
    /// `Capacity(ErrorValues | TextBytes | ListItems)`, and nothing is changed; as [`error_context_value`](Self::error_context_value).
    pub fn error_context_set_metadata(
        id: ErrorContextId,
        key: impl AsText,
        value: ComponentValue,
    ) -> Result<Option<ComponentValue>, Error> {
        look(|state, limits| {
            value.check(limits)?;
            state.set_value(id, text(&key, limits.text_bytes)?, value, limits)
        })
    }

    /// A value of the metadata. O(the metadata of it).
    ///
    /// # Errors
    /// `Capacity(TextBytes)` of the key; as [`error_context_value`](Self::error_context_value).
    pub fn error_context_get_metadata(
        id: ErrorContextId,
        key: impl AsText,
    ) -> Result<Option<ComponentValue>, Error> {
        look(|state, limits| {
            check_text(&key, limits.text_bytes)?;
            state.value(id, key.as_text()?)
        })
    }

    /// Takes a value of the metadata away. O(the metadata of it).
    ///
    /// # Errors
    /// As [`error_context_get_metadata`](Self::error_context_get_metadata).
    pub fn error_context_remove_metadata(
        id: ErrorContextId,
        key: impl AsText,
    ) -> Result<Option<ComponentValue>, Error> {
        look(|state, limits| {
            check_text(&key, limits.text_bytes)?;
            state.remove_value(id, key.as_text()?)
        })
    }

    /// Says what it was caused by, which is kept for as long as it is; `None` takes that away. O(the chain).
    ///
    /// # Errors
    /// `Misuse` for an unknown error context, where it would be its own cause, or the store is in use.
    pub fn error_context_set_cause(
        id: ErrorContextId,
        cause: impl Into<Option<ErrorContextId>>,
    ) -> Result<(), Error> {
        with(|core, state, _| state.set_cause(core, id, cause.into()))
    }

    /// What it was caused by.
    ///
    /// # Errors
    /// As [`error_context_value`](Self::error_context_value).
    pub fn error_context_cause(id: ErrorContextId) -> Result<Option<ErrorContextId>, Error> {
        look(|state, _| state.cause(id))
    }

    /// The whole of it, to be shown: [`StackTrace`] says how.
    ///
    /// # Errors
    /// As [`error_context_value`](Self::error_context_value).
    pub fn error_context_stack_trace(id: ErrorContextId) -> Result<StackTrace, Error> {
        look(|state, _| state.get(id).map(|_| StackTrace(id)))
    }

    /// `error-context.drop`: the details go, where it is the cause of no other; guests keep the message. O(what goes).
    ///
    /// # Errors
    /// `Misuse` for an unknown error context, or where the store is in use.
    pub fn error_context_drop(id: ErrorContextId) -> Result<(), Error> {
        with(|core, state, _| state.drop(core, id))
    }
}

/// Runs `f` with the details alone.
fn look<R>(f: impl FnOnce(&mut State, &Limits) -> Result<R, Error>) -> Result<R, Error> {
    ambient::host(|host| {
        let limits = host.limits();
        f(&mut host.error_context, &limits)
    })?
}

/// Runs `f` with the store too.
fn with<R>(f: impl FnOnce(&mut Core, &mut State, &Limits) -> Result<R, Error>) -> Result<R, Error> {
    ambient::core(|core| look(|state, limits| f(core, state, limits)))?
}

/// An error context to be shown: severity, code and message, the metadata, the stack frames, and the same of its causes.
///
/// ```text
/// error (code 111): Database connection failed
///   database_url: postgres://localhost:5432
///    0: connect_to_db
///              at database.rs:142:15
/// Caused by: warning: connection refused
/// ```
///
/// It is shown as it is then. What is gone by then is shown as `<dropped>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StackTrace(ErrorContextId);

impl fmt::Display for StackTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut next = Some(self.0);
        while let Some(id) = next {
            if id != self.0 {
                f.write_str("\nCaused by: ")?;
            }
            show(f, id)?;
            next = ErrorContextBuiltins::error_context_cause(id).unwrap_or(None);
        }
        Ok(())
    }
}

/// Shows one of a chain. Nothing is in use while the formatter writes, which may be the user's.
fn show(f: &mut fmt::Formatter<'_>, id: ErrorContextId) -> fmt::Result {
    let head = look(|state, _| state.get(id).map(|it| (it.severity, it.code, it.message.clone())));
    let Ok((severity, code, message)) = head else { return f.write_str("<dropped>") };
    write!(f, "{severity}")?;
    if let Some(code) = code {
        write!(f, " (code {code})")?;
    }
    f.write_str(": ")?;
    f.write_str(&message)?;
    let mut place = 0;
    while let Ok(Some((key, value))) = look(|state, _| state.value_at(id, place)) {
        f.write_str("\n  ")?;
        f.write_str(&key)?;
        write!(f, ": {value}")?;
        place = place.saturating_add(1);
    }
    let mut number = 0;
    while let Ok(Some(frame)) = ErrorContextBuiltins::error_context_frame(id, number) {
        write!(f, "\n{number:>4}: {frame}")?;
        number = number.saturating_add(1);
    }
    Ok(())
}
