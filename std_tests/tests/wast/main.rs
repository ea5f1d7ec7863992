//! Our own .wast tests, all of std_tests/wast/, and that they cover every built-in and every trap.

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
}

fn files() -> Vec<File> {
    let folder = source::root().join("std_tests/wast");
    let entries = fs::read_dir(&folder).expect("the folder std_tests/wast");
    let paths = entries.map(|entry| entry.expect("an entry of std_tests/wast").path());
    let mut files: Vec<File> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "wast"))
        .map(|path| File { name: path.file_name().expect("a name").display().to_string(), path })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn main() -> ExitCode {
    let files = files();
    let mut trials: Vec<Trial> = files
        .iter()
        .map(|file| {
            let path = file.path.clone();
            Trial::test(&file.name, move || {
                let mut options = Options::DEFAULT;
                options.whole_messages = true;
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
