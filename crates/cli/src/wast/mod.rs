//! `canon wast`, and [`run_file`] for tests.
//!
//! | module | what |
//! |---|---|
//! | `runner` | a file's directives |
//! | `values` | arguments and results |
//! | `report` | what is printed |

mod report;
mod runner;
mod values;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use clap::Args;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};

use crate::console::Failure;
use crate::input;
use crate::limits::Limits;
pub use report::Outcome;
use report::Report;
use runner::Runner;

/// The largest file that is read.
const MAX_BYTES: u64 = 16 << 20;
/// The stack that a file's components are parsed and run on: text may nest deep.
const STACK: usize = 64 << 20;

const AFTER_HELP: &str = "\
Prints a line for each file, `ok PATH (N directives)` or `FAIL PATH:LINE reason`, and at last
`N passed, N failed`. A file stops at its first failure; the others go on. Each has a store of its own.

Directives: component, component definition, component instance, register, invoke, assert_return,
assert_trap, assert_invalid, assert_malformed, assert_unlinkable. A component imports what earlier
ones export by their names or registered names. An expected message has to be part of ours.
--memory, --fuel and --timeout are for each file.

With --strict, a synchronous function traps before it calls what may block, and a component may not call one
around it or inside it: so do the reference tests of the pinned commit in three files, and Wasmtime.

Examples:
  canon wast tests/
  canon wast --json tests/a.wast tests/b.wast

Exit codes: 0, 1 where a file failed, 2 for usage.";

/// Run .wast files: components with assertions about them
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Wast {
    /// .wast files, or folders: every .wast file below
    #[arg(required = true)]
    path: Vec<PathBuf>,
    /// Print JSON, a value a line
    #[arg(long)]
    json: bool,
    /// Let an invocation take at most N turns of the scheduler
    #[arg(long, value_name = "N", default_value_t = Options::DEFAULT.turns)]
    turns: u64,
    /// Refuse also what the spec allows and its reference tests refuse "for now": see `canon wast --help`
    #[arg(long)]
    strict: bool,
    /// Send every component through a plan's bytes, as `canon compile` makes them, before it is instantiated
    #[arg(long)]
    through_plans: bool,
    #[command(flatten)]
    limits: Limits,
}

/// How a file is run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The most turns of the scheduler that an invocation may take.
    pub turns: u64,
    /// Whether the message of an `assert_trap` has to be the whole of ours, and not just a part of it.
    pub whole_messages: bool,
    /// Whether components are held to what the reference tests refuse beyond the spec: [`Config::strict`].
    ///
    /// [`Config::strict`]: canon_async_wasmi::Config::strict
    pub strict: bool,
    /// Whether what is instantiated has been a plan's bytes before.
    pub through_plans: bool,
    /// The most bytes that a file's components may cause to be allocated; `None`: the default of
    /// [`Config::guest_bytes`].
    ///
    /// [`Config::guest_bytes`]: canon_async_wasmi::Config::guest_bytes
    pub memory: Option<usize>,
    /// The most bytes of one guest's stack; `None`: the default of
    /// [`Config::max_stack_bytes`].
    ///
    /// [`Config::max_stack_bytes`]: canon_async_wasmi::Config::max_stack_bytes
    pub stack: Option<usize>,
    /// The fuel that all of a file's components may use together; `None`: as much as they like.
    pub fuel: Option<u64>,
    /// How long a file's directives may take together; `None`: as long as they like.
    pub timeout: Option<Duration>,
}

impl Options {
    /// As `canon wast` without options.
    pub const DEFAULT: Self = Self {
        turns: 1_000_000,
        whole_messages: false,
        strict: false,
        through_plans: false,
        memory: None,
        stack: None,
        fuel: None,
        timeout: None,
    };

    fn limits(self) -> Limits {
        Limits { memory: self.memory, stack: self.stack, fuel: self.fuel, timeout: self.timeout }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Runs the command.
///
/// # Errors
/// A path that is not there: exit code 2.
pub(crate) fn wast(args: &Wast) -> Result<ExitCode, Failure> {
    let files = input::files(&args.path, "wast")?;
    let Wast { turns, strict, through_plans, limits: Limits { memory, stack, fuel, timeout }, .. } = *args;
    let options = Options { turns, strict, through_plans, memory, stack, fuel, timeout, ..Options::DEFAULT };
    let mut report = Report::new(args.json);
    for path in files {
        report.file(&path, &run_file(&path, options));
    }
    Ok(if report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A file's text.
fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).map_or(true, |len| len > MAX_BYTES) {
        return Err(io::Error::other(format!("more than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8 text"))
}

/// Runs a file, up to its first failure.
///
/// On a thread of its own, so that a panic ends only that: it is a failure of the file. The process's panic hook is
/// replaced by one that is silent on such threads, and calls the one before on others.
pub fn run_file(path: &Path, options: Options) -> Outcome {
    catch_panics();
    let text = match text(path) {
        Ok(text) => text,
        Err(error) => return Outcome::failed(1, error),
    };
    let run = move || {
        UNDER_WAY.set(Some((1, String::new())));
        let outcome = panic::catch_unwind(|| directives(&text, options));
        let under_way = UNDER_WAY.take();
        outcome.unwrap_or_else(|_| {
            let (line, message) = under_way.unwrap_or_default();
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
    /// On a thread that runs a file: the line of the directive under way, and what a panic said.
    static UNDER_WAY: RefCell<Option<(usize, String)>> = const { RefCell::new(None) };
}

/// From now on a panic in a file prints nothing: its message is for the outcome.
fn catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = UNDER_WAY.with_borrow_mut(|under_way| match under_way {
                Some((_, message)) => {
                    *message = info.to_string();
                    true
                }
                None => false,
            });
            if !ours {
                before(info);
            }
        }));
    });
}

/// Parses a file and runs its directives up to the first that fails.
fn directives(text: &str, options: Options) -> Outcome {
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
    let mut runner = match Runner::new(options) {
        Ok(runner) => runner,
        Err(error) => return Outcome::failed(1, error),
    };
    let count = parsed.directives.len();
    for directive in parsed.directives {
        let line = line_of(directive.span());
        UNDER_WAY.set(Some((line, String::new())));
        if let Err(reason) = runner.directive(directive) {
            return Outcome::failed(line, reason);
        }
    }
    Outcome::Passed { directives: count }
}
