//! 🪙 Values and start functions, while a plan is instantiated.
//!
//! Spec: Explainer, "Value Definitions", "Start Definitions".

use alloc::string::ToString;
use alloc::vec::Vec;

use canon_async::state::InstanceKind;
use canon_async::{Error, run};

use super::LinkError;
use super::imports::Found;
use super::steps::Steps;
use crate::engine::Engine;
use crate::host::CallState;
use crate::plan::{Func, Value};
use crate::val::Val;

impl<E: Engine> Steps<'_, E> {
    /// Takes the values that the linker provides.
    pub fn import_values(&mut self, found: &Found<'_, E>) -> Result<(), LinkError> {
        for index in 0..self.tables.plan.import_values.len() {
            let value = u32::try_from(index).ok().and_then(|index| found.value(index));
            self.import_values
                .push(value.ok_or_else(|| LinkError::plan("an import for each value"))?.clone());
        }
        Ok(())
    }

    /// 🪙 Calls a start function as the host calls any, and runs whatever is ready until it has returned.
    pub(super) fn start(&mut self, func: Func, args: &[Value]) -> Result<(), LinkError> {
        self.check_start(func)?;
        let func = self.func(func)?;
        let args = args.iter().map(|arg| self.value(*arg)).collect::<Result<_, _>>()?;
        let call = self.e.host_calls().start(&func, args)?;
        let task = match run::call(self.e, func.lift(), call) {
            Ok(task) => task,
            Err(error) => {
                self.e.host_calls().remove(call);
                return Err(error.into());
            }
        };
        if let Err(error) = run::run_until(self.e, task) {
            self.e.host_calls().abandon(call);
            return Err(error.into());
        }
        match self.e.host_calls().take(call) {
            Some(CallState::Returned(value)) => self.starts.push(value),
            Some(CallState::Failed(error)) => return Err(error.at("result of the start function").into()),
            _ => return Err(Error::Bug("a start function has ended without having returned").into()),
        }
        Ok(())
    }

    /// A host function has no instance to run in, and the host can't call itself.
    fn check_start(&mut self, func: Func) -> Result<(), LinkError> {
        let lift = self.lift_id(func)?;
        let store = self.e.store();
        let instance = store.options(store.lift(lift)?.options)?.instance;
        match (func, store.instance(instance)?.kind()) {
            (Func::Import(index), InstanceKind::Host) => {
                let import = self.tables.plan.import_funcs.get(index as usize);
                Err(LinkError::Mismatch {
                    path: import.map(|import| import.path.clone()).unwrap_or_default(),
                    at: Vec::from(["start function".to_string()]),
                    expected: "a function of a component".to_string(),
                    found: "a host function".to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// 🪙 A value that is known by now.
    pub fn value(&self, value: Value) -> Result<Val, LinkError> {
        let found = match value {
            Value::Import(index) => self.import_values.get(index as usize),
            Value::Start(index) => self.starts.get(index as usize).and_then(Option::as_ref),
        };
        found.cloned().ok_or_else(|| LinkError::plan("a value before its use"))
    }
}
