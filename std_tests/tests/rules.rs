//! docs/rules.md against the tests that there are.

use canon_async::Heap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std_tests::source;

const PAGE: &str = "docs/rules.md";

/// A row of a table of the page: what it is about, and the tests that fail where that is broken.
struct Row {
    subject: String,
    /// The tests; none where the last column says why there are none.
    tests: Vec<String>,
    /// That column.
    reason: Option<String>,
}

/// The rows of all tables. A table's last column is called "tests" or "why not here".
fn rows() -> Vec<Row> {
    let text = source::read(PAGE);
    let mut rows = Vec::new();
    let mut header: Option<Vec<&str>> = None;
    for line in text.lines() {
        let Some(line) = line.strip_prefix('|') else {
            header = None;
            continue;
        };
        let cells: Vec<&str> = line.trim_end_matches('|').split('|').map(str::trim).collect();
        let Some(header) = &header else {
            header = Some(cells);
            continue;
        };
        if cells.iter().all(|cell| cell.chars().all(|c| c == '-')) {
            continue;
        }
        assert_eq!(cells.len(), header.len(), "{PAGE}: as many cells as the header has: {line}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{PAGE}: an empty cell: {line}");
        let (Some(subject), Some(last)) = (cells.first(), cells.last()) else { panic!("{PAGE}: {line}") };
        let name = |test: &str| {
            let name = test.trim().strip_prefix('`').and_then(|test| test.strip_suffix('`'));
            name.unwrap_or_else(|| panic!("{PAGE}: tests and nothing else: {line}")).to_string()
        };
        let (tests, reason) = match header.last() {
            Some(&"tests") => (last.split(',').map(name).collect(), None),
            Some(&"why not here") => (Vec::new(), Some((*last).to_string())),
            other => panic!("{PAGE}: a table whose last column is {other:?}"),
        };
        rows.push(Row { subject: (*subject).into(), tests, reason });
    }
    rows
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
            let list = text.split_once("\ntests! {\n").and_then(|(_, rest)| rest.split_once("\n}"));
            let lines = list.map_or("", |(list, _)| list).lines();
            out.extend(lines.map(|line| source::identifier(line.trim()).to_string()));
        }
    }
}

#[test]
fn every_test_of_a_rule_is_there() {
    let root = source::root();
    let mut tests: BTreeSet<String> = BTreeSet::new();
    for folder in [
        "std_tests/tests",
        "no_std_tests/tests/modules",
        "crates/component/tests",
        "crates/wasmi/tests",
        "crates/cli/tests",
    ] {
        tests_below(&root.join(folder), &mut tests);
    }
    let cases = no_std_tests::cases::lists::<Heap>();
    tests.extend(cases.into_iter().flat_map(|list| list.cases).map(|case| case.name.to_string()));
    let mut missing = Vec::new();
    for row in rows() {
        for name in row.tests {
            let there = match name.strip_suffix(".wast") {
                Some(_) => root.join("std_tests/wast").join(&name).is_file(),
                None => tests.contains(&name),
            };
            if !there {
                missing.push(format!("{}: {name}", row.subject));
            }
        }
    }
    assert!(missing.is_empty(), "{PAGE} names tests that are not there:\n{}", missing.join("\n"));
}

#[test]
fn every_rule_has_tests_and_is_there_once() {
    let rows = rows();
    let rules = rows.iter().filter(|row| row.reason.is_none());
    assert!(rules.count() > 80, "{PAGE}: {} rows", rows.len());
    let mut seen = BTreeSet::new();
    for row in &rows {
        assert!(row.reason.is_some() || !row.tests.is_empty(), "{PAGE}: no test: {}", row.subject);
        let names: BTreeSet<&String> = row.tests.iter().collect();
        assert_eq!(names.len(), row.tests.len(), "{PAGE}: a test twice: {}", row.subject);
        assert!(seen.insert(&row.subject), "{PAGE}: twice: {}", row.subject);
    }
}

/// Whether an advisory's id is one: of GitHub, of the CVE programme, or of RustSec.
fn is_id(id: &str) -> bool {
    let parts: Vec<&str> = id.split('-').collect();
    let digits = |part: &str| part.len() >= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    // What GitHub's ids are made of has neither vowels nor what looks like something else.
    let letters = |part: &str| part.len() == 4 && part.chars().all(|c| "23456789cfghjmpqrvwx".contains(c));
    match parts.as_slice() {
        ["GHSA", rest @ ..] => rest.len() == 3 && rest.iter().all(|part| letters(part)),
        ["CVE", year, number] => year.len() == 4 && digits(year) && digits(number),
        ["RUSTSEC", year, number] => year.len() == 4 && digits(year) && digits(number) && number.len() == 4,
        _ => false,
    }
}

#[test]
fn every_advisory_is_named_once_by_its_id() {
    let text = source::read(PAGE);
    let rows = rows();
    let advisories = || rows.iter().filter(|row| row.subject.starts_with("GHSA-"));
    let ids: Vec<&str> = advisories().flat_map(|row| row.subject.split(", ")).collect();
    for id in &ids {
        assert!(is_id(id), "{PAGE}: no id: {id}");
        assert_eq!(text.matches(id).count(), 1, "{PAGE}: more than once: {id}");
    }
    // Nothing is named in another form, or outside of the tables.
    let ghsa = ids.iter().filter(|id| id.starts_with("GHSA-")).count();
    assert_eq!(text.matches("GHSA-").count(), ghsa, "{PAGE}: an id that is not in a first column");
    let with_tests = advisories().filter(|row| !row.tests.is_empty()).count();
    assert!(with_tests >= 29 && ghsa >= 70, "{PAGE}: {with_tests} with tests, of {ghsa}");
}
