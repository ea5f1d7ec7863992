//! A resource with async methods; futures of results, and streams of resources.

wit_bindgen::generate!({ path: "wit" });

use std::cell::Cell;

use exports::example::ledger::ledger::{Account, AccountBorrow, Failure, Guest, GuestAccount};
use wit_bindgen::{FutureReader, StreamReader, spawn_local, yield_async};

thread_local! {
    static OPEN: Cell<u32> = const { Cell::new(0) };
}

struct Book {
    owner: String,
    balance: Cell<u64>,
}

impl Book {
    fn open(owner: String, balance: u64) -> Self {
        OPEN.set(OPEN.get() + 1);
        Self { owner, balance: balance.into() }
    }

    fn add(&self, amount: u64) -> u64 {
        self.balance.set(self.balance.get() + amount);
        self.balance.get()
    }

    fn take(&self, amount: u64) -> Result<u64, Failure> {
        let balance = self.balance.get();
        let rest = balance.checked_sub(amount).ok_or(Failure::Short(balance))?;
        self.balance.set(rest);
        Ok(rest)
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        OPEN.set(OPEN.get() - 1);
    }
}

impl GuestAccount for Book {
    fn new(owner: String) -> Self {
        Self::open(owner, 0)
    }

    fn owner(&self) -> String {
        self.owner.clone()
    }

    fn balance(&self) -> u64 {
        self.balance.get()
    }

    async fn deposit(&self, amount: u64) -> u64 {
        yield_async().await;
        self.add(amount)
    }

    async fn withdraw(&self, amount: u64) -> Result<u64, Failure> {
        yield_async().await;
        self.take(amount)
    }

    async fn merge(a: Account, b: Account) -> Account {
        yield_async().await;
        let (a, b) = (a.into_inner::<Book>(), b.into_inner::<Book>());
        Account::new(Book::open(format!("{} and {}", a.owner, b.owner), a.balance.get() + b.balance.get()))
    }

    fn count() -> u32 {
        OPEN.get()
    }
}

struct Ledger;

impl Guest for Ledger {
    type Account = Book;

    async fn transfer(from: AccountBorrow<'_>, to: AccountBorrow<'_>, amount: u64) -> Result<(), Failure> {
        let (from, to) = (from.get::<Book>(), to.get::<Book>());
        if std::ptr::eq(from, to) {
            return Err(Failure::Refused(format!("{} to {}", from.owner, to.owner)));
        }
        for _ in 0..amount {
            from.take(1)?;
            yield_async().await;
            to.add(1);
        }
        Ok(())
    }

    fn close(account: Account) -> u64 {
        account.into_inner::<Book>().balance.get()
    }

    async fn forecast(account: AccountBorrow<'_>, years: u32) -> FutureReader<Result<u64, String>> {
        let (writer, forecast) = wit_future::new(|| Err("nobody knows".into()));
        let balance = account.get::<Book>().balance.get();
        // A writer that is dropped writes the value above.
        if balance > 0 {
            let value =
                if years > 50 { Err(format!("{years} years are too many")) } else { Ok(balance << years) };
            spawn_local(async move {
                yield_async().await;
                // The reader may have gone.
                let _ = writer.write(value).await;
            });
        }
        forecast
    }

    async fn open_many(owners: Vec<String>) -> StreamReader<Account> {
        let (mut writer, accounts) = wit_stream::new();
        spawn_local(async move {
            for owner in owners {
                if writer.write_one(Account::new(Book::open(owner, 1))).await.is_some() {
                    break;
                }
            }
        });
        accounts
    }
}

export!(Ledger);
