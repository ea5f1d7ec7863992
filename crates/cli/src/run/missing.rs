//! What to say of imports that are missing: all of them, by interface, and what to do.

use std::collections::BTreeMap;

use canon_async_wasmi::MissingImport;

use crate::suggest::{closest, cut};

/// How many imports are listed.
const MOST: usize = 60;

/// The message. `provided` are the names that the components after --with export.
pub fn message(missing: &[MissingImport], provided: &[String]) -> String {
    let count = missing.len();
    let mut text = match count {
        1 => "an import is missing:".to_string(),
        _ => format!("{count} imports are missing:"),
    };
    // In the order of their first imports.
    let mut order: Vec<&str> = Vec::new();
    let mut groups: BTreeMap<&str, Vec<&MissingImport>> = BTreeMap::new();
    for import in missing.iter().take(MOST) {
        let interface = import.path.rsplit_once('#').map_or("", |(interface, _)| interface);
        let group = groups.entry(interface).or_default();
        if group.is_empty() {
            order.push(interface);
        }
        group.push(import);
    }
    for interface in order {
        let group = groups.get(interface).map(Vec::as_slice).unwrap_or_default();
        let indent = if interface.is_empty() { "  " } else { "    " };
        if !interface.is_empty() {
            text += &format!("\n  {}{}", cut(interface), note(interface, group, provided));
        }
        for import in group {
            let name = import.path.rsplit('#').next().unwrap_or(&import.path);
            let similar = match interface {
                "" => closest(name, provided.iter().map(String::as_str)),
                _ => None,
            };
            let similar = similar.map_or_else(String::new, |similar| {
                format!(" (did you mean \"{}\", which is there?)", cut(similar))
            });
            text += &format!("\n{indent}{}: {}{similar}", cut(name), cut(&import.expected));
        }
    }
    if count > MOST {
        text += &format!("\n  .. and {} more: `canon inspect` lists all imports", count.saturating_sub(MOST));
    }
    text + &advice(missing)
}

/// What is there instead of an interface.
fn note(interface: &str, group: &[&MissingImport], provided: &[String]) -> String {
    let first = group.first();
    if let Some(instance) = first.and_then(|import| import.instance.as_deref()) {
        return format!(": \"{}\" is there, without", cut(instance));
    }
    if let Some(other) = first.and_then(|import| import.other_version.as_deref()) {
        return format!(": \"{}\" is there, whose version is not compatible", cut(other));
    }
    let similar = closest(interface, provided.iter().map(String::as_str));
    similar
        .map_or_else(String::new, |similar| format!(": did you mean \"{}\", which is there?", cut(similar)))
}

fn advice(missing: &[MissingImport]) -> String {
    let is_wasi = |import: &MissingImport| import.path.starts_with("wasi:");
    let mut text = String::new();
    if missing.iter().any(is_wasi) {
        text += "\ncanon has no WASI yet: what is named `wasi:` has to come from a component, or may trap";
    }
    if missing.iter().any(|import| !is_wasi(import)) {
        text += "\n--with FILE gives the component what another component exports";
    } else {
        text += " (--with FILE)";
    }
    text + "\n--unknown-imports-trap runs it all the same: a function that is missing traps when it is called"
}
