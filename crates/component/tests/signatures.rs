//! The core functions that options name must have their type when a component is translated: nothing is left to find out
//! when they are called.

mod common;

use canon_async_component::{TranslateError, TranslateOptions};
use common::try_plan;

/// A component whose lift and lower name `realloc`, `callback` and `post-return` of these types.
fn text(realloc: &str, callback: &str, post_return: &str) -> String {
    format!(
        r#"(component
          (import "f" (func $f (param "s" string) (result string)))
          (core module $Libc (memory (export "mem") 1) (func (export "realloc") {realloc} unreachable))
          (core instance $libc (instantiate $Libc))
          (core func $f' (canon lower (func $f) (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
          (core module $M
            (import "" "f" (func (param i32 i32 i32)))
            (func (export "start") (result i32) unreachable)
            (func (export "callback") {callback} unreachable)
            (func (export "get") (result i32) unreachable)
            (func (export "post") {post_return} unreachable))
          (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
          (func (export "start") async (canon lift (core func $m "start") async (callback (core func $m "callback"))))
          (func (export "get") (result string) (canon lift (core func $m "get") (memory (core memory $libc "mem"))
            (post-return (core func $m "post")))))"#
    )
}

const REALLOC: &str = "(param i32 i32 i32 i32) (result i32)";
const CALLBACK: &str = "(param i32 i32 i32) (result i32)";
const POST_RETURN: &str = "(param i32)";

fn refused(text: &str) {
    match try_plan(text, &TranslateOptions::default()) {
        Err(TranslateError::Invalid { offset, .. }) => assert!(offset > 8, "{text}"),
        other => panic!("{other:?}\n{text}"),
    }
}

#[test]
fn a_realloc_of_another_core_type_is_refused() {
    try_plan(&text(REALLOC, CALLBACK, POST_RETURN), &TranslateOptions::default()).unwrap();
    for other in [
        "",
        "(param i32 i32 i32) (result i32)",
        "(param i32 i32 i32 i32)",
        "(param i32 i32 i32 i64) (result i32)",
    ] {
        refused(&text(other, CALLBACK, POST_RETURN));
    }
}

#[test]
fn a_callback_of_another_core_type_is_refused() {
    for other in [
        "",
        "(param i32 i32 i32)",
        "(param i32)",
        "(param i32) (result i32)",
        "(param i32 i32) (result i32)",
        "(param i32 i32 i64) (result i32)",
        "(param i32 i32 i32) (result i64)",
        "(param i32 i32 i32) (result i32 i32)",
        &format!("(param i32 i32 i32) (result {})", "i64 ".repeat(1000)),
    ] {
        refused(&text(REALLOC, other, POST_RETURN));
    }
}

#[test]
fn a_post_return_of_another_core_type_is_refused() {
    for other in ["", "(param i64)", "(param i32) (result i32)", "(param i32 i32)"] {
        refused(&text(REALLOC, CALLBACK, other));
    }
}

#[test]
fn a_cancellable_immediate_is_refused() {
    // `canon thread.yield` with its immediate 1, which the spec took away (its #716): the text format has no words for it.
    let mut bytes = wat::parse_str("(component (core func (canon thread.yield)))").unwrap();
    let at = bytes.windows(2).rposition(|pair| pair == [0x0c, 0x00]).expect("the definition's bytes");
    canon_async_component::translate(&bytes, &TranslateOptions::default()).unwrap();
    bytes[at + 1] = 1;
    let error = canon_async_component::translate(&bytes, &TranslateOptions::default()).unwrap_err();
    assert!(matches!(error, TranslateError::Invalid { .. }), "{error}");
}
