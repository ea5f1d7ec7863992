//! What a store is limited to: a program runs as without limits where each is just enough, and ends in an error that names the
//! limit where one is one too few; what failed has changed nothing. On a heap, and on a bounded profile that limits lower.

use canon_async::error::{Error, Resource};
use canon_async::storage::Profile;
use canon_async::store::Choose;
use canon_async::{Heap, Limits, Store, bounded};
use no_std_tests::op::{Script, run};
use no_std_tests::profiles::Tight;
use no_std_tests::script;
use no_std_tests::world::{A, B, C, Ended, Func, STREAM_UNIT, World, async_opts, sync_opts, task_return};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std_tests::machine::{Machine, Setup, Step, tape};

bounded! {
    /// More than the programs here need.
    Large {
        instances: 4, handles: 64, thread_indices: 32, tasks: 64, threads: 64, waitables: 128, sets: 32,
        streams: 64, error_contexts: 32, message_bytes: 16, queued: 32, lends: 32, types: 16, type_items: 8,
        resources: 1, functions: 180, depth: 6,
    }
}

bounded! {
    /// Nothing but what linking makes.
    Nothing {
        instances: 4, handles: 0, thread_indices: 0, tasks: 0, threads: 0, waitables: 0, sets: 0,
        streams: 0, error_contexts: 0, message_bytes: 0, queued: 0, lends: 0, types: 16, type_items: 8,
        resources: 1, functions: 180, depth: 6,
    }
}

bounded! {
    /// One of each.
    One {
        instances: 4, handles: 1, thread_indices: 1, tasks: 1, threads: 1, waitables: 1, sets: 1,
        streams: 1, error_contexts: 1, message_bytes: 16, queued: 1, lends: 1, types: 16, type_items: 8,
        resources: 1, functions: 180, depth: 6,
    }
}

bounded! {
    /// Two of each.
    Two {
        instances: 4, handles: 2, thread_indices: 2, tasks: 2, threads: 2, waitables: 2, sets: 2,
        streams: 2, error_contexts: 2, message_bytes: 16, queued: 2, lends: 2, types: 16, type_items: 8,
        resources: 1, functions: 180, depth: 6,
    }
}

type Set = fn(&mut Limits, u32);

/// What comes and goes: its limit, and what the error calls it. Not the threads of an instance: a call that finds no index there
/// may wait for one, without an error.
const ROLES: [(Resource, Set); 9] = [
    (Resource::Tasks, |limits, n| limits.tasks = n),
    (Resource::Threads, |limits, n| limits.threads = n),
    (Resource::Waitables, |limits, n| limits.waitables = n),
    (Resource::WaitableSets, |limits, n| limits.sets = n),
    (Resource::Streams, |limits, n| limits.streams = n),
    (Resource::ErrorContexts, |limits, n| limits.error_contexts = n),
    (Resource::QueuedCalls, |limits, n| limits.queued = n),
    (Resource::Lends, |limits, n| limits.lends = n),
    (Resource::Handles, |limits, n| limits.handles = n),
];

/// What linking makes.
const LINKED: [(Resource, Set); 5] = [
    (Resource::Instances, |limits, n| limits.instances = n),
    (Resource::Types, |limits, n| limits.types = n),
    (Resource::TypeItems, |limits, n| limits.type_items = n),
    (Resource::ResourceTypes, |limits, n| limits.resources = n),
    (Resource::Functions, |limits, n| limits.functions = n),
];

/// The same tapes each time.
fn tapes(count: usize, len: usize) -> Vec<Vec<Step>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = tape(len);
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a tape").current()).collect()
}

/// Plays a tape to its end, and closes everything: the trace, and where it ran out of room.
fn play<P: Profile>(tape: &[Step], limits: Limits) -> (Vec<String>, Option<usize>) {
    let setup =
        Setup { choose: Choose::Eager, depth: 6, limits, root_limits: Limits::STORAGE, strict: false };
    let mut machine = Box::new(Machine::<P>::new(tape.to_vec(), setup).expect("linking"));
    machine.play();
    let trace = machine.trace().to_vec();
    let capacity = machine.capacity_at();
    machine.teardown();
    (trace, capacity)
}

fn limited(base: Limits, set: Set, n: u32) -> Limits {
    let mut limits = base;
    set(&mut limits, n);
    limits
}

#[test]
fn every_limit_of_a_store_is_exact() {
    // A guest lends a resource twice to a callback that keeps it; random ones hardly do.
    let lends = [
        Step::Call(1, false),
        Step::ResourceNew,
        Step::Call(24, true),
        Step::Return(1, 0),
        Step::Call(24, true),
        Step::Return(1, 0),
    ];
    // And makes two error contexts at once.
    let contexts = [Step::Call(1, false), Step::ErrorContextNew, Step::ErrorContextNew];
    let mut most = [0; ROLES.len()];
    for tape in tapes(24, 150).into_iter().chain([lends.to_vec(), contexts.to_vec()]) {
        let (free, none) = play::<Heap>(&tape, Heap::LIMITS);
        assert_eq!(none, None);
        for ((resource, set), most) in ROLES.into_iter().zip(&mut most) {
            let mut enough = 0;
            loop {
                let (trace, full) = play::<Heap>(&tape, limited(Heap::LIMITS, set, enough));
                let bounded = play::<Large>(&tape, limited(Large::LIMITS, set, enough));
                assert_eq!(
                    (&trace, full),
                    (&bounded.0, bounded.1),
                    "{resource} {enough}: the profiles differ"
                );
                let Some(at) = full else {
                    assert_eq!(trace, free, "{resource}: {enough} is enough");
                    break;
                };
                assert_eq!(
                    trace.get(..at),
                    free.get(..at),
                    "{resource}: {enough} is one too few at the end of this"
                );
                assert_eq!(
                    trace.get(at),
                    Some(&format!("error {:?}", Error::limit_reached(resource, enough as usize)))
                );
                enough += 1;
            }
            *most = enough.max(*most);
        }
    }
    // Otherwise the tapes show nothing.
    for ((resource, _), most) in ROLES.into_iter().zip(most) {
        assert!(most > 1, "no tape needs more than {most}: {resource}");
    }
}

#[test]
fn every_limit_of_what_is_linked_is_exact() {
    let link = |limits| {
        Machine::<Heap>::new(
            vec![],
            Setup { choose: Choose::Eager, depth: 6, limits, root_limits: Limits::STORAGE, strict: false },
        )
        .err()
    };
    for (resource, set) in LINKED {
        let error = |n| link(limited(Heap::LIMITS, set, n));
        let enough = (0..).find(|n| error(*n).is_none()).expect("enough");
        for few in 0..enough {
            assert_eq!(error(few), Some(Error::capacity(resource)), "{few} of {enough}");
        }
        let bounded = |n| {
            let limits = limited(Large::LIMITS, set, n);
            Machine::<Large>::new(
                vec![],
                Setup {
                    choose: Choose::Eager,
                    depth: 6,
                    limits,
                    root_limits: Limits::STORAGE,
                    strict: false,
                },
            )
            .err()
        };
        assert_eq!(bounded(enough), None);
        assert!(enough > 0, "nothing is linked: {resource}");
        assert_eq!(bounded(enough - 1), Some(Error::capacity(resource)));
    }
}

/// Limits of 0 are none, on a heap too.
#[test]
fn a_store_without_room_links_and_calls_nothing() {
    let none = ROLES.into_iter().fold(Heap::LIMITS, |limits, (_, set)| limited(limits, set, 0));
    let none = none.with_thread_indices(0).with_message_bytes(0);
    for tape in tapes(8, 60) {
        let (trace, capacity) = play::<Nothing>(&tape, Nothing::LIMITS);
        assert_eq!(play::<Heap>(&tape, none), (trace.clone(), capacity));
        let entered = |line: &&String| line.starts_with("enter") || line.starts_with("op");
        assert_eq!(trace.iter().find(entered), None);
    }
    let mut store = Store::<Nothing>::new();
    assert!(store.is_idle() && store.check().is_ok());
    let host = store.add_host_instance().unwrap();
    let options = store.add_options(canon_async::state::Options::new(host)).unwrap();
    store.set_host(options).unwrap();
    // The instance's own table is asked first.
    assert_eq!(store.host_error_context("x"), Err(Error::capacity(Resource::Handles)));
    assert!(store.is_idle());
}

#[test]
fn a_profile_and_limits_of_the_same_size_do_the_same() {
    for tape in tapes(40, 120) {
        for (n, bounded) in [(1, play::<One>(&tape, One::LIMITS)), (2, play::<Two>(&tape, Two::LIMITS))] {
            let mut limits = ROLES.into_iter().fold(Heap::LIMITS, |limits, (_, set)| limited(limits, set, n));
            limits.thread_indices = n;
            assert_eq!(play::<Heap>(&tape, limits), bounded, "{n}");
        }
    }
}

#[test]
fn what_guests_make_shares_one_budget() {
    const MAKES: Script = &[
        run(canon_async::canon::Builtin::StreamNew(STREAM_UNIT), &[]),
        run(canon_async::canon::Builtin::StreamNew(STREAM_UNIT), &[]),
        run(task_return(A), &[]),
    ];
    // Four ends of streams is all that there is room for; each instance has room for six handles.
    let mut w = World::<Tight>::new(&[None, None, None]).unwrap();
    let makes = w.lift(Func::Async, async_opts(A), MAKES).unwrap();
    let one = script![run(canon_async::canon::Builtin::StreamNew(STREAM_UNIT), &[])];
    let second = w.lift(Func::Sync, sync_opts(B), one).unwrap();
    let third = w.lift(Func::Sync, sync_opts(C), one).unwrap();
    let dies = w.lift(Func::Sync, sync_opts(A), script![no_std_tests::op::Op::Trap(1)]).unwrap();
    w.call(makes, 0).unwrap();
    assert_eq!(w.call(second, 1), Err(Error::capacity(Resource::Waitables)));
    assert_eq!(w.ended(0), Ended::Returned(0));
    // What the dead held is room for others.
    assert!(w.call(dies, 2).is_err());
    w.call(third, 3).unwrap();
    w.done_with(|left| {
        left.waitables = 2;
        left.streams = 1;
        left.handles = 2;
    })
    .unwrap();
}
