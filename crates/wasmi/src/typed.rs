//! Functions of the commonest types, up to four `i32` and one `i32` as the result: wasmi checks the types of such a
//! function once and not at every call.

use canon_async_component::plan::{CoreFuncType, CoreType};
use wasmi::{Func, StoreContextMut, TypedFunc, TypedResumableCall};

use crate::continuation::{Frames, Ran};
use crate::state::State;

/// What a function of wasm answers, as raw bits, and how its frames are kept.
trait Answer: Copy {
    fn bits(self) -> u64;
}

impl Answer for () {
    fn bits(self) -> u64 {
        0
    }
}

impl Answer for u32 {
    fn bits(self) -> u64 {
        u64::from(self)
    }
}

macro_rules! typed {
    (@word $arg:ident) => { u32 };
    ($($name:ident($($arg:ident)*) $result:ty, $frames:ident;)*) => {
        /// A function, by its type.
        #[derive(Clone, Copy)]
        pub(crate) enum Typed {
            $($name(TypedFunc<($(typed!(@word $arg),)*), $result>),)*
        }

        impl Typed {
            /// `None` for other types.
            pub fn new<T>(ctx: &StoreContextMut<'_, State<T>>, func: Func, ty: &CoreFuncType) -> Option<Self> {
                let all = |types: &[CoreType]| types.iter().all(|ty| *ty == CoreType::I32);
                if !all(&ty.params) || !all(&ty.results) {
                    return None;
                }
                // Only one of them is right, and wasmi says which.
                let mut found = None;
                $(found = found.or_else(|| func.typed(ctx).ok().map(Self::$name));)*
                found
            }

            /// `None` where the arguments are too many or too few.
            pub fn call_resumable<T>(
                self,
                ctx: StoreContextMut<'_, State<T>>,
                args: &[u64],
            ) -> Option<Result<Ran, wasmi::Error>> {
                Some(match (self, args) {
                    $((Self::$name(func), [$($arg),*]) => match func.call_resumable(ctx, ($(*$arg as u32,)*)) {
                        Ok(TypedResumableCall::Finished(answer)) => Ok(Ran::Returned(answer.bits())),
                        Ok(TypedResumableCall::HostTrap(frames)) => Ok(Ran::Stopped(Frames::$frames(frames))),
                        Ok(TypedResumableCall::OutOfFuel(_)) => Ok(Ran::OutOfFuel),
                        Err(error) => Err(error),
                    },)*
                    _ => return None,
                })
            }

            /// `None` where the arguments are too many or too few.
            pub fn call<T>(self, ctx: StoreContextMut<'_, State<T>>, args: &[u64]) -> Option<Result<u64, wasmi::Error>> {
                Some(match (self, args) {
                    $((Self::$name(func), [$($arg),*]) => func.call(ctx, ($(*$arg as u32,)*)).map(Answer::bits),)*
                    _ => return None,
                })
            }
        }
    };
}

typed! {
    Unit0() (), Unit;
    Unit1(a) (), Unit;
    Unit2(a b) (), Unit;
    Unit3(a b c) (), Unit;
    Unit4(a b c d) (), Unit;
    Word0() u32, Word;
    Word1(a) u32, Word;
    Word2(a b) u32, Word;
    Word3(a b c) u32, Word;
    Word4(a b c d) u32, Word;
}
