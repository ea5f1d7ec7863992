//! What an engine gives: the [`Embedding`] trait, and how guest code answers.

use crate::error::Error;
use crate::id::{FuncRef, HostCall, MemoryRef, TableRef, TaskId, ThreadId};
use crate::storage::Profile;
use crate::store::Store;
use core::task::Context;
use core::time::Duration;

/// How a stretch of guest code ended, if it did not trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Outcome {
    /// The function returned; its result as raw bits, 0 where it has none.
    Returned(u64),
    /// A built-in answered [`Then::Suspend`]; the engine has set the thread's frames aside.
    Blocked,
}

/// How a built-in ended, if it did not trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
#[repr(u32)]
pub enum Then {
    /// Return to the guest with this value, as raw bits; 0 for a built-in without result.
    Value(u64),
    /// Set the calling thread's frames aside and unwind to [`Embedding::call`] or [`Embedding::resume`], which
    /// answers [`Outcome::Blocked`]. The thread is parked already; a later `resume` gives the built-in's result.
    Suspend,
}

/// The engine's side, as one parameter.
///
/// Every built-in and [`run`](crate::run) take `e: &mut impl Embedding`. The store sits wherever the engine
/// keeps it (under wasmi in the engine store's own data), so no reference into it lives across another
/// method of this trait.
///
/// **Values** are `u64`: an `i32` or `f32` is its bits zero-extended, an `i64` or `f64` its bits.
///
/// **Traps**: an engine that traps in core wasm answers `Err(Error::Trap(Trap::Engine(code)))`, and a trap
/// that a built-in gave it comes back as the same error.
pub trait Embedding {
    /// The profile of the store.
    type Profile: Profile;

    /// The store.
    fn store(&mut self) -> &mut Store<Self::Profile>;

    /// All bytes of a linear memory. Fetched again after everything that may run guest code.
    ///
    /// # Errors
    /// `Misuse` where there is no such memory.
    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error>;

    /// Calls a core function on a thread that has no frames; what blocks is kept under the thread's id.
    fn call(&mut self, thread: ThreadId, func: FuncRef, args: &[u64]) -> Result<Outcome, Error>;

    /// Resumes the frames kept for a thread: the built-in that suspended it returns `value`.
    fn resume(&mut self, thread: ThreadId, value: u64) -> Result<Outcome, Error>;

    /// Calls a core function that must not block: `realloc`, `post-return`. It can't, since
    /// the built-ins it may reach answer `Trap(CannotLeave)` or `Trap(CannotSuspend)`.
    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error>;

    /// Drops whatever is kept for a thread: frames, or the function that [`Embedding::thread_func`] or
    /// [`Embedding::thread_ref`] kept.
    /// Does nothing where there is nothing.
    fn discard(&mut self, thread: ThreadId);

    /// Fetches the function at `index` of a table for a new thread and keeps it under the thread's id.
    ///
    /// # Errors
    /// `Trap(UnknownTableElement)` past the end or for null; `Trap(ThreadFuncType)` where the function is not
    /// of the type that [`TableRef::start_type`] says.
    fn thread_func(&mut self, thread: ThreadId, table: TableRef, index: u64) -> Result<(), Error>;

    /// 🧵② Keeps a function for a new thread under the thread's id, as [`Embedding::thread_func`] does: for `thread.spawn-ref`,
    /// whose function the guest names by a reference. Its type has been checked by the guest's validation.
    ///
    /// # Errors
    /// `Misuse` where the engine gives references to functions to no built-in, which is the default.
    fn thread_ref(&mut self, thread: ThreadId, func: FuncRef) -> Result<(), Error> {
        let _ = (thread, func);
        Err(crate::message::Misuse::NoFuncRefs.into())
    }

    /// Calls the function that [`Embedding::thread_func`] or [`Embedding::thread_ref`] kept.
    fn start_thread(&mut self, thread: ThreadId, arg: u64) -> Result<Outcome, Error>;

    /// Whether frames can be set aside here. An engine that never can is legal: components with callbacks still
    /// run, and a blocking built-in is `Trap(CannotSuspend)`.
    fn can_suspend(&self) -> bool {
        true
    }

    /// Whether the engine has room for one more call between components, with all that it may run: native stack, a stack for
    /// the guest. Asked before each such call is begun, besides [`Limits::depth`](crate::Limits::depth), so that only the
    /// caller fails. By default it has, and the limit alone counts.
    ///
    /// # Errors
    /// `Capacity`; nothing has changed.
    fn check_call(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// A host call's task starts: write its flat arguments (as `flatten_functype` in the `lift` context has
    /// them, with [`MAX_FLAT_PARAMS`](crate::spec::MAX_FLAT_PARAMS)) to `args`; those that don't fit go to the host instance's
    /// memory, and their address to `args[0]`.
    fn host_args(&mut self, call: HostCall, args: &mut [u64]) -> Result<(), Error>;

    /// A host call's task resolved: its flat results, or `None` where it was cancelled. At most
    /// [`MAX_FLAT_PARAMS`](crate::spec::MAX_FLAT_PARAMS) of them; more are in the host instance's memory, at the address that is then the
    /// one value.
    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error>;

    /// A host call's task will never resolve: its instance trapped in another call.
    fn host_lost(&mut self, call: HostCall) {
        let _ = call;
    }

    /// A host function was to answer later ([`Store::answer_later`]), and nobody wants its answer any more. `true`: it is
    /// dropped, and will not answer; its caller sees it cancelled now. `false`, which is the default: it goes on, and
    /// answers.
    fn host_cancel(&mut self, thread: ThreadId) -> bool {
        let _ = thread;
        false
    }

    /// Threads have been running for a while, and host functions will answer later: those that can by now say so with
    /// [`Store::answer`]. Waits for nothing. By default nothing, for answers that come by themselves.
    ///
    /// # Errors
    /// The embedder's, which end [`run_until`](crate::run::run_until).
    fn poll_answers(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// [`Embedding::poll_answers`] for who drives the store as a future ([`ambient::until`](crate::ambient::until)): from now on a host
    /// function that can answer wakes `context`. `false`, which is the default: it can't say when it can.
    ///
    /// # Errors
    /// The embedder's, which end the future.
    fn poll_answers_with(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        let _ = context;
        Ok(false)
    }

    /// Nothing is ready, and host functions will answer later: waits until one may have (parks, sleeps), says so with
    /// [`Store::answer`], and answers `true`. It may do so where none has, as when the thread was unparked for another reason (a
    /// [`Signal`](crate::ambient::Signal)): it is asked again, but it must have waited. `false`, which is the default: it can't wait.
    ///
    /// # Errors
    /// The embedder's, which end [`run_until`](crate::run::run_until).
    fn idle(&mut self) -> Result<bool, Error> {
        Ok(false)
    }

    /// [`Embedding::idle`] for at most so long: `true` where it waited, whether or not somebody answered.
    ///
    /// # Errors
    /// The embedder's, which end the wait.
    fn idle_for(&mut self, most: Duration) -> Result<bool, Error> {
        let _ = most;
        Ok(false)
    }

    /// A thread ends in an error, which passes on to whoever resumed it: the first call is for the thread
    /// that ran when the error came up, the next for the one that stands below it on the native stack, and so
    /// on to the host. Its task and its callers are still in the store, and it is too, unless its call failed
    /// before it ran. By default nothing: it is for an engine that says where guests trap, which may look at
    /// the store and must not change it.
    fn trapped(&mut self, thread: ThreadId, error: Error) {
        let _ = (thread, error);
    }

    /// A task of a function type without `async` waits, and nothing of its instance can run: it is about to
    /// trap. All that waits is still in the store. By default nothing: it is for an engine that says who
    /// waits for what, which may look at the store and must not change it.
    fn blocked(&mut self, task: TaskId) {
        let _ = task;
    }

    /// Charges for work that a guest caused and whose size it chose, before the work is done: so many bytes
    /// that are about to be copied, validated or transcoded, and so many values that are about to be lifted
    /// and lowered one by one (elements of lists, and what they contain). An engine with fuel takes it here,
    /// and looks here whether somebody wants the guest to end: a call never stands for more than 64 KiB of
    /// bytes. By default work is free.
    ///
    /// Flat values cost nothing, so a call that passes no memory does not get here; and of the values in
    /// memory that are no list's elements the first 31 of a call are free.
    ///
    /// # Errors
    /// Why the work is not to be done, as [`Trap::Engine`](crate::Trap::Engine): it ends the guest that
    /// caused the work as a trap of its own code would.
    fn charge(&mut self, bytes: usize, elements: u32) -> Result<(), Error> {
        let _ = (bytes, elements);
        Ok(())
    }

    /// Copies bytes between memories, or within one (overlap-safe), at most 64 KiB of them. Both ranges have
    /// been checked. By default in chunks through the stack; an engine that knows better may do better.
    ///
    /// # Errors
    /// `Trap(OutOfBounds)` where a range does not lie in its memory.
    fn copy(
        &mut self,
        (to, to_at): (MemoryRef, usize),
        (from, from_at): (MemoryRef, usize),
        len: usize,
    ) -> Result<(), Error> {
        crate::abi::copy_in_chunks(self, (to, to_at), (from, from_at), len)
    }
}
