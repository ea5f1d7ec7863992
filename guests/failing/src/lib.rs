//! A guest with a mistake in it: what the host says of its panic.

wit_bindgen::generate!({ path: "wit" });

use exports::example::failing::sums::Guest;

struct Failing;

impl Guest for Failing {
    fn sum(text: String) -> u32 {
        text.split(',').map(number).sum()
    }
}

#[inline(never)]
fn number(text: &str) -> u32 {
    text.trim().parse().expect("a number")
}

export!(Failing);
