//! The link plan: a component with everything nested in it inlined, as flat data.
//!
//! Spec: Component Model Explainer, "Instance Definitions" .. "Import and Export Definitions".
//!
//! A component is a program that makes instances: it instantiates modules and other components,
//! passes things from one to the next, and exports some of them. All of it is known before anything
//! runs, so the translation runs that program once, on the compiler's side, and what is left is a
//! [`Plan`]: tables, and a list of [`Step`]s that refer to them by index. Each *instantiation* of a
//! nested component has its own entry in [`Plan::instances`] and its own resources; its core modules
//! are stored once, however often they are instantiated.
//!
//! A plan is plain data: no references, no engine, no store. It may come from a file ([`Plan::to_bytes`],
//! [`Plan::from_bytes`]), so nothing that reads it trusts its indices.
//!
//! | module | what |
//! |---|---|
//! | `builtin` | the canonical built-ins with their immediates |
//! | `module_type` | what core modules import and export |
//! | `format` | a plan as bytes |
//! | `read` | its tables out of bytes, within bounds |
//! | `check` | what the linker may rely on |

mod builtin;
mod check;
mod error;
mod format;
mod module_type;
mod read;
mod text;
mod wat;

pub use builtin::{Builtin, BuiltinKind};
pub use check::{MAX_CORE_FUNCTIONS, MAX_CORE_ITEMS, MAX_CORE_LOCALS, MAX_CORE_OPERANDS};
pub use error::PlanError;
pub use format::{FORMAT, MAGIC};
pub(crate) use module_type::group_of;
pub use module_type::{
    CoreAbstract, CoreComposite, CoreDef, CoreField, CoreGlobal, CoreHeap, CoreItemType, CoreLimits,
    CoreMemory, CoreRef, CoreSignature, CoreStorage, CoreTable, CoreTypes, CoreValType, MAX_SUPERTYPES,
    ModuleType,
};

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::types::{FuncType, TypeTable, ValType};

/// How deep imports and exports may nest: instances in instances. Whoever walks them recurses once a level.
pub const MAX_NESTING: u32 = 32;

/// How many bytes of a name [`PlanNames`] keeps.
pub const MAX_NAME: usize = 128;

/// The beginning of a name: as much as [`PlanNames`] keeps.
pub fn cut_name(name: &str) -> &str {
    let mut ends = (0..=MAX_NAME.min(name.len())).rev();
    ends.find_map(|end| name.get(..end)).unwrap_or_default()
}

/// A component, flattened. See the [module](self).
///
/// What serde makes of it has no core modules, and is not checked: [`Plan::to_bytes`] and [`Plan::from_bytes`] see to
/// both.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The component's name, from its `name` section.
    pub name: Option<String>,
    /// Value types, function types and resources.
    pub types: TypeTable,
    /// The component instances; the root is the first, and a parent comes before its children.
    pub instances: Vec<PlanInstance>,
    /// The core modules that the component contains.
    #[serde(skip)]
    pub modules: Vec<Module>,
    /// Core function types, without duplicates.
    pub core_types: Vec<CoreFuncType>,
    /// What the root imports, as written.
    pub imports: Vec<Import>,
    /// The functions among what the root imports, at any depth.
    pub import_funcs: Vec<ImportFunc>,
    /// The core modules among what the root imports, at any depth.
    pub import_modules: Vec<ImportModule>,
    /// 🪙 The values among what the root imports, at any depth.
    pub import_values: Vec<ImportValue>,
    /// Sets of canonical options, without duplicates.
    pub options: Vec<Options>,
    /// The `canon lift` definitions that were executed.
    pub lifts: Vec<Lift>,
    /// The other canonical definitions, each of which makes a core function; without duplicates.
    pub builtins: Vec<Builtin>,
    /// What there is to do, in this order.
    pub steps: Vec<Step>,
    /// What the root exports, as written.
    pub exports: Vec<Export>,
    /// What things are called, for messages. Nothing is looked up by these names, and a plan without them
    /// does the same.
    pub names: PlanNames,
}

/// Names of what a component has inside, each of at most [`MAX_NAME`] bytes. They come from the component and
/// are not trusted: two things may have the same name.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanNames {
    /// For each of [`Plan::instances`], or the first of them: what its parent calls it, or else its
    /// component's own name.
    pub instances: Vec<Option<String>>,
    /// For each of [`Plan::lifts`], or the first of them: what its component exports it as: `name`, or
    /// `instance#name`.
    pub lifts: Vec<Option<String>>,
}

/// A component instance: the spec's `ComponentInstance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanInstance {
    /// The instance of the component that instantiates this one; `None` for the root.
    pub parent: Option<u32>,
}

/// A core module that the component contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The module's binary; borrowed where it lives for ever, as in flash: [`Plan::from_static`].
    pub bytes: Cow<'static, [u8]>,
}

/// One thing to do. Indices are into the tables of the same [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Step {
    /// Instantiate a core module, which makes the next core instance, from 0.
    InstantiateCore {
        /// The module.
        module: ModuleRef,
        /// The component instance in which the module's start function runs.
        instance: u32,
        /// What it imports, in the order of its import section.
        imports: Vec<CoreImport>,
    },
    /// From now on the resource has this destructor.
    Destructor {
        /// The resource.
        resource: u32,
        /// A core function of the representation: `(i32) -> ()`, or 🐘 `(i64) -> ()`.
        func: CoreItem,
    },
    /// Everything that these options name is there.
    Options(u32),
    /// Make the component function that this entry of [`Plan::lifts`] describes.
    Lift(u32),
    /// Make the core function that this entry of [`Plan::builtins`] describes.
    Builtin(u32),
    /// 🪙 Call a component function. Its result, if it has one, is the value [`Value::Start`] of this step, numbered from 0.
    Start {
        /// The function.
        func: Func,
        /// Its arguments.
        args: Vec<Value>,
    },
}

/// 🪙 A value that is known when the component is instantiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// An entry of [`Plan::import_values`].
    Import(u32),
    /// The result of a [`Step::Start`].
    Start(u32),
}

/// A core module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ModuleRef {
    /// An entry of [`Plan::modules`].
    Inline(u32),
    /// An entry of [`Plan::import_modules`].
    Import(u32),
}

/// An import of a core module with what it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreImport {
    /// The first of the import's two names.
    pub module: String,
    /// The second.
    pub field: String,
    /// What it is.
    pub kind: CoreKind,
    /// What it gets.
    pub item: CoreItem,
}

/// What a core import or export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is core wasm's notion of that name")]
#[non_exhaustive]
pub enum CoreKind {
    Func,
    Table,
    Memory,
    Global,
    Tag,
}

/// Something that a core instance exports, or a core function made by a canonical definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CoreItem {
    /// An export of a core instance.
    Export {
        /// The core instance, numbered by [`Step::InstantiateCore`].
        instance: u32,
        /// The export's name.
        name: String,
    },
    /// A core function: an entry of [`Plan::builtins`].
    Builtin(u32),
}

/// A core value type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is core wasm's type of that name")]
pub enum CoreType {
    I32,
    I64,
    F32,
    F64,
}

/// A core function type: what `flatten_functype` gives, and the built-ins' own signatures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct CoreFuncType {
    /// The parameters.
    pub params: Vec<CoreType>,
    /// The results; a canonical definition has at most one.
    pub results: Vec<CoreType>,
}

/// How strings are encoded in a guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the spec's encoding of that name")]
pub enum StringEncoding {
    #[default]
    Utf8,
    Utf16,
    Latin1Utf16,
}

/// `canonopt*`, in one component instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Options {
    /// The component instance that the definition stands in.
    pub instance: u32,
    /// `string-encoding`.
    pub encoding: StringEncoding,
    /// `memory`.
    pub memory: Option<CoreItem>,
    /// `realloc`.
    pub realloc: Option<CoreItem>,
    /// `post-return`.
    pub post_return: Option<CoreItem>,
    /// `callback`.
    pub callback: Option<CoreItem>,
    /// `async`.
    pub is_async: bool,
}

/// `canon lift`: a component function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift {
    /// The core function.
    pub func: CoreItem,
    /// Its component function type.
    pub ty: u32,
    /// Its options.
    pub options: u32,
}

/// A component function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Func {
    /// An entry of [`Plan::lifts`].
    Lift(u32),
    /// An entry of [`Plan::import_funcs`].
    Import(u32),
}

/// Something the root imports, or an export of an instance that it imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The name, as written.
    pub name: String,
    /// What is said about it besides.
    pub attributes: Attributes,
    /// What it is.
    pub item: ImportItem,
}

/// What the definition of an import or export says besides its name. It tells hosts how to supply or use it, and changes
/// no type.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attributes {
    /// 🏷️ The interface that an instance implements, where its name does not say it.
    pub implements: Option<String>,
    /// 🏷️ What it is called outside the Component Model: a URL, the name of a database.
    pub external_id: Option<String>,
    /// 🔗 What was cut off the version of the interface, to make the name canonical: `.6` of `a:b/c@0.2.6`.
    pub version_suffix: Option<String>,
}

/// What an [`Import`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ImportItem {
    /// A function: an entry of [`Plan::import_funcs`].
    Func(u32),
    /// An instance, with what is taken from it.
    Instance(Vec<Import>),
    /// A resource type: an entry of [`TypeTable::resources`], which names this import's path unless it is
    /// one that was imported before (`(eq ..)`), and then nothing need be provided.
    Resource(u32),
    /// A value type, which the root knows already: there is nothing to provide.
    Type(ValType),
    /// A type of a function, an instance or a component: there is nothing to provide.
    OtherType,
    /// A core module: an entry of [`Plan::import_modules`].
    Module(u32),
    /// 🪙 A value: an entry of [`Plan::import_values`].
    Value(u32),
    /// A component. Nothing can provide one.
    Component,
}

/// A function that the root imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFunc {
    /// Where: `name`, or `instance#name`.
    pub path: String,
    /// Its type: an entry of [`TypeTable::funcs`].
    pub ty: u32,
}

/// 🪙 A value that the root imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportValue {
    /// Where: `name`, or `instance#name`.
    pub path: String,
    /// Its type.
    pub ty: ValType,
}

/// A core module that the root imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportModule {
    /// Where: `name`, or `instance#name`.
    pub path: String,
    /// What the module imports at most, and exports at least.
    pub ty: ModuleType,
}

/// Something the root exports, or an export of an instance that it exports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The name, as written.
    pub name: String,
    /// What is said about it besides.
    pub attributes: Attributes,
    /// What it is.
    pub item: ExportItem,
}

/// What an [`Export`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ExportItem {
    /// A function.
    Func(Func),
    /// An instance.
    Instance(Vec<Export>),
    /// A resource type.
    Resource(u32),
    /// A value type.
    Type(ValType),
    /// A type of a function, an instance or a component.
    OtherType,
    /// A core module.
    Module(ModuleRef),
    /// 🪙 A value, with its type.
    Value(Value, ValType),
    /// A component. It can't be used from outside.
    Component,
}

impl Plan {
    /// The index of a component function's type in [`TypeTable::funcs`]; `None` if there is no such function.
    pub fn func_type_index(&self, func: Func) -> Option<u32> {
        match func {
            Func::Lift(index) => Some(self.lifts.get(index as usize)?.ty),
            Func::Import(index) => Some(self.import_funcs.get(index as usize)?.ty),
        }
    }

    /// The name of a component instance, for messages: see [`PlanNames::instances`].
    pub fn instance_name(&self, index: u32) -> Option<&str> {
        self.names.instances.get(index as usize)?.as_deref()
    }

    /// The name of a lifted function, for messages: see [`PlanNames::lifts`].
    pub fn lift_name(&self, index: u32) -> Option<&str> {
        self.names.lifts.get(index as usize)?.as_deref()
    }

    /// A component function's type; `None` if there is no such function.
    pub fn func_type(&self, func: Func) -> Option<&FuncType> {
        self.types.funcs.get(self.func_type_index(func)? as usize)
    }
}

impl CoreFuncType {
    /// A type from slices.
    pub fn new(params: &[CoreType], results: &[CoreType]) -> Self {
        Self { params: params.to_vec(), results: results.to_vec() }
    }
}
