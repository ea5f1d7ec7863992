//! What the copy of the sources gets as `src/mutant.rs`: which mutant this process runs.
//!
//! The environment variable `MUTANT` is the number of the mutant that is on. `MUTANT_TRACE` is a file to
//! which each mutant's number is written when its code is reached for the first time.

extern crate std;

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::env;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::format;
use std::string::String;
use std::sync::LazyLock;

/// How many mutants there may be.
const MOST: usize = 32_768;
/// Not a mutant's number: the environment has not been read.
const UNKNOWN: u32 = u32::MAX;
/// Not a mutant's number: what is reached is written down.
const TRACED: u32 = u32::MAX - 1;

static ACTIVE: AtomicU32 = AtomicU32::new(UNKNOWN);
static TRACE: LazyLock<Option<File>> = LazyLock::new(|| {
    let path = env::var("MUTANT_TRACE").ok()?;
    Some(OpenOptions::new().append(true).create(true).open::<String>(path).expect("a file for the trace"))
});
static REACHED: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];

/// Whether this mutant is on. A load and two comparisons: it is asked at every step of the core.
#[inline(always)]
pub fn on(number: u32) -> bool {
    let active = ACTIVE.load(Relaxed);
    active == number || active >= TRACED && seldom(number)
}

#[cold]
fn seldom(number: u32) -> bool {
    let Some(mut trace) = TRACE.as_ref() else {
        let active = env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0);
        ACTIVE.store(active, Relaxed);
        return active == number;
    };
    ACTIVE.store(TRACED, Relaxed);
    if let Some(reached) = REACHED.get(number as usize)
        && !reached.swap(true, Relaxed)
    {
        // At once: what other threads write must not come in between.
        trace.write_all(format!("{number}\n").as_bytes()).expect("the trace can be written");
    }
    false
}
