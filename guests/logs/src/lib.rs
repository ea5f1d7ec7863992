//! A small program: several logs at once through a parser and a collector, each a component of its own.

wit_bindgen::generate!({
    path: ["../parser/wit", "../collector/wit", "wit"],
    world: "example:logs/guest",
    generate_all,
});

use example::collector::collector::collect;
use example::parser::parser::parse;
use futures::future::{join_all, join3};

/// Writes the log, has it parsed and collected, and makes a report, all at once.
async fn report(log: String) -> (String, u32) {
    let (mut writer, text) = wit_stream::new();
    let write = async move {
        for piece in log.into_bytes().chunks(50) {
            if !writer.write_all(piece.to_vec()).await.is_empty() {
                return "the parser gave up; ";
            }
        }
        ""
    };
    let (entries, count) = parse(text).await;
    let (written, summary, count) = join3(write, collect(entries), count.into_future()).await;
    let count = match count {
        Ok(count) => format!("{count} lines"),
        Err(error) => error,
    };
    let levels: Vec<String> =
        summary.levels.iter().map(|(level, count)| format!("{level:?} {count}")).collect();
    let line = format!(
        "{written}{count}; {} entries ({}), times {:?}, {:?}, \"{}\", sum {}",
        summary.total,
        levels.join(", "),
        summary.times,
        summary.marks,
        summary.longest,
        summary.sum
    );
    (line, summary.after)
}

struct Logs;

impl Guest for Logs {
    async fn run(logs: Vec<String>) -> (Vec<String>, Vec<u32>) {
        let (lines, mut after): (_, Vec<u32>) =
            join_all(logs.into_iter().map(report)).await.into_iter().unzip();
        after.sort();
        (lines, after)
    }
}

export!(Logs);
