//! Spec: 🧵 `canon thread.*`.
//!
//! Those that block answer when they are resumed, and always FALSE: since the spec's #716 none is cancellable.

use crate::embedding::{Embedding, Then};
use crate::error::{Error, Resource, Trap};
use crate::id::{InstanceId, TableRef, ThreadId};
use crate::state::{Point, Thread};

/// `canon thread.index`: the current thread's index. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave)`.
pub fn thread_index<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    let store = e.store();
    store.leave_check()?;
    let thread = store.current_thread()?;
    Ok(Then::Value(u64::from(store.thread_mut(thread)?.index())))
}

/// `canon thread.new-indirect`: a suspended thread of the current task, which will call the function at `fi` of the table
/// with `c`; answers its index. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownTableElement | ThreadFuncType)`; `Capacity(Threads | ThreadIndices)`.
pub fn thread_new_indirect<E: Embedding + ?Sized>(
    e: &mut E,
    table: TableRef,
    fi: u32,
    c: u32,
) -> Result<Then, Error> {
    let store = e.store();
    let instance = store.leave_check()?;
    let current = store.current_thread()?;
    let task = store.thread_mut(current)?.task();
    if !store.instance(instance)?.threads.has_room(1) {
        return Err(Error::Capacity(Resource::ThreadIndices));
    }
    let thread = Thread::explicit(task, instance, u64::from(c));
    let thread = store.threads.insert(thread).map_err(|_| Error::Capacity(Resource::Threads))?;
    if let Err(error) = e.thread_func(thread, table, fi) {
        e.store().threads.remove(thread);
        return Err(error);
    }
    let index = e.store().register_thread(thread)?;
    Ok(Then::Value(u64::from(index)))
}

/// `canon thread.resume-later`: thread `i` becomes ready. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownThread | ThreadNotSuspended)`.
pub fn thread_resume_later<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    let store = e.store();
    let instance = store.leave_check()?;
    let other = suspended(e, instance, i)?;
    let store = e.store();
    let point = store.thread_mut(other)?.point;
    store.start_waiting(other, point)?;
    Ok(Then::Value(0))
}

/// `canon thread.suspend`: until another thread resumes this one. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | CannotBlockSync | CannotSuspend)`.
pub fn thread_suspend<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    let (_, thread) = enter(e)?;
    e.store().suspend(thread)?;
    Ok(Then::Suspend)
}

/// `canon thread.yield`: lets others run. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | CannotBlockSync | CannotSuspend)`.
pub fn thread_yield<E: Embedding + ?Sized>(e: &mut E) -> Result<Then, Error> {
    let (_, thread) = enter(e)?;
    e.store().start_waiting(thread, Point::Switch)?;
    Ok(Then::Suspend)
}

/// `canon thread.suspend-then-resume`: suspends, and thread `i` runs at once. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownThread | ThreadNotSuspended | CannotBlockSync | CannotSuspend)`.
pub fn thread_suspend_then_resume<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    let instance = e.store().leave_check()?;
    let other = suspended(e, instance, i)?;
    let (_, thread) = enter(e)?;
    let store = e.store();
    store.suspend(thread)?;
    store.switch_to = Some(other);
    Ok(Then::Suspend)
}

/// `canon thread.yield-then-resume`: stays ready, and thread `i` runs at once. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownThread | ThreadNotSuspended | CannotBlockSync | CannotSuspend)`.
pub fn thread_yield_then_resume<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    let instance = e.store().leave_check()?;
    let other = suspended(e, instance, i)?;
    let (_, thread) = enter(e)?;
    let store = e.store();
    store.start_waiting(thread, Point::Switch)?;
    store.switch_to = Some(other);
    Ok(Then::Suspend)
}

/// `canon thread.suspend-then-promote`: suspends, and thread `i` runs at once where it is ready. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownThread | CannotBlockSync | CannotSuspend)`.
pub fn thread_suspend_then_promote<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    let instance = e.store().leave_check()?;
    let other = thread_at(e, instance, i)?;
    let (_, thread) = enter(e)?;
    let store = e.store();
    let ready = store.is_ready(other);
    store.suspend(thread)?;
    store.switch_to = ready.then_some(other);
    Ok(Then::Suspend)
}

/// `canon thread.yield-then-promote`: stays ready, and thread `i` runs at once where it is ready. Cost: O(1).
///
/// # Errors
/// `Trap(CannotLeave | UnknownThread | CannotBlockSync | CannotSuspend)`.
pub fn thread_yield_then_promote<E: Embedding + ?Sized>(e: &mut E, i: u32) -> Result<Then, Error> {
    let instance = e.store().leave_check()?;
    let other = thread_at(e, instance, i)?;
    let (_, thread) = enter(e)?;
    let store = e.store();
    let ready = store.is_ready(other);
    store.start_waiting(thread, Point::Switch)?;
    store.switch_to = ready.then_some(other);
    Ok(Then::Suspend)
}

/// `trap_if(not may_leave)`, and the current thread must be one that can be set aside.
fn enter<E: Embedding + ?Sized>(e: &mut E) -> Result<(InstanceId, ThreadId), Error> {
    let can_suspend = e.can_suspend();
    let store = e.store();
    let instance = store.leave_check()?;
    Ok((instance, store.check_can_block(can_suspend)?))
}

/// `inst.threads.get(i)`.
fn thread_at<E: Embedding + ?Sized>(e: &mut E, instance: InstanceId, i: u32) -> Result<ThreadId, Error> {
    Ok(*e.store().instance(instance)?.threads.get(i).ok_or(Trap::UnknownThread(i))?)
}

/// `inst.threads.get(i)`, which must be suspended.
fn suspended<E: Embedding + ?Sized>(e: &mut E, instance: InstanceId, i: u32) -> Result<ThreadId, Error> {
    let other = thread_at(e, instance, i)?;
    if !e.store().thread_mut(other)?.is_suspended() {
        return Err(Trap::ThreadNotSuspended(i).into());
    }
    Ok(other)
}
