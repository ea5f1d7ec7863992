//! The `canon` command; what it does is in the library.
#![forbid(unsafe_code)]

use std::alloc::System;

use cap::Cap;

/// Counts, so that stacks of suspended guests are limited by what they take.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn main() -> std::process::ExitCode {
    canon_async_cli::main(|| ALLOCATOR.allocated())
}
