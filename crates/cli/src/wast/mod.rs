//! `canon wast`, and [`run_file`] for tests.
//!
//! | module | what |
//! |---|---|
//! | `script` | a file's text as directives, and where they are |
//! | `reach` | which of them share a store |
//! | `file` | runs them, on a thread of its own |
//! | `runner` | what each does |
//! | `spectest` | what `--host spectest` provides |
//! | `values` | arguments and results |
//! | `texts` | components as text, and messages that are compared |
//! | `report` | what is printed |

mod file;
mod reach;
mod report;
mod runner;
mod script;
mod spectest;
mod texts;
mod values;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::console::Failure;
use crate::input;
use crate::limits::Limits;
use report::Report;
pub use report::{Directive, Failed, Outcome};

const AFTER_HELP: &str = "\
Runs every directive of every file. Prints a line for each file that passes, `ok PATH (N directives)`,
and one for each directive that fails, `FAIL PATH:LINE:COLUMN reason` (columns count bytes), and at last
`N passed, N failed`: files. What fails because of an earlier failure says where that was.

Directives: component, component definition, component instance, register, invoke, assert_return,
assert_trap, assert_exhaustion, assert_invalid, assert_malformed, assert_unlinkable. A component imports
what earlier ones export by their names or registered names. An expected message has to be part of ours;
with --any-message it is enough that it is a trap, a link error, or invalid, as expected.

--fuel and --timeout are for each file, which is read and parsed on that time; --max-memory is for each
component, of which a file may have any number. A component that no later directive calls or imports
is freed, as soon as all that share its store are.

--host spectest provides what the test suites of other engines import, as Wasmtime's harness does:
host-return-two, host-echo-u32, and the instance host with functions (return-three, return-hi, echo-slowly,
never-return, ..), a core module (simple-module) and resources (resource1, resource2).

With --unknown-imports-trap components are instantiated although imports are missing, for suites that are
meant to be validated, as that of wasm-tools; assert_unlinkable is as without it.

With --strict, a synchronous function traps before it calls what may block, and a component may not call one
around it or inside it: so do the reference tests of the pinned commit in three files, and Wasmtime.

A reason that is a trap ends with where it was; with CANON_BACKTRACE=1 in the environment, with all calls that
led there.

--json prints an object a line, each with a \"type\":
  directive  path, line, column, directive (its keyword), ok; if it failed, reason, and after: line and
             column of an earlier failure that may be why
  file       path, ok, directives (that were run), failed, not_run
  summary    passed, failed, not_run (files): the last line

Examples:
  canon wast tests/
  canon wast --fail-fast --timeout 10 tests/a.wast
  canon wast --host spectest --any-message wasmtime/tests/misc_testsuite/component-model
  canon wast --json tests/a.wast tests/b.wast

Exit codes: 0, 1 where a directive failed or a file can't be read, 2 for usage.";

/// Run .wast files: components with assertions about them
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Wast {
    /// .wast files, or folders: every .wast file below; - is stdin
    #[arg(required = true)]
    path: Vec<PathBuf>,
    /// Print JSON, an object a line: see `canon wast --help`
    #[arg(long)]
    json: bool,
    /// Stop at the first directive that fails
    #[arg(long)]
    fail_fast: bool,
    /// Leave the messages of errors out of comparisons: that there is one, of the expected kind, is enough
    #[arg(long)]
    any_message: bool,
    /// Provide what components of other engines' test suites import
    #[arg(long, value_name = "HOST")]
    host: Option<Host>,
    /// Instantiate components whose imports are missing: a function that is missing traps when it is called
    #[arg(long)]
    unknown_imports_trap: bool,
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

/// What components can import that no component of their file provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Host {
    /// What Wasmtime's harness for tests provides, and suites made for it use.
    Spectest,
}

/// How a file is run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The most turns of the scheduler that an invocation may take.
    pub turns: u64,
    /// Whether the first directive that fails is the last that is run.
    pub fail_fast: bool,
    /// Whether an error of the expected kind is enough, whatever its message.
    pub any_message: bool,
    /// Whether the message of an `assert_trap` has to be the whole of ours, and not just a part of it.
    pub whole_messages: bool,
    /// What components can import besides other components; `None`: nothing.
    pub host: Option<Host>,
    /// Whether components are instantiated although imports are missing: see
    /// [`Linker::unknown_imports_trap`].
    ///
    /// [`Linker::unknown_imports_trap`]: canon_async_wasmi::Linker::unknown_imports_trap
    pub unknown_imports_trap: bool,
    /// Whether components are held to what the reference tests refuse beyond the spec: [`Config::strict`].
    ///
    /// [`Config::strict`]: canon_async_wasmi::Config::strict
    pub strict: bool,
    /// Whether what is instantiated has been a plan's bytes before.
    pub through_plans: bool,
    /// The most bytes that each of a file's components may cause to be allocated; `None`: the default of
    /// [`Config::root_bytes`].
    ///
    /// [`Config::root_bytes`]: canon_async_wasmi::Config::root_bytes
    pub memory: Option<usize>,
    /// The most bytes of one guest's stack; `None`: the default of
    /// [`Config::max_stack_bytes`].
    ///
    /// [`Config::max_stack_bytes`]: canon_async_wasmi::Config::max_stack_bytes
    pub stack: Option<usize>,
    /// The fuel that all of a file's components may use together; `None`: as much as they like.
    pub fuel: Option<u64>,
    /// How long it may take to parse a file and run its directives; `None`: as long as it does.
    pub timeout: Option<Duration>,
}

impl Options {
    /// As `canon wast` without options.
    pub const DEFAULT: Self = Self {
        turns: 1_000_000,
        fail_fast: false,
        any_message: false,
        whole_messages: false,
        host: None,
        unknown_imports_trap: false,
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
    let Limits { memory, stack, fuel, timeout } = args.limits;
    let options = Options {
        turns: args.turns,
        fail_fast: args.fail_fast,
        any_message: args.any_message,
        host: args.host,
        unknown_imports_trap: args.unknown_imports_trap,
        strict: args.strict,
        through_plans: args.through_plans,
        memory,
        stack,
        fuel,
        timeout,
        ..Options::DEFAULT
    };
    let mut report = Report::new(args.json);
    for (at, path) in files.iter().enumerate() {
        let outcome = file::run(path, options, &mut |directive| report.directive(path, directive));
        report.file(path, &outcome);
        if args.fail_fast && !outcome.passed() {
            report.not_run(files.len().saturating_sub(at).saturating_sub(1));
            break;
        }
    }
    Ok(if report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every directive of a file.
///
/// On a thread of its own, so that a panic ends only that: it is a failure of the file. The process's panic
/// hook is replaced by one that is silent on such threads, and calls the one before on others. A thread that
/// is still busy a few seconds after [`Options::timeout`], with what can't be interrupted, is left behind.
pub fn run_file(path: &Path, options: Options) -> Outcome {
    file::run(path, options, &mut |_| {})
}
