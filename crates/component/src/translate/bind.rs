//! Imports and exports with a declared type, bound to what they get.
//!
//! Spec: Explainer, "Import and Export Definitions": after a type import is supplied, "the actual type
//! supplied is immediately substituted for all uses of the import". Here the substitution is to evaluate
//! the declared type with the actual thing at hand: an export of type `(sub resource)` *is* the actual
//! resource. Where there is no actual thing, for the imports of the root, each leaf is a new entry of the
//! plan.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use wasmparser::{
    ComponentAlias, ComponentExternName, ComponentExternalKind, ComponentTypeDeclaration, ComponentTypeRef,
    InstanceTypeDeclaration, TypeBounds,
};

use super::TranslateError;
use super::inline::Inliner;
use super::intern::next_index;
use super::scope::{
    ComponentItem, ComponentType, InstanceData, InstanceKey, InstanceType, Item, NamedItem, Scope, ScopeId,
    TypeItem,
};
use crate::plan::{Attributes, Func, Import, ImportFunc, ImportItem, ModuleRef};
use crate::types::Origin;

/// Where a thing of a declared type comes from.
#[derive(Clone)]
pub(super) enum Source<'t, 'a> {
    /// The host provides it at this path.
    Host(String),
    /// It is this.
    Actual(Item<'t, 'a>),
}

/// A thing that was bound, and, where the host provides it, what the plan says about it.
pub(super) struct Bound<'t, 'a> {
    pub item: Item<'t, 'a>,
    pub import: ImportItem,
}

impl<'t, 'a> Bound<'t, 'a> {
    /// Of an actual thing the plan says nothing.
    fn actual(item: Item<'t, 'a>) -> Self {
        Self { item, import: ImportItem::OtherType }
    }
}

impl<'t, 'a> Source<'t, 'a> {
    fn path(&self) -> Option<&str> {
        match self {
            Self::Host(path) => Some(path),
            Self::Actual(_) => None,
        }
    }
}

impl<'t, 'a> Inliner<'t, 'a> {
    /// Binds a thing to a type that is written in `scope`.
    pub(super) fn bind(
        &mut self,
        scope: ScopeId,
        ty: ComponentTypeRef,
        source: Source<'t, 'a>,
    ) -> Result<Bound<'t, 'a>, TranslateError> {
        self.charge_name(source.path().unwrap_or(""))?;
        match ty {
            ComponentTypeRef::Func(index) => self.bind_func(scope, index, source),
            ComponentTypeRef::Type(bounds) => self.bind_type(scope, bounds, source),
            ComponentTypeRef::Instance(index) => match self.type_item(scope, index)? {
                TypeItem::Instance(ty) => {
                    let depth = self.scope(scope)?.depth;
                    let (instance, imports) = self.bind_instance(ty, depth, source)?;
                    Ok(Bound { item: Item::Instance(instance), import: ImportItem::Instance(imports) })
                }
                _ => Err(self.expected("an instance type")),
            },
            ComponentTypeRef::Module(index) => self.bind_module(scope, index, source),
            ComponentTypeRef::Component(index) => match self.type_item(scope, index)? {
                TypeItem::Component(ty) => self.bind_component(ty, source),
                _ => Err(self.expected("a component type")),
            },
            ComponentTypeRef::Value(ty) => self.bind_value(scope, ty, source),
        }
    }

    fn bind_func(
        &mut self,
        scope: ScopeId,
        index: u32,
        source: Source<'t, 'a>,
    ) -> Result<Bound<'t, 'a>, TranslateError> {
        match source {
            Source::Actual(item @ Item::Func(_)) => Ok(Bound::actual(item)),
            Source::Actual(_) => Err(self.expected("a function")),
            Source::Host(path) => {
                let TypeItem::Func(ty) = self.type_item(scope, index)? else {
                    return Err(self.expected("a function type"));
                };
                let index =
                    next_index(self.plan.import_funcs.len(), "imported functions", self.limits.items())?;
                self.plan.import_funcs.push(ImportFunc { path, ty });
                Ok(Bound { item: Item::Func(Func::Import(index)), import: ImportItem::Func(index) })
            }
        }
    }

    fn bind_type(
        &mut self,
        scope: ScopeId,
        bounds: TypeBounds,
        source: Source<'t, 'a>,
    ) -> Result<Bound<'t, 'a>, TranslateError> {
        let ty = match (bounds, source) {
            (TypeBounds::Eq(index), _) => self.type_item(scope, index)?,
            (TypeBounds::SubResource, Source::Actual(Item::Type(ty @ TypeItem::Resource(_)))) => ty,
            (TypeBounds::SubResource, Source::Actual(_)) => return Err(self.expected("a resource type")),
            (TypeBounds::SubResource, Source::Host(path)) => {
                let name = path.rsplit('#').next().unwrap_or(&path).to_string();
                TypeItem::Resource(self.tables.resource(&name, Origin::Imported { path })?)
            }
        };
        let import = match ty {
            TypeItem::Resource(resource) => ImportItem::Resource(resource),
            TypeItem::Value(ty) => ImportItem::Type(ty),
            TypeItem::Func(_) | TypeItem::Instance(_) | TypeItem::Component(_) => ImportItem::OtherType,
        };
        Ok(Bound { item: Item::Type(ty), import })
    }

    fn bind_module(
        &mut self,
        scope: ScopeId,
        index: u32,
        source: Source<'t, 'a>,
    ) -> Result<Bound<'t, 'a>, TranslateError> {
        match source {
            Source::Actual(item @ Item::Module(_)) => Ok(Bound::actual(item)),
            Source::Actual(_) => Err(self.expected("a core module")),
            Source::Host(path) => {
                let module = self.import_module(scope, index, &path)?;
                let index = next_index(self.plan.import_modules.len(), "modules", self.limits.modules())?;
                self.plan.import_modules.push(module);
                Ok(Bound { item: Item::Module(ModuleRef::Import(index)), import: ImportItem::Module(index) })
            }
        }
    }

    fn bind_component(
        &mut self,
        ty: ComponentType<'t, 'a>,
        source: Source<'t, 'a>,
    ) -> Result<Bound<'t, 'a>, TranslateError> {
        let inline = match source {
            Source::Actual(Item::Component(component)) => component.inline,
            Source::Actual(_) => return Err(self.expected("a component")),
            Source::Host(_) => None,
        };
        let item = Item::Component(ComponentItem { inline, seen_as: Some(ty) });
        Ok(Bound { item, import: ImportItem::Component })
    }

    /// Evaluates an instance type with an actual instance, or with one that the host provides. The result
    /// exports what the type says and no more.
    fn bind_instance(
        &mut self,
        ty: InstanceType<'t, 'a>,
        depth: u32,
        source: Source<'t, 'a>,
    ) -> Result<(InstanceKey, Vec<Import>), TranslateError> {
        if let Source::Host(_) = source {
            self.check_nesting(depth.saturating_add(1))?;
        }
        let scope = self.type_scope(ty.scope, depth)?;
        let (mut data, mut imports) = (InstanceData::default(), Vec::new());
        for decl in ty.decls {
            self.charge(1)?;
            match decl {
                InstanceTypeDeclaration::CoreType(ty) => self.eval_core_type(scope, ty)?,
                InstanceTypeDeclaration::Type(ty) => {
                    let item = self.eval_type(scope, ty)?;
                    self.scope_mut(scope)?.types.push(item);
                }
                InstanceTypeDeclaration::Alias(alias) => self.alias_in_type(scope, alias)?,
                InstanceTypeDeclaration::Export { name, ty } => {
                    let source = self.member(&source, name.name)?;
                    let bound = self.bind(scope, *ty, source)?;
                    self.scope_mut(scope)?.push(bound.item);
                    data.add(NamedItem { name: *name, item: bound.item });
                    self.charge_attributes(name)?;
                    imports.push(import(name, bound.import));
                }
            }
        }
        Ok((self.add_instance(data), imports))
    }

    /// What an instance exports, seen as the exports of a component type: the type's imports are what the
    /// component was instantiated with.
    pub(super) fn see_as(
        &mut self,
        ty: ComponentType<'t, 'a>,
        depth: u32,
        args: InstanceKey,
        instance: InstanceKey,
    ) -> Result<InstanceKey, TranslateError> {
        let scope = self.type_scope(ty.scope, depth)?;
        let args = Source::Actual(Item::Instance(args));
        let actual = Source::Actual(Item::Instance(instance));
        let mut data = InstanceData::default();
        for decl in ty.decls {
            self.charge(1)?;
            match decl {
                ComponentTypeDeclaration::CoreType(ty) => self.eval_core_type(scope, ty)?,
                ComponentTypeDeclaration::Type(ty) => {
                    let item = self.eval_type(scope, ty)?;
                    self.scope_mut(scope)?.types.push(item);
                }
                ComponentTypeDeclaration::Alias(alias) => self.alias_in_type(scope, alias)?,
                ComponentTypeDeclaration::Import(import) => {
                    let source = self.member(&args, import.name.name)?;
                    let bound = self.bind(scope, import.ty, source)?;
                    self.scope_mut(scope)?.push(bound.item);
                }
                ComponentTypeDeclaration::Export { name, ty } => {
                    let source = self.member(&actual, name.name)?;
                    let bound = self.bind(scope, *ty, source)?;
                    self.scope_mut(scope)?.push(bound.item);
                    data.add(NamedItem { name: *name, item: bound.item });
                }
            }
        }
        Ok(self.add_instance(data))
    }

    /// Spends budget for copies of what a name says besides.
    pub(super) fn charge_attributes(&mut self, name: &ComponentExternName<'_>) -> Result<(), TranslateError> {
        let ComponentExternName { name: _, implements, version_suffix, external_id } = name;
        [implements, version_suffix, external_id]
            .into_iter()
            .flatten()
            .try_for_each(|text| self.charge_name(text))
    }

    fn type_scope(&mut self, parent: ScopeId, depth: u32) -> Result<ScopeId, TranslateError> {
        let instance = self.scope(parent)?.instance;
        self.add_scope(Scope::new(Some(parent), instance, depth.saturating_add(1)))
    }

    /// An export of what an instance type is bound to.
    fn member(&self, source: &Source<'t, 'a>, name: &str) -> Result<Source<'t, 'a>, TranslateError> {
        match source {
            Source::Host(path) => Ok(Source::Host(format!("{path}#{name}"))),
            Source::Actual(Item::Instance(instance)) => {
                Ok(Source::Actual(self.instance_export(*instance, name)?))
            }
            Source::Actual(_) => Err(self.expected("an instance")),
        }
    }

    /// An alias inside an instance or component type.
    fn alias_in_type(&mut self, scope: ScopeId, alias: &ComponentAlias<'a>) -> Result<(), TranslateError> {
        match alias {
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Type | ComponentExternalKind::Instance,
                ..
            }
            | ComponentAlias::Outer { .. } => self.alias(scope, alias),
            _ => Err(self.expected("an alias of a type or an instance")),
        }
    }
}

/// A name of which nothing is said.
pub(super) fn plain_name(name: &str) -> ComponentExternName<'_> {
    ComponentExternName { name, implements: None, version_suffix: None, external_id: None }
}

/// An import of the plan, with what its name says.
pub(super) fn import(name: &ComponentExternName<'_>, item: ImportItem) -> Import {
    Import { name: name.name.to_string(), attributes: attributes(name), item }
}

/// What a name says besides.
pub(super) fn attributes(name: &ComponentExternName<'_>) -> Attributes {
    Attributes {
        implements: name.implements.map(ToString::to_string),
        external_id: name.external_id.map(ToString::to_string),
        version_suffix: name.version_suffix.map(ToString::to_string),
    }
}
