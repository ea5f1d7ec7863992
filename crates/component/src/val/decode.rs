//! Canonical form to values. Spec: Loading, Flat Lifting.
//!
//! What is decoded was put into the host's memory by the core, which checked it; a value that is none is
//! an error all the same. A guest chooses how long a list is, so what a decoder builds is limited: by the
//! limit of the host's memory, in bytes that are allocated, with what an allocator adds to each block. Each block is charged
//! before it is allocated, and has the size that it needs.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use canon_async::{Error, Resource, Trap};

use super::encode::cases_of;
use super::{HOST, Val, ValError};
use crate::charge::{Charge, Work};
use crate::host::HostMemory;
use crate::layout::TypeError;
use crate::shared::LinkedTypes;
use crate::types::{TypeDef, ValType};

/// What an allocator keeps beside a block, and what it rounds the block up to.
const BLOCK: usize = 16;

/// Reads values of a plan's types.
#[derive(Debug)]
pub struct Decoder<'a> {
    types: &'a LinkedTypes,
    memory: &'a [u8],
    budget: usize,
    work: Work<'a>,
}

impl<'a> Decoder<'a> {
    /// A decoder of values of these types.
    pub fn new(types: &'a LinkedTypes, memory: &'a HostMemory) -> Self {
        Self { types, memory: memory.bytes(), budget: memory.limit() as usize, work: Work::default() }
    }

    /// The same, whose work is charged.
    #[must_use]
    pub fn charged(self, charge: &'a mut dyn Charge) -> Self {
        Self { work: Work::charged(charge), ..self }
    }

    /// `lift_flat_values`: values one after the other, flat where they are at most `max` core values, else in
    /// memory at the address that is the first flat value.
    ///
    /// # Errors
    /// `Core`: a trap where the bytes are no value, `Capacity(HostBytes)` where there are too many.
    pub fn values(&mut self, tys: &[ValType], flat: &[u64], max: usize) -> Result<Vec<Val>, ValError> {
        let mut out = self.vec(tys.len())?;
        if self.types.layouts.flat_all(tys.iter().copied(), max)?.is_some() {
            let mut flat = flat;
            for ty in tys {
                out.push(self.flat(*ty, &mut flat)?);
            }
            return Ok(out);
        }
        let base = flat.first().copied().unwrap_or(0) as u32;
        let (offsets, ..) = self.types.layouts.fields(tys.iter().copied(), HOST)?;
        for (ty, offset) in tys.iter().zip(offsets) {
            out.push(self.load(*ty, add(base, offset)?)?);
        }
        Ok(out)
    }

    /// `lift_flat`.
    fn flat(&mut self, ty: ValType, flat: &mut &[u64]) -> Result<Val, ValError> {
        self.work.value()?;
        match ty {
            ValType::String => {
                let (ptr, len) = (next(flat)? as u32, next(flat)? as u32);
                self.string(ptr, len)
            }
            ValType::Defined(index) => self.flat_def(ty, index, flat),
            _ => scalar(ty, next(flat)?),
        }
    }

    fn flat_def(&mut self, ty: ValType, index: u32, flat: &mut &[u64]) -> Result<Val, ValError> {
        let types = self.types;
        let def = types.table.def(index).ok_or(TypeError::Unknown)?;
        match def {
            TypeDef::Record(fields) => {
                let mut out = self.vec(fields.len())?;
                for field in fields {
                    out.push((self.label(&field.name)?, self.flat(field.ty, flat)?));
                }
                Ok(Val::Record(out))
            }
            TypeDef::Tuple(tys) => {
                let mut out = self.vec(tys.len())?;
                for ty in tys {
                    out.push(self.flat(*ty, flat)?);
                }
                Ok(Val::Tuple(out))
            }
            TypeDef::FixedList(ty, len) => {
                let mut out = self.vec(*len as usize)?;
                for _ in 0..*len {
                    out.push(self.flat(*ty, flat)?);
                }
                Ok(Val::List(out))
            }
            TypeDef::List(_) | TypeDef::Map(..) => {
                let (ptr, len) = (next(flat)? as u32, next(flat)? as u32);
                self.list(def, ptr, len)
            }
            TypeDef::Variant(_) | TypeDef::Enum(_) | TypeDef::Option(_) | TypeDef::Result { .. } => {
                let count = types.layouts.flat(ty)?.ok_or(TypeError::Unknown)?.len();
                let (mut own, rest) = flat.split_at_checked(count).ok_or_else(too_few)?;
                *flat = rest;
                let case = next(&mut own)? as u32;
                let payload_ty = case_type(def, case)?;
                let payload = payload_ty.map(|ty| self.flat(ty, &mut own)).transpose()?;
                self.chosen(def, case, payload)
            }
            TypeDef::Flags(_)
            | TypeDef::Own(_)
            | TypeDef::Borrow(_)
            | TypeDef::Stream(_)
            | TypeDef::Future(_) => self.word(def, next(flat)? as u32),
        }
    }

    /// `load`.
    fn load(&mut self, ty: ValType, at: u32) -> Result<Val, ValError> {
        self.work.value()?;
        match ty {
            ValType::String => {
                let (ptr, len) = self.get_range(at)?;
                self.string(ptr, len)
            }
            ValType::Defined(index) => self.load_def(ty, index, at),
            _ => {
                let bits = self.get(at, self.types.layouts.size_align(ty, HOST)?.0)?;
                scalar(ty, bits)
            }
        }
    }

    fn load_def(&mut self, ty: ValType, index: u32, at: u32) -> Result<Val, ValError> {
        let types = self.types;
        let def = types.table.def(index).ok_or(TypeError::Unknown)?;
        match def {
            TypeDef::Record(fields) => {
                let (offsets, ..) = types.layouts.fields(fields.iter().map(|field| field.ty), HOST)?;
                let mut out = self.vec(fields.len())?;
                for (field, offset) in fields.iter().zip(offsets) {
                    out.push((self.label(&field.name)?, self.load(field.ty, add(at, offset)?)?));
                }
                Ok(Val::Record(out))
            }
            TypeDef::Tuple(tys) => {
                let (offsets, ..) = types.layouts.fields(tys.iter().copied(), HOST)?;
                let mut out = self.vec(tys.len())?;
                for (ty, offset) in tys.iter().zip(offsets) {
                    out.push(self.load(*ty, add(at, offset)?)?);
                }
                Ok(Val::Tuple(out))
            }
            TypeDef::FixedList(ty, len) => Ok(Val::List(self.elements(*ty, at, *len)?)),
            TypeDef::List(_) | TypeDef::Map(..) => {
                let (ptr, len) = self.get_range(at)?;
                self.list(def, ptr, len)
            }
            TypeDef::Variant(_) | TypeDef::Enum(_) | TypeDef::Option(_) | TypeDef::Result { .. } => {
                let (disc, offset) = types.layouts.variant(cases_of(def).into_iter(), HOST)?;
                let case = self.get(at, disc)? as u32;
                let payload = match case_type(def, case)? {
                    Some(ty) => Some(self.load(ty, add(at, offset)?)?),
                    None => None,
                };
                self.chosen(def, case, payload)
            }
            TypeDef::Flags(_)
            | TypeDef::Own(_)
            | TypeDef::Borrow(_)
            | TypeDef::Stream(_)
            | TypeDef::Future(_) => {
                let word = self.get(at, types.layouts.size_align(ty, HOST)?.0)? as u32;
                self.word(def, word)
            }
        }
    }

    fn word(&mut self, def: &TypeDef, word: u32) -> Result<Val, ValError> {
        Ok(match def {
            TypeDef::Flags(labels) => {
                let is_set = |at: usize| word.wrapping_shr(at as u32) & 1 == 1;
                let count = (0..labels.len()).filter(|at| is_set(*at)).count();
                let mut set = self.vec(count)?;
                for (at, label) in labels.iter().enumerate() {
                    if is_set(at) {
                        set.push(self.label(label)?);
                    }
                }
                Val::Flags(set)
            }
            TypeDef::Stream(_) => Val::Stream(word),
            TypeDef::Future(_) => Val::Future(word),
            _ => Val::Resource(word),
        })
    }

    fn string(&mut self, ptr: u32, len: u32) -> Result<Val, ValError> {
        self.block(len as usize)?;
        self.work.bytes(len as usize)?;
        let bytes = self.bytes(ptr, len).ok_or(Error::Trap(Trap::StringOutOfBounds))?;
        let text = core::str::from_utf8(bytes).map_err(|_| Error::Trap(Trap::InvalidUtf8))?;
        Ok(Val::String(text.into()))
    }

    fn list(&mut self, def: &TypeDef, ptr: u32, len: u32) -> Result<Val, ValError> {
        match def {
            TypeDef::Map(key_ty, val_ty) => {
                let (offsets, size, _) = self.types.layouts.fields([*key_ty, *val_ty], HOST)?;
                let mut out = self.vec(len as usize)?;
                let mut at = ptr;
                for _ in 0..len {
                    let key = self.load(*key_ty, at)?;
                    let val = self.load(*val_ty, add(at, offsets.get(1).copied().unwrap_or(0))?)?;
                    out.push((key, val));
                    at = add(at, size)?;
                }
                Ok(Val::Map(out))
            }
            TypeDef::List(ty) => Ok(Val::List(self.elements(*ty, ptr, len)?)),
            _ => Err(TypeError::Unknown.into()),
        }
    }

    fn elements(&mut self, ty: ValType, ptr: u32, len: u32) -> Result<Vec<Val>, ValError> {
        let (size, _) = self.types.layouts.size_align(ty, HOST)?;
        let mut out = self.vec(len as usize)?;
        let mut at = ptr;
        for _ in 0..len {
            out.push(self.load(ty, at)?);
            at = add(at, size)?;
        }
        Ok(out)
    }

    fn chosen(&mut self, def: &TypeDef, case: u32, payload: Option<Val>) -> Result<Val, ValError> {
        let payload = match payload {
            Some(payload) => {
                self.block(size_of::<Val>())?;
                Some(Box::new(payload))
            }
            None => None,
        };
        let label = match def {
            TypeDef::Variant(cases) => cases.get(case as usize).map(|case| &case.name),
            TypeDef::Enum(labels) => labels.get(case as usize),
            TypeDef::Option(_) => return Ok(Val::Option(payload)),
            TypeDef::Result { .. } => {
                return Ok(Val::Result(if case == 0 { Ok(payload) } else { Err(payload) }));
            }
            _ => None,
        };
        let label = label.ok_or_else(|| no_case(def, case))?;
        let label = self.label(label)?;
        Ok(match def {
            TypeDef::Enum(_) => Val::Enum(label),
            _ => Val::Variant(label, payload),
        })
    }

    fn get(&self, at: u32, size: u32) -> Result<u64, ValError> {
        let from = self.bytes(at, size).ok_or(Error::Trap(Trap::OutOfBounds))?;
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Ok(u64::from_le_bytes(bytes))
    }

    fn get_range(&self, at: u32) -> Result<(u32, u32), ValError> {
        Ok((self.get(at, 4)? as u32, self.get(add(at, 4)?, 4)? as u32))
    }

    fn bytes(&self, at: u32, len: u32) -> Option<&'a [u8]> {
        self.memory.get(at as usize..(at as usize).checked_add(len as usize)?)
    }

    /// A name of the type, which the value repeats.
    fn label(&mut self, label: &str) -> Result<String, ValError> {
        self.block(label.len())?;
        Ok(label.into())
    }

    /// An empty vector with room for `len` elements, and no more. A length that no memory holds is above the budget.
    fn vec<T>(&mut self, len: usize) -> Result<Vec<T>, ValError> {
        self.block(len.saturating_mul(size_of::<T>()))?;
        let mut vec = Vec::new();
        vec.try_reserve_exact(len).map_err(|_| Error::capacity(Resource::HostBytes))?;
        Ok(vec)
    }

    /// Charges a block of memory that is about to be allocated; an empty one is none.
    fn block(&mut self, bytes: usize) -> Result<(), ValError> {
        if bytes == 0 {
            return Ok(());
        }
        let rounded = bytes.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX);
        let left = self.budget.checked_sub(rounded.saturating_add(BLOCK));
        self.budget = left.ok_or(Error::capacity(Resource::HostBytes))?;
        Ok(())
    }
}

fn next(flat: &mut &[u64]) -> Result<u64, ValError> {
    let (first, rest) = flat.split_first().ok_or_else(too_few)?;
    *flat = rest;
    Ok(*first)
}

fn too_few() -> ValError {
    ValError::Core(Error::Misuse("too few flat values"))
}

fn add(at: u32, offset: u32) -> Result<u32, ValError> {
    at.checked_add(offset).ok_or(ValError::Core(Error::Trap(Trap::OutOfBounds)))
}

fn scalar(ty: ValType, bits: u64) -> Result<Val, ValError> {
    Ok(match ty {
        ValType::Bool => Val::Bool(bits as u32 != 0),
        ValType::S8 => Val::S8(bits as i8),
        ValType::U8 => Val::U8(bits as u8),
        ValType::S16 => Val::S16(bits as i16),
        ValType::U16 => Val::U16(bits as u16),
        ValType::S32 => Val::S32(bits as i32),
        ValType::U32 => Val::U32(bits as u32),
        ValType::S64 => Val::S64(bits as i64),
        ValType::U64 => Val::U64(bits),
        ValType::F32 => Val::F32(f32::from_bits(bits as u32)),
        ValType::F64 => Val::F64(f64::from_bits(bits)),
        ValType::Char => {
            Val::Char(char::from_u32(bits as u32).ok_or(Error::Trap(Trap::InvalidChar(bits as u32)))?)
        }
        ValType::ErrorContext => Val::ErrorContext(bits as u32),
        ValType::String | ValType::Defined(_) => return Err(TypeError::Unknown.into()),
    })
}

/// The payload type of a case.
fn case_type(def: &TypeDef, case: u32) -> Result<Option<ValType>, ValError> {
    let found = match def {
        TypeDef::Variant(cases) => cases.get(case as usize).map(|case| case.ty),
        TypeDef::Enum(labels) => labels.get(case as usize).map(|_| None),
        TypeDef::Option(ty) => [None, Some(*ty)].get(case as usize).copied(),
        TypeDef::Result { ok, err } => [*ok, *err].get(case as usize).copied(),
        _ => None,
    };
    found.ok_or_else(|| no_case(def, case))
}

/// A discriminant that no case of a type has.
fn no_case(def: &TypeDef, found: u32) -> ValError {
    let cases = match def {
        TypeDef::Variant(cases) => cases.len(),
        TypeDef::Enum(labels) => labels.len(),
        TypeDef::Option(_) | TypeDef::Result { .. } => 2,
        _ => 0,
    };
    let cases = u16::try_from(cases).unwrap_or(u16::MAX);
    ValError::Core(Error::Trap(Trap::InvalidDiscriminant { found, cases }))
}
