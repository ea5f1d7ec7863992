//! The engine of the ambient store: how it is registered, what holds for it, and what a panic leaves.

mod common;
#[path = "common/ambient.rs"]
mod guests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use canon_async::prelude::*;
use canon_async::{Resource, ambient};
use canon_async_wasmi::{
    AmbientEngine, AsContextMut as _, Config, Engine, Error as WasmiError, Limits, Linker, Store, Val,
};
use common::{component, engine};
use guests::{
    GUEST, Guests, assert_idle, completed, fresh, function, guest, is_misuse, linker, notes, plain_guest,
    start,
};

const U32: ValueType = ValueType::U32;
const ONE_MORE: &str = r#"(component
  (core module $M (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
  (core instance $m (instantiate $M))
  (func (export "f") (param "n" u32) (result u32) (canon lift (core func $m "f"))))"#;

fn misuse<T: std::fmt::Debug>(result: Result<T, WasmiError>) -> String {
    let error = result.expect_err("misuse");
    assert!(matches!(error.core(), Some(Error::Misuse(_))), "{error:?}");
    error.to_string()
}

#[test]
fn register_gives_the_ambient_store_the_limits_of_the_config() -> Result<(), WasmiError> {
    let _one = fresh();
    let limits = Limits::HEAP.with_instances(2).with_tasks(3);
    let engine = Engine::new(Config::new().limits(limits));
    Guests::register(&engine, Vec::new())?;
    assert_eq!(ambient::core(|core| core.store.limits())?, limits);
    let component = component(&engine, ONE_MORE);
    Guests::instantiate(&Linker::new(&engine), &component)?;
    let full = Guests::instantiate(&Linker::new(&engine), &component).expect_err("the host is one, too");
    assert_eq!(full.core(), Some(Error::capacity(Resource::Instances)));
    // What is the host's alone is as it was.
    assert_eq!(ambient::limits()?, ambient::Limits::DEFAULT.with_core(limits));
    Ok(())
}

#[test]
fn register_with_other_limits_than_configured_is_misuse_and_the_same_are_not() -> Result<(), WasmiError> {
    let _one = fresh();
    let limits = ambient::Limits::DEFAULT.with_text_bytes(1000);
    let said = |limits| Engine::new(Config::new().limits(limits));
    ambient::configure(limits)?;
    let text = misuse(Guests::register(&said(Limits::HEAP), Vec::new()));
    assert!(text.contains("Config::limits"), "{text}");
    assert!(!ambient::has_engine()?);
    Guests::register(&said(limits.core), Vec::new())?;
    assert_eq!(ambient::limits()?, limits);
    // Where the configuration says none, what is there holds.
    ambient::reset()?;
    ambient::configure(limits)?;
    Guests::register(&engine(), Vec::new())?;
    assert_eq!((ambient::limits()?, ambient::core(|core| core.store.limits())?), (limits, limits.core));
    // It was used before, with its own.
    ambient::reset()?;
    TaskBuiltins::task_start()?;
    misuse(Guests::register(&said(Limits::HEAP), Vec::new()));
    Guests::register(&engine(), Vec::new())?;
    assert_eq!(ambient::limits()?, ambient::Limits::DEFAULT);
    Ok(())
}

#[test]
fn register_of_a_second_engine_is_misuse_and_the_first_stays() -> Result<(), WasmiError> {
    let (_one, instance) = plain_guest();
    misuse(AmbientEngine::register(&engine(), ()));
    assert_eq!(
        misuse(AmbientEngine::<()>::enter(|_| ())),
        "misuse: the registered engine is of another type"
    );
    let task = start(&instance, "add", &[1.into(), 2.into()])?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(3));
    ambient::reset()?;
    misuse(Guests::enter(|_| ()));
    AmbientEngine::register(&engine(), ())?;
    Ok(())
}

#[test]
fn strict_and_choose_of_the_config_hold_for_the_ambient_store() -> Result<(), WasmiError> {
    /// Calls itself, around a function that does nothing: strict stores refuse what comes from outside to the inside.
    const PARENT: &str = r#"(component
      (component $Child
        (core module $M (func (export "f")))
        (core instance $m (instantiate $M))
        (func (export "f") (canon lift (core func $m "f"))))
      (instance $child (instantiate $Child))
      (core func $f (canon lower (func $child "f")))
      (core module $M (import "" "f" (func $f)) (func (export "run") (call $f)))
      (core instance $m (instantiate $M (with "" (instance (export "f" (func $f))))))
      (func (export "run") (canon lift (core func $m "run"))))"#;
    for strict in [false, true] {
        let _one = fresh();
        let engine = Engine::new(Config::new().strict(strict));
        Guests::register(&engine, Vec::new())?;
        let instance = Guests::instantiate(&Linker::new(&engine), &component(&engine, PARENT))?;
        let ended = TaskBuiltins::task_wait(start(&instance, "run", &[])?)?;
        assert_eq!(matches!(ended, TaskOutcome::Failed(_)), strict, "{ended:?}");
    }
    Ok(())
}

#[test]
fn function_of_another_stores_instance_is_misuse_on_both_sides() -> Result<(), WasmiError> {
    let (_one, instance) = plain_guest();
    let engine = Guests::enter(|caller| caller.engine().clone())?;
    let mut other = Store::new(&engine, Vec::new());
    let elsewhere = linker(&engine, Ok).instantiate(&mut other, &component(&engine, GUEST))?;
    misuse(Guests::function(&elsewhere, "add"));
    misuse(Guests::function(&instance, "no such export"));
    assert_eq!(elsewhere.modules(), 0..0);
    assert!(instance.func(&other, "add").is_none());
    let add = Guests::enter(|caller| instance.func(&caller, "add"))?.expect("its own");
    misuse(add.call(&mut other, &[Val::S32(1), Val::S32(2)]));
    let add = elsewhere.func(&other, "add").expect("its own");
    assert_eq!(add.call(&mut other, &[Val::S32(1), Val::S32(2)])?, Some(Val::S32(3)));
    misuse(Guests::enter(|mut caller| add.call(&mut caller, &[Val::S32(1), Val::S32(2)]))?);
    assert_idle();
    Ok(())
}

#[test]
fn resources_of_the_host_are_lent_and_given_through_task_call() -> Result<(), WasmiError> {
    const USER: &str = r#"(component
      (import "r" (type $r (sub resource)))
      (core func $drop (canon resource.drop $r))
      (core module $M
        (import "" "drop" (func $drop (param i32)))
        (func (export "lend") (param i32) (call $drop (local.get 0)))
        (func (export "pass") (param i32) (result i32) (local.get 0)))
      (core instance $m (instantiate $M (with "" (instance (export "drop" (func $drop))))))
      (func (export "lend") (param "r" (borrow $r)) (canon lift (core func $m "lend")))
      (func (export "pass") (param "r" (own $r)) (result (own $r)) (canon lift (core func $m "pass")))
      (func (export "drop") (param "r" (own $r)) (canon lift (core func $m "lend"))))"#;
    let (_one, engine) = (fresh(), engine());
    Guests::register(&engine, Vec::new())?;
    let mut linker = Linker::new(&engine);
    let dtor = canon_async_wasmi::HostFunc::new(|mut caller, args| {
        let [Val::U32(rep)] = args else { panic!("{args:?}") };
        let caller: &mut canon_async_wasmi::Caller<'_, Vec<u32>> = &mut caller;
        caller.data_mut().push(*rep);
        Ok(None)
    });
    let ty = Guests::enter(|mut caller| linker.resource(&mut caller, "r", Some(dtor)))??;
    let user = Guests::instantiate(&linker, &component(&engine, USER))?;
    let made = Guests::enter(|mut caller| caller.new_resource(ty, 77))??;
    let call =
        |name, handle| TaskBuiltins::task_wait(start(&user, name, &[ComponentValue::Resource(handle)])?);
    assert_eq!(call("lend", made)?, TaskOutcome::Completed(TaskReturn::void()));
    let outcome = call("pass", made)?;
    let Some(ComponentValue::Resource(back)) = outcome.value() else { panic!("{outcome:?}") };
    assert_eq!((Guests::enter(|mut caller| caller.resource_rep(*back))??, notes()), (77, vec![]));
    call("drop", *back)?;
    assert_eq!(notes(), [77]);
    assert!(matches!(call("drop", *back)?, TaskOutcome::Failed(_)));
    Ok(())
}

#[test]
fn fuel_is_given_to_the_ambient_guests_and_runs_out() -> Result<(), WasmiError> {
    let (_one, engine) = (fresh(), Engine::new(Config::new().fuel(true)));
    Guests::register(&engine, Vec::new())?;
    let instance = Guests::instantiate(&Linker::new(&engine), &component(&engine, ONE_MORE))?;
    let one_more = || TaskBuiltins::task_wait(start(&instance, "f", &[ComponentValue::U32(1)])?);
    Guests::enter(|mut caller| caller.set_fuel(1000))??;
    assert_eq!(one_more()?, completed(2u32));
    assert!((1..1000).contains(&Guests::enter(|caller| caller.fuel())??));
    Guests::enter(|mut caller| caller.set_fuel(0))??;
    let TaskOutcome::Failed(TaskFailure::Error(error)) = one_more()? else { panic!("no fuel") };
    assert!(Guests::explain(error)?.to_string().contains("fuel"));
    Ok(())
}

/// Without `std` a panic in a host function aborts the process.
#[cfg(feature = "std")]
#[test]
fn panic_of_a_host_function_is_the_trap_of_its_task_and_the_ambient_store_goes_on() -> Result<(), WasmiError>
{
    let (_one, instance) = guest(|_| {
        let _scope = AsyncContextScope::enter(AsyncContext::default())?;
        panic!("a host function's mistake")
    });
    AsyncContextManager::set_context_value(ContextKey::new("a"), 1.into())?;
    let waits = start(&instance, "waits", &[ComponentValue::U32(0)])?;
    let engine = engine_of_guests()?;
    let other = Guests::instantiate(&linker(&engine, Ok), &component(&engine, GUEST))?;
    let reads = start(&other, "later", &[ComponentValue::U32(0)])?;
    let ended = TaskBuiltins::task_wait(start(&instance, "noted", &[ComponentValue::U32(1)])?)?;
    let TaskOutcome::Failed(TaskFailure::Error(error)) = ended else { panic!("it traps") };
    let text = Guests::explain(error)?.to_string();
    assert_eq!(text, "wasm trap: the host function panicked: a host function's mistake");
    // As any trap: those of its instance die, others don't, and the context is what it was.
    assert!(matches!(TaskBuiltins::task_wait(waits)?, TaskOutcome::Failed(_)));
    assert_eq!(TaskBuiltins::task_state(reads)?, TaskState::Running);
    assert_eq!(TaskBuiltins::task_wait(start(&other, "add", &[1.into(), 2.into()])?)?, completed(3));
    let value = AsyncContextManager::get_context_value(&ContextKey::new("a"))?.expect("set");
    assert_eq!((value.as_component_value(), TaskBuiltins::current_task()?), (&1.into(), None));
    ambient::core(|core| core.store.check().expect("the invariants hold"))?;
    Ok(())
}

#[test]
fn panic_inside_of_enter_gives_the_store_back_to_its_cell() -> Result<(), WasmiError> {
    let (_one, instance) = plain_guest();
    let (future, readable) = FutureHandle::for_guest(Some(U32))?;
    let task = start(&instance, "read", &[readable])?;
    let panicked = catch_unwind(AssertUnwindSafe(|| Guests::enter(|_| panic!("a mistake"))));
    assert!(panicked.is_err());
    future.complete(ComponentValue::U32(3))?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(3u32));
    assert_idle();
    Ok(())
}

#[test]
fn nested_drive_in_a_host_function_is_misuse_and_the_drive_goes_on() -> Result<(), WasmiError> {
    let (_one, instance) = guest(|n| {
        assert!(is_misuse(ambient::drive(|_| ())));
        misuse(Guests::enter(|_| ()));
        misuse(AmbientEngine::register(&engine(), ()));
        assert!(is_misuse(ambient::reset()));
        Ok(n + 1)
    });
    let task = start(&instance, "noted", &[ComponentValue::U32(1)])?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(2u32));
    assert_eq!(
        start(&instance, "later", &[ComponentValue::U32(1)]).map(TaskBuiltins::task_state)?,
        Ok(TaskState::Running)
    );
    Ok(())
}

#[test]
fn reset_frees_the_store_with_its_guests_and_the_next_begins_at_zero() -> Result<(), WasmiError> {
    let (_one, instance) = plain_guest();
    let (future, readable) = FutureHandle::for_guest(Some(U32))?;
    let task = start(&instance, "read", &[readable])?;
    ambient::reset()?;
    assert!(is_misuse(TaskBuiltins::task_state(task)));
    assert!(is_misuse(future.complete(ComponentValue::U32(1))));
    Guests::register(&engine(), Vec::new())?;
    misuse(Guests::function(&instance, "read"));
    let again =
        Guests::instantiate(&linker(&engine_of_guests()?, Ok), &component(&engine_of_guests()?, GUEST))?;
    assert_eq!(again.modules(), 0..2);
    let task = TaskBuiltins::task_call(function(&again, "add"), &[1.into(), 2.into()])?;
    assert_eq!(TaskBuiltins::task_wait(task)?, completed(3));
    Ok(())
}

fn engine_of_guests() -> Result<Engine, WasmiError> {
    Guests::enter(|caller| caller.engine().clone())
}

/// Host functions that answer later, and waits for them on the operating system's clock.
#[cfg(feature = "std")]
mod std_only {
    use super::*;
    use canon_async::Trap;
    use canon_async_wasmi::Instance;
    use std::future::{Future as _, poll_fn};
    use std::pin::pin;
    use std::sync::{Arc, Mutex, mpsc};
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread;
    use std::time::{Duration, Instant};

    /// An answer that another thread gives.
    #[derive(Clone, Default)]
    struct Given(Arc<Mutex<(Option<u32>, Option<Waker>)>>);

    impl Given {
        fn give(&self, value: u32) {
            let mut inner = self.0.lock().expect("no panic");
            inner.0 = Some(value);
            if let Some(waker) = inner.1.take() {
                waker.wake();
            }
        }

        async fn taken(self) -> Result<Option<Val>, WasmiError> {
            let value = poll_fn(|context| {
                let mut inner = self.0.lock().expect("no panic");
                inner.1 = Some(context.waker().clone());
                inner.0.map_or(Poll::Pending, Poll::Ready)
            });
            Ok(Some(Val::U32(value.await)))
        }
    }

    fn later_guest() -> (Instance, Given) {
        let (engine, given) = (engine(), Given::default());
        Guests::register(&engine, Vec::new()).expect("the first");
        let mut linker = linker(&engine, Ok);
        let answer = given.clone();
        linker.func_async("later", move |_, _| answer.clone().taken());
        let instance = Guests::instantiate(&linker, &component(&engine, GUEST)).expect("it fits");
        (instance, given)
    }

    #[test]
    fn task_wait_parks_until_a_host_function_answers_from_another_thread() -> Result<(), WasmiError> {
        let _one = fresh();
        let (instance, given) = later_guest();
        let task = start(&instance, "later", &[ComponentValue::U32(1)])?;
        assert!(!TaskBuiltins::tick()?);
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            given.give(9);
        });
        assert_eq!(TaskBuiltins::task_wait(task)?, completed(9u32));
        other.join().expect("it ends");
        assert_idle();
        Ok(())
    }

    #[test]
    fn waitable_set_wait_for_parks_no_longer_than_its_deadline() -> Result<(), WasmiError> {
        let _one = fresh();
        let (instance, given) = later_guest();
        let task = start(&instance, "later", &[ComponentValue::U32(1)])?;
        let set = WaitableSetBuiltins::waitable_set_new()?;
        WaitableSetBuiltins::waitable_set_add(set, Waitable::Future(Future::new()))?;
        let start = Instant::now();
        let waited = WaitableSetBuiltins::waitable_set_wait_for(set, Duration::from_millis(20))?;
        assert_eq!(waited, WaitResult::Timeout);
        assert!((20..2000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        // An answer in between lets the guest go on, before the deadline.
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            given.give(9);
        });
        let waited = WaitableSetBuiltins::waitable_set_wait_for(set, Duration::from_millis(200))?;
        assert_eq!((waited, TaskBuiltins::task_state(task)?), (WaitResult::Timeout, TaskState::Completed));
        assert_eq!(TaskBuiltins::task_poll(task)?, Some(completed(9u32)));
        other.join().expect("it ends");
        Ok(())
    }

    #[test]
    fn idle_for_waits_so_long_and_says_whether_somebody_answered() -> Result<(), WasmiError> {
        let _one = fresh();
        let (instance, given) = later_guest();
        let task = start(&instance, "later", &[ComponentValue::U32(1)])?;
        let begin = Instant::now();
        assert!(ambient::drive(|e| e.idle_for(Duration::from_millis(20)))??);
        assert!((20..2000).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
        assert!(!TaskBuiltins::tick()?);
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            given.give(9);
        });
        let begin = Instant::now();
        // It may return before somebody answered, and then is asked again.
        while !TaskBuiltins::tick()? {
            assert!(ambient::drive(|e| e.idle_for(Duration::from_secs(20)))??);
        }
        assert!(begin.elapsed() < Duration::from_secs(10));
        while TaskBuiltins::tick()? {}
        assert_eq!(TaskBuiltins::task_poll(task)?, Some(completed(9u32)));
        other.join().expect("it ends");
        Ok(())
    }

    #[test]
    fn until_is_woken_by_the_answer_of_a_host_function() -> Result<(), WasmiError> {
        struct Count(Mutex<u32>, thread::Thread);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                *self.0.lock().expect("no panic") += 1;
                self.1.unpark();
            }
        }
        let _one = fresh();
        let (instance, given) = later_guest();
        let task = start(&instance, "later", &[ComponentValue::U32(1)])?;
        let woken = Arc::new(Count(Mutex::new(0), thread::current()));
        let waker = woken.clone().into();
        let mut context = Context::from_waker(&waker);
        let mut ended = pin!(ambient::until(|| TaskBuiltins::task_poll(task)));
        assert!(ended.as_mut().poll(&mut context).is_pending());
        let before = *woken.0.lock().expect("no panic");
        let other = thread::spawn(move || given.give(9));
        while *woken.0.lock().expect("no panic") == before {
            thread::park_timeout(Duration::from_secs(10));
        }
        assert_eq!(ended.as_mut().poll(&mut context), Poll::Ready(Ok(completed(9u32))));
        other.join().expect("it ends");
        Ok(())
    }

    #[test]
    fn two_threads_of_the_machine_have_each_their_store_and_engine() -> Result<(), WasmiError> {
        let _one = fresh();
        let (instance, _given) = later_guest();
        let (to_other, other_gets) = mpsc::channel();
        let (future, readable) = FutureHandle::for_guest(Some(U32))?;
        let task = start(&instance, "read", &[readable])?;
        let elsewhere = instance.clone();
        let other = thread::spawn(move || {
            // Nothing is here, and what is of the other store is not of this one.
            assert!(!ambient::has_engine().expect("not in use"));
            let (instance, _given) = later_guest();
            misuse(Guests::function(&elsewhere, "add"));
            let (future, readable) = FutureHandle::for_guest(Some(U32)).expect("room");
            let task = start(&instance, "read", &[readable]).expect("it waits");
            let value: u32 = other_gets.recv().expect("the first sends");
            future.complete(ComponentValue::U32(value + 1)).expect("the guest waits");
            assert_eq!(TaskBuiltins::task_wait(task), Ok(completed(value + 1)));
            value + 1
        });
        to_other.send(40).expect("the other waits");
        let value = other.join().expect("it ends");
        future.complete(ComponentValue::U32(value + 1))?;
        assert_eq!(TaskBuiltins::task_wait(task)?, completed(42u32));
        assert_idle();
        Ok(())
    }

    #[test]
    fn panic_of_a_host_functions_future_is_the_trap_of_its_task() -> Result<(), WasmiError> {
        let _one = fresh();
        let engine = engine();
        Guests::register(&engine, Vec::new())?;
        let mut linker = linker(&engine, Ok);
        linker.func_async("later", |_, _| async { panic!("in a future") });
        let instance = Guests::instantiate(&linker, &component(&engine, GUEST))?;
        let task = start(&instance, "later", &[ComponentValue::U32(1)])?;
        let ended = TaskBuiltins::task_wait(task)?;
        assert!(
            matches!(ended, TaskOutcome::Failed(TaskFailure::Error(Error::Trap(Trap::Engine(_))))),
            "{ended:?}"
        );
        assert_idle();
        Ok(())
    }
}
