//! `canon run`: which export it calls, what it says of imports and values that it can't take, what it does
//! after the result, and what it prints as JSON.

mod common;

use common::{canon, fails, file, returns};
use serde_json::Value;

/// Two versions of one interface and another one, each with an `f`; two have a `g`.
const EXPORTS: &str = r#"(component $many
  (core module $M
    (func (export "one") (result i32) (i32.const 1)) (func (export "two") (result i32) (i32.const 2))
    (func (export "three") (result i32) (i32.const 3)) (func (export "four") (result i32) (i32.const 4)))
  (core instance $m (instantiate $M))
  (func $one (result u32) (canon lift (core func $m "one")))
  (func $two (result u32) (canon lift (core func $m "two")))
  (func $three (result u32) (canon lift (core func $m "three")))
  (func $four (result u32) (canon lift (core func $m "four")))
  (instance (export "a:b/c@1.2.3") (export "f" (func $one)) (export "g" (func $two)))
  (instance (export "a:b/c@0.2.6") (export "f" (func $three)))
  (instance (export "a:b/d") (export "f" (func $four)) (export "only-here" (func $four)))
  (export "plain" (func $one)))"#;

#[test]
fn invoke_takes_a_name_that_only_one_export_fits() {
    let path = file("run-exports.wat", EXPORTS);
    for (invoke, result) in [
        ("a:b/c@1.2.3#f()", "1\n"),
        ("g()", "2\n"),
        ("c#g()", "2\n"),
        ("a:b/c@1#f()", "1\n"),
        ("a:b/c@1.0.0#f", "1\n"),
        ("c@0.2#f()", "3\n"),
        ("a:b/c@0.2.1#f()", "3\n"),
        ("d#f()", "4\n"),
        ("only-here()", "4\n"),
        ("plain()", "1\n"),
    ] {
        returns(&["run", &path, "--invoke", invoke], result);
    }
}

#[test]
fn invoke_lists_the_exports_that_a_name_may_mean() {
    let path = file("run-ambiguous.wat", EXPORTS);
    let all = "\"f\" may be one of 3 exports; --invoke with more of the name says which:\
               \n  a:b/c@1.2.3#f: func() -> u32\n  a:b/c@0.2.6#f: func() -> u32\n  a:b/d#f: func() -> u32";
    fails(&["run", &path, "--invoke", "f()"], 2, &[all]);
    let two = "\"a:b/c#f\" may be one of 2 exports";
    fails(&["run", &path, "--invoke", "a:b/c#f()"], 2, &[two, "a:b/c@1.2.3#f", "a:b/c@0.2.6#f"]);
    fails(&["run", &path, "--invoke", "a:b/c@2#f()"], 2, &["no export \"a:b/c@2#f\""]);
}

#[test]
fn invoke_of_a_name_that_is_nearly_right_says_which_is_meant() {
    let path = file("run-typo.wat", EXPORTS);
    for (invoke, meant) in
        [("only-her()", "only-here"), ("a:b/d#onlyhere()", "a:b/d#only-here"), ("plian()", "plain")]
    {
        fails(&["run", &path, "--invoke", invoke], 2, &[&format!("; did you mean \"{meant}\"?")]);
    }
    let ran = canon(&["run", &path, "--invoke", "zzz()"]);
    assert!(ran.err.contains("no export \"zzz\"\n--invoke 'name(args)' calls one of"), "{}", ran.err);
    let much = "x".repeat(100_000);
    for invoke in [much.clone(), format!("a {much}"), format!("plain({much}"), format!("plain({much}, 1)")] {
        let long = canon(&["run", &path, "--invoke", &invoke]);
        assert!(long.code == Some(2) && long.err.len() < 2_000, "{}", long.err.len());
    }
}

/// A command whose `run` returns ok or err, and a `run` beside it.
fn command(discriminant: u32, version: &str) -> String {
    format!(
        r#"(component $command
          (core module $M (func (export "run") (result i32) (i32.const {discriminant})))
          (core instance $m (instantiate $M))
          (func $run (result (result)) (canon lift (core func $m "run")))
          (func (export "run") (result u32) (canon lift (core func $m "run")))
          (instance (export "wasi:cli/run@{version}") (export "run" (func $run))))"#
    )
}

#[test]
fn without_invoke_a_command_is_run_and_says_if_it_failed() {
    for version in ["0.2.0", "0.3.0", "1.0.0-rc.1"] {
        returns(&["run", &file("run-command.wat", command(0, version))], "");
        let failed = "command: the command failed: `run` returned an error";
        fails(&["run", &file("run-command-err.wat", command(1, version))], 1, &[failed]);
    }
    returns(&["run", &file("run-command-run.wat", command(1, "0.2.0")), "--invoke", "run()"], "1\n");
    let nested = file("run-nested.wat", EXPORTS.replace("\"only-here\"", "\"run\""));
    returns(&["run", &nested], "4\n");
}

#[test]
fn all_missing_imports_are_listed_by_interface_with_what_to_do() {
    let needy = r#"(component $needy
      (import "log" (func (param "text" string)))
      (import "wasi:io/streams@0.2.0" (instance (export "r" (type (sub resource))) (export "open" (func))))
      (import "a:b/c@1.0.0" (instance (export "next" (func (result u32))) (export "prev" (func))))
      (import "d:e/f@1.0.0" (instance (export "h" (func))))
      (core module $M (func (export "run")))
      (core instance $m (instantiate $M))
      (func (export "run") (canon lift (core func $m "run"))))"#;
    let needy = file("run-needy.wat", needy);
    let provider = r#"(component $provider
      (core module $M (func (export "f") (result i32) (i32.const 1)))
      (core instance $m (instantiate $M))
      (func $f (result u32) (canon lift (core func $m "f")))
      (instance (export "a:b/c@1.4.0") (export "next" (func $f)))
      (instance (export "d:e/f@2.0.0") (export "h" (func $f)))
      (export "lgo" (func $f)))"#;
    let provider = file("run-provider.wat", provider);
    let said = "needy: can't be linked: 5 imports are missing:\
        \n  log: func(text: string) (did you mean \"lgo\", which is there?)\
        \n  wasi:io/streams@0.2.0\
        \n    r: resource\
        \n    open: func()\
        \n  a:b/c@1.0.0: \"a:b/c@1.4.0\" is there, without\
        \n    prev: func()\
        \n  d:e/f@1.0.0: \"d:e/f@2.0.0\" is there, whose version is not compatible\
        \n    h: func()\
        \ncanon has no WASI yet: what is named `wasi:` has to come from a component, or may trap\
        \n--with FILE gives the component what another component exports\
        \n--unknown-imports-trap runs it all the same: a function that is missing traps when it is called\n";
    fails(&["run", &needy, "--with", &provider], 1, &[said]);
    returns(&["run", &needy, "--with", &provider, "--unknown-imports-trap"], "");
}

#[test]
fn unknown_imports_that_are_called_trap_with_their_name() {
    let text = r#"(component $caller
      (import "a:b/c@1.0.0" (instance $c (export "next" (func (result u32)))))
      (core func $next (canon lower (func $c "next")))
      (core module $M
        (import "" "next" (func $next (result i32)))
        (func (export "run") (result i32) (call $next)))
      (core instance $m (instantiate $M (with "" (instance (export "next" (func $next))))))
      (func (export "run") (result u32) (canon lift (core func $m "run"))))"#;
    let path = file("run-unknown.wat", text);
    let said = "import \"a:b/c@1.0.0#next\" was called, which nothing provides";
    fails(&["run", &path, "--unknown-imports-trap"], 1, &["caller: export \"run\"", said]);
    // A core module can't be made up.
    let module = file(
        "run-unknown-module.wat",
        r#"(component (import "m" (core module)) (import "f" (func)) (export "run" (func 0)))"#,
    );
    fails(&["run", &module, "--unknown-imports-trap"], 1, &["an import is missing:\n  m: core module"]);
}

#[test]
fn a_pre_release_is_linked_only_where_no_release_fits() {
    let provider = |version: &str, result: u32| {
        format!(
            r#"(core module $M{result} (func (export "f") (result i32) (i32.const {result})))
            (core instance $m{result} (instantiate $M{result}))
            (func $f{result} (result u32) (canon lift (core func $m{result} "f")))
            (instance (export "a:b/c@{version}") (export "f" (func $f{result})))"#
        )
    };
    let user = r#"(component (import "a:b/c@0.2.0" (instance $c (export "f" (func (result u32))))) (export "run" (func $c "f")))"#;
    let user = file("run-pre-user.wat", user);
    let (stable, pre) = (provider("0.2.9", 9), provider("0.2.11-rc.1", 11));
    let both = file("run-pre-both.wat", format!("(component {stable} {pre})"));
    returns(&["run", &user, "--with", &both], "9\n");
    let only = file("run-pre-only.wat", format!("(component {pre})"));
    returns(&["run", &user, "--with", &only], "11\n");
}

/// Returns 1, and then yields twice before it traps, if its argument is odd, or ends.
const LINGERS: &str = r#"(component $lingers
  (core func $return (canon task.return (result u32)))
  (core module $M
    (import "" "return" (func $return (param i32)))
    (global $n (mut i32) (i32.const 0)) (global $odd (mut i32) (i32.const 0))
    (func (export "run") (param i32) (result i32)
      (global.set $odd (i32.and (local.get 0) (i32.const 1)))
      (call $return (i32.const 1)) (i32.const 1))
    (func (export "callback") (param i32 i32 i32) (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (if (i32.lt_u (global.get $n) (i32.const 3)) (then (return (i32.const 1))))
      (if (global.get $odd) (then unreachable))
      (i32.const 0)))
  (core instance $m (instantiate $M (with "" (instance (export "return" (func $return))))))
  (func (export "run") async (param "n" u32) (result u32)
    (canon lift (core func $m "run") async (callback (core func $m "callback")))))"#;

#[test]
fn what_a_call_leaves_behind_runs_and_its_trap_is_an_error() {
    let path = file("run-lingers.wat", LINGERS);
    returns(&["run", &path, "--invoke", "run(2)"], "1\n");
    let ran = canon(&["run", &path, "--invoke", "run(1)"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "1\n"), "{}", ran.err);
    assert!(
        ran.err.starts_with("error: lingers: after export \"run\" had returned: wasm trap: "),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("unreachable"), "{}", ran.err);
}

#[test]
fn a_deadlock_shows_who_waits_for_what() {
    let text = r#"(component $pair
      (component $Slow
        (core func $new (canon waitable-set.new))
        (core module $M
          (import "" "new" (func $new (result i32)))
          (func (export "f") (result i32) (i32.or (i32.const 2) (i32.shl (call $new) (i32.const 4))))
          (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
        (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
        (func (export "f") async (canon lift (core func $m "f") async (callback (core func $m "callback")))))
      (instance $slow (instantiate $Slow))
      (core func $f (canon lower (func $slow "f") async))
      (core func $new (canon waitable-set.new))
      (core func $join (canon waitable.join))
      (core module $M
        (import "" "f" (func $f (result i32)))
        (import "" "new" (func $new (result i32)))
        (import "" "join" (func $join (param i32 i32)))
        (func (export "run") (result i32) (local $set i32)
          (local.set $set (call $new))
          (call $join (i32.shr_u (call $f) (i32.const 4)) (local.get $set))
          (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
      (core instance $m (instantiate $M (with "" (instance
        (export "f" (func $f)) (export "new" (func $new)) (export "join" (func $join))))))
      (func (export "run") async (canon lift (core func $m "run") async (callback (core func $m "callback")))))"#;
    let path = file("run-deadlock.wat", text);
    let said = "who waits for what:\
        \n  \"run\" of pair, which canon called: waits for an event of a waitable set: its call of a function of pair \
        / slow, which has not returned\
        \n  a function of pair / slow, which pair called: waits for an event of a waitable set that is empty\n";
    fails(&["run", &path], 1, &["pair: export \"run\": wasm trap: deadlock detected", said]);
}

#[test]
fn a_deadlock_on_a_stream_shows_what_its_other_end_does() {
    let text = r#"(component $reader
      (type $s (stream u8))
      (core func $new (canon stream.new $s))
      (core module $Mem (memory (export "m") 1))
      (core instance $mem (instantiate $Mem))
      (core func $read (canon stream.read $s (memory (core memory $mem "m"))))
      (core func $drop (canon stream.drop-writable $s))
      (core func $suspend (canon thread.suspend))
      (core module $M
        (import "" "new" (func $new (result i64)))
        (import "" "read" (func $read (param i32 i32 i32) (result i32)))
        (import "" "suspend" (func $suspend (result i32)))
        (func (export "reads") (drop (call $read (i32.wrap_i64 (call $new)) (i32.const 0) (i32.const 1))))
        (func (export "suspends") (drop (call $suspend))))
      (core instance $m (instantiate $M (with "" (instance
        (export "new" (func $new)) (export "read" (func $read)) (export "suspend" (func $suspend))))))
      (func (export "reads") async (canon lift (core func $m "reads")))
      (func (export "sync-reads") (canon lift (core func $m "reads")))
      (func (export "suspends") async (canon lift (core func $m "suspends"))))"#;
    let path = file("run-deadlock-stream.wat", text);
    let said = "\n  \"reads\" of reader, which canon called: waits for the readable end of a stream (handle 1), which \
                reads; reader has the other end, on which it does not write\n";
    fails(&["run", &path, "--invoke", "reads()"], 1, &["deadlock detected", said]);
    // A function of a type without `async` traps itself.
    let said = said.replace("reads\"", "sync-reads\"");
    let texts = ["cannot block a synchronous task before returning", "\nwho waits for what:", &said];
    fails(&["run", &path, "--invoke", "sync-reads()"], 1, &texts);
    let said =
        "\n  \"suspends\" of reader, which canon called: is suspended until another thread resumes it\n";
    fails(&["run", &path, "--invoke", "suspends()"], 1, &["deadlock detected", said]);
}

#[test]
fn an_argument_with_a_name_that_the_type_has_not_says_which() {
    let text = r#"(component
      (core module $M
        (memory (export "mem") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
        (func (export "take") (param i32 i32 i32 i32 i32 i32)))
      (core instance $m (instantiate $M))
      (type $kind' (variant (case "small" u32) (case "large")))
      (export $kind "kind" (type $kind'))
      (type $colours' (flags "red" "green"))
      (export $colours "colours" (type $colours'))
      (type $r' (record (field "name" string) (field "kind" $kind) (field "colours" (option $colours))))
      (export $r "r" (type $r'))
      (type $h' (list $r))
      (export $h "h" (type $h'))
      (func (export "take") (param "rs" $h)
        (canon lift (core func $M2 "take") (memory (core memory $m "mem")) (realloc (core func $m "realloc")))))"#
        .replace("$M2", "$m")
        .replace("(param i32 i32 i32 i32 i32 i32)", "(param i32 i32)");
    let path = file("run-fields.wat", text);
    let run = |args: &str, texts: &[&str]| fails(&["run", &path, "--invoke", args], 2, texts);
    run(
        r#"take([{name: "x", kind: large, colour: none}])"#,
        &[
            "argument 1 \"rs\": element 0: there is no field \"colour\"; did you mean \"colours\"? (the record has the \
           fields name, kind, colours)",
        ],
    );
    run(
        r#"take([{name: "x", kind: large}, {name: "x", kind: smal(1)}])"#,
        &[
            "element 1: field \"kind\": there is no case \"smal\"; did you mean \"small\"? (the variant has the cases \
           small, large)",
        ],
    );
    run(
        r#"take([{name: "x", kind: large, colours: {blue}}])"#,
        &["field \"colours\": there is no flag \"blue\" (the flags are red, green)"],
    );
    returns(&["run", &path, "--invoke", r#"take([{name: "x", kind: large, colours: {red}}])"#], "");
}

/// A stream and a future as parameter and result.
const HANDLES: &str = r#"(component $handles
  (type $s (stream u8))
  (type $f (future u32))
  (core func $new (canon stream.new $s))
  (core module $M
    (import "" "new" (func $new (result i64)))
    (func (export "take") (param i32))
    (func (export "give") (result i32) (i32.wrap_i64 (call $new))))
  (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
  (func (export "take") (param "s" $s) (canon lift (core func $m "take")))
  (func (export "take-option") (param "f" (option $f)) (canon lift (core func $m "take2")))
  (func (export "give") (result $s) (canon lift (core func $m "give"))))"#;

#[test]
fn a_run_that_takes_arguments_says_how_to_pass_them() {
    let path = file("run-arguments.wat", LINGERS);
    let said =
        "\"run\": expected 1 argument, found 0: its type is async func(n: u32) -> u32; --invoke 'name(args)'";
    fails(&["run", &path], 2, &[said]);
}

#[test]
fn streams_and_futures_that_have_no_text_are_named() {
    let text = HANDLES.replace(
        "(func (export \"take\") (param i32))",
        "(func (export \"take\") (param i32)) (func (export \"take2\") (param i32 i32))",
    );
    let path = file("run-handles.wat", text);
    let said = "argument 1 \"s\": a stream can't be written as an argument yet";
    fails(&["run", &path, "--invoke", "take(1)"], 2, &[said, "`canon run CALLER --with FILE`"]);
    fails(&["run", &path, "--invoke", "take()"], 2, &[said]);
    let said = "argument 1 \"f\": a future can't be written as an argument yet";
    fails(&["run", &path, "--invoke", "take-option(none)"], 2, &[said]);
    let ran = canon(&["run", &path, "--invoke", "give()"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.starts_with("<stream "), "{}", ran.out);
    assert!(
        ran.err.starts_with("note: the result has a stream in it, which can't be printed yet"),
        "{}",
        ran.err
    );
}

#[test]
fn simd_is_on() {
    let text = r#"(component
      (core module $M (func (export "run") (result i32)
        (i32x4.extract_lane 2 (i32x4.add (v128.const i32x4 1 2 3 4) (i32x4.splat (i32.const 39))))))
      (core instance $m (instantiate $M))
      (func (export "run") (result u32) (canon lift (core func $m "run"))))"#;
    returns(&["run", &file("run-simd.wat", text)], "42\n");
}

/// What `canon run --json` prints: one line.
fn json(args: &[&str], code: i32) -> Value {
    let ran = canon(&[&["run", "--json"], args].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(code), ""), "{args:?}: {}", ran.out);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    serde_json::from_str(&ran.out).expect("JSON")
}

#[test]
fn json_has_the_result_and_what_it_is_of() {
    let path = file("run-json.wat", EXPORTS);
    let expected = serde_json::json!({
        "export": "a:b/c@1.2.3#g", "result": { "value": 2, "wave": "2" }, "exit_code": 0
    });
    assert_eq!(json(&[&path, "--invoke", "g()"], 0), expected);
    let cancel = json(&["examples/cancel.wat", "--invoke", "race(3)", "--time", "--trace-fuel"], 0);
    let value = serde_json::json!({ "winner": "the hare", "steps": 3, "other": "cancelled" });
    assert_eq!(cancel["result"]["value"], value);
    assert!(cancel["nanos"].as_u64() > Some(0) && cancel["fuel"][1]["fuel"].as_u64() > Some(0), "{cancel}");
}

#[test]
fn json_has_values_of_all_types() {
    let echo = |ty: &str, params: &str, body: &str| {
        format!(
            r#"(component
              (core module $M
                (memory (export "mem") 1)
                (data (i32.const 8) "hi")
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
                (func (export "f") {params} {body}))
              (core instance $m (instantiate $M))
              (type $t' {ty})
              (export $t "t" (type $t'))
              (func (export "f") (result $t) (canon lift (core func $m "f") (memory (core memory $m "mem")))))"#
        )
    };
    let flat = |ty: &str, core: &str, value: &str| echo(ty, &format!("(result {core})"), value);
    // At 0: a pointer to "hi", its length.
    let stored =
        "(i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 2)) (i32.const 0)";
    for (name, text, expected) in [
        ("enum", flat(r#"(enum "a" "b")"#, "i32", "(i32.const 1)"), serde_json::json!("b")),
        ("flags", flat(r#"(flags "a" "b" "c")"#, "i32", "(i32.const 5)"), serde_json::json!(["a", "c"])),
        ("u64", flat("u64", "i64", "(i64.const -1)"), serde_json::json!(u64::MAX)),
        ("f32", flat("f32", "f32", "(f32.const 0.1)"), serde_json::json!(0.1)),
        ("nan", flat("f64", "f64", "(f64.const nan)"), serde_json::json!("nan")),
        ("inf", flat("f64", "f64", "(f64.const -inf)"), serde_json::json!("-inf")),
        ("result", flat("(result)", "i32", "(i32.const 1)"), serde_json::json!({ "err": null })),
        ("option", flat("(option bool)", "i32", "(i32.const 16)"), serde_json::json!(null)),
        ("list", echo("(list u8)", "(result i32)", stored), serde_json::json!([104, 105])),
        (
            "tuple",
            echo(
                "(tuple u8 (option u8))",
                "(result i32)",
                "(i32.store (i32.const 32) (i32.const 0x030109)) (i32.const 32)",
            ),
            serde_json::json!([9, { "some": 3 }]),
        ),
        (
            "variant",
            echo(
                r#"(variant (case "x" u8) (case "y"))"#,
                "(result i32)",
                "(i32.store (i32.const 32) (i32.const 0x0700)) (i32.const 32)",
            ),
            serde_json::json!({ "x": 7 }),
        ),
    ] {
        // A type without a name of its own is used as it is.
        let text = match text.contains("(type $t' u64)")
            || text.contains("(type $t' f") && !text.contains("flags")
        {
            true => {
                let ty = if text.contains("$t' u64") {
                    "u64"
                } else if text.contains("$t' f32") {
                    "f32"
                } else {
                    "f64"
                };
                let unnamed =
                    text.replace(&format!("(type $t' {ty})"), "").replace("(export $t \"t\" (type $t'))", "");
                unnamed.replace("(result $t)", &format!("(result {ty})"))
            }
            false => text,
        };
        let path = file(&format!("run-json-{name}.wat"), text);
        assert_eq!(json(&[&path, "--invoke", "f()"], 0)["result"]["value"], expected, "{name}");
    }
}

#[test]
fn json_has_errors_with_class_and_exit_code() {
    let exports = file("run-json-errors.wat", EXPORTS);
    let error = |args: &[&str], code: i32, class: &str, text: &str| {
        let printed = json(args, code);
        assert_eq!(printed["exit_code"], code, "{printed}");
        assert_eq!(
            (&printed["error"]["class"], &printed["error"]["exit_code"]),
            (&class.into(), &code.into())
        );
        assert!(printed["error"]["message"].as_str().expect("a text").contains(text), "{printed}");
        printed
    };
    error(&["nowhere.wat"], 2, "usage", "nowhere.wat: no such file");
    error(&[&exports, "--invoke", "f()"], 2, "usage", "may be one of 3 exports");
    let lingers = file("run-json-lingers.wat", LINGERS);
    let printed = error(&[&lingers, "--invoke", "run(1)"], 1, "trap", "unreachable");
    assert_eq!(printed["result"]["value"], 1, "the result came before");
    let printed =
        error(&[&lingers, "--invoke", "run(1)", "--fuel", "1"], 1, "limit", "--fuel raises the limit");
    assert_eq!(printed.get("result"), None);
    let needy = file("run-json-needy.wat", r#"(component (import "f" (func $f)) (export "run" (func $f)))"#);
    error(&[&needy], 1, "link", "f: func()");
    let invalid = file("run-json-invalid.wasm", &wat::parse_str(EXPORTS).expect("text")[..100]);
    error(&[&invalid], 1, "component", "not valid");
    error(&[&file("run-json-command.wat", command(1, "0.2.0"))], 1, "failed", "`run` returned an error");
}
