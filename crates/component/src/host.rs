//! The host's side of values: its memory, its calls, and the signatures of its functions.
//!
//! The host is an instance like any other, so values for it take the way that they take between components:
//! flat values, and bytes in the memory of the host's options. [`HostMemory`] is that memory.
//!
//! A call *by* the host: [`HostCalls::start`] keeps the arguments under a number,
//! [`canon_async::run::call`] starts the call with that number; when its task starts,
//! [`Embedding::host_args`](canon_async::Embedding::host_args) hands over to [`HostCalls::write_args`];
//! when it resolves, [`Embedding::host_result`](canon_async::Embedding::host_result) hands over to
//! [`HostCalls::read_result`]; where it never will,
//! [`Embedding::host_lost`](canon_async::Embedding::host_lost) hands over to [`HostCalls::lost`].
//!
//! A call *of* a host function: the engine's `call` gives the flat arguments to [`HostSig::decode_args`],
//! runs the closure, and returns what [`HostSig::encode_result`] makes of its result.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use canon_async::id::HostCall;
use canon_async::spec::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use canon_async::{Error, Resource, Trap};

use crate::charge::Charge;
use crate::instance::Func;
use crate::shared::{LinkedTypes, Shared};
use crate::types::{FuncType, ValType};
use crate::val::{Decoder, Encoder, Val, ValError, check};

/// The memory of the host's instance: scratch for values on their way.
///
/// Blocks are allocated one after the other and never freed one by one; each transfer begins with an
/// empty memory. That works since a transfer is never interrupted by another: the code that it may run is
/// `realloc`, which may not call the host.
#[derive(Debug)]
pub struct HostMemory {
    bytes: Vec<u8>,
    top: u32,
    limit: u32,
}

impl HostMemory {
    /// The limit of [`HostMemory::default`]: 64 MiB.
    pub const DEFAULT_LIMIT: u32 = 64 << 20;
    /// What is kept allocated between transfers.
    const KEEP: usize = 64 << 10;

    /// An empty memory that grows to at most `limit` bytes.
    pub const fn new(limit: u32) -> Self {
        Self { bytes: Vec::new(), top: 0, limit }
    }

    /// The most bytes that it may have. Values that are built from it are limited to as many bytes.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Sets the most bytes that it may have from now on. What is there already stays.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// The bytes that are allocated for it.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// All bytes, for [`Embedding::memory`](canon_async::Embedding::memory).
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets all blocks.
    pub fn reset(&mut self) {
        self.top = 0;
        if self.bytes.len() > Self::KEEP {
            self.bytes.truncate(Self::KEEP);
            self.bytes.shrink_to_fit();
        }
    }

    /// A new block of `size` bytes, aligned to `align`.
    ///
    /// # Errors
    /// `Capacity(HostBytes)` above the limit.
    pub fn alloc(&mut self, align: u32, size: u32) -> Result<u32, Error> {
        let full = Error::capacity(Resource::HostBytes);
        let mask = align.checked_sub(1).filter(|mask| mask & align == 0);
        let mask = mask.ok_or(Error::Misuse("an alignment that is no power of two"))?;
        let start = self.top.checked_add(mask).ok_or(full)? & !mask;
        let end = start.checked_add(size).filter(|end| *end <= self.limit).ok_or(full)?;
        self.reserve(end as usize).ok_or(full)?;
        if self.bytes.len() < end as usize {
            self.bytes.resize(end as usize, 0);
        }
        self.top = end;
        Ok(start)
    }

    /// Room for so many bytes, of which there are no more than the limit: doubled, so that a string that grows is not copied each
    /// time, but not past the limit.
    fn reserve(&mut self, end: usize) -> Option<()> {
        if end <= self.bytes.capacity() {
            return Some(());
        }
        let doubled = self.bytes.capacity().saturating_mul(2).min(self.limit as usize).max(end);
        self.bytes.try_reserve_exact(doubled.saturating_sub(self.bytes.len())).ok()
    }

    /// `realloc`, as [`Engine::host_realloc`](crate::Engine::host_realloc) runs it: a block with what the old one holds. The
    /// last block stays where it is: strings shrink and grow while they are transcoded.
    ///
    /// # Errors
    /// `Capacity(HostBytes)` above the limit.
    pub fn realloc(&mut self, old: u32, old_size: u32, align: u32, size: u32) -> Result<u32, Error> {
        let last = old_size > 0 && old.checked_add(old_size) == Some(self.top);
        let top = self.top;
        if last && old.checked_rem(align) == Some(0) {
            self.top = old;
        }
        let new = self.alloc(align, size).inspect_err(|_| self.top = top)?;
        if new == old {
            return Ok(new);
        }
        let kept = old_size.min(size) as usize;
        let (from, to) = (old as usize, new as usize);
        let end = from.checked_add(kept).filter(|end| *end <= self.bytes.len());
        let to_end = to.checked_add(kept).filter(|end| *end <= self.bytes.len());
        match (end, to_end) {
            (Some(end), Some(_)) if kept > 0 => self.bytes.copy_within(from..end, to),
            _ => {}
        }
        Ok(new)
    }

    /// Writes to a block.
    ///
    /// # Errors
    /// `Bug` outside the memory: blocks come from [`HostMemory::alloc`].
    pub fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Error> {
        let start = at as usize;
        let to = start.checked_add(bytes.len()).and_then(|end| self.bytes.get_mut(start..end));
        to.ok_or(Error::Bug("host memory written past its end"))?.copy_from_slice(bytes);
        Ok(())
    }
}

impl Default for HostMemory {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

/// What a host function takes and gives.
#[derive(Clone, Debug)]
pub struct HostSig {
    path: String,
    types: Shared<LinkedTypes>,
    /// `None`: a destructor, of `(rep: u32)`.
    func: Option<u32>,
}

impl HostSig {
    /// Of a function of this type of the plan.
    pub(crate) fn new(path: &str, types: &Shared<LinkedTypes>, func: u32) -> Self {
        Self { path: path.into(), types: types.clone(), func: Some(func) }
    }

    /// Of a resource's destructor: its one argument is the representation, as [`Val::U32`].
    pub(crate) fn destructor() -> Self {
        Self { path: "destructor".into(), types: Shared::default(), func: None }
    }

    /// Where the function is imported: `name`, or `instance#name`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The function's type; `None` for a destructor.
    pub fn ty(&self) -> Option<&FuncType> {
        self.types.table.func(self.func?)
    }

    /// The types that [`HostSig::ty`] refers to.
    pub fn types(&self) -> &LinkedTypes {
        &self.types
    }

    /// The arguments of a call, from what the engine's `call` got. The memory is free again afterwards.
    ///
    /// # Errors
    /// `Core`: a trap where the bytes are no value, `Capacity(HostBytes)` where there are too many; what
    /// `charge` refuses.
    pub fn decode_args(
        &self,
        flat: &[u64],
        memory: &mut HostMemory,
        charge: &mut dyn Charge,
    ) -> Result<Vec<Val>, ValError> {
        let Some(ty) = self.ty() else {
            let rep = flat.first().copied().unwrap_or(0) as u32;
            return Ok(Vec::from([Val::U32(rep)]));
        };
        let mut decoder = Decoder::new(&self.types, memory).charged(charge);
        let args = decoder.values(&param_types(ty), flat, MAX_FLAT_PARAMS);
        memory.reset();
        args
    }

    /// What the engine's `call` or `resume` returns for a result.
    ///
    /// # Errors
    /// `Type` where the value is not of the function's type; `Core(Capacity(HostBytes))`; what `charge`
    /// refuses.
    pub fn encode_result(
        &self,
        result: Option<&Val>,
        memory: &mut HostMemory,
        charge: &mut dyn Charge,
    ) -> Result<u64, ValError> {
        memory.reset();
        let encoded = self.encode_checked(result, memory, charge);
        encoded.map_err(|error| error.at(format_args!("result of \"{}\"", self.path)))
    }

    fn encode_checked(
        &self,
        result: Option<&Val>,
        memory: &mut HostMemory,
        charge: &mut dyn Charge,
    ) -> Result<u64, ValError> {
        let expected = self.ty().and_then(|ty| ty.result);
        match (expected, result) {
            (None, None) => Ok(0),
            (None, Some(val)) => Err(ValError::mismatch("no result", val.kind())),
            (Some(ty), None) => Err(ValError::mismatch(self.types.table.display(ty), "no result")),
            (Some(ty), Some(val)) => {
                check(&self.types.table, ty, val)?;
                let vals = core::slice::from_ref(val);
                let mut encoder = Encoder::new(&self.types, memory).charged(charge);
                let flat = encoder.values(&[ty], vals, MAX_FLAT_RESULTS)?;
                Ok(flat.first().copied().unwrap_or(0))
            }
        }
    }
}

/// How far a call by the host is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CallState {
    /// It has not resolved.
    Pending,
    /// It returned this.
    Returned(Option<Val>),
    /// It was cancelled before it returned.
    Cancelled,
    /// It returned something that could not be decoded.
    Failed(ValError),
    /// Its instance trapped in another call: it will never resolve.
    Lost,
}

#[derive(Debug)]
struct Call {
    types: Shared<LinkedTypes>,
    func: u32,
    args: Vec<Val>,
    state: CallState,
    /// Nobody will ask for the result.
    abandoned: bool,
}

/// The calls that the host has under way, by number.
///
/// `start`, then `write_args` when the task starts, `read_result` (or `lost`) when it is over, then `take`. A call that is never
/// taken stays; [`HostCalls::abandon`] is for callers that lost interest.
#[derive(Debug, Default)]
pub struct HostCalls {
    calls: Vec<Option<Call>>,
    free: Vec<u32>,
}

impl HostCalls {
    /// A table without calls.
    pub const fn new() -> Self {
        Self { calls: Vec::new(), free: Vec::new() }
    }

    /// Checks arguments against a function's type and keeps them under a number.
    ///
    /// # Errors
    /// `Type`, with the path to the value that is not of its type; nothing was kept.
    pub fn start(&mut self, func: &Func, args: Vec<Val>) -> Result<HostCall, ValError> {
        let (types, ty) = (func.types(), func.ty());
        if ty.params.len() != args.len() {
            let expected = format!("{} arguments", ty.params.len());
            return Err(ValError::mismatch(expected, args.len()).at("call"));
        }
        for (at, (param, arg)) in ty.params.iter().zip(&args).enumerate() {
            let segment = || format!("argument {} \"{}\"", at.saturating_add(1), param.name);
            check(&types.table, param.ty, arg).map_err(|error| error.at(segment()))?;
        }
        let call = Call {
            types: func.shared_types(),
            func: func.type_index(),
            args,
            state: CallState::Pending,
            abandoned: false,
        };
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.calls.push(None);
                u32::try_from(self.calls.len().saturating_sub(1))
                    .map_err(|_| ValError::Core(Error::Misuse("too many host calls")))?
            }
        };
        if let Some(slot) = self.calls.get_mut(number as usize) {
            *slot = Some(call);
        }
        Ok(HostCall::from_index(number))
    }

    /// [`Embedding::host_args`](canon_async::Embedding::host_args): writes the arguments, once.
    ///
    /// # Errors
    /// `Misuse` for an unknown call; `Capacity(HostBytes)`; what `charge` refuses.
    pub fn write_args(
        &mut self,
        call: HostCall,
        memory: &mut HostMemory,
        to: &mut [u64],
        charge: &mut dyn Charge,
    ) -> Result<(), Error> {
        let call = self.get_mut(call)?;
        let types = call.types.clone();
        let ty = types.table.func(call.func).ok_or(Error::Misuse("a host call of an unknown type"))?;
        let args = core::mem::take(&mut call.args);
        memory.reset();
        let mut encoder = Encoder::new(&types, memory).charged(charge);
        let flat = encoder.values(&param_types(ty), &args, MAX_FLAT_PARAMS);
        let flat = flat.map_err(|error| error.to_error())?;
        if flat.len() > to.len() {
            return Err(Error::Misuse("host_args needs room for all flat arguments"));
        }
        to.iter_mut().zip(flat).for_each(|(to, from)| *to = from);
        Ok(())
    }

    /// [`Embedding::host_result`](canon_async::Embedding::host_result): keeps the result. A result that
    /// can't be decoded is kept as [`CallState::Failed`], since the guest has done nothing wrong.
    ///
    /// # Errors
    /// `Misuse` for an unknown call; what `charge` refuses, and the call stays pending.
    pub fn read_result(
        &mut self,
        number: HostCall,
        memory: &mut HostMemory,
        results: Option<&[u64]>,
        charge: &mut dyn Charge,
    ) -> Result<(), Error> {
        let call = self.get_mut(number)?;
        let types = call.types.clone();
        let ty = types.table.func(call.func).ok_or(Error::Misuse("a host call of an unknown type"))?;
        call.state = match (results, ty.result) {
            (None, _) => CallState::Cancelled,
            (Some(_), None) => CallState::Returned(None),
            (Some(flat), Some(ty)) => {
                let mut decoder = Decoder::new(&types, memory).charged(charge);
                match decoder.values(&[ty], flat, MAX_FLAT_PARAMS) {
                    Ok(mut vals) => CallState::Returned(vals.pop()),
                    // No value traps in the engine: it is what `charge` refused.
                    Err(ValError::Core(error @ Error::Trap(Trap::Engine(_)))) => {
                        memory.reset();
                        return Err(error);
                    }
                    Err(error) => CallState::Failed(error),
                }
            }
        };
        let abandoned = call.abandoned;
        memory.reset();
        if abandoned {
            self.free_slot(number);
        }
        Ok(())
    }

    /// [`Embedding::host_lost`](canon_async::Embedding::host_lost): the call will never resolve. Nothing
    /// for an unknown call.
    pub fn lost(&mut self, number: HostCall) {
        let Ok(call) = self.get_mut(number) else { return };
        call.state = CallState::Lost;
        if call.abandoned {
            self.free_slot(number);
        }
    }

    /// How far a call is; `None` for an unknown one.
    pub fn state(&self, call: HostCall) -> Option<&CallState> {
        Some(&self.calls.get(call.index())?.as_ref()?.state)
    }

    /// Takes a call out that is over; `None` where it is not, or is unknown.
    pub fn take(&mut self, call: HostCall) -> Option<CallState> {
        if *self.state(call)? == CallState::Pending {
            return None;
        }
        self.remove(call)
    }

    /// Takes a call out whatever its state: it trapped, or never started, and the core will not name it again.
    pub fn remove(&mut self, call: HostCall) -> Option<CallState> {
        let state = self.calls.get_mut(call.index())?.take()?.state;
        self.free.push(call.as_u32());
        Some(state)
    }

    /// Nobody will ask for this call's result: it is taken out when it resolves, or now if it has.
    pub fn abandon(&mut self, call: HostCall) {
        match self.calls.get_mut(call.index()) {
            Some(Some(Call { state: CallState::Pending, abandoned, .. })) => *abandoned = true,
            Some(Some(_)) => self.free_slot(call),
            _ => {}
        }
    }

    fn free_slot(&mut self, call: HostCall) {
        self.remove(call);
    }

    fn get_mut(&mut self, call: HostCall) -> Result<&mut Call, Error> {
        self.calls.get_mut(call.index()).and_then(Option::as_mut).ok_or(Error::Misuse("an unknown host call"))
    }
}

fn param_types(ty: &FuncType) -> Vec<ValType> {
    ty.params.iter().map(|param| param.ty).collect()
}
