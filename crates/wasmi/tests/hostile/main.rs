//! What a guest may do as often as it likes costs the host no native stack, no memory, and no time beyond its fuel.
//!
//! In optimised builds, which take other paths through the engine than unoptimised ones, each loop runs ten million times:
//! `cargo test --release -p canon-async-wasmi --test hostile`. Else it runs less often.

#[path = "../common/mod.rs"]
mod common;
mod guests;

use canon_async_wasmi::{Config, Engine, Instance, Linker, Store, Val};
use common::{call, component};

/// How often a loop runs.
const TIMES: u32 = if cfg!(debug_assertions) { 3_000 } else { 10_000_000 };
/// What the thread has that runs guests; half of it is what the adapter keeps free.
const STACK: usize = if cfg!(debug_assertions) { 1 << 20 } else { 256 << 10 };

/// Runs `test` on a thread with a small stack, which an overflow would take the process down with.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(test).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn engine(fuel: bool) -> Engine {
    Engine::new(Config::new().fuel(fuel).tail_calls(true))
}

fn linked(engine: &Engine, wat: &str) -> (Store<u64>, Instance) {
    let mut store = Store::new(engine, 0u64);
    if store.fuel().is_ok() {
        store.set_fuel(u64::MAX / 2).expect("fuel is on");
    }
    let mut linker = Linker::<u64>::new(engine);
    linker.func("host", |mut caller, _| {
        *caller.data_mut() += 1;
        Ok(None)
    });
    linker.func("host-string", |mut caller, args| {
        *caller.data_mut() += u64::from(matches!(args, [Val::String(_)]));
        Ok(None)
    });
    let instance = linker.instantiate(&mut store, &component(engine, wat)).expect("it links");
    (store, instance)
}

/// Each loop runs to its end on a small stack, and leaves what there was.
fn run_all(wat: String, cases: &'static [(&'static str, &'static str)], set_up: bool) {
    on_a_small_stack(move || {
        let engine = engine(false);
        for (name, _) in cases {
            let (mut store, instance) = linked(&engine, &wat);
            if set_up {
                call(&mut store, &instance, "set-up", &[]).expect("it sets up");
            }
            let before = store.core().counts();
            let began = std::time::Instant::now();
            let result = call(&mut store, &instance, name, &[Val::U32(TIMES)]);
            assert_eq!(result.unwrap_or_else(|error| panic!("{name}: {error}")), None, "{name}");
            println!("{name}: {TIMES} times in {:?}", began.elapsed());
            store.core().check().unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(store.core().counts(), before, "{name}");
            assert_eq!(store.suspended(), 0, "{name}");
        }
    });
}

/// Each loop without an end is ended by its fuel, wherever the fuel ends.
fn run_out_of_fuel(wat: String, cases: &'static [(&'static str, &'static str)], set_up: bool) {
    on_a_small_stack(move || {
        let engine = engine(true);
        for (name, _) in cases {
            for fuel in [TIMES, TIMES + 1, TIMES + 7] {
                let (mut store, instance) = linked(&engine, &wat);
                if set_up {
                    call(&mut store, &instance, "set-up", &[]).expect("it sets up");
                }
                store.set_fuel(u64::from(fuel)).expect("fuel is on");
                let error = call(&mut store, &instance, name, &[Val::U32(0)]).expect_err(name);
                assert_eq!(error.to_string(), "wasm trap: all fuel consumed", "{name}");
                store.core().check().unwrap_or_else(|error| panic!("{name}: {error:?}"));
            }
        }
    });
}

#[test]
fn instructions_that_the_engine_does_not_run_by_itself_leave_no_native_stack_behind() {
    run_all(guests::instructions(), guests::INSTRUCTIONS, false);
}

#[test]
fn built_ins_leave_no_native_stack_behind() {
    run_all(guests::builtins(), guests::BUILTINS, true);
}

#[test]
fn instructions_in_an_endless_loop_end_with_the_fuel() {
    run_out_of_fuel(guests::instructions(), guests::INSTRUCTIONS, false);
}

#[test]
fn built_ins_in_an_endless_loop_end_with_the_fuel() {
    run_out_of_fuel(guests::builtins(), guests::BUILTINS, true);
}
