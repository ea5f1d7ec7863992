//! Values as JSON, for `canon run --json`; its help text says how.

use canon_async_component::val::Val;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Text;

/// A value as JSON, written as it goes. Recurses as deep as its type nests.
struct Json<'a>(&'a Val);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Val::Bool(val) => to.serialize_bool(*val),
            Val::S8(val) => to.serialize_i8(*val),
            Val::U8(val) => to.serialize_u8(*val),
            Val::S16(val) => to.serialize_i16(*val),
            Val::U16(val) => to.serialize_u16(*val),
            Val::S32(val) => to.serialize_i32(*val),
            Val::U32(val) => to.serialize_u32(*val),
            Val::S64(val) => to.serialize_i64(*val),
            Val::U64(val) => to.serialize_u64(*val),
            Val::F32(val) => float(&val.to_string(), to),
            Val::F64(val) => float(&val.to_string(), to),
            Val::Char(val) => to.serialize_char(*val),
            Val::String(val) | Val::Enum(val) => to.serialize_str(val),
            Val::List(vals) | Val::Tuple(vals) => to.collect_seq(vals.iter().map(Json)),
            Val::Flags(names) => to.collect_seq(names),
            Val::Record(fields) => to.collect_map(fields.iter().map(|(name, val)| (name, Json(val)))),
            Val::Map(entries) => to.collect_seq(entries.iter().map(|(key, val)| [Json(key), Json(val)])),
            Val::Variant(name, payload) => single(name, payload.as_deref(), to),
            Val::Option(None) => to.serialize_none(),
            Val::Option(Some(val)) => single("some", Some(val), to),
            Val::Result(Ok(payload)) => single("ok", payload.as_deref(), to),
            Val::Result(Err(payload)) => single("err", payload.as_deref(), to),
            other => to.collect_str(&Text(other)),
        }
    }
}

/// A value as JSON and as WAVE text: `{"value": .., "wave": ..}`.
pub struct JsonAndText<'a>(pub &'a Val);

impl Serialize for JsonAndText<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_map(Some(2))?;
        object.serialize_entry("value", &Json(self.0))?;
        object.serialize_entry("wave", &InText(self.0))?;
        object.end()
    }
}

/// WAVE text, written as it goes too.
struct InText<'a>(&'a Val);

impl Serialize for InText<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Text(self.0))
    }
}

/// An object with one field.
fn single<S: Serializer>(name: &str, payload: Option<&Val>, to: S) -> Result<S::Ok, S::Error> {
    let mut object = to.serialize_map(Some(1))?;
    object.serialize_entry(name, &payload.map(Json))?;
    object.end()
}

/// A number, from its text so that 0.1 stays 0.1; as text if it is not finite, for which JSON has no number.
fn float<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    let number: Option<f64> = text.parse().ok();
    match number.filter(|number| number.is_finite()) {
        Some(number) => to.serialize_f64(number),
        None => to.serialize_str(&text.to_lowercase()),
    }
}
