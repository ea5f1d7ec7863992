//! The binary format of core modules, as far as it can be read without a validator: sections, and numbers.
//!
//! For who counts in a module or changes it before the engine sees it. Whether it is a module, the engine
//! says.
//!
//! ```
//! use canon_async_component::core_binary::{Reader, put_number, sections};
//!
//! let module = wat::parse_str("(module (func) (func))").unwrap();
//! let ids: Vec<u8> = sections(&module).map(|section| section.id).collect();
//! assert_eq!(ids, [1, 3, 10]);
//! let functions = sections(&module).find(|section| section.id == 3).unwrap();
//! assert_eq!(Reader::new(functions.content).number(), Some(2));
//! // Cut off, or of more than 32 bits.
//! assert_eq!(Reader::new(&[0x80]).number(), None);
//! assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x10]).number(), None);
//! for number in [0, 127, 128, u32::MAX] {
//!     let mut bytes = Vec::new();
//!     put_number(&mut bytes, number);
//!     assert_eq!(Reader::new(&bytes).number(), Some(number));
//! }
//! ```

use alloc::vec::Vec;

/// The bytes of the preamble, which are in front of the sections.
pub const PREAMBLE: usize = 8;

/// Reads from the front of bytes. What can't be read is `None`; where the reader is then is of no use.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// From the first of these bytes on.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// A byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// So many bytes.
    pub fn bytes(&mut self, size: u32) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(size).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A number of LEB128: of five bytes at most, and of 32 bits.
    pub fn number(&mut self) -> Option<u32> {
        let mut number = 0u32;
        for shift in [0u32, 7, 14, 21, 28] {
            let byte = self.byte()?;
            let bits = u32::from(byte & 0x7f);
            if bits.leading_zeros() < shift {
                return None;
            }
            number |= bits.wrapping_shl(shift);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// Writes a number as [`Reader::number`] reads it.
pub fn put_number(out: &mut Vec<u8>, number: u32) {
    let mut rest = number;
    while rest >= 0x80 {
        // The low seven bits.
        out.push((rest & 0x7f) as u8 | 0x80);
        rest = rest.wrapping_shr(7);
    }
    out.push(rest as u8);
}

/// A section of a module.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Which.
    pub id: u8,
    /// What is in it.
    pub content: &'a [u8],
    /// The section with its id and size.
    pub whole: &'a [u8],
}

/// A module's sections, up to the first that can't be read.
pub fn sections(module: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let mut reader = Reader::new(module.get(PREAMBLE..).unwrap_or(&[]));
    core::iter::from_fn(move || {
        let begin = reader.rest();
        let id = reader.byte()?;
        let size = reader.number()?;
        let content = reader.bytes(size)?;
        let whole = begin.get(..begin.len().checked_sub(reader.rest().len())?)?;
        Some(Section { id, content, whole })
    })
}
