//! Start functions of core modules, where guests can be interrupted.
//!
//! wasmi runs a start function inside of its instantiation, from where it can't be resumed with another slice
//! of fuel. So of such an engine's modules the start section goes, and the function is exported under a name
//! of this crate's own, to be called as any other.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use canon_async_component::EngineError;
use wasmi::{Extern, Module};

use crate::config::Engine;
use crate::continuation::Ran;
use crate::embedding::Wx;

/// The export that is the start function.
pub(crate) const NAME: &str = "\0canon:start";

const HEADER: usize = 8;
const EXPORTS: u8 = 7;
const START: u8 = 8;

/// Compiles a core module, wherever it is from.
pub(crate) fn compile(engine: &Engine, wasm: &[u8]) -> Result<Module, String> {
    let text = |error: wasmi::Error| error.to_string();
    // wasmi reckons an instruction's fuel before it validates the instruction, which some invalid modules don't get
    // past where it has its debug assertions.
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
        self.run_plain(|ctx| Ran::of(false, |out| start.call_resumable(ctx, &[], out)))?;
        Ok(())
    }
}

/// The module with its start function exported in place of the start section; `None` where it has none, or
/// can't be read.
fn export_start(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut starts = sections(wasm).filter(|section| section.id == START);
    let start = starts.next()?;
    let read: usize = sections(wasm).map(|section| section.whole.len()).sum();
    if starts.next().is_some() || read.checked_add(HEADER) != Some(wasm.len()) {
        return None;
    }
    let (function, rest) = leb128(start.content)?;
    if !rest.is_empty() {
        return None;
    }
    let mut out = Vec::from(wasm.get(..HEADER)?);
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
    let (count, exports) = leb128(content)?;
    let mut section = Vec::new();
    put_leb128(&mut section, count.checked_add(1)?);
    section.extend(exports);
    put_leb128(&mut section, u32::try_from(NAME.len()).ok()?);
    section.extend(NAME.as_bytes());
    section.push(0);
    put_leb128(&mut section, function);
    out.push(EXPORTS);
    put_leb128(out, u32::try_from(section.len()).ok()?);
    out.extend(section);
    Some(())
}

struct Section<'a> {
    id: u8,
    content: &'a [u8],
    /// With its id and size.
    whole: &'a [u8],
}

/// A module's sections, up to the first that can't be read.
fn sections(wasm: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let mut rest = wasm.get(HEADER..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        let begin = rest;
        let (id, after) = begin.split_first()?;
        let (size, after) = leb128(after)?;
        let (content, after) = after.split_at_checked(usize::try_from(size).ok()?)?;
        rest = after;
        let whole = begin.get(..begin.len().checked_sub(after.len())?)?;
        Some(Section { id: *id, content, whole })
    })
}

/// A number of at most 32 bits, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u32;
    let mut rest = bytes;
    for shift in [0u32, 7, 14, 21, 28] {
        let (byte, after) = rest.split_first()?;
        rest = after;
        let bits = u32::from(byte & 0x7f);
        if bits.leading_zeros() < shift {
            return None;
        }
        value |= bits.wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

fn put_leb128(out: &mut Vec<u8>, value: u32) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest = rest.wrapping_shr(7);
    }
    out.push(rest as u8);
}
