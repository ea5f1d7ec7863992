//! A device that calls take turns with.
//!
//! It is moved out while it is used, so that no lock is held then: not by a blocking transfer, and not while a future waits. The critical
//! sections move a pointer, and look through a queue that has its room from the start.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use critical_section::Mutex;

use crate::refused::{BUSY, Refused};

pub(crate) struct Slot<D> {
    state: Mutex<RefCell<State<D>>>,
    /// Who may be in the queue, with the one whose turn it is.
    most: usize,
}

struct State<D> {
    /// `None` while it is used.
    device: Option<Box<D>>,
    /// The first is the one whose turn it is.
    queue: VecDeque<Waiter>,
    tickets: u64,
}

struct Waiter {
    ticket: u64,
    /// `None` before it was polled.
    waker: Option<Waker>,
}

impl<D> Slot<D> {
    /// A device for which so many calls may wait while another uses it.
    pub fn new(device: D, waiting: u8) -> Arc<Self> {
        let most = usize::from(waiting).saturating_add(1);
        let queue = VecDeque::with_capacity(most);
        let state = State { device: Some(Box::new(device)), queue, tickets: 0 };
        Arc::new(Self { state: Mutex::new(RefCell::new(state)), most })
    }

    fn with<R>(&self, f: impl FnOnce(&mut State<D>) -> R) -> R {
        critical_section::with(|section| f(&mut self.state.borrow_ref_mut(section)))
    }

    /// The device, now or not at all.
    pub fn take(self: &Arc<Self>) -> Result<Lease<D>, Refused> {
        let device = self.with(|state| state.device.take());
        let device = Some(device.ok_or(BUSY)?);
        Ok(Lease { place: Place { slot: self.clone(), ticket: None }, device })
    }

    /// A place in the queue.
    pub fn enter(self: &Arc<Self>) -> Result<Place<D>, Refused> {
        let ticket = self.with(|state| {
            if state.queue.len() >= self.most {
                return None;
            }
            let ticket = state.tickets;
            state.tickets = ticket.wrapping_add(1);
            state.queue.push_back(Waiter { ticket, waker: None });
            Some(ticket)
        });
        let ticket = Some(ticket.ok_or(BUSY)?);
        Ok(Place { slot: self.clone(), ticket })
    }

    /// Ends a turn, or the wait for one: whose turn it is then, is told.
    fn leave(&self, ticket: Option<u64>, device: Option<Box<D>>) {
        let (left, next) = self.with(|state| {
            if device.is_some() {
                state.device = device;
            }
            let at = state.queue.iter().position(|waiter| Some(waiter.ticket) == ticket);
            let left = at.and_then(|at| state.queue.remove(at));
            let next = state.queue.front().filter(|_| state.device.is_some());
            (left, next.and_then(|waiter| waiter.waker.clone()))
        });
        // What it frees is freed outside of the critical section.
        drop(left);
        if let Some(next) = next {
            next.wake();
        }
    }
}

/// A place in the queue for a device, until it is dropped; as a future, its turn.
pub(crate) struct Place<D> {
    slot: Arc<Slot<D>>,
    /// `None`: it has become a [`Lease`], or never was in the queue.
    ticket: Option<u64>,
}

impl<D> Future for Place<D> {
    type Output = Lease<D>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Lease<D>> {
        let this = self.get_mut();
        let mut waker = Some(context.waker().clone());
        let device = this.slot.with(|state| {
            let at = state.queue.iter().position(|waiter| Some(waiter.ticket) == this.ticket)?;
            if at == 0 && state.device.is_some() {
                return state.device.take();
            }
            core::mem::swap(&mut state.queue.get_mut(at)?.waker, &mut waker);
            None
        });
        match device {
            None => Poll::Pending,
            device => {
                let place = Place { slot: this.slot.clone(), ticket: this.ticket.take() };
                Poll::Ready(Lease { place, device })
            }
        }
    }
}

impl<D> Drop for Place<D> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.slot.leave(Some(ticket), None);
        }
    }
}

/// A device, until it is dropped.
pub(crate) struct Lease<D> {
    place: Place<D>,
    device: Option<Box<D>>,
}

impl<D> Lease<D> {
    /// The device.
    ///
    /// # Errors
    /// None: it is there until the lease is dropped.
    pub fn device(&mut self) -> Result<&mut D, Refused> {
        self.device.as_deref_mut().ok_or(BUSY)
    }
}

impl<D> Drop for Lease<D> {
    fn drop(&mut self) {
        self.place.slot.leave(self.place.ticket.take(), self.device.take());
    }
}
