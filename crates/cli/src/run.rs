//! `canon run`.
//!
//! | module | what |
//! |---|---|
//! | `exports` | which export is meant |
//! | `missing` | what to say of imports that are missing |
//! | `session` | linking, calling, and what is left afterwards |
//! | `waits` | who waits for what, where a run can't go on |
//! | `interrupt` | Ctrl-C |

mod exports;
mod interrupt;
mod missing;
mod session;
mod waits;

use std::path::PathBuf;
use std::process::ExitCode;

use canon_async_component::types::TypeTable;
use canon_async_component::types::ValType;
use canon_async_wasmi::Val;
use clap::Args;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use crate::console::{self, Class, Failure};
use crate::input;
use crate::limits::{Limits, StoreLimit};
use crate::suggest::cut;
use crate::wave::{self, Invocation, JsonAndText};
use exports::Found;
use session::{Session, Target};

const AFTER_HELP: &str = "\
A core module that was built with wit-bindgen is made a component first.

Without --invoke the export is `run` of `wasi:cli/run`, of any version, else `run`. A function of an
exported instance is called as 'instance#function(..)'. A shorter name will do if only one export
fits: 'c#g()' or 'g()' for 'a:b/c@1.2.0#g()'. So will a compatible version: 'a:b/c@1#g()'.

The component gets nothing from its surroundings: `canon run` provides no imports but what the
components after --with export. Each of them may import what those before it export. There is no
WASI yet.

Arguments and results are WAVE text: 42, 1.5, true, 'c', \"text\", [1, 2], (1, \"two\"),
{name: \"x\", size: 3}, some(1), none, ok(1), err(\"why\"), case, case(1), {flag-a, flag-b}.
A function without a result prints nothing. Resources, streams, futures and error contexts can't be
written or printed yet.

What the call leaves behind once it has returned its result is run to its end, and a trap in it is
an error too. Ctrl-C ends the run, and shows who waits for what; a second one ends it at once.

With --json stdout has one line, an object, also if the run fails (but not if the options make no
sense):
  export             the path of the export that was called
  result             {\"value\": as JSON, \"wave\": as WAVE text}; null for a function without a
                     result; absent if there was none
  nanos              with --time
  fuel               with --trace-fuel: [{\"component\", \"step\", \"fuel\"}]
  fuel_by_component  with --trace-fuel: [{\"component\", \"fuel\"}]
  error              {\"class\", \"message\", \"exit_code\"} if something failed, maybe after the result.
                     The classes: usage, component, link, trap, limit, deadlock, interrupted, failed
  exit_code          what the command exits with
Values as JSON: numbers, booleans and strings are what they are (but \"nan\", \"inf\", \"-inf\"); lists
and tuples are arrays, records are objects, flags are arrays of names, enums are names; a variant is
{\"case\": payload or null}, an option null or {\"some\": value}, a result {\"ok\": value or null} or
{\"err\": value or null}, a map [[key, value], ..].

After a trap's text comes in which component it was, by its path in the composition, which export was called
and at which core function it was entered; with CANON_BACKTRACE=1 in the environment, for each call that led
there.

Examples:
  canon run examples/pipeline.wat
  canon run examples/cancel.wat --invoke 'race(1000)'
  canon run examples/cancel.wat --time
  canon run crowd.wasm --with worker.wasm --invoke 'run(100)'
  canon run crowd.wasm --with worker.wasm --timeout 2s --fuel 100000000 --limit threads=1000

Exit codes: 0; 1 for a trap, a limit that was reached (--fuel, --timeout), or a component that is
invalid, too large or can't be linked, or that says itself that it failed; 2 for usage; 130 for Ctrl-C.";

/// Call an exported function of a component and print its result
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Run {
    /// The component: .wasm, or .wat; or a plan of `canon compile`; - is stdin
    file: PathBuf,
    /// A component, or a plan, that provides what it exports; may be given more than once
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Run although imports are missing: a function that is traps when it is called
    #[arg(long)]
    unknown_imports_trap: bool,
    /// The export to call, with its arguments as WAVE text
    #[arg(long, value_name = "NAME(ARGS)", allow_hyphen_values = true)]
    invoke: Option<String>,
    /// Print the result and errors as JSON: see below
    #[arg(long)]
    json: bool,
    /// Print the call's thread CPU time in nanoseconds on stderr. Guests run at full speed then, which is why
    /// Ctrl-C ends the process without a report, and may not use tail calls, which take time at built-ins
    #[arg(long)]
    time: bool,
    /// Print on stderr at the end how much fuel each component and the call used: see --fuel
    #[arg(long)]
    trace_fuel: bool,
    #[command(flatten)]
    limits: Limits,
    /// The most that there may be of something: threads=1000. May be given more than once. The names:
    /// instances, handles, thread_indices, tasks, threads, waitables, sets, streams, error_contexts,
    /// message_bytes, queued, lends, types, type_items, resources, functions, depth
    #[arg(long, value_name = "NAME=N", value_parser = StoreLimit::parse)]
    limit: Vec<StoreLimit>,
    #[command(flatten)]
    files: input::FileLimits,
}

/// Runs the command.
///
/// # Errors
/// See the text of its help for the exit codes.
pub fn run(args: &Run) -> Result<ExitCode, Failure> {
    let mut output = Output { json: args.json.then(Map::new), result: None };
    let done = call(args, &mut output);
    output.finish(done)
}

/// What is printed: text as it comes, or one JSON object at the end.
struct Output {
    json: Option<Map<String, Value>>,
    /// For the object, once there is one.
    result: Option<Option<Val>>,
}

/// The object.
struct Printed<'a> {
    fields: &'a Map<String, Value>,
    result: Option<Option<&'a Val>>,
}

impl Serialize for Printed<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_map(None)?;
        self.fields.iter().try_for_each(|(name, value)| object.serialize_entry(name, value))?;
        if let Some(result) = self.result {
            object.serialize_entry("result", &result.map(JsonAndText))?;
        }
        object.end()
    }
}

impl Output {
    fn set(&mut self, name: &str, value: Value) {
        if let Some(json) = &mut self.json {
            json.insert(name.into(), value);
        }
    }

    fn result(&mut self, found: &Found, result: Option<Val>) {
        if self.json.is_some() {
            self.result = Some(result);
        } else if let Some(result) = result.filter(|_| !found.is_command()) {
            // Of a command only the outcome counts.
            console::line(wave::Text(&result));
        }
    }

    fn time(&mut self, nanos: Option<u128>) -> Result<(), Failure> {
        let Some(nanos) = nanos else {
            return Err(Failure::usage("--time: this system does not tell a thread's CPU time"));
        };
        match self.json {
            Some(_) => self.set("nanos", u64::try_from(nanos).unwrap_or(u64::MAX).into()),
            None => console::note(format_args!("{nanos} ns")),
        }
        Ok(())
    }

    fn fuel(&mut self, session: &Session) {
        let used = session.fuel();
        if self.json.is_some() {
            let entry = |used: &session::FuelUsed| {
                let (component, step, fuel) = used;
                json!({ "component": component, "step": step, "fuel": fuel })
            };
            self.set("fuel", used.iter().map(entry).collect());
            let entry = |(component, fuel)| json!({ "component": component, "fuel": fuel });
            let by_component = session.fuel_by_component().into_iter().map(entry).collect();
            return self.set("fuel_by_component", by_component);
        }
        console::note("fuel used:");
        for (component, step, fuel) in used {
            console::note(console::shown(format_args!("  {component}: {step}: {fuel}")));
        }
        let total = used.iter().fold(0u64, |sum, (.., fuel)| sum.saturating_add(*fuel));
        console::note(format_args!("  total: {total}"));
        console::note("of that by component:");
        for (component, fuel) in session.fuel_by_component() {
            console::note(console::shown(format_args!("  {component}: {fuel}")));
        }
    }

    /// The end: what the process exits with.
    fn finish(self, done: Result<(), Failure>) -> Result<ExitCode, Failure> {
        let Some(mut json) = self.json else { return done.map(|()| ExitCode::SUCCESS) };
        let code = done.as_ref().map_or_else(Failure::exit_code, |()| 0);
        if let Err(failure) = done {
            json.insert("error".into(), failure.to_json());
        }
        json.insert("exit_code".into(), code.into());
        let result = self.result.as_ref().map(Option::as_ref);
        console::json(&Printed { fields: &json, result });
        Ok(ExitCode::from(code))
    }
}

fn call(args: &Run, output: &mut Output) -> Result<(), Failure> {
    let invocation = args.invoke.as_deref().map(Invocation::parse).transpose();
    let invocation = invocation.map_err(|message| Failure::usage(format_args!("--invoke: {message}")))?;
    let plan = input::component(&args.file, &args.files)?;
    let providers = args.with.iter().map(|file| {
        let plan = input::component(file, &args.files)?;
        Ok((input::name(&plan, file), plan))
    });
    let providers = providers.collect::<Result<Vec<_>, _>>()?;
    let found = exports::find(&plan, invocation.as_ref().map(|invocation| invocation.name.as_str()));
    let at = input::shown(&args.file);
    let found = found.map_err(|message| Failure::usage(format_args!("{at}: {message}")))?;
    output.set("export", found.path.as_str().into());
    let target = Target { name: input::name(&plan, &args.file), export: found.path.clone() };
    let ty = plan.func_type(found.func).ok_or_else(|| target.failed("a function without a type"))?;
    let vals = match &invocation {
        Some(invocation) => invocation.args(&plan.types, ty),
        None => Invocation::NONE.args(&plan.types, ty),
    };
    let export = cut(&target.export);
    let vals = vals.map_err(|message| {
        let hint = if invocation.is_some() { "" } else { "; --invoke 'name(args)' passes some" };
        Failure::usage(format_args!("--invoke: \"{export}\": {message}{hint}"))
    })?;
    let unprintable = ty.result.and_then(|ty| unprintable(&plan.types, ty));
    let mut session = Session::new(args, &target)?;
    let called = session.link(providers, plan).and_then(|instance| session.call(&instance, &vals));
    let (result, nanos) = match called {
        Ok(called) => called,
        Err(failure) => {
            if args.trace_fuel {
                output.fuel(&session);
            }
            return Err(failure);
        }
    };
    let failed = found.is_command() && matches!(result, Some(Val::Result(Err(_))));
    output.result(&found, result);
    if let Some(unprintable) = unprintable.filter(|_| !args.json) {
        console::note(unprintable);
    }
    let rest = session.rest();
    if args.time {
        output.time(nanos)?;
    }
    if args.trace_fuel {
        output.fuel(&session);
    }
    rest?;
    if failed {
        let text = format_args!("{}: the command failed: `run` returned an error", target.name);
        return Err(Failure::new(Class::Failed, text));
    }
    Ok(())
}

/// What to say of a result that has no text.
fn unprintable(types: &TypeTable, ty: ValType) -> Option<String> {
    let handle = wave::handle_in(types, ty)?;
    Some(format!(
        "note: the result has {handle} in it, which can't be printed yet: only its handle is shown; what is in it, a \
         component can read that calls this function (--with)"
    ))
}
