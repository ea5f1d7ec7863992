//! Types for `wasm_wave`.

use std::borrow::Cow;
use std::sync::Arc;

use canon_async_component::types::{Case, TypeDef, TypeTable, ValType};
use wasm_wave::wasm::{WasmType, WasmTypeKind};

/// A value type with the table that it is from.
#[derive(Clone)]
pub struct WaveType {
    pub types: Arc<TypeTable>,
    pub ty: ValType,
}

impl WaveType {
    pub fn of(&self, ty: ValType) -> Self {
        Self { types: self.types.clone(), ty }
    }

    pub fn def(&self) -> Option<&TypeDef> {
        match self.ty {
            ValType::Defined(index) => self.types.def(index),
            _ => None,
        }
    }

    fn cases(&self) -> &[Case] {
        match self.def() {
            Some(TypeDef::Variant(cases)) => cases,
            _ => &[],
        }
    }
}

impl WasmType for WaveType {
    fn kind(&self) -> WasmTypeKind {
        match self.ty {
            ValType::Bool => WasmTypeKind::Bool,
            ValType::S8 => WasmTypeKind::S8,
            ValType::U8 => WasmTypeKind::U8,
            ValType::S16 => WasmTypeKind::S16,
            ValType::U16 => WasmTypeKind::U16,
            ValType::S32 => WasmTypeKind::S32,
            ValType::U32 => WasmTypeKind::U32,
            ValType::S64 => WasmTypeKind::S64,
            ValType::U64 => WasmTypeKind::U64,
            ValType::F32 => WasmTypeKind::F32,
            ValType::F64 => WasmTypeKind::F64,
            ValType::Char => WasmTypeKind::Char,
            ValType::String => WasmTypeKind::String,
            ValType::Defined(_) => match self.def() {
                Some(TypeDef::Record(_)) => WasmTypeKind::Record,
                Some(TypeDef::Variant(_)) => WasmTypeKind::Variant,
                // `wasm_wave` reads no fixed-length lists; `make_list` checks the length.
                Some(TypeDef::List(_) | TypeDef::FixedList(..)) => WasmTypeKind::List,
                Some(TypeDef::Tuple(_)) => WasmTypeKind::Tuple,
                Some(TypeDef::Flags(_)) => WasmTypeKind::Flags,
                Some(TypeDef::Enum(_)) => WasmTypeKind::Enum,
                Some(TypeDef::Option(_)) => WasmTypeKind::Option,
                Some(TypeDef::Result { .. }) => WasmTypeKind::Result,
                Some(TypeDef::Map(..)) => WasmTypeKind::Map,
                _ => WasmTypeKind::Unsupported,
            },
            // `error-context`, and what may come.
            _ => WasmTypeKind::Unsupported,
        }
    }

    fn list_element_type(&self) -> Option<Self> {
        match self.def()? {
            TypeDef::List(ty) | TypeDef::FixedList(ty, _) => Some(self.of(*ty)),
            _ => None,
        }
    }

    fn record_fields(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Self)> + '_> {
        let fields = match self.def() {
            Some(TypeDef::Record(fields)) => fields.as_slice(),
            _ => &[],
        };
        Box::new(fields.iter().map(|field| (field.name.as_str().into(), self.of(field.ty))))
    }

    fn tuple_element_types(&self) -> Box<dyn Iterator<Item = Self> + '_> {
        let types = match self.def() {
            Some(TypeDef::Tuple(types)) => types.as_slice(),
            _ => &[],
        };
        Box::new(types.iter().map(|ty| self.of(*ty)))
    }

    fn variant_cases(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Option<Self>)> + '_> {
        Box::new(self.cases().iter().map(|case| (case.name.as_str().into(), case.ty.map(|ty| self.of(ty)))))
    }

    fn enum_cases(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        let labels = match self.def() {
            Some(TypeDef::Enum(labels)) => labels.as_slice(),
            _ => &[],
        };
        Box::new(labels.iter().map(|label| label.as_str().into()))
    }

    fn option_some_type(&self) -> Option<Self> {
        match self.def()? {
            TypeDef::Option(ty) => Some(self.of(*ty)),
            _ => None,
        }
    }

    fn result_types(&self) -> Option<(Option<Self>, Option<Self>)> {
        match self.def()? {
            TypeDef::Result { ok, err } => Some((ok.map(|ty| self.of(ty)), err.map(|ty| self.of(ty)))),
            _ => None,
        }
    }

    fn flags_names(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        let labels = match self.def() {
            Some(TypeDef::Flags(labels)) => labels.as_slice(),
            _ => &[],
        };
        Box::new(labels.iter().map(|label| label.as_str().into()))
    }

    fn map_key_value_types(&self) -> Option<(Self, Self)> {
        match self.def()? {
            TypeDef::Map(key, value) => Some((self.of(*key), self.of(*value))),
            _ => None,
        }
    }
}
