//! The steps, played through: nothing is used before it is made, and everything is made once.

use alloc::format;
use alloc::vec::Vec;
use core::fmt::Display;

use super::names::module_ref;
use super::types::Facts;
use super::{Checked, in_range, wrong};
use crate::plan::{CoreImport, CoreItem, CoreKind, Func, ModuleRef, Options, Plan, PlanError, Step, Value};
use crate::types::{Origin, ValType};

/// What the steps so far have made.
pub(super) struct Made<'a> {
    pub(super) plan: &'a Plan,
    pub(super) facts: &'a Facts,
    core_instances: usize,
    options: Once,
    lifts: Once,
    builtins: Once,
    dtors: Once,
    /// The type of each start function's result.
    starts: Vec<Option<ValType>>,
}

/// Of each entry of a table, whether it has been made.
struct Once {
    made: Vec<bool>,
    /// The table and one of its entries, for messages.
    names: (&'static str, &'static str),
}

impl Once {
    fn new<T>(entries: &[T], names: (&'static str, &'static str)) -> Self {
        Self { made: entries.iter().map(|_| false).collect(), names }
    }

    fn make(&mut self, path: impl Display, index: u32) -> Checked {
        let (table, _) = self.names;
        let len = self.made.len();
        match self.made.get_mut(index as usize) {
            None => in_range(path, index, len, table),
            Some(true) => Err(wrong(path, format_args!("{table}[{index}] is made twice"))),
            Some(made) => {
                *made = true;
                Ok(())
            }
        }
    }

    fn is_made(&self, path: impl Display, index: u32) -> Checked {
        let (table, entry) = self.names;
        match self.made.get(index as usize) {
            None => in_range(path, index, self.made.len(), table),
            Some(false) => {
                Err(wrong(path, format_args!("{table}[{index}], {entry} that no step before has made")))
            }
            Some(true) => Ok(()),
        }
    }

    fn all(&self) -> Checked {
        match self.made.iter().position(|made| !made) {
            Some(index) => Err(wrong(format_args!("{}[{index}]", self.names.0), "no step makes it")),
            None => Ok(()),
        }
    }
}

impl<'a> Made<'a> {
    /// Plays all steps through.
    pub fn by_steps(plan: &'a Plan, facts: &'a Facts) -> Result<Self, PlanError> {
        let mut made = Self {
            plan,
            facts,
            core_instances: 0,
            options: Once::new(&plan.options, ("options", "options")),
            lifts: Once::new(&plan.lifts, ("lifts", "a function")),
            builtins: Once::new(&plan.builtins, ("builtins", "a core function")),
            dtors: Once::new(&plan.types.resources, ("types.resources", "a resource type")),
            starts: Vec::new(),
        };
        for (index, step) in plan.steps.iter().enumerate() {
            made.step(&format!("steps[{index}]"), step)?;
        }
        [&made.options, &made.lifts, &made.builtins].into_iter().try_for_each(Once::all)?;
        Ok(made)
    }

    fn step(&mut self, path: &str, step: &Step) -> Checked {
        match step {
            Step::InstantiateCore { module, instance, imports } => {
                self.instantiate_core(path, *module, *instance, imports)
            }
            Step::Destructor { resource, func } => self.destructor(path, *resource, func),
            Step::Options(index) => {
                self.options.make(path, *index)?;
                let options = self.plan.options.get(*index as usize);
                options.map_or(Ok(()), |options| self.check_options(&format!("options[{index}]"), options))
            }
            Step::Lift(index) => {
                self.lifts.make(path, *index)?;
                let lift = self.plan.lifts.get(*index as usize);
                lift.map_or(Ok(()), |lift| self.check_lift(&format!("lifts[{index}]"), lift))
            }
            Step::Builtin(index) => {
                self.builtins.make(path, *index)?;
                let builtin = self.plan.builtins.get(*index as usize);
                builtin.map_or(Ok(()), |builtin| self.check_builtin(&format!("builtins[{index}]"), builtin))
            }
            Step::Start { func, args } => self.start(path, *func, args),
        }
    }

    fn instantiate_core(
        &mut self,
        path: &str,
        module: ModuleRef,
        instance: u32,
        imports: &[CoreImport],
    ) -> Checked {
        module_ref(self.plan, format_args!("{path}.module"), module)?;
        in_range(
            format_args!("{path}.instance"),
            instance,
            self.plan.instances.len(),
            "component instances",
        )?;
        for (index, import) in imports.iter().enumerate() {
            self.core_item(format_args!("{path}.imports[{index}].item"), &import.item, import.kind)?;
        }
        self.core_instances = self.core_instances.saturating_add(1);
        Ok(())
    }

    fn destructor(&mut self, path: &str, resource: u32, func: &CoreItem) -> Checked {
        let at = format_args!("{path}.resource");
        self.own_resource(at, resource)?;
        self.dtors.make(at, resource)?;
        self.core_item(format_args!("{path}.func"), func, CoreKind::Func)
    }

    /// A resource type that the component defines.
    pub(super) fn own_resource(&self, path: impl Display, resource: u32) -> Checked {
        let resources = &self.plan.types.resources;
        in_range(&path, resource, resources.len(), "resource types")?;
        match resources.get(resource as usize).map(|resource| &resource.origin) {
            Some(Origin::Defined { .. }) => Ok(()),
            _ => Err(wrong(path, "a resource type that is imported")),
        }
    }

    /// Something that is there by now.
    pub(super) fn core_item(&self, path: impl Display, item: &CoreItem, kind: CoreKind) -> Checked {
        match item {
            CoreItem::Export { instance, name: _ } => {
                in_range(path, *instance, self.core_instances, "core instances so far")
            }
            CoreItem::Builtin(index) if kind == CoreKind::Func => self.builtins.is_made(path, *index),
            CoreItem::Builtin(_) => Err(wrong(path, format_args!("a built-in, expected a core {kind}"))),
        }
    }

    fn check_options(&self, path: &str, options: &Options) -> Checked {
        let Options { instance, encoding: _, memory, realloc, post_return, callback, is_async } = options;
        let instances = self.plan.instances.len();
        in_range(format_args!("{path}.instance"), *instance, instances, "component instances")?;
        let items = [
            ("memory", memory, CoreKind::Memory),
            ("realloc", realloc, CoreKind::Func),
            ("post_return", post_return, CoreKind::Func),
            ("callback", callback, CoreKind::Func),
        ];
        for (name, item, kind) in items {
            if let Some(item) = item {
                self.core_item(format_args!("{path}.{name}"), item, kind)?;
            }
        }
        if realloc.is_some() && memory.is_none() {
            return Err(wrong(format_args!("{path}.realloc"), "there is no memory to allocate in"));
        }
        if callback.is_some() && !is_async {
            return Err(wrong(format_args!("{path}.callback"), "only asynchronous functions have one"));
        }
        if post_return.is_some() && *is_async {
            return Err(wrong(format_args!("{path}.post_return"), "only synchronous functions have one"));
        }
        Ok(())
    }

    /// Options that a step has made.
    pub(super) fn options(&self, path: impl Display, index: u32) -> Result<&'a Options, PlanError> {
        self.options.is_made(&path, index)?;
        self.plan.options.get(index as usize).ok_or_else(|| wrong(path, "no options"))
    }

    /// 🪙 A start function, with arguments of its parameters' types.
    fn start(&mut self, path: &str, func: Func, args: &[Value]) -> Checked {
        let at = format_args!("{path}.func");
        self.func(at, func)?;
        let ty = self.plan.func_type(func).ok_or_else(|| wrong(at, "a function without a type"))?;
        if args.len() != ty.params.len() {
            let problem = format_args!("{} arguments, expected {}", args.len(), ty.params.len());
            return Err(wrong(format_args!("{path}.args"), problem));
        }
        for (index, (arg, param)) in args.iter().zip(&ty.params).enumerate() {
            self.value(format_args!("{path}.args[{index}]"), *arg, param.ty)?;
        }
        self.starts.push(ty.result);
        Ok(())
    }

    /// A component function that is there by now.
    pub(super) fn func(&self, path: impl Display, func: Func) -> Checked {
        match func {
            Func::Lift(index) => self.lifts.is_made(path, index),
            Func::Import(index) => in_range(path, index, self.plan.import_funcs.len(), "imported functions"),
        }
    }

    /// 🪙 A value of this type that is there by now.
    pub(super) fn value(&self, path: impl Display, value: Value, ty: ValType) -> Checked {
        let found = match value {
            Value::Import(index) => {
                let values = &self.plan.import_values;
                in_range(&path, index, values.len(), "imported values")?;
                values.get(index as usize).map(|value| value.ty)
            }
            Value::Start(index) => {
                in_range(&path, index, self.starts.len(), "start functions so far")?;
                self.starts.get(index as usize).copied().flatten()
            }
        };
        match found {
            Some(found) if found == ty => Ok(()),
            found => {
                let text = |ty: ValType| format!("{}", self.plan.types.display(ty));
                let found = found.map_or_else(|| "no value".into(), text);
                Err(wrong(path, format_args!("expected a value of type {}, found {found}", text(ty))))
            }
        }
    }
}
