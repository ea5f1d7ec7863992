//! Values for `wasm_wave`.

use std::borrow::Cow;

use canon_async_component::types::TypeDef;
use canon_async_component::val::Val;
use wasm_wave::wasm::{WasmTypeKind, WasmValue, WasmValueError};

use super::types::WaveType;

/// A value: borrowed where it is written, owned where it is read.
#[derive(Clone)]
pub struct WaveVal<'a>(Cow<'a, Val>);

impl<'a> WaveVal<'a> {
    /// A value to write.
    pub fn new(val: &'a Val) -> Self {
        Self(Cow::Borrowed(val))
    }

    /// A value that was read.
    pub fn into_val(self) -> Val {
        self.0.into_owned()
    }

    fn owned(val: Val) -> Self {
        Self(Cow::Owned(val))
    }

    fn boxed(self) -> Box<Val> {
        Box::new(self.into_val())
    }

    /// The values that this one is made of, one at a time: there may be as many as memory has room for.
    fn parts(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        match &self.0 {
            Cow::Borrowed(val) => Box::new(parts(val).map(|val| Cow::Owned(Self::new(val)))),
            Cow::Owned(val) => Box::new(parts(val).map(|val| Cow::Owned(Self::owned(val.clone())))),
        }
    }
}

/// The values that a value is made of; keys and values in turn for a map.
fn parts(val: &Val) -> Box<dyn Iterator<Item = &Val> + '_> {
    match val {
        Val::List(vals) | Val::Tuple(vals) => Box::new(vals.iter()),
        Val::Record(fields) => Box::new(fields.iter().map(|(_, val)| val)),
        Val::Map(entries) => Box::new(entries.iter().flat_map(|(key, val)| [key, val])),
        Val::Variant(_, payload) | Val::Option(payload) => Box::new(payload.iter().map(AsRef::as_ref)),
        Val::Result(Ok(payload) | Err(payload)) => Box::new(payload.iter().map(AsRef::as_ref)),
        _ => Box::new(std::iter::empty()),
    }
}

/// The scalars: `make_`, `unwrap_`, their Rust type and their case.
macro_rules! scalars {
    ($($make:ident $unwrap:ident $rust:ty, $case:ident;)*) => {$(
        fn $make(val: $rust) -> Self {
            Self::owned(Val::$case(val))
        }

        fn $unwrap(&self) -> $rust {
            match *self.0 {
                Val::$case(val) => val,
                _ => <$rust>::default(),
            }
        }
    )*};
}

impl WasmValue for WaveVal<'_> {
    type Type = WaveType;

    fn kind(&self) -> WasmTypeKind {
        match *self.0 {
            Val::Bool(_) => WasmTypeKind::Bool,
            Val::S8(_) => WasmTypeKind::S8,
            Val::U8(_) => WasmTypeKind::U8,
            Val::S16(_) => WasmTypeKind::S16,
            Val::U16(_) => WasmTypeKind::U16,
            Val::S32(_) => WasmTypeKind::S32,
            Val::U32(_) => WasmTypeKind::U32,
            Val::S64(_) => WasmTypeKind::S64,
            Val::U64(_) => WasmTypeKind::U64,
            Val::F32(_) => WasmTypeKind::F32,
            Val::F64(_) => WasmTypeKind::F64,
            Val::Char(_) => WasmTypeKind::Char,
            Val::String(_) => WasmTypeKind::String,
            Val::List(_) => WasmTypeKind::List,
            Val::Record(_) => WasmTypeKind::Record,
            Val::Tuple(_) => WasmTypeKind::Tuple,
            Val::Variant(..) => WasmTypeKind::Variant,
            Val::Option(_) => WasmTypeKind::Option,
            Val::Result(_) => WasmTypeKind::Result,
            Val::Flags(_) => WasmTypeKind::Flags,
            Val::Map(_) => WasmTypeKind::Map,
            // Handles, and what may come, have no text in WAVE: they are shown like the case of an enum.
            _ => WasmTypeKind::Enum,
        }
    }

    scalars! {
        make_bool unwrap_bool bool, Bool;
        make_s8 unwrap_s8 i8, S8;
        make_u8 unwrap_u8 u8, U8;
        make_s16 unwrap_s16 i16, S16;
        make_u16 unwrap_u16 u16, U16;
        make_s32 unwrap_s32 i32, S32;
        make_u32 unwrap_u32 u32, U32;
        make_s64 unwrap_s64 i64, S64;
        make_u64 unwrap_u64 u64, U64;
        make_f32 unwrap_f32 f32, F32;
        make_f64 unwrap_f64 f64, F64;
        make_char unwrap_char char, Char;
    }

    fn make_string(val: Cow<str>) -> Self {
        Self::owned(Val::String(val.into_owned()))
    }

    fn make_list(ty: &WaveType, vals: impl IntoIterator<Item = Self>) -> Result<Self, WasmValueError> {
        let vals: Vec<_> = vals.into_iter().map(Self::into_val).collect();
        match ty.def() {
            Some(TypeDef::FixedList(_, len)) if *len as usize != vals.len() => {
                let found = vals.len();
                Err(WasmValueError::Other(format!("expected a list of {len} elements, found {found}")))
            }
            _ => Ok(Self::owned(Val::List(vals))),
        }
    }

    /// The fields come in the type's order: `wasm_wave` walks the type and looks each up.
    fn make_record<'f>(
        _: &WaveType,
        fields: impl IntoIterator<Item = (&'f str, Self)>,
    ) -> Result<Self, WasmValueError> {
        let fields = fields.into_iter().map(|(name, val)| (name.into(), val.into_val()));
        Ok(Self::owned(Val::Record(fields.collect())))
    }

    fn make_tuple(_: &WaveType, vals: impl IntoIterator<Item = Self>) -> Result<Self, WasmValueError> {
        Ok(Self::owned(Val::Tuple(vals.into_iter().map(Self::into_val).collect())))
    }

    fn make_variant(_: &WaveType, case: &str, val: Option<Self>) -> Result<Self, WasmValueError> {
        Ok(Self::owned(Val::Variant(case.into(), val.map(Self::boxed))))
    }

    fn make_enum(ty: &WaveType, case: &str) -> Result<Self, WasmValueError> {
        match ty.def() {
            Some(TypeDef::Enum(labels)) if labels.iter().any(|label| label == case) => {
                Ok(Self::owned(Val::Enum(case.into())))
            }
            _ => Err(WasmValueError::UnknownCase(case.into())),
        }
    }

    fn make_option(_: &WaveType, val: Option<Self>) -> Result<Self, WasmValueError> {
        Ok(Self::owned(Val::Option(val.map(Self::boxed))))
    }

    fn make_result(_: &WaveType, val: Result<Option<Self>, Option<Self>>) -> Result<Self, WasmValueError> {
        let val = val.map(|ok| ok.map(Self::boxed)).map_err(|err| err.map(Self::boxed));
        Ok(Self::owned(Val::Result(val)))
    }

    fn make_flags<'f>(
        ty: &WaveType,
        names: impl IntoIterator<Item = &'f str>,
    ) -> Result<Self, WasmValueError> {
        let labels = match ty.def() {
            Some(TypeDef::Flags(labels)) => labels.as_slice(),
            _ => &[],
        };
        let mut set = Vec::new();
        for name in names {
            if !labels.iter().any(|label| label == name) {
                return Err(WasmValueError::UnknownCase(name.into()));
            }
            set.push(name.into());
        }
        Ok(Self::owned(Val::Flags(set)))
    }

    fn make_map(
        _: &WaveType,
        entries: impl IntoIterator<Item = (Self, Self)>,
    ) -> Result<Self, WasmValueError> {
        let entries = entries.into_iter().map(|(key, val)| (key.into_val(), val.into_val()));
        Ok(Self::owned(Val::Map(entries.collect())))
    }

    fn unwrap_string(&self) -> Cow<'_, str> {
        match &*self.0 {
            Val::String(text) => text.into(),
            _ => "".into(),
        }
    }

    fn unwrap_list(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        Box::new(self.parts())
    }

    fn unwrap_record(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Cow<'_, Self>)> + '_> {
        let fields = match &*self.0 {
            Val::Record(fields) => fields.as_slice(),
            _ => &[],
        };
        Box::new(fields.iter().map(|(name, _)| name.into()).zip(self.parts()))
    }

    fn unwrap_tuple(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        Box::new(self.parts())
    }

    fn unwrap_variant(&self) -> (Cow<'_, str>, Option<Cow<'_, Self>>) {
        let name = match &*self.0 {
            Val::Variant(name, _) => name.as_str(),
            _ => "",
        };
        (name.into(), self.parts().next())
    }

    fn unwrap_enum(&self) -> Cow<'_, str> {
        match &*self.0 {
            Val::Enum(name) => name.into(),
            Val::Resource(handle) => format!("<resource {handle}>").into(),
            Val::Stream(handle) => format!("<stream {handle}>").into(),
            Val::Future(handle) => format!("<future {handle}>").into(),
            Val::ErrorContext(handle) => format!("<error-context {handle}>").into(),
            other => format!("<{}>", other.kind()).into(),
        }
    }

    fn unwrap_option(&self) -> Option<Cow<'_, Self>> {
        self.parts().next()
    }

    fn unwrap_result(&self) -> Result<Option<Cow<'_, Self>>, Option<Cow<'_, Self>>> {
        match &*self.0 {
            Val::Result(Err(_)) => Err(self.parts().next()),
            _ => Ok(self.parts().next()),
        }
    }

    fn unwrap_flags(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        let names = match &*self.0 {
            Val::Flags(names) => names.as_slice(),
            _ => &[],
        };
        Box::new(names.iter().map(|name| name.into()))
    }

    fn unwrap_map(&self) -> Box<dyn Iterator<Item = (Cow<'_, Self>, Cow<'_, Self>)> + '_> {
        let keys = self.parts().step_by(2);
        let vals = self.parts().skip(1).step_by(2);
        Box::new(keys.zip(vals))
    }
}
