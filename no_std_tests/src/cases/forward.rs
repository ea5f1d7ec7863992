//! `stream.forward`, where one guest holds all ends: what becomes of pending copies.
//!
//! The source has the handles 1 and 2, the sink 3 and 4. 1 and 4 are given up; 2 writes to 3 from then on.

use super::streams::{BLOCKED, CANCELLED, COMPLETED, RETURN, n, one};
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::storage::Profile;

cases! {
    stream_forward_then_write_meets_read,
    stream_forward_then_read_meets_write,
    stream_forward_of_units_meets,
    stream_forward_pending_read_meets_later_write,
    stream_forward_pending_write_meets_later_read,
    stream_forward_both_pending_meet_at_once,
    stream_forward_shorter_read_leaves_write_pending,
    stream_forward_shorter_write_leaves_read_pending,
    stream_forward_write_under_way_goes_on,
    stream_forward_read_under_way_goes_on,
    stream_forward_read_that_is_full_makes_way,
    stream_forward_write_that_is_through_makes_way,
    stream_forward_zero_length_read_waits_for_a_writer,
    stream_forward_zero_length_write_waits_for_a_reader,
    stream_forward_zero_length_write_meets_read,
    stream_forward_zero_length_read_meets_write,
    stream_forward_zero_length_both_completes_writer,
    stream_forward_zero_length_write_waits_beside_full_read,
    stream_forward_peers_in_sets_see_copies_only,
}

pub(super) const NEW: Op = run(StreamNew(STREAM), &[]);
pub(super) const FORWARD: Op = run(StreamForward(STREAM), &[k(1), k(4)]);
pub(super) const READ: Builtin = StreamRead(STREAM, async_opts(A));
pub(super) const WRITE: Builtin = StreamWrite(STREAM, async_opts(A));
/// What came of a copy whose event is pending is taken by cancelling it.
pub(super) const TAKE_READ: Op = call(StreamCancelRead(STREAM, true), &[k(3)], 0);
pub(super) const TAKE_WRITE: Op = call(StreamCancelWrite(STREAM, true), &[k(2)], 0);
pub(super) const DROP_READER: Op = run(StreamDropReadable(STREAM), &[k(3)]);
pub(super) const DROP_WRITER: Op = run(StreamDropWritable(STREAM), &[k(2)]);

/// The source's writer writes elements from so many bytes behind 32.
macro_rules! writes {
    ($from:expr, $n:expr) => {
        call(WRITE, &[k(2), k(32 + $from), k($n)], 0)
    };
}
/// The sink's reader reads elements to so many bytes behind 64.
macro_rules! reads {
    ($to:expr, $n:expr) => {
        call(READ, &[k(3), k(64 + $to), k($n)], 0)
    };
}
/// The copy that is still under way is cancelled, before anything of it moved.
pub(super) const CANCEL_READ: Op = call(StreamCancelRead(STREAM, true), &[k(3)], 6);
pub(super) const CANCEL_WRITE: Op = call(StreamCancelWrite(STREAM, true), &[k(2)], 6);
pub(super) const CANCELLED_0: Op = Op::Eq(Val::R(6), n(0, CANCELLED));
pub(super) use reads;
pub(super) use writes;

fn stream_forward_then_write_meets_read<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            FORWARD,
            writes!(0, 4),
            Op::Eq(R0, BLOCKED),
            reads!(0, 4),
            Op::Eq(R0, n(4, COMPLETED)),
            TAKE_WRITE,
            Op::Eq(R0, n(4, CANCELLED)),
            // And so it goes on.
            writes!(0, 2),
            Op::Eq(R0, BLOCKED),
            reads!(4, 2),
            Op::Eq(R0, n(2, COMPLETED)),
            TAKE_WRITE,
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abcdab\0",
    )
}

fn stream_forward_then_read_meets_write<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            FORWARD,
            reads!(0, 4),
            Op::Eq(R0, BLOCKED),
            writes!(0, 4),
            Op::Eq(R0, n(4, COMPLETED)),
            TAKE_READ,
            Op::Eq(R0, n(4, CANCELLED)),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abcd\0",
    )
}

fn stream_forward_of_units_meets<P: Profile>() -> Result<(), Error> {
    const UNITS: Op = run(StreamNew(STREAM_UNIT), &[]);
    one::<P>(
        script![
            UNITS,
            UNITS,
            call(StreamWrite(STREAM_UNIT, async_opts(A)), &[k(2), k(0), k(5)], 0),
            Op::Eq(R0, BLOCKED),
            run(StreamForward(STREAM_UNIT), &[k(1), k(4)]),
            call(StreamRead(STREAM_UNIT, async_opts(A)), &[k(3), k(0), k(5)], 0),
            Op::Eq(R0, n(5, COMPLETED)),
            run(StreamCancelWrite(STREAM_UNIT, true), &[k(2)]),
            run(StreamDropReadable(STREAM_UNIT), &[k(3)]),
            run(StreamDropWritable(STREAM_UNIT), &[k(2)]),
            RETURN,
        ],
        b"",
        b"\0",
    )
}

fn stream_forward_pending_read_meets_later_write<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            reads!(0, 4),
            Op::Eq(R0, BLOCKED),
            FORWARD,
            writes!(0, 3),
            Op::Eq(R0, n(3, COMPLETED)),
            TAKE_READ,
            Op::Eq(R0, n(3, CANCELLED)),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abc\0",
    )
}

fn stream_forward_pending_write_meets_later_read<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            writes!(0, 4),
            Op::Eq(R0, BLOCKED),
            FORWARD,
            reads!(0, 3),
            Op::Eq(R0, n(3, COMPLETED)),
            TAKE_WRITE,
            Op::Eq(R0, n(3, CANCELLED)),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abc\0",
    )
}

fn stream_forward_both_pending_meet_at_once<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            writes!(0, 4),
            Op::Eq(R0, BLOCKED),
            reads!(0, 4),
            Op::Eq(R0, BLOCKED),
            FORWARD,
            Op::Load32(0, k(64)),
            Op::Eq(R0, k(0x64_63_62_61)),
            TAKE_READ,
            Op::Eq(R0, n(4, CANCELLED)),
            TAKE_WRITE,
            Op::Eq(R0, n(4, CANCELLED)),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abcd\0",
    )
}

fn stream_forward_shorter_read_leaves_write_pending<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            writes!(0, 4),
            reads!(0, 1),
            FORWARD,
            TAKE_READ,
            Op::Eq(R0, n(1, CANCELLED)),
            // The write's event has not been taken: it is still there to be read from.
            reads!(1, 2),
            Op::Eq(R0, n(2, COMPLETED)),
            TAKE_WRITE,
            Op::Eq(R0, n(3, CANCELLED)),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abc\0",
    )
}

fn stream_forward_shorter_write_leaves_read_pending<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            reads!(0, 4),
            writes!(0, 1),
            FORWARD,
            TAKE_WRITE,
            Op::Eq(R0, n(1, CANCELLED)),
            writes!(1, 2),
            Op::Eq(R0, n(2, COMPLETED)),
            TAKE_READ,
            Op::Eq(R0, n(3, CANCELLED)),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abc\0",
    )
}

/// The forwarding guest has read some before: what is left goes to the other reader, and the writer is told
/// of both.
fn stream_forward_write_under_way_goes_on<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            writes!(0, 6),
            call(READ, &[k(1), k(64), k(2)], 0),
            Op::Eq(R0, n(2, COMPLETED)),
            reads!(2, 1),
            Op::Eq(R0, BLOCKED),
            FORWARD,
            TAKE_READ,
            Op::Eq(R0, n(1, CANCELLED)),
            reads!(3, 8),
            Op::Eq(R0, n(3, COMPLETED)),
            TAKE_WRITE,
            Op::Eq(R0, n(6, CANCELLED)),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcdef",
        b"abcdef\0",
    )
}

/// The forwarding guest has written some before.
fn stream_forward_read_under_way_goes_on<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            reads!(0, 6),
            call(WRITE, &[k(4), k(32), k(2)], 0),
            Op::Eq(R0, n(2, COMPLETED)),
            writes!(2, 1),
            Op::Eq(R0, BLOCKED),
            FORWARD,
            TAKE_WRITE,
            Op::Eq(R0, n(1, CANCELLED)),
            writes!(3, 3),
            Op::Eq(R0, n(3, COMPLETED)),
            TAKE_READ,
            Op::Eq(R0, n(6, CANCELLED)),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcdef",
        b"abcdef\0",
    )
}

/// A read that got all it asked for, and does not know yet, takes no more: the write waits for the next.
fn stream_forward_read_that_is_full_makes_way<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            reads!(0, 2),
            call(WRITE, &[k(4), k(32), k(2)], 0),
            Op::Eq(R0, n(2, COMPLETED)),
            writes!(2, 2),
            Op::Eq(R0, BLOCKED),
            FORWARD,
            TAKE_READ,
            Op::Eq(R0, n(2, CANCELLED)),
            reads!(2, 2),
            Op::Eq(R0, n(2, COMPLETED)),
            TAKE_WRITE,
            Op::Eq(R0, n(2, CANCELLED)),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abcd\0",
    )
}

fn stream_forward_write_that_is_through_makes_way<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            writes!(0, 2),
            call(READ, &[k(1), k(64), k(2)], 0),
            Op::Eq(R0, n(2, COMPLETED)),
            reads!(2, 2),
            Op::Eq(R0, BLOCKED),
            FORWARD,
            TAKE_WRITE,
            Op::Eq(R0, n(2, CANCELLED)),
            writes!(2, 2),
            Op::Eq(R0, n(2, COMPLETED)),
            TAKE_READ,
            Op::Eq(R0, n(2, CANCELLED)),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abcd\0",
    )
}

fn stream_forward_zero_length_read_waits_for_a_writer<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            reads!(0, 0),
            Op::Eq(R0, BLOCKED),
            FORWARD,
            writes!(0, 4),
            Op::Eq(R0, BLOCKED),
            TAKE_READ,
            Op::Eq(R0, n(0, CANCELLED)),
            reads!(0, 4),
            Op::Eq(R0, n(4, COMPLETED)),
            TAKE_WRITE,
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abcd\0",
    )
}

fn stream_forward_zero_length_write_waits_for_a_reader<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            writes!(0, 0),
            Op::Eq(R0, BLOCKED),
            FORWARD,
            reads!(0, 4),
            Op::Eq(R0, BLOCKED),
            TAKE_WRITE,
            Op::Eq(R0, n(0, CANCELLED)),
            writes!(0, 4),
            Op::Eq(R0, n(4, COMPLETED)),
            TAKE_READ,
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"abcd\0",
    )
}

/// The waitables 2 and 3 are in set 5 while the operations of the first part run. Then there are the events
/// of the second part, no other, and the third part ends what is under way.
macro_rules! events {
    ($($op:expr),*; $(($event:expr, $end:expr, $payload:expr)),*; $($last:expr),*) => {
        script![
            NEW,
            NEW,
            run(WaitableSetNew, &[]),
            run(WaitableJoin, &[k(2), k(5)]),
            run(WaitableJoin, &[k(3), k(5)]),
            $($op,)*
            $(
                call(POLL, &[k(5), k(16)], 0),
                Op::Eq(R0, k($event)),
                Op::Load32(0, k(16)),
                Op::Eq(R0, k($end)),
                Op::Load32(0, k(20)),
                Op::Eq(R0, $payload),
            )*
            call(POLL, &[k(5), k(16)], 0),
            Op::Eq(R0, k(0)),
            $($last,)*
            run(WaitableJoin, &[k(2), k(0)]),
            run(WaitableJoin, &[k(3), k(0)]),
            run(WaitableSetDrop, &[k(5)]),
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ]
    };
}
const POLL: Builtin = WaitableSetPoll(memory(A));
const STREAM_READ: u64 = 2;
const STREAM_WRITE: u64 = 3;

fn stream_forward_zero_length_write_meets_read<P: Profile>() -> Result<(), Error> {
    one::<P>(
        events![writes!(0, 0), reads!(0, 4), FORWARD; (STREAM_WRITE, 2, n(0, COMPLETED)); CANCEL_READ, CANCELLED_0],
        b"",
        b"",
    )
}

fn stream_forward_zero_length_read_meets_write<P: Profile>() -> Result<(), Error> {
    one::<P>(
        events![writes!(0, 4), reads!(0, 0), FORWARD; (STREAM_READ, 3, n(0, COMPLETED)); CANCEL_WRITE, CANCELLED_0],
        b"",
        b"",
    )
}

fn stream_forward_zero_length_both_completes_writer<P: Profile>() -> Result<(), Error> {
    one::<P>(
        events![writes!(0, 0), reads!(0, 0), FORWARD; (STREAM_WRITE, 2, n(0, COMPLETED)); CANCEL_READ, CANCELLED_0],
        b"",
        b"",
    )
}

/// A read that is full is no reader: the write of zero elements waits for one.
fn stream_forward_zero_length_write_waits_beside_full_read<P: Profile>() -> Result<(), Error> {
    one::<P>(
        events![
            reads!(0, 2), call(WRITE, &[k(4), k(32), k(2)], 0), writes!(0, 0), FORWARD;
            (STREAM_READ, 3, n(2, COMPLETED));
            CANCEL_WRITE, CANCELLED_0
        ],
        b"ab",
        b"ab\0",
    )
}

/// Forwarding alone is no event, and a set is told of the copies as before.
fn stream_forward_peers_in_sets_see_copies_only<P: Profile>() -> Result<(), Error> {
    one::<P>(events![FORWARD; ; ], b"", b"")?;
    one::<P>(
        events![
            FORWARD, writes!(0, 4), reads!(0, 4), Op::Eq(R0, n(4, COMPLETED));
            (STREAM_WRITE, 2, n(4, COMPLETED));
        ],
        b"abcd",
        b"abcd\0",
    )?;
    // Of the two whose copies meet at once the shorter one is told first.
    one::<P>(
        events![
            writes!(0, 4), reads!(0, 3), FORWARD;
            (STREAM_WRITE, 2, n(3, COMPLETED)), (STREAM_READ, 3, n(3, COMPLETED));
        ],
        b"abcd",
        b"abc\0",
    )
}
