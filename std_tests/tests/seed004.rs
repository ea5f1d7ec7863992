//! std_tests/seed004.toml against the tests that there are, and against the document that it is about.

use serde::Deserialize;
use std::path::Path;
use std_tests::source;

const PAGE: &str = "std_tests/seed004.toml";
/// The tests of the host-facing modules.
const MODULES: &str = "no_std_tests/tests/modules";
const EXAMPLES: &str = "no_std_tests/tests/modules/seed_examples.rs";
/// Of the document's headings, bullets and commands, in its order, and where its examples stand.
const DOCUMENT: u64 = 0xc943_172d_16ea_9916;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    heading: Vec<Heading>,
    bullet: Vec<Bullet>,
    example: Vec<Example>,
    command: Vec<Command>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heading {
    number: usize,
    level: usize,
    text: String,
    #[serde(default)]
    tests: Vec<String>,
    /// What makes it true.
    #[serde(default)]
    by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bullet {
    number: usize,
    heading: usize,
    text: String,
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    number: usize,
    heading: usize,
    /// Of its code: [`code`].
    digest: String,
    tests: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    number: usize,
    heading: usize,
    text: String,
    /// The command of `.ci/run` that does what it says, or more.
    runs: String,
    tests: Vec<String>,
    by: String,
}

fn page() -> Page {
    toml::from_str(&source::read(PAGE)).unwrap_or_else(|error| panic!("{PAGE}: {error}"))
}

/// FNV-1a.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Each entry: what it is called in messages, its tests, and the words.
fn entries(page: &Page) -> Vec<(String, &[String], &str)> {
    let headings = page.heading.iter().map(|it| (format!("heading {}", it.number), &*it.tests, &*it.by));
    let bullets = page.bullet.iter().map(|it| (format!("bullet {}", it.number), &*it.tests, &*it.by));
    let examples = page.example.iter().map(|it| (format!("example {}", it.number), &*it.tests, ""));
    let commands = page.command.iter().map(|it| (format!("command {}", it.number), &*it.tests, &*it.by));
    headings.chain(bullets).chain(examples).chain(commands).collect()
}

/// The functions of a file that `#[test]` stands before, and those that its list for the harness without libtest has.
fn tests_of(text: &str) -> Vec<&str> {
    let after = text.split("#[test]").skip(1);
    let attributed = after.filter_map(|rest| Some(source::identifier(rest.split_once("fn ")?.1)));
    attributed.chain(listed(text)).collect()
}

/// The functions that `tests! { .. }` lists, one a line. One that is not there does not compile.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    let list = text.split_once("\ntests! {\n").and_then(|(_, rest)| rest.split_once("\n}"));
    let lines = list.map_or("", |(list, _)| list).lines();
    lines.map(|line| source::identifier(line.trim())).filter(|name| !name.is_empty())
}

#[test]
fn every_entry_has_tests_that_are_there_or_says_what_makes_it_true() {
    let page = page();
    let mut missing = Vec::new();
    for (entry, tests, by) in entries(&page) {
        if tests.is_empty() && by.is_empty() {
            missing.push(format!("{entry}: neither a test nor what makes it true"));
        }
        for test in tests {
            let (file, name) =
                test.split_once(": ").unwrap_or_else(|| panic!("{PAGE}, {entry}: no `file: test`: {test}"));
            let there = source::root().join(file).is_file() && tests_of(&source::read(file)).contains(&name);
            if !there {
                missing.push(format!("{entry}: no test {test}"));
            }
        }
        // What is named there is there.
        for path in by.split('`').skip(1).step_by(2).filter(|path| path.contains('/')) {
            if !source::root().join(path).exists() {
                missing.push(format!("{entry}: no {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "{PAGE}:\n{}", missing.join("\n"));
}

#[test]
fn every_heading_bullet_and_command_of_the_document_is_there() {
    let page = page();
    let in_order = |numbers: Vec<usize>| numbers.iter().copied().eq(1..=numbers.len());
    assert!(in_order(page.heading.iter().map(|it| it.number).collect()), "{PAGE}: headings");
    assert!(in_order(page.bullet.iter().map(|it| it.number).collect()), "{PAGE}: bullets");
    assert!(in_order(page.example.iter().map(|it| it.number).collect()), "{PAGE}: examples");
    assert!(in_order(page.command.iter().map(|it| it.number).collect()), "{PAGE}: commands");
    let mut text = String::new();
    for heading in &page.heading {
        text += &format!("{} {}\n", "#".repeat(heading.level), heading.text);
        for bullet in page.bullet.iter().filter(|it| it.heading == heading.number) {
            text += &format!("- {}\n", bullet.text);
        }
        for example in page.example.iter().filter(|it| it.heading == heading.number) {
            text += &format!("example {}\n", example.number);
        }
        for command in page.command.iter().filter(|it| it.heading == heading.number) {
            text += &format!("$ {}\n", command.text);
        }
    }
    let seen = digest(&text);
    assert_eq!(seen, DOCUMENT, "{PAGE} has not the document's headings, bullets and commands: {seen:#x}");
}

/// The end of a statement that begins here: after the semicolon that is in no parentheses and no text.
fn statement(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ';' if !quoted && depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Code without what does not matter: comments, white space, commas (which rustfmt adds and takes), and assertions.
fn code(text: &str) -> String {
    let (mut out, mut rest, mut fresh) = (String::new(), text, true);
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if fresh && rest.starts_with("assert") {
            statement(rest)
        } else if c == '"' {
            let end = rest.get(1..).and_then(|text| text.find('"')).map_or(rest.len(), |end| end + 2);
            out.extend(
                rest.get(..end).unwrap_or_default().chars().filter(|c| !c.is_whitespace() && *c != ','),
            );
            end
        } else {
            if !c.is_whitespace() && c != ',' {
                out.push(c);
            }
            c.len_utf8()
        };
        if !c.is_whitespace() {
            fresh = matches!(c, ';' | '{' | '}' | '/');
        }
        rest = rest.get(skipped..).unwrap_or_default();
    }
    out
}

#[test]
fn every_example_is_a_test_and_stands_there_as_in_the_document() {
    let text = source::read(EXAMPLES);
    for Example { number, digest: wanted, tests, .. } in page().example {
        let name = format!("example_{number}_");
        for test in &tests {
            let named =
                test.strip_prefix(&format!("{EXAMPLES}: ")).is_some_and(|test| test.starts_with(&name));
            assert!(named, "{PAGE}, example {number}: {test} does not name it");
        }
        let begin = format!("// Example {number}.\n");
        assert_eq!(text.matches(&begin).count(), 1, "{EXAMPLES}: no example {number}, or two");
        let (before, from) = text.split_once(&begin).expect("it is there");
        let test = before.rsplit_once("\nfn ").map(|(_, test)| source::identifier(test));
        assert!(
            test.is_some_and(|test| test.starts_with(&name) && listed(&text).any(|listed| listed == test)),
            "{EXAMPLES}: example {number} is in {test:?}"
        );
        let (example, _) = from.split_once("// End.\n").expect("an end");
        let seen = format!("{:016x}", digest(&code(example)));
        assert_eq!(seen, wanted, "{EXAMPLES}: example {number} is not the document's:\n{}", code(example));
    }
}

#[test]
fn every_command_is_run_by_ci_and_runs_the_root_package() {
    let ci = source::read(".ci/run");
    for Command { number, text, runs, .. } in page().command {
        assert!(ci.lines().any(|line| line == format!("step {runs}")), ".ci/run does not run {runs}");
        assert!(text == runs || (number == 1 && text == "cargo test --features std"), "{text}: {runs}");
    }
    // In the root `cargo test` means these packages, and std is what the default features are.
    let root: toml::Table = toml::from_str(&source::read("Cargo.toml")).expect("a manifest");
    let members = root["workspace"]["default-members"].as_array().expect("an array");
    for package in [".", "no_std_tests"] {
        assert!(
            members.iter().any(|member| member.as_str() == Some(package)),
            "{package} is a default member"
        );
    }
    let features = root["features"].as_table().expect("a table");
    let of = |feature: &str| features[feature].as_array().expect("an array").clone();
    assert_eq!(of("default"), ["std".into()]);
    // No feature but of a dependency that others turn on.
    assert!(of("alloc").iter().all(|feature| feature.as_str().is_some_and(|name| name.contains("?/"))));
    assert!(of("std").contains(&"alloc".into()));
}

/// Seventy tests and more, and each of the six modules has its own.
#[test]
fn every_module_has_its_tests() {
    let modules = ["context", "task", "waitable_set", "error_context", "threading", "fixed_list"];
    for module in modules {
        let tests = source::read(&format!("{MODULES}/{module}.rs"));
        assert!(tests_of(&tests).len() >= 10, "{MODULES}/{module}.rs");
        assert!(Path::new(&source::root().join(format!("src/{module}.rs"))).is_file());
    }
    let files = std::fs::read_dir(source::root().join(MODULES)).expect(MODULES);
    let paths = files.map(|file| file.expect("an entry of a folder").path());
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let count: usize =
        sources.map(|path| tests_of(&std::fs::read_to_string(path).expect("text")).len()).sum();
    assert!(count > 70, "{count} tests");
}
