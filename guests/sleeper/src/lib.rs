//! A callee that notices that it is cancelled: the future of its call is dropped.

wit_bindgen::generate!({ path: "wit" });

use std::cell::RefCell;

use exports::example::sleeper::sleeper::Guest;
use wit_bindgen::{FutureReader, backpressure_dec, backpressure_inc};

thread_local! {
    static DIARY: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn note(text: String) {
    DIARY.with_borrow_mut(|diary| diary.push(text));
}

/// Notes what became of a sleep, however it ends.
struct Sleep {
    name: String,
    slept: bool,
}

impl Drop for Sleep {
    fn drop(&mut self) {
        note(format!("{} {}", self.name, if self.slept { "woke" } else { "was cancelled" }));
    }
}

struct Sleeper;

impl Guest for Sleeper {
    async fn sleep(name: String, until: FutureReader<String>) -> String {
        note(format!("{name} fell asleep"));
        let mut sleep = Sleep { name, slept: false };
        let dream = until.await;
        assert_ne!(dream, "a nightmare");
        sleep.slept = true;
        format!("{} dreamt of {dream}", sleep.name)
    }

    fn shut() {
        backpressure_inc();
    }

    fn open() {
        backpressure_dec();
    }

    fn diary() -> Vec<String> {
        DIARY.with_borrow(Vec::clone)
    }
}

export!(Sleeper);
