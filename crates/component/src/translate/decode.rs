//! The binary as a list of components, each with its definitions in order.
//!
//! Spec: Binary Format, "Component Definitions". Nested components and modules are read iteratively; each gets
//! the next index of its kind where it begins, so the root component is number 0.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentImport, ComponentInstance, ComponentName,
    ComponentStartFunction, ComponentType, CoreType, CustomSectionReader, Encoding, ExternalKind, FromReader,
    Instance, KnownCustom, Parser, Payload, SectionLimited, TypeRef, WasmFeatures,
};

use super::TranslateError;
use crate::plan::CoreKind;

/// Everything in the binary.
pub(super) struct Decoded<'a> {
    /// The root is the first.
    pub components: Vec<Component<'a>>,
    pub modules: Vec<Module<'a>>,
}

/// A component, at any depth.
#[derive(Default)]
pub(super) struct Component<'a> {
    pub name: Option<&'a str>,
    /// What it calls the instances in it, by their index.
    pub instance_names: BTreeMap<u32, &'a str>,
    /// Each with its offset.
    pub defs: Vec<(u64, Def<'a>)>,
}

/// A core module, at any depth.
#[derive(Default)]
pub(super) struct Module<'a> {
    pub bytes: &'a [u8],
    pub imports: Vec<(&'a str, &'a str, CoreKind)>,
    /// The memories and tables among its exports that have 64-bit addresses.
    pub wide: BTreeSet<&'a str>,
    /// What an instance of it has.
    pub core_items: u64,
    /// Of the module's memories, and of its tables, whether they have.
    memories: Vec<bool>,
    tables: Vec<bool>,
}

/// A definition.
pub(super) enum Def<'a> {
    CoreModule(usize),
    CoreInstance(Instance<'a>),
    CoreType(CoreType<'a>),
    Component(usize),
    Instance(ComponentInstance<'a>),
    Alias(ComponentAlias<'a>),
    Type(ComponentType<'a>),
    Canon(CanonicalFunction),
    Import(ComponentImport<'a>),
    Export(ComponentExport<'a>),
    Start(ComponentStartFunction),
}

enum Level {
    Component(usize),
    Module(usize),
}

struct Decoder<'a> {
    bytes: &'a [u8],
    out: Decoded<'a>,
    stack: Vec<Level>,
    /// A nested module or component whose preamble comes next: where it lies.
    expected: Option<core::ops::Range<u64>>,
}

/// Reads a component that is valid, and that the scan let pass.
pub(super) fn decode<'a>(bytes: &'a [u8], features: WasmFeatures) -> Result<Decoded<'a>, TranslateError> {
    let out = Decoded { components: Vec::new(), modules: Vec::new() };
    let mut decoder = Decoder { bytes, out, stack: Vec::new(), expected: None };
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(bytes) {
        decoder.payload(payload?)?;
    }
    Ok(decoder.out)
}

impl<'a> Decoder<'a> {
    fn payload(&mut self, payload: Payload<'a>) -> Result<(), TranslateError> {
        if let Payload::End(_) = payload {
            self.stack.pop();
            return Ok(());
        }
        if let Payload::Version { encoding, range, .. } = payload {
            return self.begin(encoding, range.start);
        }
        match self.stack.last() {
            Some(Level::Module(index)) => self.module_payload(*index, payload),
            _ => self.component_payload(payload),
        }
    }

    fn begin(&mut self, encoding: Encoding, start: u64) -> Result<(), TranslateError> {
        let level = match encoding {
            Encoding::Component => {
                self.out.components.push(Component::default());
                Level::Component(self.out.components.len().saturating_sub(1))
            }
            Encoding::Module => {
                let range = self.expected.take().unwrap_or(start..start);
                let range = range.start as usize..range.end as usize;
                let bytes = self.bytes.get(range).ok_or_else(|| self.expected_error("a module", start))?;
                self.out.modules.push(Module { bytes, ..Module::default() });
                Level::Module(self.out.modules.len().saturating_sub(1))
            }
        };
        self.expected = None;
        self.stack.push(level);
        Ok(())
    }

    /// Of a module only the imports are of interest, and how wide the addresses of what it exports are.
    fn module_payload(&mut self, index: usize, payload: Payload<'a>) -> Result<(), TranslateError> {
        if let Some(module) = self.out.modules.get_mut(index) {
            module.core_items = module.core_items.saturating_add(core_items(&payload));
        }
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if let Some(module) = self.out.modules.get_mut(index) {
                        module.imports.push((import.module, import.name, core_kind(import.ty)));
                        match import.ty {
                            TypeRef::Memory(_) => module.memories.push(is_wide(import.ty)),
                            TypeRef::Table(_) => module.tables.push(is_wide(import.ty)),
                            _ => {}
                        }
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    if let Some(module) = self.out.modules.get_mut(index) {
                        module.memories.push(memory.memory64);
                    }
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    if let Some(module) = self.out.modules.get_mut(index) {
                        module.tables.push(table.ty.table64);
                    }
                }
            }
            Payload::ExportSection(section) => {
                let Some(module) = self.out.modules.get_mut(index) else { return Ok(()) };
                for export in section {
                    let export = export?;
                    let known = match export.kind {
                        ExternalKind::Memory => &module.memories,
                        ExternalKind::Table => &module.tables,
                        _ => continue,
                    };
                    if known.get(export.index as usize) == Some(&true) {
                        module.wide.insert(export.name);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn component_payload(&mut self, payload: Payload<'a>) -> Result<(), TranslateError> {
        match payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                let offset = unchecked_range.start;
                self.expected = Some(unchecked_range);
                self.define(offset, Def::CoreModule(self.out.modules.len()))
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                self.define(unchecked_range.start, Def::Component(self.out.components.len()))
            }
            Payload::InstanceSection(section) => self.section(section, Def::CoreInstance),
            Payload::CoreTypeSection(section) => self.section(section, Def::CoreType),
            Payload::ComponentInstanceSection(section) => self.section(section, Def::Instance),
            Payload::ComponentAliasSection(section) => self.section(section, Def::Alias),
            Payload::ComponentTypeSection(section) => self.section(section, Def::Type),
            Payload::ComponentCanonicalSection(section) => self.section(section, Def::Canon),
            Payload::ComponentImportSection(section) => self.section(section, Def::Import),
            Payload::ComponentExportSection(section) => self.section(section, Def::Export),
            Payload::ComponentStartSection { start, range } => self.define(range.start, Def::Start(start)),
            Payload::CustomSection(section) => {
                self.custom(&section);
                Ok(())
            }
            Payload::UnknownSection { id, range, .. } => {
                Err(TranslateError::unsupported(alloc::format!("section {id}"), range.start))
            }
            _ => Err(self.expected_error("a component's section", 0)),
        }
    }

    fn section<T: FromReader<'a>>(
        &mut self,
        section: SectionLimited<'a, T>,
        def: impl Fn(T) -> Def<'a>,
    ) -> Result<(), TranslateError> {
        for item in section.into_iter_with_offsets() {
            let (offset, item) = item?;
            self.define(offset, def(item))?;
        }
        Ok(())
    }

    fn define(&mut self, offset: u64, def: Def<'a>) -> Result<(), TranslateError> {
        let Some(Level::Component(index)) = self.stack.last() else {
            return Err(self.expected_error("a component", offset));
        };
        let index = *index;
        match self.out.components.get_mut(index) {
            Some(component) => component.defs.push((offset, def)),
            None => return Err(self.expected_error("a component", offset)),
        }
        Ok(())
    }

    /// The component's own name, and those of the instances in it. The section need not be valid.
    fn custom(&mut self, section: &CustomSectionReader<'a>) {
        let KnownCustom::ComponentName(names) = section.as_known() else { return };
        let Some(Level::Component(index)) = self.stack.last() else { return };
        let Some(component) = self.out.components.get_mut(*index) else { return };
        for name in names {
            match name {
                Ok(ComponentName::Component { name, .. }) => {
                    component.name.get_or_insert(name);
                }
                Ok(ComponentName::Instances(names)) => {
                    let names = names.into_iter().map_while(Result::ok);
                    component.instance_names.extend(names.map(|naming| (naming.index, naming.name)));
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn expected_error(&self, expected: &str, offset: u64) -> TranslateError {
        TranslateError::Internal { expected: expected.into(), offset }
    }
}

/// What an engine makes for a section of a core module each time that it is instantiated. An element takes a byte at
/// least.
pub(super) fn core_items(payload: &Payload<'_>) -> u64 {
    match payload {
        Payload::ImportSection(section) => section.count().into(),
        Payload::FunctionSection(section) => section.count().into(),
        Payload::GlobalSection(section) => section.count().into(),
        Payload::ExportSection(section) => section.count().into(),
        Payload::ElementSection(section) => {
            let range = section.range();
            range.end.saturating_sub(range.start)
        }
        _ => 0,
    }
}

/// Whether it is a memory or a table with 64-bit addresses.
pub(super) fn is_wide(ty: TypeRef) -> bool {
    match ty {
        TypeRef::Memory(memory) => memory.memory64,
        TypeRef::Table(table) => table.table64,
        _ => false,
    }
}

/// The kind of a core import.
pub(super) fn core_kind(ty: TypeRef) -> CoreKind {
    match ty {
        TypeRef::Func(_) | TypeRef::FuncExact(_) => CoreKind::Func,
        TypeRef::Table(_) => CoreKind::Table,
        TypeRef::Memory(_) => CoreKind::Memory,
        TypeRef::Global(_) => CoreKind::Global,
        TypeRef::Tag(_) => CoreKind::Tag,
    }
}
