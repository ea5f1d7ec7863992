//! Types as WIT-like text, for messages and for `inspect`.
//!
//! A type can be a small graph whose text is huge (a tuple of two tuples of two tuples ..), so a text
//! stops after [`MAX_NODES`] types.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::cell::Cell;
use core::fmt::{self, Display, Formatter};

use crate::types::{Field, FuncType, TypeDef, TypeTable, ValType};

/// How many types one text names before it goes on with `..`.
pub const MAX_NODES: u32 = 500;

/// A type as text. Made by [`TypeTable::display`] and [`TypeTable::display_func`].
#[derive(Debug)]
pub struct DisplayType<'a> {
    table: &'a TypeTable,
    what: What<'a>,
    budget: Cell<u32>,
    /// What to call types, by their indices.
    names: Option<&'a BTreeMap<u32, String>>,
    /// The type that is written out although it has a name.
    expanded: Option<u32>,
}

#[derive(Debug)]
enum What<'a> {
    Value(ValType),
    Func(&'a FuncType),
}

impl<'a> DisplayType<'a> {
    pub(crate) fn value(table: &'a TypeTable, ty: ValType) -> Self {
        Self::new(table, What::Value(ty))
    }

    pub(crate) fn func(table: &'a TypeTable, ty: &'a FuncType) -> Self {
        Self::new(table, What::Func(ty))
    }

    fn new(table: &'a TypeTable, what: What<'a>) -> Self {
        Self { table, what, budget: Cell::new(MAX_NODES), names: None, expanded: None }
    }

    /// With names for some types, by their indices in [`TypeTable::defs`], instead of what they are.
    pub fn with_names(mut self, names: &'a BTreeMap<u32, String>) -> Self {
        self.names = Some(names);
        self
    }

    /// What the type itself is, also where it has a name.
    pub fn expanded(mut self) -> Self {
        self.expanded = match self.what {
            What::Value(ValType::Defined(index)) => Some(index),
            _ => None,
        };
        self
    }
}

impl Display for DisplayType<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.budget.set(MAX_NODES);
        match self.what {
            What::Value(ty) => self.val(f, ty),
            What::Func(func) => {
                f.write_str(if func.is_async { "async func(" } else { "func(" })?;
                self.fields(f, &func.params)?;
                f.write_str(")")?;
                match func.result {
                    Some(result) => {
                        f.write_str(" -> ")?;
                        self.val(f, result)
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

impl<'a> DisplayType<'a> {
    /// Recursion is as deep as the type nests, and every level spends budget.
    fn val(&self, f: &mut Formatter<'_>, ty: ValType) -> fmt::Result {
        let Some(left) = self.budget.get().checked_sub(1) else { return f.write_str("..") };
        self.budget.set(left);
        f.write_str(match ty {
            ValType::Bool => "bool",
            ValType::S8 => "s8",
            ValType::U8 => "u8",
            ValType::S16 => "s16",
            ValType::U16 => "u16",
            ValType::S32 => "s32",
            ValType::U32 => "u32",
            ValType::S64 => "s64",
            ValType::U64 => "u64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::Char => "char",
            ValType::String => "string",
            ValType::ErrorContext => "error-context",
            ValType::Defined(index) => {
                if let Some(name) = self.name(index) {
                    return f.write_str(name);
                }
                return match self.table.def(index) {
                    Some(def) => self.def(f, def),
                    None => write!(f, "<unknown type {index}>"),
                };
            }
        })
    }

    fn name(&self, index: u32) -> Option<&'a String> {
        // A type contains only types before it, so it is met once.
        self.names.filter(|_| self.expanded != Some(index))?.get(&index)
    }

    fn def(&self, f: &mut Formatter<'_>, def: &TypeDef) -> fmt::Result {
        match def {
            TypeDef::Record(fields) => {
                f.write_str("record { ")?;
                self.fields(f, fields)?;
                f.write_str(" }")
            }
            TypeDef::Variant(cases) => {
                f.write_str("variant { ")?;
                self.list(f, cases, |f, case| {
                    f.write_str(&case.name)?;
                    match case.ty {
                        Some(ty) => self.wrap(f, ("(", ty, ")")),
                        None => Ok(()),
                    }
                })?;
                f.write_str(" }")
            }
            TypeDef::List(ty) => self.wrap(f, ("list<", *ty, ">")),
            TypeDef::FixedList(ty, len) => {
                self.wrap(f, ("list<", *ty, ", "))?;
                write!(f, "{len}>")
            }
            TypeDef::Tuple(types) => {
                f.write_str("tuple<")?;
                self.list(f, types, |f, ty| self.val(f, *ty))?;
                f.write_str(">")
            }
            TypeDef::Flags(labels) => self.labels(f, "flags", labels),
            TypeDef::Enum(labels) => self.labels(f, "enum", labels),
            TypeDef::Option(ty) => self.wrap(f, ("option<", *ty, ">")),
            TypeDef::Result { ok, err } => self.result(f, *ok, *err),
            TypeDef::Map(key, value) => {
                self.wrap(f, ("map<", *key, ", "))?;
                self.wrap(f, ("", *value, ">"))
            }
            TypeDef::Own(resource) => self.resource(f, *resource),
            TypeDef::Borrow(resource) => {
                f.write_str("borrow<")?;
                self.resource(f, *resource)?;
                f.write_str(">")
            }
            TypeDef::Stream(None) => f.write_str("stream"),
            TypeDef::Stream(Some(ty)) => self.wrap(f, ("stream<", *ty, ">")),
            TypeDef::Future(None) => f.write_str("future"),
            TypeDef::Future(Some(ty)) => self.wrap(f, ("future<", *ty, ">")),
        }
    }

    fn result(&self, f: &mut Formatter<'_>, ok: Option<ValType>, err: Option<ValType>) -> fmt::Result {
        match (ok, err) {
            (None, None) => f.write_str("result"),
            (Some(ok), None) => self.wrap(f, ("result<", ok, ">")),
            (None, Some(err)) => self.wrap(f, ("result<_, ", err, ">")),
            (Some(ok), Some(err)) => {
                self.wrap(f, ("result<", ok, ", "))?;
                self.wrap(f, ("", err, ">"))
            }
        }
    }

    fn resource(&self, f: &mut Formatter<'_>, index: u32) -> fmt::Result {
        match self.table.resource(index) {
            Some(resource) if !resource.name.is_empty() => f.write_str(&resource.name),
            _ => write!(f, "resource-{index}"),
        }
    }

    fn wrap(&self, f: &mut Formatter<'_>, (before, ty, after): (&str, ValType, &str)) -> fmt::Result {
        f.write_str(before)?;
        self.val(f, ty)?;
        f.write_str(after)
    }

    fn fields(&self, f: &mut Formatter<'_>, fields: &[Field]) -> fmt::Result {
        self.list(f, fields, |f, field| {
            write!(f, "{}: ", field.name)?;
            self.val(f, field.ty)
        })
    }

    fn labels(&self, f: &mut Formatter<'_>, word: &str, labels: &[String]) -> fmt::Result {
        write!(f, "{word} {{ ")?;
        self.list(f, labels, |f, label| f.write_str(label))?;
        f.write_str(" }")
    }

    fn list<T>(
        &self,
        f: &mut Formatter<'_>,
        items: &[T],
        each: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
    ) -> fmt::Result {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if self.budget.get() == 0 {
                return f.write_str("..");
            }
            each(f, item)?;
        }
        Ok(())
    }
}
