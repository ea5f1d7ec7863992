//! [`Instance`], [`Func`] and [`Call`].

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::future::Future;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll};

use canon_async::id::{HostCall, InstanceId, LiftId, TaskId};
use canon_async::{Embedding as _, Limits, Trap, run};
use canon_async_component::host::CallState;
use canon_async_component::types::{FuncType, TypeTable};
use canon_async_component::{Val, ValError, instance};

use crate::error::Error;
use crate::state::StoreId;
use crate::store::{AsContext, AsContextMut, Store};

const OTHER_STORE: &str = "something of another store";

/// What an instance exports.
pub type Extern = instance::Extern<wasmi::Module>;

/// An instance of a component. It lives in its store; this is what it exports.
#[derive(Clone, Debug)]
pub struct Instance {
    pub(crate) store: StoreId,
    pub(crate) inner: instance::Instance<wasmi::Module>,
    pub(crate) modules: Range<u32>,
}

impl Instance {
    /// The function at a path: `name`, or `instance#name` for one in an instance that it exports. `None`
    /// where there is none, or where the instance is of another store.
    pub fn func(&self, ctx: impl AsContext, path: &str) -> Option<Func> {
        if ctx.context().data().id != self.store {
            return None;
        }
        Some(Func { store: self.store, inner: self.inner.func(path)?.clone() })
    }

    /// Sets how much it may hold, in place of [`Config::root_limits`](crate::Config::root_limits). What it holds already
    /// stays, and counts. O(1).
    ///
    /// # Errors
    /// `Misuse` where it is of another store.
    pub fn set_limits(&self, mut ctx: impl AsContextMut, limits: Limits) -> Result<(), Error> {
        let mut wx = ctx.wx();
        if wx.state_mut().id != self.store {
            return Err(Error::misuse(OTHER_STORE));
        }
        Ok(wx.store().set_limits_of(self.inner.root(), limits)?)
    }

    /// The core's id of its root component instance: what [`Store::core`](crate::Store::core) shows is by
    /// such ids.
    pub fn root(&self) -> InstanceId {
        self.inner.root()
    }

    /// What it exports at a path.
    pub fn get(&self, path: &str) -> Option<&Extern> {
        self.inner.get(path)
    }

    /// Everything that it exports.
    pub fn exports(&self) -> &BTreeMap<String, Extern> {
        self.inner.exports()
    }

    /// The numbers of the core instances that were made for it, in the order in which the component makes them: see
    /// [`ambient`](crate::ambient). None where its store is not the ambient one.
    pub fn modules(&self) -> Range<u32> {
        self.modules.clone()
    }

    /// The types that its exports mention.
    pub fn types(&self) -> &TypeTable {
        &self.inner.types().table
    }
}

/// A component function.
#[derive(Clone, Debug)]
pub struct Func {
    store: StoreId,
    inner: instance::Func,
}

impl Func {
    /// The core's id of it: [`Task::lift`](canon_async::state::Task::lift) of its calls.
    pub fn lift(&self) -> LiftId {
        self.inner.lift()
    }

    /// Its type.
    pub fn ty(&self) -> &FuncType {
        self.inner.ty()
    }

    /// The types that [`Func::ty`] mentions.
    pub fn types(&self) -> &TypeTable {
        &self.inner.types().table
    }

    /// Calls it, and runs whatever is ready until it has returned. In a host function it has to return
    /// without that: there nothing else may run.
    ///
    /// # Errors
    /// `Value`: the arguments are not of its type. `Trap`: its trap or that of something else that ran; a
    /// deadlock, where nothing is ready and it has not returned (the call stays, and is forgotten); a limit.
    /// `Cancelled`.
    pub fn call(&self, mut ctx: impl AsContextMut, args: &[Val]) -> Result<Option<Val>, Error> {
        self.start(&mut ctx, args)?.result(ctx)
    }

    /// Calls it, and drives the store until it has returned, as a future. Dropping that cancels the call.
    ///
    /// # Errors
    /// `Value`: the arguments are not of its type; what the call itself fails with, the future answers.
    pub fn call_async<'a, T>(
        &self,
        store: &'a mut Store<T>,
        args: &[Val],
    ) -> Result<CallFuture<'a, T>, Error> {
        let call = self.start(&mut *store, args)?;
        Ok(CallFuture { store, call: Some(call) })
    }

    /// Starts a call, which runs until it blocks; [`Store::tick`](crate::Store::tick) goes on with it.
    ///
    /// # Errors
    /// As [`Func::call`].
    pub fn start(&self, mut ctx: impl AsContextMut, args: &[Val]) -> Result<Call, Error> {
        let mut wx = ctx.wx();
        let state = wx.state_mut();
        if state.id != self.store {
            return Err(Error::misuse(OTHER_STORE));
        }
        wx.look_outside()?;
        let number = wx.state_mut().host_calls.start(&self.inner, args.to_vec())?;
        match run::call(&mut wx, self.lift(), number) {
            Ok(task) => Ok(Call { store: self.store, task, number, taken: false }),
            Err(error) => {
                wx.state_mut().host_calls.remove(number);
                Err(wx.explain(error))
            }
        }
    }
}

/// A call as a future, which drives its store: ticks while something is ready, then polls host functions that answer later.
/// Dropped before it is ready, it cancels the call, and the store goes on without it.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct CallFuture<'a, T: 'static> {
    store: &'a mut Store<T>,
    call: Option<Call>,
}

/// How many turns of the scheduler one poll takes before others of its executor have theirs.
const TURNS: u32 = 1000;

impl<T> CallFuture<'_, T> {
    /// The store, between two polls: whoever polls gives its guests [fuel](Store::set_fuel) for each, say.
    pub fn store(&mut self) -> &mut Store<T> {
        self.store
    }

    fn drive(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Val>, Error>> {
        let polled_twice = || Error::misuse("a call was polled after it had returned");
        // A guest that yields until its answer is there leaves the store never idle.
        self.store.poll_answers(context)?;
        for _ in 0..TURNS {
            let call = self.call.as_mut().ok_or_else(polled_twice)?;
            if let Poll::Ready(val) = call.poll(&mut *self.store)? {
                return Poll::Ready(Ok(val));
            }
            if self.store.tick()? {
                continue;
            }
            if self.store.core().unanswered() == 0 {
                return Poll::Ready(Err(Error::plain(Trap::Deadlock.into())));
            }
            if !self.store.poll_answers(context)? {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T> Future for CallFuture<'_, T> {
    type Output = Result<Option<Val>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = self.drive(context);
        if let Poll::Ready(result) = &result
            && let Some(call) = self.call.take()
            && result.is_err()
        {
            call.forget(&mut *self.store);
        }
        result
    }
}

impl<T> Drop for CallFuture<'_, T> {
    fn drop(&mut self) {
        if let Some(mut call) = self.call.take() {
            // A trap of the guest when it is told is nobody's any more.
            let _ = call.cancel(&mut *self.store);
            call.forget(&mut *self.store);
        }
    }
}

/// A call of the host that was started. One that nobody asks for its result keeps a place in its store:
/// [`Call::forget`] gives it back.
#[derive(Debug)]
#[must_use = "a call that is not asked for its result has to be forgotten: Call::forget"]
pub struct Call {
    store: StoreId,
    task: TaskId,
    number: HostCall,
    taken: bool,
}

impl Call {
    /// The result, if the call has returned. Runs nothing.
    ///
    /// # Errors
    /// `Trap(CannotEnter)` where its instance trapped in another call, so that it will never return;
    /// `Cancelled`; `Value` where the result could not be decoded; `Misuse` once the result was taken, or
    /// with another store.
    pub fn poll(&mut self, mut ctx: impl AsContextMut) -> Result<Poll<Option<Val>>, Error> {
        let mut wx = ctx.wx();
        let state = wx.state_mut();
        if state.id != self.store {
            return Err(Error::misuse(OTHER_STORE));
        }
        if self.taken {
            return Err(Error::misuse("the result of a call was taken twice"));
        }
        if !state.core.is_resolved(self.task) {
            return Ok(Poll::Pending);
        }
        self.taken = true;
        match state.host_calls.remove(self.number) {
            Some(CallState::Returned(val)) => Ok(Poll::Ready(val)),
            Some(CallState::Failed(ValError::Core(error))) => Err(wx.explain(error)),
            Some(CallState::Failed(error)) => Err(Error::Value(error)),
            Some(CallState::Cancelled) => Err(Error::Cancelled),
            // `Lost`, or a state that no resolved call is in.
            Some(_) | None => Err(Error::plain(Trap::CannotEnter.into())),
        }
    }

    /// Runs whatever is ready until the call has returned.
    ///
    /// # Errors
    /// As [`Func::call`] and [`Call::poll`].
    pub fn result(mut self, mut ctx: impl AsContextMut) -> Result<Option<Val>, Error> {
        if let Poll::Ready(val) = self.poll(&mut ctx)? {
            return Ok(val);
        }
        let mut wx = ctx.wx();
        if let Err(error) = run::run_until(&mut wx, self.task) {
            let error = wx.explain(error);
            self.forget(ctx);
            return Err(error);
        }
        match self.poll(ctx)? {
            Poll::Ready(val) => Ok(val),
            Poll::Pending => Err(Error::plain(canon_async::Error::Bug("a resolved call is pending"))),
        }
    }

    /// Asks for its cancellation; nothing where it has returned. It ends now or later, and may still return a
    /// value.
    ///
    /// # Errors
    /// `Trap`: of the guest, when it is told; `Misuse` with another store.
    pub fn cancel(&mut self, mut ctx: impl AsContextMut) -> Result<(), Error> {
        let mut wx = ctx.wx();
        if wx.state_mut().id != self.store {
            return Err(Error::misuse(OTHER_STORE));
        }
        run::cancel(&mut wx, self.task).map_err(|error| wx.explain(error))
    }

    /// Nobody will ask for the result. The call goes on.
    pub fn forget(self, mut ctx: impl AsContextMut) {
        let mut wx = ctx.wx();
        if wx.state_mut().id != self.store || self.taken {
            return;
        }
        wx.state_mut().host_calls.abandon(self.number);
    }
}
