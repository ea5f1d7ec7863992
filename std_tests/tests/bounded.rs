//! What `bounded!` takes, and what the compiler says of what it does not take: a crate outside of the
//! workspace is checked.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Every capacity, in the order of `Limits`.
const FIELDS: &str = "instances: 2, handles: 8, thread_indices: 4, tasks: 2, threads: 2, waitables: 4, sets: 2, \
    streams: 2, error_contexts: 1, message_bytes: 32, queued: 1, lends: 1, types: 8, type_items: 8, \
    resources: 1, functions: 4, depth: 4";

/// A crate that defines one profile, and what the compiler says of it: `None` where there is nothing to say.
struct Crate(PathBuf);

impl Crate {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in the repository");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bounded");
        fs::create_dir_all(folder.join("src")).expect("a folder for tests");
        let manifest = format!(
            "[package]\nname = \"bounded-elsewhere\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
             canon-async = {{ path = {root:?}, default-features = false }}\n"
        );
        fs::write(folder.join("Cargo.toml"), manifest).expect("a file for tests");
        // The same versions as here, so that nothing is asked of a registry.
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("the workspace's versions");
        Self(folder)
    }

    fn check(&self, fields: &str) -> Option<String> {
        let text = format!("#![no_std]\ncanon_async::bounded! {{\n    pub Small {{ {fields} }}\n}}\n");
        fs::write(self.0.join("src/lib.rs"), text).expect("a file for tests");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let done = Command::new(cargo)
            .args(["check", "--quiet", "--offline", "--message-format", "short", "--manifest-path"])
            .arg(self.0.join("Cargo.toml"))
            .env("CARGO_TARGET_DIR", self.0.join("target"))
            .env_remove("RUSTFLAGS")
            .output()
            .expect("cargo runs");
        (!done.status.success()).then(|| String::from_utf8_lossy(&done.stderr).into_owned())
    }
}

#[test]
fn bounded_takes_its_capacities_in_any_order_and_names_what_is_wrong_with_them() {
    let elsewhere = Crate::new();
    assert_eq!(elsewhere.check(FIELDS), None);
    let mut reversed: Vec<&str> = FIELDS.split(", ").collect();
    reversed.reverse();
    assert_eq!(elsewhere.check(&reversed.join(", ")), None);

    for field in ["instances", "sets", "depth"] {
        let without: Vec<&str> = FIELDS.split(", ").filter(|text| !text.starts_with(field)).collect();
        let says = elsewhere.check(&without.join(", ")).expect("a capacity is missing");
        assert!(says.contains(&format!("missing field `{field}`")), "{says}");
    }
    for (more, expected) in
        [("thread: 4", "has no field named `thread`"), ("sets: 3", "field `sets` specified more than once")]
    {
        let says = elsewhere.check(&format!("{FIELDS}, {more}")).expect("a capacity too many");
        assert!(says.contains(expected), "{says}");
    }
}
