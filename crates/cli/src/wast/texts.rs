//! Components as text and bytes, and messages that are compared.

use canon_async_component::{CoreFeatures, Plan, TranslateOptions, translate};
use canon_async_wasmi::Features;
use wast::token::Id;
use wast::{QuoteWat, WastDirective, Wat};

/// Translates a component that may use everything in its core modules: most are never run. 🪺 is shut, since
/// the reference tests expect that nested names are refused.
pub fn plan(bytes: &[u8]) -> Result<Plan, String> {
    let features = Features::ALL.with_nested_names(false);
    let options = TranslateOptions::default().with_features(features).with_core(CoreFeatures::ALL);
    translate(bytes, &options).map_err(|error| error.to_string())
}

/// What is left of a plan that was written and read.
pub fn through_bytes(plan: &Plan) -> Result<Plan, String> {
    let bytes = plan.to_bytes().map_err(|error| format!("the plan can't be written: {error}"))?;
    let read = Plan::from_bytes(&bytes).map_err(|error| format!("the plan can't be read again: {error}"))?;
    if read != *plan {
        return Err("the plan is another one after it was written and read".into());
    }
    Ok(read)
}

/// A component's bytes.
pub fn component_bytes(wat: &mut QuoteWat<'_>) -> Result<Vec<u8>, String> {
    match wat {
        QuoteWat::Wat(Wat::Component(_)) | QuoteWat::QuoteComponent(..) => {
            wat.encode().map_err(|error| error.message())
        }
        QuoteWat::Wat(Wat::Module(_)) | QuoteWat::QuoteModule(..) => {
            Err("directive not supported: module (of a core module)".into())
        }
    }
}

/// `assert_invalid` and `assert_malformed`: the text can't be assembled, or the binary is refused. Returns
/// why. A core module is refused as the only thing in a component.
pub fn refused(mut wat: QuoteWat<'_>, message: &str, word: &str) -> Result<String, String> {
    let is_module = matches!(wat, QuoteWat::Wat(Wat::Module(_)) | QuoteWat::QuoteModule(..));
    let text = match wat.encode() {
        Ok(bytes) if is_module => plan(&around(&bytes)).err(),
        Ok(bytes) => plan(&bytes).err(),
        Err(error) => Some(error.message()),
    };
    let what = if is_module { "core module" } else { "component" };
    text.ok_or_else(|| format!("expected an {word} {what} with \"{message}\", it is valid"))
}

/// A component of a core module.
fn around(module: &[u8]) -> Vec<u8> {
    let mut component = b"\0asm\x0d\0\x01\0\x01".to_vec();
    let mut len = module.len();
    // LEB128: seven bits a byte, and whether there are more.
    while len >= 0x80 {
        component.push(u8::try_from(len & 0x7f).unwrap_or_default() | 0x80);
        len >>= 7;
    }
    component.push(u8::try_from(len).unwrap_or_default());
    component.extend_from_slice(module);
    component
}

/// What messages of traps begin with.
const TRAP: &str = "wasm trap: ";

/// Whether a trap's message is the expected text.
pub fn is(expected: &str, found: &str) -> Result<(), String> {
    let trap = found.strip_prefix(TRAP).unwrap_or(found);
    if trap == expected.strip_prefix(TRAP).unwrap_or(expected) {
        return Ok(());
    }
    Err(format!("expected \"{expected}\" and no more, found \"{found}\""))
}

/// Whether a message has the expected text in it.
pub fn contains(expected: &str, found: &str) -> Result<(), String> {
    let expected = expected.strip_prefix(TRAP).unwrap_or(expected);
    if found.contains(expected) {
        return Ok(());
    }
    Err(format!("expected \"{expected}\", found \"{found}\""))
}

pub fn unknown(what: &str, name: Option<Id<'_>>) -> String {
    match name {
        Some(id) => format!("there is no {what} ${}", id.name()),
        None => format!("there is no {what} yet"),
    }
}

/// The name of a directive that is not supported, as in the file.
pub fn name_of(directive: &WastDirective<'_>) -> &'static str {
    match directive {
        WastDirective::AssertInvalidCustom { .. } => "assert_invalid_custom",
        WastDirective::AssertMalformedCustom { .. } => "assert_malformed_custom",
        WastDirective::AssertException { .. } => "assert_exception",
        WastDirective::AssertSuspension { .. } => "assert_suspension",
        WastDirective::Thread(_) => "thread",
        WastDirective::Wait { .. } => "wait",
        _ => "of an unknown name",
    }
}
