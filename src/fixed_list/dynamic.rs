//! Fixed-length lists whose type is known at run time.

use super::FixedLengthListType;
use crate::ambient::text::push;
use crate::ambient::{self, ComponentValue, HostMemory, Seq, ValueType};
use crate::error::{Error, Resource};
use crate::spec::PtrType;
use core::ops::Deref;

/// A list of fixed length: it is filled with [`FixedLengthList::push`], and has its type's length once it is complete.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FixedLengthList {
    ty: FixedLengthListType,
    items: Seq<ComponentValue>,
}

const FULL: Error = Error::Misuse("the list has all its elements");
const MISSING: Error = Error::Misuse("elements of the list are missing");

impl FixedLengthList {
    /// A list of the type, in which no element is yet.
    ///
    /// # Errors
    /// `Misuse` as [`FixedLengthListType::check`]; `Capacity(ListItems)` where the length is above the ambient store's limit.
    pub fn new(ty: FixedLengthListType) -> Result<Self, Error> {
        let ty = ty.check()?;
        let most = ambient::limits()?.list_items;
        if ty.length() > most {
            return Err(Error::limit_reached(Resource::ListItems, most as usize));
        }
        Ok(Self { ty, items: Seq::new() })
    }

    /// A complete list of these elements.
    ///
    /// # Errors
    /// As [`FixedLengthList::new`] and [`FixedLengthList::push`]; `Misuse` where they are too few.
    pub fn from_slice(ty: FixedLengthListType, items: &[ComponentValue]) -> Result<Self, Error> {
        Self::collect(ty, items.iter().cloned())
    }

    /// A complete list of these elements.
    pub(super) fn collect(
        ty: FixedLengthListType,
        mut items: impl Iterator<Item = ComponentValue>,
    ) -> Result<Self, Error> {
        let mut list = Self::new(ty)?;
        items.try_for_each(|item| list.push(item))?;
        list.complete()?;
        Ok(list)
    }

    /// The type.
    pub fn list_type(&self) -> FixedLengthListType {
        self.ty
    }

    /// How many elements are there yet.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is there yet.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether all are there.
    pub fn is_complete(&self) -> bool {
        self.len() == self.ty.length() as usize
    }

    /// Adds the next element.
    ///
    /// # Errors
    /// `Misuse` where it is of another type, or all are there; `Capacity(TextBytes)` of a text.
    pub fn push(&mut self, value: ComponentValue) -> Result<(), Error> {
        if self.is_complete() {
            return Err(FULL);
        }
        self.check(&value)?;
        push(&mut self.items, value, self.ty.length())
    }

    /// Adds zeros until all elements are there.
    ///
    /// # Errors
    /// `Misuse` where the type has no zero.
    pub fn fill_with_zeros(&mut self) -> Result<(), Error> {
        let zero = ComponentValue::zero(self.ty.element())?;
        while !self.is_complete() {
            self.push(zero.clone())?;
        }
        Ok(())
    }

    /// The element at an index, if it is there.
    pub fn get(&self, index: usize) -> Option<&ComponentValue> {
        self.items.get(index)
    }

    /// Sets the element at an index, which is there; the one that it was.
    ///
    /// # Errors
    /// `Misuse` where it is not there, or the value is of another type; `Capacity(TextBytes)` of a text.
    pub fn set(&mut self, index: usize, value: ComponentValue) -> Result<ComponentValue, Error> {
        self.check(&value)?;
        let item = self.items.get_mut(index).ok_or(Error::Misuse("no element at this index"))?;
        Ok(core::mem::replace(item, value))
    }

    /// The elements that are there.
    pub fn as_slice(&self) -> &[ComponentValue] {
        &self.items
    }

    /// The elements that are there.
    pub fn iter(&self) -> core::slice::Iter<'_, ComponentValue> {
        self.as_slice().iter()
    }

    /// The elements, where all are there.
    ///
    /// # Errors
    /// `Misuse` where some are missing.
    pub fn complete(&self) -> Result<&[ComponentValue], Error> {
        if self.is_complete() { Ok(self.as_slice()) } else { Err(MISSING) }
    }

    /// The list, to change no more.
    ///
    /// # Errors
    /// `Misuse` where some elements are missing; the list is lost, so ask [`FixedLengthList::is_complete`] first.
    pub fn freeze(self) -> Result<FrozenList, Error> {
        self.complete()?;
        Ok(FrozenList(self))
    }

    /// `store` of the Canonical ABI, of a list without text: writes it to the first bytes.
    ///
    /// # Errors
    /// `Misuse` where elements are missing, the bytes are fewer than its `elem_size`, or it has text.
    pub fn store(&self, to: &mut [u8]) -> Result<(), Error> {
        let (items, size) = (self.complete()?, self.item_size()?);
        let to = to.get_mut(..size.saturating_mul(items.len())).ok_or(super::SHORT)?;
        to.chunks_exact_mut(size).zip(items).try_for_each(|(to, item)| item.store(to))
    }

    /// `load` of the Canonical ABI, of a list without text: reads it from the first bytes.
    ///
    /// # Errors
    /// As [`FixedLengthList::new`]; `Trap(InvalidChar)`; `Misuse` where the bytes are fewer than its `elem_size`, or it has text.
    pub fn load(ty: FixedLengthListType, from: &[u8]) -> Result<Self, Error> {
        let mut list = Self::new(ty)?;
        let size = list.item_size()?;
        let from = from.get(..size.saturating_mul(ty.length() as usize)).ok_or(super::SHORT)?;
        for from in from.chunks_exact(size) {
            list.push(ComponentValue::load(ty.element(), from)?)?;
        }
        Ok(list)
    }

    /// `store` of the Canonical ABI, to an address in the host's memory, in which text gets blocks of its own.
    ///
    /// # Errors
    /// `Capacity(HostBytes)`, and nothing is allocated; `Misuse` where elements are missing or the list does not fit there.
    pub fn store_in(&self, memory: &mut HostMemory, at: u32) -> Result<(), Error> {
        let size = self.item_size()? as u32;
        for (index, item) in (0u32..).zip(self.complete()?) {
            let result = item.store_in(memory, at.saturating_add(index.saturating_mul(size)));
            if result.is_err() {
                for index in 0..index {
                    let at = at.saturating_add(index.saturating_mul(size));
                    ComponentValue::free_in(self.ty.element(), memory, at)?;
                }
                return result;
            }
        }
        Ok(())
    }

    /// `load` of the Canonical ABI, from an address in the host's memory.
    ///
    /// # Errors
    /// As [`FixedLengthList::load`]; `Trap(InvalidUtf8)`.
    pub fn load_in(ty: FixedLengthListType, memory: &HostMemory, at: u32) -> Result<Self, Error> {
        let mut list = Self::new(ty)?;
        let size = list.item_size()? as u32;
        for index in 0..ty.length() {
            let at = at.saturating_add(index.saturating_mul(size));
            list.push(ComponentValue::load_in(ty.element(), memory, at)?)?;
        }
        Ok(list)
    }

    fn item_size(&self) -> Result<usize, Error> {
        let size = self.ty.elem_size(PtrType::I32)?.checked_div(self.ty.length()).filter(|size| *size > 0);
        Ok(size.ok_or(Error::Bug("a list of length 0"))? as usize)
    }

    fn check(&self, value: &ComponentValue) -> Result<(), Error> {
        if value.value_type() != Some(self.ty.element()) {
            return Err(Error::Misuse("an element of another type than the list's"));
        }
        match self.ty.element() {
            ValueType::String => value.check(&ambient::limits()?),
            _ => Ok(()),
        }
    }
}

impl<'a> IntoIterator for &'a FixedLengthList {
    type Item = &'a ComponentValue;
    type IntoIter = core::slice::Iter<'a, ComponentValue>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A complete list that does not change.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FrozenList(FixedLengthList);

impl FrozenList {
    /// The list, to change.
    pub fn thaw(self) -> FixedLengthList {
        self.0
    }
}

impl Deref for FrozenList {
    type Target = FixedLengthList;
    fn deref(&self) -> &FixedLengthList {
        &self.0
    }
}
