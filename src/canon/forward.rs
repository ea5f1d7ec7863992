//! Spec: `canon {stream,future}.forward` (#717).
//!
//! Both ends that are given are consumed, and their peers become the two ends of one stream or future: whoever wrote
//! to the one meets whoever reads from the other, as if the forwarding component had never been between them. It is
//! the source that stays, since it is charged to who writes to it; nothing points to what was between.

use super::copy::{element_of, rendezvous};
use crate::embedding::{Embedding, Then};
use crate::error::{EndAction, Error};
use crate::event::event;
use crate::id::{SharedId, TypeId, WaitableId};
use crate::raise::{Raises, caught};
use crate::state::Direction;

/// `canon stream.forward`: joins the peer that writes to the stream of `readable` and the peer that reads from the
/// stream of `writable`. Cost: O(1), and the elements' where both have a copy pending.
///
/// # Errors
/// `Trap(CannotLeave)`; of each end `Trap(UnknownHandle | HandleKind | ElementType | BusyEnd | DoneEnd | EndInSet)`;
/// where two pending copies meet `Trap(IntraComponent)` and those of the elements.
pub fn stream_forward<E: Embedding + ?Sized>(
    e: &mut E,
    ty: TypeId,
    readable: u32,
    writable: u32,
) -> Result<Then, Error> {
    caught(e, |e| forward(e, false, ty, readable, writable))
}

/// `canon future.forward`. As [`stream_forward`].
///
/// # Errors
/// As [`stream_forward`].
pub fn future_forward<E: Embedding + ?Sized>(
    e: &mut E,
    ty: TypeId,
    readable: u32,
    writable: u32,
) -> Result<Then, Error> {
    caught(e, |e| forward(e, true, ty, readable, writable))
}

/// `forward`.
fn forward<E: Embedding + ?Sized>(
    e: &mut E,
    future: bool,
    ty: TypeId,
    readable: u32,
    writable: u32,
) -> Raises<Then> {
    let store = e.store();
    let element = element_of(store, ty, future)?;
    let instance = store.leave_check()?;
    // Each: trap_if of its kind, its element type, state != IDLE, in_waitable_set(). The first is out of the table
    // before the second is looked up.
    let readable = store.take_end(instance, readable, future, element, EndAction::ForwardReadable)?;
    let writable = store.take_end(instance, writable, future, element, EndAction::ForwardWritable)?;
    let (source, sink) = (store.end_mut(readable)?.shared(), store.end_mut(writable)?.shared());
    let entry = store.shared_mut(source)?;
    let (write, no_writer) = (entry.pending(), entry.is_dropped());
    let entry = store.shared_mut(sink)?;
    let (read, reader) = (entry.pending(), entry.end(Direction::Read));
    if let Some(reader) = reader
        && !no_writer
    {
        let pending = match (write, read) {
            (Some(write), Some(read)) => meet(e, (write, source), (read, sink))?,
            (write, read) => write.or(read),
        };
        // The two change their readable ends: what is given up are both ends of one.
        let store = e.store();
        store.end_mut(reader)?.join(source);
        store.end_mut(readable)?.join(sink);
        let entry = store.shared_mut(source)?;
        entry.set_end(Direction::Read, reader);
        entry.pending = pending;
        let entry = store.shared_mut(sink)?;
        entry.set_end(Direction::Read, readable);
        entry.pending = None;
        event!(debug, stream, "forwarded", shared = source, end = reader);
    }
    let store = e.store();
    store.drop_end(readable)?;
    store.drop_end(writable)?;
    Ok(Then::Value(0))
}

/// A pending write and a pending read meet, each still at its own stream or future. Answers which one is pending after
/// that. Where it fails both still are, and see the forwarding component's ends dropped when it is purged.
fn meet<E: Embedding + ?Sized>(
    e: &mut E,
    (write, source): (WaitableId, SharedId),
    (read, sink): (WaitableId, SharedId),
) -> Raises<Option<WaitableId>> {
    let store = e.store();
    let left = store.end_mut(write)?.buffer().map_or(0, |buffer| buffer.remain());
    let room = store.end_mut(read)?.buffer().map_or(0, |buffer| match buffer.remain() {
        // It has all that it asked for, and makes way.
        0 if !buffer.is_zero_length() => u32::MAX,
        remain => remain,
    });
    // The one with less left comes to the other, as if it were the later one.
    let (end, at) = if room > left { (write, sink) } else { (read, source) };
    rendezvous(e, end, at)?;
    Ok(e.store().shared_mut(at)?.pending())
}
