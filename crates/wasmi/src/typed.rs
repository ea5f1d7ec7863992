//! Functions of the commonest types, up to four `i32` and one `i32` as the result: wasmi checks the types of
//! such a function once and not at every call.

use canon_async_component::plan::{CoreFuncType, CoreType};
use wasmi::{
    Func, StoreContextMut, TypedFunc, TypedResumableCallHostTrap, TypedResumableCallOutOfFuel, WasmParams,
    WasmResults,
};

use crate::continuation::{Frames, Ran, Starved};
use crate::state::State;

/// What a function of wasm answers: as raw bits, and how its frames are kept.
pub(crate) trait Answer: WasmResults {
    fn bits(self) -> u64;
    fn frames(frames: TypedResumableCallHostTrap<Self>) -> Frames;
    fn starved(frames: TypedResumableCallOutOfFuel<Self>) -> Starved;
}

impl Answer for () {
    fn bits(self) -> u64 {
        0
    }

    fn frames(frames: TypedResumableCallHostTrap<Self>) -> Frames {
        Frames::Unit(frames)
    }

    fn starved(frames: TypedResumableCallOutOfFuel<Self>) -> Starved {
        Starved::Unit(frames)
    }
}

impl Answer for u32 {
    fn bits(self) -> u64 {
        u64::from(self)
    }

    fn frames(frames: TypedResumableCallHostTrap<Self>) -> Frames {
        Frames::Word(frames)
    }

    fn starved(frames: TypedResumableCallOutOfFuel<Self>) -> Starved {
        Starved::Word(frames)
    }
}

/// A function of its own, so that what unoptimised code keeps for one type is not kept for all.
fn call_resumable<T, P: WasmParams, R: Answer>(
    func: TypedFunc<P, R>,
    ctx: StoreContextMut<'_, State<T>>,
    params: P,
) -> Result<Ran, wasmi::Error> {
    func.call_resumable(ctx, params).map(Ran::of_typed)
}

macro_rules! typed {
    (@word $arg:ident) => { u32 };
    ($($name:ident($($arg:ident)*) $result:ty;)*) => {
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
                    $((Self::$name(func), [$($arg),*]) => call_resumable(func, ctx, ($(*$arg as u32,)*)),)*
                    _ => return None,
                })
            }
        }
    };
}

typed! {
    Unit0() ();
    Unit1(a) ();
    Unit2(a b) ();
    Unit3(a b c) ();
    Unit4(a b c d) ();
    Word0() u32;
    Word1(a) u32;
    Word2(a b) u32;
    Word3(a b c) u32;
    Word4(a b c d) u32;
}
