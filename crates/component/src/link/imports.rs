//! What the root imports, found in the linker and checked.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use canon_async::id::{LiftId, OptsId, ResourceId};
use canon_async::state::Lift;

use super::linker::Def;
use super::{LinkError, Linker, MAX_NESTING};
use crate::engine::Engine;
use crate::host::HostSig;
use crate::intern::Interned;
use crate::plan::{Import, ImportItem, Plan};
use crate::shared::{LinkedTypes, Shared};
use crate::types::{FuncType, TypeTable};

type DefOf<E> = Def<<E as Engine>::HostFunc, <E as Engine>::Module>;
type Defs<E> = BTreeMap<String, DefOf<E>>;

/// What the imports get, by the plan's indices.
pub(super) struct Found<'l, E: Engine> {
    funcs: Vec<Option<&'l DefOf<E>>>,
    modules: Vec<Option<&'l E::Module>>,
    resources: Vec<Option<ResourceId>>,
}

impl<E: Engine> Found<'_, E> {
    pub fn resource(&self, index: usize) -> Option<ResourceId> {
        self.resources.get(index).copied().flatten()
    }

    /// A core module that the linker provides.
    pub fn module(&self, index: u32) -> Option<&E::Module> {
        self.modules.get(index as usize).copied().flatten()
    }
}

/// Finds everything that the root imports.
pub(super) fn find<'l, E: Engine>(
    plan: &Plan,
    linker: &'l Linker<E::HostFunc, E::Module>,
) -> Result<Found<'l, E>, LinkError> {
    let mut found = Found {
        funcs: plan.import_funcs.iter().map(|_| None).collect(),
        modules: plan.import_modules.iter().map(|_| None).collect(),
        resources: plan.types.resources.iter().map(|_| None).collect(),
    };
    find_in(plan, &plan.imports, Some(&linker.defs), &mut found, ("", 0))?;
    Ok(found)
}

/// Recursion is bounded by [`MAX_NESTING`].
fn find_in<'l, E: Engine>(
    plan: &Plan,
    imports: &[Import],
    defs: Option<&'l Defs<E>>,
    found: &mut Found<'l, E>,
    (prefix, depth): (&str, u32),
) -> Result<(), LinkError> {
    if depth > MAX_NESTING {
        return Err(LinkError::plan("imports that nest less deep"));
    }
    for import in imports {
        let path = format!("{prefix}{}", import.name);
        // A name of the component's own choice may say which interface it stands for.
        let implements = || defs?.get(import.implements.as_deref()?);
        let def = defs.and_then(|defs| defs.get(&import.name)).or_else(implements);
        let expected = expected(plan, &import.item);
        match (&import.item, def) {
            // The type is known already; whatever the host has to say about it changes nothing.
            (ImportItem::Type(_) | ImportItem::OtherType, _) => {}
            // An instance of which nothing is needed need not be there; else what is needed is missing.
            (ImportItem::Instance(inner), None) => {
                find_in(plan, inner, None, found, (&format!("{path}#"), depth.saturating_add(1)))?;
            }
            // One that has to be equal to another is known already.
            (ImportItem::Resource(index), None) if found.resource(*index as usize).is_some() => {}
            (_, None) => return Err(LinkError::Missing { path, expected }),
            (ImportItem::Instance(inner), Some(Def::Instance(defs))) => {
                find_in(plan, inner, Some(defs), found, (&format!("{path}#"), depth.saturating_add(1)))?;
            }
            (ImportItem::Func(index), Some(def @ (Def::Host(..) | Def::Func(_)))) => {
                set(&mut found.funcs, *index, def)?;
            }
            (ImportItem::Module(index), Some(Def::Module(module))) => {
                set(&mut found.modules, *index, module)?
            }
            (ImportItem::Resource(index), Some(Def::Resource(resource))) => {
                let known = found.resource(*index as usize);
                if known.is_some_and(|known| known != *resource) {
                    let found = "another resource type than the one that it has to be equal to".to_string();
                    return Err(LinkError::Mismatch { path, expected, found });
                }
                set(&mut found.resources, *index, *resource)?;
            }
            (_, Some(def)) => {
                return Err(LinkError::Mismatch { path, expected, found: def.kind().to_string() });
            }
        }
    }
    Ok(())
}

fn set<T>(slots: &mut [Option<T>], index: u32, value: T) -> Result<(), LinkError> {
    let slot =
        slots.get_mut(index as usize).ok_or_else(|| LinkError::plan("an import's index in its table"))?;
    *slot = Some(value);
    Ok(())
}

/// An import's type, as text.
fn expected(plan: &Plan, item: &ImportItem) -> String {
    match item {
        ImportItem::Func(index) => {
            let ty = plan.import_funcs.get(*index as usize).and_then(|func| plan.types.func(func.ty));
            ty.map_or_else(|| "func".to_string(), |ty| plan.types.display_func(ty).to_string())
        }
        ImportItem::Instance(_) => "instance".to_string(),
        ImportItem::Resource(_) => "resource".to_string(),
        ImportItem::Type(_) | ImportItem::OtherType => "type".to_string(),
        ImportItem::Module(_) => "core module".to_string(),
        ImportItem::Component => "component".to_string(),
    }
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
        let mismatch = |table: &TypeTable, ty: &FuncType| LinkError::Mismatch {
            path: import.path.clone(),
            expected: plan.types.display_func(expected).to_string(),
            found: table.display_func(ty).to_string(),
        };
        lifts.push(match def {
            Some(Def::Func(func)) if func.type_id() == id => func.lift(),
            Some(Def::Func(func)) => return Err(mismatch(&func.types().table, func.ty())),
            Some(Def::Host(func, own)) => {
                if let Some((own, index)) = own {
                    let ids = Interned::new(e.store().types_mut(), &own.table, &[])?.funcs;
                    let ty = own
                        .table
                        .func(*index)
                        .ok_or_else(|| LinkError::plan("the type of a host function"))?;
                    if ids.get(*index as usize) != Some(&id) {
                        return Err(mismatch(&own.table, ty));
                    }
                }
                let sig = HostSig::new(&import.path, types, import.ty);
                let func = e.host_func(func, sig).map_err(|error| LinkError::engine(&import.path, error))?;
                e.store().add_lift(Lift { func, ty: id, options: host })?
            }
            _ => return Err(LinkError::plan("an import for each imported function")),
        });
    }
    Ok(lifts)
}
