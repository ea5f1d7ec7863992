//! What the core finds wrong by itself, and what it says of it.

use crate::error::Error;

/// An enum of what can be wrong, with a number and a text for each. With the feature `messages` an [`Error`] says the text; without
/// it, for parts where every kilobyte counts, the number.
macro_rules! messages {
    ($(#[$meta:meta])* $blame:ident { $($number:literal $name:ident $text:literal)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(crate) enum $blame { $($name = $number),* }

        impl $blame {
            #[cfg(feature = "messages")]
            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            #[cfg(not(feature = "messages"))]
            fn text(self) -> &'static str {
                number(self as u8)
            }
        }

        impl From<$blame> for Error {
            fn from(what: $blame) -> Self {
                Error::$blame(what.text())
            }
        }
    };
}

messages! {
    /// How the embedder broke the protocol.
    Misuse {
        0 AnswersLaterTwice "a host function answers later once"
        1 AsyncOptions "`async` options need an `async` function type"
        2 CannotWait "a host function will answer later, and this embedding does not wait"
        3 ContextSlot "a context slot past the last"
        4 EmptyFixedList "a list of fixed length 0"
        5 EmptyVariant "a variant without cases"
        6 FieldType "a field without a type"
        7 ForeignLower "a lowered function was called by another instance"
        8 ForeignResource "only who defines a resource type sees representations"
        9 HostCalledHost "the host called a host function"
        10 HostWaits "the host can't wait in a built-in: it uses the `async` form"
        11 IntegerSize "an integer has 1, 2, 4 or 8 bytes"
        12 MayNotAnswerLater "only a host function of an `async` type may answer later"
        13 NoBorrower "a borrow needs a task that borrows"
        14 NoFuncRefs "this engine gives no references to functions"
        15 NoGuest "a built-in was called while no guest runs"
        16 NoHost "the host's options are not set: Store::set_host"
        17 NoHostEnd "the host holds no end of a stream or future of this handle"
        18 NoHostErrorContext "the host holds no error context of this handle"
        19 NoHostResource "the host holds no resource of this handle"
        20 NoHostThread "the host has no thread: it can't wait, return or switch"
        21 NoLender "a borrow needs somebody who lends"
        22 NoMemory "a value in memory needs the option `memory`"
        23 NoRealloc "a value that goes to memory needs the option `realloc`"
        24 NotHostOptions "set_host needs options of a host instance"
        25 NotStreamType "not the stream or future type that the built-in needs"
        26 ParamsNoRecord "the parameters of a function type must be a record"
        27 SpawnedFunction "a thread calls a guest's function that is lifted without `async`"
        28 TickInside "tick inside a call"
        29 TooFewValues "too few flat values for the type"
        30 TypeDepth "a type nests too deep"
        31 TypeSize "a type's size is 2^32 bytes or more"
        32 UnknownFuncType "unknown function type"
        33 UnknownHostTask "no such task of the host"
        34 UnknownInstance "unknown instance"
        35 UnknownLift "unknown function"
        36 UnknownLower "unknown lowered function"
        37 UnknownOptions "unknown options"
        38 UnknownPart "a type is made of an unknown type"
        39 UnknownResource "unknown resource type"
        40 UnknownType "unknown type"
        41 NotRoot "not a root instance of a guest"
    }
}

messages! {
    /// Which invariant of this crate does not hold.
    Bug {
        1 CurrentGone "the current thread is gone"
        2 HostSuspended "a built-in of the host was suspended"
        3 LockNotHeld "the exclusive lock is not held by the thread that releases it"
        4 LockTaken "the exclusive lock is taken twice"
        5 MessageEncoding "a message that is not UTF-8"
        6 NoQueue "a queue that is not there"
        7 NoBuffer "a copy without a buffer"
        8 NoCallback "a callback loop without a callback"
        9 NoCallbackEvent "a callback wait was resumed without an event"
        10 NoEvent "an event was taken that is not there"
        11 NoFunction "a task without a function"
        12 NoImplicitThread "a task without its implicit thread"
        13 NoStream "an end without a stream"
        14 NoWaitEvent "a wait was resumed without an event"
        15 NotEnd "not an end of a stream or future"
        16 NotHandleType "not the type of a handle"
        17 NotSubtask "not a subtask"
        20 SpawnedNothing "a spawned thread without a function"
        21 StaleErrorContext "stale error context"
        22 StaleSet "stale waitable set"
        23 StaleStream "stale stream"
        24 StaleTask "stale task"
        25 StaleThread "stale thread"
        26 StaleWaitable "stale waitable"
        27 StartEntered "a start function was entered twice"
        28 StartReturned "a start function returned to run"
        29 StartReturnedValue "a start function returned a value"
        30 SubtaskOrder "a subtask resolved out of order"
        31 SubtaskStarted "a subtask started twice"
        32 TaskStarted "a task started twice"
        34 WrongHandle "a handle is not of the kind that it was found to be"
    }
}

/// A number of two digits.
#[cfg(not(feature = "messages"))]
fn number(number: u8) -> &'static str {
    const DIGITS: &str = "\
        00010203040506070809101112131415161718192021222324252627282930313233343536373839\
        40414243444546474849505152535455565758596061626364656667686970717273747576777879";
    let at = usize::from(number).wrapping_mul(2);
    DIGITS.get(at..at.wrapping_add(2)).unwrap_or("?")
}
