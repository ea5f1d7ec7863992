//! Strings in every pair of encodings, good and bad.

use super::text::{ENCODINGS, TAG, check_text, sources};
use super::trap;
use canon_async::abi::types::{NewType, ValType};
use canon_async::id::MemoryRef;
use canon_async::state::StringEncoding;
use canon_async::{Error, Trap};
use std_tests::memories::{FILL, Memories, Realloc};

#[test]
fn strings_in_every_pair_of_encodings() {
    for text in [
        "",
        "a",
        "hello",
        "\0",
        "\u{7f}",
        "\u{80}",
        "h\u{f6}",
        "\u{f6}",
        "\u{ff}",
        "\u{100}",
        "a\u{100}",
        "\u{ff}\u{100}",
        "\u{7ff}",
        "\u{800}",
        "☃☺️öツ",
        "\u{d7ff}\u{e000}",
        "\u{ffff}",
        "\u{10000}",
        "hö☃🍰",
        "🍰",
        "🍰🍰a",
        "\u{10ffff}",
        "\u{feff}bom",
        "aé☃🍰aé☃🍰",
    ] {
        check_text(text);
    }
}

#[test]
fn characters_across_the_chunks() {
    for c in ["a", "\u{e9}", "☃", "🍰"] {
        for before in (60..66).chain(82..88).chain(124..130).chain(250..260).chain(508..516) {
            check_text(&("x".repeat(before) + c));
            check_text(&("x".repeat(before) + c + &"☃".repeat(3) + &"y".repeat(300)));
            check_text(&(c.repeat(before) + "z"));
        }
    }
}

#[test]
fn strings_of_random_characters() {
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..400 {
        let kind = 1 + random(4);
        let length = random(400);
        let text: String = (0..length)
            .filter_map(|_| {
                let range = [0x80, 0x100, 0x1_0000, 0x11_0000][random(kind) as usize];
                char::from_u32(random(range) as u32)
            })
            .collect();
        check_text(&text);
    }
}

/// Tries some bytes as a string, to every encoding: nothing may be allocated.
fn refuse(from: StringEncoding, bytes: &[u8], units: u32, expected: Trap) {
    for to in ENCODINGS {
        let mut e = Memories::new([8192; 2], [from, to]);
        e.put(32, bytes);
        assert_eq!(e.flat::<2>(&[32, units.into()], ValType::String), trap(expected), "{bytes:x?} to {to:?}");
        assert!(e.log.is_empty());
    }
}

#[test]
fn text_that_is_not_utf8() {
    for bad in [
        &[0xff][..],
        &[0x80],
        &[0xc3, 0x28],
        &[0xc0, 0x80],
        &[0xed, 0xa0, 0x80],
        &[0xf4, 0x90, 0x80, 0x80],
        &[0xe2, 0x28],
        &[0xf5, 0x80, 0x80, 0x80],
    ] {
        refuse(StringEncoding::Utf8, bad, bad.len() as u32, Trap::InvalidUtf8);
    }
    for text in ["é", "☃", "🍰"] {
        for end in 1..text.len() {
            for before in [0, 1, 255, 256, 1000] {
                let mut bytes = vec![b'x'; before];
                bytes.extend(&text.as_bytes()[..end]);
                refuse(StringEncoding::Utf8, &bytes, bytes.len() as u32, Trap::IncompleteUtf8);
                bytes.push(b'x');
                refuse(StringEncoding::Utf8, &bytes, bytes.len() as u32, Trap::InvalidUtf8);
            }
        }
    }
}

#[test]
fn text_that_is_not_utf16() {
    for before in [0, 1, 127, 128, 500] {
        for bad in [
            &[0xd800][..],
            &[0xdbff],
            &[0xdc00],
            &[0xdfff],
            &[0xd800, 0x41],
            &[0xd800, 0xd800, 0xdc00],
            &[0xdc00, 0xd800],
        ] {
            let mut units = vec![0x41u16; before];
            units.extend(bad);
            for after in [0, 1, 300] {
                units.extend(core::iter::repeat_n(0x42, after));
                let bytes: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
                let length = units.len() as u32;
                refuse(StringEncoding::Utf16, &bytes, length, Trap::InvalidUtf16);
                refuse(StringEncoding::Latin1Utf16, &bytes, length | TAG, Trap::InvalidUtf16);
            }
        }
    }
}

#[test]
fn string_ranges() {
    const MAX: u32 = (1 << 28) - 1;
    for (from, pointer, units, expected) in [
        (StringEncoding::Utf8, 0xdead_beef, 0, Trap::StringOutOfBounds),
        (StringEncoding::Utf8, 8193, 0, Trap::StringOutOfBounds),
        (StringEncoding::Utf8, 8191, 2, Trap::StringOutOfBounds),
        (StringEncoding::Utf8, 0, MAX, Trap::StringOutOfBounds),
        (StringEncoding::Utf8, 0, MAX + 1, Trap::StringTooLong),
        (StringEncoding::Utf8, u32::MAX, u32::MAX, Trap::StringTooLong),
        (StringEncoding::Utf16, 1, 0, Trap::Unaligned),
        (StringEncoding::Utf16, 8193, 1, Trap::Unaligned),
        (StringEncoding::Utf16, 8190, 2, Trap::StringOutOfBounds),
        (StringEncoding::Utf16, 0, MAX / 2, Trap::StringOutOfBounds),
        (StringEncoding::Utf16, 1, MAX / 2 + 1, Trap::StringTooLong),
        (StringEncoding::Utf16, 0, TAG, Trap::StringTooLong),
        (StringEncoding::Latin1Utf16, 1, 0, Trap::Unaligned),
        (StringEncoding::Latin1Utf16, 1, TAG, Trap::Unaligned),
        (StringEncoding::Latin1Utf16, 8190, 3, Trap::StringOutOfBounds),
        (StringEncoding::Latin1Utf16, 8190, 2 | TAG, Trap::StringOutOfBounds),
        (StringEncoding::Latin1Utf16, 0, MAX, Trap::StringOutOfBounds),
        (StringEncoding::Latin1Utf16, 0, MAX | TAG, Trap::StringTooLong),
        (StringEncoding::Latin1Utf16, 0, MAX + 1, Trap::StringTooLong),
    ] {
        for to in ENCODINGS {
            let mut e = Memories::new([8192; 2], [from, to]);
            let result = e.flat::<2>(&[pointer.into(), units.into()], ValType::String);
            assert_eq!(result, trap(expected), "{from:?} {pointer:x} {units:x}");
            assert!(e.log.is_empty());
            e.put(8190, b"ok");
            assert!(e.flat::<2>(&[8192, 0], ValType::String).is_ok());
            let end = if from == StringEncoding::Utf16 { 1 } else { 2 };
            assert!(e.flat::<2>(&[8190, end], ValType::String).is_ok());
        }
    }
}

#[test]
fn a_source_that_changes_under_way_is_at_worst_a_trap() {
    for text in ["a", "abcö", "hö☃🍰", "🍰🍰🍰🍰"] {
        for (from, (bytes, units)) in sources(text) {
            for to in ENCODINGS {
                for byte in [0, b'a', 0x80, 0xc3, 0xf0, 0xff, 0xd8, 0xdc] {
                    let mut e = Memories::new([8192; 2], [from, to]);
                    e.put(32, &bytes);
                    e.realloc = Realloc::Meddle(byte);
                    let result = e.flat::<2>(&[32, units.into()], ValType::String);
                    assert!(matches!(result, Ok(_) | Err(Error::Trap(_))), "{result:?}");
                    // Nothing outside of what was allocated is written.
                    assert!(e.memories[1][..64].iter().all(|b| *b == FILL));
                    let end = e.next[1] as usize;
                    assert!(e.memories[1][end..].iter().all(|b| *b == FILL));
                }
            }
        }
    }
}

/// Whether some bytes are text: what a guest gets must be, whatever its peer does.
fn is_text(to: StringEncoding, tagged: bool, bytes: &[u8]) -> bool {
    let is_utf16 = to == StringEncoding::Utf16 || to == StringEncoding::Latin1Utf16 && tagged;
    let units = bytes.chunks(2).map(|unit| u16::from_le_bytes([unit[0], *unit.get(1).unwrap_or(&0)]));
    match to {
        _ if is_utf16 => char::decode_utf16(units).all(|c| c.is_ok()),
        StringEncoding::Utf8 => std::str::from_utf8(bytes).is_ok(),
        _ => true,
    }
}

/// What `realloc` returns is checked again when a string turns out longer or shorter than was guessed.
#[test]
fn a_string_that_realloc_moves_is_checked_again() {
    let mut again = 0;
    for text in ["\u{e9}", "ab\u{e9}☃", "☃☃☃", "\u{e9}\u{e9}\u{e9}\u{e9}"] {
        for (from, (bytes, units)) in sources(text) {
            for to in ENCODINGS {
                for (pointer, expected) in [
                    (8192, Trap::StringReallocOutOfBounds),
                    (0xffff_fff8, Trap::StringReallocOutOfBounds),
                    (65, Trap::ReallocUnaligned),
                ] {
                    let mut e = Memories::new([8192; 2], [from, to]);
                    e.put(32, &bytes);
                    e.realloc = Realloc::Later(pointer);
                    let result = e.flat::<2>(&[32, units.into()], ValType::String);
                    let Some([.., align, _]) = e.log.get(1) else { continue };
                    if expected == Trap::ReallocUnaligned && *align == 1 {
                        continue;
                    }
                    again += 1;
                    assert_eq!(result, trap(expected), "{text} {from:?} to {to:?}: {:?}", e.log);
                    let end = e.next[1] as usize;
                    assert!(e.memories[1][..64].iter().chain(&e.memories[1][end..]).all(|b| *b == FILL));
                }
            }
        }
    }
    assert!(again > 30, "{again}");
}

/// An instance may call itself: then a string may be written over itself while it is read.
#[test]
fn a_string_that_is_written_over_itself_is_text_or_a_trap() {
    const AT: usize = 1024;
    let latin = "\u{e9}".repeat(300);
    let long = "a☃\u{e9}🍰".repeat(70);
    let mut written = 0;
    let texts = ["a", "abc\u{e9}", "h\u{e9}☃🍰", "☃☃☃☃☃☃☃☃", "🍰a🍰a🍰a", &latin, &long];
    for text in texts {
        for (from, (bytes, units)) in sources(text) {
            for to in ENCODINGS {
                let len = bytes.len();
                let middle = AT + len / 4 * 2;
                for pointer in [AT - 64, AT - 6, AT - 2, AT, AT + 2, AT + 4, middle, (AT + len) & !1] {
                    let mut e = Memories::new([8192; 2], [from, to]);
                    e.change(1, |options| options.memory = Some(MemoryRef::from_index(0)));
                    e.put(AT, &bytes);
                    let before = e.memories[0].clone();
                    e.realloc = Realloc::Answer(pointer as u64);
                    let result = e.flat::<2>(&[AT as u64, units.into()], ValType::String);
                    // Nothing outside of what was allocated is written.
                    let end = pointer + e.log.iter().map(|[.., size]| *size as usize).max().unwrap();
                    assert!(
                        e.memories[0][..pointer] == before[..pointer]
                            && e.memories[0][end..] == before[end..]
                    );
                    let [at, units] = match result {
                        Ok(string) => string,
                        Err(Error::Trap(_)) => continue,
                        Err(error) => panic!("{error:?}"),
                    };
                    written += 1;
                    let tagged = to == StringEncoding::Latin1Utf16 && units as u32 & TAG != 0;
                    let size = if to == StringEncoding::Utf16 || tagged { 2 } else { 1 };
                    let len = size * (units as u32 & !TAG) as usize;
                    let got = &e.memories[0][at as usize..][..len];
                    assert!(is_text(to, tagged, got), "{text} {from:?} to {to:?} at {pointer}: {got:x?}");
                }
            }
        }
    }
    assert!(written > 100, "{written}");
}

#[test]
fn strings_inside_of_values() {
    let mut e = Memories::new([4096; 2], [StringEncoding::Utf8, StringEncoding::Utf16]);
    let option = e.intern(NewType::Variant(&[None, Some(ValType::String)]));
    let ty = e.intern(NewType::List(option));
    e.put(100, &[1, 9, 9, 9, 200, 0, 0, 0, 2, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
    e.put(200, "ö".as_bytes());
    assert_eq!(e.flat(&[100, 2], ty), Ok([64, 2]));
    let mut bytes = [FILL; 24];
    bytes[0] = 1;
    bytes[4..12].copy_from_slice(&[88, 0, 0, 0, 1, 0, 0, 0]);
    bytes[12] = 0;
    assert_eq!(e.got(64, 24), bytes);
    assert_eq!(e.got(88, 2), [0xf6, 0]);
    assert_eq!(e.log, [[0, 0, 4, 24], [0, 0, 2, 4], [88, 4, 2, 2]]);
}
