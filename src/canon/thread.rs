//! Spec: 🧵 and 🧵② `canon thread.*`.
//!
//! Those that block answer when they are resumed, and always FALSE: since the spec's #716 none is cancellable.
//!
//! All threads are cooperative: a store is driven by one thread of the machine, so `shared` ones switch at the same points as the
//! others, and `thread.available-parallelism` is 1.

use crate::embedding::{Embedding, Then};
use crate::error::{Error, Resource, Trap};
use crate::event::event;
use crate::id::{FuncRef, InstanceId, TableRef, ThreadId};
use crate::raise::{OrRaise as _, Raises, caught};
use crate::state::{Point, Thread};
use crate::storage::Profile;
use crate::store::Store;

/// `canon thread.index`: the current thread's index. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave)`.
pub fn thread_index<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    caught(e, |e| {
        let store = e.store();
        store.leave_check()?;
        let thread = store.current_thread()?;
        Ok(Then::Value(u64::from(store.thread_mut(thread)?.index())))
    })
}

/// `canon thread.new-indirect`: a suspended thread of the current task, which will call the function at `fi` of the table
/// with `c`; answers its index. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownTableElement | ThreadFuncType)`; `Capacity(Threads | ThreadIndices)`.
pub fn thread_new_indirect<E: Embedding + ?Sized>(
    e: &mut E,
    table: TableRef,
    fi: u64,
    c: u64,
) -> Result<Then, Error> {
    caught(e, |e| {
        let index = new_thread(e, c, Start::Element(table, fi))?;
        Ok(Then::Value(u64::from(index)))
    })
}

/// `canon thread.resume-later`: thread `i` becomes ready. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownThread | ThreadNotSuspended)`.
pub fn thread_resume_later<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    caught(e, |e| {
        resume_later(e, i)?;
        Ok(Then::Value(0))
    })
}

/// `canon thread.suspend`: until another thread resumes this one. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | CannotBlockSync | CannotSuspend)`.
pub fn thread_suspend<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    caught(e, |e| set_aside(e, true, Next::Any))
}

/// `canon thread.yield`: lets others run. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | CannotBlockSync | CannotSuspend)`.
pub fn thread_yield<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    caught(e, |e| set_aside(e, false, Next::Any))
}

/// `canon thread.suspend-then-resume`: suspends, and thread `i` runs at once. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownThread | ThreadNotSuspended | CannotBlockSync | CannotSuspend)`.
pub fn thread_suspend_then_resume<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    caught(e, |e| set_aside(e, true, Next::Resume(i)))
}

/// `canon thread.yield-then-resume`: stays ready, and thread `i` runs at once. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownThread | ThreadNotSuspended | CannotBlockSync | CannotSuspend)`.
pub fn thread_yield_then_resume<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    caught(e, |e| set_aside(e, false, Next::Resume(i)))
}

/// `canon thread.suspend-then-promote`: suspends, and thread `i` runs at once where it is ready. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownThread | CannotBlockSync | CannotSuspend)`, and `Trap(ThreadNotSuspended)` for
/// the current thread itself.
pub fn thread_suspend_then_promote<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    caught(e, |e| set_aside(e, true, Next::Promote(i)))
}

/// `canon thread.yield-then-promote`: stays ready, and thread `i` runs at once where it is ready. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownThread | CannotBlockSync | CannotSuspend)`, and `Trap(ThreadNotSuspended)` for
/// the current thread itself.
pub fn thread_yield_then_promote<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    caught(e, |e| set_aside(e, false, Next::Promote(i)))
}

/// `canon thread.spawn-ref`: `thread.new-ref` and `thread.resume-later` in one. The thread will call the function `f` with `c`, which
/// the guest's type system has checked to be `(shared? (func (param i32)))`; answers its index, or 0 and does nothing
/// where the store keeps to the deterministic profile ([`Choose::Spec`](crate::store::Choose::Spec)). Cost: O(1).
///
/// The spec has not written `thread.new-ref` yet, and says that it is `thread.new-indirect` without the table. `None` is a null
/// reference.
///
/// # Errors
/// `Trap(CannotLeave | NullThreadFunc)`; `Capacity(Threads | ThreadIndices)`; `Misuse` where the engine gives references to
/// functions to no built-in ([`Embedding::thread_ref`]).
pub fn thread_spawn_ref<E: Embedding + ?Sized>(e: &mut E, f: Option<FuncRef>, c: u64) -> Result<Then, Error> {
    caught(e, |e| {
        e.store().leave_check()?;
        if e.store().is_deterministic() {
            return Ok(Then::Value(0));
        }
        let f = f.or_raise(&mut e.store().raiser, Trap::NullThreadFunc)?;
        let index = new_thread(e, c, Start::Func(f))?;
        resume_later(e, index)?;
        Ok(Then::Value(u64::from(index)))
    })
}

/// `canon thread.spawn-indirect`: `thread.new-indirect` and `thread.resume-later` in one; answers the index, or 0 and does
/// nothing where the store keeps to the deterministic profile ([`Choose::Spec`](crate::store::Choose::Spec)). Cost: O(1).
///
/// # Errors
/// As [`thread_new_indirect`].
pub fn thread_spawn_indirect<E: Embedding + ?Sized>(
    e: &mut E,
    table: TableRef,
    fi: u64,
    c: u64,
) -> Result<Then, Error> {
    caught(e, |e| {
        e.store().leave_check()?;
        if e.store().is_deterministic() {
            return Ok(Then::Value(0));
        }
        let index = new_thread(e, c, Start::Element(table, fi))?;
        resume_later(e, index)?;
        Ok(Then::Value(u64::from(index)))
    })
}

/// `canon thread.available-parallelism`: 1, since no two threads of a store ever run at the same time. It may be called where
/// `may_leave` is false. Cost: O(1).
///
/// # Errors
/// None.
pub fn thread_available_parallelism<E: Embedding + ?Sized>(_: &mut E) -> Result<Then, Error> {
    Ok(Then::Value(1))
}

/// What a thread begins with.
enum Start {
    /// The function at this index of a table.
    Element(TableRef, u64),
    Func(FuncRef),
}

/// A suspended thread of the current task, which will call `start` with `c`; its index.
fn new_thread<E: Embedding + ?Sized>(e: &mut E, c: u64, start: Start) -> Raises<u32> {
    let store = e.store();
    let instance = store.leave_check()?;
    let current = store.current_thread()?;
    let task = store.thread_mut(current)?.task();
    store.reserve(instance, (Resource::ThreadIndices, 1))?;
    store.charge(instance, &[(Resource::Threads, 1)])?;
    let thread = Thread::explicit(task, instance, c);
    let thread = store.threads.insert(thread).or_raise(&mut store.raiser, Resource::Threads)?;
    let fetched = match start {
        Start::Element(table, index) => e.thread_func(thread, table, index),
        Start::Func(func) => e.thread_ref(thread, func),
    };
    let store = e.store();
    if let Err(error) = fetched {
        store.threads.free(thread);
        store.refund(instance, Resource::Threads);
        return store.raiser.raise(error);
    }
    event!(trace, thread, "created", thread, task);
    store.register_thread(thread)
}

fn resume_later<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Raises {
    let store = e.store();
    let instance = store.leave_check()?;
    let other = suspended(store, instance, i)?;
    let point = store.thread_mut(other)?.point;
    store.start_waiting(other, point)
}

/// Who runs when the current thread is set aside.
enum Next {
    /// Whoever is ready.
    Any,
    /// The thread of this index, which must be suspended.
    Resume(u32),
    /// The thread of this index where it is ready.
    Promote(u32),
}

/// What all have in common that set the current thread aside: suspended, or ready.
#[inline(never)]
fn set_aside<E: Embedding + ?Sized>(e: &mut E, suspends: bool, next: Next) -> Raises<Then> {
    let can_suspend = e.can_suspend();
    let store = e.store();
    let instance = store.leave_check()?;
    let other = match next {
        Next::Any => None,
        Next::Resume(i) => Some(suspended(store, instance, i)?),
        Next::Promote(i) => Some(thread_at(store, instance, i)?),
    };
    let thread = store.check_can_block(can_suspend)?;
    // Mostly a guest's mistake: the spec's #687.
    if other == Some(thread) {
        let index = store.thread_mut(thread)?.index();
        return store.raiser.raise(Trap::ThreadNotSuspended(index));
    }
    let other = other.filter(|other| matches!(next, Next::Resume(_)) || store.is_ready(*other));
    if suspends {
        store.suspend(thread)?;
    } else {
        store.start_waiting(thread, Point::Switch)?;
    }
    store.switch_to = other;
    Ok(Then::Suspend)
}

/// `inst.threads.get(i)`.
fn thread_at<P: Profile>(store: &mut Store<P>, instance: InstanceId, i: u32) -> Raises<ThreadId> {
    let thread = store.instance_mut(instance)?.threads.get(i).copied();
    thread.or_raise(&mut store.raiser, Trap::UnknownThread(i))
}

/// `inst.threads.get(i)`, which must be suspended.
fn suspended<P: Profile>(store: &mut Store<P>, instance: InstanceId, i: u32) -> Raises<ThreadId> {
    let other = thread_at(store, instance, i)?;
    if !store.thread_mut(other)?.is_suspended() {
        return store.raiser.raise(Trap::ThreadNotSuspended(i));
    }
    Ok(other)
}
