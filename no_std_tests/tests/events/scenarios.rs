//! What is listened to.

use canon_async::canon::Builtin::*;
use canon_async::canon::lift::{start_enter, start_leave};
use canon_async::error::{Error, Trap};
use canon_async::id::{HostCall, InstanceId, TableRef};
use canon_async::{Embedding as _, Heap};
use no_std_tests::op::*;
use no_std_tests::script;
use no_std_tests::world::*;

/// The world of one guest, or more; all roots.
fn world(guests: usize) -> World<Heap> {
    World::new(&vec![None; guests]).expect("a world")
}

fn well<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// One task waits in a set for what another one writes to a stream.
pub fn stream() {
    let mut w = world(1);
    let reader = script![
        run(StreamNew(STREAM), &[]),
        run(StreamRead(STREAM, async_opts(A)), &[k(1), k(64), k(3)]),
        call(WaitableSetNew, &[], 1),
        run(WaitableJoin, &[k(1), R1]),
        call(WaitableSetWait(memory(A)), &[R1, k(80)], 0),
        Op::Eq(R0, k(2)),
        run(WaitableJoin, &[k(1), k(0)]),
        run(WaitableSetDrop, &[R1]),
        run(StreamDropReadable(STREAM), &[k(1)]),
        run(task_return(A), &[]),
    ];
    let writer = script![
        run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(32), k(2)]),
        run(StreamDropWritable(STREAM), &[k(2)]),
        run(task_return(A), &[]),
    ];
    let reader = well(w.lift(Func::Async, async_opts(A), reader));
    let writer = well(w.lift(Func::Async, async_opts(A), writer));
    let reader = well(w.call(reader, 0));
    well(w.call(writer, 1));
    well(w.run_until(reader));
    well(w.ticks());
    well(w.done());
}

/// B is closed when A calls it, and opens again.
pub fn queued_call() {
    let mut w = world(2);
    let close = well(w.lift(
        Func::Async,
        async_opts(B),
        script![run(BackpressureInc, &[]), run(task_return(B), &[])],
    ));
    let callee = well(w.lift(Func::Async, async_opts(B), script![run(task_return(B), &[])]));
    let open = well(w.lift(Func::Sync, sync_opts(B), script![run(BackpressureDec, &[])]));
    well(w.lower(callee, async_opts(A)));
    let caller = script![
        call(low(0), &[], 0),
        Op::Shr(0, 4),
        call(WaitableSetNew, &[], 1),
        run(WaitableJoin, &[R0, R1]),
        run(WaitableSetWait(memory(A)), &[R1, k(80)]),
        run(SubtaskDrop, &[R0]),
        run(WaitableSetDrop, &[R1]),
        run(task_return(A), &[]),
    ];
    let caller = well(w.lift(Func::Async, async_opts(A), caller));
    well(w.call(close, 0));
    let task = well(w.call(caller, 1));
    well(w.call(open, 2));
    well(w.run_until(task));
    well(w.ticks());
    well(w.done());
}

/// A cancels a call that has not started, and one that waits in its callback loop.
pub fn cancelled_call() {
    let mut w = world(2);
    let start = script![run(WaitableSetNew, &[]), Op::Ret(k(wait(1)))];
    let callback = script![
        run(WaitableSetDrop, &[k(1)]),
        run(TaskCancel, &[]),
        run(BackpressureInc, &[]),
        Op::Ret(k(EXIT))
    ];
    let callee = well(w.lift_callback(Func::Async, B, start, callback));
    well(w.lower(callee, async_opts(A)));
    let caller = script![
        call(low(0), &[], 0),
        Op::Shr(0, 4),
        run(SubtaskCancel { is_async: false }, &[R0]),
        run(SubtaskDrop, &[R0]),
        call(low(0), &[], 0),
        Op::Shr(0, 4),
        run(SubtaskCancel { is_async: false }, &[R0]),
        run(SubtaskDrop, &[R0]),
        run(task_return(A), &[]),
    ];
    let caller = well(w.lift(Func::Async, async_opts(A), caller));
    let task = well(w.call(caller, 0));
    well(w.run_until(task));
    well(w.ticks());
    well(w.done());
}

/// The implicit thread makes another one, and lets it run.
pub fn threads() {
    let mut w = world(1);
    w.set_table(0, A, script![run(ThreadYield, &[]), run(ThreadResumeLater, &[G0])]);
    let f = script![
        call(ThreadIndex, &[], 0),
        Op::SetG(0, R0),
        call(ThreadNewIndirect(TableRef::from_index(0)), &[k(0), k(0)], 1),
        run(ThreadSuspendThenResume, &[R1]),
        run(task_return(A), &[]),
    ];
    let f = well(w.lift(Func::Async, async_opts(A), f));
    let task = well(w.call(f, 0));
    well(w.run_until(task));
    well(w.ticks());
    well(w.done());
}

/// B traps while A, which holds a stream and a set, has called it.
pub fn trap() {
    let mut w = world(2);
    let callee = well(w.lift(Func::Async, async_opts(B), script![Op::Trap(7)]));
    well(w.lower(callee, async_opts(A)));
    let caller = script![run(StreamNew(STREAM), &[]), run(WaitableSetNew, &[]), run(low(0), &[])];
    let caller = well(w.lift(Func::Async, async_opts(A), caller));
    assert_eq!(w.call(caller, 0), Err(Error::Trap(Trap::Engine(7))));
    well(w.done());
}

/// A start function, a host function that answers later, and tasks of the host's own.
pub fn host() {
    let mut w = world(1);
    let start = well(start_enter(&mut w, InstanceId::from_index(A)));
    well(start_leave(&mut w, start, Ok(())));
    let later = well(w.lift(Func::Async, sync_opts(HOST), script![Op::Later]));
    well(w.lower(later, sync_opts(A)));
    let f = well(w.lift(Func::Async, async_opts(A), script![run(low(0), &[]), run(task_return(A), &[])]));
    let task = well(w.call(f, 0));
    assert!(well(w.answer()));
    well(w.run_until(task));
    well(w.ticks());
    let own = well(w.store().start_host_task(HostCall::from_index(1)));
    well(w.store().return_host_task(own));
    let own = well(w.store().start_host_task(HostCall::from_index(2)));
    well(w.store().cancel_host_task(own));
    well(w.done());
}
