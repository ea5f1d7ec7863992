//! Core modules that say what component they are to be.
//!
//! A guest that was built with wit-bindgen for `wasm32-unknown-unknown` is a core module whose sections `component-type:..` hold
//! its world. wit-component makes a component of it.

use std::fmt;

/// Why a core module could not be made a component.
#[derive(Debug)]
#[non_exhaustive]
pub enum WrapError {
    /// It has no section `component-type`.
    NoType,
    /// It does not fit the type that it has, or is no module at all; wit-component's own text.
    Invalid(String),
}

impl fmt::Display for WrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoType => f.write_str(
                "this is a core module, not a component; expected a component, or a core module with a section \
                 \"component-type\", as wit-bindgen builds it",
            ),
            Self::Invalid(text) => write!(f, "no component can be made of this core module: {text}"),
        }
    }
}

impl std::error::Error for WrapError {}

/// Makes a component of a core module that carries its component type.
///
/// # Errors
/// [`WrapError`].
pub fn component(module: &[u8]) -> Result<Vec<u8>, WrapError> {
    let (typed, _) =
        wit_component::metadata::decode(module).map_err(|e| WrapError::Invalid(format!("{e:#}")))?;
    if typed.is_none() {
        return Err(WrapError::NoType);
    }
    let mut encoder = wit_component::ComponentEncoder::default();
    let encoded = encoder.module(module).and_then(|encoder| encoder.encode());
    encoded.map_err(|error| WrapError::Invalid(format!("{error:#}")))
}
