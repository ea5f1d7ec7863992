//! `canon wast` as its users see it.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Ran, canon, canon_with_input, fails, file};
use serde_json::{Value, json};

/// The lines that it prints, without the path of its one file.
fn lines<'r>(ran: &'r Ran, path: &str) -> Vec<String> {
    ran.out.lines().map(|line: &'r str| line.replace(path, "FILE")).collect()
}

/// Runs a file, which does not pass: what is printed before the last line, without its path.
#[track_caller]
fn failures(name: &str, text: &str, options: &[&str]) -> Vec<String> {
    let path = file(name, text);
    let ran = canon(&[&["wast", path.as_str()], options].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{}", ran.out);
    let mut lines = lines(&ran, &path);
    assert_eq!(lines.pop().as_deref(), Some("0 passed, 1 failed"), "{}", ran.out);
    lines
}

/// Runs a file, which passes.
#[track_caller]
fn passes(name: &str, text: &str, options: &[&str]) {
    let path = file(name, text);
    let ran = canon(&[&["wast", path.as_str()], options].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
    assert!(ran.out.ends_with("1 passed, 0 failed\n"), "{}", ran.out);
}

/// `f() -> u32` returns 41, `trap()` traps.
const ONE: &str = r#"(component definition $One
  (core module $M (func (export "f") (result i32) (i32.const 41)) (func (export "trap") unreachable))
  (core instance $m (instantiate $M))
  (func (export "f") (result u32) (canon lift (core func $m "f")))
  (func (export "trap") (canon lift (core func $m "trap"))))
(component instance $one $One)
"#;

#[test]
fn files_that_pass() {
    let ran = canon(&["wast", "crates/cli/tests/wast"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!((ran.code, lines.len()), (Some(0), 4), "{}", ran.out);
    for (line, name) in lines.iter().zip(["directives", "error-context", "values"]) {
        assert!(line.starts_with(&format!("ok crates/cli/tests/wast/{name}.wast (")), "{line}");
    }
    assert_eq!(lines[3], "3 passed, 0 failed");
}

#[test]
fn files_that_fail_and_files_that_pass() {
    let dir = "crates/cli/tests/fail";
    let ran = canon(&["wast", dir, "crates/cli/tests/wast/values.wast", "--turns", "1000"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!((ran.code, lines.len()), (Some(1), 7), "{}", ran.out);
    for (line, expected) in lines.iter().zip([
        "directive.wast:2:1 directive not supported: module",
        "endless.wast:8:1 no result after 1000 turns of the scheduler",
        "message.wast:1:1 expected \"out of bounds\", found \"wasm trap: ",
        "result.wast:6:1 expected u32 42, found u32 41",
        "syntax.wast:3:30 syntax: ",
    ]) {
        assert!(line.starts_with(&format!("FAIL {dir}/{expected}")), "{line}");
    }
    assert!(lines[5].starts_with("ok "), "{}", lines[5]);
    assert_eq!(lines[6], "1 passed, 5 failed");
}

const MANY: &str = r#"
(assert_return (invoke "f") (u32.const 1))
(assert_return (invoke "f") (u32.const 41)) (assert_return (invoke "f") (u32.const 2))
  (assert_invalid (component (import "f" (func (type 0)))) "another text")
(assert_return (invoke "g"))
"#;

#[test]
fn every_directive_runs_and_each_that_fails_is_reported_with_its_line_and_column() {
    let found = failures("wast-many.wast", &format!("{ONE}{MANY}"), &[]);
    let expected = [
        "FAIL FILE:8:1 expected u32 1, found u32 41",
        "FAIL FILE:9:45 expected u32 2, found u32 41",
        "FAIL FILE:10:3 expected \"another text\", found \"unknown type 0: ",
        "FAIL FILE:11:1 no exported function \"g\"",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn fail_fast_stops_at_the_first_failure_of_all_files() {
    let path = file("wast-fast.wast", format!("{ONE}{MANY}"));
    let ran = canon(&["wast", "--fail-fast", &path, "crates/cli/tests/wast"]);
    let expected = [
        "FAIL FILE:8:1 expected u32 1, found u32 41",
        "     FILE: directives not run: 4",
        "     files not run: 3",
        "0 passed, 1 failed",
    ];
    assert_eq!((ran.code, lines(&ran, &path)), (Some(1), expected.map(String::from).into()));
    // What comes before it has run.
    let ran = canon(&["wast", "--fail-fast", "crates/cli/tests/wast", &path]);
    assert!(ran.out.ends_with("\n3 passed, 1 failed\n"), "{}", ran.out);
}

#[test]
fn what_needs_what_failed_says_so() {
    let text = format!(
        r#"{ONE}
(component $gone (core module $M (func $s unreachable) (start $s)) (core instance (instantiate $M)))
(invoke "f")
(invoke $gone "f")
(register "lost" $gone)
(component (import "lost" (instance (export "f" (func)))))
(assert_unlinkable (component (import "gone" (func))) "")
(component definition $D (export "x" (func 0)))
(component instance $i $D)
(assert_return (invoke $one "f") (u32.const 41))
"#
    );
    let found = failures("wast-needs.wast", &text, &[]);
    let needs = |at: &str, what: &str| format!("FAIL FILE:{at} not run: it needs what failed at {what}");
    assert!(found[0].starts_with("FAIL FILE:8:1 wasm trap: wasm `unreachable`"), "{found:#?}");
    assert_eq!(found[1..4], [needs("9:1", "8:1"), needs("10:1", "8:1"), needs("11:1", "8:1")]);
    assert_eq!(found[4..6], [needs("12:1", "11:1"), needs("13:1", "8:1")]);
    assert!(found[6].starts_with("FAIL FILE:14:"), "{found:#?}");
    assert!(found[7].starts_with("FAIL FILE:15:1 not run: it needs what failed at 14:"), "{found:#?}");
    assert_eq!(found.len(), 8, "{found:#?}");
}

#[test]
fn an_instance_of_which_a_call_failed_says_so() {
    let text = format!(
        r#"{ONE}
(invoke "trap")
(assert_return (invoke "f") (u32.const 41))
(component instance $one $One)
(assert_return (invoke "f") (u32.const 41))
(assert_trap (invoke "trap") "unreachable")
(assert_return (invoke "f") (u32.const 41))
"#
    );
    let found = failures("wast-after.wast", &text, &[]);
    assert!(found[0].starts_with("FAIL FILE:8:1 wasm trap: wasm `unreachable`"), "{found:#?}");
    let refused = "wasm trap: cannot enter component instance";
    assert!(
        found[1].starts_with(&format!("FAIL FILE:9:1 after the failure at 8:1: {refused}")),
        "{found:#?}"
    );
    // This trap was expected.
    assert!(found[2].starts_with(&format!("FAIL FILE:13:1 {refused}")), "{found:#?}");
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn a_directive_with_a_mistake_in_its_text_leaves_the_others() {
    let text = format!(
        "{ONE}(assert_return (invoke \"f\") (u32.const forty))\n(asert_return)\n(thread $t)\n{}{}",
        "(assert_return (invoke \"f\") (u32.const 41))\n", "(assert_return (invoke \"f\")"
    );
    let found = failures("wast-syntax.wast", &text, &[]);
    assert!(found[0].starts_with("FAIL FILE:7:40 syntax: expected a u32"), "{found:#?}");
    assert!(found[1].starts_with("FAIL FILE:8:1 unknown directive: asert_return"), "{found:#?}");
    assert!(found[2].starts_with("FAIL FILE:9:1 directive not supported: thread"), "{found:#?}");
    assert!(found[3].starts_with("FAIL FILE:11:1 syntax: this parenthesis is not closed"), "{found:#?}");
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn any_message_compares_outcomes_and_leaves_out_texts() {
    let text = format!(
        r#"{ONE}
(assert_trap (invoke "trap") "what another engine says")
(assert_unlinkable (component (import "nobody" (func))) "what another engine says")
(assert_invalid (component (import "f" (func (type 0)))) "what another engine says")
(assert_malformed (component quote "(func oops)") "what another engine says")
(assert_invalid (module (func (result i32))) "what another engine says")
"#
    );
    passes("wast-any.wast", &text, &["--any-message"]);
    assert_eq!(failures("wast-any.wast", &text, &[]).len(), 5);
    // An outcome of another kind is one.
    let text = format!(
        r#"{ONE}
(assert_trap (invoke "f") "")
(assert_trap (component (import "nobody" (func))) "")
(assert_unlinkable
  (component (core module $M (func $s unreachable) (start $s)) (core instance (instantiate $M))) "")
(assert_invalid (component) "")
(assert_invalid (module) "")
"#
    );
    let found = failures("wast-any-other.wast", &text, &["--any-message"]);
    for (found, expected) in found.iter().zip([
        "FAIL FILE:8:1 expected a trap with \"\", it returned u32 41",
        "FAIL FILE:9:1 expected a trap with \"\", found another error: import \"nobody\"",
        "FAIL FILE:10:1 expected a link error with \"\", found a trap: ",
        "FAIL FILE:12:1 expected an invalid component with \"\", it is valid",
        "FAIL FILE:13:1 expected an invalid core module with \"\", it is valid",
    ]) {
        assert!(found.starts_with(expected), "{found}");
    }
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn host_spectest_provides_what_other_suites_import() {
    let path = "crates/cli/tests/spectest.wast";
    let ran = canon(&["wast", path, "--host", "spectest"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
    // It is there only if it is asked for.
    let ran = canon(&["wast", path]);
    assert!(ran.code == Some(1) && ran.out.contains("import \"host-return-two\""), "{}", ran.out);
    assert_eq!(canon(&["wast", path, "--host", "moon"]).code, Some(2));
}

#[test]
fn unknown_imports_trap_when_they_are_called_and_stay_unlinkable() {
    let text = r#"
(component
  (import "unknown" (func $f))
  (core func $f' (canon lower (func $f)))
  (core module $M (import "" "f" (func $f)) (func (export "f") (call $f)) (func (export "g")))
  (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
  (func (export "f") (canon lift (core func $m "f")))
  (func (export "g") (canon lift (core func $m "g"))))
(assert_return (invoke "g"))
(assert_trap (invoke "f") "unknown")
(assert_unlinkable (component (import "unknown" (func))) "import \"unknown\" is missing")
"#;
    let two = r#"(component (import "a" (func)) (import "b" (func)))"#;
    let said = "import \"a\" is missing: expected func(); import \"b\" is missing: expected func()";
    assert_eq!(failures("wast-two.wast", two, &[]), [format!("FAIL FILE:1:1 {said}")]);
    passes("wast-unknown.wast", text, &["--unknown-imports-trap"]);
    let found = failures("wast-unknown.wast", text, &[]);
    assert!(found[0].starts_with("FAIL FILE:2:1 import \"unknown\" is missing"), "{found:#?}");
}

/// A component with a memory of 3 MiB.
const LARGE: &str = r#"(component {NAME} (core module $M (memory 48) (func (export "f")))
  (core instance $m (instantiate $M)) (func (export "f") (canon lift (core func $m "f"))))
"#;

#[test]
fn each_component_has_a_memory_budget_of_its_own() {
    // One after the other, and all of them at once.
    let unnamed = LARGE.replace("{NAME}", "").repeat(20);
    passes("wast-budget.wast", &unnamed, &["--max-memory", "4M"]);
    let named: String = (0..20).map(|at| LARGE.replace("{NAME}", &format!("$c{at}"))).collect();
    let invoked: String = (0..20).map(|at| format!("(invoke $c{at} \"f\")\n")).collect();
    passes("wast-budget-all.wast", &format!("{named}{invoked}"), &["--max-memory", "4M"]);
    // More than its own none has.
    let two = LARGE
        .replace("{NAME}", "")
        .replace("(core instance $m", "(core instance (instantiate $M)) (core instance $m");
    let found = failures("wast-budget-two.wast", &two, &["--max-memory", "4M"]);
    assert!(
        found[0].contains("limit reached: memory") && found[0].contains("; --max-memory raises it"),
        "{found:#?}"
    );
}

#[test]
fn fuel_that_is_used_up_ends_a_file_and_is_shared_by_its_components() {
    let spin = r#"(component (core module $M (func (export "f") (param i32)
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
  (core instance $m (instantiate $M))
  (func (export "f") (param "n" u32) (canon lift (core func $m "f"))))
(invoke "f" (u32.const 10000))
"#;
    passes("wast-fuel.wast", &spin.repeat(3), &["--fuel", "1000000"]);
    let found = failures("wast-fuel.wast", &spin.repeat(30), &["--fuel", "200000"]);
    assert!(found[0].contains("all fuel consumed: 200000 (--fuel raises the limit)"), "{found:#?}");
    assert!(found[1].starts_with("     FILE: directives not run: "), "{found:#?}");
    assert_eq!(found.len(), 2, "{found:#?}");
}

#[test]
fn timeout_counts_the_time_to_read_and_parse() {
    // Many definitions in one component, which the text parser takes long to expand, and can't be interrupted
    // in.
    let funcs: String =
        (0..40_000).map(|at| format!("(func $f{at} (canon lift (core func $m \"f\")))")).collect();
    let module = r#"(core module $M (func (export "f"))) (core instance $m (instantiate $M))"#;
    let slow = format!("(component {module} {funcs})\n(component)");
    let begin = Instant::now();
    let found = failures("wast-slow.wast", &slow, &["--timeout", "0.5"]);
    assert!(
        found[0].starts_with("FAIL FILE:1:1 deadline passed: 0.5 s (--timeout raises the limit)"),
        "{found:#?}"
    );
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let many = "(component)\n".repeat(20_000);
    let found = failures("wast-slow-many.wast", &many, &["--timeout", "0.05"]);
    assert!(found[0].contains("deadline passed: 0.05 s"), "{found:#?}");
    assert!(found[1].starts_with("     FILE: directives not run: ") && found.len() == 2, "{found:#?}");
}

#[test]
fn names_and_paths_are_escaped() {
    let evil = "(component)\n(invoke \"\\1b[2Jok \\e2\\80\\ae\")\n";
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wast-\u{1b}[31m\nok.wast");
    fs::write(&path, evil).expect("a file in the target folder");
    let ran = canon(&["wast", path.to_str().expect("UTF-8")]);
    assert!(!ran.out.contains(['\u{1b}', '\u{202e}']), "{:?}", ran.out);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(1), 2), "{}", ran.out);
    let said = "wast-\\u{1b}[31m\\nok.wast:2:1 no exported function \"\\u{1b}[2Jok \\u{202e}\"";
    assert!(ran.out.lines().next().is_some_and(|line| line.ends_with(said)), "{}", ran.out);
}

#[test]
fn json_has_an_object_for_each_directive_each_file_and_the_end() {
    let text = format!("{ONE}(invoke \"trap\")\n(assert_return (invoke \"f\") (u32.const 41))\n");
    let path = file("wast-json.wast", text);
    let good = "crates/cli/tests/wast/error-context.wast";
    let ran = canon(&["wast", "--json", &path, good]);
    let objects: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("a JSON value a line")).collect();
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""));
    let directive = |line: usize, directive: &str| json!({ "type": "directive", "path": path, "line": line, "column": 1, "directive": directive, "ok": true });
    assert_eq!(objects[..2], [directive(1, "component"), directive(6, "component")]);
    let mut failed = directive(7, "invoke");
    failed["ok"] = false.into();
    failed["reason"] = objects[2]["reason"].clone();
    assert!(failed["reason"].as_str().is_some_and(|reason| reason.contains("unreachable")), "{failed}");
    assert_eq!(objects[2], failed);
    assert_eq!(objects[3]["after"], json!({ "line": 7, "column": 1 }));
    let summary =
        json!({ "type": "file", "path": path, "ok": false, "directives": 4, "failed": 2, "not_run": 0 });
    assert_eq!(objects[4], summary);
    let [.., file, end] = objects.as_slice() else { panic!("{}", ran.out) };
    assert_eq!((&file["type"], &file["path"], &file["ok"]), (&"file".into(), &good.into(), &true.into()));
    assert_eq!(*end, json!({ "type": "summary", "passed": 1, "failed": 1, "not_run": 0 }));
    let begun = canon(&["wast", "--json", "--fail-fast", &path, good]);
    let end = r#"{"failed":1,"not_run":1,"passed":0,"type":"summary"}"#;
    assert!(
        begun.out.contains(r#""not_run":1"#) && begun.out.ends_with(&format!("{end}\n")),
        "{}",
        begun.out
    );
}

#[test]
fn files_that_are_none() {
    fails(&["wast", "nowhere.wast"], 2, &["nowhere.wast: no such file or folder"]);
    fails(&["wast", "src"], 2, &["src: expected .wast files below it, found none"]);
    let empty = failures("wast-empty.wast", ";; nothing\n", &[]);
    assert_eq!(empty, ["FAIL FILE:1:1 no directive in it"]);
    let path = file("wast-bytes.wast", b"(component \"\xff\")");
    let ran = canon(&["wast", &path]);
    assert_eq!(
        (ran.code, ran.out),
        (Some(1), format!("FAIL {path}:1:1 not UTF-8 text\n0 passed, 1 failed\n"))
    );
}

#[test]
fn dash_is_stdin() {
    let ran = canon_with_input(&["wast", "-"], b"(component)\n(invoke \"f\")\n");
    let out = String::from_utf8(ran.stdout).expect("UTF-8");
    assert_eq!(ran.status.code(), Some(1));
    assert_eq!(out, "FAIL stdin:2:1 no exported function \"f\"\n0 passed, 1 failed\n");
}

#[test]
fn timeout_ends_the_wait_for_a_file_that_does_not_come() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canon"));
    command.args(["wast", "-", "--timeout", "0.2"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // It stays open until the command has ended.
    let input = child.stdin.take();
    let ran = child.wait_with_output().expect("it ends");
    drop(input);
    let out = String::from_utf8(ran.stdout).expect("UTF-8");
    assert_eq!(ran.status.code(), Some(1));
    assert!(out.starts_with("FAIL stdin:1:1 deadline passed: 0.2 s (--timeout raises the limit)"), "{out}");
}
