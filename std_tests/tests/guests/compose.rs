//! Composes guests to one component.

use std::collections::BTreeMap;

use canon_async_wasmi::{Component, Engine};
use wasm_encoder::{ComponentBuilder, ComponentExportKind};

/// The name under which a composition exports what its main guest exports.
pub const MAIN: &str = "main";

/// A component around these, in which each imports what those before it export. It exports the last one's instance as `main`, and
/// those of the others under the guests' names.
///
/// # Panics
/// Where one imports what none before it exports.
pub fn compose(guests: &[(&str, &[u8])]) -> Vec<u8> {
    let engine = Engine::default();
    let mut outer = ComponentBuilder::default();
    let mut exported: BTreeMap<String, u32> = BTreeMap::new();
    let mut instances = Vec::new();
    for (name, bytes) in guests {
        let component = Component::new(&engine, bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let plan = component.plan();
        let args = plan.imports.iter().map(|import| {
            let import = import.name.as_str();
            let provider = exported.get(import);
            let provider = provider.unwrap_or_else(|| panic!("{name}: nobody exports {import}"));
            (import, ComponentExportKind::Instance, *provider)
        });
        let args: Vec<_> = args.collect();
        let index = outer.component_raw(Some(name), bytes);
        let instance = outer.instantiate(Some(name), index, args);
        // Only interfaces are imported by others; functions of the world belong to the main guest.
        for export in plan.exports.iter().filter(|export| export.name.contains(':')) {
            let index = outer.alias_export(instance, &export.name, ComponentExportKind::Instance);
            exported.insert(export.name.clone(), index);
        }
        instances.push(instance);
    }
    for (at, (&instance, (name, _))) in instances.iter().zip(guests).enumerate() {
        let name = if at + 1 == instances.len() { MAIN } else { name };
        outer.export(name, ComponentExportKind::Instance, instance, None);
    }
    outer.finish()
}
