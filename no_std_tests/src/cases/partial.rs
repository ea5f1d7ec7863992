//! Copies that end in the middle: each side is told how many elements have left it or reached it, and what
//! was not passed stays where it is.

use super::memory64::{intern, lift_as};
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::abi::types::{NewType, ValType};
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::{Error, Resource};
use canon_async::id::{OptsId, TypeId};
use canon_async::storage::Profile;

cases! {
    stream_write_bad_element_after_good_ones_those_are_read,
    stream_read_with_room_for_some_reads_those,
    stream_read_without_room_is_refused_until_there_is_room,
    stream_read_realloc_traps_writer_is_told_what_has_left needs Types,
}

const RNEW: Builtin = ResourceNew(RESOURCE);
/// The type that a case defines first: a stream of own handles, or of records.
const OWNS: TypeId = TypeId::from_index(25);
const DROPPED: u64 = 1;
const fn count(n: u64) -> u64 {
    n << 4
}

/// A keeps handles 3 and 4 of its resource at 0 and 4, an unknown one at 8, and returns a stream of them,
/// whose readable end is handle 1. Then it does the rest.
macro_rules! owns {
    ($($rest:expr),*) => {
        script![
            run(StreamNew(OWNS), &[]),
            run(RNEW, &[k(77)]),
            run(RNEW, &[k(78)]),
            Op::Store32(k(0), k(3)),
            Op::Store32(k(4), k(4)),
            Op::Store32(k(8), k(99)),
            run(TaskReturn { result: Some(ValType::Defined(OWNS)), options: sync_opts(A) }, &[k(1)]),
            $($rest),*
        ]
    };
}

const WRITE: Builtin = StreamWrite(OWNS, async_opts(A));
const READ: Builtin = StreamRead(OWNS, async_opts(HOST));
/// What came of the host's read.
const TAKE: Builtin = StreamCancelRead(OWNS, true);

fn stream_of_owns<P: Profile>(w: &mut World<P>) -> Result<ValType, Error> {
    let stream = intern(w, NewType::Stream(Some(ValType::Defined(OWN))))?;
    assert_eq!(stream, ValType::Defined(OWNS));
    Ok(stream)
}

fn stream_write_bad_element_after_good_ones_those_are_read<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let stream = stream_of_owns(&mut w)?;
    const WRITES: Script = owns![run(ThreadYield, &[]), run(WRITE, &[k(2), k(0), k(3)])];
    let writes = lift_as(&mut w, (&[], Some(stream), true), async_opts(A), WRITES)?;
    w.call(writes, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(1));
    assert_eq!(w.host(READ, &[1, 0, 3])?, u64::from(canon_async::spec::BLOCKED));
    assert_eq!(w.tick(), Err(Trap::UnknownHandle(99).into()));
    assert_eq!(w.host(TAKE, &[1])?, DROPPED | count(2));
    assert_eq!(w.bytes(HOST)[..12], [2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    for (handle, rep) in [(2, 77), (3, 78)] {
        assert_eq!(w.store.host_resource(handle)?.rep.bits(), rep);
    }
    Ok(())
}

fn stream_read_with_room_for_some_reads_those<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::with_limits(&[None], |limits| limits.handles = 4)?;
    let stream = stream_of_owns(&mut w)?;
    const WRITES: Script = owns![run(WRITE, &[k(2), k(0), k(2)])];
    let writes = lift_as(&mut w, (&[], Some(stream), true), async_opts(A), WRITES)?;
    w.call(writes, 0)?;
    for handle in [2, 3] {
        assert_eq!(w.host(WaitableSetNew, &[])?, handle);
    }
    assert_eq!(w.host(READ, &[1, 0, 2])?, count(1));
    assert_eq!(w.store.host_resource(4)?.rep.bits(), 77);
    w.host(WaitableSetDrop, &[2])?;
    assert_eq!(w.host(READ, &[1, 0, 2])?, count(1));
    assert_eq!(w.store.host_resource(2)?.rep.bits(), 78);
    Ok(())
}

fn stream_read_without_room_is_refused_until_there_is_room<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::with_limits(&[None], |limits| limits.handles = 4)?;
    let stream = stream_of_owns(&mut w)?;
    const WRITES: Script = owns![run(WRITE, &[k(2), k(0), k(2)])];
    let writes = lift_as(&mut w, (&[], Some(stream), true), async_opts(A), WRITES)?;
    w.call(writes, 0)?;
    for handle in [2, 3] {
        assert_eq!(w.host(WaitableSetNew, &[])?, handle);
    }
    w.host(ErrorContextNew(sync_opts(HOST)), &[0, 0])?;
    for _ in 0..2 {
        assert_eq!(w.host(READ, &[1, 0, 2]), Err(Error::capacity(Resource::Handles)));
    }
    w.host(WaitableSetDrop, &[2])?;
    w.host(WaitableSetDrop, &[3])?;
    assert_eq!(w.host(READ, &[1, 0, 2])?, count(2));
    Ok(())
}

/// The record's handle has moved when the reader's own `realloc` traps on its string: with the element
/// before, two have left the writer, which goes on.
fn stream_read_realloc_traps_writer_is_told_what_has_left<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let record = intern(&mut w, NewType::Record(&[Some(ValType::Defined(OWN)), Some(ValType::String)]))?;
    let stream = intern(&mut w, NewType::Stream(Some(record)))?;
    const RECORDS: TypeId = TypeId::from_index(26);
    assert_eq!(stream, ValType::Defined(RECORDS));
    // Of the empty string `realloc` is asked for no bytes, of the other for one.
    let realloc = w.func(B, script![Op::Jump(R3, 2), Op::Ret(k(64)), Op::Trap(9)]);
    let options = w.options(async_opts(B), |o| o.realloc = Some(realloc))?;
    const OPTIONS: OptsId = OptsId::from_index(6);
    assert_eq!(options, OPTIONS);
    const READS: Script = &[
        run(task_return(B), &[]),
        run(ThreadYield, &[]),
        run(StreamRead(RECORDS, OPTIONS), &[R0, k(0), k(3)]),
    ];
    let reads = lift_as(&mut w, (&[stream], None, true), async_opts(B), READS)?;
    w.lower(reads, async_opts(A))?;
    const WRITES: Script = script![
        run(StreamNew(RECORDS), &[]),
        run(low(0), &[k(1)]),
        // Its handle 1 is free again.
        run(RNEW, &[k(77)]),
        run(RNEW, &[k(78)]),
        run(RNEW, &[k(79)]),
        Op::Store32(k(0), k(1)),
        Op::Store32(k(12), k(3)),
        Op::Store32(k(20), k(1)),
        Op::Store32(k(24), k(4)),
        run(StreamWrite(RECORDS, async_opts(A)), &[k(2), k(0), k(3)]),
        run(task_return(A), &[])
    ];
    let writes = w.lift(Func::Async, async_opts(A), WRITES)?;
    const GOES_ON: Script = script![
        call(StreamCancelWrite(RECORDS, true), &[k(2)], 0),
        Op::Eq(R0, k(DROPPED | count(2))),
        call(ResourceRep(RESOURCE), &[k(4)], 0),
        Op::Eq(R0, k(79)),
        run(task_return(A), &[]),
        run(ResourceRep(RESOURCE), &[k(3)])
    ];
    let goes_on = w.lift(Func::Async, async_opts(A), GOES_ON)?;
    w.call(writes, 0)?;
    assert_eq!(w.tick(), Err(Trap::Engine(9).into()));
    assert_eq!(w.call(goes_on, 1), Err(Trap::UnknownHandle(3).into()));
    assert_eq!(w.ended(1), Ended::Returned(0));
    Ok(())
}
