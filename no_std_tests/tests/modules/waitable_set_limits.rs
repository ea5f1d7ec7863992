//! Waitable sets of the host at their limits, and where something fails: after an error everything is as it was. The same tests on every
//! tier.

use crate::common::copies::*;
use crate::common::fresh;
use crate::common::script;
use alloc::vec::Vec;
use canon_async::Resource;
use canon_async::ambient::{self, Limits};
use canon_async::prelude::*;
use canon_async::store::Counts;
use canon_async::waitable_set::helpers;

use crate::common::waits::{add, blocks, counts, is_misuse};
use WaitableSetBuiltins as Sets;

/// Everything that can be counted: in the core, in the host's memory, which of these are registered, and how many these sets have.
fn all(futures: &[FutureHandle], sets: &[WaitableSetId]) -> (Counts, u32, Vec<bool>, Vec<usize>) {
    (
        counts(),
        blocks(),
        futures.iter().map(|future| future.is_registered().expect("not in use")).collect(),
        sets.iter().map(|set| Sets::waitable_set_len(*set).expect("it is there")).collect(),
    )
}

fn ready(value: u32) -> Future {
    Future { handle: FutureHandle::new(), state: FutureState::Ready(number(value)) }
}

/// Takes all of the host's memory that is left, in blocks of so many bytes.
fn fill(bytes: u32) -> Result<Vec<u32>, Error> {
    ambient::core(|core| core::iter::from_fn(|| core.memory.alloc(bytes).ok()).collect())
}

fn free(blocks: &[u32]) -> Result<(), Error> {
    ambient::core(|core| blocks.iter().try_for_each(|block| core.memory.free(*block)))?
}

fn poll_all_takes_as_many_as_a_list_has_and_the_others_stay() -> Result<(), Error> {
    let _one = fresh();
    ambient::configure(Limits::DEFAULT.with_list_items(2))?;
    let set = Sets::waitable_set_new()?;
    for index in 0..3 {
        let state = FutureState::Ready(number(index));
        Sets::waitable_set_add(set, Waitable::Future(Future { handle: FutureHandle::new(), state }))?;
    }
    assert_eq!(Sets::waitable_set_poll_all(set)?.len(), 2);
    let rest = Sets::waitable_set_poll_all(set)?;
    let Waitable::Future(last) = &rest[0].waitable else { panic!() };
    assert_eq!((rest.len(), last.value().cloned()), (1, number(2)));
    Ok(())
}

fn host_waitables_at_every_limit_change_nothing_where_they_are_full() -> Result<(), Error> {
    let _one = fresh();
    for limit in [0, 1, Limits::DEFAULT.host_waitables] {
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_host_waitables(limit))?;
        let set = Sets::waitable_set_new()?;
        let futures = (0..limit).map(|_| add(set)).collect::<Result<Vec<_>, _>>()?;
        let before = counts();
        assert_eq!(add(set).err(), Some(Error::capacity(Resource::HostWaitables)));
        assert_eq!(FutureHandle::for_guest(None).err(), Some(Error::capacity(Resource::HostWaitables)));
        assert_eq!((counts(), Sets::waitable_set_len(set)?), (before, limit as usize));
        if let [(handle, _), ..] = futures[..] {
            handle.complete(None)?;
            assert_eq!(future(Sets::waitable_set_poll(set)?).handle, handle);
            add(set)?;
        }
    }
    Ok(())
}

fn limits_of_the_core_at_one_too_few_change_nothing() -> Result<(), Error> {
    let _one = fresh();
    type Set = fn(&mut canon_async::Limits);
    let cases: [(Set, Resource); 3] = [
        (|limits| limits.waitables = 1, Resource::Waitables),
        (|limits| limits.handles = 2, Resource::Handles),
        (|limits| (limits.streams, limits.waitables) = (1, 4), Resource::Streams),
    ];
    for (change, what) in cases {
        ambient::reset()?;
        let mut limits = Limits::DEFAULT;
        change(&mut limits.core);
        ambient::configure(limits)?;
        let set = Sets::waitable_set_new()?;
        if what == Resource::Streams {
            add(set)?;
        }
        let before = counts();
        let handle = FutureHandle::new();
        let added = Sets::waitable_set_add(set, Waitable::Future(handle.into()));
        assert_eq!(added, Err(Error::capacity(what)));
        assert_eq!((counts(), handle.is_registered()?), (before, false));
    }
    ambient::reset()?;
    let mut limits = Limits::DEFAULT;
    limits.core.sets = 1;
    ambient::configure(limits)?;
    let set = Sets::waitable_set_new()?;
    assert_eq!(Sets::waitable_set_new(), Err(Error::capacity(Resource::WaitableSets)));
    Sets::waitable_set_drop(set)?;
    Sets::waitable_set_new()?;
    Ok(())
}

fn values_beyond_the_limits_leave_the_future_pending() -> Result<(), Error> {
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    let (handle, _) = add(set)?;
    let long = "x".repeat(Limits::DEFAULT.text_bytes as usize + 1);
    let value = || Some(ComponentValue::from(long.as_str()));
    let full = Err(Error::capacity(Resource::TextBytes));
    assert_eq!(handle.complete(value()), full);
    let before = counts();
    let long = Future { handle: FutureHandle::new(), state: FutureState::Ready(value()) };
    assert_eq!(Sets::waitable_set_add(set, Waitable::Future(long)).map(drop), full);
    assert_eq!(counts(), before);
    handle.complete(number(1))?;
    assert_eq!(future(Sets::waitable_set_wait(set)?).value().cloned(), number(1));
    Ok(())
}

fn add_of_a_future_at_every_limit_changes_nothing_where_there_is_no_room() -> Result<(), Error> {
    let _one = fresh();
    type Set = fn(&mut Limits, u32);
    // The set takes a handle and a place among the sets; a future two handles, two waitables and a stream.
    let cases: [(Set, u32, Resource); 4] = [
        (|limits, more| limits.core.handles = 1 + 2 + more, 2, Resource::Handles),
        (|limits, more| limits.core.waitables = 2 + more, 2, Resource::Waitables),
        (|limits, more| limits.core.streams = 1 + more, 1, Resource::Streams),
        (|limits, more| limits.host_waitables = 1 + more, 1, Resource::HostWaitables),
    ];
    for (change, needed, what) in cases {
        for more in 0..=needed {
            ambient::reset()?;
            let mut limits = Limits::DEFAULT;
            change(&mut limits, more);
            ambient::configure(limits)?;
            let set = Sets::waitable_set_new()?;
            let (first, _) = add(set)?;
            for state in [FutureState::Pending, ready(1).state, FutureState::Cancelled] {
                let future = Future { handle: FutureHandle::new(), state };
                let futures = [first, future.handle];
                let before = all(&futures, &[set]);
                let added = Sets::waitable_set_add(set, Waitable::Future(future));
                if more == needed {
                    assert!(added.is_ok(), "{what:?}");
                    futures[1].close()?;
                } else {
                    assert_eq!(added, Err(Error::capacity(what)));
                }
                assert_eq!(all(&futures, &[set]), before, "{what:?}, {more} more");
            }
            first.complete(number(1))?;
            assert_eq!(future(Sets::waitable_set_wait(set)?).value().cloned(), number(1));
        }
    }
    Ok(())
}

fn close_of_a_future_that_is_ready_and_not_told_of_leaves_nothing() -> Result<(), Error> {
    let _one = fresh();
    let set = Sets::waitable_set_new()?;
    let before = all(&[], &[set]);
    for state in [FutureState::Pending, ready(1).state, FutureState::Cancelled] {
        let future = Future { handle: FutureHandle::new(), state };
        let handle = future.handle;
        Sets::waitable_set_add(set, Waitable::Future(future))?;
        handle.close()?;
        assert_eq!((all(&[], &[set]), handle.is_registered()?), (before.clone(), false));
        assert!(is_misuse(handle.close()));
        assert_eq!(Sets::waitable_set_poll(set)?, WaitResult::Timeout);
    }
    // In no set.
    let (handle, id) = add(set)?;
    Sets::waitable_set_remove(set, id)?;
    handle.complete(None)?;
    handle.close()?;
    assert_eq!(all(&[], &[set]), before);
    Ok(())
}

fn set_that_can_not_be_made_with_all_leaves_nothing_that_it_registered() -> Result<(), Error> {
    let _one = fresh();
    let limits = Limits::DEFAULT.with_host_waitables(3);
    ambient::configure(limits)?;
    let other = Sets::waitable_set_new()?;
    let (old, _) = add(other)?;
    let (new, value) = (Future::new(), ready(1));
    let handles = [old, new.handle, value.handle];
    let (before, _, registered, _) = all(&handles, &[other]);
    let made = helpers::create_set_with(
        [old.into(), new.clone(), value.clone(), Future::new()].map(Waitable::Future),
    );
    assert_eq!(made, Err(Error::capacity(Resource::HostWaitables)));
    // What was there before is there, in no set.
    assert_eq!(all(&handles, &[other]), (before, 0, registered, [0].into()));
    let set = helpers::create_set_with([old.into(), new, value].map(Waitable::Future))?;
    assert_eq!(future(Sets::waitable_set_wait(set)?).value().cloned(), number(1));
    old.complete(None)?;
    assert_eq!(future(Sets::waitable_set_wait(set)?).handle, old);
    Ok(())
}

fn write_for_a_guest_at_every_limit_changes_nothing_where_there_is_no_room() -> Result<(), Error> {
    let _one = guests();
    // What the first write of which nobody waits needs beside its bytes: a set in which it is seen to.
    type Set = fn(&mut Limits);
    let cases: [(Set, Resource); 2] = [
        (|limits| limits.core.sets = 0, Resource::WaitableSets),
        (|limits| limits.core.handles = 2, Resource::Handles),
    ];
    for (change, what) in cases {
        ambient::reset()?;
        let mut limits = Limits::DEFAULT;
        change(&mut limits);
        ambient::configure(limits)?;
        let (handle, _) = FutureHandle::for_guest(Some(U32))?;
        let before = all(&[handle], &[]);
        assert_eq!(handle.complete(number(1)), Err(Error::capacity(what)));
        assert_eq!(all(&[handle], &[]), before);
    }
    drop(_one);
    let _one = guests();
    let (handle, readable) = FutureHandle::for_guest(Some(U32))?;
    let (stream, _) = StreamHandle::for_guest(Some(U32))?;
    let filled = fill(4)?;
    let before = all(&[handle], &[]);
    let full = Err(Error::capacity(Resource::HostBytes));
    assert_eq!(handle.complete(number(1)), full);
    let elements = ComponentValue::List(canon_async::ambient::Scalars::of(&[number(1).expect("one")])?);
    assert_eq!(stream.write(elements), full);
    assert_eq!(all(&[handle], &[]), before);
    free(&filled)?;
    handle.complete(number(41))?;
    assert_eq!(call(READS_FUTURE, &[readable])?.result()?, ComponentValue::U32(42));
    Ok(())
}

fn add_of_a_guests_future_without_memory_for_its_value_changes_nothing() -> Result<(), Error> {
    let _one = guests();
    let handle = FutureHandle::from_guest(&call(GIVES_FUTURE, &[])?.result()?)?;
    let (set, other) = (Sets::waitable_set_new()?, Sets::waitable_set_new()?);
    let filled = fill(4)?;
    let before = all(&[handle], &[set, other]);
    let added = Sets::waitable_set_add(set, Waitable::Future(handle.into()));
    assert_eq!(added, Err(Error::capacity(Resource::HostBytes)));
    assert_eq!(all(&[handle], &[set, other]), before);
    free(&filled)?;
    Sets::waitable_set_add(other, Waitable::Future(handle.into()))?;
    // A set that is gone changes nothing either.
    Sets::waitable_set_drop(set)?;
    let before = all(&[handle], &[other]);
    assert!(is_misuse(Sets::waitable_set_add(set, Waitable::Future(handle.into()))));
    assert_eq!(all(&[handle], &[other]), before);
    assert_eq!(future(Sets::waitable_set_wait(other)?).value().cloned(), number(41));
    Ok(())
}

fn engine_that_does_not_run_has_no_part_in_the_hosts_own_futures() -> Result<(), Error> {
    let _one = guests();
    script::set_runs(false);
    let set = Sets::waitable_set_new()?;
    let (handle, _) = add(set)?;
    // A guest's future needs it.
    let (guests, readable) = FutureHandle::for_guest(Some(U32))?;
    let before = all(&[handle, guests], &[set]);
    assert!(is_misuse(guests.complete(number(41))));
    assert_eq!(all(&[handle, guests], &[set]), before);
    handle.complete(number(1))?;
    assert_eq!(future(Sets::waitable_set_poll(set)?).value().cloned(), number(1));
    Sets::waitable_set_add(set, Waitable::Future(ready(2)))?;
    assert_eq!(future(Sets::waitable_set_poll(set)?).value().cloned(), number(2));
    let (handle, _) = add(set)?;
    script::set_runs(true);
    // Nothing of the write that failed is left.
    guests.complete(number(41))?;
    assert_eq!(call(READS_FUTURE, &[readable])?.result()?, ComponentValue::U32(42));
    handle.close()?;
    Ok(())
}

tests! {
    poll_all_takes_as_many_as_a_list_has_and_the_others_stay,
    host_waitables_at_every_limit_change_nothing_where_they_are_full,
    limits_of_the_core_at_one_too_few_change_nothing,
    values_beyond_the_limits_leave_the_future_pending,
    add_of_a_future_at_every_limit_changes_nothing_where_there_is_no_room,
    close_of_a_future_that_is_ready_and_not_told_of_leaves_nothing,
    set_that_can_not_be_made_with_all_leaves_nothing_that_it_registered,
    write_for_a_guest_at_every_limit_changes_nothing_where_there_is_no_room,
    add_of_a_guests_future_without_memory_for_its_value_changes_nothing,
    engine_that_does_not_run_has_no_part_in_the_hosts_own_futures,
}
