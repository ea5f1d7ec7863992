//! What linking a plan takes of a store.

use alloc::collections::BTreeSet;

use canon_async::Limits;

use super::count;
use crate::plan::{BuiltinKind, Plan, Step};
use crate::types::TypeDef;

/// What linking a plan takes of a store's link-time capacities: these many at most, besides what is there
/// already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Needs {
    /// Component instances, the host among them.
    pub instances: u32,
    /// Value types, or function types where those are more.
    pub types: u32,
    /// Fields and cases of types.
    pub type_items: u32,
    /// Lifted functions, lowered functions or sets of options, whichever are most.
    pub functions: u32,
    /// Resource types.
    pub resources: u32,
}

/// What linking a plan takes of a store.
pub fn needs(plan: &Plan) -> Needs {
    let dtors = plan.steps.iter().filter(|step| matches!(step, Step::Destructor { .. })).count();
    // The type of destructors: a function type, and a record of one parameter.
    let dtor_types = usize::from(dtors > 0);
    let maps = plan.types.defs.iter().filter(|def| matches!(def, TypeDef::Map(..))).count();
    let params: BTreeSet<_> = plan.types.funcs.iter().map(|func| &func.params).collect();
    let types = [plan.types.defs.len(), maps, params.len(), dtor_types];
    let lifts = [plan.lifts.len(), plan.import_funcs.len(), dtors];
    let lowers = plan.builtins.iter().filter(|b| matches!(b.kind, BuiltinKind::Lower { .. })).count();
    let options = plan.options.len().saturating_add(dtors).saturating_add(1);
    let sum = |parts: &[usize]| parts.iter().fold(0usize, |sum, part| sum.saturating_add(*part));
    let funcs = plan.types.funcs.len().saturating_add(dtor_types);
    let items = plan.types.defs.iter().map(items_of).fold(0usize, usize::saturating_add);
    let param_items = params.iter().map(|params| params.len()).fold(dtor_types, usize::saturating_add);
    Needs {
        instances: count(plan.instances.len().saturating_add(1)),
        types: count(sum(&types).max(funcs)),
        type_items: count(items.saturating_add(param_items)),
        functions: count(sum(&lifts).max(lowers).max(options)),
        resources: count(plan.types.resources.len()),
    }
}

/// How many fields or cases the despecialised type has.
fn items_of(def: &TypeDef) -> usize {
    match def {
        TypeDef::Record(fields) => fields.len(),
        TypeDef::Variant(cases) => cases.len(),
        TypeDef::Tuple(types) => types.len(),
        TypeDef::Enum(labels) => labels.len(),
        TypeDef::Option(_) | TypeDef::Result { .. } | TypeDef::Map(..) => 2,
        _ => 0,
    }
}

impl Needs {
    /// These limits, with link-time capacities raised where they are too small.
    pub fn raise(&self, limits: Limits) -> Limits {
        // 0 stands for the storage's own capacity.
        let raise = |limit: u32, need: u32| limit.max(need);
        limits
            .with_instances(raise(limits.instances, self.instances))
            .with_types(raise(limits.types, self.types))
            .with_type_items(raise(limits.type_items, self.type_items))
            .with_functions(raise(limits.functions, self.functions))
            .with_resources(raise(limits.resources, self.resources))
    }
}
