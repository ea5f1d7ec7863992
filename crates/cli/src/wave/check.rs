//! What is wrong with names in an argument: fields that a record does not have, and cases and flags that are
//! none.
//!
//! `wasm_wave` finds these too, but does not say which, or where.

use canon_async_component::types::TypeDef;
use wasm_wave::ast::Node;

use super::types::WaveType;
use crate::suggest::{cut, did_you_mean, list};

/// The first name that the type does not have, with the way to it; `None` if there is none, or if the value
/// is not of the type for another reason. Recurses as deep as the type and the text nest.
pub fn problem(node: &Node, ty: &WaveType, src: &str) -> Option<String> {
    let inside = |node: &Node, ty| problem(node, &ty, src);
    match ty.def()? {
        TypeDef::Record(fields) => {
            for (name, value) in node.as_record(src).ok()? {
                let Some(field) = fields.iter().find(|field| field.name == name) else {
                    let names = || fields.iter().map(|field| field.name.as_str());
                    return Some(unknown("field", name, "the record has the fields", names));
                };
                if let Some(found) = problem(value, &ty.of(field.ty), src) {
                    return Some(format!("field \"{name}\": {found}"));
                }
            }
            None
        }
        TypeDef::Variant(cases) => {
            let (name, payload) = node.as_variant(src).ok()?;
            let Some(case) = cases.iter().find(|case| case.name == name) else {
                let names = || cases.iter().map(|case| case.name.as_str());
                return Some(unknown("case", name, "the variant has the cases", names));
            };
            let found = problem(payload?, &ty.of(case.ty?), src)?;
            Some(format!("case \"{name}\": {found}"))
        }
        TypeDef::Enum(labels) => {
            let name = node.as_enum(src).ok()?;
            let names = || labels.iter().map(String::as_str);
            let is_known = labels.iter().any(|label| label == name);
            (!is_known).then(|| unknown("case", name, "the enum has the cases", names))
        }
        TypeDef::Flags(labels) => {
            let names = || labels.iter().map(String::as_str);
            let mut flags = node.as_flags(src).ok()?;
            let name = flags.find(|name| !labels.iter().any(|label| label == name))?;
            Some(unknown("flag", name, "the flags are", names))
        }
        TypeDef::List(element) | TypeDef::FixedList(element, _) => {
            let mut found = node.as_list().ok()?.map(|node| inside(node, ty.of(*element)));
            let at = found.position(|found| found.is_some())?;
            let found = inside(node.as_list().ok()?.nth(at)?, ty.of(*element))?;
            Some(format!("element {at}: {found}"))
        }
        TypeDef::Tuple(types) => {
            node.as_tuple().ok()?.zip(types).find_map(|(node, element)| inside(node, ty.of(*element)))
        }
        TypeDef::Option(some) => match node.as_option() {
            Ok(payload) => inside(payload?, ty.of(*some)),
            // "some" may be left out.
            Err(_) => inside(node, ty.of(*some)),
        },
        TypeDef::Result { ok, err } => match node.as_result() {
            Ok(Ok(payload)) => inside(payload?, ty.of((*ok)?)),
            Ok(Err(payload)) => inside(payload?, ty.of((*err)?)),
            Err(_) => inside(node, ty.of((*ok)?)),
        },
        TypeDef::Map(key, value) => {
            node.as_map().ok()?.find_map(|(k, v)| inside(k, ty.of(*key)).or_else(|| inside(v, ty.of(*value))))
        }
        _ => None,
    }
}

fn unknown<'a, I: Iterator<Item = &'a str>>(
    what: &str,
    name: &str,
    there_are: &str,
    names: impl Fn() -> I,
) -> String {
    let (similar, known) = (did_you_mean(name, names()), list(names()));
    format!("there is no {what} \"{}\"{similar} ({there_are} {known})", cut(name))
}
