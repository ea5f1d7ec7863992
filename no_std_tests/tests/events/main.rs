//! What a store tells to `log` and to `tracing`: each scenario gives exactly the list in its file, to both, and nothing without the
//! feature of that name; and what the module `event` says of events against what the code does.
//!
//! `UPDATE_GOLDEN=1` writes the lists.

mod listeners;
mod scenarios;
mod table;

use listeners::{heard_by_log, heard_by_tracing};
use std::path::Path;

/// The list of a scenario, as its file has it.
fn golden(name: &str, found: &[String]) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/events/{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !found.is_empty() {
        std::fs::write(&path, found.join("\n") + "\n").expect("the list is written");
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(!text.is_empty(), "{} is empty", path.display());
    text.lines().map(str::to_owned).collect()
}

/// Both listeners hear what the scenario's file says, where their feature is on, and else nothing.
fn check(name: &str, scenario: fn()) {
    for (feature, on, heard) in [
        ("log", cfg!(feature = "log"), heard_by_log(scenario)),
        ("tracing", cfg!(feature = "tracing"), heard_by_tracing(scenario)),
    ] {
        let expected = if on { golden(name, &heard) } else { Vec::new() };
        for (line, (heard, expected)) in heard.iter().zip(&expected).enumerate() {
            assert_eq!(heard, expected, "{feature}, {name}.txt, line {}", line + 1);
        }
        assert_eq!(heard.len(), expected.len(), "{feature}, {name}.txt: the number of events");
    }
}

#[test]
fn events_of_a_stream_between_two_tasks_are_those_of_the_list() {
    check("stream", scenarios::stream);
}

#[test]
fn events_of_a_call_that_queues_are_those_of_the_list() {
    check("queued_call", scenarios::queued_call);
}

#[test]
fn events_of_cancelled_calls_are_those_of_the_list() {
    check("cancelled_call", scenarios::cancelled_call);
}

#[test]
fn events_of_threads_that_switch_are_those_of_the_list() {
    check("threads", scenarios::threads);
}

#[test]
fn events_of_a_trap_are_those_of_the_list() {
    check("trap", scenarios::trap);
}

#[test]
fn events_of_the_host_are_those_of_the_list() {
    check("host", scenarios::host);
}

#[test]
fn events_of_a_level_that_nobody_wants_are_not_told() {
    let warnings = listeners::heard_by_log_at(log::LevelFilter::Warn, scenarios::trap);
    let expected = if cfg!(feature = "log") { golden("trap", &[]) } else { Vec::new() };
    let expected: Vec<_> = expected.into_iter().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(warnings, expected);
    assert_eq!(warnings.is_empty(), !cfg!(feature = "log"));
}
