//! `--host spectest`: what the test suites of other engines import from their host.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use canon_async_component::types::{Field, FuncType, TypeTable, ValType};
use canon_async_wasmi::{AsContextMut as _, Caller, Error, HostFunc, Linker, Store, Val};

/// `f()` returns 101; `g` is 100.
const SIMPLE_MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x05\x01\x60\0\x01\x7f\
    \x03\x02\x01\0\
    \x06\x07\x01\x7f\0\x41\xe4\0\x0b\
    \x07\x09\x02\x01f\0\0\x01g\x03\0\
    \x0a\x07\x01\x05\0\x41\xe5\0\x0b";

/// What the host remembers of its resources, through all of a file.
#[derive(Clone, Default)]
pub struct Spectest(Arc<Drops>);

#[derive(Default)]
struct Drops {
    count: AtomicU32,
    /// The representation of the last.
    last: AtomicU32,
}

/// `func(x: ty) -> ty`, or `func() -> ty`.
fn table(param: Option<ValType>, result: ValType, is_async: bool) -> TypeTable {
    let params = param.map(|ty| Field { name: "p1".into(), ty }).into_iter().collect();
    TypeTable { funcs: [FuncType { params, result: Some(result), is_async }].into(), ..TypeTable::default() }
}

fn unexpected() -> Error {
    Error::host("spectest: arguments of other types than in Wasmtime's test suite")
}

fn expect(holds: bool) -> Result<Option<Val>, Error> {
    if holds { Ok(None) } else { Err(Error::host("spectest: assertion failed")) }
}

/// Pending once.
async fn slowly() {
    let mut waited = false;
    std::future::poll_fn(|context| match std::mem::replace(&mut waited, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

impl Spectest {
    /// Gives it to a linker.
    ///
    /// # Errors
    /// A limit of the store.
    pub fn link(&self, linker: &mut Linker<()>, store: &mut Store<()>) -> Result<(), Error> {
        functions(linker)?;
        linker.module("host#simple-module", SIMPLE_MODULE)?;
        self.resources(linker, store)
    }

    fn resources(&self, linker: &mut Linker<()>, store: &mut Store<()>) -> Result<(), Error> {
        let drops = self.0.clone();
        let dtor = HostFunc::new(move |_: Caller<'_, ()>, args: &[Val]| {
            let [Val::U32(rep)] = args else { return Err(unexpected()) };
            drops.count.fetch_add(1, Ordering::Relaxed);
            drops.last.store(*rep, Ordering::Relaxed);
            Ok(None)
        });
        let resource = linker.resource(&mut *store, "host#resource1", Some(dtor))?;
        linker.known_resource(&*store, "host#resource1-again", resource)?;
        linker.resource(&mut *store, "host#resource2", None)?;
        linker.func("host#[constructor]resource1", move |mut caller, args| match args {
            [Val::U32(rep)] => Ok(Some(Val::Resource(caller.new_resource(resource, *rep)?))),
            _ => Err(unexpected()),
        });
        // An `own` is a handle of the host's, and a `borrow` the representation itself.
        linker.func("host#[static]resource1.assert", |mut caller, args| match args {
            [Val::Resource(own), Val::U32(rep)] => {
                let found = caller.resource_rep(*own)?;
                caller.drop_resource(*own)?;
                expect(found == *rep)
            }
            _ => Err(unexpected()),
        });
        linker.func("host#[method]resource1.simple", |_, args| match args {
            [Val::Resource(found), Val::U32(rep)] => expect(found == rep),
            _ => Err(unexpected()),
        });
        linker.func("host#[method]resource1.take-borrow", |_, args| match args {
            [Val::Resource(_), Val::Resource(_)] => Ok(None),
            _ => Err(unexpected()),
        });
        linker.func("host#[method]resource1.take-own", |mut caller, args| match args {
            [Val::Resource(_), Val::Resource(own)] => caller.drop_resource(*own).map(|()| None),
            _ => Err(unexpected()),
        });
        linker.func_async("host#[method]resource1.never-return", |_, _| std::future::pending());
        let drops = self.0.clone();
        let last = move |_: Caller<'_, ()>, _: &[Val]| Ok(Some(Val::U32(drops.last.load(Ordering::Relaxed))));
        linker.func_typed("host#[static]resource1.last-drop", table(None, ValType::U32, false), 0, last)?;
        let drops = self.0.clone();
        let count =
            move |_: Caller<'_, ()>, _: &[Val]| Ok(Some(Val::U32(drops.count.load(Ordering::Relaxed))));
        linker.func_typed("host#[static]resource1.drops", table(None, ValType::U32, false), 0, count)?;
        Ok(())
    }
}

fn functions(linker: &mut Linker<()>) -> Result<(), Error> {
    for (path, number) in [("host-return-two", 2), ("host#return-three", 3), ("host#nested#return-four", 4)] {
        let number = move |_: Caller<'_, ()>, _: &[Val]| Ok(Some(Val::U32(number)));
        linker.func_typed(path, table(None, ValType::U32, false), 0, number)?;
    }
    let hi = |_: Caller<'_, ()>, _: &[Val]| Ok(Some(Val::String("hi".into())));
    linker.func_typed("host#return-hi", table(None, ValType::String, false), 0, hi)?;
    // What answers later has the type that it is imported with.
    let echo = |args: &[Val]| match args {
        [Val::U32(number)] => Ok(Some(Val::U32(*number))),
        _ => Err(unexpected()),
    };
    linker.func_async("host-echo-u32", move |_, args| std::future::ready(echo(args)));
    linker.func_async("host#echo-slowly", move |_, args| {
        let answer = echo(args);
        async move {
            slowly().await;
            answer
        }
    });
    linker.func_async("host#return-two-slowly", |_, _| async {
        slowly().await;
        Ok(Some(Val::S32(2)))
    });
    linker.func_async("host#never-return", |_, _| std::future::pending());
    Ok(())
}
