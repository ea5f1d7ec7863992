//! Random sequences of built-ins, legal and illegal, over three instances (two roots, one with a child), on a heap
//! and on bounded profiles: the invariants hold after each step, all profiles do the same until one is full, and at
//! the end everything can be closed.

mod guest;
mod machine;
mod step;
mod teardown;

use canon_async::storage::Profile;
use canon_async::{Heap, bounded};
use machine::Machine;
use proptest::prelude::*;
use step::Step;

bounded! {
    /// Full now and then. As many indices as threads: where only the indices run out, a queued call waits for one, and
    /// the traces differ without an error.
    Small {
        instances: 4, handles: 12, thread_indices: 10, tasks: 8, threads: 10, waitables: 14, sets: 4,
        streams: 6, error_contexts: 4, message_bytes: 16, queued: 2, lends: 2, types: 16, type_items: 8,
        resources: 1, functions: 180, depth: 6,
    }
}

bounded! {
    /// Nearly never full.
    Large {
        instances: 4, handles: 64, thread_indices: 32, tasks: 64, threads: 64, waitables: 128, sets: 32,
        streams: 64, error_contexts: 32, message_bytes: 16, queued: 32, lends: 32, types: 16, type_items: 8,
        resources: 1, functions: 180, depth: 6,
    }
}

/// Plays a tape to its end: the trace, and where it first ran out of room.
fn play<P: Profile>(tape: &[Step]) -> (Vec<String>, Option<usize>) {
    let mut machine = Box::new(Machine::<P>::new(tape.to_vec()).expect("linking"));
    while let Some(step) = machine.next_step() {
        machine.host_step(step);
    }
    let trace = core::mem::take(&mut machine.trace);
    let capacity = machine.capacity_at;
    machine.trace.clone_from(&trace);
    machine.teardown();
    (trace, capacity)
}

/// Plays a tape on every profile and compares.
fn compare(tape: &[Step]) {
    let (heap, full) = play::<Heap>(tape);
    assert_eq!(full, None, "the heap ran out");
    for (bounded, full) in [play::<Small>(tape), play::<Large>(tape)] {
        let until = full.unwrap_or(heap.len());
        assert_eq!(heap.get(..until), bounded.get(..until), "the profiles differ");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_sequences_keep_the_invariants(tape in step::tape(120)) {
        compare(&tape);
    }
}
