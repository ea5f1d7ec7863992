//! A store that starts over where it is.

use alloc::vec::Vec;
use canon_async::abi::types::{FuncType, NewType, ValType};
use canon_async::id::{FuncRef, HostCall, OptsId, TaskId};
use canon_async::state::{Lift, Lower, Options};
use canon_async::{Error, Resource, Store, bounded};

tests! {
    store_reset_has_all_its_room_again_and_nothing_of_before,
    store_reset_gives_no_id_of_before_again,
    store_set_limits_hold_where_the_store_is,
}

bounded! {
    Tiny {
        instances: 2, handles: 2, thread_indices: 2, tasks: 2, threads: 2, waitables: 2, sets: 2, streams: 2, error_contexts: 2,
        message_bytes: 8, queued: 2, lends: 2, types: 2, type_items: 2, resources: 1, functions: 2, depth: 2,
    }
}

/// Fills every table that linking fills, to the last place.
fn fill(store: &mut Store<Tiny>) -> Result<OptsId, Error> {
    let guest = store.add_instance(None)?;
    let host = store.add_host_instance()?;
    assert_eq!(store.add_instance(None), Err(Error::capacity(Resource::Instances)));
    let of_guest = store.add_options(Options::new(guest))?;
    let of_host = store.add_options(Options::new(host))?;
    assert_eq!(store.add_options(Options::new(host)), Err(Error::capacity(Resource::Functions)));
    store.set_host(of_host)?;
    let two = [Some(ValType::U8), Some(ValType::String)];
    let params = store.types_mut().intern(NewType::Record(&two), 0)?;
    let list = store.types_mut().intern(NewType::List(ValType::U8), 0)?;
    assert_eq!(store.types_mut().intern(NewType::Flags(3), 0), Err(Error::capacity(Resource::Types)));
    let ty = FuncType { params, result: Some(ValType::Defined(list)), is_async: false };
    let ty = store.types_mut().intern_func(ty)?;
    let lift = Lift { func: FuncRef::from_index(0), ty, options: of_guest };
    let callee = store.add_lift(lift)?;
    store.add_lower(Lower { callee, options: of_guest })?;
    Ok(of_host)
}

fn store_reset_has_all_its_room_again_and_nothing_of_before() -> Result<(), Error> {
    let mut store = Store::<Tiny>::new();
    for _ in 0..3 {
        let host = fill(&mut store)?;
        assert_eq!(store.host(), Some(host));
        store.reset();
        assert_eq!(store.host(), None);
        assert!(store.is_idle());
        assert!(store.add_options(Options::new(canon_async::id::InstanceId::from_index(0))).is_err());
        assert_eq!(store.types_mut().type_hashes().count(), 0);
        store.check().map_err(Error::Bug)?;
    }
    Ok(())
}

/// How often a slot is filled before its ids of the core come again, without a heap.
const GENERATIONS: u32 = (1 << 20) - 1;

fn begin(store: &mut Store<Tiny>) -> Result<(), Error> {
    let host = store.add_host_instance()?;
    let options = store.add_options(Options::new(host))?;
    store.set_host(options)
}

fn task(store: &mut Store<Tiny>) -> Result<TaskId, Error> {
    store.start_host_task(HostCall::from_index(0))
}

fn store_reset_gives_no_id_of_before_again() -> Result<(), Error> {
    let mut store = Store::<Tiny>::new();
    begin(&mut store)?;
    // The first of two slots is filled until its ids come again; the other once.
    let first = task(&mut store)?;
    let other = task(&mut store)?;
    store.return_host_task(first)?;
    for _ in 1..GENERATIONS {
        let id = task(&mut store)?;
        store.return_host_task(id)?;
    }
    let mut known = Vec::from([other]);
    for _ in 0..50 {
        store.reset();
        begin(&mut store)?;
        for _ in 0..2 {
            let id = task(&mut store)?;
            assert!(!known.contains(&id), "{id:?} is in {known:?}");
            known.push(id);
        }
    }
    Ok(())
}

fn store_set_limits_hold_where_the_store_is() -> Result<(), Error> {
    let mut store = Store::<Tiny>::new();
    let one = store.limits().with_instances(1);
    store.set_limits(one);
    assert_eq!(store.limits(), one);
    store.add_instance(None)?;
    assert_eq!(store.add_instance(None), Err(Error::capacity(Resource::Instances)));
    store.reset();
    store.add_instance(None)?;
    store.add_instance(None)?;
    Ok(())
}
