//! `canon wast`.
//!
//! | module | what |
//! |---|---|
//! | [`runner`] | a file's directives |
//! | [`values`] | arguments and results |
//! | [`report`] | what is printed |

mod report;
mod runner;
mod values;

use std::cell::RefCell;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use clap::Args;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};

use crate::console::Failure;
use crate::input;
use report::{Outcome, Report};
use runner::Runner;

/// The stack that a file's components are parsed and run on: text may nest deep.
const STACK: usize = 64 << 20;

const AFTER_HELP: &str = "\
Prints a line for each file, `ok PATH (N directives)` or `FAIL PATH:LINE reason`, and at last
`N passed, N failed`. A file stops at its first failure; the others go on. Each has a store of its own.

Directives: component, component definition, component instance, register, invoke, assert_return,
assert_trap, assert_invalid, assert_malformed, assert_unlinkable. A component imports what earlier
ones export by their names or registered names. An expected message has to be part of ours.

Examples:
  canon wast tests/
  canon wast --json tests/a.wast tests/b.wast

Exit codes: 0, 1 where a file failed, 2 for usage.";

/// Run .wast files: components with assertions about them
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Wast {
    /// .wast files, or folders: every .wast file below
    #[arg(required = true)]
    path: Vec<PathBuf>,
    /// Print JSON, a value a line
    #[arg(long)]
    json: bool,
    /// Let an invocation take at most N turns of the scheduler
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    turns: u64,
}

/// Runs the command.
///
/// # Errors
/// A path that is not there: exit code 2.
pub fn wast(args: &Wast) -> Result<ExitCode, Failure> {
    let files = input::files(&args.path, "wast")?;
    catch_panics();
    let mut report = Report::new(args.json);
    for path in files {
        report.file(&path, &file(&path, args.turns));
    }
    Ok(if report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a file on a thread of its own, so that a panic ends only that.
fn file(path: &Path, turns: u64) -> Outcome {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes),
        Err(error) => return Outcome::failed(1, error),
    };
    let Ok(text) = text else { return Outcome::failed(1, "not UTF-8 text") };
    let run = move || {
        let outcome = panic::catch_unwind(|| directives(&text, turns));
        outcome.unwrap_or_else(|_| {
            let (line, message) = PANIC.take();
            Outcome::failed(line, format_args!("panic: {message}"))
        })
    };
    let thread = thread::Builder::new().name("wast".into()).stack_size(STACK).spawn(run);
    match thread.map(thread::JoinHandle::join) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::failed(1, "panic"),
        Err(error) => Outcome::failed(1, error),
    }
}

thread_local! {
    /// The line of the directive under way, and what a panic said.
    static PANIC: RefCell<(usize, String)> = const { RefCell::new((1, String::new())) };
}

/// From now on a panic prints nothing: its message is for the report.
fn catch_panics() {
    panic::set_hook(Box::new(|info| PANIC.with_borrow_mut(|(_, message)| *message = info.to_string())));
}

/// Parses a file and runs its directives up to the first that fails.
fn directives(text: &str, turns: u64) -> Outcome {
    let line_of = |span: wast::token::Span| span.linecol_in(text).0.saturating_add(1);
    let syntax = |error: wast::Error| {
        Outcome::failed(line_of(error.span()), format_args!("syntax: {}", error.message()))
    };
    let mut lexer = Lexer::new(text);
    // Tests of strings are full of it.
    lexer.allow_confusing_unicode(true);
    let buffer = match ParseBuffer::new_with_lexer(lexer) {
        Ok(buffer) => buffer,
        Err(error) => return syntax(error),
    };
    let parsed = match parser::parse::<wast::Wast<'_>>(&buffer) {
        Ok(parsed) => parsed,
        Err(error) => return syntax(error),
    };
    let mut runner = Runner::new(turns);
    let count = parsed.directives.len();
    for directive in parsed.directives {
        let line = line_of(directive.span());
        PANIC.with_borrow_mut(|(at, _)| *at = line);
        if let Err(reason) = runner.directive(directive) {
            return Outcome::failed(line, reason);
        }
    }
    Outcome::Passed { directives: count }
}
