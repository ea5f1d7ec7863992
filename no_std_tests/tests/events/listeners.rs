//! A logger and a subscriber that write down what they hear: level, target, message and fields, one line an event.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::sync::Once;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    /// The logger is one for all threads, and each test runs on its own.
    static LOG: RefCell<(Option<log::LevelFilter>, Vec<String>)> = const { RefCell::new((None, Vec::new())) };
    static TRACE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        LOG.with_borrow(|(most, _)| most.is_some_and(|most| metadata.level() <= most))
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {} {}", record.level(), record.target(), record.args());
            LOG.with_borrow_mut(|(_, lines)| lines.push(line));
        }
    }

    fn flush(&self) {}
}

/// What the scenario tells to `log`, up to a level.
pub fn heard_by_log_at(most: log::LevelFilter, scenario: fn()) -> Vec<String> {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        log::set_logger(&Logger).expect("the first logger");
        log::set_max_level(log::LevelFilter::Trace);
    });
    LOG.set((Some(most), Vec::new()));
    scenario();
    LOG.take().1
}

/// What the scenario tells to `log`.
pub fn heard_by_log(scenario: fn()) -> Vec<String> {
    heard_by_log_at(log::LevelFilter::Trace, scenario)
}

struct Recorder;

/// The line of an event, whose message is a field among others.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        written.expect("a String takes all");
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        let line = format!("{} {} {}{}", metadata.level(), metadata.target(), line.message, line.fields);
        TRACE.with_borrow_mut(|lines| lines.push(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What the scenario tells to `tracing`.
pub fn heard_by_tracing(scenario: fn()) -> Vec<String> {
    TRACE.take();
    tracing::subscriber::with_default(Recorder, scenario);
    TRACE.take()
}
