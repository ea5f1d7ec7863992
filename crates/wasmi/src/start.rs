//! Start functions of core modules, where guests can be interrupted.
//!
//! wasmi runs a start function inside of its instantiation, from where it can't be resumed with another slice
//! of fuel. So of such an engine's modules the start section goes, and the function is exported under a name
//! of this crate's own, to be called as any other.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use canon_async_component::EngineError;
use canon_async_component::core_binary::{PREAMBLE, Reader, put_number, sections};
use wasmi::{Extern, Module};

use crate::config::Engine;
use crate::continuation::Ran;
use crate::embedding::Wx;

/// The export that is the start function.
pub(crate) const NAME: &str = "\0canon:start";

const EXPORTS: u8 = 7;
const START: u8 = 8;

/// Compiles a core module, wherever it is from.
pub(crate) fn compile(engine: &Engine, wasm: &[u8]) -> Result<Module, String> {
    let text = |error: wasmi::Error| error.to_string();
    // wasmi reckons an instruction's fuel before it validates the instruction, which some invalid modules
    // don't get past where it has its debug assertions.
    if cfg!(debug_assertions) {
        Module::validate(engine.wasmi(), wasm).map_err(text)?;
    }
    if engine.metering().1.is_none() {
        return Module::new(engine.wasmi(), wasm).map_err(text);
    }
    // What can't be read is as it is: wasmi says what is wrong with it.
    let changed = export_start(wasm);
    let module = Module::new(engine.wasmi(), changed.as_deref().unwrap_or(wasm)).map_err(text)?;
    if changed.is_none() && module.exports().any(|export| export.name() == NAME) {
        return Err(format!("a core module exports {NAME:?}, which is reserved"));
    }
    Ok(module)
}

impl<T> Wx<'_, T> {
    /// Calls the start function of an instance that was made of such a module.
    pub(crate) fn run_start(&mut self, made: wasmi::Instance) -> Result<(), EngineError> {
        if self.state().engine.metering().1.is_none() {
            return Ok(());
        }
        let Some(Extern::Func(start)) = made.get_export(&self.0, NAME) else { return Ok(()) };
        // The module has not been validated before.
        let ty = start.ty(&self.0);
        if !ty.params().is_empty() || !ty.results().is_empty() {
            return Err(EngineError::Text("the start function has parameters or a result".to_string()));
        }
        self.run_plain(None, |ctx| Ran::of(false, |out| start.call_resumable(ctx, &[], out)))?;
        Ok(())
    }
}

/// The module with its start function exported in place of the start section; `None` where it has none, or
/// can't be read.
fn export_start(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut starts = sections(wasm).filter(|section| section.id == START);
    let start = starts.next()?;
    let read: usize = sections(wasm).map(|section| section.whole.len()).sum();
    if starts.next().is_some() || read.checked_add(PREAMBLE) != Some(wasm.len()) {
        return None;
    }
    let mut content = Reader::new(start.content);
    let function = content.number()?;
    if !content.rest().is_empty() {
        return None;
    }
    let mut out = Vec::from(wasm.get(..PREAMBLE)?);
    let mut exported = false;
    for section in sections(wasm) {
        match section.id {
            EXPORTS => {
                put_exports(&mut out, section.content, function)?;
                exported = true;
            }
            START if !exported => put_exports(&mut out, &[0], function)?,
            START => {}
            _ => out.extend(section.whole),
        }
    }
    Some(out)
}

/// An export section, with one more function.
fn put_exports(out: &mut Vec<u8>, content: &[u8], function: u32) -> Option<()> {
    let mut exports = Reader::new(content);
    let count = exports.number()?;
    let mut section = Vec::new();
    put_number(&mut section, count.checked_add(1)?);
    section.extend(exports.rest());
    put_number(&mut section, u32::try_from(NAME.len()).ok()?);
    section.extend(NAME.as_bytes());
    section.push(0);
    put_number(&mut section, function);
    out.push(EXPORTS);
    put_number(out, u32::try_from(section.len()).ok()?);
    out.extend(section);
    Some(())
}
