//! Plan to instance: what imports get, and the steps.
//!
//! [`Linker`] maps names to what the host provides; [`instantiate`] checks a plan's imports against it and
//! runs the plan.

mod difference;
mod error;
mod imports;
mod linker;
mod missing;
mod module_type;
mod names;
mod steps;
mod values;

pub use error::LinkError;
pub use linker::{Linker, define_host_resource};
pub use missing::{ImportKind, MissingImport};
pub use names::{canonical_name, newest_compatible};

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use canon_async::Error;
use canon_async::abi::types::ResourceType;
use canon_async::id::{InstanceId, OptsId, ResourceId};
use canon_async::state::Options;

use crate::engine::{Engine, Made};
use crate::instance::{Extern, Instance};
use crate::intern::Interned;
use crate::plan::{Export, ExportItem, MAX_NESTING, Plan};
use crate::shared::{LinkedTypes, Shared};
use crate::types::Origin;

/// A plan's core modules, compiled: for instantiating it more than once.
#[derive(Clone, Debug)]
pub struct Compiled<M> {
    modules: Vec<M>,
}

/// Compiles a plan's core modules, each once.
///
/// # Errors
/// What the engine says.
pub fn compile<E: Engine>(e: &mut E, plan: &Plan) -> Result<Compiled<E::Module>, LinkError> {
    let mut modules = Vec::new();
    for (index, module) in plan.modules.iter().enumerate() {
        let compiled = e.compile(&module.bytes);
        modules.push(compiled.map_err(|error| LinkError::engine(format!("core module {index}"), error))?);
    }
    Ok(Compiled { modules })
}

/// Compiles and instantiates a plan: [`compile`] and [`instantiate_compiled`].
///
/// # Errors
/// Theirs.
pub fn instantiate<E: Engine>(
    e: &mut E,
    plan: &Plan,
    linker: &Linker<E::HostFunc, E::Module>,
) -> Result<Instance<E::Module>, LinkError> {
    let compiled = compile(e, plan)?;
    instantiate_compiled(e, plan, &compiled, linker)
}

/// Instantiates a plan: defines its instances, types and functions in the engine's store, and runs its steps.
/// `compiled` is what [`compile`] made of the same plan on the same engine.
///
/// What is made lives as long as the store, and so does what was made before an error. An error of a start
/// function, a trap as a rule, poisons what was made; the store and its other instances go on.
///
/// # Errors
/// Imports that are missing, all of them, or one of another type; what the engine says; a trap; `Capacity` of
/// the store, by the limit's name; a plan that contradicts itself, which no translation makes.
pub fn instantiate_compiled<E: Engine>(
    e: &mut E,
    plan: &Plan,
    compiled: &Compiled<E::Module>,
    linker: &Linker<E::HostFunc, E::Module>,
) -> Result<Instance<E::Module>, LinkError> {
    let mut types = LinkedTypes::new(plan.types.clone()).map_err(LinkError::Types)?;
    let found = imports::find(e, plan, linker)?;
    let host = ensure_host(e)?;
    let instances = add_instances(e, plan)?;
    let resources = add_resources(e, plan, &instances, &found)?;
    types.resources = resources.clone();
    let types = Shared::new(types);
    imports::check_types(&found, &types)?;
    let interned = Interned::new(e.store().types_mut(), &plan.types, &resources)?;
    let import_lifts = imports::lifts(e, plan, &found, &interned, &types, host)?;
    let tables = steps::Tables {
        plan,
        types: &types,
        interned: &interned,
        instances: &instances,
        resources: &resources,
    };
    let mut steps = steps::Steps::new(e, tables, &compiled.modules, import_lifts);
    steps.import_modules(&found)?;
    steps.import_values(&found)?;
    steps.run()?;
    let exports = exports(&steps, &plan.exports, 0)?;
    let root = instances.first().copied().ok_or_else(|| LinkError::plan("a root instance"))?;
    Ok(Instance::new(root, types, exports))
}

/// The options of the host's instance, which are made when the first component is linked.
pub(crate) fn ensure_host<E: Engine>(e: &mut E) -> Result<OptsId, Error> {
    if let Some(options) = e.store().host() {
        return Ok(options);
    }
    let (memory, realloc) = (e.host_memory(), e.host_realloc());
    let store = e.store();
    let host = store.add_host_instance()?;
    let options = Options { memory: Some(memory), realloc: Some(realloc), ..Options::new(host) };
    let options = store.add_options(options)?;
    store.set_host(options)?;
    Ok(options)
}

fn add_instances<E: Engine>(e: &mut E, plan: &Plan) -> Result<Vec<InstanceId>, LinkError> {
    let mut instances: Vec<InstanceId> = Vec::new();
    for instance in &plan.instances {
        let parent = match instance.parent {
            Some(parent) => {
                let parent = instances.get(parent as usize).copied();
                Some(parent.ok_or_else(|| LinkError::plan("a parent before its child"))?)
            }
            None => None,
        };
        let made = e.store().add_instance(parent)?;
        let index = u32::try_from(instances.len()).unwrap_or(u32::MAX);
        instances.push(made);
        e.made(Made::Instance(made, index));
    }
    Ok(instances)
}

fn add_resources<E: Engine>(
    e: &mut E,
    plan: &Plan,
    instances: &[InstanceId],
    found: &imports::Found<'_, E>,
) -> Result<Vec<ResourceId>, LinkError> {
    let mut resources = Vec::new();
    for (index, resource) in plan.types.resources.iter().enumerate() {
        resources.push(match &resource.origin {
            Origin::Defined { instance, .. } => {
                let instance = instances.get(*instance as usize).copied();
                let instance = instance.ok_or_else(|| LinkError::plan("the instance of a resource"))?;
                e.store().types_mut().define_resource(ResourceType { instance, dtor: None })?
            }
            Origin::Imported { .. } => found
                .resource(index)
                .ok_or_else(|| LinkError::plan("an import for each imported resource"))?,
        });
    }
    Ok(resources)
}

/// What the root exports. Recursion is bounded by [`MAX_NESTING`].
fn exports<E: Engine>(
    steps: &steps::Steps<'_, E>,
    exports_of: &[Export],
    depth: u32,
) -> Result<BTreeMap<String, Extern<E::Module>>, LinkError> {
    if depth > MAX_NESTING {
        return Err(LinkError::plan("exports that nest less deep"));
    }
    let mut out = BTreeMap::new();
    for export in exports_of {
        let item = match &export.item {
            ExportItem::Func(func) => Extern::Func(steps.func(*func)?),
            ExportItem::Instance(inner) => Extern::Instance(exports(steps, inner, depth.saturating_add(1))?),
            ExportItem::Resource(index) => Extern::Resource(steps.resource(*index)?),
            ExportItem::Type(ty) => Extern::Type(*ty),
            ExportItem::OtherType => Extern::Other("type"),
            ExportItem::Module(module) => Extern::Module(steps.module(*module)?),
            ExportItem::Value(value, _) => Extern::Value(steps.value(*value)?),
            ExportItem::Component => Extern::Other("component"),
        };
        out.insert(export.name.clone(), item);
    }
    Ok(out)
}
