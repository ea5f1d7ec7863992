//! A slow reader, which lets nobody in while it is busy.

wit_bindgen::generate!({ path: ["../parser/wit", "wit"], world: "example:collector/guest", generate_all });

use std::cell::Cell;

use example::parser::types::{Body, Entry, Level, Marks};
use exports::example::collector::collector::{Guest, Summary};
use wit_bindgen::{StreamReader, StreamResult, backpressure_dec, backpressure_inc, yield_async};

thread_local! {
    static ENDED: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, new calls wait.
struct Busy;

impl Busy {
    fn new() -> Self {
        backpressure_inc();
        Self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        ENDED.set(ENDED.get() + 1);
        backpressure_dec();
    }
}

fn add(summary: &mut Summary, entry: Entry) {
    summary.total += 1;
    match summary.levels.iter_mut().find(|(level, _)| *level == entry.level) {
        Some((_, count)) => *count += 1,
        None => summary.levels.push((entry.level, 1)),
    }
    if let Some(at) = entry.at {
        let (first, last) = summary.times.unwrap_or((at, at));
        summary.times = Some((first.min(at), last.max(at)));
    }
    summary.marks |= entry.marks;
    match entry.body {
        Body::Empty => {}
        Body::Text(text) if text.len() > summary.longest.len() => summary.longest = text,
        Body::Text(_) => {}
        Body::Numbers(numbers) => summary.sum += numbers.into_iter().map(i64::from).sum::<i64>(),
        Body::Span((_, duration)) => summary.sum += duration as i64,
    }
}

struct Collector;

impl Guest for Collector {
    async fn collect(mut entries: StreamReader<Entry>) -> Summary {
        let _busy = Busy::new();
        let mut summary = Summary {
            total: 0,
            levels: Vec::new(),
            times: None,
            marks: Marks::empty(),
            longest: String::new(),
            sum: 0,
            after: ENDED.get(),
        };
        loop {
            let (status, some) = entries.read(Vec::with_capacity(3)).await;
            some.into_iter().for_each(|entry| add(&mut summary, entry));
            if status == StreamResult::Dropped {
                break;
            }
            for _ in 0..3 {
                yield_async().await;
            }
        }
        let rank = |level: &Level| *level as u32;
        summary.levels.sort_by_key(|(level, _)| rank(level));
        summary
    }
}

export!(Collector);
