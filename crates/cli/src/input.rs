//! Files: WebAssembly binaries, or text, or plans.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use canon_async_component::{Plan, TranslateError, TranslateOptions, translate};

use crate::console::Failure;
use crate::wrap::{self, WrapError};

/// How every WebAssembly binary begins.
const MAGIC: &[u8] = b"\0asm";
/// How a core module goes on; a component has a layer here.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Reads a component, or a core module that carries its component type, and translates it; or reads a plan.
///
/// # Errors
/// No such file, no WebAssembly, no component: exit code 2. A component that is invalid, uses what is not implemented or
/// is too large, a plan that is damaged or of another format: exit code 1.
pub fn component(path: &Path) -> Result<Plan, Failure> {
    let bytes = read(path)?;
    match Plan::is_plan(&bytes) {
        true => Plan::from_bytes(&bytes)
            .map_err(|error| Failure::component(format_args!("{}: {error}", path.display()))),
        false => translated(path, bytes),
    }
}

/// Translates what [`component`] does but for plans.
///
/// # Errors
/// Those of [`component`]; a plan: exit code 2.
pub fn untranslated(path: &Path) -> Result<Plan, Failure> {
    let bytes = read(path)?;
    match Plan::is_plan(&bytes) {
        true => Err(Failure::usage(format_args!(
            "{}: this is a plan already; expected a component",
            path.display()
        ))),
        false => translated(path, bytes),
    }
}

fn translated(path: &Path, bytes: Vec<u8>) -> Result<Plan, Failure> {
    let mut bytes = binary(path, bytes)?;
    let at = path.display();
    if bytes.starts_with(MODULE) {
        bytes = wrap::component(&bytes).map_err(|error| match error {
            WrapError::NoType => Failure::usage(format_args!("{at}: {error}")),
            WrapError::Invalid(_) => Failure::component(format_args!("{at}: {error}")),
        })?;
    }
    translate(&bytes, &TranslateOptions::default()).map_err(|error| match error {
        TranslateError::NotWasm => Failure::usage(format_args!("{at}: {error}")),
        TranslateError::Invalid { .. } => {
            Failure::component(format_args!("{at}: the component is not valid: {error}"))
        }
        error => Failure::component(format_args!("{at}: {error}")),
    })
}

/// What to call a component in messages: its own name, or the file's.
pub fn name(plan: &Plan, path: &Path) -> String {
    match &plan.name {
        Some(name) => name.clone(),
        None => path.file_name().unwrap_or(path.as_os_str()).display().to_string(),
    }
}

/// A file's bytes as a WebAssembly binary; text is assembled.
fn binary(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let at = path.display();
    if bytes.starts_with(MAGIC) {
        return Ok(bytes);
    }
    let text = std::str::from_utf8(&bytes).ok().filter(|text| looks_like_text(text));
    let Some(text) = text else {
        return Err(Failure::usage(format_args!(
            "{at}: not WebAssembly: expected a binary, which begins with \"\\0asm\", or text, which begins with \"(\", or a plan \
             of `canon compile`"
        )));
    };
    let assembled = wat::parse_str(text).map_err(|mut error| {
        error.set_path(path);
        Failure::usage(format_args!("{at}: not valid WebAssembly text: {error}"))
    })?;
    Ok(assembled)
}

/// Whether the first thing in it is a list or a comment, as in every .wat file.
fn looks_like_text(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('(') || text.starts_with(";;")
}

/// A file's bytes.
///
/// # Errors
/// It can't be read: exit code 2.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        let at = path.display();
        match error.kind() {
            ErrorKind::NotFound => Failure::usage(format_args!("{at}: no such file")),
            ErrorKind::IsADirectory => Failure::usage(format_args!("{at}: expected a file, found a folder")),
            _ => Failure::usage(format_args!("{at}: {error}")),
        }
    })
}

/// The files that are meant: a file is meant itself, a folder means every file below it with this extension, sorted.
///
/// # Errors
/// A path that is neither, a folder that can't be read, a folder without such a file: exit code 2.
pub fn files(paths: &[PathBuf], extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut out = Vec::new();
    for path in paths {
        if !path.is_dir() {
            if !path.exists() {
                return Err(Failure::usage(format_args!("{}: no such file or folder", path.display())));
            }
            out.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        walk(path, extension, &mut found)?;
        if found.is_empty() {
            let at = path.display();
            return Err(Failure::usage(format_args!(
                "{at}: expected .{extension} files below it, found none"
            )));
        }
        found.sort();
        out.append(&mut found);
    }
    Ok(out)
}

/// Adds what is below a folder. Links to folders are not followed, so that it ends.
fn walk(folder: &Path, extension: &str, out: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::usage(format_args!("{}: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(&path, extension, out)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            out.push(path);
        }
    }
    Ok(())
}
