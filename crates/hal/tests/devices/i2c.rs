//! `i2c` of a bus that blocks.

use canon_async_hal::{Hal, HalLimits, i2c};
use canon_async_wasmi::Val;
use embedded_hal::i2c::NoAcknowledgeSource;
use embedded_hal_mock::eh1::i2c as i2c_mock;

use crate::common::{MEMORY, Setup, bytes, read, write};

/// Calls a bus and passes on what it answers: in tasks that may block, and in one that may not.
fn bus() -> String {
    format!(
        r#"(module
          (import "canon:hal/i2c@0.1.0" "[static]bus.open" (func $open (param i32 i32 i32)))
          (import "canon:hal/i2c@0.1.0" "[method]bus.read" (func $read (param i32 i32 i32 i32)))
          (import "canon:hal/i2c@0.1.0" "[method]bus.write" (func $write (param i32 i32 i32 i32 i32)))
          (import "canon:hal/i2c@0.1.0" "[method]bus.write-read"
            (func $write-read (param i32 i32 i32 i32 i32 i32)))
          (import "canon:hal/i2c@0.1.0" "[method]bus.transaction"
            (func $transaction (param i32 i32 i32 i32 i32)))
          (import "[export]$root" "[task-return]read" (func $return-read (param i32 i32 i32)))
          (import "[export]$root" "[task-return]write" (func $return-write (param i32 i32)))
          (import "[export]$root" "[task-return]transaction" (func $return-lists (param i32 i32 i32)))
          {MEMORY}
          (global $bus (mut i32) (i32.const 0))
          (func (export "open") (param i32 i32) (result i32)
            (call $open (local.get 0) (local.get 1) (i32.const 16))
            (global.set $bus (i32.load (i32.const 20)))
            (i32.load8_u (i32.const 16)))
          (func $pass-on (param $at i32)
            (if (i32.load8_u (local.get $at))
              (then (call $return-read
                (i32.const 1) (i32.load8_u (i32.add (local.get $at) (i32.const 4))) (i32.const 0)))
              (else (call $return-read (i32.const 0)
                (i32.load (i32.add (local.get $at) (i32.const 4)))
                (i32.load (i32.add (local.get $at) (i32.const 8)))))))
          (func (export "read-now") (param i32 i32) (result i32)
            (local $at i32)
            (local.set $at (call $room))
            (call $read (global.get $bus) (local.get 0) (local.get 1) (local.get $at))
            (local.get $at))
          (func (export "[async-lift-stackful]read") (param i32 i32)
            (local $at i32)
            (local.set $at (call $room))
            (call $read (global.get $bus) (local.get 0) (local.get 1) (local.get $at))
            (call $pass-on (local.get $at)))
          (func (export "[async-lift-stackful]write") (param i32 i32 i32)
            (local $at i32)
            (local.set $at (call $room))
            (call $write (global.get $bus) (local.get 0) (local.get 1) (local.get 2) (local.get $at))
            (call $return-write (i32.load8_u (local.get $at)) (i32.load8_u offset=1 (local.get $at))))
          (func (export "[async-lift-stackful]write-read") (param i32 i32 i32 i32)
            (local $at i32)
            (local.set $at (call $room))
            (call $write-read
              (global.get $bus) (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get $at))
            (call $pass-on (local.get $at)))
          (func (export "[async-lift-stackful]transaction") (param i32 i32 i32)
            (local $at i32)
            (local.set $at (call $room))
            (call $transaction (global.get $bus) (local.get 0) (local.get 1) (local.get 2) (local.get $at))
            (if (i32.load8_u (local.get $at))
              (then (call $return-lists (i32.const 1) (i32.load8_u offset=4 (local.get $at)) (i32.const 0)))
              (else (call $return-lists
                (i32.const 0) (i32.load offset=4 (local.get $at)) (i32.load offset=8 (local.get $at)))))))"#
    )
}

const BUS: &str = "
    import canon:hal/i2c@0.1.0;
    use canon:hal/i2c@0.1.0.{error-kind, operation};
    export open: func(name: string) -> bool;
    export read-now: func(address: u8, length: u32) -> result<list<u8>, error-kind>;
    export read: async func(address: u8, length: u32) -> result<list<u8>, error-kind>;
    export write: async func(address: u8, bytes: list<u8>) -> result<_, error-kind>;
    export write-read: async func(address: u8, bytes: list<u8>, length: u32)
        -> result<list<u8>, error-kind>;
    export transaction: async func(address: u8, operations: list<operation>)
        -> result<list<list<u8>>, error-kind>;";

const AT: u8 = 0x48;

fn on_bus(transactions: Vec<i2c_mock::Transaction>) -> Vec<i2c_mock::Transaction> {
    use i2c_mock::Transaction;
    let start = [Transaction::transaction_start(AT)];
    start.into_iter().chain(transactions).chain([Transaction::transaction_end(AT)]).collect()
}

#[test]
fn i2c_calls_reach_the_bus_and_their_bytes_the_guest() {
    use i2c_mock::Transaction;
    let mut expected = on_bus(vec![Transaction::write(AT, vec![1, 0x60])]);
    expected.extend(on_bus(vec![Transaction::write(AT, vec![0]), Transaction::read(AT, vec![0x19, 0x80])]));
    expected.extend(on_bus(vec![Transaction::read(AT, vec![7, 8, 9])]));
    expected.extend(on_bus(vec![
        Transaction::write(AT, vec![2]),
        Transaction::read(AT, vec![1]),
        Transaction::write(AT, vec![]),
        Transaction::read(AT, vec![2, 3]),
    ]));
    expected.extend(on_bus(vec![Transaction::read(AT, vec![5])]));
    let mut mock = i2c_mock::Mock::new(&expected);
    let hal = Hal::new(HalLimits::DEFAULT).i2c("sensors", i2c::Bus::new(mock.clone()));
    let mut setup = Setup::new(&bus(), BUS, hal);
    let guest = setup.opened("sensors");
    let at = Val::U8(AT);
    assert_eq!(setup.result(&guest, "write", &[at.clone(), bytes(&[1, 0x60])]), Ok(None));
    let read_back = setup.result(&guest, "write-read", &[at.clone(), bytes(&[0]), Val::U32(2)]);
    assert_eq!(read_back, Ok(Some(bytes(&[0x19, 0x80]))));
    assert_eq!(setup.result(&guest, "read", &[at.clone(), Val::U32(3)]), Ok(Some(bytes(&[7, 8, 9]))));
    let operations = Val::List(vec![write(&[2]), read(1), write(&[]), read(2)]);
    let lists = Val::List(vec![bytes(&[1]), bytes(&[2, 3])]);
    assert_eq!(setup.result(&guest, "transaction", &[at.clone(), operations]), Ok(Some(lists)));
    // Every device blocks, so a task that may not wait does not have to.
    assert_eq!(setup.result(&guest, "read-now", &[at, Val::U32(1)]), Ok(Some(bytes(&[5]))));
    setup.assert_idle();
    mock.done();
}

#[test]
fn i2c_call_above_a_limit_answers_too_long_and_touches_nothing() {
    let mut mock = i2c_mock::Mock::new(&[]);
    let mut limits = HalLimits::DEFAULT;
    (limits.transfer_bytes, limits.operations) = (8, 2);
    let hal = Hal::new(limits).i2c("sensors", i2c::Bus::new(mock.clone()));
    let mut setup = Setup::new(&bus(), BUS, hal);
    let guest = setup.opened("sensors");
    let at = Val::U8(AT);
    let calls: [(&str, Vec<Val>); 6] = [
        ("read", vec![Val::U32(9)]),
        ("read", vec![Val::U32(u32::MAX)]),
        ("write", vec![bytes(&[0; 9])]),
        ("write-read", vec![bytes(&[0; 5]), Val::U32(4)]),
        ("transaction", vec![Val::List(vec![read(4), read(5)])]),
        ("transaction", vec![Val::List(vec![read(1), read(1), read(1)])]),
    ];
    for (method, args) in calls {
        let args: Vec<_> = [at.clone()].into_iter().chain(args).collect();
        assert_eq!(setup.result(&guest, method, &args), Err("too-long".into()), "{method}");
    }
    setup.assert_idle();
    mock.done();
    // What is just within them passes.
    mock.update_expectations(&on_bus(vec![i2c_mock::Transaction::read(AT, vec![1; 8])]));
    assert_eq!(setup.result(&guest, "read", &[at, Val::U32(8)]), Ok(Some(bytes(&[1; 8]))));
    mock.done();
}

#[test]
fn i2c_call_of_no_length_answers_too_short_and_touches_nothing() {
    let mut mock = i2c_mock::Mock::new(&[]);
    let hal = Hal::new(HalLimits::DEFAULT).i2c("sensors", i2c::Bus::new(mock.clone()));
    let mut setup = Setup::new(&bus(), BUS, hal);
    let guest = setup.opened("sensors");
    let at = Val::U8(AT);
    let calls: [(&str, Vec<Val>); 4] = [
        ("read", vec![Val::U32(0)]),
        ("write-read", vec![bytes(&[1]), Val::U32(0)]),
        ("transaction", vec![Val::List(vec![])]),
        ("transaction", vec![Val::List(vec![write(&[1]), read(0)])]),
    ];
    for (method, args) in calls {
        let args: Vec<_> = [at.clone()].into_iter().chain(args).collect();
        assert_eq!(setup.result(&guest, method, &args), Err("too-short".into()), "{method}");
    }
    mock.done();
}

#[test]
fn i2c_address_that_is_not_allowed_answers_no_such_address_and_touches_nothing() {
    let mut mock = i2c_mock::Mock::new(&on_bus(vec![i2c_mock::Transaction::write(AT, vec![1])]));
    let sensors = i2c::Bus::new(mock.clone()).only(&[AT]);
    let mut free = i2c_mock::Mock::new(&[]);
    let hal = Hal::new(HalLimits::DEFAULT).i2c("sensors", sensors).i2c("free", i2c::Bus::new(free.clone()));
    let mut setup = Setup::new(&bus(), BUS, hal);
    let guest = setup.opened("sensors");
    let write_to = |address: u8| [Val::U8(address), bytes(&[1])];
    let refused = Err("no-such-address".to_string());
    assert_eq!(setup.result(&guest, "write", &write_to(0x20)), refused);
    assert_eq!(setup.result(&guest, "write", &write_to(AT)), Ok(None));
    // An address has seven bits.
    let guest = setup.opened("free");
    assert_eq!(setup.result(&guest, "write", &write_to(0x80)), refused);
    mock.done();
    free.done();
}

/// Fails as it is told.
struct Fails<E>(E);

impl<E: embedded_hal::i2c::Error> embedded_hal::i2c::ErrorType for Fails<E> {
    type Error = E;
}

impl<E: embedded_hal::i2c::Error + Copy> embedded_hal::i2c::I2c for Fails<E> {
    fn transaction(&mut self, _: u8, _: &mut [embedded_hal::i2c::Operation<'_>]) -> Result<(), E> {
        Err(self.0)
    }
}

#[test]
fn i2c_error_of_the_device_answers_its_kind() {
    use embedded_hal::i2c::ErrorKind;
    let kinds = [
        (ErrorKind::Bus, "bus"),
        (ErrorKind::ArbitrationLoss, "arbitration-loss"),
        (ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address), "no-acknowledge-address"),
        (ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data), "no-acknowledge-data"),
        (ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown), "no-acknowledge-unknown"),
        (ErrorKind::Overrun, "overrun"),
        (ErrorKind::Other, "other"),
    ];
    let mut hal = Hal::new(HalLimits::DEFAULT);
    for (kind, label) in kinds {
        hal = hal.i2c(label, i2c::Bus::new(Fails(kind)));
    }
    let mut setup = Setup::new(&bus(), BUS, hal);
    for (_, label) in kinds {
        let guest = setup.opened(label);
        for method in ["read", "read-now"] {
            let answer = setup.result(&guest, method, &[Val::U8(AT), Val::U32(1)]);
            assert_eq!(answer, Err(label.into()));
        }
        assert_eq!(setup.result(&guest, "write", &[Val::U8(AT), bytes(&[1])]), Err(label.into()));
    }
}
