//! Every capacity of the ambient store at 0, at 1, at an exact fit, and at one too few: what fails names the capacity, changes nothing, and the
//! store goes on working. The same tests on every tier.
//!
//! Here limits stand in for capacities. `no_std_tests/tools/capacities` builds this file with capacities from the environment, where they are what
//! the statics hold.

use crate::common::fresh;
use crate::common::moves::{Dice, step};
use crate::common::trace::*;
use crate::programs::{PROGRAMS, ROLES};
use canon_async::Resource::{ErrorContexts, Handles, ListTypes};
use canon_async::ambient::{Limits, capacity};
use canon_async::prelude::*;

/// Prints what `no_std_tests/tools/capacities` compares, where `--nocapture` asks for it.
macro_rules! say {
    ($($text:tt)*) => {{
        #[cfg(not(target_os = "none"))]
        if std::env::args().any(|argument| argument == "--nocapture") {
            std::println!($($text)*);
        }
        #[cfg(target_os = "none")]
        let _ = format_args!($($text)*);
    }};
}

fn every_program_fills_what_was_compiled_in() -> Result<(), Error> {
    let _one = fresh();
    for program in PROGRAMS {
        say!("capacity: {} {}", program.name, program.play(Limits::DEFAULT)?);
    }
    Ok(())
}

fn every_role_at_none_at_one_at_an_exact_fit_and_at_one_too_few() -> Result<(), Error> {
    let _one = fresh();
    let mut played = 0;
    for program in PROGRAMS {
        for (what, _, role) in ROLES {
            let mut limit = |most: u32| -> Result<(), Error> {
                let mut limits = Limits::DEFAULT;
                *role(&mut limits) = most.min(*role(&mut limits));
                let made = program.play(limits)?;
                say!("capacity: {} with {most} of {what}: {made}", program.name);
                played += 1;
                Ok(())
            };
            let most = program.needs(what, 3);
            if most == 0 {
                continue;
            }
            let mut edges = [0, 1, most - 1, most].to_vec();
            edges.sort();
            edges.dedup();
            edges.into_iter().try_for_each(&mut limit)?;
        }
    }
    // Each role is one that some program needs.
    for (what, ..) in ROLES {
        assert!(PROGRAMS.iter().any(|program| program.each.iter().any(|(of, _)| *of == what)), "{what}");
    }
    assert!(played > 4 * ROLES.len());
    Ok(())
}

/// Prints the capacities that are enough for three of everything, which `no_std_tests/tools/capacities` builds with.
fn programs_fit_into_what_they_need_together() -> Result<(), Error> {
    let _one = fresh();
    let mut limits = Limits::DEFAULT;
    for (what, variable, role) in ROLES {
        let needs = PROGRAMS.iter().map(|program| program.needs(what, 3)).max().unwrap_or(0);
        *role(&mut limits) = needs.min(*role(&mut limits));
        say!("fit: {variable}={needs}");
    }
    for program in PROGRAMS {
        let made = program.play(limits)?;
        assert_eq!(made >= 3, program.short(&limits, 3).is_empty(), "{}: {made}", program.name);
    }
    Ok(())
}

fn messages_of_error_contexts_are_cut_at_every_length() -> Result<(), Error> {
    let _one = fresh();
    let most = Limits::DEFAULT.core.message_bytes;
    for bytes in [0, 1, 2, 3, most] {
        let mut limits = Limits::DEFAULT;
        limits.core.message_bytes = bytes.min(most);
        let mut world = match World::new(limits) {
            Ok(world) => world,
            Err(Error::Capacity(_)) => continue,
            Err(error) => return Err(error),
        };
        // Two bytes each.
        let message = "\u{e4}".repeat(limits.text_bytes as usize / 2);
        match Errors::error_context_new(&message, ErrorSeverity::Info) {
            Ok(error) => {
                let kept = Errors::error_context_debug_message(error)?;
                let room = (bytes.min(most) / 2).min(limits.text_bytes / 2);
                assert_eq!(kept.chars().count(), room as usize, "{bytes}");
                assert!(message.starts_with(&*kept));
                world.errors.add(error);
            }
            Err(error) => {
                assert!([ErrorContexts, Handles].map(Error::capacity).contains(&error), "{error:?}");
            }
        }
    }
    Ok(())
}

fn registry_of_list_types_is_full_at_its_capacity() {
    for limit in [0, 1, capacity::LIST_TYPES] {
        let limit = limit.min(capacity::LIST_TYPES);
        let mut registry = FixedLengthListTypeRegistry::with_limit(limit);
        let ty = |length: usize| FixedLengthListType::new(ValueType::U8, length as u32 + 1);
        for length in 0..limit {
            assert_eq!(registry.register_type(ty(length)), Ok(length as u32));
        }
        for _ in 0..2 {
            assert_eq!(registry.register_type(ty(limit)), Err(Error::capacity(ListTypes)));
            assert_eq!((registry.len(), registry.find(ty(limit))), (limit, None));
            assert!((0..limit).all(|length| registry.register_type(ty(length)) == Ok(length as u32)));
        }
    }
}

fn random_moves_that_fail_change_nothing() -> Result<(), Error> {
    let _one = fresh();
    for seed in 0..4 {
        let mut world = match World::new(Limits::DEFAULT) {
            Ok(world) => world,
            Err(Error::Capacity(what)) => {
                say!("capacity: no room for a host with guests: {what}");
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut dice = Dice(seed);
        for stretch in 1..=3 {
            for _ in 0..100 {
                step(&mut world, &mut dice);
            }
            say!("capacity: seed {seed}, {stretch}: trace {:016x}", world.trace());
        }
    }
    Ok(())
}

tests! {
    every_program_fills_what_was_compiled_in,
    every_role_at_none_at_one_at_an_exact_fit_and_at_one_too_few,
    programs_fit_into_what_they_need_together,
    messages_of_error_contexts_are_cut_at_every_length,
    registry_of_list_types_is_full_at_its_capacity,
    random_moves_that_fail_change_nothing,
}
