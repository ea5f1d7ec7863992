//! Calls that overlap and wake each other: a task of this component waits for another one by nothing but a Rust waker. That
//! takes the feature `inter-task-wakeup` of wit-bindgen.

wit_bindgen::generate!({ path: ["../worker/wit", "wit"], world: "example:chain/guest", generate_all });

use std::cell::{Cell, RefCell};

use exports::example::worker::worker::Guest;
use futures::channel::oneshot::{Sender, channel};

thread_local! {
    /// Who waits, by `n`.
    static WAITING: RefCell<Vec<Option<Sender<()>>>> = const { RefCell::new(Vec::new()) };
    static IN_FLIGHT: Cell<u32> = const { Cell::new(0) };
    static MOST: Cell<u32> = const { Cell::new(0) };
}

/// Lets the call with this `n` go on.
fn wake(n: u32) {
    let sender = WAITING.with_borrow_mut(|waiting| waiting.get_mut(n as usize).and_then(Option::take));
    sender.expect("it waits").send(()).expect("nobody cancels it");
}

struct Chain;

impl Guest for Chain {
    async fn work(n: u32, crowd: u32) -> u64 {
        IN_FLIGHT.set(IN_FLIGHT.get() + 1);
        MOST.set(MOST.get().max(IN_FLIGHT.get()));
        let (sender, turn) = channel();
        WAITING.with_borrow_mut(|waiting| {
            waiting.resize_with(waiting.len().max(n as usize + 1), || None);
            waiting[n as usize] = Some(sender);
        });
        if IN_FLIGHT.get() == crowd {
            wake(crowd - 1);
        }
        turn.await.expect("the one before wakes it");
        IN_FLIGHT.set(IN_FLIGHT.get() - 1);
        if let Some(next) = n.checked_sub(1) {
            wake(next);
        }
        u64::from(n) * u64::from(n)
    }

    fn most_at_once() -> u32 {
        MOST.get()
    }
}

export!(Chain);
