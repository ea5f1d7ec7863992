//! What a component may take: options, and what their errors say.

use canon_async_wasmi::{Config, Error, HeapMeter};
use clap::Args;

/// The stack of the thread that the command runs on: calls between components nest as deep as it allows. It is
/// reserved, and committed as it is used.
pub const NATIVE_STACK: usize = 256 << 20;

/// The most bytes of one guest's stack: a list of 100,000 nodes that drops itself recursively fits.
const GUEST_STACK: usize = 16 << 20;

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
    /// The engine's configuration; with a meter on the allocator, stacks count for what they take.
    pub fn config(&self, meter: Option<HeapMeter>) -> Config {
        let mut config = Config::new();
        config.max_stack_bytes(self.stack.unwrap_or(GUEST_STACK));
        if let Some(meter) = meter {
            config.heap_meter(meter);
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
fn size(text: &str) -> Result<usize, String> {
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
