//! guests/failing.

use canon_async_wasmi::{Component, Engine, Linker, Store, Val};

use crate::build;

/// A panic of Rust is `unreachable`: what is said beside is where it was.
#[test]
fn panic_of_a_rust_guest_names_its_component_export_and_core_function() {
    let engine = Engine::default();
    let component = Component::new(&engine, &build::component("failing")).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let sum = instance.func(&store, "example:failing/sums#sum").unwrap();
    let six = sum.call(&mut store, &[Val::String("1, 2,3".into())]).unwrap();
    assert_eq!(six, Some(Val::U32(6)));
    let error = sum.call(&mut store, &[Val::String("1,two".into())]).unwrap_err();
    assert_eq!(error.to_string(), "wasm trap: wasm `unreachable` instruction executed");
    let backtrace = error.backtrace().expect("it came up in a guest");
    assert_eq!(backtrace.frames().len(), 1);
    let frame = backtrace.innermost().unwrap();
    assert_eq!(frame.export(), Some("example:failing/sums#sum"));
    let entry = frame.entry().expect("its core function");
    assert_eq!(entry.export(), Some("example:failing/sums#sum"));
    assert!(entry.index().is_some() && entry.offset().is_some(), "{entry:?}");
    // Cargo leaves the names in, which are the compiler's.
    assert!(entry.name().is_some_and(|name| name.contains("sum")), "{entry:?}");
}
