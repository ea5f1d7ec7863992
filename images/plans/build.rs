//! Makes the plans: what `canon compile` does, of an example and of a guest that cargo builds here.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use canon_async_component::{CoreFeatures, Plan, TranslateOptions, translate};
use wasmparser::{Parser, Payload};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What guests are built for.
const WASM: &str = "wasm32-unknown-unknown";

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    write(&out, "pipeline", &pipeline(&root)?)?;
    println!("cargo::rerun-if-changed=hostile.wat");
    write(&out, "hostile", &wat::parse_file("hostile.wat")?)?;
    for (name, what) in [("large_memory", "(memory 1)"), ("large_table", "(table 10000 funcref)")] {
        let text = format!("(component (core module $M {what}) (core instance (instantiate $M)))");
        write(&out, name, &wat::parse_str(text)?)?;
    }
    write(&out, "blinker", &guest(&root, &out, "blinker")?)
}

/// The example, but for its memories: each in pages of one byte, where pages of 64 KiB would not fit a part, and of a size that nothing else has by chance: the images' meter
/// tells them by it.
fn pipeline(root: &Path) -> Result<Vec<u8>> {
    let path = root.join("examples/pipeline.wat");
    println!("cargo::rerun-if-changed={}", path.display());
    let mut text = fs::read_to_string(&path)?;
    for (wide, small) in [
        (r#"(memory (export "mem") 1)"#, r#"(memory (export "mem") 1111 (pagesize 1))"#),
        (r#""mem" (memory 1))"#, r#""mem" (memory 1111 (pagesize 1)))"#),
    ] {
        if !text.contains(wide) {
            return Err(format!("{}: expected {wide}", path.display()).into());
        }
        text = text.replace(wide, small);
    }
    Ok(wat::parse_str(text)?)
}

/// A guest of guests/ as a component.
fn guest(root: &Path, out: &Path, name: &str) -> Result<Vec<u8>> {
    let folder = root.join("guests");
    for file in ["Cargo.lock", "Cargo.toml", name] {
        println!("cargo::rerun-if-changed={}", folder.join(file).display());
    }
    println!("cargo::rerun-if-changed={}", root.join("crates/hal/wit").display());
    // One for all targets, beside their folders: target/<triple>/<profile>/build/<package>/out is this one.
    let to = out
        .ancestors()
        .nth(5)
        .ok_or("a build script's folder lies deep in the target folder")?
        .join("guests");
    let mut cargo = Command::new(env::var_os("CARGO").ok_or("cargo runs this")?);
    cargo.args([
        "build",
        "--locked",
        "--profile",
        "device",
        "--target",
        WASM,
        "--package",
        name,
        "--manifest-path",
    ]);
    cargo.arg(folder.join("Cargo.toml")).arg("--target-dir").arg(&to);
    // What the images are compiled with is not for guests.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
    cargo.env_remove("RUSTC_WORKSPACE_WRAPPER");
    let output = cargo.output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name} does not build (rustup target add {WASM}?):\n{text}").into());
    }
    let module = fs::read(to.join(WASM).join("device").join(name).with_extension("wasm"))?;
    Ok(wit_component::ComponentEncoder::default().module(&module)?.encode()?)
}

/// Writes the plan of a component, and the sizes of its memories.
fn write(out: &Path, name: &str, component: &[u8]) -> Result<()> {
    // One of the hostile guests makes tail calls.
    let options = TranslateOptions::default().with_core(CoreFeatures::default().with_tail_calls(true));
    let plan = translate(component, &options)?;
    fs::write(out.join(name).with_extension("canon"), plan.to_bytes()?)?;
    fs::write(out.join(name).with_extension("rs"), format!("&{:?}", memories(&plan)?))?;
    Ok(())
}

/// The bytes of each memory that core modules define; no module here is instantiated twice, and none grows its memory.
fn memories(plan: &Plan) -> Result<Vec<u64>> {
    let mut sizes = Vec::new();
    for module in &plan.modules {
        for payload in Parser::new(0).parse_all(&module.bytes) {
            let Payload::MemorySection(memories) = payload? else { continue };
            for memory in memories {
                let memory = memory?;
                sizes.push(memory.initial << memory.page_size_log2.unwrap_or(16));
            }
        }
    }
    Ok(sizes)
}
