//! Types as text, despecialised: `(r u8 (l str))` is a record of a byte and a list of strings. `r`ecord, `v`ariant (`_` is a case
//! without a payload), `l`ist, `f`ixed-length list with its length, fla`g`s with their number.

use canon_async::Heap;
use canon_async::abi::types::{NewType, TypeItem, Types, ValType};
use canon_async_component::layout::Layouts;
use canon_async_component::types::{Case, Field, TypeDef, ValType as PlanType};

/// A type, in a store's types and in a plan's.
#[derive(Clone, Copy)]
pub struct Both {
    pub store: ValType,
    pub plan: PlanType,
}

/// Reads types, and defines them in both.
pub struct Parser<'a> {
    pub types: &'a mut Types<Heap>,
    pub layouts: &'a mut Layouts,
    defined: u32,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    pub fn parse(types: &'a mut Types<Heap>, layouts: &'a mut Layouts, text: &'a str) -> Both {
        let mut parser = Parser { types, layouts, defined: 0, rest: text };
        let both = parser.item().expect("a type");
        assert!(parser.rest.is_empty(), "{text}");
        both
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find([' ', '(', ')']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn opens(&mut self, with: char) -> bool {
        match self.rest.trim_start().strip_prefix(with) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A type, or `None` for `_`.
    fn item(&mut self) -> Option<Both> {
        if self.opens('(') { Some(self.group()) } else { primitive(self.word()) }
    }

    fn group(&mut self) -> Both {
        let kind = self.word();
        match kind {
            "g" => {
                let labels: u8 = self.word().parse().expect("a number of labels");
                assert!(self.opens(')'));
                self.define(
                    NewType::Flags(labels),
                    &TypeDef::Flags((0..labels).map(|n| n.to_string()).collect()),
                )
            }
            "f" => {
                let element = self.item().expect("an element");
                let length = self.word().parse().expect("a length");
                assert!(self.opens(')'));
                self.define(
                    NewType::FixedList(element.store, length),
                    &TypeDef::FixedList(element.plan, length),
                )
            }
            _ => {
                let mut items: Vec<Option<Both>> = Vec::new();
                while !self.opens(')') {
                    items.push(self.item());
                }
                self.group_of(kind, &items)
            }
        }
    }

    fn group_of(&mut self, kind: &str, items: &[Option<Both>]) -> Both {
        let store: Vec<TypeItem> = items.iter().map(|item| item.map(|both| both.store)).collect();
        let plan = items.iter().enumerate().map(|(i, item)| (i.to_string(), item.map(|both| both.plan)));
        match kind {
            "r" => {
                let fields = plan.map(|(name, ty)| Field { name, ty: ty.expect("a field's type") }).collect();
                self.define(NewType::Record(&store), &TypeDef::Record(fields))
            }
            "v" => {
                let cases = plan.map(|(name, ty)| Case { name, ty }).collect();
                self.define(NewType::Variant(&store), &TypeDef::Variant(cases))
            }
            "l" => {
                let element = items.first().copied().flatten().expect("an element");
                self.define(NewType::List(element.store), &TypeDef::List(element.plan))
            }
            other => panic!("no type is {other}"),
        }
    }

    fn define(&mut self, store: NewType<'_>, plan: &TypeDef) -> Both {
        let store = ValType::Defined(self.types.intern(store, 0).expect("a type"));
        self.layouts.push(plan).expect("a type");
        self.defined += 1;
        Both { store, plan: PlanType::Defined(self.defined - 1) }
    }
}

fn primitive(name: &str) -> Option<Both> {
    let (store, plan) = match name {
        "_" => return None,
        "b" => (ValType::Bool, PlanType::Bool),
        "s8" => (ValType::S8, PlanType::S8),
        "u8" => (ValType::U8, PlanType::U8),
        "s16" => (ValType::S16, PlanType::S16),
        "u16" => (ValType::U16, PlanType::U16),
        "s32" => (ValType::S32, PlanType::S32),
        "u32" => (ValType::U32, PlanType::U32),
        "s64" => (ValType::S64, PlanType::S64),
        "u64" => (ValType::U64, PlanType::U64),
        "f32" => (ValType::F32, PlanType::F32),
        "f64" => (ValType::F64, PlanType::F64),
        "c" => (ValType::Char, PlanType::Char),
        "str" => (ValType::String, PlanType::String),
        other => panic!("no type is {other}"),
    };
    Some(Both { store, plan })
}
