//! A binary of its own, which `no_std_tests/tools/capacities` builds with capacities from the environment.
#![no_std]
#![cfg_attr(target_os = "none", no_main)]
extern crate alloc;
#[cfg(not(target_os = "none"))]
extern crate std;

#[macro_use]
mod harness;

mod capacity;
#[allow(dead_code, reason = "it needs a part")]
mod common;
mod programs;

files! {
    0 left out on a target;
    capacity,
}
