//! Buses and delays that wait; the tests let them end.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use canon_async::Embedding;
use canon_async_hal::{Hal, HalLimits, async_delay, async_i2c, async_spi};
use canon_async_wasmi::Val;

use crate::common::{CALLBACK, MEMORY, SLEEPER, SLEEPER_WORLD, Setup, WAITS, bytes};

/// A bus on which a transfer takes until the test lets it end. Reads get the number of the transfer.
#[derive(Clone, Default)]
struct Wires(Arc<Mutex<Transfers>>);

#[derive(Default)]
struct Transfers {
    /// What was begun: the address, and what was written.
    begun: Vec<(u8, Vec<u8>)>,
    /// Those that go on now, and those that may end.
    now: u32,
    may_end: u32,
    waker: Option<Waker>,
}

struct Transfer(Wires);

impl Drop for Transfer {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().now -= 1;
    }
}

impl Wires {
    /// One transfer ends.
    fn end(&self) {
        let waker = {
            let mut transfers = self.0.lock().unwrap();
            transfers.may_end += 1;
            transfers.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn begun(&self) -> Vec<(u8, Vec<u8>)> {
        self.0.lock().unwrap().begun.clone()
    }

    fn now(&self) -> u32 {
        self.0.lock().unwrap().now
    }

    /// A transfer; its number.
    async fn carry(&self, address: u8, written: Vec<u8>) -> u8 {
        let number = {
            let mut transfers = self.0.lock().unwrap();
            transfers.begun.push((address, written));
            transfers.now += 1;
            assert_eq!(transfers.now, 1, "one at a time");
            transfers.begun.len() as u8
        };
        let _transfer = Transfer(self.clone());
        poll_fn(|context| {
            let mut transfers = self.0.lock().unwrap();
            match transfers.may_end.checked_sub(1) {
                Some(left) => {
                    transfers.may_end = left;
                    Poll::Ready(())
                }
                None => {
                    transfers.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        number
    }
}

impl embedded_hal::i2c::ErrorType for Wires {
    type Error = embedded_hal::i2c::ErrorKind;
}

impl embedded_hal_async::i2c::I2c for Wires {
    async fn transaction(
        &mut self,
        address: u8,
        operations: &mut [embedded_hal::i2c::Operation<'_>],
    ) -> Result<(), Self::Error> {
        use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource, Operation};
        let written = operations.iter().flat_map(|operation| match operation {
            Operation::Write(bytes) => bytes.to_vec(),
            Operation::Read(_) => Vec::new(),
        });
        let number = self.carry(address, written.collect()).await;
        if address == 0x7f {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        for operation in operations {
            if let Operation::Read(bytes) = operation {
                bytes.fill(number);
            }
        }
        Ok(())
    }
}

impl embedded_hal::spi::ErrorType for Wires {
    type Error = embedded_hal::spi::ErrorKind;
}

impl embedded_hal_async::spi::SpiDevice for Wires {
    async fn transaction(
        &mut self,
        operations: &mut [embedded_hal::spi::Operation<'_, u8>],
    ) -> Result<(), Self::Error> {
        use embedded_hal::spi::Operation;
        let written = operations.iter().flat_map(|operation| match operation {
            Operation::TransferInPlace(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        });
        let number = self.carry(0, written.collect()).await;
        for operation in operations {
            if let Operation::TransferInPlace(bytes) = operation {
                bytes.iter_mut().for_each(|byte| *byte ^= number);
            }
        }
        Ok(())
    }
}

/// Reads from a bus, or transfers to a device, in its callback.
fn reader(device: &str, method: &str) -> String {
    format!(
        r#"(module {WAITS}
          (import "canon:hal/{device}" "[async-lower][method]{method}"
            (func $call (param i32 i32 i32 i32) (result i32)))
          (import "canon:hal/{device}" "[static]{}.open" (func $open (param i32 i32 i32)))
          (import "[export]$root" "[task-return]call" (func $return (param i32 i32 i32)))
          {MEMORY} {CALLBACK}
          (global $device (mut i32) (i32.const 0))
          (func (export "open") (param i32 i32) (result i32)
            (call $open (local.get 0) (local.get 1) (i32.const 16))
            (global.set $device (i32.load (i32.const 20)))
            (i32.load8_u (i32.const 16)))
          (func $finish
            (if (i32.load8_u (i32.const 64))
              (then (call $return (i32.const 1) (i32.load8_u (i32.const 68)) (i32.const 0)))
              (else (call $return (i32.const 0) (i32.load (i32.const 68)) (i32.load (i32.const 72))))))
          (func (export "[async-lift]call") (param i32 i32) (result i32)
            (call $after (call $call (global.get $device) (local.get 0) (local.get 1) (i32.const 64))))
          (export "[callback][async-lift]call" (func $callback)))"#,
        method.split('.').next().unwrap()
    )
}

const BUS_READER: &str = "
    import canon:hal/i2c@0.1.0;
    use canon:hal/i2c@0.1.0.{error-kind};
    export open: func(name: string) -> bool;
    export call: async func(address: u8, length: u32) -> result<list<u8>, error-kind>;";

fn with_bus(wires: &Wires, waiting: u8) -> Setup {
    let mut limits = HalLimits::DEFAULT;
    limits.waiting = waiting;
    let hal = Hal::new(limits).i2c("sensors", async_i2c!(wires.clone()));
    Setup::new(&reader("i2c@0.1.0", "bus.read"), BUS_READER, hal)
}

fn read_of(address: u8) -> [Val; 2] {
    [Val::U8(address), Val::U32(2)]
}

#[test]
fn i2c_read_of_a_bus_that_waits_is_answered_later() {
    let wires = Wires::default();
    let mut setup = with_bus(&wires, 0);
    let guest = setup.opened("sensors");
    let mut call = setup.start(&guest, "call", &read_of(0x20));
    setup.run();
    assert_eq!((wires.now(), setup.finish(&mut call)), (1, None));
    wires.end();
    assert_eq!(setup.finish(&mut call), Some(Ok(Some(bytes(&[1, 1])))));
    wires.end();
    let refused = setup.result(&guest, "call", &read_of(0x7f));
    assert_eq!(refused, Err("no-acknowledge-address".into()));
    setup.assert_idle();
}

#[test]
fn i2c_calls_at_once_take_their_turns_and_one_too_many_is_busy() {
    let wires = Wires::default();
    let mut setup = with_bus(&wires, 2);
    let guests = [(); 4].map(|()| setup.opened("sensors"));
    let [mut first, mut second, mut third, mut fourth] = [0x20, 0x21, 0x22, 0x23].map(|address| {
        let guest = &guests[usize::from(address - 0x20)];
        setup.start(guest, "call", &read_of(address))
    });
    setup.run();
    assert_eq!(setup.finish(&mut fourth), Some(Err("busy".into())));
    for (number, call) in (1..).zip([&mut first, &mut second, &mut third]) {
        assert_eq!(wires.begun().len(), usize::from(number));
        assert_eq!(setup.finish(call), None);
        wires.end();
        assert_eq!(setup.finish(call), Some(Ok(Some(bytes(&[number, number])))));
    }
    let begun = [0x20, 0x21, 0x22].map(|address| (address, vec![]));
    assert_eq!(wires.begun(), begun);
    // There is room again.
    wires.end();
    assert_eq!(setup.result(&guests[3], "call", &read_of(0x23)), Ok(Some(bytes(&[4, 4]))));
    setup.assert_idle();
}

#[test]
fn i2c_call_does_not_overtake_one_that_was_told_of_its_turn() {
    let wires = Wires::default();
    let mut setup = with_bus(&wires, 2);
    let guests = [(); 3].map(|()| setup.opened("sensors"));
    let mut first = setup.start(&guests[0], "call", &read_of(0x20));
    let mut second = setup.start(&guests[1], "call", &read_of(0x21));
    setup.run();
    wires.end();
    // The first ends, and the second is woken; it has not been polled.
    setup.store.embedding().poll_answers().unwrap();
    assert_eq!(wires.now(), 0);
    let mut third = setup.start(&guests[2], "call", &read_of(0x22));
    assert_eq!(wires.begun().len(), 1);
    for call in [&mut first, &mut second, &mut third] {
        assert!(matches!(setup.finish(call), Some(Ok(_))));
        wires.end();
    }
    assert_eq!(wires.begun(), [0x20, 0x21, 0x22].map(|address| (address, vec![])));
    setup.assert_idle();
}

#[test]
fn i2c_call_that_is_cancelled_ends_its_transfer_or_leaves_the_queue() {
    let wires = Wires::default();
    let mut setup = with_bus(&wires, 3);
    let guests = [(); 4].map(|()| setup.opened("sensors"));
    let mut calls = [0x20, 0x21, 0x22, 0x23].map(|address| {
        let guest = &guests[usize::from(address - 0x20)];
        setup.start(guest, "call", &read_of(address))
    });
    setup.run();
    let [first, second, third, fourth] = &mut calls;
    // In the queue; then the one that has the bus.
    second.cancel(&mut setup.store).unwrap();
    setup.run();
    assert_eq!(wires.begun(), [(0x20, vec![])]);
    first.cancel(&mut setup.store).unwrap();
    setup.run();
    assert_eq!(wires.begun(), [(0x20, vec![]), (0x22, vec![])]);
    assert_eq!(wires.now(), 1);
    wires.end();
    assert_eq!(setup.finish(third), Some(Ok(Some(bytes(&[2, 2])))));
    wires.end();
    assert_eq!(setup.finish(fourth), Some(Ok(Some(bytes(&[3, 3])))));
    for cancelled in [first, second] {
        assert_eq!(cancelled.poll(&mut setup.store).unwrap_err().to_string(), "the call was cancelled");
    }
    setup.assert_idle();
}

#[test]
fn i2c_call_above_a_limit_answers_too_long_before_the_bus_is_waited_for() {
    let wires = Wires::default();
    let mut setup = with_bus(&wires, 1);
    let guests = [(); 2].map(|()| setup.opened("sensors"));
    let mut first = setup.start(&guests[0], "call", &read_of(0x20));
    setup.run();
    let long = [Val::U8(0x21), Val::U32(HalLimits::DEFAULT.transfer_bytes + 1)];
    assert_eq!(setup.result(&guests[1], "call", &long), Err("too-long".into()));
    wires.end();
    assert_eq!(setup.finish(&mut first), Some(Ok(Some(bytes(&[1, 1])))));
    assert_eq!(wires.begun().len(), 1);
}

#[test]
fn spi_transfer_of_a_device_that_waits_is_answered_later() {
    let world = "
        import canon:hal/spi@0.1.0;
        use canon:hal/spi@0.1.0.{error-kind};
        export open: func(name: string) -> bool;
        export call: async func(bytes: list<u8>) -> result<list<u8>, error-kind>;";
    let wires = Wires::default();
    let hal = Hal::new(HalLimits::DEFAULT).spi("flash", async_spi!(wires.clone()));
    let mut setup = Setup::new(&reader("spi@0.1.0", "device.transfer"), world, hal);
    let guest = setup.opened("flash");
    let mut call = setup.start(&guest, "call", &[bytes(&[0x10, 0x20])]);
    setup.run();
    assert_eq!(wires.begun(), [(0, vec![0x10, 0x20])]);
    assert_eq!(setup.finish(&mut call), None);
    wires.end();
    assert_eq!(setup.finish(&mut call), Some(Ok(Some(bytes(&[0x11, 0x21])))));
    let mut call = setup.start(&guest, "call", &[bytes(&[0])]);
    setup.run();
    call.cancel(&mut setup.store).unwrap();
    setup.run();
    assert_eq!(wires.now(), 0);
    call.forget(&mut setup.store);
    setup.assert_idle();
}

/// Delays that end when the test says that it is this late, in milliseconds.
#[derive(Clone, Default)]
struct Alarm(Arc<Mutex<(u32, Vec<Waker>)>>);

impl embedded_hal_async::delay::DelayNs for Alarm {
    async fn delay_ns(&mut self, ns: u32) {
        self.delay_ms(ns.div_ceil(1_000_000)).await;
    }

    async fn delay_ms(&mut self, ms: u32) {
        let end = self.0.lock().unwrap().0 + ms;
        poll_fn(|context| {
            let mut now = self.0.lock().unwrap();
            if now.0 >= end {
                return Poll::Ready(());
            }
            now.1.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[test]
fn delay_that_waits_runs_beside_others_and_for_as_long_as_it_likes() {
    let alarm = Alarm::default();
    let hal = Hal::new(HalLimits::DEFAULT).delay(async_delay!(alarm.clone()));
    let mut setup = Setup::new(&SLEEPER.replace("{MEMORY}", MEMORY), SLEEPER_WORLD, hal);
    let guest = setup.instance();
    let mut long = setup.start(&guest, "ms", &[Val::U32(3_600_000)]);
    let mut short = setup.start(&guest, "us", &[Val::U32(2_000_000)]);
    setup.run();
    let at = |ms: u32| {
        let wakers = {
            let mut now = alarm.0.lock().unwrap();
            now.0 = ms;
            core::mem::take(&mut now.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    };
    at(1_999);
    assert_eq!((setup.finish(&mut short), setup.finish(&mut long)), (None, None));
    at(2_000);
    assert_eq!((setup.finish(&mut short), setup.finish(&mut long)), (Some(Ok(None)), None));
    at(3_600_000);
    assert_eq!(setup.finish(&mut long), Some(Ok(None)));
    setup.assert_idle();
}
