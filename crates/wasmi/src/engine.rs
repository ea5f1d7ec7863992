//! What components are linked on: [`canon_async_component::Engine`] for wasmi.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use canon_async::canon::Builtin;
use canon_async::id::{FuncRef, InstanceId, MemoryRef, TableRef};
use canon_async::spec::PtrType;
use canon_async::{Error, Resource};
use canon_async_component::plan::{CoreFuncType, CoreSignature, CoreType, ModuleType};
use canon_async_component::{CoreExtern, Engine, EngineError, HostCalls, HostSig, ImportArg, Made};
use wasmi::errors::{ErrorKind, InstantiationError, MemoryError, TableError};
use wasmi::{AsContext as _, Extern, ExternType, Instance, Memory, Module, TrapCode};

use crate::core_types;
use crate::embedding::{Carried, Wx};
use crate::linker::HostFunc;
use crate::places::Exports;
use crate::shim;
use crate::start;
use crate::state::{CoreFunc, HOST_MEMORY, HOST_REALLOC, HostEntry, State, WasmFunc};

impl<T> Engine for Wx<'_, T> {
    type Module = Module;
    type Instance = Instance;
    type HostFunc = HostFunc<T>;

    fn compile(&mut self, wasm: &[u8]) -> Result<Module, EngineError> {
        if let Some(module) = self.state().linking.as_ref().and_then(|component| component.compiled(wasm)) {
            return Ok(module.clone());
        }
        start::compile(&self.state().engine, wasm).map_err(EngineError::Text)
    }

    fn instantiate(
        &mut self,
        instance: InstanceId,
        module: &Module,
        imports: &[ImportArg<'_>],
    ) -> Result<Instance, EngineError> {
        // A component may have thousands of core instances.
        self.look()?;
        let mut given = BTreeMap::new();
        for import in imports {
            let item = self.extern_of(import.item).ok_or_else(|| refused(import.module, import.field))?;
            given.insert((import.module, import.field, kind(&item.ty(&self.0))), item);
        }
        // By name: wasmi has a module's imports in an order of its own, and a module that the host provides
        // may import less than its type says. Equal names get equal things.
        let wanted = module.imports().map(|import| {
            let name = (import.module(), import.name(), kind(import.ty()));
            given.get(&name).copied().ok_or_else(|| refused(import.module(), import.name()))
        });
        let externs = wanted.collect::<Result<Vec<_>, _>>()?;
        // For its start function.
        let payer = self.state().core.instance(instance).ok().map(|instance| instance.root());
        self.state_mut().take_instance(payer, module)?;
        self.state_mut().take_stack(payer)?;
        let state = self.state_mut();
        let plain = core::mem::replace(&mut state.plain, true);
        let outer = core::mem::replace(&mut state.instantiating, payer);
        let account = self.account(payer);
        let made = Instance::new(&mut self.0, module, &externs);
        self.account(account);
        let state = self.state_mut();
        (state.plain, state.instantiating) = (plain, outer);
        state.free_stack(payer);
        let made = made.map_err(|error| self.instantiation_error(&error));
        let started = made.and_then(|made| self.run_start(made).map(|()| made));
        if let Err(EngineError::Run(error)) = &started {
            let State { trace, core, .. } = self.state_mut();
            trace.start_failed(core, instance, *error);
        }
        let made = started?;
        if self.state().places.is_some() {
            self.add_place(instance, made);
        }
        Ok(made)
    }

    fn export(&mut self, instance: Instance, name: &str) -> Option<CoreExtern> {
        match instance.get_export(&self.0, name)? {
            Extern::Func(func) => self.add_func(func).ok().map(CoreExtern::Func),
            Extern::Memory(memory) => self.add_memory(memory).map(CoreExtern::Memory),
            Extern::Table(table) => {
                let tables = &mut self.state_mut().tables;
                let index = u32::try_from(tables.len()).ok()?;
                tables.push(table);
                Some(CoreExtern::Table(TableRef::from_index(index)))
            }
            Extern::Global(global) => {
                let globals = &mut self.state_mut().globals;
                let index = u32::try_from(globals.len()).ok()?;
                globals.push(global);
                Some(CoreExtern::Global(index))
            }
        }
    }

    fn builtin(&mut self, builtin: Builtin, ty: &CoreFuncType) -> Result<FuncRef, EngineError> {
        self.look()?;
        let func = shim::function(self, builtin, ty)?;
        self.add_func(func)
    }

    fn host_func(&mut self, func: &HostFunc<T>, sig: HostSig) -> Result<FuncRef, EngineError> {
        let entry = CoreFunc::Host(Arc::new(HostEntry { func: func.clone(), sig: Arc::new(sig) }));
        self.state_mut().add_func(entry).ok_or_else(too_many)
    }

    fn host_memory(&mut self) -> MemoryRef {
        HOST_MEMORY
    }

    fn host_realloc(&mut self) -> FuncRef {
        HOST_REALLOC
    }

    fn func_type(&mut self, func: FuncRef) -> Option<CoreSignature> {
        match self.state().funcs.get(func.index())? {
            CoreFunc::Wasm(WasmFunc { ty: Some(ty), .. }) => Some(ty.into()),
            CoreFunc::Wasm(entry) => Some(core_types::signature(&entry.func.ty(&self.0))),
            CoreFunc::HostRealloc => {
                let ty = CoreFuncType::new(&[CoreType::I32; 4], &[CoreType::I32]);
                Some((&ty).into())
            }
            CoreFunc::Host(_) => None,
        }
    }

    fn host_calls(&mut self) -> &mut HostCalls {
        &mut self.state_mut().host_calls
    }

    fn module_type(&mut self, module: &Module, expected: &ModuleType) -> Option<ModuleType> {
        Some(core_types::module_type(module, expected))
    }

    fn made(&mut self, what: Made) {
        self.state_mut().trace.made(what);
    }

    fn last_trap_text(&self) -> Option<&str> {
        self.state().trap_text.as_deref()
    }
}

fn refused(module: &str, field: &str) -> EngineError {
    EngineError::Text(format!("import \"{module}\" \"{field}\": there is nothing that fits"))
}

/// Functions, tables, memories and globals may have the same name.
fn kind(ty: &ExternType) -> u8 {
    match ty {
        ExternType::Func(_) => 0,
        ExternType::Table(_) => 1,
        ExternType::Memory(_) => 2,
        ExternType::Global(_) => 3,
    }
}

fn too_many() -> EngineError {
    EngineError::Text("too many core functions".to_string())
}

impl<T> Wx<'_, T> {
    fn add_func(&mut self, func: wasmi::Func) -> Result<FuncRef, EngineError> {
        let ty = core_types::numbers(&func.ty(&self.0));
        let entry = WasmFunc {
            func,
            #[cfg(feature = "std")]
            typed: ty.as_ref().and_then(|ty| crate::typed::Typed::new(&self.0, func, ty)),
            ty,
        };
        self.state_mut().add_func(CoreFunc::Wasm(entry)).ok_or_else(too_many)
    }

    /// A function of numbers, and its type.
    pub(crate) fn add_number_func(&mut self, func: wasmi::Func) -> Result<(FuncRef, CoreFuncType), Error> {
        const NO_NUMBER: Error = Error::Misuse("a thread's function takes numbers, and gives one or none");
        let ty = core_types::numbers(&func.ty(&self.0)).ok_or(NO_NUMBER)?;
        let func = self.add_func(func).map_err(|_| Error::capacity(Resource::Functions))?;
        Ok((func, ty))
    }

    /// Numbers a core instance, whose functions threads of the host may call.
    fn add_place(&mut self, instance: InstanceId, made: Instance) {
        let exports = made.exports(self.0.as_context());
        let exports = exports.filter(|export| export.name() != start::NAME);
        let exports: Exports = exports.map(|export| (export.name().into(), export.into_extern())).collect();
        if let Some(places) = &mut self.state_mut().places {
            places.add(instance, exports);
        }
    }

    /// The same reference for the same memory: the core compares them.
    fn add_memory(&mut self, memory: Memory) -> Option<MemoryRef> {
        // wasmi's handles can't be compared, but by what they look like.
        let name = format!("{memory:?}");
        let state = self.state_mut();
        let next = state.memories.len();
        let index = *state.memory_names.entry(name).or_insert(next);
        if index == next {
            state.memories.push(memory);
        }
        let addresses = if memory.ty(&self.0).is_64() { PtrType::I64 } else { PtrType::I32 };
        let index = i32::try_from(index).ok()?.checked_add(1)?;
        Some(MemoryRef::from_index(index.unsigned_abs()).with_addresses(addresses))
    }

    fn extern_of(&self, item: CoreExtern) -> Option<Extern> {
        let state = self.state();
        match item {
            CoreExtern::Func(func) => match state.funcs.get(func.index())? {
                CoreFunc::Wasm(entry) => Some(Extern::Func(entry.func)),
                CoreFunc::Host(_) | CoreFunc::HostRealloc => None,
            },
            CoreExtern::Memory(memory) => state.wasm_memory(memory).map(Extern::Memory),
            CoreExtern::Table(table) => state.tables.get(table.index()).copied().map(Extern::Table),
            CoreExtern::Global(global) => state.globals.get(global as usize).copied().map(Extern::Global),
            CoreExtern::Tag(_) => None,
        }
    }

    /// What fails while the start function runs, or while memories and tables are filled, is a trap; what
    /// fails before is not.
    fn instantiation_error(&mut self, error: &wasmi::Error) -> EngineError {
        if let ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) = error.kind() {
            let code = TrapCode::TableOutOfBounds;
            return self.trap(u32::from(u8::from(code)), Cow::Borrowed(code.trap_message())).into();
        }
        if let ErrorKind::Instantiation(
            InstantiationError::FailedToInstantiateMemory(MemoryError::ResourceLimiterDeniedAllocation)
            | InstantiationError::FailedToInstantiateTable(TableError::ResourceLimiterDeniedAllocation),
        ) = error.kind()
        {
            return Error::capacity(self.state().budget.refusal()).into();
        }
        let ran = error.as_trap_code().is_some() || error.downcast_ref::<Carried>().is_some();
        if ran || matches!(error.kind(), ErrorKind::Host(_)) {
            return EngineError::Run(self.error_of(error));
        }
        let mismatch = match error.kind() {
            ErrorKind::Instantiation(error) => core_types::mismatch(self.0.as_context(), error),
            _ => None,
        };
        EngineError::Text(mismatch.unwrap_or_else(|| error.to_string()))
    }
}
