//! Core types, evaluated in a scope.
//!
//! Spec: Explainer, "Core Type Definitions"; WebAssembly, "Type Definitions".

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;

use wasmparser::{
    AbstractHeapType, CompositeInnerType, CoreType, FieldType, HeapType, ModuleTypeDeclaration,
    OuterAliasKind, RecGroup, RefType, StorageType, SubType, TypeRef, UnpackedIndex, ValType,
};

use super::TranslateError;
use super::inline::Inliner;
use super::scope::{CoreTypeItem, ScopeId};
use crate::plan::{
    CoreAbstract, CoreComposite, CoreDef, CoreField, CoreGlobal, CoreHeap, CoreItemType, CoreLimits,
    CoreMemory, CoreRef, CoreSignature, CoreStorage, CoreTable, CoreType as CoreNumber, CoreValType,
    ImportModule, ModuleType, group_of,
};

/// The size of a page of a memory that says nothing about it, as a power of two.
const PAGE_SIZE_LOG2: u32 = 16;

impl<'t, 'a> Inliner<'t, 'a> {
    /// A core type definition. Recursion groups add as many types as they have.
    pub(super) fn eval_core_type(
        &mut self,
        scope: ScopeId,
        ty: &'t CoreType<'a>,
    ) -> Result<(), TranslateError> {
        match ty {
            CoreType::Rec(group) => {
                // Taken and put back: evaluation does not look at it otherwise.
                let mut types = core::mem::take(&mut self.scope_mut(scope)?.core_types);
                let added = self.rec_group(&mut types, group);
                self.scope_mut(scope)?.core_types = types;
                added
            }
            CoreType::Module(decls) => {
                self.scope_mut(scope)?.core_types.push(CoreTypeItem::Module(decls));
                Ok(())
            }
        }
    }

    /// Adds the types of a recursion group to an index space.
    fn rec_group(
        &mut self,
        types: &mut Vec<CoreTypeItem<'t, 'a>>,
        group: &RecGroup,
    ) -> Result<(), TranslateError> {
        let start = self.core_types.len();
        let mut defs = Vec::new();
        for ty in group.types() {
            self.charge(1)?;
            let context = Context { types, start, len: group.types().len(), at: self.at };
            let def = context.def(ty)?;
            self.charge(u32::try_from(def.size()).unwrap_or(u32::MAX))?;
            defs.push(def);
        }
        let len = defs.len();
        let first = self.core_types.group(defs);
        types.extend((0..).take(len).map(|at: u32| CoreTypeItem::Def(first.saturating_add(at))));
        Ok(())
    }

    /// A core module that the root imports: what its type says.
    pub(super) fn import_module(
        &mut self,
        scope: ScopeId,
        index: u32,
        path: &str,
    ) -> Result<ImportModule, TranslateError> {
        let found = self.scope(scope)?.core_types.get(index as usize).copied();
        let Some(CoreTypeItem::Module(decls)) = found else { return Err(self.expected("a module type")) };
        let mut ty = ModuleType::default();
        let mut types = Vec::new();
        for decl in decls {
            self.charge(1)?;
            match decl {
                ModuleTypeDeclaration::Import(import) => {
                    self.charge_name(import.module)?;
                    self.charge_name(import.name)?;
                    let item = self.core_item_type(import.ty, &types)?;
                    ty.imports.push((import.module.to_string(), import.name.to_string(), item));
                }
                ModuleTypeDeclaration::Export { name, ty: export } => {
                    self.charge_name(name)?;
                    let item = self.core_item_type(*export, &types)?;
                    ty.exports.insert(name.to_string(), item);
                }
                ModuleTypeDeclaration::Type(group) => self.rec_group(&mut types, group)?,
                ModuleTypeDeclaration::OuterAlias { kind: OuterAliasKind::Type, count, index } => {
                    types.push(self.core_type_outside(scope, &types, *count, *index as usize)?);
                }
            }
        }
        self.take_types(&mut ty)?;
        Ok(ImportModule { path: path.to_string(), ty })
    }

    /// A core type that a module type takes from itself (`count` is 0) or from around it.
    fn core_type_outside(
        &self,
        scope: ScopeId,
        own: &[CoreTypeItem<'t, 'a>],
        count: u32,
        index: usize,
    ) -> Result<CoreTypeItem<'t, 'a>, TranslateError> {
        let Some(count) = count.checked_sub(1) else {
            return own.get(index).copied().ok_or_else(|| self.expected("a core type"));
        };
        let mut from = scope;
        for _ in 0..count {
            from = self.scope(from)?.parent.ok_or_else(|| self.expected("an enclosing scope"))?;
        }
        self.scope(from)?.core_types.get(index).copied().ok_or_else(|| self.expected("a core type"))
    }

    /// The type of an import or export; its indices are those of [`Inliner::core_types`].
    fn core_item_type(
        &self,
        ty: TypeRef,
        types: &[CoreTypeItem<'t, 'a>],
    ) -> Result<CoreItemType, TranslateError> {
        let context = Context { types, start: u32::MAX, len: 0, at: self.at };
        Ok(match ty {
            TypeRef::Func(index) => CoreItemType::Func(context.defined(UnpackedIndex::Module(index))?),
            TypeRef::Tag(tag) => {
                CoreItemType::Tag(context.defined(UnpackedIndex::Module(tag.func_type_idx))?)
            }
            TypeRef::Table(table) => CoreItemType::Table(CoreTable {
                element: context.reference(table.element_type)?,
                limits: CoreLimits { min: table.initial, max: table.maximum },
                is_64: table.table64,
                shared: table.shared,
            }),
            TypeRef::Memory(memory) => CoreItemType::Memory(CoreMemory {
                limits: CoreLimits { min: memory.initial, max: memory.maximum },
                is_64: memory.memory64,
                shared: memory.shared,
                page_size_log2: memory.page_size_log2.unwrap_or(PAGE_SIZE_LOG2),
            }),
            TypeRef::Global(global) => CoreItemType::Global(CoreGlobal {
                content: context.val(global.content_type)?,
                mutable: global.mutable,
                shared: global.shared,
            }),
            TypeRef::FuncExact(_) => return Err(self.unsupported("an exact core function type")),
        })
    }

    /// Gives a module type the types that it refers to, with the groups that they are in and what those refer
    /// to.
    fn take_types(&mut self, module: &mut ModuleType) -> Result<(), TranslateError> {
        let mut pending = BTreeSet::new();
        let items = module.imports.iter_mut().map(|(_, _, ty)| ty).chain(module.exports.values_mut());
        items.for_each(|item| item.each_index(&mut |index| _ = pending.insert(*index)));
        let mut groups = Vec::new();
        while let Some(last) = pending.pop_last() {
            let group = group_of(self.core_types.defs(), last);
            let defs = self.core_types.defs().get(group.clone()).unwrap_or_default();
            let size = defs.iter().fold(0, |sum: usize, def| sum.saturating_add(def.size()));
            self.charge(u32::try_from(size).unwrap_or(u32::MAX))?;
            let mut defs = self.core_types.defs().get(group.clone()).unwrap_or_default().to_vec();
            defs.iter_mut().for_each(|def| def.each_index(&mut |index| _ = pending.insert(*index)));
            while pending.last().is_some_and(|index| *index as usize >= group.start) {
                pending.pop_last();
            }
            groups.push((group, defs));
        }
        let mut taken = BTreeMap::new();
        for (group, mut defs) in groups.into_iter().rev() {
            for old in group {
                let new = u32::try_from(taken.len()).unwrap_or(u32::MAX);
                taken.insert(u32::try_from(old).unwrap_or(u32::MAX), new);
            }
            let mut rename = |index: &mut u32| *index = taken.get(index).copied().unwrap_or(u32::MAX);
            defs.iter_mut().for_each(|def| def.each_index(&mut rename));
            module.types.append(&mut defs);
        }
        let mut rename = |index: &mut u32| *index = taken.get(index).copied().unwrap_or(u32::MAX);
        let items = module.imports.iter_mut().map(|(_, _, ty)| ty).chain(module.exports.values_mut());
        items.for_each(|item| item.each_index(&mut rename));
        Ok(())
    }
}

/// Where a core type is written.
struct Context<'c, 't, 'a> {
    /// The index space.
    types: &'c [CoreTypeItem<'t, 'a>],
    /// What the types of the group that is read get for indices, from this on.
    start: u32,
    /// How many these are.
    len: usize,
    at: u64,
}

impl Context<'_, '_, '_> {
    fn def(&self, ty: &SubType) -> Result<CoreDef, TranslateError> {
        let composite = &ty.composite_type;
        if composite.descriptor_idx.is_some() || composite.describes_idx.is_some() {
            return Err(self.unsupported("a core type with a descriptor"));
        }
        let supertype = match ty.supertype_idxs.as_slice() {
            [] => None,
            [index, ..] => Some(self.defined(index.unpack())?),
        };
        let field = |field: &FieldType| self.field(field);
        let kind = match &composite.inner {
            CompositeInnerType::Func(ty) => CoreComposite::Func(CoreSignature {
                params: self.vals(ty.params())?,
                results: self.vals(ty.results())?,
            }),
            CompositeInnerType::Struct(ty) => {
                CoreComposite::Struct(ty.fields.iter().map(field).collect::<Result<_, _>>()?)
            }
            CompositeInnerType::Array(ty) => CoreComposite::Array(field(&ty.0)?),
            CompositeInnerType::Cont(_) => return Err(self.unsupported("a core type of continuations")),
        };
        let shared = composite.shared;
        Ok(CoreDef { continues: false, is_final: ty.is_final, supertype, shared, composite: kind })
    }

    fn field(&self, field: &FieldType) -> Result<CoreField, TranslateError> {
        let storage = match field.element_type {
            StorageType::I8 => CoreStorage::I8,
            StorageType::I16 => CoreStorage::I16,
            StorageType::Val(ty) => CoreStorage::Val(self.val(ty)?),
        };
        Ok(CoreField { storage, mutable: field.mutable })
    }

    fn vals(&self, types: &[ValType]) -> Result<Vec<CoreValType>, TranslateError> {
        types.iter().map(|ty| self.val(*ty)).collect()
    }

    fn val(&self, ty: ValType) -> Result<CoreValType, TranslateError> {
        Ok(match ty {
            ValType::I32 => CoreValType::Number(CoreNumber::I32),
            ValType::I64 => CoreValType::Number(CoreNumber::I64),
            ValType::F32 => CoreValType::Number(CoreNumber::F32),
            ValType::F64 => CoreValType::Number(CoreNumber::F64),
            ValType::V128 => CoreValType::V128,
            ValType::Ref(ty) => CoreValType::Ref(self.reference(ty)?),
        })
    }

    fn reference(&self, ty: RefType) -> Result<CoreRef, TranslateError> {
        let heap = match ty.heap_type() {
            HeapType::Abstract { shared, ty } => CoreHeap::Abstract { kind: self.kind(ty)?, shared },
            HeapType::Concrete(index) => CoreHeap::Defined(self.defined(index)?),
            HeapType::Exact(_) => return Err(self.unsupported("an exact core reference type")),
        };
        Ok(CoreRef { nullable: ty.is_nullable(), heap })
    }

    fn kind(&self, ty: AbstractHeapType) -> Result<CoreAbstract, TranslateError> {
        Ok(match ty {
            AbstractHeapType::Func => CoreAbstract::Func,
            AbstractHeapType::NoFunc => CoreAbstract::NoFunc,
            AbstractHeapType::Extern => CoreAbstract::Extern,
            AbstractHeapType::NoExtern => CoreAbstract::NoExtern,
            AbstractHeapType::Any => CoreAbstract::Any,
            AbstractHeapType::Eq => CoreAbstract::Eq,
            AbstractHeapType::I31 => CoreAbstract::I31,
            AbstractHeapType::Struct => CoreAbstract::Struct,
            AbstractHeapType::Array => CoreAbstract::Array,
            AbstractHeapType::None => CoreAbstract::None,
            AbstractHeapType::Exn => CoreAbstract::Exn,
            AbstractHeapType::NoExn => CoreAbstract::NoExn,
            AbstractHeapType::Cont | AbstractHeapType::NoCont => {
                return Err(self.unsupported("a core type of continuations"));
            }
        })
    }

    /// The index of a type in [`Inliner::core_types`], or the one that it gets.
    fn defined(&self, index: UnpackedIndex) -> Result<u32, TranslateError> {
        let own = match index {
            UnpackedIndex::Module(index) => match self.types.get(index as usize) {
                Some(CoreTypeItem::Def(index)) => return Ok(*index),
                Some(CoreTypeItem::Module(_)) => None,
                None => (index as usize).checked_sub(self.types.len()),
            },
            UnpackedIndex::RecGroup(index) => Some(index as usize),
            _ => None,
        };
        let own = own.filter(|own| *own < self.len).and_then(|own| u32::try_from(own).ok());
        own.and_then(|own| self.start.checked_add(own)).ok_or_else(|| self.expected("a core type"))
    }

    fn unsupported(&self, what: &str) -> TranslateError {
        TranslateError::unsupported(what, self.at)
    }

    fn expected(&self, what: &str) -> TranslateError {
        TranslateError::Internal { expected: what.to_string(), offset: self.at }
    }
}
