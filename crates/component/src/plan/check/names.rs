//! What the root imports and exports.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt::{self, Display, Formatter};

use super::steps::Made;
use super::types::Facts;
use super::{Checked, in_range, wrong};
use crate::plan::{Export, ExportItem, Import, ImportItem, MAX_NESTING, ModuleRef, Plan, PlanError};
use crate::types::Origin;

/// Where a name stands.
struct At<'a> {
    parent: Option<&'a At<'a>>,
    /// Which tree it is: `imports`.
    tree: &'static str,
    index: usize,
    name: &'a str,
    depth: u32,
}

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.parent {
            Some(parent) => write!(f, "{parent}.item[{}]", self.index),
            None => write!(f, "{}[{}]", self.tree, self.index),
        }
    }
}

impl At<'_> {
    /// Whether a path is that of this name: `name`, or `instance#name`.
    fn has_path(&self, path: &str) -> bool {
        match (path.strip_suffix(self.name), self.parent) {
            (Some(rest), Some(parent)) => rest.strip_suffix('#').is_some_and(|path| parent.has_path(path)),
            (Some(rest), None) => rest.is_empty(),
            (None, _) => false,
        }
    }

    /// The depth of what is inside.
    fn inner_depth(&self) -> Result<u32, PlanError> {
        match self.depth < MAX_NESTING {
            true => Ok(self.depth.saturating_add(1)),
            false => Err(wrong(self, format_args!("nests deeper than {MAX_NESTING} levels"))),
        }
    }
}

/// A table of imported things, and which of them an import has named.
struct Named {
    seen: Vec<bool>,
    /// The table, for messages.
    table: &'static str,
}

impl Named {
    fn new<T>(table: &'static str, entries: &[T]) -> Self {
        Self { seen: entries.iter().map(|_| false).collect(), table }
    }

    /// This import is the entry's only one.
    fn once(&mut self, at: &At<'_>, index: u32, path: &str) -> Checked {
        let table = self.table;
        if !at.has_path(path) {
            return Err(wrong(
                format_args!("{table}[{index}].path"),
                format_args!("\"{path}\" is not the path of {at}"),
            ));
        }
        match self.seen.get_mut(index as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(wrong(at, format_args!("{table}[{index}] is imported twice"))),
        }
        Ok(())
    }

    fn has(&self, index: u32) -> bool {
        self.seen.get(index as usize).is_some_and(|seen| *seen)
    }

    fn all(&self) -> Checked {
        match self.seen.iter().position(|seen| !seen) {
            Some(index) => Err(wrong(format_args!("{}[{index}]", self.table), "no import is of it")),
            None => Ok(()),
        }
    }
}

struct Imports<'a> {
    plan: &'a Plan,
    facts: &'a Facts,
    funcs: Named,
    modules: Named,
    values: Named,
    resources: Named,
}

/// Each thing that is imported is there once, at its path.
pub(super) fn imports(plan: &Plan, facts: &Facts) -> Checked {
    for (index, func) in plan.import_funcs.iter().enumerate() {
        in_range(
            format_args!("import_funcs[{index}].ty"),
            func.ty,
            plan.types.funcs.len(),
            "function types",
        )?;
    }
    for (index, value) in plan.import_values.iter().enumerate() {
        facts.known(format_args!("import_values[{index}].ty"), value.ty)?;
    }
    let mut imports = Imports {
        plan,
        facts,
        funcs: Named::new("import_funcs", &plan.import_funcs),
        modules: Named::new("import_modules", &plan.import_modules),
        values: Named::new("import_values", &plan.import_values),
        resources: Named::new("types.resources", &plan.types.resources),
    };
    for (seen, resource) in imports.resources.seen.iter_mut().zip(&plan.types.resources) {
        *seen = matches!(resource.origin, Origin::Defined { .. });
    }
    imports.list(&plan.imports, None, 0)?;
    [&imports.funcs, &imports.modules, &imports.values, &imports.resources]
        .into_iter()
        .try_for_each(Named::all)
}

impl Imports<'_> {
    /// Recursion is bounded by [`MAX_NESTING`].
    fn list(&mut self, imports: &[Import], parent: Option<&At<'_>>, depth: u32) -> Checked {
        let mut names = BTreeSet::new();
        for (index, import) in imports.iter().enumerate() {
            let at = At { parent, tree: "imports", index, name: &import.name, depth };
            if !names.insert(import.name.as_str()) {
                return Err(wrong(at, format_args!("the name \"{}\" is there twice", import.name)));
            }
            self.import(&at, &import.item)?;
        }
        Ok(())
    }

    fn import(&mut self, at: &At<'_>, item: &ImportItem) -> Checked {
        let Plan { import_funcs, import_modules, import_values, types, .. } = self.plan;
        match item {
            ImportItem::Func(index) => {
                in_range(at, *index, import_funcs.len(), "imported functions")?;
                import_funcs
                    .get(*index as usize)
                    .map_or(Ok(()), |func| self.funcs.once(at, *index, &func.path))
            }
            ImportItem::Module(index) => {
                in_range(at, *index, import_modules.len(), "imported core modules")?;
                let module = import_modules.get(*index as usize);
                module.map_or(Ok(()), |module| self.modules.once(at, *index, &module.path))
            }
            ImportItem::Value(index) => {
                in_range(at, *index, import_values.len(), "imported values")?;
                import_values
                    .get(*index as usize)
                    .map_or(Ok(()), |value| self.values.once(at, *index, &value.path))
            }
            ImportItem::Resource(index) => {
                in_range(at, *index, types.resources.len(), "resource types")?;
                match types.resource(*index).map(|resource| &resource.origin) {
                    // The others are equal to it.
                    Some(Origin::Imported { path }) if !self.resources.has(*index) => {
                        self.resources.once(at, *index, path)
                    }
                    _ => Ok(()),
                }
            }
            ImportItem::Type(ty) => self.facts.known(at, *ty),
            ImportItem::Instance(inner) => self.list(inner, Some(at), at.inner_depth()?),
            ImportItem::OtherType | ImportItem::Component => Ok(()),
        }
    }
}

/// Everything that is exported has been made.
pub(super) fn exports(plan: &Plan, facts: &Facts, made: &Made<'_>) -> Checked {
    export_list(plan, facts, made, &plan.exports, (None, 0))
}

/// Recursion is bounded by [`MAX_NESTING`].
fn export_list(
    plan: &Plan,
    facts: &Facts,
    made: &Made<'_>,
    exports: &[Export],
    (parent, depth): (Option<&At<'_>>, u32),
) -> Checked {
    let mut names = BTreeSet::new();
    for (index, export) in exports.iter().enumerate() {
        let at = At { parent, tree: "exports", index, name: &export.name, depth };
        if !names.insert(export.name.as_str()) {
            return Err(wrong(at, format_args!("the name \"{}\" is there twice", export.name)));
        }
        match &export.item {
            ExportItem::Func(func) => made.func(&at, *func)?,
            ExportItem::Instance(inner) => {
                export_list(plan, facts, made, inner, (Some(&at), at.inner_depth()?))?;
            }
            ExportItem::Resource(index) => {
                in_range(&at, *index, plan.types.resources.len(), "resource types")?
            }
            ExportItem::Type(ty) => facts.known(&at, *ty)?,
            ExportItem::Module(module) => module_ref(plan, &at, *module)?,
            ExportItem::Value(value, ty) => made.value(&at, *value, *ty)?,
            ExportItem::OtherType | ExportItem::Component => {}
        }
    }
    Ok(())
}

/// A core module that is there.
pub(super) fn module_ref(plan: &Plan, path: impl Display, module: ModuleRef) -> Checked {
    match module {
        ModuleRef::Inline(index) => in_range(path, index, plan.modules.len(), "core modules"),
        ModuleRef::Import(index) => in_range(path, index, plan.import_modules.len(), "imported core modules"),
    }
}
