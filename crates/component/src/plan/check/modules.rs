//! Core modules: what an engine spends on their functions before it looks at their code, and on their code.
//!
//! The scan of components has the same limits by default; here no validator is at hand, so the sections that
//! matter are read by hand. Whether the bytes are a module at all, the engine says.

use alloc::vec::Vec;
use core::fmt::Display;

use super::{Checked, wrong};
use crate::core_binary::{Reader, Section, sections};
use crate::plan::{ModuleRef, Plan, Step};

/// The most functions that all core modules define together.
pub const MAX_CORE_FUNCTIONS: u32 = 1_000_000;
/// The most locals that the functions of all core modules declare together. An engine has an entry for each,
/// and a few bytes declare 50,000.
pub const MAX_CORE_LOCALS: u32 = 20_000_000;

/// The most imports, functions, globals, exports and bytes of element segments of all core instances. An
/// engine makes something for each.
pub const MAX_CORE_ITEMS: u32 = 5_000_000;

/// The most parameters and results beyond four each that calls, blocks, branches and functions of all core
/// modules move together. An engine's code has about 40 bytes for each. They are counted where the feature
/// `translate` is on: without it, nothing is at hand that reads code.
pub const MAX_CORE_OPERANDS: u32 = 10_000_000;

const IMPORT_SECTION: u8 = 2;
const FUNCTION_SECTION: u8 = 3;
const GLOBAL_SECTION: u8 = 6;
const EXPORT_SECTION: u8 = 7;
const ELEMENT_SECTION: u8 = 9;
const CODE_SECTION: u8 = 10;
/// A reference type whose heap type comes after it: nullable, or not.
const REF_TYPES: [u8; 2] = [0x63, 0x64];

/// Checks all core modules, in time linear in the number of their functions, or in their bytes if their
/// code is read.
pub(super) fn modules(plan: &Plan) -> Checked {
    let mut totals = Totals::default();
    #[cfg(feature = "translate")]
    let mut operands = 0;
    let mut items = Vec::with_capacity(plan.modules.len());
    for (index, module) in plan.modules.iter().enumerate() {
        totals.items = 0;
        // Bytes that end too early are the engine's to refuse.
        let _ = totals.add(&module.bytes);
        items.push(totals.items);
        let path = format_args!("modules[{index}]");
        at_most(path, totals.functions, MAX_CORE_FUNCTIONS, "functions")?;
        at_most(path, totals.locals, MAX_CORE_LOCALS, "locals of functions")?;
        #[cfg(feature = "translate")]
        {
            let most = MAX_CORE_OPERANDS;
            crate::translate::core_operands(&module.bytes, &mut operands, most.into());
            at_most(path, operands, most, "parameters and results of calls and branches")?;
        }
    }
    let mut made: u64 = 0;
    for (index, step) in plan.steps.iter().enumerate() {
        if let Step::InstantiateCore { module: ModuleRef::Inline(module), .. } = step {
            made = made.saturating_add(items.get(*module as usize).copied().unwrap_or(0));
            let what = "imports, functions, globals, exports and elements";
            at_most(format_args!("steps[{index}]"), made, MAX_CORE_ITEMS, what)?;
        }
    }
    Ok(())
}

fn at_most(path: impl Display, found: u64, limit: u32, what: &str) -> Checked {
    match found > u64::from(limit) {
        true => Err(wrong(path, format_args!("{found} {what} with those before it, at most {limit}"))),
        false => Ok(()),
    }
}

#[derive(Default)]
struct Totals {
    functions: u64,
    locals: u64,
    /// Of one module: what an instance of it has.
    items: u64,
}

impl Totals {
    /// Adds a module's. `None` where its bytes end, or a number is too long.
    fn add(&mut self, bytes: &[u8]) -> Option<()> {
        for Section { id, content, .. } in sections(bytes) {
            let mut section = Reader::new(content);
            match id {
                FUNCTION_SECTION => {
                    let count = section.number()?.into();
                    self.functions = self.functions.saturating_add(count);
                    self.items = self.items.saturating_add(count);
                }
                IMPORT_SECTION | GLOBAL_SECTION | EXPORT_SECTION => {
                    self.items = self.items.saturating_add(section.number()?.into());
                }
                ELEMENT_SECTION => {
                    self.items = self.items.saturating_add(u64::try_from(content.len()).ok()?);
                }
                CODE_SECTION => {
                    for _ in 0..section.number()? {
                        let size = section.number()?;
                        self.body(Reader::new(section.bytes(size)?))?;
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    fn body(&mut self, mut body: Reader<'_>) -> Option<()> {
        for _ in 0..body.number()? {
            self.locals = self.locals.saturating_add(body.number()?.into());
            if REF_TYPES.contains(&body.byte()?) {
                body.number()?;
            }
        }
        Some(())
    }
}
