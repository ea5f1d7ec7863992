//! Tiny modules that stand between guests and the host.
//!
//! **Packing shims.** wasmi sets aside the frames below a host function that fails, if an ordinary `call` in
//! wasm made the call. It cannot where a guest reaches the host function by `return_call` (wasmi returns
//! wrong results then, or corrupts its stack), or where the host function is itself what is called, as one
//! that a guest exports again. So each built-in that may block, and with
//! [`Config::tail_calls`](crate::Config::tail_calls) each, gets a module that imports the host function and
//! exports a function which plainly calls it. On the way it makes all arguments `i64`, so that the host
//! function is one of seventeen that wasmi can call without allocating.
//!
//! **Copiers.** wasmi's interface gives out one memory at a time; `memory.copy` has both.

use alloc::vec::Vec;

use canon_async::canon::{self, Builtin};
use canon_async::id::MemoryRef;
use canon_async::spec::{MAX_CORE_PARAMS, PtrType};
use canon_async::{Embedding as _, Error, Then, Trap, abi};
use canon_async_component::EngineError;
use canon_async_component::plan::{CoreFuncType, CoreType};
use wasmi::{AsContextMut as _, Caller, Extern, Func, Instance, Module, StoreContextMut};

use crate::embedding::{Block, Carried, Wx};
use crate::state::{Copier, State, is_host};

type Host<'a, T> = Caller<'a, State<T>>;
type HostResult = Result<u64, wasmi::Error>;

/// The body of every host function.
fn builtin<T>(mut caller: Host<'_, T>, builtin: Builtin, args: &[u64]) -> HostResult {
    match canon::call(&mut Wx(caller.as_context_mut()), builtin, args) {
        Ok(Then::Value(value)) => Ok(value),
        Ok(Then::Suspend) => Err(wasmi::Error::host(Block)),
        Err(error) => {
            caller.data_mut().trace.builtin_failed(builtin);
            Err(wasmi::Error::host(Carried(error)))
        }
    }
}

/// The body of a host function without a shim. Those don't suspend, and must not.
fn unblocking<T>(caller: Host<'_, T>, b: Builtin, args: &[u64]) -> HostResult {
    builtin(caller, b, args).map_err(|error| match error.downcast_ref::<Block>() {
        Some(_) => wasmi::Error::host(Carried(Error::Bug("a built-in suspended that never does"))),
        None => error,
    })
}

/// The built-ins that never block are called as they are, if their type is one of a few.
fn direct<T>(mut ctx: StoreContextMut<'_, State<T>>, b: Builtin, ty: &CoreFuncType) -> Option<Func> {
    use CoreType::{I32, I64};
    /// A host function of this many `i32`; each is a type of its own to wasmi.
    macro_rules! wrap {
        ($($arg:ident)*; none) => {
            Func::wrap(ctx.as_context_mut(), move |caller: Host<'_, T>, $($arg: u32),*| -> Result<(), wasmi::Error> {
                unblocking(caller, b, &[$(u64::from($arg)),*]).map(drop)
            })
        };
        ($($arg:ident)*; $result:ty) => {
            Func::wrap(ctx.as_context_mut(), move |caller: Host<'_, T>, $($arg: u32),*| -> Result<$result, wasmi::Error> {
                unblocking(caller, b, &[$(u64::from($arg)),*]).map(|value| value as $result)
            })
        };
    }
    Some(match (ty.params.as_slice(), ty.results.as_slice()) {
        ([], []) => wrap!(; none),
        ([], [I32]) => wrap!(; u32),
        ([], [I64]) => wrap!(; u64),
        ([I32], []) => wrap!(a; none),
        ([I32], [I32]) => wrap!(a; u32),
        ([I32, I32], []) => wrap!(a b; none),
        ([I32, I32], [I32]) => wrap!(a b; u32),
        // Asynchronous lowers.
        ([I32, I32, I32], [I32]) => wrap!(a b c; u32),
        ([I32, I32, I32, I32], [I32]) => wrap!(a b c d; u32),
        _ => return None,
    })
}

/// The host function of `(i64 x n) -> i64`; of seventeen arguments the last is in [`State::last_arg`], since
/// wasmi's typed functions end at sixteen.
fn packed<T>(mut ctx: StoreContextMut<'_, State<T>>, b: Builtin, params: usize) -> Option<Func> {
    macro_rules! wrap {
        ($($arg:ident)*) => {
            Func::wrap(ctx.as_context_mut(), move |caller: Host<'_, T>, $($arg: u64),*| builtin(caller, b, &[$($arg),*]))
        };
    }
    Some(match params {
        0 => wrap!(),
        1 => wrap!(a0),
        2 => wrap!(a0 a1),
        3 => wrap!(a0 a1 a2),
        4 => wrap!(a0 a1 a2 a3),
        5 => wrap!(a0 a1 a2 a3 a4),
        6 => wrap!(a0 a1 a2 a3 a4 a5),
        7 => wrap!(a0 a1 a2 a3 a4 a5 a6),
        8 => wrap!(a0 a1 a2 a3 a4 a5 a6 a7),
        9 => wrap!(a0 a1 a2 a3 a4 a5 a6 a7 a8),
        10 => wrap!(a0 a1 a2 a3 a4 a5 a6 a7 a8 a9),
        11 => wrap!(a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10),
        12 => wrap!(a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11),
        13 => wrap!(a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12),
        14 => wrap!(a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12 a13),
        15 => wrap!(a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12 a13 a14),
        16 => wrap!(a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12 a13 a14 a15),
        17 => packed_17(ctx, b),
        _ => return None,
    })
}

fn packed_17<T>(ctx: StoreContextMut<'_, State<T>>, b: Builtin) -> Func {
    macro_rules! wrap {
        ($($arg:ident)*) => {
            Func::wrap(ctx, move |caller: Host<'_, T>, $($arg: u64),*| {
                let last = caller.data().last_arg;
                builtin(caller, b, &[$($arg,)* last])
            })
        };
    }
    wrap!(a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12 a13 a14 a15)
}

/// The function of a built-in that guests get.
pub(crate) fn function<T>(wx: &mut Wx<'_, T>, b: Builtin, ty: &CoreFuncType) -> Result<Func, EngineError> {
    let suspends = match b {
        Builtin::Lower(id) => {
            let store = wx.store();
            !store.options(store.lower(id)?.options)?.is_async
        }
        _ => b.may_suspend(),
    };
    let tail_calls = wx.state().engine.tail_calls();
    if !suspends
        && !tail_calls
        && let Some(func) = direct(wx.0.as_context_mut(), b, ty)
    {
        return Ok(func);
    }
    let refused = || EngineError::Text(alloc::format!("a built-in of type {ty}"));
    let host = packed(wx.0.as_context_mut(), b, ty.params.len()).ok_or_else(refused)?;
    let last = Func::wrap(wx.0.as_context_mut(), |mut caller: Host<'_, T>, arg: u64| {
        caller.data_mut().last_arg = arg
    });
    let module = match wx.state().shims.get(ty) {
        Some(module) => module.clone(),
        None => {
            let module = encode_shim(ty).ok_or_else(refused)?;
            let module = Module::new(wx.0.engine(), module).map_err(text)?;
            wx.state_mut().shims.insert(ty.clone(), module.clone());
            module
        }
    };
    let instance =
        Instance::new(&mut wx.0, &module, &[Extern::Func(host), Extern::Func(last)]).map_err(text)?;
    instance.get_func(&wx.0, "").ok_or_else(refused)
}

fn text(error: wasmi::Error) -> EngineError {
    EngineError::Text(alloc::string::ToString::to_string(&error))
}

/// Up to this many bytes a copy by the host in pieces is as fast as a call into wasm.
const SMALL: usize = 4096;

/// [`canon_async::Embedding::copy`].
pub(crate) fn copy<T>(
    wx: &mut Wx<'_, T>,
    (to, to_at): (MemoryRef, usize),
    (from, from_at): (MemoryRef, usize),
    len: usize,
) -> Result<(), Error> {
    const OUTSIDE: Error = Error::Trap(Trap::OutOfBounds);
    if to == from {
        let end = from_at.checked_add(len).ok_or(OUTSIDE)?;
        let to_end = to_at.checked_add(len).ok_or(OUTSIDE)?;
        let memory = wx.memory(to)?;
        if end > memory.len() || to_end > memory.len() {
            return Err(OUTSIDE);
        }
        memory.copy_within(from_at..end, to_at);
        return Ok(());
    }
    if let (Some(wasm), true) = (wx.state().wasm_memory(to), is_host(from)) {
        let (bytes, state) = wasm.data_and_store_mut(&mut wx.0);
        let from = state.host_bytes(from);
        return copy_slices((bytes, to_at), (from, from_at), len).ok_or(OUTSIDE);
    }
    if let (Some(wasm), true) = (wx.state().wasm_memory(from), is_host(to)) {
        let (bytes, state) = wasm.data_and_store_mut(&mut wx.0);
        let to = state.host_bytes(to);
        return copy_slices((to, to_at), (bytes, from_at), len).ok_or(OUTSIDE);
    }
    if len > SMALL
        && let Some(copier) = copier(wx, to, from)
    {
        // They have been checked: none is larger than its memory.
        let arguments = (to_at as u64, from_at as u64, len as u64);
        let copied = wx.unmetered(|wx| copier.call(&mut wx.0, arguments));
        return copied.map_err(|error| wx.error_of(&error));
    }
    abi::copy_in_chunks(wx, (to, to_at), (from, from_at), len)
}

/// How many pairs of memories get a copier, each of about a kilobyte, since guests choose the pairs.
const MAX_COPIERS: usize = 256;

fn copy_slices((to, to_at): (&mut [u8], usize), (from, from_at): (&[u8], usize), len: usize) -> Option<()> {
    let to = to.get_mut(to_at..)?.get_mut(..len)?;
    to.copy_from_slice(from.get(from_at..)?.get(..len)?);
    Some(())
}

/// What copies between two memories; `None` where wasmi refuses, and there is another way.
fn copier<T>(wx: &mut Wx<'_, T>, to: MemoryRef, from: MemoryRef) -> Option<Copier> {
    if let Some(copier) = wx.state().copiers.get(&(to, from)) {
        return Some(*copier);
    }
    if wx.state().copiers.len() >= MAX_COPIERS {
        return None;
    }
    let memories = [wx.state().wasm_memory(to)?, wx.state().wasm_memory(from)?].map(Extern::Memory);
    let module = encode_copier(to.ptr_type(), from.ptr_type())?;
    let module = Module::new(wx.0.engine(), module).ok()?;
    let instance = Instance::new(&mut wx.0, &module, &memories).ok()?;
    let copier = instance.get_typed_func(&wx.0, "").ok()?;
    wx.state_mut().copiers.insert((to, from), copier);
    Some(copier)
}

const MAGIC: [u8; 8] = *b"\0asm\x01\0\0\0";
const I32: u8 = 0x7f;
const I64: u8 = 0x7e;

/// `(module (import "" "" (memory 0)) (import "" "" (memory 0)) (func (export "") (param i64 i64 i64)
/// (memory.copy 0 1 (local.get 0) (local.get 1) (local.get 2))))`, with each memory's addresses of its own type, and the
/// arguments cut down to those.
fn encode_copier(to: PtrType, from: PtrType) -> Option<Vec<u8>> {
    let wide = |ptr| if ptr == PtrType::I64 { 4 } else { 0 };
    let mut body = Vec::from([0]);
    // A length is as wide as the narrower of the two.
    for (at, ptr) in [(0, to), (1, from), (2, to.min(from))] {
        body.extend([0x20, at]);
        if ptr == PtrType::I32 {
            body.push(0xa7);
        }
    }
    body.extend([0xfc, 10, 0, 1, 0x0b]);
    let mut code = Vec::from([1, byte(body.len())?]);
    code.extend(body);
    let mut module = Vec::from(MAGIC);
    section(&mut module, 1, &[1, 0x60, 3, I64, I64, I64, 0])?;
    section(&mut module, 2, &[2, 0, 0, 2, wide(to), 0, 0, 0, 2, wide(from), 0])?;
    section(&mut module, 3, &[1, 0])?;
    section(&mut module, 7, &[1, 0, 0, 0])?;
    section(&mut module, 10, &code)?;
    Some(module)
}

/// A packing shim. It imports the host function and what takes a seventeenth argument, and exports a function
/// of type `ty`. `None` for types that no built-in has.
///
/// Types, from 0: packed; `ty`; `(i64) -> ()`. Functions: the two imports; the shim.
fn encode_shim(ty: &CoreFuncType) -> Option<Vec<u8>> {
    let params = ty.params.len();
    if params > MAX_CORE_PARAMS || ty.results.len() > 1 {
        return None;
    }
    let mut types = Vec::from([3, 0x60, byte(params.min(16))?]);
    types.extend(ty.params.iter().take(16).map(|_| I64));
    types.extend([1, I64, 0x60, byte(params)?]);
    types.extend(ty.params.iter().map(|param| valtype(*param)));
    types.push(byte(ty.results.len())?);
    types.extend(ty.results.iter().map(|result| valtype(*result)));
    types.extend([0x60, 1, I64, 0]);

    let mut body = Vec::from([0]);
    // The seventeenth goes first, and by itself.
    if let Some(param) = ty.params.get(16) {
        push_arg(&mut body, 16, *param);
        body.extend([0x10, 1]);
    }
    for (at, param) in (0u8..16).zip(&ty.params) {
        push_arg(&mut body, at, *param);
    }
    body.extend([0x10, 0]);
    body.extend(match ty.results.first() {
        None => [0x1a].as_slice(),
        Some(CoreType::I32) => &[0xa7],
        Some(CoreType::I64) => &[],
        Some(CoreType::F32) => &[0xa7, 0xbe],
        Some(CoreType::F64) => &[0xbf],
    });
    body.push(0x0b);

    let mut code = Vec::from([1, byte(body.len())?]);
    code.extend(body);
    let mut module = Vec::from(MAGIC);
    section(&mut module, 1, &types)?;
    section(&mut module, 2, &[2, 0, 0, 0, 0, 0, 0, 0, 2])?;
    section(&mut module, 3, &[1, 1])?;
    section(&mut module, 7, &[1, 0, 0, 2])?;
    section(&mut module, 10, &code)?;
    Some(module)
}

/// `local.get`, and the value's bits as an `i64`.
fn push_arg(body: &mut Vec<u8>, at: u8, ty: CoreType) {
    body.extend([0x20, at]);
    body.extend(match ty {
        CoreType::I32 => [0xad].as_slice(),
        CoreType::I64 => &[],
        CoreType::F32 => &[0xbc, 0xad],
        CoreType::F64 => &[0xbd],
    });
}

fn section(module: &mut Vec<u8>, id: u8, content: &[u8]) -> Option<()> {
    module.extend([id, byte(content.len())?]);
    module.extend(content);
    Some(())
}

/// A number of one byte; every number in a shim is one.
fn byte(n: usize) -> Option<u8> {
    u8::try_from(n).ok().filter(|n| *n < 0x80)
}

fn valtype(ty: CoreType) -> u8 {
    match ty {
        CoreType::I32 => I32,
        CoreType::I64 => I64,
        CoreType::F32 => 0x7d,
        CoreType::F64 => 0x7c,
    }
}
