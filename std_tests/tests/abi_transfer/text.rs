//! A string in each of its encodings, and what arrives of it.

use canon_async::abi::types::ValType;
use canon_async::state::StringEncoding;
use std_tests::memories::Memories;

pub const TAG: u32 = 1 << 31;
pub const ENCODINGS: [StringEncoding; 3] =
    [StringEncoding::Utf8, StringEncoding::Utf16, StringEncoding::Latin1Utf16];

/// A string as it lies in memory, with its tagged code units.
pub type Encoded = (Vec<u8>, u32);

fn utf8(text: &str) -> Encoded {
    (text.as_bytes().to_vec(), text.len() as u32)
}

fn utf16(text: &str) -> Encoded {
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let units = bytes.len() as u32 / 2;
    (bytes, units)
}

fn tagged(text: &str) -> Encoded {
    let (bytes, units) = utf16(text);
    (bytes, units | TAG)
}

fn is_latin1(text: &str) -> bool {
    text.chars().all(|c| u32::from(c) < 0x100)
}

fn latin1(text: &str) -> Encoded {
    let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let units = bytes.len() as u32;
    (bytes, units)
}

/// Every way to write a string that a source may choose.
pub fn sources(text: &str) -> Vec<(StringEncoding, Encoded)> {
    let mut all = vec![
        (StringEncoding::Utf8, utf8(text)),
        (StringEncoding::Utf16, utf16(text)),
        (StringEncoding::Latin1Utf16, tagged(text)),
    ];
    if is_latin1(text) {
        all.push((StringEncoding::Latin1Utf16, latin1(text)));
    }
    all
}

/// What arrives: the reference's calls of `realloc` as (old size, alignment, new size), and the string.
fn expected(text: &str, from: StringEncoding, units: u32, to: StringEncoding) -> (Vec<[u32; 3]>, Encoded) {
    let is_tagged = from == StringEncoding::Latin1Utf16 && units & TAG != 0;
    let is_latin1_source = from == StringEncoding::Latin1Utf16 && !is_tagged;
    let units = units & !TAG;
    let mut calls = Vec::new();
    let result = match to {
        StringEncoding::Utf8 => {
            let result = utf8(text);
            calls.push([0, 1, units]);
            if from != StringEncoding::Utf8 && !text.is_ascii() {
                let worst = if is_latin1_source { 2 * units } else { 3 * units };
                calls.push([units, 1, worst]);
                if worst > result.1 {
                    calls.push([worst, 1, result.1]);
                }
            }
            result
        }
        StringEncoding::Utf16 => {
            let result = utf16(text);
            calls.push([0, 2, 2 * units]);
            if from == StringEncoding::Utf8 && 2 * result.1 < 2 * units {
                calls.push([2 * units, 2, 2 * result.1]);
            }
            result
        }
        StringEncoding::Latin1Utf16 if is_latin1_source => {
            calls.push([0, 2, units]);
            latin1(text)
        }
        StringEncoding::Latin1Utf16 if is_tagged => {
            calls.push([0, 2, 2 * units]);
            if is_latin1(text) {
                calls.push([2 * units, 1, units]);
                latin1(text)
            } else {
                tagged(text)
            }
        }
        StringEncoding::Latin1Utf16 => {
            calls.push([0, 2, units]);
            let result = if is_latin1(text) { latin1(text) } else { tagged(text) };
            let size = result.0.len() as u32;
            if is_latin1(text) {
                if size < units {
                    calls.push([units, 2, size]);
                }
            } else {
                calls.push([units, 2, 2 * units]);
                if size < 2 * units {
                    calls.push([2 * units, 2, size]);
                }
            }
            result
        }
    };
    (calls, result)
}

pub fn check_text(text: &str) {
    for (from, (bytes, units)) in sources(text) {
        for to in ENCODINGS {
            let mut e = Memories::new([8192, 32768], [from, to]);
            e.put(32, &bytes);
            let [pointer, tagged] = e
                .flat(&[32, units.into()], ValType::String)
                .unwrap_or_else(|error| panic!("{error} {text:?}"));
            let what = format!("{from:?} {units:x} to {to:?}: {text:?}");
            let (calls, (bytes, units)) = expected(text, from, units, to);
            let log: Vec<_> =
                e.log.iter().map(|[_, old_size, align, size]| [*old_size, *align, *size]).collect();
            assert_eq!(log, calls, "{what}");
            assert_eq!(tagged, u64::from(units), "{what}");
            assert_eq!(e.got(pointer as u32, bytes.len()), bytes, "{what}");
            // Each call names what the one before answered.
            let mut before = 0;
            for [old, old_size, align, size] in e.log.clone() {
                assert_eq!(old, before, "{what}");
                before = if old != 0 && size < old_size {
                    old
                } else {
                    let next = if before == 0 { 64 } else { before + old_size };
                    next.next_multiple_of(align)
                };
            }
            assert_eq!(u64::from(before), pointer, "{what}");
        }
    }
}
