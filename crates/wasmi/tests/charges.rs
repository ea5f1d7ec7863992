//! Fuel for what is done for guests: values that are lifted and lowered, strings, streams, host functions.

mod common;

use canon_async_wasmi::{Config, Engine, Linker, Stopped, Store, Val};
use common::{call, component};

/// Instantiates a component that may import `f` and `g`, with a great deal of fuel.
fn metered(wat: &str) -> (Store<()>, canon_async_wasmi::Instance) {
    let engine = Engine::new(Config::new().fuel(true));
    let component = component(&engine, wat);
    let mut store = Store::new(&engine, ());
    store.set_fuel(u64::MAX).unwrap();
    let mut linker = Linker::new(&engine);
    linker.func("f", |_, _| Ok(None));
    linker.func("g", |_, args| Ok(args.first().cloned()));
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

/// What a call costs.
fn cost(store: &mut Store<()>, instance: &canon_async_wasmi::Instance, name: &str, args: &[Val]) -> u64 {
    store.set_fuel(1 << 40).unwrap();
    call(store, instance, name, args).unwrap();
    (1 << 40) - store.fuel().unwrap()
}

/// A guest that passes `(at, length)` to an import whose only parameter is of this type.
fn passes(ty: &str) -> String {
    format!(
        r#"(component
          (import "f" (func $f (param "x" {ty})))
          (core module $Mem (memory (export "m") 20))
          (core instance $mem (instantiate $Mem))
          (core func $f' (canon lower (func $f) (memory (core memory $mem "m"))))
          (core module $M (import "" "f" (func $f (param i32 i32)))
            (func (export "run") (param i32) (call $f (i32.const 0) (local.get 0))))
          (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
          (func (export "run") (param "n" u32) (canon lift (core func $m "run"))))"#
    )
}

#[test]
fn fuel_pays_for_lists_by_the_element_and_for_bytes_by_64() {
    for (ty, n, least, most) in [
        // Copied as bytes, and decoded one by one.
        ("(list u8)", 64_000, 65_000, 66_000),
        // Lifted, and decoded.
        ("(list bool)", 64_000, 128_000, 129_000),
        ("(list string)", 1000, 1950, 2010),
        // Validated, copied, decoded.
        ("string", 640_000, 30_000, 30_100),
    ] {
        let (mut store, instance) = metered(&passes(ty));
        let nothing = cost(&mut store, &instance, "run", &[Val::U32(0)]);
        let more = cost(&mut store, &instance, "run", &[Val::U32(n)]) - nothing;
        assert!((least..=most).contains(&more), "{ty}: {more}");
    }
}

#[test]
fn fuel_that_does_not_pay_for_the_work_ends_the_guest_before_it() {
    for ty in ["(list u8)", "(list bool)", "string"] {
        let (mut store, instance) = metered(&passes(ty));
        store.set_fuel(5000).unwrap();
        let error = call(&mut store, &instance, "run", &[Val::U32(1_000_000)]).unwrap_err();
        assert_eq!(error.stopped(), Some(Stopped::Fuel), "{ty}: {error}");
        assert_eq!(error.to_string(), "wasm trap: all fuel consumed");
        store.set_fuel(5000).unwrap();
        assert!(call(&mut store, &instance, "run", &[Val::U32(0)]).is_err(), "{ty}: the guest is dead");
        assert_eq!(store.fuel().unwrap(), 5000, "{ty}: nobody pays for a call of the dead");
    }
}

#[test]
fn fuel_is_not_taken_for_flat_values() {
    let (mut store, instance) = metered(
        r#"(component
          (import "f" (func $f (param "x" u32) (param "y" (tuple bool char f64))))
          (core func $f' (canon lower (func $f)))
          (core module $M (import "" "f" (func $f (param i32 i32 i32 f64)))
            (func (export "calls") (call $f (i32.const 0) (i32.const 0) (i32.const 97) (f64.const 0))))
          (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
          (func (export "calls") (canon lift (core func $m "calls"))))"#,
    );
    // Its own seven instructions, and the nine of the shim that packs the arguments.
    assert_eq!(cost(&mut store, &instance, "calls", &[]), 16);
}

#[test]
fn fuel_pays_for_results_of_guests_and_of_host_functions() {
    let (mut store, instance) = metered(
        r#"(component
          (import "g" (func $g (param "x" string) (result string)))
          (core module $Mem (memory (export "m") 20)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
          (core instance $mem (instantiate $Mem))
          (core func $g' (canon lower (func $g) (memory (core memory $mem "m")) (realloc (core func $mem "realloc"))))
          (core module $M (import "" "g" (func $g (param i32 i32 i32))) (import "" "m" (memory 20))
            (func (export "asks") (param i32) (call $g (i32.const 0) (local.get 0) (i32.const 65536)))
            (func (export "gives") (param i32) (result i32)
              (i32.store (i32.const 8) (i32.const 1000)) (i32.store (i32.const 12) (local.get 0)) (i32.const 8)))
          (core instance $m (instantiate $M (with "" (instance
            (export "g" (func $g')) (export "m" (memory $mem "m"))))))
          (func (export "asks") (param "n" u32) (canon lift (core func $m "asks")))
          (func (export "gives") (param "n" u32) (result string)
            (canon lift (core func $m "gives") (memory (core memory $mem "m")))))"#,
    );
    let nothing = cost(&mut store, &instance, "asks", &[Val::U32(0)]);
    // There: validated, copied, decoded. Back: encoded, validated, copied.
    let asks = cost(&mut store, &instance, "asks", &[Val::U32(64_000)]) - nothing;
    assert!((6000..6100).contains(&asks), "{asks}");
    let gives = cost(&mut store, &instance, "gives", &[Val::U32(64_000)]);
    assert!((3000..3100).contains(&gives), "{gives}");
    store.set_fuel(2500).unwrap();
    let error = call(&mut store, &instance, "gives", &[Val::U32(64_000)]).unwrap_err();
    assert_eq!(error.stopped(), Some(Stopped::Fuel));
}

#[test]
fn fuel_for_the_hosts_own_arguments_is_taken_and_without_it_nobody_dies() {
    let (mut store, instance) = metered(
        r#"(component
          (core module $M (memory (export "m") 20)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "takes") (param i32 i32)))
          (core instance $m (instantiate $M))
          (func (export "takes") (param "x" string) (canon lift (core func $m "takes")
            (memory (core memory $m "m")) (realloc (core func $m "realloc")))))"#,
    );
    let text = [Val::String("x".repeat(640_000))];
    let takes = cost(&mut store, &instance, "takes", &text);
    assert!((30_000..30_100).contains(&takes), "{takes}");
    store.set_fuel(15_000).unwrap();
    let error = call(&mut store, &instance, "takes", &text).unwrap_err();
    assert_eq!(error.stopped(), Some(Stopped::Fuel));
    store.set_fuel(1000).unwrap();
    call(&mut store, &instance, "takes", &[Val::String("x".into())]).unwrap();
}

#[test]
fn a_copy_of_a_stream_is_paid_for_by_who_makes_it() {
    let (mut store, instance) = metered(
        r#"(component
          (core module $Mem (memory (export "m") 20))
          (core instance $mem (instantiate $Mem))
          (type $s (stream u8))
          (core func $new (canon stream.new $s))
          (core func $read (canon stream.read $s async (memory (core memory $mem "m"))))
          (core func $write (canon stream.write $s async (memory (core memory $mem "m"))))
          (core module $M
            (import "" "new" (func $new (result i64)))
            (import "" "read" (func $read (param i32 i32 i32) (result i32)))
            (import "" "write" (func $write (param i32 i32 i32) (result i32)))
            (func (export "run") (param $n i32) (local $ends i64)
              (local.set $ends (call $new))
              (drop (call $write
                (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))) (i32.const 0) (local.get $n)))
              (drop (call $read (i32.wrap_i64 (local.get $ends)) (i32.const 0) (local.get $n)))))
          (core instance $m (instantiate $M (with "" (instance
            (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))))))
          (func (export "run") (param "n" u32) (canon lift (core func $m "run"))))"#,
    );
    let one = cost(&mut store, &instance, "run", &[Val::U32(1)]);
    let many = cost(&mut store, &instance, "run", &[Val::U32(640_000)]) - one;
    assert!((9_990..=10_010).contains(&many), "{many}");
    store.set_fuel(5000).unwrap();
    let error = call(&mut store, &instance, "run", &[Val::U32(640_000)]).unwrap_err();
    assert_eq!(error.stopped(), Some(Stopped::Fuel));
}

/// Runs `run` of a file of `tests/hostile/` with so much fuel.
fn hostile(wat: &str, fuel: u64, args: &[Val]) -> Option<Stopped> {
    let (mut store, instance) = metered(wat);
    store.set_fuel(fuel).unwrap();
    call(&mut store, &instance, "run", args).err().and_then(|error| error.stopped())
}

#[test]
fn strings_that_cost_their_caller_nothing_end_where_the_fuel_ends() {
    // Twenty strings of 256 MiB; one is four million of fuel to validate, and as much to copy.
    assert_eq!(hostile(include_str!("hostile/fuelamp.wat"), 100_000, &[]), Some(Stopped::Fuel));
}

#[test]
fn lists_of_one_list_again_and_again_end_where_the_fuel_ends() {
    let wat = include_str!("hostile/fuel-copy-hang.wat");
    for n in [1000, 10_000] {
        assert_eq!(hostile(wat, 2_000_000, &[Val::U32(n)]), Some(Stopped::Fuel), "{n}");
    }
    assert_eq!(hostile(wat, 10_000_000, &[Val::U32(2)]), None);
}
