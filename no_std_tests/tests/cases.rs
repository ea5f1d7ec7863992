//! Runs every case on every profile that there is, in a plain loop.

use canon_async::error::Error;
use canon_async::storage::Profile;
use no_std_tests::cases::{Case, lists};
use no_std_tests::profiles::{Roomy, Tight};
use std::panic::catch_unwind;

/// What a run counts.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn run(&mut self, profile: &str, case: &Case, tight: bool) {
        let expected = case.tight.filter(|_| tight).map(Error::Capacity);
        let outcome = match catch_unwind(case.run) {
            Ok(result) if result.err() == expected => {
                self.passed += 1;
                println!("ok   {profile} {}", case.name);
                return;
            }
            Ok(Ok(())) => "it passed, and its list says that the profile is too small".into(),
            Ok(Err(error)) => format!("{error} ({error:?})"),
            Err(_) => "panicked".into(),
        };
        self.failed += 1;
        println!("FAIL {profile} {}: {outcome}", case.name);
    }

    fn profile<P: Profile>(&mut self, name: &str, filter: Option<&str>) {
        for case in lists::<P>().into_iter().flatten() {
            if filter.is_none_or(|filter| case.name.contains(filter)) {
                self.run(name, case, name == "tight");
            }
        }
    }
}

fn main() {
    // As libtest: the first free argument is a filter. Others, as cargo and editors pass them, are let be.
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let mut tally = Tally::default();
    tally.profile::<Tight>("tight", filter.as_deref());
    tally.profile::<Roomy>("roomy", filter.as_deref());
    #[cfg(feature = "alloc")]
    tally.profile::<canon_async::Heap>("heap", filter.as_deref());
    let profiles = if cfg!(feature = "alloc") { 3 } else { 2 };
    let listed = lists::<Roomy>().into_iter().flatten().count() * profiles;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    let all_ran = tally.passed + tally.failed == listed && listed > 0;
    assert!(filter.is_some() || all_ran, "{listed} cases are listed, and fewer ran");
    std::process::exit(i32::from(tally.failed > 0));
}
