//! Guests of components and code of the host in one ambient store.

mod common;
#[path = "common/ambient.rs"]
mod guests;

use std::sync::Mutex;
use std::time::Duration;

use canon_async::canon::Builtin;
use canon_async::clock::ManualClock;
use canon_async::context::ContextKey;
use canon_async::prelude::*;
use canon_async::state::Lower;
use canon_async::waitable_set::helpers;
use canon_async::{Trap, ambient, run, spec};
use canon_async_wasmi::{Error as WasmiError, Instance, Val};
use guests::{assert_idle, completed, failed, function, guest, is_misuse, notes, plain_guest, start};

const U32: ValueType = ValueType::U32;

#[test]
fn task_wait_drives_a_guest_that_reads_a_future_of_the_host() -> Result<(), Error> {
    let (_one, instance) = plain_guest();
    let (future, readable) = FutureHandle::for_guest(Some(U32))?;
    let task = start(&instance, "read", &[readable])?;
    assert_eq!(TaskBuiltins::task_state(task)?, TaskState::Running);
    // Nobody completes it.
    assert_eq!(TaskBuiltins::task_wait(task), Err(Trap::Deadlock.into()));
    future.complete(ComponentValue::U32(21))?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(21u32));
    assert!(!future.is_registered()?);
    assert_idle();
    Ok(())
}

#[test]
fn waitable_set_wait_for_a_call_and_a_future_takes_what_is_ready_first() -> Result<(), Error> {
    let (_one, instance) = plain_guest();
    let (future, readable) = FutureHandle::for_guest(Some(U32))?;
    let read = function(&instance, "read");
    let (lower, at) = ambient::core(|core| {
        let lower = core.store.add_lower(Lower { callee: read, options: core.host()?.async_options })?;
        Ok::<_, Error>((lower, core.memory.alloc(4)?))
    })??;
    let args = [readable.to_bits().expect("a handle"), u64::from(at)];
    let answer = ambient::drive(|e| run::builtin(e, Builtin::Lower(lower), &args))??;
    let subtask = Subtask::from_call(answer).expect("it blocks");
    assert_eq!(subtask.state, spec::SubtaskState::Started);

    let set = WaitableSetBuiltins::waitable_set_new()?;
    let other = FutureHandle::new();
    WaitableSetBuiltins::waitable_set_add(set, Waitable::Subtask(subtask))?;
    WaitableSetBuiltins::waitable_set_add(set, Waitable::Future(other.into()))?;
    assert_eq!(WaitableSetBuiltins::waitable_set_wait(set)?, WaitResult::Deadlock);
    future.complete(ComponentValue::U32(9))?;
    other.complete(ComponentValue::Bool(true))?;
    let next = || Ok::<_, Error>(WaitableSetBuiltins::waitable_set_wait(set)?.ready().expect("two").waitable);
    assert!(matches!(next()?, Waitable::Future(future) if future.handle == other));
    let returned = Subtask { state: spec::SubtaskState::Returned, ..subtask };
    assert_eq!(next()?, Waitable::Subtask(returned));
    ambient::core(|core| {
        let value = ComponentValue::load_in(U32, &core.memory, at)?;
        assert_eq!(value, ComponentValue::U32(9));
        core.memory.free(at)
    })??;
    WaitableSetBuiltins::waitable_set_drop(set)?;
    assert_idle();
    Ok(())
}

#[test]
fn stream_write_of_the_host_reaches_the_guest_that_reads() -> Result<(), Error> {
    let (_one, instance) = plain_guest();
    let (stream, readable) = StreamHandle::for_guest(Some(ValueType::U8))?;
    let task = start(&instance, "sum", &[readable])?;
    let set = WaitableSetBuiltins::waitable_set_new()?;
    WaitableSetBuiltins::waitable_set_add(set, Waitable::Stream(stream.into()))?;
    // More than it reads at once.
    let mut left: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    while !left.is_empty() {
        let list: Vec<ComponentValue> = left.iter().map(|byte| (*byte).into()).collect();
        stream.write(ComponentValue::List(Scalars::of(&list)?))?;
        let written = WaitableSetBuiltins::waitable_set_wait(set)?.ready().expect("it is read").waitable;
        let Waitable::Stream(Stream { state: StreamState::Written(n @ 1..), .. }) = written else {
            panic!("{written:?}")
        };
        left = &left[n as usize..];
    }
    stream.close()?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(55u32));
    assert_idle();
    Ok(())
}

#[test]
fn task_call_gives_the_host_a_future_that_a_guest_made() -> Result<(), Error> {
    let (_one, instance) = plain_guest();
    let task = start(&instance, "make", &[])?;
    let TaskOutcome::Completed(value) = TaskBuiltins::task_wait(task)? else { panic!("it returns") };
    let future = FutureHandle::from_guest(&value.into_component_value().expect("a future"))?;
    let ready =
        helpers::wait_for_any([Waitable::Future(future.into())], None)?.ready().expect("the guest writes");
    let Waitable::Future(future) = ready.waitable else { panic!("{ready:?}") };
    assert_eq!(future.value(), Some(&ComponentValue::U32(7)));
    // The guest goes on after it has returned.
    while TaskBuiltins::tick()? {}
    assert_eq!(ambient::core(|core| core.store.counts().tasks)?, 0);
    Ok(())
}

#[test]
fn error_contexts_go_to_guests_and_come_back_with_what_the_host_knows() -> Result<(), Error> {
    let (_one, instance) = plain_guest();
    let outcome = TaskBuiltins::task_wait(start(&instance, "fails", &[])?)?;
    let Some(ComponentValue::ErrorContext(handle)) = outcome.value() else { panic!("{outcome:?}") };
    let message = ambient::core(|core| core.store.host_error_message(*handle).map(String::from))??;
    assert_eq!(message, "no more cheese");
    let outcome =
        TaskBuiltins::task_wait(start(&instance, "same", &[ComponentValue::ErrorContext(*handle)])?)?;
    let Some(ComponentValue::ErrorContext(back)) = outcome.value() else { panic!("{outcome:?}") };
    ambient::core(|core| {
        core.store.drop_host_error_context(*handle)?;
        core.store.drop_host_error_context(*back)
    })??;
    Ok(())
}

#[test]
fn task_call_with_a_handle_that_the_host_does_not_hold_fails_and_harms_no_guest() -> Result<(), Error> {
    let (_one, instance) = plain_guest();
    let read = function(&instance, "read");
    for value in [ComponentValue::U32(3), ComponentValue::Stream(3), ComponentValue::ErrorContext(3)] {
        assert!(is_misuse(TaskBuiltins::task_call(read, &[value])));
    }
    let task = TaskBuiltins::task_call(read, &[ComponentValue::Future(3)])?;
    assert_eq!(TaskBuiltins::task_wait(task)?, failed(Trap::UnknownHandle(3)));
    // One of another type.
    let (future, readable) = FutureHandle::for_guest(Some(ValueType::U8))?;
    let task = TaskBuiltins::task_call(read, &[readable])?;
    assert!(matches!(
        TaskBuiltins::task_wait(task)?,
        TaskOutcome::Failed(TaskFailure::Error(Error::Trap(_)))
    ));
    assert!(future.is_registered()?);
    let (future, readable) = FutureHandle::for_guest(Some(U32))?;
    let task = TaskBuiltins::task_call(read, &[readable])?;
    future.complete(ComponentValue::U32(4))?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(4u32));
    Ok(())
}

#[test]
fn task_cancel_tells_a_guest_that_waits_in_its_callback_loop() -> Result<(), Error> {
    let (_one, instance) = plain_guest();
    let task = start(&instance, "waits", &[ComponentValue::U32(0)])?;
    assert_eq!(TaskBuiltins::task_wait(task), Err(Trap::Deadlock.into()));
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(TaskBuiltins::task_wait(task)?, TaskOutcome::Cancelled);
    assert_eq!(notes(), [spec::EventCode::TaskCancelled as u32]);
    // One that returns a value all the same.
    let task = start(&instance, "waits", &[ComponentValue::U32(30)])?;
    TaskBuiltins::cancellation_token(task)?.cancel()?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(30u32));
    assert_idle();
    Ok(())
}

#[test]
fn task_cancel_removes_a_call_that_has_not_started_and_leaves_its_handles() -> Result<(), Error> {
    let (_one, instance) = plain_guest();
    TaskBuiltins::task_wait(start(&instance, "close", &[])?)?;
    let (future, readable) = FutureHandle::for_guest(Some(U32))?;
    let task = start(&instance, "read", std::slice::from_ref(&readable))?;
    let noted = start(&instance, "yields", &[ComponentValue::U32(1)])?;
    assert_eq!(TaskBuiltins::task_state(task)?, TaskState::Pending);
    TaskBuiltins::task_cancel(task)?;
    TaskBuiltins::task_cancel(noted)?;
    assert_eq!(TaskBuiltins::task_wait(task)?, TaskOutcome::Cancelled);
    TaskBuiltins::task_wait(start(&instance, "open", &[])?)?;
    assert_eq!((TaskBuiltins::task_wait(noted)?, notes()), (TaskOutcome::Cancelled, vec![]));
    // The end is the host's still.
    let task = start(&instance, "read", &[readable])?;
    future.complete(ComponentValue::U32(5))?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(5u32));
    assert_idle();
    Ok(())
}

fn context() -> Option<ComponentValue> {
    let value = AsyncContextManager::get_context_value(&ContextKey::new("who")).expect("not in use");
    value.map(|value| value.as_component_value().clone())
}

fn set_context(value: u32) {
    AsyncContextManager::set_context_value(ContextKey::new("who"), ComponentValue::U32(value).into())
        .expect("room");
}

#[test]
fn host_function_uses_the_ambient_modules_while_the_store_is_driven() -> Result<(), Error> {
    static FAILURE: Mutex<Option<ErrorContextId>> = Mutex::new(None);
    let (_one, instance) = guest(|n| {
        // The context of the task whose guest calls; each step keeps what the one before it set.
        let Some(ComponentValue::U32(seen)) = context() else { panic!("inherited") };
        set_context(seen + n);
        let task = TaskBuiltins::current_task()?.expect("a guest's call");
        TaskBuiltins::set_task_metadata(task, "seen", ComponentValue::U32(seen))?;
        if let Some(error) = *FAILURE.lock().unwrap() {
            ErrorContextBuiltins::error_context_set_metadata(error, "by", "a host function".into())?;
        }
        // It is being driven.
        assert!(is_misuse(TaskBuiltins::tick()));
        assert!(is_misuse(TaskBuiltins::task_start()));
        Ok(seen)
    });
    set_context(100);
    let error = ErrorContextBuiltins::error_context_new("bad luck", ErrorSeverity::Warning)?;
    *FAILURE.lock().unwrap() = Some(error);
    let task = start(&instance, "yields", &[ComponentValue::U32(1)])?;
    set_context(7);
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(101u32));
    assert_eq!(TaskBuiltins::get_task_metadata(task, "seen")?, Some(ComponentValue::U32(101)));
    assert_eq!(context(), Some(ComponentValue::U32(7)));
    let by = ErrorContextBuiltins::error_context_get_metadata(error, "by")?;
    assert_eq!(by, Some("a host function".into()));
    *FAILURE.lock().unwrap() = None;
    assert_idle();
    Ok(())
}

#[test]
fn host_function_that_fails_is_the_trap_of_the_task_with_its_text() -> Result<(), Error> {
    let (_one, instance) = guest(|n| Err(WasmiError::host(format!("no {n} today"))));
    let task = start(&instance, "noted", &[ComponentValue::U32(3)])?;
    let TaskOutcome::Failed(TaskFailure::Error(error)) = TaskBuiltins::task_wait(task)? else {
        panic!("it traps")
    };
    let text = guests::Guests::explain(error).expect("not in use").to_string();
    assert_eq!(text, "wasm trap: no 3 today");
    assert_eq!(start(&instance, "add", &[1.into(), 2.into()]), Err(Trap::CannotEnter.into()));
    assert_idle();
    Ok(())
}

#[test]
fn waitable_set_wait_for_with_a_suspended_guest_times_out_and_it_completes_later() -> Result<(), Error> {
    static CLOCK: ManualClock = ManualClock::new();
    let (_one, instance) = plain_guest();
    ambient::set_clock(&CLOCK)?;
    let (future, readable) = FutureHandle::for_guest(Some(U32))?;
    let task = start(&instance, "read", &[readable])?;
    let set = WaitableSetBuiltins::waitable_set_new()?;
    let never = FutureHandle::new();
    WaitableSetBuiltins::waitable_set_add(set, Waitable::Future(never.into()))?;
    let before = ambient::now()?;
    let waited = WaitableSetBuiltins::waitable_set_wait_for(set, Duration::from_millis(5))?;
    assert_eq!(waited, WaitResult::Timeout);
    assert_eq!(ambient::now()? - before, Duration::from_millis(5));
    assert_eq!(TaskBuiltins::task_state(task)?, TaskState::Running);
    future.complete(ComponentValue::U32(1))?;
    // The wait runs the guest, too.
    let waited = WaitableSetBuiltins::waitable_set_wait_for(set, Duration::from_millis(5))?;
    assert_eq!((waited, TaskBuiltins::task_state(task)?), (WaitResult::Timeout, TaskState::Completed));
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(1u32));
    Ok(())
}

#[test]
fn func_call_on_the_ambient_store_shares_tasks_and_backpressure_with_the_host() -> Result<(), WasmiError> {
    let (_one, instance) = plain_guest();
    let call = |instance: &Instance, name: &str, args: &[Val]| {
        guests::Guests::enter(|mut caller| {
            let func = instance.func(&caller, name).expect("an export");
            func.call(&mut caller, args)
        })?
    };
    let task = start(&instance, "yields", &[ComponentValue::U32(10)])?;
    assert_eq!(call(&instance, "add", &[Val::S32(40), Val::S32(2)])?, Some(Val::S32(42)));
    // The task holds the lock of its instance; the call drives both.
    assert_eq!(call(&instance, "yields", &[Val::U32(20)])?, Some(Val::U32(21)));
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(11u32));
    assert_eq!(notes(), [10, 11, 20, 21]);
    assert_idle();
    Ok(())
}
