//! Random sequences of built-ins, legal and illegal, over three instances (two roots, one with a child), on a heap
//! and on bounded profiles: the invariants hold after each step, all profiles do the same until one is full, and at
//! the end everything can be closed.

use canon_async::storage::Profile;
use canon_async::store::Choose;
use canon_async::{Heap, Limits, bounded};
use proptest::prelude::*;
use std_tests::machine::{Machine, Setup, Step, tape};

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
fn play<P: Profile>(tape: &[Step], choose: Choose) -> (Vec<String>, Option<usize>) {
    let setup = Setup { choose, depth: 6, limits: P::LIMITS, root_limits: Limits::STORAGE, strict: false };
    let mut machine = Box::new(Machine::<P>::new(tape.to_vec(), setup).expect("linking"));
    machine.play();
    let trace = machine.trace().to_vec();
    let capacity = machine.capacity_at();
    machine.teardown();
    (trace, capacity)
}

/// Quotas that are reached now and then, and before a large store is full.
const QUOTAS: Limits = Limits::STORAGE
    .with_tasks(4)
    .with_threads(5)
    .with_waitables(7)
    .with_sets(2)
    .with_streams(3)
    .with_error_contexts(2)
    .with_handles(9)
    .with_queued(1)
    .with_lends(1);

/// Plays a tape where roots have quotas: the trace. What each root is charged with is recounted after each step.
fn play_with_quotas<P: Profile>(tape: &[Step], choose: Choose) -> Vec<String> {
    let setup = Setup { choose, depth: 6, limits: P::LIMITS, root_limits: QUOTAS, strict: false };
    let mut machine = Box::new(Machine::<P>::new(tape.to_vec(), setup).expect("linking"));
    machine.play();
    let trace = machine.trace().to_vec();
    machine.teardown();
    trace
}

/// Plays a tape on every profile and compares.
fn compare(tape: &[Step], choose: Choose) {
    let (heap, full) = play::<Heap>(tape, choose);
    assert_eq!(full, None, "the heap ran out");
    for (bounded, full) in [play::<Small>(tape, choose), play::<Large>(tape, choose)] {
        let until = full.unwrap_or(heap.len());
        assert_eq!(heap.get(..until), bounded.get(..until), "the profiles differ");
    }
}

/// Plays a tape to its first error, or until nothing is ready: the trace, and where the error is.
fn play_to_error(tape: &[Step], strict: bool) -> (Vec<String>, Option<usize>) {
    let setup =
        Setup { choose: Choose::Eager, depth: 6, limits: Heap::LIMITS, root_limits: Limits::STORAGE, strict };
    let mut machine = Box::new(Machine::<Heap>::new(tape.to_vec(), setup).expect("linking"));
    machine.play_to_error();
    (machine.trace().to_vec(), machine.error_at())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_sequences_keep_the_invariants(tape in tape(120)) {
        compare(&tape, Choose::Eager);
    }

    #[test]
    fn random_sequences_deterministic_profile_keep_the_invariants(tape in tape(120)) {
        compare(&tape, Choose::Spec);
    }

    #[test]
    fn random_sequences_random_choices_keep_the_invariants(tape in tape(120), seed in any::<u64>()) {
        compare(&tape, Choose::Seeded(seed));
    }

    #[test]
    fn random_sequences_with_quotas_keep_the_invariants(tape in tape(120), seed in any::<u64>()) {
        let choose = if seed % 2 == 0 { Choose::Eager } else { Choose::Seeded(seed) };
        assert_eq!(play_with_quotas::<Heap>(&tape, choose), play_with_quotas::<Large>(&tape, choose));
    }

    #[test]
    fn random_sequences_that_run_strict_run_the_same_without(tape in tape(120)) {
        let (strict, error) = play_to_error(&tape, true);
        let (free, _) = play_to_error(&tape, false);
        let until = error.unwrap_or(strict.len());
        assert_eq!(strict.get(..until), free.get(..until));
    }
}
