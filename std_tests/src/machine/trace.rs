//! The words of a trace, a line each. std_tests/definitions/programs.py reads them.
//!
//! ```text
//! host tick | host call N INSTANCE KIND | host cancel N     the host begins ..
//! done VALUE                                                .. and ends: for a tick, whether something was ready
//! state ..                                                  what there is then: `look.rs`
//! resolve N returned VALUES | resolve N cancelled           a call of the host's resolves
//! enter WHOSE as THREAD with ARGS CRC                       a call starts: whose it is
//! callback as THREAD with ARGS CRC                          a callback is called
//! start THREAD ARG CRC | resume THREAD VALUE CRC ..         a thread starts, or goes on after what it was parked in
//! op THREAD WORDS                                           a thread calls a built-in ..
//! value THREAD VALUE CRC .. | park THREAD                   .. which returns, or the thread is set aside
//! return THREAD VALUE | trap THREAD                         a thread's function returns, or traps
//! error ..                                                  the first is where a trap begins
//! ```
//!
//! A THREAD is an instance and an index there; a CRC is of the guests' memories. After that of a wait or a poll stand the index and
//! the payload of its event.

use super::*;
use canon_async::canon::Builtin;

/// A type of streams or futures.
fn words_of(ty: TypeId) -> &'static str {
    match ty {
        STREAM => "stream u8",
        STREAM_UNIT => "stream unit",
        FUTURE => "future u8",
        FUTURE_UNIT => "future unit",
        _ => unreachable!("no stream or future"),
    }
}

fn form(is_async: bool) -> &'static str {
    if is_async { "async" } else { "sync" }
}

/// A built-in with its arguments.
pub(super) fn words(builtin: Builtin, args: &[u64]) -> String {
    let copy = |ty, options: OptsId, what: &str| {
        format!("{what} {} {}", words_of(ty), form(options.as_u32() % OPTIONS == 1))
    };
    let cancel = |ty, is_async, what: &str| format!("{what} {} {}", words_of(ty), form(is_async));
    let mut words = match builtin {
        Builtin::Lower(id) => {
            let (lower, is_async) = (id.as_u32() / 2, id.as_u32() % 2 == 1);
            let callee = lower % (INSTANCES * LIFTS);
            let kind = KINDS[(callee % LIFTS) as usize];
            format!("lower {} {kind:?} {}", callee / LIFTS + 1, form(is_async))
        }
        Builtin::ResourceNew(_) => "resource.new".into(),
        Builtin::ResourceDrop(_) => "resource.drop".into(),
        Builtin::ContextGet(slot) => format!("context.get {slot}"),
        Builtin::ContextSet(slot) => format!("context.set {slot}"),
        Builtin::BackpressureInc => "backpressure.inc".into(),
        Builtin::BackpressureDec => "backpressure.dec".into(),
        Builtin::TaskReturn { result, .. } => {
            format!("task.return {}", if result.is_some() { "u32" } else { "none" })
        }
        Builtin::TaskCancel => "task.cancel".into(),
        Builtin::WaitableSetNew => "waitable-set.new".into(),
        Builtin::WaitableSetWait(_) => "waitable-set.wait".into(),
        Builtin::WaitableSetPoll(_) => "waitable-set.poll".into(),
        Builtin::WaitableSetDrop => "waitable-set.drop".into(),
        Builtin::WaitableJoin => "waitable.join".into(),
        Builtin::SubtaskCancel { is_async } => format!("subtask.cancel {}", form(is_async)),
        Builtin::SubtaskDrop => "subtask.drop".into(),
        Builtin::StreamNew(ty) | Builtin::FutureNew(ty) => format!("new {}", words_of(ty)),
        Builtin::StreamRead(ty, options) | Builtin::FutureRead(ty, options) => copy(ty, options, "read"),
        Builtin::StreamWrite(ty, options) | Builtin::FutureWrite(ty, options) => copy(ty, options, "write"),
        Builtin::StreamCancelRead(ty, is_async) | Builtin::FutureCancelRead(ty, is_async) => {
            cancel(ty, is_async, "cancel-read")
        }
        Builtin::StreamCancelWrite(ty, is_async) | Builtin::FutureCancelWrite(ty, is_async) => {
            cancel(ty, is_async, "cancel-write")
        }
        Builtin::StreamDropReadable(ty) | Builtin::FutureDropReadable(ty) => {
            format!("drop-readable {}", words_of(ty))
        }
        Builtin::StreamDropWritable(ty) | Builtin::FutureDropWritable(ty) => {
            format!("drop-writable {}", words_of(ty))
        }
        Builtin::StreamForward(ty) | Builtin::FutureForward(ty) => format!("forward {}", words_of(ty)),
        Builtin::ThreadIndex => "thread.index".into(),
        Builtin::ThreadNewIndirect(..) => "thread.new-indirect".into(),
        Builtin::ThreadResumeLater => "thread.resume-later".into(),
        Builtin::ThreadSuspend => "thread.suspend".into(),
        Builtin::ThreadYield => "thread.yield".into(),
        Builtin::ThreadSuspendThenResume => "thread.suspend-then-resume".into(),
        Builtin::ThreadYieldThenResume => "thread.yield-then-resume".into(),
        Builtin::ThreadSuspendThenPromote => "thread.suspend-then-promote".into(),
        Builtin::ThreadYieldThenPromote => "thread.yield-then-promote".into(),
        Builtin::ErrorContextNew(_) => "error-context.new".into(),
        Builtin::ErrorContextDebugMessage(_) => "error-context.debug-message".into(),
        Builtin::ErrorContextDrop => "error-context.drop".into(),
        other => unreachable!("no step is {other:?}"),
    };
    for arg in args {
        words.push(' ');
        words += &arg.to_string();
    }
    words
}
