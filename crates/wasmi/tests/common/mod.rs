//! What the tests share.
#![allow(dead_code, reason = "each test file takes what it needs")]

use canon_async_wasmi::{Component, Config, Engine, Error, Instance, Linker, Store, Val};

pub fn engine() -> Engine {
    Engine::new(&Config::new())
}

pub fn component(engine: &Engine, wat: &str) -> Component {
    let bytes = wat::parse_str(wat).expect("the test's text is a component");
    Component::new(engine, &bytes).unwrap_or_else(|error| panic!("{error}"))
}

/// A component without imports, instantiated.
pub fn instantiate(wat: &str) -> (Store<()>, Instance) {
    let (store, instance) = try_instantiate(wat);
    (store, instance.unwrap_or_else(|error| panic!("{error}")))
}

pub fn try_instantiate(wat: &str) -> (Store<()>, Result<Instance, Error>) {
    try_instantiate_in(&engine(), wat)
}

pub fn try_instantiate_in(engine: &Engine, wat: &str) -> (Store<()>, Result<Instance, Error>) {
    let component = component(engine, wat);
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, &component);
    (store, instance)
}

pub fn call<T>(
    store: &mut Store<T>,
    instance: &Instance,
    name: &str,
    args: &[Val],
) -> Result<Option<Val>, Error> {
    let func = instance.func(&*store, name).unwrap_or_else(|| panic!("no export {name}"));
    func.call(store, args)
}

/// Calls a function of numbers.
pub fn call_u32<T>(
    store: &mut Store<T>,
    instance: &Instance,
    name: &str,
    args: &[u32],
) -> Result<u32, Error> {
    let args: Vec<_> = args.iter().map(|n| Val::U32(*n)).collect();
    match call(store, instance, name, &args)? {
        Some(Val::U32(n)) => Ok(n),
        other => panic!("{name} answered {other:?}"),
    }
}

/// The invariants hold and nothing is left over.
pub fn assert_idle<T>(store: &Store<T>) {
    store.core().check().unwrap();
    let counts = store.core().counts();
    assert_eq!((counts.tasks, counts.threads, counts.waitables), (0, 0, 0), "{counts:?}");
    assert_eq!(store.suspended(), 0);
}
