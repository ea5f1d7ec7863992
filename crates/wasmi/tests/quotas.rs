//! Roots that take too much, and their neighbours.

mod common;

use canon_async::{Error as CoreError, LimitOwner, LimitReached, Resource};
use canon_async_wasmi::{Config, Engine, Error, Instance, Limits, Linker, Store};
use common::{assert_idle, call_u32, component};

/// `hog(n)` makes n waitable sets, and keeps them.
const HOG: &str = r#"(component
  (core func $new (canon waitable-set.new))
  (core module $M
    (import "" "new" (func $new (result i32)))
    (func (export "hog") (param $n i32) (result i32)
      (loop $next
        (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
        (drop (call $new))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next))
      unreachable))
  (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
  (func (export "hog") (param "n" u32) (result u32) (canon lift (core func $m "hog"))))"#;

/// A store of `configure`d limits with two of them.
fn two(configure: impl FnOnce(&mut Config)) -> (Store<()>, Instance, Instance) {
    let mut config = Config::new();
    config.limits(Limits::HEAP.with_sets(9));
    configure(&mut config);
    let engine = Engine::new(&config);
    let hog = component(&engine, HOG);
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    let first = linker.instantiate(&mut store, &hog).unwrap();
    let second = linker.instantiate(&mut store, &hog).unwrap();
    (store, first, second)
}

fn reached(result: Result<u32, Error>) -> LimitReached {
    match result.unwrap_err().core() {
        Some(CoreError::Capacity(reached)) => reached,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_root_that_takes_too_much_fails_and_its_neighbour_does_not() {
    let (mut store, first, second) = two(|_| ());
    assert_eq!(call_u32(&mut store, &first, "hog", &[5]).unwrap(), 0);
    let error = call_u32(&mut store, &first, "hog", &[1]).unwrap_err();
    let text =
        "limit reached: waitable sets of one root component, 5 (Limits::sets of Store::set_root_limits)";
    assert!(error.to_string().contains(text), "{error}");
    // What it held is free again, and the other may hold no more than before.
    assert_eq!(call_u32(&mut store, &second, "hog", &[5]).unwrap(), 0);
    let error = reached(call_u32(&mut store, &second, "hog", &[1]));
    assert_eq!((error.resource(), error.owner()), (Resource::WaitableSets, LimitOwner::Root));
    assert_idle(&store);
    assert_eq!(store.core().counts().sets, 0);
}

#[test]
fn root_limits_are_the_configurations() {
    let (mut store, first, second) = two(|config| {
        config.root_limits(Limits::STORAGE.with_sets(7));
    });
    assert_eq!(call_u32(&mut store, &first, "hog", &[7]).unwrap(), 0);
    let error = reached(call_u32(&mut store, &second, "hog", &[3]));
    // The store's own limit holds too.
    assert_eq!((error.owner(), error.value()), (LimitOwner::Store, Some(9)));
    let error = reached(call_u32(&mut store, &first, "hog", &[1]));
    assert_eq!((error.owner(), error.value()), (LimitOwner::Root, Some(7)));
}

#[test]
fn an_instance_has_limits_of_its_own() {
    let (mut store, first, second) = two(|_| ());
    second.set_limits(&mut store, Limits::STORAGE.with_sets(1)).unwrap();
    assert_eq!(call_u32(&mut store, &first, "hog", &[5]).unwrap(), 0);
    assert_eq!(call_u32(&mut store, &second, "hog", &[1]).unwrap(), 0);
    assert_eq!(reached(call_u32(&mut store, &second, "hog", &[1])).value(), Some(1));
    let (mut other, ..) = two(|_| ());
    assert!(second.set_limits(&mut other, Limits::STORAGE).is_err());
}
