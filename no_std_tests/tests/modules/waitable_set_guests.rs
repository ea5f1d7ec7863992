//! Waitable sets of the host: the futures that guests have an end of, and calls. The same tests on every tier.

use crate::common::copies::*;
use alloc::vec::Vec;
use canon_async::ambient::{self, Reaction, Signal};
use canon_async::clock::{Clock, ManualClock};
use canon_async::prelude::*;
use canon_async::waitable_set::helpers;
use canon_async::{Resource, Trap, spec};
use core::future::Future as _;
use core::pin::pin;
use core::task::{Context, Waker};
use core::time::Duration;

use crate::common::waits::{add, blocks, counts, is_misuse};
use WaitableSetBuiltins as Sets;

fn guest_reads_a_future_that_the_host_completes() -> Result<(), Error> {
    let _one = guests();
    let (handle, readable) = FutureHandle::for_guest(Some(U32))?;
    let task = call(READS_FUTURE, &[readable])?;
    assert!(!task.has_returned());
    // Of another type, or none, is not what it carries.
    assert!(is_misuse(handle.complete(ComponentValue::from("text"))));
    assert!(is_misuse(handle.complete(None)));
    assert!(is_misuse(handle.cancel()));
    assert_eq!(handle.close(), Err(Trap::FutureNotWritten.into()));
    handle.complete(number(41))?;
    assert_eq!(task.result()?, ComponentValue::U32(42));
    // The guest has it: nothing of it is left with the host.
    assert_eq!((handle.is_registered()?, blocks()), (false, 1));
    Ok(())
}

fn guest_reads_a_future_that_an_interrupt_completes() -> Result<(), Error> {
    static SIGNAL: Signal = Signal::new();
    let _one = guests();
    let (handle, readable) = FutureHandle::for_guest(Some(U32))?;
    let task = call(READS_FUTURE, &[readable])?;
    let set = helpers::create_set_with([Waitable::Subtask(task.subtask.expect("it waits"))])?;
    SIGNAL.arm(Reaction::Complete(handle, number(41)))?;
    let mut wait = pin!(Sets::waitable_set_wait_async(set));
    let mut context = Context::from_waker(Waker::noop());
    assert!(wait.as_mut().poll(&mut context).is_pending());
    SIGNAL.signal();
    assert!(wait.poll(&mut context).is_ready());
    let value = ambient::core(|core| ComponentValue::load_in(U32, &core.memory, task.at))??;
    assert_eq!((value, handle.is_registered()?), (ComponentValue::U32(42), false));
    Ok(())
}

fn guest_reads_a_future_that_the_host_completed_before() -> Result<(), Error> {
    let _one = guests();
    let (handle, readable) = FutureHandle::for_guest(Some(U32))?;
    handle.complete(number(41))?;
    assert!(is_misuse(handle.complete(number(42))));
    let task = call(READS_FUTURE, &[readable])?;
    assert_eq!(task.result()?, ComponentValue::U32(42));
    // What was read is seen to with the next operation.
    let set = Sets::waitable_set_new()?;
    assert_eq!(Sets::waitable_set_poll(set)?, WaitResult::Timeout);
    assert_eq!((handle.is_registered()?, blocks()), (false, 1));
    Ok(())
}

fn wait_for_a_guest_to_read_or_drop_a_future() -> Result<(), Error> {
    let _one = guests();
    let set = Sets::waitable_set_new()?;
    for (reader, state) in [(READS_FUTURE, FutureState::Ready(None)), (DROPS_FUTURE, FutureState::Cancelled)]
    {
        let (handle, readable) = FutureHandle::for_guest(Some(U32))?;
        Sets::waitable_set_add(set, Waitable::Future(handle.into()))?;
        handle.complete(number(1))?;
        assert_eq!(Sets::waitable_set_wait(set)?, WaitResult::Deadlock);
        call(reader, &[readable])?;
        assert_eq!(future(Sets::waitable_set_wait(set)?), Future { handle, state });
        assert_eq!(handle.is_registered(), Ok(false));
    }
    Ok(())
}

fn host_reads_a_future_that_a_guest_writes() -> Result<(), Error> {
    let _one = guests();
    let readable = call(GIVES_FUTURE, &[])?.result()?;
    let handle = FutureHandle::from_guest(&readable)?;
    assert!(is_misuse(FutureHandle::from_guest(&readable)));
    assert!(is_misuse(FutureHandle::from_guest(&ComponentValue::U32(1))));
    assert!(is_misuse(FutureHandle::from_guest(&ComponentValue::Future(77))));
    assert!(is_misuse(handle.complete(number(1))));
    let set = Sets::waitable_set_new()?;
    Sets::waitable_set_add(set, Waitable::Future(handle.into()))?;
    assert_eq!(future(Sets::waitable_set_wait(set)?).value().cloned(), number(41));
    assert_eq!((handle.is_registered()?, blocks()), (false, 1));
    Ok(())
}

fn host_closes_a_future_that_a_guest_writes() -> Result<(), Error> {
    let _one = guests();
    for in_a_set in [false, true] {
        let readable = call(GIVES_FUTURE, &[])?.result()?;
        let handle = FutureHandle::from_guest(&readable)?;
        if in_a_set {
            let set = Sets::waitable_set_new()?;
            Sets::waitable_set_add(set, Waitable::Future(handle.into()))?;
        }
        let waitables = counts().waitables;
        handle.close()?;
        assert_eq!((handle.is_registered()?, counts().waitables), (false, waitables - 1));
    }
    Ok(())
}

fn future_that_was_given_away_is_nobody_elses() -> Result<(), Error> {
    let _one = guests();
    let readable = call(GIVES_FUTURE, &[])?.result()?;
    let handle = FutureHandle::from_guest(&readable)?;
    call(READS_FUTURE, core::slice::from_ref(&readable))?;
    let set = Sets::waitable_set_new()?;
    // Its place in the host's table is another's now.
    assert_eq!(Some(set.handle()), readable.to_bits().map(|bits| bits as u32));
    assert!(is_misuse(Sets::waitable_set_add(set, Waitable::Future(handle.into()))));
    let before = counts();
    handle.close()?;
    assert_eq!((handle.is_registered()?, counts()), (false, before));
    Ok(())
}

fn future_whose_value_the_host_can_not_take_has_failed() -> Result<(), Error> {
    let _one = guests();
    let handle = FutureHandle::from_guest(&call(GIVES_TEXT, &[])?.result()?)?;
    let set = Sets::waitable_set_new()?;
    let before = blocks();
    Sets::waitable_set_add(set, Waitable::Future(handle.into()))?;
    let failed = FutureState::Failed(Error::capacity(Resource::TextBytes));
    assert_eq!(future(Sets::waitable_set_wait(set)?).state, failed);
    assert_eq!((handle.is_registered()?, blocks()), (false, before));
    Ok(())
}

fn future_for_which_there_is_no_memory_has_failed() -> Result<(), Error> {
    let _one = guests();
    let handle = FutureHandle::from_guest(&call(GIVES_TEXT, &[])?.result()?)?;
    // All but what the buffer needs: there is no room for the text.
    let rest: Vec<u32> = ambient::core(|core| core::iter::from_fn(|| core.memory.alloc(64).ok()).collect())?;
    ambient::core(|core| core.memory.free(rest[0]))??;
    let set = Sets::waitable_set_new()?;
    Sets::waitable_set_add(set, Waitable::Future(handle.into()))?;
    let failed = FutureState::Failed(Error::capacity(Resource::HostBytes));
    assert_eq!(future(Sets::waitable_set_wait(set)?).state, failed);
    counts();
    Ok(())
}

fn blocked(arg: u32) -> Result<(Subtask, u32), Error> {
    let call = call(YIELDS, &[ComponentValue::U32(arg)])?;
    Ok((call.subtask.expect("it blocks"), call.at))
}

fn subtask_is_ready_when_the_call_has_resolved() -> Result<(), Error> {
    let _one = guests();
    let (subtask, at) = blocked(4)?;
    let set = Sets::waitable_set_new()?;
    let id = Sets::waitable_set_add(set, Waitable::Subtask(subtask))?;
    assert_eq!(id.handle(), subtask.handle);
    assert_eq!(Sets::waitable_set_poll(set)?, WaitResult::Timeout);
    let entry = Sets::waitable_set_wait(set)?.ready().expect("it has returned");
    let waitable = Waitable::Subtask(Subtask { state: spec::SubtaskState::Returned, ..subtask });
    assert_eq!(entry, WaitableEntry { id, waitable });
    let value = ambient::core(|core| ComponentValue::load_in(U32, &core.memory, at))??;
    assert_eq!(value, ComponentValue::U32(5));
    // Its handle is gone.
    let again = Sets::waitable_set_add(set, Waitable::Subtask(subtask));
    assert_eq!(again, Err(Trap::UnknownHandle(subtask.handle).into()));
    assert_eq!((Sets::waitable_set_len(set)?, counts().waitables), (0, 0));
    Ok(())
}

fn subtask_that_has_started_is_not_ready() -> Result<(), Error> {
    let _one = guests();
    let (first, _) = blocked(4)?;
    // The first holds the lock: the second call has not started yet.
    let (second, at) = blocked(5)?;
    assert_eq!(second.state, spec::SubtaskState::Starting);
    let set = helpers::create_set_with([Waitable::Subtask(second)])?;
    // Both go on, and the second starts, which is an event for guests alone.
    let entry = Sets::waitable_set_wait(set)?.ready().expect("it has returned");
    let returned = |subtask| Waitable::Subtask(Subtask { state: spec::SubtaskState::Returned, ..subtask });
    assert_eq!(entry.waitable, returned(second));
    let value = ambient::core(|core| ComponentValue::load_in(U32, &core.memory, at))??;
    assert_eq!(value, ComponentValue::U32(6));
    let entry = helpers::wait_for_any([Waitable::Subtask(first)], None)?.ready().expect("it has returned");
    assert_eq!(entry.waitable, returned(first));
    Ok(())
}

fn subtask_and_future_in_one_set_come_as_they_are_ready() -> Result<(), Error> {
    let _one = guests();
    let (subtask, _) = blocked(4)?;
    let set = helpers::create_set_with([Waitable::Subtask(subtask)])?;
    let (handle, _) = add(set)?;
    // What is ready is told of before anything runs.
    handle.complete(None)?;
    assert_eq!(future(Sets::waitable_set_wait(set)?).handle, handle);
    assert!(matches!(
        Sets::waitable_set_wait(set)?.ready().map(|entry| entry.waitable),
        Some(Waitable::Subtask(_))
    ));
    Ok(())
}

fn wait_with_a_deadline_runs_guests() -> Result<(), Error> {
    static CLOCK: ManualClock = ManualClock::new();
    let _one = guests();
    ambient::set_clock(&CLOCK)?;
    let set = helpers::create_set_with([Waitable::Subtask(blocked(4)?.0)])?;
    let result = Sets::waitable_set_wait_for(set, Duration::from_secs(1))?;
    assert!(result.ready().is_some());
    assert_eq!(CLOCK.now(), Duration::ZERO);
    Ok(())
}

fn wait_in_which_a_guest_traps_answers_the_trap_and_the_set_is_as_it_was() -> Result<(), Error> {
    let _one = guests();
    let set = Sets::waitable_set_new()?;
    let (handle, _) = add(set)?;
    blocked(0)?;
    assert_eq!(Sets::waitable_set_wait(set), Err(Trap::Engine(7).into()));
    assert_eq!(Sets::waitable_set_len(set)?, 1);
    handle.complete(number(1))?;
    assert_eq!(future(Sets::waitable_set_wait(set)?).value().cloned(), number(1));
    Ok(())
}

tests! {
    guest_reads_a_future_that_the_host_completes,
    guest_reads_a_future_that_an_interrupt_completes,
    guest_reads_a_future_that_the_host_completed_before,
    wait_for_a_guest_to_read_or_drop_a_future,
    host_reads_a_future_that_a_guest_writes,
    host_closes_a_future_that_a_guest_writes,
    future_that_was_given_away_is_nobody_elses,
    future_whose_value_the_host_can_not_take_has_failed,
    future_for_which_there_is_no_memory_has_failed,
    subtask_is_ready_when_the_call_has_resolved,
    subtask_that_has_started_is_not_ready,
    subtask_and_future_in_one_set_come_as_they_are_ready,
    wait_with_a_deadline_runs_guests,
    wait_in_which_a_guest_traps_answers_the_trap_and_the_set_is_as_it_was,
}
