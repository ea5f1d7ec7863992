//! What ends components that don't end by themselves: `--fuel` and `--timeout`.

use std::time::Duration;

use canon_async_wasmi::{Config, Error, Stopped, Store};
use clap::Args;

use crate::limits;

/// How much components may run.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct TimeLimits {
    /// Let components use N of fuel: about one for an instruction, and one for 64 bytes or a value that they
    /// pass. Without this option: as much as they like
    #[arg(long, value_name = "N")]
    pub fuel: Option<u64>,
    /// Let components run for SECONDS (fractions allowed), from when the first is instantiated. Without this
    /// option: as long as they like
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl TimeLimits {
    /// What engines need for these limits.
    pub fn configure(self, config: &mut Config) -> &mut Config {
        config.fuel(self.fuel.is_some()).interruptible(self.timeout.is_some())
    }

    /// From now on they hold for a store.
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
        match (error.stopped(), self.fuel, self.timeout) {
            (Some(Stopped::Fuel), Some(fuel), _) => format!("{error}: {fuel} (--fuel raises the limit)"),
            (Some(Stopped::Deadline), _, Some(timeout)) => {
                format!("deadline passed: {} s (--timeout raises the limit)", timeout.as_secs_f64())
            }
            _ => format!("{error}{}", limits::option(error)),
        }
    }
}
