//! Many calls of another component at once.

wit_bindgen::generate!({ path: ["../worker/wit", "wit"], world: "example:crowd/guest", generate_all });

use example::worker::worker::{most_at_once, work};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;

struct Crowd;

impl Guest for Crowd {
    async fn run(count: u32) -> (Vec<u32>, u64, u32) {
        let mut calls: FuturesUnordered<_> = (0..count).map(async |n| (n, work(n, count).await)).collect();
        let (mut order, mut sum) = (Vec::new(), 0);
        while let Some((n, square)) = calls.next().await {
            order.push(n);
            sum += square;
        }
        (order, sum, most_at_once())
    }

    async fn squares(count: u32) -> Vec<u64> {
        join_all((0..count).map(|n| work(n, count))).await
    }
}

export!(Crowd);
