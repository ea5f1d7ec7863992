//! What the work on values costs: charged before it is done, in pieces that are not too large.

use super::text::{ENCODINGS, TAG, sources};
use super::trap;
use canon_async::Trap;
use canon_async::abi::types::{NewType, ValType};
use canon_async::abi::{Dest, Source, transfer_elements};
use canon_async::state::StringEncoding;
use std_tests::memories::{FILL, Memories, OUT_OF_FUEL};

/// The most bytes that one charge stands for.
const PIECE: usize = 64 << 10;

fn large() -> Memories {
    Memories::new([4 << 20; 2], [StringEncoding::Utf8; 2])
}

/// Bytes that repeat only after a prime number of them.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn charges_of_flat_values_are_none() {
    let mut e = Memories::plain();
    let pair = e.record(&[ValType::Bool, ValType::Char]);
    let ty = e.record(&[pair, pair, pair, ValType::U64, ValType::F32, pair]);
    let values = [1, 97, 0, 98, 1, 99, 7, 8, 1, 100];
    assert_eq!(e.flat(&values, ty), Ok(values));
    assert_eq!(e.flat(&[0, 0], ValType::String), Ok([64, 0]));
    assert!(e.charged.is_empty(), "{:?}", e.charged);
}

#[test]
fn charges_of_a_list_are_by_element_before_any_is_lifted() {
    let mut e = Memories::plain();
    let ty = e.intern(NewType::List(ValType::Bool));
    assert_eq!(e.flat(&[100, 1000], ty), Ok([64, 1000]));
    // The list itself is one more.
    assert_eq!(e.charged, [(0, 1001)]);
    e.charges_left = 0;
    assert_eq!(e.flat::<2>(&[100, 1000], ty), Err(OUT_OF_FUEL));
    assert_eq!(e.got(1064, 1000), [FILL; 1000]);
    // Of elements that are nothing but bytes it is the bytes.
    let ty = e.intern(NewType::List(ValType::U32));
    e.charges_left = 1;
    assert_eq!(e.flat(&[100, 100], ty), Ok([2064, 100]));
    assert_eq!(e.charged, [(0, 1001), (400, 0)]);
}

#[test]
fn charges_of_lists_without_content_are_by_element_too() {
    let mut e = Memories::plain();
    let inner = e.intern(NewType::List(ValType::U8));
    let middle = e.intern(NewType::List(inner));
    let ty = e.intern(NewType::List(middle));
    // Ten times the same list of twenty empty ones.
    e.put(0, &words(&[100, 20].repeat(10)));
    e.put(100, &words(&[0; 40]));
    assert_eq!(e.flat(&[0, 10], ty), Ok([64, 10]));
    let elements: u32 = e.charged.iter().map(|(_, elements)| elements).sum();
    assert!((210..=420).contains(&elements), "{:?}", e.charged);
    // It ends where nobody pays any more, and no element is visited after that.
    let mut e = Memories::plain();
    let inner = e.intern(NewType::List(ValType::U8));
    let middle = e.intern(NewType::List(inner));
    let ty = e.intern(NewType::List(middle));
    e.put(0, &words(&[100, 20].repeat(10)));
    e.put(100, &words(&[0; 40]));
    e.charges_left = 3;
    assert_eq!(e.flat::<2>(&[0, 10], ty), Err(OUT_OF_FUEL));
    assert!(e.log.len() < 50, "{}", e.log.len());
}

#[test]
fn charges_of_many_single_values_in_memory_are_made_too() {
    let mut e = Memories::plain();
    let hundred = e.record(&[ValType::Bool; 100]);
    let ty = e.record(&[hundred; 10]);
    e.put(8, &[1; 1000]);
    e.go(Source::Memory(8), Dest::Memory(16), ty).unwrap();
    let elements: u32 = e.charged.iter().map(|(_, elements)| elements).sum();
    assert!((960..=1011).contains(&elements), "{:?}", e.charged);
    let ty = e.intern(NewType::FixedList(ValType::Char, 50));
    e.charged.clear();
    e.put(8, &[0; 200]);
    e.go(Source::Memory(8), Dest::Memory(16), ty).unwrap();
    assert_eq!(e.charged.iter().map(|(_, elements)| elements).max(), Some(&51));
}

#[test]
fn charges_of_a_long_copy_are_in_pieces() {
    let mut e = large();
    let ty = e.intern(NewType::List(ValType::U8));
    let bytes = pattern(3 * PIECE + 7);
    e.put(1000, &bytes);
    e.flat::<2>(&[1000, bytes.len() as u64], ty).unwrap();
    assert_eq!(e.charged, [(PIECE, 0), (PIECE, 0), (PIECE, 0), (7, 0)]);
    assert_eq!(e.got(64, bytes.len()), bytes);
    e.charges_left = 2;
    e.next[1] = 1 << 20;
    assert_eq!(e.flat::<2>(&[1000, bytes.len() as u64], ty), Err(OUT_OF_FUEL));
    assert_eq!(e.got(1 << 20, 2 * PIECE), &bytes[..2 * PIECE]);
    assert_eq!(e.got((1 << 20) + 2 * PIECE as u32, PIECE), [FILL; PIECE]);
}

#[test]
fn charges_of_a_copy_within_one_memory_leave_overlaps_right() {
    for (from, to) in [(1000, 1000 + 70_000), (71_000, 1000), (1000, 1001), (1001, 1000), (5000, 5000)] {
        let mut e = large();
        let memory = e.store.options(e.contexts[0].options).unwrap().memory;
        e.change(1, |options| options.memory = memory);
        let bytes = pattern(3 * PIECE + 7);
        e.put(from, &bytes);
        let mut expected = e.memories[0].clone();
        expected.copy_within(from..from + bytes.len(), to);
        let [source, dest] = e.contexts;
        transfer_elements(&mut e, &source, from, &dest, to, ValType::U8, bytes.len() as u32).unwrap();
        assert!(e.memories[0] == expected, "from {from} to {to}");
        assert_eq!(e.charged.len(), 4);
    }
}

/// A text whose characters lie across the ends of its pieces, in every encoding.
fn across(shift: usize) -> String {
    let mut text = "x".repeat(shift);
    while text.len() < 2 * PIECE + 100 {
        text.push_str("a\u{e9}\u{20ac}\u{1f600}");
    }
    text
}

#[test]
fn charges_of_strings_split_no_character() {
    for shift in 0..7 {
        let text = across(shift);
        for (from, (bytes, units)) in sources(&text) {
            for to in ENCODINGS {
                let mut e = Memories::new([4 << 20; 2], [from, to]);
                e.put(1000, &bytes);
                let [pointer, units] = e.flat(&[1000, units.into()], ValType::String).unwrap();
                let tagged = to == StringEncoding::Latin1Utf16 && units as u32 & TAG != 0;
                let units = (units as u32 & !TAG) as usize;
                let found = if to == StringEncoding::Utf16 || tagged {
                    let bytes = e.got(pointer as u32, units * 2);
                    let units: Vec<u16> = bytes.chunks(2).map(|u| u16::from_le_bytes([u[0], u[1]])).collect();
                    String::from_utf16(&units).unwrap()
                } else {
                    String::from_utf8(e.got(pointer as u32, units).to_vec()).unwrap()
                };
                assert!(found == text, "{from:?} to {to:?}");
                assert!(
                    e.charged.iter().all(|(bytes, elements)| (1..=PIECE).contains(bytes) && *elements == 0)
                );
                // Each byte once to be validated, and once to be copied or written.
                let total: usize = e.charged.iter().map(|(bytes, _)| bytes).sum();
                assert!(total >= 2 * bytes.len().min(text.len()), "{from:?} to {to:?}: {total}");
            }
        }
    }
}

#[test]
fn charges_of_strings_find_what_is_invalid_in_every_piece() {
    for at in [PIECE - 4, PIECE - 3, PIECE - 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 9] {
        let mut e = large();
        let mut bytes = vec![b'a'; 2 * PIECE + 10];
        bytes[at] = 0xff;
        e.put(1000, &bytes);
        assert_eq!(
            e.flat::<2>(&[1000, bytes.len() as u64], ValType::String),
            trap(Trap::InvalidUtf8),
            "{at}"
        );
        // A lead byte: at the end of the string more could follow, at the end of a piece it does not.
        bytes[at] = 0xe2;
        e.put(1000, &bytes);
        let expected = if at + 1 == bytes.len() { Trap::IncompleteUtf8 } else { Trap::InvalidUtf8 };
        assert_eq!(e.flat::<2>(&[1000, bytes.len() as u64], ValType::String), trap(expected), "{at}");
        assert!(e.log.is_empty());
    }
    for at in [PIECE - 2, PIECE, 2 * PIECE + 8] {
        let mut e = Memories::new([4 << 20; 2], [StringEncoding::Utf16; 2]);
        let mut bytes = b"a\0".repeat(PIECE + 5);
        bytes[at..at + 2].copy_from_slice(&0xd800u16.to_le_bytes());
        e.put(1000, &bytes);
        let units = bytes.len() as u64 / 2;
        assert_eq!(e.flat::<2>(&[1000, units], ValType::String), trap(Trap::InvalidUtf16), "{at}");
    }
}

#[test]
fn charges_that_are_refused_end_a_string_in_each_pass() {
    let text = across(0);
    let mut e = Memories::new([4 << 20; 2], [StringEncoding::Utf8, StringEncoding::Latin1Utf16]);
    e.put(1000, text.as_bytes());
    let passes = [0, 1, 3, 4, 100, 400];
    for left in passes {
        e.charges_left = left;
        assert_eq!(e.flat::<2>(&[1000, text.len() as u64], ValType::String), Err(OUT_OF_FUEL), "{left}");
    }
    e.charges_left = usize::MAX;
    e.flat::<2>(&[1000, text.len() as u64], ValType::String).unwrap();
}

#[test]
fn charges_of_latin1_are_of_the_copy_alone() {
    let mut e = Memories::new([4096; 2], [StringEncoding::Latin1Utf16; 2]);
    e.put(8, b"abc");
    assert_eq!(e.flat(&[8, 3], ValType::String), Ok([64, 3]));
    // Any bytes are Latin-1: there is nothing to validate.
    assert_eq!(e.charged, [(3, 0)]);
}
