//! What the tests share: guests, which are components of core modules in text and of the WIT of this crate.

use std::path::Path;
use std::task::Poll;

use canon_async::Embedding;
use canon_async_hal::Hal;
use canon_async_wasmi::{Call, Component, Config, Engine, Error, Instance, Linker, Store, Val};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{PackageId, Resolve, WorldId};

const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/wit");

/// The WIT of this crate.
pub fn wit() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(WIT)).expect("the WIT is valid");
    (resolve, package)
}

/// A component of a core module, of this world.
pub fn encode(mut module: Vec<u8>, resolve: &Resolve, world: WorldId) -> Vec<u8> {
    let utf8 = StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, resolve, world, utf8, false).expect("a section");
    let mut encoder = ComponentEncoder::default();
    let encoder = encoder.module(&module).expect("the module fits the world");
    encoder.encode().expect("a component")
}

/// A component of a core module in text, of a world with this in it.
pub fn guest(engine: &Engine, text: &str, world: &str) -> Component {
    let (mut resolve, _) = wit();
    let source = format!("package canon:test; world guest {{ {world} }}");
    let package = resolve.push_str("test.wit", &source).unwrap_or_else(|error| panic!("{error:?}"));
    let world = resolve.select_world(&[package], None).expect("one world");
    let module = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    component(engine, &encode(module, &resolve, world))
}

pub fn component(engine: &Engine, bytes: &[u8]) -> Component {
    Component::new(engine, bytes).unwrap_or_else(|error| panic!("{error}"))
}

/// A store with these devices and guests.
pub struct Setup {
    pub store: Store<()>,
    linker: Linker<()>,
    component: Component,
}

impl Setup {
    pub fn new(text: &str, world: &str, hal: Hal) -> Self {
        let engine = Engine::new(&Config::new());
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        hal.add_to(&mut linker, &mut store).unwrap_or_else(|error| panic!("{error}"));
        let component = guest(&engine, text, world);
        Self { store, linker, component }
    }

    /// A guest that has opened the device of this name.
    pub fn opened(&mut self, name: &str) -> Instance {
        let instance = self.instance();
        let open = self.call(&instance, "open", &[Val::String(name.into())]);
        assert_eq!(open.unwrap(), Some(Val::Bool(true)), "{name} is there");
        instance
    }

    pub fn instance(&mut self) -> Instance {
        let instance = self.linker.instantiate(&mut self.store, &self.component);
        instance.unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn call(&mut self, instance: &Instance, name: &str, args: &[Val]) -> Result<Option<Val>, Error> {
        let func = instance.func(&self.store, name).unwrap_or_else(|| panic!("no export {name}"));
        func.call(&mut self.store, args)
    }

    /// The `result` that a guest passes on.
    pub fn result(&mut self, instance: &Instance, name: &str, args: &[Val]) -> Result<Option<Val>, String> {
        let given = self.call(instance, name, args);
        as_result(given.unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    pub fn start(&mut self, instance: &Instance, name: &str, args: &[Val]) -> Call {
        let func = instance.func(&self.store, name).unwrap_or_else(|| panic!("no export {name}"));
        func.start(&mut self.store, args).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs all that can go on.
    pub fn run(&mut self) {
        loop {
            self.store.embedding().poll_answers().expect("nobody is to blame");
            if !self.store.tick().expect("nobody traps") {
                break;
            }
        }
    }

    /// The `result` of a call, if it has returned.
    pub fn finish(&mut self, call: &mut Call) -> Option<Result<Option<Val>, String>> {
        self.run();
        match call.poll(&mut self.store).unwrap_or_else(|error| panic!("{error}")) {
            Poll::Ready(val) => Some(as_result(val)),
            Poll::Pending => None,
        }
    }

    /// The invariants hold, and nothing is left over.
    pub fn assert_idle(&self) {
        self.store.core().check().expect("the invariants hold");
        let counts = self.store.core().counts();
        assert_eq!((counts.tasks, counts.threads, counts.waitables), (0, 0, 0), "{counts:?}");
        assert_eq!(self.store.core().unanswered(), 0);
    }
}

/// A value that is a `result` with an enum for its error.
pub fn as_result(val: Option<Val>) -> Result<Option<Val>, String> {
    match val {
        Some(Val::Result(Ok(val))) => Ok(val.map(|val| *val)),
        Some(Val::Result(Err(Some(error)))) => match *error {
            Val::Enum(label) => Err(label),
            other => panic!("{other:?} is no error-kind"),
        },
        other => panic!("{other:?} is no result"),
    }
}

pub fn bytes(bytes: &[u8]) -> Val {
    Val::List(bytes.iter().map(|byte| Val::U8(*byte)).collect())
}

pub fn read(length: u32) -> Val {
    Val::Variant("read".into(), Some(Box::new(Val::U32(length))))
}

pub fn write(with: &[u8]) -> Val {
    Val::Variant("write".into(), Some(Box::new(bytes(with))))
}

/// What each guest has: memory that is never freed, and the calls of its one device at address 16.
pub const MEMORY: &str = r#"
  (memory (export "memory") 4)
  (global $free (mut i32) (i32.const 1024))
  (func $alloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func $room (result i32) (call $alloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 16)))"#;

/// What a guest imports that waits in its callback.
pub const WAITS: &str = r#"
  (import "$root" "[waitable-set-new]" (func $set-new (result i32)))
  (import "$root" "[waitable-set-drop]" (func $set-drop (param i32)))
  (import "$root" "[waitable-join]" (func $join (param i32 i32)))
  (import "$root" "[subtask-cancel]" (func $cancel (param i32) (result i32)))
  (import "$root" "[subtask-drop]" (func $subtask-drop (param i32)))
  (import "[export]$root" "[task-cancel]" (func $task-cancel))"#;

/// Waits for one call: `$after` takes what the call returned, `$finish` is run when it has. Told of its own cancellation, it cancels
/// the call.
pub const CALLBACK: &str = r#"
  (global $subtask (mut i32) (i32.const 0))
  (global $set (mut i32) (i32.const 0))
  (func $after (param $r i32) (result i32)
    (if (i32.eq (i32.and (local.get $r) (i32.const 0xf)) (i32.const 2)) (then
      (call $finish)
      (return (i32.const 0))))
    (global.set $subtask (i32.shr_u (local.get $r) (i32.const 4)))
    (global.set $set (call $set-new))
    (call $join (global.get $subtask) (global.get $set))
    (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
  (func $callback (param $event i32) (param i32 i32) (result i32)
    (call $join (global.get $subtask) (i32.const 0))
    (if (i32.eq (local.get $event) (i32.const 6))
      (then
        (drop (call $cancel (global.get $subtask)))
        (call $task-cancel))
      (else (call $finish)))
    (call $subtask-drop (global.get $subtask))
    (call $set-drop (global.get $set))
    (i32.const 0))"#;

/// Sleeps for so many of each unit.
pub const SLEEPER: &str = r#"(module
  (import "canon:hal/delay@0.1.0" "delay-ns" (func $ns (param i32 i32)))
  (import "canon:hal/delay@0.1.0" "delay-us" (func $us (param i32 i32)))
  (import "canon:hal/delay@0.1.0" "delay-ms" (func $ms (param i32 i32)))
  (import "[export]$root" "[task-return]ns" (func $return (param i32 i32)))
  {MEMORY}
  (func $finish (param $at i32)
    (call $return (i32.load8_u (local.get $at)) (i32.load8_u offset=1 (local.get $at))))
  (func (export "[async-lift-stackful]ns") (param i32)
    (local $at i32)
    (local.set $at (call $room))
    (call $ns (local.get 0) (local.get $at))
    (call $finish (local.get $at)))
  (func (export "[async-lift-stackful]us") (param i32)
    (local $at i32)
    (local.set $at (call $room))
    (call $us (local.get 0) (local.get $at))
    (call $finish (local.get $at)))
  (func (export "[async-lift-stackful]ms") (param i32)
    (local $at i32)
    (local.set $at (call $room))
    (call $ms (local.get 0) (local.get $at))
    (call $finish (local.get $at))))"#;

pub const SLEEPER_WORLD: &str = "
    import canon:hal/delay@0.1.0;
    use canon:hal/delay@0.1.0.{error-kind};
    export ns: async func(count: u32) -> result<_, error-kind>;
    export us: async func(count: u32) -> result<_, error-kind>;
    export ms: async func(count: u32) -> result<_, error-kind>;";
