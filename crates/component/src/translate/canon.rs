//! Canonical definitions, executed: lifts, and built-ins with their core signatures.
//!
//! Spec: Explainer, "Canonical Definitions"; Canonical ABI, "Canonical Definitions".

use canon_async::spec::PtrType;
use wasmparser::{CanonicalFunction as Syntax, CanonicalOption, ComponentValType};

use super::TranslateError;
use super::inline::Inliner;
use super::intern::next_index;
use super::scope::{CoreTypeItem, ScopeId, TypeItem};
use crate::layout::{Context, pointer};
use crate::plan::{
    BuiltinKind, CoreFuncType, CoreItem, CoreKind, CoreType, Func, Lift, Options, Step, StringEncoding,
};
use crate::signature;
use crate::types::{Origin, TypeDef, ValType};

const I32: CoreType = CoreType::I32;

/// Canonical options of a definition.
struct Given {
    /// Their index in the plan.
    index: u32,
    /// `async`.
    is_async: bool,
    /// The type of pointers: that of the option `memory`, and else `i32`.
    ptr: PtrType,
}

impl<'t, 'a> Inliner<'t, 'a> {
    /// A canonical definition.
    pub(super) fn canon(&mut self, scope: ScopeId, canon: &Syntax) -> Result<(), TranslateError> {
        if let Syntax::Lift { core_func_index, type_index, options } = canon {
            return self.lift(scope, *core_func_index, *type_index, options);
        }
        let (kind, ty) = match self.plain(canon) {
            Some((kind, params, results)) => (kind, CoreFuncType::new(params, results)),
            None => self.with_immediates(scope, canon)?,
        };
        let (index, new) = self.tables.builtin(kind, ty)?;
        if new {
            self.step(Step::Builtin(index))?;
        }
        self.scope_mut(scope)?.core_funcs.push(CoreItem::Builtin(index));
        Ok(())
    }

    /// Built-ins that name nothing.
    fn plain(&self, canon: &Syntax) -> Option<(BuiltinKind, &'static [CoreType], &'static [CoreType])> {
        const NONE: &[CoreType] = &[];
        const ONE: &[CoreType] = &[I32];
        const TWO: &[CoreType] = &[I32, I32];
        Some(match canon {
            Syntax::BackpressureInc => (BuiltinKind::BackpressureInc, NONE, NONE),
            Syntax::BackpressureDec => (BuiltinKind::BackpressureDec, NONE, NONE),
            Syntax::TaskCancel => (BuiltinKind::TaskCancel, NONE, NONE),
            Syntax::WaitableSetNew => (BuiltinKind::WaitableSetNew, NONE, ONE),
            Syntax::WaitableSetDrop => (BuiltinKind::WaitableSetDrop, ONE, NONE),
            Syntax::WaitableJoin => (BuiltinKind::WaitableJoin, TWO, NONE),
            Syntax::SubtaskCancel { async_ } => (BuiltinKind::SubtaskCancel { is_async: *async_ }, ONE, ONE),
            Syntax::SubtaskDrop => (BuiltinKind::SubtaskDrop, ONE, NONE),
            Syntax::ThreadIndex => (BuiltinKind::ThreadIndex, NONE, ONE),
            Syntax::ThreadResumeLater => (BuiltinKind::ThreadResumeLater, ONE, NONE),
            Syntax::ThreadSuspend => (BuiltinKind::ThreadSuspend, NONE, ONE),
            Syntax::ThreadYield => (BuiltinKind::ThreadYield, NONE, ONE),
            Syntax::ThreadSuspendThenResume => (BuiltinKind::ThreadSuspendThenResume, ONE, ONE),
            Syntax::ThreadYieldThenResume => (BuiltinKind::ThreadYieldThenResume, ONE, ONE),
            Syntax::ThreadSuspendThenPromote => (BuiltinKind::ThreadSuspendThenPromote, ONE, ONE),
            Syntax::ThreadYieldThenPromote => (BuiltinKind::ThreadYieldThenPromote, ONE, ONE),
            Syntax::ErrorContextDrop => (BuiltinKind::ErrorContextDrop, ONE, NONE),
            _ => return None,
        })
    }

    /// Built-ins with immediates of all kinds, and what is refused.
    fn with_immediates(
        &mut self,
        scope: ScopeId,
        canon: &Syntax,
    ) -> Result<(BuiltinKind, CoreFuncType), TranslateError> {
        let one = CoreFuncType::new(&[I32], &[]);
        Ok(match canon {
            Syntax::Lower { func_index, options } => return self.lower(scope, *func_index, options),
            Syntax::ResourceNew { resource } => {
                let resource = self.resource_type(scope, *resource)?;
                let rep = self.rep(resource)?;
                (BuiltinKind::ResourceNew { resource }, CoreFuncType::new(&[rep], &[I32]))
            }
            Syntax::ResourceDrop { resource } => {
                (BuiltinKind::ResourceDrop { resource: self.resource_type(scope, *resource)? }, one)
            }
            Syntax::ResourceRep { resource } => {
                let resource = self.resource_type(scope, *resource)?;
                let rep = self.rep(resource)?;
                (BuiltinKind::ResourceRep { resource }, CoreFuncType::new(&[I32], &[rep]))
            }
            Syntax::ContextGet { ty, slot } => {
                let ty = self.pointer_type(*ty)?;
                (BuiltinKind::ContextGet { slot: *slot }, CoreFuncType::new(&[], &[pointer(ty)]))
            }
            Syntax::ContextSet { ty, slot } => {
                let ty = self.pointer_type(*ty)?;
                (BuiltinKind::ContextSet { slot: *slot }, CoreFuncType::new(&[pointer(ty)], &[]))
            }
            Syntax::TaskReturn { result, options } => return self.task_return(scope, *result, options),
            Syntax::WaitableSetWait { memory } => {
                let memory = self.core_item(scope, CoreKind::Memory, *memory)?;
                let ptr = self.ptr_type(&memory);
                self.pointing(BuiltinKind::WaitableSetWait { memory }, ptr)?
            }
            Syntax::WaitableSetPoll { memory } => {
                let memory = self.core_item(scope, CoreKind::Memory, *memory)?;
                let ptr = self.ptr_type(&memory);
                self.pointing(BuiltinKind::WaitableSetPoll { memory }, ptr)?
            }
            Syntax::ThreadNewIndirect { func_ty_index, table_index } => {
                let table = self.core_item(scope, CoreKind::Table, *table_index)?;
                let start = self.start_type(scope, *func_ty_index)?;
                let ty = CoreFuncType::new(&[pointer(self.ptr_type(&table)), pointer(start)], &[I32]);
                (BuiltinKind::ThreadNewIndirect { table, start }, ty)
            }
            Syntax::ErrorContextNew { options } => {
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                self.pointing(BuiltinKind::ErrorContextNew { options }, ptr)?
            }
            Syntax::ErrorContextDebugMessage { options } => {
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                self.pointing(BuiltinKind::ErrorContextDebugMessage { options }, ptr)?
            }
            _ => match self.stream(scope, canon)? {
                Some(found) => found,
                None => match self.future(scope, canon)? {
                    Some(found) => found,
                    None => return Err(self.unsupported(refused(canon))),
                },
            },
        })
    }

    fn stream(
        &mut self,
        scope: ScopeId,
        canon: &Syntax,
    ) -> Result<Option<(BuiltinKind, CoreFuncType)>, TranslateError> {
        let new = CoreFuncType::new(&[], &[CoreType::I64]);
        let cancel = CoreFuncType::new(&[I32], &[I32]);
        let drop = CoreFuncType::new(&[I32], &[]);
        Ok(Some(match canon {
            Syntax::StreamNew { ty } => {
                (BuiltinKind::StreamNew { stream: self.stream_type(scope, *ty)? }, new)
            }
            Syntax::StreamRead { ty, options } => {
                let stream = self.stream_type(scope, *ty)?;
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                self.pointing(BuiltinKind::StreamRead { stream, options }, ptr)?
            }
            Syntax::StreamWrite { ty, options } => {
                let stream = self.stream_type(scope, *ty)?;
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                self.pointing(BuiltinKind::StreamWrite { stream, options }, ptr)?
            }
            Syntax::StreamCancelRead { ty, async_ } => {
                let stream = self.stream_type(scope, *ty)?;
                (BuiltinKind::StreamCancelRead { stream, is_async: *async_ }, cancel)
            }
            Syntax::StreamCancelWrite { ty, async_ } => {
                let stream = self.stream_type(scope, *ty)?;
                (BuiltinKind::StreamCancelWrite { stream, is_async: *async_ }, cancel)
            }
            Syntax::StreamDropReadable { ty } => {
                (BuiltinKind::StreamDropReadable { stream: self.stream_type(scope, *ty)? }, drop)
            }
            Syntax::StreamDropWritable { ty } => {
                (BuiltinKind::StreamDropWritable { stream: self.stream_type(scope, *ty)? }, drop)
            }
            _ => return Ok(None),
        }))
    }

    fn future(
        &mut self,
        scope: ScopeId,
        canon: &Syntax,
    ) -> Result<Option<(BuiltinKind, CoreFuncType)>, TranslateError> {
        let new = CoreFuncType::new(&[], &[CoreType::I64]);
        let cancel = CoreFuncType::new(&[I32], &[I32]);
        let drop = CoreFuncType::new(&[I32], &[]);
        Ok(Some(match canon {
            Syntax::FutureNew { ty } => {
                (BuiltinKind::FutureNew { future: self.future_type(scope, *ty)? }, new)
            }
            Syntax::FutureRead { ty, options } => {
                let future = self.future_type(scope, *ty)?;
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                self.pointing(BuiltinKind::FutureRead { future, options }, ptr)?
            }
            Syntax::FutureWrite { ty, options } => {
                let future = self.future_type(scope, *ty)?;
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                self.pointing(BuiltinKind::FutureWrite { future, options }, ptr)?
            }
            Syntax::FutureCancelRead { ty, async_ } => {
                let future = self.future_type(scope, *ty)?;
                (BuiltinKind::FutureCancelRead { future, is_async: *async_ }, cancel)
            }
            Syntax::FutureCancelWrite { ty, async_ } => {
                let future = self.future_type(scope, *ty)?;
                (BuiltinKind::FutureCancelWrite { future, is_async: *async_ }, cancel)
            }
            Syntax::FutureDropReadable { ty } => {
                (BuiltinKind::FutureDropReadable { future: self.future_type(scope, *ty)? }, drop)
            }
            Syntax::FutureDropWritable { ty } => {
                (BuiltinKind::FutureDropWritable { future: self.future_type(scope, *ty)? }, drop)
            }
            _ => return Ok(None),
        }))
    }

    fn lift(
        &mut self,
        scope: ScopeId,
        func: u32,
        ty: u32,
        options: &[CanonicalOption],
    ) -> Result<(), TranslateError> {
        let func = self.core_item(scope, CoreKind::Func, func)?;
        let TypeItem::Func(ty) = self.type_item(scope, ty)? else {
            return Err(self.expected("a function type"));
        };
        let options = self.options(scope, options)?.index;
        let index = next_index(self.plan.lifts.len(), "lifted functions", self.limits.steps)?;
        self.plan.lifts.push(Lift { func, ty, options });
        self.step(Step::Lift(index))?;
        self.scope_mut(scope)?.funcs.push(Func::Lift(index));
        Ok(())
    }

    fn lower(
        &mut self,
        scope: ScopeId,
        func: u32,
        options: &[CanonicalOption],
    ) -> Result<(BuiltinKind, CoreFuncType), TranslateError> {
        let func = self.scope(scope)?.funcs.get(func as usize).copied();
        let func = func.ok_or_else(|| self.expected("a known function index"))?;
        let ty = self.plan.func_type_index(func).ok_or_else(|| self.expected("a function type"))?;
        let Given { index: options, is_async, ptr } = self.options(scope, options)?;
        let ty = self.tables.funcs.get(ty).ok_or_else(|| self.expected("a function type"))?;
        let params = u32::try_from(ty.params.len()).unwrap_or(u32::MAX);
        let flat = self.tables.layouts.func(ty, is_async, Context::Lower, ptr);
        self.charge(params)?;
        let flat = flat.map_err(|error| TranslateError::of_type(error, self.at))?;
        Ok((BuiltinKind::Lower { func, options }, flat))
    }

    fn task_return(
        &mut self,
        scope: ScopeId,
        result: Option<ComponentValType>,
        options: &[CanonicalOption],
    ) -> Result<(BuiltinKind, CoreFuncType), TranslateError> {
        let result = self.opt_type(scope, result)?;
        let Given { index: options, ptr, .. } = self.options(scope, options)?;
        let flat = signature::task_return(&self.tables.layouts, result, ptr);
        let flat = flat.map_err(|error| TranslateError::of_type(error, self.at))?;
        Ok((BuiltinKind::TaskReturn { result, options }, flat))
    }

    /// The options, interned.
    fn options(&mut self, scope: ScopeId, options: &[CanonicalOption]) -> Result<Given, TranslateError> {
        let mut out = Options {
            instance: self.scope(scope)?.instance,
            encoding: StringEncoding::Utf8,
            memory: None,
            realloc: None,
            post_return: None,
            callback: None,
            is_async: false,
        };
        for option in options {
            let func = |index: u32| self.core_item(scope, CoreKind::Func, index).map(Some);
            match option {
                CanonicalOption::UTF8 => out.encoding = StringEncoding::Utf8,
                CanonicalOption::UTF16 => out.encoding = StringEncoding::Utf16,
                CanonicalOption::CompactUTF16 => out.encoding = StringEncoding::Latin1Utf16,
                CanonicalOption::Memory(index) => {
                    out.memory = Some(self.core_item(scope, CoreKind::Memory, *index)?);
                }
                CanonicalOption::Realloc(index) => out.realloc = func(*index)?,
                CanonicalOption::PostReturn(index) => out.post_return = func(*index)?,
                CanonicalOption::Callback(index) => out.callback = func(*index)?,
                CanonicalOption::Async => out.is_async = true,
                CanonicalOption::CoreType(_) => return Err(self.unsupported("🛸 the option core-type")),
                CanonicalOption::Gc => return Err(self.unsupported("🛸 the option gc")),
            }
        }
        let is_async = out.is_async;
        let ptr = out.memory.as_ref().map_or(PtrType::I32, |memory| self.ptr_type(memory));
        let (index, new) = self.tables.options.intern(out)?;
        if new {
            self.step(Step::Options(index))?;
        }
        Ok(Given { index, is_async, ptr })
    }

    fn stream_type(&self, scope: ScopeId, index: u32) -> Result<u32, TranslateError> {
        match self.type_item(scope, index)? {
            TypeItem::Value(ValType::Defined(index))
                if matches!(self.tables.defs.get(index), Some(TypeDef::Stream(_))) =>
            {
                Ok(index)
            }
            _ => Err(self.expected("a stream type")),
        }
    }

    fn future_type(&self, scope: ScopeId, index: u32) -> Result<u32, TranslateError> {
        match self.type_item(scope, index)? {
            TypeItem::Value(ValType::Defined(index))
                if matches!(self.tables.defs.get(index), Some(TypeDef::Future(_))) =>
            {
                Ok(index)
            }
            _ => Err(self.expected("a future type")),
        }
    }

    /// A built-in with its core signature, which depends on how wide pointers are.
    fn pointing(
        &self,
        kind: BuiltinKind,
        ptr: PtrType,
    ) -> Result<(BuiltinKind, CoreFuncType), TranslateError> {
        let ty = signature::builtin(&kind, ptr).ok_or_else(|| self.expected("a built-in with pointers"))?;
        Ok((kind, ty))
    }

    /// `$rt.rep`.
    fn rep(&self, resource: u32) -> Result<CoreType, TranslateError> {
        match self.tables.resources.get(resource as usize).map(|resource| &resource.origin) {
            Some(Origin::Defined { rep, .. }) => Ok(pointer(*rep)),
            _ => Err(self.expected("a resource type of the component's own")),
        }
    }

    /// What the function of a thread takes.
    fn start_type(&self, scope: ScopeId, index: u32) -> Result<PtrType, TranslateError> {
        match self.scope(scope)?.core_types.get(index as usize) {
            Some(CoreTypeItem::Func(ty)) if ty.params() == [wasmparser::ValType::I64] => Ok(PtrType::I64),
            Some(CoreTypeItem::Func(_)) => Ok(PtrType::I32),
            _ => Err(self.expected("a core function type")),
        }
    }

    /// `i32` or `i64`.
    pub(super) fn pointer_type(&self, ty: wasmparser::ValType) -> Result<PtrType, TranslateError> {
        match ty {
            wasmparser::ValType::I32 => Ok(PtrType::I32),
            wasmparser::ValType::I64 => Ok(PtrType::I64),
            _ => Err(self.expected("i32 or i64")),
        }
    }
}

/// The name of a definition that is decoded and not implemented. Those of 🧵② are shared functions, which only core modules that have
/// shared functions themselves can import, and no engine here has them; the core has the built-ins for one that does.
fn refused(canon: &Syntax) -> &'static str {
    match canon {
        Syntax::StreamForward { .. } => "⏩ stream.forward",
        Syntax::FutureForward { .. } => "⏩ future.forward",
        Syntax::ThreadSpawnRef { .. } => "🧵② thread.spawn-ref, which needs shared functions,",
        Syntax::ThreadSpawnIndirect { .. } => "🧵② thread.spawn-indirect, which needs shared functions,",
        Syntax::ThreadAvailableParallelism => {
            "🧵② thread.available-parallelism, which needs shared functions,"
        }
        _ => "a canonical definition",
    }
}
