//! Values as WAVE text: [`wasm_wave`]'s traits on our values and types.
//!
//! `wasm_wave` asks a value or a type only what its [`WasmTypeKind`](wasm_wave::wasm::WasmTypeKind) says it is, so where
//! it is something else any answer will do: nobody sees it.

mod check;
mod json;
mod types;
mod values;

use std::collections::BTreeSet;
use std::sync::Arc;

use canon_async_component::types::{FuncType, TypeDef, TypeTable, ValType};
use canon_async_component::val::Val;
use wasm_wave::ast::Node;
use wasm_wave::untyped::UntypedValue;

pub use json::to_json;
use types::WaveType;
use values::WaveVal;

use crate::suggest::cut;

/// What was asked for with `--invoke`.
pub struct Invocation {
    /// The export: `name`, or `instance#name`.
    pub name: String,
    /// The arguments with the parentheses; empty where there are none.
    args: String,
}

impl Invocation {
    /// A call without arguments, of whatever export is meant.
    pub const NONE: Self = Self { name: String::new(), args: String::new() };

    /// Splits `name(args)`. A name alone is a call without arguments.
    ///
    /// # Errors
    /// Text that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, args) = match text.find('(') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!("expected 'name(arguments)', found '{text}'"));
        }
        let empty = args.strip_prefix('(').and_then(|args| args.strip_suffix(')'));
        let args = if empty.is_some_and(|args| args.trim().is_empty()) { "" } else { args };
        Ok(Self { name: name.into(), args: args.into() })
    }

    /// The arguments as values of the function's parameters.
    ///
    /// # Errors
    /// Text that names the argument, the type that was expected and what was found.
    pub fn args(&self, types: &TypeTable, ty: &FuncType) -> Result<Vec<Val>, String> {
        let signature = || types.display_func(ty);
        let untyped = match self.args.as_str() {
            "" => None,
            text => {
                let parsed = UntypedValue::parse(text);
                let failed = |error: wasm_wave::parser::ParserError| {
                    format!("arguments '{}' are no WAVE text: {error}", cut(text))
                };
                Some(parsed.map_err(failed)?)
            }
        };
        let nodes: Vec<&Node> = match &untyped {
            Some(untyped) => untyped.node().as_tuple().map_err(|error| error.to_string())?.collect(),
            None => Vec::new(),
        };
        if nodes.len() != ty.params.len() {
            let (wanted, given) = (ty.params.len(), nodes.len());
            let plural = if wanted == 1 { "" } else { "s" };
            let signature = signature().to_string();
            return Err(format!(
                "expected {wanted} argument{plural}, found {given}: it is {}",
                cut(&signature)
            ));
        }
        let table = Arc::new(types.clone());
        let mut vals = Vec::new();
        for (at, (node, param)) in nodes.into_iter().zip(&ty.params).enumerate() {
            let wave_ty = WaveType { types: table.clone(), ty: param.ty };
            let (number, name) = (at.saturating_add(1), &param.name);
            if let Some(handle) = handle_in(types, param.ty) {
                return Err(format!(
                    "argument {number} \"{name}\": {handle} can't be written as an argument yet; a component that \
                     calls this function can pass one: --with gives it to that component as an import"
                ));
            }
            if let Some(problem) = check::problem(node, &wave_ty, &self.args) {
                return Err(format!("argument {number} \"{name}\": {problem}"));
            }
            let val = node.to_wasm_value::<WaveVal<'static>>(&wave_ty, &self.args).map_err(|error| {
                let found = self.args.get(node.span()).unwrap_or_default();
                let wanted = types.display(param.ty).to_string();
                let (wanted, found, error) = (cut(&wanted), cut(found), cut(&error.to_string()));
                format!("argument {number} \"{name}\": expected {wanted}, found {found} ({error})")
            })?;
            vals.push(val.into_val());
        }
        Ok(vals)
    }
}

/// What has no text, if there is something of the kind in a type: the first that is found, in words.
pub fn handle_in(types: &TypeTable, ty: ValType) -> Option<&'static str> {
    let (mut seen, mut left) = (BTreeSet::new(), Vec::from([ty]));
    while let Some(ty) = left.pop() {
        let index = match ty {
            ValType::ErrorContext => return Some("an error context"),
            ValType::Defined(index) if seen.insert(index) => index,
            _ => continue,
        };
        match types.def(index)? {
            TypeDef::Own(_) => return Some("a resource"),
            TypeDef::Borrow(_) => return Some("a borrowed resource"),
            TypeDef::Stream(_) => return Some("a stream"),
            TypeDef::Future(_) => return Some("a future"),
            def => def.for_each(|ty| left.push(ty)),
        }
    }
    None
}

/// A value as WAVE text. Handles have no text in WAVE and are shown as `<stream 3>`.
pub fn to_text(val: &Val) -> String {
    wasm_wave::to_string(&WaveVal::new(val)).unwrap_or_else(|_| with_handles(val))
}

/// Something to read, for a value with handles in it.
fn with_handles(val: &Val) -> String {
    match val {
        Val::Resource(handle) => format!("<resource {handle}>"),
        Val::Stream(handle) => format!("<stream {handle}>"),
        Val::Future(handle) => format!("<future {handle}>"),
        Val::ErrorContext(handle) => format!("<error-context {handle}>"),
        Val::List(vals) => format!("[{}]", join(vals.iter().map(to_text))),
        Val::Tuple(vals) => format!("({})", join(vals.iter().map(to_text))),
        Val::Record(fields) => {
            format!("{{{}}}", join(fields.iter().map(|(name, val)| format!("{name}: {}", to_text(val)))))
        }
        Val::Map(entries) => {
            let entries = entries.iter().map(|(key, val)| format!("{}: {}", to_text(key), to_text(val)));
            format!("{{{}}}", join(entries))
        }
        Val::Variant(name, Some(val)) => format!("{name}({})", to_text(val)),
        Val::Option(Some(val)) => format!("some({})", to_text(val)),
        Val::Result(Ok(Some(val))) => format!("ok({})", to_text(val)),
        Val::Result(Err(Some(val))) => format!("err({})", to_text(val)),
        other => format!("<{}>", other.kind()),
    }
}

fn join(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}
