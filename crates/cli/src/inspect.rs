//! `canon inspect`.

use std::fmt::Write as _;
use std::path::PathBuf;

use canon_async_component::Plan;
use canon_async_component::inspect::{
    Escaped, Summary, capacities, entries, inspect as summary_of, profile, words,
};
use clap::Args;
use serde_json::{Value, json};

use crate::console::{self, Failure};
use crate::input::{self, Loaded};
use crate::wit::text as wit;

/// The longest text of what a plan imports and exports.
const MAX_WORDS: usize = 4 << 20;

const AFTER_HELP: &str = "\
Prints the component's WIT, and in comments the built-ins that it uses. WIT has no words for
everything, and a plan has no names for all types: then what it imports and exports is printed
in similar words, and a comment says so.

With --plan, prints a profile of the crate canon-async to paste into a firmware: the capacity
of each table of a store. Those for linking are what it takes at most; those for calls are an
estimate, for N calls of the host at a time with --calls N. The values are also those of
`Limits`, for a store on the heap.

With --json, prints one line:
  component     its name, or null
  wit           its WIT, or null
  words         null, or what is printed where there is no WIT
  imports       [{\"name\": .., \"type\": ..}], those of an instance as instance#name
  exports       the same of what it exports
  names         [{\"name\": .., \"says\": ..}]: interfaces that they implement, external ids
  builtins      {\"stream.read\": 3, ..}
  modules       the sizes of its core modules in bytes
  core_instances, capacities {\"instances\": .., ..}

Examples:
  canon inspect examples/pipeline.wat
  canon inspect --plan examples/pipeline.wat
  canon inspect --json app.wasm

Exit codes: 0, 1 where the component is invalid or too large or the plan damaged, 2 for usage.";

/// Show a component's WIT, the built-ins that it uses, and with --plan what it needs of a store
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Inspect {
    /// The component: .wasm, or .wat; or a plan; - is stdin
    file: PathBuf,
    /// Print what it needs of a store, as a profile to paste
    #[arg(long, conflicts_with = "json")]
    plan: bool,
    /// How many calls of the host are under way at a time, for --plan and --json
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    calls: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: input::FileLimits,
}

/// Runs the command.
///
/// # Errors
/// What [`input::component`] says.
pub fn inspect(args: &Inspect) -> Result<(), Failure> {
    let Loaded { plan, binary } = input::loaded(&args.file, &args.limits)?;
    if args.plan {
        let name = input::name(&plan, &args.file);
        let profile = profile(capacities(&plan, args.calls), Some(&name), args.calls).to_string();
        console::line(profile.trim_end());
        return Ok(());
    }
    let wit = match &binary {
        Some(binary) => wit::of_component(binary),
        None => Err("this is a plan, which has no names for all types".into()),
    };
    let summary = summary_of(&plan);
    match args.json {
        true => console::line(json_text(&json_of(&plan, &summary, wit.as_deref().ok(), args.calls))),
        false => console::line(text_of(&plan, &summary, wit)),
    }
    Ok(())
}

/// WIT, or similar words, with the rest in comments.
fn text_of(plan: &Plan, summary: &Summary, wit: Result<String, String>) -> String {
    let mut text = String::new();
    if let Some(name) = &summary.name {
        text += &format!("// component {}\n", Escaped(name));
    }
    match wit {
        Ok(wit) => text += &wit,
        Err(why) => {
            let why =
                why.split('\n').map(|line| Escaped(line).to_string()).collect::<Vec<_>>().join("\n//   ");
            text += &format!("// not WIT, but similar: {why}\n{}", words_of(plan));
        }
    }
    text += "\n\n";
    for (name, says) in &summary.attributes {
        text += &format!("// {}: {}\n", Escaped(name), Escaped(says));
    }
    let builtins = summary.builtins.iter().map(|(name, count)| match count {
        1 => name.to_string(),
        _ => format!("{name} x{count}"),
    });
    text += &folded("// built-ins: ", &builtins.collect::<Vec<_>>());
    let bytes = summary.modules.iter().fold(0usize, |sum, size| sum.saturating_add(*size));
    let (modules, instances) = (summary.modules.len(), summary.core_instances);
    text += &format!("// core modules: {modules} ({bytes} bytes); core instances: {instances}");
    text
}

/// A list in comments, in lines that are not too long.
fn folded(title: &str, items: &[String]) -> String {
    let mut lines = String::new();
    let mut line = title.to_string();
    if items.is_empty() {
        line += "none";
    }
    for (at, item) in items.iter().enumerate() {
        if line.len().saturating_add(item.len()) > 100 {
            lines += &format!("{}\n", line.trim_end());
            line = "//   ".into();
        }
        line += item;
        line += if at.saturating_add(1) < items.len() { ", " } else { "" };
    }
    lines + &line + "\n"
}

/// What a plan imports and exports; the end of what is too long is left out.
fn words_of(plan: &Plan) -> String {
    struct Bounded(String);
    impl std::fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            match self.0.len().saturating_add(text.len()) > MAX_WORDS {
                true => Err(std::fmt::Error),
                false => self.0.write_str(text),
            }
        }
    }
    let mut text = Bounded(String::new());
    match write!(text, "{}", words(plan)) {
        Ok(()) => text.0.trim_end().to_string(),
        Err(std::fmt::Error) => format!("{}\n// .. and more than these {MAX_WORDS} bytes", text.0.trim_end()),
    }
}

fn json_of(plan: &Plan, summary: &Summary, wit: Option<&str>, calls: u32) -> Value {
    let items = |items: &[(String, String)], of: &str| -> Value {
        items.iter().map(|(name, text)| json!({ "name": name, of: text })).collect()
    };
    let capacities: serde_json::Map<String, Value> = entries(&capacities(plan, calls))
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    json!({
        "component": summary.name,
        "wit": wit,
        "words": wit.is_none().then(|| words_of(plan)),
        "imports": items(&summary.imports, "type"),
        "exports": items(&summary.exports, "type"),
        "names": items(&summary.attributes, "says"),
        "builtins": summary.builtins,
        "modules": summary.modules,
        "core_instances": summary.core_instances,
        "capacities": capacities,
    })
}

/// JSON in which nothing controls a terminal: whatever might is in a string, where JSON has another way to
/// write it.
fn json_text(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match Escaped::hides(c) {
            true => text += &format!("\\u{:04x}", u32::from(c)),
            false => text.push(c),
        }
    }
    text
}
