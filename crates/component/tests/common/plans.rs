//! Plans as bytes, taken apart and put together, without the checks of the crate.

use canon_async_component::plan::{FORMAT, MAGIC};
use canon_async_component::{Linker, Plan, Val, define_host_resource, instantiate};

use super::engine::{Closure, FakeEngine};

/// Something of everything that a plan can have.
pub const EVERYTHING: &str = include_str!("../plans/everything.wat");

/// The examples of the repository, and [`EVERYTHING`].
pub fn samples() -> Vec<Plan> {
    let texts = [
        EVERYTHING,
        include_str!("../../../../examples/pipeline.wat"),
        include_str!("../../../../examples/cancel.wat"),
        "(component)",
    ];
    texts.map(super::plan).into()
}

/// Where the header's fields are, and how long it is.
pub const SIZE: usize = 12;
pub const CHECKSUM: usize = 16;
pub const TABLES: usize = 20;
pub const MODULES: usize = 24;
pub const PRODUCER: usize = 28;
pub const HEADER: usize = 48;

pub fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub fn set_word(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

/// Sets the checksum right.
pub fn seal(bytes: &mut [u8]) {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut digest = crc.digest();
    digest.update(&bytes[..CHECKSUM]);
    digest.update(&bytes[TABLES..]);
    let sum = digest.finalize();
    set_word(bytes, CHECKSUM, sum);
}

/// A plan around these tables, whatever they are.
pub fn around(tables: &[u8], modules: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER + 8 * modules.len()];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes.extend_from_slice(tables);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    for (index, module) in modules.iter().enumerate() {
        let at = bytes.len() as u32;
        set_word(&mut bytes, HEADER + 8 * index, at);
        set_word(&mut bytes, HEADER + 8 * index + 4, module.len() as u32);
        bytes.extend_from_slice(module);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    let size = bytes.len() as u32;
    for (at, value) in
        [(8, FORMAT), (SIZE, size), (TABLES, tables.len() as u32), (MODULES, modules.len() as u32)]
    {
        set_word(&mut bytes, at, value);
    }
    seal(&mut bytes);
    bytes
}

/// A plan's tables as they are in its bytes.
pub fn tables(plan: &Plan) -> Vec<u8> {
    postcard::to_allocvec(plan).unwrap()
}

/// A plan as bytes, whether it makes sense or not.
pub fn unchecked(plan: &Plan) -> Vec<u8> {
    let modules: Vec<&[u8]> = plan.modules.iter().map(|module| &*module.bytes).collect();
    around(&tables(plan), &modules)
}

/// Links a plan with what [`EVERYTHING`] imports. Only that it ends is of interest.
pub fn link(plan: &Plan) {
    let mut e = FakeEngine::new();
    let mut linker: Linker<Closure, usize> = Linker::new();
    let resource = define_host_resource(&mut e, None).unwrap();
    linker.resource("a:b/host@1.2.3#r", resource).resource("same", resource).module("libc", 0);
    for path in ["a:b/host@1.2.3#make", "a:b/host@1.2.3#inner#f", "plain", "all", "a:b/c@0.2.6#g"] {
        linker.func(path, |_| None);
    }
    linker.value("v", Val::U32(7));
    _ = instantiate(&mut e, plan, &linker);
    _ = canon_async_component::inspect::inspect(plan);
    _ = canon_async_component::inspect::words(plan).to_string();
    let capacities = canon_async_component::inspect::capacities(plan, 1);
    _ = canon_async_component::inspect::profile(capacities, None, 1).to_string();
}
