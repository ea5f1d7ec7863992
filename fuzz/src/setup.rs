//! How an input is run: the engine, its limits, and whether guests run in slices.

use canon_async_wasmi::{Choose, Config, Engine, Limits};

use crate::tape::Tape;

/// Few enough that a run is short, and enough that limits are not all that is found.
const ROOMY: Limits = Limits {
    instances: 32,
    handles: 200,
    thread_indices: 40,
    tasks: 60,
    threads: 60,
    waitables: 200,
    sets: 30,
    streams: 60,
    error_contexts: 30,
    message_bytes: 32,
    queued: 20,
    lends: 40,
    types: 2_000,
    type_items: 8_000,
    resources: 50,
    functions: 1_000,
    depth: 10,
};
const TIGHT: Limits = Limits {
    handles: 12,
    thread_indices: 5,
    tasks: 6,
    threads: 7,
    waitables: 10,
    sets: 3,
    streams: 4,
    error_contexts: 3,
    queued: 2,
    lends: 2,
    depth: 4,
    ..ROOMY
};

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
