//! Passes calls on, and their cancellation with them.

wit_bindgen::generate!({ path: ["../sleeper/wit", "wit"], world: "example:proxy/guest", generate_all });

use example::sleeper::sleeper;
use exports::example::sleeper::sleeper::Guest;
use wit_bindgen::FutureReader;

struct Proxy;

impl Guest for Proxy {
    async fn sleep(name: String, until: FutureReader<String>) -> String {
        sleeper::sleep(name, until).await
    }

    fn shut() {
        sleeper::shut();
    }

    fn open() {
        sleeper::open();
    }

    fn diary() -> Vec<String> {
        sleeper::diary()
    }
}

export!(Proxy);
