//! Builds guests/ and makes components of what comes out.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use canon_async_cli::wrap;
use std_tests::source;

const TARGET: &str = "wasm32-unknown-unknown";

/// The core module of a guest, as cargo builds it; the first call builds all of them.
///
/// # Panics
/// Where the target is not installed, or a guest does not build.
pub fn module(name: &str) -> PathBuf {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match FOLDER.get_or_init(build) {
        Ok(folder) => folder.join(format!("{name}.wasm")),
        Err(problem) => panic!("{problem}"),
    }
}

/// The guest as a component.
///
/// # Panics
/// As [`module`], or where wit-component can't make a component of it.
pub fn component(name: &str) -> Vec<u8> {
    let path = module(name);
    let module = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    wrap::component(&module).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Builds every guest; the folder with the modules.
fn build() -> Result<PathBuf, String> {
    check_target()?;
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    // In two goes: `chain` needs a feature of wit-bindgen that cargo would give to all that are built with it.
    for packages in [&[][..], &["--package", "chain"]] {
        let mut cargo = tool("CARGO", "cargo");
        cargo.args(["build", "--release", "--locked", "--target", TARGET, "--manifest-path"]);
        cargo.arg(source::root().join("guests/Cargo.toml")).arg("--target-dir").arg(&to).args(packages);
        // What the tests are compiled with is not for guests.
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
        let output = cargo.output().map_err(|error| format!("cargo does not run: {error}"))?;
        if !output.status.success() {
            return Err(format!("the guests don't build:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(to.join(TARGET).join("release"))
}

/// Whether the toolchain can build for it.
fn check_target() -> Result<(), String> {
    let output = tool("RUSTC", "rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let output = output.map_err(|error| format!("rustc does not run: {error}"))?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    Err(format!(
        "the guests are built for {TARGET}, which this toolchain has not: rustup target add {TARGET}"
    ))
}

/// The tool that cargo runs the tests with, or the one on the path.
fn tool(variable: &str, name: &str) -> Command {
    Command::new(env::var_os(variable).unwrap_or_else(|| name.into()))
}
