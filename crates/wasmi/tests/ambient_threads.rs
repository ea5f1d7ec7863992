//! Threads of the host that run guests' core functions on wasmi.

mod common;
#[path = "common/ambient.rs"]
mod guests;

use canon_async::prelude::*;
use canon_async::{Trap, ambient};
use canon_async_wasmi::{Instance, Linker, Val};
use common::{component, engine};
use guests::{Guests, assert_idle, fresh, is_misuse, linker, notes};
use std::sync::Mutex;

type Threads = AdvancedThreadingBuiltins;

/// Two core instances in a component inside of another: `$Libc` has the table, `$M` the functions.
const GUEST: &str = r#"(component
  (import "note" (func $note (param "n" u32) (result u32)))
  (component $Inner
    (import "note" (func $note (param "n" u32) (result u32)))
    (core func $note' (canon lower (func $note)))
    (core func $yield (canon thread.yield))
    (core module $Libc (table (export "table") 4 funcref) (memory (export "memory") 1))
    (core instance $libc (instantiate $Libc))
    (core module $M
      (import "libc" "table" (table $table 4 funcref))
      (import "" "note" (func $note (param i32) (result i32)))
      (import "" "yield" (func $yield (result i32)))
      (elem (table $table) (i32.const 0) func $twice $trap)
      (func $twice (export "twice") (param i32) (result i32) (i32.mul (call $note (local.get 0)) (i32.const 2)))
      (func $thrice (export "thrice") (param i32) (result i32) (i32.mul (call $note (local.get 0)) (i32.const 3)))
      (func $trap (export "trap") (drop (call $yield)) (unreachable))
      (func (export "all") (param i32 i64 f32 f64) (result f64)
        (f64.add
          (f64.add (f64.convert_i32_s (local.get 0)) (f64.convert_i64_s (local.get 1)))
          (f64.add (f64.promote_f32 (local.get 2)) (local.get 3))))
      (func (export "yields") (param i32) (result i32)
        (drop (call $note (local.get 0)))
        (drop (call $yield))
        (call $note (i32.add (local.get 0) (i32.const 10))))
      (func (export "two") (result i32 i32) (i32.const 1) (i32.const 2))
      (func (export "many") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32))
      (func (export "reference") (param funcref))
      (func (export "destroy") (param i32 i32)
        (drop (call $note (i32.add (local.get 0) (local.get 1)))))
      (func (export "replace") (table.set $table (i32.const 0) (ref.func $thrice)))
      (elem declare func $thrice))
    (core instance $m (instantiate $M
      (with "libc" (instance $libc))
      (with "" (instance (export "note" (func $note')) (export "yield" (func $yield))))))
    (func (export "replace") (canon lift (core func $m "replace")))
    (func (export "yields") async (param "n" u32) (result u32) (canon lift (core func $m "yields"))))
  (instance $inner (instantiate $Inner (with "note" (func $note))))
  (export "inner" (instance $inner)))"#;

const LIBC: u32 = 0;
const M: u32 = 1;

fn guest(
    note: impl Fn(u32) -> Result<u32, canon_async_wasmi::Error> + Send + Sync + 'static,
) -> (std::sync::MutexGuard<'static, ()>, Instance) {
    let (one, engine) = (fresh(), engine());
    Guests::register(&engine, Vec::new()).expect("the first");
    let instance = Guests::instantiate(&linker(&engine, note), &component(&engine, GUEST));
    (one, instance.unwrap_or_else(|error| panic!("{error}")))
}

fn reference(
    module: u32,
    export: &str,
    params: &[ThreadValueType],
    result: &[ThreadValueType],
) -> FunctionReference {
    let index = Guests::function_index(module, export).unwrap_or_else(|error| panic!("{export}: {error}"));
    let signature = FunctionSignature { params: params.to_vec(), results: result.to_vec() };
    FunctionReference::new(export, signature, module, index)
}

fn spawn(export: &str, args: &[ComponentValue]) -> Result<HostThreadId, Error> {
    use ThreadValueType::I32;
    let params = vec![I32; args.len()];
    let results = if matches!(export, "trap" | "destroy") { vec![] } else { vec![I32] };
    Threads::thread_spawn_ref_with_args(
        reference(M, export, &params, &results),
        Default::default(),
        None,
        args,
    )
}

#[test]
fn thread_spawn_ref_runs_a_core_function_on_the_next_drive() -> Result<(), Error> {
    let (_one, instance) = guest(Ok);
    assert_eq!(instance.modules(), LIBC..M + 1);
    let thread = spawn("twice", &[21.into()])?;
    assert_eq!((Threads::thread_state(thread)?, notes()), (TaskState::Pending, vec![]));
    assert_eq!(Threads::thread_join(thread)?.value(), Some(&42.into()));
    assert_eq!(notes(), [21]);
    // Another component's core instances go on.
    let engine = Guests::enter(|caller| caller.engine().clone()).expect("not in use");
    let other = component(
        &engine,
        "(component (core module $M (func (export \"f\"))) (core instance (instantiate $M)))",
    );
    let other = Guests::instantiate(&Linker::new(&engine), &other).expect("it imports nothing");
    assert_eq!((other.modules(), Guests::function_index(2, "f").expect("it exports it")), (2..3, 0));
    assert_idle();
    Ok(())
}

#[test]
fn thread_spawn_ref_takes_numbers_of_all_types() -> Result<(), Error> {
    use ThreadValueType::{F32, F64, I32, I64};
    let (_one, _instance) = guest(Ok);
    let args: [ComponentValue; 4] = [(-1).into(), 2i64.into(), 0.5f32.into(), 0.25f64.into()];
    let all = reference(M, "all", &[I32, I64, F32, F64], &[F64]);
    let thread = Threads::thread_spawn_ref_with_args(all.clone(), Default::default(), None, &args)?;
    assert_eq!(Threads::thread_join(thread)?.value(), Some(&1.75f64.into()));
    let thread = Threads::thread_spawn_ref(all, Default::default(), None)?;
    assert_eq!(Threads::thread_join(thread)?.value(), Some(&0f64.into()));
    for export in ["two", "many", "reference"] {
        assert!(is_misuse(Threads::thread_spawn_ref(
            reference(M, export, &[], &[]),
            Default::default(),
            None
        )));
    }
    let nobody = FunctionReference::new("nobody", FunctionSignature::default(), M, 100);
    assert!(is_misuse(Threads::thread_spawn_ref(nobody, Default::default(), None)));
    assert!(Guests::function_index(M, "nobody").is_err() && Guests::function_index(7, "twice").is_err());
    let large = ThreadSpawnConfig { stack_size: Some((16 << 20) + 1), priority: None };
    let refused = Threads::thread_spawn_ref(reference(M, "trap", &[], &[]), large, None);
    assert_eq!(refused, Err(Error::capacity(canon_async::Resource::StackBytes)));
    Ok(())
}

#[test]
fn thread_spawn_indirect_calls_the_element_that_the_table_has_then() -> Result<(), Error> {
    let (_one, instance) = guest(Ok);
    let table = Guests::table_index(LIBC, "table").expect("it exports one");
    assert!(Guests::table_index(M, "table").is_err());
    let spawn =
        |index| Threads::thread_spawn_indirect_with_args(table, index, Default::default(), None, &[7.into()]);
    let first = spawn(0)?;
    let replace = Guests::function(&instance, "inner#replace").expect("an export");
    TaskBuiltins::task_wait(TaskBuiltins::task_call(replace, &[])?)?;
    let second = spawn(0)?;
    assert_eq!(Threads::thread_join(first)?.value(), Some(&14.into()));
    assert_eq!(Threads::thread_join(second)?.value(), Some(&21.into()));
    // Null, and past the end.
    assert!(is_misuse(spawn(3)) && is_misuse(spawn(4)));
    assert!(is_misuse(Threads::thread_spawn_indirect(table + 1, 0, Default::default(), None)));
    assert_idle();
    Ok(())
}

#[test]
fn function_of_the_same_place_is_the_same_and_takes_no_room_again() -> Result<(), Error> {
    let (_one, _instance) = guest(Ok);
    let at = |export| {
        let function = Guests::function_index(M, export).expect("an export");
        ambient::function(ambient::FunctionAt::Index { module: M, function })
    };
    let (twice, thrice) = (at("twice")?, at("thrice")?);
    assert_ne!(twice, thrice);
    assert_eq!((at("twice")?, at("thrice")?), (twice, thrice));
    let table = Guests::table_index(LIBC, "table").expect("it exports one");
    assert_eq!(ambient::function(ambient::FunctionAt::Table { table, index: 0 })?, twice);
    Ok(())
}

#[test]
fn thread_join_of_a_trap_ends_all_threads_of_its_instance() -> Result<(), Error> {
    let (_one, _instance) = guest(Ok);
    let (traps, yields) = (spawn("trap", &[])?, spawn("yields", &[1.into()])?);
    let TaskOutcome::Failed(TaskFailure::Error(error @ Error::Trap(Trap::Engine(_)))) =
        Threads::thread_join(traps)?
    else {
        panic!("it traps")
    };
    let text = Guests::explain(error).expect("not in use").to_string();
    assert!(text.contains("unreachable"), "{text}");
    assert!(matches!(Threads::thread_join(yields)?, TaskOutcome::Failed(_)));
    assert_eq!(spawn("twice", &[1.into()]), Err(Trap::CannotEnter.into()));
    assert_eq!(Guests::enter(|caller| caller.data().clone()).expect("not in use"), [1]);
    assert_idle();
    Ok(())
}

#[test]
fn host_function_that_a_thread_calls_sees_it_as_the_current_one() -> Result<(), Error> {
    static SEEN: Mutex<Vec<HostThreadId>> = Mutex::new(Vec::new());
    let (_one, instance) = guest(|n| {
        if let Some(thread) = Threads::current_thread()? {
            SEEN.lock().expect("no panic").push(thread);
            Threads::thread_local_set(thread, n, ComponentValue::U32(n), None)?;
        }
        Ok(n)
    });
    let (a, b) = (spawn("yields", &[1.into()])?, spawn("yields", &[2.into()])?);
    // Not a thread, beside them.
    let yields = Guests::function(&instance, "inner#yields").expect("an export");
    let task = TaskBuiltins::task_call(yields, &[ComponentValue::U32(3)])?;
    assert_eq!(Threads::thread_join(a)?.value(), Some(&11.into()));
    assert_eq!(Threads::thread_join(b)?.value(), Some(&12.into()));
    assert_eq!(TaskBuiltins::task_wait(task)?.value(), Some(&ComponentValue::U32(13)));
    let mut seen = SEEN.lock().expect("no panic").clone();
    seen.sort();
    assert_eq!(seen, [a, a, b, b]);
    assert_eq!(Threads::current_thread()?, None);
    assert_idle();
    Ok(())
}

#[test]
fn thread_local_set_with_a_guests_destructor_runs_it_when_the_thread_has_ended() -> Result<(), Error> {
    let (_one, _instance) = guest(Ok);
    let thread = spawn("twice", &[5.into()])?;
    let destroy = Guests::function_index(M, "destroy").expect("an export");
    Threads::thread_local_set(thread, 100, 1.into(), Some(destroy))?;
    Threads::thread_local_set(thread, 200, 2.into(), Some(destroy))?;
    assert_eq!(Threads::thread_join(thread)?.value(), Some(&10.into()));
    // The last first.
    assert_eq!(notes(), [5, 202, 101]);
    assert_eq!(Threads::lost_destructors(thread)?, 0);
    assert_idle();
    Ok(())
}

#[test]
fn thread_spawn_runs_beside_func_call_that_drives_the_store() -> Result<(), canon_async_wasmi::Error> {
    let (_one, instance) = guest(Ok);
    let thread = spawn("twice", &[4.into()])?;
    let answer = Guests::enter(|mut caller| {
        let yields = instance.func(&caller, "inner#yields").expect("an export");
        yields.call(&mut caller, &[Val::U32(1)])
    })?;
    assert_eq!((answer?, notes()), (Some(Val::U32(11)), vec![1, 4, 11]));
    assert_eq!(Threads::thread_state(thread)?, TaskState::Completed);
    Ok(())
}
