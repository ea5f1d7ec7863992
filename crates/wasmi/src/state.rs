//! What lives in wasmi's store beside the guests: the core's store, and the tables that the core's ids point
//! into.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use canon_async::ambient;
use canon_async::id::{FuncRef, MemoryRef};
use canon_async::{Error, Heap, LimitReached, Resource};
use canon_async_component::plan::CoreFuncType;
use canon_async_component::{HostCalls, HostMemory, HostSig};
use wasmi::{Global, Memory, Module, Table, TypedFunc};

use crate::budget::{Budget, Payer};
use crate::component::Component;
use crate::config::Engine;
use crate::continuation::Continuations;
use crate::fuel::{Meter, Stopped};
use crate::later::Wakeups;
use crate::linker::HostFunc;
use crate::places::Places;
use crate::trace::Trace;

/// Tells stores apart: things that belong to one carry it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoreId(usize);

impl StoreId {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The data of the wasmi store.
pub struct State<T: 'static> {
    pub(crate) id: StoreId,
    pub(crate) engine: Engine,
    pub(crate) data: T,
    pub(crate) core: canon_async::Store<Heap>,
    pub(crate) parked: Continuations,
    pub(crate) wakeups: Arc<Wakeups>,
    pub(crate) funcs: Vec<CoreFunc<T>>,
    /// By [`MemoryRef`] less one: the host's memory comes first.
    pub(crate) memories: Vec<Memory>,
    /// Where in `memories` each is.
    pub(crate) memory_names: BTreeMap<String, usize>,
    pub(crate) tables: Vec<Table>,
    pub(crate) globals: Vec<Global>,
    pub(crate) host_memory: HostMemory,
    pub(crate) host_calls: HostCalls,
    /// The packing shims that were compiled, by signature.
    pub(crate) shims: BTreeMap<CoreFuncType, Module>,
    /// What copies from one memory to another, by the two memories.
    pub(crate) copiers: BTreeMap<(MemoryRef, MemoryRef), Copier>,
    /// The seventeenth argument of a packed call, between the shim's two calls.
    pub(crate) last_arg: u64,
    /// The innermost frames of wasm belong to a call that can't be set aside.
    pub(crate) plain: bool,
    /// What wasmi or a host function said of the last trap that the core knows by a number.
    pub(crate) trap_text: Option<Cow<'static, str>>,
    pub(crate) budget: Budget,
    pub(crate) meter: Meter,
    /// Looks at the store when something from outside ends a guest.
    pub(crate) on_stop: Option<OnStop>,
    /// The component that is being instantiated, whose modules are compiled.
    pub(crate) linking: Option<Component>,
    /// The root that a core instance is made for now.
    pub(crate) instantiating: Payer,
    /// The ambient store's own memory, while `core` is that store; else one without bytes.
    pub(crate) ambient_memory: ambient::HostMemory,
    /// Where guests trapped, and what they are called.
    pub(crate) trace: Trace,
    /// In the store that runs the ambient one's guests: where their functions are.
    pub(crate) places: Option<Box<Places>>,
}

/// [`Store::on_stop`](crate::Store::on_stop).
pub(crate) type OnStop = Box<dyn FnMut(Option<Stopped>, &canon_async::Store<Heap>) + Send + Sync>;

/// Copies: to, from, length.
pub(crate) type Copier = TypedFunc<(u64, u64, u64), ()>;

/// What a [`FuncRef`] stands for.
pub(crate) enum CoreFunc<T: 'static> {
    /// A function of a guest, or a built-in.
    Wasm(WasmFunc),
    /// A host function.
    Host(Arc<HostEntry<T>>),
    /// [`HostMemory::realloc`].
    HostRealloc,
}

pub(crate) struct WasmFunc {
    pub func: wasmi::Func,
    /// `None`: it has vectors or references in its type, and can't be called from here.
    pub ty: Option<CoreFuncType>,
    /// The same, where its type is one of the commonest: more code, for speed.
    #[cfg(feature = "std")]
    pub typed: Option<crate::typed::Typed>,
}

pub(crate) struct HostEntry<T: 'static> {
    pub func: HostFunc<T>,
    pub sig: Arc<HostSig>,
}

/// The host's memory.
pub(crate) const HOST_MEMORY: MemoryRef = MemoryRef::from_index(0);
/// Its `realloc`.
pub(crate) const HOST_REALLOC: FuncRef = FuncRef::from_index(0);

/// Whether a memory is one of the host's.
pub(crate) fn is_host(memory: MemoryRef) -> bool {
    memory == HOST_MEMORY || memory == ambient::MEMORY
}

/// About what wasmi keeps of a core instance, and of an export beside its name.
const INSTANCE_BYTES: usize = size_of::<[usize; 64]>();
const EXPORT_BYTES: usize = size_of::<[usize; 12]>();

impl<T> State<T> {
    pub(crate) fn new(engine: &Engine, data: T) -> Self {
        let mut core = canon_async::Store::with_limits(engine.limits());
        engine.settle(&mut core);
        Self {
            id: StoreId::new(),
            engine: engine.clone(),
            data,
            core,
            parked: Continuations::new(),
            wakeups: Arc::default(),
            funcs: Vec::from([CoreFunc::HostRealloc]),
            memories: Vec::new(),
            memory_names: BTreeMap::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            host_memory: HostMemory::new(engine.host_bytes()),
            host_calls: HostCalls::new(),
            shims: BTreeMap::new(),
            copiers: BTreeMap::new(),
            last_arg: 0,
            plain: false,
            trap_text: None,
            budget: Budget::new(engine.budget()),
            meter: Meter::new(engine),
            on_stop: None,
            linking: None,
            instantiating: None,
            ambient_memory: ambient::HostMemory::new(),
            trace: Trace::default(),
            places: None,
        }
    }

    /// Bytes that the core and the host's memory have allocated.
    pub(crate) fn other_bytes(&self) -> usize {
        self.core.heap_bytes().saturating_add(self.host_memory.capacity())
    }

    /// The budget has changed: the core and the host's memory may have what is left. O(1).
    pub(crate) fn settle(&mut self) {
        let left = self.budget.left();
        self.core.set_heap_limit(left.saturating_sub(self.host_memory.capacity()));
        let host = left.saturating_sub(self.core.heap_bytes());
        let host = u32::try_from(host).unwrap_or(u32::MAX);
        self.host_memory.set_limit(host.min(self.engine.host_bytes()));
    }

    /// Which limit was reached. The host's memory may have less than its own because the whole has no more.
    pub(crate) fn reached(&self, reached: LimitReached) -> LimitReached {
        let is_cut = self.host_memory.limit() < self.engine.host_bytes();
        match reached.resource() {
            Resource::HostBytes if is_cut => LimitReached::new(Resource::GuestBytes),
            _ => reached,
        }
    }

    /// The root that memories and tables which grow now count to.
    pub(crate) fn grower(&self) -> Payer {
        self.instantiating.or_else(|| self.core.running_root())
    }

    /// A core instance is made of a module: what wasmi keeps of its exports, with their names.
    ///
    /// # Errors
    /// `Capacity`; nothing was taken.
    pub(crate) fn take_instance(&mut self, payer: Payer, module: &Module) -> Result<(), Error> {
        let exports = module.exports().map(|export| export.name().len().saturating_add(EXPORT_BYTES));
        let bytes = exports.fold(INSTANCE_BYTES, usize::saturating_add);
        let taken = self.budget.take_bytes(payer, self.other_bytes(), bytes);
        self.settle();
        taken
    }

    /// A guest gets a stack, which counts to `payer` until [`State::free_stack`].
    ///
    /// # Errors
    /// `Capacity`; nothing was taken.
    pub(crate) fn take_stack(&mut self, payer: Payer) -> Result<(), Error> {
        self.budget.take_stack(payer, self.other_bytes())?;
        self.settle_stacks();
        Ok(())
    }

    /// A guest's stack is free again.
    pub(crate) fn free_stack(&mut self, payer: Payer) {
        self.budget.free_stack(payer);
        self.settle_stacks();
    }

    /// There are more stacks, or fewer. Each call comes here twice: if what is left does not depend on them,
    /// nothing is done.
    fn settle_stacks(&mut self) {
        if self.budget.counts_stacks() {
            self.settle();
        }
    }

    /// Adds a core function; `None` past 2^30 of them, where the ambient store's begin.
    pub(crate) fn add_func(&mut self, func: CoreFunc<T>) -> Option<FuncRef> {
        let index =
            u32::try_from(self.funcs.len()).ok().filter(|index| *index < ambient::REALLOC.as_u32())?;
        self.funcs.push(func);
        Some(FuncRef::from_index(index))
    }

    /// The bytes of a memory of the host's: this crate's, or the ambient store's own.
    pub(crate) fn host_bytes(&mut self, memory: MemoryRef) -> &mut [u8] {
        let Self { host_memory, ambient_memory, .. } = self;
        if memory == HOST_MEMORY { host_memory.bytes_mut() } else { ambient_memory.bytes_mut() }
    }

    /// How many core instances are numbered.
    pub(crate) fn modules(&self) -> u32 {
        self.places.as_deref().map_or(0, Places::modules)
    }

    /// The wasmi memory behind a reference; `None` for the host's.
    pub(crate) fn wasm_memory(&self, memory: MemoryRef) -> Option<Memory> {
        self.memories.get(memory.index().checked_sub(1)?).copied()
    }
}
