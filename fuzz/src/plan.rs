//! Bytes as a plan: any bytes are a plan that can be linked, or an error; what can be linked is called. What
//! seals a plan (magic, size, checksum) is set right, so that whatever else is wrong with it is looked at.

use canon_async_component::plan::{FORMAT, MAGIC, Plan, PlanError};
use canon_async_wasmi::{Component, Linker};
use crc::{CRC_32_ISO_HDLC, Crc};

use crate::call::{World, verify};
use crate::setup::{Metered, engine};
use crate::tape::Tape;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
const HEADER: usize = 48;

/// With magic, format, size and checksum as they have to be.
pub fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(HEADER), 0);
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

/// Reads, links and calls.
///
/// # Panics
/// Where a promise is broken.
pub fn run(bytes: &[u8]) {
    let plan = match Plan::from_bytes(&sealed(bytes)) {
        Ok(plan) => plan,
        Err(PlanError::Field { path, problem }) => {
            assert!(!path.is_empty() && !problem.is_empty());
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let again = Plan::from_bytes(&plan.to_bytes().expect("it was checked")).expect("it was written");
    assert!(again == plan);
    let _ = canon_async_component::inspect::inspect(&plan);
    let _ = canon_async_component::inspect::words(&plan).to_string();
    let _ = canon_async_component::inspect::capacities(&plan, 1);
    let mut tape = Tape::reversed(bytes);
    let metered = Metered::ways(&mut tape).first().copied().unwrap_or(Metered::Fuel);
    let engine = engine(&mut tape, metered);
    let component = match Component::from_plan(&engine, plan) {
        Ok(component) => component,
        Err(error) => return verify(Some(&error)),
    };
    let mut world = World::new(&engine, tape);
    let mut linker = Linker::new(&engine);
    world.define(&mut linker, component.plan(), &[]);
    if world.instantiate(&linker, &component).is_some() {
        world.play();
    }
    let _ = world.end();
}
