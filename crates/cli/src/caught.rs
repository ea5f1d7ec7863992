//! Panics of libraries that read components: an error, and no message of a panic on the terminal.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// While a library runs on this thread: what its panic said.
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs something that may panic on a component that it does not expect, and changes nothing outside of it.
///
/// # Errors
/// What its panic says.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    silence();
    MESSAGE.set(Some(String::new()));
    let done = panic::catch_unwind(AssertUnwindSafe(run));
    let message = MESSAGE.take().unwrap_or_default();
    done.map_err(|_| message)
}

/// What a panic's payload says, if it is a text.
fn text(payload: &dyn Any) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// From now on a panic inside of [`caught`] prints nothing.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = MESSAGE.with_borrow_mut(|message| match message {
                Some(message) => {
                    *message = text(info.payload()).unwrap_or("panic").into();
                    true
                }
                None => false,
            });
            if !ours {
                before(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::caught;

    #[test]
    fn panic_of_a_library_is_an_error_with_its_message() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| -> u32 { panic!("not {}", 7) }), Err("not 7".into()));
        assert_eq!(caught(|| 8), Ok(8));
    }
}
