//! `spi` of a device that blocks.

use canon_async_hal::{Hal, HalLimits, spi};
use canon_async_wasmi::Val;
use embedded_hal::spi::{ErrorKind, ErrorType, Operation, SpiDevice};
use embedded_hal_mock::eh1::spi as spi_mock;

use crate::common::{MEMORY, Setup, bytes, read, write};

/// Calls a device and passes on what it answers.
fn guest() -> String {
    let pass_on = |name: &str| {
        format!(
            r#"(func $pass-on-{name} (param $at i32)
              (if (i32.load8_u (local.get $at))
                (then (call $return-{name}
                  (i32.const 1) (i32.load8_u offset=4 (local.get $at)) (i32.const 0)))
                (else (call $return-{name}
                  (i32.const 0) (i32.load offset=4 (local.get $at)) (i32.load offset=8 (local.get $at))))))"#
        )
    };
    let forward = |name: &str| {
        format!(
            r#"(func (export "[async-lift-stackful]{name}") (param i32 i32)
              (local $at i32)
              (local.set $at (call $room))
              (call ${name} (global.get $device) (local.get 0) (local.get 1) (local.get $at))
              (call $pass-on-{name} (local.get $at)))"#
        )
    };
    let functions =
        [pass_on("transfer"), pass_on("transaction"), forward("transfer"), forward("transaction")].concat();
    format!(
        r#"(module
          (import "canon:hal/spi@0.1.0" "[static]device.open" (func $open (param i32 i32 i32)))
          (import "canon:hal/spi@0.1.0" "[method]device.read" (func $read (param i32 i32 i32)))
          (import "canon:hal/spi@0.1.0" "[method]device.write" (func $write (param i32 i32 i32 i32)))
          (import "canon:hal/spi@0.1.0" "[method]device.transfer" (func $transfer (param i32 i32 i32 i32)))
          (import "canon:hal/spi@0.1.0" "[method]device.transaction"
            (func $transaction (param i32 i32 i32 i32)))
          (import "[export]$root" "[task-return]transfer" (func $return-transfer (param i32 i32 i32)))
          (import "[export]$root" "[task-return]transaction" (func $return-transaction (param i32 i32 i32)))
          (import "[export]$root" "[task-return]write" (func $return-write (param i32 i32)))
          {MEMORY} {functions}
          (global $device (mut i32) (i32.const 0))
          (func (export "open") (param i32 i32) (result i32)
            (call $open (local.get 0) (local.get 1) (i32.const 16))
            (global.set $device (i32.load (i32.const 20)))
            (i32.load8_u (i32.const 16)))
          (func (export "[async-lift-stackful]read") (param i32)
            (local $at i32)
            (local.set $at (call $room))
            (call $read (global.get $device) (local.get 0) (local.get $at))
            (call $pass-on-transfer (local.get $at)))
          (func (export "[async-lift-stackful]write") (param i32 i32)
            (local $at i32)
            (local.set $at (call $room))
            (call $write (global.get $device) (local.get 0) (local.get 1) (local.get $at))
            (call $return-write (i32.load8_u (local.get $at)) (i32.load8_u offset=1 (local.get $at)))))"#
    )
}

const WORLD: &str = "
    import canon:hal/spi@0.1.0;
    use canon:hal/spi@0.1.0.{error-kind, operation};
    export open: func(name: string) -> bool;
    export read: async func(length: u32) -> result<list<u8>, error-kind>;
    export write: async func(bytes: list<u8>) -> result<_, error-kind>;
    export transfer: async func(bytes: list<u8>) -> result<list<u8>, error-kind>;
    export transaction: async func(operations: list<operation>) -> result<list<list<u8>>, error-kind>;";

fn transfer(with: &[u8]) -> Val {
    Val::Variant("transfer".into(), Some(Box::new(bytes(with))))
}

fn delay_ns(ns: u32) -> Val {
    Val::Variant("delay-ns".into(), Some(Box::new(Val::U32(ns))))
}

type Step = spi_mock::Transaction<u8>;

fn selected(steps: Vec<Step>) -> Vec<Step> {
    let start = [Step::transaction_start()];
    start.into_iter().chain(steps).chain([Step::transaction_end()]).collect()
}

#[test]
fn spi_calls_reach_the_device_and_their_bytes_the_guest() {
    let mut expected = selected(vec![Step::write_vec(vec![0x9f])]);
    expected.extend(selected(vec![Step::read_vec(vec![1, 2])]));
    expected.extend(selected(vec![Step::transfer_in_place(vec![3, 4], vec![5, 6])]));
    expected.extend(selected(vec![
        Step::write_vec(vec![0x0b, 0]),
        Step::delay(900),
        Step::read_vec(vec![7]),
        Step::transfer_in_place(vec![8], vec![9]),
        Step::delay(100),
    ]));
    let mut mock = spi_mock::Mock::new(&expected);
    let hal = Hal::new(HalLimits::DEFAULT).spi("flash", spi::Device::new(mock.clone()));
    let mut setup = Setup::new(&guest(), WORLD, hal);
    let guest = setup.opened("flash");
    assert_eq!(setup.result(&guest, "write", &[bytes(&[0x9f])]), Ok(None));
    assert_eq!(setup.result(&guest, "read", &[Val::U32(2)]), Ok(Some(bytes(&[1, 2]))));
    assert_eq!(setup.result(&guest, "transfer", &[bytes(&[3, 4])]), Ok(Some(bytes(&[5, 6]))));
    let operations = vec![write(&[0x0b, 0]), delay_ns(900), read(1), transfer(&[8]), delay_ns(100)];
    let lists = Val::List(vec![bytes(&[7]), bytes(&[9])]);
    assert_eq!(setup.result(&guest, "transaction", &[Val::List(operations)]), Ok(Some(lists)));
    setup.assert_idle();
    mock.done();
}

#[test]
fn spi_call_above_a_limit_answers_too_long_and_touches_nothing() {
    let mut mock = spi_mock::Mock::new(&[]);
    let mut limits = HalLimits::DEFAULT;
    (limits.transfer_bytes, limits.operations, limits.held_ns) = (4, 3, 1000);
    let hal = Hal::new(limits).spi("flash", spi::Device::new(mock.clone()));
    let mut setup = Setup::new(&guest(), WORLD, hal);
    let guest = setup.opened("flash");
    let calls: [(&str, Val); 7] = [
        ("read", Val::U32(5)),
        ("write", bytes(&[0; 5])),
        ("transfer", bytes(&[0; 5])),
        ("transaction", Val::List(vec![write(&[0; 2]), read(2), transfer(&[1])])),
        ("transaction", Val::List(vec![read(1), read(1), read(1), read(1)])),
        ("transaction", Val::List(vec![delay_ns(500), delay_ns(501)])),
        ("transaction", Val::List(vec![delay_ns(u32::MAX), delay_ns(u32::MAX)])),
    ];
    for (method, arg) in calls {
        assert_eq!(setup.result(&guest, method, &[arg]), Err("too-long".into()), "{method}");
    }
    mock.done();
    let within = selected(vec![Step::delay(500), Step::delay(500), Step::read_vec(vec![1; 4])]);
    mock.update_expectations(&within);
    let operations = Val::List(vec![delay_ns(500), delay_ns(500), read(4)]);
    let lists = Val::List(vec![bytes(&[1; 4])]);
    assert_eq!(setup.result(&guest, "transaction", &[operations]), Ok(Some(lists)));
    setup.assert_idle();
    mock.done();
}

/// Fails as it is told.
struct Fails(ErrorKind);

impl ErrorType for Fails {
    type Error = ErrorKind;
}

impl SpiDevice for Fails {
    fn transaction(&mut self, _: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        Err(self.0)
    }
}

#[test]
fn spi_error_of_the_device_answers_its_kind() {
    let kinds = [
        (ErrorKind::Overrun, "overrun"),
        (ErrorKind::ModeFault, "mode-fault"),
        (ErrorKind::FrameFormat, "frame-format"),
        (ErrorKind::ChipSelectFault, "chip-select-fault"),
        (ErrorKind::Other, "other"),
    ];
    let mut hal = Hal::new(HalLimits::DEFAULT);
    for (kind, label) in kinds {
        hal = hal.spi(label, spi::Device::new(Fails(kind)));
    }
    let mut setup = Setup::new(&guest(), WORLD, hal);
    for (_, label) in kinds {
        let guest = setup.opened(label);
        assert_eq!(setup.result(&guest, "read", &[Val::U32(1)]), Err(label.into()));
        assert_eq!(setup.result(&guest, "write", &[bytes(&[1])]), Err(label.into()));
    }
}
