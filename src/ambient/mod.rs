//! The ambient store: one that is there without being passed around, for the host-facing modules.
//!
//! With `std` each thread of the operating system has one; without, there is one for all. Everything else is the same on
//! every tier: signatures, behaviour, and the [`capacity`] figures.
//!
//! # Two cells
//!
//! | cell | what is in it | reached by |
//! |---|---|---|
//! | the core cell | [`Core`]: the [`Store`] with guests and the host's tasks, waitables and handles; the [`HostMemory`]; the registered [`Engine`] | [`core()`], [`drive`], [`with_engine`] |
//! | the host cell | `HostState`: what is the host's alone, a `State` of each module; the [`Limits`]; the clock | `host` |
//!
//! Both are tried, never waited for: a cell that is in use is `Misuse`. The core cell is in use for as long as the store is driven,
//! so a nested [`drive`] is `Misuse`. The host cell is never held while guests or user's code run, so host functions that guests call
//! use contexts, metadata and error details as everybody does.
//!
//! A panic that unwinds through a guest's code, where the engine lets it, leaves the store in its cell and in the middle of what it did: it can be looked at,
//! and to drive it is `Misuse` until [`reset`].
//!
//! # How a module sits on it
//!
//! * **State**: `pub(crate) struct State` with `const fn new()` and `fn is_empty()`, a field of `HostState`, reached with
//!   `ambient::host(|host| ..)`, which must not run anything of the user's or the store. Tables are `ambient::table`'s: `Pool` by id, `Pairs` for keys and
//!   values by owner; ids come from `id.rs`.
//! * **Capacity**: a constant in `profile.rs` ([`capacity`]), a field of [`Limits`] with it as the default, a
//!   [`Resource`](crate::Resource) that says what ran out. `host.limits()` are those that hold.
//! * **The store**: `ambient::core(|core| ..)` for what runs nobody: look-ups, new handles. `ambient::drive(|e| run::tick(e))` for what runs somebody:
//!   [`run::call`], [`run::cancel`], [`run::builtin`], [`run::tick`]. `core.host()` has the host's instance and options.
//! * **Buffers** that guests read and write: `core.memory.alloc(bytes)`, at [`MEMORY`], which `core.host().options` name, whatever the engine is.
//! * **Host functions and calls**: a [`FuncRef`] or [`HostCall`] with the bit `OWN` is the ambient store's, whatever the engine is; [`own`]
//!   has the place where each is answered, and engines call these functions first.
//! * **Order**: host cell, then nothing; core cell, then host cell. What is needed of both is copied out of the host cell first, or
//!   looked up inside `core` with `host`.
//! * **Time**: [`now`], [`wait_until`].
//! * **Waiting**: `wait` drives the store until something is there, with a deadline or none; [`until`] does it as a future.
//! * **From outside**: a [`Signal`] is all that interrupts and other threads may touch.
//!
//! [`run::call`]: crate::run::call
//! [`run::cancel`]: crate::run::cancel
//! [`run::builtin`]: crate::run::builtin
//! [`run::tick`]: crate::run::tick
//! [`HostCall`]: crate::id::HostCall

mod canonical;
mod engine;
mod memory;
mod profile;
pub(crate) mod signal;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod value;
mod wait;

pub use crate::storage::cell::MaybeSend;
pub use engine::{Engine, FunctionAt, Registered, own};
pub(crate) use engine::{NoEngine, own_call, own_index};
pub use memory::HostMemory;
#[cfg(not(feature = "alloc"))]
pub use profile::Bounded;
pub(crate) use profile::Room;
pub use profile::{Limits, Tier, capacity};
pub use signal::{Reaction, Signal, is_signalled};
#[cfg(not(feature = "alloc"))]
pub use text::ToString;
pub use text::{AsText, Seq, Text};
pub use value::{ComponentValue, Scalars, ValueType};
pub(crate) use value::{FlatType, scratch_types};
pub(crate) use wait::{Waited, tick, wait};
pub use wait::{run_async, until};

use crate::clock::Clock;
use crate::embedding::Embedding;
use crate::error::Error;
use crate::id::{FuncRef, InstanceId, MemoryRef, OptsId};
use crate::state::Options;
use crate::store::Store;
use core::any::Any;
use core::time::Duration;
use engine::OWN;

/// The host's memory in the ambient store: [`Core::memory`].
pub const MEMORY: MemoryRef = MemoryRef::from_index(OWN);
/// The `realloc` of [`MEMORY`].
pub const REALLOC: FuncRef = FuncRef::from_index(OWN);

/// What an engine drives: the store, and the host's memory.
pub struct Core {
    /// The store.
    pub store: Store<Tier>,
    /// The host's memory: [`MEMORY`].
    pub memory: HostMemory,
    host: Option<Host>,
}

/// The host, as an instance of the ambient store.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Host {
    /// The instance.
    pub instance: InstanceId,
    /// Options without `async`, with [`MEMORY`] and [`REALLOC`].
    pub options: OptsId,
    /// The same with `async`.
    pub async_options: OptsId,
}

impl Core {
    const fn new() -> Self {
        Self { store: Store::new(), memory: HostMemory::new(), host: None }
    }

    /// The host's instance and options.
    ///
    /// # Errors
    /// `Misuse` before the store was first used.
    pub fn host(&self) -> Result<Host, Error> {
        self.host.ok_or(Error::Misuse("the ambient store was not used yet"))
    }

    /// Adds the host, before anything else: on the first use.
    fn set_up(&mut self, limits: &Limits) -> Result<(), Error> {
        if self.host.is_some() {
            return Ok(());
        }
        // A bounded store that nobody limited stays the zeros that it is.
        if cfg!(feature = "alloc") || limits.core != Limits::DEFAULT.core {
            self.store.set_limits(limits.core);
        }
        self.memory.set_limit(limits.host_bytes);
        let added = self.add_host();
        if added.is_err() {
            // Nothing is kept of a half.
            self.store.reset();
        }
        self.host = Some(added?);
        Ok(())
    }

    /// Forgets everything where it lies: what is by far the largest is never on the stack.
    fn reset(&mut self) {
        let Self { store, memory, host } = self;
        store.reset();
        memory.reset();
        *host = None;
    }

    fn add_host(&mut self) -> Result<Host, Error> {
        let store = &mut self.store;
        let instance = store.add_host_instance()?;
        let sync = Options { memory: Some(MEMORY), realloc: Some(REALLOC), ..Options::new(instance) };
        let options = store.add_options(sync)?;
        let async_options = store.add_options(Options { is_async: true, ..sync })?;
        store.set_host(options)?;
        Ok(Host { instance, options, async_options })
    }
}

impl core::fmt::Debug for Core {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Core").field("store", &self.store).finish_non_exhaustive()
    }
}

struct CoreCell {
    core: Core,
    engine: Option<Registered>,
}

impl CoreCell {
    /// Runs what may run guests. Where a panic unwound through somebody's code, that stands in the middle of what it did, and nobody goes on.
    fn driven<R>(&mut self, f: impl FnOnce(&mut Self) -> Result<R, Error>) -> Result<R, Error> {
        if self.core.store.is_running() {
            return Err(Error::Misuse(
                "a panic unwound through the ambient store: only ambient::reset helps",
            ));
        }
        f(self)
    }
}

/// What is the host's alone, a part of each module.
pub(crate) struct HostState {
    /// `None` stands for the default, so that the static is zeros.
    limits: Option<Limits>,
    pub(crate) context: crate::context::State,
    pub(crate) waitable_set: crate::waitable_set::State,
    pub(crate) error_context: crate::error_context::State,
    pub(crate) task: crate::task::State,
    signal: signal::State,
    clock: Option<&'static dyn Clock>,
}

impl HostState {
    const fn new() -> Self {
        Self {
            limits: None,
            context: crate::context::State::new(),
            waitable_set: crate::waitable_set::State::new(),
            error_context: crate::error_context::State::new(),
            task: crate::task::State::new(),
            signal: signal::State::new(),
            clock: None,
        }
    }

    /// Forgets everything; what is kept from before names nothing of what comes.
    fn reset(&mut self) {
        let Self { limits, context, waitable_set, error_context, task, signal, clock } = self;
        context.reset();
        waitable_set.reset();
        error_context.reset();
        task.reset();
        signal.reset();
        (*limits, *clock) = (None, None);
    }

    /// The limits that hold.
    pub(crate) fn limits(&self) -> Limits {
        self.limits.unwrap_or(Limits::DEFAULT)
    }

    fn is_empty(&self) -> bool {
        self.waitable_set.is_empty()
            && self.error_context.is_empty()
            && self.context.is_empty()
            && self.task.is_empty()
            && self.signal.is_empty()
    }
}

crate::storage::cell::cell!(CORE: CoreCell = CoreCell { core: Core::new(), engine: None });
crate::storage::cell::cell!(HOST: HostState = HostState::new());

/// Bytes of the ambient store, but for its locks and, with a heap, for what lies there: without one, of the statics that the [`capacity`] figures
/// make. A budget is a line in your own code: `const _: () = assert!(canon_async::ambient::STATIC_BYTES <= 48 * 1024);`.
pub const STATIC_BYTES: usize = size_of::<CoreCell>() + size_of::<HostState>();

/// Runs `f` with what is the host's alone. `f` runs nothing of the user's and drives nothing.
pub(crate) fn host<R>(f: impl FnOnce(&mut HostState) -> R) -> Result<R, Error> {
    HOST.with(f)
}

/// The limits that hold.
///
/// # Errors
/// `Misuse` where the host's state is in use.
pub fn limits() -> Result<Limits, Error> {
    host(|host| host.limits())
}

/// Whether the limits are settled: they were set, or something is there and they can't be any more.
///
/// # Errors
/// `Misuse` where something is in use.
pub fn is_configured() -> Result<bool, Error> {
    CORE.with(|cell| host(|host| cell.core.host.is_some() || host.limits.is_some() || !host.is_empty()))?
}

/// Sets the limits, before anything is there.
///
/// # Errors
/// `Misuse` where something is there, or without a heap a limit is above its [`capacity`].
pub fn configure(limits: Limits) -> Result<(), Error> {
    limits.check()?;
    CORE.with(|cell| {
        host(|host| {
            if cell.core.host.is_some() || !host.is_empty() {
                return Err(Error::Misuse("the ambient store is configured before its first use"));
            }
            host.limits = Some(limits);
            Ok(())
        })?
    })?
}

/// Forgets everything: the store and what is in it, the engine, the host's state, limits and clock. Nothing is called for what is
/// forgotten, and every id and handle of it is stale. For tests, and for firmware that starts over.
///
/// # Errors
/// `Misuse` where something is in use.
pub fn reset() -> Result<(), Error> {
    CORE.with(|cell| {
        host(HostState::reset)?;
        cell.core.reset();
        cell.engine = None;
        Ok(())
    })?
}

/// Runs `f` with the store, without running guests. Sets it up on the first use.
///
/// # Errors
/// `Misuse` where the store is in use; `Capacity` where the host does not fit.
pub fn core<R>(f: impl FnOnce(&mut Core) -> R) -> Result<R, Error> {
    let (result, ready) = CORE.with(|cell| {
        cell.core.set_up(&limits()?)?;
        let result = f(&mut cell.core);
        Ok::<_, Error>((result, cell.core.store.has_ready()))
    })??;
    if ready {
        signal::changed();
    }
    Ok(result)
}

/// Runs `f` with the store and the registered engine, or without one with what the host has alone: for the functions of
/// [`run`](crate::run).
///
/// # Errors
/// As [`core()`]; `Misuse` once a panic unwound through a guest's code.
pub fn drive<R>(f: impl FnOnce(&mut dyn Embedding<Profile = Tier>) -> R) -> Result<R, Error> {
    let result = drive_quietly(f);
    signal::changed();
    result
}

/// [`drive`], of which those that wait as futures are not told.
pub(crate) fn drive_quietly<R>(f: impl FnOnce(&mut dyn Embedding<Profile = Tier>) -> R) -> Result<R, Error> {
    CORE.with(|cell| {
        cell.driven(|CoreCell { core, engine, .. }| {
            core.set_up(&limits()?)?;
            let (mut f, mut result) = (Some(f), None);
            let mut once = |e: &mut dyn Embedding<Profile = Tier>| result = f.take().map(|f| f(e));
            match engine {
                Some(engine) => engine.engine().with(core, &mut once),
                None => once(&mut NoEngine(core)),
            }
            result.ok_or(Error::Misuse("the engine did not run what it was given, or not once"))
        })
    })?
}

/// Registers the engine that runs the guests of the ambient store.
///
/// # Errors
/// `Misuse` where there is one; `Capacity(Functions)`; as [`core()`].
pub fn register(engine: impl Into<Registered>) -> Result<(), Error> {
    let mut engine = engine.into();
    CORE.with(|cell| {
        if cell.engine.is_some() {
            return Err(Error::Misuse("an engine is registered already"));
        }
        let core = &mut cell.core;
        core.set_up(&limits()?)?;
        if let Some((memory, realloc)) = engine.engine().host() {
            let instance = core.host()?.instance;
            let options = Options { memory: Some(memory), realloc: Some(realloc), ..Options::new(instance) };
            let options = core.store.add_options(options)?;
            core.store.set_host(options)?;
        }
        cell.engine = Some(engine);
        Ok(())
    })?
}

/// Whether an engine is registered.
///
/// # Errors
/// `Misuse` where the store is in use.
pub fn has_engine() -> Result<bool, Error> {
    CORE.with(|cell| cell.engine.is_some())
}

/// Runs `f` with the registered engine, of this type, and the store: to instantiate, and for whatever else is the engine's own.
///
/// # Errors
/// `Misuse` where no engine is registered, or one of another type, or the store is in use, or once a panic unwound through a guest's code.
pub fn with_engine<E: Engine, R>(f: impl FnOnce(&mut E, &mut Core) -> R) -> Result<R, Error> {
    let result = CORE.with(|cell| {
        cell.driven(|CoreCell { core, engine, .. }| {
            let engine =
                engine.as_mut().ok_or(Error::Misuse("no engine is registered with the ambient store"))?;
            let engine: &mut dyn Any = engine.engine();
            let engine =
                engine.downcast_mut().ok_or(Error::Misuse("the registered engine is of another type"))?;
            Ok(f(engine, core))
        })
    })?;
    signal::changed();
    result
}

/// The component function at a place, as the registered engine knows it: [`Engine::function`].
///
/// # Errors
/// `Misuse` where no engine is registered, or it knows no such function; as [`core()`].
pub fn function(at: FunctionAt) -> Result<crate::id::LiftId, Error> {
    CORE.with(|cell| {
        let engine =
            cell.engine.as_mut().ok_or(Error::Misuse("no engine is registered with the ambient store"))?;
        engine.engine().function(&mut cell.core.store, at)
    })?
}

/// The most bytes of stack that a thread can ask the registered engine for: [`Engine::max_stack_bytes`].
///
/// # Errors
/// As [`function`].
pub fn max_stack_bytes() -> Result<u32, Error> {
    CORE.with(|cell| {
        let engine =
            cell.engine.as_mut().ok_or(Error::Misuse("no engine is registered with the ambient store"))?;
        Ok(engine.engine().max_stack_bytes())
    })?
}

/// Registers the clock that deadlines go by, in the place of another.
///
/// # Errors
/// `Misuse` where the host's state is in use.
pub fn set_clock(clock: &'static dyn Clock) -> Result<(), Error> {
    host(|host| host.clock = Some(clock))
}

/// The time of the clock.
///
/// # Errors
/// `Misuse` where there is no clock.
pub fn now() -> Result<Duration, Error> {
    Ok(clock()?.now())
}

/// Waits until `deadline`, as [`now`] counts, or for a shorter time: whoever waits asks again. [`Duration::MAX`] is none.
///
/// # Errors
/// `Misuse` where there is no clock.
pub fn wait_until(deadline: Duration) -> Result<(), Error> {
    clock()?.wait_until(deadline);
    Ok(())
}

fn clock() -> Result<&'static dyn Clock, Error> {
    let clock = host(|host| host.clock)?;
    #[cfg(feature = "std")]
    let clock = {
        static STD: std::sync::LazyLock<crate::clock::StdClock> = std::sync::LazyLock::new(Default::default);
        clock.or(Some(&*STD))
    };
    clock.ok_or(Error::Misuse("no clock is registered with the ambient store"))
}
