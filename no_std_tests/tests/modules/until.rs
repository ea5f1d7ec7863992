//! The ambient store driven as futures: pending while nothing is ready, woken by what happens, and polled by nobody in between. The same
//! tests on every tier, with an executor of a few lines.

use crate::common::executor::Task;
use crate::common::fresh;
use crate::common::script::{self, Abi, Asked, Function, Guest, Here, function, host};
use crate::common::sync::{AtomicU32, SeqCst};
use crate::common::sync::{Mutex, MutexGuard};
use alloc::boxed::Box;
use alloc::vec::Vec;
use canon_async::ambient::{self, FunctionAt, Reaction, Signal, capacity};
use canon_async::canon::Builtin;
use canon_async::id::LowerId;
use canon_async::prelude::*;
use canon_async::state::Lower;
use canon_async::{Outcome, Resource, Trap, run};
use core::task::Poll;
#[cfg(not(target_os = "none"))]
use std::thread;

use crate::common::waits::{add, is_misuse};
use WaitableSetBuiltins as Sets;

/// Runs a future on this thread, which sleeps while it is pending; and how often it was polled.
#[cfg(not(target_os = "none"))]
fn block_on<F: core::future::Future>(future: F) -> (F::Output, u32) {
    use core::pin::pin;
    use core::task::{Context, Waker};
    use std::sync::Arc;

    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut polls) = (pin!(future), 0);
    loop {
        polls += 1;
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return (output, polls),
            Poll::Pending => thread::park(),
        }
    }
}

/// Yields for ever.
fn busy(guest: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    TURNS.fetch_add(1, SeqCst);
    guest.block(Builtin::ThreadYield, &[])
}

fn yields_once(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 { guest.block(Builtin::ThreadYield, &[]) } else { Ok(Outcome::Returned(0)) }
}

/// Traps after a yield.
fn traps(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 { guest.block(Builtin::ThreadYield, &[]) } else { Err(Trap::Engine(7).into()) }
}

/// Waits for a host function that answers later.
fn waits_for_host(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let lower = LOWER.lock().expect("the test made it");
    if here.step == 0 { guest.block(Builtin::Lower(lower), &[]) } else { Ok(Outcome::Returned(0)) }
}

fn later(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step > 0 {
        return Ok(Outcome::Returned(0));
    }
    canon_async::Embedding::store(guest).answer_later(here.thread)?;
    Ok(Outcome::Blocked)
}

static TURNS: AtomicU32 = AtomicU32::new(0);
static LOWER: Mutex<Option<LowerId>> = Mutex::new(None);

const BUSY: u32 = 0;
const ONCE: u32 = 1;
const TRAPS: u32 = 2;
const WAITS: u32 = 3;
const LATER: u32 = 4;
static FUNCTIONS: &[Function] = &[
    Function { code: busy, params: &[], result: None, abi: Abi::Blocking },
    Function { code: yields_once, params: &[], result: None, abi: Abi::Blocking },
    Function { code: traps, params: &[], result: None, abi: Abi::Blocking },
    Function { code: waits_for_host, params: &[], result: None, abi: Abi::Blocking },
    Function { code: later, params: &[], result: None, abi: Abi::Host },
];

fn guests() -> MutexGuard<'static, ()> {
    let one = fresh();
    script::register(FUNCTIONS).expect("there is room");
    let (caller, callee) = (function(WAITS).expect("it is there"), function(LATER).expect("it is there"));
    let lower = ambient::core(|core| {
        let options = core.store.lift(caller)?.options;
        core.store.add_lower(Lower { callee, options })
    });
    *LOWER.lock() = Some(lower.expect("not in use").expect("room"));
    one
}

fn call(index: u32) -> Result<HostTaskId, Error> {
    TaskBuiltins::task_call(function(index)?, &[])
}

fn signal() -> &'static Signal {
    Box::leak(Box::new(Signal::new()))
}

fn until_sleeps_and_a_signal_wakes_it() -> Result<(), Error> {
    let _one = fresh();
    let signal = signal();
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    signal.arm(Reaction::Complete(future, None))?;
    let mut wait = Task::new(Sets::waitable_set_wait_async(set));
    wait.sleeps();
    // Woken for nothing, it sleeps again.
    wait.sleeps();
    signal.signal();
    let Waitable::Future(ready) = wait.ends()?.waitable else { panic!("no future") };
    assert_eq!(ready, Future { handle: future, state: FutureState::Ready(None) });
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn until_is_woken_from_another_thread_and_polled_twice() -> Result<(), Error> {
    let _one = fresh();
    let signal = signal();
    let task = TaskBuiltins::task_start()?;
    signal.arm(Reaction::Return(task, 3.into()))?;
    let other = thread::spawn(|| {
        thread::sleep(core::time::Duration::from_millis(30));
        signal.signal();
    });
    let (outcome, polls) = block_on(TaskBuiltins::task_wait_async(task));
    assert_eq!((outcome?, polls), (TaskOutcome::Completed(3.into()), 2));
    other.join().expect("it gives the signal");
    Ok(())
}

fn until_is_woken_by_what_others_do_with_the_store() -> Result<(), Error> {
    let _one = guests();
    let mut driver = Task::new(ambient::run_async());
    driver.sleeps();
    // A guest is ready.
    let task = call(ONCE)?;
    assert!(driver.is_woken());
    driver.sleeps();
    assert_eq!(TaskBuiltins::task_state(task)?, TaskState::Completed);
    // A task of the host's own ends, and a future is completed, and one is added that has its value.
    let task = TaskBuiltins::task_start()?;
    let mut wait = Task::new(TaskBuiltins::task_wait_async(task));
    wait.sleeps();
    TaskBuiltins::task_return(task, TaskReturn::void())?;
    assert_eq!(wait.ends()?, TaskOutcome::Completed(TaskReturn::void()));
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    let mut wait = Task::new(Sets::waitable_set_wait_async(set));
    wait.sleeps();
    future.complete(None)?;
    wait.ends()?;
    let mut wait = Task::new(Sets::waitable_set_wait_async(set));
    wait.sleeps();
    let state = FutureState::Ready(None);
    Sets::waitable_set_add(set, Waitable::Future(Future { handle: FutureHandle::new(), state }))?;
    wait.ends()?;
    Ok(())
}

fn driver_does_what_others_wait_for() -> Result<(), Error> {
    let _one = guests();
    let task = TaskBuiltins::task_start()?;
    let signal = signal();
    signal.arm(Reaction::Return(task, TaskReturn::void()))?;
    let mut driver = Task::new(ambient::run_async());
    let mut wait = Task::new(TaskBuiltins::task_wait_async(task));
    wait.sleeps();
    driver.sleeps();
    signal.signal();
    assert!(wait.is_woken());
    // The driver has its turn first.
    assert!(driver.is_woken());
    assert!(driver.poll().is_pending());
    assert!(wait.poll().is_ready());
    Ok(())
}

fn engine_wakes_who_waits_when_a_host_function_can_answer() -> Result<(), Error> {
    let _one = guests();
    host().asked = |asked| asked == Asked::PollWith;
    let task = call(WAITS)?;
    let mut first = Task::new(TaskBuiltins::task_wait_async(task));
    let mut second = Task::new(ambient::run_async());
    first.sleeps();
    second.sleeps();
    first.is_woken();
    // The engine knows the one that asked last. Who drops it looks for itself.
    drop(second);
    assert!(first.is_woken());
    first.sleeps();
    host().answers = true;
    host().waker.take().expect("it was given one").wake();
    first.ends()?;
    // Who does what another waits for wakes it.
    let task = call(WAITS)?;
    let mut first = Task::new(TaskBuiltins::task_wait_async(task));
    let mut second = Task::new(ambient::run_async());
    first.sleeps();
    second.sleeps();
    first.is_woken();
    first.sleeps();
    second.sleeps();
    assert!(!first.is_woken());
    host().answers = true;
    host().waker.take().expect("it was given one").wake();
    assert!(second.is_woken() && !first.is_woken());
    second.sleeps();
    first.ends()?;
    Ok(())
}

fn engine_that_can_not_wake_is_misuse() -> Result<(), Error> {
    let _one = guests();
    host().asked = |_| false;
    call(WAITS)?;
    assert!(matches!(Task::new(ambient::run_async()).poll(), Poll::Ready(Err(Error::Misuse(_)))));
    Ok(())
}

fn who_drives_by_hand_leaves_who_waits_to_be_woken() -> Result<(), Error> {
    let _one = guests();
    host().asked = |asked| asked == Asked::PollWith;
    let task = call(WAITS)?;
    let mut wait = Task::new(TaskBuiltins::task_wait_async(task));
    wait.sleeps();
    // An engine may forget one waker for another.
    host().waker = None;
    assert!(!TaskBuiltins::tick()?);
    assert!(wait.is_woken());
    wait.sleeps();
    assert!(host().waker.is_some());
    Ok(())
}

fn busy_guests_leave_turns_to_others_of_the_executor() -> Result<(), Error> {
    let _one = guests();
    // In an instance of its own.
    TaskBuiltins::task_call(ambient::function(FunctionAt::Index { module: 1, function: BUSY })?, &[])?;
    let mut driver = Task::new(ambient::run_async());
    TURNS.store(0, SeqCst);
    for polls in 1..4 {
        assert!(driver.poll().is_pending());
        assert!(driver.is_woken());
        assert_eq!(TURNS.load(SeqCst), 64 * polls);
    }
    // And an answer is noticed.
    host().asked = |asked| asked == Asked::PollWith;
    let task = call(WAITS)?;
    let mut wait = Task::new(TaskBuiltins::task_wait_async(task));
    assert!(wait.poll().is_pending());
    host().answers = true;
    assert!(wait.poll().is_ready());
    Ok(())
}

fn trap_of_a_guest_is_how_its_task_ends_and_the_driver_goes_on() -> Result<(), Error> {
    let _one = guests();
    let task = call(TRAPS)?;
    let mut driver = Task::new(ambient::run_async());
    let mut wait = Task::new(TaskBuiltins::task_wait_async(task));
    driver.sleeps();
    let Poll::Ready(outcome) = wait.poll() else { panic!("it is over") };
    assert_eq!(outcome?, TaskOutcome::Failed(TaskFailure::Error(Trap::Engine(7).into())));
    driver.sleeps();
    Ok(())
}

fn trap_that_is_nobodys_ends_the_driver_which_may_begin_again() -> Result<(), Error> {
    let _one = guests();
    let callee = function(TRAPS)?;
    let lower = ambient::core(|core| {
        let options = core.host()?.async_options;
        core.store.add_lower(Lower { callee, options })
    })??;
    let mut driver = Task::new(ambient::run_async());
    driver.sleeps();
    ambient::drive(|e| run::builtin(e, Builtin::Lower(lower), &[]))??;
    assert_eq!(driver.ends(), Err(Trap::Engine(7).into()));
    Task::new(ambient::run_async()).sleeps();
    Ok(())
}

fn one_waits_too_many_and_the_others_are_woken() -> Result<(), Error> {
    let _one = fresh();
    let task = TaskBuiltins::task_start()?;
    let wait = || Task::new(TaskBuiltins::task_wait_async(task));
    let mut waits: Vec<_> = (0..capacity::WAITERS).map(|_| wait()).collect();
    waits.iter_mut().for_each(Task::sleeps);
    // Polled again it takes no other place.
    waits.iter_mut().for_each(Task::sleeps);
    let full = Poll::Ready(Err(Error::capacity(Resource::Waiters)));
    assert_eq!(wait().poll(), full);
    // Who leaves makes room; the others look whether it left something to do.
    waits.pop();
    waits.iter_mut().for_each(Task::sleeps);
    let mut last = wait();
    last.sleeps();
    waits.push(last);
    assert_eq!(wait().poll(), full);
    waits.iter_mut().for_each(Task::sleeps);
    TaskBuiltins::task_return(task, TaskReturn::void())?;
    for mut wait in waits {
        wait.ends()?;
    }
    Ok(())
}

fn until_with_a_set_that_is_gone_answers_so_and_stays_usable() -> Result<(), Error> {
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    let mut wait = Task::new(Sets::waitable_set_wait_async(set));
    wait.sleeps();
    future.close()?;
    Sets::waitable_set_drop(set)?;
    let Poll::Ready(result) = wait.poll() else { panic!("its set is gone") };
    assert!(is_misuse(result));
    // Dropped while it waits, a future leaves nothing behind that matters.
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    let mut wait = Task::new(Sets::waitable_set_wait_async(set));
    wait.sleeps();
    drop(wait);
    future.complete(None)?;
    assert!(Sets::waitable_set_wait(set)?.ready().is_some());
    Ok(())
}

tests! {
    until_sleeps_and_a_signal_wakes_it,
    until_is_woken_from_another_thread_and_polled_twice [threads],
    until_is_woken_by_what_others_do_with_the_store,
    driver_does_what_others_wait_for,
    engine_wakes_who_waits_when_a_host_function_can_answer,
    engine_that_can_not_wake_is_misuse,
    who_drives_by_hand_leaves_who_waits_to_be_woken,
    busy_guests_leave_turns_to_others_of_the_executor,
    trap_of_a_guest_is_how_its_task_ends_and_the_driver_goes_on,
    trap_that_is_nobodys_ends_the_driver_which_may_begin_again,
    one_waits_too_many_and_the_others_are_woken,
    until_with_a_set_that_is_gone_answers_so_and_stays_usable,
}
