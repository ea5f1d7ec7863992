//! What tests read in the repository's own source.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("std_tests lies in the repository").into()
}

/// A file's text; its path is relative to the repository.
///
/// # Panics
/// Where it can't be read.
pub fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The variants of an enum, as rustfmt lays them out.
///
/// # Panics
/// Where the enum is not in the file.
pub fn variants(path: &str, name: &str) -> Vec<String> {
    let text = read(path);
    let head = format!("\npub enum {name} {{\n");
    let (_, rest) = text.split_once(&head).unwrap_or_else(|| panic!("{path}: no enum {name}"));
    let (body, _) = rest.split_once("\n}").unwrap_or_else(|| panic!("{path}: {name} does not end"));
    let variant = |line: &str| {
        let line = line.strip_prefix("    ")?;
        line.starts_with(|c: char| c.is_ascii_uppercase()).then(|| identifier(line).into())
    };
    let found: Vec<String> = body.lines().filter_map(variant).collect();
    assert!(!found.is_empty(), "{path}: {name} has no variants");
    found
}

/// What a text begins with, as far as it is a name of Rust.
pub fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// The families of built-ins: what comes before the dot, and in the names of the variants.
const FAMILIES: [(&str, &str); 11] = [
    ("Resource", "resource"),
    ("Context", "context"),
    ("Backpressure", "backpressure"),
    ("Task", "task"),
    ("WaitableSet", "waitable-set"),
    ("Waitable", "waitable"),
    ("Subtask", "subtask"),
    ("Stream", "stream"),
    ("Future", "future"),
    ("Thread", "thread"),
    ("ErrorContext", "error-context"),
];

/// The name in the text format of a variant of `canon_async::canon::Builtin`: `stream.cancel-read` of `StreamCancelRead`.
///
/// # Panics
/// Where it is of no known family.
pub fn builtin_name(variant: &str) -> String {
    if variant == "Lower" {
        return "lower".into();
    }
    let family = FAMILIES.iter().find_map(|(prefix, name)| Some((name, variant.strip_prefix(prefix)?)));
    let (family, rest) = family.unwrap_or_else(|| panic!("the built-in {variant} is of no known family"));
    let mut name = format!("{family}.");
    for (index, c) in rest.chars().enumerate() {
        if c.is_ascii_uppercase() && index > 0 {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// The text-format names of all built-ins.
pub fn builtin_names() -> Vec<String> {
    variants("src/canon/mod.rs", "Builtin").iter().map(|variant| builtin_name(variant)).collect()
}

/// Whether a file of .wast text has a definition of a built-in: `canon stream.read`, and not only `canon stream.read-more`.
pub fn defines(wast: &str, builtin: &str) -> bool {
    let definition = format!("canon {builtin}");
    let ends = |rest: &str| !rest.starts_with(|c: char| c == '-' || c == '.' || c.is_ascii_alphanumeric());
    wast.split(definition.as_str()).skip(1).any(ends)
}

/// A row of the table in docs/spec-map.md.
#[derive(Clone, Debug)]
pub struct MapRow {
    /// The text-format name.
    pub builtin: String,
    /// `0x0f`, or several.
    pub opcode: String,
    /// Emojis, and words about them.
    pub gate: String,
    /// The file below src/canon/.
    pub file: String,
    /// The function.
    pub function: String,
    /// Cases of no_std_tests.
    pub cases: Vec<String>,
    /// Files of std_tests/wast/; none where no component can reach it.
    pub wast: Vec<String>,
}

/// The rows of docs/spec-map.md.
///
/// # Panics
/// Where a row has another form.
pub fn spec_map() -> Vec<MapRow> {
    let text = read("docs/spec-map.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [builtin, opcode, gate, function, cases, wast] = cells.as_slice() else {
            panic!("docs/spec-map.md: expected six cells: {line}");
        };
        let (file, function) = function.split_once(": ").unwrap_or_else(|| panic!("no function: {line}"));
        let name = |cell: &str| -> String { cell.trim().trim_matches('`').into() };
        let list = |cell: &str| cell.split(',').map(name).filter(|name| !name.is_empty()).collect();
        MapRow {
            builtin: name(builtin),
            opcode: name(opcode),
            gate: (*gate).into(),
            file: name(file),
            function: name(function),
            cases: list(cases),
            wast: list(wast),
        }
    })
    .collect()
}
