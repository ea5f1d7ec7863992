//! Runs a target on files, on stable and without a fuzzer:
//! `replay TARGET [--outcomes] [--seconds N [--seed N]] PATH...`
//!
//! Each path is a file or a folder of files. With `--seconds` it then changes what it read at random (without
//! looking at coverage, as a fuzzer would) until that time is over. `--outcomes` prints how often calls ended
//! in what. An input that panics is written to `artifacts/TARGET/`.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, abort};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use canon_async_fuzz::{TARGETS, Target, outcomes};

/// The longest input that changes make.
const LONGEST: usize = 4096;
/// What is slower is said: an input may not cost the host this much.
const SLOW: Duration = Duration::from_secs(5);

/// What runs now, for the panic hook: the target, where it came from, and the bytes.
static NOW: Mutex<(String, String, Vec<u8>)> = Mutex::new((String::new(), String::new(), Vec::new()));

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|(target, _)| *target == name) else {
        let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!(
            "usage: replay TARGET [--outcomes] [--seconds N [--seed N]] PATH...\ntargets: {}",
            names.join(", ")
        );
        return ExitCode::from(2);
    };
    let (mut seconds, mut seed, mut paths) = (0u64, 1u64, Vec::new());
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok());
        match arg.as_str() {
            "--seconds" => seconds = number().unwrap_or(0),
            "--outcomes" => outcomes::count(),
            "--seed" => seed = number().unwrap_or(1),
            _ => paths.push(PathBuf::from(arg)),
        }
    }
    std::panic::set_hook(Box::new(on_panic));
    let begun = Instant::now();
    let inputs = read(&paths);
    let mut slow = false;
    for (path, bytes) in &inputs {
        slow |= run(target, &path.display().to_string(), bytes);
    }
    let mut runs = inputs.len() as u64;
    if seconds > 0 {
        let corpus: Vec<_> = inputs.into_iter().map(|(_, bytes)| bytes).collect();
        let mut random = Random(seed);
        while begun.elapsed() < Duration::from_secs(seconds) {
            let input = change(&corpus, &mut random);
            slow |= run(target, "changed", &input);
            runs += 1;
        }
    }
    outcomes::seen().iter().for_each(|(count, outcome)| println!("{count:>8} {outcome}"));
    let took = begun.elapsed().as_secs_f64();
    println!("{name}: {runs} inputs in {took:.1} s, {:.0} a second", runs as f64 / took.max(0.001));
    ExitCode::from(u8::from(slow || runs == 0))
}

/// Whether it was slow; does not return where it panics.
fn run(target: &Target, from: &str, bytes: &[u8]) -> bool {
    *NOW.lock().unwrap_or_else(PoisonError::into_inner) = (target.0.into(), from.into(), bytes.to_vec());
    let begun = Instant::now();
    target.1(bytes);
    let slow = begun.elapsed() > SLOW;
    if slow {
        eprintln!("slow: {} s: {}", begun.elapsed().as_secs(), save("slow"));
    }
    slow
}

fn on_panic(info: &std::panic::PanicHookInfo<'_>) {
    eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
    eprintln!("found: {}", save("crash"));
    abort();
}

/// Keeps the input that runs now: its path.
fn save(what: &str) -> String {
    let (target, from, bytes) = &*NOW.lock().unwrap_or_else(PoisonError::into_inner);
    if from != "changed" {
        return from.clone();
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(target);
    let path = folder.join(format!("{what}-{:016x}", hash(bytes)));
    match fs::create_dir_all(&folder).and_then(|()| fs::write(&path, bytes)) {
        Ok(()) => path.display().to_string(),
        Err(error) => format!("{error}: {bytes:?}"),
    }
}

/// All files, in the order of their names.
fn read(paths: &[PathBuf]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for path in paths {
        match fs::read_dir(path) {
            Ok(entries) => files.extend(entries.filter_map(|entry| Some(entry.ok()?.path()))),
            Err(_) => files.push(path.clone()),
        }
    }
    files.sort();
    files.into_iter().filter_map(|path| Some((path.clone(), fs::read(path).ok()?))).collect()
}

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).checked_rem(n as u64).unwrap_or(0) as usize
    }
}

fn change(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let some = |random: &mut Random| corpus.get(random.below(corpus.len())).cloned().unwrap_or_default();
    let mut bytes = some(random);
    if bytes.is_empty() || random.below(32) == 0 {
        bytes = (0..random.below(512)).map(|_| random.below(256) as u8).collect();
    }
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len().max(1));
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 => bytes.insert(at.min(bytes.len()), random.below(256) as u8),
            3 => {
                let end = (at + random.below(16)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            4 => {
                // A part of it again, somewhere else.
                let end = (at + random.below(64)).min(bytes.len());
                let part = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            _ => {
                let other = some(random);
                bytes.truncate(at);
                bytes.extend(other.get(random.below(other.len().max(1))..).unwrap_or_default());
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

/// FNV-1a, for names.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
