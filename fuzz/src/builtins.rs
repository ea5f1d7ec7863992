//! Sequences of built-ins on the core, without an engine: each guest does what the next step says.
//!
//! The generator is that of the sequence tests (`std_tests/src/machine`), which checks the invariants after
//! each step and compares counts around each refusal; here its steps come from bytes. The heap tier, two
//! bounded ones and a heap under tight limits play the same tape: they do the same until one is full, and all
//! can be closed at the end.

use canon_async::storage::{Limits, Profile};
use canon_async::store::Choose;
use canon_async::{Heap, bounded};
use std_tests::machine::{Aim, Machine, Setup, Step};

use crate::tape::Tape;

bounded! {
    /// Full now and then. As many indices as threads: where only the indices run out, a queued call waits for
    /// one, and the traces differ without an error.
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

/// The most steps of a sequence: what comes later adds time and no states.
const STEPS: usize = 300;

/// Plays a sequence.
///
/// # Panics
/// Where an invariant does not hold.
pub fn run(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let choose = match tape.byte() % 8 {
        0 => Choose::Spec,
        1 | 2 => Choose::Seeded(u64::from(tape.word())),
        _ => Choose::Eager,
    };
    let tight = tight(&mut tape);
    let mut steps = Vec::new();
    while !tape.is_over() && steps.len() < STEPS {
        steps.push(step(&mut tape));
    }
    let free = Limits::STORAGE;
    let (heap, full) = play::<Heap>(&steps, choose, (Heap::LIMITS, free));
    assert_eq!(full, None, "the heap ran out");
    let others = [
        play::<Small>(&steps, choose, (Small::LIMITS, free)),
        play::<Large>(&steps, choose, (Large::LIMITS, free)),
        play::<Heap>(&steps, choose, (tight, free)),
        play::<Small>(&steps, choose, (Small::LIMITS, tight)),
    ];
    for (other, full) in others {
        let until = full.unwrap_or(heap.len());
        assert_eq!(heap.get(..until), other.get(..until), "the profiles differ");
    }
}

/// Plays a sequence on a profile, with limits of the store and of its roots, and closes what is left: its
/// trace, and where it first ran out of room.
fn play<P: Profile>(
    steps: &[Step],
    choose: Choose,
    (limits, root_limits): (Limits, Limits),
) -> (Vec<String>, Option<usize>) {
    let setup = Setup { choose, depth: 6, limits, root_limits, strict: false };
    let mut machine = Box::new(Machine::<P>::new(steps.to_vec(), setup).expect("linking"));
    machine.play();
    let trace = machine.trace().to_vec();
    let capacity = machine.capacity_at();
    machine.teardown();
    (trace, capacity)
}

/// Less room than the bounded profiles have.
fn tight(tape: &mut Tape) -> Limits {
    let mut figure = |least: usize, most: usize| (least + tape.below(most - least)) as u32;
    let threads = figure(2, 12);
    Heap::LIMITS
        .with_handles(figure(2, 16))
        .with_thread_indices(threads)
        .with_tasks(figure(2, 12))
        .with_threads(threads)
        .with_waitables(figure(2, 16))
        .with_sets(figure(1, 5))
        .with_streams(figure(1, 8))
        .with_error_contexts(figure(1, 5))
        .with_queued(figure(1, 4))
        .with_lends(figure(1, 4))
        .with_message_bytes(16)
}

/// A step: the first byte says which, about as often as the sequence tests do; most lead to an aim.
fn step(tape: &mut Tape) -> Step {
    const AIMS: [Aim; 16] = [
        Aim::Copy,
        Aim::Copy,
        Aim::Copy,
        Aim::Copy,
        Aim::Join,
        Aim::Join,
        Aim::Join,
        Aim::Wait,
        Aim::Wait,
        Aim::Wait,
        Aim::Wait,
        Aim::Take,
        Aim::Tidy,
        Aim::Tidy,
        Aim::Cancel,
        Aim::Wake,
    ];
    let which = tape.byte();
    let sel = |tape: &mut Tape| tape.byte() % 6;
    match which {
        0..=95 => Step::Aim(AIMS[usize::from(which % 16)], which / 16),
        96..=115 => Step::Call(tape.byte(), true),
        116..=121 => Step::Call(tape.byte(), false),
        122..=129 => Step::Tick,
        130..=132 => Step::Cancel(sel(tape), true),
        133..=135 => Step::Cancel(sel(tape), false),
        136 => Step::Context(sel(tape)),
        137..=140 => Step::BackpressureInc,
        141..=147 => Step::BackpressureDec,
        148..=150 => Step::TaskReturn,
        151..=153 => Step::TaskCancel,
        154..=155 => Step::SetNew,
        156..=158 => Step::SetWait(sel(tape)),
        159..=160 => Step::SetPoll(sel(tape)),
        161 => Step::SetDrop(sel(tape)),
        162..=167 => Step::Join(sel(tape), sel(tape)),
        168..=169 => Step::SubtaskDrop(sel(tape)),
        170..=173 => Step::New(which % 2 == 0, which / 2 % 2 == 0),
        174..=180 => Step::Copy(sel(tape), tape.byte() % 4, true),
        181..=185 => Step::Copy(sel(tape), tape.byte() % 4, false),
        186..=189 => Step::CancelCopy(sel(tape), which % 2 == 0),
        190..=192 => Step::DropEnd(sel(tape)),
        193..=194 => Step::ThreadNew,
        195..=196 => Step::Forward(sel(tape), sel(tape)),
        197..=201 => Step::ResumeLater(sel(tape)),
        202 => Step::Suspend,
        203..=204 => Step::SuspendThenResume(sel(tape)),
        205..=207 => Step::YieldThenResume(sel(tape)),
        208..=210 => Step::SuspendThenPromote(sel(tape)),
        211..=213 => Step::YieldThenPromote(sel(tape)),
        214..=215 => Step::ResourceNew,
        216..=217 => Step::ResourceDrop(sel(tape)),
        218..=219 => Step::ErrorContextNew,
        220..=221 => Step::ErrorContextMessage(sel(tape)),
        222..=223 => Step::ErrorContextDrop(sel(tape)),
        224..=251 => Step::Return(which % 6, sel(tape)),
        252..=253 => Step::Tick,
        254 => Step::Wild,
        255 => Step::Trap,
    }
}
