//! The interfaces of `canon:hal`: their resources, and what their functions have in common.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};

use canon_async_wasmi::{AsContextMut, Error, Linker, Val};

use crate::refused::{BUSY, Refused, result};
use crate::serve::Served;

/// The path of an interface.
pub(crate) fn path(interface: &str) -> String {
    format!("canon:hal/{interface}@0.1.0")
}

/// Devices by name. The representation of a handle is where its device stands.
pub(crate) struct Devices<D: ?Sized>(Vec<(String, Arc<D>)>);

impl<D: ?Sized> Devices<D> {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one, or puts it in the place of the one of its name.
    pub fn add(&mut self, name: &str, device: Arc<D>) {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = device,
            None => self.0.push((name.into(), device)),
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    fn find(&self, name: &str) -> Option<u32> {
        u32::try_from(self.0.iter().position(|(other, _)| other == name)?).ok()
    }

    /// The device of a method's first argument, and the others.
    fn of<'a>(&self, args: &'a [Val]) -> Result<(&D, &'a [Val]), Refused> {
        let [Val::Resource(rep), args @ ..] = args else { return Err(Refused::Type) };
        let (_, device) = self.0.get(*rep as usize).ok_or(Refused::Type)?;
        Ok((device, args))
    }
}

/// An interface with one resource type, which is being defined.
pub(crate) struct Interface<'a, T: 'static, D: ?Sized> {
    linker: &'a mut Linker<T>,
    devices: Arc<Devices<D>>,
    /// The beginning of its methods' paths.
    method: String,
}

impl<'a, T, D: ?Sized + Send + Sync + 'static> Interface<'a, T, D> {
    /// Defines the resource type, and how guests open one.
    pub fn new(
        linker: &'a mut Linker<T>,
        ctx: impl AsContextMut<Data = T>,
        (interface, resource): (&str, &str),
        devices: Devices<D>,
    ) -> Result<Self, Error> {
        let interface = path(interface);
        let ty = linker.resource(ctx, &format!("{interface}#{resource}"), None)?;
        let devices = Arc::new(devices);
        let named = devices.clone();
        linker.func(&format!("{interface}#[static]{resource}.open"), move |mut caller, args| {
            let [Val::String(name)] = args else { return result(Err(Refused::Type)) };
            let made = named.find(name).map(|rep| caller.new_resource(ty, rep)).transpose()?;
            Ok(Some(Val::Option(made.map(|handle| Box::new(Val::Resource(handle))))))
        });
        Ok(Self { linker, devices, method: format!("{interface}#[method]{resource}.") })
    }

    /// A method that answers at once.
    pub fn now(
        &mut self,
        method: &str,
        call: impl Fn(&D, &[Val]) -> Result<Option<Val>, Refused> + Send + Sync + 'static,
    ) {
        let devices = self.devices.clone();
        self.linker.func(&format!("{}{method}", self.method), move |_, args| {
            result(devices.of(args).and_then(|(device, args)| call(device, args)))
        });
    }

    /// A method that a device serves.
    pub fn serve<Q: Send + 'static>(
        &mut self,
        method: &str,
        is_async: fn(&D) -> bool,
        call: impl Fn(&D, &[Val]) -> Result<Served<Q>, Refused> + Send + Sync + 'static,
        answer: fn(Q) -> Option<Val>,
    ) {
        let devices = self.devices.clone();
        let is_async = devices.0.iter().any(|(_, device)| is_async(device));
        let call = move |args: &[Val]| {
            let (device, args) = devices.of(args)?;
            call(device, args)
        };
        define_served(self.linker, &format!("{}{method}", self.method), is_async, call, answer);
    }
}

/// A function that a device serves: later, or at once where each of the interface's devices blocks.
pub(crate) fn define_served<T, Q: Send + 'static>(
    linker: &mut Linker<T>,
    path: &str,
    is_async: bool,
    call: impl Fn(&[Val]) -> Result<Served<Q>, Refused> + Send + Sync + 'static,
    answer: fn(Q) -> Option<Val>,
) {
    if is_async {
        linker.func_async(path, move |_, args| {
            // It begins in the call, so that a guest misses no edge that it brings about next. Afterwards it is polled with its waker.
            let begun = call(args).map(begin);
            async move {
                result(match begun {
                    Ok((Poll::Ready(served), _)) => served.map(answer),
                    Ok((Poll::Pending, served)) => served.await.map(answer),
                    Err(refused) => Err(refused),
                })
            }
        });
        return;
    }
    linker.func(path, move |_, args| {
        result(call(args).and_then(|served| match begin(served) {
            (Poll::Ready(served), _) => served.map(answer),
            // A device that blocks is in nobody's hands between two calls.
            (Poll::Pending, _) => Err(BUSY),
        }))
    });
}

/// Polls a request for the first time.
fn begin<Q>(mut served: Served<Q>) -> (Poll<Result<Q, Refused>>, Served<Q>) {
    (served.as_mut().poll(&mut Context::from_waker(Waker::noop())), served)
}
