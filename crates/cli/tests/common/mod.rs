//! What the tests share: the binary, run as its users run it.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a run of the binary left behind.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs the binary in the repository's folder.
pub fn canon(args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_canon")).args(args).current_dir(root()).output();
    let Output { status, stdout, stderr } = output.expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Runs the binary with these bytes on stdin; what it prints need not be text.
pub fn canon_with_input(args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canon"));
    command.args(args).current_dir(root());
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("the binary runs");
    // It may end before it read all.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file for one test.
pub fn file(name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).expect("a file in the target folder");
    path.to_str().expect("UTF-8").into()
}

/// It exits with 0 and prints this.
#[track_caller]
pub fn returns(args: &[&str], out: &str) {
    let ran = canon(args);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), out, ""), "{args:?}");
}

/// It exits with the code, prints nothing on stdout, and each text is in its message.
#[track_caller]
pub fn fails(args: &[&str], code: i32, texts: &[&str]) {
    let ran = canon(args);
    assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{args:?}: {}", ran.err);
    assert!(ran.err.starts_with("error: "), "{args:?}: {}", ran.err);
    for text in texts {
        assert!(ran.err.contains(text), "{args:?}: expected \"{text}\" in: {}", ran.err);
    }
}
