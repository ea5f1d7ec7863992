//! How an input is run: the engine, its limits, and whether guests run in slices.

use canon_async_wasmi::{Choose, Config, Engine, Limits};

use crate::tape::Tape;

/// Few enough that a run is short, and enough that limits are not all that is found.
const ROOMY: Limits = Limits::STORAGE
    .with_instances(32)
    .with_handles(200)
    .with_thread_indices(40)
    .with_tasks(60)
    .with_threads(60)
    .with_waitables(200)
    .with_sets(30)
    .with_streams(60)
    .with_error_contexts(30)
    .with_message_bytes(32)
    .with_queued(20)
    .with_lends(40)
    .with_types(2_000)
    .with_type_items(8_000)
    .with_resources(50)
    .with_functions(1_000)
    .with_depth(10);
const TIGHT: Limits = ROOMY
    .with_handles(12)
    .with_thread_indices(5)
    .with_tasks(6)
    .with_threads(7)
    .with_waitables(10)
    .with_sets(3)
    .with_streams(4)
    .with_error_contexts(3)
    .with_queued(2)
    .with_lends(2)
    .with_depth(4);

/// How guests are metered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metered {
    /// By fuel alone.
    Fuel,
    /// In slices of so much fuel, so that they can be interrupted too.
    Slices(u32),
}

impl Metered {
    /// How an input is run: in one way, or in two that have to do the same.
    pub fn ways(tape: &mut Tape) -> Vec<Self> {
        let how = tape.byte();
        let slices = Self::Slices(50 + 16 * u32::from(how % 64));
        match how {
            0..=127 => vec![Self::Fuel],
            128..=191 => vec![slices],
            _ => vec![slices, Self::Slices(100_000)],
        }
    }
}

/// An engine with small limits; the tape says how small, and how the scheduler chooses.
pub fn engine(tape: &mut Tape, metered: Metered) -> Engine {
    let how = tape.byte();
    let choose = match how % 8 {
        4 => Choose::Spec,
        5 => Choose::Barging,
        6 | 7 => Choose::Seeded(u64::from(tape.byte())),
        _ => Choose::Eager,
    };
    let mut config = Config::new();
    config
        .fuel(true)
        .limits(if how < 240 { ROOMY } else { TIGHT })
        .root_limits(if how < 224 { ROOMY } else { TIGHT })
        .choose(choose)
        .strict(how & 0x18 == 0x18)
        .tail_calls(how & 1 == 1)
        .host_bytes(1 << 16)
        .guest_bytes(8 << 20)
        .memory_bytes(4 << 20)
        // It would read what the process has in use, which is no function of the input.
        .memory_meter(None)
        .table_elements(1 << 10)
        .max_stack_bytes(64 << 10)
        .max_call_depth(100);
    if let Metered::Slices(fuel) = metered {
        config.interruptible(true).slice_fuel(fuel);
    }
    Engine::new(&config)
}

/// Runs an input in each of the ways that its last byte says: the same comes of it.
///
/// # Panics
/// Where it does not, and where `run` does.
pub fn each_way(bytes: &[u8], run: impl Fn(Tape, Metered) -> Vec<String>) {
    let mut tape = Tape::reversed(bytes);
    let ways = Metered::ways(&mut tape);
    let mut before: Option<Vec<String>> = None;
    for way in ways {
        let log = run(tape.clone(), way);
        if let Some(before) = &before {
            let differs = before.iter().zip(&log).position(|(a, b)| a != b);
            assert!(
                before.len() == log.len() && differs.is_none(),
                "slices change what is done: {:?}",
                differs.map(|at| (before.get(at), log.get(at)))
            );
        }
        before = Some(log);
    }
}
