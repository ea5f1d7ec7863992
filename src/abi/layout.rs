//! Spec: Alignment, Element Size, Flattening.
//!
//! A type lies differently in memories of 32-bit and of 64-bit addresses, and a value may go from one to the other, so
//! both layouts are worked out once, when the type is interned. How many core values a type flattens to does not
//! depend on it.

use super::types::{NewType, TypeItem, Types, ValType};
use crate::message::Misuse;
use crate::spec::{MAX_TYPE_DEPTH, PtrType};
use crate::storage::Profile;

/// Sizes, alignments and flattened length of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layout {
    /// For each [`PtrType`].
    sizes: [u32; 2],
    /// Likewise, in four bits each: two layouts take no more than one did.
    aligns: u8,
    /// How many core values `flatten_type` gives; 255 stands for 255 or more.
    pub flat: u8,
    /// Every bit pattern is a value, there is no padding, and nothing points anywhere: may be moved as bytes. Such
    /// a type has the same layout for both pointer types.
    pub plain: bool,
    /// How deep the type nests.
    pub depth: u8,
}

impl Layout {
    /// Of no type.
    pub(super) const BLANK: Self = Self { sizes: [0; 2], aligns: 0, flat: 0, plain: false, depth: 0 };
    /// A pointer and a length.
    pub(super) const RANGE: Self = Self { sizes: [8, 16], aligns: 0x84, flat: 2, plain: false, depth: 0 };

    /// One core value of this many bytes: 1, 2, 4 or 8.
    const fn scalar(size: u8, plain: bool) -> Self {
        let bytes = size as u32;
        Self { sizes: [bytes; 2], aligns: size | size.wrapping_shl(4), flat: 1, plain, depth: 0 }
    }

    /// Of a type that is not defined.
    pub(super) const fn primitive(ty: ValType) -> Option<&'static Self> {
        Some(match ty {
            ValType::Bool => const { &Self::scalar(1, false) },
            ValType::S8 | ValType::U8 => const { &Self::scalar(1, true) },
            ValType::S16 | ValType::U16 => const { &Self::scalar(2, true) },
            ValType::S32 | ValType::U32 | ValType::F32 => const { &Self::scalar(4, true) },
            ValType::S64 | ValType::U64 | ValType::F64 => const { &Self::scalar(8, true) },
            ValType::Char | ValType::ErrorContext => const { &Self::scalar(4, false) },
            ValType::String => &Self::RANGE,
            ValType::Defined(_) => return None,
        })
    }

    /// `elem_size`, in bytes. Below 2^28 for a type that a component defines
    /// ([`MAX_ELEM_SIZE`](crate::spec::MAX_ELEM_SIZE)); the pair of a map may be twice that.
    pub const fn size(self, pointers: PtrType) -> u32 {
        let [narrow, wide] = self.sizes;
        match pointers {
            PtrType::I32 => narrow,
            PtrType::I64 => wide,
        }
    }

    /// `alignment`, in bytes: 1, 2, 4 or 8.
    pub const fn align(self, pointers: PtrType) -> u32 {
        match pointers {
            PtrType::I32 => (self.aligns & 0xf) as u32,
            PtrType::I64 => (self.aligns >> 4) as u32,
        }
    }
}

/// A layout for one [`PtrType`].
#[derive(Clone, Copy)]
struct Single {
    size: u32,
    align: u32,
    flat: u8,
    plain: bool,
    depth: u8,
}

impl Single {
    /// One level deeper.
    fn deeper(self) -> Result<Self, Misuse> {
        let depth = self.depth.checked_add(1).filter(|depth| *depth <= MAX_TYPE_DEPTH);
        Ok(Self { depth: depth.ok_or(Misuse::TypeDepth)?, ..self })
    }
}

impl<P: Profile> Types<P> {
    /// The layout of a type. O(1).
    pub fn layout(&self, ty: ValType) -> Option<Layout> {
        self.get_layout(ty).copied()
    }

    pub(crate) fn get_layout(&self, ty: ValType) -> Option<&Layout> {
        match ty {
            ValType::Defined(id) => Some(&self.infos.get(id.index())?.layout),
            _ => Layout::primitive(ty),
        }
    }

    /// The layout of a type that is about to be interned.
    pub(super) fn layout_of(&self, new: NewType<'_>) -> Result<Layout, Misuse> {
        let narrow = self.single_of(new, PtrType::I32)?;
        let wide = self.single_of(new, PtrType::I64)?;
        Ok(Layout {
            sizes: [narrow.size, wide.size],
            aligns: narrow.align as u8 | (wide.align as u8).wrapping_shl(4),
            flat: narrow.flat,
            plain: narrow.plain,
            depth: narrow.depth,
        })
    }

    fn single(&self, ty: ValType, ptr: PtrType) -> Result<Single, Misuse> {
        let layout = self.layout(ty).ok_or(Misuse::UnknownPart)?;
        let Layout { flat, plain, depth, .. } = layout;
        Ok(Single { size: layout.size(ptr), align: layout.align(ptr), flat, plain, depth })
    }

    // Not inlined: it is called twice, and large.
    #[inline(never)]
    fn single_of(&self, new: NewType<'_>, ptr: PtrType) -> Result<Single, Misuse> {
        let scalar = |size: u32| Single { size, align: size, flat: 1, plain: false, depth: 0 };
        match new {
            NewType::Record(fields) => self.record(fields, ptr),
            NewType::Variant(cases) => self.variant(cases, ptr),
            NewType::List(element) => {
                let depth = self.single(element, ptr)?.depth;
                let range = Single { size: ptr.size().wrapping_mul(2), flat: 2, depth, ..scalar(ptr.size()) };
                range.deeper()
            }
            NewType::FixedList(_, 0) => Err(Misuse::EmptyFixedList),
            NewType::FixedList(element, length) => {
                let element = self.single(element, ptr)?;
                let size = element.size.checked_mul(length).ok_or(Misuse::TypeSize)?;
                let flat = u32::from(element.flat).saturating_mul(length).min(255) as u8;
                Single { size, flat, ..element }.deeper()
            }
            NewType::Flags(0..=8) => Ok(scalar(1)),
            NewType::Flags(9..=16) => Ok(scalar(2)),
            NewType::Stream(Some(element)) | NewType::Future(Some(element)) => {
                Single { depth: self.single(element, ptr)?.depth, ..scalar(4) }.deeper()
            }
            _ => Ok(scalar(4)),
        }
    }

    fn record(&self, fields: &[TypeItem], ptr: PtrType) -> Result<Single, Misuse> {
        let mut all = Single { size: 0, align: 1, flat: 0, plain: true, depth: 0 };
        for field in fields {
            let field = self.single(field.ok_or(Misuse::FieldType)?, ptr)?;
            let start = align_to(all.size, field.align).ok_or(Misuse::TypeSize)?;
            all.plain &= field.plain && start == all.size;
            all.size = start.checked_add(field.size).ok_or(Misuse::TypeSize)?;
            all.align = all.align.max(field.align);
            all.flat = all.flat.saturating_add(field.flat);
            all.depth = all.depth.max(field.depth);
        }
        let end = align_to(all.size, all.align).ok_or(Misuse::TypeSize)?;
        all.plain &= end == all.size;
        all.size = end;
        all.deeper()
    }

    fn variant(&self, cases: &[TypeItem], ptr: PtrType) -> Result<Single, Misuse> {
        if cases.is_empty() {
            return Err(Misuse::EmptyVariant);
        }
        let disc = discriminant_size(cases.len() as u32);
        let mut all = Single { size: 0, align: 1, flat: 0, plain: false, depth: 0 };
        for case in cases.iter().flatten() {
            let case = self.single(*case, ptr)?;
            all.size = all.size.max(case.size);
            all.align = all.align.max(case.align);
            all.flat = all.flat.max(case.flat);
            all.depth = all.depth.max(case.depth);
        }
        let payload = align_to(disc, all.align).ok_or(Misuse::TypeSize)?;
        all.align = all.align.max(disc);
        let end = payload.checked_add(all.size).and_then(|end| align_to(end, all.align));
        all.size = end.ok_or(Misuse::TypeSize)?;
        all.flat = all.flat.saturating_add(1);
        all.deeper()
    }
}

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
