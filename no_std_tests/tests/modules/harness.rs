//! Runs tests that are listed: on a hosted system as libtest does, on a target one file a boot.

use canon_async::Error;
// The start-up code, and what a panic does.
#[cfg(target_os = "none")]
use no_std_tests as _;

/// A test of a file.
pub struct Test {
    /// `<builtin>_<situation>_<outcome>`.
    pub name: &'static str,
    /// What it runs; or what it needs and this build has not.
    pub run: Result<fn() -> Result<(), Error>, &'static str>,
}

/// A file, and what it lists.
pub struct File {
    pub name: &'static str,
    pub tests: &'static [Test],
}

/// How a test ends that does not panic.
pub trait Ends {
    fn ended(self) -> Result<(), Error>;
}

impl Ends for () {
    fn ended(self) -> Result<(), Error> {
        Ok(())
    }
}

impl Ends for Result<(), Error> {
    fn ended(self) -> Result<(), Error> {
        self
    }
}

/// Lists the tests of a file, all of them on every tier: one that needs what not every build has says what.
macro_rules! tests {
    ($($name:ident $([$needs:ident])?),* $(,)?) => {
        pub const TESTS: &[$crate::harness::Test] =
            &[$($crate::harness::Test { name: stringify!($name), run: tests!(@ $name $($needs)?) }),*];
    };
    (@ $name:ident) => { Ok(|| $crate::harness::Ends::ended($name())) };
    (@ $name:ident threads) => { tests!(@ $name if not(target_os = "none"), "needs threads") };
    (@ $name:ident unwinding) => { tests!(@ $name if not(target_os = "none"), "needs unwinding") };
    (@ $name:ident std) => { tests!(@ $name if feature = "std", "needs std") };
    (@ $name:ident no_std) => { tests!(@ $name if not(feature = "std"), "needs no std") };
    (@ $name:ident alloc) => { tests!(@ $name if feature = "alloc", "needs alloc") };
    (@ $name:ident if $condition:meta, $needs:literal) => {{
        #[cfg($condition)]
        { tests!(@ $name) }
        #[cfg(not($condition))]
        { Err($needs) }
    }};
}

/// A test binary: its files, and how many tests a target without an operating system can't run.
macro_rules! files {
    ($left_out:literal left out on a target; $($name:ident),* $(,)?) => {
        const FILES: &[$crate::harness::File] =
            &[$($crate::harness::File { name: stringify!($name), tests: $crate::$name::TESTS }),*];

        #[cfg(not(target_os = "none"))]
        fn main() {
            $crate::harness::main(FILES);
        }

        #[cfg(target_os = "none")]
        #[embedded_test::tests]
        mod on_target {
            $(#[test]
            fn $name() {
                $crate::harness::run($crate::FILES, stringify!($name));
            })*

            #[test]
            fn manifest() {
                $crate::harness::manifest($crate::FILES, $left_out);
            }
        }
    };
}

/// Runs the tests that the arguments name. One at a time, since all have one store; each in a thread of its own, whose store is empty
/// with `std`.
#[cfg(not(target_os = "none"))]
pub fn main(files: &'static [File]) {
    use libtest_mimic::{Arguments, Failed, Trial};
    use std::{boxed::Box, format, panic, string::String, thread};

    /// What the last panic said: it is shown where it ends a test.
    static PANIC: spin::Mutex<String> = spin::Mutex::new(String::new());

    panic::set_hook(Box::new(|info| *PANIC.lock() = format!("{info}")));

    let in_a_thread = |name: String, run: fn() -> Result<(), Error>| {
        let thread = thread::Builder::new().name(name).spawn(run)?;
        match thread.join() {
            Ok(result) => result.map_err(|error| Failed::from(format!("{error} ({error:?})"))),
            Err(_) => Err(Failed::from(&*PANIC.lock())),
        }
    };
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trials = files.iter().flat_map(|file| {
        file.tests.iter().map(move |test| {
            let name = format!("{}::{}", file.name, test.name);
            match test.run {
                Ok(run) => Trial::test(name.clone(), move || in_a_thread(name, run)),
                Err(needs) => {
                    Trial::test(name, move || Err(needs.into())).with_kind(needs).with_ignored_flag(true)
                }
            }
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Runs the tests of a file, as one test of a target.
#[cfg(target_os = "none")]
pub fn run(files: &[File], name: &str) {
    let file = files.iter().find(|file| file.name == name).expect("a file of this name");
    let mut ran = 0;
    for test in file.tests {
        let Ok(run) = test.run else { continue };
        semihosting::println!("{name}::{}", test.name);
        assert_eq!(run(), Ok(()), "{name}::{}", test.name);
        ran += 1;
    }
    assert!(ran > 0, "{name}: no test ran");
}

/// Says which tests are left out here.
#[cfg(target_os = "none")]
pub fn manifest(files: &[File], expected: usize) {
    let (mut listed, mut left_out) = (0, 0);
    for (file, test) in files.iter().flat_map(|file| file.tests.iter().map(move |test| (file, test))) {
        listed += 1;
        if let Err(needs) = test.run {
            semihosting::println!("note: left out: {}::{} {needs}", file.name, test.name);
            left_out += 1;
        }
    }
    semihosting::println!("note: {} of {listed} tests run here, in {} boots", listed - left_out, files.len());
    assert_eq!(left_out, expected, "tests that are left out on a target");
}
