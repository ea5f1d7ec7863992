//! `canon inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::console::{self, Failure};
use crate::input;

const AFTER_HELP: &str = "\
Example:
  canon inspect examples/pipeline.wat

Exit codes: 0, 1 where the component is invalid or too large or the plan damaged, 2 for usage.";

/// Show what a component imports and exports, the built-ins that it uses and what it needs of a store
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Inspect {
    /// The component: .wasm, or .wat; or a plan; - is stdin
    file: PathBuf,
    #[command(flatten)]
    limits: input::FileLimits,
}

/// Runs the command.
///
/// # Errors
/// What [`input::component`] says.
pub fn inspect(args: &Inspect) -> Result<(), Failure> {
    let plan = input::component(&args.file, &args.limits)?;
    let summary = canon_async_component::inspect::inspect(&plan).to_string();
    console::line(summary.trim_end());
    Ok(())
}
