//! Async functions without `async fn`: they block in the middle of their code, and the host sets their whole stack aside.

wit_bindgen::generate!({
    path: ["../worker/wit", "wit"],
    world: "example:blocking/guest",
    generate_all,
    async: false,
});

mod waiting {
    wit_bindgen::generate!({
        path: ["../worker/wit", "wit"],
        world: "example:blocking/waiting",
        generate_all,
        type_section_suffix: "waiting",
    });
}

use example::worker::worker;
use exports::example::worker::worker::Guest as Worker;
use futures::future::join_all;
use wit_bindgen::{block_on, yield_blocking};

/// Blocks a few frames down the stack.
fn count_down(n: u32, crowd: u32, depth: u32) -> u64 {
    if depth == 0 {
        assert!(yield_blocking(), "nobody cancels it");
        return worker::work(n, crowd);
    }
    count_down(n, crowd, depth - 1)
}

struct Blocking;

impl Worker for Blocking {
    fn work(n: u32, crowd: u32) -> u64 {
        count_down(n, crowd, n % 10)
    }

    fn most_at_once() -> u32 {
        worker::most_at_once()
    }
}

impl Guest for Blocking {
    fn run(count: u32) -> (u64, u64) {
        let alone = (0..count).map(|n| count_down(0, 1, n % 8) + 1).sum();
        let together = join_all((0..count).map(|n| waiting::example::worker::worker::work(n, count)));
        (alone, block_on(async { together.await.into_iter().sum() }))
    }
}

export!(Blocking);
