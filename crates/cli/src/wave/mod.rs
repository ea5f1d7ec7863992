//! Values as WAVE text: [`wasm_wave`]'s traits on our values and types.
//!
//! `wasm_wave` asks a value or a type only what its [`WasmTypeKind`](wasm_wave::wasm::WasmTypeKind) says it is, so where
//! it is something else any answer will do: nobody sees it.

mod check;
mod json;
mod types;
mod values;

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use canon_async_component::types::{FuncType, TypeDef, TypeTable, ValType};
use canon_async_component::val::Val;
use wasm_wave::ast::Node;
use wasm_wave::untyped::UntypedValue;
use wasm_wave::writer::Writer;

pub use json::JsonAndText;
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
            return Err(format!("expected 'name(arguments)', found '{}'", cut(text)));
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
        for (at, param) in ty.params.iter().enumerate() {
            if let Some(handle) = handle_in(types, param.ty) {
                return Err(format!(
                    "argument {} \"{}\": {handle} can't be written as an argument yet; a component can pass one: \
                     `canon run CALLER --with FILE` runs a CALLER that imports what FILE exports",
                    at.saturating_add(1),
                    cut(&param.name)
                ));
            }
        }
        let untyped = match self.args.as_str() {
            "" => None,
            text => {
                let parsed = UntypedValue::parse(text);
                let failed = |error: wasm_wave::parser::ParserError| {
                    let (text, error) = (cut(text), cut(&error.to_string()));
                    format!(
                        "arguments '{text}' are no WAVE text: {error}; expected values in parentheses, such as \
                         (1, \"two\", [3, 4])"
                    )
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
                "expected {wanted} argument{plural}, found {given}: its type is {}",
                cut(&signature)
            ));
        }
        let table = Arc::new(types.clone());
        let mut vals = Vec::new();
        for (at, (node, param)) in nodes.into_iter().zip(&ty.params).enumerate() {
            let wave_ty = WaveType { types: table.clone(), ty: param.ty };
            let (number, name) = (at.saturating_add(1), &param.name);
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

/// A value as WAVE text, written as it goes. Handles have no text in WAVE and are shown as `<stream 3>`.
#[derive(Clone, Copy)]
pub struct Text<'a>(pub &'a Val);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Writer::new(f).write_value(&WaveVal::new(self.0)).map_err(|_| fmt::Error)
    }
}

/// The beginning of a value's text: so many bytes, and " .." if there is more.
pub fn beginning(val: &Val, bytes: usize) -> String {
    let mut out = Beginning { text: String::new(), left: bytes };
    match write!(out, "{}", Text(val)) {
        Ok(()) => out.text,
        Err(_) => out.text + " ..",
    }
}

/// Takes no more than there is room for.
struct Beginning {
    text: String,
    left: usize,
}

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = self.left.checked_sub(text.len());
        let mut end = if left.is_some() { text.len() } else { self.left };
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        self.text.push_str(text.get(..end).unwrap_or_default());
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written to it, and the most at once.
    #[derive(Default)]
    struct Pieces {
        total: usize,
        largest: usize,
    }

    impl fmt::Write for Pieces {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.total += text.len();
            self.largest = self.largest.max(text.len());
            Ok(())
        }
    }

    #[test]
    fn text_is_written_as_it_goes() {
        let list = Val::List((0..100_000).map(Val::U32).collect());
        let text = Val::String("a\nb".repeat(100_000));
        for val in [list, text] {
            let mut pieces = Pieces::default();
            write!(pieces, "{}", Text(&val)).unwrap();
            assert!(pieces.total > 300_000 && pieces.largest < 10, "{} {}", pieces.total, pieces.largest);
        }
    }

    #[test]
    fn text_of_handles_says_what_they_are_in_values_of_every_kind() {
        let record = Val::Record(vec![
            ("a".into(), Val::List(vec![Val::Stream(1), Val::Future(2)])),
            ("b".into(), Val::Option(Some(Box::new(Val::Resource(3))))),
            ("c".into(), Val::Result(Err(Some(Box::new(Val::ErrorContext(4)))))),
            (
                "d".into(),
                Val::Variant("some".into(), Some(Box::new(Val::Tuple(vec![Val::Stream(5), Val::U8(6)])))),
            ),
            ("e".into(), Val::Map(vec![(Val::U8(7), Val::Stream(8))])),
        ]);
        let expected = "{a: [<stream 1>, <future 2>], b: some(<resource 3>), c: err(<error-context 4>), \
                        d: %some((<stream 5>, 6)), e: {7: <stream 8>}}";
        assert_eq!(Text(&record).to_string(), expected);
    }

    #[test]
    fn beginning_of_a_text_ends_at_a_character() {
        let val = Val::String("\u{fc}".repeat(100));
        assert_eq!(beginning(&val, 6), "\"\u{fc}\u{fc} ..");
        assert_eq!(beginning(&val, 202), Text(&val).to_string());
        let list = Val::List(vec![Val::U8(1); 1_000_000]);
        assert_eq!(beginning(&list, 8), "[1, 1, 1 ..");
    }
}
