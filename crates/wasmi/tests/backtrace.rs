//! Where a guest trapped, and who called it.

mod common;

use std::error::Error as _;

use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::backtrace::{MAX_FRAMES, Next, Task};
use canon_async_wasmi::{Component, Config, Engine, Error, Linker, Plan, Store, Val};
use common::{call, component, engine, instantiate};

/// Three components, one in the other's calls: `$app` has `$relay` call what `$worker` exports. With `how`
/// the functions are of another type or lifted otherwise: `ty` their type, `lift` the options of their lifts.
fn chain(ty: &str, lift: &str, work: &str, relay: &str, run: &str) -> String {
    let start = match ty {
        "async" => r#"(canon lower (func $work) async (memory (core memory $libc "mem")))"#,
        _ => "(canon waitable-set.new)",
    };
    format!(
        r#"(component $app
  (component $worker-definition
    (core module $core
      (memory (export "mem") 1)
      (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
      (func $inner unreachable)
      {work})
    (core instance $i (instantiate $core))
    (func (export "work") {ty} (canon lift (core func $i "work") {lift})))
  (component $relay-definition
    (import "work" (func $work {ty}))
    (core module $libc (memory (export "mem") 1))
    (core instance $libc (instantiate $libc))
    (core func $work' (canon lower (func $work)))
    (core func $work-async {start})
    (core func $new (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core func $ret (canon task.return))
    (core module $relay-core
      (import "" "work" (func $work))
      (import "" "work-async" (func $work-async (result i32)))
      (import "" "new" (func $new (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (import "" "return" (func $ret))
      {relay})
    (core instance $i (instantiate $relay-core (with "" (instance
      (export "work" (func $work')) (export "work-async" (func $work-async)) (export "new" (func $new))
      (export "join" (func $join)) (export "return" (func $ret))))))
    (func (export "relay") {ty} (canon lift (core func $i "relay") {lift})))
  (component $front-definition
    (import "relay" (func $relay {ty}))
    (core func $relay' (canon lower (func $relay)))
    (core module $front-core (import "" "relay" (func $relay))
      {run})
    (core instance $i (instantiate $front-core (with "" (instance (export "relay" (func $relay'))))))
    (func (export "run") {ty} (canon lift (core func $i "run"))))
  (instance $worker (instantiate $worker-definition))
  (instance $relay (instantiate $relay-definition (with "work" (func $worker "work"))))
  (instance $front (instantiate $front-definition (with "relay" (func $relay "relay"))))
  (func (export "run") (alias export $front "run")))"#
    )
}

const WORK: &str = r#"(func $work-core (export "work") (call $inner))"#;
const RELAY: &str = r#"(func $relay-entry (export "relay") (call $work))"#;
const RUN: &str = r#"(func $run-entry (export "run") (call $relay))"#;

fn sync() -> String {
    chain("", "", WORK, RELAY, RUN)
}

fn trap(wat: &str, export: &str) -> Error {
    let (mut store, instance) = instantiate(wat);
    call(&mut store, &instance, export, &[]).unwrap_err()
}

#[test]
fn trap_in_a_chain_of_calls_names_the_innermost_component_and_all_callers() {
    let error = trap(&sync(), "run");
    assert_eq!(error.to_string(), "wasm trap: wasm `unreachable` instruction executed");
    assert_eq!(
        format!("{error:#}"),
        "wasm trap: wasm `unreachable` instruction executed\n  \
         0: app / worker: export \"work\", entered at core function $work-core of module $core (index 2, at 0x49), called by\n  \
         1: app / relay: export \"relay\", entered at core function $relay-entry of module $relay-core (index 5, at 0x5c), called by\n  \
         2: app / front: export \"run\", entered at core function $run-entry of module $front-core (index 1, at 0x2b), called by the host"
    );
}

#[test]
fn backtrace_is_data_and_the_source_of_the_error() {
    let error = trap(&sync(), "run");
    let backtrace = error.backtrace().expect("it came up in a guest");
    assert_eq!((backtrace.frames().len(), backtrace.omitted()), (3, 0));
    let innermost = backtrace.innermost().unwrap();
    assert_eq!((innermost.component(), innermost.export()), ("app / worker", Some("work")));
    let entry = innermost.entry().unwrap();
    assert_eq!(
        (entry.name(), entry.index(), entry.module(), entry.export()),
        (Some("work-core"), Some(2), "module $core", Some("work"))
    );
    let next: Vec<_> = backtrace.frames().iter().map(|frame| frame.next()).collect();
    assert_eq!(next, [Next::Called, Next::Called, Next::Host]);
    assert_eq!(
        error.source().unwrap().to_string(),
        "in app / worker: export \"work\", entered at core function $work-core of module $core (index 2, at 0x49)"
    );
    assert_eq!(error.clone().backtrace(), Some(backtrace));
}

#[test]
fn trap_of_a_callee_that_waited_names_the_callers_that_wait_for_it() {
    // The worker yields first: the scheduler resumes it while all of its callers wait in their calls.
    let work = r#"(func $work-core (export "work"))"#;
    let wat = chain("async", "", work, RELAY, RUN)
        .replace(r#"(canon lift (core func $i "work") )"#, r#"(canon lift (core func $j "work") async)"#);
    let wat = wat.replace(
        "(core instance $i (instantiate $core))",
        r#"(core func $yield (canon thread.yield))
           (core module $waits (import "" "yield" (func $yield (result i32)))
             (func $waits-entry (export "work") (drop (call $yield)) unreachable))
           (core instance $j (instantiate $waits (with "" (instance (export "yield" (func $yield))))))"#,
    );
    let error = trap(&wat, "run");
    let lines: Vec<_> = error.backtrace().unwrap().frames().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "app / worker: export \"work\", entered at core function $waits-entry of module $waits (index 1, at 0x30)",
            "app / relay: export \"relay\"",
            "app / front: export \"run\"",
        ]
    );
    let next: Vec<_> = error.backtrace().unwrap().frames().iter().map(|frame| frame.next()).collect();
    assert_eq!(next, [Next::Called, Next::Called, Next::Host]);
}

#[test]
fn trap_of_a_callee_whose_caller_went_on_names_the_callers_component() {
    // The worker waits; the relay calls it by an `async` lower, and waits for it in its callback loop.
    let relay = r#"
      (func $relay-entry (export "relay") (result i32) (local $set i32)
        (local.set $set (call $new))
        (call $join (i32.shr_u (call $work-async) (i32.const 4)) (local.get $set))
        (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
      (func $relay-callback (export "cb") (param i32 i32 i32) (result i32) (call $ret) (i32.const 0))"#;
    let work = r#"(func $work-core (export "work") (result i32) (i32.const 1))
      (func $work-callback (export "cb") (param i32 i32 i32) (result i32) (call $inner) (i32.const 0))"#;
    let wat = chain("async", r#"async (callback (core func $i "cb"))"#, work, relay, RUN);
    let error = trap(&wat, "run");
    let backtrace = error.backtrace().unwrap();
    let lines: Vec<_> = backtrace.frames().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "app / worker: export \"work\", entered at core function $work-callback of module $core (index 3, at 0x5f)",
            "app / relay",
        ]
    );
    assert_eq!(backtrace.frames()[0].next(), Next::CalledEarlier);
    assert_eq!(*backtrace.frames()[1].task(), Task::Caller);
    assert_eq!(
        format!("{backtrace:#}"),
        format!("  0: {}, resumed by the scheduler; called earlier by\n  1: app / relay", lines[0])
    );
}

#[test]
fn trap_in_a_built_in_says_which() {
    let error = trap(
        r#"(component $c
          (core func $drop (canon waitable-set.drop))
          (core module $M (import "" "drop" (func $drop (param i32)))
            (func (export "run") (call $drop (i32.const 7))))
          (core instance $m (instantiate $M (with "" (instance (export "drop" (func $drop))))))
          (func (export "run") (canon lift (core func $m "run"))))"#,
        "run",
    );
    assert_eq!(error.core(), Some(CoreError::Trap(Trap::UnknownHandle(7))));
    let text = error.source().unwrap().to_string();
    assert_eq!(
        text,
        "in c: export \"run\", entered at core function 1 of module $M (at 0x2e), in waitable-set.drop"
    );
}

#[test]
fn error_contexts_that_the_trapping_component_held_are_shown() {
    let error = trap(
        r#"(component $c
          (core module $Mem (memory (export "m") 1) (data (i32.const 16) "disk full\1b[2J"))
          (core instance $mem (instantiate $Mem))
          (core func $new (canon error-context.new (memory (core memory $mem "m"))))
          (core module $M (import "" "new" (func $new (param i32 i32) (result i32)))
            (func $run (export "run") (drop (call $new (i32.const 16) (i32.const 13))) unreachable))
          (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
          (func (export "run") (canon lift (core func $m "run"))))"#,
        "run",
    );
    let backtrace = error.backtrace().unwrap();
    assert_eq!(backtrace.messages(), ["disk full\u{1b}[2J"]);
    let text = format!("{backtrace:#}");
    assert!(text.ends_with("\n     it held an error context: \"disk full\\u{1b}[2J\""), "{text}");
    assert_eq!(trap(&sync(), "run").backtrace().unwrap().messages(), [""; 0]);
}

#[test]
fn trap_of_realloc_names_realloc_and_its_component() {
    let error = trap(
        r#"(component $c
          (core module $M (memory (export "m") 1)
            (func $alloc (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "f") (param i32 i32)))
          (core instance $m (instantiate $M))
          (component $d
            (import "f" (func $f (param "s" string)))
            (core module $L (memory (export "m") 1))
            (core instance $l (instantiate $L))
            (core func $f' (canon lower (func $f) (memory (core memory $l "m"))))
            (core module $M (import "" "f" (func $f (param i32 i32)))
              (func $run (export "run") (call $f (i32.const 0) (i32.const 3))))
            (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
            (func (export "run") (canon lift (core func $m "run"))))
          (func $f (param "s" string) (canon lift (core func $m "f") (memory (core memory $m "m"))
            (realloc (core func $m "realloc"))))
          (instance $d (instantiate $d (with "f" (func $f))))
          (func (export "run") (alias export $d "run")))"#,
        "run",
    );
    let lines: Vec<_> = error.backtrace().unwrap().frames().iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(lines[0], "c: realloc, entered at core function $alloc of module $M (index 0, at 0x3b)");
    assert_eq!(lines[1], "c: a function that it does not export");
    assert_eq!(
        lines[2],
        "c / d: export \"run\", entered at core function $run of module $M (index 1, at 0x2c)"
    );
}

#[test]
fn trap_of_a_host_function_names_it_and_the_guest_that_called_it() {
    let engine = engine();
    let component = component(
        &engine,
        r#"(component $c
          (import "a:b/c" (instance $i (export "fail" (func))))
          (core func $fail (canon lower (func $i "fail")))
          (core module $M (import "" "fail" (func $fail)) (func $run (export "run") (call $fail)))
          (core instance $m (instantiate $M (with "" (instance (export "fail" (func $fail))))))
          (func (export "run") (canon lift (core func $m "run"))))"#,
    );
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func("a:b/c#fail", |_, _| Err(Error::host("no disk")));
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let error = call(&mut store, &instance, "run", &[]).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "wasm trap: no disk\n  0: host: \"a:b/c#fail\", called by\n  \
         1: c: export \"run\", entered at core function $run of module $M (index 1, at 0x2a), called by the host"
    );
}

#[test]
fn trap_in_a_forward_names_the_built_in() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    for name in ["stream.forward", "future.forward"] {
        let (kind, _) = name.split_once('.').unwrap();
        let component = component(
            &engine,
            &format!(
                r#"(component $c
                  (type $t ({kind} u8))
                  (core func $forward (canon {name} $t))
                  (core module $M
                    (import "" "forward" (func $forward (param i32 i32)))
                    (func $run (export "run") (call $forward (i32.const 1) (i32.const 2))))
                  (core instance $m (instantiate $M (with "" (instance (export "forward" (func $forward))))))
                  (func (export "run") (canon lift (core func $m "run"))))"#
            ),
        );
        let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        let error = call(&mut store, &instance, "run", &[]).unwrap_err();
        let frame = &error.backtrace().unwrap().frames()[0];
        assert_eq!(frame.builtin(), Some(name));
    }
}

#[test]
fn trap_of_guests_that_a_host_function_called_goes_on_to_the_guest_that_called_it() {
    let engine = engine();
    let inner = component(&engine, &sync());
    let outer = component(
        &engine,
        r#"(component $outer
          (import "again" (func $again))
          (core func $again' (canon lower (func $again)))
          (core module $M (import "" "again" (func $again)) (func (export "run") (call $again)))
          (core instance $m (instantiate $M (with "" (instance (export "again" (func $again'))))))
          (func (export "run") (canon lift (core func $m "run"))))"#,
    );
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &inner).unwrap();
    let run = instance.func(&store, "run").unwrap();
    let mut linker = Linker::new(&engine);
    linker.func("again", move |caller, _| run.call(caller, &[]));
    let instance = linker.instantiate(&mut store, &outer).unwrap();
    let error = call(&mut store, &instance, "run", &[]).unwrap_err();
    let paths: Vec<_> = error.backtrace().unwrap().frames().iter().map(|frame| frame.component()).collect();
    assert_eq!(paths, ["app / worker", "app / relay", "app / front", "host", "outer"]);
}

#[test]
fn trap_that_a_host_function_swallows_is_not_in_the_next_backtrace() {
    let engine = engine();
    let inner = component(&engine, &sync());
    let outer = component(
        &engine,
        r#"(component $outer
          (import "again" (func $again))
          (core func $again' (canon lower (func $again)))
          (core module $M (import "" "again" (func $again)) (func (export "run") (call $again) unreachable))
          (core instance $m (instantiate $M (with "" (instance (export "again" (func $again'))))))
          (func (export "run") (canon lift (core func $m "run"))))"#,
    );
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &inner).unwrap();
    let run = instance.func(&store, "run").unwrap();
    let mut linker = Linker::new(&engine);
    linker.func("again", move |caller, _| run.call(caller, &[]).or(Ok(None)));
    let instance = linker.instantiate(&mut store, &outer).unwrap();
    let error = call(&mut store, &instance, "run", &[]).unwrap_err();
    let paths: Vec<_> = error.backtrace().unwrap().frames().iter().map(|frame| frame.component()).collect();
    assert_eq!(paths, ["outer"]);
    // Nor is one in an error that is not of guests.
    let wrong = call(&mut store, &instance, "run", &[Val::U32(1)]).unwrap_err();
    assert_eq!(wrong.backtrace(), None);
}

#[test]
fn trap_in_a_start_function_names_the_component() {
    let engine = engine();
    let component = component(
        &engine,
        r#"(component $app
          (component $part (core module $M (func $begin unreachable) (start $begin)) (core instance (instantiate $M)))
          (instance $first (instantiate $part)))"#,
    );
    let mut store = Store::new(&engine, ());
    let error = Linker::new(&engine).instantiate(&mut store, &component).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "wasm trap: wasm `unreachable` instruction executed\n  0: app / first: a start function, called by the host"
    );
}

#[test]
fn trap_in_a_destructor_names_the_resource() {
    let error = trap(
        r#"(component $c
          (component $owner
            (core module $M (func $free (export "free") (param i32) unreachable))
            (core instance $m (instantiate $M))
            (type $r' (resource (rep i32) (dtor (core func $m "free"))))
            (export $r "file" (type $r'))
            (core func $new (canon resource.new $r'))
            (core module $N (import "" "new" (func $new (param i32) (result i32)))
              (func (export "make") (result i32) (call $new (i32.const 1))))
            (core instance $n (instantiate $N (with "" (instance (export "new" (func $new))))))
            (func (export "make") (result (own $r)) (canon lift (core func $n "make"))))
          (instance $owner (instantiate $owner))
          (component $user
            (import "file" (type $r (sub resource)))
            (import "make" (func $make (result (own $r))))
            (core func $drop (canon resource.drop $r))
            (core func $make' (canon lower (func $make)))
            (core module $M (import "" "drop" (func $drop (param i32))) (import "" "make" (func $make (result i32)))
              (func $run (export "run") (call $drop (call $make))))
            (core instance $m (instantiate $M (with "" (instance
              (export "drop" (func $drop)) (export "make" (func $make'))))))
            (func (export "run") (canon lift (core func $m "run"))))
          (instance $user (instantiate $user (with "file" (type $owner "file")) (with "make" (func $owner "make"))))
          (func (export "run") (alias export $user "run")))"#,
        "run",
    );
    let frames = error.backtrace().unwrap().frames();
    assert_eq!(frames.len(), 2);
    assert_eq!(
        frames[0].to_string(),
        "c / owner: the destructor of \"file\", entered at core function $free of module $M (index 0, at 0x21)"
    );
    assert_eq!((frames[0].next(), frames[1].component()), (Next::Called, "c / user"));
    assert_eq!(frames[1].builtin(), Some("resource.drop"));
}

/// A component around a core module's bytes, which exports `run`.
fn around(module: &[u8]) -> Vec<u8> {
    // Its first section is the core module.
    let other = wat::parse_str(
        r#"(component
          (core module $M (func (export "run")))
          (core instance $m (instantiate $M))
          (func (export "run") (canon lift (core func $m "run"))))"#,
    );
    let other = other.expect("a component");
    assert_eq!((other[8], other[9] < 0x80), (1, true), "a small core module");
    let mut component = other[..9].to_vec();
    leb128(&mut component, module.len());
    component.extend(module);
    component.extend(&other[10 + usize::from(other[9])..]);
    component
}

/// `(module (func unreachable) (func (export "run") (call 0)))` without names, and with this name section.
fn module(names: Option<&[u8]>) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x03\x02\0\0\x07\x07\x01\x03run\0\x01".to_vec();
    module.extend(b"\x0a\x0a\x02\x03\0\0\x0b\x04\0\x10\0\x0b");
    if let Some(names) = names {
        let mut section = b"\x04name".to_vec();
        section.extend(names);
        module.push(0);
        leb128(&mut module, section.len());
        module.extend(section);
    }
    module
}

fn leb128(to: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn trap_of(bytes: &[u8]) -> String {
    let engine = engine();
    let component = Component::new(&engine, bytes).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let error = call(&mut store, &instance, "run", &[]).unwrap_err();
    assert_eq!(error.to_string(), "wasm trap: wasm `unreachable` instruction executed");
    error.source().expect("where").to_string()
}

#[test]
fn core_function_without_a_name_is_named_by_its_index() {
    assert_eq!(
        trap_of(&around(&module(None))),
        "in root: export \"run\", entered at core function 1 of core module 0 (at 0x24)"
    );
}

/// A subsection of function names: one, of function 1.
fn function_name(name: &[u8]) -> Vec<u8> {
    let mut map = vec![1, 1];
    leb128(&mut map, name.len());
    map.extend(name);
    let mut names = vec![1];
    leb128(&mut names, map.len());
    names.extend(map);
    names
}

#[test]
fn hostile_names_are_escaped_and_cut() {
    let text = trap_of(&around(&module(Some(&function_name(b"a\x1b[2J\nwasm trap: fake\xe2\x80\xae")))));
    assert_eq!(
        text,
        "in root: export \"run\", entered at core function $a\\u{1b}[2J\\nwasm trap: fake\\u{202e} of core module 0 \
         (index 1, at 0x24)"
    );
    let text = trap_of(&around(&module(Some(&function_name(&[b'x'; 100_000])))));
    assert_eq!(
        text,
        format!(
            "in root: export \"run\", entered at core function ${}.. of core module 0 (index 1, at 0x24)",
            "x".repeat(100)
        )
    );
}

#[test]
fn damaged_names_are_no_names() {
    let whole = function_name(b"run_core");
    let plain = trap_of(&around(&module(None)));
    let named = trap_of(&around(&module(Some(&whole))));
    assert!(named.contains("$run_core"), "{named}");
    for cut in 0..whole.len() {
        assert_eq!(trap_of(&around(&module(Some(&whole[..cut])))), plain, "cut at {cut}");
    }
    // A count of names, and lengths, that there are no bytes for; a name that is no text.
    let damaged: [&[u8]; 5] = [
        b"\x01\x05\xff\xff\xff\xff\x0f",
        b"\x01\xff\xff\xff\xff\x0f",
        b"\x01\x07\x01\x01\xff\xff\xff\xff\x0f",
        b"\x01\x05\x01\x01\x02\xff\xfe",
        b"\x01\x03\x01\x01\x00",
    ];
    for names in damaged {
        assert_eq!(trap_of(&around(&module(Some(names)))), plain, "{names:02x?}");
    }
}

#[test]
fn names_of_components_are_escaped_and_paths_cut_at_their_beginning() {
    let name = "long".repeat(40);
    let error = trap(
        &format!(
            r#"(component $"evil\1b[0m"
              (component ${name}
                (core module $M (func (export "run") unreachable))
                (core instance $m (instantiate $M))
                (func (export "run") (canon lift (core func $m "run"))))
              (instance $"in\0aside" (instantiate ${name}))
              (instance ${name} (instantiate ${name}))
              (func (export "short") (alias export $"in\0aside" "run"))
              (func (export "long") (alias export ${name} "run")))"#
        ),
        "short",
    );
    let text = error.source().unwrap().to_string();
    assert!(text.starts_with("in evil\\u{1b}[0m / in\\nside: export \"run\""), "{text}");
}

#[test]
fn frames_past_the_limit_are_counted() {
    // Each calls the next: more of them than a backtrace has.
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let end = component(
        &engine,
        r#"(component (core module $M (func (export "f") unreachable)) (core instance $m (instantiate $M))
          (func (export "f") (canon lift (core func $m "f"))))"#,
    );
    let link = component(
        &engine,
        r#"(component (import "f" (func $f)) (core func $f' (canon lower (func $f)))
          (core module $M (import "" "f" (func $f)) (func (export "f") (call $f)))
          (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
          (func (export "f") (canon lift (core func $m "f"))))"#,
    );
    let mut instance = Linker::new(&engine).instantiate(&mut store, &end).unwrap();
    for _ in 0..MAX_FRAMES + 4 {
        let mut linker = Linker::new(&engine);
        linker.export(&store, "f", &instance, "f").unwrap();
        instance = linker.instantiate(&mut store, &link).unwrap();
    }
    let error = call(&mut store, &instance, "f", &[]).unwrap_err();
    let backtrace = error.backtrace().unwrap();
    assert_eq!((backtrace.frames().len(), backtrace.omitted()), (MAX_FRAMES, 5));
    assert!(format!("{backtrace:#}").ends_with("\n     .. and 5 more"));
}

#[test]
fn without_names_a_backtrace_has_numbers() {
    let engine = Engine::new(Config::new().trap_names(false));
    let mut store = Store::new(&engine, ());
    let component = component(&engine, &sync());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let error = call(&mut store, &instance, "run", &[]).unwrap_err();
    let backtrace = error.backtrace().unwrap();
    assert_eq!(backtrace.frames().len(), 3);
    assert_eq!(backtrace.to_string(), "in component instance 2: a function that it does not export");
}

#[test]
fn plan_that_was_written_and_read_keeps_the_names() {
    let engine = engine();
    let bytes = component(&engine, &sync()).plan().to_bytes().unwrap();
    let component = Component::from_plan(&engine, Plan::from_bytes(&bytes).unwrap()).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let error = call(&mut store, &instance, "run", &[]).unwrap_err();
    assert_eq!(error.backtrace().unwrap().innermost().unwrap().component(), "app / worker");
}
