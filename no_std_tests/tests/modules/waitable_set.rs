//! Waitable sets of the host. The same tests on every tier.

use crate::common::fresh;
use crate::common::sync::Mutex;
use alloc::vec::Vec;
use canon_async::ambient;
use canon_async::clock::{Clock, ManualClock};
use canon_async::prelude::*;
use canon_async::store::Counts;
use canon_async::waitable_set::helpers;
use canon_async::{Trap, spec};
use core::time::Duration;

use crate::common::waits::{add, blocks, counts, is_misuse};
use WaitableSetBuiltins as Sets;

fn add_set(set: WaitableSetId, inner: WaitableSetId) -> Result<WaitableId, Error> {
    Sets::waitable_set_add(set, Waitable::WaitableSet(inner))
}

fn number(value: u32) -> Option<ComponentValue> {
    Some(ComponentValue::U32(value))
}

fn future(result: WaitResult) -> Future {
    match result.ready().map(|entry| entry.waitable) {
        Some(Waitable::Future(future)) => future,
        other => panic!("no future: {other:?}"),
    }
}

fn future_handle_new_only_draws_an_id() -> Result<(), Error> {
    let _one = fresh();
    let (one, other) = (FutureHandle::new(), FutureHandle::new());
    assert_ne!(one, other);
    assert_eq!(counts(), Counts::default());
    assert_eq!(one.is_registered(), Ok(false));
    assert!(is_misuse(one.complete(number(1))));
    assert!(is_misuse(one.cancel()));
    assert!(is_misuse(one.close()));
    let set = Sets::waitable_set_new()?;
    Sets::waitable_set_add(set, Waitable::Future(one.into()))?;
    assert_eq!((one.is_registered(), other.is_registered()), (Ok(true), Ok(false)));
    // Both ends are the host's.
    assert_eq!((counts().waitables, counts().streams), (2, 1));
    Ok(())
}

fn wait_future_completed_by_the_host_is_ready_once_and_leaves_nothing() -> Result<(), Error> {
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    let empty = counts();
    let values = [
        number(7),
        None,
        Some("text".into()),
        Some(ComponentValue::List(Scalars::of(&[1i32.into(), 2i32.into()])?)),
    ];
    for value in values {
        let (handle, id) = add(set)?;
        assert_eq!(Sets::waitable_set_wait(set)?, WaitResult::Deadlock);
        assert_eq!(Sets::waitable_set_poll(set)?, WaitResult::Timeout);
        handle.complete(value.clone())?;
        assert!(is_misuse(handle.complete(number(8))));
        assert!(is_misuse(handle.cancel()));
        let entry = Sets::waitable_set_wait(set)?.ready().expect("it was completed");
        assert_eq!(
            entry,
            WaitableEntry {
                id,
                waitable: Waitable::Future(Future { handle, state: FutureState::Ready(value) })
            }
        );
        assert_eq!(Sets::waitable_set_wait(set)?, WaitResult::Deadlock);
        assert_eq!((Sets::waitable_set_len(set)?, handle.is_registered()?), (0, false));
        assert!(is_misuse(handle.complete(number(8))));
        assert_eq!(counts(), empty);
    }
    Sets::waitable_set_drop(set)?;
    assert_eq!(counts(), Counts::default());
    assert_eq!(blocks(), 0);
    Ok(())
}

fn future_cancelled_by_the_host_says_so() -> Result<(), Error> {
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    let (handle, _) = add(set)?;
    handle.cancel()?;
    assert!(is_misuse(handle.complete(number(8))));
    assert_eq!(future(Sets::waitable_set_wait(set)?).state, FutureState::Cancelled);
    // As it is added.
    let state = FutureState::Cancelled;
    Sets::waitable_set_add(set, Waitable::Future(Future { handle: FutureHandle::new(), state }))?;
    assert_eq!(future(Sets::waitable_set_poll(set)?).state, FutureState::Cancelled);
    Ok(())
}

fn poll_all_is_in_the_order_of_readiness() -> Result<(), Error> {
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    let futures = (0..5).map(|_| add(set)).collect::<Result<Vec<_>, _>>()?;
    for index in [3, 0, 4] {
        futures[index].0.complete(number(index as u32))?;
    }
    let ready = Sets::waitable_set_poll_all(set)?;
    let ids: Vec<_> = ready.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [futures[3].1, futures[0].1, futures[4].1]);
    assert!(Sets::waitable_set_poll_all(set)?.is_empty());
    assert_eq!(Sets::waitable_set_len(set)?, 2);
    futures[2].0.complete(None)?;
    assert_eq!(Sets::waitable_set_wait(set)?.ready().map(|entry| entry.id), Some(futures[2].1));
    Ok(())
}

fn wait_until_a_deadline_times_out_at_that_time() -> Result<(), Error> {
    static CLOCK: ManualClock = ManualClock::new();
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    let (handle, _) = add(set)?;
    ambient::set_clock(&CLOCK)?;
    let start = CLOCK.now();
    assert_eq!(Sets::waitable_set_wait_for(set, Duration::from_secs(5))?, WaitResult::Timeout);
    assert_eq!(CLOCK.now() - start, Duration::from_secs(5));
    // What is past is a poll.
    assert_eq!(Sets::waitable_set_wait_until(set, Duration::ZERO)?, WaitResult::Timeout);
    assert_eq!(CLOCK.now() - start, Duration::from_secs(5));
    handle.complete(number(1))?;
    assert_eq!(future(Sets::waitable_set_wait_until(set, Duration::ZERO)?).value().cloned(), number(1));
    assert_eq!(CLOCK.now() - start, Duration::from_secs(5));
    Ok(())
}

fn wait_with_a_deadline_finds_what_the_clock_completes() -> Result<(), Error> {
    /// Completes a future when half of the time is over, as an interrupt would.
    struct Interrupts(ManualClock, Mutex<Option<FutureHandle>>);
    impl Clock for Interrupts {
        fn now(&self) -> Duration {
            self.0.now()
        }
        fn wait_until(&self, deadline: Duration) {
            let half = (deadline - self.now()) / 2;
            self.0.advance(half);
            if let Some(handle) = self.1.lock().take() {
                handle.complete(number(9)).expect("nothing is in use while the clock waits");
            }
        }
    }
    static CLOCK: Interrupts = Interrupts(ManualClock::new(), Mutex::new(None));
    let _one = fresh();
    ambient::set_clock(&CLOCK)?;
    let set = Sets::waitable_set_new()?;
    let (handle, _) = add(set)?;
    *CLOCK.1.lock() = Some(handle);
    let result = Sets::waitable_set_wait_for(set, Duration::from_secs(8))?;
    assert_eq!(future(result).value().cloned(), number(9));
    assert_eq!(CLOCK.now(), Duration::from_secs(4));
    Ok(())
}

#[cfg(not(feature = "std"))]
fn wait_with_a_deadline_without_a_clock_is_misuse() -> Result<(), Error> {
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    let (handle, _) = add(set)?;
    assert!(is_misuse(Sets::waitable_set_wait_until(set, Duration::ZERO)));
    handle.complete(number(1))?;
    assert_eq!(future(Sets::waitable_set_wait(set)?).handle, handle);
    Ok(())
}

fn nested_set_is_ready_for_as_long_as_something_in_it_is() -> Result<(), Error> {
    let _one = fresh();
    let [outer, middle, inner] =
        [Sets::waitable_set_new()?, Sets::waitable_set_new()?, Sets::waitable_set_new()?];
    let middle_id = add_set(outer, middle)?;
    add_set(middle, inner)?;
    let (deep, _) = add(inner)?;
    let (own, own_id) = add(outer)?;
    assert_eq!(Sets::waitable_set_wait(outer)?, WaitResult::Deadlock);
    deep.complete(number(1))?;
    for _ in 0..2 {
        let entry = Sets::waitable_set_wait(outer)?.ready().expect("the inner one is ready");
        assert_eq!(entry, WaitableEntry { id: middle_id, waitable: Waitable::WaitableSet(middle) });
    }
    own.complete(number(2))?;
    // The set's own first, and each once.
    let ids: Vec<_> = Sets::waitable_set_poll_all(outer)?.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [own_id, middle_id]);
    // What is ready is taken from the set that it is in.
    assert_eq!(future(Sets::waitable_set_poll(inner)?).handle, deep);
    assert_eq!(Sets::waitable_set_poll(outer)?, WaitResult::Timeout);
    assert_eq!(Sets::waitable_set_wait(outer)?, WaitResult::Deadlock);
    Ok(())
}

fn nested_sets_are_a_forest() -> Result<(), Error> {
    let _one = fresh();
    let sets = (0..4).map(|_| Sets::waitable_set_new()).collect::<Result<Vec<_>, _>>()?;
    let [a, b, c, d] = sets[..] else { panic!() };
    let b_id = add_set(a, b)?;
    add_set(b, c)?;
    add_set(a, d)?;
    for set in [a, b, c] {
        assert!(is_misuse(add_set(c, set)), "{set:?}");
    }
    assert_eq!(Sets::waitable_set_len(a)?, 2);
    assert_eq!(Sets::waitable_set_drop(a), Err(Trap::SetNotEmpty.into()));
    // Two are ready: those added first come first, and added again it is the last.
    for set in [c, d] {
        add(set)?.0.complete(None)?;
    }
    let ready = |set| -> Result<Vec<Waitable>, Error> {
        Ok(Sets::waitable_set_poll_all(set)?.iter().map(|entry| entry.waitable.clone()).collect())
    };
    assert_eq!(ready(a)?, [Waitable::WaitableSet(b), Waitable::WaitableSet(d)]);
    assert_eq!(add_set(a, b)?, b_id);
    assert_eq!(ready(a)?, [Waitable::WaitableSet(d), Waitable::WaitableSet(b)]);
    // It goes over.
    add_set(d, b)?;
    assert_eq!(ready(a)?, [Waitable::WaitableSet(d)]);
    assert!(is_misuse(Sets::waitable_set_remove(a, b_id)));
    Sets::waitable_set_remove(d, b_id)?;
    assert!(is_misuse(Sets::waitable_set_remove(d, b_id)));
    // A set that is dropped leaves the one that it is in.
    future(Sets::waitable_set_poll(d)?);
    Sets::waitable_set_drop(d)?;
    assert_eq!(Sets::waitable_set_len(a)?, 0);
    Sets::waitable_set_drop(a)?;
    assert!(is_misuse(Sets::waitable_set_len(a)));
    // The place of a set that is gone is another's.
    let new = Sets::waitable_set_new()?;
    assert_eq!(new.handle(), a.handle());
    assert!(is_misuse(add_set(a, b)));
    assert!(is_misuse(Sets::waitable_set_wait(a)));
    Ok(())
}

fn remove_takes_out_and_the_future_goes_on() -> Result<(), Error> {
    let _one = fresh();
    let (set, other) = (Sets::waitable_set_new()?, Sets::waitable_set_new()?);
    let (handle, id) = add(set)?;
    assert!(is_misuse(Sets::waitable_set_remove(other, id)));
    Sets::waitable_set_remove(set, id)?;
    assert!(is_misuse(Sets::waitable_set_remove(set, id)));
    handle.complete(number(1))?;
    assert_eq!(Sets::waitable_set_wait(set)?, WaitResult::Deadlock);
    // It is the same one in the other set; with a state of its own it can't be registered twice.
    let state = FutureState::Cancelled;
    assert!(is_misuse(Sets::waitable_set_add(other, Waitable::Future(Future { handle, state }))));
    assert_eq!(Sets::waitable_set_add(other, Waitable::Future(handle.into()))?, id);
    assert_eq!(future(Sets::waitable_set_poll(other)?).value().cloned(), number(1));
    // From set to set at once, and closed.
    let (handle, id) = add(set)?;
    assert_eq!(Sets::waitable_set_add(other, Waitable::Future(handle.into()))?, id);
    assert_eq!((Sets::waitable_set_len(set)?, Sets::waitable_set_len(other)?), (0, 1));
    handle.close()?;
    assert_eq!(Sets::waitable_set_len(other)?, 0);
    assert!(is_misuse(Sets::waitable_set_remove(other, id)));
    assert_eq!(counts().waitables, 0);
    Ok(())
}

fn initialize_wipes_nothing_and_a_reset_makes_ids_stale() -> Result<(), Error> {
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    let (handle, id) = add(set)?;
    Sets::initialize()?;
    handle.complete(number(1))?;
    assert_eq!(Sets::waitable_set_len(set)?, 1);
    ambient::reset()?;
    let new = Sets::waitable_set_new()?;
    let (_, new_id) = add(new)?;
    assert_eq!((new.handle(), new_id.handle()), (set.handle(), id.handle()));
    assert!(is_misuse(Sets::waitable_set_poll(set)));
    assert!(is_misuse(Sets::waitable_set_remove(new, id)));
    assert_eq!(handle.is_registered(), Ok(false));
    Ok(())
}

fn helpers_wait_for_any_and_for_all() -> Result<(), Error> {
    let _one = fresh();
    let ready = |value| Future { handle: FutureHandle::new(), state: FutureState::Ready(number(value)) };
    let pending = Future::new();
    let first = helpers::wait_for_any_future([pending.clone(), ready(3)])?;
    assert_eq!(future(first).value().cloned(), number(3));
    // The other one is still there, and no set.
    assert_eq!((counts().sets, pending.handle.is_registered()?), (0, true));
    assert_eq!(helpers::wait_for_any_future([pending.clone()])?, WaitResult::Deadlock);
    pending.handle.complete(None)?;
    assert_eq!(future(helpers::wait_for_any_future([pending.clone()])?).handle, pending.handle);

    let set = helpers::create_set_with([ready(1), ready(2)].map(Waitable::Future))?;
    let mut seen = Vec::new();
    let left = helpers::wait_for_all(set, |entry| {
        seen.push(entry.waitable);
        Ok(())
    })?;
    assert_eq!((left, seen.len()), (None, 2));
    add(set)?;
    assert_eq!(helpers::wait_for_all(set, |_| Ok(()))?, Some(WaitResult::Deadlock));
    // What can't be added leaves no set.
    let before = counts();
    let unknown = Waitable::Subtask(Subtask { handle: 99, state: spec::SubtaskState::Started });
    assert_eq!(helpers::create_set_with([unknown]), Err(Trap::UnknownHandle(99).into()));
    assert_eq!(counts(), before);
    Ok(())
}

fn wait_while_the_store_is_driven_is_misuse() -> Result<(), Error> {
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    ambient::drive(|_| {
        assert!(is_misuse(Sets::waitable_set_wait(set)));
        assert!(is_misuse(Sets::waitable_set_new()));
    })?;
    assert_eq!(Sets::waitable_set_wait(set)?, WaitResult::Deadlock);
    Ok(())
}

fn stale_set_id_is_not_another_sets() -> Result<(), Error> {
    let _one = fresh();
    let old = WaitableSetBuiltins::waitable_set_new()?;
    WaitableSetBuiltins::waitable_set_drop(old)?;
    // Its place in the host's table is another's for a time, and its place among the sets a third's.
    let error = ErrorContextBuiltins::error_context_new("x", ErrorSeverity::Info)?;
    WaitableSetBuiltins::waitable_set_new()?;
    ErrorContextBuiltins::error_context_drop(error)?;
    let new = WaitableSetBuiltins::waitable_set_new()?;
    assert_eq!(new.handle(), old.handle());
    assert_ne!(new, old);
    assert!(WaitableSetBuiltins::waitable_set_len(old).is_err());
    Ok(())
}

tests! {
    future_handle_new_only_draws_an_id,
    wait_future_completed_by_the_host_is_ready_once_and_leaves_nothing,
    future_cancelled_by_the_host_says_so,
    poll_all_is_in_the_order_of_readiness,
    wait_until_a_deadline_times_out_at_that_time,
    wait_with_a_deadline_finds_what_the_clock_completes,
    wait_with_a_deadline_without_a_clock_is_misuse [no_std],
    nested_set_is_ready_for_as_long_as_something_in_it_is,
    nested_sets_are_a_forest,
    remove_takes_out_and_the_future_goes_on,
    initialize_wipes_nothing_and_a_reset_makes_ids_stale,
    helpers_wait_for_any_and_for_all,
    wait_while_the_store_is_driven_is_misuse,
    stale_set_id_is_not_another_sets,
}
