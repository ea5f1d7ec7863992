//! The core against the reference's own executable definitions: `design/mvp/canonical-abi/definitions.py` of a checkout of
//! `WebAssembly/component-model` in `COMPONENT_MODEL_DIR`, run by python3; skipped, and said so, where none is named.
//!
//! std_tests/definitions/ has the Python half, which makes random cases up from a seed, does with them what the reference does,
//! and prints what came of it. `DEFINITIONS_SEEDS=first..last` tries other seeds than the usual ones.

mod programs;
mod types;
mod values;

use std::env;
use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use canon_async::spec::PINNED_COMMIT;
use libtest_mimic::{Arguments, Failed, Trial};
use std_tests::source;

const CHECKOUT: &str = "COMPONENT_MODEL_DIR";
const SEEDS: &str = "DEFINITIONS_SEEDS";

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let skip = env::var_os(CHECKOUT).is_none_or(|value| value.is_empty());
    if skip {
        eprintln!(
            "\n*** SKIPPED: nothing is compared with the reference's definitions.py. Set {CHECKOUT} to a checkout of\n\
             *** WebAssembly/component-model at {PINNED_COMMIT} to do so.\n"
        );
    }
    let trials = vec![
        Trial::test("random_values_pass_as_in_the_reference", values::compare).with_ignored_flag(skip),
        Trial::test("random_programs_go_as_in_the_reference", programs::compare).with_ignored_flag(skip),
    ];
    libtest_mimic::run(&args, trials).exit_code()
}

/// The seeds to try: those that the variable names, or the first few.
fn seeds(usual: u64) -> Result<std::ops::Range<u64>, Failed> {
    let Ok(text) = env::var(SEEDS) else { return Ok(0..usual) };
    let range = text.split_once("..").and_then(|(first, last)| Some(first.parse().ok()?..last.parse().ok()?));
    range.ok_or_else(|| format!("{SEEDS}: expected first..last, found {text}").into())
}

/// What a script of std_tests/definitions/ makes of an input; its first argument is the folder of definitions.py.
fn python<A: AsRef<OsStr>>(
    script: &str,
    args: impl IntoIterator<Item = A>,
    input: String,
) -> Result<String, Failed> {
    let checkout = PathBuf::from(env::var_os(CHECKOUT).ok_or("the checkout is not named")?);
    let folder = source::root().join(checkout).join("design/mvp/canonical-abi");
    let script = source::root().join("std_tests/definitions").join(script);
    let mut command = Command::new("python3");
    command.arg(&script).arg(folder).args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("no pipe")?;
    // While it answers it does not read, and neither side may wait for the other.
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let written = writer.join().map_err(|_| "the writer panicked")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}\n{error}", script.display(), output.status).into());
    }
    written?;
    Ok(String::from_utf8(output.stdout)?)
}
