//! Canonical definitions: what they name is there, their core signatures are theirs, and their options are enough.
//!
//! Spec: Explainer, "Canonical ABI", "Canonical Built-ins".

use alloc::format;
use core::fmt::Display;

use canon_async::spec::{MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, PtrType};

use super::steps::Made;
use super::{Checked, in_range, wrong};
use crate::plan::{Builtin, BuiltinKind, CoreKind, Func, Lift, Options, PlanError};
use crate::signature;
use crate::types::{FuncType, TypeDef, ValType};

/// The largest slot of `context.get` and `context.set`.
const MAX_SLOT: u32 = 1;

/// What a definition takes of its options.
#[derive(Clone, Copy, Default)]
struct Needs {
    memory: bool,
    realloc: bool,
}

impl Made<'_> {
    /// `canon lift`.
    pub(super) fn check_lift(&self, path: &str, lift: &Lift) -> Checked {
        self.core_item(format_args!("{path}.func"), &lift.func, CoreKind::Func)?;
        let ty = self.func_type(format_args!("{path}.ty"), lift.ty)?;
        let at = format_args!("{path}.options");
        let options = self.options(at, lift.options)?;
        let spilled = self.overflows(params(ty), MAX_FLAT_PARAMS)?;
        let realloc = spilled || ty.params.iter().any(|param| self.facts.has_pointer(param.ty));
        let memory = match (ty.result, options.is_async) {
            (None, _) => false,
            // It comes by `task.return`.
            (Some(result), true) => {
                self.facts.has_pointer(result) || self.overflows([result], MAX_FLAT_PARAMS)?
            }
            (Some(result), false) => self.overflows([result], MAX_FLAT_RESULTS)?,
        };
        enough(at, options, Needs { memory: memory || realloc, realloc })
    }

    /// Any other canonical definition.
    pub(super) fn check_builtin(&self, path: &str, builtin: &Builtin) -> Checked {
        let Builtin { kind, core_type } = builtin;
        let at = format!("{path}.kind");
        self.immediates(&at, kind)?;
        if let Some(index) = signature::options_of(kind) {
            let at = format!("{at}.options");
            let options = self.options(&at, index)?;
            if options.callback.is_some() || options.post_return.is_some() {
                return Err(wrong(at, "a callback or a post-return, which only lifted functions have"));
            }
            enough(&at, options, self.needs(kind, options)?)?;
        }
        let at = format_args!("{path}.core_type");
        let types = &self.plan.core_types;
        in_range(at, *core_type, types.len(), "core function types")?;
        let Some(found) = types.get(*core_type as usize) else { return Ok(()) };
        // How wide the pointers of a core module's memory are is known when it is linked.
        for pointers in [PtrType::I32, PtrType::I64] {
            let expected = signature::of(self.plan, &self.facts.layouts, kind, pointers);
            if expected.map_err(|error| wrong(at, error))?.is_some_and(|expected| expected == *found) {
                return Ok(());
            }
        }
        Err(wrong(at, format_args!("{found} is not the type of {}", builtin.name())))
    }

    /// What a built-in names beside its options.
    fn immediates(&self, path: &str, kind: &BuiltinKind) -> Checked {
        match kind {
            BuiltinKind::Lower { func, .. } => self.func(format_args!("{path}.func"), *func),
            BuiltinKind::ResourceNew { resource } | BuiltinKind::ResourceRep { resource } => {
                self.own_resource(format_args!("{path}.resource"), *resource)
            }
            BuiltinKind::ResourceDrop { resource } => {
                let resources = self.plan.types.resources.len();
                in_range(format_args!("{path}.resource"), *resource, resources, "resource types")
            }
            BuiltinKind::ContextGet { slot } | BuiltinKind::ContextSet { slot } if *slot > MAX_SLOT => {
                Err(wrong(format_args!("{path}.slot"), format_args!("{slot}, and {MAX_SLOT} is the last")))
            }
            BuiltinKind::TaskReturn { result, .. } => {
                self.facts.unborrowed(format_args!("{path}.result"), *result)
            }
            BuiltinKind::WaitableSetWait { memory } | BuiltinKind::WaitableSetPoll { memory } => {
                self.core_item(format_args!("{path}.memory"), memory, CoreKind::Memory)
            }
            BuiltinKind::ThreadNewIndirect { table, start: _ } => {
                self.core_item(format_args!("{path}.table"), table, CoreKind::Table)
            }
            BuiltinKind::StreamNew { stream }
            | BuiltinKind::StreamRead { stream, .. }
            | BuiltinKind::StreamWrite { stream, .. }
            | BuiltinKind::StreamCancelRead { stream, .. }
            | BuiltinKind::StreamCancelWrite { stream, .. }
            | BuiltinKind::StreamDropReadable { stream }
            | BuiltinKind::StreamDropWritable { stream }
            | BuiltinKind::StreamForward { stream } => {
                let is_stream = |def: &TypeDef| matches!(def, TypeDef::Stream(_));
                self.def(format_args!("{path}.stream"), *stream, "a stream", is_stream)
            }
            BuiltinKind::FutureNew { future }
            | BuiltinKind::FutureRead { future, .. }
            | BuiltinKind::FutureWrite { future, .. }
            | BuiltinKind::FutureCancelRead { future, .. }
            | BuiltinKind::FutureCancelWrite { future, .. }
            | BuiltinKind::FutureDropReadable { future }
            | BuiltinKind::FutureDropWritable { future }
            | BuiltinKind::FutureForward { future } => {
                let is_future = |def: &TypeDef| matches!(def, TypeDef::Future(_));
                self.def(format_args!("{path}.future"), *future, "a future", is_future)
            }
            _ => Ok(()),
        }
    }

    fn def(&self, path: impl Display, index: u32, what: &str, is: impl Fn(&TypeDef) -> bool) -> Checked {
        in_range(&path, index, self.plan.types.defs.len(), "types")?;
        match self.plan.types.def(index) {
            Some(def) if is(def) => Ok(()),
            _ => {
                let found = self.plan.types.display(ValType::Defined(index));
                Err(wrong(path, format_args!("expected {what}, found {found}")))
            }
        }
    }

    fn func_type(&self, path: impl Display, index: u32) -> Result<&FuncType, PlanError> {
        let funcs = &self.plan.types.funcs;
        in_range(&path, index, funcs.len(), "function types")?;
        funcs.get(index as usize).ok_or_else(|| wrong(path, "no function type"))
    }

    /// What a built-in takes of its options.
    fn needs(&self, kind: &BuiltinKind, options: &Options) -> Result<Needs, PlanError> {
        let read = |element: Option<ValType>| Needs {
            memory: element.is_some(),
            realloc: element.is_some_and(|element| self.facts.has_pointer(element)),
        };
        let element = |index: u32| match self.plan.types.def(index) {
            Some(TypeDef::Stream(element) | TypeDef::Future(element)) => *element,
            _ => None,
        };
        Ok(match kind {
            BuiltinKind::Lower { func, .. } => self.lower_needs(*func, options)?,
            BuiltinKind::TaskReturn { result: Some(result), .. } => Needs {
                memory: self.facts.has_pointer(*result) || self.overflows([*result], MAX_FLAT_PARAMS)?,
                realloc: false,
            },
            BuiltinKind::StreamRead { stream: index, .. } | BuiltinKind::FutureRead { future: index, .. } => {
                read(element(*index))
            }
            BuiltinKind::StreamWrite { stream: index, .. }
            | BuiltinKind::FutureWrite { future: index, .. } => {
                Needs { memory: element(*index).is_some(), realloc: false }
            }
            BuiltinKind::ErrorContextNew { .. } => Needs { memory: true, realloc: false },
            BuiltinKind::ErrorContextDebugMessage { .. } => Needs { memory: true, realloc: true },
            _ => Needs::default(),
        })
    }

    fn lower_needs(&self, func: Func, options: &Options) -> Result<Needs, PlanError> {
        let Some(ty) = self.plan.func_type(func) else { return Ok(Needs::default()) };
        let (max, result_memory) = match (options.is_async, ty.result) {
            (true, result) => (MAX_FLAT_ASYNC_PARAMS, result.is_some()),
            (false, None) => (MAX_FLAT_PARAMS, false),
            (false, Some(result)) => (MAX_FLAT_PARAMS, self.overflows([result], MAX_FLAT_RESULTS)?),
        };
        let spilled = self.overflows(params(ty), max)?;
        let pointer = ty.params.iter().any(|param| self.facts.has_pointer(param.ty));
        let realloc = ty.result.is_some_and(|result| self.facts.has_pointer(result));
        Ok(Needs { memory: spilled || pointer || realloc || result_memory, realloc })
    }

    /// Whether values of these types are more core values than this.
    fn overflows(&self, types: impl IntoIterator<Item = ValType>, max: usize) -> Result<bool, PlanError> {
        let flat = self.facts.layouts.flat_all(types, max);
        flat.map(|flat| flat.is_none()).map_err(|error| wrong("types", error))
    }
}

fn params(ty: &FuncType) -> impl Iterator<Item = ValType> {
    ty.params.iter().map(|param| param.ty)
}

/// Options have what is needed of them.
fn enough(path: impl Display, options: &Options, needs: Needs) -> Checked {
    if needs.memory && options.memory.is_none() {
        return Err(wrong(path, "its values are passed in memory, and it names none"));
    }
    if needs.realloc && options.realloc.is_none() {
        return Err(wrong(path, "its values have to be allocated, and it names no realloc"));
    }
    Ok(())
}
