//! Core modules: what the validator and an engine spend on their functions.

use alloc::vec::Vec;

use wasmparser::{
    BlockType, CompositeInnerType, FunctionBody, Operator, Payload, TypeRef, TypeSectionReader,
};

use super::space::name;
use super::{Scan, Scanned, Stop, scan_as};
use crate::translate::decode::core_items;

/// Function types of more parameters and results than this have the code that uses them counted. Compilers
/// hardly make any.
const WIDE: u32 = 64;

/// How the names of custom sections with a component type begin.
const COMPONENT_TYPE: &str = "component-type";

/// Of the core module that is read.
#[derive(Default)]
pub(super) struct Module {
    /// Its imports and exports, with their names.
    pub items: u64,
    /// What an instance of it has.
    pub core_items: u64,
    /// Parameters and results of each type, and of the widest one.
    types: Vec<u32>,
    widest: u32,
    /// The type of each function, if a type is wide.
    funcs: Vec<u32>,
}

/// Of all core modules together.
#[derive(Default)]
pub(super) struct Totals {
    functions: u64,
    locals: u64,
    operands: u64,
}

impl Module {
    /// Whether the code that uses its types is counted.
    fn is_wide(&self) -> bool {
        self.widest > WIDE
    }

    /// Parameters and results of a type.
    fn operands(&self, ty: u32) -> u32 {
        self.types.get(ty as usize).copied().unwrap_or(0)
    }

    fn func_operands(&self, func: u32) -> u32 {
        self.funcs.get(func as usize).map_or(0, |ty| self.operands(*ty))
    }

    fn block_operands(&self, ty: BlockType) -> u32 {
        match ty {
            BlockType::Empty => 0,
            BlockType::Type(_) => 1,
            BlockType::FuncType(ty) => self.operands(ty),
        }
    }
}

impl<'a> Scan<'a> {
    pub(super) fn module_payload(&mut self, module: &mut Module, payload: Payload<'a>) -> Scanned {
        module.core_items = module.core_items.saturating_add(core_items(&payload));
        match payload {
            Payload::TypeSection(section) => self.func_types(module, section)?,
            Payload::ImportSection(section) => {
                self.at = section.range().start;
                for import in section.into_imports() {
                    let import = import?;
                    let names = name(import.module).saturating_add(name(import.name));
                    module.items = module.items.saturating_add(names);
                    self.charge(names)?;
                    if let (true, TypeRef::Func(ty) | TypeRef::FuncExact(ty)) = (module.is_wide(), import.ty)
                    {
                        module.funcs.push(ty);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                self.at = section.range().start;
                self.core.functions = self.core.functions.saturating_add(section.count().into());
                self.check(self.limits.core_functions(), "core functions", self.core.functions)?;
                if module.is_wide() {
                    for ty in section {
                        module.funcs.push(ty?);
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section.into_iter_with_offsets() {
                    let (offset, export) = export?;
                    self.at = offset;
                    module.items = module.items.saturating_add(name(export.name));
                    self.charge(name(export.name))?;
                }
            }
            Payload::CodeSectionEntry(body) => match self.body(module, &body) {
                // The validator looks at bodies last of all.
                Err(Stop::Malformed) => {}
                scanned => scanned?,
            },
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

    fn func_types(&mut self, module: &mut Module, section: TypeSectionReader<'a>) -> Scanned {
        for group in section.into_iter_with_offsets() {
            let (offset, group) = group?;
            self.at = offset;
            for ty in group.types() {
                self.charge(1)?;
                let operands = match &ty.composite_type.inner {
                    CompositeInnerType::Func(ty) => ty.params().len().saturating_add(ty.results().len()),
                    _ => 0,
                };
                let operands = u32::try_from(operands).unwrap_or(u32::MAX);
                module.widest = module.widest.max(operands);
                module.types.push(operands);
            }
        }
        Ok(())
    }

    fn body(&mut self, module: &Module, body: &FunctionBody<'a>) -> Scanned {
        self.at = body.range().start;
        for local in body.get_locals_reader()? {
            let (count, _) = local?;
            self.core.locals = self.core.locals.saturating_add(count.into());
        }
        self.check(self.limits.core_locals(), "locals of core functions", self.core.locals)?;
        match module.is_wide() {
            true => self.operators(module, body),
            false => Ok(()),
        }
    }

    /// Counts what calls, blocks and branches move.
    fn operators(&mut self, module: &Module, body: &FunctionBody<'a>) -> Scanned {
        // The parameters and results of the blocks around an operator. The function's own are more than a
        // branch to its end takes.
        let mut blocks = Vec::new();
        let label = |blocks: &[u32], depth: u32| {
            let at = blocks.len().checked_sub(depth as usize).and_then(|at| at.checked_sub(1));
            at.and_then(|at| blocks.get(at)).copied()
        };
        for operator in body.get_operators_reader()?.into_iter_with_offsets() {
            let (operator, offset) = operator?;
            let operands: u64 = match operator {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    module.func_operands(function_index).into()
                }
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. }
                | Operator::CallRef { type_index }
                | Operator::ReturnCallRef { type_index } => module.operands(type_index).into(),
                Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                    let operands = module.block_operands(blockty);
                    blocks.push(operands);
                    operands.into()
                }
                Operator::TryTable { ref try_table } => {
                    blocks.push(module.block_operands(try_table.ty));
                    module.widest.into()
                }
                Operator::End => {
                    blocks.pop();
                    continue;
                }
                Operator::Br { relative_depth }
                | Operator::BrIf { relative_depth }
                | Operator::BrOnNull { relative_depth }
                | Operator::BrOnNonNull { relative_depth } => {
                    label(&blocks, relative_depth).unwrap_or(module.widest).into()
                }
                Operator::BrTable { ref targets } => {
                    let each = label(&blocks, targets.default()).unwrap_or(module.widest);
                    u64::from(targets.len()).saturating_add(1).saturating_mul(each.into())
                }
                Operator::Return => module.widest.into(),
                _ => continue,
            };
            self.at = offset;
            self.core.operands = self.core.operands.saturating_add(operands);
            let what = "parameters and results of core calls and branches";
            self.check(self.limits.core_operands(), what, self.core.operands)?;
        }
        Ok(())
    }
}
