//! Canonical definitions, executed: lifts, and built-ins with their core signatures.
//!
//! Spec: Explainer, "Canonical Definitions"; Canonical ABI, "Canonical Definitions".

use wasmparser::{CanonicalFunction as Syntax, CanonicalOption, ComponentValType};

use super::TranslateError;
use super::inline::Inliner;
use super::intern::next_index;
use super::scope::{ScopeId, TypeItem};
use crate::layout::Context;
use crate::plan::{
    BuiltinKind, CoreFuncType, CoreItem, CoreKind, CoreType, Func, Lift, Options, Step, StringEncoding,
};
use crate::types::{Field, FuncType, TypeDef, ValType};

const I32: CoreType = CoreType::I32;

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
        let one_to_one = CoreFuncType::new(&[I32], &[I32]);
        let one = CoreFuncType::new(&[I32], &[]);
        Ok(match canon {
            Syntax::Lower { func_index, options } => return self.lower(scope, *func_index, options),
            Syntax::ResourceNew { resource } => {
                (BuiltinKind::ResourceNew { resource: self.resource_type(scope, *resource)? }, one_to_one)
            }
            Syntax::ResourceDrop { resource } => {
                (BuiltinKind::ResourceDrop { resource: self.resource_type(scope, *resource)? }, one)
            }
            Syntax::ResourceRep { resource } => {
                (BuiltinKind::ResourceRep { resource: self.resource_type(scope, *resource)? }, one_to_one)
            }
            Syntax::ContextGet { ty, slot } => {
                self.context_type(*ty)?;
                (BuiltinKind::ContextGet { slot: *slot }, CoreFuncType::new(&[], &[I32]))
            }
            Syntax::ContextSet { ty, slot } => {
                self.context_type(*ty)?;
                (BuiltinKind::ContextSet { slot: *slot }, one)
            }
            Syntax::TaskReturn { result, options } => return self.task_return(scope, *result, options),
            Syntax::WaitableSetWait { memory } => {
                let memory = self.core_item(scope, CoreKind::Memory, *memory)?;
                (BuiltinKind::WaitableSetWait { memory }, CoreFuncType::new(&[I32, I32], &[I32]))
            }
            Syntax::WaitableSetPoll { memory } => {
                let memory = self.core_item(scope, CoreKind::Memory, *memory)?;
                (BuiltinKind::WaitableSetPoll { memory }, CoreFuncType::new(&[I32, I32], &[I32]))
            }
            Syntax::ThreadNewIndirect { table_index, .. } => {
                let table = self.core_item(scope, CoreKind::Table, *table_index)?;
                (BuiltinKind::ThreadNewIndirect { table }, CoreFuncType::new(&[I32, I32], &[I32]))
            }
            Syntax::ErrorContextNew { options } => {
                let (options, _) = self.options(scope, options)?;
                (BuiltinKind::ErrorContextNew { options }, CoreFuncType::new(&[I32, I32], &[I32]))
            }
            Syntax::ErrorContextDebugMessage { options } => {
                let (options, _) = self.options(scope, options)?;
                (BuiltinKind::ErrorContextDebugMessage { options }, CoreFuncType::new(&[I32, I32], &[]))
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
        let copy = CoreFuncType::new(&[I32, I32, I32], &[I32]);
        let cancel = CoreFuncType::new(&[I32], &[I32]);
        let drop = CoreFuncType::new(&[I32], &[]);
        Ok(Some(match canon {
            Syntax::StreamNew { ty } => {
                (BuiltinKind::StreamNew { stream: self.stream_type(scope, *ty)? }, new)
            }
            Syntax::StreamRead { ty, options } => {
                let stream = self.stream_type(scope, *ty)?;
                (BuiltinKind::StreamRead { stream, options: self.options(scope, options)?.0 }, copy)
            }
            Syntax::StreamWrite { ty, options } => {
                let stream = self.stream_type(scope, *ty)?;
                (BuiltinKind::StreamWrite { stream, options: self.options(scope, options)?.0 }, copy)
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
        let copy = CoreFuncType::new(&[I32, I32], &[I32]);
        let cancel = CoreFuncType::new(&[I32], &[I32]);
        let drop = CoreFuncType::new(&[I32], &[]);
        Ok(Some(match canon {
            Syntax::FutureNew { ty } => {
                (BuiltinKind::FutureNew { future: self.future_type(scope, *ty)? }, new)
            }
            Syntax::FutureRead { ty, options } => {
                let future = self.future_type(scope, *ty)?;
                (BuiltinKind::FutureRead { future, options: self.options(scope, options)?.0 }, copy)
            }
            Syntax::FutureWrite { ty, options } => {
                let future = self.future_type(scope, *ty)?;
                (BuiltinKind::FutureWrite { future, options: self.options(scope, options)?.0 }, copy)
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
        let (options, _) = self.options(scope, options)?;
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
        let (options, is_async) = self.options(scope, options)?;
        let ty = self.tables.funcs.get(ty).ok_or_else(|| self.expected("a function type"))?;
        let params = u32::try_from(ty.params.len()).unwrap_or(u32::MAX);
        let flat = self.tables.layouts.func(ty, is_async, Context::Lower);
        self.charge(params)?;
        let flat = flat.map_err(|error| TranslateError::of_type(error, self.at))?;
        Ok((BuiltinKind::Lower { func, options }, flat))
    }

    /// Its signature is that of a lowered function that takes the result.
    fn task_return(
        &mut self,
        scope: ScopeId,
        result: Option<ComponentValType>,
        options: &[CanonicalOption],
    ) -> Result<(BuiltinKind, CoreFuncType), TranslateError> {
        let result = self.opt_type(scope, result)?;
        let (options, _) = self.options(scope, options)?;
        let params = result.map(|ty| Field { name: "".into(), ty }).into_iter().collect();
        let takes = FuncType { params, result: None, is_async: false };
        let flat = self.tables.layouts.func(&takes, false, Context::Lower);
        let flat = flat.map_err(|error| TranslateError::of_type(error, self.at))?;
        Ok((BuiltinKind::TaskReturn { result, options }, flat))
    }

    /// The index of the options, and whether they say `async`.
    fn options(
        &mut self,
        scope: ScopeId,
        options: &[CanonicalOption],
    ) -> Result<(u32, bool), TranslateError> {
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
        let (index, new) = self.tables.options.intern(out)?;
        if new {
            self.step(Step::Options(index))?;
        }
        Ok((index, is_async))
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

    fn context_type(&self, ty: wasmparser::ValType) -> Result<(), TranslateError> {
        match ty {
            wasmparser::ValType::I32 => Ok(()),
            _ => Err(self.unsupported("🐘 a context slot other than i32")),
        }
    }
}

/// The name of a definition that is decoded and not implemented.
fn refused(canon: &Syntax) -> &'static str {
    match canon {
        Syntax::StreamForward { .. } => "⏩ stream.forward",
        Syntax::FutureForward { .. } => "⏩ future.forward",
        Syntax::ThreadSpawnRef { .. } => "🧵② thread.spawn-ref",
        Syntax::ThreadSpawnIndirect { .. } => "🧵② thread.spawn-indirect",
        Syntax::ThreadAvailableParallelism => "🧵② thread.available-parallelism",
        _ => "a canonical definition",
    }
}
