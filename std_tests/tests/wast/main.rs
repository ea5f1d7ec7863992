//! Our own .wast tests, all of std_tests/wast/, and that they cover every built-in and every trap. Those of
//! std_tests/wast/strict/ run in a strict store: they show what it refuses and others don't.

mod covers;
mod traps;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use canon_async_cli::wast::{self, Options};
use libtest_mimic::{Arguments, Trial};
use std_tests::source;

/// A file of std_tests/wast/.
#[derive(Clone, Debug)]
struct File {
    name: String,
    path: PathBuf,
    strict: bool,
}

fn files() -> Vec<File> {
    let mut files = Vec::new();
    for (folder, strict) in [("std_tests/wast", false), ("std_tests/wast/strict", true)] {
        let entries = fs::read_dir(source::root().join(folder)).expect(folder);
        for path in entries.map(|entry| entry.expect(folder).path()) {
            if path.extension().is_some_and(|extension| extension == "wast") {
                let name = path.file_name().expect("a name").display().to_string();
                let name = if strict { format!("strict/{name}") } else { name };
                files.push(File { name, path, strict });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn main() -> ExitCode {
    let files = files();
    let mut trials: Vec<Trial> = files
        .iter()
        .map(|file| {
            let (path, strict) = (file.path.clone(), file.strict);
            Trial::test(&file.name, move || {
                let mut options = Options::DEFAULT;
                options.whole_messages = true;
                options.strict = strict;
                let outcome = wast::run_file(&path, options);
                if outcome.passed() { Ok(()) } else { Err(outcome.to_string().into()) }
            })
        })
        .collect();
    trials.push(Trial::test("every built-in and every trap is covered", move || {
        let problems = covers::problems(&files);
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
