//! What core modules import and export, with all that tells whether one fits where another is expected.
//!
//! Spec: WebAssembly, "Types" and "Matching"; Explainer, "Type Checking".

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use super::{CoreFuncType, CoreKind, CoreType};

/// How many supertypes a type may have, one above the other: core wasm's own limit.
pub const MAX_SUPERTYPES: usize = 63;

/// A core module's imports and exports.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModuleType {
    /// The types that functions, tags and references are of.
    pub types: Vec<CoreDef>,
    /// Each with its two names.
    pub imports: Vec<(String, String, CoreItemType)>,
    /// By name.
    pub exports: BTreeMap<String, CoreItemType>,
}

/// The type of what a core module imports or exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CoreItemType {
    /// A function: an entry of [`ModuleType::types`].
    Func(u32),
    /// A table.
    Table(CoreTable),
    /// A memory.
    Memory(CoreMemory),
    /// A global.
    Global(CoreGlobal),
    /// A tag, of exceptions with the parameters of a function: an entry of [`ModuleType::types`].
    Tag(u32),
}

/// How large a table or a memory is at least, and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreLimits {
    /// Elements, or pages.
    pub min: u64,
    /// `None`: as many as it can.
    pub max: Option<u64>,
}

/// The type of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreTable {
    /// What its elements are.
    pub element: CoreRef,
    /// How many it has.
    pub limits: CoreLimits,
    /// 🐘 Whether it has 64-bit addresses.
    pub is_64: bool,
    /// Whether threads share it.
    pub shared: bool,
}

/// The type of a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreMemory {
    /// How many pages it has.
    pub limits: CoreLimits,
    /// 🐘 Whether it has 64-bit addresses.
    pub is_64: bool,
    /// Whether threads share it.
    pub shared: bool,
    /// The size of a page is two to this: 16, or 0.
    pub page_size_log2: u32,
}

/// The type of a global.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreGlobal {
    /// Its value.
    pub content: CoreValType,
    /// Whether it changes.
    pub mutable: bool,
    /// Whether threads share it.
    pub shared: bool,
}

/// Any core value type; [`CoreType`] has those of the canonical ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CoreValType {
    /// A number.
    Number(CoreType),
    /// A vector.
    V128,
    /// A reference.
    Ref(CoreRef),
}

/// A reference type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CoreRef {
    /// Whether it may be null.
    pub nullable: bool,
    /// What it refers to.
    pub heap: CoreHeap,
}

/// What a reference refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CoreHeap {
    /// Whatever is of this kind.
    Abstract {
        /// Which kind.
        kind: CoreAbstract,
        /// Whether threads share it.
        shared: bool,
    },
    /// Something of this type: an entry of [`ModuleType::types`].
    Defined(u32),
}

/// The kinds of what there are references to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is core wasm's heap type of that name")]
pub enum CoreAbstract {
    Func,
    NoFunc,
    Extern,
    NoExtern,
    Any,
    Eq,
    I31,
    Struct,
    Array,
    None,
    Exn,
    NoExn,
}

/// A type that a core module defines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CoreDef {
    /// Whether it is in the recursion group of the type before it. Types refer to those before them, and to
    /// all of their own group.
    pub continues: bool,
    /// Whether no other type may have it for a supertype.
    pub is_final: bool,
    /// A type before it, whose values include its own.
    pub supertype: Option<u32>,
    /// Whether threads share what is of it.
    pub shared: bool,
    /// What it is.
    pub composite: CoreComposite,
}

/// What a [`CoreDef`] is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is core wasm's composite type of that name")]
pub enum CoreComposite {
    Func(CoreSignature),
    Struct(Vec<CoreField>),
    Array(CoreField),
}

/// What any core function takes and gives; [`CoreFuncType`] has those of the canonical ABI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct CoreSignature {
    /// The parameters.
    pub params: Vec<CoreValType>,
    /// The results.
    pub results: Vec<CoreValType>,
}

/// A field of a structure, or the element of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CoreField {
    /// What it holds.
    pub storage: CoreStorage,
    /// Whether it changes.
    pub mutable: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is core wasm's storage type of that name")]
pub enum CoreStorage {
    I8,
    I16,
    Val(CoreValType),
}

/// Core types in which recursion groups that are equal are there once, so that types are equal where their
/// indices are.
#[derive(Clone, Debug, Default)]
pub struct CoreTypes {
    defs: Vec<CoreDef>,
    /// Where the groups begin, by what is in them: indices of their own types have [`OWN`] set.
    groups: BTreeMap<Vec<CoreDef>, u32>,
}

/// Set where an index counts from the begin of its own group. No table has as many entries.
const OWN: u32 = 1 << 31;

impl CoreItemType {
    /// Its kind.
    pub fn kind(&self) -> CoreKind {
        match self {
            Self::Func(_) => CoreKind::Func,
            Self::Table(_) => CoreKind::Table,
            Self::Memory(_) => CoreKind::Memory,
            Self::Global(_) => CoreKind::Global,
            Self::Tag(_) => CoreKind::Tag,
        }
    }

    /// 🐘 Whether it is a memory or a table with 64-bit addresses.
    pub fn is_64(&self) -> bool {
        match self {
            Self::Table(table) => table.is_64,
            Self::Memory(memory) => memory.is_64,
            _ => false,
        }
    }

    /// Changes each index of a type in it.
    pub(crate) fn each_index(&mut self, change: &mut dyn FnMut(&mut u32)) {
        match self {
            Self::Func(index) | Self::Tag(index) => change(index),
            Self::Table(table) => table.element.each_index(change),
            Self::Global(global) => global.content.each_index(change),
            Self::Memory(_) => {}
        }
    }
}

impl CoreValType {
    fn each_index(&mut self, change: &mut dyn FnMut(&mut u32)) {
        if let Self::Ref(reference) = self {
            reference.each_index(change);
        }
    }
}

impl CoreRef {
    /// `funcref`.
    pub const FUNC: Self = Self::null(CoreAbstract::Func);
    /// `externref`.
    pub const EXTERN: Self = Self::null(CoreAbstract::Extern);

    const fn null(kind: CoreAbstract) -> Self {
        Self { nullable: true, heap: CoreHeap::Abstract { kind, shared: false } }
    }

    fn each_index(&mut self, change: &mut dyn FnMut(&mut u32)) {
        if let CoreHeap::Defined(index) = &mut self.heap {
            change(index);
        }
    }
}

impl CoreDef {
    /// A function type that refers to no type after it, and to which nothing is said besides.
    pub fn func(signature: CoreSignature) -> Self {
        let composite = CoreComposite::Func(signature);
        Self { continues: false, is_final: true, supertype: None, shared: false, composite }
    }

    /// Changes each index of a type in it.
    pub(crate) fn each_index(&mut self, change: &mut dyn FnMut(&mut u32)) {
        self.supertype.iter_mut().for_each(&mut *change);
        let mut field = |field: &mut CoreField| {
            if let CoreStorage::Val(ty) = &mut field.storage {
                ty.each_index(change);
            }
        };
        match &mut self.composite {
            CoreComposite::Func(CoreSignature { params, results }) => {
                params.iter_mut().chain(results).for_each(|ty| ty.each_index(change));
            }
            CoreComposite::Struct(fields) => fields.iter_mut().for_each(field),
            CoreComposite::Array(element) => field(element),
        }
    }

    /// How many types and fields it is made of, itself included.
    pub fn size(&self) -> usize {
        let parts = match &self.composite {
            CoreComposite::Func(signature) => signature.params.len().saturating_add(signature.results.len()),
            CoreComposite::Struct(fields) => fields.len(),
            CoreComposite::Array(_) => 1,
        };
        parts.saturating_add(1)
    }
}

impl From<&CoreFuncType> for CoreSignature {
    fn from(ty: &CoreFuncType) -> Self {
        let numbers = |types: &[CoreType]| types.iter().map(|ty| CoreValType::Number(*ty)).collect();
        Self { params: numbers(&ty.params), results: numbers(&ty.results) }
    }
}

impl CoreTypes {
    /// No types.
    pub const fn new() -> Self {
        Self { defs: Vec::new(), groups: BTreeMap::new() }
    }

    /// The index of a function type; the one that it had before, if it is there.
    pub fn func(&mut self, signature: CoreSignature) -> u32 {
        self.group(Vec::from([CoreDef::func(signature)]))
    }

    /// The index of a recursion group's first type; the one that it had before, if an equal group is there.
    /// In the group, types have the indices that they get if none is: from [`CoreTypes::len`] on.
    pub fn group(&mut self, mut group: Vec<CoreDef>) -> u32 {
        let start = self.len();
        let mut key = group.clone();
        key.iter_mut().for_each(|def| {
            def.continues = false;
            def.each_index(&mut |index| {
                if let Some(own) = index.checked_sub(start) {
                    *index = own | OWN;
                }
            });
        });
        if let Some(known) = self.groups.get(&key) {
            return *known;
        }
        self.groups.insert(key, start);
        group.iter_mut().enumerate().for_each(|(at, def)| def.continues = at > 0);
        self.defs.append(&mut group);
        start
    }

    /// How many types there are.
    #[allow(clippy::len_without_is_empty, reason = "it is the next index")]
    pub fn len(&self) -> u32 {
        u32::try_from(self.defs.len()).unwrap_or(u32::MAX)
    }

    /// A type.
    pub fn get(&self, index: u32) -> Option<&CoreDef> {
        self.defs.get(index as usize)
    }

    /// All types.
    pub fn defs(&self) -> &[CoreDef] {
        &self.defs
    }

    /// All types, for [`ModuleType::types`].
    pub fn into_defs(self) -> Vec<CoreDef> {
        self.defs
    }
}

/// The recursion group that a type is in.
pub(crate) fn group_of(defs: &[CoreDef], index: u32) -> Range<usize> {
    let (before, after) = defs.split_at_checked(index as usize).unwrap_or((defs, &[]));
    let continues = |def: &&CoreDef| def.continues;
    let more = after.iter().skip(1).take_while(continues).count();
    let first = after.first().is_some_and(|def| def.continues);
    let start = match first {
        true => {
            before.len().saturating_sub(before.iter().rev().take_while(continues).count()).saturating_sub(1)
        }
        false => before.len(),
    };
    start..before.len().saturating_add(more).saturating_add(1).min(defs.len())
}
