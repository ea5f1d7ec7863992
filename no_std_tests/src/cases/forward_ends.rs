//! `stream.forward`, where one guest holds all ends: drops, cancellation, streams that are forwarded to
//! themselves, chains.

use super::forward::*;
use super::streams::{BLOCKED, COMPLETED, DROPPED, RETURN, n, one};
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::TableRef;
use canon_async::storage::Profile;

cases! {
    stream_forward_reader_dropped_writer_sees_it,
    stream_forward_reader_dropped_pending_write_sees_it_with_progress,
    stream_forward_writer_dropped_reader_sees_it,
    stream_forward_writer_dropped_pending_read_sees_it_with_progress,
    stream_forward_both_peers_dropped_frees_all,
    stream_forward_then_drop_reaches_the_other_peer,
    stream_forward_pending_read_cancelled_and_read_again,
    stream_forward_pending_write_cancelled_and_written_again,
    stream_forward_of_itself_frees_both_ends,
    stream_forward_around_frees_both_ends,
    stream_forward_chain_meets needs Waitables,
    stream_forward_sync_read_ends_with_the_write,
}

/// The reader of the sink drops its end: the source's writer has no reader either.
fn stream_forward_reader_dropped_writer_sees_it<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            DROP_READER,
            FORWARD,
            writes!(0, 4),
            Op::Eq(R0, n(0, DROPPED)),
            DROP_WRITER,
            RETURN
        ],
        b"abcd",
        b"\0",
    )
}

fn stream_forward_reader_dropped_pending_write_sees_it_with_progress<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            writes!(0, 4),
            call(READ, &[k(1), k(64), k(1)], 0),
            DROP_READER,
            FORWARD,
            TAKE_WRITE,
            Op::Eq(R0, n(1, DROPPED)),
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"a\0",
    )
}

fn stream_forward_writer_dropped_reader_sees_it<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            DROP_WRITER,
            FORWARD,
            reads!(0, 4),
            Op::Eq(R0, n(0, DROPPED)),
            DROP_READER,
            RETURN
        ],
        b"",
        b"\0",
    )
}

fn stream_forward_writer_dropped_pending_read_sees_it_with_progress<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            reads!(0, 4),
            call(WRITE, &[k(4), k(32), k(1)], 0),
            DROP_WRITER,
            FORWARD,
            TAKE_READ,
            Op::Eq(R0, n(1, DROPPED)),
            DROP_READER,
            RETURN,
        ],
        b"abcd",
        b"a\0",
    )
}

fn stream_forward_both_peers_dropped_frees_all<P: Profile>() -> Result<(), Error> {
    one::<P>(script![NEW, NEW, DROP_WRITER, DROP_READER, FORWARD, RETURN], b"", b"")
}

fn stream_forward_then_drop_reaches_the_other_peer<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            FORWARD,
            writes!(0, 4),
            DROP_READER,
            TAKE_WRITE,
            Op::Eq(R0, n(0, DROPPED)),
            DROP_WRITER,
            RETURN
        ],
        b"",
        b"",
    )?;
    one::<P>(
        script![
            NEW,
            NEW,
            FORWARD,
            reads!(0, 4),
            DROP_WRITER,
            TAKE_READ,
            Op::Eq(R0, n(0, DROPPED)),
            DROP_READER,
            RETURN
        ],
        b"",
        b"",
    )
}

fn stream_forward_pending_read_cancelled_and_read_again<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            reads!(0, 4),
            FORWARD,
            CANCEL_READ,
            CANCELLED_0,
            writes!(0, 4),
            Op::Eq(R0, BLOCKED),
            reads!(4, 4),
            Op::Eq(R0, n(4, COMPLETED)),
            TAKE_WRITE,
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"\0\0\0\0abcd\0",
    )
}

fn stream_forward_pending_write_cancelled_and_written_again<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            writes!(0, 4),
            FORWARD,
            CANCEL_WRITE,
            CANCELLED_0,
            reads!(0, 4),
            Op::Eq(R0, BLOCKED),
            writes!(2, 2),
            Op::Eq(R0, n(2, COMPLETED)),
            TAKE_READ,
            DROP_READER,
            DROP_WRITER,
            RETURN,
        ],
        b"abcd",
        b"cd\0",
    )
}

/// Both ends of one stream: nobody is left, and the handles are free again.
fn stream_forward_of_itself_frees_both_ends<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            run(StreamForward(STREAM), &[k(1), k(2)]),
            call(StreamNew(STREAM), &[], 0),
            Op::Eq(R0, k(2 | 1 << 32)),
            run(StreamDropReadable(STREAM), &[k(2)]),
            run(StreamDropWritable(STREAM), &[k(1)]),
            RETURN,
        ],
        b"",
        b"",
    )
}

/// What was joined is one stream: forwarding it back is forwarding it to itself.
fn stream_forward_around_frees_both_ends<P: Profile>() -> Result<(), Error> {
    one::<P>(script![NEW, NEW, FORWARD, run(StreamForward(STREAM), &[k(3), k(2)]), RETURN], b"", b"")
}

fn stream_forward_chain_meets<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            NEW,
            NEW,
            reads!(0, 4),
            FORWARD,
            // 6 writes to 5; 5 is forwarded to 2, which writes to 3.
            run(StreamForward(STREAM), &[k(5), k(2)]),
            call(WRITE, &[k(6), k(32), k(4)], 0),
            Op::Eq(R0, n(4, COMPLETED)),
            TAKE_READ,
            DROP_READER,
            run(StreamDropWritable(STREAM), &[k(6)]),
            RETURN,
        ],
        b"abcd",
        b"abcd\0",
    )
}

/// A thread reads synchronously while another forwards and writes.
fn stream_forward_sync_read_ends_with_the_write<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const READS: Script = &[
        call(StreamRead(STREAM, sync_opts(A)), &[k(3), k(64), k(4)], 0),
        // By now the writer is gone, too.
        Op::Eq(R0, n(3, DROPPED)),
        Op::Mark(1),
        DROP_READER,
    ];
    w.set_table(0, A, READS);
    const FORWARDS: Script = &[
        NEW,
        NEW,
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 0),
        run(ThreadYieldThenResume, &[R0]),
        FORWARD,
        writes!(0, 3),
        Op::Eq(R0, n(3, COMPLETED)),
        DROP_WRITER,
        RETURN,
    ];
    let f = w.lift(Func::Async, async_opts(A), FORWARDS)?;
    w.call(f, 0)?;
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    w.done()
}
