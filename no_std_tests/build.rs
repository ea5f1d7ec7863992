//! On a target without an operating system: the memory that the image is linked for.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory");
    println!("cargo::rerun-if-env-changed=NO_STD_TESTS_MEMORY_X");
    println!("cargo::rerun-if-env-changed=PROBE_RS_CHIP");
    println!("cargo::rustc-check-cfg=cfg(rust_analyzer)");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return Ok(());
    }
    let target = env::var("TARGET")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // An emulated machine's, a chip's that we know, or a board's own: NO_STD_TESTS_MEMORY_X=/absolute/path/to/memory.x
    let known = env::var("PROBE_RS_CHIP").unwrap_or(target);
    let source = match env::var("NO_STD_TESTS_MEMORY_X") {
        Ok(path) => {
            println!("cargo::rerun-if-changed={path}");
            PathBuf::from(path)
        }
        Err(_) => PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("memory").join(format!("{known}.x")),
    };
    let script = fs::read(&source).map_err(|error| {
        let source = source.display();
        format!("{source}: {error}; NO_STD_TESTS_MEMORY_X names another linker script with MEMORY")
    })?;
    fs::write(out.join("memory.x"), script)?;
    println!("cargo::rustc-link-search={}", out.display());
    // From here and not from cargo's configuration, where RUSTFLAGS of the environment would replace them.
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("riscv32") {
        println!("cargo::rustc-link-arg=-Tmemory.x");
    } else {
        println!("cargo::rustc-link-arg=--nmagic");
    }
    println!("cargo::rustc-link-arg=-Tlink.x");
    println!("cargo::rustc-link-arg-tests=-Tembedded-test.x");
    Ok(())
}
