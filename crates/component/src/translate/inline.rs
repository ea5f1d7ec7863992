//! The definitions of a component, executed.
//!
//! Spec: Explainer, "Instance Definitions", "Alias Definitions", "Import and Export Definitions".

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use wasmparser::{
    ComponentAlias, ComponentExport, ComponentExternName, ComponentExternalKind, ComponentImport,
    ComponentInstance, ComponentOuterAliasKind,
};

use super::bind::{Source, attributes, import, plain_name};
use super::core_instances::kind_of;
use super::decode::{Decoded, Def};
use super::intern::{Tables, next_index};
use super::limits::Limit;
use super::scope::{
    ComponentItem, InstanceData, InstanceKey, Item, NamedItem, Scope, ScopeId, TypeItem, ValueItem,
};
use super::{PlanLimits, TranslateError};
use crate::plan::{
    CoreTypes, Export, ExportItem, Func, MAX_NESTING, Module, ModuleRef, Plan, PlanInstance, Step, cut_name,
};

/// What is known while definitions are executed.
pub(super) struct Inliner<'t, 'a> {
    pub decoded: &'t Decoded<'a>,
    pub limits: PlanLimits,
    pub tables: Tables,
    /// Those of imported core modules.
    pub core_types: CoreTypes,
    pub plan: Plan,
    scopes: Vec<Scope<'t, 'a>>,
    instances: Vec<InstanceData<'t, 'a>>,
    /// Which module each core instance is made of.
    pub core_instances: Vec<ModuleRef>,
    /// How many start functions were executed.
    pub starts: usize,
    items: u32,
    /// Those of core instances.
    pub core_items: u64,
    /// The offset of the definition that is being executed.
    pub at: u64,
}

/// Executes the root component.
pub(super) fn inline(decoded: &Decoded<'_>, limits: &PlanLimits) -> Result<Plan, TranslateError> {
    let mut inliner = Inliner {
        decoded,
        limits: *limits,
        tables: Tables::new(limits),
        core_types: CoreTypes::new(),
        plan: Plan::default(),
        scopes: Vec::new(),
        instances: Vec::new(),
        core_instances: Vec::new(),
        starts: 0,
        items: 0,
        core_items: 0,
        at: 0,
    };
    inliner.plan.modules =
        decoded.modules.iter().map(|module| Module { bytes: module.bytes.to_vec().into() }).collect();
    inliner.plan.name = decoded.components.first().and_then(|root| root.name).map(ToString::to_string);
    let exports = inliner.component(0, None, None, None, None);
    let tree = exports.and_then(|exports| inliner.export_tree(exports, 0));
    inliner.plan.exports = tree.map_err(|error| error.or_at(inliner.at))?;
    let Inliner { tables, mut plan, .. } = inliner;
    (plan.types, plan.core_types, plan.options, plan.builtins) = tables.into_types();
    Ok(plan)
}

impl<'t, 'a> Inliner<'t, 'a> {
    /// Instantiates a component: its exports. `within` is the scope that the component was defined in,
    /// `caller` the one that instantiates it, `args` what it is given, `called` what it is called there; the
    /// root has none of them.
    fn component(
        &mut self,
        index: usize,
        within: Option<ScopeId>,
        caller: Option<ScopeId>,
        args: Option<InstanceKey>,
        called: Option<&str>,
    ) -> Result<InstanceKey, TranslateError> {
        let component = self.decoded.components.get(index).ok_or_else(|| self.expected("a component"))?;
        let (parent, depth) = match caller {
            Some(caller) => {
                let caller = self.scope(caller)?;
                (Some(caller.instance), caller.depth.saturating_add(1))
            }
            None => (None, 0),
        };
        let instance = next_index(self.plan.instances.len(), "component instances", self.limits.instances())?;
        self.plan.instances.push(PlanInstance { parent });
        let name = called.or(component.name).map(short);
        self.charge(name.as_ref().map_or(0, |name| u32::try_from(name.len() / 32).unwrap_or(u32::MAX)))?;
        self.plan.names.instances.push(name);
        let scope = Scope { component: Some(index), ..Scope::new(within, instance, depth) };
        let scope = self.add_scope(scope)?;
        let mut exports = InstanceData::default();
        let outer_at = self.at;
        for (offset, def) in &component.defs {
            self.at = *offset;
            self.charge(1)?;
            match def {
                Def::Export(export) => exports.add(self.export(scope, export)?),
                Def::Import(import) => self.import(scope, import, args)?,
                def => self.definition(scope, def)?,
            }
        }
        self.at = outer_at;
        Ok(self.add_instance(exports))
    }

    /// A definition that is neither an import nor an export.
    fn definition(&mut self, scope: ScopeId, def: &'t Def<'a>) -> Result<(), TranslateError> {
        match def {
            Def::CoreModule(index) => {
                let index = u32::try_from(*index).map_err(|_| self.expected("a module index"))?;
                self.scope_mut(scope)?.core_modules.push(ModuleRef::Inline(index));
            }
            Def::CoreInstance(instance) => {
                let instance = self.core_instance(scope, instance)?;
                self.scope_mut(scope)?.core_instances.push(instance);
            }
            Def::CoreType(ty) => self.eval_core_type(scope, ty)?,
            Def::Component(index) => {
                let component = ComponentItem { inline: Some((*index, scope)), seen_as: None };
                self.scope_mut(scope)?.components.push(component);
            }
            Def::Instance(instance) => {
                let instance = self.instance(scope, instance)?;
                self.scope_mut(scope)?.instances.push(instance);
            }
            Def::Alias(alias) => self.alias(scope, alias)?,
            Def::Type(ty) => {
                let ty = self.eval_type(scope, ty)?;
                self.scope_mut(scope)?.types.push(ty);
            }
            Def::Canon(canon) => self.canon(scope, canon)?,
            Def::Start(start) => self.start(scope, start)?,
            Def::Import(_) | Def::Export(_) => return Err(self.expected("no import or export")),
        }
        Ok(())
    }

    fn import(
        &mut self,
        scope: ScopeId,
        def: &ComponentImport<'a>,
        args: Option<InstanceKey>,
    ) -> Result<(), TranslateError> {
        let source = match args {
            Some(args) => Source::Actual(self.instance_export(args, def.name.name)?),
            None => Source::Host(def.name.name.to_string()),
        };
        let bound = self.bind(scope, def.ty, source)?;
        self.scope_mut(scope)?.push(bound.item);
        if args.is_none() {
            self.charge_attributes(&def.name)?;
            self.plan.imports.push(import(&def.name, bound.import));
        }
        Ok(())
    }

    fn export(
        &mut self,
        scope: ScopeId,
        export: &ComponentExport<'a>,
    ) -> Result<NamedItem<'t, 'a>, TranslateError> {
        let mut item = self.item(scope, export.kind, export.index)?;
        if let Some(ty) = export.ty {
            item = self.bind(scope, ty, Source::Actual(item))?.item;
        }
        self.name_resource(&export.name, item);
        self.name_lifts(scope, export.name.name, item)?;
        self.scope_mut(scope)?.push(item);
        Ok(NamedItem { name: export.name, item })
    }

    /// What a component calls the next instance that it makes.
    fn instance_name(&self, scope: ScopeId) -> Option<&'a str> {
        let scope = self.scopes.get(scope)?;
        let component = self.decoded.components.get(scope.component?)?;
        component.instance_names.get(&u32::try_from(scope.instances.len()).ok()?).copied()
    }

    /// Functions that a component lifts are called as it first exports them.
    fn name_lifts(&mut self, scope: ScopeId, name: &str, item: Item<'t, 'a>) -> Result<(), TranslateError> {
        let instance = self.scope(scope)?.instance;
        match item {
            Item::Func(Func::Lift(lift)) => self.name_lift(instance, lift, || short(name))?,
            Item::Instance(key) => {
                let exports = self.instances.get(key).map_or(0, |data| data.exports.len());
                self.charge(u32::try_from(exports / 32).unwrap_or(u32::MAX))?;
                for index in 0..exports {
                    let export = self.instances.get(key).and_then(|data| data.exports.get(index)).copied();
                    if let Some(NamedItem { name: inner, item: Item::Func(Func::Lift(lift)) }) = export {
                        self.name_lift(instance, lift, || short(&format!("{name}#{}", inner.name)))?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn name_lift(
        &mut self,
        instance: u32,
        lift: u32,
        name: impl FnOnce() -> String,
    ) -> Result<(), TranslateError> {
        let options = self.plan.lifts.get(lift as usize).map(|lift| lift.options);
        if options.and_then(|options| self.tables.instance_of(options)) == Some(instance)
            && let Some(slot @ None) = self.plan.names.lifts.get_mut(lift as usize)
        {
            let name = name();
            let extra = u32::try_from(name.len() / 32).unwrap_or(u32::MAX);
            *slot = Some(name);
            self.charge(extra)?;
        }
        Ok(())
    }

    fn name_resource(&mut self, name: &ComponentExternName<'a>, item: Item<'t, 'a>) {
        if let Item::Type(TypeItem::Resource(resource)) = item {
            self.tables.name_resource(resource, name.name);
        }
    }

    fn instance(
        &mut self,
        scope: ScopeId,
        instance: &ComponentInstance<'a>,
    ) -> Result<InstanceKey, TranslateError> {
        let mut data = InstanceData::default();
        match instance {
            ComponentInstance::FromExports(exports) => {
                for export in exports {
                    self.charge(1)?;
                    let item = self.item(scope, export.kind, export.index)?;
                    self.name_resource(&export.name, item);
                    data.add(NamedItem { name: export.name, item });
                }
                Ok(self.add_instance(data))
            }
            ComponentInstance::Instantiate { component_index, args } => {
                for arg in args {
                    self.charge(1)?;
                    let item = self.item(scope, arg.kind, arg.index)?;
                    data.add(NamedItem { name: plain_name(arg.name), item });
                }
                let args = self.add_instance(data);
                let found = self.scope(scope)?;
                let (depth, component) =
                    (found.depth, found.components.get(*component_index as usize).copied());
                let component = component.ok_or_else(|| self.expected("a component"))?;
                let Some((index, within)) = component.inline else {
                    return Err(self.unsupported("an instance of an imported component"));
                };
                let called = self.instance_name(scope);
                let made = self.component(index, Some(within), Some(scope), Some(args), called)?;
                match component.seen_as {
                    Some(ty) => self.see_as(ty, depth, args, made),
                    None => Ok(made),
                }
            }
        }
    }

    /// An alias definition, or one inside a type.
    pub(super) fn alias(&mut self, scope: ScopeId, alias: &ComponentAlias<'a>) -> Result<(), TranslateError> {
        match alias {
            ComponentAlias::InstanceExport { instance_index, name, .. } => {
                let instance = self.scope(scope)?.instances.get(*instance_index as usize).copied();
                let instance = instance.ok_or_else(|| self.expected("an instance"))?;
                let item = self.instance_export(instance, name)?;
                self.scope_mut(scope)?.push(item);
                Ok(())
            }
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                let instance = self.scope(scope)?.core_instances.get(*instance_index as usize).cloned();
                let instance = instance.ok_or_else(|| self.expected("a core instance"))?;
                let kind = kind_of(*kind);
                let item = self.core_export(&instance, kind, name)?;
                self.scope_mut(scope)?.core_mut(kind).push(item);
                Ok(())
            }
            ComponentAlias::Outer { kind, count, index } => {
                self.outer_alias(scope, *kind, *count, *index as usize)
            }
        }
    }

    fn outer_alias(
        &mut self,
        scope: ScopeId,
        kind: ComponentOuterAliasKind,
        count: u32,
        index: usize,
    ) -> Result<(), TranslateError> {
        let mut from = scope;
        for _ in 0..count {
            from = self.scope(from)?.parent.ok_or_else(|| self.expected("an enclosing scope"))?;
        }
        let outer = self.scope(from)?;
        let missing = || self.expected("an outer definition");
        match kind {
            ComponentOuterAliasKind::Type => {
                let item = outer.types.get(index).copied().ok_or_else(missing)?;
                self.scope_mut(scope)?.types.push(item);
            }
            ComponentOuterAliasKind::CoreType => {
                let item = outer.core_types.get(index).copied().ok_or_else(missing)?;
                self.scope_mut(scope)?.core_types.push(item);
            }
            ComponentOuterAliasKind::CoreModule => {
                let item = outer.core_modules.get(index).copied().ok_or_else(missing)?;
                self.scope_mut(scope)?.core_modules.push(item);
            }
            ComponentOuterAliasKind::Component => {
                let item = outer.components.get(index).copied().ok_or_else(missing)?;
                self.scope_mut(scope)?.components.push(item);
            }
        }
        Ok(())
    }

    /// What the root exports, as the plan has it. Instances that share instances become trees, which may be
    /// larger.
    fn export_tree(&mut self, instance: InstanceKey, depth: u32) -> Result<Vec<Export>, TranslateError> {
        self.check_nesting(depth)?;
        let exports = self.instances.get(instance).map(|data| data.exports.clone()).unwrap_or_default();
        let mut tree = Vec::new();
        for NamedItem { name, item } in exports {
            self.charge_name(name.name)?;
            self.charge_attributes(&name)?;
            let item = match item {
                Item::Func(func) => ExportItem::Func(func),
                Item::Instance(instance) => {
                    ExportItem::Instance(self.export_tree(instance, depth.saturating_add(1))?)
                }
                Item::Type(TypeItem::Resource(resource)) => ExportItem::Resource(resource),
                Item::Type(TypeItem::Value(ty)) => ExportItem::Type(ty),
                Item::Type(_) => ExportItem::OtherType,
                Item::Module(module) => ExportItem::Module(module),
                Item::Value(ValueItem { value, ty }) => ExportItem::Value(value, ty),
                Item::Component(_) => ExportItem::Component,
            };
            tree.push(Export { name: name.name.to_string(), attributes: attributes(&name), item });
        }
        Ok(tree)
    }

    // Look-ups and additions.

    /// What an index stands for.
    fn item(
        &self,
        scope: ScopeId,
        kind: ComponentExternalKind,
        index: u32,
    ) -> Result<Item<'t, 'a>, TranslateError> {
        let (found, at) = (self.scope(scope)?, index as usize);
        let item = match kind {
            ComponentExternalKind::Func => found.funcs.get(at).copied().map(Item::Func),
            ComponentExternalKind::Type => found.types.get(at).copied().map(Item::Type),
            ComponentExternalKind::Instance => found.instances.get(at).copied().map(Item::Instance),
            ComponentExternalKind::Component => found.components.get(at).copied().map(Item::Component),
            ComponentExternalKind::Module => found.core_modules.get(at).copied().map(Item::Module),
            ComponentExternalKind::Value => found.values.get(at).copied().map(Item::Value),
        };
        item.ok_or_else(|| self.expected("a known index"))
    }

    pub(super) fn type_item(&self, scope: ScopeId, index: u32) -> Result<TypeItem<'t, 'a>, TranslateError> {
        let found = self.scope(scope)?.types.get(index as usize).copied();
        found.ok_or_else(|| self.expected("a known type index"))
    }

    /// An export of an instance.
    pub(super) fn instance_export(
        &self,
        instance: InstanceKey,
        name: &str,
    ) -> Result<Item<'t, 'a>, TranslateError> {
        let found = self.instances.get(instance).and_then(|data| data.by_name.get(name)).copied();
        found.ok_or_else(|| self.expected("an export of the instance"))
    }

    pub(super) fn add_instance(&mut self, data: InstanceData<'t, 'a>) -> InstanceKey {
        self.instances.push(data);
        self.instances.len().saturating_sub(1)
    }

    pub(super) fn add_scope(&mut self, scope: Scope<'t, 'a>) -> Result<ScopeId, TranslateError> {
        self.check_depth(scope.depth)?;
        self.charge(1)?;
        self.scopes.push(scope);
        Ok(self.scopes.len().saturating_sub(1))
    }

    fn check_depth(&self, depth: u32) -> Result<(), TranslateError> {
        let levels = u64::from(depth).saturating_add(1);
        self.limits.nesting().check("levels of nesting", levels, Some(self.at))
    }

    /// How deep a list of imports or exports may lie in others.
    pub(super) fn check_nesting(&self, depth: u32) -> Result<(), TranslateError> {
        let what = "levels of nesting in imports and exports";
        Limit::fixed(MAX_NESTING).check(what, u64::from(depth), Some(self.at))?;
        self.check_depth(depth)
    }

    pub(super) fn scope(&self, id: ScopeId) -> Result<&Scope<'t, 'a>, TranslateError> {
        self.scopes.get(id).ok_or_else(|| self.expected("a scope"))
    }

    pub(super) fn scope_mut(&mut self, id: ScopeId) -> Result<&mut Scope<'t, 'a>, TranslateError> {
        let at = self.at;
        let missing = || TranslateError::Internal { expected: "a scope".to_string(), offset: at };
        self.scopes.get_mut(id).ok_or_else(missing)
    }

    pub(super) fn step(&mut self, step: Step) -> Result<(), TranslateError> {
        next_index(self.plan.steps.len(), "steps", self.limits.steps())?;
        self.plan.steps.push(step);
        Ok(())
    }

    /// Spends some of the budget for the translation's time and memory.
    pub(super) fn charge(&mut self, items: u32) -> Result<(), TranslateError> {
        self.items = self.items.saturating_add(items);
        self.limits.items().check("items of the plan", u64::from(self.items), Some(self.at))
    }

    /// Spends budget for a copy of a name.
    pub(super) fn charge_name(&mut self, name: &str) -> Result<(), TranslateError> {
        let extra = u32::try_from(name.len() / 32).unwrap_or(u32::MAX);
        self.charge(extra.saturating_add(1))
    }

    pub(super) fn unsupported(&self, what: &str) -> TranslateError {
        TranslateError::unsupported(what, self.at)
    }

    pub(super) fn expected(&self, what: &str) -> TranslateError {
        TranslateError::Internal { expected: what.to_string(), offset: self.at }
    }
}

/// As much of a name as plans keep.
fn short(name: &str) -> String {
    cut_name(name).to_string()
}
