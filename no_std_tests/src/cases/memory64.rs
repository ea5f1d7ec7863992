//! 🐘 Memories with 64-bit addresses: pointers, lengths and layouts of one width become those of the other, and what is past
//! the end of any memory is a trap.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::Trap;
use canon_async::abi::types::{FuncType, NewType, ValType};
use canon_async::canon::Builtin;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::{LiftId, OptsId, TypeId};
use canon_async::spec::PtrType;
use canon_async::state::{Lift, StringEncoding};
use canon_async::storage::Profile;

cases! {
    lower_list_of_strings_between_widths_is_laid_out_anew needs Types,
    lower_spilled_record_between_widths_goes_and_comes_back needs Types,
    lower_strings_of_all_encodings_between_widths_keep_their_text,
    lower_result_of_wide_lift_is_read_by_its_pointer,
    lower_wide_pointers_past_the_end_trap,
    lower_wide_string_too_long_traps,
    lower_wide_list_too_long_traps needs Types,
    lower_narrow_pointer_in_a_wide_slot_is_wrapped needs Types,
    lower_wide_return_pointer_traps_only_in_the_callers_width,
    realloc_wide_unaligned_traps,
    realloc_wide_past_the_end_traps,
    realloc_narrow_upper_half_is_ignored,
    task_return_wide_spilled_pointer_past_the_end_traps,
    stream_of_strings_between_widths_advances_each_side_by_its_own_size needs Types,
}

const I32: PtrType = PtrType::I32;
pub(super) const I64: PtrType = PtrType::I64;
/// The addresses of each instance's memory.
type Addresses = fn(u32) -> PtrType;
/// The pairs of widths: A's and B's.
const PAIRS: [(Addresses, PtrType, PtrType); 4] = [
    (|_| I32, I32, I32),
    (|instance| if instance == A { I64 } else { I32 }, I64, I32),
    (|instance| if instance == B { I64 } else { I32 }, I32, I64),
    (|_| I64, I64, I64),
];
/// Where no memory is, from the first byte past the test's memory to the last address that there is.
pub(super) const NOWHERE: [u64; 6] = [512, 1 << 31, 1 << 32, (1 << 32) + 8, 1 << 63, u64::MAX - 7];

/// The first type that is not one of every world.
const FIRST: u32 = 25;

/// A type that a case defines, by its number among them.
const fn new_type(number: u32) -> Option<ValType> {
    Some(ValType::Defined(TypeId::from_index(FIRST + number)))
}

fn worlds<P: Profile>() -> impl Iterator<Item = Result<(World<P>, PtrType, PtrType), Error>> {
    PAIRS.into_iter().map(|(addresses, a, b)| {
        let world = World::<P>::with_addresses(&[None, None], addresses)?;
        Ok((world, a, b))
    })
}

/// A guest A, and a guest B, with 64-bit addresses both.
pub(super) fn wide<P: Profile>() -> Result<World<P>, Error> {
    World::with_addresses(&[None, None], |instance| if instance == HOST { I32 } else { I64 })
}

/// A function of the types that a case defines.
pub(super) fn lift_as<P: Profile>(
    w: &mut World<P>,
    (params, result, is_async): (&[ValType], Option<ValType>, bool),
    options: OptsId,
    script: Script,
) -> Result<LiftId, Error> {
    let mut fields = [None; 4];
    fields.iter_mut().zip(params).for_each(|(to, from)| *to = Some(*from));
    let params = w.store.types_mut().intern(NewType::Record(&fields[..params.len()]), 0)?;
    let ty = w.store.types_mut().intern_func(FuncType { params, result, is_async })?;
    let func = w.func(w.store.options(options)?.instance.as_u32(), script);
    w.store.add_lift(Lift { func, ty, options })
}

pub(super) fn intern<P: Profile>(w: &mut World<P>, new: NewType<'_>) -> Result<ValType, Error> {
    Ok(ValType::Defined(w.store.types_mut().intern(new, 0)?))
}

/// Pointers one after the other.
fn put<P: Profile>(w: &mut World<P>, instance: u32, at: usize, ptr: PtrType, values: &[u64]) {
    let size = ptr.size() as usize;
    for (to, value) in w.bytes(instance)[at..].chunks_mut(size).zip(values) {
        to.copy_from_slice(&value.to_le_bytes()[..size]);
    }
}

pub(super) fn got<P: Profile>(w: &mut World<P>, instance: u32, at: usize, ptr: PtrType) -> u64 {
    let mut bytes = [0; 8];
    let size = ptr.size() as usize;
    bytes[..size].copy_from_slice(&w.bytes(instance)[at..][..size]);
    u64::from_le_bytes(bytes)
}

pub(super) fn text<P: Profile>(w: &mut World<P>, instance: u32, at: usize, text: &[u8]) {
    w.bytes(instance)[at..][..text.len()].copy_from_slice(text);
}

pub(super) const RETURN: Op = run(task_return(A), &[]);
pub(super) const RETURN_B: Op = run(task_return(B), &[]);

// load_list, store_list, load_string, store_string
fn lower_list_of_strings_between_widths_is_laid_out_anew<P: Profile>() -> Result<(), Error> {
    for world in worlds::<P>() {
        let (mut w, a, b) = world?;
        let list = intern(&mut w, NewType::List(ValType::String))?;
        let callee = script![Op::SetG(0, R0), Op::SetG(1, R1), RETURN_B];
        let callee = lift_as(&mut w, (&[list], None, true), async_opts(B), callee)?;
        w.lower(callee, async_opts(A))?;
        text(&mut w, A, 32, b"hi!");
        put(&mut w, A, 40, a, &[32, 2, 34, 1]);
        let main = w.lift(Func::Async, async_opts(A), script![run(low(0), &[k(40), k(2)]), RETURN])?;
        w.call(main, 0)?;
        assert_eq!((w.global(0), w.global(1)), (HEAP.into(), 2));
        let end = HEAP as usize + 4 * b.size() as usize;
        for (index, (at, len)) in [(end, 2), (end + 2, 1)].into_iter().enumerate() {
            let place = HEAP as usize + 2 * index * b.size() as usize;
            assert_eq!(got(&mut w, B, place, b), at as u64);
            assert_eq!(got(&mut w, B, place + b.size() as usize, b), len);
        }
        assert_eq!(w.bytes(B)[end..][..3], *b"hi!");
        w.done()?;
    }
    Ok(())
}

// lift_flat_values and lower_flat_values past the limits, load_record, load_variant, and their other halves
fn lower_spilled_record_between_widths_goes_and_comes_back<P: Profile>() -> Result<(), Error> {
    for world in worlds::<P>() {
        let (mut w, a, b) = world?;
        let list = intern(&mut w, NewType::List(ValType::U16))?;
        let option = intern(&mut w, NewType::Variant(&[None, Some(list)]))?;
        let fields = [Some(ValType::U8), Some(ValType::String), Some(option)];
        let record = intern(&mut w, NewType::Record(&fields))?;
        const BACK: Builtin = TaskReturn { result: new_type(2), options: sync_opts(B) };
        assert_eq!(new_type(2), Some(record));
        let callee = script![run(BACK, &[R0, R1, R2, R3, R4, R5])];
        let callee = lift_as(&mut w, (&[record], Some(record), true), async_opts(B), callee)?;
        w.lower(callee, async_opts(A))?;
        let size = a.size() as usize;
        // The record, at 64: the byte, the string, the discriminant, the list.
        w.bytes(A)[64] = 7;
        put(&mut w, A, 64 + size, a, &[32, 3]);
        w.bytes(A)[64 + 3 * size] = 1;
        put(&mut w, A, 64 + 4 * size, a, &[36, 2]);
        text(&mut w, A, 32, b"abc\0\x01\x02\x03\x04");
        let main = script![call(low(0), &[k(64), k(160)], 0), Op::Eq(R0, k(2)), RETURN];
        let main = w.lift(Func::Async, async_opts(A), main)?;
        w.call(main, 0)?;
        assert_eq!(w.bytes(A)[160], 7, "{a:?} {b:?}");
        let string = got(&mut w, A, 160 + size, a) as usize;
        assert_eq!(got(&mut w, A, 160 + 2 * size, a), 3);
        assert_eq!(w.bytes(A)[160 + 3 * size], 1);
        let list = got(&mut w, A, 160 + 4 * size, a) as usize;
        assert_eq!(got(&mut w, A, 160 + 5 * size, a), 2);
        assert!(string >= HEAP as usize && list > string);
        assert_eq!(w.bytes(A)[string..][..3], *b"abc");
        assert_eq!(w.bytes(A)[list..][..4], [1, 2, 3, 4]);
        w.done()?;
    }
    Ok(())
}

/// "aé" in each encoding, and its code units.
const LATIN: [(StringEncoding, &[u8], u64); 3] = [
    (StringEncoding::Utf8, b"a\xc3\xa9", 3),
    (StringEncoding::Utf16, b"a\0\xe9\0", 2),
    (StringEncoding::Latin1Utf16, b"a\xe9", 2),
];
/// "aл", likewise; the last is tagged.
const CYRILLIC: [(StringEncoding, &[u8], u64); 3] = [
    (StringEncoding::Utf8, b"a\xd0\xbb", 3),
    (StringEncoding::Utf16, b"a\0\x3b\x04", 2),
    (StringEncoding::Latin1Utf16, b"a\0\x3b\x04", 2),
];

// load_string_from_range, store_string_into_range, utf16_tag
fn lower_strings_of_all_encodings_between_widths_keep_their_text<P: Profile>() -> Result<(), Error> {
    for (strings, tagged) in [(LATIN, false), (CYRILLIC, true)] {
        for ((from, bytes, units), (to, expected, expected_units)) in
            strings.into_iter().flat_map(|from| strings.into_iter().map(move |to| (from, to)))
        {
            for world in worlds::<P>() {
                let (mut w, a, b) = world?;
                let tag = |encoding, ptr: PtrType| {
                    if tagged && encoding == StringEncoding::Latin1Utf16 { ptr.utf16_tag() } else { 0 }
                };
                let callee = w.options(async_opts(B), |o| o.encoding = to)?;
                let caller = w.options(async_opts(A), |o| o.encoding = from)?;
                let take = script![
                    Op::SetG(0, R0),
                    Op::SetG(1, R1),
                    // The options of the lift, which are the ones after the worlds' own.
                    run(TaskReturn { result: None, options: OptsId::from_index(6) }, &[]),
                ];
                let take = w.lift(Func::AsyncString, callee, take)?;
                w.lower(take, caller)?;
                text(&mut w, A, 32, bytes);
                w.set_global(2, units | tag(from, a));
                let main = w.lift(Func::Async, async_opts(A), script![run(low(0), &[k(32), G2]), RETURN])?;
                w.call(main, 0)?;
                assert_eq!(w.global(1), expected_units | tag(to, b), "{from:?} {a:?} to {to:?} {b:?}");
                let at = w.global(0) as usize;
                assert_eq!(w.bytes(B)[at..][..expected.len()], *expected);
                w.done()?;
            }
        }
    }
    Ok(())
}

// lift_flat_values with MAX_FLAT_RESULTS, lower_flat_values with an out-parameter
fn lower_result_of_wide_lift_is_read_by_its_pointer<P: Profile>() -> Result<(), Error> {
    for world in worlds::<P>() {
        let (mut w, a, b) = world?;
        let ty = (&[][..], Some(ValType::String), false);
        let callee = lift_as(&mut w, ty, sync_opts(B), script![Op::Ret(k(64))])?;
        w.lower(callee, sync_opts(A))?;
        text(&mut w, B, 32, b"far");
        put(&mut w, B, 64, b, &[32, 3]);
        let main = w.lift(Func::Sync, sync_opts(A), script![run(low(0), &[k(128)])])?;
        w.call(main, 0)?;
        assert_eq!((got(&mut w, A, 128, a), got(&mut w, A, 128 + a.size() as usize, a)), (HEAP.into(), 3));
        assert_eq!(w.bytes(A)[HEAP as usize..][..3], *b"far");
        w.done()?;
    }
    Ok(())
}

/// Guest A lowers a function that takes a string, with a pointer in G0 and a length in G1: how that ends.
fn pass_string<P: Profile>(pointer: u64, units: u64) -> Result<Option<Error>, Error> {
    let mut w = wide::<P>()?;
    let take = w.lift(Func::AsyncString, async_opts(B), script![RETURN_B])?;
    w.lower(take, async_opts(A))?;
    w.set_global(0, pointer);
    w.set_global(1, units);
    let main = w.lift(Func::Async, async_opts(A), script![run(low(0), &[G0, G1]), RETURN])?;
    let error = w.call(main, 0).err();
    w.done().map(|()| error)
}

fn lower_wide_pointers_past_the_end_trap<P: Profile>() -> Result<(), Error> {
    assert_eq!(pass_string::<P>(512, 0)?, None);
    for nowhere in NOWHERE {
        assert_eq!(pass_string::<P>(nowhere, 8)?, Some(Trap::StringOutOfBounds.into()), "{nowhere:#x}");
    }
    for (pointer, units) in [(u64::MAX, 0), (u64::MAX, 1), (1 << 32, 0), (513, 0), (505, 8)] {
        assert_eq!(pass_string::<P>(pointer, units)?, Some(Trap::StringOutOfBounds.into()), "{pointer:#x}");
    }
    Ok(())
}

// trap_if(byte_length > MAX_STRING_BYTE_LENGTH)
fn lower_wide_string_too_long_traps<P: Profile>() -> Result<(), Error> {
    assert_eq!(pass_string::<P>(0, (1 << 28) - 1)?, Some(Trap::StringOutOfBounds.into()));
    for units in [1 << 28, 1 << 32, (1 << 32) + 1, 1 << 63, u64::MAX] {
        assert_eq!(pass_string::<P>(u64::MAX, units)?, Some(Trap::StringTooLong.into()), "{units:#x}");
    }
    Ok(())
}

// trap_if(length * elem_size > MAX_LIST_BYTE_LENGTH), trap_if(ptr != align_to(..)), trap_if(ptr + .. > len(memory))
fn lower_wide_list_too_long_traps<P: Profile>() -> Result<(), Error> {
    let long = Trap::ListTooLong;
    for (pointer, count, trap) in [
        (u64::MAX, 1 << 61, long),
        (u64::MAX, (1 << 61) + 1, long),
        (0, 1 << 32, long),
        (0, 1 << 25, long),
        (0, u64::MAX, long),
        (0, (1 << 25) - 1, Trap::ListOutOfBounds),
        (4, 1, Trap::Unaligned),
        (u64::MAX, 0, Trap::Unaligned),
        ((1 << 32) + 4, 0, Trap::Unaligned),
        (u64::MAX - 7, 1, Trap::ListOutOfBounds),
        (1 << 32, 0, Trap::ListOutOfBounds),
    ] {
        let mut w = wide::<P>()?;
        let list = intern(&mut w, NewType::List(ValType::U64))?;
        let take = lift_as(&mut w, (&[list], None, true), async_opts(B), script![RETURN_B])?;
        w.lower(take, async_opts(A))?;
        w.set_global(0, pointer);
        w.set_global(1, count);
        let main = w.lift(Func::Async, async_opts(A), script![run(low(0), &[G0, G1]), RETURN])?;
        assert_eq!(w.call(main, 0).err(), Some(trap.into()), "{pointer:#x} {count:#x}");
        w.done()?;
    }
    Ok(())
}

// lift_flat_variant: wrap_i64_to_i32 of a joined slot
fn lower_narrow_pointer_in_a_wide_slot_is_wrapped<P: Profile>() -> Result<(), Error> {
    for world in worlds::<P>() {
        let (mut w, a, _) = world?;
        let either = intern(&mut w, NewType::Variant(&[Some(ValType::U64), Some(ValType::String)]))?;
        let callee = script![Op::Eq(R0, k(1)), Op::SetG(0, R1), Op::SetG(1, R2), RETURN_B];
        let callee = lift_as(&mut w, (&[either], None, true), async_opts(B), callee)?;
        w.lower(callee, async_opts(A))?;
        text(&mut w, A, 32, b"hi");
        // The second slot is the string's pointer or the number: an i64, of which a narrow pointer is the low half.
        w.set_global(2, 32 | 0xdead << 32);
        let main = w.lift(Func::Async, async_opts(A), script![run(low(0), &[k(1), G2, k(2)]), RETURN])?;
        let error = w.call(main, 0).err();
        if a == I64 {
            assert_eq!(error, Some(Trap::StringOutOfBounds.into()));
        } else {
            assert_eq!((error, w.global(0), w.global(1)), (None, HEAP.into(), 2));
        }
        w.done()?;
    }
    Ok(())
}

// lower_flat_values: trap_if(ptr + elem_size(..) > len(memory)) of the caller's out-parameter
fn lower_wide_return_pointer_traps_only_in_the_callers_width<P: Profile>() -> Result<(), Error> {
    for (pointer, narrow, wide) in [
        (504, None, Some(Trap::OutOfBounds)),
        (496, None, None),
        (500, None, Some(Trap::Unaligned)),
        ((1 << 32) | 496, None, Some(Trap::OutOfBounds)),
        (u64::MAX - 15, Some(Trap::OutOfBounds), Some(Trap::OutOfBounds)),
    ] {
        for world in worlds::<P>() {
            let (mut w, a, b) = world?;
            let ty = (&[][..], Some(ValType::String), false);
            let callee = lift_as(&mut w, ty, sync_opts(B), script![Op::Ret(k(64))])?;
            w.lower(callee, sync_opts(A))?;
            put(&mut w, B, 64, b, &[32, 0]);
            w.set_global(0, pointer);
            let main = w.lift(Func::Sync, sync_opts(A), script![run(low(0), &[G0])])?;
            let expected = if a == I64 { wide } else { narrow };
            assert_eq!(w.call(main, 0).err(), expected.map(Error::from), "{pointer:#x} {a:?}");
            w.done()?;
        }
    }
    Ok(())
}

/// What the `realloc` of B answers where A passes it a string of so many bytes, in UTF-16.
fn realloc<P: Profile>(addresses: Addresses, answer: u64, length: u64) -> Result<Option<Error>, Error> {
    let mut w = World::<P>::with_addresses(&[None, None], addresses)?;
    w.set_global(0, answer);
    w.set_global(1, length);
    let function = w.func(B, script![Op::Eq(R0, k(0)), Op::Eq(R1, k(0)), Op::Eq(R2, k(2)), Op::Ret(G0)]);
    let options = w.options(async_opts(B), |o| {
        o.realloc = Some(function);
        o.encoding = StringEncoding::Utf16;
    })?;
    let take =
        script![Op::SetG(2, R0), run(TaskReturn { result: None, options: OptsId::from_index(6) }, &[]),];
    let take = w.lift(Func::AsyncString, options, take)?;
    let caller = w.options(async_opts(A), |o| o.encoding = StringEncoding::Utf16)?;
    w.lower(take, caller)?;
    let main = w.lift(Func::Async, async_opts(A), script![run(low(0), &[k(0), G1]), RETURN])?;
    let error = w.call(main, 0).err();
    w.done().map(|()| error)
}

// store_string_copy: trap_if(ptr != align_to(ptr, dst_alignment))
fn realloc_wide_unaligned_traps<P: Profile>() -> Result<(), Error> {
    for answer in [1, 257, (1 << 32) + 1, u64::MAX] {
        let error = realloc::<P>(|_| I64, answer, 1)?;
        assert_eq!(error, Some(Trap::ReallocUnaligned.into()), "{answer:#x}");
    }
    Ok(())
}

// trap_if(ptr + dst_byte_length > len(memory))
fn realloc_wide_past_the_end_traps<P: Profile>() -> Result<(), Error> {
    assert_eq!(realloc::<P>(|_| I64, 510, 1)?, None);
    for nowhere in NOWHERE.into_iter().chain([u64::MAX - 1]) {
        let error = realloc::<P>(|_| I64, nowhere, 1)?;
        assert_eq!(error, Some(Trap::StringReallocOutOfBounds.into()), "{nowhere:#x}");
    }
    // Also where there is nothing to write.
    assert_eq!(realloc::<P>(|_| I64, 512, 0)?, None);
    assert_eq!(realloc::<P>(|_| I64, 1 << 32, 0)?, Some(Trap::StringReallocOutOfBounds.into()));
    Ok(())
}

fn realloc_narrow_upper_half_is_ignored<P: Profile>() -> Result<(), Error> {
    // An engine that leaves something above an i32 does no harm.
    assert_eq!(realloc::<P>(|_| I32, (1 << 32) | 256, 1)?, None);
    assert_eq!(realloc::<P>(|_| I32, 512, 1)?, Some(Trap::StringReallocOutOfBounds.into()));
    Ok(())
}

// canon_task_return: lift_flat_values(cx, MAX_FLAT_PARAMS, ..)
fn task_return_wide_spilled_pointer_past_the_end_traps<P: Profile>() -> Result<(), Error> {
    for nowhere in [496, 512, 1 << 32, (1 << 32) + 8, u64::MAX - 7] {
        let mut w = wide::<P>()?;
        let many = intern(&mut w, NewType::FixedList(ValType::U8, 17))?;
        const BACK: Builtin = TaskReturn { result: new_type(0), options: sync_opts(B) };
        assert_eq!(new_type(0), Some(many));
        let callee = lift_as(&mut w, (&[], Some(many), true), async_opts(B), script![run(BACK, &[G0])])?;
        w.lower(callee, async_opts(A))?;
        w.set_global(0, nowhere);
        let main = w.lift(Func::Async, async_opts(A), script![run(low(0), &[k(64)]), RETURN])?;
        assert_eq!(w.call(main, 0).err(), Some(Trap::OutOfBounds.into()), "{nowhere:#x}");
        w.done()?;
    }
    Ok(())
}

// BufferGuestImpl: `ptr += n * elem_size(t, ptr_type)`, of each buffer its own
fn stream_of_strings_between_widths_advances_each_side_by_its_own_size<P: Profile>() -> Result<(), Error> {
    const STRINGS: TypeId = TypeId::from_index(FIRST);
    for world in worlds::<P>() {
        let (mut w, a, b) = world?;
        let stream = intern(&mut w, NewType::Stream(Some(ValType::String)))?;
        assert_eq!(stream, ValType::Defined(STRINGS));
        // A read that two writes fill, and two reads that one write feeds.
        let read = script![
            RETURN_B,
            call(StreamRead(STRINGS, sync_opts(B)), &[R0, k(64), k(3)], 1),
            Op::Eq(R1, k(3 << 4)),
            call(StreamRead(STRINGS, sync_opts(B)), &[R0, k(128), k(1)], 1),
            Op::Eq(R1, k(1 << 4)),
            call(StreamRead(STRINGS, sync_opts(B)), &[R0, k(160), k(5)], 1),
            Op::Eq(R1, k(2 << 4)),
            run(StreamDropReadable(STRINGS), &[R0]),
        ];
        let read = lift_as(&mut w, (&[stream], None, true), async_opts(B), read)?;
        w.lower(read, async_opts(A))?;
        text(&mut w, A, 32, b"abcdef");
        put(&mut w, A, 64, a, &[32, 1, 33, 2, 35, 3]);
        w.set_global(0, 64 + 2 * u64::from(a.size()));
        let write = script![
            call(StreamNew(STRINGS), &[], 0),
            Op::Set(1, R0),
            Op::And(0, 0xffff_ffff),
            Op::Shr(1, 32),
            run(low(0), &[R0]),
            call(StreamWrite(STRINGS, sync_opts(A)), &[R1, k(64), k(1)], 2),
            Op::Eq(R2, k(1 << 4)),
            call(StreamWrite(STRINGS, sync_opts(A)), &[R1, G0, k(2)], 2),
            Op::Eq(R2, k(2 << 4)),
            call(StreamWrite(STRINGS, sync_opts(A)), &[R1, k(64), k(3)], 2),
            // The reader is gone by now: DROPPED.
            Op::Eq(R2, k(1 | 3 << 4)),
            run(StreamDropWritable(STRINGS), &[R1]),
            RETURN,
        ];
        let write = w.lift(Func::Async, async_opts(A), write)?;
        let task = w.call(write, 0)?;
        w.run_until(task)?;
        w.ticks()?;
        let size = 2 * b.size() as usize;
        for (at, expected) in [
            (64, &b"a"[..]),
            (64 + size, b"bc"),
            (64 + 2 * size, b"def"),
            (128, b"a"),
            (160, b"bc"),
            (160 + size, b"def"),
        ] {
            let string = got(&mut w, B, at, b) as usize;
            assert_eq!(got(&mut w, B, at + b.size() as usize, b), expected.len() as u64, "{a:?} {b:?}");
            assert_eq!(w.bytes(B)[string..][..expected.len()], *expected);
        }
        w.done()?;
    }
    Ok(())
}
