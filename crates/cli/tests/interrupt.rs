//! Ctrl-C ends `canon run`, and what is printed then.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{file, root};

/// Prints a result, and goes on for ever; `loops` does not return before.
const ENDLESS: &str = r#"(component $endless
  (core func $return (canon task.return (result u32)))
  (core module $M
    (import "" "return" (func $return (param i32)))
    (func (export "run") (result i32) (call $return (i32.const 1)) (i32.const 1))
    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 1))
    (func (export "loops") (loop (br 0))))
  (core instance $m (instantiate $M (with "" (instance (export "return" (func $return))))))
  (func (export "run") async (result u32)
    (canon lift (core func $m "run") async (callback (core func $m "callback"))))
  (func (export "loops") (canon lift (core func $m "loops"))))"#;

fn start(name: &str, args: &[&str]) -> Child {
    let path = file(name, ENDLESS);
    let mut command = Command::new(env!("CARGO_BIN_EXE_canon"));
    command.args(["run", &path]).args(args).current_dir(root());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
}

/// Waits until it has ended; what it printed on stderr.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut text = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut text).expect("UTF-8");
    (status.code(), text)
}

#[test]
fn ctrl_c_ends_a_run_with_a_report_and_130() {
    let mut child = start("interrupt-run.wat", &[]);
    // Once it has printed its result it is under way.
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_eq!(line, "1\n");
    interrupt(&child);
    let (code, text) = ended(child);
    assert_eq!(code, Some(130), "{text}");
    let first = "error: endless: after export \"run\" had returned: interrupted\nwho waits for what:\n";
    assert!(text.starts_with(first) && text.contains("\n  \"run\" of endless"), "{text}");
}

/// There is no telling when the loop has begun: before, the process ends at once.
#[test]
fn ctrl_c_ends_a_loop_that_never_looks() {
    let child = start("interrupt-loop.wat", &["--invoke", "loops()"]);
    std::thread::sleep(Duration::from_secs(2));
    interrupt(&child);
    let (code, text) = ended(child);
    assert_eq!(code, Some(130), "{text}");
    let first = "error: endless: export \"loops\": interrupted\n";
    let last = "\nwho waits for what:\n  \"loops\" of endless, which canon called: runs\n";
    assert!((text.starts_with(first) && text.ends_with(last)) || text.is_empty(), "{text}");
}
