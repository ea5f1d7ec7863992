//! The `canon` command, for tests of this package: cargo tells a test where the binaries of its own package are.
#![forbid(unsafe_code)]

use std::alloc::System;

use cap::Cap;

/// Counts, as that of the command does.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn main() -> std::process::ExitCode {
    canon_async_cli::main(|| ALLOCATOR.allocated())
}
