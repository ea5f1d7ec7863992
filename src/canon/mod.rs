//! Spec: Canonical Definitions.
//!
//! One file a family, one function a built-in, in the spec's order; every `trap_if` is there to see.
//! [`Builtin`] names them all, for whoever links a component; [`call`] is the one switch over it.

pub mod lift;
pub mod lower;

mod context;
pub(crate) mod copy;
mod error_context;
mod forward;
mod name;
pub(crate) mod resolve;
mod resource;
mod start;
mod subtask;
mod task;
mod thread;
mod waitable_set;

pub use context::{backpressure_dec, backpressure_inc, context_get, context_set};
pub use copy::{
    future_cancel_read, future_cancel_write, future_drop_readable, future_drop_writable, future_new,
    future_read, future_write, stream_cancel_read, stream_cancel_write, stream_drop_readable,
    stream_drop_writable, stream_new, stream_read, stream_write,
};
pub use error_context::{error_context_debug_message, error_context_drop, error_context_new};
pub use forward::{future_forward, stream_forward};
pub use lower::lower;
pub use resource::{resource_drop, resource_new, resource_rep};
pub use subtask::{subtask_cancel, subtask_drop};
pub use task::{task_cancel, task_return};
pub use thread::{
    thread_available_parallelism, thread_index, thread_new_indirect, thread_resume_later,
    thread_spawn_indirect, thread_spawn_ref, thread_suspend, thread_suspend_then_promote,
    thread_suspend_then_resume, thread_yield, thread_yield_then_promote, thread_yield_then_resume,
};
pub use waitable_set::{
    waitable_join, waitable_set_drop, waitable_set_new, waitable_set_poll, waitable_set_wait,
};

use crate::abi::raising as abi;
use crate::abi::types::ValType;
use crate::embedding::{Embedding, Then};
use crate::error::Error;
use crate::id::{FuncRef, LowerId, MemoryRef, OptsId, ResourceId, TableRef, TypeId};
use crate::raise::Raises;
use crate::state::Point;

/// A canonical built-in with what its definition gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs, reason = "each is the spec's built-in of that name")]
#[non_exhaustive]
pub enum Builtin {
    Lower(LowerId),
    ResourceNew(ResourceId),
    ResourceDrop(ResourceId),
    ResourceRep(ResourceId),
    ContextGet(u32),
    ContextSet(u32),
    BackpressureInc,
    BackpressureDec,
    TaskReturn { result: Option<ValType>, options: OptsId },
    TaskCancel,
    WaitableSetNew,
    WaitableSetWait(MemoryRef),
    WaitableSetPoll(MemoryRef),
    WaitableSetDrop,
    WaitableJoin,
    SubtaskCancel { is_async: bool },
    SubtaskDrop,
    StreamNew(TypeId),
    StreamRead(TypeId, OptsId),
    StreamWrite(TypeId, OptsId),
    StreamCancelRead(TypeId, bool),
    StreamCancelWrite(TypeId, bool),
    StreamDropReadable(TypeId),
    StreamDropWritable(TypeId),
    StreamForward(TypeId),
    FutureNew(TypeId),
    FutureRead(TypeId, OptsId),
    FutureWrite(TypeId, OptsId),
    FutureCancelRead(TypeId, bool),
    FutureCancelWrite(TypeId, bool),
    FutureDropReadable(TypeId),
    FutureDropWritable(TypeId),
    FutureForward(TypeId),
    ThreadIndex,
    ThreadNewIndirect(TableRef),
    ThreadResumeLater,
    ThreadSuspend,
    ThreadYield,
    ThreadSuspendThenResume,
    ThreadYieldThenResume,
    ThreadSuspendThenPromote,
    ThreadYieldThenPromote,
    ErrorContextNew(OptsId),
    ErrorContextDebugMessage(OptsId),
    ErrorContextDrop,
    ThreadSpawnRef,
    ThreadSpawnIndirect(TableRef),
    ThreadAvailableParallelism,
}

/// Calls a built-in with its core arguments as raw bits. Missing arguments count as 0: the engine's function types,
/// made from the same definition, see to their number. A reference to a function is the index of its [`FuncRef`] + 1, and null
/// is 0.
///
/// # Errors
/// The built-in's.
// Never inlined: it is large, and what it is called from has a use for its registers.
#[inline(never)]
pub fn call<E: Embedding + ?Sized>(e: &mut E, builtin: Builtin, args: &[u64]) -> Result<Then, Error> {
    let mut first = [0u64; 3];
    first.iter_mut().zip(args).for_each(|(to, from)| *to = *from);
    let arg = |index: usize| first.get(index).copied().unwrap_or(0);
    let word = |index: usize| arg(index) as u32;
    match builtin {
        Builtin::Lower(id) => lower(e, id, args),
        Builtin::ResourceNew(rt) => resource_new(e, rt, arg(0)),
        Builtin::ResourceDrop(rt) => resource_drop(e, rt, word(0)),
        Builtin::ResourceRep(rt) => resource_rep(e, rt, word(0)),
        Builtin::ContextGet(slot) => context_get(e, slot),
        Builtin::ContextSet(slot) => context_set(e, slot, arg(0)),
        Builtin::BackpressureInc => backpressure_inc(e),
        Builtin::BackpressureDec => backpressure_dec(e),
        Builtin::TaskReturn { result, options } => task_return(e, result, options, args),
        Builtin::TaskCancel => task_cancel(e),
        Builtin::WaitableSetNew => waitable_set_new(e),
        Builtin::WaitableSetWait(memory) => waitable_set_wait(e, memory, word(0), arg(1)),
        Builtin::WaitableSetPoll(memory) => waitable_set_poll(e, memory, word(0), arg(1)),
        Builtin::WaitableSetDrop => waitable_set_drop(e, word(0)),
        Builtin::WaitableJoin => waitable_join(e, word(0), word(1)),
        Builtin::SubtaskCancel { is_async } => subtask_cancel(e, is_async, word(0)),
        Builtin::SubtaskDrop => subtask_drop(e, word(0)),
        Builtin::StreamNew(ty) => stream_new(e, ty),
        Builtin::StreamRead(ty, options) => stream_read(e, ty, options, word(0), arg(1), arg(2)),
        Builtin::StreamWrite(ty, options) => stream_write(e, ty, options, word(0), arg(1), arg(2)),
        Builtin::StreamCancelRead(ty, is_async) => stream_cancel_read(e, ty, is_async, word(0)),
        Builtin::StreamCancelWrite(ty, is_async) => stream_cancel_write(e, ty, is_async, word(0)),
        Builtin::StreamDropReadable(ty) => stream_drop_readable(e, ty, word(0)),
        Builtin::StreamDropWritable(ty) => stream_drop_writable(e, ty, word(0)),
        Builtin::StreamForward(ty) => stream_forward(e, ty, word(0), word(1)),
        Builtin::FutureNew(ty) => future_new(e, ty),
        Builtin::FutureRead(ty, options) => future_read(e, ty, options, word(0), arg(1)),
        Builtin::FutureWrite(ty, options) => future_write(e, ty, options, word(0), arg(1)),
        Builtin::FutureCancelRead(ty, is_async) => future_cancel_read(e, ty, is_async, word(0)),
        Builtin::FutureCancelWrite(ty, is_async) => future_cancel_write(e, ty, is_async, word(0)),
        Builtin::FutureDropReadable(ty) => future_drop_readable(e, ty, word(0)),
        Builtin::FutureDropWritable(ty) => future_drop_writable(e, ty, word(0)),
        Builtin::FutureForward(ty) => future_forward(e, ty, word(0), word(1)),
        Builtin::ThreadIndex => thread_index(e),
        Builtin::ThreadNewIndirect(table) => thread_new_indirect(e, table, arg(0), arg(1)),
        Builtin::ThreadResumeLater => thread_resume_later(e, word(0)),
        Builtin::ThreadSuspend => thread_suspend(e),
        Builtin::ThreadYield => thread_yield(e),
        Builtin::ThreadSuspendThenResume => thread_suspend_then_resume(e, word(0)),
        Builtin::ThreadYieldThenResume => thread_yield_then_resume(e, word(0)),
        Builtin::ThreadSuspendThenPromote => thread_suspend_then_promote(e, word(0)),
        Builtin::ThreadYieldThenPromote => thread_yield_then_promote(e, word(0)),
        Builtin::ErrorContextNew(options) => error_context_new(e, options, arg(0), arg(1)),
        Builtin::ErrorContextDebugMessage(options) => {
            error_context_debug_message(e, options, word(0), arg(1))
        }
        Builtin::ErrorContextDrop => error_context_drop(e, word(0)),
        Builtin::ThreadSpawnRef => {
            thread_spawn_ref(e, word(0).checked_sub(1).map(FuncRef::from_index), arg(1))
        }
        Builtin::ThreadSpawnIndirect(table) => thread_spawn_indirect(e, table, arg(0), arg(1)),
        Builtin::ThreadAvailableParallelism => thread_available_parallelism(e),
    }
}

impl Builtin {
    /// Whether it may answer [`Then::Suspend`]: only those need an engine's care for being suspended.
    pub fn may_suspend(&self) -> bool {
        match self {
            Builtin::Lower(_)
            | Builtin::WaitableSetWait(_)
            | Builtin::StreamRead(..)
            | Builtin::StreamWrite(..)
            | Builtin::FutureRead(..)
            | Builtin::FutureWrite(..)
            | Builtin::ThreadSuspend
            | Builtin::ThreadYield
            | Builtin::ThreadSuspendThenResume
            | Builtin::ThreadYieldThenResume
            | Builtin::ThreadSuspendThenPromote
            | Builtin::ThreadYieldThenPromote => true,
            Builtin::SubtaskCancel { is_async }
            | Builtin::StreamCancelRead(_, is_async)
            | Builtin::StreamCancelWrite(_, is_async)
            | Builtin::FutureCancelRead(_, is_async)
            | Builtin::FutureCancelWrite(_, is_async) => !is_async,
            _ => false,
        }
    }
}

/// The current thread waits, where its frames can be set aside.
#[cfg_attr(not(feature = "alloc"), inline(never))]
pub(crate) fn wait<E: Embedding + ?Sized>(e: &mut E, point: Point) -> Raises<Then> {
    let can_suspend = e.can_suspend();
    let store = e.store();
    let thread = store.check_can_block(can_suspend)?;
    store.start_waiting(thread, point)?;
    Ok(Then::Suspend)
}

/// `unpack_event`: writes index and payload to `ptr`, answers the code.
pub(crate) fn unpack_event<E: Embedding + ?Sized>(
    e: &mut E,
    memory: MemoryRef,
    ptr: usize,
    (code, p1, p2): crate::store::EventTuple,
) -> Raises<u32> {
    let memory = Some(memory);
    abi::check_range(e, memory, ptr, 4, 8)?;
    abi::store_int(e, memory, ptr, 4, u64::from(p1))?;
    abi::store_int(e, memory, ptr.wrapping_add(4), 4, u64::from(p2))?;
    Ok(code as u32)
}
