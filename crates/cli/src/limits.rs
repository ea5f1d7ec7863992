//! What components may take, and how long they may run: options, and what errors say of them.

use std::time::Duration;

use canon_async::Resource;
use canon_async_wasmi::{Config, Error, Stopped, Store};
use clap::Args;

use crate::suggest::{closest, list};

/// The stack of the thread that the command runs on: calls between components nest as deep as it allows. It
/// is reserved, and committed as it is used.
pub const NATIVE_STACK: usize = 256 << 20;

/// What a component may take without `--max-memory`.
const ROOT_BYTES: usize = if usize::BITS >= 64 { 1 << 30 } else { 128 << 20 };

/// What components may take, and how long they may run.
#[derive(Args, Clone, Copy, Debug)]
pub struct Limits {
    /// The most memory that a component may cause to be allocated, and twice as much for all of them: 512M,
    /// 4G. Default: 1G
    #[arg(long = "max-memory", alias = "memory", value_name = "SIZE", value_parser = size)]
    #[arg(allow_negative_numbers = true)]
    pub memory: Option<usize>,
    /// The most stack of one guest, which bounds its recursion. Default: 16M
    #[arg(long = "max-stack", alias = "stack", value_name = "SIZE", value_parser = size)]
    #[arg(allow_negative_numbers = true)]
    pub stack: Option<usize>,
    /// Let components use N of fuel: about one for an instruction, and one for 64 bytes or a value that they
    /// pass. Without this option: as much as they like
    #[arg(long, value_name = "N", value_parser = fuel, allow_negative_numbers = true)]
    pub fuel: Option<u64>,
    /// Let components run for so long, from when the first is instantiated: 5s, 500ms, 2m; a number alone is
    /// seconds. Without this option: as long as they like
    #[arg(long, value_name = "TIME", value_parser = duration, allow_negative_numbers = true)]
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

    /// Gives each of so many components as much memory as one may have, and the whole what they have
    /// together.
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
            _ if is_stack_overflow(error) => format!("{error} (--max-stack raises the limit)"),
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
        Resource::GuestStacks => "; --max-memory raises it, or a smaller --max-stack makes room",
        Resource::GuestBytes | Resource::HeapBytes => "; --max-memory raises it",
        _ => "",
    }
}

/// One of the store's limits: `--limit threads=1000`.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimit {
    set: fn(&mut canon_async::Limits, u32),
    value: u32,
}

/// The names of the store's limits, and how each is read and set.
type StoreField = (&'static str, fn(&canon_async::Limits) -> u32, fn(&mut canon_async::Limits, u32));

macro_rules! store_fields {
    ($($name:ident)*) => {
        const STORE_FIELDS: &[StoreField] =
            &[$((stringify!($name), |limits| limits.$name, |limits, value| limits.$name = value)),*];
    };
}

store_fields! {
    instances handles thread_indices tasks threads waitables sets streams error_contexts message_bytes
    queued lends types type_items resources functions depth
}

impl StoreLimit {
    /// Parses `name=number`.
    ///
    /// # Errors
    /// Text that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names = || STORE_FIELDS.iter().map(|(name, ..)| *name);
        let known = || format!("the limits are {}", list(names()));
        let Some((name, value)) = text.split_once('=') else {
            return Err(format!("expected NAME=N, such as threads=1000; {}", known()));
        };
        let name = name.trim().replace('-', "_");
        let Some((name, _, set)) = STORE_FIELDS.iter().find(|(field, ..)| *field == name) else {
            let similar = closest(&name, names());
            let similar = similar.map_or_else(String::new, |similar| format!("did you mean \"{similar}\"? "));
            return Err(format!("there is no limit \"{name}\"; {similar}{}", known()));
        };
        let value = number(value, u64::from(u32::MAX)).map_err(|error| format!("{name}: {error}"))?;
        Ok(Self { set: *set, value: u32::try_from(value).unwrap_or(u32::MAX) })
    }

    /// Sets these limits of stores. A root component may have all of what was set; of the rest half, as by
    /// default.
    pub fn configure(given: &[Self], config: &mut Config) {
        if given.is_empty() {
            return;
        }
        let mut limits = Config::DEFAULT_LIMITS;
        let mut roots = limits;
        for (_, get, set) in STORE_FIELDS {
            set(&mut roots, get(&limits).div_ceil(2));
        }
        for Self { set, value, .. } in given {
            set(&mut limits, *value);
            set(&mut roots, *value);
        }
        config.limits(limits).root_limits(roots);
    }

    /// What raises the limit that an error names, if it is one of these.
    pub fn hint(error: &Error) -> String {
        let Some(canon_async::Error::Capacity(reached)) = error.core() else { return String::new() };
        let field = reached.resource().field().strip_prefix("Limits::");
        let field = STORE_FIELDS.iter().find(|(name, ..)| Some(*name) == field);
        field.map_or_else(String::new, |(name, ..)| format!("; --limit {name}=N raises it"))
    }
}

/// A whole number of at most this.
fn number(text: &str, most: u64) -> Result<u64, String> {
    let expected = format!("expected a whole number from 0 to {most}");
    // Thousands may be told apart: 1_000_000.
    let digits: String = text.trim().chars().filter(|c| *c != '_').collect();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{expected}, found {}", found(text)));
    }
    let number = digits.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| format!("{expected}, {digits} is more"))
}

fn fuel(text: &str) -> Result<u64, String> {
    number(text, u64::MAX)
}

fn found(text: &str) -> String {
    if text.is_empty() { "nothing".into() } else { format!("\"{text}\"") }
}

/// A time: `5s`, `500ms`, `2m`, `1h`, `2.5`, which is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let text = text.trim();
    let expected = || format!("expected a time, such as 5s, 500ms or 2m, found {}", found(text));
    let unit = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (digits, seconds) = unit.unwrap_or((text, 1.0));
    let number: f64 = digits.trim().parse().map_err(|_| expected())?;
    if number.is_nan() || number < 0.0 {
        return Err(expected());
    }
    let time = Duration::try_from_secs_f64(number * seconds);
    time.map_err(|_| format!("{text} is longer than this machine can measure"))
}

/// A number of bytes: `1000`, `64K`, `512M`, `4G`.
pub fn size(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let expected = || {
        let found = found(text);
        format!("expected a number of bytes, such as 65536, 64K, 512M or 4G, found {found}")
    };
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (text.get(..text.len().saturating_sub(1)), 10),
        Some(b'm' | b'M') => (text.get(..text.len().saturating_sub(1)), 20),
        Some(b'g' | b'G') => (text.get(..text.len().saturating_sub(1)), 30),
        _ => (Some(text), 0),
    };
    let digits =
        digits.filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let digits = digits.ok_or_else(expected)?;
    let bytes = digits.parse().ok().and_then(|number: usize| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| format!("{text} is more than this machine can address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_of_a_store_has_its_name() {
        let shown = format!("{:?}", canon_async::Limits::HEAP);
        let body = shown.trim_start_matches("Limits {").trim_end_matches('}');
        let fields: Vec<_> =
            body.split(',').filter_map(|field| Some(field.split_once(':')?.0.trim())).collect();
        assert_eq!(STORE_FIELDS.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), fields);
    }

    #[test]
    fn times_have_units_or_are_seconds() {
        for (text, millis) in [
            ("5s", 5000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("2.5", 2500),
            ("0", 0),
            ("1e2", 100_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1", "-1s", "soon", "NaN", "5 parsecs"] {
            let error = duration(text).unwrap_err();
            assert!(error.starts_with("expected a time, such as 5s, 500ms or 2m, found "), "{text}: {error}");
        }
        assert_eq!(duration("1e30"), Err("1e30 is longer than this machine can measure".into()));
        assert_eq!(duration("inf"), Err("inf is longer than this machine can measure".into()));
    }
}
