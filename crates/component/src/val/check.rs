//! Whether a value is of a type, with a message that says where not.

use alloc::format;
use alloc::string::String;

use super::{Val, ValError};
use crate::types::{Case, TypeDef, TypeTable, ValType};

/// Checks a value against a type.
///
/// Handles are checked when they are transferred; here any index will do.
///
/// # Errors
/// `Type`, with the path inside the value.
pub fn check(types: &TypeTable, ty: ValType, val: &Val) -> Result<(), ValError> {
    let fits = match (ty, val) {
        (ValType::Defined(index), _) => return check_def(types, ty, index, val),
        (ValType::Bool, Val::Bool(_))
        | (ValType::S8, Val::S8(_))
        | (ValType::U8, Val::U8(_))
        | (ValType::S16, Val::S16(_))
        | (ValType::U16, Val::U16(_))
        | (ValType::S32, Val::S32(_))
        | (ValType::U32, Val::U32(_))
        | (ValType::S64, Val::S64(_))
        | (ValType::U64, Val::U64(_))
        | (ValType::F32, Val::F32(_))
        | (ValType::F64, Val::F64(_))
        | (ValType::Char, Val::Char(_))
        | (ValType::String, Val::String(_))
        | (ValType::ErrorContext, Val::ErrorContext(_)) => true,
        _ => false,
    };
    if fits { Ok(()) } else { Err(mismatch(types, ty, val)) }
}

fn mismatch(types: &TypeTable, ty: ValType, val: &Val) -> ValError {
    ValError::mismatch(types.display(ty), val.kind())
}

/// Recursion is as deep as the type nests.
fn check_def(types: &TypeTable, ty: ValType, index: u32, val: &Val) -> Result<(), ValError> {
    let def = types.def(index).ok_or(ValError::Plan(crate::layout::TypeError::Unknown))?;
    let wrong_count =
        |count: usize| ValError::mismatch(types.display(ty), format!("{} of {count}", val.kind()));
    match (def, val) {
        (TypeDef::Record(fields), Val::Record(vals)) => {
            if fields.len() != vals.len() {
                return Err(wrong_count(vals.len()));
            }
            for (field, (name, val)) in fields.iter().zip(vals) {
                if field.name != *name {
                    return Err(ValError::mismatch(
                        format!("field \"{}\"", field.name),
                        format!("field \"{name}\""),
                    ));
                }
                check(types, field.ty, val).map_err(|error| error.at(format!(".{name}")))?;
            }
            Ok(())
        }
        (TypeDef::Tuple(tys), Val::Tuple(vals)) => {
            if tys.len() != vals.len() {
                return Err(wrong_count(vals.len()));
            }
            for (at, (ty, val)) in tys.iter().zip(vals).enumerate() {
                check(types, *ty, val).map_err(|error| error.at(format!(".{at}")))?;
            }
            Ok(())
        }
        (TypeDef::List(ty), Val::List(vals)) => check_list(types, *ty, vals),
        (TypeDef::FixedList(ty, len), Val::List(vals)) => {
            if vals.len() != *len as usize {
                return Err(wrong_count(vals.len()));
            }
            check_list(types, *ty, vals)
        }
        (TypeDef::Map(key_ty, val_ty), Val::Map(entries)) => {
            for (at, (key, val)) in entries.iter().enumerate() {
                check(types, *key_ty, key).map_err(|error| error.at(format!("[key {at}]")))?;
                check(types, *val_ty, val).map_err(|error| error.at(format!("[value {at}]")))?;
            }
            Ok(())
        }
        (TypeDef::Variant(cases), Val::Variant(name, payload)) => {
            check_variant(types, cases, name, payload.as_deref())
        }
        (TypeDef::Enum(labels), Val::Enum(name)) => check_label(labels, name),
        (TypeDef::Flags(labels), Val::Flags(names)) => {
            names.iter().try_for_each(|name| check_label(labels, name))
        }
        (TypeDef::Option(ty), Val::Option(val)) => match val {
            Some(val) => check(types, *ty, val).map_err(|error| error.at("(some)")),
            None => Ok(()),
        },
        (TypeDef::Result { ok, .. }, Val::Result(Ok(val))) => {
            check_payload(types, *ok, val.as_deref()).map_err(|error| error.at("(ok)"))
        }
        (TypeDef::Result { err, .. }, Val::Result(Err(val))) => {
            check_payload(types, *err, val.as_deref()).map_err(|error| error.at("(err)"))
        }
        (TypeDef::Own(_) | TypeDef::Borrow(_), Val::Resource(_))
        | (TypeDef::Stream(_), Val::Stream(_))
        | (TypeDef::Future(_), Val::Future(_)) => Ok(()),
        _ => Err(mismatch(types, ty, val)),
    }
}

fn check_list(types: &TypeTable, ty: ValType, vals: &[Val]) -> Result<(), ValError> {
    for (at, val) in vals.iter().enumerate() {
        check(types, ty, val).map_err(|error| error.at(format!("[{at}]")))?;
    }
    Ok(())
}

fn check_label(labels: &[String], name: &String) -> Result<(), ValError> {
    match labels.contains(name) {
        true => Ok(()),
        false => Err(ValError::mismatch(format!("one of {}", labels.join(", ")), format!("\"{name}\""))),
    }
}

fn check_variant(
    types: &TypeTable,
    cases: &[Case],
    name: &str,
    payload: Option<&Val>,
) -> Result<(), ValError> {
    match cases.iter().find(|case| case.name == name) {
        Some(case) => check_payload(types, case.ty, payload).map_err(|error| error.at(format!("({name})"))),
        None => {
            let mut names = String::from("one of");
            for case in cases {
                names.push(' ');
                names.push_str(&case.name);
            }
            Err(ValError::mismatch(names, format!("\"{name}\"")))
        }
    }
}

fn check_payload(types: &TypeTable, ty: Option<ValType>, val: Option<&Val>) -> Result<(), ValError> {
    match (ty, val) {
        (None, None) => Ok(()),
        (Some(ty), Some(val)) => check(types, ty, val),
        (Some(ty), None) => Err(ValError::mismatch(types.display(ty), "no payload")),
        (None, Some(val)) => Err(ValError::mismatch("no payload", val.kind())),
    }
}
