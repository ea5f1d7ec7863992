//! Plans that no translation makes: each rule that the linker relies on, broken, is an error that names the
//! field.

#[path = "../common/attacks.rs"]
#[allow(dead_code, reason = "each test file uses a part")]
mod attacks;
mod builtins;
#[path = "../common/mod.rs"]
mod common;
mod modules;
mod steps;
mod tables;

use canon_async_component::Plan;
use canon_async_component::plan::{BuiltinKind, CoreItem, Step};
use common::plans;

/// The error for a changed plan of everything: reading it and writing it refuse it alike.
#[track_caller]
fn error(change: impl FnOnce(&mut Plan)) -> String {
    let mut plan = common::plan(plans::EVERYTHING);
    change(&mut plan);
    let text = plan.to_bytes().expect_err("not written").to_string();
    let read = Plan::from_bytes(&plans::unchecked(&plan)).expect_err("not read");
    assert_eq!(read.to_string(), text);
    // Even so the linker ends.
    plans::link(&plan);
    text.strip_prefix("damaged plan: ").expect("a field").into()
}

fn export(instance: u32, name: &str) -> CoreItem {
    CoreItem::Export { instance, name: name.into() }
}

/// The index of the first built-in of a kind.
fn builtin(plan: &Plan, is: impl Fn(&BuiltinKind) -> bool) -> usize {
    plan.builtins.iter().position(|builtin| is(&builtin.kind)).expect("one of its kind")
}

/// The index of the first step of a kind.
fn step(plan: &Plan, is: impl Fn(&Step) -> bool) -> usize {
    plan.steps.iter().position(is).expect("one of its kind")
}
