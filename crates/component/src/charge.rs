//! What work on the host's values costs: [`Charge`].

use core::fmt;

use canon_async::Error;

/// Takes the charges for values that are decoded or encoded, before the work is done, as
/// [`Embedding::charge`](canon_async::Embedding::charge) does for values between guests. An engine implements
/// it on what it has beside its [`HostMemory`](crate::HostMemory), since that is borrowed meanwhile.
pub trait Charge {
    /// Charges for so many bytes of text, at most 64 KiB, and so many values. Values are charged together:
    /// the last 31 of each transfer are free, so a call with a few flat arguments does not get here.
    ///
    /// # Errors
    /// Why the work is not to be done, as [`Trap::Engine`](canon_async::Trap::Engine).
    fn charge(&mut self, bytes: usize, values: u32) -> Result<(), Error>;
}

/// Work is free.
impl Charge for () {
    fn charge(&mut self, _: usize, _: u32) -> Result<(), Error> {
        Ok(())
    }
}

/// So many values are charged together.
const VALUES: u32 = 32;
/// The most bytes that one charge stands for.
const PIECE: usize = 64 << 10;

/// The work of one transfer.
#[derive(Default)]
pub(crate) struct Work<'a> {
    charge: Option<&'a mut dyn Charge>,
    values: u32,
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}

impl<'a> Work<'a> {
    /// Work that is charged.
    pub fn charged(charge: &'a mut dyn Charge) -> Self {
        Self { charge: Some(charge), values: 0 }
    }

    /// One more value is about to be decoded or encoded.
    pub fn value(&mut self) -> Result<(), Error> {
        self.values = self.values.saturating_add(1);
        if self.values < VALUES {
            return Ok(());
        }
        let values = core::mem::take(&mut self.values);
        self.charge.as_mut().map_or(Ok(()), |charge| charge.charge(0, values))
    }

    /// So many bytes of text are about to be checked and copied.
    pub fn bytes(&mut self, bytes: usize) -> Result<(), Error> {
        let Some(charge) = &mut self.charge else { return Ok(()) };
        let mut left = bytes;
        while left > 0 {
            let piece = left.min(PIECE);
            charge.charge(piece, 0)?;
            left = left.saturating_sub(piece);
        }
        Ok(())
    }
}
