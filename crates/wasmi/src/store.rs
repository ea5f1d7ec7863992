//! [`Store`], [`Caller`], and the traits that make them interchangeable.

use alloc::string::String;
use core::fmt;
use core::task::{Context, Waker};

use canon_async::canon::Builtin;
use canon_async::id::ResourceId;
use canon_async::{Embedding as _, run};
use wasmi::{AsContextMut as _, StoreContext};

use crate::config::Engine;
use crate::embedding::Wx;
use crate::error::Error;
use crate::state::State;

/// How many threads run before host functions are asked whether they have answers.
const TURNS: u32 = 64;

/// Component instances, all that they hold, and data of the host.
///
/// Everything in a store is freed with it, and nothing before: instances are not freed one by one.
pub struct Store<T: 'static>(pub(crate) wasmi::Store<State<T>>);

impl<T: fmt::Debug> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.data();
        f.debug_struct("Store").field("core", &state.core).field("data", &state.data).finish_non_exhaustive()
    }
}

impl<T> Store<T> {
    /// An empty store, with the limits of the engine's [`Config`](crate::Config).
    pub fn new(engine: &Engine, data: T) -> Self {
        let mut store = wasmi::Store::new(engine.wasmi(), State::new(engine, data));
        store.limiter(|state| state);
        store.data_mut().settle();
        Self(store)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.0.data().engine
    }

    /// The host's data.
    pub fn data(&self) -> &T {
        &self.0.data().data
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.0.data_mut().data
    }

    /// The host's data; all else is dropped.
    pub fn into_data(self) -> T {
        self.0.into_data().data
    }

    /// What the Component Model keeps: how much there is, its limits, its invariants.
    pub fn core(&self) -> &canon_async::Store<canon_async::Heap> {
        &self.0.data().core
    }

    /// The store as the core and the component crate see it.
    pub fn embedding(&mut self) -> Wx<'_, T> {
        Wx(self.0.as_context_mut())
    }

    /// Runs one thread that is ready; `false` where none is.
    ///
    /// # Errors
    /// `Trap`: that thread's trap. What it ran in is not entered again; calls into other components go on.
    pub fn tick(&mut self) -> Result<bool, Error> {
        self.embedding().look_outside()?;
        let result = canon_async::run::tick(&mut self.embedding());
        result.map_err(|error| self.embedding().explain(error))
    }

    /// Runs whatever is ready until nothing is, and waits for host functions that answer later: what calls
    /// leave behind once they have returned. Threads that wait for what never comes are left where they are.
    /// A guest that never stops keeps it here, up to its fuel, an interrupt or the deadline.
    ///
    /// # Errors
    /// `Trap`: that of a thread, as of [`Store::tick`]: what it ran in is not entered again, and calling this
    /// again goes on with the rest.
    pub fn run_to_idle(&mut self) -> Result<(), Error> {
        let mut turns: u32 = 0;
        loop {
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(TURNS) && self.core().unanswered() > 0 {
                self.poll_answers(&Context::from_waker(Waker::noop()))?;
            }
            if self.tick()? {
                continue;
            }
            if self.core().unanswered() == 0 {
                return Ok(());
            }
            let mut wx = self.embedding();
            if !wx.idle().map_err(|error| wx.explain(error))? {
                return Err(Error::misuse("a host function answers later, and this embedding can't wait"));
            }
        }
    }

    /// Polls the host functions that were woken: whether one answered.
    pub(crate) fn poll_answers(&mut self, context: &core::task::Context<'_>) -> Result<bool, Error> {
        let mut wx = self.embedding();
        wx.look_outside()?;
        wx.poll_later(context).map_err(|error| wx.explain(error))
    }

    /// How many guests are suspended in wasmi now, for tests and statistics.
    pub fn suspended(&self) -> usize {
        self.0.data().parked.len()
    }
}

/// What a host function gets: the store that called it.
pub struct Caller<'a, T: 'static>(pub(crate) Wx<'a, T>);

impl<T> fmt::Debug for Caller<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

impl<T> Caller<'_, T> {
    /// The host's data.
    pub fn data(&self) -> &T {
        &self.0.state().data
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.0.state_mut().data
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.0.state().engine
    }

    /// What the Component Model keeps.
    pub fn core(&mut self) -> &canon_async::Store<canon_async::Heap> {
        self.0.store()
    }
}

/// A [`Store`], or the [`Caller`] of a host function, to look at.
pub trait AsContext {
    /// The host's data.
    type Data: 'static;

    #[doc(hidden)]
    fn context(&self) -> StoreContext<'_, State<Self::Data>>;
}

/// A [`Store`], or the [`Caller`] of a host function.
pub trait AsContextMut: AsContext {
    #[doc(hidden)]
    fn wx(&mut self) -> Wx<'_, Self::Data>;

    /// Makes a resource that the host owns, for a [`Val::Resource`](crate::Val::Resource): of a type that
    /// [`Linker::resource`](crate::Linker::resource) defined, with any representation.
    ///
    /// # Errors
    /// A limit; `Misuse` for a type of no host, and before anything was instantiated.
    fn new_resource(&mut self, ty: ResourceId, rep: u32) -> Result<u32, Error> {
        let mut wx = self.wx();
        let made = run::builtin(&mut wx, Builtin::ResourceNew(ty), &[rep.into()]);
        made.map(|handle| handle as u32).map_err(|error| wx.explain(error))
    }

    /// The representation of a resource that the host holds and whose type it defined.
    ///
    /// # Errors
    /// `Misuse` where it holds none of this handle, or the type is a guest's.
    fn resource_rep(&mut self, handle: u32) -> Result<u32, Error> {
        let mut wx = self.wx();
        let held = wx.store().host_resource(handle);
        let rep =
            held.and_then(|held| run::builtin(&mut wx, Builtin::ResourceRep(held.ty), &[handle.into()]));
        rep.map(|rep| rep as u32).map_err(|error| wx.explain(error))
    }

    /// Drops a resource that the host holds: its destructor runs now, where the host owned it.
    ///
    /// # Errors
    /// `Misuse` where it holds none of this handle; `Trap` where it is lent, and the destructor's.
    fn drop_resource(&mut self, handle: u32) -> Result<(), Error> {
        let mut wx = self.wx();
        let held = wx.store().host_resource(handle);
        let dropped =
            held.and_then(|held| run::builtin(&mut wx, Builtin::ResourceDrop(held.ty), &[handle.into()]));
        dropped.map(drop).map_err(|error| wx.explain(error))
    }

    /// 📝 Makes an error context, for a [`Val::ErrorContext`](crate::Val::ErrorContext). The host holds it
    /// until it drops it, whoever else gets it. Of a long message as much is kept as
    /// [`Limits`](crate::Limits) say.
    ///
    /// # Errors
    /// A limit; `Misuse` before anything was instantiated.
    fn new_error_context(&mut self, message: &str) -> Result<u32, Error> {
        let mut wx = self.wx();
        wx.store().host_error_context(message).map_err(|error| wx.explain(error))
    }

    /// 📝 The message of an error context that the host holds.
    ///
    /// # Errors
    /// `Misuse` where it holds none of this handle.
    fn error_message(&mut self, handle: u32) -> Result<String, Error> {
        let mut wx = self.wx();
        let message = wx.store().host_error_message(handle).map(String::from);
        message.map_err(|error| wx.explain(error))
    }

    /// 📝 Drops an error context that the host holds: one that it made, or got in a value.
    ///
    /// # Errors
    /// `Misuse` where it holds none of this handle.
    fn drop_error_context(&mut self, handle: u32) -> Result<(), Error> {
        let mut wx = self.wx();
        wx.store().drop_host_error_context(handle).map_err(|error| wx.explain(error))
    }
}

impl<T> AsContext for Store<T> {
    type Data = T;

    fn context(&self) -> StoreContext<'_, State<T>> {
        wasmi::AsContext::as_context(&self.0)
    }
}

impl<T> AsContextMut for Store<T> {
    fn wx(&mut self) -> Wx<'_, T> {
        self.embedding()
    }
}

impl<T> AsContext for Caller<'_, T> {
    type Data = T;

    fn context(&self) -> StoreContext<'_, State<T>> {
        wasmi::AsContext::as_context(&self.0.0)
    }
}

impl<T> AsContextMut for Caller<'_, T> {
    fn wx(&mut self) -> Wx<'_, T> {
        Wx(self.0.0.as_context_mut())
    }
}

impl<C: AsContext> AsContext for &C {
    type Data = C::Data;

    fn context(&self) -> StoreContext<'_, State<C::Data>> {
        (**self).context()
    }
}

impl<C: AsContext> AsContext for &mut C {
    type Data = C::Data;

    fn context(&self) -> StoreContext<'_, State<C::Data>> {
        (**self).context()
    }
}

impl<C: AsContextMut> AsContextMut for &mut C {
    fn wx(&mut self) -> Wx<'_, C::Data> {
        (**self).wx()
    }
}
