//! The `canon` command, for tests of this package: cargo tells a test where the binaries of its own package are.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    canon_async_cli::main()
}
