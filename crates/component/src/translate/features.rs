//! The spec's gates and core wasm's proposals, as `wasmparser` calls them.

use canon_async::spec::Features;
use wasmparser::WasmFeatures;

/// What core modules may use. The default is what interpreters without a garbage collector have: everything of
/// WebAssembly 2.0 but vectors, and of 3.0 tail calls, constant expressions, memories (several, of 64 bits,
/// with custom page sizes) and wide arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CoreFeatures {
    /// `v128`, and its relaxed operations.
    pub simd: bool,
    /// Exceptions and tags.
    pub exceptions: bool,
    /// Typed function references and garbage-collected types.
    pub gc: bool,
    /// Shared memories and atomics.
    pub threads: bool,
}

impl CoreFeatures {
    /// Everything: to validate, not to run.
    pub const ALL: Self = Self { simd: true, exceptions: true, gc: true, threads: true };
}

/// What the validator lets pass. A feature that is switched on and not implemented passes here and is
/// refused by name later; one that is switched off the validator refuses.
pub(super) fn wasm_features(features: &Features, core: &CoreFeatures) -> WasmFeatures {
    let mut all = WasmFeatures::WASM2.difference(WasmFeatures::SIMD)
        | WasmFeatures::TAIL_CALL
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
        (features.more_async_builtins, WasmFeatures::CM_MORE_ASYNC_BUILTINS),
        (features.async_stackful, WasmFeatures::CM_ASYNC_STACKFUL),
        (features.threading, WasmFeatures::CM_THREADING),
        (features.shared_threading, WasmFeatures::SHARED_EVERYTHING_THREADS),
        (features.fixed_length_lists, WasmFeatures::CM_FIXED_LENGTH_LISTS),
        (features.error_context, WasmFeatures::CM_ERROR_CONTEXT),
        (features.map, WasmFeatures::CM_MAP),
        (features.implements, WasmFeatures::CM_IMPLEMENTS),
        (features.nested_names, WasmFeatures::CM_NESTED_NAMES),
        (features.canonical_names, WasmFeatures::CM_CANON_NAMES),
        (features.values, WasmFeatures::CM_VALUES),
        (features.forward, WasmFeatures::CM_FORWARD),
        // 64-bit options would need the types of the memories to be refused by name; the validator knows them.
    ];
    for (on, feature) in switches {
        all.set(feature, on);
    }
    all
}
