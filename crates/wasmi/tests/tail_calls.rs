//! Tail calls: refused unless `Config::tail_calls` is on, and then they reach no host function, at which
//! wasmi 2.0 corrupts its stack.

mod common;

use canon_async_wasmi::{Component, Config, Engine, Val};
use common::{assert_idle, call, try_instantiate_in};

/// `many` calls a function that calls one built-in and tail-calls another, neither of which ever blocks.
const TAIL_CALLS: &str = r#"(component
  (core func $inc (canon backpressure.inc))
  (core func $dec (canon backpressure.dec))
  (core func $new (canon waitable-set.new))
  (core func $drop (canon waitable-set.drop))
  (core module $M
    (import "" "inc" (func $inc)) (import "" "dec" (func $dec))
    (import "" "new" (func $new (result i32))) (import "" "drop" (func $drop (param i32)))
    (type $t (func))
    (table 1 funcref) (elem (i32.const 0) $dec)
    (func $tail (param i32) (call $inc) (local.get 0) (return_call $dec))
    (func $indirect (param i32) (call $inc) (local.get 0) (return_call_indirect (type $t) (i32.const 0)))
    (func $set (result i32) (return_call $new))
    (func $gone (param i32) (return_call $drop (local.get 0)))
    (func (export "many") (result i32) (local $i i32) (local $sum i32)
      (loop $again
        (call $tail (local.get $i))
        (call $indirect (local.get $i))
        (call $gone (call $set))
        (local.set $sum (i32.add (local.get $sum) (local.get $i)))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
      (local.get $sum)))
  (core instance $m (instantiate $M (with "" (instance
    (export "inc" (func $inc)) (export "dec" (func $dec)) (export "new" (func $new)) (export "drop" (func $drop))))))
  (func (export "many") (result u32) (canon lift (core func $m "many"))))"#;

#[test]
fn a_tail_call_of_a_built_in_returns_to_the_caller_s_caller() {
    for config in [&mut Config::new(), Config::new().fuel(true), Config::new().interruptible(true)] {
        let engine = Engine::new(config.tail_calls(true));
        let (mut store, instance) = try_instantiate_in(&engine, TAIL_CALLS);
        if store.fuel().is_ok() {
            store.set_fuel(100_000_000).unwrap();
        }
        let sum = call(&mut store, &instance.unwrap(), "many", &[]).unwrap();
        assert_eq!(sum, Some(Val::U32(999 * 1000 / 2)));
        assert_idle(&store);
    }
}

#[test]
fn a_module_with_tail_calls_is_refused_by_default() {
    let bytes = wat::parse_str(TAIL_CALLS).unwrap();
    let error = Component::new(&Engine::default(), &bytes).unwrap_err().to_string();
    assert!(error.contains("tail calls support is not enabled"), "{error}");
    // So is a plan, whoever translated it.
    let engine = Engine::new(Config::new().tail_calls(true));
    let plan = Component::new(&engine, &bytes).unwrap().plan().clone();
    let error = Component::from_plan(&Engine::default(), plan).unwrap_err().to_string();
    assert!(error.contains("tail calls support is not enabled"), "{error}");
}
