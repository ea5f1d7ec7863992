//! Links what was translated and calls it, as the choices of the tape in the store say.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use canon_async::id::ResourceId;
use canon_async::{Error as CoreError, Trap};
use canon_async_component::Plan;
use canon_async_component::types::{Origin, TypeTable};
use canon_async_wasmi::{
    AsContextMut as _, Call, Component, Engine, Error, Func, HostFunc, Instance, Linker, Store, Val,
};

use crate::host::{Host, define, drop_held};
use crate::outcomes;
use crate::tape::Tape;
use crate::values::value;

/// What a component gets to be instantiated, and what each later step gets.
const FUEL: (u64, u64) = (30_000, 5_000);
/// What traps, in components that were made: it is called last.
const DIE: &str = "die";
/// How many instances there may be, and how many of the first can be made again.
const INSTANCES: usize = 10;
const MAKERS: usize = 3;
/// The most things that the host does.
const STEPS: usize = 96;
/// No input may lead to a bug of ours; all other errors are fine here.
///
/// # Panics
/// Where one did.
pub fn verify(error: Option<&Error>) {
    let Some(error) = error else { return };
    outcomes::note(|| error.to_string());
    if let Some(CoreError::Bug(bug)) = error.core() {
        panic!("bug: {bug}: {error}");
    }
}

/// Arguments for a function.
pub fn args(host: &mut Host, func: &Func) -> Vec<Val> {
    let params = func.ty().params.iter();
    params.map(|param| value(&mut host.tape, &mut host.held, func.types(), param.ty)).collect()
}

/// A store with what was instantiated in it.
#[derive(Debug)]
pub struct World {
    /// The store.
    pub store: Store<Host>,
    /// What can be called, and of which instance it is.
    funcs: Vec<(usize, Func)>,
    /// What can be instantiated again.
    makers: Vec<(Linker<Host>, Component)>,
    /// The host's resource types.
    resources: Vec<ResourceId>,
    /// One of each instance that traps, where there is such a one.
    dies: Vec<Option<Func>>,
    calls: Vec<Call>,
    /// What came of each call and step, and the fuel that was left.
    log: Vec<String>,
}

impl World {
    /// Without anything.
    pub fn new(engine: &Engine, tape: Tape) -> Self {
        let mut store = Store::new(engine, Host { tape, ..Host::default() });
        verify(store.set_fuel(FUEL.0).err().as_ref());
        Self {
            store,
            funcs: Vec::new(),
            makers: Vec::new(),
            resources: Vec::new(),
            dies: Vec::new(),
            calls: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Defines all that a plan imports and that a host can give, but for what is `known`.
    pub fn define(&mut self, linker: &mut Linker<Host>, plan: &Plan, known: &[String]) {
        let types: Arc<TypeTable> = Arc::new(plan.types.clone());
        for resource in &plan.types.resources {
            if let Origin::Imported { path } = &resource.origin
                && !known.contains(path)
            {
                self.define_resource(linker, path);
            }
        }
        for import in &plan.import_funcs {
            let Some(ty) = plan.types.func(import.ty) else { continue };
            if known.contains(&import.path) {
                continue;
            }
            let tape = &mut self.store.data_mut().tape;
            define(linker, tape, &import.path, &types, ty);
        }
        for import in &plan.import_values {
            let host = self.store.data_mut();
            let val = value(&mut host.tape, &mut host.held, &types, import.ty);
            linker.value(&import.path, val);
        }
    }

    /// Defines a resource type of the host.
    pub fn define_resource(&mut self, linker: &mut Linker<Host>, path: &str) {
        let dtor = HostFunc::new(|mut caller, args| {
            assert!(matches!(args, [Val::U32(_)]), "a destructor gets {args:?}");
            drop_held(&mut caller);
            Ok(None)
        });
        let defined = linker.resource(&mut self.store, path, Some(dtor));
        verify(defined.as_ref().err());
        self.resources.extend(defined.ok());
    }

    /// Instantiates a component: its functions can be called from now on.
    pub fn instantiate(&mut self, linker: &Linker<Host>, component: &Component) -> Option<Instance> {
        verify(self.store.set_fuel(FUEL.0).err().as_ref());
        let instance = linker.instantiate(&mut self.store, component);
        verify(instance.as_ref().err());
        self.check();
        if self.dies.len() < MAKERS {
            self.makers.push((linker.clone(), component.clone()));
        }
        let instance = match instance {
            Ok(instance) => instance,
            Err(_) => {
                self.dies.push(None);
                return None;
            }
        };
        self.add_funcs(&instance);
        self.dies.push(instance.func(&self.store, DIE));
        Some(instance)
    }

    fn add_funcs(&mut self, instance: &Instance) {
        let mut paths: Vec<String> = Vec::new();
        for (name, item) in instance.exports() {
            match item {
                canon_async_wasmi::instance::Extern::Func(_) => paths.push(name.clone()),
                canon_async_wasmi::instance::Extern::Instance(inner) => {
                    paths.extend(inner.keys().map(|inner| format!("{name}#{inner}")));
                }
                _ => {}
            }
        }
        paths.retain(|path| path != DIE);
        let funcs = paths.iter().filter_map(|path| instance.func(&self.store, path));
        let number = self.dies.len();
        let funcs: Vec<_> = funcs.take(32).collect();
        self.store.data_mut().funcs.extend(funcs.iter().cloned());
        self.funcs.extend(funcs.into_iter().map(|func| (number, func)));
    }

    /// Calls each function once, then does as the tape says.
    pub fn play(&mut self) {
        for at in 0..3 {
            let made = self.store.new_error_context("an error of the host's").map(Val::ErrorContext);
            self.keep(made.map(Some));
            if let Some(ty) = pick(&mut self.resources, at) {
                let made = self.store.new_resource(*ty, at as u32).map(Val::Resource);
                self.keep(made.map(Some));
            }
        }
        for at in 0..self.funcs.len() {
            self.call(at);
        }
        for _ in 0..STEPS {
            if self.store.data().tape.is_over() {
                break;
            }
            self.step();
        }
    }

    /// One thing that the host does.
    pub fn step(&mut self) {
        verify(self.store.set_fuel(FUEL.1).err().as_ref());
        let tape = &mut self.store.data_mut().tape;
        let (what, sel) = (tape.byte(), tape.below(256));
        match what % 18 {
            0..=2 => self.call(sel),
            3..=5 => self.start(sel),
            6..=8 => self.tick(1 + sel % 8),
            9 => self.poll(sel),
            10 => {
                let result = pick(&mut self.calls, sel).map(|call| call.cancel(&mut self.store));
                verify(result.and_then(Result::err).as_ref());
            }
            11 if !self.calls.is_empty() => {
                let call = self.calls.swap_remove(sel % self.calls.len());
                if what & 0x10 == 0 {
                    call.forget(&mut self.store);
                } else {
                    let result = self.blocking(|store| call.result(store));
                    self.keep(result);
                }
            }
            12 => self.future(sel),
            13 => self.store.data().events.happen(sel),
            14 => self.handles(sel),
            15 => drop_held(&mut self.store),
            16 => {
                let handle = self.store.interrupt_handle();
                handle.interrupt();
                self.start(sel);
                handle.clear();
            }
            17 => {
                // One that has passed: later ones would be a matter of time.
                verify(self.store.set_deadline(Some(Duration::ZERO)).err().as_ref());
                self.start(sel);
                verify(self.store.set_deadline(None).err().as_ref());
            }
            _ => {}
        }
        self.check();
        self.log.push(format!("{what} {sel} fuel {:?}", self.store.fuel().ok()));
    }

    fn keep(&mut self, result: Result<Option<Val>, Error>) {
        verify(result.as_ref().err());
        self.log.push(format!("{result:?}"));
        if result.is_ok() {
            outcomes::note(|| "ok".into());
        }
        if let Ok(Some(val)) = &result {
            self.store.data_mut().held.keep(val);
        }
    }

    /// A function; the next for which the host has what it takes, more often than not. Where all instances
    /// are dead, another is made.
    fn func(&mut self, sel: usize) -> Option<(usize, Func)> {
        if self.funcs.is_empty()
            && self.dies.len() < INSTANCES
            && let Some((linker, component)) = pick(&mut self.makers, sel).cloned()
        {
            self.instantiate(&linker, &component);
        }
        let any = self.store.data_mut().tape.chance(16);
        for at in 0..self.funcs.len() {
            let (of, func) = pick(&mut self.funcs, sel.wrapping_add(at))?.clone();
            let held = &self.store.data().held;
            if any || func.ty().params.iter().all(|param| held.has(func.types(), param.ty)) {
                return Some((of, func));
            }
        }
        None
    }

    fn call(&mut self, sel: usize) {
        let Some((of, func)) = self.func(sel) else { return };
        verify(self.store.set_fuel(FUEL.1).err().as_ref());
        let args = args(self.store.data_mut(), &func);
        let result = self.blocking(|store| func.call(store, &args));
        self.bury(of, result.as_ref().err());
        self.keep(result);
        self.check();
    }

    /// Does what may wait in place.
    fn blocking<R>(&mut self, act: impl FnOnce(&mut Store<Host>) -> R) -> R {
        self.store.data_mut().blocks = true;
        self.store.data().events.all_happen();
        let result = act(&mut self.store);
        self.store.data_mut().blocks = false;
        result
    }

    fn start(&mut self, sel: usize) {
        let Some((of, func)) = self.func(sel) else { return };
        let args = args(self.store.data_mut(), &func);
        match func.start(&mut self.store, &args) {
            Ok(call) => self.calls.push(call),
            Err(error) => {
                self.bury(of, Some(&error));
                verify(Some(&error));
            }
        }
    }

    /// Forgets the functions of an instance that can't be entered any more.
    fn bury(&mut self, instance: usize, error: Option<&Error>) {
        if error.and_then(Error::core) == Some(Trap::CannotEnter.into()) {
            self.funcs.retain(|(of, _)| *of != instance);
        }
    }

    fn tick(&mut self, times: usize) {
        for _ in 0..times {
            match self.store.tick() {
                Ok(true) => self.check(),
                Ok(false) => return,
                Err(error) => verify(Some(&error)),
            }
        }
    }

    fn poll(&mut self, sel: usize) {
        let polled = pick(&mut self.calls, sel).map(|call| call.poll(&mut self.store));
        match polled {
            Some(Ok(Poll::Ready(val))) => self.keep(Ok(val)),
            Some(Err(error)) => verify(Some(&error)),
            _ => {}
        }
    }

    /// A call as a future, dropped after some polls.
    fn future(&mut self, sel: usize) {
        let Some((of, func)) = self.func(sel) else { return };
        let args = args(self.store.data_mut(), &func);
        let (polls, events) = (sel % 5, self.store.data().events.clone());
        let mut future = match func.call_async(&mut self.store, &args) {
            Ok(future) => future,
            Err(error) => return verify(Some(&error)),
        };
        let mut context = Context::from_waker(Waker::noop());
        let mut result = None;
        for at in 0..polls {
            match Pin::new(&mut future).poll(&mut context) {
                Poll::Ready(ready) => {
                    result = Some(ready);
                    break;
                }
                Poll::Pending => events.happen(at.wrapping_add(sel)),
            }
            check(future.store());
            verify(future.store().set_fuel(FUEL.1).err().as_ref());
        }
        drop(future);
        if let Some(result) = result {
            self.bury(of, result.as_ref().err());
            self.keep(result);
        }
    }

    /// What the host does with handles, its own or made up.
    fn handles(&mut self, sel: usize) {
        let index = (sel / 16) as u32;
        let made = match (sel % 16, pick(&mut self.resources, sel / 16)) {
            (0..=3, _) => self.store.new_error_context("an error of the host's").map(Val::ErrorContext),
            (4..=11, Some(ty)) => self.store.new_resource(*ty, index).map(Val::Resource),
            (12, _) => self.store.error_message(index).map(|text| Val::U32(text.len() as u32)),
            (13, _) => self.store.resource_rep(index).map(Val::U32),
            (14, _) => self.store.drop_resource(index).map(|()| Val::U32(0)),
            (15, _) => self.store.drop_error_context(index).map(|()| Val::U32(0)),
            _ => return,
        };
        self.keep(made.map(Some));
    }

    /// The invariants of the store.
    fn check(&self) {
        check(&self.store);
    }

    /// Ends all: each root's `die` traps, so that nothing of a guest may be left.
    ///
    /// Returns what came of all, for comparison.
    ///
    /// # Panics
    /// Where something is.
    pub fn end(mut self) -> Vec<String> {
        for call in std::mem::take(&mut self.calls) {
            call.forget(&mut self.store);
        }
        let dies = std::mem::take(&mut self.dies);
        let mut all_dead = !dies.is_empty();
        for again in [false, true] {
            for die in &dies {
                verify(self.store.set_fuel(FUEL.1).err().as_ref());
                let error = self.blocking(|store| die.as_ref().and_then(|die| die.call(store, &[]).err()));
                verify(error.as_ref());
                self.check();
                // Unless a limit has kept it from dying.
                let dead = error.and_then(|error| error.core()) == Some(Trap::CannotEnter.into());
                all_dead &= dead || !again;
            }
        }
        // Answers that were there before their callers died are still fetched.
        self.tick(STEPS);
        if all_dead {
            let counts = self.store.core().counts();
            assert_eq!(self.store.suspended(), 0, "frames of the dead: {counts:?}");
            let left = (counts.tasks, counts.threads, counts.queued, counts.sets);
            assert_eq!(left, (0, 0, 0, 0), "left of the dead: {counts:?}");
        }
        self.log
    }
}

fn check(store: &Store<Host>) {
    if let Err(what) = store.core().check() {
        panic!("{what}: {:?}", store.core().counts());
    }
}

fn pick<T>(from: &mut [T], sel: usize) -> Option<&mut T> {
    let at = sel.checked_rem(from.len())?;
    from.get_mut(at)
}
