//! Waiting for what happens in the ambient store: in place, or as a future.

use super::{Tier, clock, drive_quietly, signal};
use crate::embedding::Embedding;
use crate::error::Error;
use crate::run::TURNS;
use crate::task;
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

/// How a wait ended.
pub(crate) enum Waited<T> {
    /// It found what it waited for.
    Done(T),
    /// Its deadline is past.
    Timeout,
    /// Nothing can end it, and it has no deadline.
    Deadlock,
}

/// Drives the store until `poll` finds what it looks for. What is ready runs, one thread a turn, and the deadline is looked at after each; one that is
/// past leaves one turn.
///
/// A deadline ends every wait that has one, also where nothing else can: the clock waits while nothing is in use, so what it runs, or an interrupt,
/// may bring what nobody here knows of. So a deadlock is told at once only where there is none.
pub(crate) fn wait<T>(
    deadline: Option<Duration>,
    mut poll: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<Waited<T>, Error> {
    let _leaving = Leaving;
    // Since it last slept.
    let mut turns = 0u32;
    loop {
        if let Some(done) = poll()? {
            return Ok(Waited::Done(done));
        }
        let over = left(deadline)? == Some(Duration::ZERO);
        if over && turns > 0 {
            return Ok(Waited::Timeout);
        }
        // Guests that are always ready leave the store never idle.
        if turns.is_multiple_of(TURNS) {
            ask_engine(|e| e.poll_answers())?;
        }
        turns = turns.wrapping_add(1).max(1);
        if task::turn()? || ask_engine(|e| e.poll_answers())? {
            continue;
        }
        if over {
            return Ok(Waited::Timeout);
        }
        if !sleep(deadline)? {
            return Ok(Waited::Deadlock);
        }
        turns = 0;
    }
}

/// Runs one thread that is ready; `false` where none is.
pub(crate) fn tick() -> Result<bool, Error> {
    let _leaving = Leaving;
    ask_engine(|e| e.poll_answers())?;
    task::turn()
}

/// Host functions that can answer now do; whether one did.
fn ask_engine(
    ask: impl FnOnce(&mut dyn Embedding<Profile = Tier>) -> Result<(), Error>,
) -> Result<bool, Error> {
    drive_quietly(|e| {
        let before = e.store().unanswered();
        if before > 0 {
            ask(e)?;
        }
        Ok(e.store().unanswered() < before)
    })?
}

/// The time until a deadline.
fn left(deadline: Option<Duration>) -> Result<Option<Duration>, Error> {
    deadline.map(|deadline| Ok(crate::clock::left(deadline, super::now()?))).transpose()
}

/// Nothing is ready: waits until something may be, or the deadline is past. `false` where nothing ever will be.
fn sleep(deadline: Option<Duration>) -> Result<bool, Error> {
    let (unanswered, signals) = (super::core(|core| core.store.unanswered())? > 0, signal::will_answer()?);
    if deadline.is_none() && !unanswered && !signals {
        return Ok(false);
    }
    #[cfg(feature = "std")]
    let _listening = Listening::begin()?;
    if signal::is_signalled() {
        return Ok(true);
    }
    // A clock that only its own waits move would never reach the deadline while the engine waits.
    let left = left(deadline)?.filter(|left| !left.is_zero());
    let engine = unanswered && (deadline.is_none() || left.is_some() && clock()?.goes_on());
    let waited = engine
        && drive_quietly(|e| match left {
            Some(left) => e.idle_for(left),
            None => e.idle(),
        })??;
    match deadline {
        _ if waited => {}
        Some(deadline) => super::wait_until(deadline)?,
        None if unanswered && !signals => {
            return Err(Error::Misuse("a host function will answer later, and the engine does not wait"));
        }
        None => await_signal()?,
    }
    Ok(true)
}

/// While it lives, whoever gives a signal unparks this thread.
#[cfg(feature = "std")]
struct Listening(core::task::Waker);

#[cfg(feature = "std")]
impl Listening {
    fn begin() -> Result<Self, Error> {
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
        signal::mailbox()?.wait_thread(&waker)?;
        Ok(Self(waker))
    }
}

#[cfg(feature = "std")]
impl Drop for Listening {
    fn drop(&mut self) {
        if let Ok(mailbox) = signal::mailbox() {
            mailbox.forget(&self.0);
        }
    }
}

/// Waits for a signal, or a shorter time.
#[cfg(feature = "std")]
fn await_signal() -> Result<(), Error> {
    std::thread::park();
    Ok(())
}

/// Waits for a signal, or a shorter time.
#[cfg(not(feature = "std"))]
fn await_signal() -> Result<(), Error> {
    super::wait_until(Duration::MAX)
}

/// Whom an engine was to wake it may have forgotten for somebody who waits no more: they look again.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        signal::changed();
    }
}

/// Drives the ambient store until `poll` finds what it looks for, as a future: it is pending while nothing is ready, and woken by [`Signal`](super::Signal)s, by
/// host functions of the engine that can answer ([`Embedding::poll_answers_with`](crate::Embedding::poll_answers_with)), and by who uses the store otherwise:
/// nobody polls in between. So one or more of these can wait in the tasks of one executor. After some turns it lets others of the executor have theirs.
///
/// `poll` looks, as [`TaskBuiltins::task_poll`](crate::task::TaskBuiltins::task_poll) and
/// [`WaitableSetBuiltins::waitable_set_poll`](crate::waitable_set::WaitableSetBuiltins::waitable_set_poll) do, and drives nothing. That nothing can end the wait
/// is not told, since another task of the executor may. Deadlines are the executor's.
///
/// # Errors
/// `Capacity(Waiters)` where as many wait already; those of `poll`; the trap of a call that is no task of the host's; those of reactions; `Misuse` while the store is driven, or where a host function will
/// answer and the engine can't wake who waits.
pub fn until<T>(
    mut poll: impl FnMut() -> Result<Option<T>, Error>,
) -> impl Future<Output = Result<T, Error>> {
    let leaving = Leaving;
    poll_fn(move |context| {
        let _ = &leaving;
        step(context, &mut poll)
    })
}

/// [`until`] for good: for a task of an executor that drives the store.
///
/// # Errors
/// As [`until`]. It may be called again.
pub async fn run_async() -> Result<Infallible, Error> {
    until(|| Ok(None)).await
}

fn step<T>(
    context: &mut Context<'_>,
    poll: &mut impl FnMut() -> Result<Option<T>, Error>,
) -> Poll<Result<T, Error>> {
    let waker = context.waker().clone();
    let mut wake_with = || {
        ask_engine(|e| match e.poll_answers_with(context)? {
            true => Ok(()),
            false => Err(Error::Misuse("a host function will answer later, and the engine wakes nobody")),
        })
    };
    let (mut turns, mut waits) = (0u32, false);
    signal::mailbox()?.forget(&waker);
    wake_with()?;
    loop {
        if let Some(done) = poll()? {
            return Poll::Ready(Ok(done));
        }
        if task::turn()? {
            (turns, waits) = (turns.saturating_add(1), false);
            if turns < TURNS {
                continue;
            }
            waker.wake();
            return Poll::Pending;
        }
        // What comes between a look and the registration is found by another look.
        if !waits {
            waits = true;
            signal::mailbox()?.wait(&waker)?;
        } else if !wake_with()? {
            return Poll::Pending;
        }
    }
}
