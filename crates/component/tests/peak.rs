//! What it takes to refuse a component, in memory: a file of its own, since it counts what the whole process allocates.

#[path = "common/attacks.rs"]
#[allow(dead_code, reason = "each test file uses a part")]
mod attacks;

use std::alloc::System;

use canon_async_component::{TranslateOptions, translate};
use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The input's own bytes, and the making of it, count too.
const AT_MOST: usize = 64 << 20;

#[test]
fn component_that_costs_more_than_its_bytes_is_refused_within_64_mib() {
    for attack in attacks::all() {
        let bytes = attack.bytes();
        let refused = translate(&bytes, &TranslateOptions::default());
        assert!(refused.is_err(), "{}", attack.name);
        let peak = ALLOCATOR.max_allocated();
        println!("{}: {} KiB at most so far", attack.name, peak >> 10);
        assert!(peak < AT_MOST, "{}: {peak} bytes", attack.name);
    }
}
