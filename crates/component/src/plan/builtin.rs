//! The canonical definitions that make core functions.

use canon_async::spec::PtrType;
use serde::{Deserialize, Serialize};

use super::{CoreItem, Func};
use crate::types::{PtrTypeDef, ValType};

/// A canonical definition that makes a core function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Builtin {
    /// Which, with its immediates.
    pub kind: BuiltinKind,
    /// The core function's type: an entry of [`Plan::core_types`](super::Plan::core_types).
    pub core_type: u32,
}

/// The canonical built-ins with their immediates, in the order of the spec, and those that came later.
///
/// `stream` and `future` are the types' indices in [`TypeTable::defs`](crate::types::TypeTable::defs),
/// `options` an entry of [`Plan::options`](super::Plan::options), `resource` an entry of
/// [`TypeTable::resources`](crate::types::TypeTable::resources). `start` is the type of what the thread's
/// function takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the spec's built-in of that name")]
#[non_exhaustive]
pub enum BuiltinKind {
    Lower {
        func: Func,
        options: u32,
    },
    ResourceNew {
        resource: u32,
    },
    ResourceDrop {
        resource: u32,
    },
    ResourceRep {
        resource: u32,
    },
    ContextGet {
        slot: u32,
    },
    ContextSet {
        slot: u32,
    },
    BackpressureInc,
    BackpressureDec,
    TaskReturn {
        result: Option<ValType>,
        options: u32,
    },
    TaskCancel,
    WaitableSetNew,
    WaitableSetWait {
        memory: CoreItem,
    },
    WaitableSetPoll {
        memory: CoreItem,
    },
    WaitableSetDrop,
    WaitableJoin,
    SubtaskCancel {
        is_async: bool,
    },
    SubtaskDrop,
    StreamNew {
        stream: u32,
    },
    StreamRead {
        stream: u32,
        options: u32,
    },
    StreamWrite {
        stream: u32,
        options: u32,
    },
    StreamCancelRead {
        stream: u32,
        is_async: bool,
    },
    StreamCancelWrite {
        stream: u32,
        is_async: bool,
    },
    StreamDropReadable {
        stream: u32,
    },
    StreamDropWritable {
        stream: u32,
    },
    FutureNew {
        future: u32,
    },
    FutureRead {
        future: u32,
        options: u32,
    },
    FutureWrite {
        future: u32,
        options: u32,
    },
    FutureCancelRead {
        future: u32,
        is_async: bool,
    },
    FutureCancelWrite {
        future: u32,
        is_async: bool,
    },
    FutureDropReadable {
        future: u32,
    },
    FutureDropWritable {
        future: u32,
    },
    ThreadIndex,
    ThreadNewIndirect {
        table: CoreItem,
        #[serde(with = "PtrTypeDef")]
        start: PtrType,
    },
    ThreadResumeLater,
    ThreadSuspend,
    ThreadYield,
    ThreadSuspendThenResume,
    ThreadYieldThenResume,
    ThreadSuspendThenPromote,
    ThreadYieldThenPromote,
    ErrorContextNew {
        options: u32,
    },
    ErrorContextDebugMessage {
        options: u32,
    },
    ErrorContextDrop,
    StreamForward {
        stream: u32,
    },
    FutureForward {
        future: u32,
    },
}
