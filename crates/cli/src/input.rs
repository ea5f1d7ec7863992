//! Files: WebAssembly binaries, or text, or plans.
//!
//! The first bytes decide what a file is, and no more of it is read than a limit allows: `canon run
//! /dev/zero` ends.

use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::path::{Path, PathBuf};

use canon_async_component::inspect::Escaped;
use canon_async_component::{CoreFeatures, Plan, TranslateError, TranslateOptions, check_size, translate};
use clap::Args;

use crate::console::{self, Failure};
use crate::limits::size;
use crate::wrap::{self, WrapError};

/// The file that stands for stdin, or, where something is written, for stdout.
pub const STANDARD: &str = "-";
/// How much of a file is looked at before the rest of it is read: as much as tells one kind from another.
const FIRST: u64 = 8;
/// Editors on Windows begin text with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// For files of more bytes than this, and text of more than [`SLOW_TEXT`], progress is printed.
const SLOW_BINARY: usize = 16 << 20;
const SLOW_TEXT: usize = 256 << 10;

/// How much is read.
#[derive(Args, Clone, Copy)]
pub struct FileLimits {
    /// The largest file that is read
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "256M")]
    max_file_bytes: usize,
    /// The largest WebAssembly text that is read; its parser takes time quadratic in the definitions
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "1M")]
    max_text_bytes: usize,
}

/// How every WebAssembly binary begins.
const MAGIC: &[u8] = b"\0asm";
/// How a core module goes on; a component has a layer here.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// What a file has in it.
pub struct Loaded {
    /// What the component is translated to.
    pub plan: Plan,
    /// The component's binary; `None` where the file is a plan.
    pub binary: Option<Vec<u8>>,
}

/// Reads a component, or a core module that carries its component type, and translates it; or reads a plan.
///
/// # Errors
/// No such file, no WebAssembly, no component, a file above a limit: exit code 2. A component that is
/// invalid, uses what is not implemented or is too large, a plan that is damaged or of another format: exit
/// code 1.
pub fn component(path: &Path, limits: &FileLimits) -> Result<Plan, Failure> {
    loaded(path, limits).map(|loaded| loaded.plan)
}

/// What [`component`] reads, and the component's binary.
///
/// # Errors
/// Those of [`component`].
pub fn loaded(path: &Path, limits: &FileLimits) -> Result<Loaded, Failure> {
    loaded_of(path, read(path, limits, Text::OfWasm)?)
}

fn loaded_of(path: &Path, bytes: Vec<u8>) -> Result<Loaded, Failure> {
    match Plan::is_plan(&bytes) {
        true => Plan::from_bytes(&bytes)
            .map(|plan| Loaded { plan, binary: None })
            .map_err(|error| Failure::component(format_args!("{}: {error}", path.display()))),
        false => translated(path, bytes),
    }
}

/// What `canon wit` reads.
pub enum WitOrLoaded {
    /// WIT as text.
    Wit(String),
    /// A component, or a plan.
    Loaded(Box<Loaded>),
}

/// What [`loaded`] reads, or WIT: of a file whose name ends with .wit, or of stdin where it is not
/// WebAssembly.
///
/// # Errors
/// Those of [`loaded`]; WIT that is not UTF-8: exit code 2.
pub fn wit_or_loaded(path: &Path, limits: &FileLimits) -> Result<WitOrLoaded, Failure> {
    let is_wit = path.extension().is_some_and(|extension| extension == "wit");
    if !is_wit && !is_standard(path) {
        return loaded(path, limits).map(|loaded| WitOrLoaded::Loaded(Box::new(loaded)));
    }
    let bytes = read(path, limits, Text::OfWit)?;
    let is_text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(looks_like_text);
    if bytes.starts_with(MAGIC) || Plan::is_plan(&bytes) || (!is_wit && is_text(&bytes)) {
        return loaded_of(path, bytes).map(|loaded| WitOrLoaded::Loaded(Box::new(loaded)));
    }
    let at = shown(path);
    let text = String::from_utf8(bytes);
    text.map(WitOrLoaded::Wit).map_err(|_| Failure::usage(format_args!("{at}: not WIT: expected UTF-8")))
}

/// The files of a package of WIT in a folder, as wit-parser reads them: none that is no file, and none beyond
/// the limit that all of them have together. What is WebAssembly among them is held to the limits of
/// components.
///
/// # Errors
/// A file or folder that can't be read, or a limit: exit code 2; a component that is too large: exit code 1.
pub fn check_wit_folder(folder: &Path, limits: &FileLimits) -> Result<(), Failure> {
    let mut left = u64::try_from(limits.max_file_bytes).unwrap_or(u64::MAX);
    let deps = folder.join("deps");
    let mut folders = vec![folder.to_path_buf()];
    if deps.is_dir() {
        for path in entries(&deps)? {
            match path.is_dir() {
                true => folders.push(path),
                false => check_wit_file(&path, limits, &mut left)?,
            }
        }
    }
    for path in folders.iter().map(|folder| entries(folder)).collect::<Result<Vec<_>, _>>()?.concat() {
        if path.extension().is_some_and(|extension| extension == "wit") && !path.is_dir() {
            check_wit_file(&path, limits, &mut left)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: io::Error| Failure::usage(format_args!("{}: {error}", folder.display()));
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn check_wit_file(path: &Path, limits: &FileLimits, left: &mut u64) -> Result<(), Failure> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(Failure::usage(format_args!("{}: not a file", path.display())));
    }
    *left = left.checked_sub(metadata.len()).ok_or_else(|| {
        let limit = limits.max_file_bytes;
        Failure::usage(format_args!(
            "{}: too many bytes of WIT: at most {limit} (--max-file-bytes)",
            path.display()
        ))
    })?;
    if path.extension().is_some_and(|extension| extension == "wasm" || extension == "wat") {
        untranslated(path, limits)?;
    }
    Ok(())
}

/// Translates what [`component`] does but for plans.
///
/// # Errors
/// Those of [`component`]; a plan: exit code 2.
pub fn untranslated(path: &Path, limits: &FileLimits) -> Result<Plan, Failure> {
    let bytes = read(path, limits, Text::OfWasm)?;
    match Plan::is_plan(&bytes) {
        true => Err(Failure::usage(format_args!(
            "{}: this is a plan already; expected a component",
            path.display()
        ))),
        false => translated(path, bytes).map(|loaded| loaded.plan),
    }
}

fn translated(path: &Path, bytes: Vec<u8>) -> Result<Loaded, Failure> {
    let mut bytes = binary(path, bytes)?;
    let at = shown(path);
    if bytes.len() > SLOW_BINARY {
        progress(format_args!("{at}: validating {} bytes ..", bytes.len()));
    }
    // All that this build of wasmi has.
    let options =
        TranslateOptions::default().with_core(CoreFeatures::default().with_simd(true).with_tail_calls(true));
    if bytes.starts_with(MODULE) {
        // Before others parse and validate it.
        check_size(&bytes, &options).map_err(|error| Failure::component(format_args!("{at}: {error}")))?;
        bytes = wrap::component(&bytes).map_err(|error| match error {
            WrapError::NoType => Failure::usage(format_args!("{at}: {error}")),
            // Names of core modules are any text: a line of theirs is none of ours.
            WrapError::Invalid(_) => {
                Failure::component(format_args!("{at}: {}", error.to_string().replace('\n', "\n  ")))
            }
        })?;
    }
    let plan = translate(&bytes, &options).map_err(|error| {
        let text = error.to_string();
        let text = Escaped(&text);
        match error {
            TranslateError::NotWasm => Failure::usage(format_args!("{at}: {text}")),
            TranslateError::Invalid { .. } => {
                Failure::component(format_args!("{at}: the component is not valid: {text}"))
            }
            _ => Failure::component(format_args!("{at}: {text}")),
        }
    })?;
    Ok(Loaded { plan, binary: Some(bytes) })
}

/// What to call a component in messages: its own name, or the file's.
pub fn name(plan: &Plan, path: &Path) -> String {
    match &plan.name {
        Some(name) => Escaped(name).to_string(),
        None if is_standard(path) => shown(path),
        None => path.file_name().unwrap_or(path.as_os_str()).display().to_string(),
    }
}

/// A file's bytes as a WebAssembly binary; text is assembled.
fn binary(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let at = shown(path);
    if bytes.starts_with(MAGIC) {
        return Ok(bytes);
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    let text = std::str::from_utf8(text).ok().filter(|text| looks_like_text(text));
    let Some(text) = text else { return Err(not_wasm(path)) };
    if text.len() > SLOW_TEXT {
        progress(format_args!("{at}: assembling {} bytes of text; a .wasm is read faster ..", text.len()));
    }
    let assembled = wat::parse_str(text).map_err(|mut error| {
        error.set_path(path);
        Failure::usage(format_args!("{at}: not valid WebAssembly text: {error}"))
    })?;
    Ok(assembled)
}

fn not_wasm(path: &Path) -> Failure {
    let at = shown(path);
    Failure::usage(format_args!(
        "{at}: not WebAssembly: expected a binary, which begins with \"\\0asm\", or text, which begins with \
         \"(\", or a plan of `canon compile`"
    ))
}

/// Whether the first thing in it is a list or a comment, as in every .wat file.
fn looks_like_text(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('(') || text.starts_with(";;")
}

/// Whether it can go on as text that [`looks_like_text`]: it begins so, or with white space alone.
fn may_be_text(first: &[u8]) -> bool {
    let first = first.strip_prefix(BYTE_ORDER_MARK).unwrap_or(first);
    // A character may be cut off at the end.
    let text = match std::str::from_utf8(first) {
        Ok(text) => text,
        Err(error) => {
            let valid = first.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
    };
    looks_like_text(text) || (text.trim_start().is_empty() && !text.is_empty())
}

/// What a file is called in messages.
pub fn shown(path: &Path) -> String {
    match is_standard(path) {
        true => "stdin".into(),
        false => path.display().to_string(),
    }
}

/// Whether it stands for stdin.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == STANDARD
}

/// For a person that waits: what may come from outside is escaped.
pub fn progress(text: impl std::fmt::Display) {
    if io::stderr().is_terminal() {
        console::note(Escaped(&text.to_string()));
    }
}

/// What a file that is text may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    OfWasm,
    OfWit,
}

/// A file's bytes, or stdin's.
///
/// # Errors
/// It can't be read, is of no kind that is known, or above a limit: exit code 2.
fn read(path: &Path, limits: &FileLimits, text: Text) -> Result<Vec<u8>, Failure> {
    if is_standard(path) {
        return read_from(path, &mut io::stdin().lock(), None, (limits, text));
    }
    let failed = |error| unreadable(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(unreadable(path, &ErrorKind::IsADirectory.into()));
    }
    // What is no regular file, a pipe or a device, says nothing of its size.
    let size = metadata.is_file().then_some(metadata.len());
    read_from(path, &mut file, size, (limits, text))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let at = shown(path);
    match error.kind() {
        ErrorKind::NotFound => Failure::usage(format_args!("{at}: no such file")),
        ErrorKind::IsADirectory => Failure::usage(format_args!("{at}: expected a file, found a folder")),
        _ => Failure::usage(format_args!("{at}: {error}")),
    }
}

/// Reads the first bytes, and the others only where they can be of use and are within the limit. `size` is
/// what the file says about itself.
fn read_from(
    path: &Path,
    file: &mut impl Read,
    size: Option<u64>,
    (limits, text): (&FileLimits, Text),
) -> Result<Vec<u8>, Failure> {
    let failed = |error| unreadable(path, &error);
    let mut bytes = Vec::new();
    file.by_ref().take(FIRST).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.is_empty() && text == Text::OfWasm {
        let at = shown(path);
        return Err(Failure::usage(format_args!("{at}: not WebAssembly: the file is empty")));
    }
    let is_binary = bytes.starts_with(MAGIC) || Plan::is_plan(&bytes);
    if !is_binary && text == Text::OfWasm && !may_be_text(&bytes) {
        return Err(not_wasm(path));
    }
    let limit = match is_binary {
        true => limits.max_file_bytes,
        false => limits.max_file_bytes.min(limits.max_text_bytes),
    };
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    if size.is_some_and(|size| size > limit) {
        return Err(too_large(path, size, is_binary, limits));
    }
    let rest = limit.saturating_sub(FIRST).saturating_add(1);
    file.by_ref().take(rest).read_to_end(&mut bytes).map_err(failed)?;
    match u64::try_from(bytes.len()).is_ok_and(|len| len <= limit) {
        true => Ok(bytes),
        false => Err(too_large(path, None, is_binary, limits)),
    }
}

fn too_large(path: &Path, size: Option<u64>, is_binary: bool, limits: &FileLimits) -> Failure {
    let at = shown(path);
    let size = size.map_or("more".to_string(), |size| size.to_string());
    match is_binary || limits.max_file_bytes < limits.max_text_bytes {
        true => {
            let limit = limits.max_file_bytes;
            Failure::usage(format_args!("{at}: too large: {size} bytes, at most {limit} (--max-file-bytes)"))
        }
        false => {
            let limit = limits.max_text_bytes;
            Failure::usage(format_args!(
                "{at}: too large: {size} bytes of text, at most {limit} (--max-text-bytes); a .wasm of it, as \
                 `wasm-tools parse` makes, is read faster"
            ))
        }
    }
}

/// The files that are meant: a file is meant itself, a folder means every file below it with this extension,
/// sorted.
///
/// # Errors
/// A path that is neither, a folder that can't be read, a folder without such a file: exit code 2.
pub fn files(paths: &[PathBuf], extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut out = Vec::new();
    for path in paths {
        if !path.is_dir() {
            if !is_standard(path) && !path.exists() {
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
