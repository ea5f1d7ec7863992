//! What core functions are called: by the name section of their module, whoever made that.
//!
//! Read when a guest has trapped, and never before. It need not be valid: what can't be read has no name.

use alloc::string::String;

use canon_async_component::core_binary::{PREAMBLE, Reader, Section, sections};
use canon_async_component::plan::cut_name;

const CUSTOM: u8 = 0;
const IMPORTS: u8 = 2;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;
/// Subsections of the name section.
const MODULE: u8 = 0;
const FUNCTIONS: u8 = 1;
/// The kind of functions among imports and exports.
const FUNC: u8 = 0;

/// A core function, as its module describes it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Described {
    pub index: u32,
    pub name: Option<String>,
    pub module: Option<String>,
    /// Where its code begins, in bytes from the beginning of the module.
    pub offset: Option<u32>,
}

/// The function that a module exports under this name. O(bytes of the module's sections but code).
pub(crate) fn exported(wasm: &[u8], export: &str) -> Option<Described> {
    let content = sections(wasm).find(|section| section.id == EXPORTS)?.content;
    let mut items = Reader::new(content);
    for _ in 0..items.number()? {
        let name = sized(&mut items)?;
        let (kind, index) = (items.byte()?, items.number()?);
        if kind == FUNC && name == export.as_bytes() {
            return Some(described(wasm, index));
        }
    }
    None
}

/// The function of this index.
pub(crate) fn described(wasm: &[u8], index: u32) -> Described {
    let (module, name) = named(wasm, index);
    Described { index, name, module, offset: code_offset(wasm, index) }
}

/// The names of the module, and of the function.
fn named(wasm: &[u8], index: u32) -> (Option<String>, Option<String>) {
    let (mut module, mut function) = (None, None);
    for section in sections(wasm).filter(|section| section.id == CUSTOM) {
        let mut names = Reader::new(section.content);
        if sized(&mut names) != Some(b"name") {
            continue;
        }
        while let Some((id, content)) = names.byte().zip(sized(&mut names)) {
            let mut content = Reader::new(content);
            match id {
                MODULE if module.is_none() => module = sized(&mut content).and_then(text),
                FUNCTIONS if function.is_none() => function = name_of(&mut content, index),
                _ => {}
            }
        }
    }
    (module, function)
}

/// Where a function's code begins. It is not known where imports can't be read: they come first.
fn code_offset(wasm: &[u8], index: u32) -> Option<u32> {
    let imports = sections(wasm).find(|section| section.id == IMPORTS);
    let imported = imports.map_or(Some(0), |section| imported_functions(section.content))?;
    let number = index.checked_sub(imported)?;
    let mut at = PREAMBLE;
    for Section { id, whole, content } in sections(wasm) {
        if id == CODE {
            let mut code = Reader::new(content);
            if number >= code.number()? {
                return None;
            }
            for _ in 0..number {
                sized(&mut code)?;
            }
            code.number()?;
            let end = at.checked_add(whole.len())?;
            return u32::try_from(end.checked_sub(code.rest().len())?).ok();
        }
        at = at.checked_add(whole.len())?;
    }
    None
}

fn imported_functions(content: &[u8]) -> Option<u32> {
    let mut imports = Reader::new(content);
    let mut functions = 0u32;
    for _ in 0..imports.number()? {
        sized(&mut imports)?;
        sized(&mut imports)?;
        match imports.byte()? {
            FUNC => {
                imports.number()?;
                functions = functions.checked_add(1)?;
            }
            1 => {
                imports.byte()?;
                skip_limits(&mut imports)?;
            }
            2 => skip_limits(&mut imports)?,
            3 => {
                imports.bytes(2)?;
            }
            _ => return None,
        }
    }
    Some(functions)
}

/// A number of bytes, and those.
fn sized<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let size = reader.number()?;
    reader.bytes(size)
}

/// Skips the limits of a memory or table, whose numbers may have 64 bits.
fn skip_limits(reader: &mut Reader<'_>) -> Option<()> {
    let flags = reader.byte()?;
    let numbers = 1u32.saturating_add(u32::from(flags & 1)).saturating_add(u32::from(flags >> 3 & 1));
    for _ in 0..numbers {
        while reader.byte()? & 0x80 != 0 {}
    }
    Some(())
}

/// The name of an index in a map of names.
fn name_of(map: &mut Reader<'_>, wanted: u32) -> Option<String> {
    for _ in 0..map.number()? {
        let (index, name) = (map.number()?, sized(map)?);
        if index == wanted {
            return text(name);
        }
    }
    None
}

/// As much of a name as is shown; nothing where it is none.
fn text(name: &[u8]) -> Option<String> {
    let name = core::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
    Some(cut_name(name).into())
}
