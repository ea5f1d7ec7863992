//! How a file went, and what `canon wast` prints of it.

use std::fmt::Display;
use std::path::Path;

use serde_json::{Value, json};

use crate::console::{self, BAD, GOOD};

/// How a file went.
#[derive(Debug)]
pub enum Outcome {
    /// Every directive did as it should.
    Passed {
        /// How many there were.
        directives: usize,
    },
    /// The first that did not.
    Failed {
        /// Its line, from 1; of a syntax error the line of the error.
        line: usize,
        /// What was wrong, on one line.
        reason: String,
    },
}

impl Outcome {
    /// A failure, with its reason brought onto one line.
    pub(crate) fn failed(line: usize, reason: impl Display) -> Self {
        let reason = reason.to_string();
        let words: Vec<&str> = reason.split_whitespace().collect();
        Self::Failed { line, reason: words.join(" ") }
    }
}

/// Prints outcomes and counts them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    json: bool,
    passed: usize,
    failed: usize,
}

impl Report {
    /// As text, or as a JSON value a line.
    pub fn new(json: bool) -> Self {
        Self { json, passed: 0, failed: 0 }
    }

    /// Prints how a file went.
    pub fn file(&mut self, path: &Path, outcome: &Outcome) {
        let path = path.display();
        let (json, text) = match outcome {
            Outcome::Passed { directives } => {
                self.passed = self.passed.saturating_add(1);
                let json = json!({ "path": path.to_string(), "ok": true, "directives": directives });
                (json, format!("{} {path} ({directives} directives)", console::styled(GOOD, "ok")))
            }
            Outcome::Failed { line, reason } => {
                self.failed = self.failed.saturating_add(1);
                let json = json!({ "path": path.to_string(), "ok": false, "line": line, "reason": reason });
                (json, format!("{} {path}:{line} {reason}", console::styled(BAD, "FAIL")))
            }
        };
        self.print(&json, &text);
    }

    /// Prints the last line. Whether all files passed.
    pub fn finish(&self) -> bool {
        let (passed, failed) = (self.passed, self.failed);
        self.print(
            &json!({ "passed": passed, "failed": failed }),
            &format!("{passed} passed, {failed} failed"),
        );
        failed == 0
    }

    fn print(&self, json: &Value, text: &str) {
        if self.json { console::line(json) } else { console::line(text) }
    }
}
