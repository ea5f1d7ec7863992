//! A file's directives.

use std::collections::HashMap;
use std::task::Poll;

use canon_async_component::{CoreFeatures, Plan, TranslateOptions, translate};
use canon_async_wasmi::{
    Choose, Component, Config, Engine, Error, Features, Func, Instance, Linker, Stopped, Store, Val,
};
use wast::token::Id;
use wast::{QuoteWat, WastDirective, WastExecute, WastInvoke, Wat};

use super::{Options, values};

/// What a file's directives work on: a store, and what was defined so far.
pub struct Runner {
    engine: Engine,
    store: Store<()>,
    /// Instances by their names, and by those that they were registered with.
    linker: Linker<()>,
    /// Definitions by their names.
    definitions: HashMap<String, Plan>,
    /// The last definition, named or not.
    definition: Option<Plan>,
    /// Instances by their names.
    instances: HashMap<String, Instance>,
    /// The last instance, named or not.
    instance: Option<Instance>,
    options: Options,
}

/// Why a component did not become an instance, or why a call had no result.
struct Failure {
    /// A guest trapped, or a limit that is a trap to guests was reached.
    trap: bool,
    text: String,
}

impl Failure {
    fn new(error: &Error, options: Options) -> Self {
        // No test expects that the time is up.
        let trap = error.core().is_some() && error.stopped() != Some(Stopped::Deadline);
        Self { trap, text: options.limits().explain(error) }
    }
}

impl Runner {
    /// With an empty store.
    ///
    /// # Errors
    /// `Misuse`: the store can't have these limits.
    pub fn new(options: Options) -> Result<Self, Error> {
        // One of the reference tests expects this order: see docs/architecture.md.
        let mut config = Config::new();
        config.choose(Choose::Barging).strict(options.strict);
        let engine = Engine::new(options.limits().configure(&mut config));
        let mut store = Store::new(&engine, ());
        options.limits().start(&mut store)?;
        Ok(Self {
            store,
            linker: Linker::new(&engine),
            engine,
            definitions: HashMap::new(),
            definition: None,
            instances: HashMap::new(),
            instance: None,
            options,
        })
    }

    /// Runs a directive.
    ///
    /// # Errors
    /// Text that says what was not as it should be.
    pub fn directive(&mut self, directive: WastDirective<'_>) -> Result<(), String> {
        match directive {
            WastDirective::Module(mut wat) => {
                let name = wat.name();
                let plan = plan(&component_bytes(&mut wat)?)?;
                let instance = self.instantiate(plan).map_err(|failure| failure.text)?;
                self.add(name, instance)
            }
            WastDirective::ModuleDefinition(mut wat) => {
                let plan = plan(&component_bytes(&mut wat)?)?;
                if let Some(name) = wat.name() {
                    self.definitions.insert(name.name().into(), plan.clone());
                }
                self.definition = Some(plan);
                Ok(())
            }
            WastDirective::ModuleInstance { instance: name, module, .. } => {
                let definition = match module {
                    Some(id) => self.definitions.get(id.name()),
                    None => self.definition.as_ref(),
                };
                let definition = definition.ok_or_else(|| unknown("component definition", module))?.clone();
                let instance = self.instantiate(definition).map_err(|failure| failure.text)?;
                self.add(name, instance)
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.find(module)?;
                self.link(name, &instance)
            }
            WastDirective::Invoke(invoke) => self.invoke(&invoke)?.map(drop).map_err(|failure| failure.text),
            WastDirective::AssertReturn { exec, results, .. } => {
                let found = self.execute(exec)?.map_err(|failure| failure.text)?;
                values::compare(&results, found.as_ref())
            }
            WastDirective::AssertTrap { exec, message, .. } => match self.execute(exec)? {
                Ok(found) => {
                    let found = found.map_or_else(|| "no result".into(), |val| crate::wave::to_text(&val));
                    Err(format!("expected a trap with \"{message}\", it returned {found}"))
                }
                Err(Failure { trap: false, text }) => {
                    Err(format!("expected a trap with \"{message}\", found another error: {text}"))
                }
                Err(Failure { text, .. }) if self.options.whole_messages => is(message, &text),
                Err(Failure { text, .. }) => contains(message, &text),
            },
            WastDirective::AssertUnlinkable { module, message, .. } => {
                let plan = plan(&component_bytes(&mut QuoteWat::Wat(module))?)?;
                match self.instantiate(plan) {
                    Ok(_) => Err(format!("expected a link error with \"{message}\", it was linked")),
                    Err(Failure { trap: true, text }) => {
                        Err(format!("expected a link error with \"{message}\", found a trap: {text}"))
                    }
                    Err(Failure { text, .. }) => contains(message, &text),
                }
            }
            WastDirective::AssertInvalid { module, message, .. } => refused(module, message, "invalid"),
            WastDirective::AssertMalformed { module, message, .. } => refused(module, message, "malformed"),
            other => Err(format!("directive not supported: {}", name_of(&other))),
        }
    }

    /// wasmi compiles the core modules here: a definition may use what it hasn't.
    fn instantiate(&mut self, plan: Plan) -> Result<Instance, Failure> {
        let plan = if self.options.through_plans { through_bytes(&plan)? } else { plan };
        let component = Component::from_plan(&self.engine, plan);
        let made = component.and_then(|component| self.linker.instantiate(&mut self.store, &component));
        made.map_err(|error| Failure::new(&error, self.options))
    }

    /// A new instance: the last one, and importable by its name.
    fn add(&mut self, name: Option<Id<'_>>, instance: Instance) -> Result<(), String> {
        if let Some(name) = name {
            self.link(name.name(), &instance)?;
            self.instances.insert(name.name().into(), instance.clone());
        }
        self.instance = Some(instance);
        Ok(())
    }

    fn link(&mut self, name: &str, instance: &Instance) -> Result<(), String> {
        self.linker.instance(&self.store, name, instance).map(drop).map_err(|error| error.to_string())
    }

    /// The instance of this name; the last one where there is no name.
    fn find(&self, name: Option<Id<'_>>) -> Result<Instance, String> {
        let instance = match name {
            Some(id) => self.instances.get(id.name()),
            None => self.instance.as_ref(),
        };
        instance.cloned().ok_or_else(|| unknown("instance", name))
    }

    /// The outer error is the directive's own: there is nothing to execute.
    fn execute(&mut self, execute: WastExecute<'_>) -> Result<Result<Option<Val>, Failure>, String> {
        match execute {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(wat) => {
                let plan = plan(&component_bytes(&mut QuoteWat::Wat(wat))?)?;
                Ok(self.instantiate(plan).map(|_| None))
            }
            WastExecute::Get { .. } => Err("directive not supported: get".into()),
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Result<Option<Val>, Failure>, String> {
        let instance = self.find(invoke.module)?;
        let name = invoke.name;
        let func =
            instance.func(&self.store, name).ok_or_else(|| format!("no exported function \"{name}\""))?;
        let args = invoke.args.iter().map(values::arg).collect::<Result<Vec<_>, _>>()?;
        Ok(self.call(&func, &args))
    }

    /// Calls a function and runs whatever is ready until it has returned, as long as that takes no more turns than it may.
    fn call(&mut self, func: &Func, args: &[Val]) -> Result<Option<Val>, Failure> {
        let failure = |error: Error| Failure::new(&error, self.options);
        let mut call = func.start(&mut self.store, args).map_err(failure)?;
        for _ in 0..self.options.turns {
            if let Poll::Ready(result) = call.poll(&mut self.store).map_err(failure)? {
                return Ok(result);
            }
            match self.store.tick() {
                Ok(true) => {}
                // Nothing is ready: it ends here, or never.
                Ok(false) => return call.result(&mut self.store).map_err(failure),
                Err(error) => {
                    call.forget(&mut self.store);
                    return Err(failure(error));
                }
            }
        }
        call.forget(&mut self.store);
        let text = format!("no result after {} turns of the scheduler (see --turns)", self.options.turns);
        Err(Failure { trap: false, text })
    }
}

/// Translates a component that may use everything in its core modules: most are never run. 🪺 is shut, since the reference
/// tests expect that nested names are refused.
fn plan(bytes: &[u8]) -> Result<Plan, String> {
    let features = Features::ALL.with_nested_names(false);
    let options = TranslateOptions::default().with_features(features).with_core(CoreFeatures::ALL);
    translate(bytes, &options).map_err(|error| error.to_string())
}

/// What is left of a plan that was written and read.
fn through_bytes(plan: &Plan) -> Result<Plan, Failure> {
    let refused = |text| Failure { trap: false, text };
    let bytes = plan.to_bytes().map_err(|error| refused(format!("the plan can't be written: {error}")))?;
    let read = Plan::from_bytes(&bytes);
    let read = read.map_err(|error| refused(format!("the plan can't be read again: {error}")))?;
    if read != *plan {
        return Err(refused("the plan is another one after it was written and read".into()));
    }
    Ok(read)
}

/// A component's bytes.
fn component_bytes(wat: &mut QuoteWat<'_>) -> Result<Vec<u8>, String> {
    match wat {
        QuoteWat::Wat(Wat::Component(_)) | QuoteWat::QuoteComponent(..) => {
            wat.encode().map_err(|error| error.message())
        }
        QuoteWat::Wat(Wat::Module(_)) | QuoteWat::QuoteModule(..) => {
            Err("directive not supported: module (of a core module)".into())
        }
    }
}

/// `assert_invalid` and `assert_malformed`: the text can't be assembled, or the binary is refused.
fn refused(mut wat: QuoteWat<'_>, message: &str, word: &str) -> Result<(), String> {
    if matches!(wat, QuoteWat::Wat(Wat::Module(_)) | QuoteWat::QuoteModule(..)) {
        return component_bytes(&mut wat).map(drop);
    }
    let text = match component_bytes(&mut wat) {
        Ok(bytes) => plan(&bytes).err(),
        Err(text) => Some(text),
    };
    match text {
        Some(text) => contains(message, &text),
        None => Err(format!("expected an {word} component with \"{message}\", it is valid")),
    }
}

/// What messages of traps begin with.
const TRAP: &str = "wasm trap: ";

/// Whether a trap's message is the expected text.
fn is(expected: &str, found: &str) -> Result<(), String> {
    let trap = found.strip_prefix(TRAP).unwrap_or(found);
    if trap == expected.strip_prefix(TRAP).unwrap_or(expected) {
        return Ok(());
    }
    Err(format!("expected \"{expected}\" and no more, found \"{found}\""))
}

/// Whether a message has the expected text in it.
fn contains(expected: &str, found: &str) -> Result<(), String> {
    let expected = expected.strip_prefix(TRAP).unwrap_or(expected);
    if found.contains(expected) {
        return Ok(());
    }
    Err(format!("expected \"{expected}\", found \"{found}\""))
}

fn unknown(what: &str, name: Option<Id<'_>>) -> String {
    match name {
        Some(id) => format!("there is no {what} ${}", id.name()),
        None => format!("there is no {what} yet"),
    }
}

/// A directive's name, as in the file.
fn name_of(directive: &WastDirective<'_>) -> &'static str {
    match directive {
        WastDirective::AssertInvalidCustom { .. } => "assert_invalid_custom",
        WastDirective::AssertMalformedCustom { .. } => "assert_malformed_custom",
        WastDirective::AssertExhaustion { .. } => "assert_exhaustion",
        WastDirective::AssertException { .. } => "assert_exception",
        WastDirective::AssertSuspension { .. } => "assert_suspension",
        WastDirective::Thread(_) => "thread",
        WastDirective::Wait { .. } => "wait",
        _ => "of an unknown name",
    }
}
