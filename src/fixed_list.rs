//! 🔧 Lists of a fixed length.
//!
//! | where the type is known | |
//! |---|---|
//! | when the host is compiled | [`FixedList<T, N>`]: an array with the Canonical ABI's layout; lengths are checked by the compiler |
//! | at run time | [`FixedLengthListType`], [`FixedLengthList`] and, once nothing is to change, [`FrozenList`] |
//!
//! A run-time type comes from component bytes ([`FixedLengthListType::from_component_bytes`]), from WIT's notation (`"list<s32, 5>".parse()`), or from a type
//! of a store ([`FixedLengthListType::of`]).
//!
//! ```ignore-none
//! use canon_async::fixed_list::{FixedLengthListType, FixedList};
//!
//! let three = FixedList::new([1u16, 2, 3]);
//! let five: FixedList<u16, 5> = three.concatenate(FixedList::new([4, 5]));
//! assert_eq!(five.slice::<1, 3>(), [2, 3, 4].into());
//! assert_eq!(five.list_type(), "list<u16, 5>".parse::<FixedLengthListType>().unwrap());
//! ```
//!
//! A length of 0 is none, and does not compile:
//! ```compile_fail,ignore-none
//! # use canon_async::fixed_list::FixedList;
//! let none = FixedList::<u8, 0>::zero_filled();
//! ```
//! Nor does a length that does not add up:
//! ```compile_fail,ignore-none
//! # use canon_async::fixed_list::FixedList;
//! let three: FixedList<u8, 3> = FixedList::new([1u8]).concatenate(FixedList::new([2u8]));
//! ```

mod dynamic;
mod types;

pub use dynamic::{FixedLengthList, FrozenList};
pub use types::{FixedLengthListType, FixedLengthListTypeRegistry, ListTypeError};

use crate::abi::types::{NewType, Types};
use crate::ambient::{ComponentValue, ValueType};
use crate::error::Error;
use crate::id::TypeId;
use crate::spec::MAX_ELEM_SIZE;
use crate::storage::Profile;
use core::ops::{Deref, DerefMut};

/// What stands in a [`FixedList`]: a number, a `bool`, a `char`, or a list of these.
pub trait Element: Copy {
    /// `elem_size`, in bytes.
    const SIZE: u32;
    /// `alignment`, in bytes.
    const ALIGNMENT: u32;
    /// 0, `false`, `'\0'`, or a list of it.
    const ZERO: Self;

    /// Its type in a store, which it is added to where it is not there.
    ///
    /// # Errors
    /// `Capacity(Types)`.
    fn value_type<P: Profile>(types: &mut Types<P>) -> Result<ValueType, Error>;

    /// `store`: writes the value to the first [`Element::SIZE`] bytes.
    ///
    /// # Errors
    /// `Misuse` where there are fewer.
    fn store(self, to: &mut [u8]) -> Result<(), Error>;

    /// `load`: reads a value from the first [`Element::SIZE`] bytes.
    ///
    /// # Errors
    /// `Trap(InvalidChar)`; `Misuse` where there are fewer.
    fn load(from: &[u8]) -> Result<Self, Error>;
}

/// An element that is a value of a type that has a name: no list.
pub trait Scalar: Element + Into<ComponentValue> {
    /// Its type.
    const TYPE: ValueType;
}

macro_rules! elements {
    ($($ty:ty: $value_type:ident, $zero:expr;)*) => {$(
        impl Element for $ty {
            const SIZE: u32 = size_of::<$ty>() as u32;
            const ALIGNMENT: u32 = Self::SIZE;
            const ZERO: Self = $zero;

            fn value_type<P: Profile>(_: &mut Types<P>) -> Result<ValueType, Error> {
                Ok(ValueType::$value_type)
            }

            fn store(self, to: &mut [u8]) -> Result<(), Error> {
                ComponentValue::from(self).store(to)
            }

            fn load(from: &[u8]) -> Result<Self, Error> {
                Self::try_from(&ComponentValue::load(ValueType::$value_type, from)?)
            }
        }

        impl Scalar for $ty {
            const TYPE: ValueType = ValueType::$value_type;
        }
    )*};
}

elements! {
    bool: Bool, false; i8: S8, 0; u8: U8, 0; i16: S16, 0; u16: U16, 0; i32: S32, 0; u32: U32, 0; i64: S64, 0; u64: U64, 0;
    f32: F32, 0.0; f64: F64, 0.0; char: Char, '\0';
}

/// A list of `N` elements: `list<T, N>`.
///
/// It is a slice of them (`Deref`), so it is indexed, iterated and borrowed like one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FixedList<T, const N: usize>([T; N]);

impl<T: Element, const N: usize> FixedList<T, N> {
    /// The size is known to be one that the spec allows: every constructor asks.
    const SIZED: () = {
        assert!(N > 0, "a list of fixed length 0");
        assert!(N <= (MAX_ELEM_SIZE / T::SIZE) as usize, "a list of fixed length takes 2^28 bytes or more");
    };

    /// A list of these elements.
    pub const fn new(items: [T; N]) -> Self {
        const { Self::SIZED };
        Self(items)
    }

    /// A list of zeros.
    pub const fn zero_filled() -> Self {
        Self::new([T::ZERO; N])
    }

    /// A list of what `f` makes of each index.
    pub fn from_fn(f: impl FnMut(usize) -> T) -> Self {
        Self::new(core::array::from_fn(f))
    }

    /// A list of the elements of a slice.
    ///
    /// # Errors
    /// `Misuse` where these are not `N`.
    pub fn from_slice(items: &[T]) -> Result<Self, Error> {
        let items =
            items.try_into().map_err(|_| Error::Misuse("a slice of another length than the list's"))?;
        Ok(Self::new(items))
    }

    /// The elements.
    pub fn into_array(self) -> [T; N] {
        self.0
    }

    /// This list and then another. `O` is the sum of the two lengths.
    pub fn concatenate<const M: usize, const O: usize>(self, other: FixedList<T, M>) -> FixedList<T, O> {
        const { assert!(N + M == O, "the length is the sum of the two lengths") };
        let mut both = self.0.into_iter().chain(other.0);
        FixedList::from_fn(|_| both.next().unwrap_or(T::ZERO))
    }

    /// The `LEN` elements from `START` on.
    pub fn slice<const START: usize, const LEN: usize>(self) -> FixedList<T, LEN> {
        const { assert!(START <= N && LEN <= N - START, "the slice lies in the list") };
        let mut rest = self.0.into_iter().skip(START);
        FixedList::from_fn(|_| rest.next().unwrap_or(T::ZERO))
    }

    /// The type in a store, which it is added to where it is not there. `Types::layout` of it is the list's.
    ///
    /// # Errors
    /// `Capacity(Types)`; `Misuse` where it nests too deep.
    pub fn type_id<P: Profile>(types: &mut Types<P>) -> Result<TypeId, Error> {
        let element = T::value_type(types)?;
        let length = u32::try_from(N).map_err(|_| Error::Misuse("a list of 2^32 elements or more"))?;
        types.intern(NewType::FixedList(element, length), 0)
    }
}

impl<T: Scalar, const N: usize> FixedList<T, N> {
    /// The type, as one of run time.
    pub const fn list_type(&self) -> FixedLengthListType {
        FixedLengthListType::new(T::TYPE, N as u32)
    }

    /// The list, as one of run time.
    ///
    /// # Errors
    /// `Capacity(ListItems)`.
    pub fn to_dynamic(self) -> Result<FixedLengthList, Error> {
        let mut list = FixedLengthList::new(self.list_type())?;
        self.0.into_iter().try_for_each(|item| list.push(item.into()))?;
        Ok(list)
    }
}

impl<const N: usize> FixedList<i32, N> {
    /// `start` and the numbers that follow it; they wrap.
    pub fn range(start: i32) -> Self {
        Self::from_fn(|index| start.wrapping_add(index as i32))
    }
}

impl<T: Element, const N: usize> Element for FixedList<T, N> {
    const SIZE: u32 = T::SIZE * N as u32;
    const ALIGNMENT: u32 = T::ALIGNMENT;
    const ZERO: Self = Self::zero_filled();

    fn value_type<P: Profile>(types: &mut Types<P>) -> Result<ValueType, Error> {
        Self::type_id(types).map(ValueType::Defined)
    }

    fn store(self, to: &mut [u8]) -> Result<(), Error> {
        let to = to.get_mut(..Self::SIZE as usize).ok_or(SHORT)?;
        to.chunks_exact_mut(T::SIZE as usize).zip(self.0).try_for_each(|(to, item)| item.store(to))
    }

    fn load(from: &[u8]) -> Result<Self, Error> {
        let from = from.get(..Self::SIZE as usize).ok_or(SHORT)?;
        let mut list = Self::zero_filled();
        for (item, from) in list.0.iter_mut().zip(from.chunks_exact(T::SIZE as usize)) {
            *item = T::load(from)?;
        }
        Ok(list)
    }
}

const SHORT: Error = Error::Misuse("fewer bytes than the list has");

impl<T: Element, const N: usize> From<[T; N]> for FixedList<T, N> {
    fn from(items: [T; N]) -> Self {
        Self::new(items)
    }
}

impl<T: Element, const N: usize> From<FixedList<T, N>> for [T; N] {
    fn from(list: FixedList<T, N>) -> Self {
        list.0
    }
}

impl<T: Element, const N: usize> Default for FixedList<T, N> {
    fn default() -> Self {
        Self::zero_filled()
    }
}

impl<T, const N: usize> Deref for FixedList<T, N> {
    type Target = [T; N];
    fn deref(&self) -> &[T; N] {
        &self.0
    }
}

impl<T, const N: usize> DerefMut for FixedList<T, N> {
    fn deref_mut(&mut self) -> &mut [T; N] {
        &mut self.0
    }
}

impl<T, const N: usize> IntoIterator for FixedList<T, N> {
    type Item = T;
    type IntoIter = core::array::IntoIter<T, N>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a FixedList<T, N> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Scalar, const N: usize> TryFrom<&FixedLengthList> for FixedList<T, N>
where
    T: for<'a> TryFrom<&'a ComponentValue, Error = Error>,
{
    type Error = Error;

    /// # Errors
    /// `Misuse` where the list is of another type, or some elements are missing.
    fn try_from(list: &FixedLengthList) -> Result<Self, Error> {
        let mut typed = Self::zero_filled();
        if list.list_type() != typed.list_type() {
            return Err(Error::Misuse("a list of another type"));
        }
        for (to, from) in typed.0.iter_mut().zip(list.complete()?) {
            *to = T::try_from(from)?;
        }
        Ok(typed)
    }
}

/// What lists are often made of.
pub mod fixed_list_utils {
    use super::{FixedLengthList, FixedLengthListType};
    use crate::ambient::{ComponentValue, ValueType};
    use crate::error::Error;
    use core::ops::Range;

    const RANGE: Error = Error::Misuse("a range that is empty, or not in the list");

    /// A list of zeros.
    ///
    /// # Errors
    /// As [`FixedLengthList::new`]; `Misuse` where the type has no zero.
    pub fn zero_filled(element: ValueType, length: u32) -> Result<FixedLengthList, Error> {
        let mut list = FixedLengthList::new(FixedLengthListType::new(element, length))?;
        list.fill_with_zeros()?;
        Ok(list)
    }

    /// The numbers from `start` up to the one before `end`, as `s32`.
    ///
    /// # Errors
    /// As [`FixedLengthList::new`]; `Misuse` where there are none.
    pub fn from_range(start: i32, end: i32) -> Result<FixedLengthList, Error> {
        let length = end.checked_sub(start).and_then(|length| u32::try_from(length).ok()).ok_or(RANGE)?;
        let mut list = FixedLengthList::new(FixedLengthListType::new(ValueType::S32, length))?;
        (start..end).try_for_each(|value| list.push(ComponentValue::S32(value)))?;
        Ok(list)
    }

    /// One list and then another of the same elements.
    ///
    /// # Errors
    /// `Misuse` where their elements are of two types, or some are missing; as [`FixedLengthList::new`].
    pub fn concatenate(first: &FixedLengthList, second: &FixedLengthList) -> Result<FixedLengthList, Error> {
        let (a, b) = (first.list_type(), second.list_type());
        if a.element() != b.element() {
            return Err(Error::Misuse("lists of two types of elements"));
        }
        let both = FixedLengthListType::new(a.element(), a.length().saturating_add(b.length()));
        let items = first.complete()?.iter().chain(second.complete()?);
        FixedLengthList::collect(both, items.cloned())
    }

    /// The elements of a range, as a list of that length.
    ///
    /// # Errors
    /// `Misuse` where some of them are not there, or there are none.
    pub fn slice(list: &FixedLengthList, range: Range<usize>) -> Result<FixedLengthList, Error> {
        let items = list.as_slice().get(range).filter(|items| !items.is_empty()).ok_or(RANGE)?;
        let length = u32::try_from(items.len()).map_err(|_| RANGE)?;
        let ty = FixedLengthListType::new(list.list_type().element(), length);
        FixedLengthList::collect(ty, items.iter().cloned())
    }
}
