//! Signals: what interrupts and other threads of the operating system tell the ambient store. The same tests on every tier.

use crate::common::fresh;
use crate::common::script::{self, Abi, Asked, Function, Guest, Here, function, host};
use crate::common::sync::{AtomicU32, SeqCst};
use alloc::boxed::Box;
use alloc::vec::Vec;
use canon_async::ambient::{self, Limits, Reaction, Signal, capacity, is_signalled};
use canon_async::canon::Builtin;
use canon_async::clock::{Clock, ManualClock};
use canon_async::prelude::*;
use canon_async::{Outcome, Resource};
use core::time::Duration;
#[cfg(not(target_os = "none"))]
use std::thread;

use crate::common::waits::{add, blocks, counts, is_misuse};
use WaitableSetBuiltins as Sets;

/// A signal of a test's own.
fn signal() -> &'static Signal {
    Box::leak(Box::new(Signal::new()))
}

fn number(value: u32) -> Option<ComponentValue> {
    Some(ComponentValue::U32(value))
}

fn state(result: WaitResult) -> FutureState {
    match result.ready().map(|entry| entry.waitable) {
        Some(Waitable::Future(future)) => future.state,
        other => panic!("no future: {other:?}"),
    }
}

/// A core that sleeps until an interrupt comes: here another thread. It asks whether one has before it sleeps.
#[cfg(not(target_os = "none"))]
struct Sleeps;

#[cfg(not(target_os = "none"))]
impl Clock for Sleeps {
    fn now(&self) -> Duration {
        Duration::ZERO
    }
    fn wait_until(&self, _: Duration) {
        while !is_signalled() {
            thread::yield_now();
        }
    }
}

/// Gives a signal from another thread, when this one has begun to wait, as far as can be said.
#[cfg(not(target_os = "none"))]
fn soon(signal: &'static Signal) -> thread::JoinHandle<()> {
    thread::spawn(|| {
        thread::sleep(Duration::from_millis(20));
        signal.signal();
    })
}

fn signal_completes_a_future_in_the_next_turn() -> Result<(), Error> {
    let _one = fresh();
    let signal = signal();
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    signal.arm(Reaction::Complete(future, number(7)))?;
    assert!(signal.is_armed() && !is_signalled());
    assert!(!TaskBuiltins::tick()?);
    assert_eq!(Sets::waitable_set_poll(set)?, WaitResult::Timeout);
    signal.signal();
    signal.signal();
    assert!(is_signalled());
    // A poll runs nothing.
    assert_eq!(Sets::waitable_set_poll(set)?, WaitResult::Timeout);
    assert_eq!(state(Sets::waitable_set_wait(set)?), FutureState::Ready(number(7)));
    assert!(!signal.is_armed() && !is_signalled());
    assert_eq!(Sets::waitable_set_wait(set)?, WaitResult::Deadlock);
    Ok(())
}

fn signal_that_is_not_armed_is_kept_once() -> Result<(), Error> {
    let _one = fresh();
    let signal = signal();
    signal.signal();
    signal.signal();
    let set = Sets::waitable_set_new()?;
    for expected in [true, false] {
        let (future, _) = add(set)?;
        signal.arm(Reaction::Complete(future, None))?;
        assert_eq!(is_signalled(), expected);
        assert_eq!(TaskBuiltins::tick()?, expected);
        assert_eq!(Sets::waitable_set_poll(set)?.ready().is_some(), expected);
    }
    // Disarmed, it forgets.
    signal.signal();
    signal.disarm()?;
    assert!(!signal.is_armed() && !is_signalled());
    signal.signal();
    signal.disarm()?;
    let (future, _) = add(set)?;
    signal.arm(Reaction::Complete(future, None))?;
    assert!(!TaskBuiltins::tick()?);
    Ok(())
}

fn signal_ends_a_task_of_the_host() -> Result<(), Error> {
    let _one = fresh();
    let signal = signal();
    let task = TaskBuiltins::task_start()?;
    signal.arm(Reaction::Return(task, 5.into()))?;
    signal.signal();
    assert_eq!(TaskBuiltins::task_wait(task)?, TaskOutcome::Completed(5.into()));
    // What has finished otherwise stays as it is.
    let task = TaskBuiltins::task_start()?;
    signal.arm(Reaction::Return(task, 5.into()))?;
    TaskBuiltins::task_cancel(task)?;
    signal.signal();
    assert!(TaskBuiltins::tick()?);
    assert_eq!(TaskBuiltins::task_wait(task)?, TaskOutcome::Cancelled);
    assert!(!signal.is_armed());
    Ok(())
}

fn signal_runs_code_that_arms_it_again() -> Result<(), Error> {
    static SIGNAL: Signal = Signal::new();
    static TIMES: AtomicU32 = AtomicU32::new(0);
    fn code() -> Result<(), Error> {
        if TIMES.fetch_add(1, SeqCst) == 2 {
            return Err(Error::Misuse("a third time"));
        }
        SIGNAL.arm(Reaction::Run(code))
    }
    let _one = fresh();
    SIGNAL.arm(Reaction::Run(code))?;
    for _ in 0..2 {
        SIGNAL.signal();
        assert!(TaskBuiltins::tick()?);
        assert!(!TaskBuiltins::tick()?);
    }
    SIGNAL.signal();
    assert_eq!(TaskBuiltins::tick(), Err(Error::Misuse("a third time")));
    assert!(!SIGNAL.is_armed());
    Ok(())
}

fn signal_that_is_armed_is_no_deadlock_for_as_long_as_it_ends_something() -> Result<(), Error> {
    static CLOCK: ManualClock = ManualClock::new();
    let _one = fresh();
    ambient::set_clock(&CLOCK)?;
    let (signal, other) = (signal(), signal());
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    let (pending, _) = add(set)?;
    let task = TaskBuiltins::task_start()?;
    signal.arm(Reaction::Complete(future, None))?;
    other.arm(Reaction::Return(task, TaskReturn::void()))?;
    assert_eq!(Sets::waitable_set_wait_for(set, Duration::from_secs(1))?, WaitResult::Timeout);
    // What they were to end is over: nobody will end the other one.
    future.close()?;
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(Sets::waitable_set_wait(set)?, WaitResult::Deadlock);
    assert!(!signal.is_armed() && !other.is_armed());
    pending.complete(None)?;
    assert!(Sets::waitable_set_wait(set)?.ready().is_some());
    Ok(())
}

fn arm_of_what_is_over_or_not_there_is_misuse_and_changes_nothing() -> Result<(), Error> {
    let _one = fresh();
    let signal = signal();
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    assert!(is_misuse(signal.arm(Reaction::Complete(FutureHandle::new(), None))));
    let task = TaskBuiltins::task_start()?;
    TaskBuiltins::task_cancel(task)?;
    assert!(is_misuse(signal.arm(Reaction::Return(task, TaskReturn::void()))));
    let long = "x".repeat(Limits::DEFAULT.text_bytes as usize + 1);
    let value = Some(ComponentValue::from(long.as_str()));
    let full = Err(Error::capacity(Resource::TextBytes));
    assert_eq!(signal.arm(Reaction::Complete(future, value)), full);
    assert!(!signal.is_armed());
    signal.arm(Reaction::Complete(future, None))?;
    assert!(is_misuse(signal.arm(Reaction::Complete(future, None))));
    ambient::drive(|_| assert!(is_misuse(signal.arm(Reaction::Complete(future, None)))))?;
    // The first one holds.
    signal.signal();
    assert_eq!(state(Sets::waitable_set_wait(set)?), FutureState::Ready(None));
    assert!(is_misuse(signal.arm(Reaction::Complete(future, None))));
    Ok(())
}

fn signals_at_every_limit_change_nothing_where_they_are_full() -> Result<(), Error> {
    let _one = fresh();
    for limit in [0, 1, Limits::DEFAULT.signals] {
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_signals(limit))?;
        let signals: Vec<_> = (0..limit).map(|_| signal()).collect();
        for signal in &signals {
            signal.arm(Reaction::Run(|| Ok(())))?;
        }
        let more = signal();
        assert_eq!(more.arm(Reaction::Run(|| Ok(()))), Err(Error::capacity(Resource::Signals)));
        assert!(!more.is_armed());
        if let [first, ..] = signals[..] {
            first.signal();
            assert!(TaskBuiltins::tick()?);
            more.arm(Reaction::Run(|| Ok(())))?;
        }
    }
    ambient::reset()?;
    let signals = capacity::SIGNALS as u32 + 1;
    assert!(is_misuse(ambient::configure(Limits::DEFAULT.with_signals(signals))));
    Ok(())
}

fn reset_disarms_and_what_was_given_reaches_nobody_else() -> Result<(), Error> {
    let _one = fresh();
    let (old, new) = (signal(), signal());
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    old.arm(Reaction::Complete(future, None))?;
    assert!(is_misuse(ambient::configure(Limits::DEFAULT)));
    old.signal();
    ambient::reset()?;
    assert!(!old.is_armed() && !is_signalled());
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    new.arm(Reaction::Complete(future, None))?;
    old.signal();
    assert!(!TaskBuiltins::tick()?);
    new.signal();
    assert!(Sets::waitable_set_wait(set)?.ready().is_some());
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn wait_sleeps_until_a_signal_of_another_thread() -> Result<(), Error> {
    let _one = fresh();
    if cfg!(not(feature = "std")) {
        ambient::set_clock(&Sleeps)?;
    }
    let signal = signal();
    let set = Sets::waitable_set_new()?;
    for _ in 0..3 {
        let (future, _) = add(set)?;
        signal.arm(Reaction::Complete(future, number(3)))?;
        let other = soon(signal);
        assert_eq!(state(Sets::waitable_set_wait(set)?), FutureState::Ready(number(3)));
        other.join().expect("it gives the signal");
    }
    let task = TaskBuiltins::task_start()?;
    signal.arm(Reaction::Return(task, 1.into()))?;
    let other = soon(signal);
    let deadline = ambient::now()? + Duration::from_secs(600);
    let outcome = TaskBuiltins::task_wait_until(task, deadline)?;
    assert_eq!(outcome, Some(TaskOutcome::Completed(1.into())));
    other.join().expect("it gives the signal");
    Ok(())
}

#[cfg(not(feature = "std"))]
fn wait_for_a_signal_without_a_clock_is_misuse() -> Result<(), Error> {
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    signal().arm(Reaction::Complete(future, None))?;
    assert!(is_misuse(Sets::waitable_set_wait(set)));
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn many_signals_of_many_threads_are_each_taken_once() -> Result<(), Error> {
    let _one = fresh();
    if cfg!(not(feature = "std")) {
        ambient::set_clock(&Sleeps)?;
    }
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    TAKEN.store(0, SeqCst);
    let signals: Vec<_> = (0..4).map(|_| signal()).collect();
    for _ in 0..100 {
        let set = Sets::waitable_set_new()?;
        let mut threads = Vec::new();
        for (index, signal) in signals.iter().enumerate() {
            let (future, _) = add(set)?;
            signal.arm(Reaction::Complete(future, number(index as u32)))?;
            threads.push(thread::spawn(|| signal.signal()));
        }
        let left = canon_async::waitable_set::helpers::wait_for_all(set, |_| {
            TAKEN.fetch_add(1, SeqCst);
            Ok(())
        })?;
        assert_eq!(left, None);
        threads.into_iter().for_each(|thread| thread.join().expect("it gives the signal"));
        Sets::waitable_set_drop(set)?;
    }
    assert_eq!(TAKEN.load(SeqCst), 400);
    Ok(())
}

/// Gives the signal while the store is driven, as an interrupt would, and yields.
fn gives(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 {
        GIVEN.signal();
        return guest.block(Builtin::ThreadYield, &[]);
    }
    Ok(Outcome::Returned(0))
}

/// Suspends itself, and never goes on.
fn suspends(guest: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    guest.block(Builtin::ThreadSuspend, &[])
}

fn later(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step > 0 {
        return Ok(Outcome::Returned(0));
    }
    canon_async::Embedding::store(guest).answer_later(here.thread)?;
    Ok(Outcome::Blocked)
}

static GIVEN: Signal = Signal::new();
static FUNCTIONS: &[Function] = &[
    Function { code: gives, params: &[], result: None, abi: Abi::Blocking },
    Function { code: suspends, params: &[], result: None, abi: Abi::Blocking },
    Function { code: later, params: &[], result: None, abi: Abi::Host },
];

fn signal_while_the_store_is_driven_is_taken_when_control_is_back() -> Result<(), Error> {
    let _one = fresh();
    script::register(FUNCTIONS)?;
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    GIVEN.arm(Reaction::Complete(future, number(1)))?;
    let task = TaskBuiltins::task_call(function(0)?, &[])?;
    assert_eq!(TaskBuiltins::task_state(task)?, TaskState::Running);
    assert_eq!(state(Sets::waitable_set_wait(set)?), FutureState::Ready(number(1)));
    Ok(())
}

fn reaction_for_which_there_is_no_room_is_done_when_there_is() -> Result<(), Error> {
    let _one = fresh();
    let signal = signal();
    let set = Sets::waitable_set_new()?;
    let (future, _) = FutureHandle::for_guest(Some(ValueType::U32))?;
    Sets::waitable_set_add(set, Waitable::Future(future.into()))?;
    signal.arm(Reaction::Complete(future, number(1)))?;
    let all: Vec<u32> = ambient::core(|core| core::iter::from_fn(|| core.memory.alloc(4).ok()).collect())?;
    signal.signal();
    let full = Err(Error::capacity(Resource::HostBytes));
    let before = counts();
    assert_eq!(Sets::waitable_set_wait(set), full);
    assert_eq!(TaskBuiltins::tick().map(drop), full.map(drop));
    assert_eq!((counts(), signal.is_armed()), (before, true));
    ambient::core(|core| core.memory.free(all[0]))??;
    // The guest's value lies ready for it.
    assert!(TaskBuiltins::tick()?);
    assert_eq!((blocks() as usize, signal.is_armed()), (all.len(), false));
    Ok(())
}

/// The host calls the function of the engine's that answers later.
fn host_call() -> Result<(), Error> {
    let callee = function(2)?;
    let lower = ambient::core(|core| {
        let options = core.host()?.async_options;
        core.store.add_lower(canon_async::state::Lower { callee, options })
    })??;
    ambient::drive(|e| canon_async::run::builtin(e, Builtin::Lower(lower), &[]))?.map(drop)
}

fn wait_in_which_the_engine_idles_ends_with_a_signal() -> Result<(), Error> {
    static SIGNAL: Signal = Signal::new();
    let _one = fresh();
    script::register(FUNCTIONS)?;
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    host_call()?;
    SIGNAL.arm(Reaction::Complete(future, None))?;
    // The signal comes while the engine waits; nobody answers.
    host().asked = |asked| {
        if asked == Asked::Idle {
            SIGNAL.signal();
        }
        asked == Asked::Idle
    };
    assert_eq!(state(Sets::waitable_set_wait(set)?), FutureState::Ready(None));
    assert_eq!(host().log.iter().filter(|asked| **asked == Asked::Idle).count(), 1);
    Ok(())
}

fn signal_that_comes_while_the_engine_is_asked_is_not_slept_through() -> Result<(), Error> {
    /// Nobody sleeps here.
    struct Awake;
    impl Clock for Awake {
        fn now(&self) -> Duration {
            Duration::ZERO
        }
        fn wait_until(&self, _: Duration) {
            panic!("the core sleeps, and the interrupt has been");
        }
    }
    static SIGNAL: Signal = Signal::new();
    let _one = fresh();
    script::register(FUNCTIONS)?;
    ambient::set_clock(&Awake)?;
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    host_call()?;
    SIGNAL.arm(Reaction::Complete(future, None))?;
    // After what was ready had its turn.
    host().asked = |asked| {
        assert_eq!(asked, Asked::Poll);
        if host().log.len() == 2 {
            SIGNAL.signal();
        }
        false
    };
    let result = Sets::waitable_set_wait_for(set, Duration::from_secs(1))?;
    assert_eq!(state(result), FutureState::Ready(None));
    Ok(())
}

fn guest_that_is_suspended_waits_for_a_signal_like_the_host() -> Result<(), Error> {
    let _one = fresh();
    script::register(FUNCTIONS)?;
    let signal = signal();
    let task = TaskBuiltins::task_call(function(1)?, &[])?;
    let own = TaskBuiltins::task_start()?;
    signal.arm(Reaction::Return(own, TaskReturn::void()))?;
    signal.signal();
    // The one that nobody ends is a deadlock once the signal is taken.
    assert_eq!(TaskBuiltins::task_wait(task), Err(canon_async::Trap::Deadlock.into()));
    assert_eq!(TaskBuiltins::task_state(own)?, TaskState::Completed);
    Ok(())
}

/// A thread that is unparked for nothing, again and again, sleeps again, and the signal still finds it.
#[cfg(feature = "std")]
fn wait_that_is_unparked_for_nothing_goes_on() -> Result<(), Error> {
    let _one = fresh();
    let signal = signal();
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    signal.arm(Reaction::Complete(future, None))?;
    let this = thread::current();
    let other = thread::spawn(move || {
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(1));
            this.unpark();
        }
        signal.signal();
    });
    assert_eq!(state(Sets::waitable_set_wait_for(set, Duration::from_secs(60))?), FutureState::Ready(None));
    other.join().expect("it gives the signal");
    Ok(())
}

#[cfg(feature = "std")]
fn signal_is_of_the_thread_in_which_it_is_armed_until_that_ends() -> Result<(), Error> {
    let _one = fresh();
    let signal = signal();
    let (ready, wait) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    thread::scope(|scope| {
        let other = scope.spawn(|| -> Result<WaitResult, Error> {
            let set = Sets::waitable_set_new()?;
            let (future, _) = add(set)?;
            signal.arm(Reaction::Complete(future, number(1)))?;
            ready.wait();
            wait.wait();
            Sets::waitable_set_wait(set)
        });
        ready.wait();
        assert!(is_misuse(signal.disarm()));
        assert!(is_misuse(signal.arm(Reaction::Run(|| Ok(())))));
        signal.signal();
        // It is not this thread's.
        assert!(!is_signalled());
        assert_eq!(TaskBuiltins::tick(), Ok(false));
        wait.wait();
        let result = other.join().expect("it ends").expect("it is completed");
        assert_eq!(state(result), FutureState::Ready(number(1)));
    });
    // A thread that ends disarms.
    let armed = thread::spawn(|| signal.arm(Reaction::Run(|| Ok(())))).join().expect("it ends");
    assert_eq!((armed, signal.is_armed()), (Ok(()), false));
    signal.arm(Reaction::Run(|| Ok(())))?;
    Ok(())
}

tests! {
    signal_completes_a_future_in_the_next_turn,
    signal_that_is_not_armed_is_kept_once,
    signal_ends_a_task_of_the_host,
    signal_runs_code_that_arms_it_again,
    signal_that_is_armed_is_no_deadlock_for_as_long_as_it_ends_something,
    arm_of_what_is_over_or_not_there_is_misuse_and_changes_nothing,
    signals_at_every_limit_change_nothing_where_they_are_full,
    reset_disarms_and_what_was_given_reaches_nobody_else,
    wait_sleeps_until_a_signal_of_another_thread [threads],
    wait_for_a_signal_without_a_clock_is_misuse [no_std],
    many_signals_of_many_threads_are_each_taken_once [threads],
    signal_while_the_store_is_driven_is_taken_when_control_is_back,
    reaction_for_which_there_is_no_room_is_done_when_there_is,
    wait_in_which_the_engine_idles_ends_with_a_signal,
    signal_that_comes_while_the_engine_is_asked_is_not_slept_through,
    guest_that_is_suspended_waits_for_a_signal_like_the_host,
    wait_that_is_unparked_for_nothing_goes_on [std],
    signal_is_of_the_thread_in_which_it_is_armed_until_that_ends [std],
}
