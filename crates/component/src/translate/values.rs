//! 🪙 Values: they are imported, passed on, given to the start function, and exported.
//!
//! Spec: Explainer, "Value Definitions", "Start Definitions". `wasmparser` knows no value definitions, and no types that are
//! equal to a value.

use wasmparser::{ComponentStartFunction, ComponentValType};

use super::TranslateError;
use super::bind::{Bound, Source};
use super::inline::Inliner;
use super::intern::next_index;
use super::scope::{Item, ScopeId, ValueItem};
use crate::plan::{ImportItem, ImportValue, Step, Value};

impl<'t, 'a> Inliner<'t, 'a> {
    /// A value that is imported.
    pub(super) fn bind_value(
        &mut self,
        scope: ScopeId,
        ty: ComponentValType,
        source: Source<'t, 'a>,
    ) -> Result<Bound<'t, 'a>, TranslateError> {
        match source {
            Source::Actual(item @ Item::Value(_)) => Ok(Bound { item, import: ImportItem::OtherType }),
            Source::Actual(_) => Err(self.expected("a value")),
            Source::Host(path) => {
                let ty = self.val_type(scope, ty)?;
                let index =
                    next_index(self.plan.import_values.len(), "imported values", self.limits.items())?;
                self.plan.import_values.push(ImportValue { path, ty });
                let item = Item::Value(ValueItem { value: Value::Import(index), ty });
                Ok(Bound { item, import: ImportItem::Value(index) })
            }
        }
    }

    /// A start definition.
    pub(super) fn start(
        &mut self,
        scope: ScopeId,
        start: &ComponentStartFunction,
    ) -> Result<(), TranslateError> {
        let found = self.scope(scope)?;
        let func = found.funcs.get(start.func_index as usize).copied();
        let func = func.ok_or_else(|| self.expected("a known function index"))?;
        let args =
            start.arguments.iter().map(|index| found.values.get(*index as usize).map(|item| item.value));
        let args = args.collect::<Option<_>>().ok_or_else(|| self.expected("a known value index"))?;
        let ty = self.plan.func_type_index(func).and_then(|ty| self.tables.funcs.get(ty));
        let result = ty.ok_or_else(|| self.expected("a function type"))?.result;
        self.charge(u32::try_from(start.arguments.len()).unwrap_or(u32::MAX))?;
        self.step(Step::Start { func, args })?;
        let index = next_index(self.starts, "start functions", self.limits.steps())?;
        self.starts = self.starts.saturating_add(1);
        if let Some(ty) = result {
            self.scope_mut(scope)?.values.push(ValueItem { value: Value::Start(index), ty });
        }
        Ok(())
    }
}
