//! Choices from bytes.

/// Bytes that are read from front to back; past the end all choices are 0.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    bytes: Vec<u8>,
    at: usize,
}

impl Tape {
    /// Reads these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), at: 0 }
    }

    /// Reads these bytes from the last to the first: two tapes of one input meet as late as possible.
    pub fn reversed(bytes: &[u8]) -> Self {
        Self { bytes: bytes.iter().rev().copied().collect(), at: 0 }
    }

    /// Whether all was read.
    pub fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at = self.at.saturating_add(1);
        byte
    }

    /// A number below `n`, which is at most 256; 0 where `n` is.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()).checked_rem(n).unwrap_or(0)
    }

    /// Whether a choice of `of` in 256 is taken. Never past the end.
    pub fn chance(&mut self, of: u8) -> bool {
        let byte = self.byte();
        self.at <= self.bytes.len() && u16::from(byte) + u16::from(of) > 255
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len());
        from.get(at).copied()
    }

    /// A number of 32 bits, small more often than not.
    pub fn word(&mut self) -> u32 {
        match self.byte() {
            small @ 0..=239 => u32::from(small),
            240..=247 => u32::from(self.byte()) << 8 | u32::from(self.byte()),
            248..=251 => u32::MAX.wrapping_sub(u32::from(self.byte())),
            _ => u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
        }
    }
}
