//! Plans on the command line: what `canon compile` makes, and who takes it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use canon_async_cli::wast::{self, Options};
use common::{canon, fails, file, returns, root};

/// A plan's path, of this component.
fn compiled(component: &str, name: &str) -> String {
    let path = file(name, "");
    let ran = canon(&["compile", component, "-o", &path]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    path
}

/// Something that imports a function and has a core module.
const SMALL: &str = r#"(component $small
  (import "log" (func (param "text" string)))
  (core module $M (func (export "f") (result i32) (i32.const 7)))
  (core instance $m (instantiate $M))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))"#;

#[test]
fn compile_prints_what_it_wrote() {
    let component = file("small.wat", SMALL);
    let plan = Path::new(&component).with_extension("canon");
    let ran = canon(&["compile", &component]);
    let bytes = fs::metadata(&plan).expect("beside the component").len();
    let expected = format!(
        "{}: {bytes} bytes\ncore modules: 1 (45 bytes)\nimports:\n  log: func(text: string)\nexports:\n  f: func() -> u32\n",
        plan.display()
    );
    assert_eq!((ran.code, ran.out, ran.err.as_str()), (Some(0), expected, ""));
    let empty = file("empty-compile.wat", "(component)");
    let ran = canon(&["compile", &empty]);
    assert!(ran.out.ends_with("core modules: 0 (0 bytes)\nimports: none\nexports: none\n"), "{}", ran.out);
}

#[test]
fn run_and_inspect_take_plans() {
    let cancel = compiled("examples/cancel.wat", "cancel.canon");
    returns(
        &["run", &cancel, "--invoke", "race(1000)"],
        "{winner: \"the tortoise\", steps: 1000, other: \"cancelled\"}\n",
    );
    for example in ["examples/pipeline.wat", "examples/cancel.wat"] {
        let name = Path::new(example).with_extension("inspect.canon");
        let plan = compiled(example, name.file_name().unwrap().to_str().unwrap());
        for command in [&["run"][..], &["inspect", "--plan"]] {
            let of = |file| canon(&[command, &[file]].concat());
            let (expected, found) = (of(example), of(plan.as_str()));
            assert_eq!((found.code, found.err.as_str()), (Some(0), ""));
            assert_eq!(found.out, expected.out);
        }
    }
}

/// Whatever their name is: they are known by how they begin.
#[test]
fn a_plan_may_provide_what_another_imports() {
    let provider = file(
        "provider.wat",
        r#"(component (core module $M (func (export "one") (result i32) (i32.const 1)))
          (core instance $m (instantiate $M))
          (func $one (result u32) (canon lift (core func $m "one")))
          (instance (export "a:b/numbers") (export "one" (func $one))))"#,
    );
    let user = file(
        "user.wat",
        r#"(component (import "a:b/numbers" (instance $n (export "one" (func (result u32))))) (export "run" (func $n "one")))"#,
    );
    let (provider, user) = (compiled(&provider, "provider.wasm"), compiled(&user, "user.plan"));
    returns(&["run", &user, "--with", &provider], "1\n");
    fails(
        &["run", &user],
        1,
        &["user.plan: can't be linked", "an import is missing:\n  a:b/numbers\n    one: func() -> u32"],
    );
}

#[test]
fn a_plan_that_is_damaged_says_what_is_wrong() {
    let plan = fs::read(compiled(&file("damaged.wat", SMALL), "damaged-good.canon")).expect("a plan");
    let refused = |name: &str, bytes: &[u8], texts: &[&str]| {
        let path = file(name, bytes);
        for command in ["run", "inspect"] {
            fails(&[command, &path], 1, &[&[path.as_str()], texts].concat());
        }
    };
    let half = plan.len() / 2;
    let cut = format!("the plan is cut off: expected {} bytes, found {half}", plan.len());
    refused("cut.canon", &plan[..half], &[&cut]);
    let mut flipped = plan.clone();
    flipped[half] ^= 0x10;
    refused("flipped.canon", &flipped, &["damaged plan: expected the checksum "]);
    let mut other = plan.clone();
    other[8] = 77;
    let version = env!("CARGO_PKG_VERSION");
    let texts = [
        format!("the plan is of format 77, made by version {version}; expected format "),
        "compile the component again, with `canon compile`".into(),
    ];
    refused("other.canon", &other, &[&texts[0], &texts[1]]);
}

#[test]
fn compile_refuses_what_is_no_component() {
    let plan = compiled("examples/cancel.wat", "again.canon");
    fails(&["compile", &plan, "-o", "x"], 2, &["again.canon: this is a plan already; expected a component"]);
    let invalid = file("invalid.wat", r#"(component (import "1" (func)))"#);
    fails(&["compile", &invalid], 1, &["the component is not valid"]);
    assert!(!Path::new(&invalid).with_extension("canon").exists());
    fails(&["compile", "nowhere.wat"], 2, &["nowhere.wat: no such file"]);
    fails(&["compile", "examples/cancel.wat", "-o", "nowhere/x.canon"], 1, &["nowhere/x.canon: "]);
    let itself = file("itself.wat", SMALL);
    fails(&["compile", &itself, "-o", &itself], 2, &["it would replace ", "itself.wat, of which it is made"]);
    assert_eq!(fs::read_to_string(&itself).expect("as it was"), SMALL);
}

/// Every .wast file of a folder.
fn wast_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|found| found == "wast")).collect();
    files.sort();
    files
}

/// The same assertions, about components that were plans' bytes in between.
#[test]
fn our_wast_files_pass_through_plans() {
    let files = [wast_files("std_tests/wast"), wast_files("crates/cli/tests/wast")].concat();
    assert!(files.len() > 20, "{files:?}");
    let mut options = Options::DEFAULT;
    options.through_plans = true;
    for file in files {
        let outcome = wast::run_file(&file, options);
        assert!(outcome.passed() && outcome.directives() > 0, "{}: {outcome}", file.display());
    }
}

#[test]
fn wast_takes_files_through_plans() {
    let file = "crates/cli/tests/wast/values.wast";
    let (expected, found) = (canon(&["wast", file]), canon(&["wast", "--through-plans", file]));
    assert_eq!((found.code, found.err.as_str(), found.out), (Some(0), "", expected.out));
}
