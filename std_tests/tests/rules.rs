//! docs/rules.md against the tests that there are.

use canon_async::Heap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std_tests::source;

const PAGE: &str = "docs/rules.md";

/// The rules and the tests that each names.
fn rules() -> Vec<(String, Vec<String>)> {
    let text = source::read(PAGE);
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [rule, tests] = cells.as_slice() else { panic!("{PAGE}: expected two cells: {line}") };
        let name = |test: &str| -> String { test.trim().trim_matches('`').into() };
        ((*rule).into(), tests.split(',').map(name).collect())
    })
    .collect()
}

/// The names of the functions that `#[test]` stands before, in all files below a folder.
fn tests_below(folder: &Path, out: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            tests_below(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let functions =
                text.split("#[test]").skip(1).filter_map(|rest| rest.trim_start().strip_prefix("fn "));
            out.extend(functions.map(|rest| source::identifier(rest).to_string()));
            // Those of a harness of their own.
            let trials = text.split("Trial::test(\"").skip(1);
            out.extend(trials.map(|rest| source::identifier(rest).to_string()));
        }
    }
}

#[test]
fn every_test_of_a_rule_is_there() {
    let root = source::root();
    let mut tests: BTreeSet<String> = BTreeSet::new();
    for folder in ["std_tests/tests", "crates/component/tests", "crates/wasmi/tests", "crates/cli/tests"] {
        tests_below(&root.join(folder), &mut tests);
    }
    let cases = no_std_tests::cases::lists::<Heap>();
    tests.extend(cases.into_iter().flat_map(|list| list.cases).map(|case| case.name.to_string()));
    let mut missing = Vec::new();
    for (rule, names) in rules() {
        for name in names {
            let there = match name.strip_suffix(".wast") {
                Some(_) => root.join("std_tests/wast").join(&name).is_file(),
                None => tests.contains(&name),
            };
            if !there {
                missing.push(format!("{rule}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{PAGE} names tests that are not there:\n{}", missing.join("\n"));
}

#[test]
fn every_rule_has_tests_and_is_there_once() {
    let rules = rules();
    assert!(rules.len() > 40, "{PAGE}: {} rules", rules.len());
    let mut seen = BTreeSet::new();
    for (rule, names) in &rules {
        assert!(names.iter().all(|name| !name.is_empty()), "{PAGE}: {rule}: an empty name");
        assert!(seen.insert(rule), "{PAGE}: twice: {rule}");
    }
    // A row without a test has no backquotes, and would not be seen above.
    let text = source::read(PAGE);
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule |"));
    assert_eq!(
        rows.filter(|line| !line.starts_with("| of the dead |")).count(),
        rules.len(),
        "a rule without tests"
    );
}
