//! Tasks of the host that call guests with handles, and get some back. The same tests on every tier.

use crate::common::fresh;
use crate::common::script::{self, Abi, Function, Guest, Here, function, is_idle};
use crate::common::sync::MutexGuard;
use crate::common::tasks::{failed, is_misuse};
use alloc::string::String;
use canon_async::abi::types::NewType;
use canon_async::canon::Builtin;
use canon_async::id::TypeId;
use canon_async::prelude::*;
use canon_async::{Outcome, Trap, ambient};

const U32: ValueType = ValueType::U32;
/// The first types of a store: as `guests` makes them.
const FUTURE: ValueType = ValueType::Defined(TypeId::from_index(0));
const STREAM: ValueType = ValueType::Defined(TypeId::from_index(1));
const LIST: ValueType = ValueType::Defined(TypeId::from_index(2));

/// Answers what it got.
fn same(_: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Returned(here.args[0]))
}

fn closes(guest: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    guest.value(Builtin::BackpressureInc, &[])?;
    Ok(Outcome::Returned(0))
}

fn panics(_: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    panic!("an engine's mistake")
}

const SAME_FUTURE: u32 = 0;
const SAME_STREAM: u32 = 1;
const SAME_ERROR: u32 = 2;
const TAKES_LIST: u32 = 3;
const GIVES_LIST: u32 = 4;
const CLOSES: u32 = 5;
#[cfg(not(target_os = "none"))]
const PANICS: u32 = 6;

static FUNCTIONS: &[Function] = &[
    Function { code: same, params: &[FUTURE], result: Some(FUTURE), abi: Abi::Blocking },
    Function { code: same, params: &[STREAM], result: Some(STREAM), abi: Abi::Blocking },
    Function {
        code: same,
        params: &[ValueType::ErrorContext],
        result: Some(ValueType::ErrorContext),
        abi: Abi::Blocking,
    },
    Function { code: same, params: &[LIST], result: None, abi: Abi::Sync },
    Function { code: same, params: &[U32], result: Some(LIST), abi: Abi::Sync },
    Function { code: closes, params: &[], result: None, abi: Abi::Sync },
    Function { code: panics, params: &[], result: None, abi: Abi::Sync },
];

fn guests() -> MutexGuard<'static, ()> {
    let one = fresh();
    ambient::core(|core| {
        let types = core.store.types_mut();
        for (at, new) in [NewType::Future(Some(U32)), NewType::Stream(Some(U32)), NewType::List(U32)]
            .into_iter()
            .enumerate()
        {
            assert_eq!(types.intern(new, 0), Ok(TypeId::from_index(at as u32)));
        }
    })
    .expect("not in use");
    script::register(FUNCTIONS).expect("there is none");
    one
}

fn call(index: u32, arg: ComponentValue) -> Result<TaskOutcome, Error> {
    TaskBuiltins::task_wait(TaskBuiltins::task_call(function(index)?, &[arg])?)
}

fn returned(outcome: TaskOutcome) -> ComponentValue {
    outcome.value().cloned().unwrap_or_else(|| panic!("{outcome:?}"))
}

fn task_call_passes_futures_and_streams_there_and_back() -> Result<(), Error> {
    let _one = guests();
    let (future, readable) = FutureHandle::for_guest(Some(U32))?;
    let back = returned(call(SAME_FUTURE, readable)?);
    assert!(matches!(back, ComponentValue::Future(_)));
    // The host holds both ends now.
    let read = FutureHandle::from_guest(&back)?;
    let set = WaitableSetBuiltins::waitable_set_new()?;
    WaitableSetBuiltins::waitable_set_add(set, Waitable::Future(read.into()))?;
    let (stream, readable) = StreamHandle::for_guest(Some(U32))?;
    let back = returned(call(SAME_STREAM, readable)?);
    StreamHandle::from_guest(&back)?.close()?;
    stream.close()?;
    // One of another kind is no argument.
    let (other, readable) = StreamHandle::for_guest(Some(U32))?;
    assert!(is_misuse(call(SAME_FUTURE, readable)));
    assert!(is_misuse(call(SAME_FUTURE, ComponentValue::U32(1))));
    other.close()?;
    future.close().expect_err("it needs its value");
    Ok(())
}

fn task_call_passes_error_contexts_there_and_back() -> Result<(), Error> {
    let _one = guests();
    let handle = ambient::core(|core| core.store.host_error_context("no more cheese"))??;
    let back = returned(call(SAME_ERROR, ComponentValue::ErrorContext(handle))?);
    let ComponentValue::ErrorContext(back) = back else { panic!("{back:?}") };
    assert_ne!(back, handle);
    ambient::core(|core| {
        assert_eq!(core.store.host_error_message(back).map(String::from), Ok("no more cheese".into()));
        core.store.drop_host_error_context(handle)?;
        core.store.drop_host_error_context(back)
    })??;
    Ok(())
}

fn task_call_with_a_handle_of_nobody_is_how_its_task_ends() -> Result<(), Error> {
    let _one = guests();
    for (index, value) in
        [(SAME_FUTURE, ComponentValue::Future(9)), (SAME_ERROR, ComponentValue::ErrorContext(9))]
    {
        assert_eq!(call(index, value)?, failed(Trap::UnknownHandle(9)));
    }
    let (future, readable) = FutureHandle::for_guest(Some(ValueType::Bool))?;
    let ended = call(SAME_FUTURE, readable)?;
    assert!(matches!(ended, TaskOutcome::Failed(TaskFailure::Error(Error::Trap(_)))), "{ended:?}");
    // It is there still.
    assert!(future.is_registered()?);
    Ok(())
}

fn task_call_that_is_removed_before_it_started_leaves_its_handles() -> Result<(), Error> {
    let _one = guests();
    TaskBuiltins::task_call(function(CLOSES)?, &[])?;
    let (_, readable) = FutureHandle::for_guest(Some(U32))?;
    let task = TaskBuiltins::task_call(function(SAME_FUTURE)?, core::slice::from_ref(&readable))?;
    assert_eq!(TaskBuiltins::task_state(task)?, TaskState::Pending);
    TaskBuiltins::task_cancel(task)?;
    assert_eq!(TaskBuiltins::task_wait(task)?, TaskOutcome::Cancelled);
    FutureHandle::from_guest(&readable)?.close()?;
    Ok(())
}

fn task_call_of_lists_is_misuse() -> Result<(), Error> {
    let _one = guests();
    let list = ComponentValue::List(Scalars::of(&[ComponentValue::U32(1)])?);
    assert!(is_misuse(call(TAKES_LIST, list)));
    assert!(is_misuse(call(GIVES_LIST, ComponentValue::U32(1))));
    assert!(is_idle()?);
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn panic_that_unwinds_through_a_guest_leaves_a_store_that_nobody_drives() -> Result<(), Error> {
    let _one = guests();
    let own = TaskBuiltins::task_start()?;
    let panics = function(PANICS)?;
    assert!(
        std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| TaskBuiltins::task_call(panics, &[])))
            .is_err()
    );
    // It is in its cell, and can be looked at.
    assert_eq!(TaskBuiltins::task_poll(own)?, None);
    assert_eq!(ambient::core(|core| core.store.counts().tasks)?, 2);
    let Err(Error::Misuse(text)) = TaskBuiltins::task_wait(own) else { panic!("it stands in the middle") };
    assert!(text.contains("panic"), "{text}");
    assert!(is_misuse(TaskBuiltins::task_start()));
    ambient::reset()?;
    TaskBuiltins::task_cancel(TaskBuiltins::task_start()?)?;
    Ok(())
}

tests! {
    task_call_passes_futures_and_streams_there_and_back,
    task_call_passes_error_contexts_there_and_back,
    task_call_with_a_handle_of_nobody_is_how_its_task_ends,
    task_call_that_is_removed_before_it_started_leaves_its_handles,
    task_call_of_lists_is_misuse,
    panic_that_unwinds_through_a_guest_leaves_a_store_that_nobody_drives [unwinding],
}
