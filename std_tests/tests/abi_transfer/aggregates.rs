//! Records, variants, lists of fixed length.

use super::trap;
use canon_async::abi::types::{NewType, ValType};
use canon_async::abi::{Dest, Source, transfer_elements};
use canon_async::{Error, Trap};
use std_tests::memories::{FILL, Memories};

#[test]
fn records_skip_their_padding() {
    let mut e = Memories::plain();
    let inner = e.record(&[ValType::U8, ValType::U16]);
    let ty = e.record(&[ValType::U8, ValType::U64, inner, ValType::Bool]);
    let mut flat = [9; 6];
    let bytes: [u8; 24] = [1, 99, 99, 99, 99, 99, 99, 99, 2, 0, 0, 0, 0, 0, 0, 3, 4, 99, 5, 6, 7, 99, 99, 99];
    let mut expected = bytes;
    expected.iter_mut().for_each(|b| *b = if *b == 99 { FILL } else { *b });
    expected[20] = 1;
    assert_eq!(e.bytes(bytes, ty), Ok(expected));
    e.go(Source::Memory(8), Dest::Flat(&mut flat), ty).unwrap();
    assert_eq!(flat, [1, 0x0300_0000_0000_0002, 4, 0x605, 1, 9]);
    e.memories[1].fill(FILL);
    e.go(Source::Flat(&flat), Dest::Memory(16), ty).unwrap();
    assert_eq!(e.got(16, 24), expected);
}

#[test]
fn plain_records_move_as_bytes_at_any_length() {
    let mut e = Memories::plain();
    let pair = e.record(&[ValType::U32, ValType::F32]);
    for count in [0, 1, 2, 127, 128, 129, 300] {
        let bytes: Vec<u8> = (0..count * 8).map(|i| (i * 7) as u8).collect();
        e.put(8, &bytes);
        e.memories[1].fill(FILL);
        let [from, to] = e.contexts;
        transfer_elements(&mut e, &from, 8, &to, 16, pair, count).unwrap();
        assert_eq!(e.got(16, bytes.len()), bytes);
        assert_eq!(e.memories[1][16 + bytes.len()], FILL);
    }
}

#[test]
fn elements_that_are_no_bytes_all_move_and_leave_their_padding() {
    let mut e = Memories::plain();
    // A boolean is normalised, and a record that ends in padding is not copied as bytes.
    let padded = e.record(&[ValType::U32, ValType::U8]);
    let bytes: Vec<u8> = (1..=24).collect();
    for (ty, expected) in [
        (ValType::Bool, [1, 1, 1, FILL, FILL, FILL, FILL, FILL]),
        (padded, [1, 2, 3, 4, 5, FILL, FILL, FILL]),
    ] {
        e.put(8, &bytes);
        e.memories[1].fill(FILL);
        let [from, to] = e.contexts;
        transfer_elements(&mut e, &from, 8, &to, 16, ty, 3).unwrap();
        assert_eq!(e.got(16, 8), expected);
        if ty == padded {
            assert_eq!(e.got(32, 8), [17, 18, 19, 20, 21, FILL, FILL, FILL]);
        }
    }
}

#[test]
fn variants_use_one_slot_and_the_largest_payload() {
    let mut e = Memories::plain();
    let pair = e.record(&[ValType::S16, ValType::F32]);
    let ty = e.intern(NewType::Variant(&[None, Some(ValType::F32), Some(ValType::U64), Some(pair)]));
    assert_eq!(e.flat(&[0, 1, 2, 77], ty), Ok([0, 0, 0, 0xdead]));
    // What the joined slots have above the case's own bits does not get through.
    assert_eq!(e.flat(&[1, 0xffff_0000_3f80_0000, 2], ty), Ok([1, 0x3f80_0000, 0]));
    assert_eq!(e.flat(&[2, u64::MAX, 2], ty), Ok([2, u64::MAX, 0]));
    assert_eq!(e.flat(&[3, 0xffff_ffff_0000_8000, 0x3f80_0000], ty), Ok([3, 0xffff_8000, 0x3f80_0000]));
    assert_eq!(e.flat(&[1 << 32, 0, 0], ty), Ok([0, 0, 0]));
    // The next type's fields lie behind the cases.
    e.record(&[ValType::U8; 4]);
    for bad in [4, 0xffff_ffff] {
        let invalid = Trap::InvalidDiscriminant { found: bad, cases: 4 };
        assert_eq!(e.flat::<3>(&[bad.into(), 0, 0], ty), trap(invalid));
    }
    // In memory the payload is 8 bytes in.
    let mut bytes = [7; 16];
    bytes[0] = 3;
    let mut expected = [FILL; 16];
    expected[0] = 3;
    expected[8..10].fill(7);
    expected[12..16].fill(7);
    assert_eq!(e.bytes(bytes, ty), Ok(expected));
    bytes[0] = 4;
    assert_eq!(e.bytes(bytes, ty), trap(Trap::InvalidDiscriminant { found: 4, cases: 4 }));
    bytes[0] = 0;
    expected = [FILL; 16];
    expected[0] = 0;
    assert_eq!(e.bytes(bytes, ty), Ok(expected));
}

#[test]
fn wide_discriminants() {
    let mut e = Memories::plain();
    let mut cases = vec![None; 257];
    cases[256] = Some(ValType::U8);
    let ty = e.intern(NewType::Variant(&cases));
    assert_eq!(e.bytes([0, 1, 9, 0], ty), Ok([0, 1, 9, FILL]));
    assert_eq!(e.bytes([1, 1, 9, 0], ty), trap(Trap::InvalidDiscriminant { found: 257, cases: 257 }));
    assert_eq!(e.flat(&[256, 300], ty), Ok([256, 44]));
}

#[test]
fn nested_variants_clear_every_unused_slot() {
    let mut e = Memories::plain();
    let inner = e.intern(NewType::Variant(&[Some(ValType::U32), Some(ValType::String)]));
    let ty = e.intern(NewType::Variant(&[Some(inner), None]));
    let ty = e.record(&[ty, ValType::U8]);
    assert_eq!(e.flat(&[0, 0, 5, 99, 6], ty), Ok([0, 0, 5, 0, 6]));
    assert_eq!(e.flat(&[1, 8, 8, 8, 6], ty), Ok([1, 0, 0, 0, 6]));
}

#[test]
fn fixed_length_lists_lie_in_place() {
    let mut e = Memories::plain();
    let ty = e.intern(NewType::FixedList(ValType::Bool, 3));
    assert_eq!(e.flat(&[2, 0, 1], ty), Ok([1, 0, 1]));
    assert_eq!(e.bytes([2, 0, 1, 5], ty), Ok([1, 0, 1, FILL]));
    let plain = e.intern(NewType::FixedList(ValType::U16, 2));
    let ty = e.record(&[ValType::U8, plain]);
    assert_eq!(e.bytes([1, 99, 2, 3, 4, 5], ty), Ok([1, FILL, 2, 3, 4, 5]));
    let mut flat = [0; 3];
    e.go(Source::Memory(8), Dest::Flat(&mut flat), ty).unwrap();
    assert_eq!(flat, [1, 0x302, 0x504]);
    assert!(e.log.is_empty());
}

#[test]
fn too_few_flat_values_are_misuse() {
    let mut e = Memories::plain();
    let ty = e.record(&[ValType::U8, ValType::String]);
    assert!(matches!(e.flat::<3>(&[1, 2], ty), Err(Error::Misuse(_))));
    assert!(matches!(e.flat::<2>(&[1, 64, 0], ty), Err(Error::Misuse(_))));
    let ty = e.intern(NewType::Variant(&[None, Some(ValType::U8)]));
    assert!(matches!(e.flat::<1>(&[0, 0], ty), Err(Error::Misuse(_))));
}

/// Types of every kind that has no handles and no lists, and what they are made of.
fn types(e: &mut Memories) -> Vec<ValType> {
    use ValType::{Bool, Char, F32, F64, S8, S16, S32, S64, U8, U16, U32, U64};
    let mut types = vec![Bool, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, Char];
    types.extend((1..=32).map(|labels| e.intern(NewType::Flags(labels))));
    for ty in types.clone() {
        types.push(e.record(&[U8, ty, U8]));
        types.push(e.intern(NewType::FixedList(ty, 3)));
        types.push(e.intern(NewType::Variant(&[None, Some(ty), Some(U64)])));
        types.push(e.intern(NewType::Variant(&[None, Some(U8), Some(ty)])));
    }
    types
}

#[test]
fn values_of_every_type_are_the_same_by_flat_values_and_by_memory() {
    let mut e = Memories::plain();
    for ty in types(&mut e) {
        // Discriminants of every case, characters, and bits where there is no label.
        for fill in [0u8, 1, 2] {
            let mut bytes: [u8; 32] = std::array::from_fn(|i| if i % 4 == 0 { fill } else { 0 });
            if fill == 1 && !matches!(ty, ValType::Char) {
                bytes[1..].iter_mut().for_each(|b| *b = b.wrapping_sub(2));
            }
            let direct = e.bytes(bytes, ty);
            let mut flat = [0; 17];
            let lifted = e.go(Source::Memory(8), Dest::Flat(&mut flat), ty);
            assert_eq!(lifted, direct.map(drop), "{ty:?} of {bytes:?}");
            let Ok(direct) = direct else { continue };
            let mut again = [0; 17];
            e.go(Source::Flat(&flat), Dest::Flat(&mut again), ty).unwrap();
            assert_eq!(again, flat, "{ty:?} of {bytes:?}");
            e.memories[1].fill(FILL);
            e.go(Source::Flat(&flat), Dest::Memory(16), ty).unwrap();
            assert_eq!(e.got(16, 32), direct, "{ty:?} of {bytes:?}");
        }
    }
}
