//! Handles and elements that cannot be passed: nothing is lost, and the instance at fault is poisoned.

use super::memory64::{intern, lift_as};
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::abi::types::{NewType, ValType};
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::{Error, Resource};
use canon_async::id::{LiftId, TypeId};
use canon_async::storage::Profile;

cases! {
    stream_read_own_without_room_stays_with_the_writer,
    stream_read_end_without_room_stays_with_the_writer,
    stream_write_end_without_room_kills_the_reader needs Types,
    task_return_own_without_room_kills_the_caller,
    task_return_end_without_room_kills_the_caller,
    stream_read_bad_element_kills_the_writer,
    stream_read_bad_element_by_the_host_kills_the_writer,
    lower_bad_argument_after_borrows_frees_them needs Lends,
    resource_lent_by_the_host_until_the_task_resolves,
    resource_lent_by_the_host_until_the_task_dies,
}

const NO_ROOM: Error = Error::capacity(Resource::Handles);
const RNEW: Builtin = ResourceNew(RESOURCE);
const RDROP: Builtin = ResourceDrop(RESOURCE);
/// The type that a case defines: a stream of handles.
const HANDLES: TypeId = TypeId::from_index(25);
const WRITE: Builtin = StreamWrite(HANDLES, async_opts(A));
const RETURN_HANDLES: Builtin =
    TaskReturn { result: Some(ValType::Defined(HANDLES)), options: sync_opts(A) };

/// A writes its handle 3 to a stream whose readable end the host holds; the host's table is full when it reads.
/// A then uses its handle.
fn read_by_a_full_host<P: Profile>(element: TypeId, writes: Script, uses: Script) -> Result<(), Error> {
    let mut w = World::<P>::with_limits(&[None, None], |limits| limits.handles = 4)?;
    let stream = intern(&mut w, NewType::Stream(Some(ValType::Defined(element))))?;
    assert_eq!(stream, ValType::Defined(HANDLES));
    let f = lift_as(&mut w, (&[], Some(stream), true), async_opts(A), writes)?;
    let uses = w.lift(Func::Sync, sync_opts(A), uses)?;
    w.call(f, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(1));
    for fill in [WaitableSetNew, WaitableSetNew, ErrorContextNew(sync_opts(HOST))] {
        w.host(fill, &[0, 0])?;
    }
    assert_eq!(w.host(StreamRead(HANDLES, async_opts(HOST)), &[1, 0, 1]), Err(NO_ROOM));
    // The reader, which is the host, is at fault: the writer is not poisoned, and still holds its handle.
    w.call(uses, 1)?;
    assert_eq!(w.ended(1), Ended::Returned(0));
    Ok(())
}

// A handle must not leave one table before there is room in the other.
fn stream_read_own_without_room_stays_with_the_writer<P: Profile>() -> Result<(), Error> {
    const WRITES: Script = &[
        run(StreamNew(HANDLES), &[]),
        call(RNEW, &[k(77)], 0),
        Op::Eq(R0, k(3)),
        Op::Store32(k(0), R0),
        run(WRITE, &[k(2), k(0), k(1)]),
        run(RETURN_HANDLES, &[k(1)]),
    ];
    const USES: Script = &[call(ResourceRep(RESOURCE), &[k(3)], 0), Op::Eq(R0, k(77)), run(RDROP, &[k(3)])];
    read_by_a_full_host::<P>(OWN, WRITES, USES)
}

fn stream_read_end_without_room_stays_with_the_writer<P: Profile>() -> Result<(), Error> {
    const WRITES: Script = &[
        run(StreamNew(HANDLES), &[]),
        run(StreamNew(STREAM), &[]),
        Op::Store32(k(0), k(3)),
        run(WRITE, &[k(2), k(0), k(1)]),
        run(RETURN_HANDLES, &[k(1)]),
    ];
    const USES: Script = &[
        run(StreamDropReadable(STREAM), &[k(3)]),
        // The writable end sees DROPPED, so that it was the same stream.
        call(StreamWrite(STREAM, async_opts(A)), &[k(4), k(0), k(1)], 0),
        Op::Eq(R0, k(1)),
    ];
    read_by_a_full_host::<P>(STREAM, WRITES, USES)
}

/// The host writes an end to a guest that has no room for it.
fn stream_write_end_without_room_kills_the_reader<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::with_limits(&[None, None], |limits| limits.handles = 4)?;
    let stream = intern(&mut w, NewType::Stream(Some(ValType::Defined(STREAM))))?;
    const READS: Script = &[
        run(StreamRead(HANDLES, async_opts(A)), &[R0, k(0), k(1)]),
        run(RNEW, &[k(1)]),
        run(RNEW, &[k(2)]),
        run(RNEW, &[k(3)]),
        run(task_return(A), &[]),
    ];
    let f = lift_as(&mut w, (&[stream], None, true), async_opts(A), READS)?;
    let other = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    assert_eq!(w.host(StreamNew(HANDLES), &[])?, 1 | 2 << 32);
    assert_eq!(w.host(StreamNew(STREAM), &[])?, 3 | 4 << 32);
    w.set_args(&[1]);
    w.call(f, 0)?;
    w.bytes(HOST)[0] = 3;
    assert_eq!(w.host(StreamWrite(HANDLES, async_opts(HOST)), &[2, 0, 1]), Err(NO_ROOM));
    assert_eq!(w.call(f, 1), Err(Trap::CannotEnter.into()));
    w.call(other, 2)?;
    // The host still holds the end that it wrote.
    w.host(StreamDropReadable(STREAM), &[3])?;
    assert_eq!(w.host(StreamWrite(STREAM, async_opts(HOST)), &[4, 0, 1])?, 1);
    Ok(())
}

/// B returns a handle to A, which has filled its table since it called.
fn returned_to_a_full_caller<P: Profile>(
    result: TypeId,
    returns: Script,
    calls: Script,
) -> Result<(), Error> {
    let mut w = World::<P>::with_limits(&[None, None, None], |limits| limits.handles = 3)?;
    let f = lift_as(&mut w, (&[], Some(ValType::Defined(result)), true), async_opts(B), returns)?;
    w.lower(f, async_opts(A))?;
    let a = w.lift(Func::Async, async_opts(A), calls)?;
    let other = w.lift(Func::Async, async_opts(C), script![run(task_return(C), &[])])?;
    w.call(a, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    assert_eq!(w.tick(), Err(NO_ROOM));
    // No code of A's was unwound: it is poisoned because it is at fault.
    assert_eq!(w.call(a, 1), Err(Trap::CannotEnter.into()));
    w.call(other, 2)?;
    w.done()
}

/// A calls B, and fills its table.
const CALLS: Script =
    &[run(low(0), &[k(64)]), run(RNEW, &[k(1)]), run(RNEW, &[k(2)]), run(task_return(A), &[])];

fn task_return_own_without_room_kills_the_caller<P: Profile>() -> Result<(), Error> {
    const OF_OWN: Builtin = TaskReturn { result: Some(ValType::Defined(OWN)), options: sync_opts(B) };
    const RETURNS: Script = &[call(RNEW, &[k(77)], 0), run(ThreadYield, &[]), run(OF_OWN, &[R0])];
    returned_to_a_full_caller::<P>(OWN, RETURNS, CALLS)
}

fn task_return_end_without_room_kills_the_caller<P: Profile>() -> Result<(), Error> {
    const OF_END: Builtin = TaskReturn { result: Some(ValType::Defined(STREAM)), options: sync_opts(B) };
    const RETURNS: Script = &[run(StreamNew(STREAM), &[]), run(ThreadYield, &[]), run(OF_END, &[k(1)])];
    returned_to_a_full_caller::<P>(STREAM, RETURNS, CALLS)
}

const OF_ERRORS: Builtin =
    TaskReturn { result: Some(ValType::Defined(STREAM_ERROR)), options: sync_opts(A) };
/// A returns the readable end of a stream and writes an unknown error context to it.
const WRITES_BAD: Script = &[
    run(StreamNew(STREAM_ERROR), &[]),
    Op::Store32(k(4), k(9)),
    run(StreamWrite(STREAM_ERROR, async_opts(A)), &[k(2), k(0), k(1)]),
    run(OF_ERRORS, &[k(1)]),
];

/// A's function of that.
pub(super) fn lift_writes_bad<P: Profile>(w: &mut World<P>) -> Result<LiftId, Error> {
    lift_as(w, (&[], Some(ValType::Defined(STREAM_ERROR)), true), async_opts(A), WRITES_BAD)
}

// The reader is unwound and the writer is at fault: both are poisoned, and no other root.
fn stream_read_bad_element_kills_the_writer<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    let writes = lift_writes_bad(&mut w)?;
    w.lower(writes, async_opts(B))?;
    const READS: Script = &[
        run(low(0), &[k(32)]),
        Op::Load32(0, k(32)),
        run(StreamRead(STREAM_ERROR, async_opts(B)), &[R0, k(0), k(1)]),
    ];
    let reads = w.lift(Func::Async, async_opts(B), READS)?;
    let other = w.lift(Func::Async, async_opts(C), script![run(task_return(C), &[])])?;
    assert_eq!(w.call(reads, 0), Err(Trap::UnknownHandle(9).into()));
    assert_eq!(w.call(reads, 1), Err(Trap::CannotEnter.into()));
    assert_eq!(w.call(writes, 2), Err(Trap::CannotEnter.into()));
    w.call(other, 3)?;
    w.done()
}

/// The host reads on no thread, so that no guest's code is unwound; the writer is poisoned all the same.
fn stream_read_bad_element_by_the_host_kills_the_writer<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let writes = lift_writes_bad(&mut w)?;
    let other = w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])])?;
    w.call(writes, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(1));
    let read = w.host(StreamRead(STREAM_ERROR, async_opts(HOST)), &[1, 0, 1]);
    assert_eq!(read, Err(Trap::UnknownHandle(9).into()));
    assert_eq!(w.call(writes, 1), Err(Trap::CannotEnter.into()));
    w.call(other, 2)?;
    Ok(())
}

/// Two arguments are borrows, and the third cannot be passed: the callee's task is abandoned, and the borrows do not
/// stay in the callee's table.
fn lower_bad_argument_after_borrows_frees_them<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::with_limits(&[None, None, None], |limits| limits.handles = 2)?;
    let borrow = intern(&mut w, NewType::Borrow(RESOURCE))?;
    let params = [borrow, borrow, ValType::ErrorContext];
    let f = lift_as(&mut w, (&params, None, true), async_opts(C), script![Op::Mark(1)])?;
    w.lower(f, sync_opts(A))?;
    let a = w.lift(Func::Async, async_opts(A), script![call(RNEW, &[k(77)], 0), run(low(0), &[R0, R0, k(9)])])?;
    let lives = w.lift(Func::Sync, sync_opts(C), script![run(RNEW, &[k(1)]), call(RNEW, &[k(2)], 0)])?;
    let error = w.call(a, 0).err();
    if let Some(Error::Capacity(what)) = error {
        return Err(Error::Capacity(what));
    }
    assert_eq!(error, Some(Trap::UnknownHandle(9).into()));
    assert!(w.marks().is_empty());
    // All of C's table is free.
    w.call(lives, 1)?;
    Ok(())
}

/// The host holds handle 1 of a resource and lends it to this function of C's.
fn lent_by_the_host<P: Profile>(takes: Script) -> Result<World<P>, Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    const OF_OWN: Builtin = TaskReturn { result: Some(ValType::Defined(OWN)), options: sync_opts(B) };
    let gives = script![call(RNEW, &[k(77)], 0), run(OF_OWN, &[R0])];
    let gives = lift_as(&mut w, (&[], Some(ValType::Defined(OWN)), true), async_opts(B), gives)?;
    let takes = w.lift(Func::AsyncBorrow, async_opts(C), takes)?;
    w.call(gives, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(1));
    w.set_args(&[1]);
    w.call(takes, 1)?;
    assert_eq!(w.host(RDROP, &[1]), Err(Trap::ResourceLent.into()));
    Ok(w)
}

// on_resolve of the host's call: the lend ends, though the task goes on.
fn resource_lent_by_the_host_until_the_task_resolves<P: Profile>() -> Result<(), Error> {
    const TAKES: Script =
        &[run(ThreadYield, &[]), run(RDROP, &[R0]), run(task_return(C), &[]), run(ThreadYield, &[])];
    let mut w = lent_by_the_host::<P>(TAKES)?;
    w.tick()?;
    assert_eq!(w.ended(1), Ended::Returned(0));
    w.host(RDROP, &[1])?;
    assert_eq!(w.ticks()?, 1);
    w.done()
}

fn resource_lent_by_the_host_until_the_task_dies<P: Profile>() -> Result<(), Error> {
    let mut w = lent_by_the_host::<P>(script![run(ThreadYield, &[]), Op::Trap(3)])?;
    assert_eq!(w.tick(), Err(Trap::Engine(3).into()));
    assert_eq!(w.ended(1), Ended::Lost);
    w.host(RDROP, &[1])?;
    w.done()
}
