//! [`ComponentValue`]: a value as the host has it.

use super::text::{Seq, Text, check_text, push};
use super::{Limits, Tier};
pub use crate::abi::types::ValType as ValueType;
use crate::abi::types::{Layout, TypeDef, Types};
use crate::error::{Error, Resource, Trap};
use crate::spec::PtrType;
use crate::storage::Blank;
use core::fmt;

impl ValueType {
    /// `s32`, by core wasm's name.
    pub const I32: Self = Self::S32;
    /// `s64`, by core wasm's name.
    pub const I64: Self = Self::S64;

    /// Whether it is a number, a `bool` or a `char`: one core value that points nowhere.
    pub const fn is_scalar(self) -> bool {
        !matches!(self, Self::String | Self::ErrorContext | Self::Defined(_))
    }
}

impl Blank for ValueType {
    const BLANK: Self = Self::Bool;
}

/// A type whose values are one core value that points nowhere: a number, a `bool`, a `char`, or a handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlatType {
    /// A scalar, or an error context.
    Plain(ValueType),
    Resource,
    Stream,
    Future,
}

impl FlatType {
    /// `None` for all other types.
    pub(crate) fn of(ty: ValueType, types: &Types<Tier>) -> Option<Self> {
        match ty {
            ValueType::String => None,
            ValueType::Defined(id) => match types.def(id)? {
                TypeDef::Own(_) | TypeDef::Borrow(_) => Some(Self::Resource),
                TypeDef::Stream(_) => Some(Self::Stream),
                TypeDef::Future(_) => Some(Self::Future),
                _ => None,
            },
            plain => Some(Self::Plain(plain)),
        }
    }

    /// `lower_flat`; `None` where the value is of another type.
    pub(crate) fn lower(self, value: &ComponentValue) -> Option<u64> {
        let fits = match (self, value) {
            (Self::Plain(ty), value) => value.value_type() == Some(ty),
            (Self::Resource, ComponentValue::Resource(_))
            | (Self::Stream, ComponentValue::Stream(_))
            | (Self::Future, ComponentValue::Future(_)) => true,
            _ => false,
        };
        value.to_bits().filter(|_| fits)
    }

    /// `lift_flat`.
    pub(crate) fn lift(self, bits: u64) -> Result<ComponentValue, Error> {
        match self {
            Self::Plain(ty) => ComponentValue::from_bits(ty, bits),
            Self::Resource => Ok(ComponentValue::Resource(bits as u32)),
            Self::Stream => Ok(ComponentValue::Stream(bits as u32)),
            Self::Future => Ok(ComponentValue::Future(bits as u32)),
        }
    }
}

crate::bounded! {
    /// Types beside any store: what is not defined, and one that is.
    pub(crate) Scratch {
        instances: 0, handles: 0, thread_indices: 0, tasks: 0, threads: 0, waitables: 0, sets: 0, streams: 0,
        error_contexts: 0, message_bytes: 0, queued: 0, lends: 0, types: 1, type_items: 0, resources: 0, functions: 0,
        depth: 1,
    }
}

/// Types beside any store, for layouts: there is room for one defined type.
pub(crate) const fn scratch_types() -> Types<Scratch> {
    Types::new()
}

/// The layout of a type that is not defined, which is the same in every store.
pub(crate) fn primitive_layout(ty: ValueType) -> Option<Layout> {
    scratch_types().layout(ty)
}

/// A component value of the host: scalars, text, lists of scalars, and handles, which are indices of the host instance's table.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs, reason = "each is a value of the spec's type of that name")]
#[non_exhaustive]
pub enum ComponentValue {
    Bool(bool),
    S8(i8),
    U8(u8),
    S16(i16),
    U16(u16),
    S32(i32),
    U32(u32),
    S64(i64),
    U64(u64),
    F32(f32),
    F64(f64),
    Char(char),
    String(Text),
    List(Scalars),
    /// `own` or `borrow`.
    Resource(u32),
    /// The readable end of a stream.
    Stream(u32),
    /// The readable end of a future.
    Future(u32),
    ErrorContext(u32),
}

impl ComponentValue {
    /// An `s32`, by core wasm's name.
    #[allow(non_snake_case)]
    pub const fn I32(value: i32) -> Self {
        Self::S32(value)
    }

    /// An `s64`, by core wasm's name.
    #[allow(non_snake_case)]
    pub const fn I64(value: i64) -> Self {
        Self::S64(value)
    }

    /// Its type, where that is not a defined one: lists and most handles have no type of their own.
    pub const fn value_type(&self) -> Option<ValueType> {
        Some(match self {
            Self::Bool(_) => ValueType::Bool,
            Self::S8(_) => ValueType::S8,
            Self::U8(_) => ValueType::U8,
            Self::S16(_) => ValueType::S16,
            Self::U16(_) => ValueType::U16,
            Self::S32(_) => ValueType::S32,
            Self::U32(_) => ValueType::U32,
            Self::S64(_) => ValueType::S64,
            Self::U64(_) => ValueType::U64,
            Self::F32(_) => ValueType::F32,
            Self::F64(_) => ValueType::F64,
            Self::Char(_) => ValueType::Char,
            Self::String(_) => ValueType::String,
            Self::ErrorContext(_) => ValueType::ErrorContext,
            Self::List(_) | Self::Resource(_) | Self::Stream(_) | Self::Future(_) => return None,
        })
    }

    /// The value of a scalar or a handle as a flat core value: `lower_flat`. Text and lists have none.
    pub const fn to_bits(&self) -> Option<u64> {
        Some(match *self {
            Self::Bool(value) => value as u64,
            Self::S8(value) => value as i32 as u32 as u64,
            Self::U8(value) => value as u64,
            Self::S16(value) => value as i32 as u32 as u64,
            Self::U16(value) => value as u64,
            Self::S32(value) => value as u32 as u64,
            Self::U32(value)
            | Self::Resource(value)
            | Self::Stream(value)
            | Self::Future(value)
            | Self::ErrorContext(value) => value as u64,
            Self::S64(value) => value as u64,
            Self::U64(value) => value,
            Self::F32(value) => value.to_bits() as u64,
            Self::F64(value) => value.to_bits(),
            Self::Char(value) => value as u64,
            Self::String(_) | Self::List(_) => return None,
        })
    }

    /// The value of a scalar type or an error context from a flat core value: `lift_flat`.
    ///
    /// # Errors
    /// `Trap(InvalidChar)`; `Misuse` for a type whose values are no core values.
    pub fn from_bits(ty: ValueType, bits: u64) -> Result<Self, Error> {
        Ok(match ty {
            ValueType::Bool => Self::Bool(bits as u32 != 0),
            ValueType::S8 => Self::S8(bits as i8),
            ValueType::U8 => Self::U8(bits as u8),
            ValueType::S16 => Self::S16(bits as i16),
            ValueType::U16 => Self::U16(bits as u16),
            ValueType::S32 => Self::S32(bits as i32),
            ValueType::U32 => Self::U32(bits as u32),
            ValueType::S64 => Self::S64(bits as i64),
            ValueType::U64 => Self::U64(bits),
            ValueType::F32 => Self::F32(f32::from_bits(bits as u32)),
            ValueType::F64 => Self::F64(f64::from_bits(bits)),
            ValueType::Char => Self::Char(char::from_u32(bits as u32).ok_or(Trap::InvalidChar(bits as u32))?),
            ValueType::ErrorContext => Self::ErrorContext(bits as u32),
            ValueType::String | ValueType::Defined(_) => {
                return Err(Error::Misuse("a value of this type is no core value"));
            }
        })
    }

    /// The zero of a type: `false`, 0, `'\0'`, the empty text.
    ///
    /// # Errors
    /// `Misuse` for a type without a zero: an error context, a defined type.
    pub fn zero(ty: ValueType) -> Result<Self, Error> {
        match ty {
            ValueType::String => Ok(Self::String(Text::new())),
            ValueType::ErrorContext | ValueType::Defined(_) => {
                Err(Error::Misuse("a value of this type has no zero"))
            }
            scalar => Self::from_bits(scalar, 0),
        }
    }

    /// Writes a scalar or a handle to the first bytes: `store` of the Canonical ABI.
    ///
    /// # Errors
    /// `Misuse` where the bytes are fewer than the type's `elem_size`, or for text and lists, which need a memory.
    pub fn store(&self, to: &mut [u8]) -> Result<(), Error> {
        const IN_MEMORY: Error = Error::Misuse("text and lists are stored in a memory");
        let (bits, size) = (self.to_bits().ok_or(IN_MEMORY)?, self.size());
        let bits = bits.to_le_bytes();
        let (Some(to), Some(bits)) = (to.get_mut(..size), bits.get(..size)) else {
            return Err(Error::Misuse("fewer bytes than the value has"));
        };
        to.iter_mut().zip(bits).for_each(|(to, bits)| *to = *bits);
        Ok(())
    }

    /// Reads a scalar or an error context from the first bytes: `load` of the Canonical ABI.
    ///
    /// # Errors
    /// `Trap(InvalidChar)`; `Misuse` where the bytes are fewer than the type's `elem_size`, or for another type.
    pub fn load(ty: ValueType, from: &[u8]) -> Result<Self, Error> {
        let size = primitive_layout(ty).map_or(0, |layout| layout.size(PtrType::I32)) as usize;
        let mut bits = [0; 8];
        match (bits.get_mut(..size), from.get(..size)) {
            (Some(bits), Some(from)) => bits.iter_mut().zip(from).for_each(|(bits, from)| *bits = *from),
            _ => return Err(Error::Misuse("fewer bytes than the value has")),
        }
        Self::from_bits(ty, u64::from_le_bytes(bits))
    }

    /// `elem_size` of a scalar or a handle.
    pub(super) fn size(&self) -> usize {
        let layout = self.value_type().and_then(primitive_layout);
        layout.map_or(4, |layout| layout.size(PtrType::I32)) as usize
    }

    /// Checks that it is not larger than the limits allow.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Error> {
        match self {
            Self::String(text) => check_text(text, limits.text_bytes),
            Self::List(list) if list.len() > limits.list_items as usize => {
                Err(Error::limit_reached(Resource::ListItems, limits.list_items as usize))
            }
            _ => Ok(()),
        }
    }

    /// The text of a [`ComponentValue::String`].
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

/// The bits of a scalar.
impl Blank for u64 {
    const BLANK: Self = 0;
}

impl Blank for ComponentValue {
    const BLANK: Self = Self::Bool(false);
}

macro_rules! scalars {
    ($($name:ident($ty:ty);)*) => {$(
        impl From<$ty> for ComponentValue {
            fn from(value: $ty) -> Self {
                Self::$name(value)
            }
        }

        impl TryFrom<&ComponentValue> for $ty {
            type Error = Error;
            fn try_from(value: &ComponentValue) -> Result<Self, Error> {
                match value {
                    ComponentValue::$name(value) => Ok(*value),
                    _ => Err(Error::Misuse(concat!("the value is no ", stringify!($ty)))),
                }
            }
        }
    )*};
}

scalars! {
    Bool(bool); S8(i8); U8(u8); S16(i16); U16(u16); S32(i32); U32(u32); S64(i64); U64(u64); F32(f32); F64(f64); Char(char);
}

impl From<&str> for ComponentValue {
    fn from(value: &str) -> Self {
        Self::String(Text::from(value))
    }
}

impl From<Text> for ComponentValue {
    fn from(value: Text) -> Self {
        Self::String(value)
    }
}

impl fmt::Display for ComponentValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::S8(value) => value.fmt(f),
            Self::U8(value) => value.fmt(f),
            Self::S16(value) => value.fmt(f),
            Self::U16(value) => value.fmt(f),
            Self::S32(value) => value.fmt(f),
            Self::U32(value) => value.fmt(f),
            Self::S64(value) => value.fmt(f),
            Self::U64(value) => value.fmt(f),
            Self::F32(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::Char(value) => write!(f, "{value:?}"),
            Self::String(value) => f.write_str(value),
            Self::List(list) => {
                f.write_str("[")?;
                for (index, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Resource(index) => write!(f, "resource {index}"),
            Self::Stream(index) => write!(f, "stream {index}"),
            Self::Future(index) => write!(f, "future {index}"),
            Self::ErrorContext(index) => write!(f, "error-context {index}"),
        }
    }
}

/// A list of scalars of one type: a `list` without a heap has no place for lists in it.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scalars {
    element: ValueType,
    bits: Seq<u64>,
}

impl Scalars {
    /// An empty list.
    ///
    /// # Errors
    /// `Misuse` where the type is no scalar.
    pub fn new(element: ValueType) -> Result<Self, Error> {
        if !element.is_scalar() {
            return Err(Error::Misuse("a list of the host's values is of numbers, bools or chars"));
        }
        Ok(Self { element, bits: Seq::new() })
    }

    /// A list of these values. An empty one is of `bool`.
    ///
    /// # Errors
    /// `Misuse` where they are not all of one scalar type; `Capacity(ListItems)`.
    pub fn of(values: &[ComponentValue]) -> Result<Self, Error> {
        let element = values.first().map_or(Some(ValueType::Bool), ComponentValue::value_type);
        let mut list = Self::new(element.ok_or(Error::Misuse("a list is of scalars"))?)?;
        values.iter().try_for_each(|value| list.push(value))?;
        Ok(list)
    }

    /// The type of the elements.
    pub fn element(&self) -> ValueType {
        self.element
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// Adds an element at the end.
    ///
    /// # Errors
    /// `Misuse` where it is of another type; `Capacity(ListItems)`.
    pub fn push(&mut self, value: &ComponentValue) -> Result<(), Error> {
        let bits = value.to_bits().filter(|_| value.value_type() == Some(self.element));
        push(&mut self.bits, bits.ok_or(Error::Misuse("an element of another type"))?, u32::MAX)
    }

    /// The element at an index.
    pub fn get(&self, index: usize) -> Option<ComponentValue> {
        ComponentValue::from_bits(self.element, *self.bits.get(index)?).ok()
    }

    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = ComponentValue> {
        self.bits.iter().filter_map(|bits| ComponentValue::from_bits(self.element, *bits).ok())
    }
}
