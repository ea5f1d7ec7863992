//! Spec: Despecialization, Type Predicates, Alignment, Element Size, Flattening.
//!
//! Component value types as the store keeps them: despecialised, interned (equal types have equal ids, so a
//! comparison is one of numbers), and with their layout worked out once, when a component is linked.

use crate::error::{Error, Resource};
use crate::id::{FuncTypeId, InstanceId, LiftId, ResourceId, TypeId};

use crate::spec::MAX_TYPE_DEPTH;
use crate::storage::{Blank, Limits, Profile, Slots};

/// `valtype`: a primitive, or a type that is defined.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "each is the spec's type of that name")]
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
#[allow(missing_docs, reason = "see `TypeDef`")]
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

/// Size, alignment and flattened length of a type, for 32-bit pointers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// `elem_size`, in bytes. Below 2^28 for a type that a component defines
    /// ([`MAX_ELEM_SIZE`](crate::spec::MAX_ELEM_SIZE)); the pair of a map may be twice that.
    pub size: u32,
    /// `alignment`, in bytes: 1, 2, 4 or 8.
    pub align: u32,
    /// How many core values `flatten_type` gives; 255 stands for 255 or more.
    pub flat: u8,
    /// Every bit pattern is a value, there is no padding, and nothing points anywhere: may be moved as bytes.
    pub plain: bool,
    /// How deep the type nests.
    pub depth: u8,
}

/// An interned type.
#[derive(Clone, Copy, Debug)]
pub struct TypeInfo {
    def: TypeDef,
    layout: Layout,
    /// Tells types of equal structure and other labels apart: see [`Types::intern`].
    names: u32,
    /// The next type of the same hash bucket, by index + 1.
    chain: u32,
}

impl Blank for TypeInfo {
    const BLANK: Self = Self {
        def: TypeDef::Flags(0),
        layout: Layout { size: 0, align: 1, flat: 0, plain: true, depth: 0 },
        names: 0,
        chain: 0,
    };
}

impl Blank for TypeItem {
    const BLANK: Self = None;
}

/// A function type. `functype` of the spec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FuncType {
    /// The parameters, as the record that they are when they are spilled to memory.
    pub params: TypeId,
    /// The result.
    pub result: Option<ValType>,
    /// `async`: a call may block.
    pub is_async: bool,
}

impl Blank for FuncType {
    const BLANK: Self = Self { params: TypeId::from_index(0), result: None, is_async: false };
}

/// `ResourceType`: where it is implemented and what drops it.
#[derive(Clone, Copy, Debug)]
pub struct ResourceType {
    /// The instance that defines it.
    pub instance: InstanceId,
    /// The destructor: a lifted function of one `u32`, without result, not async.
    pub dtor: Option<LiftId>,
}

impl Blank for ResourceType {
    const BLANK: Self = Self { instance: InstanceId::from_index(0), dtor: None };
}

const BUCKETS: usize = 32;

/// The types of a store.
pub struct Types<P: Profile> {
    infos: P::Types,
    items: P::TypeItems,
    funcs: P::FuncTypes,
    resources: P::Resources,
    /// Hash buckets of `infos`, by index + 1.
    buckets: [u32; BUCKETS],
    limits: (u32, u32, u32),
}

impl<P: Profile> core::fmt::Debug for Types<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Types").field("types", &self.infos.as_slice().len()).finish_non_exhaustive()
    }
}

impl<P: Profile> Types<P> {
    pub(crate) const fn new() -> Self {
        Self {
            infos: P::Types::EMPTY,
            items: P::TypeItems::EMPTY,
            funcs: P::FuncTypes::EMPTY,
            resources: P::Resources::EMPTY,
            buckets: [0; BUCKETS],
            limits: (0, 0, 0),
        }
    }

    pub(crate) fn set_limits(&mut self, limits: &Limits) {
        self.limits = (limits.types, limits.type_items, limits.resources);
    }

    /// Interns a type: the id of the one that is equal, or of a new one.
    ///
    /// `names` is a fingerprint of what despecialisation forgets (the labels, and whether a variant was an
    /// option); types that differ in it alone are different types. Of equal fingerprints and equal
    /// structure only the structure matters to safety, so a collision of fingerprints is harmless.
    ///
    /// Allocates on the heap tier. O(types / 32), and the fields: link time only.
    ///
    /// # Errors
    /// `Capacity(Types | TypeItems)`; `Misuse` where a type that it is made of is unknown, nests deeper than
    /// [`MAX_TYPE_DEPTH`] or has an `elem_size` of 2^32 or more.
    pub fn intern(&mut self, new: NewType<'_>, names: u32) -> Result<TypeId, Error> {
        let layout = self.layout_of(new)?;
        let bucket = (hash(new, names) as usize) & (BUCKETS - 1);
        let mut next = self.buckets.get(bucket).copied().unwrap_or(0);
        while let Some(index) = next.checked_sub(1) {
            let Some(info) = self.infos.as_slice().get(index as usize) else { break };
            if info.names == names && self.equal(info.def, new) {
                return Ok(TypeId::from_index(index));
            }
            next = info.chain;
        }
        self.check_room(new)?;
        let def = self.define(new)?;
        let chain = self.buckets.get(bucket).copied().unwrap_or(0);
        let index = push(&mut self.infos, TypeInfo { def, layout, names, chain }, self.limits.0)
            .ok_or(Error::Capacity(Resource::Types))?;
        if let Some(head) = self.buckets.get_mut(bucket) {
            *head = index.wrapping_add(1);
        }
        Ok(TypeId::from_index(index))
    }

    /// Interns a function type, whose parameters are the fields of the record `params`. O(function types).
    ///
    /// # Errors
    /// `Capacity(Types)`; `Misuse` where `params` is no record.
    pub fn intern_func(&mut self, func: FuncType) -> Result<FuncTypeId, Error> {
        if !matches!(self.def(func.params), Some(TypeDef::Record(_))) {
            return Err(Error::Misuse("the parameters of a function type must be a record"));
        }
        let found = self.funcs.as_slice().iter().position(|f| *f == func);
        let index = match found {
            Some(index) => index as u32,
            None => push(&mut self.funcs, func, self.limits.0).ok_or(Error::Capacity(Resource::Types))?,
        };
        Ok(FuncTypeId::from_index(index))
    }

    /// Defines a resource type, different from every other. Allocates on the heap tier.
    ///
    /// # Errors
    /// `Capacity(ResourceTypes)`.
    pub fn define_resource(&mut self, resource: ResourceType) -> Result<ResourceId, Error> {
        push(&mut self.resources, resource, self.limits.2)
            .map(ResourceId::from_index)
            .ok_or(Error::Capacity(Resource::ResourceTypes))
    }

    /// Sets a resource type's destructor: core instances are made after the types that name them.
    pub fn set_dtor(&mut self, resource: ResourceId, dtor: Option<LiftId>) {
        if let Some(resource) = self.resources.as_mut_slice().get_mut(resource.index()) {
            resource.dtor = dtor;
        }
    }

    /// A resource type.
    pub fn resource(&self, id: ResourceId) -> Option<ResourceType> {
        self.resources.as_slice().get(id.index()).copied()
    }

    /// A defined type.
    pub fn def(&self, id: TypeId) -> Option<TypeDef> {
        Some(self.infos.as_slice().get(id.index())?.def)
    }

    /// A function type.
    pub fn func(&self, id: FuncTypeId) -> Option<FuncType> {
        self.funcs.as_slice().get(id.index()).copied()
    }

    /// A field's or case's type: the one at `index` of `items`.
    pub fn item(&self, items: Items, index: u32) -> Option<TypeItem> {
        if index >= items.len {
            return None;
        }
        self.items.as_slice().get(items.start.checked_add(index)? as usize).copied()
    }

    /// The layout of a type. O(1).
    pub fn layout(&self, ty: ValType) -> Option<Layout> {
        let scalar = |size: u32, plain: bool| Layout { size, align: size, flat: 1, plain, depth: 0 };
        Some(match ty {
            ValType::Bool => scalar(1, false),
            ValType::S8 | ValType::U8 => scalar(1, true),
            ValType::S16 | ValType::U16 => scalar(2, true),
            ValType::S32 | ValType::U32 | ValType::F32 => scalar(4, true),
            ValType::S64 | ValType::U64 | ValType::F64 => scalar(8, true),
            ValType::Char | ValType::ErrorContext => scalar(4, false),
            ValType::String => Layout { size: 8, align: 4, flat: 2, plain: false, depth: 0 },
            ValType::Defined(id) => self.infos.as_slice().get(id.index())?.layout,
        })
    }

    fn layout_of(&self, new: NewType<'_>) -> Result<Layout, Error> {
        let handle = Layout { size: 4, align: 4, flat: 1, plain: false, depth: 0 };
        let inner = |ty: ValType| self.layout(ty).ok_or(Error::Misuse("a type is made of an unknown type"));
        let deeper = |depth: u8| match depth.checked_add(1) {
            Some(depth) if depth <= MAX_TYPE_DEPTH => Ok(depth),
            _ => Err(Error::Misuse("a type nests too deep")),
        };
        Ok(match new {
            NewType::Record(fields) => self.layout_record(fields)?,
            NewType::Variant(cases) => self.layout_variant(cases)?,
            NewType::List(element) => {
                Layout { size: 8, align: 4, flat: 2, plain: false, depth: deeper(inner(element)?.depth)? }
            }
            NewType::FixedList(_, 0) => return Err(Error::Misuse("a list of fixed length 0")),
            NewType::FixedList(element, length) => {
                let element = inner(element)?;
                let size = element.size.checked_mul(length).ok_or(Error::Misuse(TOO_LARGE))?;
                let flat = u32::from(element.flat).saturating_mul(length).min(255) as u8;
                Layout { size, flat, depth: deeper(element.depth)?, ..element }
            }
            NewType::Flags(labels) => {
                let size = match labels {
                    0..=8 => 1,
                    9..=16 => 2,
                    _ => 4,
                };
                Layout { size, align: size, flat: 1, plain: false, depth: 0 }
            }
            NewType::Own(_) | NewType::Borrow(_) => handle,
            NewType::Stream(element) | NewType::Future(element) => match element {
                Some(element) => Layout { depth: deeper(inner(element)?.depth)?, ..handle },
                None => handle,
            },
        })
    }

    fn layout_record(&self, fields: &[TypeItem]) -> Result<Layout, Error> {
        let mut all = Layout { size: 0, align: 1, flat: 0, plain: true, depth: 0 };
        for field in fields {
            let field = field.ok_or(Error::Misuse("a field without a type"))?;
            let field = self.layout(field).ok_or(Error::Misuse("a type is made of an unknown type"))?;
            let start = align_to(all.size, field.align).ok_or(Error::Misuse(TOO_LARGE))?;
            all.plain &= field.plain && start == all.size;
            all.size = start.checked_add(field.size).ok_or(Error::Misuse(TOO_LARGE))?;
            all.align = all.align.max(field.align);
            all.flat = all.flat.saturating_add(field.flat);
            all.depth = all.depth.max(field.depth);
        }
        let end = align_to(all.size, all.align).ok_or(Error::Misuse(TOO_LARGE))?;
        all.plain &= end == all.size;
        all.size = end;
        all.depth =
            all.depth.checked_add(1).filter(|d| *d <= MAX_TYPE_DEPTH).ok_or(Error::Misuse(TOO_DEEP))?;
        Ok(all)
    }

    fn layout_variant(&self, cases: &[TypeItem]) -> Result<Layout, Error> {
        if cases.is_empty() {
            return Err(Error::Misuse("a variant without cases"));
        }
        let disc = discriminant_size(cases.len() as u32);
        let (mut size, mut align, mut flat, mut depth) = (0u32, 1u32, 0u8, 0u8);
        for case in cases.iter().flatten() {
            let case = self.layout(*case).ok_or(Error::Misuse("a type is made of an unknown type"))?;
            size = size.max(case.size);
            align = align.max(case.align);
            flat = flat.max(case.flat);
            depth = depth.max(case.depth);
        }
        let payload = align_to(disc, align).ok_or(Error::Misuse(TOO_LARGE))?;
        let align = align.max(disc);
        let size = payload.checked_add(size).and_then(|end| align_to(end, align));
        let size = size.ok_or(Error::Misuse(TOO_LARGE))?;
        let depth = depth.checked_add(1).filter(|d| *d <= MAX_TYPE_DEPTH).ok_or(Error::Misuse(TOO_DEEP))?;
        Ok(Layout { size, align, flat: flat.saturating_add(1), plain: false, depth })
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
    fn check_room(&self, new: NewType<'_>) -> Result<(), Error> {
        let fields = match new {
            NewType::Record(items) | NewType::Variant(items) => items.len(),
            _ => 0,
        };
        let room = |len: usize, capacity: usize, limit: u32, more: usize| {
            let limit = if limit == 0 { capacity } else { capacity.min(limit as usize) };
            len.saturating_add(more) <= limit
        };
        if !room(self.infos.as_slice().len(), self.infos.capacity(), self.limits.0, 1) {
            return Err(Error::Capacity(Resource::Types));
        }
        if !room(self.items.as_slice().len(), self.items.capacity(), self.limits.1, fields) {
            return Err(Error::Capacity(Resource::TypeItems));
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
            push(&mut self.items, *item, self.limits.1).ok_or(Error::Capacity(Resource::TypeItems))?;
        }
        Ok(Items { start, len: new.len() as u32 })
    }
}

const TOO_LARGE: &str = "a type's size is 2^32 bytes or more";
const TOO_DEEP: &str = "a type nests too deep";

/// `align_to`; `None` on overflow. `align` is a power of two.
pub const fn align_to(value: u32, align: u32) -> Option<u32> {
    let mask = align.wrapping_sub(1);
    match value.checked_add(mask) {
        Some(sum) => Some(sum & !mask),
        None => None,
    }
}

/// The size of `discriminant_type`, in bytes.
pub const fn discriminant_size(cases: u32) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Adds an element to link-time storage; its index.
pub(crate) fn push<T: Blank, S: Slots<T>>(slots: &mut S, value: T, limit: u32) -> Option<u32> {
    let index = slots.as_slice().len();
    if (limit != 0 && index >= limit as usize) || index >= slots.capacity() || !slots.grow() {
        return None;
    }
    *slots.as_mut_slice().get_mut(index)? = value;
    u32::try_from(index).ok()
}

/// FNV-1a over the type's shape.
fn hash(new: NewType<'_>, names: u32) -> u32 {
    let mut state = 0x811c_9dc5u32;
    let mut eat = |word: u32| state = (state ^ word).wrapping_mul(0x0100_0193);
    let val = |ty: Option<ValType>| match ty {
        None => 0,
        Some(ValType::Defined(id)) => 100u32.wrapping_add(id.as_u32()),
        Some(ValType::Bool) => 1,
        Some(ValType::S8) => 2,
        Some(ValType::U8) => 3,
        Some(ValType::S16) => 4,
        Some(ValType::U16) => 5,
        Some(ValType::S32) => 6,
        Some(ValType::U32) => 7,
        Some(ValType::S64) => 8,
        Some(ValType::U64) => 9,
        Some(ValType::F32) => 10,
        Some(ValType::F64) => 11,
        Some(ValType::Char) => 12,
        Some(ValType::String) => 13,
        Some(ValType::ErrorContext) => 14,
    };
    eat(names);
    match new {
        NewType::Record(items) | NewType::Variant(items) => {
            eat(if matches!(new, NewType::Record(_)) { 1 } else { 2 });
            items.iter().for_each(|item| eat(val(*item)));
        }
        NewType::List(ty) => [3, val(Some(ty))].into_iter().for_each(&mut eat),
        NewType::FixedList(ty, n) => [4, val(Some(ty)), n].into_iter().for_each(&mut eat),
        NewType::Flags(n) => [5, u32::from(n)].into_iter().for_each(&mut eat),
        NewType::Own(r) => [6, r.as_u32()].into_iter().for_each(&mut eat),
        NewType::Borrow(r) => [7, r.as_u32()].into_iter().for_each(&mut eat),
        NewType::Stream(ty) => [8, val(ty)].into_iter().for_each(&mut eat),
        NewType::Future(ty) => [9, val(ty)].into_iter().for_each(&mut eat),
    }
    state ^ (state >> 15)
}
