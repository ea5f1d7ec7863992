//! wasmi's types as [`canon_async_component`] has them.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use canon_async_component::plan::{
    CoreFuncType, CoreGlobal, CoreItemType, CoreLimits, CoreMemory, CoreRef, CoreSignature, CoreTable,
    CoreType, CoreTypes, CoreValType, ModuleType,
};
use wasmi::errors::InstantiationError;
use wasmi::{AsContext, ExternType, FuncType, MemoryType, Module, RefType, ValType};

use crate::start;

/// A page of a memory is two to this many bytes, if it is not one byte.
const PAGE_SIZE_LOG2: u32 = 16;

/// What a module imports and exports, as far as `expected` names it.
pub(crate) fn module_type(module: &Module, expected: &ModuleType) -> ModuleType {
    let (mut types, mut found) = (CoreTypes::new(), ModuleType::default());
    let mut offered = BTreeSet::new();
    for (module, field, _) in &expected.imports {
        offered.insert((module.as_str(), field.as_str()));
    }
    for import in module.imports() {
        let item = item_type(&mut types, import.ty());
        found.imports.push((import.module().into(), import.name().into(), item));
        if !offered.contains(&(import.module(), import.name())) {
            break;
        }
    }
    for name in expected.exports.keys().filter(|name| *name != start::NAME) {
        if let Some(export) = module.get_export(name) {
            found.exports.insert(name.clone(), item_type(&mut types, &export));
        }
    }
    found.types = types.into_defs();
    found
}

fn item_type(types: &mut CoreTypes, ty: &ExternType) -> CoreItemType {
    match ty {
        ExternType::Func(ty) => CoreItemType::Func(types.func(signature(ty))),
        ExternType::Table(ty) => CoreItemType::Table(CoreTable {
            element: match ty.element() {
                RefType::Func => CoreRef::FUNC,
                RefType::Extern => CoreRef::EXTERN,
            },
            limits: CoreLimits { min: ty.minimum(), max: ty.maximum() },
            is_64: ty.is_64(),
            shared: false,
        }),
        ExternType::Memory(ty) => CoreItemType::Memory(CoreMemory {
            limits: CoreLimits { min: ty.minimum(), max: ty.maximum() },
            is_64: ty.is_64(),
            shared: false,
            page_size_log2: if has_small_pages(ty) { 0 } else { PAGE_SIZE_LOG2 },
        }),
        ExternType::Global(ty) => CoreItemType::Global(CoreGlobal {
            content: val_type(ty.content()),
            mutable: ty.mutability().is_mut(),
            shared: false,
        }),
    }
}

/// Whether a page has one byte. wasmi has no getter for the size, but subtyping compares it.
fn has_small_pages(ty: &MemoryType) -> bool {
    let mut small = MemoryType::builder();
    #[cfg(feature = "memory64")]
    small.memory64(ty.is_64());
    small.min(ty.minimum()).max(ty.maximum()).page_size_log2(0);
    small.build().is_ok_and(|small| small == *ty)
}

/// A function's type, whatever is in it.
pub(crate) fn signature(ty: &FuncType) -> CoreSignature {
    let all = |types: &[ValType]| types.iter().map(|ty| val_type(*ty)).collect();
    CoreSignature { params: all(ty.params()), results: all(ty.results()) }
}

fn val_type(ty: ValType) -> CoreValType {
    match ty {
        ValType::I32 => CoreValType::Number(CoreType::I32),
        ValType::I64 => CoreValType::Number(CoreType::I64),
        ValType::F32 => CoreValType::Number(CoreType::F32),
        ValType::F64 => CoreValType::Number(CoreType::F64),
        ValType::V128 => CoreValType::V128,
        ValType::FuncRef => CoreValType::Ref(CoreRef::FUNC),
        ValType::ExternRef => CoreValType::Ref(CoreRef::EXTERN),
    }
}

/// The type of a function of numbers; `None` where there are vectors or references in it.
pub(crate) fn numbers(ty: &FuncType) -> Option<CoreFuncType> {
    let convert = |types: &[ValType]| {
        let types = types.iter().map(|ty| match val_type(*ty) {
            CoreValType::Number(ty) => Some(ty),
            _ => None,
        });
        types.collect::<Option<Vec<_>>>()
    };
    Some(CoreFuncType { params: convert(ty.params())?, results: convert(ty.results())? })
}

/// An import that is not of the type that its module says, in words; wasmi's own are made to be debugged.
pub(crate) fn mismatch(ctx: impl AsContext, error: &InstantiationError) -> Option<String> {
    use InstantiationError as E;
    let (name, expected, found) = match error {
        E::ImportTypeMismatch { name, expected, actual } => (name, expected.clone(), actual.ty(ctx)),
        E::GlobalTypeMismatch { name, expected, actual } => {
            (name, ExternType::Global(*expected), ExternType::Global(*actual))
        }
        E::FuncTypeMismatch { name, expected, actual } => {
            (name, ExternType::Func(expected.clone()), ExternType::Func(actual.clone()))
        }
        E::TableTypeMismatch { name, expected, actual } => {
            (name, ExternType::Table(*expected), ExternType::Table(*actual))
        }
        E::MemoryTypeMismatch { name, expected, actual } => {
            (name, ExternType::Memory(*expected), ExternType::Memory(*actual))
        }
        _ => return None,
    };
    let mut types = CoreTypes::new();
    let [expected, found] = [expected, found].map(|ty| item_type(&mut types, &ty));
    let types = ModuleType { types: types.into_defs(), ..ModuleType::default() };
    let (module, field) = (name.module(), name.name());
    let (expected, found) = (types.display(expected), types.display(found));
    Some(format!("import \"{module}\" \"{field}\": expected {expected}, found {found}"))
}
