//! What the tests share: the binary, run as its users run it.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a run of the binary left behind.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs the binary in the repository's folder.
pub fn canon(args: &[&str]) -> Ran {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_canon"))
        .args(args)
        .current_dir(root())
        .output()
        .expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
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
