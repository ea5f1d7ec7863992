//! Errors, separated by whose fault they are.

mod limit;

pub use limit::{LimitOwner, LimitReached, Resource};

use core::fmt;

use crate::spec::CallbackCode;

/// Why an operation failed. Small and `Copy`; an engine that knows more (a backtrace, a message) keeps it on
/// its side and says so with [`Trap::Engine`]. Its text has that of its
/// [`source`](core::error::Error::source), the [`Trap`] or the [`LimitReached`], so that printing the error
/// itself is enough.
// The tag is a word: an error is passed on by words then, and not by bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
#[non_exhaustive]
pub enum Error {
    /// The guest broke a rule of the spec. Its instance is poisoned: it is not entered again.
    Trap(Trap),
    /// A configured limit was reached; nothing was changed. To a guest it is a trap that names the limit.
    Capacity(LimitReached),
    /// The embedder broke the documented protocol of this crate.
    Misuse(&'static str),
    /// This crate broke an invariant of its own. No input may lead here; please report it.
    Bug(&'static str),
}

/// A rule that a guest broke. The texts are those of the spec's reference tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Trap {
    /// The engine trapped in core wasm (`unreachable`, out of bounds, ..). The number is the engine's own
    /// code; the adapter keeps its text.
    Engine(u32),
    /// A built-in was called where `may_leave` is false: in realloc, post-return.
    CannotLeave,
    /// The callee's instance trapped; or, in a [strict](crate::Store::set_strict) store, it is around the
    /// caller's or in it.
    CannotEnter,
    /// A task of a function type without `async` blocked and no other thread of its instance can run.
    CannotBlockSync,
    /// Nothing is ready, nothing is pending, and somebody waits.
    Deadlock,
    /// A blocking built-in was called below a frame that this engine can't set aside.
    CannotSuspend,
    /// There is nothing at this index of the handle table.
    UnknownHandle(u32),
    /// The handle is of another kind than the built-in takes.
    HandleKind {
        /// The handle's index.
        index: u32,
        /// What the built-in takes.
        expected: HandleKind,
        /// What the handle is.
        found: HandleKind,
    },
    /// The handle is a resource of another type.
    ResourceType(u32),
    /// The end is of a stream or future of another element type.
    ElementType(u32),
    /// `own` was expected, the handle is a borrow.
    NotOwned(u32),
    /// The handle is lent to a call that has not returned.
    ResourceLent,
    /// A task returned while it still holds borrows.
    BorrowsRemain,
    /// There is no thread at this index.
    UnknownThread(u32),
    /// The thread is not suspended.
    ThreadNotSuspended(u32),
    /// `task.return` or `task.cancel` by a task that returns by its core results.
    NotAsyncLifted,
    /// `task.return` with another type or other options than the function was lifted with.
    TaskReturnMismatch,
    /// The task has returned or been cancelled already.
    TaskResolved,
    /// `task.cancel` without a delivered cancellation.
    NotCancelled,
    /// A task's last thread exited before the task returned.
    NoReturn,
    /// A callback returned this code, which is above `CallbackCode.MAX`.
    CallbackCode(u8),
    /// The backpressure counter overflowed.
    BackpressureOverflow,
    /// `backpressure.dec` without an `inc`.
    BackpressureUnderflow,
    /// A set that a thread waits on was dropped.
    SetHasWaiters,
    /// A set with members was dropped.
    SetNotEmpty,
    /// A synchronous operation on a waitable that is in a set, or a join of one that is waited on synchronously.
    SyncInSet,
    /// `subtask.drop` before the subtask's resolution was delivered.
    SubtaskNotResolved,
    /// `subtask.cancel` twice.
    SubtaskCancelledTwice,
    /// `subtask.cancel` after the subtask's resolution was delivered.
    SubtaskResolved,
    /// The end has a copy under way.
    BusyEnd {
        /// What was tried.
        action: EndAction,
        /// A future, not a stream.
        future: bool,
    },
    /// The end is done: the other end is gone, or the future has its value.
    DoneEnd {
        /// What was tried.
        action: EndAction,
        /// A future, not a stream.
        future: bool,
    },
    /// The end was passed on or forwarded while it is in a waitable set.
    EndInSet {
        /// What was tried.
        action: EndAction,
        /// A future, not a stream.
        future: bool,
    },
    /// `cancel-read` or `cancel-write` of an end with no copy under way.
    NothingToCancel,
    /// The writable end of a future was dropped before a value was written.
    FutureNotWritten,
    /// Both ends of the copy are in one instance and the element is no number.
    IntraComponent {
        /// A future, not a stream.
        future: bool,
    },
    /// More than `Buffer.MAX_LENGTH` elements.
    BufferTooLong,
    /// A pointer is not aligned for its type.
    Unaligned,
    /// A pointer and its type reach past the end of memory.
    OutOfBounds,
    /// A list reaches past the end of memory.
    ListOutOfBounds,
    /// A list is longer than `MAX_LIST_BYTE_LENGTH`.
    ListTooLong,
    /// A string reaches past the end of memory.
    StringOutOfBounds,
    /// A string is longer than `MAX_STRING_BYTE_LENGTH`.
    StringTooLong,
    /// Not UTF-8.
    InvalidUtf8,
    /// UTF-8 that ends in the middle of a character.
    IncompleteUtf8,
    /// Not UTF-16: a lone surrogate.
    InvalidUtf16,
    /// Not a Unicode scalar value.
    InvalidChar(u32),
    /// A discriminant with no case.
    InvalidDiscriminant {
        /// The discriminant.
        found: u32,
        /// How many cases there are; the largest number stands for all larger ones too.
        cases: u16,
    },
    /// 🐘 A borrow, which is an `i32`, of a resource whose representation has more bits than that, for the instance that
    /// implements it.
    WideRep,
    /// `realloc` answered a range past the end of memory.
    ReallocOutOfBounds,
    /// The same, where a string was to go.
    StringReallocOutOfBounds,
    /// `realloc` answered a pointer that is not aligned.
    ReallocUnaligned,
    /// `thread.new-indirect` or `thread.spawn-indirect` past the end of the table, or of a null entry.
    /// The largest number stands for all larger ones too.
    UnknownTableElement(u32),
    /// `thread.new-indirect` or `thread.spawn-indirect` of a function of another type.
    ThreadFuncType(u32),
    /// `thread.spawn-ref` of a null reference.
    NullThreadFunc,
}

/// What a handle table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs, reason = "each is what it is called")]
#[non_exhaustive]
pub enum HandleKind {
    Resource,
    Subtask,
    WaitableSet,
    Waitable,
    StreamRead,
    StreamWrite,
    FutureRead,
    FutureWrite,
    ErrorContext,
}

/// What was tried with the end of a stream or future.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs, reason = "each is what it is called")]
#[non_exhaustive]
pub enum EndAction {
    Read,
    Write,
    Lift,
    DropReadable,
    DropWritable,
    ForwardReadable,
    ForwardWritable,
}

impl Error {
    /// A limit of `what` was reached, whose value is not known here. Two errors of the same limit are equal, whatever its value.
    pub const fn capacity(what: Resource) -> Self {
        Self::Capacity(LimitReached::new(what))
    }

    /// The same, of a limit whose value is known: the most of `what` that there may be.
    pub const fn limit_reached(what: Resource, value: usize) -> Self {
        Self::Capacity(LimitReached::new(what).with_value(value))
    }
}

impl From<Trap> for Error {
    fn from(trap: Trap) -> Self {
        Error::Trap(trap)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Trap(trap) => write!(f, "wasm trap: {trap}"),
            Error::Capacity(what) => write!(f, "limit reached: {what}"),
            Error::Misuse(what) => write!(f, "misuse: {what}"),
            Error::Bug(what) => write!(f, "bug in canon-async: {what}"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Error::Trap(trap) => Some(trap),
            Error::Capacity(reached) => Some(reached),
            _ => None,
        }
    }
}

impl core::error::Error for Trap {}

impl fmt::Display for HandleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HandleKind::Resource => "a resource",
            HandleKind::Subtask => "a subtask",
            HandleKind::WaitableSet => "a waitable set",
            HandleKind::Waitable => "a waitable",
            HandleKind::StreamRead => "the readable end of a stream",
            HandleKind::StreamWrite => "the writable end of a stream",
            HandleKind::FutureRead => "the readable end of a future",
            HandleKind::FutureWrite => "the writable end of a future",
            HandleKind::ErrorContext => "an error context",
        })
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Trap::Engine(code) => return write!(f, "core wasm trapped (engine code {code})"),
            Trap::UnknownHandle(index) => return write!(f, "unknown handle index {index}"),
            Trap::HandleKind { index, expected, found } => {
                return write!(
                    f,
                    "handle index {index} used with the wrong type, expected {expected} but found {found}"
                );
            }
            Trap::ResourceType(index) => {
                return write!(
                    f,
                    "handle index {index} used with the wrong type, expected guest-defined resource but found a different guest-defined resource"
                );
            }
            Trap::ElementType(index) => {
                return write!(
                    f,
                    "handle index {index} used with the wrong type, expected another element type"
                );
            }
            Trap::NotOwned(index) => {
                return write!(f, "handle index {index} is a borrow where an owned resource is expected");
            }
            Trap::UnknownThread(index) => return write!(f, "unknown thread index {index}"),
            Trap::ThreadNotSuspended(index) => return write!(f, "thread {index} is not suspended"),
            Trap::UnknownTableElement(index) => {
                return write!(f, "there is no function at table index {index}");
            }
            Trap::ThreadFuncType(index) => {
                return write!(f, "the function at table index {index} is not of the thread's start type");
            }
            Trap::CallbackCode(code) => {
                return write!(
                    f,
                    "unsupported callback code: {code}, expected {} at most",
                    CallbackCode::MAX
                );
            }
            Trap::InvalidChar(found) => {
                return write!(
                    f,
                    "invalid `char` bit pattern: {found:#x}, expected a scalar value: 0 to 0xd7ff, 0xe000 to 0x10ffff"
                );
            }
            Trap::InvalidDiscriminant { found, cases } => {
                return write!(f, "invalid variant discriminant: {found}, expected less than {cases}");
            }
            Trap::BusyEnd { action, future } => return busy_end(f, action, future),
            Trap::DoneEnd { action, future } => return done_end(f, action, future),
            Trap::EndInSet { action, future } => {
                let verb = if action == EndAction::Lift { "lift" } else { "forward" };
                return write!(f, "cannot {verb} {} while it's in a waitable set", noun(future));
            }
            Trap::IntraComponent { future } => {
                return write!(f, "cannot read from and write to intra-component {}", noun(future));
            }
            Trap::CannotLeave => "cannot leave component instance",
            Trap::CannotEnter => "cannot enter component instance",
            Trap::WideRep => "the representation of a borrowed resource does not fit an i32",
            Trap::CannotBlockSync => {
                "deadlock detected: event loop cannot make further progress (cannot block a synchronous task before returning)"
            }
            Trap::Deadlock => "deadlock detected: event loop cannot make further progress",
            Trap::CannotSuspend => {
                "the engine cannot suspend this call: a blocking built-in needs one that can"
            }
            Trap::ResourceLent => "cannot remove owned resource while borrowed",
            Trap::BorrowsRemain => "borrow handles still remain at the end of the call",
            Trap::NotAsyncLifted => "`task.return` and `task.cancel` need a function lifted with `async`",
            Trap::TaskReturnMismatch => "invalid `task.return` signature and/or options for current task",
            Trap::TaskResolved => "`task.return` or `task.cancel` called more than once for current task",
            Trap::NotCancelled => "`task.cancel` called by task which has not been cancelled",
            Trap::NoReturn => "async-lifted export failed to produce a result",
            Trap::BackpressureOverflow => "backpressure counter overflow",
            Trap::BackpressureUnderflow => "backpressure counter underflow",
            Trap::SetHasWaiters => "cannot drop waitable set with waiters",
            Trap::SetNotEmpty => "cannot drop waitable set that still has waitables",
            Trap::SyncInSet => "waitable cannot be used synchronously while added to a waitable set",
            Trap::SubtaskNotResolved => "cannot drop a subtask which has not yet resolved",
            Trap::SubtaskCancelledTwice => "`subtask.cancel` called twice for one subtask",
            Trap::SubtaskResolved => "`subtask.cancel` called after terminal status delivered",
            Trap::NothingToCancel => "cannot cancel: no read or write is under way",
            Trap::FutureNotWritten => "cannot drop future write end without first writing a value",
            Trap::BufferTooLong => "stream read/write count too large",
            Trap::Unaligned => "unaligned pointer",
            Trap::OutOfBounds => "pointer out of bounds of memory",
            Trap::ListOutOfBounds => "list content out-of-bounds",
            Trap::ListTooLong => "list too long",
            Trap::StringOutOfBounds => {
                "string pointer/length out of bounds of memory: string content out-of-bounds"
            }
            Trap::StringTooLong => "string too long",
            Trap::InvalidUtf8 => "invalid utf-8",
            Trap::IncompleteUtf8 => "incomplete utf-8 byte sequence",
            Trap::InvalidUtf16 => "unpaired surrogate found",
            Trap::ReallocOutOfBounds => "list content out-of-bounds: realloc return: beyond end of memory",
            Trap::StringReallocOutOfBounds => {
                "string content out-of-bounds: realloc return: beyond end of memory"
            }
            Trap::ReallocUnaligned => "unaligned pointer: realloc return: result not aligned",
            Trap::NullThreadFunc => "null function reference",
        };
        f.write_str(text)
    }
}

fn noun(future: bool) -> &'static str {
    if future { "future" } else { "stream" }
}

fn busy_end(f: &mut fmt::Formatter<'_>, action: EndAction, future: bool) -> fmt::Result {
    let verb = match action {
        EndAction::Read | EndAction::Write => {
            return f.write_str("cannot have concurrent operations active on a future/stream");
        }
        EndAction::Lift => "cannot lift busy",
        EndAction::DropReadable => "cannot remove busy",
        EndAction::DropWritable => "cannot drop busy",
        EndAction::ForwardReadable | EndAction::ForwardWritable => "cannot forward busy",
    };
    write!(f, "{verb} {}", noun(future))
}

fn done_end(f: &mut fmt::Formatter<'_>, action: EndAction, future: bool) -> fmt::Result {
    f.write_str(match (action, future) {
        (EndAction::Write, true) => {
            "cannot write to future after previous write succeeded or readable end dropped"
        }
        (EndAction::Write, false) => {
            "cannot write to stream after being notified that the readable end dropped"
        }
        (EndAction::Lift, true) => "cannot lift future after previous read succeeded",
        (EndAction::Lift, false) => "cannot lift stream after being notified that the writable end dropped",
        (EndAction::ForwardReadable, true) => "cannot forward future after previous read succeeded",
        (EndAction::ForwardReadable, false) => {
            "cannot forward stream after being notified that the writable end dropped"
        }
        (EndAction::ForwardWritable, true) => {
            "cannot forward future after previous write succeeded or readable end dropped"
        }
        (EndAction::ForwardWritable, false) => {
            "cannot forward stream after being notified that the readable end dropped"
        }
        (_, true) => "cannot read from future after previous read succeeded",
        (_, false) => "cannot read from stream after being notified that the writable end dropped",
    })
}
