//! `stream.forward` between others: A writes, C reads, and B, in the middle, forwards. What lives, who pays,
//! who dies.

use super::memory64::lift_as;
use super::room::lift_writes_bad;
use super::streams::{BLOCKED, COMPLETED, DROPPED, n};
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::abi::types::ValType;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::{Error, Resource};
use canon_async::id::{InstanceId, LiftId};
use canon_async::storage::Profile;

cases! {
    stream_forward_between_guests_outlives_the_forwarder needs Waitables,
    stream_forward_peer_dies_other_peer_sees_dropped needs Waitables,
    stream_forward_charges_the_writers_root needs Waitables,
    stream_forward_sink_within_quota_of_one_forwards_again needs Waitables,
    stream_forward_bad_element_kills_writer_and_forwarder needs Waitables,
    stream_forward_reader_without_room_kills_reader_and_forwarder needs Waitables,
    stream_forward_work_refused_kills_the_forwarder_alone needs Waitables,
    stream_forward_meets_within_other_instance_kills_the_forwarder_alone needs Waitables,
    stream_forward_second_handle_wrong_first_is_dropped needs Waitables,
    stream_forward_between_ends_of_the_host,
    future_forward_between_guests_passes_the_value needs Waitables,
}

const fn id(instance: u32) -> InstanceId {
    InstanceId::from_index(instance)
}

/// A call ends in this error; or for want of a place for an end, where the profile has too few.
fn ends_in<T: core::fmt::Debug>(result: Result<T, Error>, error: Error) -> Result<(), Error> {
    match result {
        Err(too_few @ Error::Capacity(what)) if what.resource() == Resource::Waitables => Err(too_few),
        other => {
            let found = other.err();
            let same = match (found, error) {
                (Some(Error::Capacity(found)), Error::Capacity(error)) => found.resource() == error.resource(),
                _ => found == Some(error),
            };
            assert!(same, "{found:?}, expected {error:?}");
            Ok(())
        }
    }
}

/// What the three have.
struct Guests {
    /// B forwards A's stream to C's. Global 0 is the handle of A's end, global 1 that of C's.
    forwards: LiftId,
    /// A writes four bytes.
    writes: LiftId,
    /// C reads four bytes to 64.
    reads: LiftId,
    /// B traps.
    dies: LiftId,
}

/// A makes a stream and returns its readable end; it keeps the writable one.
const MAKES: Script = &[
    call(StreamNew(STREAM), &[], 0),
    Op::Set(1, R0),
    Op::Shr(1, 32),
    Op::SetG(0, R1),
    Op::And(0, 0xffff_ffff),
    run(TaskReturn { result: Some(ValType::Defined(STREAM)), options: sync_opts(A) }, &[R0]),
];
const TAKES: Script = &[Op::SetG(1, R0), run(task_return(C), &[])];
/// B gets A's end (register 2), and makes two, of which one goes to C and one stays (register 1).
const FORWARDS: Script = &[
    run(low(0), &[k(32)]),
    Op::Load32(2, k(32)),
    call(StreamNew(STREAM), &[], 0),
    Op::Set(1, R0),
    Op::Shr(1, 32),
    Op::And(0, 0xffff_ffff),
    run(low(1), &[R0]),
    run(StreamForward(STREAM), &[R2, R1]),
    run(task_return(B), &[]),
];
/// The same in two calls, with handles that are known.
const HOLDS: Script =
    &[run(low(0), &[k(32)]), run(StreamNew(STREAM), &[]), run(low(1), &[k(2)]), run(task_return(B), &[])];
const JOINS: Script = &[run(StreamForward(STREAM), &[k(1), k(3)])];
const WRITES: Script = &[
    call(StreamWrite(STREAM, async_opts(A)), &[G0, k(32), k(4)], 0),
    Op::SetG(2, R0),
    run(task_return(A), &[]),
];
const READS: Script = &[
    call(StreamRead(STREAM, async_opts(C)), &[G1, k(64), k(4)], 0),
    Op::SetG(3, R0),
    run(task_return(C), &[]),
];
const DROPS_A: Script = &[run(StreamDropWritable(STREAM), &[G0])];
const DROPS_C: Script = &[run(StreamDropReadable(STREAM), &[G1])];

fn guests<P: Profile>(w: &mut World<P>, forwards: Script) -> Result<Guests, Error> {
    let makes = w.lift(Func::AsyncToStream, async_opts(A), MAKES)?;
    let takes = w.lift(Func::AsyncStream, async_opts(C), TAKES)?;
    for callee in [makes, takes] {
        w.lower(callee, async_opts(B))?;
    }
    w.bytes(A)[32..36].copy_from_slice(b"abcd");
    Ok(Guests {
        forwards: w.lift(Func::Async, async_opts(B), forwards)?,
        writes: w.lift(Func::Async, async_opts(A), WRITES)?,
        reads: w.lift(Func::Async, async_opts(C), READS)?,
        dies: w.lift(Func::Sync, sync_opts(B), script![Op::Trap(4)])?,
    })
}

fn stream_forward_between_guests_outlives_the_forwarder<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    let g = guests(&mut w, FORWARDS)?;
    let ends = [w.lift(Func::Sync, sync_opts(A), DROPS_A)?, w.lift(Func::Sync, sync_opts(C), DROPS_C)?];
    w.call(g.forwards, 0)?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    assert_eq!(w.call(g.dies, 1), Err(Trap::Engine(4).into()));
    w.call(g.reads, 2)?;
    assert_eq!(w.global(3), 0xffff_ffff);
    w.call(g.writes, 3)?;
    assert_eq!(w.global(2), 4 << 4 | COMPLETED);
    assert_eq!(&w.bytes(C)[64..69], b"abcd\0");
    // C's read ends like one of A's own stream.
    const TAKE: Script = &[
        call(StreamCancelRead(STREAM, true), &[G1], 0),
        Op::Eq(R0, n(4, super::streams::CANCELLED)),
    ];
    let take = w.lift(Func::Sync, sync_opts(C), TAKE)?;
    w.call(take, 4)?;
    for end in ends {
        w.call(end, 5)?;
    }
    w.done()
}

/// Either peer dies with a copy pending at the other end, which sees DROPPED.
fn stream_forward_peer_dies_other_peer_sees_dropped<P: Profile>() -> Result<(), Error> {
    const WRITE_SEES: Script = &[
        call(StreamCancelWrite(STREAM, true), &[G0], 0),
        Op::Eq(R0, n(0, DROPPED)),
        run(StreamDropWritable(STREAM), &[G0]),
    ];
    const READ_SEES: Script = &[
        call(StreamCancelRead(STREAM, true), &[G1], 0),
        Op::Eq(R0, n(0, DROPPED)),
        run(StreamDropReadable(STREAM), &[G1]),
    ];
    for (dead, lives, sees) in [(C, A, WRITE_SEES), (A, C, READ_SEES)] {
        let mut w = World::<P>::new(&[None, None, None])?;
        let g = guests(&mut w, FORWARDS)?;
        let dies = w.lift(Func::Sync, sync_opts(dead), script![Op::Trap(4)])?;
        let sees = w.lift(Func::Sync, sync_opts(lives), sees)?;
        w.call(g.forwards, 0)?;
        w.call(if lives == A { g.writes } else { g.reads }, 1)?;
        assert_eq!(w.call(dies, 2), Err(Trap::Engine(4).into()));
        w.call(sees, 3)?;
        w.done()?;
    }
    Ok(())
}

/// What is left is the source, which its writer's root paid for already.
fn stream_forward_charges_the_writers_root<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    let g = guests(&mut w, HOLDS)?;
    let joins = w.lift(Func::Sync, sync_opts(B), JOINS)?;
    let ends = [w.lift(Func::Sync, sync_opts(C), DROPS_C)?, w.lift(Func::Sync, sync_opts(A), DROPS_A)?];
    let held = |w: &World<P>, what| [A, B, C].map(|i| w.store.root_usage(id(i), what).expect("a guest").0);
    w.call(g.forwards, 0)?;
    assert_eq!(held(&w, Resource::Streams), [1, 1, 0]);
    assert_eq!(held(&w, Resource::Waitables), [1, 2, 1]);
    w.call(joins, 1)?;
    assert_eq!(held(&w, Resource::Streams), [1, 0, 0]);
    assert_eq!(held(&w, Resource::Waitables), [1, 0, 1]);
    assert_eq!(held(&w, Resource::Handles), [1, 0, 1]);
    for end in ends {
        w.call(end, 2)?;
    }
    assert_eq!(held(&w, Resource::Streams), [0, 0, 0]);
    w.done()
}

/// A forwarder that may hold one stream forwards as often as it likes.
fn stream_forward_sink_within_quota_of_one_forwards_again<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    let mut one = canon_async::Limits::STORAGE;
    one.streams = 1;
    w.store.set_limits_of(id(B), one)?;
    let g = guests(&mut w, FORWARDS)?;
    let ends = [w.lift(Func::Sync, sync_opts(A), DROPS_A)?, w.lift(Func::Sync, sync_opts(C), DROPS_C)?];
    for _ in 0..3 {
        w.call(g.forwards, 0)?;
        for end in ends {
            w.call(end, 1)?;
        }
    }
    w.done()
}

/// C reads errors, and has a read pending.
const READS_ERRORS: Script = &[
    Op::SetG(1, R0),
    call(StreamRead(STREAM_ERROR, async_opts(C)), &[R0, k(64), k(1)], 0),
    Op::Eq(R0, BLOCKED),
    run(task_return(C), &[]),
];
const FORWARDS_ERRORS: Script = &[
    run(low(0), &[k(32)]),
    run(StreamNew(STREAM_ERROR), &[]),
    run(low(1), &[k(2)]),
    run(StreamForward(STREAM_ERROR), &[k(1), k(3)]),
];
const SEES_DROPPED: Script = &[
    call(StreamCancelRead(STREAM_ERROR, true), &[G1], 0),
    Op::Eq(R0, n(0, DROPPED)),
    run(StreamDropReadable(STREAM_ERROR), &[G1]),
];

/// What A wrote is no value: A is at fault, B's call ends in it, and C's read sees B's end dropped.
fn stream_forward_bad_element_kills_writer_and_forwarder<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    let writes = lift_writes_bad(&mut w)?;
    let reads = w.lift(Func::AsyncStreamError, async_opts(C), READS_ERRORS)?;
    for callee in [writes, reads] {
        w.lower(callee, async_opts(B))?;
    }
    let forwards = w.lift(Func::Async, async_opts(B), FORWARDS_ERRORS)?;
    let sees = w.lift(Func::Sync, sync_opts(C), SEES_DROPPED)?;
    ends_in(w.call(forwards, 0), Trap::UnknownHandle(9).into())?;
    assert_eq!(w.call(forwards, 1), Err(Trap::CannotEnter.into()));
    assert_eq!(w.call(writes, 2), Err(Trap::CannotEnter.into()));
    w.call(sees, 3)?;
    w.done()
}

/// C may hold one handle, its end, and no error context besides.
fn stream_forward_reader_without_room_kills_reader_and_forwarder<P: Profile>() -> Result<(), Error> {
    const OF_ERRORS: Builtin =
        TaskReturn { result: Some(ValType::Defined(STREAM_ERROR)), options: sync_opts(A) };
    const WRITES_GOOD: Script = &[
        run(ErrorContextNew(sync_opts(A)), &[k(0), k(0)]),
        run(StreamNew(STREAM_ERROR), &[]),
        Op::Store32(k(4), k(1)),
        run(StreamWrite(STREAM_ERROR, async_opts(A)), &[k(3), k(0), k(1)]),
        run(OF_ERRORS, &[k(2)]),
    ];
    const STILL_HOLDS: Script = &[
        call(StreamCancelWrite(STREAM_ERROR, true), &[k(3)], 0),
        Op::Eq(R0, n(0, DROPPED)),
        run(StreamDropWritable(STREAM_ERROR), &[k(3)]),
        run(ErrorContextDrop, &[k(1)]),
    ];
    let mut w = World::<P>::new(&[None, None, None])?;
    let mut one = canon_async::Limits::STORAGE;
    one.handles = 1;
    w.store.set_limits_of(id(C), one)?;
    let stream = Some(ValType::Defined(STREAM_ERROR));
    let writes = lift_as(&mut w, (&[], stream, true), async_opts(A), WRITES_GOOD)?;
    let reads = w.lift(Func::AsyncStreamError, async_opts(C), READS_ERRORS)?;
    for callee in [writes, reads] {
        w.lower(callee, async_opts(B))?;
    }
    let forwards = w.lift(Func::Async, async_opts(B), FORWARDS_ERRORS)?;
    let holds = w.lift(Func::Sync, sync_opts(A), STILL_HOLDS)?;
    ends_in(w.call(forwards, 0), Error::capacity(Resource::Handles))?;
    assert_eq!(w.call(forwards, 1), Err(Trap::CannotEnter.into()));
    assert_eq!(w.call(reads, 2), Err(Trap::CannotEnter.into()));
    w.call(holds, 3)?;
    w.done()
}

const SEES_A: Script = &[
    call(StreamCancelWrite(STREAM, true), &[G0], 0),
    Op::Eq(R0, n(0, DROPPED)),
    run(StreamDropWritable(STREAM), &[G0]),
];
const SEES_C: Script = &[
    call(StreamCancelRead(STREAM, true), &[G1], 0),
    Op::Eq(R0, n(0, DROPPED)),
    run(StreamDropReadable(STREAM), &[G1]),
];

/// B can't pay for the copy of the two that meet. Both peers see that its ends are gone.
fn stream_forward_work_refused_kills_the_forwarder_alone<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    let g = guests(&mut w, HOLDS)?;
    let joins = w.lift(Func::Sync, sync_opts(B), JOINS)?;
    let sees = [w.lift(Func::Sync, sync_opts(A), SEES_A)?, w.lift(Func::Sync, sync_opts(C), SEES_C)?];
    w.call(g.forwards, 0)?;
    w.call(g.writes, 1)?;
    w.call(g.reads, 2)?;
    w.refuses_work = Some(Trap::Engine(5));
    assert_eq!(w.call(joins, 3), Err(Trap::Engine(5).into()));
    w.refuses_work = None;
    assert_eq!(w.call(joins, 4), Err(Trap::CannotEnter.into()));
    for peer in sees {
        w.call(peer, 5)?;
    }
    assert_eq!(w.bytes(C)[64..68], [0; 4]);
    w.done()
}

/// A's write and A's read must not meet (they are no numbers), and B is who has them meet.
fn stream_forward_meets_within_other_instance_kills_the_forwarder_alone<P: Profile>() -> Result<(), Error> {
    const MAKES: Script = &[
        run(StreamNew(STREAM_BOOL), &[]),
        run(StreamWrite(STREAM_BOOL, async_opts(A)), &[k(2), k(0), k(1)]),
        run(TaskReturn { result: Some(ValType::Defined(STREAM_BOOL)), options: sync_opts(A) }, &[k(1)]),
    ];
    const TAKES: Script = &[
        Op::SetG(1, R0),
        run(StreamRead(STREAM_BOOL, async_opts(A)), &[R0, k(8), k(1)]),
        run(task_return(A), &[]),
    ];
    const FORWARDS: Script = &[
        run(low(0), &[k(32)]),
        run(StreamNew(STREAM_BOOL), &[]),
        run(low(1), &[k(2)]),
        run(StreamForward(STREAM_BOOL), &[k(1), k(3)]),
    ];
    const SEES: Script = &[
        call(StreamCancelWrite(STREAM_BOOL, true), &[k(2)], 0),
        Op::Eq(R0, n(0, DROPPED)),
        run(StreamDropWritable(STREAM_BOOL), &[k(2)]),
        call(StreamCancelRead(STREAM_BOOL, true), &[G1], 0),
        Op::Eq(R0, n(0, DROPPED)),
        run(StreamDropReadable(STREAM_BOOL), &[G1]),
    ];
    let mut w = World::<P>::new(&[None, None])?;
    let stream = ValType::Defined(STREAM_BOOL);
    let makes = lift_as(&mut w, (&[], Some(stream), true), async_opts(A), MAKES)?;
    let takes = lift_as(&mut w, (&[stream], None, true), async_opts(A), TAKES)?;
    for callee in [makes, takes] {
        w.lower(callee, async_opts(B))?;
    }
    let forwards = w.lift(Func::Async, async_opts(B), FORWARDS)?;
    let sees = w.lift(Func::Sync, sync_opts(A), SEES)?;
    ends_in(w.call(forwards, 0), Trap::IntraComponent { future: false }.into())?;
    assert_eq!(w.call(forwards, 1), Err(Trap::CannotEnter.into()));
    w.call(sees, 2)?;
    w.done()
}

/// The first handle is out of the table when the second is looked up; its end is dropped with the guest.
fn stream_forward_second_handle_wrong_first_is_dropped<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None, None])?;
    let g = guests(&mut w, HOLDS)?;
    let wrong = w.lift(Func::Sync, sync_opts(B), script![run(StreamForward(STREAM), &[k(1), k(9)])])?;
    let sees = [w.lift(Func::Sync, sync_opts(A), SEES_A)?, w.lift(Func::Sync, sync_opts(C), SEES_C)?];
    w.call(g.forwards, 0)?;
    w.call(g.writes, 1)?;
    w.call(g.reads, 2)?;
    assert_eq!(w.call(wrong, 3), Err(Trap::UnknownHandle(9).into()));
    for peer in sees {
        w.call(peer, 4)?;
    }
    w.done()
}

/// The host has the source's writable end and the sink's readable end, and copies pending at none, one or
/// both.
fn stream_forward_between_ends_of_the_host<P: Profile>() -> Result<(), Error> {
    const PROXY: Script = &[
        Op::SetG(0, R0),
        call(StreamNew(STREAM), &[], 0),
        Op::Set(1, R0),
        Op::Shr(1, 32),
        Op::SetG(1, R1),
        Op::And(0, 0xffff_ffff),
        run(TaskReturn { result: Some(ValType::Defined(STREAM)), options: sync_opts(A) }, &[R0]),
    ];
    let write = StreamWrite(STREAM, async_opts(HOST));
    let read = StreamRead(STREAM, async_opts(HOST));
    let blocked = 0xffff_ffff;
    for (writes_first, reads_first) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut w = World::<P>::new(&[None])?;
        let stream = ValType::Defined(STREAM);
        let proxy = lift_as(&mut w, (&[stream], Some(stream), true), async_opts(A), PROXY)?;
        let joins = w.lift(Func::Sync, sync_opts(A), script![run(StreamForward(STREAM), &[G0, G1])])?;
        w.bytes(HOST)[32..36].copy_from_slice(b"abcd");
        assert_eq!(w.host(StreamNew(STREAM), &[])?, 1 | 2 << 32);
        w.set_args(&[1]);
        w.call(proxy, 0)?;
        let Ended::Returned(reader) = w.ended(0) else { panic!("{:?}", w.ended(0)) };
        if writes_first {
            assert_eq!(w.host(write, &[2, 32, 4])?, blocked);
        }
        if reads_first {
            assert_eq!(w.host(read, &[reader, 64, 4])?, blocked);
        }
        w.call(joins, 1)?;
        if !writes_first {
            assert_eq!(w.host(write, &[2, 32, 4])?, if reads_first { 4 << 4 } else { blocked });
        }
        if !reads_first {
            assert_eq!(w.host(read, &[reader, 64, 4])?, 4 << 4);
        }
        assert_eq!(&w.bytes(HOST)[64..68], b"abcd");
        // Who was there first has an event.
        if writes_first || !reads_first {
            assert_eq!(w.host(StreamCancelWrite(STREAM, true), &[2])?, 4 << 4 | 2);
        }
        if reads_first {
            assert_eq!(w.host(StreamCancelRead(STREAM, true), &[reader])?, 4 << 4 | 2);
        }
        w.host(StreamDropWritable(STREAM), &[2])?;
        w.host(StreamDropReadable(STREAM), &[reader])?;
        w.done()?;
    }
    Ok(())
}

fn future_forward_between_guests_passes_the_value<P: Profile>() -> Result<(), Error> {
    const MAKES: Script = &[
        run(FutureNew(FUTURE), &[]),
        call(FutureWrite(FUTURE, async_opts(A)), &[k(2), k(32)], 0),
        Op::Eq(R0, BLOCKED),
        run(TaskReturn { result: Some(ValType::Defined(FUTURE)), options: sync_opts(A) }, &[k(1)]),
        run(WaitableSetNew, &[]),
        run(WaitableJoin, &[k(2), k(1)]),
        call(WaitableSetWait(memory(A)), &[k(1), k(16)], 0),
        // FUTURE_WRITE, COMPLETED
        Op::Eq(R0, k(5)),
        Op::Load32(0, k(20)),
        Op::Eq(R0, k(COMPLETED)),
        run(FutureDropWritable(FUTURE), &[k(2)]),
        run(WaitableSetDrop, &[k(1)]),
        Op::Mark(1),
    ];
    const TAKES: Script = &[
        call(FutureRead(FUTURE, sync_opts(C)), &[R0, k(64)], 1),
        Op::Eq(R1, k(COMPLETED)),
        run(FutureDropReadable(FUTURE), &[R0]),
        Op::Mark(2),
        run(task_return(C), &[]),
    ];
    // C's call waits until B forwards.
    const FORWARDS: Script = &[
        run(low(0), &[k(32)]),
        Op::Load32(2, k(32)),
        call(FutureNew(FUTURE), &[], 0),
        Op::Set(1, R0),
        Op::Shr(1, 32),
        Op::And(0, 0xffff_ffff),
        run(low(1), &[R0]),
        run(FutureForward(FUTURE), &[R2, R1]),
        run(task_return(B), &[]),
    ];
    let mut w = World::<P>::new(&[None, None, None])?;
    let future = ValType::Defined(FUTURE);
    let makes = lift_as(&mut w, (&[], Some(future), true), async_opts(A), MAKES)?;
    let takes = w.lift(Func::AsyncFuture, async_opts(C), TAKES)?;
    for callee in [makes, takes] {
        w.lower(callee, async_opts(B))?;
    }
    let forwards = w.lift(Func::Async, async_opts(B), FORWARDS)?;
    w.bytes(A)[32] = b'x';
    w.call(forwards, 0)?;
    w.ticks()?;
    assert_eq!(w.ended(0), Ended::Returned(0));
    assert_eq!(w.bytes(C)[64..66], [b'x', 0]);
    let marks = w.marks();
    assert!(marks == [1, 2] || marks == [2, 1], "{marks:?}");
    // B has not taken that C returned.
    w.done_with(|left| (left.waitables, left.handles) = (1, 1))
}
