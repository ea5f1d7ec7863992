//! What serves the calls of one device.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;

use crate::refused::Refused;
use crate::slot::Slot;

/// A future that a host function may wait for.
pub type BoxFuture<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// Serves a request by blocking.
pub(crate) type Now<D, Q> = fn(&mut D, &mut Q) -> Result<(), Refused>;
/// Serves a request by waiting.
pub(crate) type Later<D, Q> = for<'a> fn(&'a mut D, &'a mut Q) -> BoxFuture<'a, Result<(), Refused>>;

pub(crate) enum Run<D, Q> {
    Now(Now<D, Q>),
    Later(Later<D, Q>),
}

impl<D, Q> Clone for Run<D, Q> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D, Q> Copy for Run<D, Q> {}

impl<D, Q> Run<D, Q> {
    pub fn is_async(self) -> bool {
        matches!(self, Self::Later(_))
    }

    async fn run(self, device: &mut D, request: &mut Q) -> Result<(), Refused> {
        match self {
            Self::Now(run) => run(device, request),
            Self::Later(run) => run(device, request).await,
        }
    }
}

/// A request that is under way, which comes back with what was read.
pub(crate) type Served<Q> = BoxFuture<'static, Result<Q, Refused>>;

/// A device, whatever its type.
pub(crate) trait Serve<Q>: Send + Sync {
    /// Whether a request may take longer than the call.
    fn is_async(&self) -> bool;

    /// Serves what `request` makes, which is not asked where the device has no place for it. Dropping the future stops it.
    fn serve(&self, request: &mut dyn FnMut() -> Result<Q, Refused>) -> Result<Served<Q>, Refused>;
}

/// A device that serves one request at a time.
pub(crate) struct InTurn<D, Q> {
    pub slot: Arc<Slot<D>>,
    pub run: Run<D, Q>,
}

impl<D: Send + 'static, Q: Send + 'static> Serve<Q> for InTurn<D, Q> {
    fn is_async(&self) -> bool {
        self.run.is_async()
    }

    fn serve(&self, request: &mut dyn FnMut() -> Result<Q, Refused>) -> Result<Served<Q>, Refused> {
        let place = self.slot.enter()?;
        let (mut request, run) = (request()?, self.run);
        Ok(Box::pin(async move {
            let mut lease = place.await;
            run.run(lease.device()?, &mut request).await?;
            Ok(request)
        }))
    }
}

/// A device of which each request has a copy.
pub(crate) struct Copied<D, Q> {
    pub device: D,
    pub run: Run<D, Q>,
}

impl<D: Clone + Send + Sync + 'static, Q: Send + 'static> Serve<Q> for Copied<D, Q> {
    fn is_async(&self) -> bool {
        self.run.is_async()
    }

    fn serve(&self, request: &mut dyn FnMut() -> Result<Q, Refused>) -> Result<Served<Q>, Refused> {
        let (mut device, mut request, run) = (self.device.clone(), request()?, self.run);
        Ok(Box::pin(async move {
            run.run(&mut device, &mut request).await?;
            Ok(request)
        }))
    }
}
