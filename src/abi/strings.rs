//! Spec: Loading (`load_string_from_range`) and Storing (`store_string_into_range`).
//!
//! A string is validated where it lies before the destination allocates anything, and then transcoded through
//! a small buffer on the stack. `realloc` is called as often and with the same arguments as the reference does.
//!
//! Nothing but a `realloc` runs in between. One that shares the source's memory could change the string then:
//! the destination gets that, or a trap, and nothing outside of what it allocated is written.

use super::copy::{Chunk, PIECE, charge, copy_charged, copy_slice};
use super::memory::{What, check, some_memory};
use crate::embedding::Embedding;
use crate::error::{Error, Trap};
use crate::id::{ErrorContextId, MemoryRef, OptsId};
use crate::raise::{OrRaise as _, Raises, Raising as _};
use crate::spec::{MAX_STRING_BYTE_LENGTH, PtrType};
use crate::state::{StringEncoding, ptr_type};

/// How many bytes of output are put together before they go to memory.
const CHUNK: usize = 256;

/// `src_simple_encoding`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Simple {
    Latin1,
    Utf8,
    Utf16,
}

/// How characters are written.
#[derive(Clone, Copy)]
enum Target {
    /// A byte each.
    Ascii,
    Latin1,
    Utf8,
    Utf16,
}

/// Where a string lies.
#[derive(Clone, Copy)]
enum Origin {
    Memory(MemoryRef),
    /// The message of an error context: UTF-8.
    Message(ErrorContextId),
}

/// A string, or what is left of it.
#[derive(Clone, Copy)]
struct Text {
    origin: Origin,
    at: usize,
    end: usize,
    encoding: Simple,
    /// `src_code_units`, of the whole string.
    units: u32,
    /// It is UTF-16 where it might have been Latin-1.
    tagged: bool,
    /// Every character is below 0x100. Known of UTF-16, where it is asked.
    latin1: bool,
}

/// What the destination allocated, and how much of it is written.
struct Output {
    options: OptsId,
    memory: MemoryRef,
    pointer: usize,
    align: u32,
    size: u32,
    written: u32,
}

/// A string that was lowered.
#[derive(Clone, Copy)]
pub(crate) struct Stored {
    pub pointer: usize,
    units: u32,
    /// It is UTF-16 where it might have been Latin-1.
    tagged: bool,
}

impl Stored {
    /// The tagged code units, for a memory of these pointers.
    pub fn tagged_code_units(self, ptr: PtrType) -> u64 {
        let tag = if self.tagged { ptr.utf16_tag() } else { 0 };
        u64::from(self.units) | tag
    }
}

/// Lifts a string (its pointer and the bits of its tagged code units) and lowers it.
///
/// Runs the destination's `realloc`. O(length), without allocation.
///
/// # Errors
/// `Trap(StringTooLong)`, `Trap(Unaligned)`, `Trap(StringOutOfBounds)`, in this order and also for a length of
/// 0; `Trap(InvalidUtf8 | IncompleteUtf8 | InvalidUtf16)`; what [`reallocate`] fails with.
// Never inlined: its frames have no business in those of the recursive walk over a value.
#[inline(never)]
pub(super) fn transfer_string<E: Embedding + ?Sized>(
    e: &mut E,
    from: OptsId,
    range: (usize, u64),
    to: OptsId,
) -> Raises<Stored> {
    let text = load_string_from_range(e, from, range)?;
    store_string_into_range(e, text, to)
}

/// A string that will be the message of an error context: it has been validated.
pub(crate) struct Message(Text);

/// Lifts a string for the message of an error context. O(length).
///
/// # Errors
/// As for lifting in [`transfer_string`].
pub(crate) fn lift_message<E: Embedding + ?Sized>(
    e: &mut E,
    from: OptsId,
    range: (usize, u64),
) -> Raises<Message> {
    load_string_from_range(e, from, range).map(Message)
}

/// Puts as many of its first characters as there is room for into an error context. O(length).
///
/// # Errors
/// `Bug` alone.
pub(crate) fn fill_message<E: Embedding + ?Sized>(
    e: &mut E,
    Message(text): Message,
    context: ErrorContextId,
) -> Raises {
    let mut text = text;
    while text.at < text.end {
        let next = text.read(e, |bytes| next_char(bytes, text.encoding))?;
        let store = e.store();
        let (c, read) = next.or_raise(&mut store.raiser, text.encoding.invalid())?;
        if !store.push_message(context, c) {
            break;
        }
        text.at = text.at.saturating_add(read);
    }
    Ok(())
}

/// Lowers the message of an error context.
///
/// Runs the destination's `realloc`. O(length), without allocation.
///
/// # Errors
/// What [`reallocate`] fails with.
#[inline(never)]
pub(crate) fn lower_message<E: Embedding + ?Sized>(
    e: &mut E,
    context: ErrorContextId,
    to: OptsId,
) -> Raises<Stored> {
    let end = e.store().error_context(context)?.message().len();
    let origin = Origin::Message(context);
    let units = end as u32;
    let text = Text { origin, at: 0, end, encoding: Simple::Utf8, units, tagged: false, latin1: false };
    store_string_into_range(e, text, to)
}

fn store_string_into_range<E: Embedding + ?Sized>(e: &mut E, text: Text, to: OptsId) -> Raises<Stored> {
    let encoding = e.store().options_of(to)?.encoding;
    let probably_utf16 = text.tagged && encoding == StringEncoding::Latin1Utf16;
    let unit_size = if encoding == StringEncoding::Utf16 || probably_utf16 { 2 } else { 1 };
    let align = if encoding == StringEncoding::Utf8 { 1 } else { 2 };
    let mut out = Output::allocate(e, to, align, text.units.saturating_mul(unit_size))?;
    // How it is written (`None`: as it is), and how where that does not do, which is known only then.
    let (first, second) = match (encoding, text.encoding) {
        // store_string_copy
        (StringEncoding::Utf8, Simple::Utf8)
        | (StringEncoding::Utf16, Simple::Utf16)
        | (StringEncoding::Latin1Utf16, Simple::Latin1) => (None, None),
        // store_utf16_to_utf8, store_latin1_to_utf8
        (StringEncoding::Utf8, _) => (Some(Target::Ascii), Some(Target::Utf8)),
        // store_utf8_to_utf16, and store_string_copy, which inflates
        (StringEncoding::Utf16, _) => (Some(Target::Utf16), None),
        // store_probably_utf16_to_latin1_or_utf16
        (StringEncoding::Latin1Utf16, _) if probably_utf16 => (None, Some(Target::Latin1)),
        // store_string_to_latin1_or_utf16
        (StringEncoding::Latin1Utf16, _) => (Some(Target::Latin1), Some(Target::Utf16)),
    };
    let mut rest = text;
    let fits = match first {
        Some(target) => out.transcode(e, &mut rest, target)?,
        None => {
            out.copy(e, &mut rest)?;
            !(probably_utf16 && text.latin1)
        }
    };
    let utf16 = match encoding {
        StringEncoding::Utf8 => false,
        StringEncoding::Utf16 => true,
        StringEncoding::Latin1Utf16 => fits == probably_utf16,
    };
    if let Some(second) = second.filter(|_| !fits) {
        let worst = if encoding == StringEncoding::Utf8 && text.encoding != Simple::Latin1 { 3 } else { 2 };
        if !probably_utf16 {
            out.reallocate(e, text.units.saturating_mul(worst))?;
        }
        if encoding != StringEncoding::Utf8 {
            // From the start again, where the reference widens or narrows what it wrote: the same bytes.
            out.written = 0;
            rest = text;
        }
        out.transcode(e, &mut rest, second)?;
        if probably_utf16 {
            out.align = 1;
            out.reallocate(e, text.units)?;
        }
    }
    out.shrink(e)?;
    let units = if utf16 { out.written >> 1 } else { out.written };
    Ok(Stored { pointer: out.pointer, units, tagged: utf16 && encoding == StringEncoding::Latin1Utf16 })
}

fn load_string_from_range<E: Embedding + ?Sized>(
    e: &mut E,
    options: OptsId,
    (at, tagged_code_units): (usize, u64),
) -> Raises<Text> {
    let options = e.store().options_of(options)?;
    let (memory, encoding) = (options.memory, options.encoding);
    let (units, tag) = ptr_type(memory).untagged(tagged_code_units);
    let tagged = tag && encoding == StringEncoding::Latin1Utf16;
    let align = if encoding == StringEncoding::Utf8 { 1 } else { 2 };
    let encoding = match encoding {
        StringEncoding::Utf8 => Simple::Utf8,
        StringEncoding::Latin1Utf16 if !tagged => Simple::Latin1,
        _ => Simple::Utf16,
    };
    let shift = u32::from(encoding == Simple::Utf16);
    // What is no tag is a length above all.
    if tag != tagged || units > (MAX_STRING_BYTE_LENGTH as u32).wrapping_shr(shift) {
        return e.store().raiser.raise(Trap::StringTooLong);
    }
    let length = units.wrapping_shl(shift) as usize;
    check(e, memory, (at, align, length), What::String)?;
    let memory = some_memory(e, memory)?;
    let mut text = Text {
        origin: Origin::Memory(memory),
        at,
        end: at.saturating_add(length),
        encoding,
        units,
        tagged,
        latin1: true,
    };
    // Whatever the bytes are, they are Latin-1.
    if encoding != Simple::Latin1 {
        validate(e, &mut text)?;
    }
    Ok(text)
}

/// Checks that a string is what its encoding allows, in pieces, and whether it fits Latin-1.
fn validate<E: Embedding + ?Sized>(e: &mut E, text: &mut Text) -> Raises {
    let (begin, end) = (text.at, text.end);
    let mut latin1 = true;
    while text.at < end {
        let rest = end.wrapping_sub(text.at);
        let piece = rest.min(PIECE);
        charge(e, piece, 0)?;
        text.end = text.at.wrapping_add(piece);
        let (valid, incomplete) = text.read(e, |bytes| valid_prefix(bytes, text.encoding, &mut latin1))?;
        // A character may lie across the end of a piece: it begins the next one.
        if valid < piece && (piece == rest || piece.wrapping_sub(valid) >= MAX_CHAR_BYTES) {
            let trap = if incomplete { Trap::IncompleteUtf8 } else { text.encoding.invalid() };
            return e.store().raiser.raise(trap);
        }
        text.at = text.at.wrapping_add(valid);
    }
    (text.at, text.end, text.latin1) = (begin, end, latin1);
    Ok(())
}

/// The most bytes of a character, in any encoding.
const MAX_CHAR_BYTES: usize = 4;

/// How many of the bytes are what their encoding allows, from the first on, and whether those that follow are
/// the beginning of a character in UTF-8. `latin1` becomes false where a character does not fit Latin-1.
fn valid_prefix(bytes: &[u8], encoding: Simple, latin1: &mut bool) -> (usize, bool) {
    if cfg!(feature = "alloc") && encoding == Simple::Utf8 {
        // Faster, and larger.
        return match core::str::from_utf8(bytes) {
            Ok(_) => (bytes.len(), false),
            Err(error) => (error.valid_up_to(), error.error_len().is_none()),
        };
    }
    let mut rest = bytes;
    while let Some((c, read)) = next_char(rest, encoding) {
        *latin1 &= u32::from(c) < 0x100;
        rest = rest.get(read..).unwrap_or(&[]);
    }
    (bytes.len().saturating_sub(rest.len()), encoding == Simple::Utf8 && could_go_on(rest))
}

/// Whether a string that is no UTF-8 would be with more bytes: with the first that can follow, or the last where the first would be
/// too many bytes for so small a number.
fn could_go_on(text: &[u8]) -> bool {
    let more = if text.first().is_some_and(|lead| lead & 0xf == 0) { 0xbf } else { 0x80 };
    let mut padded = [more; 4];
    padded.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    next_char(&padded, Simple::Utf8).is_some_and(|(_, length)| length > text.len())
}

impl Simple {
    /// What a string is that is not of this encoding.
    fn invalid(self) -> Trap {
        if self == Simple::Utf8 { Trap::InvalidUtf8 } else { Trap::InvalidUtf16 }
    }
}

impl Text {
    /// Reads what is left of it.
    fn read<E: Embedding + ?Sized, T>(&self, e: &mut E, f: impl FnOnce(&[u8]) -> T) -> Raises<T> {
        let read = |all: &[u8]| all.get(self.at..self.end).map(f);
        let result = match self.origin {
            Origin::Memory(memory) => e.memory(memory).map(|all| read(all)),
            Origin::Message(context) => Ok(read(e.store().error_context(context)?.message())),
        };
        let store = e.store();
        result.raising(&mut store.raiser)?.or_raise(&mut store.raiser, Trap::StringOutOfBounds)
    }
}

/// [`reallocate`](super::memory::reallocate) of what was at an address before, with that many bytes. The trap
/// says that it was for a string.
fn reallocate<E: Embedding + ?Sized>(
    e: &mut E,
    options: OptsId,
    (old, old_size): (usize, u32),
    align: u32,
    size: u32,
) -> Raises<usize> {
    let result = super::memory::reallocate(e, options, old, old_size, align, size);
    let raiser = &mut e.store().raiser;
    match result {
        Err(raised) if raiser.error(raised) == Error::Trap(Trap::ReallocOutOfBounds) => {
            raiser.raise(Trap::StringReallocOutOfBounds)
        }
        result => result,
    }
}

impl Output {
    fn allocate<E: Embedding + ?Sized>(e: &mut E, options: OptsId, align: u32, size: u32) -> Raises<Self> {
        let memory = e.store().options_of(options)?.memory;
        let memory = some_memory(e, memory)?;
        let pointer = reallocate(e, options, (0, 0), align, size)?;
        Ok(Self { options, memory, pointer, align, size, written: 0 })
    }

    fn reallocate<E: Embedding + ?Sized>(&mut self, e: &mut E, size: u32) -> Raises {
        self.pointer = reallocate(e, self.options, (self.pointer, self.size), self.align, size)?;
        self.size = size;
        Ok(())
    }

    /// Gives back what was not written.
    fn shrink<E: Embedding + ?Sized>(&mut self, e: &mut E) -> Raises {
        if self.written < self.size { self.reallocate(e, self.written) } else { Ok(()) }
    }

    /// Writes a string in the encoding that it has.
    fn copy<E: Embedding + ?Sized>(&mut self, e: &mut E, text: &mut Text) -> Raises {
        let len = text.end.saturating_sub(text.at);
        match text.origin {
            Origin::Memory(memory) => {
                self.written = len as u32;
                copy_charged(e, (self.memory, self.pointer), (memory, text.at), len)
            }
            Origin::Message(_) => self.transcode(e, text, Target::Utf8).map(drop),
        }
    }

    /// Writes the rest of a string; `false` where it stopped at a character that the target can't take.
    ///
    /// What is written stays within what was allocated even if the string has changed since it was
    /// validated: each size that the reference allocates is enough for any code units.
    fn transcode<E: Embedding + ?Sized>(
        &mut self,
        e: &mut E,
        text: &mut Text,
        target: Target,
    ) -> Raises<bool> {
        let mut chunk = Chunk([0; CHUNK]);
        while text.at < text.end {
            charge(e, text.end.saturating_sub(text.at).min(CHUNK), 0)?;
            let filled = text.read(e, |bytes| fill(&mut chunk.0, bytes, text.encoding, target))?;
            let (read, written, fits) = filled.or_raise(&mut e.store().raiser, text.encoding.invalid())?;
            let at = self.pointer.saturating_add(self.written as usize);
            let done = e
                .memory(self.memory)
                .map(|memory| copy_slice(memory.get_mut(at..)?.get_mut(..written)?, chunk.0.get(..written)?));
            let store = e.store();
            done.raising(&mut store.raiser)?.or_raise(&mut store.raiser, Trap::StringReallocOutOfBounds)?;
            text.at = text.at.saturating_add(read);
            self.written = self.written.saturating_add(written as u32);
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Transcodes as many characters as there are or as there is room for: the bytes read, the bytes written, and
/// whether the target could take all of them; `None` where the string is invalid. Reads at least one character unless the target
/// can't take it.
fn fill(
    chunk: &mut [u8; CHUNK],
    text: &[u8],
    encoding: Simple,
    target: Target,
) -> Option<(usize, usize, bool)> {
    let (mut rest, mut written, mut fits) = (text, 0usize, true);
    while !rest.is_empty() {
        // Room for any character: what it does not use is written over by the next one.
        let Some(room) = chunk.get_mut(written..).and_then(|room| room.first_chunk_mut()) else { break };
        let (c, read) = next_char(rest, encoding)?;
        let Some((word, length)) = encode(c, target) else {
            fits = false;
            break;
        };
        *room = word.to_le_bytes();
        written = written.saturating_add(length);
        rest = rest.get(read..)?;
    }
    Some((text.len().saturating_sub(rest.len()), written, fits))
}

/// A character's bytes as a little-endian word, and how many they are; `None` where the target can't take it.
fn encode(c: char, target: Target) -> Option<(u32, usize)> {
    Some(match target {
        Target::Ascii if !c.is_ascii() => return None,
        Target::Latin1 if u32::from(c) >= 0x100 => return None,
        Target::Ascii | Target::Latin1 => (c.into(), 1),
        Target::Utf8 => utf8(c),
        Target::Utf16 => match c.encode_utf16(&mut [0; 2]) {
            [high, low] => (u32::from(*high) | u32::from(*low).wrapping_shl(16), 4),
            _ => (c.into(), 2),
        },
    })
}

/// A character in UTF-8: its bytes as a little-endian word, and how many they are.
#[cfg_attr(not(feature = "alloc"), inline(never))]
pub(crate) fn utf8(c: char) -> (u32, usize) {
    let mut rest = u32::from(c);
    let length = c.len_utf8();
    if length == 1 {
        return (rest, 1);
    }
    let mut word = 0u32;
    for _ in 1..length {
        word = (word | 0x80 | rest & 0x3f).wrapping_shl(8);
        rest = rest.wrapping_shr(6);
    }
    // As many ones as there are bytes, and a zero.
    let lead = !0xffu32.wrapping_shr(length as u32);
    (word | lead & 0xff | rest, length)
}

/// The first character of a string that is not empty, and how many bytes it takes; `None` where it is not of the encoding.
fn next_char(text: &[u8], encoding: Simple) -> Option<(char, usize)> {
    match (encoding, text) {
        (Simple::Latin1, [byte, ..]) | (Simple::Utf8, [byte @ ..0x80, ..]) => Some((char::from(*byte), 1)),
        (Simple::Utf8, [lead, rest @ ..]) => {
            let (lead, more) = match lead {
                ..0xc0 => return None,
                ..0xe0 => (lead & 0x1f, 1),
                ..0xf0 => (lead & 0xf, 2),
                ..0xf8 => (lead & 0x7, 3),
                _ => return None,
            };
            let mut code = u32::from(lead);
            for byte in rest.get(..more)? {
                if byte & 0xc0 != 0x80 {
                    return None;
                }
                code = code.wrapping_shl(6) | u32::from(byte & 0x3f);
            }
            // Not a surrogate, not too large, and in no more bytes than it takes.
            let c = char::from_u32(code)?;
            (c.len_utf8() == more.wrapping_add(1)).then_some((c, c.len_utf8()))
        }
        (Simple::Utf16, [a, b, rest @ ..]) => {
            let unit = u32::from(u16::from_le_bytes([*a, *b]));
            if let Some(c) = char::from_u32(unit) {
                return Some((c, 2));
            }
            let low = u32::from(u16::from_le_bytes(*rest.first_chunk()?));
            // A high surrogate and a low one.
            if unit >= 0xdc00 || low & 0xfc00 != 0xdc00 {
                return None;
            }
            let code = (unit & 0x3ff).wrapping_shl(10) | low & 0x3ff;
            Some((char::from_u32(code.wrapping_add(0x1_0000))?, 4))
        }
        _ => None,
    }
}
