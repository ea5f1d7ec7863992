//! Numbers, characters, flags, error contexts.

use super::trap;
use canon_async::abi::types::{NewType, ValType};
use canon_async::abi::{Dest, Source};
use canon_async::state::Options;
use canon_async::{Error, Heap, Limits, Resource, Store, Trap};
use std_tests::memories::{FILL, Memories};

#[test]
fn integers_wrap_to_their_width_when_flat() {
    let mut e = Memories::plain();
    for (ty, given, taken) in [
        (ValType::Bool, 0, 0),
        (ValType::Bool, 2, 1),
        (ValType::Bool, 1 << 32, 0),
        (ValType::U8, 0x1ff, 0xff),
        (ValType::S8, 0x80, 0xffff_ff80),
        (ValType::S8, 0xffff_ff7f, 0x7f),
        (ValType::U16, 0x12_3456, 0x3456),
        (ValType::S16, 0x8000, 0xffff_8000),
        (ValType::S16, 0x1_7fff, 0x7fff),
        (ValType::U32, 0x1_0000_0002, 2),
        (ValType::S32, 0xffff_ffff, 0xffff_ffff),
        (ValType::U64, u64::MAX, u64::MAX),
        (ValType::S64, 1 << 63, 1 << 63),
        (ValType::F32, 0x7fa0_0001, 0x7fa0_0001),
        (ValType::F32, 0xdead_beef_7fa0_0001, 0x7fa0_0001),
        (ValType::F64, 0x7ff4_0000_0000_0001, 0x7ff4_0000_0000_0001),
    ] {
        assert_eq!(e.flat(&[given], ty), Ok([taken]), "{ty:?} {given:#x}");
    }
    assert!(e.log.is_empty());
}

#[test]
fn scalars_between_memory_and_flat() {
    let mut e = Memories::plain();
    e.put(8, &[0x80, 0xff, 0xfe, 0xff, 1, 2, 3, 0x84]);
    for (ty, bits, width) in [
        (ValType::Bool, 1, 1),
        (ValType::U8, 0x80, 1),
        (ValType::S8, 0xffff_ff80, 1),
        (ValType::U16, 0xff80, 2),
        (ValType::S16, 0xffff_ff80, 2),
        (ValType::U32, 0xfffe_ff80, 4),
        (ValType::F32, 0xfffe_ff80, 4),
        (ValType::S64, 0x8403_0201_fffe_ff80, 8),
        (ValType::F64, 0x8403_0201_fffe_ff80, 8),
    ] {
        let mut out = [7, 7];
        e.go(Source::Memory(8), Dest::Flat(&mut out), ty).unwrap();
        assert_eq!(out, [bits, 7], "{ty:?}");
        e.memories[1].fill(FILL);
        e.go(Source::Flat(&out), Dest::Memory(16), ty).unwrap();
        assert_eq!(e.got(16, width), &bits.to_le_bytes()[..width], "{ty:?}");
        assert_eq!(e.memories[1][16 + width], FILL);
        let direct = e.memories[1].clone();
        e.memories[1].fill(FILL);
        e.go(Source::Memory(8), Dest::Memory(16), ty).unwrap();
        assert_eq!(e.memories[1], direct, "{ty:?}");
    }
    assert_eq!(e.bytes([2], ValType::Bool), Ok([1]));
}

#[test]
fn chars_are_scalar_values() {
    let mut e = Memories::plain();
    for good in [0, 0x41, 0xd7ff, 0xe000, 0x10_ffff] {
        assert_eq!(e.flat(&[good], ValType::Char), Ok([good]));
        assert_eq!(e.bytes((good as u32).to_le_bytes(), ValType::Char), Ok((good as u32).to_le_bytes()));
    }
    for bad in [0xd800, 0xdfff, 0x11_0000, 0xffff_ffff] {
        assert_eq!(e.flat::<1>(&[bad], ValType::Char), trap(Trap::InvalidChar(bad as u32)));
        assert_eq!(e.bytes((bad as u32).to_le_bytes(), ValType::Char), trap(Trap::InvalidChar(bad as u32)));
    }
}

#[test]
fn flags_lose_the_bits_without_a_label() {
    let mut e = Memories::plain();
    for labels in 1..=32u8 {
        let ty = e.intern(NewType::Flags(labels));
        let mask = u32::MAX >> (32 - labels);
        assert_eq!(e.flat(&[u64::MAX], ty), Ok([mask.into()]));
        let width = [1, 2, 4, 4][usize::from((labels - 1) / 8)];
        let mut expected = [FILL; 4];
        expected[..width].copy_from_slice(&mask.to_le_bytes()[..width]);
        assert_eq!(e.bytes([0xff; 4], ty), Ok(expected), "{labels}");
    }
}

#[test]
fn error_contexts_are_handles() {
    let mut e = Memories::plain();
    assert_eq!(e.flat::<1>(&[1], ValType::ErrorContext), trap(Trap::UnknownHandle(1)));
    assert_eq!(e.bytes(7u32.to_le_bytes(), ValType::ErrorContext), trap(Trap::UnknownHandle(7)));
}

#[test]
fn error_contexts_are_limited_in_number_and_length() {
    let mut store = Store::<Heap>::with_limits(Limits::HEAP.with_error_contexts(1).with_message_bytes(4));
    let host = store.add_host_instance().unwrap();
    assert!(matches!(store.host_error_context("too early"), Err(Error::Misuse(_))));
    let options = store.add_options(Options::new(host)).unwrap();
    store.set_host(options).unwrap();
    for (text, kept) in [("", ""), ("abcd", "abcd"), ("a\u{f1}bc", "a\u{f1}b"), ("abc\u{f1}d", "abc")] {
        let handle = store.host_error_context(text).unwrap();
        assert_eq!(store.host_error_message(handle), Ok(kept));
        assert_eq!(store.host_error_context("more"), Err(Error::capacity(Resource::ErrorContexts)));
        store.drop_host_error_context(handle).unwrap();
        assert!(store.is_idle());
    }
    // More than the profile's capacity is not to be had.
    let mut store = Store::<Heap>::with_limits(Limits::HEAP.with_message_bytes(1000));
    let host = store.add_host_instance().unwrap();
    let options = store.add_options(Options::new(host)).unwrap();
    store.set_host(options).unwrap();
    let handle = store.host_error_context(&"x".repeat(1000)).unwrap();
    assert_eq!(store.host_error_message(handle).map(str::len), Ok(256));
    store.check().unwrap();
}
