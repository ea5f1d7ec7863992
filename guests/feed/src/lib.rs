//! Writes to a transformer and reads from it, both at once.

wit_bindgen::generate!({ path: ["../transform/wit", "wit"], world: "example:feed/guest", generate_all });

use std::cell::Cell;

use example::transform::bytes::upper;
use futures::future::join;
use wit_bindgen::StreamResult;

struct Feed;

impl Guest for Feed {
    async fn run(text: String, chunk: u32) -> (String, u32) {
        let (mut writer, input) = wit_stream::new();
        let (sent, most) = (Cell::new(0), Cell::new(0));
        let write = async {
            for piece in text.as_bytes().chunks(chunk.max(1) as usize) {
                let left = writer.write_all(piece.to_vec()).await;
                assert!(left.is_empty(), "the transformer reads all");
                sent.set(sent.get() + piece.len());
            }
            drop(writer);
        };
        let read = async {
            let mut output = upper(input).await;
            let mut bytes = Vec::new();
            loop {
                most.set(most.get().max(sent.get().saturating_sub(bytes.len())));
                bytes.reserve(16);
                let status;
                (status, bytes) = output.read(bytes).await;
                if status == StreamResult::Dropped {
                    break bytes;
                }
            }
        };
        let ((), bytes) = join(write, read).await;
        (String::from_utf8(bytes).expect("ASCII upper case keeps UTF-8"), most.get() as u32)
    }

    async fn head(text: String, length: u32) -> (String, u32) {
        let (mut writer, input) = wit_stream::new();
        let write = async {
            let mut taken = 0;
            loop {
                let left = writer.write_all(text.clone().into_bytes()).await;
                taken += text.len() - left.len();
                if !left.is_empty() {
                    break taken;
                }
            }
        };
        let read = async {
            let mut output = upper(input).await;
            let mut bytes = Vec::new();
            for _ in 0..length {
                bytes.push(output.next().await.expect("the text is endless"));
            }
            bytes
        };
        let (taken, bytes) = join(write, read).await;
        (String::from_utf8(bytes).expect("a piece of ASCII text"), taken as u32)
    }

    async fn flood(length: u32) -> (u32, u32) {
        let byte = |n: u32| n as u8;
        let (mut writer, input) = wit_stream::new();
        let write = async move {
            for start in (0..length).step_by(4096) {
                let piece = (start..length.min(start + 4096)).map(byte).collect();
                assert!(writer.write_all(piece).await.is_empty(), "the transformer reads all");
            }
        };
        let read = async { upper(input).await.collect().await };
        let ((), bytes) = join(write, read).await;
        let right = bytes.iter().zip(0..).filter(|&(&b, n)| b == byte(n).to_ascii_uppercase());
        (bytes.len() as u32, right.count() as u32)
    }
}

export!(Feed);
