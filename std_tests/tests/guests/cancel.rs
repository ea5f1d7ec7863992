//! guests/sleeper, guests/proxy and guests/canceller.

use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::Val;

use crate::ways::{Program, strings};

/// Directly, and with a component in between, which cancels what it called.
const DISTANCES: [&[&str]; 2] = [&["sleeper", "canceller"], &["sleeper", "proxy", "canceller"]];

fn both(answers: &[&str], diary: &[&str]) -> Val {
    Val::Tuple(vec![strings(answers), strings(diary)])
}

#[test]
fn a_dropped_future_cancels_its_call_and_no_other() {
    for guests in DISTANCES {
        Program::new(guests).in_every_way(|running| {
            let result = running.call("every-second", &[Val::U32(5)]);
            let Val::Tuple(fields) = &result else { panic!("{result:?}") };
            let answers = ["0 dreamt of 0 sheep", "2 dreamt of 2 sheep", "4 dreamt of 4 sheep"];
            assert_eq!(fields[0], strings(&answers));
            let Val::List(diary) = &fields[1] else { panic!("{fields:?}") };
            let (before, after) = diary.split_at(7);
            assert_eq!(
                Val::List(before.into()),
                strings(&[
                    "0 fell asleep",
                    "1 fell asleep",
                    "2 fell asleep",
                    "3 fell asleep",
                    "4 fell asleep",
                    "1 was cancelled",
                    "3 was cancelled",
                ])
            );
            // Each is woken when its writer is asked to write, and says so when it gets to run.
            let mut woke: Vec<_> = after.iter().map(|line| format!("{line:?}")).collect();
            woke.sort();
            assert_eq!(woke, ["0 woke", "2 woke", "4 woke"].map(|line| format!("String({line:?})")));
        });
    }
}

#[test]
fn who_loses_a_race_is_cancelled() {
    for guests in DISTANCES {
        Program::new(guests).in_every_way(|running| {
            let diary = [
                "the hare fell asleep",
                "the tortoise fell asleep",
                "the tortoise woke",
                "the hare was cancelled",
            ];
            let result = running.call("race", &[]);
            let Val::Tuple(fields) = &result else { panic!("{result:?}") };
            assert_eq!(fields[0], Val::String("the tortoise dreamt of the goal".into()));
            assert_eq!(fields[1], strings(&diary));
        });
    }
}

/// A call that backpressure held back never ran, and one that had ended has nothing to cancel.
#[test]
fn a_call_that_never_began_and_one_that_ended_are_dropped_without_a_trace() {
    Program::new(DISTANCES[0]).in_every_way(|running| {
        let diary = ["other fell asleep", "other woke", "late fell asleep", "late woke"];
        assert_eq!(running.call("doors", &[]), both(&["other dreamt of open doors"], &diary));
    });
}

/// Its caller lives on, unless they are one component, but never gets an answer.
#[test]
fn a_guest_that_panics_is_never_entered_again_and_what_it_held_is_freed() {
    Program::new(DISTANCES[0]).in_every_way(|running| {
        let mut fails = |export| running.func(None, export).call(&mut running.store, &[]).unwrap_err();
        assert_eq!(fails("nightmare").to_string(), "wasm trap: wasm `unreachable` instruction executed");
        assert_eq!(fails("race").core(), Some(CoreError::Trap(Trap::CannotEnter)));
    });
}
