//! `--fuel` and `--timeout`: what ends components that don't end by themselves. `--max-memory` and
//! `--max-stack`: what they may take.

mod common;

use std::time::{Duration, Instant};

use common::{canon, fails, file, returns, root};

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
fn run_with_a_limit_that_is_none_says_what_was_expected() {
    let number = "expected a whole number from 0 to 18446744073709551615, found";
    let time = "expected a time, such as 5s, 500ms or 2m, found";
    let size = "expected a number of bytes, such as 65536, 64K, 512M or 4G, found";
    for (option, value, said) in [
        ("--fuel", "-1", format!("{number} \"-1\"")),
        ("--fuel", "much", format!("{number} \"much\"")),
        ("--fuel", "18446744073709551616", "18446744073709551616 is more".into()),
        ("--timeout", "-1", format!("{time} \"-1\"")),
        ("--timeout", "soon", format!("{time} \"soon\"")),
        ("--timeout", "NaN", format!("{time} \"NaN\"")),
        ("--timeout", "1e30", "1e30 is longer than this machine can measure".into()),
        ("--max-memory", "-1", format!("{size} \"-1\"")),
        ("--max-memory", "lots", format!("{size} \"lots\"")),
        ("--max-stack", "99999999999G", "99999999999G is more than this machine can address".into()),
        ("--limit", "threads", "expected NAME=N, such as threads=1000; the limits are instances, ".into()),
        (
            "--limit",
            "thread=1",
            "there is no limit \"thread\"; did you mean \"threads\"? the limits are".into(),
        ),
        (
            "--limit",
            "threads=-1",
            "threads: expected a whole number from 0 to 4294967295, found \"-1\"".into(),
        ),
        ("--limit", "threads=4294967296", "4294967296 is more".into()),
    ] {
        // In both ways to write it.
        for args in [&[&format!("{option}={value}")[..]][..], &[option, value]] {
            let ran = canon(&[&["run", &hostile("loop.wat")], args].concat());
            assert!(
                ran.code == Some(2) && ran.err.contains(&said),
                "{args:?}: expected {said} in {}",
                ran.err
            );
            assert!(ran.err.contains(&format!("for '{option} <")), "{}", ran.err);
        }
    }
}

#[test]
fn run_takes_times_with_units_and_old_names_of_options() {
    for time in ["300ms", "0.3s", "0.005m"] {
        let begin = Instant::now();
        fails(&["run", &hostile("loop.wat"), "--timeout", time], 1, &["deadline passed: 0.3 s"]);
        assert!(begin.elapsed() >= Duration::from_millis(300), "{time}");
    }
    let large = file("limits-old.wat", greedy(1024));
    fails(&["run", &large, "--invoke", "f(1)", "--memory", "32M"], 1, &[MEMORY]);
    returns(&["run", &large, "--invoke", "f(1)", "--memory", "256M", "--stack", "1M"], "1\n");
}

#[test]
fn fuel_that_was_used_is_told_apart_by_component() {
    let worker = r#"(component $worker
      (core module $M (func (export "work") (param i32) (result i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 1)))
      (core instance $m (instantiate $M))
      (func (export "work") (param "n" u32) (result u32) (canon lift (core func $m "work"))))"#;
    let boss = r#"(component $boss
      (import "work" (func $work (param "n" u32) (result u32)))
      (core func $work' (canon lower (func $work)))
      (core module $M
        (import "" "work" (func $work (param i32) (result i32)))
        (func (export "run") (result i32) (call $work (i32.const 10000))))
      (core instance $m (instantiate $M (with "" (instance (export "work" (func $work'))))))
      (func (export "run") (result u32) (canon lift (core func $m "run"))))"#;
    let (worker, boss) = (file("limits-worker.wat", worker), file("limits-boss.wat", boss));
    let ran = canon(&["run", &boss, "--with", &worker, "--trace-fuel"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "1\n"), "{}", ran.err);
    let used = |component: &str| {
        let (_, by) = ran.err.split_once("of that by component:\n").expect("a second list");
        let found = by.lines().find_map(|line| line.strip_prefix(&format!("  {component}: ")));
        found.and_then(|fuel| fuel.parse::<u64>().ok()).expect("a number")
    };
    assert!(used("worker") > 10_000 && (1..100).contains(&used("boss")), "{}", ran.err);
}

/// `run(n)` makes `n` threads, which never run.
const THREADS: &str = r#"(component $spawner
  (core module $T (table (export "t") 1 funcref))
  (core instance $t (instantiate $T))
  (alias core export $t "t" (core table $table))
  (core type $start (func (param i32)))
  (core func $new (canon thread.new-indirect $start (core table $table)))
  (core module $M
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "t" (table $t 1 funcref))
    (elem (i32.const 0) $f)
    (func $f (param i32))
    (func (export "run") (param i32) (result i32)
      (loop (drop (call $new (i32.const 0) (i32.const 0)))
        (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (i32.const 7)))
  (core instance $m (instantiate $M (with "" (instance (export "new" (func $new)) (export "t" (table $table))))))
  (func (export "run") async (param "n" u32) (result u32) (canon lift (core func $m "run"))))"#;

#[test]
fn a_limit_of_the_store_holds_and_its_message_says_what_raises_it() {
    let threads = file("limits-threads.wat", THREADS);
    returns(&["run", &threads, "--invoke", "run(900)", "--limit", "threads=1000"], "7\n");
    let texts = ["limit reached: threads", "1000 (Limits::threads", "; --limit threads=N raises it"];
    fails(&["run", &threads, "--invoke", "run(1100)", "--limit", "threads=1000"], 1, &texts);
    // Of several the one that is first; a dash will do.
    let limits = ["--limit", "threads=2000", "--limit", "thread-indices=100"];
    let args = [&["run", &threads, "--invoke", "run(1100)"], &limits[..]].concat();
    fails(&args, 1, &["100 (Limits::thread_indices)", "; --limit thread_indices=N raises it"]);
}

#[test]
fn fuel_that_was_used_is_shown_by_component_and_call() {
    let ran = canon(&["run", "examples/pipeline.wat", "--trace-fuel"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let lines: Vec<&str> = ran.err.lines().collect();
    let [title, instantiation, call, total, by, component, ..] = lines[..] else { panic!("{}", ran.err) };
    assert!(by == "of that by component:" && component.starts_with("  pipeline: "), "{}", ran.err);
    assert_eq!((title, instantiation), ("fuel used:", "  pipeline: instantiation: 0"));
    let call = call.strip_prefix("  pipeline: call of \"run\": ").expect("the call");
    assert_eq!(total.strip_prefix("  total: "), Some(call));
    // As much is enough, and less is not.
    let fuel: u64 = call.parse().expect("a number");
    assert!(fuel > 100);
    assert_eq!(canon(&["run", "examples/pipeline.wat", "--fuel", call]).code, Some(0));
    let less = (fuel - 1).to_string();
    let ran = canon(&["run", "examples/pipeline.wat", "--trace-fuel", "--fuel", &less]);
    assert!(
        ran.code == Some(1) && ran.err.contains("all fuel consumed") && ran.err.contains("fuel used:"),
        "{}",
        ran.err
    );
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

/// A component with a memory of `pages`, and a function that recurses as deep as its argument says.
fn greedy(pages: u32) -> String {
    format!(
        r#"(component
          (core module $M
            (memory {pages})
            (func $f (export "f") (param i32) (result i32)
              (if (result i32) (i32.eqz (local.get 0))
                (then (i32.const 0))
                (else (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1))))))))
          (core instance $m (instantiate $M))
          (func (export "f") (param "n" u32) (result u32) (canon lift (core func $m "f"))))"#
    )
}

const MEMORY: &str = "limit reached: memory that guests cause to be allocated, 32 MiB for a component and 64 MiB \
                      for all (Config::root_bytes, Config::guest_bytes); --max-memory raises it";

#[test]
fn run_above_its_memory_says_which_option_raises_it() {
    let large = file("limits-large.wat", greedy(1024));
    fails(&["run", &large, "--invoke", "f(1)", "--max-memory", "32M"], 1, &[MEMORY]);
    returns(&["run", &large, "--invoke", "f(1)", "--max-memory", "256M"], "1\n");
}

#[test]
fn run_of_more_stacks_than_memory_says_which_options_make_room() {
    let bomb = root().join("std_tests/hostile/stackbomb.wat");
    let said = "Config::guest_bytes); --max-memory raises it, or a smaller --max-stack makes room";
    let texts = ["limit reached: stacks of guests", said];
    fails(&["run", bomb.to_str().expect("UTF-8"), "--max-memory", "40M"], 1, &texts);
}

/// The host's values may take 64 MiB, but here the whole has less: it is the whole that has to be raised.
#[test]
fn run_of_host_values_above_its_memory_says_which_option_raises_it() {
    let list = file(
        "limits-list.wat",
        r#"(component
          (core module $M
            (memory (export "memory") 40)
            (func (export "run") (result i32)
              (i32.store (i32.const 4) (i32.const 2600000))
              (i32.const 0)))
          (core instance $m (instantiate $M))
          (func (export "run") (result (list bool))
            (canon lift (core func $m "run") (memory (core memory $m "memory")))))"#,
    );
    fails(&["run", &list, "--max-memory", "32M"], 1, &[MEMORY]);
}

#[test]
fn run_recurses_as_deep_as_its_stack() {
    let deep = file("limits-deep.wat", greedy(0));
    returns(&["run", &deep, "--invoke", "f(100000)"], "100000\n");
    let said = "wasm trap: call stack exhausted";
    fails(&["run", &deep, "--invoke", "f(100000)", "--max-stack", "64K"], 1, &[said]);
}

#[test]
fn wast_has_the_memory_and_the_stack_that_it_is_given() {
    let large = file(
        "limits-large.wast",
        format!("{}\n(assert_return (invoke \"f\" (u32.const 1)) (u32.const 1))", greedy(1024)),
    );
    let refused = canon(&["wast", &large, "--max-memory", "32M"]);
    assert!(refused.code == Some(1) && refused.out.contains(MEMORY), "{}", refused.out);
    let deep = file(
        "limits-deep.wast",
        format!("{}\n(assert_return (invoke \"f\" (u32.const 100000)) (u32.const 100000))", greedy(0)),
    );
    let exhausted = canon(&["wast", &deep, "--max-stack", "64K"]);
    assert!(exhausted.code == Some(1) && exhausted.out.contains("call stack exhausted"), "{}", exhausted.out);
    let plain = canon(&["wast", &large, &deep]);
    assert!(plain.code == Some(0) && plain.out.ends_with("2 passed, 0 failed\n"), "{}", plain.out);
}
