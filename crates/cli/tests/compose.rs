//! `canon compose`: components connected as `canon run --with` connects them, in one file.
#![cfg(feature = "compose")]

mod common;

use std::fs;

use common::{canon, canon_with_input, fails, file, returns};

/// Exports `a:b/numbers@1.0.1` with `next`, which returns a number.
fn lib(number: u32) -> String {
    format!(
        r#"(component $lib
          (core module $M (func (export "next") (result i32) (i32.const {number})))
          (core instance $m (instantiate $M))
          (func $next (result u32) (canon lift (core func $m "next")))
          (instance (export "a:b/numbers@1.0.1") (export "next" (func $next))))"#
    )
}

/// Imports `a:b/numbers@1.0.0`, exports it with one more, and as `run`.
const APP: &str = r#"(component $app
  (import "a:b/numbers@1.0.0" (instance $before (export "next" (func (result u32)))))
  (core func $before (canon lower (func $before "next")))
  (core module $M
    (import "" "before" (func $before (result i32)))
    (func (export "next") (result i32) (i32.add (i32.const 1) (call $before))))
  (core instance $m (instantiate $M (with "" (instance (export "before" (func $before))))))
  (func $next (result u32) (canon lift (core func $m "next")))
  (instance (export "a:b/numbers@1.0.0") (export "next" (func $next)))
  (export "run" (func $next)))"#;

#[test]
fn composition_runs_alone_as_its_parts_do_together() {
    let (app, lib) = (file("compose-app.wat", APP), file("compose-lib.wat", lib(41)));
    let out = file("compose-out.wasm", "");
    let ran = canon(&["compose", &app, "--with", &lib, "-o", &out]);
    let bytes = fs::metadata(&out).expect("the composition").len();
    assert_eq!(
        (ran.code, ran.out, ran.err.as_str()),
        (Some(0), format!("{out}: {bytes} bytes\nimports: none\n"), "")
    );
    returns(&["run", &out], "42\n");
    returns(&["run", &app, "--with", &lib], "42\n");
    // What comes later may import what comes before, and counts where both export the same.
    let ran = canon(&["compose", &app, "--with", &lib, "--with", &app, "-o", &out]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    returns(&["run", &out], "43\n");
    let stdout = canon_with_input(&["compose", "-", "--with", &lib, "-o", "-"], APP.as_bytes());
    assert_eq!((stdout.status.code(), stdout.stderr.as_slice()), (Some(0), &b""[..]));
    returns(&["run", &file("compose-stdout.wasm", &stdout.stdout)], "42\n");
}

#[test]
fn import_gets_the_version_that_canon_run_gives_it() {
    let of = |number: u32, version: &str| {
        file(&format!("compose-{version}.wat"), lib(number).replace("@1.0.1", &format!("@{version}")))
    };
    let parts = [of(1, "1.3.0"), of(2, "1.5.0-rc.1"), of(3, "1.2.0")];
    let app = file("compose-version.wat", APP);
    let with: Vec<&str> = parts.iter().flat_map(|part| ["--with", part.as_str()]).collect();
    returns(&[&["run", &app], with.as_slice()].concat(), "2\n");
    // The others are of no use, and that is said.
    let out = file("compose-version.wasm", "");
    let args = [&["compose", &app, "-o", &out], with.as_slice()].concat();
    fails(&args, 2, &["compose-1.5.0-rc.1.wat: no component after it imports what it exports"]);
    let ran = canon(&["compose", &app, "-o", &out, "--with", &parts[1]]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    returns(&["run", &out], "3\n");
}

#[test]
fn import_that_nobody_exports_stays_an_import() {
    let with_log = APP.replacen("(import", "(import \"log\" (func (param \"text\" string)))\n  (import", 1);
    let (app, lib) = (file("compose-log.wat", with_log), file("compose-log-lib.wat", lib(1)));
    let out = file("compose-log.wasm", "");
    let ran = canon(&["compose", &app, "--with", &lib, "-o", &out]);
    assert!(ran.code == Some(0) && ran.out.ends_with("imports:\n  log: func(text: string)\n"), "{}", ran.out);
    let wit = canon(&["wit", &out]).out;
    assert!(
        wit.contains("  import log: func(text: string);\n") && wit.contains("export run: func() -> u32;"),
        "{wit}"
    );
}

#[test]
fn composition_that_makes_no_sense_says_why() {
    let (app, good) = (file("compose-why.wat", APP), file("compose-why-lib.wat", lib(1)));
    let out = file("compose-why.wasm", "");
    let wrong = file("compose-why-wrong.wat", lib(1).replace("u32", "s32"));
    let compose = |app: &str, with: &str, code: i32, texts: &[&str]| {
        fails(&["compose", app, "--with", with, "-o", &out], code, texts);
    };
    compose(
        &app,
        &wrong,
        1,
        &[
            "compose-why.wat: the import \"a:b/numbers@1.0.0\" does not fit the export \"a:b/numbers@1.0.1\" of ",
            "compose-why-wrong.wat: ",
            "expected u32, found s32",
        ],
    );
    let texts = ["compose-why-lib.wat: no component after it imports what it exports: \"a:b/numbers@1.0.1\""];
    compose(&good, &good, 2, &texts);
    compose("nowhere.wat", &good, 2, &["nowhere.wat: no such file"]);
    fails(&["compose", &app, "-o", &out], 2, &["--with"]);
    fails(&["compose", &app, "--with", &good], 2, &["--output"]);
    fails(&["compose", &app, "--with", &good, "-o", &good], 2, &["it would replace", "of which it is made"]);
    assert_eq!(fs::read_to_string(&good).expect("as it was"), lib(1));
    let plan = file("compose-why.canon", "");
    assert_eq!(canon(&["compile", &good, "-o", &plan]).code, Some(0));
    compose(&app, &plan, 2, &["this is a plan; expected the component that it was made of"]);
}

/// Streams, futures and async functions go through as they are.
#[test]
fn composition_keeps_async_functions_and_streams() {
    let source = r#"(component
      (type $bytes (stream u8))
      (canon task.return (result $bytes) (core func $return))
      (canon stream.new $bytes (core func $new))
      (canon stream.drop-writable $bytes (core func $drop))
      (core module $M
        (import "" "return" (func $return (param i32)))
        (import "" "new" (func $new (result i64)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "bytes") (result i32) (local $ends i64)
          (local.set $ends (call $new))
          (call $return (i32.wrap_i64 (local.get $ends)))
          (call $drop (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
          (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
      (core instance $m (instantiate $M (with "" (instance
        (export "return" (func $return)) (export "new" (func $new)) (export "drop" (func $drop))))))
      (func (export "bytes") async (result $bytes)
        (canon lift (core func $m "bytes") async (callback (core func $m "callback")))))"#;
    let sink = r#"(component
      (import "bytes" (func $bytes async (result (stream u8))))
      (core module $Memory (memory (export "mem") 1))
      (core instance $memory (instantiate $Memory))
      (type $stream (stream u8))
      (core func $bytes (canon lower (func $bytes)))
      (core func $read (canon stream.read $stream (memory (core memory $memory "mem"))))
      (core module $M
        (import "" "bytes" (func $bytes (result i32)))
        (import "" "read" (func $read (param i32 i32 i32) (result i32)))
        (func (export "run") (result i32) (call $read (call $bytes) (i32.const 0) (i32.const 8))))
      (core instance $m (instantiate $M (with "" (instance (export "bytes" (func $bytes)) (export "read" (func $read))))))
      (func (export "run") async (result u32) (canon lift (core func $m "run"))))"#;
    let (source, sink) = (file("compose-source.wat", source), file("compose-sink.wat", sink));
    let out = file("compose-pipe.wasm", "");
    let ran = canon(&["compose", &sink, "--with", &source, "-o", &out]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    // DROPPED, and nothing was read.
    returns(&["run", &out], "1\n");
}
