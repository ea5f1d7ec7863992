//! A run: the store, what is linked in it, the call, and what that leaves behind.

use std::sync::{Arc, Mutex, PoisonError};

use canon_async::Trap;
use canon_async_component::Plan;
use canon_async_component::inspect::Escaped;
use canon_async_wasmi::{Component, Config, Engine, Error, Instance, Linker, Stopped, Store, Val};

use super::waits::{self, Names};
use super::{Run, interrupt, missing};
use crate::console::{Class, Failure};
use crate::limits::StoreLimit;
use crate::suggest::cut;
use crate::trap;

/// The fuel of a slice, between two looks at the flag that Ctrl-C sets: some 20 ms.
const SLICE_FUEL: u32 = 2_000_000;

/// What a message is about.
pub struct Target {
    /// The component's name.
    pub name: String,
    /// The export that is called.
    pub export: String,
}

impl Target {
    /// Something went wrong before the call.
    pub fn failed(&self, error: impl std::fmt::Display) -> Failure {
        Failure::component(format_args!("{}: {error}", self.name))
    }
}

/// What the store shows when a guest is ended from outside.
#[derive(Default)]
struct Watch {
    names: Names,
    /// The first report.
    report: Option<Vec<String>>,
}

/// A component's name, what it did, and the fuel that took.
pub type FuelUsed = (String, String, u64);

pub struct Session<'a> {
    args: &'a Run,
    target: &'a Target,
    store: Store<()>,
    linker: Linker<()>,
    watch: Arc<Mutex<Watch>>,
    /// What was left before the step under way.
    fuel_before: u64,
    fuel: Vec<FuelUsed>,
    /// The components that were instantiated, by name.
    instances: Vec<(String, Instance)>,
}

impl<'a> Session<'a> {
    pub fn new(args: &'a Run, target: &'a Target) -> Result<Self, Failure> {
        let Run { limits, .. } = args;
        let mut config = Config::new();
        limits.configure(&mut config);
        StoreLimit::configure(&args.limit, &mut config);
        if args.trace_fuel {
            config.fuel(true);
        }
        if !args.time {
            config.interruptible(true).tail_calls(true);
        }
        config.slice_fuel(SLICE_FUEL);
        let engine = Engine::new(&config);
        let mut store = Store::new(&engine, ());
        let failed = |error: Error| target.failed(error);
        if args.trace_fuel {
            store.set_fuel(u64::MAX).map_err(failed)?;
        }
        limits.start(&mut store).map_err(failed)?;
        let watch = Arc::new(Mutex::new(Watch::default()));
        let seen = watch.clone();
        store.on_stop(move |stopped, core| {
            let mut seen = lock(&seen);
            if stopped != Some(Stopped::Fuel) && seen.report.is_none() {
                seen.report = Some(waits::report(core, &seen.names));
            }
        });
        if !args.time {
            interrupt::set(store.interrupt_handle());
        }
        let fuel_before = store.fuel().unwrap_or(0);
        let linker = Linker::new(&engine);
        let (fuel, instances) = (Vec::new(), Vec::new());
        Ok(Self { args, target, store, linker, watch, fuel_before, fuel, instances })
    }

    /// What each step used.
    pub fn fuel(&self) -> &[FuelUsed] {
        &self.fuel
    }

    /// What each component used in all, and at last what no component did: work on the values of the call.
    pub fn fuel_by_component(&self) -> Vec<(&str, u64)> {
        let used =
            self.instances.iter().map(|(name, instance)| (name.as_str(), self.store.fuel_used(instance)));
        let mut used: Vec<_> = used.collect();
        let all = self.fuel.iter().fold(0u64, |sum, (.., fuel)| sum.saturating_add(*fuel));
        let rest = used.iter().fold(all, |rest, (_, fuel)| rest.saturating_sub(*fuel));
        if rest > 0 {
            used.push(("values of the call", rest));
        }
        used
    }

    /// A step is over: what it used is written down.
    fn step(&mut self, component: &str, step: &str) {
        let left = self.store.fuel().unwrap_or(0);
        let used = self.fuel_before.saturating_sub(left);
        self.fuel_before = left;
        self.fuel.push((component.to_string(), step.to_string(), used));
    }

    /// Links the component, after those that provide what it imports.
    pub fn link(&mut self, providers: Vec<(String, Plan)>, plan: Plan) -> Result<Instance, Failure> {
        let mut provided = Vec::new();
        for (name, plan) in providers {
            let instance = self.instantiate(&name, plan, &provided)?;
            for export in instance.exports().keys() {
                let added = self.linker.export(&self.store, export, &instance, export);
                added.map_err(|error| Failure::component(format_args!("{name}: {error}")))?;
                provided.push(export.clone());
            }
        }
        let target = self.target;
        self.instantiate(&target.name, plan, &provided)
    }

    /// Compiles and instantiates a component.
    fn instantiate(&mut self, name: &str, plan: Plan, provided: &[String]) -> Result<Instance, Failure> {
        let failed =
            |error: Error| Failure::component(format_args!("{name}: {}", Escaped(&error.to_string())));
        let component = Component::from_plan(self.store.engine(), plan).map_err(failed)?;
        let missing = match self.args.unknown_imports_trap {
            true => self.linker.unknown_imports_trap(&mut self.store, &component).map_err(failed)?,
            false => self.linker.missing(&component),
        };
        if !missing.is_empty() {
            let message = missing::message(&missing, provided);
            return Err(Failure::new(Class::Link, format_args!("{name}: can't be linked: {message}")));
        }
        lock(&self.watch).names.begin(name, &component);
        let instance = self.linker.instantiate(&mut self.store, &component);
        self.step(name, "instantiation");
        let instance = instance.map_err(|error| match error {
            Error::Link(error) => {
                // It may have names of core modules in it, which are any text.
                let error = error.to_string();
                Failure::new(Class::Link, format_args!("{name}: can't be linked: {}", Escaped(&error)))
            }
            error => self.failure(format_args!("{name}: can't be instantiated"), &error),
        })?;
        lock(&self.watch).names.add(&instance);
        self.instances.push((name.to_string(), instance.clone()));
        Ok(instance)
    }

    /// Calls the export: the result, and the call's CPU time.
    pub fn call(
        &mut self,
        instance: &Instance,
        args: &[Val],
    ) -> Result<(Option<Val>, Option<u128>), Failure> {
        let Target { name, export } = self.target;
        let func = instance.func(&self.store, export);
        let func = func.ok_or_else(|| self.target.failed("the export is lost"))?;
        let start = thread_time();
        let result = func.call(&mut self.store, args);
        let end = thread_time();
        let shown = cut(export);
        self.step(name, &format!("call of \"{shown}\""));
        let result =
            result.map_err(|error| self.failure(format_args!("{name}: export \"{shown}\""), &error))?;
        let nanos = start.zip(end).and_then(|(start, end)| end.checked_sub(start));
        Ok((result, nanos))
    }

    /// Runs what the call left behind when it returned.
    pub fn rest(&mut self) -> Result<(), Failure> {
        let Target { name, export } = self.target;
        let export = cut(export);
        let rest = self.store.run_to_idle();
        let left = self.store.fuel().unwrap_or(0);
        if left != self.fuel_before {
            self.step(name, &format!("what \"{export}\" left to do after it returned"));
        }
        rest.map_err(|error| {
            self.failure(format_args!("{name}: after export \"{export}\" had returned"), &error)
        })
    }

    /// An error of a guest, with who waits for what where that says why.
    fn failure(&self, at: impl std::fmt::Display, error: &Error) -> Failure {
        let text = self.args.limits.explain(error);
        let text = format!("{at}: {text}{}{}", StoreLimit::hint(error), trap::location(error));
        let watch = lock(&self.watch);
        let lines = match (error.stopped(), error.core()) {
            (Some(Stopped::Interrupt | Stopped::Deadline), _) => watch.report.clone(),
            (_, Some(canon_async::Error::Trap(Trap::CannotBlockSync))) => watch.report.clone(),
            (_, Some(canon_async::Error::Trap(Trap::Deadlock))) => {
                Some(waits::report(self.store.core(), &watch.names))
            }
            _ => None,
        };
        let report = lines.map_or_else(String::new, |lines| waits::text(&lines));
        Failure::new(class(error), format_args!("{text}{report}"))
    }
}

fn class(error: &Error) -> Class {
    match (error.stopped(), error.core()) {
        (Some(Stopped::Interrupt), _) => Class::Interrupted,
        (Some(_), _) | (_, Some(canon_async::Error::Capacity(_))) => Class::Limit,
        (_, Some(canon_async::Error::Trap(Trap::Deadlock | Trap::CannotBlockSync))) => Class::Deadlock,
        (_, Some(canon_async::Error::Trap(_))) => Class::Trap,
        _ => Class::Component,
    }
}

/// A panic while it was held leaves nothing half done.
fn lock(watch: &Mutex<Watch>) -> std::sync::MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The CPU time of this thread, in nanoseconds.
#[cfg(unix)]
fn thread_time() -> Option<u128> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u128::try_from(time.tv_sec).ok()?, u128::try_from(time.tv_nsec).ok()?);
    Some(seconds * 1_000_000_000 + nanos)
}

/// The CPU time of this thread, in nanoseconds.
#[cfg(not(unix))]
fn thread_time() -> Option<u128> {
    None
}
