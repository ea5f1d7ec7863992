//! Bytes as a plan: any bytes are a plan that can be linked or an error, never a panic. What seals a plan is set right, so
//! that whatever else is wrong with it is looked at; `canon compile` makes seeds.
#![no_main]

use canon_async_component::plan::{FORMAT, MAGIC, Plan, PlanError};
use canon_async_wasmi::{Component, Config, Engine, Limits, Linker, Store};
use crc::{CRC_32_ISO_HDLC, Crc};
use libfuzzer_sys::fuzz_target;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// With magic, format, size and checksum as they have to be.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(48), 0);
    let size = (bytes.len() as u32).to_le_bytes();
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..16].copy_from_slice(&size);
    let mut digest = CRC.digest();
    digest.update(&bytes[..16]);
    digest.update(&bytes[20..]);
    bytes[16..20].copy_from_slice(&digest.finalize().to_le_bytes());
    bytes
}

fn link(plan: Plan) {
    let limits = Limits { depth: 5, ..Limits::HEAP };
    let engine =
        Engine::new(Config::new().fuel(true).limits(limits).memory_bytes(1 << 20).table_elements(1 << 10));
    let Ok(component) = Component::from_plan(&engine, plan) else { return };
    let mut store = Store::new(&engine, ());
    let _ = store.set_fuel(100_000);
    let _ = Linker::new(&engine).instantiate(&mut store, &component);
}

fuzz_target!(|bytes: &[u8]| {
    match Plan::from_bytes(&sealed(bytes)) {
        Ok(plan) => {
            let again = Plan::from_bytes(&plan.to_bytes().expect("it was checked")).expect("it was written");
            assert!(again == plan);
            let _ = canon_async_component::inspect::inspect(&plan).to_string();
            link(plan);
        }
        Err(PlanError::Field { path, problem }) => assert!(!path.is_empty() && !problem.is_empty()),
        Err(error) => panic!("{error}"),
    }
});
