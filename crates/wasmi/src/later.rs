//! Host functions that answer later: their futures, and who is told that one can go on.
//!
//! Each future has a waker of its own, which names its thread: a wake costs O(1), however many are under way, and may
//! come from another thread or an interrupt.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
#[cfg(feature = "std")]
use alloc::string::String;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
#[cfg(feature = "std")]
use core::time::Duration;

use canon_async::id::{TaskId, ThreadId};
use canon_async::{Embedding as _, Error as CoreError};
use canon_async_component::{HostSig, Val};
use critical_section::Mutex;

use crate::continuation::Parked;
use crate::embedding::Wx;
use crate::error::Error;

/// What a host function answers in the end.
pub(crate) type Answer = Result<Option<Val>, Error>;
/// What it waits for until then.
pub(crate) type LaterFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A host function's call that is under way, kept under its thread's id.
pub(crate) struct Later {
    pub future: LaterFuture,
    pub waker: Alive,
    pub due: Due,
}

/// What is needed once there is an answer.
pub(crate) struct Due {
    pub sig: Arc<HostSig>,
    /// What the function borrowed, for its task: handles that go back when it answers.
    pub borrowed: Vec<u32>,
    pub task: Option<TaskId>,
}

/// Threads whose futures may go on, and who drives the store.
pub(crate) struct Wakeups(Mutex<RefCell<Queue>>);

struct Queue {
    /// Has room for every future there is, beside those that are gone and stand here still, so that nothing is allocated
    /// where an interrupt may wake.
    threads: VecDeque<ThreadId>,
    driver: Option<Waker>,
}

impl fmt::Debug for Wakeups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wakeups")
    }
}

impl Default for Wakeups {
    fn default() -> Self {
        Self(Mutex::new(RefCell::new(Queue { threads: VecDeque::new(), driver: None })))
    }
}

impl Wakeups {
    fn with<R>(&self, f: impl FnOnce(&mut Queue) -> R) -> R {
        critical_section::with(|section| f(&mut self.0.borrow_ref_mut(section)))
    }

    /// Wakes whoever waits for host functions, if anybody does.
    pub fn wake_driver(&self) {
        let driver = self.with(|queue| queue.driver.take());
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Room for so many futures. What is allocated and freed is outside of the critical section.
    fn reserve(&self, futures: usize) {
        let (room, queued) = self.with(|queue| (queue.threads.capacity(), queue.threads.len()));
        // Those that are queued may be of futures that are gone, and whoever wakes until the swap is of one that is not.
        let needed = futures.saturating_add(queued);
        if room >= needed {
            return;
        }
        let mut larger = VecDeque::with_capacity(needed.saturating_mul(2).max(4));
        self.with(|queue| {
            larger.extend(queue.threads.drain(..));
            core::mem::swap(&mut queue.threads, &mut larger);
        });
    }
}

/// The waker of one future.
pub(crate) struct Woken {
    thread: ThreadId,
    /// Its thread stands in the queue.
    queued: AtomicBool,
    wakeups: Arc<Wakeups>,
}

/// The waker of a future that is there. Afterwards it wakes nobody: whoever kept it would fill the queue.
pub(crate) struct Alive(Arc<Woken>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.queued.store(true, Ordering::Release);
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let driver = self.wakeups.with(|queue| {
            queue.threads.push_back(self.thread);
            queue.driver.take()
        });
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

/// Runs the host's code. A panic of it becomes an error: none gets through frames of wasm, and a store would wait for a future that has
/// panicked.
#[cfg(feature = "std")]
pub(crate) fn guarded<R>(code: impl FnOnce() -> R) -> Result<R, Error> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Error::host(format_args!("the host function panicked: {}", text.unwrap_or("no text")))
    })
}

/// Runs the host's code.
#[cfg(not(feature = "std"))]
pub(crate) fn guarded<R>(code: impl FnOnce() -> R) -> Result<R, Error> {
    Ok(code())
}

impl<T> Wx<'_, T> {
    /// Keeps the future of a host function that runs now, and polls it for the first time.
    pub(crate) fn answer_later(
        &mut self,
        thread: ThreadId,
        future: LaterFuture,
        due: Due,
    ) -> Result<(), CoreError> {
        self.store().answer_later(thread)?;
        let futures = usize::try_from(self.store().unanswered()).unwrap_or(usize::MAX);
        let wakeups = self.state().wakeups.clone();
        wakeups.reserve(futures);
        let waker = Alive(Arc::new(Woken { thread, queued: AtomicBool::new(false), wakeups }));
        waker.0.wake_by_ref();
        self.state_mut().parked.park(thread, Parked::Later(Later { future, waker, due }))
    }

    /// Polls the futures that were woken: whether one answered. `context` is told when another is woken.
    pub(crate) fn poll_later(&mut self, context: &Context<'_>) -> Result<bool, CoreError> {
        let wakeups = self.state().wakeups.clone();
        // Those that wake themselves at once have their turn the next time.
        let driver = context.waker().clone();
        let (turns, before) = wakeups.with(|queue| (queue.threads.len(), queue.driver.replace(driver)));
        drop(before);
        let mut answered = false;
        for _ in 0..turns {
            let Some(thread) = wakeups.with(|queue| queue.threads.pop_front()) else { break };
            // Cancelled in the meantime, or its caller died.
            let Ok(Parked::Later(mut later)) = self.state_mut().parked.take_later(thread) else { continue };
            later.waker.0.queued.store(false, Ordering::Release);
            let waker = Waker::from(later.waker.0.clone());
            let mut context = Context::from_waker(&waker);
            let polled = guarded(|| later.future.as_mut().poll(&mut context));
            let parked = match polled.unwrap_or_else(|error| Poll::Ready(Err(error))) {
                Poll::Ready(answer) => {
                    answered |= self.store().answer(thread)?;
                    Parked::Answer(answer, later.due)
                }
                Poll::Pending => Parked::Later(later),
            };
            self.state_mut().parked.park(thread, parked)?;
        }
        Ok(answered)
    }

    /// Parks this thread of the machine until a host function may answer, it is unparked for another reason, or for so long.
    #[cfg(feature = "std")]
    pub(crate) fn wait_for_answer(&mut self, most: Option<Duration>) -> Result<bool, CoreError> {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let context = Context::from_waker(&waker);
        if self.poll_later(&context)? {
            return Ok(true);
        }
        let woken = self.state().wakeups.with(|queue| !queue.threads.is_empty());
        // An interrupt from here on wakes this thread.
        self.look()?;
        match self.sleep_at_most(most) {
            _ if woken => {}
            None => std::thread::park(),
            Some(most) => std::thread::park_timeout(most),
        }
        self.look()?;
        self.poll_later(&context)?;
        Ok(true)
    }
}
