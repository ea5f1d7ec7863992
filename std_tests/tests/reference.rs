//! The reference tests of the Component Model, from a checkout of `WebAssembly/component-model` in `COMPONENT_MODEL_DIR`;
//! skipped where that is not set. Each file is run strict, as the suite's authors do, and as the spec has it, which is the default.
//!
//! std_tests/reference.toml lists the files that do not pass, each with its reason, and those that pass only strict. A file
//! that fails and is not listed, one that is listed and passes, and one that fails in another place or with another message
//! than it says, fail the test.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use canon_async::spec::PINNED_COMMIT;
use canon_async_cli::wast::{self, Directive, Options};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use std_tests::source;

const VARIABLE: &str = "COMPONENT_MODEL_DIR";
const LIST: &str = "std_tests/reference.toml";

/// reference.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// Those that fail both ways.
    file: Vec<Listed>,
    /// Those that pass strict, and fail by the spec.
    strict: Vec<Listed>,
}

/// A file that does not pass.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    /// Below the checkout's test/.
    path: String,
    kind: Kind,
    /// The line of the directive that fails first.
    line: usize,
    /// The lines of the others.
    #[serde(default)]
    also: Vec<usize>,
    /// What is part of our reason for the failure.
    found: String,
    /// Why it does not pass.
    reason: String,
}

/// Whose doing it is that a file does not pass.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// The file uses syntax that was taken out of the spec after the pinned commit.
    SyntaxGone,
    /// The file refuses "for now" what the spec's own text and definitions.py allow.
    SuiteStricter,
    /// wasmparser or wast is newer or older than the pinned suite.
    Tools,
    /// The engine has no such core proposal.
    Engine,
}

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let list: List = toml::from_str(&source::read(LIST)).unwrap_or_else(|error| panic!("{LIST}: {error}"));
    let trials = match env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        // From the repository, wherever cargo starts a test.
        Some(folder) => trials(&source::root().join(PathBuf::from(folder)), list),
        None => {
            eprintln!(
                "\n*** SKIPPED: none of the reference tests is run. Set {VARIABLE} to a checkout of\n\
                 *** WebAssembly/component-model at {PINNED_COMMIT} to run them.\n"
            );
            let run = || Err(Failed::from(format!("{VARIABLE} is not set")));
            vec![Trial::test("the reference tests", run).with_ignored_flag(true)]
        }
    };
    libtest_mimic::run(&args, trials).exit_code()
}

/// A trial a file, and one for the list.
fn trials(checkout: &Path, list: List) -> Vec<Trial> {
    let folder = checkout.join("test");
    let mut files = Vec::new();
    walk(&folder, &mut files);
    assert!(!files.is_empty(), "{VARIABLE}: no .wast files below {}", folder.display());
    files.sort();

    let mut listed = BTreeMap::new();
    let mut twice = Vec::new();
    let only_strict = list.strict.into_iter().map(|entry| (true, entry));
    for (only_strict, entry) in list.file.into_iter().map(|entry| (false, entry)).chain(only_strict) {
        if let Some((_, entry)) = listed.insert(entry.path.clone(), (only_strict, entry)) {
            twice.push(entry.path);
        }
    }
    let mut trials = Vec::new();
    for path in files {
        let name = path.strip_prefix(&folder).expect("it was found there").display().to_string();
        let entry = listed.remove(&name);
        for strict in [true, false] {
            let (path, entry) = (path.clone(), entry.clone());
            let entry = entry.and_then(|(only_strict, entry)| (!(strict && only_strict)).then_some(entry));
            let kind = match (strict, entry.is_some()) {
                (true, false) => "strict",
                (true, true) => "strict, listed",
                (false, false) => "spec",
                (false, true) => "spec, listed",
            };
            let run = move || check(&path, strict, entry.as_ref());
            trials.push(Trial::test(name.clone(), run).with_kind(kind));
        }
    }
    let grammar = checkout.join("design/mvp/Binary.md");
    trials.push(Trial::test("docs/spec-map.md", move || opcodes(&grammar)));
    let stale: Vec<String> = listed.into_keys().chain(twice).collect();
    trials.push(Trial::test(LIST, move || match stale.as_slice() {
        [] => Ok(()),
        stale => Err(format!("no such files, or listed twice: {}", stale.join(", ")).into()),
    }));
    trials
}

/// Runs a file; it has to go as its entry says, or to pass where it has none.
fn check(path: &Path, strict: bool, entry: Option<&Listed>) -> Result<(), Failed> {
    let mut options = Options::DEFAULT;
    options.strict = strict;
    let outcome = wast::run_file(path, options);
    let (first, entry) = match (outcome.failures().first(), entry) {
        (None, None) => return Ok(()),
        (None, Some(_)) => return Err(format!("it passes: take it out of {LIST}").into()),
        (Some(_), None) => return Err(outcome.to_string().into()),
        (Some(first), Some(entry)) => (first, entry),
    };
    let Listed { line, also, found, kind, reason: why, .. } = entry;
    let others = outcome.failures().iter().skip(1).map(Directive::line);
    let says = |failed: &wast::Failed| failed.reason().contains(found.as_str());
    if first.line() == *line && first.failed().is_some_and(says) && others.eq(also.iter().copied()) {
        return Ok(());
    }
    let listed = format!("line {line} with \"{found}\", and lines {also:?} ({kind:?}: {why})");
    Err(format!("{outcome}{LIST} says that it fails in {listed}").into())
}

/// The built-ins that are later than the pinned Binary.md, as their changes have them: #717.
const LATER: [(&str, &str); 2] = [
    ("| 0x2e t:<typeidx> ", "stream.forward t (core func)) ➡️"),
    ("| 0x2f t:<typeidx> ", "future.forward t (core func)) ➡️"),
];

/// The opcodes and gates of docs/spec-map.md are those of Binary.md's productions of `canon`:
/// `| 0x05   => (canon task.cancel (core func)) 🔀`.
fn opcodes(grammar: &Path) -> Result<(), Failed> {
    let text = fs::read_to_string(grammar).map_err(|error| format!("{}: {error}", grammar.display()))?;
    let pinned = text.lines().filter_map(|line| line.split_once("=> (canon "));
    let productions: Vec<(&str, &str)> = pinned.chain(LATER).collect();
    let mut problems = Vec::new();
    for row in source::spec_map() {
        let of = |rest: &str| rest.split([' ', ')']).next() == Some(row.builtin.as_str());
        let Some((bytes, rest)) = productions.iter().find(|(_, rest)| of(rest)) else {
            problems.push(format!("{}: not in Binary.md", row.builtin));
            continue;
        };
        let bytes: Vec<&str> = bytes.split_whitespace().filter(|word| word.starts_with("0x")).collect();
        let gate = rest.rsplit(')').next().unwrap_or("").trim();
        if bytes.join(" ") != row.opcode
            || !row.gate.starts_with(gate)
            || (gate.is_empty() && !row.gate.is_empty())
        {
            problems.push(format!("{}: Binary.md has {} {gate}", row.builtin, bytes.join(" ")));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

/// The .wast files below a folder.
fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "wast") {
            out.push(path);
        }
    }
}
