//! `stream.{new,read,write}`: how reads and writes meet.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::TableRef;
use canon_async::storage::Profile;

cases! {
    stream_write_then_read_moves_bytes,
    stream_read_then_write_moves_bytes,
    stream_write_longer_than_read_stays_pending,
    stream_read_longer_than_write_event_grows,
    stream_write_zero_to_waiting_reader_completes_at_once,
    stream_read_zero_of_waiting_writer_completes_at_once,
    stream_write_zero_to_waiting_zero_reader_completes_writer,
    stream_read_zero_of_waiting_zero_writer_swaps,
    stream_write_full_pending_reader_notified_and_waits,
    stream_write_zero_zero_no_memory_checked,
    stream_read_sync_blocks_until_write needs Waitables,
    stream_write_sync_partial_returns,
    stream_new_unit_counts_without_memory,
    stream_element_u32_moves_aligned,
}

pub(super) const R: u32 = 0xffff_ffff;
pub(super) const BLOCKED: Val = k(R as u64);
pub(super) const READ: Builtin = StreamRead(STREAM, async_opts(A));
pub(super) const WRITE: Builtin = StreamWrite(STREAM, async_opts(A));
pub(super) const NEW: Op = run(StreamNew(STREAM), &[]);
pub(super) const DROP_R: Op = run(StreamDropReadable(STREAM), &[k(1)]);
pub(super) const DROP_W: Op = run(StreamDropWritable(STREAM), &[k(2)]);
pub(super) const RETURN: Op = run(task_return(A), &[]);
pub(super) const COMPLETED: u64 = 0;
pub(super) const DROPPED: u64 = 1;
pub(super) const CANCELLED: u64 = 2;

/// `n` elements, with a result.
pub(super) const fn n(n: u64, result: u64) -> Val {
    k(n << 4 | result)
}

/// Runs one async function of A, whose memory at 32 is `data`, to its end; then A's memory at 64 is as it says.
pub(super) fn one<P: Profile>(script: Script, data: &[u8], expected: &[u8]) -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), script)?;
    w.bytes(A)[32..32 + data.len()].copy_from_slice(data);
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.ticks()?;
    assert_eq!(&w.bytes(A)[64..64 + expected.len()], expected);
    w.done()
}

// SharedStreamImpl.read
fn stream_write_then_read_moves_bytes<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            call(WRITE, &[k(2), k(32), k(3)], 0),
            Op::Eq(R0, BLOCKED),
            call(READ, &[k(1), k(64), k(3)], 0),
            Op::Eq(R0, n(3, COMPLETED)),
            call(StreamCancelWrite(STREAM, false), &[k(2)], 0),
            Op::Eq(R0, n(3, CANCELLED)),
            DROP_R,
            DROP_W,
            RETURN,
        ],
        b"abc",
        b"abc\0",
    )
}

// SharedStreamImpl.write
fn stream_read_then_write_moves_bytes<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            call(READ, &[k(1), k(64), k(3)], 0),
            Op::Eq(R0, BLOCKED),
            call(WRITE, &[k(2), k(32), k(3)], 0),
            Op::Eq(R0, n(3, COMPLETED)),
            call(StreamCancelRead(STREAM, true), &[k(1)], 0),
            Op::Eq(R0, n(3, CANCELLED)),
            DROP_R,
            DROP_W,
            RETURN,
        ],
        b"abc",
        b"abc\0",
    )
}

fn stream_write_longer_than_read_stays_pending<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            run(WRITE, &[k(2), k(32), k(5)]),
            call(READ, &[k(1), k(64), k(2)], 0),
            Op::Eq(R0, n(2, COMPLETED)),
            call(READ, &[k(1), k(66), k(2)], 0),
            Op::Eq(R0, n(2, COMPLETED)),
            call(READ, &[k(1), k(68), k(2)], 0),
            Op::Eq(R0, n(1, COMPLETED)),
            call(StreamCancelWrite(STREAM, true), &[k(2)], 0),
            Op::Eq(R0, n(5, CANCELLED)),
            DROP_R,
            DROP_W,
            RETURN,
        ],
        b"abcde",
        b"abcde\0",
    )
}

// stream_event: `buffer.progress` when it is delivered.
fn stream_read_longer_than_write_event_grows<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            run(READ, &[k(1), k(64), k(8)]),
            call(WRITE, &[k(2), k(32), k(2)], 0),
            Op::Eq(R0, n(2, COMPLETED)),
            call(WRITE, &[k(2), k(34), k(1)], 0),
            Op::Eq(R0, n(1, COMPLETED)),
            call(WRITE, &[k(2), k(35), k(2)], 0),
            Op::Eq(R0, n(2, COMPLETED)),
            call(WaitableSetNew, &[], 1),
            run(WaitableJoin, &[k(1), R1]),
            call(WaitableSetPoll(memory(A)), &[R1, k(16)], 0),
            Op::Eq(R0, k(2)),
            Op::Load32(0, k(20)),
            Op::Eq(R0, n(5, COMPLETED)),
            DROP_R,
            run(WaitableSetDrop, &[R1]),
            DROP_W,
            RETURN,
        ],
        b"abcde",
        b"abcde\0",
    )
}

// SharedStreamImpl.write: `src_buffer.remain() > 0` is false.
fn stream_write_zero_to_waiting_reader_completes_at_once<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            run(READ, &[k(1), k(64), k(8)]),
            call(WRITE, &[k(2), k(32), k(0)], 0),
            Op::Eq(R0, n(0, COMPLETED)),
            call(WRITE, &[k(2), k(32), k(1)], 0),
            Op::Eq(R0, n(1, COMPLETED)),
            call(StreamCancelRead(STREAM, true), &[k(1)], 0),
            Op::Eq(R0, n(1, CANCELLED)),
            DROP_R,
            DROP_W,
            RETURN,
        ],
        b"a",
        b"a\0",
    )
}

fn stream_read_zero_of_waiting_writer_completes_at_once<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            run(WRITE, &[k(2), k(32), k(1)]),
            call(READ, &[k(1), k(64), k(0)], 0),
            Op::Eq(R0, n(0, COMPLETED)),
            call(StreamCancelWrite(STREAM, true), &[k(2)], 0),
            Op::Eq(R0, n(0, CANCELLED)),
            DROP_R,
            DROP_W,
            RETURN,
        ],
        b"a",
        b"\0",
    )
}

// SharedStreamImpl.write: both are of length zero: the writer completes, the reader waits on.
fn stream_write_zero_to_waiting_zero_reader_completes_writer<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            call(READ, &[k(1), k(64), k(0)], 0),
            Op::Eq(R0, BLOCKED),
            call(WRITE, &[k(2), k(32), k(0)], 0),
            Op::Eq(R0, n(0, COMPLETED)),
            call(StreamCancelRead(STREAM, true), &[k(1)], 0),
            Op::Eq(R0, n(0, CANCELLED)),
            DROP_R,
            DROP_W,
            RETURN,
        ],
        b"",
        b"",
    )
}

// SharedStreamImpl.read: the writer is notified, the reader waits.
fn stream_read_zero_of_waiting_zero_writer_swaps<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            call(WRITE, &[k(2), k(32), k(0)], 0),
            Op::Eq(R0, BLOCKED),
            call(READ, &[k(1), k(64), k(0)], 0),
            Op::Eq(R0, BLOCKED),
            call(StreamCancelWrite(STREAM, true), &[k(2)], 0),
            Op::Eq(R0, n(0, CANCELLED)),
            call(WRITE, &[k(2), k(32), k(1)], 0),
            Op::Eq(R0, BLOCKED),
            call(StreamCancelRead(STREAM, true), &[k(1)], 0),
            Op::Eq(R0, n(0, CANCELLED)),
            call(StreamCancelWrite(STREAM, true), &[k(2)], 0),
            Op::Eq(R0, n(0, CANCELLED)),
            DROP_R,
            DROP_W,
            RETURN,
        ],
        b"",
        b"",
    )
}

/// The reader's buffer is full and its event not delivered yet: a further write waits.
fn stream_write_full_pending_reader_notified_and_waits<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            run(READ, &[k(1), k(64), k(1)]),
            call(WRITE, &[k(2), k(32), k(1)], 0),
            Op::Eq(R0, n(1, COMPLETED)),
            call(WRITE, &[k(2), k(33), k(1)], 0),
            Op::Eq(R0, BLOCKED),
            call(StreamCancelRead(STREAM, true), &[k(1)], 0),
            Op::Eq(R0, n(1, CANCELLED)),
            call(READ, &[k(1), k(65), k(1)], 0),
            Op::Eq(R0, n(1, COMPLETED)),
            call(StreamCancelWrite(STREAM, true), &[k(2)], 0),
            Op::Eq(R0, n(1, CANCELLED)),
            DROP_R,
            DROP_W,
            RETURN,
        ],
        b"ab",
        b"ab\0",
    )
}

// BufferGuestImpl: only `if t and length > 0`.
fn stream_write_zero_zero_no_memory_checked<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            call(WRITE, &[k(2), k(R as u64), k(0)], 0),
            Op::Eq(R0, BLOCKED),
            call(StreamCancelWrite(STREAM, true), &[k(2)], 0),
            Op::Eq(R0, n(0, CANCELLED)),
            DROP_R,
            DROP_W,
            RETURN,
        ],
        b"",
        b"",
    )
}

// Waitable.wait_for_pending_event
fn stream_read_sync_blocks_until_write<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    const MAIN: Script = &[
        NEW,
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 0),
        run(ThreadResumeLater, &[R0]),
        call(StreamRead(STREAM, sync_opts(A)), &[k(1), k(64), k(4)], 0),
        Op::Eq(R0, n(2, COMPLETED)),
        run(StreamNew(STREAM_BOOL), &[]),
        run(StreamDropReadable(STREAM_BOOL), &[k(3)]),
        run(StreamDropWritable(STREAM_BOOL), &[k(4)]),
        run(StreamNew(STREAM_UNIT), &[]),
        run(WaitableSetNew, &[]),
        run(StreamDropReadable(STREAM_UNIT), &[k(4)]),
        run(StreamDropWritable(STREAM_UNIT), &[k(3)]),
        run(WaitableSetDrop, &[k(5)]),
        DROP_R,
        DROP_W,
        RETURN,
    ];
    w.set_table(
        0,
        A,
        script![Op::Mark(1), call(WRITE, &[k(2), k(32), k(2)], 0), Op::Eq(R0, n(2, COMPLETED))],
    );
    let f = w.lift(Func::Async, async_opts(A), MAIN)?;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    assert_eq!(w.marks(), [1]);
    w.done()?;
    // The profile that is too small for both ends of three streams at a time says so.
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), script![NEW, NEW, NEW, Op::Trap(1)])?;
    match w.call(f, 0) {
        Err(Error::Trap(Trap::Engine(1))) => w.done(),
        Err(error) => Err(error),
        Ok(_) => panic!("it traps"),
    }
}

fn stream_write_sync_partial_returns<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            NEW,
            run(READ, &[k(1), k(64), k(2)]),
            call(StreamWrite(STREAM, sync_opts(A)), &[k(2), k(32), k(4)], 0),
            Op::Eq(R0, n(2, COMPLETED)),
            run(StreamCancelRead(STREAM, false), &[k(1)]),
            DROP_R,
            call(StreamWrite(STREAM, sync_opts(A)), &[k(2), k(32), k(4)], 0),
            Op::Eq(R0, n(0, DROPPED)),
            DROP_W,
            RETURN,
        ],
        b"abcd",
        b"ab\0",
    )
}

fn stream_new_unit_counts_without_memory<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            run(StreamNew(STREAM_UNIT), &[]),
            run(StreamRead(STREAM_UNIT, async_opts(A)), &[k(1), k(R as u64), k((1 << 28) - 1)]),
            call(StreamWrite(STREAM_UNIT, async_opts(A)), &[k(2), k(R as u64), k((1 << 28) - 1)], 0),
            Op::Eq(R0, n((1 << 28) - 1, COMPLETED)),
            call(StreamCancelRead(STREAM_UNIT, false), &[k(1)], 0),
            Op::Eq(R0, n((1 << 28) - 1, CANCELLED)),
            run(StreamDropReadable(STREAM_UNIT), &[k(1)]),
            run(StreamDropWritable(STREAM_UNIT), &[k(2)]),
            RETURN,
        ],
        b"",
        b"",
    )
}

fn stream_element_u32_moves_aligned<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            run(StreamNew(STREAM_U32), &[]),
            run(StreamRead(STREAM_U32, async_opts(A)), &[k(1), k(64), k(2)]),
            call(StreamWrite(STREAM_U32, async_opts(A)), &[k(2), k(32), k(1)], 0),
            Op::Eq(R0, n(1, COMPLETED)),
            call(StreamWrite(STREAM_U32, async_opts(A)), &[k(2), k(36), k(1)], 0),
            Op::Eq(R0, n(1, COMPLETED)),
            call(StreamCancelRead(STREAM_U32, true), &[k(1)], 0),
            Op::Eq(R0, n(2, CANCELLED)),
            run(StreamDropReadable(STREAM_U32), &[k(1)]),
            run(StreamDropWritable(STREAM_U32), &[k(2)]),
            RETURN,
        ],
        b"abcdefgh",
        b"abcdefgh\0",
    )
}
