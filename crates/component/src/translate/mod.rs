//! Component bytes to [`Plan`].
//!
//! Spec: Binary Format, and the Explainer's static semantics.
//!
//! Four passes. `scan` holds the bytes to the limits before anything is done whose cost is more than linear in them.
//! `wasmparser` validates everything, core code included. `decode` reads the binary into a list
//! of components, each with its definitions in order. `inline` then *executes* the definitions from the
//! root on: a `scope` for each instantiation holds its index spaces, and an index space holds not types
//! but the things themselves (this export of that core instance, that lift), so that the plan falls out and
//! a type that mentions a resource mentions the resource of the right instance. Nothing of the validator's
//! type information is used.

mod bind;
mod canon;
mod core_instances;
mod core_types;
mod decode;
mod error;
mod features;
mod inline;
mod intern;
mod limits;
mod scan;
mod scope;
mod types;
mod values;

pub use error::TranslateError;
pub use features::CoreFeatures;
pub use limits::PlanLimits;
pub(crate) use scan::core_operands;

use canon_async::setters;
use canon_async::spec::Features;
use wasmparser::Validator;

use crate::plan::Plan;

/// What a component may use, and how large its plan may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TranslateOptions {
    /// The Component Model's gated features.
    pub features: Features,
    /// What core modules may use.
    pub core: CoreFeatures,
    /// Limits of the plan.
    pub limits: PlanLimits,
}

setters!(TranslateOptions:
    with_features: features: Features, with_core: core: CoreFeatures, with_limits: limits: PlanLimits,
);
setters!(CoreFeatures:
    with_simd: simd: bool, with_exceptions: exceptions: bool, with_gc: gc: bool, with_threads: threads: bool,
    with_tail_calls: tail_calls: bool,
);
setters!(PlanLimits:
    with_nesting: nesting: u32, with_instances: instances: u32, with_modules: modules: u32, with_types: types: u32,
    with_steps: steps: u32, with_items: items: u32, with_type_size: type_size: u32,
    with_core_functions: core_functions: u32, with_core_items: core_items: u32, with_core_locals: core_locals: u32,
    with_core_operands: core_operands: u32,
);

/// Translates a component to a plan.
///
/// # Errors
/// The bytes are no component, the component is invalid (with `wasmparser`'s own text), it uses a feature that
/// is switched off or not implemented, or its plan is above a limit.
pub fn translate(bytes: &[u8], options: &TranslateOptions) -> Result<Plan, TranslateError> {
    check_preamble(bytes)?;
    let features = features::wasm_features(&options.features, &options.core);
    scan::scan(bytes, features, &options.limits)?;
    if let Err(error) = Validator::new_with_features(features).validate_all(bytes) {
        return Err(features::explain(bytes, features, error));
    }
    let decoded = decode::decode(bytes, features)?;
    inline::inline(&decoded, &options.limits)
}

/// Holds bytes to the limits without looking at whether they are valid, in time linear in them: for tools that do
/// something else with them first. [`translate`] does it by itself. A core module is looked at too, with the component
/// types in its custom sections.
///
/// # Errors
/// [`TranslateError::TooLarge`].
pub fn check_size(bytes: &[u8], options: &TranslateOptions) -> Result<(), TranslateError> {
    scan::scan(bytes, features::wasm_features(&options.features, &options.core), &options.limits)
}

/// Tells what is no component at all from a component that is broken.
fn check_preamble(bytes: &[u8]) -> Result<(), TranslateError> {
    match bytes {
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(TranslateError::CoreModule),
        [b'\0', b'a', b's', b'm', ..] => Ok(()),
        _ => Err(TranslateError::NotWasm),
    }
}
