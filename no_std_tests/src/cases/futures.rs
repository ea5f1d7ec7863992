//! `future.*`.

use super::streams::one;
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::{EndAction, Error};
use canon_async::storage::Profile;

cases! {
    future_write_then_read_completes,
    future_read_then_write_completes,
    future_read_again_traps,
    future_write_readable_dropped_dropped,
    future_drop_readable_while_write_pending_dropped,
    future_cancel_read_then_read_again,
    future_cancel_write_then_write_again,
    future_drop_writable_after_dropped_write,
    future_write_sync_blocks_until_read,
}

const BLOCKED: Val = k(0xffff_ffff);
const RETURN: Op = run(task_return(A), &[]);
const COMPLETED: u64 = 0;
const DROPPED: u64 = 1;
const CANCELLED: u64 = 2;
const FNEW: Op = run(FutureNew(FUTURE), &[]);
const FREAD: Builtin = FutureRead(FUTURE, async_opts(A));
const FWRITE: Builtin = FutureWrite(FUTURE, async_opts(A));
const FDROP_R: Op = run(FutureDropReadable(FUTURE), &[k(1)]);
const FDROP_W: Op = run(FutureDropWritable(FUTURE), &[k(2)]);

// SharedFutureImpl.read
fn future_write_then_read_completes<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            FNEW,
            call(FWRITE, &[k(2), k(32)], 0),
            Op::Eq(R0, BLOCKED),
            call(FREAD, &[k(1), k(64)], 0),
            Op::Eq(R0, k(COMPLETED)),
            call(FutureCancelWrite(FUTURE, true), &[k(2)], 0),
            Op::Eq(R0, k(COMPLETED)),
            FDROP_R,
            FDROP_W,
            RETURN,
        ],
        b"ab",
        b"a\0",
    )
}

fn future_read_then_write_completes<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            FNEW,
            call(FREAD, &[k(1), k(64)], 0),
            Op::Eq(R0, BLOCKED),
            call(FWRITE, &[k(2), k(32)], 0),
            Op::Eq(R0, k(COMPLETED)),
            FDROP_W,
            call(FutureCancelRead(FUTURE, true), &[k(1)], 0),
            Op::Eq(R0, k(COMPLETED)),
            FDROP_R,
            RETURN,
        ],
        b"ab",
        b"a\0",
    )
}

fn future_read_again_traps<P: Profile>() -> Result<(), Error> {
    super::one_traps::<P>(
        script![
            FNEW,
            run(FREAD, &[k(1), k(64)]),
            run(FWRITE, &[k(2), k(32)]),
            run(FutureCancelRead(FUTURE, true), &[k(1)]),
            run(FREAD, &[k(1), k(64)])
        ],
        Trap::DoneEnd { action: EndAction::Read, future: true },
    )
}

fn future_write_readable_dropped_dropped<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![FNEW, FDROP_R, call(FWRITE, &[k(2), k(32)], 0), Op::Eq(R0, k(DROPPED)), FDROP_W, RETURN],
        b"",
        b"",
    )
}

// SharedFutureImpl.drop
fn future_drop_readable_while_write_pending_dropped<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            FNEW,
            run(FWRITE, &[k(2), k(32)]),
            FDROP_R,
            call(FutureCancelWrite(FUTURE, false), &[k(2)], 0),
            Op::Eq(R0, k(DROPPED)),
            FDROP_W,
            RETURN,
        ],
        b"a",
        b"\0",
    )
}

fn future_cancel_read_then_read_again<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            FNEW,
            run(FREAD, &[k(1), k(64)]),
            call(FutureCancelRead(FUTURE, false), &[k(1)], 0),
            Op::Eq(R0, k(CANCELLED)),
            run(FREAD, &[k(1), k(65)]),
            call(FWRITE, &[k(2), k(32)], 0),
            Op::Eq(R0, k(COMPLETED)),
            run(FutureCancelRead(FUTURE, false), &[k(1)]),
            FDROP_R,
            FDROP_W,
            RETURN,
        ],
        b"a",
        b"\0a\0",
    )
}

fn future_cancel_write_then_write_again<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            FNEW,
            run(FWRITE, &[k(2), k(33)]),
            call(FutureCancelWrite(FUTURE, false), &[k(2)], 0),
            Op::Eq(R0, k(CANCELLED)),
            run(FWRITE, &[k(2), k(32)]),
            call(FREAD, &[k(1), k(64)], 0),
            Op::Eq(R0, k(COMPLETED)),
            run(FutureCancelWrite(FUTURE, false), &[k(2)]),
            FDROP_R,
            FDROP_W,
            RETURN,
        ],
        b"ab",
        b"a\0",
    )
}

// WritableFutureEnd.drop: DONE after DROPPED too.
fn future_drop_writable_after_dropped_write<P: Profile>() -> Result<(), Error> {
    one::<P>(
        script![
            FNEW,
            run(FWRITE, &[k(2), k(32)]),
            FDROP_R,
            call(WaitableSetNew, &[], 0),
            run(WaitableJoin, &[k(2), R0]),
            call(WaitableSetWait(memory(A)), &[R0, k(64)], 1),
            Op::Eq(R1, k(5)),
            FDROP_W,
            run(WaitableSetDrop, &[R0]),
            RETURN,
        ],
        b"a",
        &[2, 0, 0, 0, 1, 0, 0, 0],
    )
}

fn future_write_sync_blocks_until_read<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const READS: Script = &[
        run(task_return(B), &[]),
        run(ThreadYield, &[]),
        call(FutureRead(FUTURE, sync_opts(B)), &[R0, k(64)], 1),
        Op::Eq(R1, k(COMPLETED)),
        run(FutureDropReadable(FUTURE), &[R0]),
    ];
    const WRITES: Script = &[
        FNEW,
        run(low(0), &[k(1)]),
        call(FutureWrite(FUTURE, sync_opts(A)), &[k(2), k(32)], 0),
        Op::Eq(R0, k(COMPLETED)),
        FDROP_W,
        RETURN,
    ];
    let callee = w.lift(Func::AsyncFuture, async_opts(B), READS)?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), WRITES)?;
    w.bytes(A)[32] = 7;
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.ticks()?;
    assert_eq!(w.bytes(B)[64], 7);
    w.done()
}
