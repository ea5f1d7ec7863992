//! Core modules: what the validator and an engine spend on their functions.

use wasmparser::{FunctionBody, Payload, TypeSectionReader};

use super::operands::Operands;
use super::space::name;
use super::{Scan, Scanned, Stop, scan_as};
use crate::translate::decode::core_items;

/// What [`PlanLimits::core_operands`](crate::translate::PlanLimits::core_operands) counts, in messages.
const OPERANDS: &str = "parameters and results of core calls and branches";

/// How the names of custom sections with a component type begin.
const COMPONENT_TYPE: &str = "component-type";

/// Of the core module that is read.
#[derive(Default)]
pub(super) struct Module {
    /// Its imports and exports, with their names.
    pub items: u64,
    /// What an instance of it has.
    pub core_items: u64,
    /// What its code moves.
    operands: Operands,
}

/// Of all core modules together.
#[derive(Default)]
pub(super) struct Totals {
    functions: u64,
    locals: u64,
    operands: u64,
}

impl<'a> Scan<'a> {
    pub(super) fn module_payload(&mut self, module: &mut Module, payload: Payload<'a>) -> Scanned {
        module.core_items = module.core_items.saturating_add(core_items(&payload));
        match payload {
            Payload::TypeSection(ref section) => {
                self.func_types(section.clone())?;
                self.operands(module, &payload)?;
            }
            Payload::ImportSection(ref section) => {
                self.at = section.range().start;
                for import in section.clone().into_imports() {
                    let import = import?;
                    let names = name(import.module).saturating_add(name(import.name));
                    module.items = module.items.saturating_add(names);
                    self.charge(names)?;
                }
                self.operands(module, &payload)?;
            }
            Payload::FunctionSection(ref section) => {
                self.at = section.range().start;
                self.core.functions = self.core.functions.saturating_add(section.count().into());
                self.check(self.limits.core_functions(), "core functions", self.core.functions)?;
                self.operands(module, &payload)?;
            }
            Payload::ExportSection(section) => {
                for export in section.into_iter_with_offsets() {
                    let (offset, export) = export?;
                    self.at = offset;
                    module.items = module.items.saturating_add(name(export.name));
                    self.charge(name(export.name))?;
                }
            }
            Payload::CodeSectionEntry(ref body) => {
                // The validator looks at bodies last of all.
                for scanned in [self.locals(body), self.operands(module, &payload)] {
                    match scanned {
                        Err(Stop::Malformed) => {}
                        scanned => scanned?,
                    }
                }
            }
            Payload::CustomSection(section) => {
                // The types that wit-bindgen leaves for wit-component, which makes a component of them.
                let is_type =
                    self.is_outermost && self.stack.is_empty() && section.name().starts_with(COMPONENT_TYPE);
                if is_type {
                    scan_as(section.data(), self.features, &self.limits, false).map_err(Stop::TooLarge)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn func_types(&mut self, section: TypeSectionReader<'a>) -> Scanned {
        for group in section.into_iter_with_offsets() {
            let (offset, group) = group?;
            self.at = offset;
            for _ in group.types() {
                self.charge(1)?;
            }
        }
        Ok(())
    }

    fn locals(&mut self, body: &FunctionBody<'a>) -> Scanned {
        self.at = body.range().start;
        for local in body.get_locals_reader()? {
            let (count, _) = local?;
            self.core.locals = self.core.locals.saturating_add(count.into());
        }
        self.check(self.limits.core_locals(), "locals of core functions", self.core.locals)
    }

    /// Counts what calls, blocks and branches move: reads bodies, and the sections that say what they call.
    fn operands(&mut self, module: &mut Module, payload: &Payload<'a>) -> Scanned {
        let limit = self.limits.core_operands();
        let found = &mut self.core.operands;
        match module.operands.payload(payload, found, limit.value.into())? {
            Some(offset) => {
                self.at = offset;
                self.check(limit, OPERANDS, self.core.operands)
            }
            None => Ok(()),
        }
    }
}
