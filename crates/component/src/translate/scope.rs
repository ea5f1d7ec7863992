//! Index spaces that hold the things themselves.
//!
//! One [`Scope`] for each instantiation of a component, and one for each evaluation of an instance or
//! component type. Scopes are kept to the end, in an arena, since definitions refer to those around them.
//! Index spaces only grow, and a definition is valid only where what it refers to came before it; so a
//! nested component can name its surroundings by the scope's number, and need not copy them.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use wasmparser::{
    ComponentExternName, ComponentTypeDeclaration, InstanceTypeDeclaration, ModuleTypeDeclaration,
};

use crate::plan::{CoreItem, CoreKind, Func, ModuleRef, Value};
use crate::types::ValType;

/// The number of a [`Scope`].
pub(super) type ScopeId = usize;
/// The number of an [`InstanceData`].
pub(super) type InstanceKey = usize;

/// The index spaces of one instantiation, or of one type.
pub(super) struct Scope<'t, 'a> {
    /// The scope around it, for outer aliases.
    pub parent: Option<ScopeId>,
    /// The component instance of the plan; for a type, of the component that it stands in.
    pub instance: u32,
    /// The component that it is an instantiation of; `None` of a type.
    pub component: Option<usize>,
    /// How many scopes were being executed around it.
    pub depth: u32,
    pub core_funcs: Vec<CoreItem>,
    pub core_tables: Vec<CoreItem>,
    pub core_memories: Vec<CoreItem>,
    pub core_globals: Vec<CoreItem>,
    pub core_tags: Vec<CoreItem>,
    pub core_types: Vec<CoreTypeItem<'t, 'a>>,
    pub core_modules: Vec<ModuleRef>,
    pub core_instances: Vec<CoreInstance<'a>>,
    pub funcs: Vec<Func>,
    pub values: Vec<ValueItem>,
    pub types: Vec<TypeItem<'t, 'a>>,
    pub components: Vec<ComponentItem<'t, 'a>>,
    pub instances: Vec<InstanceKey>,
}

/// What an index of the core type space stands for.
#[derive(Clone, Copy)]
pub(super) enum CoreTypeItem<'t, 'a> {
    Module(&'t [ModuleTypeDeclaration<'a>]),
    /// An entry of [`Inliner::core_types`](super::inline::Inliner::core_types).
    Def(u32),
}

/// What an index of the core instance space stands for.
#[derive(Clone)]
pub(super) enum CoreInstance<'a> {
    /// A core instance of the plan.
    Made(u32),
    /// Things from here and there, put together under names.
    Bag(Rc<BTreeMap<&'a str, (CoreKind, CoreItem)>>),
}

/// What an index of the type space stands for.
#[derive(Clone, Copy)]
pub(super) enum TypeItem<'t, 'a> {
    Value(ValType),
    Func(u32),
    Resource(u32),
    Instance(InstanceType<'t, 'a>),
    Component(ComponentType<'t, 'a>),
}

/// An instance type with its surroundings: evaluated where something is bound to it.
#[derive(Clone, Copy)]
pub(super) struct InstanceType<'t, 'a> {
    pub decls: &'t [InstanceTypeDeclaration<'a>],
    pub scope: ScopeId,
}

/// A component type with its surroundings.
#[derive(Clone, Copy)]
pub(super) struct ComponentType<'t, 'a> {
    pub decls: &'t [ComponentTypeDeclaration<'a>],
    pub scope: ScopeId,
}

/// What an index of the component space stands for.
#[derive(Clone, Copy)]
pub(super) struct ComponentItem<'t, 'a> {
    /// The component with its surroundings; `None` where the root imports it.
    pub inline: Option<(usize, ScopeId)>,
    /// The type that it was last seen as: it may export less than the component.
    pub seen_as: Option<ComponentType<'t, 'a>>,
}

/// 🪙 What an index of the value space stands for.
#[derive(Clone, Copy)]
pub(super) struct ValueItem {
    pub value: Value,
    pub ty: ValType,
}

/// An instance.
#[derive(Default)]
pub(super) struct InstanceData<'t, 'a> {
    /// In the order of definition.
    pub exports: Vec<NamedItem<'t, 'a>>,
    pub by_name: BTreeMap<&'a str, Item<'t, 'a>>,
}

/// An export of an instance.
#[derive(Clone, Copy)]
pub(super) struct NamedItem<'t, 'a> {
    /// With what is said about it besides.
    pub name: ComponentExternName<'a>,
    pub item: Item<'t, 'a>,
}

/// Something that components import and export.
#[derive(Clone, Copy)]
pub(super) enum Item<'t, 'a> {
    Func(Func),
    Value(ValueItem),
    Type(TypeItem<'t, 'a>),
    Instance(InstanceKey),
    Component(ComponentItem<'t, 'a>),
    Module(ModuleRef),
}

impl<'t, 'a> Scope<'t, 'a> {
    pub fn new(parent: Option<ScopeId>, instance: u32, depth: u32) -> Self {
        Self {
            parent,
            instance,
            component: None,
            depth,
            core_funcs: Vec::new(),
            core_tables: Vec::new(),
            core_memories: Vec::new(),
            core_globals: Vec::new(),
            core_tags: Vec::new(),
            core_types: Vec::new(),
            core_modules: Vec::new(),
            core_instances: Vec::new(),
            funcs: Vec::new(),
            values: Vec::new(),
            types: Vec::new(),
            components: Vec::new(),
            instances: Vec::new(),
        }
    }

    /// The index space of a core sort.
    pub fn core(&self, kind: CoreKind) -> &Vec<CoreItem> {
        match kind {
            CoreKind::Func => &self.core_funcs,
            CoreKind::Table => &self.core_tables,
            CoreKind::Memory => &self.core_memories,
            CoreKind::Global => &self.core_globals,
            CoreKind::Tag => &self.core_tags,
        }
    }

    /// The index space of a core sort, to add to.
    pub fn core_mut(&mut self, kind: CoreKind) -> &mut Vec<CoreItem> {
        match kind {
            CoreKind::Func => &mut self.core_funcs,
            CoreKind::Table => &mut self.core_tables,
            CoreKind::Memory => &mut self.core_memories,
            CoreKind::Global => &mut self.core_globals,
            CoreKind::Tag => &mut self.core_tags,
        }
    }

    /// Adds something to the index space of its sort.
    pub fn push(&mut self, item: Item<'t, 'a>) {
        match item {
            Item::Func(func) => self.funcs.push(func),
            Item::Value(value) => self.values.push(value),
            Item::Type(ty) => self.types.push(ty),
            Item::Instance(instance) => self.instances.push(instance),
            Item::Component(component) => self.components.push(component),
            Item::Module(module) => self.core_modules.push(module),
        }
    }
}

impl<'t, 'a> InstanceData<'t, 'a> {
    pub fn add(&mut self, export: NamedItem<'t, 'a>) {
        self.exports.push(export);
        self.by_name.insert(export.name.name, export.item);
    }
}
