//! docs/spec-map.md against the code.

use std::collections::BTreeSet;

use canon_async::Heap;
use no_std_tests::cases;
use std_tests::source;

#[test]
fn every_builtin_has_one_row() {
    let mut rows: Vec<String> = source::spec_map().into_iter().map(|row| row.builtin).collect();
    let mut builtins = source::builtin_names();
    rows.sort();
    builtins.sort();
    assert_eq!(rows, builtins, "the rows of docs/spec-map.md, and the built-ins of src/canon/mod.rs");
}

#[test]
fn every_function_is_in_its_file() {
    for row in source::spec_map() {
        let path = format!("src/canon/{}", row.file);
        let text = source::read(&path);
        let function = format!("pub fn {}<", row.function);
        // One that a macro defines: `stream_read = copy(..)`.
        let defined = format!("    {} = ", row.function);
        let found = text.contains(&function) || text.lines().any(|line| line.starts_with(&defined));
        assert!(found, "docs/spec-map.md, {}: {path} has no function {}", row.builtin, row.function);
    }
}

#[test]
fn every_test_is_there() {
    let cases: BTreeSet<&str> =
        cases::lists::<Heap>().into_iter().flat_map(|list| list.cases).map(|case| case.name).collect();
    for row in source::spec_map() {
        let builtin = &row.builtin;
        for case in &row.cases {
            assert!(cases.contains(case.as_str()), "docs/spec-map.md, {builtin}: there is no case {case}");
        }
        for file in &row.wast {
            let text = source::read(&format!("std_tests/wast/{file}"));
            assert!(source::defines(&text, builtin), "docs/spec-map.md, {builtin}: {file} does not use it");
        }
    }
}
