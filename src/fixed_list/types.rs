//! Types of fixed-length lists that are known at run time.

use crate::abi::types::{Layout, NewType, TypeDef, Types};
use crate::ambient::{Room, ValueType, capacity, scratch_types};
use crate::error::{Error, Resource};
use crate::id::TypeId;
use crate::spec::{MAX_ELEM_SIZE, PtrType};
use crate::storage::{Blank, Hashed, Limit, Profile, Unique};
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

/// The type of a list of fixed length: `list<element, length>`. Its elements are of a type that is not a defined one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FixedLengthListType {
    element: ValueType,
    length: u32,
}

impl FixedLengthListType {
    /// The type. Whether it is one that the spec allows is checked where it is used: [`FixedLengthListType::check`].
    pub const fn new(element: ValueType, length: u32) -> Self {
        Self { element, length }
    }

    /// The type that a store has by this id.
    ///
    /// # Errors
    /// `Misuse` where it is no list of fixed length, or its elements are of a defined type.
    pub fn of<P: Profile>(types: &Types<P>, id: TypeId) -> Result<Self, Error> {
        match types.def(id) {
            Some(TypeDef::FixedList(element, length)) => Self::new(element, length).check(),
            _ => Err(Error::Misuse("the type is no list of fixed length")),
        }
    }

    /// The type of the elements.
    pub const fn element(self) -> ValueType {
        self.element
    }

    /// How many elements a list has.
    pub const fn length(self) -> u32 {
        self.length
    }

    /// The type, where it is one that the spec allows.
    ///
    /// # Errors
    /// `Misuse` where the length is 0, a list takes 2^28 bytes or more, or its elements are of a defined type.
    pub fn check(self) -> Result<Self, Error> {
        self.layout().map(|_| self)
    }

    /// The layout in a memory: `elem_size` and `alignment`.
    ///
    /// # Errors
    /// As [`FixedLengthListType::check`].
    pub fn layout(self) -> Result<Layout, Error> {
        if let ValueType::Defined(_) = self.element {
            return Err(Error::Misuse("a list of fixed length of a defined type needs a store"));
        }
        let mut types = scratch_types();
        let id = self.intern(&mut types)?;
        let layout = types.layout(ValueType::Defined(id)).ok_or(Error::Bug("a type without a layout"))?;
        if layout.size(PtrType::I64) > MAX_ELEM_SIZE {
            return Err(Error::Misuse("a list of fixed length takes 2^28 bytes or more"));
        }
        Ok(layout)
    }

    /// `elem_size`, in bytes.
    ///
    /// # Errors
    /// As [`FixedLengthListType::check`].
    pub fn elem_size(self, pointers: PtrType) -> Result<u32, Error> {
        Ok(self.layout()?.size(pointers))
    }

    /// `alignment`, in bytes.
    ///
    /// # Errors
    /// As [`FixedLengthListType::check`].
    pub fn alignment(self, pointers: PtrType) -> Result<u32, Error> {
        Ok(self.layout()?.align(pointers))
    }

    /// The type in a store, which it is added to where it is not there.
    ///
    /// # Errors
    /// `Capacity(Types)`; `Misuse` where the length is 0 or a list takes 2^32 bytes or more.
    pub fn intern<P: Profile>(self, types: &mut Types<P>) -> Result<TypeId, Error> {
        types.intern(NewType::FixedList(self.element, self.length), 0)
    }

    /// The type that bytes of a component's type section begin with (`0x67 t:<valtype> len:<u32>`), and how many bytes it takes.
    /// `resolve` says what a type index stands for; `None` where that is not a primitive type.
    ///
    /// # Errors
    /// What was expected, and at which offset.
    pub fn from_component_bytes(
        bytes: &[u8],
        mut resolve: impl FnMut(u32) -> Option<ValueType>,
    ) -> Result<(Self, usize), ListTypeError> {
        let mut at = 0;
        if bytes.first() != Some(&0x67) {
            return Err(ListTypeError { offset: 0, expected: "0x67, a list of fixed length" });
        }
        at = next(at);
        let byte = bytes.get(at).copied();
        let element = match byte.and_then(|byte| PRIMITIVES.iter().find(|(_, _, code)| *code == byte)) {
            Some((ty, ..)) => {
                at = next(at);
                *ty
            }
            None => {
                let expected = "a primitive type, or the index of one";
                // An index is an `s33` that is not negative.
                let (index, after) = leb(bytes, at, 33, expected)?;
                let index = u32::try_from(index)
                    .ok()
                    .filter(|_| bytes.get(after.saturating_sub(1)).is_some_and(|last| last & 0x40 == 0));
                let ty = index.and_then(&mut resolve).filter(|ty| !matches!(ty, ValueType::Defined(_)));
                let ty = ty.ok_or(ListTypeError { offset: at, expected })?;
                at = after;
                ty
            }
        };
        let (length, after) = leb(bytes, at, 32, "a length")?;
        let error = ListTypeError { offset: at, expected: "a length above 0, and fewer than 2^28 bytes" };
        let ty = Self::new(element, u32::try_from(length).map_err(|_| error)?);
        Ok((ty.check().map_err(|_| error)?, after))
    }
}

fn next(at: usize) -> usize {
    at.saturating_add(1)
}

/// A number in LEB128 of at most so many bits, and the offset after it.
fn leb(bytes: &[u8], start: usize, bits: u32, expected: &'static str) -> Result<(u64, usize), ListTypeError> {
    let (mut value, mut at) = (0u64, start);
    for shift in (0..bits).step_by(7) {
        let byte = bytes.get(at).copied().ok_or(ListTypeError { offset: at, expected })?;
        value |= u64::from(byte & 0x7f).wrapping_shl(shift);
        at = next(at);
        if byte & 0x80 == 0 {
            return Ok((value, at));
        }
    }
    Err(ListTypeError { offset: start, expected })
}

/// Each primitive type, by WIT's name and by its code in the binary format.
const PRIMITIVES: [(ValueType, &str, u8); 14] = [
    (ValueType::Bool, "bool", 0x7f),
    (ValueType::S8, "s8", 0x7e),
    (ValueType::U8, "u8", 0x7d),
    (ValueType::S16, "s16", 0x7c),
    (ValueType::U16, "u16", 0x7b),
    (ValueType::S32, "s32", 0x7a),
    (ValueType::U32, "u32", 0x79),
    (ValueType::S64, "s64", 0x78),
    (ValueType::U64, "u64", 0x77),
    (ValueType::F32, "f32", 0x76),
    (ValueType::F64, "f64", 0x75),
    (ValueType::Char, "char", 0x74),
    (ValueType::String, "string", 0x73),
    (ValueType::ErrorContext, "error-context", 0x64),
];

/// What was read is no type of a list of fixed length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ListTypeError {
    /// Where, in bytes from the beginning.
    pub offset: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for ListTypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at offset {}: expected {}", self.offset, self.expected)
    }
}

impl core::error::Error for ListTypeError {}

impl fmt::Display for FixedLengthListType {
    /// In WIT's notation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = PRIMITIVES.iter().find(|(ty, ..)| *ty == self.element).map_or("_", |(_, name, _)| *name);
        write!(f, "list<{name}, {}>", self.length)
    }
}

impl FromStr for FixedLengthListType {
    type Err = ListTypeError;

    /// From WIT's notation: `list<s32, 5>`. Blanks may stand between the parts.
    fn from_str(text: &str) -> Result<Self, ListTypeError> {
        let offset = |rest: &str| text.len().saturating_sub(rest.len());
        let token = |rest: &'_ str, token: &str, expected| {
            let rest = rest.trim_start();
            let error = ListTypeError { offset: offset(rest), expected };
            rest.strip_prefix(token).map(str::len).ok_or(error)
        };
        let tail = |len: usize| text.get(text.len().saturating_sub(len)..).unwrap_or("");
        let rest = tail(token(text, "list", "`list`")?);
        let rest = tail(token(rest, "<", "`<`")?).trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let element = PRIMITIVES.iter().find(|(_, known, _)| *known == name).map(|(ty, ..)| *ty);
        let element = element.ok_or(ListTypeError { offset: offset(rest), expected: "a primitive type" })?;
        let rest = tail(token(after, ",", "`,` and a length")?).trim_start();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let error =
            ListTypeError { offset: offset(rest), expected: "a length above 0, and fewer than 2^28 bytes" };
        let ty = Self::new(element, digits.parse().map_err(|_| error)?);
        let rest = tail(token(after, ">", "`>`")?).trim_start();
        if !rest.is_empty() {
            return Err(ListTypeError { offset: offset(rest), expected: "the end" });
        }
        ty.check().map_err(|_| error)
    }
}

impl Blank for FixedLengthListType {
    const BLANK: Self = Self::new(ValueType::Bool, 0);
}

/// Types of fixed-length lists by index; equal types share one. Expected O(1).
#[derive(Debug)]
pub struct FixedLengthListTypeRegistry {
    types: Unique<FixedLengthListType, Room<Hashed<FixedLengthListType>, { capacity::LIST_TYPES }>>,
    limit: usize,
}

impl FixedLengthListTypeRegistry {
    /// An empty registry for [`capacity::LIST_TYPES`] types.
    pub const fn new() -> Self {
        Self::with_limit(capacity::LIST_TYPES)
    }

    /// An empty registry for so many types; without a heap for [`capacity::LIST_TYPES`] at most.
    pub const fn with_limit(limit: usize) -> Self {
        Self { types: Unique::EMPTY, limit }
    }

    /// The index of the type, which is added where no equal one is there.
    ///
    /// # Errors
    /// `Capacity(ListTypes)`; `Misuse` as [`FixedLengthListType::check`].
    pub fn register_type(&mut self, ty: FixedLengthListType) -> Result<u32, Error> {
        if let Some(index) = self.find(ty) {
            return Ok(index);
        }
        let ty = ty.check()?;
        let full = Error::limit_reached(Resource::ListTypes, self.limit);
        if self.len() >= self.limit {
            return Err(full);
        }
        self.types.add(hash(ty), ty, Limit::NONE).ok_or(full)
    }

    /// The index of the type, if it is there.
    pub fn find(&self, ty: FixedLengthListType) -> Option<u32> {
        self.types.find(hash(ty), |found| *found == ty)
    }

    /// The type at an index.
    pub fn get(&self, index: u32) -> Option<FixedLengthListType> {
        self.types.get(index as usize).copied()
    }

    /// How many types there are.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }
}

impl Default for FixedLengthListTypeRegistry {
    fn default() -> Self {
        Self::new()
    }
}

/// FNV-1a.
struct Fnv(u32);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0.into()
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

fn hash(ty: FixedLengthListType) -> u32 {
    let mut hasher = Fnv(0x811c_9dc5);
    ty.hash(&mut hasher);
    hasher.0
}
