//! The copy of the repository that is built: its files, its mutants, its test binaries.

use crate::find::{self, Site};
use crate::rewrite::{Number, Numbered, mutant_at, rewrite};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is mutated: directories and files of the core.
const MUTATED: [&str; 5] = ["src/state", "src/canon", "src/store", "src/run.rs", "src/abi"];
/// What is not: the oracle of the tests.
const ORACLE: &str = "src/store/check.rs";
/// What the copy has besides: the switch for mutants.
const SWITCH: &str = "src/mutant.rs";

/// A mutant of the sources.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Its number in this build, from 1.
    pub number: Number,
    /// The file, from the repository's root.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The function that it is in.
    pub function: String,
    /// What is changed.
    pub change: String,
    /// The source line.
    pub text: String,
    /// The line before it.
    pub before: String,
}

/// A file that is mutated.
#[derive(Debug)]
struct Source {
    path: String,
    text: String,
    sites: Vec<(Site, Number)>,
}

/// Which features the tests are built with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tier {
    /// The default ones.
    Standard,
    /// None: the core takes other ways without a heap, which these tests alone reach.
    Bounded,
}

/// A test binary.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The name of the test target.
    pub name: String,
    /// How it was built.
    pub tier: Tier,
    /// Where it was built.
    pub path: PathBuf,
    /// The package's directory, in which it is run.
    pub directory: PathBuf,
}

/// The copy.
#[derive(Debug)]
pub struct Copy {
    /// Its root.
    root: PathBuf,
    target: PathBuf,
    sources: Vec<Source>,
    refused: Vec<Number>,
}

fn failed(what: impl Into<String>) -> Error {
    Error::other(what.into())
}

impl Copy {
    /// Copies what git knows of the repository to `directory`, and finds the mutants.
    pub fn new(repository: &Path, directory: &Path) -> Result<Self, Error> {
        let (root, target) = (directory.join("tree"), directory.join("build"));
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(repository)
            .output()?;
        let listed =
            String::from_utf8(listed.stdout).map_err(|_| failed("git lists names that are not UTF-8"))?;
        let there =
            listed.split('\0').filter(|path| repository.join(path).is_file()).map(|path| root.join(path));
        remove_others(&root, &there.chain([root.join(SWITCH)]).collect())?;
        let mut copy = Self { root, target, sources: Vec::new(), refused: Vec::new() };
        let mut next: Number = 1;
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            let Ok(bytes) = fs::read(repository.join(path)) else { continue };
            let mutated =
                path.ends_with(".rs") && path != ORACLE && MUTATED.iter().any(|of| path.starts_with(of));
            if !mutated {
                put(&copy.root.join(path), &adapted(path, bytes))?;
                continue;
            }
            let text = String::from_utf8(bytes).map_err(|_| failed(format!("{path} is not UTF-8")))?;
            let mut sites = Vec::new();
            for site in find::sites(&text).map_err(|error| failed(format!("{path}: {error}")))? {
                let count = site.mutants.len() as Number;
                sites.push((site, next));
                next += count;
            }
            copy.sources.push(Source { path: path.to_owned(), text, sites });
        }
        put(&copy.root.join(SWITCH), include_bytes!("mutant.rs"))?;
        Ok(copy)
    }

    /// All mutants that compile, by number.
    pub fn mutants(&self) -> Vec<Mutant> {
        let mut mutants = Vec::new();
        for source in &self.sources {
            for (site, first) in &source.sites {
                let before = source.text.get(..site.range.start).unwrap_or("");
                let line = before.matches('\n').count() + 1;
                let line_at = |at: Option<usize>| {
                    at.and_then(|at| source.text.lines().nth(at)).unwrap_or("").trim().to_owned()
                };
                let (text, before) = (line_at(Some(line - 1)), line_at(line.checked_sub(2)));
                mutants.extend((*first..).zip(&site.mutants).map(|(number, (_, change))| Mutant {
                    number,
                    file: source.path.clone(),
                    line,
                    function: site.function.clone(),
                    change: change.clone(),
                    text: text.clone(),
                    before: before.clone(),
                }));
            }
        }
        mutants.retain(|mutant| !self.refused.contains(&mutant.number));
        mutants.sort_by_key(|mutant| mutant.number);
        mutants
    }

    /// Of the sources and the mutants, for telling whether results are of the same ones.
    pub fn hash(&self) -> u64 {
        let texts = self.sources.iter().flat_map(|source| {
            let mutants = source.sites.iter().flat_map(|(site, _)| &site.mutants);
            [source.path.as_str(), &source.text].into_iter().chain(mutants.map(|(text, _)| text.as_str()))
        });
        // FNV-1a.
        texts
            .flat_map(str::bytes)
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    fn write(&self) -> Result<(), Error> {
        for source in &self.sources {
            let sites = source.sites.iter().map(|(site, first)| (site, *first)).collect();
            let numbered = Numbered { sites, refused: &self.refused };
            put(&self.root.join(&source.path), rewrite(&source.text, &numbered).as_bytes())?;
        }
        Ok(())
    }

    fn cargo(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("RUSTFLAGS", "--cap-lints=allow")
            .stderr(Stdio::inherit());
        cargo
    }

    /// Leaves out the mutants that do not compile, until the core does. Those of the last run of the same
    /// sources are left out at once, so that no file changes and nothing is built again.
    pub fn check(&mut self) -> Result<(), Error> {
        let (list, header) = (self.root.with_file_name("refused"), format!("sources {:016x}", self.hash()));
        if let Some((first, rest)) = fs::read_to_string(&list).unwrap_or_default().split_once('\n')
            && first == header
        {
            self.refused = rest.lines().filter_map(|line| line.parse().ok()).collect();
        }
        self.until_it_compiles()?;
        let numbers: String = self.refused.iter().map(|number| format!("{number}\n")).collect();
        fs::write(list, format!("{header}\n{numbers}"))
    }

    fn until_it_compiles(&mut self) -> Result<(), Error> {
        loop {
            self.write()?;
            let output = self
                .cargo()
                .args(["check", "-p", "canon-async", "--message-format=json", "--quiet"])
                .stderr(Stdio::null())
                .output()?;
            if output.status.success() {
                return Ok(());
            }
            let before = self.refused.len();
            self.refuse(&String::from_utf8_lossy(&output.stdout))?;
            if self.refused.len() == before {
                return Err(failed("the mutated core does not compile, and no mutant is at fault"));
            }
        }
    }

    /// Leaves out the mutants that the compiler's errors point at.
    fn refuse(&mut self, messages: &str) -> Result<(), Error> {
        let mut rewritten: HashMap<String, String> = HashMap::new();
        for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let message = &message["message"];
            if message["level"] != "error" {
                continue;
            }
            let Some(spans) = message["spans"].as_array().filter(|spans| !spans.is_empty()) else { continue };
            let mut found = None;
            for span in spans {
                let (Some(file), Some(at)) = (span["file_name"].as_str(), span["byte_start"].as_u64()) else {
                    continue;
                };
                if !rewritten.contains_key(file) {
                    rewritten.insert(file.to_owned(), fs::read_to_string(self.root.join(file))?);
                }
                let text = rewritten.get(file).map_or("", String::as_str);
                let mutant = mutant_at(text, at as usize);
                if span["is_primary"] == true || found.is_none() {
                    found = mutant.or(found);
                }
            }
            match found {
                Some(number) if !self.refused.contains(&number) => self.refused.push(number),
                Some(_) => {}
                None => eprintln!("{}", message["rendered"].as_str().unwrap_or("an error without text")),
            }
        }
        Ok(())
    }

    /// How many mutants do not compile.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Builds the tests of these packages: the binaries.
    pub fn build(&self, packages: &[String], tier: Tier) -> Result<Vec<Binary>, Error> {
        let mut cargo = self.cargo();
        cargo.args(["test", "--no-run", "--message-format=json"]);
        packages.iter().for_each(|package| {
            cargo.args(["-p", package]);
        });
        if tier == Tier::Bounded {
            cargo.arg("--no-default-features");
        }
        let output = cargo.output()?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let messages: Vec<Value> =
            stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if !output.status.success() {
            let rendered = messages.iter().filter_map(|message| message["message"]["rendered"].as_str());
            return Err(failed(rendered.collect::<String>()));
        }
        let binaries = messages.iter().filter_map(|message| {
            let is_test = message["profile"]["test"] == true;
            let path = message["executable"].as_str().filter(|_| is_test)?;
            let manifest = Path::new(message["manifest_path"].as_str()?);
            let name = message["target"]["name"].as_str()?;
            let name = if tier == Tier::Bounded { format!("bounded-{name}") } else { name.to_owned() };
            Some(Binary { name, tier, path: path.into(), directory: manifest.parent()?.to_owned() })
        });
        Ok(binaries.collect())
    }
}

/// What the copy has in place of a file: a switch for mutants, and no search for smaller failures.
fn adapted(path: &str, bytes: Vec<u8>) -> Vec<u8> {
    let mut text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return error.into_bytes(),
    };
    if path == "src/lib.rs" {
        text.push_str("\n#[doc(hidden)]\n#[allow(missing_docs)]\npub mod mutant;\n");
    }
    if path.ends_with(".rs")
        && let Some((before, after)) = text.split_once("max_shrink_iters: ")
        && let Some(end) = after.find(|c: char| !c.is_ascii_digit() && c != '_')
    {
        text = format!("{before}max_shrink_iters: 0{}", after.get(end..).unwrap_or(""));
    }
    text.into_bytes()
}

/// Writes a file where it is another: what has not changed is not built again.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes)
}

/// Removes the files below a directory that are not to be kept, and directories without files: tests that the
/// repository no longer has would go on catching mutants.
fn remove_others(directory: &Path, keep: &HashSet<PathBuf>) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        // There was no run yet.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_others(&path, keep)?;
            if fs::read_dir(&path)?.next().is_none() {
                fs::remove_dir(&path)?;
            }
        } else if !keep.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_of_a_repository_loses_what_that_has_lost() -> Result<(), Error> {
        let directory = std::env::temp_dir().join(format!("mutants-copy-{}", std::process::id()));
        let repository = directory.join("repository");
        for path in ["src/lib.rs", "tests/kept.rs", "tests/deleted.rs", "old/renamed.rs"] {
            put(&repository.join(path), b"")?;
        }
        let git = |arguments: &[&str]| {
            Command::new("git").args(arguments).current_dir(&repository).stdout(Stdio::null()).status()
        };
        assert!(git(&["init", "--quiet"])?.success() && git(&["add", "."])?.success());
        Copy::new(&repository, &directory)?;
        let there = |path: &str| directory.join("tree").join(path).is_file();
        assert!(there("tests/deleted.rs") && there("old/renamed.rs"));
        // One that git still lists, and one that it does not.
        fs::remove_file(repository.join("tests/deleted.rs"))?;
        assert!(git(&["mv", "old", "new"])?.success());
        Copy::new(&repository, &directory)?;
        assert!(!there("tests/deleted.rs") && !there("old/renamed.rs"));
        assert!(!directory.join("tree/old").exists());
        assert!(there("tests/kept.rs") && there("new/renamed.rs") && there("src/lib.rs") && there(SWITCH));
        fs::remove_dir_all(directory)
    }
}
