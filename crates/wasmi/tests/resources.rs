//! Resources that cross the host's boundary, both ways.

mod common;

use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::{AsContextMut, Engine, Error, HostFunc, Instance, Linker, Store, Val};
use common::{assert_idle, call, component, engine};

/// A guest with a resource type: `make`, `get` and `later` (which blocks on a stream until `go`) take it by borrow, `take` as
/// owned. Representations are counted from 100; the destructor adds its representation to what `dropped` answers.
const COUNTER: &str = r#"(component
  (core module $M
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "return" (func $return (param i32)))
    (import "" "yield" (func $yield (result i32)))
    (global $made (mut i32) (i32.const 99))
    (global $dropped (mut i32) (i32.const 0))
    (func (export "dtor") (param i32) (global.set $dropped (i32.add (global.get $dropped) (local.get 0))))
    (func (export "make") (result i32)
      (global.set $made (i32.add (global.get $made) (i32.const 1)))
      (call $new (global.get $made)))
    (func (export "get") (param i32) (result i32) (local.get 0))
    (func (export "later") (param i32)
      (drop (call $yield))
      (call $return (local.get 0)))
    (func (export "take") (param i32) (call $drop (local.get 0)))
    (func (export "dropped") (result i32) (global.get $dropped)))
  (core module $T (table (export "t") 1 funcref)
    (type $f (func (param i32)))
    (func (export "dtor") (param i32) (call_indirect (type $f) (local.get 0) (i32.const 0))))
  (core module $Fill
    (import "" "t" (table 1 funcref)) (import "" "dtor" (func $d (param i32)))
    (elem (i32.const 0) $d))
  (core instance $t (instantiate $T))
  (alias core export $t "dtor" (core func $dtor))
  (type $r (resource (rep i32) (dtor (core func $dtor))))
  (core func $new (canon resource.new $r))
  (core func $drop (canon resource.drop $r))
  (core func $return (canon task.return (result u32)))
  (core func $yield (canon thread.yield))
  (core instance $m (instantiate $M (with "" (instance
    (export "new" (func $new)) (export "drop" (func $drop))
    (export "return" (func $return)) (export "yield" (func $yield))))))
  (alias core export $m "dtor" (core func $real))
  (alias core export $t "t" (core table $table))
  (core instance (instantiate $Fill (with "" (instance
    (export "t" (table $table)) (export "dtor" (func $real))))))
  (export $c "counter" (type $r))
  (func (export "make") (result (own $c)) (canon lift (core func $m "make")))
  (func (export "get") (param "c" (borrow $c)) (result u32) (canon lift (core func $m "get")))
  (func (export "later") async (param "c" (borrow $c)) (result u32) (canon lift (core func $m "later") async))
  (func (export "take") (param "c" (own $c)) (canon lift (core func $m "take")))
  (func (export "dropped") (result u32) (canon lift (core func $m "dropped"))))"#;

fn resource(val: Option<Val>) -> u32 {
    match val {
        Some(Val::Resource(handle)) => handle,
        other => panic!("{other:?}"),
    }
}

fn counter<T>(engine: &Engine, store: &mut Store<T>) -> Instance {
    Linker::new(engine).instantiate(store, &component(engine, COUNTER)).unwrap()
}

#[test]
fn the_host_lends_and_gives_a_guests_resource() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let guest = counter(&engine, &mut store);
    let first = resource(call(&mut store, &guest, "make", &[]).unwrap());
    let second = resource(call(&mut store, &guest, "make", &[]).unwrap());
    for (handle, rep) in [(first, 100), (second, 101), (first, 100)] {
        let got = call(&mut store, &guest, "get", &[Val::Resource(handle)]).unwrap();
        assert_eq!(got, Some(Val::U32(rep)));
    }
    call(&mut store, &guest, "take", &[Val::Resource(first)]).unwrap();
    assert_eq!(call(&mut store, &guest, "dropped", &[]).unwrap(), Some(Val::U32(100)));
    store.drop_resource(second).unwrap();
    assert_eq!(call(&mut store, &guest, "dropped", &[]).unwrap(), Some(Val::U32(201)));
    // They are gone, and nobody is harmed by the question.
    assert!(matches!(store.drop_resource(second), Err(Error::Trap { error: CoreError::Misuse(_), .. })));
    let error = call(&mut store, &guest, "get", &[Val::Resource(first)]).unwrap_err();
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::UnknownHandle(first))));
    assert_eq!(call(&mut store, &guest, "dropped", &[]).unwrap(), Some(Val::U32(201)));
    assert_idle(&store);
}

#[test]
fn what_the_host_lent_it_can_not_drop_before_the_call_ends() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let guest = counter(&engine, &mut store);
    let handle = resource(call(&mut store, &guest, "make", &[]).unwrap());
    let later = guest.func(&store, "later").unwrap();
    let mut running = later.start(&mut store, &[Val::Resource(handle)]).unwrap();
    assert!(running.poll(&mut store).unwrap().is_pending());
    let error = store.drop_resource(handle).unwrap_err();
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::ResourceLent)));
    while store.tick().unwrap() {}
    assert_eq!(running.result(&mut store).unwrap(), Some(Val::U32(100)));
    store.drop_resource(handle).unwrap();
    assert_idle(&store);
}

/// A guest that passes its argument on to a host function.
const USES: &str = r#"(component
  (import "r" (type $r (sub resource)))
  (import "f" (func $f (param "r" (borrow $r)) (result u32)))
  (import "make" (func $make (result (own $r))))
  (core func $f' (canon lower (func $f)))
  (core func $make' (canon lower (func $make)))
  (core func $drop (canon resource.drop $r))
  (core module $M
    (import "" "f" (func $f (param i32) (result i32)))
    (import "" "make" (func $make (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (result i32) (local $r i32) (local $n i32)
      (local.set $r (call $make))
      (local.set $n (i32.add (call $f (local.get $r)) (call $f (local.get $r))))
      (call $drop (local.get $r))
      (local.get $n)))
  (core instance $m (instantiate $M (with "" (instance
    (export "f" (func $f')) (export "make" (func $make')) (export "drop" (func $drop))))))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))"#;

#[test]
fn a_resource_of_the_host_is_made_lent_and_dropped_by_a_guest() {
    let engine = engine();
    let mut store = Store::new(&engine, Vec::<u32>::new());
    let mut linker = Linker::new(&engine);
    let dtor = HostFunc::new(|mut caller: canon_async_wasmi::Caller<'_, Vec<u32>>, args: &[Val]| {
        let [Val::U32(rep)] = args else { panic!("{args:?}") };
        caller.data_mut().push(*rep);
        Ok(None)
    });
    let ty = linker.resource(&mut store, "r", Some(dtor)).unwrap();
    linker.func("make", move |mut caller, _| Ok(Some(Val::Resource(caller.new_resource(ty, 7)?))));
    // A borrow of the host's own type is its representation.
    linker.func("f", |_, args| match args {
        [Val::Resource(rep)] => Ok(Some(Val::U32(rep * 3))),
        other => panic!("{other:?}"),
    });
    let guest = linker.instantiate(&mut store, &component(&engine, USES)).unwrap();
    assert_eq!(call(&mut store, &guest, "run", &[]).unwrap(), Some(Val::U32(42)));
    assert_eq!(store.data(), &[7]);
    let held = store.new_resource(ty, 8).unwrap();
    assert_eq!(store.resource_rep(held).unwrap(), 8);
    store.drop_resource(held).unwrap();
    assert_eq!(store.data(), &[7, 8]);
    assert_idle(&store);
}

#[test]
fn a_guests_resource_that_a_host_function_borrows_goes_back_when_it_returns() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let owner = counter(&engine, &mut store);
    let mut linker = Linker::new(&engine);
    linker.export(&store, "r", &owner, "counter").unwrap();
    linker.export(&store, "make", &owner, "make").unwrap();
    linker.func("f", |mut caller, args| match args {
        [Val::Resource(handle)] => {
            // It is not the host's type, so the host does not see what is behind it.
            assert!(matches!(
                caller.resource_rep(*handle),
                Err(Error::Trap { error: CoreError::Misuse(_), .. })
            ));
            Ok(Some(Val::U32(1)))
        }
        other => panic!("{other:?}"),
    });
    let guest = linker.instantiate(&mut store, &component(&engine, USES)).unwrap();
    assert_eq!(call(&mut store, &guest, "run", &[]).unwrap(), Some(Val::U32(2)));
    assert_eq!(call(&mut store, &owner, "dropped", &[]).unwrap(), Some(Val::U32(100)));
    assert_idle(&store);
}
