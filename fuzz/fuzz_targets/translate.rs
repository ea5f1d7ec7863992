//! Component bytes to a plan: any bytes give a plan or an error, never a panic, and within the limits.
#![no_main]

use canon_async_component::{TranslateOptions, translate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let options = TranslateOptions::default();
    if let Ok(plan) = translate(bytes, &options) {
        // What was translated stays within what was allowed.
        assert!(plan.steps.len() <= options.limits.steps as usize);
        let _ = canon_async_component::inspect::inspect(&plan);
    }
});
