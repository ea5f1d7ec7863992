//! What the commands print. Colours on a terminal alone, and not where `NO_COLOR` is set.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::process::{ExitCode, exit};

use anstyle::{AnsiColor, Style};
use canon_async_component::inspect::Escaped;

/// For what went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// For what did not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// A line on stdout. Whoever reads it may have gone (`canon .. | head`): then there is no use in going on.
pub fn line(text: impl Display) {
    match writeln!(anstream::stdout(), "{text}") {
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
fn shown(message: impl Display) -> String {
    let lines = message.to_string();
    let lines = lines.split('\n').map(|line| Escaped(line).to_string());
    lines.collect::<Vec<_>>().join("\n")
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// 1 or 2: what the process exits with.
    code: u8,
    message: String,
}

impl Failure {
    /// What was asked for makes no sense: exit code 2.
    pub fn usage(message: impl Display) -> Self {
        Self { code: 2, message: shown(message) }
    }

    /// The component is at fault, or it trapped: exit code 1.
    pub fn component(message: impl Display) -> Self {
        Self { code: 1, message: shown(message) }
    }

    /// Prints the message.
    pub fn report(&self) -> ExitCode {
        note(format_args!("{} {}", styled(BAD, "error:"), self.message));
        ExitCode::from(self.code)
    }
}
