//! A deadline ends guests of the ambient store, and the host's waits for them.

#![cfg(feature = "std")]

mod common;
#[path = "common/ambient.rs"]
mod guests;

use std::time::{Duration, Instant};

use canon_async::prelude::*;
use canon_async_wasmi::{Config, Engine, Error as WasmiError, Linker, Stopped};
use common::component;
use guests::{Guests, fresh, start};

const ENDLESS: &str = r#"(component
  (import "wait" (func $wait async))
  (core func $yield (canon thread.yield))
  (core func $wait' (canon lower (func $wait)))
  (core module $M
    (import "" "yield" (func $yield (result i32)))
    (import "" "wait" (func $wait))
    (func (export "loops") (loop (drop (call $yield)) (loop (br 0))))
    (func (export "yields") (loop (drop (call $yield)) (br 0)))
    (func (export "waits") (call $wait)))
  (core instance $m (instantiate $M (with "" (instance
    (export "yield" (func $yield)) (export "wait" (func $wait'))))))
  (func (export "loops") async (canon lift (core func $m "loops")))
  (func (export "yields") async (canon lift (core func $m "yields")))
  (func (export "waits") async (canon lift (core func $m "waits"))))"#;

#[test]
fn a_deadline_ends_what_the_host_waits_for_in_the_ambient_store() -> Result<(), WasmiError> {
    for name in ["loops", "yields", "waits"] {
        let (_one, engine) = (fresh(), Engine::new(Config::new().interruptible(true)));
        Guests::register(&engine, Vec::new())?;
        let mut linker = Linker::new(&engine);
        linker.func_async("wait", |_, _| std::future::pending());
        let instance = Guests::instantiate(&linker, &component(&engine, ENDLESS))?;
        Guests::enter(|mut caller| caller.set_deadline(Some(Duration::from_millis(50))))??;
        let begin = Instant::now();
        let error = match TaskBuiltins::task_wait(start(&instance, name, &[])?) {
            Err(error) => error,
            Ok(TaskOutcome::Failed(TaskFailure::Error(error))) => error,
            Ok(other) => panic!("{name}: {other:?}"),
        };
        let error = Guests::explain(error)?;
        assert_eq!(error.stopped(), Some(Stopped::Deadline), "{name}: {error}");
        assert_eq!(error.to_string(), "deadline passed: 0.05 s (Store::set_deadline)");
        assert!(begin.elapsed() < Duration::from_secs(10), "{name}");
    }
    Ok(())
}
