//! Behaviour tests of the host-facing modules, on every tier and on targets: what an observer sees is the same everywhere.
#![no_std]
#![cfg_attr(target_os = "none", no_main)]
extern crate alloc;
#[cfg(not(target_os = "none"))]
extern crate std;

#[macro_use]
mod harness;

mod ambient;
mod clock;
mod common;
mod context;
mod error_context;
mod fixed_list;
mod ids;
mod interning;
mod reset;
mod seed_examples;
mod seed_trace;
mod signals;
mod task;
mod task_guests;
mod task_handles;
mod thread_locals;
mod threading;
mod until;
mod utf8;
mod waitable_set;
mod waitable_set_guests;
mod waitable_set_limits;
mod waitable_set_streams;
mod waitable_set_time;

files! {
    16 left out on a target;
    ambient, clock, context, error_context, fixed_list, ids, interning, reset, seed_examples, seed_trace, signals, task, task_guests, task_handles, thread_locals,
    threading, until, utf8, waitable_set, waitable_set_guests, waitable_set_limits, waitable_set_streams, waitable_set_time,
}
