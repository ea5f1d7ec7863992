//! 📝 Error contexts in values: from instance to instance, and to and from the host.

use super::error_context::*;
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin::*;
use canon_async::error::{Error, HandleKind};
use canon_async::storage::{Profile, Slots};

cases! {
    error_context_passed_on_both_hold_it,
    error_context_passed_on_last_handle_frees_it,
    error_context_passed_on_in_result,
    error_context_passed_on_in_list,
    error_context_passed_on_in_future,
    error_context_passed_on_in_stream_of_records,
    error_context_passed_on_of_other_kind_traps,
    error_context_passed_on_without_room_capacity,
    error_context_dropped_before_queued_call_starts_traps,
    error_context_in_stream_within_instance_traps,
    error_context_in_stream_passed_on_and_back_traps_only_then,
    error_context_of_the_dead_freed_unless_shared,
    error_context_to_and_from_the_host_shared,
}

/// B takes a context, returns, and later stores its message at 64 and drops it.
const TAKES: Script =
    &[RETURN_B, run(ThreadYield, &[]), run(MESSAGE_B, &[R0, k(64)]), run(DROP, &[R0]), Op::Mark(1)];

// lift_error_context, lower_error_context
fn error_context_passed_on_both_hold_it<P: Profile>() -> Result<(), Error> {
    let mut w = pair::<P>(
        Func::AsyncError,
        TAKES,
        script![
            NEW_1,
            run(low(0), &[R0]),
            run(ThreadYield, &[]),
            run(ThreadYield, &[]),
            run(MESSAGE, &[R0, k(64)]),
            run(DROP, &[R0]),
            RETURN,
        ],
    )?;
    assert_eq!(w.marks(), [1]);
    message_is(&mut w, A, 64, TEXT);
    message_is(&mut w, B, 64, TEXT);
    w.done()
}

fn error_context_passed_on_last_handle_frees_it<P: Profile>() -> Result<(), Error> {
    let mut w = pair::<P>(
        Func::AsyncError,
        TAKES,
        script![NEW_1, run(low(0), &[R0]), run(low(0), &[R0]), run(DROP, &[R0]), RETURN],
    )?;
    assert_eq!(w.marks(), [1, 1]);
    message_is(&mut w, B, 64, TEXT);
    w.done()
}

fn error_context_passed_on_in_result<P: Profile>() -> Result<(), Error> {
    let mut w = pair::<P>(
        Func::AsyncToError,
        script![
            call(ErrorContextNew(sync_opts(B)), &[k(32), k(0)], 0),
            call(ErrorContextNew(sync_opts(B)), &[k(32), k(1)], 1),
            run(task_return_error(B), &[R1]),
            run(DROP, &[R0]),
            run(DROP, &[R1]),
        ],
        script![
            call(low(0), &[k(40)], 0),
            Op::Eq(R0, k(2)),
            Op::Load32(1, k(40)),
            Op::Eq(R1, k(1)),
            run(MESSAGE, &[R1, k(64)]),
            run(DROP, &[R1]),
            RETURN,
        ],
    )?;
    message_is(&mut w, A, 64, b"\0");
    w.done()
}

fn error_context_passed_on_in_list<P: Profile>() -> Result<(), Error> {
    let mut w = pair::<P>(
        Func::AsyncErrors,
        script![
            Op::Eq(R1, k(3)),
            Op::Load32(2, R0),
            Op::Add(0, k(4)),
            Op::Load32(3, R0),
            Op::Add(0, k(4)),
            Op::Load32(4, R0),
            run(MESSAGE_B, &[R2, k(64)]),
            run(MESSAGE_B, &[R3, k(72)]),
            run(DROP, &[R2]),
            run(DROP, &[R3]),
            // The third is the first once more, and a handle of its own.
            run(MESSAGE_B, &[R4, k(80)]),
            run(DROP, &[R4]),
            RETURN_B,
        ],
        script![
            NEW_1,
            call(NEW, &[k(33), k(2)], 1),
            Op::Store32(k(40), R0),
            Op::Store32(k(44), R1),
            Op::Store32(k(48), R0),
            run(low(0), &[k(40), k(3)]),
            run(DROP, &[R0]),
            run(DROP, &[R1]),
            RETURN,
        ],
    )?;
    message_is(&mut w, B, 64, b"abc");
    message_is(&mut w, B, 72, b"bc");
    message_is(&mut w, B, 80, b"abc");
    w.done()
}

fn error_context_passed_on_in_future<P: Profile>() -> Result<(), Error> {
    let mut w = pair::<P>(
        Func::AsyncFutureError,
        script![
            RETURN_B,
            call(FutureRead(FUTURE_ERROR, sync_opts(B)), &[R0, k(40)], 1),
            Op::Eq(R1, k(0)),
            Op::Load32(2, k(40)),
            run(MESSAGE_B, &[R2, k(64)]),
            run(DROP, &[R2]),
            run(FutureDropReadable(FUTURE_ERROR), &[R0]),
        ],
        script![
            NEW_1,
            Op::Store32(k(40), R0),
            run(FutureNew(FUTURE_ERROR), &[]),
            run(low(0), &[k(2)]),
            call(FutureWrite(FUTURE_ERROR, sync_opts(A)), &[k(3), k(40)], 1),
            Op::Eq(R1, k(0)),
            run(DROP, &[R0]),
            run(FutureDropWritable(FUTURE_ERROR), &[k(3)]),
            RETURN,
        ],
    )?;
    message_is(&mut w, B, 64, TEXT);
    w.done()
}

fn error_context_passed_on_in_stream_of_records<P: Profile>() -> Result<(), Error> {
    let mut w = pair::<P>(
        Func::AsyncStreamError,
        script![
            RETURN_B,
            call(StreamRead(STREAM_ERROR, sync_opts(B)), &[R0, k(40), k(2)], 1),
            // Two, and A has dropped its end since.
            Op::Eq(R1, k(2 << 4 | 1)),
            Op::Load8(1, k(40)),
            Op::Eq(R1, k(7)),
            Op::Load8(1, k(48)),
            Op::Eq(R1, k(8)),
            Op::Load32(2, k(44)),
            Op::Load32(3, k(52)),
            run(MESSAGE_B, &[R2, k(64)]),
            run(MESSAGE_B, &[R3, k(72)]),
            run(DROP, &[R2]),
            run(DROP, &[R3]),
            run(StreamDropReadable(STREAM_ERROR), &[R0]),
        ],
        script![
            NEW_1,
            Op::Store8(k(40), k(7)),
            Op::Store32(k(44), R0),
            Op::Store8(k(48), k(8)),
            Op::Store32(k(52), R0),
            run(StreamNew(STREAM_ERROR), &[]),
            run(low(0), &[k(2)]),
            call(StreamWrite(STREAM_ERROR, sync_opts(A)), &[k(3), k(40), k(2)], 1),
            Op::Eq(R1, k(2 << 4)),
            run(DROP, &[R0]),
            run(StreamDropWritable(STREAM_ERROR), &[k(3)]),
            RETURN,
        ],
    )?;
    message_is(&mut w, B, 64, TEXT);
    message_is(&mut w, B, 72, TEXT);
    w.done()
}

fn error_context_passed_on_of_other_kind_traps<P: Profile>() -> Result<(), Error> {
    for (script, trap) in [
        (script![SET, run(low(0), &[k(1)])], kind(1, HandleKind::WaitableSet)),
        (script![run(low(0), &[k(0)])], Trap::UnknownHandle(0)),
        (script![NEW_1, run(DROP, &[R0]), run(low(0), &[R0])], Trap::UnknownHandle(1)),
    ] {
        let w = pair::<P>(Func::AsyncError, TAKES, script);
        assert_eq!(w.err(), Some(trap.into()));
    }
    Ok(())
}

// One context, as many handles to it as B has room for, and one more.
fn error_context_passed_on_without_room_capacity<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let takes = w.lift(Func::AsyncError, async_opts(B), script![RETURN_B])?;
    w.lower(takes, async_opts(A))?;
    let makes = w.lift(Func::Async, async_opts(A), script![NEW_1, Op::SetG(0, R0), RETURN])?;
    let passes = w.lift(Func::Async, async_opts(A), script![run(low(0), &[G0]), RETURN])?;
    w.call(makes, 0)?;
    let room = if P::LIMITS.handles == u32::MAX { P::Handles::EMPTY.capacity() } else { 100 };
    for _ in 0..room {
        w.call(passes, 1)?;
    }
    let counts = w.store.counts();
    assert_eq!((counts.error_contexts, counts.handles), (1, room + 1));
    if room != 100 {
        let full = Error::capacity(canon_async::Resource::Handles);
        assert_eq!(w.call(passes, 1), Err(full));
        // B had run nothing of that call, and A is gone with its handle.
        let counts = w.store.counts();
        assert_eq!((counts.error_contexts, counts.handles), (1, room));
    }
    Ok(())
}

// Arguments are lifted when the callee starts.
fn error_context_dropped_before_queued_call_starts_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let inc = w.lift(Func::Async, async_opts(B), script![run(BackpressureInc, &[]), RETURN_B])?;
    let callee = w.lift(Func::AsyncError, async_opts(B), TAKES)?;
    let dec = w.lift(Func::Sync, sync_opts(B), script![run(BackpressureDec, &[])])?;
    w.lower(callee, async_opts(A))?;
    let caller = script![NEW_1, run(low(0), &[R0]), run(DROP, &[R0]), RETURN, run(ThreadSuspend, &[])];
    let a = w.lift(Func::Async, async_opts(A), caller)?;
    w.call(inc, 0)?;
    w.call(a, 1)?;
    w.call(dec, 2)?;
    assert_eq!(w.tick(), Err(Trap::UnknownHandle(1).into()));
    assert!(w.marks().is_empty());
    assert_eq!(w.call(a, 3).err(), Some(Trap::CannotEnter.into()));
    w.done()
}

// none_or_number_type
fn error_context_in_stream_within_instance_traps<P: Profile>() -> Result<(), Error> {
    super::one_traps::<P>(
        script![
            run(FutureNew(FUTURE_ERROR), &[]),
            run(FutureRead(FUTURE_ERROR, async_opts(A)), &[k(1), k(40)]),
            run(FutureWrite(FUTURE_ERROR, async_opts(A)), &[k(2), k(44)]),
        ],
        Trap::IntraComponent { future: true },
    )
}

// It is asked at each copy whose the two buffers are, whoever made the stream and wherever its end has been.
fn error_context_in_stream_passed_on_and_back_traps_only_then<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    const WRITE: Op = run(StreamWrite(STREAM_ERROR, async_opts(A)), &[k(3), k(40), k(1)]);
    const MAIN: Script = &[
        NEW_1,
        Op::Store32(k(44), R0),
        run(StreamNew(STREAM_ERROR), &[]),
        WRITE,
        run(low(0), &[k(2)]),
        RETURN,
    ];
    const TAKES: Script = &[
        call(StreamRead(STREAM_ERROR, async_opts(B)), &[R0, k(64), k(1)], 1),
        Op::Eq(R1, k(1 << 4)),
        Op::Load32(1, k(68)),
        run(DROP, &[R1]),
        Op::SetG(0, R0),
        Op::Mark(1),
        RETURN_B,
    ];
    const READS: Script =
        &[Op::Mark(2), run(StreamRead(STREAM_ERROR, async_opts(A)), &[R0, k(64), k(1)]), Op::Mark(3)];
    let takes = w.lift(Func::AsyncStreamError, async_opts(B), TAKES)?;
    let reads = w.lift(Func::AsyncStreamError, async_opts(A), READS)?;
    w.lower(takes, async_opts(A))?;
    w.lower(reads, async_opts(B))?;
    let main = w.lift(Func::Async, async_opts(A), MAIN)?;
    let again = script![run(StreamCancelWrite(STREAM_ERROR, true), &[k(3)]), WRITE];
    let again = w.lift(Func::Sync, sync_opts(A), again)?;
    let back = w.lift(Func::Async, async_opts(B), script![run(low(1), &[G0])])?;
    w.bytes(A)[32..35].copy_from_slice(TEXT);
    w.call(main, 0)?;
    assert_eq!(w.marks(), [1]);
    w.call(again, 1)?;
    assert_eq!(w.call(back, 2), Err(Trap::IntraComponent { future: false }.into()));
    assert_eq!(w.marks(), [1, 2]);
    w.done()
}

fn error_context_of_the_dead_freed_unless_shared<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let takes = w.lift(Func::AsyncError, async_opts(B), TAKES)?;
    w.lower(takes, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), script![NEW_1, NEW_1, run(low(0), &[k(1)]), Op::Trap(1)])?;
    w.bytes(A)[32..35].copy_from_slice(TEXT);
    assert_eq!(w.call(f, 0), Err(Trap::Engine(1).into()));
    let counts = w.store.counts();
    assert_eq!((counts.error_contexts, counts.handles), (1, 1));
    w.ticks()?;
    assert_eq!(w.marks(), [1]);
    message_is(&mut w, B, 64, TEXT);
    w.done()
}

fn error_context_to_and_from_the_host_shared<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let takes = script![run(MESSAGE, &[R0, k(64)]), run(DROP, &[R0]), RETURN];
    let takes = w.lift(Func::AsyncError, async_opts(A), takes)?;
    let gives = script![NEW_1, run(task_return_error(A), &[R0]), run(DROP, &[R0])];
    let gives = w.lift(Func::AsyncToError, async_opts(A), gives)?;
    w.bytes(A)[32..35].copy_from_slice(TEXT);
    let made = w.store.host_error_context("host")?;
    w.set_args(&[made.into()]);
    w.call(takes, 0)?;
    message_is(&mut w, A, 64, b"host");
    assert_eq!(w.store.host_error_message(made), Ok("host"));
    w.call(gives, 1)?;
    let Ended::Returned(got) = w.ended(1) else { panic!("{:?}", w.ended(1)) };
    assert_eq!(w.store.host_error_message(got as u32), Ok("abc"));
    for handle in [made, got as u32] {
        w.store.drop_host_error_context(handle)?;
        assert!(matches!(w.store.host_error_message(handle), Err(Error::Misuse(_))));
        assert!(matches!(w.store.drop_host_error_context(handle), Err(Error::Misuse(_))));
    }
    w.done()
}
