//! Which definition of the linker an import gets, by its name and by what it says besides.

mod common;

use canon_async_component::inspect::{inspect, words};
use canon_async_component::plan::Attributes;
use canon_async_component::{ImportKind, Linker, MissingImport, Val, instantiate};
use common::engine::{Closure, FakeEngine};
use common::plan;

fn nothing(_: &[Val]) -> Option<Val> {
    None
}

/// Links an instance with a function `f`, imported as `import` says, to these definitions of instances with an `f`.
fn link(import: &str, defined: &[&str]) -> Result<(), String> {
    let mut linker: Linker<Closure, usize> = Linker::new();
    for name in defined {
        linker.func(&format!("{name}#f"), nothing);
    }
    let text = format!(r#"(component (import {import} (instance (export "f" (func)))))"#);
    match instantiate(&mut FakeEngine::new(), &plan(&text), &linker) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn versions_that_are_compatible_are_linked() {
    for (import, defined) in [
        ("a:b/c@1.0.0", "a:b/c@1.0.0"),
        ("a:b/c@1.0.0", "a:b/c@1.2.3"),
        ("a:b/c@1.2.3", "a:b/c@1.0.0"),
        ("a:b/c@0.2.1", "a:b/c@0.2.6"),
        ("a:b/c@0.2.6-rc.1", "a:b/c@0.2.0"),
        ("a:b/c@0.0.3", "a:b/c@0.0.3"),
        ("a:b/c@1.0.0", "a:b/c@1"),
        ("a:b:c/d/e@1.0.0", "a:b:c/d/e@1.1.0"),
        ("a:b/c", "a:b/c"),
    ] {
        assert_eq!(link(&format!("\"{import}\""), &[defined]), Ok(()), "{import} {defined}");
    }
}

#[test]
fn versions_that_are_not_compatible_are_named() {
    for (import, defined) in [
        ("a:b/c@1.0.0", "a:b/c@2.0.0"),
        ("a:b/c@0.2.0", "a:b/c@0.3.0"),
        ("a:b/c@0.0.3", "a:b/c@0.0.4"),
        ("a:b/c@0.2.0", "a:b/c@1.0.0"),
    ] {
        let error = link(&format!("\"{import}\""), &[defined, "a:b/other@1.0.0"]).unwrap_err();
        assert_eq!(
            error,
            format!(
                "import \"{import}#f\" is missing: expected func() (there is \"{defined}\", whose version is not compatible)"
            )
        );
    }
    let error = link("\"a:b/c\"", &["a:b/c@1.0.0"]).unwrap_err();
    assert_eq!(error, "import \"a:b/c#f\" is missing: expected func()");
}

/// Two instances at the end tell by what they have which one was taken.
#[test]
fn an_exact_name_comes_first_and_then_the_highest_version() {
    let linked = |import: &str, with_f: &str, others: &[&str]| {
        let mut linker: Linker<Closure, usize> = Linker::new();
        for name in others {
            linker.func(&format!("{name}#other"), nothing);
        }
        linker.func(&format!("{with_f}#f"), nothing);
        let text = format!(r#"(component (import "{import}" (instance (export "f" (func)))))"#);
        instantiate(&mut FakeEngine::new(), &plan(&text), &linker).is_ok()
    };
    assert!(linked("a:b/c@1.0.0", "a:b/c@1.0.0", &["a:b/c@1.9.0"]));
    assert!(linked("a:b/c@1.0.1", "a:b/c@1.10.0", &["a:b/c@1.9.0", "a:b/c@1.2.0"]));
    assert!(!linked("a:b/c@1.0.1", "a:b/c@1.9.0", &["a:b/c@1.10.0"]));
    assert!(linked("a:b/c@1.0.1", "a:b/c@1.1.0", &["a:b/c@1.1.0-rc.9"]));
    assert!(linked("a:b/c@1.0.1", "a:b/c@1.1.0-rc.10", &["a:b/c@1.1.0-rc.9"]));
}

#[test]
fn a_pre_release_is_taken_only_where_no_release_fits() {
    let linked = |import: &str, with_f: &str, others: &[&str]| {
        let text = format!(r#"(component (import "{import}" (instance (export "f" (func)))))"#);
        // Before the others and after them: the order does not matter.
        let orders = [[&[with_f], others].concat(), [others, &[with_f]].concat()];
        orders.iter().all(|names| {
            let mut linker: Linker<Closure, usize> = Linker::new();
            for name in names {
                let item = if *name == with_f { "f" } else { "other" };
                linker.func(&format!("{name}#{item}"), nothing);
            }
            instantiate(&mut FakeEngine::new(), &plan(&text), &linker).is_ok()
        })
    };
    let released = ["a:b/c@0.2.1", "a:b/c@0.2.3", "a:b/c@0.2.11-rc.1"];
    assert!(linked("a:b/c@0.2.0", "a:b/c@0.2.9", &released));
    // It is still what its own name means, and what there is if nothing is released.
    assert!(linked("a:b/c@0.2.11-rc.1", "a:b/c@0.2.11-rc.1", &released[..2]));
    assert!(linked("a:b/c@0.2.0", "a:b/c@0.2.11-rc.1", &["a:b/c@0.3.0", "a:b/c@0.1.0"]));
}

#[test]
fn all_missing_imports_are_told_at_once() {
    let text = r#"(component
      (import "log" (func (param "text" string)))
      (import "a:b/c@1.0.0" (instance (export "r" (type (sub resource))) (export "f" (func)) (export "g" (func))))
      (import "there" (func))
      (import "d:e/f@2.0.0" (instance (export "h" (func)))))"#;
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.func("there", nothing).func("a:b/c@1.4.0#g", nothing).func("d:e/f@3.0.0#h", nothing);
    let plan = plan(text);
    let error = instantiate(&mut FakeEngine::new(), &plan, &linker).unwrap_err().to_string();
    let lines = [
        "import \"log\" is missing: expected func(text: string)",
        "import \"a:b/c@1.0.0#r\" is missing: expected resource (there is an instance \"a:b/c@1.4.0\", without it)",
        "import \"a:b/c@1.0.0#f\" is missing: expected func() (there is an instance \"a:b/c@1.4.0\", without it)",
        "import \"d:e/f@2.0.0#h\" is missing: expected func() (there is \"d:e/f@3.0.0\", whose version is not compatible)",
    ];
    assert_eq!(error, lines.join("\n"));
    let missing = linker.missing(&plan);
    let definitions: Vec<String> = missing.iter().map(MissingImport::definition).collect();
    assert_eq!(definitions, ["log", "a:b/c@1.4.0#r", "a:b/c@1.4.0#f", "d:e/f@2.0.0#h"]);
    // Where it says that it is defined, it is found.
    for (import, path) in missing.iter().zip(&definitions) {
        if import.kind == ImportKind::Func {
            linker.func(path, nothing);
        }
    }
    let left: Vec<String> = linker.missing(&plan).into_iter().map(|import| import.path).collect();
    assert_eq!(left, ["a:b/c@1.0.0#r"]);
}

#[test]
fn a_canonical_name_is_linked_with_and_without_its_suffix() {
    let import = "\"a:b/c@0.2\" (version-suffix \".6\")";
    for defined in ["a:b/c@0.2", "a:b/c@0.2.6", "a:b/c@0.2.1", "a:b/c@0.2.9"] {
        assert_eq!(link(import, &[defined]), Ok(()), "{defined}");
    }
    assert!(link(import, &["a:b/c@0.3.6"]).is_err());
}

#[test]
fn a_name_may_say_which_interface_it_stands_for() {
    let import = "\"mine\" (implements \"a:b/c@1.0.0\")";
    assert_eq!(link(import, &["a:b/c@1.0.0"]), Ok(()));
    assert_eq!(link(import, &["a:b/c@1.5.0"]), Ok(()));
    assert_eq!(link("\"mine\" (implements \"a:b/c@1\") (version-suffix \".0.0\")", &["a:b/c@1.5.0"]), Ok(()));
    assert_eq!(link(import, &["mine"]), Ok(()));
    // Its own name comes first: there is such an instance, and it has no `f`.
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.func("a:b/c@1.0.0#f", nothing).func("mine#g", nothing);
    let text = format!(r#"(component (import {import} (instance (export "f" (func)))))"#);
    let error = instantiate(&mut FakeEngine::new(), &plan(&text), &linker).unwrap_err();
    let expected =
        "import \"mine#f\" is missing: expected func() (there is an instance \"mine\", without it)";
    assert_eq!(error.to_string(), expected);
    // What it is called elsewhere says nothing about where it comes from.
    assert!(link("\"mine\" (external-id \"a:b/c\")", &["a:b/c"]).is_err());
}

/// Two imports of one interface: the host tells them apart by the path that its function is imported at.
#[test]
fn two_names_may_stand_for_one_interface() {
    let mut e = FakeEngine::new();
    let text = r#"(component
        (import "primary" (implements "a:b/store") (external-id "db-1") (instance (export "get" (func))))
        (import "secondary" (implements "a:b/store") (external-id "db-2") (instance (export "get" (func)))))"#;
    let plan = plan(text);
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.func("a:b/store#get", nothing);
    instantiate(&mut e, &plan, &linker).unwrap();
    assert_eq!(e.log, ["host primary#get", "host secondary#get"]);
    let attributes = |id: &str| Attributes {
        implements: Some("a:b/store".into()),
        external_id: Some(id.into()),
        version_suffix: None,
    };
    let found: Vec<&Attributes> = plan.imports.iter().map(|import| &import.attributes).collect();
    assert_eq!(found, [&attributes("db-1"), &attributes("db-2")]);
}

#[test]
fn what_is_said_about_names_is_shown() {
    let text = r#"(component
        (import "store" (implements "a:b/store@1") (version-suffix ".2.3") (external-id "db \"1\"") (instance (export "get" (func))))
        (import "a:b/c@0.2" (version-suffix ".6") (instance $i (export "f" (func))))
        (import "plain" (func))
        (export "out" (external-id "elsewhere") (instance $i)))"#;
    let summary = inspect(&plan(text));
    let said = [
        ("import store", "implements \"a:b/store@1.2.3\", external id \"db \\\"1\\\"\""),
        ("import a:b/c@0.2", "version 0.2.6"),
        ("export out", "external id \"elsewhere\""),
    ];
    let said = said.map(|(name, text)| (name.to_string(), text.to_string()));
    assert_eq!(summary.attributes, said);
    let text = words(&plan(text)).to_string();
    assert_eq!(
        text,
        r#"world root {
  @external-id("db \"1\"")
  import store: a:b/store@1.2.3 interface {
    get: func();
  }
  import a:b/c@0.2.6: interface {
    f: func();
  }
  import plain: func();
  @external-id("elsewhere")
  export out: interface {
    f: func();
  }
}
"#
    );
    assert!(inspect(&plan("(component (import \"f\" (func)))")).attributes.is_empty());
}
