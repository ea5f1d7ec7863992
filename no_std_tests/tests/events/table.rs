//! The table in src/event.rs against the code: each event that the code tells is a row, with its fields, and each row is told.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Target, level, message and fields of an event.
type Row = (String, String, String, Vec<String>);

/// Adds the events that the sources below a folder tell.
fn told(folder: &Path, rows: &mut BTreeSet<Row>) {
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            told(&path, rows);
        } else if !path.ends_with("src/event.rs") {
            let source = fs::read_to_string(&path).expect("a source file");
            rows.extend(source.split("event!(").skip(1).map(|call| row(call, &path)));
        }
    }
}

/// An event by what follows `event!(`.
fn row(call: &str, path: &Path) -> Row {
    let (call, _) = call.split_once(");").unwrap_or_else(|| panic!("{}: an event's end", path.display()));
    let mut parts = call.splitn(3, ',').map(str::trim);
    let mut next = || parts.next().unwrap_or_else(|| panic!("{}: {call}", path.display()));
    let (level, target, rest) = (next(), next(), next());
    let (message, fields) = rest.trim_start_matches('"').split_once('"').expect("a message");
    // None of the values has a comma in it.
    let names = fields.split(',').filter_map(|field| field.split('=').next()).map(str::trim);
    let fields = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    (target.to_owned(), level.to_owned(), message.to_owned(), fields)
}

/// The rows of the table.
fn documented(source: &str) -> BTreeSet<Row> {
    let mut target = String::new();
    let mut rows = BTreeSet::new();
    let table = source.lines().filter_map(|line| line.strip_prefix("//! |")?.strip_suffix('|'));
    for line in table.skip(2) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [named, level, message, _, fields] = cells[..] else { panic!("a row of five cells: {line}") };
        if !named.is_empty() {
            target = named.trim_matches('`').strip_prefix("canon_async::").expect("a target").to_owned();
        }
        let fields = fields.split(", ").map(str::to_owned).collect();
        assert!(rows.insert((target.clone(), level.to_owned(), message.to_owned(), fields)), "twice: {line}");
    }
    rows
}

#[test]
fn events_of_the_code_are_the_rows_of_the_table() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let mut rows = BTreeSet::new();
    told(&sources, &mut rows);
    let documented = documented(&fs::read_to_string(sources.join("event.rs")).expect("src/event.rs"));
    assert!(documented.len() > 30, "the table was read");
    let missing: Vec<_> = rows.difference(&documented).collect();
    let stale: Vec<_> = documented.difference(&rows).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "not in the table: {missing:#?}; nobody tells: {stale:#?}"
    );
}
