//! What the root imports, found in the linker and checked.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use canon_async::id::{LiftId, OptsId, ResourceId};
use canon_async::state::Lift;

use super::difference::{self, Difference, Side};
use super::linker::Def;
use super::names::Names;
use super::{LinkError, Linker, module_type};
use crate::engine::{Engine, Made};
use crate::host::HostSig;
use crate::intern::Interned;
use crate::plan::{Import, ImportItem, MAX_NESTING, Plan};
use crate::shared::{LinkedTypes, Shared};
use crate::types::ValType;
use crate::val::{Val, check};

type DefOf<E> = Def<<E as Engine>::HostFunc, <E as Engine>::Module>;
type Defs<E> = Names<DefOf<E>>;

/// What the imports get, by the plan's indices.
pub(super) struct Found<'l, E: Engine> {
    funcs: Vec<Option<&'l DefOf<E>>>,
    modules: Vec<Option<&'l E::Module>>,
    resources: Vec<Option<ResourceId>>,
    values: Vec<Option<&'l Val>>,
    types: Vec<FoundType<'l>>,
}

/// A value type that is imported, and that another instance has at its path.
struct FoundType<'l> {
    path: String,
    expected: ValType,
    found: (&'l Shared<LinkedTypes>, ValType),
}

impl<E: Engine> Found<'_, E> {
    pub fn resource(&self, index: usize) -> Option<ResourceId> {
        self.resources.get(index).copied().flatten()
    }

    /// A value that the linker provides.
    pub fn value(&self, index: u32) -> Option<&Val> {
        self.values.get(index as usize).copied().flatten()
    }

    /// A core module that the linker provides.
    pub fn module(&self, index: u32) -> Option<&E::Module> {
        self.modules.get(index as usize).copied().flatten()
    }
}

/// Where imports are looked for.
struct Place<'l, 'p, E: Engine> {
    /// `None` where there is no such instance.
    defs: Option<&'l Defs<E>>,
    /// What comes before the names.
    prefix: &'p str,
    depth: u32,
}

/// Finds everything that the root imports.
pub(super) fn find<'l, E: Engine>(
    e: &mut E,
    plan: &Plan,
    linker: &'l Linker<E::HostFunc, E::Module>,
) -> Result<Found<'l, E>, LinkError> {
    let missing = linker.missing(plan);
    if !missing.is_empty() {
        return Err(LinkError::Missing(missing));
    }
    let mut found = Found {
        funcs: plan.import_funcs.iter().map(|_| None).collect(),
        modules: plan.import_modules.iter().map(|_| None).collect(),
        resources: plan.types.resources.iter().map(|_| None).collect(),
        values: plan.import_values.iter().map(|_| None).collect(),
        types: Vec::new(),
    };
    let place = Place { defs: Some(&linker.defs), prefix: "", depth: 0 };
    find_in(e, plan, &plan.imports, &place, &mut found)?;
    Ok(found)
}

/// Recursion is bounded by [`MAX_NESTING`].
fn find_in<'l, E: Engine>(
    e: &mut E,
    plan: &Plan,
    imports: &[Import],
    place: &Place<'l, '_, E>,
    found: &mut Found<'l, E>,
) -> Result<(), LinkError> {
    if place.depth > MAX_NESTING {
        return Err(LinkError::plan("imports that nest less deep"));
    }
    for import in imports {
        let path = format!("{}{}", place.prefix, import.name);
        let def = place.defs.and_then(|defs| defs.find(&import.name, &import.attributes));
        let def = def.map(|(_, def)| def);
        match (&import.item, def) {
            (ImportItem::Instance(inner), None | Some(Def::Instance(_))) => {
                let defs = def.and_then(Def::instance);
                let (prefix, depth) = (format!("{path}#"), place.depth.saturating_add(1));
                find_in(e, plan, inner, &Place { defs, prefix: &prefix, depth }, found)?;
            }
            (item, Some(def)) => take(e, plan, item, (&path, def), found)?,
            // Nothing of it is needed: `Linker::missing` has looked.
            (_, None) => {}
        }
    }
    Ok(())
}

/// Takes what the linker has for an import that is no instance.
fn take<'l, E: Engine>(
    e: &mut E,
    plan: &Plan,
    item: &ImportItem,
    (path, def): (&str, &'l DefOf<E>),
    found: &mut Found<'l, E>,
) -> Result<(), LinkError> {
    match (item, def) {
        (ImportItem::Func(index), Def::Host(..) | Def::Func(_)) => set(&mut found.funcs, *index, def),
        (ImportItem::Module(index), Def::Module(module)) => {
            let expected = plan.import_modules.get(*index as usize);
            let expected = expected.ok_or_else(|| LinkError::plan("an imported module"))?;
            if let Some(ty) = e.module_type(module, &expected.ty) {
                module_type::check(path, &expected.ty, &ty)?;
            }
            set(&mut found.modules, *index, module)
        }
        (ImportItem::Value(index), Def::Value(value)) => {
            let expected = plan.import_values.get(*index as usize);
            let expected = expected.ok_or_else(|| LinkError::plan("an imported value"))?;
            check(&plan.types, expected.ty, value).map_err(|error| error.at(format!("import \"{path}\"")))?;
            set(&mut found.values, *index, value)
        }
        (ImportItem::Resource(index), Def::Resource(resource)) => {
            if found.resource(*index as usize).is_some_and(|known| known != *resource) {
                let (expected, found) =
                    ("the resource type that it has to be equal to", "another resource type");
                return Err(mismatch(path, expected, found));
            }
            set(&mut found.resources, *index, *resource)
        }
        (ImportItem::Type(ty), Def::Type(types, found_ty)) => {
            let (path, found_ty) = (path.to_string(), (types, *found_ty));
            found.types.push(FoundType { path, expected: *ty, found: found_ty });
            Ok(())
        }
        (ImportItem::OtherType, Def::Other("type")) => Ok(()),
        _ => Err(mismatch(path, &expected(plan, item), def.kind())),
    }
}

fn mismatch(path: &str, expected: &str, found: &str) -> LinkError {
    let (expected, found) = (expected.to_string(), found.to_string());
    LinkError::Mismatch { path: path.to_string(), at: Vec::new(), expected, found }
}

fn set<T>(slots: &mut [Option<T>], index: u32, value: T) -> Result<(), LinkError> {
    let slot =
        slots.get_mut(index as usize).ok_or_else(|| LinkError::plan("an import's index in its table"))?;
    *slot = Some(value);
    Ok(())
}

/// An import's type, as text.
pub(super) fn expected(plan: &Plan, item: &ImportItem) -> String {
    match item {
        ImportItem::Func(index) => {
            let ty = plan.import_funcs.get(*index as usize).and_then(|func| plan.types.func(func.ty));
            ty.map_or_else(|| "func".to_string(), |ty| plan.types.display_func(ty).to_string())
        }
        ImportItem::Instance(_) => "instance".to_string(),
        ImportItem::Resource(_) => "resource".to_string(),
        ImportItem::Type(_) | ImportItem::OtherType => "type".to_string(),
        ImportItem::Module(_) => "core module".to_string(),
        ImportItem::Value(index) => {
            let ty = plan.import_values.get(*index as usize).map(|value| value.ty);
            ty.map_or_else(|| "value".to_string(), |ty| format!("value {}", plan.types.display(ty)))
        }
        ImportItem::Component => "component".to_string(),
    }
}

fn side(types: &LinkedTypes) -> Side<'_> {
    Side { table: &types.table, resources: &types.resources }
}

fn differs(path: &str, Difference { at, expected, found }: Difference) -> LinkError {
    LinkError::Mismatch { path: path.to_string(), at, expected, found }
}

/// Checks the value types that instances have which are imported: a type that is imported is `(eq ..)` to one that the
/// component knows.
pub(super) fn check_types<E: Engine>(found: &Found<'_, E>, types: &LinkedTypes) -> Result<(), LinkError> {
    for FoundType { path, expected, found: (found, found_ty) } in &found.types {
        if let Some(difference) = difference::of_values((side(types), *expected), (side(found), *found_ty)) {
            return Err(differs(path, difference));
        }
    }
    Ok(())
}

/// Makes imported functions component functions: host functions are lifted in the host's instance, and
/// those of other instances are what they are, if their type is right.
pub(super) fn lifts<E: Engine>(
    e: &mut E,
    plan: &Plan,
    found: &Found<'_, E>,
    interned: &Interned,
    types: &Shared<LinkedTypes>,
    host: OptsId,
) -> Result<Vec<LiftId>, LinkError> {
    let mut lifts = Vec::new();
    for (import, def) in plan.import_funcs.iter().zip(&found.funcs) {
        let expected = plan.types.func(import.ty).ok_or_else(|| LinkError::plan("the type of an import"))?;
        let id = interned.funcs.get(import.ty as usize).copied();
        let id = id.ok_or_else(|| LinkError::plan("the type of an import"))?;
        let (given, ty) = match def {
            Some(Def::Func(func)) => (Some(func.types()), Some(func.ty())),
            Some(Def::Host(_, Some((own, index)))) => (Some(&**own), own.table.func(*index)),
            _ => (None, None),
        };
        if let Some((given, ty)) = given.zip(ty)
            && let Some(difference) = difference::of_funcs((side(types), expected), (side(given), ty))
        {
            return Err(differs(&import.path, difference));
        }
        lifts.push(match def {
            Some(Def::Func(func)) if func.type_id() == id => func.lift(),
            Some(Def::Host(func, _)) => {
                let sig = HostSig::new(&import.path, types, import.ty);
                let func = e.host_func(func, sig).map_err(|error| LinkError::engine(&import.path, error))?;
                let lift = e.store().add_lift(Lift { func, ty: id, options: host })?;
                e.made(Made::Host(lift, u32::try_from(lifts.len()).unwrap_or(u32::MAX)));
                lift
            }
            _ => return Err(LinkError::plan("an import for each imported function")),
        });
    }
    Ok(lifts)
}
