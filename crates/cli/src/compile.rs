//! `canon compile`.

use std::fs;
use std::path::{Path, PathBuf};

use canon_async_component::inspect::{Escaped, inspect};
use clap::Args;

use crate::console::{self, Failure};
use crate::input;

const AFTER_HELP: &str = "\
The plan is what a device loads: the component, validated and taken apart, with its core
modules. It needs no translation and no validator of components; `canon run` and `canon
inspect` take it too. It is read by the same version of canon-async, or by one that has the
same format of plans.

Examples:
  canon compile examples/pipeline.wat -o pipeline.canon
  canon run pipeline.canon

Exit codes: 0; 1 where the component is invalid, or too large, or the file can't be written;
2 for usage.";

/// Translate a component to a plan, which a device loads
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Compile {
    /// The component: .wasm, or .wat; - is stdin
    file: PathBuf,
    /// Where the plan goes; else beside the component, as .canon; - is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    limits: input::FileLimits,
}

/// Runs the command.
///
/// # Errors
/// What [`input::untranslated`] says; a file that can't be written.
pub fn compile(args: &Compile) -> Result<(), Failure> {
    let output = match &args.output {
        Some(output) => output.clone(),
        None if input::is_standard(&args.file) => {
            return Err(Failure::usage("stdin: expected --output, which says where the plan goes"));
        }
        None => args.file.with_extension("canon"),
    };
    let plan = input::untranslated(&args.file, &args.limits)?;
    let at = input::shown(&args.file);
    let bytes = plan.to_bytes().map_err(|error| Failure::component(format_args!("{at}: {error}")))?;
    if written(&output, &bytes, &[&args.file])? {
        return Ok(());
    }
    let out = output.display();
    let summary = inspect(&plan);
    let modules: usize = summary.modules.iter().sum();
    console::line(format_args!("{out}: {} bytes", bytes.len()));
    console::line(format_args!("core modules: {} ({modules} bytes)", summary.modules.len()));
    for (title, items) in [("imports", &summary.imports), ("exports", &summary.exports)] {
        console::line(format_args!("{title}:{}", if items.is_empty() { " none" } else { "" }));
        for (path, ty) in items {
            console::line(format_args!("  {}: {}", Escaped(path), Escaped(ty)));
        }
    }
    Ok(())
}

/// Writes a file that was made of others, or to stdout; whether it was stdout, where nothing else is printed.
///
/// # Errors
/// It can't be written; the file is one of those that it was made of: exit code 2.
pub fn written(output: &Path, bytes: &[u8], made_of: &[&Path]) -> Result<bool, Failure> {
    if input::is_standard(output) {
        return console::bytes(bytes).map(|()| true);
    }
    let out = output.display();
    let same = |a: &Path, b: &Path| {
        a == b || fs::canonicalize(a).ok().zip(fs::canonicalize(b).ok()).is_some_and(|(a, b)| a == b)
    };
    if let Some(replaced) = made_of.iter().find(|file| same(file, output)) {
        let file = replaced.display();
        return Err(Failure::usage(format_args!(
            "{out}: it would replace {file}, of which it is made; see --output"
        )));
    }
    fs::write(output, bytes).map_err(|error| Failure::component(format_args!("{out}: {error}")))?;
    Ok(false)
}
