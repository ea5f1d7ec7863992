//! What calls ended in, to see whether what is generated does more than trap: counted only where
//! `replay --outcomes` asks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

static COUNTS: AtomicBool = AtomicBool::new(false);

thread_local! {
    static SEEN: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Counts from now on.
pub fn count() {
    COUNTS.store(true, Ordering::Relaxed);
}

/// Something ended so.
pub fn note(outcome: impl FnOnce() -> String) {
    if COUNTS.load(Ordering::Relaxed) {
        // Numbers are of no interest.
        let outcome: String = outcome().chars().filter(|c| !c.is_ascii_digit()).take(100).collect();
        SEEN.with_borrow_mut(|seen| *seen.entry(outcome).or_default() += 1);
    }
}

/// What was seen, the most frequent first.
pub fn seen() -> Vec<(u64, String)> {
    let mut seen: Vec<_> =
        SEEN.with_borrow(|seen| seen.iter().map(|(what, count)| (*count, what.clone())).collect());
    seen.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    seen
}
