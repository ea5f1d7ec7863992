//! A component instance that was linked: what it exports, by name.

use alloc::collections::BTreeMap;
use alloc::string::String;

use canon_async::id::{FuncTypeId, InstanceId, LiftId, ResourceId};

use crate::shared::{LinkedTypes, Shared};
use crate::types::{FuncType, ValType};
use crate::val::Val;

/// A component, instantiated. It lives as long as the store; this is a list of what it exports. `M` is the engine's
/// [`Module`](crate::Engine::Module).
#[derive(Clone, Debug)]
pub struct Instance<M> {
    root: InstanceId,
    types: Shared<LinkedTypes>,
    exports: BTreeMap<String, Extern<M>>,
}

/// What an instance exports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Extern<M> {
    /// A function.
    Func(Func),
    /// An instance.
    Instance(BTreeMap<String, Extern<M>>),
    /// A resource type.
    Resource(ResourceId),
    /// A value type, of [`Instance::types`].
    Type(ValType),
    /// A core module.
    Module(M),
    /// 🪙 A value. A handle in it is of the host instance's table.
    Value(Val),
    /// Something that can't be used from outside: a component, or another type. Its kind in words.
    Other(&'static str),
}

/// A component function.
#[derive(Clone, Debug)]
pub struct Func {
    lift: LiftId,
    id: FuncTypeId,
    index: u32,
    ty: FuncType,
    types: Shared<LinkedTypes>,
}

impl<M> Instance<M> {
    pub(crate) fn new(
        root: InstanceId,
        types: Shared<LinkedTypes>,
        exports: BTreeMap<String, Extern<M>>,
    ) -> Self {
        Self { root, types, exports }
    }

    /// The component instance of the root component.
    pub fn root(&self) -> InstanceId {
        self.root
    }

    /// The plan's types.
    pub fn types(&self) -> &LinkedTypes {
        &self.types
    }

    pub(crate) fn shared_types(&self) -> &Shared<LinkedTypes> {
        &self.types
    }

    /// Everything that it exports.
    pub fn exports(&self) -> &BTreeMap<String, Extern<M>> {
        &self.exports
    }

    /// The export at a path: `name`, or `instance#name` for an export of an instance that it exports.
    pub fn get(&self, path: &str) -> Option<&Extern<M>> {
        lookup(&self.exports, path)
    }

    /// The function at a path.
    pub fn func(&self, path: &str) -> Option<&Func> {
        match self.get(path)? {
            Extern::Func(func) => Some(func),
            _ => None,
        }
    }
}

/// Follows a path, name by name.
fn lookup<'a, M>(exports: &'a BTreeMap<String, Extern<M>>, path: &str) -> Option<&'a Extern<M>> {
    let mut names = path.split('#');
    let mut found = exports.get(names.next()?)?;
    for name in names {
        let Extern::Instance(exports) = found else { return None };
        found = exports.get(name)?;
    }
    Some(found)
}

impl<M> Extern<M> {
    /// What kind of thing it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Func(_) => "func",
            Self::Instance(_) => "instance",
            Self::Resource(_) => "resource",
            Self::Type(_) => "type",
            Self::Module(_) => "core module",
            Self::Value(_) => "value",
            Self::Other(kind) => kind,
        }
    }
}

impl Func {
    /// `None` where the type is none of the types.
    pub(crate) fn new(lift: LiftId, id: FuncTypeId, index: u32, types: &Shared<LinkedTypes>) -> Option<Self> {
        let ty = types.table.func(index)?.clone();
        Some(Self { lift, id, index, ty, types: types.clone() })
    }

    /// What the core calls it by: [`canon_async::run::call`].
    pub fn lift(&self) -> LiftId {
        self.lift
    }

    /// Its type in the store: equal types have equal ids.
    pub fn type_id(&self) -> FuncTypeId {
        self.id
    }

    /// Its type.
    pub fn ty(&self) -> &FuncType {
        &self.ty
    }

    /// The index of its type in the table of [`Func::types`].
    pub fn type_index(&self) -> u32 {
        self.index
    }

    /// The types that [`Func::ty`] refers to.
    pub fn types(&self) -> &LinkedTypes {
        &self.types
    }

    pub(crate) fn shared_types(&self) -> Shared<LinkedTypes> {
        self.types.clone()
    }
}
