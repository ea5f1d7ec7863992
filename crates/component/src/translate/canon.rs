//! Canonical definitions, executed: lifts, and built-ins with their core signatures.
//!
//! Spec: Explainer, "Canonical Definitions"; Canonical ABI, "Canonical Definitions".

use canon_async::spec::PtrType;
use wasmparser::{CanonicalFunction as Syntax, CanonicalOption, ComponentValType};

use super::TranslateError;
use super::inline::Inliner;
use super::intern::next_index;
use super::scope::{CoreTypeItem, ScopeId, TypeItem};
use crate::layout::Context;
use crate::plan::{
    BuiltinKind, CoreComposite, CoreFuncType, CoreItem, CoreKind, CoreType, CoreValType, Func, Lift, Options,
    Step, StringEncoding,
};
use crate::signature;
use crate::types::{Origin, TypeDef, ValType};

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
        let (kind, ty) = match plain(canon) {
            Some(kind) => self.fixed(kind, PtrType::I32)?,
            None => self.with_immediates(scope, canon)?,
        };
        let (index, new) = self.tables.builtin(kind, ty)?;
        if new {
            self.step(Step::Builtin(index))?;
        }
        self.scope_mut(scope)?.core_funcs.push(CoreItem::Builtin(index));
        Ok(())
    }

    /// Built-ins with immediates of all kinds, and what is refused.
    fn with_immediates(
        &mut self,
        scope: ScopeId,
        canon: &Syntax,
    ) -> Result<(BuiltinKind, CoreFuncType), TranslateError> {
        let (kind, ptr) = match canon {
            Syntax::Lower { func_index, options } => return self.lower(scope, *func_index, options),
            Syntax::TaskReturn { result, options } => return self.task_return(scope, *result, options),
            Syntax::ResourceNew { resource } => {
                let resource = self.resource_type(scope, *resource)?;
                let rep = self.rep(resource)?;
                return Ok((BuiltinKind::ResourceNew { resource }, signature::resource_new(rep)));
            }
            Syntax::ResourceRep { resource } => {
                let resource = self.resource_type(scope, *resource)?;
                let rep = self.rep(resource)?;
                return Ok((BuiltinKind::ResourceRep { resource }, signature::resource_rep(rep)));
            }
            Syntax::ResourceDrop { resource } => {
                let resource = self.resource_type(scope, *resource)?;
                (BuiltinKind::ResourceDrop { resource }, PtrType::I32)
            }
            Syntax::ContextGet { ty, slot } => {
                (BuiltinKind::ContextGet { slot: *slot }, self.pointer_type(*ty)?)
            }
            Syntax::ContextSet { ty, slot } => {
                (BuiltinKind::ContextSet { slot: *slot }, self.pointer_type(*ty)?)
            }
            Syntax::WaitableSetWait { memory } => {
                let memory = self.core_item(scope, CoreKind::Memory, *memory)?;
                let ptr = self.ptr_type(&memory);
                (BuiltinKind::WaitableSetWait { memory }, ptr)
            }
            Syntax::WaitableSetPoll { memory } => {
                let memory = self.core_item(scope, CoreKind::Memory, *memory)?;
                let ptr = self.ptr_type(&memory);
                (BuiltinKind::WaitableSetPoll { memory }, ptr)
            }
            Syntax::ThreadNewIndirect { func_ty_index, table_index } => {
                let table = self.core_item(scope, CoreKind::Table, *table_index)?;
                let start = self.start_type(scope, *func_ty_index)?;
                let ptr = self.ptr_type(&table);
                (BuiltinKind::ThreadNewIndirect { table, start }, ptr)
            }
            Syntax::ErrorContextNew { options } => {
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                (BuiltinKind::ErrorContextNew { options }, ptr)
            }
            Syntax::ErrorContextDebugMessage { options } => {
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                (BuiltinKind::ErrorContextDebugMessage { options }, ptr)
            }
            _ => match self.stream(scope, canon)? {
                Some(found) => found,
                None => match self.future(scope, canon)? {
                    Some(found) => found,
                    None => return Err(self.unsupported(refused(canon))),
                },
            },
        };
        self.fixed(kind, ptr)
    }

    fn stream(
        &mut self,
        scope: ScopeId,
        canon: &Syntax,
    ) -> Result<Option<(BuiltinKind, PtrType)>, TranslateError> {
        let kind = match canon {
            Syntax::StreamNew { ty } => BuiltinKind::StreamNew { stream: self.stream_type(scope, *ty)? },
            Syntax::StreamRead { ty, options } => {
                let stream = self.stream_type(scope, *ty)?;
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                return Ok(Some((BuiltinKind::StreamRead { stream, options }, ptr)));
            }
            Syntax::StreamWrite { ty, options } => {
                let stream = self.stream_type(scope, *ty)?;
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                return Ok(Some((BuiltinKind::StreamWrite { stream, options }, ptr)));
            }
            Syntax::StreamCancelRead { ty, async_ } => {
                BuiltinKind::StreamCancelRead { stream: self.stream_type(scope, *ty)?, is_async: *async_ }
            }
            Syntax::StreamCancelWrite { ty, async_ } => {
                BuiltinKind::StreamCancelWrite { stream: self.stream_type(scope, *ty)?, is_async: *async_ }
            }
            Syntax::StreamDropReadable { ty } => {
                BuiltinKind::StreamDropReadable { stream: self.stream_type(scope, *ty)? }
            }
            Syntax::StreamDropWritable { ty } => {
                BuiltinKind::StreamDropWritable { stream: self.stream_type(scope, *ty)? }
            }
            Syntax::StreamForward { ty } => {
                BuiltinKind::StreamForward { stream: self.stream_type(scope, *ty)? }
            }
            _ => return Ok(None),
        };
        Ok(Some((kind, PtrType::I32)))
    }

    fn future(
        &mut self,
        scope: ScopeId,
        canon: &Syntax,
    ) -> Result<Option<(BuiltinKind, PtrType)>, TranslateError> {
        let kind = match canon {
            Syntax::FutureNew { ty } => BuiltinKind::FutureNew { future: self.future_type(scope, *ty)? },
            Syntax::FutureRead { ty, options } => {
                let future = self.future_type(scope, *ty)?;
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                return Ok(Some((BuiltinKind::FutureRead { future, options }, ptr)));
            }
            Syntax::FutureWrite { ty, options } => {
                let future = self.future_type(scope, *ty)?;
                let Given { index: options, ptr, .. } = self.options(scope, options)?;
                return Ok(Some((BuiltinKind::FutureWrite { future, options }, ptr)));
            }
            Syntax::FutureCancelRead { ty, async_ } => {
                BuiltinKind::FutureCancelRead { future: self.future_type(scope, *ty)?, is_async: *async_ }
            }
            Syntax::FutureCancelWrite { ty, async_ } => {
                BuiltinKind::FutureCancelWrite { future: self.future_type(scope, *ty)?, is_async: *async_ }
            }
            Syntax::FutureDropReadable { ty } => {
                BuiltinKind::FutureDropReadable { future: self.future_type(scope, *ty)? }
            }
            Syntax::FutureDropWritable { ty } => {
                BuiltinKind::FutureDropWritable { future: self.future_type(scope, *ty)? }
            }
            Syntax::FutureForward { ty } => {
                BuiltinKind::FutureForward { future: self.future_type(scope, *ty)? }
            }
            _ => return Ok(None),
        };
        Ok(Some((kind, PtrType::I32)))
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
        let index = next_index(self.plan.lifts.len(), "lifted functions", self.limits.steps())?;
        self.plan.lifts.push(Lift { func, ty, options });
        self.plan.names.lifts.push(None);
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
            match option {
                CanonicalOption::UTF8 => out.encoding = StringEncoding::Utf8,
                CanonicalOption::UTF16 => out.encoding = StringEncoding::Utf16,
                CanonicalOption::CompactUTF16 => out.encoding = StringEncoding::Latin1Utf16,
                CanonicalOption::Memory(index) => {
                    out.memory = Some(self.core_item(scope, CoreKind::Memory, *index)?);
                }
                CanonicalOption::Realloc(index) => {
                    out.realloc = Some(self.core_item(scope, CoreKind::Func, *index)?)
                }
                CanonicalOption::PostReturn(index) => {
                    out.post_return = Some(self.core_item(scope, CoreKind::Func, *index)?)
                }
                CanonicalOption::Callback(index) => {
                    out.callback = Some(self.core_item(scope, CoreKind::Func, *index)?)
                }
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

    /// A built-in with its core signature, which depends on nothing but how wide pointers are.
    fn fixed(&self, kind: BuiltinKind, ptr: PtrType) -> Result<(BuiltinKind, CoreFuncType), TranslateError> {
        let ty = signature::builtin(&kind, ptr).ok_or_else(|| self.expected("a built-in of one type"))?;
        Ok((kind, ty))
    }

    /// `$rt.rep`.
    fn rep(&self, resource: u32) -> Result<PtrType, TranslateError> {
        match self.tables.resources.get(resource as usize).map(|resource| &resource.origin) {
            Some(Origin::Defined { rep, .. }) => Ok(*rep),
            _ => Err(self.expected("a resource type of the component's own")),
        }
    }

    /// What the function of a thread takes.
    fn start_type(&self, scope: ScopeId, index: u32) -> Result<PtrType, TranslateError> {
        let item = self.scope(scope)?.core_types.get(index as usize);
        let def = match item {
            Some(CoreTypeItem::Def(index)) => self.core_types.get(*index),
            _ => None,
        };
        match def.map(|def| &def.composite) {
            Some(CoreComposite::Func(ty)) if ty.params == [CoreValType::Number(CoreType::I64)] => {
                Ok(PtrType::I64)
            }
            Some(CoreComposite::Func(_)) => Ok(PtrType::I32),
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

/// Built-ins that name nothing.
fn plain(canon: &Syntax) -> Option<BuiltinKind> {
    Some(match canon {
        Syntax::BackpressureInc => BuiltinKind::BackpressureInc,
        Syntax::BackpressureDec => BuiltinKind::BackpressureDec,
        Syntax::TaskCancel => BuiltinKind::TaskCancel,
        Syntax::WaitableSetNew => BuiltinKind::WaitableSetNew,
        Syntax::WaitableSetDrop => BuiltinKind::WaitableSetDrop,
        Syntax::WaitableJoin => BuiltinKind::WaitableJoin,
        Syntax::SubtaskCancel { async_ } => BuiltinKind::SubtaskCancel { is_async: *async_ },
        Syntax::SubtaskDrop => BuiltinKind::SubtaskDrop,
        Syntax::ThreadIndex => BuiltinKind::ThreadIndex,
        Syntax::ThreadResumeLater => BuiltinKind::ThreadResumeLater,
        Syntax::ThreadSuspend => BuiltinKind::ThreadSuspend,
        Syntax::ThreadYield => BuiltinKind::ThreadYield,
        Syntax::ThreadSuspendThenResume => BuiltinKind::ThreadSuspendThenResume,
        Syntax::ThreadYieldThenResume => BuiltinKind::ThreadYieldThenResume,
        Syntax::ThreadSuspendThenPromote => BuiltinKind::ThreadSuspendThenPromote,
        Syntax::ThreadYieldThenPromote => BuiltinKind::ThreadYieldThenPromote,
        Syntax::ErrorContextDrop => BuiltinKind::ErrorContextDrop,
        _ => return None,
    })
}

/// The name of a definition that is decoded and not implemented. Those of 🧵② are shared functions, which only core modules that have
/// shared functions themselves can import, and no engine here has them; the core has the built-ins for one that does.
fn refused(canon: &Syntax) -> &'static str {
    match canon {
        Syntax::ThreadSpawnRef { .. } => "🧵② thread.spawn-ref, which needs shared functions,",
        Syntax::ThreadSpawnIndirect { .. } => "🧵② thread.spawn-indirect, which needs shared functions,",
        Syntax::ThreadAvailableParallelism => {
            "🧵② thread.available-parallelism, which needs shared functions,"
        }
        _ => "a canonical definition",
    }
}
