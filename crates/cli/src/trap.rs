//! Where a guest trapped: what is printed after a trap's text.
//!
//! One line, of the innermost component; with `CANON_BACKTRACE=1` in the environment a line for each call
//! between components.

use std::env;

use canon_async_component::inspect::Escaped;
use canon_async_wasmi::Error;

/// The environment variable.
const SWITCH: &str = "CANON_BACKTRACE";

/// Whether everything is to be printed: the variable is set, and neither empty nor 0.
fn is_long() -> bool {
    env::var_os(SWITCH).is_some_and(|value| !value.is_empty() && value != "0")
}

/// What follows on an error's text: nothing where no guest was at fault, else lines that begin with a line
/// feed.
pub fn location(error: &Error) -> String {
    let Some(backtrace) = error.backtrace() else { return String::new() };
    if is_long() {
        return format!("\n{backtrace:#}");
    }
    let messages = backtrace.messages().iter();
    let messages: String =
        messages.map(|message| format!("\n  it held an error context: \"{}\"", Escaped(message))).collect();
    match backtrace.frames().len() {
        0 | 1 => format!("\n  {backtrace}{messages}"),
        _ => format!("\n  {backtrace}{messages}\n  ({SWITCH}=1 shows who called it)"),
    }
}
