//! 🐘 Built-ins whose pointers, lengths and slots have 64 bits: streams, sets, contexts, error contexts, threads, resources.

use super::memory64::{I64, NOWHERE, RETURN, RETURN_B, got, text, wide};
use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::{MemoryRef, TableRef};
use canon_async::storage::Profile;

cases! {
    stream_copy_wide_buffer_past_the_end_traps,
    stream_copy_wide_count_too_large_traps,
    future_copy_wide_pointer_past_the_end_traps,
    waitable_set_poll_wide_pointer_is_written_or_traps,
    waitable_set_wait_wide_pointer_is_checked_at_delivery,
    context_wide_keeps_64_bits,
    error_context_wide_message_is_two_words_of_8_bytes,
    error_context_wide_pointers_past_the_end_trap,
    thread_new_indirect_wide_index_and_argument,
    resource_wide_rep_comes_back_and_goes_to_its_destructor,
    resource_wide_rep_borrowed_by_its_instance_must_fit_an_i32,
}

/// Runs a built-in of A, which has 64-bit addresses, on handle 1 with G0 and G1, after `first`.
fn run_wide<P: Profile>(first: Script, g: (u64, u64), script: Script) -> Result<Option<Error>, Error> {
    let mut w = wide::<P>()?;
    w.set_global(0, g.0);
    w.set_global(1, g.1);
    w.set_table(0, A, first);
    let main = w.lift(Func::Async, async_opts(A), script)?;
    let error = w.call(main, 0).err();
    if error.is_none() {
        w.ticks()?;
    }
    w.done().map(|()| error)
}

const READ: Builtin = StreamRead(STREAM_U32, async_opts(A));

// BufferGuestImpl.__init__
fn stream_copy_wide_buffer_past_the_end_traps<P: Profile>() -> Result<(), Error> {
    const SCRIPT: Script = script![run(StreamNew(STREAM_U32), &[]), run(READ, &[k(1), G0, G1]), RETURN];
    for nowhere in NOWHERE {
        let error = run_wide::<P>(&[], (nowhere, 1), SCRIPT)?;
        assert_eq!(error, Some(Trap::OutOfBounds.into()), "{nowhere:#x}");
    }
    for (pointer, count, trap) in [
        ((1 << 32) + 2, 1, Trap::Unaligned),
        (u64::MAX, 1, Trap::Unaligned),
        (u64::MAX - 3, 1, Trap::OutOfBounds),
        (0, (1 << 28) - 1, Trap::OutOfBounds),
        (508, 2, Trap::OutOfBounds),
    ] {
        let error = run_wide::<P>(&[], (pointer, count), SCRIPT)?;
        assert_eq!(error, Some(trap.into()), "{pointer:#x} {count:#x}");
    }
    Ok(())
}

// trap_if(length > Buffer.MAX_LENGTH), whatever the width
fn stream_copy_wide_count_too_large_traps<P: Profile>() -> Result<(), Error> {
    const SCRIPT: Script = script![run(StreamNew(STREAM_U32), &[]), run(READ, &[k(1), G0, G1]), RETURN];
    for count in [1 << 28, 1 << 32, (1 << 32) + 1, u64::MAX] {
        let error = run_wide::<P>(&[], (u64::MAX, count), SCRIPT)?;
        assert_eq!(error, Some(Trap::BufferTooLong.into()), "{count:#x}");
    }
    Ok(())
}

fn future_copy_wide_pointer_past_the_end_traps<P: Profile>() -> Result<(), Error> {
    const WRITE: Script =
        script![run(FutureNew(FUTURE), &[]), run(FutureWrite(FUTURE, async_opts(A)), &[k(2), G0]), RETURN,];
    for nowhere in NOWHERE.into_iter().chain([u64::MAX]) {
        let error = run_wide::<P>(&[], (nowhere, 0), WRITE)?;
        assert_eq!(error, Some(Trap::OutOfBounds.into()), "{nowhere:#x}");
    }
    Ok(())
}

const WIDE_A: MemoryRef = memory(A).with_addresses(I64);

// unpack_event
fn waitable_set_poll_wide_pointer_is_written_or_traps<P: Profile>() -> Result<(), Error> {
    const SCRIPT: Script = script![
        run(WaitableSetNew, &[]),
        call(WaitableSetPoll(WIDE_A), &[k(1), G0], 0),
        Op::Eq(R0, k(0)),
        Op::Load32(1, k(504)),
        Op::Eq(R1, k(0)),
        run(WaitableSetDrop, &[k(1)]),
        RETURN,
    ];
    assert_eq!(run_wide::<P>(&[], (504, 0), SCRIPT)?, None);
    for nowhere in NOWHERE.into_iter().chain([508]) {
        let error = run_wide::<P>(&[], (nowhere, 0), SCRIPT)?;
        assert_eq!(error, Some(Trap::OutOfBounds.into()), "{nowhere:#x}");
    }
    for pointer in [(1 << 32) + 2, u64::MAX] {
        let error = run_wide::<P>(&[], (pointer, 0), SCRIPT)?;
        assert_eq!(error, Some(Trap::Unaligned.into()), "{pointer:#x}");
    }
    Ok(())
}

fn waitable_set_wait_wide_pointer_is_checked_at_delivery<P: Profile>() -> Result<(), Error> {
    for (pointer, trap) in [
        (496, None),
        (1 << 32, Some(Trap::OutOfBounds)),
        ((1 << 32) + 1, Some(Trap::Unaligned)),
        (u64::MAX - 3, Some(Trap::OutOfBounds)),
    ] {
        let mut w = wide::<P>()?;
        w.set_global(0, pointer);
        // Another thread writes the future that this one waits for.
        w.set_table(0, A, script![run(FutureWrite(FUTURE_UNIT, async_opts(A)), &[k(2), k(0)])]);
        let main = script![
            run(FutureNew(FUTURE_UNIT), &[]),
            run(WaitableSetNew, &[]),
            run(FutureRead(FUTURE_UNIT, async_opts(A)), &[k(1), k(0)]),
            run(WaitableJoin, &[k(1), k(3)]),
            call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 0),
            run(ThreadResumeLater, &[R0]),
            call(WaitableSetWait(WIDE_A), &[k(3), G0], 1),
            Op::Eq(R1, k(4)),
            Op::Load32(2, k(496)),
            Op::Eq(R2, k(1)),
            run(FutureDropReadable(FUTURE_UNIT), &[k(1)]),
            run(FutureDropWritable(FUTURE_UNIT), &[k(2)]),
            run(WaitableSetDrop, &[k(3)]),
            RETURN,
        ];
        let main = w.lift(Func::Async, async_opts(A), main)?;
        w.call(main, 0)?;
        assert_eq!(w.ticks().err(), trap.map(Error::from), "{pointer:#x}");
        w.done()?;
    }
    Ok(())
}

// canon_context_get, canon_context_set with i64
fn context_wide_keeps_64_bits<P: Profile>() -> Result<(), Error> {
    const VALUE: u64 = 0x0123_4567_89ab_cdef;
    let script = script![
        run(ContextSet(0), &[k(VALUE)]),
        run(ContextSet(1), &[k(u64::MAX)]),
        call(ContextGet(0), &[], 0),
        Op::Eq(R0, k(VALUE)),
        call(ContextGet(1), &[], 0),
        Op::Eq(R0, k(u64::MAX)),
        RETURN,
    ];
    assert_eq!(run_wide::<P>(&[], (0, 0), script)?, None);
    Ok(())
}

const NEW: Builtin = ErrorContextNew(sync_opts(A));
const MESSAGE: Builtin = ErrorContextDebugMessage(sync_opts(A));

// canon_error_context_debug_message: 16 bytes for memory64
fn error_context_wide_message_is_two_words_of_8_bytes<P: Profile>() -> Result<(), Error> {
    let mut w = wide::<P>()?;
    text(&mut w, A, 32, b"why");
    w.bytes(A)[64..80].fill(0xff);
    let main = script![
        call(NEW, &[k(32), k(3)], 0),
        run(MESSAGE, &[R0, k(64)]),
        run(ErrorContextDrop, &[R0]),
        RETURN,
    ];
    let main = w.lift(Func::Async, async_opts(A), main)?;
    w.call(main, 0)?;
    assert_eq!((got(&mut w, A, 64, I64), got(&mut w, A, 72, I64)), (HEAP.into(), 3));
    assert_eq!(w.bytes(A)[HEAP as usize..][..3], *b"why");
    w.done()
}

fn error_context_wide_pointers_past_the_end_trap<P: Profile>() -> Result<(), Error> {
    const LIFT: Script = script![run(NEW, &[G0, G1]), RETURN];
    for nowhere in NOWHERE {
        let error = run_wide::<P>(&[], (nowhere, 1), LIFT)?;
        assert_eq!(error, Some(Trap::StringOutOfBounds.into()), "{nowhere:#x}");
    }
    assert_eq!(run_wide::<P>(&[], (0, 1 << 32), LIFT)?, Some(Trap::StringTooLong.into()));
    const LOWER: Script = script![run(NEW, &[k(32), k(1)]), run(MESSAGE, &[k(1), G0]), RETURN];
    for (pointer, trap) in [
        (504, Trap::OutOfBounds),
        (500, Trap::Unaligned),
        (1 << 32, Trap::OutOfBounds),
        (u64::MAX - 7, Trap::OutOfBounds),
    ] {
        let error = run_wide::<P>(&[], (pointer, 0), LOWER)?;
        assert_eq!(error, Some(trap.into()), "{pointer:#x}");
    }
    Ok(())
}

// canon_thread_new_indirect with $ft of i64, and a table with 64-bit addresses
fn thread_new_indirect_wide_index_and_argument<P: Profile>() -> Result<(), Error> {
    const TABLE: TableRef = TableRef::from_index(0).with_start(I64);
    const SCRIPT: Script =
        script![call(ThreadNewIndirect(TABLE), &[G0, G1], 0), run(ThreadSuspendThenResume, &[R0]), RETURN,];
    for nowhere in [1 << 32, u64::MAX] {
        let error = run_wide::<P>(&[], (nowhere, 0), SCRIPT)?;
        assert_eq!(error, Some(Trap::UnknownTableElement(u32::MAX).into()), "{nowhere:#x}");
    }
    let mut w = wide::<P>()?;
    w.set_global(1, u64::MAX - 1);
    w.set_table(0, A, script![Op::SetG(2, R0)]);
    let main = script![call(ThreadNewIndirect(TABLE), &[G0, G1], 0), run(ThreadResumeLater, &[R0]), RETURN,];
    let main = w.lift(Func::Async, async_opts(A), main)?;
    w.call(main, 0)?;
    w.ticks()?;
    assert_eq!(w.global(2), u64::MAX - 1);
    w.done()
}

// canon_resource_new, canon_resource_rep, canon_resource_drop with a $rt.rep of i64
fn resource_wide_rep_comes_back_and_goes_to_its_destructor<P: Profile>() -> Result<(), Error> {
    const REP: u64 = 0x0123_4567_89ab_cdef;
    let mut w = wide::<P>()?;
    let dtor = w.lift(Func::SyncU32, sync_opts(B), script![Op::SetG(0, R0)])?;
    w.store.types_mut().set_dtor(RESOURCE, Some(dtor));
    let main = script![
        call(ResourceNew(RESOURCE), &[k(REP)], 0),
        call(ResourceRep(RESOURCE), &[R0], 1),
        Op::Eq(R1, k(REP)),
        run(ResourceDrop(RESOURCE), &[R0]),
        RETURN_B,
    ];
    let main = w.lift(Func::Async, async_opts(B), main)?;
    w.call(main, 0)?;
    assert_eq!(w.global(0), REP);
    w.done()
}

// lower_borrow: `return rep`, which is an i32
fn resource_wide_rep_borrowed_by_its_instance_must_fit_an_i32<P: Profile>() -> Result<(), Error> {
    for (rep, trap) in
        [(u64::from(u32::MAX), None), (1 << 32, Some(Trap::WideRep)), (u64::MAX, Some(Trap::WideRep))]
    {
        let mut w = wide::<P>()?;
        w.set_global(0, rep);
        let borrow = w.lift(Func::AsyncBorrow, async_opts(B), script![Op::SetG(1, R0), RETURN_B])?;
        w.lower(borrow, async_opts(A))?;
        let take =
            script![RETURN, run(ThreadYield, &[]), run(low(0), &[R0]), run(ResourceDrop(RESOURCE), &[R0]),];
        let take = w.lift(Func::AsyncOwn, async_opts(A), take)?;
        w.lower(take, async_opts(B))?;
        let main = script![call(ResourceNew(RESOURCE), &[G0], 0), run(low(1), &[R0]), RETURN_B];
        let main = w.lift(Func::Async, async_opts(B), main)?;
        w.call(main, 0)?;
        assert_eq!(w.ticks().err(), trap.map(Error::from), "{rep:#x}");
        assert_eq!(w.global(1), if trap.is_none() { rep } else { 0 });
        w.done()?;
    }
    Ok(())
}
