//! [`Component`].

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use canon_async_component::Plan;

use crate::config::Engine;
use crate::error::Error;

/// A component, translated to a plan, with its core modules compiled. A clone is the same component.
#[derive(Clone)]
pub struct Component(Arc<Inner>);

struct Inner {
    engine: Engine,
    plan: Plan,
    modules: Vec<wasmi::Module>,
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { plan, modules, .. } = &*self.0;
        f.debug_struct("Component").field("name", &plan.name).field("modules", &modules.len()).finish()
    }
}

impl Component {
    /// Translates a component's bytes and compiles its core modules.
    ///
    /// # Errors
    /// `Component`: the bytes are no component, an invalid one, or one that uses what is switched off or not
    /// implemented; `Module`: wasmi has not what a core module uses.
    #[cfg(feature = "translate")]
    pub fn new(engine: &Engine, bytes: &[u8]) -> Result<Self, Error> {
        let plan = canon_async_component::translate(bytes, &engine.translate_options())?;
        Self::from_plan(engine, plan)
    }

    /// Compiles the core modules of a plan. wasmi validates them, so that the plan need not be trusted.
    ///
    /// # Errors
    /// `Module`: a core module is invalid, or wasmi has not what it uses.
    pub fn from_plan(engine: &Engine, plan: Plan) -> Result<Self, Error> {
        let compile = |module: &canon_async_component::plan::Module| {
            wasmi::Module::new(engine.wasmi(), &module.bytes)
                .map_err(|error| Error::Module(error.to_string()))
        };
        let modules = plan.modules.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Inner { engine: engine.clone(), plan, modules })))
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The compiled module of these very bytes.
    pub(crate) fn compiled(&self, wasm: &[u8]) -> Option<&wasmi::Module> {
        let at =
            self.0.plan.modules.iter().position(|module| core::ptr::eq(module.bytes.as_slice(), wasm))?;
        self.0.modules.get(at)
    }
}
