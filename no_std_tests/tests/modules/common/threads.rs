//! The functions that the tests of threads run.

use crate::common::fresh;
use crate::common::script::{self, Abi, Function, Guest, Here};
use crate::common::tasks::{TRAP, get, is_misuse, log, take_log};
#[cfg(feature = "alloc")]
use alloc::vec;
use canon_async::Outcome;
use canon_async::canon::Builtin;
use canon_async::id::HostThreadId;
use canon_async::prelude::*;

/// Without a heap, what the seed has as `vec![..]` is `[..].into()`.
#[cfg(not(feature = "alloc"))]
macro_rules! vec {
    ($($item:expr),*) => { [$($item),*].into() };
}

pub type Threads = AdvancedThreadingBuiltins;

/// Answers its argument plus one.
pub fn worker(_: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(here.args[0] as i32);
    Ok(Outcome::Returned(here.args[0] + 1))
}

/// Writes what the context says, yields twice, and answers 10.
pub fn yields(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(get().unwrap_or(-1) + 10 * here.step as i32);
    if here.step == 2 { Ok(Outcome::Returned(10)) } else { guest.block(Builtin::ThreadYield, &[]) }
}

pub fn traps(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 { guest.block(Builtin::ThreadYield, &[]) } else { Err(TRAP) }
}

/// Puts backpressure on its instance, and keeps its exclusive lock.
pub fn closes(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 {
        guest.value(Builtin::BackpressureInc, &[])?;
    }
    guest.block(Builtin::ThreadSuspend, &[])
}

pub fn sum(_: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let [a, b, c, d] = here.args else { panic!("four") };
    let (c, d) = (f32::from_bits(*c as u32), f64::from_bits(*d));
    Ok(Outcome::Returned((*a as i32 as f64 + *b as i64 as f64 + f64::from(c) + d).to_bits()))
}

/// Whose thread runs, as a host function sees it.
pub fn who(_: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    let thread = Threads::current_thread()?.expect("a thread runs");
    assert_eq!(TaskBuiltins::current_task()?, Some(thread.task()));
    assert!(is_misuse(Threads::thread_spawn_indirect(0, WHO, ThreadSpawnConfig::default(), None)));
    Threads::thread_local_set_with(thread, 9, 90.into(), host_destructor)?;
    Ok(Outcome::Returned(thread.as_u64()))
}

/// Writes its key and its value.
pub fn destructor(_: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    log(1000 + 100 * here.args[0] as i32 + here.args[1] as i32);
    Ok(Outcome::Returned(0))
}

pub fn destructor_yields(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 {
        log(2000 + here.args[0] as i32);
        return guest.block(Builtin::ThreadYield, &[]);
    }
    log(3000);
    Ok(Outcome::Returned(0))
}

pub fn destructor_traps(_: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    Err(TRAP)
}

pub fn host_destructor(key: u32, value: ComponentValue) {
    log(-(100 * key as i32 + i32::try_from(&value).expect("an s32") + get().unwrap_or(0)));
}

pub const YIELDS: u32 = 0;
pub const TRAPS: u32 = 1;
pub const CLOSES: u32 = 2;
pub const SUM: u32 = 3;
pub const WHO: u32 = 4;
pub const YIELDING: u32 = 5;
pub const TRAPPING: u32 = 6;
pub const CALLBACK: u32 = 7;
pub const TEXT: u32 = 8;
pub const WIDE_KEY: u32 = 9;
pub const CHAR_KEY: u32 = 10;
pub const WORKER: u32 = 42;
pub const DESTRUCTOR: u32 = 100;

pub const S32: ValueType = ValueType::S32;
pub const U32: ValueType = ValueType::U32;
pub const NO_FUNCTION: Function = Function { code: worker, params: &[], result: None, abi: Abi::Core };

pub static FUNCTIONS: [Function; 101] = {
    let mut functions = [NO_FUNCTION; 101];
    functions[YIELDS as usize] =
        Function { code: yields, params: &[], result: Some(S32), abi: Abi::Blocking };
    functions[TRAPS as usize] = Function { code: traps, params: &[], result: None, abi: Abi::Blocking };
    functions[CLOSES as usize] = Function { code: closes, params: &[], result: None, abi: Abi::Blocking };
    let params: &[ValueType] = &[S32, ValueType::S64, ValueType::F32, ValueType::F64];
    functions[SUM as usize] = Function { code: sum, params, result: Some(ValueType::F64), abi: Abi::Sync };
    functions[WHO as usize] =
        Function { code: who, params: &[], result: Some(ValueType::U64), abi: Abi::Sync };
    functions[YIELDING as usize] =
        Function { code: destructor_yields, params: &[U32], result: None, abi: Abi::Blocking };
    functions[TRAPPING as usize] =
        Function { code: destructor_traps, params: &[], result: None, abi: Abi::Sync };
    functions[CALLBACK as usize] =
        Function { code: worker, params: &[], result: None, abi: Abi::Callback(0) };
    functions[TEXT as usize] =
        Function { code: worker, params: &[ValueType::String], result: None, abi: Abi::Sync };
    functions[WIDE_KEY as usize] =
        Function { code: destructor, params: &[ValueType::S64], result: None, abi: Abi::Sync };
    functions[CHAR_KEY as usize] =
        Function { code: destructor, params: &[ValueType::Char], result: None, abi: Abi::Sync };
    functions[WORKER as usize] = Function { code: worker, params: &[S32], result: Some(S32), abi: Abi::Sync };
    functions[DESTRUCTOR as usize] =
        Function { code: destructor, params: &[U32, S32], result: None, abi: Abi::Sync };
    functions
};

pub fn guests() -> crate::common::sync::MutexGuard<'static, ()> {
    let one = fresh();
    take_log();
    script::register(&FUNCTIONS).expect("there is room");
    one
}

pub fn spawn(function: u32, parent: Option<HostThreadId>) -> Result<HostThreadId, Error> {
    Threads::thread_spawn_indirect(0, function, ThreadSpawnConfig::default(), parent)
}

pub fn worker_ref() -> FunctionReference {
    let signature =
        FunctionSignature { params: vec![ThreadValueType::I32], results: vec![ThreadValueType::I32] };
    FunctionReference::new("worker", signature, 0, WORKER)
}
