//! A plan's types in the store: despecialised, with a fingerprint of their labels.

use alloc::vec::Vec;

use canon_async::Error;
use canon_async::abi::types::{FuncType as CoreFunc, NewType, TypeItem, Types, ValType as CoreVal};
use canon_async::id::{FuncTypeId, ResourceId, TypeId};
use canon_async::storage::Profile;

use crate::types::{TypeDef, TypeTable, ValType};

/// The fingerprint of a map's pairs, which have no labels.
const PAIR: u32 = 16;
const UNKNOWN: Error = Error::Misuse("a plan's type is made of an unknown type");

/// A plan's types, as the store numbers them.
#[derive(Debug, Default)]
pub(crate) struct Interned {
    defs: Vec<TypeId>,
    pub funcs: Vec<FuncTypeId>,
}

impl Interned {
    /// Interns all types of a table. `resources` are its resources, as the store numbers them.
    pub fn new<P: Profile>(
        types: &mut Types<P>,
        table: &TypeTable,
        resources: &[ResourceId],
    ) -> Result<Self, Error> {
        let mut interned = Self::default();
        for def in &table.defs {
            let id = interned.def(types, def, resources)?;
            interned.defs.push(id);
        }
        for func in &table.funcs {
            let mut params = Vec::new();
            for param in &func.params {
                params.push(Some(interned.val(param.ty)?));
            }
            let params = types.intern(NewType::Record(&params), func.names())?;
            let result = interned.opt(func.result)?;
            let id = types.intern_func(CoreFunc { params, result, is_async: func.is_async })?;
            interned.funcs.push(id);
        }
        Ok(interned)
    }

    /// A value type.
    pub fn val(&self, ty: ValType) -> Result<CoreVal, Error> {
        Ok(match ty {
            ValType::Bool => CoreVal::Bool,
            ValType::S8 => CoreVal::S8,
            ValType::U8 => CoreVal::U8,
            ValType::S16 => CoreVal::S16,
            ValType::U16 => CoreVal::U16,
            ValType::S32 => CoreVal::S32,
            ValType::U32 => CoreVal::U32,
            ValType::S64 => CoreVal::S64,
            ValType::U64 => CoreVal::U64,
            ValType::F32 => CoreVal::F32,
            ValType::F64 => CoreVal::F64,
            ValType::Char => CoreVal::Char,
            ValType::String => CoreVal::String,
            ValType::ErrorContext => CoreVal::ErrorContext,
            ValType::Defined(index) => CoreVal::Defined(self.type_id(index)?),
        })
    }

    /// A value type that may be missing.
    pub fn opt(&self, ty: Option<ValType>) -> Result<TypeItem, Error> {
        ty.map(|ty| self.val(ty)).transpose()
    }

    /// A type that is not primitive.
    pub fn type_id(&self, index: u32) -> Result<TypeId, Error> {
        self.defs.get(index as usize).copied().ok_or(UNKNOWN)
    }

    fn def<P: Profile>(
        &self,
        types: &mut Types<P>,
        def: &TypeDef,
        resources: &[ResourceId],
    ) -> Result<TypeId, Error> {
        let names = def.names();
        let resource = |index: &u32| resources.get(*index as usize).copied().ok_or(UNKNOWN);
        let mut items: Vec<TypeItem> = Vec::new();
        let new = match def {
            TypeDef::Record(fields) => {
                for field in fields {
                    items.push(Some(self.val(field.ty)?));
                }
                NewType::Record(&items)
            }
            TypeDef::Tuple(tys) => {
                for ty in tys {
                    items.push(Some(self.val(*ty)?));
                }
                NewType::Record(&items)
            }
            TypeDef::Variant(cases) => {
                for case in cases {
                    items.push(self.opt(case.ty)?);
                }
                NewType::Variant(&items)
            }
            TypeDef::Enum(labels) => {
                items.resize(labels.len(), None);
                NewType::Variant(&items)
            }
            TypeDef::Option(ty) => {
                items.extend([None, Some(self.val(*ty)?)]);
                NewType::Variant(&items)
            }
            TypeDef::Result { ok, err } => {
                items.extend([self.opt(*ok)?, self.opt(*err)?]);
                NewType::Variant(&items)
            }
            TypeDef::Map(key, value) => {
                items.extend([Some(self.val(*key)?), Some(self.val(*value)?)]);
                let pair = types.intern(NewType::Record(&items), PAIR)?;
                NewType::List(CoreVal::Defined(pair))
            }
            TypeDef::List(ty) => NewType::List(self.val(*ty)?),
            TypeDef::FixedList(ty, len) => NewType::FixedList(self.val(*ty)?, *len),
            TypeDef::Flags(labels) => {
                NewType::Flags(u8::try_from(labels.len()).map_err(|_| Error::Misuse("too many flags"))?)
            }
            TypeDef::Own(index) => NewType::Own(resource(index)?),
            TypeDef::Borrow(index) => NewType::Borrow(resource(index)?),
            TypeDef::Stream(ty) => NewType::Stream(self.opt(*ty)?),
            TypeDef::Future(ty) => NewType::Future(self.opt(*ty)?),
        };
        types.intern(new, names)
    }
}
