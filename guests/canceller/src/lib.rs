//! A dropped future is a cancelled call.

wit_bindgen::generate!({ path: ["../sleeper/wit", "wit"], world: "example:canceller/guest", generate_all });

use std::pin::pin;

use example::sleeper::sleeper;
use futures::future::{Either, join, join_all, select};
use futures::poll;
use wit_bindgen::{FutureWriter, yield_async};

/// A future that nobody resolves becomes this.
fn dream() -> (FutureWriter<String>, wit_bindgen::FutureReader<String>) {
    wit_future::new(|| "nothing".into())
}

struct Canceller;

impl Guest for Canceller {
    async fn every_second(count: u32) -> (Vec<String>, Vec<String>) {
        let (mut calls, mut writers) = (Vec::new(), Vec::new());
        for n in 0..count {
            let (writer, until) = dream();
            let mut call = Box::pin(sleeper::sleep(format!("{n}"), until));
            assert!(poll!(&mut call).is_pending());
            calls.push(call);
            writers.push(writer);
        }
        let mut odd = false;
        calls.retain(|_| {
            odd = !odd;
            odd
        });
        let mut told = Vec::new();
        for (n, writer) in writers.into_iter().enumerate() {
            // The reader of a sleeper that was cancelled has gone.
            let write = writer.write(format!("{n} sheep")).await;
            told.push(write.is_ok());
        }
        assert!(told.iter().enumerate().all(|(n, told)| *told == (n % 2 == 0)), "{told:?}");
        (join_all(calls).await, sleeper::diary())
    }

    async fn race() -> (String, Vec<String>) {
        let ((_hare, until_hare), (tortoise, until_tortoise)) = (dream(), dream());
        let hare = Box::pin(sleeper::sleep("the hare".into(), until_hare));
        let tortoise_call = Box::pin(sleeper::sleep("the tortoise".into(), until_tortoise));
        let wake = async {
            yield_async().await;
            tortoise.write("the goal".into()).await.expect("the tortoise listens");
        };
        let first = async {
            match select(hare, tortoise_call).await {
                Either::Left((answer, _)) | Either::Right((answer, _)) => answer,
            }
        };
        let ((), first) = join(wake, first).await;
        (first, sleeper::diary())
    }

    async fn doors() -> (Vec<String>, Vec<String>) {
        let mut answers = Vec::new();
        let ((early, until_early), (late, until_late), (other, until_other)) = (dream(), dream(), dream());

        sleeper::shut();
        let mut cancelled = Box::pin(sleeper::sleep("early".into(), until_early));
        let mut kept = Box::pin(sleeper::sleep("other".into(), until_other));
        assert!(poll!(&mut cancelled).is_pending() && poll!(&mut kept).is_pending());
        yield_async().await;
        // It never began, so its arguments come back, and are dropped.
        drop(cancelled);
        assert!(early.write("a door".into()).await.is_err(), "nobody has the other end");
        sleeper::open();
        // In this order, so that of a dropped join the call goes first: a writer that gives up writes its default, and waits until it is
        // read or its reader has gone.
        let (answer, told) = join(kept, other.write("open doors".into())).await;
        told.expect("it was let in");
        answers.push(answer);

        {
            let mut unseen = pin!(sleeper::sleep("late".into(), until_late));
            assert!(poll!(&mut unseen).is_pending());
            late.write("an answer that nobody hears".into()).await.expect("it sleeps");
            // Until it has ended.
            while !sleeper::diary().contains(&"late woke".into()) {
                yield_async().await;
            }
        }
        (answers, sleeper::diary())
    }

    async fn nightmare() -> String {
        let ((_calm, until_calm), (writer, until)) = (dream(), dream());
        let mut calm = Box::pin(sleeper::sleep("calm".into(), until_calm));
        assert!(poll!(&mut calm).is_pending());
        let (answer, _) =
            join(sleeper::sleep("restless".into(), until), writer.write("a nightmare".into())).await;
        answer
    }
}

export!(Canceller);
