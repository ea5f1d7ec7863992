//! The behaviour cases, over any profile. Their names say built-in, situation, outcome.

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

/// The cases of a file.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The file's name.
    pub name: &'static str,
    /// Its cases.
    pub cases: &'static [Case],
}

/// The files: here, and where a target has a test for each.
macro_rules! files {
    // The dollar is for the macro that this one makes.
    (($d:tt) $($name:ident),* $(,)?) => {
        $(mod $name;)*

        /// Every file's cases.
        pub fn lists<P: Profile>() -> [List; 0 $(+ { stringify!($name); 1 })*] {
            [$(List { name: stringify!($name), cases: $name::list::<P>() }),*]
        }

        /// The test binary of a profile.
        #[macro_export]
        macro_rules! suite {
            ($d profile:ty) => {
                #[cfg(not(target_os = "none"))]
                fn main() {
                    $d crate::suite::main::<$d profile>();
                }

                #[cfg(target_os = "none")]
                use $d crate::suite::embedded_test;

                #[cfg(target_os = "none")]
                #[embedded_test::tests]
                mod cases {
                    $(#[test]
                    fn $name() {
                        $d crate::suite::run::<$d profile>(stringify!($name));
                    })*
                }
            };
        }
    };
}

files!(($) completers, context, cancel, host_cancel, poison, purge, entering, thread, spawn, blame, waitable, turns, waking, streams, stream_ends, futures, forward, forward_ends, forward_futures, forward_traps, forward_guests, lowers, lifts, memory64, memory64_builtins, room, partial, traps, cross_traps, error_context, error_context_passed, quota, linking);
