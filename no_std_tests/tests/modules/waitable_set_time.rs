//! Waits with deadlines, of sets, tasks and threads: while guests are busy, while host functions will answer, and while nobody will. The
//! same tests on every tier; time is moved by hand.

use crate::common::fresh;
use crate::common::script::{self, Abi, Asked, Function, Guest, Here, function, host};
use crate::common::sync::{AtomicU32, SeqCst};
use crate::common::sync::{Mutex, MutexGuard};
use alloc::vec::Vec;
use canon_async::ambient::{self, ValueType};
use canon_async::canon::Builtin;
use canon_async::clock::{Clock, ManualClock};
use canon_async::prelude::*;
use canon_async::state::Lower;
use canon_async::{Outcome, run};
use core::time::Duration;

use crate::common::waits::{add, is_misuse};
use AdvancedThreadingBuiltins as Threads;
use WaitableSetBuiltins as Sets;

const SECOND: Duration = Duration::from_secs(1);

/// A clock that is moved by hand, and goes on by itself as far as others know; its waits are counted, and end early.
struct Real {
    time: ManualClock,
    waits: AtomicU32,
    /// What happens while it waits: an interrupt, say.
    meanwhile: Mutex<fn()>,
}

impl Clock for Real {
    fn now(&self) -> Duration {
        self.time.now()
    }
    fn wait_until(&self, deadline: Duration) {
        self.waits.fetch_add(1, SeqCst);
        self.time.advance((deadline - self.now()).min(SECOND));
        let meanwhile = *self.meanwhile.lock();
        meanwhile();
    }
}

static CLOCK: Real =
    Real { time: ManualClock::new(), waits: AtomicU32::new(0), meanwhile: Mutex::new(|| ()) };

/// How often the guests ran.
static TURNS: AtomicU32 = AtomicU32::new(0);

/// Yields for ever, and each time takes a millisecond.
fn busy(guest: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    TURNS.fetch_add(1, SeqCst);
    CLOCK.time.advance(Duration::from_millis(1));
    guest.block(Builtin::ThreadYield, &[])
}

/// Answers 7 at its second step.
fn yields_once(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    TURNS.fetch_add(1, SeqCst);
    if here.step == 0 { guest.block(Builtin::ThreadYield, &[]) } else { Ok(Outcome::Returned(7)) }
}

fn suspends(guest: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    guest.block(Builtin::ThreadSuspend, &[])
}

/// A host function that answers 5 later.
fn later(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step > 0 {
        return Ok(Outcome::Returned(5));
    }
    canon_async::Embedding::store(guest).answer_later(here.thread)?;
    Ok(Outcome::Blocked)
}

const BUSY: u32 = 0;
const ONCE: u32 = 1;
const SUSPENDS: u32 = 2;
const LATER: u32 = 3;
const U32: ValueType = ValueType::U32;

static FUNCTIONS: &[Function] = &[
    Function { code: busy, params: &[], result: None, abi: Abi::Blocking },
    Function { code: yields_once, params: &[], result: Some(U32), abi: Abi::Blocking },
    Function { code: suspends, params: &[], result: None, abi: Abi::Blocking },
    Function { code: later, params: &[], result: Some(U32), abi: Abi::Host },
];

fn guests() -> MutexGuard<'static, ()> {
    let one = fresh();
    script::register(FUNCTIONS).expect("there is room");
    ambient::set_clock(&CLOCK).expect("not in use");
    CLOCK.waits.store(0, SeqCst);
    TURNS.store(0, SeqCst);
    *CLOCK.meanwhile.lock() = || ();
    one
}

fn call(index: u32) -> Result<HostTaskId, Error> {
    TaskBuiltins::task_call(function(index)?, &[])
}

/// A call of the host function that answers later, in a set.
fn unanswered() -> Result<WaitableSetId, Error> {
    let lift = function(LATER)?;
    let (lower, at) = ambient::core(|core| {
        let lower = Lower { callee: lift, options: core.host()?.async_options };
        Ok::<_, Error>((core.store.add_lower(lower)?, core.memory.alloc(4)?))
    })??;
    let answer = ambient::drive(|e| run::builtin(e, Builtin::Lower(lower), &[u64::from(at)]))??;
    let set = Sets::waitable_set_new()?;
    let subtask = Subtask::from_call(answer).expect("it answers later");
    Sets::waitable_set_add(set, Waitable::Subtask(subtask))?;
    Ok(set)
}

/// What the engine was asked, without how often it was polled.
fn asked() -> Vec<Asked> {
    host().log.iter().copied().filter(|asked| *asked != Asked::Poll).collect()
}

fn after(time: Duration) -> Duration {
    CLOCK.now() + time
}

fn is_ready(result: WaitResult) -> bool {
    result.ready().is_some()
}

fn wait_while_a_host_function_will_answer_lets_the_engine_idle_until_it_does() -> Result<(), Error> {
    let _one = guests();
    let set = unanswered()?;
    host().asked = |asked| {
        let Asked::IdleFor(most) = asked else { return false };
        // Woken for another reason first.
        CLOCK.time.advance(most / 4);
        let mut host = host();
        host.answers = host.log.iter().filter(|asked| matches!(asked, Asked::IdleFor(_))).count() == 2;
        true
    };
    let start = CLOCK.now();
    assert!(is_ready(Sets::waitable_set_wait_for(set, 16 * SECOND)?));
    assert_eq!(asked(), [Asked::IdleFor(16 * SECOND), Asked::IdleFor(12 * SECOND)]);
    assert_eq!((CLOCK.now() - start, CLOCK.waits.load(SeqCst)), (7 * SECOND, 0));
    Ok(())
}

fn wait_while_the_engine_idles_times_out() -> Result<(), Error> {
    let _one = guests();
    let set = unanswered()?;
    host().asked = |asked| {
        let Asked::IdleFor(most) = asked else { return false };
        CLOCK.time.advance(most);
        true
    };
    assert_eq!(Sets::waitable_set_wait_for(set, 3 * SECOND)?, WaitResult::Timeout);
    assert_eq!(asked(), [Asked::IdleFor(3 * SECOND)]);
    Ok(())
}

fn wait_where_the_engine_can_not_idle_asks_after_each_wait_of_the_clock() -> Result<(), Error> {
    let _one = guests();
    let set = unanswered()?;
    host().asked = |_| false;
    let start = CLOCK.now();
    assert_eq!(Sets::waitable_set_wait_for(set, 3 * SECOND)?, WaitResult::Timeout);
    assert_eq!((CLOCK.now() - start, CLOCK.waits.load(SeqCst)), (3 * SECOND, 3));
    // An interrupt in the second of three.
    *CLOCK.meanwhile.lock() = || host().answers = CLOCK.waits.load(SeqCst) == 5;
    let start = CLOCK.now();
    assert!(is_ready(Sets::waitable_set_wait_for(set, 3 * SECOND)?));
    assert_eq!((CLOCK.now() - start, CLOCK.waits.load(SeqCst)), (2 * SECOND, 5));
    Ok(())
}

fn wait_finds_an_answer_that_came_with_the_deadline() -> Result<(), Error> {
    let _one = guests();
    let set = unanswered()?;
    host().asked = |_| false;
    *CLOCK.meanwhile.lock() = || host().answers = true;
    assert!(is_ready(Sets::waitable_set_wait_for(set, SECOND)?));
    Ok(())
}

fn wait_without_a_deadline_lets_the_engine_idle() -> Result<(), Error> {
    let _one = guests();
    let set = unanswered()?;
    assert!(is_ready(Sets::waitable_set_wait(set)?));
    assert_eq!(asked(), [Asked::Idle]);
    let set = unanswered()?;
    host().asked = |_| false;
    assert!(is_misuse(Sets::waitable_set_wait(set)));
    assert_eq!(CLOCK.waits.load(SeqCst), 0);
    Ok(())
}

fn deadline_is_met_while_guests_are_busy() -> Result<(), Error> {
    let _one = guests();
    call(BUSY)?;
    call(BUSY)?;
    let set = Sets::waitable_set_new()?;
    add(set)?;
    let start = CLOCK.now();
    assert_eq!(Sets::waitable_set_wait_for(set, SECOND)?, WaitResult::Timeout);
    assert_eq!(CLOCK.now() - start, SECOND);
    let task = TaskBuiltins::task_start()?;
    assert_eq!(TaskBuiltins::task_wait_until(task, after(SECOND))?, None);
    assert_eq!((CLOCK.now() - start, CLOCK.waits.load(SeqCst)), (2 * SECOND, 0));
    Ok(())
}

fn answer_is_noticed_while_guests_are_busy() -> Result<(), Error> {
    let _one = guests();
    call(BUSY)?;
    let set = unanswered()?;
    host().asked = |asked| {
        let mut host = host();
        host.answers = asked == Asked::Poll && host.log.len() == 3;
        false
    };
    assert!(is_ready(Sets::waitable_set_wait(set)?));
    // At the beginning, and each 64 turns.
    assert_eq!((asked().len(), host().log.len()), (0, 3));
    assert!((128..=131).contains(&TURNS.load(SeqCst)), "{TURNS:?}");
    // And by whoever ticks.
    let set = unanswered()?;
    host().asked = |_| {
        host().answers = true;
        false
    };
    while Sets::waitable_set_poll(set)? == WaitResult::Timeout {
        assert!(TaskBuiltins::tick()?);
    }
    assert!(TURNS.load(SeqCst) < 136, "{TURNS:?}");
    Ok(())
}

fn tick_finds_an_answer_where_nothing_is_ready() -> Result<(), Error> {
    let _one = guests();
    let set = unanswered()?;
    host().asked = |_| false;
    assert!(!TaskBuiltins::tick()?);
    host().answers = true;
    assert!(TaskBuiltins::tick()?);
    assert!(is_ready(Sets::waitable_set_poll(set)?));
    Ok(())
}

fn deadline_that_is_past_leaves_one_turn_of_what_is_ready() -> Result<(), Error> {
    let _one = guests();
    let task = call(ONCE)?;
    let other = call(BUSY)?;
    let set = Sets::waitable_set_new()?;
    let (future, _) = add(set)?;
    TURNS.store(0, SeqCst);
    let start = CLOCK.now();
    assert_eq!(Sets::waitable_set_wait_for(set, Duration::ZERO)?, WaitResult::Timeout);
    assert_eq!((TURNS.load(SeqCst), TaskBuiltins::task_state(task)?), (1, TaskState::Completed));
    assert_eq!(TaskBuiltins::task_wait_until(other, Duration::ZERO)?, None);
    assert_eq!((TURNS.load(SeqCst), CLOCK.now() - start), (2, Duration::from_millis(1)));
    // What is ready needs no turn.
    future.complete(None)?;
    assert!(is_ready(Sets::waitable_set_wait_for(set, Duration::ZERO)?));
    assert_eq!((TURNS.load(SeqCst), CLOCK.waits.load(SeqCst)), (2, 0));
    Ok(())
}

fn deadline_that_is_past_asks_for_answers_and_never_waits() -> Result<(), Error> {
    let _one = guests();
    let set = unanswered()?;
    host().asked = |asked| {
        assert_eq!(asked, Asked::Poll);
        false
    };
    assert_eq!(Sets::waitable_set_wait_for(set, Duration::ZERO)?, WaitResult::Timeout);
    host().answers = true;
    assert!(is_ready(Sets::waitable_set_wait_for(set, Duration::ZERO)?));
    assert_eq!(CLOCK.waits.load(SeqCst), 0);
    Ok(())
}

fn wait_that_only_the_deadline_can_end_times_out_then_and_not_before() -> Result<(), Error> {
    let _one = guests();
    let set = Sets::waitable_set_new()?;
    add(set)?;
    let task = call(SUSPENDS)?;
    let start = CLOCK.now();
    assert_eq!(Sets::waitable_set_wait_for(set, 2 * SECOND)?, WaitResult::Timeout);
    assert_eq!(TaskBuiltins::task_wait_until(task, after(2 * SECOND))?, None);
    assert_eq!((CLOCK.now() - start, CLOCK.waits.load(SeqCst)), (4 * SECOND, 4));
    // Without one it is a deadlock at once.
    assert_eq!(Sets::waitable_set_wait(set)?, WaitResult::Deadlock);
    assert_eq!(CLOCK.now() - start, 4 * SECOND);
    Ok(())
}

fn clock_moved_by_hand_times_every_kind_of_wait() -> Result<(), Error> {
    static MANUAL: ManualClock = ManualClock::new();
    let _one = guests();
    ambient::set_clock(&MANUAL)?;
    let set = unanswered()?;
    // It does not go on by itself, so that no engine waits in its place.
    host().asked = |asked| {
        assert_eq!(asked, Asked::Poll);
        false
    };
    MANUAL.advance(SECOND);
    assert_eq!(Sets::waitable_set_wait_until(set, 3 * SECOND)?, WaitResult::Timeout);
    assert_eq!(MANUAL.now(), 3 * SECOND);
    assert_eq!(Sets::waitable_set_wait_for(set, SECOND)?, WaitResult::Timeout);
    assert_eq!(MANUAL.now(), 4 * SECOND);
    let task = call(SUSPENDS)?;
    assert_eq!(TaskBuiltins::task_wait_until(task, 5 * SECOND)?, None);
    assert_eq!(MANUAL.now(), 5 * SECOND);
    let thread = Threads::thread_spawn_indirect(0, SUSPENDS, ThreadSpawnConfig::default(), None)?;
    assert_eq!(Threads::thread_join_until(thread, 6 * SECOND)?, None);
    assert_eq!((MANUAL.now(), Threads::thread_state(thread)?), (6 * SECOND, TaskState::Running));
    let helped = canon_async::waitable_set::helpers::wait_for_any([], Some(SECOND))?;
    assert_eq!((helped, MANUAL.now()), (WaitResult::Timeout, 7 * SECOND));
    let thread = Threads::thread_spawn_indirect(0, ONCE, ThreadSpawnConfig::default(), None)?;
    let outcome = Threads::thread_join_until(thread, 8 * SECOND)?;
    assert_eq!((outcome, MANUAL.now()), (Some(TaskOutcome::Completed(7u32.into())), 7 * SECOND));
    Ok(())
}

fn deadline_without_a_clock_is_misuse_before_anything_runs() -> Result<(), Error> {
    let _one = fresh();
    script::register(FUNCTIONS)?;
    let task = call(ONCE)?;
    TURNS.store(0, SeqCst);
    let waited = TaskBuiltins::task_wait_until(task, Duration::ZERO);
    if cfg!(feature = "std") {
        assert!(waited.is_ok());
    } else {
        assert!(is_misuse(waited));
        assert_eq!(TURNS.load(SeqCst), 0);
    }
    Ok(())
}

tests! {
    wait_while_a_host_function_will_answer_lets_the_engine_idle_until_it_does,
    wait_while_the_engine_idles_times_out,
    wait_where_the_engine_can_not_idle_asks_after_each_wait_of_the_clock,
    wait_finds_an_answer_that_came_with_the_deadline,
    wait_without_a_deadline_lets_the_engine_idle,
    deadline_is_met_while_guests_are_busy,
    answer_is_noticed_while_guests_are_busy,
    tick_finds_an_answer_where_nothing_is_ready,
    deadline_that_is_past_leaves_one_turn_of_what_is_ready,
    deadline_that_is_past_asks_for_answers_and_never_waits,
    wait_that_only_the_deadline_can_end_times_out_then_and_not_before,
    clock_moved_by_hand_times_every_kind_of_wait,
    deadline_without_a_clock_is_misuse_before_anything_runs,
}
