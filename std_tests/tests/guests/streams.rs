//! guests/transform and guests/feed.

use canon_async_wasmi::Val;

use crate::ways::{Program, string};

fn program() -> Program {
    Program::new(&["transform", "feed"])
}

#[test]
fn a_stream_is_transformed_whatever_the_size_of_its_pieces() {
    let text = "Streams carry values while both ends still run; nobody has to hold them all. ".repeat(4);
    program().in_every_way(|running| {
        for chunk in [1, 7, 64, 65, 1000] {
            let result = running.call("run", &[string(&text), Val::U32(chunk)]);
            let Val::Tuple(fields) = result else { panic!("{result:?}") };
            assert_eq!(fields[0], string(&text.to_ascii_uppercase()), "in pieces of {chunk}");
            // The transformer holds a chunk of 64 bytes, and the writer waits with its piece until it is taken.
            let Val::U32(most) = fields[1] else { panic!("{fields:?}") };
            assert!(most <= 64 + chunk.min(64), "{most} bytes on their way in pieces of {chunk}");
        }
    });
}

#[test]
fn an_empty_stream_ends() {
    program().in_every_way(|running| {
        let result = running.call("run", &[string(""), Val::U32(10)]);
        assert_eq!(result, Val::Tuple(vec![string(""), Val::U32(0)]));
    });
}

/// The writer of an endless text learns through the transformer that nobody reads any more.
#[test]
fn a_reader_that_goes_stops_the_writer_behind_the_transformer() {
    program().in_every_way(|running| {
        let result = running.call("head", &[string("and so on, "), Val::U32(100)]);
        let Val::Tuple(fields) = result else { panic!("{result:?}") };
        assert_eq!(fields[0], string(&"AND SO ON, ".repeat(10)[..100]));
        // What was read, and at most what the transformer holds.
        let Val::U32(taken) = fields[1] else { panic!("{fields:?}") };
        assert!((100..=100 + 2 * 64).contains(&taken), "{taken}");
    });
}

#[test]
fn many_bytes_pass_in_order() {
    program().in_some_ways(|running| {
        let result = running.call("flood", &[Val::U32(20_000)]);
        assert_eq!(result, Val::Tuple(vec![Val::U32(20_000), Val::U32(20_000)]));
    });
}
