//! A program of guests, in every way in which it can be put together and scheduled.

use canon_async::Embedding as _;
use canon_async_wasmi::{Choose, Component, Engine, Error, Func, Instance, Linker, Store, Val};

use crate::build;
use crate::compose::{MAIN, compose};

/// How the scheduler chooses.
const CHOOSES: [Choose; 7] = [
    Choose::Eager,
    Choose::Barging,
    Choose::Spec,
    Choose::Seeded(1),
    Choose::Seeded(2),
    Choose::Seeded(3),
    Choose::Seeded(4),
];

/// For what takes long: how it chooses, and whether the guests are linked or composed.
const SOME: [(Choose, bool); 4] =
    [(Choose::Eager, true), (Choose::Spec, false), (Choose::Seeded(5), true), (Choose::Seeded(6), false)];

/// Guests, each with those before it as what it imports; the last one is called.
pub struct Program {
    engine: Engine,
    /// By name, to be linked in one store.
    guests: Vec<(&'static str, Component)>,
    /// All of them in one component.
    composed: Component,
}

impl Program {
    /// Builds and compiles it.
    pub fn new(guests: &[&'static str]) -> Self {
        let engine = Engine::default();
        let bytes: Vec<_> = guests.iter().map(|&name| (name, build::component(name))).collect();
        let compile = |name: &str, bytes: &[u8]| {
            Component::new(&engine, bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let parts: Vec<(&str, &[u8])> = bytes.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let composed = compile("the composition", &compose(&parts));
        let guests = bytes.iter().map(|(name, bytes)| (*name, compile(name, bytes))).collect();
        Self { engine, guests, composed }
    }

    /// Runs a test in every way, each in a fresh store, and checks that nothing is left over.
    pub fn in_every_way(&self, test: impl Fn(&mut Running)) {
        self.each_way(|running| {
            test(running);
            running.check_nothing_is_left();
        });
    }

    /// The same in some ways, for what takes long.
    pub fn in_some_ways(&self, test: impl Fn(&mut Running)) {
        for (choose, linked) in SOME {
            let mut running = self.start(choose, linked);
            test(&mut running);
            running.check_nothing_is_left();
        }
    }

    /// Runs a test in every way, each in a fresh store.
    pub fn each_way(&self, test: impl Fn(&mut Running)) {
        for choose in CHOOSES {
            for linked in [true, false] {
                test(&mut self.start(choose, linked));
            }
        }
    }

    /// Starts a call and cancels it after some turns, for every number of turns until it returns: nothing may be left over.
    pub fn cancel_anywhere(&self, export: &str, args: &[Val]) {
        for (choose, linked) in SOME {
            let mut turns = 0;
            while self.cancel_after(turns, choose, linked, export, args) {
                turns += 1;
            }
            assert!(turns > 0, "the call returned before it could be cancelled");
        }
    }

    /// Whether it was cancelled before it returned.
    fn cancel_after(&self, turns: u32, choose: Choose, linked: bool, export: &str, args: &[Val]) -> bool {
        let mut running = self.start(choose, linked);
        let func = running.func(None, export);
        let mut call = func.start(&mut running.store, args).expect("it starts");
        for _ in 0..turns {
            running.store.tick().expect("no trap");
        }
        if call.poll(&mut running.store).expect("not cancelled yet").is_ready() {
            running.check_nothing_is_left();
            return false;
        }
        call.cancel(&mut running.store).expect("no trap");
        match call.result(&mut running.store) {
            Ok(_) | Err(Error::Cancelled) => {}
            Err(error) => panic!("{choose:?}, linked: {linked}, after {turns} turns: {error}"),
        }
        running.check_nothing_is_left();
        true
    }

    fn start(&self, choose: Choose, linked: bool) -> Running {
        // What a test that fails shows.
        println!("{choose:?}, {}", if linked { "linked" } else { "composed" });
        let mut store = Store::new(&self.engine, ());
        store.embedding().store().set_choose(choose);
        let mut linker = Linker::new(&self.engine);
        if !linked {
            let instance = linker.instantiate(&mut store, &self.composed).expect("an instance");
            return Running { choose, store, instances: vec![("", instance)] };
        }
        let mut instances = Vec::new();
        for (name, component) in &self.guests {
            let instance =
                linker.instantiate(&mut store, component).unwrap_or_else(|error| panic!("{name}: {error}"));
            for export in instance.exports().keys() {
                linker.export(&store, export, &instance, export).expect("an export");
            }
            instances.push((*name, instance));
        }
        Running { choose, store, instances }
    }
}

/// A program in a store.
pub struct Running {
    pub choose: Choose,
    pub store: Store<()>,
    /// The guests by name, or the composition alone, without one.
    instances: Vec<(&'static str, Instance)>,
}

impl Running {
    /// Calls an export of the last guest.
    pub fn call(&mut self, export: &str, args: &[Val]) -> Val {
        self.call_of(None, export, args)
    }

    /// Calls an export of another guest, or of the last one.
    pub fn call_of(&mut self, guest: Option<&str>, export: &str, args: &[Val]) -> Val {
        let func = self.func(guest, export);
        let result = func.call(&mut self.store, args).unwrap_or_else(|error| panic!("{export}: {error}"));
        result.unwrap_or_else(|| panic!("{export} has no result"))
    }

    /// An export of a guest, or of the last one.
    pub fn func(&self, guest: Option<&str>, export: &str) -> Func {
        let (instance, path) = match self.instances.as_slice() {
            [("", composed)] => (composed, format!("{}#{export}", guest.unwrap_or(MAIN))),
            linked => {
                let found = linked.iter().rfind(|(name, _)| guest.is_none_or(|guest| guest == *name));
                (&found.expect("a guest").1, export.into())
            }
        };
        instance.func(&self.store, &path).unwrap_or_else(|| panic!("no export {path}"))
    }

    /// Runs whatever still runs, and checks that all of it ended and gave back what it held.
    pub fn check_nothing_is_left(&mut self) {
        while self.store.tick().unwrap_or_else(|error| panic!("after the call: {error}")) {}
        self.store.core().check().unwrap();
        assert_eq!(self.store.core().counts(), Default::default());
        assert_eq!(self.store.suspended(), 0);
    }
}

/// A string.
pub fn string(text: &str) -> Val {
    Val::String(text.into())
}

/// A list of strings.
pub fn strings(texts: &[&str]) -> Val {
    Val::List(texts.iter().map(|text| string(text)).collect())
}
