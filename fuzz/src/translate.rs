//! Component bytes: any bytes give a plan or an error, within the limits; what can be linked is called.

use canon_async_component::{TranslateOptions, translate};
use canon_async_wasmi::{Component, Linker};

use crate::call::{World, verify};
use crate::setup::{Metered, engine};
use crate::tape::Tape;

/// Translates, links and calls.
///
/// # Panics
/// Where a promise is broken.
pub fn run(bytes: &[u8]) {
    let options = TranslateOptions::default();
    let Ok(plan) = translate(bytes, &options) else { return };
    // What was translated stays within what was allowed.
    assert!(plan.steps.len() <= options.limits.steps as usize);
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
