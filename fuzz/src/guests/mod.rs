//! Components that are made from the bytes, linked with each other and the host, and called.
//!
//! The input is read from both ends: from the front come the types and the code of one to three components,
//! from the back what the host does. So a change at one end leaves the other as it was.

mod code;
mod component;
mod ending;
mod module;
mod steps;
mod types;
mod values;

use canon_async_wasmi::instance::Extern;
use canon_async_wasmi::{Component, Instance, Linker};

use crate::call::{World, verify};
use crate::host::Host;
use crate::setup::{Metered, each_way, engine};
use crate::tape::Tape;
use component::Spec;
use types::Types;

/// Longer inputs make no other guests.
const LONGEST: usize = 4096;

/// Makes guests and runs them.
///
/// # Panics
/// Where a promise is broken.
pub fn run(bytes: &[u8]) {
    let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    each_way(bytes, |tape, metered| play(bytes, tape, metered));
}

fn play(bytes: &[u8], mut tape: Tape, metered: Metered) -> Vec<String> {
    let engine = engine(&mut tape, metered);
    let mut world = World::new(&engine, tape);
    let mut linker = Linker::new(&engine);
    let (components, has_home) = components(bytes);
    if !has_home {
        world.define_resource(&mut linker, "r");
    }
    for made in components {
        let component = match Component::new(&engine, &made.bytes) {
            Ok(component) => component,
            Err(error) => {
                verify(Some(&error));
                continue;
            }
        };
        // What the host gives: its functions.
        let mut own = linker.clone();
        world.define(&mut own, component.plan(), &made.known);
        if let Some(instance) = world.instantiate(&own, &component) {
            share(&mut world, &mut linker, &instance, &made);
        }
    }
    world.play();
    world.end()
}

/// A component, and what is known of it.
#[derive(Debug)]
pub struct Made {
    /// The component.
    pub bytes: Vec<u8>,
    /// What it imports that a component before it exports.
    known: Vec<String>,
    /// Which of the components it is.
    number: usize,
    home: bool,
}

/// The components that these bytes stand for, and whether the first has the resource type that all know, or
/// the host.
pub fn components(bytes: &[u8]) -> (Vec<Made>, bool) {
    let mut tape = Tape::new(bytes);
    let types = Types::new(&mut tape);
    let has_home = tape.byte() % 4 != 3;
    let mut all = Vec::new();
    let mut known: Vec<(String, usize)> = Vec::new();
    for number in 0..1 + tape.below(3) {
        let home = has_home && number == 0;
        let mut imports: Vec<(String, usize)> = (0..tape.below(4))
            .map(|at| (format!("h{number}-{at}"), tape.below(types.sigs.len())))
            .filter(|(_, sig)| !home || !types.needs_names(*sig))
            .collect();
        imports.extend(known.iter().filter(|_| tape.byte() % 4 != 3).cloned());
        let (component, exports) = component::write(&mut tape, &types, &Spec { home, imports, nesting: 2 });
        let mut names: Vec<String> = known.iter().map(|(name, _)| name.clone()).collect();
        names.push("r".into());
        all.push(Made { bytes: component.finish(), known: names, number, home });
        known.extend(exports.iter().enumerate().map(|(at, sig)| (format!("u{number}-f{at}"), *sig)));
    }
    (all, has_home)
}

/// Gives what an instance exports to those after it.
fn share(world: &mut World, linker: &mut Linker<Host>, instance: &Instance, made: &Made) {
    for name in instance.exports().keys() {
        let path = format!("u{}-{name}", made.number);
        let shared = linker.export(&world.store, &path, instance, name);
        verify(shared.err().as_ref());
    }
    if made.home
        && let Some(Extern::Resource(resource)) = instance.get("r")
    {
        verify(linker.known_resource(&world.store, "r", *resource).err().as_ref());
    }
}
