//! `i2c`: [`Bus`].

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use canon_async_wasmi::Val;
use embedded_hal::i2c::{ErrorKind, I2c, NoAcknowledgeSource, Operation};

use crate::budget::{Answers, Budget, HalLimits};
use crate::interface::Interface;
use crate::refused::{OTHER, Refused, number};
use crate::serve::{InTurn, Later, Run, Serve, Served};
use crate::slot::Slot;

/// The case of `error-kind`.
#[doc(hidden)]
pub fn error(error: impl embedded_hal::i2c::Error) -> Refused {
    Refused::Case(match error.kind() {
        ErrorKind::Bus => "bus",
        ErrorKind::ArbitrationLoss => "arbitration-loss",
        ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address) => "no-acknowledge-address",
        ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data) => "no-acknowledge-data",
        ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown) => "no-acknowledge-unknown",
        ErrorKind::Overrun => "overrun",
        _ => return OTHER,
    })
}

const NO_SUCH_ADDRESS: Refused = Refused::Case("no-such-address");
const TOO_SHORT: Refused = Refused::Case("too-short");

enum Op {
    Read(Vec<u8>),
    Write(Vec<u8>),
}

impl Op {
    /// I2C has no read of no bytes, and what a HAL does where it is asked for one, differs.
    fn read(budget: &mut Budget, len: u32) -> Result<Self, Refused> {
        if len == 0 { Err(TOO_SHORT) } else { budget.room(len).map(Self::Read) }
    }
}

/// One call of a guest. For `async_i2c!`.
pub struct Request {
    address: u8,
    operations: Vec<Op>,
    answers: Answers,
}

impl Request {
    /// The address of seven bits.
    pub fn address(&self) -> u8 {
        self.address
    }

    /// The operations, for a `transaction`.
    pub fn operations(&mut self) -> Vec<Operation<'_>> {
        let operations = self.operations.iter_mut().map(|op| match op {
            Op::Read(bytes) => Operation::Read(bytes),
            Op::Write(bytes) => Operation::Write(bytes),
        });
        operations.collect()
    }

    fn answer(self) -> Option<Val> {
        let reads = self.operations.into_iter().filter_map(|op| match op {
            Op::Read(bytes) => Some(bytes),
            Op::Write(_) => None,
        });
        self.answers.of(reads)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A bus for [`Hal::i2c`](crate::Hal::i2c). Guests may use every address on it, unless [`Bus::only`] says which.
pub struct Bus<D> {
    device: D,
    run: Run<D, Request>,
    addresses: Option<Vec<u8>>,
}

impl<D: fmt::Debug> fmt::Debug for Bus<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, addresses, .. } = self;
        f.debug_struct("Bus").field("device", device).field("addresses", addresses).finish()
    }
}

impl<D: Send + 'static> Bus<D> {
    /// A bus whose transfers block: nothing else runs meanwhile. One whose transfers don't is `async_i2c!`.
    pub fn new(device: D) -> Self
    where
        D: I2c,
    {
        let run = Run::Now(|device: &mut D, request: &mut Request| {
            device.transaction(request.address, &mut request.operations()).map_err(error)
        });
        Self { device, run, addresses: None }
    }

    /// `async_i2c!`.
    #[doc(hidden)]
    pub fn waiting(device: D, run: Later<D, Request>) -> Self {
        Self { device, run: Run::Later(run), addresses: None }
    }

    /// Lets guests use these addresses alone.
    #[must_use]
    pub fn only(mut self, addresses: &[u8]) -> Self {
        self.addresses = Some(addresses.into());
        self
    }

    pub(crate) fn erase(self, limits: HalLimits) -> AnyBus {
        let serve = InTurn { slot: Slot::new(self.device, limits.waiting), run: self.run };
        AnyBus { serve: Box::new(serve), addresses: self.addresses, limits }
    }
}

/// A bus whose transfers wait: of an `embedded_hal_async::i2c::I2c`. A macro for the reason of `async_input!`.
#[cfg(feature = "async")]
#[macro_export]
macro_rules! async_i2c {
    ($device:expr) => {
        $crate::i2c::Bus::waiting($device, |device, request: &mut $crate::i2c::Request| {
            $crate::by_macro::boxed(async move {
                use $crate::by_macro::{I2c, i2c_error};
                let address = request.address();
                let mut operations = request.operations();
                <_ as I2c>::transaction(device, address, &mut operations).await.map_err(i2c_error)
            })
        })
    };
}

/// A bus, whatever its type.
pub(crate) struct AnyBus {
    serve: Box<dyn Serve<Request>>,
    addresses: Option<Vec<u8>>,
    limits: HalLimits,
}

impl AnyBus {
    pub fn is_async(&self) -> bool {
        self.serve.is_async()
    }

    /// What is served, of the address among the arguments; `operations` makes the rest.
    fn call(
        &self,
        address: &Val,
        answers: Answers,
        operations: impl Fn(&mut Budget) -> Result<Vec<Op>, Refused>,
    ) -> Result<Served<Request>, Refused> {
        let &Val::U8(address) = address else { return Err(Refused::Type) };
        if address > 0x7f || self.addresses.as_ref().is_some_and(|only| !only.contains(&address)) {
            return Err(NO_SUCH_ADDRESS);
        }
        self.serve.serve(&mut || {
            let operations = operations(&mut Budget::new(self.limits))?;
            if operations.is_empty() {
                return Err(TOO_SHORT);
            }
            Ok(Request { address, operations, answers })
        })
    }
}

pub(crate) fn define<T>(interface: &mut Interface<'_, T, AnyBus>) {
    let mut method = |name, call: fn(&AnyBus, &[Val]) -> Result<Served<Request>, Refused>| {
        interface.serve(name, AnyBus::is_async, call, Request::answer);
    };
    method("read", |bus, args| {
        let [address, length] = args else { return Err(Refused::Type) };
        let length = number(length)?;
        bus.call(address, Answers::One, |budget| Ok(Vec::from([Op::read(budget, length)?])))
    });
    method("write", |bus, args| {
        let [address, bytes] = args else { return Err(Refused::Type) };
        bus.call(address, Answers::Nothing, |budget| Ok(Vec::from([Op::Write(budget.bytes(bytes)?)])))
    });
    method("write-read", |bus, args| {
        let [address, bytes, length] = args else { return Err(Refused::Type) };
        let length = number(length)?;
        bus.call(address, Answers::One, |budget| {
            Ok(Vec::from([Op::Write(budget.bytes(bytes)?), Op::read(budget, length)?]))
        })
    });
    method("transaction", |bus, args| {
        let [address, operations] = args else { return Err(Refused::Type) };
        bus.call(address, Answers::Each, |budget| {
            budget.operations(operations, |budget, case, with| match case {
                "read" => Op::read(budget, number(with)?),
                "write" => Ok(Op::Write(budget.bytes(with)?)),
                _ => Err(Refused::Type),
            })
        })
    });
}
