//! The values of .wast files: `(u32.const 42)`, `(record.const ..)`.

use canon_async_wasmi::Val;
use wast::component::WastVal;
use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::{WastArg, WastRet};

use crate::wave;

/// The most bytes of a value's text in a message.
const SHOWN: usize = 1_000;

/// An argument as a value.
///
/// # Errors
/// A core value: arguments of component functions are component values.
pub fn arg(arg: &WastArg<'_>) -> Result<Val, String> {
    match arg {
        WastArg::Component(val) => Ok(to_val(val)),
        // These two are written as core values are, and so read as such.
        WastArg::Core(WastArgCore::F32(val)) => Ok(Val::F32(f32::from_bits(val.bits))),
        WastArg::Core(WastArgCore::F64(val)) => Ok(Val::F64(f64::from_bits(val.bits))),
        _ => Err("expected a component value as argument, as (u32.const 1), found a core value".into()),
    }
}

fn to_val(val: &WastVal<'_>) -> Val {
    let boxed = |val: &Option<Box<WastVal<'_>>>| val.as_ref().map(|val| Box::new(to_val(val)));
    match val {
        WastVal::Bool(val) => Val::Bool(*val),
        WastVal::U8(val) => Val::U8(*val),
        WastVal::S8(val) => Val::S8(*val),
        WastVal::U16(val) => Val::U16(*val),
        WastVal::S16(val) => Val::S16(*val),
        WastVal::U32(val) => Val::U32(*val),
        WastVal::S32(val) => Val::S32(*val),
        WastVal::U64(val) => Val::U64(*val),
        WastVal::S64(val) => Val::S64(*val),
        WastVal::F32(val) => Val::F32(f32::from_bits(val.bits)),
        WastVal::F64(val) => Val::F64(f64::from_bits(val.bits)),
        WastVal::Char(val) => Val::Char(*val),
        WastVal::String(val) => Val::String((*val).into()),
        WastVal::List(vals) => Val::List(vals.iter().map(to_val).collect()),
        WastVal::Map(entries) => {
            Val::Map(entries.iter().map(|(key, val)| (to_val(key), to_val(val))).collect())
        }
        WastVal::Record(fields) => {
            Val::Record(fields.iter().map(|(name, val)| ((*name).into(), to_val(val))).collect())
        }
        WastVal::Tuple(vals) => Val::Tuple(vals.iter().map(to_val).collect()),
        WastVal::Variant(name, val) => Val::Variant((*name).into(), boxed(val)),
        WastVal::Enum(name) => Val::Enum((*name).into()),
        WastVal::Option(val) => Val::Option(boxed(val)),
        WastVal::Result(Ok(val)) => Val::Result(Ok(boxed(val))),
        WastVal::Result(Err(val)) => Val::Result(Err(boxed(val))),
        WastVal::Flags(names) => Val::Flags(names.iter().map(|name| (*name).into()).collect()),
    }
}

/// A result as a value. NaN is NaN, whichever pattern is asked for: the Component Model tells none from another.
fn ret(ret: &WastRet<'_>) -> Result<Val, String> {
    match ret {
        WastRet::Component(val) => Ok(to_val(val)),
        WastRet::Core(WastRetCore::F32(NanPattern::Value(val))) => Ok(Val::F32(f32::from_bits(val.bits))),
        WastRet::Core(WastRetCore::F64(NanPattern::Value(val))) => Ok(Val::F64(f64::from_bits(val.bits))),
        WastRet::Core(WastRetCore::F32(_)) => Ok(Val::F32(f32::NAN)),
        WastRet::Core(WastRetCore::F64(_)) => Ok(Val::F64(f64::NAN)),
        _ => Err("expected a component value as result, as (u32.const 1), found a core value".into()),
    }
}

/// Holds results against what was expected.
///
/// # Errors
/// Text that shows both.
pub fn compare(expected: &[WastRet<'_>], found: Option<&Val>) -> Result<(), String> {
    let expected = match expected {
        [] => None,
        [expected] => Some(ret(expected)?),
        more => return Err(format!("a function has at most one result, found {} to compare", more.len())),
    };
    let same = match (&expected, found) {
        (None, None) => true,
        (Some(expected), Some(found)) => same(expected, found),
        _ => false,
    };
    if same {
        return Ok(());
    }
    let text = |val: Option<&Val>| val.map_or_else(|| "no result".into(), show);
    Err(format!("expected {}, found {}", text(expected.as_ref()), text(found)))
}

/// A value for people, with its type.
pub fn show(val: &Val) -> String {
    format!("{} {}", val.kind(), wave::beginning(val, SHOWN))
}

/// Whether two values are the same to the Component Model: there is one NaN, `0.0` and `-0.0` are two, and flags have no
/// order.
fn same(a: &Val, b: &Val) -> bool {
    let all = |a: &[Val], b: &[Val]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    let option = |a: &Option<Box<Val>>, b: &Option<Box<Val>>| match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        _ => false,
    };
    match (a, b) {
        (Val::F32(a), Val::F32(b)) => (a.is_nan() && b.is_nan()) || a.to_bits() == b.to_bits(),
        (Val::F64(a), Val::F64(b)) => (a.is_nan() && b.is_nan()) || a.to_bits() == b.to_bits(),
        (Val::List(a), Val::List(b)) | (Val::Tuple(a), Val::Tuple(b)) => all(a, b),
        (Val::Record(a), Val::Record(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((a_name, a), (b_name, b))| a_name == b_name && same(a, b))
        }
        (Val::Map(a), Val::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((ak, av), (bk, bv))| same(ak, bk) && same(av, bv))
        }
        (Val::Variant(a_name, a), Val::Variant(b_name, b)) => a_name == b_name && option(a, b),
        (Val::Option(a), Val::Option(b)) => option(a, b),
        (Val::Result(Ok(a)), Val::Result(Ok(b))) | (Val::Result(Err(a)), Val::Result(Err(b))) => option(a, b),
        (Val::Flags(a), Val::Flags(b)) => a.len() == b.len() && a.iter().all(|name| b.contains(name)),
        (a, b) => a == b,
    }
}
