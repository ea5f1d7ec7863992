//! `--fuel` and `--timeout`: what ends components that don't end by themselves.

mod common;

use std::time::{Duration, Instant};

use common::{canon, fails, file, root};

/// A file of the hostile guests of `canon-async-wasmi`.
fn hostile(name: &str) -> String {
    let path = root().join("crates/wasmi/tests/hostile").join(name);
    path.to_str().expect("UTF-8").into()
}

#[test]
fn run_with_a_timeout_ends_what_does_not_end() {
    for name in ["loop.wat", "yield.wat"] {
        let begin = Instant::now();
        let said = "export \"run\": deadline passed: 0.3 s (--timeout raises the limit)";
        fails(&["run", &hostile(name), "--timeout", "0.3"], 1, &[said]);
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(20), "{name}: {took:?}");
    }
}

#[test]
fn run_with_fuel_ends_what_does_not_end() {
    for name in ["loop.wat", "yield.wat", "fuelamp.wat"] {
        let said = "export \"run\": wasm trap: all fuel consumed: 100000 (--fuel raises the limit)";
        fails(&["run", &hostile(name), "--fuel", "100000"], 1, &[said]);
        // Whichever is first.
        fails(&["run", &hostile(name), "--fuel", "100000", "--timeout", "1000"], 1, &[said]);
    }
    let copies = hostile("fuel-copy-hang.wat");
    fails(&["run", &copies, "--invoke", "run(10000)", "--fuel", "1000000"], 1, &["--fuel raises the limit"]);
}

#[test]
fn run_with_a_timeout_ends_copies_between_guests_too() {
    let copies = hostile("fuel-copy-hang.wat");
    let begin = Instant::now();
    fails(&["run", &copies, "--invoke", "run(10000)", "--timeout", "0.5"], 1, &["deadline passed: 0.5 s"]);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn run_within_its_limits_prints_the_result() {
    let plain = canon(&["run", "examples/pipeline.wat"]);
    for limits in
        [&["--fuel", "100000000"][..], &["--timeout", "100"], &["--fuel", "100000000", "--timeout", "1e2"]]
    {
        let limited = canon(&[&["run", "examples/pipeline.wat"], limits].concat());
        assert_eq!(
            (limited.code, limited.out, limited.err),
            (plain.code, plain.out.clone(), plain.err.clone())
        );
    }
}

#[test]
fn run_with_a_limit_that_is_none_is_usage() {
    for (option, value) in [
        ("--fuel", "-1"),
        ("--fuel", "much"),
        ("--timeout", "-1"),
        ("--timeout", "soon"),
        ("--timeout", "NaN"),
        ("--timeout", "1e30"),
    ] {
        let ran = canon(&["run", &hostile("loop.wat"), &format!("{option}={value}")]);
        assert_eq!(ran.code, Some(2), "{option} {value}: {}", ran.err);
    }
}

#[test]
fn a_start_function_ends_where_the_limit_ends() {
    let start = file(
        "start-loop.wat",
        r#"(component
          (core module $M (func $f (loop (br 0))) (start $f) (func (export "run")))
          (core instance $m (instantiate $M))
          (func (export "run") (canon lift (core func $m "run"))))"#,
    );
    fails(&["run", &start, "--timeout", "0.2"], 1, &["can't be instantiated: deadline passed: 0.2 s"]);
    fails(
        &["run", &start, "--fuel", "1000"],
        1,
        &["can't be instantiated: wasm trap: all fuel consumed: 1000"],
    );
}

#[test]
fn wast_gives_each_file_its_own_limits() {
    let text = std::fs::read_to_string(hostile("fuel-copy-hang.wat")).expect("a file");
    let hang = file(
        "limits-hang.wast",
        format!(
            "{text}\n(assert_return (invoke \"run\" (u32.const 4)))\n(assert_return (invoke \"run\" (u32.const 10000)))"
        ),
    );
    let text = std::fs::read_to_string(hostile("loop.wat")).expect("a file");
    let trap =
        file("limits-trap.wast", format!("{text}\n(assert_trap (invoke \"run\") \"all fuel consumed\")"));
    let fuel = canon(&["wast", &hang, &trap, "--fuel", "2000000"]);
    assert_eq!(fuel.code, Some(1), "{}", fuel.err);
    let failed = fuel.out.lines().find(|line| line.starts_with("FAIL")).expect("a failure");
    assert!(failed.contains("all fuel consumed: 2000000 (--fuel raises the limit)"), "{failed}");
    assert!(fuel.out.ends_with("1 passed, 1 failed\n"), "{}", fuel.out);
    // No test of a trap passes because the time is up.
    let time = canon(&["wast", &hang, &trap, "--timeout", "0.4"]);
    assert_eq!(time.code, Some(1), "{}", time.err);
    assert!(time.out.ends_with("0 passed, 2 failed\n"), "{}", time.out);
    let said = "deadline passed: 0.4 s (--timeout raises the limit)";
    assert_eq!(time.out.matches(said).count(), 2, "{}", time.out);
}
