//! [`Text`] and [`Seq`]: `String` and `Vec` with a heap, arrays without; and what lets the same source be used on both.

use super::profile::capacity;
use crate::error::{Error, Resource};

/// What is a text: all that is a `str`, and [`Text`].
pub trait AsText {
    /// The text.
    ///
    /// # Errors
    /// `Capacity(TextBytes)` of a [`Text`] without a heap that was made of more than it can hold.
    fn as_text(&self) -> Result<&str, Error>;
}

impl<T: AsRef<str> + ?Sized> AsText for T {
    fn as_text(&self) -> Result<&str, Error> {
        Ok(self.as_ref())
    }
}

/// A text that the host keeps: a `String`; without a heap up to [`capacity::TEXT_BYTES`] bytes in place.
#[cfg(feature = "alloc")]
pub type Text = alloc::string::String;

/// Elements that the host keeps: a `Vec`; without a heap up to [`capacity::LIST_ITEMS`] in place.
#[cfg(feature = "alloc")]
pub type Seq<T> = alloc::vec::Vec<T>;

#[cfg(not(feature = "alloc"))]
pub use bounded::{Seq, Text, ToString};

/// Makes a [`Text`] of at most `limit` bytes.
///
/// # Errors
/// `Capacity(TextBytes)` where it is longer.
pub(crate) fn text(from: &(impl AsText + ?Sized), limit: u32) -> Result<Text, Error> {
    let text = from.as_text()?;
    check_text(text, limit)?;
    Ok(Text::from(text))
}

/// A [`Text`] of whatever length, for what is checked where it is used.
pub(crate) fn keep(from: &(impl AsText + ?Sized)) -> Text {
    match from.as_text() {
        Ok(text) => Text::from(text),
        #[cfg(not(feature = "alloc"))]
        Err(_) => Text::TOO_LONG,
        #[cfg(feature = "alloc")]
        Err(_) => Text::new(),
    }
}

/// Checks that a text has at most `limit` bytes.
///
/// # Errors
/// `Capacity(TextBytes)`.
pub(crate) fn check_text(text: &(impl AsText + ?Sized), limit: u32) -> Result<(), Error> {
    let len = text.as_text()?.len();
    let limit = limit as usize;
    let most = if cfg!(feature = "alloc") { limit } else { limit.min(capacity::TEXT_BYTES) };
    if len <= most { Ok(()) } else { Err(Error::limit_reached(Resource::TextBytes, most)) }
}

/// Adds an element at the end.
///
/// # Errors
/// `Capacity(ListItems)` where there are `limit`, or no room.
pub(crate) fn push<T: crate::storage::Blank + Clone>(
    seq: &mut Seq<T>,
    item: T,
    limit: u32,
) -> Result<(), Error> {
    if seq.len() >= limit as usize {
        return Err(Error::limit_reached(Resource::ListItems, limit as usize));
    }
    #[cfg(feature = "alloc")]
    {
        seq.try_reserve(1).map_err(|_| Error::capacity(Resource::ListItems))?;
        seq.push(item);
        Ok(())
    }
    #[cfg(not(feature = "alloc"))]
    seq.push(item)
}

#[cfg(not(feature = "alloc"))]
mod bounded {
    use super::{AsText, capacity};
    use crate::error::{Error, Resource};
    use crate::storage::{Blank, Fixed, Slots};
    use core::fmt;
    use core::ops::{Deref, DerefMut};

    /// A text of up to [`capacity::TEXT_BYTES`] bytes, in place.
    ///
    /// Made of more, it is empty and knows that it was too long: what it is given to answers `Capacity(TextBytes)`. So a text can
    /// be made where no error can be answered, and nothing is cut off in silence.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Text {
        bytes: [u8; capacity::TEXT_BYTES],
        len: u32,
        too_long: bool,
    }

    impl Text {
        /// The empty text.
        pub const fn new() -> Self {
            Self { bytes: [0; capacity::TEXT_BYTES], len: 0, too_long: false }
        }

        /// What is made of more than a text can hold.
        pub(crate) const TOO_LONG: Self = Self { too_long: true, ..Self::new() };

        /// The text; the empty one where it was too long.
        pub fn as_str(&self) -> &str {
            let bytes = self.bytes.get(..self.len as usize).unwrap_or(&[]);
            core::str::from_utf8(bytes).unwrap_or("")
        }

        /// Whether it was made of more than it can hold.
        pub fn is_too_long(&self) -> bool {
            self.too_long
        }

        /// Adds text at the end.
        ///
        /// # Errors
        /// `Capacity(TextBytes)`, and nothing is added.
        pub fn push_str(&mut self, text: &str) -> Result<(), Error> {
            let start = self.len as usize;
            let end = start.saturating_add(text.len());
            let to = self.bytes.get_mut(start..end).ok_or(Error::capacity(Resource::TextBytes))?;
            to.iter_mut().zip(text.bytes()).for_each(|(to, byte)| *to = byte);
            self.len = end as u32;
            Ok(())
        }
    }

    impl AsText for Text {
        fn as_text(&self) -> Result<&str, Error> {
            if self.too_long { Err(Error::capacity(Resource::TextBytes)) } else { Ok(self.as_str()) }
        }
    }

    impl AsText for &Text {
        fn as_text(&self) -> Result<&str, Error> {
            (**self).as_text()
        }
    }

    impl Blank for Text {
        const BLANK: Self = Self::new();
    }

    impl Default for Text {
        fn default() -> Self {
            Self::new()
        }
    }

    impl From<&str> for Text {
        fn from(text: &str) -> Self {
            let mut new = Self::new();
            new.too_long = new.push_str(text).is_err();
            new
        }
    }

    impl From<char> for Text {
        fn from(c: char) -> Self {
            Self::from(&*c.encode_utf8(&mut [0; 4]))
        }
    }

    impl Deref for Text {
        type Target = str;
        fn deref(&self) -> &str {
            self.as_str()
        }
    }

    impl PartialEq<str> for Text {
        fn eq(&self, other: &str) -> bool {
            !self.too_long && self.as_str() == other
        }
    }

    impl PartialEq<&str> for Text {
        fn eq(&self, other: &&str) -> bool {
            *self == **other
        }
    }

    impl fmt::Display for Text {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(self.as_str(), f)
        }
    }

    impl fmt::Debug for Text {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Debug::fmt(self.as_str(), f)
        }
    }

    #[cfg(feature = "defmt")]
    impl defmt::Format for Text {
        fn format(&self, f: defmt::Formatter<'_>) {
            defmt::Format::format(self.as_str(), f);
        }
    }

    impl fmt::Write for Text {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.push_str(text).map_err(|_| fmt::Error)
        }
    }

    /// `to_string` without a heap: a [`Text`].
    pub trait ToString {
        /// The text, which knows where it was too long.
        fn to_string(&self) -> Text;
    }

    impl ToString for str {
        fn to_string(&self) -> Text {
            Text::from(self)
        }
    }

    impl ToString for Text {
        fn to_string(&self) -> Text {
            self.clone()
        }
    }

    impl ToString for char {
        fn to_string(&self) -> Text {
            Text::from(*self)
        }
    }

    /// Up to [`capacity::LIST_ITEMS`] elements, in place.
    #[derive(Debug)]
    pub struct Seq<T>(Fixed<T, { capacity::LIST_ITEMS }>);

    impl<T: Blank + Clone> Seq<T> {
        /// No elements.
        pub const fn new() -> Self {
            Self(<Fixed<T, { capacity::LIST_ITEMS }> as Slots<T>>::EMPTY)
        }

        /// Adds an element at the end.
        ///
        /// # Errors
        /// `Capacity(ListItems)`.
        pub fn push(&mut self, item: T) -> Result<(), Error> {
            let at = self.len();
            if !self.0.grow() {
                return Err(Error::capacity(Resource::ListItems));
            }
            *self.0.as_mut_slice().get_mut(at).ok_or(Error::Bug("no room after growing"))? = item;
            Ok(())
        }
    }

    impl<T: Blank + Clone> Default for Seq<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<T: Blank + Clone> Deref for Seq<T> {
        type Target = [T];
        fn deref(&self) -> &[T] {
            self.0.as_slice()
        }
    }

    impl<T: Blank + Clone> DerefMut for Seq<T> {
        fn deref_mut(&mut self) -> &mut [T] {
            self.0.as_mut_slice()
        }
    }

    impl<T: Blank + Clone> Clone for Seq<T> {
        fn clone(&self) -> Self {
            let mut new = Self::new();
            for item in self {
                // As many as fitted fit again.
                let _ = new.push(item.clone());
            }
            new
        }
    }

    #[cfg(feature = "defmt")]
    impl<T: Blank + Clone + defmt::Format> defmt::Format for Seq<T> {
        fn format(&self, f: defmt::Formatter<'_>) {
            defmt::Format::format(&**self, f);
        }
    }

    impl<T: Blank + Clone + PartialEq> PartialEq for Seq<T> {
        fn eq(&self, other: &Self) -> bool {
            **self == **other
        }
    }

    impl<T: Blank + Clone + Eq> Eq for Seq<T> {}

    impl<T: Blank + Clone, const N: usize> From<[T; N]> for Seq<T> {
        fn from(items: [T; N]) -> Self {
            const { assert!(N <= capacity::LIST_ITEMS, "more elements than CANON_ASYNC_LIST_ITEMS") };
            let mut new = Self::new();
            for item in items {
                let _ = new.push(item);
            }
            new
        }
    }

    impl<'a, T: Blank + Clone> IntoIterator for &'a Seq<T> {
        type Item = &'a T;
        type IntoIter = core::slice::Iter<'a, T>;
        fn into_iter(self) -> Self::IntoIter {
            self.iter()
        }
    }
}
