//! The tape: what guests and the host do, as numbers that shrink.

use super::Aim;
#[cfg(feature = "std")]
use proptest::prelude::*;

/// One thing to do. Selectors (`u8`) choose among what is there, so that every step means something in most states.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the built-in of that name")]
pub enum Step {
    /// The host calls a function; a guest calls one by a lower, with or without `async`.
    Call(u8, bool),
    /// The host ticks; a guest yields.
    Tick,
    /// The host cancels one of its calls; a guest one of its subtasks.
    Cancel(u8, bool),
    /// `context.set` and `context.get`.
    Context(u8),
    BackpressureInc,
    BackpressureDec,
    TaskReturn,
    TaskCancel,
    SetNew,
    SetWait(u8),
    SetPoll(u8),
    SetDrop(u8),
    /// A waitable and a set; a set past the last takes the waitable out of its set.
    Join(u8, u8),
    SubtaskDrop(u8),
    /// A stream or future, of bytes or of nothing.
    New(bool, bool),
    /// A read or write of an end: how many, and whether with `async`.
    Copy(u8, u8, bool),
    CancelCopy(u8, bool),
    DropEnd(u8),
    /// A readable and a writable end of one type.
    Forward(u8, u8),
    ThreadNew,
    ResumeLater(u8),
    Suspend,
    SuspendThenResume(u8),
    YieldThenResume(u8),
    SuspendThenPromote(u8),
    YieldThenPromote(u8),
    ResourceNew,
    ResourceDrop(u8),
    ErrorContextNew,
    ErrorContextMessage(u8),
    ErrorContextDrop(u8),
    /// The guest function returns: to a callback's loop with EXIT (0), YIELD (1) or WAIT for a set.
    Return(u8, u8),
    /// The guest traps.
    Trap,
    /// Whatever leads to this.
    Aim(Aim, u8),
    /// The next selector is taken as a raw index, and the next operation is done whether or not it is legal.
    Wild,
}

#[cfg(feature = "std")]
fn any_step() -> impl Strategy<Value = Step> {
    let n = 0u8..6;
    let aim = prop_oneof![
        9 => Just(Aim::Copy),
        8 => Just(Aim::Join),
        9 => Just(Aim::Wait),
        2 => Just(Aim::Take),
        3 => Just(Aim::Tidy),
        2 => Just(Aim::Cancel),
        2 => Just(Aim::Wake),
    ];
    prop_oneof![
        110 => (aim, n.clone()).prop_map(|(aim, sel)| Step::Aim(aim, sel)),
        26 => (any::<u8>(), prop::bool::weighted(0.8)).prop_map(|(f, a)| Step::Call(f, a)),
        8 => Just(Step::Tick),
        6 => (n.clone(), any::<bool>()).prop_map(|(i, a)| Step::Cancel(i, a)),
        1 => n.clone().prop_map(Step::Context),
        4 => Just(Step::BackpressureInc),
        8 => Just(Step::BackpressureDec),
        3 => Just(Step::TaskReturn),
        3 => Just(Step::TaskCancel),
        2 => Just(Step::SetNew),
        3 => n.clone().prop_map(Step::SetWait),
        2 => n.clone().prop_map(Step::SetPoll),
        1 => n.clone().prop_map(Step::SetDrop),
        6 => (n.clone(), n.clone()).prop_map(|(w, s)| Step::Join(w, s)),
        2 => n.clone().prop_map(Step::SubtaskDrop),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(f, u)| Step::New(f, u)),
        12 => (n.clone(), 0u8..4, prop::bool::weighted(0.6)).prop_map(|(e, c, a)| Step::Copy(e, c, a)),
        4 => (n.clone(), any::<bool>()).prop_map(|(e, a)| Step::CancelCopy(e, a)),
        3 => n.clone().prop_map(Step::DropEnd),
        4 => (n.clone(), n.clone()).prop_map(|(r, w)| Step::Forward(r, w)),
        4 => Just(Step::ThreadNew),
        5 => n.clone().prop_map(Step::ResumeLater),
        1 => Just(Step::Suspend),
        2 => n.clone().prop_map(Step::SuspendThenResume),
        3 => n.clone().prop_map(Step::YieldThenResume),
        3 => n.clone().prop_map(Step::SuspendThenPromote),
        3 => n.clone().prop_map(Step::YieldThenPromote),
        1 => Just(Step::ResourceNew),
        1 => n.clone().prop_map(Step::ResourceDrop),
        1 => Just(Step::ErrorContextNew),
        1 => n.clone().prop_map(Step::ErrorContextMessage),
        1 => n.clone().prop_map(Step::ErrorContextDrop),
        14 => (0u8..6, n.clone()).prop_map(|(c, s)| Step::Return(c, s)),
        1 => prop::bool::weighted(0.3).prop_map(|t| if t { Step::Trap } else { Step::Tick }),
        1 => prop::bool::weighted(0.5).prop_map(|t| if t { Step::Wild } else { Step::Tick }),
    ]
}

/// A tape of up to `len` steps.
#[cfg(feature = "std")]
pub fn tape(len: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any_step(), 1..len)
}
