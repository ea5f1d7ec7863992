//! The spec's gates and core wasm's proposals, as `wasmparser` calls them.

use canon_async::spec::Features;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use super::TranslateError;

/// What core modules may use. The default is what interpreters without a garbage collector have: everything of
/// WebAssembly 2.0 but vectors, and of 3.0 constant expressions, memories (several, of 64 bits,
/// with custom page sizes) and wide arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CoreFeatures {
    /// `v128`, and its relaxed operations.
    pub simd: bool,
    /// Exceptions and tags.
    pub exceptions: bool,
    /// Typed function references and garbage-collected types.
    pub gc: bool,
    /// Shared memories and atomics.
    pub threads: bool,
    /// `return_call` and its like.
    pub tail_calls: bool,
}

impl CoreFeatures {
    /// Everything: to validate, not to run.
    pub const ALL: Self = Self { simd: true, exceptions: true, gc: true, threads: true, tail_calls: true };
}

/// One of the spec's gates.
struct Gate {
    /// Its sign and what it is about, for messages.
    name: &'static str,
    is_on: fn(&Features) -> bool,
    flag: WasmFeatures,
}

/// The gates, in the order of [`Features`].
#[rustfmt::skip]
const GATES: [Gate; 13] = [
    Gate { name: "🚝 more async built-ins", is_on: |f| f.more_async_builtins, flag: WasmFeatures::CM_MORE_ASYNC_BUILTINS },
    Gate { name: "🚟 stackful async lifts", is_on: |f| f.async_stackful, flag: WasmFeatures::CM_ASYNC_STACKFUL },
    Gate { name: "🧵 threads", is_on: |f| f.threading, flag: WasmFeatures::CM_THREADING },
    Gate { name: "🧵② shared threads", is_on: |f| f.shared_threading, flag: WasmFeatures::SHARED_EVERYTHING_THREADS },
    Gate { name: "🔧 fixed-length lists", is_on: |f| f.fixed_length_lists, flag: WasmFeatures::CM_FIXED_LENGTH_LISTS },
    Gate { name: "📝 error contexts", is_on: |f| f.error_context, flag: WasmFeatures::CM_ERROR_CONTEXT },
    Gate { name: "🐘 64-bit memories", is_on: |f| f.memory64, flag: WasmFeatures::CM64 },
    Gate { name: "🗺️ maps", is_on: |f| f.map, flag: WasmFeatures::CM_MAP },
    Gate { name: "🏷️ implements and external-id", is_on: |f| f.implements, flag: WasmFeatures::CM_IMPLEMENTS },
    Gate { name: "🪺 nested names", is_on: |f| f.nested_names, flag: WasmFeatures::CM_NESTED_NAMES },
    Gate { name: "🔗 canonical names", is_on: |f| f.canonical_names, flag: WasmFeatures::CM_CANON_NAMES },
    Gate { name: "🪙 values", is_on: |f| f.values, flag: WasmFeatures::CM_VALUES },
    Gate { name: "➡️ forwarding", is_on: |f| f.forward, flag: WasmFeatures::CM_FORWARD },
];

/// The section of value definitions, which `wasmparser` does not know.
const VALUE_SECTION: u8 = 12;

/// What the validator lets pass. A feature that is switched on and not implemented passes here and is
/// refused by name later; one that is switched off the validator refuses.
pub(super) fn wasm_features(features: &Features, core: &CoreFeatures) -> WasmFeatures {
    let mut all = WasmFeatures::WASM2.difference(WasmFeatures::SIMD)
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::MEMORY64
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::CM_ASYNC;
    let switches = [
        (core.simd, WasmFeatures::SIMD | WasmFeatures::RELAXED_SIMD),
        (core.exceptions, WasmFeatures::EXCEPTIONS),
        (core.gc, WasmFeatures::FUNCTION_REFERENCES | WasmFeatures::GC),
        (core.threads, WasmFeatures::THREADS),
        (core.tail_calls, WasmFeatures::TAIL_CALL),
    ];
    for (on, feature) in switches {
        all.set(feature, on);
    }
    for gate in &GATES {
        all.set(gate.flag, (gate.is_on)(features));
    }
    all
}

/// What the validator refused, and the gate behind it, if it is one: the one that lets it get furthest when it is opened. That
/// costs as many more validations as gates are shut, of components that are refused.
pub(super) fn explain(bytes: &[u8], features: WasmFeatures, error: wasmparser::Error) -> TranslateError {
    if is_value_section(bytes, error.offset()) {
        return TranslateError::unsupported("🪙 a value definition", error.offset());
    }
    let mut furthest: Option<(u64, &Gate)> = None;
    for gate in GATES.iter().filter(|gate| !features.contains(gate.flag)) {
        let progress = match Validator::new_with_features(features | gate.flag).validate_all(bytes) {
            Ok(_) => u64::MAX,
            Err(other) if other.message() != error.message() => other.offset(),
            Err(other) if other.offset() > error.offset() => other.offset(),
            Err(_) => continue,
        };
        if progress >= error.offset() && furthest.is_none_or(|(offset, _)| progress > offset) {
            furthest = Some((progress, gate));
        }
    }
    match furthest {
        Some((_, gate)) => {
            TranslateError::Gated { gate: gate.name, message: error.message().into(), offset: error.offset() }
        }
        None => error.into(),
    }
}

fn is_value_section(bytes: &[u8], offset: u64) -> bool {
    Parser::new(0).parse_all(bytes).map_while(Result::ok).any(|payload| match payload {
        Payload::UnknownSection { id, range, .. } => id == VALUE_SECTION && range.start == offset,
        _ => false,
    })
}
