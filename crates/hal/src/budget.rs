//! What one call may take, and what it reads.

use alloc::vec;
use alloc::vec::Vec;

use canon_async_wasmi::Val;

use crate::refused::{Refused, TOO_LONG, bytes};

/// What guests may ask of devices. A call above a limit answers `too-long`, before anything is allocated for it and without
/// anything being done; one too many `busy`. A limit of 0 is none at all.
///
/// A guest's `list<u8>` reaches the host as a [`Val`] for each byte, before this crate sees it:
/// [`Config::host_bytes`](canon_async_wasmi::Config::host_bytes) limits that, and what is above is a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HalLimits {
    /// The most bytes that one call to a bus reads and writes. Default: 256.
    pub transfer_bytes: u32,
    /// The most operations of one `transaction`. Default: 16.
    pub operations: u32,
    /// The most calls that wait for a bus while another uses it. Each keeps its bytes. Default: 4.
    pub waiting: u8,
    /// The most nanoseconds of delay in which nothing else runs: of a blocking delay, and of all delays in a call to an SPI device,
    /// which keep it. Default: 1 ms.
    pub held_ns: u32,
}

impl HalLimits {
    /// The default.
    pub const DEFAULT: Self = Self { transfer_bytes: 256, operations: 16, waiting: 4, held_ns: 1_000_000 };
}

impl Default for HalLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What is left to one call.
pub(crate) struct Budget(HalLimits);

impl Budget {
    pub fn new(limits: HalLimits) -> Self {
        Self(limits)
    }

    fn charge(left: &mut u32, by: u32) -> Result<(), Refused> {
        *left = left.checked_sub(by).ok_or(TOO_LONG)?;
        Ok(())
    }

    /// Room for so many bytes.
    pub fn room(&mut self, len: u32) -> Result<Vec<u8>, Refused> {
        Self::charge(&mut self.0.transfer_bytes, len)?;
        Ok(vec![0; len as usize])
    }

    /// The bytes of a `list<u8>`.
    pub fn bytes(&mut self, val: &Val) -> Result<Vec<u8>, Refused> {
        let Val::List(items) = val else { return Err(Refused::Type) };
        let len = u32::try_from(items.len()).map_err(|_| TOO_LONG)?;
        Self::charge(&mut self.0.transfer_bytes, len)?;
        let byte = |item: &Val| match item {
            Val::U8(byte) => Ok(*byte),
            _ => Err(Refused::Type),
        };
        items.iter().map(byte).collect()
    }

    /// The operations of a transaction, each made by `operation` of its case and what is in it.
    pub fn operations<Op>(
        &mut self,
        val: &Val,
        mut operation: impl FnMut(&mut Self, &str, &Val) -> Result<Op, Refused>,
    ) -> Result<Vec<Op>, Refused> {
        let Val::List(items) = val else { return Err(Refused::Type) };
        let count = u32::try_from(items.len()).map_err(|_| TOO_LONG)?;
        Self::charge(&mut self.0.operations, count)?;
        let made = items.iter().map(|item| match item {
            Val::Variant(case, Some(with)) => operation(self, case, with),
            _ => Err(Refused::Type),
        });
        made.collect()
    }

    /// A delay in which nothing else runs.
    pub fn hold(&mut self, ns: u64) -> Result<(), Refused> {
        Self::charge(&mut self.0.held_ns, u32::try_from(ns).map_err(|_| TOO_LONG)?)
    }
}

/// What a call to a bus answers.
#[derive(Clone, Copy)]
pub(crate) enum Answers {
    Nothing,
    /// What its one read has read.
    One,
    /// What each has.
    Each,
}

impl Answers {
    pub fn of(self, mut reads: impl Iterator<Item = Vec<u8>>) -> Option<Val> {
        match self {
            Self::Nothing => None,
            Self::One => Some(bytes(reads.next().unwrap_or_default())),
            Self::Each => Some(Val::List(reads.map(bytes).collect())),
        }
    }
}
