//! A plan's tables out of bytes.
//!
//! serde and postcard say what is what. This deserializer between them says *where* something is wrong, which postcard
//! doesn't know, and bounds what hostile bytes can cost: all lengths together are at most the number of bytes (each
//! element takes one at least), so what is allocated is at most that times the size of the largest entry, and nesting
//! ends at [`MAX_NESTING`].

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use postcard::de_flavors::Slice;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::{MAX_NESTING, Plan, PlanError};

/// Reads a plan's tables. They are not checked, and there are no modules.
pub(super) fn read(bytes: &[u8]) -> Result<Plan, PlanError> {
    let mut reader = Reader {
        bytes: postcard::Deserializer::from_bytes(bytes),
        path: Vec::new(),
        size: bytes.len(),
        left: bytes.len(),
    };
    let plan = match Plan::deserialize(&mut reader) {
        Ok(plan) => plan,
        Err(Unreadable(problem)) => return Err(PlanError::Field { path: text(&reader.path), problem }),
    };
    match reader.bytes.finalize() {
        Ok([]) => Ok(plan),
        Ok(rest) => Err(PlanError::field("tables", format_args!("{} bytes after their end", rest.len()))),
        Err(error) => Err(PlanError::field("tables", problem(&error))),
    }
}

struct Reader<'de> {
    bytes: postcard::Deserializer<'de, Slice<'de>>,
    /// Where it is. After an error, where that is.
    path: Vec<Segment>,
    size: usize,
    /// How many more elements lists may have.
    left: usize,
}

#[derive(Clone, Copy)]
enum Segment {
    Field(&'static str),
    Index(usize),
}

fn text(path: &[Segment]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Field(name) if text.is_empty() => text += name,
            Segment::Field(name) => text += &format!(".{name}"),
            Segment::Index(index) => text += &format!("[{index}]"),
        }
    }
    text
}

/// What is wrong with a field.
#[derive(Debug)]
struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Unreadable {}

impl de::Error for Unreadable {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self(problem.to_string())
    }

    // By default these two bring in all that shows numbers and texts, which is much for a device.

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("expected {expected}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unsigned(found) => Self(format!("{found}, expected {expected}")),
            found => Self::invalid_type(found, expected),
        }
    }
}

impl From<postcard::Error> for Unreadable {
    fn from(error: postcard::Error) -> Self {
        Self(problem(&error).to_string())
    }
}

fn problem(error: &postcard::Error) -> &'static str {
    match error {
        postcard::Error::DeserializeUnexpectedEnd => "the bytes end before it does",
        postcard::Error::DeserializeBadVarint => "a number that is too large",
        postcard::Error::DeserializeBadBool | postcard::Error::DeserializeBadOption => "neither 0 nor 1",
        postcard::Error::DeserializeBadUtf8 => "not UTF-8",
        _ => "malformed",
    }
}

impl<'de> Reader<'de> {
    /// The number of elements of a list. Where lists nest too deep, it is not read.
    fn len(&mut self) -> Result<usize, Unreadable> {
        // A list in a list lies two segments below it: its element's index, and a field of that.
        if self.path.len() > 1 + 2 * MAX_NESTING as usize {
            return Err(Unreadable(format!("nests deeper than {MAX_NESTING} levels")));
        }
        let len = u32::deserialize(&mut self.bytes)?;
        let left = usize::try_from(len).ok().and_then(|len| self.left.checked_sub(len));
        self.left = left.ok_or_else(|| {
            Unreadable(format!("{len} elements, and {} bytes have not room for as many", self.size))
        })?;
        Ok(len as usize)
    }

    /// Reads a part of what is being read.
    fn part<T: DeserializeSeed<'de>>(&mut self, at: Segment, seed: T) -> Result<T::Value, Unreadable> {
        self.path.push(at);
        let value = seed.deserialize(&mut *self)?;
        self.path.pop();
        Ok(value)
    }
}

/// The parts of a structure, one after the other.
struct Parts<'a, 'de> {
    reader: &'a mut Reader<'de>,
    /// Their names; none where they have numbers.
    names: &'static [&'static str],
    next: usize,
    len: usize,
}

impl<'de> SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unreadable> {
        if self.next >= self.len {
            return Ok(None);
        }
        let at = self.names.get(self.next).map_or(Segment::Index(self.next), |name| Segment::Field(name));
        self.next = self.next.saturating_add(1);
        self.reader.part(at, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len.saturating_sub(self.next))
    }
}

impl<'de> MapAccess<'de> for Parts<'_, 'de> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        if self.next >= self.len {
            return Ok(None);
        }
        self.reader.part(Segment::Index(self.next), seed).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        let at = Segment::Index(self.next);
        self.next = self.next.saturating_add(1);
        self.reader.part(at, seed)
    }
}

impl<'de> EnumAccess<'de> for &mut Reader<'de> {
    type Error = Unreadable;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Unreadable> {
        let variant = u32::deserialize(&mut self.bytes)?;
        Ok((seed.deserialize(IntoDeserializer::<Unreadable>::into_deserializer(variant))?, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    fn unit_variant(self) -> Result<(), Unreadable> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unreadable> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_seq(Parts { reader: self, names: &[], next: 0, len })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_seq(Parts { reader: self, names: fields, next: 0, len: fields.len() })
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_bool(bool::deserialize(&mut self.bytes)?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_u32(u32::deserialize(&mut self.bytes)?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_u64(u64::deserialize(&mut self.bytes)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_borrowed_str(<&str>::deserialize(&mut self.bytes)?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        // An option begins as a bool does.
        match bool::deserialize(&mut self.bytes)? {
            true => visitor.visit_some(self),
            false => visitor.visit_none(),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let len = self.len()?;
        visitor.visit_seq(Parts { reader: self, names: &[], next: 0, len })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let len = self.len()?;
        visitor.visit_map(Parts { reader: self, names: &[], next: 0, len })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_seq(Parts { reader: self, names: &[], next: 0, len })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_seq(Parts { reader: self, names: fields, next: 0, len: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_enum(self)
    }

    /// Of what is not in a plan.
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unreadable> {
        Err(Unreadable("of a kind that is in no plan".to_string()))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 f32 f64 char bytes byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}
