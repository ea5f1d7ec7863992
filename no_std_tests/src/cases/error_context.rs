//! 📝 `error-context.*`.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::{Error, HandleKind};
use canon_async::id::OptsId;
use canon_async::state::StringEncoding::{Latin1Utf16, Utf8, Utf16};
use canon_async::storage::{Profile, Slots};
use canon_async::store::Choose;

cases! {
    error_context_new_then_debug_message_same_each_time,
    error_context_new_empty_string_kept,
    error_context_new_any_encoding_debug_message_any_encoding,
    error_context_new_long_message_cut_at_a_character,
    error_context_new_deterministic_profile_nothing_kept,
    error_context_new_bad_string_traps,
    error_context_new_without_room_for_the_context_capacity needs ErrorContexts,
    error_context_debug_message_bad_handle_traps,
    error_context_debug_message_bad_pointer_traps_before_realloc,
    error_context_debug_message_realloc_out_of_bounds_traps,
    error_context_drop_bad_handle_traps,
    error_context_drop_then_use_again_traps,
    error_context_drop_index_used_again,
    error_context_in_realloc_cannot_leave,
    error_context_as_other_handle_traps,
}

pub(super) const NEW: Builtin = ErrorContextNew(sync_opts(A));
pub(super) const MESSAGE: Builtin = ErrorContextDebugMessage(sync_opts(A));
pub(super) const MESSAGE_B: Builtin = ErrorContextDebugMessage(sync_opts(B));
pub(super) const DROP: Builtin = ErrorContextDrop;
pub(super) const RETURN: Op = run(task_return(A), &[]);
pub(super) const RETURN_B: Op = run(task_return(B), &[]);
/// A makes the context 1 of the 3 bytes at 32.
pub(super) const NEW_1: Op = call(NEW, &[k(32), k(3)], 0);
pub(super) const TEXT: &[u8] = b"abc";

/// Checks the string at the address in memory.
pub(super) fn message_is<P: Profile>(w: &mut World<P>, instance: u32, at: usize, expected: &[u8]) {
    let word = |at: usize, w: &mut World<P>| {
        u32::from_le_bytes(*w.bytes(instance)[at..].first_chunk().expect("an address")) as usize
    };
    let (begin, length) = (word(at, w), word(at + 4, w));
    assert_eq!(&w.bytes(instance)[begin..begin + length], expected);
}

/// Runs one async function of A to its end, with these bytes at 32 of its memory.
pub(super) fn one<P: Profile>(script: Script, data: &[u8]) -> Result<World<P>, Error> {
    let mut w = World::<P>::new(&[None])?;
    let f = w.lift(Func::Async, async_opts(A), script)?;
    w.bytes(A)[32..32 + data.len()].copy_from_slice(data);
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.ticks()?;
    Ok(w)
}

/// A, with `TEXT` at 32, calls B's function (lower 0).
pub(super) fn pair<P: Profile>(ty: Func, callee: Script, caller: Script) -> Result<World<P>, Error> {
    let mut w = World::<P>::new(&[None, None])?;
    let callee = w.lift(ty, async_opts(B), callee)?;
    w.lower(callee, async_opts(A))?;
    let f = w.lift(Func::Async, async_opts(A), caller)?;
    w.bytes(A)[32..35].copy_from_slice(TEXT);
    let task = w.call(f, 0)?;
    w.run_until(task)?;
    w.ticks()?;
    Ok(w)
}

// canon_error_context_new, canon_error_context_debug_message
fn error_context_new_then_debug_message_same_each_time<P: Profile>() -> Result<(), Error> {
    let mut w = one::<P>(
        script![
            NEW_1,
            Op::Eq(R0, k(1)),
            // It is a copy.
            Op::Store8(k(32), k(0)),
            call(MESSAGE, &[R0, k(64)], 7),
            call(MESSAGE, &[R0, k(72)], 7),
            run(DROP, &[R0]),
            RETURN,
        ],
        TEXT,
    )?;
    message_is(&mut w, A, 64, TEXT);
    message_is(&mut w, A, 72, TEXT);
    let bytes = w.bytes(A);
    assert_ne!(bytes[64..68], bytes[72..76]);
    w.done()
}

fn error_context_new_empty_string_kept<P: Profile>() -> Result<(), Error> {
    let mut w = one::<P>(
        script![call(NEW, &[k(512), k(0)], 0), run(MESSAGE, &[R0, k(64)]), run(DROP, &[R0]), RETURN],
        b"",
    )?;
    message_is(&mut w, A, 64, b"");
    w.done()
}

/// The bit of a string in `latin1+utf16` that says which of the two.
const TAG: u32 = 0x8000_0000;

// load_string_from_range, store_string
fn error_context_new_any_encoding_debug_message_any_encoding<P: Profile>() -> Result<(), Error> {
    /// An encoding, a string's bytes, its tagged code units.
    type Text = (canon_async::state::StringEncoding, &'static [u8], u32);
    const SCRIPT: Script = &[
        call(ErrorContextNew(OptsId::from_index(4)), &[k(32), G0], 0),
        run(ErrorContextDebugMessage(OptsId::from_index(5)), &[R0, k(64)]),
        run(DROP, &[R0]),
        RETURN,
    ];
    // The same text in a line.
    const TEXTS: &[&[Text]] = &[
        &[
            (Utf8, "hé€😀".as_bytes(), 10),
            (Utf16, b"h\0\xe9\0\xac\x20\x3d\xd8\0\xde", 5),
            (Latin1Utf16, b"h\0\xe9\0\xac\x20\x3d\xd8\0\xde", 5 | TAG),
        ],
        &[(Utf8, "hé".as_bytes(), 3), (Utf16, b"h\0\xe9\0", 2), (Latin1Utf16, b"h\xe9", 2)],
        &[(Utf8, b"plain", 5), (Utf16, b"p\0l\0a\0i\0n\0", 5), (Latin1Utf16, b"plain", 5)],
    ];
    for texts in TEXTS {
        for (from, bytes, units) in *texts {
            for (to, expected, expected_units) in *texts {
                let mut w = World::<P>::new(&[None])?;
                w.options(sync_opts(A), |o| o.encoding = *from)?;
                w.options(sync_opts(A), |o| o.encoding = *to)?;
                let f = w.lift(Func::Async, async_opts(A), SCRIPT)?;
                w.bytes(A)[32..32 + bytes.len()].copy_from_slice(bytes);
                w.set_global(0, (*units).into());
                w.call(f, 0)?;
                assert_eq!(w.bytes(A)[68..72], expected_units.to_le_bytes(), "{from:?} {to:?}");
                w.bytes(A)[68..72].copy_from_slice(&(expected.len() as u32).to_le_bytes());
                message_is(&mut w, A, 64, expected);
                w.done()?;
            }
        }
    }
    Ok(())
}

fn error_context_new_long_message_cut_at_a_character<P: Profile>() -> Result<(), Error> {
    let mut text = [0; 300];
    text.chunks_mut(3).for_each(|c| c.copy_from_slice("€".as_bytes()));
    let mut w = one::<P>(
        script![call(NEW, &[k(32), k(300)], 0), run(MESSAGE, &[R0, k(0)]), run(DROP, &[R0]), RETURN],
        &text,
    )?;
    let kept = P::Message::EMPTY.capacity() / 3 * 3;
    message_is(&mut w, A, 0, &text[..kept]);
    w.done()
}

// DETERMINISTIC_PROFILE: not even lifted.
fn error_context_new_deterministic_profile_nothing_kept<P: Profile>() -> Result<(), Error> {
    for text in [[32, 3], [0xffff_ffff, 3], [0, 0xffff_ffff]] {
        let mut w = World::<P>::new(&[None])?;
        w.store.set_choose(Choose::Spec);
        w.set_global(0, text[0]);
        w.set_global(1, text[1]);
        let script = script![call(NEW, &[G0, G1], 0), run(MESSAGE, &[R0, k(64)]), run(DROP, &[R0]), RETURN];
        let f = w.lift(Func::Async, async_opts(A), script)?;
        let task = w.call(f, 0)?;
        w.run_until(task)?;
        w.ticks()?;
        message_is(&mut w, A, 64, b"");
        w.done()?;
    }
    Ok(())
}

// load_string_from_range
fn error_context_new_bad_string_traps<P: Profile>() -> Result<(), Error> {
    for (encoding, pointer, units, data, trap) in [
        (Utf8, 32, 1, &b"\xff"[..], Trap::InvalidUtf8),
        // Past what is kept, too.
        (Utf8, 33, 300, b"", Trap::InvalidUtf8),
        (Utf8, 32, 2, b"\xe2\x82", Trap::IncompleteUtf8),
        (Utf16, 32, 1, b"\0\xd8", Trap::InvalidUtf16),
        (Utf16, 33, 0, b"", Trap::Unaligned),
        (Latin1Utf16, 33, 0, b"", Trap::Unaligned),
        (Utf8, 510, 3, b"", Trap::StringOutOfBounds),
        (Utf8, 513, 0, b"", Trap::StringOutOfBounds),
        (Utf8, 0xffff_ffff, 2, b"", Trap::StringOutOfBounds),
        (Utf8, 0, 1 << 28, b"", Trap::StringTooLong),
    ] {
        let mut w = World::<P>::new(&[None])?;
        w.options(sync_opts(A), |o| o.encoding = encoding)?;
        let script = script![call(ErrorContextNew(OptsId::from_index(4)), &[G0, G1], 0)];
        let f = w.lift(Func::Async, async_opts(A), script)?;
        w.bytes(A)[332] = 0xff;
        w.bytes(A)[32..32 + data.len()].copy_from_slice(data);
        w.set_global(0, pointer);
        w.set_global(1, units);
        assert_eq!(w.call(f, 0), Err(trap.into()));
        w.done()?;
    }
    Ok(())
}

fn error_context_new_without_room_for_the_context_capacity<P: Profile>() -> Result<(), Error> {
    let w = one::<P>(
        script![NEW_1, NEW_1, NEW_1, run(DROP, &[k(1)]), run(DROP, &[k(2)]), run(DROP, &[k(3)]), RETURN],
        TEXT,
    )?;
    w.done()
}

pub(super) const fn kind(index: u32, found: HandleKind) -> Trap {
    Trap::HandleKind { index, expected: HandleKind::ErrorContext, found }
}
pub(super) const SET: Op = run(WaitableSetNew, &[]);

// trap_if(not isinstance(errctx, ErrorContext))
fn error_context_debug_message_bad_handle_traps<P: Profile>() -> Result<(), Error> {
    super::one_traps::<P>(script![run(MESSAGE, &[k(1), k(64)])], Trap::UnknownHandle(1))?;
    super::one_traps::<P>(script![SET, run(MESSAGE, &[k(0), k(64)])], Trap::UnknownHandle(0))?;
    super::one_traps::<P>(script![SET, run(MESSAGE, &[k(1), k(64)])], kind(1, HandleKind::WaitableSet))?;
    // Before the pointer is looked at.
    super::one_traps::<P>(script![run(MESSAGE, &[k(1), k(1)])], Trap::UnknownHandle(1))
}

fn error_context_debug_message_bad_pointer_traps_before_realloc<P: Profile>() -> Result<(), Error> {
    for (pointer, trap) in [
        (66, Trap::Unaligned),
        (508, Trap::OutOfBounds),
        (512, Trap::OutOfBounds),
        (0xffff_fffc, Trap::OutOfBounds),
    ] {
        let mut w = World::<P>::new(&[None])?;
        let realloc = w.func(A, script![Op::Mark(1), Op::Ret(k(256))]);
        w.options(sync_opts(A), |o| o.realloc = Some(realloc))?;
        let message = script![
            NEW_1,
            run(ErrorContextDebugMessage(OptsId::from_index(4)), &[R0, G0]),
            run(DROP, &[R0]),
            RETURN
        ];
        let f = w.lift(Func::Async, async_opts(A), message)?;
        w.set_global(0, pointer);
        assert_eq!(w.call(f, 0), Err(trap.into()));
        assert!(w.marks().is_empty());
        w.done()?;
    }
    Ok(())
}

fn error_context_debug_message_realloc_out_of_bounds_traps<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let realloc = w.func(A, script![Op::Ret(k(510))]);
    w.options(sync_opts(A), |o| o.realloc = Some(realloc))?;
    let script = script![NEW_1, run(ErrorContextDebugMessage(OptsId::from_index(4)), &[R0, k(64)])];
    let f = w.lift(Func::Async, async_opts(A), script)?;
    assert_eq!(w.call(f, 0), Err(Trap::StringReallocOutOfBounds.into()));
    assert_eq!(w.bytes(A)[64..72], [0; 8]);
    w.done()
}

// canon_error_context_drop
fn error_context_drop_bad_handle_traps<P: Profile>() -> Result<(), Error> {
    super::one_traps::<P>(script![run(DROP, &[k(1)])], Trap::UnknownHandle(1))?;
    super::one_traps::<P>(script![run(DROP, &[k(0xffff_ffff)])], Trap::UnknownHandle(0xffff_ffff))?;
    super::one_traps::<P>(script![SET, run(DROP, &[k(1)])], kind(1, HandleKind::WaitableSet))?;
    super::one_traps::<P>(
        script![run(FutureNew(FUTURE), &[]), run(DROP, &[k(2)])],
        kind(2, HandleKind::FutureWrite),
    )?;
    super::one_traps::<P>(
        script![run(ResourceNew(RESOURCE), &[k(7)]), run(DROP, &[k(1)])],
        kind(1, HandleKind::Resource),
    )
}

fn error_context_drop_then_use_again_traps<P: Profile>() -> Result<(), Error> {
    super::one_traps::<P>(script![NEW_1, run(DROP, &[R0]), run(DROP, &[R0])], Trap::UnknownHandle(1))?;
    super::one_traps::<P>(
        script![NEW_1, run(DROP, &[R0]), run(MESSAGE, &[R0, k(64)])],
        Trap::UnknownHandle(1),
    )
}

fn error_context_drop_index_used_again<P: Profile>() -> Result<(), Error> {
    let w = one::<P>(
        script![NEW_1, SET, run(DROP, &[R0]), NEW_1, Op::Eq(R0, k(1)), run(DROP, &[R0]), DROP_SET_2, RETURN],
        TEXT,
    )?;
    w.done()
}
const DROP_SET_2: Op = run(WaitableSetDrop, &[k(2)]);

// trap_if(not inst.may_leave)
fn error_context_in_realloc_cannot_leave<P: Profile>() -> Result<(), Error> {
    for script in [
        script![run(NEW, &[k(32), k(3)])],
        script![run(MESSAGE, &[k(1), k(64)])],
        // Not even the context whose message is on its way can go.
        script![run(DROP, &[k(1)])],
    ] {
        let mut w = World::<P>::new(&[None])?;
        let realloc = w.func(A, script);
        w.options(sync_opts(A), |o| o.realloc = Some(realloc))?;
        let script = script![NEW_1, run(ErrorContextDebugMessage(OptsId::from_index(4)), &[R0, k(64)])];
        let f = w.lift(Func::Async, async_opts(A), script)?;
        assert_eq!(w.call(f, 0), Err(Trap::CannotLeave.into()));
        w.done()?;
    }
    Ok(())
}

fn error_context_as_other_handle_traps<P: Profile>() -> Result<(), Error> {
    let found = HandleKind::ErrorContext;
    for (script, expected) in [
        (script![NEW_1, run(WaitableSetDrop, &[R0])], HandleKind::WaitableSet),
        (script![NEW_1, run(WaitableJoin, &[R0, k(0)])], HandleKind::Waitable),
        (script![NEW_1, run(SubtaskDrop, &[R0])], HandleKind::Subtask),
        (script![NEW_1, run(StreamDropReadable(STREAM), &[R0])], HandleKind::StreamRead),
        (script![NEW_1, run(ResourceDrop(RESOURCE), &[R0])], HandleKind::Resource),
    ] {
        super::one_traps::<P>(script, Trap::HandleKind { index: 1, expected, found })?;
    }
    Ok(())
}
