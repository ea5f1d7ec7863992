//! The definitions of a component.

use alloc::vec::Vec;

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentExternName, ComponentExternalKind,
    ComponentImport, ComponentInstance, ComponentOuterAliasKind, ComponentStartFunction, ComponentTypeRef,
    ComponentValType, FromReader, Instance, Payload, SectionLimited, TypeBounds,
};

use super::space::{Cost, Entry, Space, extern_name, get, name};
use super::{Scan, Scanned, Stop};
use crate::translate::limits::CORE_ITEMS;

impl<'a> Scan<'a> {
    pub(super) fn component_payload(&mut self, payload: Payload<'a>) -> Scanned {
        match payload {
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => {
                self.at = unchecked_range.start;
                self.definition()
            }
            Payload::InstanceSection(section) => self.section(section, Self::core_instance),
            Payload::CoreTypeSection(section) => self.type_section(section.range(), Self::core_type),
            Payload::ComponentInstanceSection(section) => self.section(section, Self::instance),
            Payload::ComponentAliasSection(section) => self.section(section, Self::alias),
            Payload::ComponentTypeSection(section) => self.type_section(section.range(), |scan, reader| {
                let entry = scan.type_def(reader)?;
                scan.top()?.types.push(entry);
                Ok(())
            }),
            Payload::ComponentCanonicalSection(section) => self.section(section, Self::canon),
            Payload::ComponentImportSection(section) => self.section(section, Self::import),
            Payload::ComponentExportSection(section) => self.section(section, Self::export),
            Payload::ComponentStartSection { start, range } => {
                self.at = range.start;
                self.definition()?;
                self.start(start)
            }
            _ => Ok(()),
        }
    }

    fn section<T: FromReader<'a>>(
        &mut self,
        section: SectionLimited<'a, T>,
        scan: impl Fn(&mut Self, T) -> Scanned,
    ) -> Scanned {
        for item in section.into_iter_with_offsets() {
            let (offset, item) = item?;
            self.at = offset;
            self.definition()?;
            scan(self, item)?;
        }
        Ok(())
    }

    /// A definition, whatever it is: one item, and one each time that the component is instantiated.
    pub(super) fn definition(&mut self) -> Scanned {
        self.charge(1)?;
        self.top()?.cost.add(Cost { items: 1, ..Cost::default() });
        Ok(())
    }

    /// Adds what one instance of the component that is read makes. Of the root there is one.
    fn spend(&mut self, cost: Cost) -> Scanned {
        let space = self.top()?;
        space.cost.add(cost);
        let cost = space.cost;
        if self.stack.len() > 1 {
            return Ok(());
        }
        let instances = u64::from(cost.instances).saturating_add(1);
        self.check(self.limits.instances(), "component instances, nested ones included", instances)?;
        self.check(self.limits.core_items(), CORE_ITEMS, cost.core_items.into())?;
        self.check(self.limits.steps(), "steps, those of each instance counted", cost.steps.into())?;
        self.check(self.limits.items(), "definitions, those of each instance counted", cost.items.into())
    }

    fn core_instance(&mut self, instance: Instance<'a>) -> Scanned {
        match instance {
            Instance::Instantiate { module_index, args } => {
                let module = get(&self.top()?.core_modules, module_index);
                let names = args.iter().fold(0, |sum: u64, arg| sum.saturating_add(name(arg.name)));
                self.charge(names)?;
                self.walk(module.size.into())?;
                // Of an imported module nothing is known.
                let imported = Cost { steps: 1, ..Cost::default() };
                self.spend(self.sig(module).map_or(imported, |sig| sig.cost))
            }
            Instance::FromExports(exports) => {
                let names = exports.iter().fold(0, |sum: u64, export| sum.saturating_add(name(export.name)));
                self.charge(names)
            }
        }
    }

    fn instance(&mut self, instance: ComponentInstance<'a>) -> Scanned {
        match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                for arg in args {
                    let entry = self.top()?.entry(arg.kind, arg.index);
                    self.charge(name(arg.name))?;
                    // What is given is compared with its type. Of a component, all exports are copied for
                    // that.
                    let depth = self.depth(arg.kind, entry);
                    self.walk(u64::from(entry.size).saturating_mul(depth.into()))?;
                }
                let component = get(&self.top()?.components, component_index);
                self.charge(self.copies(component))?;
                let depth = self.depth(ComponentExternalKind::Component, component);
                self.walk(u64::from(component.size).saturating_mul(depth.into()))?;
                let mut cost = Cost { instances: 1, ..Cost::default() };
                if let Some(sig) = self.sig(component) {
                    cost.add(sig.cost);
                }
                let instance = self.instance_of(component);
                self.top()?.instances.push(instance);
                self.spend(cost)
            }
            ComponentInstance::FromExports(exports) => {
                let mut bag = Space::default();
                for export in exports {
                    let entry = self.top()?.entry(export.kind, export.index);
                    self.exported(&mut bag, &export.name, export.kind, entry)?;
                }
                let entry = self.finish(bag);
                let instance = self.instance_of(entry);
                self.top()?.instances.push(instance);
                Ok(())
            }
        }
    }

    /// Adds an export to a component, a type, or a bag of exports.
    fn exported(
        &mut self,
        space: &mut Space<'a>,
        full: &ComponentExternName<'a>,
        kind: ComponentExternalKind,
        entry: Entry,
    ) -> Scanned {
        let copies = self.copies(entry).saturating_sub(1).saturating_add(extern_name(full));
        self.charge(copies)?;
        self.walk(entry.size.into())?;
        space.exports.push((full.name, entry));
        space.exports_size = space.exports_size.saturating_add(entry.size.into());
        space.copies = space.copies.saturating_add(copies);
        space.depth = space.depth.max(self.depth(kind, entry));
        Ok(())
    }

    pub(super) fn alias(&mut self, alias: ComponentAlias<'a>) -> Scanned {
        match alias {
            ComponentAlias::InstanceExport { kind, instance_index, name: export } => {
                self.charge(name(export))?;
                let instance = get(&self.top()?.instances, instance_index);
                let entry = self.export_of(instance, export);
                self.top()?.of_kind(kind).push(entry);
            }
            ComponentAlias::CoreInstanceExport { name: export, .. } => self.charge(name(export))?,
            ComponentAlias::Outer { kind, count, index } => {
                let around = (count as usize).checked_add(1).and_then(|n| self.stack.len().checked_sub(n));
                let Some(outer) = around.and_then(|at| self.stack.get_mut(at)) else {
                    return Err(Stop::Malformed);
                };
                let entry = get(outer_space(outer, kind), index);
                if kind == ComponentOuterAliasKind::Type {
                    self.walk(entry.size.into())?;
                }
                outer_space(self.top()?, kind).push(entry);
            }
        }
        Ok(())
    }

    /// What a type that is named in place stands for.
    fn type_ref(&mut self, ty: ComponentTypeRef) -> Scanned<(ComponentExternalKind, Entry)> {
        let space = self.top()?;
        Ok(match ty {
            ComponentTypeRef::Module(index) => (ComponentExternalKind::Module, get(&space.core_types, index)),
            ComponentTypeRef::Func(index) => (ComponentExternalKind::Func, get(&space.types, index)),
            ComponentTypeRef::Value(ty) => (ComponentExternalKind::Value, Entry::new(self.val_size(ty)?)),
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => {
                (ComponentExternalKind::Type, get(&space.types, index))
            }
            ComponentTypeRef::Type(TypeBounds::SubResource) => (ComponentExternalKind::Type, Entry::UNKNOWN),
            ComponentTypeRef::Instance(index) => {
                let ty = get(&space.types, index);
                (ComponentExternalKind::Instance, self.instance_of(ty))
            }
            ComponentTypeRef::Component(index) => {
                let ty = get(&space.types, index);
                (ComponentExternalKind::Component, ty)
            }
        })
    }

    pub(super) fn import(&mut self, import: ComponentImport<'a>) -> Scanned {
        let (kind, entry) = self.type_ref(import.ty)?;
        let copies = self.copies(entry).saturating_sub(1).saturating_add(extern_name(&import.name));
        self.charge(copies)?;
        self.walk(entry.size.into())?;
        let depth = self.depth(kind, entry);
        let space = self.top()?;
        space.imports_size = space.imports_size.saturating_add(entry.size.into());
        space.depth = space.depth.max(depth);
        space.of_kind(kind).push(entry);
        Ok(())
    }

    fn export(&mut self, export: ComponentExport<'a>) -> Scanned {
        let mut entry = self.top()?.entry(export.kind, export.index);
        if let Some(ty) = export.ty {
            // The two types are compared.
            let (_, ascribed) = self.type_ref(ty)?;
            let depth = u64::from(self.depth(export.kind, entry)).saturating_add(1);
            self.walk(u64::from(entry.size).saturating_add(ascribed.size.into()).saturating_mul(depth))?;
            entry = ascribed;
        }
        self.add_export(&export.name, export.kind, entry)
    }

    /// An export that a type declares.
    pub(super) fn declared_export(
        &mut self,
        full: &ComponentExternName<'a>,
        ty: ComponentTypeRef,
    ) -> Scanned {
        let (kind, entry) = self.type_ref(ty)?;
        self.add_export(full, kind, entry)
    }

    fn add_export(
        &mut self,
        full: &ComponentExternName<'a>,
        kind: ComponentExternalKind,
        entry: Entry,
    ) -> Scanned {
        let Some(mut space) = self.stack.pop() else { return Err(Stop::Malformed) };
        let added = self.exported(&mut space, full, kind, entry);
        space.of_kind(kind).push(entry);
        self.stack.push(space);
        added
    }

    fn canon(&mut self, canon: CanonicalFunction) -> Scanned {
        use CanonicalFunction as Canon;
        let space = self.top()?;
        let size = match canon {
            Canon::Lift { type_index, .. } => {
                let ty = get(&space.types, type_index);
                space.funcs.push(ty);
                self.spend(Cost { steps: 1, ..Cost::default() })?;
                ty.size.into()
            }
            Canon::Lower { func_index, .. } => get(&space.funcs, func_index).size.into(),
            Canon::TaskReturn { result: Some(ty), .. } => self.val_size(ty)?,
            Canon::StreamRead { ty, .. }
            | Canon::StreamWrite { ty, .. }
            | Canon::FutureRead { ty, .. }
            | Canon::FutureWrite { ty, .. } => get(&space.types, ty).size.into(),
            _ => 1,
        };
        self.walk(size)
    }

    fn start(&mut self, start: ComponentStartFunction) -> Scanned {
        let func = get(&self.top()?.funcs, start.func_index);
        self.walk(func.size.into())?;
        // Which types the results have is of no interest: they are compared with what names them.
        let results = start.results.min(1_000);
        let space = self.top()?;
        (0..results).for_each(|_| space.values.push(func));
        Ok(())
    }

    /// The size of a value's type.
    pub(super) fn val_size(&mut self, ty: ComponentValType) -> Scanned<u64> {
        Ok(match ty {
            ComponentValType::Primitive(_) => 1,
            ComponentValType::Type(index) => get(&self.top()?.types, index).size.into(),
        })
    }
}

fn outer_space<'s>(space: &'s mut Space<'_>, kind: ComponentOuterAliasKind) -> &'s mut Vec<Entry> {
    match kind {
        ComponentOuterAliasKind::CoreModule => &mut space.core_modules,
        ComponentOuterAliasKind::CoreType => &mut space.core_types,
        ComponentOuterAliasKind::Type => &mut space.types,
        ComponentOuterAliasKind::Component => &mut space.components,
    }
}
