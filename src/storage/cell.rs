//! The cells that the ambient state is in: one for each thread of the operating system, or one for all.

use crate::error::Error;
#[cfg(feature = "std")]
pub(crate) use std::thread::LocalKey;

const IN_USE: Error = Error::Misuse("the ambient store is in use: it is being driven, or by another thread");

#[cfg(feature = "std")]
pub(crate) const ENDING: Error = Error::Misuse("the ambient store is gone: its thread is ending");

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

/// `Send` where the ambient state is one for all threads, and nothing where each has its own.
#[cfg(feature = "std")]
pub trait MaybeSend {}
#[cfg(feature = "std")]
impl<T: ?Sized> MaybeSend for T {}

/// `Send` where the ambient state is one for all threads, and nothing where each has its own.
#[cfg(not(feature = "std"))]
pub trait MaybeSend: Send {}
#[cfg(not(feature = "std"))]
impl<T: Send + ?Sized> MaybeSend for T {}

/// Somebody else's, for good: in a static, or with a heap in a `Box`.
pub(crate) enum Owned<T: ?Sized + 'static> {
    Static(&'static mut T),
    #[cfg(feature = "alloc")]
    Boxed(alloc::boxed::Box<T>),
}

impl<T: ?Sized> Owned<T> {
    pub(crate) fn get_mut(&mut self) -> &mut T {
        match self {
            Self::Static(owned) => owned,
            #[cfg(feature = "alloc")]
            Self::Boxed(owned) => owned,
        }
    }
}

/// What others reach, too, than whoever has the ambient store: interrupts, or other threads of the operating system.
pub(crate) struct Shared<T: 'static>(
    #[cfg(feature = "std")] pub std::sync::Arc<T>,
    #[cfg(not(feature = "std"))] pub &'static T,
);

impl<T> Shared<T> {
    /// Whether both are one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        core::ptr::eq::<T>(&**self, &**other)
    }
}

impl<T> Clone for Shared<T> {
    #[allow(noop_method_call, reason = "with `std` it is none")]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> core::ops::Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        let Self(shared) = self;
        shared
    }
}

/// Defines what is there once for each ambient store, and shared: `shared!(fn name() -> T = const);`.
macro_rules! shared {
    ($(#[$doc:meta])* $vis:vis fn $name:ident() -> $ty:ty = $value:expr) => {
        $(#[$doc])*
        $vis fn $name() -> Result<$crate::storage::cell::Shared<$ty>, $crate::error::Error> {
            #[cfg(feature = "std")]
            {
                std::thread_local! {
                    static HERE: $crate::storage::cell::Shared<$ty> =
                        $crate::storage::cell::Shared(std::sync::Arc::new($value));
                }
                HERE.try_with(Clone::clone).map_err(|_| $crate::storage::cell::ENDING)
            }
            #[cfg(not(feature = "std"))]
            {
                static HERE: $ty = $value;
                Ok($crate::storage::cell::Shared(&HERE))
            }
        }
    };
}
pub(crate) use shared;
