//! Waitable sets of the host, with what guests do. The same tests on every tier.
#![no_std]
extern crate std;

#[path = "common/calls.rs"]
mod calls;
mod common;
#[path = "common/script.rs"]
mod script;
#[path = "common/waits.rs"]
mod waits;

use calls::Call;
use canon_async::abi::types::NewType;
use canon_async::ambient::{self, Limits, MEMORY, REALLOC};
use canon_async::canon::Builtin;
use canon_async::clock::{Clock, ManualClock};
use canon_async::id::{OptsId, TypeId};
use canon_async::prelude::*;
use canon_async::state::Options;
use canon_async::waitable_set::helpers;
use canon_async::{Embedding, Outcome, Resource, Then, Trap, spec};
use common::fresh;
use core::time::Duration;
use script::{Abi, Function, Guest, Here};
use std::sync::{Mutex, MutexGuard};
use std::vec::Vec;

use WaitableSetBuiltins as Sets;
use waits::{add, blocks, counts, is_misuse};

fn number(value: u32) -> Option<ComponentValue> {
    Some(ComponentValue::U32(value))
}

fn future(result: WaitResult) -> Future {
    match result.ready().map(|entry| entry.waitable) {
        Some(Waitable::Future(future)) => future,
        other => panic!("no future: {other:?}"),
    }
}

fn stream(result: WaitResult) -> StreamState {
    match result.ready().map(|entry| entry.waitable) {
        Some(Waitable::Stream(stream)) => stream.state,
        other => panic!("no stream: {other:?}"),
    }
}

const U32: ValueType = ValueType::U32;
/// The first types of a store: as `guests` makes them.
const FUTURE: TypeId = TypeId::from_index(0);
const STREAM: TypeId = TypeId::from_index(1);
const TEXTS: TypeId = TypeId::from_index(2);

/// Options of a guest with the memory and the `realloc` of the ambient store.
fn options(guest: &mut Guest<'_>, here: Here<'_>, is_async: bool) -> Result<OptsId, Error> {
    let store = guest.store();
    let instance = store.thread(here.thread).expect("it runs").instance();
    let options =
        Options { memory: Some(MEMORY), realloc: Some(REALLOC), is_async, ..Options::new(instance) };
    store.add_options(options)
}

fn alloc(guest: &mut Guest<'_>, bytes: u64) -> Result<u64, Error> {
    guest.call_leaf(REALLOC, &[0, 0, 4, bytes])
}

fn load(guest: &mut Guest<'_>, at: u64) -> Result<u32, Error> {
    let bytes = guest.memory(MEMORY)?.get(at as usize..).expect("in memory");
    u32::try_from(&ComponentValue::load(U32, bytes)?)
}

fn store(guest: &mut Guest<'_>, at: u64, value: u32) -> Result<(), Error> {
    ComponentValue::U32(value).store(&mut guest.memory(MEMORY)?[at as usize..])
}

static BUFFER: Mutex<u64> = Mutex::new(0);

fn buffer() -> u64 {
    *BUFFER.lock().expect("one at a time")
}

/// Reads the future that it is given; answers its value, plus one.
fn reads_future(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 {
        let at = alloc(guest, 4)?;
        *BUFFER.lock().expect("one at a time") = at;
        let options = options(guest, here, false)?;
        let builtin = Builtin::FutureRead(FUTURE, options);
        return match canon_async::canon::call(guest, builtin, &[here.args[0], at])? {
            Then::Suspend => Ok(Outcome::Blocked),
            Then::Value(_) => Ok(Outcome::Returned(u64::from(load(guest, at)? + 1))),
        };
    }
    assert_eq!(here.args, [0], "COMPLETED");
    Ok(Outcome::Returned(u64::from(load(guest, buffer())? + 1)))
}

/// Drops the future that it is given.
fn drops_future(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    guest.value(Builtin::FutureDropReadable(FUTURE), &[here.args[0]])?;
    Ok(Outcome::Returned(0))
}

/// Makes a future, whose readable end is its result, and writes 41 to it when it was returned.
fn gives_future(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let ends = guest.value(Builtin::FutureNew(FUTURE), &[])?;
    let at = alloc(guest, 4)?;
    store(guest, at, 41)?;
    guest.task_return(here, ends & 0xffff_ffff)?;
    let options = options(guest, here, true)?;
    assert_eq!(
        guest.value(Builtin::FutureWrite(FUTURE, options), &[ends >> 32, at])?,
        u64::from(spec::BLOCKED)
    );
    Ok(Outcome::Returned(0))
}

/// Makes a stream, whose readable end is its result; writes 1, 2, 3 to it, then traps or drops it as its argument says.
fn gives_stream(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    static WRITABLE: Mutex<(u64, u64)> = Mutex::new((0, 0));
    match here.step {
        0 => {
            let ends = guest.value(Builtin::StreamNew(STREAM), &[])?;
            *WRITABLE.lock().expect("one at a time") = (ends >> 32, here.args[0]);
            guest.task_return(here, ends & 0xffff_ffff)?;
            let at = alloc(guest, 12)?;
            for index in 0..3 {
                store(guest, at + 4 * index, index as u32 + 1)?;
            }
            let options = options(guest, here, false)?;
            guest.block(Builtin::StreamWrite(STREAM, options), &[ends >> 32, at, 3])
        }
        1 => {
            assert_eq!(here.args, [3 << 4], "COMPLETED, all three");
            guest.block(Builtin::ThreadYield, &[])
        }
        _ => {
            let (writable, traps) = *WRITABLE.lock().expect("one at a time");
            if traps == 1 {
                return Err(Trap::Engine(7).into());
            }
            guest.value(Builtin::StreamDropWritable(STREAM), &[writable])?;
            Ok(Outcome::Returned(0))
        }
    }
}

/// Reads up to two elements of the stream that it is given, as often as there are some; answers their sum.
fn reads_stream(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    static STREAM_AND_SUM: Mutex<(u64, u32)> = Mutex::new((0, 0));
    let (mut stream, mut sum) = *STREAM_AND_SUM.lock().expect("one at a time");
    let mut read = Some(here.args[0]);
    if here.step == 0 {
        (stream, sum, read) = (here.args[0], 0, None);
        *BUFFER.lock().expect("one at a time") = alloc(guest, 8)?;
    }
    let options = options(guest, here, false)?;
    loop {
        if let Some(read) = read {
            for index in 0..read >> 4 {
                sum += load(guest, buffer() + 4 * index)?;
            }
            if read & 0xf == 1 {
                guest.value(Builtin::StreamDropReadable(STREAM), &[stream])?;
                return Ok(Outcome::Returned(u64::from(sum)));
            }
        }
        match canon_async::canon::call(guest, Builtin::StreamRead(STREAM, options), &[stream, buffer(), 2])? {
            Then::Value(value) => read = Some(value),
            Then::Suspend => {
                *STREAM_AND_SUM.lock().expect("one at a time") = (stream, sum);
                return Ok(Outcome::Blocked);
            }
        }
    }
}

/// Yields once, and answers its argument, plus one; traps where that is 0.
fn yields(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    static ARG: Mutex<u64> = Mutex::new(0);
    let mut arg = ARG.lock().expect("one at a time");
    if here.step == 0 {
        *arg = here.args[0];
        return guest.block(Builtin::ThreadYield, &[]);
    }
    if *arg == 0 { Err(Trap::Engine(7).into()) } else { Ok(Outcome::Returned(*arg + 1)) }
}

/// Answers a future that has a text of 100 bytes.
fn gives_text(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let ends = guest.value(Builtin::FutureNew(TEXTS), &[])?;
    let (text, at) = (alloc(guest, 100)?, alloc(guest, 8)?);
    guest.memory(MEMORY)?[text as usize..][..100].fill(b'x');
    store(guest, at, text as u32)?;
    store(guest, at + 4, 100)?;
    guest.task_return(here, ends & 0xffff_ffff)?;
    let options = options(guest, here, true)?;
    guest.value(Builtin::FutureWrite(TEXTS, options), &[ends >> 32, at])?;
    Ok(Outcome::Returned(0))
}

fn exits(_: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Returned(0))
}

const READS_FUTURE: u32 = 0;
const DROPS_FUTURE: u32 = 1;
const GIVES_FUTURE: u32 = 2;
const GIVES_STREAM: u32 = 4;
const READS_STREAM: u32 = 5;
const YIELDS: u32 = 6;
const GIVES_TEXT: u32 = 7;

static FUNCTIONS: &[Function] = &[
    Function {
        code: reads_future,
        params: &[ValueType::Defined(FUTURE)],
        result: Some(U32),
        abi: Abi::Blocking,
    },
    Function { code: drops_future, params: &[ValueType::Defined(FUTURE)], result: None, abi: Abi::Sync },
    Function {
        code: gives_future,
        params: &[],
        result: Some(ValueType::Defined(FUTURE)),
        abi: Abi::Callback(3),
    },
    Function { code: exits, params: &[], result: None, abi: Abi::Core },
    Function {
        code: gives_stream,
        params: &[U32],
        result: Some(ValueType::Defined(STREAM)),
        abi: Abi::Callback(3),
    },
    Function {
        code: reads_stream,
        params: &[ValueType::Defined(STREAM)],
        result: Some(U32),
        abi: Abi::Blocking,
    },
    Function { code: yields, params: &[U32], result: Some(U32), abi: Abi::Blocking },
    Function {
        code: gives_text,
        params: &[],
        result: Some(ValueType::Defined(TEXTS)),
        abi: Abi::Callback(3),
    },
];

fn guests() -> MutexGuard<'static, ()> {
    let one = fresh();
    ambient::core(|core| {
        let types = core.store.types_mut();
        assert_eq!(types.intern(NewType::Future(Some(U32)), 0), Ok(FUTURE));
        assert_eq!(types.intern(NewType::Stream(Some(U32)), 0), Ok(STREAM));
        assert_eq!(types.intern(NewType::Future(Some(ValueType::String)), 0), Ok(TEXTS));
    })
    .expect("not in use");
    script::register(FUNCTIONS).expect("there is none");
    one
}

fn call(index: u32, args: &[ComponentValue]) -> Result<Call, Error> {
    calls::call(index, args, FUNCTIONS[index as usize].result)
}

#[test]
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

#[test]
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

#[test]
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

#[test]
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

#[test]
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

#[test]
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

#[test]
fn future_whose_value_the_host_can_not_take_has_failed() -> Result<(), Error> {
    let _one = guests();
    let handle = FutureHandle::from_guest(&call(GIVES_TEXT, &[])?.result()?)?;
    let set = Sets::waitable_set_new()?;
    let before = blocks();
    Sets::waitable_set_add(set, Waitable::Future(handle.into()))?;
    let failed = FutureState::Failed(Error::Capacity(Resource::TextBytes));
    assert_eq!(future(Sets::waitable_set_wait(set)?).state, failed);
    assert_eq!((handle.is_registered()?, blocks()), (false, before));
    Ok(())
}

#[test]
fn future_for_which_there_is_no_memory_has_failed() -> Result<(), Error> {
    let _one = guests();
    let handle = FutureHandle::from_guest(&call(GIVES_TEXT, &[])?.result()?)?;
    // All but what the buffer needs: there is no room for the text.
    let rest: Vec<u32> = ambient::core(|core| core::iter::from_fn(|| core.memory.alloc(64).ok()).collect())?;
    ambient::core(|core| core.memory.free(rest[0]))??;
    let set = Sets::waitable_set_new()?;
    Sets::waitable_set_add(set, Waitable::Future(handle.into()))?;
    let failed = FutureState::Failed(Error::Capacity(Resource::HostBytes));
    assert_eq!(future(Sets::waitable_set_wait(set)?).state, failed);
    counts();
    Ok(())
}

#[test]
fn host_reads_a_stream_until_it_is_closed() -> Result<(), Error> {
    let _one = guests();
    let numbers = Scalars::of(&[1u32, 2, 3].map(ComponentValue::U32))?;
    for traps in [0, 1] {
        let task = call(GIVES_STREAM, &[ComponentValue::U32(traps)])?;
        let handle = StreamHandle::from_guest(&task.result()?)?;
        let set = Sets::waitable_set_new()?;
        let id = Sets::waitable_set_add(set, Waitable::Stream(handle.into()))?;
        let entry = Sets::waitable_set_wait(set)?.ready().expect("three are there");
        let state = StreamState::Ready(ComponentValue::List(numbers.clone()));
        assert_eq!(entry, WaitableEntry { id, waitable: Waitable::Stream(Stream { handle, state }) });
        if traps == 1 {
            // The trap comes out of the wait, and the set is as it was.
            assert_eq!(Sets::waitable_set_wait(set), Err(Trap::Engine(7).into()));
        }
        assert_eq!(stream(Sets::waitable_set_wait(set)?), StreamState::Closed(None));
        assert_eq!((handle.is_registered()?, Sets::waitable_set_len(set)?), (false, 0));
        Sets::waitable_set_drop(set)?;
    }
    assert_eq!(counts().waitables, 0);
    Ok(())
}

#[test]
fn poll_all_takes_a_stream_that_is_always_ready_once() -> Result<(), Error> {
    let _one = guests();
    ambient::reset()?;
    ambient::configure(Limits { list_items: 2, ..Limits::DEFAULT })?;
    ambient::core(|core| {
        let types = core.store.types_mut();
        types.intern(NewType::Future(Some(U32)), 0)?;
        types.intern(NewType::Stream(Some(U32)), 0)
    })??;
    script::register(FUNCTIONS)?;
    // Three elements, two at a time: the second read ends at once.
    let task = call(GIVES_STREAM, &[ComponentValue::U32(0)])?;
    let handle = StreamHandle::from_guest(&task.result()?)?;
    let set = helpers::create_set_with([Waitable::Stream(handle.into())])?;
    let mut lens = Vec::new();
    for _ in 0..2 {
        let ready = Sets::waitable_set_poll_all(set)?;
        let [WaitableEntry { waitable: Waitable::Stream(stream), .. }] = &ready[..] else {
            panic!("{ready:?}")
        };
        let StreamState::Ready(ComponentValue::List(list)) = &stream.state else { panic!("{stream:?}") };
        lens.push(list.len());
    }
    assert_eq!(lens, [2, 1]);
    handle.close()?;
    assert_eq!(Sets::waitable_set_len(set)?, 0);
    Ok(())
}

#[test]
fn host_writes_a_stream_that_a_guest_reads() -> Result<(), Error> {
    let _one = guests();
    let list = |values: &[u32]| -> Result<_, Error> {
        let values: Vec<_> = values.iter().copied().map(ComponentValue::U32).collect();
        Ok(ComponentValue::List(Scalars::of(&values)?))
    };
    let (handle, readable) = StreamHandle::for_guest(Some(U32))?;
    assert!(is_misuse(handle.write(ComponentValue::from("text"))));
    assert!(is_misuse(handle.write(ComponentValue::List(Scalars::of(&[true.into()])?))));
    let set = helpers::create_set_with([Waitable::Stream(handle.into())])?;
    handle.write(list(&[1, 2, 3])?)?;
    assert!(is_misuse(handle.write(list(&[4])?)));
    let task = call(READS_STREAM, &[readable])?;
    // The guest reads two at a time: it has read the third before the host is told.
    assert_eq!(stream(Sets::waitable_set_wait(set)?), StreamState::Written(3));
    // Out of the set, what is written needs nobody to be told.
    helpers::dissolve(set)?;
    while TaskBuiltins::tick()? {}
    handle.write(list(&[10])?)?;
    while TaskBuiltins::tick()? {}
    handle.close()?;
    assert_eq!(task.result()?, ComponentValue::U32(16));
    assert_eq!((handle.is_registered()?, blocks()), (false, 1));
    Ok(())
}

fn blocked(arg: u32) -> Result<(Subtask, u32), Error> {
    let call = call(YIELDS, &[ComponentValue::U32(arg)])?;
    Ok((call.subtask.expect("it blocks"), call.at))
}

#[test]
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

#[test]
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

#[test]
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

#[test]
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
