//! Runs the cases of a profile: on a hosted system in a plain loop, on a target one list a boot.

use crate::cases::{Case, lists};
use canon_async::error::Error;
use canon_async::storage::Profile;
// The start-up code, and what critical sections are.
#[cfg(all(target_os = "none", target_arch = "arm"))]
use {cortex_m as _, cortex_m_rt as _};
#[cfg(all(target_os = "none", target_arch = "riscv32"))]
use {riscv as _, riscv_rt as _};

#[cfg(target_os = "none")]
pub use embedded_test;

/// A profile that the cases run on.
pub trait Suite: Profile {
    /// Its name.
    const NAME: &'static str;
    /// It has too little for the cases whose list says so.
    const TIGHT: bool = false;
}

impl Suite for crate::profiles::Tight {
    const NAME: &'static str = "tight";
    const TIGHT: bool = true;
}

impl Suite for crate::profiles::Roomy {
    const NAME: &'static str = "roomy";
}

#[cfg(feature = "alloc")]
impl Suite for canon_async::Heap {
    const NAME: &'static str = "heap";
}

/// Whether a case ended as its list says.
fn ended<P: Suite>(case: &Case, result: Result<(), Error>) -> bool {
    result.err() == case.tight.filter(|_| P::TIGHT).map(Error::capacity)
}

/// The main function of a test binary: all cases, or those whose name has the first free argument in it, as with libtest. Other arguments,
/// which cargo and editors pass, are let be.
#[cfg(not(target_os = "none"))]
pub fn main<P: Suite>() {
    extern crate std;
    use std::panic::catch_unwind;
    use std::{env, println, process};

    let filter = env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let (mut listed, mut passed, mut failed) = (0u32, 0u32, 0u32);
    for case in lists::<P>().into_iter().flat_map(|list| list.cases) {
        listed += 1;
        if filter.as_ref().is_some_and(|filter| !case.name.contains(filter.as_str())) {
            continue;
        }
        match catch_unwind(case.run) {
            Ok(result) if ended::<P>(case, result) => {
                passed += 1;
                println!("ok   {} {}", P::NAME, case.name);
                continue;
            }
            Ok(Ok(())) => println!(
                "FAIL {} {}: it passed, and its list says that the profile is too small",
                P::NAME,
                case.name
            ),
            Ok(Err(error)) => println!("FAIL {} {}: {error} ({error:?})", P::NAME, case.name),
            Err(_) => println!("FAIL {} {}: panicked", P::NAME, case.name),
        }
        failed += 1;
    }
    println!("{passed} passed, {failed} failed");
    assert!(filter.is_some() || passed + failed == listed && listed > 0, "fewer cases ran than are listed");
    process::exit(i32::from(failed > 0));
}

/// Runs a list of cases, as one test of a target.
#[cfg(target_os = "none")]
pub fn run<P: Suite>(name: &str) {
    let lists = lists::<P>();
    let list = lists.iter().find(|list| list.name == name).expect("a list of this name");
    assert!(!list.cases.is_empty(), "{name} lists no case");
    for case in list.cases {
        let result = (case.run)();
        assert!(ended::<P>(case, result), "{} {}: {result:?}", P::NAME, case.name);
    }
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    semihosting::eprintln!("{info}");
    semihosting::process::abort()
}
