//! `spi`: [`Device`].

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use canon_async_wasmi::Val;
use embedded_hal::spi::{ErrorKind, Operation, SpiDevice};

use crate::budget::{Answers, Budget, HalLimits};
use crate::interface::Interface;
use crate::refused::{OTHER, Refused, number};
use crate::serve::{InTurn, Later, Run, Serve, Served};
use crate::slot::Slot;

/// The case of `error-kind`.
#[doc(hidden)]
pub fn error(error: impl embedded_hal::spi::Error) -> Refused {
    Refused::Case(match error.kind() {
        ErrorKind::Overrun => "overrun",
        ErrorKind::ModeFault => "mode-fault",
        ErrorKind::FrameFormat => "frame-format",
        ErrorKind::ChipSelectFault => "chip-select-fault",
        _ => return OTHER,
    })
}

enum Op {
    Read(Vec<u8>),
    Write(Vec<u8>),
    Transfer(Vec<u8>),
    DelayNs(u32),
}

/// One call of a guest. For `async_spi!`.
pub struct Request {
    operations: Vec<Op>,
    answers: Answers,
}

impl Request {
    /// The operations, for a `transaction`.
    pub fn operations(&mut self) -> Vec<Operation<'_, u8>> {
        let operations = self.operations.iter_mut().map(|op| match op {
            Op::Read(bytes) => Operation::Read(bytes),
            Op::Write(bytes) => Operation::Write(bytes),
            Op::Transfer(bytes) => Operation::TransferInPlace(bytes),
            Op::DelayNs(ns) => Operation::DelayNs(*ns),
        });
        operations.collect()
    }

    fn answer(self) -> Option<Val> {
        let reads = self.operations.into_iter().filter_map(|op| match op {
            Op::Read(bytes) | Op::Transfer(bytes) => Some(bytes),
            Op::Write(_) | Op::DelayNs(_) => None,
        });
        self.answers.of(reads)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// A device for [`Hal::spi`](crate::Hal::spi).
pub struct Device<D> {
    device: D,
    run: Run<D, Request>,
}

impl<D: fmt::Debug> fmt::Debug for Device<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Device").field(&self.device).finish()
    }
}

impl<D: Send + 'static> Device<D> {
    /// A device whose transfers block: nothing else runs meanwhile. One whose transfers don't is `async_spi!`.
    pub fn new(device: D) -> Self
    where
        D: SpiDevice,
    {
        let run = |device: &mut D, request: &mut Request| {
            device.transaction(&mut request.operations()).map_err(error)
        };
        Self { device, run: Run::Now(run) }
    }

    /// `async_spi!`.
    #[doc(hidden)]
    pub fn waiting(device: D, run: Later<D, Request>) -> Self {
        Self { device, run: Run::Later(run) }
    }

    pub(crate) fn erase(self, limits: HalLimits) -> AnyDevice {
        let serve = InTurn { slot: Slot::new(self.device, limits.waiting), run: self.run };
        AnyDevice { serve: Box::new(serve), limits }
    }
}

/// A device whose transfers wait: of an `embedded_hal_async::spi::SpiDevice`. A macro for the reason of
/// `async_input!`.
#[cfg(feature = "async")]
#[macro_export]
macro_rules! async_spi {
    ($device:expr) => {
        $crate::spi::Device::waiting($device, |device, request: &mut $crate::spi::Request| {
            $crate::by_macro::boxed(async move {
                use $crate::by_macro::{SpiDevice, spi_error};
                let mut operations = request.operations();
                <_ as SpiDevice>::transaction(device, &mut operations).await.map_err(spi_error)
            })
        })
    };
}

/// A device, whatever its type.
pub(crate) struct AnyDevice {
    serve: Box<dyn Serve<Request>>,
    limits: HalLimits,
}

impl AnyDevice {
    pub fn is_async(&self) -> bool {
        self.serve.is_async()
    }

    fn call(
        &self,
        answers: Answers,
        operations: impl Fn(&mut Budget) -> Result<Vec<Op>, Refused>,
    ) -> Result<Served<Request>, Refused> {
        self.serve.serve(&mut || {
            let operations = operations(&mut Budget::new(self.limits))?;
            Ok(Request { operations, answers })
        })
    }
}

pub(crate) fn define<T>(interface: &mut Interface<'_, T, AnyDevice>) {
    let mut method = |name, call: fn(&AnyDevice, &[Val]) -> Result<Served<Request>, Refused>| {
        interface.serve(name, AnyDevice::is_async, call, Request::answer);
    };
    method("read", |device, args| {
        let [length] = args else { return Err(Refused::Type) };
        let length = number(length)?;
        device.call(Answers::One, |budget| Ok(Vec::from([Op::Read(budget.room(length)?)])))
    });
    method("write", |device, args| {
        let [bytes] = args else { return Err(Refused::Type) };
        device.call(Answers::Nothing, |budget| Ok(Vec::from([Op::Write(budget.bytes(bytes)?)])))
    });
    method("transfer", |device, args| {
        let [bytes] = args else { return Err(Refused::Type) };
        device.call(Answers::One, |budget| Ok(Vec::from([Op::Transfer(budget.bytes(bytes)?)])))
    });
    method("transaction", |device, args| {
        let [operations] = args else { return Err(Refused::Type) };
        device.call(Answers::Each, |budget| {
            budget.operations(operations, |budget, case, with| match case {
                "read" => Ok(Op::Read(budget.room(number(with)?)?)),
                "write" => Ok(Op::Write(budget.bytes(with)?)),
                "transfer" => Ok(Op::Transfer(budget.bytes(with)?)),
                "delay-ns" => {
                    let ns = number(with)?;
                    budget.hold(ns.into())?;
                    Ok(Op::DelayNs(ns))
                }
                _ => Err(Refused::Type),
            })
        })
    });
}
