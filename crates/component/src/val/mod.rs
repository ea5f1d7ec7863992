//! Values at the host's boundary.
//!
//! Spec: Explainer, "Canonical ABI"; Canonical ABI, "Loading", "Storing", "Flat Lifting", "Flat Lowering".
//!
//! Between components values go from memory to memory and are never built; a [`Val`] exists for the host
//! alone. Its canonical form is flat values (`u64`: an `i32` or `f32` is its bits zero-extended) and bytes
//! of the [`HostMemory`](crate::HostMemory), with strings in UTF-8.

mod check;
mod decode;
mod encode;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use canon_async::Error;
use canon_async::spec::PtrType;

pub use check::check;
pub use decode::Decoder;
pub use encode::Encoder;

use crate::layout::TypeError;

/// The host's memory has 32-bit addresses, whatever those of the guests have: what is there is on its way to or from one.
const HOST: PtrType = PtrType::I32;

/// A component value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is a value of the spec's type of that name")]
#[non_exhaustive]
pub enum Val {
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
    String(String),
    /// A list, of fixed length or not.
    List(Vec<Val>),
    /// Fields by name, in the order of the type.
    Record(Vec<(String, Val)>),
    Tuple(Vec<Val>),
    Variant(String, Option<Box<Val>>),
    Enum(String),
    Option(Option<Box<Val>>),
    Result(Result<Option<Box<Val>>, Option<Box<Val>>>),
    /// The flags that are set.
    Flags(Vec<String>),
    /// 🗺️ Keys and values, in order; later entries win where keys are equal.
    Map(Vec<(Val, Val)>),
    /// `own` or `borrow`: the index of the handle in the host instance's table. But a `borrow` that a host function
    /// gets, of a type that the host defines, is the representation itself, as the spec has it.
    Resource(u32),
    /// The readable end of a stream: the index of the handle in the host instance's table.
    Stream(u32),
    /// The readable end of a future: the index of the handle in the host instance's table.
    Future(u32),
    /// 📝 The index of the handle in the host instance's table, which the host drops:
    /// [`Store::drop_host_error_context`](canon_async::Store::drop_host_error_context).
    ErrorContext(u32),
}

impl Val {
    /// Every [`Val::Resource`] in the value, in order. Recurses as deep as the type nests.
    pub fn for_each_resource(&self, f: &mut impl FnMut(u32)) {
        match self {
            Self::Resource(index) => f(*index),
            Self::List(items) | Self::Tuple(items) => items.iter().for_each(|item| item.for_each_resource(f)),
            Self::Record(fields) => fields.iter().for_each(|(_, field)| field.for_each_resource(f)),
            Self::Map(entries) => entries.iter().for_each(|(key, value)| {
                key.for_each_resource(f);
                value.for_each_resource(f);
            }),
            Self::Variant(_, Some(val))
            | Self::Option(Some(val))
            | Self::Result(Ok(Some(val)) | Err(Some(val))) => val.for_each_resource(f),
            _ => {}
        }
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::S8(_) => "s8",
            Self::U8(_) => "u8",
            Self::S16(_) => "s16",
            Self::U16(_) => "u16",
            Self::S32(_) => "s32",
            Self::U32(_) => "u32",
            Self::S64(_) => "s64",
            Self::U64(_) => "u64",
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
            Self::Char(_) => "char",
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Record(_) => "record",
            Self::Tuple(_) => "tuple",
            Self::Variant(..) => "variant",
            Self::Enum(_) => "enum",
            Self::Option(_) => "option",
            Self::Result(_) => "result",
            Self::Flags(_) => "flags",
            Self::Map(_) => "map",
            Self::Resource(_) => "resource",
            Self::Stream(_) => "stream",
            Self::Future(_) => "future",
            Self::ErrorContext(_) => "error-context",
        }
    }
}

/// Why a value could not cross the boundary.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ValError {
    /// The value is not of the type.
    Type {
        /// Where in the values: `argument 2 "xs"[3].name`.
        path: String,
        /// The type, as text.
        expected: String,
        /// What is there instead.
        found: String,
    },
    /// The core's error: a limit, as a rule, or bytes that are no value.
    Core(Error),
    /// The plan's types are no types.
    Plan(TypeError),
}

impl fmt::Display for ValError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { path, expected, found } => write!(f, "{path}: expected {expected}, found {found}"),
            Self::Core(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ValError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Core(error) => Some(error),
            Self::Plan(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for ValError {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<TypeError> for ValError {
    fn from(error: TypeError) -> Self {
        Self::Plan(error)
    }
}

impl ValError {
    pub(crate) fn mismatch(expected: impl ToString, found: impl ToString) -> Self {
        Self::Type { path: String::new(), expected: expected.to_string(), found: found.to_string() }
    }

    /// Says where the value at fault lies in the one around it: paths are built from the inside out.
    pub(crate) fn at(self, segment: impl fmt::Display) -> Self {
        match self {
            Self::Type { path, expected, found } => {
                Self::Type { path: format!("{segment}{path}"), expected, found }
            }
            other => other,
        }
    }

    /// What [`Embedding`](canon_async::Embedding)'s methods can say of it.
    pub fn to_error(&self) -> Error {
        match self {
            Self::Core(error) => *error,
            Self::Type { .. } => Error::Misuse("a host value is not of its type"),
            Self::Plan(_) => Error::Misuse("a plan's types are no types"),
        }
    }
}
