//! What linking refuses, and a store that is linked again after a reset.

use crate::op::*;
use crate::script;
use crate::world::*;
use canon_async::abi::types::NewType;
use canon_async::canon::Builtin::*;
use canon_async::error::Error;
use canon_async::id::{FuncRef, FuncTypeId, HostCall, InstanceId, LiftId, LowerId, OptsId};
use canon_async::state::{Lift, Lower, Options, Priority};
use canon_async::storage::Profile;

cases! {
    set_host_of_a_guest_is_misuse,
    add_of_what_is_unknown_is_misuse,
    add_lift_async_options_of_a_sync_type_is_misuse,
    store_reset_takes_turns_from_the_beginning,
}

fn is_misuse<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Misuse(_)))
}

fn set_host_of_a_guest_is_misuse<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    assert!(is_misuse(w.store.set_host(async_opts(A))));
    assert_eq!(w.store.host(), Some(sync_opts(HOST)));
    w.done()
}

fn add_of_what_is_unknown_is_misuse<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    let lift = w.lift(Func::Async, async_opts(A), &[])?;
    let (instance, options) = (InstanceId::from_index(A + 1), async_opts(A + 1));
    assert!(is_misuse(w.store.instance(instance)));
    assert!(is_misuse(w.store.options(options)));
    assert!(is_misuse(w.store.lift(LiftId::from_index(1))));
    assert!(is_misuse(w.store.lower(LowerId::from_index(0))));
    assert!(is_misuse(w.store.add_instance(Some(instance))));
    assert!(is_misuse(w.store.add_options(Options::new(instance))));
    assert!(is_misuse(w.store.set_host(OptsId::from_index(99))));
    let (func, ty) = (FuncRef::from_index(0), FuncTypeId::from_index(0));
    assert!(is_misuse(w.store.add_lift(Lift { func, ty, options })));
    let ty = FuncTypeId::from_index(99);
    assert!(is_misuse(w.store.add_lift(Lift { func, ty, options: async_opts(A) })));
    assert!(is_misuse(w.store.add_lower(Lower { callee: lift, options })));
    let callee = LiftId::from_index(1);
    assert!(is_misuse(w.store.add_lower(Lower { callee, options: async_opts(A) })));
    // Nothing was added.
    assert_eq!(w.store.add_lower(Lower { callee: lift, options: async_opts(A) })?, LowerId::from_index(0));
    w.done()
}

fn add_lift_async_options_of_a_sync_type_is_misuse<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    assert!(is_misuse(w.lift(Func::Sync, async_opts(A), &[])));
    assert!(is_misuse(w.store.types_mut().intern(NewType::Variant(&[]), 0)));
    w.done()
}

/// Threads that the host spawned and all others take turns: after a reset as in a new store, however many turns there were.
fn store_reset_takes_turns_from_the_beginning<P: Profile>() -> Result<(), Error> {
    let mut w = World::<P>::new(&[None])?;
    for round in 0..4 {
        let spawned = w.lift(Func::Sync, sync_opts(A), script![Op::Mark(1)])?;
        let yields = script![run(ThreadYield, &[]), Op::Mark(2), run(task_return(A), &[])];
        let yields = w.lift(Func::Async, async_opts(A), yields)?;
        w.call(yields, 0)?;
        w.store.spawn(spawned, HostCall::from_index(1), Priority::new(3).expect("there are eight"))?;
        w.ticks()?;
        assert_eq!(w.marks(), [1, 2], "round {round}");
        // An odd number of turns more, and an even one.
        for _ in 0..round {
            assert!(!w.tick()?);
        }
        w = w.again(&[None])?;
    }
    w.done()
}
