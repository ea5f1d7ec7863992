//! Where two types differ, in words: for messages.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use canon_async::id::ResourceId;

use crate::types::{Case, Field, FuncType, TypeDef, TypeTable, ValType};

/// A table of types, and its resources as the store numbers them.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub table: &'a TypeTable,
    pub resources: &'a [ResourceId],
}

/// The first place where two types differ, and what is there.
#[derive(Debug)]
pub(super) struct Difference {
    /// Steps into the type, from the outside: `parameter 2 "p"`, `field "q"`.
    pub at: Vec<String>,
    pub expected: String,
    pub found: String,
}

/// A comparison. Pairs of types that turned out to be equal are not compared again: a type can be a small graph and a huge
/// tree.
struct Compare<'a> {
    expected: Side<'a>,
    found: Side<'a>,
    equal: BTreeSet<(u32, u32)>,
}

/// The first difference of two function types, if there is one.
pub(super) fn of_funcs(
    (expected, expected_ty): (Side<'_>, &FuncType),
    (found, found_ty): (Side<'_>, &FuncType),
) -> Option<Difference> {
    let mut compare = Compare { expected, found, equal: BTreeSet::new() };
    compare.funcs(expected_ty, found_ty).err()
}

/// The first difference of two value types, if there is one.
pub(super) fn of_values(
    (expected, expected_ty): (Side<'_>, ValType),
    (found, found_ty): (Side<'_>, ValType),
) -> Option<Difference> {
    let mut compare = Compare { expected, found, equal: BTreeSet::new() };
    compare.vals(expected_ty, found_ty).err()
}

type Compared = Result<(), Difference>;

fn here(expected: impl ToString, found: impl ToString) -> Compared {
    Err(Difference { at: Vec::new(), expected: expected.to_string(), found: found.to_string() })
}

/// The difference lies a step deeper.
fn within(compared: Compared, step: impl FnOnce() -> String) -> Compared {
    compared.map_err(|mut difference| {
        difference.at.insert(0, step());
        difference
    })
}

fn nth(index: usize) -> usize {
    index.saturating_add(1)
}

impl Compare<'_> {
    fn funcs(&mut self, expected: &FuncType, found: &FuncType) -> Compared {
        if expected.is_async != found.is_async || expected.params.len() != found.params.len() {
            return here(self.expected.table.display_func(expected), self.found.table.display_func(found));
        }
        for (index, (a, b)) in expected.params.iter().zip(&found.params).enumerate() {
            let step = || format!("parameter {} \"{}\"", nth(index), a.name);
            if a.name != b.name {
                return within(here(format!("the name \"{}\"", a.name), format!("\"{}\"", b.name)), || {
                    format!("parameter {}", nth(index))
                });
            }
            within(self.vals(a.ty, b.ty), step)?;
        }
        within(self.opts(expected.result, found.result), || "result".to_string())
    }

    fn opts(&mut self, expected: Option<ValType>, found: Option<ValType>) -> Compared {
        match (expected, found) {
            (None, None) => Ok(()),
            (Some(expected), Some(found)) => self.vals(expected, found),
            (Some(expected), None) => here(self.expected.table.display(expected), "none"),
            (None, Some(found)) => here("none", self.found.table.display(found)),
        }
    }

    /// Recursion is as deep as the type nests.
    fn vals(&mut self, expected: ValType, found: ValType) -> Compared {
        let (ValType::Defined(a), ValType::Defined(b)) = (expected, found) else {
            return if expected == found { Ok(()) } else { self.whole(expected, found) };
        };
        if self.equal.contains(&(a, b)) {
            return Ok(());
        }
        let (Some(a_def), Some(b_def)) = (self.expected.table.def(a), self.found.table.def(b)) else {
            return self.whole(expected, found);
        };
        match self.defs(a_def, b_def) {
            Some(compared) => compared?,
            None => return self.whole(expected, found),
        }
        self.equal.insert((a, b));
        Ok(())
    }

    fn whole(&self, expected: ValType, found: ValType) -> Compared {
        here(self.expected.table.display(expected), self.found.table.display(found))
    }

    /// `None` where the types differ as a whole.
    fn defs(&mut self, expected: &TypeDef, found: &TypeDef) -> Option<Compared> {
        Some(match (expected, found) {
            (TypeDef::Record(a), TypeDef::Record(b)) if a.len() == b.len() => self.fields(a, b),
            (TypeDef::Variant(a), TypeDef::Variant(b)) if a.len() == b.len() => self.cases(a, b),
            (TypeDef::Tuple(a), TypeDef::Tuple(b)) if a.len() == b.len() => {
                let mut pairs = a.iter().zip(b).enumerate();
                pairs.try_for_each(|(index, (a, b))| {
                    within(self.vals(*a, *b), || format!("element {}", nth(index)))
                })
            }
            (TypeDef::List(a), TypeDef::List(b)) => within(self.vals(*a, *b), || "element".to_string()),
            (TypeDef::FixedList(a, n), TypeDef::FixedList(b, m)) if n == m => {
                within(self.vals(*a, *b), || "element".to_string())
            }
            (TypeDef::Option(a), TypeDef::Option(b)) => within(self.vals(*a, *b), || "some".to_string()),
            (TypeDef::Result { ok, err }, TypeDef::Result { ok: found_ok, err: found_err }) => {
                within(self.opts(*ok, *found_ok), || "ok".to_string())
                    .and_then(|()| within(self.opts(*err, *found_err), || "error".to_string()))
            }
            (TypeDef::Map(key, value), TypeDef::Map(found_key, found_value)) => {
                within(self.vals(*key, *found_key), || "key".to_string())
                    .and_then(|()| within(self.vals(*value, *found_value), || "value".to_string()))
            }
            (TypeDef::Stream(a), TypeDef::Stream(b)) | (TypeDef::Future(a), TypeDef::Future(b)) => {
                within(self.opts(*a, *b), || "element".to_string())
            }
            (TypeDef::Own(a), TypeDef::Own(b)) | (TypeDef::Borrow(a), TypeDef::Borrow(b)) => {
                self.resources(*a, *b)
            }
            (TypeDef::Flags(a), TypeDef::Flags(b)) | (TypeDef::Enum(a), TypeDef::Enum(b)) if a == b => Ok(()),
            _ => return None,
        })
    }

    fn fields(&mut self, expected: &[Field], found: &[Field]) -> Compared {
        for (index, (a, b)) in expected.iter().zip(found).enumerate() {
            if a.name != b.name {
                let names = here(format!("the name \"{}\"", a.name), format!("\"{}\"", b.name));
                return within(names, || format!("field {}", nth(index)));
            }
            within(self.vals(a.ty, b.ty), || format!("field \"{}\"", a.name))?;
        }
        Ok(())
    }

    fn cases(&mut self, expected: &[Case], found: &[Case]) -> Compared {
        for (index, (a, b)) in expected.iter().zip(found).enumerate() {
            if a.name != b.name {
                let names = here(format!("the name \"{}\"", a.name), format!("\"{}\"", b.name));
                return within(names, || format!("case {}", nth(index)));
            }
            within(self.opts(a.ty, b.ty), || format!("case \"{}\"", a.name))?;
        }
        Ok(())
    }

    fn resources(&self, expected: u32, found: u32) -> Compared {
        let a = self.expected.resources.get(expected as usize);
        let b = self.found.resources.get(found as usize);
        if a.is_some() && a == b {
            return Ok(());
        }
        let name = |side: &Side<'_>, index| match side.table.resource(index) {
            Some(resource) if !resource.name.is_empty() => format!("resource \"{}\"", resource.name),
            _ => "resource".to_string(),
        };
        let (expected, found) = (name(&self.expected, expected), name(&self.found, found));
        let found = if expected == found { format!("another {found}") } else { found };
        here(expected, found)
    }
}
