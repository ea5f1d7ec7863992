//! Values to their canonical form. Spec: Storing, Flat Lowering.

use alloc::vec::Vec;

use super::{HOST, Val, ValError};
use crate::charge::{Charge, Work};
use crate::host::HostMemory;
use crate::layout::TypeError;
use crate::shared::LinkedTypes;
use crate::types::{TypeDef, ValType};

/// Writes values of a plan's types; strings, lists and what does not fit flat go to the host's memory.
#[derive(Debug)]
pub struct Encoder<'a> {
    types: &'a LinkedTypes,
    memory: &'a mut HostMemory,
    work: Work<'a>,
}

/// A case of any of the variant types: its number, its payload's type, and the payload.
type Chosen<'v> = (usize, Option<ValType>, Option<&'v Val>);

impl<'a> Encoder<'a> {
    /// An encoder of values of these types.
    pub fn new(types: &'a LinkedTypes, memory: &'a mut HostMemory) -> Self {
        Self { types, memory, work: Work::default() }
    }

    /// The same, whose work is charged.
    #[must_use]
    pub fn charged(self, charge: &'a mut dyn Charge) -> Self {
        Self { work: Work::charged(charge), ..self }
    }

    /// `lower_flat_values`: values one after the other, flat where they are at most `max` core values, else in
    /// memory, and their address is the one flat value.
    ///
    /// # Errors
    /// `Type`, without an exact path ([`check`](super::check) gives one); `Core(Capacity(HostBytes))`.
    pub fn values(&mut self, tys: &[ValType], vals: &[Val], max: usize) -> Result<Vec<u64>, ValError> {
        if tys.len() != vals.len() {
            return Err(ValError::mismatch(tys.len(), vals.len()));
        }
        let mut flat = Vec::new();
        if self.types.layouts.flat_all(tys.iter().copied(), max)?.is_some() {
            for (ty, val) in tys.iter().zip(vals) {
                self.flat(*ty, val, &mut flat)?;
            }
            return Ok(flat);
        }
        let (offsets, size, align) = self.types.layouts.fields(tys.iter().copied(), HOST)?;
        let base = self.memory.alloc(align, size)?;
        for ((ty, val), offset) in tys.iter().zip(vals).zip(offsets) {
            self.store(*ty, val, add(base, offset)?)?;
        }
        flat.push(u64::from(base));
        Ok(flat)
    }

    /// `lower_flat`.
    fn flat(&mut self, ty: ValType, val: &Val, flat: &mut Vec<u64>) -> Result<(), ValError> {
        self.work.value()?;
        if let Some(bits) = scalar(val).filter(|_| fits_scalar(ty, val)) {
            flat.push(bits);
            return Ok(());
        }
        match (ty, val) {
            (ValType::String, Val::String(text)) => {
                let (ptr, len) = self.string(text)?;
                flat.extend([u64::from(ptr), u64::from(len)]);
                Ok(())
            }
            (ValType::Defined(index), _) => self.flat_def(ty, index, val, flat),
            _ => Err(self.mismatch(ty, val)),
        }
    }

    fn flat_def(&mut self, ty: ValType, index: u32, val: &Val, flat: &mut Vec<u64>) -> Result<(), ValError> {
        let types = self.types;
        let def = types.table.def(index).ok_or(TypeError::Unknown)?;
        match (def, val) {
            (TypeDef::Record(fields), Val::Record(vals)) if fields.len() == vals.len() => {
                fields.iter().zip(vals).try_for_each(|(field, (_, val))| self.flat(field.ty, val, flat))
            }
            (TypeDef::Tuple(tys), Val::Tuple(vals)) if tys.len() == vals.len() => {
                tys.iter().zip(vals).try_for_each(|(ty, val)| self.flat(*ty, val, flat))
            }
            (TypeDef::FixedList(ty, len), Val::List(vals)) if vals.len() == *len as usize => {
                vals.iter().try_for_each(|val| self.flat(*ty, val, flat))
            }
            (TypeDef::List(_) | TypeDef::Map(..), Val::List(_) | Val::Map(_)) => {
                let (ptr, len) = self.list(ty, def, val)?;
                flat.extend([u64::from(ptr), u64::from(len)]);
                Ok(())
            }
            _ => match self.chosen(ty, def, val)? {
                Some((case, payload_ty, payload)) => {
                    let count = types.layouts.flat(ty)?.ok_or_else(|| self.mismatch(ty, val))?.len();
                    let end = flat.len().saturating_add(count);
                    flat.push(case as u64);
                    if let (Some(ty), Some(val)) = (payload_ty, payload) {
                        self.flat(ty, val, flat)?;
                    }
                    // Core values that only other cases have. A joined value holds the case's bits,
                    // zero-extended, as it does here already.
                    flat.resize(end, 0);
                    Ok(())
                }
                None => {
                    flat.push(u64::from(self.word(ty, def, val)?));
                    Ok(())
                }
            },
        }
    }

    /// `store`.
    fn store(&mut self, ty: ValType, val: &Val, at: u32) -> Result<(), ValError> {
        self.work.value()?;
        if let Some(bits) = scalar(val).filter(|_| fits_scalar(ty, val)) {
            return self.put(at, self.types.layouts.size_align(ty, HOST)?.0, bits);
        }
        match (ty, val) {
            (ValType::String, Val::String(text)) => {
                let range = self.string(text)?;
                self.put_range(at, range)
            }
            (ValType::Defined(index), _) => self.store_def(ty, index, val, at),
            _ => Err(self.mismatch(ty, val)),
        }
    }

    fn store_def(&mut self, ty: ValType, index: u32, val: &Val, at: u32) -> Result<(), ValError> {
        let types = self.types;
        let def = types.table.def(index).ok_or(TypeError::Unknown)?;
        match (def, val) {
            (TypeDef::Record(fields), Val::Record(vals)) if fields.len() == vals.len() => {
                let (offsets, ..) = types.layouts.fields(fields.iter().map(|field| field.ty), HOST)?;
                for ((field, (_, val)), offset) in fields.iter().zip(vals).zip(offsets) {
                    self.store(field.ty, val, add(at, offset)?)?;
                }
                Ok(())
            }
            (TypeDef::Tuple(tys), Val::Tuple(vals)) if tys.len() == vals.len() => {
                let (offsets, ..) = types.layouts.fields(tys.iter().copied(), HOST)?;
                for ((ty, val), offset) in tys.iter().zip(vals).zip(offsets) {
                    self.store(*ty, val, add(at, offset)?)?;
                }
                Ok(())
            }
            (TypeDef::FixedList(ty, len), Val::List(vals)) if vals.len() == *len as usize => {
                self.elements(*ty, vals, at)
            }
            (TypeDef::List(_) | TypeDef::Map(..), Val::List(_) | Val::Map(_)) => {
                let range = self.list(ty, def, val)?;
                self.put_range(at, range)
            }
            _ => match self.chosen(ty, def, val)? {
                Some((case, payload_ty, payload)) => {
                    let (disc, offset) = types.layouts.variant(cases_of(def).into_iter(), HOST)?;
                    self.put(at, disc, case as u64)?;
                    match (payload_ty, payload) {
                        (Some(ty), Some(val)) => self.store(ty, val, add(at, offset)?),
                        _ => Ok(()),
                    }
                }
                None => {
                    let word = self.word(ty, def, val)?;
                    self.put(at, types.layouts.size_align(ty, HOST)?.0, u64::from(word))
                }
            },
        }
    }

    /// Flags and handles.
    fn word(&self, ty: ValType, def: &TypeDef, val: &Val) -> Result<u32, ValError> {
        match (def, val) {
            (TypeDef::Flags(labels), Val::Flags(names)) => {
                let mut bits = 0u32;
                for name in names {
                    let at = labels
                        .iter()
                        .position(|label| label == name)
                        .ok_or_else(|| self.mismatch(ty, val))?;
                    bits |= 1u32.wrapping_shl(at as u32);
                }
                Ok(bits)
            }
            (TypeDef::Own(_) | TypeDef::Borrow(_), Val::Resource(handle))
            | (TypeDef::Stream(_), Val::Stream(handle))
            | (TypeDef::Future(_), Val::Future(handle)) => Ok(*handle),
            _ => Err(self.mismatch(ty, val)),
        }
    }

    /// The case of a variant, enum, option or result; `None` where the type is none of them.
    fn chosen<'v>(&self, ty: ValType, def: &TypeDef, val: &'v Val) -> Result<Option<Chosen<'v>>, ValError> {
        let (case, payload_ty, payload) = match (def, val) {
            (TypeDef::Variant(cases), Val::Variant(name, payload)) => {
                let found = cases.iter().enumerate().find(|(_, case)| case.name == *name);
                let (at, case) = found.ok_or_else(|| self.mismatch(ty, val))?;
                (at, case.ty, payload.as_deref())
            }
            (TypeDef::Enum(labels), Val::Enum(name)) => {
                let at = labels.iter().position(|label| label == name);
                (at.ok_or_else(|| self.mismatch(ty, val))?, None, None)
            }
            (TypeDef::Option(_), Val::Option(None)) => (0, None, None),
            (TypeDef::Option(ty), Val::Option(Some(val))) => (1, Some(*ty), Some(&**val)),
            (TypeDef::Result { ok, .. }, Val::Result(Ok(val))) => (0, *ok, val.as_deref()),
            (TypeDef::Result { err, .. }, Val::Result(Err(val))) => (1, *err, val.as_deref()),
            _ => return Ok(None),
        };
        if payload_ty.is_some() != payload.is_some() {
            return Err(self.mismatch(ty, val));
        }
        Ok(Some((case, payload_ty, payload)))
    }

    fn string(&mut self, text: &str) -> Result<(u32, u32), ValError> {
        let len = u32::try_from(text.len()).map_err(|_| too_long())?;
        self.work.bytes(text.len())?;
        let ptr = self.memory.alloc(1, len)?;
        self.memory.write(ptr, text.as_bytes())?;
        Ok((ptr, len))
    }

    /// A list's or a map's elements, in memory of their own: address and count.
    fn list(&mut self, ty: ValType, def: &TypeDef, val: &Val) -> Result<(u32, u32), ValError> {
        match (def, val) {
            (TypeDef::List(element), Val::List(vals)) => {
                let (size, align) = self.types.layouts.size_align(*element, HOST)?;
                let len = u32::try_from(vals.len()).map_err(|_| too_long())?;
                let ptr = self.memory.alloc(align, len.checked_mul(size).ok_or_else(too_long)?)?;
                self.elements(*element, vals, ptr)?;
                Ok((ptr, len))
            }
            (TypeDef::Map(key_ty, val_ty), Val::Map(entries)) => {
                let (offsets, size, align) = self.types.layouts.fields([*key_ty, *val_ty], HOST)?;
                let len = u32::try_from(entries.len()).map_err(|_| too_long())?;
                let ptr = self.memory.alloc(align, len.checked_mul(size).ok_or_else(too_long)?)?;
                let mut at = ptr;
                for (key, val) in entries {
                    self.store(*key_ty, key, at)?;
                    self.store(*val_ty, val, add(at, offsets.get(1).copied().unwrap_or(0))?)?;
                    at = add(at, size)?;
                }
                Ok((ptr, len))
            }
            _ => Err(self.mismatch(ty, val)),
        }
    }

    fn elements(&mut self, ty: ValType, vals: &[Val], at: u32) -> Result<(), ValError> {
        let (size, _) = self.types.layouts.size_align(ty, HOST)?;
        let mut at = at;
        for val in vals {
            self.store(ty, val, at)?;
            at = add(at, size)?;
        }
        Ok(())
    }

    /// The low `size` bytes of `bits`.
    fn put(&mut self, at: u32, size: u32, bits: u64) -> Result<(), ValError> {
        let bytes = bits.to_le_bytes();
        self.memory.write(at, bytes.get(..size as usize).unwrap_or(&bytes))?;
        Ok(())
    }

    fn put_range(&mut self, at: u32, (ptr, len): (u32, u32)) -> Result<(), ValError> {
        self.put(at, 4, u64::from(ptr))?;
        self.put(add(at, 4)?, 4, u64::from(len))
    }

    fn mismatch(&self, ty: ValType, val: &Val) -> ValError {
        ValError::mismatch(self.types.table.display(ty), val.kind())
    }
}

/// The payload types of the cases, as `despecialize` has them.
pub(super) fn cases_of(def: &TypeDef) -> Vec<Option<ValType>> {
    match def {
        TypeDef::Variant(cases) => cases.iter().map(|case| case.ty).collect(),
        TypeDef::Enum(labels) => labels.iter().map(|_| None).collect(),
        TypeDef::Option(ty) => Vec::from([None, Some(*ty)]),
        TypeDef::Result { ok, err } => Vec::from([*ok, *err]),
        _ => Vec::new(),
    }
}

/// The bits of a value of a primitive type that is one core value: small integers are extended to `i32`, as
/// their type says.
fn scalar(val: &Val) -> Option<u64> {
    let signed = |value: i32| u64::from(value as u32);
    Some(match val {
        Val::Bool(value) => u64::from(*value),
        Val::S8(value) => signed(i32::from(*value)),
        Val::U8(value) => u64::from(*value),
        Val::S16(value) => signed(i32::from(*value)),
        Val::U16(value) => u64::from(*value),
        Val::S32(value) => signed(*value),
        Val::U32(value) => u64::from(*value),
        Val::S64(value) => *value as u64,
        Val::U64(value) => *value,
        Val::F32(value) => u64::from(value.to_bits()),
        Val::F64(value) => value.to_bits(),
        Val::Char(value) => u64::from(u32::from(*value)),
        Val::ErrorContext(handle) => u64::from(*handle),
        _ => return None,
    })
}

fn fits_scalar(ty: ValType, val: &Val) -> bool {
    matches!(
        (ty, val),
        (ValType::Bool, Val::Bool(_))
            | (ValType::S8, Val::S8(_))
            | (ValType::U8, Val::U8(_))
            | (ValType::S16, Val::S16(_))
            | (ValType::U16, Val::U16(_))
            | (ValType::S32, Val::S32(_))
            | (ValType::U32, Val::U32(_))
            | (ValType::S64, Val::S64(_))
            | (ValType::U64, Val::U64(_))
            | (ValType::F32, Val::F32(_))
            | (ValType::F64, Val::F64(_))
            | (ValType::Char, Val::Char(_))
            | (ValType::ErrorContext, Val::ErrorContext(_))
    )
}

fn add(at: u32, offset: u32) -> Result<u32, ValError> {
    at.checked_add(offset).ok_or_else(too_long)
}

fn too_long() -> ValError {
    ValError::Core(canon_async::Error::capacity(canon_async::Resource::HostBytes))
}
