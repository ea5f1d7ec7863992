//! The `canon` binary as its users see it: what it prints and how it exits.

mod common;

use common::{canon, fails, file, returns};

/// `add(a: u32, b: u32) -> u32`, `greet(name: string)`, and a trap.
const ADD: &str = r#"(component $adder
  (core module $M
    (memory (export "mem") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "greet") (param i32 i32))
    (func (export "trap") unreachable))
  (core instance $m (instantiate $M))
  (alias core export $m "mem" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $m "add")))
  (func (export "greet") (param "name" string) (canon lift (core func $m "greet") (memory $mem) (realloc $realloc)))
  (func $trap (canon lift (core func $m "trap")))
  (export "trap" (func $trap))
  (component $Inner (import "f" (func $f)) (export "g" (func $f)))
  (instance $inner (instantiate $Inner (with "f" (func $trap))))
  (export "inner" (instance $inner))
)"#;

#[test]
fn pipeline() {
    let ran = canon(&["run", "examples/pipeline.wat"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let text = "Streams carry values while both ends are still running; nobody has to hold them all.";
    assert!(ran.out.starts_with(&format!("{{text: \"{text}\", reads: ")), "{}", ran.out);
    // In how many pieces it comes is the scheduler's business; that the sink waits is not.
    let waits = ran.out.trim_end().strip_suffix('}').and_then(|out| out.rsplit("waits: ").next());
    let waits: u32 = waits.expect("waits").parse().expect("a number");
    assert!(waits > 1, "{}", ran.out);
}

#[test]
fn cancel() {
    let file = "examples/cancel.wat";
    returns(&["run", file], "{winner: \"the tortoise\", steps: 10, other: \"cancelled\"}\n");
    returns(
        &["run", file, "--invoke", "race(1000)"],
        "{winner: \"the tortoise\", steps: 1000, other: \"cancelled\"}\n",
    );
    returns(
        &["run", file, "--invoke", "race(3)"],
        "{winner: \"the hare\", steps: 3, other: \"cancelled\"}\n",
    );
}

#[test]
fn run_calls_exports() {
    let add = file("run-add.wat", ADD);
    returns(&["run", &add, "--invoke", "add(1, 2)"], "3\n");
    returns(&["run", &add, "--invoke", " add ( 4294967295 , 1 ) "], "0\n");
    returns(&["run", &add, "--invoke", r#"greet("you")"#], "");
    let binary = file("run-add.wasm", wat::parse_str(ADD).expect("text"));
    returns(&["run", &binary, "--invoke", "add(20, 22)"], "42\n");
}

#[test]
fn run_reads_and_writes_wave() {
    let echo = |name: &str, ty: &str, lift: &str| {
        let text = format!(
            r#"(component
              (core module $M
                (memory (export "mem") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
                (func (export "one") (param i32) (result i32) (local.get 0))
                (func (export "two") (param i32 i32) (result i32)
                  (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16)))
              (core instance $m (instantiate $M))
              (alias core export $m "mem" (core memory $mem))
              (alias core export $m "realloc" (core func $realloc))
              (type $t' {ty})
              (export $t "t" (type $t'))
              (func (export "echo") (param "x" $t) (result $t)
                (canon lift (core func $m "{lift}") (memory $mem) (realloc $realloc))))"#
        );
        file(name, text)
    };
    let check = |file: &str, val: &str| {
        returns(&["run", file, "--invoke", &format!("echo({val})")], &format!("{val}\n"));
    };
    let record = echo("wave-record.wat", r#"(record (field "a" u32) (field "b" bool))"#, "two");
    check(&record, "{a: 7, b: true}");
    fails(&["run", &record, "--invoke", "echo({a: 7})"], 2, &["argument 1 \"x\"", "missing field \"b\""]);
    let text = echo("wave-string.wat", "string", "two");
    check(&text, r#""a \"quoted\" tab\t, ü and 🦀""#);
    let list = echo("wave-list.wat", "(list u8)", "two");
    check(&list, "[]");
    check(&list, "[1, 2, 255]");
    fails(&["run", &list, "--invoke", "echo([256])"], 2, &["argument 1 \"x\"", "list<u8>", "[256]"]);
    let flags = echo("wave-flags.wat", r#"(flags "a" "b" "c")"#, "one");
    check(&flags, "{}");
    check(&flags, "{a, c}");
    fails(&["run", &flags, "--invoke", "echo({a, d})"], 2, &["argument 1 \"x\"", "\"d\""]);
    let cases = echo("wave-enum.wat", r#"(enum "red" "some" "blue")"#, "one");
    check(&cases, "blue");
    check(&cases, "%some");
    fails(&["run", &cases, "--invoke", "echo(green)"], 2, &["argument 1 \"x\"", "\"green\""]);
    let tuple = echo("wave-tuple.wat", "(tuple char s32)", "two");
    check(&tuple, "('x', -7)");
    fails(&["run", &tuple, "--invoke", "echo(('x', 1, 2))"], 2, &["argument 1 \"x\"", "got 3"]);
}

#[test]
fn time_is_printed_on_stderr() {
    let ran = canon(&["run", "examples/cancel.wat", "--time"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.starts_with('{'));
    let nanos = ran.err.trim_end().strip_suffix(" ns").expect("nanoseconds");
    assert!(nanos.parse::<u64>().expect("a number") > 0);
}

#[test]
fn a_trap_names_component_export_and_trap() {
    let add = file("trap.wat", ADD);
    fails(&["run", &add, "--invoke", "trap()"], 1, &["adder", "export \"trap\"", "unreachable"]);
    fails(&["run", &add, "--invoke", "inner#g()"], 1, &["adder", "export \"inner#g\"", "unreachable"]);
    let unnamed = file("trap-unnamed.wat", ADD.replace("$adder", ""));
    fails(&["run", &unnamed, "--invoke", "trap"], 1, &["trap-unnamed.wat", "export \"trap\"", "unreachable"]);
}

#[test]
fn a_trap_of_a_start_function() {
    let text =
        "(component $early (core module $M (func $s unreachable) (start $s)) (core instance (instantiate $M))
        (core module $N (func (export \"run\"))) (core instance $n (instantiate $N))
        (func (export \"run\") (canon lift (core func $n \"run\"))))";
    let path = file("start.wat", text);
    fails(&["run", &path], 1, &["early: can't be instantiated", "unreachable"]);
}

/// It waits for an event of a set that nothing is in.
#[test]
fn a_deadlock() {
    let text = r#"(component $stuck
      (canon waitable-set.new (core func $new))
      (core module $M
        (import "" "new" (func $new (result i32)))
        (func (export "run") (result i32) (i32.or (i32.const 2) (i32.shl (call $new) (i32.const 4))))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
      (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
      (func (export "run") async (canon lift (core func $m "run") async (callback (core func $m "callback")))))"#;
    let path = file("deadlock.wat", text);
    fails(&["run", &path], 1, &["stuck: export \"run\": wasm trap: deadlock detected"]);
}

#[test]
fn no_such_file() {
    fails(&["run", "nowhere.wat"], 2, &["nowhere.wat", "no such file"]);
    fails(&["inspect", "nowhere.wat"], 2, &["nowhere.wat", "no such file"]);
    fails(&["wast", "nowhere.wast"], 2, &["nowhere.wast", "no such file"]);
    fails(&["run", "examples"], 2, &["examples", "found a folder"]);
    fails(&["wast", "src"], 2, &["src", "expected .wast files"]);
}

#[test]
fn not_a_component() {
    for (name, bytes) in [("text.wasm", "hello".as_bytes()), ("zeroes.wasm", &[0; 64]), ("empty.wat", b"")] {
        let path = file(name, bytes);
        fails(&["run", &path], 2, &[&path, "not WebAssembly"]);
        fails(&["inspect", &path], 2, &[&path, "not WebAssembly"]);
    }
    let path = file("syntax.wat", "(component\n  (func oops))");
    fails(&["run", &path], 2, &["syntax.wat:2:9", "not valid WebAssembly text"]);
    let path = file("cut.wasm", &wat::parse_str(ADD).expect("text")[..100]);
    fails(&["run", &path], 1, &["the component is not valid", "unexpected end", "offset 0x"]);
}

#[test]
fn a_core_module_without_a_component_type() {
    let text = file("core.wat", "(module (func (export \"run\")))");
    let binary = file("core.wasm", wat::parse_str("(module)").expect("text"));
    for path in [text, binary] {
        for command in ["run", "inspect"] {
            let texts = ["this is a core module, not a component", "a section \"component-type\""];
            fails(&[command, &path], 2, &texts);
        }
    }
    let cut = file("core-cut.wasm", &wat::parse_str("(module (func))").expect("text")[..12]);
    fails(&["run", &cut], 1, &["no component can be made of this core module", "unexpected end"]);
}

/// A core module that says that it is a component of this world, as wit-bindgen builds it.
fn typed_module(wat: &str, world: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let wit = format!("package a:b; {world}");
    let package = resolve.push_str("test.wit", &wit).expect("the world is valid");
    let world = resolve.select_world(&[package], None).expect("one world");
    let mut module = wat::parse_str(wat).expect("text");
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8, false).expect("a section");
    module
}

const ADD_WORLD: &str = "world adder { export add: func(a: u32, b: u32) -> u32; }";

#[test]
fn a_core_module_with_a_component_type_is_made_a_component() {
    let add = r#"(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;
    let path = file("typed.wasm", typed_module(add, ADD_WORLD));
    returns(&["run", &path, "--invoke", "add(20, 22)"], "42\n");
    let ran = canon(&["inspect", &path]);
    assert!(
        ran.code == Some(0) && ran.out.contains("export add: func(a: u32, b: u32) -> u32;"),
        "{}",
        ran.out
    );
}

#[test]
fn a_core_module_that_does_not_fit_its_component_type() {
    let none = file("typed-none.wasm", typed_module("(module)", ADD_WORLD));
    fails(&["run", &none], 1, &["no component can be made of this core module", "`add`"]);
    let other = typed_module(r#"(module (func (export "add") (param i64)))"#, ADD_WORLD);
    let other = file("typed-other.wasm", other);
    fails(&["run", &other], 1, &["no component can be made of this core module", "type mismatch", "`add`"]);
}

/// Exports an instance `a:b/numbers` with a function `next`, one more than the `a:b/numbers` that it imports.
const NEXT: &str = r#"(component $next
  (import "a:b/numbers" (instance $before (export "next" (func (result u32)))))
  (core func $before (canon lower (func $before "next")))
  (core module $M
    (import "" "before" (func $before (result i32)))
    (func (export "next") (result i32) (i32.add (i32.const 1) (call $before))))
  (core instance $m (instantiate $M (with "" (instance (export "before" (func $before))))))
  (func $next (result u32) (canon lift (core func $m "next")))
  (instance (export "a:b/numbers") (export "next" (func $next)))
  (export "run" (func $next)))"#;

const ONE: &str = r#"(component $one
  (core module $M (func (export "next") (result i32) (i32.const 1)))
  (core instance $m (instantiate $M))
  (func $next (result u32) (canon lift (core func $m "next")))
  (instance (export "a:b/numbers") (export "next" (func $next))))"#;

#[test]
fn components_after_with_provide_what_they_export() {
    let (next, one) = (file("with-next.wat", NEXT), file("with-one.wat", ONE));
    returns(&["run", &next, "--with", &one], "2\n");
    // What is provided again replaces what was there, and its provider may import that.
    returns(&["run", &next, "--with", &one, "--with", &next, "--with", &next], "4\n");
    let missing = "next: can't be linked: an import is missing:\n  a:b/numbers\n    next: func() -> u32";
    fails(&["run", &next], 1, &[missing]);
    fails(&["run", &one, "--invoke", "a:b/numbers#next()", "--with", &next], 1, &[missing]);
    fails(&["run", &next, "--with", "nowhere.wasm"], 2, &["nowhere.wasm: no such file"]);
}

#[test]
fn a_missing_export() {
    let add = file("export.wat", ADD);
    fails(
        &["run", &add],
        2,
        &["no `wasi:cli/run` and no `run`", "add: func(a: u32, b: u32) -> u32", "inner#g: func()"],
    );
    fails(&["run", &add, "--invoke", "inner#h()"], 2, &["no export \"inner#h\""]);
    fails(&["run", &add, "--invoke", "inner()"], 2, &["the export \"inner\" is no function"]);
    let empty = file("export-none.wat", "(component)");
    fails(&["run", &empty], 2, &["no `wasi:cli/run` and no `run`", "one of its functions: none"]);
}

#[test]
fn arguments_of_the_wrong_type() {
    let add = file("arguments.wat", ADD);
    let run = |invoke: &str, texts: &[&str]| fails(&["run", &add, "--invoke", invoke], 2, texts);
    run("add(1)", &["\"add\"", "expected 2 arguments, found 1", "func(a: u32, b: u32) -> u32"]);
    run("add(1, 2, 3)", &["expected 2 arguments, found 3"]);
    run("trap(1)", &["expected 0 arguments, found 1"]);
    run("greet()", &["expected 1 argument, found 0"]);
    run("add(1, \"2\")", &["argument 2 \"b\": expected u32, found \"2\""]);
    run("add(-1, 2)", &["argument 1 \"a\": expected u32, found -1"]);
    run("add(4294967296, 2)", &["argument 1 \"a\": expected u32, found 4294967296"]);
    run("add(1, 2", &["arguments '(1, 2'", "no WAVE text"]);
    run("(1, 2)", &["expected 'name(arguments)'"]);
    run("", &["expected 'name(arguments)'"]);
}

#[test]
fn an_import_that_nobody_provides() {
    let func = file(
        "import-func.wat",
        r#"(component (import "log" (func $f (param "x" string))) (export "run" (func $f)))"#,
    );
    fails(
        &["run", &func, "--invoke", "run(\"x\")"],
        1,
        &[
            "import-func.wat: can't be linked: an import is missing:\n  log: func(x: string)\n--with FILE gives",
        ],
    );
    let instance = file(
        "import-instance.wat",
        r#"(component $needy
          (import "wasi:clocks/wall-clock@0.3.0" (instance $i (export "now" (func (result u64)))))
          (export "run" (func $i "now")))"#,
    );
    fails(
        &["run", &instance],
        1,
        &["needy", "\n  wasi:clocks/wall-clock@0.3.0\n    now: func() -> u64\ncanon has no WASI yet"],
    );
}

#[test]
fn a_component_too_large_for_its_limits() {
    // Each instantiates the one before twice: 2^20 instances of a component of a few hundred bytes.
    let mut text = String::from("(component (component $c0)\n");
    for at in 1..=20 {
        let before = at - 1;
        text += &format!(
            "(component $c{at} (alias outer 1 $c{before} (component $c)) (instance (instantiate $c)) (instance (instantiate $c)))\n"
        );
    }
    text += "(instance (instantiate $c20)))";
    let path = file("large.wat", text);
    for command in ["run", "inspect"] {
        fails(&[command, &path], 1, &["component too large", "(PlanLimits::instances), at offset 0x"]);
    }
}

#[test]
fn usage() {
    for args in [&["run"][..], &["wast"], &["fly"], &["run", "a", "b"], &["run", "--fast", "a.wat"]] {
        let ran = canon(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args:?}");
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
    }
    assert_eq!(canon(&[]).code, Some(2));
}

#[test]
fn every_command_has_an_example() {
    for command in ["run", "wast", "compile", "compose", "inspect", "wit"] {
        let ran = canon(&[command, "--help"]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(ran.out.contains("Example"), "{}", ran.out);
        assert!(ran.out.contains(&format!("  canon {command} ")), "{}", ran.out);
        assert!(ran.out.contains("Exit codes: 0"), "{}", ran.out);
    }
    assert!(canon(&["--help"]).out.contains("canon run examples/pipeline.wat"));
}

/// Nothing that is not a terminal gets colours.
#[test]
fn no_colours_in_pipes() {
    for args in [&["--help"][..], &["run", "nowhere.wat"], &["wast", "crates/cli/tests/fail", "--turns=9"]] {
        let ran = canon(args);
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{args:?}");
    }
}
