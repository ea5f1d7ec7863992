//! What the files cover.
//!
//! Each file's first lines list it: `;; covers: stream.new, stream.read, Trap::DoneEnd`. A built-in is
//! covered by a file that lists it and defines it; a trap by one that lists it and has its text as the
//! message of an `assert_trap`. A line `;; spec: #705` says which later changes of the spec a file shows.

use std::collections::BTreeSet;
use std::fs;

use std_tests::source;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{Wast, WastDirective};

use crate::File;
use crate::traps;

const HEADER: &str = ";; covers: ";

/// The changes of the spec that a file shows: those of the table in docs/architecture.md, which names the
/// file.
const CHANGES: &str = ";; spec: ";

/// The built-ins that no component can reach here: they are shared functions, which wasmi has not.
const UNREACHABLE: [&str; 3] = ["thread.spawn-ref", "thread.spawn-indirect", "thread.available-parallelism"];

/// What is not covered, and what is listed and not covered by the file that lists it.
pub fn problems(files: &[File]) -> Vec<String> {
    let builtins = source::builtin_names();
    let variants = source::variants("src/error.rs", "Trap");
    let texts = traps::texts();
    let mut out = Vec::new();
    let mut listed = BTreeSet::new();
    let mut asserted = BTreeSet::new();

    let map = source::read("docs/architecture.md");
    for file in files {
        let name = &file.name;
        let text = fs::read_to_string(&file.path).expect("a file");
        let changes = text.lines().filter_map(|line| line.strip_prefix(CHANGES));
        for change in changes.flat_map(|line| line.split(", ")) {
            let row = |line: &str| line.split('|').nth(1).is_some_and(|cell| cell.contains(change));
            if !map.lines().any(|line| row(line) && line.contains(&format!("`{name}`"))) {
                out.push(format!("{name}: the row of {change} in docs/architecture.md does not name it"));
            }
        }
        let messages = messages(&text);
        let names = text.lines().filter_map(|line| line.strip_prefix(HEADER));
        let names: Vec<&str> = names.flat_map(|line| line.split(", ")).map(str::trim).collect();
        if names.is_empty() {
            out.push(format!("{name}: no line \"{HEADER}..\""));
        }
        for covered in names {
            let found = match covered.strip_prefix("Trap::") {
                Some(trap) => {
                    let mut any = false;
                    for (variant, group) in texts.iter().enumerate().filter(|(_, text)| text.trap == trap) {
                        if group.alternatives.iter().any(|text| messages.contains(text)) {
                            asserted.insert(variant);
                            any = true;
                        }
                    }
                    any
                }
                None => builtins.iter().any(|builtin| builtin == covered) && source::defines(&text, covered),
            };
            if !found {
                out.push(format!(
                    "{name}: lists {covered}, and has no such built-in, or no assert_trap with its text"
                ));
            }
            listed.insert(covered.to_owned());
        }
    }

    for builtin in builtins {
        match (UNREACHABLE.contains(&builtin.as_str()), listed.contains(&builtin)) {
            (true, true) => out.push(format!("{builtin} is covered and listed as unreachable")),
            (false, false) => out.push(format!("no file covers the built-in {builtin}")),
            (true, false) | (false, true) => {}
        }
    }
    for variant in variants {
        let unreachable = traps::UNREACHABLE.iter().any(|(name, _)| *name == variant);
        let covered = listed.contains(&format!("Trap::{variant}"));
        let known = texts.iter().any(|text| text.trap == variant);
        match (unreachable, covered) {
            (true, true) => out.push(format!("Trap::{variant} is covered and listed as unreachable")),
            (false, _) if !known => out.push(format!("Trap::{variant} has no text in traps.rs")),
            (false, false) => out.push(format!("no file covers Trap::{variant}")),
            (true, false) | (false, true) => {}
        }
    }
    for (_, text) in texts.iter().enumerate().filter(|(index, _)| !asserted.contains(index)) {
        out.push(format!(
            "no file that lists Trap::{} asserts \"{}\"",
            text.trap,
            text.alternatives.join("\" or \"")
        ));
    }
    out
}

/// The messages of a file's `assert_trap`s, as [`traps::shape`] has them.
fn messages(text: &str) -> BTreeSet<String> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    // What can't be parsed fails where the file is run.
    let Ok(buffer) = ParseBuffer::new_with_lexer(lexer) else { return BTreeSet::new() };
    let Ok(wast) = parser::parse::<Wast<'_>>(&buffer) else { return BTreeSet::new() };
    let message = |directive: &WastDirective<'_>| match directive {
        WastDirective::AssertTrap { message, .. } => Some(traps::shape(message)),
        _ => None,
    };
    wast.directives.iter().filter_map(message).collect()
}
