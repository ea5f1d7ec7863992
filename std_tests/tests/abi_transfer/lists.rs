//! Lists in memory, checked before anything is allocated.

use super::trap;
use canon_async::Trap;
use canon_async::abi::types::{NewType, ValType};
use canon_async::spec::MAX_LIST_BYTE_LENGTH;
use canon_async::state::StringEncoding;
use std_tests::memories::Memories;

#[test]
fn lists_are_checked_before_anything_is_allocated() {
    let mut e = Memories::plain();
    let ty = e.intern(NewType::List(ValType::U32));
    for (pointer, count, expected) in [
        (0, 0x400_0000, Trap::ListTooLong),
        (1, 0x400_0000, Trap::ListTooLong),
        (2, 1, Trap::Unaligned),
        (2, 0, Trap::Unaligned),
        (4094, 1, Trap::Unaligned),
        (4096, 1, Trap::ListOutOfBounds),
        (4100, 0, Trap::ListOutOfBounds),
        (0xffff_fffc, 1, Trap::ListOutOfBounds),
        (0, 1025, Trap::ListOutOfBounds),
        (0, 0x3ff_ffff, Trap::ListOutOfBounds),
    ] {
        assert_eq!(e.flat::<2>(&[pointer, count], ty), trap(expected), "{pointer} {count}");
    }
    assert!(e.log.is_empty());
    assert_eq!(e.flat(&[4096, 0], ty), Ok([64, 0]));
    assert_eq!(e.log, [[0, 0, 4, 0]]);
}

// trap_if(length * elem_size > MAX_LIST_BYTE_LENGTH)
#[test]
fn list_of_exactly_the_largest_size_passes() {
    let most = MAX_LIST_BYTE_LENGTH as u32;
    let mut e = Memories::plain();
    let ty = e.intern(NewType::List(ValType::U8));
    // The length is checked before the range.
    assert_eq!(e.flat::<2>(&[0, most.into()], ty), trap(Trap::ListOutOfBounds));
    assert_eq!(e.flat::<2>(&[0, u64::from(most) + 1], ty), trap(Trap::ListTooLong));
    // Zeros take no memory of the machine before they are written.
    e.memories = [(); 2].map(|()| vec![0; most as usize + 128]);
    e.put(64, &[1]);
    e.put(64 + MAX_LIST_BYTE_LENGTH as usize - 1, &[2]);
    assert_eq!(e.flat::<2>(&[64, u64::from(most) + 1], ty), trap(Trap::ListTooLong));
    assert!(e.log.is_empty());
    assert_eq!(e.flat(&[64, most.into()], ty), Ok([64, u64::from(most)]));
    assert_eq!(e.log, [[0, 0, 1, most]]);
    assert_eq!((e.got(64, 2), e.got(64 + most - 2, 3)), (&[1, 0][..], &[0, 2, 0][..]));
}

#[test]
fn lists_of_lists() {
    let mut e = Memories::plain();
    let inner = e.intern(NewType::List(ValType::Char));
    let ty = e.intern(NewType::List(inner));
    let words: Vec<u8> = [200u32, 2, 300, 0, 208, 1].iter().flat_map(|w| w.to_le_bytes()).collect();
    e.put(100, &words);
    e.put(200, &[b'a', 0, 0, 0, b'b', 0, 0, 0, b'c', 0, 0, 0]);
    assert_eq!(e.flat(&[100, 3], ty), Ok([64, 3]));
    assert_eq!(e.log, [[0, 0, 4, 24], [0, 0, 4, 8], [0, 0, 4, 0], [0, 0, 4, 4]]);
    let words: Vec<u8> = [88u32, 2, 96, 0, 96, 1].iter().flat_map(|w| w.to_le_bytes()).collect();
    assert_eq!(e.got(64, 24), words);
    assert_eq!(e.got(88, 12), [b'a', 0, 0, 0, b'b', 0, 0, 0, b'c', 0, 0, 0]);
    // An element that is not a value.
    e.put(204, &[0, 0xd8, 0, 0]);
    assert_eq!(e.flat::<2>(&[100, 3], ty), trap(Trap::InvalidChar(0xd800)));
}

#[test]
fn as_deep_as_types_go() {
    let mut e = Memories::new([64 * 1024; 2], [StringEncoding::Utf8; 2]);
    let mut ty = ValType::U8;
    for _ in 0..100 {
        ty = e.intern(NewType::List(ty));
    }
    let ValType::Defined(deepest) = ty else { unreachable!() };
    assert!(e.store.types_mut().intern(NewType::List(ValType::Defined(deepest)), 0).is_err());
    // Each level is a list of one list, the next one in memory.
    for level in 0..99u32 {
        e.put(8 * level as usize, &(8 * (level + 1)).to_le_bytes());
        e.put(8 * level as usize + 4, &1u32.to_le_bytes());
    }
    e.put(8 * 99, &[5]);
    assert_eq!(e.flat(&[0, 1], ty), Ok([64, 1]));
    assert_eq!(e.log.len(), 100);
}
