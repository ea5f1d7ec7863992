//! Guests that are suspended, by thread.
//!
//! A continuation of wasmi may be resumed on its own store alone (on another wasmi panics), so they lie in
//! the data of that store and never leave it but to be resumed on it.

use alloc::vec::Vec;

use canon_async::Error;
use canon_async::id::{FuncRef, ThreadId};
use wasmi::{Func, ResumableCall, ResumableCallHostTrap, ResumableCallOutOfFuel, StoreContextMut, Val};
#[cfg(feature = "std")]
use wasmi::{TypedResumableCall, TypedResumableCallHostTrap, TypedResumableCallOutOfFuel};

use crate::budget::Payer;
use crate::embedding::to_bits;
use crate::later::{Answer, Due, Later};
use crate::state::State;

/// Frames of a guest below a built-in that has not answered yet.
pub(crate) enum Frames {
    /// Their root has a result, or not.
    Any(ResumableCallHostTrap, bool),
    #[cfg(feature = "std")]
    Unit(TypedResumableCallHostTrap<()>),
    #[cfg(feature = "std")]
    Word(TypedResumableCallHostTrap<u32>),
}

/// How a stretch of wasm ended that did not trap in wasm.
pub(crate) enum Ran {
    Returned(u64),
    /// A host function failed, or blocks.
    Stopped(Frames),
    /// wasmi has too little fuel to go on.
    Starved(Starved),
}

/// Frames of a guest at an instruction that wasmi has too little fuel for.
pub(crate) enum Starved {
    /// Their root has a result, or not.
    Any(ResumableCallOutOfFuel, bool),
    #[cfg(feature = "std")]
    Unit(TypedResumableCallOutOfFuel<()>),
    #[cfg(feature = "std")]
    Word(TypedResumableCallOutOfFuel<u32>),
}

impl Starved {
    /// How much fuel the instruction takes.
    pub fn needed(&self) -> u64 {
        match self {
            Self::Any(frames, _) => frames.required_fuel(),
            #[cfg(feature = "std")]
            Self::Unit(frames) => frames.required_fuel(),
            #[cfg(feature = "std")]
            Self::Word(frames) => frames.required_fuel(),
        }
    }

    /// Goes on with what wasmi has now.
    pub fn resume<T>(self, ctx: StoreContextMut<'_, State<T>>) -> Result<Ran, wasmi::Error> {
        match self {
            Self::Any(frames, result) => Ran::of(result, |out| frames.resume(ctx, out)),
            #[cfg(feature = "std")]
            Self::Unit(frames) => frames.resume(ctx).map(Ran::of_typed),
            #[cfg(feature = "std")]
            Self::Word(frames) => frames.resume(ctx).map(Ran::of_typed),
        }
    }
}

impl Frames {
    /// What the host function said.
    pub fn host_error(&self) -> &wasmi::Error {
        match self {
            Self::Any(frames, _) => frames.host_error(),
            #[cfg(feature = "std")]
            Self::Unit(frames) => frames.host_error(),
            #[cfg(feature = "std")]
            Self::Word(frames) => frames.host_error(),
        }
    }

    /// The host function answers `value`. What suspends is packed: its answer is one `i64`, whatever its
    /// guest sees.
    pub fn resume<T>(self, ctx: StoreContextMut<'_, State<T>>, value: u64) -> Result<Ran, wasmi::Error> {
        let value = [Val::I64(value as i64)];
        match self {
            Self::Any(frames, result) => Ran::of(result, |out| frames.resume(ctx, &value, out)),
            #[cfg(feature = "std")]
            Self::Unit(frames) => frames.resume(ctx, &value).map(Ran::of_typed),
            #[cfg(feature = "std")]
            Self::Word(frames) => frames.resume(ctx, &value).map(Ran::of_typed),
        }
    }
}

impl Ran {
    /// Runs a function with a result, or without.
    pub fn of(
        result: bool,
        run: impl FnOnce(&mut [Val]) -> Result<ResumableCall, wasmi::Error>,
    ) -> Result<Self, wasmi::Error> {
        let mut out = [Val::I32(0)];
        let call = run(out.get_mut(..usize::from(result)).unwrap_or(&mut []))?;
        let [out] = out;
        Ok(match call {
            ResumableCall::Finished => Self::Returned(to_bits(&out)),
            ResumableCall::HostTrap(frames) => Self::Stopped(Frames::Any(frames, result)),
            ResumableCall::OutOfFuel(frames) => Self::Starved(Starved::Any(frames, result)),
        })
    }

    /// How a function of one of the commonest types ended.
    #[cfg(feature = "std")]
    pub fn of_typed<R: crate::typed::Answer>(call: TypedResumableCall<R>) -> Self {
        match call {
            TypedResumableCall::Finished(answer) => Self::Returned(answer.bits()),
            TypedResumableCall::HostTrap(frames) => Self::Stopped(R::frames(frames)),
            TypedResumableCall::OutOfFuel(frames) => Self::Starved(R::starved(frames)),
        }
    }
}

/// What is kept for a thread that does not run.
pub(crate) enum Parked {
    /// With the root that its stack counts to, and the function at which it was entered, if that is one of a
    /// reference.
    Frames(Frames, Payer, Option<FuncRef>),
    /// A function that was not called yet.
    Func(Func),
    /// A host function that has not answered.
    Later(Later),
    /// One that has.
    Answer(Answer, Due),
}

/// At most one for each thread of the store. Slots are as many as there ever were threads at once.
pub(crate) struct Continuations {
    slots: Vec<Option<(ThreadId, Parked)>>,
    len: usize,
}

impl Continuations {
    pub fn new() -> Self {
        Self { slots: Vec::new(), len: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Keeps something for a thread that has nothing yet.
    ///
    /// # Errors
    /// `Bug`: there is something already, of this thread or of one that is gone.
    pub fn park(&mut self, thread: ThreadId, parked: Parked) -> Result<(), Error> {
        if self.slots.len() <= thread.index() {
            self.slots.resize_with(thread.index().saturating_add(1), || None);
        }
        match self.slots.get_mut(thread.index()) {
            Some(slot @ None) => {
                *slot = Some((thread, parked));
                self.len = self.len.saturating_add(1);
                Ok(())
            }
            _ => Err(Error::Bug("a thread was parked over another")),
        }
    }

    /// Takes the host function that has not answered, if one is kept for the thread.
    ///
    /// # Errors
    /// `Bug`: there is nothing, or something else.
    pub fn take_later(&mut self, thread: ThreadId) -> Result<Parked, Error> {
        match self.slots.get(thread.index()) {
            Some(Some((owner, Parked::Later(_)))) if *owner == thread => self.take(thread),
            _ => Err(Error::Bug("no host function that has not answered")),
        }
    }

    /// Takes what is kept for a thread.
    ///
    /// # Errors
    /// `Bug`: there is nothing, or it is another thread's.
    pub fn take(&mut self, thread: ThreadId) -> Result<Parked, Error> {
        let slot = self.slots.get_mut(thread.index());
        match slot.and_then(|slot| slot.take_if(|(owner, _)| *owner == thread)) {
            Some((_, parked)) => {
                self.len = self.len.saturating_sub(1);
                Ok(parked)
            }
            None => Err(Error::Bug("a thread was resumed that is not parked")),
        }
    }
}
