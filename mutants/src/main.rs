//! Mutation testing of the core: deliberate faults in the sources, and whether the tests notice them.
//!
//! The repository is copied, and each file of the core rewritten so that all its mutants are in it, each
//! behind a switch (`if crate::mutant::on(17) { .. } else { .. }`). The tests are built once, and run once
//! for each mutant of a sample, which an environment variable switches on. A test binary runs only if it reaches
//! the mutant, the fastest first, until one fails or does not end. `mutants/README.md` says how to use it.

mod cfg;
mod copy;
mod find;
mod report;
mod rewrite;
mod trial;

use crate::copy::{Copy, Mutant, Tier};
use crate::report::{Equivalents, State, describe, sample, summary};
use crate::trial::{Outcome, Suite};
use std::io::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str = "\
Usage: cargo run --manifest-path mutants/Cargo.toml -- [OPTIONS]

  --count N       how many mutants are run (400)
  --all           all of them
  --seed N        which ones are drawn (1)
  --jobs N        how many run at a time (2)
  --resume        goes on where a run of the same sources stopped
  --retry         as --resume, but runs those again that were alive
  --only TEXT     only mutants whose file, line or function has this in it
  --list          lists the mutants, and runs none
  --dir DIR       where the copy is and is built (target/mutants)
  --slowest N     leaves out test binaries that take longer than N seconds (60)
  --package NAME  the packages whose tests are run (no_std_tests, std_tests)
";

struct Options {
    count: usize,
    seed: u64,
    jobs: usize,
    resume: bool,
    retry: bool,
    list: bool,
    only: Option<String>,
    directory: PathBuf,
    slowest: u64,
    packages: Vec<String>,
}

impl Options {
    fn parse(repository: &Path) -> Result<Self, String> {
        let mut options = Self {
            count: 400,
            seed: 1,
            jobs: 2,
            resume: false,
            retry: false,
            list: false,
            only: None,
            directory: repository.join("target/mutants"),
            slowest: 60,
            packages: Vec::new(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            let number = |value: String| value.parse().map_err(|_| format!("{value} is no number"));
            match argument.as_str() {
                "--count" => options.count = number(value()?)? as usize,
                "--all" => options.count = usize::MAX,
                "--seed" => options.seed = number(value()?)?,
                "--jobs" => options.jobs = number(value()?)?.max(1) as usize,
                "--resume" => options.resume = true,
                "--retry" => options.retry = true,
                "--list" => options.list = true,
                "--only" => options.only = Some(value()?),
                "--dir" => options.directory = value()?.into(),
                "--slowest" => options.slowest = number(value()?)?,
                "--package" => options.packages.push(value()?),
                "--help" | "-h" => return Err(USAGE.to_owned()),
                _ => return Err(format!("unknown option {argument}\n\n{USAGE}")),
            }
        }
        if options.packages.is_empty() {
            options.packages = ["no_std_tests", "std_tests"].map(str::to_owned).to_vec();
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let options = match Options::parse(repository) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    match measure(repository, &options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// The whole run; whether few enough mutants are alive.
fn measure(repository: &Path, options: &Options) -> Result<bool, Error> {
    let began = Instant::now();
    let equivalents = Equivalents::read(&repository.join("mutants/equivalent.toml"))?;
    let mut copy = Copy::new(repository, &options.directory)?;
    copy.check()?;
    let all = copy.mutants();
    println!("{} mutants; {} more do not compile", all.len(), copy.refused());
    equivalents.print_stale(&all);
    let total = all.len();
    let matching = all
        .into_iter()
        .filter(|mutant| options.only.as_ref().is_none_or(|only| describe(mutant).contains(only.as_str())));
    let chosen = sample(matching.collect(), options.count, options.seed);
    if options.list {
        chosen.iter().for_each(|mutant| println!("{}", describe(mutant)));
        return Ok(true);
    }
    let mut binaries = copy.build(&options.packages, Tier::Standard)?;
    // What std_tests has takes a heap.
    binaries.extend(copy.build(&["no_std_tests".to_owned()], Tier::Bounded)?);
    println!("built after {} s", began.elapsed().as_secs());
    let suites = trial::suites(binaries, &options.directory, Duration::from_secs(options.slowest))?;
    println!("tests ran without mutants after {} s", began.elapsed().as_secs());
    let keep = |outcome: &Outcome| options.resume || options.retry && !outcome.is_alive();
    let state = State::open(&options.directory.join("results"), copy.hash(), keep)?;
    let ran = run_all(chosen, &suites, state, options.jobs)?;
    let passed = summary(&ran, &equivalents);
    println!("seed {}, {} of {total} mutants, {} s", options.seed, ran.len(), began.elapsed().as_secs());
    Ok(passed)
}

/// Runs the mutants, several at a time.
fn run_all(
    chosen: Vec<Mutant>,
    suites: &[Suite],
    state: State,
    jobs: usize,
) -> Result<Vec<(Mutant, Outcome)>, Error> {
    let (next, state) = (AtomicUsize::new(0), Mutex::new(state));
    let done = Mutex::new(Vec::new());
    let work = || -> Result<(), Error> {
        while let Some(mutant) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let known = state.lock().expect("no thread panics").get(mutant.number).cloned();
            let outcome = match known {
                Some(outcome) => outcome,
                None => trial::outcome(mutant.number, suites)?,
            };
            state.lock().expect("no thread panics").put(mutant.number, outcome.clone())?;
            let mut done = done.lock().expect("no thread panics");
            if outcome.is_alive() {
                println!("{:>5} alive {}", done.len() + 1, describe(mutant));
            } else if (done.len() + 1) % 50 == 0 {
                println!("{:>5} of {}", done.len() + 1, chosen.len());
            }
            done.push((mutant.clone(), outcome));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;
    Ok(done.into_inner().expect("no thread panics"))
}
