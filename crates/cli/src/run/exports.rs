//! Which export is meant: by its name, a unique short name, or a compatible version.

use canon_async_component::Plan;
use canon_async_component::link::canonical_name;
use canon_async_component::plan::{Export, ExportItem, Func, MAX_NESTING};

use crate::suggest::{cut, did_you_mean};

/// The interface whose `run` is a command's entry point.
const COMMAND: &str = "wasi:cli/run";
/// How many candidates a message lists.
const MOST: usize = 40;

/// A function that a component exports.
#[derive(Clone)]
pub struct Found {
    /// Its path: `name`, or `instance#name`.
    pub path: String,
    /// Which it is.
    pub func: Func,
}

impl Found {
    /// Whether it is the entry point of a command, which returns whether that succeeded.
    pub fn is_command(&self) -> bool {
        self.path.split_once('#').is_some_and(|(instance, name)| base(instance) == COMMAND && name == "run")
    }
}

/// The export to call: what `wanted` names; without it `wasi:cli/run` of any version, else `run`.
///
/// # Errors
/// Text that says what is wrong, with the candidates.
pub fn find(plan: &Plan, wanted: Option<&str>) -> Result<Found, String> {
    let mut funcs = Vec::new();
    collect(&plan.exports, ("", 0), &mut funcs);
    let Some(wanted) = wanted else {
        let commands: Vec<_> = funcs.iter().filter(|found| found.is_command()).collect();
        return match commands.as_slice() {
            [command] => Ok((*command).clone()),
            [] => by_name(plan, &funcs, "run").map_err(|error| {
                match funcs.iter().any(|f| name_of(&f.path) == "run") {
                    true => error,
                    false => format!("it exports no `{COMMAND}` and no `run`{}", call_one(plan, &funcs)),
                }
            }),
            several => Err(ambiguous(plan, "run", several)),
        };
    };
    by_name(plan, &funcs, wanted)
}

fn by_name(plan: &Plan, funcs: &[Found], wanted: &str) -> Result<Found, String> {
    if let Some(exact) = funcs.iter().find(|found| found.path == wanted) {
        return Ok(exact.clone());
    }
    if is_export(&plan.exports, wanted) {
        return Err(format!("the export \"{}\" is no function{}", cut(wanted), call_one(plan, funcs)));
    }
    let matching: Vec<_> = funcs.iter().filter(|found| matches(wanted, &found.path)).collect();
    match matching.as_slice() {
        [found] => Ok((*found).clone()),
        [] => {
            let paths = || funcs.iter().map(|found| found.path.as_str());
            let similar = did_you_mean(wanted, paths().chain(paths().map(name_of)));
            Err(format!("no export \"{}\"{similar}{}", cut(wanted), call_one(plan, funcs)))
        }
        several => Err(ambiguous(plan, wanted, several)),
    }
}

fn ambiguous(plan: &Plan, wanted: &str, candidates: &[&Found]) -> String {
    let count = candidates.len();
    let listed = list(plan, candidates.iter().copied());
    format!(
        "\"{}\" may be one of {count} exports; --invoke with more of the name says which:{listed}",
        cut(wanted)
    )
}

fn call_one(plan: &Plan, funcs: &[Found]) -> String {
    let listed = list(plan, funcs.iter());
    let listed = if listed.is_empty() { " none".to_string() } else { listed };
    format!("\n--invoke 'name(args)' calls one of its functions:{listed}")
}

/// A line for each, with its type.
fn list<'a>(plan: &Plan, found: impl Iterator<Item = &'a Found>) -> String {
    let mut found = found.fuse();
    let line = |Found { path, func }: &Found| {
        let ty = plan.func_type(*func).map_or_else(String::new, |ty| plan.types.display_func(ty).to_string());
        format!("\n  {}: {}", cut(path), cut(&ty))
    };
    let mut text: String = found.by_ref().take(MOST).map(line).collect();
    match found.count() {
        0 => {}
        more => text += &format!("\n  .. and {more} more: `canon inspect` lists all"),
    }
    text
}

/// All functions among exports, at any depth. Recursion is bounded by [`MAX_NESTING`].
fn collect(exports: &[Export], (prefix, depth): (&str, u32), out: &mut Vec<Found>) {
    for export in exports {
        let path = format!("{prefix}{}", export.name);
        match &export.item {
            ExportItem::Func(func) => out.push(Found { path, func: *func }),
            ExportItem::Instance(inner) if depth < MAX_NESTING => {
                collect(inner, (&format!("{path}#"), depth.saturating_add(1)), out);
            }
            _ => {}
        }
    }
}

/// Whether there is anything at this path.
fn is_export(exports: &[Export], path: &str) -> bool {
    let mut exports = exports;
    let mut found = false;
    for name in path.split('#') {
        let export = exports.iter().find(|export| export.name == name);
        found = export.is_some();
        exports = match export.map(|export| &export.item) {
            Some(ExportItem::Instance(inner)) => inner,
            _ => &[],
        };
    }
    found
}

/// The last name of a path.
fn name_of(path: &str) -> &str {
    path.rsplit('#').next().unwrap_or(path)
}

/// A name without its version.
fn base(name: &str) -> &str {
    name.split_once('@').map_or(name, |(base, _)| base)
}

/// Whether what was written is short for a path: the function's name, after as many of the instances around
/// it as are given, innermost last.
fn matches(wanted: &str, path: &str) -> bool {
    let (mut wanted, mut names) = (wanted.rsplit('#'), path.rsplit('#'));
    if wanted.next() != names.next() {
        return false;
    }
    wanted.all(|wanted| names.next().is_some_and(|name| stands_for(wanted, name)))
}

/// Whether what was written is short for an instance's name: `c`, `a:b/c`, or either with a compatible
/// version.
fn stands_for(wanted: &str, name: &str) -> bool {
    if wanted == name {
        return true;
    }
    let interface = |name: &str| name.rsplit('/').next().unwrap_or(name).to_string();
    let (base_wanted, base_name) = (base(wanted), base(name));
    if base_wanted != base_name && base_wanted != interface(base_name) {
        return false;
    }
    let Some((_, version)) = wanted.split_once('@') else { return true };
    let full = format!("{base_name}@{version}");
    canonical_name(&full).is_some() && canonical_name(&full) == canonical_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_stand_for_paths() {
        let path = "a:b/c@1.2.3#g";
        for wanted in ["g", "c#g", "c@1#g", "a:b/c#g", "a:b/c@1#g", "a:b/c@1.0#g", "a:b/c@1.9.0#g", path] {
            assert!(matches(wanted, path), "{wanted}");
        }
        for wanted in ["", "h", "d#g", "a:b/c@2#g", "a:b/c@0.1#g", "x:b/c#g", "b/c#g", "a:b/c@1", "z#a:b/c#g"]
        {
            assert!(!matches(wanted, path), "{wanted}");
        }
        assert!(matches("a:b/c@0.2#g", "a:b/c@0.2.6#g") && !matches("a:b/c@0.3#g", "a:b/c@0.2.6#g"));
        assert!(matches("inner#c#f", "outer#inner#c#f") && matches("c#f", "outer#inner#c#f"));
    }
}
