//! Component types as a plan keeps them: with their labels, after substitution, without duplicates.
//!
//! Spec: Explainer, "Type Definitions"; "Despecialization".
//!
//! A type refers only to types before it in its table, so the table can be walked once from its start,
//! and no type contains itself. [`layout`](crate::layout) depends on that and checks it.

use alloc::string::String;
use alloc::vec::Vec;

use canon_async::spec::PtrType;
use serde::{Deserialize, Serialize};

pub use crate::print::{DisplayType, MAX_NODES};

/// The types of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TypeTable {
    /// The value types that are not primitive. Equal types have equal indices.
    pub defs: Vec<TypeDef>,
    /// The function types. Equal types have equal indices.
    pub funcs: Vec<FuncType>,
    /// The resource types, each different from every other.
    pub resources: Vec<Resource>,
}

/// A value type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the spec's type of that name")]
#[non_exhaustive]
pub enum ValType {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    ErrorContext,
    /// An entry of [`TypeTable::defs`].
    Defined(u32),
}

/// A value type that is not primitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the spec's type of that name")]
#[non_exhaustive]
pub enum TypeDef {
    Record(Vec<Field>),
    Variant(Vec<Case>),
    List(ValType),
    /// 🔧 A list of fixed length.
    FixedList(ValType, u32),
    Tuple(Vec<ValType>),
    /// The labels.
    Flags(Vec<String>),
    /// The labels.
    Enum(Vec<String>),
    Option(ValType),
    Result {
        ok: Option<ValType>,
        err: Option<ValType>,
    },
    /// 🗺️ Keys and values.
    Map(ValType, ValType),
    /// An entry of [`TypeTable::resources`].
    Own(u32),
    /// An entry of [`TypeTable::resources`].
    Borrow(u32),
    Stream(Option<ValType>),
    Future(Option<ValType>),
}

/// A field of a record, or a parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Field {
    /// Its label.
    pub name: String,
    /// Its type.
    pub ty: ValType,
}

/// A case of a variant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Case {
    /// Its label.
    pub name: String,
    /// Its payload.
    pub ty: Option<ValType>,
}

/// A component function type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FuncType {
    /// The parameters.
    pub params: Vec<Field>,
    /// The result.
    pub result: Option<ValType>,
    /// Whether a call may block: `async`.
    pub is_async: bool,
}

/// A resource type: one for each definition in each instance, and one for each that is imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// A name to show; not unique. Empty where it was never imported or exported.
    pub name: String,
    /// Whose it is.
    pub origin: Origin,
}

/// Whose a resource type is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Origin {
    /// Defined in this component instance.
    Defined {
        /// The instance.
        instance: u32,
        /// The type of its representation.
        #[serde(with = "PtrTypeDef")]
        rep: PtrType,
    },
    /// Imported by the root.
    Imported {
        /// Where: `name`, or `instance#name`.
        path: String,
    },
}

/// [`PtrType`], for serde.
#[derive(Serialize, Deserialize)]
#[serde(remote = "PtrType")]
pub(crate) enum PtrTypeDef {
    I32,
    I64,
}

impl TypeTable {
    /// A type that is not primitive.
    pub fn def(&self, index: u32) -> Option<&TypeDef> {
        self.defs.get(index as usize)
    }

    /// A function type.
    pub fn func(&self, index: u32) -> Option<&FuncType> {
        self.funcs.get(index as usize)
    }

    /// A resource type.
    pub fn resource(&self, index: u32) -> Option<&Resource> {
        self.resources.get(index as usize)
    }

    /// A value type as WIT-like text.
    pub fn display(&self, ty: ValType) -> DisplayType<'_> {
        DisplayType::value(self, ty)
    }

    /// A function type as WIT-like text.
    pub fn display_func<'a>(&'a self, ty: &'a FuncType) -> DisplayType<'a> {
        DisplayType::func(self, ty)
    }
}

impl TypeDef {
    /// Calls `f` for each value type that this one is made of, in order.
    pub fn for_each(&self, mut f: impl FnMut(ValType)) {
        match self {
            Self::Record(fields) => fields.iter().for_each(|field| f(field.ty)),
            Self::Variant(cases) => cases.iter().filter_map(|case| case.ty).for_each(f),
            Self::List(ty) | Self::FixedList(ty, _) | Self::Option(ty) => f(*ty),
            Self::Tuple(types) => types.iter().copied().for_each(f),
            Self::Result { ok, err } => ok.iter().chain(err).copied().for_each(f),
            Self::Map(key, value) => [*key, *value].into_iter().for_each(f),
            Self::Stream(ty) | Self::Future(ty) => ty.iter().copied().for_each(f),
            Self::Flags(_) | Self::Enum(_) | Self::Own(_) | Self::Borrow(_) => {}
        }
    }

    /// A fingerprint of what the despecialised form forgets: the kind and the labels.
    pub fn names(&self) -> u32 {
        let mut hash = Fingerprint::default();
        match self {
            Self::Record(fields) => {
                hash.word(1);
                fields.iter().for_each(|field| hash.text(&field.name));
            }
            Self::Tuple(_) => hash.word(2),
            Self::Variant(cases) => {
                hash.word(3);
                cases.iter().for_each(|case| hash.text(&case.name));
            }
            Self::Enum(labels) => {
                hash.word(4);
                labels.iter().for_each(|label| hash.text(label));
            }
            Self::Option(_) => hash.word(5),
            Self::Result { .. } => hash.word(6),
            Self::List(_) => hash.word(7),
            Self::Map(..) => hash.word(8),
            Self::Flags(labels) => {
                hash.word(9);
                labels.iter().for_each(|label| hash.text(label));
            }
            Self::FixedList(..) => hash.word(10),
            Self::Own(_) => hash.word(11),
            Self::Borrow(_) => hash.word(12),
            Self::Stream(_) => hash.word(13),
            Self::Future(_) => hash.word(14),
        }
        hash.0
    }
}

impl FuncType {
    /// A fingerprint of the parameters' names, for the record that they are in the store.
    pub fn names(&self) -> u32 {
        let mut hash = Fingerprint::default();
        hash.word(15);
        self.params.iter().for_each(|param| hash.text(&param.name));
        hash.0
    }
}

/// FNV-1a. A collision is harmless: it makes two types one that differ in labels alone.
struct Fingerprint(u32);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Fingerprint {
    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }

    fn word(&mut self, word: u32) {
        word.to_le_bytes().into_iter().for_each(|byte| self.byte(byte));
    }

    /// The text and an end: `a`, `bc` is not `ab`, `c`. A label holds no zero byte.
    fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
        self.byte(0);
    }
}
