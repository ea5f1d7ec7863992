//! The behaviour cases, over any profile. Their names say built-in, situation, outcome.

mod blame;
mod cancel;
mod completers;
mod context;
mod cross_traps;
mod entering;
mod error_context;
mod error_context_passed;
mod futures;
mod host_cancel;
mod lifts;
mod lowers;
mod memory64;
mod memory64_builtins;
mod poison;
mod purge;
mod spawn;
mod stream_ends;
mod streams;
mod thread;
mod traps;
mod turns;
mod waitable;
mod waking;

use canon_async::error::{Error, Resource};
use canon_async::storage::Profile;

/// A behaviour case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// `<builtin>_<situation>_<outcome>`.
    pub name: &'static str,
    /// Panics where the behaviour is another; an error is one that the case did not expect.
    pub run: fn() -> Result<(), Error>,
    /// What [`Tight`](crate::profiles::Tight) has too little of: there the case must end with this capacity error.
    pub tight: Option<Resource>,
}

/// Lists the cases of a file.
macro_rules! cases {
    ($($name:ident $(needs $resource:ident)?),* $(,)?) => {
        /// The cases of this file.
        pub fn list<P: Profile>() -> &'static [super::Case] {
            struct List<P>(core::marker::PhantomData<P>);
            impl<P: Profile> List<P> {
                const CASES: &'static [super::Case] = &[$(super::Case {
                    name: stringify!($name),
                    run: $name::<P>,
                    tight: cases!(@tight $($resource)?),
                }),*];
            }
            List::<P>::CASES
        }
    };
    (@tight) => { None };
    (@tight $resource:ident) => { Some(canon_async::error::Resource::$resource) };
}
use cases;

/// Cases that are one script of one guest that traps.
macro_rules! trap_cases {
    ($($name:ident [$($op:expr),* $(,)?] => $trap:expr;)*) => {
        $(fn $name<P: Profile>() -> Result<(), Error> {
            const SCRIPT: Script = &[$($op),*];
            super::one_traps::<P>(SCRIPT, $trap)
        })*
        cases!($($name),*);
    };
}
use trap_cases;

/// Runs a script as an async function of guest A, which must trap, and leave nothing but a guest that can't be
/// entered.
fn one_traps<P: Profile>(script: crate::op::Script, trap: canon_async::Trap) -> Result<(), Error> {
    use crate::world::{A, B, Func, World, async_opts};
    let mut w = World::<P>::new(&[None, None])?;
    let func = w.lift(Func::Async, async_opts(A), script)?;
    let other = w.lift(Func::Async, async_opts(B), &[])?;
    let error = w.call(func, 0).err();
    if let Some(Error::Capacity(what)) = error {
        return Err(Error::Capacity(what));
    }
    assert_eq!(error, Some(trap.into()));
    assert_eq!(w.call(func, 1).err(), Some(canon_async::Trap::CannotEnter.into()));
    // Another root goes on; this one ends without having returned.
    assert_eq!(w.call(other, 2).err(), Some(canon_async::Trap::NoReturn.into()));
    w.done()
}

/// Every file's cases.
pub fn lists<P: Profile>() -> [&'static [Case]; 24] {
    [
        completers::list::<P>(),
        context::list::<P>(),
        cancel::list::<P>(),
        host_cancel::list::<P>(),
        poison::list::<P>(),
        purge::list::<P>(),
        entering::list::<P>(),
        thread::list::<P>(),
        spawn::list::<P>(),
        blame::list::<P>(),
        waitable::list::<P>(),
        turns::list::<P>(),
        waking::list::<P>(),
        streams::list::<P>(),
        stream_ends::list::<P>(),
        futures::list::<P>(),
        lowers::list::<P>(),
        lifts::list::<P>(),
        memory64::list::<P>(),
        memory64_builtins::list::<P>(),
        traps::list::<P>(),
        cross_traps::list::<P>(),
        error_context::list::<P>(),
        error_context_passed::list::<P>(),
    ]
}
