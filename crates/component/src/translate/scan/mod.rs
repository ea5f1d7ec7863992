//! What a component costs, counted before anything is done whose cost is more than linear in its bytes.
//!
//! The validator copies the exports of a component for each instance of it, walks a type once for each place
//! that names it, and compares types as trees although they share their parts; the translation executes a
//! component once for each of its instances. 400 KB can thus cost gigabytes and minutes. The scan reads the
//! definitions in order, as the validator does, and knows of each index what it costs to use it: how large
//! its type is, expanded, and how many exports it has. It keeps 8 bytes for a definition and 24 for an
//! export, and nothing of core modules.
//!
//! The scan decides nothing but sizes. Where the bytes are malformed, or an index or a name is unknown, it
//! counts 1 or ends, since the validator stops there too; what is valid up to there was counted as it is.

mod component;
mod module;
mod operands;
mod space;
mod types;

use alloc::vec::Vec;

use wasmparser::{Encoding, Parser, Payload, WasmFeatures};

use self::module::Module;
pub(crate) use self::operands::core_operands;
use self::space::{Entry, Sig, Space};
use super::limits::Limit;
use super::{PlanLimits, TranslateError};

/// Holds a component, or a core module with the component types in its custom sections, to the limits.
///
/// # Errors
/// [`TranslateError::TooLarge`]. Malformed bytes are no error here.
pub(super) fn scan(bytes: &[u8], features: WasmFeatures, limits: &PlanLimits) -> Result<(), TranslateError> {
    scan_as(bytes, features, limits, true)
}

fn scan_as(
    bytes: &[u8],
    features: WasmFeatures,
    limits: &PlanLimits,
    is_outermost: bool,
) -> Result<(), TranslateError> {
    let mut scan = Scan {
        bytes,
        features,
        is_outermost,
        limits: *limits,
        stack: Vec::new(),
        sigs: Vec::new(),
        exports: Vec::new(),
        module: None,
        modules: 0,
        items: 0,
        type_size: 0,
        core: module::Totals::default(),
        at: 0,
    };
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(bytes) {
        match payload.map_err(Stop::from).and_then(|payload| scan.payload(payload)) {
            Ok(()) => {}
            Err(Stop::Malformed) => return Ok(()),
            Err(Stop::TooLarge(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Why the scan ends before the bytes do.
enum Stop {
    TooLarge(TranslateError),
    /// The validator says what is wrong.
    Malformed,
}

impl From<wasmparser::Error> for Stop {
    fn from(_: wasmparser::Error) -> Self {
        Self::Malformed
    }
}

type Scanned<T = ()> = Result<T, Stop>;

struct Scan<'a> {
    bytes: &'a [u8],
    /// What the validator reads with: some encodings depend on it.
    features: WasmFeatures,
    /// Whether the bytes are not in a custom section of others.
    is_outermost: bool,
    limits: PlanLimits,
    /// The components and types around the definition that is read.
    stack: Vec<Space<'a>>,
    /// The signatures of the components and types that are complete.
    sigs: Vec<Sig>,
    /// Their exports, each signature's sorted by name.
    exports: Vec<(&'a str, Entry)>,
    /// The core module that is read.
    module: Option<Module>,
    modules: u64,
    items: u64,
    type_size: u64,
    core: module::Totals,
    /// The offset of the definition that is read.
    at: u64,
}

impl<'a> Scan<'a> {
    fn payload(&mut self, payload: Payload<'a>) -> Scanned {
        match payload {
            Payload::Version { encoding, range, .. } => {
                self.at = range.start;
                match encoding {
                    Encoding::Component => self.enter(),
                    Encoding::Module => {
                        self.levels()?;
                        self.modules = self.modules.saturating_add(1);
                        self.check(self.limits.modules(), "core modules", self.modules)?;
                        self.module = Some(Module::default());
                        Ok(())
                    }
                }
            }
            Payload::End(_) => self.end(),
            payload => match self.module.take() {
                Some(mut module) => {
                    let scanned = self.module_payload(&mut module, payload);
                    self.module = Some(module);
                    scanned
                }
                None => self.component_payload(payload),
            },
        }
    }

    /// The end of a module or component: an entry of the component around it.
    fn end(&mut self) -> Scanned {
        if let Some(module) = self.module.take() {
            let entry = self.finish_module(module.items, module.core_items);
            if let Some(space) = self.stack.last_mut() {
                space.core_modules.push(entry);
            }
            return Ok(());
        }
        let Some(space) = self.stack.pop() else { return Err(Stop::Malformed) };
        let entry = self.finish(space);
        if let Some(around) = self.stack.last_mut() {
            around.components.push(entry);
        }
        Ok(())
    }

    /// Begins a component or a type.
    fn enter(&mut self) -> Scanned {
        self.levels()?;
        self.stack.push(Space::default());
        Ok(())
    }

    /// The level that begins next.
    fn levels(&self) -> Scanned {
        let levels = u64::try_from(self.stack.len()).unwrap_or(u64::MAX).saturating_add(1);
        self.check(self.limits.nesting(), "levels of nesting", levels)
    }

    fn check(&self, limit: Limit, what: &'static str, found: u64) -> Scanned {
        limit.check(what, found, Some(self.at)).map_err(Stop::TooLarge)
    }

    /// Counts definitions, exports and copies of them.
    fn charge(&mut self, items: u64) -> Scanned {
        self.items = self.items.saturating_add(items);
        self.check(self.limits.items(), "definitions and copies of exports", self.items)
    }

    /// Counts a walk over a type.
    fn walk(&mut self, size: u64) -> Scanned {
        self.type_size = self.type_size.saturating_add(size);
        self.check(self.limits.type_size(), "types, each expanded where it is used", self.type_size)
    }

    /// The component or type that is read.
    fn top(&mut self) -> Scanned<&mut Space<'a>> {
        self.stack.last_mut().ok_or(Stop::Malformed)
    }
}
