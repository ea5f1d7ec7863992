//! What `canon` does with the modules that cargo builds.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::build;
use crate::compose::compose;

/// Runs the command: whether it went well, and what it printed.
fn canon(args: &[&str]) -> (bool, String, String) {
    let command = Command::new(env!("CARGO_BIN_EXE_std-tests-canon")).args(args).output();
    let Output { status, stdout, stderr } = command.expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.success(), text(stdout), text(stderr))
}

fn module(name: &str) -> String {
    build::module(name).to_str().expect("UTF-8").into()
}

/// Runs a guest on others.
#[track_caller]
fn returns(guest: &str, with: &[&str], invoke: &str, expected: &str) {
    let (main, with): (_, Vec<_>) = (module(guest), with.iter().map(|name| module(name)).collect());
    let mut args = vec!["run", &main, "--invoke", invoke];
    args.extend(with.iter().flat_map(|file| ["--with", file]));
    assert_eq!(canon(&args), (true, format!("{expected}\n"), String::new()));
}

#[test]
fn canon_run_takes_a_core_module_of_wit_bindgen() {
    let line = "12 error urgent,audit text the disk is full";
    returns(
        "parser",
        &[],
        &format!("example:parser/parser#parse-line(\"{line}\")"),
        "ok({at: some(12), level: error, marks: {urgent, audit}, body: text(\"the disk is full\")})",
    );
}

#[test]
fn canon_run_links_guests() {
    returns("crowd", &["worker"], "run(3)", "([2, 1, 0], 5, 3)");
    returns(
        "canceller",
        &["sleeper", "proxy"],
        "every-second(1)",
        "([\"0 dreamt of 0 sheep\"], [\"0 fell asleep\", \"0 woke\"])",
    );
    returns("teller", &["ledger"], "many(1)", "[\"owner 0\"]");
}

#[test]
fn canon_run_takes_a_composition() {
    let parts = [("worker", build::component("worker")), ("crowd", build::component("crowd"))];
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("composition.wasm");
    fs::write(&path, compose(&parts)).expect("a file in the target folder");
    let path = path.to_str().expect("UTF-8");
    let ran = canon(&["run", path, "--invoke", "main#run(3)"]);
    assert_eq!(ran, (true, "([2, 1, 0], 5, 3)\n".into(), String::new()));
}

#[test]
fn canon_run_names_the_import_that_no_guest_provides() {
    let (ok, out, err) = canon(&["run", &module("crowd"), "--invoke", "run(3)"]);
    assert_eq!((ok, out.as_str()), (false, ""));
    assert!(err.contains("2 imports are missing") && err.contains("example:worker/worker"), "{err}");
}

#[test]
fn canon_inspect_shows_what_a_guest_exports() {
    let (ok, out, _) = canon(&["inspect", &module("transform")]);
    assert!(ok && out.contains("upper: async func(input: stream<u8>) -> stream<u8>"), "{out}");
}
