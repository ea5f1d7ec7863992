//! [`Linker`].

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;

use canon_async::id::ResourceId;
use canon_async_component::{ImportKind, LinkError, MissingImport, Val, link, types};

use crate::component::Component;
use crate::config::Engine;
use crate::error::Error;
use crate::instance::Instance;
use crate::later::{Answer, LaterFuture};
use crate::start;
use crate::state::StoreId;
use crate::store::{AsContext, AsContextMut, Caller};

/// How a host function answers.
pub(crate) enum Given {
    /// It has.
    Now(Answer),
    /// When this future says.
    Later(LaterFuture),
}

/// A host function: gets its arguments in the order of its type, and answers its result, if its type has one.
///
/// An error becomes the calling guest's trap; [`Error::host`] gives it a text.
type Closure<T> = dyn Fn(Caller<'_, T>, &[Val]) -> Given + Send + Sync;

/// A host function behind a pointer: what [`Linker`] keeps.
///
/// One that panics has failed with the panic's text: its guest traps. Without the feature `std` nobody can
/// catch a panic, and wasmi lets none through its frames: the process aborts.
pub struct HostFunc<T: 'static>(pub(crate) Arc<Closure<T>>);

impl<T> Clone for HostFunc<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for HostFunc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostFunc")
    }
}

impl<T> HostFunc<T> {
    /// A host function.
    pub fn new(
        func: impl Fn(Caller<'_, T>, &[Val]) -> Result<Option<Val>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |caller, args| Given::Now(func(caller, args))))
    }

    /// A host function that answers later, of an `async` type: it gets the store when it is called, and not
    /// while its future waits. The future is dropped where the guest cancels the call, or dies.
    pub fn later<F>(func: impl Fn(Caller<'_, T>, &[Val]) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<Val>, Error>> + Send + 'static,
    {
        Self(Arc::new(move |caller, args| Given::Later(Box::pin(func(caller, args)))))
    }
}

/// Names, and what the host provides under them to components that import them.
///
/// A path is `name`, or `instance#name` for something in an instance
/// (`wasi:clocks/monotonic-clock@0.3.0#now`). An interface that is not there by its name is taken with a
/// compatible version, or by what the import 🏷️ implements: see [`link::Linker`]. Defining a path again
/// replaces what was there.
pub struct Linker<T: 'static> {
    engine: Engine,
    inner: link::Linker<HostFunc<T>, wasmi::Module>,
    /// The store that instances and resources among the definitions belong to.
    store: Option<StoreId>,
}

impl<T> fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Linker").field(&self.inner).finish()
    }
}

impl<T> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), inner: self.inner.clone(), store: self.store }
    }
}

const OTHER_STORE: &str = "something of another store";
const OTHER_ENGINE: &str = "something of another engine";

impl<T> Linker<T> {
    /// A linker without names.
    pub fn new(engine: &Engine) -> Self {
        Self { engine: engine.clone(), inner: link::Linker::new(), store: None }
    }

    /// A host function, of whatever type it is imported with: it sees its arguments' types in the values.
    pub fn func(
        &mut self,
        path: &str,
        func: impl Fn(Caller<'_, T>, &[Val]) -> Result<Option<Val>, Error> + Send + Sync + 'static,
    ) -> &mut Self {
        self.inner.func(path, HostFunc::new(func));
        self
    }

    /// A host function that answers later, of whatever `async` type it is imported with: see
    /// [`HostFunc::later`].
    pub fn func_async<F>(
        &mut self,
        path: &str,
        func: impl Fn(Caller<'_, T>, &[Val]) -> F + Send + Sync + 'static,
    ) -> &mut Self
    where
        F: Future<Output = Result<Option<Val>, Error>> + Send + 'static,
    {
        self.inner.func(path, HostFunc::later(func));
        self
    }

    /// A host function of a type of its own, the one at index `ty` of [`types::TypeTable::funcs`], which
    /// imports have to match. It may not mention resources.
    ///
    /// # Errors
    /// `Link`: the types are none.
    pub fn func_typed(
        &mut self,
        path: &str,
        table: types::TypeTable,
        ty: u32,
        func: impl Fn(Caller<'_, T>, &[Val]) -> Result<Option<Val>, Error> + Send + Sync + 'static,
    ) -> Result<&mut Self, Error> {
        self.inner.func_typed(path, table, ty, HostFunc::new(func)).map_err(Error::Link)?;
        Ok(self)
    }

    /// An instance with everything that another component's instance exports, of the same store.
    ///
    /// # Errors
    /// `Misuse`: the instance is of another store, or the linker has definitions of another one.
    pub fn instance(
        &mut self,
        ctx: impl AsContext<Data = T>,
        path: &str,
        instance: &Instance,
    ) -> Result<&mut Self, Error> {
        self.bind(&ctx, instance.store)?;
        self.inner.instance(path, &instance.inner);
        Ok(self)
    }

    /// One thing that another component's instance exports, at `export`, of the same store.
    ///
    /// # Errors
    /// `Misuse`: as [`Linker::instance`], or there is no such export.
    pub fn export(
        &mut self,
        ctx: impl AsContext<Data = T>,
        path: &str,
        instance: &Instance,
        export: &str,
    ) -> Result<&mut Self, Error> {
        self.bind(&ctx, instance.store)?;
        match self.inner.export(path, &instance.inner, export) {
            true => Ok(self),
            false => Err(Error::misuse("there is no such export")),
        }
    }

    /// A new resource type of the host. Its destructor, if any, gets the representation as [`Val::U32`] where
    /// a guest drops the last handle.
    ///
    /// # Errors
    /// `Trap` with `Capacity(ResourceTypes | Functions)`; `Misuse`: the linker has definitions of another
    /// store.
    pub fn resource(
        &mut self,
        mut ctx: impl AsContextMut<Data = T>,
        path: &str,
        dtor: Option<HostFunc<T>>,
    ) -> Result<ResourceId, Error> {
        let store = ctx.context().data().id;
        self.bind(&ctx, store)?;
        let mut wx = ctx.wx();
        let resource =
            link::define_host_resource(&mut wx, dtor.as_ref()).map_err(|error| wx.link_error(error))?;
        self.inner.resource(path, resource);
        Ok(resource)
    }

    /// A resource type that is known already: of another instance, or one that [`Linker::resource`] defined.
    ///
    /// # Errors
    /// `Misuse`: the linker has definitions of another store.
    pub fn known_resource(
        &mut self,
        ctx: impl AsContext<Data = T>,
        path: &str,
        resource: ResourceId,
    ) -> Result<&mut Self, Error> {
        let store = ctx.context().data().id;
        self.bind(&ctx, store)?;
        self.inner.resource(path, resource);
        Ok(self)
    }

    /// A core module. What it imports and exports is compared with the type that a component imports it with
    /// when that is instantiated: it may import less and export more.
    ///
    /// # Errors
    /// `Module`: it is invalid, or wasmi has not what it uses.
    pub fn module(&mut self, path: &str, wasm: &[u8]) -> Result<&mut Self, Error> {
        self.inner.module(path, start::compile(&self.engine, wasm).map_err(Error::Module)?);
        Ok(self)
    }

    /// 🪙 A value. A handle in it is of the store that it came from.
    pub fn value(&mut self, path: &str, value: Val) -> &mut Self {
        self.inner.value(path, value);
        self
    }

    /// What a component imports and this linker has nothing for: all of it. Runs nothing; O(imports).
    pub fn missing(&self, component: &Component) -> Vec<MissingImport> {
        self.inner.missing(component.plan())
    }

    /// Gives a component what it imports and this linker has not: functions that trap when they are called,
    /// with a text that names the import, and resource types of the host. For a component that needs only a
    /// part of what it imports. The result lists the imports that are still missing: core modules and values.
    /// O(imports).
    ///
    /// ```
    /// use canon_async_wasmi::{Component, Engine, Linker, Store};
    ///
    /// # fn main() -> Result<(), canon_async_wasmi::Error> {
    /// # let wasm = wat::parse_str(r#"(component
    /// #   (import "log" (func $log))
    /// #   (export "run" (func $log)))"#).unwrap();
    /// let engine = Engine::default();
    /// let component = Component::new(&engine, &wasm)?;
    /// let mut store = Store::new(&engine, ());
    /// let mut linker = Linker::new(&engine);
    /// assert!(linker.unknown_imports_trap(&mut store, &component)?.is_empty());
    /// let instance = linker.instantiate(&mut store, &component)?;
    /// let error = instance.func(&store, "run").unwrap().call(&mut store, &[]).unwrap_err();
    /// assert_eq!(error.to_string(), "wasm trap: import \"log\" was called, which nothing provides");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Trap` with `Capacity(ResourceTypes)`; `Misuse`: the linker has definitions of another store.
    pub fn unknown_imports_trap(
        &mut self,
        mut ctx: impl AsContextMut<Data = T>,
        component: &Component,
    ) -> Result<Vec<MissingImport>, Error> {
        let mut left = Vec::new();
        for import in self.missing(component) {
            let definition = import.definition();
            match import.kind {
                ImportKind::Func => {
                    let text = format!("import \"{}\" was called, which nothing provides", import.path);
                    self.func(&definition, move |_, _| Err(Error::host(&text)));
                }
                ImportKind::Resource => {
                    self.resource(&mut ctx, &definition, None)?;
                }
                _ => left.push(import),
            }
        }
        Ok(left)
    }

    /// Instantiates a component: runs the start functions of its core modules, and its own.
    ///
    /// # Errors
    /// `Link`: imports are missing, or one is of another type; `Trap`: a start function trapped, or a limit
    /// of the store. What was made before stays in the store.
    pub fn instantiate(
        &self,
        mut ctx: impl AsContextMut<Data = T>,
        component: &Component,
    ) -> Result<Instance, Error> {
        let mut wx = ctx.wx();
        let state = wx.state_mut();
        if !state.engine.same(component.engine()) || !state.engine.same(&self.engine) {
            return Err(Error::misuse(OTHER_ENGINE));
        }
        let store = state.id;
        if self.store.is_some_and(|bound| bound != store) {
            return Err(Error::misuse(OTHER_STORE));
        }
        wx.look_outside()?;
        let state = wx.state_mut();
        let outer = state.linking.replace(component.clone());
        let root = state.trace.begin(component);
        let first = state.modules();
        let result = canon_async_component::instantiate(&mut wx, component.plan(), &self.inner);
        let state = wx.state_mut();
        state.linking = outer;
        state.trace.end(root);
        let inner = result.map_err(|error| wx.link_error(error))?;
        Ok(Instance { store, inner, modules: first..wx.state().modules() })
    }

    fn bind(&mut self, ctx: &impl AsContext<Data = T>, to: StoreId) -> Result<(), Error> {
        if ctx.context().data().id != to || self.store.is_some_and(|bound| bound != to) {
            return Err(Error::misuse(OTHER_STORE));
        }
        self.store = Some(to);
        Ok(())
    }
}

impl<T> crate::Wx<'_, T> {
    /// A trap of a start function is a trap like any other.
    pub(crate) fn link_error(&mut self, error: LinkError) -> Error {
        match error {
            LinkError::Store(error) => self.explain(error),
            other => Error::Link(other),
        }
    }
}
