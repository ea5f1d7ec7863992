//! What `canon` reads: no more of a file than a limit allows, and its first bytes first.

#[path = "../../component/tests/common/attacks.rs"]
#[allow(dead_code, reason = "each test file uses a part")]
mod attacks;
mod common;

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{canon, canon_with_input, fails, file, returns, root};

/// `run()` returns 7.
const SEVEN: &str = r#"(component
  (core module $M (func (export "run") (result i32) (i32.const 7)))
  (core instance $m (instantiate $M))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))"#;

#[cfg(unix)]
#[test]
fn device_without_an_end_is_refused_by_its_first_bytes() {
    let start = Instant::now();
    for command in ["run", "inspect", "compile"] {
        fails(&[command, "/dev/zero"], 2, &["/dev/zero: not WebAssembly: expected a binary"]);
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[cfg(unix)]
#[test]
fn wast_without_an_end_is_refused_at_the_limit() {
    let ran = canon(&["wast", "/dev/zero"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("more than 16777216 bytes"), "{}{}", ran.out, ran.err);
}

#[test]
fn stdin_without_an_end_is_refused_at_the_limit() {
    // Text goes on after white space.
    let ran = canon_with_input(&["run", "-"], &[b' '; 3 << 20]);
    let error = String::from_utf8(ran.stderr).expect("UTF-8");
    assert_eq!(ran.status.code(), Some(2));
    let expected =
        "error: stdin: too large: more bytes of text, at most 1048576 (--max-text-bytes); a .wasm of it";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn file_above_the_limit_is_refused_by_its_size() {
    let path = file("input-large.wasm", b"\0asm\x0d\0\x01\0");
    // A hole: it takes no room.
    File::options().write(true).open(&path).and_then(|file| file.set_len(300 << 20)).expect("a large file");
    let start = Instant::now();
    fails(&["run", &path], 2, &["too large: 314572800 bytes, at most 268435456 (--max-file-bytes)"]);
    assert!(start.elapsed() < Duration::from_secs(5));
    let small = file("input-small.wasm", wat::parse_str(SEVEN).expect("text"));
    fails(&["run", &small, "--max-file-bytes", "50"], 2, &["bytes, at most 50 (--max-file-bytes)"]);
    returns(&["run", &small, "--max-file-bytes", "200"], "7\n");
}

#[test]
fn text_above_its_limit_is_refused_and_a_binary_of_it_is_not() {
    let text = format!("{SEVEN} ;; {}", " ".repeat(2 << 20));
    let path = file("input-large.wat", &text);
    let expected =
        ["bytes of text, at most 1048576 (--max-text-bytes); a .wasm of it, as `wasm-tools parse` makes"];
    fails(&["run", &path], 2, &expected);
    returns(&["run", &path, "--max-text-bytes", "3000000"], "7\n");
}

#[test]
fn file_that_is_none_is_named_with_what_it_is() {
    fails(&["run", "crates"], 2, &["crates: expected a file, found a folder"]);
    fails(&["run", "no-such.wasm"], 2, &["no-such.wasm: no such file"]);
    let empty = file("input-empty.wasm", "");
    fails(&["inspect", &empty], 2, &["input-empty.wasm: not WebAssembly: the file is empty"]);
    let short = file("input-short.wasm", "\0as");
    fails(&["inspect", &short], 2, &["not WebAssembly"]);
    let image = file("input-image.wat", b"\x89PNG\r\n\x1a\n");
    fails(&["run", &image], 2, &["not WebAssembly"]);
}

#[test]
fn file_is_known_by_its_content_and_not_by_its_name() {
    returns(&["run", &file("input-text.wasm", SEVEN)], "7\n");
    returns(&["run", &file("input-binary.wat", wat::parse_str(SEVEN).expect("text"))], "7\n");
    returns(&["run", &file("input-mark.wat", format!("\u{feff}{SEVEN}"))], "7\n");
    returns(&["run", &file("input-space.wat", format!("\n\n          ;; why\n{SEVEN}"))], "7\n");
}

#[test]
fn dash_is_stdin_and_stdout() {
    let binary = wat::parse_str(SEVEN).expect("text");
    for input in [SEVEN.as_bytes(), &binary] {
        let ran = canon_with_input(&["run", "-"], input);
        assert_eq!(
            (ran.status.code(), ran.stdout.as_slice(), ran.stderr.as_slice()),
            (Some(0), &b"7\n"[..], &b""[..])
        );
    }
    let plan = canon_with_input(&["compile", "-", "-o", "-"], &binary);
    assert_eq!((plan.status.code(), plan.stderr.as_slice()), (Some(0), &b""[..]));
    let path = file("input-stdout.canon", &plan.stdout);
    returns(&["run", &path], "7\n");
    let ran = canon_with_input(&["compile", "-"], &binary);
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("stdin: expected --output"));
}

#[test]
fn argument_of_a_wrong_type_is_shown_cut() {
    let text = SEVEN
        .replace("(func (export \"run\") (result i32)", "(func (export \"run\") (param i32) (result i32)")
        .replace(
            "(func (export \"run\") (result u32)",
            "(func (export \"run\") (param \"n\" u32) (result u32)",
        );
    let path = file("input-param.wat", text);
    let ran = canon(&["run", &path, "--invoke", &format!("run(\"{}\")", "x".repeat(100_000))]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.contains("argument 1 \"n\": expected u32, found \"xxxx") && ran.err.len() < 1_000,
        "{}",
        ran.err.len()
    );
}

#[test]
fn name_that_would_control_a_terminal_is_escaped() {
    let text = r#"(component (@name "ok\1b[31mRED\0aerror: fake\e2\80\ae")
        (core module $m (func (export "run") unreachable))
        (core instance $i (instantiate $m)) (func (export "run") (canon lift (core func $i "run"))))"#;
    let path = file("input-name.wat", text);
    let shown = r"ok\u{1b}[31mRED\nerror: fake\u{202e}";
    let ran = canon(&["inspect", &path]);
    assert!(ran.out.starts_with(&format!("// component {shown}\npackage root:component;\n")), "{}", ran.out);
    fails(&["run", &path], 1, &[shown]);
    // A core module's own names are any text.
    let text = r#"(component (core module (func (export "a\1bb\0aerror: fake")) (func (export "a\1bb\0aerror: fake"))))"#;
    fails(&["run", &file("input-names.wat", text)], 1, &[r"a\u{1b}b\nerror: fake"]);
    let text = r#"(component
      (core module $A (func (export "f"))) (core instance $a (instantiate $A))
      (core module $M (import "x\1b\0aerror: fake" "f" (func)) (func (export "run")))
      (core instance $m (instantiate $M (with "x\1b\0aerror: fake" (instance $a))))
      (func (export "run") (canon lift (core func $m "run"))))"#;
    returns(&["run", &file("input-names-linked.wat", text)], "");
}

/// 64 MiB for what a component costs before it is refused, beside the binary, its libraries, and the stack of 256 MiB that
/// it reserves. `crates/component/tests/peak.rs` counts more closely.
#[cfg(target_os = "linux")]
#[test]
fn component_that_costs_much_is_refused_in_little_memory() {
    const KIB: u32 = (64 + 32 + 256) << 10;
    for attack in attacks::all() {
        let path = file(&format!("attack-{}.wasm", attack.name), attack.bytes());
        let limited = format!("ulimit -v {KIB} && exec \"$0\" inspect \"$1\"");
        let canon = env!("CARGO_BIN_EXE_canon");
        let ran = Command::new("sh").args(["-c", &limited, canon, &path]).current_dir(root()).output();
        let ran = ran.expect("a shell");
        let error = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(1), "{}: {error}", attack.name);
        assert!(error.contains(&format!("(PlanLimits::{})", attack.field)), "{}: {error}", attack.name);
    }
}
