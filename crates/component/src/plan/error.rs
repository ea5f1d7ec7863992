//! Why bytes are no plan.

use alloc::string::{String, ToString};
use core::fmt;

use super::FORMAT;

/// Why bytes are no plan, or why a plan can't be linked or written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// The bytes don't begin as a plan does.
    NotPlan,
    /// The plan is of another format.
    Format {
        /// Its format.
        found: u32,
        /// The version of this crate that made it.
        producer: String,
    },
    /// There are fewer bytes or more than the plan has.
    Size {
        /// How many it has, at least.
        expected: u32,
        /// How many there are.
        found: usize,
    },
    /// A byte has changed.
    Checksum {
        /// What the plan says.
        expected: u32,
        /// What its bytes sum up to.
        found: u32,
    },
    /// A field contradicts the rest: the plan comes from no translation.
    Field {
        /// Which: `steps[3].imports[1].item.instance`.
        path: String,
        /// What is wrong with it: `index 9, but there are 4 core instances so far`.
        problem: String,
    },
}

impl PlanError {
    pub(super) fn field(path: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::of_texts(&path, &problem)
    }

    /// Once, and not once for each kind of text: devices have this.
    #[cold]
    #[inline(never)]
    fn of_texts(path: &dyn fmt::Display, problem: &dyn fmt::Display) -> Self {
        Self::Field { path: path.to_string(), problem: problem.to_string() }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPlan => f.write_str("not a plan: it does not begin with \"\\0canon\\r\\n\""),
            Self::Format { found, producer } => write!(
                f,
                "the plan is of format {found}, made by version {producer}; expected format {FORMAT}, of version {}: \
                 compile the component again, with `canon compile` of that version",
                env!("CARGO_PKG_VERSION"),
            ),
            Self::Size { expected, found } if *found < *expected as usize => {
                write!(f, "the plan is cut off: expected {expected} bytes, found {found}")
            }
            Self::Size { expected, found } => {
                write!(f, "more than a plan: expected {expected} bytes, found {found}")
            }
            Self::Checksum { expected, found } => {
                write!(f, "damaged plan: expected the checksum {expected:08x}, found {found:08x}")
            }
            Self::Field { path, problem } => write!(f, "damaged plan: {path}: {problem}"),
        }
    }
}

impl core::error::Error for PlanError {}
