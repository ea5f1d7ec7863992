//! The engine that runs guests for the ambient store, and what the store answers in its place.

use super::{Core, HostMemory, Tier};
use crate::embedding::{Embedding, Outcome};
use crate::error::Error;
use crate::id::{FuncRef, HostCall, LiftId, MemoryRef, TableRef, ThreadId};
use crate::storage::cell::{MaybeSend, Owned};
use crate::store::Store;
use core::any::Any;

/// Where a core function of a guest is found, for a thread of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FunctionAt {
    /// By its index in a core module's instance, as the engine numbers these.
    Index {
        /// The instance.
        module: u32,
        /// The function.
        function: u32,
    },
    /// By its index in a table, as the engine numbers these.
    Table {
        /// The table.
        table: u32,
        /// The element.
        index: u32,
    },
}

/// An engine that can be registered with the ambient store: it runs the guests of that store.
///
/// **Its [`Embedding`]** answers from the [`Core`] that [`Engine::with`] got, for as long as that lasts: an engine whose guests reach the
/// store through its own data puts `core.store` and `core.memory` there (`core::mem::swap`) and takes them back before it returns, also
/// when a panic unwinds. What is the ambient store's own, it hands over to [`own`](super::own), which has a function for each method of
/// `Embedding` that this is about; where that answers `None`, it is the engine's.
///
/// **The host's values**: the engine's own host memory is named by [`Engine::host`], and the ambient store sees to
/// [`Store::set_host`].
pub trait Engine: Any + MaybeSend {
    /// Runs `f` once with an embedding whose store and whose memory [`MEMORY`](super::MEMORY) are those of `core`.
    fn with(&mut self, core: &mut Core, f: &mut dyn FnMut(&mut dyn Embedding<Profile = Tier>));

    /// The memory and the `realloc` of the values of host calls that the engine makes; `None`, the default, where the ambient store's serve.
    fn host(&self) -> Option<(MemoryRef, FuncRef)> {
        None
    }

    /// The most bytes of stack that a thread of the host can ask for; 1 MiB by default. What it gets is the engine's affair, which
    /// [`own::stack_bytes`](super::own::stack_bytes) tells what was asked for.
    fn max_stack_bytes(&self) -> u32 {
        1 << 20
    }

    /// The function at a place, as a component function that [`run::call`](crate::run::call) takes: of numbers alone.
    /// The same place gives the same function, so that to ask again takes no room.
    ///
    /// # Errors
    /// `Misuse` where there is none; `Capacity`.
    fn function(&mut self, store: &mut Store<Tier>, at: FunctionAt) -> Result<LiftId, Error> {
        let _ = (store, at);
        Err(Error::Misuse("the registered engine gives no functions"))
    }
}

/// An engine to register: from a `&'static mut` of one, or with a heap from a `Box`.
pub struct Registered(Owned<dyn Engine>);

impl Registered {
    pub(super) fn engine(&mut self) -> &mut dyn Engine {
        self.0.get_mut()
    }
}

impl core::fmt::Debug for Registered {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Registered")
    }
}

impl<E: Engine> From<&'static mut E> for Registered {
    fn from(engine: &'static mut E) -> Self {
        Self(Owned::Static(engine))
    }
}

#[cfg(feature = "alloc")]
impl<E: Engine> From<alloc::boxed::Box<E>> for Registered {
    fn from(engine: alloc::boxed::Box<E>) -> Self {
        Self(Owned::Boxed(engine))
    }
}

const NO_ENGINE: Error = Error::Misuse("no engine is registered with the ambient store");

/// What there is without an engine: the ambient store's own, and no guests.
pub(crate) struct NoEngine<'a>(pub &'a mut Core);

impl Embedding for NoEngine<'_> {
    type Profile = Tier;

    fn store(&mut self) -> &mut Store<Tier> {
        &mut self.0.store
    }

    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        own::memory(&mut self.0.memory, memory).ok_or(NO_ENGINE)
    }

    fn call(&mut self, _: ThreadId, _: FuncRef, _: &[u64]) -> Result<Outcome, Error> {
        Err(NO_ENGINE)
    }

    fn resume(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        Err(NO_ENGINE)
    }

    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error> {
        own::call_leaf(&mut self.0.memory, func, args).unwrap_or(Err(NO_ENGINE))
    }

    fn discard(&mut self, _: ThreadId) {}

    fn thread_func(&mut self, _: ThreadId, _: TableRef, _: u64) -> Result<(), Error> {
        Err(NO_ENGINE)
    }

    fn start_thread(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        Err(NO_ENGINE)
    }

    fn host_args(&mut self, call: HostCall, args: &mut [u64]) -> Result<(), Error> {
        own::host_args(call, args).unwrap_or(Err(NO_ENGINE))
    }

    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
        own::host_result(call, results).unwrap_or(Err(NO_ENGINE))
    }

    fn host_lost(&mut self, call: HostCall) {
        own::host_lost(call);
    }
}

/// What the ambient store answers in the place of an engine: of functions, calls and memories whose index has this bit,
/// which no engine's has.
pub(super) const OWN: u32 = 1 << 30;

/// A call of the ambient store's own: of the task of the host at this index.
pub(crate) const fn own_call(index: u32) -> HostCall {
    HostCall::from_index(OWN | index)
}

/// The index of a call of the ambient store's own.
pub(crate) fn own_index(call: HostCall) -> Option<u32> {
    (call.as_u32() & OWN != 0).then_some(call.as_u32() & !OWN)
}

/// What an engine's [`Embedding`] hands over to the ambient store, method by method. `None`: it is not the store's, but the
/// engine's. None of these may be called while the host's state is in use; the store itself is given, where they need it.
pub mod own {
    use super::*;
    use crate::ambient::{MEMORY, REALLOC};
    use crate::task;

    /// For [`Embedding::memory`].
    pub fn memory(host: &mut HostMemory, memory: MemoryRef) -> Option<&mut [u8]> {
        (memory == MEMORY).then(|| host.bytes_mut())
    }

    /// For [`Embedding::call_leaf`].
    pub fn call_leaf(host: &mut HostMemory, func: FuncRef, args: &[u64]) -> Option<Result<u64, Error>> {
        let arg = |index: usize| args.get(index).map_or(0, |arg| *arg as u32);
        (func == REALLOC).then(|| host.realloc(arg(0), arg(1), arg(3)).map(u64::from))
    }

    /// For [`Embedding::call`], of an engine whose threads have stacks of their own: the bytes of stack that the host asked for, of the thread
    /// that it spawned ([`ThreadSpawnConfig::stack_size`](crate::threading::ThreadSpawnConfig::stack_size)) and that begins now. At most
    /// [`Engine::max_stack_bytes`]; `None` where it asked for none, or the thread is no such one. O(1).
    pub fn stack_bytes(store: &Store<Tier>, thread: ThreadId) -> Option<u32> {
        task::stack_bytes(store, thread)
    }

    /// For [`Embedding::host_args`].
    pub fn host_args(call: HostCall, args: &mut [u64]) -> Option<Result<(), Error>> {
        own_index(call).map(|_| task::host_args(call, args))
    }

    /// For [`Embedding::host_result`].
    pub fn host_result(call: HostCall, results: Option<&[u64]>) -> Option<Result<(), Error>> {
        own_index(call).map(|_| task::host_result(call, results))
    }

    /// For [`Embedding::host_lost`].
    pub fn host_lost(call: HostCall) -> Option<()> {
        own_index(call).map(|_| task::host_lost(call))
    }
}
