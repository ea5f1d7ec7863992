//! What an interpreter gives beyond [`Embedding`]: compiling and instantiating core modules, and making
//! core functions of built-ins and of host functions.

use alloc::string::String;
use core::fmt;

use canon_async::canon::Builtin;
use canon_async::id::{FuncRef, InstanceId, LiftId, MemoryRef, OptsId, TableRef};
use canon_async::{Embedding, Error};

use crate::host::{HostCalls, HostSig};
use crate::plan::{CoreFuncType, CoreSignature, ModuleType};

/// An interpreter that components can be linked on.
///
/// The engine keeps tables of core functions, memories and tables; [`FuncRef`], [`MemoryRef`] and
/// [`TableRef`] are indices into them, and so are the numbers of [`CoreExtern::Global`] and
/// [`CoreExtern::Tag`]. What it hands out here it accepts later, here and in [`Embedding`]; entries live as
/// long as the store. A memory has one index, however it is reached (instances may export what they import),
/// since `task.return` compares memories; for the rest it does not matter. A memory with 64-bit addresses says so in its
/// reference ([`MemoryRef::with_addresses`]).
///
/// **Order.** [`compile`](crate::compile) calls `compile` for each module of a plan once, and
/// [`instantiate_compiled`](crate::instantiate_compiled) calls `host_func` for each host function that is
/// imported, and then, step by step, `builtin`, `instantiate` and `export`, the last once for an export. `instantiate` runs guest code (the start function);
/// built-ins that it reaches may be any that were made before.
///
/// **The host** is an instance like any other, with a memory of its own that is no linear memory but a
/// byte buffer ([`HostMemory`](crate::HostMemory)). The engine answers [`Embedding::memory`] of
/// [`Engine::host_memory`] with that buffer's bytes, and [`Embedding::call_leaf`] of
/// [`Engine::host_realloc`] with [`HostMemory::realloc`](crate::HostMemory::realloc). [`Embedding::call`]
/// of a function that [`Engine::host_func`] made decodes its arguments, calls the host's closure and
/// encodes the result; see [`HostSig`].
pub trait Engine: Embedding {
    /// A compiled core module.
    type Module: Clone;
    /// A core instance.
    type Instance: Copy;
    /// A host function as the engine calls it: a closure behind a pointer, as a rule.
    type HostFunc: Clone;

    /// Compiles a core module. The bytes come from a validated component or from a plan; an engine that
    /// can't trust the plan validates again.
    ///
    /// # Errors
    /// Text that says why the engine can't take the module.
    fn compile(&mut self, wasm: &[u8]) -> Result<Self::Module, EngineError>;

    /// Makes a core instance, which is part of this component instance, and runs its start function.
    ///
    /// The imports are in the order of the module's import section, each with its two names. One that the
    /// engine finds to be of another type than the module says is an error, not a trap.
    ///
    /// # Errors
    /// A trap of the start function, or of the initialisation of memories and tables, as
    /// [`EngineError::Run`]; everything else as text.
    fn instantiate(
        &mut self,
        instance: InstanceId,
        module: &Self::Module,
        imports: &[ImportArg<'_>],
    ) -> Result<Self::Instance, EngineError>;

    /// An export of a core instance; `None` where there is none of that name.
    fn export(&mut self, instance: Self::Instance, name: &str) -> Option<CoreExtern>;

    /// Makes a core function of this type that runs a built-in on the calling thread.
    ///
    /// The function gives its arguments to [`canon_async::canon`]'s function for it. On
    /// [`Then::Suspend`](canon_async::Then::Suspend) it sets the calling frames aside.
    ///
    /// # Errors
    /// Text that says why the engine can't.
    fn builtin(&mut self, builtin: Builtin, ty: &CoreFuncType) -> Result<FuncRef, EngineError>;

    /// Makes a host function that [`Embedding::call`] accepts. No core code ever calls it: it is the core
    /// function of a lift in the host's instance.
    ///
    /// `call` gives it flat arguments (`flatten_functype` for `lift`) and gets its flat result: nothing,
    /// one value, or the address in [`Engine::host_memory`] where the results are.
    ///
    /// # Errors
    /// Text that says why the engine can't.
    fn host_func(&mut self, func: &Self::HostFunc, sig: HostSig) -> Result<FuncRef, EngineError>;

    /// The host's memory, with 32-bit addresses.
    fn host_memory(&mut self) -> MemoryRef;

    /// The function that allocates in the host's memory: `(i32 i32 i32 i32) -> i32`.
    fn host_realloc(&mut self) -> FuncRef;

    /// The calls that the host has under way: those that [`Embedding::host_args`] and [`Embedding::host_result`] hand over to.
    /// 🪙 Start functions are among them.
    fn host_calls(&mut self) -> &mut HostCalls;

    /// The type of a core function, for the checks at link time; `None` where the engine can't tell, and then
    /// there are none.
    fn func_type(&mut self, func: FuncRef) -> Option<CoreSignature> {
        let _ = func;
        None
    }

    /// What a compiled module imports and exports, for the checks at link time; `None` where the engine can't
    /// tell, and then there are none. What `expected` does not name need not be looked at: exports that it
    /// has not, and imports after the first that it has not. So a module costs no more than its type says.
    fn module_type(&mut self, module: &Self::Module, expected: &ModuleType) -> Option<ModuleType> {
        let _ = (module, expected);
        None
    }

    /// Hears what was made for an entry of the plan that is being linked, once each, before anything of it
    /// runs. For an engine that says where guests trap; by default nothing.
    fn made(&mut self, what: Made) {
        let _ = what;
    }

    /// The text of the last trap that the engine itself raised
    /// ([`Trap::Engine`](canon_async::Trap::Engine)), if it keeps one.
    fn last_trap_text(&self) -> Option<&str> {
        None
    }
}

/// What was made for an entry of a plan: its id, and the entry's index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Made {
    /// A component instance: of [`Plan::instances`](crate::Plan::instances). The first is the root's.
    Instance(InstanceId, u32),
    /// A function that a component lifts: of [`Plan::lifts`](crate::Plan::lifts).
    Lift(LiftId, u32),
    /// A function of the host: of [`Plan::import_funcs`](crate::Plan::import_funcs).
    Host(LiftId, u32),
    /// The destructor of a resource: of [`TypeTable::resources`](crate::types::TypeTable::resources).
    Destructor(LiftId, u32),
    /// Options: of [`Plan::options`](crate::Plan::options).
    Options(OptsId, u32),
}

/// One import of a core module, with what it gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImportArg<'a> {
    /// The first of the import's two names.
    pub module: &'a str,
    /// The second.
    pub field: &'a str,
    /// What it gets.
    pub item: CoreExtern,
}

/// Something that core modules import and export.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CoreExtern {
    /// A function.
    Func(FuncRef),
    /// A memory.
    Memory(MemoryRef),
    /// A table.
    Table(TableRef),
    /// A global, by the engine's number.
    Global(u32),
    /// A tag, by the engine's number.
    Tag(u32),
}

/// Why the engine could not do what it was asked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EngineError {
    /// Running something failed: a trap, as a rule.
    Run(Error),
    /// The engine's own text.
    Text(String),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(error) => error.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Run(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        Self::Run(error)
    }
}
