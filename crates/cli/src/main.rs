//! The `canon` command; what it does is in the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    canon_async_cli::main()
}
