//! Signals: what an interrupt, or another thread of the operating system, tells the ambient store.
//!
//! [`Signal::signal`] touches neither the store nor the engine: it notes that the signal was given and wakes who waits, in a critical
//! section of some instructions. What is to be done then ([`Reaction`]) was said before, by [`Signal::arm`], and is done by whoever
//! drives the store next, in their place.
//!
//! ```text
//! idle ---arm---> armed ---signal---> given ---who drives the store---> idle, after its reaction
//!   +--signal--> given: kept for whoever arms it
//! ```
//!
//! A signal that is armed is somebody who will answer: while what it will end is not over, no wait is a deadlock.
//!
//! ```ignore-none
//! use canon_async::ambient::{Reaction, Signal};
//! use canon_async::prelude::*;
//!
//! static BUTTON: Signal = Signal::new();
//!
//! // An interrupt handler.
//! fn gpio() {
//!     BUTTON.signal();
//! }
//!
//! # fn main() -> Result<(), Error> {
//! let pressed = FutureHandle::new();
//! let set = WaitableSetBuiltins::waitable_set_new()?;
//! WaitableSetBuiltins::waitable_set_add(set, Waitable::Future(pressed.into()))?;
//! BUTTON.arm(Reaction::Complete(pressed, Some(ComponentValue::Bool(true))))?;
//! # gpio();
//! let entry = WaitableSetBuiltins::waitable_set_wait(set)?.ready();
//! assert_eq!(entry.map(|entry| entry.waitable), Some(Waitable::Future(Future {
//!     handle: pressed,
//!     state: FutureState::Ready(Some(ComponentValue::Bool(true))),
//! })));
//! # Ok(())
//! # }
//! ```

use super::table::Pool;
use super::{ComponentValue, Limits, capacity, host};
use crate::error::{Error, Resource};
use crate::id::{HostTaskId, SignalId};
use crate::storage::Key;
use crate::storage::cell::{Shared, shared};
use crate::task::{TaskBuiltins, TaskReturn};
use crate::waitable_set::FutureHandle;
use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::task::Waker;
use critical_section::{CriticalSection, Mutex};

/// What is done once a signal was given, by who drives the store and while nobody does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reaction {
    /// Completes a future: [`FutureHandle::complete`]. Nothing where it is over.
    Complete(FutureHandle, Option<ComponentValue>),
    /// Ends a task of the host's own: [`TaskBuiltins::task_return`]. Nothing where it has finished.
    Return(HostTaskId, TaskReturn),
    /// Runs this, which may complete what it likes, and arm the signal again. Its error is that of who drives the store.
    Run(fn() -> Result<(), Error>),
}

impl Reaction {
    fn check(&self, limits: &Limits) -> Result<(), Error> {
        match self {
            Self::Complete(_, value) => value.as_ref().map_or(Ok(()), |value| value.check(limits)),
            Self::Return(_, value) => value.as_component_value().map_or(Ok(()), |value| value.check(limits)),
            Self::Run(_) => Ok(()),
        }
    }

    /// Whether there is something left to do.
    fn is_live(&self) -> Result<bool, Error> {
        match self {
            Self::Complete(future, _) => future.is_open(),
            Self::Return(task, _) => {
                Ok(TaskBuiltins::task_state(*task).is_ok_and(|state| !state.is_finished()))
            }
            Self::Run(_) => Ok(true),
        }
    }

    fn run(self) -> Result<(), Error> {
        match self {
            Self::Complete(future, value) => future.complete(value),
            Self::Return(task, value) => TaskBuiltins::task_return(task, value),
            Self::Run(code) => code(),
        }
    }
}

/// Something that happens outside: an interrupt, a thread that is done. A static.
pub struct Signal {
    link: Mutex<Link>,
}

struct Link {
    /// It was given, and nothing was done about it.
    given: Cell<bool>,
    /// Where it is armed.
    at: Cell<Option<(Shared<Mailbox>, u32)>>,
}

impl Signal {
    /// A signal that is neither armed nor given.
    pub const fn new() -> Self {
        Self { link: Mutex::new(Link { given: Cell::new(false), at: Cell::new(None) }) }
    }

    /// Gives the signal: whoever waits for the ambient store in which it is armed is woken, and does what it is armed with. Given again before
    /// that, it is one; given while it is not armed, it is kept. From wherever one likes, also from interrupts. O(1).
    pub fn signal(&self) {
        let at = critical_section::with(|section| {
            let link = self.link.borrow(section);
            link.given.set(true);
            let at = link.at();
            if let Some((mailbox, index)) = &at {
                mailbox.set(section, *index, true);
            }
            at
        });
        if let Some((mailbox, _)) = at {
            mailbox.wake();
        }
    }

    /// Says what is to be done once the signal is given, or has been already; one time. O(1).
    ///
    /// # Errors
    /// `Capacity(Signals | TextBytes | ListItems)`; `Misuse` where it is armed already, or the future or task is not there or is over, or while
    /// the store is driven. Nothing is changed.
    pub fn arm(&'static self, reaction: Reaction) -> Result<(), Error> {
        let limits = super::limits()?;
        reaction.check(&limits)?;
        if !reaction.is_live()? {
            return Err(Error::Misuse("what the signal is to end is over, or can't be ended by the host"));
        }
        let mailbox = mailbox()?;
        let given = host(|host| host.signal.arm(self, reaction, &mailbox, limits.signals))??;
        if given {
            mailbox.wake();
        }
        Ok(())
    }

    /// Takes back what is to be done, and forgets that the signal was given. O(1).
    ///
    /// # Errors
    /// `Misuse` where it is armed in the ambient store of another thread of the operating system, or the host's state is in use.
    pub fn disarm(&self) -> Result<(), Error> {
        let mailbox = mailbox()?;
        host(|host| {
            let at = critical_section::with(|section| self.link.borrow(section).at());
            match at {
                Some((other, _)) if !other.is(&mailbox) => {
                    Err(Error::Misuse("the signal is armed in another thread's ambient store"))
                }
                Some((_, index)) => {
                    host.signal.take(index);
                    Ok(())
                }
                None => {
                    self.unlink();
                    Ok(())
                }
            }
        })?
    }

    /// Whether it is armed. O(1).
    pub fn is_armed(&self) -> bool {
        critical_section::with(|section| self.link.borrow(section).at()).is_some()
    }

    /// Neither armed nor given.
    fn unlink(&self) {
        // What it frees is freed outside of the critical section.
        let _at = critical_section::with(|section| {
            let link = self.link.borrow(section);
            link.given.set(false);
            let at = link.at.take();
            if let Some((mailbox, index)) = &at {
                mailbox.set(section, *index, false);
            }
            at
        });
    }
}

impl Link {
    fn at(&self) -> Option<(Shared<Mailbox>, u32)> {
        let at = self.at.take();
        self.at.set(at.clone());
        at
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("is_armed", &self.is_armed()).finish_non_exhaustive()
    }
}

/// Who waits.
type Place = Cell<Option<Waker>>;

/// What reaches an ambient store from outside: which of its signals were given, and who waits.
pub(crate) struct Mailbox {
    /// A bit for each armed signal. Changed in critical sections, and looked at outside.
    given: [AtomicU32; capacity::SIGNALS.div_ceil(32)],
    waiting: AtomicBool,
    /// Futures, and last the thread of the operating system that drives the store.
    waiters: Mutex<[Place; capacity::WAITERS + 1]>,
}

shared! {
    /// The mailbox of the ambient store.
    pub(crate) fn mailbox() -> Mailbox = Mailbox::new()
}

impl Mailbox {
    const fn new() -> Self {
        Self {
            given: [const { AtomicU32::new(0) }; capacity::SIGNALS.div_ceil(32)],
            waiting: AtomicBool::new(false),
            waiters: Mutex::new([const { Cell::new(None) }; capacity::WAITERS + 1]),
        }
    }

    fn set(&self, _: CriticalSection<'_>, index: u32, given: bool) {
        let Some(word) = self.given.get(index as usize / 32) else { return };
        let (old, bit) = (word.load(Ordering::Relaxed), 1u32.wrapping_shl(index));
        word.store(if given { old | bit } else { old & !bit }, Ordering::Release);
    }

    /// A signal that was given, if there is one. O(words).
    fn given(&self) -> Option<u32> {
        (0..u32::MAX).zip(&self.given).find_map(|(at, word)| match word.load(Ordering::Acquire) {
            0 => None,
            word => Some(at.saturating_mul(32).saturating_add(word.trailing_zeros())),
        })
    }

    /// Whoever waits looks again.
    pub(crate) fn wake(&self) {
        if !self.waiting.load(Ordering::Relaxed) {
            return;
        }
        let woken = critical_section::with(|section| {
            self.waiting.store(false, Ordering::Relaxed);
            self.waiters.borrow(section).each_ref().map(Cell::take)
        });
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    /// A future waits from now on, until somebody is woken. What was given before, it has to look for. One waker takes one place.
    ///
    /// # Errors
    /// `Capacity(Waiters)`.
    pub(crate) fn wait(&self, waker: &Waker) -> Result<(), Error> {
        self.enter(waker, |(_, futures)| futures)
    }

    /// This thread of the operating system waits from now on, as in [`Mailbox::wait`].
    #[cfg(feature = "std")]
    pub(crate) fn wait_thread(&self, waker: &Waker) -> Result<(), Error> {
        self.enter(waker, |(thread, _)| core::slice::from_ref(thread))
    }

    fn enter(
        &self,
        waker: &Waker,
        places: for<'a> fn((&'a Place, &'a [Place])) -> &'a [Place],
    ) -> Result<(), Error> {
        let mut new = Some(waker.clone());
        let _before = critical_section::with(|section| {
            self.waiting.store(true, Ordering::Relaxed);
            let places = self.waiters.borrow(section).split_last().map_or(&[][..], places);
            let is_own = |place: &&Place| {
                let old = place.take();
                let own = old.as_ref().is_none_or(|old| old.will_wake(waker));
                place.set(old);
                own
            };
            places.iter().find(is_own).and_then(|place| place.replace(new.take()))
        });
        if new.is_some() { Err(Error::capacity(Resource::Waiters)) } else { Ok(()) }
    }

    /// Who waited looks now.
    pub(crate) fn forget(&self, waker: &Waker) {
        let _own = critical_section::with(|section| {
            self.waiters.borrow(section).each_ref().map(|place| {
                let old = place.take();
                let own = old.as_ref().is_some_and(|old| old.will_wake(waker));
                let (own, other) = if own { (old, None) } else { (None, old) };
                place.set(other);
                own
            })
        });
    }
}

/// A signal, and what it does.
struct Armed {
    signal: &'static Signal,
    reaction: Reaction,
}

/// The signals that are armed in an ambient store.
pub(crate) struct State {
    armed: Pool<SignalId, Armed, { capacity::SIGNALS }>,
}

impl State {
    pub(crate) const fn new() -> Self {
        Self { armed: Pool::new() }
    }

    /// Disarms them all.
    pub(crate) fn reset(&mut self) {
        for index in 0..self.armed.slab().slots_in_use() {
            self.take(index);
        }
        self.armed.reset();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.armed.len() == 0
    }

    /// Arms a signal; whether it was given.
    fn arm(
        &mut self,
        signal: &'static Signal,
        reaction: Reaction,
        mailbox: &Shared<Mailbox>,
        limit: u32,
    ) -> Result<bool, Error> {
        let id = self.armed.insert(Armed { signal, reaction }, limit, Resource::Signals)?;
        let (index, mailbox) = (Key::index(id), mailbox.clone());
        let given = critical_section::with(|section| {
            let link = signal.link.borrow(section);
            if link.at().is_some() {
                return None;
            }
            let given = link.given.get();
            mailbox.set(section, index, given);
            link.at.set(Some((mailbox, index)));
            Some(given)
        });
        if given.is_none() {
            self.armed.remove(id);
        }
        given.ok_or(Error::Misuse("the signal is armed already"))
    }

    fn get(&self, index: u32) -> Option<&Armed> {
        self.armed.get(self.armed.key_at(index)?)
    }

    /// Takes what is at an index; the signal is neither armed nor given then.
    fn take(&mut self, index: u32) -> Option<Armed> {
        let armed = self.armed.remove(self.armed.key_at(index)?)?;
        armed.signal.unlink();
        Some(armed)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.reset();
    }
}

/// Does what the signals that were given are armed with; whether there were some. O(these).
///
/// # Errors
/// Those of the reactions. What there is no room for stays given.
pub(crate) fn react() -> Result<bool, Error> {
    let mailbox = mailbox()?;
    let mut did = false;
    // One that its reaction arms and gives again has its turn the next time.
    for _ in 0..capacity::SIGNALS {
        let Some(index) = mailbox.given() else { break };
        did = true;
        let Some(Armed { signal, reaction }) = host(|host| host.signal.take(index))? else { continue };
        if !reaction.is_live()? {
            continue;
        }
        let again = if let Reaction::Run(_) = reaction { None } else { Some(reaction.clone()) };
        let done = reaction.run();
        if let (Err(Error::Capacity(_)), Some(again)) = (&done, again) {
            signal.arm(again)?;
            signal.signal();
        }
        done?;
    }
    Ok(did)
}

/// Whether a signal may end something. Those whose future or task is over are armed no more. O(armed signals).
pub(crate) fn will_answer() -> Result<bool, Error> {
    let slots = host(|host| host.signal.armed.slab().slots_in_use())?;
    for index in 0..slots {
        let reaction = host(|host| host.signal.get(index).map(|armed| armed.reaction.clone()))?;
        match reaction {
            None => {}
            Some(reaction) if reaction.is_live()? => return Ok(true),
            Some(_) => {
                host(|host| host.signal.take(index))?;
            }
        }
    }
    Ok(false)
}

/// Something may have happened: whoever waits for the store looks.
pub(crate) fn changed() {
    if let Ok(mailbox) = mailbox() {
        mailbox.wake();
    }
}

/// Whether a signal was given that is armed in this ambient store. A [`Clock`](crate::clock::Clock) asks in the critical section in which it puts the core
/// to sleep, so that none is missed that was given just before. O(1).
pub fn is_signalled() -> bool {
    mailbox().is_ok_and(|mailbox| mailbox.given().is_some())
}
