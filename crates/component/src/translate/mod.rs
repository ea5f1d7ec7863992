//! Component bytes to [`Plan`].
//!
//! Spec: Binary Format, and the Explainer's static semantics.
//!
//! Three passes. `wasmparser` validates everything, core code included. `decode` reads the binary into a list
//! of components, each with its definitions in order. `inline` then *executes* the definitions from the
//! root on: a `scope` for each instantiation holds its index spaces, and an index space holds not types
//! but the things themselves (this export of that core instance, that lift), so that the plan falls out and
//! a type that mentions a resource mentions the resource of the right instance. Nothing of the validator's
//! type information is used.

mod bind;
mod canon;
mod decode;
mod error;
mod features;
mod inline;
mod intern;
mod scope;
mod types;
mod values;

pub use error::TranslateError;
pub use features::CoreFeatures;

use canon_async::spec::Features;
use wasmparser::Validator;

use crate::plan::Plan;

/// What a component may use, and how large its plan may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TranslateOptions {
    /// The Component Model's gated features.
    pub features: Features,
    /// What core modules may use.
    pub core: CoreFeatures,
    /// Limits of the plan.
    pub limits: PlanLimits,
}

/// Limits of a plan. A component is small where its plan is not: thirty components that each instantiate the
/// one before twice make 2^30 instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanLimits {
    /// How deep components, instances and instance types may nest.
    pub nesting: u32,
    /// Component instances, and core instances.
    pub instances: u32,
    /// Core modules.
    pub modules: u32,
    /// Value types, function types and resource types, each.
    pub types: u32,
    /// Steps.
    pub steps: u32,
    /// Definitions executed, imports and exports listed, and so on: the time and the memory of the
    /// translation. Long names count for more than one.
    pub items: u32,
}

impl Default for PlanLimits {
    fn default() -> Self {
        Self {
            nesting: 100,
            instances: 10_000,
            modules: 1_000,
            types: 100_000,
            steps: 100_000,
            items: 2_000_000,
        }
    }
}

/// Translates a component to a plan.
///
/// # Errors
/// The bytes are no component, the component is invalid (with `wasmparser`'s own text), it uses a feature that
/// is switched off or not implemented, or its plan is above a limit.
pub fn translate(bytes: &[u8], options: &TranslateOptions) -> Result<Plan, TranslateError> {
    check_preamble(bytes)?;
    let features = features::wasm_features(&options.features, &options.core);
    if let Err(error) = Validator::new_with_features(features).validate_all(bytes) {
        return Err(features::explain(bytes, features, error));
    }
    let decoded = decode::decode(bytes, features, &options.limits)?;
    inline::inline(&decoded, &options.limits)
}

/// Tells what is no component at all from a component that is broken.
fn check_preamble(bytes: &[u8]) -> Result<(), TranslateError> {
    match bytes {
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(TranslateError::CoreModule),
        [b'\0', b'a', b's', b'm', ..] => Ok(()),
        _ => Err(TranslateError::NotWasm),
    }
}
