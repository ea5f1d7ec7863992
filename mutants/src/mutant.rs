//! What the copy of the sources gets as `src/mutant.rs`: which mutant this process runs.
//!
//! The environment variable `MUTANT` is the number of the mutant that is on. `MUTANT_TRACE` is a file to
//! which each mutant's number is written when its code is reached for the first time.

extern crate std;

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::env;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::string::String;
use std::sync::LazyLock;

/// How many mutants there may be.
const MOST: usize = 32_768;

struct Active {
    number: u32,
    trace: Option<File>,
}

static ACTIVE: LazyLock<Active> = LazyLock::new(|| Active {
    number: env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0),
    trace: env::var("MUTANT_TRACE").ok().map(|path| {
        OpenOptions::new().append(true).create(true).open::<String>(path).expect("a file for the trace")
    }),
});
static REACHED: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];

/// Whether this mutant is on.
pub fn on(number: u32) -> bool {
    let active = &*ACTIVE;
    if let Some(mut trace) = active.trace.as_ref()
        && let Some(reached) = REACHED.get(number as usize)
        && !reached.swap(true, Relaxed)
    {
        writeln!(trace, "{number}").expect("the trace can be written");
    }
    active.number == number
}
