//! How the scheduler chooses.

mod common;

use std::collections::BTreeSet;

use canon_async::Embedding as _;
use canon_async_wasmi::{Choose, Component, Engine, Linker, Store, Val};
use common::{component, engine};

/// `run` yields once, and then logs its argument.
const LOG: &str = r#"(component
  (import "log" (func $log (param "n" u32)))
  (core func $log (canon lower (func $log)))
  (core func $set (canon context.set i32 0))
  (core func $get (canon context.get i32 0))
  (core func $return (canon task.return))
  (core module $M
    (import "" "log" (func $log (param i32)))
    (import "" "set" (func $set (param i32)))
    (import "" "get" (func $get (result i32)))
    (import "" "return" (func $return))
    (func (export "run") (param i32) (result i32) (call $set (local.get 0)) (i32.const 1))
    (func (export "callback") (param i32 i32 i32) (result i32)
      (call $log (call $get))
      (call $return)
      (i32.const 0)))
  (core instance $m (instantiate $M (with "" (instance
    (export "log" (func $log)) (export "set" (func $set))
    (export "get" (func $get)) (export "return" (func $return))))))
  (func (export "run") async (param "n" u32)
    (canon lift (core func $m "run") async (callback (core func $m "callback")))))"#;

/// In which order eight calls go on, two of each of four instances.
fn order(engine: &Engine, component: &Component, choose: Choose) -> Vec<u32> {
    let mut store = Store::new(engine, Vec::new());
    store.embedding().store().set_choose(choose);
    let mut linker = Linker::<Vec<u32>>::new(engine);
    linker.func("log", |mut caller, args| {
        let [Val::U32(n)] = args else { panic!("{args:?}") };
        caller.data_mut().push(*n);
        Ok(None)
    });
    let mut n = 0;
    for _ in 0..4 {
        let instance = linker.instantiate(&mut store, component).unwrap();
        let run = instance.func(&store, "run").expect("an export");
        for _ in 0..2 {
            run.start(&mut store, &[Val::U32(n)]).unwrap().forget(&mut store);
            n += 1;
        }
    }
    while store.tick().unwrap() {}
    common::assert_idle(&store);
    store.into_data()
}

#[test]
fn a_seed_tells_the_order_of_what_is_ready() {
    let engine = engine();
    let component = component(&engine, LOG);
    let order = |choose| order(&engine, &component, choose);
    let all: Vec<u32> = (0..8).collect();
    // Instances take turns.
    assert_eq!(order(Choose::Eager), [0, 2, 4, 6, 1, 3, 5, 7]);
    let mut orders = BTreeSet::new();
    for seed in 0..8 {
        let drawn = order(Choose::Seeded(seed));
        assert_eq!(drawn, order(Choose::Seeded(seed)));
        let mut sorted = drawn.clone();
        sorted.sort();
        assert_eq!(sorted, all);
        orders.insert(drawn);
    }
    assert_eq!(orders.len(), 8, "{orders:?}");
}
