//! An image that calls every built-in and `run` on a bounded profile, without an engine and without an allocator, so that its
//! sections are what the core costs. With the feature `linking` it also makes types, functions and instances.
//!
//! Its panic handler calls a function that does not exist: where a panic is reachable, the image does not link.
#![no_std]
#![no_main]

use canon_async::canon::{self, Builtin};
use canon_async::id::{
    FuncRef, HostCall, InstanceId, LiftId, LowerId, MemoryRef, OptsId, TableRef, ThreadId, TypeId,
};
use canon_async::{Embedding, Error, Outcome, Store, Trap, bounded, run};
use core::hint::black_box;

bounded! {
    /// A small part: two components and a handful of calls.
    pub Small {
        instances: 4, handles: 16, thread_indices: 4, tasks: 4, threads: 6, waitables: 8, sets: 4,
        streams: 4, error_contexts: 2, message_bytes: 64, queued: 2, lends: 4, types: 32, type_items: 48,
        resources: 2, functions: 16, depth: 8,
    }
}

/// An engine that the compiler knows nothing about.
struct Image {
    store: Store<Small>,
    memory: [u8; 256],
}

impl Embedding for Image {
    type Profile = Small;
    fn store(&mut self) -> &mut Store<Small> {
        &mut self.store
    }
    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        let len = black_box(memory.index());
        self.memory.get_mut(..len).ok_or(Error::Misuse("no memory"))
    }
    fn call(&mut self, thread: ThreadId, func: FuncRef, args: &[u64]) -> Result<Outcome, Error> {
        outcome(black_box((thread.index(), func, args.len())).0)
    }
    fn resume(&mut self, thread: ThreadId, value: u64) -> Result<Outcome, Error> {
        outcome(black_box((thread.index(), value)).0)
    }
    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error> {
        Ok(black_box((func, args.len())).1 as u64)
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
    fn charge(&mut self, bytes: usize, elements: u32) -> Result<(), Error> {
        if black_box((bytes, elements)).0 == 0 { Err(Error::Trap(Trap::Engine(0))) } else { Ok(()) }
    }
    fn host_args(&mut self, call: HostCall, args: &mut [u64]) -> Result<(), Error> {
        black_box((call, args));
        Ok(())
    }
    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
        black_box((call, results));
        Ok(())
    }
}

fn outcome(x: usize) -> Result<Outcome, Error> {
    Ok(if black_box(x) == 0 { Outcome::Blocked } else { Outcome::Returned(x as u64) })
}

/// Calls everything that the core is: every built-in, and what the host does, with arguments that nobody knows.
fn drive(e: &mut Image) -> Result<(), Error> {
    #[cfg(feature = "linking")]
    link(e)?;
    let start = canon::lift::start_enter(e, black_box(InstanceId::from_index(0)))?;
    canon::lift::start_leave(e, start, black_box(Ok(())))?;
    let task = run::call(e, LiftId::from_index(black_box(0)), HostCall::from_index(0))?;
    run::run_until(e, task)?;
    run::cancel(e, task)?;
    let args = black_box([1u64; 17]);
    for builtin in black_box(EVERY) {
        let _ = black_box(canon::call(e, *builtin, &args)?);
    }
    Ok(())
}

/// Fills a store with what a component is made of, as whoever loads one does.
#[cfg(feature = "linking")]
fn link(e: &mut Image) -> Result<(), Error> {
    use canon_async::abi::types::{FuncType, NewType, ResourceType};
    use canon_async::state::{Lift, Lower, Options};

    let instance = e.store.add_instance(black_box(None))?;
    let parent = e.store.add_instance(black_box(Some(InstanceId::from_index(0))))?;
    let host = e.store.add_host_instance()?;
    let options = e.store.add_options(black_box(Options::new(instance)))?;
    let host = e.store.add_options(black_box(Options::new(host)))?;
    e.store.set_host(host)?;
    let params = e.store.types_mut().intern(black_box(NewType::Record(&[])), 0)?;
    let ty = FuncType { params, result: black_box(None), is_async: black_box(true) };
    let ty = e.store.types_mut().intern_func(ty)?;
    e.store.types_mut().define_resource(ResourceType { instance: parent, dtor: None })?;
    let callee = e.store.add_lift(Lift { func: FuncRef::from_index(black_box(0)), ty, options })?;
    e.store.add_lower(Lower { callee, options })?;
    Ok(())
}

const T: TypeId = TypeId::from_index(0);
const O: OptsId = OptsId::from_index(0);
const EVERY: &[Builtin] =
    &[Builtin::Lower(LowerId::from_index(0)), Builtin::StreamRead(T, O), Builtin::BackpressureInc];

#[unsafe(no_mangle)]
#[unsafe(link_section = ".text._start")]
extern "C" fn _start() -> ! {
    static mut IMAGE: Image = Image { store: Store::new(), memory: [0; 256] };
    // SAFETY: nobody else is here. What is in the store is hidden from the compiler.
    let image = black_box(unsafe { &mut *(&raw mut IMAGE) });
    black_box(drive(image)).ok();
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn canon_async_can_panic() -> !;
    }
    // SAFETY: never linked. That is the point.
    unsafe { canon_async_can_panic() }
}
