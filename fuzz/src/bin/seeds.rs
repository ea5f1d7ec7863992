//! Makes seeds: `seeds TO PATH...` writes to `TO/TARGET/` for each target.
//!
//! For `translate`, each component in the .wat, .wast and .wasm files at these paths (files, or folders of
//! any depth); for `plan`, what `canon compile` makes of it; for the others, tapes of random bytes from fixed
//! seeds.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use canon_async_component::{TranslateOptions, translate};
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, QuoteWatTest, Wast, WastDirective, Wat};

/// Larger ones take a fuzzer's time and have little that smaller ones have not.
const LARGEST: usize = 12 << 10;
/// Tapes for each target that reads some.
const TAPES: u64 = 200;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(to) = args.next() else {
        eprintln!("usage: seeds TO PATH...");
        return ExitCode::from(2);
    };
    let paths: Vec<_> = args.collect();
    match write(&to, &paths) {
        Ok(count) => {
            println!("{count} seeds in {}", to.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(to: &Path, paths: &[PathBuf]) -> io::Result<usize> {
    let mut files = Vec::new();
    for path in paths {
        find(path, &mut files)?;
    }
    files.sort();
    let mut count = 0;
    for file in files {
        for component in components(&file) {
            if component.len() > LARGEST {
                continue;
            }
            count += save(to, "translate", &component)?;
            let plan = translate(&component, &TranslateOptions::default()).ok();
            if let Some(plan) = plan.and_then(|plan| plan.to_bytes().ok()) {
                count += save(to, "plan", &plan)?;
            }
        }
    }
    for seed in 0..TAPES {
        let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let length = 64 + 8 * seed as usize;
        let bytes: Vec<u8> = (0..length).map(|_| byte(&mut state)).collect();
        count += save(to, "guests", &bytes)?;
        count += save(to, "builtins", &bytes)?;
    }
    Ok(count)
}

/// xorshift64.
fn byte(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 32) as u8
}

fn find(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.into());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let is_text = path.extension().is_some_and(|ext| ext == "wast" || ext == "wat" || ext == "wasm");
        if is_text || (path.is_dir() && path.file_name().is_some_and(|name| name != "target")) {
            find(&path, files)?;
        }
    }
    Ok(())
}

/// The components of a file; none where it can't be read: some are there to be refused.
fn components(file: &Path) -> Vec<Vec<u8>> {
    if file.extension().is_some_and(|ext| ext == "wasm") {
        return fs::read(file).into_iter().collect();
    }
    let Ok(text) = fs::read_to_string(file) else { return Vec::new() };
    let Ok(buffer) = ParseBuffer::new(&text) else { return Vec::new() };
    if let Ok(mut wat) = parser::parse::<Wat<'_>>(&buffer) {
        return wat.encode().into_iter().collect();
    }
    let Ok(wast) = parser::parse::<Wast<'_>>(&buffer) else { return Vec::new() };
    wast.directives.into_iter().filter_map(component).collect()
}

fn component(directive: WastDirective<'_>) -> Option<Vec<u8>> {
    let mut wat = match directive {
        WastDirective::Module(wat) | WastDirective::ModuleDefinition(wat) => wat,
        WastDirective::AssertMalformed { module, .. } | WastDirective::AssertInvalid { module, .. } => module,
        WastDirective::AssertUnlinkable { module, .. } => QuoteWat::Wat(module),
        _ => return None,
    };
    match wat.to_test().ok()? {
        QuoteWatTest::Binary(bytes) => Some(bytes),
        QuoteWatTest::Text(_) => None,
    }
}

fn save(to: &Path, target: &str, bytes: &[u8]) -> io::Result<usize> {
    let folder = to.join(target);
    fs::create_dir_all(&folder)?;
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    fs::write(folder.join(format!("{hash:016x}")), bytes)?;
    Ok(1)
}
