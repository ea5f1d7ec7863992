//! What components may take, and how long they may run: options, and what errors say of them.

use std::time::Duration;

use canon_async::Resource;
use canon_async_wasmi::{Config, Error, Stopped, Store};
use clap::Args;

/// The stack of the thread that the command runs on: calls between components nest as deep as it allows. It
/// is reserved, and committed as it is used.
pub const NATIVE_STACK: usize = 256 << 20;

/// What a component may take without `--memory`.
const ROOT_BYTES: usize = if usize::BITS >= 64 { 1 << 30 } else { 128 << 20 };

/// What components may take, and how long they may run.
#[derive(Args, Clone, Copy, Debug)]
pub struct Limits {
    /// The most memory that a component may cause to be allocated, and twice as much for all of them: 512M, 4G.
    /// Default: 1G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<usize>,
    /// The most stack of one guest, which bounds its recursion. Default: 16M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub stack: Option<usize>,
    /// Let components use N of fuel: about one for an instruction, and one for 64 bytes or a value that they
    /// pass. Without this option: as much as they like
    #[arg(long, value_name = "N")]
    pub fuel: Option<u64>,
    /// Let components run for SECONDS (fractions allowed), from when the first is instantiated. Without this
    /// option: as long as they like
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

impl Limits {
    /// What engines need for these limits.
    pub fn configure(self, config: &mut Config) -> &mut Config {
        if let Some(bytes) = self.stack {
            config.max_stack_bytes(bytes);
        }
        if let Some(bytes) = self.memory {
            config.root_bytes(bytes).guest_bytes(bytes.saturating_mul(2));
        }
        config.fuel(self.fuel.is_some()).interruptible(self.timeout.is_some())
    }

    /// Gives each of so many components as much memory as one may have, and the whole what they have together.
    pub fn share(self, config: &mut Config, components: usize) {
        let root = self.memory.unwrap_or(ROOT_BYTES);
        config.root_bytes(root).guest_bytes(root.saturating_mul(components.max(2)));
    }

    /// From now on fuel and time are those of a store.
    ///
    /// # Errors
    /// `Misuse`: its engine's configuration does not have them.
    pub fn start<T>(self, store: &mut Store<T>) -> Result<(), Error> {
        if let Some(fuel) = self.fuel {
            store.set_fuel(fuel)?;
        }
        store.set_deadline(self.timeout)
    }

    /// An error in words, with the option that raises the limit where it is one.
    pub fn explain(self, error: &Error) -> String {
        match (error.stopped(), self.fuel) {
            (Some(Stopped::Fuel), Some(fuel)) => format!("{error}: {fuel} (--fuel raises the limit)"),
            (Some(Stopped::Deadline), _) => self.deadline(),
            _ if is_stack_overflow(error) => format!("{error} (--stack raises the limit)"),
            _ => format!("{error}{}", option(error)),
        }
    }

    /// That the time is up, with the option that gives more.
    pub fn deadline(self) -> String {
        let seconds = self.timeout.unwrap_or_default().as_secs_f64();
        format!("deadline passed: {seconds} s (--timeout raises the limit)")
    }
}

/// Whether a guest recursed deeper than its stack. wasmi says so by a trap like others.
fn is_stack_overflow(error: &Error) -> bool {
    matches!(error.core(), Some(canon_async::Error::Trap(_)))
        && error.to_string().contains("call stack exhausted")
}

/// Which option raises the limit of memory that an error names.
fn option(error: &Error) -> &'static str {
    let Some(canon_async::Error::Capacity(reached)) = error.core() else { return "" };
    match reached.resource() {
        // A stack counts as the most that it may get: a larger one would be no help.
        Resource::GuestStacks => "; --memory raises it, or a smaller --stack makes room",
        Resource::GuestBytes | Resource::HeapBytes => "; --memory raises it",
        _ => "",
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a number of seconds, such as 0.5 or 10";
    let seconds: f64 = text.parse().map_err(|_| EXPECTED)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| EXPECTED.into())
}

/// A number of bytes: `1000`, `64K`, `512M`, `4G`.
pub fn size(text: &str) -> Result<usize, String> {
    const EXPECTED: &str = "expected a number of bytes, such as 65536, 64K, 512M or 4G";
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (text.get(..text.len().saturating_sub(1)), 10),
        Some(b'm' | b'M') => (text.get(..text.len().saturating_sub(1)), 20),
        Some(b'g' | b'G') => (text.get(..text.len().saturating_sub(1)), 30),
        _ => (Some(text), 0),
    };
    let number: usize = digits.and_then(|digits| digits.parse().ok()).ok_or(EXPECTED)?;
    number.checked_mul(1 << shift).ok_or_else(|| String::from("more than this machine can address"))
}
