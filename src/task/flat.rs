//! The arguments of a call, from when it is made until it starts.

use crate::error::Error;
use crate::spec::MAX_FLAT_PARAMS;

/// Flat arguments.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    values: [u64; MAX_FLAT_PARAMS],
    len: usize,
}

impl Flat {
    pub(crate) const fn new() -> Self {
        Self { values: [0; MAX_FLAT_PARAMS], len: 0 }
    }

    pub(crate) fn push(&mut self, value: u64) -> Result<(), Error> {
        const TOO_MANY: Error = Error::Misuse("the host calls functions of up to 16 parameters");
        *self.values.get_mut(self.len).ok_or(TOO_MANY)? = value;
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// Writes them to the first of the places.
    pub(super) fn write(&self, to: &mut [u64]) {
        for (to, value) in to.iter_mut().zip(self.values).take(self.len) {
            *to = value;
        }
    }
}
