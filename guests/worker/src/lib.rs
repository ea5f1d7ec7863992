//! Calls that overlap: each waits for others, and lets them run by yielding.

wit_bindgen::generate!({ path: "wit" });

use std::cell::Cell;

use exports::example::worker::worker::Guest;
use wit_bindgen::yield_async;

thread_local! {
    static STARTED: Cell<u32> = const { Cell::new(0) };
    static DONE: Cell<u32> = const { Cell::new(0) };
    static MOST: Cell<u32> = const { Cell::new(0) };
}

struct Worker;

impl Guest for Worker {
    async fn work(n: u32, crowd: u32) -> u64 {
        STARTED.set(STARTED.get() + 1);
        MOST.set(MOST.get().max(STARTED.get() - DONE.get()));
        // A crowd starts where the one before ended.
        let before = DONE.get() / crowd * crowd;
        while STARTED.get() < before + crowd || DONE.get() < before + (crowd - 1 - n) {
            yield_async().await;
        }
        DONE.set(DONE.get() + 1);
        u64::from(n) * u64::from(n)
    }

    fn most_at_once() -> u32 {
        MOST.get()
    }
}

export!(Worker);
