//! `canon inspect` and `canon wit`: what they say of components, plans and WIT.

mod common;

use std::fs;
use std::path::Path;

use canon_async::{Limits, Store as CoreStore};
use canon_async_component::inspect::capacities;
use canon_async_wasmi::{Component, Config, Engine, Linker, Store};
use common::{canon, canon_with_input, fails, file, returns, root};

/// A function that takes a list of points, and an interface that it imports.
const POINTS: &str = r#"(component $points
  (import "a:b/log@1.2.3" (instance (export "line" (func (param "text" string)))))
  (type $point' (record (field "x" u32) (field "y" u32)))
  (import "point" (type $point (eq $point')))
  (core module $M
    (memory (export "mem") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "count") (param i32 i32) (result i32) (local.get 1)))
  (core instance $m (instantiate $M))
  (alias core export $m "mem" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))
  (func (export "count") (param "points" (list $point)) (result u32)
    (canon lift (core func $m "count") (memory $mem) (realloc $realloc))))"#;

const POINTS_WIT: &str = "\
package root:component;

world root {
  import a:b/log@1.2.3;

  record point {
    x: u32,
    y: u32,
  }

  export count: func(points: list<point>) -> u32;
}
package a:b@1.2.3 {
  interface log {
    line: func(text: string);
  }
}
";

#[test]
fn inspect_prints_wit_with_the_rest_in_comments() {
    let path = file("inspect-points.wat", POINTS);
    let rest = "\n// built-ins: none\n// core modules: 1 (87 bytes); core instances: 1\n";
    returns(&["inspect", &path], &format!("// component points\n{POINTS_WIT}{rest}"));
    // So it can be read again, by tools too.
    let again = file("inspect-points.wit", canon(&["inspect", &path]).out);
    returns(&["wit", &again], &format!("/// component points\n{POINTS_WIT}"));
}

#[test]
fn inspect_of_what_wit_has_no_words_for_prints_similar_words() {
    let ran = canon(&["inspect", "examples/pipeline.wat"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let expected = "\
// component pipeline
// not WIT, but similar: component export `report` was not a function or instance
world root {
  export record report { text: string, reads: u32, waits: u32 }
  export run: async func() -> report;
}

// built-ins: lower x2, stream.drop-readable, ";
    assert!(ran.out.starts_with(expected), "{}", ran.out);
    fails(
        &["wit", "examples/pipeline.wat"],
        1,
        &["examples/pipeline.wat: WIT has no words for it: ", "`report`"],
    );
}

#[test]
fn inspect_of_a_plan_prints_its_types_by_name() {
    let component = file("inspect-plan.wat", POINTS);
    let path = file("inspect-plan.canon", "");
    assert_eq!(canon(&["compile", &component, "-o", &path]).code, Some(0));
    let expected = "\
// component points
// not WIT, but similar: this is a plan, which has no names for all types
world root {
  import a:b/log@1.2.3: interface {
    line: func(text: string);
  }
  import record point { x: u32, y: u32 }
  export count: func(points: list<point>) -> u32;
}

// built-ins: none
// core modules: 1 (87 bytes); core instances: 1
";
    returns(&["inspect", &path], expected);
    fails(&["wit", &path], 2, &["this is a plan, which has no WIT; `canon inspect` says what"]);
}

/// The file is what the command printed, pasted.
mod pasted {
    include!("profile/pipeline.rs");
}

#[test]
fn profile_that_inspect_prints_can_be_pasted_and_names_every_capacity() {
    let golden = "crates/cli/tests/profile/pipeline.rs";
    let expected = fs::read_to_string(root().join(golden)).expect("the golden file");
    returns(&["inspect", "--plan", "examples/pipeline.wat"], &expected);
    // That it compiled says that no field is missing, or is there that the macro does not know.
    assert!(CoreStore::<pasted::Profile>::new().is_idle());
    assert_eq!((pasted::Profile::CAPACITIES.tasks, pasted::Profile::CAPACITIES.instances), (3, 5));
    let twice = canon(&["inspect", "--plan", "--calls", "2", "examples/pipeline.wat"]).out;
    assert!(twice.contains("an estimate for 2 calls of the host at a time"), "{twice}");
    assert!(
        twice.contains("\n        tasks: 6,\n") && twice.contains("\n        instances: 5,\n"),
        "{twice}"
    );
    fails(&["inspect", "--plan", "--calls", "0", "examples/pipeline.wat"], 2, &["--calls"]);
}

#[test]
fn store_with_the_capacities_that_inspect_prints_runs_the_examples() {
    for (example, export) in [("pipeline", "run"), ("cancel", "run")] {
        let bytes = wat::parse_file(root().join(format!("examples/{example}.wat"))).expect("text");
        let engine = |limits: Limits| {
            let mut config = Config::new();
            Engine::new(config.limits(limits).root_limits(Limits::STORAGE))
        };
        let component = Component::new(&engine(Limits::HEAP), &bytes).expect("valid");
        let needed = capacities(component.plan(), 1);
        let engine = engine(needed);
        let component = Component::new(&engine, &bytes).expect("valid");
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component);
        let instance = instance.unwrap_or_else(|error| panic!("{example}: {error}: {needed:?}"));
        let func = instance.func(&store, export).expect("the export");
        let result = func.call(&mut store, &[]);
        assert!(result.as_ref().is_ok_and(|result| result.is_some()), "{example}: {result:?}: {needed:?}");
    }
}

#[test]
fn inspect_as_json_has_every_field_of_its_help() {
    let ran = canon(&["inspect", "--json", &file("inspect-json.wat", POINTS)]);
    assert_eq!((ran.code, ran.err.as_str(), ran.out.lines().count()), (Some(0), "", 1));
    let found: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(found["component"], "points");
    assert_eq!(found["wit"], POINTS_WIT.trim_end());
    assert_eq!(found["words"], serde_json::Value::Null);
    assert_eq!(found["imports"][0]["name"], "a:b/log@1.2.3#line");
    assert_eq!(found["imports"][0]["type"], "func(text: string)");
    assert_eq!(found["exports"][0]["name"], "count");
    assert_eq!(found["modules"], serde_json::json!([87]));
    assert_eq!(found["core_instances"], 1);
    assert_eq!(found["capacities"]["tasks"], 1);
    let help = canon(&["inspect", "--help"]).out;
    for field in found.as_object().expect("an object").keys() {
        assert!(help.contains(field.as_str()), "{field}");
    }
    let example = canon(&["inspect", "--json", "examples/pipeline.wat"]).out;
    let example: serde_json::Value = serde_json::from_str(&example).expect("JSON");
    assert_eq!(example["builtins"]["stream.read"], 2);
    assert!(example["words"].as_str().is_some_and(|words| words.starts_with("world root {")));
}

#[test]
fn text_of_a_component_controls_no_terminal_in_any_form() {
    let text = r#"(component (@name "ok\1b[31mRED\0aerror: fake\e2\80\aeline\c2\9b")
        (import "a" (external-id "x\1b[0m\0ay") (func)))"#;
    let path = file("inspect-evil.wat", text);
    for args in [&["inspect"][..], &["inspect", "--json"], &["inspect", "--plan"], &["wit"]] {
        let ran = canon(&[args, &[path.as_str()]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}");
        let controls = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!ran.out.contains(controls) && !ran.out.contains("\nerror: fake"), "{args:?}: {}", ran.out);
    }
    let json = canon(&["inspect", "--json", &path]).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["component"], "ok\u{1b}[31mRED\nerror: fake\u{202e}line\u{9b}");
}

#[test]
fn wit_of_a_component_is_printed_or_written() {
    let path = file("wit-points.wat", POINTS);
    returns(&["wit", &path], POINTS_WIT);
    returns(&["wit", "--check", &path], "");
    let out = file("wit-out.wit", "");
    returns(&["wit", &path, "-o", &out], "");
    assert_eq!(fs::read_to_string(&out).expect("written"), POINTS_WIT);
    let ran = canon_with_input(&["wit", "-"], POINTS.as_bytes());
    assert_eq!((ran.status.code(), String::from_utf8_lossy(&ran.stdout).as_ref()), (Some(0), POINTS_WIT));
    fails(&["wit", &path, "-o", "nowhere/x.wit"], 1, &["nowhere/x.wit: "]);
}

#[test]
fn wit_of_files_and_folders_is_checked_and_formatted() {
    let ugly = "package a:b;  /// What it does.\ninterface i{f:func(a:u32);}";
    let formatted = "package a:b;\n\n/// What it does.\ninterface i {\n  f: func(a: u32);\n}\n";
    returns(&["wit", &file("wit-ugly.wit", ugly)], formatted);
    let ran = canon_with_input(&["wit", "-"], ugly.as_bytes());
    assert_eq!((ran.status.code(), String::from_utf8_lossy(&ran.stdout).as_ref()), (Some(0), formatted));
    let wrong = file("wit-wrong.wit", "package a:b;\ninterface i {\n  f: func(a: u33);\n}\n");
    fails(&["wit", &wrong], 1, &["wit-wrong.wit: not valid WIT: ", "`u33`", "wit-wrong.wit:3:14"]);
    fails(&["wit", "--check", &wrong], 1, &["`u33`"]);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wit-folder");
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write("world.wit", "package a:b; world w { import c:d/i; }");
    write("deps/cd/i.wit", "package c:d; interface i { f: func(); }");
    let expected = "\
package a:b;

world w {
  import c:d/i;
}
package c:d {
  interface i {
    f: func();
  }
}
";
    let folder = folder.to_str().expect("UTF-8");
    returns(&["wit", folder], expected);
    fails(&["wit", folder, "--max-file-bytes", "50"], 2, &["too many bytes of WIT: at most 50"]);
    fails(&["wit", &format!("{folder}/deps")], 1, &["not valid WIT"]);
    fails(&["wit", "nowhere.wit"], 2, &["nowhere.wit: no such file"]);
    fails(&["wit", &file("wit-bytes.wit", b"\xff\xfe")], 2, &["not WIT: expected UTF-8"]);
}

#[test]
fn wit_of_a_wit_package_is_its_own() {
    let wit = "package a:b;\n\ninterface i {\n  f: func(a: u32);\n}\n";
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("a.wit", wit).expect("valid");
    let path =
        file("wit-package.wasm", wit_component::encode(&resolve, package, false).expect("a component"));
    returns(&["wit", &path], wit);
    let ran = canon(&["inspect", &path]);
    assert!(ran.code == Some(0) && ran.out.starts_with(wit), "{}", ran.out);
}

/// The text of a type in place doubles with each of these; it is a few hundred bytes of component.
#[test]
fn wit_that_would_be_longer_than_its_limit_is_not_printed() {
    let mut text = String::from("(component (type $t0 (tuple u8 u8))\n");
    for at in 1..=14 {
        let before = at - 1;
        text += &format!("(type $t{at} (tuple $t{before} $t{before}))\n");
    }
    for at in 0..12 {
        text += &format!("(import \"f{at}\" (func (param \"x\" $t14)))\n");
    }
    let path = file("wit-long.wat", text + ")");
    fails(&["wit", &path], 1, &["WIT has no words for it: its text has more than 4194304 bytes"]);
    let ran = canon(&["inspect", &path]);
    assert!(ran.code == Some(0) && ran.out.len() < 1 << 20, "{}", ran.out.len());
}

#[test]
fn wit_that_nests_too_deep_is_an_error() {
    let deep = format!(
        "package a:b; interface i {{ type t = {}u8{}; }}",
        "list<".repeat(100_000),
        ">".repeat(100_000)
    );
    let ran = canon(&["wit", &file("wit-deep.wit", deep)]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", &ran.err[..ran.err.len().min(300)]);
}
