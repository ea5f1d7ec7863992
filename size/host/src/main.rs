//! An image that calls the host-facing modules on the ambient store of the bounded tier, and has an empty store of a bounded profile.
//!
//! It does not link where a panic is reachable.
//! And `check` fails where an empty store is not all zeros: then it lies in `.data` and takes flash. Without `unsafe` no test can look at
//! the bytes.
#![no_std]
#![no_main]

use canon_async::ambient::{self, Core, Engine, FunctionAt, Limits, Tier, own};
use canon_async::clock::ManualClock;
use canon_async::error_context::helpers;
use canon_async::id::{FuncRef, HostCall, LiftId, MemoryRef, TableRef, ThreadId};
use canon_async::prelude::*;
use canon_async::{Embedding, Outcome, Store, bounded};
use core::cell::Cell;
use core::hint::black_box;
use core::time::Duration;
use critical_section::Mutex;

bounded! {
    /// One of each and more, so that every role has a blank.
    pub Small {
        instances: 2, handles: 2, thread_indices: 2, tasks: 2, threads: 2, waitables: 2, sets: 2,
        streams: 2, error_contexts: 2, message_bytes: 16, queued: 2, lends: 2, types: 2, type_items: 2,
        resources: 2, functions: 2, depth: 8,
    }
}

/// With something that may change, as whoever drives a store has it: what can't lies in flash whatever it is.
struct InRam(Store<Small>, Mutex<Cell<bool>>);

static STORE: InRam = InRam(Store::new(), Mutex::new(Cell::new(false)));

const _: () = assert!(ambient::STATIC_BYTES <= 48 * 1024, "the default capacities take more than they did");

static CLOCK: ManualClock = ManualClock::new();

/// An engine that the compiler knows nothing about.
struct Image;

struct Driven<'a>(&'a mut Core);

impl Engine for Image {
    fn with(&mut self, core: &mut Core, f: &mut dyn FnMut(&mut dyn Embedding<Profile = Tier>)) {
        f(&mut Driven(core));
    }

    fn function(&mut self, _: &mut Store<Tier>, at: FunctionAt) -> Result<LiftId, Error> {
        black_box(at);
        Ok(LiftId::from_index(black_box(0)))
    }
}

impl Embedding for Driven<'_> {
    type Profile = Tier;
    fn store(&mut self) -> &mut Store<Tier> {
        &mut self.0.store
    }
    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        own::memory(&mut self.0.memory, memory).ok_or(Error::Misuse("no memory"))
    }
    fn call(&mut self, thread: ThreadId, func: FuncRef, args: &[u64]) -> Result<Outcome, Error> {
        black_box(own::stack_bytes(&self.0.store, thread));
        outcome(black_box((thread.index(), func, args.len())).0)
    }
    fn resume(&mut self, thread: ThreadId, value: u64) -> Result<Outcome, Error> {
        outcome(black_box((thread.index(), value)).0)
    }
    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error> {
        own::call_leaf(&mut self.0.memory, func, args).unwrap_or(Ok(0))
    }
    fn discard(&mut self, thread: ThreadId) {
        black_box(thread);
    }
    fn thread_func(&mut self, thread: ThreadId, table: TableRef, index: u64) -> Result<(), Error> {
        black_box((thread, table, index));
        Ok(())
    }
    fn start_thread(&mut self, thread: ThreadId, arg: u64) -> Result<Outcome, Error> {
        outcome(black_box((thread.index(), arg)).0)
    }
    fn host_args(&mut self, call: HostCall, args: &mut [u64]) -> Result<(), Error> {
        own::host_args(call, args).unwrap_or(Ok(()))
    }
    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
        own::host_result(call, results).unwrap_or(Ok(()))
    }
    fn host_lost(&mut self, call: HostCall) {
        own::host_lost(call);
    }
}

fn outcome(x: usize) -> Result<Outcome, Error> {
    Ok(if black_box(x) == 0 { Outcome::Blocked } else { Outcome::Returned(x as u64) })
}

fn text() -> &'static str {
    black_box("text")
}

fn value() -> ComponentValue {
    black_box(ComponentValue::from(text()))
}

fn contexts() -> Result<(), Error> {
    let mut context = AsyncContext::new();
    context.set(ContextKey::new(text()), value().into())?;
    black_box(context.get(&ContextKey::new(text()))?);
    black_box(context.remove(&ContextKey::new(text()))?);
    black_box(context.len()?);
    let scope = AsyncContextScope::enter(context.snapshot()?)?;
    let _inner = AsyncContextScope::enter_inherited()?;
    AsyncContextManager::set_context_value(ContextKey::new(text()), value().into())?;
    AsyncContextManager::remove_context_value(&ContextKey::new(text()))?;
    AsyncContextManager::context_set(context)?;
    scope.leave().map_err(|(_, error)| error)
}

fn tasks() -> Result<(), Error> {
    let task = TaskBuiltins::task_start()?;
    TaskBuiltins::set_task_metadata(task, text(), value())?;
    black_box(TaskBuiltins::get_task_metadata(task, text())?);
    black_box(TaskBuiltins::remove_task_metadata(task, text())?);
    TaskBuiltins::task_run(task, || black_box(contexts()))??;
    let call = TaskBuiltins::task_call(LiftId::from_index(black_box(0)), black_box(&[]))?;
    black_box(TaskBuiltins::task_wait(call)?);
    black_box(TaskBuiltins::task_wait_until(call, black_box(Duration::MAX))?);
    black_box(TaskBuiltins::tick()?);
    black_box((TaskBuiltins::task_poll(call)?, TaskBuiltins::task_state(call)?));
    TaskBuiltins::task_return(task, value().into())?;
    TaskBuiltins::task_fail(task, text())?;
    TaskBuiltins::task_cancel(call)?;
    black_box(TaskBuiltins::cancellation_token(task)?.is_cancelled()?);
    black_box(TaskBuiltins::cleanup_finished_tasks()?);
    Ok(())
}

fn destructor(key: u32, value: ComponentValue) {
    black_box((key, value));
}

fn threads() -> Result<(), Error> {
    type Threads = AdvancedThreadingBuiltins;
    let signature = FunctionSignature { params: [ThreadValueType::I32].into(), results: [].into() };
    let function = FunctionReference::new(text(), signature, black_box(0), black_box(1));
    let config = ThreadSpawnConfig { stack_size: black_box(Some(64)), priority: black_box(Some(1)) };
    let parent = Threads::thread_spawn_ref_with_args(function, config, None, black_box(&[]))?;
    let child = Threads::thread_spawn_indirect(black_box(0), black_box(1), config, Some(parent))?;
    Threads::thread_local_set(child, black_box(1), value(), black_box(Some(3)))?;
    Threads::thread_local_set_with(child, black_box(2), value(), destructor)?;
    black_box(Threads::thread_local_get(child, black_box(1))?);
    black_box(Threads::thread_local_remove(child, black_box(1))?);
    black_box(Threads::cancel_child_threads(parent)?);
    black_box(Threads::thread_join(child)?);
    black_box(Threads::thread_join_until(child, black_box(Duration::ZERO))?);
    black_box((Threads::lost_destructors(child)?, Threads::current_thread()?));
    Ok(())
}

fn errors() -> Result<(), Error> {
    type Errors = ErrorContextBuiltins;
    let outer = Errors::error_context_new(text(), black_box(ErrorSeverity::Error))?;
    let cause = Errors::error_context_from_guest(&black_box(ComponentValue::ErrorContext(2)))?;
    Errors::error_context_set_cause(outer, cause)?;
    Errors::error_context_add_stack_frame(outer, text(), Some(text()), Some(1), None)?;
    Errors::error_context_set_metadata(outer, text(), value())?;
    black_box(Errors::error_context_frame(outer, black_box(0))?);
    Errors::error_context_drop(outer)?;
    black_box(helpers::wrap(cause, text(), ErrorSeverity::Info)?);
    black_box(helpers::from_error(black_box(Error::Misuse("image")))?);
    Ok(())
}

fn waitables() -> Result<(), Error> {
    type Sets = WaitableSetBuiltins;
    let set = Sets::waitable_set_new()?;
    let future = FutureHandle::new();
    let id = Sets::waitable_set_add(set, Waitable::Future(future.into()))?;
    future.complete(value())?;
    black_box(Sets::waitable_set_len(set)?);
    let _ = black_box(Sets::waitable_set_wait(set)?);
    let _ = black_box(Sets::waitable_set_wait_for(set, black_box(Duration::ZERO))?);
    let _ = black_box(Sets::waitable_set_poll(set)?);
    Sets::waitable_set_remove(set, id)?;
    let (stream, elements) = StreamHandle::for_guest(black_box(Some(ValueType::U8)))?;
    stream.write(elements)?;
    stream.close()?;
    Sets::waitable_set_drop(set)
}

fn lists() -> Result<(), Error> {
    let ty = FixedLengthListType::new(black_box(ValueType::U8), black_box(3));
    let mut list = FixedLengthList::new(ty)?;
    list.push(value())?;
    black_box(list.get(black_box(1)));
    black_box(fixed_list_utils::from_range(black_box(1), black_box(4))?);
    black_box(fixed_list_utils::zero_filled(black_box(ValueType::U8), black_box(3))?);
    black_box(fixed_list_utils::slice(&list, black_box(0)..black_box(2))?);
    black_box(fixed_list_utils::concatenate(&list, &list)?);
    black_box(FixedLengthListTypeRegistry::new().register_type(ty)?);
    Ok(())
}

fn values() -> Result<(), Error> {
    ambient::core(|core| {
        let memory = &mut core.memory;
        value().store_in(memory, black_box(8))?;
        black_box(ComponentValue::load_in(black_box(ValueType::String), memory, black_box(8))?);
        black_box(memory.realloc(black_box(1), black_box(2), black_box(3))?);
        memory.free(black_box(8))?;
        black_box(ComponentValue::load_defined(
            black_box(ValueType::U8),
            core.store.types(),
            memory,
            black_box(8),
        )?);
        Ok(())
    })?
}

fn all(engine: &'static mut Image) -> Result<(), Error> {
    ambient::configure(black_box(Limits::DEFAULT))?;
    ambient::register(engine)?;
    ambient::set_clock(&CLOCK)?;
    for part in black_box([contexts, tasks, threads, errors, waitables, lists, values]) {
        black_box(part()).ok();
    }
    ambient::reset()
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".text._start")]
extern "C" fn _start() -> ! {
    static mut ENGINE: Image = Image;
    black_box((&STORE.0, &STORE.1));
    // Reached once.
    black_box(all(unsafe { &mut *&raw mut ENGINE })).ok();
    loop {
        core::hint::spin_loop();
    }
}

/// The image is never run.
struct NoSection;
critical_section::set_impl!(NoSection);

unsafe impl critical_section::Impl for NoSection {
    unsafe fn acquire() -> critical_section::RawRestoreState {}
    unsafe fn release(_: critical_section::RawRestoreState) {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn canon_async_can_panic() -> !;
    }
    unsafe { canon_async_can_panic() }
}
