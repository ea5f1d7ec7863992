//! `canon run`.

use std::path::{Path, PathBuf};

use canon_async_component::Plan;
use canon_async_component::inspect::{self, Escaped};
use canon_async_component::plan::{Export, ExportItem, Func};
use canon_async_wasmi::{Component, Config, Engine, Error, Instance, Linker, Store, Val};
use clap::Args;

use crate::console::{self, Failure};
use crate::input;
use crate::limits::Limits;
use crate::wave::{self, Invocation};

const AFTER_HELP: &str = "\
A core module that was built with wit-bindgen is made a component first.

The component gets nothing from its surroundings: `canon run` provides no imports but what the
components after --with export. Each of them may import what those before it export.

Arguments and results are WAVE text: 42, 1.5, true, 'c', \"text\", [1, 2], (1, \"two\"),
{name: \"x\", size: 3}, some(1), none, ok(1), err(\"why\"), case, case(1), {flag-a, flag-b}.
A function of an exported instance is called as 'instance#function(..)'. A function without
a result prints nothing.

Examples:
  canon run examples/pipeline.wat
  canon run examples/cancel.wat --invoke 'race(1000)'
  canon run examples/cancel.wat --time
  canon run crowd.wasm --with worker.wasm --invoke 'run(100)'
  canon run crowd.wasm --with worker.wasm --timeout 2.5 --fuel 100000000

Exit codes: 0; 1 for a trap, a limit that was reached (--fuel, --timeout), or a component that is
invalid, too large or can't be linked; 2 for usage.";

/// Call an exported function of a component and print its result
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Run {
    /// The component: .wasm, or .wat; or a plan of `canon compile`; - is stdin
    file: PathBuf,
    /// A component, or a plan, that provides what it exports; may be given more than once
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// The export to call, with its arguments as WAVE text
    #[arg(long, value_name = "NAME(ARGS)", default_value = "run()")]
    invoke: String,
    /// Print the call's thread CPU time in nanoseconds on stderr
    #[arg(long)]
    time: bool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    files: input::FileLimits,
}

/// Runs the command.
///
/// # Errors
/// See the text of its help for the exit codes.
pub fn run(args: &Run) -> Result<(), Failure> {
    let invocation = Invocation::parse(&args.invoke)
        .map_err(|message| Failure::usage(format_args!("--invoke: {message}")))?;
    let plan = input::component(&args.file, &args.files)?;
    let providers = args.with.iter().map(|file| {
        let plan = input::component(file, &args.files)?;
        Ok((input::name(&plan, file), plan))
    });
    let providers = providers.collect::<Result<Vec<_>, _>>()?;
    let target = Target { name: input::name(&plan, &args.file), export: invocation.name.clone() };
    let func = find(&plan, &args.file, &invocation.name)?;
    let ty = plan.func_type(func).ok_or_else(|| target.failed("a function without a type"))?;
    let vals = invocation
        .args(&plan.types, ty)
        .map_err(|message| Failure::usage(format_args!("--invoke: \"{}\": {message}", target.export)))?;
    let (result, nanos) = call(args.limits, providers, plan, &target, &vals)?;
    if let Some(result) = result {
        console::line(wave::to_text(&result));
    }
    if args.time {
        match nanos {
            Some(nanos) => console::note(format_args!("{nanos} ns")),
            None => return Err(Failure::usage("--time: this system does not tell a thread's CPU time")),
        }
    }
    Ok(())
}

/// What a message is about.
struct Target {
    /// The component's name.
    name: String,
    /// The export that is called.
    export: String,
}

impl Target {
    /// Something went wrong before the call.
    fn failed(&self, error: impl std::fmt::Display) -> Failure {
        failed(&self.name, error)
    }

    /// The call failed.
    fn call_failed(&self, error: &Error, limits: Limits) -> Failure {
        let text = limits.explain(error);
        Failure::component(format_args!("{}: export \"{}\": {text}", self.name, self.export))
    }
}

/// Something went wrong with the component of this name.
fn failed(name: &str, error: impl std::fmt::Display) -> Failure {
    Failure::component(format_args!("{name}: {error}"))
}

/// Compiles and instantiates a component.
fn instantiate(
    linker: &Linker<()>,
    store: &mut Store<()>,
    name: &str,
    plan: Plan,
    limits: Limits,
) -> Result<Instance, Failure> {
    let component = Component::from_plan(store.engine(), plan).map_err(|error| failed(name, error))?;
    linker.instantiate(store, &component).map_err(|error| match error {
        Error::Link(error) => failed(name, format_args!("can't be linked: {error}")),
        error => failed(name, format_args!("can't be instantiated: {}", limits.explain(&error))),
    })
}

/// Links the component, after those that provide what it imports, and calls the export; the result, and the call's CPU
/// time.
fn call(
    limits: Limits,
    providers: Vec<(String, Plan)>,
    plan: Plan,
    target: &Target,
    args: &[Val],
) -> Result<(Option<Val>, Option<u128>), Failure> {
    let engine = Engine::new(limits.configure(&mut Config::new()));
    let mut store = Store::new(&engine, ());
    limits.start(&mut store).map_err(|error| target.failed(error))?;
    let mut linker = Linker::new(&engine);
    for (name, plan) in providers {
        let instance = instantiate(&linker, &mut store, &name, plan, limits)?;
        for export in instance.exports().keys() {
            linker.export(&store, export, &instance, export).map_err(|error| failed(&name, error))?;
        }
    }
    let instance = instantiate(&linker, &mut store, &target.name, plan, limits)?;
    let func = instance.func(&store, &target.export);
    let func = func.ok_or_else(|| target.failed(format_args!("the export \"{}\" is lost", target.export)))?;
    let start = thread_time();
    let result = func.call(&mut store, args).map_err(|error| target.call_failed(&error, limits))?;
    let nanos = match (start, thread_time()) {
        (Some(start), Some(end)) => end.checked_sub(start),
        _ => None,
    };
    Ok((result, nanos))
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

/// The exported function of this name.
fn find(plan: &Plan, file: &Path, path: &str) -> Result<Func, Failure> {
    let mut exports = plan.exports.as_slice();
    let mut found = None;
    for name in path.split('#') {
        found = exports.iter().find(|export| export.name == name);
        exports = match found {
            Some(Export { item: ExportItem::Instance(inner), .. }) => inner,
            _ => &[],
        };
    }
    let problem = match found {
        Some(Export { item: ExportItem::Func(func), .. }) => return Ok(*func),
        Some(_) => format!("the export \"{path}\" is no function"),
        None => format!("no export \"{path}\""),
    };
    let summary = inspect::inspect(plan);
    let funcs =
        summary.exports.iter().filter(|(_, ty)| ty.starts_with("func") || ty.starts_with("async func"));
    let list: String = funcs.map(|(name, ty)| format!("\n  {}: {}", Escaped(name), Escaped(ty))).collect();
    let list = if list.is_empty() { " none".into() } else { list };
    let at = input::shown(file);
    Err(Failure::usage(format_args!(
        "{at}: {problem}; --invoke 'name(args)' calls one of its functions:{list}"
    )))
}
