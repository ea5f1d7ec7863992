//! The `canon` command: runs async WebAssembly components, and tests written for them.
//!
//! As a library it is [`main`], which the binary calls, and for tests [`wast::run_file`] and [`wrap::component`].
//!
//! | module | what |
//! |---|---|
//! | `run` | `canon run` |
//! | [`wast`] | `canon wast` |
//! | `compile` | `canon compile` |
//! | `compose` | `canon compose` (feature `compose`) |
//! | `inspect` | `canon inspect` |
//! | `wit` | `canon wit`, and the WIT of components |
//! | `wave` | values as WAVE text |
//! | `input` | files |
//! | `trap` | where a guest trapped |
//! | `limits` | what components may take, and how long they may run |
//! | `suggest` | "did you mean ..?" |
//! | [`wrap`] | core modules that carry a component type |
//! | `caught` | panics of libraries |
//! | `console` | what is printed, and exit codes |
#![forbid(unsafe_code)]

mod caught;
mod compile;
#[cfg(feature = "compose")]
mod compose;
mod console;
mod input;
mod inspect;
mod limits;
mod run;
mod suggest;
mod trap;
pub mod wast;
mod wave;
mod wit;
pub mod wrap;

use std::process::ExitCode;
use std::thread;

use clap::{Parser, Subcommand};

use crate::console::Failure;

const AFTER_HELP: &str = "\
Examples:
  canon run examples/pipeline.wat
  canon run examples/cancel.wat --invoke 'race(1000)'
  canon inspect examples/pipeline.wat
  canon wit app.wasm
  canon compose app.wasm --with lib.wasm -o out.wasm
  canon compile examples/pipeline.wat -o pipeline.canon
  canon wast tests/

`canon help COMMAND` says more about each.

Exit codes: 0; 1 for a trap, a limit that was reached, a component that can't be linked, or tests
that failed; 2 for usage; 130 for Ctrl-C.";

/// Run async WebAssembly components
#[derive(Parser)]
#[command(name = "canon", version, after_help = AFTER_HELP, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Wast(wast::Wast),
    Compile(compile::Compile),
    #[cfg(feature = "compose")]
    Compose(compose::Compose),
    Inspect(inspect::Inspect),
    Wit(wit::Wit),
}

/// The command: reads the process's arguments, prints, and answers what the process exits with.
pub fn main() -> ExitCode {
    // On bad usage clap prints the message and exits with 2, the code that we document.
    let cli = Cli::parse();
    let command = move || {
        let done = match &cli.command {
            Command::Run(args) => run::run(args),
            Command::Wast(args) => wast::wast(args),
            Command::Compile(args) => compile::compile(args).map(|()| ExitCode::SUCCESS),
            #[cfg(feature = "compose")]
            Command::Compose(args) => compose::compose(args).map(|()| ExitCode::SUCCESS),
            Command::Inspect(args) => inspect::inspect(args).map(|()| ExitCode::SUCCESS),
            Command::Wit(args) => wit::wit(args).map(|()| ExitCode::SUCCESS),
        };
        done.unwrap_or_else(|failure| failure.report())
    };
    let thread = thread::Builder::new().name("canon".into()).stack_size(limits::NATIVE_STACK).spawn(command);
    match thread.map(thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        // The panic has been printed.
        Ok(Err(_)) => ExitCode::from(101),
        Err(error) => Failure::component(format_args!("no thread to run on: {error}")).report(),
    }
}
