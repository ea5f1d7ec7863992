//! What ends a guest that does not end by itself: fuel, an interrupt, a deadline.
//!
//! **Fuel.** wasmi takes it for instructions; [`Embedding::charge`](canon_async::Embedding::charge) takes it for the work that
//! guests have done for them: one for 64 bytes begun, as wasmi's own bulk instructions, and one for each
//! value.
//!
//! **Slices.** Guests of an engine that is [interruptible](crate::Config::interruptible) run on a slice of fuel. Where that is
//! used up wasmi stops, the flag and the clock are looked at, and wasmi resumes with the next slice. What the
//! host gave and wasmi does not hold is kept beside it, so that [`Store::fuel`] says the same with slices and
//! without.

use alloc::borrow::Cow;
use alloc::boxed::Box;
#[cfg(feature = "std")]
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "std")]
use core::time::Duration;
#[cfg(feature = "std")]
use std::time::Instant;

use canon_async::id::ThreadId;
use canon_async::{Error, Trap};
use canon_async_component::Charge;

use crate::budget::Payer;
use crate::config::Engine;
use crate::embedding::Wx;
use crate::instance::Instance;
use crate::later::Wakeups;
use crate::state::State;
use crate::store::{Caller, Store};

/// [`Trap::Engine`] of a guest that ran out of fuel.
const OUT_OF_FUEL: u32 = 0x102;
/// [`Trap::Engine`] of a guest that was interrupted.
const INTERRUPTED: u32 = 0x103;
/// [`Trap::Engine`] of a guest that ran past the deadline.
const DEADLINE: u32 = 0x104;
/// [`Trap::Engine`] of a guest whose `table.grow` met the end of a slice.
const SLICE_ENDED: u32 = 0x105;

/// So many bytes cost one of fuel.
const BYTES_PER_FUEL: usize = 64;
/// So much work is done between two looks at the clock: that of 64 KiB.
#[cfg(feature = "std")]
const WORK_PER_LOOK: u64 = 1024;

/// What ended a guest that did not end by itself: see [`Error::stopped`](crate::Error::stopped).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Stopped {
    /// It used up the fuel of [`Store::set_fuel`].
    Fuel,
    /// [`InterruptHandle::interrupt`] was called.
    Interrupt,
    /// The deadline of `Store::set_deadline` has passed.
    Deadline,
}

impl Stopped {
    /// What an error of the core says of it.
    pub(crate) fn of(error: Error) -> Option<Self> {
        match error {
            Error::Trap(Trap::Engine(OUT_OF_FUEL)) => Some(Self::Fuel),
            Error::Trap(Trap::Engine(INTERRUPTED)) => Some(Self::Interrupt),
            Error::Trap(Trap::Engine(DEADLINE)) => Some(Self::Deadline),
            _ => None,
        }
    }
}

/// Ends what a store's guests do, from another thread, a signal handler or an interrupt. A clone is of the
/// same store.
///
/// ```
/// use canon_async_wasmi::{Component, Config, Engine, Linker, Stopped, Store};
///
/// # fn main() -> Result<(), canon_async_wasmi::Error> {
/// # let wasm = wat::parse_str(r#"(component
/// #   (core module $M (func (export "run") (loop (br 0))))
/// #   (core instance $m (instantiate $M))
/// #   (func (export "run") (canon lift (core func $m "run"))))"#).unwrap();
/// let engine = Engine::new(Config::new().interruptible(true));
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &Component::new(&engine, &wasm)?)?;
/// let run = instance.func(&store, "run").expect("an export");
/// let handle = store.interrupt_handle();
/// std::thread::spawn(move || handle.interrupt());
/// // run: func(), which never returns
/// let error = run.call(&mut store, &[]).unwrap_err();
/// assert_eq!((error.stopped(), error.to_string()), (Some(Stopped::Interrupt), "interrupted".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct InterruptHandle {
    flag: Arc<AtomicBool>,
    wakeups: Arc<Wakeups>,
}

impl InterruptHandle {
    /// Ends what runs, or what runs next: the flag stays set until a guest, or a call or a wait of the host,
    /// ended with [`Stopped::Interrupt`]. A thread that waits in the store for host functions is woken. O(1);
    /// takes a critical section.
    ///
    /// Does nothing to the guests of an engine that is not [interruptible](crate::Config::interruptible).
    pub fn interrupt(&self) {
        self.flag.store(true, Ordering::Release);
        self.wakeups.wake_driver();
    }

    /// Takes an interrupt back that has ended nothing yet.
    pub fn clear(&self) {
        self.flag.store(false, Ordering::Release);
    }
}

/// What a store's guests may still use.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Guests pay with fuel that the host gives.
    paid: bool,
    /// The fuel of a slice, where guests can be interrupted.
    slice: Option<u64>,
    /// The host's fuel that wasmi does not hold.
    reserve: u64,
    accounts: Accounts,
    interrupted: Arc<AtomicBool>,
    #[cfg(feature = "std")]
    deadline: Option<Deadline>,
    /// What was done since the clock was looked at.
    #[cfg(feature = "std")]
    work: u64,
}

/// Who used how much fuel.
#[derive(Debug, Default)]
struct Accounts {
    /// What runs is of this root.
    current: Payer,
    /// All fuel that there was when it began to.
    mark: u64,
    /// By the root's index.
    used: Vec<u64>,
}

impl Accounts {
    /// What was used since the mark is the current root's, and from now on what runs is `next`'s. The root
    /// before.
    fn switch(&mut self, next: Payer, all: u64) -> Payer {
        if let Some(root) = self.current {
            let used = self.mark.saturating_sub(all);
            if self.used.len() <= root.index() {
                self.used.resize(root.index().saturating_add(1), 0);
            }
            if let Some(sum) = self.used.get_mut(root.index()) {
                *sum = sum.saturating_add(used);
            }
        }
        self.mark = all;
        core::mem::replace(&mut self.current, next)
    }
}

#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
struct Deadline {
    /// `None`: never, since it is further away than the clock goes.
    at: Option<Instant>,
    /// From when it was set.
    after: Duration,
}

/// A failed look as the core's error; its text is found by its number.
const fn stopped(code: u32) -> Error {
    Error::Trap(Trap::Engine(code))
}

impl Meter {
    pub fn new(engine: &Engine) -> Self {
        let (paid, slice) = engine.metering();
        Self {
            paid,
            slice,
            reserve: 0,
            accounts: Accounts::default(),
            interrupted: Arc::default(),
            #[cfg(feature = "std")]
            deadline: None,
            #[cfg(feature = "std")]
            work: 0,
        }
    }

    /// Whether anything is to be done for work.
    fn counts(&self) -> bool {
        self.paid || self.slice.is_some()
    }

    /// All fuel, with what wasmi holds, where guests pay.
    fn all(&self, held: u64) -> Option<u64> {
        self.paid.then(|| self.reserve.saturating_add(held))
    }

    /// Looks at the flag and at the clock. An interrupt that is found is over.
    ///
    /// # Errors
    /// `Trap(Engine)`: an interrupt or the deadline ends what runs.
    fn look(&mut self) -> Result<(), Error> {
        if self.slice.is_none() {
            return Ok(());
        }
        // Not `swap`, which not every machine has: of two interrupts at once one is enough.
        if self.interrupted.load(Ordering::Acquire) {
            self.interrupted.store(false, Ordering::Release);
            return Err(stopped(INTERRUPTED));
        }
        #[cfg(feature = "std")]
        {
            self.work = 0;
            if let Some(Deadline { at: Some(at), .. }) = self.deadline
                && Instant::now() >= at
            {
                return Err(stopped(DEADLINE));
            }
        }
        Ok(())
    }

    /// [`Meter::look`]; at the clock only where enough was done since the last time.
    fn look_after(&mut self, work: u64) -> Result<(), Error> {
        #[cfg(feature = "std")]
        {
            self.work = self.work.saturating_add(work);
            if self.work < WORK_PER_LOOK && !self.interrupted.load(Ordering::Acquire) {
                return Ok(());
            }
        }
        let _ = work;
        self.look()
    }

    /// How long there is until the deadline, if there is one.
    #[cfg(feature = "std")]
    fn left(&self) -> Option<Duration> {
        let at = self.deadline.filter(|_| self.slice.is_some())?.at?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    fn text(&self, error: Error) -> Option<Cow<'static, str>> {
        let Error::Trap(Trap::Engine(code)) = error else { return None };
        Some(Cow::Borrowed(match code {
            OUT_OF_FUEL => "all fuel consumed",
            INTERRUPTED => "interrupted",
            DEADLINE => return Some(self.deadline_text()),
            SLICE_ENDED => "`table.grow` met the end of a slice of fuel (Config::slice_fuel)",
            _ => return None,
        }))
    }

    #[cfg(feature = "std")]
    fn deadline_text(&self) -> Cow<'static, str> {
        let after = self.deadline.map_or(0.0, |deadline| deadline.after.as_secs_f64());
        Cow::Owned(format!("deadline passed: {after} s (Store::set_deadline)"))
    }

    #[cfg(not(feature = "std"))]
    fn deadline_text(&self) -> Cow<'static, str> {
        Cow::Borrowed("deadline passed")
    }
}

/// The fuel has to be in the reserve: see [`Wx::with_meter`].
impl Charge for Meter {
    fn charge(&mut self, bytes: usize, values: u32) -> Result<(), Error> {
        let cost = (bytes.div_ceil(BYTES_PER_FUEL) as u64).saturating_add(values.into());
        self.look_after(cost)?;
        if self.paid {
            self.reserve = self.reserve.checked_sub(cost).ok_or(stopped(OUT_OF_FUEL))?;
        }
        Ok(())
    }
}

impl<T> Wx<'_, T> {
    /// What wasmi holds; 0 where it counts nothing.
    fn held(&self) -> u64 {
        self.0.get_fuel().unwrap_or(0)
    }

    fn hold(&mut self, fuel: u64) {
        // Fails only where wasmi counts nothing, and then there is nothing to hold.
        let _ = self.0.set_fuel(fuel);
    }

    fn all_fuel(&self) -> Option<u64> {
        self.state().meter.all(self.held())
    }

    /// From now on what runs, and what is done for it, is this root's: the root before.
    pub(crate) fn account(&mut self, to: Payer) -> Payer {
        if !self.state().meter.paid {
            return None;
        }
        let all = self.all_fuel()?;
        self.state_mut().meter.accounts.switch(to, all)
    }

    /// The same for the root that a thread is of, which need not be the one that pays for its memory.
    pub(crate) fn account_thread(&mut self, thread: ThreadId) -> Payer {
        let State { meter, core, .. } = self.state();
        if !meter.paid {
            return None;
        }
        let instance = core.thread(thread).and_then(|thread| core.instance(thread.instance()).ok());
        let root = instance.map(|instance| instance.root());
        self.account(root)
    }

    /// Gives wasmi as much of all fuel as a slice has, or as it needs to go on.
    fn share(&mut self, all: u64, needed: u64) {
        let meter = &mut self.state_mut().meter;
        let held = meter.slice.map_or(all, |slice| slice.max(needed).min(all));
        meter.reserve = all.saturating_sub(held);
        self.hold(held);
    }

    /// Runs `f`, which may charge the meter of the state.
    pub(crate) fn with_meter<R>(
        &mut self,
        f: impl FnOnce(&mut State<T>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let Some(all) = self.all_fuel() else {
            let result = f(self.state_mut());
            return result.map_err(|error| self.with_text(error));
        };
        // Nothing that runs in here is paid for by wasmi.
        let held = self.held();
        self.state_mut().meter.reserve = all;
        let result = f(self.state_mut());
        let left = self.state().meter.reserve;
        // What is left of the slice is not more than before.
        let spent = all.saturating_sub(left);
        let held = held.saturating_sub(spent);
        self.state_mut().meter.reserve = left.saturating_sub(held);
        self.hold(held);
        result.map_err(|error| self.with_text(error))
    }

    /// [`Embedding::charge`](canon_async::Embedding::charge).
    pub(crate) fn charge_work(&mut self, bytes: usize, elements: u32) -> Result<(), Error> {
        if !self.state().meter.counts() {
            return Ok(());
        }
        self.with_meter(|state| state.meter.charge(bytes, elements))
    }

    /// Whether an interrupt or the deadline ends what runs, or is about to.
    pub(crate) fn look(&mut self) -> Result<(), Error> {
        self.state_mut().meter.look().map_err(|error| self.with_text(error))
    }

    /// [`Wx::look`] where no guest runs: an error is the host's call's, and poisons no instance.
    pub(crate) fn look_outside(&mut self) -> Result<(), crate::Error> {
        self.look().map_err(|error| self.explain(error))
    }

    /// wasmi can't go on with less than `needed`: what it holds is so much, or the guest is at its end.
    pub(crate) fn next_slice(&mut self, needed: u64) -> Result<(), Error> {
        let grew_table = core::mem::take(&mut self.state_mut().budget.table_grow_starved);
        let all = self.all_fuel();
        if all.is_some_and(|all| all < needed) {
            return Err(self.with_text(stopped(OUT_OF_FUEL)));
        }
        if grew_table {
            return Err(self.with_text(stopped(SLICE_ENDED)));
        }
        self.look()?;
        self.share(all.unwrap_or(u64::MAX), needed);
        Ok(())
    }

    /// Runs wasm of this crate's own, for work that has been charged.
    pub(crate) fn unmetered<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        if !self.state().meter.counts() {
            return f(self);
        }
        let held = self.held();
        self.hold(u64::MAX);
        let result = f(self);
        self.hold(held);
        result
    }

    /// Keeps the text of an error that ended a guest.
    pub(crate) fn with_text(&mut self, error: Error) -> Error {
        let state = self.state_mut();
        let text = state.meter.text(error);
        if text.is_some() {
            state.trap_text = text;
        }
        if let Some((stopped, on_stop)) = Stopped::of(error).zip(state.on_stop.as_mut()) {
            on_stop(Some(stopped), &state.core);
        }
        error
    }

    /// The error of a guest that ran out of fuel.
    pub(crate) fn out_of_fuel(&mut self) -> Error {
        self.with_text(stopped(OUT_OF_FUEL))
    }

    /// How long the machine's thread may sleep: until the deadline, at most.
    #[cfg(feature = "std")]
    pub(crate) fn sleep_at_most(&self, most: Option<Duration>) -> Option<Duration> {
        match (most, self.state().meter.left()) {
            (Some(most), Some(left)) => Some(most.min(left)),
            (most, left) => most.or(left),
        }
    }

    /// [`Store::set_fuel`].
    pub(crate) fn set_fuel(&mut self, fuel: u64) -> Result<(), crate::Error> {
        if !self.state().meter.paid {
            return Err(crate::Error::misuse(NO_FUEL));
        }
        let current = self.state().meter.accounts.current;
        self.account(current);
        self.share(fuel, 0);
        self.state_mut().meter.accounts.mark = fuel;
        Ok(())
    }

    /// [`Store::fuel`].
    pub(crate) fn fuel(&self) -> Result<u64, crate::Error> {
        self.all_fuel().ok_or_else(|| crate::Error::misuse(NO_FUEL))
    }
}

impl<T> State<T> {
    /// [`Store::interrupt_handle`].
    pub(crate) fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle { flag: self.meter.interrupted.clone(), wakeups: self.wakeups.clone() }
    }

    /// [`Store::set_deadline`].
    #[cfg(feature = "std")]
    pub(crate) fn set_deadline(&mut self, after: Option<Duration>) -> Result<(), crate::Error> {
        if self.meter.slice.is_none() && after.is_some() {
            return Err(crate::Error::misuse("the engine's Config is not interruptible"));
        }
        let deadline = |after| Deadline { at: Instant::now().checked_add(after), after };
        self.meter.deadline = after.map(deadline);
        Ok(())
    }
}

impl<T> Store<T> {
    /// Gives guests so much fuel in place of what is left: about one for an instruction; for what is done for
    /// them (values that are lifted, lowered, transcoded, copied by streams, decoded for host functions) one
    /// for 64 bytes begun, and one for each value that is not copied as bytes. A guest that has used it up
    /// traps, and is not entered again; the others go on when there is fuel again. A new store has none.
    ///
    /// # Errors
    /// `Misuse` without [`Config::fuel`](crate::Config::fuel).
    pub fn set_fuel(&mut self, fuel: u64) -> Result<(), crate::Error> {
        self.embedding().set_fuel(fuel)
    }

    /// The fuel that is left.
    ///
    /// # Errors
    /// `Misuse` without [`Config::fuel`](crate::Config::fuel).
    pub fn fuel(&self) -> Result<u64, crate::Error> {
        let all = self.0.data().meter.all(self.0.get_fuel().unwrap_or(0));
        all.ok_or_else(|| crate::Error::misuse(NO_FUEL))
    }

    /// The fuel that this component has used since it was instantiated, without the components that it
    /// called: instructions, and what was done for them. What is done for the host's calls, such as decoding
    /// a result, is no component's. 0 without [`Config::fuel`](crate::Config::fuel), and for an instance of
    /// another store. O(1).
    pub fn fuel_used(&self, instance: &Instance) -> u64 {
        let state = self.0.data();
        if instance.store != state.id {
            return 0;
        }
        state.meter.accounts.used.get(instance.root().index()).copied().unwrap_or(0)
    }

    /// What ends this store's guests from elsewhere, if its engine is
    /// [interruptible](crate::Config::interruptible).
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.0.data().interrupt_handle()
    }

    /// From now on `look` is called when fuel, an interrupt or the deadline ends a guest or a wait, with
    /// which of these it is, and when a task of a function type without `async` waits and nothing of its
    /// instance can run, with `None`. It gets the Component Model's store as it is then: nothing has been
    /// freed yet, so that one can see who waits for what. It may be called more than once for one end. It
    /// must not panic.
    pub fn on_stop(
        &mut self,
        look: impl FnMut(Option<Stopped>, &canon_async::Store<canon_async::Heap>) + Send + Sync + 'static,
    ) {
        self.0.data_mut().on_stop = Some(Box::new(look));
    }

    /// Ends what guests do once so much time has passed from now on, and what the host waits for; `None`:
    /// never. Looked at with each slice of fuel, in work for guests and in waits, so within milliseconds also
    /// if a guest yields or waits for ever. The guest whose code runs traps with [`Stopped::Deadline`]; if
    /// none runs, the host's call or wait fails with it. From then on every call fails at once, until another
    /// deadline is set.
    ///
    /// A future of [`Func::call_async`](crate::Func::call_async) looks at it when it is polled: waking it
    /// then is up to its executor.
    ///
    /// # Errors
    /// `Misuse` without [`Config::interruptible`](crate::Config::interruptible).
    #[cfg(feature = "std")]
    pub fn set_deadline(&mut self, after: Option<Duration>) -> Result<(), crate::Error> {
        self.0.data_mut().set_deadline(after)
    }
}

impl<T> Caller<'_, T> {
    /// [`Store::set_fuel`].
    ///
    /// # Errors
    /// As there.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<(), crate::Error> {
        self.0.set_fuel(fuel)
    }

    /// [`Store::fuel`].
    ///
    /// # Errors
    /// As there.
    pub fn fuel(&self) -> Result<u64, crate::Error> {
        self.0.fuel()
    }

    /// [`Store::interrupt_handle`].
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.0.state().interrupt_handle()
    }

    /// [`Store::set_deadline`].
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "std")]
    pub fn set_deadline(&mut self, after: Option<Duration>) -> Result<(), crate::Error> {
        self.0.state_mut().set_deadline(after)
    }
}

const NO_FUEL: &str = "the engine's Config does not use fuel";
