//! The cells that the ambient state is in: one for each thread of the operating system, or one for all.

use crate::error::Error;
#[cfg(feature = "std")]
pub(crate) use std::thread::LocalKey;

const IN_USE: Error = Error::Misuse("the ambient store is in use: it is being driven, or by another thread");

/// With `std`: a cell of each thread.
#[cfg(feature = "std")]
pub(crate) struct Cell<T: 'static>(pub &'static LocalKey<core::cell::RefCell<T>>);

#[cfg(feature = "std")]
impl<T> Cell<T> {
    /// Runs `f` with what is in the cell.
    ///
    /// # Errors
    /// `Misuse` where it is in use, or the thread is ending.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, Error> {
        const ENDING: Error = Error::Misuse("the ambient store is gone: its thread is ending");
        let result = self.0.try_with(|cell| Ok(f(&mut *cell.try_borrow_mut().map_err(|_| IN_USE)?)));
        result.unwrap_or(Err(ENDING))
    }
}

/// Without `std`: one cell, that whoever comes first has until it is done. Nobody spins: that would hang where an interrupt
/// handler meets what it interrupted.
#[cfg(not(feature = "std"))]
pub(crate) struct Cell<T>(pub spin::mutex::SpinMutex<T>);

#[cfg(not(feature = "std"))]
impl<T> Cell<T> {
    /// Runs `f` with what is in the cell.
    ///
    /// # Errors
    /// `Misuse` where it is in use.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, Error> {
        Ok(f(&mut *self.0.try_lock().ok_or(IN_USE)?))
    }
}

/// Defines a cell: `cell!(NAME: T = const);`.
macro_rules! cell {
    ($(#[$doc:meta])* $name:ident: $ty:ty = $value:expr) => {
        #[cfg(feature = "std")]
        $(#[$doc])*
        static $name: $crate::storage::cell::Cell<$ty> = {
            std::thread_local! {
                static HERE: core::cell::RefCell<$ty> = const { core::cell::RefCell::new($value) };
            }
            $crate::storage::cell::Cell(&HERE)
        };
        #[cfg(not(feature = "std"))]
        $(#[$doc])*
        static $name: $crate::storage::cell::Cell<$ty> =
            $crate::storage::cell::Cell(spin::mutex::SpinMutex::new($value));
    };
}
pub(crate) use cell;
