//! `digital-in` and `digital-out`, as far as they answer at once.

use canon_async_hal::digital::{Input, Output};
use canon_async_hal::{Hal, HalLimits};
use canon_async_wasmi::Val;
use embedded_hal_mock::eh1::{MockError, digital};

use crate::common::{MEMORY, Setup};

/// Opens pins, and does with them what it is told.
fn pins() -> String {
    let method = |interface: &str, name: &str, id: &str| {
        format!(r#"(import "canon:hal/{interface}@0.1.0" "[method]pin.{name}" (func ${id} (param i32 i32)))"#)
    };
    let export = |name: &str, id: &str, pin: &str| {
        format!(
            r#"(func (export "{name}") (result i32) (call ${id} (global.get ${pin}) (i32.const 32)) (i32.const 32))"#
        )
    };
    let open = |name: &str, id: &str, pin: &str| {
        format!(
            r#"(func (export "{name}") (param i32 i32) (result i32)
              (call ${id} (local.get 0) (local.get 1) (i32.const 16))
              (global.set ${pin} (i32.load (i32.const 20)))
              (i32.load8_u (i32.const 16)))"#
        )
    };
    let outs = ["set-high", "set-low", "toggle", "is-set-high", "is-set-low"];
    let imports = ["is-high", "is-low"].map(|name| method("digital-in", name, name)).join("\n")
        + &outs.map(|name| method("digital-out", name, name)).join("\n");
    let exports = ["is-high", "is-low"].map(|name| export(name, name, "in")).join("\n")
        + &outs.map(|name| export(name, name, "out")).join("\n");
    format!(
        r#"(module {imports}
          (import "canon:hal/digital-in@0.1.0" "[static]pin.open" (func $open-in (param i32 i32 i32)))
          (import "canon:hal/digital-out@0.1.0" "[static]pin.open" (func $open-out (param i32 i32 i32)))
          (import "canon:hal/digital-out@0.1.0" "[resource-drop]pin" (func $drop-out (param i32)))
          {MEMORY}
          (global $in (mut i32) (i32.const 0)) (global $out (mut i32) (i32.const 0))
          {} {} {exports}
          (func (export "close-out") (call $drop-out (global.get $out))))"#,
        open("open", "open-in", "in"),
        open("open-out", "open-out", "out"),
    )
}

const PINS: &str = "
    import canon:hal/digital-in@0.1.0;
    import canon:hal/digital-out@0.1.0;
    use canon:hal/digital-in@0.1.0.{error-kind as in-error};
    use canon:hal/digital-out@0.1.0.{error-kind as out-error};
    export open: func(name: string) -> bool;
    export open-out: func(name: string) -> bool;
    export close-out: func();
    export is-high: func() -> result<bool, in-error>;
    export is-low: func() -> result<bool, in-error>;
    export set-high: func() -> result<_, out-error>;
    export set-low: func() -> result<_, out-error>;
    export toggle: func() -> result<_, out-error>;
    export is-set-high: func() -> result<bool, out-error>;
    export is-set-low: func() -> result<bool, out-error>;";

fn pin(transactions: &[digital::Transaction]) -> digital::Mock {
    digital::Mock::new(transactions)
}

#[test]
fn digital_in_read_answers_the_level() {
    use digital::{State, Transaction};
    let button =
        pin(&[Transaction::get(State::High), Transaction::get(State::High), Transaction::get(State::Low)]);
    let led = pin(&[]);
    let hal = Hal::new(HalLimits::DEFAULT)
        .input("button", Input::new(button.clone()))
        .output("led", Output::new(led.clone()));
    let mut setup = Setup::new(&pins(), PINS, hal);
    let guest = setup.opened("button");
    assert_eq!(setup.result(&guest, "is-high", &[]), Ok(Some(Val::Bool(true))));
    assert_eq!(setup.result(&guest, "is-low", &[]), Ok(Some(Val::Bool(false))));
    assert_eq!(setup.result(&guest, "is-high", &[]), Ok(Some(Val::Bool(false))));
    setup.assert_idle();
    [button, led].iter_mut().for_each(digital::Mock::done);
}

#[test]
fn digital_in_read_that_fails_answers_other() {
    use digital::{State, Transaction};
    let error = MockError::Io(std::io::ErrorKind::NotConnected);
    let mut button = pin(&[Transaction::get(State::High).with_error(error)]);
    let mut led = pin(&[]);
    let hal = Hal::new(HalLimits::DEFAULT)
        .input("button", Input::new(button.clone()))
        .output("led", Output::new(led.clone()));
    let mut setup = Setup::new(&pins(), PINS, hal);
    let guest = setup.opened("button");
    assert_eq!(setup.result(&guest, "is-high", &[]), Err("other".into()));
    button.done();
    led.done();
}

#[test]
fn digital_out_set_sets_the_pin_and_a_stateful_one_knows_it() {
    use digital::{State, Transaction};
    let mut plain = pin(&[Transaction::set(State::High), Transaction::set(State::Low)]);
    let mut stateful = pin(&[
        Transaction::set(State::High),
        Transaction::get_state(State::High),
        Transaction::toggle(),
        Transaction::get_state(State::Low),
    ]);
    let mut button = pin(&[]);
    let hal = Hal::new(HalLimits::DEFAULT)
        .input("button", Input::new(button.clone()))
        .output("plain", Output::new(plain.clone()))
        .output("stateful", Output::stateful(stateful.clone()));
    let mut setup = Setup::new(&pins(), PINS, hal);
    let guest = setup.instance();
    let name = |name: &str| [Val::String(name.into())];
    assert_eq!(setup.call(&guest, "open-out", &name("plain")).unwrap(), Some(Val::Bool(true)));
    for (method, answer) in [
        ("set-high", Ok(None)),
        ("set-low", Ok(None)),
        ("toggle", Err("unsupported".to_string())),
        ("is-set-high", Err("unsupported".to_string())),
    ] {
        assert_eq!(setup.result(&guest, method, &[]), answer, "{method}");
    }
    // The pin stays as it is, and may be opened again.
    setup.call(&guest, "close-out", &[]).unwrap();
    assert_eq!(setup.call(&guest, "open-out", &name("stateful")).unwrap(), Some(Val::Bool(true)));
    for (method, answer) in
        [("set-high", None), ("is-set-high", Some(true)), ("toggle", None), ("is-set-low", Some(true))]
    {
        assert_eq!(setup.result(&guest, method, &[]), Ok(answer.map(Val::Bool)), "{method}");
    }
    assert_eq!(setup.call(&guest, "open-out", &name("button")).unwrap(), Some(Val::Bool(false)));
    setup.assert_idle();
    plain.done();
    stateful.done();
    button.done();
}
