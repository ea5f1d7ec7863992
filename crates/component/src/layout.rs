//! Spec: Despecialization, Alignment, Element Size, Flattening; for memories of 32-bit and of 64-bit addresses.
//!
//! Worked out once a type, from the layouts of the types before it, so that nothing here recurses and a type
//! that uses another a thousand times costs no more than its own fields.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use canon_async::spec::{
    MAX_ELEM_SIZE, MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, MAX_TYPE_DEPTH, PtrType,
};

use crate::plan::{CoreFuncType, CoreType};
use crate::types::{FuncType, TypeDef, TypeTable, ValType};

/// The most labels that `flags` may have.
const MAX_FLAGS: usize = 32;

/// The layouts of a [`TypeTable`]'s types.
#[derive(Clone, Debug, Default)]
pub struct Layouts {
    defs: Vec<Layout>,
}

/// How a type lies in memory, and as core values.
#[derive(Clone, Debug)]
struct Layout {
    /// `elem_size` and `alignment`.
    narrow: (u32, u32),
    /// 🐘 The same where addresses have 64 bits. The size is no less, so that it is the one that is bounded.
    wide: (u32, u32),
    depth: u8,
    /// `None` where there are more than [`MAX_FLAT_PARAMS`]: then nothing ever passes them flat.
    flat: Option<Box<[FlatType]>>,
}

/// A core value that a type flattens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is core wasm's type of that name")]
#[non_exhaustive]
pub enum FlatType {
    I32,
    I64,
    F32,
    F64,
    /// `ptr_type`: a pointer or a length, or what is joined with one and no wider than `i32`.
    Ptr,
}

impl FlatType {
    /// The core type, where pointers are of this type.
    pub fn core(self, pointers: PtrType) -> CoreType {
        match self {
            Self::I32 => CoreType::I32,
            Self::I64 => CoreType::I64,
            Self::F32 => CoreType::F32,
            Self::F64 => CoreType::F64,
            Self::Ptr => pointer(pointers),
        }
    }
}

/// `ptr_type` as a core type.
pub fn pointer(pointers: PtrType) -> CoreType {
    match pointers {
        PtrType::I32 => CoreType::I32,
        PtrType::I64 => CoreType::I64,
    }
}

/// Why a type is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeError {
    /// It is made of a type that is not before it in the table.
    Unknown,
    /// It nests deeper than [`MAX_TYPE_DEPTH`].
    TooDeep,
    /// Its size is above [`MAX_ELEM_SIZE`].
    TooLarge,
    /// `flags` with none or with more than 32 labels.
    Flags,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "a type is made of an unknown type",
            Self::TooDeep => "a type nests deeper than 100 levels",
            Self::TooLarge => "a type's size is 2^28 bytes or more",
            Self::Flags => "flags must have 1 to 32 labels",
        })
    }
}

impl core::error::Error for TypeError {}

/// The side of a call that a core signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// `canon lift`, with or without a callback.
    Lift {
        /// Whether the options name a callback.
        callback: bool,
    },
    /// `canon lower`.
    Lower,
}

impl Layouts {
    /// The layouts of all types of a table.
    ///
    /// # Errors
    /// A type that is none.
    pub fn new(table: &TypeTable) -> Result<Self, TypeError> {
        let mut layouts = Self::default();
        for def in &table.defs {
            layouts.push(def)?;
        }
        for func in &table.funcs {
            for ty in func.params.iter().map(|param| param.ty).chain(func.result) {
                layouts.size_align(ty, PtrType::I64)?;
            }
        }
        Ok(layouts)
    }

    /// Adds the table's next type.
    ///
    /// # Errors
    /// The type is none; nothing was added.
    pub fn push(&mut self, def: &TypeDef) -> Result<(), TypeError> {
        let layout = self.layout(def)?;
        self.defs.push(layout);
        Ok(())
    }

    /// `elem_size` and `alignment`.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn size_align(&self, ty: ValType, pointers: PtrType) -> Result<(u32, u32), TypeError> {
        Ok(match ty {
            ValType::Bool | ValType::S8 | ValType::U8 => (1, 1),
            ValType::S16 | ValType::U16 => (2, 2),
            ValType::S32 | ValType::U32 | ValType::F32 | ValType::Char | ValType::ErrorContext => (4, 4),
            ValType::S64 | ValType::U64 | ValType::F64 => (8, 8),
            ValType::String => range(pointers),
            ValType::Defined(index) => match pointers {
                PtrType::I32 => self.get(index)?.narrow,
                PtrType::I64 => self.get(index)?.wide,
            },
        })
    }

    /// `flatten_type`; `None` where there are more than [`MAX_FLAT_PARAMS`] core values.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn flat(&self, ty: ValType) -> Result<Option<&[FlatType]>, TypeError> {
        Ok(Some(match ty {
            ValType::S64 | ValType::U64 => &[FlatType::I64],
            ValType::F32 => &[FlatType::F32],
            ValType::F64 => &[FlatType::F64],
            ValType::String => &[FlatType::Ptr, FlatType::Ptr],
            ValType::Defined(index) => return Ok(self.get(index)?.flat.as_deref()),
            _ => &[FlatType::I32],
        }))
    }

    /// `flatten_types`; `None` where there are more than `max` core values.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn flat_all(
        &self,
        types: impl IntoIterator<Item = ValType>,
        max: usize,
    ) -> Result<Option<Vec<FlatType>>, TypeError> {
        let mut all = Vec::new();
        for ty in types {
            match self.flat(ty)? {
                Some(flat) if all.len().saturating_add(flat.len()) <= max => all.extend_from_slice(flat),
                _ => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// Where fields of these types lie one after the other (the offset of each), and the size and
    /// alignment of all.
    ///
    /// # Errors
    /// `Unknown`, `TooLarge`.
    pub fn fields(
        &self,
        types: impl IntoIterator<Item = ValType>,
        pointers: PtrType,
    ) -> Result<(Vec<u32>, u32, u32), TypeError> {
        let (mut offsets, mut end, mut align) = (Vec::new(), 0u32, 1u32);
        for ty in types {
            let (size, field_align) = self.size_align(ty, pointers)?;
            let start = align_to(end, field_align)?;
            offsets.push(start);
            end = bounded(start.checked_add(size))?;
            align = align.max(field_align);
        }
        Ok((offsets, align_to(end, align)?, align))
    }

    /// The size of a variant's discriminant and the offset of its payload.
    ///
    /// # Errors
    /// `Unknown`, `TooLarge`.
    pub fn variant(
        &self,
        cases: impl ExactSizeIterator<Item = Option<ValType>>,
        pointers: PtrType,
    ) -> Result<(u32, u32), TypeError> {
        let disc = discriminant_size(cases.len());
        let mut align = 1;
        for ty in cases.flatten() {
            align = self.size_align(ty, pointers)?.1.max(align);
        }
        Ok((disc, align_to(disc, align)?))
    }

    /// `flatten_functype`, with options whose memory has pointers of this type.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn func(
        &self,
        ty: &FuncType,
        is_async: bool,
        context: Context,
        pointers: PtrType,
    ) -> Result<CoreFuncType, TypeError> {
        let max = match (context, is_async) {
            (Context::Lower, true) => MAX_FLAT_ASYNC_PARAMS,
            _ => MAX_FLAT_PARAMS,
        };
        let core = |flat: Vec<FlatType>| flat.into_iter().map(|ty| ty.core(pointers)).collect::<Vec<_>>();
        let ptr = pointer(pointers);
        let params = self.flat_all(ty.params.iter().map(|param| param.ty), max)?;
        let mut params = params.map_or_else(|| Vec::from([ptr]), core);
        let results = match (context, is_async) {
            (Context::Lift { callback }, true) if callback => Vec::from([CoreType::I32]),
            (Context::Lift { .. }, true) => Vec::new(),
            (Context::Lower, true) => {
                if ty.result.is_some() {
                    params.push(ptr);
                }
                Vec::from([CoreType::I32])
            }
            (_, false) => match (self.flat_all(ty.result, MAX_FLAT_RESULTS)?, context) {
                (Some(results), _) => core(results),
                (None, Context::Lift { .. }) => Vec::from([ptr]),
                (None, Context::Lower) => {
                    params.push(ptr);
                    Vec::new()
                }
            },
        };
        Ok(CoreFuncType { params, results })
    }

    fn get(&self, index: u32) -> Result<&Layout, TypeError> {
        self.defs.get(index as usize).ok_or(TypeError::Unknown)
    }

    fn layout(&self, def: &TypeDef) -> Result<Layout, TypeError> {
        let scalar = |size, depth| Layout {
            narrow: (size, size),
            wide: (size, size),
            depth,
            flat: Some(Box::new([FlatType::I32])),
        };
        let handle = |depth| scalar(4, depth);
        let pointer = |depth| Layout {
            narrow: range(PtrType::I32),
            wide: range(PtrType::I64),
            depth,
            flat: Some(Box::new([FlatType::Ptr, FlatType::Ptr])),
        };
        match def {
            TypeDef::Record(fields) => self.record(fields.iter().map(|field| field.ty)),
            TypeDef::Tuple(types) => self.record(types.iter().copied()),
            TypeDef::Variant(cases) => self.cases(cases.iter().map(|case| case.ty)),
            TypeDef::Enum(labels) => self.cases(labels.iter().map(|_| None)),
            TypeDef::Option(ty) => self.cases([None, Some(*ty)].into_iter()),
            TypeDef::Result { ok, err } => self.cases([*ok, *err].into_iter()),
            TypeDef::List(ty) => Ok(pointer(self.deeper([*ty])?)),
            TypeDef::Map(key, value) => {
                // A list of pairs, which is one level more. The size of a pair is not the map's, and not
                // bounded.
                Ok(pointer(one_deeper(self.deeper([*key, *value])?)?))
            }
            TypeDef::FixedList(ty, len) => self.fixed_list(*ty, *len),
            TypeDef::Flags(labels) => match labels.len() {
                0 => Err(TypeError::Flags),
                1..=8 => Ok(scalar(1, 0)),
                9..=16 => Ok(scalar(2, 0)),
                17..=MAX_FLAGS => Ok(handle(0)),
                _ => Err(TypeError::Flags),
            },
            TypeDef::Own(_) | TypeDef::Borrow(_) => Ok(handle(0)),
            TypeDef::Stream(None) | TypeDef::Future(None) => Ok(handle(0)),
            TypeDef::Stream(Some(ty)) | TypeDef::Future(Some(ty)) => Ok(handle(self.deeper([*ty])?)),
        }
    }

    fn record(&self, types: impl Iterator<Item = ValType> + Clone) -> Result<Layout, TypeError> {
        let lying = |pointers| self.fields(types.clone(), pointers).map(|(_, size, align)| (size, align));
        let (narrow, wide) = (lying(PtrType::I32)?, lying(PtrType::I64)?);
        let flat = self.flat_all(types.clone(), MAX_FLAT_PARAMS)?.map(Vec::into_boxed_slice);
        Ok(Layout { narrow, wide, depth: self.deeper(types)?, flat })
    }

    fn cases(
        &self,
        cases: impl ExactSizeIterator<Item = Option<ValType>> + Clone,
    ) -> Result<Layout, TypeError> {
        let lying = |pointers| {
            let (disc, payload) = self.variant(cases.clone(), pointers)?;
            let (mut size, mut align) = (0, disc);
            for ty in cases.clone().flatten() {
                let (case_size, case_align) = self.size_align(ty, pointers)?;
                size = case_size.max(size);
                align = case_align.max(align);
            }
            Ok((align_to(bounded(payload.checked_add(size))?, align)?, align))
        };
        let (narrow, wide) = (lying(PtrType::I32)?, lying(PtrType::I64)?);
        let mut flat = Some(Vec::from([FlatType::I32]));
        for ty in cases.clone().flatten() {
            match self.flat(ty)? {
                Some(case) => flat.iter_mut().for_each(|flat| join_all(flat, case)),
                None => flat = None,
            }
        }
        let flat = flat.filter(|flat| flat.len() <= MAX_FLAT_PARAMS).map(Vec::into_boxed_slice);
        Ok(Layout { narrow, wide, depth: self.deeper(cases.flatten())?, flat })
    }

    fn fixed_list(&self, ty: ValType, len: u32) -> Result<Layout, TypeError> {
        let lying = |pointers| {
            let (size, align) = self.size_align(ty, pointers)?;
            Ok((bounded(size.checked_mul(len))?, align))
        };
        let (narrow, wide) = (lying(PtrType::I32)?, lying(PtrType::I64)?);
        let flat = match self.flat(ty)? {
            Some(flat) if flat.len().saturating_mul(len as usize) <= MAX_FLAT_PARAMS => {
                Some(flat.repeat(len as usize))
            }
            _ => None,
        };
        Ok(Layout { narrow, wide, depth: self.deeper([ty])?, flat: flat.map(Vec::into_boxed_slice) })
    }

    /// One more than the deepest of these.
    fn deeper(&self, types: impl IntoIterator<Item = ValType>) -> Result<u8, TypeError> {
        let mut depth = 0;
        for ty in types {
            if let ValType::Defined(index) = ty {
                depth = self.get(index)?.depth.max(depth);
            }
        }
        one_deeper(depth)
    }
}

/// The size of `discriminant_type`, in bytes.
pub fn discriminant_size(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Size and alignment of a pointer and a length.
fn range(pointers: PtrType) -> (u32, u32) {
    (pointers.size().saturating_mul(2), pointers.size())
}

/// `join` of `flatten_variant`. What it gives for a [`FlatType::Ptr`] is what it gives for either of the types that this
/// stands for.
pub fn join(a: FlatType, b: FlatType) -> FlatType {
    use FlatType::{F32, I32, I64, Ptr};
    match (a, b) {
        (a, b) if a == b => a,
        (I32, F32) | (F32, I32) => I32,
        (Ptr, I32 | F32) | (I32 | F32, Ptr) => Ptr,
        _ => I64,
    }
}

/// Joins a case's core values to those of the cases before, after the discriminant.
fn join_all(flat: &mut Vec<FlatType>, case: &[FlatType]) {
    for (at, ty) in case.iter().enumerate() {
        match flat.get_mut(at.saturating_add(1)) {
            Some(joined) => *joined = join(*joined, *ty),
            None => flat.push(*ty),
        }
    }
}

fn one_deeper(depth: u8) -> Result<u8, TypeError> {
    depth.checked_add(1).filter(|depth| *depth <= MAX_TYPE_DEPTH).ok_or(TypeError::TooDeep)
}

fn bounded(size: Option<u32>) -> Result<u32, TypeError> {
    size.filter(|size| *size <= MAX_ELEM_SIZE).ok_or(TypeError::TooLarge)
}

/// `align_to`; `align` is a power of two.
pub fn align_to(value: u32, align: u32) -> Result<u32, TypeError> {
    let mask = align.wrapping_sub(1);
    Ok(value.checked_add(mask).ok_or(TypeError::TooLarge)? & !mask)
}
