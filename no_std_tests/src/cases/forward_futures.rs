//! `future.forward`, where one guest holds all ends.
//!
//! The source has the handles 1 and 2, the sink 3 and 4. 1 and 4 are given up; 2 writes to 3 from then on.

use super::streams::{BLOCKED, CANCELLED, COMPLETED, DROPPED, RETURN, one};
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::storage::Profile;

cases! {
    future_forward_then_write_meets_read,
    future_forward_pending_read_meets_later_write,
    future_forward_pending_write_meets_later_read,
    future_forward_both_pending_meet_at_once,
    future_forward_reader_dropped_writer_sees_it,
    future_forward_pending_write_reader_dropped_sees_it,
    future_forward_pending_read_cancelled_and_read_again,
    future_forward_pending_write_cancelled_and_written_again,
    future_forward_of_itself_needs_no_value,
    future_forward_chain_meets needs Waitables,
}

const FNEW: Op = run(FutureNew(FUTURE), &[]);
const FFORWARD: Op = run(FutureForward(FUTURE), &[k(1), k(4)]);
const FREAD: Op = call(FutureRead(FUTURE, async_opts(A)), &[k(3), k(64)], 0);
const FWRITE: Op = call(FutureWrite(FUTURE, async_opts(A)), &[k(2), k(32)], 0);
const FTAKE_READ: Op = call(FutureCancelRead(FUTURE, true), &[k(3)], 0);
const FTAKE_WRITE: Op = call(FutureCancelWrite(FUTURE, true), &[k(2)], 0);
const FDROP_READER: Op = run(FutureDropReadable(FUTURE), &[k(3)]);
const FDROP_WRITER: Op = run(FutureDropWritable(FUTURE), &[k(2)]);
const BLOCKS: Op = Op::Eq(R0, BLOCKED);
const COMPLETES: Op = Op::Eq(R0, k(COMPLETED));

/// A script about two futures, one byte of which is written and read.
macro_rules! futures {
    ($($op:expr),*) => {
        one::<P>(script![FNEW, FNEW, $($op,)* FDROP_READER, FDROP_WRITER, RETURN], b"a", b"a\0")
    };
}

fn future_forward_then_write_meets_read<P: Profile>() -> Result<(), Error> {
    futures!(FFORWARD, FWRITE, BLOCKS, FREAD, COMPLETES, FTAKE_WRITE, COMPLETES)?;
    futures!(FFORWARD, FREAD, BLOCKS, FWRITE, COMPLETES, FTAKE_READ, COMPLETES)
}

fn future_forward_pending_read_meets_later_write<P: Profile>() -> Result<(), Error> {
    futures!(FREAD, BLOCKS, FFORWARD, FWRITE, COMPLETES, FTAKE_READ, COMPLETES)
}

fn future_forward_pending_write_meets_later_read<P: Profile>() -> Result<(), Error> {
    futures!(FWRITE, BLOCKS, FFORWARD, FREAD, COMPLETES, FTAKE_WRITE, COMPLETES)
}

fn future_forward_both_pending_meet_at_once<P: Profile>() -> Result<(), Error> {
    futures!(FWRITE, BLOCKS, FREAD, BLOCKS, FFORWARD, FTAKE_READ, COMPLETES, FTAKE_WRITE, COMPLETES)
}

fn future_forward_reader_dropped_writer_sees_it<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            FNEW,
            FNEW,
            FDROP_READER,
            FFORWARD,
            FWRITE,
            Op::Eq(R0, k(DROPPED)),
            FDROP_WRITER,
            RETURN
        ],
        b"a",
        b"\0",
    )
}

fn future_forward_pending_write_reader_dropped_sees_it<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            FNEW,
            FNEW,
            FWRITE,
            FDROP_READER,
            FFORWARD,
            FTAKE_WRITE,
            Op::Eq(R0, k(DROPPED)),
            FDROP_WRITER,
            RETURN
        ],
        b"a",
        b"\0",
    )?;
    one::<P>(
        script![
            FNEW,
            FNEW,
            FWRITE,
            FFORWARD,
            FDROP_READER,
            FTAKE_WRITE,
            Op::Eq(R0, k(DROPPED)),
            FDROP_WRITER,
            RETURN
        ],
        b"a",
        b"\0",
    )
}

fn future_forward_pending_read_cancelled_and_read_again<P: Profile>() -> Result<(), Error> {
    futures!(
        FREAD,
        FFORWARD,
        FTAKE_READ,
        Op::Eq(R0, k(CANCELLED)),
        FWRITE,
        BLOCKS,
        FREAD,
        COMPLETES,
        FTAKE_WRITE,
        COMPLETES
    )
}

fn future_forward_pending_write_cancelled_and_written_again<P: Profile>() -> Result<(), Error> {
    futures!(
        FWRITE,
        FFORWARD,
        FTAKE_WRITE,
        Op::Eq(R0, k(CANCELLED)),
        FREAD,
        BLOCKS,
        FWRITE,
        COMPLETES,
        FTAKE_READ,
        COMPLETES
    )
}

/// The writable end has written nothing, and `future.drop-writable` would trap.
fn future_forward_of_itself_needs_no_value<P: Profile>() -> Result<(), Error> {
    one::<P>(script![FNEW, run(FutureForward(FUTURE), &[k(1), k(2)]), RETURN], b"", b"")
}

fn future_forward_chain_meets<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            FNEW,
            FNEW,
            FNEW,
            FFORWARD,
            FREAD,
            BLOCKS,
            run(FutureForward(FUTURE), &[k(5), k(2)]),
            call(FutureWrite(FUTURE, async_opts(A)), &[k(6), k(32)], 0),
            COMPLETES,
            FTAKE_READ,
            FDROP_READER,
            run(FutureDropWritable(FUTURE), &[k(6)]),
            RETURN,
        ],
        b"a",
        b"a\0",
    )
}
