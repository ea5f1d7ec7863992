//! An executor of a few lines, that says when a task of it was woken.

use crate::common::sync::Arc;
use crate::common::sync::Wake;
use crate::common::sync::{AtomicU32, SeqCst};
use alloc::boxed::Box;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// A task of an executor: whether it was woken.
pub struct Task<F> {
    future: Pin<Box<F>>,
    woken: Arc<Woken>,
}

#[derive(Default)]
pub struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(this: Arc<Self>) {
        this.0.fetch_add(1, SeqCst);
    }
}

impl<F: core::future::Future> Task<F> {
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), woken: Arc::default() }
    }

    /// Whether it was woken since this was asked last.
    pub fn is_woken(&self) -> bool {
        self.woken.0.swap(0, SeqCst) > 0
    }

    pub fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(self.woken.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Polls it: it is pending, and nobody polls it again before something happens.
    pub fn sleeps(&mut self) {
        self.is_woken();
        assert!(self.poll().is_pending());
        assert!(!self.is_woken(), "it woke itself");
    }

    /// It was woken, and is ready.
    pub fn ends(&mut self) -> F::Output {
        assert!(self.is_woken(), "it sleeps");
        let Poll::Ready(output) = self.poll() else { panic!("it is pending") };
        output
    }
}
