//! The steps of a plan, executed on an engine.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use canon_async::Error;
use canon_async::canon::{Builtin as CoreBuiltin, lift};
use canon_async::id::{FuncRef, InstanceId, LiftId, MemoryRef, OptsId, ResourceId, TableRef};
use canon_async::spec::PtrType;
use canon_async::state::{Lift as CoreLift, Lower, Options as CoreOptions, StringEncoding as CoreEncoding};

use super::LinkError;
use super::imports::Found;
use super::linker::dtor_type;
use crate::engine::{CoreExtern, Engine, EngineError, ImportArg, Made};
use crate::inspect::builtin_name;
use crate::instance::Func as LinkedFunc;
use crate::intern::Interned;
use crate::layout::{Context, pointer};
use crate::plan::{
    BuiltinKind, CoreFuncType, CoreImport, CoreItem, CoreKind, CoreSignature, CoreType, Func, ModuleRef,
    Options, Plan, Step, StringEncoding,
};
use crate::shared::{LinkedTypes, Shared};
use crate::signature;
use crate::types::Origin;
use crate::val::Val;

const I32: CoreType = CoreType::I32;

/// What the plan's indices stand for before the first step.
#[derive(Clone, Copy)]
pub(super) struct Tables<'p> {
    pub plan: &'p Plan,
    pub types: &'p Shared<LinkedTypes>,
    pub interned: &'p Interned,
    pub instances: &'p [InstanceId],
    pub resources: &'p [ResourceId],
}

/// What the steps have made so far, by the plan's indices.
pub(super) struct Steps<'p, E: Engine> {
    pub(super) e: &'p mut E,
    pub(super) tables: Tables<'p>,
    modules: &'p [E::Module],
    import_modules: Vec<E::Module>,
    import_lifts: Vec<LiftId>,
    pub(super) import_values: Vec<Val>,
    /// The results of the start functions, of those that have one.
    pub(super) starts: Vec<Option<Val>>,
    core_instances: Vec<E::Instance>,
    /// The exports of core instances that were asked for: the engine is asked for each once.
    core_exports: BTreeMap<(u32, &'p str), CoreExtern>,
    options: Vec<Option<OptsId>>,
    lifts: Vec<Option<LiftId>>,
    builtins: Vec<Option<FuncRef>>,
}

impl<'p, E: Engine> Steps<'p, E> {
    pub fn new(
        e: &'p mut E,
        tables: Tables<'p>,
        modules: &'p [E::Module],
        import_lifts: Vec<LiftId>,
    ) -> Self {
        let plan = tables.plan;
        Self {
            e,
            tables,
            modules,
            import_modules: Vec::new(),
            import_lifts,
            import_values: Vec::new(),
            starts: Vec::new(),
            core_instances: Vec::new(),
            core_exports: BTreeMap::new(),
            options: plan.options.iter().map(|_| None).collect(),
            lifts: plan.lifts.iter().map(|_| None).collect(),
            builtins: plan.builtins.iter().map(|_| None).collect(),
        }
    }

    /// Takes the modules that the linker provides.
    pub fn import_modules(&mut self, found: &Found<'_, E>) -> Result<(), LinkError> {
        for index in 0..self.tables.plan.import_modules.len() {
            let module = u32::try_from(index).ok().and_then(|index| found.module(index));
            self.import_modules
                .push(module.ok_or_else(|| LinkError::plan("an import for each module"))?.clone());
        }
        Ok(())
    }

    /// Executes all steps in order.
    pub fn run(&mut self) -> Result<(), LinkError> {
        let plan = self.tables.plan;
        for step in &plan.steps {
            match step {
                Step::InstantiateCore { module, instance, imports } => {
                    self.instantiate_core(*module, *instance, imports)?;
                }
                Step::Destructor { resource, func } => self.destructor(*resource, func)?,
                Step::Options(index) => self.make_options(*index)?,
                Step::Lift(index) => self.make_lift(*index)?,
                Step::Builtin(index) => self.make_builtin(*index)?,
                Step::Start { func, args } => self.start(*func, args)?,
            }
        }
        Ok(())
    }

    /// The start function runs as a task of the component instance, which a trap poisons.
    fn instantiate_core(
        &mut self,
        module: ModuleRef,
        instance: u32,
        imports: &'p [CoreImport],
    ) -> Result<(), LinkError> {
        let module = self.module(module)?;
        let instance = *get(self.tables.instances, instance, "a component instance")?;
        let mut args = Vec::new();
        for import in imports {
            let item = self.core_extern(import.kind, &import.item)?;
            args.push(ImportArg { module: &import.module, field: &import.field, item });
        }
        let what = format!("core instance {}", self.core_instances.len());
        let start = lift::start_enter(self.e, instance)?;
        let (made, result) = match self.e.instantiate(instance, &module, &args) {
            Ok(made) => (Ok(made), Ok(())),
            Err(EngineError::Run(error)) => (Err(EngineError::Run(error)), Err(error)),
            Err(error) => (Err(error), Err(Error::Misuse("the engine refused a core instance"))),
        };
        let left = lift::start_leave(self.e, start, result);
        self.core_instances.push(made.map_err(|error| LinkError::engine(what, error))?);
        left?;
        Ok(())
    }

    fn destructor(&mut self, resource: u32, func: &'p CoreItem) -> Result<(), LinkError> {
        let func = self.core_func(func)?;
        let rep = match self.tables.plan.types.resource(resource).map(|resource| &resource.origin) {
            Some(Origin::Defined { rep, .. }) => pointer(*rep),
            _ => return Err(LinkError::plan("a resource type that the component defines")),
        };
        self.check_type("a destructor", func, &CoreFuncType::new(&[rep], &[]))?;
        let id = *get(self.tables.resources, resource, "a resource")?;
        let ty = dtor_type(self.e)?;
        let store = self.e.store();
        let defined = store.types().resource(id).ok_or_else(|| LinkError::plan("a resource"))?;
        let options = store.add_options(CoreOptions::new(defined.instance))?;
        let lift = store.add_lift(CoreLift { func, ty, options })?;
        store.types_mut().set_dtor(id, Some(lift));
        self.e.made(Made::Destructor(lift, resource));
        Ok(())
    }

    fn make_options(&mut self, index: u32) -> Result<(), LinkError> {
        let plan = self.tables.plan;
        let Options { instance, encoding, memory, realloc, post_return, callback, is_async } =
            get(&plan.options, index, "options")?;
        let memory = memory.as_ref().map(|memory| self.core_memory(memory)).transpose()?;
        let ptr = memory.map_or(PtrType::I32, MemoryRef::ptr_type);
        let realloc = self.opt_func(realloc)?;
        if let Some(realloc) = realloc {
            self.check_type("realloc", realloc, &signature::realloc(ptr))?;
        }
        let callback = self.opt_func(callback)?;
        if let Some(callback) = callback {
            self.check_type("a callback", callback, &CoreFuncType::new(&[I32; 3], &[I32]))?;
        }
        let options = CoreOptions {
            instance: *get(self.tables.instances, *instance, "a component instance")?,
            memory,
            realloc,
            post_return: self.opt_func(post_return)?,
            callback,
            encoding: match encoding {
                StringEncoding::Utf8 => CoreEncoding::Utf8,
                StringEncoding::Utf16 => CoreEncoding::Utf16,
                StringEncoding::Latin1Utf16 => CoreEncoding::Latin1Utf16,
            },
            is_async: *is_async,
        };
        let id = self.e.store().add_options(options)?;
        self.e.made(Made::Options(id, index));
        put(&mut self.options, index, id)
    }

    /// Checks the core signature, which a validated component has, and a damaged plan may not.
    fn make_lift(&mut self, index: u32) -> Result<(), LinkError> {
        let plan = self.tables.plan;
        let lift = get(&plan.lifts, index, "a lifted function")?;
        let given = get(&plan.options, lift.options, "options")?;
        let ty = get(&plan.types.funcs, lift.ty, "a function type")?;
        let context = Context::Lift { callback: given.callback.is_some() };
        let options = self.made_options(lift.options)?;
        let ptr = self.e.store().options(options)?.ptr_type();
        let core = self.tables.types.layouts.func(ty, given.is_async, context, ptr);
        let core = core.map_err(LinkError::Types)?;
        let func = self.core_func(&lift.func)?;
        self.check_type("a lifted function", func, &core)?;
        if let Some(post_return) = &given.post_return {
            let post_return = self.core_func(post_return)?;
            self.check_type("post-return", post_return, &CoreFuncType::new(&core.results, &[]))?;
        }
        let ty = *get(&self.tables.interned.funcs, lift.ty, "a function type")?;
        let id = self.e.store().add_lift(CoreLift { func, ty, options })?;
        self.e.made(Made::Lift(id, index));
        put(&mut self.lifts, index, id)
    }

    fn make_builtin(&mut self, index: u32) -> Result<(), LinkError> {
        let plan = self.tables.plan;
        let builtin = get(&plan.builtins, index, "a built-in")?;
        let ty = get(&plan.core_types, builtin.core_type, "a core function type")?;
        let core = self.core_builtin(&builtin.kind)?;
        self.check_pointers(&builtin.kind, ty)?;
        let func = self.e.builtin(core, ty);
        let func = func.map_err(|error| LinkError::engine(format!("built-in {index}"), error))?;
        put(&mut self.builtins, index, func)
    }

    fn core_builtin(&mut self, kind: &'p BuiltinKind) -> Result<CoreBuiltin, LinkError> {
        Ok(match kind {
            BuiltinKind::Lower { func, options } => {
                let lower = Lower { callee: self.lift_id(*func)?, options: self.made_options(*options)? };
                CoreBuiltin::Lower(self.e.store().add_lower(lower)?)
            }
            BuiltinKind::ResourceNew { resource } => CoreBuiltin::ResourceNew(self.resource(*resource)?),
            BuiltinKind::ResourceDrop { resource } => CoreBuiltin::ResourceDrop(self.resource(*resource)?),
            BuiltinKind::ResourceRep { resource } => CoreBuiltin::ResourceRep(self.resource(*resource)?),
            BuiltinKind::ContextGet { slot } => CoreBuiltin::ContextGet(*slot),
            BuiltinKind::ContextSet { slot } => CoreBuiltin::ContextSet(*slot),
            BuiltinKind::TaskReturn { result, options } => CoreBuiltin::TaskReturn {
                result: self.tables.interned.opt(*result)?,
                options: self.made_options(*options)?,
            },
            BuiltinKind::WaitableSetWait { memory } => {
                CoreBuiltin::WaitableSetWait(self.core_memory(memory)?)
            }
            BuiltinKind::WaitableSetPoll { memory } => {
                CoreBuiltin::WaitableSetPoll(self.core_memory(memory)?)
            }
            BuiltinKind::ThreadNewIndirect { table, start } => {
                CoreBuiltin::ThreadNewIndirect(self.core_table(table)?.with_start(*start))
            }
            BuiltinKind::ErrorContextNew { options } => {
                CoreBuiltin::ErrorContextNew(self.made_options(*options)?)
            }
            BuiltinKind::ErrorContextDebugMessage { options } => {
                CoreBuiltin::ErrorContextDebugMessage(self.made_options(*options)?)
            }
            _ => match plain(kind) {
                Some(builtin) => builtin,
                None => self.copy_builtin(kind)?,
            },
        })
    }

    /// The built-ins of streams and futures.
    fn copy_builtin(&mut self, kind: &'p BuiltinKind) -> Result<CoreBuiltin, LinkError> {
        let ty = |index: &u32| self.tables.interned.type_id(*index);
        Ok(match kind {
            BuiltinKind::StreamNew { stream } => CoreBuiltin::StreamNew(ty(stream)?),
            BuiltinKind::StreamRead { stream, options } => {
                CoreBuiltin::StreamRead(ty(stream)?, self.made_options(*options)?)
            }
            BuiltinKind::StreamWrite { stream, options } => {
                CoreBuiltin::StreamWrite(ty(stream)?, self.made_options(*options)?)
            }
            BuiltinKind::StreamCancelRead { stream, is_async } => {
                CoreBuiltin::StreamCancelRead(ty(stream)?, *is_async)
            }
            BuiltinKind::StreamCancelWrite { stream, is_async } => {
                CoreBuiltin::StreamCancelWrite(ty(stream)?, *is_async)
            }
            BuiltinKind::StreamDropReadable { stream } => CoreBuiltin::StreamDropReadable(ty(stream)?),
            BuiltinKind::StreamDropWritable { stream } => CoreBuiltin::StreamDropWritable(ty(stream)?),
            BuiltinKind::StreamForward { stream } => CoreBuiltin::StreamForward(ty(stream)?),
            BuiltinKind::FutureNew { future } => CoreBuiltin::FutureNew(ty(future)?),
            BuiltinKind::FutureRead { future, options } => {
                CoreBuiltin::FutureRead(ty(future)?, self.made_options(*options)?)
            }
            BuiltinKind::FutureWrite { future, options } => {
                CoreBuiltin::FutureWrite(ty(future)?, self.made_options(*options)?)
            }
            BuiltinKind::FutureCancelRead { future, is_async } => {
                CoreBuiltin::FutureCancelRead(ty(future)?, *is_async)
            }
            BuiltinKind::FutureCancelWrite { future, is_async } => {
                CoreBuiltin::FutureCancelWrite(ty(future)?, *is_async)
            }
            BuiltinKind::FutureDropReadable { future } => CoreBuiltin::FutureDropReadable(ty(future)?),
            BuiltinKind::FutureDropWritable { future } => CoreBuiltin::FutureDropWritable(ty(future)?),
            BuiltinKind::FutureForward { future } => CoreBuiltin::FutureForward(ty(future)?),
            _ => return Err(LinkError::plan("a known built-in")),
        })
    }

    /// A component function, as the host sees it.
    pub fn func(&self, func: Func) -> Result<LinkedFunc, LinkError> {
        let index =
            self.tables.plan.func_type_index(func).ok_or_else(|| LinkError::plan("a component function"))?;
        let id = *get(&self.tables.interned.funcs, index, "a function type")?;
        let func = LinkedFunc::new(self.lift_id(func)?, id, index, self.tables.types);
        func.ok_or_else(|| LinkError::plan("a function type"))
    }

    pub fn module(&self, module: ModuleRef) -> Result<E::Module, LinkError> {
        let found = match module {
            ModuleRef::Inline(index) => self.modules.get(index as usize),
            ModuleRef::Import(index) => self.import_modules.get(index as usize),
        };
        found.cloned().ok_or_else(|| LinkError::plan("a module's index in its table"))
    }

    pub fn resource(&self, index: u32) -> Result<ResourceId, LinkError> {
        get(self.tables.resources, index, "a resource").copied()
    }

    pub(super) fn lift_id(&self, func: Func) -> Result<LiftId, LinkError> {
        match func {
            Func::Lift(index) => get(&self.lifts, index, "a lifted function")?
                .ok_or_else(|| LinkError::plan("a function before its use")),
            Func::Import(index) => get(&self.import_lifts, index, "an imported function").copied(),
        }
    }

    fn made_options(&self, index: u32) -> Result<OptsId, LinkError> {
        get(&self.options, index, "options")?.ok_or_else(|| LinkError::plan("options before their use"))
    }

    fn core_extern(&mut self, kind: CoreKind, item: &'p CoreItem) -> Result<CoreExtern, LinkError> {
        let found = match item {
            CoreItem::Builtin(index) => {
                let func = get(&self.builtins, *index, "a built-in")?;
                CoreExtern::Func(func.ok_or_else(|| LinkError::plan("a built-in before its use"))?)
            }
            CoreItem::Export { instance, name } => self.core_export(*instance, name)?,
        };
        let fits = match found {
            CoreExtern::Func(_) => kind == CoreKind::Func,
            CoreExtern::Memory(_) => kind == CoreKind::Memory,
            CoreExtern::Table(_) => kind == CoreKind::Table,
            CoreExtern::Global(_) => kind == CoreKind::Global,
            CoreExtern::Tag(_) => kind == CoreKind::Tag,
        };
        if fits { Ok(found) } else { Err(LinkError::plan(format!("a core {kind}"))) }
    }

    fn core_export(&mut self, instance: u32, name: &'p str) -> Result<CoreExtern, LinkError> {
        if let Some(known) = self.core_exports.get(&(instance, name)) {
            return Ok(*known);
        }
        let core = *get(&self.core_instances, instance, "a core instance")?;
        let missing = || LinkError::plan(format!("an export \"{name}\" of core instance {instance}"));
        let found = self.e.export(core, name).ok_or_else(missing)?;
        self.core_exports.insert((instance, name), found);
        Ok(found)
    }

    fn core_func(&mut self, item: &'p CoreItem) -> Result<FuncRef, LinkError> {
        match self.core_extern(CoreKind::Func, item)? {
            CoreExtern::Func(func) => Ok(func),
            _ => Err(LinkError::plan("a core func")),
        }
    }

    fn core_memory(&mut self, item: &'p CoreItem) -> Result<MemoryRef, LinkError> {
        match self.core_extern(CoreKind::Memory, item)? {
            CoreExtern::Memory(memory) => Ok(memory),
            _ => Err(LinkError::plan("a core memory")),
        }
    }

    fn core_table(&mut self, item: &'p CoreItem) -> Result<TableRef, LinkError> {
        match self.core_extern(CoreKind::Table, item)? {
            CoreExtern::Table(table) => Ok(table),
            _ => Err(LinkError::plan("a core table")),
        }
    }

    fn opt_func(&mut self, item: &'p Option<CoreItem>) -> Result<Option<FuncRef>, LinkError> {
        item.as_ref().map(|item| self.core_func(item)).transpose()
    }

    /// Checks that the core signature of a built-in has pointers of its memory's type: a module that the host provides may
    /// export another memory than its type says.
    fn check_pointers(&mut self, kind: &'p BuiltinKind, found: &CoreFuncType) -> Result<(), LinkError> {
        let ptr = match (signature::options_of(kind), kind) {
            (Some(options), _) => {
                let options = self.made_options(options)?;
                self.e.store().options(options)?.ptr_type()
            }
            (None, BuiltinKind::WaitableSetWait { memory } | BuiltinKind::WaitableSetPoll { memory }) => {
                self.core_memory(memory)?.ptr_type()
            }
            _ => return Ok(()),
        };
        let Tables { plan, types, .. } = self.tables;
        match signature::of(plan, &types.layouts, kind, ptr).map_err(LinkError::Types)? {
            Some(expected) if expected != *found => Err(LinkError::CoreType {
                what: builtin_name(kind).to_string(),
                expected: expected.to_string(),
                found: found.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn check_type(&mut self, what: &str, func: FuncRef, expected: &CoreFuncType) -> Result<(), LinkError> {
        match self.e.func_type(func) {
            Some(found) if found != CoreSignature::from(expected) => Err(LinkError::CoreType {
                what: what.to_string(),
                expected: expected.to_string(),
                found: found.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

/// The built-ins that name nothing of the store.
fn plain(kind: &BuiltinKind) -> Option<CoreBuiltin> {
    Some(match kind {
        BuiltinKind::BackpressureInc => CoreBuiltin::BackpressureInc,
        BuiltinKind::BackpressureDec => CoreBuiltin::BackpressureDec,
        BuiltinKind::TaskCancel => CoreBuiltin::TaskCancel,
        BuiltinKind::WaitableSetNew => CoreBuiltin::WaitableSetNew,
        BuiltinKind::WaitableSetDrop => CoreBuiltin::WaitableSetDrop,
        BuiltinKind::WaitableJoin => CoreBuiltin::WaitableJoin,
        BuiltinKind::SubtaskCancel { is_async } => CoreBuiltin::SubtaskCancel { is_async: *is_async },
        BuiltinKind::SubtaskDrop => CoreBuiltin::SubtaskDrop,
        BuiltinKind::ThreadIndex => CoreBuiltin::ThreadIndex,
        BuiltinKind::ThreadResumeLater => CoreBuiltin::ThreadResumeLater,
        BuiltinKind::ThreadSuspend => CoreBuiltin::ThreadSuspend,
        BuiltinKind::ThreadYield => CoreBuiltin::ThreadYield,
        BuiltinKind::ThreadSuspendThenResume => CoreBuiltin::ThreadSuspendThenResume,
        BuiltinKind::ThreadYieldThenResume => CoreBuiltin::ThreadYieldThenResume,
        BuiltinKind::ThreadSuspendThenPromote => CoreBuiltin::ThreadSuspendThenPromote,
        BuiltinKind::ThreadYieldThenPromote => CoreBuiltin::ThreadYieldThenPromote,
        BuiltinKind::ErrorContextDrop => CoreBuiltin::ErrorContextDrop,
        _ => return None,
    })
}

fn get<'a, T>(table: &'a [T], index: u32, what: &str) -> Result<&'a T, LinkError> {
    table.get(index as usize).ok_or_else(|| LinkError::plan(format!("{what} with index {index}")))
}

fn put<T>(table: &mut [Option<T>], index: u32, value: T) -> Result<(), LinkError> {
    let slot =
        table.get_mut(index as usize).ok_or_else(|| LinkError::plan(format!("a table entry {index}")))?;
    *slot = Some(value);
    Ok(())
}
