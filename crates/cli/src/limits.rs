//! What a component may take: options, and what their errors say.

use canon_async_wasmi::{Config, Error};
use clap::Args;

/// The stack of the thread that the command runs on: calls between components nest as deep as it allows. It is
/// reserved, and committed as it is used.
pub const NATIVE_STACK: usize = 256 << 20;

/// What a component may take.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Limits {
    /// The most memory that components may cause to be allocated, all told: 512M, 4G. Default: 1G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<usize>,
    /// The most stack of one guest, which bounds its recursion. Default: 16M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    stack: Option<usize>,
}

impl Limits {
    /// The engine's configuration.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        if let Some(bytes) = self.stack {
            config.max_stack_bytes(bytes);
        }
        if let Some(bytes) = self.memory {
            config.guest_bytes(bytes);
        }
        config
    }
}

/// Which option of the command raises the limit that an error names.
pub fn option(error: &Error) -> &'static str {
    let text = error.to_string();
    match () {
        () if !text.contains("limit reached") => "",
        () if text.contains("Config::guest_bytes") => "; --memory raises it",
        () if text.contains("Config::max_stack_bytes") => "; --stack raises it",
        () => "",
    }
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
