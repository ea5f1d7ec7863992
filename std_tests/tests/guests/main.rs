//! Components written in Rust with wit-bindgen, from guests/: built here, and run on our crates as users would.

mod blocking;
mod build;
mod cancel;
mod command;
mod compose;
mod crowd;
mod deep;
mod failing;
mod host_cancel;
mod ledger;
mod logs;
mod streams;
mod ways;
