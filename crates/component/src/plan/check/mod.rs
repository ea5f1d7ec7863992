//! What the linker may rely on, each rule named where it is broken.
//!
//! The translation keeps all of it by construction; a plan that comes from elsewhere is held to it here, before anything
//! is made: indices are in range, types are types, nothing is used before it is made, and options, signatures and paths
//! fit what they are for. What depends on the core modules, as the types of their exports, is checked when they are linked.

mod builtins;
mod module_types;
mod modules;
mod names;
mod steps;
mod types;

use core::fmt::Display;

pub use self::modules::{MAX_CORE_FUNCTIONS, MAX_CORE_ITEMS, MAX_CORE_LOCALS, MAX_CORE_OPERANDS};
use self::steps::Made;
use self::types::Facts;
use super::{Plan, PlanError};

type Checked = Result<(), PlanError>;

/// Checks a plan, in time O(n log n) of its size.
///
/// # Errors
/// `Field`: the first that breaks a rule.
pub(super) fn check(plan: &Plan) -> Checked {
    instances(plan)?;
    modules::modules(plan)?;
    module_types::module_types(plan)?;
    let facts = Facts::new(plan)?;
    names::imports(plan, &facts)?;
    let made = Made::by_steps(plan, &facts)?;
    names::exports(plan, &facts, &made)?;
    called(plan)
}

/// There are no names of what is not there.
fn called(plan: &Plan) -> Checked {
    let tables = [
        ("names.instances", plan.names.instances.len(), plan.instances.len(), "component instances"),
        ("names.lifts", plan.names.lifts.len(), plan.lifts.len(), "lifted functions"),
    ];
    for (path, names, len, what) in tables {
        if names > len {
            return Err(wrong(path, format_args!("{names} names, but there are {len} {what}")));
        }
    }
    Ok(())
}

/// The root is the first, and a parent comes before its children.
fn instances(plan: &Plan) -> Checked {
    if plan.instances.is_empty() {
        return Err(wrong("instances", "expected the root"));
    }
    for (index, instance) in plan.instances.iter().enumerate() {
        let path = format_args!("instances[{index}].parent");
        match instance.parent {
            None if index > 0 => return Err(wrong(path, "none, as of the root alone")),
            Some(parent) => in_range(path, parent, index, "component instances before it")?,
            None => {}
        }
    }
    Ok(())
}

fn wrong(path: impl Display, problem: impl Display) -> PlanError {
    PlanError::field(path, problem)
}

/// `what` is what the table has.
fn in_range(path: impl Display, index: u32, len: usize, what: &str) -> Checked {
    match (index as usize) < len {
        true => Ok(()),
        false => Err(wrong(path, format_args!("index {index}, but there are {len} {what}"))),
    }
}
