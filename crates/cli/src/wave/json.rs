//! Values as JSON, for `canon run --json`; its help text says how.

use canon_async_component::val::Val;
use serde_json::{Map, Value};

use super::to_text;

/// A value as JSON. Recurses as deep as its type nests.
pub fn to_json(val: &Val) -> Value {
    let optional = |val: &Option<Box<Val>>| val.as_deref().map_or(Value::Null, to_json);
    match val {
        Val::Bool(val) => (*val).into(),
        Val::S8(val) => (*val).into(),
        Val::U8(val) => (*val).into(),
        Val::S16(val) => (*val).into(),
        Val::U16(val) => (*val).into(),
        Val::S32(val) => (*val).into(),
        Val::U32(val) => (*val).into(),
        Val::S64(val) => (*val).into(),
        Val::U64(val) => (*val).into(),
        Val::F32(val) => float(&val.to_string()),
        Val::F64(val) => float(&val.to_string()),
        Val::Char(val) => val.to_string().into(),
        Val::String(val) | Val::Enum(val) => val.as_str().into(),
        Val::List(vals) | Val::Tuple(vals) => vals.iter().map(to_json).collect(),
        Val::Flags(names) => names.iter().map(String::as_str).collect(),
        Val::Record(fields) => {
            Value::Object(fields.iter().map(|(name, val)| (name.clone(), to_json(val))).collect())
        }
        Val::Map(entries) => {
            entries.iter().map(|(key, val)| Value::Array(vec![to_json(key), to_json(val)])).collect()
        }
        Val::Variant(name, payload) => single(name, optional(payload)),
        Val::Option(None) => Value::Null,
        Val::Option(Some(val)) => single("some", to_json(val)),
        Val::Result(Ok(payload)) => single("ok", optional(payload)),
        Val::Result(Err(payload)) => single("err", optional(payload)),
        other => to_text(other).into(),
    }
}

/// An object with one field.
fn single(name: &str, val: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_string(), val)]))
}

/// A number, from its text so that 0.1 stays 0.1; as text if it is not finite, for which JSON has no number.
fn float(text: &str) -> Value {
    let number: Option<f64> = text.parse().ok();
    let finite = number.filter(|number| number.is_finite());
    finite.map_or_else(|| text.to_lowercase().into(), Value::from)
}
