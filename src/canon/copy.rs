//! Spec: `canon {stream,future}.new`, `canon stream.{read,write}`, `canon future.{read,write}`,
//! `canon {stream,future}.cancel-{read,write}`, `canon {stream,future}.drop-{readable,writable}`.
//!
//! A copy gives a buffer to the shared stream or future. Where the other end's buffer waits there, elements move
//! from memory to memory at once ([`rendezvous`]); else this one waits.

use super::wait;
use crate::abi::raising::{self as abi, Moved};
use crate::abi::types::{TypeDef, ValType};
use crate::embedding::{Embedding, Then};
use crate::error::{EndAction, Error, Trap};
use crate::event::event;
use crate::id::{InstanceId, MemoryRef, OptsId, SharedId, TypeId, WaitableId};
use crate::message::{Bug, Misuse};
use crate::raise::{OrRaise as _, Raises, caught};
use crate::spec::{BLOCKED, BUFFER_MAX_LENGTH, CopyResult};
use crate::state::{Buffer, CopyState, Direction, Event, Point, ptr_type};
use crate::storage::Profile;
use crate::store::Store;

macro_rules! copies {
    ($($(#[$doc:meta])* $name:ident = $inner:ident($($fixed:expr),*; $($arg:ident: $ty:ty),*);)*) => {$(
        $(#[$doc])*
        pub fn $name<E: Embedding + ?Sized>(e: &mut E, ty: TypeId, $($arg: $ty),*) -> Result<Then, Error> {
            caught(e, |e| $inner(e, $($fixed,)* ty, $($arg),*))
        }
    )*};
}

copies! {
    /// `canon stream.new`: the handles of both ends, readable | writable << 32. Cost: O(1).
    ///
    /// # Errors
    /// `Trap(CannotLeave)`; `Capacity(Streams | Waitables | Handles)`.
    stream_new = new(false;);
    /// `canon future.new`: the handles of both ends, readable | writable << 32. Cost: O(1).
    ///
    /// # Errors
    /// `Trap(CannotLeave)`; `Capacity(Streams | Waitables | Handles)`.
    future_new = new(true;);
    /// `canon stream.read`: reads up to `n` elements to `ptr`; answers a result and a count, or BLOCKED. Cost: the elements'.
    ///
    /// # Errors
    /// `Trap(CannotLeave | UnknownHandle | HandleKind | ElementType | BusyEnd | DoneEnd | SyncInSet | BufferTooLong | Unaligned
    /// | OutOfBounds | IntraComponent)`, those of the elements, and where it must block `Trap(CannotBlockSync | CannotSuspend)`.
    stream_read = copy(Direction::Read, false; options: OptsId, i: u32, ptr: u64, n: u64);
    /// `canon stream.write`: writes up to `n` elements from `ptr`. As [`stream_read`].
    ///
    /// # Errors
    /// As [`stream_read`].
    stream_write = copy(Direction::Write, false; options: OptsId, i: u32, ptr: u64, n: u64);
    /// `canon stream.cancel-read`: ends the read under way; answers as it would have. Cost: O(1).
    ///
    /// # Errors
    /// `Trap(CannotLeave | UnknownHandle | HandleKind | ElementType | NothingToCancel | SyncInSet)`.
    stream_cancel_read = cancel_copy(Direction::Read, false; is_async: bool, i: u32);
    /// `canon stream.cancel-write`: ends the write under way. As [`stream_cancel_read`].
    ///
    /// # Errors
    /// As [`stream_cancel_read`].
    stream_cancel_write = cancel_copy(Direction::Write, false; is_async: bool, i: u32);
    /// `canon future.cancel-read`: ends the read under way. As [`stream_cancel_read`].
    ///
    /// # Errors
    /// As [`stream_cancel_read`].
    future_cancel_read = cancel_copy(Direction::Read, true; is_async: bool, i: u32);
    /// `canon future.cancel-write`: ends the write under way. As [`stream_cancel_read`].
    ///
    /// # Errors
    /// As [`stream_cancel_read`].
    future_cancel_write = cancel_copy(Direction::Write, true; is_async: bool, i: u32);
    /// `canon stream.drop-readable`. Cost: O(1).
    ///
    /// # Errors
    /// `Trap(CannotLeave | UnknownHandle | HandleKind | ElementType | BusyEnd)`.
    stream_drop_readable = drop_end(Direction::Read, false; i: u32);
    /// `canon stream.drop-writable`. Cost: O(1).
    ///
    /// # Errors
    /// As [`stream_drop_readable`].
    stream_drop_writable = drop_end(Direction::Write, false; i: u32);
    /// `canon future.drop-readable`. Cost: O(1).
    ///
    /// # Errors
    /// As [`stream_drop_readable`].
    future_drop_readable = drop_end(Direction::Read, true; i: u32);
    /// `canon future.drop-writable`. Cost: O(1).
    ///
    /// # Errors
    /// As [`stream_drop_readable`], and `Trap(FutureNotWritten)`.
    future_drop_writable = drop_end(Direction::Write, true; i: u32);
}

/// `canon future.read`: reads the value to `ptr`; answers a result, or BLOCKED. Cost: the value's.
///
/// # Errors
/// As [`stream_read`].
pub fn future_read<E: Embedding + ?Sized>(
    e: &mut E,
    ty: TypeId,
    options: OptsId,
    i: u32,
    ptr: u64,
) -> Result<Then, Error> {
    caught(e, |e| copy(e, Direction::Read, true, ty, options, i, ptr, 1))
}

/// `canon future.write`: writes the value at `ptr`; answers a result, or BLOCKED. Cost: the value's.
///
/// # Errors
/// As [`stream_read`].
pub fn future_write<E: Embedding + ?Sized>(
    e: &mut E,
    ty: TypeId,
    options: OptsId,
    i: u32,
    ptr: u64,
) -> Result<Then, Error> {
    caught(e, |e| copy(e, Direction::Write, true, ty, options, i, ptr, 1))
}

/// `stream_t.t`, `future_t.t`.
pub(crate) fn element_of<P: Profile>(
    store: &mut Store<P>,
    ty: TypeId,
    future: bool,
) -> Raises<Option<ValType>> {
    match store.types().get_def(ty).copied() {
        Some(TypeDef::Stream(element)) if !future => Ok(element),
        Some(TypeDef::Future(element)) if future => Ok(element),
        _ => store.raiser.raise(Misuse::NotStreamType),
    }
}

fn new<E: Embedding + ?Sized>(e: &mut E, future: bool, ty: TypeId) -> Raises<Then> {
    let instance = e.store().leave_check()?;
    let element = element_of(e.store(), ty, future)?;
    let (readable, writable) = e.store().new_ends(instance, element, future)?;
    Ok(Then::Value(u64::from(readable) | u64::from(writable).wrapping_shl(32)))
}

/// `stream_copy`, `future_copy`.
fn copy<E: Embedding + ?Sized>(
    e: &mut E,
    direction: Direction,
    future: bool,
    ty: TypeId,
    options_id: OptsId,
    i: u32,
    ptr: u64,
    n: u64,
) -> Raises<Then> {
    let store = e.store();
    store.leave_check()?;
    let is_async = store.options_of(options_id)?.is_async;
    if !is_async {
        store.check_may_block()?;
    }
    let element = element_of(store, ty, future)?;
    let end = begin(e, direction, future, element, options_id, i, ptr, n)?;
    finish(e, end, is_async)
}

/// The end of a copy and of its cancellation: what came of it, if anything did.
#[cfg_attr(not(feature = "alloc"), inline(never))]
fn finish<E: Embedding + ?Sized>(e: &mut E, end: WaitableId, is_async: bool) -> Raises<Then> {
    let store = e.store();
    if !store.waitable_mut(end)?.has_pending_event() {
        if is_async {
            return Ok(Then::Value(u64::from(BLOCKED)));
        }
        return wait(e, Point::Event(end));
    }
    let (_, _, payload) = store.get_pending_event(end)?;
    Ok(Then::Value(u64::from(payload)))
}

/// A copy up to where its event is pending, or it waits for the other end.
pub(crate) fn begin<E: Embedding + ?Sized>(
    e: &mut E,
    direction: Direction,
    future: bool,
    element: Option<ValType>,
    options_id: OptsId,
    i: u32,
    ptr: u64,
    n: u64,
) -> Raises<WaitableId> {
    let store = e.store();
    let instance = store.leave_check()?;
    let options = store.options_of(options_id)?;
    let (is_async, memory) = (options.is_async, options.memory);
    let end = store.end_handle(instance, i, direction, future, element)?;
    let action = match direction {
        Direction::Read => EndAction::Read,
        Direction::Write => EndAction::Write,
    };
    store.check_idle(end, action)?;
    if store.waitable_mut(end)?.in_waitable_set() && !is_async {
        return store.raiser.raise(Trap::SyncInSet);
    }
    let ptr = ptr_type(memory).word(ptr);
    let length = check_buffer(e, memory, element, ptr, n)?;

    let buffer = Buffer { options: options_id, pointer: ptr, progress: 0, length };
    let shared = e.store().start_copy(end, buffer)?;
    if let Err(error) = rendezvous(e, end, shared) {
        // The host may try again.
        let entry = e.store().end_mut(end)?;
        (entry.state, entry.buffer) = (CopyState::Idle, None);
        return Err(error);
    }
    Ok(end)
}

/// `BufferGuestImpl.__init__`: how many elements there are room for.
fn check_buffer<E: Embedding + ?Sized>(
    e: &mut E,
    memory: Option<MemoryRef>,
    element: Option<ValType>,
    ptr: usize,
    n: u64,
) -> Raises<u32> {
    let ptr_type = ptr_type(memory);
    let n = u32::try_from(ptr_type.word(n)).ok().filter(|n| *n <= BUFFER_MAX_LENGTH);
    let n = n.or_raise(&mut e.store().raiser, Trap::BufferTooLong)?;
    if let Some(element) = element
        && n > 0
    {
        let layout = *e.store().layout_of(element)?;
        let size = (layout.size(ptr_type) as usize).checked_mul(n as usize);
        // More than this machine can address lies in no memory.
        abi::check_range(e, memory, ptr, layout.align(ptr_type), size.unwrap_or(usize::MAX))?;
    }
    Ok(n)
}

/// `SharedStreamImpl.{read,write}`, `SharedFutureImpl.{read,write}`: this end's buffer meets the one that is
/// pending at `at`, or waits there. An error leaves that one pending.
pub(crate) fn rendezvous<E: Embedding + ?Sized>(e: &mut E, end: WaitableId, at: SharedId) -> Raises {
    let store = e.store();
    let done = |result| Event::Copy { result, reclaim: false };
    let entry = store.end_mut(end)?;
    let (direction, future) = (entry.direction(), entry.is_future());
    let own = entry.buffer.or_raise(&mut store.raiser, Bug::NoBuffer)?;
    let shared = store.shared_mut(at)?;
    if shared.is_dropped() {
        return store.set_pending_event(end, done(CopyResult::Dropped));
    }
    let Some(other) = shared.pending else {
        shared.pending = Some(end);
        return Ok(());
    };
    let element = shared.element();
    let their = store.end_mut(other)?.buffer.or_raise(&mut store.raiser, Bug::NoBuffer)?;
    if instance_of(store, &own)? == instance_of(store, &their)? && !none_or_number_type(element) {
        return store.raiser.raise(Trap::IntraComponent { future });
    }
    let (own_left, their_left) = (own.remain(), their.remain());
    if their_left == 0 && !(own_left == 0 && direction == Direction::Write && their.is_zero_length()) {
        store.shared_mut(at)?.pending = Some(end);
        return store.set_pending_event(other, done(CopyResult::Completed));
    }
    // Then both have.
    if own_left > 0 {
        match direction {
            Direction::Read => move_elements(e, element, (other, &their), (end, &own))?,
            Direction::Write => move_elements(e, element, (end, &own), (other, &their))?,
        }
        event!(debug, stream, "copied", end, with = other, count = own_left.min(their_left));
        let store = e.store();
        if future {
            store.shared_mut(at)?.pending = None;
        }
        let event = Event::Copy { result: CopyResult::Completed, reclaim: !future };
        store.set_pending_event(other, event)?;
    }
    e.store().set_pending_event(end, done(CopyResult::Completed))
}

fn instance_of<P: Profile>(store: &mut Store<P>, buffer: &Buffer) -> Raises<InstanceId> {
    Ok(store.options_of(buffer.options)?.instance)
}

/// `none_or_number_type`.
fn none_or_number_type(element: Option<ValType>) -> bool {
    !matches!(
        element,
        Some(ValType::Bool | ValType::Char | ValType::String | ValType::ErrorContext | ValType::Defined(_))
    )
}

/// `dst_buffer.write(src_buffer.read(n))`, with as many elements as both have. Of a copy that fails both ends
/// keep what has moved, and a reader that runs out of room for handles has read those before.
#[cfg_attr(not(feature = "alloc"), inline(never))]
fn move_elements<E: Embedding + ?Sized>(
    e: &mut E,
    element: Option<ValType>,
    (src_end, src): (WaitableId, &Buffer),
    (dst_end, dst): (WaitableId, &Buffer),
) -> Raises {
    let n = src.remain().min(dst.remain());
    let mut moved = Moved { count: 0, lost: false, ends: (src.pointer, dst.pointer) };
    let copied = match element {
        Some(element) => abi::transfer_elements(e, (src.options, dst.options), element, n, &mut moved),
        None => {
            moved.count = n;
            Ok(())
        }
    };
    let left = moved.count.wrapping_add(moved.lost.into());
    // Not a loop: it takes 16 bytes more.
    let store = e.store();
    if let Some(buffer) = &mut store.end_mut(src_end)?.buffer {
        buffer.advance(left, moved.ends.0);
    }
    if let Some(buffer) = &mut store.end_mut(dst_end)?.buffer {
        buffer.advance(moved.count, moved.ends.1);
    }
    let Err(error) = copied else { return Ok(()) };
    let store = e.store();
    if store.raiser.is_capacity(error) && moved.count > 0 && !moved.lost {
        store.take_blamed();
        return Ok(());
    }
    // Nothing is wrong with what was written if the caller can't pay for the copy. Of the two ends the
    // reader's `realloc` and its table name themselves; else it is what was written.
    if !store.raiser.is_engine_trap(error) {
        let writer = instance_of(store, src)?;
        store.blame(writer);
    }
    Err(error)
}

/// `cancel_copy`.
fn cancel_copy<E: Embedding + ?Sized>(
    e: &mut E,
    direction: Direction,
    future: bool,
    ty: TypeId,
    is_async: bool,
    i: u32,
) -> Raises<Then> {
    let store = e.store();
    let instance = store.leave_check()?;
    if !is_async {
        store.check_may_block()?;
    }
    let element = element_of(store, ty, future)?;
    let end = store.end_handle(instance, i, direction, future, element)?;
    let waitable = store.waitable_mut(end)?;
    let (sync_waiter, in_set) = (waitable.has_sync_waiter(), waitable.in_waitable_set());
    let pending = waitable.has_pending_event();
    let entry = store.end_mut(end)?;
    if entry.state() != CopyState::Copying || sync_waiter {
        return store.raiser.raise(Trap::NothingToCancel);
    }
    if in_set && !is_async {
        return store.raiser.raise(Trap::SyncInSet);
    }
    entry.state = CopyState::Cancelling;
    event!(debug, stream, "copy cancelling", end);
    if !pending {
        store.reset_and_notify_pending(end, CopyResult::Cancelled)?;
    }
    // A stream's copy that has ended, if its holder was not told yet, says CANCELLED with the count, as the
    // reference tests have it (`cancel-stream.wast`).
    if !future
        && let Some(Event::Copy { result: result @ CopyResult::Completed, .. }) =
            &mut store.waitable_mut(end)?.event
    {
        *result = CopyResult::Cancelled;
    }
    finish(e, end, is_async)
}

/// `drop`.
fn drop_end<E: Embedding + ?Sized>(
    e: &mut E,
    direction: Direction,
    future: bool,
    ty: TypeId,
    i: u32,
) -> Raises<Then> {
    let instance = e.store().leave_check()?;
    let element = element_of(e.store(), ty, future)?;
    let store = e.store();
    let end = store.end_handle(instance, i, direction, future, element)?;
    store.check_drop_end(end)?;
    store.remove_handle(instance, i);
    store.drop_end(end)?;
    Ok(Then::Value(0))
}
