//! Core modules: what an engine spends on their functions before it looks at their code.
//!
//! The scan of components has the same limits by default; here no validator is at hand, so the two sections that
//! matter are read by hand. Whether the bytes are a module at all, the engine says.

use core::fmt::Display;

use super::{Checked, wrong};
use crate::plan::Plan;

/// The most functions that all core modules define together.
pub const MAX_CORE_FUNCTIONS: u32 = 1_000_000;
/// The most locals that the functions of all core modules declare together. An engine has an entry for each, and a few
/// bytes declare 50,000.
pub const MAX_CORE_LOCALS: u32 = 20_000_000;

/// The preamble of a module.
const PREAMBLE: usize = 8;
const FUNCTION_SECTION: u8 = 3;
const CODE_SECTION: u8 = 10;
/// A reference type whose heap type comes after it: nullable, or not.
const REF_TYPES: [u8; 2] = [0x63, 0x64];

/// Checks all core modules, in time linear in the number of their functions.
pub(super) fn modules(plan: &Plan) -> Checked {
    let mut totals = Totals::default();
    for (index, module) in plan.modules.iter().enumerate() {
        // Bytes that end too early are the engine's to refuse.
        let _ = totals.add(&module.bytes);
        let path = format_args!("modules[{index}]");
        at_most(path, totals.functions, MAX_CORE_FUNCTIONS, "functions")?;
        at_most(path, totals.locals, MAX_CORE_LOCALS, "locals of functions")?;
    }
    Ok(())
}

fn at_most(path: impl Display, found: u64, limit: u32, what: &str) -> Checked {
    match found > u64::from(limit) {
        true => Err(wrong(path, format_args!("{found} {what} with the modules before it, at most {limit}"))),
        false => Ok(()),
    }
}

#[derive(Default)]
struct Totals {
    functions: u64,
    locals: u64,
}

impl Totals {
    /// Adds a module's. `None` where its bytes end, or a number is too long.
    fn add(&mut self, bytes: &[u8]) -> Option<()> {
        let mut module = Reader(bytes.get(PREAMBLE..)?);
        while let Some(id) = module.byte() {
            let size = module.number()?;
            let mut section = Reader(module.bytes(size)?);
            match id {
                FUNCTION_SECTION => self.functions = self.functions.saturating_add(section.number()?.into()),
                CODE_SECTION => {
                    for _ in 0..section.number()? {
                        let size = section.number()?;
                        self.body(Reader(section.bytes(size)?))?;
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

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, size: u32) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(size).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A number of LEB128, of five bytes at most.
    fn number(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
