//! What ids are made of: the slot that something is in, and how often that was filled until then.

use core::num::NonZeroU32;

/// A generational id. Implemented by the ids of [`crate::id`] alone, and by what they are made of.
pub trait Key: Copy + PartialEq {
    /// What ids of this kind are made of, so that what is done with them is there once.
    type Made: Key;
    /// How many slots ids of this kind tell apart. More than that a slab of them may not have, which is a compile-time error.
    const SLOTS: usize;
    /// What never names anything.
    const NONE: Self;
    /// The id of what is in a slot that keeps this stamp.
    fn new(index: u32, stamp: NonZeroU32) -> Self;
    /// The slot.
    fn index(self) -> u32;
    /// What the slot keeps of the id while the element is in it: enough to tell it from all others of that slot.
    fn stamp(self) -> NonZeroU32;
    /// How often the slot had been filled. Counts on from 1 after the last that there is.
    fn generation(self) -> NonZeroU32;
    /// The id of what comes into a slot after a generation, in whose low bits this one is; 0 for none.
    fn after(index: u32, generation: u32) -> Self;
}

/// What the ids of the core are made of.
#[cfg(feature = "alloc")]
pub type Narrow = Wide;
/// What the ids of the core are made of.
#[cfg(not(feature = "alloc"))]
pub type Narrow = Word;

/// Two words: as many slots as memory has, and generations that nobody counts to the end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wide {
    index: u32,
    generation: NonZeroU32,
}

impl Key for Wide {
    type Made = Self;
    const SLOTS: usize = u32::MAX as usize;
    const NONE: Self = Self { index: u32::MAX, generation: NonZeroU32::MAX };

    fn new(index: u32, stamp: NonZeroU32) -> Self {
        Self { index, generation: stamp }
    }

    fn index(self) -> u32 {
        self.index
    }

    fn stamp(self) -> NonZeroU32 {
        self.generation
    }

    fn generation(self) -> NonZeroU32 {
        self.generation
    }

    fn after(index: u32, generation: u32) -> Self {
        let generation = NonZeroU32::new(generation.wrapping_add(1)).unwrap_or(NonZeroU32::MIN);
        Self { index, generation }
    }
}

/// One word, for parts without a heap, where it is passed in one register and told from another by one comparison: the index
/// above, the generation below, which is never 0.
#[cfg(not(feature = "alloc"))]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Word(NonZeroU32);

#[cfg(not(feature = "alloc"))]
impl Word {
    /// How many bits the generation has.
    const BITS: u32 = 20;
    const GENERATIONS: u32 = (1 << Self::BITS) - 1;
}

#[cfg(not(feature = "alloc"))]
impl Key for Word {
    type Made = Self;
    // Less the one of `NONE`.
    const SLOTS: usize = (1 << (u32::BITS - Self::BITS)) - 1;
    const NONE: Self = Self(NonZeroU32::MAX);

    fn new(_: u32, stamp: NonZeroU32) -> Self {
        Self(stamp)
    }

    fn index(self) -> u32 {
        self.0.get().wrapping_shr(Self::BITS)
    }

    fn stamp(self) -> NonZeroU32 {
        self.0
    }

    fn generation(self) -> NonZeroU32 {
        NonZeroU32::new(self.0.get() & Self::GENERATIONS).unwrap_or(NonZeroU32::MIN)
    }

    fn after(index: u32, generation: u32) -> Self {
        let next = generation.wrapping_add(1) & Self::GENERATIONS;
        let word = index.wrapping_shl(Self::BITS) | if next == 0 { 1 } else { next };
        Self(NonZeroU32::new(word).unwrap_or(NonZeroU32::MIN))
    }
}

#[cfg(feature = "defmt")]
macro_rules! format {
    ($($name:ty),*) => {$(
        impl defmt::Format for $name {
            fn format(&self, to: defmt::Formatter<'_>) {
                defmt::write!(to, "{=u32}.{=u32}", self.index(), self.generation().get());
            }
        }
    )*};
}
#[cfg(feature = "defmt")]
format!(Wide);
#[cfg(all(feature = "defmt", not(feature = "alloc")))]
format!(Word);
