//! [`Component`].

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use canon_async_component::Plan;

use crate::config::Engine;
use crate::error::Error;
use crate::start;

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
    /// A device has plans, and no translation: `canon compile` makes them, and [`Plan::from_static`] reads one that lies in
    /// flash, with its core modules left where they are.
    ///
    /// # Errors
    /// `Module`: a core module is invalid, or wasmi has not what it uses.
    ///
    /// ```
    /// use canon_async_wasmi::{Component, Engine, Linker, Plan, Store, Val};
    ///
    /// # fn main() -> Result<(), canon_async_wasmi::Error> {
    /// # let wasm = wat::parse_str(r#"(component
    /// #   (core module $M (func (export "run") (result i32) (i32.const 42)))
    /// #   (core instance $m (instantiate $M))
    /// #   (func (export "run") (result u32) (canon lift (core func $m "run"))))"#).unwrap();
    /// # let plan = Component::new(&Engine::default(), &wasm)?.plan().to_bytes()?;
    /// // `static PLAN: &[u8] = include_bytes!("run.canon");`
    /// # let PLAN: &'static [u8] = plan.leak();
    /// let engine = Engine::default();
    /// let component = Component::from_plan(&engine, Plan::from_static(PLAN)?)?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    /// let run = instance.func(&store, "run").expect("an export");
    /// assert_eq!(run.call(&mut store, &[])?, Some(Val::U32(42)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_plan(engine: &Engine, plan: Plan) -> Result<Self, Error> {
        let compile = |module: &canon_async_component::plan::Module| {
            start::compile(engine, &module.bytes).map_err(Error::Module)
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
        let at = self.0.plan.modules.iter().position(|module| core::ptr::eq(&*module.bytes, wasm))?;
        self.0.modules.get(at)
    }
}
