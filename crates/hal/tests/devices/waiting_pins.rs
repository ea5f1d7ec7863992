//! Pins to wait on; the tests are the interrupts.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use canon_async::{Error as CoreError, Trap};
use canon_async_hal::digital::Input;
use canon_async_hal::{Hal, HalLimits, async_input};
use canon_async_wasmi::{Instance, Val};
use embedded_hal::digital::{ErrorKind, ErrorType, InputPin};
use embedded_hal_async::digital::Wait;

use crate::common::{CALLBACK, MEMORY, Setup, WAITS, as_result};

/// A pin whose level the test sets.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<Level>>);

#[derive(Default)]
struct Level {
    high: bool,
    rises: u32,
    falls: u32,
    broken: bool,
    /// Who waits, and how many do.
    waker: Option<Waker>,
    waiting: u32,
    polls: u32,
}

/// Somebody waits on a pin.
struct Waiting(Line);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().waiting -= 1;
    }
}

impl Line {
    fn change(&self, change: impl FnOnce(&mut Level)) {
        let waker = {
            let mut level = self.0.lock().unwrap();
            change(&mut level);
            level.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn set(&self, high: bool) {
        self.change(|level| {
            level.rises += u32::from(high && !level.high);
            level.falls += u32::from(!high && level.high);
            level.high = high;
        });
    }

    /// How many wait, and how often they were polled.
    fn waits(&self) -> (u32, u32) {
        let level = self.0.lock().unwrap();
        (level.waiting, level.polls)
    }

    async fn until(&self, there: impl Fn(&Level, (u32, u32)) -> bool) -> Result<(), ErrorKind> {
        let before = {
            let mut level = self.0.lock().unwrap();
            level.waiting += 1;
            (level.rises, level.falls)
        };
        let _waiting = Waiting(self.clone());
        poll_fn(|context| {
            let mut level = self.0.lock().unwrap();
            level.polls += 1;
            if level.broken {
                return Poll::Ready(Err(ErrorKind::Other));
            }
            if there(&level, before) {
                return Poll::Ready(Ok(()));
            }
            level.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl InputPin for Line {
    fn is_high(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.0.lock().unwrap().high)
    }
    fn is_low(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.0.lock().unwrap().high)
    }
}

impl Wait for Line {
    async fn wait_for_high(&mut self) -> Result<(), ErrorKind> {
        self.until(|level, _| level.high).await
    }
    async fn wait_for_low(&mut self) -> Result<(), ErrorKind> {
        self.until(|level, _| !level.high).await
    }
    async fn wait_for_rising_edge(&mut self) -> Result<(), ErrorKind> {
        self.until(|level, (rises, _)| level.rises != rises).await
    }
    async fn wait_for_falling_edge(&mut self) -> Result<(), ErrorKind> {
        self.until(|level, (_, falls)| level.falls != falls).await
    }
    async fn wait_for_any_edge(&mut self) -> Result<(), ErrorKind> {
        self.until(|level, before| (level.rises, level.falls) != before).await
    }
}

const HIGH: u32 = 0;
const LOW: u32 = 1;
const RISING: u32 = 2;
const FALLING: u32 = 3;
const ANY: u32 = 4;

/// Waits on a pin in its callback, and reads and drops it meanwhile.
fn button() -> String {
    let waits = [
        ("wait-for-high", "high"),
        ("wait-for-low", "low"),
        ("wait-for-rising-edge", "rising"),
        ("wait-for-falling-edge", "falling"),
        ("wait-for-any-edge", "any"),
    ];
    let imports = waits.map(|(name, id)| {
        format!(
            r#"(import "canon:hal/digital-in@0.1.0" "[async-lower][method]pin.{name}"
              (func ${id} (param i32 i32) (result i32)))"#
        )
    });
    format!(
        r#"(module {} {WAITS}
          (import "canon:hal/digital-in@0.1.0" "[static]pin.open" (func $open (param i32 i32 i32)))
          (import "canon:hal/digital-in@0.1.0" "[method]pin.is-high" (func $is-high (param i32 i32)))
          (import "canon:hal/digital-in@0.1.0" "[resource-drop]pin" (func $drop (param i32)))
          (import "[export]$root" "[task-return]wait" (func $return (param i32 i32)))
          {MEMORY} {CALLBACK}
          (type $wait (func (param i32 i32) (result i32)))
          (table funcref (elem $high $low $rising $falling $any))
          (global $pin (mut i32) (i32.const 0))
          (func (export "open") (param i32 i32) (result i32)
            (call $open (local.get 0) (local.get 1) (i32.const 16))
            (global.set $pin (i32.load (i32.const 20)))
            (i32.load8_u (i32.const 16)))
          (func (export "is-high") (result i32)
            (call $is-high (global.get $pin) (i32.const 32))
            (i32.const 32))
          (func (export "drop-pin") (call $drop (global.get $pin)))
          (func $finish (call $return (i32.load8_u (i32.const 64)) (i32.load8_u (i32.const 65))))
          (func (export "[async-lift]wait") (param i32) (result i32)
            (call $after (call_indirect (type $wait) (global.get $pin) (i32.const 64) (local.get 0))))
          (export "[callback][async-lift]wait" (func $callback)))"#,
        imports.concat()
    )
}

const BUTTON: &str = "
    import canon:hal/digital-in@0.1.0;
    use canon:hal/digital-in@0.1.0.{error-kind};
    export open: func(name: string) -> bool;
    export is-high: func() -> result<bool, error-kind>;
    export drop-pin: func();
    export wait: async func(what: u32) -> result<_, error-kind>;";

fn with_button(line: &Line) -> (Setup, Instance) {
    let hal = Hal::new(HalLimits::DEFAULT).input("button", async_input!(line.clone()));
    let mut setup = Setup::new(&button(), BUTTON, hal);
    let guest = setup.opened("button");
    (setup, guest)
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn digital_in_wait_is_answered_by_its_edge_and_polled_for_nothing_else() {
    let line = Line::default();
    let (mut setup, guest) = with_button(&line);
    let wait = guest.func(&setup.store, "wait").unwrap();
    let changes = [(RISING, true), (FALLING, false), (ANY, true), (ANY, false), (HIGH, true), (LOW, false)];
    for (what, level) in changes {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let mut context = Context::from_waker(&waker);
        let polls = line.waits().1;
        let mut waiting = pin!(wait.call_async(&mut setup.store, &[Val::U32(what)]).unwrap());
        for _ in 0..3 {
            assert!(waiting.as_mut().poll(&mut context).is_pending(), "{what}");
        }
        // In the call, and with its waker.
        assert_eq!((line.waits(), count.0.load(Ordering::Relaxed)), ((1, polls + 2), 0), "{what}");
        // An interrupt.
        line.set(level);
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "{what}");
        match waiting.as_mut().poll(&mut context) {
            Poll::Ready(val) => assert_eq!(as_result(val.unwrap()), Ok(None), "{what}"),
            Poll::Pending => panic!("its edge has come: {what}"),
        }
        assert_eq!(line.waits(), (0, polls + 3), "{what}");
    }
    setup.assert_idle();
}

#[test]
fn digital_in_wait_for_a_level_that_is_there_answers_at_once() {
    let line = Line::default();
    let (mut setup, guest) = with_button(&line);
    assert_eq!(setup.result(&guest, "wait", &[Val::U32(LOW)]), Ok(None));
    line.set(true);
    assert_eq!(setup.result(&guest, "wait", &[Val::U32(HIGH)]), Ok(None));
    assert_eq!(setup.result(&guest, "is-high", &[]), Ok(Some(Val::Bool(true))));
    setup.assert_idle();
}

#[test]
fn digital_in_wait_of_a_call_that_parks_is_answered_from_another_thread() {
    let line = Line::default();
    let (mut setup, guest) = with_button(&line);
    let other = line.clone();
    let interrupt = thread::spawn(move || {
        while other.waits().0 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        other.set(true);
    });
    assert_eq!(setup.result(&guest, "wait", &[Val::U32(RISING)]), Ok(None));
    interrupt.join().unwrap();
    setup.assert_idle();
}

#[test]
fn digital_in_wait_begins_in_the_call_and_misses_no_edge() {
    let line = Line::default();
    let (mut setup, guest) = with_button(&line);
    let mut waiting = setup.start(&guest, "wait", &[Val::U32(ANY)]);
    // Before anybody drives the store.
    line.set(true);
    line.set(false);
    assert_eq!(setup.finish(&mut waiting), Some(Ok(None)));
    setup.assert_idle();
}

#[test]
fn digital_in_wait_that_fails_answers_other() {
    let line = Line::default();
    let (mut setup, guest) = with_button(&line);
    line.change(|level| level.broken = true);
    assert_eq!(setup.result(&guest, "wait", &[Val::U32(RISING)]), Err("other".into()));
}

#[test]
fn digital_in_wait_on_a_pin_that_can_not_wait_answers_unsupported() {
    let line = Line::default();
    let hal = Hal::new(HalLimits::DEFAULT).input("button", Input::new(line.clone()));
    let mut setup = Setup::new(&button(), BUTTON, hal);
    let guest = setup.opened("button");
    assert_eq!(setup.result(&guest, "wait", &[Val::U32(RISING)]), Err("unsupported".into()));
    assert_eq!(line.waits(), (0, 0));
}

#[test]
fn digital_in_wait_that_is_cancelled_stops_waiting_on_the_pin() {
    let line = Line::default();
    let (mut setup, guest) = with_button(&line);
    let wait = guest.func(&setup.store, "wait").unwrap();
    {
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = pin!(wait.call_async(&mut setup.store, &[Val::U32(RISING)]).unwrap());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        assert_eq!(line.waits().0, 1);
    }
    assert_eq!(line.waits().0, 0);
    setup.assert_idle();
    // Too late for the one, and no harm to the other.
    line.set(true);
    assert_eq!(setup.result(&guest, "is-high", &[]), Ok(Some(Val::Bool(true))));
    assert_eq!(setup.result(&guest, "wait", &[Val::U32(HIGH)]), Ok(None));
    setup.assert_idle();
}

#[test]
fn digital_in_pin_on_which_somebody_waits_is_busy_for_others() {
    let line = Line::default();
    let (mut setup, first) = with_button(&line);
    let second = setup.opened("button");
    let mut waiting = setup.start(&first, "wait", &[Val::U32(RISING)]);
    setup.run();
    assert_eq!(line.waits().0, 1);
    assert_eq!(setup.result(&second, "is-high", &[]), Err("busy".into()));
    assert_eq!(setup.result(&second, "wait", &[Val::U32(LOW)]), Err("busy".into()));
    line.set(true);
    assert_eq!(setup.finish(&mut waiting), Some(Ok(None)));
    assert_eq!(setup.result(&second, "is-high", &[]), Ok(Some(Val::Bool(true))));
    setup.assert_idle();
}

#[test]
fn digital_in_pin_dropped_by_the_guest_that_waits_on_it_traps_and_stops_waiting() {
    let line = Line::default();
    let (mut setup, guest) = with_button(&line);
    let waiting = setup.start(&guest, "wait", &[Val::U32(RISING)]);
    setup.run();
    assert_eq!(line.waits().0, 1);
    let error = setup.call(&guest, "drop-pin", &[]).unwrap_err();
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::ResourceLent)));
    setup.run();
    assert_eq!(line.waits().0, 0);
    waiting.forget(&mut setup.store);
    setup.assert_idle();
    // The device is not lost.
    let other = setup.opened("button");
    line.set(true);
    assert_eq!(setup.result(&other, "wait", &[Val::U32(HIGH)]), Ok(None));
}

#[test]
fn digital_in_pin_dropped_after_its_wait_may_be_opened_again() {
    let line = Line::default();
    let (mut setup, guest) = with_button(&line);
    line.set(true);
    assert_eq!(setup.result(&guest, "wait", &[Val::U32(HIGH)]), Ok(None));
    setup.call(&guest, "drop-pin", &[]).unwrap();
    let name = Val::String("button".into());
    assert_eq!(setup.call(&guest, "open", &[name]).unwrap(), Some(Val::Bool(true)));
    assert_eq!(setup.result(&guest, "is-high", &[]), Ok(Some(Val::Bool(true))));
}

#[test]
fn digital_in_wait_in_a_store_that_is_dropped_stops() {
    let line = Line::default();
    let (mut setup, guest) = with_button(&line);
    let waiting = setup.start(&guest, "wait", &[Val::U32(RISING)]);
    setup.run();
    assert_eq!(line.waits().0, 1);
    drop((setup, waiting));
    assert_eq!(line.waits().0, 0);
    line.set(true);
}
