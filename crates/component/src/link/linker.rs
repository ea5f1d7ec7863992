//! Names and what the host provides under them.

use alloc::collections::BTreeMap;
use alloc::string::String;

use canon_async::abi::types::ResourceType;
use canon_async::id::ResourceId;
use canon_async::state::Lift;

use super::names::Names;
use super::{LinkError, ensure_host};
use crate::engine::Engine;
use crate::host::HostSig;
use crate::instance::{Extern, Func, Instance};
use crate::intern::Interned;
use crate::shared::{LinkedTypes, Shared};
use crate::types::{Field, FuncType, TypeTable, ValType};
use crate::val::Val;

/// Names and what the host provides under them. `F` and `M` are the engine's
/// [`HostFunc`](Engine::HostFunc) and [`Module`](Engine::Module).
///
/// A path is `name`, or `instance#name` for something in an instance. An import gets
///
/// 1. what is under its name, as it is written, or with its 🔗 version suffix;
/// 2. else what is under the same interface name with a compatible version, the highest: `a:b/c@1.2.0` for `a:b/c@1.0.1`, and
///    `a:b/c@0.2.6` for `a:b/c@0.2.1`, but not for `a:b/c@0.3.0` (the spec's canonical interface names are equal); a
///    pre-release only if no release is compatible;
/// 3. else, where it has a name of its own choice and says which interface it 🏷️ implements, what that gets.
///
/// Its 🏷️ external id is not looked at: it is in [`Plan::imports`](crate::Plan), for hosts that go by it.
///
/// Defining a path again replaces what was there. A host function has whatever type the component imports it with, unless it
/// is defined with a type of its own; resources and functions of other instances belong to one store.
#[derive(Clone, Debug)]
pub struct Linker<F, M> {
    pub(super) defs: Names<Def<F, M>>,
}

/// What the host provides.
#[derive(Clone, Debug)]
pub(super) enum Def<F, M> {
    /// A host function; with a type where it has one of its own.
    Host(F, Option<(Shared<LinkedTypes>, u32)>),
    /// A function of another instance.
    Func(Func),
    Resource(ResourceId),
    /// A value type of another instance.
    Type(Shared<LinkedTypes>, ValType),
    Module(M),
    Value(Val),
    Instance(Names<Def<F, M>>),
    /// Something of another instance that nobody can import.
    Other(&'static str),
}

impl<F, M> Default for Linker<F, M> {
    fn default() -> Self {
        Self { defs: Names::default() }
    }
}

impl<F: Clone, M: Clone> Linker<F, M> {
    /// A linker without names.
    pub fn new() -> Self {
        Self::default()
    }

    /// A host function, of the type that it is imported with.
    pub fn func(&mut self, path: &str, func: F) -> &mut Self {
        self.define(path, Def::Host(func, None))
    }

    /// A host function of a type of its own, the one at index `ty` of [`TypeTable::funcs`], which imports
    /// have to match. It may not mention resources.
    ///
    /// # Errors
    /// `Types` where the table's types are none.
    pub fn func_typed(
        &mut self,
        path: &str,
        types: TypeTable,
        ty: u32,
        func: F,
    ) -> Result<&mut Self, LinkError> {
        let types = Shared::new(LinkedTypes::new(types).map_err(LinkError::Types)?);
        Ok(self.define(path, Def::Host(func, Some((types, ty)))))
    }

    /// A resource type: one that another instance exports, or the host's own ([`define_host_resource`]).
    pub fn resource(&mut self, path: &str, resource: ResourceId) -> &mut Self {
        self.define(path, Def::Resource(resource))
    }

    /// A compiled core module.
    pub fn module(&mut self, path: &str, module: M) -> &mut Self {
        self.define(path, Def::Module(module))
    }

    /// 🪙 A value. A handle in it is of the host instance's table, and goes to the first instance that imports it.
    pub fn value(&mut self, path: &str, value: Val) -> &mut Self {
        self.define(path, Def::Value(value))
    }

    /// An instance with everything that another instance exports.
    pub fn instance(&mut self, path: &str, instance: &Instance<M>) -> &mut Self {
        self.define(path, Def::Instance(defs_of(instance.exports(), instance.shared_types())))
    }

    /// One thing that another instance exports, at the path `export`; `false`, and nothing changes, where it exports no such
    /// thing.
    #[must_use]
    pub fn export(&mut self, path: &str, instance: &Instance<M>, export: &str) -> bool {
        let def = instance.get(export).map(|export| def_of(export, instance.shared_types()));
        let found = def.is_some();
        if let Some(def) = def {
            self.define(path, def);
        }
        found
    }

    fn define(&mut self, path: &str, def: Def<F, M>) -> &mut Self {
        let mut names = path.split('#').peekable();
        let mut at = &mut self.defs;
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                at.insert(name, def);
                break;
            }
            if !matches!(at.get_mut(name), Some(Def::Instance(_))) {
                at.insert(name, Def::Instance(Names::default()));
            }
            let Some(Def::Instance(defs)) = at.get_mut(name) else { break };
            at = defs;
        }
        self
    }
}

impl<F, M> Def<F, M> {
    pub(super) fn instance(&self) -> Option<&Names<Self>> {
        match self {
            Self::Instance(defs) => Some(defs),
            _ => None,
        }
    }

    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Host(..) | Self::Func(_) => "func",
            Self::Resource(_) => "resource",
            Self::Type(..) => "type",
            Self::Module(_) => "core module",
            Self::Value(_) => "value",
            Self::Instance(_) => "instance",
            Self::Other(kind) => kind,
        }
    }
}

/// Recursion is as deep as the instance's exports nest, which linking bounds.
fn defs_of<F, M: Clone>(
    exports: &BTreeMap<String, Extern<M>>,
    types: &Shared<LinkedTypes>,
) -> Names<Def<F, M>> {
    let mut defs = Names::default();
    exports.iter().for_each(|(name, export)| defs.insert(name, def_of(export, types)));
    defs
}

fn def_of<F, M: Clone>(export: &Extern<M>, types: &Shared<LinkedTypes>) -> Def<F, M> {
    match export {
        Extern::Func(func) => Def::Func(func.clone()),
        Extern::Instance(exports) => Def::Instance(defs_of(exports, types)),
        Extern::Resource(resource) => Def::Resource(*resource),
        Extern::Type(ty) => Def::Type(types.clone(), *ty),
        Extern::Module(module) => Def::Module(module.clone()),
        Extern::Value(value) => Def::Value(value.clone()),
        Extern::Other(kind) => Def::Other(kind),
    }
}

/// Defines a resource type of the host, different from every other, with a destructor that gets the
/// representation.
///
/// # Errors
/// `Capacity` of the store, or what the engine says to the destructor.
pub fn define_host_resource<E: Engine>(
    e: &mut E,
    dtor: Option<&E::HostFunc>,
) -> Result<ResourceId, LinkError> {
    let options = ensure_host(e)?;
    let instance = e.store().options(options)?.instance;
    let dtor = match dtor {
        Some(dtor) => {
            let func = e.host_func(dtor, HostSig::destructor());
            let func = func.map_err(|error| LinkError::engine("a resource's destructor", error))?;
            let ty = dtor_type(e)?;
            Some(e.store().add_lift(Lift { func, ty, options })?)
        }
        None => None,
    };
    Ok(e.store().types_mut().define_resource(ResourceType { instance, dtor })?)
}

/// The type of destructors as component functions.
pub(super) fn dtor_type<E: Engine>(e: &mut E) -> Result<canon_async::id::FuncTypeId, LinkError> {
    let params = [Field { name: "rep".into(), ty: ValType::U32 }].into();
    let table = TypeTable {
        funcs: [FuncType { params, result: None, is_async: false }].into(),
        ..TypeTable::default()
    };
    let interned = Interned::new(e.store().types_mut(), &table, &[])?;
    interned.funcs.first().copied().ok_or_else(|| LinkError::plan("a destructor's type"))
}
