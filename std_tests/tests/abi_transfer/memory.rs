//! `realloc`, ranges, and copies from memory to memory.

use super::trap;
use canon_async::abi::types::{NewType, ValType};
use canon_async::abi::{
    Context, Scope, check_range, copy_in_chunks, load_int, reallocate, store_int, transfer_elements,
};
use canon_async::id::{MemoryRef, OptsId};
use canon_async::state::StringEncoding;
use canon_async::{Embedding, Error, Trap};
use std_tests::memories::{FILL, Memories, Realloc};

const A: MemoryRef = MemoryRef::from_index(0);
const B: MemoryRef = MemoryRef::from_index(1);

#[test]
fn what_realloc_answers_is_checked() {
    let mut e = Memories::plain();
    let ty = e.intern(NewType::List(ValType::U32));
    for (answer, count, expected) in [
        (2, 1, Trap::ReallocUnaligned),
        (0xffff_ffff, 0, Trap::ReallocUnaligned),
        (0xffff_fffc, 0, Trap::ReallocOutOfBounds),
        (4096, 1, Trap::ReallocOutOfBounds),
        (4100, 0, Trap::ReallocOutOfBounds),
    ] {
        e.realloc = Realloc::Answer(answer);
        assert_eq!(e.flat::<2>(&[0, count], ty), trap(expected), "{answer} {count}");
        assert_eq!(e.flat::<2>(&[0, 4096 * count], ValType::String).is_err(), answer > 4096 || count == 1);
    }
    for answer in [4096, 4096 | 7 << 32] {
        e.realloc = Realloc::Answer(answer);
        assert_eq!(e.flat(&[0, 0], ty), Ok([4096, 0]));
    }
    e.realloc = Realloc::Trap;
    assert_eq!(e.flat::<2>(&[0, 1], ty), trap(Trap::Engine(7)));
    e.realloc = Realloc::Bump;
    let [_, to] = e.contexts;
    assert_eq!(reallocate(&mut e, &to, 0, 0, 8, 5), Ok(64));
    assert_eq!(reallocate(&mut e, &to, 64, 5, 8, 3), Ok(64));
}

#[test]
fn missing_options_are_misuse() {
    let mut e = Memories::plain();
    let ty = e.intern(NewType::List(ValType::U32));
    e.change(1, |options| options.realloc = None);
    assert!(matches!(e.flat::<2>(&[0, 1], ty), Err(Error::Misuse(_))));
    assert!(matches!(e.flat::<2>(&[0, 0], ValType::String), Err(Error::Misuse(_))));
    e.change(0, |options| options.memory = None);
    assert!(matches!(e.flat::<2>(&[0, 0], ValType::String), Err(Error::Misuse(_))));
    let [from, _] = e.contexts;
    assert!(matches!(check_range(&mut e, &from, 0, 1, 0), Err(Error::Misuse(_))));
    assert!(matches!(load_int(&mut e, &from, 0, 1), Err(Error::Misuse(_))));
    assert!(matches!(store_int(&mut e, &from, 0, 1, 0), Err(Error::Misuse(_))));
    assert!(matches!(transfer_elements(&mut e, &from, 0, &from, 0, ValType::U8, 2), Err(Error::Misuse(_))));
    let unknown = Context { options: OptsId::from_index(77), scope: Scope::None };
    assert!(matches!(reallocate(&mut e, &unknown, 0, 0, 1, 1), Err(Error::Misuse(_))));
}

#[test]
fn ranges() {
    let mut e = Memories::plain();
    let [_, c] = e.contexts;
    assert_eq!(check_range(&mut e, &c, 4096, 8, 0), Ok(()));
    assert_eq!(check_range(&mut e, &c, 4088, 8, 8), Ok(()));
    assert_eq!(check_range(&mut e, &c, 4088, 8, 9), trap(Trap::OutOfBounds));
    assert_eq!(check_range(&mut e, &c, 4104, 8, 0), trap(Trap::OutOfBounds));
    assert_eq!(check_range(&mut e, &c, 4100, 8, 0), trap(Trap::Unaligned));
    assert_eq!(check_range(&mut e, &c, usize::MAX, 1, usize::MAX), trap(Trap::OutOfBounds));
    for bytes in [1u32, 2, 4, 8] {
        let last = 4096 - bytes as usize;
        store_int(&mut e, &c, last, bytes, 0x8877_6655_4433_2211).unwrap();
        let expected = 0x8877_6655_4433_2211u64 & (u64::MAX >> (64 - 8 * bytes));
        assert_eq!(load_int(&mut e, &c, last, bytes), Ok(expected));
        for past in [last + 1, 4096, 5000, u32::MAX as usize, usize::MAX] {
            assert_eq!(load_int(&mut e, &c, past, bytes), trap(Trap::OutOfBounds));
            assert_eq!(store_int(&mut e, &c, past, bytes, 0), trap(Trap::OutOfBounds));
        }
        assert_eq!(load_int(&mut e, &c, last, bytes), Ok(expected));
    }
    assert!(matches!(load_int(&mut e, &c, 0, 3), Err(Error::Misuse(_))));
    assert!(matches!(store_int(&mut e, &c, 0, 0, 0), Err(Error::Misuse(_))));
}

#[test]
fn copies_overlap_safely() {
    let pattern: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (to, from) in [(0, 0), (0, 1), (1, 0), (7, 700), (700, 7), (0, 2000), (2000, 0)] {
        for len in [0, 1, 2, 255, 256, 257, 1023, 1024, 1025, 2048, 2500] {
            let mut e = Memories::new([5000, 5000], [StringEncoding::Utf8; 2]);
            e.memories[0].copy_from_slice(&pattern);
            let mut expected = pattern.clone();
            expected.copy_within(from..from + len, to);
            copy_in_chunks(&mut e, (A, to), (A, from), len).unwrap();
            assert!(e.memories[0] == expected, "{to} {from} {len}");
            let mut expected = vec![FILL; 5000];
            expected[to..to + len].copy_from_slice(&pattern[from..from + len]);
            e.memories[0].copy_from_slice(&pattern);
            e.copy((B, to), (A, from), len).unwrap();
            assert!(e.memories[1] == expected, "{to} {from} {len}");
        }
    }
}

#[test]
fn copies_out_of_bounds_write_nothing() {
    let mut e = Memories::new([3000, 2000], [StringEncoding::Utf8; 2]);
    e.memories[0].fill(1);
    for (to, from, len) in [
        (0, 0, 2001),
        (1, 0, 2000),
        (0, 1500, 1501),
        (2001, 0, 0),
        (0, 3001, 0),
        (usize::MAX, 0, 2),
        (0, 0, usize::MAX),
    ] {
        assert_eq!(copy_in_chunks(&mut e, (B, to), (A, from), len), trap(Trap::OutOfBounds));
        assert!(e.memories[1].iter().all(|b| *b == FILL));
    }
    assert_eq!(copy_in_chunks(&mut e, (B, 2000), (A, 3000), 0), Ok(()));
    assert!(copy_in_chunks(&mut e, (MemoryRef::from_index(9), 0), (A, 0), 0).is_err());
}

#[test]
fn a_copy_in_which_the_engine_fails_is_its_error() {
    let mut e = Memories::plain();
    let list = e.intern(NewType::List(ValType::U8));
    e.put(8, b"abc");
    e.copy_fails = Some(Trap::Engine(6));
    for ty in [list, ValType::String] {
        assert_eq!(e.flat::<2>(&[8, 3], ty), trap(Trap::Engine(6)));
    }
}
