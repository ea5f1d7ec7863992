//! Bytes in, records out.

wit_bindgen::generate!({ path: "wit" });

use exports::example::parser::parser::{Entry, Guest};
use exports::example::parser::types::{Body, Level, Marks};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

/// Splits the first word off.
fn word<'a>(rest: &mut &'a str) -> &'a str {
    let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
    *rest = after;
    word
}

fn parse_line(line: &str) -> Result<Entry, String> {
    let bad = |what: &str| format!("{what} in \"{line}\"");
    let mut rest = line;
    let at = match word(&mut rest) {
        "-" => None,
        at => Some(at.parse().map_err(|_| bad("no time"))?),
    };
    let level = match word(&mut rest) {
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warning" => Level::Warning,
        "error" => Level::Error,
        _ => return Err(bad("no level")),
    };
    let mut marks = Marks::empty();
    for mark in word(&mut rest).split(',').filter(|&mark| mark != "-") {
        marks |= match mark {
            "urgent" => Marks::URGENT,
            "audit" => Marks::AUDIT,
            "retried" => Marks::RETRIED,
            _ => return Err(bad("no mark")),
        };
    }
    let body = match word(&mut rest) {
        "" => Body::Empty,
        "text" => Body::Text(rest.into()),
        "numbers" => {
            let numbers = rest.split(' ').map(|number| number.parse().map_err(|_| bad("no number")));
            Body::Numbers(numbers.collect::<Result<_, _>>()?)
        }
        "span" => Body::Span((word(&mut rest).into(), rest.parse().map_err(|_| bad("no duration"))?)),
        _ => return Err(bad("no body")),
    };
    Ok(Entry { at, level, marks, body })
}

/// Reads lines until the text ends, or one is bad, or nobody takes the entries.
async fn entries(mut text: StreamReader<u8>, mut to: StreamWriter<Entry>) -> Result<u32, String> {
    let (mut bytes, mut count) = (Vec::new(), 0);
    loop {
        bytes.reserve(64);
        let status;
        (status, bytes) = text.read(bytes).await;
        let end = status == StreamResult::Dropped;
        if end && !bytes.is_empty() {
            bytes.push(b'\n');
        }
        while let Some(at) = bytes.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = bytes.drain(..=at).collect();
            let line = str::from_utf8(&line[..at]).map_err(|_| "no UTF-8")?;
            if to.write_one(parse_line(line)?).await.is_some() {
                return Ok(count);
            }
            count += 1;
        }
        if end {
            return Ok(count);
        }
    }
}

struct Parser;

impl Guest for Parser {
    fn parse_line(line: String) -> Result<Entry, String> {
        parse_line(&line)
    }

    async fn parse(text: StreamReader<u8>) -> (StreamReader<Entry>, FutureReader<Result<u32, String>>) {
        let (to, parsed) = wit_stream::new();
        let (outcome, count) = wit_future::new(|| Err("the parser stopped".into()));
        spawn_local(async move {
            let result = entries(text, to).await;
            // Nobody may want to know.
            let _ = outcome.write(result).await;
        });
        (parsed, count)
    }
}

export!(Parser);
