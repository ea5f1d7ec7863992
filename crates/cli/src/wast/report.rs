//! How a file went, and what `canon wast` prints of it.

use std::fmt::{self, Display};
use std::path::Path;

use canon_async_component::inspect::Escaped;
use serde_json::{Value, json};

use super::script::Position;
use crate::console::{self, BAD, GOOD};
use crate::input;

/// The most characters of a reason that are kept: values can be large.
const REASON: usize = 2_000;

/// How a file went.
#[derive(Debug, Default)]
pub struct Outcome {
    pub(super) directives: usize,
    pub(super) failures: Vec<Directive>,
    pub(super) not_run: usize,
}

impl Outcome {
    /// Whether every directive did as it should.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// How many directives were run.
    pub fn directives(&self) -> usize {
        self.directives
    }

    /// The directives that failed, in their order.
    pub fn failures(&self) -> &[Directive] {
        &self.failures
    }

    /// How many directives were not run: after the first failure, as [`Options::fail_fast`] asks for, or
    /// since fuel or time was used up.
    ///
    /// [`Options::fail_fast`]: super::Options::fail_fast
    pub fn not_run(&self) -> usize {
        self.not_run
    }
}

/// The directives that failed, a line each.
impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failures.iter().try_for_each(|failure| writeln!(f, "{failure}"))
    }
}

/// A directive that was run.
#[derive(Debug)]
pub struct Directive {
    pub(super) position: Position,
    pub(super) keyword: String,
    pub(super) failed: Option<Failed>,
}

impl Directive {
    /// The line that it begins in, from 1; of a syntax error, the line of the error.
    pub fn line(&self) -> usize {
        self.position.line
    }

    /// The byte of that line that it begins at, from 1.
    pub fn column(&self) -> usize {
        self.position.column
    }

    /// Its keyword, as `assert_return`; empty if there is none.
    pub fn keyword(&self) -> &str {
        &self.keyword
    }

    /// Why it failed, if it did.
    pub fn failed(&self) -> Option<&Failed> {
        self.failed.as_ref()
    }
}

/// `LINE:COLUMN`, and what was wrong if it failed.
impl Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failed {
            Some(Failed { reason, .. }) => write!(f, "{} {reason}", self.position),
            None => self.position.fmt(f),
        }
    }
}

/// Why a directive failed.
#[derive(Debug)]
pub struct Failed {
    /// On one line.
    pub(super) reason: String,
    /// The directive whose failure this may come from.
    pub(super) after: Option<Position>,
}

impl Failed {
    /// With its reason brought onto one line, and cut.
    pub(super) fn new(reason: impl Display) -> Self {
        let reason = reason.to_string();
        let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = reason.lines().map(line).filter(|line| !line.is_empty()).collect();
        let mut reason = lines.join("; ");
        if let Some((end, _)) = reason.char_indices().nth(REASON) {
            reason.truncate(end);
            reason.push_str(" ..");
        }
        Self { reason, after: None }
    }

    /// What was wrong, on one line.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Line and column of the directive whose failure this may come from.
    pub fn after(&self) -> Option<(usize, usize)> {
        self.after.map(|at| (at.line, at.column))
    }
}

/// Prints outcomes and counts them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    json: bool,
    passed: usize,
    failed: usize,
    not_run: usize,
}

impl Report {
    /// As text, or as a JSON value a line.
    pub fn new(json: bool) -> Self {
        Self { json, ..Self::default() }
    }

    /// Prints how a directive went: as text if it failed.
    pub fn directive(&self, path: &Path, directive: &Directive) {
        let Directive { position, keyword, failed } = directive;
        let path = input::shown(path);
        if self.json {
            let Position { line, column } = position;
            let mut object = json!({
                "type": "directive", "path": path, "line": line, "column": column, "directive": keyword,
                "ok": failed.is_none(),
            });
            if let Some(Failed { reason, after }) = failed {
                set(&mut object, "reason", json!(reason));
                if let Some(Position { line, column }) = after {
                    set(&mut object, "after", json!({ "line": line, "column": column }));
                }
            }
            console::line(object);
        } else if let Some(failed) = failed {
            let (fail, path, reason) =
                (console::styled(BAD, "FAIL"), Escaped(&path), Escaped(&failed.reason));
            console::line(format_args!("{fail} {path}:{position} {reason}"));
        }
    }

    /// Prints how a file went.
    pub fn file(&mut self, path: &Path, outcome: &Outcome) {
        let Outcome { directives, failures, not_run } = outcome;
        let ok = outcome.passed();
        let count = if ok { &mut self.passed } else { &mut self.failed };
        *count = count.saturating_add(1);
        let path = input::shown(path);
        if self.json {
            console::line(json!({
                "type": "file", "path": path, "ok": ok, "directives": directives, "failed": failures.len(),
                "not_run": not_run,
            }));
        } else if ok {
            let path = Escaped(&path);
            console::line(format_args!("{} {path} ({directives} directives)", console::styled(GOOD, "ok")));
        } else if *not_run > 0 {
            console::line(format_args!("     {}: directives not run: {not_run}", Escaped(&path)));
        }
    }

    /// So many files are left.
    pub fn not_run(&mut self, files: usize) {
        self.not_run = files;
        if files > 0 && !self.json {
            console::line(format_args!("     files not run: {files}"));
        }
    }

    /// Prints the last line. Whether all files passed.
    pub fn finish(&self) -> bool {
        let Self { json, passed, failed, not_run } = *self;
        if json {
            let summary =
                json!({ "type": "summary", "passed": passed, "failed": failed, "not_run": not_run });
            console::line(summary);
        } else {
            console::line(format_args!("{passed} passed, {failed} failed"));
        }
        failed == 0
    }
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.into(), value);
    }
}
