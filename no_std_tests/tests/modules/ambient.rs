//! The ambient store: its cells, limits, memory, engine and clock. The same tests on every tier.

use crate::common::fresh;
use alloc::boxed::Box;
use canon_async::abi::types::{NewType, ResourceType};
use canon_async::ambient::{self, Core, Engine, FunctionAt, Limits, MEMORY, REALLOC, Tier, own};
use canon_async::canon::Builtin;
use canon_async::clock::{Clock, ManualClock};
use canon_async::id::{FuncRef, HostCall, LiftId, MemoryRef, TableRef, ThreadId};
use canon_async::prelude::*;
use canon_async::state::{InstanceKind, Lift};
use canon_async::{Embedding, Outcome, Resource, Store, run};
use core::time::Duration;

fn is_misuse<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Misuse(_)))
}

fn core_first_use_adds_the_host_once() -> Result<(), Error> {
    let _one = fresh();
    let first = ambient::core(|core| core.host())??;
    let again = ambient::core(|core| {
        assert_eq!(core.store.instance(first.instance)?.kind(), InstanceKind::Host);
        assert_eq!(core.store.host(), Some(first.options));
        assert!(core.store.is_idle());
        core.host()
    })??;
    assert_eq!((again.instance, again.options), (first.instance, first.options));
    Ok(())
}

fn drive_inside_drive_is_misuse_and_the_hosts_state_is_not() -> Result<(), Error> {
    let _one = fresh();
    ambient::drive(|e| {
        assert!(is_misuse(ambient::drive(|e| run::tick(e))));
        assert!(is_misuse(ambient::core(|_| ())));
        assert_eq!(ambient::limits(), Ok(Limits::DEFAULT));
        assert_eq!(run::tick(e), Ok(false));
    })?;
    assert_eq!(ambient::drive(|e| run::tick(e))?, Ok(false));
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn drive_that_panics_leaves_the_store_usable() -> Result<(), Error> {
    let _one = fresh();
    let caught = std::panic::catch_unwind(|| ambient::drive(|_| panic!("a test's")));
    assert!(caught.is_err());
    assert_eq!(ambient::drive(|e| run::tick(e))?, Ok(false));
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn drive_after_a_panic_unwound_through_a_guest_is_misuse_until_a_reset() -> Result<(), Error> {
    let _one = fresh();
    ambient::register(Box::leak(Box::new(PlusOne::default())))?;
    let function = ambient::function(FunctionAt::Index { module: 0, function: 0 })?;
    let call = || ambient::drive(|e| run::call(e, function, HostCall::from_index(PANICS - 40)));
    assert!(std::panic::catch_unwind(call).is_err());
    assert!(is_misuse(ambient::drive(|e| run::tick(e))));
    assert!(is_misuse(ambient::with_engine(|_: &mut PlusOne, _| ())));
    // What is there can be looked at, and the host's state is not in use.
    ambient::core(|core| assert_eq!(core.store.counts().handles, 0))?;
    AsyncContextManager::context_get()?;
    ambient::reset()?;
    assert_eq!(ambient::drive(|e| run::tick(e))?, Ok(false));
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn other_thread_has_its_own_store_or_is_told_that_it_is_in_use() -> Result<(), Error> {
    let _one = fresh();
    ambient::core(|_| {
        let other =
            std::thread::spawn(|| ambient::core(|core| core.store.is_idle())).join().expect("no panic");
        if cfg!(feature = "std") { assert_eq!(other, Ok(true)) } else { assert!(is_misuse(other)) }
    })
}

fn configure_before_first_use_holds_and_later_is_misuse() -> Result<(), Error> {
    let _one = fresh();
    let mut limits = Limits::DEFAULT;
    limits.core.sets = 1;
    ambient::configure(limits)?;
    assert_eq!(ambient::limits()?, limits);
    let two = ambient::drive(|e| {
        assert_eq!(run::builtin(e, Builtin::WaitableSetNew, &[]), Ok(1));
        run::builtin(e, Builtin::WaitableSetNew, &[])
    })?;
    assert_eq!(two, Err(Error::capacity(Resource::WaitableSets)));
    assert!(is_misuse(ambient::configure(Limits::DEFAULT)));
    ambient::reset()?;
    assert_eq!(ambient::limits()?, Limits::DEFAULT);
    Ok(())
}

fn configure_above_what_was_compiled_in_needs_a_heap() -> Result<(), Error> {
    let _one = fresh();
    let limits = Limits::DEFAULT.with_text_bytes(Limits::DEFAULT.text_bytes + 1);
    let result = ambient::configure(limits);
    if cfg!(feature = "alloc") {
        assert_eq!(result, Ok(()))
    } else {
        assert!(is_misuse(result))
    }
    Ok(())
}

fn set_up_that_does_not_fit_changes_nothing() -> Result<(), Error> {
    let _one = fresh();
    let mut limits = Limits::DEFAULT;
    // The host has two sets of options.
    limits.core.functions = 1;
    ambient::configure(limits)?;
    assert_eq!(ambient::core(|_| ()), Err(Error::capacity(Resource::Functions)));
    ambient::configure(Limits::DEFAULT)?;
    ambient::core(|_| ())
}

fn configure_of_the_core_above_what_was_compiled_in_needs_a_heap() -> Result<(), Error> {
    let _one = fresh();
    let mut limits = Limits::DEFAULT;
    limits.core.tasks += 1;
    assert_eq!(is_misuse(ambient::configure(limits)), !cfg!(feature = "alloc"));
    Ok(())
}

fn limits_of_0_are_none_on_every_tier() -> Result<(), Error> {
    let _one = fresh();
    type Try = fn() -> Result<(), Error>;
    type Set = fn(&mut Limits);
    let future: Try = || {
        let ty = ambient::core(|core| core.store.types_mut().intern(NewType::Future(None), 0))??;
        ambient::drive(|e| run::builtin(e, Builtin::FutureNew(ty), &[]))?.map(drop)
    };
    let set: Try = || ambient::drive(|e| run::builtin(e, Builtin::WaitableSetNew, &[]))?.map(drop);
    let record: Try = || {
        let fields = NewType::Record(&[Some(ValueType::U8)]);
        ambient::core(|core| core.store.types_mut().intern(fields, 0))?.map(drop)
    };
    let resource: Try = || {
        ambient::core(|core| {
            let instance = core.host()?.instance;
            core.store.types_mut().define_resource(ResourceType { instance, dtor: None }).map(drop)
        })?
    };
    let context: Try = || ErrorContextBuiltins::error_context_new("x", ErrorSeverity::Error).map(drop);
    let first: Try = || ambient::core(|_| ());
    let cases: [(Resource, Set, Try); 11] = [
        (Resource::Instances, |limits| limits.core.instances = 0, first),
        (Resource::Functions, |limits| limits.core.functions = 0, first),
        (Resource::Handles, |limits| limits.core.handles = 0, set),
        (Resource::WaitableSets, |limits| limits.core.sets = 0, set),
        (Resource::Waitables, |limits| limits.core.waitables = 0, future),
        (Resource::Streams, |limits| limits.core.streams = 0, future),
        (Resource::Types, |limits| limits.core.types = 0, record),
        (Resource::TypeItems, |limits| limits.core.type_items = 0, record),
        (Resource::ResourceTypes, |limits| limits.core.resources = 0, resource),
        (Resource::ErrorContexts, |limits| limits.core.error_contexts = 0, context),
        (Resource::Tasks, |limits| limits.core.tasks = 0, || TaskBuiltins::task_start().map(drop)),
    ];
    for (what, none, fails) in cases {
        ambient::reset()?;
        let mut limits = Limits::DEFAULT;
        none(&mut limits);
        ambient::configure(limits)?;
        for _ in 0..2 {
            assert_eq!(fails(), Err(Error::capacity(what)));
        }
        assert!(
            what == Resource::Instances
                || what == Resource::Functions
                || ambient::core(|core| core.store.is_idle())?
        );
        ambient::reset()?;
        fails()?;
    }
    Ok(())
}

fn message_bytes_of_0_keep_nothing_of_a_message() -> Result<(), Error> {
    let _one = fresh();
    let mut limits = Limits::DEFAULT;
    limits.core.message_bytes = 0;
    ambient::configure(limits)?;
    let id = ErrorContextBuiltins::error_context_new("x", ErrorSeverity::Error)?;
    assert_eq!(&*ErrorContextBuiltins::error_context_debug_message(id)?, "");
    Ok(())
}

fn depth_of_0_calls_nobody() -> Result<(), Error> {
    let _one = fresh();
    let mut limits = Limits::DEFAULT;
    limits.core.depth = 0;
    ambient::configure(limits)?;
    ambient::register(Box::leak(Box::new(PlusOne::default())))?;
    let function = ambient::function(FunctionAt::Index { module: 0, function: 0 })?;
    let called = TaskBuiltins::task_call(function, &[1u32.into()]);
    assert_eq!(called, Err(Error::capacity(Resource::Depth)));
    Ok(())
}

fn host_memory_holds_as_much_as_its_limit_and_not_a_byte_more() -> Result<(), Error> {
    let _one = fresh();
    // A header of 8 bytes, and 32.
    for (bytes, fits) in [(0, false), (39, false), (40, true), (41, true)] {
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_host_bytes(bytes))?;
        ambient::core(|core| {
            let block = core.memory.alloc(32);
            assert_eq!(block.is_ok(), fits, "{bytes}");
            assert_eq!(core.memory.alloc(32), Err(Error::capacity(Resource::HostBytes)));
            assert_eq!(core.memory.blocks(), u32::from(fits));
            if let Ok(block) = block {
                core.memory.free(block)?;
                assert_eq!(core.memory.alloc(20), Ok(block));
            }
            Ok::<_, Error>(())
        })??;
    }
    Ok(())
}

fn host_memory_realloc_keeps_what_was_there() -> Result<(), Error> {
    let _one = fresh();
    ambient::core(|core| {
        let small = core.memory.alloc(4)?;
        core.memory.range(small, 4)?.copy_from_slice(b"four");
        assert_eq!(core.memory.realloc(small, 4, 16)?, small);
        let large = core.memory.realloc(small, 4, 100)?;
        assert_ne!(large, small);
        assert_eq!(large % 8, 0);
        assert_eq!(core.memory.range(large, 5)?, b"four\0");
        // The old block is free again, and comes without what was in it.
        assert_eq!(core.memory.alloc(16)?, small);
        assert_eq!(core.memory.range(small, 4)?, [0; 4]);
        assert_eq!(core.memory.blocks(), 2);
        Ok(())
    })?
}

fn host_memory_realloc_of_nothing_of_a_block_keeps_no_block_more() -> Result<(), Error> {
    let _one = fresh();
    ambient::core(|core| {
        let block = core.memory.alloc(4)?;
        assert_eq!(core.memory.realloc(block, 0, 16)?, block);
        let large = core.memory.realloc(block, 0, 100)?;
        assert_eq!(core.memory.blocks(), 1);
        // What does not fit leaves the old one.
        assert_eq!(core.memory.realloc(large, 0, u32::MAX), Err(Error::capacity(Resource::HostBytes)));
        assert!(core.memory.realloc(large + 8, 0, 4).is_err());
        core.memory.free(large)?;
        assert_eq!(core.memory.blocks(), 0);
        Ok(())
    })?
}

fn store_in_that_fails_keeps_no_block() -> Result<(), Error> {
    let _one = fresh();
    ambient::core(|core| {
        let at = core.memory.alloc(8)?;
        let list = ComponentValue::List(Scalars::of(&[1.into(), 2.into()])?);
        for value in [ComponentValue::from("text"), list] {
            let end = core.memory.bytes().len() as u32;
            for at in [end - 4, end, u32::MAX] {
                assert!(value.store_in(&mut core.memory, at).is_err());
                assert_eq!(core.memory.blocks(), 1);
            }
            value.store_in(&mut core.memory, at)?;
            assert_eq!(core.memory.blocks(), 2);
            ComponentValue::free_in(ValueType::String, &mut core.memory, at)?;
        }
        // Without room for the text.
        let long = ComponentValue::from("x".repeat(Limits::DEFAULT.text_bytes as usize).as_str());
        while long.store_in(&mut core.memory, at).is_ok() {}
        let blocks = core.memory.blocks();
        assert_eq!(long.store_in(&mut core.memory, at), Err(Error::capacity(Resource::HostBytes)));
        assert_eq!(core.memory.blocks(), blocks);
        Ok(())
    })?
}

/// A future of the host, written and read through its memory: without an engine, and with one.
fn future_through_memory() -> Result<u32, Error> {
    let (ty, options, from, to) = ambient::core(|core| {
        let ty = core.store.types_mut().intern(NewType::Future(Some(ValueType::U32)), 0)?;
        let from = core.memory.alloc(4)?;
        ComponentValue::U32(7).store(core.memory.range(from, 4)?)?;
        Ok::<_, Error>((ty, core.host()?.async_options, from, core.memory.alloc(4)?))
    })??;
    ambient::drive(|e| {
        let ends = run::builtin(e, Builtin::FutureNew(ty), &[])?;
        let (readable, writable) = (ends & 0xffff_ffff, ends >> 32);
        let blocked = run::builtin(e, Builtin::FutureWrite(ty, options), &[writable, from.into()])?;
        assert_eq!(blocked as u32, u32::MAX);
        assert_eq!(run::builtin(e, Builtin::FutureRead(ty, options), &[readable, to.into()])?, 0);
        let bytes = e.memory(MEMORY)?.get(to as usize..).expect("the block");
        let value = ComponentValue::load(ValueType::U32, bytes)?;
        u32::try_from(&value)
    })?
}

fn host_future_without_an_engine_copies_through_the_hosts_memory() -> Result<(), Error> {
    let _one = fresh();
    assert_eq!(future_through_memory()?, 7);
    Ok(())
}

/// The argument with which the function panics.
const PANICS: u32 = 99;

/// An engine that runs no wasm: its one function answers its argument, plus one.
#[derive(Default)]
struct PlusOne {
    driven: u32,
    results: [u64; 2],
}

struct Driving<'a>(&'a mut Core, &'a mut PlusOne);

impl Engine for PlusOne {
    fn with(&mut self, core: &mut Core, f: &mut dyn FnMut(&mut dyn Embedding<Profile = Tier>)) {
        self.driven += 1;
        f(&mut Driving(core, self));
    }

    fn function(&mut self, store: &mut Store<Tier>, at: FunctionAt) -> Result<LiftId, Error> {
        if at != (FunctionAt::Index { module: 0, function: 0 }) {
            return Err(Error::Misuse("there is one function"));
        }
        let instance = store.add_instance(None)?;
        let options = store.add_options(canon_async::state::Options::new(instance))?;
        let params = store.types_mut().intern(NewType::Record(&[Some(ValueType::U32)]), 0)?;
        let ty = canon_async::abi::types::FuncType { params, result: Some(ValueType::U32), is_async: false };
        let ty = store.types_mut().intern_func(ty)?;
        store.add_lift(Lift { func: FuncRef::from_index(0), ty, options })
    }
}

impl Embedding for Driving<'_> {
    type Profile = Tier;

    fn store(&mut self) -> &mut Store<Tier> {
        &mut self.0.store
    }
    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        own::memory(&mut self.0.memory, memory).ok_or(Error::Misuse("no such memory"))
    }
    fn call(&mut self, _: ThreadId, func: FuncRef, args: &[u64]) -> Result<Outcome, Error> {
        assert_eq!(func, FuncRef::from_index(0));
        assert_ne!(args[0], PANICS.into(), "a test's");
        Ok(Outcome::Returned(args[0] + 1))
    }
    fn resume(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        unreachable!("nothing suspends")
    }
    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error> {
        own::call_leaf(&mut self.0.memory, func, args).expect("realloc alone")
    }
    fn discard(&mut self, _: ThreadId) {}
    fn thread_func(&mut self, _: ThreadId, _: TableRef, _: u64) -> Result<(), Error> {
        unreachable!("no threads")
    }
    fn start_thread(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        unreachable!("no threads")
    }
    fn host_args(&mut self, call: HostCall, args: &mut [u64]) -> Result<(), Error> {
        args[0] = 40 + call.index() as u64;
        Ok(())
    }
    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
        self.1.results[call.index()] = results.expect("not cancelled")[0];
        Ok(())
    }
}

fn engine_runs_calls_in_the_ambient_store() -> Result<(), Error> {
    let _one = fresh();
    assert!(!ambient::has_engine()?);
    // Used before, and then registered: the host stays the same.
    let host = ambient::core(|core| core.host())??.instance;
    // From a static on every tier.
    ambient::register(Box::leak(Box::new(PlusOne::default())))?;
    assert!(ambient::has_engine()?);
    assert!(is_misuse(ambient::register(Box::leak(Box::new(PlusOne::default())))));
    assert_eq!(ambient::core(|core| core.host())??.instance, host);

    let function = ambient::function(FunctionAt::Index { module: 0, function: 0 })?;
    assert!(is_misuse(ambient::function(FunctionAt::Table { table: 0, index: 0 })));
    ambient::drive(|e| run::call(e, function, HostCall::from_index(1)))??;
    ambient::with_engine(|engine: &mut PlusOne, core| {
        assert_eq!((engine.results, engine.driven), ([0, 42], 1));
        assert!(core.store.is_idle());
    })?;
    assert_eq!(future_through_memory()?, 7);
    Ok(())
}

#[cfg(feature = "alloc")]
fn engine_from_a_box_is_reached_by_its_type_alone() -> Result<(), Error> {
    struct Other;
    impl Engine for Other {
        fn with(&mut self, _: &mut Core, _: &mut dyn FnMut(&mut dyn Embedding<Profile = Tier>)) {}
    }
    let _one = fresh();
    assert!(is_misuse(ambient::with_engine(|_: &mut Other, _| ())));
    ambient::register(Box::new(Other))?;
    ambient::with_engine(|_: &mut Other, _| ())?;
    assert!(is_misuse(ambient::with_engine(|_: &mut PlusOne, _| ())));
    // An engine that does not run what it is given.
    assert!(is_misuse(ambient::drive(|_| ())));
    assert!(is_misuse(ambient::function(FunctionAt::Index { module: 0, function: 0 })));
    Ok(())
}

fn guest_functions_without_an_engine_are_misuse() -> Result<(), Error> {
    let _one = fresh();
    assert!(is_misuse(ambient::function(FunctionAt::Index { module: 0, function: 0 })));
    assert!(is_misuse(ambient::with_engine(|_: &mut PlusOne, _| ())));
    ambient::core(|core| {
        PlusOne::default().function(&mut core.store, FunctionAt::Index { module: 0, function: 0 })
    })?
    .map(|function| {
        let called = ambient::drive(|e| run::call(e, function, HostCall::from_index(0)));
        assert!(is_misuse(called.expect("driven")));
    })
}

fn realloc_of_the_host_allocates_in_its_memory() -> Result<(), Error> {
    let _one = fresh();
    let block = ambient::drive(|e| e.call_leaf(REALLOC, &[0, 0, 4, 12]))??;
    assert_eq!(
        ambient::core(|core| (core.memory.blocks(), core.memory.bytes().len() >= block as usize + 12))?,
        (1, true)
    );
    Ok(())
}

fn clock_is_moved_by_hand() -> Result<(), Error> {
    static CLOCK: ManualClock = ManualClock::new();
    let _one = fresh();
    assert_eq!(is_misuse(ambient::now()), !cfg!(feature = "std"));
    ambient::set_clock(&CLOCK)?;
    assert_eq!(ambient::now()?, Duration::ZERO);
    CLOCK.advance(Duration::from_secs(5));
    assert_eq!(ambient::now()?, Duration::from_secs(5));
    ambient::wait_until(Duration::from_secs(8))?;
    assert_eq!(ambient::now()?, Duration::from_secs(8));
    // What is past needs no wait.
    ambient::wait_until(Duration::from_secs(1))?;
    assert_eq!(CLOCK.now(), Duration::from_secs(8));
    Ok(())
}

#[cfg(feature = "std")]
fn clock_of_std_waits() -> Result<(), Error> {
    let _one = fresh();
    let start = ambient::now()?;
    let deadline = start + Duration::from_millis(20);
    while ambient::now()? < deadline {
        ambient::wait_until(deadline)?;
    }
    assert!(ambient::now()? - start >= Duration::from_millis(20));
    Ok(())
}

fn clock_of_delays_counts_what_it_waited() {
    use crate::common::sync::{AtomicU32, SeqCst};
    use canon_async::clock::DelayClock;

    static WAITED: AtomicU32 = AtomicU32::new(0);
    struct Delay;
    impl embedded_hal::delay::DelayNs for Delay {
        fn delay_ns(&mut self, ns: u32) {
            WAITED.fetch_add(ns, SeqCst);
        }
    }
    let clock = DelayClock::new(Delay);
    let deadline = Duration::from_micros(2500);
    let mut waits = 0;
    while clock.now() < deadline {
        clock.wait_until(deadline);
        waits += 1;
    }
    assert_eq!((clock.now(), waits, WAITED.load(SeqCst)), (deadline, 3, 2_500_000));
}

tests! {
    core_first_use_adds_the_host_once,
    drive_inside_drive_is_misuse_and_the_hosts_state_is_not,
    drive_that_panics_leaves_the_store_usable [unwinding],
    drive_after_a_panic_unwound_through_a_guest_is_misuse_until_a_reset [unwinding],
    other_thread_has_its_own_store_or_is_told_that_it_is_in_use [threads],
    configure_before_first_use_holds_and_later_is_misuse,
    configure_above_what_was_compiled_in_needs_a_heap,
    set_up_that_does_not_fit_changes_nothing,
    configure_of_the_core_above_what_was_compiled_in_needs_a_heap,
    limits_of_0_are_none_on_every_tier,
    message_bytes_of_0_keep_nothing_of_a_message,
    depth_of_0_calls_nobody,
    host_memory_holds_as_much_as_its_limit_and_not_a_byte_more,
    host_memory_realloc_keeps_what_was_there,
    host_memory_realloc_of_nothing_of_a_block_keeps_no_block_more,
    store_in_that_fails_keeps_no_block,
    host_future_without_an_engine_copies_through_the_hosts_memory,
    engine_runs_calls_in_the_ambient_store,
    engine_from_a_box_is_reached_by_its_type_alone [alloc],
    guest_functions_without_an_engine_are_misuse,
    realloc_of_the_host_allocates_in_its_memory,
    clock_is_moved_by_hand,
    clock_of_std_waits [std],
    clock_of_delays_counts_what_it_waited,
}
