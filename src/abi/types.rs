//! Spec: Despecialization, Type Predicates.
//!
//! Component value types as the store keeps them: despecialised, interned (equal types have equal ids, so a
//! comparison is one of numbers), and with their [`Layout`] worked out once, when a component is linked.

use crate::error::{Error, LimitReached, Resource};
use crate::id::{FuncTypeId, InstanceId, LiftId, ResourceId, TypeId};
use crate::message::Misuse;

use super::hash::{hash, hash_func};
pub use super::layout::{Layout, align_to, discriminant_size};
#[cfg(doc)]
use crate::spec::MAX_TYPE_DEPTH;
use crate::storage::{Blank, Full, HeapBudget, Limit, Limits, Profile, Slots, Unique};

/// `valtype`: a primitive, or a type that is defined.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
    Defined(TypeId),
}

/// A field's type, or a case's (which may have none).
pub type TypeItem = Option<ValType>;

/// A defined type, despecialised: tuples are records; enums, options and results are variants; a map is a
/// list of pairs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TypeDef {
    /// `record`, `tuple`, and the parameters of a function.
    Record(Items),
    /// `variant`, `enum`, `option`, `result`.
    Variant(Items),
    /// `list`, `map`.
    List(ValType),
    /// 🔧 `list` of a fixed length.
    FixedList(ValType, u32),
    /// `flags`, by the number of labels.
    Flags(u8),
    /// `own`.
    Own(ResourceId),
    /// `borrow`.
    Borrow(ResourceId),
    /// `stream`.
    Stream(Option<ValType>),
    /// `future`.
    Future(Option<ValType>),
}

/// A range of the table of fields and cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Items {
    start: u32,
    len: u32,
}

impl Items {
    /// How many there are.
    pub const fn len(self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// A type to intern: [`TypeDef`] with its fields or cases at hand.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs, reason = "see `TypeDef`")]
#[non_exhaustive]
pub enum NewType<'a> {
    Record(&'a [TypeItem]),
    Variant(&'a [TypeItem]),
    List(ValType),
    FixedList(ValType, u32),
    Flags(u8),
    Own(ResourceId),
    Borrow(ResourceId),
    Stream(Option<ValType>),
    Future(Option<ValType>),
}

/// An interned type.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TypeInfo {
    def: TypeDef,
    pub(super) layout: Layout,
    /// Tells types of equal structure and other labels apart: see [`Types::intern`].
    names: u32,
}

impl Blank for TypeInfo {
    /// Zeros, which is what the compiler makes of the largest variant: `size/host` holds it to that.
    const BLANK: Self = Self { def: TypeDef::FixedList(ValType::Bool, 0), layout: Layout::BLANK, names: 0 };
}

impl Blank for TypeItem {
    /// Zeros, which `None` is not.
    const BLANK: Self = Some(ValType::Bool);
}

/// A function type. `functype` of the spec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FuncType {
    /// The parameters, as the record that they are when they are spilled to memory.
    pub params: TypeId,
    /// The result.
    pub result: Option<ValType>,
    /// `async`: a call may block.
    pub is_async: bool,
}

impl Blank for FuncType {
    const BLANK: Self = Self { params: TypeId::from_index(0), result: TypeItem::BLANK, is_async: false };
}

/// `ResourceType`: where it is implemented and what drops it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResourceType {
    /// The instance that defines it.
    pub instance: InstanceId,
    /// The destructor: a lifted function of one `u32`, without result, not async.
    pub dtor: Option<LiftId>,
}

impl Blank for ResourceType {
    const BLANK: Self = Self { instance: InstanceId::from_index(0), dtor: None };
}

/// The types of a store.
pub struct Types<P: Profile> {
    pub(super) infos: Unique<TypeInfo, P::Types>,
    items: P::TypeItems,
    funcs: Unique<FuncType, P::FuncTypes>,
    resources: P::Resources,
    /// Of types, of items, of resources.
    limits: (Limit, Limit, Limit),
    /// What all tables of the store have allocated. It is here since types are added without the store.
    pub(crate) heap: HeapBudget,
}

impl<P: Profile> core::fmt::Debug for Types<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Types").field("types", &self.infos.len()).finish_non_exhaustive()
    }
}

impl<P: Profile> Types<P> {
    pub(crate) const fn new() -> Self {
        Self {
            infos: Unique::EMPTY,
            items: P::TypeItems::EMPTY,
            funcs: Unique::EMPTY,
            resources: P::Resources::EMPTY,
            limits: (Limit::NONE, Limit::NONE, Limit::NONE),
            heap: HeapBudget::EMPTY,
        }
    }

    pub(crate) fn set_limits(&mut self, limits: &Limits) {
        let Limits { types, type_items, resources, .. } = *limits;
        self.limits = (Limit::new(types), Limit::new(type_items), Limit::new(resources));
    }

    /// Interns a type: the id of the one that is equal, or of a new one.
    ///
    /// `names` is a fingerprint of what despecialisation forgets (the labels, and whether a variant was an
    /// option); types that differ in it alone are different types. Of equal fingerprints and equal
    /// structure only the structure matters to safety, so a collision of fingerprints is harmless.
    ///
    /// Allocates on the heap tier. Expected O(1), and the fields: link time only.
    ///
    /// # Errors
    /// `Capacity(Types | TypeItems)`; `Misuse` where a type that it is made of is unknown, nests deeper than
    /// [`MAX_TYPE_DEPTH`] or has an `elem_size` of 2^32 or more.
    pub fn intern(&mut self, new: NewType<'_>, names: u32) -> Result<TypeId, Error> {
        let layout = self.layout_of(new)?;
        let hash = hash(new, names);
        if let Some(index) = self.infos.find(hash, |info| info.names == names && self.equal(info.def, new)) {
            return Ok(TypeId::from_index(index));
        }
        self.check_room(new)?;
        let def = self.define(new)?;
        let index = self.infos.add(hash, TypeInfo { def, layout, names }, self.limits.0);
        let index = index.ok_or(Error::capacity(Resource::Types))?;
        Ok(TypeId::from_index(index))
    }

    /// Interns a function type, whose parameters are the fields of the record `params`. Allocates on the heap tier. Expected O(1).
    ///
    /// # Errors
    /// `Capacity(Types)`; `Misuse` where `params` is no record.
    pub fn intern_func(&mut self, func: FuncType) -> Result<FuncTypeId, Error> {
        if !matches!(self.def(func.params), Some(TypeDef::Record(_))) {
            return Err(Misuse::ParamsNoRecord.into());
        }
        let hash = hash_func(func);
        let index = match self.funcs.find(hash, |found| *found == func) {
            Some(index) => index,
            None => {
                let most = self.limits.0.most(self.funcs.capacity());
                if self.funcs.len() >= most {
                    return Err(full(Resource::Types, Full::Limit(most), &self.heap));
                }
                if !self.funcs.reserve(&mut self.heap) {
                    return Err(full(Resource::Types, Full::Heap, &self.heap));
                }
                let index = self.funcs.add(hash, func, self.limits.0);
                index.ok_or(Error::capacity(Resource::Types))?
            }
        };
        Ok(FuncTypeId::from_index(index))
    }

    /// Forgets the types, the limits, and what was allocated: all tables of the store are reset.
    pub(crate) fn reset(&mut self) {
        let Self { infos, items, funcs, resources, limits, heap } = self;
        infos.clear();
        items.clear();
        funcs.clear();
        resources.clear();
        *limits = (Limit::NONE, Limit::NONE, Limit::NONE);
        *heap = HeapBudget::EMPTY;
    }

    /// The bytes that its tables have allocated.
    pub(crate) fn allocated(&self) -> usize {
        let Self { infos, items, funcs, resources, .. } = self;
        [infos.allocated(), items.allocated(), funcs.allocated(), resources.allocated()].iter().sum()
    }

    /// The hash of each interned type, in the order of their ids: for tests and statistics, since look-ups take as long as many are equal.
    pub fn type_hashes(&self) -> impl Iterator<Item = u32> {
        self.infos.hashes()
    }

    /// The same of each function type.
    pub fn func_hashes(&self) -> impl Iterator<Item = u32> {
        self.funcs.hashes()
    }

    /// Defines a resource type, different from every other. Allocates on the heap tier.
    ///
    /// # Errors
    /// `Capacity(ResourceTypes)`.
    pub fn define_resource(&mut self, resource: ResourceType) -> Result<ResourceId, Error> {
        push(&mut self.resources, resource, self.limits.2, &mut self.heap)
            .map(ResourceId::from_index)
            .map_err(|why| full(Resource::ResourceTypes, why, &self.heap))
    }

    /// Sets a resource type's destructor: core instances are made after the types that name them.
    pub fn set_dtor(&mut self, resource: ResourceId, dtor: Option<LiftId>) {
        if let Some(resource) = self.resources.as_mut_slice().get_mut(resource.index()) {
            resource.dtor = dtor;
        }
    }

    /// A resource type.
    pub fn resource(&self, id: ResourceId) -> Option<ResourceType> {
        self.get_resource(id).copied()
    }

    pub(crate) fn get_resource(&self, id: ResourceId) -> Option<&ResourceType> {
        self.resources.as_slice().get(id.index())
    }

    /// A defined type.
    pub fn def(&self, id: TypeId) -> Option<TypeDef> {
        self.get_def(id).copied()
    }

    pub(crate) fn get_def(&self, id: TypeId) -> Option<&TypeDef> {
        Some(&self.infos.get(id.index())?.def)
    }

    /// A function type.
    pub fn func(&self, id: FuncTypeId) -> Option<FuncType> {
        self.get_func(id).copied()
    }

    pub(crate) fn get_func(&self, id: FuncTypeId) -> Option<&FuncType> {
        self.funcs.get(id.index())
    }

    /// A field's or case's type: the one at `index` of `items`.
    pub fn item(&self, items: Items, index: u32) -> Option<TypeItem> {
        if index >= items.len {
            return None;
        }
        self.items.as_slice().get(items.start.checked_add(index)? as usize).copied()
    }

    fn equal(&self, def: TypeDef, new: NewType<'_>) -> bool {
        let same = |items: Items, new: &[TypeItem]| {
            let start = items.start as usize;
            self.items.as_slice().get(start..start.saturating_add(items.len as usize)) == Some(new)
        };
        match (def, new) {
            (TypeDef::Record(items), NewType::Record(fields)) => same(items, fields),
            (TypeDef::Variant(items), NewType::Variant(cases)) => same(items, cases),
            (TypeDef::List(a), NewType::List(b)) => a == b,
            (TypeDef::FixedList(a, n), NewType::FixedList(b, m)) => a == b && n == m,
            (TypeDef::Flags(a), NewType::Flags(b)) => a == b,
            (TypeDef::Own(a), NewType::Own(b)) | (TypeDef::Borrow(a), NewType::Borrow(b)) => a == b,
            (TypeDef::Stream(a), NewType::Stream(b)) | (TypeDef::Future(a), NewType::Future(b)) => a == b,
            _ => false,
        }
    }

    /// Room for the type and for all of its fields, before anything is added.
    fn check_room(&mut self, new: NewType<'_>) -> Result<(), Error> {
        let fields = match new {
            NewType::Record(items) | NewType::Variant(items) => items.len(),
            _ => 0,
        };
        let most = self.limits.0.most(self.infos.capacity());
        if self.infos.len() >= most {
            return Err(full(Resource::Types, Full::Limit(most), &self.heap));
        }
        let most = self.limits.1.most(self.items.capacity());
        if self.items.as_slice().len().saturating_add(fields) > most {
            return Err(full(Resource::TypeItems, Full::Limit(most), &self.heap));
        }
        if !self.infos.reserve(&mut self.heap) || !self.items.reserve(fields, &mut self.heap) {
            return Err(full(Resource::Types, Full::Heap, &self.heap));
        }
        Ok(())
    }

    fn define(&mut self, new: NewType<'_>) -> Result<TypeDef, Error> {
        Ok(match new {
            NewType::Record(fields) => TypeDef::Record(self.add_items(fields)?),
            NewType::Variant(cases) => TypeDef::Variant(self.add_items(cases)?),
            NewType::List(element) => TypeDef::List(element),
            NewType::FixedList(element, length) => TypeDef::FixedList(element, length),
            NewType::Flags(labels) => TypeDef::Flags(labels),
            NewType::Own(resource) => TypeDef::Own(resource),
            NewType::Borrow(resource) => TypeDef::Borrow(resource),
            NewType::Stream(element) => TypeDef::Stream(element),
            NewType::Future(element) => TypeDef::Future(element),
        })
    }

    fn add_items(&mut self, new: &[TypeItem]) -> Result<Items, Error> {
        let start = self.items.as_slice().len() as u32;
        for item in new {
            push(&mut self.items, *item, self.limits.1, &mut self.heap)
                .map_err(|why| full(Resource::TypeItems, why, &self.heap))?;
        }
        Ok(Items { start, len: new.len() as u32 })
    }
}

/// Adds an element to link-time storage; its index.
pub(crate) fn push<T: Blank, S: Slots<T>>(
    slots: &mut S,
    value: T,
    limit: Limit,
    heap: &mut HeapBudget,
) -> Result<u32, Full> {
    let index = slots.as_slice().len();
    let most = limit.most(slots.capacity());
    if index >= most {
        return Err(Full::Limit(most));
    }
    if !slots.reserve(1, heap) || !slots.grow() {
        return Err(Full::Heap);
    }
    if let Some(place) = slots.as_mut_slice().get_mut(index) {
        *place = value;
    }
    Ok(index as u32)
}

fn full(what: Resource, why: Full, heap: &HeapBudget) -> Error {
    LimitReached::full(what, why, heap).into()
}
