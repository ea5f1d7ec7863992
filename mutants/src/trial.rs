//! Runs the test binaries: what they reach, how long they take, and whether they notice a mutant.

use crate::copy::Binary;
use crate::rewrite::Number;
use std::collections::HashSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Error};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// What a process may map, in KiB: a mutant that allocates without end is stopped by it.
const MOST_MEMORY: &str = "4000000";

/// A test binary that passes without a mutant.
#[derive(Debug)]
pub struct Suite {
    /// The binary.
    pub binary: Binary,
    /// How long it takes.
    pub takes: Duration,
    /// The mutants that it reaches.
    pub reaches: HashSet<Number>,
}

/// How a mutant ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// No test reaches it.
    Unreached,
    /// Every test passes.
    Alive,
    /// A test of this binary fails.
    Caught(String),
    /// This binary does not end.
    Hangs(String),
}

impl Outcome {
    /// Whether nothing noticed the mutant.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Alive | Self::Unreached)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ran {
    Passed,
    Failed,
    Late,
}

/// Runs a binary, with variables, for this long at most. The first line that says that a test failed ends it.
fn run(binary: &Binary, variables: &[(&str, &str)], most: Duration) -> Result<Ran, Error> {
    let mut child = Command::new("sh")
        .args(["-c", r#"ulimit -v "$1"; shift; exec "$@""#, "sh", MOST_MEMORY])
        .arg(&binary.path)
        .current_dir(&binary.directory)
        .envs(variables.iter().copied())
        .env("RUST_BACKTRACE", "0")
        .env("PROPTEST_RNG_SEED", "1")
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let ran = watch(&mut child, most);
    child.kill().or_else(|error| if ran == Ran::Late { Err(error) } else { Ok(()) })?;
    let status = child.wait()?;
    Ok(if ran == Ran::Passed && !status.success() { Ran::Failed } else { ran })
}

/// Reads what a binary prints until it says nothing more; whether that is all right.
fn watch(child: &mut Child, most: Duration) -> Ran {
    let Some(stdout) = child.stdout.take() else { return Ran::Failed };
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let failed = line.starts_with("FAIL ") || line.starts_with("test ") && line.ends_with("FAILED");
            if send.send(failed).is_err() || failed {
                return;
            }
        }
    });
    let end = Instant::now() + most;
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(true) => return Ran::Failed,
            Ok(false) => {}
            Err(RecvTimeoutError::Timeout) => return Ran::Late,
            // It has closed its output: what is left is its exit code.
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    while Instant::now() < end {
        match child.try_wait() {
            Ok(Some(_)) => return Ran::Passed,
            Ok(None) => thread::sleep(Duration::from_millis(2)),
            Err(_) => return Ran::Failed,
        }
    }
    Ran::Late
}

/// Runs the binaries without a mutant: those that reach any and take at most `most`, the fastest first.
pub fn suites(binaries: Vec<Binary>, directory: &Path, most: Duration) -> Result<Vec<Suite>, Error> {
    let mut suites = Vec::new();
    for binary in binaries {
        let trace = directory.join("trace");
        // Of an earlier run, if any.
        let _ = fs::remove_file(&trace);
        let path = trace.to_string_lossy().into_owned();
        let began = Instant::now();
        match run(&binary, &[("MUTANT_TRACE", &path)], most)? {
            Ran::Passed => {}
            Ran::Late => {
                println!("left out: {} takes more than {} s", binary.name, most.as_secs());
                continue;
            }
            Ran::Failed => {
                return Err(Error::other(format!("{} fails without a mutant", binary.name)));
            }
        }
        let takes = began.elapsed();
        let reaches: HashSet<Number> = fs::read_to_string(&trace)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect();
        if reaches.is_empty() {
            continue;
        }
        println!("{:>8.2} s  {:>5} mutants reached by {}", takes.as_secs_f32(), reaches.len(), binary.name);
        suites.push(Suite { binary, takes, reaches });
    }
    suites.sort_by_key(|suite| (suite.binary.tier, suite.takes));
    Ok(suites)
}

/// Runs the tests that reach a mutant, the fastest first, until one fails.
pub fn outcome(number: Number, suites: &[Suite]) -> Result<Outcome, Error> {
    let mut reached = false;
    let variable = number.to_string();
    for suite in suites.iter().filter(|suite| suite.reaches.contains(&number)) {
        reached = true;
        let most = Duration::from_secs(10) + suite.takes * 5;
        match run(&suite.binary, &[("MUTANT", &variable)], most)? {
            Ran::Passed => {}
            Ran::Failed => return Ok(Outcome::Caught(suite.binary.name.clone())),
            Ran::Late => return Ok(Outcome::Hangs(suite.binary.name.clone())),
        }
    }
    Ok(if reached { Outcome::Alive } else { Outcome::Unreached })
}
