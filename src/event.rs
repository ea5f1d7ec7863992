//! Events: what happens to the instances, tasks, threads and waitables of a store, for whoever listens.
//!
//! They are behind the features `log` and `tracing`, for the crates of these names; with both, each event goes to both. Without them
//! an event is no code at all, and what it would say is not worked out. `defmt` has no part in it: it only lets ids, states and errors be
//! printed. `tracing` takes a heap, and a target with compare-and-swap; `log` takes neither.
//!
//! The target says what something happened to and the message what. `tracing` gets the rest as fields, by their `Debug`;
//! `log` gets them behind the message, as `name=value`. An id is told from those that had its place before it: `TaskId(3.1)` is place 3, generation 1.
//! Of threads each switch is told, at level *trace*; what happens to tasks, calls, streams and sets is *debug*; what kills something is
//! *warn*. Names of targets, messages and fields change with the version of this crate alone; values are for people.
//!
//! | target | level | message | when | fields |
//! |---|---|---|---|---|
//! | `canon_async::instance` | debug | created | it is added to the store | instance |
//! | | trace | locked | a thread takes its exclusive lock | instance, thread |
//! | | trace | unlocked | the thread gives it back | instance, thread |
//! | | debug | backpressure rose | `backpressure.inc` | instance |
//! | | debug | backpressure fell | `backpressure.dec`; whether calls may start again | instance, over |
//! | | warn | poisoned | a trap unwound through it: its root and everything in that is dead | instance, root |
//! | | debug | purged | what it held when it was poisoned is freed | instance |
//! | `canon_async::task` | debug | created | somebody calls a function | task, instance, caller |
//! | | debug | queued | it waits for its instance to let it in | task, instance |
//! | | debug | started | its arguments are taken | task |
//! | | debug | cancelling | its caller asks for its cancellation | task |
//! | | debug | cancel delivered | it is told so | task |
//! | | debug | returned | it has returned a value | task |
//! | | debug | cancelled | it has ended without a value | task |
//! | | debug | exited | its last thread is gone, or it is | task |
//! | `canon_async::thread` | trace | created | it is made, and runs nothing yet | thread, task |
//! | | trace | registered | it has an index of its instance | thread, index |
//! | | trace | waiting | it waits, by `point` for what | thread, point |
//! | | trace | suspended | it waits for another to resume it, or for a host function's answer | thread |
//! | | trace | ready | it stands in line to run, if it then can | thread |
//! | | trace | resumed | it runs, for the first time or again | thread |
//! | | trace | exited | it has ended | thread |
//! | | trace | dropped | it is taken away: cancelled before it began, or dead | thread |
//! | | warn | trapped | it ended in an error | thread, error |
//! | `canon_async::subtask` | debug | created | a guest or the host calls through a `canon lower` | subtask, lower |
//! | | debug | started | the callee took its arguments | subtask |
//! | | debug | cancelling | `subtask.cancel` | subtask |
//! | | debug | resolved | the callee returned, or was cancelled | subtask, returned |
//! | | debug | delivered | the caller was told that it resolved | subtask |
//! | | debug | dropped | it is gone | subtask |
//! | `canon_async::stream` | debug | end created | an end of a new stream or future | shared, end, direction, future |
//! | | debug | copy started | an end gives a buffer of `length` elements | shared, end, length |
//! | | debug | copied | so many elements went from memory to memory | end, with, count |
//! | | debug | copy cancelling | the end's holder asks for the copy's end | end |
//! | | debug | copy ended | the end's holder is told how, and of how many elements | shared, end, result, count |
//! | | debug | end passed | a value has carried the end to an instance | end, instance |
//! | | debug | forwarded | an end has another peer from now on: that of another stream or future | shared, end |
//! | | debug | end dropped | an end is gone | shared, end |
//! | | debug | dropped | both are | shared |
//! | `canon_async::waitable_set` | debug | created | it is made | set, instance |
//! | | debug | joined | a waitable goes into a set | waitable, set |
//! | | debug | left | it goes out of it; not where a purge takes the set | waitable, set |
//! | | debug | pending | a waitable has an event | waitable, event |
//! | | debug | delivered | somebody took the event | waitable, event |
//! | | debug | dropped | the set is gone | set |

/// Says that something happened: its level, its target's last part, the message, and the fields: `name`, or `name = value`.
#[cfg(any(feature = "log", feature = "tracing"))]
macro_rules! event {
    ($level:ident, $target:ident, $message:literal $(, $field:ident $(= $value:expr)?)*) => {{
        #[cfg(feature = "tracing")]
        ::tracing::$level!(
            target: concat!("canon_async::", stringify!($target)),
            $($field = ?$crate::event::value!($field $(= $value)?),)*
            $message
        );
        #[cfg(feature = "log")]
        ::log::$level!(
            target: concat!("canon_async::", stringify!($target)),
            concat!($message, $(" ", stringify!($field), "={:?}"),*),
            $($crate::event::value!($field $(= $value)?)),*
        );
    }};
}

/// Nobody can listen: nothing, and no argument is evaluated.
#[cfg(not(any(feature = "log", feature = "tracing")))]
macro_rules! event {
    ($($event:tt)*) => {};
}

/// The value of a field.
#[cfg(any(feature = "log", feature = "tracing"))]
macro_rules! value {
    ($field:ident) => {
        $field
    };
    ($field:ident = $value:expr) => {
        $value
    };
}

pub(crate) use event;
#[cfg(any(feature = "log", feature = "tracing"))]
pub(crate) use value;
