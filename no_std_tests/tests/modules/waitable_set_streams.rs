//! Waitable sets of the host: the streams that guests have an end of. The same tests on every tier.

use crate::common::copies::*;
use crate::common::executor::Task;
use crate::common::script;
use alloc::vec::Vec;
use canon_async::Trap;
use canon_async::abi::types::NewType;
use canon_async::ambient::{self, Limits, Scalars};
use canon_async::prelude::*;
use canon_async::waitable_set::helpers;

use crate::common::waits::{blocks, counts, is_misuse};
use WaitableSetBuiltins as Sets;

fn stream(result: WaitResult) -> StreamState {
    match result.ready().map(|entry| entry.waitable) {
        Some(Waitable::Stream(stream)) => stream.state,
        other => panic!("no stream: {other:?}"),
    }
}

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

fn poll_all_takes_a_stream_that_is_always_ready_once() -> Result<(), Error> {
    let _one = guests();
    ambient::reset()?;
    ambient::configure(Limits::DEFAULT.with_list_items(2))?;
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

fn stream_that_the_host_closes_wakes_who_drives_the_guest_that_reads_it() -> Result<(), Error> {
    let _one = guests();
    let (handle, readable) = StreamHandle::for_guest(Some(U32))?;
    let task = call(READS_STREAM, &[readable])?;
    let mut driver = Task::new(ambient::run_async());
    driver.sleeps();
    // Nothing runs: the guest's read has ended.
    handle.close()?;
    assert!(driver.is_woken());
    driver.sleeps();
    assert_eq!(task.result()?, ComponentValue::U32(0));
    Ok(())
}

tests! {
    host_reads_a_stream_until_it_is_closed,
    poll_all_takes_a_stream_that_is_always_ready_once,
    host_writes_a_stream_that_a_guest_reads,
    stream_that_the_host_closes_wakes_who_drives_the_guest_that_reads_it,
}
