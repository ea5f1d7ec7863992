//! Which mutants are run, what is known of them, and what is said in the end.

use crate::copy::Mutant;
use crate::trial::Outcome;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Error, Write as _};
use std::path::Path;

/// From how many percent on the run fails.
const MOST_ALIVE: f64 = 5.0;

/// A mutant that does what the source does, or that no test can tell from it, and why.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Equivalent {
    /// The file, from the repository's root.
    file: String,
    /// The function; without it, all of the file is meant.
    function: Option<String>,
    /// The source line, without what it is indented by; without it, all of the function.
    line: Option<String>,
    /// The line before it, if there are several such lines in the function.
    after: Option<String>,
    /// What is changed, as reports have it; without it, whatever is changed.
    change: Option<String>,
    /// Why nothing can notice.
    reason: String,
}

impl Equivalent {
    fn is(&self, mutant: &Mutant) -> bool {
        let is = |listed: &Option<String>, found: &str| listed.as_ref().is_none_or(|listed| listed == found);
        self.file == mutant.file
            && is(&self.function, &mutant.function)
            && is(&self.line, &mutant.text)
            && is(&self.after, &mutant.before)
            && is(&self.change, &mutant.change)
    }
}

/// The list of equivalent mutants.
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct Equivalents {
    #[serde(default)]
    mutant: Vec<Equivalent>,
}

impl Equivalents {
    /// Reads the list.
    pub fn read(path: &Path) -> Result<Self, Error> {
        toml::from_str(&fs::read_to_string(path)?).map_err(Error::other)
    }

    fn find(&self, mutant: &Mutant) -> Option<&Equivalent> {
        self.mutant.iter().find(|of| of.is(mutant))
    }

    /// Prints the entries that are of no mutant, as of a source that has changed.
    pub fn print_stale(&self, mutants: &[Mutant]) {
        for of in self.mutant.iter().filter(|of| !mutants.iter().any(|mutant| of.is(mutant))) {
            println!("listed as equivalent, and not in the sources: {of:?}");
        }
    }
}

/// A sample of so many of the mutants, in the order in which they are run. The same seed draws the same.
pub fn sample(mut mutants: Vec<Mutant>, count: usize, seed: u64) -> Vec<Mutant> {
    let mut state = seed;
    let mut draw = || {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let count = count.min(mutants.len());
    for to in 0..count {
        let left = (mutants.len() - to) as u64;
        mutants.swap(to, to + (draw() % left) as usize);
    }
    mutants.truncate(count);
    mutants
}

/// The results of runs of the same sources, in a file, so that a run that was interrupted can go on.
#[derive(Debug)]
pub struct State {
    known: HashMap<u32, Outcome>,
    file: File,
}

impl State {
    /// Opens the file. `keep` says which of its results hold; none do where it is of other sources.
    pub fn open(path: &Path, hash: u64, keep: impl Fn(&Outcome) -> bool) -> Result<Self, Error> {
        let header = format!("sources {hash:016x}");
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        let known: HashMap<u32, Outcome> = match lines.next() {
            Some(first) if first == header => lines.filter_map(parse).filter(|(_, of)| keep(of)).collect(),
            _ => HashMap::new(),
        };
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
        writeln!(file, "{header}")?;
        for (number, outcome) in &known {
            writeln!(file, "{}", line(*number, outcome))?;
        }
        Ok(Self { known, file })
    }

    /// What is known of a mutant.
    pub fn get(&self, number: u32) -> Option<&Outcome> {
        self.known.get(&number)
    }

    /// Keeps a result.
    pub fn put(&mut self, number: u32, outcome: Outcome) -> Result<(), Error> {
        writeln!(self.file, "{}", line(number, &outcome))?;
        self.known.insert(number, outcome);
        Ok(())
    }
}

fn line(number: u32, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Unreached => format!("{number} unreached"),
        Outcome::Alive => format!("{number} alive"),
        Outcome::Caught(by) => format!("{number} caught {by}"),
        Outcome::Hangs(by) => format!("{number} hangs {by}"),
    }
}

fn parse(line: &str) -> Option<(u32, Outcome)> {
    let mut words = line.split(' ');
    let number = words.next()?.parse().ok()?;
    let (kind, by) = (words.next()?, words.next().unwrap_or("").to_owned());
    let outcome = match kind {
        "unreached" => Outcome::Unreached,
        "alive" => Outcome::Alive,
        "caught" => Outcome::Caught(by),
        "hangs" => Outcome::Hangs(by),
        _ => return None,
    };
    Some((number, outcome))
}

/// A mutant in one line.
pub fn describe(mutant: &Mutant) -> String {
    let Mutant { number, file, line, function, change, text, .. } = mutant;
    format!("{file}:{line} {function}: {change}  [{number}]\n        {text}")
}

fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { 100.0 * part as f64 / of as f64 }
}

/// Prints who survived, and how many; whether they are few enough.
pub fn summary(ran: &[(Mutant, Outcome)], equivalents: &Equivalents) -> bool {
    let mut alive: Vec<&(Mutant, Outcome)> = ran.iter().filter(|(_, outcome)| outcome.is_alive()).collect();
    alive.sort_by_key(|(mutant, _)| mutant.number);
    let (known, open): (Vec<&(Mutant, Outcome)>, Vec<_>) =
        alive.iter().copied().partition(|(mutant, _)| equivalents.find(mutant).is_some());
    println!();
    for (mutant, _) in &known {
        let reason = equivalents.find(mutant).map_or("", |of| of.reason.as_str());
        println!("equivalent {}\n        because: {reason}", describe(mutant));
    }
    for (mutant, outcome) in &open {
        let why = if *outcome == Outcome::Unreached { " (no test reaches it)" } else { "" };
        println!("alive {}{why}", describe(mutant));
    }
    let caught = ran.iter().filter(|(_, outcome)| !outcome.is_alive());
    for (mutant, _) in caught {
        // An entry for a whole function says that most of it can't be noticed.
        if equivalents.find(mutant).is_some_and(|of| of.change.is_some()) {
            println!("caught, although listed as equivalent: {}", describe(mutant));
        }
    }
    let hangs = ran.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Hangs(_))).count();
    println!("\n{} caught, {hangs} of them by a test that does not end", ran.len() - alive.len());
    println!(
        "{} of {} alive with the equivalent ones ({:.1} %)",
        alive.len(),
        ran.len(),
        share(alive.len(), ran.len())
    );
    let counted = ran.len() - known.len();
    let percent = share(open.len(), counted);
    println!("{} of {counted} mutants alive ({percent:.1} %)", open.len());
    percent < MOST_ALIVE
}
