//! Guests of components in the ambient store of [`canon_async::ambient`], beside the host's own tasks, futures and threads.
//!
//! [`AmbientEngine::register`] makes a store and registers it as the ambient store's engine. Whenever the ambient store is driven, by a wait
//! of one of [`canon_async`]'s modules or by [`AmbientEngine::enter`], it *is* the component store of this crate's [`Store`]; at all other times
//! it lies in its own cell. So there is one store, whoever looks at it: a guest's handles, the host's tasks, and one budget of each.
//!
//! ```
//! use canon_async::prelude::*;
//! use canon_async_wasmi::{AmbientEngine, Component, Config, Engine, Linker};
//!
//! type Guests = AmbientEngine<()>;
//! # fn main() -> Result<(), canon_async_wasmi::Error> {
//! # let wasm = wat::parse_str(r#"(component
//! #   (core module $Memory (memory (export "m") 1))
//! #   (core instance $memory (instantiate $Memory))
//! #   (type $f (future u32))
//! #   (core func $read (canon future.read $f (memory (core memory $memory "m"))))
//! #   (core func $drop (canon future.drop-readable $f))
//! #   (core module $M
//! #     (import "" "read" (func $read (param i32 i32) (result i32)))
//! #     (import "" "drop" (func $drop (param i32)))
//! #     (import "" "m" (memory 1))
//! #     (func (export "twice") (param i32) (result i32)
//! #       (drop (call $read (local.get 0) (i32.const 16)))
//! #       (call $drop (local.get 0))
//! #       (i32.mul (i32.const 2) (i32.load (i32.const 16)))))
//! #   (core instance $m (instantiate $M (with "" (instance
//! #     (export "read" (func $read)) (export "drop" (func $drop)) (export "m" (memory $memory "m"))))))
//! #   (func (export "twice") async (param "f" $f) (result u32) (canon lift (core func $m "twice"))))"#).unwrap();
//! let engine = Engine::new(&Config::new());
//! Guests::register(&engine, ())?;
//! let component = Component::new(&engine, &wasm)?;
//! let instance = Guests::instantiate(&Linker::new(&engine), &component)?;
//! // twice: async func(f: future<u32>) -> u32
//! let twice = Guests::function(&instance, "twice")?;
//!
//! let (future, readable) = FutureHandle::for_guest(Some(ValueType::U32))?;
//! let task = TaskBuiltins::task_call(twice, &[readable])?;
//! assert_eq!(TaskBuiltins::task_state(task)?, TaskState::Running);
//! future.complete(ComponentValue::U32(21))?;
//! assert_eq!(TaskBuiltins::task_wait(task)?.value(), Some(&ComponentValue::U32(42)));
//! # Ok(())
//! # }
//! ```
//!
//! # What an [`Instance`] of it is good for
//!
//! It belongs to the engine's store, which [`AmbientEngine::enter`] gives out as a [`Caller`]: there everything works that takes an
//! [`AsContextMut`](crate::AsContextMut), as [`Func::call`](crate::Func::call) with arguments of any type. With another [`Store`] it is
//! `Misuse`, as ever. Host functions of a [`Linker`] get a `Caller` too, and use `canon_async`'s contexts, metadata, error details and thread locals
//! meanwhile; what would drive the store again is `Misuse` there.
//!
//! # Where threads begin
//!
//! [`canon_async::threading`] names functions by numbers:
//! * a *module* is a core instance: the first that is made in the store is 0, whichever component it is part of. [`Instance::modules`] says which are
//!   a component instance's, in the order in which the component instantiates them.
//! * a *function* is one that the core instance exports: the first by name is 0. [`AmbientEngine::function_index`] looks it up.
//! * a *table* is one that a core instance exports: in the order of modules, and of one by name. [`AmbientEngine::table_index`] looks it up.
//!
//! A function takes up to 16 numbers and answers one or none. It runs in the component instance of its module or table, and may block. An element of a table is looked
//! up when the thread is spawned; one that was replaced since is the new one.
//!
//! # Limits
//!
//! [`Config::limits`](crate::Config::limits) and [`canon_async::ambient::configure`] say the same thing: the limits of the one store. Where both were said they have to
//! be equal; where one was, it holds; where none was, the [`Config`](crate::Config)'s default does, or where the ambient store is in use already, its own.
//! `Config::strict` and `Config::choose` hold from the registration on. `Config::host_bytes` is for values of this crate's calls; buffers
//! of the host's futures and streams count to [`canon_async::ambient::Limits::host_bytes`].
//!
//! # Panics
//!
//! A host function that panics is its guest's trap, as everywhere ([`HostFunc`](crate::HostFunc)): the ambient store goes on. A panic of what [`AmbientEngine::enter`]
//! was given unwinds through it, and the store is back in its cell as it was left.

use alloc::boxed::Box;

use canon_async::Embedding;
use canon_async::ambient::{self, Core, FunctionAt, MaybeSend, Tier};
use canon_async::id::{FuncRef, LiftId, MemoryRef};

use crate::component::Component;
use crate::config::Engine;
use crate::embedding::Wx;
use crate::error::Error;
use crate::instance::Instance;
use crate::linker::Linker;
use crate::places::Places;
use crate::state::{HOST_MEMORY, HOST_REALLOC, State};
use crate::store::{AsContext as _, Caller, Store};

/// A store of components that runs the guests of the ambient store. There is one for each ambient store, with data of the host; it lives there, and its functions reach it.
#[derive(Debug)]
pub struct AmbientEngine<T: 'static>(Store<T>);

impl<T: MaybeSend + 'static> AmbientEngine<T> {
    /// Makes a store with these data, and registers it as the engine of the ambient store, until that is reset.
    ///
    /// # Errors
    /// `Misuse` where an engine is registered, the ambient store is in use, or `engine` has other limits than the ambient store; `Capacity(Functions)`.
    pub fn register(engine: &Engine, data: T) -> Result<(), Error> {
        if ambient::has_engine()? {
            return Err(Error::misuse("an engine is registered already"));
        }
        settle_limits(engine)?;
        let mut store = Store::new(engine, data);
        store.0.data_mut().places = Some(Box::default());
        ambient::register(Box::new(Self(store)))?;
        ambient::core(|core| engine.settle(&mut core.store))?;
        Ok(())
    }

    /// Runs `f` with the store: to instantiate, to call functions with values of any type, to make resources.
    ///
    /// # Errors
    /// `Misuse` where the ambient store is in use, as in a host function that a guest called (which has its own [`Caller`]), or no engine of this type is registered.
    pub fn enter<R>(f: impl FnOnce(Caller<'_, T>) -> R) -> Result<R, Error> {
        let entered = ambient::with_engine(|Self(store), core| f(Caller(Inside::new(store, core).wx())));
        Ok(entered?)
    }

    /// Instantiates a component in the ambient store: [`Linker::instantiate`].
    ///
    /// # Errors
    /// As there; as [`AmbientEngine::enter`].
    pub fn instantiate(linker: &Linker<T>, component: &Component) -> Result<Instance, Error> {
        Self::enter(|caller| linker.instantiate(caller, component))?
    }

    /// The function that an instance exports at a path ([`Instance::func`]), for [`TaskBuiltins::task_call`](canon_async::task::TaskBuiltins::task_call).
    ///
    /// # Errors
    /// `Misuse` where there is none, or the instance is of another store; as [`AmbientEngine::enter`].
    pub fn function(instance: &Instance, path: &str) -> Result<LiftId, Error> {
        let func = Self::enter(|caller| instance.func(caller, path))?;
        Ok(func
            .ok_or_else(|| Error::misuse("the instance exports no such function, or is of another store"))?
            .lift())
    }

    /// The number of a function that a core instance exports, as [`FunctionAt::Index`] has it.
    ///
    /// # Errors
    /// `Misuse` where there is no such core instance or export; as [`AmbientEngine::enter`].
    pub fn function_index(module: u32, export: &str) -> Result<u32, Error> {
        Self::with_places(|places| places.function_index(module, export))
    }

    /// The number of a table that a core instance exports, as [`FunctionAt::Table`] has it.
    ///
    /// # Errors
    /// As [`AmbientEngine::function_index`].
    pub fn table_index(module: u32, export: &str) -> Result<u32, Error> {
        Self::with_places(|places| places.table_index(module, export))
    }

    /// An error of the ambient store with its text: what wasmi or a host function said of the last trap.
    ///
    /// # Errors
    /// As [`AmbientEngine::enter`].
    pub fn explain(error: canon_async::Error) -> Result<Error, Error> {
        Self::enter(|mut caller| caller.0.explain(error))
    }

    fn with_places<R>(f: impl FnOnce(&Places) -> Result<R, canon_async::Error>) -> Result<R, Error> {
        Ok(ambient::with_engine(|Self(store), _| f(places(store)?))??)
    }
}

const NO_PLACES: canon_async::Error = canon_async::Error::Bug("an ambient engine without places");

fn places<T>(store: &Store<T>) -> Result<&Places, canon_async::Error> {
    store.0.data().places.as_deref().ok_or(NO_PLACES)
}

/// Sees to it that the ambient store has the limits of the engine's configuration.
fn settle_limits(engine: &Engine) -> Result<(), Error> {
    if !ambient::is_configured()? {
        return Ok(ambient::configure(ambient::Limits::DEFAULT.with_core(engine.limits()))?);
    }
    let held = ambient::limits()?.core;
    if engine.set_limits().is_some_and(|said| said != held) {
        return Err(Error::misuse(
            "Config::limits are others than those of the ambient store: ambient::configure",
        ));
    }
    Ok(())
}

/// While it lives, the core of the wasmi store is the ambient store.
struct Inside<'a, T: 'static> {
    store: &'a mut Store<T>,
    core: &'a mut Core,
}

impl<'a, T> Inside<'a, T> {
    fn new(store: &'a mut Store<T>, core: &'a mut Core) -> Self {
        let mut inside = Self { store, core };
        inside.swap();
        inside
    }

    fn swap(&mut self) {
        let state = self.store.0.data_mut();
        core::mem::swap(&mut state.core, &mut self.core.store);
        core::mem::swap(&mut state.ambient_memory, &mut self.core.memory);
    }

    fn wx(&mut self) -> Wx<'_, T> {
        self.store.embedding()
    }
}

impl<T> Drop for Inside<'_, T> {
    // Also where a panic unwinds.
    fn drop(&mut self) {
        self.swap();
    }
}

impl<T: MaybeSend + 'static> ambient::Engine for AmbientEngine<T> {
    fn with(&mut self, core: &mut Core, f: &mut dyn FnMut(&mut dyn Embedding<Profile = Tier>)) {
        f(&mut Inside::new(&mut self.0, core).wx());
    }

    fn host(&self) -> Option<(MemoryRef, FuncRef)> {
        Some((HOST_MEMORY, HOST_REALLOC))
    }

    fn max_stack_bytes(&self) -> u32 {
        u32::try_from(self.0.engine().max_stack_bytes()).unwrap_or(u32::MAX)
    }

    fn function(
        &mut self,
        core: &mut canon_async::Store<Tier>,
        at: FunctionAt,
    ) -> Result<LiftId, canon_async::Error> {
        let Self(store) = self;
        let (known, place) = (places(store)?, places(store)?.find(store.context(), at)?);
        if let Some(lift) = known.lift(place) {
            return Ok(lift);
        }
        let mut wx = store.embedding();
        let (func, ty) = wx.add_number_func(place.func)?;
        let State { places, funcs, .. } = wx.state_mut();
        let made = places.as_deref_mut().ok_or(NO_PLACES)?.make_lift(core, place, func, &ty);
        if made.is_err() {
            // Nobody has its number.
            funcs.truncate(func.index());
        }
        made
    }
}
