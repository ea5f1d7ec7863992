//! [`Wx`]: what the core sees of wasmi.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::task::{Context, Waker};
#[cfg(feature = "std")]
use core::time::Duration;

use canon_async::ambient::own;
use canon_async::canon::Builtin;
use canon_async::id::{FuncRef, HostCall, MemoryRef, TableRef, TaskId, ThreadId};
use canon_async::run;
use canon_async::spec::{MAX_CORE_PARAMS, PtrType};
use canon_async::{Embedding, Error, Heap, Outcome, Store, Trap};
use canon_async_component::Val;
use canon_async_component::plan::{CoreFuncType, CoreType};
use wasmi::{AsContextMut as _, Nullable, Ref, StoreContextMut, TrapCode, Val as CoreVal};

use crate::budget::Payer;
#[cfg(feature = "std")]
use crate::config::{DEPTH, NATIVE_RESERVE};
use crate::continuation::{Frames, Parked, Ran};
use crate::later::{Answer, Due, guarded};
use crate::linker::Given;
use crate::state::{CoreFunc, HOST_MEMORY, HostEntry, State, WasmFunc};
use crate::store::Caller;
#[cfg(feature = "std")]
use crate::typed::Typed;

/// [`Trap::Engine`] of an error of wasmi that has no trap code.
pub(crate) const OTHER_TRAP: u32 = 0x100;
/// [`Trap::Engine`] of a host function's error.
pub(crate) const HOST_TRAP: u32 = 0x101;

/// A wasmi store as an [`Embedding`] and a [`canon_async_component::Engine`].
///
/// It is a type of its own since Rust's orphan rule does not let wasmi's types implement the core's traits.
pub struct Wx<'a, T: 'static>(pub(crate) StoreContextMut<'a, State<T>>);

impl<T> fmt::Debug for Wx<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wx").field(&self.state().core).finish()
    }
}

/// A built-in suspends: its host function "fails" with this, which makes wasmi set the frames aside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block;

/// The core's error on its way through wasmi.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried(pub Error);

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a guest blocks")
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl wasmi::errors::HostError for Block {}
impl wasmi::errors::HostError for Carried {}

/// Raw bits as wasmi's value.
pub(crate) fn to_core(ty: CoreType, bits: u64) -> CoreVal {
    match ty {
        CoreType::I32 => CoreVal::I32(bits as u32 as i32),
        CoreType::I64 => CoreVal::I64(bits as i64),
        CoreType::F32 => CoreVal::F32(wasmi::F32::from_bits(bits as u32)),
        CoreType::F64 => CoreVal::F64(wasmi::F64::from_bits(bits)),
    }
}

/// wasmi's value as raw bits; 0 for vectors and references, which no function that is called here answers.
pub(crate) fn to_bits(val: &CoreVal) -> u64 {
    match val {
        CoreVal::I32(v) => u64::from(*v as u32),
        CoreVal::I64(v) => *v as u64,
        CoreVal::F32(v) => u64::from(v.to_bits()),
        CoreVal::F64(v) => v.to_bits(),
        _ => 0,
    }
}

/// What there is to call.
enum Target<T: 'static> {
    #[cfg(feature = "std")]
    Typed(Typed),
    /// With its number of parameters, and whether it has a result.
    Wasm(wasmi::Func, usize, bool),
    Host(Arc<HostEntry<T>>),
    HostRealloc,
}

/// How a stretch of wasm ended that did not trap in wasm.
enum Ended {
    Returned(u64),
    /// A host function failed, or blocks.
    Stopped(Frames),
}

type Args = [CoreVal; MAX_CORE_PARAMS];

const NO_ARGS: Args = [const { CoreVal::I32(0) }; MAX_CORE_PARAMS];
const UNCALLABLE: Error = Error::Misuse("a core function of a type that can't be called");
const NO_FUNC: Error = Error::Misuse("an unknown core function");
const NO_HOST_CALL: Error = Error::Misuse("a host function was called where it can't be");

impl<T> Wx<'_, T> {
    pub(crate) fn state(&self) -> &State<T> {
        self.0.data()
    }

    pub(crate) fn state_mut(&mut self) -> &mut State<T> {
        self.0.data_mut()
    }

    /// The core's error with its text, and where guests were.
    pub(crate) fn explain(&mut self, error: Error) -> crate::Error {
        let State { trace, core, .. } = self.state_mut();
        let at = trace.take(core, error);
        let error = match error {
            Error::Capacity(reached) => self.state().reached(reached).into(),
            error => error,
        };
        if let Error::Capacity(reached) = error
            && let Some(text) = self.state().engine.limit_text(reached.resource())
        {
            return crate::Error::Trap { error, text, at };
        }
        match (error, &self.state().trap_text) {
            (Error::Trap(Trap::Engine(_)), Some(text)) => {
                crate::Error::Trap { error, text: text.to_string(), at }
            }
            _ => crate::Error::plain(error).at(at),
        }
    }

    /// wasmi's error as the core's; what the number does not say is kept as text.
    pub(crate) fn error_of(&mut self, error: &wasmi::Error) -> Error {
        if let Some(Carried(error)) = error.downcast_ref::<Carried>() {
            return *error;
        }
        if error.downcast_ref::<Block>().is_some() {
            return Error::Bug("a guest blocked where it can't be set aside");
        }
        match error.as_trap_code() {
            Some(TrapCode::OutOfFuel) => self.out_of_fuel(),
            Some(code) => self.trap(u32::from(u8::from(code)), Cow::Borrowed(code.trap_message())),
            None => self.trap(OTHER_TRAP, Cow::Owned(error.to_string())),
        }
    }

    /// A trap that the core knows by a number.
    pub(crate) fn trap(&mut self, code: u32, text: Cow<'static, str>) -> Error {
        self.state_mut().trap_text = Some(text);
        Error::Trap(Trap::Engine(code))
    }

    /// What a reference stands for.
    fn target(&self, func: FuncRef, args: &[u64]) -> Result<Target<T>, Error> {
        match self.state().funcs.get(func.index()) {
            #[cfg(feature = "std")]
            Some(CoreFunc::Wasm(WasmFunc { typed: Some(typed), .. })) => Ok(Target::Typed(*typed)),
            Some(CoreFunc::Wasm(entry)) => {
                let CoreFuncType { params, results } = entry.ty.as_ref().ok_or(UNCALLABLE)?;
                if params.len() != args.len() || params.len() > MAX_CORE_PARAMS || results.len() > 1 {
                    return Err(UNCALLABLE);
                }
                Ok(Target::Wasm(entry.func, params.len(), !results.is_empty()))
            }
            Some(CoreFunc::Host(entry)) => Ok(Target::Host(entry.clone())),
            Some(CoreFunc::HostRealloc) => Ok(Target::HostRealloc),
            None => Err(NO_FUNC),
        }
    }

    /// Arguments as wasmi takes them.
    fn core_args(&self, func: FuncRef, args: &[u64], vals: &mut Args) {
        if let Some(CoreFunc::Wasm(WasmFunc { ty: Some(ty), .. })) = self.state().funcs.get(func.index()) {
            for ((to, bits), ty) in vals.iter_mut().zip(args).zip(&ty.params) {
                *to = to_core(*ty, *bits);
            }
        }
    }

    /// A stack for a thread that begins, which counts to the root that pays for the thread: that.
    fn take_stack_for(&mut self, thread: ThreadId) -> Result<Payer, Error> {
        let payer = self.state().core.payer_of(thread);
        self.state_mut().take_stack(payer)?;
        Ok(payer)
    }

    /// Runs wasm that can be set aside, for a thread: on a new stack, or that of its frames, which counts
    /// already. `func` is where it was entered, if that is known.
    fn run(
        &mut self,
        thread: ThreadId,
        payer: Payer,
        func: Option<FuncRef>,
        run: impl FnOnce(StoreContextMut<'_, State<T>>) -> Result<Ran, wasmi::Error>,
    ) -> Result<Outcome, Error> {
        let outer = self.account_thread(thread);
        let outcome = self.run_slices(false, run).and_then(|ended| self.ran((thread, payer, func), ended));
        self.account(outer);
        if !matches!(outcome, Ok(Outcome::Blocked)) {
            self.state_mut().free_stack(payer);
        }
        if outcome.is_err() {
            self.state_mut().trace.wasm_failed(func);
        }
        outcome
    }

    /// What came of a stretch of wasm; of a thread that blocks, the frames are kept, and its stack goes on counting.
    fn ran(
        &mut self,
        (thread, payer, func): (ThreadId, Payer, Option<FuncRef>),
        ended: Ended,
    ) -> Result<Outcome, Error> {
        match ended {
            Ended::Returned(bits) => Ok(Outcome::Returned(bits)),
            Ended::Stopped(frames) => {
                if frames.host_error().downcast_ref::<Block>().is_none() {
                    return Err(self.error_of(frames.host_error()));
                }
                let state = self.state_mut();
                state.budget.admit(payer, state.other_bytes(), 0)?;
                state.parked.park(thread, Parked::Frames(frames, payer, func))?;
                Ok(Outcome::Blocked)
            }
        }
    }

    /// Runs wasm that can't be set aside.
    pub(crate) fn run_plain(
        &mut self,
        func: Option<FuncRef>,
        run: impl FnOnce(StoreContextMut<'_, State<T>>) -> Result<Ran, wasmi::Error>,
    ) -> Result<u64, Error> {
        let payer = self.state().grower();
        self.state_mut().take_stack(payer)?;
        let outer = self.account(payer);
        let ended = self.run_slices(true, run);
        self.account(outer);
        self.state_mut().free_stack(payer);
        let result = match ended {
            Ok(Ended::Returned(bits)) => return Ok(bits),
            Ok(Ended::Stopped(frames)) => self.error_of(frames.host_error()),
            Err(error) => error,
        };
        if let Some(func) = func {
            let State { trace, core, .. } = self.state_mut();
            trace.leaf_failed(core, func, result);
        }
        Err(result)
    }

    /// Runs wasm, slice after slice of fuel.
    fn run_slices(
        &mut self,
        plain: bool,
        run: impl FnOnce(StoreContextMut<'_, State<T>>) -> Result<Ran, wasmi::Error>,
    ) -> Result<Ended, Error> {
        let outer = core::mem::replace(&mut self.state_mut().plain, plain);
        let mut ran = run(self.0.as_context_mut());
        let ended = loop {
            match ran {
                Ok(Ran::Returned(bits)) => break Ok(Ended::Returned(bits)),
                Ok(Ran::Stopped(frames)) => break Ok(Ended::Stopped(frames)),
                Ok(Ran::Starved(frames)) => {
                    if let Err(error) = self.next_slice(frames.needed()) {
                        break Err(error);
                    }
                    ran = frames.resume(self.0.as_context_mut());
                }
                Err(error) => break Err(self.error_of(&error)),
            }
        };
        self.state_mut().plain = outer;
        ended
    }

    fn call_host(&mut self, thread: ThreadId, entry: &HostEntry<T>, args: &[u64]) -> Result<Outcome, Error> {
        // The core's tables may have grown since: what is left is for the arguments.
        self.state_mut().settle();
        self.look()?;
        let args = self.with_meter(|State { host_memory, meter, .. }| {
            Ok(entry.sig.decode_args(args, host_memory, meter))
        })?;
        let args = args.map_err(|error| self.host_error(error.into()))?;
        let task = self.store().thread(thread).map(|thread| thread.task());
        let due = Due { sig: entry.sig.clone(), borrowed: self.borrowed(task, &args), task };
        let given = guarded(|| (entry.func.0)(Caller(Wx(self.0.as_context_mut())), &args));
        match given.unwrap_or_else(|error| Given::Now(Err(error))) {
            Given::Now(answer) => self.host_answer(answer, &due).map(Outcome::Returned),
            Given::Later(future) => {
                self.answer_later(thread, future, due)?;
                Ok(Outcome::Blocked)
            }
        }
    }

    /// A host function has answered: what it borrowed goes back, and its result to flat values.
    fn host_answer(&mut self, answer: Answer, due: &Due) -> Result<u64, Error> {
        let val = answer.map_err(|error| self.host_error(error))?;
        for handle in &due.borrowed {
            // It may have dropped some itself, and somebody else may have the index now.
            if let Ok(held) = self.store().host_resource(*handle)
                && held.borrow_scope.is_some()
                && held.borrow_scope == due.task
            {
                run::builtin(self, Builtin::ResourceDrop(held.ty), &[u64::from(*handle)])?;
            }
        }
        let bits = self.with_meter(|State { host_memory, meter, .. }| {
            Ok(due.sig.encode_result(val.as_ref(), host_memory, meter))
        })?;
        bits.map_err(|error| self.host_error(error.into()))
    }

    /// The handles among a host function's arguments that it borrows.
    fn borrowed(&mut self, task: Option<TaskId>, args: &[Val]) -> Vec<u32> {
        let store = self.store();
        let mut borrowed = Vec::new();
        let Some(task) = task.filter(|task| store.task(*task).is_some_and(|task| task.num_borrows() > 0))
        else {
            return borrowed;
        };
        for arg in args {
            arg.for_each_resource(&mut |handle| {
                if store.host_resource(handle).is_ok_and(|held| held.borrow_scope == Some(task)) {
                    borrowed.push(handle);
                }
            });
        }
        borrowed
    }

    /// A host function's error as the core's.
    fn host_error(&mut self, error: crate::Error) -> Error {
        match error {
            crate::Error::Trap { error, text, at } => {
                if let Error::Trap(Trap::Engine(_)) = error {
                    self.state_mut().trap_text = Some(Cow::Owned(text));
                }
                self.state_mut().trace.continue_from(error, at);
                error
            }
            crate::Error::Value(canon_async_component::ValError::Core(error)) => self.with_text(error),
            other => self.trap(HOST_TRAP, Cow::Owned(other.to_string())),
        }
    }
}

impl<T> Embedding for Wx<'_, T> {
    type Profile = Heap;

    fn store(&mut self) -> &mut Store<Heap> {
        &mut self.state_mut().core
    }

    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        if memory == HOST_MEMORY {
            return Ok(self.state_mut().host_memory.bytes_mut());
        }
        if let Some(memory) = self.state().wasm_memory(memory) {
            return Ok(memory.data_mut(&mut self.0));
        }
        let own = own::memory(&mut self.state_mut().ambient_memory, memory);
        own.ok_or(Error::Misuse("an unknown memory"))
    }

    fn call(&mut self, thread: ThreadId, func: FuncRef, args: &[u64]) -> Result<Outcome, Error> {
        match self.target(func, args)? {
            #[cfg(feature = "std")]
            Target::Typed(typed) => {
                let mut fits = true;
                let payer = self.take_stack_for(thread)?;
                let outcome = self.run(thread, payer, Some(func), |ctx| {
                    let ran = typed.call_resumable(ctx, args);
                    fits = ran.is_some();
                    ran.unwrap_or(Ok(Ran::Returned(0)))
                });
                if fits { outcome } else { Err(UNCALLABLE) }
            }
            Target::Wasm(wasm, params, result) => {
                let mut vals = NO_ARGS;
                self.core_args(func, args, &mut vals);
                let vals = vals.get(..params).unwrap_or(&[]);
                let payer = self.take_stack_for(thread)?;
                self.run(thread, payer, Some(func), |ctx| {
                    Ran::of(result, |out| wasm.call_resumable(ctx, vals, out))
                })
            }
            Target::Host(entry) => self.call_host(thread, &entry, args),
            Target::HostRealloc => Err(NO_HOST_CALL),
        }
    }

    fn resume(&mut self, thread: ThreadId, value: u64) -> Result<Outcome, Error> {
        match self.state_mut().parked.take(thread)? {
            Parked::Frames(frames, payer, func) => {
                self.run(thread, payer, func, |ctx| frames.resume(ctx, value))
            }
            Parked::Answer(answer, due) => self.host_answer(answer, &due).map(Outcome::Returned),
            Parked::Func(_) | Parked::Later(_) => {
                Err(Error::Bug("a thread was resumed that has not started, or not answered"))
            }
        }
    }

    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error> {
        let target = match self.target(func, args) {
            Ok(target) => target,
            Err(error) => {
                let own = own::call_leaf(&mut self.state_mut().ambient_memory, func, args);
                return own.unwrap_or(Err(error));
            }
        };
        match target {
            #[cfg(feature = "std")]
            Target::Typed(typed) => {
                let mut fits = true;
                let bits = self.run_plain(Some(func), |ctx| {
                    let ran = typed.call_resumable(ctx, args);
                    fits = ran.is_some();
                    ran.unwrap_or(Ok(Ran::Returned(0)))
                });
                if fits { bits } else { Err(UNCALLABLE) }
            }
            Target::Wasm(wasm, params, result) => {
                let mut vals = NO_ARGS;
                self.core_args(func, args, &mut vals);
                let vals = vals.get(..params).unwrap_or(&[]);
                self.run_plain(Some(func), |ctx| Ran::of(result, |out| wasm.call_resumable(ctx, vals, out)))
            }
            Target::HostRealloc => {
                let arg = |index: usize| args.get(index).copied().unwrap_or(0) as u32;
                self.state_mut().host_memory.realloc(arg(0), arg(1), arg(2), arg(3)).map(u64::from)
            }
            Target::Host(_) => Err(NO_HOST_CALL),
        }
    }

    fn discard(&mut self, thread: ThreadId) {
        // Nothing there is nothing to do.
        if let Ok(Parked::Frames(_, payer, _)) = self.state_mut().parked.take(thread) {
            self.state_mut().free_stack(payer);
        }
    }

    fn thread_func(&mut self, thread: ThreadId, table: TableRef, index: u64) -> Result<(), Error> {
        let takes = match table.start_type() {
            PtrType::I32 => wasmi::ValType::I32,
            PtrType::I64 => wasmi::ValType::I64,
        };
        let table =
            self.state().tables.get(table.index()).copied().ok_or(Error::Misuse("an unknown table"))?;
        let shown = u32::try_from(index).unwrap_or(u32::MAX);
        let func = match table.get(&self.0, index) {
            Some(Ref::Func(Nullable::Val(func))) => func,
            _ => return Err(Trap::UnknownTableElement(shown).into()),
        };
        let ty = func.ty(&self.0);
        if ty.params() != [takes] || !ty.results().is_empty() {
            return Err(Trap::ThreadFuncType(shown).into());
        }
        self.state_mut().parked.park(thread, Parked::Func(func))
    }

    fn start_thread(&mut self, thread: ThreadId, arg: u64) -> Result<Outcome, Error> {
        match self.state_mut().parked.take(thread)? {
            Parked::Func(func) => {
                let arg = match func.ty(&self.0).params() {
                    [wasmi::ValType::I64] => [CoreVal::I64(arg as i64)],
                    _ => [CoreVal::I32(arg as u32 as i32)],
                };
                let payer = self.take_stack_for(thread)?;
                self.run(thread, payer, None, |ctx| Ran::of(false, |out| func.call_resumable(ctx, &arg, out)))
            }
            _ => Err(Error::Bug("a thread was started twice")),
        }
    }

    fn can_suspend(&self) -> bool {
        !self.state().plain
    }

    fn check_call(&mut self) -> Result<(), Error> {
        #[cfg(feature = "std")]
        {
            let has_room = match stacker::remaining_stack() {
                Some(left) => left >= NATIVE_RESERVE,
                None => self.state().core.nesting() < DEPTH,
            };
            if !has_room {
                return Err(Error::capacity(canon_async::Resource::NativeStack));
            }
        }
        let state = self.state_mut();
        let payer = state.core.running_root();
        state.budget.admit(payer, state.other_bytes(), 1)
    }

    fn host_args(&mut self, call: HostCall, args: &mut [u64]) -> Result<(), Error> {
        if let Some(done) = own::host_args(call, args) {
            return done;
        }
        self.with_meter(|State { host_calls, host_memory, meter, .. }| {
            host_calls.write_args(call, host_memory, args, meter)
        })
    }

    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
        if let Some(done) = own::host_result(call, results) {
            return done;
        }
        self.with_meter(|State { host_calls, host_memory, meter, .. }| {
            host_calls.read_result(call, host_memory, results, meter)
        })
    }

    fn host_lost(&mut self, call: HostCall) {
        if own::host_lost(call).is_none() {
            self.state_mut().host_calls.lost(call);
        }
    }

    fn host_cancel(&mut self, thread: ThreadId) -> bool {
        self.state_mut().parked.take_later(thread).is_ok()
    }

    fn poll_answers(&mut self) -> Result<(), Error> {
        self.poll_later(&Context::from_waker(Waker::noop())).map(drop)
    }

    fn poll_answers_with(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        self.poll_later(context).map(|_| true)
    }

    #[cfg(feature = "std")]
    fn idle(&mut self) -> Result<bool, Error> {
        self.wait_for_answer(None)
    }

    #[cfg(feature = "std")]
    fn idle_for(&mut self, most: Duration) -> Result<bool, Error> {
        self.wait_for_answer(Some(most))
    }

    fn trapped(&mut self, thread: ThreadId, error: Error) {
        let State { trace, core, .. } = self.state_mut();
        trace.trapped(core, thread, error);
    }

    fn blocked(&mut self, _: TaskId) {
        let State { core, on_stop, .. } = self.state_mut();
        if let Some(on_stop) = on_stop {
            on_stop(None, core);
        }
    }

    fn charge(&mut self, bytes: usize, elements: u32) -> Result<(), Error> {
        self.charge_work(bytes, elements)
    }

    fn copy(
        &mut self,
        (to, to_at): (MemoryRef, usize),
        (from, from_at): (MemoryRef, usize),
        len: usize,
    ) -> Result<(), Error> {
        crate::shim::copy(self, (to, to_at), (from, from_at), len)
    }
}
