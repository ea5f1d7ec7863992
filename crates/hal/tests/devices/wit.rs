//! The WIT of this crate, and what the crate defines.

use canon_async_hal::delay::Delay;
use canon_async_hal::digital::{Input, Output};
use canon_async_hal::{Hal, HalLimits, i2c, spi};
use canon_async_wasmi::{Config, Engine, Error, Linker, Store};
use embedded_hal_mock::eh1::{delay, digital, i2c as i2c_mock, spi as spi_mock};
use wit_parser::{LiftLowerAbi, ManglingAndAbi};

use crate::common::{component, encode, wit};

/// A component that imports everything that is in the WIT.
fn everything() -> Vec<u8> {
    let (resolve, package) = wit();
    let world = resolve.select_world(&[package], Some("imports")).expect("the world is there");
    let mangling = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    encode(wit_component::dummy_module(&resolve, world, mangling), &resolve, world)
}

#[test]
fn hal_with_every_device_gives_all_that_is_in_the_wit() {
    let (mut input, mut output) = (digital::Mock::new(&[]), digital::Mock::new(&[]));
    let (mut bus, mut device) = (i2c_mock::Mock::new(&[]), spi_mock::Mock::<u8>::new(&[]));
    let hal = Hal::new(HalLimits::DEFAULT)
        .input("pin", Input::new(input.clone()))
        .output("pin", Output::new(output.clone()))
        .i2c("bus", i2c::Bus::new(bus.clone()))
        .spi("device", spi::Device::new(device.clone()))
        .delay(Delay::new(delay::NoopDelay::new()));
    let engine = Engine::new(&Config::new());
    let (mut store, mut linker) = (Store::new(&engine, ()), Linker::new(&engine));
    hal.add_to(&mut linker, &mut store).unwrap();
    linker.instantiate(&mut store, &component(&engine, &everything())).unwrap();
    input.done();
    output.done();
    bus.done();
    device.done();
}

#[test]
fn hal_without_a_device_does_not_give_its_interface() {
    let hal = Hal::new(HalLimits::DEFAULT).delay(Delay::new(delay::NoopDelay::new()));
    let engine = Engine::new(&Config::new());
    let (mut store, mut linker) = (Store::new(&engine, ()), Linker::new(&engine));
    hal.add_to(&mut linker, &mut store).unwrap();
    let error = linker.instantiate(&mut store, &component(&engine, &everything())).unwrap_err();
    assert!(matches!(error, Error::Link(_)) && error.to_string().contains("canon:hal/"), "{error}");
}

#[test]
fn function_imported_with_another_type_traps_and_does_nothing() {
    let mut delay = delay::CheckedDelay::new(&[]);
    let hal = Hal::new(HalLimits::DEFAULT).delay(Delay::new(delay.clone()));
    let engine = Engine::new(&Config::new());
    let (mut store, mut linker) = (Store::new(&engine, ()), Linker::new(&engine));
    hal.add_to(&mut linker, &mut store).unwrap();
    let text = r#"(component
      (import "canon:hal/delay@0.1.0" (instance $delay
        (export "delay-ms" (func async (param "ms" u64)))))
      (core func $delay-ms (canon lower (func $delay "delay-ms")))
      (core module $M (import "" "delay-ms" (func $delay-ms (param i64)))
        (func (export "run") (call $delay-ms (i64.const 1))))
      (core instance $m (instantiate $M (with "" (instance (export "delay-ms" (func $delay-ms))))))
      (func (export "run") async (canon lift (core func $m "run"))))"#;
    let other = component(&engine, &wat::parse_str(text).unwrap());
    let instance = linker.instantiate(&mut store, &other).unwrap();
    let error = instance.func(&store, "run").unwrap().call(&mut store, &[]).unwrap_err();
    assert!(error.to_string().contains("another type than that of canon:hal"), "{error}");
    delay.done();
}
