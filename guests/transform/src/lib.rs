//! A stream transformer: returns the readable end at once, and goes on to fill it in a spawned task.

wit_bindgen::generate!({ path: "wit" });

use exports::example::transform::bytes::Guest;
use wit_bindgen::{StreamReader, StreamResult, spawn_local};

/// How many bytes are read at once at most.
const CHUNK: usize = 64;

struct Transform;

impl Guest for Transform {
    async fn upper(mut input: StreamReader<u8>) -> StreamReader<u8> {
        let (mut output, result) = wit_stream::new();
        spawn_local(async move {
            let mut chunk = Vec::with_capacity(CHUNK);
            loop {
                let status;
                (status, chunk) = input.read(chunk).await;
                if status == StreamResult::Dropped {
                    break;
                }
                chunk.make_ascii_uppercase();
                // Waits until all is read; gives back what nobody will read.
                chunk = output.write_all(chunk).await;
                if !chunk.is_empty() {
                    break;
                }
            }
        });
        result
    }
}

export!(Transform);
