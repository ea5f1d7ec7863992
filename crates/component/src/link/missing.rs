//! What a plan imports and a linker has not: all of it at once, before anything is made.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::imports::expected;
use super::linker::{Def, Linker};
use super::names::Names;
use crate::plan::{Import, ImportItem, MAX_NESTING, Plan};

/// An import that a linker has nothing for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingImport {
    /// The import: `name`, or `instance#name`.
    pub path: String,
    /// What kind of thing it is.
    pub kind: ImportKind,
    /// What the component wants there, as text.
    pub expected: String,
    /// The name of the linker's instance in which it is missing; `None` if there is no such instance.
    pub instance: Option<String>,
    /// If there is no such instance: a name of the same interface that the linker has, with a version that is
    /// not compatible.
    pub other_version: Option<String>,
}

/// What kind of thing an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportKind {
    /// A function.
    Func,
    /// A resource type.
    Resource,
    /// A core module, a value or a component.
    Other,
}

impl MissingImport {
    /// The path under which a linker's definition is found for this import. That is its own path, but for an
    /// instance that is there under a compatible version's name.
    #[must_use]
    pub fn definition(&self) -> String {
        let name = self.path.rsplit('#').next().unwrap_or(&self.path);
        self.instance.as_ref().map_or_else(|| self.path.clone(), |instance| format!("{instance}#{name}"))
    }
}

impl fmt::Display for MissingImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, expected, instance, other_version, .. } = self;
        write!(f, "import \"{path}\" is missing: expected {expected}")?;
        match (instance, other_version) {
            (Some(instance), _) => write!(f, " (there is an instance \"{instance}\", without it)"),
            (None, Some(other)) => {
                write!(f, " (there is \"{other}\", whose version is not compatible)")
            }
            (None, None) => Ok(()),
        }
    }
}

impl<F: Clone, M: Clone> Linker<F, M> {
    /// What a plan imports and this linker has nothing for, in the order of the imports. Types of the
    /// imports that are there are not compared: linking does. Runs nothing; O(imports).
    #[must_use]
    pub fn missing(&self, plan: &Plan) -> Vec<MissingImport> {
        let mut walk = Walk { plan, resources: BTreeSet::new(), missing: Vec::new() };
        let root = Place { defs: Some(&self.defs), prefix: "", name: None, other_version: None, depth: 0 };
        walk.imports(&plan.imports, &root);
        walk.missing
    }
}

/// Where imports are looked for.
struct Place<'a, F, M> {
    /// `None` if there is no such instance.
    defs: Option<&'a Names<Def<F, M>>>,
    /// What comes before the names in an import's path.
    prefix: &'a str,
    /// The linker's path of the instance; `None` for the root, and if there is none.
    name: Option<&'a str>,
    other_version: Option<&'a str>,
    depth: u32,
}

struct Walk<'a> {
    plan: &'a Plan,
    /// Resource types that are known, or reported: others may have to be equal to them.
    resources: BTreeSet<u32>,
    missing: Vec<MissingImport>,
}

impl Walk<'_> {
    /// Recursion is bounded by [`MAX_NESTING`]; deeper imports are no plan's, and linking says so.
    fn imports<F, M>(&mut self, imports: &[Import], place: &Place<'_, F, M>) {
        for import in imports {
            let path = format!("{}{}", place.prefix, import.name);
            let def = place.defs.and_then(|defs| defs.find(&import.name, &import.attributes));
            match (&import.item, def) {
                (ImportItem::Instance(inner), None | Some((_, Def::Instance(_)))) => {
                    if place.depth < MAX_NESTING {
                        self.instance(import, inner, &path, place);
                    }
                }
                (item, None) if self.is_needed(item) => {
                    let kind = match item {
                        ImportItem::Func(_) => ImportKind::Func,
                        ImportItem::Resource(_) => ImportKind::Resource,
                        _ => ImportKind::Other,
                    };
                    self.missing.push(MissingImport {
                        path,
                        kind,
                        expected: expected(self.plan, item),
                        instance: place.name.map(ToString::to_string),
                        other_version: place.other_version.map(ToString::to_string),
                    });
                    self.know(item);
                }
                (_, None) => {}
                (item, Some(_)) => self.know(item),
            }
        }
    }

    /// An instance of which nothing is needed need not be there; else what is needed is missing.
    fn instance<F, M>(&mut self, import: &Import, inner: &[Import], path: &str, place: &Place<'_, F, M>) {
        let def = place.defs.and_then(|defs| defs.find(&import.name, &import.attributes));
        let wanted = import.attributes.implements.as_deref().unwrap_or(&import.name);
        let other_version = match def {
            Some(_) => None,
            None => place.defs.and_then(|defs| defs.other_version(wanted)),
        };
        let name = def.map(|(name, _)| match place.name {
            Some(outer) => format!("{outer}#{name}"),
            None => name.to_string(),
        });
        let inside = Place {
            defs: def.and_then(|(_, def)| def.instance()),
            prefix: &format!("{path}#"),
            name: name.as_deref(),
            other_version,
            depth: place.depth.saturating_add(1),
        };
        self.imports(inner, &inside);
    }

    /// Whether an import has to be provided. A type is known already, and so is a resource type that is equal
    /// to another.
    fn is_needed(&self, item: &ImportItem) -> bool {
        match item {
            ImportItem::Type(_) | ImportItem::OtherType => false,
            ImportItem::Resource(index) => !self.resources.contains(index),
            _ => true,
        }
    }

    fn know(&mut self, item: &ImportItem) {
        if let ImportItem::Resource(index) = item {
            self.resources.insert(*index);
        }
    }
}
