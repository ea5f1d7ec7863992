//! Where threads of the host find functions of guests: core instances and tables, by number.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use canon_async::abi::types::{FuncType, NewType, ValType};
use canon_async::ambient::FunctionAt;
use canon_async::id::{FuncRef, InstanceId, LiftId, OptsId};
use canon_async::spec::MAX_FLAT_PARAMS;
use canon_async::state::{Lift, Options};
use canon_async::{Error, Heap, Store};
use canon_async_component::plan::{CoreFuncType, CoreType};
use wasmi::{Extern, Func, Nullable, Ref, StoreContext, Table};

use crate::state::State;

/// The core instances and tables of a store, in the order in which they came, and what was made of their functions.
#[derive(Debug, Default)]
pub(crate) struct Places {
    modules: Vec<Module>,
    tables: Vec<(InstanceId, Table)>,
    options: BTreeMap<InstanceId, OptsId>,
    lifts: BTreeMap<(InstanceId, String), LiftId>,
}

/// What a core instance exports, in any order.
pub(crate) type Exports = Vec<(Box<str>, Extern)>;

/// A core instance: what it exports, in the order of the names, since wasmi keeps none.
#[derive(Debug)]
struct Module {
    instance: InstanceId,
    funcs: Vec<(Box<str>, Func)>,
    tables: Vec<(Box<str>, u32)>,
}

/// A function, and the component instance in which it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub instance: InstanceId,
    pub func: Func,
}

const NO_MODULE: Error = Error::Misuse("there is no core instance of this number");
const NO_FUNCTION: Error = Error::Misuse("the core instance exports no such function");
const NO_TABLE: Error = Error::Misuse("no core instance exports such a table");

impl Places {
    /// How many core instances there are.
    pub fn modules(&self) -> u32 {
        u32::try_from(self.modules.len()).unwrap_or(u32::MAX)
    }

    /// Numbers a new core instance with these exports, and its tables.
    pub fn add(&mut self, instance: InstanceId, mut exports: Exports) {
        exports.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut module = Module { instance, funcs: Vec::new(), tables: Vec::new() };
        for (name, item) in exports {
            match item {
                Extern::Func(func) => module.funcs.push((name, func)),
                Extern::Table(table) => {
                    let Ok(number) = u32::try_from(self.tables.len()) else { continue };
                    self.tables.push((instance, table));
                    module.tables.push((name, number));
                }
                Extern::Memory(_) | Extern::Global(_) => {}
            }
        }
        self.modules.push(module);
    }

    fn module(&self, number: u32) -> Result<&Module, Error> {
        self.modules.get(number as usize).ok_or(NO_MODULE)
    }

    /// The number of a function that a core instance exports.
    pub fn function_index(&self, module: u32, export: &str) -> Result<u32, Error> {
        let funcs = &self.module(module)?.funcs;
        let found = funcs.binary_search_by(|(name, _)| (**name).cmp(export)).ok();
        found.and_then(|index| u32::try_from(index).ok()).ok_or(NO_FUNCTION)
    }

    /// The number of a table that a core instance exports.
    pub fn table_index(&self, module: u32, export: &str) -> Result<u32, Error> {
        let found = self.module(module)?.tables.iter().find(|(name, _)| **name == *export);
        found.map(|(_, number)| *number).ok_or(NO_TABLE)
    }

    /// The function at a place, as it is now.
    pub fn find<T>(&self, ctx: StoreContext<'_, State<T>>, at: FunctionAt) -> Result<Place, Error> {
        match at {
            FunctionAt::Index { module, function } => {
                let module = self.module(module)?;
                let (_, func) = module.funcs.get(function as usize).ok_or(NO_FUNCTION)?;
                Ok(Place { instance: module.instance, func: *func })
            }
            FunctionAt::Table { table, index } => {
                let (instance, table) = self.tables.get(table as usize).ok_or(NO_TABLE)?;
                match table.get(ctx, u64::from(index)) {
                    Some(Ref::Func(Nullable::Val(func))) => Ok(Place { instance: *instance, func }),
                    _ => Err(Error::Misuse("the table has no function at this index")),
                }
            }
        }
    }

    /// What was made of a function before.
    pub fn lift(&self, place: Place) -> Option<LiftId> {
        self.lifts.get(&place.key()).copied()
    }

    /// Makes a component function of numbers alone of a core function of this type.
    pub fn make_lift(
        &mut self,
        store: &mut Store<Heap>,
        place: Place,
        func: FuncRef,
        ty: &CoreFuncType,
    ) -> Result<LiftId, Error> {
        let params: Vec<_> = ty.params.iter().map(|ty| Some(number(*ty))).collect();
        let result = match ty.results.as_slice() {
            [] => None,
            [result] => Some(number(*result)),
            _ => return Err(Error::Misuse("a thread's function has one result at most")),
        };
        if params.len() > MAX_FLAT_PARAMS {
            return Err(Error::Misuse("a thread's function has 16 parameters at most"));
        }
        let options = match self.options.get(&place.instance) {
            Some(options) => *options,
            None => {
                let options = store.add_options(Options::new(place.instance))?;
                self.options.insert(place.instance, options);
                options
            }
        };
        let params = store.types_mut().intern(NewType::Record(&params), 0)?;
        // Of an `async` type: it may block.
        let ty = store.types_mut().intern_func(FuncType { params, result, is_async: true })?;
        let lift = store.add_lift(Lift { func, ty, options })?;
        self.lifts.insert(place.key(), lift);
        Ok(lift)
    }
}

impl Place {
    /// wasmi's handles can't be compared but by what they look like: a number, by which the store knows the function.
    fn key(self) -> (InstanceId, String) {
        (self.instance, format!("{:?}", self.func))
    }
}

fn number(ty: CoreType) -> ValType {
    match ty {
        CoreType::I32 => ValType::S32,
        CoreType::I64 => ValType::S64,
        CoreType::F32 => ValType::F32,
        CoreType::F64 => ValType::F64,
    }
}
