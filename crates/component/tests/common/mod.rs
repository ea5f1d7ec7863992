//! What the tests share.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod engine;
pub mod plans;

use canon_async::spec::Features;
use canon_async_component::{CoreFeatures, Plan, PlanLimits, TranslateError, TranslateOptions, translate};

/// A component in the text format, translated.
pub fn plan(text: &str) -> Plan {
    match try_plan(text, &TranslateOptions::default()) {
        Ok(plan) => plan,
        Err(error) => panic!("{error}"),
    }
}

pub fn try_plan(text: &str, options: &TranslateOptions) -> Result<Plan, TranslateError> {
    translate(&wat::parse_str(text).expect("the test's text is a component"), options)
}

/// The text of the error that a component is refused with.
pub fn refused(text: &str, options: &TranslateOptions) -> String {
    try_plan(text, options).expect_err("refused").to_string()
}

/// Everything switched on, implemented or not.
pub fn everything() -> TranslateOptions {
    let features = Features::ALL
        .with_shared_threading(true)
        .with_error_context(true)
        .with_memory64(true)
        .with_nested_names(true)
        .with_canonical_names(true)
        .with_values(true)
        .with_forward(true);
    TranslateOptions::default()
        .with_features(features)
        .with_core(CoreFeatures::ALL)
        .with_limits(PlanLimits::default())
}
