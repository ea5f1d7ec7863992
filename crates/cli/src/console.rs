//! What the commands print. Colours on a terminal alone, and not where `NO_COLOR` is set.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind, Write};
use std::process::{ExitCode, exit};

use anstyle::{AnsiColor, Style};
use canon_async_component::inspect::Escaped;
use serde::Serialize;

/// For what went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// For what did not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// Writes a line to stdout. Ends the process if the reader has closed the pipe (`canon .. | head`).
pub fn line(text: impl Display) {
    let mut out = BufWriter::new(anstream::stdout());
    written(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// A line of JSON on stdout, written as it goes: see [`line`].
pub fn json(value: &impl Serialize) {
    let mut out = BufWriter::new(std::io::stdout());
    let json = serde_json::to_writer(&mut out, value).map_err(std::io::Error::from);
    written(json.and_then(|()| writeln!(out)).and_then(|()| out.flush()));
}

fn written(result: std::io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(0),
        Err(error) => {
            note(format_args!("error: stdout: {error}"));
            exit(1);
        }
    }
}

/// Bytes on stdout, and nothing else.
///
/// # Errors
/// They can't be written: exit code 1.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|error| Failure::component(format_args!("stdout: {error}")))
}

/// A line on stderr.
pub fn note(text: impl Display) {
    // Nowhere is left to say that this failed.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A text in a style.
pub fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A message, which may have names of a component in it that would control the terminal.
pub fn shown(message: impl Display) -> String {
    let lines = message.to_string();
    let lines = lines.split('\n').map(|line| Escaped(line).to_string());
    lines.collect::<Vec<_>>().join("\n")
}

/// What kind of failure it is, for programs that read `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What was asked for makes no sense.
    Usage,
    /// The component is invalid, too large, or can't be instantiated here.
    Component,
    /// An import is missing or of another type.
    Link,
    /// A guest trapped.
    Trap,
    /// A limit was reached: fuel, time, memory, or another.
    Limit,
    /// Nothing can go on.
    Deadlock,
    /// The user pressed Ctrl-C.
    Interrupted,
    /// The component says itself that it failed.
    Failed,
}

impl Class {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Component => "component",
            Self::Link => "link",
            Self::Trap => "trap",
            Self::Limit => "limit",
            Self::Deadlock => "deadlock",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// What the process exits with; 130 is what shells use for Ctrl-C.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    class: Class,
    message: String,
}

impl Failure {
    /// A failure of this class.
    pub fn new(class: Class, message: impl Display) -> Self {
        Self { class, message: shown(message) }
    }

    /// What was asked for makes no sense: exit code 2.
    pub fn usage(message: impl Display) -> Self {
        Self::new(Class::Usage, message)
    }

    /// The component is at fault, or it trapped: exit code 1.
    pub fn component(message: impl Display) -> Self {
        Self::new(Class::Component, message)
    }

    /// What the process exits with.
    pub fn exit_code(&self) -> u8 {
        self.class.exit_code()
    }

    /// For `--json`: `{"class": .., "message": .., "exit_code": ..}`.
    pub fn to_json(&self) -> serde_json::Value {
        let (class, message) = (self.class.name(), &self.message);
        serde_json::json!({ "class": class, "message": message, "exit_code": self.exit_code() })
    }

    /// Prints the message.
    pub fn report(&self) -> ExitCode {
        note(format_args!("{} {}", styled(BAD, "error:"), self.message));
        ExitCode::from(self.exit_code())
    }
}
