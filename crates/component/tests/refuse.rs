//! What is refused, and how it is said.

mod common;

use canon_async_component::{PlanLimits, TranslateError, TranslateOptions, translate};
use common::{plan, refused, try_plan};

#[test]
fn what_is_no_component() {
    let options = TranslateOptions::default();
    assert_eq!(translate(b"#!/bin/sh", &options), Err(TranslateError::NotWasm));
    assert_eq!(translate(b"", &options), Err(TranslateError::NotWasm));
    let module = wat::parse_str("(module)").unwrap();
    let error = translate(&module, &options).unwrap_err();
    assert_eq!(error.to_string(), "this is a core wasm module, not a component");
    assert!(matches!(
        translate(b"\0asm\x0e\0\x01\0", &options),
        Err(TranslateError::Invalid { offset: 4.., .. })
    ));
}

#[test]
fn the_validators_words_are_kept() {
    let text = refused("(component (import \"1\" (func)))", &TranslateOptions::default());
    assert!(text.contains("is not in kebab case"), "{text}");
    assert!(text.contains("(at offset 0x"), "{text}");
}

#[test]
fn an_imported_component_cannot_be_instantiated() {
    let text = r#"(component (import "c" (component $C)) (instance (instantiate $C)))"#;
    assert!(refused(text, &TranslateOptions::default()).contains("an instance of an imported component"));
    assert!(plan(r#"(component (import "c" (component)))"#).imports.len() == 1);
}

/// Each component instantiates the one before it twice.
fn doubling(levels: usize) -> String {
    let mut text = String::from("(component (component $c0)");
    for level in 1..=levels {
        let inner = level - 1;
        text += &format!(
            "(component $c{level} (instance (instantiate $c{inner})) (instance (instantiate $c{inner})))"
        );
    }
    text + &format!("(instance (instantiate $c{levels})))")
}

#[test]
fn a_component_that_blows_up_is_too_large() {
    assert_eq!(plan(&doubling(4)).instances.len(), 32);
    let error = refused(&doubling(40), &TranslateOptions::default());
    let too_many =
        "component instances, nested ones included, at most 10000 (PlanLimits::instances), at offset 0x";
    assert!(error.starts_with("component too large: ") && error.contains(too_many), "{error}");
}

/// Instances in instances, each twice: as a tree of exports they are 2^n.
#[test]
fn a_tree_of_exports_that_blows_up_is_too_large() {
    let mut text = String::from("(component (type $t (tuple u8)) (instance $i0 (export \"t\" (type $t)))");
    for level in 1..=30 {
        let inner = level - 1;
        text += &format!(
            "(instance $i{level} (export \"a\" (instance $i{inner})) (export \"b\" (instance $i{inner})))"
        );
    }
    text += "(export \"i\" (instance $i30)))";
    // The validator has a limit of its own, which comes first.
    assert!(try_plan(&text, &TranslateOptions::default()).is_err());
}

/// The translation recurses once a level of instantiation: the limit has to come before the stack's end.
#[test]
fn deep_nesting_is_within_the_stack() {
    let nested = |levels: usize| {
        let mut text = String::from("(component (component $c0)");
        for level in 1..=levels {
            text += &format!("(component $c{level} (instance (instantiate $c{})))", level - 1);
        }
        text + &format!("(instance (instantiate $c{levels})))")
    };
    assert_eq!(plan(&nested(98)).instances.len(), 100);
    let error = refused(&nested(99), &TranslateOptions::default());
    assert!(
        error.contains("too large: 101 levels of nesting, at most 100 (PlanLimits::nesting), at"),
        "{error}"
    );
}

#[test]
fn limits_are_named() {
    let small = PlanLimits::default()
        .with_nesting(3)
        .with_instances(4)
        .with_modules(1)
        .with_types(2)
        .with_steps(2)
        .with_items(50);
    let options = TranslateOptions::default().with_limits(small);
    let cases = [
        (
            "(component (component (component (component))))",
            "4 levels of nesting, at most 3 (PlanLimits::nesting), at offset 0x",
        ),
        (
            "(component (core module) (core module))",
            "2 core modules, at most 1 (PlanLimits::modules), at offset 0x",
        ),
        (
            "(component (type (list u8)) (type (list u16)) (type (list u32)))",
            "3 types, at most 2 (PlanLimits::types), at offset 0x",
        ),
        (
            "(component (core func (canon waitable-set.new)) (core func (canon backpressure.inc)) (core func (canon backpressure.dec)))",
            "3 built-ins, at most 2 (PlanLimits::steps), at offset 0x",
        ),
        (
            "(component (component $C) (instance (instantiate $C)) (instance (instantiate $C)) (instance (instantiate $C)) (instance (instantiate $C)))",
            "5 component instances, nested ones included, at most 4 (PlanLimits::instances), at offset 0x",
        ),
    ];
    for (text, limit) in cases {
        let error = refused(text, &options);
        assert!(error.starts_with("component too large: ") && error.contains(limit), "{error}");
    }
}

#[test]
fn a_type_that_nests_too_deep() {
    let mut text = String::from("(component (type $t0 (list u8))");
    for level in 1..=120 {
        text += &format!("(type $t{level} (list $t{}))", level - 1);
    }
    text += ")";
    let error = refused(&text, &TranslateOptions::default());
    assert!(error.contains("nesting is too deep"), "{error}");
}

#[test]
fn no_prefix_of_a_component_panics() {
    let bytes = wat::parse_str(
        r#"(component $x
            (import "i" (instance $i (export "r" (type (sub resource))) (export "f" (func (param "x" string)))))
            (core module $m (memory (export "mem") 1) (func (export "f") (param i32)))
            (core instance $c (instantiate $m))
            (component $D (type (record (field "a" u8))))
            (instance $d (instantiate $D))
            (func (export "f") (param "x" u32) (canon lift (core func $c "f"))))"#,
    )
    .unwrap();
    let options = TranslateOptions::default();
    assert!(translate(&bytes, &options).is_ok());
    for end in 0..bytes.len() {
        let _ = translate(&bytes[..end], &options);
    }
    for at in 0..bytes.len() {
        for change in [1u8, 0x7f, 0x80] {
            let mut broken = bytes.clone();
            broken[at] = broken[at].wrapping_add(change);
            if let Err(TranslateError::Internal { expected, .. }) = translate(&broken, &options) {
                panic!("the validator let something pass: expected {expected}, byte {at} + {change}");
            }
        }
    }
}
