//! Values in the host's memory. Spec: Loading, Storing.
//!
//! A value that goes to a guest as a buffer is stored here first, and one that comes from a guest is loaded from here; text and
//! lists have a block of their own, which is freed with the value.

use super::value::{Scalars, primitive_layout};
use super::{ComponentValue, HostMemory, Limits, Tier, ValueType};
use crate::abi::types::{TypeDef, Types};
use crate::error::{Error, Resource, Trap};
use crate::spec::PtrType;

impl ComponentValue {
    /// `store`: writes the value to an address of the host's memory; text and lists get a block of their own.
    ///
    /// # Errors
    /// `Capacity(HostBytes)`; `Bug` where the address is not in the memory. Nothing is allocated then.
    pub fn store_in(&self, memory: &mut HostMemory, at: u32) -> Result<(), Error> {
        match self {
            Self::String(text) => store_range(memory, at, text.len(), 1, |block| {
                block.iter_mut().zip(text.bytes()).for_each(|(to, byte)| *to = byte);
                Ok(())
            }),
            Self::List(list) => {
                let size = scalar_size(list.element());
                store_range(memory, at, list.len(), size, |mut block| {
                    list.iter().try_for_each(|item| {
                        item.store(block)?;
                        block = core::mem::take(&mut block).get_mut(size as usize..).unwrap_or_default();
                        Ok(())
                    })
                })
            }
            scalar => scalar.store(memory.range(at, scalar.size() as u32)?),
        }
    }

    /// `load`: reads a value of a type that is not a defined one.
    ///
    /// # Errors
    /// `Trap(InvalidChar | InvalidUtf8 | OutOfBounds)`; `Capacity(TextBytes)`; `Misuse` for a defined type.
    pub fn load_in(ty: ValueType, memory: &HostMemory, at: u32) -> Result<Self, Error> {
        let limit = if ty == ValueType::String { super::limits()?.text_bytes } else { 0 };
        Self::load_text(ty, memory, at, limit)
    }

    fn load_text(ty: ValueType, memory: &HostMemory, at: u32, limit: u32) -> Result<Self, Error> {
        if ty != ValueType::String {
            return Self::load(ty, bytes(memory, at, scalar_size(ty))?);
        }
        let (block, len) = load_range(memory, at)?;
        let text = core::str::from_utf8(bytes(memory, block, len)?).map_err(|_| Trap::InvalidUtf8)?;
        Ok(Self::String(super::text::text(text, limit)?))
    }

    /// [`ComponentValue::load_in`] of any type that a [`ComponentValue`] can have.
    ///
    /// # Errors
    /// As [`ComponentValue::load_in`]; `Capacity(ListItems)`; `Misuse` for another type.
    pub fn load_defined(
        ty: ValueType,
        types: &Types<Tier>,
        memory: &HostMemory,
        at: u32,
    ) -> Result<Self, Error> {
        Self::load_within(ty, types, memory, at, &super::limits()?)
    }

    /// [`ComponentValue::load_defined`], for whoever has the host's state.
    pub(crate) fn load_within(
        ty: ValueType,
        types: &Types<Tier>,
        memory: &HostMemory,
        at: u32,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let ValueType::Defined(id) = ty else { return Self::load_text(ty, memory, at, limits.text_bytes) };
        let handle = || -> Result<u32, Error> {
            let value = Self::load(ValueType::U32, bytes(memory, at, 4)?)?;
            u32::try_from(&value)
        };
        match types.def(id) {
            Some(TypeDef::Own(_) | TypeDef::Borrow(_)) => Ok(Self::Resource(handle()?)),
            Some(TypeDef::Stream(_)) => Ok(Self::Stream(handle()?)),
            Some(TypeDef::Future(_)) => Ok(Self::Future(handle()?)),
            Some(TypeDef::List(element)) => {
                let (block, len) = load_range(memory, at)?;
                if len > limits.list_items {
                    return Err(Error::limit_reached(Resource::ListItems, limits.list_items as usize));
                }
                let mut list = Scalars::new(element)?;
                let size = scalar_size(element);
                for index in 0..len {
                    let at = block.saturating_add(index.saturating_mul(size));
                    list.push(&Self::load(element, bytes(memory, at, size)?)?)?;
                }
                Ok(Self::List(list))
            }
            _ => Err(Error::Misuse("the host has no value of this type")),
        }
    }

    /// Frees the block that text has beside its value at an address; other values of a type that is not a defined one have none.
    ///
    /// # Errors
    /// `Trap(OutOfBounds)` or `Bug` where there is no such value.
    pub fn free_in(ty: ValueType, memory: &mut HostMemory, at: u32) -> Result<(), Error> {
        if ty != ValueType::String {
            return Ok(());
        }
        let (block, _) = load_range(memory, at)?;
        memory.free(block)
    }

    /// [`ComponentValue::free_in`] of any type that a [`ComponentValue`] can have.
    ///
    /// # Errors
    /// As [`ComponentValue::free_in`].
    pub fn free_defined(
        ty: ValueType,
        types: &Types<Tier>,
        memory: &mut HostMemory,
        at: u32,
    ) -> Result<(), Error> {
        match ty {
            ValueType::Defined(id) if !matches!(types.def(id), Some(TypeDef::List(_))) => Ok(()),
            ValueType::Defined(_) => Self::free_in(ValueType::String, memory, at),
            ty => Self::free_in(ty, memory, at),
        }
    }
}

const FULL: Error = Error::capacity(Resource::HostBytes);

/// `elem_size` of a type that is not a defined one, in the host's memory.
fn scalar_size(ty: ValueType) -> u32 {
    primitive_layout(ty).map_or(0, |layout| layout.size(PtrType::I32))
}

fn bytes(memory: &HostMemory, at: u32, size: u32) -> Result<&[u8], Error> {
    let (start, end) = (at as usize, (at as usize).saturating_add(size as usize));
    Ok(memory.bytes().get(start..end).ok_or(Trap::OutOfBounds)?)
}

/// A pointer to a block of so many elements of a size, which `fill` writes, and their number; no block where they have no bytes.
fn store_range(
    memory: &mut HostMemory,
    at: u32,
    len: usize,
    size: u32,
    fill: impl FnOnce(&mut [u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    // Where it goes is checked first, so that no block is left without an owner.
    memory.range(at, 8)?;
    let len = u32::try_from(len).map_err(|_| FULL)?;
    let bytes = len.checked_mul(size).ok_or(FULL)?;
    let block = if bytes == 0 { 0 } else { memory.alloc(bytes)? };
    if bytes > 0
        && let Err(error) = memory.range(block, bytes).and_then(fill)
    {
        memory.free(block)?;
        return Err(error);
    }
    ComponentValue::U32(block).store(memory.range(at, 4)?)?;
    ComponentValue::U32(len).store(memory.range(at.saturating_add(4), 4)?)
}

fn load_range(memory: &HostMemory, at: u32) -> Result<(u32, u32), Error> {
    let word = |at| u32::try_from(&ComponentValue::load(ValueType::U32, bytes(memory, at, 4)?)?);
    Ok((word(at)?, word(at.saturating_add(4))?))
}
