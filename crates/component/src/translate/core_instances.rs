//! Core instances, and what they export.
//!
//! Spec: Explainer, "Instance Definitions".

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use canon_async::spec::PtrType;
use wasmparser::{Export as CoreExport, ExternalKind, Instance};

use super::TranslateError;
use super::inline::Inliner;
use super::intern::next_index;
use super::limits::CORE_ITEMS;
use super::scope::{CoreInstance, ScopeId};
use crate::plan::{CoreImport, CoreItem, CoreItemType, CoreKind, ModuleRef, Step};

impl<'a> Inliner<'_, 'a> {
    pub(super) fn core_instance(
        &mut self,
        scope: ScopeId,
        instance: &Instance<'a>,
    ) -> Result<CoreInstance<'a>, TranslateError> {
        match instance {
            Instance::FromExports(exports) => Ok(CoreInstance::Bag(Rc::new(self.core_bag(scope, exports)?))),
            Instance::Instantiate { module_index, args } => {
                self.charge(u32::try_from(args.len()).unwrap_or(u32::MAX))?;
                let found = self.scope(scope)?;
                let module = found.core_modules.get(*module_index as usize).copied();
                let instance = found.instance;
                let mut by_name = BTreeMap::new();
                for arg in args {
                    by_name.insert(arg.name, found.core_instances.get(arg.index as usize).cloned());
                }
                let module = module.ok_or_else(|| self.expected("a core module"))?;
                if let ModuleRef::Inline(index) = module {
                    let made = self.decoded.modules.get(index as usize).map_or(0, |module| module.core_items);
                    self.core_items = self.core_items.saturating_add(made);
                    self.limits.core_items().check(CORE_ITEMS, self.core_items, Some(self.at))?;
                }
                let mut imports = Vec::new();
                for (name, field, kind) in self.module_imports(module)? {
                    self.charge_name(&name)?;
                    self.charge_name(&field)?;
                    let item = match by_name.get(name.as_str()) {
                        Some(Some(arg)) => self.core_export(arg, kind, &field)?,
                        _ => return Err(self.expected("an argument for each import of the module")),
                    };
                    imports.push(CoreImport { module: name, field, kind, item });
                }
                self.step(Step::InstantiateCore { module, instance, imports })?;
                let index = next_index(self.core_instances.len(), "core instances", self.limits.instances())?;
                self.core_instances.push(module);
                Ok(CoreInstance::Made(index))
            }
        }
    }

    fn core_bag(
        &mut self,
        scope: ScopeId,
        exports: &[CoreExport<'a>],
    ) -> Result<BTreeMap<&'a str, (CoreKind, CoreItem)>, TranslateError> {
        let mut bag = BTreeMap::new();
        for export in exports {
            self.charge(1)?;
            let kind = kind_of(export.kind);
            bag.insert(export.name, (kind, self.core_item(scope, kind, export.index)?));
        }
        Ok(bag)
    }

    fn module_imports(&self, module: ModuleRef) -> Result<Vec<(String, String, CoreKind)>, TranslateError> {
        let imports = match module {
            ModuleRef::Inline(index) => self.decoded.modules.get(index as usize).map(|module| {
                let owned = |(a, b, kind): &(&str, &str, CoreKind)| (a.to_string(), b.to_string(), *kind);
                module.imports.iter().map(owned).collect()
            }),
            ModuleRef::Import(index) => self.plan.import_modules.get(index as usize).map(|module| {
                let owned = |(a, b, ty): &(String, String, CoreItemType)| (a.clone(), b.clone(), ty.kind());
                module.ty.imports.iter().map(owned).collect()
            }),
        };
        imports.ok_or_else(|| self.expected("a core module"))
    }

    /// An export of a core instance.
    pub(super) fn core_export(
        &mut self,
        instance: &CoreInstance<'a>,
        kind: CoreKind,
        name: &str,
    ) -> Result<CoreItem, TranslateError> {
        self.charge_name(name)?;
        match instance {
            CoreInstance::Made(instance) => {
                Ok(CoreItem::Export { instance: *instance, name: name.to_string() })
            }
            CoreInstance::Bag(bag) => match bag.get(name) {
                Some((found, item)) if *found == kind => Ok(item.clone()),
                _ => Err(self.expected("an export of the core instance")),
            },
        }
    }

    pub(super) fn core_item(
        &mut self,
        scope: ScopeId,
        kind: CoreKind,
        index: u32,
    ) -> Result<CoreItem, TranslateError> {
        let found = self.scope(scope)?.core(kind).get(index as usize).cloned();
        let item = found.ok_or_else(|| self.expected("a known core index"))?;
        if let CoreItem::Export { name, .. } = &item {
            self.charge_name(name)?;
        }
        Ok(item)
    }

    /// The type of addresses of a memory or table.
    pub(super) fn ptr_type(&self, item: &CoreItem) -> PtrType {
        let CoreItem::Export { instance, name } = item else { return PtrType::I32 };
        let wide = match self.core_instances.get(*instance as usize) {
            Some(ModuleRef::Inline(index)) => {
                let module = self.decoded.modules.get(*index as usize);
                module.is_some_and(|module| module.wide.contains(name.as_str()))
            }
            Some(ModuleRef::Import(index)) => {
                let module = self.plan.import_modules.get(*index as usize);
                module.and_then(|module| module.ty.exports.get(name)).is_some_and(CoreItemType::is_64)
            }
            None => false,
        };
        if wide { PtrType::I64 } else { PtrType::I32 }
    }
}

pub(super) fn kind_of(kind: ExternalKind) -> CoreKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => CoreKind::Func,
        ExternalKind::Table => CoreKind::Table,
        ExternalKind::Memory => CoreKind::Memory,
        ExternalKind::Global => CoreKind::Global,
        ExternalKind::Tag => CoreKind::Tag,
    }
}
