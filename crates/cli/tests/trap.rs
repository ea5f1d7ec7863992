//! What the commands print of a trap: where it was, and who called it.

mod common;

use std::process::Command;

use common::{Ran, canon, file, root};

/// Runs the binary with `CANON_BACKTRACE`, or without.
fn canon_with(args: &[&str], backtrace: Option<&str>) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canon"));
    command.args(args).current_dir(root()).env_remove("CANON_BACKTRACE");
    let output = command.envs(backtrace.map(|value| ("CANON_BACKTRACE", value))).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// `$front` calls `$worker`, which traps.
const CHAIN: &str = r#"(component $app
  (component $worker-definition
    (core module $core
      (func $inner unreachable)
      (func $work (export "work") (call $inner)))
    (core instance $i (instantiate $core))
    (func (export "work") (canon lift (core func $i "work"))))
  (component $front-definition
    (import "work" (func $work))
    (core func $work' (canon lower (func $work)))
    (core module $front (import "" "work" (func $work)) (func $run (export "run") (call $work)))
    (core instance $i (instantiate $front (with "" (instance (export "work" (func $work'))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $worker (instantiate $worker-definition))
  (instance $front (instantiate $front-definition (with "work" (func $worker "work"))))
  (func (export "run") (alias export $front "run")))"#;

#[test]
fn a_trap_says_in_which_component_it_was_and_with_canon_backtrace_who_called_it() {
    let path = file("chain.wat", CHAIN);
    let trap = "error: app: export \"run\": wasm trap: wasm `unreachable` instruction executed\n";
    let worker =
        "app / worker: export \"work\", entered at core function $work of module $core (index 1, at 0x25)";
    let front =
        "app / front: export \"run\", entered at core function $run of module $front (index 1, at 0x2a)";
    let short = format!("{trap}  in {worker}\n  (CANON_BACKTRACE=1 shows who called it)\n");
    let long = format!("{trap}  0: {worker}, called by\n  1: {front}, called by the host\n");
    for (value, expected) in [(None, &short), (Some(""), &short), (Some("0"), &short), (Some("1"), &long)] {
        let ran = canon_with(&["run", &path], value);
        assert_eq!(
            (ran.code, ran.out.as_str(), ran.err.as_str()),
            (Some(1), "", expected.as_str()),
            "{value:?}"
        );
    }
}

#[test]
fn a_trap_in_a_wast_file_that_is_not_expected_says_where_it_was() {
    let text = format!("{CHAIN}\n(invoke \"run\")");
    let path = file("chain.wast", &text);
    let ran = canon(&["wast", &path]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.out.contains("executed; in app / worker: export \"work\", entered at core function $work"),
        "{}",
        ran.out
    );
    // A text that is expected is the trap's own.
    let expects =
        file("chain-expected.wast", format!("{CHAIN}\n(assert_trap (invoke \"run\") \"unreachable\")"));
    assert_eq!(canon(&["wast", &expects]).code, Some(0));
    let place = file("chain-place.wast", format!("{CHAIN}\n(assert_trap (invoke \"run\") \"worker\")"));
    assert_eq!(canon(&["wast", &place]).code, Some(1));
}
