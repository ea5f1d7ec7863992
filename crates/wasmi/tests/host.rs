//! Host functions, and values that cross the host's boundary or a memory's.

mod common;

use canon_async::{Error as CoreError, LimitReached, Resource, Trap};
use canon_async_wasmi::{
    AsContext, AsContextMut, Config, Engine, Error, Func, LinkError, Linker, Store, Val, ValError,
};
use common::{assert_idle, call, call_u32, component, engine};

const RELAY: &str = r#"(component
  (import "a:b/c" (instance $c
    (export "f" (func (param "x" u32) (result u32)))))
  (core func $f (canon lower (func $c "f")))
  (core module $M
    (import "" "f" (func $f (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) (i32.add (i32.const 1) (call $f (local.get 0))))
    (func (export "leaf") (param i32) (result i32) (i32.mul (i32.const 100) (local.get 0))))
  (core instance $m (instantiate $M (with "" (instance (export "f" (func $f))))))
  (func (export "run") async (param "x" u32) (result u32) (canon lift (core func $m "run")))
  (func (export "leaf") (param "x" u32) (result u32) (canon lift (core func $m "leaf"))))"#;

fn number(args: &[Val]) -> u32 {
    match args {
        [Val::U32(n)] => *n,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_function_reaches_the_data_and_other_guests() {
    let engine = engine();
    let component = component(&engine, RELAY);
    let mut store = Store::new(&engine, Vec::<(u32, Option<Func>)>::new());
    let mut linker = Linker::<Vec<(u32, Option<Func>)>>::new(&engine);
    linker.func("a:b/c#f", |mut caller, args| {
        let n = number(args);
        let (count, other) = caller.data().last().cloned().unwrap_or_default();
        caller.data_mut().push((count + 1, other.clone()));
        match other {
            Some(other) => other.call(caller, &[Val::U32(n)]),
            None => Ok(Some(Val::U32(n + 5))),
        }
    });
    let first = linker.instantiate(&mut store, &component).unwrap();
    let second = linker.instantiate(&mut store, &component).unwrap();
    assert_eq!(call_u32(&mut store, &first, "run", &[7]).unwrap(), 13);
    let leaf = second.func(&store, "leaf");
    store.data_mut().push((10, leaf));
    assert_eq!(call_u32(&mut store, &first, "run", &[7]).unwrap(), 701);
    assert_eq!(store.data().last().unwrap().0, 11);
    // Nor does it matter that it is the guest that runs: #705.
    let leaf = first.func(&store, "leaf");
    store.data_mut().push((20, leaf));
    assert_eq!(call_u32(&mut store, &first, "run", &[7]).unwrap(), 701);
}

#[test]
fn an_errors_sources_end_at_the_rule_or_the_limit() {
    fn ends_at(error: &Error) -> &(dyn std::error::Error + 'static) {
        let mut last: &(dyn std::error::Error + 'static) = error;
        while let Some(source) = last.source() {
            last = source;
        }
        last
    }
    let trap = Error::from(CoreError::Trap(Trap::CannotEnter));
    assert_eq!(ends_at(&trap).downcast_ref(), Some(&Trap::CannotEnter));

    let limit = LimitReached::new(Resource::Tasks);
    let value = Error::Value(ValError::Core(limit.into()));
    assert_eq!(ends_at(&value).downcast_ref(), Some(&limit));
    let link = Error::Link(LinkError::Value(ValError::Core(limit.into())));
    assert_eq!(ends_at(&link).downcast_ref(), Some(&limit));

    let engine = engine();
    let missing = Linker::<()>::new(&engine)
        .instantiate(&mut Store::new(&engine, ()), &component(&engine, RELAY))
        .unwrap_err();
    let found = ends_at(&missing).downcast_ref::<LinkError>();
    assert!(matches!(found, Some(LinkError::Missing(imports)) if imports.len() == 1), "{found:?}");
}

#[test]
fn an_error_of_a_host_function_is_its_guests_trap() {
    let engine = engine();
    let component = component(&engine, RELAY);
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func("a:b/c#f", |_, _| Err(Error::host("no such file")));
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let error = call_u32(&mut store, &instance, "run", &[7]).unwrap_err();
    assert_eq!(error.to_string(), "wasm trap: no such file");
    let error = call_u32(&mut store, &instance, "run", &[7]).unwrap_err();
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::CannotEnter)));
    // A result of another type is the host's fault; the guest traps all the same.
    linker.func("a:b/c#f", |_, _| Ok(Some(Val::String("x".into()))));
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let error = call_u32(&mut store, &instance, "run", &[7]).unwrap_err();
    assert!(error.to_string().contains("expected u32, found string"), "{error}");
}

#[test]
fn nothing_stays_behind_of_a_host_function_that_failed() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func("a:b/c#f", |_, _| Err(Error::host("no such file")));
    let instance = linker.instantiate(&mut store, &component(&engine, RELAY)).unwrap();
    assert!(call_u32(&mut store, &instance, "run", &[7]).is_err());
    assert_idle(&store);
}

#[test]
fn a_missing_import_is_named() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let error = Linker::new(&engine).instantiate(&mut store, &component(&engine, RELAY)).unwrap_err();
    assert!(matches!(error, Error::Link(_)));
    assert!(error.to_string().contains("a:b/c#f"), "{error}");
}

#[test]
fn wrong_arguments_are_refused_before_the_call() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func("a:b/c#f", |_, args| Ok(args.first().cloned()));
    let instance = linker.instantiate(&mut store, &component(&engine, RELAY)).unwrap();
    for args in [&[][..], &[Val::S32(1)], &[Val::U32(1), Val::U32(2)]] {
        assert!(matches!(call(&mut store, &instance, "run", args), Err(Error::Value(_))));
    }
    assert_eq!(call_u32(&mut store, &instance, "run", &[1]).unwrap(), 2);
}

/// Two guests with a memory each; the strings go from host to guest, from guest to guest, and back.
const ECHO: &str = r#"(component
  (component $Inner
    (core module $M
      (memory (export "mem") 8)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "echo") (param i32 i32) (result i32)
        (i32.store (i32.const 16) (local.get 0))
        (i32.store (i32.const 20) (local.get 1))
        (i32.const 16)))
    (core instance $m (instantiate $M))
    (func (export "echo") (param "s" string) (result string)
      (canon lift (core func $m "echo") (memory (core memory $m "mem")) (realloc (core func $m "realloc")))))
  (component $Outer
    (import "echo" (func $echo (param "s" string) (result string)))
    (core module $Libc
      (memory (export "mem") 8)
      (global $top (mut i32) (i32.const 4096))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $top)
        (global.set $top (i32.add (global.get $top) (local.get 3)))))
    (core instance $libc (instantiate $Libc))
    (core func $echo' (canon lower (func $echo) (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (core module $M
      (import "" "echo" (func $echo (param i32 i32 i32)))
      (func (export "run") (param i32 i32) (result i32)
        (call $echo (local.get 0) (local.get 1) (i32.const 32))
        (i32.const 32)))
    (core instance $m (instantiate $M (with "" (instance (export "echo" (func $echo'))))))
    (func (export "run") (param "s" string) (result string)
      (canon lift (core func $m "run") (memory (core memory $libc "mem")) (realloc (core func $libc "realloc")))))
  (instance $inner (instantiate $Inner))
  (instance $outer (instantiate $Outer (with "echo" (func $inner "echo"))))
  (export "run" (func $outer "run")))"#;

#[test]
fn strings_go_round_whatever_their_length() {
    for length in [0, 1, 100, 1024, 4096, 4097, 10_000, 100_000] {
        let (mut store, instance) = common::instantiate(ECHO);
        let text: String = (0..length).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
        let echo = call(&mut store, &instance, "run", &[Val::String(text.clone())]).unwrap();
        assert_eq!(echo, Some(Val::String(text)), "{length}");
    }
}

#[test]
fn bytes_go_round_whatever_their_number() {
    let bytes = ECHO.replace(" string)", " (list u8))");
    for length in [0, 1, 4096, 4097, 100_000] {
        let (mut store, instance) = common::instantiate(&bytes);
        let list = Val::List((0..length).map(|n: u32| Val::U8((n % 251) as u8)).collect());
        let echo = call(&mut store, &instance, "run", core::slice::from_ref(&list)).unwrap();
        assert_eq!(echo, Some(list), "{length}");
    }
}

/// Seventeen core parameters of all kinds, the last of them the result's address.
#[test]
fn every_core_type_passes_a_shim_bit_for_bit() {
    let params: Vec<&str> = ["s8", "u64", "f32", "f64"].into_iter().cycle().take(16).collect();
    let core: Vec<&str> = ["i32", "i64", "f32", "f64"].into_iter().cycle().take(16).collect();
    let (params_, core_) = (
        params.iter().enumerate().map(|(i, ty)| format!(r#"(param "p{i}" {ty})"#)).collect::<String>(),
        core.join(" "),
    );
    let gets: String = (0..16).map(|i| format!("(local.get {i})")).collect();
    let wat = format!(
        r#"(component
  (import "f" (func $f {params_} (result (tuple u64 f32))))
  (core module $Libc (memory (export "mem") 1))
  (core instance $libc (instantiate $Libc))
  (alias core export $libc "mem" (core memory $mem))
  (core func $f' (canon lower (func $f) (memory $mem)))
  (core module $M
    (import "" "mem" (memory 1))
    (import "" "f" (func $f (param {core_} i32)))
    (func (export "run") (param {core_}) (result i32)
      (call $f {gets} (i32.const 4000))
      (i32.const 4000)))
  (core instance $m (instantiate $M (with "" (instance (export "mem" (memory $mem)) (export "f" (func $f'))))))
  (func (export "run") {params_} (result (tuple u64 f32))
    (canon lift (core func $m "run") (memory $mem))))"#
    );
    let engine = engine();
    let mut store = Store::new(&engine, Vec::new());
    let mut linker = Linker::<Vec<Val>>::new(&engine);
    linker.func("f", |mut caller, args| {
        caller.data_mut().extend_from_slice(args);
        Ok(Some(Val::Tuple(vec![Val::U64(u64::MAX - 1), Val::F32(-0.5)])))
    });
    let instance = linker.instantiate(&mut store, &component(&engine, &wat)).unwrap();
    let args: Vec<Val> = (0..4i8)
        .flat_map(|n| {
            let one = f64::from(n) * -1.5;
            [Val::S8(-n), Val::U64(u64::MAX - n as u64), Val::F32(one as f32), Val::F64(one / 3.0)]
        })
        .collect();
    let result = call(&mut store, &instance, "run", &args).unwrap();
    assert_eq!(result, Some(Val::Tuple(vec![Val::U64(u64::MAX - 1), Val::F32(-0.5)])));
    assert_eq!(*store.data(), args);
}

#[test]
fn the_memories_of_a_store_share_one_budget() {
    let wat = r#"(component
  (core module $M (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
  (core instance $a (instantiate $M))
  (core instance $b (instantiate $M))
  (func (export "a") (param "n" u32) (result u32) (canon lift (core func $a "grow")))
  (func (export "b") (param "n" u32) (result u32) (canon lift (core func $b "grow"))))"#;
    let engine = Engine::new(Config::new().memory_bytes(10 << 16));
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component(&engine, wat)).unwrap();
    assert_eq!(call_u32(&mut store, &instance, "a", &[9]).unwrap(), u32::MAX);
    assert_eq!(call_u32(&mut store, &instance, "a", &[5]).unwrap(), 1);
    assert_eq!(call_u32(&mut store, &instance, "b", &[4]).unwrap(), u32::MAX);
    assert_eq!(call_u32(&mut store, &instance, "b", &[3]).unwrap(), 1);
}

#[test]
fn a_store_and_its_callers_are_contexts() {
    fn data<C: AsContext>(_: &C) {}
    data(&Store::new(&engine(), ()));
}

#[test]
fn error_contexts_reach_the_host_and_come_back() {
    const TEXT: &str = r#"(component
      (import "log" (func $log (param "why" error-context)))
      (core module $Libc
        (memory (export "mem") 1)
        (data (i32.const 100) "no route to host")
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
      (core instance $libc (instantiate $Libc))
      (core func $log (canon lower (func $log)))
      (core func $new (canon error-context.new (memory (core memory $libc "mem"))))
      (core func $message (canon error-context.debug-message (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
      (core func $drop (canon error-context.drop))
      (core module $M
        (import "" "log" (func $log (param i32)))
        (import "" "new" (func $new (param i32 i32) (result i32)))
        (import "" "message" (func $message (param i32 i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "fail") (result i32)
          (local $why i32)
          (local.set $why (call $new (i32.const 100) (i32.const 16)))
          (call $log (local.get $why))
          (local.get $why))
        (func (export "text") (param i32) (result i32)
          (call $message (local.get 0) (i32.const 16))
          (call $drop (local.get 0))
          (i32.const 16)))
      (core instance $m (instantiate $M (with "" (instance
        (export "log" (func $log)) (export "new" (func $new))
        (export "message" (func $message)) (export "drop" (func $drop))))))
      (func (export "fail") (result error-context) (canon lift (core func $m "fail")))
      (func (export "text") (param "why" error-context) (result string)
        (canon lift (core func $m "text") (memory (core memory $libc "mem")))))"#;
    let engine = engine();
    let component = component(&engine, TEXT);
    let mut store = Store::new(&engine, Vec::<String>::new());
    let mut linker = Linker::<Vec<String>>::new(&engine);
    linker.func("log", |mut caller, args| {
        let [Val::ErrorContext(why)] = args else { panic!("{args:?}") };
        let text = caller.error_message(*why)?;
        caller.data_mut().push(text);
        caller.drop_error_context(*why)?;
        Ok(None)
    });
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let fail = call(&mut store, &instance, "fail", &[]).unwrap();
    assert_eq!(store.data(), &["no route to host"]);
    let Some(Val::ErrorContext(why)) = fail else { panic!("{fail:?}") };
    // The guest's handle and the host's, of one context.
    let counts = store.core().counts();
    assert_eq!((counts.error_contexts, counts.handles), (1, 2));
    let text = call(&mut store, &instance, "text", &[Val::ErrorContext(why)]).unwrap();
    assert_eq!(text, Some(Val::String("no route to host".into())));
    store.drop_error_context(why).unwrap();
    assert_eq!(store.core().counts().handles, 1);

    let made = store.new_error_context("out of paper").unwrap();
    let text = call(&mut store, &instance, "text", &[Val::ErrorContext(made)]).unwrap();
    assert_eq!(text, Some(Val::String("out of paper".into())));
    store.drop_error_context(made).unwrap();
    let error = store.drop_error_context(made).unwrap_err();
    assert!(matches!(error.core(), Some(CoreError::Misuse(_))), "{error}");
    // What the host does not hold it can't pass on either. The guest runs nothing, and goes on.
    let error = call(&mut store, &instance, "text", &[Val::ErrorContext(made)]).unwrap_err();
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::UnknownHandle(made))));
    call(&mut store, &instance, "fail", &[]).unwrap();
    let error = call(&mut store, &instance, "text", &[Val::U32(1)]).unwrap_err();
    assert!(error.to_string().contains("expected error-context, found u32"), "{error}");
    assert_idle(&store);
}

#[cfg(feature = "std")]
#[test]
fn host_function_that_panics_is_its_callers_trap_and_the_store_goes_on() {
    let wat = r#"(component
      (import "f" (func $f (param "n" u32) (result u32)))
      (core func $f' (canon lower (func $f)))
      (core module $M
        (import "" "f" (func $f (param i32) (result i32)))
        (func (export "run") (param i32) (result i32) (call $f (local.get 0))))
      (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
      (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run"))))"#;
    let engine = engine();
    let component = component(&engine, wat);
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func("f", |_, args| match args {
        [Val::U32(0)] => panic!("{} is too few", 0),
        _ => Ok(Some(Val::U32(1))),
    });
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let other = linker.instantiate(&mut store, &component).unwrap();
    let error = call(&mut store, &instance, "run", &[Val::U32(0)]).unwrap_err();
    assert_eq!(error.to_string(), "wasm trap: the host function panicked: 0 is too few");
    assert_eq!(call(&mut store, &other, "run", &[Val::U32(2)]).unwrap(), Some(Val::U32(1)));
    assert_idle(&store);
}
