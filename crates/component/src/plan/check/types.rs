//! Types: each is made of those before it.
//!
//! Spec: Explainer, "Type Definitions".

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt::Display;

use canon_async::spec::PtrType;

use super::{Checked, in_range, wrong};
use crate::layout::Layouts;
use crate::plan::{Plan, PlanError};
use crate::types::{Field, FuncType, Origin, TypeDef, TypeTable, ValType};

/// The most parameters of a component function: as many as core functions have.
const MAX_PARAMS: usize = 1000;

/// What is known of a plan's types.
pub(super) struct Facts {
    pub layouts: Layouts,
    /// By the index of a type, what is in its values.
    defs: Vec<Contents>,
}

/// What is in the values of a type, at any depth.
#[derive(Clone, Copy, Default)]
struct Contents {
    borrow: bool,
    /// A string or a list.
    pointer: bool,
}

impl Facts {
    /// Checks all types.
    pub fn new(plan: &Plan) -> Result<Self, PlanError> {
        let types = &plan.types;
        for (index, resource) in types.resources.iter().enumerate() {
            if let Origin::Defined { instance, .. } = resource.origin {
                let path = format_args!("types.resources[{index}].origin.instance");
                in_range(path, instance, plan.instances.len(), "component instances")?;
            }
        }
        let mut facts = Self { layouts: Layouts::default(), defs: Vec::new() };
        for (index, def) in types.defs.iter().enumerate() {
            facts.def(types, def, format_args!("types.defs[{index}]"))?;
        }
        for (index, func) in types.funcs.iter().enumerate() {
            facts.func(func, index)?;
        }
        Ok(facts)
    }

    /// A type that the table has.
    pub fn known(&self, path: impl Display, ty: ValType) -> Checked {
        match ty {
            ValType::Defined(index) => in_range(path, index, self.defs.len(), "types"),
            _ => Ok(()),
        }
    }

    /// A result: it borrows nothing.
    pub fn unborrowed(&self, path: impl Display, ty: Option<ValType>) -> Checked {
        let Some(ty) = ty else { return Ok(()) };
        self.known(&path, ty)?;
        match self.contents(ty).borrow {
            true => Err(wrong(path, "a type with a borrow in it, which can't be here")),
            false => Ok(()),
        }
    }

    /// Whether a value has strings or lists in it.
    pub fn has_pointer(&self, ty: ValType) -> bool {
        self.contents(ty).pointer
    }

    fn contents(&self, ty: ValType) -> Contents {
        match ty {
            ValType::String => Contents { pointer: true, borrow: false },
            ValType::Defined(index) => self.defs.get(index as usize).copied().unwrap_or_default(),
            _ => Contents::default(),
        }
    }

    fn def(&mut self, types: &TypeTable, def: &TypeDef, path: impl Display) -> Checked {
        let mut known = Ok(());
        let mut contents = Contents::default();
        def.for_each(|ty| {
            if let ValType::Defined(index) = ty
                && known.is_ok()
            {
                known = in_range(&path, index, self.defs.len(), "types before it");
            }
            let part = self.contents(ty);
            contents.borrow |= part.borrow;
            contents.pointer |= part.pointer;
        });
        known?;
        match def {
            TypeDef::Record(fields) => unique(&path, fields.iter().map(|field| field.name.as_str()))?,
            TypeDef::Variant(cases) => unique(&path, cases.iter().map(|case| case.name.as_str()))?,
            TypeDef::Flags(labels) | TypeDef::Enum(labels) => {
                unique(&path, labels.iter().map(|label| &**label))?
            }
            TypeDef::Tuple(types) if types.is_empty() => return Err(wrong(path, "expected a part")),
            TypeDef::FixedList(_, 0) => return Err(wrong(path, "expected a length of 1 or more")),
            TypeDef::Map(key, _) if !is_key(*key) => return Err(wrong(path, "a key of a type that is none")),
            TypeDef::Own(resource) | TypeDef::Borrow(resource) => {
                in_range(&path, *resource, types.resources.len(), "resource types")?;
            }
            TypeDef::Stream(_) | TypeDef::Future(_) if contents.borrow => {
                return Err(wrong(path, "an element with a borrow in it"));
            }
            _ => {}
        }
        match def {
            TypeDef::Borrow(_) => contents.borrow = true,
            TypeDef::List(_) | TypeDef::Map(..) => contents.pointer = true,
            // A handle.
            TypeDef::Stream(_) | TypeDef::Future(_) => contents.pointer = false,
            _ => {}
        }
        self.layouts.push(def).map_err(|error| wrong(path, error))?;
        self.defs.push(contents);
        Ok(())
    }

    fn func(&self, func: &FuncType, index: usize) -> Checked {
        let path = format_args!("types.funcs[{index}]");
        let FuncType { params, result, is_async: _ } = func;
        if params.len() > MAX_PARAMS {
            let problem = format_args!("{} parameters, and {MAX_PARAMS} are the most", params.len());
            return Err(wrong(format_args!("{path}.params"), problem));
        }
        for (at, Field { ty, .. }) in params.iter().enumerate() {
            self.known(format_args!("{path}.params[{at}].ty"), *ty)?;
        }
        if !params.is_empty() {
            unique(format_args!("{path}.params"), params.iter().map(|param| param.name.as_str()))?;
        }
        let together = self.layouts.fields(params.iter().map(|param| param.ty), PtrType::I64);
        together.map_err(|error| wrong(format_args!("{path}.params"), error))?;
        self.unborrowed(format_args!("{path}.result"), *result)
    }
}

/// Checks that there are labels, and that none is there twice.
pub(super) fn unique<'a>(path: impl Display, labels: impl Iterator<Item = &'a str>) -> Checked {
    let mut known = BTreeSet::new();
    for label in labels {
        if !known.insert(label) {
            return Err(wrong(path, format_args!("\"{label}\" is there twice")));
        }
    }
    match known.is_empty() {
        true => Err(wrong(path, "expected a label")),
        false => Ok(()),
    }
}

/// `keytype`.
fn is_key(ty: ValType) -> bool {
    !matches!(ty, ValType::F32 | ValType::F64 | ValType::ErrorContext | ValType::Defined(_))
}
