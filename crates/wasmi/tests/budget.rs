//! What guests may take of memory and stack, all told, and what they get where it is no more.

mod common;

use canon_async_wasmi::{Config, Engine, Error, Instance, Linker, Store, Val};
use common::{assert_idle, call, call_u32, component};

/// `sleep(deep)` recurses and waits for ever; `crowd(n, deep)` calls it `n` times and answers.
const SLEEPERS: &str = r#"(component
  (component $Sleeper
    (core module $Libc (memory (export "mem") 1))
    (core instance $libc (instantiate $Libc))
    (core func $new (canon waitable-set.new))
    (core func $wait (canon waitable-set.wait (memory (core memory $libc "mem"))))
    (core module $M
      (import "" "new" (func $new (result i32)))
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (global $set (mut i32) (i32.const 0))
      (func $start (global.set $set (call $new)))
      (start $start)
      (func $deep (param i32)
        (if (local.get 0)
          (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
          (else (drop (call $wait (global.get $set) (i32.const 0))))))
      (func (export "sleep") (param i32) (call $deep (local.get 0))))
    (core instance $m (instantiate $M (with "" (instance
      (export "new" (func $new)) (export "wait" (func $wait))))))
    (func (export "sleep") async (param "deep" u32) (canon lift (core func $m "sleep") async)))
  (instance $sleeper (instantiate $Sleeper))
  (core func $sleep (canon lower (func $sleeper "sleep") async))
  (core func $cancel (canon subtask.cancel async))
  (core module $M
    (import "" "sleep" (func $sleep (param i32) (result i32)))
    (func (export "crowd") (param $n i32) (param $deep i32) (result i32) (local $i i32)
      (loop $next
        (drop (call $sleep (local.get $deep)))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
      (local.get $i)))
  (core instance $m (instantiate $M (with "" (instance (export "sleep" (func $sleep))))))
  (func (export "crowd") (param "n" u32) (param "deep" u32) (result u32) (canon lift (core func $m "crowd"))))"#;

fn linked(config: &Config, wat: &str) -> Result<(Store<()>, Instance), Error> {
    let engine = Engine::new(config);
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component(&engine, wat))?;
    Ok((store, instance))
}

fn limited(error: Error, text: &str) {
    assert!(matches!(error.core(), Some(canon_async::Error::Capacity(_))), "{error}");
    assert_eq!(error.to_string(), text);
}

#[test]
fn stacks_of_suspended_guests_count_to_a_total() {
    let mut config = Config::new();
    config.max_stack_bytes(64 << 10).stack_bytes_total(20 * (64 << 10));
    let (mut store, instance) = linked(&config, SLEEPERS).unwrap();
    // One is the caller's.
    assert_eq!(call_u32(&mut store, &instance, "crowd", &[18, 10]).unwrap(), 18);
    let error = call_u32(&mut store, &instance, "crowd", &[2, 10]).unwrap_err();
    limited(
        error,
        "limit reached: stacks of guests, 1280 KiB of 64 KiB each (Config::stack_bytes_total, Config::max_stack_bytes)",
    );
    // All of them were its root's, which is poisoned.
    assert_idle(&store);
    let (mut other, instance) = linked(&config, SLEEPERS).unwrap();
    assert_eq!(call_u32(&mut other, &instance, "crowd", &[18, 10]).unwrap(), 18);
}

#[test]
fn stacks_of_poisoned_guests_are_free_again() {
    let mut config = Config::new();
    config.max_stack_bytes(64 << 10).stack_bytes_total(20 * (64 << 10));
    let engine = Engine::new(&config);
    let mut store = Store::new(&engine, ());
    let component = component(&engine, SLEEPERS);
    for _ in 0..3 {
        let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        call_u32(&mut store, &instance, "crowd", &[30, 0]).unwrap_err();
        assert_idle(&store);
    }
}

#[test]
fn a_meter_lets_guests_sleep_that_take_little_and_stops_those_that_take_much() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static HANDED_OUT: AtomicUsize = AtomicUsize::new(0);
    let mut config = Config::new();
    config.max_stack_bytes(64 << 10).guest_bytes(1 << 20);
    config.memory_meter(Some(|| Some(HANDED_OUT.load(Ordering::Relaxed))));
    let (mut store, instance) = linked(&config, SLEEPERS).unwrap();
    // By count, there is room for 8.
    assert_eq!(call_u32(&mut store, &instance, "crowd", &[1000, 0]).unwrap(), 1000);
    HANDED_OUT.store(1 << 20, Ordering::Relaxed);
    let error = call_u32(&mut store, &instance, "crowd", &[100, 0]).unwrap_err();
    limited(
        error,
        "limit reached: stacks of guests, 64 KiB each at most, with all else 512 KiB for a component and 1 MiB for all (Config::max_stack_bytes, Config::root_bytes, Config::guest_bytes)",
    );
}

/// `hog()` takes all the memory that it gets, and then stacks until it is refused; `ping()` needs a stack and a `realloc`.
const HOG: &str = r#"(component
  (component $Sleeper
    (core func $suspend (canon thread.suspend))
    (core module $M (import "" "suspend" (func $suspend (result i32)))
      (func (export "sleep") (drop (call $suspend))))
    (core instance $m (instantiate $M (with "" (instance (export "suspend" (func $suspend))))))
    (func (export "sleep") async (canon lift (core func $m "sleep") async)))
  (instance $sleeper (instantiate $Sleeper))
  (core func $sleep (canon lower (func $sleeper "sleep") async))
  (core module $M
    (import "" "sleep" (func $sleep (result i32)))
    (memory (export "mem") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "hog") (param i32)
      (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
      (loop (drop (call $sleep)) (br_if 0 (local.get 0))))
    (func (export "ping") (param i32 i32) (result i32) (local.get 1)))
  (core instance $m (instantiate $M (with "" (instance (export "sleep" (func $sleep))))))
  (func (export "hog") (param "for-ever" bool) (canon lift (core func $m "hog")))
  (func (export "ping") (param "text" string) (result u32)
    (canon lift (core func $m "ping") (memory (core memory $m "mem")) (realloc (core func $m "realloc")))))"#;

#[test]
fn a_component_that_takes_all_the_memory_that_it_gets_leaves_its_neighbours_alive() {
    for meter in [None, Some((|| Some(0)) as fn() -> Option<usize>)] {
        let mut config = Config::new();
        config.max_stack_bytes(64 << 10).guest_bytes(8 << 20).memory_meter(meter);
        let engine = Engine::new(&config);
        let hog = component(&engine, HOG);
        let mut store = Store::new(&engine, ());
        let linker = Linker::new(&engine);
        let [victim, hog] = [0; 2].map(|_| linker.instantiate(&mut store, &hog).unwrap());
        let ping = [Val::String("x".repeat(1000))];
        assert_eq!(call(&mut store, &victim, "ping", &ping).unwrap(), Some(Val::U32(1000)));
        // Without a meter its memory is its whole part, so its stack is what it has no more for.
        let taken = call(&mut store, &hog, "hog", &[Val::Bool(false)]);
        assert_eq!(taken.is_ok(), meter.is_some(), "{taken:?}");
        for _ in 0..3 {
            assert_eq!(call(&mut store, &victim, "ping", &ping).unwrap(), Some(Val::U32(1000)));
        }
        store.core().check().unwrap();
    }
}

const MEMORIES: &str = r#"(component
  (core module $M (memory 1) (table 1 funcref)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "grow-table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))
  (core instance $m (instantiate $M))
  (func (export "grow") (param "n" u32) (result u32) (canon lift (core func $m "grow")))
  (func (export "grow-table") (param "n" u32) (result u32) (canon lift (core func $m "grow-table"))))"#;

#[test]
fn memories_and_tables_share_the_total() {
    let mut config = Config::new();
    config.max_stack_bytes(1 << 16).guest_bytes(20 << 16).root_bytes(20 << 16).memory_meter(None);
    let (mut store, instance) = linked(&config, MEMORIES).unwrap();
    // 65,536 bytes are its first page, as many its stack; the core's own tables take less than one.
    assert_eq!(call_u32(&mut store, &instance, "grow-table", &[4 << 13]).unwrap(), 1);
    assert_eq!(call_u32(&mut store, &instance, "grow", &[14]).unwrap(), u32::MAX);
    assert_eq!(call_u32(&mut store, &instance, "grow", &[12]).unwrap(), 1);
    assert_eq!(call_u32(&mut store, &instance, "grow-table", &[3 << 13]).unwrap(), u32::MAX);
}

#[test]
fn a_component_that_begins_above_the_total_is_refused() {
    let mut config = Config::new();
    config.guest_bytes(1 << 24).max_stack_bytes(1 << 16).table_elements(100);
    let large = r#"(component (core module $M (memory 1000)) (core instance (instantiate $M)))"#;
    let error = linked(&config, large).unwrap_err();
    limited(
        error,
        "limit reached: memory that guests cause to be allocated, 8 MiB for a component and 16 MiB for all (Config::root_bytes, Config::guest_bytes)",
    );
    config.memory_bytes(1 << 20);
    let error = linked(&config, large).unwrap_err();
    limited(error, "limit reached: linear memories, 1 MiB (Config::memory_bytes)");
    let table = r#"(component (core module $M (table 101 funcref)) (core instance (instantiate $M)))"#;
    let error = linked(&config, table).unwrap_err();
    limited(error, "limit reached: elements of tables, 100 (Config::table_elements)");
}

#[test]
fn a_default_store_does_not_commit_what_one_line_of_text_asks_for() {
    let error = linked(
        &Config::new(),
        "(component (core module $M (memory 65536)) (core instance (instantiate $M)))",
    );
    limited(
        error.unwrap_err(),
        "limit reached: memory that guests cause to be allocated, 1 GiB for a component and 2 GiB for all (Config::root_bytes, Config::guest_bytes)",
    );
}

/// `chain(n)` components, each of which calls the next; the last answers how many there are before it.
fn chain(n: u32) -> String {
    let mut wat = String::from(
        r#"(component
  (component $First (core module $M (func (export "f") (result i32) (i32.const 0))) (core instance $m (instantiate $M))
    (func (export "f") (result u32) (canon lift (core func $m "f"))))
  (component $Next (import "f" (func $f (result u32))) (core func $f' (canon lower (func $f)))
    (core module $M (import "" "f" (func $f (result i32)))
      (func (export "f") (result i32) (i32.add (i32.const 1) (call $f))))
    (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
    (func (export "f") (result u32) (canon lift (core func $m "f"))))
  (instance $i0 (instantiate $First))"#,
    );
    for i in 1..=n {
        wat += &format!(r#"(instance $i{i} (instantiate $Next (with "f" (func $i{} "f"))))"#, i - 1);
    }
    wat + &format!(r#"(export "run" (func $i{n} "f")))"#)
}

/// Runs `f` on a thread with so much stack.
fn on_a_stack<R: Send + 'static>(bytes: usize, f: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::Builder::new().stack_size(bytes).spawn(f).unwrap().join().unwrap()
}

#[test]
fn calls_between_components_nest_as_deep_as_the_native_stack_allows() {
    let deep = |levels, stack| {
        on_a_stack(stack, move || {
            let mut config = Config::new();
            let (mut store, instance) = linked(config.max_stack_bytes(64 << 10), &chain(levels)).unwrap();
            let result = call_u32(&mut store, &instance, "run", &[]);
            store.core().check().unwrap();
            result
        })
    };
    assert_eq!(deep(500, 64 << 20).unwrap(), 500);
    limited(
        deep(500, 1 << 20).unwrap_err(),
        "limit reached: calls between components, less than 128 KiB of native stack are left (run it on a thread with a larger stack)",
    );
}

const RECURSION: &str = r#"(component
  (core module $M (func $f (export "f") (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0))
      (then (i32.const 0))
      (else (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1))))))))
  (core instance $m (instantiate $M))
  (func (export "f") (param "n" u32) (result u32) (canon lift (core func $m "f"))))"#;

#[test]
fn guests_recurse_as_deep_as_ordinary_programs_do() {
    let (mut store, instance) = linked(&Config::new(), RECURSION).unwrap();
    assert_eq!(call_u32(&mut store, &instance, "f", &[100_000]).unwrap(), 100_000);
    let error = call_u32(&mut store, &instance, "f", &[10_000_000]).unwrap_err();
    assert_eq!(error.to_string(), "wasm trap: call stack exhausted");
}

/// A list of records of a byte each: what a byte becomes for the host is far more.
const AMPLIFIED: &str = r#"(component (type $t0 (record (field "a" u8))) (export $t "t" (type $t0))
  (core module $M (memory (export "m") 1)
    (func (export "run") (param i32) (result i32)
      (i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (local.get 0)) (i32.const 0)))
  (core instance $m (instantiate $M))
  (func (export "run") (param "n" u32) (result (list $t)) (canon lift (core func $m "run") (memory (core memory $m "m")))))"#;

#[test]
fn values_on_their_way_to_the_host_count_as_they_are_in_memory() {
    let mut config = Config::new();
    config.host_bytes(100_000);
    let (mut store, instance) = linked(&config, AMPLIFIED).unwrap();
    let fits = call(&mut store, &instance, "run", &[Val::U32(500)]).unwrap();
    assert!(matches!(fits, Some(Val::List(items)) if items.len() == 500));
    let error = call(&mut store, &instance, "run", &[Val::U32(1000)]).unwrap_err();
    limited(error, "limit reached: bytes of host values, 100000 bytes (Config::host_bytes)");
    // The guest has done nothing wrong.
    call(&mut store, &instance, "run", &[Val::U32(1)]).unwrap();
}
