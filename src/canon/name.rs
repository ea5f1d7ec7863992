//! Spec: Explainer, "Canonical Built-ins": what each is called in text.

use super::Builtin;

impl Builtin {
    /// The name in the text format, without immediates; of a lowered function `canon lower`. For messages. O(1).
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Lower(_) => "canon lower",
            Self::ResourceNew(_) => "resource.new",
            Self::ResourceDrop(_) => "resource.drop",
            Self::ResourceRep(_) => "resource.rep",
            Self::ContextGet(_) => "context.get",
            Self::ContextSet(_) => "context.set",
            Self::BackpressureInc => "backpressure.inc",
            Self::BackpressureDec => "backpressure.dec",
            Self::TaskReturn { .. } => "task.return",
            Self::TaskCancel => "task.cancel",
            Self::WaitableSetNew => "waitable-set.new",
            Self::WaitableSetWait(_) => "waitable-set.wait",
            Self::WaitableSetPoll(_) => "waitable-set.poll",
            Self::WaitableSetDrop => "waitable-set.drop",
            Self::WaitableJoin => "waitable.join",
            Self::SubtaskCancel { .. } => "subtask.cancel",
            Self::SubtaskDrop => "subtask.drop",
            Self::StreamNew(_) => "stream.new",
            Self::StreamRead(..) => "stream.read",
            Self::StreamWrite(..) => "stream.write",
            Self::StreamCancelRead(..) => "stream.cancel-read",
            Self::StreamCancelWrite(..) => "stream.cancel-write",
            Self::StreamDropReadable(_) => "stream.drop-readable",
            Self::StreamDropWritable(_) => "stream.drop-writable",
            Self::StreamForward(_) => "stream.forward",
            Self::FutureForward(_) => "future.forward",
            Self::FutureNew(_) => "future.new",
            Self::FutureRead(..) => "future.read",
            Self::FutureWrite(..) => "future.write",
            Self::FutureCancelRead(..) => "future.cancel-read",
            Self::FutureCancelWrite(..) => "future.cancel-write",
            Self::FutureDropReadable(_) => "future.drop-readable",
            Self::FutureDropWritable(_) => "future.drop-writable",
            Self::ThreadIndex => "thread.index",
            Self::ThreadNewIndirect(_) => "thread.new-indirect",
            Self::ThreadResumeLater => "thread.resume-later",
            Self::ThreadSuspend => "thread.suspend",
            Self::ThreadYield => "thread.yield",
            Self::ThreadSuspendThenResume => "thread.suspend-then-resume",
            Self::ThreadYieldThenResume => "thread.yield-then-resume",
            Self::ThreadSuspendThenPromote => "thread.suspend-then-promote",
            Self::ThreadYieldThenPromote => "thread.yield-then-promote",
            Self::ErrorContextNew(_) => "error-context.new",
            Self::ErrorContextDebugMessage(_) => "error-context.debug-message",
            Self::ErrorContextDrop => "error-context.drop",
            Self::ThreadSpawnRef => "thread.spawn-ref",
            Self::ThreadSpawnIndirect(_) => "thread.spawn-indirect",
            Self::ThreadAvailableParallelism => "thread.available-parallelism",
        }
    }
}
