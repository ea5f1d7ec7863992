//! Guests that read and write the host's futures and streams, and are called by it.

use crate::common::calls::{self, Call};
use crate::common::fresh;
use crate::common::script::{self, Abi, Function, Guest, Here};
use crate::common::sync::{Mutex, MutexGuard};
use canon_async::abi::types::NewType;
use canon_async::ambient::{self, MEMORY, REALLOC};
use canon_async::canon::Builtin;
use canon_async::id::{OptsId, TypeId};
use canon_async::prelude::*;
use canon_async::state::Options;
use canon_async::{Embedding, Outcome, Then, Trap, spec};

pub fn number(value: u32) -> Option<ComponentValue> {
    Some(ComponentValue::U32(value))
}

pub fn future(result: WaitResult) -> Future {
    match result.ready().map(|entry| entry.waitable) {
        Some(Waitable::Future(future)) => future,
        other => panic!("no future: {other:?}"),
    }
}

pub const U32: ValueType = ValueType::U32;
/// The first types of a store: as `guests` makes them.
pub const FUTURE: TypeId = TypeId::from_index(0);
pub const STREAM: TypeId = TypeId::from_index(1);
pub const TEXTS: TypeId = TypeId::from_index(2);

/// Options of a guest with the memory and the `realloc` of the ambient store.
fn options(guest: &mut Guest<'_>, here: Here<'_>, is_async: bool) -> Result<OptsId, Error> {
    let store = guest.store();
    let instance = store.thread(here.thread).expect("it runs").instance();
    let options =
        Options { memory: Some(MEMORY), realloc: Some(REALLOC), is_async, ..Options::new(instance) };
    store.add_options(options)
}

fn alloc(guest: &mut Guest<'_>, bytes: u64) -> Result<u64, Error> {
    guest.call_leaf(REALLOC, &[0, 0, 4, bytes])
}

fn load(guest: &mut Guest<'_>, at: u64) -> Result<u32, Error> {
    let bytes = guest.memory(MEMORY)?.get(at as usize..).expect("in memory");
    u32::try_from(&ComponentValue::load(U32, bytes)?)
}

fn store(guest: &mut Guest<'_>, at: u64, value: u32) -> Result<(), Error> {
    ComponentValue::U32(value).store(&mut guest.memory(MEMORY)?[at as usize..])
}

static BUFFER: Mutex<u64> = Mutex::new(0);

fn buffer() -> u64 {
    *BUFFER.lock()
}

/// Reads the future that it is given; answers its value, plus one.
fn reads_future(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    if here.step == 0 {
        let at = alloc(guest, 4)?;
        *BUFFER.lock() = at;
        let options = options(guest, here, false)?;
        let builtin = Builtin::FutureRead(FUTURE, options);
        return match canon_async::canon::call(guest, builtin, &[here.args[0], at])? {
            Then::Suspend => Ok(Outcome::Blocked),
            Then::Value(_) => Ok(Outcome::Returned(u64::from(load(guest, at)? + 1))),
        };
    }
    assert_eq!(here.args, [0], "COMPLETED");
    Ok(Outcome::Returned(u64::from(load(guest, buffer())? + 1)))
}

/// Drops the future that it is given.
fn drops_future(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    guest.value(Builtin::FutureDropReadable(FUTURE), &[here.args[0]])?;
    Ok(Outcome::Returned(0))
}

/// Makes a future, whose readable end is its result, and writes 41 to it when it was returned.
fn gives_future(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let ends = guest.value(Builtin::FutureNew(FUTURE), &[])?;
    let at = alloc(guest, 4)?;
    store(guest, at, 41)?;
    guest.task_return(here, ends & 0xffff_ffff)?;
    let options = options(guest, here, true)?;
    assert_eq!(
        guest.value(Builtin::FutureWrite(FUTURE, options), &[ends >> 32, at])?,
        u64::from(spec::BLOCKED)
    );
    Ok(Outcome::Returned(0))
}

/// Makes a stream, whose readable end is its result; writes 1, 2, 3 to it, then traps or drops it as its argument says.
fn gives_stream(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    static WRITABLE: Mutex<(u64, u64)> = Mutex::new((0, 0));
    match here.step {
        0 => {
            let ends = guest.value(Builtin::StreamNew(STREAM), &[])?;
            *WRITABLE.lock() = (ends >> 32, here.args[0]);
            guest.task_return(here, ends & 0xffff_ffff)?;
            let at = alloc(guest, 12)?;
            for index in 0..3 {
                store(guest, at + 4 * index, index as u32 + 1)?;
            }
            let options = options(guest, here, false)?;
            guest.block(Builtin::StreamWrite(STREAM, options), &[ends >> 32, at, 3])
        }
        1 => {
            assert_eq!(here.args, [3 << 4], "COMPLETED, all three");
            guest.block(Builtin::ThreadYield, &[])
        }
        _ => {
            let (writable, traps) = *WRITABLE.lock();
            if traps == 1 {
                return Err(Trap::Engine(7).into());
            }
            guest.value(Builtin::StreamDropWritable(STREAM), &[writable])?;
            Ok(Outcome::Returned(0))
        }
    }
}

/// Reads up to two elements of the stream that it is given, as often as there are some; answers their sum.
fn reads_stream(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    static STREAM_AND_SUM: Mutex<(u64, u32)> = Mutex::new((0, 0));
    let (mut stream, mut sum) = *STREAM_AND_SUM.lock();
    let mut read = Some(here.args[0]);
    if here.step == 0 {
        (stream, sum, read) = (here.args[0], 0, None);
        *BUFFER.lock() = alloc(guest, 8)?;
    }
    let options = options(guest, here, false)?;
    loop {
        if let Some(read) = read {
            for index in 0..read >> 4 {
                sum += load(guest, buffer() + 4 * index)?;
            }
            if read & 0xf == 1 {
                guest.value(Builtin::StreamDropReadable(STREAM), &[stream])?;
                return Ok(Outcome::Returned(u64::from(sum)));
            }
        }
        match canon_async::canon::call(guest, Builtin::StreamRead(STREAM, options), &[stream, buffer(), 2])? {
            Then::Value(value) => read = Some(value),
            Then::Suspend => {
                *STREAM_AND_SUM.lock() = (stream, sum);
                return Ok(Outcome::Blocked);
            }
        }
    }
}

/// Yields once, and answers its argument, plus one; traps where that is 0.
fn yields(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    static ARG: Mutex<u64> = Mutex::new(0);
    let mut arg = ARG.lock();
    if here.step == 0 {
        *arg = here.args[0];
        return guest.block(Builtin::ThreadYield, &[]);
    }
    if *arg == 0 { Err(Trap::Engine(7).into()) } else { Ok(Outcome::Returned(*arg + 1)) }
}

/// Answers a future that has a text of 100 bytes.
fn gives_text(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let ends = guest.value(Builtin::FutureNew(TEXTS), &[])?;
    let (text, at) = (alloc(guest, 100)?, alloc(guest, 8)?);
    guest.memory(MEMORY)?[text as usize..][..100].fill(b'x');
    store(guest, at, text as u32)?;
    store(guest, at + 4, 100)?;
    guest.task_return(here, ends & 0xffff_ffff)?;
    let options = options(guest, here, true)?;
    guest.value(Builtin::FutureWrite(TEXTS, options), &[ends >> 32, at])?;
    Ok(Outcome::Returned(0))
}

fn exits(_: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Returned(0))
}

pub const READS_FUTURE: u32 = 0;
pub const DROPS_FUTURE: u32 = 1;
pub const GIVES_FUTURE: u32 = 2;
pub const GIVES_STREAM: u32 = 4;
pub const READS_STREAM: u32 = 5;
pub const YIELDS: u32 = 6;
pub const GIVES_TEXT: u32 = 7;

pub static FUNCTIONS: &[Function] = &[
    Function {
        code: reads_future,
        params: &[ValueType::Defined(FUTURE)],
        result: Some(U32),
        abi: Abi::Blocking,
    },
    Function { code: drops_future, params: &[ValueType::Defined(FUTURE)], result: None, abi: Abi::Sync },
    Function {
        code: gives_future,
        params: &[],
        result: Some(ValueType::Defined(FUTURE)),
        abi: Abi::Callback(3),
    },
    Function { code: exits, params: &[], result: None, abi: Abi::Core },
    Function {
        code: gives_stream,
        params: &[U32],
        result: Some(ValueType::Defined(STREAM)),
        abi: Abi::Callback(3),
    },
    Function {
        code: reads_stream,
        params: &[ValueType::Defined(STREAM)],
        result: Some(U32),
        abi: Abi::Blocking,
    },
    Function { code: yields, params: &[U32], result: Some(U32), abi: Abi::Blocking },
    Function {
        code: gives_text,
        params: &[],
        result: Some(ValueType::Defined(TEXTS)),
        abi: Abi::Callback(3),
    },
];

pub fn guests() -> MutexGuard<'static, ()> {
    let one = fresh();
    ambient::core(|core| {
        let types = core.store.types_mut();
        assert_eq!(types.intern(NewType::Future(Some(U32)), 0), Ok(FUTURE));
        assert_eq!(types.intern(NewType::Stream(Some(U32)), 0), Ok(STREAM));
        assert_eq!(types.intern(NewType::Future(Some(ValueType::String)), 0), Ok(TEXTS));
    })
    .expect("not in use");
    script::register(FUNCTIONS).expect("there is none");
    one
}

pub fn call(index: u32, args: &[ComponentValue]) -> Result<Call, Error> {
    calls::call(index, args, FUNCTIONS[index as usize].result)
}
