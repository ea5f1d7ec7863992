//! An engine without an interpreter: core functions are known by their names.
//!
//! A "core instance" is a number. Its exports are made up when they are asked for: `mem*` is a memory, `tab*` a
//! table, everything else a function that does what its name says (see [`FakeEngine::run`]).

use std::collections::HashMap;

use canon_async::canon::{self, Builtin};
use canon_async::id::{FuncRef, HostCall, InstanceId, MemoryRef, TableRef, ThreadId};
use canon_async::{Embedding, Error, Heap, Outcome, Store, Then, Trap};
use canon_async_component::host::{CallState, HostCalls, HostMemory};
use canon_async_component::plan::{CoreFuncType, CoreSignature, ModuleType};
use canon_async_component::{CoreExtern, Engine, EngineError, Func, HostSig, ImportArg, Val, ValError};

/// A host function: its arguments to its result.
pub type Closure = fn(&[Val]) -> Option<Val>;

enum Made {
    /// An export of this core instance.
    Core(u32, String),
    Builtin(Builtin),
    Host(Closure, HostSig),
    HostRealloc,
}

/// See the [module](self).
pub struct FakeEngine {
    store: Store<Heap>,
    funcs: Vec<Made>,
    /// The host's is the first.
    memories: Vec<Vec<u8>>,
    known: HashMap<(u32, String), CoreExtern>,
    instances: u32,
    pub host_memory: HostMemory,
    pub calls: HostCalls,
    /// What happened, in words.
    pub log: Vec<String>,
    /// Where the next block of guest memory lies.
    top: u32,
    /// The core instance, by number, whose start function traps.
    pub trap_in: Option<u32>,
    /// The type of every module; `None` for an engine that can't tell.
    pub module_type: Option<ModuleType>,
    /// The type of every core function; `None` for an engine that can't tell.
    pub func_type: Option<CoreSignature>,
    /// The builtins that core functions named `call0`, `call1`, .. run.
    pub builtins: Vec<Builtin>,
}

impl FakeEngine {
    pub fn new() -> Self {
        Self {
            store: Store::default(),
            funcs: vec![Made::HostRealloc],
            memories: vec![Vec::new()],
            known: HashMap::new(),
            instances: 0,
            host_memory: HostMemory::default(),
            calls: HostCalls::new(),
            log: Vec::new(),
            top: 0,
            trap_in: None,
            module_type: None,
            func_type: None,
            builtins: Vec::new(),
        }
    }

    pub fn with_limits(limits: canon_async::Limits) -> Self {
        Self { store: Store::with_limits(limits), ..Self::new() }
    }

    /// Calls a component function to its end.
    pub fn run_func(&mut self, func: &Func, args: Vec<Val>) -> Result<CallState, ValError> {
        let call = self.calls.start(func, args)?;
        let task = canon_async::run::call(self, func.lift(), call)?;
        canon_async::run::run_until(self, task)?;
        Ok(self.calls.take(call).expect("resolved"))
    }

    fn guest_alloc(&mut self, align: u32, size: u32) -> u32 {
        let start = self.top.next_multiple_of(align.max(1));
        self.top = start + size;
        start
    }

    /// `id` returns its argument; `pair` stores its two arguments one after the other and returns the address;
    /// `realloc` allocates; `callN` runs the Nth of `builtins`; `spillN` too, with the address of 8 bytes as one more
    /// argument, which it returns; everything else returns 0.
    fn run(&mut self, name: &str, args: &[u64]) -> Result<u64, Error> {
        let arg = |at: usize| args.get(at).copied().unwrap_or(0);
        if let Some(index) = name.strip_prefix("call") {
            let builtin = self.builtins[index.parse::<usize>().expect("a number")];
            return match canon::call(self, builtin, args)? {
                Then::Value(value) => Ok(value),
                Then::Suspend => Err(Error::Misuse("the fake engine can't suspend")),
            };
        }
        if let Some(index) = name.strip_prefix("spill") {
            let builtin = self.builtins[index.parse::<usize>().expect("a number")];
            let at = u64::from(self.guest_alloc(4, 8));
            let args: Vec<u64> = args.iter().copied().chain([at]).collect();
            return match canon::call(self, builtin, &args)? {
                Then::Value(_) => Ok(at),
                Then::Suspend => Err(Error::Misuse("the fake engine can't suspend")),
            };
        }
        Ok(match name {
            "id" => arg(0),
            "realloc" => {
                let (old, kept) = (arg(0) as usize, arg(1).min(arg(3)) as usize);
                let new = self.guest_alloc(arg(2) as u32, arg(3) as u32);
                if kept > 0 {
                    self.memories[1].copy_within(old..old + kept, new as usize);
                }
                u64::from(new)
            }
            "pair" => {
                let at = self.guest_alloc(4, 8) as usize;
                for (to, word) in self.memories[1][at..].chunks_mut(4).zip([arg(0), arg(1)]) {
                    to.copy_from_slice(&(word as u32).to_le_bytes());
                }
                at as u64
            }
            _ => 0,
        })
    }
}

impl Embedding for FakeEngine {
    type Profile = Heap;

    fn store(&mut self) -> &mut Store<Heap> {
        &mut self.store
    }

    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        match memory.index() {
            0 => Ok(self.host_memory.bytes_mut()),
            index => {
                self.memories.get_mut(index).map(Vec::as_mut_slice).ok_or(Error::Misuse("no such memory"))
            }
        }
    }

    fn call(&mut self, _: ThreadId, func: FuncRef, args: &[u64]) -> Result<Outcome, Error> {
        let value = match &self.funcs[func.index()] {
            Made::Host(closure, sig) => {
                let (closure, sig) = (*closure, sig.clone());
                let vals = sig.decode_args(args, &mut self.host_memory, &mut ()).map_err(|e| e.to_error())?;
                let result = closure(&vals);
                let encoded = sig.encode_result(result.as_ref(), &mut self.host_memory, &mut ());
                encoded.map_err(|error| {
                    self.log.push(error.to_string());
                    error.to_error()
                })?
            }
            _ => self.call_leaf(func, args)?,
        };
        Ok(Outcome::Returned(value))
    }

    fn resume(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        Err(Error::Misuse("nothing was suspended"))
    }

    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error> {
        let arg = |at: usize| args.get(at).copied().unwrap_or(0) as u32;
        match &self.funcs[func.index()] {
            Made::HostRealloc => self.host_memory.realloc(arg(0), arg(1), arg(2), arg(3)).map(u64::from),
            Made::Core(_, name) => {
                let name = name.clone();
                self.run(&name, args)
            }
            Made::Builtin(builtin) => match canon::call(self, *builtin, args)? {
                Then::Value(value) => Ok(value),
                Then::Suspend => Err(Error::Misuse("the fake engine can't suspend")),
            },
            Made::Host(..) => Err(Error::Misuse("a host function is no leaf")),
        }
    }

    fn discard(&mut self, _: ThreadId) {}

    fn thread_func(&mut self, _: ThreadId, _: TableRef, index: u64) -> Result<(), Error> {
        Err(Trap::UnknownTableElement(index as u32).into())
    }

    fn start_thread(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        Err(Error::Misuse("no thread was fetched"))
    }

    fn can_suspend(&self) -> bool {
        false
    }

    fn host_args(&mut self, call: HostCall, args: &mut [u64]) -> Result<(), Error> {
        self.calls.write_args(call, &mut self.host_memory, args, &mut ())
    }

    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
        self.calls.read_result(call, &mut self.host_memory, results, &mut ())
    }
}

impl Engine for FakeEngine {
    type Module = usize;
    type Instance = u32;
    type HostFunc = Closure;

    fn compile(&mut self, wasm: &[u8]) -> Result<usize, EngineError> {
        self.log.push(format!("compile {} bytes", wasm.len()));
        Ok(wasm.len())
    }

    fn instantiate(
        &mut self,
        _: InstanceId,
        _: &usize,
        imports: &[ImportArg<'_>],
    ) -> Result<u32, EngineError> {
        let names: Vec<_> =
            imports.iter().map(|import| format!("{}.{}", import.module, import.field)).collect();
        self.log.push(format!("instantiate {}", names.join(" ")));
        if self.trap_in == Some(self.instances) {
            return Err(EngineError::Run(Error::Trap(Trap::Engine(7))));
        }
        self.instances += 1;
        Ok(self.instances - 1)
    }

    fn export(&mut self, instance: u32, name: &str) -> Option<CoreExtern> {
        let key = (instance, name.to_string());
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let made = if name.starts_with("mem") {
            self.memories.push(vec![0; 65536]);
            CoreExtern::Memory(MemoryRef::from_index(self.memories.len() as u32 - 1))
        } else if name.starts_with("tab") {
            CoreExtern::Table(TableRef::from_index(0))
        } else {
            self.funcs.push(Made::Core(instance, name.to_string()));
            CoreExtern::Func(FuncRef::from_index(self.funcs.len() as u32 - 1))
        };
        self.known.insert(key, made);
        Some(made)
    }

    fn builtin(&mut self, builtin: Builtin, ty: &CoreFuncType) -> Result<FuncRef, EngineError> {
        self.log.push(format!("builtin {ty}"));
        self.builtins.push(builtin);
        self.funcs.push(Made::Builtin(builtin));
        Ok(FuncRef::from_index(self.funcs.len() as u32 - 1))
    }

    fn host_func(&mut self, func: &Closure, sig: HostSig) -> Result<FuncRef, EngineError> {
        self.log.push(format!("host {}", sig.path()));
        self.funcs.push(Made::Host(*func, sig));
        Ok(FuncRef::from_index(self.funcs.len() as u32 - 1))
    }

    fn host_calls(&mut self) -> &mut HostCalls {
        &mut self.calls
    }

    fn func_type(&mut self, _: FuncRef) -> Option<CoreSignature> {
        self.func_type.clone()
    }

    fn module_type(&mut self, _: &usize, _: &ModuleType) -> Option<ModuleType> {
        self.module_type.clone()
    }

    fn host_memory(&mut self) -> MemoryRef {
        MemoryRef::from_index(0)
    }

    fn host_realloc(&mut self) -> FuncRef {
        FuncRef::from_index(0)
    }
}
