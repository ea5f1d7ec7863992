//! Programs: what three instances do with all the built-ins, replayed in the reference. std_tests/definitions/programs.py says
//! what is compared.

use super::{python, seeds};
use canon_async::storage::Profile;
use canon_async::store::Choose;
use canon_async::{Heap, Limits};
use libtest_mimic::Failed;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std_tests::machine::{Machine, Setup, Step, tape};

/// Programs a seed.
const PROGRAMS: u64 = 100;
/// Steps a program, at most.
const STEPS: usize = 200;

/// Plays the programs of the usual seeds, and has them replayed; one that goes another way in the reference is made small first.
pub fn compare() -> Result<(), Failed> {
    let (mut steps, mut all) = (0, 0);
    for seed in seeds(4)? {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let strategy = tape(STEPS);
        let trees: Result<Vec<_>, _> = (0..PROGRAMS).map(|_| strategy.new_tree(&mut runner)).collect();
        let trees = trees?;
        let programs: Vec<(Vec<Step>, Choose)> =
            trees.iter().zip(0..).map(|(tree, number)| (tree.current(), choose(seed, number))).collect();
        steps += programs.iter().map(|(tape, _)| tape.len()).sum::<usize>();
        let verdicts = replay(&programs)?;
        let lines: usize = verdicts.iter().filter_map(|verdict| verdict.as_ref().ok()).sum();
        for ((mut tree, (_, choose)), verdict) in trees.into_iter().zip(programs).zip(verdicts) {
            if verdict.is_err() {
                return Err(format!("seed {seed}: {}", smallest(&mut tree, choose)?).into());
            }
        }
        // Otherwise they end before they begin.
        if lines < PROGRAMS as usize * 20 {
            return Err(format!("seed {seed}: only {lines} lines in {PROGRAMS} programs").into());
        }
        all += lines;
    }
    println!("programs of {steps} steps went as in the reference, {all} lines of trace");
    Ok(())
}

/// How the scheduler of a program chooses.
fn choose(seed: u64, number: u64) -> Choose {
    match number % 3 {
        0 => Choose::Spec,
        1 => Choose::Eager,
        _ => Choose::Seeded(seed << 32 | number),
    }
}

/// The trace of a program.
fn trace(tape: &[Step], choose: Choose) -> Vec<String> {
    let setup =
        Setup { choose, depth: 24, limits: Heap::LIMITS, root_limits: Limits::STORAGE, strict: false };
    let mut machine = Box::new(Machine::<Heap>::new(tape.to_vec(), setup).expect("linking"));
    machine.play_to_error();
    machine.trace().to_vec()
}

/// How many lines of a program the reference replayed, or the line at which it goes another way, and which.
type Verdict = Result<usize, (usize, String)>;

/// The reference's verdict on each program.
fn replay(programs: &[(Vec<Step>, Choose)]) -> Result<Vec<Verdict>, Failed> {
    let mut input = String::new();
    for ((tape, choose), number) in programs.iter().zip(0..) {
        let profile = if *choose == Choose::Spec { "deterministic" } else { "free" };
        input += &format!("program {number} {profile}\n");
        for line in trace(tape, *choose) {
            input += &line;
            input.push('\n');
        }
        input += "end\n";
    }
    let output = python::<&str>("programs.py", [], input)?;
    let verdicts: Result<Vec<_>, String> = output.lines().zip(0..).map(verdict).collect();
    let verdicts = verdicts?;
    if verdicts.len() != programs.len() {
        return Err(format!("{} verdicts on {} programs", verdicts.len(), programs.len()).into());
    }
    Ok(verdicts)
}

fn verdict((line, number): (&str, usize)) -> Result<Verdict, String> {
    let unknown = || format!("no verdict on program {number}: {line}");
    let rest = line.strip_prefix(&format!("{number} ")).ok_or_else(unknown)?;
    let (first, rest) = rest.split_once(' ').ok_or_else(unknown)?;
    match first {
        "ok" => Ok(Ok(rest.parse().map_err(|_| unknown())?)),
        line => Ok(Err((line.parse().map_err(|_| unknown())?, rest.into()))),
    }
}

/// The smallest program made of this one that still goes another way, and its trace.
fn smallest<T: ValueTree<Value = Vec<Step>>>(tree: &mut T, choose: Choose) -> Result<String, Failed> {
    let fails = |tape: Vec<Step>| replay(&[(tape, choose)]).map(|verdicts| verdicts[0].is_err());
    let mut more = tree.simplify();
    for _ in 0..2000 {
        if !more {
            break;
        }
        more = if fails(tree.current())? { tree.simplify() } else { tree.complicate() };
    }
    let tape = tree.current();
    let lines = trace(&tape, choose);
    let verdicts = replay(&[(tape.clone(), choose)])?;
    let Some(Err((at, what))) = verdicts.first() else {
        return Err("the smallest program goes as in the reference".into());
    };
    let mut text = format!("{choose:?} {tape:?}\n");
    for (line, number) in lines.iter().zip(0..) {
        if number == *at {
            text += &format!(">>> the reference: {what}\n");
        }
        text += line;
        text.push('\n');
    }
    if *at >= lines.len() {
        text += &format!(">>> the reference: {what}\n");
    }
    Ok(text)
}
