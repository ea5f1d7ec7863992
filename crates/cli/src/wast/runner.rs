//! A file's directives.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use canon_async::Trap;
use canon_async_component::Plan;
use canon_async_wasmi::{
    Choose, Component, Config, Engine, Error, Func, Instance, Linker, Stopped, Store, Val,
};
use wast::token::Id;
use wast::{QuoteWat, WastDirective, WastExecute, WastInvoke};

use super::script::{Head, Position};
use super::spectest::Spectest;
use super::texts::{self, component_bytes, contains, plan, refused};
use super::{Host, Options, values};
use crate::trap;

/// What a file's directives work on.
pub struct Runner {
    options: Options,
    /// Since when the file is run.
    begun: Instant,
    spectest: Option<Spectest>,
    /// Definitions by their names.
    definitions: HashMap<String, Bound<Plan>>,
    /// The last definition, named or not.
    definition: Option<Bound<Plan>>,
    world: World,
}

/// A store, and the instances in it.
struct World {
    engine: Engine,
    store: Store<()>,
    /// Instances by their names, and by those that they were registered with.
    linker: Linker<()>,
    /// Those names of which what should have them failed.
    unlinked: HashMap<String, Position>,
    /// Instances by their names.
    instances: HashMap<String, Bound<Made>>,
    /// The last instance, named or not.
    last: Option<Bound<Made>>,
    /// The first directive of which a call failed.
    broken: Option<Position>,
}

/// What a name stands for.
#[derive(Clone)]
enum Bound<T> {
    Is(T),
    /// What should have been it failed here.
    Failed(Position),
}

#[derive(Clone)]
struct Made {
    instance: Instance,
    /// The directive that left it in a state which its test did not expect.
    broken: Rc<Cell<Option<Position>>>,
}

/// Why a directive failed.
#[derive(Debug)]
pub struct Problem {
    pub reason: String,
    /// Where in the directive, if that is known.
    pub at: Option<Position>,
    /// The directive whose failure this may come from.
    pub after: Option<Position>,
    /// Whether fuel or time is used up: no later directive can do better.
    pub ends: bool,
    /// Whether a call failed, which may have left an instance half done; and whether that was refused entry.
    call: Call,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    None,
    Failed,
    Refused,
}

impl Problem {
    /// The text is none.
    pub fn syntax(at: Position, message: &str) -> Self {
        Self { at: Some(at), ..format!("syntax: {message}").into() }
    }

    /// One after which no directive can do better.
    pub fn ending(reason: String) -> Self {
        Self { ends: true, ..reason.into() }
    }
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self { reason, at: None, after: None, ends: false, call: Call::None }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self { ends: failure.ends, call: failure.call, ..(failure.text + &failure.at).into() }
    }
}

/// Why a component did not become an instance, or why a call had no result.
struct Failure {
    /// A guest trapped, or a limit that is a trap to guests was reached.
    trap: bool,
    ends: bool,
    call: Call,
    text: String,
    /// Where a guest trapped, which no directive looks at.
    at: String,
}

impl Failure {
    fn new(error: &Error, options: Options) -> Self {
        let stopped = error.stopped();
        // No test expects that the time is up.
        let trap = error.core().is_some() && stopped != Some(Stopped::Deadline);
        let refused = matches!(error.core(), Some(canon_async::Error::Trap(Trap::CannotEnter)));
        let call = if refused { Call::Refused } else { Call::Failed };
        let text = options.limits().explain(error);
        Self { trap, ends: stopped.is_some(), call, text, at: trap::location(error) }
    }

    fn other(text: String) -> Self {
        Self { trap: false, ends: false, call: Call::None, text, at: String::new() }
    }
}

/// What a directive found: the outer error is its own, if there was nothing to execute.
type Executed = Result<Result<Option<Val>, Failure>, Problem>;

impl World {
    /// An empty store, for so many components, of which each may take as much as one may.
    fn new(options: Options, begun: Instant, fuel: Option<u64>, components: usize) -> Result<Self, Error> {
        let mut limits = options.limits();
        limits.fuel = fuel;
        limits.timeout = limits.timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
        let mut config = Config::new();
        // One of the reference tests expects this order: see docs/architecture.md.
        config.choose(Choose::Barging).strict(options.strict).tail_calls(true);
        limits.configure(&mut config);
        limits.share(&mut config, components);
        let engine = Engine::new(&config);
        let mut store = Store::new(&engine, ());
        limits.start(&mut store)?;
        Ok(Self {
            linker: Linker::new(&engine),
            engine,
            store,
            unlinked: HashMap::new(),
            instances: HashMap::new(),
            last: None,
            broken: None,
        })
    }
}

impl Runner {
    /// With an empty store for so many components.
    ///
    /// # Errors
    /// `Misuse`: the store can't have these limits.
    pub fn new(options: Options, begun: Instant, components: usize) -> Result<Self, Error> {
        let spectest = options.host.map(|Host::Spectest| Spectest::default());
        let mut runner = Self {
            options,
            begun,
            spectest,
            definitions: HashMap::new(),
            definition: None,
            world: World::new(options, begun, options.fuel, components)?,
        };
        runner.link_host()?;
        Ok(runner)
    }

    /// Another store, in place of the one that there is, with what is left of fuel and time.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn renew(&mut self, components: usize) -> Result<(), Error> {
        let fuel = self.options.fuel.map(|_| self.world.store.fuel()).transpose()?;
        self.world = World::new(self.options, self.begun, fuel, components)?;
        self.link_host()
    }

    fn link_host(&mut self) -> Result<(), Error> {
        match &self.spectest {
            Some(spectest) => spectest.link(&mut self.world.linker, &mut self.world.store),
            None => Ok(()),
        }
    }

    /// Runs a directive.
    ///
    /// # Errors
    /// What was not as it should be.
    pub fn run(&mut self, at: Position, directive: WastDirective<'_>) -> Result<(), Problem> {
        let mut called = None;
        let result = self.directive(directive, &mut called);
        let Err(mut problem) = result else { return Ok(()) };
        if problem.call != Call::None
            && let Some(made) = called
        {
            let first = self.world.broken.filter(|_| problem.call == Call::Refused);
            if let Some(after) = made.broken.get().or(first) {
                problem.reason = format!("after the failure at {after}: {}", problem.reason);
                problem.after = Some(after);
            }
            made.broken.set(made.broken.get().or(Some(at)));
            self.world.broken = self.world.broken.or(Some(at));
        }
        Err(problem)
    }

    /// What a directive should have given these names to is not there.
    pub fn failed(&mut self, at: Position, head: &Head) {
        let world = &mut self.world;
        match head {
            Head::Definition(name) => {
                self.definition = Some(Bound::Failed(at));
                if let Some(name) = name {
                    self.definitions.insert(name.clone(), Bound::Failed(at));
                }
            }
            Head::Component(name) | Head::Instance { name, .. } => {
                world.last = Some(Bound::Failed(at));
                if let Some(name) = name {
                    world.instances.insert(name.clone(), Bound::Failed(at));
                    world.unlinked.insert(name.clone(), at);
                }
            }
            Head::Register { name, .. } => drop(world.unlinked.insert(name.clone(), at)),
            Head::Other => {}
        }
    }

    fn directive(&mut self, directive: WastDirective<'_>, called: &mut Option<Made>) -> Result<(), Problem> {
        match directive {
            WastDirective::Module(mut wat) => {
                let name = wat.name();
                let plan = plan(&component_bytes(&mut wat)?)?;
                let instance = self.instantiate(plan, self.options.unknown_imports_trap)??;
                self.add(name, instance)
            }
            WastDirective::ModuleDefinition(mut wat) => {
                let plan = plan(&component_bytes(&mut wat)?)?;
                if let Some(name) = wat.name() {
                    self.definitions.insert(name.name().into(), Bound::Is(plan.clone()));
                }
                self.definition = Some(Bound::Is(plan));
                Ok(())
            }
            WastDirective::ModuleInstance { instance: name, module, .. } => {
                let definition = match module {
                    Some(id) => self.definitions.get(id.name()),
                    None => self.definition.as_ref(),
                };
                let plan = bound(definition, "component definition", module)?.clone();
                let instance = self.instantiate(plan, self.options.unknown_imports_trap)??;
                self.add(name, instance)
            }
            WastDirective::Register { name, module, .. } => {
                let made = self.find(module)?;
                self.link(name, &made.instance)
            }
            WastDirective::Invoke(invoke) => Ok(self.invoke(&invoke, called)?.map(drop)?),
            WastDirective::AssertReturn { exec, results, .. } => {
                let found = self.execute(exec, called)??;
                Ok(values::compare(&results, found.as_ref())?)
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let executed = self.execute(exec, called)?;
                self.traps(executed, message)
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                let executed = self.invoke(&call, called)?;
                self.traps(executed, message)
            }
            WastDirective::AssertUnlinkable { module, message, .. } => {
                let plan = plan(&component_bytes(&mut QuoteWat::Wat(module))?)?;
                match self.instantiate(plan, false)? {
                    Ok(_) => Err(format!("expected a link error with \"{message}\", it was linked").into()),
                    Err(Failure { trap: true, text, .. }) => {
                        Err(format!("expected a link error with \"{message}\", found a trap: {text}").into())
                    }
                    Err(Failure { text, .. }) => self.says(message, &text),
                }
            }
            WastDirective::AssertInvalid { module, message, .. } => {
                let text = refused(module, message, "invalid")?;
                self.says(message, &text)
            }
            WastDirective::AssertMalformed { module, message, .. } => {
                let text = refused(module, message, "malformed")?;
                self.says(message, &text)
            }
            other => Err(format!("directive not supported: {}", texts::name_of(&other)).into()),
        }
    }

    /// It has to have been a trap with this message.
    fn traps(&self, executed: Result<Option<Val>, Failure>, message: &str) -> Result<(), Problem> {
        match executed {
            Ok(found) => {
                let found = found.map_or_else(|| "no result".into(), |val| values::show(&val));
                Err(format!("expected a trap with \"{message}\", it returned {found}").into())
            }
            Err(failure) if !failure.trap => {
                let text =
                    format!("expected a trap with \"{message}\", found another error: {}", failure.text);
                Err(Failure { text, ..failure }.into())
            }
            Err(failure) if self.options.whole_messages && !self.options.any_message => {
                Ok(texts::is(message, &failure.text)?)
            }
            Err(failure) => {
                self.says(message, &failure.text).map_err(|problem| Problem { ends: failure.ends, ..problem })
            }
        }
    }

    /// A message has to have the expected text in it.
    fn says(&self, expected: &str, found: &str) -> Result<(), Problem> {
        match self.options.any_message {
            true => Ok(()),
            false => Ok(contains(expected, found)?),
        }
    }

    /// wasmi compiles the core modules here: a definition may use what it hasn't. The outer error: it imports
    /// what failed.
    fn instantiate(&mut self, plan: Plan, unknown_trap: bool) -> Result<Result<Instance, Failure>, Problem> {
        let unlinked = |name: &str| self.world.unlinked.get(name).copied();
        if let Some(after) = plan.imports.iter().find_map(|import| unlinked(&import.name)) {
            return Err(needs(after));
        }
        let plan = match self.options.through_plans {
            true => texts::through_bytes(&plan).map_err(Problem::from)?,
            false => plan,
        };
        let world = &mut self.world;
        let made = Component::from_plan(&world.engine, plan).and_then(|component| {
            let store = &mut world.store;
            if !unknown_trap {
                return world.linker.instantiate(store, &component);
            }
            // What is missing here others may provide to components that come later.
            let mut linker = world.linker.clone();
            linker.unknown_imports_trap(&mut *store, &component)?;
            linker.instantiate(store, &component)
        });
        Ok(made.map_err(|error| Failure::new(&error, self.options)))
    }

    /// A new instance: the last one, and importable by its name.
    fn add(&mut self, name: Option<Id<'_>>, instance: Instance) -> Result<(), Problem> {
        let made = Made { instance, broken: Rc::default() };
        if let Some(name) = name {
            self.link(name.name(), &made.instance)?;
            self.world.instances.insert(name.name().into(), Bound::Is(made.clone()));
        }
        self.world.last = Some(Bound::Is(made));
        Ok(())
    }

    fn link(&mut self, name: &str, instance: &Instance) -> Result<(), Problem> {
        let World { linker, store, unlinked, .. } = &mut self.world;
        linker.instance(&*store, name, instance).map_err(|error| error.to_string())?;
        unlinked.remove(name);
        Ok(())
    }

    /// The instance of this name; the last one if there is no name.
    fn find(&self, name: Option<Id<'_>>) -> Result<Made, Problem> {
        let made = match name {
            Some(id) => self.world.instances.get(id.name()),
            None => self.world.last.as_ref(),
        };
        bound(made, "instance", name).cloned()
    }

    fn execute(&mut self, execute: WastExecute<'_>, called: &mut Option<Made>) -> Executed {
        match execute {
            WastExecute::Invoke(invoke) => self.invoke(&invoke, called),
            WastExecute::Wat(wat) => {
                let plan = plan(&component_bytes(&mut QuoteWat::Wat(wat))?)?;
                Ok(self.instantiate(plan, self.options.unknown_imports_trap)?.map(|_| None))
            }
            WastExecute::Get { .. } => Err("directive not supported: get".to_string().into()),
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>, called: &mut Option<Made>) -> Executed {
        let made = self.find(invoke.module)?;
        let name = invoke.name;
        let func = made.instance.func(&self.world.store, name);
        let func = func.ok_or_else(|| format!("no exported function \"{name}\""))?;
        let args = invoke.args.iter().map(values::arg).collect::<Result<Vec<_>, _>>()?;
        *called = Some(made);
        Ok(self.call(&func, &args))
    }

    /// Calls a function and runs whatever is ready until it has returned, as long as that takes no more turns than it may.
    fn call(&mut self, func: &Func, args: &[Val]) -> Result<Option<Val>, Failure> {
        let failure = |error: Error| Failure::new(&error, self.options);
        let store = &mut self.world.store;
        let mut call = func.start(&mut *store, args).map_err(failure)?;
        for _ in 0..self.options.turns {
            if let Poll::Ready(result) = call.poll(&mut *store).map_err(failure)? {
                return Ok(result);
            }
            match store.tick() {
                Ok(true) => {}
                // Nothing is ready: it ends here, or never.
                Ok(false) => return call.result(&mut *store).map_err(failure),
                Err(error) => {
                    call.forget(&mut *store);
                    return Err(failure(error));
                }
            }
        }
        call.forget(&mut *store);
        let text = format!("no result after {} turns of the scheduler (see --turns)", self.options.turns);
        Err(Failure { call: Call::Failed, ..Failure::other(text) })
    }
}

fn needs(after: Position) -> Problem {
    Problem { after: Some(after), ..format!("not run: it needs what failed at {after}").into() }
}

/// What a name stands for, if it is there.
fn bound<'b, T>(bound: Option<&'b Bound<T>>, what: &str, name: Option<Id<'_>>) -> Result<&'b T, Problem> {
    match bound {
        Some(Bound::Is(thing)) => Ok(thing),
        Some(Bound::Failed(after)) => Err(needs(*after)),
        None => Err(texts::unknown(what, name).into()),
    }
}
