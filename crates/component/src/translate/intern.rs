//! The plan's tables without duplicates: types, core types, options, built-ins.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::limits::Limit;
use super::{PlanLimits, TranslateError};
use crate::layout::Layouts;
use crate::plan::{Builtin, BuiltinKind, CoreFuncType, Options};
use crate::types::{FuncType, Origin, Resource, TypeDef, TypeTable, ValType};

/// A table whose entries are all different, with a limit.
pub(super) struct Unique<T> {
    entries: Vec<T>,
    index: BTreeMap<T, u32>,
    what: &'static str,
    limit: Limit,
}

impl<T: Clone + Ord> Unique<T> {
    pub fn new(what: &'static str, limit: Limit) -> Self {
        Self { entries: Vec::new(), index: BTreeMap::new(), what, limit }
    }

    /// The index of an equal entry, or of a new one; and whether it is new.
    pub fn intern(&mut self, entry: T) -> Result<(u32, bool), TranslateError> {
        if let Some(index) = self.index.get(&entry) {
            return Ok((*index, false));
        }
        let index = next_index(self.entries.len(), self.what, self.limit)?;
        self.entries.push(entry.clone());
        self.index.insert(entry, index);
        Ok((index, true))
    }

    pub fn get(&self, index: u32) -> Option<&T> {
        self.entries.get(index as usize)
    }

    pub fn into_entries(self) -> Vec<T> {
        self.entries
    }
}

/// The index of the next entry of a table that has `len`.
pub(super) fn next_index(len: usize, what: &'static str, limit: Limit) -> Result<u32, TranslateError> {
    let index = u32::try_from(len).unwrap_or(u32::MAX);
    limit.check(what, u64::from(index).saturating_add(1), None)?;
    Ok(index)
}

/// The tables.
pub(super) struct Tables {
    pub defs: Unique<TypeDef>,
    pub funcs: Unique<FuncType>,
    pub resources: Vec<Resource>,
    pub layouts: Layouts,
    pub core_types: Unique<CoreFuncType>,
    pub options: Unique<Options>,
    pub builtins: Unique<Builtin>,
    limits: PlanLimits,
}

impl Tables {
    pub fn new(limits: &PlanLimits) -> Self {
        Self {
            defs: Unique::new("types", limits.types()),
            funcs: Unique::new("function types", limits.types()),
            resources: Vec::new(),
            layouts: Layouts::default(),
            core_types: Unique::new("core function types", limits.types()),
            options: Unique::new("options", limits.steps()),
            builtins: Unique::new("built-ins", limits.steps()),
            limits: *limits,
        }
    }

    /// Interns a value type that is not primitive.
    pub fn def(&mut self, def: TypeDef, offset: u64) -> Result<ValType, TranslateError> {
        let (index, new) = self.defs.intern(def)?;
        if new && let Some(def) = self.defs.get(index) {
            self.layouts.push(def).map_err(|error| TranslateError::of_type(error, offset))?;
        }
        Ok(ValType::Defined(index))
    }

    pub fn func(&mut self, func: FuncType) -> Result<u32, TranslateError> {
        Ok(self.funcs.intern(func)?.0)
    }

    pub fn core_type(&mut self, ty: CoreFuncType) -> Result<u32, TranslateError> {
        Ok(self.core_types.intern(ty)?.0)
    }

    /// The built-in's index, and whether it is new.
    pub fn builtin(&mut self, kind: BuiltinKind, ty: CoreFuncType) -> Result<(u32, bool), TranslateError> {
        let core_type = self.core_type(ty)?;
        self.builtins.intern(Builtin { kind, core_type })
    }

    /// The component instance that options stand in.
    pub fn instance_of(&self, options: u32) -> Option<u32> {
        self.options.get(options).map(|options| options.instance)
    }

    pub fn resource(&mut self, name: &str, origin: Origin) -> Result<u32, TranslateError> {
        let index = next_index(self.resources.len(), "resource types", self.limits.types())?;
        self.resources.push(Resource { name: name.into(), origin });
        Ok(index)
    }

    /// Gives a resource a name to show, where it has none.
    pub fn name_resource(&mut self, index: u32, name: &str) {
        if let Some(resource) = self.resources.get_mut(index as usize)
            && resource.name.is_empty()
        {
            resource.name = name.into();
        }
    }

    pub fn into_types(self) -> (TypeTable, Vec<CoreFuncType>, Vec<Options>, Vec<Builtin>) {
        let types = TypeTable {
            defs: self.defs.into_entries(),
            funcs: self.funcs.into_entries(),
            resources: self.resources,
        };
        (types, self.core_types.into_entries(), self.options.into_entries(), self.builtins.into_entries())
    }
}
