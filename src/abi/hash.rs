//! Hashes of types, for interning.

use super::types::{FuncType, NewType, TypeItem, ValType};

/// Of a type's shape and names.
pub(super) fn hash(new: NewType<'_>, names: u32) -> u32 {
    let mut hash = Fnv::default();
    hash.word(names);
    match new {
        NewType::Record(items) | NewType::Variant(items) => {
            hash.word(if matches!(new, NewType::Record(_)) { 1 } else { 2 });
            items.iter().for_each(|item| hash.item(*item));
        }
        NewType::List(ty) => hash.tagged(3, Some(ty)),
        NewType::FixedList(ty, n) => {
            hash.tagged(4, Some(ty));
            hash.word(n);
        }
        NewType::Flags(n) => [5, u32::from(n)].into_iter().for_each(|word| hash.word(word)),
        NewType::Own(r) => [6, r.as_u32()].into_iter().for_each(|word| hash.word(word)),
        NewType::Borrow(r) => [7, r.as_u32()].into_iter().for_each(|word| hash.word(word)),
        NewType::Stream(ty) => hash.tagged(8, ty),
        NewType::Future(ty) => hash.tagged(9, ty),
    }
    hash.0
}

/// Of a function type.
pub(super) fn hash_func(func: FuncType) -> u32 {
    let mut hash = Fnv::default();
    hash.word(func.params.as_u32());
    hash.tagged(u32::from(func.is_async), func.result);
    hash.0
}

/// FNV-1a, a word at a time.
struct Fnv(u32);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Fnv {
    fn word(&mut self, word: u32) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0100_0193);
    }

    fn tagged(&mut self, tag: u32, ty: TypeItem) {
        self.word(tag);
        self.item(ty);
    }

    fn item(&mut self, ty: TypeItem) {
        self.word(match ty {
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
        });
    }
}
