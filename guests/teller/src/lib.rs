//! Holds resources of another component, lends them to calls, gives them away.

wit_bindgen::generate!({ path: ["../ledger/wit", "wit"], world: "example:teller/guest", generate_all });

use example::ledger::ledger::{Account, close, forecast, open_many, transfer};
use futures::future::{join, join_all};

struct Teller;

impl Guest for Teller {
    async fn accounts() -> Vec<String> {
        let mut lines = Vec::new();
        let (ann, bob) = (Account::new("Ann"), Account::new("Bob"));
        // Two methods of one resource at once.
        join(ann.deposit(30), ann.deposit(12)).await;
        bob.deposit(7).await;
        lines.push(format!("{} has {}, {} has {}", ann.owner(), ann.balance(), bob.owner(), bob.balance()));
        lines.push(format!("to Bob: {:?}", transfer(&ann, &bob, 2).await));
        lines.push(format!("to Ann: {:?}", transfer(&bob, &ann, 10).await));
        lines.push(format!("to herself: {:?}", transfer(&ann, &ann, 3).await));
        bob.deposit(20).await;
        // There and back at once: both are lent to both calls.
        let both = join(transfer(&ann, &bob, 10), transfer(&bob, &ann, 5)).await;
        lines.push(format!("both ways: {both:?}"));
        lines.push(format!("withdraw: {:?}, {:?}", ann.withdraw(5).await, bob.withdraw(6).await));
        lines.push(format!("open: {}", Account::count()));
        let both = Account::merge(ann, bob).await;
        lines.push(format!("{} have {}", both.owner(), both.balance()));
        lines.push(format!("open: {}", Account::count()));
        lines.push(format!("closed with {}", close(both)));
        lines.push(format!("open: {}", Account::count()));
        lines
    }

    async fn forecasts() -> Vec<String> {
        let (rich, poor) = (Account::new("Rich"), Account::new("Poor"));
        rich.deposit(3).await;
        let forecasts = [(&rich, 4), (&rich, 51), (&poor, 1)];
        let told =
            join_all(forecasts.map(async |(account, years)| forecast(account, years).await.await)).await;
        // One that nobody reads.
        drop(forecast(&rich, 5).await);
        told.iter().map(|forecast| format!("{forecast:?}")).collect()
    }

    async fn many(count: u32) -> Vec<String> {
        let owners: Vec<String> = (0..count).map(|n| format!("owner {n}")).collect();
        let mut accounts = open_many(owners).await;
        let mut lines = Vec::new();
        let mut first = accounts.next().await.expect("an account");
        while let Some(next) = accounts.next().await {
            let number = lines.len() as u64;
            if number.is_multiple_of(2) {
                first.deposit(number).await;
                first = Account::merge(first, next).await;
            }
            lines.push(format!("{}", first.balance()));
            if lines.len() == 8 {
                break;
            }
        }
        lines.push(first.owner());
        drop(first);
        drop(accounts);
        lines
    }
}

export!(Teller);
